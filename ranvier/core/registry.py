"""The parts by name. Adding one is one file and one line here; it is imported when first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from ranvier.core.elsewhere import PARTS
from ranvier.core.errors import PlanError, did_you_mean

TABLES: dict[str, dict[str, str]] = {
    "column": {
        "number": "ranvier.columns.number:Number",
        "category": "ranvier.columns.category:Category",
        "date": "ranvier.columns.date:Date",
        "text": "ranvier.columns.text:Text",
        "image": "ranvier.columns.image:Image",
        "set": "ranvier.columns.set:Set",
        "vector": "ranvier.columns.vector:Vector",
        "words": "ranvier.columns.words:Words",
        "tags": "ranvier.columns.tags:Tags",
        "span": "ranvier.columns.span:Span",
        "row": "ranvier.columns.row:Row",
        "mask": "ranvier.columns.mask:Mask",
        "boxes": "ranvier.columns.boxes:Boxes",
        "identity": "ranvier.columns.identity:Identity",
    },
    "encoder": {
        "number": "ranvier.encoders.number:NumberEncoder",
        "category": "ranvier.encoders.category:CategoryEncoder",
        "dense": "ranvier.encoders.dense:DenseEncoder",
        "bag": "ranvier.encoders.bag:BagEncoder",
        "rnn": "ranvier.encoders.rnn:RNNEncoder",
        "lstm": "ranvier.encoders.rnn:LSTMEncoder",
        "gru": "ranvier.encoders.rnn:GRUEncoder",
        "transformer": "ranvier.encoders.transformer:TransformerEncoder",
        "cnn": "ranvier.encoders.cnn:CNNEncoder",
        "convnext": "ranvier.encoders.convnext:ConvNeXtEncoder",
        "vit": "ranvier.encoders.vit:ViTEncoder",
        "pretrained": "ranvier.encoders.pretrained:PretrainedEncoder",
    },
    "fuse": {
        "concat": "ranvier.encoders.fuse:Concat",
        "mlp": "ranvier.encoders.fuse:MLPFuse",
        "tabm": "ranvier.encoders.fuse:TabMFuse",
        "bottleneck": "ranvier.encoders.bottleneck:Bottleneck",
    },
    "head": {
        "category": "ranvier.heads.category:CategoryHead",
        "number": "ranvier.heads.number:NumberHead",
        "set": "ranvier.heads.set:SetHead",
        "vector": "ranvier.heads.vector:VectorHead",
        "tags": "ranvier.heads.tags:TagsHead",
        "text": "ranvier.heads.text:TextHead",
        "masked": "ranvier.heads.masked:MaskedHead",
        "span": "ranvier.heads.span:SpanHead",
        "contrastive": "ranvier.heads.contrastive:ContrastiveHead",
        "squares": "ranvier.heads.squares:SquaresHead",
        "image": "ranvier.heads.image:ImageHead",
        "mask": "ranvier.heads.mask:MaskHead",
        "boxes": "ranvier.heads.boxes:BoxesHead",
        "identity": "ranvier.heads.identity:IdentityHead",
        "vae": "ranvier.heads.vae:VAEHead",
        "autoregressive": "ranvier.heads.autoregressive:AutoregressiveHead",
        "gan": "ranvier.heads.gan:GANHead",
        "diffusion": "ranvier.heads.diffusion:DiffusionHead",
    },
    "augment": {
        "image": "ranvier.feed.augment.image:ImageAugment",
        "words": "ranvier.feed.augment.text:WordDrop",
        "noise": "ranvier.feed.augment.table:GaussianNoise",
        "swap": "ranvier.feed.augment.table:SwapNoise",
    },
    "mix": {
        "mixup": "ranvier.feed.mix:Mixup",
        "cutmix": "ranvier.feed.mix:CutMix",
        "paste": "ranvier.feed.paste:Paste",
    },
    "optimizer": {
        "gd": "ranvier.train.optimizers:gd",
        "sgd": "ranvier.train.optimizers:sgd",
        "momentum": "ranvier.train.optimizers:momentum",
        "nesterov": "ranvier.train.optimizers:nesterov",
        "adagrad": "ranvier.train.optimizers:adagrad",
        "adadelta": "ranvier.train.optimizers:adadelta",
        "rmsprop": "ranvier.train.optimizers:rmsprop",
        "adam": "ranvier.train.optimizers:adam",
        "adamw": "ranvier.train.optimizers:adamw",
        "nadam": "ranvier.train.optimizers:nadam",
        "lion": "ranvier.train.lion:lion",
        "muon": "ranvier.train.muon:muon",
        "schedule_free": "ranvier.train.schedule_free:schedule_free",
    },
    "schedule": {
        "constant": "ranvier.train.schedules:constant",
        "step": "ranvier.train.schedules:step",
        "exponential": "ranvier.train.schedules:exponential",
        "linear": "ranvier.train.schedules:linear",
        "cosine": "ranvier.train.schedules:cosine",
        "one_cycle": "ranvier.train.schedules:one_cycle",
        "wsd": "ranvier.train.schedules:wsd",
        "plateau": "ranvier.train.schedules:Plateau",
    },
    "activation": {
        "identity": "torch.nn:Identity",
        "sigmoid": "torch.nn:Sigmoid",
        "tanh": "torch.nn:Tanh",
        "softmax": "ranvier.nets.activations:Softmax",
        "relu": "torch.nn:ReLU",
        "leaky_relu": "torch.nn:LeakyReLU",
        "prelu": "torch.nn:PReLU",
        "elu": "torch.nn:ELU",
        "selu": "torch.nn:SELU",
        "gelu": "torch.nn:GELU",
        "silu": "torch.nn:SiLU",
        "softplus": "torch.nn:Softplus",
        "glu": "ranvier.nets.activations:GLU",
        "swiglu": "ranvier.nets.activations:SwiGLU",
    },
    "init": {
        "suited": "ranvier.nets.init:suited",
        "default": "ranvier.nets.init:default",
        "glorot": "ranvier.nets.init:glorot",
        "glorot_normal": "ranvier.nets.init:glorot_normal",
        "he": "ranvier.nets.init:he",
        "he_uniform": "ranvier.nets.init:he_uniform",
        "lecun": "ranvier.nets.init:lecun",
        "orthogonal": "ranvier.nets.init:orthogonal",
        "zero": "ranvier.nets.init:zero",
    },
    "norm": {
        "none": "ranvier.nets.norms:none",
        "batch": "ranvier.nets.norms:batch",
        "layer": "ranvier.nets.norms:layer",
        "group": "ranvier.nets.norms:group",
        "rms": "ranvier.nets.norms:rms",
    },
    "loss": {
        "squared_error": "ranvier.ops.losses:squared_error",
        "half_squared_error": "ranvier.ops.losses:half_squared_error",
        "absolute_error": "ranvier.ops.losses:absolute_error",
        "huber": "ranvier.ops.losses:huber",
        "quantile": "ranvier.ops.losses:quantile",
        "cross_entropy": "ranvier.ops.losses:cross_entropy",
        "soft_cross_entropy": "ranvier.ops.losses:soft_cross_entropy",
        "binary_cross_entropy": "ranvier.ops.losses:binary_cross_entropy",
        "focal": "ranvier.ops.losses:focal",
        "binary_focal": "ranvier.ops.losses:binary_focal",
        "hinge": "ranvier.ops.losses:hinge",
        "binary_hinge": "ranvier.ops.losses:binary_hinge",
        "kl": "ranvier.ops.losses:kl",
        "cosine": "ranvier.ops.losses:cosine",
        "info_nce": "ranvier.ops.contrastive:info_nce",
        "triplet": "ranvier.ops.contrastive:triplet",
    },
}


# (kind, part) -> {an option's name before: its name now}, for plans and models of earlier versions
RENAMED: dict[tuple[str, str], dict[str, str]] = {
    ("encoder", "transformer"): {"feedforward": "activation"},
}

# (kind, part) -> {an option's name now: {a value before: the value now}}, for the same
REVALUED: dict[tuple[str, str], dict[str, dict[str, str]]] = {
    ("head", "number"): {
        "loss": {"squared": "squared_error", "half_squared": "half_squared_error", "absolute": "absolute_error"}
    },
    ("head", "set"): {"loss": {"focal": "binary_focal"}},
}


def renamed(kind: str, named: dict[str, Any]) -> dict[str, Any]:
    """A named part with the names that its options, and their values, have now."""
    part = (kind, named.get("name", ""))
    names_now, values_now = RENAMED.get(part, {}), REVALUED.get(part, {})
    current = {names_now.get(option, option): value for option, value in named.items()}
    for option, now in values_now.items():
        if isinstance(current.get(option), str):
            current[option] = now.get(current[option], current[option])
    return current


def names(kind: str) -> list[str]:
    """The names known of a kind of part."""
    return list(TABLES[kind])


def unknown(kind: str, name: str) -> str:
    """What is wrong with a name that no part of the kind has."""
    return f"unknown {kind} {name!r}; {did_you_mean(name, TABLES[kind], PARTS.get(kind))}"


@cache
def lookup(kind: str, name: str) -> Any:
    """The class or function of that name. Raises PlanError for an unknown one."""
    if name not in TABLES[kind]:
        raise PlanError(unknown(kind, name))
    module, _, attribute = TABLES[kind][name].partition(":")
    return getattr(import_module(module), attribute)
