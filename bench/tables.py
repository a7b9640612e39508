"""tables: eight small tables, cross-validated, beside scikit-learn's models, boosted trees and RealMLP-TD."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench import child, rivals
from bench.figures import normalised, paired
from bench.folds import Table
from bench.folds import tables as listed
from bench.job import Job
from bench.report import table, verdict

PEERS, ERRORS, WALL = ("linear", "mlp", "hgb"), 2.0, 60.0
METHODS = ("ours", *PEERS)
OPTIONS = {"rivals": 1, "bag": 0}  # bag: folds of each of ours, 0 = one network
Lines = list[dict[str, Any]]
Scores = dict[str, list[float]]  # method -> its scores, fold by fold


def run(job: Job) -> str:
    """The section: scores by table and by method, and how often which side is better."""
    o = job.settings(OPTIONS, {}, "ours")
    folds, repeats = job.pick((5, 3), (2, 1))
    much = ("--data", job.data, "--folds", folds, "--repeats", repeats)
    sets = listed(job.data)
    words = job.fit(**({"folds": o["bag"]} if o["bag"] else {}))
    sides = [child.ours("folds", each.name, 0, *much, *words) for each in sets]
    loads = f"{min(s.load for s in sides):.2f} to {max(s.load for s in sides):.2f}"
    theirs, remembered = _peers(much)
    lines = [line for side in sides for line in side.lines] + theirs
    scores = {each.name: _scores(each, lines) for each in sets}
    bars, told = _judged(scores, lines)
    told_more = _rivals(sets, lines, (*much, *job.pick((), ("--epochs", 4)))) if o["rivals"] else ""
    return (
        table([_set_row(each, scores[each.name]) for each in sets])
        + f"\nMean over {repeats} x {folds} folds, higher is better. After ±: the standard error of the paired "
        "difference, sd / sqrt(folds); folds share training rows, so the true one is larger. ranvier is told the "
        f"target and {f'`{chr(32).join(words)}`' if words else 'nothing else'}.\n\n"
        + table([_method_row(method, scores, lines) for method in METHODS])
        + "\nNormalised: on each table (score - worst) / (best - worst) over the four mean scores (1: the best, 0: "
        f"the worst); then the mean over tables. Load before ours: {loads}. "
        f"The peers' answers are {'remembered from an earlier run' if remembered else 'of this run'}.\n\n"
        + verdict(bars, f"highest mean normalised score, > 2 errors behind a peer on <= 1 table, <= {WALL:.0f} s", told)
        + told_more
    )


def _rivals(sets: list[Table], lines: Lines, much: tuple[object, ...]) -> str:
    """The half with all peers; the tables' scores once more, for every method that gave an answer."""
    found, absent, kept = rivals.answers(much)
    methods = [*METHODS, *(name for name in rivals.RIVALS if name not in absent)]
    scores = {each.name: _scores(each, lines + found, methods) for each in sets}
    return rivals.section(scores, lines + found, methods, absent, kept)


def _peers(much: tuple[object, ...]) -> tuple[Lines, bool]:
    """What the peers answered, and whether it is remembered: as long as neither they nor the question changed."""
    files = [child.BENCH / "peers" / name for name in ("sklearn.txt", "tables_all.py", "tables_sklearn.py")]
    files.append(child.BENCH / "folds.py")
    return child.remembered("tables", files, repr(much), lambda: child.peer("sklearn", "tables_all.py", *much).lines)


def _scores(each: Table, lines: Lines, methods: Sequence[str] = METHODS) -> Scores:
    name = "accuracy" if each.classes else "r2"
    found: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
    for line in lines:
        if line["dataset"] == each.name:
            found[line["model"]][line["repeat"], line["fold"]] = line[name]
    return {method: [found[method][key] for key in sorted(found["ours"])] for method in methods}


def _means(scores: Scores) -> dict[str, float]:
    return {method: statistics.mean(values) for method, values in scores.items()}


def _set_row(each: Table, scores: Scores) -> dict[str, object]:
    means = _means(scores)
    row: dict[str, object] = {"table": each.name, "score": "accuracy" if each.classes else "R2"}
    row |= {method: f"{means[method]:.4f}" for method in METHODS}
    for peer in PEERS:
        mean, error = paired(scores["ours"], scores[peer])
        row[f"ours - {peer}"] = f"{mean:+.4f} ± {error:.4f}"
    return row


def _lost(scores: dict[str, Scores], peer: str, sign: float) -> list[str]:
    """Tables on which ours is behind (sign -1) or ahead (+1) by more than two standard errors."""
    found = []
    for name, each in scores.items():
        mean, error = paired(each["ours"], each[peer])
        if sign * mean > ERRORS * error:
            found.append(name)
    return found


def _index(scores: dict[str, Scores]) -> dict[str, float]:
    """Mean normalised score of each method."""
    each = [normalised(_means(of_set)) for of_set in scores.values()]
    return {method: statistics.mean(one[method] for one in each) for method in METHODS}


def _method_row(method: str, scores: dict[str, Scores], lines: Lines) -> dict[str, object]:
    seconds = [line["seconds"] for line in lines if line["model"] == method]
    lost = [] if method == "ours" else _lost(scores, method, -1.0)
    return {
        "method": method,
        "mean normalised": f"{_index(scores)[method]:.3f}",
        "ours > 2 errors ahead": "" if method == "ours" else len(_lost(scores, method, 1.0)),
        "ours > 2 errors behind": "" if method == "ours" else f"{len(lost)} {' '.join(lost)}".strip(),
        "median s a fold": f"{statistics.median(seconds):.2f}",
        "slowest fold s": f"{max(seconds):.2f}",
    }


def _judged(scores: dict[str, Scores], lines: Lines) -> tuple[bool, str]:
    index = _index(scores)
    most = max(len(_lost(scores, peer, -1.0)) for peer in PEERS)
    slowest = max(line["seconds"] for line in lines if line["model"] == "ours")
    best = max(index[peer] for peer in PEERS)
    told = f"{index['ours']:.3f} against {best:.3f} at most, behind on {most} at most, slowest fold {slowest:.0f} s"
    return index["ours"] > best and most <= 1 and slowest <= WALL, told
