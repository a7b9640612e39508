"""Encoders, fuse and heads as one task: members, missing targets, shares, figures."""

from __future__ import annotations

import pytest
import torch
from descriptors import NUMBERS, SCALAR, SETS, SMALL, TEXT, sample

from ranvier.core.errors import PlanError
from ranvier.core.plan import InputPlan, Plan
from ranvier.core.protocols import Batch, Features, Fuse, Value
from ranvier.encoders.fuse import Concat, MLPFuse, TabMFuse
from ranvier.encoders.number import NumberEncoder
from ranvier.encoders.rnn import GRUEncoder
from ranvier.heads.category import CategoryHead
from ranvier.heads.number import NumberHead
from ranvier.heads.set import SetHead
from ranvier.tasks.build import groups
from ranvier.tasks.columns import ColumnsTask

ROWS = 12


def task(fuse=MLPFuse, shares=(1.0, 1.0), **options) -> ColumnsTask:
    torch.manual_seed(0)
    encoder = NumberEncoder(NUMBERS, embedding="none")
    joined = fuse({"x": encoder.width}, **options)
    heads = {"kind": CategoryHead(SMALL, joined.width), "amount": NumberHead(SCALAR, joined.width)}
    return ColumnsTask({"x": encoder}, joined, heads, dict(zip(heads, shares, strict=True))).eval()


def batch(rows=ROWS) -> Batch:
    targets = {"kind": Value(torch.randint(SMALL.size, (rows,))), "amount": sample(SCALAR, rows, gaps=False)}
    return Batch(rows, {"x": sample(NUMBERS, rows)}, targets)


class Once:
    """A source of given batches."""

    exact = True

    def __init__(self, *batches):
        self.batches, self.steps = batches, len(batches)

    def batch(self, step):
        return self.batches[step]


def test_a_missing_target_leaves_no_trace_in_loss_gradient_or_figures():
    net, whole = task(), batch()
    gone = torch.arange(ROWS) % 3 == 0
    amount = whole.targets["amount"].data.clone()
    amount[gone] = float("nan")
    whole.targets["amount"] = Value(amount, observed=~gone)
    (phase,) = net.phases
    losses, counts = phase.loss(whole), phase.count(whole)
    assert (losses["amount"][gone] == 0).all()
    assert counts["amount"].tolist() == (~gone).float().tolist()
    assert (losses["kind"] > 0).all()
    sum(x.sum() for x in losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in phase.params if p.grad is not None)
    kept = whole.map(lambda t: t[~gone], int((~gone).sum()))
    only, all_rows = net.validate(Once(kept)), net.validate(Once(whole))
    for name in ("amount/loss", "amount/rmse"):
        assert all_rows[name] == pytest.approx(only[name], rel=1e-5)


def test_shares_weigh_the_terms():
    plain, weighed, rows = task(), task(shares=(1.0, 3.0)), batch()
    one, three = plain.phases[0].loss(rows), weighed.phases[0].loss(rows)
    torch.testing.assert_close(three["amount"], 3 * one["amount"])
    torch.testing.assert_close(three["kind"], one["kind"])
    figures = weighed.validate(Once(rows))
    assert figures["loss"] == pytest.approx(figures["kind/loss"] + 3 * figures["amount/loss"], rel=1e-5)


def test_validation_does_not_depend_on_the_batches():
    net, rows = task(TabMFuse, members=3), batch()
    rows.weight = torch.rand(ROWS)
    whole, cut = net.validate(Once(rows)), net.validate(Once(*rows.split(5)))
    assert whole.keys() == cut.keys()
    for name in whole:
        assert cut[name] == pytest.approx(whole[name], rel=1e-4), name


def test_members_answers_are_averaged_in_the_loss_and_in_predictions():
    net, rows = task(TabMFuse, members=3), batch()
    features = net.features(rows)
    assert features.members == 3
    assert features.vector.shape[0] == 3 * ROWS
    probs = net.heads[0].predict(features)["probs"].view(ROWS, 3, -1)
    torch.testing.assert_close(net.predict(rows)["kind"]["probs"], probs.mean(1))
    losses = torch.nn.functional.cross_entropy(
        probs.log().flatten(0, 1), rows.targets["kind"].data.repeat_interleave(3), reduction="none"
    )
    torch.testing.assert_close(net.phases[0].loss(rows)["kind"], losses.view(ROWS, 3).mean(1), rtol=1e-4, atol=1e-5)
    assert net.embed(rows).shape == (ROWS, net.fuse.width)


def test_one_target_has_figures_without_its_name():
    encoder = NumberEncoder(NUMBERS, embedding="none")
    head = SetHead(SETS, encoder.width)
    net = ColumnsTask({"x": encoder}, Concat({"x": encoder.width}), {"tags": head}, {"tags": 1.0})
    rows = Batch(ROWS, {"x": sample(NUMBERS, ROWS)}, {"tags": sample(SETS, ROWS)})
    figures = net.validate(Once(rows))
    assert "loss" in figures
    assert not any("/" in name for name in figures)


def test_every_parameter_is_in_the_phase_once():
    net = task()
    (phase,) = net.phases
    assert len(phase.params) == len({id(p) for p in phase.params}) == len(list(net.parameters()))
    assert phase.splits


def test_a_phase_cannot_split_where_an_encoder_lets_rows_see_one_another():
    class Together(NumberEncoder):
        splits = False

    encoder = Together(NUMBERS, embedding="none")
    head = SetHead(SETS, encoder.width)
    net = ColumnsTask({"x": encoder}, Concat({"x": encoder.width}), {"tags": head}, {"tags": 1.0})
    assert not net.phases[0].splits
    assert list(net.parts()) == ["encoder of 'x'", "fuse", "head of 'tags'"]


def test_a_network_without_a_vector_embeds_nothing():
    class Silent(Fuse):
        width = 3

        def forward(self, parts, needs):
            return Features(ROWS)

    net = task()
    net.fuse = Silent()
    with pytest.raises(PlanError, match="no vector"):
        net.embed(batch())


class Reading(SetHead):
    """Sees the inputs' own tokens as well."""

    welcomes = frozenset({"tokens"})


def test_what_a_head_welcomes_is_asked_of_encoders_and_not_of_the_fuse():
    encoders = {"x": NumberEncoder(NUMBERS, embedding="none"), "text": GRUEncoder(TEXT, width=8, embedding=8)}
    widths = {name: encoder.width for name, encoder in encoders.items()}
    fuse = MLPFuse(widths)
    net = ColumnsTask(encoders, fuse, {"tags": Reading(SETS, fuse.width)}, {"tags": 1.0}).eval()
    rows = Batch(ROWS, {"x": sample(NUMBERS, ROWS), "text": sample(TEXT, ROWS)})
    features = net.features(rows)
    assert net.needs == {"vector", "tokens"}
    assert features.tokens is None
    assert features.vector.shape == (ROWS, fuse.width)
    assert features.parts["text"].tokens.data.shape[2] == widths["text"]


def test_columns_of_equal_options_travel_together():
    plan = Plan(
        inputs={
            "a": InputPlan(encoder={"name": "number", "bins": 3}),
            "text": InputPlan(encoder="bag"),
            "b": InputPlan(encoder={"bins": 3, "name": "number"}),
            "c": InputPlan(encoder={"name": "number", "bins": 4}),
            "[number]": InputPlan(encoder="bag"),
        }
    )
    assert groups(plan) == {
        "[number] 2": ["a", "b"],
        "text": ["text"],
        "[number] 3": ["c"],
        "[number]": ["[number]"],
    }


@pytest.mark.parametrize("draws", [False, True])
def test_ways_of_a_head_are_its_own_unless_it_draws(monkeypatch, draws):
    net, told = task(), {}

    def predict(self, f, **how):
        told[type(self)] = set(how)
        return {}

    for head in (CategoryHead, NumberHead):
        monkeypatch.setattr(head, "predict", predict)
    monkeypatch.setattr(NumberHead, "ways", ("temperature",))
    monkeypatch.setattr(NumberHead, "draws", draws)
    net.predict(batch(), temperature=2.0, seed=1)
    assert told[NumberHead] == {"temperature", "seed"}
    assert told[CategoryHead] == ({"temperature", "seed"} if draws else {"seed"})
