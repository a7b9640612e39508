"""scaling: what a row more costs in time and memory, from 100,000 to a million rows of a made-up table."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import polars as pl

from bench import child
from bench.figures import line, marginals, spread
from bench.job import Job
from bench.picture import Panel, svg
from bench.report import table, verdict

OPTIONS = {"runs": 3, "most": 1_000_000}
QUICK = {"runs": 1, "most": 4_000}
SHARES = (0.1, 0.2, 0.5, 1.0)
NUMBERS, CATEGORIES, VALUES = 10, 5, 8
SPREAD, BENT = 0.15, 0.05
PICTURE = child.BENCH / "scaling.svg"


def run(job: Job) -> str:
    """The section: a line a size, the bars, and the picture beside the results."""
    o = job.settings(OPTIONS, QUICK, "ours")
    sizes = [round(share * o["most"]) for share in SHARES]
    files = [synthetic(rows) for rows in sizes]
    words = job.fit(epochs=1)
    runs: list[list[child.Child]] = [[] for _ in sizes]
    for _ in range(o["runs"]):
        for found, file in zip(runs, files, strict=True):
            found.append(child.ours("file", file, "--target", "y", *words, script="ours_grow"))
    seconds = [statistics.median(run.last["whole"] for run in found) for found in runs]
    memory = [statistics.median(run.last["peak"] - run.last["base"] for run in found) for found in runs]
    encoded = runs[-1][0].last["encoded"]
    cost = marginals(sizes, seconds)
    slope, start, bent = line(sizes, memory)
    picture = PICTURE if not job.quick else child.KEPT / "scaling.svg"
    picture.write_text(svg(_panels(sizes, seconds, memory, encoded, (slope, start))), encoding="utf-8")
    rows = [
        {
            "rows": f"{size:,}",
            "seconds": f"{seconds[i]:.1f}",
            "us a row more": "" if i == 0 else f"{cost[i - 1] * 1e6:.1f}",
            "peak above imports GB": f"{memory[i]:.3f}",
            "encoded data GB": f"{encoded * size / 1e9:.3f}",
        }
        for i, size in enumerate(sizes)
    ]
    told = (
        f"A table of {NUMBERS} numbers and {CATEGORIES} categories, made up with a fixed seed, two classes; one epoch "
        f"(`{' '.join(words)}`), the whole process, medians of {o['runs']} runs, sizes interleaved. An encoded row is "
        f"{encoded:.0f} bytes; a row more takes {slope * 1e9:.0f} bytes of peak memory, {slope * 1e9 / encoded:.1f} "
        f"times that, beside {start:.2f} GB that do not grow; no size lies further from that line than {bent:.1%} of "
        "the range.\n\n![time and memory by rows](scaling.svg)\n\n"
    )
    return told + table(rows) + "\n" + _judged(cost, bent)


def _judged(cost: list[float], bent: float) -> str:
    between = ", ".join(f"{value * 1e6:.1f}" for value in cost)
    if min(cost) <= 0:
        told = verdict(False, "time of a row more", f"{between} us: more rows took no longer, so nothing was measured")
    else:
        bar = f"time of a row more within {SPREAD:.0%} from the smallest to the largest table"
        told = verdict(spread(cost) <= SPREAD, bar, f"{spread(cost):.0%} ({between} us)")
    return told + "\n" + verdict(bent <= BENT, f"memory within {BENT:.0%} of a straight line", f"{bent:.1%}")


def synthetic(rows: int) -> Path:
    """A Parquet file of so many rows, made once."""
    path = child.KEPT / "synthetic" / f"{rows}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(0)
        numbers = random.normal(size=(rows, NUMBERS)).astype(np.float32)
        codes = random.integers(0, VALUES, (rows, CATEGORIES))
        score = numbers @ random.normal(size=NUMBERS) + random.normal(size=(CATEGORIES, VALUES))[0][codes[:, 0]]
        columns: dict[str, object] = {f"n{i}": numbers[:, i] for i in range(NUMBERS)}
        columns |= {f"c{i}": [f"value {code}" for code in codes[:, i]] for i in range(CATEGORIES)}
        columns["y"] = np.where(score + random.normal(size=rows) > 0, "yes", "no")
        pl.DataFrame(columns).write_parquet(path)
    return path


def _panels(
    sizes: list[int], seconds: list[float], memory: list[float], encoded: float, fitted: tuple[float, float]
) -> list[Panel]:
    thousands = [size / 1e3 for size in sizes]
    slope, start, _ = line(sizes, seconds)
    most = sizes[-1]

    def ends(slope: float, start: float) -> list[tuple[float, float]]:
        return [(0.0, max(0.0, start)), (most / 1e3, slope * most + start)]

    def pairs(values: list[float]) -> list[tuple[float, float]]:
        return list(zip(thousands, values, strict=True))

    lines = {"straight line": ends(slope, start)}
    held = {"straight line": ends(*fitted), "encoded data alone": ends(encoded / 1e9, 0.0)}
    return [
        Panel("One epoch, the whole process", "thousand rows", "seconds", {"ranvier": pairs(seconds)}, lines),
        Panel("Peak memory above imports", "thousand rows", "GB", {"ranvier": pairs(memory)}, held),
    ]
