"""Statistics over all elements or along axes: a kernel gives NumPy's answer."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import deferred
from fanfold.tracing.nodes import Along, Node, Selection, has_no_gaps
from fanfold.tracing.powers import SUMS, quick
from fanfold.tracing.rules.registry import FUNCTIONS, rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import by_warnings, cast, common_shape, elements_of, float_state, kernel, may_defer

Array = npt.NDArray[Any]


def over_all(node: Node, axis: Any) -> bool:
    """Whether an axis or a tuple of axes selects all elements."""
    places = 1 if isinstance(node.shape, Selection) else len(node.shape)
    axes = axis if type(axis) is tuple else (axis,)
    if axis is None or not all(type(each) is int and -places <= each < places for each in axes):
        return axis is None
    return len(axes) == places == len({each % places for each in axes})


@functools.lru_cache(maxsize=1024)
def _result_dtype(func: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """NumPy's dtype for a statistic, found from one element."""
    found: np.dtype[Any] = func(np.ones(1, dtype)).dtype
    return found


def statistic(
    trace: Trace, func: Any, name: str, a: Any, axis: Any, keepdims: Any, dtype: Any = None, **parameters: Any
) -> Any:
    """The node of a kernel's result on all elements, or along axes."""
    node = elements_of(trace, a)
    if node is None or (node.dtype.kind == "c" and name not in ("sum", "mean")):
        return None
    takes_all, chosen = over_all(node, axis), isinstance(node.shape, Selection)
    if node.dtype == np.float16 and _rounds_on_the_way(node, name, takes_all):
        return None
    if takes_all and keepdims not in (False, NOTHING):
        return None
    if type(axis) is tuple and name in _POSITIONS:
        return None
    state = float_state()
    if not by_warnings(state) or (trace.filters_raise() and not trace.has_its_filters()):
        # NumPy raises or warns while it computes this.
        return None
    if chosen and name in _POSITIONS:
        # A sweep counts positions among all elements, not among the selected ones.
        return None
    result = _result_dtype(func, node.dtype)
    if dtype is not None and np.dtype(dtype) != result:
        return None
    if result.num != np.dtype(result.name).num:
        return None
    if not takes_all:
        return _along(trace, func, name, node, axis, keepdims, result, parameters, state)

    def plain(elements: Array) -> Any:
        with np.errstate(**state):
            return func(elements, **parameters)

    if name in SUMS:
        node = quick(trace.formulas, node)
    # NaN can mean that no element was left; NumPy warns of that.
    doubts_nan = chosen or name.startswith("nan")
    key = (kernel(name, **parameters), tuple(state.values()))
    made = trace.formulas.statistic(*key, node, result, plain, doubts_nan)
    raises = name in ("min", "max", "ptp", "nanmin", "nanmax") and _may_be_nothing(node)
    is_told = raises or name in ("nanargmin", "nanargmax") or (doubts_nan and not trace.has_its_filters())
    if is_told and not trace.of_rows:
        # Without elements NumPy raises or warns, and the function may rely on that.
        value = trace.force(made, None, at_once=True)
        if raises and isinstance(node.shape, Selection):
            node.shape.has_some = True
        return value
    return deferred(trace, made)


def _rounds_on_the_way(node: Node, name: str, takes_all: bool) -> bool:
    """Whether NumPy rounds to float16 before it has added up all elements of float16."""
    if name in ("sum", "nansum", "prod", "nanprod"):
        # It does so after each of the loops that it calls: one, if the elements lie one after the other.
        is_flat = isinstance(node.shape, Selection) or len(node.shape) == 1
        return not (takes_all and (is_flat or has_no_gaps(node)))
    return name in _BY_SUMS


_BY_SUMS = frozenset(("nanmean", "std", "var", "nanstd", "nanvar", "norm"))
"""What NumPy computes of float16 from sums of float16, which are infinite beyond 65,504. Its means are of float32."""


def _may_be_nothing(node: Node) -> bool:
    """Whether it is not known that there are elements."""
    return isinstance(node.shape, Selection) and not node.shape.has_some


def _along(
    trace: Trace,
    func: Any,
    name: str,
    node: Node,
    axis: Any,
    keepdims: Any,
    result: np.dtype[Any],
    parameters: dict[str, Any],
    state: dict[str, Any],
) -> Any:
    """The node of a kernel's results along axes."""
    axes = axis if type(axis) is tuple else (axis,)
    if isinstance(node.shape, Selection) or type(keepdims) not in (bool, type(NOTHING)):
        return None
    places = len(node.shape)
    if not axes or not all(type(each) is int and -places <= each < places for each in axes):
        return None
    taken = tuple(sorted({each % places for each in axes}))
    if len(taken) < len(axes) or 0 in node.shape:
        return None
    kept = keepdims is True

    def plain(elements: Array) -> Any:
        with np.errstate(**state):
            return func(elements, axis=axis, keepdims=kept, **parameters)

    operation = Along(kernel(name, **parameters), taken, kept, name.startswith("nan"))
    shape = tuple(1 if each in taken else length for each, length in enumerate(node.shape) if kept or each not in taken)
    if node.order is not None and sum(length > 1 for length in shape) > 1:
        # The functions differ in the layout of their results.
        return None
    made = trace.formulas.along(operation, node, result, plain, shape)
    if name in ("nanargmin", "nanargmax") or (operation.doubts_nan and not trace.has_its_filters()):
        # As above.
        return trace.force(made, f"np.{name} of what may be nothing", at_once=True)
    return deferred(trace, made)


_POSITIONS = ("argmin", "argmax", "nanargmin", "nanargmax")

NOTHING = np._NoValue
REAL = (int, float)


def _reduction(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic that NumPy computes in a dtype that the caller can choose."""

    @rule(func, method=method)
    def answer(
        trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False
    ) -> Any:
        return None if out is not None else statistic(trace, func, name, a, axis, keepdims, dtype)


def _plain_reduction(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic in the elements' own dtype."""

    @rule(func, method=method)
    def answer(trace: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        return None if out is not None else statistic(trace, func, name, a, axis, keepdims)


def _spread(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic with `ddof`, which the array API calls `correction`."""

    @rule(func, method=method)
    def answer(
        trace: Trace,
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        correction: Any = NOTHING,
    ) -> Any:
        if correction is not NOTHING and ddof == 0:
            ddof, correction = correction, NOTHING
        if out is not None or correction is not NOTHING or type(ddof) not in REAL:
            return None
        return statistic(trace, func, name, a, axis, keepdims, dtype, ddof=ddof)


for _name in ("sum", "prod", "mean"):
    _reduction(getattr(np, _name), _name, method=_name)
    _reduction(getattr(np, f"nan{_name}"), f"nan{_name}")
for _name in ("min", "max", "any", "all", "argmin", "argmax"):
    _plain_reduction(getattr(np, _name), _name, method=_name)
for _name in ("ptp", "nanmin", "nanmax", "nanargmin", "nanargmax"):
    _plain_reduction(getattr(np, _name), _name)
for _name in ("std", "var"):
    _spread(getattr(np, _name), _name, method=_name)
    _spread(getattr(np, f"nan{_name}"), f"nan{_name}")


if isinstance(np.count_nonzero(np.ones(1)), np.generic):
    # Older versions return a Python integer, which cannot be deferred: there NumPy computes it.
    _plain_reduction(np.count_nonzero, "count_nonzero")


@rule(np.linalg.norm)
def _norm(trace: Trace, x: Any, ord: Any = None, axis: Any = None) -> Any:
    node = elements_of(trace, x)
    if node is None or node.dtype.kind != "f" or axis is not None or (ord is not None and len(_shape(node)) != 1):
        return None
    # For an empty array, NumPy returns a largest value, 0, only since 2.3.
    if ord not in (None, 1, 2, np.inf) or (ord == np.inf and isinstance(node.shape, Selection)):
        return None
    return statistic(trace, np.linalg.norm, "norm", x, None, False, ord=2 if ord is None else ord)


def _shape(node: Node) -> tuple[int, ...]:
    return (1,) if isinstance(node.shape, Selection) else node.shape


@rule(np.average)
def _average(
    trace: Trace, a: Any, axis: Any = None, weights: Any = None, returned: Any = False, *, keepdims: Any = NOTHING
) -> Any:
    if keepdims not in (False, NOTHING) or type(returned) is not bool or (weights is None and returned):
        return None
    return FUNCTIONS[np.mean](trace, a, axis) if weights is None else _weighted(trace, a, axis, weights, returned)


def _weighted(trace: Trace, a: Any, axis: Any, weights: Any, returned: bool) -> Any:
    """An average with weights that are a formula too."""
    node, heavy = elements_of(trace, a), elements_of(trace, weights)
    if node is None or heavy is None or not over_all(node, axis) or common_shape(node, heavy) is None:
        return None
    if node.dtype.kind not in "biuf" or heavy.dtype.kind not in "biuf" or not may_defer(trace, float_state()):
        return None
    if np.float16 in (node.dtype, heavy.dtype):
        # NumPy's own sums of float16 are rounded.
        return None
    dtypes = (node.dtype, heavy.dtype) if node.dtype.kind == "f" else (node.dtype, heavy.dtype, np.float64)
    operands = [cast(trace, each, np.result_type(*dtypes)) for each in (node, heavy)]
    if operands[0] is None or operands[1] is None:
        return None
    values: Any = deferred(trace, operands[0])
    scales: Any = deferred(trace, operands[1])
    total, scale = (values * scales).sum(), scales.sum()
    # One sweep for both. Weights that sum to zero are an error of NumPy's.
    trace.know([total._node, scale._node], at_once=True)
    if scale._node.value == 0.0:
        return None
    return (total / scale, scale) if returned else total / scale
