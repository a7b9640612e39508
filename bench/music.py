"""music: tunes in ABC notation as a language; whether music21 reads what is written, and whether it is copied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bench import child
from bench.figures import runs
from bench.job import Job
from bench.ours_music import LONGEST, METRES, PLAIN, WILD
from bench.report import table, verdict

OPTIONS = {"seed": 0, "count": 300, "held": 200, "few": 20, "rhythm": 1, "known": 0}
QUICK = {"count": 4, "held": 20, "few": 2, "known": 40}
ALONE: dict[str, Any] = {"time": 900, "column": {"units": "characters"}}
GIVEN: dict[str, Any] = {"time": 300, "column": {"units": "characters"}}
TINY: dict[str, Any] = {"time": 0, "epochs": 0.1, "size": "s"}
NOTES, RUN = 8, 12
PARSED, OWN = 0.95, 0.8
Read = list[dict[str, Any]]


def run(job: Job) -> str:
    """The section."""
    o = job.settings(OPTIONS, QUICK, "ours", "given")
    usual = TINY if job.quick else {}
    how = ("--data", job.data, "--held", o["held"])
    words = job.fit("ours", **(ALONE | usual))
    ours = child.ours("alone", o["seed"], *how, "--count", o["count"], *words, script="ours_music")
    known = _tunes(job, "train")[: o["known"] or None]
    read = {f"written, {name}": _read(tunes) for name, tunes in ours.last["tunes"].items()}
    read["test tunes"] = _remembered(_tunes(job, "test")[: 10 * o["count"]])
    copied = runs((line.get("pitches", []) for line in _remembered(known)), RUN)
    rows = {name: _judged(lines, copied) for name, lines in read.items()}
    told = (
        _told(o, ours, words)
        + table([_row(name, rows[name]) for name in read])
        + "\n"
        + _verdicts(rows["written, wild"])
    )
    if o["rhythm"]:
        words = job.fit("given", **(GIVEN | usual))
        given = child.ours("rhythm", o["seed"], *how, "--count", o["few"], *words, script="ours_music")
        told += "\n" + _kinds(given, words)
    return told + "\nThe first three tunes that were written wild:\n\n" + _shown(ours.last["tunes"]["wild"][:3])


def _told(o: dict[str, Any], ours: child.Child, words: Sequence[str]) -> str:
    seen = ours.last
    return (
        f"ranvier: `{' '.join(words)}`, seed {o['seed']}: {seen['parameters']:,} parameters, {seen['epochs']:.1f} "
        f"epochs, fitted in {seen['fitted']:.0f} s; twice {o['count']} tunes of at most {LONGEST:,} characters written "
        f"in {seen['write']:.1f} s (load before {ours.load:.2f}, peak {seen['rss']:.2f} GB). Bits a character: "
        f"{seen['bits']['held out']:.3f} of the {o['held']:,} training tunes held out for validation, "
        f"{seen['bits']['test']:.3f} of the test tunes.\n\n"
        f"Drawn as learnt: `{PLAIN}`; wild: `{WILD}`. A tune is read by music21 after the lines `X:1` and `T:tune`, "
        f"which the data leave out; it is read if music21 ends without an error and finds {NOTES} notes or more, and "
        f"its own if it is read and no {RUN} pitches in a row, grace notes among them, stand in any training tune.\n\n"
    )


def _tunes(job: Job, part: str) -> list[str]:
    return pl.read_parquet(job.data / f"tunes_{part}.parquet", columns=["abc"])["abc"].to_list()


def _read(texts: Sequence[str]) -> Read:
    """What music21 makes of each."""
    folder = child.KEPT / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tunes.json"
    file.write_text(json.dumps(list(texts)), encoding="utf-8")
    return child.peer("music21", "music_read.py", "--file", file).lines


def _remembered(texts: Sequence[str]) -> Read:
    """The same, remembered."""
    peers = child.BENCH / "peers"
    files: list[Path] = [peers / "music21.txt", peers / "music_read.py"]
    asked = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return child.remembered("music21", files, asked, lambda: _read(texts))[0]


def _judged(lines: Read, copied: set[tuple[str, ...]]) -> dict[str, float]:
    """Shares of the tunes that are read, and of those that are their own; notes in the middle one."""
    right = [line for line in lines if len(line.get("pitches", [])) >= NOTES]
    own = [line for line in right if not runs([line["pitches"]], RUN) & copied]
    lengths = sorted(len(line["pitches"]) for line in right)
    middle = lengths[len(lengths) // 2] if lengths else 0
    return {"tunes": len(lines), "parsed": len(right) / len(lines), "own": len(own) / len(lines), "notes": middle}


def _row(name: str, seen: dict[str, float]) -> dict[str, object]:
    return {
        "tunes": name,
        "number": f"{seen['tunes']:.0f}",
        f"read, {NOTES} notes or more": f"{seen['parsed']:.1%}",
        f"and no {RUN} pitches of a training tune": f"{seen['own']:.1%}",
        "notes in the middle one": f"{seen['notes']:.0f}",
    }


def _verdicts(seen: dict[str, float]) -> str:
    return (
        verdict(seen["parsed"] >= PARSED, f">= {PARSED:.0%} are read", f"{seen['parsed']:.0%}")
        + "\n"
        + verdict(seen["own"] >= OWN, f">= {OWN:.0%} are their own", f"{seen['own']:.0%}")
    )


def _kinds(given: child.Child, words: Sequence[str]) -> str:
    """Tunes of a kind: whether they are read, and are in its metre."""
    rows = []
    for kind, tunes in given.last["tunes"].items():
        seen = _judged(_read(tunes), set())
        metres = [line.removeprefix("M:").strip() for tune in tunes for line in tune.splitlines()[:1]]
        right = sum(metre in METRES[kind].split() for metre in metres)
        rows.append({"rhythm": kind, "written": len(tunes), "read": f"{seen['parsed']:.0%}", "metre": METRES[kind]})
        rows[-1]["in that metre"] = f"{right / len(tunes):.0%}"
    return (
        f'### From a rhythm\n\n`inputs=["rhythm"]`, `{" ".join(words)}`: {given.last["epochs"]:.1f} epochs, fitted in '
        f"{given.last['fitted']:.0f} s.\n\n" + table(rows)
    )


def _shown(tunes: Sequence[str]) -> str:
    return "\n".join(f"```\n{tune}\n```\n" for tune in tunes)
