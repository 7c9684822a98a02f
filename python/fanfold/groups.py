"""`by=`: the elements of each label together. Labels become integers of a range, which the compiled half groups."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core, shapes
from fanfold.calling import Called
from fanfold.checks import Problems
from fanfold.labels import Labels, labels
from fanfold.shapes import Arrays, Out, Over, objects


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
        if kernel.answers == "matrix":
            return shapes.square(column)
        if kernel.answers == "positions" and self._positions is not None:
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
