"""One engine trains a classifier, a VAE, two GANs, a text decoder and PPO, with no special case."""

from __future__ import annotations

import pytest
import torch
from plugins import Category, Dense, Fixed, Gan, Policy, Rollouts, Small, Text, Vae

from ranvier.core.protocols import Batch, Value
from ranvier.core.spec import Spec
from ranvier.train.engine import Engine
from ranvier.train.settings import Settings

X = Spec("vector", (2,))
SETTINGS = {"rate": 0.01, "schedule": {"name": "constant"}}


def two_moons(rows: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(rows) % 2
    angle = torch.rand(rows) * torch.pi
    x = torch.stack([angle.cos() + y, angle.sin() * (1 - 2 * y) + 0.3 * y], 1)
    return x + 0.05 * torch.randn(rows, 2), y


def run(task, source, steps, **more):
    return Engine(task, source, Settings(steps=steps, **(SETTINGS | more))).run()


@torch.no_grad()
def energy(task: Small, batch: Batch, x: torch.Tensor) -> float:
    """Energy distance of a GAN's sample from the data (Szekely & Rizzo 2013): 0 only for equal distributions."""
    torch.manual_seed(5)
    sample = task.heads["x"].predict(task.features(batch))["x"]
    cross, own, data = torch.cdist(sample, x).mean(), torch.cdist(sample, sample).mean(), torch.cdist(x, x).mean()
    return float(2 * cross - own - data)


def test_classifier_learns():
    x, y = two_moons()
    task = Small(Dense(X), {"y": Category(Spec("index", (), 2), 16)})
    batch = Batch(256, {"x": Value(x)}, {"y": Value(y)})
    run(task, Fixed(batch), 300)
    probs = task.heads["y"].predict(task.features(batch))["probs"]
    assert (probs.argmax(1) == y).float().mean() > 0.97


def test_vae_reconstructs_and_samples():
    x, _ = two_moons()
    head = Vae(X, 0, Dense(X))
    task, source = Small(None, {"x": head}), Fixed(Batch(256, targets={"x": Value(x)}))
    history = run(task, source, 500, log_every=20, rate=0.02).history
    assert history[-1]["main/x"] < 0.6 * history[0]["main/x"]
    sample = head.predict(task.features(source.only))["x"]
    assert (sample.mean(0) - x.mean(0)).abs().max() < 0.5


@pytest.mark.parametrize("conditional", [False, True])
def test_gan_trains_each_phase_alone(conditional):
    x, y = two_moons()
    one_hot = torch.eye(2)[y]
    batch = Batch(256, {"y": Value(one_hot)} if conditional else {}, {"x": Value(x)})
    encoder = Dense(X) if conditional else None
    task = Small(encoder, {"x": Gan(X, 16 if conditional else 0, Dense(X))})
    critic, main = task.phases
    assert not set(critic.params) & set(main.params)
    if encoder is not None:  # the encoder of the input belongs to main, never to the critic
        assert set(encoder.parameters()) <= set(main.params)
    before = energy(task, batch, x)
    run(
        task,
        Fixed(batch),
        800,
        rate=0.003,
        optimizer={"name": "adam", "betas": [0.5, 0.99]},
        average=0.99,
        keep="average",
    )
    assert energy(task, batch, x) < 0.5 * before
    assert all(p.requires_grad for p in task.parameters())


def test_frozen_parameters_get_no_gradient():
    x, _ = two_moons(32)
    task = Small(None, {"x": Gan(X, 0, Dense(X))})
    engine = Engine(task, Fixed(Batch(32, targets={"x": Value(x)})), Settings(steps=1, **SETTINGS))
    before = [p.clone() for p in task.heads["x"].d.parameters()]
    critic, main = engine.phases
    with engine.only(main[0]):
        engine.backward(main[0], engine.source.batch(0))
    assert all(p.grad is None for p in critic[0].params)
    assert all(torch.equal(a, b) for a, b in zip(before, task.heads["x"].d.parameters(), strict=True))


@pytest.mark.parametrize("with_input", [False, True])
def test_text_decoder_learns_its_line(with_input):
    line = torch.tensor([[1, 3, 2, 4, 5, 2], [1, 4, 4, 3, 2, 0]])
    mask = torch.tensor([[True] * 6, [True] * 5 + [False]])
    width = 16 if with_input else 0
    encoder = _Tokens(X) if with_input else None
    task = Small(encoder, {"t": Text(Spec("tokens", (None,), 6), width)})
    inputs = {"x": Value(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))} if with_input else {}
    batch = Batch(2, inputs, {"t": Value(line, mask)})
    run(task, Fixed(batch), 200, rate=0.02)
    said = task.heads["t"].predict(task.features(batch))["tokens"]
    if with_input:  # each row has its own line
        assert said[0].tolist() == line[0].tolist()
        assert said[1, :5].tolist() == line[1, :5].tolist()
    else:  # nothing tells the rows apart: both say one of the lines
        assert said[0].tolist() == said[1].tolist()


class _Tokens(Dense):
    def forward(self, value, needs):
        f = super().forward(value, needs)
        f.tokens = Value(f.vector[:, None])
        return f


def test_ppo_finds_the_best_arm():
    task = Policy(4)
    run(task, Rollouts(task, torch.tensor([0.0, 0.2, 1.0, 0.5])), 200, rate=0.05)
    assert task.logits.softmax(0)[2] > 0.9


def test_classifier_and_gan_share_an_encoder():
    x, y = two_moons(64)
    heads = {"y": Category(Spec("index", (), 2), 16), "x": Gan(X, 16, Dense(X))}
    task = Small(Dense(X), heads)
    batch = Batch(64, {"x": Value(x)}, {"y": Value(y), "x": Value(x)})
    assert [phase.name for phase in task.phases] == ["main", "critic"]
    history = run(task, Fixed(batch), 100, log_every=20).history
    assert history[-1]["main/y"] < history[0]["main/y"]
