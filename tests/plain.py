"""The oracle of traced functions: what the plain call of a function gives, and whether a run gave the same."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.checks import locked


def called(function: Callable[[npt.NDArray[Any]], Any], x: npt.NDArray[Any]) -> Any:
    """What the plain call on a read-only array gives, an exception being an answer too."""
    view = locked(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(view)
        except Exception as error:
            return error


def assert_same(got: Any, want: Any, close: bool, layouts: bool = False) -> None:
    """The same types, dtypes, shapes and values, but for the rounding of sums if `close`; and the same strides if
    `layouts`.
    """
    if isinstance(want, Exception):
        assert (type(got), str(got)) == (type(want), str(want))
        return
    assert type(got) is type(want), (got, want)
    if isinstance(want, tuple | list):
        assert len(got) == len(want)
        for ours, theirs in zip(got, want, strict=True):
            assert_same(ours, theirs, close, layouts)
    elif isinstance(want, np.ndarray | np.generic):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        if close and want.dtype.kind in "fc":
            single = want.dtype.itemsize // (2 if want.dtype.kind == "c" else 1) < 8
            np.testing.assert_allclose(got, want, rtol=2e-3 if single else 1e-9, atol=1e-2 if single else 1e-9)
        else:
            np.testing.assert_array_equal(got, want)
            if want.dtype.kind == "f":
                there = ~np.isnan(want)
                np.testing.assert_array_equal(np.signbit(got)[there], np.signbit(want)[there])
        if isinstance(want, np.ndarray):
            assert got.flags.writeable == want.flags.writeable
            assert not layouts or _strides(got) == _strides(want)
    else:
        assert got == want


def _strides(array: npt.NDArray[Any]) -> tuple[int, ...]:
    """The strides that matter."""
    return tuple(stride for stride, length in zip(array.strides, array.shape, strict=True) if length > 1)
