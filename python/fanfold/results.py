"""What a run gives back: a dict of results, and the report of how they came about."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold.sources import Opening


class Histogram(NamedTuple):
    """The value of the kernel ``histogram``, as ``np.histogram`` gives it."""

    counts: npt.NDArray[Any]
    """Elements in each bin, or their density."""
    edges: npt.NDArray[Any]
    """The bins' edges, one more than there are bins."""


class ValueCounts(NamedTuple):
    """The value of the kernel ``value_counts``."""

    values: npt.NDArray[Any]
    """The distinct values, in order."""
    counts: npt.NDArray[np.int64]
    """How often each occurs."""


class Mode(NamedTuple):
    """The value of the kernel ``mode``, as ``scipy.stats.mode`` gives it."""

    mode: Any
    """The value that occurs most often."""
    count: Any
    """How often."""


class LinearRegression(NamedTuple):
    """The value of the kernel ``linregress``, as ``scipy.stats.linregress`` gives it."""

    slope: Any
    """Of the line."""
    intercept: Any
    """Where it meets x = 0."""
    rvalue: Any
    """The correlation."""
    pvalue: Any
    """How probable a slope as far from 0 would be if it were 0."""
    stderr: Any
    """The slope's standard error."""
    intercept_stderr: Any
    """The intercept's standard error."""


class Report(NamedTuple):
    """What ran, and what it took."""

    passes: int
    """Sweeps over the array's memory by native kernels."""
    bytes_read: int
    """Bytes that those sweeps read, of the array or arrays, and of a mask and weights."""
    bytes_copied: int
    """Bytes of the data that were copied: 0, but for `by`, which puts the elements of each group together, for
    functions that take no read-only array, and for data that are no array yet: a list, a column in several chunks."""
    workers: int
    """Threads that computed; 1 is the calling thread."""
    seconds: float
    """From the call to the result."""
    how: dict[Any, str]
    """For each key, ``"fused"`` (in the shared passes), ``"partly fused"`` or ``"plain"`` (called as it is)."""
    why: dict[Any, str]
    """For the functions that are not fused as a whole, what kept them from it."""
    left_out: dict[Any, str]
    """Of a table, the columns that are not among the data, and why: text, say, and columns with missing elements."""


Ran = tuple[int, int, int, float, tuple[Any, ...], Mapping[Any, str], Mapping[Any, str], int, Opening]
"""What a report is made from when it is asked for: passes, bytes read, workers, seconds, all keys, how, why, bytes
copied, and what it took to open the data."""


class Results(dict[Any, Any]):
    """The results by key, in the order asked: a real ``dict``, with a report.

    >>> import numpy as np, fanfold as ff
    >>> r = ff.run(np.arange(5), ["sum", "max"])
    >>> dict(r)
    {'sum': np.int64(10), 'max': np.int64(4)}
    >>> r.report.how
    {'sum': 'fused', 'max': 'fused'}
    >>> r.errors
    {}
    """

    __slots__ = ("__weakref__", "_ran", "errors", "groups")

    groups: Any
    """The labels of a run with ``by=`` in the order of the results, an array for each key of several; else ``None``."""

    errors: dict[Any, Exception]
    """The exception of each key that failed; empty unless ``on_error="return"``, or taken from an exception. (The
    results that a lone exception carries hold a copy of it: the exception itself would keep the array alive.)"""

    def __init__(
        self,
        values: Mapping[str, Any],
        errors: dict[Any, Exception],
        ran: Ran,
        groups: Any = None,
    ) -> None:
        super().__init__(values)
        self.errors = errors
        self.groups = groups
        self._ran = ran

    @property
    def report(self) -> Report:
        """What ran, and what it took."""
        passes, bytes_read, workers, seconds, keys, how, why, copied, opening = self._ran
        each = {key: how.get(key, "fused") for key in keys}
        copied += opening.bytes_copied
        return Report(passes, bytes_read, copied, workers, seconds, each, dict(why), dict(opening.left_out))

    def __repr__(self) -> str:
        return f"Results({super().__repr__()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Results, (dict(self), self.errors, self._ran, self.groups)

    def copy(self) -> "Results":
        """A shallow copy, with the same report."""
        return Results(self, dict(self.errors), self._ran, self.groups)

    __copy__ = copy
