"""Torch's optimizers without its compiler: the same steps and states, and the compiler is never imported."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest
import torch

from ranvier.train.lean import lean
from ranvier.train.optimizers import OwnOptimizer

KINDS = [getattr(torch.optim, name) for name in ("SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam")]

TRAINS = """
import sys, torch
import ranvier as rv
x = torch.randn(64, 4)
for name in ("sgd", "adamw", "muon", "lion"):
    rv.train.fit(torch.nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), optimizer=name, epochs=2)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_torch(kind):
    found = []
    for made in (kind, lean(kind)):
        torch.manual_seed(0)
        net, x = torch.nn.Linear(5, 3), torch.randn(20, 5)
        optimizer = made(net.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
            if step == 1:  # its state goes out and comes back
                optimizer.load_state_dict(optimizer.state_dict())
        assert all(p.requires_grad for p in net.parameters())
        found.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        assert isinstance(optimizer, kind)
    assert torch.equal(*found)


def test_a_subclass_of_our_own_may_have_its_own_methods():
    class Still(OwnOptimizer):
        usual: ClassVar[dict] = {}

        def move(self, p, grad, state, group):
            pass

        def state_dict(self):
            return {"still": super().state_dict()["state"]}

    class Stiller(Still):
        pass

    for kind in (Still, Stiller):
        assert kind([torch.nn.Parameter(torch.ones(1))]).state_dict() == {"still": {}}


def test_training_does_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-c", TRAINS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
