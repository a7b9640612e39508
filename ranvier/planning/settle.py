"""A plan that a person may have edited, made ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.core import registry
from ranvier.core.errors import PlanError
from ranvier.core.plan import Plan
from ranvier.core.schema import check_options
from ranvier.planning.about import device_of
from ranvier.planning.agree import check_inputs, check_without
from ranvier.planning.choose import check_names, check_threads, make_columns, resolve
from ranvier.planning.frames import has_data, load
from ranvier.planning.make import absolute, add_columns, make_plan
from ranvier.planning.reasons import GIVEN, edited, named_parts, release, unresolved
from ranvier.planning.start import differs, frozen, start_of

NO_START = "the plan was made to start from a model or vectors (init), and none is given: all weights start at random"


def settle(plan: Plan, init: Any = None) -> Plan:
    """A copy in which all is resolved: as it stands if nobody changed anything, else with what follows chosen anew.

    A plan may be written by hand and say no more than data.source and a target. init: see `make_plan`; where a plan
    lacks what it is to take over from there, all is chosen anew. Raises PlanError for unknown names and options,
    DataError for data that cannot serve.
    """
    copy = Plan(**plan.model_dump(warnings=False))  # checked anew: lists and dictionaries can be edited unseen
    copy._memory = plan._memory
    for what in ("source", "test", "val"):  # so that the run can go on from any folder
        setattr(copy.data, what, absolute(getattr(copy.data, what)))
    if not copy.columns or not {*copy.inputs, *copy.targets} <= {*copy.columns}:
        add_columns(copy)
    start = start_of(init)
    copy.warnings = [told for told in copy.warnings if told != NO_START]
    if edited(copy) or unresolved(copy) or not copy.why or (start is not None and differs(copy, start)):
        release(copy)
        resolve(copy, start)
    else:
        _check(copy)
    frozen(copy, start)
    if start is None and any(reason.why == GIVEN for reason in copy.why.values()):
        copy.warnings.append(NO_START)
    return copy


def planned(data: Any, target: str | Sequence[str], settings: Mapping[str, Any], verb: str, init: Any = None) -> Plan:
    """The plan to run: a given one settled, or one made of the data. Raises PlanError for a plan and more beside it."""
    if not isinstance(data, Plan):
        return make_plan(data, target, init=init, **settings)
    if target or settings:
        raise PlanError(f"{verb}(plan) takes no target or settings: change them in the plan")
    return settle(data, init)


def _check(plan: Plan) -> None:
    """What a plan that is run as it stands may still have wrong: options that no planner saw, and other data."""
    make_columns(plan)
    check_threads(plan)
    device_of(plan)
    for named, place, kind in named_parts(plan):
        if named["name"] != "none":
            options = {key: value for key, value in registry.renamed(kind, named).items() if key != "name"}
            check_options(registry.lookup(kind, named["name"]), options, place)
    check_without(plan)
    if has_data(plan):
        check_names(plan, load(plan))
    check_inputs(plan)
