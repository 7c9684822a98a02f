"""Integer powers in what a sum is taken of: computed by multiplications.

NumPy's ``v**3`` calls `pow`, which takes 60 times as long as two multiplications. The core's loop carries the rounding
error of each product, so that a power is at least as near the exact one as that of `pow`. It is used only below sums
and averages, whose last places are the kernels' anyway. Elements that a function sees are NumPy's own, to the last bit,
and so is what a comparison decides.
"""

from typing import Any

import numpy as np

from fanfold import _core
from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Node, Source

SUMS = frozenset((
    *("sum", "mean", "std", "var", "nansum", "nanmean", "nanstd", "nanvar", "norm", "sem"),
    *("moment", "skew", "kurtosis", "mean_abs", "rms"),
))  # fmt: skip
"""The kernels that sum what they read."""

_EXPONENTS = range(2, 9)
"""The exponents that the core has loops for."""


def quick(formulas: Formulas, node: Node) -> Node:
    """The formula with multiplications in place of integer powers of floats. The same node if it has none."""
    if node.quick is None:
        node.quick = _quick(formulas, node)
    return node.quick


def _quick(formulas: Formulas, node: Node) -> Node:
    # Without recursion: a formula can be deeper than Python's stack.
    done: dict[Node, Node] = {}
    stack = [node]
    while stack:
        each = stack.pop()
        if each in done:
            continue
        if not _goes_on(each):
            done[each] = each
            continue
        left = [of for of in each.inputs if of not in done]
        if left:
            stack += (each, *left)
            continue
        inputs = tuple(done[of] for of in each.inputs)
        exponent = _exponent(each)
        if exponent is not None:
            made = formulas.apply(("power", exponent), inputs[:1], each.dtype, each.shape)
        elif inputs == each.inputs:
            made = each
        else:
            made = formulas.apply(each.operation, inputs, each.dtype, each.shape)
        if made is not each:
            # The warnings of an operation are those of the node that is computed.
            each.quick = made
        done[each] = made
    return done[node]


def _goes_on(node: Node) -> bool:
    """Whether a node is a formula of elements that are no bools."""
    return not (node.is_answer or isinstance(node.operation, Source) or node.dtype == np.bool_)


def _exponent(node: Node) -> int | None:
    """The exponent of an integer power of floats, if there is a loop for it."""
    operation: Any = node.operation
    if type(operation) is not _core.UfuncLoop or operation.name != "power" or node.dtype.char not in "fd":
        return None
    base, exponent = node.inputs
    if not exponent.known or base.is_number or np.ndim(exponent.value):
        return None
    number = float(exponent.value)
    return int(number) if number.is_integer() and int(number) in _EXPONENTS else None
