"""Settings that no run can have, and those that contradict one another, are refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ranvier.core.errors import DataError, PlanError
from ranvier.core.training import Phase
from ranvier.train import fit
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

X, Y = torch.randn(20, 3), torch.randint(2, (20,))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"steps": 0}, "steps = 0: expected a number above 0"),
        ({"rate": float("nan")}, "rate = nan"),
        ({"rate": float("inf")}, "rate = inf"),
        ({"decay": -1.0}, "decay = -1.0: expected 0 or more"),
        ({"micro": -1}, "micro = -1"),
        ({"patience": -2}, "patience = -2"),
        ({"average": 1.0}, "average = 1.0"),
        ({"precision": "fp61"}, "precision = 'fp61'"),
        ({"keep": "worst"}, "keep = 'worst'"),
        ({"keep": "average"}, "keep = 'average' needs an average"),
        ({"keep": "last", "average": 0.9}, "average = 0.9 changes nothing with keep = 'last'"),
    ],
)
def test_settings(wrong, match):
    with pytest.raises(PlanError, match=match):
        Settings(**{"steps": 5, **wrong})


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"precision": "fp61"}, "fp61"),
        ({"epochs": -3}, "epochs = -3"),
        ({"epochs": float("inf")}, "epochs = inf"),
        ({"batch": 0}, "batch = 0"),
        ({"micro": -1}, "micro = -1"),
        ({"patience": 2}, "patience = 2 needs validation rows"),
    ],
)
def test_plain_fit(wrong, match):
    with pytest.raises(PlanError, match=match):
        fit(nn.Linear(3, 2), (X, Y), **wrong)


def test_plain_fit_checks_the_validation_rows():
    with pytest.raises(DataError, match="the validation x has 20 rows and the validation y has 19"):
        fit(nn.Linear(3, 2), (X, Y), validation=(X, Y[1:]))


def test_what_needs_validation_rows_says_so():
    with pytest.raises(PlanError, match="keep = 'best' needs validation rows"):
        Engine(NetTask(nn.Linear(3, 2), nn.CrossEntropyLoss()), TensorSource(X, Y), Settings(steps=1, keep="best"))


def test_rows_that_see_one_another_are_not_cut_into_micro_batches():
    task = NetTask(nn.Linear(3, 2), nn.CrossEntropyLoss(reduction="none"))
    phase = task.phases[0]
    task.phases = [Phase("main", phase.params, phase.loss, phase.count, splits=False)]
    Engine(task, TensorSource(X, Y), Settings(steps=1)).run()
    with pytest.raises(PlanError, match=r"micro = 4.*batch norm.*smaller batch"):
        Engine(task, TensorSource(X, Y), Settings(steps=1, micro=4))
