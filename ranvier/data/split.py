"""Training and validation rows: at random, stratified, by whole groups, or the latest by order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.rng import seed_of

How = Literal["auto", "random", "stratified", "group", "order"]
Kind = Literal["random", "stratified", "group", "order"]
_KINDS = ("auto", "random", "stratified", "group", "order")
_ISO = r"^\d{4}-\d{2}"
_DATES = ("%d.%m.%Y", "%Y/%m/%d", "%Y%m%d")
_MANY = 50  # a target of more distinct whole numbers is an amount, not a class


def choose_split(
    frame: pl.DataFrame,
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    order: str | None = None,
    types: Mapping[str, str] | None = None,
) -> tuple[Kind, str]:
    """The kind of split that "auto" stands for, and the reason.

    types: the recognised column types by name; without them a target of text, booleans or few whole numbers counts
    as a category.
    """
    if group is not None:
        return "group", f"rows with the same {group!r} stay on one side"
    if order is not None:
        return "order", f"the latest rows by {order!r} validate"
    name = _category(frame, target, types)
    if name is not None:
        return "stratified", f"every class of {name!r} is in both parts"
    return "random", "no group, no order, no category to predict"


def split(
    frame: pl.DataFrame,
    how: How = "auto",
    fraction: float = 0.1,
    seed: int = 0,
    *,
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    order: str | None = None,
    types: Mapping[str, str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (int64, ascending) of the training and the validation part; the same seed gives the same rows.

    random: round(fraction * N) rows, at least one on each side.
    stratified: by the first target that is a category, its missing values being a class of their own; every class
        of two rows or more is in both parts, classes of one row are in training.
    group: whole groups, as near to the fraction as shuffled groups come; a row without a group is one of its own. Where
        the groups are the target itself, two at least, and two at least are left; on both sides is one of several rows
        if there are two such. A row without one is then of nothing that could be judged, and trains.
    order: the rows with the highest values; equal values stay together; rows without a value train.
    Raises PlanError for an unknown kind, name or fraction, DataError if the rows cannot be split so.
    """
    if not 0 < fraction < 1:
        raise PlanError(f"the validation fraction is {fraction}; it must lie between 0 and 1, such as 0.1")
    if frame.height < 2:
        raise DataError(f"{frame.height} row cannot be split into training and validation; at least 2 are needed")
    kind = _resolve(frame, how, target, group, order, types)
    wanted = min(max(1, round(fraction * frame.height)), frame.height - 1)
    rng = np.random.default_rng(seed_of(seed, "split"))
    if kind == "group":
        if group in _names(target):
            chosen = _by_target(frame, str(group), fraction, rng)
        else:
            chosen = _by_group(_codes(frame, str(group), own=True), wanted, rng)
    elif kind == "order":
        chosen = _latest(_ranks(frame, str(order)), wanted, str(order))
    elif kind == "stratified":
        name = _required_category(frame, target, types)
        chosen = _stratified(_codes(frame, name), wanted, rng)
    else:
        chosen = np.zeros(frame.height, bool)
        chosen[rng.permutation(frame.height)[:wanted]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def folds(
    frame: pl.DataFrame,
    how: How = "auto",
    k: int = 5,
    seed: int = 0,
    *,
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    order: str | None = None,
    types: Mapping[str, str] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """k pairs of (training, validation) row numbers; every row validates once, except with order.

    order: the rows are cut into k + 1 stretches; each but the first validates what was trained on all before it.
    Raises PlanError and DataError as `split` does.
    """
    if k < 2:
        raise PlanError(f"{k} folds were asked for; at least 2 are needed")
    kind = _resolve(frame, how, target, group, order, types)
    if frame.height < k + (kind == "order"):
        raise DataError(f"{frame.height} rows cannot make {k} folds")
    rng = np.random.default_rng(seed_of(seed, "folds"))
    if kind == "order":
        return _forward(_ranks(frame, str(order)), k, str(order))
    if kind == "group":
        fold = _group_folds(_codes(frame, str(group), own=True), k, rng)
    else:
        codes = np.zeros(frame.height, np.int64)
        if kind == "stratified":
            codes = _codes(frame, _required_category(frame, target, types))
        fold = np.empty(frame.height, np.int64)
        fold[np.lexsort((rng.permutation(frame.height), codes))] = np.arange(frame.height) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def _resolve(
    frame: pl.DataFrame,
    how: str,
    target: str | Sequence[str] | None,
    group: str | None,
    order: str | None,
    types: Mapping[str, str] | None,
) -> Kind:
    if how not in _KINDS:
        raise PlanError(f"unknown split {how!r}; {did_you_mean(how, _KINDS)}")
    for name in (group, order, *_names(target)):
        if name is not None and name not in frame.columns:
            raise PlanError(f"split: no column {name!r}; {did_you_mean(name, frame.columns)}")
    if how == "group" and group is None:
        raise PlanError('split = "group" needs a column with the role group')
    if how == "order" and order is None:
        raise PlanError('split = "order" needs a column with the role order')
    return choose_split(frame, target, group, order, types)[0] if how == "auto" else how  # type: ignore[return-value]


def _names(target: str | Sequence[str] | None) -> list[str]:
    return [target] if isinstance(target, str) else list(target or ())


def _category(frame: pl.DataFrame, target: str | Sequence[str] | None, types: Mapping[str, str] | None) -> str | None:
    for name in _names(target):
        column = frame[name]
        if types is not None and name in types:
            if types[name] == "category":
                return name
            continue
        few = column.n_unique()
        if column.dtype == pl.Boolean or (column.dtype == pl.String and 2 * few <= len(column)):
            return name
        if column.dtype.is_integer() and few <= min(_MANY, len(column) // 2):
            return name
    return None


def _required_category(frame: pl.DataFrame, target: str | Sequence[str] | None, types: Mapping[str, str] | None) -> str:
    name = _category(frame, target, types)
    if name is None:
        told = f"of the targets {_names(target)} none is one" if _names(target) else "no target is named"
        raise PlanError(f'split = "stratified" needs a target that is a category; {told}. Try split = "random"')
    return name


def _codes(frame: pl.DataFrame, name: str, own: bool = False) -> np.ndarray:
    """(N,) integers, equal where the values are; missing values share one, or have `own` ones each."""
    column = frame[name]
    codes = column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy().copy()
    if own:
        missing = _missing(column)
        codes[missing] = codes.max() + 1 + np.arange(int(missing.sum()))
    return np.unique(codes, return_inverse=True)[1]


def _missing(column: pl.Series) -> np.ndarray:
    """(N,) where there is no value: none, a blank text or not-a-number."""
    missing = column.is_null()
    if column.dtype == pl.String:
        missing |= (column.str.strip_chars() == "").fill_null(False)
    elif column.dtype.is_float():
        missing |= column.is_nan().fill_null(False)
    return missing.to_numpy()


def _stratified(codes: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    counts = np.bincount(codes)
    share = counts * (wanted / len(codes))
    most, least = np.maximum(counts - 1, 0), (counts >= 2).astype(np.int64)
    take = np.clip(np.floor(share).astype(np.int64), least, most)
    by_remainder = np.argsort(-(share - take), kind="stable")
    room = by_remainder[(take < most)[by_remainder]]
    take[room[: max(0, wanted - int(take.sum()))]] += 1
    if not take.any():
        raise DataError("a stratified split needs a class with two rows or more; every value of the target is unique")
    order = np.lexsort((rng.permutation(len(codes)), codes))
    starts = np.cumsum(counts) - counts
    place = np.empty(len(codes), np.int64)  # of each row among its class, in random order
    place[order] = np.arange(len(codes)) - starts[codes[order]]
    return place < take[codes]


def _by_target(frame: pl.DataFrame, name: str, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """By whole groups that are the target itself: identities, of which two at least are compared on either side."""
    there = ~_missing(frame[name])
    codes, least = _codes(frame.filter(there), name), 2
    if (many := len(np.unique(codes))) < 2 * least:
        raise DataError(
            f"{name!r} has {many} different values, too few to hold out {least} and train on {least}; try split = "
            "'random', whose figures are then of values that training has seen"
        )
    chosen = np.zeros(frame.height, bool)
    chosen[there] = _by_group(codes, max(1, round(fraction * len(codes))), rng, least)
    return chosen


def _by_group(codes: np.ndarray, wanted: int, rng: np.random.Generator, least: int = 1) -> np.ndarray:
    counts = np.bincount(codes)
    if len(counts) < 2:
        raise DataError(
            "all rows are of one group, so they cannot be split by group; give another column the role group, or "
            "split='random'"
        )
    taken, rows = np.zeros(len(counts), bool), 0
    for one in rng.permutation(len(counts)):
        if rows + counts[one] <= wanted and taken.sum() < len(counts) - least:
            taken[one] = True
            rows += counts[one]
    several = counts >= least
    while taken.sum() < least:
        rank = np.where(taken, 3, ~several) + counts / counts.sum()  # the smallest of those that will do
        taken[np.argmin(rank)] = True
    if least > 1 and several.sum() > 1:  # one of several rows on each side
        if not (several & taken).any():
            taken[np.argmin(np.where(several, counts, np.inf))] = True
        elif not (several & ~taken).any() and taken.sum() > least:
            taken[np.argmax(np.where(several, counts, 0))] = False
    return taken[codes]


def _ranks(frame: pl.DataFrame, name: str) -> np.ndarray:
    """(N,) dense ranks of the order column, -1 where it is missing. Raises DataError for text that is no date."""
    column = frame[name]
    if column.dtype == pl.String:
        column = _sortable(column)
    elif not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        raise DataError(f"column {name!r} ({column.dtype}) has no order; use numbers or dates")
    ranks = column.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    if ranks.max() < 2:
        raise DataError(
            f"column {name!r} has fewer than two distinct values, so it orders nothing; leave out its role order, or "
            "say split='random'"
        )
    return ranks


def _sortable(text: pl.Series) -> pl.Series:
    known = text.drop_nulls()
    if known.str.contains(_ISO).all():
        return text  # 2024-01-31T... sorts as it stands
    for form in _DATES:
        dates = text.str.to_date(form, strict=False)
        if dates.null_count() == text.null_count():
            return dates
    row = int((~text.str.contains(_ISO)).fill_null(False).arg_true()[0])
    raise DataError(
        f"column {text.name!r} cannot give an order: {text[row]!r} in row {row} is neither a number nor a date like "
        "2024-01-31; write it so, or leave out its role order"
    )


def _latest(ranks: np.ndarray, wanted: int, name: str) -> np.ndarray:
    """The cut between two distinct values that leaves most nearly `wanted` rows after it."""
    after = np.cumsum(np.bincount(ranks[ranks > 0])[::-1])[::-1]  # after[r]: rows of rank r or higher
    cut = 2 + int(np.argmin(np.abs(after[2:] - wanted)))
    return ranks >= cut


def _forward(ranks: np.ndarray, k: int, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    known = np.sort(ranks[ranks > 0])
    cuts = np.unique([known[len(known) * i // (k + 1)] for i in range(1, k + 1)])
    cuts = cuts[cuts > 1]
    if len(cuts) < k:
        raise DataError(f"column {name!r} has too few distinct values for {k} folds in order; try fewer folds")
    ends = [*cuts[1:], known[-1] + 1]
    pairs = zip(cuts, ends, strict=True)
    return [(np.flatnonzero(ranks < a), np.flatnonzero((ranks >= a) & (ranks < b))) for a, b in pairs]


def _group_folds(codes: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """The largest group first, each to the fold with the fewest rows so far."""
    counts = np.bincount(codes)
    if len(counts) < k:
        raise DataError(f"{len(counts)} groups cannot make {k} folds")
    fold, rows = np.empty(len(counts), np.int64), np.zeros(k, np.int64)
    shuffled = rng.permutation(len(counts))
    for one in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        fold[one] = np.argmin(rows)
        rows[fold[one]] += counts[one]
    return fold[codes]
