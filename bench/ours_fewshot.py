"""Ranvier's side of the few-shot bench: one split of the classes, in a process of its own; prints a JSON line.

Usage: python -m bench.ours_fewshot SPLIT --data FOLDER [--draws N] [--rows N] [--fit NAME=VALUE ...]

rows: of each class trained on, 0 = all.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.ours_reach import settings
from bench.shots import halves, shots
from ranvier.model.identity import Gallery

LABEL = "label"


def main() -> None:
    """Reads the command line and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("split", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    train, test = (pl.read_parquet(args.data / f"fashion_{part}.parquet") for part in ("train", "test"))
    names = train[LABEL].unique().sort().to_list()
    learnt, novel = ([names[c] for c in part] for part in halves()[args.split])
    rows = of(train, learnt)
    rows = rows.group_by(LABEL, maintain_order=True).head(args.rows or rows.height)
    begun = time.perf_counter()
    model = rv.fit(rows, LABEL, types={LABEL: "identity"}, progress=False, **settings(args.fit))
    fitted = time.perf_counter() - begun
    new = of(test, novel)
    code = train[LABEL].replace_strict(names, list(range(len(names)))).to_numpy()
    drawn = [shots(code, halves()[args.split][1], args.split, draw) for draw in range(args.draws)]
    (network,) = model.networks
    asked = unit(network.answers(new, [])[LABEL]["vector"])
    each = []
    for draw in drawn:
        gallery = Gallery()
        for name, chosen in zip(novel, draw, strict=True):
            gallery = gallery.with_one(name, unit(network.answers(train[chosen], [])[LABEL]["vector"]), replace=False)
        each.append(float((np.array(gallery.nearest(asked)[0]) == new[LABEL].to_numpy()).mean()))
    for name, chosen in zip(novel, drawn[0], strict=True):  # as a user has it, beside the classes of training
        model.learn(name, train[chosen])
    among_all = float((model.predict(new)[LABEL] == new[LABEL]).mean())
    line = {"split": args.split, "novel": novel, "accuracy": float(np.mean(each)), "draws": each}
    line |= {"among_all": among_all, "fitted": fitted, "rows": rows.height, "parameters": model.parameters}
    print(json.dumps({**line, **model.judge(new).metrics, "rss": peak()}), flush=True)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each with length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def of(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The rows of these classes."""
    return frame.filter(pl.col(LABEL).is_in(names))


if __name__ == "__main__":
    main()
