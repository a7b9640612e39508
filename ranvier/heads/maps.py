"""What heads that look at places of a picture share."""

from __future__ import annotations

from collections.abc import Mapping

from ranvier.core.errors import PlanError
from ranvier.core.spec import Given

WIDTH = {"s": 32, "m": 64, "l": 128}  # channels of the maps that know all, by the capacity dial


def grids_of(given: Mapping[str, Given], of: str, what: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The input whose maps are read, `of` or the only one with maps, and (channels, stride) of each, finest first.

    what: what is made of them, for messages. Raises PlanError if there is none, or several and none is named.
    """
    able = [name for name, each in given.items() if each.maps]
    if of and of not in able:
        known = f"one of {', '.join(map(repr, able))}" if able else "no input's encoder gives such"
        raise PlanError(f"of = {of!r}: {what} need the maps of a picture; {known}")
    if not able:
        raise PlanError(f"{what} need the maps of a picture, and no input's encoder gives such: choose encoder 'cnn'")
    if not of and len(able) > 1:
        raise PlanError(f"{what} are of one picture, and there are {len(able)}: name it by the head's option `of`")
    name = of or able[0]
    return name, given[name].maps
