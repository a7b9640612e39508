"""Figures by hand, trouble named with the right layer, none where there is none, and no bit of the run changed."""

from __future__ import annotations

import io
import math
import re

import pytest
import torch
from plugins import Category, Dense, Fixed, Gan, Small
from rich.console import Console
from torch import nn

from ranvier import nets, train
from ranvier.core.errors import RanvierWarning, RunError
from ranvier.core.protocols import Batch, Value
from ranvier.core.spec import Spec
from ranvier.core.training import Callback
from ranvier.model.progress import ProgressBar
from ranvier.ops.losses import cross_entropy, squared_error
from ranvier.train import checkpoint, health
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource
from ranvier.train.troubles import Trouble, evenness, sentences, troubles


class Members(nn.Module):
    """TabM, its members' scores averaged."""

    def __init__(self):
        super().__init__()
        self.net = nets.TabM(6, [8, 8], 3, members=4, dropout=0.2)

    def forward(self, x):
        return self.net(x).mean(1)


def data(rows=64, width=6, classes=3):
    made = torch.Generator().manual_seed(1)
    x = torch.randn(rows, width, generator=made)
    return x, x[:, :classes].argmax(1)


def engine(net, x=None, y=None, *, loss=cross_entropy, batch=32, callbacks=(), folder=None, **settings):
    if x is None:
        x, y = data()
    how = {"steps": 60, "rate": 1e-2, "log_every": 20, "schedule": {"name": "constant"}, **settings}
    source = TensorSource(x, y, batch=batch)
    return Engine(NetTask(net, loss), source, Settings(**how), callbacks=callbacks, folder=folder)


def always(engine):
    engine.watch.always = True
    return engine


# ---- nothing is changed


def networks():
    return {
        "mlp": (lambda: nets.MLP(6, [8, 8], 3, dropout=0.5), {}),
        "members": (Members, {"clip": 1.0}),
        "bf16": (lambda: nets.MLP(6, [8, 8], 3, activation="tanh"), {"precision": "bf16"}),
        "micro": (lambda: nets.MLP(6, [8], 3), {"micro": 5, "l1": 1e-2}),
        "float64": (lambda: nets.MLP(6, [8], 3).double(), {}),
        "batch norm": (lambda: nets.MLP(6, [8], 3, norm="batch"), {"average": 0.9, "keep": "average"}),
    }


def weights(made, watch):
    torch.manual_seed(0)
    net, settings = made
    made, (x, y) = net(), data()
    running = always(engine(made, x.to(next(made.parameters()).dtype), y, watch=watch, **settings))
    running.run()
    return running.task.state_dict(), running.progress


@pytest.mark.parametrize("kind", networks())
def test_no_bit_is_changed(kind):
    on, seen = weights(networks()[kind], True)
    off, unseen = weights(networks()[kind], False)
    assert seen.layers
    assert not unseen.layers
    assert all(torch.equal(on[name], off[name]) for name in on)
    losses = [[record["loss"] for record in progress.history] for progress in (seen, unseen)]
    assert losses[0] == losses[1]


def two_phases(watch):
    torch.manual_seed(0)
    x, y = torch.randn(16, 2), torch.randint(2, (16,))
    spec = Spec("vector", (2,))
    heads = {"y": Category(Spec("index", (), 2), 16), "x": Gan(spec, 16, Dense(spec))}
    task = Small(Dense(spec), heads)
    batch = Batch(16, {"x": Value(x)}, {"y": Value(y), "x": Value(x)})
    return Engine(task, Fixed(batch), Settings(steps=30, rate=1e-2, watch=watch))


def test_phases_are_watched_apart():
    on, off = always(two_phases(True)), two_phases(False)
    on.run(), off.run()
    mine, others = on.task.state_dict(), off.task.state_dict()
    assert all(torch.equal(mine[name], others[name]) for name in mine)
    assert set(on.watch.found) == {"main", "critic"}
    assert all(of["gradient"] > 0 for of in on.progress.layers.values())  # each where its phase trains it


# ---- figures


def test_figures_by_hand():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    x, y = torch.randn(8, 2), torch.randn(8)

    def loss(answer, y):
        return squared_error(answer[:, 0], y)

    loss(net(x), y).mean().backward()
    gradients = {name: p.grad.clone() for name, p in net.named_parameters()}
    hidden = net[0](x).detach()
    running = always(engine(net, x, y, loss=loss, batch=8, steps=1, rate=0.1, optimizer={"name": "sgd"}))
    first = running.run().layers["layer 'net.0'"]

    def norm(tensors):
        return math.sqrt(sum(float((tensors[name] ** 2).sum()) for name in ("0.weight", "0.bias")))

    moved = float(0.1 * gradients["0.weight"].norm() / before["0.weight"].norm())
    hand = {
        "gradient": norm(gradients),
        "weight": norm(before),
        "ratio": norm(gradients) / max(norm(before), math.sqrt(3)),
        "update": moved,
        "mean": float(hidden.mean()),
        "std": float(hidden.std(correction=0)),
        "zero": float((hidden <= 0).float().mean()),
        "dead": 0.0,
    }
    assert set(first) == set(hand)
    assert first == pytest.approx(hand, rel=1e-4)


def test_units_are_dead_after_a_hundred_zeros():
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([-100.0, -100.0, 100.0, -100.0]))
    x, y = torch.randn(64, 2), torch.randn(64, 1)
    shares = []

    class Each(Callback):
        def on_log(self, step, record):
            shares.append(record["health/dead"])
            return False

    quick = {"batch": 32, "steps": 6, "rate": 1e-6, "log_every": 1}
    always(engine(net, x, y, loss=lambda a, y: squared_error(a[:, 0], y[:, 0]), callbacks=[Each()], **quick)).run()
    assert shares == [0.0, 0.0, 0.0, 0.75, 0.75, 0.75]  # 96 rows are not enough


def test_channels_are_units():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([-100.0, 100.0, -100.0, -100.0]))
    figures = always(engine(net, torch.randn(8, 1, 8, 8), torch.randint(3, (8,)), steps=1)).run().layers
    assert figures["layer 'net.0'"]["dead"] == 0.75
    assert figures["layer 'net.0'"]["zero"] == pytest.approx(0.75)


@pytest.mark.parametrize(("kind", "end"), [(nn.Tanh, math.atanh(0.98)), (nn.Sigmoid, 2 * math.atanh(0.98))])
def test_what_counts_as_saturated(kind, end):
    net = nn.Sequential(nn.Linear(1, 1, bias=False), kind(), nn.Linear(1, 3))
    nn.init.ones_(net[0].weight)
    x = end * torch.tensor([[-1.01], [-0.99], [0.0], [0.99], [1.01]])
    figures = always(engine(net, x, torch.zeros(5).long(), steps=1)).run().layers
    assert figures["layer 'net.0'"]["saturated"] == pytest.approx(0.4)


def test_recurrent_outputs_saturate():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.RNN(1, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.cell(x)[0][:, -1])

    net = Reads()
    nn.init.constant_(net.cell.bias_ih_l0, 50.0)
    figures = always(engine(net, torch.randn(8, 5, 1), torch.randint(3, (8,)), steps=1)).run().layers
    assert figures["layer 'net.cell'"]["saturated"] == 1.0


def test_looks_are_few_and_early():
    watch = engine(nn.Linear(6, 3)).watch
    assert [step for step in range(401) if watch.due(step)] == [10, 50, 100, 200, 300, 400]
    assert not any(engine(nn.Linear(6, 3), watch=False).watch.due(step) for step in range(401))


# ---- what is trouble


def layers(*ratios, **last):
    return [(number, {"ratio": ratio}) for number, ratio in enumerate(ratios)] + ([(9, last)] if last else [])


def test_vanishing_is_judged_against_later_layers():
    assert troubles(layers(1e-6, 1e-3, 1.0)) == [Trouble("vanishing", 0, pytest.approx(1e6), 2)]
    assert troubles(layers(1.0, 1e-3, 1e-6)) == []  # it is the early ones that suffer
    assert troubles(layers(0.0, 1.0)) == []  # not in use
    assert evenness(layers(1e-6, 1e-3, 1.0)) == pytest.approx(1e-6)
    assert evenness(layers(2.0, 1.0)) == 1.0


def test_exploding_is_judged_after_clipping():
    assert [t.kind for t in troubles(layers(1e3, 1.0))] == ["exploding"]
    assert troubles(layers(1e3, 1.0), shrunk=1e-2) == []


def test_silence_is_wanted_under_l1():
    assert [t.kind for t in troubles(layers(1.0, ratio=1.0, dead=0.9))] == ["dead"]
    assert troubles(layers(1.0, ratio=1.0, dead=0.6)) == []
    assert troubles(layers(1.0, ratio=1.0, dead=0.9), sparse=True) == []


def test_the_last_layer_may_be_certain():
    of = {"ratio": 1.0, "saturated": 0.95}
    assert troubles([(0, {"ratio": 1.0}), (1, of)]) == []
    assert troubles([(0, of), (1, {"ratio": 1.0})]) == [Trouble("saturated", 0, 0.95)]


def test_a_sentence_names_the_worst_layer_the_others_and_the_cure():
    found = [Trouble("vanishing", 1, 1e5, 3), Trouble("vanishing", 0, 1e7, 3)]
    (said,) = sentences(found, lambda number: f"layer {number}")
    assert said.startswith("layer 0: ")
    assert "1e7 times smaller than in layer 3 (vanishing; so in 1 more layer): try " in said
    assert all(cure in said for cure in ("init", "activation = 'relu'", "norm = 'layer'", "residual"))
    assert sentences(found, str, cures=False)[0].endswith("(vanishing; so in 1 more layer)")


# ---- trouble while training


class Hears(Callback):
    """Keeps the notes, and how far the run was."""

    def __init__(self):
        self.notes, self.logs = [], []

    def on_log(self, step, record):
        self.logs.append(record)
        return False

    def on_note(self, note):
        self.notes.append(note)


def sigmoids(depth=12):
    return nets.MLP(6, [8] * depth, 3, activation="sigmoid", init="default")


def test_a_deep_sigmoid_stack_vanishes():
    hears = Hears()
    done = engine(sigmoids(), steps=110, log_every=20, callbacks=[hears]).run()
    first = done.notes[0]
    assert first.startswith("layer 'net.0.0': relative to the weights, the gradient is ")
    assert "e9 times smaller than in layer 'net.12' (vanishing; so in" in first
    assert hears.notes == done.notes
    assert done.told.count(["vanishing", "net.0.0"]) == 1
    seen = [record for record in hears.logs if "health/evenness" in record]
    assert [record["step"] for record in seen] == [20, 60, 110]
    assert all(record["health/evenness"] < 1e-4 for record in seen)


def test_a_gradient_that_goes_as_all_is_learnt_is_not_told():
    how = {"steps": 110, "log_every": 10, "rate": 0.05, "optimizer": {"name": "sgd"}}
    running = engine(sigmoids(), loss=lambda said, y: (said - 1.0).square().sum(1), **how)
    done = running.run()
    assert done.history[-1]["loss"] < 1e-6 * done.history[0]["loss"]
    assert running.watch.suspicion().startswith("layer 'net.0.0'")
    assert done.notes == []


@pytest.mark.parametrize("cure", [{"activation": "relu", "init": "he"}, {"norm": "batch"}, {"residual": True}])
def test_each_cure_keeps_the_gradient(cure):
    net = nets.MLP(6, [8] * 12, 3, **{"activation": "sigmoid", "init": "default", **cure})
    assert engine(net, steps=110).run().notes == []


def test_what_one_look_alone_has_seen_is_not_told():
    running = engine(sigmoids(), steps=50)
    assert running.run().notes == []  # the second look would be at the next step
    assert running.watch.suspicion().startswith("layer 'net.0.0'")


def test_early_news_do_not_wait_for_the_log():
    class Dates(Hears):
        def on_note(self, note):
            self.notes.append((note, running.progress.step))

    hears = Dates()
    running = engine(sigmoids(), steps=400, log_every=400, callbacks=[hears])
    running.run()
    assert hears.notes[0][1] == 51


def test_a_resumed_run_does_not_tell_again(tmp_path):
    torch.manual_seed(0)
    net = sigmoids()
    first = engine(net, steps=110, folder=tmp_path)
    first.run()
    hears = Hears()
    again = engine(sigmoids(), steps=110, folder=tmp_path, callbacks=[hears])
    again.load(tmp_path / "checkpoint.safetensors")
    again.progress.step = 90
    again.run()
    assert again.progress.notes == first.progress.notes
    assert hears.notes == []


def silent():
    """A network with units that never give anything, found so when enough rows have been seen."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        net[0].bias[:6] = -1e3
    return net


@pytest.mark.parametrize(
    ("net", "kind", "at", "end"), [(sigmoids, "vanishing", 30, 60), (silent, "dead", 30, 110)], ids=["seen", "counted"]
)
def test_a_resumed_run_tells_the_same_as_one_that_was_not_killed(tmp_path, net, kind, at, end):
    def started():
        torch.manual_seed(0)
        return engine(net(), steps=end, batch=64, log_every=10)

    def steps(running, until):
        while running.progress.step < until:
            running.train_step(running.source.batch(running.progress.step))
            running._look()

    whole, killed, again = started(), started(), started()
    steps(whole, end)
    steps(killed, at)  # between the looks that find it
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(killed, path)
    again.load(path)
    steps(again, end)
    assert kind in [told[0] for told in whole.progress.told]
    assert again.progress.notes == whole.progress.notes
    assert again.progress.layers == whole.progress.layers
    assert again.progress.told == whole.progress.told


def test_a_checkpoint_of_before_holds_nothing_of_the_watch(tmp_path):
    first = engine(silent(), steps=60)
    first.run()
    tensors, state = checkpoint.capture(first)
    del state["watch"]
    again = engine(silent(), steps=60)
    checkpoint.restore(again, {k: v for k, v in tensors.items() if not k.startswith("watch.")}, state)
    assert again.watch.found == {}
    assert again.progress.step == 60


@pytest.mark.parametrize("watch", [True, False])
def test_what_exploded_before_the_loss_became_no_number_is_named(watch):
    net = nets.MLP(6, [16] * 10, 3)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3)
    with pytest.raises(RunError) as caught:
        engine(net, optimizer={"name": "momentum"}, rate=0.1, watch=watch).run()
    found = re.search(
        r"step \d+: .*, and before that layer .*\(exploding; so in \d+ more layers\)\. Try", str(caught.value)
    )
    assert bool(found) == watch


def test_huge_targets_explode():
    x, _ = data()
    done = engine(nets.MLP(6, [16], 1), x, 1e6 * x[:, :1], loss=lambda a, y: squared_error(a[:, 0], y[:, 0])).run()
    assert "(exploding; so in 1 more layer): try clip = 1.0" in done.notes[0]
    assert "targets scaled" in done.notes[0]


def test_a_rate_too_high_kills_units():
    x, y = data(256)
    how = {"batch": 64, "steps": 210, "optimizer": {"name": "momentum"}, "rate": 1.0}
    done = engine(nets.MLP(6, [32] * 4, 3), x, y, **how).run()
    assert done.told == [["dead", "net.3.0"]]
    assert re.search(r"% of the units after it gave 0 .*\(dead\): try a smaller rate", done.notes[0])


def test_wide_weights_saturate():
    net = nets.MLP(6, [32, 32], 3, activation="tanh")
    with torch.no_grad():
        net[0][0].weight.mul_(100)
    done = engine(net, steps=60, rate=1e-4).run()
    assert [pair for pair in done.told if pair[0] == "saturated"] == [["saturated", "net.0.0"]]
    assert "(saturated): try init = 'glorot'" in done.notes[0]


HEALTHY = {
    "mlp": lambda: nets.MLP(6, [32], 3),
    "deep": lambda: nets.MLP(6, [32] * 10, 3),
    "batch norm": lambda: nets.MLP(6, [32] * 4, 3, norm="batch"),
    "sigmoid": lambda: nets.MLP(6, [32, 32], 3, activation="sigmoid"),
    "tanh": lambda: nets.MLP(6, [32, 32], 3, activation="tanh", init="default"),
    "selu": lambda: nets.MLP(6, [32] * 8, 3, activation="selu"),
    "members": Members,
    "certain at the end": lambda: nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_no_false_alarm(kind):
    x, y = data(256)
    done = always(engine(HEALTHY[kind](), x, y, batch=32, steps=120)).run()
    assert done.history[-1]["loss"] < done.history[0]["loss"]
    assert done.notes == []


# ---- who hears of it


def test_plain_fit_warns_at_once():
    with pytest.warns(RanvierWarning, match="vanishing"):
        done = train.fit(sigmoids(), data(), epochs=60)
    assert done.notes
    assert train.fit(sigmoids(), data(), epochs=60, watch=False).notes == []


def test_the_bar_prints_notes_and_counts_losses_only():
    bar = ProgressBar(100, "loss:min", "again")
    bar.console = Console(file=io.StringIO())
    bar.on_note("layer 'a[0]': " + "x" * 100)
    record = {"step": 100.0, "seconds": 1.0, "rows": 9.0, "loss": 0.5, "val_loss": 7.0}
    bar.on_log(100, {**record, "health/gradient": 7.0, "sparsity": 0.5})
    said = bar.console.file.getvalue()
    assert said.startswith("note: again: layer 'a[0]': " + "x" * 100 + "\n")
    assert "loss 0.5000" in said


def test_sparsity_is_logged_under_l1():
    x = torch.randn(64, 3)
    net = nn.Linear(3, 1)
    how = {"loss": lambda a, y: squared_error(a[:, 0], y[:, 0]), "optimizer": {"name": "sgd"}, "rate": 0.05}
    done = engine(net, x, x[:, :1] * 2, steps=200, l1=0.2, **how).run()
    assert done.history[-1]["sparsity"] == pytest.approx(2 / 3)
    assert (net.weight != 0).tolist() == [[True, False, False]]
    assert "sparsity" not in engine(net, x, x[:, :1], **how).run().history[-1]


def test_frozen_layers_are_left_out():
    net = nets.MLP(6, [8], 3)
    net[0].requires_grad_(False)
    assert list(always(engine(net, steps=2)).run().layers) == ["layer 'net.1'"]


def test_a_few_rows_of_a_large_activation_are_enough():
    assert len(health._first_rows(torch.zeros(100, 2**12))) == 32
    assert len(health._first_rows(torch.zeros(3, 2**18))) == 1
    assert health._first_rows((torch.zeros(0, 3),)) is None
    assert health._first_rows(torch.zeros(())) is None


# ---- what a task finds wrong at its validations


def test_what_two_validations_find_is_told_once():
    running = engine(nets.MLP(6, [8], 3))
    running.task.troubles = lambda figures: {name: f"{name} is bad" for name, value in figures.items() if value < 0}
    at, heard = running.progress, []
    hear = type("Hear", (Callback,), {"on_note": lambda self, note: heard.append(note)})()
    for x, y in ((-1, 1), (1, -1), (-1, 1), (-2, -3), (-2, -4), (-2, -4)):
        at.step += 10
        figures = {"x": float(x), "a/y": float(y)}
        assert running.watch.validated(figures, at, [hear]) == figures
    assert at.notes == heard == ["x is bad (x -2 at step 40)", "a/y is bad (y -4 at step 50)"]
    assert at.told == [["validation", "x"], ["validation", "a/y"]]
    again = engine(nets.MLP(6, [8], 3), watch=False)
    again.task.troubles = running.task.troubles
    for _ in range(3):
        again.watch.validated({"x": -1.0}, again.progress, [hear])
    assert len(heard) == 2


def test_a_resumed_run_knows_what_its_last_validation_found(tmp_path):
    def started(step):
        running = engine(nets.MLP(6, [8], 3), folder=tmp_path)
        running.task.troubles = lambda figures: {name: f"{name} is bad" for name in figures}
        running.progress.step = step
        return running

    first = started(10)
    first.watch.validated({"x": 1.0}, first.progress, [])
    checkpoint.save(first, tmp_path / "checkpoint.safetensors")
    again = started(0)
    again.load(tmp_path / "checkpoint.safetensors")
    again.watch.validated({"x": 2.0}, again.progress, [])
    assert again.progress.notes == ["x is bad (x 2 at step 10)"]
