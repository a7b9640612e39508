"""Columns that have learnt and the network on them: rows in, what the heads say out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.columns.span import cut, widened
from ranvier.columns.text import Text
from ranvier.core.column import Column
from ranvier.core.device import memory_told, threads
from ranvier.core.errors import PlanError
from ranvier.core.memory import kept_memory
from ranvier.core.plan import Plan
from ranvier.core.protocols import Batch, Features, Head
from ranvier.data.pieces import in_chunks
from ranvier.heads.text import TextHead
from ranvier.model.layout import Layout
from ranvier.model.placed import picture_sizes
from ranvier.nets.characters import Characters
from ranvier.tasks.build import placed
from ranvier.tasks.columns import ColumnsTask

Answer = dict[str, np.ndarray]  # what a head says of some rows: {name: (rows, ...)}
Answers = dict[str, Answer]  # {target: answer}
CHUNK = 8_192  # rows that are encoded at a time when predicting
BATCH = 512  # rows that are computed at a time
PIXELS = 1 << 20  # of predicted pictures and masks at a time: each pixel has a score of each class
ALONE = "the model reads no column: what it writes has nothing to do with the rows; generate goes on from a text"
WRITTEN = 64  # texts that are written at a time, or windows that are read: each token has scores
FEW = 16  # rows computed in one thread, for waiting for others would take longer than the work


class Network:
    """One network of a model, with the columns that have learnt from the same rows as it.

    plan: resolved. columns: by name. task: the network itself, which is put into eval mode.
    """

    def __init__(self, plan: Plan, columns: Mapping[str, Column], task: ColumnsTask) -> None:
        self.plan, self.columns, self.task = plan, dict(columns), task.eval()
        self.layout = Layout(plan, columns)
        self.variants = self.layout.variants() if task.averages else {}
        sizes = [self.layout.specs[name].shape[:2] for name in placed(plan, self.layout.specs)]
        pixels = max((int(size[0] or 1) * int(size[1] or 1) for size in sizes), default=1)
        self.rows = min(BATCH, max(1, PIXELS // pixels))
        for name, head in zip(plan.targets, task.heads, strict=True):
            column = self.columns[name]
            if isinstance(head, TextHead) and isinstance(column, Text):
                head.characters = Characters(column.bytes()).to(self.device)
        self.writes = any(self.layout.specs[name].kind == "tokens" for name in plan.targets)
        self.asks = any(
            isinstance(head, Head) and type(head).judged is not Head.judged for head in task.heads
        )  # of what the truth is

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.task.parameters()).device

    @property
    def parameters(self) -> int:
        """How many numbers the network has learnt."""
        return sum(p.numel() for p in self.task.parameters())

    def answers(self, frame: pl.DataFrame, notes: list[str], *, batch: int = BATCH, **how: Any) -> Answers:
        """What the heads say of the frame's rows, in their order; notes tell what was repaired. Raises DataError.

        how: what the heads are asked, such as ways to write texts.

        Answers within a text have that text beside their places, as "text". Raises PlanError if the network was only
        pretrained: of the rows nothing is hidden, and there are no other views.
        """
        if self.layout.hidden or self.layout.pairs:
            vectors = "embed gives its vectors, and " if self.layout.pairs else ""
            raise PlanError(
                "this model is pretrained, and tells nothing of a row yet: it is there to start another from, as in "
                f"rv.fit(rows, target=..., init=model); {vectors}evaluate tells how well it learnt"
            )
        if not self.plan.inputs and any(target.head["name"] == "text" for target in self.plan.targets.values()):
            notes.append(ALONE)
        drawn = any(isinstance(head, Head) and head.draws for head in self.task.heads)
        if drawn:  # the same rows at each call
            how = {"generator": torch.Generator().manual_seed(0)} | how
        return self._cut(frame, self._run(frame, notes, batch, lambda b: self.task.predict(b, **how)))

    def known(self, frame: pl.DataFrame, notes: list[str]) -> tuple[Answers, np.ndarray]:
        """As `answers`, and (N,) which of the rows have any input: of the others all say the same."""
        said = self._run(frame, notes, BATCH, lambda b: self.task.predict(b) | {"": {"there": _there(b)}})
        there = said.pop("")["there"] > 0
        return self._cut(frame, said), there

    def judged(self, frame: pl.DataFrame, notes: list[str], *, batch: int = BATCH, **how: Any) -> Answers:
        """What figures of the frame's rows are made of: as `answers`, and how far the true texts surprise."""
        if not self.asks:
            return self.answers(frame, notes, batch=batch, **how)
        if self.layout.window:
            return self._surprise(frame, notes)
        return self._cut(frame, self._run(frame, notes, batch, lambda b: self.task.judged(b, **how), targets=True))

    def embed(self, frame: pl.DataFrame, notes: list[str], *, batch: int = BATCH) -> np.ndarray:
        """(N, D) float32: the vector before the heads, of each of the frame's rows; otherwise as `answers`."""
        encodes = self.task.encoding is not None
        said = self._run(frame, notes, batch, lambda b: {"row": {"vector": self.task.embed(b)}}, targets=encodes)
        return said["row"]["vector"]

    def drawn(
        self, frame: pl.DataFrame, notes: list[str], begun: Sequence[np.ndarray] = (), **how: Any
    ) -> Iterator[Answers]:
        """As `answers`, a batch of the frame's rows at a time, with what decides how it is drawn.

        begun: what `columns.row.Row.begun` gives of the frame's rows, of which the rest is drawn.
        """
        table = self.layout.encode(frame, notes, targets=False)
        table.lengths = None  # so that rows come in their order
        source, _ = self.layout.plain_source(table, self.device, BATCH, even=False)  # the first rows for any number
        for step in range(source.steps or 0):
            if begun:
                how["begun"] = [torch.from_numpy(part[step * BATCH : (step + 1) * BATCH]) for part in begun]
            with torch.inference_mode(), self._precision(), threads(1 if table.size <= FEW else 0):
                said = _mean([self.task.predict(batch, **how) for batch in self._seen(source.batch(step))])
            yield said

    def decoded(self, code: np.ndarray, ends: Sequence[pl.DataFrame] = ()) -> Answers:
        """What the heads say of codes (N, K).

        ends: frames of one row each, of which a network that needs inputs beside its codes takes them: of a single one
        for all codes, or of the first for the first code and of the last for the last, with equal steps between.
        """
        tables = [] if self.task.fuse.narrows else [self.layout.encode(frame, [], targets=False) for frame in ends]
        given = [self.layout.plain_source(table, self.device, 1)[0].batch(0) for table in tables]
        codes = torch.from_numpy(code).to(self.device)
        way = torch.linspace(0, 1, len(codes), device=self.device)
        with torch.inference_mode(), self._precision():
            pieces = zip(codes.split(BATCH), way.split(BATCH), strict=True)
            return joined([_mean([self.task.decode(some, given, share)]) for some, share in pieces])

    def strange(self, frame: pl.DataFrame, notes: list[str]) -> np.ndarray:
        """(N,) how strange the targets of the frame's rows are to the network."""
        return self._run(frame, notes, BATCH, lambda b: {"row": {"strange": self.task.strange(b)}}, targets=True)[
            "row"
        ]["strange"]

    def made_of(self, frame: pl.DataFrame, notes: list[str], make: Callable[[Features], dict[str, Tensor]]) -> Answer:
        """What is made of the features of the frame's rows, some at a time; in the rows' order, as `answers`."""
        return self.each_of(frame, notes, lambda f: {"row": make(f)})["row"]

    def made_of_known(
        self, frame: pl.DataFrame, notes: list[str], make: Callable[[Features], dict[str, Tensor]]
    ) -> tuple[Answer, np.ndarray]:
        """As `made_of`, and (N,) which of the rows have any input."""
        said = self._run(frame, notes, BATCH, lambda b: {"row": make(self.task.features(b)), "": {"there": _there(b)}})
        return said["row"], said[""]["there"] > 0

    def each_of(
        self,
        frame: pl.DataFrame,
        notes: list[str],
        make: Callable[[Features], dict[str, dict[str, Tensor]]],
        *,
        batch: int = BATCH,
    ) -> Answers:
        """As `made_of`, of several things by name."""
        return self._run(frame, notes, batch, lambda b: make(self.task.features(b)))

    def _run(
        self,
        frame: pl.DataFrame,
        notes: list[str],
        batch: int,
        call: Callable[[Batch], dict[str, dict[str, Tensor]]],
        *,
        targets: bool = False,
    ) -> Answers:
        table = self.layout.encode(frame, notes, targets=targets)
        batch = min(batch, WRITTEN if self.writes else self.rows)
        source, come = self.layout.plain_source(table, self.device, batch)
        back = np.argsort(come)
        answers = []
        keeping = kept_memory() if self.writes else nullcontext()
        with torch.inference_mode(), self._precision(), threads(1 if table.size <= FEW else 0), keeping:
            for step in range(source.steps or 0):
                seen = [call(batch) for batch in self._seen(source.batch(step))]
                answers.append(_mean(seen))
        return {n: {k: a[back] for k, a in named.items()} for n, named in joined(answers).items()}

    def _cut(self, frame: pl.DataFrame, answers: Answers) -> Answers:
        """With the texts of answers that stand within one of the frame's, and sizes of pictures that have places."""
        for name, answer in answers.items():
            if self.layout.specs[name].kind == "mask":
                answer["size"] = picture_sizes(self.plan, frame, name)
            elif self.layout.specs[name].kind == "boxes":
                sizes = picture_sizes(self.plan, frame, name)
                answer["there"] = answer["there"] & ~np.isnan(sizes[:, :1])
                answer["size"] = sizes
            if self.layout.specs[name].kind == "span":
                passages = frame[self.plan.targets[name].head["of"]]
                start, end = widened(passages, answer["start"], answer["end"])
                answer |= {"start": start, "end": end, "text": cut(passages, start, end)}
        return answers

    def _surprise(self, frame: pl.DataFrame, notes: list[str]) -> Answers:
        """{text: {"nats", "count": (N,)}} of texts that are read end to end."""
        table = self.layout.encode(frame, notes)
        source = self.layout.packed(table, self.device, WRITTEN, shuffle=False)
        nats, count = np.zeros(table.size), np.zeros(table.size)
        (head,) = self.task.heads
        with torch.inference_mode(), self._precision():
            for step in range(source.steps or 0):
                each, asked = head.surprise(source.batch(step).targets[source.name])  # type: ignore[operator]
                there = asked.cpu().numpy()
                rows = source.rows[source.places(step)[0][:, 1:][there]]
                np.add.at(nats, rows, each.double().cpu().numpy()[there])
                np.add.at(count, rows, 1.0)
        return {source.name: {"nats": nats, "count": count}}

    def _seen(self, batch: Batch) -> list[Batch]:
        """The batch, and with test-time augmentation the others that its answer is averaged over."""
        if not self.variants:
            return [batch]
        ways = {name: variants(batch.inputs[name]) for name, variants in self.variants.items()}
        most = max(map(len, ways.values()))
        return [replace(batch, inputs=batch.inputs | {n: w[k % len(w)] for n, w in ways.items()}) for k in range(most)]

    @contextmanager
    def _precision(self) -> Iterator[None]:
        fast = self.plan.train.precision == "bf16"
        out_of_memory = memory_told("while rows were predicted", "fewer rows at a time (batch), or device = 'cpu'")
        with out_of_memory, torch.autocast(self.device.type, torch.bfloat16) if fast else nullcontext():
            yield


def _there(batch: Batch) -> Tensor:
    """(B,) which rows of a batch have an input that is not missing."""
    found = torch.zeros(batch.size, dtype=torch.bool)
    for value in batch.inputs.values():
        if value.observed is None:
            return torch.ones_like(found)
        found |= value.observed.cpu().flatten(1).any(1) if value.observed.ndim > 1 else value.observed.cpu()
    return found


def _mean(answers: list[dict[str, dict[str, Tensor]]]) -> Answers:
    """The mean of several answers to the same rows; a single one as it is."""
    first = answers[0]
    return {n: {k: _mean_of([a[n][k] for a in answers]).cpu().numpy() for k in named} for n, named in first.items()}


def _mean_of(said: list[Tensor]) -> Tensor:
    only = said[0].float() if said[0].is_floating_point() else said[0]
    return only if len(said) == 1 else torch.stack([one.float() for one in said]).mean(0)


def joined(answers: list[Answers]) -> Answers:
    """The answers on some rows and on those after them as one."""
    if len(answers) == 1:
        return answers[0]
    return {n: {k: _stacked([a[n][k] for a in answers]) for k in named} for n, named in answers[0].items()}


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Rows one after another, where what is said of a row may be of any length; what is missing is 0 (False)."""
    if len({part.shape[1:] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        parts = [np.pad(part, [(0, 0), (0, longest - part.shape[1])] + [(0, 0)] * (part.ndim - 2)) for part in parts]
    return np.concatenate(parts)


def chunks(frames: pl.DataFrame | Iterator[pl.DataFrame], size: int = 0) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of a frame, or of several, so many at a time, 0 = CHUNK, each part with the number of its first row."""
    return in_chunks(iter([frames]) if isinstance(frames, pl.DataFrame) else frames, size or CHUNK)
