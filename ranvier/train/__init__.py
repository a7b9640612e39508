"""The engine and all it needs; `fit` trains a plain module."""

from ranvier.train.engine import Engine, Progress
from ranvier.train.plain import fit
from ranvier.train.settings import Settings
from ranvier.train.sources import TensorSource

__all__ = ["Engine", "Progress", "Settings", "TensorSource", "fit"]
