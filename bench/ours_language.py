"""Ranvier's side of the benches of language, in a process of its own; prints one JSON line.

Usage: python -m bench.ours_language text DATASET --data FOLDER [how]
       python -m bench.ours_language pairs DATASET --data FOLDER --source COLUMN --target COLUMN --out JSON [--rows N]
       python -m bench.ours_language tags DATASET --data FOLDER --source COLUMN --target COLUMN [how]

text: `fit` on DATASET_train.txt, a text a line, by characters, from all of its rows; then the loss of DATASET_val.txt.
pairs: from texts to texts, trained on DATASET_train.parquet; what it writes for some rows of DATASET_test.parquet goes
to a file (`sets.chosen` says which). tags: from words to tags; the figures of DATASET_test.parquet.
how: [--time SECONDS] [--fit NAME=VALUE ...], settings of fit; head, encoder and column (its options, of all columns of
texts) are dictionaries.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

import ranvier as rv
from bench.clock import peak, since_start
from bench.figures import paces
from bench.ours_reach import settings
from bench.sets import chosen
from ranvier.core.training import Callback

Answer = dict[str, Any]


class Pace(Callback):
    """Notes how many rows had been trained on, and when: (seconds, rows); and after how many steps."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = [(0.0, 0.0)]
        self.steps: list[float] = [0.0]

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Never stops."""
        self.points.append((record["seconds"], record["rows"]))
        self.steps.append(record["step"])
        return False


def text(args: argparse.Namespace) -> Answer:
    """A language model; its loss is that of each character and each line's end, in windows end to end."""
    pace = Pace()
    train, val = (args.data / f"{args.dataset}_{part}.txt" for part in ("train", "val"))
    started = since_start()
    args.source, args.target = "", "text"
    model = fitted(args, train, [], pace, split="none")
    seconds = since_start() - started
    bits = model.evaluate(val, show=False)["bits_per_character"]
    window = model.plan.targets["text"].head["window"]
    (characters, _), read = _lines(val), _lines(train)
    share = read[0] / sum(read)  # of the tokens, those that are foreseen: the beginnings of lines are not
    return {
        "loss": bits * math.log(2),
        "characters": characters,
        "paces": [window * share * rows for rows in paces(pace.points)],
        "stretch": pace.steps[1] - pace.steps[0],
        "steps": pace.steps[-1],
        "seconds": seconds,
        "training": pace.points[-1][0],
        "parameters": model.parameters,
    }


def _lines(path: Path) -> tuple[int, int]:
    """Characters, an end for each line included; lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(len(line) + 1 for line in lines), len(lines)


def pairs(args: argparse.Namespace) -> Answer:
    """Texts written from texts."""
    model, epochs = passes(args)
    fit = since_start()
    test = pl.read_parquet(args.data / f"{args.dataset}_test.parquet")
    test = test[chosen(test.height, args.rows)]
    said = model.predict(test.select(args.source))[args.target].fill_null("").to_list()
    args.out.write_text(json.dumps({"said": said, "true": test[args.target].to_list()}), encoding="utf-8")
    return {
        "fit": fit,
        "written": since_start() - fit,
        "rows": len(said),
        "epochs": epochs,
        "parameters": model.parameters,
    }


def tags(args: argparse.Namespace) -> Answer:
    """Tags of words."""
    model, epochs = passes(args)
    fit = since_start()
    figures = model.evaluate(args.data / f"{args.dataset}_test.parquet", show=False)
    return {"accuracy": figures["accuracy"], "fit": fit, "epochs": epochs, "parameters": model.parameters}


def passes(args: argparse.Namespace) -> tuple[rv.Model, float]:
    """The model from a file of pairs, and how often it was trained on as many rows as there are."""
    train, pace = args.data / f"{args.dataset}_train.parquet", Pace()
    model = fitted(args, train, [args.source], pace)
    return model, pace.points[-1][1] / pl.scan_parquet(train).select(pl.len()).collect().item()


def fitted(args: argparse.Namespace, train: Path, inputs: list[str], *look: Callback, **usual: Any) -> rv.Model:
    """The model of a plan with what --fit says."""
    given = usual | settings(args.fit)
    head, encoder, column = (given.pop(name, {}) for name in ("head", "encoder", "column"))
    plan = rv.plan(train, args.target, inputs=inputs, time=args.time, seed=args.seed, **given)
    plan.targets[args.target].head.update(head)
    if encoder:
        plan.inputs[args.source].encoder = encoder
    for part in plan.columns.values():
        if part.type == "text":
            part.options.update(column)
    return rv.fit(plan, progress=False, callbacks=look)


KINDS: dict[str, Callable[[argparse.Namespace], Answer]] = {"text": text, "pairs": pairs, "tags": tags}


def main() -> None:
    """Reads the command line, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dataset")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--source", default="")
    parser.add_argument("--target", default="")
    parser.add_argument("--out", type=Path, help="where to keep what was written, and what is true")
    parser.add_argument("--rows", type=int, default=0, help="test rows to write for, 0 = all")
    parser.add_argument("--time", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    answer = KINDS[args.kind](args)
    print(json.dumps(answer | {"rss": peak(), "threads": sys.modules["torch"].get_num_threads()}), flush=True)


if __name__ == "__main__":
    main()
