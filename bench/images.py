"""fashion: pictures to labels in three minutes, beside a hand-written loop that is given the same seconds."""

from __future__ import annotations

from bench import child
from bench.job import Job
from bench.report import table, verdict

TIME, WALL, ACCURACY, MEMORY = 160, 180.0, 0.930, 3.0


def run(job: Job) -> str:
    """The section: accuracy, wall time and memory of both."""
    seconds = job.pick(TIME, 8)
    asked = ("--data", job.data, "--target", "label", "--time", seconds)
    ours = child.ours("parts", "fashion", 0, *asked)
    peer = child.peer("torch", "fashion_torch.py", "--data", job.data, "--seconds", seconds)
    rows = [_row(f"ranvier, time={seconds}", ours, peer), _row("PyTorch loop by hand", peer, peer)]
    seen = ours.last
    met = seen["accuracy"] >= ACCURACY and ours.wall <= WALL and seen["rss"] <= MEMORY
    return (
        table(rows)
        + "\n"
        + verdict(
            met,
            f"test accuracy >= {ACCURACY:.1%} in <= {WALL:.0f} s of wall time with <= {MEMORY:.0f} GB",
            f"{seen['accuracy']:.2%} in {ours.wall:.0f} s with {seen['rss']:.2f} GB",
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
