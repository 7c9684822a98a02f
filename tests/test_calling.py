"""Functions as they stand: what takes no read-only array is called with a copy, and what writes to it is refused."""

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff

Array = npt.NDArray[Any]

small = np.random.default_rng(6).standard_normal(1000)
large = np.random.default_rng(6).standard_normal(200_000)


@numba.njit("float64(float64[:])")  # type: ignore[untyped-decorator]
def energy(x: Array) -> float:
    total = 0.0
    for v in x:
        total += v * v
    return total


@numba.njit("float64(float64[::1])", nogil=True)  # type: ignore[untyped-decorator]
def crossings(x: Array) -> float:
    n = 0.0
    for i in range(1, x.size):
        n += (x[i] > 0) != (x[i - 1] > 0)
    return n


def through_ctypes(x: Array) -> float:
    return float(np.frombuffer((ctypes.c_double * x.size).from_buffer(x)).sum())


def through_a_buffer(x: Array) -> float:
    """As Cython takes an array for a memoryview without ``const``: it asks for a buffer that can be written to."""
    ctypes.pythonapi.PyObject_GetBuffer.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
    view = ctypes.create_string_buffer(256)
    ctypes.pythonapi.PyObject_GetBuffer(x, view, 0x1)
    ctypes.pythonapi.PyBuffer_Release(view)
    return float(x.sum())


WANT_WRITEABLE: list[Callable[[Array], float]] = [energy, crossings, through_ctypes, through_a_buffer]


@pytest.mark.parametrize("x", [small, large], ids=["small", "large"])
@pytest.mark.parametrize("function", WANT_WRITEABLE, ids=lambda function: str(function.__name__))
def test_functions_that_take_no_read_only_array_get_a_copy(function: Any, x: Array) -> None:
    for functions in ({"f": function}, {"f": function, "g": function, "mean": "mean"}):
        r = ff.run(x, functions, workers=2)
        assert r["f"] == pytest.approx(function(x.copy()), rel=1e-12)
        assert r.report.bytes_copied == x.nbytes * (len(functions) - ("mean" in functions))
        assert r.report.how["f"] == "plain"
        assert "it does not accept a read-only array: it was called with a copy" in r.report.why["f"]


def test_they_get_one_of_each_group_too() -> None:
    by = np.arange(small.size) % 3
    r = ff.run(small, energy, by=by)
    assert r["energy"] == pytest.approx([energy(small[by == label]) for label in range(3)])
    # Beside the copy by which the groups were made.
    assert r.report.bytes_copied == 2 * small.nbytes
    assert "with a copy" in r.report.why["energy"]


def test_a_function_that_fails_with_a_copy_too_fails_as_it_did_at_first() -> None:
    integers = np.arange(1000)
    with pytest.raises(TypeError, match="readonly array") as caught:
        ff.run(integers, energy)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "writes",
    [
        lambda v: v.sort(),
        lambda v: v.__setitem__(0, 1),
        lambda v: np.add(v, 1, out=v),
        lambda v: v.fill(0),
        lambda v: np.random.default_rng(0).shuffle(v),
        lambda v: np.copyto(v, 0),
        lambda v: v.partition(3),
        lambda v: np.place(v, v > 0, 0),
        lambda v: v.byteswap(True),
        lambda v: v.put(0, 1),
        numba.njit(lambda v: v.fill(0)),
    ],
)
@pytest.mark.parametrize("x", [small, large], ids=["small", "large"])
def test_what_a_function_writes_is_not_lost_without_a_word(writes: Any, x: Array) -> None:
    before, called = x.copy(), 0

    def function(v: Array) -> None:
        nonlocal called
        called += 1
        writes(v)

    with pytest.raises(Exception, match=r"read-?only"):
        ff.run(x, function)
    assert np.array_equal(x, before)
    assert called <= 2


def test_the_copy_is_the_functions_own() -> None:
    seen = []

    @numba.njit("float64(float64[:])")  # type: ignore[untyped-decorator]
    def first(x: Array) -> float:
        x[0] = 5.0
        return x[0]

    def keeps(v: Array) -> float:
        seen.append(v[0])
        return float(first(v))

    before = small.copy()
    assert ff.run(small, {"a": keeps, "b": keeps}) == {"a": 5.0, "b": 5.0}
    assert np.array_equal(small, before)
    assert seen == [before[0]] * 4


def unaligned(dtype: str) -> Array:
    return np.frombuffer(bytes(8 * 10 + 1), np.uint8)[1:].view(dtype)


@pytest.mark.parametrize(
    "x",
    [
        *(np.arange(4).astype(code) for code in "?bhilqBHILQefdgFDG"),
        *(unaligned(code) for code in "qQd"),
        *(np.zeros(3, dtype) for dtype in (">f8", ">i4", "M8[s]", "S3", "V2", object)),
        np.broadcast_to(np.float64(3), (4, 5)),
        np.zeros((3, 0)),
        np.zeros(()),
        np.zeros((4, 6))[::-2, ::3],
        np.zeros((1,) * 64),
    ],
    ids=lambda x: f"{x.dtype}, {x.shape}",
)
def test_a_function_gets_the_array_in_place_and_cannot_unlock_it(x: Array) -> None:
    seen: list[Array] = []
    ff.run(x, seen.append)
    (got,) = seen
    assert (got.dtype, got.shape) == (x.dtype, x.shape)
    assert x.size == 0 or (got.strides, got.ctypes.data) == (x.strides, x.ctypes.data)
    assert not got.flags.writeable
    if not x.dtype.hasobject and x.dtype.kind != "V":
        with pytest.raises(ValueError, match="WRITEABLE"):
            got.flags.writeable = True


def test_kernels_and_functions_of_a_short_array_are_those_of_any_call() -> None:
    functions: dict[str, Any] = {"first": lambda v: v[0], "mean": "mean", "energy": energy, "max": "max"}
    in_full = ff.run(small, functions, workers=1)
    for given in (small, small.tolist()):
        at_once = ff.run(given, functions)
        assert list(at_once) == list(functions)
        assert at_once == in_full
    at_once = ff.run(small, functions)
    assert at_once.report.how == in_full.report.how
    assert at_once.report.why == in_full.report.why
    assert set(at_once.report.times.functions) == set(in_full.report.times.functions)
    assert at_once.report.bytes_copied == in_full.report.bytes_copied == small.nbytes


def test_a_failure_of_a_short_array_is_that_of_any_call() -> None:
    def fails(v: Array) -> Any:
        raise KeyError(v.size)

    told = []
    for options in ({}, {"workers": 1}):
        with pytest.raises(KeyError) as caught:
            ff.run(small, {"mean": "mean", "fails": fails}, **options)
        told.append((str(caught.value), vars(caught.value)))
    assert told[0] == told[1]
    assert told[0][1]["results"] == ff.run(small, "mean")
