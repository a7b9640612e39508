"""From noise to data: diffusion as denoising at every level of noise, flow matching as velocities from noise to data.

A denoiser is any function of (x (B, ...), sigma (B,)) that gives the expected clean rows (B, ...), where x = clean +
sigma * noise. Everything here is made of such functions: a preconditioned network is one, a guided pair of them is one,
and `sample` asks one at a few falling levels. The score of the noisy data is (denoise(x, sigma) - x) / sigma^2.

Sources: Karras, Aittala, Aila & Laine, "Elucidating the design space of diffusion-based generative models" (EDM),
arXiv:2206.00364; Lipman et al., "Flow matching for generative modeling", arXiv:2210.02747; Liu, Gong & Liu, "Flow
straight and fast: rectified flow", arXiv:2209.03003. Gradients flow through everything: sample under `torch.no_grad()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
Velocity = Callable[[Tensor, Tensor], Tensor]
Solver = Literal["euler", "heun", "dpmpp_2m"]
FlowSolver = Literal["euler", "midpoint", "heun"]
MOST_CHURN = math.sqrt(2) - 1  # no step adds more noise than there is: the variance at most doubles


# ---- levels of noise


def edm_sigmas(
    steps: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0
) -> Float[Tensor, " levels"]:
    """Levels for `sample`: from sigma_max down to sigma_min, evenly in sigma^(1 / rho), then 0; (steps + 1,) float64.

    sigma_i = (sigma_max^(1/rho) + i / (steps - 1) * (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, i < steps; a large
    rho puts more steps where there is little noise. Raises ValueError for fewer than 1 step, or unless
    0 < sigma_min < sigma_max and rho > 0. Source: EDM, eq. 5.
    """
    if steps < 1 or not 0 < sigma_min < sigma_max or rho <= 0:
        got = f"{steps}, {sigma_min}, {sigma_max}, {rho}"
        raise ValueError(f"expected 1 step or more, 0 < sigma_min < sigma_max and rho > 0, got {got}")
    ramp = torch.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), steps, dtype=torch.float64).pow(rho)
    ramp[0] = sigma_max  # without rounding; so is the last, where there is one
    if steps > 1:
        ramp[-1] = sigma_min
    return torch.cat([ramp, ramp.new_zeros(1)])


def edm_training_sigmas(
    rows: int, *, mean: float = -1.2, std: float = 1.2, generator: torch.Generator | None = None
) -> Float[Tensor, " b"]:
    """A level for each row to learn from, ln sigma ~ N(mean, std^2); (rows,) on the generator's device.

    Most are of the middle: of little noise nothing is left to see, in much of it there is nothing to be seen. Source:
    EDM, table 1.
    """
    return (mean + std * _normal((rows,), generator)).exp()


class Preconditioning(NamedTuple):
    """Four factors (B,) by which D(x; sigma) = skip * x + out * F(into * x; level) for a network F (EDM, eq. 7)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    level: Tensor


def edm_preconditioning(sigma: Float[Tensor, " b"], data_std: float = 0.5) -> Preconditioning:
    """Factors that give F inputs and targets of variance 1, its errors as little weight as can be, and ln(sigma) / 4.

    sigma: (B,), positive. data_std: the standard deviation of the clean data. Source: EDM, table 1 and appendix B.6.
    """
    total = (sigma.square() + data_std**2).sqrt()
    return Preconditioning((data_std / total).square(), sigma * data_std / total, 1 / total, sigma.log() / 4)


def edm_weight(sigma: Float[Tensor, " b"], data_std: float = 0.5) -> Float[Tensor, " b"]:
    """What squared errors of D count by, 1 / out^2, so that at first each level's loss is 1 (EDM, table 1)."""
    return (sigma.square() + data_std**2) / (sigma * data_std).square()


def edm_pair(
    x: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], sigma: Float[Tensor, " b"], data_std: float = 0.5
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, " b"], Float[Tensor, "b ..."]]:
    """What the network F is to be taught: its input, its level (B,), and its target, whose squared error has weight 1.

    x: clean rows. noise: of N(0, 1). This is D's error times `edm_weight`, without the division of small by small.
    Source: EDM, eq. 8.
    """
    factors = edm_preconditioning(sigma, data_std)
    skip, out, into, wide = (along(part, x) for part in (factors.skip, factors.out, factors.into, sigma))
    noisy = x + wide * noise
    return into * noisy, factors.level, (x - skip * noisy) / out


def edm_denoiser(net: Callable[[Tensor, Tensor], Tensor], data_std: float = 0.5) -> Denoise:
    """The denoiser D that a network of (input (B, ...), level (B,)) taught by `edm_pair` makes (EDM, eq. 7)."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        factors = edm_preconditioning(sigma, data_std)
        found = net(along(factors.into, x) * x, factors.level)
        return along(factors.skip, x) * x + along(factors.out, x) * found

    return denoise


# ---- from noise to data


def sample(
    denoise: Denoise,
    noise: Float[Tensor, "b ..."],
    sigmas: Float[Tensor, " levels"],
    *,
    method: Solver = "heun",
    churn: float = 0.0,
    churn_range: tuple[float, float] = (0.05, 50.0),
    churn_noise: float = 1.003,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "b ..."]:
    """Data from noise (B, ...) of N(0, 1), by following dx / dsigma = (x - denoise(x, sigma)) / sigma down the levels.

    sigmas: falling, such as `edm_sigmas`. For S steps to 0 method "euler" (DDIM's step) asks the denoiser S times, and
    its error falls with 1 / S; "heun" asks 2 S - 1 times, its error falls with 1 / S^2 (EDM, algorithm 1);
    "dpmpp_2m" asks S times and looks back one answer instead (Lu et al. 2022, "DPM-Solver++", arXiv:2211.01095,
    algorithm 2), which suits few steps. churn: how much noise to add again in all, at levels within churn_range,
    churn_noise times as strong as is taken away (EDM, algorithm 2); this mends errors, and needs more steps.
    generator: of that noise. Raises ValueError for levels that do not fall, or churn with "dpmpp_2m".
    """
    levels = _line(sigmas, falling=True)
    if churn and method == "dpmpp_2m":
        raise ValueError("churn: method 'dpmpp_2m' looks back along its way, which new noise would leave; use 'heun'")
    low, high = churn_range
    x, seen, stride = noise * levels[0], None, 0.0
    for sigma, after in pairwise(levels):
        if churn and low <= sigma <= high:
            raised = sigma * (1 + min(churn / (len(levels) - 1), MOST_CHURN))
            x = x + churn_noise * math.sqrt(raised**2 - sigma**2) * _normal(x.shape, generator).to(x)
            sigma = raised
        clean = denoise(x, _rows(sigma, x)).to(x.dtype)  # which may be less precise inside
        if after == 0:
            return clean  # where every method goes from here
        if method == "dpmpp_2m":
            step = math.log(sigma / after)
            ahead = clean if seen is None else clean + step / (2 * stride) * (clean - seen)
            x, seen, stride = ahead.lerp(x, after / sigma), clean, step
            continue
        moved = clean.lerp(x, after / sigma)  # x + (after - sigma) * (x - clean) / sigma
        if method == "heun":
            slopes = (x - clean) / sigma + (moved - denoise(moved, _rows(after, x))) / after
            moved = x + (after - sigma) / 2 * slopes
        x = moved
    return x


def guided(conditional: Denoise, unconditional: Denoise, scale: float) -> Denoise:
    """Classifier-free guidance: unconditional + scale * (conditional - unconditional), of denoisers or of velocities.

    scale: 1 = as learnt, more = nearer to what is typical of the condition, 0 = without it; at 0 and 1 only the one is
    asked. Source: Ho & Salimans, "Classifier-free diffusion guidance", arXiv:2207.12598, eq. 6 with w = scale - 1.
    """
    if scale in (0, 1):
        return conditional if scale else unconditional

    def both(x: Tensor, level: Tensor) -> Tensor:
        return unconditional(x, level).lerp(conditional(x, level), scale)

    return both


# ---- flow matching


def flow_training_times(
    rows: int, *, mean: float = 0.0, std: float = 1.0, generator: torch.Generator | None = None
) -> Float[Tensor, " b"]:
    """A time in (0, 1) for each row to learn from, logit t ~ N(mean, std^2); (rows,) on the generator's device.

    Times in the middle, which are hardest, come up most. Source: Esser et al. 2024, arXiv:2403.03206, section 3.1.
    """
    return (mean + std * _normal((rows,), generator)).sigmoid()


def flow_pair(
    x: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], t: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]:
    """The place at time t on the straight way from noise (t = 0) to x (t = 1), and the velocity x - noise to be learnt.

    t: (B,) in [0, 1]. Sources: Lipman et al. 2022, eq. 22 and 23 with sigma_min = 0; Liu et al. 2022, eq. 1.
    """
    return noise.lerp(x, along(t, x)), x - noise


def sample_flow(
    velocity: Velocity,
    noise: Float[Tensor, "b ..."],
    times: Float[Tensor, " times"],
    *,
    method: FlowSolver = "heun",
) -> Float[Tensor, "b ..."]:
    """Data from noise (B, ...) of N(0, 1), by following dx / dt = velocity(x, t (B,)) through rising times.

    times: from 0 to 1, such as `torch.linspace(0, 1, steps + 1)`. A step of "euler" asks once, and the error falls with
    1 / steps; one of "midpoint" or "heun" asks twice, and it falls with 1 / steps^2. Raises ValueError for times that
    do not rise.
    """
    x = noise
    for t, after in pairwise(_line(times, falling=False)):
        step = after - t
        slope = velocity(x, _rows(t, x))
        if method == "midpoint":
            slope = velocity(x + step / 2 * slope, _rows(t + step / 2, x))
        elif method == "heun":
            slope = (slope + velocity(x + step * slope, _rows(after, x))) / 2
        x = x + step * slope
    return x


def flow_sigmas(steps: int) -> Float[Tensor, " levels"]:
    """Levels for `sample` with `flow_denoiser` that lie evenly in time: (1 - t) / t at t = i / steps; (steps + 1,).

    The level at t = 0 has no bound, and is taken an eighth of a step later. Raises ValueError for fewer than 1 step.
    """
    if steps < 1:
        raise ValueError(f"expected 1 step or more, got {steps}")
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    t[0] = t[1] / 8
    return (1 - t) / t


def flow_denoiser(velocity: Velocity) -> Denoise:
    """The denoiser that a learnt velocity is, so that `sample` takes it: at t = 1 / (1 + sigma) both ways meet.

    t * (clean + sigma * noise) lies on the straight way, from where clean is (1 - t) * velocity away.
    """

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        t = 1 / (1 + sigma)
        place = along(t, x) * x
        return place + along(1 - t, x) * velocity(place, t)

    return denoise


# ---- parts


def along(rows: Float[Tensor, " b"], x: Float[Tensor, "b ..."]) -> Tensor:
    """One number for each row of x (B, ...), in its shape (B, 1, ...)."""
    return rows.view(-1, *[1] * (x.ndim - 1))


def _rows(level: float, x: Tensor) -> Tensor:
    """The same level for every row of x, (B,)."""
    return x.new_full((len(x),), level)


def _normal(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, device=None if generator is None else generator.device)


def _line(levels: Tensor, *, falling: bool) -> list[float]:
    """The levels as numbers. Raises ValueError for fewer than two, any below 0, or any out of order."""
    line: list[float] = levels.tolist()
    in_order = all(a > b if falling else a < b for a, b in pairwise(line))
    if len(line) < 2 or min(line) < 0 or not in_order:
        raise ValueError(f"expected two or more {'falling' if falling else 'rising'} numbers from 0 on, got {line}")
    return line
