"""What holds for every column type of the registry; a new type adds its raw values to RAW."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.columns.labels import read_labels
from ranvier.core.registry import lookup, names
from ranvier.core.schema import options_of

ROWS = 60


def _with_gaps(values: list) -> pl.Series:
    return pl.Series("c", [None if i % 7 == 3 else value for i, value in enumerate(values)])


def _picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((6, 5), shade, np.uint8) + np.arange(5, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _mask(row: int, high: int = 4) -> bytes:
    file = io.BytesIO()
    codes = np.zeros((6, 5), np.uint8)
    codes[row % 3 : 4, row % 4 :] = high
    Image.fromarray(codes).save(file, "PNG")
    return file.getvalue()


RNG = np.random.default_rng(0)
WORDS = ["red", "green", "deep", "sea", "fish", "Ünïcode", "漢字"]
# type -> (training values with gaps, values it has never seen)
RAW = {
    "number": (_with_gaps(RNG.normal(3, 2, ROWS).tolist()), pl.Series("c", [1e9, float("nan"), None])),
    "category": (_with_gaps(["a", "b", "c2", "c10"] * 15), pl.Series("c", ["new", "", None])),
    "identity": (_with_gaps(["a", "b", "c2", "c10"] * 15), pl.Series("c", ["new", "", None])),
    "date": (
        _with_gaps([datetime(2024, 1, 1) + timedelta(hours=7 * i) for i in range(ROWS)]),
        pl.Series("c", ["soon", "", None]),
    ),
    "text": (_with_gaps([" ".join(RNG.choice(WORDS, 4)) for _ in range(ROWS)]), pl.Series("c", ["\x00 🙂", "", None])),
    "image": (_with_gaps([_picture(i) for i in range(ROWS)]), pl.Series("c", [_picture(250), None])),
    "mask": (_with_gaps([_mask(i) for i in range(ROWS)]), pl.Series("c", [_mask(0, 9), b"", None])),
    "boxes": (
        _with_gaps([[{"x": 0.5, "y": i, "w": 2.0, "h": 3.0, "label": "ab"[i % 2]}] * (i % 3) for i in range(ROWS)]),
        pl.Series("c", [[{"x": -1.0, "y": 0, "w": -2.0, "h": 3.0, "label": "new"}], [], None]),
    ),
    "set": (_with_gaps([WORDS[: i % 4] for i in range(ROWS)]), pl.Series("c", [["new"], [], None])),
    "words": (
        _with_gaps([RNG.choice(WORDS, i % 5).tolist() for i in range(ROWS)]),
        pl.Series("c", [["new", "", "seas", "\x00 🙂"], [], None]),
    ),
    "tags": (
        _with_gaps([["O", "B-a", "I-a", "O"][: i % 5] for i in range(ROWS)]),
        pl.Series("c", [["new", "O"], [], None]),
    ),
    "span": (
        _with_gaps([{"start": i, "text": "so"} for i in range(ROWS)]),
        pl.Series("c", [{"start": -4, "text": ""}, {"start": 10**6, "text": "🙂"}, None]),
    ),
    "row": (
        _with_gaps([{"x": float(i % 40) + 0.5, "n": i % 3, "kind": "ab"[i % 2]} for i in range(ROWS)]),
        pl.Series("c", [{"x": 1e9, "n": -1, "kind": "new"}, {"x": float("nan"), "n": None, "kind": None}, None]),
    ),
    "vector": (_with_gaps(RNG.normal(size=(ROWS, 3)).tolist()), pl.Series("c", [[1e9, float("nan"), 0.0], None])),
}
TYPES = names("column")


def learnt(kind: str, values: pl.Series, rows: int = ROWS):
    column = lookup("column", kind)("c")
    spec = column.learn(values.slice(start, rows) for start in range(0, len(values), rows))
    assert spec == column.spec
    return column


def assert_same(one, other) -> None:
    for name in ("data", "observed", "offsets", "spans"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.data.dtype == other.data.dtype


def plain(state):
    """The state with arrays as lists, so that JSON takes all of it or fails."""
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return state.tolist() if isinstance(state, np.ndarray) else state


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_raw_values_here(kind):
    assert kind in RAW


@pytest.mark.parametrize("kind", TYPES)
def test_options_are_a_schema(kind):
    options_of(lookup("column", kind))  # raises if an option has no annotation or no default


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", ["count", "label", "", "a b"])
def test_any_name_will_do(kind, name):
    values = RAW[kind][0].alias(name)
    column = lookup("column", kind)(name)
    column.learn([values])
    column.encode(values)
    column.encode(RAW[kind][1].alias(name))


@pytest.mark.parametrize("kind", TYPES)
def test_state_round_trip(kind):
    values, strange = RAW[kind]
    column = learnt(kind, values)
    state = column.state()
    json.dumps(plain(state), allow_nan=False)
    # what a file gives back: JSON values through JSON, arrays as they were
    again = lookup("column", kind)("c")
    again.load_state({k: v if isinstance(v, np.ndarray) else json.loads(json.dumps(v)) for k, v in state.items()})
    assert again.spec == column.spec
    assert plain(again.state()) == plain(state)
    for raw in (values, strange):
        assert_same(again.encode(raw), column.encode(raw))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("rows", [1, 13])
def test_learning_does_not_depend_on_the_chunks(kind, rows):
    values, _ = RAW[kind]
    whole, chunked = learnt(kind, values), learnt(kind, values, rows)
    assert plain(chunked.state()) == plain(whole.state())


@pytest.mark.parametrize("kind", TYPES)
def test_encoding_agrees_with_the_spec(kind):
    values, _ = RAW[kind]
    column = learnt(kind, values)
    encoded = column.encode(values)
    spec = column.spec
    assert encoded.observed.dtype == bool
    np.testing.assert_array_equal(encoded.observed, values.is_not_null().to_numpy())
    if encoded.offsets is None:
        shape = {"scalar": (2,), "pixels": (*spec.shape, spec.size)[:3]}.get(spec.kind, spec.shape)
        assert encoded.data.shape == (len(values), *shape)
    else:
        assert encoded.offsets.dtype == np.int64
        assert (encoded.offsets[0], encoded.offsets[-1]) == (0, len(encoded.data))
        assert len(encoded.offsets) == len(values) + 1
        assert (np.diff(encoded.offsets) >= 0).all()
    if spec.kind in ("index", "tokens"):
        codes = encoded.data if len(spec.shape) < 2 else encoded.data[:, 0]  # else letters stand beside them
        assert codes.min() >= 0
        assert codes.max() <= spec.size - (spec.kind == "tokens")


@pytest.mark.parametrize("kind", TYPES)
def test_encoding_does_not_depend_on_the_other_rows(kind):
    values, _ = RAW[kind]
    column = learnt(kind, values)
    encoded = column.encode(values)
    index = np.array([5, 3, 58, 5])
    assert_same(column.encode(values.gather(index)), encoded.rows(index))


@pytest.mark.parametrize("kind", TYPES)
def test_missing_and_unseen_values_never_fail(kind):
    values, strange = RAW[kind]
    column = learnt(kind, values)
    encoded = column.encode(strange)
    assert not encoded.observed[-1]  # the last is null
    assert np.isfinite(encoded.data.astype(np.float64)).all()
    assert not column.encode(strange.tail(1)).observed.any()
    assert len(column.encode(values.clear())) == 0
    assert len(column.encode(pl.Series("c", [None, None]))) == 2  # a column that came without a type


def ideal_prediction(spec, encoded):
    """What a perfect head would say."""
    if spec.kind == "index":
        return {"probs": np.eye(spec.size, dtype=np.float32)[encoded.data]}
    if spec.kind == "identity":
        names = np.array(["a", "b", "c2", "c10"], object)[encoded.data]  # in natural order
        return {"name": names, "similarity": np.ones(len(encoded))}
    if spec.kind == "khot":
        return {"probs": encoded.data.astype(np.float32)}
    if spec.kind in ("tags", "tokens"):
        codes, mask = encoded.padded()
        codes = codes if codes.ndim == 2 else codes[..., 0]
        return {"tags": codes, "tokens": codes, "confidence": np.ones(codes.shape), "mask": mask}
    if spec.kind == "mask":
        return {"classes": encoded.data, "confidence": np.ones(len(encoded))}
    if spec.kind == "boxes":
        boxes, there = encoded.padded()
        said = {"boxes": boxes[..., :4], "labels": boxes[..., 4], "scores": np.ones(there.shape), "there": there}
        return said | {"size": np.ones((len(there), 2))}
    if spec.kind == "span":
        start, end = encoded.data.T
        return {"start": start, "end": end, "confidence": np.ones(len(start)), "text": ["so"] * len(start)}
    return {"value": encoded.data[:, 0] if spec.kind == "scalar" else encoded.data}


@pytest.mark.parametrize(
    "kind", [kind for kind in TYPES if kind not in ("text", "image", "row")]
)  # a row comes back as its fields
def test_decoding_inverts_encoding(kind):
    values = RAW[kind][0].drop_nulls()
    column = learnt(kind, values)
    frame = column.decode(ideal_prediction(column.spec, column.encode(values)))
    assert frame.columns[0] == "c"
    assert all(name == "c" or name.startswith("c_") for name in frame.columns)
    for raw, back in zip(values.to_list(), frame["c"].to_list(), strict=True):
        if isinstance(raw, datetime):
            assert abs(raw - back) < timedelta(seconds=30)
        elif kind == "set":
            assert sorted(raw) == sorted(back)
        elif kind == "span":
            assert raw["text"] == back
        elif kind == "words":
            assert [word.lower() for word in raw] == back
        elif kind == "boxes":
            assert [thing | {"score": 1.0} for thing in raw] == back
        elif kind == "mask":
            np.testing.assert_array_equal(read_labels(raw).codes, read_labels(back).codes)
        elif kind in ("number", "vector"):
            np.testing.assert_allclose(back, raw, rtol=1e-4, atol=1e-4)
        else:
            assert raw == back


def test_columns_import_no_torch():
    code = "import sys; from ranvier.core.registry import *; [lookup('column', n) for n in names('column')]"
    code += "; import ranvier.columns.recognise; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
