"""`ranvier`, with a checkpoint every tenth of a second whatever it costs: the process that `kills.py` kills."""

from __future__ import annotations

import math
import sys

from ranvier.cli.main import main
from ranvier.model import training
from ranvier.train import keeper

EVERY = 0.1  # seconds

if __name__ == "__main__":
    training.OFTEN, keeper.SHARE = EVERY, math.inf
    sys.exit(main(sys.argv[1:]))
