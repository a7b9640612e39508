"""Texts written token by token: by sampling, or by a search for the most probable one.

A writer is whatever has `start(...)`, giving where it is, and `scores`, which reads on. Shapes: B rows, T tokens, V
tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ranvier.core.errors import PlanError
from ranvier.nets.characters import Characters
from ranvier.nets.runs import Runs
from ranvier.ops.sampling import draw, forbid_repeats, min_p, penalise_repetition, top_k


@runtime_checkable
class Place(Protocol):
    """Where a writer is, for B rows."""

    def take(self, rows: Tensor, memory: Tensor | None = None) -> None:
        """Goes on with these rows (B',) of those so far, and these (N',) of the memories; None = with all of them.

        Every B' / N' rows in a row, the ways of a search, share a memory.
        """


ANY = 2**31
# of each way to write: its kind, and its least and greatest value
RANGES = {
    "beam": ("whole", 1, 1_000),
    "temperature": ("plain", 0, 1_000),
    "top_k": ("whole", 0, ANY),
    "top_p": ("plain", 0, 1),
    "min_p": ("plain", 0, 1),
    "repetition": ("plain", 0, 1_000),
    "no_repeat": ("whole", 0, ANY),
    "avoid_run": ("whole", 2, 1_000),
    "longest": ("whole", 1, ANY),
}
AHEAD = 2.0  # at 1 many a short text wins that ends too soon; with no bound all searches go on as long as they may

# (tokens (B, T), place, mask (B, T) or None, padding before the real ones) -> scores (B, V) of the token after them
Scores = Callable[[Tensor, Any, Tensor | None], Tensor]


@dataclass(frozen=True)
class Manner:
    """How tokens are chosen.

    beam: 1 = each token as it comes, else how many ways a search follows. temperature: 0 = always the likeliest; above,
    drawn. top_k, top_p, min_p, repetition, no_repeat: see `ops.sampling`. avoid: runs of tokens that are not written.
    whole: characters that are not torn. longest: tokens at most. length: to which power of its length the search
    divides a text's log-probability (Wu et al. 2016, eq. 14, without its constants), so that short ones do not win by
    being short. never: tokens that are not written. best: how many texts of a search are given, `beam` at most.
    """

    beam: int = 1
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 1.0
    no_repeat: int = 0
    avoid: Runs | None = None
    whole: Characters | None = None
    longest: int = 256
    length: float = 1.0
    never: tuple[int, ...] = ()
    best: int = 1


def check_ways(how: Mapping[str, Any]) -> None:
    """Raises PlanError for a way to write, of those in `Manner`, in which no text can be written."""
    for name, value in how.items():
        if name not in RANGES:
            continue
        kind, least, most = RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int if kind == "whole" else int | float):
            raise PlanError(f"{name} = {value!r}: expected a {kind} number")
        if not least <= value <= most:
            raise PlanError(f"{name} = {value!r}: at least {least:g}" + (f", at most {most:g}" if most < ANY else ""))
        if value == 0 and name in ("top_p", "repetition"):
            raise PlanError(f"{name} = 0 must be above 0; 1 = as learnt")


def checked(manner: Manner) -> Manner:
    """The manner. Raises PlanError for one that no text can be written in."""
    check_ways(vars(manner))
    return manner


class Said:
    """What has been written and read so far, as far as it must be known to choose: (B, T) tokens and their mask."""

    def __init__(self, tokens: Tensor, mask: Tensor | None, manner: Manner, end: int) -> None:
        self.manner, self.end = manner, end
        self.tokens = tokens
        self.mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        # whether what was said bears on what is
        self.matters = manner.avoid is not None or manner.repetition != 1 or manner.no_repeat > 0
        self.state = None if manner.whole is None else manner.whole.read(tokens)
        self.never = torch.tensor(manner.never, dtype=torch.long, device=tokens.device)

    def shaped(self, scores: Tensor) -> Tensor:
        """Scores (B, V) of the next token as the manner has them; where none is left, the text ends."""
        m = self.manner
        scores = scores.float().index_fill(1, self.never, -torch.inf)
        scores = penalise_repetition(scores, self.tokens, self.mask, m.repetition)
        scores = forbid_repeats(scores, self.tokens, self.mask, m.no_repeat)
        if m.avoid is not None:
            scores = m.avoid.forbid(scores, self.tokens)
        if m.whole is not None:
            scores = scores.masked_fill(m.whole.torn[self.state], -torch.inf)
        scores[:, self.end] = torch.where(scores.amax(1).isneginf(), 0.0, scores[:, self.end])
        return scores

    def add(self, tokens: Tensor) -> None:
        """(B,) tokens more."""
        if self.manner.whole is not None:
            self.state = self.manner.whole.after[self.state, tokens]
        if not self.matters:
            return
        self.tokens = torch.cat([self.tokens, tokens[:, None]], 1)
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)

    def take(self, rows: Tensor) -> None:
        """Goes on with these rows."""
        self.tokens, self.mask = self.tokens.index_select(0, rows), self.mask.index_select(0, rows)
        self.state = None if self.state is None else self.state.index_select(0, rows)


def write(
    scores: Scores,
    place: Place,
    first: Tensor,
    mask: Tensor | None,
    manner: Manner,
    end: int,
    generator: torch.Generator | None = None,
    done: Tensor | None = None,
) -> Iterator[Tensor]:
    """Tokens (B,) one after another, after the first ones (B, T); a row that has come to its end goes on with `end`.

    Ends when all rows have, or after `manner.longest`. mask: (B, T) of the first ones, padding before the real ones.
    done: (B,) rows that have ended already.
    """
    said = Said(first, mask, manner, end)
    done = first.new_zeros(len(first), dtype=torch.bool) if done is None else done
    given: Tensor = first
    for _ in range(manner.longest):
        now = said.shaped(scores(given, place, mask))
        mask = None
        token = draw(min_p(top_k(now, manner.top_k), manner.min_p), manner.temperature, generator, p=manner.top_p)
        token = torch.where(done, end, token)
        done = done | (token == end)
        yield token
        if bool(done.all()):
            return
        said.add(token)
        given = token[:, None]


def in_place(parents: Tensor) -> Tensor:
    """(N, K) an order of K ways in which each stands where the way stood that it goes on from, if no other does.

    parents: (N, K) which of the K ways before each goes on from. What was kept of those need not be moved then.
    """
    k = parents.shape[1]
    same = parents[:, :, None] == torch.arange(k, device=parents.device)  # (N, way, place)
    first = (same & (same.cumsum(1) == 1)).any(2)
    free = (~same.any(1)).int().argsort(dim=1, descending=True, stable=True)
    place = torch.where(first, parents, free.gather(1, ((~first).cumsum(1) - 1).clamp(min=0)))
    return torch.empty_like(parents).scatter_(1, place, torch.arange(k, device=parents.device).expand_as(parents))


def search(
    scores: Scores, place: Place, first: Tensor, mask: Tensor | None, manner: Manner, end: int
) -> tuple[Tensor, Tensor]:
    """Tokens (B, T) of the most probable text found by beam search, after the first ones, and their mask; END is none.

    With `manner.best` = M above 1, of the M most probable ones, (B, T, M), the best first. A text's worth is its
    log-probability over its length to the power `manner.length`. A row's search ends when none of its open ways would
    be worth more than the last of its M best finished ones, were it to get AHEAD times as long for nothing; the others
    go on without it.
    """
    b, k, m = len(first), manner.beam, manner.best
    device = first.device
    log_p = scores(first, place, mask)
    rows = torch.arange(b, device=device)  # that are still searched
    place.take(rows.repeat_interleave(k))  # the memory is not: it is the same for the k ways of a row
    said = Said(first, mask, manner, end)
    log_p = said.shaped(log_p).log_softmax(1).repeat_interleave(k, 0)
    said.take(rows.repeat_interleave(k))
    total = torch.full((b, k), -torch.inf, device=device)
    total[:, 0] = 0.0  # the k ways are one as yet
    ways = first.new_zeros(b, k, 0)
    best_worth = torch.full((b, m), -torch.inf, device=device)
    best = first.new_full((b, m, manner.longest), end)
    v = log_p.shape[1]
    for step in range(manner.longest):
        n, length = len(rows), (step + 1) ** manner.length
        worth, index = (total[..., None] + log_p.view(n, k, v)).view(n, k * v).topk(min(2 * k, k * v), 1)
        way, token = index // v, index % v
        closes = (token == end) | (step == manner.longest - 1)
        top, which = (worth / length).masked_fill(~closes, -torch.inf).topk(m, 1)
        better = (top[:, 0] > best_worth[rows, -1]).nonzero()[:, 0]
        if len(better):
            found, into = which[better], rows[better]
            texts = best.new_full((len(better), m, manner.longest), end)
            texts[..., :step] = ways[better[:, None], way[better].gather(1, found)]
            texts[..., step] = token[better].gather(1, found)
            worths, order = torch.cat([best_worth[into], top[better]], 1).sort(dim=1, descending=True, stable=True)
            best_worth[into], order = worths[:, :m], order[:, :m, None].expand(-1, -1, manner.longest)
            best[into] = torch.cat([best[into], texts], 1).gather(1, order)
        total, order = worth.masked_fill(closes, -torch.inf).topk(k, 1)
        reach = min(AHEAD * (step + 1), manner.longest) ** manner.length
        going = best_worth[rows, -1] < total[:, 0] / reach
        if not bool(going.any()):
            break
        settled = in_place(way.gather(1, order))
        order, total = order.gather(1, settled), total.gather(1, settled)
        fewer = not bool(going.all())
        kept, chosen = way.gather(1, order), token.gather(1, order)
        keep = torch.arange(n, device=device)[:, None] * k + kept
        ways = torch.cat([ways.gather(1, kept[..., None].expand(-1, -1, step)), chosen[..., None]], 2)
        if fewer:
            rows, total, ways, keep, chosen = (part[going] for part in (rows, total, ways, keep, chosen))
        place.take(keep.flatten(), going.nonzero()[:, 0] if fewer else None)
        said.take(keep.flatten())
        said.add(chosen.flatten())
        log_p = said.shaped(scores(chosen.view(-1, 1), place, None)).log_softmax(1)
    best = best[:, 0] if m == 1 else best.transpose(1, 2)
    written = (best == end).cumsum(1) == 0
    longest = int(written.sum(1).max()) if b else 0
    return best[:, :longest], written[:, :longest]
