"""A plan that a person edited: what was edited stays, what follows from it is chosen anew, the rest stands."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ranvier import samples
from ranvier.core.errors import PlanError
from ranvier.core.plan import InputPlan, Plan, Reason
from ranvier.core.spec import Spec
from ranvier.planning.make import make_plan
from ranvier.planning.reasons import locate
from ranvier.planning.settle import settle
from ranvier.tasks.build import part
from ranvier.train.optimizers import RATES


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    words = [["bad", "dull"], ["good", "bright"]]
    y = rng.integers(0, 2, 80)
    return pl.DataFrame(
        {
            "text": [f"a {words[k][i % 2]} film, number {i} of them" for i, k in enumerate(y)],
            "x": rng.normal(size=80),
            "code": rng.integers(0, 4, 80),
            "id": [f"A-{i:04}" for i in range(80)],
            "y": [["no", "yes"][k] for k in y],
        }
    )


@pytest.fixture
def plan(frame) -> Plan:
    return make_plan(frame, "y")


def again(plan: Plan) -> Plan:
    """The plan through TOML, with the data it had in memory."""
    copy = Plan.from_toml(plan.to_toml())
    copy._memory = plan._memory
    return copy


def test_an_unedited_plan_stands_as_it_is(plan):
    for one in (settle(plan), settle(again(plan))):
        assert one.to_toml() == plan.to_toml()
    without_data = Plan.from_toml(plan.to_toml())
    assert settle(without_data).to_toml() == plan.to_toml()


def test_settling_leaves_the_given_plan_alone(plan):
    before = plan.to_toml()
    plan.size = "l"
    settle(plan)
    plan.size = "m"
    assert plan.to_toml() == before


@pytest.mark.parametrize("path", ["penguins", "snippets_train", "fashion_train"])
def test_plan_to_toml_to_plan_is_a_fixed_point_on_samples(path):
    target = {"penguins": "species", "snippets_train": "sentiment", "fashion_train": "label"}[path]
    plan = make_plan(samples.path(path), target)
    once = settle(Plan.from_toml(str(plan)))
    assert str(once) == str(plan)
    once.size = "s"
    small = settle(once)
    assert str(settle(Plan.from_toml(str(small)))) == str(small)
    small.size = "m"
    assert settle(small).leaves() == plan.leaves()  # and back again


def edit_in_place(plan):
    plan.inputs["text"].encoder["name"] = "lstm"


def edit_whole(plan):
    plan.inputs["text"].encoder = "lstm"


@pytest.mark.parametrize("edit", [edit_in_place, edit_whole])
def test_a_new_encoder_brings_its_options_and_recipe(plan, edit):
    assert plan.inputs["text"].encoder["name"] == "bag"
    edit(plan)
    done = settle(plan)
    encoder = done.inputs["text"].encoder
    assert encoder["name"] == "lstm"
    assert "layers" in encoder
    assert "buckets" not in encoder
    assert done.why["inputs.text.encoder.name"].why == "as asked"
    assert "inputs.text.encoder.layers" in done.why
    assert any("lstm" in reason.why for reason in done.why.values())
    assert "'lstm'" in done.why["train.rate"].why  # its own recipe, not that of the bag
    assert settle(done).to_toml() == done.to_toml()
    assert settle(again(done)).to_toml() == done.to_toml()


def test_every_change_is_seen_also_the_second(plan):
    plan.inputs["text"].encoder = "lstm"
    done = settle(plan)
    done.inputs["text"].encoder["name"] = "transformer"
    other = settle(done)
    assert "depth" in other.inputs["text"].encoder
    assert other.train.rate != done.train.rate
    other.inputs["text"].encoder = "auto"
    plan.inputs["text"].encoder = "auto"
    assert settle(other).leaves() == settle(plan).leaves()


def test_options_that_a_person_set_stay(plan):
    plan.inputs["text"].encoder = {"name": "lstm", "layers": 3}
    plan.train.batch = 17
    done = settle(plan)
    assert done.inputs["text"].encoder["layers"] == 3
    done.size = "l"
    large = settle(done)
    assert large.inputs["text"].encoder["layers"] == 3
    assert large.train.batch == 17
    assert large.inputs["text"].encoder["width"] > done.inputs["text"].encoder["width"]


def test_a_list_edited_in_place_is_seen():
    plan = make_plan(samples.path("fashion_train"), "label")
    plan.inputs["image"].encoder["widths"][0] = 48
    done = settle(plan)
    assert done.inputs["image"].encoder["widths"][0] == 48
    assert done.why["inputs.image.encoder.widths"].why == "as asked"


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "muon"])
def test_a_new_optimizer_has_its_own_usual_rate(plan, name):
    plan.train.optimizer = name
    done = settle(plan)
    assert done.train.optimizer["name"] == name
    assert done.train.rate == RATES[name]
    assert settle(done).to_toml() == done.to_toml()
    kept = settle(plan.model_copy(deep=True, update={}))
    kept._memory = plan._memory
    kept.train.rate = 0.123
    assert settle(kept).train.rate == 0.123


def test_the_same_optimizer_by_name_changes_nothing(plan):
    before = plan.leaves()
    plan.train.optimizer = plan.train.optimizer["name"]
    assert settle(plan).leaves() == before


def test_roles(plan):
    plan.columns["x"].role = "ignore"
    assert list(settle(plan).inputs) == ["text", "code"]
    plan.columns["x"].role = "target"
    done = settle(plan)
    assert list(done.targets) == ["y", "x"]
    assert "x" not in done.inputs
    assert done.targets["x"].head["name"] == "number"
    plan.columns["x"].role = "input"
    plan.columns["id"].role = "input"
    assert {*settle(plan).inputs} == {"text", "x", "code", "id"}
    plan.columns["y"].role = "ignore"
    with pytest.raises(PlanError, match="no target"):
        settle(plan)


def test_inputs_taken_out_or_put_in(plan):
    del plan.inputs["x"]
    done = settle(plan)
    assert "x" not in done.inputs
    assert done.columns["x"].role == "ignore"
    assert settle(done).to_toml() == done.to_toml()
    done.inputs["id"] = InputPlan()
    put_in = settle(done)
    assert put_in.columns["id"].role == "input"
    assert put_in.inputs["id"].encoder["name"] != "auto"


def test_types(plan):
    plan.columns["code"].type = "category"
    done = settle(plan)
    assert done.inputs["code"].encoder["name"] == "category"
    assert "clip" not in done.inputs["code"].encoder  # what the encoder of numbers had
    done.columns["code"].type = "text"
    assert settle(done).inputs["code"].encoder["name"] == "bag"
    with pytest.raises(PlanError, match="unknown column 'nmber'; did you mean 'number'"):
        done.columns["code"].type = "nmber"


def test_type_of_a_target():
    plan = make_plan(samples.path("penguins"), "body_mass_g")
    assert plan.targets["body_mass_g"].head["name"] == "number"
    plan.columns["body_mass_g"].type = "category"
    done = settle(plan)
    assert done.targets["body_mass_g"].head["name"] == "category"
    assert done.data.split in ("stratified", "random")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda p: setattr(p.train, "optimizer", "adamw_torch"), "unknown optimizer 'adamw_torch'; here it is 'adamw'"),
        (lambda p: setattr(p.train, "schedule", {"name": "none"}), "unknown schedule 'none'; here it is 'constant'"),
        (
            lambda p: setattr(p.inputs["text"], "encoder", "bert"),
            "unknown encoder 'bert'; here it is 'pretrained', with",
        ),
        (lambda p: setattr(p.inputs["text"], "encoder", "none"), "unknown encoder 'none'"),
        (lambda p: setattr(p.targets["y"], "head", "softmax"), "unknown head 'softmax'; here it is 'category'"),
        (
            lambda p: setattr(p.columns["x"], "type", "ner"),
            "unknown column 'ner'; here it is 'tags', of a column of 'w",
        ),
        (lambda p: setattr(p.train, "lr", 0.1), "unknown 'lr'; here it is 'rate'"),
        (lambda p: Plan.from_toml("[train]\nlr = 0.1"), "unknown 'train.lr' in the plan; here it is 'rate'"),
        (lambda p: Plan.from_toml('fuse = "transf"'), "fuse = 'transf': unknown fuse 'transf'; known: bottleneck"),
    ],
)
def test_names_that_are_none_are_refused_as_they_are_set(frame, edit, told):
    plan = make_plan(frame, "y")
    with pytest.raises(PlanError, match=told):
        edit(plan)


def test_wrong_edits_are_named(frame):
    def fails(match, edit):
        plan = make_plan(frame, "y")
        edit(plan)
        with pytest.raises(PlanError, match=match):
            settle(plan)

    fails("unknown encoder 'lsmt'; did you mean 'lstm'", lambda p: p.inputs["text"].encoder.update(name="lsmt"))
    fails("unknown optimizer 'adamw_torch'; here it is 'adamw'", lambda p: p.train.optimizer.update(name="adamw_torch"))
    fails("train.mix = .*: unknown mix 'cutout'", lambda p: p.train.mix.update(name="cutout"))
    fails("encoder 'cnn' cannot serve here", lambda p: p.inputs["text"].encoder.update(name="cnn"))
    fails("unknown option 'drpout'; did you mean 'dropout'", lambda p: p.inputs["text"].encoder.update(drpout=0.1))
    fails("encoder.dropout = 'high'", lambda p: p.inputs["text"].encoder.update(dropout="high"))
    fails("encoder.width = None", lambda p: p.inputs["text"].encoder.update(width=None))
    fails("inputs.text = 'lstm'", lambda p: p.inputs.update(text="lstm"))
    fails("inputs.txt: no such column; did you mean 'text'", lambda p: p.inputs.update(txt=InputPlan()))
    fails("columns.x.options: unknown option", lambda p: p.columns["x"].options.update(zzz=1))
    fails("head 'number' cannot serve here", lambda p: setattr(p.targets["y"], "head", "number"))
    fails("augment", lambda p: setattr(p.inputs["text"], "augment", "image"))
    fails("no inputs", lambda p: p.inputs.clear())
    fails("no target", lambda p: p.targets.clear())
    fails('split = "group" needs', lambda p: setattr(p.data, "split", "group"))


def test_other_data(plan, tmp_path, frame):
    plan = again(plan)
    plan._memory = {}
    path = tmp_path / "other.csv"
    frame.drop("id").with_columns(pl.col("x") * 2).write_csv(path)
    plan.data.source = str(path)
    assert settle(plan).leaves() == plan.leaves()  # an id that is not used need not be there
    frame.drop("x").write_csv(tmp_path / "without.csv")
    plan.data.source = str(tmp_path / "without.csv")
    with pytest.raises(PlanError, match=r"columns\.x: no such column"):
        settle(plan)


def test_a_test_file_named_later_is_read(plan, tmp_path, frame):
    frame.head(10).write_csv(tmp_path / "test.csv")
    plan.data.test = str(tmp_path / "test.csv")
    done = settle(plan)
    assert done._memory["frames"].test.height == 10


def test_reasons_edited_by_hand_do_no_harm(plan):
    for place, value in {
        "train.seed": 0,
        "train.device": "auto",
        "data.balance": "none",
        "targets.y.weight": 1.0,
        "nothing.of.the.kind": 3,
        "inputs.text": "x",
        "columns.x.type": "date",
        "format": 1,
        "": 0,
    }.items():
        plan.why[place] = Reason(value=value, why="so I say")
    done = settle(again(plan))
    assert done.train.seed == 0
    assert done.targets["y"].weight == 1.0
    assert settle(done).to_toml() == done.to_toml()
    plan.why.clear()
    values = plan.leaves()
    bare = settle(again(plan))
    assert bare.leaves() == values  # without reasons every value counts as a person's


def test_a_plan_written_by_hand(tmp_path, frame):
    path = tmp_path / "data.csv"
    frame.write_csv(path)
    plan = settle(Plan.from_toml(f'[data]\nsource = {str(path)!r}\n[targets.y]\n[inputs.text]\nencoder = "gru"'))
    assert list(plan.inputs) == ["text"]
    assert plan.inputs["text"].encoder["name"] == "gru"
    least = settle(Plan.from_toml(f"[data]\nsource = {str(path)!r}\n[targets.y]"))
    assert least.leaves() == make_plan(path, "y").leaves()
    some = Plan.from_toml(
        f"[data]\nsource = {str(path)!r}\n[targets.y]\n[inputs.x]\n[columns.x]\ntype = 'category'\nrole = 'input'"
    )
    assert settle(some).columns["x"].type == "category"
    with pytest.raises(PlanError, match=r"no data\.source"):
        settle(Plan.from_toml("[targets.y]"))


def test_places_of_columns_with_dots():
    frame = pl.DataFrame({"a": [0.5, 1.5] * 30, "a.encoder": [1.5, 0.5] * 30, "y": ["u", "v"] * 30})
    plan = make_plan(frame, "y")
    assert locate(plan, "inputs.a.encoder.name") == (plan.inputs["a"].encoder, "name")
    assert locate(plan, "inputs.a.encoder.encoder.name") == (plan.inputs["a.encoder"].encoder, "name")
    with pytest.raises(KeyError):
        locate(plan, "inputs.b.encoder.name")
    before = plan.leaves()
    plan.size = "l"
    large = settle(plan)
    large.size = "m"
    assert settle(large).leaves() == before


def test_options_given_with_another_part_stay_even_if_the_one_before_had_them_so(plan):
    plan = again(plan)
    had = plan.fuse["dropout"]
    plan.fuse = {"name": "mlp", "dropout": had}
    assert settle(plan).fuse["dropout"] == had
    assert settle(settle(plan)).fuse["dropout"] == had


def test_another_name_alone_brings_the_other_parts_own_options(plan):
    plan = again(plan)
    plan.fuse["name"] = "mlp"
    assert settle(plan).fuse["dropout"] == 0.1
    assert "members" not in settle(plan).fuse


def test_an_option_that_was_renamed_since(frame):
    plan = make_plan(frame, "y")
    plan.inputs["text"].encoder = {"name": "transformer", "width": 8, "depth": 1, "heads": 2, "feedforward": "gelu"}
    done = settle(plan)
    assert done.inputs["text"].encoder["activation"] == "gelu"
    assert "feedforward" not in done.inputs["text"].encoder
    old = dict(done.inputs["text"].encoder)
    old["feedforward"] = old.pop("activation")
    part("encoder", old, Spec("tokens", (None,), 40, "char"))  # as a model of then has it


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("number", "squared", "squared_error"),
        ("number", "half_squared", "half_squared_error"),
        ("number", "absolute", "absolute_error"),
        ("set", "focal", "binary_focal"),
    ],
)
def test_a_value_of_an_option_that_was_renamed_since(name, before, now):
    frame = pl.DataFrame({"x": range(40), "y": [[["a"], ["a", "b"]][i % 2] if name == "set" else i for i in range(40)]})
    plan = make_plan(frame, "y", inputs=["x"], types={"y": name})
    plan.targets["y"].head = {"name": name, "loss": before}
    settle(plan)  # a plan of then, as it stands
    plan.train.epochs = 3.0
    assert settle(plan).targets["y"].head["loss"] == now
    spec = Spec("scalar", (2,)) if name == "number" else Spec("khot", (3,), 2)
    assert part("head", {"name": name, "loss": before}, spec, 4, None).kind == now  # as a model of then has it
    assert part("head", {"name": name, "loss": "huber"}, spec, 4, None).kind == "huber"


def test_a_default_that_was_renamed_since_goes_with_its_part():
    frame = pl.DataFrame({"x": range(40), "y": [i % 3 for i in range(40)]})
    plan = make_plan(frame, "y", inputs=["x"], types={"y": "number"})
    old = Plan.from_toml(plan.to_toml().replace("squared_error", "squared"))
    old._memory = plan._memory
    old.columns["y"].type = "category"
    head = settle(old).targets["y"].head
    assert (head["name"], head["loss"]) == ("category", "cross_entropy")


def test_what_a_head_needs_of_its_column_comes_and_goes_with_it():
    frame = pl.DataFrame({"x": [i % 7 for i in range(40)], "v": [[0.5, 0.5], [0.2, 0.8]] * 20})
    plan = make_plan(frame, "v", inputs=["x"])
    assert plan.columns["v"].options == {}
    plan.targets["v"].head = {"name": "vector", "loss": "kl"}
    done = settle(plan)
    assert done.columns["v"].options == {"standardise": False}
    assert "distributions" in done.why["columns.v.options.standardise"].why
    assert settle(again(done)).to_toml() == done.to_toml()
    done.targets["v"].head["loss"] = "huber"
    assert settle(done).columns["v"].options == {}
    plan.columns["v"].options = {"standardise": True}
    with pytest.raises(PlanError, match=r"columns\.v\.options\.standardise = True: loss = 'kl' compares"):
        settle(plan)
    plan.columns["v"].options = {"standardise": False}
    plan = settle(plan)
    plan.targets["v"].head["loss"] = "squared_error"
    assert settle(plan).columns["v"].options == {"standardise": False}  # as asked
