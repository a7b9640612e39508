"""Laws of fuses, heads, networks, optimizers, schedules and columns, run over the tables of `descriptors.py`."""

from __future__ import annotations

import copy
import typing

import numpy as np
import pytest
import torch
from descriptors import (
    AUGMENTS,
    COLUMNS,
    ENCODERS,
    FUSES,
    GIVEN,
    HEADS,
    MIXES,
    NETS,
    OPTIMIZERS,
    ROWS,
    SCHEDULES,
    SMALL,
    TOKENS,
    sample,
    seen,
    stirred,
    widths_and_features,
)
from torch import Tensor

from ranvier.columns.recognise import recognise
from ranvier.core.facts import Facts
from ranvier.core.protocols import Batch, Features, Head, Value
from ranvier.core.registry import lookup
from ranvier.train.optimizers import RATES, parameter_groups

VECTOR = frozenset({"vector"})


# ---- fuses and heads


def fuse(name, seed=0):
    torch.manual_seed(seed)
    return lookup("fuse", name)(widths_and_features()[0], **FUSES[name].options)


@pytest.mark.parametrize("name", FUSES)
def test_fuses(name):
    net, parts = fuse(name), widths_and_features()[1]()
    f = net(parts, VECTOR)
    assert f.vector.shape == (ROWS * f.members, net.width)
    assert f.parts == parts
    if list(net.parameters()):
        (f.vector * torch.randn_like(f.vector)).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    net.eval()
    one, other = net(parts, VECTOR).vector, fuse(name, seed=1)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(parts, VECTOR).vector, one)
    members = f.members
    alone = net({n: Features(1, p.vector[2:3]) for n, p in parts.items()}, VECTOR).vector
    torch.testing.assert_close(alone, one[2 * members : 3 * members])
    with torch.autocast("cpu", torch.bfloat16):
        assert net(parts, VECTOR).vector.isfinite().all()


@pytest.mark.parametrize("name", HEADS)
def test_heads(name):
    (spec,) = HEADS[name].specs
    kind = lookup("head", name)
    places = "maps" in kind.welcomes and (spec.kind in ("mask", "boxes") or bool(kind.itself))
    own = lookup("encoder", "cnn")(spec, widths=[6], patch=1) if kind.itself == "view" else None
    head = stirred(kind(spec, 6, own, *([GIVEN] if places else []), **(HEADS[name].options if places else {})))
    y = sample(spec)
    if kind.itself == "hidden" and spec.kind == "pixels":
        y.mask = torch.rand(y.data.shape[:3]) < 0.5
    f = seen()
    if not places and y.mask is not None:
        f.tokens = Value(f.tokens.data, y.mask)
    for phase in head.phases:
        loss = head.loss(phase, f, y)
        assert loss.shape == head.count(y).shape == (ROWS,)
        assert loss.isfinite().all()
        head.zero_grad()
        loss.sum().backward()
        quiet = {id(p) for parameter, p in head.named_parameters() if parameter in HEADS[name].quiet}
        assert all(p.grad.abs().sum() > 0 for p in head.params(phase) if id(p) not in quiet)
    head.eval()
    prediction = head.predict(f)
    assert all(t.shape[0] == ROWS for t in prediction.values())
    sure = any(t.dtype == torch.float32 for t in prediction.values())
    assert sure or set(prediction) == {"tokens", "mask"}  # of a text only what is written
    metrics = head.metrics()
    if metrics is not None:
        judges = type(head).troubles is not Head.troubles
        with torch.no_grad():
            metrics.update(head.judged(f, y) if judges else prediction, y, y.observed.float())
        assert head.troubles(metrics.compute()).keys() <= metrics.compute().keys()
        assert all(isinstance(x, float) for x in metrics.compute().values())
    with torch.autocast("cpu", torch.bfloat16):
        assert head.loss("main", f, y).isfinite().all()
    assert typing.get_type_hints(type(head).loss)["return"] is Tensor


def same(one: Value, other: Value) -> bool:
    fields = [(one.data, other.data), (one.mask, other.mask), (one.observed, other.observed)]
    return all(a is None or torch.equal(a, b) for a, b in fields)


def kept(value: Value) -> Value:
    return value.map(torch.clone)


@pytest.mark.parametrize(("name", "spec"), [(n, spec) for n, row in AUGMENTS.items() for spec in row.specs])
@pytest.mark.parametrize("gaps", [True, False])
def test_augments_are_functions_of_the_generator_and_leave_the_batch_alone(name, spec, gaps):
    augment, value = lookup("augment", name)(spec, **AUGMENTS[name].options), sample(spec, gaps=gaps)
    before = kept(value)
    one, two, other = (augment(value, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert same(one, two)
    assert not same(one, other)
    assert same(value, before)
    assert one.data.dtype == value.data.dtype
    assert one.observed is value.observed
    if spec.kind == "tokens":
        assert one.mask.shape == one.data.shape
    else:
        assert one.data.shape == value.data.shape


@pytest.mark.parametrize("name", [name for name in MIXES if not lookup("mix", name).joint])
@pytest.mark.parametrize("gaps", [True, False])
def test_mixes_are_functions_of_the_generator_and_leave_the_batch_alone(name, gaps):
    specs = {str(i): spec for i, spec in enumerate(MIXES[name].specs[0].parts)}
    mix = lookup("mix", name)(specs, **MIXES[name].options)
    inputs = {n: sample(spec, gaps=gaps) for n, spec in specs.items()}
    batch = Batch(ROWS, inputs, {"y": sample(SMALL, gaps=gaps)}, torch.rand(ROWS))
    before = {n: kept(value) for n, value in inputs.items()}
    one, two, other = (mix(batch, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert all(same(one.inputs[n], two.inputs[n]) for n in specs)
    assert torch.equal(one.extra["share"], two.extra["share"])
    assert not torch.equal(one.extra["share"], other.extra["share"])
    assert all(same(inputs[n], before[n]) for n in specs)
    assert not batch.mixed
    assert not batch.extra
    assert list(one.inputs) == list(specs)
    assert one.targets["y"] is batch.targets["y"]  # the partner's are in `mixed`, and nothing else changes
    assert one.size == ROWS
    for n, value in one.inputs.items():
        assert (value.data.shape, value.data.dtype) == (inputs[n].data.shape, inputs[n].data.dtype)
    share = one.extra["share"]
    assert share.shape == (ROWS,)
    assert ((share >= 0) & (share <= 1)).all()


# ---- networks


def outputs(net, *inputs):
    out = net(*inputs)
    return torch.cat([t.flatten() for t in (out if isinstance(out, tuple) else (out,))])


@pytest.mark.parametrize("name", NETS)
def test_networks(name):
    row = NETS[name]
    net, inputs = row.make(), row.inputs()
    out = outputs(net, *inputs)
    (out * torch.randn_like(out)).sum().backward()
    for parameter, p in net.named_parameters():
        assert p.grad is not None, parameter
        assert p.grad.abs().sum() > 0, parameter
    net.eval()
    one = outputs(net, *inputs)
    assert torch.equal(one, outputs(net, *inputs))
    torch.manual_seed(1)
    other = row.make()
    other.load_state_dict(net.state_dict())
    assert torch.equal(outputs(other.eval(), *inputs), one)
    with torch.autocast("cpu", torch.bfloat16):
        assert outputs(net, *inputs).isfinite().all()
    double = row.make().double()
    assert outputs(double, *(t.double() if t.is_floating_point() else t for t in inputs)).dtype == torch.float64


@pytest.mark.parametrize("name", [n for n, row in NETS.items() if row.masked])
def test_networks_do_not_see_what_is_masked(name):
    net, (x,) = NETS[name].make().eval(), NETS[name].inputs()
    mask = torch.arange(TOKENS) < torch.randint(1, TOKENS + 1, (ROWS, 1))

    def seen(x, mask):
        out = net(x, mask)
        first = out[0] if isinstance(out, tuple) else out
        kept = first * mask[..., None] if first.ndim == 3 else first
        return torch.cat(
            [kept[:, :TOKENS].flatten(), *(t.flatten() for t in (out[1:] if isinstance(out, tuple) else ()))]
        )

    garbage = torch.where(mask[..., None] if x.ndim == 3 else mask, x, x.flip(0))
    torch.testing.assert_close(seen(garbage, mask), seen(x, mask), rtol=1e-4, atol=1e-5)
    longer = torch.cat([x, x[:, :3]], 1)
    padded = torch.cat([mask, torch.zeros(ROWS, 3, dtype=torch.bool)], 1)
    torch.testing.assert_close(seen(longer, padded), seen(x, mask), rtol=1e-4, atol=1e-5)


# ---- optimizers and schedules


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_downhill_and_their_state_goes_round(name):
    target = torch.randn(4, 3)

    def steps(model, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            loss = (model.weight - target).square().sum() + model.bias.square().sum()
            loss.backward()
            optimizer.step()
        return loss.item()

    def made():
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 4)
        groups = parameter_groups(model, model.parameters(), RATES[name], 0.0)
        return model, lookup("optimizer", name)(groups)

    model, optimizer = made()
    for group in optimizer.param_groups:
        group["lr"] = RATES[name]
    first = steps(model, optimizer, 1)
    assert steps(model, optimizer, 30) < first
    twin, fresh = made()
    twin.load_state_dict(model.state_dict())
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(model, optimizer, 5)
    steps(twin, fresh, 5)
    assert torch.equal(model.weight, twin.weight)
    assert torch.equal(model.bias, twin.bias)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_nothing_and_one(name):
    schedule = lookup("schedule", name)()
    assert all(0 <= schedule(t) <= 1 for t in np.linspace(0.001, 1, 200))


# ---- columns


@pytest.mark.parametrize("name", COLUMNS)
def test_columns(name):
    values = COLUMNS[name]
    if name not in ("row", "identity"):  # the one is made by the planner alone, the other is asked for
        assert recognise(values, target=name in ("tags", "mask", "boxes"))[0] == name
    column = lookup("column", name)("c")
    spec = column.learn([values])
    encoded = column.encode(values)
    assert len(encoded) == len(values)
    assert encoded.observed.tolist() == values.is_not_null().to_list()
    again = lookup("column", name)("c")
    again.load_state(column.state())
    assert again.spec == spec
    other = again.encode(values)
    for part in ("data", "observed", "offsets"):
        np.testing.assert_array_equal(getattr(other, part), getattr(encoded, part))
    if lookup("column", name).only_target:
        return
    suited = [n for n in ENCODERS if lookup("encoder", n).suits(spec, Facts(rows=40))[0] > 0]
    assert suited or name in ("tags", "span")  # the first are words, where they are an input; the other is a target
