"""Networks as plain torch modules, from tensors to tensors; they know no column.

The public names are imported when first asked for, so that importing this package is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier.nets.activations import make_activation as make_activation
    from ranvier.nets.bag import HashedBag as HashedBag
    from ranvier.nets.cnn import ResNet as ResNet
    from ranvier.nets.conditioned import ConditionedMLP as ConditionedMLP
    from ranvier.nets.conditioned import Fourier as Fourier
    from ranvier.nets.convnext import ConvNeXt as ConvNeXt
    from ranvier.nets.crf import CRF as CRF
    from ranvier.nets.decoder import RecurrentDecoder as RecurrentDecoder
    from ranvier.nets.dropout import Dropout as Dropout
    from ranvier.nets.dropout import DropPath as DropPath
    from ranvier.nets.dropout import SpatialDropout as SpatialDropout
    from ranvier.nets.fields import FieldNet as FieldNet
    from ranvier.nets.init import initialise as initialise
    from ranvier.nets.letters import Letters as Letters
    from ranvier.nets.mlp import MLP as MLP
    from ranvier.nets.ngrams import NGrams as NGrams
    from ranvier.nets.norms import make_norm as make_norm
    from ranvier.nets.numeric import Periodic as Periodic
    from ranvier.nets.numeric import PiecewiseLinear as PiecewiseLinear
    from ranvier.nets.pointer import Pointer as Pointer
    from ranvier.nets.pyramid import FeaturePyramid as FeaturePyramid
    from ranvier.nets.pyramid import PixelDecoder as PixelDecoder
    from ranvier.nets.rnn import GRU as GRU
    from ranvier.nets.rnn import LSTM as LSTM
    from ranvier.nets.rnn import RNN as RNN
    from ranvier.nets.skipgram import SkipGram as SkipGram
    from ranvier.nets.tabm import TabM as TabM
    from ranvier.nets.transformer import Transformer as Transformer
    from ranvier.nets.unet import UNet as UNet
    from ranvier.nets.upsample import ConvDecoder as ConvDecoder
    from ranvier.nets.vit import ViT as ViT
    from ranvier.nets.writer import Writer as Writer

_MODULES = {
    "MLP": "mlp",
    "TabM": "tabm",
    "ResNet": "cnn",
    "ConvNeXt": "convnext",
    "ViT": "vit",
    "ConvDecoder": "upsample",
    "UNet": "unet",
    "FeaturePyramid": "pyramid",
    "PixelDecoder": "pyramid",
    "ConditionedMLP": "conditioned",
    "FieldNet": "fields",
    "Fourier": "conditioned",
    "HashedBag": "bag",
    "PiecewiseLinear": "numeric",
    "Periodic": "numeric",
    "RNN": "rnn",
    "LSTM": "rnn",
    "GRU": "rnn",
    "Transformer": "transformer",
    "Letters": "letters",
    "SkipGram": "skipgram",
    "CRF": "crf",
    "Writer": "writer",
    "NGrams": "ngrams",
    "Pointer": "pointer",
    "RecurrentDecoder": "decoder",
    "DropPath": "dropout",
    "Dropout": "dropout",
    "SpatialDropout": "dropout",
    "initialise": "init",
    "make_activation": "activations",
    "make_norm": "norms",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
