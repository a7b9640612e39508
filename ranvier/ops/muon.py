"""The orthogonal part of a matrix, which the Muon optimizer steps along."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# of x -> a x + b x^3 + c x^5, chosen by Jordan (2024) for the steepest rise at 0 that keeps 1 near 1
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(
    matrix: Float[Tensor, "m n"], *, iterations: int = 5, dtype: torch.dtype = torch.bfloat16, eps: float = 1e-7
) -> Float[Tensor, "m n"]:
    """U V' of a matrix U S V' (m, n), roughly: every singular value not far below the others ends in about 0.7 to 1.2.

    Newton-Schulz iteration X <- a X + (b A + c A A) X with A = X X', after scaling to Frobenius norm 1. The result has
    the matrix's dtype. Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.mT).to(dtype)
    x = x / (x.float().norm() + eps).to(dtype)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(matrix.dtype)
