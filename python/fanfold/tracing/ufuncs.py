"""Ufuncs on traced arrays: each adds a node to a formula, with the dtypes and the inner loop that NumPy uses.

If it is not certain that a formula gives the same result, NumPy computes it on the elements.
"""

import dis
import functools
import math
import sys
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fanfold import _core
from fanfold.checks import locked
from fanfold.tracing.arrays import Deferred, DeferredArray, Traced, deferred, made_array, takes
from fanfold.tracing.fallback import plainly
from fanfold.tracing.handlers import handle
from fanfold.tracing.nodes import Along, FromValues, Node, Selection, Shape
from fanfold.tracing.operators import OF_UFUNCS
from fanfold.tracing.trace import Trace

_WEAK = (int, float, complex)
"""Python's number types, which adopt the dtype of the other operand."""

SCALARS: frozenset[Any] = frozenset(np.dtype(character).type for character in np.typecodes["AllInteger"] + "?efdgFDG")
"""NumPy's own scalar types. Subclasses are excluded: they can define operators of their own."""


def ufunc(trace: Trace | None, function: np.ufunc, method: str, inputs: Any, kwargs: Any) -> Any:
    """Handles a ufunc's call, as ``__array_ufunc__`` gets it."""
    if trace is not None and trace.active:
        if method == "__call__":
            if not kwargs and type(inputs[0]) in SCALARS and _is_operator(function, inputs):
                return handle.operated(trace, *OF_UFUNCS[function], function, inputs)
            if not kwargs:
                node = ufunc_node(trace, function, inputs)
                if node is not None:
                    return deferred(trace, node)
                made = with_others(trace, function, inputs)
                if made is not None:
                    return made
            else:
                target = _into(trace, function, inputs, kwargs)
                if target is not None:
                    return target
        elif method == "reduce" and not kwargs and len(inputs) == 1 and function in _REDUCE:
            return getattr(inputs[0], _REDUCE[function])(axis=0)
        else:
            done = handle.ruled(trace, (function, method), inputs, kwargs)
            if done is not None:
                return done
    name = function.__name__ if method == "__call__" else f"{function.__name__}.{method}"
    return plainly(trace, getattr(function, method), name, inputs, kwargs, method != "at")


def _is_operator(function: np.ufunc, inputs: Any) -> bool:
    """Whether this call comes from an operator between a NumPy scalar and a deferred one.

    NumPy passes such an operation to the ufunc. The ufunc could also have been called by name, but only for a power
    does that give other values. The calling frame distinguishes the two.
    """
    if function not in OF_UFUNCS or type(inputs[1]) is DeferredArray or not issubclass(type(inputs[1]), Deferred):
        return False
    if function is not np.power:
        return True
    caller = sys._getframe(3)
    return dis.opname[caller.f_code.co_code[caller.f_lasti]] == "BINARY_OP"


def _into(trace: Trace, function: np.ufunc, inputs: Any, kwargs: Any) -> DeferredArray | None:
    """Handles ``out=`` with a deferred array, as in-place operators pass it: the array gets a new formula."""
    out = kwargs.get("out")
    if len(kwargs) != 1 or out is None or len(out) != 1 or type(out[0]) is not DeferredArray:
        return None
    target: DeferredArray = out[0]
    node = ufunc_node(trace, function, inputs)
    if node is None or (node.dtype, node.shape) != (target.dtype, target._node.shape):
        return None
    return target if target._become(node) else None


_REDUCE = {
    np.add: "sum",
    np.multiply: "prod",
    np.minimum: "min",
    np.maximum: "max",
    np.logical_and: "all",
    np.logical_or: "any",
}


def ufunc_node(trace: Trace, function: np.ufunc, inputs: Any) -> Node | None:
    """The node of a ufunc's values; None if NumPy must compute them."""
    if type(function) is not np.ufunc:
        # A ufunc of Numba compiles its loop at the first call; before that, the loop cannot be requested.
        return None
    if function.signature is not None:
        return product(trace, *inputs) if function in _PRODUCTS else None
    operands = operands_of(trace, inputs)
    if operands is None:
        return None
    codes: list[Any] = [operand.code if type(operand) is Node else type(operand) for operand in operands]
    loop = _loop(function, *codes)
    if loop is None:
        return None
    if function is np.power and loop.result.kind in "iu" and not _is_natural(operands[1]):
        # Integers to negative powers are an error, which NumPy's loop cannot raise in a worker thread.
        return None
    state = float_state()
    if not may_defer(trace, state):
        return None
    formulas = trace.formulas
    found = broadcast(trace, operands)
    if found is None:
        return None
    shape, operands = found
    nodes = []
    for operand, dtype in zip(operands, loop.dtypes, strict=False):
        node = operand if type(operand) is Node and operand.dtype is dtype else converted(trace, operand, dtype)
        if node is None:
            return None
        nodes.append(node)
    if shape == ():
        inputs = tuple(nodes)
        return computed(trace, lambda values: function(*values), function, inputs, loop.result, state)
    if loop.inner is None:
        return None
    made = formulas.apply(loop.inner, tuple(nodes), loop.result, shape)
    if loop.may_warn:
        trace.may_warn(made, function.__name__, state)
    return made


def with_others(trace: Trace | None, function: np.ufunc, inputs: Any) -> DeferredArray | None:
    """The values of a ufunc of traced arrays and of others, which somebody could write to later: computed at once, by
    all workers. None if NumPy must compute them.
    """
    if trace is None or not trace.active:
        return None
    others = [each for each in inputs if type(each) is np.ndarray and each.ndim]
    shapes = [node.shape for each in inputs if (node := elements_of(trace, each)) is not None]
    # What is broadcast would be kept.
    if not others or not all(each.shape in shapes and takes(each.dtype) and trace.follows(each) for each in others):
        return None
    sources = [trace.formulas.new_source(locked(each)) for each in others]
    views = {id(each): _as_traced(trace, source) for each, source in zip(others, sources, strict=True)}
    node = ufunc_node(trace, function, [views.get(id(each), each) for each in inputs])
    if node is None or not isinstance(node.shape, tuple) or node.is_number:
        return None
    values = trace.force(node, None, at_once=True)
    for source in sources:
        trace.formulas.forget(source)
    return made_array(trace, values)


def _as_traced(trace: Trace, source: Node) -> Any:
    """An array as formulas of this moment read it: its node is not shared with those of later ones."""
    view: Any = source.operation.array.view(Traced)
    view._trace, view._known = trace, source
    return view


def _is_natural(operand: Any) -> bool:
    """Whether an exponent is known and not negative."""
    value = operand.value if type(operand) is Node and operand.known else operand
    return type(value) is not Node and bool(np.all(np.asarray(value) >= 0))


# ---- loops ----


class _Loop(NamedTuple):
    """The loop that NumPy uses for operands of these dtypes."""

    dtypes: tuple[np.dtype[Any], ...]
    """The dtypes of its operands."""
    result: np.dtype[Any]
    may_warn: bool
    """Whether it can raise a floating-point exception."""
    inner: _core.UfuncLoop | None
    """Computes the loop block by block; None if it needs the interpreter, or if this NumPy version does not provide
    it."""


@functools.lru_cache(maxsize=4096)
def _loop(function: np.ufunc, *codes: Any) -> _Loop | None:
    """The loop for operands of these codes (`Node.code`) and Python types; None if there is none, or if the core does
    not support the dtypes.
    """
    if function.nout != 1:
        return None
    asked = [code if isinstance(code, type) else _DTYPES[code >> 1] for code in codes]
    try:
        *dtypes, result = function.resolve_dtypes((*asked, None))
    except TypeError:
        return None
    if not all(takes(dtype) for dtype in (*dtypes, result)):
        return None
    if function.__name__.startswith(_RAISE):
        return None
    constants = [isinstance(code, type) or bool(code & 1) for code in codes]
    own, rounds = (*dtypes, result), False
    if _HALF in dtypes and function in _BY_FLOAT32:
        own, rounds = tuple(_FLOAT32 if each == _HALF else each for each in own), function in _ROUNDED
    try:
        inner = _core.UfuncLoop(function, own, constants, rounds)
    except Exception:  # noqa: BLE001 - this NumPy interface is private: without it, NumPy computes the result itself
        inner = None
    # Comparisons of complex numbers are those of their parts, which may be NaN.
    may_warn = result.kind in "fciu" or any(dtype.kind == "c" for dtype in dtypes)
    return _Loop(tuple(dtypes), result, may_warn, inner)


_HALF, _FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)

_ROUNDED = frozenset((np.add, np.subtract, np.multiply, np.true_divide, np.square, np.sqrt, np.reciprocal))
"""Ufuncs whose loop for float16 computes in float32 and rounds the result.

float32 has more than twice the digits of float16, so that this rounding is that of the exact result.
"""

_BY_FLOAT32 = _ROUNDED | frozenset((
    *(np.negative, np.positive, np.absolute, np.fabs, np.rint, np.floor, np.ceil, np.trunc),
    *(np.less, np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isinf, np.isfinite, np.signbit, np.sign, np.conjugate),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
))  # fmt: skip
"""These, and those that give the same for float16 and for float32.

Loops for float16 convert one element after the other, and take several times as long. All others are called as they
are: their float32 is not always that of the loop for float32.
"""


_RAISE = ("obl_", "pro_")
"""SciPy's spheroidal functions allocate memory and raise an exception if an order needs too much, which would be lost
in a worker thread."""

_DTYPES = {np.dtype(character).num: np.dtype(character) for character in np.typecodes["All"] if character not in "SUVO"}


# ---- operands ----


def operand_of(trace: Trace, value: Any) -> Any:
    """A value as a node, and a Python number unchanged; None for unsupported values."""
    kind = type(value)
    if kind is Traced:
        return value._node()
    if issubclass(kind, Deferred):
        node = value._formula()
        return node if node is not None and value._trace.formulas is trace.formulas else None
    if kind is bool:
        return trace.formulas.number(np.asarray(value))
    if kind in _WEAK:
        return value
    if kind in SCALARS or (kind is np.ndarray and value.ndim == 0):
        return trace.formulas.number(np.array(value)) if takes(value.dtype) else None
    return None


def operands_of(trace: Trace, values: Any) -> list[Any] | None:
    """The operands of an elementwise operation; None if one is not supported."""
    operands: list[Any] = []
    for value in values:
        operand = operand_of(trace, value)
        if operand is None:
            operand = _small_operand(trace, value, values)
        if operand is None:
            return None
        operands.append(operand)
    return operands


def _small_operand(trace: Trace, value: Any, inputs: Any) -> Node | None:
    """The node of a small array beside a formula: a kernel's results, or a copy of an array of the function's own.

    None for anything else, and if the function's own array cannot be broadcast.
    """
    shapes = [node.shape for each in inputs if each is not value and (node := elements_of(trace, each)) is not None]
    if not shapes or any(isinstance(shape, Selection) for shape in shapes):
        return None
    if trace.of_rows:
        is_alike = type(value) is np.ndarray and value.shape == shapes[0] and takes(value.dtype)
        return trace.formulas.fixed(value) if is_alike else None
    is_result = type(value) is DeferredArray and type(value._node.operation) is Along
    if not is_result and not (type(value) is np.ndarray and value.ndim and 0 < value.size < trace.smallest):
        return None
    if not takes(value.dtype) or not _fits(value.shape, *shapes):
        return None
    return value._result() if is_result else trace.formulas.source(value.copy("K"))


def _fits(*shapes: Any) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def broadcast(trace: Trace, operands: list[Any]) -> tuple[Shape, list[Any]] | None:
    """The common shape of operands, and the operands in that shape. None if NumPy must broadcast them, or refuse to."""
    nodes = [each for each in operands if type(each) is Node and not each.is_number]
    shapes: Any = [node.shape for node in nodes]
    alike = _common(shapes)
    if alike is not None:
        return alike, operands
    if trace.of_rows or any(isinstance(node.shape, Selection) for node in nodes):
        return None
    if not _fits(*shapes):
        return None
    shape = np.broadcast_shapes(*shapes)
    if math.prod(shape) < trace.smallest:
        return None

    def repeated(operand: Any) -> Any:
        is_done = type(operand) is not Node or operand.is_number or operand.shape == shape
        return operand if is_done else trace.broadcast(operand, shape)

    return shape, [repeated(each) for each in operands]


def elements_of(trace: Trace, value: Any) -> Node | None:
    """The node of an array; None for numbers and unsupported values."""
    node = operand_of(trace, value)
    return node if type(node) is Node and not node.is_number else None


def converted(trace: Trace, operand: Any, dtype: np.dtype[Any]) -> Node | None:
    """The operand converted to the dtype of a loop, which must be able to hold it."""
    if type(operand) is not Node:
        try:
            return trace.formulas.python_number(operand, dtype)
        except (OverflowError, TypeError, ValueError):
            return None
    return cast(trace, operand, dtype)


def cast(trace: Trace, node: Node, dtype: np.dtype[Any]) -> Node | None:
    """The node's elements as ``astype`` converts them."""
    if node.dtype == dtype:
        return node
    if node.is_number:
        values = FromValues(lambda values: values[0].astype(dtype), "astype", float_state())
        return trace.formulas.computed(
            lambda number: number.value.astype(dtype), ("astype", dtype), (node,), dtype, values=values
        )
    if not _can_cast(node.dtype, dtype):
        return None
    return trace.formulas.apply(("cast", dtype), (node,), dtype, node.shape)


@functools.lru_cache(maxsize=1024)
def _can_cast(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    return takes(target) and _core.can_cast(source, target)


def common_shape(*nodes: Node) -> Shape | None:
    """The shape of all but numbers; None if they are not of one."""
    return _common([each.shape for each in nodes if not each.is_number])


def _common(shapes: list[Shape]) -> Shape | None:
    if not shapes:
        return ()
    first = shapes[0]
    return first if all(each is first or each == first for each in shapes) else None


# ---- floating-point exceptions ----


def float_state() -> dict[str, Any]:
    """How the function handles floating-point exceptions: the current `np.errstate`."""
    return typing.cast("dict[str, Any]", np.geterr())


def may_defer(trace: Trace, state: dict[str, Any]) -> bool:
    """Whether floating-point exceptions can be reported later, by warnings under the filters of its start."""
    return by_warnings(state) and trace.has_its_filters()


def by_warnings(state: dict[str, Any]) -> bool:
    """Whether floating-point exceptions are reported by warnings only, if at all."""
    return _WORDS.issuperset(state.values())


_WORDS = {"warn", "ignore"}


# ---- what follows from ufuncs ----


class Log(list[str]):
    """A log of NumPy's warnings: a number is computed for several functions, and each of them warns itself."""

    def write(self, message: str) -> None:
        self.append(message.removeprefix("Warning: ").rstrip())


def computed(
    trace: Trace,
    compute: Callable[[list[Any]], Any],
    key: Any,
    inputs: tuple[Node, ...],
    dtype: np.dtype[Any],
    state: dict[str, Any],
) -> Node:
    """The number that a function computes from numbers that may not be known yet."""
    told = Log()
    how: dict[str, Any] = {kind: "log" if word == "warn" else word for kind, word in state.items()}

    def function(*nodes: Node) -> Any:
        errors = [each.error for each in nodes if each.error is not None]
        if errors:
            raise errors[0]
        with np.errstate(call=told, **how):
            return compute([each.value[()] if isinstance(each.value, np.ndarray) else each.value for each in nodes])

    operation = key[0] if type(key) is tuple else key
    values = FromValues(compute, operation, state)
    made = trace.formulas.computed(function, (key, tuple(state.values())), inputs, dtype, told, values)
    trace.may_warn(made, "", state)
    return made


def fast_power(base: DeferredArray, exponent: Any) -> Callable[[Any], Any] | None:
    """The ufunc that NumPy uses for ``base ** exponent`` in place of `np.power`, with some exponents."""
    if type(exponent) not in (int, float) or exponent not in (2, 0.5, -1, 1):
        return None
    used = _used_for_power(base.dtype, exponent)
    return None if used is np.power else used


@functools.lru_cache(maxsize=1024, typed=True)
def _used_for_power(dtype: np.dtype[Any], exponent: float) -> np.ufunc:
    """Versions of NumPy differ in whether ``v ** 2.0`` is a square, and warn by that name."""
    used: np.ufunc = np.ones(1, dtype).view(_Tells) ** exponent  # type: ignore[assignment]
    return used


class _Tells(np.ndarray[Any, Any]):
    """An array whose operators give the ufunc that they call."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return ufunc


def product(trace: Trace, a: Any, b: Any) -> Node | None:
    """The node of the scalar product of two vectors."""
    left, right = elements_of(trace, a), elements_of(trace, b)
    # The products of float16 are not rounded to it before they are added.
    if left is None or right is None or left.dtype.char not in "fd" or left.dtype != right.dtype:
        return None
    if common_shape(left, right) is None or isinstance(left.shape, Selection) or len(left.shape) != 1:
        return None
    if not may_defer(trace, float_state()):
        return None
    with np.errstate(all="ignore"):
        # A scalar product does not warn of its products.
        made = ufunc_node(trace, np.multiply, (a, b))
    if made is None:
        return None
    return trace.formulas.statistic(kernel("sum"), (), made, made.dtype, np.sum)


_PRODUCTS = tuple(getattr(np, name) for name in ("matmul", "vecdot") if hasattr(np, name))


@functools.lru_cache(maxsize=1024, typed=True)
def kernel(name: str, **parameters: Any) -> _core.Kernel:
    """A kernel of the catalogue."""
    return _core.Kernel(name, **parameters)


handle.ufunc, handle.ufunc_node, handle.fast_power, handle.with_others = ufunc, ufunc_node, fast_power, with_others
