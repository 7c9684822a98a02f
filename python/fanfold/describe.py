"""`describe`: what people look for first in an array or a table, in one call and a pass or two over each column.

(A column of integers of which a group has none takes one more.) Numbers are described by kernels of the catalogue,
other columns by their labels. Nothing is computed here.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks
from fanfold.accepted import Data
from fanfold.api import Plan, Pool, run
from fanfold.failures import raise_problems
from fanfold.labels import Labels, labels
from fanfold.results import Ran, Results
from fanfold.sources import KINDS, Elements, Opening, apart, opened
from fanfold.tracebacks import raise_on_purpose, shown_at_the_call

QUARTERS = {"25%": 0.25, "50%": 0.5, "75%": 0.75}

_ENDS = _core.Kernel("quantile", q=[0.0, 1.0])
"""The extremes as floats."""

ROWS = ("count", "missing", "mean", "std", "min", *QUARTERS, "max", "distinct", "top", "freq")


def _for_numbers() -> dict[str, _core.Kernel]:
    """Return the kernels for numbers and times. The standard deviation is that of a sample, as pandas has it."""
    kernels = {name: _core.Kernel(name) for name in ("count", "mean", "min", "max")}
    quarters = _core.Kernel("quantile", q=list(QUARTERS.values()))
    return kernels | {"std": _core.Kernel("std", ddof=1), "quarters": quarters}


@shown_at_the_call
def describe(data: Data, by: Any = None, *, workers: "int | Pool | None" = None) -> Results:
    """Describe an array, or each column of a table.

    Numbers (and times, as far as it means something) have a count, the number of missing elements, the mean, the
    standard deviation (``ddof=1``), the smallest and largest element, and quartiles; columns of text and other labels
    have a count, the number of missing elements, the number of distinct labels, the most frequent label and how often
    it occurs. NaN and nulls are missing elements.

    Parameters
    ----------
    data
        An array or a table, as in `run`.
    by
        Labels, or the name of a column: each group is described. Then only numbers are.
    workers
        As in `run`.

    Returns
    -------
    Results
        A dict by the names of the rows (``"count"``, ``"missing"``, …, ``"max"``, ``"distinct"``, ``"top"``,
        ``"freq"``); for a table, each result is a dict by column. `Results.to_frame` makes a DataFrame of it.

    Raises
    ------
    TypeError
        The data hold nothing that can be described.

    Examples
    --------
    >>> import pandas as pd, fanfold as ff
    >>> ff.describe(pd.DataFrame({"price": [3.0, 5.0, None], "shop": ["a", "b", "a"]}))
    Results: 12 functions, 2 columns
                price  shop
      count     2      3
      missing   1      0
      mean      4
      std       1.41421
      min       3
      25%       3.5
      50%       4
      75%       4.5
      max       5
      distinct         2
      top              a
      freq             2
    """
    begun = time.perf_counter()
    problems: list[Exception] = []
    columns, by, is_table = apart(data, by, problems)
    if not isinstance(workers, Pool):
        checks.workers(workers, problems)
    raise_problems(problems, "the data cannot be described")
    of_groups = None if by is None else _Groups(by, columns)
    planned = Plan(_for_numbers(), None, "omit")
    rows: dict[str, dict[Any, Any]] = {row: {} for row in ROWS}
    runs: list[Results] = []
    left_out: dict[Any, str] = {}
    for name, column in columns.items():
        try:
            elements = _elements(column)
            numbers = None if of_groups is None else of_groups.numbers
            r = planned.run(column, by=numbers, workers=workers, on_error="return")
            described = _described(r, elements.size if of_groups is None else of_groups.sizes[r.groups])
            runs.append(r)
            if "25%" in described and "min" not in described:
                # No NaN can stand for the extremes of no integers. Their quantiles are floats. (To ask for these in the
                # first run took a tenth of its time more, and a third with groups.)
                runs.append(run(column, _ENDS, by=numbers, workers=workers, nan_policy="omit"))
                described["min"], described["max"] = runs[-1]["quantile"]
        except (TypeError, ValueError) as error:
            if not is_table:
                raise
            described, reason = ({}, str(error).removeprefix("data ")) if of_groups is not None else _labels(column)
            if reason:
                left_out[name] = reason
        for row, value in described.items():
            rows[row][name] = value
    rows = {row: values for row, values in rows.items() if values}
    if not rows:
        wrong = f"data is a table of {len(columns):,} columns that cannot be described: {left_out}"
        raise_problems([TypeError(wrong)], "the data cannot be described")
    ran = _together(runs, tuple(rows), time.perf_counter() - begun, left_out)
    groups = None if of_groups is None or not runs else of_groups.names(runs[0].groups)
    if not is_table:
        return Results({row: values[None] for row, values in rows.items()}, {}, ran, groups)
    names = tuple(name for name in columns if any(name in values for values in rows.values()))
    return Results(rows, {}, ran, groups, names)


class _Groups:
    """The labels of the groups. They are made once, for all columns."""

    def __init__(self, by: Any, columns: Mapping[Any, Any]) -> None:
        problems: list[Exception] = []
        found = labels(by, _like(next(iter(columns.values()), by)), 0, problems)
        raise_problems(problems, "the data cannot be described")
        if found is None:
            raise AssertionError("what keeps labels from being read is a problem")
        self._labels: Labels = found
        numbers = found.counted().reshape(-1)
        self.sizes = np.bincount(numbers[numbers >= 0])
        self.numbers: Any = np.ma.masked_less(numbers, 0) if (numbers < 0).any() else numbers

    def names(self, numbers: Any) -> Any:
        """Return the labels of groups."""
        return self._labels.names(np.asarray(numbers, np.int64))


def _like(column: Any) -> npt.NDArray[Any]:
    """An array without memory of its own, in the shape of a column of anything."""
    shape = np.shape(column) if isinstance(column, list | tuple) else getattr(column, "shape", (len(column),))
    return np.broadcast_to(np.empty(()), shape)


def _elements(column: Any) -> Elements:
    """The elements of a column of numbers or times. Raises if it is none."""
    problems: list[Exception] = []
    found = opened(column, problems=problems)
    raise_problems(problems, "the data cannot be described")
    if found is None or found.first.dtype.kind not in KINDS:
        raise_on_purpose(TypeError(f"data has dtype {getattr(column, 'dtype', '?')}, which holds no numbers"))
    return found.first


def _described(r: Results, total: Any) -> dict[str, Any]:
    """The rows of a column of numbers with so many elements. Those that its dtype does not have are left out."""
    rows = {name: value for name, value in r.items() if name not in r.errors}
    rows["missing"] = total - rows["count"]
    rows |= dict(zip(QUARTERS, rows.pop("quarters", ()), strict=False))
    return rows


def _labels(column: Any) -> tuple[dict[str, Any], str]:
    """The rows of a column of labels, and the reason if it cannot be described."""
    problems: list[Exception] = []
    like = _like(column)
    found = labels(column, like, 0, problems)
    if found is None:
        return {}, str(problems[0]).removeprefix("by ")
    numbers = found.counted()
    present = numbers[numbers >= 0]
    rows: dict[str, Any] = {"count": present.size, "missing": like.size - present.size}
    counts = np.bincount(present)
    rows["distinct"] = int(np.count_nonzero(counts))
    if present.size:
        top = int(counts.argmax())
        rows |= {"top": found.names(np.array([top]))[0], "freq": int(counts[top])}
    return rows, ""


def _together(runs: list[Results], keys: tuple[Any, ...], seconds: float, left_out: dict[Any, str]) -> Ran:
    """What all runs did together."""
    reports = [r.report for r in runs]
    each = [own for report in reports for own in report.times.passes]
    passes = max((report.passes for report in reports), default=0)
    read, copied = (sum(getattr(report, name) for report in reports) for name in ("bytes_read", "bytes_copied"))
    used = max((report.workers for report in reports), default=1)
    return passes, read, used, seconds, {}, each, keys, {}, {}, copied, Opening(0, left_out), {}
