"""The result of a run: a dict of results, and a report of how they were computed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from fanfold import _core, nans
from fanfold.checks import shown
from fanfold.histograms import Plottable
from fanfold.show import text
from fanfold.sources import Opening
from fanfold.tracebacks import raise_on_purpose, shown_at_the_call

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]  # its types are a package of their own, pandas-stubs
    import polars


class Histogram(NamedTuple):
    """The value of the kernel ``histogram``, as ``np.histogram`` gives it."""

    counts: npt.NDArray[Any]
    """The number of elements in each bin, or their density."""
    edges: npt.NDArray[Any]
    """The edges of the bins: one more than the number of bins."""

    @property
    @shown_at_the_call
    def uhi(self) -> Plottable:
        """The histogram as libraries of histograms take it: with ``uhi``'s interface, in which `counts` is a method.

        >>> import numpy as np, fanfold as ff
        >>> h = ff.run(np.arange(4), ff.histogram(bins=2))["histogram"]
        >>> h.uhi.values(), h.uhi.axes[0][1]
        (array([2., 2.]), (np.float64(1.5), np.float64(3.0)))
        """
        if self.counts.ndim != 1:
            remedy = "take one, as in Histogram(h.counts[0], h.edges[0]).uhi"
            several = f"counts has {self.counts.ndim} axes: it holds several histograms"
            raise_on_purpose(ValueError(f"{several}: {remedy}"))
        return Plottable(self.counts, self.edges)


class ValueCounts(NamedTuple):
    """The value of the kernel ``value_counts``."""

    values: npt.NDArray[Any]
    """The distinct values, in sorted order."""
    counts: npt.NDArray[np.int64]
    """How often each value occurs."""


class Mode(NamedTuple):
    """The value of the kernel ``mode``, as ``scipy.stats.mode`` gives it."""

    mode: Any
    """The value that occurs most often."""
    count: Any
    """How often it occurs."""


class LinearRegression(NamedTuple):
    """The value of the kernel ``linregress``, as ``scipy.stats.linregress`` gives it."""

    slope: Any
    """The slope of the line."""
    intercept: Any
    """The value of the line at x = 0."""
    rvalue: Any
    """The correlation."""
    pvalue: Any
    """The probability of a slope at least this far from 0 if the true slope were 0."""
    stderr: Any
    """The standard error of the slope."""
    intercept_stderr: Any
    """The standard error of the intercept."""


class Times(NamedTuple):
    """Where the time of a run went, in seconds."""

    functions: dict[Any, float]
    """The time in each function, by key, without its waiting for passes. For a function that is called for each row or
    group, the sum of its calls."""
    passes: tuple[float, ...]
    """The time of each pass. The passes over rows or groups run row by row and at the same time: they have one time."""


class Report(NamedTuple):
    """What a run did, and what it cost."""

    passes: int
    """The number of passes over the array's memory by native kernels."""
    bytes_read: int
    """The bytes that those passes read from the arrays, the mask and the weights."""
    bytes_copied: int
    """The bytes of the data that were copied. This is 0 except with `by`, which puts the elements of each group
    together, for functions that do not accept a read-only array, for data that are not an array yet (a list, a column
    in several chunks), and for `processes`, if the array does not lie in shared memory."""
    workers: int
    """The number of threads that computed; 1 means the calling thread."""
    seconds: float
    """The time from the call to the result."""
    times: Times
    """The time in each function and in each pass: it shows the slow function of many."""
    how: dict[Any, str]
    """For each key, ``"kernel"`` (a kernel of the catalogue), ``"fused"`` (a function whose operations all ran in the
    shared passes or were answered by kernels), ``"partly fused"``, ``"plain"`` (called as it is) or ``"process"``
    (called as it is, in a worker process)."""
    why: dict[Any, str]
    """For each function that is not completely fused, the reason."""
    left_out: dict[Any, str]
    """The columns of a table that are not part of the data, and the reason, for example text."""

    def __repr__(self) -> str:
        return text.facts("Report", self.shown())

    def _repr_html_(self) -> str:
        from fanfold.show import html

        return f"<div>{html.facts('Report', self.shown(), folded=False)}</div>"

    def shown(self) -> dict[str, str]:
        """Return the facts that are not empty, as text for people."""
        told = {
            "passes": f"{self.passes:,}, over {text.size(self.bytes_read)}",
            "copied": text.size(self.bytes_copied) if self.bytes_copied else "nothing",
            "workers": f"{self.workers:,}",
            "time": text.duration(self.seconds),
        }
        if self.times.passes:
            told["time of the passes"] = ", ".join(map(text.duration, self.times.passes))
        slow = sorted(self.times.functions.items(), key=lambda each: -each[1])[:5]
        if slow:
            told["slowest functions"] = ", ".join(f"{text.label(key)} {text.duration(own)}" for key, own in slow)
        ways = dict.fromkeys(self.how.values())
        for way in ways:
            keys = [text.label(key) for key, own in self.how.items() if own == way]
            told[way] = ", ".join(keys)
        told |= {f"why {text.label(key)}": reason for key, reason in self.why.items()}
        told |= {f"left out {text.label(column)}": reason for column, reason in self.left_out.items()}
        return told


Ran = tuple[
    int,
    int,
    int,
    float,
    Mapping[Any, float],
    Sequence[float],
    tuple[Any, ...],
    Mapping[Any, str],
    Mapping[Any, str],
    int,
    Opening,
    Mapping[Any, _core.Kernel],
]
"""The values that a report is made from on request: passes, bytes read, workers, seconds, seconds of each function and
of each pass, all keys, how, why, bytes copied, what it took to open the data, and the kernels by key."""


class Results(dict[Any, Any]):
    """The results by key, in the order of the functions: a real ``dict``, with a report.

    >>> import numpy as np, fanfold as ff
    >>> r = ff.run(np.arange(5), ["sum", "max"])
    >>> dict(r)
    {'sum': np.int64(10), 'max': np.int64(4)}
    >>> r.report.how
    {'sum': 'kernel', 'max': 'kernel'}
    >>> r.errors
    {}
    """

    __slots__ = ("__weakref__", "_data", "_nan", "_ran", "columns", "errors", "groups")

    groups: Any
    """The labels of a run with ``by=``, in the order of the results; with several keys, a tuple with one array for each
    key. Without ``by=`` it is ``None``."""

    columns: tuple[Any, ...] | None
    """The columns of numbers of a table, for each of which there are results; ``None`` if the data was one array."""

    errors: dict[Any, Exception]
    """The exception of each key that failed; empty unless ``on_error="return"`` or the results come from an
    exception. (The results attached to a single exception hold a copy of it: the exception itself would keep the
    array alive.)"""

    def __init__(
        self,
        values: Mapping[Any, Any],
        errors: dict[Any, Exception],
        ran: Ran,
        groups: Any = None,
        columns: tuple[Any, ...] | None = None,
    ) -> None:
        super().__init__(values)
        self.errors = errors
        self.groups = groups
        self.columns = columns
        self._ran = ran
        # The data, if NaN in them may be the reason for NaN here, and what was said about them.
        self._data: nans.Found | None = None
        self._nan: str | None = None

    @property
    def report(self) -> Report:
        """What the run did, and what it cost."""
        passes, bytes_read, workers, seconds, own, each, keys, how, why, copied, opening, _ = self._ran
        ways = {key: how.get(key, "kernel") for key in keys}
        times = Times({key: own[key] for key in keys if key in own}, tuple(each))
        copied += opening.bytes_copied
        return Report(passes, bytes_read, copied, workers, seconds, times, ways, dict(why), dict(opening.left_out))

    @overload
    def to_frame(self, library: Literal["pandas"]) -> "pandas.DataFrame": ...

    @overload
    def to_frame(self, library: Literal["polars"]) -> "polars.DataFrame": ...

    @overload
    def to_frame(self, library: None = None) -> Any: ...

    @shown_at_the_call
    def to_frame(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Return the results as a DataFrame.

        The rows are functions, and the columns those of the table, as in ``DataFrame.describe``. With ``by=``, the rows
        are groups and the columns functions (and columns of the table). Results that are not one number of such a row
        and column are left out, if there are others.

        Parameters
        ----------
        library : {"pandas", "polars"}, optional
            Whose DataFrame to make; without it, that of the library that the program has imported, pandas first.

        Raises
        ------
        ImportError
            The library is not installed.

        Examples
        --------
        >>> import pandas as pd, fanfold as ff
        >>> table = pd.DataFrame({"price": [3.0, 5.0], "count": [1, 4]})
        >>> ff.run(table, ["mean", "max"]).to_frame()
              price  count
        mean    4.0    2.5
        max     5.0    4.0
        """
        from fanfold.show import frames

        return frames.frame(self, self.columns, self.groups, library)

    @shown_at_the_call
    def to_xarray(self) -> Any:
        """Return the results of data with named dimensions as an ``xarray.Dataset``, with a variable for each function.

        The columns of a dataset become a dimension ``"column"``, and several quantiles a dimension ``"q"``. Results
        without named dimensions are left out, except numbers.

        Raises
        ------
        ValueError
            No result has named dimensions.

        Examples
        --------
        >>> import numpy as np, xarray as xr, fanfold as ff
        >>> sales = xr.DataArray([[1.0, 2.0], [3.0, 6.0]], dims=("day", "shop"))
        >>> ff.run(sales, ["mean", "max"], axis="day").to_xarray()["mean"].values
        array([2., 4.])
        """
        from fanfold.show import frames

        return frames.dataset(self)

    @shown_at_the_call
    def plot(self, *keys: Any, ax: Any = None) -> Any:
        """Draw the results with matplotlib: histograms as stairs, quantiles as boxes, arrays as lines.

        Numbers of groups are bars, and histograms of groups small multiples. What `describe` finds is a box for each
        column. Other numbers and texts are not drawn.

        Parameters
        ----------
        *keys
            The results to draw; all without it.
        ax : matplotlib.axes.Axes or several, optional
            Where to draw, with one axes for each plot. Without it, there is a new figure.

        Returns
        -------
        matplotlib.axes.Axes or numpy.ndarray of them

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            There is nothing to draw, or `ax` has another number of axes than there are plots.
        """
        unknown = [key for key in keys if not self._has(key)]
        if unknown:
            known = ", ".join(map(text.label, self))
            wrong = f"plot: {shown(unknown[0])} is not a key of the results"
            raise_on_purpose(ValueError(f"{wrong}: the keys are {known}"))
        values = {key: self[key] for key in keys} if keys else self
        from fanfold.show import plots

        return plots.plotted(values, self.columns, self.groups, self._kernels, ax)

    def to_dict(self) -> dict[Any, Any]:
        """Return the results in Python's own types: numbers, lists, dicts and text.

        Named tuples become dicts, arrays lists. With ``by=``, the labels are under the key ``"groups"``, if no function
        has this name.

        >>> import numpy as np, fanfold as ff
        >>> ff.run(np.arange(4), ["mean", ff.histogram(bins=2)]).to_dict()
        {'mean': 1.5, 'histogram': {'counts': [2, 2], 'edges': [0.0, 1.5, 3.0]}}
        """
        from fanfold.show import frames

        groups = {} if self.groups is None else {"groups": frames.plain(self.groups)}
        return groups | {key: frames.plain(value) for key, value in self.items()}

    @shown_at_the_call
    def to_json(self, indent: int | str | None = None) -> str:
        """Return `to_dict` as JSON. NaN and infinities are ``null``; objects that JSON does not know are text.

        `indent` is that of ``json.dumps``.

        >>> import numpy as np, fanfold as ff
        >>> ff.run(np.array([1.0, np.nan]), ["mean", "count_nan"]).to_json()
        '{"mean": null, "count_nan": 1}'
        """
        from fanfold.show import frames

        if not isinstance(indent, int | str | None):
            raise_on_purpose(TypeError(f"indent must be an integer, a str or None, not {shown(indent)}"))
        return frames.as_json(self.to_dict(), indent)

    @property
    def _kernels(self) -> Mapping[Any, _core.Kernel]:
        """The kernels among the functions, by key."""
        return self._ran[-1]

    def _has(self, key: Any) -> bool:
        """Whether it is a key. What has no hash is none."""
        try:
            return key in self
        except TypeError:
            return False

    def _about_nan(self) -> str:
        """Return what to say about NaN. It stays the same, also when the data are gone."""
        if self._nan is None:
            of_data = self._data
            self._nan = "" if of_data is None else nans.told(self, self._kernels, of_data)
            self._data = None
        return self._nan

    def __repr__(self) -> str:
        return text.shown(self, self.columns, self.groups, self._about_nan())

    def _repr_html_(self) -> str:
        from fanfold.show import html

        return html.page(self, self.columns, self.groups, self._kernels, self.report.shown(), self._about_nan())

    def __reduce__(self) -> tuple[Any, ...]:
        return Results, (dict(self), self.errors, self._ran, self.groups, self.columns)

    def copy(self) -> "Results":
        """Return a shallow copy with the same report."""
        made = Results(self, dict(self.errors), self._ran, self.groups, self.columns)
        made._data, made._nan = self._data, self._nan
        return made

    __copy__ = copy
