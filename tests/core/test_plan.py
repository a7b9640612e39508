"""The plan: strict, its errors name the place, and it goes through TOML unchanged."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranvier.core.errors import PlanError
from ranvier.core.plan import ColumnPlan, InputPlan, Plan, Reason, TargetPlan, TrainPlan

NAMES = st.text(min_size=0, max_size=12) | st.sampled_from(
    ["a.b", "a b", 'quo"te', "it's", "tab\t", "new\nline", "名前", "é", "auto", "[x]", "a.b.c", "#", "=", "\\", ""]
)
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(0, 9), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True), value=PLAIN, why=st.text(max_size=20))
def test_a_plan_goes_through_toml_unchanged(names, value, why):
    plan = Plan(
        columns={n: ColumnPlan(type="number", role="input", options={"option": value}) for n in names},
        inputs={n: InputPlan(encoder={"name": "lstm", n: value}) for n in names if n != "name"},
        targets={n: TargetPlan() for n in names},
        why={f"inputs.{n}.encoder": Reason(value=value, why=why) for n in names},
        warnings=names,
    )
    again = Plan.from_toml(plan.to_toml())
    assert again.model_dump() == plan.model_dump()
    assert list(again.inputs) == list(plan.inputs)  # the order of the inputs is the order in the network
    assert again.to_toml() == plan.to_toml()


def test_reasons_stand_last_one_a_line_whatever_they_hold():
    plan = Plan(why={"a.b": Reason(value={"x y": [1, [2.5, "z"]], "n": {"m": True}}, why='said "so"\nand more')})
    last = plan.to_toml().rpartition("[why]\n")[2]
    assert last.count("\n") == 1
    assert tomllib.loads(last) == {"a.b": {"value": plan.why["a.b"].value, "why": plan.why["a.b"].why}}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("seed = 1", r"unknown 'seed' in the plan; known: columns"),
        ("trian = 1", r"unknown 'trian' in the plan; did you mean 'train'"),
        ("[train]\nratee = 1", r"unknown 'train.ratee' in the plan; did you mean 'rate'"),
        ('[inputs."a.b"]\nencodr = "x"', r"unknown 'inputs.a.b.encodr' in the plan; did you mean 'encoder'"),
        ("[train]\nrefit = 'yes'", r"train.refit = 'yes': input should be a valid boolean, or 'auto'"),
        ("[train]\nrate = '0.1'", r"train.rate = '0.1': input should be a valid number, or 'auto'"),
        ("[train]\nrate = -1.0", r"train.rate = -1.0: .*greater than 0"),
        ("[train]\nrate = nan", r"train.rate = nan: .*finite"),
        ("[train]\nbatch = 0", r"train.batch = 0: "),
        ("[train]\nbatch = 1.5", r"train.batch = 1.5: input should be a valid integer"),
        ("[train]\nseed = true", r"train.seed = True: "),
        ("[train]\naverage = 1.0", r"train.average = 1.0: .*less than 1"),
        ("[train]\noptimizer = 3", r"train.optimizer = 3: expected a name such as"),
        ("[train.optimizer]\nname = ['sgd']", r"train.optimizer = .*the name must be a text"),
        ("[data]\nsplit = 'grup'", r"data.split = 'grup': input should be 'auto', 'random'"),
        ("[data]\nfraction = 1.0", r"data.fraction = 1.0: "),
        ("[targets.y]\nweight = -1.0", r"targets.y.weight = -1.0: "),
        ("[columns.x]\ntype = 'number'", r"columns.x.role is missing"),
        ("[columns.x]\ntype = 'number'\nrole = 'inptu'", r"columns.x.role = 'inptu': input should be 'input'"),
        ("inputs = 3", r"inputs = 3: "),
        ("why = { a = 3 }", r"why.a = 3: "),
        ("format = 2", r"format = 2: this version reads plans of format 1"),
        ("a = ", r"this is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text, match):
    with pytest.raises(PlanError, match=match):
        Plan.from_toml(text)


def test_assignment_is_as_strict_as_reading():
    plan = Plan(inputs={"a": InputPlan()})
    plan.inputs["a"].encoder = "lstm"
    assert plan.inputs["a"].encoder == {"name": "lstm"}
    plan.inputs["a"].encoder = {"layers": 2}
    assert plan.inputs["a"].encoder == {"name": "auto", "layers": 2}
    plan.train.epochs = 5
    assert plan.train.epochs == 5.0
    for section, name, value, match in (
        (plan, "sizee", "m", "unknown 'sizee'; did you mean 'size'"),
        (plan, "size", "xl", "size = 'xl': input should be 's', 'm' or 'l'"),
        (plan, "inputs", {"a": {"encodr": 1}}, "unknown 'inputs.a.encodr' in the plan; did you mean 'encoder'"),
        (plan.train, "epoch", 3, "unknown 'epoch'; did you mean 'epochs'"),
        (plan.train, "rate", "fast", "rate = 'fast': input should be a valid number, or 'auto'"),
        (plan.train, "refit", 1, "refit = 1: "),
        (plan.train, "optimizer", None, "optimizer = None: expected a name"),
        (plan.train, "batch", None, "batch = None: "),
    ):
        with pytest.raises(PlanError, match=match):
            setattr(section, name, value)
    assert plan.train.rate == "auto"
    assert plan.size == "m"


def test_sections_made_alone_name_their_own_fields():
    with pytest.raises(PlanError, match="unknown 'epoch' in the plan; did you mean 'epochs'"):
        TrainPlan(epoch=3)
    with pytest.raises(PlanError, match="rate = True: "):
        TrainPlan(rate=True)


def test_leaves_are_plain_values_by_place():
    plan = Plan(inputs={"a.b": InputPlan(encoder={"name": "cnn", "widths": [1, 2]})})
    leaves = plan.leaves()
    assert leaves["inputs.a.b.encoder.widths"] == [1, 2]
    assert leaves["train.seed"] == 0
    assert not any(place.startswith(("why", "warnings")) for place in leaves)
