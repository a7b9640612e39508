"""What a head for pictures sees: maps at its size, tokens without padding, and nothing where they are hidden."""

from __future__ import annotations

import pytest
import torch

from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Given
from ranvier.heads.conditions import Conditions, resized

ROWS, WIDTH, SIZE = 4, 6, (8, 10)
GIVEN = {"picture": Given(5, ((3, 1), (9, 2))), "text": Given(5), "amount": Given()}


def made() -> Conditions:
    torch.manual_seed(0)
    return Conditions(7, WIDTH, GIVEN, SIZE)


def features(size=SIZE) -> Features:
    picture = Features(ROWS, maps=((torch.randn(ROWS, 3, *size), 1), (torch.randn(ROWS, 9, 4, 5), 2)))
    mask = torch.tensor([[True] * 3, [True, False, False], [True, True, False], [False] * 3])
    text = Features(ROWS, tokens=Value(torch.randn(ROWS, 3, 5), mask))
    amount = Features(ROWS, torch.randn(ROWS, 2))
    parts = {"picture": picture, "text": text, "amount": amount}
    return Features(ROWS, torch.randn(ROWS, 7), parts=parts)


def test_the_finest_map_and_tokens_of_what_has_no_map():
    conditions, f = made(), features()
    assert (conditions.channels, conditions.memory) == (3, WIDTH)
    assert conditions.welcomes == {"maps", "tokens"}
    seen = conditions(f)
    assert torch.equal(seen.maps, f.parts["picture"].maps[0][0])
    assert seen.tokens.shape == (ROWS, 4, WIDTH)
    allowed = [[False, True, True, True], [False, True, False, False], [False, True, True, False], [True] + [False] * 3]
    assert seen.allowed[:, 0, 0].tolist() == allowed


def test_what_is_hidden_says_nothing():
    conditions, hidden = made(), torch.tensor([True, False, True, False])
    f, other = features(), features()
    one, two = conditions(f, hidden), conditions(other, hidden)
    assert not one.maps[hidden].any()
    assert torch.equal(one.vector[hidden], conditions.nothing.expand(2, WIDTH))
    assert one.allowed[hidden, 0, 0].tolist() == [[True, False, False, False]] * 2
    assert torch.equal(one.tokens[:, 0], two.tokens[:, 0])
    whole = conditions(f)
    for name in ("vector", "maps", "tokens", "allowed"):
        assert torch.equal(getattr(one, name)[~hidden], getattr(whole, name)[~hidden])


def test_maps_come_to_the_size():
    flat = torch.full((1, 1, 4, 5), 3.0)
    torch.testing.assert_close(resized(flat, SIZE), torch.full((1, 1, *SIZE), 3.0))
    halves = torch.zeros(1, 1, 16, 20).index_fill_(3, torch.arange(10), 1.0)
    small = resized(halves, SIZE)
    assert small[..., :4].min() == pytest.approx(1)
    assert small[..., 6:].max() == pytest.approx(0)
    assert made()(features((16, 5))).maps.shape == (ROWS, 3, *SIZE)


def test_without_inputs_there_is_nothing_to_see():
    conditions = Conditions(0, WIDTH, {}, SIZE)
    seen = conditions(Features(ROWS, torch.zeros(ROWS, 0)))
    assert not conditions.able
    assert not conditions.welcomes
    assert not seen.vector.any()
    assert seen.vector.shape == (ROWS, WIDTH)
    assert (seen.maps, seen.tokens, seen.allowed) == (None, None, None)
