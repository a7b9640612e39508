"""keras_cnn and mlp: the networks that tutorials begin with, and how soon ours is as good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import arrays, child
from bench.child import Absent, Child
from bench.figures import first_reach
from bench.job import Job
from bench.reach import Runs, all_rows, judged, summary

CNN = {"seeds": 3, "held": 5_000, "epochs": 15, "share": 0.98}
CNN_QUICK = {"seeds": 1, "held": 300, "epochs": 2}
CNN_FIT = {"epochs": 1}
CNN_BARS = {"Keras 3 (JAX), whole": 0.1}
MLP = {"seeds": 5, "epochs": 5, "batch": 32, "less": 0.001}
MLP_QUICK = {"seeds": 1, "epochs": 2}
# few large orthogonal steps, at a rate that warms up and falls
STEPS_FIT = {
    "optimizer": {"name": "muon", "momentum": 0.9, "iterations": 3},
    "epochs": 1.5,
    "batch": 1024,
    "rate": 0.2,
    "schedule": {"name": "linear", "warmup": 0.05},
    "precision": "bf16",
    "watch": False,
}
DENSE = {"name": "dense", "hidden": [256], "width": 32, "norm": "none"}
NET, FIT, LOOP = "ranvier.train.fit", "ranvier fit", "PyTorch tutorial loop"
MLP_BARS = {"Keras 3 (JAX)": 1 / 3, LOOP: 1 / 5, "scikit-learn": 1 / 8}
Maybe = Child | Absent


def keras_cnn(job: Job) -> str:
    """The section: ours until 98 % of the final validation score of Keras's tutorial CNN, beside its whole time."""
    o = job.settings(CNN, CNN_QUICK, "ours")
    file = arrays.pictures_file(job)
    words = job.fit(**CNN_FIT)
    ours, whole, part = Runs("ranvier"), Runs("Keras 3 (JAX), whole"), Runs("Keras 3 (JAX), to the score")
    told = []
    for seed in range(o["seeds"]):
        how = ("--file", file, "--held", o["held"], "--seed", seed, "--epochs", o["epochs"])
        peer = child.attempt(lambda how=how: child.peer("keras", "cnn_keras.py", *how))
        if isinstance(peer, Absent):
            return f"Keras gave no answer: {peer.reason}.\n"
        final = peer.last["curve"][-1]
        target = o["share"] * final[1]
        whole.add(peer, seed, final[0])
        part.add(peer, seed, first_reach(peer.last["curve"], target))
        told.append(f"{target:.2%}")
        asked = ("--file", file, "--held", o["held"], "--score", target, *words)
        own = child.ours("arrays", "fashion", seed, *asked, script="ours_reach")
        ours.add(own, seed, own.last["reached"])
    return (
        "Seconds are those since the process was started: Python, imports, reading one .npz of pixels, compiling, "
        f"training, every validation on the same {o['held']:,} training rows, held out. The score to reach is "
        f"{o['share']:.0%} of the last validation score of the {o['epochs']} tutorial epochs of the same seed: "
        f"{', '.join(told)}. ranvier: `{' '.join(words)}`.\n\n"
        + summary(ours, [whole, part])
        + "\n"
        + judged(ours, CNN_BARS, [whole])
        + all_rows(ours, whole)
    )


def mlp(job: Job) -> str:
    """The section: 784-256-10 until the tutorial loop's final test accuracy, less a tenth of a point."""
    o = job.settings(MLP, MLP_QUICK, "ours", "net")
    file = arrays.pictures_file(job)
    ours, fit = Runs(NET), Runs(FIT)
    peers = [Runs(name) for name in MLP_BARS]
    net_words, fit_words = job.fit("net", **STEPS_FIT), job.fit(encoder=DENSE, fuse="concat", **STEPS_FIT)
    targets = []
    for seed in range(o["seeds"]):
        sides = {name: child.attempt(side) for name, side in _tutorials(file, seed, o["epochs"], o["batch"]).items()}
        loop = sides[LOOP]
        if isinstance(loop, Absent):
            return f"The tutorial loop, whose accuracy is the target, gave no answer: {loop.reason}.\n"
        target = loop.last["test"] - o["less"]
        targets.append(f"{target:.2%}")
        for runs in peers:
            side = sides[runs.name]
            runs.add(side, seed, *_seconds(side, target))
        asked = ("--file", file, "--score", target)
        own = child.ours("net", "fashion", seed, *asked, *net_words, script="ours_reach")
        ours.add(own, seed, own.last["reached"])
        own = child.ours("arrays", "fashion", seed, "--flat", *asked, *fit_words, script="ours_reach")
        fit.add(own, seed, own.last["reached"])
    return (
        "Seconds are those since the process was started, until the first score of the test rows that is enough: that "
        f"of the tutorial loop after its {o['epochs']} epochs with the same seed, less {100 * o['less']:g} point: "
        f"{', '.join(targets)}. A peer that does not get there counts with its whole time, which it needs at least. "
        f"Every side starts from the same .npz of pixels. {NET}: `{' '.join(net_words)}`. "
        f"{FIT}: `{' '.join(fit_words)}`.\n\n"
        + summary(ours, [fit, *peers])
        + "\n"
        + judged(ours, MLP_BARS, peers)
        + judged(fit, MLP_BARS, peers)
        + all_rows(ours, fit, *peers)
    )


def _tutorials(file: Path, seed: int, epochs: int, batch: int) -> dict[str, Callable[[], Maybe]]:
    """The peers of the MLP, by name."""
    how = ("--file", file, "--seed", seed, "--epochs", epochs, "--batch", batch)
    return {
        LOOP: lambda: child.peer("torch", "mlp_torch.py", *how),
        "Keras 3 (JAX)": lambda: child.peer("keras", "mlp_keras.py", *how),
        "scikit-learn": lambda: child.peer("sklearn", "mlp_sklearn.py", *how),
    }


def _seconds(side: Maybe, target: float) -> tuple[float | None, float]:
    """When the side was good enough, None for never; and when it had ended."""
    if isinstance(side, Absent):
        return None, 0.0
    curve = side.last["curve"]
    return first_reach(curve, target), curve[-1][0]
