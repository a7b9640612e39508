"""The head of hidden squares: its loss by hand, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Given, Spec
from ranvier.heads.squares import SquaresHead

SPEC, GIVEN, B = Spec("pixels", (6, 10), 3), {"picture": Given(0, ((3, 1), (5, 4)))}, 4


def test_hidden_pixels_alone_are_judged():
    head = SquaresHead(SPEC, 5, None, GIVEN)
    last = torch.randn(B, 5, 2, 3)
    f = Features(B, parts={"picture": Features(B, maps=((torch.randn(B, 3, 6, 10), 1), (last, 4)))})
    hidden = torch.rand(B, 6, 10) < 0.4
    hidden[3] = False
    y = Value(torch.randint(256, (B, 6, 10, 3), dtype=torch.uint8), hidden)
    said = F.pixel_shuffle(head.out(last), 4)[:, :, :6, :10] + 0.5
    errors = (said.permute(0, 2, 3, 1) - y.data / 255).square()
    torch.testing.assert_close(head.loss("main", f, y), (errors * hidden[..., None]).sum((1, 2, 3)))
    assert head.count(y).tolist() == [3 * n for n in hidden.sum((1, 2)).tolist()]
    other = Value(torch.where(hidden[..., None], y.data, 0), hidden)
    assert torch.equal(head.loss("main", f, y), head.loss("main", f, other))
    assert head.predict(f)["pixels"].shape == (B, 6, 10, 3)
    assert set(head.judged(f, y)) == {"error", "count"}


def test_what_it_serves_and_refuses():
    assert SquaresHead.suits(SPEC, Facts(rows=9, given=True))[0] > 0
    assert SquaresHead.suits(SPEC, Facts(rows=9))[0] == 0
    assert SquaresHead.choose(SPEC, Facts(rows=9))["side"][0] == 2
    with pytest.raises(PlanError, match="restores pictures"):
        SquaresHead(Spec("scalar", (2,)), 3, None, GIVEN)
    with pytest.raises(PlanError, match="gives maps"):
        SquaresHead(SPEC, 3, None, {"picture": Given(8)})
    for share in (0.0, 1.0):
        with pytest.raises(PlanError, match="share"):
            SquaresHead(SPEC, 3, None, GIVEN, share=share)
