"""The functions of one sequence of a run: computed at once where they can be, and called for the other rows."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fanfold.calling import COPIED, Called
from fanfold.checks import locked, own_class
from fanfold.deadline import Deadline
from fanfold.holders import SHORTEST
from fanfold.shapes import Rows, objects, returned
from fanfold.tracing.arrays import Deferred, takes
from fanfold.tracing.nodes import Array
from fanfold.tracing.of_rows.calls import OfRows
from fanfold.tracing.of_rows.sweeps import AtOnce, Sweeps
from fanfold.tracing.of_rows.trace import Result

Function = Callable[[Array], Any]

AT_A_TIME = 65_536
"""The elements of the rows that a thread takes at a time, if a function is called for each row."""


THREADS_FROM = 3_000
"""The elements of a row, on average, from which threads call a function for each row. In shorter rows NumPy releases
the GIL for too short a time. Two threads took so many times as long as one, for `np.polyfit`, `np.sort`, `np.fft.rfft`
and five sums of slices (medians of 9 pairs, 2 cores): 1.05 to 2.1 for rows of 50 to 1,000 elements, 0.99 to 1.7 for
2,000, 0.72 to 1.07 for 3,000, 0.62 to 1.09 for 10,000, 0.56 to 0.72 for 100,000."""

SHORT_CALLS = "its calls are too short for threads: processes=True runs them in several processes"
"""What the report says of a function that one thread called, and that took long."""


class Part(NamedTuple):
    """What a function's trace gives for some of the rows."""

    numbers: Array
    result: Result
    columns: list[Any]


class Call:
    """A function of one sequence: what is computed at once, and the calls that are left."""

    def __init__(self, key: str, function: Function) -> None:
        self.key = key
        self.called = Called(function)
        self.why: str | None = None
        self.error: Exception | None = None
        self.parts: list[Part] = []
        self.tasks: list[OfRows] = []
        # Whether a row has a call of its own, row by row.
        self.left: Array = np.empty(0, np.bool_)

    @property
    def is_open(self) -> bool:
        """Whether its formulas may be known: not if none were found for the first rows."""
        return self.error is None and (self.why is None or bool(self.parts))

    def take(self, numbers: Array, at_once: AtOnce, returns: Callable[[Result], bool]) -> None:
        """Takes over what its trace gave for the rows of these numbers."""
        traced = at_once.traced[self.key]
        self.error = traced.error
        if traced.result is None or not returns(traced.result):
            self.why = traced.why or "the kind of its result"
        elif self.error is None:
            self.parts.append(Part(numbers, traced.result, at_once.columns(traced.result)))
            self.left[numbers] = at_once.bad(traced.result)

    def values(self) -> list[Any]:
        """What the calls returned. Raises the exception of the first row that failed."""
        for error in (self.error, *(task.error for task in self.tasks)):
            if error is not None:
                raise error
        return [value for task in self.tasks for value in task.values]


class Functions:
    """Functions of one sequence, over many sequences: the rows of an array, or groups."""

    word = "row"

    def __init__(
        self,
        functions: Mapping[str, Function],
        workers: int,
        deadline: Deadline,
        call: Callable[[str, Called], Called],
    ) -> None:
        self.deadline = deadline
        self.bytes_read = self.bytes_copied = 0
        self.seconds: list[float] = []
        """The time of each pass."""
        self.workers = 1
        self.are_short = True
        """Whether calls for the rows are so short that threads would hold each other up; known after `run`."""
        self._workers = workers
        # What is called for rows in place of a function: itself, or one that is called in a process.
        self._call = call
        self.keys = frozenset(functions)
        self._calls = [Call(key, function) for key, function in functions.items()]

    def rows(self, numbers: Iterable[int]) -> Iterator[Array]:
        """The rows of these numbers."""
        raise NotImplementedError

    def result(self, call: Call) -> Any:
        """A function's results. Raises the exception of the first row that failed."""
        raise NotImplementedError

    def _sizes(self) -> Array:
        """The number of elements of each row."""
        raise NotImplementedError

    def _why_plain(self) -> str | None:
        """The reason why functions are called for each row; None if they are traced."""
        raise NotImplementedError

    def _matrices(self) -> Iterable[tuple[Array, Array]]:
        """The numbers of rows of one length, and these rows as an array."""
        raise NotImplementedError

    def _returns(self, result: Result) -> bool:
        """Whether the results of calls can be made from what was computed at once."""
        del result
        return True

    def run(self) -> list[OfRows]:
        """Traces the functions, computes what can be computed for all rows, and returns the calls that are left."""
        reason, sizes = self._why_plain(), self._sizes()
        self.are_short = not sizes.size or float(np.mean(sizes)) < THREADS_FROM
        for call in self._calls:
            call.left = np.ones(sizes.size, np.bool_)
            call.why = reason
        for numbers, array in self._matrices() if reason is None else ():
            calls = {call.key: call for call in self._calls if call.is_open}
            if not calls:
                break
            functions = {key: call.called for key, call in calls.items()}
            known = [key for key, call in calls.items() if call.parts]
            at_once = AtOnce(array, functions, known, self._workers, self.deadline)
            for call in calls.values():
                call.take(numbers, at_once, self._returns)
            self._add(at_once.sweeps)
        for call in self._calls:
            if call.error is None:
                call.tasks = [self._task(call, own) for own in self._pieces(np.flatnonzero(call.left), sizes)]
        return [task for call in self._calls for task in call.tasks]

    def _add(self, sweeps: Sweeps) -> None:
        """Adds the figures of sweeps. Those over rows of other lengths are parts of the same passes."""
        pairs = itertools.zip_longest(self.seconds, sweeps.seconds, fillvalue=0.0)
        self.seconds = [before + own for before, own in pairs]
        self.bytes_read += sweeps.bytes_read
        self.workers = max(self.workers, sweeps.most_workers)

    def _pieces(self, numbers: Array, sizes: Array) -> list[Array]:
        """The rows that are called, in pieces for the workers."""
        if not numbers.size:
            return []
        ends = np.cumsum(np.maximum(sizes[numbers], 1))
        size = min(AT_A_TIME, max(1, int(ends[-1]) // (4 * self._workers)))
        return np.split(numbers, np.flatnonzero(np.diff((ends - 1) // size)) + 1)

    def _task(self, call: Call, numbers: Array) -> OfRows:
        called = self._call(call.key, Called(call.called.function))
        return OfRows(call.key, called, numbers.tolist(), self.rows, self.deadline)

    def outcomes(self) -> Iterator[tuple[str, Any, Exception | None, str, str, float]]:
        """For each function its key, its result or exception, how and why it was computed so, and its own time."""
        for call in self._calls:
            value, error, why = None, None, call.why or ""
            try:
                value = self.result(call)
            except Exception as raised:  # noqa: BLE001 - a function can raise anything
                error = raised
            count, called = call.left.size, np.count_nonzero(call.left)
            how, is_remote = "fused", any(task.called.is_remote for task in call.tasks)
            if not call.parts:
                how = "process" if is_remote else "plain"
                why = f"called for each {self.word}: {why}"
            elif called:
                how, why = "partly fused", f"called for {called:,} of {count:,} {self.word}s"
            seconds = sum(task.seconds for task in call.tasks)
            if self.are_short and self._workers > 1 and not is_remote and seconds > SHORTEST:
                why = f"{why}; {SHORT_CALLS}"
            copied = sum(task.called.bytes_copied for task in call.tasks)
            if copied:
                self.bytes_copied += copied
                why = f"{why}; {COPIED}"
            call.error = None
            for task in call.tasks:
                task.error = None
            yield call.key, value, error, how, why, seconds


class FunctionsOfRows(Functions):
    """The functions of one sequence of a run, over the rows of an array."""

    def __init__(
        self,
        data: Array,
        shape: Rows,
        functions: Mapping[str, Function],
        workers: int,
        deadline: Deadline,
        present: Array | None = None,
        call: Callable[[str, Called], Called] = lambda _, called: called,
    ) -> None:
        super().__init__(functions, workers, deadline, call)
        self._shape = shape
        self._others = tuple(axis for axis in range(shape.ndim) if axis not in shape.taken)
        self._lengths = tuple(data.shape[axis] for axis in self._others)
        self._array = self._turned(locked(data))
        self._present = None if present is None else self._turned(present)
        if not np.may_share_memory(self._array, data):
            self.bytes_copied = self._array.nbytes
        self._count = math.prod(self._lengths)

    def _turned(self, array: Array) -> Array:
        taken = self._shape.taken
        turned = array.transpose(self._others + taken)
        if len(taken) > 1:
            turned = turned.reshape((*self._lengths, math.prod(array.shape[axis] for axis in taken)))
        # It may be a copy.
        turned.flags.writeable = False
        return turned

    def rows(self, numbers: Iterable[int]) -> Iterator[Array]:
        """The rows of these numbers, in C order of the axes that are left."""
        for number in numbers:
            place = (
                np.unravel_index(number, self._lengths) if len(self._lengths) > 1 else (number,)[: len(self._lengths)]
            )
            row = self._array[place]
            yield row if self._present is None else row[self._present[place]]

    def _sizes(self) -> Array:
        return np.broadcast_to(np.int64(self._array.shape[-1]), self._count)

    def _why_plain(self) -> str | None:
        why = why_untraced(self._array)
        if why is None and self._present is not None:
            return "elements are missing"
        return "the rows have no elements" if why is None and self._array.shape[-1] == 0 else why

    def _matrices(self) -> Iterable[tuple[Array, Array]]:
        return [(np.arange(self._count), self._array)]

    def result(self, call: Call) -> Any:
        """A function's results, laid out as `np.apply_along_axis` does."""
        values = call.values()
        if not call.parts:
            if not self._count:
                raise ValueError(
                    "data has no rows, so there is nothing to call the function with: give it a parameter axis"
                )
            return self._laid_out(_stacked(values))
        (part,) = call.parts
        made = self._made(part.result, part.columns)
        if values:
            made = _mended(made, np.flatnonzero(call.left), values)
        return self._laid_out(made)

    def _made(self, result: Result, columns: list[Any]) -> Array:
        """The results of a fused function, with a row for each row."""
        if result.kind is Deferred:
            (found,) = columns
            return np.full(self._count, found) if np.ndim(found) == 0 else found
        if result.kind is dict:
            return objects(dicts(result, columns, self._count))
        return matrix(result, columns, self._count)

    def _laid_out(self, answers: Array) -> Any:
        """The results of rows in the places of the array's axes."""
        shape, inner = self._shape, answers.shape[1:]
        full = answers.reshape(self._lengths + inner)
        if not inner and shape.keepdims:
            full = full.reshape([1 if axis in shape.taken else length for axis, length in enumerate(shape.shape)])
        if inner and len(shape.taken) == 1:
            first, along = shape.taken[0], len(self._lengths)
            places = range(len(inner))
            full = np.moveaxis(full, [along + place for place in places], [first + place for place in places])
        return full[()] if full.ndim == 0 else full


def _stacked(values: list[Any]) -> Array:
    """The results of calls in one array, if they are numbers, or arrays of numbers, of one shape and dtype."""
    plain = all(isinstance(value, np.ndarray | list | tuple) and own_class(value) is None for value in values)
    if plain:
        try:
            arrays = [np.asarray(value) for value in values]
        except ValueError:
            # Lists of several lengths.
            return objects(values)
        first = arrays[0]
        if first.ndim and first.dtype.kind in "biufcmMV":
            if all((each.shape, each.dtype) == (first.shape, first.dtype) for each in arrays):
                return np.stack(arrays)
            return objects(values)
    return returned(values)


def _mended(made: Array, rows: Array, values: list[Any]) -> Array:
    """The results of a fused function, with those of calls in the rows that were called."""
    found = _stacked(values)
    if found.dtype == made.dtype and found.shape[1:] == made.shape[1:]:
        made = made.copy()
        made[rows] = found
        return made
    each: list[Any] = list(made)
    for row, value in zip(rows, values, strict=True):
        each[row] = value
    return _stacked(each)


def why_untraced(array: Array) -> str | None:
    """The reason why functions of rows of this array are not traced; None if they are."""
    kind = own_class(array)
    if kind is not None:
        return f"the array is a {kind}, which may behave differently from an ndarray"
    return None if takes(array.dtype) else f"the array's dtype is {array.dtype}"


def dicts(result: Result, columns: list[Any], count: int) -> list[dict[Any, Any]]:
    """A dict for each row, of a function that returns dicts."""
    return [dict(zip(result.keys, row, strict=True)) for row in lines(columns, count)]


def lines(columns: list[Any], count: int) -> Iterator[tuple[Any, ...]]:
    """The numbers of each row, of a function that returns several."""
    each = [itertools.repeat(one, count) if np.ndim(one) == 0 else one for one in columns]
    return zip(*each, strict=True) if each else itertools.repeat((), count)


def matrix(result: Result, columns: list[Any], count: int) -> Array:
    """The same as an array with a row for each row."""
    made = np.empty((count, len(columns)), result.dtype())
    for place, column in enumerate(columns):
        made[:, place] = column
    return made
