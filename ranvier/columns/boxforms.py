"""Boxes out of whatever form they come in: structs, JSON or lines of text to corners and labels."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import DataError, half_character
from ranvier.core.rows import row_number

CORNERS = (("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
SIDES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"))
GROUPED = ("bbox", "box")  # [x, y, width, height], as COCO has it
NAMES = ("label", "class", "category", "name", "category_id", "class_id")
THING = "thing"  # the only class where none is named
LINE = re.compile(r"^\s*\S+(\s+-?\d+(\.\d*)?([eE]-?\d+)?){4,5}\s*$")
FIELDS = (5, 6)  # of a line: the class, four numbers, and perhaps how sure it is
Thing = Mapping[str, Any] | None


@dataclass(frozen=True)
class Things:
    """corners: (M, 4), nan where there is no number. labels: None where none is given. lengths: things in each row.

    lines: they were lines of text, whose numbers are shares.
    """

    corners: np.ndarray
    labels: list[str | None]
    lengths: np.ndarray
    lines: bool = False

    @property
    def good(self) -> np.ndarray:
        """(M,) whether it is a box with an area."""
        c = self.corners
        return np.isfinite(c).all(1) & (c[:, 2] > c[:, 0]) & (c[:, 3] > c[:, 1])

    @property
    def named(self) -> np.ndarray:
        """(M,) whether it has a label."""
        return np.array([label is not None for label in self.labels], bool)


def form_of(values: pl.Series) -> tuple[str, ...]:
    """The fields that say where a box is, of lists of structs or JSON of such; () if these values are no boxes."""
    if values.dtype == pl.String:
        try:
            return _form(_fields(_parsed(values, 0))) if _is_json(values) else ()
        except DataError:
            return ()
    if not isinstance(values.dtype, pl.List) or not isinstance(values.dtype.inner, pl.Struct):
        return ()
    return _form(field.name for field in values.dtype.inner.fields)


def are_lines(values: pl.Series) -> bool:
    """Whether these texts are lines of a class and four numbers."""
    lines = [line for text in values.to_list() for line in text.splitlines() if line.strip()]
    return bool(lines) and all(LINE.match(line) for line in lines)


def things_of(values: pl.Series, first: int = 0) -> Things:
    """All boxes of a column. first: the row of the first value, for messages.

    Raises DataError for values that are no boxes, and for lines and JSON that cannot be read.
    """
    if values.dtype == pl.String and not _is_json(values):
        return _of_lines(values, first)
    if values.null_count() == len(values) or values.dtype == pl.List(pl.Null):
        return _of_structs([[]] * len(values), ())
    rows = _parsed(values, first) if values.dtype == pl.String else [row or [] for row in values.to_list()]
    form = _form(_fields(rows)) if values.dtype == pl.String else form_of(values)
    if not form and (values.dtype != pl.String or any(rows)):
        raise DataError(
            f"column {values.name!r}: expected lists of boxes, structs with x, y, w, h or left, top, right, bottom, "
            f"got {'JSON without these' if values.dtype == pl.String else values.dtype}"
        )
    return _of_structs(rows, form)


def _is_json(values: pl.Series) -> bool:
    texts = (text.lstrip() for text in values.to_list() if text)
    return next((text.startswith("[") for text in texts if text), False)


def _parsed(values: pl.Series, first: int) -> list[list[Thing]]:
    rows = []
    for row, text in enumerate(values.to_list(), first):
        try:
            found = json.loads(text) if text and text.strip() else []
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"column {values.name!r}, row {row_number(row)}: JSON that cannot be read ({error})"
            ) from None
        if not isinstance(found, list) or not all(isinstance(thing, dict | None) for thing in found):
            raise DataError(
                f"column {values.name!r}, row {row_number(row)}: expected a list of boxes, got {text!r:.60}"
            )
        if text and "\\ud" in text.lower():
            try:
                json.dumps(found, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise half_character(f"column {values.name!r}, row {row_number(row)}", error) from None
        rows.append(found)
    return rows


def _fields(rows: Iterable[Sequence[Thing]]) -> set[str]:
    return {name for row in rows for thing in row for name in thing or ()}


def _form(fields: Iterable[str]) -> tuple[str, ...]:
    there = set(fields)
    for names in (*CORNERS, *SIDES):
        if there.issuperset(names):
            return names
    return next(((name,) for name in GROUPED if name in there), ())


def _of_structs(rows: Sequence[Sequence[Thing]], form: tuple[str, ...]) -> Things:
    lengths = np.array([len(row) for row in rows], np.int64)
    things = [thing or {} for row in rows for thing in row]
    if form and form[0] in GROUPED:
        numbers = [_four(thing.get(form[0])) for thing in things]
    else:
        numbers = [[_number(thing.get(name)) for name in form] for thing in things]
    corners = np.array(numbers, np.float64).reshape(-1, 4)
    if form not in CORNERS:
        corners[:, 2:] += corners[:, :2]
    fields = _fields(rows)
    name = next((name for name in NAMES if name in fields), None)
    return Things(corners, [THING if name is None else _label(thing.get(name)) for thing in things], lengths)


def _of_lines(values: pl.Series, first: int) -> Things:
    corners, labels, lengths = [], [], []
    for row, text in enumerate(values.to_list(), first):
        count = 0
        for number, line in enumerate((text or "").splitlines(), 1):
            parts = line.split()
            if not parts:
                continue
            try:
                if len(parts) not in FIELDS:
                    raise ValueError
                x, y, wide, tall, *_ = map(float, parts[1:])
            except ValueError:
                raise DataError(
                    f"column {values.name!r}, row {row_number(row)}, line {number}: expected a class and four numbers, "
                    f"perhaps a score, got {line.strip()!r:.60}"
                ) from None
            corners.append([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2])
            labels.append(parts[0])
            count += 1
        lengths.append(count)
    return Things(np.array(corners, np.float64).reshape(-1, 4), [*labels], np.array(lengths, np.int64), bool(labels))


def _four(box: Any) -> list[float]:
    return [_number(side) for side in box] if isinstance(box, list) and len(box) == 4 else [math.nan] * 4


def _number(value: Any) -> float:
    """As a float; nan where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _label(value: Any) -> str | None:
    """As a text; a whole number without a point, so that 1 and 1.0 are one class; None where there is none."""
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return None if value is None else str(value)
