"""kills: runs that are killed, and go on, again and again, beside the same runs left alone."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.child import KEPT, ROOT, ChildError, ours, say
from bench.job import Job
from bench.report import table, verdict

OPTIONS = {"kills": 50, "seed": 0}
QUICK = {"kills": 4}
PER_RUN = 4  # kills of one run at most
AIMED = 0.5  # the share of kills that wait for a checkpoint to be written
COST = 3.0  # percent
LONG = "90s"  # that runs may take of which the cost is measured
DEFAULTS = ("table", "pictures", "translation")
ROWS = {"fashion_train": 200, "ddtp_en_fr_train": 100}
LETTERS = 60  # of a text to translate at most
TIME = ("--time", "8s", "--epochs", "1000")  # more than the time allows
CASES: dict[str, tuple[str, ...]] = {
    "GAN": ("fashion_train.parquet", "-t", "image", "-i", "label", "--set", "targets.image.head=gan", "--epochs", "4"),
    "table": ("penguins.csv", "-t", "species", "--epochs", "12", "--set", "train.refit=true"),
    "pictures": ("fashion_train.parquet", "-t", "label", "--epochs", "4", "--size", "s"),
    "translation": ("ddtp_en_fr_train.parquet", "-t", "target", "-i", "source", "--epochs", "4", "--size", "s"),
}


@dataclass
class Tally:
    """What became of the runs of one case. aimed: kills while a checkpoint was written; early: before there was any."""

    runs: int = 0
    kills: int = 0
    aimed: int = 0
    early: int = 0
    same: int = 0


def run(job: Job) -> str:
    """The section: the runs of each case killed, with a time budget and without one."""
    o = job.settings(OPTIONS, QUICK)
    names = [(name, limit) for name in CASES for limit in (False, True)]
    tallies = kill_all(job.data, KEPT / "kills", names, o["kills"], o["seed"])
    rows = [
        {
            "run": name,
            "with `time`": "yes" if limit else "no",
            "runs": tally.runs,
            "kills": tally.kills,
            "in a checkpoint": tally.aimed,
            "before any": tally.early,
            "bit-identical": tally.same,
        }
        for (name, limit), tally in tallies.items()
    ]
    costs = [cost(job.data, KEPT / "kills", name) for name in DEFAULTS[: job.pick(None, 1)]]
    kills, runs, same = (sum(getattr(t, what) for t in tallies.values()) for what in ("kills", "runs", "same"))
    bar = "weights and columns of every killed run bit-identical to those of the run left alone"
    return (
        "`ranvier fit` as a process of its own, ended by SIGKILL at moments drawn at random, half of them as soon as a "
        "checkpoint is being written (one every 0.1 s), and resumed until it is done.\n\n"
        + table(rows)
        + "\n"
        + verdict(same == runs and kills >= o["kills"], bar, f"{same} of {runs} runs, {kills} kills")
        + "\nWhat checkpoints cost runs that are left alone, at their defaults:\n\n"
        + table(costs)
        + "\n"
        + verdict(
            all(float(row["share %"]) <= COST for row in costs),
            f"{COST} % of the run",
            ", ".join(f"{row['share %']} %" for row in costs),
        )
    )


def cost(data: Path, folder: Path, name: str) -> dict[str, object]:
    """What checkpoints take of a run of the whole file at its defaults."""
    file, *words = CASES[name][:3] if name != "translation" else CASES[name][:5]
    source = ROOT / "ranvier" / "samples" / file if file.endswith(".csv") else data / file
    path = folder / f"cost-{name}"
    shutil.rmtree(path, ignore_errors=True)
    command = ["fit", source, *words, "--time", LONG, "--no-progress", "--json", "--folder", path]
    last = ours("cost", *command, script="ours_kills").last
    size = sum(f.stat().st_size for f in path.glob("checkpoint.safetensors")) / 1e6
    return {
        "run": name,
        "seconds": f"{last['all']:.1f}",
        "checkpoints": last["checkpoints"],
        "MB": f"{size:.1f}",
        "seconds for them": f"{last['saving']:.2f}",
        "share %": f"{100 * last['saving'] / last['all']:.2f}",
    }


def kill_all(
    data: Path, folder: Path, cases: list[tuple[str, bool]], kills: int, seed: int
) -> dict[tuple[str, bool], Tally]:
    """So many kills, spread over the cases (name, with a time budget)."""
    tallies = {case: Tally() for case in cases}
    chance = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    prepare(data, folder)
    for number, case in enumerate(cases):
        left = (kills * (number + 1)) // len(cases) - (kills * number) // len(cases)
        whole = Whole(folder, *case)
        while left > 0:
            left -= whole.killed(f"run-{number}-{tallies[case].runs}", min(left, PER_RUN), chance, tallies[case])
            say(f"{case[0]}{' with time' if case[1] else ''}: {tallies[case]}")
    return tallies


def prepare(data: Path, folder: Path) -> None:
    """The rows that the runs learn from."""
    shutil.copy(ROOT / "ranvier" / "samples" / "penguins.csv", folder)
    for name, rows in ROWS.items():
        frame = pl.read_parquet(data / f"{name}.parquet")
        if "source" in frame.columns:
            frame = frame.filter(pl.all_horizontal(pl.col("source", "target").str.len_chars() < LETTERS))
        frame.head(rows).write_parquet(folder / f"{name}.parquet")


class Whole:
    """A run left alone, and how it began: what it had frozen, with its first checkpoint, before its first step."""

    def __init__(self, folder: Path, name: str, limit: bool) -> None:
        self.folder = folder
        self.words = ["fit", *CASES[name], *(TIME if limit else ()), "--threads", "1", "--no-progress"]
        self.path = folder / f"whole-{name}-{'time' if limit else 'epochs'}"
        began = time.perf_counter()
        process = self.start([*self.words, "--folder", str(self.path)])
        self.frozen = folder / f"{self.path.name}-began" if limit else None
        if self.frozen:
            self._freeze(process, self.frozen)
        finish(process)
        self.seconds = time.perf_counter() - began

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """A process of `ranvier`."""
        command = [sys.executable, "-m", "bench.ours_kills", *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def go_on(self, path: Path) -> subprocess.Popen[bytes]:
        """A process that resumes the run in a folder, or begins it."""
        begun = (path / "plan.toml").exists()
        return self.start(["resume", str(path), "--no-progress"] if begun else [*self.words, "--folder", str(path)])

    def _freeze(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Copies the run as it is at its first checkpoint: its budget of steps is another each time it is found."""
        checkpoint = self.path / "checkpoint.safetensors"
        while process.poll() is None and not checkpoint.exists():
            time.sleep(0.001)
        folder.mkdir()
        for file in (checkpoint, self.path / "plan.toml"):
            shutil.copy(file, folder)

    def killed(self, name: str, most: int, chance: random.Random, tally: Tally) -> int:
        """Runs it again in another folder, killed up to so many times; says how often it was."""
        path, kills = self.folder / name, 0
        if self.frozen:
            shutil.copytree(self.frozen, path)
        while kills < most:
            process, aimed = self.go_on(path), chance.random() < AIMED
            seconds = chance.uniform(0.1, self.seconds)
            hit = wait_for_checkpoint(process, path, chance) if aimed else wait(process, seconds)
            process.kill()
            if not hit or process.wait() != -9:  # it was done before
                finish(process)
                break
            process.communicate()
            kills += 1
            tally.kills, tally.aimed = tally.kills + 1, tally.aimed + aimed
            tally.early += not (path / "checkpoint.safetensors").exists()
        if not (path / "model.rv").exists():
            finish(self.go_on(path))
        tally.runs += 1
        tally.same += learnt(path / "model.rv") == learnt(self.path / "model.rv")
        return kills


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process is still there after so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def wait_for_checkpoint(process: subprocess.Popen[bytes], path: Path, chance: random.Random) -> bool:
    """Until a checkpoint is being written, one of the next four; whether one is."""
    left, delay = chance.randrange(1, 5), chance.uniform(0, 0.003)
    places = [path / ".writing", path / "again" / ".writing"]
    there = False
    while process.poll() is None:
        now = any(place.exists() for place in places)
        left -= now and not there
        if not left:
            time.sleep(delay)
            return True
        there = now
    return False


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits for it to end. Raises ChildError if it ends with an error."""
    _, said = process.communicate()
    if process.returncode:
        raise ChildError(f"a run ended with code {process.returncode}:\n{said.decode()[-2000:]}")


def learnt(model: Path) -> Mapping[str, bytes]:
    """The members of a model's file that hold what was learnt: weights and columns."""
    with zipfile.ZipFile(model) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "weights" in name or "columns" in name}
