"""Figures of texts against sacrebleu and rouge-score."""

from __future__ import annotations

import random

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from ranvier.ops.texts import Texts, bleu_words, longest_common, plain_words

TRUE = [
    "The cat sat on the mat, and it was 3.5 years old.",
    "Price: $4,000 (a lot!) for 2-3 of them",
    "Bibliothèque des fonctions communes de l'installateur Debian",
    "A &quot;quoted&quot; word & more",
    "one",
]
SAID = [
    "The cat sat on a mat and it is 3.5 years old .",
    "The price is $4,000 for 2-3",
    "Bibliothèque de fonctions de l'installateur",
    'A "quoted" word and more',
    "two words",
]


def figures(said, true):
    texts = Texts()
    texts.add(said[:2], true[:2])
    texts.add(said[2:], true[2:])
    return texts.compute()


def test_bleu_and_chrf_are_those_of_sacrebleu():
    mine = figures(SAID, TRUE)
    assert mine["bleu"] == pytest.approx(BLEU(effective_order=False).corpus_score(SAID, [TRUE]).score)
    assert mine["chrf"] == pytest.approx(CHRF().corpus_score(SAID, [TRUE]).score)


@pytest.mark.parametrize("rows", [1, 4, 5])
def test_precisions_of_nothing_are_smoothed_as_there(rows):
    said, true = ["a b c d e"] * rows, ["a c e f g h"] * rows
    assert figures(said, true)["bleu"] == pytest.approx(BLEU().corpus_score(said, [true]).score)
    assert figures(["x"] * rows, true)["bleu"] == 0


def test_rouge_is_that_of_rouge_score():
    scorer = RougeScorer(["rougeL"])
    ascii_said, ascii_true = [SAID[0], SAID[1], SAID[4]], [TRUE[0], TRUE[1], TRUE[4]]
    theirs = [scorer.score(t, s)["rougeL"].fmeasure for s, t in zip(ascii_said, ascii_true, strict=True)]
    assert figures(ascii_said, ascii_true)["rouge_l"] == pytest.approx(sum(theirs) / 3)


def test_the_longest_common_subsequence():
    random.seed(0)
    for _ in range(50):
        one, other = (random.choices("abcd", k=random.randint(0, 70)) for _ in range(2))
        table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, x in enumerate(one):
            for j, y in enumerate(other):
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(one, other) == table[-1][-1]


def test_scripts_without_spaces_have_words_too():
    assert bleu_words("我是猫。ok") == ["我", "是", "猫", "。ok"]
    assert plain_words("我是 Cat_2") == ["我", "是", "cat", "2"]
    figures_ = figures(["我是猫", "a", "b"], ["我是狗", "a", "b"])
    assert 0 < figures_["rouge_l"] < 1
    assert figures_["exact_match"] == pytest.approx(2 / 3)


def test_perfect_and_none():
    perfect = figures(TRUE, TRUE)
    assert perfect["bleu"] == pytest.approx(100)
    assert perfect["chrf"] == pytest.approx(100)
    assert perfect["rouge_l"] == perfect["exact_match"] == 1
    assert Texts().compute() == {}
    empty = figures(["", "", ""], ["a", "", "b"])
    assert empty["bleu"] == 0
    assert empty["exact_match"] == pytest.approx(1 / 3)
