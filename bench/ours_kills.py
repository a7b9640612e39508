"""`ranvier`, with a checkpoint every tenth of a second whatever it costs: the process that `kills.py` kills.

With `cost` before the words it is as it comes, and prints a JSON line: checkpoints, seconds for them, and in all.
"""

from __future__ import annotations

import json
import math
import sys
import time

from ranvier.cli.main import main
from ranvier.model import training
from ranvier.train import checkpoint, keeper

EVERY = 0.1  # seconds


def cost(words: list[str]) -> int:
    """Runs the words, and prints what checkpoints took of it."""
    taken: list[float] = []
    save = checkpoint.save

    def timed(*given: object) -> None:
        began = time.perf_counter()
        save(*given)
        taken.append(time.perf_counter() - began)

    checkpoint.save = timed
    began = time.perf_counter()
    code = main(words)
    print(json.dumps({"checkpoints": len(taken), "saving": sum(taken), "all": time.perf_counter() - began}))
    return code


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        sys.exit(cost(sys.argv[2:]))
    training.OFTEN, keeper.SHARE = EVERY, math.inf
    sys.exit(main(sys.argv[1:]))
