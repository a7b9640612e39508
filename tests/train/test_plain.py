"""`rv.train.fit` on plain modules and arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ranvier.core.errors import DataError, PlanError
from ranvier.ops.contrastive import info_nce
from ranvier.train import fit
from ranvier.train.plain import NetTask


def test_float64_arrays_meet_a_float32_network():
    x = np.random.default_rng(0).normal(size=(64, 3))
    net = nn.Linear(3, 1)
    done = fit(net, (x, x @ [[1.0], [2.0], [3.0]]), loss="squared_error", optimizer="sgd", epochs=20)
    assert done.history[-1]["loss"] < 0.1 * done.history[0]["loss"]
    assert net.weight.dtype == torch.float32


def centres(rows=90):
    """Three clouds in the plane."""
    y = np.arange(rows) % 3
    x = np.array([[4.0, 0.0], [-4.0, 4.0], [-4.0, -4.0]])[y] + np.random.default_rng(0).normal(size=(rows, 2))
    return x, y


@pytest.mark.parametrize("loss", ["focal", "hinge", {"name": "cross_entropy", "class_weight": [1.0, 2.0, 1.0]}])
def test_a_loss_by_name_with_its_options(loss):
    x, y = centres()
    net = nn.Linear(2, 3)
    done = fit(net, (x, y), loss=loss, optimizer="adam", rate=0.05, epochs=20)
    assert done.history[-1]["loss"] < 0.3 * done.history[0]["loss"]
    assert (net(torch.tensor(x).float()).argmax(1).numpy() == y).mean() > 0.95


def test_options_of_a_loss_have_their_effect():
    x = np.zeros((40, 1))
    y = np.linspace(0, 1, 40)[:, None]
    net = nn.Linear(1, 1)
    fit(net, (x, y), loss={"name": "quantile", "level": 0.9}, optimizer="sgd", rate=0.05, epochs=200, batch=40)
    assert net.bias.item() == pytest.approx(0.9, abs=0.05)


def test_rows_that_see_one_another_are_not_cut():
    x, y = centres(24)
    with pytest.raises(PlanError, match="rows see one another"):
        fit(nn.Linear(2, 2), (x, y), loss="triplet", micro=8)
    with pytest.raises(PlanError, match="rows see one another"):
        fit(nn.Linear(2, 2), (x, x), loss={"name": "info_nce", "temperature": 0.5}, micro=8)
    assert not NetTask(nn.Linear(2, 2), info_nce).phases[0].splits
    assert NetTask(nn.Linear(2, 2), lambda p, y: p.sum(1)).phases[0].splits
    net = nn.Linear(2, 2)
    done = fit(net, (x, y), loss="triplet", optimizer="adam", rate=0.05, epochs=20, batch=12, validation=(x, y))
    assert done.history[-1]["val_loss"] < 0.1


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("hing", "did you mean 'hinge'"),
        ({"name": "huber", "detla": 1.0}, "did you mean 'delta'"),
        ({"name": "huber", "delta": -1.0}, "greater than 0"),
        ({"delta": 1.0}, "unknown loss ''"),
        (7, "expected a name"),
    ],
)
def test_a_loss_that_is_none_is_refused(loss, said):
    with pytest.raises(PlanError, match=said):
        fit(nn.Linear(2, 2), centres(6), loss=loss)


def test_torch_losses_that_give_a_mean():
    x, y = torch.randn(20, 3), torch.randint(2, (20,))
    weights = []
    for loss in ("cross_entropy", nn.functional.cross_entropy):
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        fit(net, (x, y), loss=loss, epochs=3, batch=7)
        weights.append(net.weight.detach())
    torch.testing.assert_close(*weights)


def test_gradient_descent_takes_all_rows():
    x = torch.randn(50, 3)
    done = fit(nn.Linear(3, 1), (x, x[:, :1]), loss="squared_error", optimizer="gd", epochs=4)
    assert (done.step, done.rows) == (4, 200)
    with pytest.raises(PlanError, match="takes all 50 rows"):
        fit(nn.Linear(3, 1), (x, x[:, :1]), loss="squared_error", optimizer="gd", batch=10)


@pytest.mark.parametrize("asked", [{"average": 0.9}, {"average": "swa"}, {"l1": 0.1}, {"max_norm": 1.0}])
def test_schedule_free_averages_by_itself(asked):
    x = torch.randn(8, 3)
    with pytest.raises(PlanError, match="keeps an average apart"):
        fit(nn.Linear(3, 1), (x, x[:, :1]), loss="squared_error", optimizer="schedule_free", **asked)


def small_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("net", "shape", "said"),
    [
        (
            nn.Linear(3, 2),
            (5,),
            r"\(5,\), but the network's first layer \(Linear\) expects \(\.\.\., 3\), and gets \(5,\)",
        ),
        (small_net(), (4, 5), r"\(4, 5\), but .* \(Linear '1'\) expects \(\.\.\., 12\), and gets \(20,\)"),
        (nn.Conv2d(1, 2, 3), (28, 28), r"\(Conv2d\) expects \(1, any, any\), and gets \(28, 28\)"),
        (nn.Conv2d(1, 2, 3), (784,), r"expects \(1, any, any\), and gets \(784,\)"),
        (nn.Conv1d(3, 2, 3), (4, 9), r"\(Conv1d\) expects \(3, any\), and gets \(4, 9\)"),
    ],
)
def test_an_x_that_does_not_fit_the_first_layer(net, shape, said):
    with pytest.raises(DataError, match=f"^x has rows of the shape .*{said}"):
        fit(net, (torch.randn(8, *shape), torch.zeros(8).long()))


def test_a_validation_x_that_does_not_fit():
    y = torch.zeros(8).long()
    with pytest.raises(DataError, match=r"^the validation x has rows of the shape"):
        fit(small_net(), (torch.randn(8, 3, 4), y), validation=(torch.randn(8, 13), y))


class OneRow(nn.Module):
    """Takes all rows as one without an axis of rows, which a convolution allows; its last layer does not fit."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv1d(1, 4, 3), nn.Linear(7, 2)

    def forward(self, x):
        return self.last(self.conv(x.reshape(1, -1)).T)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)),  # the network itself does not fit
        OneRow(),
        nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(5, 2)),  # not the layer that x comes to
    ],
)
def test_what_is_not_surely_the_fault_of_x_is_left_to_torch(net):
    words = isinstance(net, nn.Sequential) and isinstance(net[0], nn.Embedding)
    x = torch.zeros(8, 3).long() if words else torch.randn(8, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(net, (x, torch.zeros(8).long()))
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_targets_that_are_no_class_numbers_are_refused():
    x = torch.randn(8, 3)
    with pytest.raises(DataError, match="squared_error"):
        fit(nn.Linear(3, 4), (x, torch.rand(8) * 4))
    with pytest.raises(DataError, match="the network has 1 outputs"):
        fit(nn.Linear(3, 1), (x, torch.tensor([0, 1] * 4)))
    with pytest.raises(DataError, match="-100"):
        fit(nn.Linear(3, 2), (x, torch.tensor([0, -100] * 4)))
