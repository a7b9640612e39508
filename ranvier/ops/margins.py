"""Scores of classes with an angle that the true class has to be ahead by."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

CLOSE = 1e-6  # a cosine this near to 1 or -1 has no finite slope of its angle


def angular_margin(
    vectors: Float[Tensor, "b d"],
    centres: Float[Tensor, "c d"],
    target: Integer[Tensor, " b"],
    *,
    margin: float,
    scale: float,
) -> Float[Tensor, "b c"]:
    """scale * cos(angle) of each vector to each class's centre, the angle to the true one being made wider by `margin`.

    vectors: (B, D) and centres: (C, D), scaled to length 1. target: (B,) in [0, C). margin: in radians; an angle that
    would pass pi goes on along a straight line, so that being farther always costs more. The cross-entropy of these
    scores is the loss of Deng et al. 2019, "ArcFace", arXiv:1801.07698, equation 3.
    """
    with torch.autocast(vectors.device.type, enabled=False):  # an angle is more than bf16 tells of its cosine
        cosine = F.normalize(vectors.float(), dim=1) @ F.normalize(centres.float(), dim=1).T
    if margin:
        own = cosine.gather(1, target[:, None])
        angle = own.clamp(-1 + CLOSE, 1 - CLOSE).acos()
        ahead = torch.where(angle + margin < math.pi, (angle + margin).cos(), own - margin * math.sin(margin))
        cosine = cosine.scatter(1, target[:, None], ahead)
    return scale * cosine
