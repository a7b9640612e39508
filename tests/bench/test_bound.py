"""What both sides of the bench of bounds read, and how they are judged."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # bench is no part of the installed package

from bench import bound, child


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_pixels_are_white_from_one_half_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    monkeypatch.setattr(child, "KEPT", tmp_path)
    for part in ("train", "test"):
        pl.DataFrame({"image": [png(grey)], "label": ["bag"]}).write_parquet(tmp_path / f"fashion_{part}.parquet")
    made = pl.read_parquet(bound.binarised(tmp_path) / "fashion_test.parquet")
    pixels = np.asarray(Image.open(io.BytesIO(made["image"][0]))).ravel()
    assert (pixels[:128] == 0).all()
    assert (pixels[128:] == 255).all()
    assert made["label"].to_list() == ["bag"]


@pytest.mark.parametrize(
    ("nats", "seconds", "word"), [(-99.0, 30.0, "met"), (-101.0, 30.0, "MISSED"), (-99.0, 40.0, "MISSED")]
)
def test_both_nats_and_seconds_are_judged(nats: float, seconds: float, word: str):
    peer = child.Child([{"bound": -100.0, "fitted": 99.0}], 0.0, 0.0)
    assert bound._judged({"bound": nats, "fitted": seconds}, "pythae VAE", peer).startswith(f"**{word}**")
    absent = bound._judged({"bound": nats, "fitted": seconds}, "pythae VAE", child.Absent("failed: why"))
    assert absent.startswith("**not judged**")
    assert "why" in absent
