"""`python -m fuzz TARGET --seconds N`: changes good files at random, guided by what lines they reach; see TARGETS.

A crash ends the run, with its traceback, and leaves its bytes in a file `crash-...` of the working directory; name that
file to run it again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ranvier"]):
    from fuzz.targets import TARGETS, run, seeds

from fuzz.mutate import mutated

ROOM = 2**32  # bytes of address space beside what is taken at the start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("file", nargs="?", type=Path, help="bytes to run alone, such as a crash")
    asked = parser.parse_args()
    if asked.file is not None:
        run(asked.target, asked.file.read_bytes())
        return
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (size, size))

    def one(data: bytes) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            run(asked.target, data)

    def change(data: bytes, most: int, seed: int) -> bytes:
        return mutated(asked.target, data, random.Random(seed))[:most]

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(asked.target)):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={asked.seconds}", "-max_len=200000", "-timeout=60", "-rss_limit_mb=0"]
        limits.append("-reduce_inputs=0")  # else few bytes take a picture's place: its decoder is not seen into
        atheris.Setup([sys.argv[0], corpus, *limits, "-print_final_stats=1"], one, custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
