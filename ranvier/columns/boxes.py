"""Boxes: where in a picture things are, and what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from ranvier.columns.category import in_natural_order
from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.errors import DataError
from ranvier.core.spec import Encoded, Spec

CORNERS = (("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
SIDES = (("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height"))
GROUPED = ("bbox", "box")  # [x, y, width, height], as COCO has it
NAMES = ("label", "class", "category", "name", "category_id", "class_id")
THING = "thing"  # the only class where none is named
LINE = re.compile(r"^\s*\S+(\s+-?\d+(\.\d*)?([eE]-?\d+)?){4,5}\s*$")


class Boxes(Column):
    """Things in a picture, each a box and a label; ragged float32 (N, 5): left, top, right, bottom, and the class.

    Raw values are lists of structs, with the fields x, y, w (width), h (height), or left, top, right, bottom (also
    xmin, ymin, xmax, ymax or x1, y1, x2, y2), or bbox = [x, y, width, height], x and y being the upper left corner, and
    perhaps label (or class, category, category_id, name); or texts with a line for each thing, "class x y width height"
    about the centre, in shares of the picture (YOLO). An empty list means that there is nothing to be found.

    unit: "pixel", or "share" of the picture's width and height; "auto" is share where no number is above 1.
    labels: what is found may be called, in the order of the numbers that are the classes in the data; [] = as there.
    A box without area is left out, and a label not seen in training is the class `size`; notes tell of both.
    """

    only_target: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        /,
        *,
        unit: Literal["auto", "pixel", "share"] = "auto",
        labels: list[str] = [],  # noqa: B006  (read only: the schema)
    ) -> None:
        super().__init__(name)
        self.unit, self.asked = unit, list(labels)
        self.labels: list[str] = []

    @classmethod
    def recognise(cls, sample: pl.Series) -> tuple[float, str]:
        """High for lists of structs with the numbers of boxes, and for lines of a class and four numbers."""
        values = sample.drop_nulls()
        if values.dtype == pl.String:
            lines = [line for text in values.head(200).to_list() for line in text.splitlines() if line.strip()]
            good = sum(bool(LINE.match(line)) for line in lines)
            return (0.97, "lines of a class and four numbers") if lines and good == len(lines) else (0.0, "")
        form = _form(values.dtype)
        return (0.97, f"lists of boxes ({', '.join(form)})") if form else (0.0, "")

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """The labels and the unit. Raises DataError where no training row holds a box."""
        names: set[str] = set()
        highest = 0.0
        for chunk in chunks:
            numbers, labels, _ = _flat(chunk)
            names.update(labels)
            highest = max(highest, float(np.nanmax(numbers, initial=0.0)))
        if not names:
            raise DataError(f"column {self.name!r}: no training row holds a box")
        if self.unit == "auto":
            self.unit = "share" if highest <= 1 else "pixel"
        self.labels = in_natural_order([*names])
        if self.asked and len(self.asked) < len(self.labels):
            raise DataError(f"column {self.name!r}: {len(self.asked)} labels for {len(self.labels)} classes")
        return self._ready()

    def _ready(self) -> Spec:
        self.shown = self.asked[: len(self.labels)] or self.labels
        self.spec = Spec("boxes", (None, 5), len(self.labels), self.unit, labels=tuple(self.shown))
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(total, 5) in the raw unit, as long as nobody knows the picture's size."""
        numbers, labels, lengths = _flat(values)
        codes = pl.Series(labels, dtype=pl.String).replace_strict(
            self.labels, list(range(len(self.labels))), default=len(self.labels), return_dtype=pl.Float32
        )
        notes = []
        if unseen := int((codes == len(self.labels)).sum()):
            strange = sorted({*labels} - {*self.labels})
            notes.append(f"{self.name}: {unseen:,} boxes have labels that training never saw: {', '.join(strange[:3])}")
        good = np.isfinite(numbers).all(1) & (numbers[:, 2] > numbers[:, 0]) & (numbers[:, 3] > numbers[:, 1])
        rows = np.repeat(np.arange(len(values)), lengths)
        if bad := int((~good).sum()):
            row = int(rows[~good][0])
            notes.append(
                f"{self.name}: {bad:,} boxes are inverted, without area, or not numbers, such as in row {row}; left out"
            )
        data = np.concatenate([numbers, codes.to_numpy()[:, None]], 1).astype(np.float32)[good]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[good], minlength=len(values)))]).astype(np.int64)
        return Encoded(data, present(values), offsets, notes=notes)

    def decode(self, prediction: Mapping[str, np.ndarray]) -> pl.DataFrame:
        """{"boxes": (N, K, 4) in shares, "labels", "scores", "there": (N, K), "size": (N, 2)} as lists of structs.

        size: width and height of each picture, by which shares become the raw unit. Fields: x, y, w, h (the upper left
        corner, width and height), label, score; the surest first.
        """
        rows = []
        scale = np.ones((len(prediction["boxes"]), 2)) if self.unit == "share" else prediction["size"]
        for boxes, labels, scores, there, size in zip(
            *(prediction[name] for name in ("boxes", "labels", "scores", "there")), scale, strict=True
        ):
            found = []
            for at in np.flatnonzero(there)[np.argsort(-scores[there], kind="stable")]:
                left, top, right, bottom = (float(x) for x in boxes[at] * np.tile(size, 2))
                side = {"x": left, "y": top, "w": right - left, "h": bottom - top}
                found.append(side | {"label": self.shown[int(labels[at])], "score": float(scores[at])})
            rows.append(found)
        fields = dict.fromkeys("xywh", pl.Float64) | {"label": pl.String, "score": pl.Float64}
        return pl.DataFrame([pl.Series(self.name, rows, dtype=pl.List(pl.Struct(fields)))])

    def state(self) -> dict[str, Any]:
        """The labels in order, and the unit."""
        return {"version": 1, "labels": list(self.labels), "unit": self.unit}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.labels, self.unit = list(state["labels"]), state["unit"]
        self._ready()


def _form(dtype: Any) -> tuple[str, ...]:
    """The fields that say where a box is; () if values of this type are no boxes."""
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return ()
    fields = {field.name for field in dtype.inner.fields}
    for names in (*CORNERS, *SIDES):
        if fields.issuperset(names):
            return names
    return next(((name,) for name in GROUPED if name in fields), ())


def _flat(values: pl.Series) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Corners (M, 4), labels (M) and boxes in each row (N,). Raises DataError for values that are no boxes."""
    if values.dtype == pl.String:
        return _of_lines(values)
    if values.null_count() == len(values) or values.dtype == pl.List(pl.Null):
        return np.zeros((0, 4)), [], np.zeros(len(values), np.int64)
    form = _form(values.dtype)
    if not form:
        raise DataError(
            f"column {values.name!r}: expected lists of boxes, structs with x, y, w, h or left, top, right, bottom, "
            f"got {values.dtype}"
        )
    lengths = values.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = values.filter(pl.Series(lengths > 0)).explode()
    fields = flat.struct.unnest() if len(flat) else pl.DataFrame()
    if not len(flat):
        return np.zeros((0, 4)), [], lengths
    if form[0] in GROUPED:
        numbers = np.array([[np.nan] * 4 if box is None or len(box) != 4 else box for box in fields[form[0]].to_list()])
    else:
        numbers = np.stack([fields[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in form], 1)
    if form not in CORNERS:
        numbers[:, 2:] += numbers[:, :2]
    name = next((name for name in NAMES if name in fields.columns), None)
    labels = [THING] * len(flat) if name is None else fields[name].cast(pl.String).fill_null(THING).to_list()
    return numbers.astype(np.float64), labels, lengths


def _of_lines(values: pl.Series) -> tuple[np.ndarray, list[str], np.ndarray]:
    numbers, labels, lengths = [], [], []
    for row, text in enumerate(values.to_list()):
        lines = [line.split() for line in (text or "").splitlines() if line.strip()]
        for parts in lines:
            try:
                x, y, wide, tall = map(float, parts[1:5])
            except ValueError:
                raise DataError(
                    f"column {values.name!r}, row {row}: expected a class and four numbers, got {' '.join(parts)!r:.60}"
                ) from None
            numbers.append([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2])
            labels.append(parts[0])
        lengths.append(len(lines))
    return np.array(numbers, np.float64).reshape(-1, 4), labels, np.array(lengths, np.int64)
