"""Masks: classes of pixels out of label pictures, whatever their form, and back into such."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ranvier.columns.labels import read_labels
from ranvier.columns.mask import UNSEEN, VOID, Mask
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
    large = column.decode(
        {"classes": column.encode(RAW).data, "confidence": np.ones(20), "size": np.full((20, 2), 24.0)}
    )
    assert read_labels(large["m"][0]).codes.shape == (24, 24)
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
    with pytest.raises(DataError, match="4 labels for masks of 3 classes"):
        learnt(RAW, labels=["ground", "tree", "house", "car"])


def test_labels_are_for_numbers_where_there_is_one_for_each():
    raw = pl.Series("m", [png(scene(k, (0, 2, 2))) for k in range(4)])
    column = learnt(raw, labels=["a", "b", "c"])
    assert column.labels == ["a", "b", "c"]
    assert set(np.unique(column.encode(raw).data)) == {0, 2}
    again = Mask("m", labels=["a", "b", "c"])
    again.load_state(column.state())
    assert again.spec == column.spec
    assert learnt(raw, labels=["a", "b", "c"], void=0).labels == ["b", "c"]
    with pytest.raises(DataError, match="201 labels"):
        learnt(raw, labels=[str(k) for k in range(201)])


def test_bad_masks_are_told():
    column = learnt(RAW)
    rows = pl.Series("m", [b"", b"no picture", png(scene(0, (0, 3, 9))), None, RAW[0]])
    found = column.encode(rows)
    assert found.observed.tolist() == [False, False, True, False, True]
    assert (found.data[2] == UNSEEN).sum() == (scene(0) == 7).sum()
    told = " ".join(found.notes)
    assert "2 of 5 masks cannot be read (row 0" in told
    assert "1 mask holds values that training never saw" in told
    with pytest.raises(DataError, match="no mask can be read"):
        learnt(pl.Series("m", [b"x", None], dtype=pl.Binary))
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    with pytest.raises(DataError, match="over 200 different values"):
        learnt(pl.Series("m", [png(noise)]))
    with pytest.raises(DataError, match=r"no mask can be read.*whole numbers"):
        learnt(pl.Series("m", [[[0.5, 1.0], [0.0, 1.0]]]))
    with pytest.raises(DataError, match=r"no mask can be read.*whole numbers"):
        learnt(pl.Series("m", [[[float("nan"), 1.0], [0.0, 1.0]]]))


def test_values_that_are_no_class_are_refused():
    with pytest.raises(DataError, match="masks hold no class, only 3"):
        learnt(pl.Series("m", [png(np.full((4, 4), 3, np.uint8))]), void=3)
    with pytest.raises(DataError, match="the value 65536; classes are 0 to 65,535"):
        learnt(pl.Series("m", [[[0, 65_536], [1, 1]]]))
    assert learnt(pl.Series("m", [[[0, 65_535], [1, 1]]])).labels == ["0", "1", "65535"]
    negative = pl.Series("m", [[[0, -1], [1, 1]]])
    with pytest.raises(DataError, match=r"the value -1, which is no class.*void=-1"):
        learnt(negative)
    with pytest.raises(DataError, match="the value -1; classes are"):
        learnt(negative, void=255)
    assert learnt(negative, void=-1).encode(negative).data.tolist() == [[[0, VOID], [1, 1]]]


def large(width, height):
    """A PNG file of zeros, one bit a pixel."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0),
        b"IDAT": zlib.compress(bytes((1 + (width + 7) // 8) * height), 1),
        b"IEND": b"",
    }
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_large_a_mask_is_not_decoded(monkeypatch):
    column = learnt(RAW)
    assert column.encode(pl.Series("m", [large(16, 12)])).observed.all()
    files = [large(10_001, 10_000), large(30_000, 30_000)[:99]]

    def load(image):
        raise AssertionError(f"{image.size} was decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    found = column.encode(pl.Series("m", files))
    assert not found.observed.any()
    assert "10,001 x 10,000 pixels are too many: over 100 megapixels" in found.notes[0]
    with pytest.raises(DataError, match="over 100 megapixels"):
        learnt(pl.Series("m", files[:1]))


def test_masks_are_not_all_held_as_they_were_read():
    side = 512
    codes = scene(0).repeat(side // 12 + 1, 0).repeat(side // 16, 1)[:side]
    raw = pl.Series("m", [png(codes)] * 100)
    tracemalloc.start()
    column = learnt(raw)
    column.encode(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert column.shape == (128, 128)
    assert peak < 100 * side * side  # a byte a pixel for each thread, not eight for each mask


def test_a_target_of_class_numbers_is_recognised_and_an_input_is_a_picture():
    assert recognise(RAW, target=True) == ("mask", "pictures of class numbers, up to 7")
    assert recognise(RAW)[0] == "image"
    rng = np.random.default_rng(0)
    dark = pl.Series("m", [png(rng.integers(0, 60, (12, 12), dtype=np.uint8)) for _ in range(9)])
    bright = pl.Series("m", [png(60 + codes) for codes in CODES])
    assert recognise(dark, target=True)[0] == recognise(bright, target=True)[0] == "image"


def test_a_few_masks_that_cannot_be_read_or_show_nothing_do_not_make_pictures_of_them():
    broken = pl.Series("m", [b"no picture", *RAW])
    assert recognise(broken, target=True)[0] == "mask"
    assert recognise(pl.Series("m", [b"no picture"] * 30 + [*RAW]), target=True)[0] != "mask"
    empty = png(np.zeros((12, 16), np.uint8))
    assert recognise(pl.Series("m", [empty] * 16 + [*RAW]), target=True)[0] == "mask"
    assert recognise(pl.Series("m", [empty] * 99 + [RAW[0]]), target=True)[0] == "mask"
    assert recognise(pl.Series("m", [empty] * 20), target=True)[0] == "image"


def test_black_and_white_and_arrays_are_recognised_but_not_many_or_high_values():
    binary = pl.Series("m", [png(scene(k, (0, 255, 255))) for k in range(20)])
    assert recognise(binary, target=True) == ("mask", "pictures of class numbers, up to 255")
    grids = np.stack(CODES)
    for values in (grids, grids.astype(np.int64), grids > 0, grids[..., None]):
        assert recognise(pl.Series("m", values), target=True)[0] == "mask"
        assert recognise(pl.Series("m", values))[0] == "image"
    assert recognise(pl.Series("m", grids.astype(np.float32)), target=True)[0] == "image"
    high = pl.Series("m", [png(scene(k, (0, 3, 64))) for k in range(20)])
    assert recognise(high, target=True)[0] == "image"
    slope = np.arange(48, dtype=np.uint8).repeat(8)[None].repeat(8, 0)  # dark and flat, in 48 levels
    assert recognise(pl.Series("m", [png(slope)] * 20), target=True)[0] == "image"


def test_masks_in_jpeg_are_told():
    column = learnt(
        pl.Series(
            "m", [png(np.where(codes > 0, 255, 0).astype(np.uint8), form="JPEG") for codes in CODES[:3]] + [RAW[0]]
        )
    )
    assert "3 of 4 masks are in JPEG, which changes values" in " ".join(column.notes)
    assert learnt(RAW).notes == []
