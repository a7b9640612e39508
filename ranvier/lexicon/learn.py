"""Vectors of words learnt from running text."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ranvier.core.draws import own_random
from ranvier.core.errors import RunError
from ranvier.core.rng import seed_of
from ranvier.lexicon.corpus import Corpus
from ranvier.lexicon.grams import Grams, buckets_of, marked
from ranvier.lexicon.pairs import Pairs
from ranvier.lexicon.vectors import Embeddings
from ranvier.nets.skipgram import SkipGram

EPSILON = 1e-10
TRIED = 8  # steps tried to find out how many the time allows
LOGS = 100  # times that progress is told
CHUNK = 8192  # words whose vectors are made at once
Block = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Tell = Callable[[int, Mapping[str, float]], object]


class Learner:
    """A skip-gram network and its training: Adagrad (Duchi et al. 2011) with one sum of squares a row, of the rows that
    a block touches and no others, at a rate that falls in a straight line to zero.
    """

    def __init__(self, net: SkipGram, rate: float) -> None:
        self.net, self.rate = net, rate
        self.sums = {name: torch.zeros(len(p), 1, device=p.device) for name, p in net.named_parameters()}

    def step(self, block: Block, left: float) -> Tensor:
        """One update; the summed loss before it. left: the share of the run that is left."""
        words, others, near, far = (torch.from_numpy(part).to(self.net.table.device) for part in block)
        loss, (rows, of_rows), of_others = self.net.slopes(words, others, near, far)
        self._move("table", rows, of_rows, left)
        self._move("contexts", others, of_others, left)
        return loss

    @torch.no_grad()
    def _move(self, name: str, rows: Tensor, gradient: Tensor, left: float) -> None:
        parameter, sums = getattr(self.net, name), self.sums[name]
        total = sums[rows] + torch.linalg.vector_norm(gradient, dim=1, keepdim=True).square() / self.net.width
        sums[rows] = total
        parameter[rows] -= gradient.mul_(self.rate * left * (total + EPSILON).rsqrt())


def learn(
    corpus: Corpus,
    pairs: Pairs,
    *,
    width: int,
    steps: int,
    lengths: tuple[int, int],
    buckets: int,
    rate: float,
    until: float = 0.0,
    device: torch.device,
    tell: Callable[[int], Tell],
) -> Embeddings:
    """The vectors after so many steps, or those that the time allows.

    until: on the clock of `time.perf_counter`, 0 = no limit. tell: gets the number of steps, and gives what is told of
    progress. Raises RunError if the vectors become no numbers.
    """
    parts, rows = _parts(corpus, lengths, buckets)
    with own_random(seed_of(pairs.seed, "skipgram")):
        learner = Learner(SkipGram(len(corpus.words), width, parts=parts).to(device), rate)
    if until:
        steps = min(steps, max(1, int((until - time.perf_counter()) / _seconds(learner, iter(pairs), until))))
    _run(learner, iter(pairs), steps, tell(steps), pairs.block)
    net = learner.net
    if not all(parameter.isfinite().all() for parameter in net.parameters()):
        raise RunError(f"the vectors have become no numbers; try a rate below {rate:g}")
    with torch.no_grad():
        chunks = torch.arange(len(corpus.words), device=device).split(CHUNK)
        vectors = torch.cat([net.vectors(chunk) for chunk in chunks]).cpu().numpy()
        table = net.table[len(corpus.words) :].cpu().numpy()
    grams = Grams(lengths, buckets, rows, np.ascontiguousarray(table)) if len(rows) else None
    return Embeddings(corpus.words, vectors, grams=grams)


def _parts(corpus: Corpus, lengths: tuple[int, int], buckets: int) -> tuple[tuple[Tensor, Tensor] | None, np.ndarray]:
    """The words' n-grams by places in a table of the buckets that are met, and these buckets."""
    if not lengths[1]:
        return None, np.zeros(0, np.int64)
    found, starts = buckets_of([marked(word) for word in corpus.words], lengths, buckets)
    rows, places = np.unique(found, return_inverse=True)
    return (torch.from_numpy(places), torch.from_numpy(starts)), rows


def _seconds(learner: Learner, blocks: Iterator[Block], until: float) -> float:
    """The median time of a step, tried on a copy."""
    trial, times = copy.deepcopy(learner), []
    for _ in range(TRIED):
        started = time.perf_counter()
        trial.step(next(blocks), 1.0)
        times.append(time.perf_counter() - started)
        if len(times) > 2 and time.perf_counter() > until:
            break
    return statistics.median(times)


def _run(learner: Learner, blocks: Iterator[Block], steps: int, tell: Tell, words: int) -> None:
    """The next block is made while the last one is learnt, each by a thread of its own."""
    every, started = max(1, steps // LOGS), time.perf_counter()
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, blocks)
        for step in range(1, steps + 1):
            block = coming.result()
            if step < steps:
                coming = maker.submit(next, blocks)
            loss = learner.step(block, 1 - (step - 1) / steps)
            if step % every == 0 or step == steps:
                seconds = time.perf_counter() - started
                tell(step, {"loss": float(loss) / float(block[2].sum()), "rows": step * words, "seconds": seconds})
