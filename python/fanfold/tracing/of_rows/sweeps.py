"""The formulas of functions of one row, computed for all rows in sweeps."""

import functools
import itertools
import math
import operator
import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fanfold import _core
from fanfold.calling import Called, Sweep, Task, call_all
from fanfold.deadline import Deadline
from fanfold.tracing.nodes import (
    Array,
    Computed,
    Fixed,
    FromValues,
    Node,
    Source,
    Statistic,
    Transform,
    length,
    lowered,
)
from fanfold.tracing.of_rows.trace import Result, RowFormulas, Traced
from fanfold.tracing.trace import tell
from fanfold.tracing.ufuncs import Log

AT_A_TIME = 1 << 18
"""The elements of rows of which arrays are made in one call: Ctrl-C and timeouts wait for the call."""


class AtOnce:
    """Functions of one sequence, each traced for one row of an array, and computed for all of its rows in sweeps."""

    def __init__(
        self,
        array: Array,
        functions: Mapping[str, Called],
        known: Collection[str],
        workers: int,
        deadline: Deadline,
    ) -> None:
        self.count = math.prod(array.shape[:-1])
        """The number of rows."""
        row = array[(0,) * (array.ndim - 1)] if self.count else np.empty(array.shape[-1], array.dtype)
        self.sweeps = Sweeps(array, row, workers, deadline)
        self.traced = {key: Traced(called) for key, called in functions.items()}
        self._taken: set[Node] = set()
        formulas = RowFormulas(row, deadline)
        try:
            for key, traced in self.traced.items():
                deadline.left()
                traced.trace(formulas, row, is_known=key in known)
            fused = [traced for traced in self.traced.values() if traced.result is not None]
            try:
                self.sweeps.run(fused)
            except MemoryError as error:
                for traced in fused:
                    traced.error = error
        finally:
            formulas.close()

    def columns(self, result: Result) -> list[Any]:
        """The parts of a function's results: of each one for all rows, or one value."""
        return [self._column(part) if type(part) is Node else part for part in result.parts]

    def _column(self, part: Node) -> Any:
        """A part for all rows. Functions that return the same formula get arrays of their own."""
        column = self.sweeps.columns[part]
        if part in self._taken and isinstance(column, np.ndarray):
            return column.copy()
        self._taken.add(part)
        return column

    def bad(self, result: Result) -> Array:
        """Whether something is uncertain, row by row."""
        bad = np.zeros(self.count, np.bool_)
        for part in result.parts:
            if type(part) is Node and part in self.sweeps.bad:
                bad |= self.sweeps.bad[part]
        return bad


class Sweeps:
    """The nodes of fused functions, computed for all rows in sweeps."""

    def __init__(self, array: Array, row: Array, workers: int, deadline: Deadline) -> None:
        self.columns: dict[Node, Any] = {}
        """The numbers and arrays of all rows, or one number for all."""
        self.bad: dict[Node, Any] = {}
        """Whether they are uncertain, row by row."""
        self.bytes_read = 0
        self.seconds: list[float] = []
        """The time of each sweep."""
        self.most_workers = 1
        self._row = row
        self._array = array
        self._count = math.prod(array.shape[:-1])
        self._workers = workers
        self._deadline = deadline
        self._core = _core.FormulasOfRows(self._array, self._array.ndim - 1)
        # The nodes of the compiled half.
        self._ids: dict[Node, int] = {}
        self._flags: dict[int, int] = {}
        self._told: dict[Node, list[str]] = {}
        # The elements of nodes that arrays are made of, and what calls have made of them.
        self._elements: dict[Node, Array] = {}
        self._made: dict[Any, tuple[Array, ...] | None] = {}

    def run(self, calls: list[Traced]) -> None:
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
        columns, ids = self.columns, self._ids
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
            elif isinstance(node.operation, Transform):
                (of,) = node.inputs
                if node not in ids and self._rows_of(of) is not None:
                    self._transform(node, node in wanted)
                elif node not in ids and of in ids and of not in asked:
                    asked.append(of)
            else:
                self._lower(node)
                if node in wanted and node in ids and node not in columns:
                    asked.append(node)
        return asked

    def _id(self, node: Node) -> int | None:
        """The number of a node in the compiled half, if everything that it needs is known."""
        if node in self._ids or not node.is_number or node not in self.columns:
            return self._ids.get(node)
        column = self.columns[node]
        one = np.ndim(column) == 0
        made = self._core.constant(np.asarray(column, node.dtype)) if one else self._core.number(_in_blocks(column))
        self._ids[node] = made
        return made

    def _lower(self, node: Node) -> None:
        if node in self._ids:
            return
        found = [self._id(of) for of in node.inputs]
        if None in found:
            return
        self._spread(node)
        match node.operation:
            case Source(array=array):
                self._ids[node] = self._source(array)
            case Fixed(array=array):
                self._ids[node] = self._core.source(np.broadcast_to(array, (*self._array.shape[:-1], array.size)))
            case operation:
                self._ids[node] = lowered(self._core, operation, found)

    def _source(self, part: Array) -> int:
        """The node of the same part of every row."""
        return 0 if part is self._row else self._core.source(self._part(part))

    def _part(self, part: Array) -> Array:
        """The same part of every row."""
        # A slice of a slice is one of the row, whose strides are whole numbers of elements.
        offset = part.__array_interface__["data"][0] - self._row.__array_interface__["data"][0]
        (stride,), (step,), (length,) = self._row.strides, part.strides, part.shape
        start, every = (offset // stride, step // stride) if stride else (0, 1)
        stop = start + every * (length - 1)
        # An end in front of the first element cannot be written as a number.
        end = None if every < 0 and stop == 0 else stop + (1 if every > 0 else -1)
        return self._array[..., start : end : every or 1]

    def _rows_of(self, node: Node) -> Array | None:
        """The elements of a node, a row for each row; None if they are not known yet."""
        if isinstance(node.operation, Source):
            return self._part(node.operation.array).reshape((self._count, length(node)))
        if node not in self._elements and node in self.columns:
            self._elements[node] = self.columns[node]
        return self._elements.get(node)

    def _transform(self, node: Node, is_wanted: bool) -> None:
        """Makes an array of each row's elements, for all rows in one call."""
        (of,) = node.inputs
        transform: Transform = node.operation
        self._spread(node)
        key = of, transform.key
        if key not in self._made:
            self._made[key] = self._called(transform, of)
        made, bad = self._made[key], self.bad.get(of)
        if made is None:
            # Each row has a call of its own, which warns or fails.
            elements, bad = np.ones((self._count, length(node)), node.dtype), np.ones(self._count, np.bool_)
        else:
            elements = np.asarray(transform.of(made), node.dtype)
        if bad is not None:
            self.bad[node] = bad
        if is_wanted:
            # Each function has its own.
            self.columns[node] = elements.copy()
        self._ids[node] = self._core.source(elements.reshape((*self._array.shape[:-1], length(node))))

    def _called(self, transform: Transform, of: Node) -> tuple[Array, ...] | None:
        """What a call makes of all rows; None if it warns or fails. Rows that are not finite are noted and left out."""
        rows = self._rows_of(of)
        if rows is None:
            raise AssertionError("the elements are known")
        if of.dtype.kind in "fc":
            finite: Array = np.asarray(np.isfinite(rows).all(axis=-1))
            if not finite.all():
                rows = np.where(finite[:, None], rows, of.dtype.type(1))
                known = self.bad.get(of)
                self.bad[of] = ~finite if known is None else known | ~finite
        step = max(1, AT_A_TIME // rows.shape[1])
        pieces = [rows[first : first + step] for first in range(0, max(self._count, 1), step)]
        tasks = [Task("rows", partial(self._made_of, transform), piece) for piece in pieces]
        begun = time.perf_counter()
        used, _ = call_all(tasks, Sweep(None, self._deadline), self._workers, self._deadline)
        self.seconds.append(time.perf_counter() - begun)
        self.most_workers = max(self.most_workers, used)
        if any(task.error is not None for task in tasks):
            # The calls of the rows show it.
            return None
        made = [task.result for task in tasks]
        return tuple(np.concatenate(parts) for parts in zip(*made, strict=True))

    def _made_of(self, transform: Transform, rows: Array) -> tuple[Array, ...]:
        with np.errstate(all="raise"):
            return transform.compute(rows, self._deadline.left())

    def _spread(self, node: Node) -> None:
        """A node is uncertain for the rows for which one of its inputs is."""
        bad = [self.bad[of] for of in node.inputs if of in self.bad]
        if bad:
            self.bad[node] = np.logical_or.reduce(bad)

    def _sweep(self, asked: list[Node]) -> None:
        requests: list[tuple[int, Any]] = []
        for node in asked:
            if isinstance(node.operation, Statistic):
                (of,) = node.inputs
                requests.append((self._ids[of], (node.operation.kernel, of.dtype)))
            else:
                requests.append((self._ids[node], np.empty((self._count, *node.shape), node.dtype)))  # type: ignore[misc]
        begun = time.perf_counter()
        with self._deadline.within() as left:
            columns, failed, flags, workers = self._core.sweep(requests, self._workers, left)
        self.seconds.append(time.perf_counter() - begun)
        self.bytes_read += self._array.nbytes
        self.most_workers = max(self.most_workers, workers)
        for number, bits in flags:
            self._flags[number] = self._flags.get(number, 0) | bits
        without: dict[int, list[int]] = {}
        for request, row in failed:
            without.setdefault(request, []).append(row)
        for number, (node, (_, elements), column) in enumerate(zip(asked, requests, columns, strict=True)):
            self._spread(node)
            if isinstance(node.operation, Statistic):
                self.columns[node] = self._column(node, column, without.get(number, []))
            else:
                self.columns[node] = elements

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
            known = self.bad.get(node)
            self.bad[node] = bad if known is None else bad | known
        return column

    # ---- numbers from numbers ----

    def _compute(self, node: Node) -> None:
        """Computes a number for all rows."""
        columns = self.columns
        if node.operation == "number":
            columns[node] = node.value[()]
            return
        computed: Computed = node.operation
        self._spread(node)
        how, values = computed.values, [columns[of] for of in node.inputs]
        if how is None:
            # A value that a function stored elsewhere was computed for the first row.
            columns[node], self.bad[node] = np.ones(self._count, node.dtype), np.ones(self._count, np.bool_)
            return
        columns[node] = _all_at_once(how, node, values, self._count)
        if columns[node] is None:
            columns[node] = self._one_by_one(how, node, values)

    def _one_by_one(self, how: FromValues, node: Node, values: list[Any]) -> Array:
        told = Log()
        bad = self.bad.get(node)
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
            self.bad[node] = bad
        self._told[node] = list(dict.fromkeys(told))
        return column

    # ---- warnings ----

    def _warn(self, call: Traced, used: set[Node]) -> None:
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
                tell(bits, name, state)
        except RuntimeWarning:
            # The filters turn warnings into errors, which belong to the function's own calls.
            call.result, call.why = None, "it warned, and the filters raise warnings"


@functools.lru_cache(maxsize=1024)
def _refuses(kernel: _core.Kernel, dtype: np.dtype[Any]) -> bool:
    """Whether a kernel does not take elements of this dtype."""
    return bool(_core.Plan([kernel], "propagate").problems(np.ones(2, dtype)))


def _in_blocks(column: Array) -> Array:
    """Numbers as the core has them in blocks: those of float16 are float32."""
    return column.astype(np.float32) if column.dtype == np.float16 else column


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
