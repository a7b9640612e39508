"""A run's state in one safetensors file, its JSON part in the header; written atomically, and the one before kept."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
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
from ranvier.core.whole import folder, move, settle
from ranvier.train.schedules import Reactive
from ranvier.train.settings import Settings

if TYPE_CHECKING:
    from ranvier.train.engine import Engine

FORMAT = 3
NAME = "checkpoint.safetensors"  # in the folder of a run
WRITING = ".writing"  # a folder beside it, for what is not whole yet: what a killed run left there goes with the next


def save(engine: Engine, path: Path) -> None:
    """Writes the engine's state; a crash at any moment leaves the last file whole, and beside it the one before.

    Raises FileError if that is not possible; then nothing older is lost, except that on a full disk the file before
    the last makes room.
    """
    tensors, state = capture(engine)
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    said = json.dumps({"format": FORMAT, "settings": engine.settings.to_json(), "facts": facts(engine), "state": state})
    header = {"ranvier": said, "crc32": str(_checksum(said, tensors))}
    try:
        try:
            _write(tensors, header, path)
        except (OSError, SafetensorError):
            if not (path.exists() and older(path).exists()):
                raise
            older(path).unlink()
            _write(tensors, header, path)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(path.with_name(WRITING), ignore_errors=True)
        raise FileError(f"no checkpoint can be written in {path.parent}: {error}") from None


def _write(tensors: dict[str, Tensor], header: dict[str, str], path: Path) -> None:
    room = path.with_name(WRITING)
    shutil.rmtree(room, ignore_errors=True)
    folder(room)
    save_file(tensors, room / NAME, header)
    settle(room / NAME)
    if path.exists():
        os.replace(path, older(path))
    move(room / NAME, path)
    room.rmdir()


def older(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is."""
    return path.with_name(f"before-{path.name}")


def exists(path: Path) -> bool:
    """Whether there is a checkpoint, or, of a run that was killed as it moved files, the one before."""
    return path.exists() or older(path).exists()


def load(engine: Engine, path: Path, *, inexact: bool = False) -> str:
    """Brings an engine to the saved state; says what was wrong, or "".

    A file that is damaged is put aside for the one before. Raises FileError where neither can be read, RunError where
    facts differ.
    """
    content, tensors, damage = _newest(path)
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
    except torch.OutOfMemoryError:  # which is a RuntimeError, and says nothing of the file
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} does not fit this network and these data: {error}") from None
    if not damage:
        return ""
    move(older(path), path)  # else the next save would put the damaged one in the place of the whole one
    return f"{damage}: the run goes on from the checkpoint before it, at step {engine.progress.step}"


def settings_of(path: Path) -> Settings:
    """The settings of the run that wrote the checkpoint. Raises FileError."""
    try:
        return Settings(**_newest(path)[0]["settings"])
    except (TypeError, PlanError) as error:
        raise FileError(f"{path} is damaged: {error}") from None


def _newest(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """The last checkpoint that is whole, and what is wrong with a later one, "" for nothing."""
    if not path.exists():
        return *_read(older(path)), ""
    try:
        return *_read(path), ""
    except FileError as error:
        damage = str(error)
    try:
        return *_read(older(path)), damage
    except FileError as error:
        also = f"; {error}" if older(path).exists() else ""
        raise FileError(f"{damage}{also}: copy the folder again, or train anew in another one") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
        said = header.get("ranvier", "{}")
        content = json.loads(said)
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise FileError(f"{path} is no checkpoint that can be read: {error}") from None
    version = content.get("format")
    if version is None:
        raise FileError(f"{path} is no checkpoint: it says nothing of its format")
    if version != FORMAT:  # it is whole, and nothing older may take its place
        raise RunError(
            f"{path} was written by another version of Ranvier (format {version}, this one reads {FORMAT}): go on with "
            "that version, or start anew in another folder"
        )
    if header.get("crc32") != str(_checksum(said, tensors)):
        raise FileError(f"{path} is damaged: its checksum is another than when it was written")
    return content, tensors


def _checksum(said: str, tensors: Mapping[str, Tensor]) -> int:
    """Of the JSON part, and names, types, shapes and bytes of all tensors."""
    total = zlib.crc32(said.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return total


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
    tensors_of_watch, watch = _divide(engine.watch.state())
    tensors |= {f"watch.{k}": v for k, v in tensors_of_watch.items()}
    return tensors, {
        "progress": asdict(engine.progress),
        "optimizers": optimizers,
        "source": source,
        "watch": watch,
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
        params = [p for group in optimizer.param_groups for p in group["params"]]
        for name, tensor in under(f"optimizer.{number}.").items():
            index, _, key = name.partition(".")
            values[int(index)][key] = _laid_out(tensor, params[int(index)])
        optimizer.load_state_dict({"state": values, "param_groups": optimizer.state_dict()["param_groups"]})
    if isinstance(engine.schedule, Reactive):
        engine.schedule.load_state(state["schedule"])
    engine.source.load_state({**state["source"], **under("source.")})
    engine.watch.load_state({**state.get("watch", {}), **under("watch.")}, engine.device)
    told = list(state["callbacks"])
    for callback in engine.callbacks:  # others may look on now than before, a progress bar for one
        mine = next((pair for pair in told if pair[0] == type(callback).__name__), None)
        if mine is not None:
            told.remove(mine)
            callback.load_state(mine[1])
    for name, value in state["progress"].items():
        setattr(engine.progress, name, value)


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor with strides as of a parameter of its shape, such as channels last: fused steps go through the memory
    of both side by side, and would move numbers to other places."""
    if tensor.shape != like.shape or tensor.stride() == like.stride():
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)


def facts(engine: Engine) -> dict[str, Any]:
    """What must be equal, besides the settings, for a resumed run to end with the same bits."""
    return {**machine(engine.device), **engine.facts}


def machine(device: torch.device) -> dict[str, Any]:
    """What computes, and the versions of what it computes by: weights are the same bits only where these are."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "ranvier": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The value as it comes out of JSON."""
    return json.loads(json.dumps(value))


def _divide(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    return tensors, {k: v for k, v in state.items() if k not in tensors}
