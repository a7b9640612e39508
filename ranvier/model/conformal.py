"""What rows held out from training tell of a target: how far from the truth each network was that never saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.core.column import Column
from ranvier.core.errors import DataError, PlanError
from ranvier.core.rng import seed_of
from ranvier.model.held import HeldOut, at_temperatures
from ranvier.model.network import Answer, Network
from ranvier.model.posterior import counted, say, some, tellable
from ranvier.ops.conformal import classes, interval, rank
from ranvier.ops.spread import log_linear, spread

KEPT = 2**16  # scores of a part; of more, some are drawn
HINTS = 4  # numbers that `hints` gives of a row
LEAST = 1e-3  # of the scaled value: members closer together than that say no more


@dataclass
class Conformal:
    """How far from the truth of one target the networks were, each at the rows that it never saw: its part.

    scores: of each part, ascending; of a number |truth - value| / spread in shared scaled units, of a category 1 - the
    probability of the true class. spreads: of a number, what `ops.spread` has learnt of each network's errors at its
    own training rows, which the rows held out know nothing of, so that what they prove stays exact.
    """

    scores: list[Tensor]
    spreads: list[Tensor] = field(default_factory=list)

    def check(self, target: str, level: float) -> None:
        """Raises PlanError where the rows held out are too few for the level."""
        try:
            rank(sum(map(len, self.scores)), level)
        except DataError as error:
            raise PlanError(
                f"uncertainty of target {target!r}: {error}; lower the level, or hold out more rows"
            ) from None

    def check_shapes(self, target: str, networks: int, column: Column) -> None:
        """Raises ValueError where it is of other networks, or of a target of another kind."""
        spreads = networks if getattr(column.spec, "kind", "") == "scalar" else 0
        shapes = [list(part.shape) for part in self.spreads]
        if len(self.scores) != networks or shapes != [[3, HINTS]] * spreads:
            raise ValueError(
                f"{len(self.scores)} parts of scores of {target!r} with spreads {shapes}, {networks} networks"
            )
        if any(part.ndim != 1 or not len(part) or bool((part.diff() < 0).any()) for part in self.scores):
            raise ValueError(f"the scores of {target!r} must be lists in ascending order")

    def interval(self, values: Sequence[np.ndarray], said: Sequence[Answer], level: float) -> tuple[np.ndarray, ...]:
        """(low, high), (N,) each, scaled. values: (N,) of each network, likewise. said: what it says itself."""
        centre = torch.from_numpy(np.stack(values, 1))
        errors = [spread(hints(one), learnt) for one, learnt in zip(said, self.spreads, strict=True)]
        low, high = interval(centre, torch.stack(errors, 1), self.scores, level)
        return low.numpy(), high.numpy()

    def classes(self, probs: Sequence[np.ndarray], level: float) -> np.ndarray:
        """(N, C) bool: which classes the sets hold. probs: (N, C) of each network."""
        doubt = 1 - torch.from_numpy(np.stack(probs, 2)).double()
        return classes(doubt, self.scores, level).numpy()


def hints(said: Answer) -> Tensor:
    """(N, HINTS) what an error may hang on: the value, its square, how far members lie apart, and outermost quantiles.

    By the square errors may be largest in the middle, as where the truth has bounds, or at both ends.
    """
    quantiles = [said[key] for key in said if key.startswith("q")]
    apart = np.max(quantiles, 0) - np.min(quantiles, 0) if len(quantiles) > 1 else np.zeros_like(said["value"])
    between = np.sqrt(said["between"].clip(0))
    value = said["value"].astype(np.float64)
    return torch.from_numpy(np.stack([value, value**2, np.log(between + LEAST), np.log(apart + LEAST)], 1))


@dataclass
class Part:
    """A network, rows that it has learnt from and how many visits it made to them, and the rows that it never saw."""

    network: Network
    train: pl.DataFrame
    visits: float
    held: HeldOut


def learn_scores(parts: Sequence[Part], temperatures: Mapping[str, float]) -> dict[str, Conformal]:
    """{target: scores} where each is a number or a category, else nothing.

    Rows without a weight or truth do not count; all others count alike. A class that training never saw is as far from
    what is said as can be.
    """
    network = parts[0].network
    if not tellable(network.layout.specs, network.plan.targets):
        return {}
    spreads = [_spreads(part) for part in parts]
    scores = [_scores(*each, temperatures) for each in zip(parts, spreads, strict=True)]
    return {
        name: Conformal([one[name] for one in scores], [one[name] for one in spreads if name in one])
        for name in network.plan.targets
        if all(len(one[name]) for one in scores)
    }


def _spreads(part: Part) -> dict[str, Tensor]:
    """{number: what `log_linear` learns of the network's errors at rows that it was trained on}."""
    network, found = part.network, {}
    rows = part.train[some(network, part.train, part.visits)]
    for name, said in _numbers(network, rows).items():
        truth = network.columns[name].encode(rows[name])
        counts = torch.from_numpy(counted(network.plan, rows, truth) > 0)
        errors = torch.from_numpy(np.abs(truth.data[:, 0] - said["value"]))
        found[name] = log_linear(hints(said)[counts], errors[counts])
    return found


def _scores(part: Part, spreads: Mapping[str, Tensor], temperatures: Mapping[str, float]) -> dict[str, Tensor]:
    """{target: scores of the rows that the network never saw, ascending}."""
    network, held, found = part.network, part.held, {}
    numbers, answers = _numbers(network, held.frame), at_temperatures(held.answers, temperatures)
    for name, truth in held.truths.items():
        if name in numbers:
            away = np.abs(truth.data[:, 0] - answers[name]["value"]).astype(np.float64)
            far = away / spread(hints(numbers[name]), spreads[name]).numpy()
            far = np.where(np.isfinite(far), far, np.inf)
        else:
            far = _doubts(answers[name]["probs"], truth.data)
        far = far[counted(network.plan, held.frame, truth) > 0]
        if len(far) > KEPT:
            far = np.random.default_rng(seed_of(network.plan.train.seed, "scores", name)).choice(
                far, KEPT, replace=False
            )
        found[name] = torch.from_numpy(np.sort(far))
    return found


def _numbers(network: Network, rows: pl.DataFrame) -> dict[str, Answer]:
    """{number: what the network says of it}; without a number nothing is asked."""
    if all(spec.kind != "scalar" for spec in map(network.layout.specs.__getitem__, network.plan.targets)):
        return {}
    said = network.each_of(rows, [], partial(say, network, {}))
    return {name: answer for name, answer in said.items() if "value" in answer}


def _doubts(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) 1 - the probability of the true class; 1 for a class that is not known."""
    known = truth < probs.shape[1]
    own = probs[np.arange(len(truth)), np.where(known, truth, 0)]
    return np.where(known, 1 - own.astype(np.float64), 1.0)
