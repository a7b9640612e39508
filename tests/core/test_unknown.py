"""Options and attributes that are not there lead to what is, and stay Python's own errors as well."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import ranvier as rv
from ranvier.core.elsewhere import ATTRIBUTES
from ranvier.core.errors import PlanError
from ranvier.core.unknown import strict


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: rv.embeddings(["a b"], vector_size=8), "unknown option 'vector_size'; here it is 'width'"),
        (lambda: rv.embeddings(["a b"], widht=8), "unknown option 'widht'; did you mean 'width'"),
        (lambda: rv.embeddings(["a b"], target="c"), "unknown option 'target'; known: buckets, column, data"),
        (lambda: rv.Classifier(lr=0.1), "unknown option 'lr'; here it is 'rate'"),
        (lambda: rv.Regressor(seed=1), "unknown option 'seed'; here it is 'random_state'"),
        (lambda: rv.load("m.rv", map_location="cpu"), "unknown option 'map_location'; here it is 'device'"),
        (lambda: rv.read("a.csv", sep=";"), "unknown option 'sep'; known: "),
    ],
)
def test_options_that_are_not_there(call, told):
    for kind in (PlanError, TypeError):
        with pytest.raises(kind, match=told):
            call()


def test_the_rest_of_a_call_is_as_without():
    def f(a: int, *, b: int = 2) -> int:
        """Adds."""
        return a + b

    assert strict(f)(1, b=4) == 5
    assert strict(f).__doc__ == "Adds."
    assert inspect.signature(strict(f)) == inspect.signature(f)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        strict(f)(b=4)


def things():
    words = rv.Embeddings(["a"], np.ones((1, 2)))
    model = object.__new__(rv.Model)
    model.report, model.notes = None, []
    return {"ranvier": rv, "Embeddings": words, "Model": model}


@pytest.mark.parametrize("of", ATTRIBUTES)
def test_names_lead_to_attributes_that_there_are(of):
    thing = things()[of]
    for name, here in ATTRIBUTES[of].items():
        first, _, second = here.split("'")[1].partition(".")
        found = {*dir(thing), "plan"}
        assert first in found, name
        assert not second or hasattr(getattr(thing, first), second), name
        assert not hasattr(thing, name), name
        with pytest.raises(AttributeError, match=f"^{of} has no attribute '{name}'; here it is .*'{first}"):
            getattr(thing, name)


def test_attributes_that_are_slips():
    with pytest.raises(AttributeError, match=r"^ranvier has no attribute 'fitt'; did you mean 'fit'"):
        rv.fitt  # noqa: B018
    with pytest.raises(AttributeError, match=r"^Model has no attribute 'predct'; did you mean 'predict'"):
        things()["Model"].predct  # noqa: B018
    with pytest.raises(AttributeError, match=r"^Model has no attribute '__array__'$"):
        things()["Model"].__array__  # noqa: B018
