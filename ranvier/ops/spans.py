"""Spans within texts: the best one by the scores of its ends, and figures of answers as SQuAD has them.

Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", EMNLP 2016, section 6.1.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ranvier.ops.texts import UNSPACED

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def best_span(
    start: Float[Tensor, "b t"], end: Float[Tensor, "b t"], real: Bool[Tensor, "b t"], longest: int
) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"], Float[Tensor, " b"]]:
    """The first and the last token (B,) of the span of at most `longest` that scores start + end best, and its score.

    real: (B, T) tokens that a span may begin and end with. -inf, and tokens 0, where there is none.
    """
    b, t = start.shape
    first = torch.zeros(b, dtype=torch.long, device=start.device)
    last, score = first, start.new_full((b,), -torch.inf)
    if not t:
        return first, last, score
    begins, ends = start.masked_fill(~real, -torch.inf), end.masked_fill(~real, -torch.inf)
    for more in range(min(longest, t)):
        best, place = (begins[:, : t - more] + ends[:, more:]).max(1)
        better = best > score
        first, last = torch.where(better, place, first), torch.where(better, place + more, last)
        score = torch.where(better, best, score)
    return first, last, score


def answer_words(text: str) -> list[str]:
    """Words in small letters without punctuation and English articles; characters of scripts without spaces each."""
    composed = unicodedata.normalize("NFC", text).lower()
    plain = "".join(sign for sign in composed if not _is_punctuation(sign))
    return UNSPACED.sub(r" \1 ", _ARTICLES.sub(" ", plain)).split()


def overlap(said: list[str], true: list[str]) -> float:
    """The harmonic mean of precision and recall of the words; 1 if there are none in both, 0 if in one."""
    if not said or not true:
        return float(said == true)
    return 2 * (Counter(said) & Counter(true)).total() / (len(said) + len(true))


def _is_punctuation(sign: str) -> bool:
    return sign in string.punctuation or unicodedata.category(sign)[0] == "P"
