"""The verb that learns vectors of words: embeddings."""

from __future__ import annotations

import re
import time as clock
from pathlib import Path
from typing import Annotated

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json
from ranvier.cli.train import check_output
from ranvier.cli.use import warnings_as_notes
from ranvier.core.errors import PlanError


def embeddings(
    data: o.Table,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write here: word2vec's text format (.bin: binary), or .safetensors with n-grams, for unknown words.",
        ),
    ],
    column: Annotated[str, typer.Option(help="The column of texts or words, if there are several.")] = "",
    width: Annotated[int, typer.Option(help="Numbers in a vector.")] = 100,
    window: Annotated[int, typer.Option(help="How far a neighbour may stand.")] = 5,
    negatives: Annotated[int, typer.Option(help="Weight of words drawn by chance.")] = 5,
    ngrams: Annotated[str, typer.Option(help="Characters in the parts of words; 0 = words alone.")] = "3-6",
    epochs: Annotated[float | None, typer.Option(help="Passes over the text.")] = None,
    time: o.Time = None,
    seed: o.Seed = None,
    progress: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Learn a vector for every word of a text: near for words that stand in like company.

    Example:  ranvier embeddings reviews.csv --column text -o words.txt

    To start a model from them:  ranvier fit reviews.csv -t sentiment --init words.txt
    """
    from ranvier.lexicon.file import ENDINGS

    check_output(output, data)
    if output.suffix not in ENDINGS:
        raise PlanError(
            f"--output {output}: vectors are known again by the endings {', '.join(ENDINGS)}; use one of them"
        )
    lengths = _lengths(ngrams)
    from ranvier.model.embeddings import embeddings as learn

    started = clock.perf_counter()
    how = {name: value for name, value in (("epochs", epochs), ("time", time), ("seed", seed)) if value is not None}
    words = learn(
        data,
        column=column,
        width=width,
        window=window,
        negatives=negatives,
        ngrams=lengths,
        progress=progress,
        **how,  # type: ignore[arg-type]
    )
    with warnings_as_notes():
        file = words.save(output)
    if json:
        seconds = round(clock.perf_counter() - started, 2)
        as_json({"file": str(file), "words": len(words), "width": words.width, "seconds": seconds})
    else:
        print(f"saved: {file}, {len(words):,} words of {words.width} numbers")


def _lengths(text: str) -> tuple[int, int]:
    """ "3-6" as (3, 6), "0" as (0, 0). Raises PlanError."""
    match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip())
    if match is None:
        raise PlanError(f"--ngrams {text!r}: expected two lengths, such as 3-6, or 0 for none")
    return int(match[1]), int(match[2] or match[1])
