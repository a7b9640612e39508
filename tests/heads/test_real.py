"""The noise that heads draw from."""

from __future__ import annotations

import pytest
import torch

from ranvier.core.protocols import Features
from ranvier.core.spec import Spec
from ranvier.heads.diffusion import DiffusionHead
from ranvier.heads.gan import GANHead
from ranvier.heads.real import normals
from ranvier.heads.vae import VAEHead


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(1,), (3,), (16,), (17,), (3, 6, 5)])
def test_the_first_rows_are_the_same_for_any_number(shape):
    most = normals(40, shape, seeded())
    assert most.shape == (40, *shape)
    for rows in (1, 2, 5, 16, 39):
        assert torch.equal(normals(rows, shape, seeded()), most[:rows])
    assert not torch.equal(normals(40, shape, seeded(1)), most)


def test_what_comes_next_does_not_depend_on_how_many_were_drawn():
    one, other = seeded(), seeded()
    first = normals(3, (2,), one)
    normals(50, (7,), other)
    second = normals(3, (2,), one)
    assert torch.equal(second, normals(3, (2,), other))
    assert not torch.equal(first, second)


def test_it_is_normal():
    x = normals(2_000, (5,), seeded())
    torch.testing.assert_close(x.mean(0), torch.zeros(5), atol=0.1, rtol=0)
    torch.testing.assert_close(x.T.cov(), torch.eye(5), atol=0.15, rtol=0)


@pytest.mark.parametrize("spec", [Spec("pixels", (6, 5), 3, "pixel"), Spec("vector", (3,))])
@pytest.mark.parametrize("head", [DiffusionHead, GANHead, VAEHead])
def test_the_first_draws_are_the_same_for_any_number(head, spec):
    torch.manual_seed(0)
    drawing = head(spec, 0, widths=[8, 8]).eval()

    def drawn(rows: int) -> torch.Tensor:
        (values,) = drawing.predict(Features(rows, torch.zeros(rows, 0)), generator=seeded()).values()
        return values

    torch.testing.assert_close(drawn(4), drawn(7)[:4], atol=1e-3, rtol=1e-4)
