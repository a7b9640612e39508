"""airbench and fashion93: seconds until 93 % of the validation rows of Fashion-MNIST are right."""

from __future__ import annotations

from typing import Any

from bench import child
from bench.job import Job
from bench.reach import Runs, all_rows, judged, summary

SCORE = 0.93
AIRBENCH = {"epochs": 8.0, "batch": 2_000, "kernel": 2, "seeds": 3, "score": SCORE, "held": 5_000}
AIRBENCH_QUICK = {"epochs": 1.0, "batch": 200, "seeds": 1, "score": 0.5, "held": 300}
RACE = {
    "seeds": 3,
    "score": SCORE,
    "held": 5_000,
    "cap": 4.5,
    "airbench_epochs": 8.0,
    "airbench_batch": 2_000,
    "airbench_kernel": 2,
    "lightning_epochs": 30.0,
    "lightning": 1,
}
RACE_QUICK = {"seeds": 1, "score": 0.4, "held": 300, "airbench_epochs": 1.0, "airbench_batch": 200, "cap": 1.5}
BARS = {"airbench port": 1.1, "Lightning ResNet-18": 0.25}
RULE = (
    "Seconds are those since the process was started: Python, imports, reading and decoding the files, training, every "
    "validation. A side stops at its first validation score of {score:.1%} or more on the same {held:,} training rows, "
    "held out; the test rows are looked at once, after that, and do not count.\n\n"
)


def airbench(job: Job) -> str:
    """The section of the port alone: to find the shortest schedule that gets there every time."""
    o = job.settings(AIRBENCH, AIRBENCH_QUICK)
    port = Runs("airbench port")
    for seed in range(o["seeds"]):
        side = _airbench(job, o, seed, o["epochs"], o["batch"], o["kernel"])
        port.add(side, seed, side.last["reached"])
    got = sum(seconds is not None for seconds in port.seconds)
    told = f"{o['epochs']:g} epochs, batch {o['batch']:,}: reached by {got} of {len(port.seconds)} seeds.\n\n"
    return RULE.format(**o) + told + all_rows(port)


def race(job: Job) -> str:
    """The section of ours beside the port and a Lightning ResNet-18, interleaved by seed."""
    o = job.settings(RACE, RACE_QUICK, "ours")
    words = job.fit(**job.pick({"time": 90}, {"time": 20}))
    ours, port, lightning = Runs("ranvier"), Runs("airbench port"), Runs("Lightning ResNet-18")
    asked = ("--data", job.data, "--target", "label", "--held", o["held"], "--score", o["score"])
    for seed in range(o["seeds"]):
        own = child.ours("files", "fashion", seed, *asked, *words, script="ours_reach")
        ours.add(own, seed, own.last["reached"])
        beside = child.attempt(lambda seed=seed: _airbench(job, o, seed, *_schedule(o)))
        port.add(beside, seed, beside.last["reached"] if isinstance(beside, child.Child) else None)
        if o["lightning"]:
            limit = o["cap"] * (own.last["reached"] or own.last["seconds"])
            peer = child.attempt(lambda seed=seed, limit=limit: _lightning(job, o, seed, limit))
            lightning.add(peer, seed, peer.last["reached"] if isinstance(peer, child.Child) else None, limit)
    peers = [port, lightning] if o["lightning"] else [port]
    note = (
        f"ranvier: `{' '.join(words)}`. The port: {o['airbench_epochs']:g} epochs (see `peers/fashion_airbench.py`). "
        f"Lightning: its documented cycle of {o['lightning_epochs']:g} epochs, given up after {o['cap']:g} times "
        "ranvier's seconds.\n\n"
    )
    told = summary(ours, peers) + "\n" + judged(ours, BARS, peers)
    return RULE.format(**o) + note + told + all_rows(ours, *peers)


def _schedule(o: dict[str, Any]) -> tuple[float, int, int]:
    return o["airbench_epochs"], o["airbench_batch"], o["airbench_kernel"]


def _airbench(job: Job, o: dict[str, Any], seed: int, epochs: float, batch: int, kernel: int) -> child.Child:
    how = ("--seed", seed, "--epochs", epochs, "--batch", batch, "--kernel", kernel)
    where = ("--data", job.data, "--held", o["held"], "--target", o["score"])
    return child.peer("torch", "fashion_airbench.py", *where, *how)


def _lightning(job: Job, o: dict[str, Any], seed: int, limit: float) -> child.Child:
    where = ("--data", job.data, "--held", o["held"], "--target", o["score"])
    how = ("--seed", seed, "--epochs", o["lightning_epochs"], "--limit", f"{limit:.1f}")
    return child.peer("lightning", "fashion_lightning.py", *where, *how)
