"""Sorted elements, the positions that sort them, and distinct values.

NumPy sorts floats, and integers of 32 and 64 bits, with vector instructions: on 4 million float64, that is faster than
the kernel with two workers (58 ms, not 140 ms). Its partition of them is faster still. What the kernels do better is
answered by them: positions that keep the order of equal elements, and integers that can be counted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.nodes import Node, Selection, Source
from fanfold.tracing.rules.answers import arrays_of
from fanfold.tracing.rules.registry import FUNCTIONS, rule
from fanfold.tracing.rules.statistics import over_all
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

Array = npt.NDArray[Any]

NARROW = 1 << 16
"""Integers in a range of at most this size are counted and not sorted."""

_SAMPLE = 256
"""The number of elements that are compared before all are."""

_UNIQUE_HASHES = np.lib.NumpyVersion(np.__version__) >= "2.3.0"
"""Since then, `np.unique` puts integers into a hash table, which takes several times as long as the kernel."""


def is_narrow(trace: Trace, node: Node, a: Any) -> bool:
    """Whether integers can be counted: there are few between the smallest and the largest."""
    if node.dtype.kind not in "biu":
        return False
    if node.dtype.itemsize <= 2:
        return True
    if isinstance(node.shape, Selection):
        return False
    if isinstance(node.operation, Source):
        sample = node.operation.array.flat[:: max(1, node.operation.array.size // _SAMPLE)]
        if int(sample.max()) - int(sample.min()) >= NARROW:
            return False
    low, high = FUNCTIONS[np.min](trace, a), FUNCTIONS[np.max](trace, a)
    if low is None or high is None:
        return False
    trace.know([low._node, high._node], at_once=True)
    return int(high._node.value) - int(low._node.value) < NARROW


def counted(trace: Trace, node: Node, plain: Any) -> tuple[Array, Array] | None:
    """The distinct values in ascending order, and their counts."""
    found = arrays_of(trace, "value_counts", node, plain)
    return None if found is None else (found[0], found[1])


def _values_and_counts(elements: Array) -> Any:
    return np.unique(elements, return_counts=True)


@rule(np.sort)
def _sort(trace: Trace, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    node = elements_of(trace, a)
    if node is None or not over_all(node, axis) or order is not None or not is_narrow(trace, node, a):
        return None
    # Equal integers are the same, so that the kind of sorting does not matter. NumPy checks the name.
    np.sort(np.ones(1, node.dtype), kind=kind, **({} if stable is None else {"stable": stable}))
    found = counted(trace, node, _values_and_counts)
    return None if found is None else np.repeat(*found)


@rule(np.argsort, method="argsort")
def _argsort(trace: Trace, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    node = elements_of(trace, a)
    # Without `stable`, the order of equal elements is that of NumPy's own steps.
    if kind not in ("stable", "mergesort") and (stable is not True or kind is not None):
        return None
    if node is None or not over_all(node, axis) or order is not None or (kind is not None and stable is not None):
        return None
    # NumPy sorts narrow integers by their digits.
    if node.dtype.kind not in "fiu" or node.dtype.itemsize <= 2 or isinstance(node.shape, Selection):
        return None

    def plain(elements: Array) -> Any:
        return np.argsort(elements, axis=None, kind="stable")

    return arrays_of(trace, "argsort", node, plain)


@rule(np.unique)
def _unique(
    trace: Trace,
    ar: Any,
    return_index: Any = False,
    return_inverse: Any = False,
    return_counts: Any = False,
    axis: Any = None,
    *,
    equal_nan: Any = True,
    sorted: Any = True,
) -> Any:
    node = elements_of(trace, ar)
    if node is None or not over_all(node, axis) or node.dtype.kind not in "biu":
        return None
    if any(each is not False for each in (return_index, return_inverse)) or type(return_counts) is not bool:
        return None
    if sorted is not True or type(equal_nan) is not bool:
        return None
    if not return_counts and _UNIQUE_HASHES:
        return arrays_of(trace, "unique", node, np.unique)
    found = counted(trace, node, _values_and_counts) if is_narrow(trace, node, ar) else None
    return found if found is None or return_counts else found[0]
