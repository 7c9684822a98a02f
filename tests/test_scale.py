"""Statistics that square or cube do not depend on scale: a power of two changes no digit of any of them."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import fanfold as ff
import zoo

Array = npt.NDArray[Any]

DEGREES: dict[str, int] = {
    "var": 2, "nanvar": 2, "std": 1, "nanstd": 1, "sem": 1, "skew": 0, "kurtosis": 0, "zscore": 0, "norm": 1, "rms": 1,
} | {f"moment {order}": order for order in (2, 3, 4, 5, 8)}  # fmt: skip
"""How each follows the elements: c times the elements are cᵖ times the statistic."""

FUNCTIONS = {name: ff.moment(int(name[7:])) if name.startswith("moment") else name for name in DEGREES}

WEIGHTED = [name for name in DEGREES if name not in ("zscore", "norm", "rms")]

POWERS = (-1010, -680, -600, -560, -500, -350, -250, -150, -60, 60, 150, 250, 350, 500, 560, 680, 1015)

SIZES = (2, 7, 300, zoo.BLOCK + 1, zoo.CHUNK + 77)


def base(n: int) -> Array:
    """Elements of few digits, which are the same ones in every scale that float64 has."""
    rng = np.random.default_rng(n)
    return np.round(rng.normal(0.3, 1, n) * 2**20) / 2**20


def scaled(value: Any, power: int) -> Any:
    """Times a power of two. Beyond float64 NumPy has that in several steps, or not at all."""
    with np.errstate(all="ignore"):
        return np.ldexp(value, np.clip(power, -5000, 5000))


def assert_scaled(found: Any, want: Any, power: int, about: str) -> None:
    np.testing.assert_array_equal(found, scaled(want, power), err_msg=about)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("power", POWERS)
def test_a_power_of_two_changes_no_digit(power: int, n: int) -> None:
    x = base(n)
    wanted, found = ff.run(x, FUNCTIONS), ff.run(scaled(x, power), FUNCTIONS, workers=2)
    for name, degree in DEGREES.items():
        if n == 2 and name in ("moment 3", "moment 5"):
            continue  # 0 but for rounding, to which no range is given.
        assert_scaled(found[name], wanted[name], degree * power, f"{name} of 2**{power}")


@pytest.mark.parametrize("power", [-600, -350, -170, -60, 300, 600])
@pytest.mark.parametrize("n", [300, zoo.CHUNK + 77])
def test_of_elements_with_weights(power: int, n: int) -> None:
    x, weights = base(n), np.random.default_rng(1).integers(0, 3, n) / 4
    functions = {name: FUNCTIONS[name] for name in WEIGHTED} | {"mean": "mean"}
    wanted = ff.run(x, functions, weights=weights)
    x[weights == 0] = 1.7e308  # What weighs nothing is not there.
    found = ff.run(np.where(weights == 0, x, scaled(x, power)), functions, weights=weights)
    for name in WEIGHTED:
        assert_scaled(found[name], wanted[name], DEGREES[name] * power, name)
    for of_weights in (-680, -290, 290, 680):
        found = ff.run(scaled(base(n), power), ["var", "std", "skew", "mean"], weights=scaled(weights, of_weights))
        for name in ("std", "var", "skew"):
            assert_scaled(found[name], wanted[name], DEGREES[name] * power, name)
        assert_scaled(found["mean"], wanted["mean"], power, "mean")


def test_each_row_has_its_own_scale() -> None:
    rng = np.random.default_rng(5)
    functions = {name: function for name, function in FUNCTIONS.items() if name != "zscore"} | {"mean": "mean"}
    degrees = {name: degree for name, degree in DEGREES.items() if name != "zscore"} | {"mean": 1}
    for count, length in ((400, 9), (6, zoo.BLOCK + 5), (3, zoo.CHUNK + 5)):
        x = base(count * length).reshape(count, length)
        x[1] = 0
        powers = rng.choice([-600, -300, 0, 0, 0, 300, 600], count)
        powers[0] = 600
        wanted, rows = ff.run(x, functions, axis=1), scaled(x, powers[:, None])
        rows[2] = np.nan
        labels = np.repeat(np.arange(count), length)
        for found in (
            ff.run(rows, functions, axis=1),
            ff.run(rows, functions, axis=1, workers=3),
            ff.run(np.asfortranarray(rows), functions, axis=1),
            ff.run(rows.T.copy(), functions, axis=0),
            ff.run(np.ravel(rows), functions, by=labels),
            ff.run(rows, functions, axis=1, where=np.ones(rows.shape, bool)),
        ):
            for name, degree in degrees.items():
                want = scaled(wanted[name], degree * powers)
                want[2] = np.nan
                np.testing.assert_array_equal(np.asarray(found[name], float), want, err_msg=name)


def test_nan_is_left_out() -> None:
    x = base(zoo.BLOCK + 77)
    for power in (-600, 600):
        holes = np.insert(scaled(x, power), [0, 100, zoo.BLOCK], np.nan)
        found, wanted = ff.run(holes, FUNCTIONS, nan_policy="omit"), ff.run(x, FUNCTIONS)
        for name, degree in DEGREES.items():
            there = found[name][~np.isnan(holes)] if name == "zscore" else found[name]
            np.testing.assert_allclose(there, scaled(wanted[name], degree * power), rtol=1e-12, err_msg=name)
        assert all(np.isnan(value).all() for name, value in ff.run(holes, FUNCTIONS).items() if "nan" not in name)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(5000), np.full(5000, np.nan), np.array([np.inf, 1.0]), np.append(base(5000), [np.nan, -np.inf]),
        base(5000), np.full(5000, 0.1), np.arange(5000), np.full(5000, 1e-45, np.float32),
    ],
    ids=["zeros", "NaN", "infinite", "NaN and infinite", "ordinary", "equal", "integers", "subnormal float32"],
)  # fmt: skip
def test_what_scale_does_not_help_takes_no_more_passes(x: Array) -> None:
    functions = {
        name: function for name, function in FUNCTIONS.items() if name not in ("zscore", "moment 5", "moment 8")
    }
    assert ff.run(x, functions).report.passes == 1


@pytest.mark.parametrize(
    "items",
    [
        [1.7e308, -1.7e308, 1.0], [1.7e308] * 3, [5e-324, 0.0, 0.0, -5e-324], [1e200, 1.0, 1e-200, -3e200],
        [1e-200] * 7, [3e-170, 3e-170, 0.0], [1e300, 1e300 * (1 + 2**-52)], [1e-300, 1e-300 * (1 + 2**-52), 1e-300],
        [1e160, 0.0] * 5000, [1e-170] * zoo.BLOCK + [2e-170] * zoo.BLOCK, [1e155] * zoo.BLOCK + [1.0] * zoo.BLOCK,
    ],
    ids=lambda items: f"{items[0]:.1e}, {items[1]:.1e}, {len(items)}",
)  # fmt: skip
def test_any_magnitudes(items: list[float]) -> None:
    exact = [Fraction(item) for item in items]
    n = len(items)
    mean = sum(exact) / n
    second, third, fourth = (sum((item - mean) ** power for item in exact) / n for power in (2, 3, 4))
    squares = sum(item * item for item in exact)
    shift = 2**1200  # For roots: floats of them have a range of their own.
    found = ff.run(np.array(items), FUNCTIONS)
    assert found["std"] == pytest.approx(ratio(second, shift), rel=1e-12, abs=0)
    assert found["norm"] == pytest.approx(ratio(squares, shift), rel=1e-12, abs=0)
    assert found["rms"] == pytest.approx(ratio(squares / n, shift), rel=1e-12, abs=0)
    with np.errstate(all="ignore"):
        constant = second <= (Fraction(2) ** -52 * mean) ** 2
    if constant:
        assert np.isnan(found["skew"])
        assert np.isnan(found["kurtosis"])
    else:
        assert found["skew"] == pytest.approx(float(third**2 / second**3) ** 0.5 * (-1) ** (third < 0), abs=1e-7)
        assert found["kurtosis"] == pytest.approx(float(fourth / second**2) - 3, rel=1e-9, abs=1e-9)
        scores = [math.copysign(math.sqrt((item - mean) ** 2 / second), item - mean) for item in exact]
        np.testing.assert_allclose(found["zscore"], scores, rtol=1e-9, atol=1e-9)


def ratio(square: Fraction, shift: int) -> float:
    """The square root, to the precision of a float."""
    root = Fraction(math.isqrt(int(square * shift**2)), shift)
    return float(root) if root <= Fraction(np.finfo(float).max) else math.inf


def test_bins_follow_the_elements() -> None:
    x = base(3000)
    for rule in ("scott", "doane"):
        wanted = ff.run(x, ff.histogram(rule))["histogram"]
        for power in (-600, -300, 300, 600):
            found = ff.run(scaled(x, power), ff.histogram(rule))["histogram"]
            np.testing.assert_array_equal(found.counts, wanted.counts)


# ---- two arrays and more ----

PAIRS = {"cov": (1, 1), "corr": (0, 0), "slope": (-1, 1), "intercept": (0, 1), "rvalue": (0, 0), "pvalue": (0, 0),
         "stderr": (-1, 1), "intercept_stderr": (0, 1)}  # fmt: skip
"""How each follows the elements of the two."""


def of_pairs(x: Array, y: Array, **options: Any) -> dict[str, Any]:
    r = ff.run({"x": x, "y": y}, ["cov", "corr", "linregress", "cov_matrix", "corr_matrix"], **options)
    line = r["linregress"]
    found = {"cov": r["cov"], "corr": r["corr"]} | {name: getattr(line, name) for name in PAIRS if name not in r}
    return found | {"cov_matrix": r["cov_matrix"], "corr_matrix": r["corr_matrix"]}


@pytest.mark.parametrize("n", [3, 300, zoo.CHUNK + 77])
@pytest.mark.parametrize(
    "powers", [(600, 0), (0, -600), (600, 600), (-600, 600), (-500, -560), (1010, -1010), (350, -20)]
)
def test_each_array_has_its_own_scale(powers: tuple[int, int], n: int) -> None:
    x = base(n)
    y = np.round((0.5 * x + base(n + 1)[:n]) * 2**20) / 2**20
    wanted, found = of_pairs(x, y), of_pairs(*map(scaled, (x, y), powers), workers=2)
    for name, degrees in PAIRS.items():
        assert_scaled(found[name], wanted[name], int(np.dot(degrees, powers)), name)
    assert_scaled(found["cov_matrix"], wanted["cov_matrix"], np.add.outer(powers, powers), "cov_matrix")
    np.testing.assert_array_equal(found["corr_matrix"], wanted["corr_matrix"])


def test_pairs_of_rows_and_groups() -> None:
    count, length = 40, 9
    x, y = base(count * length).reshape(count, length), base(count * length + 1)[1:].reshape(count, length)
    powers = np.random.default_rng(3).choice([-600, 0, 0, 600], (2, count))
    rows = {"x": scaled(x, powers[0][:, None]), "y": scaled(y, powers[1][:, None])}
    wanted = ff.run({"x": x, "y": y}, ["corr", "cov"], axis=1)
    labels = np.repeat(np.arange(count), length)
    by = ff.run({name: np.ravel(array) for name, array in rows.items()}, ["corr", "cov", "corr_matrix"], by=labels)
    along = ff.run(rows, ["corr", "cov", "corr_matrix"], axis=1)
    for found in (along, by):
        np.testing.assert_array_equal(found["corr"], wanted["corr"])
        np.testing.assert_array_equal(found["cov"], scaled(wanted["cov"], powers.sum(axis=0)))
        np.testing.assert_allclose(np.asarray(found["corr_matrix"])[:, 0, 1], wanted["corr"], rtol=1e-12)


def test_correlations_of_extremes() -> None:
    x = np.array([-5e210, 5e210, 3e200, -3e200])
    r = of_pairs(x, x)
    assert r["corr"] == r["corr_matrix"][0, 1] == r["slope"] == 1
    a, b = np.array([0, 0, 0, 1, 1, 1, 1.0]), np.arange(7.0)
    for size in (1e90, 1e-90, 1e150, 1e155, 1e200, 1e-155, 1e-165, 1e-200, 1e-320, 1.7e308):
        r = of_pairs(a * size, b)
        assert r["corr"] == pytest.approx(stats.pearsonr(a, b).statistic, rel=1e-15)
        assert r["corr_matrix"][1, 0] == pytest.approx(r["corr"], rel=1e-15)
    huge = np.array([1.7e308, -1.7e308, 1.0])
    assert ff.run({"x": huge, "y": np.arange(3.0)}, "corr")["corr"] == pytest.approx(
        np.corrcoef(huge / 1e308, range(3))[0, 1]
    )


def test_one_array_of_a_matrix_does_not_spoil_the_others() -> None:
    x, y = base(700), base(701)[1:]
    data = {
        "x": x,
        "large": y * 1e200,
        "NaN": np.where(x > 2, np.nan, x),
        "infinite": np.where(x > 2, np.inf, x),
        "equal": 0 * x,
    }
    with np.errstate(all="ignore"):
        wanted = np.corrcoef([x, y, data["NaN"], data["infinite"], data["equal"]])
    found = ff.run(data, "corr_matrix")["corr_matrix"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)
    # What is left out with its row has no say in the scale.
    small = np.where(np.arange(700) == 5, 1e300, x * 1e-170)
    holes = np.where(np.arange(700) == 5, np.nan, y)
    omitted = ff.run({"x": small, "y": holes}, ["corr", "corr_matrix"], nan_policy="omit")
    there = np.corrcoef(np.delete(x, 5), np.delete(y, 5))[0, 1]
    assert omitted["corr"] == pytest.approx(there, rel=1e-12)
    assert omitted["corr_matrix"][0, 1] == pytest.approx(there, rel=1e-12)


@pytest.mark.parametrize("power", POWERS)
def test_errors_follow_the_scale(power: int) -> None:
    x, y = base(5000), base(5001)[1:]
    wanted = ff.run({"x": x, "y": y}, "rmse")["rmse"]
    assert ff.run({"x": scaled(x, power), "y": scaled(y, power)}, "rmse")["rmse"] == scaled(wanted, power)


def test_errors_are_small_or_large_whatever_the_elements_are() -> None:
    def rmse(x: list[float], y: list[float]) -> Any:
        return ff.run({"x": np.array(x), "y": np.array(y)}, "rmse")["rmse"]

    assert rmse([1e-170, 1.0, 1e300], [0.0, 1.0, 1e300]) == pytest.approx(1e-170 / math.sqrt(3), rel=1e-12, abs=0)
    assert rmse([1.7e308, 0.0], [-1.7e308, 0.0]) == math.inf
    assert rmse([1.2e308] + [0.0] * 8, [-1.2e308] + [0.0] * 8) == pytest.approx(0.8e308, rel=1e-12)
    assert rmse([5e-324, 0.0], [0.0, 0.0]) == pytest.approx(5e-324, abs=5e-324)
    assert rmse([np.inf, 0.0], [1.0, 0.0]) == math.inf
    assert math.isnan(rmse([np.nan, 1e200], [1.0, 0.0]))
    assert ff.run({"x": np.ones(9), "y": np.ones(9)}, "rmse").report.passes == 1


# ---- ranks ----


@pytest.mark.parametrize("left", ["int64", "uint64", "int8", "bool", "float32", "float64"])
@pytest.mark.parametrize("right", ["int64", "uint64", "uint16", "float64"])
def test_spearman_ranks_each_array_in_its_own_dtype(left: str, right: str) -> None:
    rng = np.random.default_rng(7)

    def column(dtype: str) -> Array:
        n = zoo.BLOCK + 300
        if dtype in ("int64", "uint64"):  # float64 holds few of these integers, the ends of both dtypes least of all.
            top = np.iinfo(dtype).max
            x = np.asarray(top, dtype) - rng.integers(0, 900, n).astype(dtype)
            x[::7] = np.asarray(np.iinfo(dtype).min, dtype) + rng.integers(0, 900, x[::7].size).astype(dtype)
            x[:2] = np.iinfo(dtype).min, top
            return x
        return rng.integers(0, 2 if dtype == "bool" else 90, n).astype(dtype)

    x, y = column(left), column(right)
    want = np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]
    function = ff.corr(method="spearman")
    r = ff.run({"x": x, "y": y}, {"spearman": function, "pearson": "corr"}, workers=2)
    assert r["spearman"] == pytest.approx(want, abs=1e-13)
    labels = np.arange(x.size) % 40
    by = ff.run({"x": x, "y": y}, function, by=labels)["corr"]
    for label in (0, 17):
        ranks = [stats.rankdata(each[labels == label]) for each in (x, y)]
        assert by[label] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-13)
    mask = rng.random(x.size) < 0.5
    ranks = [stats.rankdata(each[mask]) for each in (x, y)]
    masked = ff.run({"x": x, "y": y}, function, where=mask)["corr"]
    assert masked == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-13)
    if right == "float64":
        y[5:9] = np.nan
        there = ~np.isnan(y)
        ranks = [stats.rankdata(each[there]) for each in (x, y)]
        omitted = ff.run({"x": x, "y": y}, function, nan_policy="omit")["corr"]
        assert omitted == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-13)
        assert math.isnan(ff.run({"x": x, "y": y}, function)["corr"])
        with pytest.raises(ValueError, match="NaN"):
            ff.run({"x": x, "y": y}, function, nan_policy="raise")


def test_spearman_of_time_stamps() -> None:
    t = 1_700_000_000_000_000_000 + 10 * np.arange(1000)
    function = ff.corr(method="spearman")
    assert ff.run({"t": t, "v": np.arange(1000)}, function)["corr"] == pytest.approx(1, rel=1e-12)
    assert ff.run({"t": t[::-1], "v": t.astype(np.uint64)}, function)["corr"] == pytest.approx(-1, rel=1e-12)
    rows = {"t": t.reshape(100, 10), "v": np.arange(1000).reshape(100, 10)}
    np.testing.assert_allclose(ff.run(rows, function, axis=1)["corr"], 1, rtol=1e-12)
