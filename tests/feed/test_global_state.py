"""What feeds a network draws from generators of its own: the process's random states are neither moved nor read."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
import torch
from model.made import mixed
from model.test_places import scenes

from ranvier.model.layout import Layout, learn_columns
from ranvier.planning.make import make_plan
from ranvier.planning.pretrain import pretraining
from ranvier.planning.settle import settle

CPU = torch.device("cpu")
HOW = {"epochs": 1, "threads": 1, "batch": 16, "size": "s"}
MIXED = mixed(60)
TEXTS = pl.DataFrame(
    {"said": [f"the {a} of the {b} is seen here" for a in ("cat", "dog", "bee") for b in "abcdefghij"]}
)
EVERY = {"shift": 1, "flip": True, "crop": 0.6, "rotate": 20.0, "noise": 0.1, "erase": 0.5, "cutout": 3}
COLOUR = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}


def pictures(mix="none", **settings):
    plan = make_plan(MIXED, "kind", inputs=["picture"], **HOW, **settings)
    plan.inputs["picture"].augment = {"name": "image", **EVERY, **COLOUR}
    plan.train.mix = mix
    return settle(plan), MIXED


def several():
    plan = make_plan(MIXED, "kind", inputs=["size", "colour", "said", "picture"], balance="sampler", **HOW)
    for name, augment in {"size": "noise", "colour": "swap", "said": "words"}.items():
        plan.inputs[name].augment = augment
    plan.train.without = 0.3
    return settle(plan), MIXED


def pasted():
    rows = scenes(40)
    plan = make_plan(rows, "mask", inputs=["picture"], mix="paste", **HOW)
    plan.inputs["picture"].augment = {"name": "image", "flip": True, "crop": 0.5, "rotate": 20.0}
    return settle(plan), rows


FEEDS = {
    "augmented and mixed": lambda: pictures("mixup"),
    "augmented and cut": lambda: pictures("cutmix"),
    "several, sampled, without": several,
    "pasted": pasted,
    "hidden tokens": lambda: (pretraining(TEXTS, kind="masked", **HOW), TEXTS),
    "windows": lambda: (pretraining(TEXTS, kind="next", **HOW), TEXTS),
    "hidden squares": lambda: (pretraining(MIXED.select("picture"), kind="masked", **HOW), MIXED),
    "two views": lambda: (pretraining(MIXED.select("picture"), kind="contrastive", **HOW), MIXED),
}


def states():
    """Of torch, numpy and random, as values that can be compared."""
    kind, keys, *rest = np.random.get_state()
    return torch.random.get_rng_state().tolist(), (kind, keys.tolist(), *rest), random.getstate()


def seeded(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def numbers(source):
    """All numbers of three batches of two epochs."""
    found = []
    for step in (0, 1, (source.steps or 2) + 1):
        source.batch(step).map(lambda tensor: found.append(tensor.clone()) or tensor)
    return found


@pytest.mark.parametrize("kind", FEEDS)
def test_batches_leave_the_global_states_alone_and_do_not_hang_on_them(kind):
    plan, frame = FEEDS[kind]()
    before = None
    for seed in (1, 2):
        seeded(seed)
        state = states()
        layout = Layout(plan, learn_columns(plan, frame, []))
        table = layout.encode(frame, [])
        batches = [*numbers(layout.training_source(table, CPU)), *numbers(layout.held_source(table, CPU, 16))]
        assert states() == state
        if before is not None:
            assert all(torch.equal(a, b) for a, b in zip(before, batches, strict=True))
        before = batches


def test_each_feed_is_there():
    """Else the test above would say nothing of what it is named after."""

    def source(kind):
        plan, frame = FEEDS[kind]()
        layout = Layout(plan, learn_columns(plan, frame, []))
        return layout.training_source(layout.encode(frame, []), CPU)

    assert type(source("augmented and mixed").mix).__name__ == "Mixup"
    assert type(source("augmented and cut").mix).__name__ == "CutMix"
    assert type(source("pasted").mix).__name__ == "Paste"
    both = source("several, sampled, without")
    assert both.without is not None
    assert both.order.chances is not None
    assert len(both.augment) >= 3
    assert source("hidden tokens").hide is not None
    assert source("hidden squares").hide is not None
    assert source("two views").pairs
    assert type(source("windows")).__name__ == "Packed"
