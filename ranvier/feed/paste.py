"""Things of one picture laid over another while training, with their masks and boxes."""

from __future__ import annotations

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
from ranvier.ops.geometry import LEFT
from ranvier.ops.segmentation import VOID


class Paste(Part):
    """Lays the things of a partner's picture over a row's own, and over its mask and boxes what is known of them.

    Every row is paired with a partner by a random permutation of the batch, and gets its things with the chance
    `chance`. Things are where the partner's mask says another class than the first, which is the ground, or nothing at
    all; without a mask, what its boxes hold. Whatever lies on the ground, each pixel keeps its own class. A row's own
    boxes of which less than a quarter stays in sight are gone. Pictures that are missing, or have no mask or boxes,
    neither give nor take. A mask may be of another size than its picture.

    specs: of the inputs, by name. places: by input, the specs of the targets that have places in it. Raises PlanError
    where these are not masks or boxes of pictures, and for a chance that is none. Source: Ghiasi et al. 2021, "Simple
    copy-paste", arXiv:2012.07177; Olsson et al. 2021, "ClassMix", arXiv:2007.07936.
    """

    joint: ClassVar[bool] = True

    def __init__(
        self,
        specs: Mapping[str, Spec],
        places: Mapping[str, Mapping[str, Spec]] | None = None,
        /,
        *,
        chance: float = 0.5,
    ) -> None:
        self.places = {name: dict(targets) for name, targets in (places or {}).items()}
        kinds = {spec.kind for targets in self.places.values() for spec in targets.values()}
        if not kinds or kinds - {"mask", "boxes"}:
            raise PlanError(
                "paste lays things over pictures whose masks or boxes are wanted, and nothing else; use none"
            )
        if not 0 <= chance <= 1:
            raise PlanError(f"chance = {chance}: expected a chance, 0 to 1")
        self.chance = chance

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The choice where masks are wanted; what boxes hold besides a thing would be laid over, too."""
        if not any(part.kind == "pixels" for part in spec.parts):
            return 0.0, "things are laid over pictures, and no input holds any"
        if facts.outcome == "masks" and not facts.still:
            return 1.0, "the things of one picture are as good before another ground"
        return 0.2, "where masks or boxes are wanted, things may be laid over other pictures"

    def __call__(self, batch: Batch, random: np.random.Generator) -> Batch:
        """The batch with things laid over; a pure function of the batch and the generator's state."""
        inputs, targets = dict(batch.inputs), dict(batch.targets)
        for name, specs in self.places.items():
            picture = inputs[name]
            device = picture.data.device
            order = torch.from_numpy(random.permutation(batch.size)).to(device)
            taken = torch.from_numpy(random.random(batch.size) < self.chance).to(device)
            for value in (picture, *(targets[target] for target in specs)):
                if value.observed is not None:
                    taken &= value.observed & value.observed[order]
            kinds = {spec.kind: targets[target] for target, spec in specs.items()}
            over = things(kinds, *picture.data.shape[1:3])[order] & taken[:, None, None]
            seen = at_size(over, *picture.data.shape[1:3])[..., None]
            inputs[name] = replace(picture, data=torch.where(seen, picture.data[order], picture.data))
            for target, spec in specs.items():
                own = targets[target]
                if spec.kind == "mask":
                    seen = at_size(over, *own.data.shape[1:])
                    targets[target] = replace(own, data=torch.where(seen, own.data[order], own.data))
                else:
                    targets[target] = _joined(own, order, taken, over)
        return replace(batch, inputs=inputs, targets=targets)


def things(kinds: Mapping[str, Value], height: int, width: int) -> Tensor:
    """(B, H, W) where things are: by masks if there are any, of their own size, else by boxes (B, N, 5) in shares."""
    if "mask" in kinds:
        classes = kinds["mask"].data
        return (classes != 0) & (classes != VOID)
    return inside(kinds["boxes"], height, width).any(1)


def at_size(over: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W) of another size: each place as what was nearest to its centre."""
    if over.shape[1:] == (height, width):
        return over
    rows, columns = (
        ((torch.arange(n, device=over.device) + 0.5) * (had / n)).long()
        for n, had in ((height, over.shape[1]), (width, over.shape[2]))
    )
    return over[:, rows][:, :, columns]


def inside(boxes: Value, height: int, width: int) -> Tensor:
    """(B, N, H, W) whether a pixel's centre lies in each real box."""
    assert boxes.mask is not None
    device = boxes.data.device
    y, x = ((torch.arange(n, device=device) + 0.5) / n for n in (height, width))
    left, top, right, bottom = (edge[..., None] for edge in boxes.data[..., :4].unbind(2))
    down, across = (y >= top) & (y < bottom), (x >= left) & (x < right)
    return down[..., :, None] & across[..., None, :] & boxes.mask[..., None, None]


def _joined(own: Value, order: Tensor, taken: Tensor, over: Tensor) -> Value:
    """A row's own boxes that stay in sight, and those of what was laid over it."""
    assert own.mask is not None
    within = inside(own, *over.shape[1:])
    hidden = (within & over[:, None]).flatten(2).sum(2)
    kept = own.mask & (hidden <= (1 - LEFT) * within.flatten(2).sum(2))
    return Value(
        torch.cat([own.data, own.data[order]], 1),
        torch.cat([kept, own.mask[order] & taken[:, None]], 1),
        own.observed,
    )
