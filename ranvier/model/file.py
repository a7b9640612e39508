"""A model as one file: a zip of JSON and safetensors, and no code.

plan.json, columns.json and model.json are text; weights.safetensors and columns.safetensors hold arrays. Columns and
weights of several networks are in folders fold-1/ to fold-K/; out_of_fold.safetensors, if it is there, holds what each
said of the rows it never saw, uncertainty.safetensors what tells how sure the model is, usual.safetensors how strange
clean rows are, and gallery.safetensors the identities that the model knows, whose names are in model.json. Nothing is
compressed, so that no member can be larger than the file itself.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ranvier.core.column import Column
from ranvier.core.errors import FileError
from ranvier.core.plan import Plan
from ranvier.core.whole import whole_file
from ranvier.evaluate.score import Report, TargetReport
from ranvier.model.held import Predictions
from ranvier.model.identity import Gallery
from ranvier.model.members import content_of, finite_values_of, folders, members_of, networks_in, told, values_of
from ranvier.model.network import Answers, Network
from ranvier.model.origin import told as how_made
from ranvier.model.shared import shared_columns
from ranvier.model.strange import check
from ranvier.model.uncertainty import Uncertainty
from ranvier.model.weights import network_of
from ranvier.planning.choose import make_columns

if TYPE_CHECKING:
    from ranvier.model.model import Model

FORMAT = 5  # 1 had one network, no temperatures and no out-of-fold predictions; 2 no uncertainty; 3 no usual rows; 4 no
# galleries, and pictures that are made of others were not added to them, nor said at another size than theirs
READ = (1, 2, 3, 4, 5)
CONDITIONED = 4  # the first format in which heads for diffusion keep what they see of inputs in a part of its own
ADDED = 5  # the first format in which what the image head says is added to the picture given, at its target's size
RENAMED = {  # weights of such a head before, and now
    "given.weight": "conditions.vector.weight",
    "given.bias": "conditions.vector.bias",
    "nothing": "conditions.nothing",
}
ABOUT, PLAN = WHOLE = ("model.json", "plan.json")
EACH = ("columns.json", "weights.safetensors", "columns.safetensors")  # of each network
OUT_OF_FOLD = "out_of_fold.safetensors"
UNCERTAINTY = "uncertainty.safetensors"
USUAL = "usual.safetensors"
GALLERY = "gallery.safetensors"
MAY = (OUT_OF_FOLD, UNCERTAINTY, USUAL, GALLERY)  # be there
STRANGENESS = "strangeness"  # the name there of the only array
ROWS = "rows"  # the name there of the row numbers; answers are TARGET/NAME
SECONDS = "seconds"  # in a record of the history: not written, for they are others each time; a run's log has them
ARRAY = "$array"  # marks, in a column's JSON, the place of an array


def save(model: Model, path: Path) -> Path:
    """Writes the model, atomically. Raises FileError if the folder cannot be written."""
    try:
        with whole_file(path) as file:
            _write(model, file)
    except OSError as error:
        there = "" if path.parent.is_dir() else f"; there is no folder {path.parent}, make it first"
        raise FileError(f"cannot write {path}: {error.strerror}{there}") from None
    return path


def to_bytes(model: Model) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    _write(model, buffer)
    return buffer.getvalue()


def _write(model: Model, file: BinaryIO) -> None:
    about = {
        "format": FORMAT,
        "raw": {name: column.raw for name, column in model.columns.items()},
        "history": [{name: value for name, value in record.items() if name != SECONDS} for record in model.history],
        "notes": model.notes,
        "report": model.report.to_dict() if model.report else None,
        "test_report": model.test_report.to_dict() if model.test_report else None,
        "fold_figures": model.fold_figures,
        "temperatures": model.temperatures,
        "rows": model.held_out.size if model.held_out else 0,
        "provenance": model.provenance,
    }
    if model.gallery is not None:
        about["gallery"] = model.gallery.about()
    plan = model.plan.model_dump()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "model.json", json.dumps(about))
        _put(archive, "plan.json", json.dumps(plan))
        for network, folder in zip(model.networks, folders(len(model.networks)), strict=True):
            _write_network(network, archive, folder)
        if model.held_out is not None:
            answers = {f"{name}/{key}": a for name, named in model.held_out.answers.items() for key, a in named.items()}
            _put(archive, OUT_OF_FOLD, save_arrays({ROWS: model.held_out.rows, **answers}))
        if tensors := model.uncertainty.tensors():
            _put(archive, UNCERTAINTY, save_tensors(tensors))
        if len(model.usual):
            _put(archive, USUAL, save_arrays({STRANGENESS: model.usual}))
        if model.gallery is not None:
            _put(archive, GALLERY, save_arrays({"vectors": model.gallery.vectors, "counts": model.gallery.counts}))


def _write_network(network: Network, archive: zipfile.ZipFile, folder: str) -> None:
    arrays: dict[str, np.ndarray] = {}
    states = {name: _without_arrays(column.state(), name, arrays) for name, column in network.columns.items()}
    weights = {name: t.detach().cpu().contiguous() for name, t in network.task.state_dict().items()}
    _put(archive, f"{folder}columns.json", json.dumps(states))
    _put(archive, f"{folder}weights.safetensors", save_tensors(weights))
    _put(archive, f"{folder}columns.safetensors", save_arrays(arrays))


def _put(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    """Writes a member without a date, so that equal models are equal files, as far as the plans name the same paths."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def read(path: str | Path) -> dict[str, Any]:
    """What a model file holds, as the arguments of `Model`. Raises FileError for a damaged or foreign file."""
    return parse(content_of(path), str(path))


def parse(content: bytes, where: str) -> dict[str, Any]:
    """As `read`, from bytes."""
    members = members_of(content, where, WHOLE, EACH, MAY)
    with told(where, ABOUT):
        about = values_of(members[ABOUT])
        version = _version(about, where)
        raw = dict(about["raw"])
        history, notes = _history(about["history"]), _texts(about["notes"])
        report, test_report = _report(about["report"]), _report(about["test_report"])
        made = dict(about.get("provenance", {}))
        for shown in (report, test_report, *how_made(made)):  # what cannot be shown is no model's
            str(shown)
        figures = [dict(fold) for fold in about.get("fold_figures", [])]
    with told(where, PLAN):
        values = finite_values_of(members[PLAN])
        old = _old(values, version)
        plan = Plan(**values)
        make_columns(plan)
    networks = [_network(plan, members, folder, raw, old, where) for folder in folders(networks_in(members))]
    with told(where, ABOUT):
        temperatures = _temperatures(plan, about.get("temperatures", {}))
    with told(where, "columns.json of the networks"):
        shared = shared_columns(plan, [network.columns for network in networks])
    with told(where, UNCERTAINTY):
        learnt = load_tensors(members[UNCERTAINTY]) if UNCERTAINTY in members else {}
        uncertainty = Uncertainty.from_tensors(learnt, networks, shared)
    with told(where, OUT_OF_FOLD):
        held_out = _held_out(plan, shared, members[OUT_OF_FOLD], about["rows"]) if OUT_OF_FOLD in members else None
    gallery = None
    with told(where, GALLERY):
        if "gallery" in about or GALLERY in members:  # one without the other is damage
            gallery = Gallery.of(about["gallery"], load_arrays(members[GALLERY]), networks[0])
    with told(where, USUAL):
        usual = check(load_arrays(members[USUAL])[STRANGENESS]) if USUAL in members else None
    return {
        "plan": plan,
        "networks": networks,
        "history": history,
        "notes": notes,
        "report": report,
        "test_report": test_report,
        "fold_figures": figures,
        "temperatures": temperatures,
        "uncertainty": uncertainty,
        "held_out": held_out,
        "usual": usual,
        "gallery": gallery,
        "provenance": made,
    }


def _old(plan: dict[str, Any], version: int) -> dict[str, str]:
    """{name of weights of that format: their name now}, for the values of a plan, which get what was always so."""
    names: dict[str, str] = {}
    for number, target in enumerate(plan["targets"].values()):
        head = target["head"]
        if head["name"] == "text":
            head.setdefault("grams", 0)  # a plan of one that has them names them
        if head["name"] == "image" and version < ADDED:
            head.setdefault("residual", False)
            head.setdefault("zoom", 1)
        if head["name"] == "diffusion" and version < CONDITIONED:
            head.setdefault("beside", False)
            names |= {f"heads.{number}.{before}": f"heads.{number}.{now}" for before, now in RENAMED.items()}
    return names


def _version(about: Mapping[str, Any], where: str) -> int:
    """The format. Raises FileError for one that this version cannot read."""
    version = about["format"]
    if type(version) is not int or version not in READ:
        newer = "; it is of a newer version: update Ranvier" if type(version) is int and version > FORMAT else ""
        raise FileError(
            f"{where}: {ABOUT}: expected a model of format {FORMAT} or before, got {str(version)[:40]!r}{newer}"
        )
    return version


def _network(
    plan: Plan, members: Mapping[str, bytes], folder: str, raw: Mapping[str, str], old: Mapping[str, str], where: str
) -> Network:
    states, weights, arrays = (f"{folder}{name}" for name in EACH)
    with told(where, arrays):
        stored = load_arrays(members[arrays])
    with told(where, states):
        values = finite_values_of(members[states])
        columns = _columns(plan, {name: _with_arrays(state, stored) for name, state in values.items()}, raw)
        specs = {name: column.spec for name, column in columns.items() if column.spec is not None}
    with told(where, f"{PLAN} or {weights}"):
        now = {old.get(name, name): tensor for name, tensor in load_tensors(members[weights]).items()}
        return Network(plan, columns, network_of(plan, specs, now))


def _history(values: Any) -> list[dict[str, float]]:
    if not all(isinstance(one, int | float) for record in values for one in dict(record).values()):
        raise ValueError("the history holds something else than numbers")
    return [dict(record) for record in values]


def _texts(values: Any) -> list[str]:
    if not all(isinstance(one, str) for one in values):
        raise ValueError("notes that are no texts")
    return list(values)


def _temperatures(plan: Plan, values: Mapping[str, Any]) -> dict[str, float]:
    for name, value in values.items():
        if name not in plan.targets or not (isinstance(value, float) and 0 < value < math.inf):
            raise ValueError(f"the temperature of {name!r} is {value!r}")
    return dict(values)


def _held_out(plan: Plan, columns: Mapping[str, Column], content: bytes, size: int) -> Predictions:
    """Raises ValueError for rows that are not among those given, and for answers of another shape than the targets'."""
    arrays = load_arrays(content)
    rows = arrays.pop(ROWS)
    answers: Answers = {}
    if len(rows) and not (rows[0] >= 0 and rows[-1] < size and (np.diff(rows) > 0).all()):
        raise ValueError(f"out-of-fold rows must be distinct, in order and below {size}")
    for place, values in arrays.items():
        name, _, key = place.rpartition("/")
        spec = columns[name].spec if name in plan.targets else None
        if spec is None or values.shape != ((len(rows), spec.size) if spec.size else (len(rows),)):
            raise ValueError(f"{place!r} holds out-of-fold answers of shape {values.shape} for {len(rows)} rows")
        answers.setdefault(name, {})[key] = values
    return Predictions(size, rows, answers)


def _report(value: dict[str, Any] | None) -> Report | None:
    if value is None:
        return None
    return Report(
        {name: TargetReport(**target) for name, target in value["targets"].items()}, value["on"], list(value["notes"])
    )


def _columns(plan: Plan, states: Mapping[str, Any], raw: Mapping[str, str]) -> dict[str, Column]:
    columns = make_columns(plan)
    for name, column in columns.items():
        column.load_state(states[name])
        column.raw = raw[name]
    return columns


def _without_arrays(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """The value with every array put into `arrays` and a mark in its place."""
    if isinstance(value, np.ndarray):
        arrays[place] = np.ascontiguousarray(value)
        return {ARRAY: place}
    if isinstance(value, Mapping):
        return {key: _without_arrays(inner, f"{place}/{key}", arrays) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(inner, f"{place}/{i}", arrays) for i, inner in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, Mapping):
        return arrays[value[ARRAY]] if ARRAY in value else {k: _with_arrays(v, arrays) for k, v in value.items()}
    return [_with_arrays(inner, arrays) for inner in value] if isinstance(value, list) else value
