"""Arrays whose axes have names: axes, labels and weights go by them, and answers keep those that are left."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import fanfold as ff
from fresh import run_script

rng = np.random.default_rng(21)
TIMES = pd.date_range("2020-01-01", periods=40)
DATA = xr.DataArray(
    rng.normal(size=(40, 5, 6)),
    dims=("time", "lat", "lon"),
    coords={
        "time": TIMES,
        "month": ("time", TIMES.month),
        "lat": [10.0, 20.0, 30.0, 40.0, 50.0],
        "area": (("lat", "lon"), rng.random((5, 6))),
        "run": 7,
    },
    name="temperature",
)
AXES: list[Any] = ["time", "lat", "lon", ("time", "lat"), ("lon", "lat"), ("time",)]


def same(own: Any, right: Any) -> None:
    assert isinstance(own, xr.DataArray)
    xr.testing.assert_allclose(own, right.rename(None), rtol=1e-12)
    assert set(own.coords) == set(right.coords) and own.dims == right.dims


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_answers_have_the_dimensions_that_are_left(axis: Any) -> None:
    r = ff.run(DATA, ["mean", "std", "max", ff.quantile([0.1, 0.9]), "count"], axis=axis, workers=2)
    same(r["mean"], DATA.mean(axis))
    same(r["std"], DATA.std(axis))
    same(r["max"], DATA.max(axis))
    same(r["quantile"], DATA.quantile([0.1, 0.9], axis).assign_coords(run=7))
    assert r["count"].dims == DATA.mean(axis).dims
    kept = ff.run(DATA, "mean", axis=axis, keepdims=True)["mean"]
    assert kept.dims == DATA.dims
    np.testing.assert_allclose(kept.values, DATA.mean(axis, keepdims=True).values)


def test_axes_may_have_numbers_too() -> None:
    same(ff.run(DATA, "mean", axis=0)["mean"], DATA.mean("time"))
    same(ff.run(DATA, "mean", axis=-1)["mean"], DATA.mean("lon"))
    assert isinstance(ff.run(DATA, "mean")["mean"], np.float64)
    assert isinstance(ff.run(DATA, "mean", axis=DATA.dims)["mean"], np.float64)


def test_items_keep_all_dimensions() -> None:
    same(ff.run(DATA, "cumsum", axis="time")["cumsum"], DATA.cumsum("time"))
    r = ff.run(DATA, ["sort", ff.topk(k=3), "argmax"], axis="lat")
    assert r["sort"].dims == DATA.dims and r["topk"].shape == (40, 3, 6) and "lat" not in r["topk"].coords
    np.testing.assert_array_equal(r["argmax"], DATA.argmax("lat"))


def test_records_have_fields_with_names() -> None:
    r = ff.run(DATA.round(), ["mode"], axis="time")
    assert r["mode"].mode.dims == r["mode"].count.dims == ("lat", "lon")


def test_functions_get_arrays_and_their_answers_names() -> None:
    def spread(v: Any, axis: Any) -> Any:
        assert type(v) is np.ndarray and axis == 0
        return v.max(axis=axis) - v.min(axis=axis)

    same(ff.run(DATA, spread, axis="time")["spread"], DATA.max("time") - DATA.min("time"))


def test_groups_go_by_coordinates() -> None:
    want = DATA.groupby("month").mean()
    for by in ("month", DATA.month, xr.Variable("time", DATA.month.values)):
        own = ff.run(DATA, "mean", by=by)["mean"]
        np.testing.assert_allclose(own.values, want.values)
    same(ff.run(DATA, "mean", by="month")["mean"], want)
    series = DATA[:, 0, 0]
    same(ff.run(series, "mean", by="month")["mean"], series.groupby("month").mean())
    each = ff.run(
        DATA, "sum", by=xr.DataArray(rng.integers(0, 3, (6, 5)), dims=("lon", "lat"), name="zone").broadcast_like(DATA)
    )
    assert each["sum"].dims == ("zone",) and each["sum"].size == 3
    assert list(ff.run(series, "max", by="time")["max"].indexes["time"]) == list(TIMES)


def test_several_keys_make_groups_without_a_coordinate() -> None:
    series, half = DATA[:, 0, 0], np.arange(40) % 2
    r = ff.run(series, "mean", by=("month", half))
    want = ff.run(series.values, "mean", by=(DATA.month.values, half))
    assert r["mean"].dims == ("group",) and "group" not in r["mean"].coords
    np.testing.assert_array_equal(r["mean"].values, want["mean"])
    both = ff.run(DATA, "mean", by=("month", DATA.month % 2))
    assert both["mean"].dims == ("group", "lat", "lon")


def test_masks_and_weights_go_by_names() -> None:
    weights, chosen = xr.DataArray(rng.random(5), dims="lat"), DATA.lat > 15
    r = ff.run(DATA, "mean", axis=("lat", "lon"), weights=weights, where=chosen)
    same(r["mean"], DATA.where(chosen, drop=True).weighted(weights[1:]).mean(("lat", "lon")))
    turned = xr.DataArray(rng.random((6, 5)), dims=("lon", "lat"))
    same(ff.run(DATA, "mean", axis=("lon", "lat"), weights=turned)["mean"], DATA.weighted(turned).mean(("lat", "lon")))


def test_datasets_answer_for_each_variable() -> None:
    data = xr.Dataset({"a": DATA, "b": DATA * 2, "flat": ("lat", np.arange(5)), "text": ("lat", list("abcde"))})
    r = ff.run(data, ["mean", ff.corr("a", "b")], axis="time")
    same(r["mean"]["b"], (DATA * 2).mean("time"))
    np.testing.assert_allclose(r["corr"], np.ones((5, 6)))
    assert set(r.report.left_out) == {"flat", "text"}
    np.testing.assert_allclose(ff.run(data, "mean", by="month")["mean"]["a"], DATA.groupby("month").mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"axis": "depth"},
            "axis is 'depth', which is not a dimension of data: the dimensions are 'time', 'lat', 'lon'",
        ),
        ({"axis": ("time", "depth")}, "axis is 'depth'"),
        (
            {"by": "area"},
            "by is 'area', which is not a coordinate along one dimension: those are 'time', 'month', 'lat'",
        ),
        ({"where": xr.DataArray([True], dims="depth")}, "where has the dimension 'depth'"),
        ({"weights": xr.DataArray([1.0], dims="depth")}, "weights has the dimension 'depth'"),
    ],
)
def test_wrong_names_are_told(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ff.run(DATA, "mean", **options)


def test_names_without_xarray_are_an_error_that_says_so() -> None:
    run_script(
        """
        try:
            ff.run(np.ones((2, 3)), "mean", axis="time")
        except TypeError as error:
            assert "axis must be an integer" in str(error), error
        else:
            raise AssertionError
        assert "xarray" not in sys.modules
        """
    )
