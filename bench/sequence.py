"""sequence: LSTM and Transformer on the newsgroups until 98 % of a peer's final validation score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import arrays, child
from bench.child import Absent, Child
from bench.figures import first_reach
from bench.job import Job
from bench.reach import Runs, all_rows, judged, summary

OPTIONS = {"seeds": 3, "held": 1_000, "epochs": 5, "share": 0.98, "lstm": 1, "transformer": 1}
QUICK = {"seeds": 1, "held": 100, "epochs": 1}
# as short a text as the peers read, whole words where they are frequent, and networks as small as theirs
LIGHT = {"limit": 256, "dropout": 0.1, "word_dropout": 0.0}
FIT: dict[str, dict[str, Any]] = {
    "lstm": {"encoder": {"name": "lstm", **LIGHT}, "column": {"vocabulary": 16_000}, "epochs": 3},
    "transformer": {
        "encoder": {"name": "transformer", "width": 64, "depth": 1, **LIGHT},
        "column": {"vocabulary": 16_000},
        "rate": 1e-2,
        "epochs": 2,
    },
}
PEERS = {"Keras 3 (JAX)": ("keras", "sequence_keras.py"), "plain PyTorch": ("torch", "sequence_torch.py")}
BAR = 0.5


def run(job: Job) -> str:
    """The section: each network, ours beside Keras and plain PyTorch, interleaved by seed."""
    o = job.settings(OPTIONS, QUICK, *FIT)
    file = arrays.texts_file(job)
    told = (
        "Seconds are those since the process was started, until the first validation score, on the same "
        f"{o['held']:,} training rows, held out, that is {o['share']:.0%} of the peer's last one of the same seed. A "
        f"peer trains its {o['epochs']} epochs to the end and counts with the second at which it had that score.\n\n"
    )
    return told + "\n".join(_net(job, o, file, net) for net in FIT if o[net])


def _net(job: Job, o: dict[str, Any], file: Path, net: str) -> str:
    """One network's part of the section: a table and a bar for each peer, which has a score of its own."""
    words = job.fit(net, **FIT[net])
    ours = {name: Runs(f"ranvier to {name}'s score") for name in PEERS}
    peers = {name: Runs(name) for name in PEERS}
    targets: dict[str, list[str]] = {name: [] for name in PEERS}
    for seed in range(o["seeds"]):
        scores = {}
        for name, (environment, script) in PEERS.items():
            how = (net, "--file", file, "--held", o["held"], "--seed", seed, "--epochs", o["epochs"])
            side = child.attempt(lambda e=environment, s=script, how=how: child.peer(e, s, *how))
            scores[name] = _score(side, o["share"])
            targets[name].append(f"{scores[name]:.2%}")
            seconds = None if isinstance(side, Absent) else first_reach(side.last["curve"], scores[name])
            peers[name].add(side, seed, seconds)
        own = _ours(job, o, seed, max(scores.values()), words)
        for name, score in scores.items():
            ours[name].add(own, seed, first_reach(own.last["curve"], score))
    told = f"### {net}\n\nranvier: `{' '.join(words)}`. "
    told += "; ".join(f"{share} of {name}: {', '.join(targets[name])}" for name, share in _shares(o)) + ".\n\n"
    for name, peer in peers.items():
        bars = {name: BAR}
        told += summary(ours[name], [peer]) + "\n" + judged(ours[name], bars, [peer])
    return told + all_rows(next(iter(ours.values())), *peers.values())


def _shares(o: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, f"{o['share']:.0%}") for name in PEERS]


def _score(side: Child | Absent, share: float) -> float:
    """The score to reach; 0 for a peer that gave no answer."""
    return 0.0 if isinstance(side, Absent) else share * side.last["curve"][-1][1]


def _ours(job: Job, o: dict[str, Any], seed: int, score: float, words: list[str]) -> Child:
    asked = ("--data", job.data, "--target", "label", "--held", o["held"], "--score", score)
    return child.ours("files", "newsgroups", seed, *asked, *words, script="ours_reach")
