"""The plan: all that a run will do, resolved, with a reason for every choice. Data only."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from ranvier.core import registry
from ranvier.core.elsewhere import SETTINGS
from ranvier.core.errors import PlanError, did_you_mean
from ranvier.core.facts import Size
from ranvier.core.html import card, folded, lines, table

FORMAT = 1
UNKNOWN = "unknown"  # the type of a column that none suits, and that is not used
Auto = Literal["auto"]
OR_AUTO = ", or 'auto'"
Role = Literal["input", "target", "weight", "group", "order", "id", "ignore"]


def _named(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping):
        raise ValueError(
            'expected a name such as \'lstm\', or a name with options such as {"name": "lstm", "layers": 2}'
        )
    if not isinstance(value.get("name", "auto"), str):
        raise ValueError(f"the name must be a text, not {value['name']!r}")
    return {"name": "auto", **value}


def _of(kind: str, *also: str) -> AfterValidator:
    """Marks a part of this kind, or a column's type, whose name is to be in the registry, or one of the others."""

    def check(value: Any) -> Any:
        name = value if isinstance(value, str) else value["name"]
        if name not in (*registry.TABLES[kind], *also):
            raise ValueError(registry.unknown(kind, name))
        return value

    return AfterValidator(check)


_inside: ContextVar[bool] = ContextVar("_inside", default=False)  # validating a section within a section


# A part by name with its options: {"name": "lstm", "layers": 2}; a bare "lstm" is short for {"name": "lstm"}.
Named = Annotated[dict[str, Any], BeforeValidator(_named)]


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]


def auto() -> dict[str, Any]:
    """The part that the planner is to choose."""
    return {"name": "auto"}


def none() -> dict[str, Any]:
    """No part of this kind."""
    return {"name": "none"}


class Section(BaseModel):
    """A part of the plan: unknown names and wrong types are refused at once, with PlanError."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, strict=True, allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        outermost = not _inside.get()
        token = _inside.set(True)
        try:
            super().__init__(**values)
        except ValidationError as error:
            if not outermost:
                raise  # the section around this one knows the whole place
            raise _plan_error(type(self), error) from None
        finally:
            _inside.reset(token)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in type(self).model_fields:
            raise PlanError(f"unknown {name!r}; {did_you_mean(name, type(self).model_fields, SETTINGS)}")
        token = _inside.set(True)
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise _plan_error(type(self), error) from None
        finally:
            _inside.reset(token)


class Reason(Section):
    """What the planner chose for a place in the plan, and why."""

    value: Any
    why: str


class DataPlan(Section):
    """source, test, val: paths or globs ("" = given in memory, or not at all). split: how validation rows are
    chosen from the training rows. fraction: how many. folds: 2 or more = so many networks, each trained on all parts of
    the rows but one, which it validates on; their answers are averaged; 0 and 1 = one network. balance: what is done
    about classes of unequal size. together: columns that are packed into one, "row", to be drawn together."""

    source: str = ""
    test: str = ""
    val: str = ""
    split: Literal["auto", "random", "stratified", "group", "order", "none"] = "auto"
    fraction: Share | Auto = "auto"
    folds: Number = 0
    balance: Literal["none", "loss", "sampler"] = "none"
    together: list[str] = Field(default_factory=list)

    @property
    def folded(self) -> bool:
        """Whether there is more than one network, each with validation rows of its own."""
        return self.folds > 1


class ColumnPlan(Section):
    """type: a registered column type. role: what it is for. options: the type's."""

    type: Annotated[str, _of("column", UNKNOWN)]
    role: Role
    options: dict[str, Any] = Field(default_factory=dict)


class InputPlan(Section):
    """encoder: how the column becomes features. augment: how it is varied while training ("none" = not)."""

    encoder: Annotated[Named, _of("encoder", "auto")] = Field(default_factory=auto)
    augment: Annotated[Named, _of("augment", "auto", "none")] = Field(default_factory=auto)


class TargetPlan(Section):
    """head: what predicts the column. weight: its share in the sum of all targets' losses."""

    head: Annotated[Named, _of("head", "auto")] = Field(default_factory=auto)
    weight: Positive = 1.0


class TrainPlan(Section):
    """How the network is trained; `train/settings.py` says what each means.

    mix: how rows are blended with one another while training ("none" = not). without: the chance of each input of a row
    to be taken for missing while training, so that the network learns to do without it (feed/without.py).
    epochs: at most so many passes over the training rows. time: at most so many seconds in all, 0 = no limit.
    frozen: encoders that start from a model (init) stay as they are there, so that only what is new learns.
    refit: after validation has told how long to train, train again on all rows for as long.
    calibrate: scale the probabilities of categories by one temperature, which held-out rows tell (ops/calibration.py).
    """

    optimizer: Annotated[Named, _of("optimizer", "auto")] = Field(default_factory=auto)
    rate: Positive | Auto = "auto"
    decay: NotNegative | Auto = "auto"
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    max_norm: NotNegative = 0.0
    batch: Count | Auto = "auto"
    epochs: Positive | Auto = "auto"
    schedule: Annotated[Named, _of("schedule", "auto")] = Field(default_factory=auto)
    clip: NotNegative | Auto = "auto"
    mix: Annotated[Named, _of("mix", "auto", "none")] = Field(default_factory=auto)
    without: Decay = 0.0
    average: Decay | Literal["swa"] | Auto = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    micro: Number | Auto = "auto"
    patience: Number | Auto = "auto"
    keep: Literal["auto", "best", "last", "average"] = "auto"
    frozen: bool = False
    refit: bool | Auto = "auto"
    watch: bool = True
    calibrate: bool | Auto = "auto"
    time: NotNegative = 0.0
    seed: int = 0
    device: str = "auto"
    threads: Number | Auto = "auto"


class Plan(Section):
    """What `fit` will do. Printed it is TOML; `Plan.from_toml` reads it back."""

    format: int = FORMAT
    size: Size = "m"
    data: DataPlan = Field(default_factory=DataPlan)
    columns: dict[str, ColumnPlan] = Field(default_factory=dict)
    inputs: dict[str, InputPlan] = Field(default_factory=dict)
    targets: dict[str, TargetPlan] = Field(default_factory=dict)
    fuse: Annotated[Named, _of("fuse", "auto")] = Field(default_factory=auto)
    train: TrainPlan = Field(default_factory=TrainPlan)
    warnings: list[str] = Field(default_factory=list)
    why: dict[str, Reason] = Field(default_factory=dict)
    _memory: dict[str, Any] = PrivateAttr(default_factory=dict)  # data given in memory: source, test, val

    def heads(self) -> dict[str, Any]:
        """{target: the class of its head}, once heads are chosen. Raises PlanError for one that is "auto"."""
        return {name: registry.lookup("head", target.head["name"]) for name, target in self.targets.items()}

    def to_toml(self) -> str:
        """The plan as TOML, the reasons last, one a line."""
        reasons = [
            f"{_key(place)} = {{ value = {_inline(r.value)}, why = {_inline(r.why)} }}\n"
            for place, r in self.why.items()
        ]
        values = self.model_dump(exclude={"why"})
        values["columns"] = {n: {k: v for k, v in c.items() if v != {}} for n, c in values["columns"].items()}
        return tomli_w.dumps(values) + "\n[why]\n" + "".join(reasons)

    @classmethod
    def from_toml(cls, text: str) -> Plan:
        """The plan that `to_toml` wrote, or a person. Raises PlanError, naming the place."""
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also for numbers too long, and for what is nested too deeply
            raise PlanError(f"this is no TOML: {error}") from None
        if values.get("format", FORMAT) != FORMAT:
            raise PlanError(
                f"format = {values['format']!r}: this version reads plans of format {FORMAT}; make the plan again with "
                "it (ranvier plan DATA -t TARGET > plan.toml), or use the version that wrote it"
            )
        return cls(**values)

    def __str__(self) -> str:
        return self.to_toml()

    def _repr_html_(self) -> str:
        """For notebooks: warnings, columns, and at a click the choices with their reasons."""
        columns = [(name, c.type, c.role, self._told(f"columns.{name}.type")) for name, c in self.columns.items()]
        places = [place for place in self.why if not place.startswith("columns.")]
        leaves = self.leaves()
        choices = [(place, leaves.get(place, self.why[place].value), self._told(place)) for place in places]
        return card(
            f"Plan: {', '.join(self.inputs) or 'nothing'} → {', '.join(self.targets) or 'nothing'}",
            lines(f"warning: {warning}" for warning in self.warnings),
            table(("column", "type", "role", "because"), columns),
            folded(f"{len(choices)} choices", table(("place", "value", "because"), choices)),
        )

    def _told(self, place: str) -> str:
        """Why a place has its value; "" where the planner said nothing of it."""
        return self.why[place].why if place in self.why else ""

    def leaves(self) -> dict[str, Any]:
        """Every plain value of the plan by its place, such as "inputs.text.encoder.layers"."""
        return dict(_leaves(self.model_dump(exclude={"why", "warnings"}), ""))


def _inline(value: Any) -> str:
    """The value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_inline(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return tomli_w.dumps({"x": value}).partition(" = ")[2].strip()


def _key(place: str) -> str:
    return tomli_w.dumps({place: 0}).rpartition(" = ")[0]


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _plan_error(section: type[BaseModel], error: ValidationError) -> PlanError:
    """One clear sentence from pydantic's first complaint."""
    first, *others = error.errors()
    path = first["loc"]
    unknown = first["type"] == "extra_forbidden"  # of which there may be several in one place
    beside = any(other["loc"][:-1] == path[:-1] for other in others)
    also_auto = not unknown and beside and path[-1] not in _fields_at(section, path[:-1])
    if also_auto:  # pydantic names the members of a union such as `float | "auto"` in its places
        path = path[:-1]
    place, name = ".".join(map(str, path)), str(path[-1])
    if unknown:
        near = did_you_mean(name, _fields_at(section, path[:-1]), SETTINGS)
        return PlanError(f"unknown {place!r} in the plan; {near}")
    if first["type"] == "missing":
        return PlanError(f"{place} is missing in the plan")
    said = first["msg"].removeprefix("Value error, ")
    return PlanError(f"{place} = {first['input']!r}: {said[0].lower()}{said[1:]}{OR_AUTO if also_auto else ''}")


def _fields_at(section: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The names known at a place in the plan."""
    here: Any = section
    for part in path:
        fields = getattr(here, "model_fields", None)
        if fields is None or part not in fields:
            continue  # a key of a dictionary of sections: its value's type is already `here`
        annotation = fields[part].annotation
        arguments = getattr(annotation, "__args__", ())
        here = arguments[-1] if arguments else annotation
    return list(getattr(here, "model_fields", {}))
