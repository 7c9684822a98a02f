"""Scalar products."""

from typing import Any

import numpy as np

from fanfold.tracing.arrays import deferred
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import product


@rule(np.dot, np.vdot, np.inner, method="dot")
def _dot(trace: Trace, a: Any, b: Any) -> Any:
    node = product(trace, a, b)
    return None if node is None else deferred(trace, node)


@rule(np.einsum)
def _einsum(trace: Trace, subscripts: Any, *operands: Any) -> Any:
    if not isinstance(subscripts, str) or len(operands) != 2:
        return None
    inputs, _, output = subscripts.replace(" ", "").partition("->")
    first, _, second = inputs.partition(",")
    # With and without an arrow, einsum sums over an index that occurs twice and is not in the output.
    return _dot(trace, *operands) if len(first) == 1 and first.isalpha() and first == second and not output else None
