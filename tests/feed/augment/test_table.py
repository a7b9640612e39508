"""Noise on numbers and values swapped between rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from descriptors import CATEGORIES, NUMBERS, SCALAR, SETS, SMALL, TEXT, VECTORS, sample

from ranvier.columns.number import Number
from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.spec import Spec
from ranvier.feed.augment.joined import Joined
from ranvier.feed.augment.table import GaussianNoise, SwapNoise

ROWS = 4000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("spec", [SCALAR, NUMBERS, VECTORS])
def test_noise_has_the_deviation_asked_for_and_leaves_missing_values(spec):
    value = sample(spec, ROWS)
    value.observed[::3] = False
    found = GaussianNoise(spec, std=0.3)(value, generator()).data - value.data
    noise = found[..., 0] if spec.kind == "scalar" else found
    assert (noise[~value.observed] == 0).all()
    drawn = noise[value.observed]
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 0.3) < 0.02
    if spec.kind == "scalar":
        assert (found[..., 1] == 0).all()  # the column is not known, so the rank stays
    assert len(drawn.unique()) > 0.9 * drawn.numel()


def test_what_is_missing_may_hold_anything():
    value = sample(VECTORS, 4)
    value.data[1] = float("nan")
    found = GaussianNoise(VECTORS)(value, generator()).data
    assert found[1].isnan().all()
    assert found[[0, 2, 3]].isfinite().all()


random = np.random.default_rng(0)
COLUMNS = {
    "normal": random.normal(3, 2, 2000),
    "skewed": random.lognormal(0, 2, 2000),
    "few": random.integers(0, 5, 2000).astype(float),
    "outlier": np.append(random.normal(size=1999), 1e6),
    "constant": np.full(2000, 7.0),
}


def learnt(names) -> list[Number]:
    columns = [Number(name) for name in names]
    for column in columns:
        column.learn([pl.Series(column.name, COLUMNS[column.name])])
    return columns


@pytest.mark.parametrize("name", COLUMNS)
def test_the_rank_is_that_of_the_value_moved(name):
    (column,) = learnt([name])
    x = torch.from_numpy(column.encode(pl.Series(COLUMNS[name])).data)
    found = GaussianNoise(SCALAR, [column], std=0.2)(Value(x), generator()).data
    raw = column.unscale(found[:, 0].double().numpy())
    wanted = torch.from_numpy(column.encode(pl.Series(raw)).data)
    near = x[:, 0].abs() < 7  # inside the table
    assert (found[near, 1] - wanted[near, 1]).abs().max() < 0.02
    assert ((found[:, 1] >= 0) & (found[:, 1] <= 1)).all()
    if name != "constant":
        assert (found[:, 1] - x[:, 1]).abs().max() > 0.03
    still = GaussianNoise(SCALAR, [column], std=0.0)(Value(x), generator()).data
    assert torch.equal(still, x)


def test_joined_columns_have_ranks_of_their_own():
    columns = learnt(["normal", "skewed", "few"])
    x = torch.stack([torch.from_numpy(c.encode(pl.Series(COLUMNS[c.name])).data) for c in columns], 1)
    found = GaussianNoise(NUMBERS, columns, std=0.2)(Value(x), generator()).data
    for place, column in enumerate(columns):
        raw = column.unscale(found[:, place, 0].double().numpy())
        wanted = torch.from_numpy(column.encode(pl.Series(raw)).data)
        near = x[:, place, 0].abs() < 7
        assert (found[near, place] - wanted[near]).abs().max() < 0.02
        assert not torch.equal(found[:, place], x[:, place])


@pytest.mark.parametrize("spec", [SMALL, CATEGORIES, SCALAR, NUMBERS, VECTORS, SETS])
def test_swapped_values_are_those_of_other_rows(spec):
    value = sample(spec, ROWS)
    value.observed[::3] = False
    if spec.kind != "khot":  # so that every value tells whose it is
        row = torch.arange(ROWS, dtype=value.data.dtype).view(-1, *[1] * (value.data.ndim - 1))
        value.data[:] = row
    found = SwapNoise(spec, chance=0.25)(value, generator()).data
    seen = value.observed.view(*value.observed.shape, *[1] * (value.data.ndim - value.observed.ndim))
    seen = seen.expand(value.data.shape)
    assert torch.equal(found[~seen], value.data[~seen])
    if spec.kind == "khot":
        assert (found != value.data).any()
        return
    swapped = (found != value.data)[seen]
    assert abs(swapped.float().mean() - 0.25 * 2 / 3) < 0.03  # a third of the partners is missing
    if spec.kind == "scalar":
        assert torch.equal(found[..., 0], found[..., 1])  # value and rank together
    for column in range(value.data[0].numel() if spec.kind != "scalar" else 1):
        donors = found.reshape(ROWS, -1)[:, column][(found != value.data).reshape(ROWS, -1)[:, column]].long()
        donor_seen = value.observed.reshape(ROWS, -1)[:, column if value.observed.ndim > 1 else 0]
        assert donor_seen[donors].all()


def test_swapping_keeps_a_columns_distribution():
    value = Value(torch.arange(20_000).remainder(4).clamp(max=2))
    found = SwapNoise(SMALL, chance=1.0)(value, generator()).data
    assert (torch.bincount(found) / 20_000 - torch.tensor([0.25, 0.25, 0.5])).abs().max() < 0.02
    one = Value(torch.tensor([3]))
    assert SwapNoise(SMALL, chance=1.0)(one, generator()) is one
    two = SwapNoise(SMALL, chance=1.0)(Value(torch.tensor([3, 1])), generator()).data
    assert two.tolist() == [1, 3]  # always another row


def test_some_of_the_joined_columns():
    value = sample(NUMBERS, 200)
    noise, swap = GaussianNoise(Spec("scalar", (2,), parts=(SCALAR,))), SwapNoise(SCALAR, chance=1.0)
    found = Joined([([2], noise), ([0], swap)])(value, generator())
    assert found.observed is value.observed
    assert torch.equal(found.data[:, 1], value.data[:, 1])
    draws = generator()
    some = Value(value.data[:, [2]], observed=value.observed[:, [2]])
    assert torch.equal(found.data[:, [2]], noise(some, draws).data)
    alone = Value(value.data[:, [0]], observed=value.observed[:, [0]])
    assert torch.equal(found.data[:, [0]], swap(alone, draws).data)
    assert not torch.equal(found.data[:, 0], value.data[:, 0])


def test_serve_what_they_can():
    for part, able in ((GaussianNoise, {"scalar", "vector"}), (SwapNoise, {"scalar", "vector", "index", "khot"})):
        for spec in (SCALAR, VECTORS, SMALL, SETS, TEXT):
            score, reason = part.suits(spec, Facts(rows=1))
            assert 0 <= score < 0.5  # never chosen by itself
            assert (score > 0) == (spec.kind in able)
            assert reason
    for part, spec, options in (
        (GaussianNoise, SMALL, {}),
        (GaussianNoise, SCALAR, {"std": -0.1}),
        (SwapNoise, TEXT, {}),
        (SwapNoise, SMALL, {"chance": 2.0}),
    ):
        with pytest.raises(PlanError, match=r"expected|kind"):
            part(spec, **options)
