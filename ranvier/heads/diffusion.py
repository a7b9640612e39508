"""Diffusion: a picture or a vector out of noise, which a network takes away a little at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Value
from ranvier.core.spec import Spec
from ranvier.heads.output import check_share
from ranvier.heads.real import Auto, answer, averaged, choices, chosen, generated, real
from ranvier.nets.conditioned import ConditionedMLP, Fourier
from ranvier.nets.unet import UNet
from ranvier.ops.diffusion import (
    Denoise,
    Solver,
    edm_denoiser,
    edm_pair,
    edm_sigmas,
    edm_training_sigmas,
    guided,
    sample,
)

WAVES = 64  # of the level of noise
LEVELS = 8  # of noise, at which a row is judged
SPREAD = {"pixels": 0.7, "vector": 1.0}  # the standard deviation that data are taken to have
CENTRE, REACH = -0.4, 1.2  # of the logarithms of the levels that are learnt: where noise leaves it open what a row is
FINEST = {"s": 16, "m": 24, "l": 48}  # channels of a picture's finest stage
FEWER = 100  # passes over vectors, at most: after more, those drawn lie nearer to those learnt from
SMALL = 32  # pixels to a side of pictures that are not taken as patches
GUIDANCE = 2.0  # where anything is given
SEED = 5_897  # of the noise that rows are judged by: one that nobody seeds data with
OF_PICTURES: Choices = {
    "optimizer": ({"name": "muon", "momentum": 0.9, "other_rate": 0.1}, "kernels learn fastest by orthogonal steps"),
    "rate": (0.03, "suits Muon"),
}
OF_VECTORS: Choices = {
    "optimizer": ("adamw", "the usual choice for diffusion"),
    "rate": (2e-3, "steady at all levels of noise"),
}


class DiffusionHead(Head):
    """x out of noise, by a network that says at every level of noise what x was (Karras et al. 2022, "EDM").

    Of pictures a U-Net, of vectors a residual MLP, both modulated by the level of noise and by what is given. The loss
    is the mean over elements of the squared error of what the network is taught (EDM, eq. 8). drop: the chance that a
    row's features are hidden while training, so that the network also knows all x in one; guidance: by how much drawing
    prefers what is given to that (Ho & Salimans 2022, "Classifier-free diffusion guidance"; 1 = as learnt, "auto" 2
    where anything is given). steps, solver: how often, and how, noise is taken away (see `ops.diffusion.sample`).

    widths: channels of the stages, finest first, or of layers for vectors. depth: blocks in a stage, or in all. Raises
    PlanError for a column of another kind.
    """

    unconditional: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = ("steps", "guidance", "solver")
    dear: ClassVar[bool] = True

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        /,
        *,
        widths: list[int] | Auto = "auto",
        depth: Count | Auto = "auto",
        drop: float = 0.1,
        guidance: NotNegative | Auto = "auto",
        steps: Count = 20,
        solver: Solver = "dpmpp_2m",
    ) -> None:
        super().__init__()
        sizes = chosen(spec, widths)
        check_share("drop", drop)
        self.spec, self.drop, self.steps, self.solver = spec, drop if width else 0.0, steps, solver
        self.given = nn.Linear(width, WAVES) if width else None
        self.guidance = (GUIDANCE if self.drop else 1.0) if guidance == "auto" else float(guidance)
        self._check_guidance(self.guidance)
        self.spread = SPREAD[spec.kind]
        self.waves = Fourier(WAVES)
        self.nothing = nn.Parameter(torch.randn(WAVES)) if width else None
        number = {"pixels": 1, "vector": 3}[spec.kind] if depth == "auto" else depth
        if spec.kind == "pixels":
            patch = 1 if max(int(side or 1) for side in spec.shape[:2]) <= SMALL else 2
            self.net: nn.Module = UNet(spec.size, sizes, condition=2 * WAVES, depth=number, patch=patch)
        else:
            self.net = ConditionedMLP(int(spec.shape[0] or 0), sizes[-1], condition=2 * WAVES, depth=number)

    @classmethod
    def suits(cls, spec: Spec, facts: Facts) -> tuple[float, str]:
        """The first choice for pictures and vectors that are to be drawn."""
        score, why = generated(spec)
        return 1.25 * score, why

    @classmethod
    def choose(cls, spec: Spec, facts: Facts) -> Choices:
        """By the picture's size and the capacity dial; guidance by whether anything is given."""
        asked = {"guidance": (GUIDANCE, "nearer to what is typical of what is given")}
        free = {"guidance": (1.0, "nothing is given, or always")}
        depth = {"depth": (1, "stages are few") if spec.kind == "pixels" else (3, "layers are small")}
        widths = choices(spec, facts)
        if spec.kind == "pixels":
            stages = len(widths["widths"][0])
            widths = {"widths": ([FINEST[facts.size] << i for i in range(stages)], widths["widths"][1])}
        return widths | depth | (asked if facts.inputs and facts.options.get("drop", 1) else free)

    @classmethod
    def recipe(cls, spec: Spec, facts: Facts) -> Choices:
        """Many passes, for each sees other noise, and the average of the weights; Muon for convolutions."""
        rows = f"{facts.rows:,} training rows"
        most = 400 if spec.kind == "pixels" else FEWER
        epochs = float(min(most, max(30, round(30 * (60_000 / max(1, facts.rows)) ** 0.5))))
        batch = 128 if facts.rows >= 4_000 else 32
        return {
            **(OF_PICTURES if spec.kind == "pixels" else OF_VECTORS),
            "decay": (1e-4, "a little"),
            "batch": (batch, rows),
            "epochs": (epochs, rows),
            "schedule": ({"name": "cosine", "warmup": 0.02, "final": 0.01}, "ends at rest"),
            "clip": (1.0, "keeps a stray batch from spoiling the weights"),
            "average": (averaged(epochs, batch, facts.rows), "the average draws better than any weights on the way"),
            "precision": ("bf16", "convolutions are faster in bf16"),
            "keep": ("average", "the loss hardly tells which weights draw best"),
        }

    def loss(self, phase: str, f: Features, y: Value) -> Tensor:
        """(B,) the mean squared error over the elements of what the network is taught at a level drawn for the row."""
        x, given = real(self.spec, y.data), self._given(f)
        if self.given is not None and self.training:
            assert self.nothing is not None
            hidden = torch.rand(len(x), 1, device=x.device) < self.drop
            given = torch.where(hidden, self.nothing, given)
        sigma = edm_training_sigmas(len(x), mean=CENTRE, std=REACH).to(x)
        return self._error(x, torch.randn_like(x), sigma, given)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"pixels"} or {"value"} drawn; how: generator, steps, guidance, solver."""
        given, shape = self._given(f), self._shape()
        noise = torch.randn(f.size, *shape, generator=how.get("generator")).to(given.device)
        denoise = self._denoiser(given)
        if self.nothing is not None:
            free = self._denoiser(self.nothing.expand_as(given))
            guidance = float(how.get("guidance", self.guidance))
            self._check_guidance(guidance)
            denoise = guided(denoise, free, guidance)
        sigmas = edm_sigmas(int(how.get("steps", self.steps)))
        return answer(self.spec, sample(denoise, noise, sigmas, method=how.get("solver", self.solver)))

    def judged(self, f: Features, y: Value) -> dict[str, Tensor]:
        """{"denoising_error": (B,)}: the loss, over several levels and the same noise for all."""
        return {"denoising_error": self.strange(f, y)}

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) the loss at levels spread evenly over those that are learnt from, with the same noise at each call."""
        x, given = real(self.spec, y.data), self._given(f)
        generator = torch.Generator().manual_seed(SEED)
        noise = torch.randn(LEVELS, *x.shape[1:], generator=generator).to(x)
        places = torch.distributions.Normal(CENTRE, REACH).icdf((torch.arange(LEVELS) + 0.5) / LEVELS).exp().to(x)
        each = [self._error(x, noise[k].expand_as(x), places[k].expand(len(x)), given) for k in range(LEVELS)]
        return torch.stack(each).mean(0)

    # ---- small parts

    def _check_guidance(self, guidance: float) -> None:
        """Raises PlanError for a guidance by what the network has not learnt."""
        if self.given is not None and not self.drop and guidance != 1:
            raise PlanError(f"guidance = {guidance:g} needs a network that has learnt without what is given: drop > 0")

    def _given(self, f: Features) -> Tensor:
        """(B, WAVES) of what is given, as loud as the waves are; or of no width."""
        vector = f.as_vector()
        return vector if self.given is None else F.layer_norm(self.given(vector).float(), (WAVES,))

    def _error(self, x: Tensor, noise: Tensor, sigma: Tensor, given: Tensor) -> Tensor:
        into, level, wanted = edm_pair(x, noise, sigma, self.spread)
        return (self._net(into, level, given) - wanted).square().flatten(1).mean(1)

    def _net(self, x: Tensor, level: Tensor, given: Tensor) -> Tensor:
        waves = self.waves(level)
        beside = given if self.given is not None else torch.zeros_like(waves)
        return self.net(x, torch.cat([waves, beside], 1)).float()

    def _denoiser(self, given: Tensor) -> Denoise:
        return edm_denoiser(lambda x, level: self._net(x, level, given), self.spread)

    def _shape(self) -> tuple[int, ...]:
        sides = tuple(int(side or 0) for side in self.spec.shape)
        return (self.spec.size, *sides[:2]) if self.spec.kind == "pixels" else sides
