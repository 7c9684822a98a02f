"""The layout of results: a table of numbers with labelled rows and columns, and what does not fit into it.

- Results for an array are rows: a function in each, with one value.
- Results for the columns of a table are rows of functions, with one number for each column.
- Results by groups are rows of groups, with one number for each function (and column).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: ""})()
"""Stands in a cell for which there is no result."""


class Layout(NamedTuple):
    """Results in rows and columns."""

    rows: list[Any]
    """The label of each row; a tuple for groups of several keys."""
    columns: list[Any]
    """The label of each column; None for the only one. A pair of function and column for groups of a table."""
    cells: list[Sequence[Any]]
    """The values of each row."""
    rest: dict[Any, Any]
    """The results that are not numbers of these rows and columns."""


def laid_out(
    values: Mapping[Any, Any],
    columns: Sequence[Any] | None,
    groups: Any,
    kernels: Mapping[Any, Any] | None = None,
) -> Layout:
    """Return the layout of results.

    Parameters
    ----------
    values
        The results by key.
    columns
        The columns of a table; None for an array.
    groups
        The labels of the groups; None without groups.
    kernels
        The kernels by key, if cells may also hold arrays and records, of which there are pictures.
    """
    if groups is not None:
        return _by_groups(values, columns, groups, kernels)
    if columns is not None:
        return _by_columns(values, columns, fits=is_number if kernels is None else _is_anything)
    return Layout(list(values), [None], [[value] for value in values.values()], {})


def is_number(value: Any) -> bool:
    """Return whether a value is a single number, time or text."""
    return isinstance(value, bool | int | float | complex | str | np.generic) and not isinstance(value, np.void)


def labels_of(groups: Any) -> list[Any]:
    """Return the label of each group; tuples for groups of several keys."""
    if isinstance(groups, tuple):
        return list(zip(*(_plain(each) for each in groups), strict=True))
    return _plain(groups)


def _plain(labels: Any) -> list[Any]:
    return list(labels.tolist()) if isinstance(labels, np.ndarray) else list(labels)


def _is_anything(_: Any) -> bool:
    return True


def _by_columns(values: Mapping[Any, Any], columns: Sequence[Any], fits: Callable[[Any], bool]) -> Layout:
    rows: list[Any] = []
    cells: list[Sequence[Any]] = []
    rest: dict[Any, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and set(value) <= set(columns) and all(map(fits, value.values())):
            rows.append(key)
            cells.append([value.get(column, NOTHING) for column in columns])
        else:
            rest[key] = value
    return Layout(rows, list(columns), cells, rest)


def _by_groups(
    values: Mapping[Any, Any], columns: Sequence[Any] | None, groups: Any, kernels: Mapping[Any, Any] | None
) -> Layout:
    rows = labels_of(groups)
    found: dict[Any, Sequence[Any]] = {}
    rest: dict[Any, Any] = {}

    def split(key: Any, value: Any) -> Sequence[Any] | None:
        if _is_column(value, len(rows)):
            return value  # type: ignore[no-any-return]
        return None if kernels is None else each_group(value, len(rows), kernels.get(key))

    for key, value in values.items():
        of_columns = value if columns is not None and isinstance(value, dict) else {None: value}
        left = {}
        for column, own in of_columns.items():
            parts = split(key, own)
            if parts is None:
                left[column] = own
            else:
                found[key if of_columns is not value else (key, column)] = parts
        if left:
            rest[key] = left if of_columns is value else value
    return Layout(rows, list(found), [list(row) for row in zip(*found.values(), strict=True)] if found else [], rest)


def each_group(value: Any, count: int, kernel: Any) -> Sequence[Any] | None:
    """Return the parts of a result that belong to the groups; None if it has none."""
    if hasattr(value, "_fields"):
        fields = [each_group(field, count, None) for field in value]
        if not all(field is not None for field in fields):
            return None
        return [type(value)(*parts) for parts in zip(*fields, strict=True)]
    if not isinstance(value, np.ndarray):
        return None
    if kernel is not None and kernel.answers == "quantiles" and value.ndim == 2:
        # Several quantiles come first.
        value = value.T
    return value if value.ndim in (1, 2) and len(value) == count else None


def _is_column(value: Any, length: int) -> bool:
    return isinstance(value, np.ndarray) and value.shape == (length,) and value.dtype.kind in "biufcmMSU"
