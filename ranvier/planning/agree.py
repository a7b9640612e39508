"""Training settings that contradict one another: what was asked stands, what was chosen follows, else PlanError."""

from __future__ import annotations

from typing import Any

from ranvier.core import registry
from ranvier.core.errors import PlanError, did_you_mean
from ranvier.core.plan import Plan
from ranvier.core.schema import AUTO
from ranvier.planning.defaults import AVERAGE
from ranvier.planning.reasons import ASKED, GIVEN, because, put, was_set
from ranvier.tasks.build import groups

SHARED = ("units", "vocabulary", "lowercase", "apart")  # options that make the pieces of texts


def agree(plan: Plan, *, split_off: bool, held: bool) -> None:
    """Settings and the validation rows that they need, averages and the weights that are kept. Raises PlanError.

    split_off: validation rows are taken from the rows given. held: there are validation rows, split off or given apart.
    """
    train = plan.train
    if train.refit and plan.data.folded:
        needs = f"contradicts data.folds = {plan.data.folds}: each row is trained on by all networks but one already"
        _give_way(plan, "refit", False, "with folds, each row is trained on by all networks but one", needs)
    _choose_calibration(plan, held)
    if held and train.patience and _asked(plan, "patience") and train.keep == "last" and not _asked(plan, "keep"):
        put(plan, "train.keep", "best", "early stopping was asked for, and keeps the weights that did best")
    if not held:
        needs = "needs validation rows: give val=, or a split other than 'none'"
        if train.keep == "best":
            _give_way(plan, "keep", "last", "there are no validation rows to choose weights by", needs)
        if train.patience:
            _give_way(plan, "patience", 0, "there are no validation rows to stop by", needs)
        if train.schedule["name"] == "plateau":
            raise PlanError(f"train.schedule = 'plateau' {needs}")
    if train.refit and not split_off:
        needs = "needs rows split off for validation, which it would train on again; choose a split other than 'none'"
        _give_way(plan, "refit", False, "no rows are split off, so all are trained on at once", needs)
    if train.refit and train.schedule["name"] == "plateau":
        needs = "leaves the second training without the validation rows that train.schedule = 'plateau' looks at"
        _give_way(plan, "refit", False, "the schedule 'plateau' needs validation rows", needs)
    if train.keep == "average" and not train.average and train.optimizer["name"] != "schedule_free":
        needs = "leaves nothing for train.keep = 'average' to keep; set a decay such as 0.99"
        _give_way(plan, "average", AVERAGE, "keep = 'average' needs one", needs)
    if train.keep == "last" and train.average:
        if _asked(plan, "average"):
            needs = f"leaves train.average = {train.average} without effect; use keep = 'average'"
            _give_way(plan, "keep", "average", "averaged weights were asked for", needs)
        else:
            put(plan, "train.average", 0.0, "the last weights are kept as they are")


def agree_with_optimizer(plan: Plan, rows: int) -> None:
    """Settings that the optimizer cannot do with. rows: how many are trained on at most. Raises PlanError."""
    train, name = plan.train, plan.train.optimizer["name"]
    assert train.batch != "auto"
    if name == "gd" and train.batch < rows:
        all_rows = f"gradient descent takes all {rows:,} rows into every step"
        _give_way(plan, "batch", rows, all_rows, f"but {all_rows}; leave it out, or use the optimizer 'sgd'")
    if name == "schedule_free":
        _agree_with_averaging_optimizer(plan)


def agree_on_copies(plan: Plan) -> None:
    """Copies only tokens that the encoder tells, and that both texts have. Raises PlanError."""
    for name, target in plan.targets.items():
        of, place = target.head.get("copy", ""), f"targets.{name}.head.copy"
        if not of:
            continue
        if of not in plan.inputs or plan.columns[of].type != "text":
            texts = [one for one in plan.inputs if plan.columns[one].type == "text"]
            raise PlanError(
                f"{place} = {of!r}: name an input that is a text, or '' for none; {did_you_mean(of, texts)}"
            )
        why = _not_copied(plan, name, of)
        if why and (place not in plan.why or plan.why[place].why == ASKED):
            raise PlanError(f"{place} = {of!r}: {why}; set it to ''")
        if why:
            target.head["copy"] = ""
            because(plan, place, "", why)


def share_pieces(plan: Plan) -> list[str]:
    """Inputs that are now divided as the targets which copy from them, and start from a model; their names."""
    changed = list[str]()
    for name, target in plan.targets.items():
        of = target.head.get("copy", "")
        if of not in plan.inputs or plan.columns[of].type != "text":
            continue
        mine, theirs = ({o: f"columns.{one}.options.{o}" for o in SHARED} for one in (name, of))
        given = [o for o in SHARED if mine[o] in plan.why and plan.why[mine[o]].why == GIVEN]
        free = not any(was_set(plan, theirs[o]) for o in given)
        for option in given if free else ():
            value = plan.columns[name].options[option]
            plan.columns[of].options[option] = value
            because(plan, theirs[option], value, f"as of {name!r}, which starts from a model: its tokens may be copied")
        changed += [of] if given and free else []
    return changed


def check_inputs(plan: Plan) -> None:
    """Raises PlanError where there is nothing to predict from, and a head that needs it."""
    needy = [name for name, head in plan.heads().items() if not head.unconditional]
    if needy and not plan.inputs:
        head = plan.targets[needy[0]].head["name"]
        there = ", ".join(f"{name!r} ({column.role})" for name, column in [*plan.columns.items()][:12])
        say = f"; or say types={{{needy[0]!r}: 'text'}} (--types {needy[0]}=text) if it is texts that are to be written"
        raise PlanError(
            f"no inputs: name at least one column to predict {needy[0]!r} from; head {head!r} does not do "
            f"without; there are the columns {there}{' ...' if len(plan.columns) > 12 else ''}"
            f"{say if plan.columns[needy[0]].type == 'category' else ''}"
        )
    if len(plan.targets) > 1 and not plan.inputs:
        targets = ", ".join(plan.targets)
        raise PlanError(f"without inputs one target can be learnt at a time, not {len(plan.targets)}: {targets}")


def check_without(plan: Plan) -> None:
    """Raises PlanError where inputs are to be taken for missing and none could be: all of a row go together."""
    if plan.train.without and len(groups(plan)) < 2:
        raise PlanError(
            f"train.without = {plan.train.without}: the inputs ({', '.join(plan.inputs) or 'none'}) travel as one, and "
            "a row keeps what it would have nothing without; leave it out, or add inputs of another kind"
        )


def _not_copied(plan: Plan, name: str, of: str) -> str:
    """Why the target's tokens cannot be those of the input; "" if they can."""
    encoder = plan.inputs[of].encoder["name"]
    if not registry.lookup("encoder", encoder).tells:
        return f"encoder {encoder!r} does not tell which tokens it has read"
    own, other = ({"lowercase": False} | plan.columns[one].options for one in (name, of))  # as what is written wants it
    if own.get("like", of) != of:
        return f"{name!r} has pieces of its own"
    differ = [option for option in SHARED if own.get(option, AUTO) != other.get(option, AUTO)]
    return f"{' and '.join(differ)} of {name!r} and {of!r} differ" if differ else ""


def _agree_with_averaging_optimizer(plan: Plan) -> None:
    """What has no meaning where the weights that are trained are not those that are evaluated."""
    why = "schedule_free averages the weights itself"
    needs = "would average what the optimizer 'schedule_free' has averaged already; leave it out"
    if plan.train.average:
        _give_way(plan, "average", 0.0, why, needs)
    if plan.train.keep == "average":
        _give_way(plan, "keep", "last", why, needs)
    for key in ("l1", "max_norm"):
        if getattr(plan.train, key):
            what = f"train.{key} = {getattr(plan.train, key)} acts on the weights after each step"
            raise PlanError(f"{what}, of which the optimizer 'schedule_free' keeps an average apart; use 'adamw'")


def _choose_calibration(plan: Plan, held: bool) -> None:
    """Whether probabilities are scaled by what held-out rows tell. Raises PlanError where that cannot be."""
    classes = [target.head for name, target in plan.targets.items() if plan.columns[name].type == "category"]
    if plan.train.calibrate != AUTO:
        if plan.train.calibrate and not (held and classes):
            raise PlanError("train.calibrate = True needs a target that is a category, and validation rows or folds")
        return
    modest = any(head.get("smoothing") or head.get("loss", "cross_entropy") != "cross_entropy" for head in classes)
    if not held or not classes:
        choice = False, "no target is a category" if held else "no rows are held out to tell"
    elif plan.data.folded:
        choice = True, "every row tells, by a network that never saw it"
    elif modest:
        choice = True, "the head's loss makes probabilities too modest (or none), as held-out rows tell"
    else:
        choice = False, "so few rows tell little of probabilities that are nearly right"
    put(plan, "train.calibrate", *choice)


def _asked(plan: Plan, key: str) -> bool:
    """Whether a person set this training setting."""
    reason = plan.why.get(f"train.{key}")
    return reason is None or reason.why == ASKED


def _give_way(plan: Plan, key: str, value: Any, why: str, needs: str) -> None:
    """Sets what the planner chose to another value; raises PlanError where a person asked for it as it is."""
    if _asked(plan, key):
        raise PlanError(f"train.{key} = {getattr(plan.train, key)!r} {needs}")
    put(plan, f"train.{key}", value, why)
