"""Laws that hold for every part, and those of encoders, run over the tables of `descriptors.py`."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch
from descriptors import (
    AUGMENTS,
    ENCODERS,
    FUSES,
    HEADS,
    MIXES,
    NETS,
    NOT_NETS,
    OPTIMIZERS,
    ROWS,
    SMALL,
    TABLES,
    TOKENS,
    sample,
)
from torch import Tensor

from ranvier import nets
from ranvier.core.facts import Facts
from ranvier.core.plan import TrainPlan
from ranvier.core.protocols import Batch, Features, Value
from ranvier.core.registry import TABLES as REGISTRY
from ranvier.core.registry import lookup
from ranvier.core.schema import AUTO, check_options, defaults_of, options_of
from ranvier.encoders.fuse import Concat
from ranvier.heads.category import CategoryHead
from ranvier.tasks.columns import ColumnsTask
from ranvier.train.engine import Engine
from ranvier.train.optimizers import RATES
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

VECTOR = frozenset({"vector"})
FACTS = [Facts(rows=rows, size=size, length=50) for rows in (50, 5_000, 500_000) for size in ("s", "m", "l")]
PARTS = [("encoder", n) for n in ENCODERS] + [("fuse", n) for n in FUSES] + [("head", n) for n in HEADS]
PARTS += [("augment", n) for n in AUGMENTS] + [("mix", n) for n in MIXES]
ENCODER_SPECS = [pytest.param(n, s, id=f"{n}-{s.kind}-{len(s.parts)}") for n, r in ENCODERS.items() for s in r.specs]


# ---- tables and schemas


@pytest.mark.parametrize("kind", sorted(REGISTRY))
def test_every_registered_name_has_a_row_and_every_row_is_registered(kind):
    assert sorted(TABLES[kind]) == sorted(REGISTRY[kind])


def test_every_public_network_has_a_row():
    assert sorted([*NETS, *NOT_NETS]) == sorted(nets.__all__)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in sorted(REGISTRY) for n in REGISTRY[k]])
def test_defaults_are_of_their_own_type(kind, name):
    part = lookup(kind, name)
    for option, default in defaults_of(part).items():
        assert default is not None
        check_options(part, {option: default}, option)
        json.dumps(default)  # what a plan and a model file can hold
    assert all(n != "auto" for n in options_of(part))
    assert set(getattr(part, "carries", ())) <= {*options_of(part)}


@pytest.mark.parametrize(("kind", "name"), PARTS)
@pytest.mark.parametrize("facts", FACTS, ids=lambda f: f"{f.rows}{f.size}")
def test_choose_leaves_nothing_open_and_obeys_its_own_schema(kind, name, facts):
    part = lookup(kind, name)
    facts = replace(facts, given=bool(getattr(part, "itself", "")))
    for spec in TABLES[kind][name].specs:
        score, reason = part.suits(spec, facts)
        assert 0 < score <= 1
        assert reason
        chosen = part.choose(spec, facts)
        assert all(why for _, why in chosen.values())
        options = check_options(part, {option: value for option, (value, _) in chosen.items()}, name)
        settled = defaults_of(part) | options
        still_open = [o for o, v in settled.items() if v == AUTO and options_of(part)[o].default == AUTO]
        assert still_open == []
        assert all(option in options_of(part) for option in chosen)


@pytest.mark.parametrize(("kind", "name"), [p for p in PARTS if p[0] != "augment"])
@pytest.mark.parametrize("facts", [*FACTS, Facts(rows=0), Facts(rows=5_000, seconds=60.0)])
def test_recipes_are_settings_that_a_plan_takes(kind, name, facts):
    for spec in TABLES[kind][name].specs:
        recipe = lookup(kind, name).recipe(spec, facts)
        assert all(why for _, why in recipe.values())
        settings = TrainPlan(**{key: value for key, (value, _) in recipe.items()})
        for key in {"optimizer", "schedule"} & set(recipe):
            named = dict(getattr(settings, key))
            check_options(lookup(key, named.pop("name")), named, key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_a_usual_rate(name):
    assert RATES[name] > 0


# ---- encoders


def encoder(name, spec, seed=0):
    if name == "pretrained":
        pytest.importorskip("transformers")
    torch.manual_seed(seed)
    part = lookup("encoder", name)
    return part(spec, **{k: v for k, v in ENCODERS[name].options.items() if k in options_of(part)})


def views(part) -> frozenset[str]:
    return frozenset(part.views)


def flat(f: Features) -> Tensor:
    """All that the features hold, side by side; tokens without their padding."""
    held = [] if f.vector is None else [f.vector.flatten()]
    if f.tokens is not None:
        kept = f.tokens.data if f.tokens.mask is None else f.tokens.data * f.tokens.mask[..., None]
        held.append(kept.flatten())
    held += [m.flatten() for m, _ in f.maps]
    return torch.cat([h.float() for h in held])


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_views_have_the_shapes_that_were_promised(name, spec):
    net, value = encoder(name, spec), sample(spec)
    f = net(value, views(net))
    assert f.size == ROWS
    assert f.vector.shape == (ROWS, net.width)
    if "tokens" in net.views:
        assert f.tokens.data.shape[0] == ROWS
        assert f.tokens.data.shape[2] == net.width
        assert f.tokens.mask.shape == f.tokens.data.shape[:2]
    if "maps" in net.views:
        assert all(m.shape[0] == ROWS and stride >= 1 for m, stride in f.maps)
    assert net(value, VECTOR).tokens is None


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_gradient_reaches_every_parameter_also_of_what_is_missing(name, spec):
    net, value = encoder(name, spec), sample(spec, rows=32)
    net.train()
    vector = net(value, VECTOR).vector
    assert vector.isfinite().all()
    (vector * torch.randn_like(vector)).sum().backward()
    for parameter, p in net.named_parameters():
        if parameter not in ENCODERS[name].quiet:
            assert p.grad is not None, parameter
            assert p.grad.isfinite().all(), parameter
            assert p.grad.abs().sum() > 0, parameter


# a missing number is the median, which its column writes there; all others may hold anything
@pytest.mark.parametrize(("name", "spec"), [p for p in ENCODER_SPECS if p.values[1].kind != "scalar"])
def test_what_a_missing_row_holds_makes_no_difference(name, spec):
    net = encoder(name, spec).eval()
    value = sample(spec)
    other = replace(value, data=value.data.clone())
    if spec.parts:
        other.data[1] = sample(spec).data[1]
    else:
        real = True if value.mask is None else value.mask[1].view(-1, *[1] * (value.data.ndim - 2))
        other.data[1] = sample(spec).data[1] * real
    one, two = net(value, VECTOR).vector, net(other, VECTOR).vector
    torch.testing.assert_close(one, two)
    seen = net(replace(value, observed=None), VECTOR).vector
    assert not torch.allclose(seen[1], one[1])
    torch.testing.assert_close(seen[2:], one[2:])


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_all_rows_missing(name, spec):
    net, value = encoder(name, spec), sample(spec)
    value = replace(value, observed=torch.zeros_like(value.observed))
    for mode in (True, False):
        f = net.train(mode)(value, views(net))
        assert flat(f).isfinite().all()


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_eval_is_deterministic_and_state_goes_round(name, spec):
    net, other, value = encoder(name, spec), encoder(name, spec, seed=1), sample(spec)
    net(value, VECTOR)  # statistics of a batch
    net.eval()
    torch.manual_seed(1)
    one = flat(net(value, views(net)))
    torch.manual_seed(2)
    assert torch.equal(one, flat(net(value, views(net))))
    other.load_state_dict(copy.deepcopy(net.state_dict()))
    assert torch.equal(one, flat(other.eval()(value, views(net))))


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_rows_do_not_see_one_another_in_eval(name, spec):
    net, value = encoder(name, spec).eval(), sample(spec)
    whole = net(value, VECTOR).vector
    for i in (0, 1, ROWS - 1):
        one = net(value.map(lambda t, i=i: t[i : i + 1]), VECTOR).vector
        torch.testing.assert_close(one[0], whole[i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n, r in ENCODERS.items() if r.specs[0].kind == "tokens"])
def test_padding_changes_nothing(name):
    spec = ENCODERS[name].specs[0]
    net, value = encoder(name, spec).eval(), sample(spec)
    more = torch.randint(spec.size, (ROWS, 5))
    longer = Value(torch.cat([value.data, more], 1), torch.cat([value.mask, torch.zeros_like(more, dtype=bool)], 1))
    longer.observed = value.observed
    one, two = net(value, views(net)), net(longer, views(net))
    torch.testing.assert_close(one.vector, two.vector, rtol=1e-4, atol=1e-5)
    if one.tokens is not None:
        torch.testing.assert_close(
            one.tokens.data * one.tokens.mask[..., None],
            (two.tokens.data * two.tokens.mask[..., None])[:, :TOKENS],
            rtol=1e-4,
            atol=1e-5,
        )
    garbage = replace(value, data=torch.where(value.mask, value.data, 7))
    torch.testing.assert_close(net(garbage, VECTOR).vector, one.vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n, r in ENCODERS.items() if r.specs[0].kind == "tokens"])
def test_rows_without_tokens(name):
    spec = ENCODERS[name].specs[0]
    net = encoder(name, spec)
    empty = Value(torch.zeros(3, 0, dtype=torch.long), torch.zeros(3, 0, dtype=torch.bool), torch.tensor([True] * 3))
    some = Value(torch.ones(3, 2, dtype=torch.long), torch.tensor([[True, True], [False] * 2, [False] * 2]))
    for value in (empty, some):
        vector = net.train()(value, VECTOR).vector
        assert vector.isfinite().all()
        vector.sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_bf16(name, spec):
    net, value = encoder(name, spec), sample(spec)
    with torch.autocast("cpu", torch.bfloat16):
        f = net(value, views(net))
        loss = flat(f).square().mean()
    assert loss.isfinite()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


class Whole(TensorSource):
    """The same batch at every step."""

    def __init__(self, batch: Batch) -> None:
        self.whole, self.steps = batch, 1

    def batch(self, step: int) -> Batch:
        return self.whole


def labelled(name, spec, rows=16) -> tuple[ColumnsTask, Batch]:
    """An encoder under a category head, and rows with labels at random."""
    net = encoder(name, spec)
    value = sample(spec, rows)
    head = CategoryHead(SMALL, net.width, None, smoothing=0.0)
    labels = Value(torch.randint(SMALL.size, (rows,)))
    if spec.kind == "index":  # rows that are alike cannot have different labels
        value.data = torch.arange(rows)[:, None].expand_as(value.data.reshape(rows, -1)).reshape(value.data.shape)
        value.data = value.data % 90
        if spec.parts:
            value.data = torch.minimum(value.data, torch.tensor([p.size for p in spec.parts]))
    task = ColumnsTask({"x": net}, Concat({"x": net.width}), {"y": head}, {"y": 1.0})
    return task, Batch(rows, {"x": value}, {"y": labels}, torch.rand(rows) + 0.5)


@pytest.mark.parametrize(("name", "spec"), ENCODER_SPECS)
def test_one_batch_can_be_learnt_by_heart(name, spec):
    task, batch = labelled(name, spec)
    settings = Settings(steps=150, rate=0.02, schedule={"name": "constant"}, log_every=10)
    history = Engine(task, Whole(batch), settings).run().history
    assert history[-1]["y"] < 0.25 * history[0]["y"]


@pytest.mark.parametrize(("name", "spec"), [pair for pair in ENCODER_SPECS if lookup("encoder", pair.values[0]).splits])
def test_micro_batches_give_the_gradient_of_the_whole(name, spec):
    gradients = []
    for micro in (0, 5):
        torch.manual_seed(0)
        task, batch = labelled(name, spec)
        task.eval()  # without chance and statistics of the batch
        engine = Engine(task, Whole(batch), Settings(steps=1, micro=micro))
        engine.backward(task.phases[0], batch)
        gradients.append({n: p.grad.clone() for n, p in task.named_parameters() if p.grad is not None})
    assert list(gradients[0]) == list(gradients[1])
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient, rtol=1e-4, atol=1e-6, msg=parameter)
