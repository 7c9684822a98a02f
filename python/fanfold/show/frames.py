"""Results as tables of pandas or Polars, as datasets of xarray, as dicts of Python's own types, and as JSON."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanfold.checks import is_word, shown
from fanfold.show.layout import NOTHING, Layout, is_number, laid_out
from fanfold.show.optional import imported
from fanfold.show.text import label
from fanfold.tracebacks import raise_on_purpose


def frame(values: Mapping[Any, Any], columns: Sequence[Any] | None, groups: Any, library: str | None) -> Any:
    """Return results as a DataFrame: functions by columns as ``describe`` has them, or groups by functions.

    Parameters
    ----------
    library
        ``"pandas"`` or ``"polars"``; None for the one that the program has imported, pandas first.
    """
    if library is not None and not is_word(library, "pandas", "polars"):
        raise_on_purpose(ValueError(f'library is {shown(library)}: pass "pandas", "polars" or None'))
    chosen = library or next((name for name in ("pandas", "polars") if name in sys.modules), "pandas")
    layout = laid_out(values, columns, groups)
    if layout.rest and not layout.rows:
        # Nothing fits into a table: a row for each result.
        layout = Layout(list(layout.rest), [None], [[each] for each in layout.rest.values()], {})
    return _pandas(layout, groups) if chosen == "pandas" else _polars(layout, groups)


def _columns(layout: Layout) -> dict[Any, list[Any]]:
    names = ["result" if column is None else column for column in layout.columns]
    cells = [[None if each is NOTHING else each for each in row] for row in layout.cells]
    return {name: [row[place] for row in cells] for place, name in enumerate(names)}


def dataset(values: Mapping[Any, Any]) -> Any:
    """Return results with named dimensions as an ``xarray.Dataset``."""
    xr: Any = sys.modules.get("xarray")
    found: dict[str, Any] = {}
    for key, value in values.items():
        fields = value._asdict() if hasattr(value, "_asdict") else {None: value}
        for field, of in fields.items():
            is_of_columns = isinstance(of, dict) and of and all(_has_dimensions(each, xr) for each in of.values())
            own = xr.Dataset(of).to_dataarray("column") if is_of_columns else of
            if _has_dimensions(own, xr) or is_number(own):
                name = label(key) if field is None else f"{label(key)}_{field}"
                found[name] = _renamed(own, label(key))
    if not any(_has_dimensions(own, xr) for own in found.values()):
        remedy = "run over an xarray array or dataset, with axis= or by= so that a dimension is left"
        raise_on_purpose(ValueError(f"no result has named dimensions: {remedy}"))
    return xr.Dataset(found)


def _renamed(of: Any, key: str) -> Any:
    """Return a result without dimensions that have the name of a function, or another length in another result."""
    names = {"quantile": "q", "bin": f"{key}_bin", "edge": f"{key}_edge"}
    own = {name: names[name] for name in getattr(of, "dims", ()) if name in names}
    return of.rename(own) if own else of


def _has_dimensions(of: Any, xr: Any) -> bool:
    return xr is not None and isinstance(of, xr.DataArray)


def _imported(name: str) -> Any:
    return imported(name, "to_frame", "install it, or take to_dict()")


def _pandas(layout: Layout, groups: Any) -> Any:
    pd = _imported("pandas")
    index: Any = layout.rows
    if isinstance(groups, tuple):
        index = pd.MultiIndex.from_tuples(layout.rows)
    data = {name: _joined(cells) for name, cells in _columns(layout).items()}
    made = pd.DataFrame(data, index=index)
    if groups is not None and any(isinstance(column, tuple) for column in layout.columns):
        made.columns = pd.MultiIndex.from_tuples([each if isinstance(each, tuple) else (each, "") for each in data])
    return made


def _polars(layout: Layout, groups: Any) -> Any:
    pl = _imported("polars")
    found: dict[str, Any] = {}
    if isinstance(groups, tuple):
        found |= {f"key {place}": list(each) for place, each in enumerate(zip(*layout.rows, strict=True))}
    else:
        found["function" if groups is None else "group"] = list(layout.rows)
    for name, cells in _columns(layout).items():
        joined = _joined(cells)
        found[label(name)] = joined if joined.dtype != object else [plain(each) for each in cells]
    return pl.DataFrame(found, strict=False)


def _joined(cells: list[Any]) -> Any:
    """Return the cells of a column as an array of their common dtype; of objects if they are not all numbers."""
    if cells and all(isinstance(each, np.number | np.bool_ | int | float) for each in cells):
        return np.array(cells)
    made = np.empty(len(cells), object)
    made[:] = cells
    return made


def plain(of: Any) -> Any:
    """Return a result in Python's own types: numbers, lists, dicts and text."""
    if isinstance(of, np.ndarray):
        return [plain(each) for each in of] if of.dtype.kind in "OmM" and of.ndim else of.tolist()
    if isinstance(of, np.datetime64 | np.timedelta64):
        return str(of)
    if isinstance(of, np.generic):
        return of.item()
    if isinstance(of, tuple) and hasattr(of, "_fields"):
        return {name: plain(each) for name, each in zip(of._fields, of, strict=True)}
    if isinstance(of, dict):
        return {key: plain(each) for key, each in of.items()}
    if isinstance(of, list | tuple):
        return [plain(each) for each in of]
    if isinstance(of, BaseException):
        return f"{type(of).__name__}: {of}"
    return of


def as_json(of: Any, indent: int | str | None) -> str:
    """Return plain results as JSON. NaN and infinities, which JSON does not have, are null; other objects are text."""
    import json

    return json.dumps(_for_json(of), indent=indent, default=str, allow_nan=False)


def _for_json(of: Any) -> Any:
    if isinstance(of, dict):
        return {label(key): _for_json(each) for key, each in of.items()}
    if isinstance(of, list):
        return [_for_json(each) for each in of]
    if isinstance(of, complex):
        return [_for_json(of.real), _for_json(of.imag)]
    return None if isinstance(of, float) and not math.isfinite(of) else of
