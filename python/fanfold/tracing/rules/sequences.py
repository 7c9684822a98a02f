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
    part = trace.formulas.cut(node, slice(key % length, key % length + 1))
    if part is None:
        return None
    return deferred(trace, trace.formulas.statistic(kernel("max"), None, part, node.dtype, np.max))


@rule(np.cumsum, method="cumsum")
def _cumsum(trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    node = elements_of(trace, a)
    if node is None or isinstance(node.shape, Selection) or type(axis) is tuple or not over_all(node, axis):
        return None
    if dtype is not None or out is not None or node.dtype.kind not in "fiu":
        return None
    operation = Along(kernel("cumsum"), tuple(range(len(node.shape))), False, False)
    shape = (math.prod(node.shape),)
    return deferred(
        trace, trace.formulas.along(operation, node, np.cumsum(np.ones(1, node.dtype)).dtype, np.cumsum, shape)
    )


@rule(np.diff)
def _diff(trace: Trace, a: Any, n: Any = 1, axis: Any = -1) -> Any:
    node = elements_of(trace, a)
    if node is None or type(n) is not int or type(axis) is not int or n != 1 or axis not in (-1, 0):
        return None
    if node.dtype == np.bool_:
        return None
    later, earlier = trace.formulas.cut(node, slice(1, None)), trace.formulas.cut(node, slice(None, -1))
    if later is None or earlier is None:
        return None
    first: Any = deferred(trace, earlier)
    return deferred(trace, later) - first
