"""Turns labels, from any library, into integers of a range, and back into labels.

A missing label (NaN, NaT, None, a null, a masked label) belongs to no group. Missing labels are separated first, so
that the integers beside them stay integers. Columns of pandas, Polars and Arrow are read with their own methods; this
module imports none of these libraries.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.checks import Problems, shown
from fanfold.failures import answered
from fanfold.shapes import objects
from fanfold.sources import Elements, arrow_labels

WIDEST = 1 << 20
"""Labels are used directly as numbers if their range is at most this, or a few times the number of elements: the
grouping counts in a table of that length."""

ADVICE = "pass integers, floats, strings, times or a categorical"

_SIMPLE = re.compile(
    r"U?Int(8|16|32|64)|Float\d+|Boolean|Date|Datetime\(.*time_zone=None\)|Duration\(.*\)"  # Polars
    r"|u?int\d+|halffloat|float|double|bool|date\d+\[\w+\]|timestamp\[\w+\]|duration\[\w+\]"  # Arrow
)
"""The dtypes of Polars and Arrow that NumPy also has."""

Names = Callable[[npt.NDArray[np.int64]], Any]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """A label for each element, as integers, and the labels that these stand for."""

    numbers: npt.NDArray[Any]
    low: int
    """The smallest number; a number below it belongs to no group."""
    range: int
    """The length of the range that starts there; a number above it belongs to no group."""
    names: Names
    """The labels of the numbers that occur, counted from the smallest number."""

    def counted(self) -> Numbers:
        """Return the numbers counted from the smallest one; -1 for elements of no group."""
        numbers = self.numbers.reshape(-1)
        if self.range == 0:
            return np.full(numbers.size, -1)
        inside = (numbers >= self.low) & (numbers <= self.low + self.range - 1)
        # Differences of numbers outside the range may wrap around. Unsigned ones fit, even if the numbers do not.
        own = numbers if inside.all() else np.where(inside, numbers, numbers.dtype.type(self.low))
        counted = own - own.dtype.type(self.low) if own.dtype.kind == "u" else own.astype(np.int64) - self.low
        counted = counted.astype(np.int64, copy=False)
        return counted if own is numbers else np.where(inside, counted, -1)


def labels(by: Any, data: Elements, workers: int, problems: Problems) -> Labels | None:
    """Return the labels if they are valid; several keys in a tuple make one label."""
    if not isinstance(by, tuple):
        return _key(by, data, workers, problems, "by")
    if not by:
        problems.append(ValueError("by is an empty tuple: pass an array of labels, or a tuple of such arrays"))
        return None
    if len(by) == data.size and all(isinstance(key, str | bytes | int | float | np.generic) for key in by):
        problems.append(TypeError("by is a tuple of labels, but a tuple means several keys: pass list(by)"))
        return None
    keys = [_key(key, data, workers, problems, f"by[{number}]") for number, key in enumerate(by)]
    found = [key for key in keys if key is not None]
    return None if len(found) < len(keys) else _joined(found, workers)


def _key(by: Any, data: Elements, workers: int, problems: Problems, argument: str) -> Labels | None:
    try:
        return _labels(by, data, workers, problems, argument)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - objects have many ways to fail when they are asked what they are
        why = f"could not be read as labels ({type(error).__name__}: {error})"
        problems.append(TypeError(f"{argument} {why}: {ADVICE}"))
        return None


def _labels(by: Any, data: Elements, workers: int, problems: Problems, argument: str) -> Labels | None:
    wrong = f"{argument} must be an array with a label for each element, or a tuple of such arrays, not"
    if hasattr(by, "columns") and not hasattr(by, "dtype"):
        advice = "pass one of its columns, or several of them as a tuple"
        problems.append(TypeError(f"{wrong} a table ({type(by).__name__}): {advice}"))
        return None
    by = by if _is_arrow(by) else arrow_labels(by)
    try:
        holder: Any = by if hasattr(by, "dtype") or _is_arrow(by) else _listed(by)
    except (TypeError, ValueError) as error:
        problems.append(TypeError(f"{wrong} {shown(by)} ({error})"))
        return None
    shape = (len(holder),) if _is_arrow(holder) else tuple(holder.shape)
    if shape == ():
        problems.append(TypeError(f"{wrong} {shown(by)}"))
        return None
    if shape not in (data.shape, (data.size,)):
        advice = f"pass a label for each element of data, whose shape is {data.shape}"
        if isinstance(by, list) and len(by) == data.size:
            advice = "if labels are tuples, pass an array of dtype object; for several keys, pass a tuple of arrays"
        problems.append(ValueError(f"{argument} has shape {shape}: {advice}"))
        return None
    try:
        if hasattr(holder, "levels") and hasattr(holder, "codes"):
            # An index with several levels; each level is a categorical.
            levels = zip(holder.codes, holder.levels, strict=True)
            held = [_Held(np.asarray(names), codes=codes, are_ordered=True) for codes, names in levels]
            return _joined([level.labels(workers) for level in held], workers)
        return _held(holder).labels(workers)
    except _NoLabels as error:
        dtype = holder.type if _is_arrow(holder) else holder.dtype
        problems.append(TypeError(f"{argument} has dtype {dtype}, {error}"))
        return None


class _NoLabels(Exception):
    """Why a dtype or its objects cannot be labels. The message continues after the name of the dtype."""


@contextmanager
def _refusal(why: str, advice: str) -> Iterator[None]:
    """Turn any error into a refusal: objects, and libraries in every version, fail in many ways."""
    try:
        yield
    except (_NoLabels, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - see above
        raise _NoLabels(f"{why} ({error}): {advice}") from None


# ------------------------------------------------------------------------------------------------ who holds labels


@dataclass(frozen=True)
class _Held:
    """Labels as a NumPy array, without missing ones, and which elements have which label."""

    values: npt.NDArray[Any]
    there: npt.NDArray[np.bool_] | None = None
    """A mask of the elements that have a label, if some have none; the values belong to these elements."""
    codes: npt.NDArray[Any] | None = None
    """The index of each element's value; below 0 if it has none."""
    are_ordered: bool = False
    """Whether the values are distinct and already in their final order."""

    def labels(self, workers: int) -> Labels:
        """Return the labels as integers of a range."""
        values = self.values
        if self.codes is not None and self.are_ordered:
            return Labels(self.codes, 0, len(values), lambda numbers: values[numbers])
        found = _array(values, workers)
        if self.codes is not None:
            # A code below 0 takes the last item.
            numbers = np.append(found.counted(), -1)[np.maximum(self.codes, -1)]
            return Labels(numbers, 0, found.range, found.names)
        return found if self.there is None else _scattered(found, self.there)


def _is_arrow(by: Any) -> bool:
    return hasattr(by, "dictionary_encode") and hasattr(by, "null_count")


def _listed(by: Any) -> npt.NDArray[Any]:
    """Turn a list into an array as NumPy does, or into an object array if NumPy changes the values."""
    array = np.asarray(by)
    if array.dtype.kind in "fUS" and isinstance(by, Sequence) and not isinstance(by, str | bytes):
        # NumPy may round integers beside a float, and turns numbers beside a string into strings.
        own = np.array(by, object)
        is_nan = own != own
        return array if np.all((array.astype(object) == own) | is_nan) else own
    return array


def _held(holder: Any) -> _Held:
    if isinstance(holder, np.ma.MaskedArray):
        values, is_missing = np.ma.getdata(holder).reshape(-1), np.ma.getmaskarray(holder).reshape(-1)
        if values.dtype.names is not None or not is_missing.any():
            return _Held(values)
        return _Held(values[~is_missing], ~is_missing)
    with _refusal("which cannot be labels", ADVICE):
        if isinstance(holder, _core.Source):
            return _Held(holder.gathered(), holder.is_present().reshape(-1) if holder.missing else None)
        if isinstance(holder, _core.ArrowLabels):
            return _of_codes(holder)
        if isinstance(getattr(holder, "dtype", None), np.dtype):
            return _Held(np.asarray(holder))
        if _is_arrow(holder):
            return _of_arrow(holder)
        if hasattr(holder, "drop_nulls"):
            return _of_polars(holder)
        if hasattr(holder, "isna"):
            return _of_pandas(getattr(holder, "array", holder))
        return _Held(np.asarray(holder))


def _of_pandas(values: Any) -> _Held:
    """Read an extension array."""
    if str(values.dtype) == "category":
        return _Held(np.asarray(values.categories), codes=values.codes, are_ordered=True)
    if values.dtype.kind in "biuf":
        there = ~np.asarray(values.isna(), bool)
        return _Held(np.asarray(values[there]), there)
    codes, distinct = values.factorize()
    return _Held(np.asarray(distinct), codes=codes)


def _of_arrow(array: Any) -> _Held:
    """Read a pyarrow array, in one piece or in chunks."""
    there = np.asarray(array.is_valid(), bool)
    if _SIMPLE.fullmatch(str(array.type)):
        return _Held(np.asarray(array.drop_null()), there)
    encoded = array.dictionary_encode()
    encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
    codes = np.asarray(encoded.indices.fill_null(0)).astype(np.int64)
    return _Held(objects(encoded.dictionary.to_pylist()), codes=np.where(there, codes, -1))


def _of_codes(column: _core.ArrowLabels) -> _Held:
    """Read a column of text, or of indices of a dictionary; each piece may have a dictionary of its own."""
    codes: list[Numbers] = [np.zeros(0, np.int64)]
    values: list[npt.NDArray[Any]] = []
    start = 0
    for own, names in column.parts():
        if isinstance(names, _core.Source):
            # What stands for nothing is no label.
            there = names.is_present()
            own = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)[own]
            labels = names.gathered()
        else:
            labels = objects(list(names))
        codes.append(np.where(own < 0, -1, own + start))
        values.append(labels)
        start += len(labels)
    return _Held(np.concatenate(values) if values else objects([]), codes=np.concatenate(codes))


def _of_polars(series: Any) -> _Held:
    dtype = str(series.dtype)
    if _SIMPLE.fullmatch(dtype):
        return _Held(series.drop_nulls().to_numpy(), series.is_not_null().to_numpy())
    # Polars panics on dtype Object; Python's times have no nanoseconds.
    if dtype == "Object" or series.dtype.is_nested() or (dtype.startswith("Datetime") and "'ns'" in dtype):
        raise _NoLabels(f"which cannot be labels: {ADVICE}")
    distinct = series.drop_nulls().unique().sort()
    if dtype == "String":
        # Hashing takes a sixth of the time that ranks take.
        ranks = series.cast(sys.modules["polars"].Enum(distinct)).to_physical()
        codes = ranks.cast(int).fill_null(-1).to_numpy()
    else:
        codes = series.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
    return _Held(objects(distinct.to_list()), codes=codes, are_ordered=True)


# --------------------------------------------------------------------------------------------- labels of each kind


def _scattered(present: Labels, there: npt.NDArray[np.bool_]) -> Labels:
    """Extend the labels of the elements that have one to labels of all elements."""
    if there.all():
        return present
    numbers = np.full(there.size, -1)
    numbers[there] = present.counted()
    return Labels(numbers, 0, present.range, present.names)


def _array(array: npt.NDArray[Any], workers: int) -> Labels:
    kind = array.dtype.kind
    if kind in "biumM":
        return _integers(array, workers)
    if kind == "f" and array.dtype.char != "g":
        return _ranked(array, workers)
    if kind == "f":
        flat = array.reshape(-1)
        there = ~np.isnan(flat)
        return _scattered(_distinct(flat[there]), there)
    if kind in "US":
        return _distinct(array.reshape(-1))
    if kind == "O":
        return _hashed(array)
    if kind == "T":
        found, dtype = _hashed(array, getattr(array.dtype, "na_object", None)), array.dtype
        return Labels(found.numbers, 0, found.range, lambda numbers: found.names(numbers).astype(dtype))
    raise _NoLabels(f"which cannot be labels: {ADVICE if array.dtype.names is None else 'pass its fields as a tuple'}")


def _integers(array: npt.NDArray[Any], workers: int) -> Labels:
    """Use integers, bools and times directly as numbers, unless their range is too wide."""
    native = array.dtype.newbyteorder("=")
    is_time = native.kind in "mM"
    # As an integer, NaT is below all other times.
    integers = array.view(np.dtype(np.int64).newbyteorder(array.dtype.byteorder)) if is_time else array
    if array.size == 0:
        return Labels(integers, 0, 0, lambda numbers: numbers.astype(native))
    least, most = answered(["min", "max"], "omit", array, workers)
    if is_time:
        if np.isnat(least):
            return Labels(integers, 0, 0, lambda numbers: numbers.astype(native))
        least, most = least.view(np.int64), most.view(np.int64)
    low = int(least)
    width = int(most) - low + 1
    if width > max(WIDEST, 4 * array.size):
        return _ranked(array, workers)

    def names(numbers: Numbers) -> Any:
        if native.kind == "u":
            return (numbers.astype(np.uint64) + np.uint64(low)).astype(native)
        return (numbers + low).astype(native)

    return Labels(integers, low, width, names)


def _ranked(array: npt.NDArray[Any], workers: int) -> Labels:
    """Return the rank of each label among the distinct labels. NaN and NaT belong to no group."""
    (order,) = answered(["argsort"], "propagate", array, workers)
    flat = array.reshape(-1)
    found = flat[order]
    # Missing labels come last.
    there = found.size - np.count_nonzero(np.isnan(found) if found.dtype.kind in "fmM" else 0)
    is_first = np.ones(found.size, bool)
    is_first[1:] = found[1:] != found[:-1]
    is_first[there:] = False
    ranks = np.cumsum(is_first) - 1
    ranks[there:] = -1
    numbers = np.empty(found.size, np.int64)
    numbers[order] = ranks
    distinct = found[is_first].astype(found.dtype.newbyteorder("="))
    return Labels(numbers, 0, distinct.size, lambda numbers: distinct[numbers])


def _distinct(flat: npt.NDArray[Any]) -> Labels:
    """Number the distinct strings, or floats that no kernel accepts."""
    native = flat.dtype.newbyteorder("=")
    bits = _BITS.get(native.itemsize) if native.kind in "US" else None
    if bits is None:
        distinct, numbers = np.unique(flat, return_inverse=True)
        distinct = distinct.astype(native)
    else:
        # Short strings are compared as integers with the same bytes; only the distinct strings are sorted.
        codes, found = _factorised(np.ascontiguousarray(flat, native).view(bits))
        distinct, ranks = np.unique(found.view(native), return_inverse=True)
        numbers = ranks[codes]
    return Labels(numbers, 0, distinct.size, lambda numbers: distinct[numbers])


_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def _factorised(flat: npt.NDArray[Any]) -> tuple[Numbers, npt.NDArray[Any]]:
    """Return each item's index among the distinct items, below 0 if missing; with pandas' hash table if loaded."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        codes, distinct = pandas.factorize(flat)
        return codes, distinct
    if flat.dtype != object:
        distinct, codes = np.unique(flat, return_inverse=True)
        return codes, distinct
    numbers: dict[Any, int] = {}
    codes = np.fromiter((numbers.setdefault(one, len(numbers)) for one in flat.tolist()), np.int64)
    return codes, objects(list(numbers))


def _hashed(array: npt.NDArray[Any], missing: Any = None) -> Labels:
    """Number the distinct objects, which must be hashable, in sorted order."""
    with _refusal("and holds objects that are not hashable", "pass numbers, strings or tuples"):
        flat = array.reshape(-1)
        codes, found = _factorised(flat if flat.dtype == object else objects(flat.tolist()))
    distinct = found.tolist()
    with _refusal("and holds objects that cannot be sorted", "pass labels of one kind, or a categorical"):
        there = [number for number, one in enumerate(distinct) if one is not missing and _is_there(one)]
        there.sort(key=distinct.__getitem__)
    # The last item is for labels that pandas finds missing.
    ranks = np.full(len(distinct) + 1, -1)
    ranks[there] = np.arange(len(there))
    ordered = objects([distinct[number] for number in there])
    return Labels(ranks[codes], 0, len(there), lambda numbers: ordered[numbers])


def _is_there(value: Any) -> bool:
    """Whether an object is a label: not None, not pandas' NA, equal to itself; a tuple only if all its items are."""
    if isinstance(value, tuple):
        return all(map(_is_there, value))
    return value is not None and value is not getattr(sys.modules.get("pandas"), "NA", None) and bool(value == value)


# --------------------------------------------------------------------------------------------------- several keys


def _joined(keys: list[Labels], workers: int) -> Labels:
    """Combine several labels of each element into one number; the first key is the most significant."""
    numbers, width = keys[0].counted(), keys[0].range

    parts: Parts = lambda numbers: (numbers,)  # noqa: E731 - reassigned below
    for key in keys[1:]:
        own = key.counted()
        numbers = np.where((numbers < 0) | (own < 0), -1, numbers * key.range + own)
        width *= key.range
        ranks: Names | None = None
        if width > max(WIDEST, 4 * numbers.size):
            ranked = _ranked(numbers, workers)
            # The first rank may be that of the elements of no group.
            numbers, width, ranks = np.where(numbers < 0, -1, ranked.numbers), ranked.range, ranked.names
        parts = _more_parts(parts, ranks, key.range)

    def names(numbers: Numbers) -> Any:
        return tuple(key.names(part) for key, part in zip(keys, parts(numbers), strict=True))

    return Labels(numbers, 0, width, names)


Parts = Callable[[Numbers], tuple[Numbers, ...]]


def _more_parts(parts: Parts, ranks: Names | None, width: int) -> Parts:
    """Split a number that was combined from `parts` and one more number below `width`, and then perhaps ranked."""

    def more(numbers: Numbers) -> tuple[Numbers, ...]:
        numbers = numbers if ranks is None else ranks(numbers)
        return (*parts(numbers // width), numbers % width)

    return more
