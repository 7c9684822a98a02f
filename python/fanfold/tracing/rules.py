"""What NumPy's functions mean to traced arrays: which of them extend a formula, and how.

The rule of rules: what is not certain to mean the same is done by NumPy, on the elements. A rule returns `None` then.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.tracing.arrays import Deferred, DeferredNumber, Trace, Traced, takes
from fanfold.tracing.formulas import Node, Selection, Shape

Array = npt.NDArray[Any]

_WEAK = (int, float, complex)

# The ufunc behind `np.clip` has no public name, and NumPy 1, with which nothing is traced, another place for it.
_CLIP: Any = getattr(getattr(np, "_core", None), "umath", np).clip


# ---- how NumPy is called where a formula ends ----


def lend(trace: Trace | None, value: Any, reason: str = "a NumPy function", only_reads: bool = True) -> Any:
    """The same with real arrays in place of traced ones; for good, unless it is for somebody who only reads them."""
    kind = type(value)
    if kind is Traced:
        return value.view(np.ndarray)
    if kind is Deferred or kind is DeferredNumber:
        return value._lend(reason) if only_reads else value._realise(reason)
    if kind is tuple or kind is list:
        return kind(lend(trace, each, reason, only_reads) for each in value)
    if kind is dict:
        return {key: lend(trace, each, reason, only_reads) for key, each in value.items()}
    return value


def _plainly(trace: Trace | None, call: Callable[..., Any], name: str, args: Any, kwargs: Any, only_reads: bool) -> Any:
    """NumPy's own answer."""
    if trace is not None:
        trace.because(name)
    targets: dict[int, Deferred] = {}
    out = kwargs.get("out")
    if out is not None:
        outs = out if isinstance(out, tuple) else (out,)
        real = []
        for each in outs:
            if type(each) is Deferred:
                array = each._realise(f"{name} with out=")
                targets[id(array)] = each
                real.append(array)
            else:
                real.append(lend(trace, each, name))
        kwargs = {**kwargs, "out": tuple(real) if isinstance(out, tuple) else real[0]}
    given = lend(trace, args, name, only_reads)
    named = {key: each if key == "out" else lend(trace, each, name, only_reads) for key, each in kwargs.items()}
    result = call(*given, **named)
    return targets.get(id(result), result)


# ---- ufuncs ----


def ufunc(trace: Trace | None, function: np.ufunc, method: str, inputs: Any, kwargs: Any) -> Any:
    """A ufunc's call, as ``__array_ufunc__`` gets it."""
    name = function.__name__ if method == "__call__" else f"{function.__name__}.{method}"
    if trace is not None and trace.active:
        if method == "__call__":
            out = kwargs.get("out")
            if not kwargs:
                node = _ufunc_node(trace, function, inputs)
                if node is not None:
                    return trace.defer(node)
            elif len(kwargs) == 1 and out is not None and len(out) == 1 and type(out[0]) is Deferred:
                node = _ufunc_node(trace, function, inputs)
                target = out[0]
                same = node is not None and (node.dtype, node.shape) == (target.dtype, target._node.shape)
                if node is not None and same and target._become(node):
                    return target
        elif method == "reduce" and not kwargs and len(inputs) == 1 and function in _REDUCE:
            return METHODS[_REDUCE[function]](inputs[0], axis=0)
    return _plainly(trace, getattr(function, method), name, inputs, kwargs, method != "at")


_REDUCE = {
    np.add: "sum",
    np.multiply: "prod",
    np.minimum: "min",
    np.maximum: "max",
    np.logical_and: "all",
    np.logical_or: "any",
}


def _ufunc_node(trace: Trace, function: np.ufunc, inputs: Any) -> Node | None:
    if function.signature is not None:
        return _product(trace, *inputs) if function in _PRODUCTS else None
    if function.nout != 1:
        return None
    operands = [_operand(trace, each) for each in inputs]
    if any(each is None for each in operands):
        return None
    dtypes = tuple(each.dtype if isinstance(each, Node) else type(each) for each in operands)
    loop = _loop_dtypes(function, dtypes)
    if loop is None or (function is np.power and loop[0].kind in "iu"):
        # Integers to negative powers are an error, which NumPy's loop cannot tell from a thread of ours.
        return None
    state = _float_state()
    if not {"warn", "ignore"}.issuperset(state.values()) or warnings.filters is not trace.filters:
        return None
    nodes = [_converted(trace, each, dtype) for each, dtype in zip(operands, loop, strict=False)]
    if any(each is None for each in nodes):
        return None
    known: tuple[Node, ...] = tuple(each for each in nodes if each is not None)
    shape = _common_shape(known)
    if shape is None:
        return None
    if shape == ():
        return _number_node(trace, function, known, loop[-1], state)
    constants = tuple(each.is_number for each in known)
    strided = _strided(function, loop, constants)
    if strided is None:
        return None
    node = trace.formulas.apply(strided, known, loop[-1], shape)
    if loop[-1].kind in "fciu" and set(state.values()) != {"ignore"}:
        trace.may_warn(node, function.__name__, state)
    return node


def _float_state() -> dict[str, str]:
    """What the function wants to be told of floating-point exceptions: `np.errstate` as it is now."""
    return {**np.geterr()}  # type: ignore[dict-item]


def _number_node(
    trace: Trace, function: np.ufunc, inputs: tuple[Node, ...], dtype: np.dtype[Any], state: Mapping[str, str]
) -> Node:
    """What a ufunc makes of numbers that may not be known yet."""

    def compute(*nodes: Node) -> Any:
        errors = [each.error for each in nodes if each.error is not None]
        if errors:
            raise errors[0]
        with np.errstate(**state):  # type: ignore[arg-type]
            return function(*(each.value[()] if isinstance(each.value, np.ndarray) else each.value for each in nodes))

    return trace.formulas.computed(compute, (function, tuple(state.items())), inputs, dtype)


def _operand(trace: Trace, value: Any) -> Any:
    """A value as a node, a Python number as it is; None for what is foreign."""
    kind = type(value)
    if kind is Traced:
        return value._node()
    if kind is Deferred or kind is DeferredNumber:
        node = value._formula()
        return node if node is not None and value._trace.formulas is trace.formulas else None
    if kind is bool:
        return trace.formulas.number(np.asarray(value))
    if kind in _WEAK:
        return value
    if isinstance(value, np.generic) or (kind is np.ndarray and value.ndim == 0):
        return trace.formulas.number(np.array(value)) if takes(value.dtype) else None
    return None


@functools.lru_cache(maxsize=4096)
def _loop_dtypes(function: np.ufunc, dtypes: tuple[Any, ...]) -> tuple[np.dtype[Any], ...] | None:
    """The dtypes of the loop that NumPy takes, the result's last; None if there is none, or no such blocks."""
    try:
        found = function.resolve_dtypes((*dtypes, None))
    except TypeError:
        return None
    return found if all(takes(dtype) for dtype in found) else None


@functools.lru_cache(maxsize=4096)
def _strided(function: np.ufunc, dtypes: tuple[np.dtype[Any], ...], constants: tuple[bool, ...]) -> Any:
    """The inner loop of a ufunc, or None if it cannot be had without the interpreter."""
    try:
        _, capsule = function._resolve_dtypes_and_context((*dtypes[:-1], None))  # type: ignore[attr-defined]
        strides = [0 if constant else dtype.itemsize for constant, dtype in zip(constants, dtypes, strict=False)]
        function._get_strided_loop(capsule, fixed_strides=(*strides, dtypes[-1].itemsize))  # type: ignore[attr-defined]
        return _core.UfuncLoop(capsule, list(dtypes), list(constants))
    except Exception:  # noqa: BLE001 - this interface of NumPy's is not a promise: without it, NumPy does it itself
        return None


def _converted(trace: Trace, operand: Any, dtype: np.dtype[Any]) -> Node | None:
    """The operand in the dtype that a loop takes."""
    if not isinstance(operand, Node):
        try:
            return trace.formulas.number(np.asarray(operand, dtype))
        except (OverflowError, TypeError, ValueError):
            return None
    if operand.dtype == dtype:
        return operand
    if operand.is_number:
        return trace.formulas.computed(lambda node: node.value.astype(dtype), ("astype", dtype), (operand,), dtype)
    if dtype == np.float64 and operand.dtype.kind in "biuf":
        return trace.formulas.apply("float64", (operand,), dtype, operand.shape)
    if dtype == np.int64 and operand.dtype.kind in "biu" and operand.dtype != np.uint64:
        return trace.formulas.apply("int64", (operand,), dtype, operand.shape)
    return None


def _common_shape(nodes: tuple[Node, ...]) -> Shape | None:
    """The shape of all but numbers; None if they are not of one."""
    shapes = [each.shape for each in nodes if not each.is_number]
    if not shapes:
        return ()
    return shapes[0] if all(each is shapes[0] or each == shapes[0] for each in shapes) else None


def fast_power(base: Deferred, exponent: Any) -> Callable[[Any], Any] | None:
    """The ufunc that ``base ** exponent`` is for a few exponents, as NumPy has it."""
    if type(exponent) not in (int, float) or base.dtype.kind not in "fc":
        return np.square if type(exponent) is int and exponent == 2 and base.dtype.kind in "iu" else None
    return {2: np.square, 0.5: np.sqrt, -1: np.reciprocal, 1: np.positive}.get(exponent)


# ---- selections ----


def _mask(trace: Trace, node: Node, key: Deferred) -> Node | None:
    mask = key._formula()
    if mask is None or mask.dtype != np.bool_ or isinstance(mask.shape, Selection) or mask.shape != node.shape:
        return None
    return mask


def chosen(trace: Trace, node: Node, key: Deferred) -> Deferred | None:
    """``values[mask]``"""
    mask = _mask(trace, node, key)
    return None if mask is None else trace.defer(trace.formulas.select(mask, node))


def replaced(trace: Trace, node: Node, key: Deferred, value: Any) -> Node | None:
    """What ``values[mask] = number`` makes of the values."""
    mask, operand = _mask(trace, node, key), _operand(trace, value)
    if mask is None or operand is None or (isinstance(operand, Node) and not operand.is_number):
        return None
    number = _converted(trace, operand, node.dtype)
    return None if number is None else trace.formulas.apply("where", (mask, number, node), node.dtype, node.shape)


# ---- functions ----


Rule = Callable[..., Any]

FUNCTIONS: dict[Any, Rule] = {}
"""NumPy's functions that have a rule: it gets the trace and the arguments; None says that they are too much for it."""

METHODS: dict[str, Rule] = {}
"""The methods that are such functions."""


def function(trace: Trace | None, func: Any, args: Any, kwargs: Any) -> Any:
    """A function's call, as ``__array_function__`` gets it."""
    rule = FUNCTIONS.get(func)
    if rule is not None and trace is not None and trace.active:
        try:
            done = rule(trace, *args, **kwargs)
        except TypeError:  # arguments that the rule does not know
            done = None
        if done is not None:
            return done
    name = f"np.{getattr(func, '__name__', func)}"
    return _plainly(trace, func, name, args, kwargs, func in _READERS and "overwrite_input" not in kwargs)


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
            METHODS[method] = functools.partial(_called, functions[0])
        return rule

    return register


def _called(func: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    """A method's call, which is the function's: but for its name in NumPy's errors."""
    return function(self._trace, func, (self, *args), kwargs)


def _elements(trace: Trace, value: Any) -> Node | None:
    """The node of an array."""
    node = _operand(trace, value)
    return node if isinstance(node, Node) and not node.is_number else None


def _over_all(node: Node, axis: Any) -> bool:
    """Whether an axis means all elements."""
    one = isinstance(node.shape, Selection) or len(node.shape) == 1
    return axis is None or (one and type(axis) is int and axis in (0, -1))


@functools.lru_cache(maxsize=1024)
def _result_dtype(func: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that NumPy gives a statistic: that of one element."""
    found: np.dtype[Any] = func(np.ones(1, dtype)).dtype
    return found


def _statistic(trace: Trace, func: Any, kernel: str, a: Any, axis: Any, dtype: Any = None, **parameters: Any) -> Any:
    node = _elements(trace, a)
    if node is None or not _over_all(node, axis) or (node.dtype.kind == "c" and kernel not in ("sum", "mean")):
        return None
    chosen = isinstance(node.shape, Selection)
    if chosen and kernel in ("argmin", "argmax"):
        # A sweep numbers the elements that it goes through, not those that are chosen.
        return None
    result = _result_dtype(func, node.dtype)
    if dtype is not None and np.dtype(dtype) != result:
        return None
    if result.num != np.dtype(result.name).num:
        return None
    state = _float_state()

    def plain(elements: Array) -> Any:
        with np.errstate(**state):  # type: ignore[arg-type]
            return func(elements, **parameters)

    key = (_core.Kernel(kernel, **parameters), tuple(state.values()))
    made = trace.formulas.statistic(*key, node, result, plain)
    if chosen and kernel in ("min", "max", "ptp"):
        # Where nothing is chosen NumPy raises an error, and the function may be waiting for it.
        return trace.force(made, f"np.{kernel} of what a mask chooses")
    return trace.defer(made)


_NOTHING = np._NoValue


def _reduction(func: Any, kernel: str, method: str | None = None) -> None:
    @_rule(func, method=method)
    def rule(trace: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        if out is not None or keepdims not in (False, _NOTHING):
            return None
        return _statistic(trace, func, kernel, a, axis, dtype)


def _plain_reduction(func: Any, kernel: str, method: str | None = None) -> None:
    @_rule(func, method=method)
    def rule(trace: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        if out is not None or keepdims not in (False, _NOTHING):
            return None
        return _statistic(trace, func, kernel, a, axis)


def _spread(func: Any, kernel: str, method: str | None = None) -> None:
    @_rule(func, method=method)
    def rule(
        trace: Trace,
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
    ) -> Any:
        if out is not None or keepdims not in (False, _NOTHING) or type(ddof) not in (int, float):
            return None
        return _statistic(trace, func, kernel, a, axis, dtype, ddof=ddof)


_reduction(np.sum, "sum", "sum")
_reduction(np.prod, "prod", "prod")
_reduction(np.mean, "mean", "mean")
for _func, _kernel, _method in (
    (np.min, "min", "min"),
    (np.max, "max", "max"),
    (np.any, "any", "any"),
    (np.all, "all", "all"),
    (np.argmin, "argmin", "argmin"),
    (np.argmax, "argmax", "argmax"),
    (np.ptp, "ptp", None),
):
    _plain_reduction(_func, _kernel, _method)
_spread(np.std, "std", "std")
_spread(np.var, "var", "var")


@_rule(np.average)
def _average(trace: Trace, a: Any, axis: Any = None) -> Any:
    return FUNCTIONS[np.mean](trace, a, axis)


def _product(trace: Trace, a: Any, b: Any) -> Node | None:
    """The scalar product of two vectors."""
    left, right = _elements(trace, a), _elements(trace, b)
    if left is None or right is None or left.dtype.kind != "f" or left.dtype != right.dtype:
        return None
    if _common_shape((left, right)) is None or isinstance(left.shape, Selection) or len(left.shape) != 1:
        return None
    product = _ufunc_node(trace, np.multiply, (a, b))
    if product is None:
        return None
    return trace.formulas.statistic(_core.Kernel("sum"), (), product, product.dtype, np.sum)


_PRODUCTS = tuple(getattr(np, name) for name in ("matmul", "vecdot") if hasattr(np, name))


@_rule(np.dot, np.vdot, np.inner, method="dot")
def _dot(trace: Trace, a: Any, b: Any) -> Any:
    node = _product(trace, a, b)
    return None if node is None else trace.defer(node)


@_rule(np.linalg.norm)
def _norm(trace: Trace, x: Any, ord: Any = None, axis: Any = None) -> Any:
    node = _elements(trace, x)
    if node is None or node.dtype.kind != "f" or axis is not None or (ord is not None and len(_shape(node)) != 1):
        return None
    if ord not in (None, 1, 2, np.inf):
        return None
    return _statistic(trace, np.linalg.norm, "norm", x, None, ord=2 if ord is None else ord)


def _shape(node: Node) -> tuple[int, ...]:
    return (1,) if isinstance(node.shape, Selection) else node.shape


@_rule(np.where)
def _where(trace: Trace, condition: Any, x: Any, y: Any) -> Any:
    mask = _elements(trace, condition)
    operands = [_operand(trace, each) for each in (x, y)]
    if mask is None or mask.dtype != np.bool_ or any(each is None for each in operands):
        return None
    samples = [np.ones((), each.dtype)[()] if isinstance(each, Node) else each for each in operands]
    try:
        dtype = np.result_type(*samples)
    except (TypeError, OverflowError):
        return None
    if not takes(dtype):
        return None
    nodes = [_converted(trace, each, dtype) for each in operands]
    if nodes[0] is None or nodes[1] is None:
        return None
    shape = _common_shape((mask, nodes[0], nodes[1]))
    if shape is None:
        return None
    return trace.defer(trace.formulas.apply("where", (mask, nodes[0], nodes[1]), dtype, shape))


@_rule(np.clip, method="clip")
def _clip(trace: Trace, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = a_min if min is None else min, a_max if max is None else max
    if _elements(trace, a) is None or (low is None and high is None):
        return None
    if low is None:
        return ufunc(trace, np.minimum, "__call__", (a, high), {})
    if high is None:
        return ufunc(trace, np.maximum, "__call__", (a, low), {})
    node = _ufunc_node(trace, _CLIP, (a, low, high))
    return None if node is None else trace.defer(node)


@_rule(np.diff)
def _diff(trace: Trace, a: Any, n: Any = 1, axis: Any = -1) -> Any:
    node = _elements(trace, a)
    if node is None or type(n) is not int or type(axis) is not int or n != 1 or axis not in (-1, 0):
        return None
    if node.dtype == np.bool_:
        return None
    later, earlier = trace.formulas.cut(node, slice(1, None)), trace.formulas.cut(node, slice(None, -1))
    if later is None or earlier is None:
        return None
    return trace.defer(later) - trace.defer(earlier)


def _astype(self: Any, dtype: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    if trace is not None and trace.active and not args and not kwargs:
        node = _elements(trace, self)
        target = np.dtype(dtype)
        if node is not None and takes(target) and node.dtype != target:
            converted = _converted(trace, node, target)
            if converted is not None:
                return trace.defer(converted)
    if trace is not None:
        trace.because("astype")
    plain = lend(trace, self, "astype", kwargs.get("copy", True) is not False)
    return plain.astype(dtype, *args, **kwargs)


METHODS["astype"] = _astype


def _copy(self: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    node = _elements(trace, self) if trace is not None and trace.active else None
    if type(self) is Deferred and node is not None:
        return trace.defer(node)
    return lend(trace, self, "copy").copy(*args, **kwargs)


METHODS["copy"] = _copy
