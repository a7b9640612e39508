"""Fuses join any inputs and keep them apart as parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.schema import check_options, options_of
from ranvier.core.spec import Spec
from ranvier.encoders.fuse import Concat, MLPFuse, TabMFuse

VECTOR = frozenset({"vector"})
TABLE = Spec("row", parts=(Spec("scalar", (2,)), Spec("index", size=3)))
TEXT = Spec("row", parts=(Spec("tokens", (None,), 100),))


def inputs(rows: int = 5) -> dict[str, Features]:
    mask = torch.arange(6) < torch.randint(1, 7, (rows, 1))
    tokens = Value(torch.randn(rows, 6, 8), mask=mask)
    return {"numbers": Features(rows, torch.randn(rows, 3)), "text": Features(rows, tokens=tokens)}


def test_tokens_are_pooled_without_their_padding():
    tokens = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, False, True], [False] * 3])
    pooled = Features(2, tokens=Value(tokens, mask=mask)).as_vector()
    torch.testing.assert_close(pooled[0], (tokens[0, 0] + tokens[0, 2]) / 2)
    assert (pooled[1] == 0).all()
    torch.testing.assert_close(Features(2, tokens=Value(tokens)).as_vector(), tokens.mean(1))


def test_maps_alone_are_refused():
    with pytest.raises(PlanError, match="maps only"):
        Features(2, maps=((torch.randn(2, 3, 4, 4), 1),)).as_vector()


@pytest.mark.parametrize("fuse", [Concat, MLPFuse, TabMFuse])
def test_widths_members_parts_and_gradient(fuse):
    net, parts = fuse({"numbers": 3, "text": 8}), inputs()
    f = net(parts, VECTOR)
    assert f.vector.shape == (5 * f.members, net.width)
    assert f.size == 5 * f.members
    assert f.parts is parts
    if fuse is not Concat:
        f.vector.pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("options", [{"activation": "selu"}, {"norm": "batch", "init": "orthogonal"}, {"norm": "rms"}])
def test_options_reach_the_mlp(options):
    net, parts = MLPFuse({"numbers": 3, "text": 8}, layer_width=16, dropout=0.0, **options), inputs()
    f = net(parts, VECTOR)
    assert f.vector.shape == (5, 16)
    assert net.splits == (options.get("norm") != "batch")
    (f.vector * torch.randn_like(f.vector)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    expected = {"selu": nn.SELU}.get(options.get("activation"), nn.ReLU)
    assert sum(isinstance(m, expected) for m in net.modules()) == 2


def test_members_take_any_activation():
    net = TabMFuse({"numbers": 3, "text": 8}, members=2, layer_width=6, activation="glu")
    assert net(inputs(), VECTOR).vector.shape == (10, 6)
    assert net.net.layers[0].weight.shape == (12, 11)


def test_concat_passes_a_single_input_with_all_its_views():
    parts = {"text": inputs()["text"]}
    f = Concat({"text": 8})(parts, frozenset({"tokens"}))
    assert f.tokens is parts["text"].tokens
    assert f.vector is None
    assert Concat({"text": 8})(parts, VECTOR).vector.shape == (5, 8)


def test_concat_puts_tokens_of_several_inputs_after_one_another():
    parts = inputs()
    f = Concat({"numbers": 3, "text": 8})(parts, frozenset({"tokens", "vector"}))
    assert f.tokens.data.shape == (5, 7, 11)
    torch.testing.assert_close(f.tokens.data[:, 0, :3], parts["numbers"].vector)
    torch.testing.assert_close(f.tokens.data[:, 1:, 3:], parts["text"].tokens.data)
    assert (f.tokens.data[:, 0, 3:] == 0).all()
    assert (f.tokens.data[:, 1:, :3] == 0).all()
    assert f.tokens.mask[:, 0].all()
    assert torch.equal(f.tokens.mask[:, 1:], parts["text"].tokens.mask)
    assert f.vector.shape == (5, 11)


def test_concat_refuses_maps_of_several_inputs():
    with pytest.raises(PlanError, match="maps of 2 inputs"):
        Concat({"numbers": 3, "text": 8})(inputs(), frozenset({"maps"}))


def test_every_view_becomes_tokens():
    vector, maps = torch.randn(2, 5), torch.randn(2, 5, 3, 4)
    assert torch.equal(Features(2, vector).as_tokens().data, vector[:, None])
    tokens = Features(2, vector, maps=((torch.randn(2, 5, 6, 8), 1), (maps, 2))).as_tokens()
    assert tokens.data.shape == (2, 12, 5)
    assert torch.equal(tokens.data[:, 7], maps[:, :, 1, 3])
    assert tokens.mask.all()


def test_what_reads_tokens_is_not_joined_by_vectors():
    facts = Facts(1000, views=frozenset({"tokens"}))
    assert max((Concat, MLPFuse, TabMFuse), key=lambda fuse: fuse.suits(TABLE, facts)[0]) is Concat
    assert MLPFuse.suits(TABLE, facts)[0] == TabMFuse.suits(TABLE, facts)[0] == 0


def test_members_of_a_row_are_adjacent():
    net, parts = TabMFuse({"numbers": 3, "text": 8}, members=4), inputs()
    net.eval()
    f = net(parts, VECTOR)
    row = {
        "numbers": Features(1, parts["numbers"].vector[1:2]),
        "text": Features(1, tokens=parts["text"].tokens.map(lambda t: t[1:2])),
    }
    one = net(row, VECTOR)
    torch.testing.assert_close(one.vector, f.vector[4:8])


@pytest.mark.parametrize("fuse", [Concat, MLPFuse, TabMFuse])
def test_choices_fit_the_schema(fuse):
    options_of(fuse)
    for rows in (100, 1_500, 5_000, 30_000, 1_000_000):
        for outcome in ("classes", "numbers", "mixed"):
            facts = Facts(rows, inputs=10, outcome=outcome)
            chosen = {name: value for name, (value, _) in fuse.choose(TABLE, facts).items()}
            assert check_options(fuse, chosen, "fuse") == chosen


def test_tables_are_joined_by_the_ensemble_and_a_lone_text_passes():
    facts = Facts(1000)
    fuses = (Concat, MLPFuse, TabMFuse)
    assert max(fuses, key=lambda fuse: fuse.suits(TABLE, facts)[0]) is TabMFuse
    assert max(fuses, key=lambda fuse: fuse.suits(TEXT, facts)[0]) is Concat


@pytest.mark.parametrize("rows", [1, 20, 150, 1_000, 5_000, 30_000, 10_000_000])
def test_the_recipe_of_tables_is_a_bounded_run_for_any_number_of_rows(rows):
    recipe = {name: value for name, (value, _) in TabMFuse.recipe(TABLE, Facts(rows)).items()}
    assert 1 <= recipe["batch"] <= max(1, rows)
    steps = recipe["epochs"] * rows / recipe["batch"]
    assert 250 <= steps <= 62_000 or rows >= 10_000_000
    assert recipe["refit"] is (rows < 60_000)
    assert TabMFuse.recipe(TEXT, Facts(rows)) == {}
