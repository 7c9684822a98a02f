"""Functions of one sequence: traced for one row, and run for all.

A function without a parameter `axis` means what `np.apply_along_axis` makes of it. It is called with a stand-in for a
row, which has a dtype and a length; its elements are not shown. If it returns without asking for a value, its formulas
hold for every row: they are computed for all rows in shared sweeps (`_core.FormulasOfRows`). If it asks for one, the
trace ends there, and the function is called for each row.

The function is called twice, to see whether its formulas depend on the row alone. Equal formulas are the same nodes, so
a function that depends on more (on random numbers, on the number of its calls) gives others, and is called for each
row.

Numbers that Python computes from numbers are computed for all rows between two sweeps. A row for which something is
uncertain (a kernel that fails, NaN where NumPy would warn) gets a call of its own.
"""

import functools
import itertools
import math
import operator
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fanfold import _core
from fanfold.calling import COPIED, Called, without_our_frames
from fanfold.checks import locked, own_class
from fanfold.deadline import Deadline
from fanfold.scheduler import standing_in
from fanfold.shapes import Rows, objects, returned
from fanfold.tracing import results
from fanfold.tracing.arrays import Deferred, DeferredArray, deferred, takes
from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Along, Array, Computed, FromValues, Node, Selection, Source, Statistic
from fanfold.tracing.rebinding import Rebound
from fanfold.tracing.rules.quantiles import Several
from fanfold.tracing.trace import KINDS, MESSAGES, InVain, Trace
from fanfold.tracing.ufuncs import Log

Function = Callable[[Array], Any]

AT_A_TIME = 65_536
"""The elements of the rows that a thread takes at a time, if a function is called for each row."""


# ---- the trace of a row ----


class RowTrace(Trace):
    """The trace of a function of one row. While the function runs, it ends as soon as a value is needed."""

    of_rows = True

    def __init__(self, formulas: "RowFormulas") -> None:
        super().__init__(formulas, lambda nodes: formulas.settle(nodes, 1), smallest=1)
        self.is_running = True
        self.noted: list[tuple[Node, str, dict[str, Any]]] = []
        """The operations for which NumPy warns."""

    def keep(self, made: Any, node: Node) -> None:
        """Records a deferred value. Ends the trace if it has no elements, for which NumPy may warn or raise."""
        if node.shape == (0,):
            self.because("a slice without elements")
        super().keep(made, node)

    def know(self, nodes: list[Node], at_once: bool = False) -> None:
        """Ends the trace: the function needs values now."""
        if self.is_running:
            self.because("it asked for a value")
        super().know(nodes, at_once)

    def because(self, reason: str) -> None:
        """Ends the trace for this reason."""
        super().because(reason)
        if self.is_running:
            self.give_up()

    def force(self, node: Node, reason: str | None, at_once: bool = False) -> Any:
        """Ends the trace: a value of this row would not hold for the others."""
        if self.is_running:
            self.because(reason or "a value")
        return super().force(node, reason, at_once)

    def may_warn(self, node: Node, name: str, state: dict[str, Any]) -> None:
        """Records an operation for which NumPy warns of floating-point exceptions."""
        self.noted.append((node, name, state))


class RowFormulas(Formulas):
    """The nodes of the functions of one row. Its session serves only values that functions stored elsewhere."""

    trace: RowTrace | None = None

    def along(
        self, operation: Along, of: Node, dtype: np.dtype[Any], plain: Callable[[Array], Any], shape: tuple[int, ...]
    ) -> Node:
        """Ends the trace: a kernel's array of results is no formula."""
        if self.trace is not None:
            self.trace.because(f"np.{operation.kernel.name}")
        return super().along(operation, of, dtype, plain, shape)


class _Result:
    """What a traced function returned: a node or a number for each part, and how the parts make the result."""

    def __init__(self, value: Any) -> None:
        self.kind = type(value)
        self.keys: tuple[Any, ...] = ()
        if self.kind is dict:
            self.keys = tuple(value)
            parts = list(value.values())
        elif isinstance(value, tuple | list) or _is_of_objects(value):
            parts = list(value)
        else:
            self.kind, parts = Deferred, [value]
        self.parts: list[Any] = [each._node if issubclass(type(each), Deferred) else each for each in parts]
        self.left: list[Any] = [each for each in parts if issubclass(type(each), Deferred)]

    def why_not(self) -> str | None:
        """The reason why such a result cannot be made for all rows at once; None if it can."""
        for part in self.parts:
            if type(part) not in (Node, bool, int, float, complex) and not isinstance(part, np.number | np.bool_):
                return "the kind of its result"
            is_array = type(part) is Node and not part.is_number
            if is_array and (self.kind is not Deferred or isinstance(part.shape, Selection) or len(part.shape) != 1):
                return "the kind of its result"
        if self.kind is Several and len({part.dtype if type(part) is Node else None for part in self.parts}) != 1:
            return "the kind of its result"
        if self.kind not in (dict, Deferred) and (not self.parts or self.dtype() is None):
            return "the kind of its result"
        return None

    def dtype(self) -> np.dtype[Any] | None:
        """The dtype of an array of the parts; None if it holds no numbers."""
        sample = [part.dtype.type(1) if type(part) is Node else part for part in self.parts]
        dtype = np.asarray(sample).dtype
        return dtype if dtype.kind in "biufc" else None

    def holders(self) -> set[int]:
        """The ids of the deferred values in the result, and of those that they are slices of."""
        kept: set[int] = set()
        for each in self.left:
            while each is not None and id(each) not in kept:
                kept.add(id(each))
                parent = each._parent if type(each) is DeferredArray else None
                each = parent[0] if parent is not None else None
        return kept

    def is_like(self, other: "_Result") -> bool:
        """Whether another call gave the same formulas and the same numbers."""
        pairs = zip(self.parts, other.parts, strict=False)
        alike = all(
            a is b if type(a) is Node else type(a) is type(b) and (a == b or (a != a and b != b)) for a, b in pairs
        )
        return alike and (self.kind, self.keys, len(self.parts)) == (other.kind, other.keys, len(other.parts))


def _is_of_objects(value: Any) -> bool:
    """Whether a result is an array of deferred numbers, as several quantiles of a row are."""
    return type(value) is Several and value.ndim == 1


class _Traced:
    """A function of one sequence: what its trace gave, and then its results."""

    def __init__(self, key: str, called: Called) -> None:
        self.key = key
        self.called = called
        self.result: _Result | None = None
        self.noted: list[tuple[Node, str, dict[str, Any]]] = []
        self.why: str | None = None
        self.error: Exception | None = None
        # The rows that are called one by one, and what they returned.
        self.rows: range | list[int] = range(0)
        self.tasks: list[OfRows] = []

    def trace(self, formulas: RowFormulas, row: Array) -> None:
        """Calls the function twice with a stand-in for a row."""
        first = self._attempt(formulas, row)
        second = self._attempt(formulas, row) if first is not None else None
        if first is None or second is None:
            return
        (result, self.noted), (again, _) = first, second
        if result.is_like(again):
            self.result = result
        else:
            self.why = "two calls gave different formulas"

    def _attempt(
        self, formulas: RowFormulas, row: Array
    ) -> tuple[_Result, list[tuple[Node, str, dict[str, Any]]]] | None:
        trace = formulas.trace = RowTrace(formulas)
        stand_in = self._stand_in(formulas, trace, row)
        rebound = Rebound(self.called.function)
        found: _Result | None = None
        why: str | None = None
        try:
            with standing_in():
                value = self.called.context.run(rebound.function, stand_in)
            found = _Result(value)
            if {id(each) for each in results.deferred_in(value)} != {id(each) for each in found.left}:
                why = "the kind of its result"
            del value
        except InVain:
            why = trace.reasons[0] if trace.reasons else "it asked for a value"
        except Exception as error:  # noqa: BLE001 - a function can raise anything
            why = f"it raised {type(error).__name__}"
        del stand_in
        if rebound.end():
            why = why or "a name of an enclosing function has changed while it was called"
        trace.is_running, formulas.trace = False, None
        if trace.in_vain or trace.reasons:
            why = why or (trace.reasons[0] if trace.reasons else "it asked for a value")
        if found is not None and why is None:
            why = found.why_not()
        if why is not None:
            found = None
        kept = found.holders() if found is not None else set()
        if any(made() is not None and id(made()) not in kept for made in trace._made):
            why = why or "it stored values"
        try:
            # What it stored elsewhere is computed from the first row.
            trace.close(kept)
        except (Exception, InVain):  # noqa: BLE001 - NumPy's own exception; the calls will show it
            why = why or "it stored values"
        noted = trace.noted
        trace.end()
        if found is None or why is not None:
            self.why = why
            return None
        found.left.clear()
        return found, noted

    @staticmethod
    def _stand_in(formulas: RowFormulas, trace: RowTrace, row: Array) -> Any:
        """A deferred array for a row: a slice of another one, so that it does not get another formula in place."""
        whole: Any = deferred(trace, formulas.source(row))
        return whole[:]


# ---- the calls of single rows ----


class OfRows:
    """The calls of a function for some rows, one after the other."""

    def __init__(self, key: str, called: Called, rows: Iterable[int], of: "FunctionsOfRows") -> None:
        self.key = key
        self.called = called
        self.rows = list(rows)
        self.values: list[Any] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self._of = of

    def attempt(self) -> None:
        """Calls the function for each row."""
        begun = time.perf_counter()
        try:
            self._attempt()
        finally:
            self.seconds = time.perf_counter() - begun

    def _attempt(self) -> None:
        of = self._of
        if self.called.is_remote:
            # One message for all.
            try:
                self.values = self.called.each(((row,), {}, {}) for row in of.rows(self.rows))
            except Exception as error:  # noqa: BLE001 - a function can raise anything
                self.error = without_our_frames(error)
            return
        for row in of.rows(self.rows):
            of.deadline.left()
            try:
                self.values.append(self.called.on((row,), {}))
            except Exception as error:  # noqa: BLE001 - a function can raise anything
                self.error = without_our_frames(error)
                return


# ---- all rows ----


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
        self._calls = [_Traced(key, Called(function)) for key, function in functions.items()]
        self._columns: dict[Node, Any] = {}
        self._bad: dict[Node, Any] = {}

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
            self._trace()
        for call in self._calls:
            call.why = reason if reason is not None else call.why
            if call.error is not None:
                continue
            if call.result is None:
                call.rows = range(self._count)
            else:
                call.rows = self._left(call)
        return [task for call in self._calls for task in self._tasks(call)]

    def _why_plain(self) -> str | None:
        kind = own_class(self._array)
        if kind is not None:
            return f"the array is a {kind}, which may behave differently from an ndarray"
        if self._present is not None:
            return "elements are missing"
        if not takes(self._array.dtype):
            return f"the array's dtype is {self._array.dtype}"
        return "the rows have no elements" if self._array.shape[-1] == 0 else None

    def _tasks(self, call: _Traced) -> list[OfRows]:
        size = max(1, AT_A_TIME // max(1, self._array.shape[-1]))
        size = min(size, max(1, len(call.rows) // (4 * self._workers)))
        starts = range(0, len(call.rows), size)
        for start in starts:
            called = self._call(call.key, Called(call.called.function))
            call.tasks.append(OfRows(call.key, called, call.rows[start : start + size], self))
        return call.tasks

    # ---- the sweeps ----

    def _trace(self) -> None:
        row = np.empty(self._array.shape[-1], self._array.dtype)
        if self._count:
            (row,) = self.rows([0])
        formulas = RowFormulas(row, self.deadline)
        try:
            for call in self._calls:
                self.deadline.left()
                call.trace(formulas, row)
            fused = [call for call in self._calls if call.result is not None]
            try:
                _Sweeps(self, row).run(fused)
            except MemoryError as error:
                for call in fused:
                    call.error = error
        finally:
            formulas.close()

    def _left(self, call: _Traced) -> list[int]:
        """The rows for which something is uncertain."""
        bad = np.zeros(self._count, np.bool_)
        for part in call.result.parts if call.result is not None else ():
            if type(part) is Node and part in self._bad:
                bad |= self._bad[part]
        return [int(row) for row in np.flatnonzero(bad)]

    # ---- the results ----

    def result(self, call: _Traced) -> Any:
        """A function's results, laid out as `np.apply_along_axis` does. Raises the exception of the first row that
        failed.
        """
        for error in (call.error, *(task.error for task in call.tasks)):
            if error is not None:
                raise error
        values = [value for task in call.tasks for value in task.values]
        if call.result is None:
            if not self._count:
                raise ValueError(
                    "data has no rows, so there is nothing to call the function with: give it a parameter axis"
                )
            return self._laid_out(_stacked(values))
        made = self._made(call.result)
        if len(call.rows):
            made = _mended(made, list(call.rows), values)
        return self._laid_out(made)

    def _made(self, result: _Result) -> Array:
        """The results of a fused function, with a row for each row."""
        columns = [self._columns[part] if type(part) is Node else part for part in result.parts]
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
            value, error, why = None, None, call.why or ""
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


# ---- what is computed for all rows ----


class _Sweeps:
    """The nodes of fused functions, computed for all rows in sweeps."""

    def __init__(self, of: FunctionsOfRows, row: Array) -> None:
        self._of = of
        self._row = row
        self._count = of._count
        self._array = of._array
        self._core = _core.FormulasOfRows(self._array, self._array.ndim - 1)
        # The nodes of the compiled half.
        self._ids: dict[Node, int] = {}
        self._flags: dict[int, int] = {}
        self._told: dict[Node, list[str]] = {}

    def run(self, calls: list[_Traced]) -> None:
        """Computes the parts of these functions' results."""
        wanted = {part: None for call in calls for part in call.result.parts if type(part) is Node}  # type: ignore[union-attr]
        order = list(_ordered(wanted))
        while True:
            asked = self._ask(order, wanted)
            if not asked:
                break
            self._sweep(asked)
        for call in calls:
            self._warn(call, set(order))

    def _ask(self, order: list[Node], wanted: Mapping[Node, None]) -> list[Node]:
        """Computes what follows from known numbers, and returns the nodes that the next sweep can compute."""
        columns, ids = self._of._columns, self._ids
        asked: list[Node] = []
        for node in order:
            if isinstance(node.operation, Statistic):
                if node not in columns and node.inputs[0] in ids:
                    if _refuses(node.operation.kernel, node.inputs[0].dtype):
                        columns[node] = self._column(node, None, [])
                    else:
                        asked.append(node)
            elif node.is_number:
                if node not in columns and all(of in columns for of in node.inputs):
                    self._compute(node)
            else:
                self._lower(node)
                if node in wanted and node in ids and node not in columns:
                    asked.append(node)
        return asked

    def _id(self, node: Node) -> int | None:
        """The number of a node in the compiled half, if everything that it needs is known."""
        if node in self._ids or not node.is_number or node not in self._of._columns:
            return self._ids.get(node)
        column = self._of._columns[node]
        one = np.ndim(column) == 0
        made = self._core.constant(np.asarray(column, node.dtype)) if one else self._core.number(column)
        self._ids[node] = made
        return made

    def _lower(self, node: Node) -> None:
        if node in self._ids:
            return
        found = [self._id(of) for of in node.inputs]
        if None in found:
            return
        self._spread(node)
        of: list[Any] = found
        match node.operation:
            case Source():
                self._ids[node] = self._source(node.operation.array)
            case "where":
                self._ids[node] = self._core.choose(*of)
            case "select":
                self._ids[node] = self._core.select(*of)
            case ("cast", dtype):
                self._ids[node] = self._core.cast(of[0], dtype)
            case ("power", exponent):
                self._ids[node] = self._core.power(of[0], exponent)
            case loop:
                self._ids[node] = self._core.ufunc(loop, of)

    def _source(self, part: Array) -> int:
        """The node of the same part of every row."""
        if part is self._row:
            return 0
        # A slice of a slice is one of the row, whose strides are whole numbers of elements.
        offset = part.__array_interface__["data"][0] - self._row.__array_interface__["data"][0]
        (stride,), (step,), (length,) = self._row.strides, part.strides, part.shape
        start, every = (offset // stride, step // stride) if stride else (0, 1)
        stop = start + every * (length - 1)
        # An end in front of the first element cannot be written as a number.
        end = None if every < 0 and stop == 0 else stop + (1 if every > 0 else -1)
        found = self._array[..., start : end : every or 1]
        return self._core.source(found)

    def _spread(self, node: Node) -> None:
        """A node is uncertain for the rows for which one of its inputs is."""
        bad = [self._of._bad[of] for of in node.inputs if of in self._of._bad]
        if bad:
            self._of._bad[node] = np.logical_or.reduce(bad)

    def _sweep(self, asked: list[Node]) -> None:
        of = self._of
        requests: list[tuple[int, Any]] = []
        for node in asked:
            if isinstance(node.operation, Statistic):
                requests.append((self._ids[node.inputs[0]], node.operation.kernel))
            else:
                requests.append((self._ids[node], np.empty((self._count, *node.shape), node.dtype)))  # type: ignore[misc]
        begun = time.perf_counter()
        with of.deadline.within() as left:
            columns, failed, flags, workers = self._core.sweep(requests, of._workers, left)
        of.seconds.append(time.perf_counter() - begun)
        of.passes += 1
        of.bytes_read += self._array.nbytes
        of.workers = max(of.workers, workers)
        for number, bits in flags:
            self._flags[number] = self._flags.get(number, 0) | bits
        without: dict[int, list[int]] = {}
        for request, row in failed:
            without.setdefault(request, []).append(row)
        for number, (node, (_, kernel), column) in enumerate(zip(asked, requests, columns, strict=True)):
            self._spread(node)
            if isinstance(node.operation, Statistic):
                of._columns[node] = self._column(node, column, without.get(number, []))
            else:
                of._columns[node] = kernel

    def _column(self, node: Node, found: Any, failed: list[int]) -> Array:
        """A statistic's results for all rows. Rows for which NumPy may do something else are noted."""
        bad = np.zeros(self._count, np.bool_)
        bad[failed] = True
        column = np.ones(self._count, node.dtype)
        # Some formulas take a mean of float32 as float64.
        given = found.dtype if isinstance(found, np.ndarray) and found.ndim == 1 else None
        if given is not None and (given == node.dtype or (given.kind == "f" and np.can_cast(given, node.dtype))):
            column[~bad] = found
        elif self._count:
            bad[:] = True
        statistic: Statistic = node.operation
        (of,) = node.inputs
        if statistic.doubts_nan or statistic.kernel.name.startswith("nan"):
            bad |= np.isnan(column)
        freedom = statistic.kernel.parameters.get("ddof")
        if freedom and isinstance(of.shape, tuple) and of.shape[0] <= freedom:
            # NumPy warns of it.
            bad[:] = True
        if bad.any():
            column[bad] = 1
            known = self._of._bad.get(node)
            self._of._bad[node] = bad if known is None else bad | known
        return column

    # ---- numbers from numbers ----

    def _compute(self, node: Node) -> None:
        """Computes a number for all rows."""
        columns = self._of._columns
        if node.operation == "number":
            columns[node] = node.value[()]
            return
        computed: Computed = node.operation
        self._spread(node)
        how, values = computed.values, [columns[of] for of in node.inputs]
        if how is None:
            # A value that a function stored elsewhere was computed for the first row.
            columns[node], self._of._bad[node] = np.ones(self._count, node.dtype), np.ones(self._count, np.bool_)
            return
        columns[node] = _all_at_once(how, node, values, self._count)
        if columns[node] is None:
            columns[node] = self._one_by_one(how, node, values)

    def _one_by_one(self, how: FromValues, node: Node, values: list[Any]) -> Array:
        told = Log()
        bad = self._of._bad.get(node)
        bad = np.zeros(self._count, np.bool_) if bad is None else bad
        column, wrong = np.ones(self._count, node.dtype), []
        each = [value if np.ndim(value) else itertools.repeat(value, self._count) for value in values]
        states: dict[str, Any] = {kind: "log" if word == "warn" else word for kind, word in how.state.items()}
        with np.errstate(call=told, **states):
            for row, numbers in enumerate(zip(*each, strict=True)):
                if bad[row]:
                    continue
                try:
                    value = how.compute(list(numbers))
                    if value.dtype != node.dtype:
                        wrong.append(row)
                    column[row] = value
                except Exception:  # noqa: BLE001 - the call of the row will show it
                    wrong.append(row)
        if wrong:
            bad = bad.copy()
            bad[wrong] = True
            self._of._bad[node] = bad
        self._told[node] = list(dict.fromkeys(told))
        return column

    # ---- warnings ----

    def _warn(self, call: _Traced, used: set[Node]) -> None:
        """Warns of floating-point exceptions, once for each operation of a function."""
        try:
            for node, name, state in call.noted:
                computed = [each for each in (node, node.quick) if each in used]
                if not computed:
                    continue
                if isinstance(node.operation, Computed):
                    for told in self._told.get(node, ()):
                        warnings.warn(told, RuntimeWarning, stacklevel=4)
                    continue
                bits = 0
                for each in computed:
                    bits |= self._flags.get(self._ids.get(each, -1), 0)
                if bits & 16:
                    call.result, call.why = None, f"{name} failed"
                    return
                for bit, words in MESSAGES:
                    if bits & bit and state[KINDS[words]] == "warn":
                        warnings.warn(f"{words} encountered in {name}", RuntimeWarning, stacklevel=4)
        except RuntimeWarning:
            # The filters turn warnings into errors, which belong to the function's own calls.
            call.result, call.why = None, "it warned, and the filters raise warnings"


@functools.lru_cache(maxsize=1024)
def _refuses(kernel: _core.Kernel, dtype: np.dtype[Any]) -> bool:
    """Whether a kernel does not take elements of this dtype."""
    return bool(_core.Plan([kernel], "propagate").problems(np.ones(2, dtype)))


def _ordered(wanted: Iterable[Node]) -> Iterable[Node]:
    """The nodes and all nodes that they are computed from, each after its inputs."""
    order: dict[Node, None] = {}
    stack = list(wanted)
    while stack:
        node = stack[-1]
        left = [of for of in node.inputs if of not in order]
        if left:
            stack.extend(left)
        else:
            order[node] = None
            stack.pop()
    return order


# Their loops over arrays and their scalar forms give the same bits: each result is the exact one, rounded once.
_EXACT = frozenset((
    operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pos, operator.abs,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
    np.add, np.subtract, np.multiply, np.true_divide, np.negative, np.positive, np.absolute, np.fabs, np.sqrt,
    np.square, np.less, np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal, np.isnan, np.isfinite,
    np.isinf, "astype",
))  # fmt: skip


def _all_at_once(how: FromValues, node: Node, values: list[Any], count: int) -> Any:
    """A number for all rows, if NumPy's loop over arrays gives the same bits and no exceptions; else None."""
    if how.operation not in _EXACT or node.dtype.kind not in "fb" or any(of.dtype.kind == "c" for of in node.inputs):
        return None
    try:
        with np.errstate(all="raise"):
            found = how.compute(values)
    except Exception:  # noqa: BLE001 - one by one, the rows that raise or warn are found
        return None
    alike = found.dtype == node.dtype and (np.ndim(found) == 0 or found.shape == (count,))
    return np.ascontiguousarray(found) if alike and np.ndim(found) else found if alike else None
