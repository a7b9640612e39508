"""Tables from files: the format by suffix, packed ones unpacked, several files as one."""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import polars as pl

from ranvier.core.counts import counted
from ranvier.core.errors import DataError, did_you_mean
from ranvier.data.delimited import Delimited, Types, open_delimited
from ranvier.data.encoding import as_utf8
from ranvier.data.excel import EXCEL, read_excel
from ranvier.data.folder import IMAGES
from ranvier.data.header import SAMPLE, aligned, table_sign, told_aligned
from ranvier.data.packed import PACKED, contents, member_of
from ranvier.data.records import read_json, read_lines
from ranvier.data.table import Table, check_names, tidy, without_totals
from ranvier.data.typed import Typing

SUFFIXES = (
    ".csv",
    ".tsv",
    ".tab",
    ".dat",
    ".data",
    ".txt",
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".pq",
    ".arrow",
    ".feather",
    ".ipc",
    *EXCEL,
)
DELIMITED = (".csv", ".tsv", ".tab", ".dat", ".data")
_TABS = (".tsv", ".tab")
_ADVICE = {
    ".xls": "save it as .xlsx or CSV in the spreadsheet program",
    ".ods": "save it as .xlsx or CSV in the spreadsheet program",
    ".tar": "unpack it first",
    ".pkl": "load it in Python and give the frame or arrays",
    ".npy": "load it in Python and give the array",
    **dict.fromkeys(IMAGES, "pictures and tables cannot be read together; give the files of pictures alone"),
    ".toml": "a plan is run by `ranvier fit plan.toml`, or by rv.fit(rv.Plan.from_toml(text))",
    ".rv": "it is a model; to start from it, name it as init (--init)",
    ".npz": "load it in Python and give its arrays as a dict",
}


def expand(source: Path) -> list[Path]:
    """The paths that a path or a glob pattern stands for, sorted. Raises DataError if there is none."""
    path = source.expanduser()
    if os.path.exists(path):  # which a name that is too long has no error for
        return [path]
    if any(sign in str(source) for sign in "*?["):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        if not found:
            raise DataError(f"no file matches {str(source)!r}")
        return found
    texts = "; texts are given by the name of their column, as {'NAME': [...]}" if " " in path.name else ""
    raise DataError(f"no such file or folder: {str(source)!r}; {_neighbour(path)}{texts}")


def _neighbour(path: Path) -> str:
    folder = path.parent
    if not os.path.isdir(folder):
        return f"there is no folder {str(folder)!r}"
    known = [p.name for p in folder.iterdir() if p.is_dir() or suffix_of(p) in SUFFIXES]
    if not known:
        return f"in {str(folder)!r} there is no table or folder"
    return f"in {str(folder)!r}: {did_you_mean(path.name, known)}"


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case, without .gz and the like; of an archive that of its one file."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in PACKED else ""
    if packing == ".zip" and (not suffixes or suffixes[-1] not in SUFFIXES) and path.is_file():
        return Path(member_of(path)).suffix.lower()
    return suffixes[-1] if suffixes else ""


def read_files(paths: Sequence[Path], as_text: Collection[str] = ()) -> Table:
    """One or more files of the same columns, one below the other, in the given order.

    The types of CSV columns are decided over all files together, which are read in chunks: numbers are held as such,
    never all as text. Relative names of pictures start from the working directory, or else from the folder of the file
    that holds them. Raises DataError for a file that cannot be read, or whose columns are not those of the first.
    """
    if not paths:
        raise DataError("no files were given")
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if all(suffix_of(path) in DELIMITED for path in paths):
        return tidy(_read_delimited(paths, as_text), where)
    tables = [beside(_load(path, as_text), path.parent) for path in paths]
    first, notes = tables[0], [note for table in tables for note in table.notes]
    if len(tables) == 1:
        return tidy(first, where)
    for path, table in zip(paths[1:], tables[1:], strict=True):
        _same_columns(paths[0], first.frame.columns, path, table.frame.columns)
    aligned = [table.frame.select(first.frame.columns) for table in tables]
    try:
        return tidy(Table(pl.concat(aligned, how="vertical_relaxed"), notes), where)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"the files cannot be joined: {str(error).splitlines()[0]}") from None


def _read_delimited(paths: Sequence[Path], as_text: Collection[str]) -> Table:
    """CSV files chunk by chunk; columns that turn out to be no numbers after all are gone through once more."""
    files = DelimitedFiles(paths)
    typing = files.typed(as_text)
    return without_totals(Table(typing.finish(files.texts, files.notes), files.notes, typing.commas))


class DelimitedFiles:
    """CSV files of the same columns, chunk by chunk, as often as asked for. notes: what was repaired.

    size: of a chunk in bytes, 0 = as `Delimited` has it.
    """

    def __init__(self, paths: Sequence[Path], size: int = 0) -> None:
        self.notes: list[str] = []
        self.paths, self.files = list(paths), [_open(path, self.notes, size) for path in paths]
        self.names = self.files[0].names
        for path, file in zip(paths[1:], self.files[1:], strict=True):
            _same_columns(paths[0], self.names, path, file.names)

    def typed(self, as_text: Collection[str], *, hold: bool = True) -> Typing:
        """What the columns are, by all rows. Raises DataError for a file without rows."""
        typing = Typing(self.names, as_text, hold=hold)
        typing.guess(self.files[0].layout.sample, self.files[0].layout.names)
        for path, file in zip(self.paths, self.files, strict=True):
            rows = 0
            for frame in file.frames(typing.types, self.notes):
                typing.add(beside(Table(frame), path.parent).frame)
                rows += frame.height
            if not rows:
                raise DataError(f"{path} has a header ({', '.join(file.names[:8])}) but no rows")
        return typing

    def frames(self, types: Types, columns: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """The rows in chunks: strings, but for `types` (see `Delimited.frames`), once `typed` has seen all."""
        for path, file in zip(self.paths, self.files, strict=True):
            for frame in file.frames(types, [], columns):
                yield beside(Table(frame), path.parent).frame

    def texts(self, names: list[str]) -> pl.DataFrame:
        """Some columns of all rows as they were written."""
        return pl.concat(list(self.frames({}, names)), rechunk=True)


def _open(path: Path, notes: list[str], size: int) -> Delimited:
    return open_delimited(contents(path), str(path), notes, "\t" if suffix_of(path) in _TABS else None, size)


def _same_columns(path: Path, names: Sequence[str], other_path: Path, others: Sequence[str]) -> None:
    first, second = set(names), set(others)
    missing = [name for name in names if name not in second]
    extra = [name for name in others if name not in first]
    if missing or extra:
        what = f"lacks the column {missing[0]!r}" if missing else f"has a further column {extra[0]!r}"
        raise DataError(f"{other_path} {what} (compared with {path}); files read together need the same columns")


def _load(path: Path, as_text: Collection[str]) -> Table:
    """One file, its columns in the types that it says they have."""
    where, suffix = str(path), suffix_of(path)
    if suffix in DELIMITED:
        return _read_delimited([path], as_text)
    if suffix not in SUFFIXES:
        advice = _ADVICE.get(
            suffix, f"known are {' '.join(SUFFIXES)}, each also with {' '.join(PACKED)}, and folders of images"
        )
        raise DataError(f"{where}: unknown kind of file {suffix or '(no suffix)'!r}; {advice}")
    data = contents(path)
    notes: list[str] = []
    if suffix == ".txt":
        text = bytes(as_utf8(data, where, notes)).decode()
        sign, surely = table_sign(text[:SAMPLE])
        if surely:
            table = _read_delimited([path], as_text)
            told = [f"{where}: the lines are those of a table, and read as one"] if sign != " " else []
            return Table(table.frame, told + table.notes, table.commas)
        if sign:
            notes.append(
                f"{where}: each line is one value, though all hold {sign!r} equally often; if it sets columns apart, "
                "give the file the ending .csv"
            )
        elif aligned(text[:SAMPLE]):
            notes.append(told_aligned(where))
        return Table(_lines(text, where, notes), notes)
    if suffix in EXCEL:
        return without_totals(read_excel(bytes(data), where, as_text))
    if suffix in (".jsonl", ".ndjson", ".json"):
        table = (read_json if suffix == ".json" else read_lines)(bytes(as_utf8(data, where, notes)), where)
        return Table(table.frame, notes + table.notes)
    frame = _binary(bytes(data), suffix, where)
    check_names(frame.columns, where)
    return Table(frame, notes)


def beside(table: Table, folder: Path) -> Table:
    """The table with names of pictures that are found in its file's folder, and not where they point, led there."""
    found = []
    for column in table.frame:
        known = column.drop_nulls() if column.dtype == pl.String else column.clear()
        if len(known) and os.path.splitext(known[0])[1].lower() in IMAGES:
            found.append(pl.Series(column.name, [name and _in_folder(name, folder) for name in column.to_list()]))
    return Table(table.frame.with_columns(found), table.notes) if found else table


def _in_folder(name: str, folder: Path) -> str:
    beside = folder / name  # an absolute name stays what it is
    return str(beside) if not os.path.exists(name) and beside.exists() else name


def _lines(text: str, where: str, notes: list[str]) -> pl.DataFrame:
    """Every line that is not blank as a row of the column "text"."""
    lines = text.splitlines()
    kept = [line for line in lines if line.strip()]
    if len(kept) < len(lines):
        notes.append(f"{where}: {counted(len(lines) - len(kept), 'blank line|lines is|are left out')}")
    return pl.DataFrame({"text": kept})


def _binary(data: bytes, suffix: str, where: str) -> pl.DataFrame:
    try:
        if suffix in (".parquet", ".pq"):
            return pl.read_parquet(io.BytesIO(data))
        if data.startswith(b"ARROW1"):
            return pl.read_ipc(io.BytesIO(data))
        return pl.read_ipc_stream(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        kind = "Parquet" if suffix in (".parquet", ".pq") else "Arrow"
        told = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{where} is no readable {kind} file: {told}") from None
