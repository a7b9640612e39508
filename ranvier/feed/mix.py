"""Rows of a batch blended with one another while training: mixup and CutMix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Batch, Part, Value
from ranvier.core.spec import Spec

BLENDED = ("scalar", "vector", "pixels")  # kinds whose values have something between them
Inputs = Mapping[str, Value]


class Mix(Part, ABC):
    """What kinds of mixing share: partners, shares, targets and weights.

    Every row is paired with a partner by a random permutation of the batch, and draws its own lambda ~ Beta(alpha,
    alpha), so that each batch holds all degrees of mixing. The batch that comes of it has the partners' targets as
    `mixed` and lambda, the row's own share in the loss, as extra["share"] (B,). Where rows are weighted, w the row's
    and v its partner's, the weight becomes W = lambda w + (1 - lambda) v and the share lambda w / W, so that each
    target's loss counts with the weight of the row it is of. Random numbers are drawn on the host: the same on every
    device.

    specs: of the inputs, by name. alpha: above 0; small = nearly whole rows, 1 = any share as likely, large = halves.
    chance: of a row's being mixed at all. Raises PlanError for an option out of range.
    """

    joint: ClassVar[bool] = False  # targets with places in a picture are not blended

    def __init__(self, specs: Mapping[str, Spec], alpha: float, chance: float) -> None:
        if alpha <= 0:
            raise PlanError(f"alpha = {alpha}: expected a number above 0, such as 0.2")
        if not 0 <= chance <= 1:
            raise PlanError(f"chance = {chance}: expected a chance, 0 to 1")
        self.specs, self.alpha, self.chance = dict(specs), alpha, chance

    def __call__(self, batch: Batch, random: np.random.Generator) -> Batch:
        """The batch with its rows mixed; a pure function of the batch and the generator's state."""
        device = next(iter(batch.inputs.values())).data.device
        order = torch.from_numpy(random.permutation(batch.size)).to(device)
        drawn = random.beta(self.alpha, self.alpha, batch.size)
        drawn[random.random(batch.size) >= self.chance] = 1.0
        other = batch.map(lambda tensor: tensor.index_select(0, order))
        share = torch.from_numpy(drawn.astype(np.float32)).to(device)
        inputs, share = self.inputs(batch.inputs, other.inputs, share, random)
        weight = batch.weight
        if weight is not None and other.weight is not None:
            own = share * weight
            weight = own + (1 - share) * other.weight
            share = torch.where(weight > 0, own / weight.clamp_min(torch.finfo(weight.dtype).tiny), share)
        return replace(
            batch, inputs=inputs, weight=weight, extra={**batch.extra, "share": share}, mixed={**other.targets}
        )

    @abstractmethod
    def inputs(
        self, own: Inputs, other: Inputs, share: Tensor, random: np.random.Generator
    ) -> tuple[dict[str, Value], Tensor]:
        """The inputs blended, and the rows' true own shares (B,)."""

    def lots(self, name: str, value: Value, share: Tensor, random: np.random.Generator) -> Tensor:
        """(B,), or (B, C) for joined columns, whether the row's own value is taken: with probability `share`."""
        cells = value.data.shape[: 2 if self.specs[name].parts else 1]
        lots = torch.from_numpy(random.random(tuple(cells), np.float32)).to(share.device)
        return lots < _like(share, lots)


class Mixup(Mix):
    """A row is a blend of two: x = lambda x_i + (1 - lambda) x_j, and its loss lambda L(y_i) + (1 - lambda) L(y_j).

    lambda ~ Beta(alpha, alpha), drawn for each row. Numbers (scaled value and rank alike), vectors and pixels (rounded)
    are blended. Where nothing lies between two values, the row has its own with probability lambda, else its partner's,
    drawn for each column apart: categories, sets, texts, and numbers or pictures of which one is missing. So in
    expectation the input is the blend that its loss is of, and of many categories about the share lambda are the row's
    own; always to take the larger share's would leave them unmixed under a mixed loss. What is taken brings its mask,
    and is missing if it was.

    Source: Zhang, Cisse, Dauphin & Lopez-Paz 2018, "mixup: beyond empirical risk minimization", arXiv:1710.09412,
    equation 1 of section 1; for classes the blended loss is the cross-entropy of the blended labels.
    """

    def __init__(self, specs: Mapping[str, Spec], /, *, alpha: float = 0.2, chance: float = 1.0) -> None:
        super().__init__(specs, alpha, chance)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves any inputs, where asked for."""
        return 0.3, "between two rows lies a likely one"

    def inputs(
        self, own: Inputs, other: Inputs, share: Tensor, random: np.random.Generator
    ) -> tuple[dict[str, Value], Tensor]:
        """Each input blended, or one of the two."""
        mixed = {}
        for name, value in own.items():
            taken = _either(self.lots(name, value, share, random), value, other[name])
            mixed[name] = _blend(value, other[name], share, taken) if self.specs[name].kind in BLENDED else taken
        return mixed, share


class CutMix(Mix):
    """A box of a picture is its partner's: x = M x_i + (1 - M) x_j, and its loss lambda L(y_i) + (1 - lambda) L(y_j).

    The box has the sides H sqrt(1 - lambda) and W sqrt(1 - lambda), lambda ~ Beta(alpha, alpha) for each row, and its
    centre anywhere in the picture; what sticks out is cut off. lambda in the loss is the true share of the pixels that
    are the row's own. Several pictures in a row have the box at the same place, and lambda is the mean of theirs; a
    picture stays whole where it or its partner's is missing. Inputs that are no pictures are the row's own with
    probability lambda, else the partner's, drawn for each column apart (as in `Mixup`).

    Raises PlanError if no input holds pixels. Source: Yun et al. 2019, "CutMix: regularization strategy to train strong
    classifiers with localizable features", arXiv:1905.04899, equations 1 and 2.
    """

    def __init__(self, specs: Mapping[str, Spec], /, *, alpha: float = 1.0, chance: float = 1.0) -> None:
        super().__init__(specs, alpha, chance)
        self.pictures = [name for name, spec in specs.items() if spec.kind == "pixels"]
        if not self.pictures:
            raise PlanError("CutMix needs an input that holds pictures; 'mixup' blends any inputs")

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """Serves pictures, where asked for."""
        if not any(part.kind == "pixels" for part in spec.parts):
            return 0.0, "boxes are cut out of pictures, and no input holds any"
        return 0.2, "a part of a picture tells what it shows"

    def inputs(
        self, own: Inputs, other: Inputs, share: Tensor, random: np.random.Generator
    ) -> tuple[dict[str, Value], Tensor]:
        """Boxes of the pictures from the partner, all else from one of the two."""
        centres = [torch.from_numpy(random.random(len(share), np.float32)).to(share.device) for _ in "yx"]
        side = (1 - share).sqrt()
        mixed, shares = {}, []
        for name in self.pictures:
            a, b = own[name], other[name]
            down, across = (
                _inside(length, side, centre) for length, centre in zip(a.data.shape[1:3], centres, strict=True)
            )
            box = down[:, :, None] & across[:, None, :]
            if a.observed is not None and b.observed is not None:
                box &= (a.observed & b.observed)[:, None, None]
            mixed[name] = replace(a, data=torch.where(box[..., None], b.data, a.data))
            shares.append(1 - box.float().mean((1, 2)))
        share = torch.stack(shares).mean(0)
        for name, value in own.items():
            if name not in mixed:
                mixed[name] = _either(self.lots(name, value, share, random), value, other[name])
        return {name: mixed[name] for name in own}, share


def _inside(length: int, side: Tensor, centre: Tensor) -> Tensor:
    """(B, length) whether a place lies in a stretch of the share `side` about a place at the share `centre`."""
    extent = (length * side).long()
    start = (length * centre).long() - extent // 2
    at = torch.arange(length, device=side.device)
    return (at >= start[:, None]) & (at < (start + extent)[:, None])


def _blend(own: Value, other: Value, share: Tensor, taken: Value) -> Value:
    """own and other in the row's shares where both are observed, else what was taken."""
    data = torch.lerp(other.data.float(), own.data.float(), _like(share, own.data))
    if not own.data.is_floating_point():
        data = data.round().to(own.data.dtype)
    if own.observed is None or other.observed is None:
        return replace(own, data=data)
    both = own.observed & other.observed
    return replace(taken, data=torch.where(_like(both, data), data, taken.data))


def _either(mine: Tensor, own: Value, other: Value) -> Value:
    """own where `mine` (B,) or (B, C) is True, else other: with mask, spans and whether it is missing."""

    def pick(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else torch.where(_like(mine, a), a, b)

    data = torch.where(_like(mine, own.data), own.data, other.data)
    return Value(data, pick(own.mask, other.mask), pick(own.observed, other.observed), pick(own.spans, other.spans))


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    """(B,) or (B, C) with as many axes as the other has, (B, C, ...)."""
    return tensor.view(*tensor.shape, *[1] * (other.ndim - tensor.ndim))
