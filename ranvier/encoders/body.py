"""Pretrained networks of the library transformers: their folders, configurations and weights. No code is ever loaded.

transformers is the extra `pretrained`, and is imported when a network is needed, not before.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from ranvier.core.errors import MissingExtra, PlanError

CONFIG, PICTURES = "config.json", "preprocessor_config.json"
MOST = 2**22  # characters of a configuration
# what names code, kernels, other places, number types or the labels of another task, and nothing of the network itself
LEFT_OUT = (
    *("auto_map", "architectures", "attn_implementation", "experts_implementation", "quantization_config", "dtype"),
    *("torch_dtype", "transformers_version", "name_or_path", "id2label", "label2id", "task_specific_params"),
    *("use_cache", "problem_type", "finetuning_task", "num_labels"),
)
# what transformers and its configurations raise for what they cannot make a network of
CANNOT = (
    *(ArithmeticError, AttributeError, ImportError, LookupError, NotImplementedError, OSError, RuntimeError),
    *(TypeError, ValueError, SafetensorError),
)


def installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("transformers") is not None


def library() -> Any:
    """The module transformers. Raises MissingExtra."""
    try:
        import transformers
    except ImportError:
        raise MissingExtra("transformers", "pretrained") from None
    return transformers


def is_path(model: str) -> bool:
    """Whether that names a folder, there or not, rather than a model on the hub."""
    return os.path.exists(model) or model.count("/") != 1 or model.startswith((".", "/", "~"))


def folder_of(model: str) -> Path:
    """The folder of a model: that of the name, or else what transformers has of a hub's, fetching it if it has not.

    Raises PlanError if there is none, MissingExtra.
    """
    folder = Path(model).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if is_path(model):
        raise PlanError(
            f"model = {model!r}: there is no {CONFIG} in such a folder; give the folder of a model that transformers "
            "has saved (save_pretrained), or its name on the hub, such as 'owner/name'"
        )
    try:
        with _quiet():
            found = library().utils.cached_file(model, CONFIG)
            library().utils.cached_file(model, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    except _cannot() as error:
        raise PlanError(
            f"model = {model!r}: no such folder, and transformers gets none of that name: {error}"
        ) from None
    return Path(found).parent


def architecture(folder: Path) -> dict[str, Any]:
    """What config.json says of the network, without what is not of it. Raises PlanError."""
    config = _json(folder / CONFIG)
    if not isinstance(config.get("model_type"), str):
        raise PlanError(f"{folder / CONFIG} names no model_type, so that nobody knows what network it is of")
    return {key: value for key, value in config.items() if key not in LEFT_OUT and not key.startswith("_")}


def picture_form(folder: Path | None, config: dict[str, Any]) -> tuple[int, list[float], list[float]]:
    """Side in pixels, and mean and deviation of each channel on a scale of 0 to 1, that pictures are to have.

    From preprocessor_config.json, or where there is none from the network's configuration, and 0.5. Raises PlanError.
    """
    path = (folder or Path()) / PICTURES
    said = _json(path) if folder is not None and path.exists() else {}
    size = said.get("crop_size") if said.get("do_center_crop") else said.get("size")
    size = size if size is not None else config.get("image_size", 224)
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge", 0))
    side = max(size) if isinstance(size, list) and size else size
    channels = config.get("num_channels", 3)
    plain = not said.get("do_normalize", True)
    mean, std = ([0.0], [1.0]) if plain else (said.get("image_mean", [0.5]), said.get("image_std", [0.5]))
    try:
        side, channels = int(side), int(channels)  # type: ignore[arg-type]
        mean, std = ([float(x) for x in (v * channels)[:channels]] for v in (mean, std))
    except (TypeError, ValueError, OverflowError) as error:
        raise PlanError(f"{path} does not say how large pictures are and how they are scaled: {error}") from None
    if not (0 < side <= 4096 and len(mean) == len(std) == channels and all(s > 0 for s in std)):
        raise PlanError(f"{path}: size {side}, image_mean {mean} and image_std {std} are no form of pictures")
    return side, mean, std


def made(config: dict[str, Any]) -> nn.Module:
    """The network of a configuration, with random weights, in fp32, without pooler. Raises PlanError, MissingExtra."""
    transformers = library()
    kept = {key: value for key, value in config.items() if key not in LEFT_OUT and not key.startswith("_")}
    kind = kept.pop("model_type", "")
    try:
        with _quiet():
            settings = transformers.AutoConfig.for_model(kind, **kept)
            if getattr(settings, "is_encoder_decoder", False):
                raise PlanError(f"a model of type {kind!r} reads and writes; take one that reads only, such as bert")
            settings.use_cache = False
            net: nn.Module = transformers.AutoModel.from_config(settings, trust_remote_code=False, dtype=torch.float32)
    except _cannot() as error:
        raise PlanError(f"no network of type {kind!r} can be made of this configuration: {error}") from None
    pooler = getattr(net, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        net.pooler = None  # type: ignore[assignment]  # of another task, and used by none of ours
    return net


def weights(folder: Path, net: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of `net` as the folder's safetensors hold them. Raises PlanError if they are not all there."""
    try:
        with _quiet():
            given, told = type(net).from_pretrained(  # type: ignore[attr-defined]
                str(folder),
                config=net.config,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except _cannot() as error:
        raise PlanError(
            f"the weights in {str(folder)!r} cannot be taken (safetensors are, pickled files never): {error}"
        ) from None
    lacking = sorted(name for name in told["missing_keys"] if not name.startswith("pooler."))
    wrong = [str(name) for name in told.get("mismatched_keys", ())]
    if lacking or wrong:
        raise PlanError(
            f"the weights in {str(folder)!r} are not of the network that its {CONFIG} tells of: "
            f"{len(lacking)} tensors are not there and {len(wrong)} have another shape, such as {(lacking + wrong)[0]}"
        )
    names = net.state_dict().keys()
    return {name: tensor for name, tensor in given.state_dict().items() if name in names}


def _cannot() -> tuple[type[Exception], ...]:
    """CANNOT, and what the strict configurations of transformers raise, which is of no common class."""
    from huggingface_hub.errors import StrictDataclassError

    return (*CANNOT, StrictDataclassError)


def _json(path: Path) -> dict[str, Any]:
    """Raises PlanError for what is no JSON object of a sensible size."""
    try:
        if path.stat().st_size > MOST:
            raise PlanError(f"{path} has more than {MOST:,} bytes, which is no configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise PlanError(f"{path} holds no configuration, but a {type(value).__name__}")
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, transformers tells nothing and shows no bars; after, as its user had it."""
    log = library().utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()
