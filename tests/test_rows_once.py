"""Functions of one sequence along axes: what `np.apply_along_axis` gives, from one trace for all rows."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import fanfold as ff
from fanfold.tracing.of_rows import functions

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]


def mean(v: Array) -> Any:
    return v.mean()


def std(v: Array) -> Any:
    return np.std(v, ddof=1)


def spread(v: Array) -> Any:
    return np.sqrt(np.mean((v - v.mean()) ** 2))


def skew(v: Array) -> Any:
    d = v - np.mean(v)
    return np.mean(d**3) / np.mean(d**2) ** 1.5


def kurtosis(v: Array) -> Any:
    d = v - np.mean(v)
    return np.mean(d**4) / np.mean(d**2) ** 2 - 3


def rms(v: Array) -> Any:
    return np.sqrt(np.mean(np.square(v * 1.0)))


def crest(v: Array) -> Any:
    return np.max(np.abs(v)) / np.sqrt(np.mean(np.square(v * 1.0)))


def zero_crossings(v: Array) -> Any:
    return np.sum(np.diff(np.sign(v)) != 0)


def median(v: Array) -> Any:
    return np.median(v)


def deviation(v: Array) -> Any:
    return np.median(np.abs(v - np.median(v)))


def iqr(v: Array) -> Any:
    low, high = np.percentile(v, [25, 75])
    return high - low


def upper(v: Array) -> Any:
    return np.percentile(v, 90)


def change(v: Array) -> Any:
    return np.mean(np.abs(np.diff(v)))


def autocorrelation(v: Array) -> Any:
    d = v - v.mean()
    return np.sum(d[1:] * d[:-1]) / np.sum(d * d)


def every_third(v: Array) -> Any:
    return v[::3].sum() - v[::-2].mean()


def energy_ratio(v: Array) -> Any:
    squares = v * 1.0 * v
    return squares[: len(v) // 2].sum() / squares.sum()


def above(v: Array) -> Any:
    return np.mean(v > v.mean())


def positive(v: Array) -> Any:
    return v[v >= v.mean()].mean()


def lowest_above(v: Array) -> Any:
    return v[v >= v.mean()].min()


def ends(v: Array) -> Any:
    return v[-1] - v[0] * 1.0


def clipped(v: Array) -> Any:
    return np.clip(v, -1, 1).sum() + np.where(v > 0, v, 0).max()


def norm(v: Array) -> Any:
    return np.linalg.norm(v * 1.0) + np.dot(v * 1.0, v * 1.0)


def place(v: Array) -> Any:
    return np.argmax(v)


def summary(v: Array) -> Any:
    return v.min(), v.max(), len(v)


def scores(v: Array) -> Any:
    return (v - v.mean()) / (v.std() + 1)


def tail(v: Array) -> Any:
    return v[2:]


def log_range(v: Array) -> Any:
    return np.log1p(v.max() - v.min()) + np.exp(-(v.std()))


def longest(v: Array) -> Any:
    return np.max(np.cumsum(v * 1.0))


FUSED: list[Function] = [
    longest,
    mean, std, spread, skew, kurtosis, rms, crest, zero_crossings, median, deviation, iqr, upper, change,
    autocorrelation, every_third, energy_ratio, above, positive, lowest_above, ends, clipped, norm, place, summary,
    scores, tail, log_range,
]  # fmt: skip


def smallest_three(v: Array) -> Any:
    return np.sort(np.partition(v, min(3, v.size - 1))[:3])


def branches(v: Array) -> Any:
    return v.mean() if v[0] > 0 else v.sum() * 1.0


def loops(v: Array) -> Any:
    total = 0.0
    for each in v:
        total += float(each) ** 2
    return total


def as_float(v: Array) -> Any:
    return float(v.mean())


PLAIN: list[Function] = [smallest_three, branches, loops, as_float]


def elements(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    x = np.random.default_rng(seed).standard_normal(shape) * 3
    return (x * 10).astype(dtype) if np.dtype(dtype).kind in "iu" else x.astype(dtype)


def alike(found: Any, expected: Any, dtype: Any) -> None:
    """Equal up to the last digits, as kernels are."""
    assert type(found) is type(expected) or not isinstance(expected, np.ndarray)
    assert np.shape(found) == np.shape(expected)
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    close = {"float32": 2e-4, "float16": 4e-3}.get(np.dtype(dtype).name, 1e-10)
    np.testing.assert_allclose(found, expected, rtol=close, atol=close)


def names(functions: list[Function]) -> dict[str, str]:
    return {each.__name__: "fused" for each in functions}


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": lambda x: x,
    "F": np.asfortranarray,
    "every other": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "misaligned": lambda x: np.frombuffer(b"-" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "uint8"])
@pytest.mark.parametrize("axis", [0, 1])
def test_one_trace_gives_what_calls_of_each_row_give(layout: str, dtype: str, axis: int) -> None:
    x = LAYOUTS[layout](np.abs(elements(dtype, (23, 37))) if dtype == "uint8" else elements(dtype, (23, 37)))
    r = ff.run(x, FUSED, axis=axis)
    assert r.report.how == names(FUSED) or dtype != "float64"
    for function in FUSED:
        alike(r[function.__name__], np.apply_along_axis(function, axis, x), dtype)


def test_all_are_fused() -> None:
    r = ff.run(elements("float64", (5, 40)), FUSED, axis=1)
    assert r.report.how == names(FUSED)
    assert r.report.why == {}


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 1), (2, 0), (0, 1, 2)])
def test_any_axis(axis: Any) -> None:
    x = elements("float64", (6, 7, 11))
    taken = sorted(each % 3 for each in (axis if isinstance(axis, tuple) else (axis,)))
    others = [each for each in range(3) if each not in taken]
    turned = x.transpose(others + taken)
    rows = turned.reshape(*(x.shape[each] for each in others), -1)
    r = ff.run(x, [*FUSED, *PLAIN], axis=axis)
    kept = ff.run(x, [mean, branches], axis=axis, keepdims=True)
    for function in [*FUSED, *PLAIN]:
        expected = np.apply_along_axis(function, -1, rows)
        if expected.ndim > rows.ndim - 1 and len(taken) == 1:
            expected = np.moveaxis(expected, -1, taken[0])
        alike(r[function.__name__], expected[()], "float64")
    for name in ("mean", "branches"):
        assert kept[name].shape == x.mean(axis=axis, keepdims=True).shape
        assert np.array_equal(kept[name].ravel(), np.ravel(r[name]))


@pytest.mark.parametrize("shape", [(300, 40), (40, 300), (7, 5000), (3, 70_000), (19, 70_000)])
def test_the_bits_of_a_row_are_its_own(shape: tuple[int, int]) -> None:
    x = elements("float64", shape)
    alone = [ff.run(x[row : row + 1], FUSED, axis=1) for row in (0, shape[0] - 1)]
    for workers in (1, 2, 5):
        for array in (x, np.asfortranarray(x)):
            r = ff.run(array, FUSED, axis=1, workers=workers)
            for function in FUSED:
                found = r[function.__name__]
                for row, own in zip((0, -1), alone, strict=True):
                    assert np.array_equal(found[row], own[function.__name__][0]), (function, workers, row)


@pytest.mark.parametrize("function", FUSED)
def test_a_long_row_is_like_a_traced_array(function: Function) -> None:
    x = elements("float64", (2, 200_000))
    alike(ff.run(x, function, axis=1)[function.__name__], np.apply_along_axis(function, 1, x), "float64")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_function_that_asks_for_values_is_called_for_each_row(workers: int) -> None:
    x = elements("float64", (50, 30))
    r = ff.run(x, PLAIN, axis=1, workers=workers)
    for function in PLAIN:
        assert r.report.how[function.__name__] == "plain"
        assert r.report.why[function.__name__].startswith("called for each row: ")
        # NumPy computes it, so the bits are its own.
        assert np.array_equal(r[function.__name__], np.apply_along_axis(function, 1, x))


def identity(v: Array) -> Any:
    return v.tolist()[0] * 0 + threading.get_ident()


@pytest.mark.parametrize(("length", "is_short"), [(2_900, True), (3_100, False)])
def test_threads_call_for_long_rows_only(length: int, is_short: bool) -> None:
    x = elements("float64", (60, length))

    def of_an_axis(v: Array, axis: int) -> Any:
        return np.asarray(v.tolist()).max(axis)

    for others in ({}, {"mean": "mean"}, {"another": of_an_axis}):
        r = ff.run(x, {"thread": identity, **others}, axis=1, workers=2)
        assert (set(r["thread"]) == {threading.get_ident()}) is is_short
        assert r.report.why["thread"] == "called for each row: tolist"
        for key, function in others.items():
            assert np.array_equal(r[key], ff.run(x, {key: function}, axis=1, workers=1)[key])


def test_what_took_long_for_short_rows_has_processes_for_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "its calls are too short for threads: processes=True runs them in several processes"
    monkeypatch.setattr(functions, "SHORTEST", 0.0)
    x = elements("float64", (50, 30))
    x[7, 3] = np.nan
    function = {"f": lambda v: np.cumsum(v).max(), "g": identity}
    r = ff.run(x, function, axis=1, workers=2)
    assert r.report.how == {"f": "partly fused", "g": "plain"}
    assert r.report.why == {"f": f"called for 1 of 50 rows; {told}", "g": f"called for each row: tolist; {told}"}
    for options in ({"workers": 1}, {"workers": 2, "processes": True}):
        assert told not in str(ff.run(x, function, axis=1, **options).report.why)
    long = elements("float64", (5, 3_100))
    assert ff.run(long, identity, axis=1, workers=2).report.why == {"identity": "called for each row: tolist"}


def test_a_branch_on_an_element_is_not_taken_for_all_rows() -> None:
    x = np.array([[1.0, 2.0], [-1.0, 4.0], [3.0, 5.0]])
    r = ff.run(x, lambda v: "no" if v[0] < 0 else "yes", axis=1)
    assert r["<lambda>"].tolist() == ["yes", "no", "yes"]
    assert ff.run(x, branches, axis=1)["branches"].tolist() == [1.5, 3.0, 4.0]


def test_elements_read_in_other_ways_are_those_of_each_row() -> None:
    x = elements("float64", (30, 8))

    def through_asarray(v: Array) -> Any:
        return np.asarray(v)[0] + v.mean()

    def through_a_list(v: Array) -> Any:
        return v.tolist()[1] + v.mean()

    def through_memory(v: Array) -> Any:
        return memoryview(v)[2] + v.mean()

    def through_flat(v: Array) -> Any:
        return v.flat[3] + v.mean()

    def through_item(v: Array) -> Any:
        return v.item(4) + v.mean()

    def through_in(v: Array) -> Any:
        return v.mean() if x[5, 0] in v else v.max()

    functions = [through_asarray, through_a_list, through_memory, through_flat, through_item, through_in]
    r = ff.run(x, functions, axis=1)
    for function in functions:
        alike(r[function.__name__], np.apply_along_axis(function, 1, x), "float64")


def test_random_numbers_are_drawn_for_each_row() -> None:
    rng = np.random.default_rng(0)
    r = ff.run(np.zeros((200, 5)), lambda v: v.mean() + rng.random(), axis=1)
    assert len(np.unique(r["<lambda>"])) == 200
    assert r.report.why == {"<lambda>": "called for each row: two calls gave different formulas"}


def test_how_often_a_function_is_called() -> None:
    calls = {"fused": 0, "plain": 0}

    def fused(v: Array) -> Any:
        calls["fused"] += 1
        return v.mean()

    def plain(v: Array) -> Any:
        calls["plain"] += 1
        return float(v.mean())

    ff.run(np.ones((40, 5)), [fused, plain], axis=1, workers=1)
    # The second one's trace ends at once.
    assert calls == {"fused": 2, "plain": 1 + 40}


def test_stored_values_are_those_of_a_row() -> None:
    log: list[Any] = []

    def logs(v: Array) -> Any:
        log.append(v.mean())
        return v.max()

    x = elements("float64", (12, 9))
    r = ff.run(x, logs, axis=1, workers=1)
    assert np.array_equal(r["logs"], x.max(axis=1))
    assert r.report.how == {"logs": "plain"}
    alike(np.array([float(each) for each in log[-12:]]), x.mean(axis=1), "float64")
    assert float(log[0]) == pytest.approx(x[0].mean())


def test_rows_with_nan() -> None:
    x = elements("float64", (60, 25))
    x[7, 3] = x[20, 4] = np.nan
    x[33] = np.nan
    x[40] = 2.0

    def nan_mean(v: Array) -> Any:
        return np.nanmean(v)

    def nan_lowest(v: Array) -> Any:
        return np.nanmin(v) + np.nanmedian(v)

    functions = [*FUSED, nan_mean, nan_lowest]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = ff.run(x, functions, axis=1, on_error="return")
        for function in functions:
            if function is lowest_above:
                continue
            np.testing.assert_allclose(
                r[function.__name__], np.apply_along_axis(function, 1, x), rtol=1e-10, atol=1e-10, err_msg=str(function)
            )
        assert r.report.how["nan_mean"] == "partly fused"
        assert r.report.why["nan_mean"] == "called for 1 of 60 rows"
        # In the rows with NaN, no element is left.
        assert isinstance(r["lowest_above"], ValueError)
        with pytest.raises(ValueError, match="zero-size array"):
            np.apply_along_axis(lowest_above, 1, x)


def warned(call: Callable[[], Any]) -> tuple[Any, set[str]]:
    """A call's result, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        result = call()
    return result, {str(each.message) for each in record}


def test_warnings_of_single_rows() -> None:
    x = elements("float64", (30, 8))
    x[4] = 1.0

    def standard(v: Array) -> Any:
        return ((v - v.mean()) / v.std()).max()

    def ratio(v: Array) -> Any:
        return v.max() / (v.max() - v.min())

    def selected(v: Array) -> Any:
        return v[v > v.mean()].mean()

    functions = [standard, ratio, selected]
    for function in functions:
        expected, texts = warned(lambda function=function: np.apply_along_axis(function, 1, x))
        found, own = warned(lambda function=function: ff.run(x, function, axis=1))
        assert own == texts != set(), function
        np.testing.assert_allclose(found[function.__name__], expected, rtol=1e-12)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert np.isnan(ff.run(x, standard, axis=1)["standard"][4])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="invalid value"):
            ff.run(x, standard, axis=1)
        assert not np.isnan(ff.run(x[:4], standard, axis=1)["standard"]).any()


def test_errstate_raises_in_the_row() -> None:
    x = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]])
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        ff.run(x, lambda v: (v / v.max()).sum(), axis=1)


def test_exceptions_of_single_rows() -> None:
    x = np.arange(20.0).reshape(10, 2)

    def fails(v: Array) -> Any:
        if v[0] == 8:
            raise KeyError("eight")
        return v.sum()

    def fails_fused(v: Array) -> Any:
        return v[v != 8].sum() + v[v < 100][0]

    with pytest.raises(KeyError, match="eight"):
        ff.run(x, fails, axis=1)
    r = ff.run(x, [fails, "mean", fails_fused], axis=1, on_error="return")
    assert isinstance(r["fails"], KeyError)
    assert np.array_equal(r["mean"], x.mean(axis=1))
    assert np.array_equal(r["fails_fused"], np.apply_along_axis(fails_fused, 1, x))


def test_the_kind_of_the_results() -> None:
    x = elements("float64", (4, 6))
    r = ff.run(x, {
        "dict": lambda v: {"low": v.min(), "size": len(v)},
        "list": lambda v: [v.sum(), v.size],
        "constant": lambda v: len(v),
        "quantiles": lambda v: np.quantile(v, [0.0, 0.5]),
        "nothing": lambda v: None,
        "text": lambda v: f"{v[0]:.1f}",
        "ragged": lambda v: v[v > 0],
        "matrix": lambda v: np.outer(v[:2], v[:3]),
        "nested": lambda v: (v[:2] * 1, v[:2] * 2),
    }, axis=1)  # fmt: skip
    assert [each["low"] for each in r["dict"]] == x.min(axis=1).tolist()
    assert type(r["dict"][0]["low"]) is np.float64
    assert type(r["dict"][0]["size"]) is int
    assert r["list"].shape == (4, 2)
    assert r["list"].dtype == np.float64
    assert r["constant"].tolist() == [6] * 4
    assert r["constant"].dtype == int
    assert np.array_equal(r["quantiles"], np.quantile(x, [0.0, 0.5], axis=1).T)
    assert r["nothing"].tolist() == [None] * 4
    assert r["text"].tolist() == [f"{each:.1f}" for each in x[:, 0]]
    assert [each.tolist() for each in r["ragged"]] == [row[row > 0].tolist() for row in x]
    assert np.array_equal(r["matrix"], np.apply_along_axis(lambda v: np.outer(v[:2], v[:3]), 1, x))
    assert r["nested"].shape == (4, 2, 2)
    first = ff.run(x, lambda v: np.outer(v[:2], v[:3]), axis=0)["<lambda>"]
    assert np.array_equal(first, np.apply_along_axis(lambda v: np.outer(v[:2], v[:3]), 0, x))


def test_results_of_several_dtypes_stay_themselves() -> None:
    r = ff.run(np.array([[1.0], [-1.0]]), lambda v: 2**60 + 1 if v[0] > 0 else 0.5, axis=1)
    assert r["<lambda>"].tolist() == [2**60 + 1, 0.5]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5), (1, 5), (4, 1), (1, 1)])
def test_few_rows_or_elements(shape: tuple[int, ...]) -> None:
    x = elements("float64", shape)
    functions = [mean, scores, summary, lambda v: v.max() - v[0]]
    r = ff.run(x, functions, axis=-1)
    assert r["mean"].shape == shape[:-1]
    assert r["scores"].shape == shape
    assert r["summary"].shape == (*shape[:-1], 3)
    assert r["mean"].dtype == r["<lambda>"].dtype == np.float64
    if 0 not in shape:
        for function in functions:
            alike(r[function.__name__], np.apply_along_axis(function, -1, x), "float64")


def test_no_rows_along_several_axes() -> None:
    assert ff.run(np.zeros((0, 2, 3)), [mean, scores], axis=(1, 2))["scores"].shape == (0, 6)


def test_a_copy_of_rows_is_read_only_too() -> None:
    def sorts(v: Array) -> Any:
        v.sort()
        return v[0]

    with pytest.raises(ValueError, match="read-only"):
        ff.run(np.ones((2, 3, 4)), sorts, axis=(0, 2))


def test_no_rows_for_a_function_that_must_be_called() -> None:
    with pytest.raises(ValueError, match="data has no rows"):
        ff.run(np.zeros((0, 5)), smallest_three, axis=1)


def test_rows_without_elements() -> None:
    assert ff.run(np.zeros((3, 0)), lambda v: v.sum(), axis=1)["<lambda>"].tolist() == [0.0] * 3
    with pytest.raises(ValueError, match="zero-size array"):
        ff.run(np.zeros((3, 0)), lambda v: v.max(), axis=1)


def test_differences_of_one_element() -> None:
    with pytest.raises(ValueError, match="empty sequence"):
        ff.run(np.ones((3, 1)), lambda v: np.argmax(np.diff(v)), axis=1)
    assert ff.run(np.ones((3, 1)), lambda v: np.diff(v), axis=1)["<lambda>"].shape == (3, 0)


def test_degrees_of_freedom_that_are_not_left() -> None:
    x = np.ones((3, 1))
    r, texts = warned(lambda: ff.run(x, std, axis=1))
    assert np.isnan(r["std"]).all()
    assert texts == warned(lambda: np.apply_along_axis(std, 1, x))[1]


def test_the_rows_are_read_only() -> None:
    def changes(v: Array) -> Any:
        v += 1
        return v.sum()

    def sets(v: Array) -> Any:
        v[v > 0] = 0
        return v.sum()

    for function in (changes, sets):
        x = np.ones((5, 4))
        with pytest.raises(ValueError, match="read-only"):
            ff.run(x, function, axis=1)
        assert (x == 1).all()


def test_a_copy_may_be_changed() -> None:
    def changes(v: Array) -> Any:
        w = v.copy()
        w -= w.mean()
        w[w > 0] = 0
        return w.sum()

    x = elements("float64", (9, 30))
    r = ff.run(x, changes, axis=1)
    alike(r["changes"], np.apply_along_axis(changes, 1, x), "float64")
    assert r.report.how == {"changes": "fused"}


@pytest.mark.parametrize("dtype", ["float16", "longdouble", "M8[s]", "U3", ">f8", "complex128", "bool"])
def test_other_dtypes(dtype: str) -> None:
    x = np.arange(1, 13).reshape(3, 4).astype(dtype)
    r = ff.run(x, lambda v: v[-1], axis=1)
    assert r["<lambda>"].tolist() == x[:, -1].tolist()


def test_a_subclass_keeps_its_meaning() -> None:
    class Doubled(np.ndarray):
        def sum(self, *args: Any, **kwargs: Any) -> Any:
            return 2 * super().sum(*args, **kwargs)

    x = np.ones((3, 4)).view(Doubled)
    r = ff.run(x, lambda v: float(v.sum()), axis=1)
    assert r["<lambda>"].tolist() == [8.0] * 3


def test_masked_rows_have_their_present_elements() -> None:
    x = np.ma.masked_array(elements("float64", (5, 6)), mask=np.arange(30).reshape(5, 6) % 4 == 0)
    r = ff.run(x, [spread, "std"], axis=1)
    alike(r["spread"], np.asarray(x.std(axis=1)), "float64")
    alike(r["spread"], r["std"], "float64")
    assert r.report.how["spread"] == "plain"


def test_with_kernels_and_functions_that_take_an_axis() -> None:
    def takes_axis(v: Array, axis: int) -> Any:
        return v.max(axis=axis) - v.min(axis=axis)

    x = elements("float64", (300, 500))
    r = ff.run(x, ["std", takes_axis, spread, smallest_three], axis=0)
    assert (r.report.how["spread"], r.report.how["smallest_three"]) == ("fused", "plain")
    alike(r["takes_axis"], np.ptp(x, axis=0), "float64")
    alike(r["spread"], r["std"], "float64")


def test_of_a_table() -> None:
    data = {"a": elements("float64", (4, 5)), "b": elements("float64", (4, 5), 1)}
    r = ff.run(data, [spread, branches], axis=1)
    for name, x in data.items():
        alike(r["spread"][name], x.std(axis=1), "float64")
        assert np.array_equal(r["branches"][name], np.apply_along_axis(branches, 1, x))


@pytest.mark.parametrize("name", ["where", "weights"])
def test_masks_and_weights_need_a_parameter(name: str) -> None:
    with pytest.raises(TypeError, match=f"'mean' has no parameter {name}"):
        ff.run(np.ones((2, 3)), mean, axis=1, **{name: np.ones((2, 3), bool)})


def test_a_timeout_ends_the_calls() -> None:
    def slow(v: Array) -> Any:
        return sum(float(each) for each in v)

    for workers in (1, 2):
        with pytest.raises(TimeoutError, match=r"timeout=0\.02"):
            ff.run(np.ones((100_000, 100)), slow, axis=1, workers=workers, timeout=0.02)


def test_what_numpy_computes_with_numbers_has_its_bits() -> None:
    x = elements("float64", (500, 9))

    def numbers(v: Array) -> Any:
        a, b = v[0], v[1]
        return (
            a + b, a - b, a * b, a / b, -a, abs(a), a**2, a**3, abs(a) ** 0.5, a // b, a % b, np.sqrt(abs(a)),
            np.exp(a), np.log(abs(b)), np.sin(a), np.minimum(a, b), np.hypot(a, b), a > b, 1 / b,
            a == b, 3 - a, -2.5 // b, np.arctan2(a, b), np.square(a),
        )  # fmt: skip

    r = ff.run(x, numbers, axis=1)
    assert r.report.how == {"numbers": "fused"}
    assert np.array_equal(r["numbers"], np.apply_along_axis(numbers, 1, x))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32", "float16"])
def test_what_numpy_computes_with_numbers_of_other_dtypes(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (300, 5)).astype(dtype)

    def numbers(v: Array) -> Any:
        a, b = v[0], v[1]
        return a + b, a * b, a - b, a / (b + 1), a < b, a // 3, -(a * 1.0), a**2, np.add(a, b), a * 2.5

    r, own = warned(lambda: ff.run(x, numbers, axis=1))
    expected, texts = warned(lambda: np.apply_along_axis(numbers, 1, x))
    assert r.report.how == {"numbers": "fused"}
    assert own == texts
    assert r["numbers"].dtype == expected.dtype
    assert np.array_equal(r["numbers"], expected)


def test_a_loop_over_many_elements_is_not_traced() -> None:
    def many(v: Array) -> Any:
        total = 0
        for place in range(len(v)):
            total = total + v[place]
        return total

    x = elements("float64", (20, 50))
    r = ff.run(x, many, axis=1)
    assert r.report.how == {"many": "plain"}
    assert np.array_equal(r["many"], np.apply_along_axis(many, 1, x))


@pytest.mark.parametrize("dtype", ["bool", "complex128", "float32", "float16", "uint64", "int8"])
@pytest.mark.parametrize("function", FUSED)
def test_each_dtype_has_the_result_or_the_exception_of_a_call(dtype: str, function: Function) -> None:
    x = (np.arange(60).reshape(4, 15) * 7 % 11).astype(dtype)
    expected: Any = None
    try:
        expected, _ = warned(lambda: np.apply_along_axis(function, 1, x))
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            ff.run(x, function, axis=1)
        return
    found, _ = warned(lambda: ff.run(x, function, axis=1))
    alike(found[function.__name__], expected, "float16" if dtype == "float16" else "float32")


def test_functions_that_pass_objects_on_are_called() -> None:
    x = np.full((3, 4), np.nan)
    x[0] = 1.0

    def replaced(v: Array) -> Any:
        return np.nan_to_num(np.quantile(v, [0.25, 0.75]))

    r = ff.run(x, replaced, axis=1)
    assert r["replaced"].tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_arithmetic_with_several_quantiles() -> None:
    x = elements("float64", (20, 31))

    def several(v: Array) -> Any:
        q = np.percentile(v, [10.0, 50, 90])
        return (q - q[1]) / (q[2] - q[0]) * 2 + [0, 0.5, 1]

    r = ff.run(x, several, axis=1)
    assert r.report.how == {"several": "fused"}
    alike(r["several"], np.apply_along_axis(several, 1, x), "float64")


def test_several_quantiles_with_elements() -> None:
    x = elements("float64", (20, 31))

    def first(v: Array) -> Any:
        return (np.percentile(v, [25, 75]) - v[:2])[0]

    def second(v: Array) -> Any:
        return np.subtract(v[:2], np.percentile(v, [25, 75]))[1]

    def too_many(v: Array) -> Any:
        return (np.percentile(v, [25, 75])[2:] - v[:4]).size

    r = ff.run(x, [first, second], axis=1)
    assert np.array_equal(r["first"], np.apply_along_axis(first, 1, x))
    assert np.array_equal(r["second"], np.apply_along_axis(second, 1, x))
    with pytest.raises(ValueError, match="could not be broadcast"):
        ff.run(x, too_many, axis=1)


def test_recognised_functions_of_scipy() -> None:
    def shape(v: Array) -> Any:
        return stats.skew(v), stats.kurtosis(v), stats.iqr(v)

    def entropy(v: Array) -> Any:
        return stats.entropy(np.abs(np.asarray(v)) + 1)

    for dtype in ("float64", "float32", "int64"):
        x = elements(dtype, (40, 90))
        x[7] = 3
        r, texts = warned(lambda x=x: ff.run(x, [shape, entropy], axis=1))
        for function in (shape, entropy):
            expected, own = warned(lambda x=x, function=function: np.apply_along_axis(function, 1, x))
            alike(r[function.__name__], expected, dtype)
            assert own <= texts
    # SciPy warns of the row of equal elements, which has a call of its own.
    assert r.report.why["shape"] == "called for 1 of 40 rows"


def test_a_recognised_function_that_needs_values_at_once() -> None:
    x = np.abs(elements("float64", (30, 200)))

    def several(v: Array) -> Any:
        return stats.zscore(v)[:2], stats.mode(np.round(v)).mode, stats.trim_mean(v, 0.1)

    r = ff.run(x, {str(each): lambda v, each=each: several(v)[each] for each in range(3)}, axis=1)
    for each in range(3):
        alike(r[str(each)], np.apply_along_axis(lambda v, each=each: several(v)[each], 1, x), "float64")
