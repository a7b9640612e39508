"""Runs one side of a bench as a process of its own, in its own environment, and reads the JSON lines that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
KEPT = BENCH / ".envs"  # environments, answers of peers, rows: made by the benches, not in git


class ChildError(RuntimeError):
    """A side of a bench that ended with an error."""


@dataclass(frozen=True)
class Child:
    """What a process printed. lines: its JSON lines. wall: seconds from start to end. load: 1-minute load before."""

    lines: list[dict[str, Any]]
    wall: float
    load: float

    @property
    def last(self) -> dict[str, Any]:
        """The only line, or the last."""
        return self.lines[-1]


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, made from `peers/<peer>.txt` on first use or when that has changed."""
    wanted = (BENCH / "peers" / f"{peer}.txt").read_text()
    folder = KEPT / peer
    python, made = folder / "bin" / "python", folder / ".made"
    if made.exists() and made.read_text() == wanted:
        return python
    say(f"making the environment of {peer} in {folder} (once)")
    venv.create(folder, with_pip=True, clear=True)
    listing = str(BENCH / "peers" / f"{peer}.txt")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", listing]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise ChildError(f"pip could not make the environment of {peer}:\n{done.stderr[-2000:]}")
    made.write_text(wanted)
    return python


def ours(*arguments: object) -> Child:
    """`python -m bench.ours ARGUMENTS` in this environment."""
    return call(Path(sys.executable), "-m", "bench.ours", *arguments)


def peer(environment: str, script: str, *arguments: object) -> Child:
    """A script of `peers/` in the environment of that name."""
    return call(python_of(environment), BENCH / "peers" / script, *arguments)


def call(*command: object) -> Child:
    """Runs the command in the repository's folder. Raises ChildError if it fails or prints no JSON line."""
    words = [str(word) for word in command]
    load = os.getloadavg()[0]
    say(f"{' '.join(' '.join(words[1:]).split()):.150}   (load {load:.2f})")
    started = time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    wall = time.perf_counter() - started
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise ChildError(f"{' '.join(words)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return Child(lines, wall, load)


def say(what: str) -> None:
    """A line on standard error."""
    print(what, file=sys.stderr, flush=True)
