"""uncertainty: intervals of numbers in three tables, cross-validated, beside split-conformal ridge regression."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.figures import band
from bench.job import Job
from bench.report import table, verdict

TABLES, LEVEL, INSIDE = ("diabetes", "autos", "scorecard"), 0.9, 0.99
OPTIONS = {"folds": 5}
Lines = list[dict[str, Any]]


def run(job: Job) -> str:
    """The section: how often the truth lies in the intervals, how wide they are, and their score."""
    o = job.settings(OPTIONS, {"folds": 2}, "ours")
    much = ("--data", job.data, "--level", LEVEL, "--folds", o["folds"])
    rows, met, told = [], True, []
    for name in job.pick(TABLES, ("autos",)):
        ours = child.ours("intervals", name, 0, *much, *job.fit())
        ridge = child.peer("sklearn", "intervals_ridge.py", name, *much)
        mine, theirs = _sums(ours.lines), _sums(ridge.lines)
        low, high = band(mine["rows"], LEVEL, INSIDE)
        inside, better = low <= mine["covered"] <= high, mine["score"] <= theirs["score"]
        met &= inside and better
        ratio = mine["score"] / theirs["score"]
        told.append(f"{name} {mine['covered'] / mine['rows']:.2%}{'' if inside else ' (outside)'}, {ratio:.3f}")
        for side, sums, child_of in (("ranvier", mine, ours), ("ridge", theirs, ridge)):
            rows.append(
                {
                    "table": name,
                    "side": side,
                    "rows": f"{mine['rows']:,}",
                    "truth inside": f"{sums['covered'] / sums['rows']:.2%}",
                    "99 % band": f"{low / mine['rows']:.2%} to {high / mine['rows']:.2%}",
                    "mean width": f"{sums['width'] / sums['rows']:,.0f}",
                    "interval score": f"{sums['score'] / sums['rows']:,.1f}",
                    "of ridge's": f"{sums['score'] / theirs['score']:.3f}",
                    "by fold": " ".join(f"{line['covered'] / line['rows']:.3f}" for line in child_of.lines),
                    "s a fold": f"{sum(line['seconds'] for line in child_of.lines) / len(child_of.lines):.1f}",
                    "load before": f"{child_of.load:.2f}",
                }
            )
    bar = f"truth inside in the exact {INSIDE:.0%} band about {LEVEL:.0%}, score at most ridge's, on every table"
    return (
        table(rows)
        + f"\nTest rows of {o['folds']} folds, the same for both sides. Interval score: width + 2 / (1 - level) x how "
        "far the truth lies outside, lower is better. ranvier: `fit` told the target and nothing else, "
        f"`predict(uncertainty={LEVEL})`. Ridge: RidgeCV on standardised numbers and one-hot categories, "
        "split conformal with a quarter of the training rows.\n\n" + verdict(met, bar, "; ".join(told))
    )


def _sums(lines: Lines) -> dict[str, Any]:
    return {key: sum(line[key] for line in lines) for key in ("rows", "covered", "width", "score")}
