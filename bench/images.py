"""fashion: pictures to labels in three minutes, beside a hand-written loop that is given the same seconds."""

from __future__ import annotations

import statistics

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"seeds": 3, "peers": 1}  # peers: runs of the hand-written loop
QUICK = {"seeds": 1}
TIME, WALL, ACCURACY, MOONSHOT, MEMORY = 165, 180.0, 0.940, 0.945, 3.0


def run(job: Job) -> str:
    """The section: accuracy, wall time and memory of both."""
    o = job.settings(OPTIONS, QUICK, "ours")
    seconds = job.pick(TIME, 8)
    asked = ("--data", job.data, "--target", "label", "--time", seconds, *job.fit())
    ours, peers = [], []
    for seed in range(o["seeds"]):
        ours.append(child.ours("parts", "fashion", seed, *asked))
        if seed < o["peers"]:
            peers.append(child.peer("torch", "fashion_torch.py", "--data", job.data, "--seconds", seconds))
    base = peers[0] if peers else ours[0]
    rows = [_row(f"ranvier, time={seconds}, seed={seed}", side, base) for seed, side in enumerate(ours)]
    rows += [_row("PyTorch loop by hand", side, base) for side in peers]
    mean = statistics.mean(side.last["accuracy"] for side in ours)
    slowest, most = max(side.wall for side in ours), max(side.last["rss"] for side in ours)
    return (
        table(rows)
        + "\n"
        + verdict(
            mean >= ACCURACY and slowest <= WALL and most <= MEMORY,
            f"mean test accuracy of {len(ours)} >= {ACCURACY:.1%} (moonshot {MOONSHOT:.1%}), each in <= {WALL:.0f} s "
            f"of wall time with <= {MEMORY:.0f} GB",
            f"{mean:.2%}, slowest {slowest:.0f} s, at most {most:.2f} GB",
        )
        + "\nWall time is the whole process: start, reading and decoding the files, training, evaluating.\n"
    )


def _row(name: str, side: child.Child, base: child.Child) -> dict[str, object]:
    seen = side.last
    return {
        "side": name,
        "test accuracy": f"{seen['accuracy']:.2%}",
        "error, ratio": f"{(1 - seen['accuracy']) / max(1e-9, 1 - base.last['accuracy']):.2f}",
        "wall s": f"{side.wall:.1f}",
        "wall, ratio": f"{side.wall / base.wall:.2f}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }
