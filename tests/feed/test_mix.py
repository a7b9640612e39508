"""Rows blended: against hand-made blends, with gaps, weights and inputs that cannot be blended."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from descriptors import CATEGORIES, NUMBERS, PIXELS, SCALAR, SETS, SMALL, TEXT, VECTORS, sample

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Batch, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.feed.mix import CutMix, Mixup
from ranvier.feed.rows import Rows
from ranvier.feed.store import Store
from ranvier.train.sources import Order

ROWS = 64


def partners(rows=ROWS, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).permutation(rows))


def mixed(mix, batch, seed=0) -> Batch:
    return mix(batch, np.random.default_rng(seed))


def of(tensor, other):
    return tensor.view(-1, *[1] * (other.ndim - 1))


@pytest.mark.parametrize("spec", [SCALAR, NUMBERS, VECTORS, PIXELS])
def test_mixup_blends_numbers_and_pixels(spec):
    x, y = sample(spec, ROWS, gaps=False), sample(SMALL, ROWS)
    found = mixed(Mixup({"x": spec}, alpha=1.0), Batch(ROWS, {"x": x}, {"y": y}))
    other, share = partners(), found.extra["share"]
    own, its = x.data.double(), x.data[other].double()
    wanted = own * of(share, own) + its * (1 - of(share, own))
    if spec.kind == "pixels":
        assert (found.inputs["x"].data.double() - wanted).abs().max() < 0.501
    else:
        torch.testing.assert_close(found.inputs["x"].data.double(), wanted, rtol=1e-5, atol=1e-6)
    assert torch.equal(found.mixed["y"].data, y.data[other])
    assert torch.equal(found.mixed["y"].observed, y.observed[other])
    assert torch.equal(found.targets["y"].data, y.data)
    assert found.weight is None


def test_shares_are_beta_and_each_row_has_its_own():
    big = Batch(20_000, {"x": sample(SCALAR, 20_000)}, {})
    for alpha in (0.2, 1.0, 8.0):
        share = mixed(Mixup({"x": SCALAR}, alpha=alpha), big).extra["share"]
        assert abs(share.mean() - 0.5) < 0.02
        assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.005  # of Beta(alpha, alpha)
    some = mixed(Mixup({"x": SCALAR}, alpha=8.0, chance=0.3), big).extra["share"]
    assert abs((some == 1).float().mean() - 0.7) < 0.02


def test_a_row_that_is_not_mixed_is_its_own():
    specs = {"a": NUMBERS, "b": CATEGORIES, "c": PIXELS, "d": TEXT}
    batch = Batch(ROWS, {n: sample(spec, ROWS) for n, spec in specs.items()}, {"y": sample(SMALL, ROWS)})
    for kind in (Mixup, CutMix):
        found = mixed(kind(specs, chance=0.0), batch)
        assert (found.extra["share"] == 1).all()
        for name, value in found.inputs.items():
            assert torch.equal(value.data, batch.inputs[name].data)
            assert torch.equal(value.observed, batch.inputs[name].observed)


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_what_cannot_be_blended_is_one_of_the_two_with_the_chance_of_its_share(kind):
    rows = 8000
    specs = {"c": CATEGORIES, "s": SETS, "t": TEXT, "i": SMALL, "p": PIXELS}
    inputs = {name: sample(spec, rows) for name, spec in specs.items()}
    inputs["i"] = Value(torch.arange(rows), observed=torch.arange(rows) % 5 > 0)
    inputs["c"] = Value(
        torch.arange(rows)[:, None].repeat(1, 3), observed=torch.arange(rows)[:, None].repeat(1, 3) % 5 > 0
    )
    found = mixed(kind(specs, alpha=1.0), Batch(rows, inputs, {}))
    other, share = partners(rows), found.extra["share"]
    for name in "cit":
        a, b, c = inputs[name], inputs[name].map(lambda t: t[other]), found.inputs[name]
        axes = tuple(range(1, a.data.ndim)) if name == "t" else ()
        mine, its = ((c.data == v.data).all(axes) if axes else c.data == v.data for v in (a, b))
        assert (mine | its).all()
        if name == "t":
            continue
        assert torch.equal(c.observed, torch.where(mine, a.observed, b.observed))
        for low in (0.0, 0.25, 0.5, 0.75):
            within = (share >= low) & (share < low + 0.25) & (other != torch.arange(rows))
            if within.sum() > 300:
                assert abs(mine[within].float().mean() - share[within].mean()) < 0.08
    assert not torch.equal(found.inputs["c"].data[:, 0], found.inputs["c"].data[:, 1])  # each column apart
    text = found.inputs["t"]
    assert torch.equal(text.data * text.mask, text.data)


def test_where_one_of_two_numbers_is_missing_one_is_taken_as_it_is():
    x = sample(NUMBERS, ROWS)
    x.observed[:] = torch.rand(ROWS, 3) < 0.5
    found = mixed(Mixup({"x": NUMBERS}, alpha=4.0), Batch(ROWS, {"x": x}, {})).inputs["x"]
    other = partners()
    a, b = x, x.map(lambda t: t[other])
    both = a.observed & b.observed
    assert found.observed[both].all()
    assert not found.observed[~a.observed & ~b.observed].any()
    one = a.observed ^ b.observed
    mine = (found.data == a.data).all(-1)
    its = (found.data == b.data).all(-1)
    assert (mine | its)[one].all()
    assert torch.equal(found.observed[one], torch.where(mine, a.observed, b.observed)[one])
    assert 0.2 < found.observed[one].float().mean() < 0.8
    moved = both & (other != torch.arange(ROWS))[:, None]
    assert not (mine | its)[moved].any()


def test_cutmix_pastes_a_box_and_counts_its_pixels():
    x = Value(torch.arange(ROWS, dtype=torch.uint8)[:, None, None, None].expand(ROWS, 9, 12, 3).clone())
    found = mixed(CutMix({"x": PIXELS}), Batch(ROWS, {"x": x}, {}))
    data, other = found.inputs["x"].data, partners()
    areas = set()
    for row in range(ROWS):
        if other[row] == row:
            continue
        pasted = (data[row, ..., 0] == other[row]).double()
        assert (data[row, ..., 0][pasted == 0] == row).all()
        assert found.extra["share"][row].item() == pytest.approx(1 - pasted.mean().item(), abs=1e-6)
        places = pasted.nonzero()
        if len(places):
            low, high = places.min(0).values, places.max(0).values + 1
            assert (high - low).prod() == pasted.sum()  # a box without holes
        areas.add(int(pasted.sum()))
    assert len(areas) > 10
    assert torch.equal(data[..., 0], data[..., 2])


def test_cutmix_boxes_are_of_the_papers_size_before_they_are_cut_off():
    rows = 4000
    spec = Spec("pixels", (40, 60), size=1)
    x = Value(torch.arange(rows)[:, None, None, None].expand(rows, 40, 60, 1).float())
    found = mixed(CutMix({"x": spec}), Batch(rows, {"x": x}, {}))
    random = np.random.default_rng(0)
    random.permutation(rows)
    drawn = random.beta(1.0, 1.0, rows)
    box = found.inputs["x"].data[..., 0] != torch.arange(rows)[:, None, None]
    down, across = box.any(2).sum(1), box.any(1).sum(1)
    whole = (down > 0) & ~box[:, 0].any(1) & ~box[:, -1].any(1) & ~box[:, :, 0].any(1) & ~box[:, :, -1].any(1)
    side = torch.from_numpy(np.sqrt(1 - drawn))[whole]
    assert whole.sum() > 500
    assert (down[whole] - 40 * side).abs().max() <= 1
    assert (across[whole] - 60 * side).abs().max() <= 1
    assert (found.extra["share"] + 1e-6 >= torch.from_numpy(drawn)).all()  # what is cut off is the row's own again


def test_cutmix_leaves_pictures_whole_where_one_is_missing():
    x = sample(PIXELS, ROWS)
    x.observed[:] = torch.arange(ROWS) % 3 > 0
    found = mixed(CutMix({"x": PIXELS}), Batch(ROWS, {"x": x}, {}))
    both = x.observed & x.observed[partners()]
    assert torch.equal(found.inputs["x"].data[~both], x.data[~both])
    assert (found.extra["share"][~both] == 1).all()
    assert (found.extra["share"][both] < 1).any()
    assert torch.equal(found.inputs["x"].observed, x.observed)


def test_two_pictures_share_the_place_and_the_mean_of_the_areas():
    small = Spec("pixels", (9, 12), size=1)
    inputs = {"a": sample(PIXELS, ROWS, gaps=False), "b": Value(sample(PIXELS, ROWS).data[..., :1])}
    inputs["b"].observed = torch.zeros(ROWS, dtype=torch.bool)
    found = mixed(CutMix({"a": PIXELS, "b": small}), Batch(ROWS, inputs, {}))
    alone = mixed(CutMix({"a": PIXELS}), Batch(ROWS, {"a": inputs["a"]}, {}))
    assert torch.equal(found.inputs["a"].data, alone.inputs["a"].data)
    torch.testing.assert_close(found.extra["share"], (1 + alone.extra["share"]) / 2)


def test_each_targets_loss_counts_with_its_own_rows_weight():
    weight = torch.rand(ROWS)
    weight[::4] = 0
    batch = Batch(ROWS, {"x": sample(SCALAR, ROWS)}, {}, weight)
    found = mixed(Mixup({"x": SCALAR}, alpha=1.0), batch)
    plain = mixed(Mixup({"x": SCALAR}, alpha=1.0), Batch(ROWS, batch.inputs, {})).extra["share"]
    share, total = found.extra["share"], found.weight
    torch.testing.assert_close(total * share, plain * weight)
    torch.testing.assert_close(total * (1 - share), (1 - plain) * weight[partners()], rtol=1e-4, atol=1e-6)
    assert share.isfinite().all()
    nothing = mixed(Mixup({"x": SCALAR}), Batch(ROWS, batch.inputs, {}, torch.zeros(ROWS)))
    assert (nothing.weight == 0).all()
    assert nothing.extra["share"].isfinite().all()


def source(seed=0, mix=None) -> Rows:
    numbers = Encoded(np.arange(60, dtype=np.float32).reshape(30, 2), np.ones(30, bool))
    order = Order(30, 8, 0)
    stores = {"x": Store(numbers, SCALAR)}
    return Rows(30, stores, dict(stores), order, order.steps, mix=mix, seed=seed)


def test_batches_are_mixed_after_their_number():
    one, other = (source(mix=Mixup({"x": SCALAR}, alpha=1.0)) for _ in "ab")
    in_turn = [one.batch(step) for step in range(6)]
    for step in (5, 2, 2, 0):
        alone, made = other.batch(step), in_turn[step]
        assert torch.equal(alone.inputs["x"].data, made.inputs["x"].data)
        assert torch.equal(alone.extra["share"], made.extra["share"])
        assert torch.equal(alone.mixed["x"].data, made.mixed["x"].data)
        assert torch.equal(alone.targets["x"].data, source().batch(step).targets["x"].data)
    assert not torch.equal(source(1, Mixup({"x": SCALAR})).batch(0).extra["share"], in_turn[0].extra["share"])


def test_a_batch_of_one_row():
    batch = Batch(1, {"x": sample(SCALAR, 1, gaps=False)}, {"y": Value(torch.tensor([2]))})
    found = mixed(Mixup({"x": SCALAR}), batch)
    torch.testing.assert_close(found.inputs["x"].data, batch.inputs["x"].data)
    assert torch.equal(found.mixed["y"].data, batch.targets["y"].data)


def test_serve_what_they_can():
    both, table = Spec("row", parts=(PIXELS, SCALAR)), Spec("row", parts=(SCALAR, SMALL))
    assert Mixup.suits(table, Facts(rows=1))[0] > 0
    assert CutMix.suits(both, Facts(rows=1))[0] > 0
    score, reason = CutMix.suits(table, Facts(rows=1))
    assert score == 0
    assert "pictures" in reason
    for kind, specs, options in (
        (CutMix, {"x": SCALAR}, {}),
        (Mixup, {"x": SCALAR}, {"alpha": 0.0}),
        (Mixup, {"x": SCALAR}, {"chance": 1.5}),
        (CutMix, {"x": PIXELS}, {"alpha": -1.0}),
    ):
        with pytest.raises(PlanError, match=r"expected|needs"):
            kind(specs, **options)
