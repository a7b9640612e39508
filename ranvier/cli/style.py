"""The verb that paints: style."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ranvier.cli import options as o
from ranvier.cli.show import as_json
from ranvier.cli.train import check_output

RANDOM = "random filters, drawn for these two pictures"


def style(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="A picture: what is shown.", show_default=False)],
    like: Annotated[Path, typer.Argument(metavar="STYLE", help="A picture: how it is painted.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Write the picture here: .png, .jpg, .webp ...", metavar="FILE")
    ],
    size: Annotated[int, typer.Option(help="Pixels of the longer side.")] = 256,
    steps: Annotated[int, typer.Option(help="Steps at each of three sizes.")] = 60,
    strength: Annotated[float, typer.Option(help="How much the style counts beside the content.")] = 1.0,
    smooth: Annotated[float, typer.Option(help="How much smoothness counts.")] = 3.0,
    features: Annotated[
        Path | None,
        typer.Option(help="What looks: a model of pictures (.rv), or TorchScript.", metavar="FILE"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the filters.")] = 0,
    device: o.Device = None,
    bar: o.Bar = True,
    json: o.Json = False,
) -> None:
    """Paint what one picture shows as another is painted.

    Without --features the network that looks is random filters, drawn then and there; nothing is downloaded.

    Example:  ranvier style photo.jpg painting.jpg -o painted.jpg
    """
    from ranvier.model.pictures import check_ending, save_as

    check_ending(output)
    check_output(output, content, like, features)
    from ranvier.model.style import SEEDS, distances
    from ranvier.model.style import style as paint

    begun = time.perf_counter()
    how = {"size": size, "steps": steps, "strength": strength, "smooth": smooth, "seed": seed}
    with _Bar(bar) as shown:
        made = paint(
            str(content),
            str(like),
            features=features,
            device=device or "auto",
            progress=shown.at,
            **how,  # type: ignore[arg-type]
        )
    seconds = time.perf_counter() - begun
    save_as(made, output)
    before, after = (
        distances(each, str(content), str(like), size=size, seed=(seed + 1) % SEEDS) for each in (str(content), made)
    )
    by = RANDOM if features is None else str(features)
    if json:
        as_json({"file": str(output), "seconds": seconds, "features": by, "before": before, "after": after})
        return
    print(
        f"distance to the style {before['style']:.2f} -> {after['style']:.2f}, to the content 0 -> "
        f"{after['content']:.2f} (1 = unrelated), by other random filters; {seconds:.0f} s; features: {by}"
    )
    print(f"saved: {output}")


class _Bar:
    """How far it is, on standard error; nothing where that is not wanted, or is no terminal."""

    def __init__(self, wanted: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.bar = Progress(console=Console(stderr=True), disable=not (wanted and sys.stderr.isatty()))
        self.line = self.bar.add_task("painting", total=1.0)

    def __enter__(self) -> _Bar:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def at(self, share: float) -> None:
        """Shows the share that is done."""
        self.bar.update(self.line, completed=share)
