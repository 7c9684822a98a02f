"""Results as plots, datasets of xarray, and histograms for other libraries."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from uhi.typing.plottable import PlottableAxisGeneric, PlottableHistogram

import fanfold as ff

mpl.use("Agg")
plt: Any = pytest.importorskip("matplotlib.pyplot")

x = np.random.default_rng(4).standard_normal(3_000)
LABELS = np.array(["AA", "DL", "UA"])[np.arange(x.size) % 3]
LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]
TABLE = {"price": x * 100, "size": np.abs(x)}


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def titles(axes: Any) -> list[str]:
    return [ax.get_title() for ax in np.ravel(axes)]


# ---- plots ----


def test_a_histogram_is_stairs_and_comes_alone() -> None:
    r = ff.run(x, ["mean", ff.histogram(bins=7)])
    ax = r.plot()
    assert isinstance(ax, plt.Axes)
    (stairs,) = ax.patches
    np.testing.assert_array_equal(stairs.get_data().values, r["histogram"].counts)
    np.testing.assert_array_equal(stairs.get_data().edges, r["histogram"].edges)


def test_quantiles_are_a_box() -> None:
    r = ff.run(x, ff.quantile([0.9, 0.1, 0.25, 0.75, 0.5]))
    ax = r.plot()
    sides = sorted({round(float(y), 9) for line in ax.lines for y in line.get_ydata()})
    assert sides == [round(float(each), 9) for each in np.quantile(x, LEVELS)]


def test_arrays_are_lines() -> None:
    r = ff.run(x, "cumsum")
    (line,) = r.plot().lines
    np.testing.assert_array_equal(line.get_ydata(), r["cumsum"])


def test_numbers_of_groups_are_bars_and_histograms_small_multiples() -> None:
    r = ff.run(x, ["mean", ff.histogram(bins=5), ff.quantile(LEVELS)], by=LABELS)
    axes = r.plot()
    assert titles(axes) == ["mean", "histogram, AA", "histogram, DL", "histogram, UA", "quantile"]
    assert [bar.get_height() for bar in axes[0].patches] == list(r["mean"])
    assert [each.get_text() for each in axes[0].get_xticklabels()] == ["AA", "DL", "UA"]
    for place in range(3):
        np.testing.assert_array_equal(axes[1 + place].patches[0].get_data().values, r["histogram"].counts[place])
    assert len({axes[place].get_xlim() for place in (1, 2, 3)}) == 1
    assert axes[1].get_xlim()[0] <= r["histogram"].edges.min() and r["histogram"].edges.max() <= axes[1].get_xlim()[1]
    assert [each.get_text() for each in axes[4].get_xticklabels()] == ["AA", "DL", "UA"]


def test_columns_have_plots_of_their_own() -> None:
    r = ff.run(TABLE, ["mean", ff.histogram(bins=5), ff.quantile(LEVELS)])
    wanted = [f"{function} of {column}" for function in ("histogram", "quantile") for column in TABLE]
    assert titles(r.plot()) == wanted


@pytest.mark.parametrize("by", [None, LABELS])
def test_what_is_described_is_boxes(by: Any) -> None:
    assert titles(ff.describe(TABLE, by).plot()) == ["price", "size"]


def test_many_groups_are_a_line_and_few_small_multiples() -> None:
    r = ff.run(x, ["mean", ff.histogram(bins=2)], by=np.arange(x.size) // 30)
    axes = r.plot()
    assert len(axes) == 1 + 24
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), r["mean"])


def test_the_axes_can_be_given() -> None:
    r = ff.run(x, [ff.histogram(bins=7), "cumsum", "mean"])
    _, ax = plt.subplots()
    assert r.plot("histogram", ax=ax) is ax
    _, axes = plt.subplots(1, 2)
    assert list(r.plot(ax=axes)) == list(axes)
    message = r"ax has 1 axes for 2 plots \(histogram, cumsum\): name results, as in plot\(key\)"
    with pytest.raises(ValueError, match=message):
        r.plot(ax=ax)


def test_what_has_no_plot_is_told() -> None:
    r = ff.run(x, ["mean", "std"])
    with pytest.raises(ValueError, match=r"numbers or texts, of which there is no plot: ask for ff\.histogram"):
        r.plot()
    with pytest.raises(ValueError, match="plot: 'median' is not a key of the results: the keys are mean, std"):
        r.plot("median")


def test_matplotlib_is_asked_for_when_it_is_missing() -> None:
    code = (
        "import sys, numpy as np, fanfold as ff\n"
        "r = ff.run(np.arange(9.0), ff.histogram())\n"
        "sys.modules['matplotlib.pyplot'] = None\n"
        "try:\n    r.plot()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plot needs matplotlib, which is not installed: pip install matplotlib"


# ---- histograms for other libraries ----


def test_histograms_satisfy_the_protocol() -> None:
    h = ff.run(x, ff.histogram(bins=7))["histogram"]
    plottable = h.uhi
    assert isinstance(plottable, PlottableHistogram)
    (axis,) = plottable.axes
    assert isinstance(axis, PlottableAxisGeneric)
    assert (axis.traits.circular, axis.traits.discrete, len(axis)) == (False, False, 7)
    assert list(axis) == [axis[number] for number in range(7)] == list(zip(h.edges[:-1], h.edges[1:], strict=True))
    assert axis[-1] == (h.edges[6], h.edges[7])
    assert axis == h.uhi.axes[0] and axis != ff.run(x, ff.histogram(bins=6))["histogram"].uhi.axes[0]
    for found in (plottable.values(), plottable.counts(), plottable.variances()):
        np.testing.assert_array_equal(found, h.counts)
        assert found.dtype == np.float64


@pytest.mark.parametrize(
    "r",
    [ff.run(x, ff.histogram(density=True)), ff.run(x, ff.histogram(), weights=np.full(x.size, 0.5))],
    ids=["density", "weights"],
)
def test_sums_of_weights_and_densities_are_no_counts(r: Any) -> None:
    h = r["histogram"].uhi
    np.testing.assert_array_equal(h.values(), r["histogram"].counts)
    assert h.counts() is None and h.variances() is None


def test_one_of_several_histograms_is_taken() -> None:
    h = ff.run(x, ff.histogram(), by=LABELS)["histogram"]
    with pytest.raises(ValueError, match=r"several histograms: take one, as in Histogram\(h.counts\[0\], h.edges\[0\]"):
        _ = h.uhi
    assert ff.Histogram(h.counts[0], h.edges[0]).uhi.values().sum() == 1_000


# ---- xarray ----

SALES = xr.DataArray(
    x[:72].reshape(24, 3),
    dims=("day", "shop"),
    coords={"shop": ["a", "b", "c"], "month": ("day", np.arange(24) // 12)},
)


def test_functions_are_the_variables_of_a_dataset() -> None:
    functions = ["mean", "count", ff.quantile([0.1, 0.9]), ff.mode(), ff.histogram(bins=3)]
    made = ff.run(SALES, functions, axis="day").to_xarray()
    assert isinstance(made, xr.Dataset)
    xr.testing.assert_allclose(made["mean"].drop_vars("q", errors="ignore"), SALES.mean("day"))
    want = SALES.quantile([0.1, 0.9], "day").rename(quantile="q")
    xr.testing.assert_allclose(made["quantile"], want)
    assert made["mode_count"].dims == ("shop",)
    assert (made["histogram_counts"].dims, made["histogram_edges"].dims) == (
        ("histogram_bin", "shop"),
        ("histogram_edge", "shop"),
    )
    for shop in range(3):
        counts, edges = np.histogram(SALES.values[:, shop], 3)
        np.testing.assert_array_equal(made["histogram_counts"].isel(shop=shop), counts)
        np.testing.assert_allclose(made["histogram_edges"].isel(shop=shop), edges)


@pytest.mark.parametrize(("axis", "dims"), [("day", ("bin", "shop")), ("shop", ("day", "bin"))])
def test_the_bins_of_histograms_have_a_name(axis: str, dims: Any) -> None:
    for keepdims in (False, True):
        h = ff.run(SALES, ff.histogram(bins=3), axis=axis, keepdims=keepdims)["histogram"]
        assert h.counts.dims == dims
        assert h.edges.dims == tuple(name.replace("bin", "edge") for name in dims)
    assert ff.run(SALES, ff.histogram(), by="month")["histogram"].counts.dims == ("month", "shop", "bin")


def test_groups_and_columns_are_dimensions() -> None:
    made = ff.run(SALES, ["mean", "max"], by="month").to_xarray()
    xr.testing.assert_allclose(made["mean"], SALES.groupby("month").mean("day").transpose("month", "shop"))
    data = xr.Dataset({"sold": SALES, "paid": SALES * 2})
    made = ff.run(data, ["mean"], axis="day").to_xarray()
    assert made["mean"].dims == ("column", "shop")
    xr.testing.assert_allclose(made["mean"].sel(column="paid").drop_vars("column"), (SALES * 2).mean("day"))


@pytest.mark.parametrize("data", [SALES.values, TABLE])
def test_data_without_names_have_no_dataset(data: Any) -> None:
    with pytest.raises(ValueError, match="no result has named dimensions: run over an xarray array or dataset"):
        ff.run(data, "mean", axis=0).to_xarray()
