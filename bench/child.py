"""Runs one side of a bench as a process of its own, in its own environment, and reads the JSON lines that it prints."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.clock import STARTED

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
KEPT = BENCH / ".envs"  # environments, answers of peers, rows: made by the benches, not in git


class ChildError(RuntimeError):
    """A side of a bench that ended with an error."""


class NotInstalled(ChildError):
    """A peer whose environment could not be made."""


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


@dataclass(frozen=True)
class Absent:
    """A peer that gave no answer, and why."""

    reason: str


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, made from `peers/<peer>.txt` on first use or when that has changed.

    Raises NotInstalled if pip cannot make it.
    """
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
        raise NotInstalled(f"pip could not make the environment of {peer}:\n{done.stderr[-2000:]}")
    made.write_text(wanted)
    return python


def ours(*arguments: object, script: str = "ours") -> Child:
    """`python -m bench.SCRIPT ARGUMENTS` in this environment."""
    return call(Path(sys.executable), "-m", f"bench.{script}", *arguments)


def peer(environment: str, script: str, *arguments: object) -> Child:
    """A script of `peers/` in the environment of that name."""
    return call(python_of(environment), BENCH / "peers" / script, *arguments)


def attempt(side: Callable[[], Child]) -> Child | Absent:
    """What the side answers; Absent, with the reason, if it cannot be installed or ends with an error."""
    try:
        return side()
    except ChildError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
        kind = "not installed" if isinstance(error, NotInstalled) else "failed"
        say(f"{kind}: {error}")
        return Absent(f"{kind}: {reason:.200}")


def remembered(
    name: str, files: Sequence[Path], asked: str, make: Callable[[], list[dict[str, Any]]]
) -> tuple[list[dict[str, Any]], bool]:
    """What `make` answers, and whether that is remembered: as long as neither the files nor the question changed."""
    key = hashlib.sha256(("".join(path.read_text() for path in files) + asked).encode()).hexdigest()[:16]
    kept = KEPT / "answers" / f"{name}-{key}.json"
    if kept.exists():
        return json.loads(kept.read_text()), True
    lines = make()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(lines))
    return lines, False


def call(*command: object) -> Child:
    """Runs the command in the repository's folder. Raises ChildError if it fails or prints no JSON line."""
    words = [str(word) for word in command]
    load = os.getloadavg()[0]
    say(f"{' '.join(' '.join(words[1:]).split()):.150}   (load {load:.2f})")
    started = time.perf_counter()
    environment = os.environ | {STARTED: repr(time.time())}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - started
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise ChildError(f"{' '.join(words)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return Child(lines, wall, load)


def say(what: str) -> None:
    """A line on standard error."""
    print(what, file=sys.stderr, flush=True)
