"""Small pictures of results, as SVG in an ``<img>``: bars of a histogram, a box of quantiles, a line of an array.

Sanitisers of notebooks remove scripts, classes and SVG elements, but not an image of a ``data:`` address. Its colours
cannot follow the page: a blue of middle lightness on a transparent ground is legible on white and on black.
"""

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fanfold.show import text

WIDTH, HEIGHT = 120, 24
"""The size of a picture in pixels."""

MOST_POINTS = 32
"""The most bars or points of a picture. Of more elements, neighbours are put together."""

_BLUE = "#4a86c8"


class Box(NamedTuple):
    """The parts of a box of quantiles."""

    low: float
    """The outermost quantiles are the ends of a line."""
    first: float
    """The innermost pair of quantiles are the sides of the box."""
    middle: float | None
    """The quantile between them, if there is one."""
    third: float
    high: float


def levels_of(kernel: Any) -> tuple[float, ...] | None:
    """Return the levels of a kernel of several quantiles, from 0 to 1; None for other kernels."""
    if kernel is None or kernel.answers != "quantiles":
        return None
    levels = next(iter(kernel.parameters.values()))
    return tuple(levels) if isinstance(levels, tuple | list) else None


def box(of: Any, levels: Sequence[float] | None) -> Box | None:
    """Return the box of quantiles at these levels; None if they are not two or more finite numbers."""
    if levels is None or not isinstance(of, np.ndarray) or of.shape != (len(levels),) or of.dtype.kind not in "biuf":
        return None
    values = [float(each) for each in of[np.argsort(levels)]]
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    half = len(values) // 2
    middle = values[half] if len(values) % 2 else None
    return Box(values[0], values[half - 1], middle, values[-half], values[-1])


def scale(parts: Sequence[Any]) -> tuple[float, float] | None:
    """Return the smallest and largest number of arrays that are drawn on one scale."""
    finite = [own[np.isfinite(own)] for own in parts if isinstance(own, np.ndarray) and own.dtype.kind in "biuf"]
    numbers = np.concatenate(finite).astype(float) if finite else np.array([])
    return (float(numbers.min()), float(numbers.max())) if numbers.size else None


def picture(of: Any, levels: Sequence[float] | None = None, ends: tuple[float, float] | None = None) -> str | None:
    """Return a result's picture as an ``<img>``; None if it has none.

    Parameters
    ----------
    of
        The result.
    levels
        The levels of quantiles, if it is quantiles.
    ends
        The numbers at both ends of the picture of quantiles; None for the outermost quantiles.
    """
    fields = getattr(of, "_fields", None)
    if fields == ("counts", "edges") and _is_line(of.counts):
        return _image(_bars(text.fewer(of.counts, MOST_POINTS, np.add)), f"histogram {text.bars(of.counts)}")
    if fields == ("values", "counts") and _is_line(of.counts):
        return _image(_bars(text.fewer(of.counts, MOST_POINTS, np.maximum)), f"counts {text.bars(of.counts)}")
    if levels is not None:
        found = box(of, levels)
        told = None if found is None else f"box from {text.number(found.low)} to {text.number(found.high)}"
        return None if found is None or told is None else _image(_box(found, ends or (found.low, found.high)), told)
    if fields is None and _is_line(of):
        means = _means(of)
        return _image(_line(means), f"line from {text.number(means[0])} to {text.number(means[-1])}")
    return None


def _is_line(of: Any) -> bool:
    """Whether it is an array of finite real numbers along one axis, of which a picture tells more than its numbers."""
    if not isinstance(of, np.ndarray) or of.ndim != 1 or of.dtype.kind not in "biuf" or of.size < 3:
        return False
    return of.dtype.kind != "f" or bool(np.isfinite(_means(of)).all())


def _means(of: Any) -> Any:
    """The means of neighbours."""
    sums = text.fewer(of, MOST_POINTS, np.add)
    return sums if sums.size == of.size else sums / np.diff(text.starts(of.size, MOST_POINTS), append=of.size)


def _scaled(values: Any, length: float) -> Any:
    low, high = values.min(), values.max()
    return np.full(values.size, length / 2) if high == low else (values / 2 - low / 2) / (high / 2 - low / 2) * length


def _bars(counts: Any) -> str:
    top = max(float(counts.max()), 1e-300)
    step = WIDTH / counts.size
    heights = (counts / top * (HEIGHT - 1)).tolist()
    # Strokes take fewer letters than rectangles.
    steps = "".join([f"M{step * (number + 0.5):.3g} {HEIGHT}v-{height:.3g}" for number, height in enumerate(heights)])
    return f'<path d="{steps}" stroke="{_BLUE}" stroke-width="{step * 0.8:.3g}"/>'


def _line(values: Any) -> str:
    across = np.linspace(1, WIDTH - 1, values.size)
    up = HEIGHT - 2 - _scaled(values, HEIGHT - 4)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across.tolist(), up.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>'


def _box(of: Box, ends: tuple[float, float]) -> str:
    middle = of.low if of.middle is None else of.middle
    places = 2 + _scaled(np.array([*ends, of.low, of.first, middle, of.third, of.high]), WIDTH - 4)
    low, first, middle_at, third, high = (f"{place:.4g}" for place in places[2:])
    line = f"M{low} 8v8m0-4H{first}V4H{third}V20H{first}V12M{third} 12H{high}m0-4v8"
    shapes = f'<path d="{line}" fill="none" stroke="{_BLUE}"/>'
    if of.middle is not None:
        shapes += f'<path d="M{middle_at} 4V20" stroke="{_BLUE}" stroke-width="3"/>'
    return shapes


def _image(shapes: str, alt: str) -> str:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">{shapes}</svg>'
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
