"""The keys of a data.yaml that tell where pictures are and what classes are called; no more of YAML than that."""

from __future__ import annotations

import re
from pathlib import Path

from ranvier.core.errors import DataError

FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
ENDINGS = (".yaml", ".yml")
PLACES = ("path", "train", "val", "test")
NAMES = "names"
_KEY = re.compile(r"^([\w-]+)\s*:(?:\s+(.*))?$")
_ITEM = re.compile(r"^\s*-\s+(.*)$")
_NUMBERED = re.compile(r"^\s*[\"']?(\d{1,9})[\"']?\s*:\s*(.*)$")
_PART = re.compile(r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^,])+")  # of a list: up to a comma outside quotes
_MOST = 2**20  # bytes of such a file


def read_keys(path: Path) -> tuple[dict[str, str], list[str]]:
    """The values of path, train, val and test as they are written, and the classes' names by their numbers.

    names may be a list, in brackets or a line each, or numbers with names, in braces or a line each; other keys are
    passed over. Raises DataError for names or a place in any other form.
    """
    if path.stat().st_size > _MOST:
        raise DataError(f"{path} has more than {_MOST:,} bytes, which is no description of a data set")
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error.reason})") from None
    blocks: dict[str, list[str]] = {}
    key = ""
    for line in map(_bare, lines):
        if found := _KEY.match(line):
            key = found[1]
            blocks[key] = [found[2] or ""]
        elif key and line.strip():
            blocks[key].append(line)
    places = {name: _place(blocks[name], f"{path}: {name}") for name in PLACES if name in blocks}
    return {name: place for name, place in places.items() if place}, _names(blocks.get(NAMES, []), f"{path}: {NAMES}")


def _bare(line: str) -> str:
    """Without its comment, which begins at a # outside quotes, first in the line or after a space."""
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and not line[:place].rstrip()[-1:].isalnum():
            quote = sign
        elif sign == "#" and (not place or line[place - 1].isspace()):
            return line[:place].rstrip()
    return line.rstrip()


def _place(block: list[str], where: str) -> str:
    value = _plain(block[0])
    if len(block) > 1 or value.startswith(("[", "{", "|", ">")):
        raise DataError(f"{where}: expected one folder of pictures, got {' '.join(block).strip()!r:.60}")
    return "" if value in ("null", "~") else value


def _names(block: list[str], where: str) -> list[str]:
    first, more = (block[0].strip(), block[1:]) if block else ("", [])
    if first[:1] in ("[", "{"):
        whole = " ".join([first, *map(str.strip, more)])
        if not whole.endswith("]" if first[0] == "[" else "}"):
            raise DataError(f"{where}: the list is not closed: {whole!r:.60}")
        parts = [part.strip() for part in _PART.findall(whole[1:-1]) if part.strip()]
        lines = [f"- {part}" for part in parts] if first[0] == "[" else parts
    elif first:
        raise DataError(f"{where}: expected a list of names, or numbers with names, got {first!r:.60}")
    else:
        lines = more
    items, numbered = [_ITEM.match(line) for line in lines], [_NUMBERED.match(line) for line in lines]
    if all(items):
        return [_plain(item[1]) for item in items if item]
    if all(numbered):
        found = {int(one[1]): _plain(one[2]) for one in numbered if one}
        if max(found) < 2 * len(found) + 100:  # a name for each number up to the highest, its own where none is given
            return [found.get(number, str(number)) for number in range(max(found) + 1)]
    odd = next(line for line, item, one in zip(lines, items, numbered, strict=True) if not item or not one)
    raise DataError(f"{where}: expected a list of names, or numbers with names, got {odd.strip()!r:.60}")


def _plain(value: str) -> str:
    """A value without its quotes."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1].replace('\\"', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text
