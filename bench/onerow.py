"""onerow: what predicting one row of a table takes, beside a scikit-learn pipeline."""

from __future__ import annotations

from bench import child
from bench.job import Job
from bench.report import table, verdict

DATASETS, CALLS, BAR = ("penguins", "nhefs"), 200, 5.0


def run(job: Job) -> str:
    """The section: median milliseconds a call, by table and by the form in which the row comes."""
    calls = job.pick(CALLS, 20)
    rows: list[dict[str, object]] = []
    worst = 0.0
    for dataset in DATASETS:
        ours = child.ours("onerow", dataset, 0, "--data", job.data, "--calls", calls)
        peer = child.peer("sklearn", "onerow_sklearn.py", dataset, "--data", job.data, "--calls", calls)
        for line in ours.lines:
            worst = max(worst, line["ms"])
            rows.append(
                {
                    "table": dataset,
                    "inputs": line["inputs"],
                    "row as": line["form"],
                    "ranvier ms": f"{line['ms']:.2f}",
                    "HistGradientBoosting ms (pandas)": f"{peer.last['ms']:.2f}",
                    "ratio": f"{line['ms'] / peer.last['ms']:.2f}",
                    "threads": line["threads"],
                    "load before": f"{ours.load:.2f}",
                }
            )
    note = (
        f"\nMedian of {calls} calls of `predict` (`predict_proba`) after the first, on the CPU. ranvier's model was "
        "trained for two epochs, which changes no time here.\n"
    )
    return table(rows) + "\n" + verdict(worst <= BAR, f"median <= {BAR:.0f} ms", f"at most {worst:.2f} ms") + note
