"""labels: fits of pictures with few labels, from scratch and from a network pretrained on pictures without labels."""

from __future__ import annotations

import statistics
from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS: dict[str, Any] = {"time": 300, "rows": 20_000, "draws": 3, "tested": 0}  # tested: test rows, 0 = all
QUICK: dict[str, Any] = {"time": 2, "rows": 300, "draws": 1, "tested": 50}
LABELS, FEW = (10, 100, 1_000), (100,)
KINDS = ("contrastive", "masked")
STARTS = ("scratch", "probe", "tuned")
ASKED, BAR = 100, 0.05  # labels, and by how much the pretrained are to be better there


def run(job: Job) -> str:
    """The section: a table of the pretrainings, and one of the fits."""
    o = job.settings(OPTIONS, QUICK, "ours")
    labels = job.pick(LABELS, FEW)
    sides = {kind: _side(job, kind, o, labels) for kind in KINDS}
    rows = [_row(kind, count, side.lines) for kind, side in sides.items() for count in labels]
    default = sides[KINDS[0]].lines  # what `kind` is by itself
    gain = max(_mean(default, ASKED, start) for start in ("probe", "tuned")) - _mean(default, ASKED, "scratch")
    return (
        table([_base(kind, side) for kind, side in sides.items()])
        + f"\nThe first {o['rows']:,} training pictures of fashion, none of their labels; at most {o['time']} s.\n\n"
        + table(rows)
        + f"\nMean test accuracy over {o['draws']} draws of labels, as many of each class, the same for all (± half "
        "the range). Scratch: what `fit` takes by itself. Probe: the pretrained encoder frozen. Tuned: all learns.\n\n"
        + verdict(
            gain >= BAR,
            f"{ASKED} labels: pretrained >= scratch + {100 * BAR:.0f} points, by the default kind",
            f"{100 * gain:+.1f}",
        )
    )


def _side(job: Job, kind: str, o: dict[str, Any], labels: tuple[int, ...]) -> child.Child:
    how = ["--rows", o["rows"], "--time", o["time"], "--draws", o["draws"], "--tested", o["tested"]]
    return child.ours(kind, "--data", job.data, *how, "--labels", *labels, *job.fit(), script="ours_labels")


def _base(kind: str, side: child.Child) -> dict[str, object]:
    told = side.lines[0]
    figures = ", ".join(f"{name} {told[name]:.3f}" for name in ("found", "cosine", "spread", "rmse") if name in told)
    return {
        "kind": kind,
        "rows": f"{told['rows']:,}",
        "seconds": f"{told['seconds']:.0f}",
        "validation": figures,
        "peak GB": f"{told['rss']:.2f}",
        "load before": f"{side.load:.2f}",
    }


def _row(kind: str, labels: int, lines: list[dict[str, Any]]) -> dict[str, object]:
    return {
        "kind": kind,
        "labels": f"{labels:,}",
        **{start: _told(_of(lines, labels, start, "accuracy")) for start in STARTS},
        "less scratch": f"{100 * (_mean(lines, labels, 'tuned') - _mean(lines, labels, 'scratch')):+.1f}",
        **{f"{start} s": f"{statistics.mean(_of(lines, labels, start, 'seconds')):.0f}" for start in STARTS},
    }


def _of(lines: list[dict[str, Any]], labels: int, start: str, figure: str) -> list[float]:
    return [line[figure] for line in lines[1:] if (line["labels"], line["start"]) == (labels, start)]


def _mean(lines: list[dict[str, Any]], labels: int, start: str) -> float:
    return statistics.mean(_of(lines, labels, start, "accuracy"))


def _told(values: list[float]) -> str:
    return f"{100 * statistics.mean(values):.1f} ± {50 * (max(values) - min(values)):.1f}"
