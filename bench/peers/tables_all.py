"""Every peer on every fold of the tables in one process, to start Python once; prints a JSON line each.

Usage: python tables_all.py --data FOLDER [--folds N] [--repeats N]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tables_sklearn import MODELS, run, tables


def main() -> None:
    """Runs them in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5, help="of the 5, how many to run")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    for table in tables(args.data):
        for model in MODELS:
            for repeat in range(args.repeats):
                for fold in range(args.folds):
                    print(json.dumps(run(table, model, fold, repeat, args.data)), flush=True)


if __name__ == "__main__":
    main()
