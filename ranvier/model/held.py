"""What is told by held-out rows: figures, the temperature of probabilities, and predictions for stacking."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from ranvier.core.column import Column
from ranvier.core.plan import Plan
from ranvier.core.spec import Encoded
from ranvier.evaluate.score import Report, Rows
from ranvier.model.judge import Judge
from ranvier.model.layout import align, weights
from ranvier.model.network import CHUNK, Answers, Network, chunks, joined
from ranvier.model.shared import encoded, to_shared
from ranvier.ops.calibration import log_loss, temperature, tempered

FIRST, TIMED = 4, 64  # rows that are judged before the first look at the clock, and between two looks at most
GAIN = 1.0  # nats over all rows, which a number fitted to them wins by chance alone (Akaike's criterion)


@dataclass
class Predictions:
    """What was predicted for some rows of `size` given. rows: (M,) int64, ascending. answers: of those rows."""

    size: int
    rows: np.ndarray
    answers: Answers


@dataclass
class HeldOut:
    """Rows that a network has not learnt from, what it says of them, and the truth, all in shared words."""

    frame: pl.DataFrame
    answers: Answers
    truths: dict[str, Encoded]


def hold_out(
    network: Network, shared: Mapping[str, Column], frame: pl.DataFrame, until: float | None = None
) -> HeldOut:
    """What the network says of the frame's rows, none of which it has learnt from.

    until: of `time.perf_counter`; rows that are not begun by then are left out, if some with each truth are done.
    """
    said: list[Answers] = []
    done, begun = 0, time.perf_counter()
    size = CHUNK if until is None else FIRST
    while not said or done < frame.height:
        rows = frame[done : done + size]
        said.append(network.judged(rows, []))
        done += rows.height
        if until is None:
            continue
        left, each = until - time.perf_counter(), (time.perf_counter() - begun) / max(1, done)
        size = min(TIMED, max(1, int(left / each)))
        if left < each and all(frame[name][:done].null_count() < done for name in network.plan.targets):
            frame = frame[:done]
    answers = joined(said)
    truths = {name: encoded(frame[name], network.columns[name], shared[name]) for name in network.plan.targets}
    for name, truth in truths.items():
        align(network.plan, network.layout.specs[name], frame, name, truth, [])
    return HeldOut(frame, to_shared(answers, network.columns, shared), truths)


def together(parts: Sequence[HeldOut]) -> HeldOut:
    """The rows of several networks, one after another."""
    if len(parts) == 1:
        return parts[0]
    truths = {
        name: Encoded(
            np.concatenate([part.truths[name].data for part in parts]),
            np.concatenate([part.truths[name].observed for part in parts]),
        )
        for name in parts[0].truths
    }
    return HeldOut(pl.concat([part.frame for part in parts]), joined([part.answers for part in parts]), truths)


def figures(
    plan: Plan, shared: Mapping[str, Column], held: HeldOut, temperatures: Mapping[str, float], on: Rows
) -> Report:
    """The report on held-out rows, without notes, which `fit` tells itself. Raises DataError."""
    judge = Judge(plan, shared, weights(plan, held.frame, []))
    for start, frame in chunks(held.frame):
        rows = np.arange(start, start + frame.height)
        answers = {name: {key: said[rows] for key, said in answer.items()} for name, answer in held.answers.items()}
        truths = {name: truth.rows(rows) for name, truth in held.truths.items()}
        judge.add(frame, at_temperatures(answers, temperatures), truths)
    return judge.report(on, [])


def fitted_temperatures(plan: Plan, held: HeldOut) -> tuple[dict[str, float], list[str]]:
    """{category: temperature} where the rows' log loss is lower by it, and a sentence for each category."""
    amount = weights(plan, held.frame, [])
    found, notes = {}, []
    for name, truth in held.truths.items():
        probs = torch.from_numpy(held.answers[name]["probs"]) if "probs" in held.answers[name] else None
        if probs is None or truth.data.ndim > 1:
            continue  # a number, or a set
        known = truth.observed & (truth.data < probs.shape[1]) & (True if amount is None else amount > 0)
        if not known.any():
            continue
        codes, rows = torch.from_numpy(truth.data[known].astype(np.int64)), probs[torch.from_numpy(known)]
        weight = None if amount is None else torch.from_numpy(amount[known])
        best = temperature(rows, codes, weight)
        before, after = log_loss(rows, codes, weight), log_loss(tempered(rows.double(), best), codes, weight)
        if (before - after) * len(rows) > GAIN:
            found[name] = best
            lower = f"log loss of the rows held out {before:.4g} -> {after:.4g}"
            notes.append(f"{name}: probabilities are scaled by the temperature {best:.3g} ({lower})")
    return found, notes


def at_temperatures(answers: Answers, temperatures: Mapping[str, float]) -> Answers:
    """The answers, those probabilities scaled for which there is a temperature."""
    if not temperatures:
        return answers
    return {
        name: {"probs": tempered(torch.from_numpy(answer["probs"]), temperatures[name]).numpy()}
        if name in temperatures
        else answer
        for name, answer in answers.items()
    }


def fold_figures(
    plan: Plan, shared: Mapping[str, Column], parts: Sequence[HeldOut], temperatures: Mapping[str, float]
) -> list[dict[str, float]]:
    """Each fold's own figures."""
    return [figures(plan, shared, part, temperatures, "out of fold").metrics for part in parts]


def over_folds(each: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """{figure: (mean, standard error)} over the folds that have it: sd / sqrt(k), not-a-number of a single fold.

    Folds share training rows, so that the true error is larger, by how much cannot be told from them (Bengio and
    Grandvalet 2004, JMLR 5).
    """
    found = {}
    for name in dict.fromkeys(name for one in each for name in one):
        values = np.array([one[name] for one in each if name in one])
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
        found[name] = float(values.mean()), error
    return found
