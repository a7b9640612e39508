"""Parts of pages that are made from the code itself: tables of options from signatures, verbs from the command line.

A page asks for one by a line such as `<!-- made: column -->`; `hook.py` puts it there whenever the site is built.
"""

from __future__ import annotations

import inspect
import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

import ranvier
from ranvier.cli.main import app
from ranvier.core.registry import lookup, names
from ranvier.core.schema import options_of

MARK = re.compile(r"^<!-- made: ([\w.]+) -->$", re.MULTILINE)
PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
BOUNDS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))
SHORT = ("activation", "init", "norm", "loss")  # plain functions and modules: a line each says enough
SPECIAL = re.compile(r"([\\*_<>\[\]#|$])")


def filled(page: str) -> str:
    """The page with all that it asks for. Raises KeyError for what cannot be made."""
    return MARK.sub(lambda found: made(found[1]), page)


def made(what: str) -> str:
    """Markdown of a kind of part ("encoder"), of the command line ("verbs"), or of names of a package ("api.nets")."""
    if what == "verbs":
        return verbs()
    if what.startswith("api."):
        return api(what.removeprefix("api."))
    return brief(what) if what in SHORT else parts(what)


def parts(kind: str) -> str:
    """Every part of a kind: what it is and its options."""
    return "\n\n".join(part(kind, name) for name in names(kind))


def part(kind: str, name: str) -> str:
    """One part: its name, its docstring and a table of its options."""
    found = lookup(kind, name)
    rows = [
        f"| `{option}` | {takes(one.annotation)} | `{shown(one.default)}` |"
        for option, one in options_of(found).items()
    ]
    table = "\n".join(["| option | takes | default |", "|---|---|---|", *rows]) if rows else "It has no options."
    return f"### `{name}` {{ #{kind}-{name} }}\n\n{prose(inspect.getdoc(found) or '')}\n\n{table}"


def brief(kind: str) -> str:
    """A table of a kind of part: name and first sentence."""
    rows = [f"| `{name}` | {prose(_first(lookup(kind, name)))} |" for name in names(kind)]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def _first(part: Any) -> str:
    return " ".join((inspect.getdoc(part) or "").partition("\n\n")[0].split())


def takes(annotation: Any) -> str:
    """What an option takes, in words; the values of a choice as code."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bounded(*get_args(annotation))
    if origin in (Union, UnionType):
        return " or ".join(map(takes, get_args(annotation)))
    if origin is Literal:
        return ", ".join(f"`{shown(value)}`" for value in get_args(annotation))
    if origin in (list, tuple):
        return f"a list, each {takes(get_args(annotation)[0])}"
    if origin is dict:
        return "a table of values by name"
    return PLAIN.get(annotation) or f"`{getattr(annotation, '__name__', annotation)}`"


def _bounded(inner: Any, *marks: Any) -> str:
    limits: list[str] = []
    for mark in marks:
        if isinstance(mark, AfterValidator):
            kind = inspect.getclosurevars(mark.func).nonlocals["kind"]  # see `core.schema.one_of`
            return f"the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        for bound in mark.metadata if isinstance(mark, FieldInfo) else [mark]:
            limits += [f"{sign} {getattr(bound, name)}" for one, name, sign in BOUNDS if isinstance(bound, one)]
    return " ".join([takes(inner), " and ".join(limits)]).strip()


def shown(value: Any) -> str:
    """A value as a plan has it, in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def verbs() -> str:
    """Every verb of the command line, from the help that it prints."""
    group: Any = typer.main.get_command(app)
    functions = {one.name or one.callback.__name__: one.callback for one in app.registered_commands}
    return "\n\n".join(verb(name, command, functions[name]) for name, command in group.commands.items())


def verb(name: str, command: Any, function: Any) -> str:
    """One verb: what it does, its examples, and a table of its arguments and options for each panel of its help."""
    text = "\n\n".join(map(_said, (command.help or "").split("\n\n")))
    hints = get_type_hints(function)
    panels: dict[str, list[str]] = {}
    for one in command.params:
        panel = one.rich_help_panel or ("Arguments" if _argument(one) else "Options")
        panels.setdefault(panel, []).append(_row(one, hints.get(one.name)))
    tables = ["\n".join([f"| {panel} | | |", "|---|---|---|", *rows]) for panel, rows in panels.items()]
    return "\n\n".join([f"### `ranvier {name}` {{ #{name} }}", text, *tables])


def _said(paragraph: str) -> str:
    """A paragraph of help; the command after "Example:" as code."""
    head, colon, command = " ".join(paragraph.split()).partition(": ")
    if colon and command.strip().startswith("ranvier "):
        return f"{prose(head)}:\n\n```sh\n{command.strip()}\n```"
    return prose(" ".join(paragraph.split()))


def _argument(one: Any) -> bool:
    return not one.opts[0].startswith("-")


def _row(one: Any, hint: Any) -> str:
    named = (one.metavar or one.name).upper() if _argument(one) else " ".join([*one.opts, *one.secondary_opts])
    kind = one.metavar if one.metavar and not _argument(one) else _kind(hint)
    needed = " Required." if one.required else ""
    return f"| `{named}` | {prose(kind)} | {prose(' '.join((one.help or '').split()))}{needed} |"


def _kind(hint: Any) -> str:
    """What a value is: nothing for a flag."""
    inner = (
        [one for one in get_args(hint) if one is not type(None)] if get_origin(hint) in (Union, UnionType) else [hint]
    )
    many = get_origin(inner[0]) is list
    word = PLAIN.get(get_args(inner[0])[0] if many else inner[0], "")
    return "" if inner == [bool] else f"{word}, or several" if many else word


def api(where: str) -> str:
    """What mkdocstrings is to show: the public names of the package ("face") or of one of its rooms ("nets")."""
    if where == "face":
        modules = {"nets", "ops", "samples", "train"}
        return "\n\n".join(f"::: ranvier.{name}" for name in ranvier.__all__ if name not in modules)
    room = getattr(ranvier, where)
    return "\n\n".join(f"::: ranvier.{where}.{name}" for name in room.__all__)


def prose(text: str) -> str:
    """A docstring as Markdown: what Markdown would take for marks of its own is shown as it is, but for `code`."""
    pieces = re.split(r"(``?[^`\n]+``?)", text)
    return "".join(piece if piece.startswith("`") else SPECIAL.sub(r"\\\1", piece) for piece in pieces)
