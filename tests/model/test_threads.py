"""Several threads in one process: trainings and predictions are what they are alone."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import torch

import ranvier as rv
from ranvier.core.draws import own_random
from ranvier.core.training import Callback


def table(rows: int = 200) -> pl.DataFrame:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, rows))
    return pl.DataFrame({"a": a, "b": b, "colour": random.choice(["red", "blue"], rows), "y": a * b > 0})


def weights(seed: int) -> dict[str, torch.Tensor]:
    plan = rv.plan(table(), target="y", types={"y": "category"}, epochs=15, seed=seed, threads=1)
    plan.fuse = {"name": "mlp", "dropout": 0.3}
    return rv.fit(plan, progress=False).task.state_dict()


def test_trainings_beside_each_other_give_the_weights_of_each_alone():
    seeds = [1, 2, 3]
    alone = [weights(seed) for seed in seeds]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(len(seeds)) as pool:
        together = list(pool.map(weights, seeds))
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    name = next(name for name, tensor in alone[0].items() if tensor.is_floating_point() and tensor.numel() > 9)
    assert not torch.equal(alone[0][name], alone[1][name])


def test_predictions_in_threads_are_those_of_one():
    rows = table(900)
    model = rv.fit(rows, target="y", epochs=2, threads=1, progress=False)
    parts = [rows[start : start + 90] for start in range(0, 900, 90)]
    serial = [model.predict(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        assert all(one.equals(other) for one, other in zip(serial, pool.map(model.predict, parts), strict=True))


def test_what_is_drawn_inside_is_not_disturbed_by_others():
    drawn, inside = [], threading.Event()

    def other() -> None:
        inside.wait(10)
        with own_random(2):
            drawn.append(torch.rand(3))

    thread = threading.Thread(target=other)
    thread.start()
    with own_random(1):
        first = torch.rand(3)
        inside.set()
        thread.join(0.2)
        assert not drawn  # it waits
        with own_random(9):  # one's own is not waited for
            torch.rand(3)
        second = torch.rand(3)
    thread.join(10)
    with own_random(1):
        assert torch.equal(torch.cat([first, second]), torch.rand(6))
    with own_random(2):
        assert torch.equal(drawn[0], torch.rand(3))


def test_a_model_is_loaded_beside_networks_that_others_make(tmp_path):
    path = rv.fit(table(), target="y", epochs=1, threads=1, progress=False).save(tmp_path / "m.rv")
    wrong: list[Exception] = []
    done = threading.Event()

    def other() -> None:
        while not done.is_set():
            try:
                torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(50)))
            except ValueError as error:
                wrong.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=other)
    thread.start()
    try:
        for _ in range(3):
            rv.load(path)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(before)
    assert not wrong


def test_a_callback_may_wait_for_a_model_that_another_thread_loads(tmp_path):
    path = rv.fit(table(), target="y", epochs=1, threads=1, progress=False).save(tmp_path / "m.rv")
    loaded: list[rv.Model] = []

    class Loads(Callback):
        def on_log(self, step, record) -> bool:
            thread = threading.Thread(target=lambda: loaded.append(rv.load(path)), daemon=True)
            thread.start()
            thread.join(30)
            return not loaded

    rv.fit(table(), target="y", epochs=1, threads=1, progress=False, callbacks=[Loads()])
    assert loaded
