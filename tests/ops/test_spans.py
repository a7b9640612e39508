"""The best span against all spans, and figures of answers against the rules of SQuAD's own script."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
import torch

from ranvier.ops.spans import answer_words, best_span, overlap


@pytest.mark.parametrize("longest", [1, 2, 3, 50])
def test_best_span_is_the_best_of_all(longest):
    torch.manual_seed(longest)
    start, end = torch.randn(30, 7), torch.randn(30, 7)
    real = torch.rand(30, 7) < 0.7
    real[0], real[1] = False, True
    first, last, score = best_span(start, end, real, longest)
    for row in range(30):
        every = {
            (i, j): start[row, i] + end[row, j]
            for i in range(7)
            for j in range(i, min(7, i + longest))
            if real[row, i] and real[row, j]
        }
        if not every:
            assert score[row] == -torch.inf
            continue
        best = max(every, key=every.__getitem__)
        assert (int(first[row]), int(last[row])) == best
        assert score[row] == every[best]


def test_no_tokens():
    first, last, score = best_span(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool), 5)
    assert first.tolist() == last.tolist() == [0, 0]
    assert score.tolist() == [-torch.inf] * 2


def squad_f1(said: str, true: str) -> tuple[float, bool]:
    """As evaluate-v1.1.py of SQuAD has it."""

    def plain(text):
        text = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    one, other = plain(said).split(), plain(true).split()
    same = sum((Counter(one) & Counter(other)).values())
    if not same:
        return float(one == other), plain(said) == plain(true)
    precision, recall = same / len(one), same / len(other)
    return 2 * precision * recall / (precision + recall), plain(said) == plain(true)


PAIRS = [
    ("The cat, indeed!", "a cat"),
    ("cat", "CAT."),
    ("in 1999", "1999"),
    ("no", "yes"),
    ("", "cat"),
    ("", ""),
    ("anthem of theirs", "the anthem"),
    ("U.S.", "US"),
    ("the the cat", "cat cat"),
]


@pytest.mark.parametrize(("said", "true"), PAIRS)
def test_english_is_judged_as_by_squad(said, true):
    f1, same = squad_f1(said, true)
    one, other = answer_words(said), answer_words(true)
    assert overlap(one, other) == pytest.approx(f1)
    assert (one == other) == same


def test_other_scripts():
    assert answer_words("《北京大学》。") == ["北", "京", "大", "学"]
    assert overlap(answer_words("北京"), answer_words("北京大学")) == pytest.approx(2 / 3)
    assert answer_words("cafe\u0301") == answer_words("CAFÉ")
    assert answer_words("¿Qué? «так»") == ["qué", "так"]
