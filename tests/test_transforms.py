"""Arrays that a function makes of a row: made for all rows in one call, they are what the calls of the rows make."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff

Array = npt.NDArray[Any]

rng = np.random.default_rng(1)
NORMAL = rng.standard_normal((300, 200))
ARRAYS: dict[str, Array] = {
    "float64": NORMAL,
    "float32": NORMAL.astype("f4"),
    "int64": rng.integers(-9, 9, (300, 200)),
    "uint8": rng.integers(0, 200, (300, 50)).astype("u1"),
    "bool": NORMAL > 0,
    "some NaN": np.where(rng.random((300, 200)) > 0.999, np.nan, NORMAL),
    "some infinite": np.where(rng.random((300, 200)) > 0.999, np.inf, NORMAL),
    "nothing but NaN": np.full((100, 20), np.nan),
    "Fortran order": np.asfortranarray(NORMAL[:, :100]),
    "every second": NORMAL[::2, ::-2],
    "constant": np.ones((100, 30)),
    "three axes": rng.standard_normal((10, 20, 64)),
    "huge": rng.standard_normal((100, 64)) * 1e300,
    "one row": NORMAL[:1],
    "short": NORMAL[:, :2],
}


def entropy(v: Array) -> Any:
    counts, _ = np.histogram(v, bins=20)
    p = counts / counts.sum()
    p = p[p > 0]
    return -np.sum(p * np.log2(p))


def centroid(v: Array) -> Any:
    spectrum = np.abs(np.fft.rfft(v))
    return (np.arange(spectrum.size) * spectrum).sum() / spectrum.sum()


FUNCTIONS: dict[str, Callable[[Array], Any]] = {
    "sorted": lambda v: np.sort(v),
    "sorted and changed": lambda v: np.sort(v) * 2 + v,
    "top": lambda v: np.sort(v)[-10:].mean(),
    "without the ends": lambda v: np.sort(v)[1:-1].sum(),
    "downwards": lambda v: np.sort(v)[::-1][:3].max(),
    "of a formula": lambda v: np.sort(np.abs(v))[1],
    "spectrum": lambda v: np.abs(np.fft.rfft(v)),
    "dominant": lambda v: np.argmax(np.abs(np.fft.rfft(v - v.mean()))[1:]) + 1,
    "power": lambda v: (np.abs(np.fft.rfft(v)) ** 2).sum(),
    "fft": lambda v: np.fft.fft(v),
    "fft of a length": lambda v: np.abs(np.fft.rfft(v, n=16)).sum(),
    "fft with a norm": lambda v: np.abs(np.fft.rfft(v, norm="ortho")).max(),
    "there and back": lambda v: np.fft.irfft(np.fft.rfft(v)),
    "cumsum": lambda v: np.cumsum(v).max(),
    "cumsum as a method": lambda v: v.cumsum().min(),
    "drawdown": lambda v: (np.maximum.accumulate(np.cumsum(v)) - np.cumsum(v)).max(),
    "counts": lambda v: np.histogram(v, 7)[0],
    "edges": lambda v: np.histogram(v, bins=7)[1],
    "density": lambda v: np.histogram(v, 5, density=True)[0].max(),
    "range": lambda v: np.histogram(v, 5, (-1, 1))[0].sum(),
    "more bins than elements": lambda v: np.histogram(v, 500)[0].max(),
    "edges that are given": lambda v: np.histogram(v, [-1, 0, 1])[0],
    "entropy": entropy,
    "centroid": centroid,
    "gini": lambda v: np.sum(np.arange(1.0, v.size + 1) * np.sort(v)),
    "weighted": lambda v: (v * np.linspace(0, 1, v.size)).max(),
    "weighted slice": lambda v: (v * np.linspace(0, 1, v.size))[1:].max(),
    "along an axis that is not there": lambda v: np.sort(v, axis=2),
    "by another name": lambda v: np.sort(a=v)[0],
    "first and last": lambda v: np.sort(v)[-1] - np.sort(v)[0] if v.dtype != bool else 0,
}


def alone(function: Callable[[Array], Any], x: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.apply_along_axis(function, -1, x)
        except Exception as error:
            return error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ARRAYS)
def test_they_are_what_each_row_gives(name: str) -> None:
    x = ARRAYS[name]
    before = x.copy()
    r = ff.run(x, FUNCTIONS, axis=-1, on_error="return", workers=2)
    single = x.dtype == np.float32
    for key, function in FUNCTIONS.items():
        got, want = r[key], alone(function, x)
        if isinstance(want, Exception):
            assert type(got) is type(want), (key, got, want)
            continue
        assert not isinstance(got, Exception), (key, got)
        assert (got.dtype, got.shape) == (want.dtype, want.shape), key
        np.testing.assert_allclose(got, want, rtol=2e-3 if single else 1e-9, atol=1e-2 if single else 1e-9, err_msg=key)
    np.testing.assert_array_equal(x, before)


PLAIN = {
    "more bins than elements",
    "edges that are given",
    "along an axis that is not there",
    "by another name",
}


def test_most_are_made_for_all_rows_at_once() -> None:
    report = ff.run(NORMAL, FUNCTIONS, axis=1, on_error="return").report
    assert {key for key, how in report.how.items() if how != "fused"} == PLAIN
    rare = ff.run(ARRAYS["some NaN"], {"entropy": entropy}, axis=1, on_error="return").report
    assert rare.how["entropy"] in ("partly fused", "plain")


def test_results_belong_to_the_function() -> None:
    r = ff.run(NORMAL, {"a": lambda v: np.sort(v), "b": lambda v: np.sort(v)}, axis=1)
    r["a"][:] = 0
    np.testing.assert_array_equal(r["b"], np.sort(NORMAL, axis=1))
    r = ff.run(NORMAL, {"a": lambda v: v * 2, "b": lambda v: v * 2, "c": lambda v: v.max(), "d": np.max}, axis=1)
    r["a"][:] = r["c"][:] = 0
    np.testing.assert_array_equal(r["b"], NORMAL * 2)
    np.testing.assert_array_equal(r["d"], NORMAL.max(axis=1))


def test_what_is_made_may_be_changed_and_kept() -> None:
    def changes(v: Array) -> Any:
        y = np.sort(v)
        y[0] = 7.0
        return y[0] + y.sum()

    kept: list[Any] = []

    def keeps(v: Array) -> Any:
        kept.append((np.sort(v), v * np.arange(v.size)))
        return v.sum()

    r = ff.run(NORMAL, [changes, keeps], axis=1)
    np.testing.assert_allclose(r["changes"], np.apply_along_axis(changes, 1, NORMAL), rtol=1e-12)
    for (in_order, weighted), row in zip(kept[-len(NORMAL) :], NORMAL, strict=True):
        np.testing.assert_array_equal(in_order, np.sort(row))
        np.testing.assert_array_equal(weighted, row * np.arange(row.size))


def test_arrays_that_differ_from_call_to_call_are_told_apart() -> None:
    numbers = iter(range(10**6))
    r = ff.run(NORMAL, {"it": lambda v: (v * 0 + np.full(v.size, next(numbers))).max()}, axis=1, workers=1)
    assert len(set(r["it"].tolist())) == len(NORMAL)


def test_groups_of_one_length() -> None:
    labels = np.repeat(np.arange(200), 300)
    x = NORMAL.ravel()
    r = ff.run(x, {"entropy": entropy, "top": FUNCTIONS["top"]}, by=labels)
    assert set(r.report.how.values()) == {"fused"}
    want = [entropy(x[labels == label]) for label in range(200)]
    np.testing.assert_allclose(r["entropy"], want, rtol=1e-12)


def test_errors_and_warnings_are_those_of_the_rows() -> None:
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        ff.run(ARRAYS["constant"], lambda v: np.log(np.histogram(v, 3)[0]).sum(), axis=1)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        ff.run(ARRAYS["constant"], lambda v: np.log(np.histogram(v, 3)[0]).max(), axis=1)
    with pytest.raises(ValueError, match="not finite"):
        ff.run(ARRAYS["nothing but NaN"], lambda v: np.histogram(v, 3)[0].max(), axis=1)


def test_no_rows() -> None:
    r = ff.run(np.zeros((0, 30)), {"top": FUNCTIONS["top"], "sorted": np.sort, "entropy": entropy}, axis=1)
    assert (r["top"].shape, r["sorted"].shape, r["entropy"].shape) == ((0,), (0, 30), (0,))


def test_a_timeout_ends_long_transforms() -> None:
    with pytest.raises(TimeoutError):
        ff.run(np.zeros((20_000, 1000)), lambda v: np.sort(v)[0], axis=1, timeout=0.01)
