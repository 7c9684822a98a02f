"""Plans for people: passes as rows, what each computes for whom, and why some functions are not fused."""

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from fanfold.explanation import Explanation, Pass
from fanfold.show import text
from fanfold.show.html import LEFT

MOST_ROWS = 60
"""The most rows that are shown."""


class Row(NamedTuple):
    """A row of the table."""

    place: str
    """The pass, in its first row; or how a function is called."""
    what: str
    """What is computed, or the function."""
    detail: str
    """For which functions it is computed, or why the function is not fused."""


def rows(explanation: Explanation) -> Iterator[Row]:
    """Return an explanation as rows."""
    for part in explanation:
        if isinstance(part, Pass):
            place = part.name
            for what, keys in part.steps:
                yield Row(place, what, ", ".join(keys) + (" (shared)" if len(keys) > 1 else ""))
                place = ""
        else:
            yield Row(part.how, ", ".join(part.keys), part.why)


def as_text(title: str, explanation: Explanation) -> str:
    """Return an explanation as aligned text that fits the screen."""
    width = text.screen()
    found = list(rows(explanation))
    first, second = (max([0, *(len(row[column]) for row in found)]) for column in (0, 1))
    second = min(second, max(20, width - first - 20))
    lines = [title]
    for row in found[:MOST_ROWS]:
        what = row.what if len(row.what) <= second else f"{row.what[: second - 1]}…"
        lines.append(f"  {row.place.ljust(first)}  {what.ljust(second)}  {row.detail}".rstrip())
    if len(found) > MOST_ROWS:
        lines.append(f"  … {len(found) - MOST_ROWS:,} more")
    return text.fitted(lines, width)


def as_html(title: str, explanation: Explanation) -> str:
    """Return an explanation as a plain table, as `html` has them."""
    found = list(rows(explanation))
    lines = [
        f"<tr><th{LEFT}>{escape(row.place)}</th><td{LEFT}>{escape(row.what)}</td>"
        f"<td{LEFT}>{escape(row.detail)}</td></tr>"
        for row in found
    ]
    table = f"<table><tbody>{''.join(lines[:MOST_ROWS])}</tbody></table>"
    if len(lines) > MOST_ROWS:
        folded = f"<table><tbody>{''.join(lines[MOST_ROWS:])}</tbody></table>"
        table += f"<details><summary>{len(lines) - MOST_ROWS:,} more rows</summary>{folded}</details>"
    return f"<div><div>{escape(title)}</div>{table}</div>"


def title(count: int) -> str:
    """Return the line above a plan of so many functions."""
    return f"Plan: {text.counted(count, 'function')}"
