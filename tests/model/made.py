"""Small tables that hold something to learn, with every type of column."""

from __future__ import annotations

import io
from datetime import date, timedelta

import numpy as np
import polars as pl
from PIL import Image

TARGETS = ["kind", "amount", "labels"]


def picture(shade: int, random: np.random.Generator) -> bytes:
    """A small PNG of noise around a shade."""
    file = io.BytesIO()
    Image.fromarray(np.clip(random.normal(shade, 20, (10, 8, 3)), 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def mixed(rows: int = 80, seed: int = 0) -> pl.DataFrame:
    """Seven inputs, one of each type, and three targets; each column has gaps of its own."""
    random = np.random.default_rng(seed)
    words = [["bad", "dull", "grey"], ["good", "bright", "warm"]]
    y = random.integers(0, 2, rows)
    columns = {
        "size": (y * 2 + random.normal(size=rows)).tolist(),
        "colour": [["red", "blue"][k if random.random() < 0.8 else 1 - k] for k in y],
        "when": [date(2024, 1, 1) + timedelta(days=int(k * 100 + random.integers(60))) for k in y],
        "said": [f"{' '.join(random.choice(words[k], 4))} ones, number {i}" for i, k in enumerate(y)],
        "picture": [picture(60 + 120 * k, random) for k in y],
        "tags": [[t for t in "abc" if random.random() < 0.5] + ["hot"] * int(k) for k in y],
        "vector": (random.normal(size=(rows, 3)) + y[:, None]).tolist(),
        "kind": [["no", "yes"][k] for k in y],
        "amount": (y * 10 + random.normal(size=rows)).tolist(),
        "labels": [[["z"], ["x"]][k] + ["w"] * int(random.random() < 0.5) for k in y],
    }
    gaps = {n: [None if (i + j) % 9 == 4 else v for i, v in enumerate(c)] for j, (n, c) in enumerate(columns.items())}
    return pl.DataFrame(gaps)


def table(rows: int = 120) -> pl.DataFrame:
    """Numbers a and b, category c; y tells whether a is above 0, mostly; z is a line in a; g, t, w are for roles."""
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, rows))
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "c": [["u", "v", "w"][i % 3] for i in range(rows)],
            "y": np.where(a + 0.3 * random.normal(size=rows) > 0, "p", "q"),
            "z": 2 * a + 1 + 0.3 * random.normal(size=rows),
            "w": random.random(rows) + 0.1,
            "g": [f"g{i % 9}" for i in range(rows)],
            "t": np.arange(rows),
        }
    )
