"""Nodes: the formulas and numbers that traced functions ask for. They are plain records, and compute nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold import _core

Array = npt.NDArray[Any]


class Selection:
    """The shape of what a mask chooses: nobody knows how many elements before they are counted."""

    __slots__ = ("mask",)

    def __init__(self, mask: "Node") -> None:
        self.mask = mask


Shape = tuple[int, ...] | Selection


class Node:
    """A formula, or a number that follows from one."""

    __slots__ = ("asked", "code", "dtype", "error", "id", "inputs", "known", "operation", "plain", "shape", "value")

    def __init__(
        self,
        operation: Any,
        inputs: "tuple[Node, ...]",
        dtype: np.dtype[Any],
        shape: Shape,
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.dtype = dtype
        self.shape = shape
        # What a ufunc's choice of a loop depends on: the dtype's number, and whether one item stands for all.
        self.code: int = 2 * dtype.num + (shape == ())
        # The number in the session's graph, once everything that it is made of is known.
        self.id: int | None = None
        # Of a number: whether it is known, and what it is.
        self.known = False
        self.value: Any = None
        # Of a statistic: whether a sweep was asked for it, why it failed, and how NumPy computes it.
        self.asked = False
        self.error: Exception | None = None
        self.plain: Callable[[Array], Any] | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is one number, and not one for each element."""
        return self.shape == ()

    @property
    def is_answer(self) -> bool:
        """Whether it is the answer to a question, and not a formula that others extend."""
        return self.shape == () or type(self.operation) is Along


class Source:
    """The elements of an array, read where they lie."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class Statistic:
    """What a kernel says of a formula's elements; whether NaN is doubtful, and NumPy is to be asked about it."""

    __slots__ = ("doubts_nan", "kernel")

    def __init__(self, kernel: _core.Kernel, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.doubts_nan = doubts_nan


class Along:
    """What a kernel says of the elements along axes, an array; whether NaN is doubtful."""

    __slots__ = ("axes", "doubts_nan", "keepdims", "kernel")

    def __init__(self, kernel: _core.Kernel, axes: tuple[int, ...], keepdims: bool, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.axes = axes
        self.keepdims = keepdims
        self.doubts_nan = doubts_nan


class Computed:
    """A number that Python computes from numbers; and what NumPy told of it, in the words of its warnings."""

    __slots__ = ("function", "told")

    def __init__(self, function: Callable[..., Any], told: list[str]) -> None:
        self.function = function
        self.told = told


class Sweep(NamedTuple):
    """One pass over memory: how many bytes it read, and the kernels and nodes that it answered."""

    bytes_read: int
    kernels: list[int]
    nodes: list[Node]
