"""reading: a CSV of a million rows to encoded arrays beside polars' own reading; ten million rows in bounded memory."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import polars as pl

from bench import child
from bench.child import Child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"runs": 5, "rows": 1_000_000, "long": 10_000_000}
QUICK = {"runs": 1, "rows": 20_000, "long": 50_000}
RATIO, SECONDS = 1.5, 1.0
TIMES = 2.5  # as much as the frame and the encoded arrays take, at most
BLOCK = 1_000_000


def run(job: Job) -> str:
    """The section: medians of interleaved runs; then one run on the long file."""
    o = job.settings(OPTIONS, QUICK)
    wide, long = (child.KEPT / f"reading_{name}.csv" for name in ("wide", "long"))
    child.KEPT.mkdir(parents=True, exist_ok=True)
    try:
        write(wide, o["rows"], 20)
        sides = {side: [] for side in ("polars", "ranvier")}
        for _ in range(o["runs"]):
            for side, runs in sides.items():
                runs.append(child.ours(side, wide, script="ours_reading"))
        speed = _speed(sides, wide)
        wide.unlink()
        write(long, o["long"], 5)
        return speed + "\n" + _memory(child.ours("ranvier", long, script="ours_reading"), long)
    finally:
        for path in (wide, long):
            path.unlink(missing_ok=True)


def _speed(sides: dict[str, list[Child]], path: Path) -> str:
    seconds = {side: statistics.median(run.wall for run in runs) for side, runs in sides.items()}
    rows = [
        {
            "side": side,
            "wall s": f"{seconds[side]:.2f}",
            "slowest s": f"{max(run.wall for run in runs):.2f}",
            "beside polars": f"{seconds[side] / seconds['polars']:.2f}",
            "at most GB": f"{max(run.last['peak'] for run in runs):.2f}",
            "load before": f"{statistics.median(run.load for run in runs):.2f}",
        }
        for side, runs in sides.items()
    ]
    most, bar = RATIO * seconds["polars"] + SECONDS, f"{RATIO} x polars and {SECONDS:g} s more"
    head = (
        f"{sides['ranvier'][0].last['rows']:,} rows of 20 columns ({path.stat().st_size / 1e6:,.0f} MB: 8 of decimals, "
        "5 of whole numbers, 4 categories, dates, times, booleans), whole processes, interleaved. Polars reads; "
        "ranvier reads, recognises, learns and encodes.\n\n"
    )
    seen = f"{seconds['ranvier']:.2f} s against {most:.2f} s"
    return head + table(rows) + "\n" + verdict(seconds["ranvier"] <= most, bar, seen)


def _memory(side: Child, path: Path) -> str:
    held = side.last["frame"] + side.last["encoded"]
    rows = [
        {
            "rows": f"{side.last['rows']:,}",
            "file GB": f"{path.stat().st_size / 1e9:.2f}",
            "frame GB": f"{side.last['frame']:.2f}",
            "encoded GB": f"{side.last['encoded']:.2f}",
            "at most GB": f"{side.last['peak']:.2f}",
            "wall s": f"{side.wall:.1f}",
        }
    ]
    times = side.last["peak"] / held
    bar = f"memory at most {TIMES:g} times that of the frame and the encoded arrays"
    return "### Long\n\n" + table(rows) + "\n" + verdict(times <= TIMES, bar, f"{times:.1f} times")


def write(path: Path, rows: int, columns: int) -> None:
    """A CSV of drawn values, the same each time, written in blocks."""
    with path.open("wb") as file:
        for start in range(0, rows, BLOCK):
            frame = _drawn(min(BLOCK, rows - start), start)
            frame.select(frame.columns[:columns]).write_csv(file, include_header=start == 0)


def _drawn(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    stamps = pl.Series(rng.integers(10**9, 16 * 10**8, rows) * 1_000_000).cast(pl.Datetime("us"))
    columns = {
        "measure": rng.normal(size=rows).round(4),
        "count": rng.integers(0, 1_000, rows),
        "class": _words(rng, rows, 30),
        "day": pl.Series(rng.integers(0, 20_000, rows).astype(np.int32)).cast(pl.Date),
        "gap": pl.Series(rng.normal(size=rows).round(3)).set(pl.Series(rng.random(rows) < 0.1), None),
        "stamp": stamps.dt.to_string("%Y-%m-%d %H:%M:%S"),
        "flag": rng.random(rows) < 0.3,
    }
    columns |= {f"decimal{i}": (rng.normal(size=rows) * 10 ** (i % 4)).round(4) for i in range(6)}
    columns |= {f"whole{i}": rng.integers(0, 10 ** (i + 1), rows) for i in range(4)}
    columns |= {f"class{i}": _words(rng, rows, size) for i, size in enumerate((2, 5, 300))}
    return pl.DataFrame(columns)


def _words(rng: np.random.Generator, rows: int, size: int) -> pl.Series:
    return pl.Series([f"value {i}" for i in range(size)]).gather(rng.integers(0, size, rows))
