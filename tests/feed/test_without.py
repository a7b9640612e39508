"""Inputs taken for missing while training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from descriptors import CATEGORIES, ENCODERS, NUMBERS, PIXELS, SETS, TEXT, VECTORS, sample

from ranvier.columns.number import MISSING_RANK
from ranvier.core.protocols import Batch
from ranvier.core.registry import lookup
from ranvier.feed.without import Without

SPECS = {"n": NUMBERS, "c": CATEGORIES, "p": PIXELS, "t": TEXT, "s": SETS, "v": VECTORS}
ROWS = 400


def batch(gaps: bool = False) -> Batch:
    return Batch(ROWS, {name: sample(spec, ROWS, gaps) for name, spec in SPECS.items()})


def there(found: Batch) -> torch.Tensor:
    seen = [value.observed for value in found.inputs.values()]
    return torch.stack([s if s.ndim == 1 else s.any(1) for s in seen], 1)


def test_inputs_go_at_the_chance_and_never_all():
    found = Without(SPECS, 0.3)(batch(), np.random.default_rng(0))
    seen = there(found)
    assert abs(float((~seen).float().mean()) - 0.3) < 0.03
    assert seen.any(1).all()
    for name in ("n", "c"):  # what travels together goes together
        observed = found.inputs[name].observed
        assert (observed.all(1) | ~observed.any(1)).all()
    seen = there(Without({"n": NUMBERS, "t": TEXT}, 0.9)(
        Batch(ROWS, {name: sample(SPECS[name], ROWS) for name in ("n", "t")}), np.random.default_rng(0)
    ))  # fmt: skip
    whole = sample(NUMBERS, ROWS).observed.any(1)
    assert seen[whole].any(1).all()


def test_what_was_missing_stays_so_and_targets_do_not_change():
    given = replace(batch(gaps=True), targets={"y": sample(VECTORS, ROWS)})
    found = Without(SPECS, 0.3)(given, np.random.default_rng(0))
    for name, value in given.inputs.items():
        assert not (found.inputs[name].observed & ~value.observed).any()
    assert found.targets == given.targets
    again = Without(SPECS, 0.3)(given, np.random.default_rng(0))
    assert torch.equal(there(found), there(again))
    assert Without({}, 0.3)(Batch(3), np.random.default_rng(0)).inputs == {}


@pytest.mark.parametrize(
    ("encoder", "name"),
    [("number", "n"), ("category", "c"), ("cnn", "p"), ("bag", "t"), ("dense", "s"), ("dense", "v")],
)
def test_encoders_see_nothing_of_what_has_gone(encoder, name):
    spec = SPECS[name]
    made = lookup("encoder", encoder)(spec, **ENCODERS[encoder].options).eval()
    found = Without({name: spec, "other": VECTORS}, 0.5)(
        Batch(ROWS, {name: sample(spec, ROWS, False), "other": sample(VECTORS, ROWS, False)}), np.random.default_rng(0)
    )
    value = found.inputs[name]
    gone = ~there(found)[:, 0]
    assert gone.any()
    if spec is NUMBERS:
        assert (value.data[gone] == torch.tensor([0.0, MISSING_RANK])).all()
    vectors = made(value, frozenset({"vector"})).vector[gone]
    assert torch.equal(vectors, vectors[:1].expand_as(vectors))
