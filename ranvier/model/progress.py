"""A bar with loss, validation figure, rows a second and time left; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ranvier.core.training import Callback
from ranvier.train.stall import losses

LINES = 10  # of a run at least that is long enough for them
SHOWN = ("accuracy", "r2", "f1_micro", "diversity", "loss")  # validation figures, the first that there is


class ProgressBar(Callback):
    """Shows where a run of `steps` steps stands, on standard error. title: which training, if there are several."""

    def __init__(self, steps: int, monitor: str | None, title: str = "") -> None:
        self.title = f"{title}: " if title else ""
        self.steps, self.monitor = steps, (monitor or "loss").partition(":")[0]
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.line: TaskID | None = None
        self.figure = ""
        self.shown = 0  # the step of the last line

    def on_log(self, step: int, record: Mapping[str, float]) -> bool:
        """Draws; never stops the run."""
        loss = sum(losses(record).values())
        new = self._figure(record)
        self.figure = new or self.figure
        speed = record["rows"] / max(record["seconds"], 1e-9)
        said = f"{self.title}loss {loss:.4f}  {self.figure}  {speed:,.0f} rows/s"
        if self.console.is_terminal:
            self._draw(step, said)
        elif new or step == self.steps or step - self.shown >= self.steps / LINES:
            self.shown = step
            self.console.print(f"step {step}/{self.steps}  {said}", highlight=False)
        return False

    def on_note(self, note: str) -> None:
        """Prints it, above the bar if there is one."""
        self.console.print(f"note: {self.title}{note}", highlight=False, markup=False, soft_wrap=True)

    def _figure(self, record: Mapping[str, float]) -> str:
        found = [f"val_{name}" for name in (*SHOWN, self.monitor) if f"val_{name}" in record]
        return f"val {found[0].removeprefix('val_')} {record[found[0]]:.4f}" if found else ""

    def _draw(self, step: int, said: str) -> None:
        if self.bar is None:
            columns = (BarColumn(30), TextColumn("{task.percentage:>3.0f}%  {task.description}"))
            self.bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console)
            self.line = self.bar.add_task("", total=self.steps)
            self.bar.start()
        assert self.line is not None
        self.bar.update(self.line, completed=step, description=said)

    def on_end(self) -> None:
        """Leaves the bar as it is, and the cursor to others."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
