"""The engine beside the hand-written loop: are the weights bit-equal, and what does a step cost more?"""

from __future__ import annotations

import statistics
import time

import torch
import torch.nn.functional as F

from bench import engine_loop
from ranvier.train.engine import Engine
from ranvier.train.plain import NetTask
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

RUNS, STEPS, ROWS, BATCH = 15, 600, 6_400, 32


def rows_of_result() -> list[dict[str, object]]:
    """One row a network: median seconds of both, their ratio, microseconds a step, and whether weights are equal."""
    return [_compare("784-256-10", engine_loop.mlp), _compare("CNN", engine_loop.cnn)]


def _compare(name: str, make: object) -> dict[str, object]:
    torch.manual_seed(0)
    x, y = torch.randn(ROWS, 1, 28, 28), torch.randint(0, 10, (ROWS,))
    ours, theirs, equal = [], [], True
    for run in range(RUNS + 1):  # the first warms up
        seconds, mine = _engine(make, x, y)
        other, average = _loop(make, x, y)
        equal = equal and all(torch.equal(a, b) for a, b in zip(mine, average, strict=True))
        if run:
            ours.append(seconds)
            theirs.append(other)
    a, b = statistics.median(ours), statistics.median(theirs)
    return {
        "network": f"{name}, batch {BATCH}",
        "engine": f"{a / STEPS * 1e6:.0f} us",
        "hand-written": f"{b / STEPS * 1e6:.0f} us",
        "ratio": f"{a / b:.3f}",
        "more": f"{(a - b) / STEPS * 1e6:.0f} us",
        "weights": "bit-equal" if equal else "DIFFER",
    }


def _engine(make, x, y):  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    net = make()
    source = TensorSource(x, y, batch=BATCH, seed=7)
    settings = Settings(
        steps=STEPS,
        rate=engine_loop.RATE,
        schedule={"name": "linear", "warmup": engine_loop.WARMUP},
        clip=engine_loop.CLIP,
        average=engine_loop.DECAY,
        keep="average",
        log_every=50,
    )
    engine = Engine(NetTask(net, lambda answer, y: F.cross_entropy(answer, y, reduction="none")), source, settings)
    assert engine.average is not None
    assert engine.average.stride == engine_loop.STRIDE
    started = time.perf_counter()
    engine.run()
    return time.perf_counter() - started, [p.detach() for p in net.parameters()]


def _loop(make, x, y):  # type: ignore[no-untyped-def]
    torch.manual_seed(1)
    net = make()
    order = TensorSource(x, y, batch=BATCH, seed=7).order
    batches = [torch.from_numpy(order(k)) for k in range(STEPS)]
    return engine_loop.train(net, x, y, batches)
