"""The pictures of README.md and docs/performance.md, drawn from a record: `report.py` writes them.

They are SVG of a few kilobytes, in colours that one can read on light and on dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from measuring import Row, seconds

TEXT, OURS, THEIRS, LINE = "#808080", "#2f81f7", "#9a9a9a", "#808080"
WIDTH, BAR, GAP = 760, 14, 7

PANELS: Mapping[str, Sequence[tuple[str, str]]] = {
    "12 statistics of 20 M numbers": (("numpy-twelve", "NumPy + SciPy"), ("numba-twelve", "Numba, fused by hand")),
    "7 quantiles of 20 M numbers": (("quantiles-polars", "Polars"), ("quantiles-numpy", "NumPy")),
    "12 functions of users, 10 M numbers": (
        ("functions-numpy", "NumPy"),
        ("functions-jax", "JAX"),
        ("functions-numba", "Numba, fused by hand"),
    ),
}
"""For the picture of times: the figures of each panel, and who is measured in them beside fanfold."""


def pictures(rows: Sequence[Row]) -> dict[str, str]:
    """Draw the pictures of a record, by the names of their files."""
    return {"times.svg": times(rows), "ratios.svg": ratios(rows)}


def times(rows: Sequence[Row]) -> str:
    """Draw the time of fanfold beside that of others, with a scale for each panel."""
    by_name = {row.figure.name: row.measured for row in rows if row.measured is not None}
    left, right = 190, 90
    parts: list[str] = []
    at = 18
    for title, panel in PANELS.items():
        bars = [(who, by_name[name].peer or 0.0, THEIRS) for name, who in panel if name in by_name]
        if not bars:
            continue
        # Each pair has a time of ours; the panel shows that of its first pair.
        ours = next(by_name[name].ours for name, _ in panel if name in by_name)
        bars.append(("fanfold", ours, OURS))
        longest = max(value for _, value, _ in bars)
        parts.append(_text(0, at, title, weight="bold"))
        at += 10
        for who, value, colour in bars:
            width = max(1.0, (WIDTH - left - right) * value / longest)
            parts.append(_text(left - 8, at + 11, who, anchor="end"))
            parts.append(_bar(left, at, width, colour))
            parts.append(_text(left + width + 6, at + 11, seconds(value)))
            at += BAR + GAP
        at += 22
    return _picture(parts, at - 22, "The times of fanfold and of others")


def ratios(rows: Sequence[Row]) -> str:
    """Draw how many times as fast as others fanfold is, on a logarithmic scale: left of the line it is slower."""
    found = [
        (f"{row.figure.what}: {row.figure.against}".replace("`", ""), row.measured.value)
        for row in rows
        if row.measured is not None
        and row.figure.unit == "x"
        and row.figure.sense == "at least"
        # This one compares fanfold with itself.
        and row.figure.name != "float32"
    ]
    found.sort(key=lambda each: -each[1])
    left, right = 470, 50
    low = math.log10(min(0.5, *(value for _, value in found)))
    high = math.log10(max(value for _, value in found))

    def place(value: float) -> float:
        return left + (WIDTH - left - right) * (math.log10(value) - low) / (high - low)

    bottom = 8 + len(found) * (BAR + GAP)
    parts = [f'<path d="M{place(1):.1f} 0V{bottom}" stroke="{LINE}"/>']
    for number, (label, value) in enumerate(found):
        at = 8 + number * (BAR + GAP)
        start, end = sorted((place(1), place(value)))
        parts.append(_text(left - 8, at + 11, _short(label), anchor="end", size=11))
        parts.append(_bar(start, at, max(1.0, end - start), OURS if value >= 1 else THEIRS))
        parts.append(_text(end + 5, at + 11, f"{value:.3g}" if value < 100 else f"{value:.0f}", size=11))
    for value in (1, 10, 100):
        if low <= math.log10(value) <= high:
            parts.append(_text(place(value), bottom + 16, f"{value} x", anchor="middle", size=11))
    return _picture(parts, bottom + 20, "How many times as fast as others fanfold is")


def _short(label: str, longest: int = 78) -> str:
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 13) -> str:
    options = {"text-anchor": anchor, "font-weight": weight, "font-size": size}
    usual = {"start", "normal", 13}
    shown = "".join(f' {name}="{value}"' for name, value in options.items() if value not in usual)
    return f'<text x="{x:.1f}" y="{y:.1f}"{shown}>{escape(text)}</text>'


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'


def _picture(parts: Sequence[str], height: float, title: str) -> str:
    about: dict[str, Any] = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {WIDTH} {height:.0f}",
        "width": WIDTH,
        "height": f"{height:.0f}",
        "font-family": "system-ui, sans-serif",
        "font-size": 13,
        "fill": TEXT,
        "role": "img",
    }
    attributes = " ".join(f'{name}="{value}"' for name, value in about.items())
    return f"<svg {attributes}>\n<title>{escape(title)}</title>\n" + "\n".join(parts) + "\n</svg>\n"
