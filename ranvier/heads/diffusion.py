"""Diffusion: a picture or a vector out of noise, which a network takes away a little at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ranvier.core.errors import PlanError
from ranvier.core.facts import Choices, Facts
from ranvier.core.plan import Count, NotNegative
from ranvier.core.protocols import Encoder, Features, Head, Value
from ranvier.core.spec import Given, Spec
from ranvier.heads.conditions import Conditions, Seen
from ranvier.heads.objectives import OBJECTIVES, Net, ObjectiveName
from ranvier.heads.output import check_share
from ranvier.heads.real import Auto, answer, averaged, choices, chosen, generated, normals, real
from ranvier.nets.conditioned import ConditionedMLP, Fourier
from ranvier.nets.unet import UNet
from ranvier.ops.diffusion import Solver, guided

WAVES = 64  # of the level of noise
HEADS = 4  # of attention to tokens, at most
LEVELS = 8  # of noise, at which a row is judged
SPREAD = {"pixels": 0.7, "vector": 1.0}  # the standard deviation that data are taken to have
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
    is the mean over elements of the squared error of what the network is taught: by objective "edm" what remains of x
    after preconditioning (EDM, eq. 8), by "flow" the velocity of straight ways from noise to x (flow matching, Lipman
    et al. 2022, "Flow matching for generative modeling"), see `heads.objectives`. drop: the chance that a
    row's features are hidden while training, so that the network also knows all x in one; guidance: by how much drawing
    prefers what is given to that (Ho & Salimans 2022, "Classifier-free diffusion guidance"; 1 = as learnt, "auto" 2
    where anything is given). beside: whether a picture is drawn by each input's own features beside the fused vector:
    pictures as maps beside the noisy one (Saharia et al. 2022, "Palette", arXiv:2111.05826, section 3), so that places
    are kept, and other inputs' tokens by attention. steps, solver: how often, and how, noise is taken away (see
    `ops.diffusion.sample`).

    widths: channels of the stages, finest first, or of layers for vectors. depth: blocks in a stage, or in all. Raises
    PlanError for a column of another kind.
    """

    welcomes = frozenset({"maps", "tokens"})
    unconditional: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    ways: ClassVar[tuple[str, ...]] = ("steps", "guidance", "solver")
    dear: ClassVar[bool] = True
    strange_as: ClassVar[str] = "denoising_error"

    def __init__(
        self,
        spec: Spec,
        width: int,
        target_encoder: Encoder | None = None,
        given: Mapping[str, Given] | None = None,
        /,
        *,
        objective: ObjectiveName = "edm",
        widths: list[int] | Auto = "auto",
        depth: Count | Auto = "auto",
        drop: float = 0.1,
        guidance: NotNegative | Auto = "auto",
        beside: bool = True,
        steps: Count = 20,
        solver: Solver = "dpmpp_2m",
    ) -> None:
        super().__init__()
        sizes = chosen(spec, widths)
        check_share("drop", drop)
        self.spec, self.drop, self.steps, self.solver = spec, drop if width else 0.0, steps, solver
        self.objective = OBJECTIVES[objective](SPREAD[spec.kind])
        self.waves = Fourier(WAVES)
        seen = given if given and beside and spec.kind == "pixels" else {}
        self.conditions = Conditions(width, WAVES, seen, self._shape()[1:])
        self.welcomes = self.conditions.welcomes
        self.guidance = (GUIDANCE if self.drop else 1.0) if guidance == "auto" else float(guidance)
        self._check_guidance(self.guidance)
        number = {"pixels": 1, "vector": 3}[spec.kind] if depth == "auto" else depth
        if spec.kind == "pixels":
            patch = 1 if max(int(side or 1) for side in spec.shape[:2]) <= SMALL else 2
            self.net: nn.Module = UNet(
                spec.size + self.conditions.channels,
                sizes,
                spec.size,
                condition=2 * WAVES,
                depth=number,
                patch=patch,
                heads=math.gcd(HEADS, sizes[-1]) if self.conditions.memory else 0,
                memory=self.conditions.memory,
            )
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
        x, hides = real(self.spec, y.data), self.conditions.able and self.training
        hidden = torch.rand(len(x), device=x.device) < self.drop if hides else None
        seen = self.conditions(f, hidden)
        level = self.objective.levels(len(x)).to(x)
        return self._error(x, torch.randn_like(x), level, seen)

    def predict(self, f: Features, **how: Any) -> dict[str, Tensor]:
        """{"pixels"} or {"value"} drawn; how: generator, steps, guidance, solver."""
        seen = self.conditions(f)
        start = normals(f.size, self._shape(), how.get("generator")).to(seen.vector.device)
        answers = self._answers(seen)
        if self.conditions.able:
            guidance = float(how.get("guidance", self.guidance))
            self._check_guidance(guidance)
            without = self.conditions(f, torch.ones(f.size, dtype=torch.bool, device=start.device))
            answers = guided(answers, self._answers(without), guidance)
        steps, solver = int(how.get("steps", self.steps)), how.get("solver", self.solver)
        return answer(self.spec, self.objective.draw(answers, start, steps, solver))

    def judged(self, f: Features, y: Value, **how: Any) -> dict[str, Tensor]:
        """{"denoising_error": (B,)}: the loss, over several levels and the same noise for all."""
        return {self.strange_as: self.strange(f, y)}

    def strange(self, f: Features, y: Value) -> Tensor:
        """(B,) the loss at levels spread evenly over those that are learnt from, with the same noise at each call."""
        x, seen = real(self.spec, y.data), self.conditions(f)
        generator = torch.Generator().manual_seed(SEED)
        noise = torch.randn(LEVELS, *x.shape[1:], generator=generator).to(x)
        levels = self.objective.spread_out(LEVELS).to(x)
        each = [self._error(x, noise[k].expand_as(x), levels[k].expand(len(x)), seen) for k in range(LEVELS)]
        return torch.stack(each).mean(0)

    # ---- small parts

    def _check_guidance(self, guidance: float) -> None:
        """Raises PlanError for a guidance by what the network has not learnt."""
        if self.conditions.able and not self.drop and guidance != 1:
            raise PlanError(f"guidance = {guidance:g} needs a network that has learnt without what is given: drop > 0")

    def _error(self, x: Tensor, noise: Tensor, level: Tensor, seen: Seen) -> Tensor:
        into, told, wanted = self.objective.pair(x, noise, level)
        return (self._net(into, told, seen) - wanted).square().flatten(1).mean(1)

    def _net(self, x: Tensor, level: Tensor, seen: Seen) -> Tensor:
        condition = torch.cat([self.waves(level), seen.vector], 1)
        if self.spec.kind != "pixels":
            return self.net(x, condition).float()
        x = x if seen.maps is None else torch.cat([x, seen.maps], 1)
        return self.net(x, condition, seen.tokens, seen.allowed).float()

    def _answers(self, seen: Seen) -> Net:
        return lambda x, level: self._net(x, level, seen)

    def _shape(self) -> tuple[int, ...]:
        sides = tuple(int(side or 0) for side in self.spec.shape)
        return (self.spec.size, *sides[:2]) if self.spec.kind == "pixels" else sides
