"""`by=`: one result for the elements of each label.

Labels become integers of a range, and the compiled half makes the groups.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core, shapes
from fanfold.calling import Arguments, Called
from fanfold.checks import Problems, own_class, shown
from fanfold.dimensions import Asked
from fanfold.labels import Labels, labels
from fanfold.shapes import Arrays, Out, Over, Written, objects
from fanfold.sources import Elements, missing
from fanfold.tracing.of_rows.groups import Lengths

Places = list[npt.NDArray[np.int64]]
"""The positions of each group's elements."""


class Groups:
    """The elements of each label as a group: for a run with `by=`, what `shapes.Rows` is for one with `axis=`."""

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
        self._offsets = np.zeros(1, np.int64)
        self._positions: npt.NDArray[np.int64] | None = None
        self.groups: Any = None
        """The labels that occur, in order; known after the kernels have run."""
        self.bytes_copied = 0
        self._lengths: Lengths | None = None

    def asked(self, group: Any) -> Asked:
        """The axis of the groups in the results."""
        return Asked((), group=group)

    def plan(self, kernels: Sequence[_core.Kernel], nan_policy: str) -> _core.Plan:
        """The plan of these kernels, as `run` takes it."""
        return _core.Plan(list(kernels), nan_policy)

    def run(
        self,
        plan: _core.Plan,
        arrays: Arrays,
        over: Over,
        workers: int,
        timeout: float | None,
        targets: Mapping[int, npt.NDArray[Any]] = MappingProxyType({}),
    ) -> Any:
        """Runs the kernels, each over its arrays. Returns the same as `_core.Plan.run`."""
        labels = self._labels
        if not over:
            # Only the groups are asked for: no elements need to be put together.
            arrays = [np.broadcast_to(np.False_, arrays[0].shape)]
        how = self._mask, self._weights, self._wants_positions, dict(targets), workers, timeout
        grouping, found = plan.run_groups(arrays, over, labels.numbers, labels.low, labels.range, *how)
        present, self._offsets, self._positions = grouping
        self.groups = labels.names(present)
        copied = [*(arrays if over else ()), *(() if self._weights is None else (self._weights,))]
        self.bytes_copied = int(self._offsets[-1]) * sum(array.dtype.itemsize for array in copied)
        return found

    @property
    def weights(self) -> npt.NDArray[Any] | None:
        """The weight of each element; None if there are no weights."""
        return self._weights

    def result(self, column: Any, kernel: _core.Kernel) -> Any:
        """A kernel's results, in the order of the groups."""
        return self._of_each(column, kernel)

    def _of_each(self, column: Any, kernel: _core.Kernel) -> Any:
        if isinstance(column, tuple):
            return type(column)(*(self._of_each(field, kernel) for field in column))
        if kernel.answers == "matrix":
            return shapes.square(column)
        if kernel.answers == "positions" and self._positions is not None:
            return self._of_all(column, self._positions)
        if kernel.answers == "quantiles" and isinstance(column, np.ndarray) and column.ndim > 1:
            # The groups are the first axis, as along axes.
            return np.moveaxis(column, -1, 0)
        return column if isinstance(column, np.ndarray) else shapes.together(column)

    def _of_all(self, column: Any, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Converts positions in the groups to positions in the array."""
        starts = self._offsets[:-1]
        if isinstance(column, np.ndarray):
            return positions[column + starts.reshape(-1, *(1,) * (column.ndim - 1))]
        return objects([positions[own + start] for own, start in zip(column, starts, strict=True)])

    def _of_groups(self) -> Places:
        """The positions of each group's elements."""
        positions = np.zeros(0, np.int64) if self._positions is None else self._positions
        return np.split(positions, self._offsets[1:-1]) if self._offsets.size > 1 else []

    def lengths(self) -> Lengths:
        """The groups by their lengths."""
        if self._lengths is None:
            positions = np.zeros(0, np.int64) if self._positions is None else self._positions
            self._lengths = Lengths(positions, self._offsets)
        return self._lengths

    def takes_one_sequence(self, data: npt.NDArray[Any]) -> bool:
        """Whether functions of one column get the elements of this array alone, group by group."""
        # An np.matrix always has two axes.
        return self._weights is None and own_class(data) is None

    def refuses(self, size: int, data: Elements) -> str | None:
        """The reason why a kernel cannot return an array of items; None if it can."""
        if self._weights is not None:
            return "takes no weights"
        if self._mask is not None:
            return "takes no where: pass NaN as the label of elements to leave out"
        return None if size == data.size else "the array does not have one item for each element: it takes no by"

    def written(self, plan: _core.Plan, arrays: Arrays, over: Over, out: Out) -> Written:
        """Allocates memory for the results that are arrays of items, each at its element's position.

        Elements without a group get NaN or NaT, or 0 if the dtype has neither.
        """
        found = Written()
        for number, elements in enumerate(arrays):
            for place, dtype, _ in plan.arrays(elements):
                if list(over[place]) != [number]:
                    continue
                try:
                    array = out[place] if place in out else np.empty(elements.size, dtype)
                    found.targets[place] = np.empty(elements.size, dtype)
                except MemoryError as error:
                    found.failed[place] = error
                    continue
                array[...] = np.nan if dtype.kind == "f" else "NaT" if dtype.kind in "mM" else 0
                found.arrays[place] = array
        return found

    def settle(self, written: Written) -> None:
        """Moves the items, which were written group by group, to the positions of their elements."""
        for place, array in written.arrays.items():
            if self._positions is not None:
                array.flat[self._positions] = written.targets[place][: self._positions.size]

    def takes_where(self, elements: Elements) -> bool:
        """Whether functions get the whole array and a mask: never, they get the elements of each group."""
        del elements
        return False

    def called(self, function: Called, elements: Elements) -> Callable[[npt.NDArray[Any]], Any]:
        """A user's function, to be called with the array of these elements.

        It is called once per group, with the group's elements. Functions that take more than the elements of one
        column, or of which some are missing, are called so; for the others see `takes_one_sequence`.
        """

        def parts(array: npt.NDArray[Any], positions: Places) -> list[npt.NDArray[Any]]:
            # An np.matrix always has two axes.
            own = [array.take(each) for each in positions]
            for part in own:
                part.flags.writeable = False
            return own

        def calls(data: npt.NDArray[Any], places: Places, kept: Places) -> Iterator[Arguments]:
            given, columns = function.inputs(data, lambda array: array)
            # The parts of each argument, group by group.
            firsts = [parts(array, places) for array in given]
            named = {name: parts(column, places) for name, column in columns.items()}
            weights = None if self._weights is None else parts(self._weights, kept)
            for number in range(len(places)):
                own = tuple(first[number] for first in firsts)
                told = {} if weights is None else {"weights": weights[number]}
                yield own, {name: column[number] for name, column in named.items()}, told

        def called(data: npt.NDArray[Any]) -> Any:
            places = kept = self._of_groups()
            present = function.present
            if present is None and missing(elements) and isinstance(elements, _core.Source):
                present = elements.is_present()
            if present is not None:
                # The array has only the present elements: these are their positions among them.
                present = present.reshape(-1)
                kept = [own[present[own]] for own in places]
                numbers = np.cumsum(present) - 1
                places = [numbers[own] for own in kept]
            return shapes.returned(function.each(calls(data, places, kept)))

        return called


class GroupsAlong(Groups):
    """The elements of each label along an axis, for each position along the other axes.

    The groups replace this axis.
    """

    why = "called for each group, with axis"

    def __init__(
        self,
        labels: Labels,
        axis: int,
        shape: tuple[int, ...],
        mask: npt.NDArray[np.bool_] | None,
        weights: npt.NDArray[Any] | None,
        positions: bool,
    ) -> None:
        super().__init__(labels, None, weights, positions)
        self._axis = axis
        self._rest = shape[:axis] + shape[axis + 1 :]
        self._chosen = mask

    @property
    def _count(self) -> int:
        return math.prod(self._rest)

    def asked(self, group: Any) -> Asked:
        """The axis of the groups in the results."""
        return Asked((), group=group, along=self._axis)

    def plan(self, kernels: Sequence[_core.Kernel], nan_policy: str) -> _core.Plan:
        """The kernels, repeated for each sequence along the axis."""
        return _core.Plan([kernel for kernel in kernels for _ in range(self._count)], nan_policy)

    def run(
        self,
        plan: _core.Plan,
        arrays: Arrays,
        over: Over,
        workers: int,
        timeout: float | None,
        targets: Mapping[int, npt.NDArray[Any]] = MappingProxyType({}),
    ) -> Any:
        """Runs the kernels over every sequence. Returns the same as `_core.Plan.run`, with a list for each kernel."""
        del targets
        count = self._count
        sequences = [sequence for array in arrays for sequence in self._sequences(array)]
        each = [[array * count + place for array in own] for own in over for place in range(count)]
        found, failed, *figures = super().run(plan, sequences or [np.empty(self._size, float)], each, workers, timeout)
        columns = [found[start : start + count] for start in range(0, len(found), count or 1)]
        columns += [[]] * (len(over) - len(columns))
        failures = {place // count: error for place, error in reversed(failed)}
        return columns, list(failures.items()), *figures

    @property
    def _size(self) -> int:
        return int(self._labels.numbers.size)

    def _sequences(self, elements: Elements) -> list[Elements]:
        """The elements along the axis, for each position along the other axes."""
        present = elements.is_present() if isinstance(elements, _core.Source) and elements.missing else None
        if self._chosen is not None:
            present = self._chosen if present is None else present & self._chosen
        array = elements if isinstance(elements, np.ndarray) else elements.array
        if array is None:
            raise TypeError("what has several axes is an array")
        values = np.moveaxis(array, self._axis, -1)
        there = None if present is None else np.moveaxis(~present, self._axis, -1)
        places = np.ndindex(*self._rest)
        return [values[at] if there is None else _core.Source(values[at], there[at]) for at in places]

    def result(self, column: Any, kernel: _core.Kernel) -> Any:
        """A kernel's results, with the groups in place of the axis."""
        each = [self._of_each(own, kernel) for own in column]
        if each and isinstance(each[0], tuple):
            return type(each[0])(*(self._laid_out(list(field), kernel) for field in zip(*each, strict=True)))
        return self._laid_out(each, kernel)

    def _laid_out(self, each: list[Any], kernel: _core.Kernel) -> npt.NDArray[Any]:
        if not each:
            groups = self._offsets.size - 1
            return np.moveaxis(np.empty((groups, *self._rest)), 0, self._axis)
        if len({(np.shape(own), getattr(own, "dtype", None)) for own in each}) > 1:
            numbers = shapes.together([value for own in each for value in np.ravel(own)])
            if numbers.dtype != object and len({np.shape(own) for own in each}) == 1:
                # A group with no elements left has NaN among integers in some columns.
                each = list(numbers.reshape(len(each), *np.shape(each[0])))
            else:
                each = [objects(list(own)) for own in each]
        place = int(kernel.answers == "quantiles" and each[0].ndim > 1)
        stacked = np.stack(each, axis=place + 1)
        shape = stacked.shape[: place + 1] + self._rest + stacked.shape[place + 2 :]
        return np.moveaxis(stacked.reshape(shape), place, place + self._axis)

    def takes_one_sequence(self, data: npt.NDArray[Any]) -> bool:
        """Whether functions get the elements of an array alone: never, they get the axis too."""
        del data
        return False

    def written(self, plan: _core.Plan, arrays: Arrays, over: Over, out: Out) -> Written:
        """Allocates nothing: no result is an array of items, see `refuses`."""
        del plan, arrays, over, out
        return Written()

    def refuses(self, size: int, data: Elements) -> str | None:
        """The reason why a kernel cannot return an array of items; there is always one."""
        del size, data
        return "takes by or axis, not both"

    def called(self, function: Called, elements: Elements) -> Callable[[npt.NDArray[Any]], Any]:
        """A user's function, to be called with the elements of each group, with all axes kept."""
        given: dict[str, Any] = {"axis": self._axis}

        def called(data: npt.NDArray[Any]) -> Any:
            own = elements.array if isinstance(elements, _core.Source) and elements.array is not None else data
            counts = elements.is_present() if isinstance(elements, _core.Source) and elements.missing else None
            if self._chosen is not None:
                counts = self._chosen if counts is None else counts & self._chosen

            def calls() -> Iterator[Arguments]:
                for positions in self._of_groups() if self._offsets[-1] else []:
                    part = own.take(positions, axis=self._axis)
                    part.flags.writeable = False
                    told = given if counts is None else given | {"where": counts.take(positions, axis=self._axis)}
                    yield (part,), {}, told if self._weights is None else told | {"weights": self._weights[positions]}

            values = function.each(calls())
            if values and all(isinstance(value, np.ndarray) and value.shape == self._rest for value in values):
                return np.stack(values, axis=self._axis)
            return shapes.returned(values)

        return called


def groups(
    data: Elements,
    by: Any,
    axis: Any,
    where: Any,
    weights: Any,
    positions: bool,
    workers: int,
    problems: Problems,
) -> Groups | None:
    """The array's groups; None if an argument is wrong."""
    known = len(problems)
    mask = shapes.mask(where, data, problems)
    weighed = shapes.weighing(weights, data, axis, problems)
    if axis is None:
        found = labels(by, data, workers, problems)
        return None if found is None or len(problems) > known else Groups(found, mask, weighed, positions)
    axes = shapes.axes(axis, data.ndim, problems)
    if axes is None:
        return None
    if len(axes) != 1:
        advice = "pass the one axis along which the labels go"
        problems.append(ValueError(f"axis is {shown(axis)}, but by goes along one axis: {advice}"))
        return None
    (along,) = axes
    found = labels(by, np.broadcast_to(np.empty(()), (data.shape[along],)), workers, problems)
    if weighed is not None:
        # Only one weight per position along the axis is supported; other weights would have to be grouped with the
        # elements.
        moved = np.moveaxis(weighed, along, -1)
        others = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in moved.strides[:-1])
        own = moved[others]
        if own.size != own.shape[-1] and own.size and (own != own[(0,) * (own.ndim - 1)]).any():
            problems.append(ValueError("weights vary along other axes than that of by: pass one weight for each label"))
        weighed = own[(0,) * (own.ndim - 1)] if own.size else np.zeros(data.shape[along])
    if found is None or len(problems) > known:
        return None
    return GroupsAlong(found, along, tuple(data.shape), mask, weighed, positions)
