"""engine: the training loop beside a frozen hand-written one (`engine_loop.py`), in a process of its own."""

from __future__ import annotations

import sys

from bench import child
from bench.job import Job
from bench.report import table, verdict

RATIO, MICROSECONDS = 1.05, 20.0
CODE = """
import json
from bench import engine
engine.RUNS, engine.STEPS = {runs} or engine.RUNS, {steps} or engine.STEPS
for row in engine.rows_of_result():
    print(json.dumps(row))
"""


def run(job: Job) -> str:
    """The section: a row a network."""
    runs, steps = job.pick((0, 0), (2, 60))
    side = child.call(sys.executable, "-c", CODE.format(runs=runs, steps=steps))
    met = all(_met(row) for row in side.lines)
    seen = "; ".join(f"{row['ratio']} x, {row['more']} more a step, {row['weights']}" for row in side.lines)
    bar = f"bit-equal weights, and <= {RATIO} x or <= {MICROSECONDS:.0f} us a step more"
    rows = [row | {"load before": f"{side.load:.2f}"} for row in side.lines]
    return table(rows) + "\n" + verdict(met, bar, seen)


def _met(row: dict[str, str]) -> bool:
    fast = float(row["ratio"]) <= RATIO or float(row["more"].split()[0]) <= MICROSECONDS
    return fast and row["weights"] == "bit-equal"
