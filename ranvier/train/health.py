"""Gradient health: on some steps every layer is looked at, and trouble is told while training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ranvier.core.training import Callback, Phase, Task
from ranvier.train.progress import Progress
from ranvier.train.settings import Settings
from ranvier.train.stall import learnt, stalled
from ranvier.train.troubles import NO_GRADIENT, Figures, Trouble, evenness, sentences, troubles

FIRST, EVERY = (10, 50), 100  # the step after so many is looked at, and after each multiple of so many
MOST = 2**17  # numbers of one activation that are looked at: its first rows
SILENCE = 100  # how many times in a row a unit has to give 0 to count as dead

SILENT = (nn.ReLU, nn.ReLU6)  # exactly 0 where they are off, and above it elsewhere
END = 0.98  # the share of the way to its end from which on an activation is saturated; its slope is 4 % of the best
MOST_RATIO = 1e38  # stands for those that are infinite in float32
VALIDATION = "validation"  # stands for the kind of what a validation has found
STALL = "stall"  # and of a loss that does not move
NORMS = ("gradient", "weight", "change", "sample", "push")  # figures that are Euclidean norms


@dataclass
class Layer:
    """A module with parameters of its own. weighs: whether it has a matrix or kernel to be judged by.

    usual: a usual norm of such weights, for those that start near 0. maps: channels stand on axis 1. silent: (units,)
    how many times in a row (rows, and places in them) each unit of its activation has given 0.
    """

    name: str
    params: list[nn.Parameter]
    weighs: bool
    usual: float
    maps: bool
    silent: Tensor | None = None


@dataclass
class Look:
    """What was seen of one phase at one step; its tensors are read later.

    order: the layers as they ran. keys, values: (layer, name, divisor) of each figure, and what is to be divided.
    moving: (layer, some of its weights, what they were before the step).
    """

    phase: str
    order: dict[int, None] = field(default_factory=dict)
    keys: list[tuple[int, str, float]] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    moving: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)

    def add(self, layer: int, name: str, value: Tensor, divisor: float = 1.0) -> None:
        """Keeps a figure, a tensor of one number; it is divided when it is read."""
        self.keys.append((layer, name, divisor))
        self.values.append(value)


class Watch:
    """Looks at the layers of a task, and names vanishing and exploding gradients, dead units and saturation.

    It draws no random numbers and changes no tensor of the run. Figures of a layer: "gradient" and "weight", norms over
    its parameters, and "ratio", the first over the second; "update", how far the step moved its weights over their
    norm, both of a few rows, and "still" where it did not though their gradient is not 0; "mean" and "std" of what it
    gives; and of the activation after it, where that is a module: "zero", the share of exact zeros, "dead", that of
    units that gave 0 the last 100 times, "saturated", that of numbers at the ends of tanh or sigmoid. Trouble is told
    once for a layer, when two looks in a row have found it; see `troubles.py`; that there is no gradient is not, where
    the loss is near 0. With settings.watch = False it never looks.
    """

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.layers: list[Layer] = []
        self.hooks: list[tuple[nn.Module, Callable[..., None]]] = []
        for name, module in task.named_modules():
            own = [p for p in module.parameters(recurse=False) if p.requires_grad and p.numel()]
            if own:
                self.hooks.append((module, self._layer_hook(len(self.layers), module)))
                self.layers.append(_layer(name, module, own))
            elif isinstance(module, (*SILENT, nn.Tanh, nn.Sigmoid)):
                self.hooks.append((module, self._activation_hook(module)))
        self.owner = {id(p): number for number, layer in enumerate(self.layers) for p in layer.params}
        self.always = False  # look at every step, if at any
        self.look, self.latest = Look(""), -1  # the layer with weights that ran last
        self.waiting: list[Look] = []
        self.found: dict[str, list[Trouble]] = {}  # by the last look at each phase
        self.worst: Figures = {}

    # ---- looking

    def due(self, step: int) -> bool:
        """Whether to look at the step that follows `step` steps: so seldom that it costs next to nothing."""
        return self.settings.watch and (self.always or step in FIRST or (step > 0 and step % EVERY == 0))

    @contextmanager
    def looking(self, phase: Phase, step: int) -> Iterator[None]:
        """Around the forward and backward passes of a phase, after `step` steps; looks if that is due."""
        if not self.due(step):
            yield
            return
        self.look, self.latest = Look(phase.name), -1
        handles = [module.register_forward_hook(hook) for module, hook in self.hooks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        self._take_norms(phase)
        self.waiting.append(self.look)

    def stepped(self) -> None:
        """After the optimizer's step on the phase: how far the weights have moved."""
        if self.look.moving:
            self._take_changes()
            self.look.moving = []

    @torch.no_grad()
    def _take_changes(self) -> None:
        numbers, now, before = zip(*self.look.moving, strict=True)
        changes = torch._foreach_norm(torch._foreach_sub(now, before))
        for number, change, norm in zip(numbers, changes, torch._foreach_norm(before), strict=True):
            self.look.add(number, "change", change)
            self.look.add(number, "sample", norm)

    @torch.no_grad()
    def _take_norms(self, phase: Phase) -> None:
        """Of gradients and weights that the phase trains, and a copy of a few rows of each layer's weights."""
        params = [p for p in phase.params if id(p) in self.owner and p.grad is not None and not p.grad.is_sparse]
        if not params:
            return
        gradients = torch._foreach_norm([p.grad for p in params if p.grad is not None])
        weights = torch._foreach_norm([p.detach() for p in params])
        for p, gradient, weight in zip(params, gradients, weights, strict=True):
            self.look.add(self.owner[id(p)], "gradient", gradient)
            self.look.add(self.owner[id(p)], "weight", weight)
            if p is self.layers[self.owner[id(p)]].params[0]:
                some = slice(None, None, max(1, len(p) // 8)) if p.ndim else ...
                rows, push = p.detach()[some], torch.linalg.vector_norm(p.grad[some])  # type: ignore[index]
                self.look.add(self.owner[id(p)], "push", push)
                self.look.moving.append((self.owner[id(p)], rows, rows.clone()))

    def _layer_hook(self, number: int, module: nn.Module) -> Callable[..., None]:
        bounded = isinstance(module, nn.RNN) and module.nonlinearity == "tanh"

        @torch.no_grad()
        def hook(module: nn.Module, given: Any, out: Any) -> None:
            self.look.order.setdefault(number)
            if self.layers[number].weighs:
                self.latest = number
            seen = _first_rows(out)
            if seen is not None:
                real = torch.promote_types(seen.dtype, torch.float32)
                norm = torch.linalg.vector_norm(seen, dtype=real)  # with the mean, in a tenth of the time of var_mean
                self.look.add(number, "mean", seen.mean(dtype=real))
                self.look.add(number, "size", norm, math.sqrt(seen.numel()))
                if bounded:
                    self.look.add(number, "saturated", _share(seen.abs() > END))

        return hook

    def _activation_hook(self, module: nn.Module) -> Callable[..., None]:
        @torch.no_grad()
        def hook(module: nn.Module, given: Any, out: Any) -> None:
            seen = _first_rows(out)
            if self.latest < 0 or seen is None or seen.ndim < 2:
                return
            if isinstance(module, SILENT):
                self._add_silence(self.layers[self.latest], seen)
            else:
                way = 2 * seen - 1 if isinstance(module, nn.Sigmoid) else seen
                self.look.add(self.latest, "saturated", _share(way.abs() > END))

        return hook

    def _add_silence(self, layer: Layer, seen: Tensor) -> None:
        """The share of zeros; and the count of every unit that gave nothing else, while the others' starts anew."""
        units = 1 if layer.maps and seen.ndim > 2 else seen.ndim - 1
        active = seen.sign().mean([axis for axis in range(seen.ndim) if axis != units], dtype=torch.float32)
        self.look.add(self.latest, "active", active.mean())
        if layer.silent is None or layer.silent.shape != active.shape:
            layer.silent = torch.zeros_like(active, dtype=torch.int32)
        layer.silent = (layer.silent + seen.numel() // len(active)).masked_fill_(active > 0, 0)
        self.look.add(self.latest, "dead", _share(layer.silent >= SILENCE))

    # ---- reading

    def report(self, progress: Progress, callbacks: Iterable[Callback]) -> Figures:
        """Tells what is new, and gives the worst figures since the last report, for the log; {} if there are none."""
        self.tell(progress, callbacks)
        if self.settings.watch and len(self.task.phases) == 1:  # two work against each other
            found = stalled(progress.history)
            new = [name for name in found if [STALL, name] not in progress.told]
            progress.told += [[STALL, name] for name in new]
            progress.tell([found[name] for name in new], callbacks)
        worst, self.worst = self.worst, {}
        return {f"health/{name}": value for name, value in worst.items()}

    def tell(self, progress: Progress, callbacks: Iterable[Callback]) -> None:
        """Takes in what was seen since the last time, with one synchronisation for all.

        The progress gets every layer's last figures and the notes on trouble, which the callbacks hear.
        """
        looks, self.waiting = self.waiting, []
        seen = [value.float() for look in looks for value in look.values]
        values = iter(torch.stack(seen).tolist() if seen else [])  # the one synchronisation
        news: list[str] = []
        for look in looks:
            figures = self._gathered(look, values)
            for number, of in figures.items():
                progress.layers.setdefault(self._place(number), {}).update(of)
            before = {(trouble.kind, trouble.layer) for trouble in self.found.get(look.phase, [])}
            now = self.found[look.phase] = self._judged(look, figures)
            again = [trouble for trouble in now if (trouble.kind, trouble.layer) in before]
            news += self._news(progress, [t for t in again if not (t.kind in NO_GRADIENT and learnt(progress.history))])
        progress.tell(news, callbacks)

    def validated(
        self, figures: dict[str, float], progress: Progress, callbacks: Iterable[Callback]
    ) -> dict[str, float]:
        """Tells once what the task finds wrong in the figures of two validations in a row; gives them back."""
        found = self.task.troubles(figures) if self.settings.watch else {}
        new = [name for name in found if name in progress.failing and [VALIDATION, name] not in progress.told]
        progress.failing = [*found]
        progress.told += [[VALIDATION, name] for name in new]
        told = [
            f"{found[name]} ({name.rpartition('/')[2]} {figures[name]:.2g} at step {progress.step})" for name in new
        ]
        progress.tell(told, callbacks)
        return figures

    def suspicion(self) -> str:
        """What the last look at each phase found, whether it was told or not; "" for nothing."""
        return "; ".join(sentences([t for found in self.found.values() for t in found], self._place, cures=False))

    def forget(self) -> None:
        """Drops what was not read yet."""
        self.waiting.clear()

    def state(self) -> dict[str, Any]:
        """What later looks are compared with, for the checkpoint: tensors, and what is JSON."""
        silent = {f"silent.{n}": layer.silent for n, layer in enumerate(self.layers) if layer.silent is not None}
        return {"found": {phase: [asdict(one) for one in found] for phase, found in self.found.items()}, **silent}

    def load_state(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Takes back what `state` gave; {} of checkpoints of before, where it was not kept."""
        self.found = {phase: [Trouble(**one) for one in found] for phase, found in state.get("found", {}).items()}
        for number, layer in enumerate(self.layers):
            kept = state.get(f"silent.{number}")
            layer.silent = None if kept is None else kept.to(device)

    def _gathered(self, look: Look, values: Iterator[float]) -> dict[int, Figures]:
        """{layer: its figures}: norms over all its parameters, means over all its calls; none that is not finite."""
        parts: dict[int, dict[str, list[float]]] = {}
        for number, name, divisor in look.keys:
            parts.setdefault(number, {}).setdefault(name, []).append(next(values) / divisor)
        return {number: _figures(named, self.layers[number].usual) for number, named in parts.items()}

    def _judged(self, look: Look, figures: dict[int, Figures]) -> list[Trouble]:
        """What is wrong; keeps the worst figures for the log."""
        layers = [(number, figures.get(number, {})) for number in look.order if self.layers[number].weighs]
        self._keep("evenness", evenness(layers), min)
        for key, name in (("ratio", "gradient"), ("dead", "dead"), ("saturated", "saturated")):
            for value in [of[key] for _, of in layers if key in of]:
                self._keep(name, value, max)
        total = math.hypot(*(of.get("gradient", 0.0) for of in figures.values()))
        clip = self.settings.clip
        shrunk = min(1.0, clip / total) if clip and total else 1.0
        return troubles(layers, shrunk=shrunk, sparse=self.settings.l1 > 0)

    def _keep(self, name: str, value: float, choose: Callable[..., float]) -> None:
        self.worst[name] = choose(value, self.worst.get(name, value))

    def _news(self, progress: Progress, found: list[Trouble]) -> list[str]:
        """Sentences for what was not told before."""
        told = {tuple(pair) for pair in progress.told}
        new = [t for t in found if (t.kind, self.layers[t.layer].name) not in told]
        progress.told += [[t.kind, self.layers[t.layer].name] for t in new]
        return sentences(new, self._place)

    def _place(self, number: int) -> str:
        return self.task.place(self.layers[number].name)


def _layer(name: str, module: nn.Module, own: list[nn.Parameter]) -> Layer:
    """Judged by are weights that mix units; embeddings and the like are used a few rows at a time (`no_decay`)."""
    names = {id(p): named for named, p in module.named_parameters(recurse=False)}
    mixes = [p for p in own if p.ndim > 1 and "weight" in names[id(p)] and not getattr(p, "no_decay", False)]
    own = [*mixes, *(p for p in own if not any(p is other for other in mixes))]
    usual = math.sqrt(sum(len(p) for p in mixes)) if mixes else 0.0  # Glorot, square: variance 1 / inputs
    return Layer(name, own, bool(mixes), usual, maps=isinstance(module, _ConvNd))


def _first_rows(out: Any) -> Tensor | None:
    """The first rows of what a module gives, as many as are looked at; None if there are none."""
    out = out[0] if isinstance(out, tuple) and out else out
    if not isinstance(out, Tensor) or not out.is_floating_point() or not out.ndim or not out.numel():
        return None
    return out.detach()[: max(1, MOST * len(out) // out.numel())]


def _share(marked: Tensor) -> Tensor:
    return marked.float().mean()


def _figures(named: dict[str, list[float]], usual: float) -> Figures:
    """One layer's figures from all numbers of each name."""
    of = {name: math.hypot(*all_) if name in NORMS else sum(all_) / len(all_) for name, all_ in named.items()}
    if "dead" in of:
        of["dead"] = named["dead"][-1]  # it looks back itself
    if "active" in of:
        of["zero"] = 1.0 - of.pop("active")
    if "size" in of:
        of["std"] = math.sqrt(max(0.0, of.pop("size") ** 2 - of["mean"] ** 2))
    if "gradient" in of and max(of["weight"], usual) > 0:
        of["ratio"] = min(of["gradient"] / max(of["weight"], usual), MOST_RATIO)
    change, sample, push = (of.pop(name, 0.0) for name in ("change", "sample", "push"))
    if sample > 0:
        of["update"] = change / sample
        if push > 0 == change:
            of["still"] = 1.0
    return {name: value for name, value in of.items() if math.isfinite(value)}
