"""Networks that look at a picture: from it to maps of features of several finenesses, through which gradients go."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ranvier.core.errors import FileError, PlanError
from ranvier.core.protocols import Encoder, Value
from ranvier.model.model import Model, load
from ranvier.model.scripted import load_scripted
from ranvier.nets.filters import RandomFilters

Look = Callable[[Tensor], list[Tensor]]  # (1, 3, H, W), 0 to 1, to maps (1, C, h, w)
Source = Model | str | os.PathLike[str] | None
MODEL = ".rv"
WIDTHS = (32, 64, 128, 128)  # channels of the random filters' stages
GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


def look_of(features: Source, pictures: Sequence[Tensor], *, seed: int, device: torch.device) -> Look:
    """What looks: random filters for these pictures (None), a model's encoder of pictures, or a TorchScript file.

    pictures: (1, 3, H, W) each. The TorchScript network takes such a one and gives maps (1, C, h, w), one or a list.
    Raises PlanError for a model whose encoders give no maps, FileError for another file.
    """
    if features is None:
        generator = torch.Generator().manual_seed(seed)
        return RandomFilters(WIDTHS, [each.cpu() for each in pictures], generator).to(device)
    if isinstance(features, Model):
        return _of_model(features, device)
    path = Path(features)
    return _of_model(load(path), device) if path.suffix == MODEL else _of_script(path, device)


def _of_model(model: Model, device: torch.device) -> Look:
    """The first encoder of the (first) network that gives maps."""
    task = model.networks[0].task
    found = [each for each in task.encoders if isinstance(each, Encoder) and each.grids]
    if not found:
        raise PlanError(
            "features: this model has no encoder that gives maps of a picture; train one with encoder 'cnn'"
        )
    encoder = copy.deepcopy(found[0]).to(device).eval().requires_grad_(False)  # the model stays as it is
    channels = encoder.grids[0][0]
    weights = torch.tensor(GREY, device=device)[:, None, None]

    def look(picture: Tensor) -> list[Tensor]:
        x = (picture * weights).sum(1, keepdim=True) if channels == 1 else picture
        seen = encoder(Value(255 * x.permute(0, 2, 3, 1)), frozenset({"maps"}))
        return [maps.float() for maps, _ in seen.maps]

    return look


def _of_script(path: Path, device: torch.device) -> Look:
    net = load_scripted(path)[0].to(device)
    for parameter in net.parameters():
        parameter.requires_grad_(False)

    def look(picture: Tensor) -> list[Tensor]:
        try:
            said = net(picture)
        except torch.OutOfMemoryError:  # which is one, and says nothing of the file
            raise
        except RuntimeError as error:
            raise FileError(f"{path} does not take a picture {tuple(picture.shape)}: {error}") from None
        maps = [said] if isinstance(said, Tensor) else said
        if not isinstance(maps, list | tuple) or not maps or not all(_is_map(each) for each in maps):
            raise FileError(f"{path} must give maps (1, C, h, w) of a picture, one or a list of them")
        return [each.float() for each in maps]

    return look


def _is_map(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and len(value) == 1
