from __future__ import annotations

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import options_of
from ranvier.core.spec import Spec
from ranvier.feed.augment import ImageAugment

SPEC = Spec("pixels", (10, 12), size=3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(rows=64, channels=3):
    return torch.randint(0, 256, (rows, 10, 12, channels), dtype=torch.uint8, generator=generator(9))


def test_is_a_pure_function_of_its_generator_and_leaves_its_input():
    x = pictures()
    before = x.clone()
    augment = ImageAugment(SPEC, flip=True, shift=2, erase=0.5)
    first, again, other = (augment(Value(x), generator(seed)).data for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(x, before)
    assert first.dtype == torch.uint8
    assert first.shape == x.shape


def test_every_picture_is_a_shift_of_itself_or_its_mirror_image():
    x = pictures()
    found = ImageAugment(SPEC, flip=True, shift=1)(Value(x), generator()).data
    seen = set()
    for row in range(len(x)):
        matches = []
        for mirrored in (False, True):
            source = x[row].flip(1) if mirrored else x[row]
            padded = torch.nn.functional.pad(source.permute(2, 0, 1).float()[None], (1,) * 4, mode="replicate")
            for down in (0, 1, 2):
                for right in (0, 1, 2):
                    moved = padded[0, :, down : down + 10, right : right + 12].permute(1, 2, 0).to(torch.uint8)
                    if torch.equal(moved, found[row]):
                        matches.append((mirrored, down, right))
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) > 12  # of 18


def test_erasing_fills_one_box_with_the_mean():
    x = pictures(channels=1)
    found = ImageAugment(SPEC, flip=False, shift=0, erase=1.0)(Value(x), generator()).data
    for before, after in zip(x[..., 0], found[..., 0], strict=True):
        mean = int(before.float().mean())
        changed = (before != after).nonzero()
        assert len(changed)
        low, high = changed.min(0).values, changed.max(0).values + 1
        assert (after[low[0] : high[0], low[1] : high[1]] == mean).all()
        assert (high - low <= torch.tensor([5, 6])).all()
    half = ImageAugment(SPEC, flip=False, shift=0, erase=0.5)(Value(x), generator()).data
    assert 16 < (half != x).flatten(1).any(1).sum() < 48


def test_all_off_changes_nothing_and_observed_is_kept():
    x, observed = pictures(4), torch.tensor([True, False, True, True])
    value = ImageAugment(SPEC, flip=False, shift=0)(Value(x, observed=observed), generator())
    assert torch.equal(value.data, x)
    assert value.observed is observed


def test_auto_is_what_choose_says():
    assert ImageAugment.suits(SPEC, Facts(rows=1))[0] > 0.5
    assert ImageAugment.suits(Spec("tokens"), Facts(rows=1))[0] == 0
    assert set(options_of(ImageAugment)) == {"flip", "shift", "erase"}
    augment = ImageAugment(Spec("pixels", (28, 28), size=1))
    chosen = ImageAugment.choose(Spec("pixels", (28, 28), size=1), Facts(rows=100))
    assert (augment.flip, augment.shift) == (chosen["flip"][0], chosen["shift"][0]) == (False, 1)


@pytest.mark.parametrize(("spec", "options"), [(Spec("tokens"), {}), (SPEC, {"erase": 1.5}), (SPEC, {"shift": -1})])
def test_refuses_what_makes_no_sense(spec, options):
    with pytest.raises(PlanError, match=r"expected|kind"):
        ImageAugment(spec, **options)
