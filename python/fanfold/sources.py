"""Whatever holds numbers, as NumPy arrays over the same memory: the gate through which data come in.

The first entry of `_WAYS` that knows an object opens it. Their order matters: columns of pandas and arrays of xarray
offer Arrow's protocol too, but copy for it, and an array with a lock would be copied element by element. Nothing
optional is imported: an object can only be one of pandas', say, if pandas is loaded.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold.checks import SIMPLE, Problems, shown

Array = npt.NDArray[Any]

KINDS = "biufcmM"
"""Of the dtypes that hold numbers or times."""


class _Refused(Exception):
    """Why an object is not taken, said behind the name of the argument, with the remedy."""


class Opening(NamedTuple):
    """What it took to open the data."""

    bytes_copied: int
    """Of what could not be read where it lies."""
    left_out: dict[Any, str]
    """By their names, why columns of a table are not among the arrays."""


NOTHING = Opening(0, {})


class Source(NamedTuple):
    """The data of a call, opened."""

    data: Any
    """An array, or arrays by the names of columns."""
    by: Any
    """The labels; where they were the name of a column, that column."""
    opening: Opening = NOTHING
    is_table: bool = False
    """Whether it is a table, which may have columns that some functions have no answer for."""


def opened(value: Any, by: Any, problems: Problems) -> Source | None:
    """The source of these data; if there is none, its problems are added."""
    if type(value) is np.ndarray:
        return Source(value, by)
    known = len(problems)
    try:
        columns = value if isinstance(value, Mapping) else _columns(value)
        if columns is None:
            array, copied = _array(value, "data")
            return Source(array, by, Opening(copied, {}))
        columns, by = _by_name(columns, by)
        source = _dict(columns, by, problems) if isinstance(value, Mapping) else _table(columns, by)
    except _Refused as refused:
        problems.append(TypeError(f"data {refused}"))
    return source if len(problems) == known else None


def _by_name(columns: Mapping[Any, Any], by: Any) -> tuple[Mapping[Any, Any], Any]:
    """Labels in place of the names of columns that hold them; these columns are then no data."""
    keys = by if isinstance(by, tuple) else (by,)
    known = {key for key in keys if isinstance(key, str) and key in columns}
    if not known:
        return columns, by
    found = [columns[key] if isinstance(key, str) and key in known else key for key in keys]
    rest = {name: column for name, column in columns.items() if name not in known}
    return rest, tuple(found) if isinstance(by, tuple) else found[0]


# ---------------------------------------------------------------------------------------------------------- tables


def _dict(columns: Mapping[Any, Any], by: Any, problems: Problems) -> Source:
    """A dict: every column is to be an array, and all faults are told."""
    arrays: dict[Any, Array] = {}
    copied = 0
    for key, column in columns.items():
        name = f"data[{shown(key)}]"
        try:
            arrays[key], more = _array(column, name)
            copied += more
        except _Refused as refused:
            problems.append(TypeError(f"{name} {refused}"))
    return Source(arrays, by, Opening(copied, {}))


def _table(columns: Mapping[Any, Any], by: Any) -> Source:
    """A table: its columns of numbers and times, and why the others are left out."""
    arrays: dict[Any, Array] = {}
    left_out: dict[Any, str] = {}
    copied = 0
    for key, column in columns.items():
        try:
            array, more = _array(column, f"data[{shown(key)}]")
        except _Refused as refused:
            left_out[key] = str(refused)
            continue
        if array.dtype.kind in KINDS:
            arrays[key] = array
            copied += more
        else:
            left_out[key] = f"has dtype {getattr(column, 'dtype', array.dtype)}, which holds no numbers"
    if not arrays:
        raise _Refused(f"is a table without a column of numbers: {left_out or 'it has no columns'}")
    return Source(arrays, by, Opening(copied, left_out), is_table=True)


def _columns(value: Any) -> dict[Any, Any] | None:
    """A table's columns by their names, if it is one."""
    pandas, polars, pyarrow, xarray = (sys.modules.get(name) for name in ("pandas", "polars", "pyarrow", "xarray"))
    if pandas is not None and isinstance(value, pandas.DataFrame):
        if not value.columns.is_unique:
            twice = value.columns[value.columns.duplicated()][0]
            raise _Refused(f"has two columns of the name {shown(twice)}: give them names of their own")
        return {name: value[name] for name in value.columns}
    if polars is not None and isinstance(value, polars.LazyFrame):
        raise _Refused("is a LazyFrame, which has not been computed: pass data.collect()")
    if polars is not None and isinstance(value, polars.DataFrame):
        return {column.name: column for column in value.get_columns()}
    if pyarrow is not None and isinstance(value, pyarrow.Table | pyarrow.RecordBatch):
        return _unique(value.schema.names, value.columns)
    if xarray is not None and isinstance(value, xarray.Dataset):
        return {name: value[name] for name in value.data_vars}
    if hasattr(value, "__arrow_c_stream__") and pyarrow is not None and not _is_column(value):
        with _refusals():
            table = pyarrow.table(value)
        return _unique(table.schema.names, table.columns)
    return None


def _unique(names: list[str], columns: list[Any]) -> dict[Any, Any]:
    for name in names:
        if names.count(name) > 1:
            raise _Refused(f"has two columns of the name {shown(name)}: give them names of their own")
    return dict(zip(names, columns, strict=True))


def _is_column(value: Any) -> bool:
    """Whether it is one of the kinds of column that are known by themselves."""
    return any(knows(value) for knows, _ in _BY_CLASS)


# ---------------------------------------------------------------------------------------------------------- arrays


def _array(value: Any, name: str) -> tuple[Array, int]:
    """An object's elements as an array, and how many bytes of them had to be copied."""
    if isinstance(value, str | complex | float | int | np.generic):
        kind = "a str" if isinstance(value, str) else "one number"
        raise _Refused(f"is {kind}, {shown(value)}: pass an array or a list of numbers")
    for knows, way in _WAYS:
        if knows(value):
            with _refusals():
                return way(value, name)
    kind = type(value).__name__
    if isinstance(value, Iterable) and not hasattr(value, "read"):
        raise _Refused(f"is a {kind}, which is no sequence of numbers: pass list({name})")
    raise _Refused(f"is a {kind}, which holds no numbers: pass an array, a list of numbers, a column or a table")


@contextmanager
def _refusals() -> Iterator[None]:
    """Other libraries, in any version, have many ways to say no."""
    try:
        yield
    except (_Refused, MemoryError):
        raise
    except Exception as error:
        raise _Refused(f"could not be read as an array ({type(error).__name__}: {error})") from error


def _of(module: str, *names: str) -> Callable[[Any], bool]:
    """Whether an object is one of a class of a module, which only matters if that is loaded."""

    def knows(value: Any) -> bool:
        found = sys.modules.get(module)
        kinds = tuple(getattr(found, name) for name in names if hasattr(found, name))
        return isinstance(value, kinds)

    return knows


def _numpy(value: Any, name: str) -> tuple[Array, int]:
    del name
    return value, 0


def _masked(value: Any, name: str) -> tuple[Array, int]:
    if np.ma.getmaskarray(value).any():
        advice = f"pass {name}.compressed(), or {name}.filled(np.nan) with nan_policy='omit'"
        raise _Refused(f"is a masked array, and its mask would be ignored: {advice}")
    return np.ma.getdata(value), 0


def _with_lock(value: Any, name: str) -> tuple[Array, int]:
    """The array within; whoever else writes to it has to be kept from it by the caller, who has the lock."""
    return _viewed(value.get_obj(), name)


def _shared_memory(value: Any, name: str) -> tuple[Array, int]:
    del value
    raise _Refused(f"is a SharedMemory, whose dtype is not known: pass np.ndarray(shape, dtype, {name}.buf)")


def _pandas(value: Any, name: str) -> tuple[Array, int]:
    """A Series or an Index; extension arrays by what they hold."""
    dtype = value.dtype
    if isinstance(dtype, np.dtype):
        return value.to_numpy(), 0
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow(value.array.__arrow_array__(), name)
    if hasattr(dtype, "numpy_dtype"):
        if value.hasnans:
            raise _nulls(int(value.isna().sum()), f"{name}.dropna()", f"{name}.to_numpy(float, na_value=np.nan)")
        array = value.array.to_numpy(dtype=dtype.numpy_dtype)
        return array, 0
    raise _Refused(f"has dtype {dtype}, which holds no numbers: pass a column of numbers or times")


def _nulls(count: int, without: str, filled: str) -> _Refused:
    advice = f"pass {without}, or {filled} with nan_policy='omit'"
    return _Refused(f"has missing elements ({count:,} null), for which a NumPy array has no place: {advice}")


def _polars(value: Any, name: str) -> tuple[Array, int]:
    if value.null_count():
        raise _nulls(value.null_count(), f"{name}.drop_nulls()", f"{name}.fill_null(float('nan'))")
    try:
        return value.to_numpy(allow_copy=False), 0
    except RuntimeError:
        # In several chunks, or bits.
        array = value.to_numpy()
        return array, array.nbytes


def _arrow(value: Any, name: str) -> tuple[Array, int]:
    """An array of pyarrow's, in one piece or in chunks."""
    if value.null_count:
        raise _nulls(value.null_count, f"{name}.drop_null()", f"{name}.fill_null(float('nan'))")
    if not SIMPLE.fullmatch(str(value.type)):
        raise _Refused(f"has type {value.type}, which holds no numbers: pass a column of numbers or times")
    pieces = getattr(value, "chunks", [value])
    if len(pieces) == 1 and not str(value.type).startswith("date"):
        # Bits of bools are unpacked.
        array = pieces[0].to_numpy(zero_copy_only=False)
        return array, array.nbytes if array.dtype == bool else 0
    array = value.to_numpy()
    return array, array.nbytes


def _arrow_capsule(value: Any, name: str) -> tuple[Array, int]:
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        raise _Refused("offers Arrow's protocol, which is read by pyarrow: import pyarrow first")
    return _arrow(pyarrow.array(value), name)


def _xarray(value: Any, name: str) -> tuple[Array, int]:
    if not isinstance(value.data, np.ndarray):
        raise _Refused(f"holds a {type(value.data).__name__}, which has not been computed: pass {name}.compute()")
    return value.data, 0


def _viewed(value: Any, name: str) -> tuple[Array, int]:
    """What NumPy can look at where it lies, or else has to copy."""
    del name
    if isinstance(value, bytes | bytearray):
        value = memoryview(value)
    try:
        return np.asarray(value, copy=False), 0
    except ValueError:
        array = np.asarray(value)
        return array, array.nbytes


def _dlpack(value: Any, name: str) -> tuple[Array, int]:
    del name
    return np.from_dlpack(value), 0


def _sequence(value: Any, name: str) -> tuple[Array, int]:
    """Numbers, or sequences of numbers of one length."""
    kind = type(value).__name__
    array = np.array(value)
    if array.dtype.kind not in KINDS:
        what = f"is a {kind} of which NumPy makes an array of dtype {array.dtype}"
        raise _Refused(f"{what}: pass numbers only, nan for those that are missing")
    del name
    return array, array.nbytes


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: any(hasattr(type(value), name) for name in names)


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value).release()
    except (TypeError, BufferError, ValueError):
        return False
    return True


_Way = Callable[[Any, str], tuple[Array, int]]

_Ways = tuple[tuple[Callable[[Any], bool], _Way], ...]

_BY_CLASS: _Ways = (
    (lambda value: isinstance(value, np.ma.MaskedArray), _masked),
    (lambda value: isinstance(value, np.ndarray), _numpy),
    (_of("multiprocessing.sharedctypes", "SynchronizedArray"), _with_lock),
    (_of("multiprocessing.shared_memory", "SharedMemory"), _shared_memory),
    (_of("pandas", "Series", "Index"), _pandas),
    (_of("xarray", "DataArray", "Variable"), _xarray),
    (_of("polars", "Series"), _polars),
    (_of("pyarrow", "Array", "ChunkedArray"), _arrow),
)

_WAYS: _Ways = (
    *_BY_CLASS,
    (_has("__arrow_c_array__"), _arrow_capsule),
    (lambda value: isinstance(value, list | tuple | range), _sequence),
    (_has("__array_interface__", "__array_struct__"), _viewed),
    (_is_buffer, _viewed),
    (_has("__dlpack__"), _dlpack),
    (_has("__array__"), _viewed),
)
