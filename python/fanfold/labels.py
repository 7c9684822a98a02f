"""Labels of elements, whatever holds them, as integers of a range, and what these stand for.

What is missing (NaN, NaT, None, a null, a masked label) belongs to no group. It is told apart first: an integer beside
it stays an integer. Columns of pandas, Polars and Arrow are asked by their own methods; none of these libraries is
imported.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.checks import Problems, shown
from fanfold.failures import answered
from fanfold.shapes import objects
from fanfold.sources import Elements

WIDEST = 1 << 20
"""How wide a range may be for the labels' own numbers to be used, if it is not a few times the number of elements: the
grouping counts in a table of that length."""

ADVICE = "pass integers, floats, strings, times or a categorical"

_SIMPLE = re.compile(
    r"U?Int(8|16|32|64)|Float\d+|Boolean|Date|Datetime\(.*time_zone=None\)|Duration\(.*\)"  # Polars
    r"|u?int\d+|halffloat|float|double|bool|date\d+\[\w+\]|timestamp\[\w+\]|duration\[\w+\]"  # Arrow
)
"""The dtypes of Polars and Arrow that NumPy has too."""

Names = Callable[[npt.NDArray[np.int64]], Any]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """A label for each element, as integers, and what they stand for."""

    numbers: npt.NDArray[Any]
    low: int
    """The least number; what is below belongs to no group."""
    range: int
    """How many numbers there are from it on; what is above belongs to no group."""
    names: Names
    """The labels of the numbers that occur, counted from the least."""

    def counted(self) -> Numbers:
        """The numbers counted from the least one; -1 for what belongs to no group."""
        numbers = self.numbers.reshape(-1)
        if self.range == 0:
            return np.full(numbers.size, -1)
        inside = (numbers >= self.low) & (numbers <= self.low + self.range - 1)
        # Differences of what is outside may wrap around. Of unsigned numbers they fit, whether the numbers do or not.
        own = numbers if inside.all() else np.where(inside, numbers, numbers.dtype.type(self.low))
        counted = own - own.dtype.type(self.low) if own.dtype.kind == "u" else own.astype(np.int64) - self.low
        counted = counted.astype(np.int64, copy=False)
        return counted if own is numbers else np.where(inside, counted, -1)


def labels(by: Any, data: Elements, workers: int, problems: Problems) -> Labels | None:
    """The labels, if they are such; several keys in a tuple are one label."""
    if not isinstance(by, tuple):
        return _key(by, data, workers, problems, "by")
    if not by:
        problems.append(ValueError("by is an empty tuple: pass an array of labels, or a tuple of such"))
        return None
    if len(by) == data.size and all(isinstance(key, str | bytes | int | float | np.generic) for key in by):
        problems.append(TypeError("by is a tuple of labels, and a tuple holds several keys: pass list(by)"))
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
    wrong = f"{argument} must be an array with a label for each element, or a tuple of such, not"
    if hasattr(by, "columns") and not hasattr(by, "dtype"):
        advice = "pass its columns, several of them as a tuple"
        problems.append(TypeError(f"{wrong} a table ({type(by).__name__}): {advice}"))
        return None
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
            advice = "for labels that are tuples, pass an array of dtype object; for several keys, a tuple of arrays"
        problems.append(ValueError(f"{argument} has shape {shape}: {advice}"))
        return None
    try:
        if hasattr(holder, "levels") and hasattr(holder, "codes"):
            # An index of several levels, each of which is a categorical.
            levels = zip(holder.codes, holder.levels, strict=True)
            held = [_Held(np.asarray(names), codes=codes, are_ordered=True) for codes, names in levels]
            return _joined([level.labels(workers) for level in held], workers)
        return _held(holder).labels(workers)
    except _NoLabels as error:
        dtype = holder.type if _is_arrow(holder) else holder.dtype
        problems.append(TypeError(f"{argument} has dtype {dtype}, {error}"))
        return None


class _NoLabels(Exception):
    """What has a dtype that makes no labels, or objects that are none; said behind the name of the dtype."""


@contextmanager
def _refusal(why: str, advice: str) -> Iterator[None]:
    """Objects, and libraries in any version, have many ways to say no."""
    try:
        yield
    except (_NoLabels, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - as said
        raise _NoLabels(f"{why} ({error}): {advice}") from None


# ------------------------------------------------------------------------------------------------ who holds labels


@dataclass(frozen=True)
class _Held:
    """Labels as NumPy has them, without what is missing, and which elements have which."""

    values: npt.NDArray[Any]
    there: npt.NDArray[np.bool_] | None = None
    """The elements that have a label, if not all have: the values are theirs."""
    codes: npt.NDArray[Any] | None = None
    """The number of each element's value, below 0 if it has none."""
    are_ordered: bool = False
    """Whether numbered values are distinct, and in the order that they are to have."""

    def labels(self, workers: int) -> Labels:
        """As integers of a range."""
        values = self.values
        if self.codes is not None and self.are_ordered:
            return Labels(self.codes, 0, len(values), lambda numbers: values[numbers])
        found = _array(values, workers)
        if self.codes is not None:
            # The last place is that of a code below 0.
            numbers = np.append(found.counted(), -1)[np.maximum(self.codes, -1)]
            return Labels(numbers, 0, found.range, found.names)
        return found if self.there is None else _scattered(found, self.there)


def _is_arrow(by: Any) -> bool:
    return hasattr(by, "dictionary_encode") and hasattr(by, "null_count")


def _listed(by: Any) -> npt.NDArray[Any]:
    """What is no array yet, as one. A list becomes what NumPy makes of it, unless that is no longer the same."""
    array = np.asarray(by)
    if array.dtype.kind in "fUS" and isinstance(by, Sequence) and not isinstance(by, str | bytes):
        # Integers beside a float may have been rounded, and numbers beside a string are strings.
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
    with _refusal("which makes no labels", ADVICE):
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
    """An extension array."""
    if str(values.dtype) == "category":
        return _Held(np.asarray(values.categories), codes=values.codes, are_ordered=True)
    if values.dtype.kind in "biuf":
        there = ~np.asarray(values.isna(), bool)
        return _Held(np.asarray(values[there]), there)
    codes, distinct = values.factorize()
    return _Held(np.asarray(distinct), codes=codes)


def _of_arrow(array: Any) -> _Held:
    """An array of pyarrow's, in one piece or in chunks."""
    there = np.asarray(array.is_valid(), bool)
    if _SIMPLE.fullmatch(str(array.type)):
        return _Held(np.asarray(array.drop_null()), there)
    encoded = array.dictionary_encode()
    encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
    codes = np.asarray(encoded.indices.fill_null(0)).astype(np.int64)
    return _Held(objects(encoded.dictionary.to_pylist()), codes=np.where(there, codes, -1))


def _of_polars(series: Any) -> _Held:
    dtype = str(series.dtype)
    if _SIMPLE.fullmatch(dtype):
        return _Held(series.drop_nulls().to_numpy(), series.is_not_null().to_numpy())
    # Of an Object Polars panics; Python's times have no nanoseconds.
    if dtype == "Object" or series.dtype.is_nested() or (dtype.startswith("Datetime") and "'ns'" in dtype):
        raise _NoLabels(f"which makes no labels: {ADVICE}")
    distinct = series.drop_nulls().unique().sort()
    if dtype == "String":
        # By hash, a sixth of the time that ranks take.
        ranks = series.cast(sys.modules["polars"].Enum(distinct)).to_physical()
        codes = ranks.cast(int).fill_null(-1).to_numpy()
    else:
        codes = series.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
    return _Held(objects(distinct.to_list()), codes=codes, are_ordered=True)


# --------------------------------------------------------------------------------------------- labels of each kind


def _scattered(present: Labels, there: npt.NDArray[np.bool_]) -> Labels:
    """Labels of those elements alone that have one, as labels of all."""
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
    raise _NoLabels(f"which makes no labels: {ADVICE if array.dtype.names is None else 'pass its fields as a tuple'}")


def _integers(array: npt.NDArray[Any], workers: int) -> Labels:
    """Integers, bools and times as the numbers that they are, unless they lie too far apart."""
    native = array.dtype.newbyteorder("=")
    is_time = native.kind in "mM"
    # NaT is below all other times.
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
    """Each label's rank among the distinct ones. NaN and NaT belong to no group."""
    (order,) = answered(["argsort"], "propagate", array, workers)
    flat = array.reshape(-1)
    found = flat[order]
    # What is missing comes last.
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
    """Strings, and floats that no kernel takes."""
    native = flat.dtype.newbyteorder("=")
    bits = _BITS.get(native.itemsize) if native.kind in "US" else None
    if bits is None:
        distinct, numbers = np.unique(flat, return_inverse=True)
        distinct = distinct.astype(native)
    else:
        # Short strings are told apart as the integers that their bytes are, and only the distinct ones put in order.
        codes, found = _factorised(np.ascontiguousarray(flat, native).view(bits))
        distinct, ranks = np.unique(found.view(native), return_inverse=True)
        numbers = ranks[codes]
    return Labels(numbers, 0, distinct.size, lambda numbers: distinct[numbers])


_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def _factorised(flat: npt.NDArray[Any]) -> tuple[Numbers, npt.NDArray[Any]]:
    """Each item's number among the distinct ones, below 0 if it is missing; by pandas' hash table if there is one."""
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
    """Objects that can be told apart by a hash, in their order."""
    with _refusal("and holds objects that cannot be told apart by a hash", "pass numbers, strings or tuples"):
        flat = array.reshape(-1)
        codes, found = _factorised(flat if flat.dtype == object else objects(flat.tolist()))
    distinct = found.tolist()
    with _refusal("and holds objects that cannot be put in order", "pass labels of one kind, or as a categorical"):
        there = [number for number, one in enumerate(distinct) if one is not missing and _is_there(one)]
        there.sort(key=distinct.__getitem__)
    # The last place is that of what pandas finds missing.
    ranks = np.full(len(distinct) + 1, -1)
    ranks[there] = np.arange(len(there))
    ordered = objects([distinct[number] for number in there])
    return Labels(ranks[codes], 0, len(there), lambda numbers: ordered[numbers])


def _is_there(value: Any) -> bool:
    """Whether an object is a label: not None, pandas' NA nor unequal to itself, and no tuple that holds such."""
    if isinstance(value, tuple):
        return all(map(_is_there, value))
    return value is not None and value is not getattr(sys.modules.get("pandas"), "NA", None) and bool(value == value)


# --------------------------------------------------------------------------------------------------- several keys


def _joined(keys: list[Labels], workers: int) -> Labels:
    """Several labels of each element as one number; the first counts most."""
    numbers, width = keys[0].counted(), keys[0].range

    parts: Parts = lambda numbers: (numbers,)  # noqa: E731 - others follow, under the same name
    for key in keys[1:]:
        own = key.counted()
        numbers = np.where((numbers < 0) | (own < 0), -1, numbers * key.range + own)
        width *= key.range
        ranks: Names | None = None
        if width > max(WIDEST, 4 * numbers.size):
            ranked = _ranked(numbers, workers)
            # The first rank may be that of what belongs to no group.
            numbers, width, ranks = np.where(numbers < 0, -1, ranked.numbers), ranked.range, ranked.names
        parts = _more_parts(parts, ranks, key.range)

    def names(numbers: Numbers) -> Any:
        return tuple(key.names(part) for key, part in zip(keys, parts(numbers), strict=True))

    return Labels(numbers, 0, width, names)


Parts = Callable[[Numbers], tuple[Numbers, ...]]


def _more_parts(parts: Parts, ranks: Names | None, width: int) -> Parts:
    """What a number is made of, if it was made of these and another below `width`, and then perhaps ranked."""

    def more(numbers: Numbers) -> tuple[Numbers, ...]:
        numbers = numbers if ranks is None else ranks(numbers)
        return (*parts(numbers // width), numbers % width)

    return more
