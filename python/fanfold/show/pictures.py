"""Small pictures of results, as SVG in an ``<img>``: bars of a histogram, a line of an array.

Sanitisers of notebooks remove scripts, classes and SVG elements, but not an image of a ``data:`` address. Its colours
cannot follow the page: a blue of middle lightness on a transparent ground is legible on white and on black.
"""

import base64
from typing import Any

import numpy as np

from fanfold.show import text

WIDTH, HEIGHT = 120, 24
"""The size of a picture in pixels."""

MOST_POINTS = 32
"""The most bars or points of a picture. Of more elements, neighbours are put together."""

_BLUE = "#4a86c8"


def picture(of: Any) -> str | None:
    """Return a result's picture as an ``<img>``; None if it has none."""
    fields = getattr(of, "_fields", None)
    if fields == ("counts", "edges") and _is_line(of.counts):
        return _image(_bars(_fewer(of.counts, np.sum)), f"histogram {text.bars(of.counts)}")
    if fields == ("values", "counts") and _is_line(of.counts):
        return _image(_bars(_fewer(of.counts, np.max)), f"counts {text.bars(of.counts)}")
    if fields is None and _is_line(of):
        means = _fewer(of, np.mean)
        return _image(_line(means), f"line from {text.number(means[0])} to {text.number(means[-1])}")
    return None


def _is_line(of: Any) -> bool:
    """Whether it is an array of finite real numbers along one axis, of which a picture tells more than its numbers."""
    if not isinstance(of, np.ndarray) or of.ndim != 1 or of.dtype.kind not in "biuf" or of.size < 3:
        return False
    return bool(np.isfinite(_fewer(of, np.mean)).all())


def _fewer(of: Any, put_together: Any) -> Any:
    values = np.asarray(of, float)
    if values.size <= MOST_POINTS:
        return values
    with np.errstate(all="ignore"):
        return np.array([put_together(part) for part in np.array_split(values, MOST_POINTS)])


def _scaled(values: Any, length: float) -> Any:
    low, high = values.min(), values.max()
    return np.full(values.size, length / 2) if high == low else (values / 2 - low / 2) / (high / 2 - low / 2) * length


def _bars(counts: Any) -> str:
    top = max(float(counts.max()), 1e-300)
    step = WIDTH / counts.size
    heights = counts / top * (HEIGHT - 1)
    # Strokes take fewer letters than rectangles.
    steps = "".join(f"M{step * (number + 0.5):.3g} {HEIGHT}v-{height:.3g}" for number, height in enumerate(heights))
    return f'<path d="{steps}" stroke="{_BLUE}" stroke-width="{step * 0.8:.3g}"/>'


def _line(values: Any) -> str:
    across = np.linspace(1, WIDTH - 1, values.size)
    up = HEIGHT - 2 - _scaled(values, HEIGHT - 4)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>'


def _image(shapes: str, alt: str) -> str:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">{shapes}</svg>'
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
