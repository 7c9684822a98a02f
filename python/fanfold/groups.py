"""`by=`: the elements of each label together. Labels become integers of a range, which the compiled half groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fanfold import _core, shapes
from fanfold.calling import Called
from fanfold.checks import Problems, shown
from fanfold.failures import answered
from fanfold.shapes import Arrays, Out, Over, objects

WIDEST = 1 << 20
"""How wide a range may be for the labels' own numbers to be used, if it is not a few times the number of elements: the
grouping counts in a table of that length."""

Names = Callable[[npt.NDArray[np.int64]], Any]


class _Categories(Protocol):
    """What pandas calls a categorical."""

    codes: npt.NDArray[Any]
    categories: Any


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


class Groups:
    """The elements of each label together: as `shapes.Rows`, for a run with `by=`."""

    why = "called for each group"
    whole = False

    def __init__(
        self,
        labels: Labels,
        mask: npt.NDArray[np.bool_] | None,
        weights: npt.NDArray[Any] | None,
        positions: bool,
    ) -> None:
        self._labels = labels
        self._mask = mask
        self._weights = weights
        self._wants_positions = positions
        self._starts = np.zeros(1, np.int64)
        self._positions: npt.NDArray[np.int64] | None = None
        self.groups: Any = None
        """The labels that occur, in order, once the kernels have run."""
        self.bytes_copied = 0

    def run(self, plan: _core.Plan, arrays: Arrays, over: Over, workers: int, timeout: float | None, out: Out) -> Any:
        """Runs the kernels, each over its arrays; what `_core.Plan.run` gives."""
        del out
        labels = self._labels
        how = self._mask, self._weights, self._wants_positions, workers, timeout
        grouping, found = plan.run_groups(arrays, over, labels.numbers, labels.low, labels.range, *how)
        present, self._starts, self._positions = grouping
        self.groups = labels.names(present)
        copied = [*arrays] if self._weights is None else [*arrays, self._weights]
        self.bytes_copied = int(self._starts[-1]) * sum(array.itemsize for array in copied)
        return found

    @property
    def weights(self) -> npt.NDArray[Any] | None:
        """What each element weighs, if they have weights."""
        return self._weights

    def result(self, column: Any, kernel: _core.Kernel) -> Any:
        """A kernel's answers, in the order of the groups."""
        if isinstance(column, tuple):
            return type(column)(*(self.result(field, kernel) for field in column))
        if kernel.arrays == "all":
            return shapes.square(column)
        if "arg" in kernel.name and self._positions is not None:
            return self._of_all(column, self._positions)
        return column if isinstance(column, np.ndarray) else shapes.together(column)

    def _of_all(self, column: Any, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Positions in the groups as positions in the array."""
        starts = self._starts[:-1]
        if isinstance(column, np.ndarray):
            return positions[column + starts.reshape(-1, *(1,) * (column.ndim - 1))]
        return objects([positions[own + start] for own, start in zip(column, starts, strict=True)])

    def refuses(self, size: int, data: npt.NDArray[Any]) -> str | None:
        """What keeps a kernel from answering with an array of items, if anything does."""
        if self._weights is not None:
            return "takes no weights"
        if self._mask is not None:
            return "takes no where: pass labels that are NaN where elements are to be left out"
        return None if size == data.size else "not with one for each element: it takes no by"

    def sequences(
        self, plan: _core.Plan, data: npt.NDArray[Any], workers: int, timeout: float | None, out: Out
    ) -> tuple[dict[int, npt.NDArray[Any]], dict[int, Exception]]:
        """The kernels' arrays of items, each in its element's place, a group at a time; and the kernels' failures.

        What belongs to no group is NaN, NaT, or 0 where there is no such.
        """
        positions = np.zeros(0, np.int64) if self._positions is None else self._positions
        arrays: dict[int, npt.NDArray[Any]] = {}
        targets: dict[int, npt.NDArray[Any]] = {}
        short: dict[int, Exception] = {}
        for place, dtype, _ in plan.arrays(data):
            try:
                array = out[place] if place in out else np.empty(data.size, dtype)
                targets[place] = np.empty(positions.size, dtype)
            except MemoryError as error:
                short[place] = error
                continue
            array[...] = np.nan if dtype.kind == "f" else "NaT" if dtype.kind in "mM" else 0
            arrays[place] = array
        arranged = data.reshape(-1)[positions]
        failures = plan.run_each(arranged, 0, self._starts, targets, workers, timeout)
        for place, array in arrays.items():
            array.flat[positions] = targets[place]
        return arrays, dict(failures) | short

    def called(self, function: Called) -> Callable[[npt.NDArray[Any]], Any]:
        """A user's function, to be called with the array: it is called with the elements of each group."""

        def parts(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
            positions = np.zeros(0, np.int64) if self._positions is None else self._positions
            # A matrix has two axes whatever is done to it.
            elements = [array.take(own) for own in np.split(positions, self._starts[1:-1])] if self._starts[-1] else []
            for own in elements:
                own.flags.writeable = False
            return elements

        def called(data: npt.NDArray[Any]) -> Any:
            if self._weights is None:
                values = [function.on(part) for part in parts(data)]
            else:
                pairs = zip(parts(data), parts(self._weights), strict=True)
                values = [function.on(part, weights=weights) for part, weights in pairs]
            return shapes.returned(values)

        return called


def groups(
    data: npt.NDArray[Any], by: Any, where: Any, weights: Any, positions: bool, workers: int, problems: Problems
) -> Groups | None:
    """The array's groups, if the arguments are right."""
    known = len(problems)
    mask = shapes.mask(where, data, problems)
    weighed = shapes.weighing(weights, data, None, problems)
    found = labels(by, data, workers, problems)
    return None if found is None or len(problems) > known else Groups(found, mask, weighed, positions)


def labels(by: Any, data: npt.NDArray[Any], workers: int, problems: Problems) -> Labels | None:
    """The labels, if they are such; several keys in a tuple are one label."""
    if not isinstance(by, tuple):
        return _labels(by, data, workers, problems, "by")
    if not by:
        problems.append(ValueError("by is an empty tuple: pass an array of labels, or a tuple of such"))
        return None
    keys = [_labels(key, data, workers, problems, f"by[{number}]") for number, key in enumerate(by)]
    found = [key for key in keys if key is not None]
    return None if len(found) < len(keys) else _joined(found, workers)


def _labels(by: Any, data: npt.NDArray[Any], workers: int, problems: Problems, argument: str) -> Labels | None:
    if isinstance(by, str | bytes) or np.ndim(by) == 0:
        what = f"{argument} must be an array with a label for each element, or a tuple of such, not {shown(by)}"
        problems.append(TypeError(what))
        return None
    shape = np.shape(by)
    if shape not in (data.shape, (data.size,)):
        advice = f"pass a label for each element of data, whose shape is {data.shape}"
        problems.append(ValueError(f"{argument} has shape {shape}: {advice}"))
        return None
    if str(getattr(by, "dtype", "")) == "category":
        categories: _Categories = getattr(by, "array", by)
        return _categorical(categories)
    array = np.asarray(by)
    if array.dtype.kind in "biumM":
        return _integers(array, workers)
    if array.dtype.kind == "f":
        return _ranked(array, workers)
    if array.dtype.kind in "USO":
        return _others(array, problems, argument)
    advice = "pass integers, floats, strings, times or a categorical"
    problems.append(TypeError(f"{argument} has dtype {array.dtype}, which makes no labels: {advice}"))
    return None


def _categorical(labels: _Categories) -> Labels:
    """Those that occur, in the order of the categories."""
    categories = np.asarray(labels.categories)
    return Labels(labels.codes, 0, len(categories), lambda numbers: categories[numbers])


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

    def names(numbers: npt.NDArray[np.int64]) -> Any:
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


def _others(array: npt.NDArray[Any], problems: Problems, argument: str) -> Labels | None:
    """Strings, and objects that have an order. None, and what is not equal to itself, belongs to no group."""
    flat = array.reshape(-1)
    there = np.array([one is not None and one == one for one in flat], bool) if array.dtype == object else None
    try:
        distinct, found = np.unique(flat if there is None else flat[there], return_inverse=True)
    except TypeError:
        advice = "pass labels of one kind, or as a categorical"
        problems.append(TypeError(f"{argument} holds objects that cannot be put in order: {advice}"))
        return None
    numbers = np.full(flat.size, -1, np.int64)
    numbers[... if there is None else there] = found.reshape(-1)
    return Labels(numbers, 0, distinct.size, lambda numbers: distinct[numbers])


def _joined(keys: list[Labels], workers: int) -> Labels:
    """Several labels of each element as one number; the first counts most."""
    numbers, width = _counted(keys[0]), keys[0].range

    parts: Parts = lambda numbers: (numbers,)  # noqa: E731 - others follow, under the same name
    for key in keys[1:]:
        own = _counted(key)
        numbers = np.where((numbers < 0) | (own < 0), -1, numbers * key.range + own)
        width *= key.range
        ranks: Names | None = None
        if width > max(WIDEST, 4 * numbers.size):
            ranked = _ranked(numbers, workers)
            # The first rank may be that of what belongs to no group.
            numbers, width, ranks = np.where(numbers < 0, -1, ranked.numbers), ranked.range, ranked.names
        parts = _more_parts(parts, ranks, key.range)

    def names(numbers: npt.NDArray[np.int64]) -> Any:
        return tuple(key.names(part) for key, part in zip(keys, parts(numbers), strict=True))

    return Labels(numbers, 0, width, names)


Parts = Callable[[npt.NDArray[np.int64]], tuple[npt.NDArray[np.int64], ...]]


def _more_parts(parts: Parts, ranks: Names | None, width: int) -> Parts:
    """What a number is made of, if it was made of these and another below `width`, and then perhaps ranked."""

    def more(numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
        numbers = numbers if ranks is None else ranks(numbers)
        return (*parts(numbers // width), numbers % width)

    return more


def _counted(key: Labels) -> npt.NDArray[np.int64]:
    """The numbers counted from the least one; -1 for what belongs to no group."""
    numbers = key.numbers.reshape(-1)
    if numbers.dtype.kind == "u":
        numbers = numbers - numbers.dtype.type(key.low)
    counted = numbers.astype(np.int64, copy=False) - (0 if numbers.dtype.kind == "u" else key.low)
    return np.where((counted >= 0) & (counted < key.range), counted, -1)
