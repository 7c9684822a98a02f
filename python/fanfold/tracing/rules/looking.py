"""Functions that only look: they read no elements, or give a view of the same ones. The trace goes on after them."""

import itertools
import math
from typing import Any

import numpy as np

from fanfold.tracing.arrays import Deferred, DeferredArray, Traced, deferred, same_elements
from fanfold.tracing.nodes import Selection
from fanfold.tracing.rules.registry import METHODS, called, rule
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

# ---- views ----


def _seen(trace: Trace, a: Any, method: str, *args: Any) -> Any:
    """A view of an array, by the method of this name."""
    if type(a) is Traced:
        seen = getattr(a._plain(), method)(*args)
        if seen.flags.writeable or seen.size < trace.smallest:
            return seen
        made: Any = seen.view(Traced)
        made._trace = trace
        return made
    if type(a) is not DeferredArray or a.ndim != 1 or a._formula() is None:
        return None
    return same_elements(a)


@rule(np.ravel, method="ravel")
def _ravel(trace: Trace, a: Any, order: Any = "C") -> Any:
    return _seen(trace, a, "ravel", order) if order in ("C", "K", "A") else None


def _reshape(trace: Trace, a: Any, shape: Any, order: Any = "C") -> Any:
    lengths = shape if type(shape) in (tuple, list) else (shape,)
    if order != "C" or not all(type(each) is int for each in lengths):
        return None
    if type(a) is DeferredArray and (len(lengths) != 1 or isinstance(a._node.shape, Selection)):
        return None
    if type(a) is DeferredArray and lengths[0] not in (-1, math.prod(a.shape)):
        return None
    return _seen(trace, a, "reshape", tuple(lengths))


@rule(np.reshape)
def _reshaped(trace: Trace, a: Any, shape: Any, order: Any = "C") -> Any:
    return _reshape(trace, a, shape, order)


def _reshape_method(self: Any, *shape: Any, **kwargs: Any) -> Any:
    only = shape[0] if len(shape) == 1 else shape
    trace = self._trace
    if trace is not None and trace.active and shape and not kwargs:
        seen = _reshape(trace, self, only)
        if seen is not None:
            return seen
    return called(np.reshape, "reshape", self, *shape, **kwargs)


METHODS["reshape"] = _reshape_method


@rule(np.squeeze, method="squeeze")
def _squeeze(trace: Trace, a: Any, axis: Any = None) -> Any:
    # If there is nothing to squeeze, NumPy returns the array itself.
    return a if axis is None and _is_vector(trace, a) else None


@rule(np.transpose, method="transpose")
def _transpose(trace: Trace, a: Any, axes: Any = None) -> Any:
    if type(a) is Traced:
        return _seen(trace, a, "transpose", axes)
    return _seen(trace, a, "transpose") if axes is None and _has_one_axis(trace, a) else None


@rule(np.flip)
def _flip(trace: Trace, m: Any, axis: Any = None) -> Any:
    return m[::-1] if _is_vector(trace, m) and axis in (None, 0, -1) and type(axis) is not bool else None


@rule(np.flipud)
def _flipud(trace: Trace, m: Any) -> Any:
    return _flip(trace, m)


def _has_one_axis(trace: Trace, a: Any) -> bool:
    node = elements_of(trace, a)
    return node is not None and (isinstance(node.shape, Selection) or len(node.shape) == 1)


def _is_vector(trace: Trace, a: Any) -> bool:
    """Whether it has one axis, of a known length."""
    node = elements_of(trace, a)
    return node is not None and not isinstance(node.shape, Selection) and len(node.shape) == 1


@rule(np.atleast_1d)
def _atleast_1d(trace: Trace, *arys: Any) -> Any:
    del trace
    return arys[0] if len(arys) == 1 and _is_array(arys[0]) and arys[0].ndim else None


@rule(np.real)
def _real(trace: Trace, val: Any) -> Any:
    del trace
    return val if _is_array(val) and val.dtype.kind in "biuf" else None


def _is_array(a: Any) -> bool:
    return type(a) is Traced or type(a) is DeferredArray


@rule(np.array_split)
def _array_split(trace: Trace, ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    if not _is_vector(trace, ary) or type(axis) is not int or axis not in (0, -1):
        return None
    size = ary.shape[0]
    if type(indices_or_sections) is int and indices_or_sections > 0:
        least, more = divmod(size, indices_or_sections)
        lengths = [least + 1] * more + [least] * (indices_or_sections - more)
        ends = [0, *np.cumsum(lengths).tolist()]
    elif type(indices_or_sections) in (list, tuple) and all(type(each) is int for each in indices_or_sections):
        ends = [0, *indices_or_sections, size]
    else:
        return None
    return [ary[start:stop] for start, stop in itertools.pairwise(ends)]


@rule(np.split)
def _split(trace: Trace, ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    if not _is_vector(trace, ary):
        return None
    if type(indices_or_sections) is int and (indices_or_sections < 1 or ary.shape[0] % indices_or_sections):
        return None
    return _array_split(trace, ary, indices_or_sections, axis)


# ---- copies ----


def _copied(trace: Trace, a: Any) -> Any:
    """A copy with one axis, which is computed when its elements are needed."""
    node = elements_of(trace, a)
    if node is None or (isinstance(node.shape, tuple) and len(node.shape) != 1):
        return None
    return deferred(trace, node)


@rule(np.copy)
def _copy(trace: Trace, a: Any, order: Any = "K", subok: Any = False) -> Any:
    if subok is not False or type(order) is not str or order not in ("K", "C", "A", "F"):
        return None
    # Who copies the input mostly changes it in a loop, or in compiled code, which needs a real array.
    plain: Any = a._plain() if type(a) is Traced else None
    return _copied(trace, a) if plain is None else plain.copy(order)


def _flatten(self: Any, *args: Any, **kwargs: Any) -> Any:
    trace = self._trace
    if trace is not None and trace.active and not args and not kwargs:
        seen = _seen(trace, self, "ravel")
        made = None if seen is None else _copied(trace, seen)
        if made is not None:
            return made
    return called(np.copy, "flatten", self, *args, **kwargs)


# ---- what is known without the elements ----


def _looks(func: Any) -> None:
    """Registers a function of dtypes and numbers of axes."""

    @rule(func)
    def answer(trace: Trace, *args: Any, **kwargs: Any) -> Any:
        return func(*(_like(each) for each in args), **{key: _like(each) for key, each in kwargs.items()})


def _like(value: Any) -> Any:
    """An array or number of the same dtype and the same number of axes."""
    if type(value) is Traced:
        return value._plain()
    if issubclass(type(value), Deferred):
        return np.zeros((1,) * value.ndim, value.dtype)[()]
    return value


for _func in (np.result_type, np.can_cast, np.common_type, np.iscomplexobj, np.isrealobj, np.ndim):
    _looks(_func)


@rule(np.shape)
def _shape(trace: Trace, a: Any) -> Any:
    del trace
    return a.shape if _is_ours(a) else None


@rule(np.size)
def _size(trace: Trace, a: Any, axis: Any = None) -> Any:
    del trace
    if not _is_ours(a):
        return None
    return a.size if axis is None else a.shape[axis] if type(axis) is int else None


def _is_ours(a: Any) -> bool:
    return type(a) is Traced or issubclass(type(a), Deferred)


def _shares(func: Any) -> None:
    """Registers a function that compares the memory of two arrays."""

    @rule(func)
    def answer(trace: Trace, a: Any, b: Any, max_work: Any = None) -> Any:
        del trace
        first, second = _memory(a), _memory(b)
        if first is None or second is None or first is second:
            return None
        if type(first) is np.ndarray and type(second) is np.ndarray:
            return func(first, second, max_work=max_work)
        # What is not computed yet shares memory with its own slices only.
        return False


def _memory(value: Any) -> Any:
    """The array whose memory it is: a real one, or a deferred one that will have it. None for anything else."""
    if type(value) is Traced:
        return value._plain()
    while type(value) is DeferredArray:
        if value._real is not None:
            return value._real
        if value._parent is None:
            return value
        value = value._parent[0]
    return value if type(value) is np.ndarray else None


for _shared in (np.shares_memory, np.may_share_memory):
    _shares(_shared)

METHODS["flatten"] = _flatten
"""`flatten` is `ravel` and a copy. NumPy has no function of this name."""
