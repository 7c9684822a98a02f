"""Medians, quantiles and percentiles."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import deferred
from fanfold.tracing.nodes import Selection
from fanfold.tracing.rules.registry import FUNCTIONS, rule
from fanfold.tracing.rules.statistics import NOTHING, over_all, statistic
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of, kernel

Array = npt.NDArray[Any]


def _orderstatistic(func: Any, name: str) -> None:
    """Registers a median function."""

    @rule(func)
    def answer(
        trace: Trace, a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False
    ) -> Any:
        return None if out is not None or overwrite_input else statistic(trace, func, name, a, axis, keepdims)


def _quantile(func: Any, name: str) -> None:
    """Registers quantiles or percentiles. A single number is deferred; an array of several is computed at once."""

    @rule(func)
    def answer(
        trace: Trace,
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: Any = False,
        method: Any = "linear",
        keepdims: Any = False,
        *,
        weights: Any = None,
    ) -> Any:
        if out is not None or overwrite_input or weights is not None or keepdims not in (False, NOTHING):
            return None
        if type(method) is not str:
            return None
        if trace.of_rows and type(q) in (list, tuple) and all(type(each) in (int, float) for each in q):
            return _several(func, trace, a, q, axis, method)
        if trace.of_rows and type(q) is int:
            # Python's integers and floats adopt the dtype of the elements alike.
            q = float(q)
        if not _are_parts(q):
            return None
        node = elements_of(trace, a)
        if (
            node is None
            or not over_all(node, axis)
            or node.dtype.kind not in "fiu"
            or isinstance(node.shape, Selection)
        ):
            # If a mask leaves no elements, NumPy raises an error, and the function may rely on that.
            return None
        if (_OTHER_PLACE and type(q) is float and node.dtype == np.float32) or (
            _OTHER_NEIGHBOUR and method == _CLOSEST
        ):
            return None
        try:
            asked = kernel(name, q=q if type(q) is float else tuple(q), method=method)
        except (TypeError, ValueError):
            return None

        def plain(elements: Array) -> Any:
            return func(elements, q, method=method)

        made = trace.formulas.statistic(asked, None, node, plain(np.ones(2, node.dtype)).dtype, plain)
        if type(q) is float:
            return deferred(trace, made)
        # The array is copied, because other functions with the same request must not see what this function writes to
        # it.
        return trace.force(made, f"np.{name} of several").copy()


def _several(func: Any, trace: Trace, a: Any, q: Any, axis: Any, method: str) -> Any:
    """Several quantiles as an array of objects, which are deferred numbers.

    NumPy computes with these objects one by one, by their operators; where it asks for a value, the trace ends.
    """
    node = elements_of(trace, a)
    numbers = [FUNCTIONS[func](trace, a, each, axis, method=method) for each in q]
    if node is None or not numbers or any(each is None for each in numbers):
        return None
    if func(np.ones(2, node.dtype), q, method=method).dtype != numbers[0].dtype:
        # NumPy computes several quantiles of float32 in float64.
        return None
    array = np.empty(len(numbers), object)
    for place, number in enumerate(numbers):
        array[place] = number
    return array


_NUMPY = np.lib.NumpyVersion(np.__version__)
_CLOSEST = "closest_observation"

# Older NumPy versions compute some quantiles differently from the kernel: before 2.4 the position of a single one is
# computed in the dtype of the elements, and before 2.1 one method takes the other neighbour.
_OTHER_PLACE, _OTHER_NEIGHBOUR = _NUMPY < "2.4.0", _NUMPY < "2.1.0"


def _are_parts(q: Any) -> bool:
    """Whether a kernel takes these quantiles: a number or a flat sequence of numbers, all floats."""
    if type(q) is np.ndarray:
        return q.dtype == np.float64 and q.ndim == 1
    return type(q) is float or (type(q) in (list, tuple) and all(type(each) is float for each in q))


for _prefix in ("", "nan"):
    _orderstatistic(getattr(np, f"{_prefix}median"), f"{_prefix}median")
    for _name in ("quantile", "percentile"):
        _quantile(getattr(np, f"{_prefix}{_name}"), f"{_prefix}{_name}")
