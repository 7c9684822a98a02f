"""Arrays put together from slices, as formulas that read the slices where they lie: nothing is copied."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fanfold.tracing.arrays import deferred, takes
from fanfold.tracing.nodes import Array, Joined, Node, Source
from fanfold.tracing.rules.registry import rule
from fanfold.tracing.rules.statistics import REAL
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

MOST_PIECES = 16
"""A block is looked for among the pieces. Arrays of more pieces are NumPy's."""


def _arrays(trace: Trace, value: Any) -> list[Array] | None:
    """The arrays of one axis whose elements a value has in place; None if there are none."""
    node = elements_of(trace, value)
    if node is None or not isinstance(node.shape, tuple) or len(node.shape) != 1:
        return None
    match node.operation:
        case Source(array=array):
            return [array]
        case Joined(pieces=pieces):
            return [piece.operation.array for piece in pieces]
    return None


def _captured(trace: Trace, value: Any, dtype: np.dtype[Any]) -> list[Array] | None:
    """A copy of a small array that the function holds itself: it could write to it later."""
    if type(value) is not np.ndarray or value.ndim != 1 or value.size >= trace.smallest or not takes(value.dtype):
        return None
    if np.result_type(value.dtype, dtype) != dtype:
        return None
    return [value.astype(dtype)]


def _joined(trace: Trace, values: Sequence[Any]) -> Any:
    """The elements of these arrays, one after the other; None if NumPy must put them together."""
    if trace.of_rows or not 0 < len(values) <= MOST_PIECES:
        return None
    own = [_arrays(trace, value) for value in values]
    dtypes = {arrays[0].dtype for arrays in own if arrays}
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    pieces: list[Array] = []
    captured = 0
    for value, arrays in zip(values, own, strict=True):
        found = arrays or _captured(trace, value, dtype)
        if found is None:
            return None
        captured += 0 if arrays else found[0].nbytes
        pieces += found
    pieces = [array for array in pieces if array.size]
    size = sum(array.size for array in pieces)
    if size < trace.smallest or len(pieces) > MOST_PIECES or not trace.formulas.keeps(captured):
        return None
    return deferred(trace, trace.formulas.joined(pieces, dtype))


@rule(np.concatenate)
def _concatenate(trace: Trace, arrays: Any, axis: Any = 0) -> Any:
    if type(arrays) not in (list, tuple) or axis not in (0, None) or type(axis) is bool:
        return None
    return _joined(trace, arrays)


@rule(np.hstack)
def _hstack(trace: Trace, tup: Any) -> Any:
    return _concatenate(trace, tup)


@rule(np.append)
def _append(trace: Trace, arr: Any, values: Any, axis: Any = None) -> Any:
    if type(values) in REAL:
        # A Python number has a dtype here: NumPy makes an array of it.
        values = np.asarray([values])
    return _concatenate(trace, (arr, values), axis)


@rule(np.roll)
def _roll(trace: Trace, a: Any, shift: Any, axis: Any = None) -> Any:
    node = _sequence(trace, a)
    if node is None or axis not in (None, 0, -1) or type(axis) is bool or type(shift) is bool:
        return None
    (size,) = node.shape  # type: ignore[misc]
    place = operator.index(shift) % size if size else 0
    later, earlier = trace.cut(node, slice(size - place, None)), trace.cut(node, slice(None, size - place))
    if later is None or earlier is None:
        return None
    return _joined(trace, [deferred(trace, each) for each in (later, earlier) if each.shape != (0,)])


@rule(np.pad)
def _pad(trace: Trace, array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Any:
    node = _sequence(trace, array)
    if node is None or mode != "constant" or type(constant_values) not in REAL:
        return None
    widths = [pad_width] * 2 if type(pad_width) is int else pad_width
    if type(widths) not in (list, tuple) or len(widths) != 2 or any(type(width) is not int for width in widths):
        return None
    if min(widths) < 0 or max(widths) >= trace.smallest:
        return None
    before, after = (np.full(width, constant_values, node.dtype) for width in widths)
    return _joined(trace, [before, array, after])


def _sequence(trace: Trace, value: Any) -> Node | None:
    """The node of an array whose elements are in place."""
    return elements_of(trace, value) if _arrays(trace, value) is not None else None
