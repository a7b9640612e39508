"""Whose every weight is 0 is not read: whatever joins the inputs, and on real rows with columns of pure noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from descriptors import CATEGORIES, ENCODERS, NUMBERS, sample

from ranvier import fit
from ranvier import plan as make_plan
from ranvier.core.registry import lookup
from ranvier.core.spec import Spec
from ranvier.encoders.category import CategoryEncoder
from ranvier.encoders.fuse import Concat, MLPFuse, TabMFuse
from ranvier.encoders.number import NumberEncoder
from ranvier.heads.category import CategoryHead
from ranvier.heads.number import NumberHead
from ranvier.tasks.columns import ColumnsTask
from ranvier.tasks.selection import columns_read, selection

VECTOR = frozenset({"vector"})
GROUPS = {"[number]": ["a", "b", "c"], "[category]": ["d", "e", "f"]}


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_element_has_an_owner(kind):
    for spec in ENCODERS[kind].specs:
        encoder = lookup("encoder", kind)(spec, **ENCODERS[kind].options)
        owners = encoder.owners()
        assert len(owners) == encoder.width
        assert set(owners) == set(range(len(spec.parts) or 1))


@pytest.mark.parametrize(
    "encoder",
    [
        NumberEncoder(NUMBERS, embedding="none"),
        NumberEncoder(NUMBERS, embedding="piecewise", embedding_width=3),
        CategoryEncoder(CATEGORIES, unseen=0.0),
        CategoryEncoder(CATEGORIES, unseen=0.0, one_hot=3),
    ],
    ids=["numbers", "embedded numbers", "both forms", "embedded categories"],
)
def test_a_column_changes_only_the_elements_it_owns(encoder):
    spec = NUMBERS if isinstance(encoder, NumberEncoder) else CATEGORIES
    value, other = sample(spec, 64, gaps=False), sample(spec, 64, gaps=False)
    before, owners = encoder(value, VECTOR).vector, torch.tensor(encoder.owners())
    for column in range(len(spec.parts)):
        data = value.data.clone()
        data[:, column] = other.data[:, column]
        changed = (encoder(replace(value, data=data), VECTOR).vector != before).any(0)
        assert changed.any()
        assert set(owners[changed].tolist()) == {column}


def task(fuse=Concat, **options):
    torch.manual_seed(0)
    encoders = {"[number]": NumberEncoder(NUMBERS, embedding="none"), "[category]": CategoryEncoder(CATEGORIES)}
    joined = fuse({name: encoder.width for name, encoder in encoders.items()}, **options)
    heads = {
        "y": CategoryHead(Spec("index", (), 3), joined.width),
        "z": NumberHead(Spec("scalar"), joined.width),
    }
    return ColumnsTask(encoders, joined, heads, dict.fromkeys(heads, 1.0))


def elements(made, column):
    """Where a column's elements stand in the joined vector."""
    found, start = [], 0
    for name, encoder in zip(made.inputs, made.encoders, strict=True):
        found += [start + i for i, owner in enumerate(encoder.owners()) if GROUPS[name][owner] == column]
        start += encoder.width
    return found


def cut(weight, places):
    with torch.no_grad():
        weight[:, places] = 0.0


def test_a_linear_model():
    made = task()
    assert set(columns_read(made, GROUPS)) == set("abcdef")
    assert all(columns_read(made, GROUPS).values())
    cut(made.heads[0].out.linear.weight, elements(made, "b"))
    assert columns_read(made, GROUPS)["b"]  # the other target still reads it
    cut(made.heads[1].out.linear.weight, [*elements(made, "b"), *elements(made, "e")[:-1]])
    cut(made.heads[0].out.linear.weight, elements(made, "e")[:-1])
    assert [name for name, read in columns_read(made, GROUPS).items() if not read] == ["b"]  # e keeps one weight
    assert selection([made], GROUPS) == ["L1 left 5 of 6 inputs: a, c, d, e, f"]
    assert selection([made, task()], GROUPS) == ["L1 left 6 of 6 inputs: a, b, c, d, e, f"]


def test_a_first_layer():
    made = task(MLPFuse, layer_width=16)
    first = next(m for m in made.fuse.modules() if isinstance(m, torch.nn.Linear))
    cut(first.weight, [*elements(made, "a"), *elements(made, "f")])
    assert [name for name, read in columns_read(made, GROUPS).items() if not read] == ["a", "f"]


def test_a_path_around_the_layers_counts():
    made = task(TabMFuse, layer_width=16, members=4, skip=True)
    places = elements(made, "d")
    cut(made.fuse.net.layers[0].weight, places)
    assert columns_read(made, GROUPS)["d"]
    for head in made.heads:
        cut(head.out.linear.weight, [16 + place for place in places])
    assert [name for name, read in columns_read(made, GROUPS).items() if not read] == ["d"]


def test_nothing_is_left_changed_and_nothing_said_without_vectors():
    made = task(MLPFuse, layer_width=16, dropout=0.5).train()
    before, state = torch.get_rng_state(), {k: v.clone() for k, v in made.state_dict().items()}
    assert columns_read(made, GROUPS) == columns_read(made, GROUPS)
    assert torch.equal(torch.get_rng_state(), before)
    assert made.training
    assert all(p.grad is None for p in made.parameters())
    assert all(torch.equal(v, state[k]) for k, v in made.state_dict().items())
    made.needs = frozenset({"tokens"})
    assert columns_read(made, GROUPS) == {}
    assert selection([made], GROUPS) == []


def test_many_names_are_cut_short():
    parts = Spec("scalar", (2,), parts=(Spec("scalar", (2,)),) * 25)
    encoder = NumberEncoder(parts, embedding="none")
    made = ColumnsTask({"x": encoder}, Concat({"x": 25}), {"y": NumberHead(Spec("scalar"), 25)}, {"y": 1.0})
    (said,) = selection([made], {"x": [f"c{i}" for i in range(25)]})
    assert said.endswith("c18, c19 and 5 more")


def linear(train, test, target, figure, columns, rate, l1):
    """A linear model by gradient descent over all rows: (its figure on the test rows, the columns it reads)."""
    plan = make_plan(train, target=target, inputs=columns)
    plan.fuse = "concat"
    settings = {"optimizer": "gd", "rate": rate, "l1": l1, "epochs": 600.0, "decay": 0.0, "keep": "last"}
    for key, value in {**settings, "refit": False, "average": 0.0}.items():
        setattr(plan.train, key, value)
    model = fit(plan, progress=False)
    (network,) = model.networks
    read = columns_read(network.task, network.layout.groups)
    return model.evaluate(test, show=False)[figure], [column for column, is_read in read.items() if is_read]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "figure", "rate", "l1"),
    [("cancer", "label", "accuracy", 0.2, 0.02), ("diabetes", "progression", "r2", 0.05, 0.2)],
)
def test_noise_is_dropped_and_the_quality_stays(real_data: Path, name, target, figure, rate, l1):
    """Twenty columns of noise beside 30 and 10 real ones. L1 also shrinks what it keeps, so that the fair comparison is
    that of linear models without it, of all columns and of those that it has left."""
    random = np.random.default_rng(0)
    table = pl.read_parquet(real_data / f"{name}.parquet")
    noise = {f"noise_{i}": random.normal(size=table.height) for i in range(20)}
    table = table.with_columns(**{n: pl.Series(n, values) for n, values in noise.items()})
    order = random.permutation(table.height)
    train, test = table[order[: 3 * table.height // 4]], table[order[3 * table.height // 4 :]]
    columns = [column for column in table.columns if column != target]
    before, read = linear(train, test, target, figure, columns, rate, 0.0)
    assert set(read) == set(columns)
    shrunk, left = linear(train, test, target, figure, columns, rate, l1)
    assert not set(left) & set(noise)
    assert 4 <= len(left) < 20
    assert shrunk > before - 0.05
    after, _ = linear(train, test, target, figure, left, rate, 0.0)
    assert after > before - 0.02  # of 143 and 111 test rows
