"""Batches from encoded columns: gathers, padding, missing targets, and purity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.columns.text import END, START
from ranvier.core.protocols import Value
from ranvier.core.room import room
from ranvier.core.spec import Encoded, Spec
from ranvier.feed.rows import Rows
from ranvier.feed.store import Store, join
from ranvier.train.sources import Order


def ragged(lengths, dtype=np.uint16) -> Encoded:
    """Row i holds i * 100 + 1, + 2 ..."""
    data = np.concatenate([100 * i + 1 + np.arange(n) for i, n in enumerate(lengths)]).astype(dtype)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    spans = np.stack([np.arange(len(data)), np.arange(len(data)) + 1], 1).astype(np.int32)
    return Encoded(data, np.ones(len(lengths), bool), offsets, spans)


TEXT = Spec("tokens", (None,), 1000, "char")


def test_ragged_rows_are_padded_to_the_longest_of_the_batch():
    store = Store(ragged([3, 0, 1, 5]), TEXT)
    value = store.rows(torch.tensor([2, 0, 1]))
    assert value.data.tolist() == [[201, 0, 0], [1, 2, 3], [0, 0, 0]]
    assert value.mask.tolist() == [[True, False, False], [True] * 3, [False] * 3]
    assert value.data.dtype == torch.int64
    assert value.observed is None
    assert value.spans[0].tolist() == [[3, 4], [0, 0], [0, 0]]
    assert store.rows(torch.tensor([3])).data.shape == (1, 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_any_integer_type_arrives_whole(dtype):
    encoded = Encoded(np.array([0, 200, 17], dtype), np.ones(3, bool))
    assert Store(encoded, Spec("index", (), 300)).rows(torch.tensor([1, 2])).data.tolist() == [200, 17]
    big = Encoded(np.array([60_000], np.uint16), np.ones(1, bool))
    assert Store(big, Spec("index", (), 70_000)).rows(torch.tensor([0])).data.tolist() == [60_000]


def test_rows_that_are_all_empty():
    value = Store(ragged([0, 0]), TEXT).rows(torch.tensor([0, 1]))
    assert value.data.shape == (2, 0)
    assert value.mask.shape == (2, 0)
    nothing = Store(ragged([0, 0]), TEXT).rows(torch.tensor([], dtype=torch.long))
    assert nothing.data.shape[0] == 0


def test_texts_that_are_targets_stand_between_start_and_end():
    value = Store(ragged([2, 0, 1]), TEXT, target=True).rows(torch.tensor([2, 0, 1]))
    assert value.data.tolist() == [[START, 201, END, 0], [START, 1, 2, END], [START, END, 0, 0]]
    assert value.mask.sum(1).tolist() == [3, 4, 2]
    assert value.spans is None


def test_an_unseen_class_is_a_missing_target_but_an_input_like_any_other():
    encoded = Encoded(np.array([0, 2, 1], np.int32), np.array([True, True, False]))
    target = Store(encoded, Spec("index", (), 2), target=True).rows(torch.arange(3))
    assert target.observed.tolist() == [True, False, False]
    known = Store(encoded, Spec("index", (), 2)).rows(torch.arange(3))
    assert known.observed.tolist() == [True, True, False]


def test_pixels_and_sets_stay_bytes():
    pixels = Encoded(np.zeros((2, 3, 3, 1), np.uint8), np.ones(2, bool))
    assert Store(pixels, Spec("pixels", (3, 3, 1), 1)).rows(torch.tensor([0])).data.dtype == torch.uint8
    marks = Encoded(np.zeros((2, 4), np.uint8), np.ones(2, bool))
    assert Store(marks, Spec("khot", (4,), 4)).rows(torch.tensor([0])).data.dtype == torch.uint8


def test_columns_side_by_side():
    one = Encoded(np.array([[1.0, 0.1], [2.0, 0.2]], np.float32), np.array([True, False]))
    two = Encoded(np.array([[3.0, 0.3], [4.0, 0.4]], np.float32), np.array([True, True]))
    both = join([one, two])
    assert both.data.shape == (2, 2, 2)
    value = Store(both, Spec("scalar", (2,), parts=(Spec("scalar", (2,)),) * 2)).rows(torch.tensor([1]))
    assert value.data[0, :, 0].tolist() == [2.0, 4.0]
    assert value.observed.tolist() == [[False, True]]


def made(seed=0, device=None) -> Rows:
    numbers = Encoded(np.arange(20, dtype=np.float32).reshape(10, 2), np.ones(10, bool))
    spec = Spec("scalar", (2,))

    def noise(value: Value, generator: torch.Generator) -> Value:
        return Value(value.data + torch.rand(value.data.shape, generator=generator))

    order = Order(10, 4, seed)
    stores = {"x": Store(numbers, spec)}
    weight = np.arange(10.0)
    return Rows(10, stores, dict(stores), order, order.steps, weight=weight, augment={"x": noise}, seed=seed)


def test_a_batch_is_a_pure_function_of_seed_and_number():
    one, other = made(), made()
    for step in (5, 0, 3, 5):
        torch.manual_seed(step)
        a, b = one.batch(step), other.batch(step)
        assert torch.equal(a.inputs["x"].data, b.inputs["x"].data)
        assert torch.equal(a.targets["x"].data, b.targets["x"].data)
    assert not torch.equal(one.batch(5).inputs["x"].data, one.batch(8).inputs["x"].data)
    assert one.state() == {}
    assert one.exact


def test_augmentation_changes_inputs_and_never_targets():
    batch = made().batch(0)
    assert torch.equal(batch.targets["x"].data, batch.targets["x"].data.round())
    assert not torch.equal(batch.inputs["x"].data, batch.targets["x"].data)
    assert (batch.inputs["x"].data - batch.targets["x"].data).abs().max() < 1
    assert torch.equal(batch.weight * 2, batch.targets["x"].data[:, 0])


def test_every_row_comes_once_an_epoch():
    source = made()
    for epoch in range(3):
        batches = [source.batch(epoch * source.steps + k) for k in range(source.steps)]
        rows = torch.cat([b.weight for b in batches])
        assert sorted(rows.tolist()) == list(range(10))
        assert max(b.size for b in batches) - min(b.size for b in batches) <= 1


def test_rows_that_are_alike_come_together_and_each_once():
    code = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 7))
    order = Order(210, 20, 3, alike=code)
    batches = [order(k) for k in range(order.steps)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(210))
    lone = [np.mean([(code[b] == code[row]).sum() < 2 for row in b]) for b in batches]
    assert np.mean(lone) < 0.2  # by chance two thirds of the rows would be without a mate
    again = Order(210, 20, 3, alike=code)
    assert all((again(k) == batch).all() for k, batch in enumerate(batches))
    assert (order(order.steps) != batches[0]).any()


def test_rows_on_disk_are_as_those_in_memory(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 5, 6, 3), dtype=np.uint8)
    monkeypatch.setattr("ranvier.core.room.SHARE", 0.0)
    kept, _ = room(pixels.shape, np.uint8, "x")
    kept[:] = pixels
    spec, observed = Spec("pixels", (5, 6), 3), np.arange(40) % 7 > 0
    inside, outside = (Store(Encoded(data, observed), spec) for data in (pixels, kept))
    index = torch.tensor([3, 39, 3, 0])
    assert torch.equal(inside.rows(index).data, outside.rows(index).data)
    assert torch.equal(inside.rows(index).observed, outside.rows(index).observed)
    assert outside.rows(index).data.dtype == torch.uint8
