"""Texts written on demand: a prompt in, and text as it comes out."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ranvier.columns.text import END, PAD, START, TORN, Text
from ranvier.core.check import whole
from ranvier.core.counts import agreed, counted
from ranvier.core.elsewhere import WRITING
from ranvier.core.errors import DataError, PlanError, did_you_mean, plain_name
from ranvier.core.protocols import Features
from ranvier.data.table import Table
from ranvier.heads.text import TextHead, said
from ranvier.model.network import WRITTEN, Network
from ranvier.model.reading import check_readable
from ranvier.nets.generate import RANGES, Manner, check_ways
from ranvier.nets.runs import Runs

Read = Callable[[Any], Table]
# ways that say how tokens are drawn, each with what asks for nothing
DRAWS = {"temperature": 0, "top_k": 0, "top_p": 1, "min_p": 0}
INWARD = ("never", "length", "whole", "best")  # what the plan, the vocabulary and `n` say
WAYS = ["avoid_run", *(f.name for f in dataclasses.fields(Manner) if f.name not in INWARD)]
AVOIDED = "texts in a list, or a table or file with the target"
RUNS = {"subwords": 10, "characters": 40, "bytes": 40}  # tokens of a run to avoid


def beam_of(planned: int, how: Mapping[str, Any]) -> int:
    """How many ways are followed: as asked, else 1 where a temperature asks for a draw, else as planned."""
    asked: int = how.get("beam", 1 if how.get("temperature") not in (None, 0) else planned)
    return asked


def generator(seed: Any, device: torch.device) -> torch.Generator:
    """Random numbers by a seed. Raises PlanError for what is none."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**64:
        raise PlanError(f"seed = {seed!r}: expected a whole number of 64 bits")
    return torch.Generator(device).manual_seed(seed)


class Pen:
    """Writes the text target of a network, a piece at a time.

    read: what a table is read by. target: which text, "" = the only one. stop: texts before which writing stops. how:
    see `Model.generate`. Raises PlanError where the network writes no text, for an unknown way, and for an empty stop;
    DataError where there is no text to avoid.
    """

    def __init__(
        self,
        network: Network,
        read: Read,
        target: str,
        how: Mapping[str, Any],
        stop: str | Sequence[str],
        seed: int | None,
    ) -> None:
        self.network, self.read, self.stop = network, read, _stops(stop)
        self.notes: list[str] = []
        self.target = _text_target(network, target)
        inputs = list(network.plan.inputs)
        row = dict.fromkeys(("given", *map(plain_name, inputs)), f"in the prompt, a dict of one row, of {inputs}")
        for name in how:
            if name not in WAYS:
                raise PlanError(f"unknown {name!r}; {did_you_mean(name, WAYS, WRITING | (row if inputs else {}))}")
        self.beam = beam_of(self.head.manner.beam, how)
        check_ways(how)
        self.how = {name: value for name, value in how.items() if name not in ("avoid", "avoid_run")}
        if how.get("avoid") is not None:
            self.how["avoid"] = self._runs(how["avoid"], self._run(how.get("avoid_run")))
        elif "avoid_run" in how and "avoid" not in how:
            raise PlanError(f"avoid_run = {how['avoid_run']} is of texts to avoid; give them too")
        self.seed(seed)

    def seed(self, seed: int | None) -> None:
        """Draws by it from now on; None = anew each time. Raises PlanError for what is no seed."""
        self.generator = None if seed is None else generator(seed, self.network.device)

    @property
    def column(self) -> Text:
        """The text that is written."""
        column = self.network.columns[self.target]
        assert isinstance(column, Text)
        return column

    @property
    def head(self) -> TextHead:
        """What writes it."""
        head = dict(zip(self.network.plan.targets, self.network.task.heads, strict=True))[self.target]
        assert isinstance(head, TextHead)
        return head

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn, so that the same prompt is gone on with in more than one way."""
        return bool(self.how.get("temperature", self.head.manner.temperature))

    def texts(self, prompt: Any, n: int = 1) -> list[str]:
        """n texts for each prompt or row, one after another; `notes` grow with what was repaired in it.

        Of a search they are its n best. Raises PlanError where a search is asked to draw, or what is likeliest, and for
        more texts than are found so.
        """
        n = whole("n", n, 1)
        self.check_draws(self.beam)
        drawn = self.beam == 1 and self.draws
        if n > self.beam and not drawn:
            found = f"a search by beam = {self.beam} finds no more" if self.beam > 1 else "one is likeliest"
            raise PlanError(f"n = {n} texts of a prompt: {found}; give beam = {n}, or a temperature, which draws them")
        copies, best = (n, 1) if drawn else (1, n)
        if not self.network.plan.inputs:
            return self._continued([one for one in self._prompts(prompt) for _ in range(copies)], best)
        rows = self._rows(prompt)
        rows = rows[np.repeat(np.arange(rows.height), copies)]
        if not rows.height:
            return []
        how = {**self.how, "beam": self.beam, "best": best}
        tokens = self.network.made_of(rows, self.notes, lambda f: self.head.predict(f, generator=self.generator, **how))
        return self._cut(self._decoded(tokens))

    def stream(self, prompt: Any, n: int = 1) -> Iterator[str]:
        """One text in pieces, as they come. Raises PlanError for several, for a search, and as `texts` does."""
        if not isinstance(prompt, str | Mapping) or n != 1:
            raise PlanError("one text can be streamed at a time; give a text or a dict of one row, and n = 1")
        if self.how.get("beam", 1) > 1:
            raise PlanError(f"beam = {self.beam} searches for whole texts, which cannot be streamed")
        self.check_draws(1)
        if not self.network.plan.inputs:
            return pieces(self.continued(self._prompts(prompt)), self.stop)
        return pieces(self.answered(self.features(self._rows(prompt), self.notes)), self.stop)

    def check_draws(self, beam: int) -> None:
        """Raises PlanError where it is asked how to draw, and nothing is drawn."""
        drawn = [
            f"{name} = {self.how[name]}" for name, nothing in DRAWS.items() if self.how.get(name, nothing) != nothing
        ]
        if not drawn:
            return
        if beam > 1:
            instead = "and no beam" if "beam" in self.how else "which draws where the plan searches"
            raise PlanError(f"{drawn[0]} draws, and beam = {beam} searches; give a temperature, {instead}")
        if not self.draws:
            raise PlanError(f"{drawn[0]} is for tokens drawn, and the likeliest are taken; give a temperature")

    def features(self, frame: pl.DataFrame, notes: list[str]) -> Features:
        """What the network makes of the rows, in their order."""
        table = self.network.layout.encode(frame, notes, targets=False)
        table.lengths = None
        source, _ = self.network.layout.plain_source(table, self.network.device, table.size)
        with torch.inference_mode():
            return self.network.task.features(source.batch(0))

    def _prompts(self, prompt: Any) -> list[str]:
        """The beginnings of texts in a text, a list of them, a dict of one row or a table. Raises DataError."""
        if isinstance(prompt, Mapping):
            prompt = {name: [value] for name, value in prompt.items()}
        _check_prompt(prompt)
        if not isinstance(prompt, str | list | tuple):
            prompt = self._column(prompt).to_list()
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        for one in prompts:
            _check_text(one)
        return prompts

    def _column(self, source: Any) -> pl.Series:
        """The texts of a table. Raises DataError."""
        table = self.read(source)
        self.notes += table.notes
        if self.target not in table.frame.columns:
            raise DataError(
                f"column {self.target!r} is not in the table given; known: {', '.join(table.frame.columns)}"
            )
        return table.frame[self.target].cast(pl.String)

    def _avoided(self, source: Any) -> pl.Series:
        """Texts to avoid, or those of a table, each once. Raises DataError, PlanError for what is neither."""
        if isinstance(source, bytes | int | float) or (isinstance(source, str) and not source):
            raise PlanError(f"avoid = {source!r:.60}: expected {AVOIDED}")
        listed = _listed(source)
        if listed is None:
            try:
                return self._column(source).drop_nulls().unique(maintain_order=True)
            except DataError as error:
                raise DataError(f"{error} (what to avoid: {AVOIDED})") from None
        for one in listed:
            _check_text(one, "text to avoid")
        return pl.Series(listed, dtype=pl.String).unique(maintain_order=True)

    def _run(self, n: int | None) -> int:
        """Tokens of a run to avoid. Raises PlanError for more than the network still reads when its window is full."""
        most = self.head.window // 2 or RANGES["avoid_run"][2]
        if n is None:
            return min(RUNS[self.column.units], most)
        if n > most:
            raise PlanError(f"avoid_run = {n}: at most {most}, half of the window of {self.head.window} tokens")
        return n

    def _runs(self, source: Any, n: int) -> Runs:
        """The runs of n tokens of texts, or of a table's. Raises DataError, PlanError."""
        texts = self._avoided(source)
        column = copy.copy(self.column)
        column.limit = 0  # they are not to be cut, as what is learnt may be
        encoded = column.encode(texts)
        self.notes += encoded.notes
        short = int((np.diff(encoded.bounds) < n).sum())
        if short:
            self.notes.append(
                f"{short:,} of {len(texts):,} texts to avoid {agreed(short, 'is|are')} shorter than {n} tokens, "
                "the run (avoid_run), and may be written whole"
            )
        runs = Runs(encoded.data, encoded.bounds, n, self.network.device)
        if not len(runs):
            raise DataError(
                f"the {counted(len(texts), 'text|texts to avoid holds|hold')} no run of {n} tokens that few of them "
                "share; give more of them, or another avoid_run"
            )
        return runs

    def _rows(self, prompt: Any) -> pl.DataFrame:
        """The rows of inputs that a prompt stands for."""
        inputs = list(self.network.plan.inputs)
        _check_prompt(prompt)
        if isinstance(prompt, Mapping):
            given = {name: [value] for name, value in prompt.items()}
            return self._readable(self.read(given), given)
        plain = [prompt] if isinstance(prompt, str) else prompt
        if not (isinstance(plain, list | tuple) and all(isinstance(one, str) for one in plain)):
            return self._readable(self.read(prompt), {})
        for one in plain:
            _check_text(one)
        if len(inputs) > 1:
            raise PlanError(
                f"this model reads {', '.join(inputs)}; give a dict of one row (on the command line --given NAME=VALUE "
                "for each), or a table (`predict`), or fit the model with one input"
            )
        given = {inputs[0]: list(plain)}
        return self._readable(Table(pl.DataFrame(given), []), given)

    def _readable(self, table: Table, given: Mapping[str, list[Any]]) -> pl.DataFrame:
        """The table's rows. Raises DataError for a value, of those given one by one, that cannot be read."""
        check_readable(self.network.plan, self.network.columns, table, given)
        self.notes += table.notes
        return table.frame

    def continued(self, prompts: Sequence[str]) -> Iterator[list[str]]:
        """What follows each prompt, so far."""
        for texts in self._written(Features(len(prompts)), *self._begun(prompts)):
            yield _without_given(texts, prompts)

    def _continued(self, prompts: Sequence[str], best: int = 1) -> list[str]:
        """What follows each prompt, so many of a search. Tokens become text when all are written, or as they come."""
        searched = self.beam > 1
        texts: list[str] = []
        for start in range(0, len(prompts), WRITTEN):
            some = prompts[start : start + WRITTEN]
            if self.stop and not searched:
                texts += deque(self.continued(some), maxlen=1)[0]
                continue
            given = Features(len(some)), *self._begun(some), {**self.how, "best": best}
            with torch.inference_mode():
                found = self.head.searched(*given) if searched else said(list(self.head.stream(*given, self.generator)))
            written = self._decoded({name: part.cpu().numpy() for name, part in found.items()})
            texts += self._cut(_without_given(written, [one for one in some for _ in range(best)]))
        return texts

    def _decoded(self, tokens: Mapping[str, np.ndarray]) -> list[str]:
        """The texts of tokens (B, T), or of a row's several ones (B, T, M) one after another."""
        several = {k: a if a.ndim == 2 else a.transpose(0, 2, 1).reshape(-1, a.shape[1]) for k, a in tokens.items()}
        return list(self.column.decode(several)[self.target])

    def _cut(self, texts: list[str]) -> list[str]:
        return [self._until_stop(text)[0] for text in texts]

    def _begun(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """START and each prompt's tokens (B, T), and which are real; padding before them.

        Spaces at a prompt's end are left out and written anew, for words begin with theirs.
        """
        bare = [prompt.rstrip(" ") for prompt in prompts]
        tokens, mask = self.column.encode(pl.Series(self.target, bare, dtype=pl.String)).padded()
        lengths = mask.sum(1, keepdims=True)
        place = np.arange(1 + tokens.shape[1]) - (1 + tokens.shape[1] - lengths)  # padding first, then START at -1
        own = np.take_along_axis(np.pad(tokens.astype(np.int64), [(0, 0), (0, 1)]), np.maximum(place, 0), 1)
        first = torch.from_numpy(np.where(place >= 0, own, np.where(place == -1, START, PAD)))
        return first.to(self.network.device), torch.from_numpy(place >= -1).to(self.network.device)

    def answered(self, features: Features) -> Iterator[list[str]]:
        """What is written for each row of inputs, so far."""
        first = torch.full((features.size, 1), START, device=self.network.device)
        return self._written(features, first, None)

    def _written(self, f: Features, first: Tensor, mask: Tensor | None) -> Iterator[list[str]]:
        ids: list[list[int]] = [[] for _ in range(f.size)]
        open_ = [True] * f.size
        texts = [""] * f.size
        tokens = self.head.stream(f, first, mask, self.how, self.generator)
        while True:
            with torch.inference_mode():  # not around a yield, which would leave it on for the caller
                token = next(tokens, None)
            if token is None:
                break
            for row, one in enumerate(token.tolist()):
                if not open_[row]:
                    continue
                open_[row] = one != END
                if open_[row]:
                    ids[row].append(one)
                    texts[row], open_[row] = self._until_stop(self.column.text(ids[row]))
            if not any(open_):
                break
            yield list(texts)
        for row in (row for row in range(f.size) if open_[row]):
            texts[row], _ = self._until_stop(self.column.ended(ids[row]))
        yield texts

    def _until_stop(self, text: str) -> tuple[str, bool]:
        """The text before the first of what it is to stop at, and whether it goes on."""
        found = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return (text[: min(found)], False) if found else (text, True)


def pieces(texts: Iterator[list[str]], stop: Sequence[str]) -> Iterator[str]:
    """A single text as it comes, in pieces that are never taken back: halves of characters and of stops wait."""
    wait = max((len(one) for one in stop), default=1) - 1
    given = 0
    text = ""
    for (text,) in texts:
        sure = len(text.rstrip(TORN)) - wait
        if sure > given:
            yield text[given:sure]
            given = sure
    if len(text) > given:
        yield text[given:]


def _stops(stop: Any) -> list[str]:
    """Raises PlanError for what is neither a text nor several, and for an empty one."""
    found = [] if stop is None else list(stop) if isinstance(stop, list | tuple) else [stop]
    for one in found:
        if not isinstance(one, str) or not one:
            raise PlanError(f"stop = {stop!r:.60}: expected texts, none of them empty")
    return found


def _listed(source: Any) -> list[str] | None:
    """Texts that are given as such, but for missing ones and names of files; None = something else."""
    if isinstance(source, np.ndarray) and source.ndim == 1:
        source = source.tolist()
    texts = source.to_list() if isinstance(source, pl.Series) else source
    if not isinstance(texts, list | tuple | set) or not all(isinstance(one, str | None) for one in texts):
        return None
    names = any(texts) and all(os.path.exists(one) for one in texts if one)
    return None if names else [one for one in texts if one is not None]


def _check_prompt(prompt: Any) -> None:
    """Raises PlanError for nothing, a number or bytes, which are neither a text nor rows."""
    if prompt is None or isinstance(prompt, bytes | int | float):
        raise PlanError(f"prompt = {prompt!r:.60}: expected a text, several in a list, a dict of one row, or a table")


def _check_text(one: Any, what: str = "prompt") -> None:
    """Raises DataError for what is no text, or holds bytes that are none."""
    if not isinstance(one, str):
        raise DataError(f"a {what} is a text, not {one!r:.60}")
    if any("\ud800" <= sign <= "\udfff" for sign in one):
        raise DataError(f"the {what} {one!r:.60} holds bytes that are no UTF-8; convert it, as by iconv")


def _without_given(texts: Sequence[str], prompts: Sequence[str]) -> list[str]:
    """The texts less as many spaces at their beginning as their prompts end in."""
    found = []
    for text, prompt in zip(texts, prompts, strict=True):
        spaces = min(len(prompt) - len(prompt.rstrip(" ")), len(text) - len(text.lstrip(" ")))
        found.append(text[spaces:])
    return found


def _text_target(network: Network, target: str) -> str:
    texts = [name for name, chosen in network.plan.targets.items() if chosen.head["name"] == "text"]
    if target:
        if target not in texts:
            raise PlanError(f"target {target!r} is no text that this model writes; {did_you_mean(target, texts)}")
        return target
    if len(texts) != 1:
        what = f"writes {len(texts)} texts; name one as target" if texts else "writes no text"
        raise PlanError(f"this model {what}")
    return texts[0]
