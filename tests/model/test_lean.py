"""Loading without torch's compiler: what has no memory has the form of what has, and importing that is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from descriptors import GIVEN, TABLES
from torch import nn

from ranvier.core.registry import TABLES as REGISTRY
from ranvier.core.registry import lookup
from ranvier.core.schema import options_of
from ranvier.core.spec import Spec
from ranvier.model.weights import without_memory

TESTS = Path(__file__).parents[1]
PARTS = [(kind, name) for kind in ("encoder", "fuse", "head") for name in TABLES[kind]]
LOADS = """
import sys
import polars as pl
import ranvier as rv

def check(done):
    if {"torch._dynamo", "sympy"} & set(sys.modules):
        sys.exit(f"the compiler was imported by: {done}")

model = rv.load("fixtures/model-5.rv", device="cpu")
check("loading")
model.predict(pl.read_parquet("fixtures/model-rows.parquet"))
check("predicting")

from model.test_lean import PARTS, makers, without_memory
for kind, name in PARTS:
    if name != "pretrained":  # transformers imports what it likes
        for make in makers(kind, name):
            with without_memory():
                make()
        check(f"{kind} {name}")
"""


def makers(kind: str, name: str) -> Iterator[Callable[[], nn.Module]]:
    """What makes a small part of each spec, and of the first with each of the names that its options may have."""
    part, row = lookup(kind, name), TABLES[kind][name]
    usual = {option: value for option, value in row.options.items() if option in options_of(part)}
    changes = [{option: value} for option, its in options_of(part).items() for value in named(option, its.annotation)]
    for spec, change in [*((spec, {}) for spec in row.specs), *((row.specs[0], change) for change in changes)]:
        yield lambda spec=spec, change=change: made(kind, part, spec, usual | change)


def named(option: str, annotation: Any) -> list[str]:
    return literals(annotation) or (list(REGISTRY[option]) if option in ("activation", "init", "norm") else [])


def literals(annotation: Any) -> list[str]:
    inside = get_args(annotation)
    return [name for one in inside for name in ([one] if isinstance(one, str) else literals(one))]


def made(kind: str, part: Any, spec: Spec, options: dict[str, Any]) -> nn.Module:
    if kind == "fuse":
        return part({"one": 4, "other": 6}, **options)
    if kind == "encoder":
        return part(spec, **options)
    own = {"view": "cnn", "hidden": "transformer"}.get(part.itself)
    encoder = lookup("encoder", own)(spec) if own else None
    return part(spec, 6, encoder, *([GIVEN] if part.welcomes else []), **options)


def form(net: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_what_has_no_memory_has_the_same_form(kind, name):
    for make in makers(kind, name):
        with without_memory():
            without = make()
        assert form(without) == form(make())
        assert {tensor.device.type for tensor in without.state_dict().values()} <= {"meta"}


def test_types_and_shapes_that_change_are_worked_out():
    with without_memory():
        row, whole = torch.randn(3, 1), torch.ones(3, dtype=torch.int64)
        assert (row * 2).shape == row.clamp(0, 1).shape == (3, 1)
        assert (row * torch.ones(4)).shape == row.clamp(torch.zeros(4)).shape == (3, 4)
        assert (whole * 0.5).dtype == torch.float32
        assert whole.clamp(min=0.5).dtype == torch.float32
    assert torch.randn(2).device.type == "cpu"


def test_loading_and_predicting_do_not_import_the_compiler():
    done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, cwd=TESTS, check=False)
    assert done.returncode == 0, done.stderr
