"""Python's operators: their functions, and the ufuncs with which arrays implement them."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

BINARY: dict[str, tuple[Callable[[Any, Any], Any], np.ufunc]] = {
    "add": (operator.add, np.add),
    "sub": (operator.sub, np.subtract),
    "mul": (operator.mul, np.multiply),
    "truediv": (operator.truediv, np.true_divide),
    "floordiv": (operator.floordiv, np.floor_divide),
    "mod": (operator.mod, np.remainder),
    "divmod": (divmod, np.divmod),
    "pow": (operator.pow, np.power),
    "matmul": (operator.matmul, np.matmul),
    "lshift": (operator.lshift, np.left_shift),
    "rshift": (operator.rshift, np.right_shift),
    "and": (operator.and_, np.bitwise_and),
    "or": (operator.or_, np.bitwise_or),
    "xor": (operator.xor, np.bitwise_xor),
}
"""The operators with a reflected method and, except ``divmod``, an in-place method."""

COMPARISONS: dict[str, tuple[Callable[[Any, Any], Any], np.ufunc]] = {
    "lt": (operator.lt, np.less),
    "le": (operator.le, np.less_equal),
    "eq": (operator.eq, np.equal),
    "ne": (operator.ne, np.not_equal),
    "gt": (operator.gt, np.greater),
    "ge": (operator.ge, np.greater_equal),
}

UNARY: dict[str, tuple[Callable[[Any], Any], np.ufunc]] = {
    "neg": (operator.neg, np.negative),
    "pos": (operator.pos, np.positive),
    "abs": (operator.abs, np.absolute),
    "invert": (operator.invert, np.invert),
}

IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, f"i{name}") for name in BINARY if name != "divmod"
}

OF_UFUNCS: dict[np.ufunc, tuple[str, Callable[[Any, Any], Any]]] = {
    ufunc: (name, function) for name, (function, ufunc) in BINARY.items()
}
"""The operator for each ufunc."""
