"""The command line: what verbs print, what they leave behind, and what they say of errors."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ranvier.cli.main import INTERRUPTED, USER_ERROR, main
from ranvier.cli.train import run_folder
from ranvier.cli.use import preview
from ranvier.core.plan import Plan
from ranvier.samples import path

PENGUINS = str(path("penguins"))
VERBS = (
    "columns",
    "plan",
    "lr",
    "fit",
    "resume",
    "evaluate",
    "predict",
    "anomalies",
    "embed",
    "compress",
    "decompress",
    "embeddings",
    "pretrain",
    "sample",
    "show",
    "demo",
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every verb runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run with test rows: its folder and model file."""
    folder = tmp_path_factory.mktemp("trained")
    run, file = folder / "run", folder / "penguins.rv"
    how = ["--test", PENGUINS, "--size", "s", "--epochs", "2", "--threads", "1", "--no-progress"]
    assert main(["fit", PENGUINS, "-t", "species", *how, "--folder", str(run), "-o", str(file)]) == 0
    return {"run": run, "file": file}


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> object:
    """The JSON value that a command prints."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one message of a command that cannot be followed."""
    assert main(arguments) == USER_ERROR
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


# ---- processes of their own


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_looking_needs_no_torch():
    code = f"""
import sys
from ranvier.cli.main import main
assert main(["--help"]) == 0
assert "polars" not in sys.modules
assert main(["columns", {PENGUINS!r}, "--target", "species"]) == 0
assert "torch" not in sys.modules
"""
    assert "bill_length_mm" in run_python(code)


def test_exit_codes():
    command = [sys.executable, "-m", "ranvier"]
    bare = subprocess.run(command, capture_output=True, text=True)
    assert bare.returncode == 0
    assert bare.stdout.index("ranvier demo") < bare.stdout.index("ranvier columns") < bare.stdout.index("ranvier fit")
    wrong = subprocess.run([*command, "columns", "nothing.csv"], capture_output=True, text=True)
    assert wrong.returncode == USER_ERROR
    assert wrong.stdout == ""
    assert "nothing.csv" in wrong.stderr
    assert "Traceback" not in wrong.stderr


# ---- help


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]):
    assert main([verb, "--help"]) == 0
    assert f"Example:  ranvier {verb} " in capsys.readouterr().out


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    words = capsys.readouterr().out.split()
    assert set(VERBS) <= set(words)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "ranvier 0.1.0\n"


# ---- looking


def test_columns(capsys: pytest.CaptureFixture[str]):
    found = told(["columns", PENGUINS, "-t", "species", "--types", "year=category", "--roles", "sex=ignore"], capsys)
    assert found["rows"] == 344
    by_name = {c["column"]: c for c in found["columns"]}
    assert by_name["species"]["role"] == "target"
    assert by_name["sex"]["role"] == "ignore"
    assert (by_name["year"]["type"], by_name["year"]["reason"]) == ("category", "as asked")
    assert by_name["bill_length_mm"]["type"] == "number"
    assert by_name["bill_length_mm"]["missing"] == 2
    assert by_name["island"]["examples"] == ["Torgersen", "Biscoe", "Dream"]
    assert main(["columns", PENGUINS]) == 0
    assert "344 rows" in capsys.readouterr().out


def test_columns_and_plan_take_a_question_for_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [{"context": f"it is {c}", "question": "where?", "y": {"start": 6, "text": c}} for c in ("Lima", "Rome")]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows * 20)))
    shown = {c["column"]: c["type"] for c in told(["columns", str(path), "-t", "y"], capsys)["columns"]}
    assert shown == {"context": "text", "question": "text", "y": "span"}
    assert main(["plan", str(path), "-t", "y"]) == 0
    plan = Plan.from_toml(capsys.readouterr().out)
    assert {name: column.type for name, column in plan.columns.items()} == shown


def test_columns_that_are_drawn_together(capsys: pytest.CaptureFixture[str]):
    assert main(["columns", str(PENGUINS), "-t", "*", "-i", "species", "--roles", "year=ignore", "--json"]) == 0
    found = {c["column"]: c["role"] for c in json.loads(capsys.readouterr().out)["columns"]}
    assert found.pop("species") == "input"
    assert found.pop("year") == "ignore"
    assert {*found.values()} == {"target"}


def test_columns_for_targets_alone_are_named_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = [{"x": n % 7, "things": [{"x": 1, "y": 2, "w": 3, "h": n + 1, "label": "a"}]} for n in range(40)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    things = told(["columns", str(path)], capsys)["columns"][1]
    assert (things["type"], things["role"]) == ("boxes", "ignore")
    assert "lists of boxes (x, y, w, h)" in things["reason"]
    assert "name it as target" in things["reason"]
    assert main(["columns", str(path), "--types", "x=flaot"]) == USER_ERROR
    assert "did you mean 'number'? (types: boxes," not in (err := capsys.readouterr().err)
    assert "'x' cannot be of type 'flaot'" in err
    assert "boxes, category, date" in err


def test_plan_is_toml(capsys: pytest.CaptureFixture[str]):
    arguments = ["plan", PENGUINS, "-t", "species,sex", "-i", "bill_length_mm,island", "--time", "1m", "--rate", "0.01"]
    assert main([*arguments, "--set", "columns.island.role=ignore", "--set", "train.clip=0.5"]) == 0
    plan = Plan.from_toml(capsys.readouterr().out)
    assert list(plan.targets) == ["species", "sex"]
    assert list(plan.inputs) == ["bill_length_mm"]
    assert (plan.train.time, plan.train.rate, plan.train.clip) == (60.0, 0.01, 0.5)
    assert plan.why["train.batch"].value == plan.train.batch
    assert "auto" not in (plan.fuse["name"], plan.train.epochs)


def test_plan_warns_on_standard_error(empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    frame = pl.DataFrame({"x": [float(i % 7) for i in range(60)], "copy": ["a", "b", "c"] * 20})
    frame.with_columns(y=pl.col("copy")).write_csv("leak.csv")
    assert main(["plan", "leak.csv", "-t", "y"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: 'copy' holds the same values as 'y'\n"
    assert Plan.from_toml(out).warnings == ["'copy' holds the same values as 'y'"]


# ---- training


def test_fit_leaves_a_run(trained: dict[str, Path]):
    assert {p.name for p in trained["run"].iterdir()} >= {"plan.toml", "log.jsonl", "model.rv"}
    assert trained["file"].read_bytes() == (trained["run"] / "model.rv").read_bytes()
    records = [json.loads(line) for line in (trained["run"] / "log.jsonl").read_text().splitlines()]
    assert records[-1]["step"] > 0


def test_run_folders(empty_folder: Path):
    for name, start in (("reviews.csv.gz", "reviews"), ("*.csv", "run"), ("my data.csv", "mydata")):
        folder = run_folder(name)
        assert folder.parent == Path("runs")
        assert folder.name.startswith(f"{start}-2")
    folder.mkdir(parents=True)
    assert run_folder("my data.csv") != folder


def test_fit_by_a_plan_and_its_json(empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["plan", PENGUINS, "-t", "body_mass_g", "--size", "s", "--threads", "1"]) == 0
    (empty_folder / "mass.toml").write_text(capsys.readouterr().out)
    found = told(["fit", "mass.toml", "--epochs", "1", "--set", "fuse=mlp", "--no-progress"], capsys)
    assert found["folder"].startswith("runs/mass-")
    assert found["test"] is None
    assert found["validation"]["label"] == "validation (used for selection)"
    assert found["validation"]["targets"]["body_mass_g"]["metrics"]["mae"] > 0
    plan = Plan.from_toml((empty_folder / found["folder"] / "plan.toml").read_text())
    assert (plan.fuse["name"], plan.train.epochs) == ("mlp", 1.0)


def test_resume_of_a_finished_run(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    before = told(["show", str(trained["file"])], capsys)["report"]
    again = told(["resume", str(trained["run"]), "--no-progress"], capsys)
    assert again["validation"]["targets"] == before["targets"]


@pytest.mark.parametrize(
    ("target", "given", "drawn"),
    [
        ("*", "species,year", ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]),
        ("sex,body_mass_g", "", ["sex", "body_mass_g"]),
    ],
)
def test_columns_are_drawn_for_others_or_for_nothing(target, given, drawn, capsys: pytest.CaptureFixture[str]):
    plan = told(["plan", PENGUINS, "-t", target, "-i", given], capsys)
    assert plan["data"]["together"] == drawn
    assert list(plan["inputs"]) == given.split(",") * bool(given)


def test_interrupted_training_keeps_its_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Ctrl-C at the first log record; then the run is resumed, and ends as if nothing had been."""

    def press(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return False

    how = ["--size", "s", "--epochs", "2", "--threads", "1", "--no-progress", "--json"]
    with monkeypatch.context() as patch:
        patch.setattr("ranvier.train.callbacks.LogFile.on_log", press)
        assert main(["fit", PENGUINS, "-t", "species", "--folder", "run", "-o", "my m.rv", *how]) == INTERRUPTED
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["interrupted"]
    assert found["model"] == "my m.rv"
    before = Path("my m.rv").read_bytes()
    assert main(["fit", PENGUINS, "-t", "species", "--folder", "run"]) == USER_ERROR
    shown = capsys.readouterr()
    assert shown.out == ""  # no table of choices comes before it
    assert "ranvier resume run)" in shown.err
    assert err.endswith("to go on: ranvier resume run -o 'my m.rv'\n")
    resumed = told([*shlex.split(err)[-4:], "--no-progress"], capsys)
    assert not resumed["interrupted"]
    assert Path("my m.rv").read_bytes() != before
    assert main(["fit", PENGUINS, "-t", "species", "--folder", "whole", *how]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert resumed["validation"] == whole["validation"]
    one, other = (zipfile.ZipFile(f"{name}/model.rv").read("weights.safetensors") for name in ("run", "whole"))
    assert one == other


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ranvier.data.read.read_parts", stop)
    assert main(["columns", PENGUINS]) == INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_demo(capsys: pytest.CaptureFixture[str]):
    assert main(["demo", "table", "--time", "2s", "--folder", "here", "--no-progress"]) == 0
    out = capsys.readouterr().out
    for part in ("main choices", "figures: test", "What to type next", "ranvier show here/model.rv"):
        assert part in out
    assert pl.read_csv("here/penguins_train.csv").height + pl.read_csv("here/penguins_test.csv").height == 344


# ---- using


def test_evaluate(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    found = told(["evaluate", str(trained["file"]), PENGUINS], capsys)
    assert found["label"] == "test"
    assert found["targets"]["species"]["rows"] == 344
    assert main(["evaluate", str(trained["file"]), PENGUINS]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_predict(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    model = str(trained["file"])
    capsys.readouterr()
    assert main(["predict", model, PENGUINS]) == 0
    piped = pl.read_csv(capsys.readouterr().out.encode())
    assert piped.columns[:2] == ["species", "species_confidence"]
    assert main(["predict", model, PENGUINS, "-o", "out.csv"]) == 0
    assert pl.read_csv("out.csv").equals(piped)
    records = told(["predict", model, PENGUINS], capsys)
    assert records["rows"] == 344
    assert [r["species"] for r in records["predictions"]] == piped["species"].to_list()


def test_what_is_strange_in_rows_is_told_on_standard_error(
    trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    pl.read_csv(PENGUINS, infer_schema=False).with_columns(island=pl.lit("Atlantis")).write_csv("strange.csv")
    model = str(trained["file"])
    for verb, more in (("predict", []), ("predict", ["-o", "out.csv"]), ("embed", ["-o", "x.npy"])):
        capsys.readouterr()
        assert main([verb, model, "strange.csv", *more]) == 0
        out, err = capsys.readouterr()
        assert "note: island: 344 values not seen in training: 'Atlantis' (row 0)" in err.splitlines()
        assert "Atlantis" not in out
    assert main(["evaluate", model, "strange.csv"]) == 0
    assert "note: island: 344 values not seen" in capsys.readouterr().out
    assert "Atlantis" in told(["evaluate", model, "strange.csv"], capsys)["notes"][-1]


def test_preview_on_a_terminal(capsys: pytest.CaptureFixture[str]):
    preview(pl.DataFrame({"y": ["[a]"] * 30, "y_confidence": [0.5] * 30, "y_p_[a]": [0.5] * 30}), ["y"])
    out = capsys.readouterr().out
    assert out.count("[a]") == 20
    assert "30 rows, 3 columns" in out


def test_embed(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    found = told(["embed", str(trained["file"]), PENGUINS, "-o", "x.npy"], capsys)
    vectors = np.load("x.npy")
    assert list(vectors.shape) == found["shape"]
    assert vectors.shape[0] == 344
    assert np.isfinite(vectors).all()


def test_show(trained: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    found = told(["show", str(trained["file"])], capsys)
    assert found["parameters"] > 0
    assert found["report"]["on"] == "validation"
    assert found["test_report"] == told(["evaluate", str(trained["file"]), PENGUINS], capsys)
    assert main(["show", str(trained["file"]), "--plan"]) == 0
    assert Plan.from_toml(capsys.readouterr().out).model_dump() == found["plan"]
    assert main(["show", str(trained["file"])]) == 0
    shown = capsys.readouterr().out
    assert "train.rate" in shown
    assert "data.source" in shown
    assert "data.val" not in shown  # for there is none


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plann"], "plan"),
        (["plan"], "DATA"),
        (["fit", PENGUINS, "--epochs", "few"], "--epochs"),
        (["fit", PENGUINS, "--epoch", "1"], "--epochs"),
        (["fit", PENGUINS, "--learning-rate", "0.1"], "No such option: --learning-rate; here it is --rate"),
        (["fit", PENGUINS, "--batch_size=8"], "here it is --batch "),
        (["plan", PENGUINS, "--weight-decay", "0.1"], "here it is --set train.decay=VALUE"),
        (["pretrain", PENGUINS, "--num-epochs", "1"], "here it is --epochs"),
        (["fit", PENGUINS, "--class-weight", "balanced"], "here it is --balance"),
        (["fit", PENGUINS, "--dropout", "0.1"], "here it is --set fuse.dropout=VALUE"),
        (["fit", PENGUINS, "--num_train_epochs", "1"], "here it is --epochs"),
        (["fit", PENGUINS, "--max_steps", "100"], "here it is --epochs"),
        (["fit", PENGUINS, "--per_device_train_batch_size", "8"], "here it is --batch "),
        (["fit", PENGUINS, "--warmup_ratio", "0.1"], "here it is --set train.schedule.warmup=VALUE"),
        (["fit", PENGUINS, "--lr_scheduler_type", "cosine"], "here it is --set train.schedule=VALUE"),
        (["fit", PENGUINS, "--output_dir", "runs/a"], "here it is --folder"),
        (["fit", PENGUINS, "--model", "lstm"], "here it is --set inputs.NAME.encoder=VALUE"),
        (["fit", PENGUINS, "--data", PENGUINS], "here it is DATA, which stands there without a name"),
        (["fit", PENGUINS, "--train_file", PENGUINS], "here it is DATA, which stands there without a name"),
        (["predict", "--model", "none.rv", PENGUINS], "here it is MODEL, which stands there without a name"),
        (["fit", PENGUINS, "--format", "3"], "No such option: --format (Possible"),
        (["generate", "none.rv", "--num-return-sequences", "2"], "here it is --count"),
        (["fit", PENGUINS, "--features", "sex"], "here it is --input"),
        (["generate", "none.rv", "--do-sample"], "here it is --temperature"),
        (["plan", PENGUINS, "-t", "sex", "--set", "train.lr=0.1"], "there is no 'lr' in train; here it is 'rate'"),
        (["plan", PENGUINS, "-t", "sex", "--set", "fuse=resnet"], "unknown fuse 'resnet'; here it is 'mlp'"),
        (["train", PENGUINS], "No such command 'train'; here it is 'fit'"),
        (["predcit", "none.rv"], "No such command 'predcit'; did you mean 'predict'?"),
        (["generate", "none.rv", "--max-new-tokens", "9"], "here it is --longest"),
        (["evaluate", "none.rv", PENGUINS, "--batch-size", "9"], "No such option"),
        (["columns", PENGUINS, "-t", "specie"], "did you mean 'species'?"),
        (["columns", PENGUINS, "--types", "year=categry"], "did you mean 'category'?"),
        (["columns", PENGUINS, "--types", "year"], "COLUMN=VALUE"),
        (["columns", PENGUINS, "--roles", "year=weigth"], "did you mean 'weight'?"),
        (["plan", PENGUINS], "no target"),
        (["plan", PENGUINS, "-t", "species", "--size", "xl"], "'s', 'm' or 'l'"),
        (["plan", PENGUINS, "-t", "species", "--time", "soon"], "'5m'"),
        (["plan", PENGUINS, "-t", "species", "--set", "train.rat=1"], "did you mean 'rate'?"),
        (["plan", PENGUINS, "-t", "species", "--set", "train.clip=high"], "--set train.clip: "),
        (["plan", PENGUINS, "-t", "species", "--set", "train"], "PLACE=VALUE"),
        (["plan", PENGUINS, "-t", "species", "--set", "train.rate.deep=1"], "is a plain value"),
        (["plan", PENGUINS, "-t", "species", "--set", "inputs.sex=lstm"], "this is a section"),
        (["plan", PENGUINS, "-t", "species", "--set", "inputs.sx.encoder=lstm"], "did you mean 'sex'?"),
        (["plan", PENGUINS, "-t", "species", "--set", "inputs.sex.encoder.widt=8"], "unknown option 'widt'"),
        (["plan", PENGUINS, "-t", "species", "--set", "inputs.sex.encoder=lsmt"], "did you mean 'lstm'?"),
        (["plan", PENGUINS, "-t", "species", "--set", "data.source=x.csv"], "name others in its place"),
        (["fit", "none.toml"], "there is no file none.toml"),
        (["fit", PENGUINS, "-t", "species", "-o", "no/model.rv"], "there is no folder no"),
        (["resume", "nowhere"], "no plan.toml"),
        (["evaluate", "none.rv", PENGUINS], "none.rv"),
        (["predict", PENGUINS, PENGUINS], "no Ranvier model"),
        (["embed", "none.rv", PENGUINS, "-o", "x.csv"], ".npy"),
        (["demo", "tables"], "did you mean 'table'?"),
    ],
)
def test_user_errors(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert says in refused(arguments, capsys)


def test_errors_of_use(trained: dict[str, Path], empty_folder: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    pl.DataFrame({"island": ["Dream"]}).write_csv("thin.csv")
    model = str(trained["file"])
    assert "bill_length_mm" in refused(["predict", model, "thin.csv"], capsys)
    assert "unknown suffix '.xls'" in refused(["predict", model, PENGUINS, "-o", "out.xls"], capsys)
    assert "a folder is for pictures or masks" in refused(["predict", model, PENGUINS, "-o", str(empty_folder)], capsys)
    (empty_folder / "plan.toml").write_text("size = ")
    assert "no TOML" in refused(["fit", "plan.toml"], capsys)
    (empty_folder / "plan.toml").write_text("siz = 's'")
    assert "did you mean 'size'" in refused(["fit", "plan.toml"], capsys)
    assert "change them there" in refused(["fit", "plan.toml", "-t", "y"], capsys)


def test_what_is_read_is_never_written_over(
    trained: dict[str, Path], empty_folder: Path, capsys: pytest.CaptureFixture[str]
):
    rows = Path("rows.csv")
    rows.write_bytes(Path(PENGUINS).read_bytes())
    for arguments in (
        ["fit", "rows.csv", "-t", "species", "-o", "rows.csv"],
        ["predict", str(trained["file"]), "rows.csv", "-o", "rows.csv"],
    ):
        assert "would be lost" in refused(arguments, capsys)
    assert rows.read_bytes() == Path(PENGUINS).read_bytes()


def test_an_error_is_json_too(capsys: pytest.CaptureFixture[str]):
    assert main(["columns", "nowhere.csv", "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"] in captured.err


def test_options_may_come_before_the_part_they_belong_to(capsys):
    assert main(["plan", PENGUINS, "-t", "species", "--set", "fuse.activation=silu", "--set", "fuse=mlp"]) == 0
    fuse = Plan.from_toml(capsys.readouterr().out).fuse
    assert (fuse["name"], fuse["activation"]) == ("mlp", "silu")


@pytest.mark.parametrize("mix", ['{"name": "mixup", "alpha": 0.3}', '{name = "mixup", alpha = 0.3}'])
def test_a_part_with_options_as_json_and_as_toml(mix, capsys):
    assert main(["plan", PENGUINS, "-t", "species", "--set", f"train.mix={mix}"]) == 0
    assert Plan.from_toml(capsys.readouterr().out).train.mix["alpha"] == 0.3
