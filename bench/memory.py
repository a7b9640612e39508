"""memory: gigabytes held at most, above what importing takes, beside torch peers; on pictures and on a table."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench import child
from bench.child import Absent, Child
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"runs": 3, "table": "scorecard", "seconds": 40, "airbench_epochs": 0.5}
QUICK = {"runs": 1, "table": "autos", "seconds": 6}
PICTURES, FILES = "fashion", "torch,numpy,pyarrow.parquet,PIL.Image"
REALMLP = "pytabkit,lightning_utilities,sklearn.preprocessing,pandas,pyarrow.parquet"
Sides = dict[str, Callable[[], Child]]


def run(job: Job) -> str:
    """The section: a table and a bar for pictures and for a table."""
    o = job.settings(OPTIONS, QUICK, "ours", "tables")
    pictures, tables = _pictures(job, o), _table(job, o)
    return (
        f"The largest resident memory of a process less what it was after importing, medians of {o['runs']} runs, "
        "interleaved; reading, training and testing included. Pictures: ranvier trains for an epoch, the loop by hand "
        f"for {o['seconds']} s, the port for {o['airbench_epochs']:g} epochs (the sections of longer runs have their "
        "peaks). The table "
        f"({o['table']}): each as long as it does by default.\n\n"
        + _judged(PICTURES, pictures, o["runs"])
        + "\n"
        + _judged(o["table"], tables, o["runs"])
    )


def _pictures(job: Job, o: dict[str, object]) -> Sides:
    epochs, held, batch = job.pick((o["airbench_epochs"], 5_000, 2_000), (1, 300, 200))
    words = job.fit(epochs=1)
    asked = ("parts", PICTURES, "--data", job.data, "--target", "label", *words)
    airbench = ("--data", job.data, "--held", held, "--epochs", epochs, "--batch", batch)
    by_hand = ("--data", job.data, "--seconds", o["seconds"])
    return {
        "ranvier": lambda: child.ours(*asked, script="ours_grow"),
        "PyTorch loop by hand": lambda: _peer("torch", FILES, "fashion_torch.py", *by_hand),
        "airbench port": lambda: _peer("torch", FILES, "fashion_airbench.py", *airbench),
    }


def _table(job: Job, o: dict[str, object]) -> Sides:
    name, words = o["table"], job.fit("tables")
    quick = job.pick((), ("--epochs", 4))
    realmlp = ("realmlp", "--data", job.data, "--folds", 1, "--repeats", 1, "--table", name, *quick)
    return {
        "ranvier": lambda: child.ours("fold", name, "--data", job.data, *words, script="ours_grow"),
        "PyTorch MLP by hand": lambda: _peer("torch", FILES, "table_torch.py", name, "--data", job.data),
        "RealMLP-TD": lambda: _peer("realmlp", REALMLP, "tables_more.py", *realmlp),
    }


def _peer(environment: str, modules: str, script: str, *arguments: object) -> Child:
    return child.peer(environment, "memory_of.py", modules, script, *arguments)


def _judged(name: str, sides: Sides, runs: int) -> str:
    seen: dict[str, list[Child]] = {side: [] for side in sides}
    absent: dict[str, str] = {}
    for _ in range(runs):
        for side, call in sides.items():
            found = child.attempt(call)
            if isinstance(found, Absent):
                absent[side] = found.reason
            else:
                seen[side].append(found)
    above = {side: statistics.median(map(_above, found)) for side, found in seen.items() if found}
    rows = [
        {
            "side": side,
            "after imports GB": f"{statistics.median(run.last['base'] for run in seen[side]):.2f}",
            "at most GB": f"{statistics.median(run.last['peak'] for run in seen[side]):.2f}",
            "above GB": f"{value:.2f}",
            "ours / it": "" if side == "ranvier" or "ranvier" not in above else f"{above['ranvier'] / value:.2f}",
        }
        for side, value in above.items()
    ]
    told = f"### {name}\n\n" + table(rows) + "\n"
    told += "".join(f"{side}: no answer ({reason}).\n\n" for side, reason in absent.items())
    peers = {side: value for side, value in above.items() if side != "ranvier"}
    if "ranvier" not in above or not peers:
        return told + "**not judged**: nothing to compare.\n"
    best = min(peers, key=lambda side: peers[side])
    met, bar = above["ranvier"] <= peers[best], "memory above imports no more than the best torch peer's"
    return told + verdict(met, bar, f"{above['ranvier']:.2f} GB against {peers[best]:.2f} GB ({best})")


def _above(side: Child) -> float:
    return float(side.last["peak"] - side.last["base"])
