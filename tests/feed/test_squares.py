"""Hidden squares of pictures: how many, which, and what stands in their place."""

from __future__ import annotations

import pytest
import torch

from ranvier.core.protocols import Batch, Value
from ranvier.feed.hide import Hide

B, SIDE = 6, 3


def batch(rows: int = B, seed: int = 0) -> Batch:
    data = torch.randint(256, (rows, 9, 12, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Batch(rows, {"picture": Value(data, observed=torch.arange(rows) != 1)})


def hide(seed: int | None, share: float = 0.5) -> Hide:
    return Hide({"picture": share}, {}, seed, {"picture": SIDE})


@pytest.mark.parametrize("seed", [0, None])
def test_a_share_of_the_squares_is_covered_and_the_target_is_the_picture(seed):
    clean = batch()
    made = hide(seed)(clean, 3)
    shown, y = made.inputs["picture"], made.targets["picture"]
    assert torch.equal(y.data, batch().inputs["picture"].data)
    assert y.mask.flatten(1).sum(1).tolist() == [6 * SIDE**2] * B  # of 12
    squares = y.mask.unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE).flatten(3).float().mean(3)
    assert set(squares.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(shown.data[~y.mask], y.data[~y.mask])
    left = y.data[0][~y.mask[0]].float().mean(0).round()
    assert (shown.data[0][y.mask[0]] == left).all()
    assert shown.observed is clean.inputs["picture"].observed
    assert torch.equal(y.observed, shown.observed)


def test_each_step_hides_others_and_is_a_function_of_its_number():
    one, again, other = (hide(0)(batch(), step).targets["picture"].mask for step in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_without_a_seed_each_picture_says_which_whatever_stands_beside_it():
    whole = hide(None)(batch(), 0).targets["picture"].mask
    alone = hide(None)(batch().map(lambda t: t[2:3], 1), 9).targets["picture"].mask
    assert torch.equal(whole[2:3], alone)
    places = hide(None)(batch(400), 0).targets["picture"].mask.float().mean(0)
    assert 0.4 < places.min() < places.max() < 0.6


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_something_is_hidden_and_something_left(share):
    mask = hide(0, share)(batch(), 0).targets["picture"].mask.flatten(1)
    assert mask.any(1).all()
    assert not mask.all(1).any()
