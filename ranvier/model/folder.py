"""Where a run is kept, so that it can go on to the same weights after it was stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from ranvier.core.errors import FileError, PlanError, RunError
from ranvier.core.plan import Plan
from ranvier.core.room import let_go
from ranvier.core.whole import folder as make_folder
from ranvier.core.whole import whole_file
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.model import Model, load
from ranvier.train import checkpoint

PLAN, LOG, MODEL, INIT, WORDS = "plan.toml", "log.jsonl", "model.rv", "init.rv", "init.safetensors"
HASHED = 2**24  # bytes at a time
SAMPLES = "samples"  # grids of pictures, see `model/grids.py`


@dataclass(frozen=True)
class Stage:
    """One training of a run. name: of the folder within the run's, "" = the run's own. title: how people are told."""

    name: str
    title: str = ""


FIRST = Stage("")  # the training that figures are taken of
AGAIN = Stage("again", "again, on all rows")
NAMED = 3  # differences from a run that are told


def fold(number: int, of: int) -> Stage:
    """The training of one fold, counted from 1."""
    return Stage(f"fold-{number}", f"fold {number} of {of}")


def first(plan: Plan) -> Stage:
    """The training that a run of the plan begins with."""
    return fold(1, plan.data.folds) if plan.data.folded else FIRST


@dataclass
class RunFolder:
    """plan.toml; log, checkpoint and samples of each stage; model.rv in the end.

    What the run starts from, if anything, is in init.rv (a model) or init.safetensors (vectors of words).
    Log and checkpoint of a second training are in the folder again/, those of folds in fold-1/ and so on.
    """

    path: Path

    def begin(self, plan: Plan, init: Model | Embeddings | None) -> None:
        """Makes the folder; the plan comes last, so that where it is, all is. Raises RunError if it holds another run,
        or cannot be."""
        self.check_free()
        self._check_ours(plan)
        with self._writing():
            make_folder(self.path)
            if init is not None:
                init.save(self.path / (WORDS if isinstance(init, Embeddings) else INIT))
        self.write(plan)

    def check_free(self) -> None:
        """Raises RunError if it holds a run that has learnt something, or is no folder."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is no folder, so no run can be kept there")
        if self.begun() or (self.path / MODEL).exists():
            raise RunError(
                f"{self.path} holds a run already: go on with it by rv.resume (ranvier resume "
                f"{quote(str(self.path))}), or keep this one in another folder"
            )

    def begun(self) -> bool:
        """Whether a run here has got as far as a checkpoint."""
        return any(self.has_checkpoint(stage) for stage in (FIRST, fold(1, 1)))

    def write(self, plan: Plan) -> None:
        """Keeps the plan as it stands, atomically. Raises RunError if it cannot be written."""
        with self._writing(), whole_file(self.path / PLAN) as file:
            file.write(plan.to_toml().encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"no run can be kept in {self.path}: {error.strerror}; name another folder") from None

    def clear(self, plan: Plan) -> None:
        """Takes away what `begin` wrote, for the run has failed, if that was before its first checkpoint.

        What cannot be taken away stays, for `begin` of the same plan: why the run failed is what has to be told.
        """
        with suppress(OSError):
            if not self.begun():
                for file in self._files(plan):
                    file.unlink(missing_ok=True)

    def _check_ours(self, plan: Plan) -> None:
        """Clears what a run of this very plan left that was killed before its first step. Raises RunError for more."""
        found = [file for file in self._files(plan) if file.exists()]
        kept = self.path / PLAN
        if found and (kept not in found or kept.read_bytes() != plan.to_toml().encode()):
            names = ", ".join(str(file.relative_to(self.path)) for file in found)
            raise RunError(
                f"{self.path} holds {names}, which would be lost: keep the run in another folder, or if that is a run "
                "that was killed as it began, start it by rv.resume (ranvier resume)"
            )
        for file in found:
            file.unlink()

    def _files(self, plan: Plan) -> list[Path]:
        """What a run of the plan has written before its first checkpoint."""
        return [self.path / PLAN, self.path / INIT, self.path / WORDS, self.stage(first(plan)) / LOG]

    def start(self) -> Model | Embeddings | None:
        """What the run here started from, if anything. Raises FileError if it is damaged."""
        if (self.path / WORDS).exists():
            return Embeddings.load(self.path / WORDS)
        init = self.path / INIT
        return load(init, device="cpu") if init.exists() else None

    def resume(self, plan: Plan, *, inexact: bool) -> None:
        """Raises RunError if there is no run to go on with, or of another plan.

        Whether it trains again on all rows was settled when it began, and is the given plan's, too, from now on.
        """
        if not self.begun() and not (self.path / PLAN).exists():
            raise RunError(f"there is no run to resume in {self.path}: it holds neither a plan nor a checkpoint")
        began = self.plan()
        plan.train.refit = began.train.refit
        before, now = began.leaves(), plan.leaves()
        differs = [place for place in {**before, **now} if before.get(place) != now.get(place)]
        if differs and not inexact:
            named = [f"{place} = {before.get(place)!r}, now {now.get(place)!r}" for place in differs[:NAMED]]
            more = f", and {len(differs) - NAMED} more" if len(differs) > NAMED else ""
            raise RunError(
                f"the run in {self.path} was started with {'; '.join(named)}{more}; go on with the plan there, or "
                "start anew in another folder"
            )

    def plan(self) -> Plan:
        """The plan that the run began with. Raises FileError."""
        path = self.path / PLAN
        try:
            return Plan.from_toml(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, PlanError) as error:
            raise FileError(f"{path} is damaged, so that the run cannot go on: {error}") from None

    def stage(self, stage: Stage) -> Path:
        """Where a stage's log and checkpoint are."""
        return self.path / stage.name

    def checkpoint(self, stage: Stage) -> Path:
        """A stage's checkpoint."""
        return self.stage(stage) / checkpoint.NAME

    def ended(self) -> bool:
        """Whether the run here has come to a model, if of what was trained until Ctrl-C or a callback stopped it."""
        return (self.path / MODEL).exists()

    def drop(self, stage: Stage) -> None:
        """Takes a stage's checkpoints and log away, so that it begins anew. Raises OSError."""
        path = self.checkpoint(stage)
        for file in (path, checkpoint.older(path), self.stage(stage) / LOG):
            file.unlink(missing_ok=True)

    def has_checkpoint(self, stage: Stage) -> bool:
        """Whether a stage has got as far as a checkpoint."""
        return checkpoint.exists(self.checkpoint(stage))


def digest(*values: Any) -> str:
    """Sixteen letters that differ where the values do: arrays, dataclasses and JSON values."""
    total = hashlib.blake2b(digest_size=8)
    for value in values:
        _feed(total, value)
    return total.hexdigest()


def _feed(total: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        total.update(f"{value.dtype}{value.shape}".encode())
        whole = np.ascontiguousarray(value).view(np.uint8).reshape(-1) if value.size else np.zeros(0, np.uint8)
        for start in range(0, len(whole), HASHED):
            total.update(whole[start : start + HASHED].data)
            let_go(value)
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            if part.compare:  # which what is told of an encoded column is not
                _feed(total, getattr(value, part.name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            total.update(f"{key}:".encode())
            _feed(total, inner)
    elif isinstance(value, list | tuple):
        total.update(b"[")
        for inner in value:
            _feed(total, inner)
    else:
        total.update(f"{value!r};".encode())
