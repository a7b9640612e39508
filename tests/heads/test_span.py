"""The head of answers: its loss by hand, alignment by spans, no answer, the question, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Spec
from ranvier.encoders.fuse import Concat
from ranvier.heads.span import SpanHead

SPAN = Spec("span", (2,), 0, "char")
# "我 cafe" : three bytes of one sign, a space, two tokens of a word, padding
SPANS = torch.tensor([[0, 1], [0, 1], [0, 1], [2, 2], [2, 4], [4, 6], [0, 0]])
TOKENS = ("passage", 7), ("question", 3)


def parts(rows=2, passage=6, question=3) -> dict[str, Features]:
    torch.manual_seed(0)
    made = {}
    for name, tokens, real, width in (("question", 3, question, 4), ("passage", 7, passage, 6)):
        mask = (torch.arange(tokens) < real).expand(rows, -1)
        spans = SPANS.expand(rows, -1, -1) if name == "passage" else None
        made[name] = Features(rows, tokens=Value(torch.randn(rows, tokens, width), mask, None, spans))
    return made


def fused(made: dict[str, Features]) -> Features:
    widths = {name: part.tokens.data.shape[2] for name, part in made.items()}
    return Concat(widths)(made, frozenset({"tokens"}))


def head_with(start, end, none=(0.0, 0.0), **options) -> SpanHead:
    """A head whose scores are these, whatever it reads."""
    head = SpanHead(SPAN, 10, None, of="passage", **options).eval()
    known = torch.tensor([start, end], dtype=torch.float32).T
    head.out.forward = lambda x: known.expand(len(x), -1, -1)
    head.none.forward = lambda x: torch.tensor(none).expand(len(x), -1)
    return head


def test_the_loss_by_hand():
    start, end = [0.5, 2.0, 0.1, 9.0, 1.0, 0.3, 9.0], [0.2, 0.4, 1.5, 9.0, 0.6, 2.0, 9.0]
    head, f = head_with(start, end, (0.7, -0.2)), fused(parts(4))
    y = Value(torch.tensor([[0, 1], [2, 6], [-1, -1], [8, 9]]))
    able = [0, 1, 2, 4, 5]  # the white space and the padding are no places
    of_start = math.log(sum(math.exp(s) for s in [0.7, *(start[i] for i in able)]))
    of_end = math.log(sum(math.exp(s) for s in [-0.2, *(end[i] for i in able)]))
    wanted = [of_start - 0.5 + of_end - 1.5, of_start - 1.0 + of_end - 2.0, of_start - 0.7 + of_end + 0.2, 0.0]
    torch.testing.assert_close(head.loss("main", f, y), torch.tensor(wanted))
    assert head.count(y).tolist() == [1] * 4


def test_predictions_are_characters():
    start, end = [0.0, 0.0, 0.0, 50.0, 20.0, 0.0, 50.0], [0.0, 0.0, 0.0, 50.0, 0.0, 20.0, 50.0]
    said = head_with(start, end).predict(fused(parts()))
    assert said["start"].tolist() == [2, 2]
    assert said["end"].tolist() == [6, 6]
    torch.testing.assert_close(said["confidence"], torch.ones(2))
    short = head_with(start, end, longest=1).predict(fused(parts()))
    assert (short["end"] - short["start"]).max() <= 2
    none = head_with(start, end, (30.0, 30.0)).predict(fused(parts()))
    assert none["start"].tolist() == none["end"].tolist() == [-1, -1]
    torch.testing.assert_close(none["confidence"], torch.ones(2), atol=1e-3, rtol=0)


def test_a_passage_without_tokens_has_no_answer():
    made = parts(passage=0)
    made["passage"].tokens.observed = torch.tensor([True, False])
    said = SpanHead(SPAN, 10, None, of="passage", others=True).eval().predict(fused(made))
    assert said["start"].tolist() == [-1, -1]
    assert said["confidence"].tolist() == [1.0, 1.0]


def test_the_passage_sees_the_question_and_no_padding():
    head, made = SpanHead(SPAN, 10, None, of="passage", others=True).eval(), parts()
    torch.nn.init.normal_(head.out.weight)
    one = head._scores(fused(made))[0]
    made["passage"].tokens.data[:, 6] += 1
    torch.testing.assert_close(head._scores(fused(made))[0], one)
    made["question"].tokens.data[0] += torch.randn(3, 4)
    other = head._scores(fused(made))[0]
    assert not torch.allclose(other[0], one[0], atol=1e-3)
    torch.testing.assert_close(other[1], one[1])
    deaf = SpanHead(SPAN, 10, None, of="passage", others=False).eval()
    before = deaf._scores(fused(made))[0]
    made["question"].tokens.data[0] += 1
    torch.testing.assert_close(deaf._scores(fused(made))[0], before)


def test_gradient_reaches_every_parameter_with_a_question():
    head = SpanHead(SPAN, 10, None, of="passage", others=True)
    head.loss("main", fused(parts()), Value(torch.tensor([[0, 1], [-1, -1]]))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_the_passage_is_the_only_text_or_the_longest():
    one = Facts(rows=10, inputs=2, units={"a": "row", "p": "char"}, characters={"p": 9})
    two = Facts(rows=10, inputs=2, units={"q": "char", "p": "char"}, characters={"q": 5, "p": 90})
    assert SpanHead.choose(SPAN, one)["of"] == ("p", "the only text among the inputs")
    assert SpanHead.choose(SPAN, two)["of"] == ("p", "the longest text among the inputs, 90 characters")
    assert SpanHead.choose(SPAN, Facts(rows=10, inputs=1))["others"][0] is False
    with pytest.raises(PlanError, match="a text that is an input; there is none"):
        SpanHead.choose(SPAN, Facts(rows=10, units={"a": "row"}))


@pytest.mark.parametrize("options", [{"layer_width": 30}, {"depth": 0}, {"longest": 0}, {"dropout": 1.0}])
def test_what_no_head_can_be_is_refused(options):
    with pytest.raises(PlanError):
        SpanHead(SPAN, 10, None, **options)


def test_no_such_passage():
    with pytest.raises(PlanError, match="of = 'text' is no input; one of 'question', 'passage'"):
        SpanHead(SPAN, 10, None, of="text").predict(fused(parts()))
    with pytest.raises(PlanError, match="kind 'span'"):
        SpanHead(Spec("index", (), 3), 10, None)
