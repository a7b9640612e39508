"""What a part may know of a run when it chooses its own options. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Size = Literal["s", "m", "l"]
Choices = dict[str, tuple[Any, str]]  # option or setting -> (value, reason)


@dataclass(frozen=True)
class Facts:
    """rows: training rows. size: the capacity dial. device: its type. inputs, outputs: how many columns. length: the
    95th percentile of elements in a ragged column's row (0 if none). longest: the most elements in a ragged target's
    row, of a sample of the rows (0 if none). repeats: the fewest tokens of which hardly one of a target's texts in the
    sample has a run twice (0 if none). seconds: the time budget, or None. outcome: what the targets are
    ("classes", "numbers", "texts", "answers", "pictures", "masks" with or without boxes, "boxes", "hidden", "view",
    "mixed", "none"; see `Head.itself`). views: those of the inputs that heads read. units: what the elements of each
    input are (see `Spec.unit`), where they are known. characters: the 95th percentile of those in each input that is a
    text. given: of a head, whether its target is an input as well. restores: whether inputs and targets are the same
    columns, and nothing is hidden of them or varied. still: whether pictures are not to be moved, for a target has
    places in one of several. places: whether masks or boxes within pictures are wanted. averages: whether the answers
    of all heads may be averaged (`Head.averages`). tells: whether all encoders learn tokens from these rows
    (`Encoder.tells`). started: whether the encoder has its weights from a model to start from. frozen: and keeps them.
    options: those of the part that is asked, as far as they are set ({} where nobody is asking for a plan).
    """

    rows: int
    size: Size = "m"
    device: str = "cpu"
    inputs: int = 1
    outputs: int = 1
    length: int = 0
    longest: int = 0
    repeats: int = 0
    seconds: float | None = None
    outcome: str = "classes"
    views: frozenset[str] = frozenset({"vector"})
    units: Mapping[str, str] = field(default_factory=dict)
    characters: Mapping[str, int] = field(default_factory=dict)
    given: bool = False
    restores: bool = False
    still: bool = False
    places: bool = False
    averages: bool = True
    tells: bool = True
    started: bool = False
    frozen: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
