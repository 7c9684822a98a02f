"""Counts of elements in bins."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import Deferred
from fanfold.tracing.nodes import Node, Selection
from fanfold.tracing.rules.answers import shared_arrays_of
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.rules.sorting import counted
from fanfold.tracing.rules.statistics import REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of, operand_of

Array = npt.NDArray[Any]

_RULES = ("auto", "fd", "rice", "sqrt", "sturges")
"""The rules for the number of bins that do not depend on the last place of a standard deviation."""


@rule(np.histogram)
def _histogram(
    trace: Trace, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    node = elements_of(trace, a)
    if node is None or node.dtype.kind not in "fiu" or weights is not None:
        return None
    if type(density) is not bool and density is not None:
        return None
    given = _edges(bins)
    ends = None if range is None or given is not None else _ends(trace, range, node)
    is_known = given is not None or type(bins) is int or (type(bins) is str and bins in _RULES)
    if not is_known or (given is None and range is not None and ends is None):
        return None

    def plain(elements: Array) -> Any:
        return np.histogram(elements, bins if given is None else given, ends, density)

    chosen = bins if given is None else tuple(given.tolist())
    found = shared_arrays_of(trace, "histogram", node, plain, bins=chosen, range=ends, density=bool(density))
    if found is None:
        return None
    # NumPy returns the edges that it was given.
    return found if given is None else (found[0], given)


def _edges(bins: Any) -> Array | None:
    """The edges, if bins are given by them."""
    if type(bins) in (list, tuple) and all(type(each) in REAL for each in bins):
        edges = np.asarray(bins)
    elif type(bins) is np.ndarray:
        edges = bins
    else:
        return None
    is_flat = edges.ndim == 1 and edges.size > 1 and edges.dtype in (np.float64, np.int64)
    return edges if is_flat and bool((edges[:-1] < edges[1:]).all()) else None


def _ends(trace: Trace, range: Any, node: Node) -> tuple[float, float] | None:
    """The ends of the bins; None if NumPy's edges would have another dtype than with Python's numbers."""
    if type(range) not in (list, tuple) or len(range) != 2:
        return None
    ends = []
    for each in range:
        end = each
        if issubclass(type(each), Deferred):
            operand = operand_of(trace, each)
            if type(operand) is not Node or not operand.is_number:
                return None
            end = trace.force(operand, None, at_once=True)[()]
        if type(end) is np.float64 and node.dtype.char not in "ef":
            end = float(end)
        if type(end) not in REAL:
            return None
        ends.append(float(end))
    low, high = ends
    return (low, high)


@rule(np.bincount)
def _bincount(trace: Trace, x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    node = elements_of(trace, x)
    if node is None or node.dtype.kind not in "biu" or node.dtype == np.uint64 or weights is not None:
        return None
    if isinstance(node.shape, tuple) and len(node.shape) != 1:
        return None
    if isinstance(node.shape, Selection) or type(minlength) is not int or minlength < 0:
        return None
    found = counted(trace, node, lambda elements: np.unique(elements, return_counts=True))
    if found is None or found[0][0] < 0:
        return None
    values, counts = found
    result = np.zeros(max(int(values[-1]) + 1, minlength), np.intp)
    result[values.astype(np.intp)] = counts
    return result
