"""What is wrong with the layers of a network, from figures that `health.py` has taken, and the cures, in plain words.

What vanishes and saturates: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural
networks"; what explodes: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Figures = dict[str, float]
Kind = Literal["vanishing", "exploding", "dead", "saturated", "nothing", "frozen"]

VANISHED = 1e-4  # gradient over weights, as a share of the same of a later layer
EXPLODED = 1e2  # gradient over weights
DEAD = 0.7  # share of units
SATURATED = 0.8  # share of activations

NO_GRADIENT: tuple[Kind, ...] = ("vanishing", "nothing", "frozen")  # what is no trouble where all is learnt

CURES: dict[Kind, str] = {
    "vanishing": "init = 'suited', activation = 'relu', norm = 'layer', residual connections, or fewer layers",
    "exploding": "clip = 1.0, a smaller rate, an init of smaller weights, norm = 'layer', or inputs and targets scaled "
    "to about 1",
    "dead": "a smaller rate, activation = 'leaky_relu' or 'gelu', init = 'he', or norm = 'layer'",
    "nothing": "another loss or head; rows with weights and targets; fewer zeros at the start, by another init",
    "frozen": "a larger rate, or precision = 'fp32'",
    "saturated": "init = 'glorot', a smaller rate, norm = 'layer', or activation = 'relu'",
}


@dataclass(frozen=True)
class Trouble:
    """A layer, by its number, in trouble. size: how bad, comparable within a kind. other: the layer compared with."""

    kind: Kind
    layer: int
    size: float
    other: int = -1


def troubles(layers: Sequence[tuple[int, Figures]], *, shrunk: float = 1.0, sparse: bool = False) -> list[Trouble]:
    """All that is wrong with the layers, each (number, figures), in the order in which they run.

    vanishing: the gradient over the weights is less than 1e-4 of that of a later layer; not where it is exactly 0, for
    then the layer is not in use. exploding: it is over 100, after clipping has multiplied it by `shrunk`. dead: 70 %
    of the units or more; not if sparse weights are wanted (L1). saturated: 80 % or more of what goes on to later
    layers; not at the end of the network, where certainty looks the same. nothing: the gradient is exactly 0 in every
    layer. frozen: it is not, but no weight that was looked at has moved at all, the step being below their rounding.
    """
    found = _vanishing(layers) + _standing(layers)
    for at, (number, of) in enumerate(layers):
        size = of.get("ratio", 0.0) * shrunk
        if size > EXPLODED:
            found.append(Trouble("exploding", number, size))
        if of.get("dead", 0.0) >= DEAD and not sparse:
            found.append(Trouble("dead", number, of["dead"]))
        if of.get("saturated", 0.0) >= SATURATED and at + 1 < len(layers):
            found.append(Trouble("saturated", number, of["saturated"]))
    return found


def _standing(layers: Sequence[tuple[int, Figures]]) -> list[Trouble]:
    trained = [(number, of) for number, of in layers if "gradient" in of]
    if not trained:
        return []
    if all(of["gradient"] == 0 for _, of in trained):
        return [Trouble("nothing", number, 1.0) for number, _ in trained]
    if any(of.get("update", 0.0) > 0 for _, of in trained):
        return []
    return [Trouble("frozen", number, 1.0) for number, of in trained if "still" in of]


def evenness(layers: Sequence[tuple[int, Figures]]) -> float:
    """The smallest gradient over weights as a share of the largest of the layers that run later; 1 if none is less."""
    return 1.0 / max([t.size for t in _vanishing(layers, limit=1.0)], default=1.0)


def _vanishing(layers: Sequence[tuple[int, Figures]], limit: float = VANISHED) -> list[Trouble]:
    found: list[Trouble] = []
    most, largest = -1, 0.0
    for number, of in reversed(layers):
        ratio = of.get("ratio", 0.0)
        if ratio == 0:
            continue
        if ratio < limit * largest:
            found.append(Trouble("vanishing", number, largest / ratio, most))
        if ratio > largest:
            most, largest = number, ratio
    return found


def sentences(found: Sequence[Trouble], place: Callable[[int], str], *, cures: bool = True) -> list[str]:
    """A sentence for each kind: the worst layer, how many more there are, and the cures."""
    said = []
    for kind in dict.fromkeys(trouble.kind for trouble in found):
        same = [trouble for trouble in found if trouble.kind == kind]
        worst = max(same, key=lambda trouble: trouble.size)
        more = len(same) - 1
        others = f"; so in {more} more layer{'s' if more > 1 else ''}" if more else ""
        cure = f": try {CURES[kind]}" if cures else ""
        said.append(f"{place(worst.layer)}: {_symptom(worst, place)} ({kind}{others}){cure}")
    return said


def _symptom(trouble: Trouble, place: Callable[[int], str]) -> str:
    size, about = trouble.size, f"{trouble.size:.0e}".replace("e+0", "e").replace("e+", "e")
    if trouble.kind == "vanishing":
        return f"relative to the weights, the gradient is {about} times smaller than in {place(trouble.other)}"
    if trouble.kind == "exploding":
        return f"the gradient is {about} times as large as the weights"
    if trouble.kind == "nothing":
        return "the gradient is exactly 0 in every layer, so that nothing is learnt"
    if trouble.kind == "frozen":
        return "the gradient is not 0, but the step is so small that no weight moves"
    if trouble.kind == "dead":
        return f"{size:.0%} of the units after it gave 0 the last 100 times or more"
    return f"{size:.0%} of the numbers after it lie at the ends of tanh or sigmoid, where the gradient is next to 0"
