"""The posterior of each head's last layer, learnt from training rows, and what a network says with it of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.core.plan import Plan
from ranvier.core.protocols import Features, Head
from ranvier.core.rng import seed_of
from ranvier.core.spec import Encoded, Spec
from ranvier.model.layout import weights
from ranvier.model.network import BATCH, Network, chunks
from ranvier.ops.laplace import Posterior, categorical_curvature, factors, posterior, softened

ROWS = (256, 4_096)  # training rows that are looked at once more, at least and at most
SHARE = 0.05  # of those that were trained on, row by row; forward alone, that is a sixtieth of the time
WIDEST = 1_024  # numbers in the vector before the layer: the directions in which it varies are as many squared
CLASSES = 64  # a row's covariance holds as many squared


def tellable(specs: Mapping[str, Spec], targets: Iterable[str]) -> bool:
    """Whether uncertainty can be told of all the targets: of numbers and categories."""
    return all(specs[name].kind in ("scalar", "index") for name in targets)


def learn_posteriors(network: Network, train: pl.DataFrame, visits: float) -> dict[str, Posterior]:
    """{target: posterior} of heads that have a likelihood, and a layer that is not too large, from training rows.

    A row's members share the layer and count as a row together. Rows without a weight or truth do not count. visits:
    how many rows were trained on, each as often as it was; more rows than suit that are drawn from, and these stand
    for all.
    """
    task = network.task
    heads: dict[str, Head] = dict(zip(task.targets, task.heads, strict=True))  # type: ignore[arg-type]
    heads = {name: head for name, head in heads.items() if head.likelihood and _small(head)}
    if not heads or not task.inputs or not tellable(network.layout.specs, task.targets):
        return {}
    amounts = {name: counted(network.plan, train, network.columns[name].encode(train[name])) for name in heads}
    drawn = some(network, train, visits)
    share = len(drawn) / train.height
    sums = {name: _Sums() for name in heads}
    for start, rows in chunks(train[drawn], BATCH):
        vectors = torch.from_numpy(network.made_of(rows, [], _vectors)["vectors"])
        for name, head in heads.items():
            truth = network.columns[name].encode(rows[name]).data
            amount = amounts[name][drawn[start : start + rows.height]] / share
            sums[name].add(head, vectors, torch.from_numpy(amount), torch.from_numpy(truth))
    return {name: sums[name].posterior(head) for name, head in heads.items() if sums[name].rows > 0}


def _small(head: Head) -> bool:
    classes, width = head.last().shape
    return classes <= CLASSES and width <= WIDEST + 1


def some(network: Network, train: pl.DataFrame, visits: float) -> np.ndarray:
    """Numbers of training rows, ascending: all, or some that are drawn where all would take too long."""
    random = np.random.default_rng(seed_of(network.plan.train.seed, "uncertainty"))
    return np.sort(random.permutation(train.height)[: int(np.clip(SHARE * visits, *ROWS))])


def counted(plan: Plan, frame: pl.DataFrame, truth: Encoded) -> np.ndarray:
    """(N,) the rows' weights, 1 in the mean of those that count; 0 where the truth is missing."""
    given = weights(plan, frame, [])
    amount = truth.observed * (np.ones(frame.height) if given is None else given)
    counts = amount > 0
    return amount / amount[counts].mean() if counts.any() else amount


def say(network: Network, posteriors: Mapping[str, Posterior], f: Features) -> dict[str, dict[str, Tensor]]:
    """What each head says of the features, averaged over the members, and how sure it is.

    Of a number, beside what is predicted, "between", the variance of its scaled value over members, and with a
    posterior "within", the variance that the last layer adds (B,); of a category "soft", its probabilities averaged
    over the posterior, without one "probs" again (B, C).
    """
    found = {}
    for name, head in zip(network.task.targets, network.task.heads, strict=True):
        said = head.predict(f)  # type: ignore[operator]
        each = {key: part.unflatten(0, (-1, f.members)) for key, part in said.items()}
        found[name] = {key: part.mean(1) for key, part in each.items()}
        sure = None if name not in posteriors else _scores(head, posteriors[name], f)  # type: ignore[arg-type]
        if "value" in said:
            found[name]["between"] = each["value"].var(1, correction=0)
            if sure is not None:
                found[name]["within"] = sure[1][:, 0, 0].float().unflatten(0, (-1, f.members)).mean(1)
        elif "probs" in said:
            soft = said["probs"] if sure is None else softened(*sure).float().to(said["probs"].device)
            found[name]["soft"] = soft.unflatten(0, (-1, f.members)).mean(1)
    return found


def _scores(head: Head, learnt: Posterior, f: Features) -> tuple[Tensor, Tensor]:
    """Means (B, C) and covariances (B, C, C) of what the last layer gives, on the CPU."""
    assert f.vector is not None
    x = with_one(f.vector.float().cpu())
    return x.double() @ layer(head).T, learnt.of_outputs(x)


class _Sums:
    """What is added up over the rows for one head."""

    def __init__(self) -> None:
        self.a: Tensor | float = 0.0
        self.g: Tensor | float = 0.0
        self.squared_errors = self.rows = 0.0

    def add(self, head: Head, vectors: Tensor, amount: Tensor, truth: Tensor) -> None:
        """vectors: (N, members, D). amount: (N,). truth: as the column encodes it."""
        members = vectors.shape[1]
        x, weight = with_one(vectors.flatten(0, 1)), (amount / members).repeat_interleave(members)
        said = x.double() @ layer(head).T
        if head.likelihood == "normal":
            error = said[:, 0] - truth[:, 0].double().repeat_interleave(members)
            self.squared_errors += float((weight * torch.where(weight > 0, error, 0.0).square()).sum())
            curvature = torch.ones_like(said)[..., None]
        else:
            curvature = categorical_curvature(said.softmax(1))
        a, g = factors(x, curvature, weight)
        self.a, self.g, self.rows = self.a + a, self.g + g, self.rows + float(amount.sum())

    def posterior(self, head: Head) -> Posterior:
        """Of all rows so far."""
        assert isinstance(self.a, Tensor)
        assert isinstance(self.g, Tensor)
        errors = self.squared_errors if head.likelihood == "normal" else None
        exact = posterior(self.a, self.g, layer(head), squared_errors=errors, rows=round(self.rows))
        return Posterior(exact.inputs.float(), exact.outputs.float(), exact.variance.float())  # as a file keeps it


def check_shapes(learnt: Posterior, network: Network, target: str) -> None:
    """Raises ValueError where it is of another layer than the target's head has."""
    task = network.task
    head: Any = dict(zip(task.targets, task.heads, strict=True))[target]
    c, d = layer(head).shape
    got = [list(part.shape) for part in (learnt.inputs, learnt.outputs, learnt.variance)]
    if not head.likelihood or got != [[d, d], [c, c], [c, d]]:
        raise ValueError(f"the posterior of {target!r} has the shapes {got}, for a layer of {c} by {d}")


def layer(head: Head) -> Tensor:
    """(C, D + 1) float64, on the CPU: the last layer, its bias at the end."""
    return head.last().detach().double().cpu()


def with_one(vectors: Tensor) -> Tensor:
    """(N, D + 1): with the 1 that the bias is multiplied with."""
    return torch.cat([vectors, torch.ones_like(vectors[:, :1])], 1)


def _vectors(f: Features) -> dict[str, Tensor]:
    assert f.vector is not None
    return {"vectors": f.vector.unflatten(0, (-1, f.members))}
