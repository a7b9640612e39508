"""Changes to a plan by place: `train.rate=0.01`, `inputs.text.encoder=lstm`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ranvier.core.elsewhere import SETTINGS
from ranvier.core.errors import PlanError, did_you_mean

if TYPE_CHECKING:
    from ranvier.core.plan import Plan

FIXED = ("format", "warnings", "why")  # what the planner says; nothing to set


def parse(texts: Iterable[str]) -> dict[str, Any]:
    """{place: value} from texts such as "train.rate=0.01"; a value that is neither TOML nor JSON is taken as text.

    Raises PlanError for a text without "=".
    """
    found = {}
    for text in texts:
        place, sign, value = text.partition("=")
        if not sign or not place.strip():
            raise PlanError(f"--set {text!r}: expected PLACE=VALUE, such as --set train.rate=0.01")
        found[place.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # also for numbers too long, and for what is nested too deeply
        pass
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except (ValueError, RecursionError):
        return text


def change(plan: Plan, place: str, value: Any) -> None:
    """Puts the value at the place, as asked. Raises PlanError for a place that is not there or a value of another type.

    Options of a named part are checked when the plan is settled, against the part's own signature.
    """
    from ranvier.planning.reasons import confirm

    holder: Any = plan
    path, rest = "", place
    while True:
        word, rest = _next(holder, rest, path, place)
        if not rest:
            break
        holder = holder[word] if isinstance(holder, dict) else getattr(holder, word)
        path = f"{path}.{word}" if path else word
        if not isinstance(holder, dict) and not hasattr(type(holder), "model_fields"):
            raise PlanError(f"--set {place}: {path} is a plain value ({holder!r}) and has no {rest!r} in it")
    _put(holder, word, value, place)
    confirm(plan, place)


def _next(holder: Any, rest: str, path: str, place: str) -> tuple[str, str]:
    """The first word of `rest` that the holder knows, and what follows it. Column names may hold dots."""
    known = [name for name in (holder if isinstance(holder, dict) else type(holder).model_fields) if name not in FIXED]
    fitting = [name for name in known if rest == name or rest.startswith(f"{name}.")]
    if fitting:
        word = max(fitting, key=len)
        return word, rest[len(word) + 1 :]
    word, _, after = rest.partition(".")
    if isinstance(holder, dict) and path not in ("columns", "inputs", "targets") and not after:
        return word, ""  # an option of a named part
    near = did_you_mean(word, known, None if isinstance(holder, dict) else SETTINGS)
    raise PlanError(f"--set {place}: there is no {word!r} in {path or 'the plan'}; {near}")


def _put(holder: Any, word: str, value: Any, place: str) -> None:
    if not isinstance(holder, dict):
        try:
            setattr(holder, word, value)
        except PlanError as error:
            raise PlanError(f"--set {place}: {error}") from None
        return
    if word in holder and hasattr(type(holder[word]), "model_fields"):
        raise PlanError(f"--set {place}: this is a section; set one of {', '.join(type(holder[word]).model_fields)}")
    if word == "name":  # another part: the options of the one before mean nothing to it
        holder.clear()
    holder[word] = value
