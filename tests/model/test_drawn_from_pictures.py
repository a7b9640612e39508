"""Pictures drawn from pictures: what stands in the given one is drawn where it stands."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv
from ranvier.core.spec import Spec
from ranvier.model.model import load
from ranvier.planning.settle import settle
from ranvier.tasks.build import build

SIDE = 8


def squares(rows: int, seed: int = 0) -> dict[str, object]:
    """A grey square of 3 x 3 somewhere, and the same in the colour that is named."""
    chance = np.random.default_rng(seed)
    grey, colour = np.zeros((rows, SIDE, SIDE), np.uint8), np.zeros((rows, SIDE, SIDE, 3), np.uint8)
    for row, (y, x) in enumerate(chance.integers(0, SIDE - 2, (rows, 2))):
        grey[row, y : y + 3, x : x + 3] = 150
        colour[row, y : y + 3, x : x + 3, row % 2] = 255
    return {"grey": grey, "kind": np.array(["red", "green"])[np.arange(rows) % 2], "drawn": colour}


def fitted(**options):
    plan = rv.plan(
        squares(400), target="drawn", inputs=["grey", "kind"], size="s", epochs=16, batch=32, rate=0.03, threads=1
    )
    head = {"name": "diffusion", "widths": [16, 32], "steps": 8, "guidance": 1.0}
    plan.targets["drawn"].head = head | options
    plan.inputs["grey"].encoder = {"name": "cnn", "widths": [8, 16]}
    return rv.fit(plan, progress=False)


def error(model, rows) -> float:
    """The mean distance of drawn to true pixels, from 0 to 255."""
    given = {name: list(rows[name]) for name in model.plan.inputs}
    drawn = model.sample(1, given=given, seed=1)["drawn"]
    return float(np.abs(model.columns["drawn"].encode(drawn).data.astype(float) - rows["drawn"]).mean())


def test_what_is_given_is_drawn_where_it_stands(tmp_path):
    unseen, nothing = squares(40, seed=1), 255 * 9 / (3 * SIDE**2)  # how far black is away
    model = fitted()
    found = error(model, unseen)
    assert found < nothing / 2
    assert error(fitted(beside=False), unseen) > nothing
    assert error(load(model.save(tmp_path / "m.rv")), unseen) == found


def test_nothing_is_seen_beside_few_numbers():
    plan = rv.plan(squares(8), target="drawn", inputs=["grey"], size="s", epochs=1)
    plan.targets["drawn"].head = {"name": "diffusion", "widths": [8]}
    plan = settle(plan)
    specs = {"grey": Spec("pixels", (SIDE, SIDE), 1, "pixel"), "drawn": Spec("pixels", (SIDE, SIDE), 3, "pixel")}
    assert build(plan, specs).needs == {"vector", "maps"}
    plan.fuse = {"name": "bottleneck"}
    assert build(plan, specs).needs == {"vector"}


@pytest.mark.parametrize(("encoder", "seen"), [("gru", {"vector", "tokens"}), ("bag", {"vector"})])
def test_pictures_of_texts(encoder, seen, tmp_path):
    rows = squares(24)
    texts = [f"a {kind} square" + " somewhere" * (row % 3) for row, kind in enumerate(rows["kind"])]
    plan = rv.plan(
        {"text": texts, "drawn": rows["drawn"]}, target="drawn", types={"text": "text"}, epochs=1, threads=1, size="s"
    )
    plan.inputs["text"].encoder = {"name": encoder}
    plan.targets["drawn"].head = {"name": "diffusion", "widths": [8, 10], "steps": 2}
    model = rv.fit(plan, progress=False)
    assert model.networks[0].task.needs == seen
    given = {"text": ["a red square", "a green square somewhere somewhere"]}
    drawn = model.sample(1, given=given, seed=1)
    assert load(model.save(tmp_path / "m.rv")).sample(1, given=given, seed=1).equals(drawn)
