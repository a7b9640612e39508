"""Tags, a label for each word: which may follow which, the spans that they mark, and figures of both.

In the scheme IOB2 a label is O, or B-TYPE at the first word of a span and I-TYPE at its others (Ratnaparkhi 1998; Sang
& Veenstra, EACL 1999). Shapes: B rows, T words, C labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional as F

from ranvier.core.protocols import Value
from ranvier.ops.streams import NO_ROWS, amounts

OUT, BEGIN, INSIDE = range(3)


def is_iob2(labels: Sequence[str]) -> bool:
    """Whether all labels are O, B-TYPE or I-TYPE, and one begins a span."""
    return all(label == "O" or label[:2] in ("B-", "I-") for label in labels) and any(x[:2] == "B-" for x in labels)


def may_follow(labels: Sequence[str]) -> tuple[Bool[Tensor, " c"], Bool[Tensor, "c c"]]:
    """Which labels may come first, (C,), and which may come after which, (C, C) from a label to the next.

    In IOB2 an I-TYPE stands only after B-TYPE or I-TYPE; labels of any other scheme are free.
    """
    c = len(labels)
    if not is_iob2(labels):
        return torch.ones(c, dtype=torch.bool), torch.ones(c, c, dtype=torch.bool)
    place, kind = _parts(labels)
    first = place != INSIDE
    return first, first | ((kind[:, None] == kind) & (place != OUT)[:, None])


class Spans(NamedTuple):
    """begins: (B, T) True at the first word of a span. ends: (B, T) the place after its last, there. kind: (B, T)."""

    begins: Tensor
    ends: Tensor
    kind: Tensor


def _parts(labels: Sequence[str]) -> tuple[Tensor, Tensor]:
    """(C,) O, B or I of each label, and (C,) a number for its type, -1 for O."""
    kinds = {name: number for number, name in enumerate(dict.fromkeys(x[2:] for x in labels if x != "O"))}
    place = [OUT if x == "O" else BEGIN if x[0] == "B" else INSIDE for x in labels]
    return torch.tensor(place), torch.tensor([-1 if x == "O" else kinds[x[2:]] for x in labels])


def spans_of(codes: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], labels: Sequence[str]) -> Spans:
    """The spans that IOB2 labels mark, read as seqeval does by default: an I- that follows nothing of its type begins
    one.

    codes: (B, T) in [0, C]; C, a label not known, and what is beyond the mask count as O.
    """
    places, kinds = (part.to(codes.device) for part in _parts([*labels, "O"]))
    known = torch.where(mask, codes, len(labels))
    place, kind = places[known], kinds[known]
    before = F.pad(kind[:, :-1], (1, 0), value=-1) if codes.shape[1] else kind
    begins = (place == BEGIN) | ((place == INSIDE) & (kind != before))
    stops = begins | (place == OUT)
    t = codes.shape[1]
    here = torch.arange(t, device=codes.device).expand_as(codes)
    later = F.pad(torch.where(stops, here, t)[:, 1:], (0, 1), value=t) if t else here
    ends = later.flip(1).cummin(1).values.flip(1) if t else here  # the next stop after each word
    return Spans(begins, ends, kind)


class Tagging:
    """Figures of tags over batches, in a few sums.

    accuracy: share of words with the right label. row_accuracy: share of rows with every label right. In IOB2 also
    precision, recall and f1 of spans, right only with type and both ends, over all spans together (seqeval's micro
    average, as in CoNLL-2000). A label not seen in training is never right. Words that have no prediction are wrong.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """labels: the C names, in the order of their codes."""
        self.labels, self.spans = list(labels), is_iob2(labels)
        self.notes: dict[str, str] = {}
        self._sums: Tensor | None = None  # words, right words, rows, right rows; spans true, said, right

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch: tags (B, S), y.data (B, T) with a mask, weight (B,) or None for ones; S and T may differ."""
        assert y.mask is not None
        mask, truth = y.mask, y.data
        said = _as_wide(prediction["tags"], truth.shape[1], len(self.labels))
        if "mask" in prediction:
            there = _as_wide(prediction["mask"].to(torch.long), truth.shape[1], 0).bool()
            said = torch.where(there, said, len(self.labels))
        amount = amounts(y, weight, truth.device)
        hits = (said == truth) & (truth < len(self.labels)) & mask
        words, right = mask.sum(1), hits.sum(1)
        each = [words, right, torch.ones_like(words), right == words]
        if self.spans:
            own, other = spans_of(truth, mask, self.labels), spans_of(said, mask, self.labels)
            same = own.begins & other.begins & (own.ends == other.ends) & (own.kind == other.kind)
            each += [own.begins.sum(1), other.begins.sum(1), same.sum(1)]
        sums = torch.stack([part.double() @ amount for part in each])
        self._sums = sums if self._sums is None else self._sums + sums

    def compute(self) -> dict[str, float]:
        """The figures over all batches so far; empty, with a note, if no word had weight."""
        self.notes = {}
        if self._sums is None or not self._sums[0] > 0:
            self.notes["all"] = NO_ROWS
            return {}
        words, right, rows, whole, *spans = self._sums.tolist()
        figures = {"accuracy": right / words, "row_accuracy": whole / rows}
        if not self.spans:
            return figures
        true, said, same = spans
        if not true:
            self.notes["recall"] = "the truth holds no span"
        precision, recall = same / said if said else 0.0, same / true if true else 0.0
        f1 = 2 * same / (said + true) if said + true else 0.0
        return figures | {"f1": f1, "precision": precision, "recall": recall}


def _as_wide(values: Tensor, width: int, filler: int) -> Tensor:
    """(B, S) as (B, width), cut or filled."""
    missing = width - values.shape[1]
    return F.pad(values, (0, missing), value=filler) if missing > 0 else values[:, :width]
