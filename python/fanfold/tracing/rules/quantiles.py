"""Medians, quantiles and percentiles."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import Deferred, DeferredArray, deferred
from fanfold.tracing.nodes import Selection
from fanfold.tracing.operators import OF_UFUNCS
from fanfold.tracing.rules.registry import FUNCTIONS, rule
from fanfold.tracing.rules.statistics import NOTHING, REAL, over_all, statistic
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of, kernel

Array = npt.NDArray[Any]


class Several(np.ndarray[Any, Any]):
    """Deferred numbers as an array of objects.

    Python's operators compute with them one by one. Everything else ends the trace: some of NumPy's functions leave
    objects as they are (`np.nan_to_num`).
    """

    _trace: Trace | None = None

    def __array_finalize__(self, of: Any) -> None:
        self._trace = getattr(of, "_trace", None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if self._trace is not None and (method != "__call__" or kwargs or ufunc not in OF_UFUNCS):
            self._trace.because(f"np.{ufunc.__name__} of several quantiles")
        if self._trace is not None and any(issubclass(type(each), DeferredArray) for each in inputs):
            # It would be taken for one item, whatever its shape.
            self._trace.because("an array with several quantiles")
        given = [_boxed(each) for each in inputs]
        made = getattr(ufunc, method)(*given, **kwargs)
        if type(made) is not np.ndarray:
            return made
        found = made.view(Several)
        found._trace = self._trace
        return found

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if self._trace is not None:
            self._trace.because(f"np.{getattr(func, '__name__', func)} of several quantiles")
        return super().__array_function__(func, types, args, kwargs)


def _boxed(value: Any) -> Any:
    """An operand for a loop over objects."""
    if type(value) is Several:
        return value.view(np.ndarray)
    if not issubclass(type(value), Deferred):
        return value
    box = np.empty((), object)
    box[()] = value
    return box


def _order_statistic(func: Any, name: str) -> None:
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
        if trace.of_rows and type(q) in (list, tuple) and type(method) is str:
            return _several(func, trace, a, q, axis, method) if all(type(each) in REAL for each in q) else None
        node = elements_of(trace, a)
        if node is None or not over_all(node, axis) or node.dtype.kind not in "fiu" or type(method) is not str:
            return None
        parts = _parts(q, node.dtype)
        if parts is None or (_OTHER_NEIGHBOUR and method == _CLOSEST):
            return None
        if _OTHER_PLACE and type(parts) is float and node.dtype.char in "ef":
            return None
        result = _result_dtype(func, q if np.ndim(q) == 0 else tuple(q), method, node.dtype)
        if result is None:
            return None
        # At the ends, given by integers, NumPy returns elements as they are and does not subtract infinities.
        whole = name.endswith("quantile") and np.asarray(q).dtype.kind in "iu"
        kind = "lower" if whole and (method == "linear" or result.kind != "f") else method
        try:
            asked = kernel(name, q=parts, method=kind)
        except (TypeError, ValueError):
            return None

        def plain(elements: Array) -> Any:
            return func(elements, q, method=method)

        chosen = node.shape if isinstance(node.shape, Selection) else None
        # NaN can mean that no element was left; NumPy raises an error or warns.
        doubts_nan = chosen is not None or name.startswith("nan")
        made = trace.formulas.statistic(asked, result, node, result, plain, doubts_nan)
        if doubts_nan and trace.filters_raise() and not trace.has_its_filters():
            return None
        raises = chosen is not None and not chosen.has_some and not name.startswith("nan")
        is_certain = trace.of_rows or (not raises and (trace.has_its_filters() or not doubts_nan))
        if type(parts) is float and is_certain:
            return deferred(trace, made)
        value = trace.force(made, None, at_once=True)
        if chosen is not None and not np.isnan(value).any():
            chosen.has_some = True
        if type(parts) is float:
            return deferred(trace, made)
        # A copy, because other functions with the same request must not see what this function writes to it. Without
        # elements, NumPy's result can be a number.
        return value.astype(result) if value.ndim else value


@functools.lru_cache(maxsize=1024, typed=True)
def _result_dtype(func: Any, q: Any, method: str, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """NumPy's dtype for these quantiles, found from two elements; None if NumPy refuses them."""
    try:
        found: np.dtype[Any] = func(np.ones(2, dtype), q, method=method).dtype
    except (TypeError, ValueError):
        return None
    return found


def _several(func: Any, trace: Trace, a: Any, q: Any, axis: Any, method: str) -> Any:
    """Several quantiles of a row, as an array of deferred numbers."""
    node = elements_of(trace, a)
    numbers = [FUNCTIONS[func](trace, a, each, axis, method=method) for each in q]
    if node is None or not numbers or any(each is None for each in numbers):
        return None
    if func(np.ones(2, node.dtype), q, method=method).dtype != numbers[0].dtype:
        # NumPy computes several quantiles of narrower floats in float64.
        return None
    array = np.empty(len(numbers), object).view(Several)
    array._trace = trace
    for place, number in enumerate(numbers):
        array[place] = number
    return array


_NUMPY = np.lib.NumpyVersion(np.__version__)
_CLOSEST = "closest_observation"

# Older NumPy versions compute some quantiles differently from the kernel: before 2.4 the position of a single one is
# computed in the dtype of the elements, and before 2.1 one method takes the other neighbour.
_OTHER_PLACE, _OTHER_NEIGHBOUR = _NUMPY < "2.4.0", _NUMPY < "2.1.0"


def _parts(q: Any, dtype: np.dtype[Any]) -> float | tuple[float, ...] | None:
    """The quantiles as a kernel takes them: a number or a flat sequence of numbers; None for anything else."""
    if isinstance(q, np.float64 | np.integer) and dtype.char not in "ef":
        # With narrower floats, NumPy's scalars have a result in float64, where Python's numbers have one in theirs.
        return float(q)
    if type(q) is np.ndarray:
        return tuple(q.tolist()) if q.ndim == 1 and (q.dtype == np.float64 or q.dtype.kind in "iu") else None
    if type(q) in REAL:
        return float(q)
    return tuple(map(float, q)) if type(q) in (list, tuple) and all(type(each) in REAL for each in q) else None


for _prefix in ("", "nan"):
    _order_statistic(getattr(np, f"{_prefix}median"), f"{_prefix}median")
    for _name in ("quantile", "percentile"):
        _quantile(getattr(np, f"{_prefix}{_name}"), f"{_prefix}{_name}")
