"""Functions of each element for itself, other than ufuncs."""

from typing import Any

import numpy as np
from numpy._core import umath

from fanfold.tracing.arrays import DeferredArray, deferred, takes
from fanfold.tracing.fallback import read
from fanfold.tracing.nodes import Node, is_repeated
from fanfold.tracing.rules.registry import FUNCTIONS, METHODS, called, rule
from fanfold.tracing.rules.statistics import NOTHING, REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import (
    broadcast,
    cast,
    converted,
    elements_of,
    float_state,
    may_defer,
    operands_of,
    ufunc_node,
)

# The ufunc behind `np.clip` has no public name and no type stubs.
_CLIP: Any = vars(umath)["clip"]


@rule(np.where)
def _where(trace: Trace, condition: Any, x: Any = NOTHING, y: Any = NOTHING) -> Any:
    if x is NOTHING and y is NOTHING:
        return FUNCTIONS[np.nonzero](trace, condition)
    found = operands_of(trace, (condition, x, y))
    if found is None:
        return None
    mask, *operands = found
    if type(mask) is not Node or mask.is_number or mask.dtype != np.bool_:
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
    alike = broadcast(trace, [mask, *nodes])
    if alike is None:
        return None
    shape, inputs = alike
    return deferred(trace, trace.formulas.apply("where", tuple(inputs), dtype, shape))


@rule(np.clip)
def _clip(
    trace: Trace,
    a: Any,
    a_min: Any = NOTHING,
    a_max: Any = NOTHING,
    *,
    min: Any = NOTHING,
    max: Any = NOTHING,
) -> Any:
    if (a_min is NOTHING) != (a_max is NOTHING) or (a_min is not NOTHING and (min, max) != (NOTHING, NOTHING)):
        return None
    low, high = (min, max) if a_min is NOTHING else (a_min, a_max)
    low, high = (None if each is NOTHING else each for each in (low, high))
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
    return called(np.clip, "clip", self, min, max, **kwargs)


METHODS["clip"] = _clip_method


@rule(np.nan_to_num)
def _nan_to_num(trace: Trace, x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    node = elements_of(trace, x)
    numbers = (nan, *(each for each in (posinf, neginf) if each is not None))
    if node is None or node.dtype.kind != "f" or copy is not True or any(type(each) not in REAL for each in numbers):
        return None
    if is_repeated(node):
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


def _astype(self: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    if trace is not None and trace.active and len(args) == 1 and not kwargs:
        node, target, state = elements_of(trace, self), np.dtype(args[0]), float_state()
        if node is not None and node.dtype == target and trace.of_rows:
            return deferred(trace, node)
        if node is not None and node.dtype != target and may_defer(trace, state) and not is_repeated(node):
            made = cast(trace, node, target)
            if made is not None:
                # Integers do not warn, but for those that float16 cannot hold.
                is_told = node.dtype.kind in "fc" or target == np.float16
                if is_told and not np.can_cast(node.dtype, target):
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
    if type(self) is DeferredArray and node is not None and node.order is None:
        return deferred(trace, node)
    return read(trace, self, "copy").copy(*args, **kwargs)


METHODS["copy"] = _copy
