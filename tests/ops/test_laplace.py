"""The posterior of a last layer beside exact linear regression, the whole Hessian, and draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ranvier.ops.laplace import Posterior, categorical_curvature, factors, posterior, softened


def regression(rows: int = 60, width: int = 6, noise: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(rows, width, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.3, 0.1][:width])
    return x, x @ torch.randn(width, dtype=torch.float64) + noise * torch.randn(rows, dtype=torch.float64)


def evidence(x: torch.Tensor, y: torch.Tensor, prior: float, noise: float) -> float:
    """log N(y; 0, noise I + X X^T / prior), as it stands."""
    covariance = noise * torch.eye(len(y), dtype=torch.float64) + x @ x.T / prior
    return float(torch.distributions.MultivariateNormal(torch.zeros_like(y), covariance).log_prob(y))


def fitted(x: torch.Tensor, y: torch.Tensor) -> tuple[Posterior, float, float]:
    """The posterior, with the weights at their mean; the prior's precision and the noise that it has found."""
    a, g = factors(x, torch.ones(len(x), 1, 1), torch.ones(len(x)))
    w, prior, noise = torch.zeros(x.shape[1], dtype=torch.float64) + 0.1, 1.0, 1.0
    for _ in range(30):  # weights and prior in turn, as training with such a decay would have it
        w = torch.linalg.solve(x.T @ x / noise + prior * torch.eye(len(w)), x.T @ y / noise)
        found = posterior(a, g, w[None], squared_errors=float((y - x @ w).square().sum()), rows=len(x))
        values, precisions = torch.linalg.eigvalsh(x.T @ x), 1 / found.variance[0]  # precision = value / noise + prior
        noise = float((values[-1] - values[0]) / (precisions[-1] - precisions[0]))
        prior = float(precisions[0] - values[0] / noise)
    return found, prior, noise


def test_a_number_has_the_exact_posterior_of_linear_regression():
    x, y = regression()
    found, prior, noise = fitted(x, y)
    exact = torch.linalg.inv(x.T @ x / noise + prior * torch.eye(6))
    at = torch.randn(20, 6, dtype=torch.float64)
    torch.testing.assert_close(found.of_outputs(at)[:, 0, 0], torch.einsum("ni,ij,nj->n", at, exact, at))


def test_prior_and_noise_maximise_the_exact_marginal_likelihood():
    x, y = regression()
    _, prior, noise = fitted(x, y)
    best = evidence(x, y, prior, noise)
    for one in (0.8, 0.95, 1.05, 1.25):
        assert evidence(x, y, prior * one, noise) < best
        assert evidence(x, y, prior, noise * one) < best
    assert noise == pytest.approx(0.25, rel=0.5)


def hessian(x: torch.Tensor, w: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of the cross-entropy in the weights, by automatic differentiation: (C D, C D)."""
    truth = torch.zeros(len(x), dtype=torch.int64)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return (weight * F.cross_entropy(x @ flat.view_as(w).T, truth, reduction="none")).sum()

    return torch.autograd.functional.hessian(loss, w.flatten())


def of_classes(x: torch.Tensor, w: torch.Tensor, weight: torch.Tensor) -> Posterior:
    a, g = factors(x, categorical_curvature((x @ w.T).softmax(1)), weight)
    return posterior(a, g, w)


def precision_of(found: Posterior) -> torch.Tensor:
    basis = torch.kron(found.outputs, found.inputs)
    return basis @ torch.diag(1 / found.variance.flatten()) @ basis.T


def test_two_classes_have_the_whole_hessian():
    x, w = torch.randn(50, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    weight = torch.rand(50, dtype=torch.float64)
    precision, exact = precision_of(of_classes(x, w, weight)), hessian(x, w, weight)
    prior = precision - exact
    torch.testing.assert_close(prior, prior[0, 0] * torch.eye(8, dtype=torch.float64))
    assert prior[0, 0] > 0


def test_more_classes_have_the_hessians_partial_traces():
    x, w = torch.randn(50, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    ones = torch.ones(50, dtype=torch.float64)
    precision, exact = precision_of(of_classes(x, w, ones)), hessian(x, w, ones)
    prior = (precision.trace() - exact.trace()) / 12
    kept = (precision - prior * torch.eye(12)).view(3, 4, 3, 4)
    exact = exact.view(3, 4, 3, 4)
    torch.testing.assert_close(torch.einsum("cidi->cd", kept), torch.einsum("cidi->cd", exact))
    torch.testing.assert_close(torch.einsum("cicj->ij", kept), torch.einsum("cicj->ij", exact))
    assert (kept - exact).norm() < 0.5 * exact.norm()


def test_the_covariance_of_scores_is_that_of_drawn_weights():
    x, w = torch.randn(80, 3, dtype=torch.float64), 0.5 * torch.randn(3, 3, dtype=torch.float64)
    found = of_classes(x, w, torch.ones(80))
    root = torch.kron(found.outputs, found.inputs) * found.variance.flatten().sqrt()
    drawn = (torch.randn(100_000, 9, dtype=torch.float64) @ root.T).view(-1, 3, 3)
    at = torch.randn(2, 3, dtype=torch.float64)
    for row, covariance in zip(at, found.of_outputs(at), strict=True):
        torch.testing.assert_close((drawn @ row).T.cov(), covariance, rtol=0.05, atol=0.01 * float(covariance.max()))


def test_directions_that_training_never_saw_are_as_uncertain_as_the_prior():
    x, y = regression(40, 4)
    x = torch.cat([x, torch.zeros(40, 1, dtype=x.dtype)], 1)
    w = torch.linalg.lstsq(x[:, :4], y).solution
    a, g = factors(x, torch.ones(40, 1, 1), torch.ones(40))
    found = posterior(a, g, F.pad(w, (0, 1))[None], squared_errors=10.0, rows=40)
    seen, unseen = found.of_outputs(torch.eye(5, dtype=x.dtype)[[0, 4]])[:, 0, 0]
    assert unseen > 20 * seen


@pytest.mark.parametrize(
    ("classes", "size", "close"), [(2, 1.0, 0.005), (2, 4.0, 0.005), (3, 1.0, 0.008), (6, 1.5, 0.015)]
)
def test_softened_probabilities_are_about_the_mean_over_draws(classes, size, close):
    random = torch.Generator().manual_seed(classes)
    scores = 1.5 * torch.randn(12, classes, dtype=torch.float64, generator=random)
    roots = size * torch.randn(12, classes, classes, dtype=torch.float64, generator=random) / classes**0.5
    soft = softened(scores, roots @ roots.mT)
    drawn = torch.randn(20_000, 1, classes, dtype=torch.float64, generator=random)
    mean = (scores + (drawn[..., None, :] * roots).sum(-1)).softmax(-1).mean(0)
    plain = scores.softmax(1)
    assert (soft - mean).abs().mean() < close
    assert (soft - mean).abs().mean() < 0.35 * (plain - mean).abs().mean()
    torch.testing.assert_close(soft.sum(1), torch.ones(12, dtype=torch.float64))


def test_what_is_certain_is_not_softened_nor_is_a_common_shift():
    scores = torch.randn(7, 4)
    torch.testing.assert_close(softened(scores, torch.zeros(7, 4, 4)), scores.double().softmax(1))
    common = torch.full((7, 4, 4), 9.0)  # all scores move together
    torch.testing.assert_close(softened(scores, common), scores.double().softmax(1))
    far = softened(torch.tensor([[1000.0, -1000.0]]), torch.eye(2)[None])
    assert far.isfinite().all()
    assert softened(torch.zeros(0, 3), torch.zeros(0, 3, 3)).shape == (0, 3)


def test_more_rows_make_the_posterior_narrower():
    deviations = []
    for rows in (30, 300, 3000):
        torch.manual_seed(1)
        x, y = regression(rows)
        w = torch.linalg.lstsq(x, y).solution
        a, g = factors(x, torch.ones(rows, 1, 1), torch.ones(rows))
        found = posterior(a, g, w[None], squared_errors=float((y - x @ w).square().sum()), rows=rows)
        deviations.append(float(found.of_outputs(torch.ones(1, 6)).sqrt()))
    assert np.allclose(np.divide(deviations[:-1], deviations[1:]), 10**0.5, rtol=0.35)
