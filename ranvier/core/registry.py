"""The parts by name. Adding one is one file and one line here; it is imported when first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

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
    },
    "fuse": {
        "concat": "ranvier.encoders.fuse:Concat",
        "mlp": "ranvier.encoders.fuse:MLPFuse",
        "tabm": "ranvier.encoders.fuse:TabMFuse",
    },
    "head": {
        "category": "ranvier.heads.category:CategoryHead",
        "number": "ranvier.heads.number:NumberHead",
        "set": "ranvier.heads.set:SetHead",
    },
    "augment": {
        "image": "ranvier.feed.augment:ImageAugment",
    },
    "mix": {},
    "optimizer": {
        "sgd": "ranvier.train.optimizers:sgd",
        "momentum": "ranvier.train.optimizers:momentum",
        "nesterov": "ranvier.train.optimizers:nesterov",
        "rmsprop": "ranvier.train.optimizers:rmsprop",
        "adagrad": "ranvier.train.optimizers:adagrad",
        "adam": "ranvier.train.optimizers:adam",
        "adamw": "ranvier.train.optimizers:adamw",
        "muon": "ranvier.train.muon:muon",
    },
    "schedule": {
        "constant": "ranvier.train.schedules:constant",
        "linear": "ranvier.train.schedules:linear",
        "cosine": "ranvier.train.schedules:cosine",
    },
}


def names(kind: str) -> list[str]:
    """The names known of a kind of part."""
    return list(TABLES[kind])


@cache
def lookup(kind: str, name: str) -> Any:
    """The class or function of that name. Raises PlanError for an unknown one."""
    table = TABLES[kind]
    if name not in table:
        raise PlanError(f"unknown {kind} {name!r}; {did_you_mean(name, table)}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
