"""Several arrays: every array's own answers, and kernels of two arrays and of all."""

import json
import pickle
import threading
import warnings
from typing import Any

import hypothesis.extra.numpy as st_numpy
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import fanfold as ff
import oracle
import zoo

Array = npt.NDArray[Any]

rng = np.random.default_rng(20_261_125)
x = rng.normal(size=2_000)
y = 0.5 * x + rng.normal(size=2_000)
z = rng.integers(0, 9, size=2_000)
DATA = {"x": x, "y": y, "z": z}

TWO = [info for info in ff.kernels() if info.arrays == "two"]
ALL = [info for info in ff.kernels() if info.arrays == "all"]
PAIRS = {repr(made): made for info in TWO for example in info.examples if (made := ff.Kernel(info.name, **example))}
MATRICES = {repr(made): made for info in ALL for example in info.examples if (made := ff.Kernel(info.name, **example))}


def right(kernel: ff.Kernel, **arrays: Any) -> Any:
    """What the catalogue's expression says."""
    (info,) = (info for info in ff.kernels() if info.name == kernel.name)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return eval(info.numpy, {**oracle.NAMES, **kernel.parameters, **arrays})


def assert_near(found: Any, expected: Any, tolerance: float = 1e-12, about: str = "") -> None:
    """Fail unless both are the same up to rounding."""
    if hasattr(expected, "intercept_stderr"):
        expected = (*expected[:5], expected.intercept_stderr)
    if isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other, tolerance, about)
        return
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=about)


# ---- of each array ----


def test_most_functions_answer_for_each_array() -> None:
    def spread(v: Array) -> Any:
        return v.max() - v.min()

    functions = ["mean", ff.quantile([0.1, 0.9]), "mode", ff.histogram(5), "cumsum", "unique", spread]
    r = ff.run(DATA, functions)
    assert list(r) == ["mean", "quantile", "mode", "histogram", "cumsum", "unique", "spread"]
    for name, array in DATA.items():
        alone = ff.run(array, functions)
        for key, value in alone.items():
            assert oracle.bits(r[key][name]) == oracle.bits(value), key
    assert r.report.how == dict.fromkeys(r, "kernel") | {"spread": "plain"}


@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_of_every_dtype_and_its_unit(dtype: str) -> None:
    array = zoo.ordinary(dtype, 300)
    names = [name for name, info in oracle.KERNELS.items() if zoo.family(dtype) in info.dtypes and name != "diff"]
    r = ff.run({"a": array, "b": array[::-1]}, names, on_error="return")
    alone = {"a": ff.run(array, names, on_error="return"), "b": ff.run(array[::-1], names, on_error="return")}
    for name in names:
        failed = [answers[name] for answers in alone.values() if isinstance(answers[name], Exception)]
        if failed:
            assert type(r[name]) is type(failed[0])
            continue
        for key, answers in alone.items():
            assert oracle.bits(r[name][key]) == oracle.bits(answers[name]), name


def test_one_pass_serves_all_arrays() -> None:
    r = ff.run(DATA, ["mean", "max", ff.corr("x", "y"), ff.cov("x", "z"), "cov_matrix"], workers=1)
    assert r.report.passes == 1
    assert r.report.bytes_read == x.nbytes + y.nbytes + z.nbytes
    assert r.report.bytes_copied == 0


# ---- of two ----


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 40, 2_000, 300_000])
@pytest.mark.parametrize("key", PAIRS)
def test_of_two_arrays(key: str, size: int) -> None:
    one = np.random.default_rng(size).normal(size=size).round(3 if "spearman" in key else 9) + 3.0
    two = 2.0 * one + np.random.default_rng(1).normal(size=size)
    (found,) = ff.run({"x": one, "y": two}, PAIRS[key]).values()
    if size < 2 and "linregress" in key:
        assert np.isnan(found.slope) and np.isnan(found.pvalue)
        return
    assert_near(found, right(PAIRS[key], x=one, y=two), 1e-9 if "linregress" in key else 1e-11, key)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", ">f8"])
@pytest.mark.parametrize("key", PAIRS)
def test_of_two_arrays_of_every_dtype(key: str, dtype: str) -> None:
    one = zoo.ordinary(dtype, 400)
    if np.dtype(dtype).kind in "iu":
        one = one % 100
    (found,) = ff.run({"x": one, "y": y[:400]}, PAIRS[key]).values()
    assert_near(found, right(PAIRS[key], x=one.astype(float), y=y[:400]), 1e-9)


@given(data=st.data())
def test_of_any_pairs(data: st.DataObject) -> None:
    n = data.draw(st.integers(3, 60))
    elements = st.integers(-50, 50).map(float)
    one, two = (data.draw(st_numpy.arrays(np.float64, n, elements=elements)) for _ in "xy")
    for key, kernel in PAIRS.items():
        (found,) = ff.run({"x": one, "y": two}, kernel).values()
        if np.ptp(one) == 0 or np.ptp(two) == 0:
            continue
        # What is left of a line that fits is rounding, of which a square root is taken.
        assert_near(found, right(kernel, x=one, y=two), 1e-6 if "linregress" in key else 1e-8, key)


def test_names_say_which_two() -> None:
    kernels = {"xy": ff.corr("x", "y"), "yz": ff.corr("y", y="z"), "zx": ff.corr(x="z", y="x"), "xx": ff.corr("x", "x")}
    r = ff.run(DATA, kernels)
    assert_near(r["xy"], np.corrcoef(x, y)[0, 1])
    assert_near(r["yz"], np.corrcoef(y, z)[0, 1])
    assert_near(r["zx"], np.corrcoef(z, x)[0, 1])
    assert r["xx"] == 1.0
    assert ff.run({"a": x, "b": y}, "corr")["corr"] == r["xy"]


def test_nan_is_left_out_of_pairs() -> None:
    one, two = x.copy(), y.copy()
    one[::5], two[::7] = np.nan, np.nan
    there = ~np.isnan(one) & ~np.isnan(two)
    for key, kernel in PAIRS.items():
        (alone,) = ff.run({"x": one[there], "y": two[there]}, kernel).values()
        (found,) = ff.run({"x": one, "y": two}, kernel, nan_policy="omit").values()
        assert_near(found, alone, 1e-12, key)
        (found,) = ff.run({"x": one, "y": two}, kernel).values()
        assert np.all(np.isnan(found)), key
        with pytest.raises(ValueError, match="nan_policy='raise' and the array holds 686 NaN"):
            ff.run({"x": one, "y": two}, kernel, nan_policy="raise")


def test_pandas_agrees() -> None:
    frame = pd.DataFrame(DATA).assign(w=np.where(x > 1, np.nan, y))
    arrays = {str(name): column.to_numpy() for name, column in frame.items()}
    kernels = {"pearson": ff.corr("x", "w"), "spearman": ff.corr("z", "w", method="spearman"), "cov": ff.cov("x", "w")}
    r = ff.run(arrays, {**kernels, "matrix": ff.corr_matrix()}, nan_policy="omit")
    assert_near(r["pearson"], frame.x.corr(frame.w))
    assert_near(r["spearman"], frame.z.corr(frame.w, method="spearman"))
    assert_near(r["cov"], frame.x.cov(frame.w))
    assert_near(r["matrix"], frame.dropna().corr())


def test_a_line_through_all_points() -> None:
    one = np.arange(10.0)
    r = ff.run({"x": one, "y": 3 * one + 2}, "linregress")["linregress"]
    assert isinstance(r, ff.LinearRegression)
    assert_near(r, stats.linregress(one, 3 * one + 2))
    constant = ff.run({"x": one, "y": np.ones(10)}, "linregress")["linregress"]
    assert_near(constant, stats.linregress(one, np.ones(10)))
    two = ff.run({"x": one[:2], "y": one[:2] + 1}, "linregress")["linregress"]
    assert_near(two, stats.linregress(one[:2], one[:2] + 1))


def test_far_from_zero_nothing_is_lost() -> None:
    one, two = x + 1e8, y - 1e9
    r = ff.run({"x": one, "y": two}, ["cov", "corr", "cov_matrix"])
    assert_near(r["cov"], np.cov(one - one.mean(), two - two.mean())[0, 1], 1e-7)
    assert_near(r["corr"], np.corrcoef(one, two)[0, 1], 1e-7)
    assert_near(r["cov_matrix"][0, 1], r["cov"], 1e-12)


# ---- of all ----


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 33])
@pytest.mark.parametrize("size", [2, 7, 8, 513, 5_000, 300_000])
def test_matrices(count: int, size: int) -> None:
    arrays = np.random.default_rng(count).normal(size=(count, size)) + np.arange(count)[:, None]
    r = ff.run({f"c{i}": array for i, array in enumerate(arrays)}, MATRICES)
    for key, kernel in MATRICES.items():
        assert r[key].shape == (count, count)
        assert_near(r[key], np.reshape(right(kernel, columns=arrays), (count, count)), 1e-11, key)
        assert (r[key] == r[key].T).all()


def test_matrices_of_too_few_and_of_equal_elements() -> None:
    r = ff.run({"x": x[:1], "y": y[:1]}, ["cov_matrix", "corr_matrix"])
    assert np.isnan(r["cov_matrix"]).all() and np.isnan(r["corr_matrix"]).all()
    r = ff.run({"x": x, "y": np.ones(x.size)}, ["cov_matrix", "corr_matrix"])
    assert (r["cov_matrix"][1] == 0).all()
    assert np.isnan(r["corr_matrix"][1]).all() and r["corr_matrix"][0, 0] == 1.0


def test_nan_in_an_array_is_nan_in_its_row() -> None:
    holed = x.copy()
    holed[7] = np.nan
    r = ff.run({"x": holed, "y": y, "z": z}, "cov_matrix")["cov_matrix"]
    assert np.isnan(r[0]).all() and np.isnan(r[:, 0]).all()
    assert_near(r[1:, 1:], np.cov([y, z]))
    r = ff.run({"x": holed, "y": y, "z": z}, "cov_matrix", nan_policy="omit")["cov_matrix"]
    assert_near(r, np.cov([np.delete(array, 7) for array in (x, y, z)]))


# ---- with everything else ----


@pytest.mark.parametrize("axis", [0, 1, (0, 2), None])
@pytest.mark.parametrize("keepdims", [False, True])
def test_along_axes(axis: Any, keepdims: bool) -> None:
    one, two = x.reshape(10, 20, 10), y.reshape(10, 20, 10)
    r = ff.run({"x": one, "y": two}, ["mean", "corr", "cov_matrix"], axis=axis, keepdims=keepdims)
    for name, array in {"x": one, "y": two}.items():
        assert_near(r["mean"][name], array.mean(axis=axis, keepdims=keepdims))
    taken = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    flat = [np.moveaxis(array, taken, range(len(taken))).reshape(-1, r["mean"]["x"].size) for array in (one, two)]
    corr = [np.corrcoef(a, b)[0, 1] for a, b in zip(flat[0].T, flat[1].T, strict=True)]
    assert_near(r["corr"], np.reshape(corr, r["mean"]["x"].shape))
    cov = [np.cov(a, b) for a, b in zip(flat[0].T, flat[1].T, strict=True)]
    assert_near(r["cov_matrix"], np.reshape(cov, (*r["mean"]["x"].shape, 2, 2)))


def test_where_a_mask_is_true() -> None:
    mask = z > 3
    r = ff.run(
        DATA, {"mean": "mean", "r": ff.corr("x", "y"), "m": "cov_matrix", "l": ff.linregress("x", "y")}, where=mask
    )
    assert_near(r["mean"]["x"], x[mask].mean())
    assert_near(r["r"], np.corrcoef(x[mask], y[mask])[0, 1])
    assert_near(r["m"], np.cov([x[mask], y[mask], z[mask]]))
    assert_near(r["l"], stats.linregress(x[mask], y[mask]))


@pytest.mark.parametrize("labels", [z, rng.integers(0, 500, size=2_000), np.zeros(2_000, int)])
def test_of_groups(labels: Array) -> None:
    kernels = {
        "mean": "mean",
        **{key: made for key, made in PAIRS.items() if "linregress" not in key},
        "m": "cov_matrix",
    }
    r = ff.run({"x": x, "y": y}, kernels, by=labels)
    assert len(r.groups) == len(np.unique(labels))
    for place, label in enumerate(r.groups):
        own = {"x": x[labels == label], "y": y[labels == label]}
        alone = ff.run(own, kernels)
        for key in kernels:
            if key == "mean":
                assert r[key]["x"][place] == alone[key]["x"] and r[key]["y"][place] == alone[key]["y"]
            else:
                np.testing.assert_array_equal(r[key][place], alone[key], err_msg=key)
    assert r.report.bytes_copied == x.nbytes + y.nbytes


def test_functions_and_sequences_of_groups() -> None:
    r = ff.run({"x": x, "y": y}, ["cumsum", np.ptp], by=z)
    assert list(r["cumsum"]) == ["x", "y"]
    assert_near(r["ptp"]["y"], [np.ptp(y[z == label]) for label in r.groups])


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_bits_do_not_depend_on_workers(workers: int) -> None:
    arrays = {name: np.random.default_rng(place).normal(size=1_200_000) for place, name in enumerate("xyz")}
    functions: dict[str, Any] = {"median": "median", "std": "std", **MATRICES}
    functions |= {
        key: ff.Kernel(kernel.name, **kernel.parameters | {"x": "x", "y": "z"}) for key, kernel in PAIRS.items()
    }
    one, more = (ff.run(arrays, functions, workers=count) for count in (1, workers))
    for key in functions:
        left, right_ = (json.dumps(r[key], default=lambda value: np.asarray(value).tolist()) for r in (one, more))
        assert left == right_, key


def test_company_does_not_change_a_bit() -> None:
    together = ff.run({"x": x, "y": y}, {**PAIRS, **MATRICES, "mean": "mean"})
    for key, kernel in {**PAIRS, **MATRICES}.items():
        np.testing.assert_array_equal(ff.run({"x": x, "y": y}, {key: kernel})[key], together[key])


@pytest.mark.parametrize("layout", zoo.LAYOUTS)
def test_of_every_layout(layout: str) -> None:
    one, two = zoo.LAYOUTS[layout](x), zoo.LAYOUTS[layout](y)
    if one.size == 0:
        return
    found = ff.run({"x": one, "y": two}, {**PAIRS, **MATRICES})
    alone = ff.run({"x": np.ravel(one).copy(), "y": np.ravel(two).copy()}, {**PAIRS, **MATRICES})
    for key in alone:
        assert_near(found[key], alone[key], 1e-11, key)


def test_a_plan_and_a_pool_take_dicts() -> None:
    plan = ff.plan(["mean", ff.corr("x", "y")])
    assert plan.run(DATA) == ff.run(DATA, ["mean", ff.corr("x", "y")]) == pickle.loads(pickle.dumps(plan)).run(DATA)
    assert "joint moments of x -> corr" in plan.explain()
    with ff.Pool(2) as pool:
        assert pool.run(DATA, ff.corr("x", "y")) == ff.run(DATA, ff.corr("x", "y"))


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("data", "functions", "error", "message"),
    [
        ({}, "mean", ValueError, "data has no arrays"),
        ({"x": ["a"]}, "mean", TypeError, r"data\['x'\] is a list that NumPy turns into an array of dtype <U1"),
        ({"x": x, "y": y[1:]}, "mean", ValueError, r"data\['y'\] has shape \(1999,\), data\['x'\] has \(2000,\)"),
        ({"x": np.zeros(3, "i4,f8")}, "mean", TypeError, r"data has dtype \[\('f0'"),
        (
            DATA,
            "corr",
            ValueError,
            r"'corr' takes two arrays, but data has 3: name two of them, as in ff.corr\('x', 'y'\)",
        ),
        ({"x": x}, "corr", ValueError, "'corr' takes two arrays, but data has 1: pass two arrays"),
        (DATA, ff.corr("x"), ValueError, "name two of them"),
        (
            DATA,
            ff.corr("x", "w"),
            ValueError,
            "'corr': y is 'w', which is not a key of data: the keys are 'x', 'y', 'z'",
        ),
        (
            x,
            "corr",
            TypeError,
            r"'corr' takes several arrays, but data is one array: pass a dict of arrays, as in run\(\{'x'",
        ),
        (x, "cov_matrix", TypeError, r"as in run\(\{'x': x, 'y': y\}, ff.cov_matrix\(\)\)"),
        (
            {"x": x, "y": y * 1j},
            "corr",
            TypeError,
            "'corr' does not support an array of dtype complex128: it takes bool",
        ),
        (
            {"x": x, "y": y * 1j},
            "cov_matrix",
            TypeError,
            "'cov_matrix' does not support an array of dtype complex128",
        ),
        ({"x": x, "y": y.astype("M8[s]")}, "mean", TypeError, "'mean' does not support an array of dtype datetime64"),
        ({"x": x, "y": y.astype(str)}, "mean", TypeError, "data has dtype <U32, which no kernel supports"),
    ],
)
def test_wrong_arrays_are_told(data: Any, functions: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ff.run(data, functions)


def test_other_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="out was given, but data has several arrays: pass one array, or no out"):
        ff.run(DATA, "cumsum", out={"cumsum": np.empty(2_000)})
    with pytest.raises(ValueError, match="'corr' takes no weights"):
        ff.run(DATA, ff.corr("x", "y"), weights=np.ones(2_000))
    with pytest.raises(np.exceptions.AxisError):
        ff.run(DATA, "mean", axis=1)
    with pytest.raises(ValueError, match="where has shape"):
        ff.run(DATA, "mean", where=np.ones(3, bool))
    with pytest.raises(TypeError) as info:
        ff.run({"x": None, 2: "x"}, ["mean"], timeout=-1)
    assert str(info.value).count("\n- ") == 3


def test_a_failure_says_of_which_array_it_is() -> None:
    r = ff.run({"x": x, "y": y * 1j}, ["min", "sum"], on_error="return")
    assert isinstance(r["min"], TypeError) and r["min"].__notes__ == ["in data['y']"]
    assert r["sum"]["x"] == ff.run(x, "sum")["sum"]

    def fails(v: Array) -> None:
        if v[0] == y[0]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as info:
        ff.run(DATA, [fails, "mean"])
    assert "in data['y']" in info.value.__notes__


def test_nan_that_was_not_wanted_is_blamed_on_its_array() -> None:
    r = ff.run({"good": x, "bad": np.append(x[1:], np.nan)}, ["mean", "cov"], nan_policy="raise", on_error="return")
    for key in ("mean", "cov"):
        assert isinstance(r[key], ValueError) and r[key].__notes__ == ["in data['bad']"]


def test_one_timeout_is_for_all_arrays() -> None:
    started = threading.Event()

    def slow(v: Array) -> None:
        started.wait(0.2)

    with pytest.raises(TimeoutError, match=r"timeout=0\.3 s passed"):
        ff.run(dict.fromkeys("abcdefgh", x), slow, timeout=0.3)


def test_groups_are_told_when_something_fails() -> None:
    r = ff.run(DATA, ["mean", lambda v: 1 / 0], by=z, on_error="return")
    assert list(r.groups) == list(np.unique(z))


def test_columns_keep_their_order_whatever_they_are_run_with() -> None:
    x = np.arange(3e5)
    table = {"a": x, "b": np.ma.masked_array(x, x % 7 == 0), "c": x.copy(), "d": x[::-1]}
    found = ff.run(table, {"m": "mean", "s": "max", "f": lambda v: v.mean()})
    for key in ("m", "s", "f"):
        assert list(found[key]) == list(table)
    for name, column in table.items():
        np.testing.assert_allclose(found["m"][name], column.mean())


def test_kernels_that_share_passes_with_functions_are_checked_before_these_are_called() -> None:
    called: list[int] = []
    z = np.arange(200_000) + 1j
    with pytest.raises(TypeError, match="median"):
        ff.run({"a": z, "b": z.copy()}, {"m": "median", "f": lambda v: called.append(v.size)})
    assert not called


def test_functions_get_masked_matrices_where_they_lie() -> None:
    x = np.ma.masked_array(np.arange(300_000.0).reshape(1000, 300), np.arange(300_000).reshape(1000, 300) % 7 == 0)
    found = ff.run(x, {"own": lambda v, axis, where: v.sum(axis=axis, where=where), "sum": "sum"}, axis=0)
    np.testing.assert_allclose(found["own"], x.sum(axis=0))
    np.testing.assert_allclose(found["sum"], x.sum(axis=0))
    assert found.report.bytes_copied == 0
