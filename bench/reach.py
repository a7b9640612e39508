"""What the benches of time to a score share: runs of several sides by seed, their tables, and the bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.child import Absent, Child
from bench.figures import middle
from bench.report import table, verdict


@dataclass
class Runs:
    """One side's runs, a run a seed. seconds: until the score, None where it was not reached.

    limits: seconds after which a run was given up, 0 = never. scores: the last on the validation rows.
    """

    name: str
    seconds: list[float | None] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    absent: str = ""

    def add(self, side: Child | Absent, seed: int, seconds: float | None, limit: float = 0.0) -> None:
        """Notes a run; after one that gave no answer the side counts as absent."""
        if isinstance(side, Absent):
            self.absent = side.reason
            self.rows.append({"side": self.name, "seed": seed, "validation": side.reason})
            return
        self.seconds.append(seconds)
        self.limits.append(limit)
        self.rows.append(row(self.name, seed, side, seconds, limit))

    @property
    def median(self) -> float | None:
        """Seconds until the score, in the middle of the seeds; None if most did not get there, or nothing ran."""
        return None if self.absent else middle(self.seconds)

    @property
    def at_least(self) -> float | None:
        """The median, each seed that did not get there counting with its limit: what the side takes at least."""
        if self.absent:
            return None
        waited = [limit if took is None else took for took, limit in zip(self.seconds, self.limits, strict=True)]
        return middle(waited) if all(waited) else self.median


def row(name: str, seed: int, side: Child, seconds: float | None, limit: float) -> dict[str, object]:
    """A line of the table of runs."""
    seen = side.last
    scores = [score for _, score in seen["curve"]]
    return {
        "side": name,
        "seed": seed,
        "validation": f"{scores[-1]:.2%}" if scores else "none yet",
        "s to the score": reached(seconds, limit),
        "whole s": f"{seen['seconds']:.1f}",
        "epochs": f"{seen['epochs']:.1f}" if "epochs" in seen else "",
        "test": "" if seen.get("test") is None else f"{seen['test']:.2%}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }


def reached(seconds: float | None, limit: float = 0.0) -> str:
    """Seconds, or "not reached", within how many if there was a limit."""
    if seconds is not None:
        return f"{seconds:.1f}"
    return f"not reached in {limit:.0f}" if limit else "not reached"


def ratio(ours: Runs, peer: Runs) -> tuple[float, str] | None:
    """(ours / peer, how it is written): "< 0.25" where the peer was given up. None if there is nothing to compare."""
    if ours.median is None or peer.at_least is None:
        return None
    value = ours.median / peer.at_least
    return value, f"{value:.2f}" if peer.median is not None else f"< {value:.2f}"


def summary(ours: Runs, peers: Sequence[Runs]) -> str:
    """A line a side: the median over seeds, and ours over it."""
    lines: list[dict[str, object]] = []
    for side in (ours, *peers):
        compared = ratio(ours, side)
        got = sum(seconds is not None for seconds in side.seconds)
        lines.append(
            {
                "side": side.name,
                "median s to the score": side.absent or reached(side.median, side.at_least or 0.0),
                "reached": f"{got} of {len(side.seconds)}",
                "ours / it": "" if side is ours or compared is None else compared[1],
            }
        )
    return table(lines)


def judged(ours: Runs, bars: Mapping[str, float], peers: Sequence[Runs]) -> str:
    """A verdict a peer; bars: peer -> the most that ours / peer may be. An absent peer is named with its reason."""
    told = ""
    for peer in peers:
        if peer.name not in bars:
            continue
        bar = f"{ours.name} <= {bars[peer.name]:.3g} x {peer.name}, medians of {len(ours.seconds)} seeds"
        compared = ratio(ours, peer)
        if peer.absent:
            told += f"**not judged**: bar {bar}; the peer gave no answer ({peer.absent}).\n\n"
        elif compared is None:
            own = ours.absent or reached(ours.median)
            told += verdict(False, bar, f"{ours.name} {own}, {peer.name} {reached(peer.median)}") + "\n"
        else:
            times = f"{reached(ours.median)} s against {reached(peer.median, peer.at_least or 0.0)} s"
            told += verdict(compared[0] <= bars[peer.name], bar, f"{compared[1]} ({times})") + "\n"
    return told


def all_rows(*sides: Runs) -> str:
    """Every run, in the order of seeds."""
    rows: list[dict[str, Any]] = [row for side in sides for row in side.rows]
    rows.sort(key=lambda row: row["seed"])
    names = max(rows, key=len, default={})
    return table([{name: row.get(name, "") for name in names} for row in rows])
