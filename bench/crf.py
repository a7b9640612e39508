"""crf: the linear-chain CRF beside pytorch-crf's, and on real words beside a softmax for each word."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"rounds": 15, "time": 570.0, "seed": 0, "words": 1}
QUICK = {"rounds": 2, "time": 6.0}
SMALL = {"encoder": {"name": "lstm", "width": 16, "embedding": 16}, "epochs": 1}
FASTER, APART = 3.0, 1e-5
LESS, ACCURACY, WALL = 0.001, 0.96, 600.0


def run(job: Job) -> str:
    """The section: the layers alone, then part-of-speech tags."""
    o = job.settings(OPTIONS, QUICK, "ours")
    return _layers(job, o["rounds"]) + ("\n" + _brown(job, o) if o["words"] else "")


def _layers(job: Job, rounds: int) -> str:
    told = (
        "### The layers\n\nThe same scores, links and masks: 64 rows, each with a third of the words at least, fp32, "
        f"in one process. Milliseconds are medians of {rounds} rounds, interleaved, after one that does not count; the "
        "loss is forward and back. Apart: the largest difference over the largest value, of the rows' losses, of all "
        "gradients, and of the scores of the best paths.\n\n"
    )
    how = ("--rounds", rounds, *job.pick((), ("--quick",)))
    side = child.attempt(lambda: child.peer("pytorch_crf", "crf_torchcrf.py", *how))
    if isinstance(side, child.Absent):
        return told + f"**not judged**: the peer gave no answer ({side.reason}).\n"
    ratios = {what: min(line[what][1] / line[what][0] for line in side.lines) for what in ("loss", "path")}
    apart = max(max(line["loss apart"], line["path apart"]) for line in side.lines)
    return (
        told
        + table([_size(line, side.load) for line in side.lines])
        + "\n"
        + verdict(apart <= APART, f"losses and scores of paths apart <= {APART:.0e}", f"{apart:.1e}")
        + "\n"
        + verdict(
            min(ratios.values()) >= FASTER,
            f"pytorch-crf takes >= {FASTER:g} x as long, at every size, for the loss and for the best path",
            f"at least {ratios['loss']:.1f} x and {ratios['path']:.1f} x",
        )
    )


def _size(line: dict[str, Any], load: float) -> dict[str, object]:
    (a, b), (c, d) = line["loss"], line["path"]
    return {
        "words": line["words"],
        "labels": line["labels"],
        "loss, ranvier ms": f"{a:.1f}",
        "loss, pytorch-crf ms": f"{b:.1f}",
        "loss, ratio": f"{b / a:.1f}",
        "path, ranvier ms": f"{c:.1f}",
        "path, pytorch-crf ms": f"{d:.1f}",
        "path, ratio": f"{d / c:.1f}",
        "loss apart": f"{line['loss apart']:.0e}",
        "gradient apart": f"{line['gradient apart']:.0e}",
        "path apart": f"{line['path apart']:.0e}",
        "threads": line["threads"],
        "load before": f"{load:.2f}",
    }


def _brown(job: Job, o: dict[str, Any]) -> str:
    asked = ("tags", "brown", "--data", job.data, "--source", "tokens", "--target", "tags")
    sides = {}
    for name, crf in (("CRF", True), ("softmax", False)):
        words = job.fit(head={"crf": crf}, **job.pick({}, SMALL))
        how = ("--time", o["time"], "--seed", o["seed"])
        sides[name] = child.ours(*asked, *how, *words, script="ours_language")
    crf, softmax = (side.last["accuracy"] for side in sides.values())
    slowest = max(side.wall for side in sides.values())
    return (
        f"### Part-of-speech tags\n\nTokens of brown to their tags, at the defaults with `time={o['time']:g}` and the "
        "head with and without CRF.\n\n"
        + table([_row(name, side) for name, side in sides.items()])
        + "\n"
        + verdict(
            crf >= softmax - LESS and crf >= ACCURACY and slowest <= WALL,
            f"accuracy of test words with the CRF >= {ACCURACY:.1%} and >= the softmax's less {100 * LESS:g} points, "
            f"each in <= {WALL:.0f} s of wall time",
            f"{crf:.2%} against {softmax:.2%}, slowest {slowest:.0f} s",
        )
    )


def _row(name: str, side: child.Child) -> dict[str, object]:
    seen = side.last
    return {
        "head": name,
        "test accuracy": f"{seen['accuracy']:.2%}",
        "s to learn": f"{seen['fit']:.1f}",
        "wall s": f"{side.wall:.1f}",
        "epochs": f"{seen['epochs']:.1f}",
        "parameters": f"{seen['parameters']:,}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }
