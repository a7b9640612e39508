"""What `fit` gives: networks with their columns, plan and history, as one thing to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.core.device import pick_device
from ranvier.core.errors import DataError, PlanError, not_there
from ranvier.core.html import card, lines
from ranvier.core.plan import Plan
from ranvier.core.unknown import Told, strict
from ranvier.data.pieces import one_piece
from ranvier.data.table import Table
from ranvier.evaluate.score import Metrics, Report
from ranvier.model import codes, file
from ranvier.model.frames import is_pandas, kept_columns, predicted, tell, to_pandas, told_chunks, told_empty
from ranvier.model.generate import Pen
from ranvier.model.held import Predictions, at_temperatures
from ranvier.model.identity import Gallery, Who, named
from ranvier.model.judge import Judge
from ranvier.model.layout import align, weights
from ranvier.model.network import BATCH, Answers, Network
from ranvier.model.reading import Reader
from ranvier.model.sample import at_random, drawn
from ranvier.model.shared import mean, shared_columns, to_shared
from ranvier.model.strange import JUDGED, beside
from ranvier.model.uncertainty import ENDINGS, Uncertain, Uncertainty
from ranvier.model.ways import ways
from ranvier.model.write import joints, writer
from ranvier.tasks.columns import ColumnsTask

WALK = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # values of a code's number


class Model(Told):
    """A trained model. Predicts, evaluates, embeds; saves itself to one file.

    plan: what was done, resolved. networks: one, or with folds several, whose answers are averaged. columns: by name,
    having learnt; targets know the classes of all networks. history: the records logged while training; with folds
    each says which. report: figures on the rows held out from training, None if there were none. fold_figures: each
    fold's own. test_report: figures on the test rows given to `fit`. temperatures: of the categories whose
    probabilities are scaled (`ops.calibration`). uncertainty: what tells how sure it is. held_out: what `out_of_fold`
    decodes. usual: how strange the rows held out are (`model/strange.py`). gallery: the identities that it knows
    (`model/identity.py`). provenance: how it was made (`model/provenance.py`). notes: what the user should know.
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
        uncertainty: Uncertainty | None = None,
        held_out: Predictions | None = None,
        usual: np.ndarray | None = None,
        gallery: Gallery | None = None,
        provenance: dict[str, Any] | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.plan, self.networks = plan, list(networks)
        self.columns = shared_columns(plan, [network.columns for network in networks])
        self._read = Reader(self.columns, plan)
        self.history, self.notes, self.provenance = history or [], notes or [], provenance or {}
        self.report, self.test_report, self.fold_figures = report, test_report, fold_figures or []
        self.temperatures, self.held_out, self.gallery = temperatures or {}, held_out, gallery
        self.uncertainty = uncertainty or Uncertainty()
        self.usual = np.zeros(0) if usual is None else usual
        self.interrupted = False  # whether Ctrl-C ended the training that has just made it
        self.joints = joints(self.columns)

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
        known = self._decode(at_temperatures(self.held_out.answers, self.temperatures))
        places = np.full(self.held_out.size, -1)
        places[self.held_out.rows] = np.arange(len(self.held_out.rows))
        return known.select(pl.all().gather(pl.Series(places).replace(-1, None)))

    def predict(
        self,
        data: Any,
        *,
        uncertainty: bool | float = False,
        keep: str | Sequence[str] = (),
        to: str | Path | None = None,
        batch: int = BATCH,
        **how: Any,
    ) -> Any:
        """The target columns for rows of any source that `fit` takes; targets need not be there.

        A category gives NAME, NAME_confidence and NAME_p_<class>; a number NAME, and with quantiles NAME_q10 and so on;
        a set NAME and NAME_p_<label>; a vector or a text NAME; tags NAME and NAME_confidence, lists as long as the
        words'; an identity NAME, the nearest that is known, and NAME_similarity; an answer within a text NAME ("" for
        none), NAME_start, NAME_end, NAME_confidence. Gives a pandas frame with the same index for a pandas frame, else
        a polars frame; with `to`, writes to that file (.csv, .tsv, .jsonl, .parquet, .arrow), a chunk of rows at a
        time (CSV and Parquet are also read so), and gives its path; CSV and TSV join the labels of a set by "|" (or ";"
        or "," where a label holds it; else as JSON, like vectors). keep: columns of the data to stand before the
        predictions, such as an id; without it, of a folder of images, the file. What was repaired or not recognised is
        told in one RanvierWarning.

        uncertainty: the level, or True for 0.9; then a number also gives NAME_low and NAME_high, between which the
        truth is to lie in such a share of rows, and NAME_std, how far networks that learnt from as many rows would
        differ (members, folds, and the posterior of the last layer); a category NAME_set, classes of which the true one
        is to be one as often, and its probabilities are averaged over that posterior (of 64 classes at most). Intervals
        and sets are as wide as rows held out from training have shown (`ops.conformal`), for rows that come as those
        did: not for later ones, nor other groups. Where the network was trained again on all rows, they have judged the
        first, which had learnt from fewer.
        how: the ways of `generate` to write texts, such as beam=1 or temperature=0.7, and seed (0); of boxes other
        values of the head's `least`, `most` and `overlap`.
        Raises DataError, and PlanError where a level, a target or a way has no such answer.
        """
        write = None if to is None else writer(to, self.joints, data)
        uncertain = Uncertain(self, uncertainty, batch) if uncertainty is not False else None
        pieces = one_piece(self._read(data)) if write is None else self._read.pieces(data)
        kept = kept_columns(pieces.head, keep, data, predicted(self.plan, ENDINGS if uncertain else ""))
        notes = [*pieces.notes, *at_random(self.plan)]
        asked = ways("predict", self.networks[0], self._read, how, notes)
        say = uncertain or (lambda rows, told: self._decode(self._said(rows, told, batch, **asked)))
        said = (
            pl.concat([rows.select(kept), say(rows, told)], how="horizontal")
            for rows, told in told_chunks(pieces.frames(), notes)
        )
        frames = told_empty(said, self.plan, notes, asked.get("least"))
        result: Any = pl.concat(list(frames), how="vertical") if write is None else write(frames)
        tell(notes)
        return to_pandas(result, data.index) if to is None and is_pandas(data) else result

    def evaluate(self, data: Any, *, batch: int = BATCH, show: bool = True, **how: Any) -> dict[str, float]:
        """Figures on rows with known targets, as a dict and printed, with what is to be told; show=False warns instead.

        how: in which way texts are written that are judged, as of `predict`: beam=1, say. Raises DataError, PlanError.
        """
        report = self.judge(data, batch=batch, **how)
        if show:
            print(report)
        else:
            tell(report.notes)
        return Metrics(report)

    def judge(self, data: Any, *, batch: int = BATCH, **how: Any) -> Report:
        """The whole report of `evaluate`: by target, with the confusion matrix, and notes; raises as it does.

        Rows are judged a chunk at a time, and what is said of them is not kept.
        """
        table = self._read(data)
        if absent := [name for name in self.plan.targets if name not in table.frame.columns]:
            others = [name for name in table.frame.columns if name not in self.columns]
            raise DataError(not_there(absent, others, ", which is needed to evaluate,"))
        told, own = list[str](), list[str]()
        asked = ways("evaluate", self.networks[0], self._read, how, told)
        judge = Judge(self.plan, self.columns, weights(self.plan, table.frame, own))
        answers = self.answers(table, batch=batch, notes=told, judged=True, **asked)
        for answer, (rows, notes) in zip(answers, told_chunks(table.frame, own), strict=True):
            truths = {name: self.columns[name].encode(rows[name]) for name in self.plan.targets}
            for name, truth in truths.items():
                align(self.plan, self.networks[0].layout.specs[name], rows, name, truth, notes)
            notes.extend(note for truth in truths.values() for note in truth.notes)
            judge.add(rows, answer, truths)
        return judge.report("test", [*told, *own])

    def embed(self, data: Any, *, batch: int = BATCH) -> np.ndarray:
        """(N, D) float32: the vector that the network makes of each row, before the heads; warns as `predict` does.

        Of several networks, whose vectors have nothing in common, those of all side by side.
        """
        rows = self._read(data)
        notes = list(rows.notes)
        vectors = [
            np.concatenate([network.embed(some, told, batch=batch) for network in self.networks], axis=1)
            for some, told in told_chunks(rows.frame, notes)
        ]
        tell(notes)
        return np.concatenate(vectors)

    def answers(
        self, data: Any, *, batch: int = BATCH, notes: list[str] | None = None, judged: bool = False, **how: Any
    ) -> Iterator[Answers]:
        """What the heads say, before decoding, a chunk of rows at a time: {target: {name: (rows, ...)}}.

        Of several networks the mean, each at the model's temperatures, as they were fitted. notes: a list that gets
        what was repaired or not recognised in the rows. judged: what figures are made of instead, which needs the
        targets. how: what the heads are asked.
        """
        notes, rows = [] if notes is None else notes, data if isinstance(data, Table) else self._read(data)
        notes += rows.notes
        yield from (self._said(some, told, batch, judged, **how) for some, told in told_chunks(rows.frame, notes))

    def _said(self, rows: pl.DataFrame, notes: list[str], batch: int, judged: bool = False, **how: Any) -> Answers:
        """`answers` of some rows."""
        each = []
        for network in self.networks:
            said = (network.judged if judged else network.answers)(rows, notes, batch=batch, **how)
            each.append(at_temperatures(to_shared(said, network.columns, self.columns), self.temperatures))
        return mean(each, self.columns)

    def verify(self, a: Any, b: Any, threshold: float | None = None) -> pl.DataFrame:
        """Whether two rows are of one identity: {"similarity", "same"} of each pair of a's and b's rows.

        a, b: whatever `predict` takes, as many rows of each or a single one; where pictures are the only input also
        these, their paths or arrays. A pair with a row without any input is null. threshold: the cosine from which on
        a pair is of one, None = that of the equal error rate of rows held out. Raises PlanError, DataError.
        """
        notes: list[str] = []
        told = Who(self.networks, self.gallery, self._read, notes).verify(a, b, threshold)
        tell(notes)
        return told

    def identify(self, x: Any, gallery: Any = None, threshold: float | None = None) -> pl.DataFrame:
        """Of whom each row is: {NAME, NAME_nearest, NAME_similarity}, NAME being null where nobody is near enough.

        gallery: rows with the target column, or {name: examples}; None = what the model knows, from training and
        `learn`. x, the examples, threshold: as of `verify`. Raises PlanError, DataError.
        """
        notes: list[str] = []
        told = Who(self.networks, self.gallery, self._read, notes).identify(x, gallery, threshold)
        tell(notes)
        return told

    def learn(self, name: Any, examples: Any, *, replace: bool = False) -> Model:
        """Knows one identity more, by a few examples and without training; gives the model itself.

        Raises PlanError for a model without identities, DataError for a name that it knows, unless replace.
        """
        notes: list[str] = []
        self.gallery = Who(self.networks, self.gallery, self._read, notes).learn(name, examples, replace=replace)
        tell(notes)
        return self

    def generate(
        self,
        prompt: Any = "",
        *,
        target: str = "",
        n: int = 1,
        stream: bool = False,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        **how: Any,
    ) -> Any:
        """The text that a model writes: what follows a prompt, or of a model with inputs, what answers it.

        prompt: a text, or several; of a model with inputs also a dict of one row, or whatever `predict` takes. Gives a
        text for a text or a dict, else a list. n: so many texts for each prompt, as a list, one prompt's after
        another's; of a search the best ones. stream: an iterator of the pieces of one text instead, as they come, so
        that it is not searched for. stop: texts before which writing ends. seed: of what is drawn, None = another each
        time. how: beam, temperature (above 0 draws, not searches), top_k, top_p, min_p, repetition, no_repeat, longest,
        for those in the plan (see `nets.generate.Manner`), and avoid: texts, or a table or file with the target, of
        which no run of `avoid_run` tokens is written. target: which text, of several. Raises PlanError, DataError.
        """
        pen = Pen(self.networks[0], self._read, target, how, stop, seed)
        texts: Any = pen.stream(prompt, n) if stream else pen.texts(prompt, n)
        tell(pen.notes)
        return texts[0] if isinstance(prompt, str | Mapping) and n == 1 and not stream else texts

    def sample(self, n: int = 1, *, given: Any = None, seed: int = 0, **how: Any) -> pl.DataFrame:
        """n rows drawn from what the model has learnt; of a model with inputs n for each row given, beside it.

        given: a dict of one value for each input, or of several (list, tuple, array), or whatever `predict` takes; if
        rows are drawn field by field (head `autoregressive`), any columns of them, of which what is missing is drawn.
        seed: the same gives the same rows, and if more are drawn of nothing or of one given row, the same first ones.
        how: what the head draws by, such as temperature, steps or guidance. Raises PlanError, DataError.
        """
        made, notes = drawn(self.networks[0], n, given, seed, how, self._read, self._decode)
        tell(notes)
        return made

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> pl.DataFrame:
        """The target columns on the straight way from one row's code to another's, both ends among the steps.

        a, b: a dict, or a table of a single row. Where a head needs inputs beside its code, as `vae` does if the model
        has any, what the network makes of them goes the same way: from those of a to those of b. Raises PlanError for a
        model without codes, DataError.
        """
        notes: list[str] = []
        ends, made = codes.coded(self.networks[0], self._read, [a, b], notes)
        tell(notes)
        return self._decode(self.networks[0].decoded(codes.between(made[0], made[1], steps), ends))

    def traverse(self, row: Any, number: int, values: Sequence[float] = WALK) -> pl.DataFrame:
        """The target columns as one number of a row's code takes each of the values; otherwise as `interpolate`."""
        notes: list[str] = []
        ends, made = codes.coded(self.networks[0], self._read, [row], notes)
        tell(notes)
        return self._decode(self.networks[0].decoded(codes.along(made[0], number, values), ends))

    def compress(self, data: Any, bits: int = 8) -> bytes:
        """The codes of the rows, each number in so many bits; `decompress` gives the rows back, as far as they tell.

        Raises PlanError for a model without codes, or whose heads need inputs beside them, and DataError.
        """
        notes: list[str] = []
        whole = codes.whole_code_of(self.networks[0], self._read(data), notes)
        tell(notes)
        return codes.packed(whole, bits, codes.fingerprint(self.networks[0]))

    def decompress(self, content: bytes) -> pl.DataFrame:
        """The target columns of rows that `compress` of this very model gave. Raises DataError for anything else."""
        return self._decode(self.networks[0].decoded(codes.whole_codes_in(self.networks[0], content)))

    def compression(self, data: Any, bits: Sequence[int] = (2, 3, 4, 6, 8)) -> pl.DataFrame:
        """What each number of bits costs and loses: bits, bytes of a row, and figures of the rows that come back."""
        notes: list[str] = []
        told = codes.costs(self.networks[0], self.columns, self._read(data), bits, notes)
        tell(notes)
        return told

    def anomalies(
        self, data: Any, clean: Any = None, share: float = 0.01, *, keep: str | Sequence[str] = ()
    ) -> pl.DataFrame:
        """How strange each row is, as {"strangeness", "p", "anomaly"}: what the heads' loss of its own targets is.

        clean: rows without anomalies that training has not seen; None: those held out from training, which are taken
        to be clean, and whose strangeness a model that restores or draws keeps. p: the share of clean rows at least as
        strange, counting the row itself (a conformal p-value), so that of clean rows no more than `share` are taken for
        anomalies, p <= share. Where the network was trained again on all rows, those held out were judged by the first,
        to which rows are stranger. keep: columns of the data to stand before, as of `predict`. Raises PlanError for a
        share that so few clean rows cannot tell, or where none were kept; DataError.
        """
        notes: list[str] = []
        rows, others = self._read.unpacked(data), None if clean is None else self._read(clean)
        kept = rows.frame.select(kept_columns(rows.frame, keep, data, "|".join(JUDGED)))
        found = beside(self.networks[0], self._read.packed(rows), others, self.usual, share, notes)
        tell(notes)
        return pl.concat([kept, found], how="horizontal")

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

    def _repr_html_(self) -> str:
        """For notebooks: what it predicts from what, its figures, and at a click its plan."""
        report = self.test_report or self.report
        return card(repr(self), report._repr_html_() if report else "", self.plan._repr_html_(), lines(self.notes))

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (file.to_bytes(self),)

    def _decode(self, answers: Answers) -> pl.DataFrame:
        said = named(answers, self.columns, self.gallery)
        return pl.concat([self.columns[name].decode(answer) for name, answer in said.items()], how="horizontal")


@strict
def load(path: str | Path, *, device: str = "auto") -> Model:
    """The model that `Model.save` wrote. Raises FileError for a damaged or foreign file."""
    return Model(**file.read(path)).to(pick_device(device))


def _from_bytes(content: bytes) -> Model:
    return Model(**file.parse(content, "the pickled model"))
