"""Comparisons with a tolerance, and rounding: NumPy's own formulas, operation by operation."""

from typing import Any

import numpy as np

from fanfold.tracing.arrays import deferred
from fanfold.tracing.layouts import is_fortran
from fanfold.tracing.nodes import Node, has_no_gaps
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.rules.statistics import REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import cast, elements_of, operand_of, ufunc_node


def _inexact(trace: Trace, value: Any) -> Any:
    """The second operand of `np.isclose`, which is converted to floats; None for unsupported values."""
    operand = operand_of(trace, value)
    if type(operand) is not Node:
        return float(operand) if type(operand) in REAL else None
    if operand.dtype.kind not in "biuf":
        return None
    node = cast(trace, operand, np.result_type(operand.dtype, 1.0))
    return None if node is None else deferred(trace, node)


@rule(np.isclose)
def _isclose(trace: Trace, a: Any, b: Any, rtol: Any = 1.0e-5, atol: Any = 1.0e-8, equal_nan: Any = False) -> Any:
    x, y = operand_of(trace, a), _inexact(trace, b)
    if x is None or y is None or (type(x) is Node and x.dtype.kind not in "biuf") or type(x) is complex:
        return None
    if elements_of(trace, a) is None and elements_of(trace, b) is None:
        return None
    if any(type(each) not in REAL or not np.isfinite(each) for each in (rtol, atol)) or type(equal_nan) is not bool:
        return None
    first: Any = deferred(trace, x) if type(x) is Node else x
    with np.errstate(invalid="ignore"):
        close = (np.less_equal(abs(first - y), atol + rtol * abs(y)) & np.isfinite(y)) | (first == y)
        return close | (np.isnan(first) & np.isnan(y)) if equal_nan else close


@rule(np.allclose)
def _allclose(trace: Trace, a: Any, b: Any, rtol: Any = 1.0e-5, atol: Any = 1.0e-8, equal_nan: Any = False) -> Any:
    close = _isclose(trace, a, b, rtol, atol, equal_nan)
    return None if close is None else bool(trace.force(close.all()._node, None, at_once=True))


@rule(np.array_equal)
def _array_equal(trace: Trace, a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    first, second = elements_of(trace, a1), elements_of(trace, a2)
    if first is None or second is None or equal_nan is not False or not isinstance(first.shape, tuple):
        return None
    if first.shape != second.shape:
        return False if isinstance(second.shape, tuple) else None
    left: Any = deferred(trace, first)
    right: Any = deferred(trace, second)
    return bool(trace.force((left == right).all()._node, None, at_once=True))


@rule(np.round, np.around, method="round")
def _round(trace: Trace, a: Any, decimals: Any = 0, out: Any = None) -> Any:
    node = elements_of(trace, a)
    if node is None or node.dtype.kind != "f" or type(decimals) is not int or out is not None:
        return None
    if not decimals:
        rounded = ufunc_node(trace, np.rint, (a,))
        return None if rounded is None else deferred(trace, rounded)
    # Powers of ten above 22 are not exact; NumPy multiplies to get them.
    if abs(decimals) > 22:
        return None
    # For these, NumPy keeps Fortran order only, and only of arrays without gaps.
    if node.order is not None and not (is_fortran(node.order) and has_no_gaps(node)):
        return None
    there, back = (np.multiply, np.true_divide) if decimals > 0 else (np.true_divide, np.multiply)
    power = 10.0 ** abs(decimals)
    scaled = ufunc_node(trace, there, (a, power))
    whole = None if scaled is None else ufunc_node(trace, np.rint, (deferred(trace, scaled),))
    rounded = None if whole is None else ufunc_node(trace, back, (deferred(trace, whole), power))
    return None if rounded is None else deferred(trace, rounded)
