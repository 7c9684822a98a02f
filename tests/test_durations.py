"""Durations: timedelta64 has the statistics that NumPy has of it, with its unit, its NaT and its way to round."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import fanfold as ff
import zoo

Array = npt.NDArray[Any]

UNITS = ("m8[s]", "m8[25us]", "m8[ns]", "m8[Y]", "m8[7D]", "m8")

NUMPYS: dict[str, Any] = {
    "sum": np.sum, "mean": np.mean, "cumsum": np.cumsum, "median": np.median, "min": np.min, "max": np.max,
    "ptp": np.ptp, "diff": np.diff, "sort": np.sort, "any": np.any, "all": np.all, "count_nonzero": np.count_nonzero,
}  # fmt: skip
"""NumPy's functions, which leave out no NaT."""

STATISTICS = [name for name in NUMPYS if name not in ("cumsum", "diff", "sort")]


def durations(n: int, unit: str, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-1_000, 900, n).astype(unit)


def assert_same(found: Any, want: Any, about: str) -> None:
    found, want = np.asarray(found), np.asarray(want)
    assert found.dtype == want.dtype, about
    np.testing.assert_array_equal(found, want, err_msg=about)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n", [1, 2, 3, 10, zoo.BLOCK + 1, zoo.CHUNK + 3])
def test_what_numpy_has_of_durations(unit: str, n: int) -> None:
    x = durations(n, unit)
    for y in (x, np.where(np.arange(n) == n // 2, np.array("NaT", x.dtype), x)):
        r = ff.run(y, [*NUMPYS], workers=2)
        for name, function in NUMPYS.items():
            assert_same(r[name], function(y), name)
        assert type(r["sum"]) is type(r["mean"]) is np.timedelta64


@pytest.mark.parametrize(
    "items", [[-7, 0], [7, 0], [-7, 0, 0], [7, 0, 0], [-1, 0], [1, 0], [-5, 2], [5, -2], [-4, 0, 0, 1]]
)
def test_means_are_rounded_as_numpys(items: list[int]) -> None:
    x = np.array(items, "m8[25us]")
    r = ff.run(x, ["mean", "nanmean", "median", "nanmedian"])
    assert_same(r["mean"], np.mean(x), "mean")
    assert_same(r["nanmean"], np.mean(x), "nanmean")
    assert_same(r["median"], np.median(x), "median")
    assert_same(
        ff.run(x[:, None].repeat(3, 1), "mean", axis=0)["mean"], np.mean(x[:, None].repeat(3, 1), axis=0), "along"
    )


def test_nat_is_left_out_if_asked() -> None:
    x = durations(5000, "m8[ns]")
    x[[0, 7, 4999]] = "NaT"
    there = x[~np.isnat(x)]
    for name in ("sum", "mean", "median", "min", "max"):
        for found in (ff.run(x, name, nan_policy="omit")[name], ff.run(x, f"nan{name}")[f"nan{name}"]):
            assert_same(found, NUMPYS[name](there), name)
    running = ff.run(x, "cumsum", nan_policy="omit")["cumsum"]
    assert_same(running, np.cumsum(np.where(np.isnat(x), np.timedelta64(0, "ns"), x)), "cumsum")
    assert ff.run(x, "nansum")["nansum"] == pd.Series(x).sum()
    for name in ("sum", "mean", "cumsum"):
        with pytest.raises(ValueError, match="3 NaT"):
            ff.run(x, name, nan_policy="raise")


def test_nothing_but_nat_and_nothing_at_all() -> None:
    for x in (np.full(9, "NaT", "m8[s]"), np.array([], "m8[s]")):
        r = ff.run(x, ["nansum", "nanmean", "nanmedian", "mean"])
        assert_same(r["nansum"], np.timedelta64(0, "s"), "nansum")
        for name in ("nanmean", "nanmedian", "mean"):
            assert_same(r[name], np.timedelta64("NaT", "s"), name)
    empty = ff.run(np.array([], "m8[s]"), ["sum", "cumsum", "any", "all"])
    assert_same(empty["sum"], np.timedelta64(0, "s"), "sum")
    assert_same(empty["cumsum"], np.array([], "m8[s]"), "cumsum")
    assert (empty["any"], empty["all"]) == (False, True)


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (3, zoo.BLOCK + 5)])
def test_along_axes_and_of_groups(shape: tuple[int, int]) -> None:
    x = durations(shape[0] * shape[1], "m8[ms]").reshape(shape)
    x[1, 2] = "NaT"
    for axis, keepdims in itertools.product((0, 1), (False, True)):
        r = ff.run(x, [*STATISTICS, "cumsum"], axis=axis, keepdims=keepdims)
        for name in STATISTICS:
            assert_same(r[name], NUMPYS[name](x, axis=axis, keepdims=keepdims), f"{name} along {axis}")
        assert_same(r["cumsum"], np.cumsum(x, axis=axis), f"cumsum along {axis}")
    mask = np.random.default_rng(1).random(shape) < 0.7
    assert_same(ff.run(x, "sum", axis=1, where=mask)["sum"], np.sum(x, axis=1, where=mask), "where")
    labels = np.arange(x.size) % 5
    by = ff.run(np.ravel(x), ["sum", "mean", "nanmean"], by=labels)
    for label in range(5):
        own = np.ravel(x)[labels == label]
        assert_same(by["sum"][label], np.sum(own), "sum")
        assert_same(by["mean"][label], np.mean(own), "mean")
        assert_same(by["nanmean"][label], np.mean(own[~np.isnat(own)]), "nanmean")


def test_what_does_not_fit_is_an_error_and_no_mean_is() -> None:
    end = 2**63 - 1
    for items in ([end, 1], [-end, -1], [end, end, 5], [-end, -end]):
        x = np.array(items, "m8[s]")
        for name in ("sum", "nansum", "cumsum"):
            with pytest.raises(OverflowError, match=f"'{name}': the exact result does not fit timedelta64"):
                ff.run(x, name)
        exact = sum(items)
        want = abs(exact) // len(items) * (1 if exact > 0 else -1)
        assert_same(ff.run(x, "mean")["mean"], np.timedelta64(want, "s"), "mean")
    assert_same(ff.run(np.array([2**62, 2**62], "m8[s]"), "median")["median"], np.timedelta64(2**62, "s"), "median")
    assert_same(ff.run(np.array([end, 5, -5], "m8[s]"), "sum")["sum"], np.timedelta64(end, "s"), "sum")


def test_tables_of_durations_and_out() -> None:
    x = durations(100, "m8[s]")
    out = np.empty(100, "m8[s]")
    ff.run(x, "cumsum", out={"cumsum": out})
    assert_same(out, np.cumsum(x), "cumsum")
    r = ff.run({"a": x, "b": x.astype("m8[ms]")}, ["sum", "mean"])
    assert_same(r["sum"]["b"], np.sum(x.astype("m8[ms]")), "sum")
    assert_same(r["mean"]["a"], np.mean(x), "mean")


@pytest.mark.parametrize("name", ["sum", "mean", "cumsum", "any", "count_nonzero"])
def test_dates_have_none_of_these(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' .* datetime64"):
        ff.run(np.zeros(3, "M8[s]"), name)


@pytest.mark.parametrize("name", ["average", "std", "var", "prod", "norm"])
def test_what_numpy_has_not_of_durations(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' .* timedelta64"):
        ff.run(np.zeros(3, "m8[s]"), name)


def test_functions_of_durations_are_numpys() -> None:
    x = durations(200_000, "m8[us]")

    def spread(v: Array) -> Any:
        return v.max() - v.mean()

    r = ff.run(x, [spread, np.mean, np.sum])
    assert_same(r["spread"], x.max() - x.mean(), "spread")
    assert_same(r["mean"], np.mean(x), "mean")
    assert_same(r["sum"], np.sum(x), "sum")
