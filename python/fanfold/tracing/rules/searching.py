"""Positions: where elements are not zero, and where they belong among edges."""

from typing import Any

import numpy as np

from fanfold import _core
from fanfold.tracing.arrays import Deferred, Traced, deferred
from fanfold.tracing.nodes import Node, Source
from fanfold.tracing.rules.answers import owned
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import cast, elements_of, ufunc_node

MOST_EDGES = 1 << 16
"""With more edges than this, their copy and their comparison are no longer free."""


def _positions(func: Any, method: str | None = None) -> None:
    """Registers a function that finds the elements that are not zero.

    NumPy takes 2 ms for the positions of 4 million bools, less than a sweep takes to collect them on two cores. A sweep
    computes the bools.
    """

    @rule(func, method=method)
    def answer(trace: Trace, a: Any) -> Any:
        node = elements_of(trace, a)
        if node is None:
            return None
        mask = node if node.dtype == np.bool_ else ufunc_node(trace, np.not_equal, (a, 0))
        if mask is None:
            return None
        is_there = isinstance(mask.operation, Source)
        return func(mask.operation.array if is_there else owned(trace, trace.formulas.values(mask)))


_positions(np.flatnonzero)
_positions(np.nonzero, method="nonzero")
_positions(np.argwhere)


@rule(np.searchsorted, method="searchsorted")
def _searchsorted(trace: Trace, a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    node = elements_of(trace, v)
    if type(side) is not str or side not in ("left", "right") or sorter is not None:
        return None
    if node is None:
        # A few elements of the sorted array are read.
        plain: Any = a._plain() if type(a) is Traced and not issubclass(type(v), Deferred) else None
        return None if plain is None else plain.searchsorted(v, side)
    edges = np.array(a) if type(a) in (list, tuple) else a
    if type(edges) is not np.ndarray or edges.ndim != 1 or not 0 < edges.size <= MOST_EDGES:
        return None
    common = np.result_type(edges.dtype, node.dtype)
    if common.kind not in "biuf" or common.itemsize > 8 or common == np.uint64:
        return None
    # In a wider dtype the order is the same.
    wide = np.dtype(np.float64 if common.kind == "f" else np.int64)
    elements = cast(trace, node, wide)
    edges = edges.astype(wide)
    if elements is None or not (edges[:-1] <= edges[1:]).all() or np.isnan(edges).any():
        # Without an order, the result depends on the steps of NumPy's search.
        return None
    key = ("searchsorted", side, edges.dtype, edges.tobytes(), elements)
    loop = _core.UfuncLoop.searchsorted(edges, side == "right")
    made = trace.formulas.intern(key, lambda: Node(loop, (elements,), np.dtype(np.int64), elements.shape))
    return deferred(trace, made)


@rule(np.digitize)
def _digitize(trace: Trace, x: Any, bins: Any, right: Any = False) -> Any:
    # Descending edges are left to NumPy, and so are objects that are neither true nor false.
    if type(right) is not bool or elements_of(trace, x) is None:
        return None
    return _searchsorted(trace, bins, x, "left" if right else "right")
