"""bound: how likely pictures of black and white are to a VAE, beside pythae's VAE and IWAE."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from bench import child
from bench.job import Job
from bench.report import table, verdict

LIGHT = 128  # intensities from here on are white: one half
TIME = 1 / 3  # of the peer's
PICTURE, CLASS = "image", "label"
OPTIONS = {"seed": 0, "rows": 0, "epochs": 100, "network": "mlp"}  # all but the seed: of the peers; rows: of both
QUICK = {"rows": 600, "epochs": 1}


def run(job: Job) -> str:
    """The section: the bound of each side, seconds, size and memory."""
    o = job.settings(OPTIONS, QUICK, "ours")
    folder = binarised(job.data)
    asked = ("--data", folder, "--rows", o["rows"])
    words = job.fit(**job.pick({}, {"epochs": 1}))
    sides: dict[str, child.Child | child.Absent] = {
        "ranvier": child.ours(o["seed"], *asked, *words, script="ours_bound")
    }
    how = ("--network", o["network"], "--epochs", o["epochs"], "--seed", o["seed"])
    for name in ("vae", "iwae"):
        sides[f"pythae {name.upper()}"] = child.attempt(
            lambda name=name: child.peer("pythae", "bound_pythae.py", *asked, "--model", name, *how)
        )
    ours = sides.pop("ranvier")
    assert isinstance(ours, child.Child)
    return (
        table([_row("ranvier", ours), *(_row(name, side) for name, side in sides.items())])
        + "\nFashion-MNIST, intensities of one half and more being white, the same files for all. The bound is that of "
        "the mean test picture in nats, of 50 draws (IWAE-50), each side's own code; seconds are those of learning, "
        f"processor seconds beside them. pythae: {o['epochs']} epochs, its {o['network']} networks; see "
        "`peers/bound_pythae.py`.\n\n" + "\n".join(_judged(ours.last, name, side) for name, side in sides.items())
    )


def binarised(data: Path) -> Path:
    """A folder with Fashion-MNIST's files of which each pixel is 0 or 255, made anew from the folder given."""
    folder = child.KEPT / "binary"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        frame = pl.read_parquet(data / f"fashion_{part}.parquet")
        made = pl.Series(PICTURE, [black_and_white(picture) for picture in frame[PICTURE]], dtype=pl.Binary)
        frame.select(made, CLASS).write_parquet(folder / f"fashion_{part}.parquet")
    return folder


def black_and_white(picture: bytes) -> bytes:
    """The file of a grey picture as a PNG file whose pixels are 0, or 255 from LIGHT on."""
    grey = np.asarray(Image.open(io.BytesIO(picture)))
    file = io.BytesIO()
    Image.fromarray(np.where(grey >= LIGHT, 255, 0).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _row(name: str, side: child.Child | child.Absent) -> dict[str, object]:
    if isinstance(side, child.Absent):
        return {"side": name, "bound": side.reason}
    seen = side.last
    return {
        "side": name,
        "bound": f"{seen['bound']:.2f}",
        "elbo": f"{seen['elbo']:.2f}",
        "s to learn": f"{seen['fitted']:.0f}",
        "processor s": f"{seen['worked']:.0f}",
        "epochs": f"{seen['epochs']:.1f}",
        "parameters": f"{seen['parameters']:,}",
        "peak GB": f"{seen['rss']:.2f}",
        "threads": seen["threads"],
        "load before": f"{side.load:.2f}",
    }


def _judged(ours: dict[str, Any], name: str, side: child.Child | child.Absent) -> str:
    bar = f"nats of a picture <= those of {name}, in <= {TIME:.2f} of its time"
    if isinstance(side, child.Absent):
        return f"**not judged**: bar {bar}; the peer gave no answer ({side.reason}).\n"
    part = ours["fitted"] / side.last["fitted"]
    return verdict(
        ours["bound"] >= side.last["bound"] and part <= TIME,
        bar,
        f"{-ours['bound']:.2f} against {-side.last['bound']:.2f}, in {part:.2f}",
    )
