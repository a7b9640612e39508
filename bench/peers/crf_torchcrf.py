"""The linear-chain CRF of pytorch-crf and ranvier's, on the same numbers; prints a JSON line for every size.

Usage: python crf_torchcrf.py [--rounds N] [--quick]

A batch of 64 rows of unlike lengths, fp32: the loss forward and back, and the best path, both sides in one process and
interleaved; the first round does not count. Ranvier's needs torch and jaxtyping alone, so it runs in the peer's
environment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchcrf import CRF as Theirs

sys.path.append(str(Path(__file__).resolve().parents[2]))
from ranvier.nets.crf import CRF as Ours
from ranvier.ops.crf import Links, path_score

ROWS, SIZES = 64, ((20, 50), (35, 75), (50, 100))  # (words, labels)
Call = Callable[[], object]


def pair(labels: int) -> tuple[Ours, Theirs]:
    """Both layers, with the same links."""
    ours, theirs = Ours(labels), Theirs(labels, batch_first=True)
    with torch.no_grad():
        for a, b in ((ours.start, theirs.start_transitions), (ours.steps, theirs.transitions)):
            a.copy_(b.normal_())
        ours.end.copy_(theirs.end_transitions.normal_())
    return ours, theirs


def ragged(words: int) -> Tensor:
    """(ROWS, words) True where a word is; a row has a third of the words at least, and the first row all."""
    lengths = torch.randint(max(1, words // 3), words + 1, (ROWS,))
    lengths[0] = words
    return torch.arange(words) < lengths[:, None]


def compared(words: int, labels: int, rounds: int) -> dict[str, object]:
    """Milliseconds of both sides, and how far their answers are apart."""
    torch.manual_seed(0)
    ours, theirs = pair(labels)
    mask, path = ragged(words), torch.randint(labels, (ROWS, words))
    drawn = torch.randn(ROWS, words, labels)
    scores = [drawn.clone().requires_grad_() for _ in range(2)]

    def loss(side: int) -> Tensor:
        for p in (scores[side], *(ours, theirs)[side].parameters()):
            p.grad = None
        each = ours(scores[0], path, mask) if side == 0 else -theirs(scores[1], path, mask=mask, reduction="none")
        each.sum().backward()
        return each.detach()

    @torch.inference_mode()
    def best(side: int) -> object:
        return ours.best(scores[0], mask) if side == 0 else theirs.decode(scores[1], mask=mask)

    a, b = loss(0), loss(1)
    answer: dict[str, object] = {"words": words, "labels": labels, "loss apart": _apart(a, b)}
    answer["gradient apart"] = max(
        _apart(x, y)
        for x, y in (
            (scores[0].grad, scores[1].grad),
            (ours.steps.grad, theirs.transitions.grad),
            (ours.start.grad, theirs.start_transitions.grad),
            (ours.end.grad, theirs.end_transitions.grad),
        )
    )
    found = best(1)
    said = torch.tensor([[*row, *[0] * (words - len(row))] for row in found])  # type: ignore[attr-defined]
    links = Links(*(p.detach().double() for p in ours.links()))
    totals = [path_score(scores[0].detach().double(), links, mask, p) for p in (best(0), said)]  # type: ignore[arg-type]
    answer["path apart"] = _apart(*totals)
    for name, call in (("loss", loss), ("path", best)):
        answer[name] = _interleaved([lambda c=call: c(0), lambda c=call: c(1)], rounds)
    return answer | {"threads": torch.get_num_threads()}


def _apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, over the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def _interleaved(calls: list[Call], rounds: int) -> list[float]:
    """Median milliseconds of each."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, taken in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    return [1e3 * statistics.median(taken[1:]) for taken in seconds]


def main() -> None:
    """Compares them at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    for words, labels in SIZES[:1] if args.quick else SIZES:
        print(json.dumps(compared(words, labels, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
