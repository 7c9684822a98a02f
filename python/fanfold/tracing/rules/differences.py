"""Functions of neighbouring elements, as formulas of slices: NumPy's own, operation by operation."""

from typing import Any

import numpy as np

from fanfold.tracing.arrays import deferred
from fanfold.tracing.nodes import Node, Selection
from fanfold.tracing.rules.registry import FUNCTIONS, rule
from fanfold.tracing.rules.statistics import REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import cast, elements_of, float_state, may_defer


def _sequence(trace: Trace, value: Any, kinds: str) -> Node | None:
    """The node of a one-dimensional array of these kinds, whose length is known."""
    node = elements_of(trace, value)
    if node is None or node.dtype.kind not in kinds or isinstance(node.shape, Selection) or len(node.shape) != 1:
        return None
    return node


def _parts(trace: Trace, node: Node, *slices: slice) -> list[Any] | None:
    """Slices of a formula as deferred arrays; None if they are too small to be traced."""
    cuts = [trace.cut(node, part) for part in slices]
    found = [deferred(trace, cut) for cut in cuts if cut is not None]
    return found if len(found) == len(cuts) and may_defer(trace, float_state()) else None


@rule(np.ediff1d)
def _ediff1d(trace: Trace, ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    return FUNCTIONS[np.diff](trace, ary) if to_end is None and to_begin is None else None


@rule(np.gradient)
def _gradient(trace: Trace, f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    node = _sequence(trace, f, "fiu")
    spacing = varargs[0] if varargs else 1.0
    if node is None or axis not in (None, 0, -1) or type(axis) is bool or type(edge_order) is not int:
        return None
    if edge_order != 1 or len(varargs) > 1 or any(type(each) not in REAL for each in varargs):
        return None
    elements = cast(trace, node, np.dtype(np.float64)) if node.dtype.kind != "f" else node
    ends = (slice(2, None), slice(None, -2), slice(None, 2), slice(-2, None))
    parts = None if elements is None else _parts(trace, elements, *ends)
    if parts is None or elements is None or not spacing:
        return None
    later, earlier, first, last = parts
    # The elements at the ends have one neighbour: NumPy computes these two, beside the pass for all others.
    wanted = [trace.formulas.values(each._node) for each in ((later - earlier) / (2.0 * spacing), first, last)]
    trace.know(wanted, at_once=True)
    inner, start, end = (each.value for each in wanted)
    gradient = np.empty(inner.size + 2, elements.dtype)
    gradient[0], gradient[1:-1], gradient[-1] = (start[1] - start[0]) / spacing, inner, (end[1] - end[0]) / spacing
    return gradient


def _trapezoid(trace: Trace, y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    node = _sequence(trace, y, "f")
    if node is None or type(axis) is not int or axis not in (0, -1) or type(dx) not in REAL:
        return None
    step = dx
    if x is not None:
        places = _sequence(trace, x, "f")
        if places is None or places.shape != node.shape:
            return None
        step = FUNCTIONS[np.diff](trace, x)
    parts = _parts(trace, node, slice(1, None), slice(None, -1))
    if parts is None or step is None:
        return None
    later, earlier = parts
    return (step * (later + earlier) / 2.0).sum(axis)


# The name before NumPy 2.0 still exists in some versions.
for _name in ("trapezoid", "trapz"):
    if hasattr(np, _name):
        rule(getattr(np, _name))(_trapezoid)
