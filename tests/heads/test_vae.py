"""The VAE's bounds against numbers that are known, and laws that hold whatever was learnt."""

from __future__ import annotations

import math

import pytest
import torch

from ranvier.core.errors import PlanError
from ranvier.core.facts import Facts
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Spec
from ranvier.heads import vae
from ranvier.heads.vae import VAEHead, divergence

POINT = Spec("vector", (1,))


def nothing(rows: int) -> Features:
    return Features(rows, torch.zeros(rows, 0))


class Linear(VAEHead):
    """p(x | z) = N(2 z, 0.5^2), q(z | x) = N(m x, s^2), so that p(x) = N(0, 4.25) is known."""

    def __init__(self, m: float, s: float) -> None:
        super().__init__(POINT, 0, code=1, widths=[4])
        self.m, self.s = m, s
        self.log_deviation.data.fill_(math.log(0.5))

    def _posterior(self, f, y):
        return self.m * y.data, torch.full_like(y.data, self.s)

    def _log_p(self, x, z, f):
        return (-0.5 * ((x - 2 * z) / 0.5).square() - math.log(0.5) - 0.5 * math.log(2 * math.pi)).sum(1)


EXACT = 2 / 4.25, math.sqrt(1 - 4 / 4.25)  # the true posterior of that model


def truth(x):
    return torch.distributions.Normal(0.0, math.sqrt(4.25)).log_prob(x)[:, 0]


def test_the_bounds_are_exact_where_the_posterior_is():
    x = torch.randn(50, 1) * 2
    judged = Linear(*EXACT).judged(nothing(50), Value(x))
    torch.testing.assert_close(judged["elbo"], truth(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(judged["bound"], truth(x), atol=1e-4, rtol=1e-4)


def test_importance_tightens_a_loose_bound():
    x = torch.randn(400, 1) * 2
    judged = Linear(0.3, 0.4).judged(nothing(400), Value(x))
    assert (judged["elbo"] <= judged["bound"] + 1e-5).all()  # Jensen, for the same draws
    assert judged["elbo"].mean() < judged["bound"].mean() - 0.1
    assert judged["bound"].mean() < truth(x).mean() + 0.02
    again = Linear(0.3, 0.4).judged(nothing(400), Value(x))
    assert torch.equal(judged["bound"], again["bound"])


def test_what_training_minimises_is_the_bound():
    x = torch.randn(1, 1).expand(40_000, 1)
    head = Linear(0.3, 0.4)
    torch.manual_seed(0)
    single = head.loss("main", nothing(len(x)), Value(x)).mean().item()
    head.importance = 20
    several = head.loss("main", nothing(4_000), Value(x[:4_000])).mean().item()
    judged = head.judged(nothing(4_000), Value(x[:4_000]))
    assert single == pytest.approx(-judged["elbo"].mean().item(), abs=0.03)
    assert -truth(x)[0] - 0.01 < several < single


def test_figures_do_not_depend_on_how_many_are_decoded_at_once(monkeypatch):
    x = Value(torch.randn(30, 1))
    whole = Linear(0.3, 0.4).judged(nothing(30), x)
    monkeypatch.setattr(vae, "MOST", 70)  # seven rows at once
    for name, figures in Linear(0.3, 0.4).judged(nothing(30), x).items():
        torch.testing.assert_close(figures, whole[name])


def test_divergence_is_that_of_torch_and_never_negative():
    mean, deviation = torch.randn(200, 3), torch.rand(200, 3) * 3 + 0.01
    normal = torch.distributions.Normal
    known = torch.distributions.kl_divergence(normal(mean, deviation), normal(torch.zeros(()), torch.ones(())))
    torch.testing.assert_close(divergence(mean, deviation), known)
    assert (divergence(mean, deviation) >= 0).all()


def test_beta_weighs_and_free_bits_forgive():
    x = Value(torch.randn(30, 1))

    def loss(**how):
        head = Linear(0.3, 0.4)
        head.__dict__.update(how)
        torch.manual_seed(0)
        return head.loss("main", nothing(30), x)

    mean, deviation = Linear(0.3, 0.4)._posterior(nothing(30), x)
    kl = divergence(mean, deviation)[:, 0]
    torch.testing.assert_close(loss(beta=3.0) - loss(beta=1.0), 2 * kl)
    torch.testing.assert_close(loss(free=50.0) - loss(), 50 - kl)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_densities_are_normalised(likelihood):
    """Over all pictures of two pixels: of black and white they sum to 1, of bytes nearly so."""
    levels = torch.tensor([0, 255] if likelihood == "bernoulli" else range(256), dtype=torch.uint8)
    pictures = torch.cartesian_prod(levels, levels).view(-1, 1, 2, 1)
    head = VAEHead(Spec("pixels", (1, 2), 1, "pixel"), 0, code=2, widths=[4], likelihood=likelihood)
    z = torch.zeros(len(pictures), 2)
    x = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
    total = head._log_p(x, z, nothing(len(z))).double().exp().sum().item()
    assert total == pytest.approx(1, abs=0.05 if likelihood == "gaussian" else 1e-5)


@pytest.mark.parametrize("widths", ["auto", [7, 5]])
def test_layers_read_and_make_pictures_of_any_shape(widths):
    spec = Spec("pixels", (6, 5), 3, "pixel")
    head = VAEHead(spec, 2, code=3, network="layers", widths=widths)
    y = Value(torch.randint(256, (4, 6, 5, 3), dtype=torch.uint8))
    f = Features(4, torch.randn(4, 2))
    assert head.decode(head.encode(f, y), f)["pixels"].shape == (4, 6, 5, 3)
    assert not any(isinstance(module, torch.nn.Conv2d) for module in head.modules())
    head.loss("main", f, y).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize(
    ("sides", "facts", "network"),
    [
        ((28, 28), Facts(rows=4_000), "layers"),
        ((28, 28), Facts(rows=3_999), "convolutions"),
        ((33, 33), Facts(rows=4_000), "convolutions"),
        ((28, 28), Facts(rows=4_000, device="cuda"), "convolutions"),
        ((28, 28), Facts(rows=4_000, options={"network": "auto", "widths": [16, 32]}), "convolutions"),
    ],
)
def test_small_pictures_have_layers_where_they_are_faster(sides, facts, network):
    chosen = VAEHead.choose(Spec("pixels", sides, 1, "pixel"), facts)
    assert chosen["network"][0] == network


def test_widths_suit_the_network_that_was_asked_for():
    spec = Spec("pixels", (28, 28), 1, "pixel")
    layers, stages = (
        VAEHead.choose(spec, Facts(rows=rows, options={"network": network, "widths": "auto"}))["widths"][0]
        for rows, network in ((100, "layers"), (9_000, "convolutions"))
    )
    assert layers == [512, 256]
    assert stages == [32, 64, 128]


def test_the_bound_of_black_and_white_is_in_nats_of_a_picture():
    """Against torch's own distributions: summed over pixels, the mean over draws inside the logarithm."""
    head = VAEHead(Spec("pixels", (4, 3), 1, "pixel"), 0, code=2, network="layers", widths=[5], likelihood="bernoulli")
    white = torch.randint(2, (6, 4, 3, 1))
    y = Value((255 * white).to(torch.uint8))
    q, p = torch.distributions.Normal(*head._posterior(nothing(6), y)), torch.distributions.Normal(0.0, 1.0)
    noise = torch.randn(vae.DRAWS, 6, 2, generator=torch.Generator().manual_seed(vae.SEED))
    z = q.mean + q.stddev * noise
    chance = head.decode(z.flatten(0, 1), nothing(len(z) * 6))["pixels"].view(vae.DRAWS, 6, -1) / 255
    seen = torch.distributions.Bernoulli(chance).log_prob(white.flatten(1).float()).sum(2)
    weights = (seen + (p.log_prob(z) - q.log_prob(z)).sum(2)).double().exp()
    judged = head.judged(nothing(6), y)
    torch.testing.assert_close(judged["bound"], weights.mean(0).log().float(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(judged["elbo"], weights.log().mean(0).float(), atol=1e-4, rtol=1e-4)


def test_draws_are_a_function_of_the_generator():
    head = VAEHead(Spec("pixels", (6, 5), 3, "pixel"), 2, code=3, widths=[4, 4])
    f = Features(4, torch.randn(4, 2))
    one, two, other = (head.predict(f, generator=torch.Generator().manual_seed(s))["pixels"] for s in (0, 0, 1))
    assert one.shape == (4, 6, 5, 3)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    cold = head.predict(f, temperature=0.0)["pixels"]
    torch.testing.assert_close(cold, head.decode(torch.zeros(4, 3), f)["pixels"])
    assert one.min() >= 0
    assert one.max() <= 255


def test_refuses_other_columns():
    with pytest.raises(PlanError, match="no place for beta"):
        VAEHead(POINT, 0, importance=5, beta=2.0)
    with pytest.raises(PlanError, match="black and white"):
        VAEHead(POINT, 0, likelihood="bernoulli")
    with pytest.raises(PlanError, match="is for pictures"):
        VAEHead(POINT, 0, network="convolutions")
    with pytest.raises(PlanError, match="generators make columns of kind"):
        VAEHead(Spec("scalar", (2,)), 0)
