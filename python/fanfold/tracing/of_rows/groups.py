"""The functions of a run with `by=`: groups of equal length are the rows of a matrix.

The elements are put together group by group, those of equal length next to each other, so that the groups of a length
are rows in place. A function is traced once for each length.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fanfold.calling import Called
from fanfold.deadline import Deadline
from fanfold.shapes import returned
from fanfold.tracing.arrays import Deferred
from fanfold.tracing.nodes import Array, Node, Source
from fanfold.tracing.of_rows.functions import Call, Function, Functions, Part, dicts, lines, matrix, why_untraced
from fanfold.tracing.of_rows.trace import Result
from fanfold.tracing.rules.quantiles import Several

FEWEST = 64
"""The fewest groups of a length for which a function is traced. For groups of 20 and of 200 elements, the trace and the
sweeps of a length take 0.4 to 1 ms, a call of `v.max() - v.min()` takes 8 µs, one of `v.mean()` 9 to 12 µs, one of
`np.percentile(v, 95)` 80 µs: they pay from 64, 48 and 8 groups on. Groups of 2,000 gain by several workers only."""


class Lengths:
    """The elements of all groups, ordered by the lengths of the groups, and then by the groups."""

    def __init__(self, positions: Array, offsets: Array) -> None:
        self.sizes = np.diff(offsets)
        """The number of elements of each group."""
        self.order = np.argsort(self.sizes, kind="stable")
        """The groups, ordered by length."""
        sizes = self.sizes[self.order]
        ends = np.cumsum(sizes)
        self.starts = np.empty_like(ends)
        """Where each group starts."""
        self.starts[self.order] = ends - sizes
        if (self.order[1:] > self.order[:-1]).all():
            self.positions = positions
        else:
            moves = offsets[:-1][self.order] - (ends - sizes)
            self.positions = positions[np.arange(positions.size) + np.repeat(moves, sizes)]
        """The positions of the elements in the array."""

    def frequent(self) -> list[Array]:
        """The groups of each length that many have; the length with most elements comes first."""
        sizes = self.sizes[self.order]
        same = np.split(self.order, np.flatnonzero(np.diff(sizes)) + 1)
        many = [numbers for numbers in same if numbers.size >= FEWEST]
        return sorted(many, key=lambda numbers: -numbers.size * int(self.sizes[numbers[0]]))


class FunctionsOfGroups(Functions):
    """The functions of a run, over groups of an array's elements."""

    word = "group"

    def __init__(
        self,
        data: Array,
        lengths: Lengths,
        functions: Mapping[str, Function],
        workers: int,
        deadline: Deadline,
        call: Callable[[str, Called], Called],
    ) -> None:
        super().__init__(functions, workers, deadline, call)
        self._lengths = lengths
        try:
            self._elements = data.take(lengths.positions)
        except MemoryError as error:
            # Kernels need no further memory: their results stay.
            self._elements = np.empty(0, data.dtype)
            for each in self._calls:
                each.error = error
        self._elements.flags.writeable = False
        self.bytes_copied = self._elements.nbytes

    def rows(self, numbers: Iterable[int]) -> Iterator[Array]:
        """The elements of these groups."""
        for number in numbers:
            start = self._lengths.starts[number]
            yield self._elements[start : start + self._lengths.sizes[number]]

    def _sizes(self) -> Array:
        return self._lengths.sizes

    def _why_plain(self) -> str | None:
        if self._elements.size < self._lengths.positions.size:
            return "there was too little memory"
        why = why_untraced(self._elements)
        return f"no {FEWEST} groups have the same length" if why is None and not self._lengths.frequent() else why

    def _matrices(self) -> Iterable[tuple[Array, Array]]:
        for numbers in self._lengths.frequent():
            start, size = self._lengths.starts[numbers[0]], self._lengths.sizes[numbers[0]]
            yield numbers, self._elements[start : start + numbers.size * size].reshape(numbers.size, size)

    def _returns(self, result: Result) -> bool:
        # Tuples of other classes may have attributes.
        return result.kind in (Deferred, Several, dict, list, tuple)

    def result(self, call: Call) -> Any:
        """A function's results, put together as those of its calls are."""
        called = call.values()
        parts = [(part.numbers, _values(part)) for part in call.parts]
        if called or not parts:
            parts.append((np.flatnonzero(call.left), called))
        arrays = [values if isinstance(values, np.ndarray) else returned(values) for _, values in parts]
        first = arrays[0].dtype
        if not first.hasobject and all(array.dtype == first for array in arrays):
            together = np.empty(call.left.size, first)
            for (numbers, _), array in zip(parts, arrays, strict=True):
                together[numbers] = array
            return together
        each: list[Any] = [None] * call.left.size
        for numbers, values in parts:
            for number, value in zip(numbers.tolist(), values, strict=True):
                each[number] = value
        return returned(each)


def _values(part: Part) -> Array | list[Any]:
    """What calls would have returned: an array if they are numbers of one dtype."""
    numbers, result, columns = part
    count = numbers.size
    if result.kind is dict:
        return dicts(result, columns, count)
    if result.kind is Several:
        return list(matrix(result, columns, count))
    if result.kind is not Deferred:
        return [result.kind(line) for line in lines(columns, count)]
    (column,) = columns
    if np.ndim(column) < 2:
        return [column] * count if np.ndim(column) == 0 else column
    (node,) = result.parts
    if type(node) is Node and isinstance(node.operation, Source):
        # A view of what cannot be written to.
        column.flags.writeable = False
    return list(column)
