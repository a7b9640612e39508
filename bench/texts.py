"""newsgroups and snippets: texts to labels, beside TF-IDF and logistic regression."""

from __future__ import annotations

import statistics

import numpy as np

from bench import child
from bench.figures import bootstrap
from bench.job import Job
from bench.report import table, verdict

NEWS_TIME, NEWS_WALL = 110, 120.0
SNIP_TIME, SNIP_WALL, SEEDS, CHANCE = 50, 60.0, 5, 0.9


def newsgroups(job: Job) -> str:
    """The section of newsgroups: one run of each."""
    time = job.pick(NEWS_TIME, 10)
    ours = child.ours("parts", "newsgroups", 0, "--data", job.data, "--target", "label", "--time", time)
    peer = _peer(job, "newsgroups", 0)
    met = ours.last["accuracy"] >= peer.last["accuracy"] and ours.wall <= NEWS_WALL
    return (
        table([_row(f"ranvier, time={time}", ours, peer), _row("TF-IDF + LR", peer, peer)])
        + "\n"
        + verdict(
            met,
            f"accuracy of the peer or more, in <= {NEWS_WALL:.0f} s of wall time",
            f"{ours.last['accuracy']:.2%} against {peer.last['accuracy']:.2%}, in {ours.wall:.0f} s",
        )
    )


def snippets(job: Job) -> str:
    """The section of snippets: several seeds, their median, and how surely it is better on rows like these."""
    time, seeds = job.pick(SNIP_TIME, 6), range(job.pick(SEEDS, 2))
    asked = ("--data", job.data, "--target", "sentiment", "--inputs", "text", "--time", time, "--rows")
    ours = [child.ours("parts", "snippets", seed, *asked) for seed in seeds]
    peers = [_peer(job, "snippets", seed) for seed in seeds]
    rows = [
        _row(f"ranvier, time={time}, seed={seed}", a, b) for seed, (a, b) in enumerate(zip(ours, peers, strict=True))
    ]
    rows.append(_row("TF-IDF + LR", peers[0], peers[0]))
    a, b = np.stack([_right(side) for side in ours]), np.stack([_right(side) for side in peers])
    folder = child.KEPT / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "snippets.npz", ours=a, peer=b)
    return table(rows) + "\n" + _judged(a, b, max(side.wall for side in ours))


def _judged(a: np.ndarray, b: np.ndarray, slowest: float) -> str:
    """a, b: (seeds, rows), whether each test row was right."""
    order = np.argsort(a.mean(1), kind="stable")
    middle = int(order[(len(order) - 1) // 2])  # the lower of the two in the middle, if there are two
    chance, pooled = bootstrap(a[middle], b[middle]), bootstrap(a, b)
    ours, peer = statistics.median(a.mean(1)), statistics.median(b.mean(1))
    told = f"median {ours:.2%} against {peer:.2%}, P = {chance:.3f} ({pooled:.3f} pooled), slowest {slowest:.0f} s"
    bar = f"median of {len(a)} seeds above the peer's with P >= {CHANCE}, each run <= {SNIP_WALL:.0f} s of wall time"
    met = ours > peer and chance >= CHANCE and slowest <= SNIP_WALL
    return verdict(met, bar, told) + (
        f"\nP(ours > peer): the share of 10,000 resamples of the {a.shape[1]:,} test rows, drawn with replacement and "
        f"the same rows for both, in which ours is right more often (a tie counts half). For the bar: the seed of "
        f"median accuracy ({middle}). Pooled: a row counts with its mean over the seeds. The peer has no random "
        "choice.\nWhich rows were right lies in `bench/.envs/rows/snippets.npz` (ours, peer: seeds by rows).\n"
    )


def _peer(job: Job, dataset: str, seed: int) -> child.Child:
    return child.peer("sklearn", "text_sklearn.py", dataset, seed, "--data", job.data)


def _right(side: child.Child) -> np.ndarray:
    return np.array([mark == "1" for mark in side.last["right"]])


def _row(name: str, side: child.Child, base: child.Child) -> dict[str, object]:
    seen = side.last
    return {
        "side": name,
        "test accuracy": f"{seen['accuracy']:.2%}",
        "less the peer's": f"{100 * (seen['accuracy'] - base.last['accuracy']):+.2f}",
        "fit and evaluate s": f"{seen['seconds']:.1f}",
        "wall s": f"{side.wall:.1f}",
        "wall, ratio": f"{side.wall / base.wall:.2f}",
        "load before": f"{side.load:.2f}",
    }
