from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Value
from ranvier.core.schema import defaults_of
from ranvier.core.spec import Spec
from ranvier.encoders.rnn import GRUEncoder, LSTMEncoder, RNNEncoder
from ranvier.encoders.tokens import TokenReader, TokenViews
from ranvier.encoders.transformer import TransformerEncoder

ENCODERS = [RNNEncoder, LSTMEncoder, GRUEncoder, TransformerEncoder]
SPEC = Spec("tokens", (None,), 20, "char")
BOTH = frozenset({"vector", "tokens"})
VECTOR = frozenset({"vector"})


def texts(*lengths: int, steps: int = 0, **more: torch.Tensor) -> Value:
    steps = steps or max(lengths)
    mask = torch.arange(steps) < torch.tensor(lengths)[:, None]
    ids = torch.randint(20, (len(lengths), steps), generator=torch.Generator().manual_seed(1))
    return Value(ids.masked_fill(~mask, 0), mask, **more)


def calm(kind, **options):
    """Without dropout, in float64, small."""
    return kind(SPEC, **{"width": 8, "dropout": 0.0, "word_dropout": 0.0, **options}).double()


@pytest.mark.parametrize("pool", ["mean", "max", "last", "attention"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_changes_nothing(kind, pool):
    encoder = calm(kind, pool=pool)
    value = texts(6, 2, 0, 4)
    long = Value(*(nn.functional.pad(t, (0, 3)) for t in (value.data, value.mask)))
    long.data[:, 6:] = 7
    short, padded = encoder(value, BOTH), encoder(long, BOTH)
    torch.testing.assert_close(padded.vector, short.vector)
    torch.testing.assert_close(padded.tokens.data[:, :6], short.tokens.data)
    alone = encoder(Value(value.data[1:2, :2]), BOTH)
    torch.testing.assert_close(alone.vector[0], short.vector[1])
    torch.testing.assert_close(alone.tokens.data[0], short.tokens.data[1, :2])
    assert alone.tokens.mask.all()


@pytest.mark.parametrize("kind", ENCODERS)
def test_only_the_views_asked_for(kind):
    encoder, value = calm(kind), texts(3, 2)
    assert encoder(value, VECTOR).tokens is None
    assert encoder(value, frozenset({"tokens"})).vector is None
    assert encoder(value, VECTOR).vector.shape == (2, encoder.width)


@pytest.mark.parametrize("kind", ENCODERS)
def test_missing_rows_and_empty_texts(kind):
    encoder = calm(kind)
    f = encoder(texts(3, 0, 0, observed=torch.tensor([True, True, False])), BOTH)
    assert torch.equal(f.vector[2], encoder.give.missing.vector)
    assert not torch.equal(f.vector[1], f.vector[2])
    assert f.tokens.mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert torch.equal(f.tokens.data[2, 0], encoder.give.missing.vector)
    nothing = encoder(Value(torch.zeros(2, 0, dtype=torch.int32), torch.zeros(2, 0, dtype=torch.bool)), BOTH)
    assert nothing.vector.isfinite().all()
    assert nothing.tokens.data.shape == (2, 1, 8)
    assert not nothing.tokens.mask.any()


@pytest.mark.parametrize("kind", ENCODERS)
def test_descriptors(kind):
    encoder = kind(SPEC, width=8, pool="attention")
    value = texts(5, 0, 3, 4, observed=torch.tensor([True, True, False, True]))
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(value, VECTOR).vector.isfinite().all()
    weights = torch.randn(4, 8)
    for _ in range(4):  # dropout may hide a path once
        f = encoder(Value(torch.arange(20).view(4, 5), value.mask, value.observed), BOTH)
        ((f.vector * weights).sum() + f.tokens.data.square().sum()).backward()
    assert all(p.grad is not None and p.grad.any() and p.grad.isfinite().all() for p in encoder.parameters())
    twin = kind(SPEC, width=8, pool="attention")
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(value, VECTOR).vector, twin.eval()(value, VECTOR).vector)


@pytest.mark.parametrize("kind", ENCODERS)
def test_overfits_one_batch(kind):
    encoder = kind(SPEC, width=16, dropout=0.0, word_dropout=0.0)
    out, value = nn.Linear(16, 2), texts(*range(1, 5))
    answers = torch.tensor([0, 1] * 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *out.parameters()], 0.02)
    for _ in range(40):
        loss = nn.functional.cross_entropy(out(encoder(value, VECTOR).vector), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


@pytest.mark.parametrize("kind", ENCODERS)
def test_choices_cover_every_auto_and_build(kind):
    for size in ("s", "m", "l"):
        facts = Facts(rows=1000, size=size)
        chosen = kind.choose(SPEC, facts)
        assert {name for name, default in defaults_of(kind).items() if default == "auto"} <= set(chosen)
        assert set(chosen) <= set(defaults_of(kind))
        encoder = kind(SPEC, **{name: value for name, (value, _) in chosen.items()})
        assert encoder(texts(3, 1), VECTOR).vector.shape == (2, encoder.width)
        assert {"optimizer", "rate", "epochs", "batch", "schedule"} <= set(kind.recipe(SPEC, facts))
    assert 0.3 <= kind.suits(SPEC, facts)[0] <= 0.6
    assert kind.suits(Spec("scalar"), facts)[0] == 0
    with pytest.raises(PlanError, match="this one is 'scalar'"):
        kind(Spec("scalar"))


def test_reader_limits_and_hides():
    reader = TokenReader(20, 4, word_dropout=0.5, limit=3)
    value = texts(6, 2, spans=torch.arange(24).view(2, 6, 2))
    read = reader(value)
    assert read.data.shape == (2, 3, 4)
    assert read.mask.tolist() == [[True] * 3, [True, True, False]]
    assert torch.equal(read.spans, value.spans[:, :3])
    ids = torch.zeros(50, 40, dtype=torch.uint8)
    hidden = ~TokenReader(20, 4, word_dropout=0.5)(Value(ids)).data.any(-1)
    assert 0.45 < hidden.float().mean() < 0.55
    assert TokenReader(20, 4, word_dropout=0.5).eval()(Value(ids)).data.any(-1).all()


def test_tokens_tell_their_ids_but_those_of_missing_rows():
    views = TokenViews(4)
    ids, observed = torch.tensor([[5, 6], [0, 0]]), torch.tensor([True, False])
    tokens = Value(torch.randn(2, 2, 4), ids > 0, observed, None, ids)
    assert views(tokens, frozenset({"tokens"})).tokens.ids.tolist() == [[5, 6], [-1, -1]]


def test_few_rows_are_seen_more_often():
    for rows in (100, 400, 1_600, 10_000, 45_000, 10**6):
        recipe = {name: value for name, (value, _) in LSTMEncoder.recipe(SPEC, Facts(rows=rows)).items()}
        steps, epochs = recipe["epochs"] * rows / recipe["batch"], recipe["epochs"]
        assert steps >= 1_000 or epochs == 40
        assert 4 <= epochs <= 40
        assert epochs <= 6 or steps <= 1_100
