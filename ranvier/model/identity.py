"""Who is shown: the gallery of identities that a model knows, and what it says of rows by it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import torch

from ranvier.columns.identity import Identity
from ranvier.columns.pixels import names_picture
from ranvier.core import check
from ranvier.core.counts import agreed, counted
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.plan import Plan
from ranvier.core.rng import seed_of
from ranvier.data.table import Table
from ranvier.heads.identity import IdentityHead
from ranvier.model.frames import told_chunks
from ranvier.model.held import HeldOut
from ranvier.model.network import Answers, Network, chunks
from ranvier.ops.verification import Verification, curve, pairs, to_means

EACH, MOST = 64, 32_768  # training rows of one identity, and of all, that the gallery is made of
SPREAD = 4_096  # of them that vectors are whitened by
SIZES = tuple(2**k for k in range(1, EACH.bit_length()))  # of means whose thresholds are looked for
BLOCK = 2**24  # similarities that are computed at a time

Reads = Callable[[Any], Table]  # as `Model._read`


@dataclass
class Gallery:
    """Known identities. names: G texts. vectors: (G, D) float32 of length 1, the directions of the means of their rows'
    vectors. counts: (G,) int64, of how many rows each is. threshold: the similarity from which on two rows are taken
    for one identity, that of the equal error rate over pairs of rows held out; not-a-number where there were none.
    of_means: {k: that of rows and means of k others}, as far as identities held out have rows enough; a row is nearer
    to the mean of several, its own or another's, than to each of them."""

    names: list[str] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    threshold: float = math.nan
    of_means: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, names: Sequence[str], vectors: np.ndarray) -> Gallery:
        """From unit vectors (N, D) and the name of each."""
        place = {name: k for k, name in enumerate(dict.fromkeys(names))}
        which = np.array([place[name] for name in names], np.int64)
        sums = np.zeros((len(place), vectors.shape[1]))
        np.add.at(sums, which, vectors)
        counts = np.bincount(which, minlength=len(place)).astype(np.int64)
        return cls([*place], _unit(sums).astype(np.float32), counts)

    def about(self) -> dict[str, Any]:
        """What is no array, as JSON values."""
        threshold = None if math.isnan(self.threshold) else self.threshold
        return {"names": self.names, "threshold": threshold, "of_means": [*map(list, self.of_means.items())]}

    @classmethod
    def of(cls, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], network: Network) -> Gallery:
        """What a file holds. Raises ValueError for what no gallery of that network can be."""
        names, vectors, counts = list(about["names"]), arrays["vectors"], arrays["counts"]
        threshold = math.nan if about["threshold"] is None else float(about["threshold"])
        of_means = {int(size): float(least) for size, least in about.get("of_means", [])}  # which earlier files lack
        found = identity_of(network)
        if found is None or vectors.shape != (len(names), found[1].width) or counts.shape != (len(names),):
            raise ValueError(f"the gallery holds {vectors.shape} numbers of {len(names)} identities, which do not fit")
        if vectors.dtype != np.float32 or counts.dtype != np.int64 or not np.isfinite(vectors).all():
            raise ValueError("the gallery does not hold the directions of identities")
        if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise ValueError("the gallery's names are not different texts")
        return cls(names, vectors, counts, threshold, of_means)

    def least(self, count: int) -> float:
        """The similarity from which on a row is of an identity that is known by so many rows."""
        return self.of_means.get(max((size for size in self.of_means if size <= count), default=1), self.threshold)

    def nearest(self, vectors: np.ndarray) -> tuple[list[str | None], np.ndarray]:
        """Of unit vectors (N, D) the name of the nearest and its similarity (N,), the cosine; None of nobody."""
        if not self.names:
            return [None] * len(vectors), np.full(len(vectors), np.nan, np.float32)
        places, alike = [], []
        rows = max(1, BLOCK // len(self.names))
        for start in range(0, len(vectors), rows):
            cosine = vectors[start : start + rows] @ self.vectors.T
            best = cosine.argmax(1)
            places.append(best)
            alike.append(cosine[np.arange(len(best)), best])
        which, similarity = (np.concatenate(part) for part in (places, alike))
        fine = np.isfinite(similarity)
        return [self.names[k] if there else None for k, there in zip(which, fine, strict=True)], similarity

    def with_one(self, name: str, vectors: np.ndarray, *, replace: bool) -> Gallery:
        """One identity more, of unit vectors (N, D). Raises DataError for a name that is there, unless it is to give
        way."""
        if name in self.names and not replace:
            raise DataError(
                f"the gallery has {name!r} already, of {self.counts[self.names.index(name)]} rows; another name, or "
                "replace=True (--replace), which takes these in its place"
            )
        kept = [place for place, other in enumerate(self.names) if other != name]
        own = Gallery.of_rows([name] * len(vectors), vectors).vectors
        return Gallery(
            [*(self.names[place] for place in kept), name],
            np.concatenate([self.vectors[kept], own]) if kept else own,
            np.append(self.counts[kept], len(vectors)),
            self.threshold,
            self.of_means,
        )


def identity_of(network: Network) -> tuple[Identity, IdentityHead] | None:
    """The target that is a column of identities, and its head, if there is one."""
    for name, head in zip(network.task.targets, network.task.heads, strict=True):
        if isinstance(head, IdentityHead):
            column = network.columns[name]
            assert isinstance(column, Identity)
            return column, head
    return None


def settle(network: Network, train: pl.DataFrame, notes: list[str]) -> None:
    """Lets a head for identities centre and whiten its vectors by some of the training rows; notes grow.

    Rows without any input, whose vectors are all one, are left out.
    """
    if (found := identity_of(network)) is None:
        return
    column, head = found
    rows = np.sort(_drawn(network, column, train, SPREAD, SPREAD // 2)[:SPREAD])  # of each two, where there are
    made, there = network.made_of_known(train[rows], [], lambda f: {"vector": _of_members(head.vector(f), f.members)})
    _tell_lacking(there, "vectors are whitened by", notes)
    vectors = torch.from_numpy(made["vector"][there])
    code = torch.from_numpy(column.encode(train[column.name][rows]).data[there])
    if len(code):
        head.settle(vectors.flatten(0, 1), code.repeat_interleave(vectors.shape[1]))


def gallery_of(network: Network, train: pl.DataFrame, held: HeldOut | None, notes: list[str]) -> Gallery | None:
    """The training identities by some of their rows, and the thresholds that rows held out tell; None of a model
    without identities. Rows without any input are left out, which notes tell."""
    if (found := identity_of(network)) is None:
        return None
    column, _ = found
    rows = np.sort(_drawn(network, column, train, EACH))
    said = [network.known(some, []) for _, some in chunks(train[rows])]
    there = np.concatenate([known for _, known in said])
    _tell_lacking(there, "the gallery is made of", notes)
    vectors = _unit(np.concatenate([one[column.name]["vector"] for one, _ in said])[there])
    code = column.encode(train[column.name][rows]).data[there]
    gallery = Gallery.of_rows([column.names[one] for one in code], vectors)
    if held is None:
        return gallery
    threshold, of_means = thresholds_of(column.name, [*network.plan.inputs], held)
    return replace(gallery, threshold=threshold, of_means=of_means)


def thresholds_of(target: str, inputs: Sequence[str], held: HeldOut) -> tuple[float, dict[int, float]]:
    """The similarity at the equal error rate of the pairs of rows held out, and {k: that of rows and means of k}.

    Not-a-number without pairs; of means as far as two identities have more rows than k.
    """
    truth = held.truths[target]
    given = held.frame.select(pl.any_horizontal(pl.col(name).is_not_null() for name in inputs)).to_series().to_numpy()
    rows = truth.observed & given
    seen = Verification()
    seen.add(torch.from_numpy(held.answers[target]["vector"][rows]), torch.from_numpy(truth.data[rows]))
    vectors, code = seen.drawn()
    _, count = code.unique(return_counts=True)
    sizes = [size for size in SIZES if int((count > size).sum()) > 1]
    return curve(*pairs(vectors, code)).threshold, {k: curve(*to_means(vectors, code, k)).threshold for k in sizes}


def _tell_lacking(there: np.ndarray, what: str, notes: list[str]) -> None:
    """Tells of rows without any input."""
    if lacking := int((~there).sum()):
        told = agreed(lacking, "has|have no input that can be read, and is|are left out")
        notes.append(f"{lacking:,} of {len(there):,} rows that {what} {told}")


def _drawn(network: Network, column: Identity, train: pl.DataFrame, each: int, identities: int = 0) -> np.ndarray:
    """Numbers of training rows, up to `each` of an identity: one of each, then another of each, MOST or so in all.

    identities: of so many at most, those of most rows; 0 = of all.
    """
    truth = column.encode(train[column.name])
    seen = np.flatnonzero(truth.observed & (truth.data < len(column.names)))
    if identities:
        often = np.argsort(-np.bincount(truth.data[seen]), kind="stable")[:identities]
        seen = seen[np.isin(truth.data[seen], often)]
    order = np.random.default_rng(seed_of(network.plan.train.seed, "gallery")).permutation(seen)
    by_code = np.argsort(truth.data[order], kind="stable")
    codes = truth.data[order][by_code]
    place = np.arange(len(codes)) - np.searchsorted(codes, codes)  # of each row among those of its identity
    turn = np.argsort(place, kind="stable")
    return order[by_code[turn]][: min(max(MOST, len(column.names)), int((place < each).sum()))]


def _of_members(vectors: torch.Tensor, members: int) -> torch.Tensor:
    """(B, members, D)."""
    return vectors.unflatten(0, (-1, members))


def named(answers: Answers, columns: Mapping[str, Any], gallery: Gallery | None) -> Answers:
    """The answers, with the nearest of the gallery in the place of the vectors of identities."""
    found = dict(answers)
    for name, answer in answers.items():
        if isinstance(columns[name], Identity):
            names, alike = (gallery or Gallery()).nearest(_unit(answer["vector"]))
            found[name] = {"name": np.array(names, object), "similarity": alike}
    return found


class Who:
    """What a model with a target of identities says of rows: whether two are of one, of whom each is.

    networks: the model's. gallery: of the identities it knows. reads: as the model reads data. notes: gets what was
    repaired. Raises PlanError for a model without such a target.
    """

    def __init__(self, networks: Sequence[Network], gallery: Gallery | None, reads: Reads, notes: list[str]) -> None:
        found = identity_of(networks[0])
        if found is None:
            targets = list(networks[0].plan.targets)
            raise PlanError(
                f"this model tells no identities apart, it predicts {', '.join(targets)}: fit one with "
                f"types={{{targets[0]!r}: 'identity'}} (--types {targets[0]}=identity)"
            )
        self.network, self.column, self.name = networks[0], found[0], found[0].name
        self.gallery, self.reads, self.notes = gallery or Gallery(), reads, notes

    def verify(self, a: Any, b: Any, threshold: float | None) -> pl.DataFrame:
        """{"similarity", "same"} of each pair; a single row on one side is compared with all of the other.

        Null where a row has no input.
        """
        least = self.threshold(threshold)
        if math.isnan(least):
            raise PlanError(
                "no rows were held out from training, so that nothing tells from which similarity on two rows are of "
                "one identity; give it, as threshold= (--threshold), or train with validation rows"
            )
        one, other = self.vectors(a), self.vectors(b)
        if len(one) != len(other) and 1 not in (len(one), len(other)):
            raise DataError(f"{len(one):,} rows are to be compared with {len(other):,}; give as many, or a single one")
        alike = pl.Series("similarity", (one * other).sum(1)).fill_nan(None)
        return pl.DataFrame([alike, (alike >= least).alias("same")])

    def identify(self, x: Any, gallery: Any, threshold: float | None) -> pl.DataFrame:
        """{NAME, NAME_nearest, NAME_similarity} of each row; NAME is null for one whom nobody is near enough.

        All three are null of a row without any input.
        """
        known = self.gallery if gallery is None else self.given(gallery)
        if not known.names:
            raise DataError("the gallery is empty, so that nobody can be found in it")
        asked = self.threshold(threshold)
        if math.isnan(asked):
            self.notes.append("no rows were held out from training: without threshold= nobody is taken for unknown")
        counts = dict(zip(known.names, known.counts.tolist(), strict=True))
        least = {name: self.gallery.least(k) if threshold is None else asked for name, k in counts.items()}
        names, alike = known.nearest(self.vectors(x))
        near = [
            name if name is not None and not score < least[name] else None
            for name, score in zip(names, alike, strict=True)
        ]
        nearest = self.column.values(names).alias(f"{self.name}_nearest")
        similarity = pl.Series(f"{self.name}_similarity", alike).fill_nan(None)
        return pl.DataFrame([self.column.values(near), nearest, similarity])

    def learn(self, name: Any, examples: Any, *, replace: bool) -> Gallery:
        """The gallery with one identity more, of its examples' vectors."""
        return self.gallery.with_one(self.label(name), self.examples(examples), replace=replace)

    def label(self, name: Any) -> str:
        """As of the column; notes tell where what is no text becomes one."""
        label = self.column.label(name)
        if self.column.texts and not isinstance(name, str):
            self.notes.append(f"the name {name!r} is taken for the text {label!r}, for those of training are texts")
        return label

    def threshold(self, asked: float | None) -> float:
        """The one asked for, else the gallery's. Raises PlanError for one that is no cosine."""
        if asked is None:
            return self.gallery.threshold
        wanted = "a similarity, which is a cosine: from -1 to 1"
        if not -1 <= check.number("threshold", asked, wanted) <= 1:
            raise PlanError(f"threshold = {asked}: expected {wanted}")
        return float(asked)

    def given(self, source: Any) -> Gallery:
        """The gallery of a frame or file with the target, or of {name: examples}. Raises DataError."""
        if isinstance(source, Mapping) and self.name not in source:
            made = {self.label(name): self.examples(examples) for name, examples in source.items()}
            if len(made) < len(source):
                raise DataError(f"the gallery names one identity twice: {[*source]}")
            named = [name for name, vectors in made.items() for _ in vectors]
            return Gallery.of_rows(named, np.concatenate([*made.values()])) if made else Gallery()
        table = self.reads(source)
        if self.name not in table.frame.columns:
            raise DataError(
                f"a gallery needs the column {self.name!r}, which names its rows; "
                f"{did_you_mean(self.name, table.frame.columns)}"
            )
        labels, vectors = self.column.as_names(table.frame[self.name]), self.vectors(table)
        dtype = table.frame[self.name].dtype
        if self.column.texts and (dtype.is_numeric() or dtype == pl.Boolean):
            self.notes.append(
                f"the names of the gallery, {dtype} values, are taken for texts, as those of training are"
            )
        if missing := labels.null_count():
            self.notes.append(f"{counted(missing, 'row|rows of the gallery has|have no name, and is|are left out')}")
        there = labels.is_not_null().to_numpy() & np.isfinite(vectors).all(1)
        return Gallery.of_rows(labels.filter(pl.Series(there)).to_list(), vectors[there])

    def examples(self, data: Any) -> np.ndarray:
        """(N, D) unit vectors of the rows that have an input, N >= 1; otherwise as `vectors`."""
        vectors = self.vectors(data)
        return vectors[np.isfinite(vectors).all(1)]

    def vectors(self, data: Any) -> np.ndarray:
        """(N, D) unit vectors of rows, N >= 1, not-a-number for those without any input, which would all be alike.

        Raises DataError where none has one.
        """
        table = data if isinstance(data, Table) else self.reads(as_rows(self.network.plan, data))
        notes = [*table.notes]
        said = [self.network.known(some, told) for some, told in told_chunks(table.frame, notes)]
        there = np.concatenate([known for _, known in said])
        lacking, rows = int((~there).sum()), len(there)
        if lacking == rows:
            why = "; ".join(["none of the rows has an input that can be read", *notes])
            raise DataError(f"nothing can be said of {rows:,} row{'s' * (rows > 1)}: {why}")
        if lacking:
            notes.append(
                f"nothing is said of {lacking:,} of {rows:,} rows, which "
                + agreed(lacking, "has|have no input that can be read")
            )
        self.notes += notes
        vectors = _unit(np.concatenate([one[self.name]["vector"] for one, _ in said]))
        return np.where(there[:, None], vectors, np.float32(np.nan))


def as_rows(plan: Plan, data: Any) -> Any:
    """What `read` takes: of a model with one input also a value or several, such as pictures, their paths or arrays."""
    if len(plan.inputs) != 1:
        return data
    ((name, kind),) = ((name, plan.columns[name].type) for name in plan.inputs)
    several = data if isinstance(data, list | tuple) else [data]
    if kind == "image" and several and all(isinstance(one, str | os.PathLike) for one in several):
        return {name: [str(one) for one in several]} if all(names_picture(str(one)) for one in several) else data
    if several and all(isinstance(one, bytes) for one in several):
        return {name: list(several)}
    if isinstance(data, np.ndarray) and not data.dtype.names:
        one = data.ndim == 1 or (kind == "image" and data.ndim < 4 and (data.ndim == 2 or data.shape[2] in (1, 3, 4)))
        return {name: data[None] if one else data}
    return data


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
