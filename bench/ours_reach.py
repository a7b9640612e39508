"""Ranvier's side of the benches of time to a score, in a process of its own; prints one JSON line.

Usage: python -m bench.ours_reach files DATASET SEED --data FOLDER --target COLUMN --held ROWS [how]
       python -m bench.ours_reach arrays DATASET SEED --file NPZ --held ROWS [how]
       python -m bench.ours_reach net DATASET SEED --file NPZ [how]
       how: [--fit NAME=VALUE ...] [--flat] [--score SCORE] [--limit SECONDS]

files: `fit` on DATASET_train.parquet less the rows held out, which validate; stops at the first validation score of
--score or more. arrays: the same from arrays in memory; --held 0 validates on the test rows, as tutorials do. net:
`ranvier.train.fit` on a plain 784-256-10 network, all training rows; one score, of the test rows, at the end.
--fit: a setting, its value as JSON or as a text: those of `ranvier.plan`, `encoder`, `augment`
and `column` (its options) of the only input, `head` of the target, `fuse`; for net those of `ranvier.train.fit`. The
line has the test accuracy, taken at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import ranvier as rv
from bench.clock import Curve, peak, since_start
from bench.sets import hold_out, pictures
from ranvier.core.training import Callback

Answer = dict[str, Any]
PARTS = ("encoder", "augment")  # of the only input


class Watch(Callback):
    """Notes every validation score, and stops the run as the curve says. seen: rows trained on so far."""

    def __init__(self, curve: Curve) -> None:
        self.curve, self.seen = curve, 0.0

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """True when the score is reached or the time is over."""
        self.seen = record["rows"]
        score = record.get("val_accuracy")
        return self.curve.late if score is None else self.curve.add(score)


def files(args: argparse.Namespace, curve: Curve) -> Answer:
    """A model trained on Parquet files."""
    import polars as pl

    frame = pl.read_parquet(args.data / f"{args.dataset}_train.parquet")
    train, held = hold_out(frame.height, args.held)
    model, seen = fitted(frame[train], frame[held], args, curve)
    test = model.evaluate(args.data / f"{args.dataset}_test.parquet", show=False)["accuracy"]
    return {"test": float(test), "epochs": seen / len(train)}


def arrays(args: argparse.Namespace, curve: Curve) -> Answer:
    """A model trained on arrays."""
    if args.held:
        p = pictures(args.file, args.held)
        parts = {"train": (p.x, p.y), "val": (p.x_val, p.y_val), "test": (p.x_test, p.y_test)}
    else:
        with np.load(args.file) as file:
            test = (file["x_test"], file["y_test"])
            parts = {"train": (file["x"], file["y"]), "val": test, "test": test}
    columns = {
        name: {"image": x.reshape(len(x), -1) if args.flat else x, "label": [f"class {k}" for k in y]}
        for name, (x, y) in parts.items()
    }
    args.target = "label"
    model, seen = fitted(columns["train"], columns["val"], args, curve)
    test = model.evaluate(columns["test"], show=False)["accuracy"]
    return {"test": float(test), "epochs": seen / len(parts["train"][0])}


def fitted(train: Any, held: Any, args: argparse.Namespace, curve: Curve) -> tuple[rv.Model, float]:
    """The model of a plan with what --fit says, and how many rows it was trained on, counted each time."""
    given = settings(args.fit)
    parts = {name: given.pop(name) for name in PARTS if name in given}
    head, fuse, column = given.pop("head", None), given.pop("fuse", None), given.pop("column", {})
    plan = rv.plan(train, args.target, val=held, seed=args.seed, **given)
    (only,) = plan.inputs
    for name, part in parts.items():
        setattr(plan.inputs[only], name, part)
    plan.columns[only].options.update(column)
    if head is not None:
        plan.targets[args.target].head = head
    if fuse is not None:
        plan.fuse = fuse
    watch = Watch(curve)
    return rv.fit(plan, progress=False, callbacks=[watch]), watch.seen


def net(args: argparse.Namespace, curve: Curve) -> Answer:
    """A plain network."""
    import torch

    with np.load(args.file) as file:
        x, y, x_test, y_test = (torch.from_numpy(file[name]) for name in ("x", "y", "x_test", "y_test"))
    torch.manual_seed(args.seed)
    network = rv.nets.MLP(784, [256], 10)
    done = rv.train.fit(network, (_flat(x), y), seed=args.seed, **settings(args.fit))
    with torch.inference_mode():
        score = float((network(_flat(x_test)).argmax(1) == y_test).float().mean())
    curve.add(score)
    return {"test": score, "epochs": done.rows / len(x)}


def _flat(x: Any) -> Any:
    """uint8 (N, 28, 28) to (N, 784) in [0, 1]."""
    return x.flatten(1).float().div_(255)


def settings(words: list[str]) -> dict[str, Any]:
    """{name: value} of NAME=VALUE words; a value that is no JSON is a text. Raises ValueError for other words."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"--fit {word}: expected NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found


KINDS: dict[str, Callable[[argparse.Namespace, Curve], Answer]] = {"files": files, "arrays": arrays, "net": net}


def main() -> None:
    """Reads the command line, trains, tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dataset")
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--target", default="")
    parser.add_argument("--held", type=int, default=0, help="training rows held out for validation")
    parser.add_argument("--flat", action="store_true", help="pixels as vectors of 784 numbers")
    parser.add_argument("--fit", action="append", default=[])
    parser.add_argument("--score", type=float, default=0.0, help="validation accuracy at which to stop")
    parser.add_argument("--limit", type=float, default=0.0, help="seconds after which to give up")
    args = parser.parse_args()
    curve = Curve(args.score, args.limit)
    answer = KINDS[args.kind](args, curve)
    answer |= curve.answer() | {"seconds": since_start(), "rss": peak()}
    print(json.dumps(answer | {"threads": sys.modules["torch"].get_num_threads()}), flush=True)


if __name__ == "__main__":
    main()
