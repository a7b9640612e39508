"""What the benches of language make of texts and of what their sides answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))

import language_torch
import translation_torch

from bench import language_model
from bench.child import Child
from bench.peers.texts_scores import bleu, rouge
from bench.summaries import first_sentence


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two.", "One."),
        ("Version 1.2 of it! More", "Version 1.2 of it!"),
        ("No end here\n\nAnother. One", "No end here"),
        ("over\nlines. Next", "over\nlines."),
        ("whole", "whole"),
        ("", ""),
    ],
)
def test_the_first_sentence_ends_with_a_sign_or_the_paragraph(text: str, first: str):
    assert first_sentence(text) == first


def test_scores_run_from_0_to_100():
    said, true = ["the cat sat on the mat", "a b c d"], ["the cat sat on the mat", "a b e f"]
    assert bleu(true, true)["score"] == pytest.approx(100)
    assert rouge(true, true)["score"] == pytest.approx(100)
    assert rouge(said, true)["score"] == pytest.approx(75)  # 1 and 2 of 4 words
    assert 0 < bleu(said, true)["score"] < 100


def test_the_peer_judges_every_character_once(monkeypatch: pytest.MonkeyPatch):
    net = language_torch.GPT(7)
    text = torch.randint(7, (2 * language_torch.WINDOW + 30,))
    seen = []

    def each(x: torch.Tensor, y: torch.Tensor, each: bool) -> torch.Tensor:
        seen.append((x[0], y[0]))
        return torch.ones(y.numel())

    monkeypatch.setattr(net, "forward", each)
    assert language_torch.judge(net, text, torch.tensor([3])) == 1.0
    assert torch.equal(torch.cat([y for _, y in seen]), text)
    assert torch.equal(torch.cat([x for x, _ in seen]), torch.cat([torch.tensor([3]), text[:-1]]))


def test_the_peer_sees_nothing_that_comes_later():
    torch.manual_seed(0)
    net, x, y = language_torch.GPT(7), torch.randint(7, (1, 8)), torch.randint(7, (1, 8))
    other = x.clone()
    other[0, 5:] = (x[0, 5:] + 1) % 7
    with torch.inference_mode():
        before, after = net(x, y, each=True), net(other, y, each=True)
    torch.testing.assert_close(before[:5], after[:5])
    assert not torch.allclose(before[5:], after[5:])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_the_translator_writes_each_row_as_if_it_were_alone():
    torch.manual_seed(0)
    net = translation_torch.Translator(20).eval()
    rows = [[1, 5, 6, 7, 2], [1, 9, 2], [1, 11, 12, 2]]
    together = translation_torch.written(net, rows, 6)
    assert together == [translation_torch.written(net, [row], 6)[0] for row in rows]
    assert all(token > translation_torch.END for row in together for token in row)


def _answer(**seen: object) -> Child:
    usual = {"seconds": 10.0, "training": 9.0, "steps": 5.0, "parameters": 1, "rss": 1.0, "threads": 1}
    return Child([usual | {"characters": 9, "points": [[0, 0], [1, 10], [2, 20]], "compiled": "no"} | seen], 1.0, 0.0)


def test_losses_are_compared_only_where_as_many_characters_count():
    low, high = _answer(loss=1.0).last, _answer(loss=2.0).last
    assert "**met**" in language_model._losses(low, high)
    assert "**MISSED**" in language_model._losses(high, low)
    assert "**MISSED**" in language_model._losses(low | {"seconds": 11.0}, high)
    assert "not judged" in language_model._losses(low | {"characters": 8}, high)


def test_tokens_a_second_are_medians_of_either_form():
    assert language_model._pace(_answer()) == 10.0
    assert language_model._pace(_answer(paces=json.loads("[1.0, 3.0, 2.0]"))) == 2.0
