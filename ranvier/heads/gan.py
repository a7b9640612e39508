"""Generative adversarial networks: a picture or a vector made of noise, which a critic cannot tell from a real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.heads.real import Auto, Maker, Reader, answer, averaged, beside, choices, chosen, generated, normals, real
from ranvier.ops.collapse import apart, figures, partners, scale, size, troubles

FEATURES = 256  # numbers that the critic judges by
EVERY = 4  # of so many rows one has its gradient penalised, and counts for all
SEED = 5_897  # of what is drawn to be judged: one that nobody seeds data with


class GANHead(Head):
    """G(z, given) with z ~ N(0, I) of `noise` numbers, learnt against a critic C(x, given), each in a phase of its own.

    loss: relativistic: softplus(C(G) - C(x)) for the critic and softplus(C(x) - C(G)) for G, a true and a drawn row
    at a time (Jolicoeur-Martineau 2019, "The relativistic discriminator", eq. 9 to 12, paired). hinge: relu(1 - C(x)) +
    relu(1 + C(G)), and -C(G) (Lim & Ye 2017, "Geometric GAN"). logistic: softplus(-C(x)) + softplus(C(G)), and
    softplus(-C(G)) (Goodfellow et al. 2014). penalty: penalty / 2 times the squared gradient of C is added at real rows
    (Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9, R1) and, relativistic, at
    drawn ones too (R2; Huang et al. 2024, "The GAN is dead; long live the GAN!", sec. 2). Of what is given, the critic
    sees a product with its own features (Miyato & Koyama 2018, "cGANs with projection discriminator", eq. 4).

    widths: channels of the stages, finest first, or widths of layers for vectors. Raises PlanError for a column of
    another kind.
    """

    unconditional: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = ("temperature",)
    phases: ClassVar[tuple[str, ...]] = ("critic", "main")
    plain: ClassVar[tuple[str, ...]] = ("critic",)

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        noise: Count = 64,
        loss: Literal["relativistic", "hinge", "logistic"] = "relativistic",
        penalty: NotNegative = 0.1,
        widths: list[int] | Auto = "auto",
    ) -> None:
        super().__init__()
        sizes = chosen(spec, widths)
        self.spec, self.noise, self.kind, self.penalty = spec, noise, loss, float(penalty)
        self.make = Maker(spec, sizes, noise + width)
        self.critic = nn.ModuleDict({"read": Reader(spec, sizes, FEATURES), "out": nn.Linear(FEATURES, 1)})
        if width:
            self.critic["given"] = nn.Linear(width, FEATURES, bias=False)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """For pictures and vectors, where a person asks for it."""
        score, why = generated(spec)
        return score / 2, why

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the picture's size and the capacity dial."""
        return choices(spec, facts)

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Adam without momentum, many passes, and the average of the weights, which circle what they look for."""
        rows = f"{facts.rows:,} training rows"
        epochs = float(min(400, max(30, round(30 * (60_000 / max(1, facts.rows)) ** 0.5))))
        batch = 64 if facts.rows >= 2_000 else 32
        return {
            "optimizer": ({"name": "adam", "betas": [0.0, 0.99]}, "two networks that move each other want no momentum"),
            "rate": (1e-3 if spec.kind == "pixels" else 2e-3, "steady for both networks"),
            "decay": (0.0, "the penalty holds the critic"),
            "batch": (batch, rows),
            "epochs": (epochs, rows),
            "schedule": ({"name": "linear", "warmup": 0.02, "final": 0.1}, "slower in the end"),
            "clip": (0.0, "the penalty holds the critic"),
            "average": (averaged(epochs, batch, facts.rows), "the weights circle what they look for"),
            "precision": ("bf16", "convolutions are faster in bf16"),
            "keep": ("average", "no loss tells which weights draw best"),
        }

    def params(self, phase: str) -> Iterable[nn.Parameter]:
        """The critic's, or those that draw."""
        return self.critic.parameters() if phase == "critic" else self.make.parameters()

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the critic's loss with its penalty, or that of what draws."""
        x, given = real(self.spec, y.data), f.as_vector()
        drawn = self._drawn(given)
        if phase == "main":
            return self._of_maker(self._score(drawn, given), lambda: self._score(x, given))
        penalised = x[::EVERY].requires_grad_(), drawn[::EVERY].detach().requires_grad_()
        loss = self._of_critic(self._score(x, given), self._score(drawn.detach(), given))
        if not self.penalty or not torch.is_grad_enabled():
            return loss
        at = penalised if self.kind == "relativistic" else penalised[:1]
        slopes = [_slope(self._score(where, given[::EVERY]), where) for where in at]
        extra = torch.zeros_like(loss)
        extra[::EVERY] = len(x) / len(at[0]) * self.penalty / 2 * torch.stack(slopes).sum(0)
        return loss + extra

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"pixels"} or {"value"} drawn; how: generator, temperature (the deviation of z)."""
        given = f.as_vector()
        z = float(how.get("temperature", 1.0)) * normals(len(given), (self.noise,), how.get("generator"))
        return answer(self.spec, self._made(z, given))

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """(B,) by how much the critic prefers the truth ("margin"), how far two draws are apart, or two true rows, and
        how large draws are: {"margin", "near", "apart", "apart_true", "size", "scale"}; see `ops.collapse.figures`.

        The draws are for the same features, and the other row is one of the batch with about the same, if there is one:
        draws that do not vary within a class are seen, and what follows from the given is not taken for variety.
        """
        x, given = real(self.spec, y.data), f.as_vector()
        generator = torch.Generator().manual_seed(SEED)
        one, other = self._drawn(given, generator), self._drawn(given, generator)
        partner, near = partners(given.float(), y.observed)
        return {
            "margin": self._score(x, given) - self._score(one, given),
            "near": near.float(),
            "apart": apart(one, other) * near,
            "apart_true": apart(x, x[partner]) * near,
            "size": size(x),
            "scale": scale(one, x, y.observed),
        }

    def metrics(self) -> Drawn:
        """Means of what `judged` gives."""
        return Drawn()

    def troubles(self, figures: Mapping[str, float]) -> dict[str, str]:
        """Collapse, a critic that has won, and divergence."""
        return troubles(figures)

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) how little real the critic takes a row to be; of no unit, and of an origin of its own."""
        return -self._score(real(self.spec, y.data), f.as_vector())

    # ---- small parts

    def _drawn(self, given: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self._made(torch.randn(len(given), self.noise, generator=generator), given)

    def _made(self, z: Tensor, given: Tensor) -> Tensor:
        return self.make(beside(z.to(given.device), given)).float()

    def _score(self, x: Tensor, given: Tensor) -> Tensor:
        """(B,) how real the critic takes x to be, given the features, which it does not teach."""
        read = self.critic["read"](x)
        score = self.critic["out"](F.silu(read))[:, 0]
        if "given" in self.critic:
            score = score + (self.critic["given"](given.detach()) * read).sum(1) * FEATURES**-0.5
        return score.float()

    def _of_maker(self, drawn: Tensor, true: Any) -> Tensor:
        if self.kind == "relativistic":
            return F.softplus(true() - drawn)
        return -drawn if self.kind == "hinge" else F.softplus(-drawn)

    def _of_critic(self, true: Tensor, drawn: Tensor) -> Tensor:
        if self.kind == "relativistic":
            return F.softplus(drawn - true)
        if self.kind == "hinge":
            return F.relu(1 - true) + F.relu(1 + drawn)
        return F.softplus(-true) + F.softplus(drawn)


def _slope(score: Tensor, x: Tensor) -> Tensor:
    """(B,) the squared norm of each row's gradient."""
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


class Drawn:
    """Figures of what is drawn beside true rows, over batches: "diversity", "margin" and "scale"."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.total: Tensor | float = 0.0
        self.rows: Tensor | float = 0.0

    def update(self, prediction: Mapping[str, Tensor], y: Value, weight: Tensor | None) -> None:
        """Adds a batch of what `GANHead.judged` gave."""
        amount = torch.ones(len(y.data), device=y.data.device) if weight is None else weight
        self.total, self.rows = self.total + amount.sum(), self.rows + (amount > 0).sum()
        for name, each in prediction.items():
            self.sums[name] = self.sums.get(name, 0.0) + (amount * each).sum()

    def compute(self) -> dict[str, float]:
        """The figures of all rows so far."""
        found = figures({name: float(value / self.total) for name, value in self.sums.items()}, int(self.rows))
        return {name: found[name] for name in ("diversity", "margin", "scale") if name in found}
