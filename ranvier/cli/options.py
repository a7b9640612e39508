"""The options that several verbs share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

_DATA, _NET, _TRAIN, _OUT, TEXTS, BOXES = "Data", "Network", "Training", "Output", "Texts", "Boxes"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, TSV, text, JSON (Lines), Parquet or Arrow (.gz too), a glob, a folder of images; or a plan.toml.",
        show_default=False,
    ),
]
Table = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, TSV, text, JSON (Lines), Parquet or Arrow (.gz too), a glob, a folder of images.",
        show_default=False,
    ),
]
Rows = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A file or folder with the columns that the model was trained on.", show_default=False
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option("--keep", help="Columns to stand before the predictions, such as an id: a,b", metavar="COLUMN"),
]
ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A file that `ranvier fit` or `pretrain` wrote (model.rv).", show_default=False
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        help="A column to predict; repeat, or separate by commas. '*' = all numbers and categories, drawn together.",
        rich_help_panel=_DATA,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", "-i", help="Predict from these columns only: a,b; '' = from none, to draw.", rich_help_panel=_DATA
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        help="What columns are for: w=weight,who=group,when=order,x=ignore", metavar="A=ROLE", rich_help_panel=_DATA
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(help="What columns are: zip=category,note=text", metavar="A=TYPE", rich_help_panel=_DATA),
]
Test = Annotated[str | None, typer.Option(help="Rows to test the finished model on.", rich_help_panel=_DATA)]
Val = Annotated[str | None, typer.Option(help="Rows to choose the best weights by.", rich_help_panel=_DATA)]
Split = Annotated[
    str | None,
    typer.Option(
        help="How validation rows are chosen: random, stratified, group, order or none.", rich_help_panel=_DATA
    ),
]
Fraction = Annotated[float | None, typer.Option(help="Share of rows that validate.", rich_help_panel=_DATA)]
Folds = Annotated[
    int | None,
    typer.Option(
        help="5 = five networks, each judged by the fifth that it never saw; averaged.", rich_help_panel=_DATA
    ),
]
Balance = Annotated[
    str | None, typer.Option(help="For classes of unequal size: none, loss or sampler.", rich_help_panel=_DATA)
]
Size = Annotated[str | None, typer.Option(help="Capacity: s, m or l.", rich_help_panel=_NET)]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PLACE=VALUE",
        help="Change any place in the plan: inputs.text.encoder=lstm, train.clip=0.5",
        rich_help_panel=_NET,
    ),
]
Time = Annotated[str | None, typer.Option(help="Patience, all included: 90s, 5m, 1.5h.", rich_help_panel=_TRAIN)]
Epochs = Annotated[float | None, typer.Option(help="At most so many passes over the rows.", rich_help_panel=_TRAIN)]
BatchSize = Annotated[int | None, typer.Option(help="Rows in a step.", rich_help_panel=_TRAIN)]
Optimizer = Annotated[str | None, typer.Option(help="adamw, adam, sgd, rmsprop ...", rich_help_panel=_TRAIN)]
Rate = Annotated[float | None, typer.Option(help="Peak learning rate.", rich_help_panel=_TRAIN)]
Seed = Annotated[int | None, typer.Option(help="Draws the weights, the split and the order.", rich_help_panel=_TRAIN)]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 ...", rich_help_panel=_TRAIN)]
Threads = Annotated[int | None, typer.Option(help="CPU threads; 0 = PyTorch decides.", rich_help_panel=_TRAIN)]
Precision = Annotated[str | None, typer.Option(help="fp32 or bf16.", rich_help_panel=_TRAIN)]
Init = Annotated[
    Path | None,
    typer.Option(
        help="A model whose weights to start from, or vectors of words (.txt, .vec, .bin, .safetensors).",
        metavar="FILE",
        rich_help_panel=_TRAIN,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        help="Where the run is kept: plan, log, checkpoint, model.",
        show_default="runs/NAME-DATE-TIME",
        rich_help_panel=_OUT,
    ),
]
ModelOut = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the model here too.", metavar="MODEL", rich_help_panel=_OUT),
]
RowsOut = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A .png of all pictures, a folder/ of one each, or rows as .csv, .tsv, .jsonl, .parquet, .arrow.",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        help="What an input is, or any column of rows drawn field by field; repeat for others, or for several values.",
        metavar="COLUMN=VALUE",
    ),
]
Bar = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.", rich_help_panel=_OUT)]
Beam = Annotated[int | None, typer.Option(help="Ways that a search follows; 1 = none.", rich_help_panel=TEXTS)]
Temperature = Annotated[
    float | None, typer.Option(help="0 = the likeliest, 1 = as learnt, above: wilder.", rich_help_panel=TEXTS)
]
TopK = Annotated[int | None, typer.Option(help="Draw from so many tokens, the likeliest.", rich_help_panel=TEXTS)]
TopP = Annotated[
    float | None, typer.Option(help="Draw from the likeliest tokens of so much probability.", rich_help_panel=TEXTS)
]
MinP = Annotated[
    float | None,
    typer.Option(help="Draw from tokens so many times as likely as the likeliest, or more.", rich_help_panel=TEXTS),
]
Repetition = Annotated[
    float | None, typer.Option(help="Above 1: what was said becomes less likely.", rich_help_panel=TEXTS)
]
NoRepeat = Annotated[int | None, typer.Option(help="No run of so many tokens is said twice.", rich_help_panel=TEXTS)]
Avoid = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="No long run of tokens of its texts is written; repeatable.", rich_help_panel=TEXTS
    ),
]
AvoidRun = Annotated[
    int | None, typer.Option(help="How long; without it 10 subwords, or 40 characters.", rich_help_panel=TEXTS)
]
Longest = Annotated[int | None, typer.Option(help="Tokens at most.", rich_help_panel=TEXTS)]
Least = Annotated[float | None, typer.Option(help="Chance from which on a box is predicted.", rich_help_panel=BOXES)]
Most = Annotated[int | None, typer.Option(help="Boxes of a row at most.", rich_help_panel=BOXES)]
Overlap = Annotated[
    float | None,
    typer.Option(help="IoU above which the less sure of two boxes is left out.", rich_help_panel=BOXES),
]
WAYS = ["beam", "temperature", "top_k", "top_p", "min_p", "repetition", "no_repeat", "avoid", "avoid_run", "longest"]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output, and nothing else there.")]


def words(texts: list[str] | None) -> list[str] | None:
    """["a,b", "c"] as ["a", "b", "c"]; None stays None."""
    if texts is None:
        return None
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """["a=text,b=date"] as {"a": "text", "b": "date"}. Raises a usage error for a part without "="."""
    found = {}
    for part in words(texts) or []:
        name, sign, value = part.rpartition("=")
        if not sign or not name or not value:
            raise typer.BadParameter(f"{option} {part!r}: expected COLUMN=VALUE, such as {option} age=number")
        found[name.strip()] = value.strip()
    return found


def given(values: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Those of the named options that were given."""
    return {name: values[name] for name in names if values.get(name) is not None}
