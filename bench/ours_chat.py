"""Ranvier's side of the bench of chat: learns replies and answers prompts as `ranvier chat` does; prints one JSON line.

Usage: python -m bench.ours_chat SEED --data FOLDER --prompts JSON [--fit NAME=VALUE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings
from ranvier.model.chat import Chat


def main() -> None:
    """Fits and answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--prompts", type=json.loads, required=True)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    train = pl.read_parquet(args.data / "chat_train.parquet")
    if known := set(args.prompts) & set(train["prompt"]):
        raise ValueError(f"prompts that are training rows: {known}")
    start = time.perf_counter()
    model = rv.fit(train, target="reply", inputs=["prompt"], seed=args.seed, progress=False, **settings(args.fit))
    fitted = time.perf_counter()
    talk = Chat(model, seed=args.seed)
    replies = ["".join(talk.say(prompt)) for prompt in args.prompts]
    end = time.perf_counter()
    answer = {"replies": replies, "fitted": fitted - start, "chat": end - fitted, "rss": peak()}
    figures = model.evaluate(args.data / "chat_test.parquet", show=False)
    answer |= {"test": {name: float(value) for name, value in figures.items()}}
    print(json.dumps(answer | {"parameters": model.parameters, "epochs": model.plan.train.epochs}))


if __name__ == "__main__":
    main()
