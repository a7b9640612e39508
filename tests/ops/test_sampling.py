"""Choosing the next token: against hand-computed cases."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.ops.sampling import draw, forbid_repeats, min_p, penalise_repetition, top_k, top_p

NEVER = -math.inf
SCORES = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()


def kept(scores):
    return (scores[0] > NEVER).nonzero()[:, 0].tolist()


def test_the_likeliest_few():
    assert kept(top_k(SCORES, 2)) == [1, 3]
    assert top_k(SCORES, 0) is SCORES
    assert top_k(SCORES, 9) is SCORES


@pytest.mark.parametrize(
    ("p", "wanted"),
    [(0.0, [1]), (0.39, [1]), (0.5, [1, 3]), (0.75, [1, 2, 3]), (0.95, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3])],
)
def test_the_nucleus_is_the_fewest_that_are_enough(p, wanted):
    assert kept(top_p(SCORES, p)) == wanted


def test_tokens_far_less_likely_than_the_likeliest_are_left_out():
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.97, 0.01, 0.01, 0.01]]).log()
    kept = [[True, True, True, False], [True, False, False, False]]
    assert min_p(scores, 0.2).isfinite().tolist() == kept
    assert torch.equal(min_p(scores + 7, 0.2), min_p(scores, 0.2) + 7)
    assert torch.equal(min_p(scores, 0.0), scores)
    assert min_p(scores, 1.0).isfinite().sum().item() == 2
    held = torch.tensor([[-torch.inf, 0.0, -1.0]])
    assert min_p(held, 0.5).tolist() == [[-torch.inf, 0.0, -torch.inf]]


def test_what_was_said_is_less_likely():
    scores = torch.tensor([[2.0, -2.0, 1.0]])
    said, mask = torch.tensor([[0, 1, 2]]), torch.tensor([[True, True, False]])
    assert penalise_repetition(scores, said, mask, 2.0).tolist() == [[1.0, -4.0, 1.0]]
    assert penalise_repetition(scores, said, mask, 1.0) is scores


def test_no_run_is_said_twice():
    scores, mask = torch.zeros(1, 4), torch.ones(1, 5, dtype=torch.bool)
    said = torch.tensor([[1, 2, 3, 1, 2]])
    assert kept(forbid_repeats(scores, said, mask, 3)) == [0, 1, 2]
    assert kept(forbid_repeats(scores, said, mask, 2)) == [0, 1, 2]
    assert kept(forbid_repeats(scores, said, mask, 1)) == [0]
    assert kept(forbid_repeats(scores, said, mask, 4)) == [0, 1, 2, 3]
    mask[0, 0] = False  # padding says nothing
    assert kept(forbid_repeats(scores, said, mask, 3)) == [0, 1, 2, 3]
    assert forbid_repeats(scores, said, mask, 0) is scores


def test_draws_follow_the_probabilities():
    assert draw(SCORES, 0.0).tolist() == [1]
    generator = torch.Generator().manual_seed(0)
    drawn = draw(SCORES.expand(20_000, 4), 1.0, generator).bincount(minlength=4) / 20_000
    torch.testing.assert_close(drawn, SCORES[0].exp(), rtol=0, atol=0.015)
    sharp = draw(SCORES.expand(20_000, 4), 0.5, generator).bincount(minlength=4) / 20_000
    torch.testing.assert_close(sharp, (2 * SCORES[0]).softmax(0), rtol=0, atol=0.015)


@pytest.mark.parametrize(("p", "temperature"), [(0.3, 1.0), (0.5, 1.0), (0.75, 1.0), (0.95, 2.0)])
def test_draws_from_the_nucleus_follow_its_probabilities(p, temperature):
    generator = torch.Generator().manual_seed(0)
    drawn = draw(SCORES.expand(20_000, 4), temperature, generator, p=p).bincount(minlength=4) / 20_000
    wanted = top_p(SCORES / temperature, p).softmax(1)[0]
    assert not drawn[wanted == 0].any()
    torch.testing.assert_close(drawn, wanted, rtol=0, atol=0.015)


def test_those_as_likely_as_the_last_of_the_nucleus_belong_to_it():
    equal = torch.tensor([[0.4, 0.2, 0.2, 0.2]]).log()
    assert kept(top_p(equal, 0.5)) == [0, 1, 2, 3]
    assert kept(top_p(equal, 0.3)) == [0]
    drawn = draw(equal.expand(20_000, 4), 1.0, torch.Generator().manual_seed(0), p=0.5).bincount(minlength=4) / 20_000
    torch.testing.assert_close(drawn, equal[0].exp(), rtol=0, atol=0.015)


def test_what_is_never_to_be_is_never_drawn():
    scores = torch.full((50_000, 5), NEVER)
    scores[:, 1], scores[:, 3] = 0.0, -12.0
    drawn = draw(scores, 1.0, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) <= {1, 3}
