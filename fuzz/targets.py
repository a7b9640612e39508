"""What is fuzzed: each target takes bytes, and lets nothing out but our own errors, which the caller expects."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer

from fuzz import mutate
from ranvier.cli import edit
from ranvier.cli.main import UsageError, app
from ranvier.cli.options import pairs, words
from ranvier.columns.boxes import Boxes
from ranvier.columns.image import Image
from ranvier.columns.mask import Mask
from ranvier.core import registry
from ranvier.core.errors import RanvierError
from ranvier.core.plan import Plan
from ranvier.core.schema import check_options, defaults_of
from ranvier.data.read import read
from ranvier.model.file import parse
from ranvier.planning.make import make_plan
from ranvier.planning.settle import settle

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
PICTURES = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]
# of click, wherever this version of typer keeps it
EXPECTED = (RanvierError, UsageError, typer.Exit)
Target = Callable[[bytes], object]


def model(data: bytes) -> None:
    parse(data, "model.rv")


def _table() -> dict[str, list[Any]]:
    return {"a": [0.5, 1.5, 2.5, 3.5] * 5, "c": ["u", "v"] * 10, "y": ["p", "q", "q", "p"] * 5}


@cache
def _plan() -> str:
    return make_plan(_table(), "y", threads=1).to_toml()


def plan(data: bytes) -> None:
    made = Plan.from_toml(data.decode(errors="replace"))
    made.data.source = made.data.val = made.data.test = ""  # no file of this machine
    made._memory["source"] = _table()
    settle(made)


def arguments(data: bytes) -> None:
    """The command line: verbs with any options, over files that are not there; and texts as values of options."""
    texts = data.decode(errors="replace").split("\n")
    words(texts)
    made = Plan.from_toml(_plan())
    for place, value in edit.parse(text for text in texts if "=" in text).items():
        try:
            edit.change(made, place, value)
        except RanvierError:
            continue
    verb = ["columns", "plan"][len(data) % 2]
    clean = [text.replace("\0", "") for text in texts[:8] if not text.startswith(("--out", "-o", "--folder"))]
    with tempfile.TemporaryDirectory() as folder:
        app([verb, f"{folder}/none.csv", *clean], standalone_mode=False)
    pairs(texts, "--types")


def table(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(data)
        frame = read(path)
        make_plan(frame.frame, frame.frame.columns[0], threads=1)


def image(data: bytes) -> None:
    _column(Image("x"), pl.Series("x", [data], dtype=pl.Binary))


def mask(data: bytes) -> None:
    _column(Mask("x"), pl.Series("x", [data], dtype=pl.Binary))


def boxes(data: bytes) -> None:
    text = data.decode(errors="replace")
    Boxes.recognise(pl.Series("x", [text, None]))
    _column(Boxes("x"), pl.Series("x", [text, None], dtype=pl.String))


def _column(column: Any, values: pl.Series) -> None:
    type(column).recognise(values)
    column.learn([values])
    column.encode(values)


def options(data: bytes) -> None:
    """JSON {KIND: {NAME: {OPTION: value}}} as options of registered parts; columns are made with them."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    for kind, parts in given.items() if isinstance(given, dict) else ():
        for name, values in parts.items() if kind in registry.TABLES and isinstance(parts, dict) else ():
            if isinstance(values, dict):
                part = registry.lookup(kind, name)
                checked = check_options(part, values, f"{kind}.{name}")
                if kind == "column":
                    part("x", **checked)


def seeds(name: str) -> list[bytes]:
    """Good ones to start from."""
    if name == "model":
        return [(FIXTURES / f"model-{version}.rv").read_bytes() for version in (1, 5)]
    if name == "plan":
        return [_plan().encode(), b'[targets.y]\n[train]\nrate = 0.1\n[fuse]\nname = "mlp"\n']
    if name == "arguments":
        return [b"-t\ny\n--types\na=number\n--set\ntrain.rate=0.1\ninputs.a.encoder=number\n--json\n--time\n5m"]
    if name == "table":
        return [b'a,b,c\n1,x,2024-01-02\n2,"y,z",2024-02-03\n,,\n', "a;b\n1,5;\u00e9\n2,5;x\n".encode("utf-16")]
    if name in ("image", "mask"):
        return [mutate.picture(kind) for kind in (PICTURES if name == "image" else PICTURES[:1])]
    if name == "boxes":
        return [
            b'[{"label": "cat", "x": 1, "y": 2, "width": 3, "height": 4}]',
            b'[{"label": "a", "box": [1, 2, 3, 4]}]',
            b"0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1",
        ]
    every = {
        kind: {name: defaults_of(registry.lookup(kind, name)) for name in registry.names(kind)}
        for kind in registry.TABLES
    }
    given = {"encoder": {"cnn": {"widths": [4, 8], "patch": "auto"}}, "column": {"text": {"length": 3}}}
    return [json.dumps(one).encode() for one in (given, *({kind: parts} for kind, parts in every.items()))]


TARGETS: dict[str, Target] = {one.__name__: one for one in (model, plan, arguments, table, image, mask, boxes, options)}


def run(name: str, data: bytes) -> bool:
    """Whether the target took the bytes; False where it refused them with an error of ours. Anything else comes out."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            TARGETS[name](data)
        except EXPECTED:
            return False
    return True
