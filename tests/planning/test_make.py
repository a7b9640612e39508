"""From data to a plan: types, roles, reasons, warnings; and clear words for what cannot be planned."""

from __future__ import annotations

import io
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier import samples
from ranvier.columns.number import Number
from ranvier.core import registry
from ranvier.core.errors import DataError, PlanError
from ranvier.core.plan import Plan
from ranvier.core.schema import options_of
from ranvier.planning.frames import read_all
from ranvier.planning.make import make_plan, seconds
from ranvier.planning.reasons import unresolved

N = 60


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    return pl.DataFrame(
        {
            "x": rng.normal(size=N),
            "y": [["no", "yes"][k] for k in y],
            "amount": rng.normal(size=N) + y,
            "when": [date(2024, 1, 1) + timedelta(days=i * 7 % 300) for i in range(N)],
            "said": [f"this is what number {i * 7} said of it" for i in range(N)],
            "picture": [picture(3 * i) for i in range(N)],
            "vector": rng.normal(size=(N, 3)).tolist(),
            "tags": [["a", "b", "c"][: 1 + i % 3] for i in range(N)],
        }
    )


def check_resolved(plan: Plan) -> None:
    """Nothing open, and every place that has a reason holds what the reason is about."""
    assert unresolved(plan) == []
    leaves = plan.leaves()
    for place, reason in plan.why.items():
        assert reason.why, place
        assert leaves[place] == reason.value, place
    for name, chosen in plan.inputs.items():
        part = registry.lookup("encoder", chosen.encoder["name"])
        assert {*chosen.encoder} == {"name", *options_of(part)}, name


def test_penguins():
    plan = make_plan(samples.path("penguins"), "species")
    check_resolved(plan)
    types = {name: column.type for name, column in plan.columns.items()}
    assert types["species"] == types["island"] == types["sex"] == "category"
    assert types["body_mass_g"] == types["bill_length_mm"] == "number"
    assert plan.columns["species"].role == "target"
    assert list(plan.targets) == ["species"]
    assert "species" not in plan.inputs
    assert set(plan.inputs) == {n for n, c in plan.columns.items() if c.role == "input"}
    assert plan.data.split == "stratified"
    assert plan.fuse["name"] == "tabm"
    assert "columns.island.type" in plan.why
    assert plan.warnings == []


def test_snippets_have_a_leak_which_is_told_by_name():
    plan = make_plan(samples.path("snippets_train"), "sentiment", test=samples.path("snippets_test"))
    check_resolved(plan)
    assert [w for w in plan.warnings if w.startswith("'score' alone predicts 'sentiment'")]
    assert plan.data.test.endswith("snippets_test.csv")
    without = make_plan(samples.path("snippets_train"), "sentiment", inputs=["text"])
    assert without.warnings == []
    assert without.columns["score"].role == "ignore"
    assert without.fuse["name"] == "concat"


def test_pictures():
    plan = make_plan(samples.path("fashion_train"), "label")
    check_resolved(plan)
    assert plan.inputs["image"].encoder["name"] == "cnn"
    assert plan.inputs["image"].augment["name"] == "image"


def test_kinds_of_split(table):
    def split(**how):
        plan = make_plan(table, how.pop("target", "y"), inputs=["x", "said"], **how)
        return plan.data.split, plan.why.get("data.split")

    assert split()[0] == "stratified"
    assert split(target="amount")[0] == "random"
    assert split(roles={"when": "order"})[0] == "order"
    by_group = table.with_columns(g=pl.Series([f"g{i % 7}" for i in range(N)]))
    plan = make_plan(by_group, "y", roles={"g": "group"})
    assert plan.data.split == "group"
    assert "'g'" in plan.why["data.split"].why
    assert "g" not in plan.inputs
    assert split(split="random") == ("random", None)  # asked for: no reason of the planner's
    plan = make_plan(table, "y", val=table)
    assert (plan.data.split, plan.train.keep) == ("none", "best" if plan.train.keep == "best" else "last")
    with pytest.raises(PlanError, match="validation rows were given apart"):
        make_plan(table, "y", val=table, split="random")
    with pytest.raises(PlanError, match="needs a column with the role group"):
        make_plan(table, "y", split="group")


def test_without_validation_rows_there_is_no_best(table):
    plan = make_plan(table, "y", inputs=["said"], split="none")
    assert plan.train.keep == "last"
    with pytest.raises(PlanError, match=r"train\.keep = 'best' needs validation rows"):
        make_plan(table, "y", inputs=["said"], split="none", keep="best")


def test_time():
    assert [seconds(t) for t in (0, 90, 1.5, "90", "90s", " 5m ", "1.5h", "2 m")] == [
        0,
        90,
        1.5,
        90,
        90,
        300,
        5400,
        120,
    ]
    for wrong in (-1, float("nan"), float("inf"), True, None, "5 min", "m", "-3s", "", [5]):
        with pytest.raises(PlanError, match="time = "):
            seconds(wrong)


def test_a_point_in_rows_given_apart_is_read_by_the_decimal_commas_of_training(tmp_path):
    (tmp_path / "all.csv").write_text("x;y\n3,5;1\n2,25;0\n")
    (tmp_path / "few.csv").write_text("x;y\n1.100;1\n")  # alone, decimals
    frames = read_all(tmp_path / "all.csv", None, tmp_path / "few.csv")
    column = Number("x")
    column.learn([frames.given["x"]])
    column.know_comma()
    assert column.values(frames.test["x"]).tolist() == [1100]
    assert "as thousands" in column.encode(frames.test["x"]).notes[0]


def test_a_list_of_words_is_a_text_to_be_written():
    words = [a + b for a in ("oak", "elm", "ash", "fir", "yew") for b in ("wood", "hill", "ton", "ley", "ford")]
    plan = make_plan({"text": words})
    assert plan.columns["text"].type == "text"
    assert plan.targets["text"].head["name"] == "text"
    assert "the only column" in plan.why["columns.text.type"].why
    assert make_plan({"text": words, "x": [*range(25)]}, "x").columns["text"].type == "category"
    for source, types in (({"text": words}, {"text": "category"}), ({"text": ["elm", "oak"] * 20}, None)):
        with pytest.raises(PlanError, match=r"no inputs: .*; or say types=\{'text': 'text'\} \(--types text=text\)"):
            make_plan(source, types=types)


def test_what_stands_beside_answers_and_tags_follows_from_them():
    cities = ["Lima", "Rome"] * 20
    asked = {"context": [f"it is {city}" for city in cities], "question": ["where?"] * 40, "sure": [True, False] * 20}
    rows = pl.DataFrame({**asked, "answers": [{"start": 6, "text": city} for city in cities]})
    plan = make_plan(rows, "answers")
    assert {name: plan.columns[name].type for name in asked} == {
        "context": "text",
        "question": "text",
        "sure": "category",
    }
    assert "beside the answers 'answers'" in plan.why["columns.question.type"].why
    assert make_plan(rows, "answers", types={"question": "category"}).columns["question"].type == "category"

    said, kinds = [["go", "to", "Lima"], ["to", "Rome"]] * 20, [["a"], ["b", "a", "c", "d"]] * 20
    rows = pl.DataFrame({"said": said, "kinds": kinds, "tags": [["O", "O", "B-to"], ["O", "B-to"]] * 20})
    plan = make_plan(rows, "tags")
    found = {name: plan.columns[name].type for name in rows.columns}
    assert found == {"said": "words", "kinds": "set", "tags": "tags"}


def test_every_type_of_column_gets_an_encoder(table):
    plan = make_plan(table, ["y", "amount"])
    check_resolved(plan)
    types = {name: column.type for name, column in plan.columns.items()}
    assert types == {
        "x": "number",
        "y": "category",
        "amount": "number",
        "when": "date",
        "said": "text",
        "picture": "image",
        "vector": "vector",
        "tags": "set",
    }
    assert len({chosen.encoder["name"] for chosen in plan.inputs.values()}) >= 4
    assert {t: target.head["name"] for t, target in plan.targets.items()} == {"y": "category", "amount": "number"}


def test_targets_that_this_version_cannot_predict(table):
    with pytest.raises(
        PlanError, match=r"target 'when' is a column of type .* of the types category, number, set, vector"
    ):
        make_plan(table, "when", inputs=["x"])


def test_names_that_contradict_or_are_not_there(table):
    def fails(match, error=PlanError, **how):
        with pytest.raises(error, match=match):
            make_plan(how.pop("data", table), how.pop("target", "y"), **how)

    fails("no column 'yy'; did you mean 'y'", target="yy")
    fails("column 'y' is named twice", target=["y", "y"])
    fails("no target: name the column", target=())
    fails("no column 'xx'; did you mean 'x'", inputs=["xx"])
    fails("no inputs: name at least one", inputs=[])
    fails("target = 3: expected a column's name", target=3)
    fails("inputs = .* expected a column's name", inputs=[1])
    fails("roles = 3: expected a dictionary", roles=3)
    fails("types names 'xx'.*did you mean 'x'", types={"xx": "number"})
    fails("types: column 'x' cannot be of type 'txt'; did you mean 'text'", types={"x": "txt"})
    fails("unknown role 'inptu'; did you mean 'input'", roles={"x": "inptu"})
    fails("named as target and has the role 'input'", roles={"y": "input"})
    fails("unknown setting 'input'; did you mean 'inputs'", input=["x"])
    fails("unknown setting 'epoch'; did you mean 'epochs'", epoch=3)
    fails("unknown optimizer 'adma'; did you mean 'adam'", optimizer="adma")
    fails("schedule 'liner'; did you mean 'linear'", schedule="liner")
    fails("train.optimizer: unknown option 'beta'; did you mean 'betas'", optimizer={"name": "adam", "beta": 1})
    fails("device 'gpu' is not known", device="gpu")
    fails("needs a target that is a category", target="amount", balance="loss")
    fails("size = 'xl'", size="xl")
    fails("fraction", fraction=2.0)


def test_one_name_alone_is_as_good_as_a_list(table):
    assert list(make_plan(table, "y", inputs="said").inputs) == ["said"]


def test_targets_from_which_nothing_can_be_learnt(table):
    def fails(match, values, **how):
        with pytest.raises(DataError, match=match):
            make_plan(table.with_columns(y=pl.Series(values)), "y", **how)

    fails("target 'y' has only one class, 'a'", ["a"] * N)
    fails("only one class", ["a"] * (N - 5) + [None] * 5)
    fails("target 'y' has no value in any of 60 rows", [None] * N)
    last = ["a"] * 40 + ["b"] * 20
    in_order = table.with_columns(y=pl.Series(last), when=pl.Series(range(N)))
    with pytest.raises(DataError, match=r"only one class in the .* training rows, 'a'"):
        make_plan(in_order, "y", roles={"when": "order"}, fraction=0.4)


def test_a_target_that_is_an_input_too_is_told(table):
    plan = make_plan(table, "y", inputs=["x", "y"])
    assert list(plan.inputs) == ["x", "y"]
    assert any("'y' is input and target at once" in w for w in plan.warnings)


def test_missing_targets_are_counted(table):
    plan = make_plan(table.with_columns(y=pl.Series([None, *table["y"][1:]])), "y")
    assert any("target 'y' is missing in 1 of 60 rows" in w for w in plan.warnings)


def test_a_handful_of_rows():
    few = pl.DataFrame({"x": [1.5, 2.5, 3.5], "y": ["a", "b", "a"]})
    check_resolved(make_plan(few, "y"))
    distinct = make_plan(few.with_columns(y=pl.Series(["a", "b", "c"])), "y")
    assert distinct.data.split == "random"
    check_resolved(make_plan(few.with_columns(y=pl.Series([0.5, 1.5, 9.5])), "y"))
    with pytest.raises(DataError, match=r"1 row cannot be split|only one class"):
        make_plan(few[:1], "y")


def test_rows_given_apart_need_the_columns(table):
    with pytest.raises(DataError, match="the validation rows lack column 'x'"):
        make_plan(table, "y", val=table.drop("x"))


@pytest.mark.parametrize(
    "name", ["a.b", "with space", "名前", 'quo"te', "encoder", "x.encoder.name", "auto", "[number]"]
)
def test_columns_of_any_name(name):
    frame = pl.DataFrame({name: np.arange(40) * 0.37, "x": np.arange(40) % 7 * 1.5, "y": ["a", "b"] * 20})
    plan = make_plan(frame, "y")
    check_resolved(plan)
    assert Plan.from_toml(str(plan)).model_dump() == plan.model_dump()
