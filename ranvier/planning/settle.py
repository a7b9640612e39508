"""A plan that a person may have edited, made ready to run."""

from __future__ import annotations

from ranvier.core.plan import Plan
from ranvier.planning.choose import resolve
from ranvier.planning.reasons import edited, release


def settle(plan: Plan) -> Plan:
    """A copy in which all is resolved: as it stands if nobody changed anything, else with what follows chosen anew.

    Raises PlanError for unknown names and options.
    """
    copy = plan.model_copy(deep=True)
    copy._memory = plan._memory
    if edited(copy) or "auto" in copy.leaves().values() or not copy.why:
        release(copy)
        resolve(copy)
    return copy
