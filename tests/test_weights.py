"""Weights: an element of weight 3 is there three times, one of weight 0 is not there."""

import itertools
from typing import Any

import hypothesis.extra.numpy as st_numpy
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanfold as ff
import oracle
import zoo

Array = npt.NDArray[Any]

WEIGHTED = [info.name for info in ff.kernels() if info.weighted]

USES = {
    **{name: ff.Kernel(name) for name in WEIGHTED if "quantile" not in name and "percentile" not in name},
    "var 1": ff.var(ddof=1),
    "sem 0": ff.sem(ddof=0),
    "skew unbiased": ff.skew(bias=False),
    "kurtosis unbiased": ff.kurtosis(bias=False),
    **{f"moment {order}": ff.moment(order) for order in (0, 1, 2, 3, 4, 5, 8)},
    "histogram": ff.histogram(7, range=(-2.0, 2.0)),
    "edges": ff.histogram([-1.0, 0.0, 0.25, 3.0]),
    "density": ff.histogram(5, range=(-1.0, 2.0), density=True),
    **{f"quantile {q}": ff.quantile(q, method="inverted_cdf") for q in (0, 0.3, 0.5, 1.0)},
    "quantiles": ff.quantile([0.1, 0.9], method="inverted_cdf"),
    "percentile": ff.percentile(20, method="inverted_cdf"),
    "nanquantile": ff.nanquantile(0.6, method="inverted_cdf"),
    "nanpercentile": ff.nanpercentile([70, 80], method="inverted_cdf"),
}

rng = np.random.default_rng(20_261_126)
x = rng.normal(size=1_000)
w = rng.integers(0, 5, size=x.size)


def assert_near(found: Any, right: Any, about: str, tolerance: float = 1e-11) -> None:
    """Fail unless both are the same up to rounding."""
    if isinstance(right, tuple):
        assert len(found) == len(right)
        for one, other in zip(found, right, strict=True):
            assert_near(one, other, about, tolerance)
        return
    np.testing.assert_allclose(found, right, rtol=tolerance, atol=tolerance, err_msg=about)
    assert np.shape(found) == np.shape(right), about


@pytest.mark.parametrize("size", [0, 1, 2, 3, 31, 1_000, 50_000, 300_000])
@pytest.mark.parametrize("key", USES)
def test_a_weight_says_how_often_an_element_is_there(key: str, size: int) -> None:
    elements = zoo.ordinary("float64", max(size, 1))[:size]
    weights = np.random.default_rng(size).integers(0, 4, size=size)
    found = ff.run(elements, {key: USES[key]}, weights=weights, nan_policy="propagate")[key]
    right = ff.run(np.repeat(elements, weights), {key: USES[key]})[key]
    assert_near(found, right, key)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", ">f8"])
@pytest.mark.parametrize("key", USES)
def test_of_every_dtype(key: str, dtype: str) -> None:
    elements = zoo.ordinary(dtype, 500)
    if np.dtype(dtype).kind in "iu":
        elements = elements % 100  # Weighted elements are float64: these are exact, and so are their powers.
    weights = np.arange(500) % 3
    found = ff.run(elements, {key: USES[key]}, weights=weights, on_error="return")[key]
    right = ff.run(np.repeat(elements, weights), {key: USES[key]}, on_error="return")[key]
    if isinstance(right, Exception):
        assert type(found) is type(right)
    else:
        assert_near(found, right, key, 2e-3)


@given(data=st.data())
def test_of_any_elements(data: st.DataObject) -> None:
    shape = data.draw(st_numpy.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    elements = data.draw(st_numpy.arrays(np.float64, shape, elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
    weights = data.draw(st_numpy.arrays(np.int64, shape, elements=st.integers(0, 3)))
    policy = data.draw(st.sampled_from(["propagate", "omit"]))
    functions: dict[str, Any] = {key: USES[key] for key in ("sum", "mean", "var", "quantiles", "quantile 0.5")}
    found = ff.run(elements, functions, weights=weights, nan_policy=policy)
    right = ff.run(np.repeat(elements, weights.reshape(-1)), functions, nan_policy=policy)
    for key in functions:
        scale = 1.0 if key == "quantiles" else 1e12 if key == "var" else 1e6
        np.testing.assert_allclose(found[key] / scale, right[key] / scale, rtol=1e-9, atol=1e-12)


# ---- NumPy's own weights ----


@pytest.mark.parametrize("weights", [w, w.astype(bool), rng.random(x.size), rng.random(x.size).astype("f4")])
def test_numpy_agrees(weights: Array) -> None:
    q = [0.0, 0.2, 0.5, 1.0]
    functions = ["mean", "average", ff.quantile(q, method="inverted_cdf"), ff.histogram(20)]
    r = ff.run(x, functions, weights=weights)
    assert_near(r["mean"], np.average(x, weights=weights), "mean")
    assert r["average"] == r["mean"]
    assert_near(r["quantile"], np.quantile(x, q, weights=weights.astype(float), method="inverted_cdf"), "quantile", 0)
    counts, edges = np.histogram(x, 20, weights=weights if weights.dtype != bool else weights.astype(int))
    assert_near(r["histogram"].counts, counts, "counts", 1e-6 if weights.dtype == "f4" else 1e-12)
    assert_near(r["histogram"].edges, edges, "edges", 0)
    assert r["histogram"].counts.dtype == (np.int64 if weights.dtype.kind in "bi" else np.float64)


REALS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


@pytest.mark.parametrize(("of", "weighing"), [*itertools.product(REALS, REALS)])
def test_the_dtype_is_numpys(of: str, weighing: str) -> None:
    elements, weights = np.ones(4, of), np.ones(4, weighing)
    right = np.average(elements, weights=weights).dtype
    assert ff.run(elements, "mean", weights=weights)["mean"].dtype == right


def test_frequency_weights_of_numpys_covariance() -> None:
    r = ff.run(x, {"var": ff.var(ddof=1)}, weights=w)
    assert_near(r["var"], np.cov(x, fweights=w), "var")
    r = ff.run(x, "var", weights=w / 7)
    assert_near(r["var"], np.cov(x, aweights=w / 7, ddof=0), "var")


def test_a_million_million_equal_values_vary_by_nothing() -> None:
    r = ff.run(np.full(10, 1e8 + 0.1), ["mean", "var", "sum"], weights=np.full(10, 1e11))
    assert r["mean"] == 1e8 + 0.1
    assert r["var"] == 0.0


# ---- with everything else ----


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (0, 2)])
def test_along_axes(axis: Any) -> None:
    elements, weights = x.reshape(10, 20, 5), w.reshape(10, 20, 5) + 1
    found = ff.run(elements, "mean", axis=axis, weights=weights)["mean"]
    assert_near(found, np.average(elements, axis=axis, weights=weights), "mean")


def test_weights_along_several_axes_go_where_numpy_puts_them() -> None:
    square, cube = np.arange(9.0).reshape(3, 3), np.arange(27.0).reshape(3, 3, 3)
    matrix = np.array([[1, 0, 0], [2, 0, 1], [0, 0, 3]])
    for axis in [(0,), (1,), (-1,)]:
        found = ff.run(square, "mean", axis=axis, weights=[1, 0, 2])["mean"]
        assert_near(found, np.average(square, axis=axis, weights=[1, 0, 2]), "mean")
    for axes in [(0, 1), (1, 0), (0, 2), (2, 1)]:
        found = ff.run(cube, "mean", axis=axes, weights=matrix)["mean"]
        # NumPy names the axes in the weights' order since 2.0.
        order = np.argsort(axes)
        expected = np.average(cube, axis=tuple(sorted(axes)), weights=matrix.transpose(order))
        assert_near(found, expected, "mean")
    long = np.ones((2, 3, 4))
    assert_near(ff.run(long, "sum", axis=(0, 1), weights=np.ones((2, 3)))["sum"], np.full(4, 6.0), "sum")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_weight_for_each_place_along_the_axis(axis: int) -> None:
    elements = x.reshape(20, 50)
    weights = rng.random(elements.shape[axis])
    found = ff.run(elements, "mean", axis=axis, weights=weights)["mean"]
    assert_near(found, np.average(elements, axis=axis, weights=weights), "mean")
    assert_near(ff.run(elements, "mean", weights=rng.random((20, 1)))["mean"], 0.0, "broadcast", 1.0)


def test_where_a_mask_is_true() -> None:
    mask = x > 0.3
    r = ff.run(x, ["mean", "var"], weights=w, where=mask)
    assert_near(r["mean"], np.average(x[mask], weights=w[mask]), "mean")
    assert_near(r["var"], np.var(np.repeat(x[mask], w[mask])), "var")


def test_of_groups() -> None:
    labels = np.arange(x.size) % 7
    r = ff.run(x, ["mean", ff.std(ddof=1)], weights=w, by=labels)
    for label, mean, std in zip(r.groups, r["mean"], r["std"], strict=True):
        own = np.repeat(x[labels == label], w[labels == label])
        assert_near(mean, own.mean(), "mean")
        assert_near(std, own.std(ddof=1), "std")
    assert r.report.bytes_copied == x.nbytes + w.nbytes


def test_of_every_array_of_a_dict() -> None:
    r = ff.run({"x": x, "y": -x}, "mean", weights=w)
    assert_near(r["mean"]["x"], np.average(x, weights=w), "mean")
    assert r["mean"]["y"] == -r["mean"]["x"]


def test_functions_are_called_with_weights() -> None:
    r = ff.run(x, np.average, weights=w)
    assert r["average"] == np.average(x, weights=w)
    labels = np.arange(x.size) % 2
    r = ff.run(x, np.average, weights=w, by=labels)
    assert_near(r["average"], [np.average(x[i::2], weights=w[i::2]) for i in range(2)], "average")
    with pytest.raises(TypeError, match="has no parameter weights"):
        ff.run(x, {"f": lambda v: v}, weights=w)

    def weighed(v: Array, weights: Array) -> Any:
        return np.average(v, weights=weights)

    assert ff.run(x, weighed, weights=w)["weighed"] == np.average(x, weights=w)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_bits_do_not_depend_on_workers(workers: int) -> None:
    elements, weights = rng.normal(size=1_500_000), rng.random(1_500_000)
    one = ff.run(elements, USES, weights=weights, workers=1)
    more = ff.run(elements, USES, weights=weights, workers=workers)
    for key in USES:
        assert oracle.bits(one[key]) == oracle.bits(more[key]), key


def test_company_does_not_change_a_bit() -> None:
    together = ff.run(x, USES, weights=w)
    for key, kernel in USES.items():
        alone = ff.run(x, {key: kernel}, weights=w)
        assert oracle.bits(alone[key]) == oracle.bits(together[key]), key


def test_what_weighs_nothing_is_not_there() -> None:
    elements = np.array([np.inf, 1.0, np.nan, 2.0, -np.inf])
    r = ff.run(elements, {**USES}, weights=[0, 1, 0, 2, 0])
    right = ff.run(np.array([1.0, 2.0, 2.0]), USES)
    for key in USES:
        assert_near(r[key], right[key], key)


def test_without_any_weight_it_is_as_of_an_empty_array() -> None:
    r = ff.run(x, ["mean", "sum", "var", ff.quantile(0.5, method="inverted_cdf")], weights=np.zeros(x.size))
    assert np.isnan(r["mean"]) and np.isnan(r["var"]) and np.isnan(r["quantile"])
    assert r["sum"] == 0.0


def test_a_plan_and_a_pool_take_weights() -> None:
    assert ff.plan("mean").run(x, weights=w)["mean"] == ff.run(x, "mean", weights=w)["mean"]
    with ff.Pool(2) as pool:
        assert pool.run(x, "mean", weights=w)["mean"] == ff.run(x, "mean", weights=w)["mean"]


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (-w, ValueError, "weights holds -4: a weight is a finite number >= 0"),
        (np.where(w > 3, np.nan, w), ValueError, "weights holds NaN: put 0 where an element must not count"),
        (np.where(w > 3, np.inf, w), ValueError, "weights holds inf: a weight is a finite number >= 0"),
        (w[1:], ValueError, r"weights has shape \(999,\), which does not broadcast to that of data, \(1000,\)"),
        (w * 1j, TypeError, "weights must be an array of real numbers, not an array of dtype complex128"),
        (w.astype(str), TypeError, "weights must be an array of real numbers, not an array of dtype <U21"),
        (w.astype("g"), TypeError, r"not an array of dtype (longdouble|float128): pass weights.astype\(float\)"),
        ("ones", TypeError, "weights must be an array of real numbers, not 'ones'"),
        (
            2.0,
            TypeError,
            "not 2.0: a single number gives every element the same weight: leave it out, or pass a weight for each",
        ),
        ([[1], [2, 3]], TypeError, r"weights must be an array, not \[\[1\], \[2, 3\]\] .*: pass np.asarray\(weights\)"),
        ({"x": w}, TypeError, "weights must be an array of real numbers, not {'x'"),
        (np.ma.masked_array(w, w > 2), TypeError, r"weights has missing elements \(\d+\): put 0 where"),
    ],
)
def test_wrong_weights_are_told(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ff.run(x, "mean", weights=weights)


def test_the_check_of_weights_is_stopped_as_the_run_is() -> None:
    endless = np.broadcast_to(np.array([2.0, 3.0]), (2 * 10**9, 2)).T
    with pytest.raises(TimeoutError, match=r"timeout=0\.05 s passed"):
        ff.run(endless, "mean", weights=endless, timeout=0.05)


def test_what_has_no_exact_answer_is_an_error() -> None:
    large = np.array([2**60 + 1, 2**60 + 3, 2**60 + 5])
    with pytest.raises(
        OverflowError, match="'quantile': integers of 2\\*\\*53 or more have no exact result with weights"
    ):
        ff.run(large, ff.quantile(0.5, method="inverted_cdf"), weights=[1, 1, 1])
    with pytest.raises(
        OverflowError, match="'histogram': the exact result does not fit int64: pass the weights as float64"
    ):
        ff.run(np.ones(3), ff.histogram(1), weights=np.full(3, 2**62))
    exact = ff.run(np.ones(4), ff.histogram(1), weights=[2**53, 1, 1, 1])
    assert exact["histogram"].counts[0] == 2**53 + 3


def test_two_things_look_at_all_elements() -> None:
    r = ff.run(np.array([1.0, 2.0, 4.0, 8.0]), ff.histogram(2), weights=[0, 1, 1, 0])
    assert list(r["histogram"].edges) == [1.0, 4.5, 8.0]
    with pytest.raises(ValueError, match="nan_policy='raise'"):
        ff.run(np.array([np.nan, 1.0]), "mean", weights=[0, 1], nan_policy="raise")


@pytest.mark.parametrize("name", [info.name for info in ff.kernels() if not info.weighted and info.arrays == "one"])
def test_kernels_that_take_no_weights_say_which_do(name: str) -> None:
    with pytest.raises(ValueError, match="takes no weights"):
        ff.run(x, name, weights=w)


def test_parameters_that_have_no_weights_are_told() -> None:
    with pytest.raises(ValueError, match="'quantile': method must be 'inverted_cdf' where elements have weights, not"):
        ff.run(x, "quantile", weights=w)
    with pytest.raises(ValueError, match="'histogram': bins must be a number of bins or their edges where elements"):
        ff.run(x, ff.histogram("auto"), weights=w)
    with pytest.raises(
        TypeError, match="of dtype complex128: it takes bool, integers and floats if elements have weights"
    ):
        ff.run(x * 1j, "mean", weights=w)
