"""Augmentation and mixing from the plan to the batch: per column, joined or not; batches of their number alone; runs
that go on where they were killed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from model.made import mixed, table
from model.test_fit import At, Boom, boom, same

from ranvier import samples
from ranvier.core.protocols import Batch
from ranvier.data.read import read
from ranvier.feed.augment.joined import Joined
from ranvier.feed.rows import Rows
from ranvier.model.fit import fit
from ranvier.model.layout import Layout, learn_columns
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

CPU = torch.device("cpu")


MIXED = mixed()


def source(plan, frame, *, plain=False) -> Rows:
    layout = Layout(plan, learn_columns(plan, frame, []))
    table = layout.encode(frame, [])
    return layout.plain_source(table, CPU, 16)[0] if plain else layout.training_source(table, CPU)


def planned(frame, target, mix="none", **augment):
    """A settled plan with these inputs augmented."""
    plan = make_plan(frame, target, epochs=2, threads=1, batch=16, size="s")
    for name in plan.inputs:
        plan.inputs[name].augment = augment.get(name, "none")
    plan.train.mix = mix
    return settle(plan)


def equal(one: Batch, other: Batch) -> bool:
    def flat(batch):
        found = []
        batch.map(lambda tensor: found.append(tensor) or tensor)
        return found

    mine, theirs = flat(one), flat(other)
    return len(mine) == len(theirs) and all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_a_joined_column_is_varied_alone():
    plain, some = (source(planned(table(), "y", **how), table()) for how in ({}, {"a": "noise", "c": "swap"}))
    assert not plain.augment
    assert isinstance(some.augment["[number]"], Joined)
    for step in (0, 5):
        before, after = plain.batch(step), some.batch(step)
        a = list(planned(table(), "y").inputs).index("a")
        assert a == 0
        moved = before.inputs["[number]"].data != after.inputs["[number]"].data
        assert moved[:, 0, 0].all()
        assert moved[:, 0, 1].any()  # its rank goes along
        assert not moved[:, 1:].any()
        assert torch.equal(before.targets["y"].data, after.targets["y"].data)
    swapped = torch.cat(
        [plain.batch(k).inputs["[category]"].data != some.batch(k).inputs["[category]"].data for k in range(30)]
    )
    assert 0 < swapped[:, 0].float().mean() < 0.2
    assert not swapped[:, 1:].any()


def test_joined_columns_of_equal_options_are_varied_together_and_others_apart():
    how = {"a": "noise", "b": {"name": "noise", "std": 0.5}, "z": "noise"}
    plan = planned(table(), "y", **how)
    names = [n for n in plan.inputs if plan.inputs[n].encoder["name"] == "number"]
    found = Layout(plan, learn_columns(plan, table(), [])).augments()
    places = [part.tolist() for part, _ in found["[number]"].parts]
    assert places == [[names.index("a"), names.index("z")], [names.index("b")]]
    batches = [source(planned(table(), "y", **augment), table()).batch(0) for augment in ({}, how)]
    moved = batches[1].inputs["[number]"].data - batches[0].inputs["[number]"].data
    assert moved[:, names.index("b"), 0].std() > 2 * moved[:, names.index("a"), 0].std() > 0
    assert (moved[:, names.index("w")] == 0).all()


def test_a_column_that_does_not_join_is_varied_by_its_own_name():
    how = {"picture": {"name": "image", "shift": 2}, "said": "words", "vector": "noise", "tags": "swap"}
    plan = planned(MIXED, "kind", **how)
    found = source(plan, MIXED)
    assert sorted(found.augment) == sorted(how)
    plain = source(planned(MIXED, "kind"), MIXED)
    before, after = plain.batch(1), found.batch(1)
    for name in before.inputs:
        one, other = before.inputs[name], after.inputs[name]
        changed = one.data.shape != other.data.shape or not torch.equal(one.data, other.data)
        assert changed == (name in how)
        if one.observed is not None:
            assert torch.equal(one.observed, other.observed)


MIXES = ["none", "mixup", "cutmix"]


@pytest.mark.parametrize("mix", MIXES)
def test_a_batch_made_alone_is_the_batch_in_its_turn(mix):
    how = {"size": "noise", "colour": "swap", "picture": "image", "said": "words", "when": "noise", "tags": "swap"}
    plan = planned(MIXED, ["kind", "amount"], mix, **how)
    one, other = source(plan, MIXED), source(plan, MIXED)
    in_turn = [one.batch(step) for step in range(12)]
    for step in (11, 3, 3, 0):
        torch.manual_seed(step)
        assert equal(other.batch(step), in_turn[step])
    plan.train.seed = 1
    assert not equal(source(plan, MIXED).batch(0), in_turn[0])


@pytest.mark.parametrize("mix", MIXES)
def test_targets_change_through_mixing_only(mix):
    how = {"size": "noise", "colour": "swap", "picture": "image", "said": "words"}
    plan = planned(MIXED, ["kind", "amount"], mix, **how)
    found = source(plan, MIXED).batch(3)
    assert not source(plan, MIXED, plain=True).batch(0).mixed  # validation and prediction see rows as they are
    plan.train.mix = "none"
    for chosen in plan.inputs.values():
        chosen.augment = "none"
    plain = source(plan, MIXED).batch(3)
    for name, value in plain.targets.items():
        assert torch.equal(found.targets[name].data, value.data)
        assert torch.equal(found.targets[name].observed, value.observed)
    assert bool(found.mixed) == ("share" in found.extra) == (mix != "none")


def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path):
    plan = planned(table(), "y", "mixup", a="noise", c="swap")
    plan.train.refit = False
    whole = fit(plan, progress=False)
    with pytest.raises(Boom):
        fit(plan, folder=tmp_path, callbacks=[At(5, boom)], progress=False)
    assert same(fit(plan, folder=tmp_path, resume=True, progress=False), whole)


RUNS = [
    ("penguins", "species", {"bill_length_mm": "noise", "island": "swap"}, "mixup"),
    ("snippets_train", "sentiment", {"text": "words"}, "mixup"),
    ("fashion_train", "label", {"image": {"name": "image", "crop": 0.7, "rotate": 10.0, "contrast": 0.2}}, "cutmix"),
]


@pytest.mark.parametrize(("name", "target", "augment", "mix"), RUNS)
def test_short_runs_on_the_samples(name, target, augment, mix):
    inputs = None if name == "penguins" else list(augment)
    frame = read(samples.path(name)).frame.head(400)
    plan = make_plan(frame, target, inputs=inputs, epochs=8 if name == "penguins" else 1, threads=1)
    for column, how in augment.items():
        plan.inputs[column].augment = how
    plan.train.mix, plan.train.refit, plan.size = mix, False, "s"
    model = fit(plan, progress=False)
    assert all(torch.tensor(record["val_loss"]).isfinite() for record in model.history if "val_loss" in record)
    assert model.plan.train.mix["name"] == mix
    assert model.report.metrics["accuracy"] > {"penguins": 0.6, "snippets_train": 0.45, "fashion_train": 0.08}[name]


def test_predictions_are_averaged_over_what_a_picture_may_be_seen_as():
    found = {}
    for tta in (False, True):
        plan = planned(MIXED, "kind", picture={"name": "image", "shift": 1, "tta": tta})
        model = fit(plan, progress=False)
        network = model.networks[0]
        (name,) = network.layout.augments()
        found[tta] = model.predict(MIXED)["kind_p_yes"].to_numpy()
    rows, come = network.layout.plain_source(network.layout.encode(MIXED, []), CPU, len(MIXED))
    batch = rows.batch(0)
    seen = network.variants[name](batch.inputs[name])
    with torch.inference_mode(), network._precision():
        each = [network.task.predict(replace(batch, inputs=batch.inputs | {name: v}))["kind"]["probs"] for v in seen]
    (column,) = [k for k, label in enumerate(network.columns["kind"].labels) if label == "yes"]
    assert len(seen) == 5
    assert not np.allclose(found[True], found[False], atol=1e-4)
    np.testing.assert_allclose(torch.stack(each).float().mean(0)[:, column].numpy(), found[True][come], atol=1e-6)
