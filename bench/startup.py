"""startup: seconds until the first answers of a new process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import child
from bench.job import Job
from bench.report import table, verdict

RUNS = 10
PYTHON = sys.executable
RANVIER = str(Path(PYTHON).with_name("ranvier"))
PENGUINS = str(child.ROOT / "ranvier" / "samples" / "penguins.csv")
COMMANDS: dict[str, tuple[list[str], float]] = {  # name -> (words, bar in seconds; 0 = only beside)
    "python -c pass": ([PYTHON, "-c", "pass"], 0.0),
    'python -c "import polars"': ([PYTHON, "-c", "import polars"], 0.0),
    'python -c "import ranvier"': ([PYTHON, "-c", "import ranvier"], 0.3),
    "ranvier --help": ([RANVIER, "--help"], 0.5),
    "ranvier columns penguins.csv": ([RANVIER, "columns", PENGUINS], 0.8),
    "ranvier plan penguins.csv --target species": ([RANVIER, "plan", PENGUINS, "--target", "species"], 3.0),
}


def run(job: Job) -> str:
    """The section: the median of interleaved runs of each command."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(job.pick(RUNS, 2) + 1):  # the first warms the disk's cache up
        for name, (words, _) in COMMANDS.items():
            took = _seconds(words)
            if number:
                seconds[name].append(took)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    bare = medians["python -c pass"]
    rows = [
        {
            "process": f"`{name}`",
            "median s": f"{medians[name]:.3f}",
            "slowest s": f"{max(seconds[name]):.3f}",
            "beside bare Python": f"{medians[name] / bare:.1f}",
            "bar s": bar or "",
            "met": ("yes" if medians[name] <= bar else "NO") if bar else "",
        }
        for name, (_, bar) in COMMANDS.items()
    ]
    torch = _imports_torch()
    met = not torch and all(medians[name] <= bar for name, (_, bar) in COMMANDS.items() if bar)
    seen = ", ".join(f"{medians[name]:.2f}" for name, (_, bar) in COMMANDS.items() if bar) + " s"
    told = f"{seen}; torch is {'' if torch else 'not '}imported by `import ranvier`"
    return table(rows) + "\n" + verdict(met, "0.3, 0.5, 0.8, 3 s, and `import ranvier` without torch", told)


def _seconds(words: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(words, cwd=child.ROOT, capture_output=True, text=True)
    taken = time.perf_counter() - started
    if done.returncode:
        raise child.ChildError(f"{' '.join(words)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return taken


def _imports_torch() -> bool:
    code = "import ranvier, sys; print('torch' in sys.modules)"
    done = subprocess.run([PYTHON, "-c", code], cwd=child.ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"
