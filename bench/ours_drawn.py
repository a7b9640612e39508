"""Ranvier's side of the benches of generators, in a process of its own; prints JSON lines.

Usage: python -m bench.ours_drawn restored|anomalies|drawn|rows SEED --data FOLDER [how]
       how: [--code N] [--count N] [--classes N] [--heads NAME ...] [--table NAME] [--out FOLDER] [--fit NAME=VALUE ...]

restored: Fashion-MNIST through a code of so many numbers; the squared error of the test pictures, that of as many
principal components of the training pictures, and what codes of few bits lose. anomalies: for each of the first
classes an autoencoder of its training pictures; how well the squared error tells its test pictures from all others
(area under the curve), and that of principal components. drawn: pictures of given classes by each of the heads; how far
they are from the test pictures in the vectors of a classifier that Ranvier trains first, and how often a second one
recognises the class; a grid of each in --out. rows: the rows of a table that are drawn beside its training rows, as
CSV in --out. --fit: a setting of `ranvier.fit`, of all networks but the classifiers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import ranvier as rv
from bench.clock import peak
from bench.folds import split, tables
from bench.ours_reach import settings
from ranvier.model.pictures import to_grid

Line = dict[str, Any]
PICTURE, CLASS = "image", "label"


def parts(args: argparse.Namespace) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The training and the test pictures with their classes."""
    train, test = (pl.read_parquet(args.data / f"fashion_{part}.parquet") for part in ("train", "test"))
    return train, test


def restored(args: argparse.Namespace) -> Iterator[Line]:
    """One line."""
    train, test = (frame.select(PICTURE) for frame in parts(args))
    begun = time.perf_counter()
    plan = rv.plan(train, PICTURE, inputs=[PICTURE], seed=args.seed, **settings(args.fit))
    plan.fuse["code"] = args.code
    model = rv.fit(plan, progress=False)
    fitted = time.perf_counter() - begun
    mine = model.evaluate(test, show=False)["rmse"] ** 2
    known, asked = pixels(model, train), pixels(model, test)
    theirs = float(np.mean((asked - Components(known, args.code)(asked)) ** 2))
    bits = model.compression(test[: 8 * args.count]).to_dicts()
    done = {"fitted": fitted, "epochs": model.plan.train.epochs, "parameters": model.parameters, "rss": peak()}
    yield {"squared": mine, "components": theirs, "bits": bits, **done}


def anomalies(args: argparse.Namespace) -> Iterator[Line]:
    """A line for each class."""
    train, test = parts(args)
    for kind in sorted(train[CLASS].unique())[: args.classes]:
        clean = train.filter(pl.col(CLASS) == kind).select(PICTURE)
        begun = time.perf_counter()
        plan = rv.plan(clean, PICTURE, inputs=[PICTURE], seed=args.seed, **settings(args.fit))
        model = rv.fit(plan, progress=False)
        fitted = time.perf_counter() - begun
        strange = model.anomalies(test.select(PICTURE), clean)["strangeness"].to_numpy()
        asked, other = pixels(model, test), (test[CLASS] != kind).to_numpy()
        plain = ((asked - Components(pixels(model, clean), args.code)(asked)) ** 2).mean(1)
        yield {"class": kind, "auc": auc(strange, other), "components": auc(plain, other), "fitted": fitted}


def drawn(args: argparse.Namespace) -> Iterator[Line]:
    """A line for the classifiers, and one for each head."""
    train, test = parts(args)
    judges = [rv.fit(train, CLASS, seed=args.seed + n, epochs=args.epochs, progress=False) for n in range(2)]
    right = [judge.evaluate(test, show=False)["accuracy"] for judge in judges]
    yield {"accuracy": right, "self": rv.fidelity(test, train.sample(test.height, seed=0), by=judges[0])}
    given = test.select(CLASS).sample(min(args.count, test.height), seed=0)
    for head in args.heads:
        begun = time.perf_counter()
        plan = rv.plan(train, PICTURE, inputs=[CLASS], seed=args.seed, **settings(args.fit))
        plan.targets[PICTURE].head = {"name": head}
        model = rv.fit(plan, progress=False)
        fitted, begun = time.perf_counter() - begun, time.perf_counter()
        made = model.sample(1, given=given, seed=args.seed)
        spent = time.perf_counter() - begun
        told = rv.fidelity(test, made, by=judges[0])
        known = judges[1].predict(made.select(PICTURE))[CLASS]
        if args.out:
            kinds = sorted(train[CLASS].unique())
            grid = model.sample(8, given={CLASS: kinds}, seed=args.seed)
            to_grid(grid[PICTURE], model.columns[PICTURE], args.out / f"{head}.png", 8)
        yield {
            "head": head,
            **{name: told[name] for name in ("fid", "precision", "recall")},
            "recognised": float((known == made[CLASS]).mean()),  # type: ignore[arg-type]
            "fitted": fitted,
            "drawing": spent / made.height,
            "epochs": model.history[-1]["rows"] / (train.height * 0.9),
            "parameters": model.parameters,
            "rss": peak(),
        }


def rows(args: argparse.Namespace) -> Iterator[Line]:
    """One line; the rows that are learnt from, those held out, and those drawn, are CSV files in --out."""
    table = next(each for each in tables(args.data) if each.name == args.table)
    frame = pl.read_parquet(table.path(args.data))
    known, held = (frame[index] for index in split(frame[table.target].to_numpy(), table.classes, 0, 0, 4))
    begun = time.perf_counter()
    plan = rv.plan(known, "*", seed=args.seed, **settings(args.fit))
    model = rv.fit(plan, progress=False)
    fitted = time.perf_counter() - begun
    made = model.sample(known.height, seed=args.seed)
    names = plan.data.together
    for name, part in {"known": known, "held": held, "drawn": made}.items():
        part.select(names).write_csv(args.out / f"{args.table}_{name}.csv")
    told = {"target": table.target, "classes": table.classes, "columns": len(names), "rows": known.height}
    yield {**told, "fitted": fitted, "epochs": model.plan.train.epochs, "parameters": model.parameters, "rss": peak()}


class Components:
    """The principal components of rows (N, D), so many: what rows look like in them."""

    def __init__(self, known: np.ndarray, count: int) -> None:
        self.mean = known.mean(0)
        _, vectors = np.linalg.eigh(np.cov(known, rowvar=False))
        self.axes = vectors[:, -count:]

    def __call__(self, asked: np.ndarray) -> np.ndarray:
        """(N, D)."""
        return (asked - self.mean) @ self.axes @ self.axes.T + self.mean


def pixels(model: rv.Model, frame: pl.DataFrame) -> np.ndarray:
    """(N, H * W) between 0 and 1."""
    return model.columns[PICTURE].encode(frame[PICTURE]).data.reshape(frame.height, -1) / 255.0


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive row's score is higher than another's; ties count half."""
    ranks = pl.Series(scores).rank().to_numpy()
    ones = int(positive.sum())
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * (len(scores) - ones)))


KINDS = {"restored": restored, "anomalies": anomalies, "drawn": drawn, "rows": rows}


def main() -> None:
    """Reads the command line and prints a line for every answer, as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*KINDS])
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--code", type=int, default=32)
    parser.add_argument("--count", type=int, default=10_000, help="pictures that are drawn")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--epochs", type=float, default=4.0, help="of the classifiers")
    parser.add_argument("--heads", nargs="*", default=["vae", "gan", "diffusion"])
    parser.add_argument("--table", default="penguins")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--fit", action="append", default=[])
    args = parser.parse_args()
    for line in KINDS[args.kind](args):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
