"""Arguments of the wrong type or size, told by name and value."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import PlanError

QUIET = {"threads": 1, "progress": False, "epochs": 1}


def rows(size: int = 40) -> pl.DataFrame:
    x, y = np.random.default_rng(0).normal(size=(2, size))
    return pl.DataFrame({"x": x, "y": x + 0.1 * y})


@pytest.fixture(scope="module")
def models() -> dict[str, rv.Model]:
    restores = rv.fit(rows(), target=["x", "y"], inputs=["x", "y"], **QUIET)
    plan = rv.plan(rows(), target=["x", "y"], inputs=[], epochs=1, threads=1)
    plan.targets["row"].head.update(widths=[8])
    return {"restores": restores, "draws": rv.fit(plan, progress=False)}


ONE, TWO = {"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}
NAN = float("nan")
REFUSED = [
    ("restores", "interpolate", (ONE, TWO), {"steps": 2.5}, "steps = 2.5: expected a whole number, 2 or more"),
    ("restores", "traverse", (ONE, "x"), {}, "number = 'x': expected a whole number, 0 to"),
    ("restores", "traverse", (ONE, 0), {"values": ("a",)}, r"values\[0\] = 'a': expected a finite number"),
    ("restores", "traverse", (ONE, 0), {"values": (0.0, NAN)}, r"values\[1\] = nan: expected a finite number"),
    ("restores", "traverse", (ONE, 0), {"values": ()}, r"values = \(\): expected a list of one number or more"),
    ("restores", "compress", (rows(),), {"bits": 2.5}, "bits = 2.5: expected a whole number, 1 to 16"),
    ("restores", "compress", (rows(),), {"bits": "a"}, "bits = 'a': expected a whole number, 1 to 16"),
    ("restores", "compression", (rows(),), {"bits": ()}, r"bits = \(\): expected a list of one number or more"),
    ("restores", "compression", (rows(),), {"bits": (2, 17)}, r"bits\[1\] = 17: expected a whole number, 1 to 16"),
    ("restores", "anomalies", (rows(), rows()), {"share": "a"}, "share = 'a': expected a share of the clean rows"),
    ("restores", "anomalies", (rows(), rows()), {"share": NAN}, "share = nan: expected a share of the clean rows"),
    ("restores", "predict", (rows(),), {"uncertainty": "90%"}, "uncertainty = '90%': expected a level such as 0.9"),
    ("restores", "predict", (rows(),), {"beam": 1}, r"beam is for texts that are written, and this model predicts 'x'"),
    ("restores", "predict", (rows(),), {"uncertain": 0.9}, "predict: unknown 'uncertain'; did you mean 'uncertainty'"),
    ("draws", "sample", ("3",), {}, "sample: n = '3': expected a whole number, 1 or more"),
    ("draws", "sample", (2.5,), {}, "sample: n = 2.5: expected"),
    ("draws", "sample", (True,), {}, "sample: n = True: expected"),
]


@pytest.mark.parametrize(("model", "call", "given", "how", "why"), REFUSED)
def test_what_is_refused(models, model, call, given, how, why):
    with pytest.raises(PlanError, match=why):
        getattr(models[model], call)(*given, **how)


def test_numbers_of_numpy_are_taken(models):
    model = models["restores"]
    assert model.interpolate(ONE, TWO, steps=np.int64(3)).height == 3
    assert model.traverse(ONE, np.int64(0), values=np.linspace(-1, 1, 4)).height == 4
    assert models["draws"].sample(np.int64(2)).height == 2


def test_of_one_seed_the_first_rows_are_the_same_for_any_number(models):
    most = models["draws"].sample(530, seed=3)  # more than a batch
    for n in (1, 7, 529):
        drawn = models["draws"].sample(n, seed=3)
        np.testing.assert_allclose(drawn.to_numpy(), most.head(n).to_numpy(), rtol=1e-3, atol=1e-3)
    assert not np.allclose(models["draws"].sample(7, seed=4).to_numpy(), most.head(7).to_numpy(), atol=0.1)
