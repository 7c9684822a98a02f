"""Requests of traced functions along axes (`v.mean(axis=0)`), computed in sweeps that they share with the call's
kernels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from fanfold import _core
from fanfold.deadline import Deadline
from fanfold.scheduler import Stopped
from fanfold.shapes import Rows
from fanfold.tracing.nodes import Along, Array, Node, Sweep


class Beside(Protocol):
    """The kernels of a call along axes, which run in one sweep."""

    def is_wanted(self) -> bool:
        """Whether they have not run yet."""

    def takes_along(self, axes: tuple[int, ...]) -> bool:
        """Whether further kernels along these axes, for functions, can run in the same sweep."""

    def run(self, workers: int, more: Sequence[_core.Kernel] = ()) -> tuple[list[Any], set[int]]:
        """Sweeps. Returns the columns of the further kernels, and the numbers of those that failed."""


class AlongAxes:
    """The requests that wait for a sweep along axes."""

    def __init__(self, array: Array, deadline: Deadline, beside: Beside | None) -> None:
        self._array = array
        self._deadline = deadline
        self._beside = beside
        self._waiting: list[tuple[Node, Array]] = []

    def is_wanted(self) -> bool:
        """Whether the kernels of the call wait."""
        return self._beside is not None and self._beside.is_wanted()

    def ask(self, node: Node, elements: Array) -> None:
        """Registers a node for results over these elements."""
        self._waiting.append((node, elements))

    def sweep(self, workers: int) -> list[Sweep]:
        """Sweeps for all requests: once for each array and its axes."""
        waiting, self._waiting = self._waiting, []
        sweeps: list[Sweep] = []
        while waiting:
            (first, elements), *_ = waiting
            axes = first.operation.axes
            same = [node for node, own in waiting if own is elements and node.operation.axes == axes]
            waiting = [(node, own) for node, own in waiting if node not in same]
            sweeps += self._sweep(same, elements, axes, workers)
        try:
            if self._beside is not None and self._beside.is_wanted():
                self._beside.run(workers)
        except Exception as error:  # noqa: BLE001 - passed on
            raise Stopped(error) from None
        return sweeps

    def _sweep(self, nodes: list[Node], array: Array, axes: tuple[int, ...], workers: int) -> list[Sweep]:
        kernels = [node.operation.kernel for node in nodes]
        parts, beside = Rows.along_axes(array, axes), self._beside
        sweeps: list[Sweep] = []
        try:
            if beside is not None and beside.is_wanted() and array is self._array and beside.takes_along(axes):
                columns, wrong = beside.run(workers, kernels)
            else:
                plan, over = _core.Plan(kernels, "propagate"), [(0,)] * len(nodes)
                with self._deadline.within() as left:
                    columns, failed, passes, size, _, seconds = parts.run(plan, [array], over, workers, left)
                wrong = {place for place, _ in failed}
                took = sum(seconds) / max(passes, 1)
                sweeps = [Sweep(took, size // passes, [], [] if number else nodes) for number in range(passes)]
        except Exception as error:  # noqa: BLE001 - the timeout has passed, or a signal handler raised it
            raise Stopped(error) from None
        for place, (node, column) in enumerate(zip(nodes, columns, strict=True)):
            operation: Along = node.operation
            laid_out = replace(parts, keepdims=operation.keepdims)
            try:
                value: Any = None if place in wrong else laid_out.result(column, operation.kernel)
                doubtful = (
                    value is None or value.dtype != node.dtype or (operation.doubts_nan and np.isnan(value).any())
                )
                node.value = node.plain(array) if doubtful and node.plain is not None else value
            except Exception as error:  # noqa: BLE001 - NumPy's own exception
                node.error = error
            node.known = True
        return sweeps
