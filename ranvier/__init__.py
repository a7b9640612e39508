"""Ranvier: columns in, columns out; deep learning for any data, at the speed of the hardware."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ranvier.core.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from ranvier import nets, ops, samples, train
    from ranvier.core.errors import DataError, FileError, PlanError, RanvierError, RanvierWarning, RunError
    from ranvier.core.plan import Plan
    from ranvier.data.read import read
    from ranvier.estimators.classifier import Classifier
    from ranvier.estimators.regressor import Regressor
    from ranvier.lexicon.vectors import Embeddings, embeddings_from
    from ranvier.model.chat import Chat
    from ranvier.model.embeddings import embeddings
    from ranvier.model.fidelity import fidelity
    from ranvier.model.find_lr import find_lr
    from ranvier.model.fit import fit, resume
    from ranvier.model.model import Model, load
    from ranvier.model.overlay import draw
    from ranvier.model.pretrain import pretrain
    from ranvier.model.style import style
    from ranvier.planning.make import make_plan as plan

# name -> "module:attribute", or "module:" for the module itself; imported when first used
_NAMES = {
    "Chat": "ranvier.model.chat:Chat",
    "Classifier": "ranvier.estimators.classifier:Classifier",
    "DataError": "ranvier.core.errors:DataError",
    "Embeddings": "ranvier.lexicon.vectors:Embeddings",
    "FileError": "ranvier.core.errors:FileError",
    "Model": "ranvier.model.model:Model",
    "Plan": "ranvier.core.plan:Plan",
    "PlanError": "ranvier.core.errors:PlanError",
    "RanvierError": "ranvier.core.errors:RanvierError",
    "RanvierWarning": "ranvier.core.errors:RanvierWarning",
    "Regressor": "ranvier.estimators.regressor:Regressor",
    "RunError": "ranvier.core.errors:RunError",
    "draw": "ranvier.model.overlay:draw",
    "embeddings": "ranvier.model.embeddings:embeddings",
    "embeddings_from": "ranvier.lexicon.vectors:embeddings_from",
    "fidelity": "ranvier.model.fidelity:fidelity",
    "find_lr": "ranvier.model.find_lr:find_lr",
    "fit": "ranvier.model.fit:fit",
    "load": "ranvier.model.model:load",
    "nets": "ranvier.nets:",
    "ops": "ranvier.ops:",
    "plan": "ranvier.planning.make:make_plan",
    "pretrain": "ranvier.model.pretrain:pretrain",
    "read": "ranvier.data.read:read",
    "resume": "ranvier.model.fit:resume",
    "samples": "ranvier.samples:",
    "style": "ranvier.model.style:style",
    "train": "ranvier.train:",
}

__all__ = [
    "Chat",
    "Classifier",
    "DataError",
    "Embeddings",
    "FileError",
    "Model",
    "Plan",
    "PlanError",
    "RanvierError",
    "RanvierWarning",
    "Regressor",
    "RunError",
    "draw",
    "embeddings",
    "embeddings_from",
    "fidelity",
    "find_lr",
    "fit",
    "load",
    "nets",
    "ops",
    "plan",
    "pretrain",
    "read",
    "resume",
    "samples",
    "style",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        from ranvier.core.unknown import no_attribute

        raise no_attribute(__name__, name, _NAMES)
    module, _, attribute = _NAMES[name].partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
