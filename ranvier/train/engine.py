"""The loop: phases, precision, accumulation, clipping, schedule, checkpoint. It knows no column and no "GAN"."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ranvier.core import registry
from ranvier.core.device import memory_told
from ranvier.core.draws import draw_from, its_turn, kept_random, own_random
from ranvier.core.errors import PlanError, RunError
from ranvier.core.memory import kept_memory
from ranvier.core.protocols import Batch
from ranvier.core.rng import seed_of
from ranvier.core.schema import check_options
from ranvier.core.training import Callback, Phase, Source, Task
from ranvier.train import checkpoint, diagnose, pieces
from ranvier.train.averaging import averaging
from ranvier.train.checks import check_averaging, check_task
from ranvier.train.clip import clip_norm
from ranvier.train.health import Watch
from ranvier.train.keeper import Keeper
from ranvier.train.optimizers import Evaluates, parameter_groups
from ranvier.train.penalties import Penalties, sparsity
from ranvier.train.progress import BY_CALLBACK, Progress
from ranvier.train.schedules import Reactive
from ranvier.train.settings import Settings


class Engine:
    """Minimises a task over a source.

    It alone normalises losses: each phase minimises the sum over its terms of sum(w * loss) / sum(w * count)
    over the whole batch, however it is cut into micro-batches. Random numbers of step k depend on (seed, k) only;
    the caller's own are left as they were. folder: where the checkpoint is kept. facts: what else than the settings
    must be the same for a run that is resumed. Raises PlanError for settings that this task cannot follow.
    """

    def __init__(
        self,
        task: Task,
        source: Source,
        settings: Settings,
        *,
        validation: Source | None = None,
        callbacks: Sequence[Callback] = (),
        folder: Path | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.task, self.source, self.settings = task, source, settings
        self.validation, self.callbacks = validation, tuple(callbacks)
        self.facts = dict(facts or {})
        check_task(task, settings, validation)
        self.device = next((p.device for p in task.parameters()), torch.device("cpu"))
        self.phases = [(phase, self._optimizer(phase)) for phase in task.phases]
        check_averaging(settings, [optimizer for _, optimizer in self.phases])
        self.schedule = made("schedule", settings.schedule)
        self.average = averaging(task, settings.average, settings.steps)
        self.penalties = self._penalties()
        self.watch = Watch(task, settings)
        self.progress = Progress()
        self.kept: dict[str, Tensor] = {}  # the best weights so far
        self._pending: list[dict[str, Tensor]] = []
        self._safe: diagnose.Snapshot | None = None  # the last state known to be sound
        self._safe_at, self._safe_cost = 0.0, 0.0
        self._interrupted = False
        self.keeper = Keeper(folder, settings.checkpoint_every)

    # ---- the loop

    def run(self) -> Progress:
        """Trains to the last step, or until a callback, patience or Ctrl-C stops it; leaves the kept weights."""
        at, started, before = self.progress, time.perf_counter(), self.progress.seconds
        self.task.train()
        try:
            out_of_memory = memory_told("while training", pieces.cure(self))
            with kept_random(self.device), self._gentle_interrupt(), kept_memory(), out_of_memory:
                self._begin()
                while at.step < self.settings.steps and not at.stopped:
                    batch = self.source.batch(at.step)
                    with its_turn():  # no longer than a step, so that trainings in other threads go on as well
                        self.train_step(batch)
                    at.seconds = before + time.perf_counter() - started
                    self._look()
                self._finish()
        finally:
            for callback in self.callbacks:
                callback.on_end()
        return at

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward, clip, step for each phase whose turn it is; gives each term's mean."""
        at, settings = self.progress, self.settings
        batch = batch.to(self.device) if self.device.type != "cpu" else batch
        self.seed(at.step)
        factor = self.schedule((at.step + 0.5) / settings.steps)  # the step's middle: neither end wastes a step
        terms: dict[str, Tensor] = {}
        for phase, optimizer in self.phases:
            if at.step % phase.every:
                continue
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * group["scale"] * factor
            terms |= self._gradients(phase, batch)
            if settings.clip:
                clip_norm(phase.params, settings.clip)
            if self.penalties:
                self.penalties.before(optimizer)
            optimizer.step()
            if self.penalties:
                self.penalties.after(optimizer)
            self.watch.stepped()
        at.step, at.rows = at.step + 1, at.rows + batch.size
        self.task.after_step(at.step)
        if self.average:
            self.average.update(at.step)
        self._pending.append(terms)
        return terms

    @property
    def micro(self) -> int:
        """Rows in a micro-batch, 0 = the whole batch: what the settings say, or fewer since memory ran out."""
        return self.progress.micro or self.settings.micro

    def _gradients(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """As `backward`, from none; where memory runs out once more, in smaller pieces. Raises RunError."""
        while True:
            for p in phase.params:
                p.grad = None
            try:
                with self.only(phase), self.watch.looking(phase, self.progress.step):
                    return self.backward(phase, batch)
            except torch.OutOfMemoryError as error:
                pieces.halve(self, phase, batch, error)
            pieces.clear(self)  # here, where what the error held is free
            self.seed(self.progress.step)

    def backward(self, phase: Phase, batch: Batch) -> dict[str, Tensor]:
        """Adds the phase's gradient over the whole batch; gives each term's mean, still on the device."""
        weight = batch.weight
        counts = phase.count(batch)
        totals = {t: (n if weight is None else n * weight).sum().clamp_min(1e-12) for t, n in counts.items()}
        whole = not self.micro or not phase.splits or batch.size <= self.micro
        means: dict[str, Tensor] = {}
        for piece in [batch] if whole else batch.split(self.micro):
            with self.precision(phase):
                losses = phase.loss(piece)
            shares = {
                t: (loss if piece.weight is None else loss * piece.weight).sum() / totals[t]
                for t, loss in losses.items()
            }
            reduce(torch.add, shares.values()).backward()
            for t, share in shares.items():
                means[t] = means[t] + share.detach() if t in means else share.detach()
        return means

    # ---- what is done now and then

    def _begin(self) -> None:
        """Remembers and saves where the run starts from."""
        self._remember()
        self.keeper.begin(self)

    def _look(self) -> None:
        """Logs, validates and saves where this step is one for it."""
        at, settings = self.progress, self.settings
        last = at.step == settings.steps
        validates = self.validation is not None and _due(at.step, settings.validate_every, last)
        saves = self.keeper.due(at.seconds)
        if validates or saves or _due(at.step, settings.log_every, last):  # saved is what has been logged
            record = {"step": float(at.step), "seconds": at.seconds, "rows": float(at.rows), **self._losses()}
            record |= self.watch.report(at, self.callbacks)
            if settings.l1:
                record.setdefault("sparsity", sparsity(*(optimizer for _, optimizer in self.phases)))
            if validates:
                with self.own_random():
                    record |= self._validate()
            at.history.append(record)
            stops = [callback.on_log(at.step, record) for callback in self.callbacks]  # each sees every record
            if any(stops):
                at.stopped = at.stopped or BY_CALLBACK
        elif len(self.watch.waiting) > 1:
            self.watch.tell(at, self.callbacks)
        if self._interrupted:
            at.stopped = "interrupted"
        if saves:
            self._check_weights()
        if saves or last or at.stopped:
            self.keeper.save(self)

    def _losses(self) -> dict[str, float]:
        """The mean of each term since the last log; one synchronisation for all. Raises RunError if not finite."""
        names = sorted({name for terms in self._pending for name in terms})
        means = [torch.stack([terms[n].float() for terms in self._pending if n in terms]).mean() for n in names]
        values = torch.stack(means).tolist() if means else []
        self._pending.clear()
        record = dict(zip(names, values, strict=True))
        bad = [name for name, value in record.items() if not math.isfinite(value)]
        if bad:
            self._explain(f"the loss {bad[0]!r} became {record[bad[0]]}")
        self._remember()
        return record

    def _remember(self) -> None:
        """Keeps a copy of the sound state, as often as costs at most half a percent of the time."""
        now = time.perf_counter()
        if self._safe is None or now - self._safe_at > 200 * self._safe_cost:
            self._check_weights()
            self._safe = diagnose.snapshot(self)
            self._safe_at = time.perf_counter()
            self._safe_cost = self._safe_at - now

    def _check_weights(self) -> None:
        """Raises RunError if any weight is no number; one synchronisation for all."""
        weights = {n: p.detach() for n, p in self.task.named_parameters() if p.is_floating_point() and p.numel()}
        if not weights:
            return
        largest = torch.stack([norm.float() for norm in torch._foreach_norm([*weights.values()], math.inf)]).tolist()
        bad = [name for name, norm in zip(weights, largest, strict=True) if not math.isfinite(norm)]
        if bad:
            self._explain(f"the weights of {self.task.place(bad[0])} became infinite or not a number")

    def _explain(self, what: str) -> None:
        """Runs again from the last sound state to find the place, and raises RunError."""
        until = self.progress.step
        where = diagnose.find(self, self._safe, until) if self._safe and self.source.exact else f"by step {until}"
        raise RunError(f"{what}; {where}. Try a smaller train.rate, train.clip = 1.0, or train.precision = 'fp32'")

    def _validate(self) -> dict[str, float]:
        """Validates (with the averaged weights, if there are any), and keeps the best weights.

        The first averaged ones count as better than all before, and patience counts from them on.
        """
        assert self.validation is not None
        at = self.progress
        self.task.eval()
        with torch.no_grad(), self.precision(self.phases[0][0]), self.evaluated():
            figures = self.watch.validated(self.task.validate(self.validation), at, self.callbacks)
            if self.task.monitor is not None:
                name, _, sense = self.task.monitor.partition(":")
                value = figures[name]
                if not math.isfinite(value):
                    raise RunError(
                        f"the validation figure {name!r} became {value} at step {at.step}: look for infinite or absurd "
                        "values in the validation rows, or try a smaller train.rate"
                    )
                if isinstance(self.schedule, Reactive):
                    self.schedule.saw(value if sense == "min" else -value)
                better = value < at.best if sense == "min" else value > at.best
                averaged, before = self._averaged(at.step), self._averaged(at.best_step)
                if better or math.isnan(at.best) or (averaged and not before):
                    at.best, at.best_step, at.stale = value, at.step, 0
                    if self.settings.keep == "best":
                        self.kept = {k: v.detach().clone() for k, v in self.task.state_dict().items()}
                elif averaged:
                    at.stale += 1
        self.task.train()
        if self.settings.patience and at.stale >= self.settings.patience:
            at.stopped = f"no better for {at.stale} validations"
        return {f"val_{name}": value for name, value in figures.items()}

    def _finish(self) -> None:
        """Leaves the weights that the settings keep, in eval mode. Raises RunError if they are no numbers."""
        if self.settings.keep == "best" and self.kept:
            self.task.load_state_dict(self.kept)
        else:
            self._swap()
        self._check_weights()
        self.task.eval()

    # ---- state

    def load(self, path: Path, *, inexact: bool = False, on: bool = False) -> None:
        """Goes on from a checkpoint, also after Ctrl-C; on: after a callback's stop as well, which is told.

        Raises FileError, and RunError if the frozen facts differ, unless `inexact`.
        """
        damage, at = checkpoint.load(self, path, inexact=inexact), self.progress
        if on and at.stopped == BY_CALLBACK:
            at.tell([f"a callback had stopped this training at step {at.step}; resumed, it goes on"], self.callbacks)
        if at.stopped == "interrupted" or (on and at.stopped == BY_CALLBACK):
            at.stopped = ""
        if damage:
            at.tell([damage], self.callbacks)

    def forget(self) -> None:
        """Drops what is not yet logged."""
        self._pending.clear()
        self.watch.forget()

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Inside, the weights are those that a model of this moment would have: averaged, where anything is."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    # ---- small parts

    def _optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        settings = self.settings
        return made(
            "optimizer",
            settings.optimizer,
            parameter_groups(self.task, phase.params, settings.rate, settings.decay, penalised=settings.penalised),
        )

    def _penalties(self) -> Penalties | None:
        """None where there is nothing for them to do."""
        settings = self.settings
        decays = any(group["decay"] for _, optimizer in self.phases for group in optimizer.param_groups)
        asked = decays or settings.l1 or settings.l2 or settings.max_norm
        return Penalties(settings.l1, settings.l2, settings.max_norm) if asked else None

    def _swap(self) -> None:
        """Exchanges the weights that are trained and those that are evaluated, where they differ."""
        for _, optimizer in self.phases:
            if isinstance(optimizer, Evaluates):
                optimizer.swap()
        if self.average:
            self.average.swap(self.progress.step)

    def _averaged(self, step: int) -> bool:
        """Whether weights validated after that step are averaged ones, or none are to be."""
        return self.average is None or self.average.ready(step)

    def precision(self, phase: Phase) -> Any:
        if self.settings.precision == "fp32" or phase.plain:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def seed(self, step: int) -> None:
        """Makes all that a step draws follow from its number."""
        draw_from(seed_of(self.settings.seed, "step", step), self.device)

    @contextmanager
    def own_random(self) -> Iterator[None]:
        """Inside, torch's random state is the engine's; after, the caller's as it was."""
        with own_random(seed_of(self.settings.seed, "step", self.progress.step), self.device):
            yield

    @contextmanager
    def only(self, phase: Phase) -> Iterator[None]:
        """Inside, only the phase's parameters need a gradient."""
        if len(self.phases) == 1:
            yield
            return
        mine = {id(p) for p in phase.params}
        frozen = [p for p in self.task.parameters() if p.requires_grad and id(p) not in mine]
        for p in frozen:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in frozen:
                p.requires_grad_(True)

    @contextmanager
    def _gentle_interrupt(self) -> Iterator[None]:
        """The first Ctrl-C ends the run after its step; the second is Python's own."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.getsignal(signal.SIGINT)

        def once(number: int, frame: Any) -> None:
            self._interrupted = True
            signal.signal(signal.SIGINT, previous)

        signal.signal(signal.SIGINT, once)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def made(kind: str, named: Mapping[str, Any], *given: Any) -> Any:
    """The registered part of that name. Raises PlanError for options it does not know or cannot have."""
    name, options = named["name"], {key: value for key, value in named.items() if key != "name"}
    part = registry.lookup(kind, name)
    try:
        return part(*given, **check_options(part, options, kind))
    except ValueError as error:
        raise PlanError(f"{kind} {name!r} cannot be made with {options}: {error}") from None


def _due(step: int, every: int, last: bool) -> bool:
    return last or (every > 0 and step % every == 0)
