"""Starting from the weights of another model."""

from __future__ import annotations

from ranvier.core.column import Column
from ranvier.model.folder import digest
from ranvier.model.layout import Layout
from ranvier.model.model import Model
from ranvier.tasks.columns import ColumnsTask

CODED = ("index", "khot", "tokens")  # kinds whose numbers stand for words that the column has learnt


def start_from(layout: Layout, task: ColumnsTask, init: Model) -> str:
    """Copies the weights of `init`, part by part, where the part serves the same columns; says in a sentence how many.

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
    rest = f"; new, in whole or in part: {', '.join(new)}" if new else ""
    return f"init: {copied} of {total} tensors start from the given model{rest}"


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
