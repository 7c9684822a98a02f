"""Functions of the elements in their order."""

import math
from typing import Any

import numpy as np

from fanfold.tracing.arrays import deferred
from fanfold.tracing.nodes import Along, Node, Selection
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.rules.statistics import over_all
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of, kernel

MOST_ITEMS = 16
"""A function that reads more single elements than this loops over them."""


def item(trace: Trace, node: Node, key: int) -> Any:
    """``values[key]``, as the largest element of a slice of one."""
    if not isinstance(node.shape, tuple) or len(node.shape) != 1 or node.dtype.kind not in "biuf":
        return None
    (length,) = node.shape
    trace.items += 1
    if not -length <= key < length or trace.items > MOST_ITEMS:
        return None
    part = trace.cut(node, slice(key % length, key % length + 1))
    if part is None:
        return None
    return deferred(trace, trace.formulas.statistic(kernel("max"), None, part, node.dtype, np.max))


def _cumulative(trace: Trace, name: str, function: Any, a: Any) -> Any:
    """An array with, for each element, a result of all elements up to it."""
    node = elements_of(trace, a)
    if node is None or isinstance(node.shape, Selection) or node.dtype not in _GAINS[name]:
        return None
    operation = Along(kernel(name), tuple(range(len(node.shape))), False, False)
    dtype = function(np.ones(1, node.dtype)).dtype
    return deferred(trace, trace.formulas.along(operation, node, dtype, function, (math.prod(node.shape),)))


_NARROW = tuple(np.dtype(character) for character in "bBhHiI")

_GAINS = {
    "cumsum": (np.dtype(np.float64), np.dtype(np.bool_), *_NARROW),
    "cummax": (np.dtype(np.float64), np.dtype(np.float32), *_NARROW),
    "cummin": (np.dtype(np.float64), np.dtype(np.float32), *_NARROW),
}
"""The dtypes for which a kernel is faster than NumPy.

NumPy's loops over 64-bit integers and, for sums, over float32 are as fast as memory. Its cumulative products are
several times as fast as the kernel, which neither overflows nor underflows in between.
"""


@rule(np.cumsum, method="cumsum")
def _cumsum(trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    node = elements_of(trace, a)
    if node is None or type(axis) is tuple or not over_all(node, axis) or dtype is not None or out is not None:
        return None
    return _cumulative(trace, "cumsum", np.cumsum, a)


def _accumulated(name: str, ufunc: np.ufunc) -> None:
    """Registers ``ufunc.accumulate``, along the only axis."""

    @rule((ufunc, "accumulate"))
    def answer(trace: Trace, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        node = elements_of(trace, array)
        if node is None or not over_all(node, axis) or axis is None or dtype is not None or out is not None:
            return None
        return _cumulative(trace, name, ufunc.accumulate, array)


_accumulated("cumsum", np.add)
_accumulated("cummax", np.maximum)
_accumulated("cummin", np.minimum)


@rule(np.diff)
def _diff(trace: Trace, a: Any, n: Any = 1, axis: Any = -1) -> Any:
    node = elements_of(trace, a)
    if node is None or type(n) is not int or type(axis) is not int or n != 1 or axis not in (-1, 0):
        return None
    if node.dtype == np.bool_:
        return None
    later, earlier = trace.cut(node, slice(1, None)), trace.cut(node, slice(None, -1))
    if later is None or earlier is None:
        return None
    first: Any = deferred(trace, earlier)
    return deferred(trace, later) - first
