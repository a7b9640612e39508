"""What `fit` gives: columns, network, plan and history, as one thing to use."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.columns.set import Set, joint
from ranvier.core.column import Column
from ranvier.core.device import pick_device, threads
from ranvier.core.errors import DataError, MissingExtra, RanvierWarning, did_you_mean
from ranvier.core.plan import Plan
from ranvier.core.protocols import Batch
from ranvier.data.folder import IMAGE
from ranvier.data.read import read
from ranvier.data.table import Table
from ranvier.evaluate.score import Report
from ranvier.model import file
from ranvier.model.judge import judge
from ranvier.model.layout import Layout
from ranvier.model.write import writer
from ranvier.tasks.columns import ColumnsTask

Answers = dict[str, dict[str, np.ndarray]]
FEW = 16  # rows computed in one thread, for waiting for others would take longer than the work
CHUNK = 8_192  # rows that are encoded at a time when predicting
MOST = 20  # notes in a warning


class Model:
    """A trained model. Predicts, evaluates, embeds; saves itself to one file.

    plan: what was done, resolved. columns: by name, having learnt. task: the network. history: the records logged
    while training. report: figures on the validation rows (used for selection), None if there were none. test_report:
    figures on the test rows given to `fit`, likewise. notes: what was repaired in the data, and what else the user
    should know.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Mapping[str, Column],
        task: ColumnsTask,
        *,
        history: list[dict[str, float]] | None = None,
        report: Report | None = None,
        test_report: Report | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.plan, self.columns, self.task = plan, dict(columns), task.eval()
        self.layout = Layout(plan, columns)
        self.history, self.notes = history or [], notes or []
        self.report, self.test_report = report, test_report
        self.interrupted = False  # whether Ctrl-C ended the training that has just made it
        sets = {name: column for name, column in self.columns.items() if isinstance(column, Set)}
        self.joints = {name: joint(column.labels) for name, column in sets.items()}  # see `write.flat`

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.task.parameters()).device

    def predict(
        self, data: Any, *, keep: str | Sequence[str] = (), to: str | Path | None = None, batch: int = 512
    ) -> Any:
        """The target columns for rows of any source that `fit` takes; targets need not be there.

        A category gives NAME, NAME_confidence and NAME_p_<class>; a number NAME; a set NAME and NAME_p_<label>. Gives a
        pandas frame with the same index for a pandas frame, else a polars frame; with `to`, writes to that file (.csv,
        .tsv, .jsonl, .parquet, .arrow), a chunk of rows at a time, and gives its path; CSV and TSV join the labels of a
        set by "|" (or ";" or "," where a label holds it; else as JSON). keep: columns of the data to stand before the
        predictions, such as an id; without it, of a folder of images, the file. What was repaired or not recognised in
        the rows is told in one RanvierWarning. Raises DataError.
        """
        write = None if to is None else writer(Path(to), self.joints)
        table = self._read(data)
        kept = self._kept(table.frame, keep, data)
        notes: list[str] = []
        answers = self.answers(table, batch=batch, notes=notes)
        starts = range(0, table.frame.height, CHUNK)
        frames = (
            pl.concat([table.frame[start : start + CHUNK].select(kept), self._decode(answer)], how="horizontal")
            for start, answer in zip(starts, answers, strict=True)
        )
        result: Any = pl.concat(list(frames), how="vertical") if write is None else write(frames)
        _tell(notes)
        return _to_pandas(result, data.index) if to is None and _is_pandas(data) else result

    def evaluate(self, data: Any, *, batch: int = 512, show: bool = True) -> dict[str, float]:
        """Figures on rows with known targets, printed with notes on the rows (unless show=False) and as a dict."""
        report = self.judge(data, batch=batch)
        if show:
            print(report)
        return report.metrics

    def judge(self, data: Any, *, batch: int = 512) -> Report:
        """The whole report of `evaluate`: by target, with the confusion matrix, and notes. Raises DataError."""
        table = self._read(data)
        for name in self.plan.targets:
            if name not in table.frame.columns:
                raise DataError(f"column {name!r} is needed to evaluate, but the data has only {table.frame.columns}")
        return self.judge_as("test", table.frame, batch=batch, notes=table.notes)

    def judge_as(
        self,
        on: Literal["test", "validation", "training"],
        frame: pl.DataFrame,
        *,
        batch: int,
        notes: Sequence[str] = (),
    ) -> Report:
        """The report, with its rows called what they are. notes: what is known of them already."""
        told = list(notes)
        answers = _joined(list(self.answers(frame, batch=batch, notes=told)))
        report = judge(self.plan, self.columns, frame, answers, on, told)
        return replace(report, notes=[]) if on == "validation" else report  # `fit` tells those itself

    def score_test(self, rows: pl.DataFrame | None, *, show: bool) -> None:
        """Keeps the figures on the test rows as `test_report`; if they cannot be scored, a note says why."""
        if rows is None:
            return
        try:
            self.test_report = self.judge(rows)
        except DataError as error:
            self.notes.append(f"the test rows are not scored: {error}")
            return
        if show:
            figures = ", ".join(f"{name} {figure:.4g}" for name, figure in self.test_report.metrics.items())
            print(f"test rows: {figures}", file=sys.stderr)

    def embed(self, data: Any, *, batch: int = 512) -> np.ndarray:
        """(N, D) float32: the vector that the network makes of each row, before the heads; warns as `predict` does."""
        notes: list[str] = []
        chunks = self._run(data, batch, lambda b: {"row": {"vector": self.task.embed(b)}}, notes)
        vectors = np.concatenate([chunk["row"]["vector"] for chunk in chunks])
        _tell(notes)
        return vectors

    def answers(self, data: Any, *, batch: int = 512, notes: list[str] | None = None) -> Iterator[Answers]:
        """What the heads say, before decoding, a chunk of rows at a time: {target: {name: (rows, ...)}}.

        notes: a list that gets what was repaired or not recognised in the rows.
        """
        return self._run(data, batch, self.task.predict, [] if notes is None else notes)

    def save(self, path: str | Path) -> Path:
        """Writes the model to one file (by custom `.rv`) that holds no code. Raises FileError."""
        return file.save(self, Path(path))

    def to(self, device: str | torch.device) -> Model:
        """Moves the network to a device; gives the model itself."""
        self.task.to(device)
        return self

    def __repr__(self) -> str:
        parameters = sum(p.numel() for p in self.task.parameters())
        inputs, targets = ", ".join(self.plan.inputs) or "nothing", ", ".join(self.plan.targets)
        return f"Model({inputs} -> {targets}; {parameters:,} parameters)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (file.to_bytes(self),)

    # ---- small parts

    def _read(self, data: Any) -> Table:
        """The data as they were read in training: what was text then is text now."""
        if _is_pandas(data) and (
            data.index.dtype.kind not in "iu" or any(name is not None for name in data.index.names)
        ):
            data = data.reset_index(drop=True)  # predictions keep it, so that nothing needs to be said of it
        return read(data, as_text=[name for name, column in self.columns.items() if column.raw == "String"])

    def _kept(self, frame: pl.DataFrame, keep: str | Sequence[str], data: Any) -> list[str]:
        """The columns to stand before the predictions. Raises DataError for one that is not there, or is predicted."""
        names = [keep] if isinstance(keep, str) else list(dict.fromkeys(keep))
        if not names and isinstance(data, str | Path) and Path(data).expanduser().is_dir():
            names = [IMAGE]
        for name in names:
            if name not in frame.columns:
                raise DataError(f"keep: column {name!r} is not in the data; {did_you_mean(name, frame.columns)}")
            if any(name == n or name.startswith((f"{n}_p_", f"{n}_confidence")) for n in self.plan.targets):
                raise DataError(f"keep: column {name!r} is predicted, and two cannot have one name; rename it first")
            if frame[name].dtype.is_nested() or frame[name].dtype == pl.Binary:
                raise DataError(
                    f"keep: column {name!r} holds {frame[name].dtype}; only plain values can be carried over"
                )
        return names

    def _run(
        self, data: Any, batch: int, call: Callable[[Batch], dict[str, dict[str, Tensor]]], notes: list[str]
    ) -> Iterator[Answers]:
        """The network's answers chunk by chunk, rows in the order of the data; notes grow on the way."""
        rows = data if isinstance(data, Table) else self._read(data)
        frame = rows.frame
        notes += rows.notes
        for start in range(0, frame.height, CHUNK):
            told: list[str] = []
            table = self.layout.encode(frame[start : start + CHUNK], told, targets=False)
            notes += told if start == 0 else [f"rows from {start:,}, counted from there: {note}" for note in told]
            source, come = self.layout.plain_source(table, self.device, batch)
            back = np.argsort(come)
            answers = []
            with torch.inference_mode(), self._precision(), threads(1 if table.size <= FEW else 0):
                for step in range(source.steps or 0):
                    answer = call(source.batch(step))
                    answers.append(
                        {n: {k: t.float().cpu().numpy() for k, t in named.items()} for n, named in answer.items()}
                    )
            joined = _joined(answers)
            yield {n: {k: a[back] for k, a in named.items()} for n, named in joined.items()}

    def _precision(self) -> Any:
        if self.plan.train.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _decode(self, answers: Answers) -> pl.DataFrame:
        frames = [self.columns[name].decode(answer) for name, answer in answers.items()]
        return pl.concat(frames, how="horizontal")


def load(path: str | Path, *, device: str = "auto") -> Model:
    """The model that `Model.save` wrote. Raises FileError for a damaged or foreign file."""
    return Model(**file.read(Path(path))).to(pick_device(device))


def _from_bytes(content: bytes) -> Model:
    return Model(**file.parse(content, "the pickled model"))


def _tell(notes: list[str]) -> None:
    """Warns the caller of the caller, once, one line a note."""
    lines = list(dict.fromkeys(notes))
    if len(lines) > MOST:
        lines = [*lines[:MOST], f"and {len(lines) - MOST:,} more such notes"]
    if lines:
        warnings.warn("\n".join(lines), RanvierWarning, stacklevel=3)


def _joined(answers: list[Answers]) -> Answers:
    if len(answers) == 1:
        return answers[0]
    return {n: {k: np.concatenate([a[n][k] for a in answers]) for k in named} for n, named in answers[0].items()}


def _to_pandas(frame: pl.DataFrame, index: Any) -> Any:
    """Raises MissingExtra without pyarrow."""
    try:
        made = frame.to_pandas()
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "pandas") from None
    made.index = index
    return made


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"
