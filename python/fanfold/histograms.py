"""Histograms for other libraries: what `uhi` calls a plottable histogram, as mplhep and hist take it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Traits(NamedTuple):
    """What kind of axis it is."""

    circular: bool = False
    """Whether the last bin is beside the first."""
    discrete: bool = False
    """Whether a bin is a single value."""


class Bins:
    """The axis of a histogram: a sequence of bins, each a pair of edges."""

    traits = Traits()

    def __init__(self, edges: npt.NDArray[Any]) -> None:
        self.edges = edges

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        place = range(len(self))[index]
        return self.edges[place], self.edges[place + 1]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.edges[:-1], self.edges[1:], strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bins) and np.array_equal(self.edges, other.edges)

    __hash__ = None  # type: ignore[assignment]


class Plottable:
    """A histogram with the interface of ``uhi.typing.plottable.PlottableHistogram``."""

    kind = "COUNT"

    def __init__(self, counts: npt.NDArray[Any], edges: npt.NDArray[Any]) -> None:
        self.axes = (Bins(edges),)
        self._values = counts

    def values(self) -> npt.NDArray[np.float64]:
        """Return the number of elements in each bin, the sum of their weights, or their density."""
        return np.asarray(self._values, np.float64)

    def variances(self) -> npt.NDArray[np.float64] | None:
        """Return the number of elements in each bin; None with weights and for densities, whose variance is unknown."""
        return self.counts()

    def counts(self) -> npt.NDArray[np.float64] | None:
        """Return the number of elements in each bin; None with weights and for densities."""
        return self.values() if self._values.dtype.kind in "iu" else None
