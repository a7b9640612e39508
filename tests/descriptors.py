"""One row for every part of the registry and every network: how to make a small one, and what to feed it.

`test_descriptors.py` and `test_descriptors_others.py` run the laws that hold for all of them over these tables; a new
part adds its row here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from small_models import BERT
from torch import nn

from ranvier import nets
from ranvier.core.protocols import Features, Value
from ranvier.core.spec import Field, Given, Spec

ROWS, TOKENS, VOCABULARY = 8, 6, 40

SCALAR = Spec("scalar", (2,))
SMALL, LARGE, ORDERED = Spec("index", (), 4), Spec("index", (), 90), Spec("index", (), 5, "order")
WHO = Spec("identity", (), 4)
TEXT = Spec("tokens", (None,), VOCABULARY, "char")
SPELT = Spec("tokens", (None, 5), VOCABULARY, "word")  # words with four of their letters
TAGS = Spec("tags", (None,), 5, "word", labels=("a", "b", "c", "d", "e"))
SPAN = Spec("span", (2,), 0, "char")
PIXELS = Spec("pixels", (9, 12, 3), 3)
MASK, BOXES = Spec("mask", (9, 12), 3, "pixel", labels=("a", "b", "c")), Spec("boxes", (None, 5), 2, labels=("a", "b"))
GIVEN = {"x": Given(0, ((3, 1), (4, 2), (6, 4)))}  # what an encoder of PIXELS might give, for heads that see places
SETS, VECTORS = Spec("khot", (8,), 7), Spec("vector", (5,))
FIELDS = Spec("vector", (5,), unit="field", fields=(Field((-0.5, 0.5)), Field(None, (-0.5,) * 4, (1.5,) * 4)))
NUMBERS = Spec("scalar", (2,), parts=(SCALAR, SCALAR, SCALAR))
CATEGORIES = Spec("index", (), 4, parts=(SMALL, LARGE, ORDERED))


def sample(spec: Spec, rows: int = ROWS, gaps: bool = True) -> Value:
    """Random rows of a column (or of joined ones) as a batch has them; with gaps, row 1 is missing."""
    if spec.parts:
        return _joined([sample(part, rows, gaps) for part in spec.parts])
    observed = None
    if gaps:
        observed = torch.ones(rows, dtype=torch.bool)
        observed[1] = False
    if spec.kind == "scalar":
        return Value(torch.stack([torch.randn(rows), torch.rand(rows)], 1), None, observed)
    if spec.kind == "index":
        return Value(torch.randint(spec.size + 1, (rows,)), None, observed)  # `size` itself: unseen
    if spec.kind == "identity":
        return Value(torch.randint(spec.size + 2, (rows,)), None, observed)  # from `size` on: not trained on
    if spec.kind == "khot":
        return Value(torch.randint(2, (rows, spec.size + 1), dtype=torch.uint8), None, observed)  # the last: unseen
    if spec.kind == "vector":
        return Value(torch.randn(rows, int(spec.shape[0] or 0)), None, observed)
    if spec.kind == "span":
        start = torch.randint(-1, TOKENS, (rows, 1))  # -1: no answer
        end = torch.maximum(start + 1, torch.randint(TOKENS + 1, (rows, 1)))
        return Value(torch.cat([start, torch.where(start < 0, -1, end)], 1), None, observed)
    if spec.kind == "pixels":
        return Value(torch.randint(256, (rows, *(int(s or 0) for s in spec.shape)), dtype=torch.uint8), None, observed)
    if spec.kind == "mask":
        return Value(
            torch.randint(spec.size, (rows, *(int(s or 0) for s in spec.shape))).to(torch.uint8), None, observed
        )
    mask = torch.arange(TOKENS) < torch.randint(1, TOKENS + 1, (rows, 1))
    mask[0] = True
    if spec.kind == "boxes":
        corners = torch.rand(rows, TOKENS, 2, 2).sort(2).values.flatten(2)  # left, top, right, bottom
        code = torch.randint(spec.size + 1, (rows, TOKENS, 1))  # `size` itself: unseen
        return Value(torch.cat([corners, code], 2) * mask[..., None], mask, observed)
    if spec.kind == "tags":
        return Value(torch.randint(spec.size + 1, (rows, TOKENS)) * mask, mask, observed)  # `size` itself: unseen
    if len(spec.shape) > 1:
        letters = torch.randint(257, (rows, TOKENS, int(spec.shape[1] or 0) - 1))
        data = torch.cat([torch.randint(spec.size, (rows, TOKENS, 1)), letters], 2) * mask[..., None]
        return Value(data, mask, observed)
    return Value(torch.randint(spec.size, (rows, TOKENS)) * mask, mask, observed)


def _joined(values: list[Value]) -> Value:
    observed = None if values[0].observed is None else torch.stack([v.observed for v in values], 1)  # type: ignore[misc]
    return Value(torch.stack([value.data for value in values], 1), None, observed)


@dataclass(frozen=True)
class Row:
    """A part. specs: what it takes. options: that make it small and free of chance. quiet: parameters that may stay
    without gradient on the first batch, and why."""

    specs: tuple[Spec, ...]
    options: dict[str, Any] = field(default_factory=dict)
    quiet: dict[str, str] = field(default_factory=dict)


_TOKENS_OFF = {"dropout": 0.0, "word_dropout": 0.0, "width": 16}
_OF_MAPS = dict.fromkeys(["finer.0.weight", "finer.0.bias"], "nothing but a map is made of it")
ENCODERS = {
    "number": Row((NUMBERS, SCALAR), {"embedding": "piecewise", "embedding_width": 4, "bins": 32}),
    "category": Row((CATEGORIES, LARGE), {"embedding_width": 4, "unseen": 0.0}),
    "dense": Row((VECTORS, SETS), {"width": 8, "hidden": [8]}),
    "bag": Row((TEXT, SPELT), {"width": 8, "order": 2, "buckets": 64}),
    "rnn": Row((TEXT, SPELT), {**_TOKENS_OFF, "embedding": 8}),
    "lstm": Row((TEXT, SPELT), {**_TOKENS_OFF, "embedding": 8}),
    "gru": Row((TEXT, SPELT), {**_TOKENS_OFF, "embedding": 8}),
    "transformer": Row((TEXT, SPELT, PIXELS), {**_TOKENS_OFF, "depth": 1, "patch": 4}),
    "cnn": Row((PIXELS,), {"widths": [8, 16], "patch": 1}),
    "convnext": Row((PIXELS,), {"widths": [8, 16], "patch": 1, "depth": 1, "kernel": 3}),
    "vit": Row((PIXELS,), {"width": 32, "depth": 1, "heads": 2, "patch": 4, "finer": 1}, _OF_MAPS),
    "pretrained": Row(
        (TEXT,),
        {"model": "", "config": json.dumps({"model_type": "bert", **BERT}), "train": "all", "pace": 1.0},
        dict.fromkeys(
            [f"body.encoder.layer.{n}.attention.self.key.bias" for n in range(3)],
            "softmax sees no difference of what is added to all scores",
        ),
    ),
}

FUSES = {
    "concat": Row((Spec("row", parts=(SCALAR, TEXT)),)),
    "mlp": Row((Spec("row", parts=(SCALAR, TEXT)),), {"layer_width": 16, "dropout": 0.0}),
    "bottleneck": Row((Spec("row", parts=(SCALAR, SMALL)),), {"code": 3, "layer_width": 16, "depth": 1}),
    "tabm": Row((Spec("row", parts=(SCALAR, SMALL)),), {"layer_width": 16, "members": 3, "dropout": 0.0, "skip": True}),
}

HEADS = {
    "category": Row((SMALL,)),
    "identity": Row((WHO,)),
    "number": Row((SCALAR,)),
    "set": Row((SETS,)),
    "vector": Row((VECTORS,)),
    "tags": Row((TAGS,)),
    "span": Row((SPAN,)),
    "text": Row((TEXT,), {"layer_width": 8, "depth": 1, "heads": 2, "dropout": 0.0, "longest": 5, "smoothing": 0.0}),
    "masked": Row((TEXT,)),
    "contrastive": Row((PIXELS,)),
    "squares": Row((PIXELS,), {"side": 3}),
    "image": Row((PIXELS,), {"widths": [8, 8], "norm": "none"}),
    "mask": Row((MASK,), {"layer_width": 8, "norm": "none"}),
    "boxes": Row((BOXES,), {"layer_width": 8, "norm": "none"}),
    "vae": Row((PIXELS,), {"widths": [8, 8], "code": 3}),
    "autoregressive": Row((FIELDS,), {"layer_width": 8, "embedding": 4, "depth": 1, "dropout": 0.0}),
    "diffusion": Row(
        (PIXELS,),
        {"widths": [8, 8], "steps": 3},
        {"conditions.nothing": "rows whose features are hidden may be none of a few"},
    ),
    "gan": Row(
        (PIXELS,), {"widths": [8, 8], "noise": 3}, {"critic.out.bias": "a difference of scores knows no constant"}
    ),
}
_COLOURS = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3}
AUGMENTS = {
    "image": Row(
        (PIXELS,), {"flip": True, "shift": 2, "crop": 0.5, "rotate": 20.0, "noise": 0.1, "erase": 0.5, **_COLOURS}
    ),
    "words": Row((TEXT,), {"drop": 0.5}),
    "noise": Row((SCALAR, NUMBERS, VECTORS), {"std": 0.5}),
    "swap": Row((SMALL, CATEGORIES, SCALAR, NUMBERS, VECTORS, SETS), {"chance": 0.5}),
}
MIXES = {  # specs: of the inputs together
    "mixup": Row((Spec("row", parts=(NUMBERS, CATEGORIES, TEXT, PIXELS, SETS, VECTORS)),), {"alpha": 1.0}),
    "cutmix": Row((Spec("row", parts=(PIXELS, NUMBERS, CATEGORIES, TEXT)),)),
    "paste": Row((Spec("row", parts=(PIXELS, NUMBERS)),)),
}


def seen() -> Features:
    """What heads look at: a vector of width 6, as many tokens of that width, and the maps that GIVEN promises."""
    maps = tuple((torch.randn(ROWS, c, -(-9 // stride), -(-12 // stride)), stride) for c, stride in GIVEN["x"].maps)
    tokens = Value(torch.randn(ROWS, TOKENS, 6), torch.ones(ROWS, TOKENS, dtype=torch.bool))
    return Features(
        ROWS,
        torch.randn(ROWS, 6),
        tokens,
        parts={"x": Features(ROWS, maps=maps, picture=torch.rand(ROWS, maps[0][0].shape[1], 9, 12))},
    )


def widths_and_features() -> tuple[dict[str, int], Callable[[], dict[str, Features]]]:
    """Two inputs to fuse: a vector of width 4 and one of width 6."""
    widths = {"one": 4, "other": 6}
    return widths, lambda: {name: Features(ROWS, torch.randn(ROWS, width)) for name, width in widths.items()}


@dataclass(frozen=True)
class Net:
    """A network. make: a small one. inputs: its positional inputs. masked: whether a mask (B, T) may come last."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], tuple[torch.Tensor, ...]]
    masked: bool = False


def _tokens() -> tuple[torch.Tensor, ...]:
    return (torch.randn(ROWS, TOKENS, 8),)


def stirred(net: nn.Module) -> nn.Module:
    """The net with what starts at zero drawn at random, as after some steps: else it hides the rest from gradients."""
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


class Listed(nn.Module):
    """A net of lists of maps, as one of several inputs to several outputs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.net(list(maps))
        return (found,) if isinstance(found, torch.Tensor) else tuple(found)


NETS = {
    "MLP": Net(lambda: nets.MLP(5, [8], 3), lambda: (torch.randn(ROWS, 5),)),
    "TabM": Net(lambda: nets.TabM(5, [8], 3, members=4), lambda: (torch.randn(ROWS, 5),)),
    "ResNet": Net(lambda: nets.ResNet(3, [8, 16], 4), lambda: (torch.randn(ROWS, 3, 9, 12),)),
    "ConvNeXt": Net(lambda: nets.ConvNeXt(3, [8, 16], 4, depth=1), lambda: (torch.randn(ROWS, 3, 9, 12),)),
    "ViT": Net(lambda: nets.ViT(3, 32, 4, depth=1, heads=2), lambda: (torch.randn(ROWS, 3, 9, 12),)),
    "ConvDecoder": Net(lambda: nets.ConvDecoder(5, 3, (9, 12), [16, 8]), lambda: (torch.randn(ROWS, 5),)),
    "UNet": Net(
        lambda: stirred(nets.UNet(3, [8, 12, 16], 2, condition=5, patch=2, heads=2, memory=4)),
        lambda: (torch.randn(ROWS, 3, 9, 12), torch.randn(ROWS, 5), torch.randn(ROWS, TOKENS, 4)),
    ),
    "FeaturePyramid": Net(
        lambda: Listed(nets.FeaturePyramid([3, 4], 5)),
        lambda: (torch.randn(ROWS, 3, 9, 12), torch.randn(ROWS, 4, 5, 6)),
    ),
    "PixelDecoder": Net(
        lambda: stirred(Listed(nets.PixelDecoder([(3, 1), (4, 2), (6, 4)], 5, 2))),
        lambda: (torch.randn(ROWS, 3, 9, 12), torch.randn(ROWS, 4, 5, 6), torch.randn(ROWS, 6, 3, 3)),
    ),
    "ConditionedMLP": Net(
        lambda: stirred(nets.ConditionedMLP(4, 8, 3, condition=5)), lambda: (torch.randn(ROWS, 4), torch.randn(ROWS, 5))
    ),
    "FieldNet": Net(
        lambda: stirred(nets.FieldNet([3, 5], 8, embedding=4, condition=5)),
        lambda: (torch.randint(3, (ROWS, 2)), torch.rand(ROWS, 2) < 0.5, torch.randn(ROWS, 5)),
    ),
    "HashedBag": Net(
        lambda: nets.HashedBag(VOCABULARY, 8, buckets=64), lambda: (torch.randint(VOCABULARY, (ROWS, TOKENS)),), True
    ),
    "PiecewiseLinear": Net(
        lambda: nets.PiecewiseLinear(3, 4, bins=4), lambda: (torch.randn(ROWS, 3), torch.rand(ROWS, 3))
    ),
    "Periodic": Net(lambda: nets.Periodic(3, 8), lambda: (torch.randn(ROWS, 3),)),
    "RNN": Net(lambda: nets.RNN(8, 6, bidirectional=True), _tokens, True),
    "LSTM": Net(lambda: nets.LSTM(8, 6, layers=2), _tokens, True),
    "GRU": Net(lambda: nets.GRU(8, 6, bidirectional=True), _tokens, True),
    "Transformer": Net(lambda: nets.Transformer(8, depth=2, heads=2), _tokens, True),
    "Writer": Net(
        lambda: stirred(nets.Writer(VOCABULARY, 8, depth=1, grams=3)),
        lambda: (torch.randint(VOCABULARY, (ROWS, TOKENS)),),
    ),
    "NGrams": Net(lambda: stirred(nets.NGrams(8, rows=20)), lambda: (torch.randint(VOCABULARY, (ROWS, TOKENS)),)),
    "Pointer": Net(
        lambda: nets.Pointer(8, 4),
        lambda: (
            torch.randn(ROWS, 2, 8),
            torch.randn(ROWS, 2, VOCABULARY).log_softmax(2),
            torch.randn(ROWS, TOKENS, 4),
            torch.ones(ROWS, TOKENS, dtype=torch.bool),
            torch.randint(VOCABULARY, (ROWS, TOKENS)),
        ),
    ),
    "RecurrentDecoder": Net(lambda: nets.RecurrentDecoder(8), lambda: (torch.randn(ROWS, TOKENS, 8),)),
    "Letters": Net(lambda: nets.Letters(8), lambda: (torch.randint(257, (ROWS, TOKENS, 4)),)),
}

# tests/nets has their laws
NOT_NETS = (
    *("CRF", "DropPath", "Dropout", "Fourier", "SkipGram", "SpatialDropout"),
    *("initialise", "make_activation", "make_norm"),
)

ACTIVATIONS = (
    *("identity", "sigmoid", "tanh", "softmax", "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu"),
    *("softplus", "glu", "swiglu"),
)
INITS = ("suited", "default", "glorot", "glorot_normal", "he", "he_uniform", "lecun", "orthogonal", "zero")
NORMS = ("none", "batch", "layer", "group", "rms")

OPTIMIZERS = (
    *("gd", "sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop"),
    *("adam", "adamw", "nadam", "lion", "muon", "schedule_free"),
)
SCHEDULES = ("constant", "step", "exponential", "linear", "cosine", "one_cycle", "wsd", "plateau")


@dataclass(frozen=True)
class Loss:
    """A loss. make: float64 predictions (rows, width) and targets. alone: rows do not see one another."""

    make: Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]
    alone: bool = True


def _class_target(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, width, dtype=torch.float64), torch.arange(rows) % width


def _number_target(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, width, dtype=torch.float64), torch.randn(rows, width, dtype=torch.float64)


def _label_target(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, width, dtype=torch.float64), torch.randint(2, (rows, width))


def _share_target(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(rows, width, dtype=torch.float64), torch.randn(rows, width, dtype=torch.float64).softmax(1)


LOSSES = {
    "squared_error": Loss(_number_target),
    "half_squared_error": Loss(_number_target),
    "absolute_error": Loss(_number_target),
    "huber": Loss(_number_target),
    "quantile": Loss(_number_target),
    "cross_entropy": Loss(_class_target),
    "soft_cross_entropy": Loss(_share_target),
    "binary_cross_entropy": Loss(_label_target),
    "focal": Loss(_class_target),
    "binary_focal": Loss(_label_target),
    "hinge": Loss(_class_target),
    "binary_hinge": Loss(_label_target),
    "kl": Loss(_share_target),
    "cosine": Loss(_number_target),
    "info_nce": Loss(_number_target, alone=False),
    "triplet": Loss(_class_target, alone=False),
}


def _picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((6, 5), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def _scene(row: int) -> bytes:
    codes = np.zeros((6, 5), np.uint8)
    codes[row % 3 : 4, row % 4 :] = 2
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "PNG")
    return file.getvalue()


def _values(values: list[Any]) -> pl.Series:
    return pl.Series("c", [None if i == 3 else value for i, value in enumerate(values)])


_RANDOM = np.random.default_rng(0)
COLUMNS = {
    "mask": _values([_scene(i) for i in range(40)]),
    "boxes": _values([[{"x": 1, "y": 1, "w": 2, "h": 3 + i, "label": "ab"[i % 2]}] * (i % 3) for i in range(40)]),
    "identity": _values(["a", "b", "c2", "c10"] * 10),
    "number": _values(_RANDOM.normal(3, 2, 40).tolist()),
    "category": _values(["a", "b", "c2", "c10"] * 10),
    "date": _values([f"2024-0{1 + i % 9}-1{i % 10}" for i in range(40)]),
    "text": _values([f"the {w} number {i} of all {w}s" for i, w in enumerate(["cat", "dog", "sea", "漢字"] * 10)]),
    "image": _values([_picture(i) for i in range(40)]),
    "set": _values([["a", "b", "c"][: i % 4] for i in range(40)]),
    "vector": _values(_RANDOM.normal(size=(40, 3)).tolist()),
    "words": _values([["the", w, "saw", "the", f"dog{i}"] for i, w in enumerate(["cat", "dog", "sea", "漢字"] * 10)]),
    "span": _values([{"start": i, "text": "so"} for i in range(40)]),
    "row": _values([{"x": float(i) + 0.5, "kind": "ab"[i % 2]} for i in range(40)]),
    "tags": _values([["O", "O", "B-x", "I-x", "O"][: 2 + i % 4] for i in range(40)]),
}

TABLES = {
    "column": COLUMNS,
    "encoder": ENCODERS,
    "fuse": FUSES,
    "head": HEADS,
    "augment": AUGMENTS,
    "mix": MIXES,
    "activation": ACTIVATIONS,
    "init": INITS,
    "norm": NORMS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
}
