"""Tables from Python objects: frames, arrays, tensors, dicts, (X, y). Their libraries are not imported here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl

from ranvier.core.errors import DataError, MissingExtra
from ranvier.data.records import check_lengths, from_records, series_of
from ranvier.data.table import Table, check_names, tidy

_KNOWN = (
    "a path, a list of paths, a folder of images, a pandas or polars frame, a pyarrow table, a dict of arrays, "
    "an array, a list of dicts, or (X, y)"
)


ONE = (str, bytes, bool, int, float, date, np.generic)  # what is one value, not a column of them


def read_memory(source: Any) -> Table:
    """A table from a Python object. Raises DataError for one that cannot be taken as a table."""
    if isinstance(source, Table):
        return source
    if isinstance(source, pl.DataFrame | pl.LazyFrame | pl.Series):
        return tidy(Table(_polars(source)), "the polars frame")
    library = type(source).__module__.partition(".")[0]
    if library == "pandas":
        return _pandas(source)
    if library == "pyarrow":
        return _pyarrow(source)
    if isinstance(source, Mapping):
        return _mapping(source)
    if isinstance(source, tuple) and len(source) == 2:
        return _pair(*source)
    if isinstance(source, np.ndarray) and source.dtype.names:
        return _mapping({name: source[name] for name in source.dtype.names})
    if _is_array(source):
        return _table(_features(source, "x"), "the array")
    if isinstance(source, list) and source and isinstance(source[0], list | tuple | np.ndarray):
        return _table(_features(source, "x"), "the list")
    if isinstance(source, list) and source and isinstance(source[0], Mapping):
        return tidy(from_records(source, "the list"), "the list")
    kind = type(source).__name__
    what = f"an empty {kind}" if isinstance(source, list | tuple) and not source else f"{kind} {source!r:.60}"
    raise DataError(f"cannot read a table from {what}; expected {_KNOWN}")


def to_numpy(value: Any, where: str = "the array") -> np.ndarray:
    """An array or tensor (recognised by its methods) as numpy, bfloat16 as float32."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
        value = value.numpy()
    if isinstance(value, np.ma.MaskedArray):
        if value.dtype.kind not in "biuf":
            raise DataError(f"{where} is a masked array of {value.dtype}; give a list with None where it is masked")
        value = np.ma.filled(value.astype(np.float64), np.nan) if np.ma.is_masked(value) else value.data
    made = np.asarray(value)
    if made.dtype.kind == "c":
        raise DataError(f"{where} holds complex numbers; give the real and the imaginary part apart")
    if made.dtype.kind == "M" and np.datetime_data(made.dtype)[0] not in ("D", "ms", "us", "ns"):
        made = made.astype("datetime64[ms]")
    if made.dtype.kind == "f" and made.dtype.itemsize > 8:
        made = made.astype(np.float64)
    return made if made.dtype.isnative else made.astype(made.dtype.newbyteorder("="))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def _polars(source: pl.DataFrame | pl.LazyFrame | pl.Series) -> pl.DataFrame:
    if isinstance(source, pl.LazyFrame):
        try:
            return source.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"the polars LazyFrame cannot be collected: {str(error).splitlines()[0]}") from None
    if isinstance(source, pl.Series):
        return (source if source.name else source.alias("value")).to_frame()
    return source


def _pandas(source: Any) -> Table:
    """A pandas frame or series. Its index is left out, and told unless it is a nameless count."""
    if not hasattr(source, "columns"):
        source = source.to_frame(name="value" if source.name is None else source.name)
    names = [str(name) for name in source.columns]
    check_names(names, "the pandas frame")
    notes: list[str] = []
    named = [str(name) for name in source.index.names if name is not None]
    if named or source.index.dtype.kind not in "iu":
        which = ", ".join(named) or "without a name"
        notes.append(f"the index ({which}) of the pandas frame is left out; reset_index() makes it a column")
    pairs = zip(names, source.items(), strict=True)
    frame = pl.DataFrame([_pandas_column(column, name, notes).alias(name) for name, (_, column) in pairs])
    return tidy(Table(frame, notes), "the pandas frame", nan_free=True)


def _pandas_column(column: Any, name: str, notes: list[str]) -> pl.Series:
    kind = str(column.dtype)
    if (isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufMc") or kind.startswith("Sparse"):
        return pl.Series(name, to_numpy(column.to_numpy(), f"column {name!r}"), nan_to_null=True)
    if kind == "object" or (kind == "category" and str(column.cat.categories.dtype) == "object"):
        return _object_column(name, column.astype(object).where(column.notna(), None).tolist(), notes)
    try:
        if kind.startswith(("period", "interval")):
            column = column.astype(str)
        return pl.Series(name, pl.from_pandas(column))
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "pandas") from None
    except (TypeError, ValueError, NotImplementedError) as error:  # what pyarrow's own errors derive from
        raise DataError(f"column {name!r} of the pandas frame ({kind}) cannot be read: {error}") from None


def _object_column(name: str, values: list[Any], notes: list[str]) -> pl.Series:
    values = [None if type(v).__name__ in ("NAType", "NaTType") or v is None else _plain(v) for v in values]
    return series_of(name, values, "the frame", notes)


def _plain(value: Any) -> Any:
    """numpy scalars as Python's own, arrays, tensors and sets as lists, paths as text, Pillow's pictures as files."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, np.generic) and value.dtype.kind in "biufSU":
        return value.item()
    if _is_array(value):
        return to_numpy(value).tolist()
    if type(value).__module__.partition(".")[0] == "PIL":
        return _encoded(value)
    return value


def _encoded(picture: Any) -> bytes:
    """A picture of Pillow's as a file that keeps its mode, palette and transparency."""
    buffer = BytesIO()
    picture.save(buffer, "TIFF" if picture.mode in ("CMYK", "F", "YCbCr", "LAB") else "PNG")
    return buffer.getvalue()


def _pyarrow(source: Any) -> Table:
    if hasattr(source, "schema"):
        check_names(source.schema.names, "the pyarrow table")
    made = pl.from_arrow(source)
    if isinstance(made, pl.Series):
        made = made.to_frame("value")
    return tidy(Table(made), "the pyarrow table")


def _mapping(source: Mapping[Any, Any]) -> Table:
    columns = {}
    check_names([str(name) for name in source], "the dict")
    if source and all(value is None or isinstance(value, ONE) for value in source.values()):
        source = {name: [value] for name, value in source.items()}  # a single row
    for name, values in source.items():
        if isinstance(values, set | frozenset | Mapping):
            raise DataError(
                f"column {str(name)!r} is a {type(values).__name__}, which has no order of rows; give a list"
            )
        if isinstance(values, str | bytes) or not (hasattr(values, "__len__") or _is_array(values)):
            raise DataError(f"column {str(name)!r} is a single value ({values!r:.40}); give one value for each row")
        if _is_array(values) and not np.ndim(values):
            raise DataError(f"column {str(name)!r} is an array without axes; its first axis must be the rows")
        columns[str(name)] = values
    return _table(columns, "the dict")


def _table(columns: Mapping[str, Any], where: str) -> Table:
    """Named sequences as a table; (N, ...) arrays become columns of arrays without a copy by rows."""
    if not columns:
        raise DataError(f"{where} has no columns")
    check_lengths({name: len(values) for name, values in columns.items()}, where)
    notes: list[str] = []
    return tidy(Table(pl.DataFrame([_column(n, v, where, notes) for n, v in columns.items()]), notes), where)


def _column(name: str, values: Any, where: str, notes: list[str]) -> pl.Series:
    if isinstance(values, pl.Series):
        return values.alias(name)
    if type(values).__module__.partition(".")[0] == "pandas":
        return _pandas(values.to_frame(name=name) if hasattr(values, "to_frame") else values).frame.to_series(0)
    if _is_array(values):
        array = to_numpy(values, f"column {name!r}")
        if array.dtype != object:
            return pl.Series(name, np.ascontiguousarray(array))
        values = array.tolist()
    elif type(values).__module__.partition(".")[0] == "pyarrow":
        return pl.Series(name, pl.from_arrow(values))
    elif not isinstance(values, Sequence):
        values = list(values)
    if len(values) and all(_is_array(value) for value in values):
        arrays = [to_numpy(value) for value in values]
        if len({(array.shape, array.dtype) for array in arrays}) == 1 and arrays[0].ndim:
            return pl.Series(name, np.stack(arrays))
        values = [array.tolist() for array in arrays]
    return series_of(name, [_plain(value) for value in values], where, notes)


def _features(x: Any, stem: str) -> dict[str, Any]:
    """(N, F) as columns x0 ... ; (N,) as x0; (N, ...) with more axes (images) as one column x."""
    if hasattr(x, "toarray"):
        raise DataError("X is a sparse matrix; give X.toarray() if it fits in memory")
    if isinstance(x, list | tuple):
        try:
            array = np.asarray(x) if x and not isinstance(x[0], str) else None
        except ValueError as error:
            raise DataError(f"X is a list of unequal rows: {error}") from None
        if array is None or array.ndim == 1:
            return {f"{stem}0": x}
        x = array
    array = to_numpy(x, "X")
    if array.ndim == 0:
        raise DataError("X is a single value; its first axis must be the rows")
    if array.ndim == 1:
        return {f"{stem}0": array}
    if array.ndim > 2:
        return {stem: array}
    columns = np.asfortranarray(array)
    return {f"{stem}{place}": columns[:, place] for place in range(array.shape[1])}


def _pair(x: Any, y: Any) -> Table:
    """(X, y): X's own names or x0 ...; y as its name or "target" (target0 ... for several)."""
    inputs = _frame_or_features(x, "x", "X")
    outputs = _frame_or_features(y, "target", "y")
    check_lengths({"X": inputs.frame.height, "y": outputs.frame.height}, "(X, y)")
    frame = outputs.frame
    if frame.columns in (["target0"], ["value"]):
        frame.columns = ["target"]
    both = [name for name in frame.columns if name in inputs.frame.columns]
    if both:
        raise DataError(f"X and y both have a column named {both[0]!r}; rename one")
    return Table(pl.concat([inputs.frame, frame], how="horizontal"), inputs.notes + outputs.notes)


def _frame_or_features(value: Any, stem: str, where: str) -> Table:
    library = type(value).__module__.partition(".")[0]
    if library == "pandas" and not hasattr(value, "index"):  # a pandas array, such as a column's `.values`
        value, library = value.to_numpy(dtype=object, na_value=None).tolist(), "builtins"
    frame_like = isinstance(value, Mapping | pl.DataFrame | pl.LazyFrame | pl.Series) or library in (
        "pandas",
        "pyarrow",
    )
    if frame_like or (isinstance(value, list) and value and isinstance(value[0], Mapping)):
        return read_memory(value)
    if not _is_array(value) and not isinstance(value, list | tuple) and not hasattr(value, "toarray"):
        raise DataError(f"{where} of (X, y) is a {type(value).__name__}; expected a frame, an array or a list")
    return _table(_features(value, stem), where)
