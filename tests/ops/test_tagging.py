"""Spans and figures of tags, against seqeval on random sequences of labels."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

from ranvier.core.protocols import Value
from ranvier.ops.tagging import Tagging, is_iob2, may_follow, spans_of

LABELS = ["B-x", "B-y-z", "I-x", "I-y-z", "O"]


def rows(seed: int, count: int = 12) -> list[list[str]]:
    random.seed(seed)
    return [random.choices(LABELS, k=random.randint(0, 9)) for _ in range(count)]


def padded(sequences: list[list[str]], width: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    codes = torch.full((len(sequences), width), 1)
    mask = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, labels in enumerate(sequences):
        codes[row, : len(labels)] = torch.tensor([LABELS.index(x) for x in labels], dtype=torch.long)
        mask[row, : len(labels)] = True
    return codes, mask


def test_which_schemes_are_iob2():
    assert is_iob2(LABELS)
    assert is_iob2(["B-x", "I-x"])
    assert not is_iob2(["I-x", "O"])
    assert not is_iob2(["NN", "O", "B-x"])
    assert not is_iob2([])


def test_what_may_follow_what():
    first, follows = may_follow(LABELS)
    assert first.tolist() == [True, True, False, False, True]
    wanted = {("B-x", "I-x"), ("I-x", "I-x"), ("B-y-z", "I-y-z"), ("I-y-z", "I-y-z")}
    for i, one in enumerate(LABELS):
        for j, other in enumerate(LABELS):
            assert bool(follows[i, j]) == (other[0] != "I" or (one, other) in wanted)
    assert all(part.all() for part in may_follow(["NN", "VB"]))


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_those_of_seqeval(seed):
    sequences = rows(seed)
    codes, mask = padded(sequences)
    found = spans_of(codes, mask, LABELS)
    kinds = {0: "x", 1: "y-z"}
    for row, labels in enumerate(sequences):
        mine = [
            (kinds[int(found.kind[row, k])], k, int(found.ends[row, k]) - 1)
            for k in range(codes.shape[1])
            if found.begins[row, k]
        ]
        assert mine == [(kind, begin, end) for kind, begin, end in get_entities(labels)]


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_seqeval(seed):
    truth = rows(seed)
    random.seed(seed + 100)
    said = [[x if random.random() < 0.7 else random.choice(LABELS) for x in row] for row in truth]
    metric = Tagging(LABELS)
    for part in (slice(0, 5), slice(5, None)):
        codes, mask = padded(truth[part])
        metric.update({"tags": padded(said[part])[0]}, Value(codes, mask), None)
    figures = metric.compute()
    assert figures["f1"] == pytest.approx(f1_score(truth, said))
    assert figures["precision"] == pytest.approx(precision_score(truth, said))
    assert figures["recall"] == pytest.approx(recall_score(truth, said))
    words = [(a, b) for t, s in zip(truth, said, strict=True) for a, b in zip(t, s, strict=True)]
    assert figures["accuracy"] == pytest.approx(np.mean([a == b for a, b in words]))
    assert figures["row_accuracy"] == pytest.approx(np.mean([t == s for t, s in zip(truth, said, strict=True)]))


def test_weights_missing_rows_and_other_lengths():
    truth, mask = padded([["O", "B-x"], ["O"], ["O", "O", "O"]], 3)
    metric = Tagging(LABELS)
    said = {
        "tags": torch.tensor([[4, 0], [4, 4], [4, 4]]),
        "mask": torch.tensor([[True, True], [True, False], [True, True]]),
    }
    metric.update(said, Value(truth, mask, torch.tensor([True, False, True])), torch.tensor([2.0, 5.0, 1.0]))
    figures = metric.compute()
    assert figures["accuracy"] == pytest.approx((2 * 2 + 2) / (2 * 2 + 3))  # the word beyond what was said is wrong
    assert figures["row_accuracy"] == pytest.approx(2 / 3)
    assert figures["f1"] == 1.0


def test_labels_not_seen_in_training_are_never_right():
    metric = Tagging(["a", "b"])
    metric.update(
        {"tags": torch.tensor([[0, 1]])}, Value(torch.tensor([[0, 2]]), torch.ones(1, 2, dtype=torch.bool)), None
    )
    assert metric.compute() == {"accuracy": 0.5, "row_accuracy": 0.0}
    assert Tagging(["a"]).compute() == {}
