"""Arrays that a function makes of a row: Fourier transforms, sorted elements, sums so far, histograms.

NumPy makes them for many rows in one call, and so does the histogram's kernel. The function goes on with its row's
part, as a formula. Rows with elements that are not finite are called on their own.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from fanfold import _core
from fanfold.tracing.arrays import deferred, takes
from fanfold.tracing.nodes import Array, Node, RowsCall, Selection, Transform
from fanfold.tracing.rules.registry import OF_ROWS
from fanfold.tracing.rules.statistics import REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

_OPTIONS = frozenset(("n", "norm", "kind", "stable"))
"""Parameters that mean the same along an axis."""


def _row(trace: Trace, value: Any) -> Node | None:
    """The node of elements whose number is known."""
    node = elements_of(trace, value)
    if node is None or isinstance(node.shape, Selection) or len(node.shape) != 1 or not node.shape[0]:
        return None
    return node


def _made(trace: Trace, key: Any, compute: RowsCall, of: Node, sample: tuple[Array, ...]) -> tuple[Any, ...] | None:
    """The arrays that a call makes of each row, as deferred ones. They are like those of a sample."""
    longest = trace.formulas.array.shape[-1]
    if any(each.ndim != 1 or not takes(each.dtype) or not 0 < each.size <= longest for each in sample):
        # The core reads at most as many elements of a row as the rows have.
        return None

    def made(place: int, like: Array) -> Any:
        node = trace.formulas.intern(
            ("transform", key, place, of), lambda: Node(Transform(key, compute, place), (of,), like.dtype, like.shape)
        )
        return deferred(trace, node)

    return tuple(itertools.starmap(made, enumerate(sample)))


def _of_numpy(called: Any, function: Callable[..., Any], kinds: str) -> None:
    """Registers a function of NumPy's with a parameter `axis`, for elements of these kinds."""

    def answer(trace: Trace, array: Any, **options: Any) -> Any:
        node = _row(trace, array)
        plain = all(value is None or type(value) in (int, str, bool) for value in options.values())
        if node is None or node.dtype.kind not in kinds or not plain or not options.keys() <= _OPTIONS:
            return None
        sample = function(np.ones(node.shape, node.dtype), **options)

        def compute(rows: Array, left: float | None) -> tuple[Array, ...]:
            del left
            return (function(rows, axis=-1, **options),)

        found = _made(trace, (function, *sorted(options.items())), compute, node, (sample,))
        return None if found is None else found[0]

    OF_ROWS[called] = answer


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _of_numpy(getattr(np.fft, _name), getattr(np.fft, _name), "fiuc")
for _name in ("sort", "cumsum", "cumprod"):
    _of_numpy(getattr(np, _name), getattr(np, _name), "fiu")
for _ufunc in (np.add, np.multiply, np.maximum, np.minimum):
    _of_numpy((_ufunc, "accumulate"), _ufunc.accumulate, "fiu")


def _histogram(trace: Trace, a: Any, bins: Any = 10, range: Any = None, density: Any = None) -> Any:
    node = _row(trace, a)
    if node is None or node.dtype.kind not in "fiu" or type(bins) is not int or bins < 1:
        return None
    if density not in (None, False, True) or (range is not None and not _are_ends(range)):
        return None
    ends = None if range is None else tuple(map(float, range))
    kernel = _core.Kernel("histogram", bins=bins, range=ends, density=bool(density))
    counts, edges = np.histogram(np.arange(2, dtype=node.dtype), bins, range, density)

    def compute(rows: Array, left: float | None) -> tuple[Array, ...]:
        plan = _core.Plan([kernel], "propagate")
        (found,), failed, *_ = plan.run_rows([rows], [(0,)], 1, None, None, {}, 1, left)
        if failed:
            raise failed[0][1]
        return found.counts, found.edges.astype(edges.dtype, copy=False)

    return _made(trace, ("histogram", bins, ends, bool(density)), compute, node, (counts, edges))


def _are_ends(range: Any) -> bool:
    return type(range) in (list, tuple) and len(range) == 2 and all(type(each) in REAL for each in range)


OF_ROWS[np.histogram] = _histogram
