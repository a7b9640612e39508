"""Pictures moved, cropped, turned, coloured and covered, against plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import options_of
from ranvier.core.spec import Spec
from ranvier.feed.augment.image import GREY, STRETCH, ImageAugment

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
    geometry, colour = {"flip", "shift", "crop", "rotate"}, {"brightness", "contrast", "saturation"}
    assert set(options_of(ImageAugment)) == geometry | colour | {"noise", "erase", "cutout", "tta"}
    augment = ImageAugment(Spec("pixels", (28, 28), size=1))
    chosen = ImageAugment.choose(Spec("pixels", (28, 28), size=1), Facts(rows=100))
    assert (augment.flip, augment.shift) == (chosen["flip"][0], chosen["shift"][0]) == (False, 1)


def bilinear(picture: np.ndarray, row: float, column: float) -> np.ndarray:
    """The picture (H, W, C) at a place between pixel centres, its edge repeated."""
    height, width = picture.shape[:2]
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    top, left = int(row), int(column)
    low, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, h = row - top, column - left
    above = (1 - h) * picture[top, left] + h * picture[top, right]
    return (1 - v) * above + v * ((1 - h) * picture[low, left] + h * picture[low, right])


def warped(x: torch.Tensor, seed: int, *, flip: bool, shift: int, crop: float, rotate: float) -> np.ndarray:
    """What crops and turns should give, pixel by pixel in float64, from the same draws."""
    draws, (size, height, width, _) = generator(seed), x.shape
    u = torch.rand((6, size), generator=draws).double().numpy()
    down, right = (torch.randint(-shift, shift + 1, (size, 1), generator=draws)[:, 0].numpy() for _ in "yx")
    out = np.empty(x.shape)
    for b in range(size):
        area = crop + (1 - crop) * u[0, b]
        stretch = STRETCH ** (2 * u[1, b] - 1) if crop < 1 else 1.0
        tall, wide = min(1.0, math.sqrt(area / stretch)), min(1.0, math.sqrt(area * stretch))
        y0 = height / 2 + (2 * u[2, b] - 1) * (1 - tall) * height / 2 + down[b]
        x0 = width / 2 + (2 * u[3, b] - 1) * (1 - wide) * width / 2 + right[b]
        angle = (2 * u[4, b] - 1) * math.radians(rotate)
        for i in range(height):
            for j in range(width):
                across, along = (j + 0.5 - width / 2) * wide, (i + 0.5 - height / 2) * tall
                if flip and u[5, b] < 0.5:
                    across = -across
                column = x0 + math.cos(angle) * across - math.sin(angle) * along - 0.5
                row = y0 + math.sin(angle) * across + math.cos(angle) * along - 0.5
                out[b, i, j] = bilinear(x[b].numpy().astype(float), row, column)
    return out


@pytest.mark.parametrize(
    "options",
    [
        {"flip": False, "shift": 0, "crop": 0.3, "rotate": 0.0},
        {"flip": False, "shift": 0, "crop": 1.0, "rotate": 180.0},
        {"flip": True, "shift": 2, "crop": 0.5, "rotate": 30.0},
    ],
)
def test_crops_and_turns_are_the_affine_maps_that_they_say(options):
    x = pictures(6)
    found = ImageAugment(SPEC, **options)(Value(x), generator(4)).data
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    wanted = warped(x, 4, **options)
    assert np.abs(found.numpy() - wanted).max() < 0.51  # rounding, and float32
    assert not torch.equal(found, x)


def test_a_turn_by_nothing_is_the_picture_itself():
    x = pictures(8)
    assert torch.equal(ImageAugment(SPEC, flip=False, shift=0, rotate=1e-6)(Value(x), generator()).data, x)
    turned = ImageAugment(SPEC, flip=True, shift=0, rotate=1e-6)(Value(x), generator()).data
    mirrored = (turned == x.flip(2)).flatten(1).all(1)
    assert (mirrored | (turned == x).flatten(1).all(1)).all()
    assert 0 < mirrored.sum() < 8


def test_colours_are_brightness_contrast_and_saturation_in_this_order():
    x, most = pictures(5), {"brightness": 0.4, "contrast": 0.7, "saturation": 0.9}
    found = ImageAugment(SPEC, flip=False, shift=0, **most)(Value(x), generator(3)).data.numpy()
    u = 2 * torch.rand((3, 5), generator=generator(3)).double().numpy() - 1
    for b in range(5):
        bright, contrast, saturation = (1 + u[i, b] * share for i, share in enumerate(most.values()))
        y = x[b].numpy() * bright
        mean = (y @ np.array(GREY)).mean()
        y = mean + contrast * (y - mean)
        grey = (y @ np.array(GREY))[..., None]
        y = grey + saturation * (y - grey)
        assert np.abs(found[b] - np.clip(y, 0, 255)).max() < 0.51
    one = pictures(5, channels=1)
    spec = Spec("pixels", (10, 12), size=1)
    found = ImageAugment(spec, flip=False, shift=0, contrast=1.0)(Value(one), generator(3)).data.numpy()
    for b in range(5):
        mean = one[b].numpy().mean()
        wanted = np.clip(mean + (1 + u[1, b]) * (one[b].numpy() - mean), 0, 255)
        assert np.abs(found[b] - wanted).max() < 0.51


def test_noise_has_the_deviation_asked_for():
    grey = Value(torch.full((20, 16, 16, 3), 128, dtype=torch.uint8))
    still = {"flip": False, "shift": 0}
    noisy = ImageAugment(SPEC, noise=0.1, **still)(grey, torch.Generator().manual_seed(0)).data.float()
    assert noisy.mean().item() == pytest.approx(128, abs=0.5)
    assert noisy.std().item() == pytest.approx(25.5, rel=0.03)
    with pytest.raises(PlanError, match="noise = 2"):
        ImageAugment(SPEC, noise=2.0)


def test_cutout_is_a_square_about_a_pixel_of_each_picture():
    x = pictures(200, channels=1)
    found = ImageAugment(SPEC, flip=False, shift=0, cutout=5)(Value(x), generator()).data
    sizes = set()
    for before, after in zip(x[..., 0], found[..., 0], strict=True):
        filled = (after == int(before.float().mean())) & (before != after)
        places = filled.nonzero()
        low, high = places.min(0).values, places.max(0).values + 1
        assert (after[low[0] : high[0], low[1] : high[1]] == int(before.float().mean())).all()
        assert torch.equal((before != after).nonzero(), places)
        sizes.add(tuple((high - low).tolist()))
    assert max(sizes) == (5, 5)
    assert {(3, 5), (5, 3), (3, 3)} <= sizes  # cut off at the edges, where the centre is a pixel there


def test_missing_pictures_stay_missing():
    x, observed = pictures(4), torch.tensor([True, False, True, True])
    x[1] = 0
    colours = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
    every = ImageAugment(SPEC, flip=True, shift=2, crop=0.5, rotate=20.0, erase=1.0, cutout=3, **colours)
    value = every(Value(x, observed=observed), generator())
    assert value.observed is observed
    assert not value.data[1].any()


REFUSED = [
    (Spec("tokens"), {}),
    (SPEC, {"erase": 1.5}),
    (SPEC, {"shift": -1}),
    (SPEC, {"crop": 0.0}),
    (SPEC, {"crop": 1.5}),
    (SPEC, {"rotate": -1.0}),
    (SPEC, {"cutout": -1}),
    (SPEC, {"contrast": 1.1}),
    (Spec("pixels", (10, 12), size=1), {"saturation": 0.1}),
]


@pytest.mark.parametrize(("spec", "options"), REFUSED)
def test_refuses_what_makes_no_sense(spec, options):
    with pytest.raises(PlanError, match=r"expected|kind"):
        ImageAugment(spec, **options)


def test_variants_are_the_picture_moved_and_mirrored():
    x = pictures(rows=3)
    padded = np.pad(x.numpy(), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    moved = [
        padded[:, down : down + 10, right : right + 12] for down, right in ((1, 1), (2, 1), (0, 1), (1, 2), (1, 0))
    ]
    observed = torch.tensor([True, False, True])
    for flip in (False, True):
        augment = ImageAugment(SPEC, flip=flip, shift=2, tta=True)
        seen = augment.variants(Value(x, observed=observed))
        expected = moved + [picture[:, :, ::-1] for picture in moved] * flip
        assert [v.data.tolist() for v in seen] == [picture.tolist() for picture in expected]
        assert all(v.observed is observed for v in seen)
    assert len(ImageAugment(SPEC, shift=0, tta=True).variants(Value(x))) == 1
    assert len(ImageAugment(SPEC, shift=2, tta=False).variants(Value(x))) == 1


def test_only_small_pictures_are_seen_several_times_by_default():
    facts = Facts(rows=100)
    assert [ImageAugment.choose(Spec("pixels", (64, n), size=1), facts)["tta"][0] for n in (64, 65)] == [True, False]
