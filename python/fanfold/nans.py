"""What results say about NaN: how many the data hold, and how to leave them out.

They are counted when results are shown, in data that are still there: a run takes no time for it, and results do not
keep the data alive.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.sources import opened

MOST = 2**24
"""The most elements in which NaN are counted to show results."""

MOST_IN_A_RESULT = 2**16
"""The most items of a result that are searched for NaN."""

_REMEDY = "nan_policy='omit' leaves them out"


Found = Callable[[], Any]
"""Gives the array or the list of arrays that is still there; None if they are gone."""


def remembered(data: Any, elements: Iterable[Any]) -> Found:
    """Return a reference to the elements of data that does not keep them alive."""
    arrays = list(elements)
    if all(isinstance(own, np.ndarray) for own in arrays):
        return partial(_all, [_view(own) for own in arrays])
    try:
        alive = weakref.ref(data)
    except TypeError:
        return _nothing
    return partial(_opened, alive)


def _nothing() -> None:
    return None


def _view(array: npt.NDArray[Any]) -> Callable[[], Any]:
    """Return a reference to an array by way of the array that owns its memory, which often lives longer."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is array:
        return weakref.ref(array)
    alive = weakref.ref(owner)
    first, own = (each.__array_interface__["data"][0] for each in (owner, array))
    shape, strides, dtype = array.shape, array.strides, array.dtype

    def again() -> Any:
        found = alive()
        memory = None if found is None else found.ravel(order="K")
        if memory is None or not np.may_share_memory(memory, found):
            return None
        return np.ndarray(shape, dtype, memory.data, own - first, strides)

    return again


def _all(views: list[Callable[[], Any]]) -> list[Any] | None:
    arrays = [view() for view in views]
    return None if any(own is None for own in arrays) else arrays


def _opened(alive: Callable[[], Any]) -> list[Any] | None:
    data = alive()
    found = None if data is None else opened(data, problems=[])
    return None if found is None else list(found.arrays.values())


def told(values: Mapping[Any, Any], kernels: Mapping[Any, _core.Kernel], data: Found) -> str:
    """Return what to say about NaN in the results of kernels; an empty text if there are none, or not from the data."""
    if not any(_has_nan(values[key]) for key in kernels if key in values):
        return ""
    count = _counted(data())
    if count is None:
        return f"NaN: if they are in the data, {_REMEDY}"
    return f"{count:,} NaN in the data: {_REMEDY}" if count else ""


def _has_nan(of: Any) -> bool:
    if isinstance(of, dict):
        return any(map(_has_nan, of.values()))
    if not isinstance(of, np.ndarray | np.generic) or of.dtype.kind not in "fc" or of.size > MOST_IN_A_RESULT:
        return False
    return bool(np.isnan(of).any())


def _counted(found: Any) -> int | None:
    """Return how many NaN arrays hold; None if they are gone or have too many elements."""
    arrays = [found] if isinstance(found, np.ndarray) else found
    if arrays is None or sum(own.size for own in arrays) > MOST:
        return None
    plan = _core.Plan([_core.Kernel("count_nan")], "propagate")
    return sum(int(plan.run(own, 0, None, {})[0][0]) for own in arrays if own.dtype.kind in "fc")
