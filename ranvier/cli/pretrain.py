"""The verb that learns from texts or pictures without labels: pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranvier.cli import options as o
from ranvier.cli.show import choices
from ranvier.cli.train import check_output, finish, run_folder, tell, train

PANEL = "Network"


def pretrain(
    ctx: typer.Context,
    data: o.Table,
    column: Annotated[
        str | None, typer.Option(help="The column of texts, words or pictures, if there are several.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="masked: restore what is hidden; next: foresee tokens; contrastive: know views of pictures."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="What reads (or writes): transformer, lstm, gru, rnn; cnn, convnext, vit.", rich_help_panel=PANEL
        ),
    ] = None,
    types: o.Types = None,
    test: o.Test = None,
    val: o.Val = None,
    split: o.Split = None,
    fraction: o.Fraction = None,
    size: o.Size = None,
    set_: o.Sets = None,
    time: o.Time = None,
    epochs: o.Epochs = None,
    batch: o.BatchSize = None,
    optimizer: o.Optimizer = None,
    rate: o.Rate = None,
    seed: o.Seed = None,
    device: o.Device = None,
    threads: o.Threads = None,
    precision: o.Precision = None,
    init: o.Init = None,
    folder: o.Folder = None,
    output: o.ModelOut = None,
    progress: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Learn from texts or pictures without labels, for a fit with few labels to start from.

    Example:  ranvier pretrain reviews.csv --column text --time 5m -o base.rv

    Then:  ranvier fit labelled.csv -t sentiment -i text --init base.rv
    """
    from ranvier.cli.made import begin, pretraining_plan
    from ranvier.model.folder import RunFolder

    if output is not None:
        check_output(output, data, test, val)
    where = folder if folder is not None else run_folder(Path(data).name)
    if folder is not None:
        RunFolder(folder).check_free()  # before anything is shown
    start = begin(init)
    plan = pretraining_plan(ctx.params, start)
    if not json:
        choices(plan)
    tell(plan, progress)
    finish(train(plan, where, init=start, output=output, progress=progress), json, told=progress)
