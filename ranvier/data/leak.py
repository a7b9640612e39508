"""The leak test: does one input alone all but determine a target?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ranvier.core.rng import seed_of

_ROWS = 2000
_FEWEST = 30  # rows below which a perfect rule is no surprise
_CLASS_BAR, _NUMBER_BAR = 0.98, 0.99
_GAIN = 0.9  # share of the base rule's mistakes that must be gone, for rare classes
_LONGEST = 64.0  # mean characters; longer texts are read, not looked up


@dataclass(frozen=True)
class Leak:
    """strength: accuracy for a category, R2 for a number, both on rows the rule was not made from."""

    input: str
    target: str
    strength: float
    sentence: str


def leaks(
    frame: pl.DataFrame, inputs: Sequence[str], targets: Sequence[str], types: Mapping[str, str], seed: int = 0
) -> list[Leak]:
    """Inputs that alone all but give a target away, strongest first.

    frame: training rows, of which at most 2,000 are looked at. types: the recognised type of each column; numbers,
    dates, categories and short texts are tested, against targets that are numbers or categories. For each pair a rule
    of one column is made from half of the rows and scored on the other half, and the other way round: the majority
    class (mean) at the nearest known value; for words, at the same word. An input is told if the rule is right in 98 %
    of the rows and makes at most a tenth of the mistakes of always saying the commonest class, or for a number if
    R2 is at least 0.99, of the values or of their ranks.
    """
    found: list[Leak] = []
    rng = np.random.default_rng(seed_of(seed, "leak"))
    rows = np.sort(rng.permutation(frame.height)[:_ROWS])
    used = list(dict.fromkeys([*inputs, *targets]))
    sample = frame.select(used)[rows]
    values = {name: _input_values(sample[name], types.get(name, "")) for name in inputs}
    for target in targets:
        kind = types.get(target, "")
        copies = [name for name in inputs if name != target and _same(sample[name], sample[target])]
        found += [Leak(name, target, 1.0, f"{name!r} holds the same values as {target!r}") for name in copies]
        if kind not in ("number", "category"):
            continue
        y, kept = _target_values(sample[target], kind)
        if kept.sum() < _FEWEST:
            continue
        half = np.zeros(int(kept.sum()), bool)
        half[rng.permutation(len(half))[: len(half) // 2]] = True
        test = _against_class if kind == "category" else _against_number
        for name in inputs:
            x = values[name]
            if x is None or name == target or name in copies:
                continue
            strength = test(x[0][kept], x[1], y[kept], half)
            if strength is not None:
                found.append(Leak(name, target, strength, _sentence(name, target, strength, kind)))
    return sorted(found, key=lambda leak: -leak.strength)


def _sentence(name: str, target: str, strength: float, kind: str) -> str:
    if kind == "category":
        told = f"predicts {target!r} in {strength:.1%} of rows"
    else:
        told = f"explains {strength:.1%} of the variance of {target!r}"
    return f"{name!r} alone {told}: if it is not known before {target!r} is, leave it out of the inputs"


def _same(one: pl.Series, other: pl.Series) -> bool:
    if one.dtype.is_nested() or other.dtype.is_nested() or one.dtype != other.dtype or other.n_unique() < 2:
        return False
    return bool(one.eq_missing(other).all())


def _input_values(column: pl.Series, kind: str) -> tuple[np.ndarray, bool] | None:
    """(N,) floats with NaN where missing or infinite, whether nearness means anything; None for what is not tested."""
    if kind not in ("number", "date", "category", "text"):
        return None
    dtype = column.dtype
    if dtype.is_numeric() or dtype == pl.Boolean:
        values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return np.where(np.isinf(values), np.nan, values), True
    if dtype.is_temporal():
        return column.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy(), True
    if dtype != pl.String:
        return None
    mean = column.str.len_chars().mean()
    if kind == "text" and (not isinstance(mean, float) or mean > _LONGEST):
        return None
    ranks = column.str.strip_chars().rank("dense").cast(pl.Float64).fill_null(np.nan).to_numpy()
    return ranks, kind == "date"


def _target_values(column: pl.Series, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Class codes or floats (N,), and where there are any (N,)."""
    if kind == "category":
        codes = column.cast(pl.String).rank("dense").cast(pl.Int64)  # 1 for the first class
        return codes.fill_null(0).to_numpy() - 1, column.is_not_null().to_numpy()
    if column.dtype == pl.String:
        column = column.str.strip_chars().cast(pl.Float64, strict=False)
    values = column.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy()
    return values, np.isfinite(values)


def _against_class(x: np.ndarray, near: bool, y: np.ndarray, half: np.ndarray) -> float | None:
    classes = int(y.max()) + 1
    if 2 * classes > len(y):
        return None  # most classes are seen once: no rule can be tested on other rows
    votes = np.eye(classes)[y]
    right = base = 0
    for made in (half, ~half):
        answer = _Rule(x[made], votes[made], near)(x[~made])
        right += int((answer.argmax(1) == y[~made]).sum())
        base += int((votes[made].sum(0).argmax() == y[~made]).sum())
    accuracy, floor = right / len(y), base / len(y)
    return accuracy if accuracy >= _CLASS_BAR and accuracy - floor >= _GAIN * (1 - floor) > 0 else None


def _against_number(x: np.ndarray, near: bool, y: np.ndarray, half: np.ndarray) -> float | None:
    ranks = pl.Series(y).rank("average").to_numpy()
    strength = max(_r2(x, near, y, half), _r2(x, near, ranks, half))
    return strength if strength >= _NUMBER_BAR else None


def _r2(x: np.ndarray, near: bool, y: np.ndarray, half: np.ndarray) -> float:
    y = y / max(float(np.abs(y).max()), 1e-300)  # so that squares do not overflow
    spread = float(((y - y.mean()) ** 2).sum())
    if spread == 0:
        return 0.0
    wrong = 0.0
    for made in (half, ~half):
        sums = np.stack([y[made], np.ones(int(made.sum()))], 1)
        answer = _Rule(x[made], sums, near)(x[~made])
        wrong += float(((answer[:, 0] / answer[:, 1] - y[~made]) ** 2).sum())
    return 1 - wrong / spread


class _Rule:
    """Sums of what was seen at each distinct value; an unknown value takes its nearest, or everything's sums."""

    def __init__(self, x: np.ndarray, sums: np.ndarray, near: bool) -> None:
        known = ~np.isnan(x)
        self.near, self.all = near, sums.sum(0)
        self.missing = sums[~known].sum(0) if (~known).any() else self.all
        self.values, place = np.unique(x[known], return_inverse=True)
        self.sums = np.zeros((len(self.values), sums.shape[1]))
        np.add.at(self.sums, place, sums[known])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        answer = np.tile(self.missing, (len(x), 1))
        known = ~np.isnan(x)
        answer[known] = self.all
        if not len(self.values):
            return answer
        right = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        left = np.maximum(right - 1, 0)
        nearest = np.where(np.abs(x - self.values[left]) < np.abs(x - self.values[right]), left, right)
        use = known & (self.near | (self.values[nearest] == x))
        answer[use] = self.sums[nearest[use]]
        return answer
