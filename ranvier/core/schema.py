"""The constructor is the schema: options are read from signatures, and checked strictly."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from ranvier.core import registry
from ranvier.core.errors import PlanError, did_you_mean

AUTO = "auto"


@dataclass(frozen=True)
class Option:
    """A keyword-only parameter: its annotation and default."""

    annotation: Any
    default: Any

    def check(self, value: Any, where: str) -> Any:
        """The value if it is of the option's type. Raises PlanError, naming `where`, if not ("yes" is no bool)."""
        try:
            return _adapter(self.annotation).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            said = first["msg"].removeprefix("Value error, ")
            raise PlanError(f"{where} = {value!r}: {said[0].lower()}{said[1:]}") from None


def one_of(kind: str) -> AfterValidator:
    """Marks an option that names a part of the registry: `activation: Annotated[str, one_of("activation")]`."""

    def check(name: str) -> str:
        if name not in registry.TABLES[kind]:
            raise ValueError(f"unknown {kind}; {did_you_mean(name, registry.TABLES[kind])}")
        return name

    return AfterValidator(check)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False))


@cache
def options_of(part: Any) -> dict[str, Option]:
    """The options of a class or function: its keyword-only parameters, and those of what it `wraps`.

    Raises TypeError if one has no annotation or no default, or if None is its default (TOML has no None).
    """
    wrapped = getattr(part, "wraps", None)
    found = dict(options_of(wrapped)) if wrapped is not None else {}
    call = part.__init__ if inspect.isclass(part) else part
    hints = get_type_hints(call, include_extras=True)
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.default in (parameter.empty, None) or name not in hints:
            raise TypeError(f"{part.__qualname__}: option {name!r} needs an annotation and a default other than None")
        found[name] = Option(hints[name], parameter.default)
    return found


def check_options(part: Any, given: dict[str, Any], where: str) -> dict[str, Any]:
    """The given options, checked. Raises PlanError for an unknown one or one of the wrong type."""
    known = options_of(part)
    for name in given:
        if name not in known:
            raise PlanError(f"{where}: unknown option {name!r}; {did_you_mean(name, known)}")
    return {name: known[name].check(value, f"{where}.{name}") for name, value in given.items()}


def defaults_of(part: Any) -> dict[str, Any]:
    """Every option with its default; lists are copies, for a plan may be edited in place."""
    return {name: copy.deepcopy(option.default) for name, option in options_of(part).items()}
