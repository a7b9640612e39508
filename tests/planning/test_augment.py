"""Augmentation and mixing by name: defaults, options, wrong names, and what cannot serve."""

from __future__ import annotations

import polars as pl
import pytest

from ranvier import samples
from ranvier.cli.edit import change
from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    plans = {
        "penguins": make_plan(samples.path("penguins"), "species"),
        "reviews": make_plan(samples.path("snippets_train"), "sentiment", inputs=["text"]),
        "pictures": make_plan(samples.path("fashion_train"), "label"),
    }
    return {name: plan.to_toml() for name, plan in plans.items()}


@pytest.fixture
def penguins(texts) -> Plan:
    return Plan.from_toml(texts["penguins"])


@pytest.fixture
def reviews(texts) -> Plan:
    return Plan.from_toml(texts["reviews"])


@pytest.fixture
def pictures(texts) -> Plan:
    return Plan.from_toml(texts["pictures"])


def test_pictures_are_varied_by_themselves_and_nothing_else_is(penguins, reviews, pictures):
    assert all(chosen.augment == {"name": "none"} for chosen in penguins.inputs.values())
    assert reviews.inputs["text"].augment == {"name": "none"}
    off = {"crop": 1.0, "rotate": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "erase": 0.0, "cutout": 0}
    off["noise"] = 0.0
    assert pictures.inputs["image"].augment == {"name": "image", "flip": False, "shift": 1, "tta": True, **off}
    assert all(plan.train.mix == {"name": "none"} for plan in (penguins, reviews, pictures))
    assert "train.mix.name" not in penguins.why


def test_by_name(penguins, reviews, pictures):
    change(penguins, "inputs.bill_length_mm.augment", "noise")
    change(penguins, "inputs.island.augment", {"name": "swap", "chance": 0.3})
    change(penguins, "train.mix", "mixup")
    change(penguins, "train.mix.alpha", 0.4)
    done = settle(penguins)
    assert done.inputs["bill_length_mm"].augment == {"name": "noise", "std": 0.1}
    assert done.inputs["island"].augment == {"name": "swap", "chance": 0.3}
    assert done.inputs["sex"].augment == {"name": "none"}
    assert done.train.mix == {"name": "mixup", "alpha": 0.4, "chance": 1.0}
    assert done.why["inputs.island.augment.name"].why == done.why["train.mix.name"].why == "as asked"
    assert settle(done).to_toml() == done.to_toml()
    assert settle(Plan.from_toml(done.to_toml())).to_toml() == done.to_toml()
    change(reviews, "inputs.text.augment", "words")
    assert settle(reviews).inputs["text"].augment == {"name": "words", "drop": 0.1}
    change(pictures, "inputs.image.augment.crop", 0.5)
    change(pictures, "train.mix", "cutmix")
    done = settle(pictures)
    assert done.inputs["image"].augment["crop"] == 0.5
    assert done.inputs["image"].augment["shift"] == 1
    assert done.train.mix == {"name": "cutmix", "alpha": 1.0, "chance": 1.0}


def test_as_settings_of_a_plan():
    plan = make_plan(samples.path("penguins"), "species", mix={"name": "mixup", "alpha": 0.3})
    assert plan.train.mix == {"name": "mixup", "alpha": 0.3, "chance": 1.0}
    back = settle(plan)
    back.train.mix = "none"
    assert settle(back).train.mix == {"name": "none"}
    back.train.mix = "auto"
    assert settle(back).train.mix == {"name": "none"}


def test_another_type_of_column_forgets_what_does_not_serve(pictures):
    pictures.inputs["image"].augment = "none"
    done = settle(pictures)
    assert done.inputs["image"].augment == {"name": "none"}
    done.inputs["image"].augment = "auto"
    assert settle(done).inputs["image"].augment["name"] == "image"


def test_wrong_names_and_options_are_named(penguins, reviews):
    def settled(plan, place, value):
        copy = Plan.from_toml(plan.to_toml())
        change(copy, place, value)
        settle(copy)

    def fails(match, plan, place, value):
        with pytest.raises(PlanError, match=match):
            settled(plan, place, value)

    fails("unknown augment 'nosie'; did you mean 'noise'", penguins, "inputs.bill_length_mm.augment", "nosie")
    fails("unknown mix 'mixxup'; did you mean 'mixup'", penguins, "train.mix", "mixxup")
    fails(
        "unknown option 'sdt'; did you mean 'std'",
        penguins,
        "inputs.bill_length_mm.augment",
        {"name": "noise", "sdt": 1.0},
    )
    fails("augment 'noise' cannot serve here.* 'swap' can", penguins, "inputs.island.augment", "noise")
    fails("augment 'image' cannot serve here.* 'words' can", reviews, "inputs.text.augment", "image")
    fails("mix 'cutmix' cannot serve here.*pictures.* 'mixup' can", penguins, "train.mix", "cutmix")
    fails("alpha = 'much'", penguins, "train.mix", {"name": "mixup", "alpha": "much"})
    fails("mix 'none' has no options, but \\['alpha'\\]", penguins, "train.mix", {"alpha": 0.1})
    fails("augment 'none' has no options, but \\['std'\\]", penguins, "inputs.bill_length_mm.augment", {"std": 0.1})


def test_a_vector_of_a_date_may_have_noise():
    frame = pl.DataFrame({"when": [f"2024-0{1 + i % 9}-1{i % 9}" for i in range(40)], "y": ["a", "b"] * 20})
    plan = make_plan(frame, "y")
    plan.inputs["when"].augment = "noise"
    assert settle(plan).inputs["when"].augment["std"] == 0.1
