"""How sure a model is of what it predicts: deviations, intervals, softened probabilities, sets of classes.

Two kinds, which are two questions. How far may the truth be? Rows that were held out tell (`model/conformal.py`). How
far would another network be that has learnt from as many rows? Networks of folds, members inside a network and the
posterior of its last layer tell (`model/posterior.py`); what each of them says is one draw of what could have been
learnt, so that variances within and between them are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from torch import Tensor

from ranvier.core.check import number
from ranvier.core.column import Column
from ranvier.core.errors import PlanError
from ranvier.model.conformal import Conformal
from ranvier.model.held import at_temperatures
from ranvier.model.network import BATCH, Answer, Network
from ranvier.model.posterior import WIDEST, check_shapes, say, tellable
from ranvier.model.shared import in_raw_units, mean, to_shared
from ranvier.ops.laplace import Posterior

if TYPE_CHECKING:
    from ranvier.model.model import Model

LEVEL = 0.9
ENDINGS = "|_std|_low|_high|_set"  # of the columns that are added
VARIANCES = ("between", "within")
PARTS = ("inputs", "outputs", "variance")  # of a posterior


@dataclass
class Uncertainty:
    """What was learnt for it. held: {target: scores of rows held out}. posteriors: of each network, by target."""

    held: dict[str, Conformal] = field(default_factory=dict)
    posteriors: list[dict[str, Posterior]] = field(default_factory=list)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, for a file: {WHAT/NUMBER OF NETWORK/TARGET: tensor}."""
        found: dict[str, Tensor] = {}
        for name, told in self.held.items():
            found |= {f"scores/{k}/{name}": part for k, part in enumerate(told.scores)}
            found |= {f"spread/{k}/{name}": part for k, part in enumerate(told.spreads)}
        for k, each in enumerate(self.posteriors):
            for name, learnt in each.items():
                found |= {f"{key}/{k}/{name}": getattr(learnt, key) for key in PARTS}
        return {key: tensor.contiguous() for key, tensor in found.items()}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, Tensor], networks: Sequence[Network], shared: Mapping[str, Column]
    ) -> Uncertainty:
        """What `tensors` gave, for a model's networks and columns. Raises ValueError for what they cannot have."""
        left, many = dict(tensors), range(len(networks))
        made = cls({}, [{} for _ in many])
        for name in networks[0].plan.targets:
            scores = [left.pop(f"scores/{k}/{name}") for k in many if f"scores/{k}/{name}" in left]
            spreads = [left.pop(f"spread/{k}/{name}") for k in many if f"spread/{k}/{name}" in left]
            if scores:
                made.held[name] = Conformal(scores, spreads)
                made.held[name].check_shapes(name, len(networks), shared[name])
            for k, network in enumerate(networks):
                parts = [left.pop(f"{key}/{k}/{name}") for key in PARTS if f"{key}/{k}/{name}" in left]
                if parts:
                    made.posteriors[k][name] = Posterior(*parts)
                    check_shapes(made.posteriors[k][name], network, name)
        if left:
            raise ValueError(f"{min(left)!r} belongs to no target or network of this model")
        return made


class Uncertain:
    """Rows to the columns that `predict` gives, and beside each target's own how sure the model is.

    uncertainty: as `Model.predict` takes it. Raises PlanError where it cannot be told.
    """

    def __init__(self, model: Model, uncertainty: float, batch: int = BATCH) -> None:
        self.columns, self.networks, self.temperatures = model.columns, model.networks, model.temperatures
        self.targets, self.batch = list(model.plan.targets), batch
        wanted = f"a level such as {LEVEL}, or True"
        self.level = LEVEL if uncertainty is True else number("uncertainty", uncertainty, wanted)
        self.learnt = model.uncertainty
        self.posteriors = self.learnt.posteriors or [{} for _ in self.networks]
        for name in self.targets:
            if not tellable(self.networks[0].layout.specs, [name]):
                raise PlanError(
                    f"target {name!r} is a column of type {model.plan.columns[name].type!r}, and "
                    "uncertainty is told of numbers and categories; predict without it"
                )
            if name not in self.learnt.held:
                raise PlanError(
                    f"nothing is known of how far predictions of {name!r} are from the truth: no rows were held out "
                    "from training, or an earlier version saved the model; train with validation rows or folds (split, "
                    "val=, folds=)"
                )
            self.learnt.held[name].check(name, self.level)

    def __call__(self, rows: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
        """The columns for the rows; notes tell what was repaired. Raises PlanError, DataError."""
        each = [
            network.each_of(rows, notes, partial(say, network, self.posteriors[k]), batch=self.batch)
            for k, network in enumerate(self.networks)
        ]
        frames = []
        for name in self.targets:
            said = [answers[name] for answers in each]
            frames.append(self._number(name, said) if "value" in said[0] else self._category(name, said))
        return pl.concat(frames, how="horizontal")

    def _number(self, name: str, said: Sequence[Answer]) -> pl.DataFrame:
        column = self.columns[name]
        plain = [{key: part for key, part in one.items() if key not in VARIANCES} for one in said]
        shared = [
            to_shared({name: one}, network.columns, self.columns)
            for one, network in zip(plain, self.networks, strict=True)
        ]
        low, high = self.learnt.held[name].interval([one[name]["value"] for one in shared], said, self.level)
        return pl.concat(
            [
                column.decode(mean(shared, self.columns)[name]),
                pl.DataFrame(
                    {
                        f"{name}_std": self._deviation(name, said),
                        f"{name}_low": in_raw_units(low, column),
                        f"{name}_high": in_raw_units(high, column),
                    }
                ),
            ],
            how="horizontal",
        )

    def _deviation(self, name: str, said: Sequence[Answer]) -> np.ndarray:
        """(N,) in raw units: of the networks' values, of members in them, and of their last layers."""
        values, variances = [], []
        for one, network in zip(said, self.networks, strict=True):
            column, value = network.columns[name], one["value"].astype(np.float64)
            spread = np.sqrt(one["between"] + one.get("within", 0.0))
            values.append(in_raw_units(value, column))
            variances.append(((in_raw_units(value + spread, column) - in_raw_units(value - spread, column)) / 2) ** 2)
        if len(said) == 1 and "within" not in said[0] and not said[0]["between"].any():
            raise PlanError(
                f"nothing tells how sure the network is of {name!r}: it is one without members, and its last layer has "
                f"no posterior (it reads more than {WIDEST:,} numbers, or is of another kind); train with folds"
            )
        return np.sqrt(np.mean(variances, 0) + np.var(values, 0))

    def _category(self, name: str, said: Sequence[Answer]) -> pl.DataFrame:
        column = self.columns[name]

        def at(key: str) -> list[dict[str, Answer]]:
            named = [{name: {"probs": one[key]}} for one in said]
            moved = [to_shared(one, n.columns, self.columns) for one, n in zip(named, self.networks, strict=True)]
            return [at_temperatures(one, self.temperatures) for one in moved]

        held = self.learnt.held[name].classes([one[name]["probs"] for one in at("probs")], self.level)
        row, code = np.nonzero(held)  # each row holds one class at least
        labels = column.decode({"probs": np.eye(held.shape[1], dtype=np.float32)})[name]
        sets = pl.DataFrame({"row": row, f"{name}_set": labels.gather(code)}).group_by("row", maintain_order=True).all()
        return pl.concat([column.decode(mean(at("soft"), self.columns)[name]), sets.drop("row")], how="horizontal")
