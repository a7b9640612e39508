"""fasttext: newsgroups beside fastText with rate, epochs and n-grams tuned on validation rows."""

from __future__ import annotations

import statistics
from typing import Any

from bench import arrays, child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"seeds": 3, "held": 1_000, "wall": 60.0}
QUICK = {"seeds": 1, "held": 100}
SHOWN = 5  # lines of the tuning


def run(job: Job) -> str:
    """The section: the best of the tuning, then both sides interleaved by seed."""
    o = job.settings(OPTIONS, QUICK, "ours")
    tuning, remembered = _tuning(job, o)
    best = tuning[0]
    words = job.fit(**job.pick({"time": 55}, {"time": 10}))
    asked = ("parts", "newsgroups")
    how = ("--data", job.data, "--target", "label")
    setting = [word for name in ("rate", "epochs", "ngrams") for word in (f"--{name}", best[name])]
    file = arrays.texts_file(job)
    ours, peers = [], []
    for seed in range(o["seeds"]):
        ours.append(child.ours(*asked, seed, *how, *words))
        peers.append(child.peer("fasttext", "text_fasttext.py", "train", "--file", file, *setting, "--seed", seed))
    rows = [_row("ranvier", side) for side in ours] + [_row("fastText", side) for side in peers]
    a, b = (statistics.mean(side.last["accuracy"] for side in sides) for sides in (ours, peers))
    slowest = max(side.wall for side in ours)
    return (
        f"fastText's best settings of {len(tuning)}, by accuracy on {o['held']:,} training rows held out"
        f"{' (remembered from an earlier run)' if remembered else ''}; it is then trained on all of them. "
        f"ranvier: `{' '.join(words)}`.\n\n"
        + table(
            [
                {**line, "validation": f"{line['validation']:.2%}", "seconds": f"{line['seconds']:.1f}"}
                for line in tuning[:SHOWN]
            ]
        )
        + "\n"
        + table(rows)
        + "\n"
        + verdict(
            a >= b and slowest <= o["wall"],
            f"accuracy of tuned fastText or more, means of {len(ours)} seeds, in <= {o['wall']:.0f} s of wall time",
            f"{a:.2%} against {b:.2%}, slowest {slowest:.0f} s",
        )
    )


def _tuning(job: Job, o: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Every setting with its validation accuracy, the best first, and whether that is remembered."""
    file = arrays.texts_file(job)
    how = ["--file", file, "--held", o["held"], *(["--quick"] if job.quick else [])]
    folder = child.BENCH / "peers"
    files = [folder / "fasttext.txt", folder / "text_fasttext.py", child.BENCH / "sets.py"]
    lines, remembered = child.remembered(
        "fasttext", files, repr(how), lambda: child.peer("fasttext", "text_fasttext.py", "tune", *how).lines
    )
    return sorted(lines, key=lambda line: -line["validation"]), remembered


def _row(name: str, side: child.Child) -> dict[str, object]:
    seen = side.last
    return {
        "side": name,
        "test accuracy": f"{seen['accuracy']:.2%}",
        "wall s": f"{side.wall:.1f}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }
