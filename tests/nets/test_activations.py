"""The modules by name are the functions of `ops`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.registry import names
from ranvier.nets.activations import before, gated, make_activation
from ranvier.ops import activations


@pytest.mark.parametrize("name", names("activation"))
@pytest.mark.parametrize("shape", [(3, 8), (2, 3, 8)])
def test_modules_are_the_functions(name, shape):
    x = torch.randn(shape)
    given = (torch.tensor([0.25]),) if name == "prelu" else ()
    torch.testing.assert_close(make_activation(name)(x), getattr(activations, name)(x, *given))


@pytest.mark.parametrize("name", names("activation"))
def test_of_maps_the_features_are_axis_1(name):
    x = torch.randn(2, 8, 3, 5)
    along_last = make_activation(name)(x.movedim(1, -1)).movedim(-1, 1)
    torch.testing.assert_close(make_activation(name, axis=1)(x), along_last)
    assert along_last.shape[1] == (4 if gated(name) else 8)
    assert before(along_last.shape[1], name) == 8


def test_gated_ones_and_learned_slopes():
    assert [name for name in names("activation") if gated(name)] == ["glu", "swiglu"]
    (slope,) = make_activation("prelu").parameters()
    assert slope.tolist() == [0.25]
    assert isinstance(make_activation("relu"), nn.ReLU)
    assert repr(make_activation("glu", axis=1)) == "GLU(1)"


def test_unknown_name():
    with pytest.raises(PlanError, match="unknown activation 'swigglu'; did you mean 'swiglu'"):
        make_activation("swigglu")
