"""The rules of the NumPy functions that make arrays of arrays: they do not dispatch on their first argument."""

from typing import Any

import numpy as np

from fanfold.tracing.arrays import DeferredArray, Traced, deferred
from fanfold.tracing.nodes import is_repeated
from fanfold.tracing.recognised.register import Recognised, rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of


@rule("numpy", "asarray", "asanyarray", keeps=True)
def _asarray(trace: Trace, of: Recognised, a: Any, dtype: Any = None, *, copy: Any = None) -> Any:
    if not _is_alike(a, dtype) or copy is True:
        return None
    return a


@rule("numpy", "ascontiguousarray", keeps=True)
def _ascontiguousarray(trace: Trace, of: Recognised, a: Any, dtype: Any = None) -> Any:
    if not _is_alike(a, dtype):
        return None
    if type(a) is not DeferredArray:
        return a if a.flags.c_contiguous else None
    # A slice of a formula would be a view of elements that are not computed yet.
    node = a._formula()
    return a if node is not None and node.order is None and a._parent is None and not a._is_input else None


@rule("numpy", "array", keeps=True)
def _array(trace: Trace, of: Recognised, object: Any, dtype: Any = None, *, copy: Any = True) -> Any:
    if not _is_alike(object, dtype):
        return None
    node = elements_of(trace, object)
    if copy is not True:
        return object if copy is None or copy is False else None
    return None if node is None or is_repeated(node) else deferred(trace, node)


def _is_alike(value: Any, dtype: Any) -> bool:
    """Whether an array has this dtype already."""
    if type(value) is not Traced and type(value) is not DeferredArray:
        return False
    try:
        return dtype is None or np.dtype(dtype) == value.dtype
    except TypeError:
        return False
