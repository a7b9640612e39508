"""A few changed files for each target of `python -m fuzz`: only our own errors come out. And what it has found."""

from __future__ import annotations

import random

import pytest

from fuzz.mutate import mutated
from fuzz.targets import TARGETS, run, seeds
from ranvier.cli.edit import parse
from ranvier.columns.foreign import tokenizer_from
from ranvier.core.errors import FileError, PlanError
from ranvier.core.plan import Plan

RUNS = {"options": 200, "boxes": 100, "image": 40, "mask": 40, "model": 40}
FEW = 15  # of those that make plans


@pytest.mark.parametrize("name", TARGETS)
def test_only_our_errors_come_out(name, capsys):
    dice = random.Random(7)
    good = seeds(name)
    taken = [run(name, one) for one in good]
    assert any(taken) or name == "arguments"  # which names a file that is not there
    for _ in range(RUNS.get(name, FEW)):
        run(name, mutated(name, dice.choice(good), dice))


@pytest.mark.parametrize("text", ["x = " + "[" * 10_000, "x = " + "9" * 5_000], ids=["deep", "long"])
def test_toml_that_python_cannot_hold(text):
    with pytest.raises(PlanError, match="no TOML"):
        Plan.from_toml(text)


@pytest.mark.parametrize("value", ["[" * 10_000, "9" * 5_000, "[" + "9" * 5_000], ids=["deep", "long", "long in JSON"])
def test_values_that_python_cannot_hold_are_texts(value):
    assert parse([f"train.rate={value}"]) == {"train.rate": value}


@pytest.mark.parametrize("text", ["{}", "[]", '{"model": {"type": "None"}}', "[" * 100_000], ids=lambda t: t[:20])
def test_tokenizers_that_are_none(text):
    with pytest.raises(FileError, match="no tokenizer"):
        tokenizer_from(text, "here")


def test_several_unknown_names_in_one_place():
    with pytest.raises(PlanError, match=r"unknown 'inputz' in the plan; did you mean 'inputs'"):
        Plan.from_toml("[inputz]\n[targetz]\n")
    with pytest.raises(PlanError, match=r"unknown 'train\.ratee' in the plan; did you mean 'rate'"):
        Plan.from_toml("[train]\nratee = 1\nepochz = 2\n")
    with pytest.raises(PlanError, match="unknown 'self' in the plan"):
        Plan.from_toml("self = 1\n")
