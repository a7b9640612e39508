"""What `fit` gives: networks with their columns, plan and history, as one thing to use."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.columns.set import Set, joint
from ranvier.core.device import pick_device
from ranvier.core.errors import DataError, MissingExtra, PlanError, RanvierWarning, did_you_mean
from ranvier.core.plan import Plan
from ranvier.data.folder import IMAGE
from ranvier.data.read import read
from ranvier.data.table import Table
from ranvier.evaluate.score import Report
from ranvier.model import file
from ranvier.model.generate import Pen
from ranvier.model.held import Predictions, at_temperatures
from ranvier.model.judge import Judge
from ranvier.model.layout import align, weights
from ranvier.model.network import BATCH, Answers, Network, chunks
from ranvier.model.shared import mean, shared_columns, to_shared
from ranvier.model.write import writer
from ranvier.tasks.columns import ColumnsTask

MOST = 20  # notes in a warning


class Model:
    """A trained model. Predicts, evaluates, embeds; saves itself to one file.

    plan: what was done, resolved. networks: one, or with folds several, whose answers are averaged. columns: by name,
    having learnt; targets know the classes of all networks. history: the records logged while training; with folds
    each says which. report: figures on the rows held out from training, None if there were none. fold_figures: each
    fold's own. test_report: figures on the test rows given to `fit`. temperatures: of the categories whose
    probabilities are scaled (`ops.calibration`). held_out: what `out_of_fold` decodes. notes: what was repaired in
    the data, and what else the user should know.
    """

    def __init__(
        self,
        plan: Plan,
        networks: Sequence[Network],
        *,
        history: list[dict[str, float]] | None = None,
        report: Report | None = None,
        fold_figures: list[dict[str, float]] | None = None,
        test_report: Report | None = None,
        temperatures: dict[str, float] | None = None,
        held_out: Predictions | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.plan, self.networks = plan, list(networks)
        self.columns = shared_columns(plan, [network.columns for network in networks])
        self.history, self.notes = history or [], notes or []
        self.report, self.test_report, self.fold_figures = report, test_report, fold_figures or []
        self.temperatures, self.held_out = temperatures or {}, held_out
        self.interrupted = False  # whether Ctrl-C ended the training that has just made it
        sets = {name: column for name, column in self.columns.items() if isinstance(column, Set)}
        self.joints = {name: joint(column.labels) for name, column in sets.items()}  # see `write.flat`

    @property
    def task(self) -> ColumnsTask:
        """The network of a model that has one. Raises PlanError for a model of several: see `networks`."""
        if len(self.networks) > 1:
            raise PlanError(f"this model has {len(self.networks)} networks; each has its own in model.networks[0].task")
        return self.networks[0].task

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.networks[0].device

    @property
    def parameters(self) -> int:
        """How many numbers the networks have learnt."""
        return sum(network.parameters for network in self.networks)

    @property
    def out_of_fold(self) -> pl.DataFrame | None:
        """Predictions for the rows given to `fit`, in their order, each by the network that never saw it; or None.

        Columns as of `predict`, for another model to learn from. None without folds. Rows of folds that Ctrl-C left out
        are null.
        """
        if self.held_out is None:
            return None
        known = self._decode(self._tempered(self.held_out.answers))
        places = np.full(self.held_out.size, -1)
        places[self.held_out.rows] = np.arange(len(self.held_out.rows))
        return known.select(pl.all().gather(pl.Series(places).replace(-1, None)))

    def predict(
        self, data: Any, *, keep: str | Sequence[str] = (), to: str | Path | None = None, batch: int = BATCH
    ) -> Any:
        """The target columns for rows of any source that `fit` takes; targets need not be there.

        A category gives NAME, NAME_confidence and NAME_p_<class>; a number NAME, and with quantiles NAME_q10 and so on;
        a set NAME and NAME_p_<label>; a vector or a text NAME; tags NAME and NAME_confidence, lists as long as the
        words'; an answer within a text NAME ("" for none), NAME_start, NAME_end, NAME_confidence. Gives a pandas frame
        with the same index for a pandas frame, else a polars frame; with `to`, writes to that file (.csv, .tsv, .jsonl,
        .parquet, .arrow), a chunk of rows at a time, and gives its path; CSV and TSV join the labels of a set by "|"
        (or ";" or "," where a label holds it; else as JSON, like vectors). keep: columns of the data to stand before
        the predictions, such as an id; without it, of a folder of images, the file. What was repaired or not recognised
        in the rows is told in one RanvierWarning. Raises DataError.
        """
        write = None if to is None else writer(Path(to), self.joints)
        table = self._read(data)
        kept = self._kept(table.frame, keep, data)
        notes: list[str] = []
        answers = self.answers(table, batch=batch, notes=notes)
        frames = (
            pl.concat([rows.select(kept), self._decode(answer)], how="horizontal")
            for (_, rows), answer in zip(chunks(table.frame), answers, strict=True)
        )
        result: Any = pl.concat(list(frames), how="vertical") if write is None else write(frames)
        _tell(notes)
        return _to_pandas(result, data.index) if to is None and _is_pandas(data) else result

    def evaluate(self, data: Any, *, batch: int = BATCH, show: bool = True) -> dict[str, float]:
        """Figures on rows with known targets, printed with notes on the rows (unless show=False) and as a dict."""
        report = self.judge(data, batch=batch)
        if show:
            print(report)
        return report.metrics

    def judge(self, data: Any, *, batch: int = BATCH) -> Report:
        """The whole report of `evaluate`: by target, with the confusion matrix, and notes. Raises DataError.

        Rows are judged a chunk at a time, and what is said of them is not kept.
        """
        table = self._read(data)
        for name in self.plan.targets:
            if name not in table.frame.columns:
                raise DataError(f"column {name!r} is needed to evaluate, but the data has only {table.frame.columns}")
        told, own = list(table.notes), list[str]()
        judge = Judge(self.plan, self.columns, weights(self.plan, table.frame, own))
        answers = self.answers(table.frame, batch=batch, notes=told, judged=True)
        for answer, (rows, notes) in zip(answers, _told(table.frame, own), strict=True):
            truths = {name: self.columns[name].encode(rows[name]) for name in self.plan.targets}
            for name, truth in truths.items():
                align(self.plan, rows, name, truth, notes)
            notes.extend(note for truth in truths.values() for note in truth.notes)
            judge.add(rows, answer, truths)
        return judge.report("test", [*told, *own])

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
            figures = ", ".join(f"{name} {figure:.4g}" for name, figure in self.test_report.headline.items())
            print(f"test rows: {figures}", file=sys.stderr)

    def embed(self, data: Any, *, batch: int = BATCH) -> np.ndarray:
        """(N, D) float32: the vector that the network makes of each row, before the heads; warns as `predict` does.

        Of several networks, whose vectors have nothing in common, those of all side by side.
        """
        notes: list[str] = []
        rows = self._read(data)
        notes += rows.notes
        vectors = [
            np.concatenate([network.embed(some, told, batch=batch) for network in self.networks], axis=1)
            for some, told in _told(rows.frame, notes)
        ]
        _tell(notes)
        return np.concatenate(vectors)

    def answers(
        self, data: Any, *, batch: int = BATCH, notes: list[str] | None = None, judged: bool = False
    ) -> Iterator[Answers]:
        """What the heads say, before decoding, a chunk of rows at a time: {target: {name: (rows, ...)}}.

        Of several networks the mean, each at the model's temperatures, as they were fitted. notes: a list that gets
        what was repaired or not recognised in the rows. judged: what figures are made of instead, which needs the
        targets.
        """
        notes = [] if notes is None else notes
        rows = data if isinstance(data, Table) else self._read(data)
        notes += rows.notes
        for some, told in _told(rows.frame, notes):
            each = []
            for network in self.networks:
                said = (network.judged if judged else network.answers)(some, told, batch=batch)
                each.append(self._tempered(to_shared(said, network.columns, self.columns)))
            yield mean(each, self.columns)

    def generate(
        self,
        prompt: Any = "",
        *,
        target: str = "",
        stream: bool = False,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        **how: Any,
    ) -> Any:
        """The text that a model writes: what follows a prompt, or of a model with inputs, what answers it.

        prompt: a text, or several; of a model with inputs also a dict of one row, or whatever `predict` takes. Gives a
        text for a text or a dict, else a list. stream: an iterator of the pieces of one text instead, as they come, so
        that it is not searched for. stop: texts before which writing ends. seed: of what is drawn, None = another each
        time. how: beam, temperature, top_k, top_p, repetition, no_repeat, longest, for those in the plan (see
        `nets.generate.Manner`); a temperature above 0 draws in the place of a search. target: which text, if there are
        several. Raises PlanError, DataError.
        """
        pen = Pen(self.networks[0], target, how, stop, seed)
        if stream:
            return pen.stream(prompt, self._read)
        notes: list[str] = []
        texts = pen.texts(prompt, self._read, notes)
        _tell(notes)
        return texts[0] if isinstance(prompt, str | Mapping) else texts

    def save(self, path: str | Path) -> Path:
        """Writes the model to one file (by custom `.rv`) that holds no code. Raises FileError."""
        return file.save(self, Path(path))

    def to(self, device: str | torch.device) -> Model:
        """Moves the networks to a device; gives the model itself."""
        for network in self.networks:
            network.task.to(device)
        return self

    def __repr__(self) -> str:
        inputs, targets = ", ".join(self.plan.inputs) or "nothing", ", ".join(self.plan.targets)
        many = f"{len(self.networks)} networks, " if len(self.networks) > 1 else ""
        return f"Model({inputs} -> {targets}; {many}{self.parameters:,} parameters)"

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

    def _tempered(self, answers: Answers) -> Answers:
        return at_temperatures(answers, self.temperatures)

    def _kept(self, frame: pl.DataFrame, keep: str | Sequence[str], data: Any) -> list[str]:
        """The columns to stand before the predictions. Raises DataError for one that is not there, or is predicted."""
        names = [keep] if isinstance(keep, str) else list(dict.fromkeys(keep))
        if not names and isinstance(data, str | Path) and Path(data).expanduser().is_dir():
            names = [IMAGE]
        for name in names:
            if name not in frame.columns:
                raise DataError(f"keep: column {name!r} is not in the data; {did_you_mean(name, frame.columns)}")
            if any(re.fullmatch(rf"{re.escape(n)}({self._endings(n)})?", name) for n in self.plan.targets):
                raise DataError(f"keep: column {name!r} is predicted, and two cannot have one name; rename it first")
            dtype = frame[name].dtype
            if dtype.is_nested() or dtype == pl.Binary:
                raise DataError(f"keep: column {name!r} holds {dtype}; only plain values can be carried over")
        return names

    def _endings(self, target: str) -> str:
        """A pattern of what names of its predictions end in."""
        return r"_confidence|_p_.*|_q[\d.]+" + ("|_start|_end" if self.plan.columns[target].type == "span" else "")

    def _decode(self, answers: Answers) -> pl.DataFrame:
        frames = [self.columns[name].decode(answer) for name, answer in answers.items()]
        return pl.concat(frames, how="horizontal")


def load(path: str | Path, *, device: str = "auto") -> Model:
    """The model that `Model.save` wrote. Raises FileError for a damaged or foreign file."""
    return Model(**file.read(Path(path))).to(pick_device(device))


def _from_bytes(content: bytes) -> Model:
    return Model(**file.parse(content, "the pickled model"))


def _told(frame: pl.DataFrame, notes: list[str]) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """The frame's rows chunk by chunk, each with a list for what is to be told of it, which `notes` gets in the end."""
    for start, rows in chunks(frame):
        told: list[str] = []
        yield rows, told
        once = list(dict.fromkeys(told))  # several networks say mostly the same
        notes += once if start == 0 else [f"rows from {start:,}, counted from there: {note}" for note in once]


def _tell(notes: list[str]) -> None:
    """Warns the caller of the caller, once, one line a note."""
    lines = list(dict.fromkeys(notes))
    if len(lines) > MOST:
        lines = [*lines[:MOST], f"and {len(lines) - MOST:,} more such notes"]
    if lines:
        warnings.warn("\n".join(lines), RanvierWarning, stacklevel=3)


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
