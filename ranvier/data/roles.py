"""What each column is for: input, target, weight, group, order, id or ignore, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from ranvier.core import registry
from ranvier.core.counts import agreed
from ranvier.core.errors import DataError, PlanError, did_you_mean
from ranvier.core.rows import row_number

RoleName = Literal["input", "target", "weight", "group", "order", "id", "ignore"]
ROLES = ("input", "target", "weight", "group", "order", "id", "ignore")
ONLY_ONE = ("weight", "group", "order")
_ID_NAMES = ("id", "_id", "index", "idx", "key", "uuid", "guid", "row", "rowid", "row_id", "rownames", "unnamed: 0")
_UUID = r"^\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\}?$"
_HEX = r"^[0-9a-fA-F]{8,64}$"
_CODE = r"^[A-Za-z]{0,8}[-_/:.#]?[A-Za-z]{0,4}\d[0-9A-Za-z]*(?:[-_/:.][0-9A-Za-z]+)*$"  # A-0017, user_12, 3f2b
_FILE = r"(?i)\.(png|jpe?g|bmp|gif|webp|tiff?|ppm|pgm|wav|ogg|flac|mp3)$"
_DATE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_FEW = 20  # rows below which being all distinct says little


@dataclass(frozen=True)
class Role:
    """role: one of ROLES. reason: why, in a few words. also_input: a target that was named as an input too."""

    role: RoleName
    reason: str
    also_input: bool = False


def assign_roles(
    frame: pl.DataFrame,
    types: Mapping[str, str],
    target: str | Sequence[str],
    inputs: Sequence[str] | None = None,
    roles: Mapping[str, str] | None = None,
) -> dict[str, Role]:
    """The role of every column, in the frame's order.

    types: the recognised type of each column. target: one or several names; () for none. inputs: exactly these (an
    empty list is unconditional); None = all columns left. roles: what was said outright. A column that numbers or
    names the rows, or never varies, is set aside unless it is named. Raises PlanError for an unknown name or role or
    a name used twice, DataError for a weight that is missing, negative or infinite.
    """
    said = dict(roles or {})
    targets = [target] if isinstance(target, str) else list(target)
    targets = targets or [name for name, role in said.items() if role == "target"]
    _check_names(frame, targets, inputs, said)
    found: dict[str, Role] = {}
    for name in frame.columns:
        if name in targets:
            both = inputs is not None and name in inputs
            found[name] = Role("target", "named as target and as input" if both else "named as target", both)
        elif inputs is not None and name in inputs:
            found[name] = Role("input", "named as input")
        elif name in said:
            found[name] = Role(said[name], "as asked")  # type: ignore[arg-type]
        elif inputs is not None:
            found[name] = Role("ignore", "not among the inputs named")
        else:
            found[name] = _by_values(frame[name], types.get(name, ""))
    for name, role in found.items():
        if role.role == "weight":
            check_weight(frame[name])
    left = {role.role for role in found.values()} - {"target"}  # nothing but targets: a model of these alone
    if inputs is None and left and "input" not in left:
        aside = "; ".join(f"{name!r}: {r.reason}" for name, r in found.items() if r.role in ("id", "ignore"))
        raise PlanError(
            f"no column is left as input ({aside or f'{_listed(frame.columns)} are all targets'}); name inputs, or "
            "inputs=[] for none"
        )
    return found


def check_weight(column: pl.Series) -> None:
    """Raises DataError, naming the row, unless every weight is a finite number of at least 0, and one is above 0."""
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(
            f"weight column {column.name!r} holds {column.dtype} values such as {column[0]!r} in row {row_number(0)}, "
            "not numbers; write numbers of at least 0, or give it another role"
        )
    numbers = column.cast(pl.Float64)
    bad = (numbers.is_null() | ~numbers.is_finite().fill_null(False) | (numbers < 0).fill_null(False)).arg_true()
    if len(bad):
        row = int(bad[0])
        raise DataError(
            f"weight column {column.name!r}, row {row_number(row)}: {column[row]!r}; a weight must be a finite number "
            f"of at least 0 ({len(bad)} rows are not)"
        )
    if not (numbers > 0).any():
        raise DataError(f"weight column {column.name!r} is 0 in every row, so nothing could be learnt")


def missing_targets(frame: pl.DataFrame, targets: Sequence[str]) -> list[str]:
    """A note for each target with missing values: such rows stay, and do not count for that target.

    Raises DataError for a target with no value at all.
    """
    notes = []
    for name in targets:
        count = frame[name].null_count()
        if count == frame.height:
            raise DataError(
                f"target {name!r} has no value in any of {count} rows; give rows where it is known, or another target"
            )
        if count:
            notes.append(f"target {name!r} is missing in {count} of {frame.height} rows, which do not count for it")
    return notes


def check_classes(name: str, values: pl.Series, where: str) -> None:
    """Raises DataError for a category of fewer than two classes. where: of which rows, for the message."""
    known = _classes(values)
    if known.n_unique() < 2:
        shown = repr(known[0]) if len(known) else "none at all"
        raise DataError(
            f"target {name!r} has only one class{where}, {shown}, so there is nothing to learn; give rows of another"
        )


def check_varies(name: str, values: pl.Series) -> None:
    """Raises DataError for a number that is the same in all rows, if there are several."""
    known = values.drop_nulls()
    if len(known) > 1 and known.n_unique() == 1:
        raise DataError(
            f"target {name!r} is {known[0]!r} in every one of {len(known):,} rows, so there is nothing to learn; give "
            "rows of other values, or another target"
        )


def thin_classes(frame: pl.DataFrame, targets: Sequence[str], weights: Sequence[str]) -> list[str]:
    """Notes on targets that are categories of which some are hardly learnt. weights: the column of weights, if any."""
    return [*_single_rows(frame, targets), *(note for name in weights for note in _weightless(frame, targets, name))]


def _single_rows(frame: pl.DataFrame, targets: Sequence[str]) -> list[str]:
    """A note for each target that is a category with classes of a single row, of which hardly anything is learnt."""
    notes = []
    for name in targets:
        counts = _classes(frame[name]).value_counts(name="rows")
        single = counts.filter(pl.col("rows") == 1)[name].sort()
        if len(single):
            notes.append(
                f"target {name!r}: {len(single):,} of {len(counts):,} classes "
                f"{agreed(len(single), 'has|have')} one row, such as {single[0]!r}, of "
                "which nothing can be both learnt and tested; give more rows, or leave them out"
            )
    return notes


def _weightless(frame: pl.DataFrame, targets: Sequence[str], weight: str) -> list[str]:
    """A note for each target that is a category with classes all of whose rows have the weight 0, or none."""
    notes = []
    counted = frame[weight].cast(pl.Float64, strict=False).fill_null(0.0) > 0
    for name in targets:
        known = _classes(frame[name]).unique()
        without = known.filter(~known.is_in(_classes(frame[name].filter(counted)).unique().implode())).sort()
        if len(without):
            notes.append(
                f"target {name!r}: {len(without):,} of {len(known):,} classes "
                f"{agreed(len(without), 'has|have')} no row with a weight above 0 in "
                f"{weight!r}, such as {without[0]!r}, so that nothing is learnt of them; weigh them, or leave them out"
            )
    return notes


def _classes(values: pl.Series) -> pl.Series:
    """The values that are there, without spaces around them, as a column of categories takes them."""
    return values.str.strip_chars().drop_nulls() if values.dtype == pl.String else values.drop_nulls()


def _check_names(
    frame: pl.DataFrame, targets: Sequence[str], inputs: Sequence[str] | None, roles: Mapping[str, str]
) -> None:
    for what, names in (("target", targets), ("input", inputs or ()), ("role", roles)):
        for name in names:
            if name not in frame.columns:
                raise PlanError(f"{what}: no column {name!r}; {did_you_mean(name, frame.columns)}")
        if len(set(names)) < len(list(names)):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise PlanError(f"{what}: column {twice!r} is named twice")
    for name, role in roles.items():
        if role not in ROLES:
            raise PlanError(f"column {name!r}: unknown role {role!r}; {did_you_mean(role, ROLES)}")
        if name in targets and role != "target":
            raise PlanError(f"column {name!r} is named as target and has the role {role!r}; choose one")
        if name not in targets and role == "target":
            raise PlanError(f"column {name!r} has the role target, but target= names {list(targets)}; name it there")
        if inputs is not None and name in inputs and role not in ("input", "target"):
            raise PlanError(f"column {name!r} is named as input and has the role {role!r}; choose one")
        if inputs is not None and name not in inputs and role == "input":
            raise PlanError(f"column {name!r} has the role input, but inputs= leaves it out; choose one")
    for role in ONLY_ONE:
        same = [name for name, r in roles.items() if r == role]
        if len(same) > 1:
            raise PlanError(f"the role {role} was given to {same[0]!r} and {same[1]!r}; only one column can have it")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (" ..." if len(names) > 8 else "")


def _by_values(column: pl.Series, kind: str) -> Role:
    known = column.drop_nulls()
    if not len(known):
        return Role("ignore", "every value is missing")
    if not column.dtype.is_nested() and column.null_count() == 0 and known.n_unique() == 1 and len(known) > 1:
        return Role("ignore", f"every value is {str(known[0])[:30]!r}")
    if kind in registry.names("column") and registry.lookup("column", kind).only_target:
        return Role("ignore", "nothing reads such a column as an input; name it as target to predict it")
    reason = id_reason(known, kind)
    return Role("id", reason) if reason else Role("input", "a column like any other")


def id_reason(known: pl.Series, kind: str = "") -> str:
    """Why the values look like names of rows rather than facts about them, or "" if they do not.

    Whole numbers count the rows (each once, in steps of one) or are all distinct under a name such as id; texts are
    all distinct and have the form of codes. Decimal numbers, dates, sentences and file names never do.
    """
    if len(known) < 2 or not (known.dtype.is_integer() or known.dtype == pl.String):
        return ""
    if kind not in ("", "number", "category", "text") or known.n_unique() < len(known):
        return ""
    name = known.name.lower()
    named = name in _ID_NAMES or name.endswith(("_id", " id", "uuid")) or known.name.endswith("Id")
    if known.dtype.is_integer():
        low, high = int(known.min()), int(known.max())  # type: ignore[arg-type]
        if high - low == len(known) - 1 and (named or (len(known) >= _FEW and _steady(known))):
            return "counts the rows"
        return "a different whole number in each row, and named like an id" if named else ""
    if known.str.contains(_UUID).all():
        return "a different UUID in each row"
    if len(known) < _FEW and not named:
        return ""
    if known.str.contains(_FILE).any() or known.str.contains(_DATE).all():
        return ""
    if known.str.contains(_HEX).all() or known.str.contains(_CODE).all():
        return "a different code in each row"
    return "a different word in each row, and named like an id" if named and not known.str.contains(" ").any() else ""


def _steady(known: pl.Series) -> bool:
    """Up or down in steps of one: a year or a rank that happens to be distinct is not."""
    steps = known.cast(pl.Int64).diff().drop_nulls()
    return bool((steps == 1).all() or (steps == -1).all())
