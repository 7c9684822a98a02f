"""Results as HTML for notebooks: one plain table, with inherited colours and fonts.

There is no class, no style sheet, no script and no id: sanitisers drop them, and editors take classes of tables for
their own. Everything that comes from the user is escaped.
"""

from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import Any

from fanfold.show import text
from fanfold.show.layout import NOTHING, Layout, is_number, laid_out
from fanfold.show.pictures import levels_of, picture, scale

MOST_ROWS = 60
"""The rows that are shown at once. The others are folded."""

MOST_FOLDED = 1_000
"""The most rows that are folded."""

RIGHT = ' style="text-align: right"'
LEFT = ' style="text-align: left"'


def page(
    values: Mapping[Any, Any],
    columns: Sequence[Any] | None,
    groups: Any,
    kernels: Mapping[Any, Any],
    report: Mapping[str, Any],
    remark: str,
) -> str:
    """Return results as HTML, with a remark and what the run did below."""
    layout = laid_out(values, columns, groups, kernels)
    head = escape(text.headline(layout, columns, groups))
    parts = [f"<div><div>{head}</div>"]
    parts += _rows(layout, _Drawing(layout, columns, groups, kernels))
    if layout.rest:
        rest = Layout(list(layout.rest), [None], [[each] for each in layout.rest.values()], {})
        parts += _rows(rest, _Drawing(rest, None, None, kernels))
    parts += [f"<div>{escape(remark)}</div>"] if remark else []
    return "".join([*parts, facts("report", report), "</div>"])


def facts(title: str, of: Mapping[str, Any], *, folded: bool = True) -> str:
    """Return names and values as a table."""
    rows = "".join(
        f"<tr><th{LEFT}>{escape(text.label(name))}</th><td{LEFT}>{escape(text.value(value))}</td></tr>"
        for name, value in of.items()
    )
    if not folded:
        return f"<div>{escape(title)}</div><table>{rows}</table>"
    return f"<details><summary>{escape(title)}</summary><table>{rows}</table></details>"


class _Drawing:
    """How the cells of a table are drawn: quantiles as boxes, on one scale for all groups."""

    def __init__(self, layout: Layout, columns: Sequence[Any] | None, groups: Any, kernels: Mapping[Any, Any]) -> None:
        self._of_rows = groups is None
        # Numbers of one array stay beside their names, however wide other results are: those are a column of their own.
        own = layout.columns == [None] and any(_is_right(each) for row in layout.cells for each in row)
        self._before = "<td></td>" if own else ""
        self._levels: dict[Any, Any] = {}
        self._scales: dict[Any, tuple[float, float] | None] = {}
        for number, label in enumerate(layout.rows if groups is None else layout.columns):
            key = label[0] if groups is not None and columns is not None else label
            levels = levels_of(kernels.get(key)) if isinstance(key, Hashable) else None
            self._levels[number] = levels
            if levels is not None and groups is not None:
                self._scales[number] = scale([row[number] for row in layout.cells])

    def cell(self, of: Any, row: int, column: int) -> str:
        """Return a cell."""
        if of is NOTHING:
            return "<td></td>"
        if _is_right(of):
            return f"<td{RIGHT}>{escape(text.value(of))}</td>"
        place = row if self._of_rows else column
        drawn = picture(of, self._levels.get(place), self._scales.get(place))
        if drawn is not None and getattr(of, "_fields", None) == ("counts", "edges"):
            # The picture stands for the row of bars.
            told = text.bins(of)
        else:
            told = escape(text.value(of))
        return f"{self._before}<td{LEFT}>{told if drawn is None else f'{drawn} {told}'}</td>"


def _is_right(of: Any) -> bool:
    """Whether it is a number, which is written below others."""
    return of is not NOTHING and is_number(of) and not isinstance(of, str)


def _rows(layout: Layout, drawing: _Drawing) -> list[str]:
    if not layout.rows or not layout.columns:
        return []
    head = ""
    if layout.columns != [None]:
        names = "".join(f"<th{RIGHT}>{escape(text.label(column))}</th>" for column in layout.columns)
        head = f"<thead><tr><th></th>{names}</tr></thead>"
    labelled = list(zip(layout.rows, layout.cells, strict=False))[: MOST_ROWS + MOST_FOLDED]
    lines = []
    for row, (label, cells) in enumerate(labelled):
        shown = "".join(drawing.cell(each, row, column) for column, each in enumerate(cells))
        lines.append(f"<tr><th{LEFT}>{escape(text.label(label))}</th>{shown}</tr>")
    parts = [f"<table>{head}<tbody>{''.join(lines[:MOST_ROWS])}</tbody></table>"]
    if len(layout.rows) > MOST_ROWS:
        left = len(layout.rows) - len(lines)
        told = f"{len(lines) - MOST_ROWS:,} more rows" + (f", {left:,} are not shown" if left else "")
        folded = f"<table>{head}<tbody>{''.join(lines[MOST_ROWS:])}</tbody></table>"
        parts.append(f"<details><summary>{told}</summary>{folded}</details>")
    return parts
