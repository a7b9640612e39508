"""minilm: a few labelled texts and a network that others have trained, beside logistic regression on its vectors."""

from __future__ import annotations

import statistics
from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

DATASET, TARGET = "snippets", "sentiment"
OPTIONS: dict[str, Any] = {"labels": 100, "draws": 10}
QUICK: dict[str, Any] = {"labels": 60, "draws": 2}


def run(job: Job) -> str:
    """The section: accuracy and seconds of each draw of the labelled rows."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = (DATASET, "--data", job.data, "--target", TARGET, "--labels", o["labels"], "--draws", o["draws"])
    peer = child.peer("minilm", "minilm_sklearn.py", *words)
    ours = child.ours(*words, "--model", peer.last["folder"], *job.fit(), script="ours_minilm")
    rows = [_row(a, b) for a, b in zip(ours.lines, peer.lines, strict=True)]
    mean, beside = (statistics.mean(line["accuracy"] for line in side.lines) for side in (ours, peer))
    better = sum(a["accuracy"] > b["accuracy"] for a, b in zip(ours.lines, peer.lines, strict=True))
    told = "mean accuracy of the logistic regression or more"
    return (
        table(rows)
        + f"\n{o['labels']} labelled rows, the same for both, in each draw; accuracy of all test rows. The network is "
        "all-MiniLM-L6-v2. LR: scikit-learn's logistic regression on the frozen vectors of sentence-transformers. "
        f"Ours is better in {better} of {len(rows)}.\n\n"
        + verdict(mean >= beside, told, f"{mean:.2%} against {beside:.2%}")
    )


def _row(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, object]:
    return {
        "draw": ours["draw"],
        "encoder": ours["encoder"],
        "ranvier": f"{ours['accuracy']:.2%}",
        "LR": f"{peer['accuracy']:.2%}",
        "less LR": f"{100 * (ours['accuracy'] - peer['accuracy']):+.2f}",
        "fit s": f"{ours['fitted']:.1f}",
        "LR fit s": f"{peer['fitted']:.1f}",
        "peak GB": f"{ours['rss']:.2f}",
    }
