"""From texts to vectors of their words."""

from __future__ import annotations

import math
import sys
import time as clock
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from ranvier.core.device import pick_device, threads
from ranvier.core.errors import PlanError
from ranvier.core.unknown import strict
from ranvier.lexicon.corpus import corpus_of
from ranvier.lexicon.learn import Tell, learn
from ranvier.lexicon.pairs import Pairs
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.progress import ProgressBar
from ranvier.planning.make import seconds

BLOCKS = (64, 512)  # running words in a step
NOISE = 256  # words drawn for a step
READ = 2_000_000  # running words that "auto" epochs come to
EPOCHS = (5, 50)  # range of "auto"


@strict
def embeddings(
    data: Any,
    *,
    column: str = "",
    width: int = 100,
    window: int = 5,
    negatives: int = 5,
    epochs: float | Literal["auto"] = "auto",
    ngrams: tuple[int, int] = (3, 6),
    buckets: int = 2_000_000,
    least: int | Literal["auto"] = "auto",
    lowercase: bool = True,
    rate: float = 0.2,
    seed: int = 0,
    device: str = "auto",
    time: float | str = 0.0,
    progress: bool = True,
) -> Embeddings:
    """Learns a vector for every word of a column of texts or words: near for words that stand in like company.

    Skip-gram with negative sampling (Mikolov et al. 2013) of words and their character n-grams (Bojanowski et al.
    2017), so that unknown words have vectors too.

    data: whatever `fit` reads (a file, lines of a .txt, a frame ...), a list of texts, or a list of lists of words;
    words of lists are taken as they are, texts are cut into runs of letters and digits and, in scripts without spaces,
    single characters. column: which one, if there are several. width: of the vectors. window: how far a neighbour may
    stand. negatives: weight of the noise. epochs: passes over the text; "auto": 5 to 50, the more the shorter it is.
    ngrams: characters in the shortest and longest n-gram; (0, 0): words alone. buckets: that n-grams are hashed to.
    least: words met less often have no vector of their own; "auto": 1, 2 or 5 by the length of the text. lowercase:
    texts are read in small letters. rate: of Adagrad at the start. time: patience, such as "30s"; 0 = no limit; the
    same seed then gives the same vectors only where as many steps fit. progress: show a bar, and what was left out.
    Raises PlanError, DataError, RunError.
    """
    started = clock.perf_counter()
    limit = seconds(time)
    _check(width=width, window=window, negatives=negatives, buckets=buckets)
    lengths = _lengths(ngrams)
    if least != "auto":
        _check(least=least)
    if epochs != "auto" and not 0 < epochs < math.inf:
        raise PlanError(f"epochs = {epochs!r}: expected a finite number above 0, or 'auto'")
    if not 0 < rate < math.inf:
        raise PlanError(f"rate = {rate!r}: expected a finite number above 0")
    corpus = corpus_of(data, column, least=least, lowercase=lowercase)
    if progress:
        for note in corpus.notes:
            print(f"note: {note}", file=sys.stderr)
    block = int(np.clip(len(corpus.ids) // 32, *BLOCKS))
    pairs = Pairs(corpus, window=window, negatives=negatives, block=block, noise=NOISE, seed=seed)
    passes = float(np.clip(round(READ / len(corpus.ids)), *EPOCHS)) if epochs == "auto" else epochs
    where = pick_device(device)
    with threads(1 if where.type == "cpu" else 0):  # small products; the other thread makes pairs
        return learn(
            corpus,
            pairs,
            width=width,
            steps=max(1, math.ceil(passes * pairs.steps)),
            lengths=lengths,
            buckets=buckets,
            rate=rate,
            until=started + limit if limit else 0.0,
            device=where,
            tell=_bar if progress else _silence,
        )


def _check(**numbers: Any) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise PlanError(f"{name} = {number!r}: expected a whole number, 1 or more")


def _lengths(ngrams: Any) -> tuple[int, int]:
    pair = tuple(ngrams) if isinstance(ngrams, list | tuple) else ()
    if len(pair) == 2 and all(type(length) is int for length in pair) and (pair == (0, 0) or 1 <= pair[0] <= pair[1]):
        return pair
    raise PlanError(f"ngrams = {ngrams!r}: expected two lengths, such as (3, 6), or (0, 0) for none")


def _bar(steps: int) -> Tell:
    bar = ProgressBar(steps, None)

    def tell(step: int, record: Mapping[str, float]) -> None:
        bar.on_log(step, record)
        if step == steps:
            bar.on_end()

    return tell


def _silence(steps: int) -> Tell:
    return lambda step, record: None
