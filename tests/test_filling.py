"""Functions that lack an argument: what they fail with says so, and what to do."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import fanfold as ff
from plain import called

Array = npt.NDArray[Any]
LARGE = np.random.default_rng(7).standard_normal(200_000)
ARRAYS = {"small": LARGE[:1000], "large": LARGE}


@numba.guvectorize(["void(float64[:], float64[:])"], "(n)->()")
def total(v: Any, out: Any) -> None:
    out[0] = v.sum()


@numba.guvectorize(["void(float64[:], float64[:], float64[:])"], "(n),(n)->()")
def product(v: Any, w: Any, out: Any) -> None:
    out[0] = (v * w).sum()


@numba.vectorize
def added(a: Any, b: Any) -> Any:
    return a + b


@numba.njit
def shifted(v: Any, by: Any) -> Any:
    return v.sum() + by


def above(v: Array, threshold: float) -> Any:
    return (v > threshold).mean()


def looked_up(v: Array, table: dict[str, float]) -> Any:
    return v.max() * table["scale"]


def by_place(v: Array, threshold: float, /) -> Any:
    return v > threshold


def of_three(v: Array, low: float, high: float) -> Any:
    return ((v > low) & (v < high)).mean()


def by_name(v: Array, *, q: float) -> Any:
    return np.quantile(v, q)


class Scaled:
    def __call__(self, v: Array, scale: float) -> Any:
        return v.max() / scale


class Fit:
    def __init__(self, v: Array, degree: int) -> None:
        self.highest = v.max() ** degree


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


# The note that tells of a dict, and the call that is the remedy.
GIVEN: dict[str, tuple[Any, str, str]] = {
    "a function": (above, "'threshold'", "functools.partial(above, threshold=...)"),
    "a function that wants another dict": (looked_up, "'table'", "functools.partial(looked_up, table=...)"),
    "a decorated one": (decorated(above), "'threshold'", "functools.partial(above, threshold=...)"),
    "a lambda": (lambda v, k: v.max() * k, "'k'", "functools.partial(f, k=...)"),
    "by place alone": (
        by_place,
        "'threshold'",
        "lambda v: by_place(v, threshold), or functools.partial(by_place, ...)",
    ),
    "an object": (Scaled(), "'scale'", "functools.partial(f, scale=...)"),
    "a class": (Fit, "'degree'", "functools.partial(Fit, degree=...)"),
    "a partial": (functools.partial(of_three, high=1), "'low'", "functools.partial(f, low=...)"),
    "scipy's": (stats.ttest_1samp, "'popmean'", "functools.partial(ttest_1samp, popmean=...)"),
    "numba's": (shifted, "'by'", "functools.partial(shifted, by=...)"),
    "a builtin": (isinstance, "'class_or_tuple'", "functools.partial(isinstance, ...)"),
    "np.percentile": (np.percentile, "'q'", "functools.partial(percentile, q=...)"),
    "np.quantile": (np.quantile, "'q'", "functools.partial(quantile, q=...)"),
    "np.array_equal": (np.array_equal, "'a2'", "functools.partial(array_equal, a2=...)"),
    "np.isin": (np.isin, "'test_elements'", "functools.partial(isin, test_elements=...)"),
    "a ufunc": (np.add, "'x2'", "lambda v: add(v, x2), or functools.partial(add, ...)"),
    "a ufunc that compares": (np.equal, "'x2'", "functools.partial(equal, ...)"),
    "a gufunc": (np.vecdot, "'x2'", "functools.partial(vecdot, ...)"),
    "numba's gufunc": (product, "'w'", "functools.partial(product, w=...)"),
    "numba's ufunc": (added, "'b'", "functools.partial(added, b=...)"),
    "a ufunc of Python": (np.frompyfunc(above, 2, 1), "'x2'", "functools.partial(f, ...)"),
}


@pytest.mark.parametrize("size", ARRAYS)
@pytest.mark.parametrize("name", GIVEN)
def test_a_second_parameter_that_is_no_dict_is_told(name: str, size: str) -> None:
    function, parameter, remedy = GIVEN[name]
    with pytest.raises(Exception) as caught:
        ff.run(ARRAYS[size], {"it": function})
    note = caught.value.__notes__[0]
    assert f"It has a second required parameter, {parameter}" in note
    assert "dict to fill" in note
    assert remedy in note
    r = ff.run(ARRAYS[size], {"it": function, "max": "max"}, on_error="return")
    assert r["it"].__notes__[0] == note
    assert r["max"] == ARRAYS[size].max()


MISSING = {
    "two": (of_three, "pass functools.partial(of_three, low=..., high=...)"),
    "by keyword": (by_name, "pass functools.partial(by_name, q=...)"),
    "a partial's": (functools.partial(of_three, low=1), "pass functools.partial(f, high=...)"),
    "NumPy's": (np.interp, "pass functools.partial(interp, xp=..., fp=...)"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_arguments_of_functions_of_python_are_told(name: str) -> None:
    function, remedy = MISSING[name]
    for x in ARRAYS.values():
        r = ff.run(x, {"it": function}, on_error="return")
        assert "missing" in str(r["it"])
        assert r["it"].__notes__ == [f"It was called with only the array: {remedy}"]


def test_missing_arguments_of_compiled_functions_are_told() -> None:
    r = ff.run(LARGE, {"it": getattr}, on_error="return")
    assert r["it"].__notes__ == ["It was called with only the array: pass functools.partial(getattr, ...)"]


def test_the_remedies_work() -> None:
    remedies = {
        "percentile": functools.partial(np.percentile, q=30),
        "above": functools.partial(above, threshold=0.5),
        "of_three": functools.partial(of_three, low=0, high=1),
        "by_place": lambda v: by_place(v, 0.5),
        "add": functools.partial(np.add, 2.0),
        "by_name": functools.partial(by_name, q=0.3),
        "isin": functools.partial(np.isin, test_elements=LARGE[:3]),
    }
    for x in ARRAYS.values():
        r = ff.run(x, remedies)
        for key, function in remedies.items():
            np.testing.assert_allclose(r[key], called(function, x), rtol=1e-13)


@pytest.mark.parametrize("size", ARRAYS)
def test_ufuncs_of_one_array_are_no_functions_that_fill_a_dict(size: str) -> None:
    x = ARRAYS[size]
    functions: dict[str, Any] = {
        "gufunc": total,
        "negative": np.negative,
        "python": np.frompyfunc(lambda a: a > 0, 1, 1),
        "vectorized": np.vectorize(lambda a: a + 1),
        "two results": np.modf,
        "items": operator.itemgetter(3),
    }
    r = ff.run(x, functions)
    assert r["gufunc"] == pytest.approx(x.sum(), rel=1e-10)
    for key in ("negative", "python", "vectorized", "two results", "items"):
        np.testing.assert_array_equal(r[key], functions[key](x))
    # The axis of the run is theirs too.
    rows = ff.run(x.reshape(10, -1), {"total": lambda v, axis: total(v)}, axis=1)["total"]
    np.testing.assert_allclose(rows, x.reshape(10, -1).sum(1))


def test_nothing_is_told_of_functions_that_want_the_dict_or_fail_by_themselves() -> None:
    def fills(v: Array, out: dict[str, Any]) -> None:
        out["low"] = v.min()
        raise KeyError("gone")

    def fails(v: Array, low: float = 0) -> Any:
        raise TypeError("an argument is missing")

    def weighted(v: Array, weights: Any) -> Any:
        raise TypeError("an argument is missing")

    @functools.wraps(above)
    def positive(v: Array) -> Any:
        return above(v, 0)

    x = ARRAYS["small"]
    r = ff.run(x, [fills, fails, positive], on_error="return")
    assert r["above"] == above(x, 0)
    assert not hasattr(r["fills"], "__notes__")
    assert not hasattr(r["fails"], "__notes__")
    failed = ff.run(x, [weighted], weights=np.ones_like(x), on_error="return")["weighted"]
    assert not hasattr(failed, "__notes__")


def test_a_function_that_gets_a_dict_has_no_parts_and_that_is_told() -> None:
    with pytest.raises(
        TypeError, match="'above' fills a dict, which has no rows or groups: return a value instead"
    ) as caught:
        ff.run(LARGE, above, by=LARGE > 0)
    assert "functools.partial(above, threshold=...)" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'q'") as caught:
        ff.run(LARGE.reshape(10, -1), np.percentile, axis=0)
    assert "functools.partial(percentile, q=...)" in caught.value.__notes__[0]


def test_a_note_is_told_once_however_often_an_exception_is_raised() -> None:
    again = ValueError("the same object each time")

    def fails(v: Array, threshold: float) -> Any:
        raise again

    for _ in range(3):
        with pytest.raises(ValueError, match="the same object"):
            ff.run(LARGE, fails)
    assert len(again.__notes__) == 2
