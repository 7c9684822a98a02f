"""Layouts: the order of axes in which the elements of an array lie in memory, and those of a ufunc's values.

NumPy's ufuncs keep the layout of their operands: the values of a Fortran-ordered array are Fortran-ordered.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Order = tuple[int, ...] | None
"""The axes, from the longest steps in memory to the shortest. None is C order."""

Steps = tuple[int, ...]
"""How far apart elements lie along each axis, or numbers that are in the same relations; 0 if they are the same."""


def steps_of(array: Array) -> Steps:
    """The steps of an array. An axis of length 1 has none."""
    return tuple(abs(stride) if length > 1 else 0 for stride, length in zip(array.strides, array.shape, strict=True))


def repeats(array: Array) -> bool:
    """Whether the array has elements that are the same ones in memory."""
    return any(not stride and length > 1 for stride, length in zip(array.strides, array.shape, strict=True))


def steps_in(order: Order, shape: tuple[int, ...]) -> Steps:
    """The steps of an array without gaps that lies in this order."""
    places = range(len(shape)) if order is None else order
    ranks = {axis: len(shape) - place for place, axis in enumerate(places)}
    return tuple(ranks[axis] if length > 1 else 0 for axis, length in enumerate(shape))


def common_order(operands: Sequence[Steps]) -> Order:
    """The order in which NumPy stores the values of a ufunc with these operands, all of one number of axes.

    NumPy sorts the axes by insertion (`npyiter_find_best_axis_ordering`). Where operands contradict each other, C order
    wins; operands whose elements repeat have no say.
    """
    ndim = len(operands[0])
    # From the shortest steps to the longest.
    placed: list[int] = []
    for axis in reversed(range(ndim)):
        place = len(placed)
        for index in reversed(range(len(placed))):
            pairs = [(steps[axis], steps[placed[index]]) for steps in operands]
            says = [inner > outer for outer, inner in pairs if outer and inner]
            if says and not all(says):
                break
            if says:
                place = index
        placed.insert(place, axis)
    order = tuple(reversed(placed))
    return None if order == tuple(range(ndim)) else order


def is_fortran(order: tuple[int, ...]) -> bool:
    """Whether it is Fortran order."""
    return order == tuple(reversed(range(len(order))))


def order_of(array: Array) -> Order:
    """The order of an array's axes in memory."""
    return None if array.ndim == 1 or array.flags.c_contiguous else common_order([steps_of(array)])


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], order: Order) -> Array:
    """A new array in this order."""
    if order is None:
        return np.empty(shape, dtype)
    like = np.empty((2,) * len(shape), np.bool_).transpose(np.argsort(order))
    return np.empty_like(like, dtype, shape=shape)
