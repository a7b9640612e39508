"""Vectors to pictures of any size."""

from __future__ import annotations

import pytest
import torch

from ranvier.nets import ConvDecoder


@pytest.mark.parametrize("size", [(28, 28), (5, 9), (1, 1), (17, 32)])
@pytest.mark.parametrize(("widths", "patch"), [([4], 1), ([8, 4], 2), ([8, 8, 4], 3)])
def test_any_size_comes_out(size, widths, patch):
    net = ConvDecoder(3, 2, size, widths, patch=patch, norm="none")
    assert net(torch.randn(4, 3)).shape == (4, 2, *size)
    assert net(torch.randn(0, 3)).shape == (0, 2, *size)


def test_rows_do_not_see_one_another_without_batch_norm():
    net, x = ConvDecoder(3, 1, (8, 8), [8, 4], norm="group"), torch.randn(4, 3)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


@pytest.mark.parametrize("wrong", [(0, 1, (8, 8), [4]), (3, 1, (0, 8), [4]), (3, 1, (8, 8), [])])
def test_refuses_what_cannot_be(wrong):
    with pytest.raises(ValueError, match="expected positive"):
        ConvDecoder(*wrong)
