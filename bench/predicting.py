"""predicting: what answers for a million rows of a table take, and how memory grows with the rows."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"table": "penguins", "rows": 1_000_000, "seconds": 10.0}
QUICK = {"rows": 20_000}
WAYS = {
    "frame": "a frame in memory, by `predict`",
    "csv": "CSV to CSV, by `predict(to=)`",
    "shell": "CSV to CSV, by `ranvier predict -o`, Python's start included",
}
FROM_FILES = ("csv", "shell")
FLAT = 0.1  # GB; a piece of a few MB, several times over, may come at any time


def run(job: Job) -> str:
    """The section: seconds and memory by way, of all rows and of a quarter of them."""
    o = job.settings(OPTIONS, QUICK)
    few, many = o["rows"] // 4, o["rows"]
    with TemporaryDirectory() as folder:
        counts = ("--rows", few, "--rows", many)
        made = child.ours("make", o["table"], "--data", job.data, "--folder", folder, *counts, script="ours_predicting")
        size = (Path(folder) / f"{many}.csv").stat().st_size / 1e9
        seen = {
            (way, rows): child.ours(way, o["table"], "--folder", folder, "--rows", rows, script="ours_predicting")
            for way in WAYS
            for rows in (few, many)
        }
    lines = [
        {
            "way": WAYS[way],
            "rows": f"{rows:,}",
            "s": f"{one.last['seconds']:.2f}",
            "CPU s": f"{one.last['cpu']:.2f}",
            "rows / s": f"{rows / one.last['seconds']:,.0f}",
            "at most GB": f"{one.last['peak']:.2f}",
            "load before": f"{one.load:.2f}",
        }
        for (way, rows), one in seen.items()
    ]
    slowest = max(seen[way, many].last["seconds"] for way in WAYS)
    grown = {way: seen[way, many].last["peak"] - seen[way, few].last["peak"] for way in WAYS}
    files = max(grown[way] for way in FROM_FILES)
    told = f"{o['table']}: {made.last['inputs']} inputs, fuse {made.last['fuse']}, the CSV has {size:.2f} GB.\n\n"
    bar = verdict(slowest <= o["seconds"], f"{many:,} rows within {o['seconds']:.0f} s", f"at most {slowest:.1f} s")
    flat = verdict(
        files <= FLAT, f"from file to file at most {FLAT} GB more for {many - few:,} rows more", f"{files:.2f}"
    )
    return (
        told
        + table(lines)
        + "\n"
        + bar
        + "\n"
        + flat
        + f"\nA frame and its answers took {grown['frame']:.2f} GB more.\n"
    )
