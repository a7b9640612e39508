"""Masks: classes of pixels out of label pictures, whatever their form, and back into such."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.columns.labels import read_labels
from ranvier.columns.mask import VOID, Mask
from ranvier.columns.recognise import recognise
from ranvier.core.errors import DataError


def png(codes, mode=None, palette=None, form="PNG"):
    image = Image.fromarray(np.asarray(codes), mode)
    if palette:
        image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def scene(k, values=(0, 3, 7), shape=(12, 16)):
    codes = np.full(shape, values[0], np.uint8)
    codes[2 + k % 4 : 8, 3:10] = values[1]
    codes[9:, k % 8 :] = values[2]
    return codes


CODES = [scene(k) for k in range(20)]
RAW = pl.Series("m", [png(codes) for codes in CODES])


def learnt(values, **options):
    column = Mask("m", **options)
    column.learn([values])
    return column


def test_grey_palette_sixteen_bits_arrays_and_files_are_the_same_masks(tmp_path):
    palette = list(range(256)) * 3
    forms = {
        "grey": RAW,
        "palette": pl.Series("m", [png(codes, "P", palette) for codes in CODES]),
        "sixteen": pl.Series("m", [png(codes.astype(np.uint16)) for codes in CODES]),
        "arrays": pl.Series("m", [codes.tolist() for codes in CODES]),
        "structs": pl.Series("m", [{"bytes": png(codes), "path": None} for codes in CODES]),
    }
    names = [f"{k}.png" for k in range(len(CODES))]
    for name, codes in zip(names, CODES, strict=True):
        (tmp_path / name).write_bytes(png(codes))
    for values in forms.values():
        column = learnt(values)
        assert column.labels == ["0", "3", "7"]
        found = column.encode(values)
        assert found.data.dtype == np.uint8
        np.testing.assert_array_equal(np.array([0, 3, 7])[found.data], CODES)
        assert not found.notes
    files = learnt(pl.Series("m", names), folder=str(tmp_path))
    np.testing.assert_array_equal(files.encode(pl.Series("m", names)).data, found.data)


def test_colours_are_classes_too():
    colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
    raw = pl.Series("m", [png(colours[np.searchsorted([0, 3, 7], codes)]) for codes in CODES])
    column = learnt(raw)
    assert column.labels == ["#000000", "#008000", "#800000"]
    answer = column.decode({"classes": column.encode(raw).data, "confidence": np.ones(len(raw))})
    for made, given in zip(answer["m"], raw, strict=True):
        np.testing.assert_array_equal(read_labels(made).codes, read_labels(given).codes)


def test_what_is_decoded_is_read_as_it_was_and_can_be_looked_at():
    column = learnt(RAW)
    answer = column.decode({"classes": column.encode(RAW).data, "confidence": np.full(len(RAW), 0.5)})
    assert answer.columns == ["m", "m_confidence"]
    for made, codes in zip(answer["m"], CODES, strict=True):
        np.testing.assert_array_equal(read_labels(made).codes, codes)
    with Image.open(io.BytesIO(answer["m"][0])) as image:
        assert image.convert("RGB").getextrema()[0][1] >= 128  # not nearly black
    again = Mask("m")
    again.load_state(column.state())
    assert again.spec == column.spec
    np.testing.assert_array_equal(again.encode(RAW).data, column.encode(RAW).data)


def test_void_is_no_class():
    marked = [np.where(codes == 7, 255, codes) for codes in CODES]
    raw = pl.Series("m", [png(codes.astype(np.uint8)) for codes in marked])
    column = learnt(raw)
    assert column.labels == ["0", "3"]
    assert ((column.encode(raw).data == VOID) == (np.array(marked) == 255)).all()
    assert learnt(raw, void=-1).labels == ["0", "3", "255"]
    two = pl.Series("m", [png(np.where(codes == 3, 255, 0).astype(np.uint8)) for codes in CODES])
    assert learnt(two).labels == ["0", "255"]  # black and white are two classes
    assert learnt(RAW, void=3).labels == ["0", "7"]


def test_masks_of_other_sizes_take_the_nearest_pixel():
    large = pl.Series("m", [png(codes.repeat(2, 0).repeat(2, 1)) for codes in CODES])
    column = learnt(RAW)
    found = column.encode(large)
    np.testing.assert_array_equal(found.data, column.encode(RAW).data)
    assert found.notes == ["m: 20 of 20 masks resized to 16 x 12 pixels"]
    assert learnt(large, size=16).spec == column.spec


def test_labels_name_the_classes_in_order():
    assert learnt(RAW, labels=["ground", "tree", "house"]).labels == ["ground", "tree", "house"]
    with pytest.raises(DataError, match="2 labels for masks of 3 classes, the values 0, 3, 7"):
        learnt(RAW, labels=["ground", "tree"])


def test_bad_masks_are_told():
    column = learnt(RAW)
    rows = pl.Series("m", [b"", b"no picture", png(scene(0, (0, 3, 9))), None, RAW[0]])
    found = column.encode(rows)
    assert found.observed.tolist() == [False, False, True, False, True]
    assert (found.data[2] == VOID).sum() == (scene(0) == 7).sum()
    told = " ".join(found.notes)
    assert "2 of 5 masks cannot be read (row 0" in told
    assert "1 masks hold values that training never saw" in told
    with pytest.raises(DataError, match="no mask can be read"):
        learnt(pl.Series("m", [b"x", None], dtype=pl.Binary))
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    with pytest.raises(DataError, match="over 200 different values"):
        learnt(pl.Series("m", [png(noise)]))
    with pytest.raises(DataError, match=r"no mask can be read.*whole numbers"):
        learnt(pl.Series("m", [[[0.5, 1.0], [0.0, 1.0]]]))


def test_a_target_of_class_numbers_is_recognised_and_an_input_is_a_picture():
    assert recognise(RAW, target=True) == ("mask", "pictures of class numbers, up to 7")
    assert recognise(RAW)[0] == "image"
    rng = np.random.default_rng(0)
    dark = pl.Series("m", [png(rng.integers(0, 60, (12, 12), dtype=np.uint8)) for _ in range(9)])
    bright = pl.Series("m", [png(60 + codes) for codes in CODES])
    assert recognise(dark, target=True)[0] == recognise(bright, target=True)[0] == "image"
