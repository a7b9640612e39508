"""fewshot: five pictures of each of five classes never trained on, beside the same by pixels alone."""

from __future__ import annotations

import statistics
from typing import Any

from bench import child
from bench.arrays import pictures_file
from bench.job import Job
from bench.report import table, verdict

OPTIONS: dict[str, Any] = {"splits": 10, "draws": 20, "rows": 0}  # rows: of each class trained on, 0 = all
QUICK: dict[str, Any] = {"splits": 1, "draws": 2, "rows": 60}
BAR = 0.85
PEERS = {"mean": "nearest class mean of pixels", "cosine": "the same by the cosine", "logistic": "logistic regression"}


def run(job: Job) -> str:
    """The section: accuracy on each split of the classes, figures of pairs, seconds."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = ("--data", job.data, "--draws", o["draws"], "--rows", o["rows"], *job.fit(**job.pick({}, {"epochs": 2})))
    ours = [child.ours(split, *words, script="ours_fewshot").last for split in range(o["splits"])]
    how = (pictures_file(job), "--draws", o["draws"], "--splits", o["splits"])
    peer = child.attempt(lambda: child.peer("sklearn", "fewshot_sklearn.py", *how))
    lines = [] if isinstance(peer, child.Absent) else peer.lines
    rows = [_row(line, lines[k] if lines else {}) for k, line in enumerate(ours)]
    mean = statistics.mean(line["accuracy"] for line in ours)
    told = f"5-way 5-shot accuracy on classes never trained on, mean of {len(ours)} splits >= {BAR:.0%}"
    best = {name: statistics.mean(line[name] for line in lines) for name in PEERS} if lines else {}
    beside = "; ".join(f"{PEERS[name]} {value:.1%}" for name, value in best.items()) or "the peer is absent"
    return (
        table(rows)
        + f"\nMeans of {o['draws']} draws of the five pictures, test pictures of the five classes being asked; pixels "
        f"alone: {beside}. Among ten: the same test pictures, by the first draw, where the five classes trained on are "
        "known as well. auc, eer: over pairs of test pictures of the five new classes.\n\n"
        + verdict(mean >= BAR, told, f"{mean:.1%}")
    )


def _row(line: dict[str, Any], peer: dict[str, float]) -> dict[str, object]:
    pixels = {PEERS[name]: f"{peer[name]:.1%}" for name in PEERS if name in peer}
    return {
        "new classes": ", ".join(line["novel"]),
        "5-way 5-shot": f"{line['accuracy']:.1%}",
        **pixels,
        "among ten": f"{line['among_all']:.1%}",
        "auc": f"{line['auc']:.3f}",
        "eer": f"{line['eer']:.1%}",
        "rows": f"{line['rows']:,}",
        "s to learn": f"{line['fitted']:.0f}",
        "peak GB": f"{line['rss']:.2f}",
    }
