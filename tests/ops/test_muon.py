from __future__ import annotations

import pytest
import torch

from ranvier.ops.muon import orthogonalised


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8), (1, 5)])
def test_singular_vectors_stay_and_singular_values_become_about_one(shape):
    left, _, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    values = torch.linspace(0.2, 3, min(shape), dtype=torch.float64)
    found = orthogonalised(left @ values.diag() @ right, dtype=torch.float64)
    core = left.mT @ found @ right.mT  # diagonal exactly if the singular vectors are kept
    assert (core - core.diagonal().diag()).abs().max() < 1e-8
    assert 0.6 < core.diagonal().min() <= core.diagonal().max() < 1.3


def test_scale_does_not_matter_and_bf16_is_near():
    g = torch.randn(16, 40, dtype=torch.float64)
    exact = orthogonalised(g, dtype=torch.float64)
    torch.testing.assert_close(orthogonalised(1e4 * g, dtype=torch.float64), exact, rtol=1e-4, atol=1e-6)
    near = orthogonalised(g.float())
    assert near.dtype == torch.float32
    assert (near - exact).abs().max() < 0.05


def test_zero_gives_zero():
    assert (orthogonalised(torch.zeros(3, 4)) == 0).all()
