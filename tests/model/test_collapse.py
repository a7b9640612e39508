"""A generator that fails is told of while it trains; one that is sound is not."""

from __future__ import annotations

import pytest
import torch
from model.test_generators import pictures

import ranvier as rv
from ranvier.core.training import Callback
from ranvier.heads.gan import GANHead
from ranvier.heads.real import beside
from ranvier.planning.settle import settle


class Hear(Callback):
    """Keeps what is told, and at which step."""

    def __init__(self):
        self.step, self.heard = 0, []

    def on_log(self, step, record):
        self.step = step
        return False

    def on_note(self, note):
        self.heard.append((self.step, note))


def fit(inputs, **settings):
    plan = rv.plan(pictures(60), target="x", inputs=inputs, epochs=10, rate=3e-3, threads=1, **settings)
    plan.targets["x"].head = {"name": "gan", "widths": [8, 8]}
    hear = Hear()
    return rv.fit(settle(plan), progress=False, callbacks=[hear]), hear


def one_picture_for_each(self, given, generator=None, scale=1.0):
    return self.make(beside(torch.zeros(len(given), self.noise), given)).float()


@pytest.mark.parametrize("inputs", [[], ["kind"]], ids=["alone", "given"])
def test_a_generator_that_ignores_its_noise_is_told_of_while_training(inputs, monkeypatch):
    monkeypatch.setattr(GANHead, "_drawn", one_picture_for_each)
    model, hear = fit(inputs)
    steps = model.history[-1]["step"]
    ((step, told),) = hear.heard
    assert step < steps / 2
    assert told.startswith("x: draws for the same given are much more alike than true rows are")
    assert f"(diversity 0 at step {2 * steps / 5:.0f})" in told
    assert told in model.notes
    assert "diversity" in model.report.targets["x"].notes
    assert model.history[-1]["val_diversity"] == 0


def test_values_on_their_way_to_infinity_are_told_of(monkeypatch):
    drawn = GANHead._drawn
    monkeypatch.setattr(GANHead, "_drawn", lambda self, *how, **more: 300 * drawn(self, *how, **more))
    heard = fit([])[1].heard
    assert any("training diverges" in told for _, told in heard)
    assert not fit([], watch=False)[1].heard
