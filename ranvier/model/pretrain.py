"""A network for texts or pictures from such without labels, for others to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ranvier.core.training import Callback
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.fit import fit
from ranvier.model.model import Model
from ranvier.model.start import opened
from ranvier.planning.pretrain import pretraining


def pretrain(
    data: Any,
    *,
    column: str = "",
    kind: Literal["auto", "masked", "next", "contrastive"] = "auto",
    encoder: str | Mapping[str, Any] = "auto",
    init: Model | Embeddings | str | Path | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    inexact: bool = False,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Model:
    """Learns a language from a column of texts or words alone, or to see from pictures, for `fit(..., init=model)`.

    kind: of texts and words, "masked" (the default): a share of the tokens is hidden, and restored from those around
    them, which makes encoders, for columns that are read (Devlin et al. 2019); "next": each token is foreseen from
    those before it, which makes decoders, for columns that are written (the language model that `fit` makes of a text
    without inputs; Radford et al. 2018; Ramachandran et al. 2017). Of pictures, "contrastive" (the default): two views
    of each, cropped, mirrored and lit by chance, are to be known again among those of others (Chen et al. 2020,
    SimCLR); "masked": squares are hidden, and restored from the rest (Xie et al. 2022, SimMIM). data: whatever `fit`
    takes. column: which one, if there are several. encoder: what reads, or with "next" writes: of texts transformer
    (the default), lstm, gru or rnn, of pictures cnn (the default), convnext or vit, or a dict with options, such as
    {"name": "lstm", "width": 256}. settings: of `plan`, such as time, epochs, size, seed, val, test; by the columns'
    names and encoders another model finds what it can start from. The others as of `fit`. Raises PlanError, DataError,
    FileError, RunError.
    """
    init = opened(init)
    plan = pretraining(data, column=column, kind=kind, encoder=encoder, init=init, **settings)
    how: dict[str, Any] = {"folder": folder, "resume": resume, "inexact": inexact}
    return fit(plan, init=init, progress=progress, callbacks=callbacks, **how)
