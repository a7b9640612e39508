"""From data, or a plan, to a trained model."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.device import memory_told, threads
from ranvier.core.errors import DataError, FileError, PlanError, RunError
from ranvier.core.plan import Plan
from ranvier.core.rng import seed_of
from ranvier.core.training import Callback
from ranvier.core.unknown import strict
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.conformal import Part, learn_scores
from ranvier.model.folder import AGAIN, FIRST, MODEL, PLAN, RunFolder, fold
from ranvier.model.held import HeldOut, Predictions, figures, fitted_temperatures, fold_figures, hold_out, together
from ranvier.model.identity import Gallery, gallery_of
from ranvier.model.model import Model
from ranvier.model.network import Network
from ranvier.model.posterior import learn_posteriors
from ranvier.model.provenance import provenance
from ranvier.model.shared import shared_columns
from ranvier.model.start import opened
from ranvier.model.strange import usual
from ranvier.model.training import RESERVE, Run, Trained, Training, writes
from ranvier.model.uncertainty import Uncertainty
from ranvier.planning.frames import Frames, fold_rows, load, training_rows
from ranvier.planning.settle import planned
from ranvier.planning.start import start_of
from ranvier.tasks.selection import selection

JUDGED = 256  # validation rows that figures are of, where texts have to be written for them
LEAST = 4  # test rows of which figures are taken, however little time is left
REFITTED = "trained again on all rows, for as long; the validation figures are those of the network before that"
LATE, GRACE = 1.25, 10.0  # times the time allowed, and seconds beside it, beyond which that is told
NOT_REFITTED = "the second training, on all rows, was interrupted: the model has learnt from the training rows alone"
NOT_JUDGED = "there are no figures: it was interrupted while the validation rows were judged"
NOT_USUAL = "how strange clean rows are was not learnt, for that was interrupted: `anomalies` needs clean rows of yours"
NOT_SCORED = "how wide intervals and sets have to be was not learnt, for that was interrupted"
UNSURE = "how sure the network is was not learnt, for that was interrupted: deviations are of its members alone"
NO_GALLERY = "the gallery of training identities was not made, for that was interrupted: name one, as gallery="
NOTHING_LEFT = (
    "nothing was left to train: the run had ended before it was resumed, and its model was made of its checkpoint once "
    "more; to train on, begin a run with more epochs that starts from the model (init)"
)
CHOSEN = "each fold's rows have chosen the weights of the network that is judged by them, or when its training ended"
INIT_FOLDS = "the given model (init) may have seen any of the rows; figures out of fold are fair only if it has not"


def fit(
    data: Any,
    target: str | Sequence[str] = (),
    *,
    init: Model | Embeddings | str | Path | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    inexact: bool = False,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Model:
    """Trains a model that predicts the target columns from the others.

    data: a plan, or whatever `plan` takes together with target and settings (inputs, test, val, split, folds, roles,
    types, balance, size, time, epochs, seed ...; see `plan`). init: a model to start from, such as `pretrain` makes:
    inputs of texts and words that it has by the same names are read as it reads them, by its encoder, unless the plan
    was told otherwise, and texts that it writes are written by its decoder; weights are copied wherever they fit. Or
    vectors of words (`embeddings`) for the tokens of texts and words. Or the path of a file with either. folder: where
    to keep plan, log, checkpoints and model; with resume=True the run there goes on, from the same init (inexact=True:
    even where threads, versions or data differ). progress: show a bar, first what is to be known of the data, and last
    what else was found. callbacks: look on; with folds at each fold's training, one after another. Ctrl-C ends training
    after the current step with the best weights so far; with folds, the model is then made of the folds that were
    finished, or if there are none of the first.
    Raises PlanError, DataError, FileError, RunError.
    """
    started = time.perf_counter()
    start: Model | Embeddings | None = None if resume else opened(init)  # a run that goes on has kept its own
    _check_init(start)
    kept = RunFolder(Path(folder)) if folder is not None else None
    if resume:
        if kept is None:
            raise RunError("there is no run to resume: name its folder")
        start = kept.start()
    plan = planned(data, target, settings, "fit", start)
    if resume:
        assert kept is not None
        kept.resume(plan, inexact=inexact)
    elif kept is not None:
        kept.begin(plan, start)
    if progress:
        _tell(plan.warnings)
    out_of_memory = memory_told("before or after training", "a smaller train.batch, or device = 'cpu'")
    with ExitStack() as failed, threads(int(plan.train.threads)), out_of_memory:
        if kept is not None and not resume:
            failed.callback(kept.clear, plan)
        model = _run(Run(plan, started, kept, [*callbacks], start, resume, inexact, progress))
        failed.pop_all()  # it has not
    if progress:
        _tell(note for note in model.notes if note not in plan.warnings)
    return model


@strict
def resume(
    folder: str | Path, *, inexact: bool = False, progress: bool = True, callbacks: Sequence[Callback] = ()
) -> Model:
    """Goes on with the run in a folder that was stopped or killed, from its last checkpoint; see `fit` for the rest.

    On the same machine, with as many threads and the same versions, the weights end as if it had never been stopped;
    what differs is told, and refused but for inexact=True. A run that has no checkpoint yet begins anew. What Ctrl-C or
    a callback has stopped goes on; what patience has ended, or what took all its steps, stays as it is, as a note of
    the model says. Raises
    RunError for a folder without a run, or a run whose data were in memory: give them again, by `fit` with resume=True.
    """
    kept = RunFolder(Path(folder))
    if not (kept.path / PLAN).is_file():
        raise RunError(f"{folder} is no folder of a run: it holds no {PLAN}")
    plan = kept.plan()
    if not plan.data.source:
        raise RunError(
            f"the run in {folder} learns from data that were in memory; give them again, with the settings it had: "
            "fit(data, target, folder=..., resume=True)"
        )
    return fit(plan, folder=folder, resume=True, inexact=inexact, progress=progress, callbacks=callbacks)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _check_init(init: Any) -> None:
    """Raises PlanError for what is neither a model nor vectors of words, or a model of several networks."""
    if isinstance(start_of(init), Plan) and len(init.networks) > 1:
        raise PlanError(f"init has {len(init.networks)} networks; start from a model that was trained without folds")


def _run(run: Run) -> Model:
    frames = load(run.plan)
    model = _by_folds(run, frames) if run.plan.data.folded else _alone(run, frames)
    if frames.test is not None:
        _score_test(run, model, frames.test)
    if run.folder:
        _keep(model, run.folder.path)
    if run.resume and not run.taken:
        model.notes.append(NOTHING_LEFT)  # which is said of this call, and not of the model in the file
    if late := _late(run.plan.train.time, time.perf_counter() - run.started):
        model.notes.append(late)
    return model


def _late(allowed: float, taken: float) -> str:
    """What is to be said of a run that took much longer than it was allowed to, in seconds; "" of others."""
    if not allowed or taken <= max(LATE * allowed, allowed + GRACE):
        return ""
    return (
        f"the run took {taken:.0f} s, and time = {allowed:g} s: steps are counted by the pace of the first ones, so "
        "that a run can be resumed exactly, and the machine was slower later on"
    )


def _keep(model: Model, folder: Path) -> None:
    try:
        model.save(folder / MODEL)
    except FileError as error:
        raise FileError(
            f"{error}; what was learnt is in the checkpoints there: make room, and resume {folder}"
        ) from None


def _alone(run: Run, frames: Frames) -> Model:
    """A model of one network."""
    plan = run.plan
    notes = list(plan.warnings)
    train_index, val_index = training_rows(plan, frames)
    val = _validation(frames, val_index)
    places = (train_index, val_index if frames.val is None else None)
    trained = Training(run, FIRST, plan)(frames.given[train_index], val, notes, places)
    network, report = trained.network, None
    temperatures: dict[str, float] = {}
    uncertainty, learnt, visits = Uncertainty(), frames.given[train_index], trained.visits
    clean: np.ndarray | None = None
    held: HeldOut | None = None
    refits = plan.train.refit and len(val_index) > 0 and not trained.interrupted
    try:
        if val is not None:
            until = _deadline(run, 4 if frames.test is None else 8) if plan.train.time and writes(plan) else None
            some = _written(plan, val)
            if run.progress and writes(plan):
                print(
                    f"note: {some.height:,} validation rows or fewer are now judged by what is drawn or written",
                    file=sys.stderr,
                )
            begun = time.perf_counter()
            held = hold_out(network, network.columns, some, until)
            run.pace = (time.perf_counter() - begun) / held.frame.height if writes(plan) else 0.0
            notes += _few(held.frame, val, "validation")
            if plan.train.calibrate:
                temperatures, told = fitted_temperatures(plan, held)
                notes += told
            report = figures(plan, network.columns, held, temperatures, "validation")
            uncertainty.held = learn_scores([Part(network, learnt, visits, held)], temperatures)
            clean = _usual(run, network, held, notes)
        if refits and NOT_USUAL in notes:
            notes.append(NOT_REFITTED)
        elif refits:
            again = Training(run, AGAIN, plan, epochs=trained.kept)(frames.given, None, [])
            finished = not again.done.stopped  # else the first network is the better one
            if finished:
                network, learnt, visits = again.network, frames.given, again.visits
            notes.append(REFITTED if finished else NOT_REFITTED)
    except KeyboardInterrupt:  # outside the engine, which ends gently; the first network is whole
        notes.append(NOT_JUDGED if report is None else NOT_REFITTED if refits else NOT_SCORED)
    gallery = _gallery(network, learnt, held, notes)
    try:
        uncertainty.posteriors = [learn_posteriors(network, learnt, visits)]
    except KeyboardInterrupt:
        notes.append(UNSURE)
    if plan.train.l1:
        notes += selection([network.task], network.layout.groups)
    notes += trained.ended()
    history = trained.done.history
    model = Model(
        plan,
        [network],
        history=history,
        report=report,
        temperatures=temperatures,
        uncertainty=uncertainty,
        usual=clean,
        gallery=gallery,
        provenance=provenance(run, frames, [trained], [(train_index, val_index)]),
        notes=notes,
    )
    model.interrupted = trained.interrupted or NOT_REFITTED in notes or NOT_JUDGED in notes
    return model


def _by_folds(run: Run, frames: Frames) -> Model:
    """A model of as many networks as folds: each trained on all rows but its fold's, which then judge it."""
    plan, given = run.plan, frames.given
    pairs = fold_rows(plan, frames)
    trained: list[Trained] = []
    told: list[list[str]] = []
    ended: list[str] = []
    epochs: float | None = None
    for number, (train, held) in enumerate(pairs, 1):
        own = Plan(**plan.model_dump())
        own.train.seed = seed_of(plan.train.seed, "fold", number)
        stage = fold(number, len(pairs))
        notes: list[str] = []
        try:
            one = Training(run, stage, own, epochs, of=len(pairs))(given[train], given[held], notes, (train, held))
        except KeyboardInterrupt:  # outside the engine, which ends gently
            if not trained:
                raise
            break
        ended += one.ended(f"{stage.title}: ")
        if one.interrupted and trained:
            break
        trained.append(one)
        told.append(notes)
        epochs = one.steps / one.per_epoch  # the first has found out how many the time allows
        if one.interrupted:
            break
    model = _of_folds(run, given, pairs, trained, [*_common(told), *ended])
    model.provenance = provenance(run, frames, trained, pairs)
    return model


def _of_folds(
    run: Run, given: pl.DataFrame, pairs: list[tuple[np.ndarray, np.ndarray]], trained: list[Trained], notes: list[str]
) -> Model:
    """The model of the folds that were trained, judged by the rows that each held out."""
    plan, networks = run.plan, [one.network for one in trained]
    columns = shared_columns(plan, [network.columns for network in networks])
    parts = [hold_out(network, columns, given[rows]) for network, (_, rows) in zip(networks, pairs, strict=False)]
    held = together(parts)
    rows = np.concatenate([rows for _, rows in pairs[: len(networks)]])
    temperatures, scaled = fitted_temperatures(plan, held) if plan.train.calibrate else ({}, [])
    report = figures(plan, columns, held, temperatures, "out of fold")
    if plan.train.keep == "best" or plan.train.patience:
        report = replace(report, notes=[CHOSEN])
    trains = [given[train] for train, _ in pairs[: len(networks)]]
    visits = [one.visits for one in trained]
    posteriors = [learn_posteriors(*each) for each in zip(networks, trains, visits, strict=True)]
    scores = learn_scores([Part(*each) for each in zip(networks, trains, visits, parts, strict=True)], temperatures)
    order = np.argsort(rows)
    answers = {n: {k: a[order] for k, a in named.items()} for n, named in held.answers.items()}
    notes = [*plan.warnings, *notes, *scaled]
    clean = _usual(run, networks[0], parts[0], notes)  # which answers alone
    if isinstance(run.init, Model):
        notes.append(INIT_FOLDS)
    if len(networks) < len(pairs):
        notes.append(f"the model is made of {len(networks)} of {len(pairs)} networks, for training was interrupted")
    if plan.train.l1:
        notes += selection([network.task for network in networks], networks[0].layout.groups)
    model = Model(
        plan,
        networks,
        history=[{"fold": float(f), **line} for f, one in enumerate(trained, 1) for line in one.done.history],
        report=report,
        fold_figures=fold_figures(plan, columns, parts, temperatures),
        temperatures=temperatures,
        uncertainty=Uncertainty(scores, posteriors),
        held_out=Predictions(given.height, rows[order], answers),
        usual=clean,
        notes=notes,
    )
    model.interrupted = len(networks) < len(pairs) or any(one.interrupted for one in trained)
    return model


def _score_test(run: Run, model: Model, test: pl.DataFrame) -> None:
    """Keeps the figures on the test rows as `test_report`; if they cannot be scored, a note says why."""
    rows = _in_time(run, test)
    try:
        model.test_report = model.judge(rows)
    except DataError as error:
        model.notes.append(f"the test rows are not scored: {error}")
        return
    model.notes += _few(rows, test, "test")
    if run.progress:
        figures = ", ".join(f"{name} {figure:.4g}" for name, figure in model.test_report.headline.items())
        print(f"test rows: {figures}", file=sys.stderr)


def _common(told: list[list[str]]) -> list[str]:
    """What was told of each fold: once where it is the same of all, else with the fold's number."""
    lines = list(dict.fromkeys(line for notes in told for line in notes))
    found = []
    for line in lines:
        folds = [number for number, notes in enumerate(told, 1) if line in notes]
        found.append(line if len(folds) == len(told) else f"fold {', '.join(map(str, folds))}: {line}")
    return found


def _usual(run: Run, network: Network, held: HeldOut, notes: list[str]) -> np.ndarray | None:
    """How strange clean rows are, as far as the time allows; None, with a note, where Ctrl-C has interrupted it."""
    left, now = run.plan.train.time, time.perf_counter()
    try:
        return usual(network, held, min(run.started + left, now + RESERVE * left) if left else None)
    except KeyboardInterrupt:
        notes.append(NOT_USUAL)
        return None


def _gallery(network: Network, learnt: pl.DataFrame, held: HeldOut | None, notes: list[str]) -> Gallery | None:
    """The identities that were learnt; none, with a note, where Ctrl-C has interrupted it."""
    try:
        return gallery_of(network, learnt, held, notes)
    except KeyboardInterrupt:
        notes.append(NO_GALLERY)
        return None


def _deadline(run: Run, part: int) -> float:
    """Until when texts may be written for figures: so many parts of the time, as far as it goes."""
    return min(run.started + run.plan.train.time, time.perf_counter() + run.plan.train.time / part)


def _in_time(run: Run, test: pl.DataFrame) -> pl.DataFrame:
    """The test rows that figures are taken of: where that takes long as many as the time allows, in random order."""
    if not (run.plan.train.time and run.pace):
        return test
    most = max(LEAST, int((_deadline(run, 8) - time.perf_counter()) / run.pace))
    if most >= test.height:
        return test
    return test.sample(most, shuffle=True, seed=seed_of(run.plan.train.seed, "tested") % 2**63)


def _few(judged: pl.DataFrame, rows: pl.DataFrame, which: str) -> list[str]:
    """What is said of figures of a part of the rows."""
    if judged.height == rows.height:
        return []
    share = f"figures are of {judged.height:,} of the {rows.height:,} {which} rows"
    return [f"{share}, since it takes time to write or draw for each"]


def _written(plan: Plan, val: pl.DataFrame) -> pl.DataFrame:
    """The validation rows that figures are taken of: where a text has to be written for each some, in random order."""
    if not writes(plan):
        return val
    return val.sample(min(JUDGED, val.height), shuffle=True, seed=seed_of(plan.train.seed, "written") % 2**63)


def _validation(frames: Frames, index: np.ndarray) -> pl.DataFrame | None:
    if frames.val is not None:
        return frames.val
    return frames.given[index] if len(index) else None
