"""Nodes: the formulas and numbers that traced functions request. They are plain records and compute nothing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.tracing.layouts import Order, repeats

Array = npt.NDArray[Any]


class Selection:
    """The shape of a selection by a mask: the number of elements is unknown until they are counted."""

    __slots__ = ("has_some", "mask")

    def __init__(self, mask: "Node") -> None:
        self.mask = mask
        # Whether it is known that there are elements.
        self.has_some = False


Shape = tuple[int, ...] | Selection


class Node:
    """A formula, or a number computed from one."""

    __slots__ = (
        "asked",
        "code",
        "dtype",
        "error",
        "id",
        "inputs",
        "known",
        "operation",
        "order",
        "plain",
        "quick",
        "shape",
        "turned",
        "value",
    )

    def __init__(
        self,
        operation: Any,
        inputs: "tuple[Node, ...]",
        dtype: np.dtype[Any],
        shape: Shape,
        order: Order = None,
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.dtype = dtype
        self.shape = shape
        # How NumPy lays out the elements.
        self.order = order
        # A ufunc chooses its loop by this code: the dtype's number, and whether one item stands for all.
        self.code: int = 2 * dtype.num + (shape == ())
        # The node's number in the session's graph, once all its inputs are known.
        self.id: int | None = None
        # The number of the node of the same elements in the order of memory, if that is another one.
        self.turned: int | None = None
        # For a number: whether it is known, and its value.
        self.known = False
        self.value: Any = None
        # The formula that sums read in its place, once it is known: see `powers`.
        self.quick: Node | None = None
        # For a statistic: whether a sweep was requested, why it failed, and how NumPy computes it.
        self.asked = False
        self.error: Exception | None = None
        self.plain: Callable[[Array], Any] | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is a single number and not an array."""
        return self.shape == ()

    @property
    def is_answer(self) -> bool:
        """Whether it is a result, and not a formula that other formulas extend."""
        return self.shape == () or type(self.operation) in (Along, Made)


def length(node: Node) -> int:
    """The number of elements of a node of one axis, which is known."""
    if isinstance(node.shape, Selection):
        raise AssertionError("the number is known")
    return node.shape[0]


class Source:
    """The elements of an array, read without a copy."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class Joined:
    """The elements of several sources of one axis, one after the other, read without a copy."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: tuple[Node, ...]) -> None:
        self.pieces = pieces

    def cut(self, part: slice) -> list[Array]:
        """A slice of the elements: the pieces that have some of them. Its step is positive."""
        arrays = [piece.operation.array for piece in self.pieces]
        chosen = range(sum(array.size for array in arrays))[part]
        found, end = [], 0
        for array in arrays:
            begin, end = end, end + array.size
            # The first chosen element in the piece, and the first behind it, counted among those that are chosen.
            first, behind = (-((chosen.start - place) // chosen.step) for place in (begin, end))
            numbers = chosen[max(first, 0) : max(behind, 0)]
            if numbers:
                found.append(array[numbers[0] - begin : numbers[-1] - begin + 1 : chosen.step])
        return found


def is_repeated(node: Node) -> bool:
    """Whether elements are the same ones in memory. Copies of such an array have a layout of their own."""
    return type(node.operation) is Source and repeats(node.operation.array)


def has_no_gaps(node: Node) -> bool:
    """Whether the elements lie one after the other, in C or Fortran order, or will do so once they are computed."""
    return type(node.operation) is not Source or bool(node.operation.array.flags.forc)


class Statistic:
    """A kernel's result on a formula's elements. If `doubts_nan`, NumPy computes a NaN result again."""

    __slots__ = ("doubts_nan", "kernel")

    def __init__(self, kernel: _core.Kernel, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.doubts_nan = doubts_nan


class Along:
    """A kernel's results along axes, as an array. If `doubts_nan`, NumPy computes NaN results again."""

    __slots__ = ("axes", "doubts_nan", "keepdims", "kernel")

    def __init__(self, kernel: _core.Kernel, axes: tuple[int, ...], keepdims: bool, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.axes = axes
        self.keepdims = keepdims
        self.doubts_nan = doubts_nan


class Made:
    """An array that was made for the function and that nobody else holds: its elements are known."""

    __slots__ = ()


class Fixed:
    """The elements of an array that is the same for all rows."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class Transform:
    """An array that is made of the elements of a row: for many rows, in one call.

    `compute` gets rows as an array of two axes, and the seconds that are left, and gives one array or several ones.
    This is the one at `place`, or a slice of it. Nodes with one `key` and one input have the call in common.
    """

    __slots__ = ("compute", "key", "parts", "place")

    def __init__(self, key: Any, compute: "RowsCall", place: int, parts: tuple[slice, ...] = ()) -> None:
        self.key = key
        self.compute = compute
        self.place = place
        self.parts = parts

    def of(self, made: tuple[Array, ...]) -> Array:
        """This array, of those that a call has made of all rows."""
        found = made[self.place]
        for part in self.parts:
            found = found[:, part]
        return found

    def cut(self, part: slice) -> "Transform":
        """A slice of it."""
        return Transform(self.key, self.compute, self.place, (*self.parts, part))


RowsCall = Callable[[Array, float | None], tuple[Array, ...]]


class Computed:
    """A number that Python computes from numbers, and the texts of NumPy's warnings."""

    __slots__ = ("function", "told", "values")

    def __init__(self, function: Callable[..., Any], told: list[str], values: "FromValues | None" = None) -> None:
        self.function = function
        self.told = told
        self.values = values


class FromValues(NamedTuple):
    """How such a number is computed from the values themselves."""

    compute: Callable[[list[Any]], Any]
    operation: Any
    """The ufunc or the operator that computes it."""
    state: dict[str, Any]
    """How floating-point exceptions are handled."""


class Doubt(Exception):
    """Says why a number must be left to a plain call: the result is not certain to mean the same."""


class Sweep(NamedTuple):
    """One pass over memory: its seconds, the bytes that it read, and the kernels and nodes that it computed."""

    seconds: float
    bytes_read: int
    kernels: list[int]
    nodes: list[Node]


def lowered(graph: "_core.Session | _core.FormulasOfRows", operation: Any, inputs: Sequence[Any]) -> int:
    """The node of an elementwise operation in a graph of the compiled half."""
    match operation:
        case "where":
            return graph.choose(*inputs)
        case "select":
            return graph.select(*inputs)
        case ("cast", dtype):
            return graph.cast(inputs[0], dtype)
        case ("power", exponent):
            return graph.power(inputs[0], exponent)
        case loop:
            return graph.ufunc(loop, list(inputs))
