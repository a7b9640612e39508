"""The linear-chain conditional random field: log-partition, marginals, the best path.

A path y over the T words of a row scores start[y_1] + sum_t scores[t, y_t] + sum_t steps[y_t-1, y_t] + end[y_T], and
its probability is softmax over all paths (Lafferty, McCallum & Pereira, ICML 2001, eq. 1). Sums over paths are taken in
float64 and in probabilities scaled at every word (Rabiner 1989, sec. V.A), so that each word costs one product of
matrices instead of C^2 exponentials. Transitions of -inf are never taken.

Shapes: B rows, T words, C labels. A mask (B, T) is True where a word is real, and real words come first; a row may have
none: its log-partition is 0, and its path empty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

TINY = 1e-300  # keeps what cannot be from being divided by 0
ROOM = 1 << 18  # numbers that are compared at once, so that a processor's cache holds them


class Links(NamedTuple):
    """What stands between words. start: (C,) of a first label. steps: (C, C) from a label to the next. end: (C,)."""

    start: Tensor
    steps: Tensor
    end: Tensor


class _Sums(NamedTuple):
    """The scaled forward pass. ahead: (T, B, C), sums over the paths up to each word, each summing to 1. words: (T, B,
    C) exp(scores - their greatest). scale: (T, B) what ahead was divided by. steps, end: exp of the links less their
    greatest. log_z: (B,)."""

    ahead: Tensor
    words: Tensor
    scale: Tensor
    steps: Tensor
    end: Tensor
    log_z: Tensor


def log_partition(scores: Float[Tensor, "b t c"], links: Links, mask: Bool[Tensor, "b t"]) -> Float[Tensor, " b"]:
    """(B,) log of the sum over all paths of exp(their score), in the type of the scores; has a first derivative."""
    return _LogPartition.apply(scores, *links, mask)


def path_score(
    scores: Float[Tensor, "b t c"], links: Links, mask: Bool[Tensor, "b t"], path: Int[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """(B,) the score of one path a row; labels beyond the mask may be anything in [0, C)."""
    if not mask.shape[1]:
        return scores.new_zeros(len(scores))
    real = mask.to(scores.dtype)
    words = (scores.gather(2, path[..., None])[..., 0] * real).sum(1)
    taken = links.steps[path[:, :-1], path[:, 1:]]
    between = torch.where(mask[:, 1:], taken, torch.zeros_like(taken)).sum(1)
    last = path.gather(1, (mask.sum(1, keepdim=True) - 1).clamp_min(0))[:, 0]
    ends = links.start[path[:, 0]] + links.end[last]
    return words + between + torch.where(mask.any(1), ends, torch.zeros_like(ends))


def marginals(scores: Float[Tensor, "b t c"], links: Links, mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t c"]:
    """(B, T, C) each word's probability of each label over all paths; zeros beyond the mask."""
    sums = _forward(scores.detach(), links, mask)
    return _backward(sums, mask)[0].transpose(0, 1).to(scores.dtype)


@torch.no_grad()
def best_path(scores: Float[Tensor, "b t c"], links: Links, mask: Bool[Tensor, "b t"]) -> Int[Tensor, "b t"]:
    """(B, T) the path of the highest score (Viterbi 1967), 0 beyond the mask.

    Only the scores are kept on the way ahead; which label led there is found on the way back, for the path alone. Rows
    stand by length meanwhile, so that none is computed beyond its end.
    """
    b, t = mask.shape
    order = mask.sum(1).argsort(descending=True)
    scores = scores[order]
    best: list[Tensor] = []
    for k, rows in enumerate(mask.sum(0).tolist()):  # how many rows have a word there
        if not rows:
            break
        before = _onward(best[-1][:rows], links.steps) if k else links.start
        best.append(before + scores[:rows, k])
    into = torch.cat([links.steps.T, links.end[None]])  # (to, from), and to the end
    label = order.new_full((b,), len(links.end))
    path = order.new_zeros(b, t)
    for k in range(len(best) - 1, -1, -1):
        rows = len(best[k])
        path[:rows, k] = label[:rows] = (best[k] + into[label[:rows]]).argmax(1)
    return torch.empty_like(path).index_copy_(0, order, path)


def _onward(best: Tensor, steps: Tensor) -> Tensor:
    """(B, C) the highest score of a path one word longer, without that word's own.

    The label that is left stands first, so that whole rows are compared, some at a time.
    """
    c = len(steps)
    room = best.new_empty(c, min(len(best), max(1, ROOM // c**2)), c)
    parts = [
        torch.add(rows.T[:, :, None], steps[:, None], out=room[:, : len(rows)]).amax(0)
        for rows in best.split(room.shape[1])
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class _LogPartition(torch.autograd.Function):
    """The derivative of the log-partition is how often each label, and each pair of labels, is expected."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, start: Tensor, steps: Tensor, end: Tensor, mask: Tensor) -> Tensor:
        links = Links(start, steps, end)
        sums = _forward(scores, links, mask)
        ctx.save_for_backward(*sums, mask)
        ctx.dtypes = (scores.dtype, steps.dtype)
        return sums.log_z.to(scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        *kept, mask = ctx.saved_tensors
        sums = _Sums(*kept)
        labels, after = _backward(sums, mask)
        slope = slope.double()
        labels = labels * slope[:, None]
        # sum over words and rows of ahead[t - 1, i] steps[i, j] after[t, j]
        pairs = (sums.ahead[:-1] * slope[:, None]).flatten(0, 1).T @ after.flatten(0, 1) * sums.steps
        last = _last(labels, mask)
        words, links = ctx.dtypes
        given = labels.transpose(0, 1).to(words)
        return given, labels[0].sum(0).to(links), pairs.to(links), last.sum(0).to(links), None


def _forward(scores: Tensor, links: Links, mask: Tensor) -> _Sums:
    b, t, c = scores.shape
    words = scores.double().transpose(0, 1)
    highest = words.amax(2) if c else words.new_zeros(t, b)
    words = (words - highest[..., None]).exp_()
    (start, top), (steps, most), (end, last) = (_exponential(part.double()) for part in links)
    real = mask.T
    ahead: list[Tensor] = []
    scale: list[Tensor] = []
    for k in range(t):
        now = (ahead[-1] @ steps if k else start) * words[k]
        total = now.sum(1).clamp_min(TINY)
        now = now / total[:, None]
        ahead.append(now if not k else torch.where(real[k][:, None], now, ahead[-1]))
        scale.append(total)
    if not t:
        zeros = words.new_zeros(0, b, c)
        return _Sums(zeros, zeros, zeros.new_zeros(0, b), steps, end, words.new_zeros(b))
    stacked, scales = torch.stack(ahead), torch.stack(scale)
    finished = (ahead[-1] @ end).clamp_min(TINY)
    count = real.sum(0)
    log_z = ((scales.log() + highest) * real).sum(0) + finished.log() + top + last + most * (count - 1)
    return _Sums(stacked, words, scales, steps, end, torch.where(count > 0, log_z, 0.0))


def _exponential(part: Tensor) -> tuple[Tensor, Tensor]:
    """exp(part - its greatest), and the greatest; of a part that is -inf everywhere zeros."""
    greatest = part.amax()
    greatest = torch.where(greatest.isfinite(), greatest, torch.zeros_like(greatest))
    return (part - greatest).exp(), greatest


def _backward(sums: _Sums, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(T, B, C) marginals, zeros beyond the mask; (T - 1, B, C) what pairs of labels are to be multiplied by."""
    t = len(sums.ahead)
    real = mask.T
    if not t:
        return sums.ahead, sums.ahead
    behind = sums.end / (sums.ahead[-1] @ sums.end).clamp_min(TINY)[:, None]
    every, after = [sums.ahead[-1] * behind], []
    for k in range(t - 1, 0, -1):
        onward = sums.words[k] * behind / sums.scale[k][:, None]
        onward = onward * real[k][:, None]
        after.append(onward)
        behind = torch.where(real[k][:, None], onward @ sums.steps.T, behind)
        every.append(sums.ahead[k - 1] * behind)
    labels = torch.stack(every[::-1]) * real[..., None]
    pairs = torch.stack(after[::-1]) if after else labels[:0]
    return labels, pairs


def _last(labels: Tensor, mask: Tensor) -> Tensor:
    """(B, C) of the last real word of each row, zeros for a row without any."""
    place = (mask.sum(1) - 1).clamp_min(0)
    return labels[place, torch.arange(len(place), device=place.device)]
