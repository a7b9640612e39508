"""Options and attributes that are not there: the error says which name is nearest, or what it is called here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ranvier.core.elsewhere import ATTRIBUTES, CALLS
from ranvier.core.errors import PlanError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


class UnknownOption(PlanError, TypeError):
    """A call is given an option that it does not have, which for Python is a TypeError."""


def strict(function: Callable[P, R]) -> Callable[P, R]:
    """The function; given an option that it does not have, it raises UnknownOption."""
    known = [name for name in signature(function).parameters if name != "self"]
    called = {name: here for name, here in CALLS.items() if here.split("'")[1] in known}

    @wraps(function)
    def call(*given: P.args, **options: P.kwargs) -> R:
        for name in options:
            if name not in known:
                raise UnknownOption(f"unknown option {name!r}; {did_you_mean(name, known, called)}")
        return function(*given, **options)

    return call


def no_attribute(of: str, name: str, known: Iterable[str]) -> AttributeError:
    """What is to be raised for an attribute that a thing does not have. of: its type, or the package."""
    told = f"{of} has no attribute {name!r}"
    if name.startswith("_"):  # which programs look for
        return AttributeError(told)
    public = [one for one in known if not one.startswith("_")]
    return AttributeError(f"{told}; {did_you_mean(name, public, ATTRIBUTES.get(of))}")


class Told:
    """A thing whose attributes that are not there are told so (`no_attribute`)."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> None:
            raise no_attribute(type(self).__name__, name, dir(self))
