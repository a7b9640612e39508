"""language_model: a language of characters, beside a GPT as nanoGPT trains it, in the same seconds."""

from __future__ import annotations

import statistics

from bench import child
from bench.figures import paces
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"seconds": 180.0, "seed": 0, "compile": 1}
QUICK = {"seconds": 5.0, "compile": 0}
# sizes are the defaults today, and said so that parameters stay no more than the peer's (2,437,632 against 2,443,520),
# which has a block more and no n-grams, and no dropout either
FIT = {
    "column": {"units": "characters"},
    "head": {"layer_width": 256, "depth": 2, "grams": 3, "heads": 2, "window": 256, "dropout": 0.0},
    "batch": 32,
    "split": "none",
}
FASTER = 1.5


def run(job: Job) -> str:
    """The section: ours first, then the peer for as many seconds."""
    o = job.settings(OPTIONS, QUICK, "ours")
    words = job.fit(**FIT)
    how = ("--data", job.data, "--seed", o["seed"])
    ours = child.ours("text", "kjv", *how, "--time", o["seconds"], *words, script="ours_language")
    seconds = max(o["seconds"], ours.last["seconds"])
    stretch = max(1, round(ours.last["stretch"]))
    asked = (*how, "--seconds", seconds, "--stretch", stretch, *(["--compile"] if o["compile"] else []))
    peer = child.attempt(lambda: child.peer("torch", "language_torch.py", "kjv", *asked))
    told = (
        "Loss: nats a character on the whole of kjv_val.txt, every character and every end of a line foreseen once, in "
        "windows of 256 tokens end to end, each from what stands before it in its window (ours has a sign for a "
        "line's beginning as well, which is not counted). Both learn from all of kjv_train.txt. Tokens a second: the "
        f"median over stretches of {stretch} steps. The {o['seconds']:.0f} s of ours are for all of `fit`, reading "
        "included; the peer's are of its training loop alone, and never fewer than ours took. "
        f"ranvier: `time={o['seconds']:g} {' '.join(words)}`.\n\n"
    )
    if isinstance(peer, child.Absent):
        return (
            told
            + table([_row("ranvier", ours, ours)])
            + f"\n**not judged**: the peer gave no answer ({peer.reason}).\n"
        )
    rows = [_row(name, side, peer) for name, side in (("ranvier", ours), ("nanoGPT's recipe", peer))]
    a, b = ours.last, peer.last
    return (
        told
        + table(rows)
        + f"\nThe peer with torch.compile: {b['compiled']}.\n\n"
        + _losses(a, b)
        + "\n"
        + verdict(
            _pace(ours) >= FASTER * _pace(peer),
            f"tokens a second >= {FASTER} x the peer's",
            f"{_pace(ours) / _pace(peer):.2f} x ({_pace(ours):,.0f} against {_pace(peer):,.0f})",
        )
    )


def _losses(a: dict[str, float], b: dict[str, float]) -> str:
    bar = "a lower loss than the peer's, in no more seconds"
    if a["characters"] != b["characters"]:
        return f"**not judged**: bar {bar}; ours counts {a['characters']:,} characters, the peer {b['characters']:,}.\n"
    met = a["loss"] < b["loss"] and a["seconds"] <= b["seconds"]
    return verdict(
        met, bar, f"{a['loss']:.4f} against {b['loss']:.4f}, {a['seconds']:.0f} s against {b['seconds']:.0f} s"
    )


def _pace(side: child.Child) -> float:
    """Tokens a second, the median."""
    seen = side.last
    return float(statistics.median(seen["paces"] if "paces" in seen else paces(seen["points"])))


def _row(name: str, side: child.Child, base: child.Child) -> dict[str, object]:
    seen = side.last
    return {
        "side": name,
        "loss": f"{seen['loss']:.4f}",
        "bits a character": f"{seen['loss'] / 0.6931471805599453:.3f}",
        "tokens a second": f"{_pace(side):,.0f}",
        "ratio": f"{_pace(side) / _pace(base):.2f}",
        "steps": f"{seen['steps']:.0f}",
        "training s": f"{seen['training']:.1f}",
        "parameters": f"{seen['parameters']:,}",
        "wall s": f"{side.wall:.1f}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }
