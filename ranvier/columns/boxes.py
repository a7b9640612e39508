"""Boxes: where in a picture things are, and what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from ranvier.columns.boxforms import are_lines, form_of, things_of
from ranvier.columns.category import in_natural_order
from ranvier.columns.stream import present
from ranvier.core.column import Column
from ranvier.core.counts import counted
from ranvier.core.errors import DataError
from ranvier.core.rows import row_number
from ranvier.core.spec import Encoded, Spec

GLANCES = 200  # texts looked at to recognise a column
SLACK = 0.01  # by which the largest number may pass 1 in what are taken for shares
ROUNDING = 1e-3  # a share that passes the edge by no more lies on it


class Boxes(Column):
    """Things in a picture, each a box and a label; ragged float32 (N, 5): left, top, right, bottom, and the class.

    Raw values are lists of structs, with the fields x, y, w (width), h (height), or left, top, right, bottom (also
    xmin, ymin, xmax, ymax or x1, y1, x2, y2), or bbox = [x, y, width, height], x and y being the upper left corner, and
    perhaps label (or class, category, category_id, name); or JSON texts of such lists; or texts with a line for each
    thing, "class x y width height" about the centre, in shares of the picture (YOLO). An empty list means that there is
    nothing to be found.

    unit: "pixel", or "share" of the picture's width and height; "auto" is share for lines, and where no number is
    above 1, rounding apart. labels: what is found may be called; [] = as in the data. Where the classes in the data are
    numbers below so many, each has the label of its place, and all labels are classes, seen or not; else one label for
    each class, in their order.
    A box without area or label is left out, and a label not seen in training is the class `size`; notes tell of both.
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
        """High for lists of structs with the numbers of boxes, JSON of such, and lines of a class and four numbers."""
        values = sample.drop_nulls()
        if values.dtype == pl.String:
            values = values.head(GLANCES)
            if are_lines(values):
                return 0.97, "lines of a class and four numbers"
        form = form_of(values)
        return (0.97, f"lists of boxes ({', '.join(form)})") if form else (0.0, "")

    def learn(self, chunks: Iterable[pl.Series]) -> Spec:
        """The labels and the unit. Raises DataError where no training row holds a box, and for labels that do not fit.

        What `encode` leaves out counts for neither.
        """
        names: set[str] = set()
        highest, lines, row, left_out = 0.0, False, 0, 0
        for chunk in chunks:
            things = things_of(chunk, row)
            used = things.good & things.named
            names.update(label for label, use in zip(things.labels, used, strict=True) if use and label is not None)
            highest = max(highest, float(things.corners[used].max(initial=0.0)))
            lines |= things.lines
            left_out += int((~used).sum())
            row += len(chunk)
        if not names:
            why = f"; {left_out:,} have no area, no label, or are not numbers" if left_out else ""
            raise DataError(f"column {self.name!r}: no training row holds a box that can be learnt{why}")
        if self.unit == "auto":
            self.unit = "share" if lines or highest <= 1 + SLACK else "pixel"
        self.labels = self._classes(names)
        return self._ready()

    def _classes(self, names: set[str]) -> list[str]:
        """The labels in the data in their order, or the numbers for which labels are given."""
        numbers = [str(number) for number in range(len(self.asked))]
        if names.issubset(numbers):
            return numbers
        if self.asked and len(self.asked) != len(names):
            raise DataError(
                f"column {self.name!r}: {len(self.asked)} labels for {len(names)} classes "
                f"({', '.join(in_natural_order([*names])[:12])}); give one for each, in this order, or one for each "
                f"number from 0"
            )
        return in_natural_order([*names])

    def _ready(self) -> Spec:
        self.shown = self.asked or self.labels
        self.spec = Spec("boxes", (None, 5), len(self.labels), self.unit, labels=tuple(self.shown))
        return self.spec

    def encode(self, values: pl.Series) -> Encoded:
        """(total, 5) in the raw unit, as long as nobody knows the picture's size."""
        things = things_of(values)
        good, named = things.good, things.named
        used = good & named
        codes = pl.Series(things.labels, dtype=pl.String).replace_strict(
            self.labels, list(range(len(self.labels))), default=len(self.labels), return_dtype=pl.Float32
        )
        notes = []
        strange = used & (codes == len(self.labels)).to_numpy()
        if unseen := int(strange.sum()):
            which = sorted({str(things.labels[at]) for at in np.flatnonzero(strange)})
            notes.append(
                f"{self.name}: {counted(unseen, 'box|boxes has|have a label|labels')} that training "
                f"never saw: {', '.join(which[:3])}"
            )
        rows = np.repeat(np.arange(len(values)), things.lengths)
        for what, bad in (
            ("box|boxes is|are inverted, without area, or not numbers", ~good),
            ("box|boxes has|have no label", good & ~named),
        ):
            if bad.any():
                row = int(rows[bad][0])
                notes.append(
                    f"{self.name}: {counted(int(bad.sum()), what)}, such as in row {row_number(row)}; left out"
                )
        corners = things.corners[used]
        if self.unit == "share":
            edge = corners.clip(0, 1)
            corners = np.where(np.abs(corners - edge) <= ROUNDING, edge, corners)
        data = np.concatenate([corners, codes.to_numpy()[used, None]], 1).astype(np.float32)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[used], minlength=len(values)))]).astype(np.int64)
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
