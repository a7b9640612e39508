"""The losses of GANs against formulas by hand, and what each phase may move."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Spec
from ranvier.heads.gan import EVERY, GANHead

SPEC = Spec("vector", (2,))


def made(width=0, **how):
    torch.manual_seed(0)
    return GANHead(SPEC, width, noise=3, widths=[8, 8], **how)


def given(rows, width=0):
    return Features(rows, torch.randn(rows, width))


def drawn_with(head, f, seed=3):
    torch.manual_seed(seed)
    return head._drawn(f.as_vector())


@pytest.mark.parametrize("kind", ["relativistic", "hinge", "logistic"])
def test_losses_by_hand(kind):
    head, f, x = made(loss=kind, penalty=0.0), given(8), torch.randn(8, 2)
    fake = drawn_with(head, f)
    true, false = head._score(x, f.as_vector()), head._score(fake, f.as_vector())
    critic, maker = {
        "relativistic": (F.softplus(false - true), F.softplus(true - false)),
        "hinge": (F.relu(1 - true) + F.relu(1 + false), -false),
        "logistic": (F.softplus(-true) + F.softplus(false), F.softplus(-false)),
    }[kind]
    for phase, expected in (("critic", critic), ("main", maker)):
        torch.manual_seed(3)
        torch.testing.assert_close(head.loss(phase, f, Value(x)), expected)


@pytest.mark.parametrize(("kind", "at"), [("relativistic", 2), ("hinge", 1), ("logistic", 1)])
def test_the_penalty_is_the_squared_slope_of_the_critic(kind, at):
    head, f, x = made(2, loss=kind, penalty=3.0), given(8, 2), torch.randn(8, 2)
    torch.manual_seed(3)
    with_it = head.loss("critic", f, Value(x))
    head.penalty = 0.0
    torch.manual_seed(3)
    extra = with_it - head.loss("critic", f, Value(x))
    rows = list(range(0, 8, EVERY))
    for row in range(8):
        if row not in rows:
            assert extra[row] == 0
            continue
        slopes = 0.0
        for where in (x[row], drawn_with(head, f)[row])[:at]:
            step = 1e-3
            ends = where + step * torch.cat([torch.eye(2), -torch.eye(2)])
            up = head._score(ends, f.as_vector()[row].expand(4, -1))
            slopes += ((up[:2] - up[2:]) / (2 * step)).square().sum()
        torch.testing.assert_close(extra[row], 8 / len(rows) * 3.0 / 2 * slopes, rtol=2e-2, atol=1e-3)


def test_the_penalty_is_a_mean_over_the_rows_however_they_are_cut():
    head = made(penalty=3.0)

    def extra(rows):
        x, f = Value(torch.ones(rows, 2)), given(rows)
        torch.manual_seed(3)
        whole = head.loss("critic", f, x).sum()
        head.penalty = 0.0
        torch.manual_seed(3)
        total = whole - head.loss("critic", f, x).sum()
        head.penalty = 3.0
        return (total / rows).item()

    head.kind = "hinge"  # at true rows alone, which are all the same here
    assert extra(1) == pytest.approx(extra(8), rel=1e-3) == pytest.approx(extra(6), rel=1e-3)


def test_each_phase_moves_its_own():
    head, f, x = made(2), given(8, 2), Value(torch.randn(8, 2))
    f.vector.requires_grad_()
    head.loss("critic", f, x).sum().backward()
    assert all(p.grad is None for p in head.params("main"))
    assert f.vector.grad is None  # the critic does not teach what is given
    critic = {id(p) for p in head.params("critic")}
    assert critic.isdisjoint(id(p) for p in head.params("main"))
    assert critic | {id(p) for p in head.params("main")} == {id(p) for p in head.parameters()}


def test_what_the_critic_takes_for_drawn_is_strange():
    head, f, x = made(), given(8), Value(torch.randn(8, 2))
    strange = head.strange(f, x)
    assert torch.equal(strange, head.strange(f, x))
    torch.testing.assert_close(strange, -head._score(x.data, f.as_vector()))


def test_collapse_is_seen():
    head, f, x = made(), given(64), Value(torch.randn(64, 2))
    assert head.judged(f, x)["apart"].mean() > 0
    for p in head.make.parameters():
        p.data.zero_()
    said = head.judged(f, x)
    assert said["apart"].abs().max() == 0
    assert said["apart_true"].mean() > 1


@torch.no_grad()
def test_collapse_within_classes_is_seen():
    head, x = made(2), torch.randn(64, 2)
    f = Features(64, F.one_hot(torch.arange(64) % 2, 2).float())
    x[1::2] += 100  # classes far apart
    head._drawn = lambda given, generator=None: 100 * given[:, 1:].expand(-1, 2)  # of each class its middle
    metric = head.metrics()
    for rows in (slice(0, 40), slice(40, 64)):
        some = Features(len(x[rows]), f.vector[rows])
        metric.update(head.judged(some, Value(x[rows])), Value(x[rows]), None)
    figures = metric.compute()
    assert list(head.troubles(figures)) == ["diversity"]
    assert figures["diversity"] == 0
    assert figures["scale"] == pytest.approx(1, abs=0.1)
    head._drawn = lambda given, generator=None: 100 * given[:, 1:] + torch.randn(len(given), 2, generator=generator)
    said = head.judged(f, Value(x))
    assert said["apart"].mean() < 0.1 * (x[::2] - x[1::2]).square().mean(1).sqrt().mean()  # much alike, beside all rows
    metric.update(said, Value(x), torch.full((64,), 1e9))  # weighs more than all before
    assert metric.compute()["diversity"] == pytest.approx(1, abs=0.25)
    assert head.troubles(metric.compute()) == {}


def measured(head, f, x, observed=None):
    metric = head.metrics()
    weight = None if observed is None else observed.float()
    metric.update(head.judged(f, Value(x, observed=observed)), Value(x, observed=observed), weight)
    return metric.compute()


@torch.no_grad()
def test_what_follows_from_the_given_is_no_variety():
    """Exact draws of x = c + little noise, for continuous c, and for pictures as c."""
    for width in (1, 9):
        head, c = made(width), torch.randn(64, width)

        def drawn(given, generator=None):
            return given[:, :1] + 0.03 * torch.randn(len(given), 2, generator=generator)

        head._drawn = drawn
        figures = measured(head, Features(64, c), drawn(c))
        assert head.troubles(figures) == {}
        assert "diversity" not in figures or figures["diversity"] > 0.6


@torch.no_grad()
def test_of_alike_truths_there_is_no_diversity():
    head = made(2)
    f = Features(64, F.one_hot(torch.arange(64) % 2, 2).float())
    assert set(measured(head, f, f.vector.clone())) == {"margin", "scale"}
    assert "diversity" in measured(head, f, torch.randn(64, 2))


@torch.no_grad()
def test_rows_without_a_truth_count_for_no_other():
    head, f, x = made(), given(32), torch.randn(32, 2)
    observed = torch.arange(32) % 2 == 0
    x[~observed] = 0
    alone = measured(head, Features(16, f.vector[observed]), x[observed])
    found = measured(head, f, x, observed)
    assert head.judged(f, Value(x, observed=observed))["apart_true"][observed].min() > 0
    true = x[observed].square().mean(1).sqrt().mean()
    judged = head.judged(f, Value(x, observed=observed))
    assert judged["scale"][0] == pytest.approx(
        head._drawn(f.as_vector(), torch.Generator().manual_seed(5_897))[0].square().mean().sqrt() / true
    )
    assert found["diversity"] == pytest.approx(alone["diversity"], rel=0.5)
