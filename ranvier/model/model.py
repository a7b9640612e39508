"""What `fit` gives: columns, network, plan and history, as one thing to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.core.column import Column
from ranvier.core.device import pick_device
from ranvier.core.errors import DataError
from ranvier.core.plan import Plan
from ranvier.core.protocols import Batch
from ranvier.data.read import read
from ranvier.evaluate.score import Report
from ranvier.model import file
from ranvier.model.judge import judge
from ranvier.model.layout import Layout
from ranvier.model.write import writer
from ranvier.tasks.columns import ColumnsTask

Answers = dict[str, dict[str, np.ndarray]]
FEW = 16  # rows that are computed in one thread
CHUNK = 8_192  # rows that are encoded at a time when predicting


class Model:
    """A trained model. Predicts, evaluates, embeds; saves itself to one file.

    plan: what was done, resolved. columns: by name, having learnt. task: the network. history: the records logged
    while training. report: figures on the validation rows (used for selection), None if there were none.
    notes: what was repaired in the data, and what else the user should know.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Mapping[str, Column],
        task: ColumnsTask,
        *,
        history: list[dict[str, float]] | None = None,
        report: Report | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.plan, self.columns, self.task = plan, dict(columns), task.eval()
        self.layout = Layout(plan, columns)
        self.history, self.report, self.notes = history or [], report, notes or []

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.task.parameters()).device

    def predict(self, data: Any, *, to: str | Path | None = None, batch: int = 512) -> Any:
        """The target columns for rows of any source that `fit` takes; targets need not be there.

        A category gives NAME, NAME_confidence and NAME_p_<class>; a number NAME; a set NAME and NAME_p_<label>. Gives a
        pandas frame for a pandas frame, else a polars frame; with `to`, writes to that file (.csv, .tsv, .jsonl,
        .parquet, .arrow), a chunk of rows at a time, and gives its path. Raises DataError.
        """
        frames = (self._decode(answer) for answer in self.answers(data, batch=batch))
        if to is not None:
            return writer(Path(to))(frames)
        result = pl.concat(list(frames), how="vertical")
        return result.to_pandas() if _is_pandas(data) else result

    def evaluate(self, data: Any, *, batch: int = 512, show: bool = True) -> dict[str, float]:
        """Figures on rows with known targets, printed (unless show=False) and as a dict."""
        report = self.judge(data, batch=batch)
        if show:
            print(report)
        return report.metrics

    def judge(self, data: Any, *, batch: int = 512) -> Report:
        """The whole report of `evaluate`: by target, with the confusion matrix. Raises DataError."""
        frame = self._frame(data)
        for name in self.plan.targets:
            if name not in frame.columns:
                raise DataError(f"column {name!r} is needed to evaluate, but the data has only {frame.columns}")
        return self.judge_as("test", frame, batch=batch)

    def judge_as(self, on: Literal["test", "validation", "training"], frame: pl.DataFrame, *, batch: int) -> Report:
        """The report, with its rows called what they are."""
        return judge(self.plan, self.columns, frame, _joined(list(self.answers(frame, batch=batch))), on)

    def embed(self, data: Any, *, batch: int = 512) -> np.ndarray:
        """(N, D) float32: the vector that the network makes of each row, before the heads."""
        chunks = self._run(data, batch, lambda b: {"row": {"vector": self.task.embed(b)}})
        return np.concatenate([chunk["row"]["vector"] for chunk in chunks])

    def answers(self, data: Any, *, batch: int = 512) -> Iterator[Answers]:
        """What the heads say, before decoding, a chunk of rows at a time: {target: {name: (rows, ...)}}."""
        return self._run(data, batch, self.task.predict)

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

    def _frame(self, data: Any) -> pl.DataFrame:
        if isinstance(data, pl.DataFrame):
            if not data.height:
                raise DataError("the polars frame has no rows; at least one is needed")
            return data
        strings = [name for name, column in self.plan.columns.items() if column.type in ("category", "text", "set")]
        return read(data, as_text=strings).frame

    def _run(self, data: Any, batch: int, call: Callable[[Batch], dict[str, dict[str, Tensor]]]) -> Iterator[Answers]:
        """The network's answers chunk by chunk, rows in the order of the data."""
        frame = self._frame(data)
        for start in range(0, frame.height, CHUNK):
            table = self.layout.encode(frame[start : start + CHUNK], [], targets=False)
            source, come = self.layout.plain_source(table, self.device, batch)
            back = np.argsort(come)
            answers = []
            with torch.inference_mode(), self._precision(), _one_thread() if table.size <= FEW else nullcontext():
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


@contextmanager
def _one_thread() -> Iterator[None]:
    """Inside, torch computes in this thread alone: for a few rows, waiting for others takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load(path: str | Path, *, device: str = "auto") -> Model:
    """The model that `Model.save` wrote. Raises FileError for a damaged or foreign file."""
    return Model(**file.read(Path(path))).to(pick_device(device))


def _from_bytes(content: bytes) -> Model:
    return Model(**file.parse(content, "the pickled model"))


def _joined(answers: list[Answers]) -> Answers:
    if len(answers) == 1:
        return answers[0]
    return {n: {k: np.concatenate([a[n][k] for a in answers]) for k in named} for n, named in answers[0].items()}


def _is_pandas(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas"
