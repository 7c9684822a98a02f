"""Kernels that answer with an array: long arrays, any worker count, any window, and the caller's own memory."""

import math
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

import fanfold as ff
import oracle
import sequences
import zoo

Array = npt.NDArray[Any]

LONG = 3 * zoo.CHUNK + 77

WINDOWS: dict[str, Any] = {
    "sum": ff.rolling_sum,
    "mean": ff.rolling_mean,
    "var": ff.rolling_var,
    "std": ff.rolling_std,
    "min": ff.rolling_min,
    "max": ff.rolling_max,
    "median": ff.rolling_median,
    "quantile": ff.rolling_quantile,
}


def rough(n: int, seed: int = 0) -> Array:
    """Numbers, some of them missing, some infinite."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) + 5
    x[rng.random(n) < 0.1] = np.nan
    x[rng.random(n) < 0.01] = np.inf
    return x


def every_kernel() -> dict[str, ff.Kernel]:
    return {key: kernel for key, kernel in oracle.uses("float64").items() if kernel.name in sequences.NAMES}


# ---- laws ----


def test_all_are_listed() -> None:
    assert {kernel.name for kernel in every_kernel().values()} == sequences.NAMES


@pytest.mark.parametrize("content", ["plain", "rough"])
def test_the_bits_do_not_depend_on_the_workers(content: str) -> None:
    x = rough(LONG) if content == "rough" else np.random.default_rng(0).normal(size=LONG)
    functions = every_kernel() | {f"long {k}": f(window=9000, min_periods=1, center=True) for k, f in WINDOWS.items()}
    one = ff.run(x, functions, workers=1)
    for workers in (2, 3, 7):
        other = ff.run(x, functions, workers=workers)
        for key in functions:
            assert oracle.bits(one[key]) == oracle.bits(other[key]), (key, workers)


def test_company_does_not_change_a_bit() -> None:
    x = rough(zoo.CHUNK + 1000)
    functions = every_kernel()
    together = ff.run(x, functions | {"mean": "mean", "function": lambda x: np.nanmax(x)})
    for key, kernel in functions.items():
        assert oracle.bits(ff.run(x, {key: kernel})[key]) == oracle.bits(together[key]), key


# ---- windows ----


def numbers() -> st.SearchStrategy[Array]:
    elements = st.floats(-100, 100, width=32) | st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf])
    return nps.arrays(np.float64, nps.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40), elements=elements)


@settings(deadline=None, max_examples=200)
@given(x=numbers(), window=st.integers(1, 60), least=st.integers(0, 60) | st.none(), data=st.data())
def test_any_window_is_answered_as_by_the_oracle(x: Array, window: int, least: int | None, data: Any) -> None:
    least = None if least is None else min(least, window)
    center, step = data.draw(st.booleans()), data.draw(st.sampled_from([1, 2, -1]))
    x = x[..., ::step].T
    options = {"window": window, "min_periods": least, "center": center}
    functions = {name: function(**options) for name, function in WINDOWS.items()}
    r = ff.run(x, functions)
    for name, kernel in functions.items():
        assert sequences.difference(r[name], kernel, x, "propagate") is None


@settings(deadline=None, max_examples=100)
@given(x=numbers(), alpha=st.floats(0.01, 1.0), adjust=st.booleans(), ignore_na=st.booleans())
def test_any_weights_are_answered_as_by_pandas(x: Array, alpha: float, adjust: bool, ignore_na: bool) -> None:
    kernel = ff.ewm_mean(alpha=alpha, adjust=adjust, ignore_na=ignore_na)
    assert sequences.difference(ff.run(x, kernel)["ewm_mean"], kernel, x, "propagate") is None


@pytest.mark.parametrize("window", [1, 2, 3, 100, 1023, 1024, 1025, 5000, 70_000, 10**12])
@pytest.mark.parametrize("center", [False, True])
def test_long_windows_are_answered_as_by_pandas(window: int, center: bool) -> None:
    x = rough(LONG)
    functions = {k: f(window=window, min_periods=1, center=center) for k, f in WINDOWS.items()}
    r = ff.run(x, functions, workers=3)
    rolling = pd.Series(x).rolling(min(window, 2 * LONG + 1), 1, center)
    for name in functions:
        wanted = rolling.quantile(0.5) if name == "quantile" else getattr(rolling, name)()
        np.testing.assert_allclose(r[name], wanted.to_numpy(), rtol=1e-9, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("cap", [0.3, 0.5])
def test_carried_weights_are_those_of_pandas(cap: float) -> None:
    x = rough(LONG)
    x[zoo.CHUNK - 5 : zoo.CHUNK + int(zoo.CHUNK * cap)] = np.nan
    x[:100] = np.nan
    for options in ({"alpha": 0.1}, {"span": 1e5}, {"com": 1e4}, {"halflife": 2e4}):
        for adjust, ignore_na in ((True, False), (True, True), (False, False), (False, True)):
            kernel = ff.ewm_mean(**options, adjust=adjust, ignore_na=ignore_na)
            got = ff.run(x, kernel)["ewm_mean"]
            wanted = pd.Series(x).ewm(**options, adjust=adjust, ignore_na=ignore_na).mean().to_numpy()
            np.testing.assert_allclose(got, wanted, rtol=1e-11, err_msg=repr(kernel))


def test_a_chunk_of_nothing_but_nan_carries_what_comes_before() -> None:
    x = rough(LONG)
    x[zoo.CHUNK - 5 : 2 * zoo.CHUNK + 5] = np.nan
    for options in ({}, {"ignore_na": True}, {"adjust": False}, {"adjust": False, "ignore_na": True}):
        got = ff.run(x, ff.ewm_mean(halflife=3e4, **options))["ewm_mean"]
        np.testing.assert_allclose(got, pd.Series(x).ewm(halflife=3e4, **options).mean().to_numpy(), rtol=1e-11)
    np.testing.assert_allclose(ff.run(x, "cumsum", nan_policy="omit")["cumsum"], np.nancumsum(x))


# ---- accuracy ----


def test_nothing_drifts_far_from_zero() -> None:
    """Windows of numbers around 1e8, at the end of a long array, are as exact as at its beginning."""
    rng = np.random.default_rng(0)
    x = 1e8 + rng.normal(size=2_000_000)
    r = ff.run(x, [ff.rolling_sum(50), ff.rolling_mean(50), ff.rolling_var(50), "cumsum"])
    for end in (49, 1_000_003, x.size - 1):
        part = x[end - 49 : end + 1]
        exact = math.fsum(part)
        assert abs(r["rolling_sum"][end] - exact) <= 2 * math.ulp(exact)
        assert abs(r["rolling_mean"][end] - exact / 50) <= 2 * math.ulp(1e8)
        variance = np.var(part.astype(np.longdouble), ddof=1)
        assert abs(r["rolling_var"][end] / variance - 1) < 1e-13
    assert r["cumsum"][-1] == math.fsum(x)


def test_what_was_large_leaves_no_trace() -> None:
    x = np.ones(1000)
    x[[10, 500]] = 1e300, 1e17
    r = ff.run(x, [ff.rolling_sum(4), ff.rolling_var(4)])
    assert (r["rolling_sum"][14:500] == 4).all()
    assert (r["rolling_sum"][504:] == 4).all()
    assert (r["rolling_var"][14:500] == 0).all()


def test_the_variance_of_equal_elements_is_zero() -> None:
    x = np.full(10_000, 0.1) + 1e9
    assert (ff.run(x, ff.rolling_var(7))["rolling_var"][6:] == 0).all()


# ---- integers ----


@pytest.mark.parametrize(
    ("name", "elements"), [("cumsum", [2**62] * 3), ("cumprod", [2**32] * 3), ("diff", [2**62, -(2**62) - 1])]
)
def test_integers_that_do_not_fit_are_an_overflow_error(name: str, elements: list[int]) -> None:
    with pytest.raises(OverflowError, match=rf"'{name}': the exact result does not fit int64: pass the array"):
        ff.run(np.array(elements), name)


@pytest.mark.parametrize("place", [0, zoo.CHUNK, LONG - 2])
def test_an_overflow_in_any_chunk_is_noticed(place: int) -> None:
    x = np.ones(LONG, np.int64)
    x[place] = 2**63 - 1
    with pytest.raises(OverflowError):
        ff.run(x, "cumsum")


def test_a_sum_that_falls_back_overflows_all_the_same() -> None:
    with pytest.raises(OverflowError):
        ff.run(np.array([2**63 - 1, 1, -1]), "cumsum")


def test_a_zero_ends_all_products() -> None:
    assert ff.run(np.array([2**62, 0, 5, 2**62]), "cumprod")["cumprod"].tolist() == [2**62, 0, 0, 0]


# ---- out ----


def places(n: int, dtype: str) -> dict[str, Array]:
    bytes_ = np.empty(n * 8 + 1, np.uint8)
    return {
        "contiguous": np.empty(n, dtype),
        "strided": np.empty((n, 3), dtype)[:, 1],
        "reversed": np.empty(n, dtype)[::-1],
        "misaligned": bytes_[1:].view(dtype),
        "field": np.empty(n, [("a", "i1"), ("b", dtype)])["b"],
    }


@pytest.mark.parametrize("place", list(places(1, "f8")))
def test_results_are_written_where_they_are_to(place: str) -> None:
    x = rough(LONG)
    for key, kernel in every_kernel().items():
        wanted = ff.run(x, {key: kernel})[key]
        array = places(wanted.size, wanted.dtype.str)[place]
        r = ff.run(x, {key: kernel, "mean": "mean"}, out={key: array})
        assert r[key] is array
        assert array.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_every_dtype_is_written(dtype: str) -> None:
    x = np.sort(zoo.ordinary(dtype, 1000))
    functions = {key: kernel for key, kernel in oracle.uses(dtype).items() if kernel.name in sequences.NAMES}
    wanted = ff.run(x, functions, on_error="return")
    arrays = {key: value for key, value in wanted.items() if isinstance(value, np.ndarray)}
    given = {key: np.empty_like(value) for key, value in arrays.items()}
    for key, value in ff.run(x, {key: functions[key] for key in arrays}, out=given).items():
        assert value is given[key]
        assert oracle.bits(value) == oracle.bits(arrays[key])


def test_a_result_may_have_the_shape_of_the_data() -> None:
    x = rough(600).reshape(20, 30)
    for order in "CF":
        array = np.empty(x.shape, order=order)
        assert ff.run(x, "cummax", out={"cummax": array})["cummax"] is array
        np.testing.assert_array_equal(array.ravel(), np.maximum.accumulate(x.ravel()))
    assert ff.run(x, "cummax")["cummax"].shape == (600,)


def test_shared_memory_and_memory_maps_are_written(tmp_path: Path) -> None:
    x = rough(LONG)
    mapped = np.memmap(tmp_path / "out", np.float64, "w+", shape=x.shape)
    memory = shared_memory.SharedMemory(create=True, size=x.nbytes)
    try:
        shared = np.frombuffer(memory.buf, np.float64, x.size)
        with ff.Pool(2) as pool:
            r = pool.run(x, ["cumsum", "rank"], nan_policy="omit", out={"cumsum": mapped, "rank": shared})
        assert r["cumsum"] is mapped
        np.testing.assert_array_equal(mapped, ff.run(x, "cumsum", nan_policy="omit")["cumsum"])
        np.testing.assert_array_equal(shared, ff.run(x, "rank", nan_policy="omit")["rank"])
        del shared, r
    finally:
        memory.close()
        memory.unlink()


def test_a_plan_and_functions_write_too() -> None:
    x = np.random.default_rng(0).normal(size=LONG)
    array = np.empty_like(x)
    r = ff.plan(["cumsum", "mean"]).run(x, out={"cumsum": array})
    assert r["cumsum"] is array
    other = np.empty_like(x)
    r = ff.run(x, {"total": "cumsum", "function": lambda x: float(np.mean(x))}, out={"total": other})
    assert r["total"] is other
    np.testing.assert_array_equal(array, other)


READ_ONLY = np.empty(5)
READ_ONLY.flags.writeable = False
X = np.arange(6.0)

WRONG: list[tuple[Any, type[Exception], str]] = [
    (3, TypeError, r"out must be a dict {name: array} or None, not 3"),
    ([np.empty(5)], TypeError, r"out must be a dict"),
    ({"mean": np.empty(5)}, ValueError, r"out: 'mean' is not an array with one item .*: out takes 'cumsum'"),
    ({"sum": np.empty(5)}, ValueError, r"out: 'sum' is not a result of the call: out takes 'cumsum'"),
    ({1: np.empty(5)}, ValueError, r"out: 1 is not a result of the call"),
    ({"cumsum": [1.0] * 5}, TypeError, r"out\['cumsum'\] must be a numpy.ndarray, not list"),
    (
        {"cumsum": np.ma.masked_array(np.empty(5))},
        TypeError,
        r"out\['cumsum'\] must be a numpy.ndarray, not MaskedArray",
    ),
    ({"cumsum": np.empty(5, "f4")}, TypeError, r"must be of dtype float64, not float32: pass np.empty\(5, 'float64'\)"),
    ({"cumsum": np.empty(5, ">f8")}, TypeError, r"must be of dtype float64, not >f8: pass np.empty\(5, 'float64'\)"),
    ({"cumsum": np.empty(4)}, ValueError, r"must be of shape \(5,\), not \(4,\): pass np.empty\(5, 'float64'\)"),
    ({"cumsum": np.empty((5, 1))}, ValueError, r"must be of shape \(5,\), not \(5, 1\)"),
    ({"cumsum": READ_ONLY}, ValueError, r"out\['cumsum'\] is read-only: pass a writeable array"),
    ({"cumsum": X[:5]}, ValueError, r"out\['cumsum'\] shares memory with data, which is being read"),
    ({"cumsum": X[1:]}, ValueError, r"out\['cumsum'\] shares memory with data"),
    (
        {"cumsum": np.lib.stride_tricks.as_strided(np.empty(1), (5,), (0,))},
        ValueError,
        r"has elements that share memory",
    ),
]


@pytest.mark.parametrize(("out", "error", "message"), WRONG)
def test_what_cannot_be_written_to_is_told_before_any_data_is_touched(
    out: Any, error: type[Exception], message: str
) -> None:
    before = X.copy()
    for function in (["cumsum", "mean"], ["cumsum", "mean", lambda x: pytest.fail("it was called")]):
        with pytest.raises(error, match=message):
            ff.run(X[:5], function, out=out)
    assert (before == X).all()


def test_two_results_cannot_be_written_to_the_same_memory() -> None:
    array = np.zeros(9)
    with pytest.raises(ValueError, match=r"out\['cummax'\] shares memory with another array of out"):
        ff.run(X, ["cumsum", "cummax"], out={"cumsum": array[:6], "cummax": array[3:]})
    assert not array.any()
    ff.run(X[:3], ["cumsum", "cummax"], out={"cumsum": array[::3], "cummax": array[1::3]})
    assert array.tolist() == [0, 0, 0, 1, 1, 0, 3, 2, 0]


def test_every_other_element_of_the_input_s_own_memory_can_be_written_to() -> None:
    pairs = np.ones((1000, 2))
    ff.run(pairs[:, 0], "cumsum", out={"cumsum": pairs[:, 1]})
    assert (pairs[:, 1] == np.arange(1, 1001)).all()


def test_all_problems_are_told_together() -> None:
    with pytest.raises(ValueError) as caught:
        ff.run(X, ["cumsum", "diff"], out={"cumsum": np.empty(2), "diff": np.empty(6), "z": X}, workers=0)
    assert str(caught.value).count("\n- ") == 4


def test_a_failure_does_not_say_that_it_wrote() -> None:
    array = np.zeros(3, np.int64)
    x = np.array([2**62] * 3)
    r = ff.run(x, ["cumsum", "max"], out={"cumsum": array}, on_error="return")
    assert isinstance(r["cumsum"], OverflowError)
    assert r["max"] == 2**62
    with pytest.raises(ValueError, match="nan_policy='raise'"):
        ff.run(np.array([np.nan]), "cumsum", out={"cumsum": np.zeros(1)}, nan_policy="raise")


# ---- parameters ----


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda: ff.rolling_mean(window=0), "'rolling_mean': window must be an integer >= 1, not 0"),
        (lambda: ff.rolling_mean(window=3, min_periods=-1), "min_periods must be None or an integer >= 0, not -1"),
        (lambda: ff.rolling_quantile(q=1.5), "q must be a number from 0 to 1, not 1.5"),
        (lambda: ff.rank(method="best"), "method must be 'average', 'min', 'max', 'dense' or 'ordinal', not 'best'"),
        (lambda: ff.ewm_mean(alpha=0), "alpha must be None or a number > 0 and <= 1, not 0"),
        (lambda: ff.ewm_mean(span=0.5), "span must be None or a number >= 1, not 0.5"),
        (lambda: ff.run(X, ff.rolling_mean(3, min_periods=4)), "min_periods must be at most window, which is 3, not 4"),
        (
            lambda: ff.run(X, ff.ewm_mean(alpha=0.5, com=1)),
            "alpha must be the only one that is given .*, not alpha and com",
        ),
    ],
)
def test_bad_parameters_are_told(kernel: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel()


def test_windows_of_the_same_elements_share_a_walk() -> None:
    text = ff.plan([ff.rolling_mean(9), ff.rolling_std(9), ff.rolling_min(9), ff.rolling_max(9)]).explain()
    assert "windows of x -> rolling_mean, rolling_std, rolling_min, rolling_max" in text


def test_a_timeout_stops_them() -> None:
    with pytest.raises(TimeoutError):
        ff.run(np.zeros(20_000_000), [ff.rolling_median(1001), "rank"], timeout=0.01)


@pytest.mark.parametrize("n", [1000, 10**9, 2**62])
def test_differences_of_all_elements_are_none_at_once(n: int) -> None:
    x = np.arange(1000.0)
    assert ff.run(x, ff.diff(n=n))["diff"].size == np.diff(x, n=min(n, 1001)).size == 0
    assert ff.run(x.reshape(10, 100), ff.diff(n=n), axis=1)["diff"].shape == (10, 0)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_out_is_written_however_it_lies(axis: Any, keepdims: bool) -> None:
    x = np.arange(120.0).reshape(4, 5, 6)
    shape = (119,) if not isinstance(axis, int) else tuple(n - (i == axis) for i, n in enumerate(x.shape))
    differences = np.full(shape[::-1], -1.0).T
    sums = np.full((6, 5, 4), -1.0).T
    kernels = {"cumsum": "cumsum", "diff": ff.diff()}
    found = ff.run(x, kernels, axis=axis, keepdims=keepdims, out={"cumsum": sums, "diff": differences})
    right = ff.run(x, kernels, axis=axis)
    assert found["cumsum"] is sums and found["diff"] is differences
    np.testing.assert_array_equal(sums.reshape(right["cumsum"].shape), right["cumsum"])
    np.testing.assert_array_equal(differences, right["diff"])


def test_out_shares_no_memory_with_what_is_read() -> None:
    labels = np.arange(60) % 3
    with pytest.raises(ValueError, match=r"out\['cumsum'\] shares memory with by, which is being read"):
        ff.run(np.arange(60), "cumsum", by=labels, out={"cumsum": labels})
