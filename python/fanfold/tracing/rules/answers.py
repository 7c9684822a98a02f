"""Answers that are arrays: they are computed at once, and the function owns them."""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from fanfold.tracing.nodes import Node
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import kernel


def owned(trace: Trace, node: Node) -> Any:
    """The value of a node that is not shared."""
    value = trace.force(node, None, at_once=True)
    # The trace keeps its nodes until the run ends; it must not keep every array that the function drops.
    for each in (node, *(of for of in node.inputs if of.operation == "values")):
        each.value = None
    return value


def arrays_of(trace: Trace, name: str, node: Node, plain: Callable[[npt.NDArray[Any]], Any], **parameters: Any) -> Any:
    """A kernel's result that is an array or a tuple of arrays; None if the kernel does not take the parameters."""
    try:
        asked = kernel(name, **parameters)
    except (TypeError, ValueError):
        return None
    return owned(trace, trace.formulas.answer(asked, node, node.dtype, plain))


def shared_arrays_of(
    trace: Trace, name: str, node: Node, plain: Callable[[npt.NDArray[Any]], Any], **parameters: Any
) -> Any:
    """The same for small results. They are computed once for all functions, and each function gets a copy."""
    try:
        asked = kernel(name, **parameters)
    except (TypeError, ValueError):
        return None
    value = trace.force(trace.formulas.statistic(asked, name, node, node.dtype, plain), None, at_once=True)
    return tuple(each.copy() for each in value) if isinstance(value, tuple) else value.copy()
