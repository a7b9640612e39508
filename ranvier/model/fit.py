"""From data, or a plan, to a trained model."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.core.device import pick_device, threads
from ranvier.core.errors import DataError, PlanError, RunError
from ranvier.core.plan import Plan
from ranvier.core.protocols import Callback, Source
from ranvier.core.rng import seed_of
from ranvier.model.folder import LOG, MODEL, RunFolder, Stage, digest
from ranvier.model.layout import Layout, Table, learn_columns
from ranvier.model.model import Model
from ranvier.model.progress import ProgressBar
from ranvier.model.start import start_from
from ranvier.planning.frames import Frames, load, training_rows
from ranvier.planning.make import make_plan
from ranvier.planning.reasons import because
from ranvier.planning.settle import settle
from ranvier.tasks.build import build
from ranvier.tasks.columns import ColumnsTask
from ranvier.train import checkpoint
from ranvier.train.calibrate import seconds_per_step, steps_within
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine
from ranvier.train.settings import Settings

REFITTED = "trained again on all rows, for as long; the validation figures are those of the network before that"
NOT_REFITTED = "the second training, on all rows, was interrupted: the model has learnt from the training rows alone"
RESERVE = 0.04  # of a time budget, for what comes after training
HARDLY = 0.5  # passes over the training rows below which a network is next to untrained
FORWARD = 0.8  # of a training step's time, for a validation batch of about twice its rows
OFTEN = 30.0  # seconds between checkpoints
TITLES: dict[Stage, str] = {"first": "", "again": "again, on all rows"}


def fit(
    data: Any,
    target: str | Sequence[str] = (),
    *,
    init: Model | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    inexact: bool = False,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Model:
    """Trains a model that predicts the target columns from the others.

    data: a plan, or whatever `plan` takes together with target and settings (inputs, test, val, split, roles,
    types, balance, size, time, epochs, seed ...; see `plan`). init: a model whose weights to start from, where
    they fit. folder: where to keep plan, log, checkpoints and model; with resume=True the run there goes on, from
    the same init (inexact=True: even where threads, versions or data differ). progress: show a bar, and first what is
    to be known of the data. Ctrl-C ends training after the current step with the best weights so far. Raises PlanError,
    DataError, FileError, RunError.
    """
    started = time.perf_counter()
    if isinstance(data, Plan):
        if target or settings:
            raise PlanError("fit(plan) takes no target or settings: change them in the plan")
        plan = settle(data)
    else:
        plan = make_plan(data, target, **settings)
    if init is not None and not isinstance(init, Model):
        raise PlanError(f"init = {init!r:.60}: expected a model, such as rv.load('old.rv')")
    kept = RunFolder(Path(folder)) if folder is not None else None
    if resume:
        if kept is None:
            raise RunError("there is no run to resume: name its folder")
        init = kept.resume(plan, inexact=inexact)
    elif kept is not None:
        kept.begin(plan, init)
    if progress:
        for warning in plan.warnings:
            print(f"note: {warning}", file=sys.stderr)
    try:
        with threads(int(plan.train.threads)):
            return _Run(plan, started, kept, [*callbacks], init, resume, inexact, progress)()
    finally:
        if kept is not None:
            kept.clear()


@dataclass
class _Run:
    """One training run of a resolved plan."""

    plan: Plan
    started: float
    folder: RunFolder | None
    callbacks: list[Callback]
    init: Model | None
    resume: bool
    inexact: bool
    progress: bool
    preparing: float = 0.0  # seconds that learning and encoding columns took
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self.device = pick_device(self.plan.train.device)

    def __call__(self) -> Model:
        plan = self.plan
        frames = load(plan)
        notes = list(plan.warnings)
        train_index, val_index = training_rows(plan, frames)
        train, val = frames.given[train_index], _validation(frames, val_index)
        begun = time.perf_counter()
        layout = Layout(plan, learn_columns(plan, train, notes))
        tables = [layout.encode(frame, notes) for frame in (train, val) if frame is not None]
        self.preparing = time.perf_counter() - begun
        if val is not None:
            self.check_validation(layout, tables[1])
        task = self.network(layout, notes)
        engine = self.first(task, layout, tables, notes)
        done = engine.run()
        report = None
        try:
            if val is not None:
                report = Model(plan, layout.columns, task).judge_as("validation", val, batch=512)
            if plan.train.refit and len(val_index) and done.stopped != "interrupted":
                chosen = done.best_step if plan.train.keep == "best" else 0  # 0: it ended before its first validation
                refitted = self.again(frames, (chosen or done.step) / (engine.source.steps or 1))
                layout, task = refitted or (layout, task)
                notes.append(REFITTED if refitted else NOT_REFITTED)
        except KeyboardInterrupt:  # outside the engine, which ends gently; the first network is whole
            notes.append(NOT_REFITTED)
        if done.stopped:
            notes.append(f"training ended at step {done.step} of {engine.settings.steps}: {done.stopped}")
        model = Model(plan, layout.columns, task, history=done.history, report=report, notes=notes)
        model.interrupted = done.stopped == "interrupted" or NOT_REFITTED in notes
        model.score_test(frames.test, show=self.progress)
        if self.folder:
            model.save(self.folder.path / MODEL)
        return model

    def network(self, layout: Layout, notes: list[str]) -> ColumnsTask:
        """The task with weights drawn from the plan's seed, and those of `init` where they fit."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.plan.train.seed, "init"))
            task = build(self.plan, layout.specs)
        if self.init is not None:
            notes.append(start_from(layout, task, self.init))
        return task.to(self.device)

    def check_validation(self, layout: Layout, table: Table) -> None:
        """Raises DataError if the validation rows cannot tell anything of a target."""
        for name, truth in table.targets.items():
            known = truth.observed
            if layout.specs[name].kind == "index":
                known = known & (truth.data < layout.specs[name].size)
            if table.weight is not None:
                known = known & (table.weight > 0)
            if not known.any():
                raise DataError(
                    f"none of the {table.size:,} validation rows has a weight and a value of target {name!r} that the "
                    "training rows have too: give other rows as val=, another split, or split='none'"
                )

    def first(self, task: ColumnsTask, layout: Layout, tables: list[Table], notes: list[str]) -> Engine:
        """The engine on the training rows, with as many steps as epochs and time allow."""
        plan = self.plan
        source = layout.training_source(tables[0], self.device)
        validation = None
        if len(tables) > 1:
            assert plan.train.batch != "auto"
            validation, _ = layout.plain_source(tables[1], self.device, max(256, plan.train.batch))
        wanted = max(1, int(np.ceil(float(plan.train.epochs) * (source.steps or 1))))
        if self.resume:
            assert self.folder is not None
            settings = checkpoint.settings_of(self.folder.checkpoint("first"))
        else:
            check = (validation.steps or 1) if validation else 1
            settings = self.settings(wanted, check)
            if plan.train.time:
                trial = Engine(task, source, settings, validation=validation)
                settings = self.settings(self.affordable(trial), check)
        if plan.train.time and settings.steps < wanted:
            passes = settings.steps / (source.steps or 1)
            hardly = "; the network has hardly learnt: give it more time" if passes < HARDLY else ""
            notes.append(
                f"time = {plan.train.time:g} s allows {passes:.3g} of the {plan.train.epochs:g} epochs planned{hardly}"
            )
        return self.engine("first", task, layout, tables, source, settings, validation)

    def again(self, frames: Frames, epochs: float) -> tuple[Layout, ColumnsTask] | None:
        """The network trained anew on all rows given, for as many epochs as the validation rows have shown best.

        None if Ctrl-C ended it, for then the first network is the better one.
        """
        layout = Layout(self.plan, learn_columns(self.plan, frames.given, []))
        task = self.network(layout, [])
        table = layout.encode(frames.given, [])
        source = layout.training_source(table, self.device)
        settings = self.settings(max(1, round(epochs * (source.steps or 1))))
        settings = replace(settings, validate_every=0, patience=0, keep="average" if settings.average else "last")
        done = self.engine("again", task, layout, [table], source, settings).run()
        return None if done.stopped else (layout, task)

    def engine(
        self,
        stage: Stage,
        task: ColumnsTask,
        layout: Layout,
        tables: list[Table],
        source: Source,
        settings: Settings,
        validation: Source | None = None,
    ) -> Engine:
        """A stage's engine, at its checkpoint if the run is resumed and the stage was under way."""
        callbacks = list(self.callbacks) if stage == "first" else []
        folder, facts = None, {}
        if self.folder:
            folder = self.folder.stage(stage)
            callbacks.append(LogFile(folder / LOG))
            states = {name: column.state() for name, column in layout.columns.items()}
            facts["the hash of all encoded rows"] = digest(tables, states)
        if self.progress:
            callbacks.append(ProgressBar(settings.steps, task.monitor, TITLES[stage]))
        engine = Engine(task, source, settings, validation=validation, callbacks=callbacks, folder=folder, facts=facts)
        if self.resume and self.folder and self.folder.checkpoint(stage).exists():
            engine.load(self.folder.checkpoint(stage), inexact=self.inexact)
        return engine

    def affordable(self, trial: Engine) -> int:
        """How many of the wanted steps the time that is left allows, from a short trial that leaves no trace."""
        train, wanted, validation = self.plan.train, trial.settings.steps, trial.validation
        per_step = seconds_per_step(trial, trial.source, min(5.0, 0.03 * train.time), wanted // 20)
        left = train.time * (1 - RESERVE) - (time.perf_counter() - self.started)
        if validation is not None:
            left -= _checks(trial.settings) * (validation.steps or 0) * per_step * FORWARD
        steps = steps_within(left, per_step, wanted)
        if not train.refit:
            return steps
        # everything once more, with the validation rows
        twice = steps_within((left - self.preparing) * 0.5 * (1 - float(self.plan.data.fraction)), per_step, wanted)
        if twice >= min(trial.source.steps or 1, wanted):
            return twice
        self.train_once()
        return steps

    def train_once(self) -> None:
        """No second training: there is no time for it. The plan says so, and a resumed run keeps to it."""
        self.plan.train.refit = False
        because(self.plan, "train.refit", False, f"time = {self.plan.train.time:g} s is too short to train twice")
        if self.folder:
            self.folder.write(self.plan)

    def settings(self, steps: int, check: int = 1) -> Settings:
        """The engine's settings from the plan's. check: batches in a validation, so as not to do it too often."""
        train: dict[str, Any] = self.plan.train.model_dump()
        chooses = train["keep"] == "best" or train["patience"] > 0
        checks = int(np.clip(float(train["epochs"]), 12, 60)) if chooses else 5  # validations in the run
        every = max(check, -(-steps // checks))
        same = ("rate", "decay", "optimizer", "schedule", "clip", "average", "precision", "micro", "patience", "keep")
        return Settings(
            steps=steps,
            log_every=max(1, min(steps // 100, 50)),
            validate_every=every,
            checkpoint_every=OFTEN if self.folder else 0.0,
            seed=train["seed"],
            **{name: train[name] for name in same},
        )


def _validation(frames: Frames, index: np.ndarray) -> pl.DataFrame | None:
    if frames.val is not None:
        return frames.val
    return frames.given[index] if len(index) else None


def _checks(settings: Settings) -> int:
    """How often a run validates."""
    return -(-settings.steps // settings.validate_every)
