"""Whether draws vary as true rows do, and what is wrong with them if they do not, with the cures, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

TIE = 0.01  # of the mean distance: rows given that are nearer than others by no more count as equally near
FEW = 8  # rows for which about the same is given, from which on they tell of collapse
DULL = 0.02  # of the size of true rows: those that are no farther apart vary too little to be compared with
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


def partners(
    given: Float[Tensor, "b d"], known: Bool[Tensor, " b"] | None = None
) -> tuple[Int64[Tensor, " b"], Bool[Tensor, " b"]]:
    """((B,) for each row another for which most nearly the same is given, (B,) whether that is about the same).

    Of all that are equally near it is the next one; so where classes are given, rows have partners of their own class,
    as long as there are any in the batch. Of no given (D = 0) it is the next row. known: (B,) which rows may be
    partners; None = all. A row without any has one that is not near.
    """
    rows = len(given)
    if rows == 1:
        return given.new_zeros(1, dtype=torch.int64), given.new_zeros(1, dtype=torch.bool)
    far = torch.cdist(given.double(), given.double(), compute_mode="donot_use_mm_for_euclid_dist")
    barred = torch.eye(rows, dtype=torch.bool, device=given.device)
    slack = TIE * far.sum() / (rows * (rows - 1))
    if known is not None:
        barred = barred | ~known
    far = far.masked_fill(barred, torch.inf)
    place = torch.arange(rows, device=given.device)
    steps = (place - place[:, None]) % rows  # from a row on to each other
    chosen = steps.masked_fill(far > far.amin(1, keepdim=True) + slack, rows).masked_fill(barred, rows).argmin(1)
    return chosen, far[place, chosen] <= slack


def scale(
    drawn: Float[Tensor, "b ..."], true: Float[Tensor, "b ..."], known: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, " b"]:
    """(B,) the size of each draw as a multiple of that of true rows, on average; known: which count, None = all."""
    sizes = size(true)
    usual = sizes.mean() if known is None else (sizes * known).sum() / known.sum().clamp_min(1)
    return size(drawn) / usual.clamp_min(LEAST)


def figures(means: Mapping[str, float], rows: int) -> dict[str, float]:
    """The figures by the means, over so many rows, of what is judged of each.

    means: "near", 1 for rows with a partner for which about the same is given, else 0; "apart" and "apart_true", how
    far their draws, and the truths, are apart, 0 of other rows; "size" of true rows; and what is a figure as it is.
    "apart", "apart_true" and "diversity", the one as a share of the other, are of rows with a partner; where fewer than
    FEW have one, or truths are alike, there is no diversity: in these rows nothing could collapse.
    """
    found = {name: value for name, value in means.items() if name not in ("near", "apart", "apart_true", "size")}
    if "near" not in means or not means["near"] * rows >= FEW - 0.5:  # but for rounding
        return found
    found |= {name: means[name] / means["near"] for name in ("apart", "apart_true")}
    if found["apart_true"] > DULL * max(means["size"], LEAST):
        found["diversity"] = found["apart"] / found["apart_true"]
    return found


def troubles(figures: Mapping[str, float]) -> dict[str, str]:
    """{figure: what is wrong, and the cures} for "diversity", "margin" and "scale", where they are out of bounds."""
    wrong = {
        "diversity": figures.get("diversity", 1.0) < ALIKE,
        "margin": figures.get("margin", 0.0) > SURE,
        "scale": figures.get("scale", 1.0) > LOUD,
    }
    return {name: CURES[name] for name, bad in wrong.items() if bad}
