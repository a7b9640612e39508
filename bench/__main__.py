"""python -m bench [names ...]: ours beside its peers; writes a section each to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench import child, images, loops, machine, onerow, report, startup, tables, texts
from bench.job import Job, small

BENCHES: dict[str, Callable[[Job], str]] = {
    "startup": startup.run,
    "onerow": onerow.run,
    "engine": loops.run,
    "fashion": images.run,
    "newsgroups": texts.newsgroups,
    "snippets": texts.snippets,
    "tables": tables.run,
}
NOTE = "Quick: only to see that it runs; the figures mean nothing.\n\n"
WHOLE, QUICK = child.BENCH / "RESULTS.md", child.KEPT / "quick.md"


def main() -> int:
    """Runs the benches named, or all. 1 if one of them could not run; a bar that is missed is no error."""
    args = _arguments()
    out: Path = args.out or (QUICK if args.quick else WHOLE)
    data = small(args.data) if args.quick else args.data.resolve()
    command = f"python -m bench {' '.join(sys.argv[1:])}".strip()
    broken = 0
    for name in args.names or BENCHES:
        child.say(f"== {name}")
        stamp = machine.stamp(command)
        try:
            body = BENCHES[name](Job(data, args.quick))
        except child.ChildError as error:
            broken += 1
            child.say(f"{name} could not run: {error}")
            continue
        told = f"{NOTE if args.quick else ''}{stamp}\n{body}"
        page = out.read_text(encoding="utf-8") if out.exists() else ""
        out.write_text(report.replace(page, name, told), encoding="utf-8")
        print(f"## {name}\n\n{told}", flush=True)
    child.say(f"results: {out}")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    default = Path(os.environ.get("RANVIER_DATA", "data"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="names", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="tiny data and budgets: only to see that it runs")
    parser.add_argument("--data", type=Path, default=default, help="folder of the data sets (RANVIER_DATA)")
    parser.add_argument("--out", type=Path, help="the page to write (bench/RESULTS.md; with --quick, one aside)")
    args = parser.parse_args()
    if not (args.data / "tabular.json").exists():
        parser.error(f"no tabular.json in {args.data}: give the folder of the data sets by --data or RANVIER_DATA")
    return args


if __name__ == "__main__":
    sys.exit(main())
