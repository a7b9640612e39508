"""From data, or a plan, to a trained model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.core.device import pick_device
from ranvier.core.errors import PlanError, RunError
from ranvier.core.plan import Plan
from ranvier.core.protocols import Callback, Source
from ranvier.core.rng import seed_of
from ranvier.model.layout import Layout, Table, learn_columns
from ranvier.model.model import Model
from ranvier.model.progress import ProgressBar
from ranvier.planning.frames import Frames, load, training_rows
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle
from ranvier.tasks.build import build
from ranvier.tasks.columns import ColumnsTask
from ranvier.train.calibrate import seconds_per_step, steps_within
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine
from ranvier.train.settings import Settings

REFITTED = "trained again on all rows, for as long; the validation figures are those of the network before that"
NOT_REFITTED = "the second training, on all rows, was interrupted: the model has learnt from the training rows alone"
RESERVE = 0.04  # of a time budget, for what comes after training
FORWARD = 0.8  # of a training step's time, for a validation batch of about twice its rows


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
    they fit. folder: where to keep plan, log, checkpoints and model; with resume=True the run there goes on
    (inexact=True: even where threads or versions differ). progress: show a bar. Ctrl-C ends training after the
    current step with the best weights so far. Raises PlanError, DataError, RunError.
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
    run = _Run(plan, started, Path(folder) if folder else None, [*callbacks])
    return run(init, resume=resume, inexact=inexact, progress=progress)


@dataclass
class _Run:
    """One training run of a resolved plan."""

    plan: Plan
    started: float
    folder: Path | None
    callbacks: list[Callback]
    preparing: float = 0.0  # seconds that learning and encoding columns took

    def __call__(self, init: Model | None, *, resume: bool, inexact: bool, progress: bool) -> Model:
        plan = self.plan
        if plan.train.threads:
            torch.set_num_threads(int(plan.train.threads))
        device = pick_device(plan.train.device)
        frames = load(plan)
        notes = list(plan.warnings)
        train_index, val_index = training_rows(plan, frames)
        train, val = frames.given[train_index], _validation(frames, val_index)
        begun = time.perf_counter()
        layout = Layout(plan, learn_columns(plan, train, notes))
        tables = [layout.encode(frame, notes) for frame in (train, val) if frame is not None]
        self.preparing = time.perf_counter() - begun
        task = self.network(layout, init, notes).to(device)
        engine = self.engine(task, layout, tables, device, resume, inexact)
        if progress:
            engine.callbacks += (ProgressBar(engine.settings.steps, task.monitor),)
        if resume:
            engine.load(self.checkpoint, inexact=inexact)
        done = engine.run()
        report = None
        if val is not None:
            report = Model(plan, layout.columns, task).judge_as("validation", val, batch=512)
        if plan.train.refit and len(val_index) and done.stopped != "interrupted":
            epochs = (done.best_step if plan.train.keep == "best" else done.step) / (engine.source.steps or 1)
            refitted = self.again(frames, epochs, init, device)
            layout, task = refitted or (layout, task)
            notes.append(REFITTED if refitted else NOT_REFITTED)
        if done.stopped:
            notes.append(f"training ended at step {done.step} of {engine.settings.steps}: {done.stopped}")
        model = Model(plan, layout.columns, task, history=done.history, report=report, notes=notes)
        if self.folder:
            model.save(self.folder / "model.rv")
        return model

    def network(self, layout: Layout, init: Model | None, notes: list[str]) -> ColumnsTask:
        """The task with weights drawn from the plan's seed, and those of `init` where they fit."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.plan.train.seed, "init"))
            task = build(self.plan, layout.specs)
        if init is not None:
            notes.append(start_from(task, init))
        return task

    def engine(
        self,
        task: ColumnsTask,
        layout: Layout,
        tables: list[Table],
        device: torch.device,
        resume: bool,
        inexact: bool,
    ) -> Engine:
        """The engine, with as many steps as epochs and time allow."""
        plan = self.plan
        source = layout.training_source(tables[0], device)
        validation = None
        if len(tables) > 1:
            assert plan.train.batch != "auto"
            validation, _ = layout.plain_source(tables[1], device, max(256, plan.train.batch))
        wanted = max(1, int(np.ceil(float(plan.train.epochs) * (source.steps or 1))))
        if resume:
            settings = self.frozen(inexact)
        else:
            check = (validation.steps or 1) if validation else 1
            settings = self.settings(wanted, check)
            if plan.train.time:
                settings = self.settings(self.affordable(Engine(task, source, settings), validation), check)
        if self.folder:
            if self.folder.exists() and not self.folder.is_dir():
                raise RunError(f"{self.folder} is no folder, so no run can be kept there")
            self.folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                for old in (self.checkpoint, self.folder / "log.jsonl"):  # another run's, which this one replaces
                    old.unlink(missing_ok=True)
                (self.folder / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
                (self.folder / "settings.json").write_text(json.dumps(settings.to_json()), encoding="utf-8")
            self.callbacks.append(LogFile(self.folder / "log.jsonl"))
        return Engine(task, source, settings, validation=validation, callbacks=self.callbacks, folder=self.folder)

    def affordable(self, trial: Engine, validation: Source | None) -> int:
        """How many of the wanted steps the time that is left allows, from a short trial that leaves no trace."""
        train, wanted = self.plan.train, trial.settings.steps
        per_step = seconds_per_step(trial, trial.source, min(5.0, 0.03 * train.time), wanted // 20)
        left = train.time * (1 - RESERVE) - (time.perf_counter() - self.started)
        if validation is not None:
            left -= _checks(trial.settings) * (validation.steps or 0) * per_step * FORWARD
        if train.refit:  # everything once more, with the validation rows
            left = (left - self.preparing) * 0.5 * (1 - float(self.plan.data.fraction))
        return steps_within(left, per_step, wanted)

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
            checkpoint_every=every if self.folder else 0,
            seed=train["seed"],
            **{name: train[name] for name in same},
        )

    @property
    def checkpoint(self) -> Path:
        assert self.folder is not None
        return self.folder / "checkpoint.safetensors"

    def frozen(self, inexact: bool) -> Settings:
        """The settings that the run in the folder began with. Raises RunError if there is none, or of another plan."""
        if self.folder is None or not self.checkpoint.exists():
            raise RunError(f"there is no run to resume in {self.folder}: it has no checkpoint yet")
        began = Plan.from_toml((self.folder / "plan.toml").read_text(encoding="utf-8"))
        before, now = began.leaves(), self.plan.leaves()
        differs = next((place for place in {**before, **now} if before.get(place) != now.get(place)), None)
        if differs is not None and not inexact:
            raise RunError(
                f"the run in {self.folder} was started with {differs} = {before.get(differs)!r}, now it is "
                f"{now.get(differs)!r}; go on with the plan there, or start anew in another folder"
            )
        return Settings(**json.loads((self.folder / "settings.json").read_text(encoding="utf-8")))

    def again(
        self, frames: Frames, epochs: float, init: Model | None, device: torch.device
    ) -> tuple[Layout, ColumnsTask] | None:
        """The network trained anew on all rows given, for as many epochs as the validation rows have shown best.

        None if Ctrl-C ended it, for then the first network is the better one.
        """
        layout = Layout(self.plan, learn_columns(self.plan, frames.given, []))
        task = self.network(layout, init, []).to(device)
        source = layout.training_source(layout.encode(frames.given, []), device)
        settings = self.settings(max(1, round(epochs * (source.steps or 1))))
        settings = replace(settings, validate_every=0, patience=0, checkpoint_every=0)
        if settings.keep == "best":
            settings = replace(settings, keep="average" if settings.average else "last")
        done = Engine(task, source, settings).run()
        return None if done.stopped else (layout, task)


def start_from(task: ColumnsTask, init: Model) -> str:
    """Copies the weights of `init` that have the same name and shape; gives a sentence on how many there were."""
    theirs, mine = init.task.state_dict(), task.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in mine and mine[k].shape == v.shape}
    task.load_state_dict(fitting, strict=False)
    left = len(mine) - len(fitting)
    return f"init: {len(fitting)} of {len(mine)} tensors start from the given model, {left} are new"


def _validation(frames: Frames, index: np.ndarray) -> pl.DataFrame | None:
    if frames.val is not None:
        return frames.val
    return frames.given[index] if len(index) else None


def _checks(settings: Settings) -> int:
    """How often a run validates."""
    return -(-settings.steps // settings.validate_every)
