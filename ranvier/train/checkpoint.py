"""A run's state in one safetensors file, its JSON part in the header; written atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ranvier.core.errors import FileError, PlanError, RunError
from ranvier.core.version import VERSION
from ranvier.train.schedules import Reactive
from ranvier.train.settings import Settings

if TYPE_CHECKING:
    from ranvier.train.engine import Engine

FORMAT = 2
NAME = "checkpoint.safetensors"  # in the folder of a run


def save(engine: Engine, path: Path) -> None:
    """Writes the engine's state; a crash at any moment leaves the old file or the new one."""
    tensors, state = capture(engine)
    content = {"format": FORMAT, "settings": engine.settings.to_json(), "facts": facts(engine), "state": state}
    header = {"ranvier": json.dumps(content)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary, header)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(engine: Engine, path: Path, *, inexact: bool = False) -> None:
    """Brings an engine to the saved state. Raises FileError for a foreign file, RunError where facts differ."""
    content, tensors = _read(path)
    before = content["settings"] | content["facts"]
    now = _plain(engine.settings.to_json() | facts(engine))
    differs = next((k for k in now if now[k] != before.get(k)), None)
    if differs is not None and not inexact:
        raise RunError(
            f"this run was started with {differs} = {before.get(differs)!r}, now it is {now[differs]!r}: going on "
            "would not give the same weights; use the same, or allow it with inexact=True (--inexact)"
        )
    try:
        restore(engine, tensors, content["state"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} does not fit this network and these data: {error}") from None


def settings_of(path: Path) -> Settings:
    """The settings of the run that wrote the checkpoint. Raises FileError."""
    try:
        return Settings(**_read(path)[0]["settings"])
    except (TypeError, PlanError) as error:
        raise FileError(f"{path} is damaged: {error}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("ranvier")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
        content = json.loads(header) if header else {}
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise FileError(f"{path} is no checkpoint that can be read: {error}") from None
    if content.get("format") != FORMAT:
        raise FileError(f"{path}: expected a checkpoint of format {FORMAT}, got {content.get('format')}")
    return content, tensors


def capture(engine: Engine) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything that changes while training: tensors by name, and JSON values."""
    tensors = {f"task.{k}": v for k, v in engine.task.state_dict().items()}
    tensors |= {f"kept.{k}": v for k, v in engine.kept.items()}
    if engine.average:
        tensors |= {f"average.{k}": v for k, v in engine.average.state().items()}
    optimizers: list[dict[str, dict[str, Any]]] = []
    for number, (_, optimizer) in enumerate(engine.phases):
        plain: dict[str, dict[str, Any]] = {}
        for index, values in optimizer.state_dict()["state"].items():
            plain[str(index)] = {}
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{index}.{key}"] = value
                else:
                    plain[str(index)][key] = value
        optimizers.append(plain)
    tensors_of_source, source = _divide(engine.source.state())
    tensors |= {f"source.{k}": v for k, v in tensors_of_source.items()}
    return tensors, {
        "progress": asdict(engine.progress),
        "optimizers": optimizers,
        "source": source,
        "schedule": engine.schedule.state() if isinstance(engine.schedule, Reactive) else {},
        "callbacks": [(type(callback).__name__, callback.state()) for callback in engine.callbacks],
    }


def restore(engine: Engine, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Takes back what `capture` gave."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    engine.task.load_state_dict(under("task."))
    engine.kept = {k: v.to(engine.device) for k, v in under("kept.").items()}
    if engine.average:
        engine.average.load_state(under("average."))
    for number, (_, optimizer) in enumerate(engine.phases):
        values: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in state["optimizers"][number].items()}
        for name, tensor in under(f"optimizer.{number}.").items():
            index, _, key = name.partition(".")
            values[int(index)][key] = tensor
        optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    if isinstance(engine.schedule, Reactive):
        engine.schedule.load_state(state["schedule"])
    engine.source.load_state({**state["source"], **under("source.")})
    told = list(state["callbacks"])
    for callback in engine.callbacks:  # others may look on now than before, a progress bar for one
        mine = next((pair for pair in told if pair[0] == type(callback).__name__), None)
        if mine is not None:
            told.remove(mine)
            callback.load_state(mine[1])
    for name, value in state["progress"].items():
        setattr(engine.progress, name, value)


def facts(engine: Engine) -> dict[str, Any]:
    """What must be equal, besides the settings, for a resumed run to end with the same bits."""
    device = engine.device
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "ranvier": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        **engine.facts,
    }


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The value as it comes out of JSON."""
    return json.loads(json.dumps(value))


def _divide(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    return tensors, {k: v for k, v in state.items() if k not in tensors}
