"""The rules for NumPy's functions on traced arrays: which functions extend a formula, and how.

If it is not certain that a formula gives the same result, NumPy computes it on the elements. A rule then returns
`None`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy._core import umath

from fanfold.tracing.arrays import Deferred, DeferredArray, deferred, takes
from fanfold.tracing.fallback import plainly, read
from fanfold.tracing.nodes import Along, Node, Selection
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import (
    by_warnings,
    cast,
    common_shape,
    converted,
    elements_of,
    float_state,
    kernel,
    may_defer,
    operand_of,
    product,
    ufunc_node,
)

Array = npt.NDArray[Any]

# The ufunc behind `np.clip` has no public name and no type stubs.
_CLIP: Any = vars(umath)["clip"]


# ---- selections ----


def _mask(trace: Trace, node: Node, key: DeferredArray) -> Node | None:
    mask = key._formula()
    if mask is None or mask.dtype != np.bool_ or isinstance(mask.shape, Selection) or mask.shape != node.shape:
        return None
    return mask


def chosen(trace: Trace, node: Node, key: DeferredArray) -> Deferred | None:
    """``values[mask]``"""
    mask = _mask(trace, node, key)
    return None if mask is None else deferred(trace, trace.formulas.select(mask, node))


def replaced(trace: Trace, node: Node, key: DeferredArray, value: Any) -> Node | None:
    """The node of the values after ``values[mask] = number``."""
    mask, operand = _mask(trace, node, key), operand_of(trace, value)
    if mask is None or operand is None or (isinstance(operand, Node) and not operand.is_number):
        return None
    number = converted(trace, operand, node.dtype)
    return None if number is None else trace.formulas.apply("where", (mask, number, node), node.dtype, node.shape)


# ---- functions ----


Rule = Callable[..., Any]

FUNCTIONS: dict[Any, Rule] = {}
"""The rules of NumPy's functions. A rule gets the trace and the arguments; it returns None for arguments that it does
not support."""

METHODS: dict[str, Rule] = {}
"""The methods that correspond to these functions."""


def function(trace: Trace | None, func: Any, args: Any, kwargs: Any) -> Any:
    """Handles a function's call, as ``__array_function__`` gets it."""
    done = _ruled(trace, func, args, kwargs)
    if done is not None:
        return done
    module = str(getattr(func, "__module__", "numpy")).replace("numpy", "np", 1)
    name = f"{module}.{getattr(func, '__name__', func)}"
    return plainly(trace, func, name, args, kwargs, func in _READERS and "overwrite_input" not in kwargs)


def _ruled(trace: Trace | None, func: Any, args: Any, kwargs: Any) -> Any:
    """The result of the function's rule; None if there is no rule, or if the rule does not support the arguments."""
    rule = FUNCTIONS.get(func)
    if rule is None or trace is None or not trace.active:
        return None
    try:
        return rule(trace, *args, **kwargs)
    except TypeError:  # arguments that the rule does not know
        return None


_READERS = frozenset({
    np.sum, np.prod, np.mean, np.std, np.var, np.min, np.max, np.ptp, np.any, np.all, np.argmin, np.argmax,
    np.average, np.median, np.percentile, np.quantile, np.nansum, np.nanprod, np.nanmean, np.nanstd, np.nanvar,
    np.nanmin, np.nanmax, np.nanargmin, np.nanargmax, np.nanmedian, np.nanpercentile, np.nanquantile, np.histogram,
    np.cumsum, np.cumprod, np.sort, np.argsort, np.unique, np.count_nonzero, np.bincount, np.searchsorted, np.diff,
    np.dot, np.vdot, np.inner, np.interp, np.corrcoef, np.cov, np.allclose, np.array_equal, np.isclose,
    np.concatenate, np.where, np.clip, np.argwhere, np.nonzero, np.flatnonzero, np.linalg.norm,
})  # fmt: skip
"""Functions that neither write to an array nor return a view of it."""


def _rule(*functions: Any, method: str | None = None) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(functions, rule))
        if method is not None:
            METHODS[method] = functools.partial(_called, functions[0], method)
        return rule

    return register


def _called(func: Any, method: str, self: Any, *args: Any, **kwargs: Any) -> Any:
    """Handles a method's call by the function's rule.

    Without a rule the method itself is called, because the function takes other arguments.
    """
    # The methods do not take `correction`, the array API's name for `ddof`.
    done = None if "correction" in kwargs else _ruled(self._trace, func, (self, *args), kwargs)
    if done is not None:
        return done

    def plain(array: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(array, method)(*args, **kwargs)

    return plainly(self._trace, plain, f"np.{func.__name__}", (self, *args), kwargs, func in _READERS)


def _over_all(node: Node, axis: Any) -> bool:
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


def _statistic(
    trace: Trace, func: Any, name: str, a: Any, axis: Any, keepdims: Any, dtype: Any = None, **parameters: Any
) -> Any:
    """The node of a kernel's result on all elements, or along axes."""
    node = elements_of(trace, a)
    if node is None or (node.dtype.kind == "c" and name not in ("sum", "mean")):
        return None
    over_all, chosen = _over_all(node, axis), isinstance(node.shape, Selection)
    if over_all and keepdims not in (False, _NOTHING):
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
    if not over_all:
        return _along(trace, func, name, node, axis, keepdims, result, parameters, state)

    def plain(elements: Array) -> Any:
        with np.errstate(**state):
            return func(elements, **parameters)

    # NaN can mean that no element was left; NumPy warns of that.
    doubts_nan = chosen or name.startswith("nan")
    key = (kernel(name, **parameters), tuple(state.values()))
    made = trace.formulas.statistic(*key, node, result, plain, doubts_nan)
    raises = (chosen and name in ("min", "max", "ptp", "nanmin", "nanmax")) or name in ("nanargmin", "nanargmax")
    if raises or (doubts_nan and not trace.has_its_filters()):
        # Without elements NumPy raises or warns, and the function may rely on that.
        return trace.force(made, f"np.{name} of what may be nothing", at_once=True)
    return deferred(trace, made)


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
    if isinstance(node.shape, Selection) or type(keepdims) not in (bool, type(_NOTHING)):
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
    made = trace.formulas.along(operation, node, result, plain, shape)
    if name in ("nanargmin", "nanargmax") or (operation.doubts_nan and not trace.has_its_filters()):
        # As above.
        return trace.force(made, f"np.{name} of what may be nothing", at_once=True)
    return deferred(trace, made)


_POSITIONS = ("argmin", "argmax", "nanargmin", "nanargmax")

_NOTHING = np._NoValue
_REAL = (int, float)


def _reduction(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic that NumPy computes in a dtype that the caller can choose."""

    @_rule(func, method=method)
    def rule(trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        return None if out is not None else _statistic(trace, func, name, a, axis, keepdims, dtype)


def _plain_reduction(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic in the elements' own dtype."""

    @_rule(func, method=method)
    def rule(trace: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        return None if out is not None else _statistic(trace, func, name, a, axis, keepdims)


def _spread(func: Any, name: str, method: str | None = None) -> None:
    """Registers a statistic with `ddof`, which the array API calls `correction`."""

    @_rule(func, method=method)
    def rule(
        trace: Trace,
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        correction: Any = _NOTHING,
    ) -> Any:
        if correction is not _NOTHING and ddof == 0:
            ddof, correction = correction, _NOTHING
        if out is not None or correction is not _NOTHING or type(ddof) not in _REAL:
            return None
        return _statistic(trace, func, name, a, axis, keepdims, dtype, ddof=ddof)


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


def _order_statistic(func: Any, name: str) -> None:
    """Registers a median function."""

    @_rule(func)
    def rule(
        trace: Trace, a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False
    ) -> Any:
        return None if out is not None or overwrite_input else _statistic(trace, func, name, a, axis, keepdims)


def _quantile(func: Any, name: str) -> None:
    """Registers quantiles or percentiles. A single number is deferred; an array of several is computed at once."""

    @_rule(func)
    def rule(
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
        if out is not None or overwrite_input or weights is not None or keepdims not in (False, _NOTHING):
            return None
        if type(method) is not str or not _are_parts(q):
            return None
        node = elements_of(trace, a)
        if (
            node is None
            or not _over_all(node, axis)
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
    _order_statistic(getattr(np, f"{_prefix}median"), f"{_prefix}median")
    for _name in ("quantile", "percentile"):
        _quantile(getattr(np, f"{_prefix}{_name}"), f"{_prefix}{_name}")


@_rule(np.cumsum, method="cumsum")
def _cumsum(trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    node = elements_of(trace, a)
    if node is None or isinstance(node.shape, Selection) or type(axis) is tuple or not _over_all(node, axis):
        return None
    if dtype is not None or out is not None or node.dtype.kind not in "fiu":
        return None
    operation = Along(kernel("cumsum"), tuple(range(len(node.shape))), False, False)
    shape = (math.prod(node.shape),)
    return deferred(
        trace, trace.formulas.along(operation, node, np.cumsum(np.ones(1, node.dtype)).dtype, np.cumsum, shape)
    )


@_rule(np.average)
def _average(trace: Trace, a: Any, axis: Any = None) -> Any:
    return FUNCTIONS[np.mean](trace, a, axis)


@_rule(np.dot, np.vdot, np.inner, method="dot")
def _dot(trace: Trace, a: Any, b: Any) -> Any:
    node = product(trace, a, b)
    return None if node is None else deferred(trace, node)


@_rule(np.einsum)
def _einsum(trace: Trace, subscripts: Any, *operands: Any) -> Any:
    if not isinstance(subscripts, str) or len(operands) != 2:
        return None
    inputs, _, output = subscripts.replace(" ", "").partition("->")
    first, _, second = inputs.partition(",")
    # With and without an arrow, einsum sums over an index that occurs twice and is not in the output.
    return _dot(trace, *operands) if len(first) == 1 and first.isalpha() and first == second and not output else None


@_rule(np.linalg.norm)
def _norm(trace: Trace, x: Any, ord: Any = None, axis: Any = None) -> Any:
    node = elements_of(trace, x)
    if node is None or node.dtype.kind != "f" or axis is not None or (ord is not None and len(_shape(node)) != 1):
        return None
    # For an empty array, NumPy returns a largest value, 0, only since 2.3.
    if ord not in (None, 1, 2, np.inf) or (ord == np.inf and isinstance(node.shape, Selection)):
        return None
    return _statistic(trace, np.linalg.norm, "norm", x, None, False, ord=2 if ord is None else ord)


def _shape(node: Node) -> tuple[int, ...]:
    return (1,) if isinstance(node.shape, Selection) else node.shape


@_rule(np.where)
def _where(trace: Trace, condition: Any, x: Any, y: Any) -> Any:
    mask = elements_of(trace, condition)
    operands = [operand_of(trace, each) for each in (x, y)]
    if mask is None or mask.dtype != np.bool_ or any(each is None for each in operands):
        return None
    samples = [np.ones((), each.dtype)[()] if isinstance(each, Node) else each for each in operands]
    try:
        dtype = np.result_type(*samples)
    except (TypeError, OverflowError):
        return None
    if not takes(dtype):
        return None
    nodes = [converted(trace, each, dtype) for each in operands]
    if nodes[0] is None or nodes[1] is None:
        return None
    shape = common_shape(mask, nodes[0], nodes[1])
    if shape is None:
        return None
    return deferred(trace, trace.formulas.apply("where", (mask, nodes[0], nodes[1]), dtype, shape))


@_rule(np.clip)
def _clip(
    trace: Trace,
    a: Any,
    a_min: Any = _NOTHING,
    a_max: Any = _NOTHING,
    *,
    min: Any = _NOTHING,
    max: Any = _NOTHING,
) -> Any:
    if (a_min is _NOTHING) != (a_max is _NOTHING) or (a_min is not _NOTHING and (min, max) != (_NOTHING, _NOTHING)):
        return None
    low, high = (min, max) if a_min is _NOTHING else (a_min, a_max)
    low, high = (None if each is _NOTHING else each for each in (low, high))
    if elements_of(trace, a) is None or (low is None and high is None):
        return None
    if low is None:
        node = ufunc_node(trace, np.minimum, (a, high))
    elif high is None:
        node = ufunc_node(trace, np.maximum, (a, low))
    else:
        node = ufunc_node(trace, _CLIP, (a, low, high))
    return None if node is None else deferred(trace, node)


def _clip_method(self: Any, min: Any = None, max: Any = None, **kwargs: Any) -> Any:
    return _called(np.clip, "clip", self, min, max, **kwargs)


METHODS["clip"] = _clip_method


@_rule(np.nan_to_num)
def _nan_to_num(trace: Trace, x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    node = elements_of(trace, x)
    numbers = (nan, *(each for each in (posinf, neginf) if each is not None))
    if node is None or node.dtype.kind != "f" or copy is not True or any(type(each) not in _REAL for each in numbers):
        return None
    limits = np.finfo(node.dtype)
    changes = (
        (ufunc_node(trace, np.isnan, (x,)), nan),
        (ufunc_node(trace, np.equal, (x, np.inf)), limits.max if posinf is None else posinf),
        (ufunc_node(trace, np.equal, (x, -np.inf)), limits.min if neginf is None else neginf),
    )
    result = node
    for mask, number in changes:
        operand = converted(trace, float(number), node.dtype)
        if mask is None or operand is None:
            return None
        result = trace.formulas.apply("where", (mask, operand, result), node.dtype, node.shape)
    return deferred(trace, result)


@_rule(np.diff)
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


def _astype(self: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    if trace is not None and trace.active and len(args) == 1 and not kwargs:
        node, target, state = elements_of(trace, self), np.dtype(args[0]), float_state()
        if node is not None and node.dtype != target and may_defer(trace, state):
            made = cast(trace, node, target)
            if made is not None:
                if node.dtype.kind in "fc":
                    trace.may_warn(made, "cast", state)
                return deferred(trace, made)
    if trace is not None:
        trace.because("astype")
    plain = read(trace, self, "astype", kwargs.get("copy", True) is not False)
    return plain.astype(*args, **kwargs)


METHODS["astype"] = _astype


def _copy(self: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    simple = trace is not None and trace.active and not args and not kwargs
    node = elements_of(trace, self) if simple else None
    if type(self) is DeferredArray and node is not None:
        return deferred(trace, node)
    return read(trace, self, "copy").copy(*args, **kwargs)


METHODS["copy"] = _copy
