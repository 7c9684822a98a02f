"""The vocabulary of traced functions: what NumPy's functions give in a run is what they give on their own."""

import gc
import itertools
import re
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
from fanfold.tracing import calls, shared
from plain import assert_same, called

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

SIZE = calls.SMALLEST + 4_321

rng = np.random.default_rng(11)
NORMAL = rng.standard_normal(SIZE)
WHOLE = rng.integers(0, 500, SIZE)
ARRAYS: dict[str, Array] = {
    "float64": NORMAL,
    "float32": NORMAL.astype("f4"),
    "float16": NORMAL.astype("f2"),
    "int64": rng.integers(-(2**62), 2**62, SIZE),
    "counts": WHOLE,
    "int32": rng.integers(-1000, 1000, SIZE).astype("i4"),
    "uint8": WHOLE.astype("u1"),
    "uint64": WHOLE.astype("u8"),
    "bool": NORMAL > 0,
    "complex128": NORMAL + 1j * NORMAL[::-1],
    "special": np.where(NORMAL > 2, np.nan, np.where(NORMAL < -2, np.inf, np.where(NORMAL > 1, -0.0, NORMAL))),
    "ties": np.round(NORMAL),
    "infinite": np.where(np.abs(NORMAL) > 1, np.inf * NORMAL, NORMAL),
    "nothing but NaN": np.full(SIZE, np.nan),
    "every second": rng.standard_normal(2 * SIZE)[::2],
    "two axes": rng.standard_normal((400, 500)),
}

EDGES = np.linspace(-2.0, 2.0, 9)
MANY_EDGES = np.linspace(-1e3, 1e3, 401)

EXACT: dict[str, Function] = {
    "percentile of an integer": lambda v: np.percentile(v, 95),
    "percentiles of integers": lambda v: np.percentile(v, [5, 95]),
    "quantile of an integer": lambda v: (np.quantile(v, 1), np.quantile(v, 0)),
    "quantiles of integers": lambda v: np.quantile(v, np.array([0, 1])),
    "nanquantile of an integer": lambda v: (np.nanquantile(v, 1), np.nanquantile(v, [0, 1]), np.quantile(v, [0, 1])),
    "quantiles of both": lambda v: np.quantile(v, (0, 0.5, 1)),
    "quantile of NumPy's numbers": lambda v: (np.quantile(v, np.float64(0.3)), np.percentile(v, np.int64(30))),
    "nanpercentile of an integer": lambda v: (np.nanpercentile(v, 95), np.nanpercentile(v, [5, 95])),
    "a method": lambda v: (np.percentile(v, 30, method="lower"), np.percentile(v, [30, 31], method="weibull")),
    "a quantile that does not exist": lambda v: np.quantile(v, 2),
    "percentile without NaN": lambda v: np.percentile(v[~np.isnan(v)], 95),
    "quantile without NaN": lambda v: np.quantile(v[~np.isnan(v)], 0.9),
    "quantiles without NaN": lambda v: np.quantile(v[~np.isnan(v)], [0.1, 0.9]),
    "quantile of a mask": lambda v: np.quantile(v[v > 0.25], 0.5) - np.quantile(v[v > 0.25], 0.25),
    "nanquantile of a mask": lambda v: np.nanquantile(v[v > 0.25], 0.9),
    "quantile of nothing": lambda v: np.quantile(v[v != v], 0.9) if v.dtype.kind != "f" else np.quantile(v[v > 9e9], 1),
    "nanquantile of nothing": lambda v: np.nanquantile(v[v > np.inf], 0.9),
    "nanquantiles of nothing": lambda v: np.nanquantile(v[v > np.inf], [0.9, 1]),
    "sort": lambda v: np.sort(v),
    "sort of a formula": lambda v: np.sort((np.nan_to_num(v) * 10).astype(np.int32)),
    "sort of all": lambda v: np.sort(v, axis=None, kind="stable"),
    "sort in no way": lambda v: np.sort(v, kind="bubble"),
    "sort of a mask": lambda v: np.sort(v[v > 0]),
    "stable argsort": lambda v: np.argsort(v, kind="stable"),
    "argsort that is stable": lambda v: np.argsort(v, stable=True),
    "argsort as a method": lambda v: v.argsort(kind="stable"),
    "argsort of a formula": lambda v: (v * 2).argsort(kind="stable"),
    "unique": lambda v: np.unique(v),
    "unique and counts": lambda v: np.unique(v, return_counts=True),
    "unique and more": lambda v: np.unique(v, return_index=True, return_inverse=True),
    "unique and NaN": lambda v: np.unique(v, equal_nan=False),
    "unique of a mask": lambda v: np.unique(v[v > 0], return_counts=True),
    "unique of nothing": lambda v: np.unique(v[v > 9e18]),
    "unique of a formula": lambda v: np.unique((np.nan_to_num(v) * 10).astype(np.int64) % 7, return_counts=True),
    "bincount": lambda v: np.bincount(v),
    "bincount with a length": lambda v: np.bincount(v, minlength=1000),
    "bincount of a formula": lambda v: np.bincount(np.clip(np.nan_to_num(v) * 10 + 50, 0, 99).astype(np.int64)),
    "bincount with weights": lambda v: np.bincount(np.clip(np.nan_to_num(v), 0, 9).astype(np.int64), v),
    "histogram": lambda v: np.histogram(v),
    "histogram of many": lambda v: np.histogram(v, 1000),
    "histogram in a range": lambda v: np.histogram(v, 20, range=(-3, 3)),
    "histogram in its own range": lambda v: np.histogram(v, 20, range=(v.min(), v.max())),
    "histogram in NumPy's range": lambda v: np.histogram(v, 20, range=(np.float64(-1), np.float64(1.5))),
    "histogram with edges": lambda v: np.histogram(v, EDGES),
    "histogram with a list": lambda v: np.histogram(v, [0, 1, 2]),
    "histogram with no order": lambda v: np.histogram(v, [2, 1]),
    "histogram by a rule": lambda v: np.histogram(v, "sturges"),
    "density": lambda v: np.histogram(v, 7, density=True, range=(-2.0, 2.0)),
    "histogram of a mask": lambda v: np.histogram(v[v > 0], 5),
    "histogram of nothing": lambda v: np.histogram(v[v > np.inf], 5),
    "histogram with weights": lambda v: np.histogram(v, 5, (0, 1), weights=v),
    "maximum.accumulate": lambda v: np.maximum.accumulate(v),
    "minimum.accumulate": lambda v: np.minimum.accumulate(v, axis=0),
    "fmax.accumulate": lambda v: np.fmax.accumulate(v),
    "flatnonzero": lambda v: np.flatnonzero(v > 1),
    "flatnonzero of numbers": lambda v: np.flatnonzero(v),
    "nonzero": lambda v: np.nonzero(v > 1),
    "nonzero as a method": lambda v: (v > 1).nonzero(),
    "nonzero of the input": lambda v: v.nonzero(),
    "nonzero of a mask": lambda v: np.flatnonzero(v[v > 0] > 1),
    "where with one argument": lambda v: np.where(v < 0),
    "argwhere": lambda v: np.argwhere(v > 1),
    "nonzero of nothing": lambda v: np.flatnonzero(v > np.inf),
    "searchsorted": lambda v: np.searchsorted(EDGES, v),
    "searchsorted to the right": lambda v: np.searchsorted(EDGES, v, side="right"),
    "searchsorted of many": lambda v: np.searchsorted(MANY_EDGES, v * 3),
    "searchsorted of a list": lambda v: np.searchsorted([0, 1, 2], v, "right"),
    "searchsorted of ties": lambda v: np.searchsorted(np.array([0.0, 0.0, 1.0, 1.0]), v),
    "searchsorted without an order": lambda v: np.searchsorted(EDGES[::-1], v),
    "searchsorted in the input": lambda v: np.searchsorted(v, 0.5),
    "searchsorted as a method": lambda v: v.searchsorted([0, 1], side="right"),
    "searchsorted of a mask": lambda v: np.searchsorted(EDGES, v[v > 0]),
    "digitize": lambda v: np.digitize(v, EDGES),
    "digitize to the right": lambda v: np.digitize(v, EDGES, right=True),
    "digitize downwards": lambda v: np.digitize(v, EDGES[::-1]),
    "digitize into one": lambda v: np.digitize(v, [0.5]),
    "isclose": lambda v: np.isclose(v, 0.0, atol=0.5),
    "isclose to another": lambda v: np.isclose(v, v * (1 + 1e-6), equal_nan=True),
    "isclose to an integer": lambda v: np.isclose(v * 2, 3, rtol=0.1),
    "isclose without a tolerance": lambda v: np.isclose(v, 1.0, atol=np.inf),
    "allclose": lambda v: (np.allclose(v, v + 1e-9), np.allclose(v, 0), np.allclose(v, v, equal_nan=True)),
    "array_equal": lambda v: (np.array_equal(v, v * 1), np.array_equal(v, v + 1), np.array_equal(v, v[1:])),
    "round": lambda v: np.round(v),
    "round to two places": lambda v: np.round(v, 2),
    "round to tens": lambda v: np.around(v * 100, -1),
    "round as a method": lambda v: (v.round(3), (v * 2).round(), v.round(decimals=1)),
    "diff": lambda v: np.diff(v),
    "ediff1d": lambda v: np.ediff1d(v),
    "ediff1d with ends": lambda v: np.ediff1d(v, to_end=[1]),
    "gradient": lambda v: np.gradient(v),
    "gradient with a step": lambda v: (np.gradient(v, 2), np.gradient(v * 2, 0.5)),
    "gradient of second order": lambda v: np.gradient(v, edge_order=2),
    "convolve": lambda v: np.convolve(v, [0.25, 0.5, 0.125], "valid"),
    "convolve of all": lambda v: np.convolve(v, [0.25, 0.5]),
    "correlate": lambda v: np.correlate(v, np.array([1.0, -2.0])),
    "correlate with ten": lambda v: np.correlate(v, np.ones(10)),
    "ravel": lambda v: v.ravel() * 2,
    "ravel of a formula": lambda v: np.ravel(v * 2),
    "reshape": lambda v: (np.reshape(v, -1) * 2, v.reshape(v.size) + 1, (v * 2).reshape((-1,))),
    "reshape to two axes": lambda v: ((v * 2)[: SIZE // 2 * 2].reshape(2, -1), v[:130_000].reshape((2, -1))),
    "reshape that fails": lambda v: (v * 2).reshape(7),
    "reshape to nothing": lambda v: (v * 2).reshape(),
    "reshape of the input to nothing": lambda v: v.reshape(),
    "reshape to no axis": lambda v: v.reshape(()),
    "flatten": lambda v: (v.flatten(), (v * 2).flatten()),
    "copy": lambda v: (np.copy(v), v.copy(), np.copy(v * 2, order="C")),
    "transpose": lambda v: (v.T * 2, (v * 2).T, np.transpose(v), (v * 2).transpose()),
    "squeeze": lambda v: (v.squeeze() * 2, np.squeeze(v * 2)),
    "flip": lambda v: (np.flip(v) * 2, np.flip(v * 2), np.flipud(v)),
    "atleast_1d": lambda v: (np.atleast_1d(v) * 2, np.atleast_1d(v * 2), np.atleast_1d(v, v)[0]),
    "real": lambda v: (np.real(v), (v * 2).real, np.imag(v), v.real * 2),
    "view": lambda v: (v.view() * 2, (v * 2).view()),
    "array_split": lambda v: [part.max() for part in np.array_split(v, 1)] + [len(p) for p in np.array_split(v * 2, 7)],
    "array_split at places": lambda v: [part[:3] for part in np.array_split(v, [5, 3, 400_000])],
    "split": lambda v: [part[:3] * 2 for part in np.split(v, 1)],
    "split that fails": lambda v: np.split(v, v.shape[0] - 1),
    "what is known": lambda v: (
        np.ndim(v * 2),
        np.shape(v * 2),
        np.size(v * 2),
        np.size(v, 0),
        np.shape(v),
        np.ndim(v[v > 0]),
        np.size(v[v > 0]),
    ),
    "dtypes": lambda v: (np.result_type(v * 2, np.float32), np.can_cast((v * 2).dtype, "f4"), np.common_type(v * 1.0)),
    "kinds": lambda v: (np.iscomplexobj(v * 2), np.isrealobj(v), np.isscalar(v.max()), np.isscalar(v * 2)),
    "memory": lambda v: (
        np.shares_memory(v, v * 2),
        np.shares_memory(v, v[5:]),
        np.may_share_memory(v, v.ravel()),
        np.may_share_memory(v, v.copy()),
    ),
}
"""Functions whose results are NumPy's, to the last bit."""

CLOSE: dict[str, Function] = {
    "cumsum": lambda v: np.cumsum(v),
    "cumsum as a method": lambda v: (v * 2).cumsum(),
    "add.accumulate": lambda v: np.add.accumulate(v),
    "cumprod": lambda v: np.cumprod(np.where(v > 0, 2.0, 0.5)),
    "trapezoid": lambda v: np.trapezoid(v),
    "trapezoid with a step": lambda v: np.trapezoid(np.abs(v), dx=0.5),
    "trapezoid over places": lambda v: np.trapezoid(np.abs(v), v * 2),
    "corrcoef": lambda v: np.corrcoef(v[1:], v[:-1]),
    "corrcoef of one": lambda v: np.corrcoef(v),
    "cov": lambda v: np.cov(v, v * v),
    "cov of one": lambda v: np.cov(v * 2),
    "cov with a bias": lambda v: (np.cov(v, v * 2, bias=True), np.cov(v, v + 1, ddof=3), np.cov(v, rowvar=False)),
    "mean of what is rounded": lambda v: np.round(v, 1).mean(),
    "mean of what is digitized": lambda v: np.digitize(v, EDGES).mean(),
    "mean of slices": lambda v: [v[i::4].mean() for i in range(4)],
    "mean of the gradient": lambda v: np.gradient(v).mean(),
    "standard deviation of ediff1d": lambda v: np.ediff1d(v).std(),
    "statistics without NaN": lambda v: [f(v[~np.isnan(v)]) for f in (np.mean, np.std, np.median, np.max, np.sum)],
    "statistics of views": lambda v: [
        *(f(v).std() for f in (np.ravel, np.flip, np.squeeze, np.real, np.transpose, np.copy, np.atleast_1d)),
        *(f(v * 2).std() for f in (np.ravel, np.flip, np.squeeze, np.real, np.transpose, np.copy, np.atleast_1d)),
        *(w.std() for w in (v.T, v.reshape(-1), v.flatten(), v.view(), v.ravel(), (v * 2).reshape(v.size), (v * 2).T)),
        np.ndim(v * 2) + np.size(v * 2) + np.shape(v)[0] + v.ravel().max(),
    ],
    "average of a formula": lambda v: np.average(v, weights=np.abs(v)),
    "average": lambda v: (np.average(v), np.average(v, weights=np.abs(v)), np.average(v, weights=np.ones(v.shape))),
    "average with weights of nothing": lambda v: np.average(v, weights=v * 0),
    "average and weights": lambda v: np.average(v, weights=v * v + 1, returned=True),
}
"""Functions whose results are those of kernels, or of sums."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "workers"), [*((name, 2) for name in ARRAYS), ("float64", 1), ("special", 1)])
def test_every_function_gives_what_its_call_gives(name: str, workers: int) -> None:
    x = ARRAYS[name]
    before = x.copy()
    functions = EXACT | CLOSE
    together = ff.run(x, functions, workers=workers, on_error="return")
    wrong = {}
    for key, function in functions.items():
        try:
            assert_same(together[key], called(function, x), key in CLOSE)
        except AssertionError as error:
            wrong[key] = str(error)
    assert not wrong
    np.testing.assert_array_equal(x, before)


NATIVE: dict[str, list[str]] = {
    "float64": [
        "percentile of an integer",
        "percentiles of integers",
        "quantile of an integer",
        "quantiles of both",
        "nanpercentile of an integer",
        "quantile without NaN",
        "quantiles without NaN",
        "quantile of a mask",
        "sort of a formula",
        "stable argsort",
        "argsort as a method",
        "argsort of a formula",
        "unique of a formula",
        "bincount of a formula",
        "histogram",
        "histogram of many",
        "histogram in a range",
        "histogram in its own range",
        "histogram with edges",
        "histogram by a rule",
        "density",
        "histogram of a mask",
        "maximum.accumulate",
        "minimum.accumulate",
        "flatnonzero",
        "nonzero",
        "nonzero as a method",
        "where with one argument",
        "argwhere",
        "searchsorted",
        "searchsorted to the right",
        "searchsorted of many",
        "digitize",
        "digitize into one",
        "isclose",
        "isclose to another",
        "allclose",
        "round",
        "round to two places",
        "round to tens",
        "round as a method",
        "ediff1d",
        "gradient",
        "gradient with a step",
        "ravel",
        "flatten",
        "copy",
        "dtypes",
        "kinds",
        "memory",
        "cumsum",
        "cumsum as a method",
        "add.accumulate",
        "trapezoid",
        "trapezoid over places",
        "corrcoef",
        "cov",
        "cov of one",
        "mean of what is rounded",
        "mean of what is digitized",
        "standard deviation of ediff1d",
        "statistics without NaN",
        "statistics of views",
        "average of a formula",
    ],
    "counts": [
        "sort",
        "sort of all",
        "unique",
        "unique and counts",
        "bincount",
        "histogram",
        "digitize",
    ],
    "int64": ["unique", "stable argsort", "argsort that is stable"],
    "uint8": ["sort", "sort of a mask", "unique and counts", "bincount with a length", "cumsum", "minimum.accumulate"],
    "int32": ["percentile of an integer", "quantile of an integer", "maximum.accumulate", "sort"],
    "bool": ["sort", "unique", "cumsum"],
    "float32": ["percentiles of integers", "digitize", "stable argsort", "maximum.accumulate", "round", "gradient"],
}
"""Of these, NumPy computes nothing that a sweep could compute."""


@pytest.mark.parametrize("name", NATIVE)
def test_the_vocabulary_is_answered_without_a_reason(name: str) -> None:
    functions = {key: (EXACT | CLOSE)[key] for key in NATIVE[name]}
    report = ff.run(ARRAYS[name], functions, workers=2).report
    assert report.why == {}
    assert set(report.how.values()) == {"fused"}


def test_answers_belong_to_the_function_that_asked() -> None:
    def changes(v: Array) -> Any:
        sorted_ones, (counts, edges) = np.sort(v), np.histogram(v)
        quantiles, positions = np.quantile(v, [0.25, 0.75]), np.flatnonzero(v > 100)
        for each in (sorted_ones, counts, edges, quantiles, positions):
            each[:] = 0
        return sorted_ones, counts, edges, quantiles, positions

    def reads(v: Array) -> Any:
        return np.sort(v), *np.histogram(v), np.quantile(v, [0.25, 0.75]), np.flatnonzero(v > 100)

    for workers in (1, 3):
        r = ff.run(WHOLE, {"first": changes, "second": reads, "third": changes, "fourth": reads}, workers=workers)
        for key in ("second", "fourth"):
            assert_same(r[key], called(reads, WHOLE), close=False)
        assert not any(each.any() for each in (*r["first"], *r["third"]))


def test_views_share_their_memory_and_copies_do_not() -> None:
    def views(v: Array) -> Any:
        seen = []
        for view in (np.ravel, np.transpose, np.squeeze, lambda y: y.reshape(-1), lambda y: y.T):
            y = v * 2
            w = view(y)
            w[0] = 50
            y[1] = 60
            y += 1
            seen.append((y[0], w[1], y is w, w.sum(), np.shares_memory(y, w)))
        return seen

    def copies(v: Array) -> Any:
        seen = []
        for copy in (np.copy, lambda y: y.flatten(), lambda y: y.copy()):
            for y in (v, v * 2):
                w = copy(y)
                w[0] = 50
                w *= 2
                seen.append((y[0], w[0], w.sum(), np.may_share_memory(y, w)))
        return seen

    def chains(v: Array) -> Any:
        y = v + 1
        w = y.ravel()[5:].reshape(-1)
        w[0] = 9
        return y[5], y.max(), np.atleast_1d(y) is y, np.real(v) is v

    for function in (views, copies, chains):
        assert_same(ff.run(NORMAL, {"f": function}, workers=2)["f"], called(function, NORMAL), close=True)


def test_answers_do_not_end_the_trace_and_are_not_kept() -> None:
    def loops(v: Array) -> Any:
        found = []
        for k in range(40):
            positions = np.flatnonzero(v * k > 1)
            found.append(positions.size)
            kept = weakref.ref(positions)
            del positions
            assert kept() is None
        return found, np.abs(v).mean()

    r = ff.run(NORMAL, loops, workers=1)
    assert_same(r["loops"], called(loops, NORMAL), close=True)
    assert (r.report.how, r.report.why) == ({"loops": "fused"}, {})


def test_sorting_the_input_in_place_fails_as_on_any_read_only_array() -> None:
    def sorts(v: Array) -> Any:
        v.sort()

    def sorts_a_copy(v: Array) -> Any:
        y = np.abs(v)
        z = y.ravel()
        y.sort()
        w = v.copy()
        w.partition(5)
        return y, z, w[5]

    r = ff.run(NORMAL, [sorts, sorts_a_copy], on_error="return")
    assert_same(r["sorts"], called(sorts, NORMAL), close=False)
    assert_same(r["sorts_a_copy"], called(sorts_a_copy, NORMAL), close=False)


def test_the_second_quantile_of_a_mask_waits_for_the_others() -> None:
    def four(v: Array) -> Any:
        chosen = v[v > 0.5]
        return [np.quantile(chosen, q) for q in (0.1, 0.2, 0.3, 0.4)] + [chosen.min()]

    r = ff.run(NORMAL, four)
    assert_same(r["four"], called(four, NORMAL), close=False)
    # One pass for the first, and two for all others.
    assert r.report.passes == 3


@pytest.mark.parametrize("function", [EXACT["nanquantile of nothing"], lambda v: np.nanmean(v[v > np.inf])])
def test_warnings_are_those_of_the_call(function: Function) -> None:
    def told(call: Callable[[], Any]) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        return [str(each.message) for each in caught]

    assert told(lambda: ff.run(NORMAL, {"f": function})) == told(lambda: function(NORMAL)) != []
    quiet = {key: EXACT[key] for key in ("isclose", "searchsorted", "round", "gradient", "histogram in a range")}
    assert told(lambda: ff.run(NORMAL, quiet)) == []


def test_what_numpy_refuses_is_refused() -> None:
    refused: list[Function] = [
        lambda v: np.bincount(v.astype(np.int64)),
        lambda v: np.histogram(np.where(v > 1, np.nan, v)),
        lambda v: np.histogram(v, 0),
        lambda v: np.histogram(v, range=(2, 1)),
        lambda v: np.percentile(v, [5, 101]),
        lambda v: np.argsort(v, kind="stable", stable=True),
        lambda v: np.searchsorted(EDGES, v, side="middle"),
        lambda v: np.array_split(v, 0),
        lambda v: np.average(v, weights=v - v),
        lambda v: np.gradient(v, axis=3),
        lambda v: np.reshape(v, (3, 7)),
    ]
    r = ff.run(NORMAL, {str(key): function for key, function in enumerate(refused)}, on_error="return")
    for key, function in enumerate(refused):
        want = called(function, NORMAL)
        assert isinstance(want, Exception)
        assert_same(r[str(key)], want, close=False)


NUMBERS = st.floats(-3.0, 3.0)


@settings(max_examples=30, deadline=None)
@given(edges=st.lists(NUMBERS, min_size=1, max_size=60).map(sorted), right=st.booleans(), single=st.booleans())
def test_any_edges_are_found(edges: list[float], right: bool, single: bool) -> None:
    x = ARRAYS["special"].astype("f4" if single else "f8")
    bins = np.array(edges)

    def digitized(v: Array) -> Any:
        return np.digitize(v, bins, right), np.searchsorted(bins.astype("f4"), v, "right" if right else "left")

    assert_same(ff.run(x, digitized, workers=2)["digitized"], called(digitized, x), close=False)


@settings(max_examples=30, deadline=None)
@given(
    bins=st.one_of(st.integers(1, 300), st.lists(st.integers(-9, 9), min_size=2, max_size=9, unique=True).map(sorted)),
    ends=st.none() | st.tuples(NUMBERS, NUMBERS).map(lambda ends: tuple(sorted(ends))),
    density=st.booleans(),
    name=st.sampled_from(["float64", "float32", "ties", "counts", "uint8"]),
)
def test_any_histogram_is_numpys(bins: Any, ends: Any, density: bool, name: str) -> None:
    def counted(v: Array) -> Any:
        return np.histogram(v, bins, range=ends, density=density)

    got = ff.run(ARRAYS[name], counted, workers=2, on_error="return")["counted"]
    assert_same(got, called(counted, ARRAYS[name]), close=False)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=30, deadline=None)
@given(
    q=st.lists(st.integers(0, 100) | st.floats(0, 100), min_size=1, max_size=4),
    name=st.sampled_from(["float64", "float32", "ties", "counts", "int32", "special"]),
    method=st.sampled_from(["linear", "lower", "nearest", "hazen", "midpoint"]),
)
def test_any_percentiles_are_numpys(q: Any, name: str, method: Any) -> None:
    def asked(v: Array) -> Any:
        return np.percentile(v, q, method=method), np.nanpercentile(v, q[0], method=method), np.percentile(v[v > 0], q)

    # Which of the zeros of both signs comes first is not defined.
    x = ARRAYS[name] + 0
    assert_same(ff.run(x, asked, workers=2)["asked"], called(asked, x), close=False)


@settings(max_examples=30, deadline=None)
@given(low=st.integers(-(2**31), 2**31 - 2), width=st.sampled_from([1, 2, 100, 65_535, 65_536, 70_000]))
def test_integers_are_counted_wherever_they_are(low: int, width: int) -> None:
    x = low + np.random.default_rng(abs(low)).integers(0, width, SIZE)

    def distinct(v: Array) -> Any:
        return np.sort(v), np.unique(v), np.unique(v, return_counts=True), np.sort(v * -1)

    assert_same(ff.run(x, distinct, workers=2)["distinct"], called(distinct, x), close=False)


@pytest.mark.parametrize("bins", [np.ones((2, 2)), np.array([3.0, 1.0]), "nothing", -1, 2.5, None, [[1, 2], [3, 4]]])
def test_bins_that_numpy_refuses_are_refused_by_numpy(bins: Any) -> None:
    x = ARRAYS["float64"]
    with pytest.raises((ValueError, TypeError)) as theirs:
        np.histogram(x, bins)
    with pytest.raises(type(theirs.value), match=re.escape(str(theirs.value))):
        ff.run(x, {"f": lambda v: np.histogram(v, bins)})


# ---- formulas with arrays that kernels gave ----


def _drawdown(v: Array) -> Any:
    equity = np.cumsum(v)
    return (np.maximum.accumulate(equity) - equity).max()


def _written_later(v: Array) -> Any:
    equity = np.cumsum(v)
    doubled = equity * 2
    equity[0] = 100.0
    return doubled[0], equity[0], doubled.sum(), equity.sum()


def _aliased(v: Array) -> Any:
    equity = np.cumsum(v)
    same, shifted = equity, equity + 1
    same += 1
    return shifted.sum(), equity.sum(), same.max(), equity


@pytest.mark.parametrize("function", [_drawdown, _written_later, _aliased])
def test_formulas_go_on_with_arrays_that_kernels_gave(function: Any) -> None:
    x = np.random.default_rng(2).standard_normal(200_000)
    r = ff.run(x, {"f": function}, on_error="raise")
    want = function(x)
    for mine, theirs in zip(
        *(value if isinstance(value, tuple) else (value,) for value in (r["f"], want)), strict=True
    ):
        assert type(mine) is type(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    if function is not _written_later:
        assert r.report.how == {"f": "fused"}


# ---- formulas with arrays that NumPy made, and with arrays of others ----

OTHER = np.random.default_rng(4).random(200_000) + 0.5
PLACES = np.random.default_rng(5).integers(0, 200_000, 150_000)


def _sorted_and_changed(v: Array) -> Any:
    ordered = np.sort(v)
    part, doubled = ordered[5:], ordered * 2
    ordered[0] = 7.0
    return ordered.sum(), part.sum(), doubled[0], ordered[0]


def _view_and_owner(v: Array) -> Any:
    made = v.repeat(2)
    seen = made[::2]
    made += 1
    return seen[:3].tolist(), seen.sum(), made.sum(), made


def _others_that_change(v: Array) -> Any:
    other = OTHER.copy()
    first = v * other
    other[:] = 2.0
    second = v * other
    return first.sum(), second.sum(), first[:3], second[:3]


GO_ON: dict[str, tuple[Function, str]] = {
    "fft": (lambda v: (np.abs(np.fft.fft(v)) ** 2).sum(), "partly fused"),
    "places": (lambda v: (v[PLACES] ** 2).mean(), "partly fused"),
    "take": (lambda v: np.abs(v.take(PLACES)).std(), "partly fused"),
    "roll": (lambda v: (np.roll(v * 2, 1) * v).mean(), "partly fused"),
    "concatenate": (lambda v: np.concatenate([v[5:] * 2, v[:5]]).std(), "partly fused"),
    "repeat": (lambda v: v[: v.size // 2].repeat(2).std(), "plain"),
    "sorted and changed": (_sorted_and_changed, "partly fused"),
    "view and owner": (_view_and_owner, "partly fused"),
    "other": (lambda v: (v * OTHER).sum() / OTHER.sum(), "fused"),
    "other first": (lambda v: np.abs(OTHER - v).max(), "fused"),
    "two others": (lambda v: np.hypot(v, OTHER).mean() - np.arctan2(OTHER, v).mean(), "fused"),
    "power of another": (lambda v: (OTHER**v).max(), "fused"),
    "comparison": (lambda v: (v > OTHER).mean(), "fused"),
    "others that change": (_others_that_change, "fused"),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", GO_ON)
def test_formulas_go_on_with_arrays_of_numpys_and_of_others(name: str, workers: int) -> None:
    function, how = GO_ON[name]
    x = np.random.default_rng(2).standard_normal(200_000)
    r = ff.run(x, {"f": function, "g": lambda v: v.mean()}, workers=workers, on_error="raise")
    want = function(x)
    for mine, theirs in zip(
        *(value if isinstance(value, tuple) else (value,) for value in (r["f"], want)), strict=True
    ):
        assert type(mine) is type(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    assert r.report.how["f"] == how


def test_warnings_of_others_are_those_of_each_moment() -> None:
    def divided(v: Array) -> Any:
        other = OTHER.copy()
        other[5] = 0.0
        with warnings.catch_warnings(record=True) as first:
            warnings.simplefilter("always")
            a = (v / other).max()
        other[5] = 1.0
        with warnings.catch_warnings(record=True) as second:
            warnings.simplefilter("always")
            b = (v / other).max()
        return a, b, [str(each.message) for each in first], [str(each.message) for each in second]

    x = np.random.default_rng(2).standard_normal(200_000) + 10
    assert ff.run(x, {"f": divided}, on_error="raise")["f"] == divided(x)


def test_an_array_that_somebody_holds_is_not_taken_over() -> None:
    kept: list[Array] = []

    def function(v: Array) -> Any:
        kept.append(OTHER.copy())
        made = np.ascontiguousarray(kept[-1])
        result = (v * made).sum()
        kept[-1][:] = 0
        return result, (made + v).sum()

    x = np.random.default_rng(2).standard_normal(200_000)
    np.testing.assert_allclose(ff.run(x, {"f": function}, on_error="raise")["f"], function(x), rtol=1e-9)


def test_a_loop_over_large_arrays_does_not_keep_them_all() -> None:
    refs: list[Any] = []

    def function(v: Array) -> Any:
        total = 0.0
        for shift in range(40):
            moved = np.roll(v, shift)
            refs.append(weakref.ref(moved))
            total += float((moved * v).sum())
        return total, sum(each() is not None for each in refs)

    x = np.random.default_rng(2).standard_normal(200_000)
    total, alive = ff.run(x, {"f": function}, on_error="raise")["f"]
    assert alive <= 20
    np.testing.assert_allclose(total, function(x)[0], rtol=1e-9)


# ---- what NumPy computes once for all ----


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of functions that are shared: `np.sort` calls the method, the others are called by these names."""
    calls: list[str] = []
    real = shared.FUNCTIONS
    counting: dict[Any, Any] = {}

    for function in real:

        def called(*args: Any, function: Any = function, **kwargs: Any) -> Any:
            calls.append(function.__name__)
            return function(*args, **kwargs)

        counting[function] = called
    monkeypatch.setattr(shared, "computed", lambda function, given, named: counting[function](*given, **named))
    return calls


def _sorted_and_written(v: Array) -> Any:
    ordered = np.sort(v)
    ordered[:3] = 9.0
    return ordered


@pytest.mark.parametrize("workers", [1, 3])
def test_what_numpy_computes_is_computed_once(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    functions: dict[str, Function] = {
        "spectrum": lambda v: np.abs(np.fft.rfft(v[9:])).max(),
        "power": lambda v: (np.abs(np.fft.rfft(v[9:])) ** 2).sum(),
        "distinct": lambda v: np.unique(v).size,
        "distinct again": lambda v: (np.unique(v) > 0).mean(),
        "filtered": lambda v: np.convolve(v, [1.0, 2.0, 1.0], "same").std(),
        "filtered again": lambda v: np.convolve(v, [1.0, 2.0, 1.0], "same").mean(),
        "trimmed": lambda v: np.sort(np.abs(v))[10:-10].mean(),
        "trimmed again": lambda v: np.sort(np.abs(v))[10:-10].std(),
    }
    x = np.random.default_rng(2).standard_normal(200_000)
    want = {key: function(x) for key, function in functions.items()}
    calls = _counted(monkeypatch)
    r = ff.run(x, functions, workers=workers, on_error="raise")
    assert sorted(calls) == ["convolve", "rfft", "sort", "unique"]
    for key in functions:
        np.testing.assert_allclose(r[key], want[key], rtol=1e-9)


def test_writing_to_a_shared_array_changes_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    functions: dict[str, Function] = {
        "first": lambda v: np.sort(v),
        "written": _sorted_and_written,
        "second": lambda v: (np.sort(v), np.sort(v)),
        "third": lambda v: np.sort(v).sum(),
    }
    x = np.random.default_rng(2).standard_normal(200_000)
    for workers in (1, 3):
        r = ff.run(x, functions, workers=workers, on_error="raise")
        ordered = np.sort(x)
        np.testing.assert_array_equal(r["first"], ordered)
        np.testing.assert_array_equal(r["written"], _sorted_and_written(x))
        np.testing.assert_array_equal(r["second"], (ordered, ordered))
        arrays = [r["first"], r["written"], *r["second"]]
        assert all(each.flags.writeable and each.flags.owndata for each in arrays)
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


def test_filters_are_told_apart_by_their_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).standard_normal(200_000)
    filters = [[1.0, 2.0], np.array([1.0, 2.0]), np.array([1, 2]), np.array([2.0, 1.0])]
    r = ff.run(x, {number: lambda v, of=of: np.convolve(v, of) for number, of in enumerate(filters)})
    for number, of in enumerate(filters):
        np.testing.assert_array_equal(r[number], np.convolve(x, of))


def _filled_after(v: Array) -> Any:
    largest = (np.sort(v) * 2).max()
    ordered = np.sort(v)
    ordered.fill(0)
    return largest


def _imaginary_part_written(v: Array) -> Any:
    spectrum = np.fft.rfft(v)
    imaginary, total = spectrum.imag, np.abs(spectrum).sum()
    imaginary[0] = 1e9
    return total


def _partitioned_and_filled(v: Array) -> Any:
    ordered = np.sort(v)
    ordered.partition(3)
    ordered.fill(7)
    return ordered


def _overwritten(v: Array) -> Any:
    ordered = np.sort(v)
    scipy.fft.dct(ordered, overwrite_x=True)
    return 0


def _overwritten_after(v: Array) -> Any:
    rolled = np.roll(v, 1)
    doubled = rolled * 2
    scipy.fft.dct(rolled, overwrite_x=True)
    return doubled.sum()


def _into_own(v: Array) -> Any:
    out = np.zeros(v.size, complex)
    found = np.fft.fft(v, out=out)
    return found is out, out[0], out[5]


def _clipped_into(v: Array) -> Any:
    ordered = np.sort(v)
    total = (ordered * 3).sum()
    np.clip(ordered, 0, 1, out=ordered)
    np.put(np.sort(v), [0], 5.0)
    np.sort(v).flat[0] = 3.0
    return total, ordered.sum(), np.sort(v)[0]


WRITING: dict[str, Function] = {
    "filled after": _filled_after,
    "imaginary part": _imaginary_part_written,
    "partitioned": _partitioned_and_filled,
    "overwritten": _overwritten,
    "overwritten after": _overwritten_after,
    "into its own": _into_own,
    "clipped": _clipped_into,
    "ordered": lambda v: np.sort(v),
    "part": lambda v: np.sort(v)[:3].copy(),
    "spectrum": lambda v: np.fft.rfft(v),
}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_functions_that_write_change_nothing_that_others_see(workers: int) -> None:
    x = np.random.default_rng(0).standard_normal(200_000)
    functions = {(name, turn): function for turn in range(3) for name, function in WRITING.items()}
    want = {name: function(x) for name, function in WRITING.items()}
    for _ in range(3):
        r = ff.run(x, functions, workers=workers, on_error="raise")
        for name, turn in functions:
            pairs = zip(
                *(each if isinstance(each, tuple) else (each,) for each in (r[name, turn], want[name])), strict=True
            )
            for mine, theirs in pairs:
                np.testing.assert_allclose(mine, theirs, rtol=1e-9, err_msg=name)
        arrays = [value for value in r.values() if isinstance(value, np.ndarray)]
        assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


def test_each_function_is_warned_of_what_numpy_computes_once() -> None:
    x = np.random.default_rng(0).standard_normal(200_000) * 1e307
    functions: dict[Any, Function] = {turn: lambda v: np.abs(np.fft.rfft(v))[0] for turn in range(2)}

    def raising(v: Array) -> Any:
        with np.errstate(all="raise"):
            return np.fft.rfft(v)[0]

    def ignoring(v: Array) -> Any:
        with np.errstate(all="ignore"):
            return np.abs(np.fft.rfft(v))[0]

    functions = {"ignoring": ignoring, **functions, "raising": raising}
    with warnings.catch_warnings(record=True) as alone:
        warnings.simplefilter("always")
        functions[0](x)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        r = ff.run(x, functions, workers=1, on_error="return")
    assert len(told) == 2 * len(alone) > 0
    assert isinstance(r.errors["raising"], FloatingPointError)


def test_each_function_is_warned_of_segments_that_are_too_long() -> None:
    x = np.random.default_rng(0).standard_normal(200_000)
    functions: dict[Any, Function] = {
        turn: lambda v: scipy.signal.welch(v, 1.0, "hann", 2**18)[1].sum() for turn in range(2)
    }
    functions |= {turn + 2: lambda v: scipy.signal.welch(v, nperseg=2**18)[1].sum() for turn in range(2)}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ff.run(x, functions, workers=1, on_error="raise")
    assert len(told) == 4


def test_a_child_does_not_wait_for_what_its_parent_computes() -> None:
    import os

    def forks(v: Array) -> Any:
        lock = next(iter(shared_of_this_run())).lock
        with lock:
            child = os.fork()
            if not child:
                os._exit(0 if np.sort(v)[0] <= v[0] else 1)
            _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def shared_of_this_run() -> Any:
        return (each for each in gc.get_objects() if type(each) is shared.Shared)

    x = np.random.default_rng(0).standard_normal(200_000)
    r = ff.run(x, {"sorts": lambda v: np.sort(v).sum(), "forks": forks}, workers=1, on_error="raise", timeout=60)
    assert r["forks"] == 0


def test_writing_to_single_elements_of_made_arrays_copies_nothing() -> None:
    def writes(v: Array) -> Any:
        total = 0.0
        for shift in range(10):
            rolled = np.roll(v, shift)
            rolled[0] = 0
            total += rolled[5]
        return total

    x = np.random.default_rng(0).standard_normal(1_000_000)
    assert ff.run(x, writes, on_error="raise")["writes"] == writes(x)
    tracemalloc.start()
    ff.run(x, writes)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * x.nbytes


def test_arrays_that_formulas_keep_are_bounded_in_a_run() -> None:
    def made(v: Array) -> Any:
        return max(float((np.roll(v, shift) * v).max()) for shift in range(12))

    x = np.random.default_rng(0).standard_normal(500_000)
    functions = {turn: lambda v: made(v) for turn in range(12)}
    tracemalloc.start()
    ff.run(x, functions, workers=1, on_error="raise")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 14 * x.nbytes


def test_what_is_not_kept_is_computed_by_each_function(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).standard_normal(200_000)
    calls = _counted(monkeypatch)
    functions: dict[Any, Function] = {
        (part, turn): lambda v, part=part: np.sort(v + part)[5:].mean() for turn in range(2) for part in range(12)
    }
    r = ff.run(x, functions, workers=1, on_error="raise")
    assert len(calls) == 12
    assert all(r[part, 0] == r[part, 1] for part in range(12))
