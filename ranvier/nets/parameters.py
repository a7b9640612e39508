"""Parameters with marks that optimizers and penalties heed."""

from __future__ import annotations

from torch import Tensor, nn


def unshrunk(tensor: Tensor) -> nn.Parameter:
    """A parameter that no penalty shrinks, and that Muon does not take for a matrix: biases, scales, embeddings."""
    parameter = nn.Parameter(tensor)
    parameter.no_decay = True  # type: ignore[attr-defined]
    return parameter


def stacked(tensor: Tensor) -> nn.Parameter:
    """Matrices (K, inputs, outputs), one for each column or member: a unit's weights lie along the second axis.

    `train/penalties.py` bounds them so, and Muon, which would take all of them for one matrix, leaves them to AdamW.
    """
    parameter = nn.Parameter(tensor)
    parameter.stacked = True  # type: ignore[attr-defined]
    parameter.orthogonal = False  # type: ignore[attr-defined]
    return parameter
