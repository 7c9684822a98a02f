"""Open the data of a call: turn any object that holds numbers into NumPy arrays over the same memory.

The first entry of `_WAYS` that recognises an object opens it. The order matters. Columns of pandas and arrays of xarray
also offer Arrow's protocol, but they copy their elements for it. An array with a lock would be copied element by
element. This module imports no optional library: if an object is a pandas object, for example, pandas is already
loaded.
"""

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.checks import Problems, meant, shown
from fanfold.dimensions import Dimensions, is_named

Array = npt.NDArray[Any]

KINDS = "biufcmM"
"""The kinds of the dtypes that hold numbers or times."""


_ARROW = ("__arrow_c_array__", "__arrow_c_stream__")


class _Refused(Exception):
    """The reason why an object is refused, with the remedy. The message follows the name of the argument."""

    def __init__(self, why: str, argument: str = "data") -> None:
        super().__init__(why)
        self.argument = argument


class _Unread(str):
    """The reason why the elements of a column cannot be read, with the remedy."""

    labels: _core.ArrowLabels | None = None
    """The column as labels, if it can be labels."""


class Opening(NamedTuple):
    """What was copied, and what was left out, when the data were opened."""

    bytes_copied: int
    """The bytes of data that could not be read in place."""
    left_out: dict[Any, str]
    """The reasons why columns of a table are left out, by column name."""


NOTHING = Opening(0, {})

Elements = Array | _core.Source
"""An array, or a source. A source may have missing elements, several chunks, or bools stored as bits."""


class Opened(NamedTuple):
    """The opened data of a call, and the arguments that may be names of columns."""

    arrays: dict[Any, Elements]
    """The arrays by column name; a single array has the name None."""
    is_single: bool = True
    by: Any = None
    where: Any = None
    weights: Any = None
    axis: Any = None
    """The axis as a number."""
    opening: Opening = NOTHING
    dimensions: Dimensions | None = None
    """The names of the axes, if they have names."""
    group: Any = None
    """The name of the labels, if the axes have names."""
    is_table: bool = False
    """Whether the data are a table. Some functions may not support some columns of a table."""
    record: Array | None = None
    """The structured array that has these fields. Functions get this array unchanged."""

    @property
    def is_an_array(self) -> bool:
        """Return whether the data are one array with no class of its own and no named axes."""
        return self.is_single and self.dimensions is None and type(self.first) in (np.ndarray, _core.Source)

    @property
    def first(self) -> Elements:
        """Return the first array; all arrays have its shape."""
        return next(iter(self.arrays.values()))


def missing(elements: Elements) -> int:
    """Return how many elements are missing."""
    return elements.missing if isinstance(elements, _core.Source) else 0


def as_array(elements: Elements) -> tuple[Array, str]:
    """Return the elements that are present as an array, and the reason if they had to be copied."""
    if not isinstance(elements, _core.Source):
        return elements, ""
    count = elements.missing
    why = f"{count:,} elements are missing" if count else "they are not contiguous"
    return elements.gathered(), f"its elements were copied: {why}"


def opened(
    value: Any, by: Any = None, where: Any = None, weights: Any = None, axis: Any = None, *, problems: Problems
) -> Opened | None:
    """Return the data of a call as arrays. If that fails, add the problems and return None."""
    if type(value) is np.ndarray and value.dtype.fields is None and where is None and weights is None:
        return Opened({None: value}, by=by, axis=axis)
    known = len(problems)
    try:
        columns = _columns(value)
        dimensions, group = _dimensions(value, columns), None
        if dimensions is not None:
            axis = dimensions.axis(axis, problems)
            where = dimensions.aligned(where, "where", problems)
            weights = dimensions.aligned(weights, "weights", problems)
            if by is not None and not (isinstance(by, str) and isinstance(columns, Mapping) and by in columns):
                by, along, group = dimensions.labels(by, problems)
                axis = along if axis is None and len(dimensions.names) > 1 else axis
        if not isinstance(columns, Mapping):
            array, copied = _array(columns, "data")
            found = Opened({None: array}, by=by, opening=Opening(copied, {}))
        else:
            is_dict = columns is value
            columns, (by, where, weights) = _by_name(columns, by, where, weights)
            if isinstance(value, np.ndarray):
                found = _record(value, columns)
            else:
                found = _dict(columns, problems) if is_dict else _table(columns)
        where, more = _where(where)
        weights, most = _weights(weights)
        opening = Opening(found.opening.bytes_copied + more + most, found.opening.left_out)
        found = found._replace(by=by, where=where, weights=weights, axis=axis, opening=opening)
        found = found._replace(dimensions=dimensions, group=group)
    except _Refused as refused:
        problems.append(TypeError(f"{refused.argument} {refused}"))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - objects have many ways to fail when they are asked what they are
        problems.append(TypeError(f"data {_unreadable(error)}"))
    return found if len(problems) == known else None


def apart(value: Any, by: Any, problems: Problems) -> tuple[Mapping[Any, Any], Any, bool]:
    """Return the columns of a table without those that `by` names, the labels, and whether it is a table. An array is
    a single column with the name None.
    """
    try:
        columns = _columns(value)
        if not isinstance(columns, Mapping):
            return {None: columns}, by, False
        columns, (by, _, _) = _by_name(columns, by, None, None)
        read = {name: _readable(column) for name, column in columns.items()}
    except _Refused as refused:
        problems.append(TypeError(f"{refused.argument} {refused}"))
        return {}, by, False
    return read, by, True


def _readable(column: Any) -> Any:
    return column.labels if isinstance(column, _Unread) and column.labels is not None else column


def _by_name(columns: Mapping[Any, Any], *arguments: Any) -> tuple[Mapping[Any, Any], list[Any]]:
    """Replace column names in `by`, `where` and `weights` by the columns, and take these columns out of the data."""
    known: set[Any] = set()

    def found(key: Any) -> Any:
        if not isinstance(key, str) or key not in columns:
            return key
        known.add(key)
        return _readable(columns[key])

    arguments_ = [tuple(map(found, each)) if isinstance(each, tuple) else found(each) for each in arguments]
    for name, argument in zip(("by", "where", "weights"), arguments_, strict=True):
        if isinstance(argument, _Unread):
            raise _Refused(argument, name)
        if isinstance(argument, str):
            remedy = meant(argument, columns) or f": the columns are {', '.join(map(shown, list(columns)[:20]))}"
            raise _Refused(f"is {shown(argument)}, which is not a column of data{remedy}", name)
    return {name: column for name, column in columns.items() if name not in known}, arguments_


def _where(where: Any) -> tuple[Any, int]:
    """Return a mask as an array, and the bytes copied for it. Missing elements are false."""
    if not _is_foreign(where):
        return where, 0
    found, copied = _argument(where, "where")
    if not isinstance(found, _core.Source):
        return found, copied
    if found.dtype != bool:
        return found.gathered(), copied
    mask = found.is_present()
    mask[mask] = found.gathered()
    return mask, copied + mask.nbytes


def _weights(weights: Any) -> tuple[Any, int]:
    """Return the weights as an array, and the bytes copied for it."""
    if not _is_foreign(weights):
        return weights, 0
    found, copied = _argument(weights, "weights")
    if missing(found):
        raise _Refused(f"has missing elements ({missing(found):,}): put 0 where an element is not to count", "weights")
    array, _ = as_array(found)
    return array, copied + (array.nbytes if array is not found else 0)


def _argument(value: Any, name: str) -> tuple[Elements, int]:
    """Return the elements of an argument, and the bytes copied for them. Messages name the argument."""
    try:
        return _array(value, name)
    except _Refused as refused:
        raise _Refused(str(refused), name) from None


def _is_foreign(value: Any) -> bool:
    """Return whether an argument has to be opened here. Lists and numbers become arrays where they are used."""
    return value is not None and any(knows(value) for knows, _ in (*_BY_CLASS, (_has(*_ARROW), _arrow)))


# ---------------------------------------------------------------------------------------------------------- tables


def _dict(columns: Mapping[Any, Any], problems: Problems) -> Opened:
    """Open a dict: every column must be an array, and all problems are reported."""
    arrays: dict[Any, Elements] = {}
    copied = 0
    for key, column in columns.items():
        name = f"data[{shown(key)}]"
        try:
            arrays[key], more = _array(column, name)
            copied += more
        except _Refused as refused:
            problems.append(TypeError(f"{name} {refused}"))
    return Opened(arrays, is_single=False, opening=Opening(copied, {}))


def _table(columns: Mapping[Any, Any]) -> Opened:
    """Open a table: read its columns of numbers and times, and keep the reasons why other columns are left out."""
    arrays: dict[Any, Elements] = {}
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
    return Opened(arrays, is_single=False, opening=Opening(copied, left_out), is_table=True)


def _record(value: Array, columns: Mapping[Any, Any]) -> Opened:
    """Open a structured array: read its fields of numbers and times, and keep the array for functions."""
    try:
        return _table(columns)._replace(record=value)
    except _Refused:
        return Opened({None: value})


def _columns(value: Any) -> Any:
    """Return the columns of a table by name. If the object is not a table, return it, or the column read from it."""
    if type(value) in _known_ways and not isinstance(value, np.ndarray):
        # Objects of this type are known to be arrays.
        return value
    pandas, polars, pyarrow, xarray = (sys.modules.get(name) for name in ("pandas", "polars", "pyarrow", "xarray"))
    if isinstance(value, np.ndarray):
        fields = value.dtype.names
        return value if fields is None else {name: np.ndarray.view(value, np.ndarray)[name] for name in fields}
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _unique(list(value.columns), [column for _, column in value.items()])
    if polars is not None and isinstance(value, polars.LazyFrame):
        raise _Refused("is a LazyFrame, which has not been computed: pass data.collect()")
    if polars is not None and isinstance(value, polars.DataFrame):
        return {column.name: column for column in value.get_columns()}
    if pyarrow is not None and isinstance(value, pyarrow.Table | pyarrow.RecordBatch):
        return _unique(value.schema.names, value.columns)
    if xarray is not None and isinstance(value, xarray.Dataset):
        return _of_one_shape({name: value[name] for name in value.data_vars})
    if any(hasattr(type(value), name) for name in _ARROW) and not _is_column(value):
        try:
            is_table, names, sources = _arrow_columns(value)
        except (_Refused, MemoryError):
            raise
        except Exception as error:
            raise _unreadable(error) from error
        # Do not read an object again if it is not a table: it may give its elements only once.
        return _unique(names, sources) if is_table else sources[0]
    return value


def _of_one_shape(variables: dict[Any, Any]) -> dict[Any, Any]:
    """Return the variables of a dataset. Those with other dimensions than the largest variable cannot be read."""
    sizes = [variable.sizes for variable in variables.values() if variable.dtype.kind in KINDS]
    most: Mapping[Any, int] = max(sizes, key=len, default={})
    wrong = f"has dimensions other than {tuple(most)}: pass it alone"
    return {name: own if dict(own.sizes) == dict(most) else _Unread(wrong) for name, own in variables.items()}


def _dimensions(value: Any, columns: Any) -> Dimensions | None:
    """Return the names of the axes of an xarray array or dataset."""
    if isinstance(columns, Mapping) and columns is not value:
        value = next((column for column in columns.values() if is_named(column)), None)
    return Dimensions.of(value) if is_named(value) else None


def _unique(names: list[Any], columns: list[Any]) -> dict[Any, Any]:
    """Return the columns by name, and refuse equal names."""
    found: dict[Any, Any] = {}
    for name, column in zip(names, columns, strict=True):
        if name in found:
            raise _Refused(f"has two columns named {shown(name)}: give each column its own name")
        found[name] = column
    return found


def _is_column(value: Any) -> bool:
    """Return whether the object is a column that is recognised by its class."""
    return any(knows(value) for knows, _ in _BY_CLASS)


# ---------------------------------------------------------------------------------------------------------- arrays


def _array(value: Any, name: str) -> tuple[Elements, int]:
    """Return the elements of an object, and how many bytes of them had to be copied."""
    if isinstance(value, _Unread):
        raise _Refused(value)
    if isinstance(value, str | complex | float | int | np.generic):
        kind = "a str" if isinstance(value, str) else "one number"
        raise _Refused(f"is {kind}, {shown(value)}: pass an array or a list of numbers")
    own = _known_ways.get(type(value)) or _way(value)
    if own is not None:
        try:
            return own(value, name)
        except (_Refused, MemoryError):
            raise
        except Exception as error:
            raise _unreadable(error) from error
    kind = type(value).__name__
    if isinstance(value, Iterable) and not hasattr(value, "read"):
        raise _Refused(f"is a {kind}, which is not a sequence of numbers: pass list({name})")
    raise _Refused(f"is a {kind}, which holds no numbers: pass an array, a list of numbers, a column or a table")


def _way(value: Any) -> "_Way | None":
    """Return the way to open an object, which is the same for all objects of its type."""
    kind = type(value)
    way = next((way for knows, way in _WAYS if knows(value)), None)
    # If objects of a type only offer Arrow's protocol, one may hold a column and the next one a table.
    if way is not None and (way is not _arrow or _is_column(value)):
        _known_ways[kind] = way
    return way


_known_ways: "weakref.WeakKeyDictionary[type, _Way]" = weakref.WeakKeyDictionary()
"""The ways of the types seen so far. They are kept because trying all ways takes 7 us."""


def _unreadable(error: Exception) -> _Refused:
    """Turn an error of another library into a refusal. Libraries raise many kinds of errors, and change them."""
    return _Refused(f"could not be read as an array ({type(error).__name__}: {error})")


def _of(module: str, *names: str) -> Callable[[Any], bool]:
    """Return a check for classes of a module; no object matches if the module is not loaded."""

    def knows(value: Any) -> bool:
        found = sys.modules.get(module)
        kinds = tuple(getattr(found, name) for name in names if hasattr(found, name))
        return isinstance(value, kinds)

    return knows


def _numpy(value: Any, name: str) -> tuple[Elements, int]:
    """Return the array itself."""
    del name
    return value, 0


def _source(value: _core.Source, name: str) -> tuple[Elements, int]:
    """Return the source; as an array, if an array can show the elements in place."""
    del name
    return (np.asarray(value) if value.is_plain else value), value.bytes_copied


def _masked(value: Any, name: str) -> tuple[Elements, int]:
    """Open a masked array: its masked elements are missing."""
    values = np.ndarray.view(np.ma.getdata(value), np.ndarray)
    # If nothing is masked, there may be no mask.
    mask = np.ma.getmask(value)
    if mask is np.ma.nomask:
        return values, 0
    if mask.dtype != bool:
        raise _Refused("is a masked structured array: pass one of its fields")
    if values.dtype.kind not in KINDS and mask.any():
        raise _Refused(f"is a masked array of dtype {values.dtype}, which holds no numbers: pass {name}.compressed()")
    return _without(values, mask), 0


def _without(values: Array, missing: Array) -> Elements:
    """Return the array as a source without the missing elements; the array itself if none is missing."""
    if values.dtype.kind not in KINDS:
        return values
    source = _core.Source(values, missing)
    return source if source.missing else values


def _with_lock(value: Any, name: str) -> tuple[Elements, int]:
    """Open the inner array of an array with a lock. The caller holds the lock and must keep other writers out."""
    return _viewed(value.get_obj(), name)


def _shared_memory(value: Any, name: str) -> tuple[Elements, int]:
    """Refuse shared memory, because its dtype is not known."""
    del value
    raise _Refused(f"is a SharedMemory, whose dtype is not known: pass np.ndarray(shape, dtype, {name}.buf)")


def _pandas(value: Any, name: str) -> tuple[Elements, int]:
    """Open a Series or an Index; if it is an extension array, open the arrays that it contains."""
    dtype = value.dtype
    if isinstance(dtype, np.dtype):
        return value.to_numpy(), 0
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow(value.array.__arrow_array__(), name)
    if hasattr(dtype, "numpy_dtype"):
        # pandas stores the elements and the mask in two arrays.
        data, mask = (getattr(value.array, each, None) for each in ("_data", "_mask"))
        if isinstance(data, np.ndarray) and isinstance(mask, np.ndarray):
            return _without(data, mask), 0
        array = value.array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return _without(array, value.isna().to_numpy()), array.nbytes
    if hasattr(dtype, "tz"):
        # pandas stores times with a time zone in UTC.
        array = np.asarray(value.array, dtype=f"M8[{dtype.unit}]")
        return array, array.nbytes if array.base is None else 0
    raise _Refused(f"has dtype {dtype}, which holds no numbers: pass a column of numbers or times")


def _arrow(value: Any, name: str) -> tuple[Elements, int]:
    """Open an object that offers Arrow's protocol, in one piece or in chunks."""
    is_table, _, sources = _arrow_columns(value)
    if is_table:
        raise _Refused("is a table within a table: pass its columns")
    return _array(sources[0], name)


def _arrow_columns(value: Any) -> tuple[bool, list[str], list[_core.Source | str]]:
    """Return whether it is a table, the names of the columns, and each column or the reason why it cannot be read."""
    is_table, columns = _core.arrow_columns(value)
    sources: list[_core.Source | str] = []
    for _, source, labels in columns:
        if isinstance(source, str):
            source = _Unread(f"{source}: pass a column of numbers or times")
            source.labels = labels
        sources.append(source)
    is_reader = not any(hasattr(type(value), name) for name in ("__len__", "__arrow_c_array__"))
    if is_reader and not any(getattr(source, "size", 1) for source in sources):
        raise _Refused("gives no rows, like a reader that was already read: create it again, or pass its source")
    return is_table, [name for name, *_ in columns], sources


def arrow_labels(value: Any) -> Any:
    """Read labels from an object that only offers Arrow's protocol; return any other object unchanged."""
    if hasattr(value, "dtype") or not any(hasattr(type(value), name) for name in _ARROW):
        return value
    is_table, _, (first, *others) = _arrow_columns(value)
    if is_table or others:
        return value
    return first.labels if isinstance(first, _Unread) and first.labels is not None else first


def _xarray(value: Any, name: str) -> tuple[Elements, int]:
    """Open an array of xarray, unless it has not been computed."""
    if not isinstance(value.data, np.ndarray):
        raise _Refused(f"holds a {type(value.data).__name__}, which has not been computed: pass {name}.compute()")
    return value.data, 0


def _viewed(value: Any, name: str) -> tuple[Elements, int]:
    """Return the elements as an array. NumPy reads them in place if it can, and otherwise copies them."""
    del name
    if isinstance(value, bytes | bytearray):
        value = memoryview(value)
    try:
        return np.asarray(value, copy=False), 0
    except ValueError:
        array = np.asarray(value)
        return array, array.nbytes


def _dlpack(value: Any, name: str) -> tuple[Elements, int]:
    """Open an object that offers DLPack."""
    del name
    return np.from_dlpack(value), 0


def _sequence(value: Any, name: str) -> tuple[Elements, int]:
    """Open a sequence of numbers, or of sequences of numbers of one length."""
    kind = type(value).__name__
    array = np.array(value)
    if array.dtype.kind not in KINDS:
        what = f"is a {kind} that NumPy turns into an array of dtype {array.dtype}"
        raise _Refused(f"{what}: pass numbers only, with nan for missing values")
    del name
    return array, array.nbytes


def _has(*names: str) -> Callable[[Any], bool]:
    """Return a check for classes that have one of these attributes."""
    return lambda value: any(hasattr(type(value), name) for name in names)


def _is_buffer(value: Any) -> bool:
    """Return whether an object offers the buffer protocol."""
    try:
        memoryview(value).release()
    except (TypeError, BufferError, ValueError):
        return False
    return True


_Way = Callable[[Any, str], tuple[Elements, int]]

_Ways = tuple[tuple[Callable[[Any], bool], _Way], ...]

_BY_CLASS: _Ways = (
    (lambda value: isinstance(value, np.ma.MaskedArray), _masked),
    (lambda value: isinstance(value, np.ndarray), _numpy),
    (_of("multiprocessing.sharedctypes", "SynchronizedArray"), _with_lock),
    (_of("multiprocessing.shared_memory", "SharedMemory"), _shared_memory),
    (_of("pandas", "Series", "Index"), _pandas),
    (_of("xarray", "DataArray", "Variable"), _xarray),
    (_of("polars", "Series"), _arrow),
    (_of("pyarrow", "Array", "ChunkedArray"), _arrow),
    (lambda value: isinstance(value, _core.Source), _source),
)

_WAYS: _Ways = (
    *_BY_CLASS,
    (_has(*_ARROW), _arrow),
    (lambda value: isinstance(value, list | tuple | range), _sequence),
    (_has("__array_interface__", "__array_struct__"), _viewed),
    (_is_buffer, _viewed),
    (_has("__dlpack__"), _dlpack),
    (_has("__array__"), _viewed),
)
