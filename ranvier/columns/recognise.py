"""Which type a column is, asked of every registered type, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from ranvier.columns.stream import present
from ranvier.core.elsewhere import PARTS
from ranvier.core.errors import PlanError, did_you_mean
from ranvier.core.plan import UNKNOWN
from ranvier.core.registry import lookup, names
from ranvier.core.threads import each

SAMPLE = 2_000  # values looked at
LOWEST = 0.2  # a score below this is no answer
MOST = 0.5  # of the rows
CODES = 20  # a target of at most so many different whole numbers is taken for classes


def recognise(series: pl.Series, target: bool = False) -> tuple[str, str]:
    """The name of the type that suits a column best, and why; "unknown", and what it holds, when none does.

    Looks at up to 2,000 observed values spread over the column. Whole numbers with few distinct values are
    numbers as an input, but classes as a target. Types that nothing reads as an input are answers for a target, or
    where no other type suits.
    """
    sample = spread(series)
    if not len(sample):
        return "category", "all values are missing"
    kinds = {name: lookup("column", name) for name in names("column")}
    scores = {name: kind.recognise(sample) for name, kind in kinds.items() if target or not kind.only_target}
    best = max(scores, key=lambda name: scores[name][0])  # of equal scores the first in the registry
    score, reason = scores[best]
    if score < LOWEST and not target:  # what can be predicted alone is named all the same
        others = {name: kind.recognise(sample) for name, kind in kinds.items() if kind.only_target}
        other = max(others, key=lambda name: others[name][0])
        best, (score, reason) = (other, others[other]) if others[other][0] >= LOWEST else (best, (score, reason))
    if score < LOWEST:
        near = f" (nearest is {best}: {reason})" if reason else ""
        near = " (they are no pictures that can be read)" if sample.dtype == pl.Binary else near
        return UNKNOWN, f"no column type reads {_describe(sample)}{near}; leave the column out or name a type for it"
    if target and best == "words" and scores["tags"][0]:  # lists of labels are words too, when they are an input
        return "tags", scores["tags"][1]
    return _number_or_category(sample, best, reason, target)


def recognise_all(
    frame: pl.DataFrame, targets: Collection[str], types: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """{column: (type, reason)}: recognised from the values, or as said in `types`; with other columns in view.

    Raises PlanError for a name or type that is none.
    """
    for name, kind in types.items():
        if name not in frame.columns:
            raise PlanError(f"types names {name!r}, which is no column; {did_you_mean(name, frame.columns)}")
        if kind not in names("column"):
            meant = did_you_mean(kind, names("column"), PARTS["column"])
            every = "" if meant.startswith("known") else f" (types: {', '.join(sorted(names('column')))})"
            raise PlanError(f"types: column {name!r} cannot be of type {kind!r}; {meant}{every}")
    asked = {name: (types[name], "as asked") for name in frame.columns if name in types}
    others = [name for name in frame.columns if name not in asked]
    found = each(lambda name: recognise(frame[name], target=name in targets), others)
    either = asked | dict(zip(others, found, strict=True))
    known = {name: either[name] for name in frame.columns}
    if len(frame.columns) == 1 and not asked and _written(frame.to_series(), known):
        return dict.fromkeys(
            known, ("text", "the only column, of texts that seldom repeat: more like these are written")
        )
    return known | _beside(
        frame.select(name for name in others if name not in targets),
        known,
        frame.select(name for name in frame.columns if name in targets),
    )


def _beside(
    inputs: pl.DataFrame, found: Mapping[str, tuple[str, str]], targets: pl.DataFrame
) -> dict[str, tuple[str, str]]:
    """The types of inputs that follow from a target's: questions beside answers, words beside tags."""
    kinds = {found[name][0]: name for name in targets.columns}
    made = {}
    for column in inputs:
        kind = found[column.name][0]
        if "span" in kinds and kind == "category" and column.dtype == pl.String:
            made[column.name] = "text", f"passages and questions are texts, beside the answers {kinds['span']!r}"
        elif "tags" in kinds and kind == "set" and _as_long(column, targets[kinds["tags"]]):
            made[column.name] = "words", f"a list of as many as {kinds['tags']!r} has"
    return made


def _written(column: pl.Series, known: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a column is of strings that seldom repeat, as words and names, and would be taken for classes."""
    strings = column.dtype == pl.String and known[column.name][0] == "category"
    return strings and column.drop_nulls().n_unique() > MOST * len(column)


def _as_long(lists: pl.Series, others: pl.Series) -> bool:
    """Whether most of the lists are as long as the others."""
    if not (isinstance(lists.dtype, pl.List) and isinstance(others.dtype, pl.List)):
        return False
    return float((lists.list.len() == others.list.len()).cast(pl.Float64).mean() or 0) > MOST  # type: ignore[arg-type]


def spread(series: pl.Series, limit: int = SAMPLE) -> pl.Series:
    """At most `limit` observed values, from places evenly spread over all of them."""
    rows = np.flatnonzero(present(series))
    if len(rows) > limit:
        rows = rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
    return series if len(rows) == len(series) else series.gather(rows)


def _number_or_category(sample: pl.Series, best: str, reason: str, target: bool) -> tuple[str, str]:
    """Settles what the values alone leave open between a count or measurement and a code."""
    if target and best == "number" and sample.dtype.is_numeric():
        distinct, codes = _whole_codes(sample)
        if codes:
            return "category", f"a target of {distinct} different whole numbers: classes (number: if they are amounts)"
    return best, reason


def _whole_codes(sample: pl.Series) -> tuple[int, bool]:
    """How many distinct finite numbers there are, and whether they look like class codes."""
    known = sample.cast(pl.Float64)
    values = known.filter(known.is_finite()).unique().to_numpy()
    whole = bool(len(values)) and bool((values == np.round(values)).all())
    if not whole or len(values) > CODES:
        return len(values), False
    # every class needs some rows, and codes are numbered without wide gaps; two values are always classes
    enough = len(known) >= 3 * len(values)
    dense = float(np.ptp(values)) + 1 <= 2 * len(values)
    return len(values), len(values) <= 2 or (enough and dense)


def _describe(sample: pl.Series) -> str:
    shown = str(sample.dtype)
    return f"values of type {shown[:80]}" + ("..." if len(shown) > 80 else "")
