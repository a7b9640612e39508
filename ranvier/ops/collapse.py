"""Whether draws vary as true rows do, and what is wrong with them if they do not, with the cures, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

TINY = 1e-12
TIE = 0.05  # of the mean distance: rows given that are nearer to one another than that by no more count as equally near
ALIKE = 0.3  # diversity below which draws are taken for collapsed
SURE = 10.0  # a margin by which the critic has no doubt
LOUD = 5.0  # times the size of true values at which draws are on their way to infinity
LEAST = 0.1  # what the size of true values, of which 1 is usual, counts as at least

CURES: Mapping[str, str] = {
    "diversity": "draws for the same given are much more alike than true rows are, which is called collapse: train "
    "longer, or with a larger penalty, or fewer widths",
    "margin": "the critic tells all drawn rows from true ones, and no longer teaches: a larger penalty holds it",
    "scale": "drawn values are far larger than true ones, so that training diverges: a smaller rate, or a larger "
    "penalty",
}


def apart(one: Float[Tensor, "b ..."], other: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """(B,) how far rows are apart: root of the mean squared difference of their elements."""
    return size(one - other)


def size(x: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """(B,) root of the mean square of each row's elements."""
    return x.flatten(1).square().mean(1).sqrt()


def partners(given: Float[Tensor, "b d"]) -> Int64[Tensor, " b"]:
    """(B,) for each row another for which about the same is given: of all that are, the next one.

    So where classes are given, rows have partners of their own class, as long as there are any in the batch. Of no
    given (D = 0) it is the next row; a row alone is its own.
    """
    rows = len(given)
    if rows == 1:
        return given.new_zeros(1, dtype=torch.int64)
    far = torch.cdist(given.double(), given.double(), compute_mode="donot_use_mm_for_euclid_dist")
    itself = torch.eye(rows, dtype=torch.bool, device=given.device)
    slack = TIE * far.sum() / (rows * (rows - 1))
    far = far.masked_fill(itself, torch.inf)
    place = torch.arange(rows, device=given.device)
    steps = (place - place[:, None]) % rows  # from a row on to each other
    return steps.masked_fill(far > far.amin(1, keepdim=True) + slack, rows).masked_fill(itself, rows).argmin(1)


def diversity(apart: float, apart_true: float) -> float:
    """How far draws are apart as a share of how far true rows are."""
    return apart / max(apart_true, TINY)


def scale(drawn: Float[Tensor, "b ..."], true: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """(B,) the size of each draw as a multiple of that of true rows, on average."""
    return size(drawn) / size(true).mean().clamp_min(LEAST)


def troubles(figures: Mapping[str, float]) -> dict[str, str]:
    """{figure: what is wrong, and the cures} for "diversity", "margin" and "scale", where they are out of bounds."""
    wrong = {
        "diversity": figures.get("diversity", 1.0) < ALIKE,
        "margin": figures.get("margin", 0.0) > SURE,
        "scale": figures.get("scale", 1.0) > LOUD,
    }
    return {name: CURES[name] for name, bad in wrong.items() if bad}
