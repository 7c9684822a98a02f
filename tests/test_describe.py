"""`ff.describe` against `DataFrame.describe` and NumPy."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

import fanfold as ff

pd = pytest.importorskip("pandas")

rng = np.random.default_rng(3)
PRICES = rng.standard_normal(1_000)
PRICES[::7] = np.nan
TABLE = pd.DataFrame(
    {
        "price": PRICES,
        "count": rng.integers(0, 50, 1_000),
        "shop": rng.choice(["a", "b", "c"], 1_000),
        "kind": pd.Categorical(rng.choice(["x", "y"], 1_000)),
        "whole": pd.array([None if each % 5 == 0 else each for each in range(1_000)], dtype="Int64"),
        "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, 1_000), "D"),
        "good": rng.random(1_000) > 0.5,
    }
)
ROWS = ["count", "mean", "std", "min", "25%", "50%", "75%", "max"]


def test_numbers_are_described_as_by_pandas() -> None:
    numbers = ["price", "count", "whole"]
    got = ff.describe(TABLE).to_frame("pandas").loc[ROWS, numbers].astype(float)
    want = TABLE[numbers].describe().loc[ROWS].astype(float)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_labels_are_described_as_by_pandas() -> None:
    r = ff.describe(TABLE)
    for name in ("shop", "kind"):
        want = TABLE[name].describe()
        got = (r["count"][name], r["distinct"][name], r["freq"][name])
        assert got == (want["count"], want["unique"], want["freq"])
        assert (TABLE[name] == r["top"][name]).sum() == want["freq"]
    assert r["missing"] == {"price": 143, "count": 0, "shop": 0, "kind": 0, "whole": 200, "when": 0, "good": 0}


def test_a_run_without_functions_describes() -> None:
    want = ff.describe(TABLE, by="shop").to_dict()
    assert ff.run(TABLE, by="shop", workers=1).to_dict() == want
    assert ff.run(TABLE).to_json() == ff.describe(TABLE).to_json()
    assert ff.Pool(1).run(TABLE, by="shop").to_dict() == want
    assert ff.submit(TABLE, by="shop").result().to_dict() == want
    for option in inspect.signature(ff.run).parameters.keys() - {"data", "functions", "by", "workers", "others"}:
        with pytest.raises(TypeError, match=f"functions is None, which describes the data and takes no {option}: pass"):
            ff.run(TABLE, **{option: 1})


def test_times_have_no_standard_deviation() -> None:
    r = ff.describe(TABLE)
    want = TABLE["when"].describe()
    assert (pd.Timestamp(r["min"]["when"]), pd.Timestamp(r["max"]["when"])) == (want["min"], want["max"])
    assert "when" not in r["std"] and "when" not in r["mean"] and "good" not in r["25%"]


@pytest.mark.parametrize("by", ["shop", "kind", ("shop", "kind")])
def test_groups_are_described_as_by_pandas(by: Any) -> None:
    r = ff.describe(TABLE, by=by)
    grouped = TABLE.groupby(list(by) if isinstance(by, tuple) else by, observed=True)
    for name in ("price", "count"):
        want = grouped[name].describe()
        for row in ROWS:
            np.testing.assert_allclose(r[row][name], want[row], rtol=1e-12)
        np.testing.assert_array_equal(r["missing"][name], grouped.size() - grouped[name].count())
    assert "shop" not in r["count"]
    labels = r.groups if isinstance(by, str) else list(zip(*r.groups, strict=True))
    assert list(labels) == list(want.index)


def test_labels_that_are_missing_are_in_no_group() -> None:
    shops = TABLE["shop"].where(TABLE["shop"] != "b")
    r = ff.describe(TABLE["price"], by=shops)
    want = TABLE["price"].groupby(shops).describe()
    np.testing.assert_allclose(r["mean"], want["mean"])
    np.testing.assert_array_equal(r["missing"], TABLE["price"].isna().groupby(shops).sum())


def test_arrays_lists_and_dicts_are_described() -> None:
    x = np.arange(12.0).reshape(3, 4)
    assert ff.describe(x)["50%"] == 5.5
    assert ff.describe([3, 1, 2])["count"] == 3
    assert ff.describe({"a": [1, 2], "b": ["u", "u"]})["top"] == {"b": "u"}
    masked = ff.describe(np.ma.masked_greater(np.arange(5.0), 3))
    assert (masked["count"], masked["missing"], masked["max"]) == (4, 1, 3.0)
    assert ff.describe(np.array([True, False]))["mean"] == 0.5


def test_nothing_to_describe_is_nan() -> None:
    for empty in (np.array([]), np.array([np.nan, np.nan])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            r = ff.describe(empty)
        assert (r["count"], r["missing"]) == (0, empty.size)
        assert np.isnan(r["mean"]) and np.isnan(r["50%"])


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_tables_are_described(library: str) -> None:
    module = pytest.importorskip(library)
    columns = {"n": [1, None, 3], "s": ["x", None, "x"]}
    table = module.DataFrame(columns) if library == "polars" else module.table(columns)
    r = ff.describe(table)
    assert r["missing"] == {"n": 1, "s": 1}
    assert (r["mean"]["n"], r["top"]["s"], r["freq"]["s"]) == (2.0, "x", 2)


@pytest.mark.parametrize(
    ("data", "by", "message"),
    [
        ("abc", None, "data is a str, 'abc'"),
        (None, None, "data is a NoneType"),
        (pd.DataFrame(), None, "cannot be described"),
        (pd.DataFrame({"a": [[1], [2]]}), None, "not hashable"),
        (TABLE, "nope", "by is 'nope', which is not a column of data: the columns are 'price', 'count'"),
        (TABLE, [1, 2], "by has shape"),
        (np.arange(3), 4, "by must be an array"),
    ],
)
def test_bad_input_is_refused(data: Any, by: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        ff.describe(data, by=by)


def test_workers_are_checked() -> None:
    for data in (np.arange(3), {"labels": ["a", "b"]}):
        with pytest.raises(ValueError, match="workers must be an integer from 1"):
            ff.describe(data, workers=0)


def test_arrays_of_several_axes_have_groups_too() -> None:
    x, by = np.arange(12.0).reshape(3, 4), np.arange(12).reshape(3, 4) % 2
    for data in (x, x.tolist(), np.ma.array(x, mask=x > 10)):
        r = ff.describe(data, by=by)
        np.testing.assert_array_equal(r["min"], [0, 1])
    np.testing.assert_array_equal(r["missing"], [0, 1])


def test_the_report_has_all_columns() -> None:
    report = ff.describe(TABLE).report
    assert 1 <= report.passes <= 2
    assert report.bytes_read > 0
    assert report.seconds > 0


@given(of_numpy.arrays(st.sampled_from(["f8", "f4", "i8", "u1"]), st.integers(1, 60)))
@settings(max_examples=60, deadline=None)
def test_any_numbers_are_described_as_by_pandas(x: Any) -> None:
    with np.errstate(all="ignore"):
        want = pd.Series(x).describe()
    got = ff.describe(x)
    for row in ("count", "min", "max"):
        np.testing.assert_array_equal(got[row], want[row])
    finite = np.isfinite(x.astype(float)).all()
    if finite and np.abs(x.astype(float)).max() < 1e100:
        for row in ("mean", "25%", "50%", "75%"):
            tolerance = 1e-5 if x.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(float(got[row]), want[row], rtol=tolerance, atol=tolerance * np.abs(want["max"]))


def test_integers_of_which_a_group_has_none_are_described_as_pandas_does() -> None:
    x = pd.Series([1, 2, None, None, 7], dtype="Int64")
    by = [0, 0, 1, 1, 2]
    want = x.groupby(by).agg(["min", "max"]).astype("float64")
    r = ff.describe(x, by=by)
    assert list(r) == list(ff.describe(x.astype("float64"), by=by))
    np.testing.assert_array_equal(r["min"], want["min"])
    np.testing.assert_array_equal(r["max"], want["max"])
    assert np.isnan(ff.describe(np.empty(0, np.int64))["max"])


def test_what_has_no_order_is_described_without_it() -> None:
    complex_, empty = np.array([1 + 2j, 3]), np.empty(0, np.bool_)
    assert list(ff.describe(complex_)) == ["count", "missing", "mean"]
    assert list(ff.describe(complex_, by=[0, 1])) == ["count", "missing", "mean"]
    assert list(ff.describe(empty)) == ["count", "missing", "mean", "std"]
    r = ff.describe({"z": complex_, "x": np.array([1.0, 2.0])})
    assert (r["count"], r["min"]) == ({"z": 2, "x": 2}, {"x": 1.0})
