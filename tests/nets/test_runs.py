"""Runs of texts that are not to be written, against all of them by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ranvier.nets.generate import Manner, search, write
from ranvier.nets.runs import Runs

V = 7


def flat(texts):
    return np.concatenate([np.array(t, np.uint16) for t in texts]), np.cumsum([0, *map(len, texts)])


def runs_in(text, n):
    return {tuple(text[k : k + n]) for k in range(len(text) - n + 1)}


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [rng.integers(1, V, length).tolist() for length in rng.integers(0, 12, 30)]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_what_would_end_a_run_is_forbidden_and_nothing_else(texts, n):
    hold = [run for text in texts for run in runs_in(text, n)]
    own = {run for run in hold if hold.count(run) <= 10}
    assert len(Runs(*flat(texts), n)) == len(own)
    said = torch.tensor(list(itertools.product(range(V), repeat=min(n, 4) - 1)))
    said = torch.cat([torch.ones(len(said), 4, dtype=torch.long), said], 1)
    scores = Runs(*flat(texts), n).forbid(torch.zeros(len(said), V), said)
    wanted = [[(*row[-(n - 1) :], token) in own for token in range(V)] for row in said.tolist()]
    assert torch.equal(scores.isneginf(), torch.tensor(wanted))
    assert any(map(any, wanted))


def test_a_run_of_many_texts_is_nobodys_own():
    same = [[1, 2, 3, token] for token in (4, 5) for _ in range(10)]
    assert len(Runs(*flat(same), 3)) == 2  # 1 2 3 stands in twenty
    assert len(Runs(*flat([[1, 2, 3] * 40]), 3)) == 3  # in one, however often


@pytest.mark.parametrize(("many", "left"), [(20, 3), (21, 2)])
def test_of_many_texts_one_in_a_hundred_may_share_a_run(many, left):
    others = [[4, 5, 6]] * 10 + [[5, 6, 4]] * 9 + [[1, 2]] * (2_000 - 19 - many)
    assert len(Runs(*flat([[1, 2, 3]] * many + others), 3)) == left


def test_texts_shorter_than_a_run_forbid_nothing():
    runs = Runs(*flat([[1, 2], [], [3]]), 3)
    assert not len(runs)
    said = torch.tensor([[1, 2]])
    assert runs.forbid(torch.zeros(1, V), said).isfinite().all()
    assert runs.forbid(torch.zeros(1, V), said[:, :1]).isfinite().all()


def test_neither_draws_nor_searches_write_a_run(texts):
    torch.manual_seed(0)
    follows = torch.randn(V, V)
    runs = Runs(*flat(texts), 3)
    own = set().union(*(runs_in(text, 3) for text in texts))

    class Place:
        def take(self, rows, memory=None): ...

    def scores(tokens, place, mask):
        return follows[tokens[:, -1]]

    first = torch.randint(1, V, (20, 1))
    for avoid, holds in ((None, True), (runs, False)):
        manner = Manner(beam=1, temperature=1.0, longest=15, avoid=avoid)
        drawn = torch.stack([*write(scores, Place(), first, None, manner, 0)], 1).tolist()
        found, mask = search(scores, Place(), first, None, Manner(beam=3, longest=15, avoid=avoid), 0)
        for rows in (drawn, [row[real].tolist() for row, real in zip(found, mask, strict=True)]):
            rows = [start + row for start, row in zip(first.tolist(), rows, strict=True)]  # a run may begin before it
            said = set().union(*(runs_in([token for token in row if token], 3) for row in rows))
            assert bool(said & own) == holds
