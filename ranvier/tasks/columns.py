"""Columns in, columns out: encoders, fuse and heads as one thing to minimise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.protocols import Batch, Encoder, Features, Fuse, Head, Value, View
from ranvier.core.training import Phase, Source, Task

COST = "[fuse]"  # the term of what features cost; no column's name


class ColumnsTask(Task):
    """Every input through its encoder, all fused, every target's head on top.

    shares: each target's share in the loss. Phases of the heads with one name are one phase; encoders and fuse
    belong to "main". Where the fuse answers for several members, each row's loss is their mean, and so is what
    is predicted. A missing target gets weight 0 here, and only here.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        fuse: Fuse,
        heads: Mapping[str, Head],
        shares: Mapping[str, float],
        monitor: str | None = "loss:min",
    ) -> None:
        super().__init__()
        self.inputs, self.targets = list(encoders), list(heads)
        self.encoders, self.heads = nn.ModuleList(encoders.values()), nn.ModuleList(heads.values())
        self.fuse, self.shares, self.monitor = fuse, dict(shares), monitor
        self.frozen: frozenset[str] = frozenset()
        self.joined: frozenset[View] = frozenset().union(*(head.needs for head in heads.values()))
        self.needs: frozenset[View] = self.joined.union(*(head.welcomes for head in heads.values()))
        names = dict.fromkeys(name for head in heads.values() for name in head.phases)
        self.phases = [self._phase(name) for name in names]

    @property
    def averages(self) -> bool:
        """Whether what every head says may be averaged."""
        return all(head.averages for _, head in self._heads())

    def freeze(self, names: Iterable[str]) -> None:
        """Encoders of these inputs stay as they are, running statistics and all; they are then in eval mode always."""
        self.frozen = frozenset(names)
        for _, encoder in self._frozen():
            encoder.requires_grad_(False).eval()
        self.phases = [self._phase(phase.name) for phase in self.phases]

    def train(self, mode: bool = True) -> ColumnsTask:
        """As of any module, but that what is frozen stays in eval mode."""
        super().train(mode)
        for _, encoder in self._frozen():
            encoder.eval()
        return self

    def features(self, batch: Batch) -> Features:
        """All inputs, fused; of no inputs a vector of no width and no tokens."""
        if not self.inputs:
            nothing = next(self.heads.parameters()).new_zeros(batch.size, 0)
            return Features(batch.size, nothing, Value(nothing[..., None], nothing.bool()))
        parts = {
            name: self._encoded(name, encoder, batch.inputs[name])  # type: ignore[arg-type]
            for name, encoder in zip(self.inputs, self.encoders, strict=True)
        }
        return self.fuse(parts, self.joined)

    def predict(self, batch: Batch, **how: Any) -> dict[str, dict[str, Tensor]]:
        """What each head says of its target, averaged over the members: {target: {name: (B, ...)}}.

        how: ways to say it; those of heads that draw nothing are not given to others.
        """
        features = self.features(batch)
        apart = {way for _, head in self._heads() if not head.draws for way in head.ways}
        said = {}
        for name, head in self._heads():
            own = {way: value for way, value in how.items() if way in head.ways or way not in apart}
            said[name] = self._mean(head.predict(features, **own), features.members)
        return said

    def judged(self, batch: Batch, **how: Any) -> dict[str, dict[str, Tensor]]:
        """What figures of each target are made of, its truth being in the batch: {target: {name: (B, ...)}}.

        how: as of `predict`.
        """
        features = self.features(batch)
        return {
            name: self._mean(_judged(head, features, batch.targets[name], **how), features.members)
            for name, head in self._heads()
        }

    def embed(self, batch: Batch) -> Tensor:
        """The code, or the fused vector (B, D), averaged over the members. Raises PlanError if there is neither."""
        features = self.features(batch)
        if features.code is not None:
            return features.code
        if (own := self.encoding) is not None:
            return own[1].encode(features, batch.targets[own[0]])
        if features.vector is None or not features.vector.shape[1]:
            raise PlanError("this network makes no vector of a row, so there is nothing to embed with")
        return _mean_of_members(features.vector, features.members)

    @property
    def encoding(self) -> tuple[str, Head] | None:
        """The only target, and its head, whose truth is made from few numbers, if there is one."""
        heads = self._heads()
        return heads[0] if len(heads) == 1 and heads[0][1].encodes else None

    def decode(self, code: Tensor, given: Sequence[Batch], way: Tensor) -> dict[str, dict[str, Tensor]]:
        """What the heads say of codes (B, K), as `predict`. Raises PlanError for a network without codes.

        given: batches of one row, whose inputs a head with a code of its own has beside it: the features are those of
        the first at way (B,) = 0, of the last at 1, and on the straight line between.
        """
        if (own := self.encoding) is not None:
            vectors = [self.features(batch).as_vector().float() for batch in given]
            return {own[0]: own[1].decode(code, Features(len(code), vectors[0].lerp(vectors[-1], way[:, None])))}
        if not self.fuse.narrows:
            raise PlanError("this network passes rows through no few numbers; fuse = 'bottleneck' and head 'vae' do")
        features = self.fuse.expand(code)
        return {name: head.predict(features) for name, head in self._heads()}

    def strange(self, batch: Batch) -> Tensor:
        """(B,) how strange a batch's truths are to the heads, in sum; not a number where one is missing."""
        features = self.features(batch)

        def of(head: Head, y: Value) -> Tensor:
            return _mean_of_members(head.strange(features, _repeated(y, features.members)), features.members)

        each = [self.shares[name] * _blended(batch, name, partial(of, head)) for name, head in self._heads()]
        total = torch.stack([one.float() for one in each]).sum(0)
        for name in self.targets:
            if (seen := batch.targets[name].observed) is not None:
                total = torch.where(seen, total, torch.nan)
        return total

    def parts(self) -> dict[str, nn.Module]:
        """The encoders, the fuse and the heads, by what a message calls them."""
        encoders = {f"encoder of {name!r}": part for name, part in zip(self.inputs, self.encoders, strict=True)}
        return {**encoders, "fuse": self.fuse, **{f"head of {name!r}": head for name, head in self._heads()}}

    def place(self, name: str) -> str:
        """ "layer 'net.0' of the encoder of 'text'", from the module's or parameter's full name."""
        part, _, rest = name.partition(".")
        if part in ("encoders", "heads"):
            number, _, rest = rest.partition(".")
            names = self.inputs if part == "encoders" else self.targets
            part = f"{part[:-1]} of {names[int(number)]!r}"
        return f"layer {rest!r} of the {part}" if rest else f"the {part}"

    @torch.no_grad()
    def validate(self, source: Source) -> dict[str, float]:
        """The loss and every head's metrics over one epoch of the source; names carry the target if several."""
        metrics = {name: head.metrics() for name, head in self._heads()}
        sums: dict[str, Tensor] = {}
        totals: dict[str, Tensor] = {}
        for step in range(source.steps or 0):
            batch = source.batch(step)
            features = self.features(batch)
            for name, head in self._heads():
                y, weight = batch.targets[name], _present(batch, name)
                loss = _mean_of_members(head.loss("main", features, _repeated(y, features.members)), features.members)
                count = head.count(y)
                sums[name] = sums.get(name, 0) + _weighted(loss, weight).sum()
                totals[name] = totals.get(name, 0) + _weighted(count, weight).sum()
                metric = metrics[name]
                if metric is not None:
                    metric.update(self._mean(_judged(head, features, y), features.members), y, weight)
        figures: dict[str, float] = {}
        losses = {name: float(sums[name] / totals[name].clamp_min(1e-12)) for name in sums}
        for name, metric in metrics.items():
            prefix = f"{name}/" if len(metrics) > 1 else ""
            computed = {} if metric is None else metric.compute()
            figures |= {prefix + key: value for key, value in computed.items()}
            if prefix:
                figures[prefix + "loss"] = losses[name]
        figures["loss"] = sum(self.shares[name] * loss for name, loss in losses.items())
        return figures

    def troubles(self, figures: Mapping[str, float]) -> dict[str, str]:
        """What each head finds wrong in its own figures."""
        found: dict[str, str] = {}
        for name, head in self._heads():
            prefix = f"{name}/" if len(self.targets) > 1 else ""
            own = {key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)}
            found |= {prefix + key: f"{name}: {told}" for key, told in head.troubles(own).items()}
        return found

    # ---- small parts

    def _encoded(self, name: str, encoder: Encoder, value: Value) -> Features:
        """The value in the views asked for; of a frozen encoder it may be its vectors already (`model/recall.py`)."""
        if name in self.frozen and value.data.is_floating_point():  # pixels and tokens are integers
            return Features(len(value.data), value.data)
        features: Features = encoder(value, self.needs)
        return features

    def _frozen(self) -> list[tuple[str, Encoder]]:
        pairs = zip(self.inputs, self.encoders, strict=True)
        return [(name, encoder) for name, encoder in pairs if name in self.frozen]  # type: ignore[misc]

    def _heads(self) -> list[tuple[str, Head]]:
        return list(zip(self.targets, self.heads, strict=True))  # type: ignore[arg-type]

    def _phase(self, name: str) -> Phase:
        heads = [(target, head) for target, head in self._heads() if name in head.phases]
        params = [p for _, head in heads for p in head.params(name)]
        if name == "main":
            params += [*self.encoders.parameters(), *self.fuse.parameters()]
        params = [p for p in params if p.requires_grad]  # frozen ones are the part's own affair

        def term(target: str) -> str:
            return target if name == "main" else f"{target}/{name}"

        def loss(batch: Batch) -> dict[str, Tensor]:
            features = self.features(batch)

            def of(head: Head, y: Value) -> Tensor:
                losses = head.loss(name, features, _repeated(y, features.members))
                return _mean_of_members(losses, features.members)

            terms = {term(t): self.shares[t] * _blended(batch, t, partial(of, head)) for t, head in heads}
            return terms if name != "main" or features.cost is None else terms | {COST: features.cost}

        def count(batch: Batch) -> dict[str, Tensor]:
            counts = {term(target): _blended(batch, target, head.count) for target, head in heads}
            if name != "main" or not self.fuse.costs:
                return counts
            return counts | {COST: torch.ones(batch.size, device=next(iter(counts.values())).device)}

        learning = [e for n, e in zip(self.inputs, self.encoders, strict=True) if n not in self.frozen]
        splits = all(part.splits for part in (*learning, self.fuse, *(head for _, head in heads)))  # type: ignore[union-attr]
        plain = any(name in head.plain for _, head in heads)
        return Phase(name, tuple(dict.fromkeys(params)), loss, count, splits=splits, plain=plain)

    @staticmethod
    def _mean(prediction: dict[str, Tensor], members: int) -> dict[str, Tensor]:
        return {name: _mean_of_members(tensor, members) for name, tensor in prediction.items()}


def _repeated(value: Value, members: int) -> Value:
    """Each row `members` times, adjacent: (B, ...) to (B * members, ...)."""
    return value if members == 1 else value.map(lambda t: t.repeat_interleave(members, 0))


def _judged(head: Head, features: Features, y: Value, **how: Any) -> dict[str, Tensor]:
    return head.judged(features, _repeated(y, features.members), **how)


def _mean_of_members(tensor: Tensor, members: int) -> Tensor:
    """(B * members, ...) to (B, ...)."""
    return tensor if members == 1 else tensor.unflatten(0, (-1, members)).mean(1)


def _blended(batch: Batch, target: str, rows: Callable[[Value], Tensor]) -> Tensor:
    """(B,) what `rows` says of the target, 0 where it is missing; of both targets where rows are blended."""
    own = _seen(rows(batch.targets[target]), batch.targets[target])
    if target not in batch.mixed:
        return own
    other, share = batch.mixed[target], batch.extra["share"]
    return share * own + (1 - share) * _seen(rows(other), other)


def _seen(values: Tensor, y: Value) -> Tensor:
    """(B,) with 0 where the target is missing: where, not times, so that nothing of such a row's loss remains."""
    return values if y.observed is None else torch.where(y.observed, values, torch.zeros_like(values))


def _present(batch: Batch, target: str) -> Tensor | None:
    """(B,) the rows' weights, 0 where the target is missing; None for all ones."""
    observed = batch.targets[target].observed
    if observed is None:
        return batch.weight
    return observed.float() if batch.weight is None else batch.weight * observed


def _weighted(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.float() if weight is None else values.float() * weight
