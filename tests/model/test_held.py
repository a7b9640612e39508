"""Data at prediction that are not as those of training: the same answer, or told, or refused; never silently other."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranvier as rv
from ranvier.core.errors import DataError, RanvierWarning

ROWS, HELD = 60, 12
c = pl.col


def rows(count: int = ROWS) -> pl.DataFrame:
    """A table of every type of column that stands in one, and two targets."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, count)
    day = [date(2024, 1, 1) + timedelta(days=int(k * 100 + random.integers(60))) for k in y]
    return pl.DataFrame(
        {
            "size": (y * 2 + random.normal(size=count)).round(3),
            "count": y * 30 + random.integers(0, 50, count),
            "colour": [["red", "blue"][k if random.random() < 0.8 else 1 - k] for k in y],
            "code": [3 + int(k) if random.random() < 0.8 else 5 for k in y],
            "on": random.random(count) < 0.2 + 0.6 * y,
            "when": day,
            "day": [str(one) for one in day],
            "stamp": [datetime(2024, 1, 1) + timedelta(hours=int(k * 1000 + random.integers(600))) for k in y],
            "zip": [["00501", "90210"][k if random.random() < 0.8 else 1 - k] for k in y],
            "tags": [["a", *(t for t in "bc" if random.random() < 0.5)] + ["hot"] * int(k) for k in y],
            "vector": (random.normal(size=(count, 3)) + y[:, None]).tolist(),
            "kind": [["no", "yes"][k] for k in y],
            "amount": y * 10 + random.normal(size=count),
        }
    )


HERE = rows()[:HELD]
INPUTS = HERE.columns[:-2]


@pytest.fixture(scope="module")
def model() -> rv.Model:
    how: dict[str, Any] = {"types": {"code": "category"}, "epochs": 2, "size": "s", "threads": 1, "progress": False}
    return rv.fit(rows(), ["kind", "amount"], inputs=INPUTS, **how)


@pytest.fixture(scope="module")
def answers(model) -> pl.DataFrame:
    return model.predict(HERE)


def assert_same(made: Any, answers: pl.DataFrame) -> None:
    found = pl.from_pandas(made) if isinstance(made, pd.DataFrame) else made
    assert found.columns == answers.columns
    np.testing.assert_allclose(found["kind_p_no"], answers["kind_p_no"], atol=1e-5)
    np.testing.assert_allclose(found["amount"], answers["amount"], atol=1e-4)


def text(name: str) -> pl.Expr:
    return c(name).cast(pl.String)


def written(name: str) -> pl.Series:
    return pl.Series(name, [json.dumps(value) for value in HERE[name].to_list()])


def flat() -> pl.DataFrame:
    """As a file of plain text can hold it."""
    return HERE.with_columns(c("tags").list.join("|"), written("vector"))


# what the rows are given as, and of what the answer is the same, silently
SAME: dict[str, Callable[[], Any]] = {
    "reordered": lambda: HERE.select(HERE.columns[::-1]),
    "extra": lambda: HERE.with_columns(another=pl.lit(1)),
    "no targets": lambda: HERE.select(INPUTS),
    "lazy": HERE.lazy,
    "pyarrow": HERE.to_arrow,
    "list of dicts": HERE.to_dicts,
    "dict of lists": lambda: HERE.to_dict(as_series=False),
    "dict of arrays": lambda: {name: HERE[name].to_numpy() for name in INPUTS},
    "pandas": HERE.to_pandas,
    "pandas categories": lambda: HERE.to_pandas().astype(dict.fromkeys(["colour", "code", "on"], "category")),
    "pandas nullable": lambda: HERE.to_pandas().astype({"count": "Int64", "on": "boolean", "colour": "string"}),
    "pandas objects": lambda: HERE.to_pandas().astype({"count": object, "on": object}),
    "pandas Decimal": lambda: HERE.to_pandas().assign(size=[Decimal(str(x)) for x in HERE["size"]]),
    "pandas Timestamps": lambda: HERE.to_pandas().assign(when=pd.to_datetime(pd.Series(HERE["when"].to_list()))),
    "numbers as text": lambda: HERE.with_columns(text("size"), text("count")),
    "numbers with spaces": lambda: HERE.with_columns(size=pl.format(" {} ", c("size"))),
    "float32": lambda: HERE.with_columns(c("size").cast(pl.Float32)),
    "decimal": lambda: HERE.with_columns(c("size").cast(pl.Decimal(20, 6))),
    "whole as float": lambda: HERE.with_columns(c("count").cast(pl.Float64)),
    "whole as text of a float": lambda: HERE.with_columns(c("count").cast(pl.Float64).cast(pl.String)),
    "code as text": lambda: HERE.with_columns(text("code")),
    "code as float": lambda: HERE.with_columns(c("code").cast(pl.Float64)),
    "code as text of a float": lambda: HERE.with_columns(c("code").cast(pl.Float64).cast(pl.String)),
    "code as category": lambda: HERE.with_columns(text("code").cast(pl.Categorical)),
    "colour as category": lambda: HERE.with_columns(c("colour").cast(pl.Categorical)),
    "colour as enum": lambda: HERE.with_columns(c("colour").cast(pl.Enum(["red", "blue"]))),
    "boolean as 0 and 1": lambda: HERE.with_columns(c("on").cast(pl.Int8)),
    "boolean as 0.0 and 1.0": lambda: HERE.with_columns(c("on").cast(pl.Float64)),
    "boolean as '1.0'": lambda: HERE.with_columns(c("on").cast(pl.Float64).cast(pl.String)),
    "boolean as True": lambda: HERE.with_columns(text("on").str.to_titlecase()),
    "boolean as yes": lambda: HERE.with_columns(on=pl.when("on").then(pl.lit("Yes")).otherwise(pl.lit("no"))),
    "boolean as Y": lambda: HERE.with_columns(on=pl.when("on").then(pl.lit("Y")).otherwise(pl.lit("N"))),
    "date as datetime": lambda: HERE.with_columns(c("when").cast(pl.Datetime)),
    "date with zone": lambda: HERE.with_columns(c("when").cast(pl.Datetime("ns", "UTC"))),
    "text of a date as date": lambda: HERE.with_columns(c("day").str.to_date()),
    "text of a date as datetime": lambda: HERE.with_columns(c("day").str.to_date().cast(pl.Datetime)),
    "set of categories": lambda: HERE.with_columns(c("tags").cast(pl.List(pl.Categorical))),
    "set with repeats": lambda: HERE.with_columns(pl.concat_list("tags", "tags").alias("tags")),
    "vector as array": lambda: HERE.with_columns(c("vector").cast(pl.Array(pl.Float64, 3))),
    "vector of float32": lambda: HERE.with_columns(c("vector").cast(pl.List(pl.Float32))),
    "vector as JSON": lambda: HERE.with_columns(written("vector")),
    "vector as numpy prints it": lambda: HERE.with_columns(
        vector=pl.Series([str(np.array(v)) for v in HERE["vector"].to_list()])
    ),
}

# as SAME, with a note that has these words
TOLD: dict[str, tuple[Callable[[], Any], str]] = {
    "colour with spaces": (
        lambda: HERE.with_columns(colour=pl.format(" {} ", c("colour"))),
        "have spaces around them, which do not count",
    ),
    "decimal comma": (
        lambda: HERE.with_columns(text("size").str.replace(".", ",", literal=True)),
        r"'size': 12 values with a comma, such as '-?\d,\d+', are read with it as the decimal sign",
    ),
    "date as text": (lambda: HERE.with_columns(text("when")), "when: times are read as %Y-%m-%d"),
    "date, day first": (
        lambda: HERE.with_columns(c("when").dt.strftime("%d.%m.%Y")),
        "when: times are read as %d.%m.%Y",
    ),
    "other format": (
        lambda: HERE.with_columns(c("day").str.to_date().dt.strftime("%d.%m.%Y")),
        r"day: times that are not written as in training \(%Y-%m-%d\) are read as %d.%m.%Y",
    ),
    "with a clock": (
        lambda: HERE.with_columns(day=pl.format("{} 00:00:00", c("day"))),
        r"day: times that are not written as in training .* are read as %Y-%m-%d %H:%M",
    ),
    "stamp as text": (lambda: HERE.with_columns(text("stamp")), "stamp: times are read as"),
    "stamp as seconds": (lambda: HERE.with_columns(c("stamp").dt.epoch("s")), "stamp: times are read as unix"),
    "code that lost its zeros": (
        lambda: HERE.with_columns(c("zip").cast(pl.Int64)),
        "zip: .* numbers are taken for codes that have lost their leading zeros .as 501 for '00501'.",
    ),
    "set as text": (lambda: HERE.with_columns(c("tags").list.join("|")), r"tags: strings are split at '\|'"),
    "set with commas": (lambda: HERE.with_columns(c("tags").list.join(", ")), "tags: strings are split at ','"),
    "set as JSON": (lambda: HERE.with_columns(written("tags")), "tags: strings are split at"),
}

# another answer, of which this is told
OTHER: dict[str, tuple[Callable[[], Any], str]] = {
    "no number": (lambda: HERE.with_columns(size=pl.lit("big")), "12 values are no numbers .* 'big' in row 0"),
    "unseen category": (lambda: HERE.with_columns(colour=pl.lit("mauve")), "12 values not seen .* 'mauve' .row 0."),
    "other capitals": (lambda: HERE.with_columns(c("colour").str.to_uppercase()), "training has it as 'blue'"),
    "unseen code": (lambda: HERE.with_columns(code=pl.lit(99)), "code: 12 values not seen in training: 99 .row 0."),
    "unseen label": (lambda: HERE.with_columns(tags=pl.lit(["q"])), "tags: 12 labels not seen .* 'q' .row 0."),
    "no date": (lambda: HERE.with_columns(day=pl.lit("soon")), "day: 12 values cannot be read .* 'soon' .row 0."),
    "infinite": (lambda: HERE.with_columns(size=pl.lit(float("inf"))), "12 infinite values .*the first in row 0"),
    "NaN": (lambda: HERE.with_columns(size=pl.lit(float("nan"))), "'size': 12 NaN taken as missing"),
    "thousands": (
        lambda: HERE.with_columns(count=pl.format("{},000", c("count"))),
        "'count': 12 values with a comma, such as '73,000', are read with it as setting thousands apart",
    ),
    **{
        f"{name} all missing": (
            lambda name=name: HERE.with_columns(pl.lit(None).alias(name)),
            f"{name}: no value in any of 12 rows",
        )
        for name in INPUTS
    },
}

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no rows": (lambda: HERE[:0], "no rows; at least one row is needed"),
    "no rows of pandas": (lambda: HERE[:0].to_pandas(), "no rows; at least one row is needed"),
    "capitals in names": (
        lambda: HERE.rename(str.upper),
        "column 'size' is not in the data, nor 'count', .*did you mean 'SIZE'",
    ),
    "spaces in names": (lambda: HERE.rename(lambda name: f" {name}"), "did you mean ' size'"),
    "vector too long": (lambda: HERE.with_columns(vector=pl.lit([1.0] * 4)), "row 0: expected a vector of 3 numbers"),
    "vector of words": (lambda: HERE.with_columns(vector=pl.lit("[a, b]")), r"row 0: expected a list .* '\[a, b\]'"),
    "vector as number": (lambda: HERE.with_columns(vector=pl.lit(1.0)), "row 0: expected a list of numbers, got 1.0"),
    "date as boolean": (lambda: HERE.with_columns(when=pl.lit(True)), "'when', row 0: expected dates.* got True"),
    "category as list": (lambda: HERE.with_columns(pl.concat_list("colour")), "'colour' holds List"),
    "category as bytes": (lambda: HERE.with_columns(c("colour").cast(pl.Binary)), "'colour' holds Binary"),
    **{
        f"no {name}": (lambda name=name: HERE.drop(name), f"column '{name}' is not in the data; .* add it")
        for name in INPUTS
    },
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_answer(model, answers, how):
    assert_same(model.predict(SAME[how]()), answers)  # a warning would be an error


@pytest.mark.parametrize("how", TOLD)
def test_the_same_answer_which_is_told(model, answers, how):
    make, words = TOLD[how]
    with pytest.warns(RanvierWarning, match=words):
        assert_same(model.predict(make()), answers)


@pytest.mark.parametrize("how", OTHER)
def test_another_answer_which_is_told(model, how):
    make, words = OTHER[how]
    with pytest.warns(RanvierWarning, match=words):
        assert model.predict(make())["amount"].is_finite().all()


@pytest.mark.parametrize("how", REFUSED)
def test_refused(model, how):
    make, words = REFUSED[how]
    with pytest.raises(DataError, match=words):
        model.predict(make())


@pytest.mark.parametrize("call", ["predict", "embed", "judge"])
def test_every_way_of_reading_rows_refuses_and_tells_alike(model, call):
    ask = getattr(model, call)
    with pytest.raises(DataError, match="column 'size' is not in the data"):
        ask(HERE.drop("size"))
    with pytest.raises(DataError, match="no rows"):
        ask(HERE[:0])
    strange = HERE.with_columns(colour=pl.lit("mauve"))
    if call == "judge":
        assert any("'mauve' (row 0)" in note for note in ask(strange).notes)
    else:
        with pytest.warns(RanvierWarning, match="'mauve' .row 0."):
            ask(strange)


def test_without_a_target_nothing_is_judged(model):
    with pytest.raises(DataError, match="column 'kind', which is needed to evaluate, is not in the data"):
        model.evaluate(HERE.drop("kind"), show=False)
    with pytest.raises(DataError, match="none of the 12 rows has a truth"):
        model.evaluate(HERE.with_columns(kind=pl.lit(None, pl.String), amount=pl.lit(None, pl.Float64)), show=False)


INDICES = {
    "text": [f"r{i}" for i in range(HELD)],
    "numbers": list(range(50, 50 + HELD)),
    "named as an input": pd.Index(range(HELD), name="count"),
    "several levels": pd.MultiIndex.from_product([range(3), range(4)]),
    "all alike": [0] * HELD,
}


@pytest.mark.parametrize("kind", INDICES)
def test_the_index_of_pandas_is_kept(model, answers, kind):
    frame = HERE.to_pandas()
    frame.index = INDICES[kind]
    made = model.predict(frame)
    assert made.index.equals(frame.index)
    assert_same(made, answers)


def test_one_row_alone_has_the_answer_that_it_has_among_others(model, answers):
    for row in (0, HELD - 1):
        assert_same(model.predict(HERE[row : row + 1]), answers[row : row + 1])
        assert_same(model.predict(HERE.to_dicts()[row : row + 1]), answers[row : row + 1])


FILES = {
    "plain.csv": lambda text: text.encode(),
    "mark.csv": lambda text: text.encode("utf-8-sig"),
    "utf16.csv": lambda text: text.encode("utf-16"),
    "utf32.csv": lambda text: text.encode("utf-32"),
    "carriage.csv": lambda text: text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_encodings(model, answers, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FILES[name](flat().write_csv()))
    with pytest.warns(RanvierWarning, match="tags: strings are split at"):
        assert_same(model.predict(path), answers)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
def test_files_of_other_formats(model, answers, tmp_path, suffix):
    path = tmp_path / f"held{suffix}"
    write: dict[str, Callable[[Path], object]] = {
        ".csv": lambda p: (
            flat().with_columns(c("tags").str.replace_all("|", ";", literal=True)).write_csv(p, separator="|")
        ),
        ".tsv": lambda p: flat().write_csv(p, separator="\t"),
        ".jsonl": HERE.write_ndjson,
        ".parquet": HERE.write_parquet,
        ".arrow": HERE.write_ipc,
    }
    write[suffix](path)
    if suffix in (".parquet", ".arrow"):
        assert_same(model.predict(path), answers)
        return
    with pytest.warns(RanvierWarning, match="when: times are read as %Y-%m-%d"):
        assert_same(model.predict(path), answers)


@pytest.mark.parametrize(("encoding", "word"), [("gb18030", "红色的东西"), ("cp1252", "crème brûlée")])
def test_a_file_that_is_not_utf8_is_read_and_told(model, tmp_path, encoding, word):
    path = tmp_path / "foreign.csv"
    path.write_bytes(flat().with_columns(colour=pl.lit(word)).write_csv().encode(encoding))
    with pytest.warns(
        RanvierWarning, match=f"(?s)is not UTF-8 .*; read as {encoding}, .*\ncolour: .* '{word}' .row 0."
    ):
        model.predict(path)


def test_a_file_of_an_encoding_that_its_bytes_do_not_tell_is_refused(model, tmp_path):
    path = tmp_path / "koi8.csv"
    path.write_bytes(flat().with_columns(colour=pl.lit("красный")).write_csv().encode("koi8-r"))
    with pytest.raises(DataError, match=r"koi8.csv is not UTF-8: byte .*line 2.* iconv -f ENCODING -t utf-8"):
        model.predict(path)
