"""Writes the data once as plain arrays and lists, for sides that start from such and whose environments stay small."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from bench.child import KEPT
from bench.job import Job


def pictures_file(job: Job) -> Path:
    """Fashion-MNIST as one .npz: x, y, x_test, y_test (see `sets.pictures`)."""
    path = _place(job, "fashion.npz")
    parts = [job.data / f"fashion_{part}.parquet" for part in ("train", "test")]
    if _older(path, parts):
        train, test = (pl.read_parquet(part) for part in parts)
        code = {name: number for number, name in enumerate(train["label"].unique().sort())}
        (x, y), (x_test, y_test) = (_pictures(frame, code) for frame in (train, test))
        np.savez(path, x=x, y=y, x_test=x_test, y_test=y_test)
    return path


def texts_file(job: Job) -> Path:
    """The newsgroups as one .json (see `sets.texts`)."""
    path = _place(job, "newsgroups.json")
    parts = {part: job.data / f"newsgroups_{part}.parquet" for part in ("train", "test")}
    if _older(path, list(parts.values())):
        frames = {part: pl.read_parquet(file) for part, file in parts.items()}
        classes = frames["train"]["label"].unique().sort().to_list()
        code = {name: number for number, name in enumerate(classes)}
        content: dict[str, object] = {"classes": classes}
        for part, frame in frames.items():
            labels = [code[label] for label in frame["label"]]
            content[part] = {"texts": frame["text"].to_list(), "labels": labels}
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _pictures(frame: pl.DataFrame, code: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    x = np.stack([np.asarray(Image.open(io.BytesIO(cell))) for cell in frame["image"]])
    return x, np.array([code[label] for label in frame["label"]])


def _place(job: Job, name: str) -> Path:
    folder = KEPT / "arrays" / ("quick" if job.quick else "whole")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _older(path: Path, sources: list[Path]) -> bool:
    return not path.exists() or path.stat().st_mtime < max(source.stat().st_mtime for source in sources)
