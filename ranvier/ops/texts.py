"""Figures of written texts against true ones: BLEU, chrF, ROUGE-L, in sums over rows.

Words are found in any script: in those written without spaces each character is one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

UNSPACED = re.compile(r"([぀-ヿ㐀-䶿一-鿿豈-﫿฀-࿿က-႟ក-៿])")
_SYMBOLS = re.compile(r"([{-~\[-` -&(-+:-@/])")
_STOPS = ((re.compile(r"([^0-9])([.,])"), r"\1 \2 "), (re.compile(r"([.,])([^0-9])"), r" \1 \2"))
_DASH = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WORD = re.compile(r"[^\W_]+")
BLEU_ORDER, CHRF_ORDER, BETA = 4, 6, 2.0


def bleu_words(text: str) -> list[str]:
    """Words and signs as the NIST script mteval-v13a divides them, and characters of scripts without spaces."""
    text = text.replace("\n", " ")
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    text = UNSPACED.sub(r" \1 ", f" {text} ")
    text = _SYMBOLS.sub(r" \1 ", text)
    for pattern, spaced in _STOPS:
        text = pattern.sub(spaced, text)
    return _DASH.sub(r"\1 \2 ", text).split()


def plain_words(text: str) -> list[str]:
    """Runs of letters and digits in small letters, and characters of scripts without spaces."""
    return _WORD.findall(UNSPACED.sub(r" \1 ", text.lower()))


def ngrams(parts: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n parts stands there."""
    return Counter(zip(*(parts[i:] for i in range(n)), strict=False))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, by bits (Crochemore et al. 2001)."""
    where: dict[str, int] = {}
    for place, word in enumerate(one):
        where[word] = where.get(word, 0) | 1 << place
    whole = (1 << len(one)) - 1
    free = whole  # bits that are 0 mark the ends of common subsequences, each longer by one
    for word in other:
        hits = free & where.get(word, 0)
        free = ((free + hits) | (free - hits)) & whole
    return len(one) - free.bit_count()


class Texts:
    """Figures of texts over rows.

    bleu: geometric mean of the precisions of runs of one to four words over all rows, times a penalty for short texts,
    in percent (Papineni et al., ACL 2002), with precisions of 0 smoothed as sacrebleu does. chrf: F-score, recall
    counting twice, of runs of one to six characters without spaces, in percent (Popovic, WMT 2015). rouge_l: mean over
    rows of the F-score of the longest common subsequence of words, from 0 to 1 (Lin 2004). exact_match: share of rows
    that are the same but for white space at their ends.
    """

    def __init__(self) -> None:
        self.rows = self.same = 0
        self.rouge = 0.0
        self.lengths = [0, 0]  # words said and true
        self.words = [[0, 0] for _ in range(BLEU_ORDER)]  # runs that are right, and all that are said
        self.letters = [[0, 0, 0] for _ in range(CHRF_ORDER)]  # runs in common, said, true

    def add(self, said: Iterable[str], true: Iterable[str]) -> None:
        """Adds rows."""
        for one, other in zip(said, true, strict=True):
            self.rows += 1
            self.same += one.strip() == other.strip()
            self._bleu(bleu_words(one), bleu_words(other))
            self._chrf("".join(one.split()), "".join(other.split()))
            self.rouge += _f_score(plain_words(one), plain_words(other))

    def compute(self) -> dict[str, float]:
        """The figures over all rows so far; empty if there were none."""
        if not self.rows:
            return {}
        return {
            "bleu": self._bleu_score(),
            "chrf": self._chrf_score(),
            "rouge_l": self.rouge / self.rows,
            "exact_match": self.same / self.rows,
        }

    def _bleu(self, said: list[str], true: list[str]) -> None:
        self.lengths[0] += len(said)
        self.lengths[1] += len(true)
        for n, counts in enumerate(self.words, 1):
            own = ngrams(said, n)
            counts[0] += (own & ngrams(true, n)).total()
            counts[1] += own.total()

    def _bleu_score(self) -> float:
        logs, smoothing = 0.0, 1.0
        for right, total in self.words:
            if not total:
                return 0.0
            if not right:
                smoothing *= 2
            logs += math.log(right / total if right else 1 / (smoothing * total))
        if not any(right for right, _ in self.words):
            return 0.0
        said, true = self.lengths
        return 100 * math.exp(logs / BLEU_ORDER + min(0.0, 1 - true / said))

    def _chrf(self, said: str, true: str) -> None:
        for n, counts in enumerate(self.letters, 1):
            own, other = ngrams(said, n), ngrams(true, n)
            counts[0] += (own & other).total()
            counts[1] += own.total() if other else 0  # a true text too short for such runs asks for none
            counts[2] += other.total()

    def _chrf_score(self) -> float:
        there = [(common / said, common / true) for common, said, true in self.letters if said and true]
        if not there:
            return 0.0
        precision = sum(p for p, _ in there) / len(there)
        recall = sum(r for _, r in there) / len(there)
        if not precision + recall:
            return 0.0
        return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _f_score(said: list[str], true: list[str]) -> float:
    if not said or not true:
        return float(said == true)
    common = longest_common(said, true)
    return 2 * common / (len(said) + len(true))
