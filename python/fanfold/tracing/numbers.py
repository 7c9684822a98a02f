"""`DeferredNumber`: a NumPy scalar that is not computed yet.

Python's operators behave differently for scalars than for arrays: their warnings name the scalar, integers warn of an
overflow, a sequence is repeated, and an unknown operand gets its turn. Here, too, each operator is that of the real
scalars. It is deferred if all operands are numbers and the dtype of the result is certain; otherwise it is computed at
once.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fanfold.tracing import ufuncs
from fanfold.tracing.arrays import (
    Deferred,
    DeferredArray,
    StandsIn,
    Traced,
    attribute,
    deferred,
    delegate,
    plain_operator,
    power,
    takes,
)
from fanfold.tracing.handlers import handle
from fanfold.tracing.nodes import Node
from fanfold.tracing.operators import BINARY, COMPARISONS, UNARY
from fanfold.tracing.trace import Trace


class DeferredNumber(Deferred):
    """A NumPy scalar that is not computed yet. There is one class for each of NumPy's scalar types."""

    __slots__ = ()
    _said: ClassVar[str]

    def _lend(self, reason: str | None) -> Any:
        value = super()._lend(reason)
        return value[()] if isinstance(value, np.ndarray) else value

    def _materialise(self, reason: str = "a number") -> Any:
        return self._lend(reason)

    dtype = attribute("dtype", lambda self: self._node.dtype)
    shape = attribute("shape", lambda self: ())
    ndim = attribute("ndim", lambda self: 0)
    size = attribute("size", lambda self: 1)
    itemsize = attribute("itemsize", lambda self: self._node.dtype.itemsize)
    nbytes = attribute("nbytes", lambda self: self._node.dtype.itemsize)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        real = self._lend("np.asarray")
        # NumPy passes `copy` to foreign objects, but not to its own scalars.
        return np.array(real, *args) if "copy" in kwargs else real.__array__(*args, **kwargs)

    # Python would iterate over any object that takes an index.
    __iter__ = None
    __reversed__ = None

    def __getattribute__(self, name: str) -> Any:
        if name in _HIDDEN:
            raise AttributeError(f"'{type(self)._said}' object has no attribute '{name}'", name=name, obj=self)
        return object.__getattribute__(self, name)


_MEMORY = frozenset(("__array_interface__", "__array_struct__", "__buffer__"))
"""Attributes that a scalar has but its stand-in must not have: NumPy would read that memory as the array."""

_HIDDEN = _MEMORY | {"__array_ufunc__", "__array_function__", "__iter__", "__reversed__", "__slots__", "__weakref__"}
"""Attributes that a scalar lacks but its stand-in needs, for NumPy and for Python."""


@functools.cache
def class_of(scalar: type) -> type[DeferredNumber]:
    """The class of deferred numbers for a scalar type of NumPy."""
    names = {"__slots__": (), "_stands_for": scalar, "_said": f"{scalar.__module__}.{scalar.__name__}"}
    made: Any = StandsIn(scalar.__name__, (DeferredNumber,), names)
    for name, (function, ufunc) in BINARY.items():
        if hasattr(scalar, f"__{name}__"):
            setattr(made, f"__{name}__", _operator(name, function, ufunc))
            setattr(made, f"__r{name}__", _operator(name, function, ufunc, reflected=True))
    others: dict[str, tuple[Callable[..., Any], np.ufunc]] = {**COMPARISONS, **UNARY}
    for name, (other, ufunc) in others.items():
        setattr(made, f"__{name}__", _operator(name, other, ufunc))
    made.__pow__ = power(made.__pow__)
    delegate(made, scalar, scalar(), without=_MEMORY)
    kind: type[DeferredNumber] = made
    return kind


def _operator(name: str, function: Callable[..., Any], ufunc: np.ufunc, reflected: bool = False) -> Callable[..., Any]:
    def method(self: DeferredNumber, *others: Any) -> Any:
        operands = (*others, self) if reflected else (self, *others)
        return operated(self._trace, name, function, ufunc, operands)

    return method


def operated(trace: Trace, name: str, function: Callable[..., Any], ufunc: np.ufunc, operands: tuple[Any, ...]) -> Any:
    """The result of an operator on numbers, one of them deferred, or on a number and an array."""
    if trace.active:
        arrays = any(type(each) is Traced or type(each) is DeferredArray for each in operands)
        node = ufuncs.ufunc_node(trace, ufunc, operands) if arrays else _node(trace, function, operands)
        if node is not None:
            return deferred(trace, node)
    known = all(issubclass(type(each), Deferred) or type(each) in _KNOWN for each in operands)
    return plain_operator(trace, name, function, ufunc, operands, known)


_KNOWN = frozenset((bool, int, float, complex, Traced, np.ndarray)) | ufuncs.SCALARS
"""Types that do not defer to a NumPy number or an array in an operator."""


def _node(trace: Trace, function: Callable[..., Any], operands: tuple[Any, ...]) -> Node | None:
    """The node of an operator's result on numbers; None if the result's dtype is not certain."""
    inputs: list[Any] = []
    codes: list[Any] = []
    for each in operands:
        if type(each) in (bool, int, float, complex):
            inputs.append(each)
            codes.append(type(each))
            continue
        node = ufuncs.operand_of(trace, each)
        if node is None or isinstance(each, np.ndarray) or not node.is_number:
            return None
        inputs.append(node)
        codes.append(node.dtype)
    result = _result(function, *codes)
    if result is None or not _is_safe(function, result, inputs):
        return None
    state = ufuncs.float_state()
    if not ufuncs.may_defer(trace, state):
        return None
    known = tuple(None if isinstance(each, Node) else (type(each), repr(each)) for each in inputs)

    def compute(values: list[Any]) -> Any:
        left = iter(values)
        return function(*(next(left) if isinstance(each, Node) else each for each in inputs))

    nodes = tuple(each for each in inputs if isinstance(each, Node))
    return ufuncs.computed(trace, compute, (function, known), nodes, result, state)


@functools.lru_cache(maxsize=4096)
def _result(function: Callable[..., Any], *codes: Any) -> np.dtype[Any] | None:
    """The dtype of an operator's result on operands of these dtypes and Python types; None if the result is not a
    scalar.
    """
    samples = [code(1) if isinstance(code, type) else code.type(1) for code in codes]
    try:
        with np.errstate(all="ignore"):
            result = function(*samples)
    except Exception:  # noqa: BLE001 - the real operation will raise it
        return None
    return result.dtype if isinstance(result, np.generic) and takes(result.dtype) else None


def _is_safe(function: Callable[..., Any], result: np.dtype[Any], inputs: list[Any]) -> bool:
    """Whether operands of these types never raise an exception. Python integers can: they may not fit the dtype."""
    integers = [each for each in inputs if type(each) is int]
    if function is operator.pow and result.kind in "iu" and (not integers or inputs[0] is integers[0] or inputs[1] < 0):
        return False
    dtypes = [each.dtype for each in inputs if isinstance(each, Node)]
    limits = [np.iinfo(each) for each in dtypes if each.kind in "iu"] or [np.iinfo(np.int64)]
    return all(limit.min <= each <= limit.max for each in integers for limit in limits)


handle.class_of, handle.operated = class_of, operated
