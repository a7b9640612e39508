"""Ranvier's side of the bench of generation: texts written by a network of default size; prints one JSON line.

Usage: python -m bench.ours_write [--rounds N] [--rows N] [--prompt N] [--tokens N] [--vocabulary N]

Seconds of every round: `one` text with cached keys and values, the same with the whole text read `again` for each
token, and `many` texts in a batch. The weights are random, which changes what is written, not how long it takes; the
end of a text is not written, so that every text has all its tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ranvier.columns.text import END
from ranvier.core.spec import Spec
from ranvier.heads.text import NEVER, TextHead
from ranvier.nets.generate import Scores, write


class Again:
    """Scores of the next token as a net gives them that keeps nothing of what it has read."""

    def __init__(self, head: TextHead) -> None:
        self.head, self.given = head, list[Tensor]()

    def __call__(self, tokens: Tensor, place: Any, mask: Tensor | None) -> Tensor:
        """(B, V)."""
        self.given.append(tokens)
        return self.head.net.next(torch.cat(self.given, 1), self.head.net.start(rows=len(tokens)), None)


def written(head: TextHead, rows: int, prompt: int, tokens: int, scores: Scores) -> Tensor:
    """(rows, tokens) that follow a prompt of so many tokens, drawn as the head draws, the same for every call."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(len(NEVER) + 1, head.net.embedding.num_embeddings, (rows, prompt), generator=generator)
    manner = replace(head.manner, longest=tokens, never=(*NEVER, END))
    with torch.inference_mode():
        return torch.stack(list(write(scores, head.net.start(rows=rows), first, None, manner, END, generator)), 1)


def seconds(call: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Times the three in turn, after a first round that does not count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=2_000)
    args = parser.parse_args()
    torch.manual_seed(0)
    head = TextHead(Spec("tokens", (None,), args.vocabulary, "char"), 0).eval()
    sides: dict[str, Callable[[], Tensor]] = {
        "one": lambda: written(head, 1, args.prompt, args.tokens, head.net.next),
        "many": lambda: written(head, args.rows, args.prompt, args.tokens, head.net.next),
        "again": lambda: written(head, 1, args.prompt, args.tokens, Again(head)),
    }
    texts = {name: call() for name, call in sides.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, call in sides.items():
            found[name].append(seconds(call))
    body, manner = head.net.body, head.manner
    how = {"width": head.net.embedding.embedding_dim, "blocks": len(body.blocks)}  # type: ignore[arg-type]
    how |= {
        "temperature": manner.temperature,
        "top_p": manner.top_p,
        "parameters": sum(map(Tensor.numel, head.parameters())),
    }
    same = bool(torch.equal(texts["one"], texts["again"]))
    print(json.dumps({"seconds": found, "same": same, "threads": torch.get_num_threads(), **how}))


if __name__ == "__main__":
    main()
