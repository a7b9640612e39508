"""Starting from the weights of another model, or from vectors of words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ranvier.columns.text import RESERVED, Text
from ranvier.columns.words import UNKNOWN, Words
from ranvier.core.column import Column
from ranvier.core.counts import agreed, counted
from ranvier.core.errors import FileError, PlanError
from ranvier.data.files import SUFFIXES
from ranvier.encoders.tokens import TokenReader
from ranvier.lexicon.file import ENDINGS
from ranvier.lexicon.vectors import Embeddings
from ranvier.model.folder import digest
from ranvier.model.layout import Layout
from ranvier.model.model import Model, load
from ranvier.nets.bag import HashedBag
from ranvier.planning.start import WIDE
from ranvier.tasks.columns import ColumnsTask

SCALE = 1.0  # root mean square of the copied vectors; at 0.1, as tokens start by chance, little was gained
CODED = ("index", "khot", "tokens", "identity")  # kinds whose numbers stand for words that the column has learnt


def opened(init: Any) -> Any:
    """What to start from: a path's model, or its vectors of words (by its ending); else what is given.

    Raises FileError for a path with neither.
    """
    if not isinstance(init, str | os.PathLike):
        return init
    path = Path(init)
    if path.suffix in SUFFIXES and path.suffix not in ENDINGS:
        raise FileError(
            f"init = {str(path)!r}: expected a model (.rv) or vectors of words ({', '.join(ENDINGS)}), and this is a "
            "table; rows to learn from are the data, and rows to judge by val or test"
        )
    return Embeddings.load(path) if path.suffix in ENDINGS else load(path)


def start_from(layout: Layout, task: ColumnsTask, init: Model) -> list[str]:
    """Copies the weights of `init`, part by part, where the part serves the same columns; says how many.

    Within a part, tensors are copied that have the same name and shape. A part of columns whose codes now stand for
    other words (labels, vocabulary) would be copied to the wrong places, and starts anew; so does a fuse of them.
    """
    given_parts, copied, total, new = init.task.parts(), 0, 0, []
    for name, part in task.parts().items():
        own = part.state_dict()
        alike = name in given_parts and _alike(name, layout, init.networks[0].layout)
        given = given_parts[name].state_dict() if alike else {}
        fitting = {key: tensor for key, tensor in given.items() if key in own and own[key].shape == tensor.shape}
        part.load_state_dict(fitting, strict=False)
        copied, total = copied + len(fitting), total + len(own)
        if len(fitting) < len(own):
            new.append(name)
    if not copied:
        return [f"init: NOTHING starts from the given model: {_strange(layout, init)}"]
    rest = f"; new, in whole or in part: {', '.join(new)}" if new else ""
    return [f"init: {copied} of {total} tensors start from the given model{rest}"]


def _strange(layout: Layout, init: Model) -> str:
    """Why no part of the network fits, and what to try."""
    mine, theirs = _roles(layout), _roles(init.networks[0].layout)
    if not mine & theirs:
        own, other = (", ".join(f"{name!r} as {role}" for role, name in sorted(one)) for one in (mine, theirs))
        return (
            f"it has {other}, and this network {own}. Parts are found by the names of columns: rename one, such as "
            "frame.rename({'new': 'old'}) of polars, and leave it in the same role"
        )
    return (
        "its encoders and heads of the same columns are of other kinds or sizes, or of another vocabulary; leave those "
        "out of the plan that are to be as in the model"
    )


def _roles(layout: Layout) -> set[tuple[str, str]]:
    plan = layout.plan
    return {*(("input", name) for name in plan.inputs), *(("target", name) for name in plan.targets)}


def _alike(part: str, layout: Layout, other: Layout) -> bool:
    """Whether a part of the network has the same meaning in both."""
    mine, theirs = _columns(layout)[part], _columns(other)[part]
    return mine == theirs and all(_same(layout.columns[name], other.columns[name]) for name in mine)


def _columns(layout: Layout) -> dict[str, list[str]]:
    """The columns that each part of the network serves, in their order."""
    encoders = {f"encoder of {name!r}": members for name, members in layout.groups.items()}
    fuse = {"fuse": [name for members in layout.groups.values() for name in members]}
    return {**encoders, **fuse, **{f"head of {name!r}": [name] for name in layout.plan.targets}}


def _same(mine: Column, theirs: Column) -> bool:
    assert mine.spec is not None
    if mine.spec.kind in CODED:
        return digest(mine.spec, mine.state()) == digest(theirs.spec, theirs.state())
    return mine.spec == theirs.spec  # numbers, pictures and vectors mean much the same whatever their scale


def start_from_words(layout: Layout, task: ColumnsTask, words: Embeddings) -> list[str]:
    """Copies vectors of words into the token embedding of each input of texts or words; says of how many tokens.

    Words of a column are looked up, pieces of texts put together (`Embeddings.piece`). What all words have in common,
    their mean, is taken off (Mu & Viswanath 2018, "All-but-the-Top"), and what is left is scaled to SCALE, or where a
    head names tokens by the same vectors to what those by chance have. Raises PlanError where widths differ, or no
    input has a token embedding.
    """
    notes = []
    named = any(head.itself == "hidden" for head in task.heads)
    common = words.vectors.mean(0)
    for name, encoder in zip(task.inputs, task.encoders, strict=True):
        table, column = _table(encoder), layout.columns.get(name)
        if table is None or not isinstance(column, Text | Words):
            continue
        if table.shape[1] != words.width:
            raise PlanError(_misfit(layout, name, table.shape[1], words.width))
        found = {place: vector for place, vector in enumerate(_vectors(column, words)) if vector is not None}
        if found:
            vectors = torch.from_numpy(np.stack(list(found.values())) - common).to(table)
            scale = table.square().mean().sqrt() if named else SCALE
            table[list(found)] = vectors * (scale / vectors.square().mean().sqrt().clamp(min=1e-12))
        told = f"init: {len(found):,} of {len(table):,} tokens of {name!r} start from the given vectors of words"
        if isinstance(column, Text) and 2 * len(found) < len(table):
            told += f"; with types={{{name!r}: 'words'}} words are read whole, and not in pieces"
        notes.append(told)
    if not notes:
        raise PlanError(
            "init: no input reads texts or words by an embedding that vectors of words could start; give a text the "
            "encoder lstm, gru, rnn, transformer or bag"
        )
    return notes


def _table(encoder: nn.Module) -> Tensor | None:
    """(tokens, width) the vectors by which an encoder reads its tokens, to be written into; None if it has none."""
    for part in encoder.modules():
        if isinstance(part, TokenReader):
            return part.embedding.weight.detach()
        if isinstance(part, HashedBag):
            return part.table.weight.detach()[: part.size]
    return None


def extend_words(columns: Mapping[str, Column], inputs: Iterable[str], words: Embeddings) -> list[str]:
    """Columns of words among the inputs learn the words that have vectors too; says how many training rows lack."""
    given = {name: columns[name] for name in inputs}
    added = {name: column.extend(words.words) for name, column in given.items() if isinstance(column, Words)}
    lack, known = "word|words that the training rows of", "lack is|are known by a|their vector|vectors"
    return [f"init: {counted(n, lack)} {name!r} {agreed(n, known)}" for name, n in added.items() if n]


def _misfit(layout: Layout, name: str, own: int, given: int) -> str:
    kind = layout.plan.inputs[name].encoder["name"]
    option = WIDE[kind]
    return (
        f"init: the vectors of words are {given} wide, and those of the tokens of {name!r} {own}: set "
        f"inputs.{name}.encoder.{option} = {given} (in Python: plan.inputs[{name!r}].encoder[{option!r}] = {given}), "
        f"or make vectors of width={own}"
    )


def _vectors(column: Text | Words, words: Embeddings) -> list[np.ndarray | None]:
    """Each token's vector, None for those that have none."""
    if isinstance(column, Words) and column.units == "words":
        return [*[None] * (UNKNOWN + 1), *words.pieces(column.words)]
    return [*[None] * len(RESERVED), *words.pieces(column.pieces()[len(RESERVED) :])]
