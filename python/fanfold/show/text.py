"""Results as text: a table that fits the screen, with aligned numbers."""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanfold.show.layout import NOTHING, Layout, laid_out

MOST_ROWS = 40
"""The most rows that are shown. Of more, the first and the last are."""

DIGITS = 6
"""The significant digits of a number."""

_BARS = "▁▂▃▄▅▆▇█"


def shown(values: Mapping[Any, Any], columns: Sequence[Any] | None, groups: Any, remark: str) -> str:
    """Return results as text, with a remark below."""
    width = screen()
    layout = laid_out(values, columns, groups)
    lines = [headline(layout, columns, groups)]
    if layout.rows and layout.columns:
        lines += _table(layout, width)
    lines += [f"  {label(key)}  {value(each)}" for key, each in layout.rest.items()]
    return fitted([*lines, remark] if remark else lines, width)


def screen() -> int:
    """Return the width of the screen, in characters."""
    import shutil

    return max(40, shutil.get_terminal_size((80, 24)).columns)


def fitted(lines: Sequence[str], width: int) -> str:
    """Return lines as a text that is no wider."""
    return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def headline(layout: Layout, columns: Sequence[Any] | None, groups: Any) -> str:
    """Return the line above the table: what there is how often."""
    if groups is not None:
        functions = {each[0] if columns is not None else each for each in layout.columns} | layout.rest.keys()
        return f"Results: {counted(len(functions), 'function')}, {counted(len(layout.rows), 'group')}"
    functions_count = len(layout.rows) + len(layout.rest)
    told = f"Results: {counted(functions_count, 'function')}"
    return told if columns is None else f"{told}, {counted(len(columns), 'column')}"


def counted(count: int, of: str) -> str:
    """Return a number of things.

    >>> counted(1, "group"), counted(1_000, "group")
    ('1 group', '1,000 groups')
    """
    return f"{count:,} {of}" if count == 1 else f"{count:,} {of}s"


def _table(layout: Layout, width: int) -> list[str]:
    left_out = max(0, len(layout.rows) - MOST_ROWS)
    first = MOST_ROWS - MOST_ROWS // 4 if left_out else len(layout.rows)
    rows = [*range(first), *range(first + left_out, len(layout.rows))]
    names = [label(layout.rows[row]) for row in rows]
    across = max([0, *map(len, names)])
    parts: list[list[str]] = []
    used = across + 2
    for number, column in enumerate(layout.columns):
        head = "" if column is None else label(column)
        texts = (layout.cells[row][number] for row in rows)
        cells = _aligned(["" if each is NOTHING else value(each) for each in texts], head)
        used += len(cells[0]) + 2
        if used > width and parts:
            parts.append(["…"] * len(cells))
            break
        parts.append(cells)
    lines = ["  ".join(["  " + name.ljust(across), *cells]).rstrip() for name, *cells in zip(["", *names], *parts)]
    if left_out:
        lines.insert(first + 1, f"  … {left_out:,} more")
    return lines[1:] if layout.columns == [None] else lines


def _aligned(cells: list[str], head: str) -> list[str]:
    """Return the head and the cells in one width, with the points of numbers below each other."""
    is_numeric = [bool(cell) and (cell[0].isdigit() or cell[0] == "-" or cell in ("nan", "inf")) for cell in cells]
    places = [cell.find(".") if "." in cell and "e" not in cell else len(cell) for cell in cells]
    point = max((place for place, numeric in zip(places, is_numeric, strict=True) if numeric), default=0)
    moved = [
        " " * (point - place) + cell if numeric else cell
        for cell, place, numeric in zip(cells, places, is_numeric, strict=True)
    ]
    width = max([len(head), *map(len, moved)])
    return [head.rjust(width) if any(is_numeric) else head.ljust(width), *(cell.ljust(width) for cell in moved)]


def label(key: Any) -> str:
    """Return the label of a row or column as text."""
    if isinstance(key, tuple):
        return ", ".join(map(label, key))
    # Not grouped: a label may be a year.
    return f"{float(key):.{DIGITS}g}" if isinstance(key, float | np.floating) else str(key)


def value(of: Any) -> str:
    """Return a result as one line of text."""
    if isinstance(of, str):
        return " ".join(of.split())
    if of is None or isinstance(of, bool | np.bool_):
        return str(of)
    if isinstance(of, int | float | np.integer | np.floating) and not isinstance(of, np.timedelta64):
        return number(of)
    if isinstance(of, BaseException):
        return f"{type(of).__name__}: {of}"
    if isinstance(of, np.ndarray):
        return _array(of)
    fields = getattr(of, "_fields", None)
    if fields == ("counts", "edges") and np.ndim(of.counts) == 1 and len(of.counts):
        return f"{bars(of.counts)}  {bins(of)}"
    if isinstance(of, tuple) and fields is not None:
        return ", ".join(f"{name}={value(each)}" for name, each in zip(fields, of, strict=True))
    if isinstance(of, dict):
        return ", ".join(f"{label(key)}: {value(each)}" for key, each in of.items())
    return str(of) if isinstance(of, np.generic | complex) else reprlib.repr(of)


def number(of: Any) -> str:
    """Return a number with grouped digits: an integer in full, another one with a few significant digits.

    >>> number(12345678), number(1234.5678), number(0.1)
    ('12,345,678', '1,234.57', '0.1')
    """
    return f"{int(of):,}" if isinstance(of, int | np.integer) else f"{float(of):,.{DIGITS}g}"


def bins(of: Any) -> str:
    """Return what a histogram counts in."""
    return f"{counted(len(of.counts), 'bin')} from {number(of.edges[0])} to {number(of.edges[-1])}"


def facts(title: str, of: Mapping[str, str]) -> str:
    """Return names and values as aligned lines below a title."""
    across = max([0, *map(len, of)])
    return "\n".join([title, *(f"  {name.ljust(across)}  {each}" for name, each in of.items())])


def size(of: int) -> str:
    """Return a number of bytes as people write it.

    >>> size(160_000_000), size(1_234), size(12)
    ('160 MB', '1.23 kB', '12 bytes')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if of >= factor:
            return f"{of / factor:.3g} {unit}"
    return f"{of} byte" if of == 1 else f"{of} bytes"


def duration(of: float) -> str:
    """Return seconds as people write them.

    >>> duration(0.00123), duration(75.0)
    ('1.23 ms', '75 s')
    """
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if of >= factor:
            return f"{of / factor:.3g} {unit}"
    return f"{of * 1e9:.3g} ns"


def _array(of: np.ndarray[Any, Any]) -> str:
    if of.ndim == 1 and of.size <= 8:
        return f"[{', '.join(map(value, of))}]"
    shape = " × ".join(f"{length:,}" for length in of.shape)
    if of.ndim != 1 or of.dtype.hasobject:
        return f"array of {shape} {of.dtype}"
    return f"array of {shape} {of.dtype}: {', '.join(map(value, of[:3]))}, …, {value(of[-1])}"


def bars(counts: Any, most: int = 24) -> str:
    """Return counts as a row of bars. Neighbours are added up if there are many."""
    heights = fewer(counts, most, np.add)
    top = heights.max()
    if not np.isfinite(heights).all() or top <= 0:
        return _BARS[0] * heights.size
    return "".join([_BARS[round(height)] for height in (heights / top * (len(_BARS) - 1)).tolist()])


def fewer(of: Any, most: int, put_together: np.ufunc) -> np.ndarray[Any, Any]:
    """Return at most so many numbers. Of more, neighbours are put together."""
    values = np.asarray(of, float)
    if values.size <= most:
        return values
    with np.errstate(all="ignore"):
        return put_together.reduceat(values, starts(values.size, most))


def starts(size: int, parts: int) -> np.ndarray[Any, Any]:
    """Return where the parts of a sequence begin."""
    return np.arange(parts) * size // parts
