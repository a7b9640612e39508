"""The family of errors a user may meet; the command line prints them without a traceback and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence


class RanvierError(Exception):
    """Base of every error that the user's data, plan or files can cause."""


class DataError(RanvierError):
    """The data cannot be read or used as asked: says the column, row and value where known."""


class PlanError(RanvierError):
    """The plan or a call names something unknown or contradictory."""


class FileError(RanvierError):
    """A model file or run folder is damaged, foreign, or newer than this version."""


class RunError(RanvierError):
    """Training cannot go on (not-a-number, out of memory, a mismatch on resume)."""


class MissingExtra(RanvierError):
    """An optional package is needed; names the extra that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}; install it with: pip install 'ranvier[{extra}]'")


class RanvierWarning(UserWarning):
    """What was repaired or not recognised in the data of a call that has no report to say it in."""


def did_you_mean(name: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """A sentence to end an error with: the nearest known name, else the list of them.

    elsewhere: what other libraries call it, in small letters -> what it is here.
    """
    if elsewhere and (here := elsewhere.get(plain_name(str(name)).replace("-", "_"))):
        return f"here it is {here}"
    names = sorted(map(str, known))
    plain = {plain_name(one): one for one in reversed(names)}
    near = difflib.get_close_matches(plain_name(str(name)), plain, n=1, cutoff=0.6)
    if near:
        return f"did you mean {plain[near[0]]!r}?"
    shown = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
    return f"known: {shown}" if names else "none are known"


def plain_name(name: str) -> str:
    """What is compared of names: capitals and spaces around them are slips."""
    return name.strip().casefold()


def not_there(names: Sequence[str], others: Iterable[str], what: str = "") -> str:
    """What is wrong with data that lack columns (one at least). others: columns that nobody has asked for."""
    first, *more = map(repr, names)
    nor = f", nor {', '.join(more)}" if more else ""
    told = [f"column {first}{what} is not in the data{nor}"]
    others = [*others]
    if others:
        told.append(f"{did_you_mean(names[0], others)}; rename a column, or add {'them' if more else 'it'}")
    else:
        told.append(f"the data has no other column that may be meant; add {'them' if more else 'it'}")
    return "; ".join(told)


def half_character(where: str, error: UnicodeEncodeError) -> DataError:
    """What is wrong with a text that holds half a surrogate pair, as JSON and Python may have it."""
    return DataError(f"{where}: half a surrogate pair is no character: {error}")
