"""Variational autoencoders: a picture or a vector drawn by way of a few independent normal numbers."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, NotNegative, Positive
from ranvier.core.protocols import Encoder, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.heads.real import Auto, Maker, Reader, answer, beside, choices, chosen, generated, normals, real, shape

STEP = 127.5  # steps of a pixel between -1 and 0: densities become probabilities of bytes
MOST = 2**24  # values that are decoded at once
PIECE = 10  # draws of the posterior that are decoded at once
DRAWS = 50  # of the posterior, by which a row's bound is judged
SEED = 5_897  # of those draws: one that nobody seeds data with
SMALL = 1_024  # values of a picture up to which layers learn faster than convolutions, on a CPU
MANY = 4_000  # rows from which on layers may find out by themselves which pixels are neighbours
LAYERS = {"s": [256, 128], "m": [512, 256], "l": [1_024, 512]}  # widths, for pictures


class VAEHead(Head):
    """p(x | given) = E[p(x | z, given)] with z ~ N(0, I) of `code` numbers, learnt by a posterior q(z | x, given).

    Minimised is -E_q[log p(x | z)] + beta KL(q || N(0, I)), in nats (Kingma & Welling 2014, "Auto-encoding variational
    Bayes", eq. 10; beta: Higgins et al. 2017, "beta-VAE", eq. 4). free_bits: nats of each number's KL that cost
    nothing, so that none is given up (Kingma et al. 2016, "Improved variational inference with inverse autoregressive
    flow", sec. 3, here for each row). importance: with k > 1 the tighter bound -log mean_k p(x, z) / q(z | x) is
    minimised (Burda et al. 2016, "Importance weighted autoencoders", eq. 8), in which beta and free_bits have no place.

    likelihood: gaussian, of one deviation that is learnt (for pixels in nats of their 256 values), or bernoulli, for
    pictures of black and white: each pixel's intensity is the chance that it is white. network: what reads and makes
    pictures; layers know nothing of neighbours, and are many times faster. widths: channels of the stages, finest
    first, or widths of layers, which is what vectors always have. Raises PlanError for a column of another kind, and
    for vectors that are to be bernoulli or to have convolutions.
    """

    unconditional: ClassVar[bool] = True
    dear: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = ("temperature",)
    encodes: ClassVar[bool] = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        code: Count = 32,
        beta: Positive = 1.0,
        free_bits: NotNegative = 0.0,
        importance: Count = 1,
        likelihood: Literal["gaussian", "bernoulli"] = "gaussian",
        network: Literal["auto", "convolutions", "layers"] = "auto",
        widths: list[int] | Auto = "auto",
    ) -> None:
        super().__init__()
        if network == "convolutions" and spec.kind != "pixels":
            raise PlanError("network = 'convolutions' is for pictures; vectors have 'layers'")
        dense = network == "layers"
        sizes = LAYERS["m"] if dense and widths == "auto" and spec.kind == "pixels" else chosen(spec, widths)
        if importance > 1 and (beta != 1 or free_bits):
            raise PlanError(f"importance = {importance} has no place for beta = {beta:g} and free_bits = {free_bits:g}")
        if likelihood == "bernoulli" and spec.kind != "pixels":
            raise PlanError("likelihood = 'bernoulli' is for pictures of black and white; vectors are 'gaussian'")
        self.spec, self.code, self.beta, self.free = spec, code, float(beta), float(free_bits)
        self.importance, self.black_and_white = importance, likelihood == "bernoulli"
        self.read = Reader(spec, sizes, sizes[-1], dense=dense)
        self.posterior = nn.Sequential(nn.SiLU(), nn.Linear(sizes[-1] + width, 2 * code))
        self.make = Maker(spec, sizes[::-1] if dense else sizes, code + width, dense=dense)
        self.log_deviation = nn.Parameter(torch.tensor(-1.0), requires_grad=not self.black_and_white)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """For pictures and vectors, where a person asks for it."""
        return generated(spec)

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the picture's size, the rows, the device and the capacity dial."""
        network = ("convolutions", "neighbours belong together")
        if spec.kind != "pixels":
            network = ("layers", "vectors have no neighbours")
        elif _fast(spec, facts):
            network = ("layers", f"{math.prod(shape(spec)):,} values, {facts.rows:,} rows: faster than convolutions")
        asked = facts.options.get("network", "auto")
        dense = spec.kind == "pixels" and (network[0] if asked == "auto" else asked) == "layers"
        widths = {"widths": (LAYERS[facts.size], f"size {facts.size}")} if dense else choices(spec, facts)
        return {"network": network, **widths}

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """AdamW down to 0, with many passes, for noise is drawn anew in each."""
        rows = f"{facts.rows:,} training rows"
        return {
            "optimizer": ("adamw", "the usual choice for a VAE"),
            "rate": (1e-3, "steady with drawn noise"),
            "decay": (1e-4, "a little"),
            "batch": (128 if facts.rows >= 4_000 else 32, rows),
            "epochs": (float(min(200, max(20, round(20 * (60_000 / max(1, facts.rows)) ** 0.5)))), rows),
            "schedule": ({"name": "cosine", "warmup": 0.02, "final": 0.0}, "ends at rest"),
            "clip": (1.0, "keeps a stray batch from spoiling the weights"),
            "precision": ("bf16", "products are faster in bf16"),
            "keep": ("best", "the weights that did best on the validation rows"),
        }

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the bound in nats, upside down."""
        x, (mean, deviation) = real(self.spec, y.data), self._posterior(f, y)
        if self.importance > 1:
            noise = torch.randn(self.importance, *mean.shape, device=mean.device)
            return math.log(self.importance) - self._log_weights(x, f, mean, deviation, noise).logsumexp(0)
        z = mean + deviation * torch.randn_like(mean)
        return -self._log_p(x, z, f) + self.beta * divergence(mean, deviation).clamp_min(self.free).sum(1)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"value"} drawn from p(x | z), or {"pixels"}, its mean, for z ~ temperature N(0, I).

        how: generator, temperature. The noise of pixels is left out, as is usual: it is what the code does not tell.
        """
        generator, scale = how.get("generator"), float(how.get("temperature", 1.0))
        z = scale * normals(f.size, (self.code,), generator).to(f.as_vector().device)
        drawn = self.decode(z, f)
        if "value" in drawn:
            around = normals(f.size, drawn["value"].shape[1:], generator).to(z.device)
            drawn["value"] = drawn["value"] + scale * self.log_deviation.exp() * around
        return drawn

    def encode(self, f: Features, y: Value) -> Tensor:
        """(B, code) float32: the posterior's mean."""
        return self._posterior(f, y)[0]

    def decode(self, z: Tensor, f: Features) -> dict[str, Tensor]:
        """What the column is at z (B, code), given the features."""
        said = self.make(beside(z, f.as_vector())).float()
        return answer(self.spec, 2 * said.sigmoid() - 1 if self.black_and_white else said)

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """Nats (B,): {"elbo", "bound", "kl"}; the first two bound the log-probability. Draws are always the same."""
        x, (mean, deviation) = real(self.spec, y.data), self._posterior(f, y)
        noise = torch.randn(DRAWS, *mean.shape, generator=torch.Generator().manual_seed(SEED)).to(mean.device)
        weights = self._in_pieces(x, f, mean, deviation, noise)
        return {
            "elbo": weights.mean(0),
            "bound": weights.logsumexp(0) - math.log(len(weights)),
            "kl": divergence(mean, deviation).sum(1),
        }

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) nats: the bound with one z, the posterior's mean."""
        mean, deviation = self._posterior(f, y)
        return divergence(mean, deviation).sum(1) - self._log_p(real(self.spec, y.data), mean, f)

    # ---- small parts

    def _posterior(self, f: Features, y: Value) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, code), float32."""
        read = self.posterior(beside(self.read(real(self.spec, y.data)), f.as_vector())).float()
        mean, log_deviation = read.chunk(2, 1)
        return mean, log_deviation.clamp(-10, 5).exp()

    def _log_p(self, x: Tensor, z: Tensor, f: Features) -> Tensor:
        """(B,) log p(x | z, given)."""
        said = self.make(beside(z, f.as_vector())).float()
        if self.black_and_white:
            return -F.binary_cross_entropy_with_logits(said, (x + 1) / 2, reduction="none").flatten(1).sum(1)
        log_deviation = self.log_deviation.clamp(-7, 3)
        each = 0.5 * ((x - said) / log_deviation.exp()).square() + log_deviation + 0.5 * math.log(2 * math.pi)
        each = each + math.log(STEP) if self.spec.kind == "pixels" else each
        return -each.flatten(1).sum(1)

    def _in_pieces(self, x: Tensor, f: Features, mean: Tensor, deviation: Tensor, noise: Tensor) -> Tensor:
        """As `_log_weights`, for so few draws and rows at a time that no more than MOST values are decoded."""
        rows = max(1, MOST // (PIECE * x[:1].numel()))
        parts = zip(
            *(part.split(rows) for part in (x, f.as_vector(), mean, deviation)), noise.split(rows, 1), strict=True
        )
        return torch.cat(
            [
                torch.cat([self._log_weights(a, Features(len(a), v), m, d, some) for some in own.split(PIECE)])
                for a, v, m, d, own in parts
            ],
            1,
        )

    def _log_weights(self, x: Tensor, f: Features, mean: Tensor, deviation: Tensor, noise: Tensor) -> Tensor:
        """(draws, B) log p(x, z) - log q(z | x) for z ~ q, made of noise (draws, B, code)."""
        draws = len(noise)
        z = mean + deviation * noise
        given = f.as_vector().repeat(draws, 1)
        log_p = self._log_p(x.repeat(draws, *[1] * (x.ndim - 1)), z.flatten(0, 1), Features(len(given), given))
        ratio = (0.5 * (noise.square() - z.square()) + deviation.log()).sum(2)  # log N(z; 0, 1) - log q(z | x)
        return log_p.view(draws, -1) + ratio


def _fast(spec: Spec, facts: Facts) -> bool:
    """Whether layers are the better choice for pictures; widths that were asked for are channels, unless said so."""
    free = facts.options.get("widths", "auto") == "auto"
    return free and facts.device == "cpu" and facts.rows >= MANY and math.prod(shape(spec)) <= SMALL


def divergence(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, 1)) of each element, in nats."""
    return 0.5 * (mean.square() + deviation.square() - 1) - deviation.log()
