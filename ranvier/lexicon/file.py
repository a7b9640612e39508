"""Files of word vectors: word2vec's text and binary formats, GloVe's, and a whole one with n-grams (safetensors)."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from ranvier.core.counts import counted
from ranvier.core.errors import DataError, FileError
from ranvier.core.whole import whole_file
from ranvier.data.header import is_float
from ranvier.lexicon.grams import Grams

WHOLE, BINARY = ".safetensors", ".bin"
ENDINGS = (".txt", ".vec", BINARY, WHOLE)  # that vectors of words are written under
FASTTEXT = (793_712_314).to_bytes(4, "little")  # what fastText's own models begin with
LINES = 4096  # handled at once
Content = tuple[list[str], np.ndarray, Grams | None]


def write_binary(path: Path, words: list[str], vectors: np.ndarray, spaces: str) -> None:
    """Writes "count width", then each word, a space, its numbers (float32, little-endian). Raises as `write_text`."""
    written = _without_spaces(words, spaces)
    try:
        with path.open("wb") as out:
            out.write(f"{len(words)} {vectors.shape[1]}\n".encode())
            rows = vectors.astype("<f4")
            out.writelines(word.encode() + b" " + row.tobytes() for word, row in zip(written, rows, strict=True))
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None


def write_text(path: Path, words: list[str], vectors: np.ndarray, spaces: str) -> None:
    """Writes "count width", then a line for each word. Raises DataError for words with white space, FileError."""
    written = _without_spaces(words, spaces)
    try:
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(f"{len(words)} {vectors.shape[1]}\n")
            for start in range(0, len(words), LINES):
                rows = vectors[start : start + LINES].tolist()
                some = zip(written[start : start + LINES], rows, strict=True)
                out.writelines(f"{word} {' '.join(f'{x:.9g}' for x in row)}\n" for word, row in some)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None


def _without_spaces(words: list[str], spaces: str) -> list[str]:
    if any(sign.isspace() for sign in spaces):
        raise DataError(f"spaces = {spaces!r}: expected a text without white space, such as '_'")
    odd = [word for word in words if word.split() != [word]]
    if not odd:
        return words
    if not spaces:
        raise DataError(
            f"{counted(len(odd), 'word|words holds|hold')} white space, such as {odd[0]!r}, which this format "
            f"cannot; give spaces='_' to write that in its place, or save to a file that ends in {WHOLE}"
        )
    written = [spaces.join(word.split()) or spaces for word in words]
    if len(set(written)) < len(written):
        raise DataError(f"with spaces = {spaces!r} two words would be the same; give another text")
    return written


def write_whole(path: Path, words: list[str], vectors: np.ndarray, grams: Grams | None) -> None:
    """Writes everything, atomically. Raises FileError."""
    facts: dict[str, Any] = {"format": "ranvier embeddings", "version": 1, "words": words}
    arrays = {"vectors": vectors}
    if grams is not None:
        facts |= {"lengths": list(grams.lengths), "buckets": grams.buckets}
        arrays |= {"rows": grams.rows, "table": grams.table}
    try:
        with whole_file(path) as file:
            file.write(save_arrays(arrays, {"facts": json.dumps(facts, ensure_ascii=False)}))
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None


def read(path: Path) -> Content:
    """Words, vectors and n-grams of a file of any kind. Raises FileError for what is damaged or of another kind."""
    try:
        if path.suffix not in (WHOLE, BINARY):
            with path.open("rb") as lines:
                return _text(lines, path)
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"there is no file {path}") from None
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    return (_whole if path.suffix == WHOLE else _binary)(content, path)


def _whole(content: bytes, path: Path) -> Content:
    try:
        arrays = load_arrays(content)
        size = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["facts"])
        words, vectors, grams = facts["words"], arrays["vectors"], None
        if "table" in arrays:
            grams = Grams(
                (int(facts["lengths"][0]), int(facts["lengths"][1])),
                int(facts["buckets"]),
                arrays["rows"],
                arrays["table"],
            )
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError):
        raise FileError(f"{path} holds no embeddings, or is damaged; make it anew with Embeddings.save") from None
    fits = isinstance(words, list) and all(isinstance(word, str) for word in words)
    fits = (
        fits and vectors.ndim == 2 and len(vectors) == len(words) and vectors.size > 0 and vectors.dtype == np.float32
    )
    if grams is not None:
        shape = (len(grams.rows), vectors.shape[-1])
        fits = (
            fits
            and grams.table.shape == shape
            and grams.rows.dtype == np.int64
            and grams.buckets > 0
            and grams.table.dtype == np.float32
        )
        fits = fits and bool((np.diff(grams.rows) > 0).all()) and bool(np.isfinite(grams.table).all())
    if not fits:
        raise FileError(f"{path} is damaged: its words, vectors and n-grams do not fit one another")
    _check(words, vectors, path)
    return words, vectors, grams


def _binary(content: bytes, path: Path) -> Content:
    if content.startswith(FASTTEXT):
        raise FileError(f"{path} is a model of fastText's own; save its vectors as text (.vec), and read these")
    first, _, _ = content.partition(b"\n")
    count, width = _header(first.decode("ascii", "replace"), path)
    place, size = len(first) + 1, 4 * width
    vectors = np.empty((min(count, len(content) // size), width), np.float32)
    words: list[str] = []
    for number in range(count):
        space = content.find(b" ", place)
        end = space + 1 + size
        if space < 0 or end > len(content):
            raise FileError(f"{path} says that it holds {count:,} words, and has {number:,}; it may be cut off")
        try:
            words.append(content[place:space].removeprefix(b"\n").decode())
        except UnicodeDecodeError as error:
            raise FileError(f"{path}: word {number + 1:,} is no text in UTF-8 (byte {error.start})") from None
        if not words[-1]:
            raise FileError(f"{path}: word {number + 1:,} is empty; leave it out")
        vectors[number] = np.frombuffer(content, "<f4", width, space + 1)
        place = end
    if content[place:].strip():
        raise FileError(f"{path} says that it holds {count:,} words, and goes on after them; mend the first line")
    _check(words, vectors, path)
    return words, vectors, None


def _text(source: Iterable[bytes], path: Path) -> Content:
    """Of lines, some at a time: of the text no more is held."""
    lines = _decoded(source, path)
    first = next(lines, "")
    if counted := _is_header(first):
        count, width = _header(first, path)
    else:
        count, width, lines = 0, _width(first, path), chain([first], lines)
    words: list[str] = []
    parts = []
    while some := list(islice(lines, LINES)):
        start = len(words) + 1 + counted
        rows = [_fields(line, width, number, path) for number, line in enumerate(some, start)]
        words += [fields[0] for fields in rows]
        parts.append(_numbers([fields[1:] for fields in rows], start, path))
    if counted and len(words) != count:
        ends = "it may be cut off" if len(words) < count else "mend the first line"
        raise FileError(f"{path} says that it holds {count:,} words, and has {len(words):,} lines of them; {ends}")
    vectors = np.concatenate(parts)
    _check(words, vectors, path)
    return words, vectors, None


def _decoded(source: Iterable[bytes], path: Path) -> Iterator[str]:
    """The lines without their ends."""
    for number, line in enumerate(source, 1):
        try:
            yield (line.removeprefix(BOM_UTF8) if number == 1 else line).decode().rstrip(" \r\n")
        except UnicodeDecodeError:
            raise FileError(
                f"{path}, line {number:,}: no text in UTF-8; binary files of word2vec are read by the ending {BINARY}"
            ) from None


def _fields(line: str, width: int, number: int, path: Path) -> list[str]:
    """The word, which may hold spaces in GloVe's files, and its numbers."""
    fields = line.rsplit(" ", width)
    many = " " in fields[0] and is_float(fields[0].rpartition(" ")[2])
    if len(fields) != width + 1 or not fields[0] or many:
        raise FileError(
            f"{path}, line {number:,}: expected a word and {width} numbers, got {line!r:.60}; mend that line or "
            "leave it out"
        )
    return fields


def _is_header(line: str) -> bool:
    fields = line.split()
    return len(fields) == 2 and all(field.isascii() and field.isdecimal() and len(field) < 10 for field in fields)


def _header(line: str, path: Path) -> tuple[int, int]:
    if not _is_header(line):
        raise FileError(f"{path}: the first line is {line!r:.60}, and must be 'count width', such as '10000 100'")
    count, width = map(int, line.split())
    if count < 1 or width < 1:
        raise FileError(f"{path} holds {count} words of width {width}; at least one of one is needed")
    return count, width


def _width(line: str, path: Path) -> int:
    """How many numbers stand after the first word of a file that does not tell, as GloVe's. Raises FileError."""
    _, *numbers = line.split(" ")
    if len(numbers) < 2 or not all(map(is_float, numbers)):
        raise FileError(
            f"{path}: the first line is {line!r:.60}, and must be 'count width', such as '10000 100', or a word and "
            "its numbers, set apart by single spaces, as GloVe has them"
        )
    return len(numbers)


def _numbers(fields: list[list[str]], first: int, path: Path) -> np.ndarray:
    try:
        return np.array(fields, dtype=np.float32)
    except ValueError:
        for number, line in enumerate(fields, first):
            try:
                np.array(line, dtype=np.float32)
            except ValueError as error:
                raise FileError(f"{path}, line {number:,}: {error}; a word and numbers were expected") from None
        raise


def _check(words: list[str], vectors: np.ndarray, path: Path) -> None:
    """Raises FileError for numbers that are none, and words that stand there twice."""
    finite = np.isfinite(vectors).all(1)
    if not finite.all():
        word = words[int(np.flatnonzero(~finite)[0])]
        raise FileError(f"{path}: the vector of {word!r} holds what is no finite number; leave that word out")
    seen: set[str] = set()
    for word in words:
        if word in seen:
            raise FileError(f"{path}: the word {word!r} stands there twice; leave one of them out")
        seen.add(word)
