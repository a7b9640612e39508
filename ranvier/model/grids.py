"""Pictures of how pictures come along: a grid of what a network draws or restores, now and then while it learns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch

from ranvier.columns.grid import grid
from ranvier.columns.pixels import rounded
from ranvier.core import registry
from ranvier.core.errors import DataError, RanvierWarning
from ranvier.core.training import Callback
from ranvier.model.network import Network, joined
from ranvier.model.pictures import save_png
from ranvier.model.sample import ROW
from ranvier.tasks.build import of_itself
from ranvier.train.engine import Engine

MOST = 12  # validations of a run that get a grid, about
PLACES = 64  # pictures in a grid
SHARE = 0.03  # of the time of a run whose time is limited
SEED = 2_024  # of what is drawn: the same noise each time, so that grids differ by the weights alone


def sample_grids(engine: Engine, network: Network, rows: pl.DataFrame, folder: Path) -> tuple[Callback, ...]:
    """What draws grids into the folder while the engine runs, if any target is a picture of its own.

    rows: those held out, or where there are none, those trained on.
    """
    targets = network.plan.targets.items()
    names = [name for name, t in targets if network.layout.specs[name].kind == "pixels" and not of_itself(t)]
    return (SampleGrids(engine, network, names, rows, folder),) if names else ()


class SampleGrids(Callback):
    """Writes step-000123.png at some validations, at most about 12 in a run, always the last.

    Without validation rows, at some of the records in the log. Pictures are drawn for the inputs of the first rows, or
    alone, by the weights that are validated. Of a head that draws nothing what it says stands beside the truth, in
    pairs. Several targets have a file each, which is whole at any time. Which steps get a grid is a function of the
    step, so that a resumed run writes the same files again; where the run's time is limited, also of the clock. Nothing
    of the training changes: neither weights, mode nor random numbers.
    """

    def __init__(self, engine: Engine, network: Network, names: list[str], rows: pl.DataFrame, folder: Path) -> None:
        self.engine, self.network, self.names, self.folder = engine, network, names, folder
        self.seconds = 0.0  # that grids have taken
        self.failed = False
        plan = network.plan
        beside = [n for n in names if not registry.lookup("head", plan.targets[n].head["name"]).draws]
        count = PLACES // 2 if beside else PLACES
        self.rows = rows.head(count) if plan.inputs else pl.DataFrame({ROW: range(count)})
        self.truths = {name: network.columns[name].encode(rows[name].head(count)).data for name in beside}

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Draws where one is due; never stops the run."""
        if self._due(step, record):
            began = time.perf_counter()
            self._draw(step)
            self.seconds += time.perf_counter() - began
        return False

    def _due(self, step: int, record: Mapping[str, float]) -> bool:
        settings = self.engine.settings
        every = settings.log_every if self.engine.validation is None else settings.validate_every
        if step % every and step < settings.steps:
            return False  # it is of a checkpoint, or between validations
        if step >= settings.steps or self.engine.progress.stopped:
            return True
        if self.network.plan.train.time and self.seconds > SHARE * record["seconds"]:
            return False
        occasions = -(-settings.steps // every)
        return step // every % -(-occasions // MOST) == 0

    def _draw(self, step: int) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.network.task.eval()
        try:
            with self.engine.own_random(), self.engine.evaluated():
                said = joined(list(self.network.drawn(self.rows, [], generator=generator)))
        finally:
            self.network.task.train()
        for place, name in enumerate(self.names):
            pictures = rounded(np.nan_to_num(said[name]["pixels"]))  # of weights that have lost their way as well
            if name in self.truths:
                pictures = np.concatenate([self.truths[name], pictures], 2)
            end = f"-{place}" if len(self.names) > 1 else ""
            self._save(grid(pictures), self.folder / f"step-{step:06d}{end}.png")

    def _save(self, pixels: np.ndarray, path: Path) -> None:
        """Where it cannot be written, a full disk for one, training goes on without it, which is told once."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_png(pixels, path)
        except (DataError, OSError) as error:
            if not self.failed:
                warnings.warn(f"no grid of pictures: {error}", RanvierWarning, stacklevel=2)
            self.failed = True
