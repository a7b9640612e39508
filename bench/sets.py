"""The rows that every side of a bench trains and validates on, and the data as plain arrays and lists.

numpy and the standard library only: it runs in each peer's own environment.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def hold_out(rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(training rows, validation rows), each sorted; a pure function of the arguments.

    Raises ValueError unless some rows are left for each.
    """
    if not 0 < count < rows:
        raise ValueError(f"{count} of {rows} rows cannot be held out; expected 1 to {rows - 1}")
    order = np.random.default_rng([20_260_102, rows]).permutation(rows)
    return np.sort(order[count:]), np.sort(order[:count])


def chosen(rows: int, count: int) -> np.ndarray:
    """(count,) numbers of rows, sorted: the same for all sides; all rows if count is 0 or more than there are."""
    return hold_out(rows, count)[1] if 0 < count < rows else np.arange(rows)


@dataclass(frozen=True)
class Pictures:
    """Fashion-MNIST as arrays: x uint8 (N, 28, 28), y integers (N,)."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def pictures(path: Path, count: int) -> Pictures:
    """The arrays that `bench/arrays.py` wrote, `count` training rows held out for validation."""
    with np.load(path) as file:
        x, y, x_test, y_test = (file[name] for name in ("x", "y", "x_test", "y_test"))
    train, val = hold_out(len(x), count)
    return Pictures(x[train], y[train], x[val], y[val], x_test, y_test)


@dataclass(frozen=True)
class Texts:
    """Texts and their labels as numbers (N,)."""

    texts: list[str]
    labels: np.ndarray
    classes: list[str]


def texts(path: Path, count: int) -> tuple[Texts, Texts, Texts]:
    """(training, validation, test) rows of what `bench/arrays.py` wrote, `count` training rows held out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    classes = content["classes"]
    parts = {name: content[name] for name in ("train", "test")}
    train, val = hold_out(len(parts["train"]["texts"]), count)

    def rows(part: str, index: np.ndarray) -> Texts:
        listed, labels = parts[part]["texts"], np.array(parts[part]["labels"])
        return Texts([listed[i] for i in index], labels[index], classes)

    return rows("train", train), rows("train", val), rows("test", np.arange(len(parts["test"]["texts"])))


def vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """The most frequent words, numbered from 2: 0 is padding, 1 is any other word; `size` counts these two."""
    counts = Counter(word for text in texts for word in text.split())
    return {word: number for number, (word, _) in enumerate(counts.most_common(size - 2), 2)}


def encoded(texts: list[str], words: dict[str, int], length: int) -> np.ndarray:
    """(N, length) word numbers; longer texts keep their last words, shorter ones are padded in front, as Keras does."""
    found = np.zeros((len(texts), length), np.int64)
    for row, text in enumerate(texts):
        ids = [words.get(word, 1) for word in text.split()[-length:]]
        if ids:
            found[row, -len(ids) :] = ids
    return found
