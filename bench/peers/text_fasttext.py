"""fastText on the newsgroups; prints JSON lines.

Usage: python text_fasttext.py tune --file JSON --held ROWS [--quick]
       python text_fasttext.py train --file JSON --rate X --epochs N --ngrams N [--seed N]

tune: every combination of rates, epochs and n-grams below, trained on all training rows but those held out, a line each
with the accuracy on these. train: one such setting on all training rows, tested on the test rows. All else is at
fastText's defaults for supervised learning (width 100, softmax, 2,000,000 buckets), with a thread a core. The rows are
shuffled first: they come sorted by label, and fastText trains on lines in their order.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import peak, since_start
from sets import Texts, texts

RATES, EPOCHS, NGRAMS = (0.1, 0.25, 0.5, 1.0), (5, 10, 25), (1, 2, 3)
QUICK = ((0.5, 1.0), (5,), (1,))


def write(part: Texts, path: Path) -> None:
    """One text a line, its label in front, as fastText reads it; in random order, for it trains in that of the file."""
    order = np.random.default_rng(0).permutation(len(part.texts))
    lines = (f"__label__{part.labels[row]} {flat(part.texts[row])}\n" for row in order)
    path.write_text("".join(lines), encoding="utf-8")


def flat(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def trained(path: Path, rate: float, epochs: int, ngrams: int, seed: int = 0) -> Any:
    """A model."""
    cores = len(os.sched_getaffinity(0))
    how = {"lr": rate, "epoch": epochs, "wordNgrams": ngrams, "seed": seed, "thread": cores, "verbose": 0}
    return fasttext.train_supervised(str(path), **how)


def accuracy(model: Any, part: Texts) -> float:
    """The share of rows that are right."""
    found, _ = model.predict([flat(text) for text in part.texts])
    return float(np.mean([each[0] == f"__label__{label}" for each, label in zip(found, part.labels, strict=True)]))


def tried(path: Path, rate: float, epochs: int, ngrams: int, val: Texts) -> float:
    """The accuracy on validation rows; 0 for settings at which training diverges."""
    try:
        return accuracy(trained(path, rate, epochs, ngrams), val)
    except RuntimeError as error:
        if "NaN" not in str(error):
            raise
        return 0.0


def main() -> None:
    """Tunes, or trains and tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tune", "train"))
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--held", type=int, default=1, help="training rows held out for validation")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--ngrams", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    train, val, test = texts(args.file, args.held)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        if args.what == "tune":
            write(train, path)
            for rate, epochs, ngrams in itertools.product(*(QUICK if args.quick else (RATES, EPOCHS, NGRAMS))):
                start = time.perf_counter()
                score = tried(path, rate, epochs, ngrams, val)
                line = {"rate": rate, "epochs": epochs, "ngrams": ngrams, "validation": score}
                print(json.dumps(line | {"seconds": time.perf_counter() - start}), flush=True)
            return
        whole = Texts([*train.texts, *val.texts], np.concatenate([train.labels, val.labels]), train.classes)
        write(whole, path)
        model = trained(path, args.rate, args.epochs, args.ngrams, args.seed)
    answer = {"accuracy": accuracy(model, test), "seconds": since_start(), "rss": peak()}
    print(json.dumps(answer | {"threads": len(os.sched_getaffinity(0))}))


if __name__ == "__main__":
    main()
