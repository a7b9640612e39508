"""Windows over texts: every token once an epoch, pure functions of (seed, step), rows told."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ranvier.columns.text import END, START
from ranvier.core.spec import Encoded
from ranvier.feed.packed import Packed

LENGTHS = [3, 0, 11, 1, 0, 7, 5]


def encoded(observed=None):
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    data = np.arange(4, 4 + offsets[-1]).astype(np.uint16)
    return Encoded(data, np.ones(len(LENGTHS), bool) if observed is None else observed, offsets)


def source(window=6, batch=2, shuffle=True, **given):
    return Packed("text", encoded(**given), window, batch, 0, shuffle=shuffle)


def pairs(packed, epoch):
    """(before, token) of every token to be foreseen in an epoch."""
    found = []
    for step in range(epoch * packed.steps, (epoch + 1) * packed.steps):
        value = packed.batch(step).targets["text"]
        for row, mask in zip(value.data.tolist(), value.mask.tolist(), strict=True):
            real = [token for token, there in zip(row, mask, strict=True) if there]
            assert mask == sorted(mask, reverse=True)  # padding stands after
            found += pairwise(real)
    return sorted(found)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("window", [1, 4, 6, 100])
def test_every_token_is_to_be_foreseen_once_an_epoch(window, shuffle):
    packed = source(window, shuffle=shuffle)
    stream = packed.stream.tolist()
    assert stream.count(START) == stream.count(END) == len(LENGTHS)
    for epoch in range(3):
        assert pairs(packed, epoch) == sorted(pairwise(stream))


def test_epochs_differ_and_batches_are_pure():
    one, two = source(), source()
    forward = [one.batch(k).targets["text"].data.tolist() for k in range(2 * one.steps)]
    backward = [two.batch(k).targets["text"].data.tolist() for k in reversed(range(2 * two.steps))]
    assert forward == backward[::-1]
    assert forward[: one.steps] != forward[one.steps :]


def test_tokens_know_their_row_and_missing_texts_are_left_out():
    observed = np.array([True, True, False, True, True, True, True])
    packed = source(observed=observed, shuffle=False)
    counts = np.bincount(packed.rows, minlength=len(LENGTHS))
    assert counts.tolist() == [length + 2 if there else 0 for length, there in zip(LENGTHS, observed, strict=True)]
    places, there = packed.places(0)
    assert (packed.rows[places[there]] >= 0).all()


def test_no_texts_at_all():
    packed = source(observed=np.zeros(len(LENGTHS), bool))
    assert not packed.batch(0).targets["text"].mask.any()
