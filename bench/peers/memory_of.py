"""Runs another script of this folder and prints, after its lines, one more: memory after imports, and at most.

Usage: python memory_of.py MODULE[,MODULE ...] SCRIPT [ARGUMENTS ...]

The modules, which the script needs, are imported first, so that the first figure is what importing them takes.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from clock import held, peak

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Imports, runs, tells."""
    modules, script, *arguments = sys.argv[1:]
    for module in modules.split(","):
        importlib.import_module(module)
    base = held()
    sys.argv = [script, *arguments]
    runpy.run_path(str(HERE / script), run_name="__main__")
    print(json.dumps({"base": base, "peak": peak()}))


if __name__ == "__main__":
    main()
