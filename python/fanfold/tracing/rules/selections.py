"""Selections by a mask: ``values[mask]``, and ``values[mask] = number``."""

from typing import Any

import numpy as np

from fanfold.tracing.arrays import Deferred, DeferredArray, deferred
from fanfold.tracing.handlers import handle
from fanfold.tracing.nodes import Node, Selection
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import converted, operand_of


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


handle.chosen, handle.replaced = chosen, replaced
