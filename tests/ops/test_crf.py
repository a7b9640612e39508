"""The conditional random field against every path written out, and its derivative against finite differences."""

from __future__ import annotations

import itertools

import pytest
import torch

from ranvier.ops import crf
from ranvier.ops.crf import Links, best_path, log_partition, marginals, path_score

B, T, C = 5, 4, 3


def chain(dtype=torch.float64, barred=False, seed=0):
    """Random scores and links, and rows of 4, 2, 1, 0 and 3 words."""
    torch.manual_seed(seed)
    scores = torch.randn(B, T, C, dtype=dtype) * 3
    links = Links(*(torch.randn(*shape, dtype=dtype) for shape in ((C,), (C, C), (C,))))
    if barred:
        links.steps[0, 2] = links.start[2] = -torch.inf
    mask = torch.arange(T) < torch.tensor([4, 2, 1, 0, 3])[:, None]
    return scores, links, mask


def every_path(scores, links, mask, row):
    """[(path, its score)] of a row, by hand."""
    words = int(mask[row].sum())
    found = []
    for path in itertools.product(range(C), repeat=words):
        total = 0.0
        for k, label in enumerate(path):
            total += float(scores[row, k, label])
            total += float(links.steps[path[k - 1], label]) if k else float(links.start[label])
        found.append((path, total + (float(links.end[path[-1]]) if path else 0.0)))
    return found


@pytest.mark.parametrize("barred", [False, True])
def test_equals_the_sum_over_all_paths(barred):
    scores, links, mask = chain(barred=barred)
    log_z, said = log_partition(scores, links, mask), marginals(scores, links, mask)
    best = best_path(scores, links, mask)
    for row in range(B):
        paths = every_path(scores, links, mask, row)
        totals = torch.tensor([total for _, total in paths], dtype=torch.float64)
        torch.testing.assert_close(log_z[row], totals.logsumexp(0))
        for path, total in paths:
            padded = torch.tensor([*path, *[1] * (T - len(path))])
            if total > -torch.inf:
                torch.testing.assert_close(
                    path_score(scores, links, mask, padded.expand(B, T))[row], torch.tensor(total).double()
                )
        chances = totals.softmax(0)
        for k in range(T):
            for label in range(C):
                wanted = sum(
                    p for (path, _), p in zip(paths, chances, strict=True) if k < len(path) and path[k] == label
                )
                torch.testing.assert_close(said[row, k, label], torch.as_tensor(wanted).double())
        winner = max(paths, key=lambda item: item[1])[0]
        assert best[row].tolist() == [*winner, *[0] * (T - len(winner))]


def test_the_derivative_equals_finite_differences():
    scores, links, mask = chain()
    parts = [part.requires_grad_() for part in (scores, *links)]

    def loss(scores, start, steps, end):
        return log_partition(scores, Links(start, steps, end), mask)

    assert torch.autograd.gradcheck(loss, parts)


def test_what_is_barred_has_no_derivative_and_spoils_none():
    scores, links, mask = chain(torch.float32, barred=True)
    parts = [part.requires_grad_() for part in (scores, *links)]
    log_partition(scores, Links(*parts[1:]), mask).sum().backward()
    assert all(part.grad.isfinite().all() for part in parts)
    assert links.steps.grad[0, 2] == 0
    assert links.start.grad[2] == 0


def test_padding_changes_nothing():
    scores, links, mask = chain()
    more = torch.cat([scores, torch.randn(B, 3, C, dtype=torch.float64)], 1)
    wide = torch.cat([mask, torch.zeros(B, 3, dtype=torch.bool)], 1)
    torch.testing.assert_close(log_partition(more, links, wide), log_partition(scores, links, mask))
    torch.testing.assert_close(marginals(more, links, wide)[:, :T], marginals(scores, links, mask))
    assert torch.equal(best_path(more, links, wide)[:, :T], best_path(scores, links, mask))


def test_the_best_path_is_the_same_however_many_rows_are_compared_at_once(monkeypatch):
    scores, links, mask = chain()
    whole = best_path(scores, links, mask)
    monkeypatch.setattr(crf, "ROOM", 2 * C * C)
    assert B > 2
    assert torch.equal(best_path(scores, links, mask), whole)


@pytest.mark.parametrize("size", [300.0, 1e4])
def test_scores_far_apart_stay_finite(size):
    scores, links, mask = chain(torch.float32)
    loud = (scores * size).requires_grad_()
    log_z = log_partition(loud, links, mask)
    log_z.sum().backward()
    assert log_z.isfinite().all()
    assert loud.grad.isfinite().all()
    best = best_path(loud, links, mask)
    torch.testing.assert_close(log_z, path_score(loud, links, mask, best), rtol=1e-4, atol=1e-2)


def test_rows_without_words_and_batches_without_rows():
    _, links, _ = chain()
    none = torch.zeros(2, 0, dtype=torch.bool)
    assert log_partition(torch.zeros(2, 0, C).double(), links, none).tolist() == [0, 0]
    assert path_score(torch.zeros(2, 0, C).double(), links, none, none.long()).tolist() == [0, 0]
    assert best_path(torch.zeros(2, 0, C).double(), links, none).shape == (2, 0)
    assert marginals(torch.zeros(2, 0, C).double(), links, none).shape == (2, 0, C)
    assert best_path(torch.zeros(0, 3, C).double(), links, torch.zeros(0, 3, dtype=torch.bool)).shape == (0, 3)
    assert log_partition(torch.zeros(0, 3, C).double(), links, torch.zeros(0, 3, dtype=torch.bool)).shape == (0,)
