"""What parts may know of a run: how long the runs are that texts say again."""

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.facts import Facts
from ranvier.core.spec import Encoded, Spec
from ranvier.heads.text import TextHead
from ranvier.planning.about import LONGEST_RUN, repeats


def texts(*rows):
    offsets = np.cumsum([0, *map(len, rows)])
    return Encoded(np.concatenate([np.array(row, np.int64) for row in rows]), np.ones(len(rows), bool), offsets)


@pytest.mark.parametrize(
    ("rows", "fewest"),
    [
        ([[1, 2, 3], [1, 2, 3]], 2),  # no run stands twice in one text, though in two
        ([[1, 1, 2]], 2),  # single tokens may
        ([[1, 2, 0, 1, 2]], 3),
        ([[1, 1, 1, 1]], 4),  # runs may overlap
        ([[1, 2, 3, 1, 2, 3, 1]], 5),
        ([[], [7]], 2),
        ([[5] * (LONGEST_RUN + 1)], 0),
    ],
)
def test_the_fewest_tokens_of_which_no_run_stands_twice(rows, fewest):
    assert repeats(texts(*rows), 8) == fewest


def test_one_text_in_a_hundred_may_say_runs_again():
    plain, again = [[1, 2, 3]], [[1, 2, 1, 2]]
    assert repeats(texts(*plain * 99, *again), 8) == 2
    assert repeats(texts(*plain * 98, *again * 2), 8) == 3


def test_a_text_from_inputs_says_no_run_again_that_true_ones_do_not():
    rows = pl.DataFrame({"x": ["one two", "two one"] * 20, "y": ["three four", "four three"] * 20})
    types = {"x": "text", "y": "text"}
    plan = rv.plan(rows, target="y", inputs=["x"], types=types)
    assert plan.targets["y"].head["no_repeat"] == 2
    assert plan.why["targets.y.head.no_repeat"].why == "99 of 100 true texts have no 2 tokens twice"
    assert rv.plan(rows, target="y", inputs=[], types=types).targets["y"].head["no_repeat"] == 0
    spec = Spec("tokens", (None,), 50, "char")
    assert TextHead.choose(spec, Facts(rows=9, repeats=0))["no_repeat"] == (0, "true texts say long runs again")
