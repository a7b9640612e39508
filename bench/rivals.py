"""The second half of the tables' section: beside boosted trees and RealMLP-TD, each in an environment of its own."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench import child
from bench.figures import normalised, paired, ranks
from bench.report import table, verdict

RIVALS = ("catboost", "lightgbm", "xgboost", "realmlp")
TREES = ("catboost", "lightgbm", "xgboost", "hgb", "mlp")  # ours is to be above these in the mean
ERRORS, TIME = 2.0, 1 / 3
Lines = list[dict[str, Any]]
Scores = dict[str, dict[str, list[float]]]  # table -> method -> its scores, fold by fold


def answers(much: Sequence[object], names: Sequence[str] = RIVALS) -> tuple[Lines, dict[str, str], list[str]]:
    """(lines, the absent with the reason, those whose answers are remembered)."""
    folder = child.BENCH / "peers"
    lines: Lines = []
    absent: dict[str, str] = {}
    kept: list[str] = []
    for name in names:
        files = [folder / f"{name}.txt", folder / "tables_more.py", folder / "tables_sklearn.py"]

        def make(name: str = name) -> Lines:
            return child.peer(name, "tables_more.py", name, *much).lines

        try:
            found, remembered = child.remembered(f"tables-{name}", [*files, child.BENCH / "folds.py"], repr(much), make)
        except child.ChildError as error:
            absent[name] = str(error).strip().splitlines()[-1][:200]
            child.say(f"{name}: {error}")
            continue
        lines += found
        kept += [name] if remembered else []
    return lines, absent, kept


def section(scores: Scores, lines: Lines, methods: Sequence[str], absent: dict[str, str], kept: list[str]) -> str:
    """Scores, ranks and bars over all methods that gave an answer."""
    means = {name: {m: statistics.mean(each[m]) for m in methods} for name, each in scores.items()}
    told = "".join(f"\n- {name}: no answer ({reason})" for name, reason in absent.items())
    return (
        "\n### Beside boosted trees and RealMLP-TD at their defaults\n\n"
        + table([{"table": name} | {m: f"{row[m]:.4f}" for m in methods} for name, row in means.items()])
        + "\n"
        + table([_row(method, scores, means, lines) for method in methods])
        + f"\nNormalised and ranked among these {len(methods)} methods (1 is the best rank). Seconds are the sum over "
        f"all folds. Remembered from an earlier run: {', '.join(kept) or 'none'}.{told}\n\n"
        + _verdicts(scores, means, lines, methods)
    )


def _row(method: str, scores: Scores, means: dict[str, dict[str, float]], lines: Lines) -> dict[str, object]:
    ranked = [ranks(row)[method] for row in means.values()]
    ahead, behind = (_beyond(scores, method, sign) for sign in (1.0, -1.0))
    return {
        "method": method,
        "mean normalised": f"{_index(means)[method]:.3f}",
        "mean rank": f"{statistics.mean(ranked):.2f}",
        "ours > 2 errors ahead": "" if method == "ours" else len(ahead),
        "ours > 2 errors behind": "" if method == "ours" else f"{len(behind)} {' '.join(behind)}".strip(),
        "seconds": f"{_seconds(lines, method):.0f}",
    }


def _index(means: dict[str, dict[str, float]]) -> dict[str, float]:
    """Mean normalised score of each method."""
    each = [normalised(row) for row in means.values()]
    return {method: statistics.mean(one[method] for one in each) for method in each[0]}


def _beyond(scores: Scores, method: str, sign: float) -> list[str]:
    """Tables on which ours is ahead (sign 1) or behind (-1) by more than two standard errors."""
    found = []
    for name, each in scores.items():
        mean, error = paired(each["ours"], each[method])
        if sign * mean > ERRORS * error:
            found.append(name)
    return found


def _seconds(lines: Lines, method: str) -> float:
    return float(sum(line["seconds"] for line in lines if line["model"] == method))


def _verdicts(scores: Scores, means: dict[str, dict[str, float]], lines: Lines, methods: Sequence[str]) -> str:
    index = _index(means)
    there = [name for name in TREES if name in methods]
    best = max(there, key=lambda name: index[name])
    worst = max((m for m in methods if m != "ours"), key=lambda name: len(_beyond(scores, name, -1.0)))
    lost = _beyond(scores, worst, -1.0)
    told = verdict(
        index["ours"] > index[best],
        f"mean normalised score above {', '.join(there)}",
        f"{index['ours']:.3f} against {index[best]:.3f} ({best})",
    )
    behind = f"{len(lost)} ({worst}) {' '.join(lost)}".strip()
    told += "\n" + verdict(len(lost) <= 1, "> 2 errors behind any peer on <= 1 table", behind) + "\n"
    if "realmlp" not in methods:
        return told + "**not judged**: bar RealMLP-TD's score in a third of its time; it gave no answer.\n"
    part = _seconds(lines, "ours") / _seconds(lines, "realmlp")
    return told + verdict(
        index["ours"] >= index["realmlp"] and part <= TIME,
        f"mean normalised score of RealMLP-TD or more, in <= {TIME:.2f} of its time",
        f"{index['ours']:.3f} against {index['realmlp']:.3f}, in {part:.2f}",
    )
