"""What a user can do wrong, and that each message names the column, row, value and remedy that there are.

What single parts refuse is tested beside them; here is the whole way, from `fit` and `predict`, and from the shell.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

import ranvier as rv
from ranvier.cli.main import main
from ranvier.core.errors import RanvierError

N = 40
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=N)
TABLE = pl.DataFrame(
    {
        "x": X,
        "z": RANDOM.normal(size=N),
        "c": ["u", "v"] * 20,
        "y": np.where(X + RANDOM.normal(size=N) > 0, "a", "b"),
        "n": X * 2 + RANDOM.normal(size=N),
        "w": RANDOM.random(N) + 0.1,
        "g": [f"g{i % 5}" for i in range(N)],
        "when": [f"2024-01-{1 + i % 28:02}" for i in range(N)],
        "said": [f"some words {i} here" for i in range(N)],
    }
)
QUICK: dict[str, Any] = {"threads": 1, "progress": False, "epochs": 1, "size": "s"}


def png(shape: tuple[int, ...] = (8, 8, 3)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 2 if len(shape) == 2 else 255, shape).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def fit(data: Any = TABLE, target: Any = "y", **how: Any) -> rv.Model:
    return rv.fit(data, target, **{"inputs": ["x", "z", "c"], **QUICK, **how})


def planned(place: str, value: Any, **how: Any) -> rv.Model:
    """A plan in which one part was changed, run."""
    plan = rv.plan(TABLE, "y", **{"inputs": ["x", "said"], "threads": 1, "epochs": 1, **how})
    kind, name, what = place.split(".")
    setattr(getattr(plan, kind)[name], what, value)
    return rv.fit(plan, progress=False)


def one(name: str, row: int, value: Any) -> pl.DataFrame:
    """The table with another value in one row."""
    values = TABLE[name].to_list()
    values[row] = value
    return TABLE.with_columns(pl.Series(name, values, strict=False))


def only(name: str, value: Any) -> pl.DataFrame:
    return TABLE.with_columns(pl.lit(value).alias(name))


def pictures(other: bytes | None = None, **more: Any) -> pl.DataFrame:
    """A table of pictures; other: in the place of the third."""
    each = [png() for _ in range(N)]
    return pl.DataFrame({"p": [*each[:2], other, *each[3:]] if other is not None else each, "y": TABLE["y"], **more})


def answers(text: str) -> pl.DataFrame:
    return pl.DataFrame({"p": ["the cat"] * N, "q": ["who"] * N, "a": [text] * N})


def _written(name: str) -> str:
    Path(name).write_text("")
    return name


def _table(name: str) -> str:
    TABLE.write_csv(name)
    return name


TEXTS = {"p": "text", "q": "text", "a": "span"}

# what is done -> what the message must contain
REFUSED: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # targets
    "target unknown": (lambda: fit(target="yy"), ("target: no column 'yy'", "did you mean 'y'?")),
    "target in capitals": (lambda: fit(target="Y"), ("target: no column 'Y'", "did you mean 'y'?")),
    "target all missing": (
        lambda: fit(only("y", None)),
        ("target 'y' has no value in any of 40 rows", "another target"),
    ),
    "target of one class": (
        lambda: fit(only("y", "a")),
        ("target 'y' has only one class, 'a'", "give rows of another"),
    ),
    "target of one number": (
        lambda: fit(only("n", 1.5), "n"),
        ("target 'n' is 1.5 in every one of 40 rows", "give rows"),
    ),
    "target of objects": (
        lambda: fit({"x": [1, 2], "y": [object(), object()]}, inputs=["x"]),
        ("column 'y' holds Python objects (object)", "give numbers, text"),
    ),
    "target twice": (lambda: fit(target=["y", "y"]), ("target: column 'y' is named twice",)),
    "fewer rows than classes": (
        lambda: fit(TABLE[:5].with_columns(y=pl.Series([*"abcde"]))),
        ("validation rows has a value of target 'y'", "not seen in training", "split='none'"),
    ),
    "one row": (lambda: fit(TABLE[:1]), ("target 'y' has only one class", "give rows")),
    "no rows": (lambda: fit(TABLE[:0]), ("no rows", "at least one row is needed")),
    # inputs
    "inputs lack": (lambda: fit(inputs=["xx"]), ("input: no column 'xx'", "did you mean 'x'?")),
    "no inputs": (lambda: fit(inputs=[]), ("no inputs: name at least one column to predict 'y' from",)),
    "targets only": (
        lambda: fit(TABLE.select("x", "y"), target=["x", "y"], inputs=None),
        ("no inputs: name at least one column", "there are the columns 'x' (target), 'y' (target)"),
    ),
    "a type of another name": (
        lambda: fit(types={"x": "float"}),
        ("column 'x' cannot be of type 'float'; here it is 'number'", "(types: boxes, category, date,"),
    ),
    "ids only": (
        lambda: fit(TABLE.select("y", id=pl.Series(range(N))), inputs=None),
        ("no column is left as input", "'id': counts the rows", "name inputs"),
    ),
    "all columns constant": (
        lambda: fit(TABLE.select("y", a=pl.lit(1), b=pl.lit("k")), inputs=None),
        ("no column is left as input", "'a': every value is '1'", "'b': every value is 'k'", "name inputs"),
    ),
    "names twice": (
        lambda: fit(pd.DataFrame([[1, 2, "a"]], columns=["x", "x", "y"])),
        ("more than one column named 'x'", "rename all but one"),
    ),
    "type that does not fit": (
        lambda: fit(types={"c": "number"}),
        ("column 'c': expected numbers", "the first value is 'u'", "give the column another type"),
    ),
    "date that is none": (
        lambda: fit(types={"c": "date"}),
        ("column 'c': no value can be read as a date", "['u', 'v', 'v']", "set `format`"),
    ),
    "vector that is none": (
        lambda: fit(types={"x": "vector"}),
        ("column 'x', row 0: expected a list of numbers", "give lists"),
    ),
    # rows given apart
    "val of other columns": (
        lambda: fit(val=TABLE.drop("x")),
        ("the validation rows lack column 'x'",),
    ),
    "val of other classes": (
        lambda: fit(val=only("y", "q")),
        ("none of the 40 validation rows has a value of target 'y'", "'q' (row 0)", "others as val="),
    ),
    "val is not there": (lambda: fit(val="nowhere.csv"), ("no such file or folder", "nowhere.csv")),
    # roles
    "weight below 0": (
        lambda: fit(one("w", 3, -0.5), roles={"w": "weight"}),
        ("weight column 'w', row 3: -0.5", "a finite number of at least 0"),
    ),
    "weight missing": (lambda: fit(one("w", 3, None), roles={"w": "weight"}), ("weight column 'w', row 3: None",)),
    "weight of text": (
        lambda: fit(only("w", "much"), roles={"w": "weight"}),
        ("weight column 'w'", "'much' in row 0", "write numbers"),
    ),
    "group unknown": (lambda: fit(roles={"gg": "group"}), ("role: no column 'gg'", "did you mean 'g'?")),
    "one group": (lambda: fit(only("g", "a"), roles={"g": "group"}), ("all rows are of one group", "split='random'")),
    "split by no group": (lambda: fit(split="group"), ('split = "group" needs a column with the role group',)),
    "order of words": (
        lambda: fit(one("when", 3, "soon"), roles={"when": "order"}),
        ("column 'when'", "'soon' in row 3", "like 2024-01-31", "leave out its role"),
    ),
    "order of one value": (
        lambda: fit(only("when", "2024-01-01"), roles={"when": "order"}),
        ("column 'when' has fewer than two distinct values", "split='random'"),
    ),
    # settings
    **{
        f"{name} = {value!r}": (lambda name=name, value=value: fit(**{name: value}), (f"{name} = {value!r}", told))
        for name, value, told in [
            ("epochs", "many", "valid number"),
            ("epochs", 0, "greater than 0"),
            ("epochs", -2, "greater than 0"),
            ("epochs", float("nan"), "finite number"),
            ("batch", 0, "greater than or equal to 1"),
            ("batch", 2.5, "valid integer"),
            ("rate", -1, "greater than 0"),
            ("time", "5x", "such as '5m'"),
            ("time", -1, "expected a number of seconds"),
            ("seed", 1.5, "valid integer"),
            ("precision", "fp8", "'fp32' or 'bf16'"),
            ("fraction", 1.5, "less than 1"),
            ("refit", "yes", "valid boolean"),
            ("split", "randm", "'random', 'stratified'"),
            ("keep", "bst", "'best', 'last'"),
        ]
    },
    "folds beyond the rows": (lambda: fit(folds=100), ("40 rows cannot make 100 folds",)),
    "device unknown": (lambda: fit(device="tpu"), ("device 'tpu' is not known", "use 'auto', 'cpu'")),
    "device that is not there": (lambda: fit(device="cuda:99"), ("device 'cuda:99'", "CUDA devices", "try 'cpu'")),
    "a name of Keras": (lambda: fit(learning_rate=0.1), ("unknown setting 'learning_rate'", "here it is 'rate'")),
    "a name of scikit-learn": (lambda: fit(random_state=1), ("unknown setting 'random_state'", "here it is 'seed'")),
    "another of Keras": (lambda: fit(verbose=0), ("unknown setting 'verbose'", "here it is 'progress'")),
    "a name of AutoGluon": (lambda: fit(time_limit=60), ("unknown setting 'time_limit'", "here it is 'time'")),
    "a name of transformers": (lambda: fit(num_train_epochs=3), ("'num_train_epochs'", "here it is 'epochs'")),
    "another of transformers": (lambda: fit(warmup_ratio=0.1), ("schedule={'name': 'linear', 'warmup': 0.1}",)),
    "a model by name": (lambda: fit(model="lstm"), ("plan.inputs[NAME].encoder = 'lstm'", "'init'")),
    "an option of a part": (lambda: fit(dropout=0.5), ("unknown setting 'dropout'", "plan.fuse['dropout']")),
    # parts
    "encoder that does not fit": (
        lambda: planned("inputs.x.encoder", "lstm"),
        ("inputs.x.encoder: encoder 'lstm' cannot serve here", "'scalar'", "'number' can"),
    ),
    "encoder unknown": (
        lambda: planned("inputs.x.encoder", "nmber"),
        ("unknown encoder 'nmber'", "did you mean 'number'?"),
    ),
    "option out of range": (
        lambda: planned("inputs.said.encoder", {"name": "lstm", "layers": -1}),
        ("encoder 'lstm': layers = -1", "at least one layer"),
    ),
    "option of the wrong type": (
        lambda: planned("inputs.said.encoder", {"name": "lstm", "layers": "two"}),
        ("inputs.said.encoder.layers = 'two'", "valid integer"),
    ),
    "head that does not fit": (
        lambda: planned("targets.y.head", "boxes"),
        ("targets.y.head: head 'boxes' cannot serve here", "holds no boxes", "'category' can"),
    ),
    # pictures, tags, answers
    "pictures cut off": (
        lambda: fit(pl.DataFrame({"p": [png()[:30]] * N, "y": TABLE["y"]}), inputs=["p"], types={"p": "image"}),
        ("column 'p': no picture can be read", "set its role to ignore"),
    ),
    "pictures that are not there": (
        lambda: fit(TABLE.with_columns(p=pl.lit("a.png")), inputs=["p"]),
        ("column 'p': no picture can be read", "'a.png': no such file", "relative paths"),
    ),
    "masks that are none": (
        lambda: fit(pictures(m=[b"x"] * N), "m", inputs=["p"], types={"m": "mask"}),
        ("column 'm': no mask can be read", "unknown format"),
    ),
    "tags of another number": (
        lambda: fit(
            pl.DataFrame({"k": [["a", "b", "c"]] * N, "t": [["A", "B"]] * N}),
            "t",
            inputs=["k"],
            types={"k": "words", "t": "tags"},
        ),
        ("target 't'", "another number of tags than 'k' has words", "with 2 for 3"),
    ),
    "answers that do not stand there": (
        lambda: fit(answers("dog"), "a", inputs=["p", "q"], types=TEXTS),
        ("target 'a'", "do not stand in 'p'", "with 'dog'"),
    ),
    "bytes that are no text": (
        lambda: fit(one("said", 0, "x").with_columns(said=pl.lit(b"\xff")), inputs=["said"], types={"said": "text"}),
        ("column 'said', row 0", "is not UTF-8", "decode it"),
    ),
    # data
    "nothing": (lambda: fit(None), ("no data was given",)),
    "a number": (lambda: fit(3), ("cannot read a table from int 3", "expected a path")),
    "columns of other lengths": (lambda: fit({"x": [1, 2], "y": ["a"]}), ("'x' has 2 rows, 'y' has 1",)),
    "init that is not there": (lambda: fit(init="m.rv"), ("cannot read m.rv: No such file",)),
    "a table as init": (lambda: fit(init="rows.csv"), ("init = 'rows.csv'", "a model (.rv)", "this is a table")),
    "init that is neither": (lambda: fit(init=5), ("init = 5", "rv.load('old.rv')")),
    "a plan's file as data": (lambda: fit(_written("plan.toml")), ("unknown kind of file '.toml'", "Plan.from_toml")),
    "a model of no name": (lambda: rv.load(None), ("expected the path of a model file", "got None")),  # type: ignore[arg-type]
    "a zero byte in a folder's name": (
        lambda: fit(folder="a\0b"),
        ("no run can be kept", "zero byte", "another folder"),
    ),
    "a zero byte in a model's name": (lambda: fit().save("a\0b.rv"), ("cannot write", "zero byte")),
    "answers in the place of the rows": (
        lambda: fit().predict(_table("rows.csv"), to=Path("rows.csv").absolute()),
        ("rows.csv holds the rows to predict, and would be lost", "name another file"),
    ),
    "answers in the place of rows that a pattern names": (
        lambda: fit().predict(f"{_table('rows.csv')[:-7]}ow*.csv", to="rows.csv"),
        ("rows.csv holds the rows to predict, and would be lost",),
    ),
    "answers into a number": (lambda: fit().predict(_table("rows.csv"), to=3), ("to = 3", "path of a file")),
    "a name too long for any file": (
        lambda: fit().predict(_table("rows.csv"), to=f"{'a' * 300}.csv"),
        ("cannot write", "name too long"),
    ),
    "rows under a name too long for any file": (lambda: rv.read("a" * 5_000), ("no such file or folder",)),
    "keep that is no name": (
        lambda: fit().predict(TABLE, keep=3),  # type: ignore[arg-type]
        ("keep = 3", "a column's name or a list of names"),
    ),
    "no run to resume": (lambda: fit(folder="never", resume=True), ("there is no run to resume in never",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, told = REFUSED[case]
    with pytest.raises(RanvierError) as error:
        call()
    assert [words for words in told if words not in str(error.value)] == []


def test_a_network_that_fits_no_memory_is_refused_before_it_is_drawn(monkeypatch):
    monkeypatch.setattr("ranvier.model.weights.free_memory", lambda: 2e6)
    plan = rv.plan(TABLE, "y", inputs=["x", "z"], threads=1, epochs=1)
    plan.fuse = {"name": "mlp", "layer_width": 4_000, "depth": 2}
    told = r"weights alone take 64\.0 MB or more, the last of them 4,000 x 4,000 in a layer Linear, and 2\.0 MB are"
    with pytest.raises(rv.RunError, match=f"{told} free: lower the widths"):
        rv.fit(plan, progress=False)


TOLD: dict[str, tuple[Callable[[], rv.Model], str]] = {
    "text in a number target": (
        lambda: fit(
            one("n", 7, None).with_columns(pl.col("n").cast(pl.String).fill_null("big")), "n", types={"n": "number"}
        ),
        "column 'n': 1 value is no number and counts as missing (such as 'big' in row",
    ),
    "a class of one row": (lambda: fit(one("y", 7, "q")), "target 'y': 1 of 3 classes has one row, such as 'q'"),
    "target as input": (lambda: fit(inputs=["x", "y"]), "'y' is input and target at once"),
    "test of other columns": (lambda: fit(test=TABLE.drop("x")), "test lacks 'x'"),
    "a picture of no bytes": (
        lambda: fit(pictures(b""), inputs=["p"], types={"p": "image"}, split="none"),
        "pictures cannot be read, taken as missing (row 2: empty (0 bytes))",
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_told(case):
    call, words = TOLD[case]
    assert any(words in note for note in call().notes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working folder with a table, a model, and files that are none."""
    made = tmp_path_factory.mktemp("shell")
    TABLE.write_csv(made / "rows.csv")
    TABLE.drop("x").write_csv(made / "thin.csv")
    fit().save(made / "model.rv")
    (made / "cut.rv").write_bytes((made / "model.rv").read_bytes()[:500])
    (made / "empty.csv").touch()
    (made / "russian.csv").write_bytes("x,y\n1,красный\n".encode("koi8-r"))
    (made / "broken.toml").write_text('size = "m"\n[data\n')
    (made / "later.toml").write_text("format = 99\n")
    (made / "a.png").write_bytes(png())
    (made / "papers").mkdir()
    (made / "papers" / "a.txt").write_text("no picture")
    return made


SHELL: list[tuple[str, tuple[str, ...]]] = [
    ("fit rows.csv -t Y", ("target: no column 'Y'", "did you mean 'y'?")),
    ("fit row.csv -t y", ("no such file or folder", "did you mean 'rows.csv'?")),
    ("fit empty.csv -t y", ("empty.csv is empty (0 bytes)", "at least one row")),
    ("fit russian.csv -t y", ("byte 0xcb", "line 2", "cp1252", "iconv -f ENCODING")),
    ("fit papers -t y", ("no images in", "CLASS/picture.png", "*.csv")),
    ("fit model.rv -t y", ("unknown kind of file '.rv'", "it is a model", "--init")),
    ("fit a.png -t y", ("no column 'y'", "known: image")),
    ("fit broken.toml", ("no TOML", "line 2")),
    ("fit later.toml", ("format = 99", "make the plan again")),
    ("fit rows.csv -t y -o nowhere/model.rv", ("cannot write nowhere/model.rv", "there is no folder nowhere")),
    ("fit rows.csv -t y -o model.csv", ("cannot write model.csv", "model.rv")),
    ("fit rows.csv -t y --time 5x", ("time = '5x'", "such as '5m'")),
    ("fit rows.csv -t y --test absent.csv", ("no such file or folder", "absent.csv")),
    ("predict rows.csv model.rv", ("rows.csv is no Ranvier model", "name the model first")),
    ("predict cut.rv rows.csv", ("cut.rv is no Ranvier model", "cut off or damaged")),
    ("predict modle.rv rows.csv", ("cannot read modle.rv", "did you mean 'model.rv'?")),
    ("predict model.rv thin.csv", ("column 'x' is not in the data", "add it")),
    ("predict model.rv rows.csv -o out.xyz", ("unknown suffix '.xyz'", ".csv")),
    ("predict model.rv rows.csv --keep idd", ("keep: column 'idd' is not in the data",)),
    ("evaluate model.rv thin.csv", ("column 'x' is not in the data",)),
    ("resume papers", ("papers is no folder of a run", "plan.toml")),
]


@pytest.mark.parametrize(("command", "told"), SHELL, ids=[command for command, _ in SHELL])
def test_the_shell_refuses_in_one_message(command, told, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert [words for words in told if words not in captured.err] == []
    assert sorted(folder.rglob("*")) == before  # told before anything was trained or written
