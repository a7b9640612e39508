from __future__ import annotations

import json
import threading
from io import BytesIO

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from ranvier.columns.image import Image
from ranvier.core.errors import DataError
from ranvier.core.spec import Spec
from ranvier.data.read import read

RNG = np.random.default_rng(0)


def packed(pixels, kind="PNG", **options):
    buffer = BytesIO()
    image = pixels if isinstance(pixels, Pillow.Image) else Pillow.fromarray(pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gray(rows=5, size=(8, 10)):
    return RNG.integers(0, 256, (rows, *size), dtype=np.uint8)


def learnt(values, **options):
    column = Image("picture", **options)
    column.learn([values])
    return column


def series(values, dtype=pl.Binary):
    return pl.Series("picture", values, dtype=dtype)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_bytes_come_back_pixel_for_pixel(kind):
    x = gray()
    values = series([packed(p, kind) for p in x])
    column = learnt(values, channels="gray")
    assert column.spec == Spec("pixels", (8, 10), size=1, unit="pixel")
    encoded = column.encode(values)
    assert encoded.data.dtype == np.uint8
    assert np.array_equal(encoded.data[..., 0], x)
    assert encoded.observed.all()
    assert encoded.notes == []
    assert column.nbytes(5) == encoded.nbytes


def test_more_rows_than_a_block_keep_their_order(monkeypatch):
    monkeypatch.setattr("ranvier.columns.image.BLOCK", 7)
    monkeypatch.setattr("ranvier.columns.image.TASK", 2)
    x = gray(31)
    values = series([packed(p) for p in x])
    assert np.array_equal(learnt(values).encode(values).data[..., 0], x)


def test_decode_gives_png_that_encodes_to_the_same():
    x = RNG.integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    column = learnt(series([packed(p) for p in x]))
    frame = column.decode({"pixels": x.astype(np.float32) + 0.3})
    assert frame.columns == ["picture"]
    assert np.array_equal(column.encode(frame["picture"]).data, x)


def test_unreadable_pictures_are_missing_and_named(tmp_path):
    good = packed(gray(1)[0])
    noise = packed(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), "JPEG")
    column = learnt(series([good]))
    cut = [good[:40], noise[: len(noise) // 2], b"no picture", b"", good[:-30]]
    encoded = column.encode(series([good, None, *cut]))
    assert encoded.observed.tolist() == [True, False] + [False] * len(cut)
    assert (encoded.data[1:] == 0).all()
    assert "5 of 7 pictures cannot be read" in encoded.notes[0]
    assert "row 2: " in encoded.notes[0]
    assert "unknown format" in encoded.notes[0]


def test_every_cut_and_every_broken_byte_is_survived():
    file = packed(gray(1)[0])
    column = learnt(series([file]))
    cuts = [file[:end] for end in range(len(file))]
    broken = [file[:i] + bytes([file[i] ^ 0xFF]) + file[i + 1 :] for i in range(len(file))]
    assert not column.encode(series(cuts)).observed[: len(file) - 20].any()
    assert len(column.encode(series(broken)).observed) == len(file)


def test_paths_absolute_and_from_a_folder(tmp_path):
    x = gray(2)
    for name, pixels in zip(("a.png", "b.png"), x, strict=True):
        (tmp_path / name).write_bytes(packed(pixels))
    values = series(["a.png", "gone.png", None, str(tmp_path / "b.png"), ""], pl.String)
    encoded = learnt(values, folder=str(tmp_path)).encode(values)
    assert encoded.observed.tolist() == [True, False, False, True, False]
    assert np.array_equal(encoded.data[[0, 3], :, :, 0], x)
    assert "row 1: " in encoded.notes[0]
    assert "gone.png" in encoded.notes[0]
    assert "no such file" in encoded.notes[0]
    with pytest.raises(DataError, match=r"no such file.*option folder"):
        learnt(values.head(2), folder=str(tmp_path / "elsewhere"))


def test_sizes_shared_mixed_and_asked_for():
    tall, big = gray(1, (200, 100))[0], gray(1, (50, 70))[0]
    assert learnt(series([packed(tall)] * 2)).spec.shape == (128, 64)
    mixed = series([packed(tall), packed(big), packed(big)])
    assert learnt(mixed).spec.shape == (50, 50)
    assert learnt(mixed, size=20).spec.shape == (20, 20)
    column = learnt(series([packed(tall)]), size=50)
    assert column.spec.shape == (50, 25)
    encoded = column.encode(series([packed(tall), packed(tall)]))
    assert encoded.notes == ["picture: 2 of 2 pictures resized to 25 x 50 pixels"]


def test_resizing_keeps_the_mean_and_the_sides():
    half = np.zeros((64, 64), np.uint8)
    half[:, 32:] = 200
    data = learnt(series([packed(half)]), size=8).encode(series([packed(half)])).data[0, :, :, 0]
    assert (data[:, :3] == 0).all()
    assert (data[:, 5:] == 200).all()
    assert abs(float(data.mean()) - 100) < 2


def test_channels_follow_the_training_pictures():
    colours = RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    both = series([packed(gray(1, (6, 6))[0]), packed(colours)])
    data = learnt(both).encode(both).data
    assert np.array_equal(data[1], colours)
    assert (data[0, :, :, 0] == data[0, :, :, 2]).all()
    expected = np.asarray(Pillow.fromarray(colours).convert("L"))
    assert np.array_equal(learnt(both, channels="gray").encode(both).data[1, :, :, 0], expected)


def test_transparency_is_white_and_16_bits_are_scaled():
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    data = learnt(series([packed(clear)])).encode(series([packed(clear)])).data[0]
    assert data[0, 0].tolist() == [10, 20, 30]
    assert (data[1:] == 255).all()
    deep = (np.arange(16, dtype=np.uint16) * 4369).reshape(4, 4)
    data = learnt(series([packed(deep)])).encode(series([packed(deep)])).data[0, :, :, 0]
    assert data.flatten().tolist() == (np.arange(16) * 17).tolist()


def test_a_photograph_is_turned_upright():
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    image = Pillow.new("L", (30, 20), 0)
    image.paste(255, (0, 0, 30, 10))
    file = series([packed(image, "JPEG", exif=exif, quality=95)])
    column = learnt(file)
    assert column.spec.shape == (30, 20)
    encoded = column.encode(file)
    assert encoded.notes == []
    assert encoded.data[0, :, :8].max() < 30
    assert encoded.data[0, :, 12:].min() > 225


ARRAYS = gray(4, (5, 6))


@pytest.mark.parametrize(
    ("values", "channels"),
    [
        (pl.Series("picture", ARRAYS), 1),
        (pl.Series("picture", ARRAYS.tolist()), 1),
        (pl.Series("picture", ARRAYS[..., None].repeat(3, -1)), 3),
        (pl.Series("picture", ARRAYS[:, None].repeat(3, 1)), 3),
        (pl.Series("picture", ARRAYS.astype(np.float64) / 255), 1),
        (pl.Series("picture", list(ARRAYS), dtype=pl.Object), 1),
    ],
)
def test_arrays_of_numbers_in_any_form(values, channels):
    encoded = learnt(values).encode(values)
    assert encoded.data.shape == (4, 5, 6, channels)
    assert np.array_equal(encoded.data[..., 0], ARRAYS)
    assert encoded.notes == []


def test_numbers_of_another_range_are_spread_and_outsiders_counted():
    x = np.tile(np.arange(17.0)[:16].reshape(4, 4), (3, 1, 1))
    x[0, 0, 1] = 16
    column = learnt(pl.Series("picture", x))
    assert column.encode(pl.Series("picture", x)).data.max() == 255
    x[1, 0, 0], x[2, 0, 0] = 99, np.nan
    encoded = column.encode(pl.Series("picture", x))
    assert encoded.data[1, 0, 0, 0] == 255
    assert encoded.data[2, 0, 0, 0] == 0
    assert "2 of 3 pictures have numbers that are not finite or not in 0 to 16" in encoded.notes[0]
    signed = pl.Series("picture", np.linspace(-1, 1, 48).reshape(3, 4, 4))
    data = learnt(signed).encode(signed).data
    assert (data.min(), data.max()) == (0, 255)


def test_lists_with_missing_and_ragged_rows():
    values = pl.Series("picture", [ARRAYS[0].tolist(), None, [[1, 2], [3]], ARRAYS[1].tolist()])
    encoded = learnt(values).encode(values)
    assert encoded.observed.tolist() == [True, False, False, True]
    assert np.array_equal(encoded.data[[0, 3], :, :, 0], ARRAYS[:2])
    assert "row 2" in encoded.notes[0]


def test_structs_of_bytes_or_path(tmp_path):
    x = gray(2)
    (tmp_path / "b.png").write_bytes(packed(x[1]))
    values = pl.Series("picture", [{"bytes": packed(x[0]), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None])
    encoded = learnt(values, folder=str(tmp_path)).encode(values)
    assert encoded.observed.tolist() == [True, True, False]
    assert np.array_equal(encoded.data[:2, :, :, 0], x)


@pytest.mark.parametrize(
    ("values", "sure"),
    [
        (series([packed(gray(1)[0]), None]), True),
        (series([packed(gray(1)[0], kind) for kind in ("JPEG", "GIF", "BMP", "WEBP", "TIFF")]), True),
        (series(["a/b.PNG", "c.jpeg"], pl.String), True),
        (pl.Series(ARRAYS), True),
        (pl.Series(ARRAYS.tolist()), True),
        (pl.Series([{"bytes": packed(gray(1)[0]), "path": ""}]), True),
        (series([b"abc", b"def"]), False),
        (series(["see a.png for more", "no"], pl.String), False),
        (pl.Series([[1.0, 2.0], [3.0, 4.0]]), False),
        (pl.Series([ARRAYS[0].tolist(), ARRAYS[0][:4].tolist()]), False),
        (pl.Series([1, 2]), False),
        (pl.Series([None, None]), False),
    ],
)
def test_recognise(values, sure):
    score, reason = Image.recognise(values)
    assert (score >= 0.9) is sure
    assert bool(reason) is sure


def test_state_is_json_and_restores_without_training_rows():
    values = pl.Series("picture", np.linspace(-3, 5, 4 * 30).reshape(4, 5, 6))
    column = learnt(values)
    twin = Image("picture")
    twin.load_state(json.loads(json.dumps(column.state())))
    assert twin.spec == column.spec
    assert np.array_equal(twin.encode(values).data, column.encode(values).data)


def test_refuses_what_holds_no_picture():
    with pytest.raises(DataError, match=r"expected pictures .* got Int64"):
        learnt(pl.Series("picture", [1, 2]))
    with pytest.raises(DataError, match=r"no picture can be read.*all values are missing"):
        learnt(series([None, None]))
    with pytest.raises(DataError, match=r"shape \(3,\) are no picture"):
        learnt(pl.Series("picture", [[1, 2, 3]]))


@pytest.mark.slow
def test_fashion_is_read_whole(real_data):
    values = pl.read_parquet(real_data / "fashion_test.parquet")["image"]
    column = learnt(values)
    encoded = column.encode(values)
    assert encoded.data.shape == (10_000, 28, 28, 1)
    assert encoded.observed.all()
    assert encoded.notes == []


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_large_a_picture_is_not_decoded(monkeypatch):
    column = learnt(series([packed(gray(1)[0])]))
    header = bytearray(packed(gray(1)[0], "BMP")[:2_000])
    bombs = []
    for side in (10_001, 30_000):
        header[18:26] = side.to_bytes(4, "little") * 2
        bombs.append(bytes(header))

    def load(image):
        raise AssertionError(f"{image.size} was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    found = column.encode(series(bombs))
    assert not found.observed.any()
    assert "row 0: 10,001 x 10,001 pixels are too many: over 100 megapixels; row 1: " in found.notes[0]
    with pytest.raises(DataError, match="over 100 megapixels"):
        learnt(series(bombs[:1]))


def test_lists_that_hold_no_numbers_are_no_pictures():
    for rows in ([[{"x": 1, "y": 2}]] * 3, [[["a"] * 4] * 4] * 3, [[[None] * 4] * 4] * 3):
        values = pl.Series("picture", rows)
        assert Image.recognise(values)[0] == 0
        with pytest.raises(DataError, match="no picture can be read"):
            learnt(values)
    assert learnt(pl.Series("picture", np.ones((3, 4, 4), bool))).spec.shape == (4, 4)


def _kinds():
    """A red picture on the left half, white (or clear) on the right, in every way that files hold such."""
    rgb = np.zeros((8, 10, 3), np.uint8)
    rgb[:, :5, 0], rgb[:, 5:] = 200, 255
    red, clear = Pillow.fromarray(rgb), np.dstack([rgb, np.full((8, 10), 255, np.uint8)])
    clear[:, 5:] = (0, 90, 0, 0)  # what is clear has a colour that nobody sees
    grey = np.array(red.convert("L"))
    faint = np.dstack([np.where(grey == 255, 0, grey), np.where(grey == 255, 0, 255)]).astype(np.uint8)
    blue = Pillow.new("RGB", (10, 8), "blue")
    held = Pillow.Exif()
    held[0x0112] = 3  # upside down
    return (
        {
            "RGBA": packed(clear),
            "palette": packed(red.quantize(8)),
            "palette, clear": packed(Pillow.fromarray(clear).quantize(8)),
            "animated GIF": packed(red, "GIF", save_all=True, append_images=[blue, blue]),
            "animated PNG": packed(red, save_all=True, append_images=[blue]),
            "pages of a TIFF": packed(red, "TIFF", save_all=True, append_images=[blue]),
            "CMYK JPEG": packed(red.convert("CMYK"), "JPEG", quality=100),
            "upside down": packed(red.rotate(180), "TIFF", exif=held),
            "WebP": packed(clear, "WEBP", lossless=True),
        },
        {
            "L": packed(grey),
            "LA": packed(Pillow.fromarray(faint, "LA")),
            "16-bit PNG": packed(grey.astype(np.uint16) * 257),
            "16-bit TIFF": packed(grey.astype(np.uint16) * 257, "TIFF"),
            "float TIFF": packed(grey.astype(np.float32) / 255, "TIFF"),
        },
        rgb,
        grey,
    )


COLOURED, SHADED, RGB, GREY = _kinds()


@pytest.mark.parametrize("kind", COLOURED)
def test_every_kind_of_coloured_file_is_the_same_picture(kind):
    values = series([COLOURED[kind]])
    found = learnt(values).encode(values)
    assert found.observed.all()
    assert np.abs(found.data[0].astype(int) - RGB).max() <= (12 if "JPEG" in kind else 0)


@pytest.mark.parametrize("kind", SHADED)
def test_every_kind_of_grey_file_is_the_same_picture(kind):
    values = series([SHADED[kind]])
    column = learnt(values)
    assert column.spec.size == 1
    assert np.array_equal(column.encode(values).data[0, ..., 0], GREY)


def test_one_bit_is_black_and_white():
    bits = gray(1)[0] > 127
    values = series([packed(bits)])
    assert np.array_equal(learnt(values).encode(values).data[0, ..., 0], bits * np.uint8(255))


def test_files_of_all_kinds_and_sizes_go_together():
    large = packed(np.tile(RGB, (30, 20, 1)), "JPEG")
    values = series([*COLOURED.values(), *SHADED.values(), large, b"", None])
    found = learnt(values).encode(values)
    assert found.data.shape == (len(values), 8, 8, 3)
    assert found.observed.tolist() == [True] * (len(values) - 2) + [False] * 2


def test_large_pictures_too_are_read_by_several_threads(monkeypatch):
    values = series([packed(RGB)] * 32)
    column = Image("picture", size=640, channels="rgb")
    column.learn([values])
    read, both = column._read, threading.Barrier(2, timeout=20)

    def wait(source):
        both.wait()  # until another thread reads, too
        return read(source)

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(column, "_read", wait)
    assert column.encode(values).observed.all()


def test_a_damaged_file_in_a_folder_is_counted_and_named(tmp_path):

    (tmp_path / "cat").mkdir()
    for number in range(40):
        Pillow.new("L", (4, 4), number).save(tmp_path / "cat" / f"{number:02d}.png")
    (tmp_path / "cat" / "17.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    files = read(tmp_path).frame["image"]
    column = Image("image")
    column.learn([files])
    encoded = column.encode(files)
    assert np.flatnonzero(~encoded.observed).tolist() == [17]
    assert "1 of 40 pictures cannot be read, taken as missing (row 17:" in encoded.notes[0]
    assert "17.png" in encoded.notes[0]
