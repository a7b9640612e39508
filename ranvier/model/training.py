"""One network of a run trained: its columns learnt, its rows encoded, its engine run."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.core import registry
from ranvier.core.column import Column
from ranvier.core.device import pick_device
from ranvier.core.draws import own_random
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.core.rng import seed_of
from ranvier.core.room import amount
from ranvier.core.rows import numbered
from ranvier.core.training import Callback, Source
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.folder import AGAIN, FIRST, LOG, SAMPLES, RunFolder, Stage, digest, first
from ranvier.model.grids import sample_grids
from ranvier.model.identity import settle
from ranvier.model.layout import Layout, Table, learn_columns
from ranvier.model.model import Model
from ranvier.model.network import Network
from ranvier.model.progress import ProgressBar
from ranvier.model.recall import recalled
from ranvier.model.start import extend_words, start_from, start_from_words
from ranvier.model.weights import within_memory
from ranvier.planning.frames import load
from ranvier.planning.reasons import because
from ranvier.planning.start import carried, frozen
from ranvier.tasks.build import build
from ranvier.tasks.columns import ColumnsTask
from ranvier.train import checkpoint
from ranvier.train.calibrate import most_within, seconds_per_step
from ranvier.train.callbacks import LogFile
from ranvier.train.engine import Engine, Progress
from ranvier.train.needs import check_needs, free_on
from ranvier.train.settings import Settings

RESERVE = 0.04  # of a time budget, for what comes after training
WRITTEN = {
    "pixel": "pixels of the picture as the file has it",
    "share": "shares of the picture's width and height, from 0 to 1",
}
HARDLY = 0.5  # passes over the training rows below which a network is next to untrained
ALIKE, FORWARD = 0.4, 0.8  # of a training step's time, for a validation batch of as many rows, and of twice as many
OFTEN = 30.0  # seconds between checkpoints
Places = tuple[np.ndarray | None, np.ndarray | None]  # of training rows and of those held out, among the rows given


@dataclass
class Trained:
    """A network, and how its training went. steps: how many it was to take. per_epoch: how many are an epoch. data: a
    hash of the encoded rows and of what the columns have learnt."""

    network: Network
    done: Progress
    steps: int
    per_epoch: int
    data: str

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.done.stopped == "interrupted"

    @property
    def visits(self) -> float:
        """How many rows were trained on, each counted as often as it was."""
        return float(self.done.step * int(self.network.plan.train.batch))

    @property
    def kept(self) -> float:
        """How many epochs had passed when the network had the weights that were kept."""
        best = self.done.best_step if self.network.plan.train.keep == "best" else 0
        return (best or self.done.step) / self.per_epoch

    def ended(self, where: str = "") -> list[str]:
        """Why training ended early, if it did. where: which training, if there are several."""
        if not self.done.stopped:
            return []
        return [f"{where}training ended at step {self.done.step} of {self.steps}: {self.done.stopped}"]


@dataclass
class Run:
    """How the networks of one run are trained. started: when the run began, for its time budget. ended: whether it is
    resumed though it has a model already. taken: steps of training so far, those of before it was resumed left out.
    pace: seconds that the figures of a row took, where it is written or drawn for them, 0 = not known."""

    plan: Plan
    started: float
    folder: RunFolder | None
    callbacks: list[Callback]
    init: Model | Embeddings | None
    resume: bool
    inexact: bool
    progress: bool
    device: torch.device = field(init=False)
    ended: bool = field(init=False)
    taken: int = 0
    pace: float = 0.0

    def __post_init__(self) -> None:
        self.device = pick_device(self.plan.train.device)
        self.ended = self.resume and self.folder is not None and self.folder.ended()


@dataclass
class Training:
    """The training of one network of a run.

    plan: the run's, but for the seed where there are several networks. epochs: how many passes to make over the rows;
    None = as many as the plan and the time allow. of: how many such trainings share the time.
    """

    run: Run
    stage: Stage
    plan: Plan
    epochs: float | None = None
    of: int = 1
    forward: float = ALIKE
    preparing: float = 0.0  # seconds that learning and encoding columns took

    def __call__(
        self, train: pl.DataFrame, held: pl.DataFrame | None, notes: list[str], places: Places = (None, None)
    ) -> Trained:
        """Trains on some rows, with others held out to validate on; notes grow. Raises RunError, DataError.

        places: where the rows of both stand among those given, for what is told of them; None = they are all of them.
        """
        begun = time.perf_counter()
        with numbered(places[0]):
            columns = learn_columns(self.plan, train, notes, self.given(), load(self.run.plan).commas)
        if isinstance(self.run.init, Embeddings):
            notes += extend_words(columns, self.plan.inputs, self.run.init)
        layout = Layout(self.plan, columns)
        tables = [encoded(layout, train, notes, places[0])]
        _check_taught(layout, tables[0], notes)
        if held is not None:
            told: list[str] = []
            tables.append(encoded(layout, held, told, places[1]))
            _check_held(layout, tables[1], [*notes, *told])
            notes += [f"val: {note}" for note in told] if places[1] is None else told
        self.preparing = time.perf_counter() - begun
        task = self.task(layout, notes)
        check_targets(task, tables, places)
        fed = [recalled(task, layout, table, self.run.device) for table in tables]
        source = layout.training_source(fed[0], self.run.device)
        validation = self.validation(layout, fed[1]) if len(fed) > 1 else None
        settings = self.settings(task, source, validation)
        notes += self.cut_short(settings.steps, source.steps or 1)
        data = digest(tables, {name: column.state() for name, column in layout.columns.items()})
        engine = self.engine(task, layout, tables, data, source, validation, settings)
        network = Network(self.plan, layout.columns, task)
        if self.run.folder and self.stage != AGAIN:  # which is as the first
            rows = train if held is None else held
            engine.callbacks += sample_grids(engine, network, rows, self.run.folder.stage(self.stage) / SAMPLES)
        begun_at = engine.progress.step
        done = engine.run()
        self.run.taken += done.step - begun_at
        notes += done.notes
        settle(network, train, notes)
        return Trained(network, done, settings.steps, source.steps or 1, data)

    def given(self) -> dict[str, Column]:
        """Columns of the model to start from whose state the plan takes over."""
        init = self.run.init
        if not isinstance(init, Model):
            return {}
        return {name: init.networks[0].columns[name] for name in carried(self.plan, init.plan)}

    def task(self, layout: Layout, notes: list[str]) -> ColumnsTask:
        """The task with weights drawn from the plan's seed, pretrained ones, and those of `init` where they fit."""
        with own_random(seed_of(self.plan.train.seed, "init")), within_memory():
            task = build(self.plan, layout.specs)
        for encoder in task.encoders:
            encoder.begin()  # type: ignore[operator]
        if isinstance(self.run.init, Embeddings):
            notes += start_from_words(layout, task, self.run.init)
        elif self.run.init is not None:
            notes += start_from(layout, task, self.run.init)
            task.freeze(frozen(self.plan, self.run.init.plan))
        return task.to(self.run.device)

    def validation(self, layout: Layout, table: Table) -> Source:
        """The rows held out, each once."""
        assert self.plan.train.batch != "auto"
        batch = self.plan.train.batch
        if all(truth.offsets is None for truth in table.targets.values()):  # else each of many tokens has scores
            batch, self.forward = max(256, batch), FORWARD
        return layout.held_source(table, self.run.device, batch)

    def settings(self, task: ColumnsTask, source: Source, validation: Source | None) -> Settings:
        """The engine's, with as many steps as epochs and time allow; those of its checkpoint if the run is resumed."""
        check = (validation.steps or 1) if validation else 1
        if self.epochs is not None:
            settings = self.settings_for(max(1, round(self.epochs * (source.steps or 1))), check)
            return settings if self.stage != AGAIN else _unwatched(settings)
        if self.run.resume and self.run.folder and self.run.folder.has_checkpoint(self.stage):
            return checkpoint.settings_of(self.run.folder.checkpoint(self.stage))
        settings = self.settings_for(max(1, int(np.ceil(float(self.plan.train.epochs) * (source.steps or 1)))), check)
        if self.plan.train.time:
            trial = Engine(task, source, settings, validation=validation)
            check_needs(trial)
            settings = self.settings_for(self.affordable(trial), check)
        return settings

    def settings_for(self, steps: int, check: int) -> Settings:
        """The engine's settings from the plan's. check: batches in a validation, so as not to do it too often."""
        train: dict[str, Any] = self.plan.train.model_dump()
        chooses = train["keep"] == "best" or train["patience"] > 0
        checks = int(np.clip(float(train["epochs"]), 12, 60)) if chooses else 5  # validations in the run
        every = max(check, -(-steps // checks))
        same = {f.name for f in fields(Settings)} & train.keys()
        return Settings(
            steps=steps,
            log_every=max(1, min(steps // 100, 50)),
            validate_every=every,
            checkpoint_every=OFTEN if self.run.folder else 0.0,
            **{name: train[name] for name in same},
        )

    def affordable(self, trial: Engine) -> int:
        """How many of the wanted steps the time that is left allows, from a short trial that leaves no trace."""
        train, wanted, validation = self.plan.train, trial.settings.steps, trial.validation
        per_step = seconds_per_step(trial, trial.source, min(5.0, 0.03 * train.time), wanted // 20)
        left = train.time * (1 - RESERVE) - (time.perf_counter() - self.run.started)
        left = (left - (self.of - 1) * self.preparing) / self.of
        left -= left / 4 if trial.validation is not None and writes(self.plan) else 0.0  # to write texts for figures
        check = (validation.steps or 1) if validation else 1
        each = 0.0 if validation is None else check * per_step * self.forward

        def costs(steps: int) -> float:
            settings = self.settings_for(steps, check)
            return steps * per_step + -(-steps // settings.validate_every) * each

        steps = most_within(left, costs, wanted)
        if not train.refit:
            return steps
        # everything once more, with the validation rows
        twice = most_within((left - self.preparing) * 0.5 * (1 - float(self.plan.data.fraction)), costs, wanted)
        if twice >= min(trial.source.steps or 1, wanted):
            return twice
        self.train_once()
        return steps

    def train_once(self) -> None:
        """No second training: there is no time for it. The plan says so, and a resumed run keeps to it."""
        self.plan.train.refit = False
        because(self.plan, "train.refit", False, f"time = {self.plan.train.time:g} s is too short to train twice")
        if self.run.folder:
            self.run.folder.write(self.plan)

    def cut_short(self, steps: int, per_epoch: int) -> list[str]:
        """What there is to be said where time does not allow the epochs planned."""
        train, epochs = self.plan.train, steps / per_epoch
        assert train.epochs != "auto"
        if not train.time or self.stage == AGAIN or steps >= int(np.ceil(train.epochs * per_epoch)):
            return []
        hardly = "; the network has hardly learnt: give it more time" if epochs < HARDLY else ""
        share = f" for each of {self.of} folds" if self.of > 1 else ""
        return [f"time = {train.time:g} s allows {epochs:.3g} of the {train.epochs:g} epochs planned{share}{hardly}"]

    def engine(
        self,
        task: ColumnsTask,
        layout: Layout,
        tables: list[Table],
        data: str,
        source: Source,
        validation: Source | None,
        settings: Settings,
    ) -> Engine:
        """The engine, at its checkpoint if the run is resumed and this training was under way."""
        run = self.run
        callbacks = list(run.callbacks) if self.stage != AGAIN else []
        folder, facts = None, {}
        if run.folder:
            folder = run.folder.stage(self.stage)
            callbacks.append(LogFile(folder / LOG))
            facts["the hash of all encoded rows"] = data
        if run.progress:
            callbacks.append(ProgressBar(settings.steps, task.monitor, self.stage.title))
        engine = Engine(task, source, settings, validation=validation, callbacks=callbacks, folder=folder, facts=facts)
        needs = check_needs(engine)
        if run.progress and self.stage == first(self.plan):
            rows = sum(one.nbytes for table in tables for one in (*table.inputs.values(), *table.targets.values()))
            said = f"{needs} beside {amount(rows)} of rows; {amount(free_on(run.device))} are free"
            print(f"memory: {said}", file=sys.stderr)
        if run.resume and run.folder and run.folder.has_checkpoint(self.stage):
            engine.load(run.folder.checkpoint(self.stage), inexact=run.inexact, on=run.ended)
            goes_on = engine.progress.step < settings.steps and not engine.progress.stopped
            if run.ended and goes_on and self.stage == FIRST:
                run.folder.drop(AGAIN)  # for it followed from where this one had ended
        return engine


def writes(plan: Plan) -> bool:
    """Whether figures of a row cost many passes: a text has to be written, or much has to be drawn."""
    heads = [target.head["name"] for target in plan.targets.values()]
    return (bool(plan.inputs) and "text" in heads) or any(registry.lookup("head", name).dear for name in heads)


def encoded(layout: Layout, frame: pl.DataFrame, notes: list[str], places: np.ndarray | None) -> Table:
    """The frame's rows as the network takes them. places: as of `Training`. Raises DataError."""
    with numbered(places):
        return layout.encode(frame, notes)


def check_targets(task: ColumnsTask, tables: Iterable[Table], places: Places = (None, None)) -> None:
    """Raises DataError where a head cannot learn from the values of its target, or be judged by them.

    tables: of the training rows, and of those held out. places: as of `Training`.
    """
    for name, head in zip(task.targets, task.heads, strict=True):
        for table, own, where in zip(tables, places, ("", " of the validation rows"), strict=False):
            with numbered(own):
                why = head.refuses(table.targets[name])  # type: ignore[operator]
            if why:
                hint = "; give more rows, others as val=, or split='none'" if where else ""
                raise DataError(f"target {name!r}{where}: {why}{hint}")


def _check_taught(layout: Layout, table: Table, notes: list[str]) -> None:
    """Raises DataError if no training row tells anything of where things are, after what was found of the rows."""
    for name, truth in table.targets.items():
        kind = layout.specs[name].kind
        if kind == "mask" and not truth.observed.any():
            raise DataError(
                f"no training row has a mask of target {name!r} to learn from: {_of(name, notes)}; a mask has the "
                "width and height of its picture, or both in the same proportion"
            )
        if kind == "boxes" and not len(truth.data):
            unit = layout.specs[name].unit
            raise DataError(
                f"no training row has a box of target {name!r} within its picture: {_of(name, notes)}; boxes are read "
                f"as {WRITTEN[unit]}: if they are not, say columns.{name}.options.unit = "
                f"{'pixel' if unit == 'share' else 'share'!r}, and mind what the fields mean (x, y, w, h: the upper "
                "left corner, width and height; left, top, right, bottom: the corners)"
            )


def _of(name: str, notes: list[str]) -> str:
    """What was last told of a column."""
    return next((note.removeprefix(f"{name}: ") for note in reversed(notes) if note.startswith(f"{name}: ")), "")


def _check_held(layout: Layout, table: Table, notes: list[str]) -> None:
    """Raises DataError if the rows held out cannot tell anything of a target. notes: what was found of the rows."""
    for name, truth in table.targets.items():
        known = truth.observed
        if layout.specs[name].kind == "index":
            known = known & (truth.data < layout.specs[name].size)
        if table.weight is not None:
            known = known & (table.weight > 0)
        if not known.any() and (why := [note for note in notes if note.startswith(f"{name}: ")]):
            raise DataError(
                f"none of the {table.size:,} validation rows has a value of target {name!r}: {why[-1]}; give more "
                "rows, others as val=, or split='none'"
            )
        if not known.any():
            raise DataError(
                f"none of the {table.size:,} validation rows has a weight and a value of target {name!r} that the "
                "training rows have too: give other rows as val=, another split, fewer folds, or split='none'"
            )


def _unwatched(settings: Settings) -> Settings:
    """Without validation rows: the last weights are kept, or their average."""
    return replace(settings, validate_every=0, patience=0, keep="average" if settings.average else "last")
