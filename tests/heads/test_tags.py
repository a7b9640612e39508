"""The head of tags: alignment by spans, both losses, what training never saw, and what IOB2 bars."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.tags import TagsHead, first_of_words

FREE = Spec("tags", (None,), 3, "word", labels=("a", "b", "c"))
IOB = Spec("tags", (None,), 3, "word", labels=("B-x", "I-x", "O"))


def features(lengths=(4, 2, 0)) -> Features:
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    return Features(len(lengths), tokens=Value(torch.randn(len(lengths), 4, 6), mask))


def truth(codes, lengths=(4, 2, 0)) -> Value:
    return Value(torch.tensor(codes), torch.arange(len(codes[0])) < torch.tensor(lengths)[:, None])


@pytest.mark.parametrize("crf", [False, True])
def test_knowing_nothing_costs_log_c_a_word(crf):
    head = TagsHead(FREE, 6, None, crf=crf)
    torch.nn.init.zeros_(head.out.weight)
    y = truth([[0, 1, 2, 0], [1, 1, 0, 0], [0] * 4])
    torch.testing.assert_close(head.loss("main", features(), y), head.count(y) * np.log(3))
    assert head.count(y).tolist() == [4, 2, 0]


@pytest.mark.parametrize(("crf", "counted"), [(False, [3, 2, 0]), (True, [0, 2, 0])])
def test_an_unseen_label_teaches_nothing(crf, counted):
    head, f = TagsHead(FREE, 6, None, crf=crf), features()
    y = truth([[0, 3, 2, 0], [1, 1, 0, 0], [0] * 4])
    assert head.count(y).tolist() == counted
    other = truth([[0, 3, 2, 0], [1, 1, 2, 2], [1] * 4])
    assert torch.equal(head.loss("main", f, y), head.loss("main", f, other))
    assert head.loss("main", f, y).isfinite().all()


def test_words_are_their_first_tokens():
    x = torch.arange(2 * 5).view(2, 5, 1).float()
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    word = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 1, 0, 0]])
    spans = torch.stack([word, word + 1], 2)
    words, there = first_of_words(x, mask, spans)
    assert words[0, :, 0].tolist() == [0, 2, 3]
    assert words[1, :2, 0].tolist() == [5, 6]
    assert there.tolist() == [[True] * 3, [True, True, False]]
    empty, none = first_of_words(x[:, :0], mask[:, :0], spans[:, :0])
    assert empty.shape == (2, 0, 1)
    assert none.shape == (2, 0)


def test_tokens_of_no_word_are_left_out():
    x, mask = torch.arange(6).view(1, 6, 1).float(), torch.tensor([[True] * 5 + [False]])
    spans = torch.tensor([[[0, 0], [0, 1], [0, 1], [1, 2], [2, 2], [0, 0]]])
    words, there = first_of_words(x, mask, spans)
    assert words[0, :, 0].tolist() == [1, 3]
    assert there.tolist() == [[True, True]]


def test_spans_of_subwords_give_the_loss_of_their_first_tokens():
    head = TagsHead(FREE, 6, None)
    x, mask = torch.randn(1, 4, 6), torch.ones(1, 4, dtype=torch.bool)
    spans = torch.tensor([[[0, 1], [0, 1], [1, 2], [2, 3]]])
    divided = Features(1, tokens=Value(x, mask, None, spans))
    plain = Features(1, tokens=Value(x[:, [0, 2, 3]], mask[:, :3]))
    y = Value(torch.tensor([[2, 0, 1]]), torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(head.loss("main", divided, y), head.loss("main", plain, y))
    assert head.predict(divided)["tags"].shape == (1, 3)


def test_predictions_keep_to_iob2_and_are_sure_as_marginals_are():
    head, f = TagsHead(IOB, 6, None), features((4, 3, 2))
    torch.nn.init.normal_(head.out.weight, std=5)
    said = head.predict(f)
    tags, mask = said["tags"], said["mask"]
    assert mask.sum(1).tolist() == [4, 3, 2]
    assert (tags[:, 0] != 1).all()
    assert not ((tags[:, :-1] == 2) & (tags[:, 1:] == 1) & mask[:, 1:]).any()
    assert ((said["confidence"] > 0) & (said["confidence"] <= 1))[mask].all()


def test_a_missing_row_has_no_words():
    head = TagsHead(FREE, 6, None)
    f = features((2, 1, 1))
    f.tokens.observed = torch.tensor([True, True, False])
    assert head.predict(f)["mask"].sum(1).tolist() == [2, 1, 0]


def test_truth_that_breaks_iob2_is_refused_with_its_place():
    head = TagsHead(IOB, 6, None)

    def said(codes, offsets):
        return head.refuses(Encoded(np.array(codes), np.ones(len(offsets) - 1, bool), np.array(offsets)))

    assert said([0, 1, 2, 0, 1], [0, 3, 3, 5]) == ""
    assert said([3, 1], [0, 2]) == ""  # what comes before is not known
    assert "row 2 has I-x at its beginning" in said([0, 1, 2, 1, 1], [0, 3, 3, 5])
    assert "row 0 has I-x after O" in said([2, 1], [0, 2])
    assert (
        TagsHead(IOB, 6, None, constrained=False).refuses(Encoded(np.array([2, 1]), np.ones(1, bool), np.array([0, 2])))
        == ""
    )
    assert (
        TagsHead(IOB, 6, None, crf=False).refuses(Encoded(np.array([2, 1]), np.ones(1, bool), np.array([0, 2]))) == ""
    )


def test_the_reference_is_the_only_input_of_words():
    facts = Facts(100, units={"text": "char", "tokens": "word"})
    assert TagsHead.choose(FREE, facts)["of"][0] == "tokens"
    with pytest.raises(PlanError, match="there is none"):
        TagsHead.choose(FREE, Facts(100, units={"text": "char"}))
    with pytest.raises(PlanError, match="'a', 'b': name one"):
        TagsHead.choose(FREE, Facts(100, units={"a": "word", "b": "word"}))


def test_encoders_without_tokens_are_refused():
    with pytest.raises(PlanError, match="tokens of the column of words"):
        TagsHead(FREE, 6, None).predict(Features(2, torch.randn(2, 6)))
    with pytest.raises(PlanError, match="kind 'tags'"):
        TagsHead(Spec("index", (), 3), 6, None)
