"""The functions of one sequence of a run, over the rows of an array."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fanfold.calling import COPIED, Called
from fanfold.checks import locked, own_class
from fanfold.deadline import Deadline
from fanfold.shapes import Rows, objects, returned
from fanfold.tracing.arrays import Deferred, takes
from fanfold.tracing.nodes import Array
from fanfold.tracing.of_rows.calls import OfRows
from fanfold.tracing.of_rows.sweeps import AtOnce
from fanfold.tracing.of_rows.trace import Result

Function = Callable[[Array], Any]

AT_A_TIME = 65_536
"""The elements of the rows that a thread takes at a time, if a function is called for each row."""


class _Call:
    """A function of one sequence: what its trace gave, and the calls that are left."""

    def __init__(self, key: str, function: Function) -> None:
        self.key = key
        self.called = Called(function)
        self.result: Result | None = None
        self.why = ""
        self.error: Exception | None = None
        # The rows that are called one by one, and what they returned.
        self.rows: range | list[int] = range(0)
        self.tasks: list[OfRows] = []


class FunctionsOfRows:
    """Runs the functions of one sequence of a call over all rows of an array."""

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
        self.deadline = deadline
        self.passes = self.bytes_read = self.bytes_copied = 0
        self.seconds: list[float] = []
        self.workers = 1
        self._shape = shape
        self._others = tuple(axis for axis in range(shape.ndim) if axis not in shape.taken)
        self._lengths = tuple(data.shape[axis] for axis in self._others)
        self._array = self._turned(locked(data))
        self._present = None if present is None else self._turned(present)
        if not np.may_share_memory(self._array, data):
            self.bytes_copied = self._array.nbytes
        self._count = math.prod(self._lengths)
        self._workers = workers
        # What is called for rows in place of a function: itself, or one that is called in a process.
        self._call = call
        self._calls = [_Call(key, function) for key, function in functions.items()]
        self._at_once: AtOnce | None = None

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

    def run(self) -> list[OfRows]:
        """Traces the functions, computes what can be computed for all rows, and returns the calls that are left."""
        reason = self._why_plain()
        if reason is None:
            functions = {call.key: call.called for call in self._calls}
            self._at_once = AtOnce(self._array, functions, self._workers, self.deadline)
        for call in self._calls:
            call.rows = range(self._count)
            call.why = reason or ""
            if self._at_once is not None:
                self._take(call, self._at_once)
        if self._at_once is not None:
            sweeps = self._at_once.sweeps
            self.seconds, self.workers = sweeps.seconds, sweeps.most_workers
            self.passes, self.bytes_read = len(sweeps.seconds), sweeps.bytes_read
        return [task for call in self._calls for task in self._tasks(call)]

    @staticmethod
    def _take(call: _Call, at_once: AtOnce) -> None:
        """Takes over what a function's trace gave."""
        traced = at_once.traced[call.key]
        call.result, call.error, call.why = traced.result, traced.error, traced.why or ""
        if call.error is not None:
            call.rows = []
        elif call.result is not None:
            call.rows = at_once.left(call.result)

    def _why_plain(self) -> str | None:
        kind = own_class(self._array)
        if kind is not None:
            return f"the array is a {kind}, which may behave differently from an ndarray"
        if self._present is not None:
            return "elements are missing"
        if not takes(self._array.dtype):
            return f"the array's dtype is {self._array.dtype}"
        return "the rows have no elements" if self._array.shape[-1] == 0 else None

    def _tasks(self, call: _Call) -> list[OfRows]:
        size = max(1, AT_A_TIME // max(1, self._array.shape[-1]))
        size = min(size, max(1, len(call.rows) // (4 * self._workers)))
        starts = range(0, len(call.rows), size)
        for start in starts:
            called = self._call(call.key, Called(call.called.function))
            call.tasks.append(OfRows(call.key, called, call.rows[start : start + size], self.rows, self.deadline))
        return call.tasks

    # ---- the results ----

    def result(self, call: _Call) -> Any:
        """A function's results, laid out as `np.apply_along_axis` does. Raises the exception of the first row that
        failed.
        """
        for error in (call.error, *(task.error for task in call.tasks)):
            if error is not None:
                raise error
        values = [value for task in call.tasks for value in task.values]
        if call.result is None or self._at_once is None:
            if not self._count:
                raise ValueError(
                    "data has no rows, so there is nothing to call the function with: give it a parameter axis"
                )
            return self._laid_out(_stacked(values))
        made = self._made(call.result, self._at_once.columns(call.result))
        if len(call.rows):
            made = _mended(made, list(call.rows), values)
        return self._laid_out(made)

    def _made(self, result: Result, columns: list[Any]) -> Array:
        """The results of a fused function, with a row for each row."""
        if result.kind is Deferred:
            (found,) = columns
            return np.full(self._count, found) if np.ndim(found) == 0 else found
        if result.kind is dict:
            each = [itertools.repeat(one, self._count) if np.ndim(one) == 0 else one for one in columns]
            rows = zip(*each, strict=True) if each else itertools.repeat((), self._count)
            return objects([dict(zip(result.keys, row, strict=True)) for row in rows])
        made = np.empty((self._count, len(columns)), result.dtype())
        for place, column in enumerate(columns):
            made[:, place] = column
        return made

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

    def outcomes(self) -> Iterator[tuple[str, Any, Exception | None, str, str, float]]:
        """For each function its key, its result or exception, how and why it was computed so, and its own time."""
        for call in self._calls:
            value, error, why = None, None, call.why
            try:
                value = self.result(call)
            except Exception as raised:  # noqa: BLE001 - a function can raise anything
                error = raised
            how = "fused"
            if call.result is None:
                how = "process" if any(task.called.is_remote for task in call.tasks) else "plain"
                why = f"called for each row: {why}"
            elif len(call.rows):
                how, why = "partly fused", f"called for {len(call.rows):,} of {self._count:,} rows"
            copied = sum(task.called.bytes_copied for task in call.tasks)
            if copied:
                self.bytes_copied += copied
                why = f"{why}; {COPIED}"
            call.error = None
            for task in call.tasks:
                task.error = None
            yield call.key, value, error, how, why, sum(task.seconds for task in call.tasks)


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


def _mended(made: Array, rows: list[int], values: list[Any]) -> Array:
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
