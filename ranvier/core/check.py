"""Numbers that a call is given, checked: those of Python and of NumPy, and never True for 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

from ranvier.core.errors import PlanError

T = TypeVar("T")


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """The whole number, within bounds. Raises PlanError for anything else, 2.0 among them."""
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    if not fits or value < low or (high is not None and value > high):
        wanted = f"{low} or more" if high is None else f"{low} to {high}"
        raise PlanError(f"{name} = {value!r}: expected a whole number, {wanted}")
    return int(value)


def number(name: str, value: Any, wanted: str = "a finite number") -> float:
    """The number. Raises PlanError for anything else, infinity and not-a-number among them."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise PlanError(f"{name} = {value!r}: expected {wanted}")
    return float(value)


def several(name: str, values: Any, each: Callable[[str, Any], T]) -> list[T]:
    """One value or more, each checked by (name, value). Raises PlanError for none, and for what is no list."""
    plain = values.tolist() if hasattr(values, "tolist") else values
    found = list(plain) if isinstance(plain, Iterable) and not isinstance(plain, str | bytes) else []
    if not found:
        raise PlanError(f"{name} = {values!r}: expected a list of one number or more")
    return [each(f"{name}[{place}]", value) for place, value in enumerate(found)]
