"""Order statistics: exact for every method, distribution and dtype; bounded in memory; harmless where data change."""

import itertools
import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fanfold as ff
from fresh import run_script

Array = npt.NDArray[Any]

SIZE = 100_003
"""Several times as many as a sample has."""

METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip

Q = [0.0, 1e-7, 0.01, 0.05, 0.25, 1 / 3, 0.5, 0.75, 0.95, 0.99, 1 - 1e-7, 1.0]

rng = np.random.default_rng(4)
NORMAL = rng.standard_normal(SIZE)
DISTRIBUTIONS: dict[str, Array] = {
    "normal": NORMAL,
    "uniform, far from zero": 1e9 + rng.random(SIZE),
    "all equal": np.full(SIZE, 3.7),
    "two values": np.where(NORMAL > 0.3, 1.0, 0.0),
    "mostly zero": np.where(NORMAL > 2, NORMAL, 0.0),
    "sorted": np.sort(NORMAL),
    "reversed": np.sort(NORMAL)[::-1].copy(),
    "organ pipe": np.concatenate([np.sort(NORMAL[::2]), np.sort(NORMAL[1::2])[::-1]]),
    "one ulp apart": 1 + np.floor(rng.uniform(0, 1000, SIZE)) * 2.0**-52,
    "subnormal": rng.integers(-1000, 1000, SIZE) * 5e-324,
    "Cauchy": rng.standard_cauchy(SIZE),
    "of all sizes": np.sign(NORMAL) * np.exp(50 * rng.standard_normal(SIZE)),
    "of two scales": np.where(rng.random(SIZE) < 0.5, NORMAL * 1e-8, rng.standard_cauchy(SIZE) * 1e8),
    "prices": np.round(100 + 10 * NORMAL, 2),
    "with infinities": np.where(NORMAL > 1, np.inf, np.where(NORMAL < -1, -np.inf, NORMAL)),
    "zeros of both signs": np.where(NORMAL > 0, 0.0, -0.0),
    "periodic": np.arange(SIZE) % 7 * 1.0,
    "clusters": rng.integers(0, 5, SIZE) + rng.standard_normal(SIZE) * 1e-12,
}

each_distribution = pytest.mark.parametrize("name", DISTRIBUTIONS)


def same(answer: Any, numpys: Any) -> bool:
    """Equal in every bit, but for the sign of a zero, which NumPy leaves to chance where both signs are about."""
    return bool(np.array_equal(answer, numpys, equal_nan=True)) and np.asarray(answer).dtype == np.asarray(numpys).dtype


@each_distribution
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_every_method_is_numpys_to_the_last_bit(name: str, dtype: str) -> None:
    with np.errstate(all="ignore"):
        x = DISTRIBUTIONS[name].astype(dtype)
        functions: dict[str, Any] = {method: ff.quantile(Q, method) for method in METHODS}
        functions |= {f"{method} of one": ff.quantile(0.37, method) for method in METHODS}
        functions |= {"median": "median", "percentile": ff.percentile([2.5, 97.5]), "mad": "median_abs_deviation"}
        r = ff.run(x, functions, workers=2)
        for method in METHODS:
            assert same(r[method], np.quantile(x, Q, method=method)), method
            assert same(r[f"{method} of one"], np.quantile(x, 0.37, method=method)), method
        assert same(r["median"], np.median(x))
        assert same(r["percentile"], np.percentile(x, [2.5, 97.5]))
        assert same(r["mad"], stats.median_abs_deviation(x))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "M8[s]", "m8[ms]"])
@pytest.mark.parametrize("spread", [3, 100, 40_000, 2**31, 2**62])
def test_integers_and_times_are_numpys_to_the_last_bit(dtype: str, spread: int) -> None:
    info = np.iinfo(dtype if dtype[0] in "iu" else "i8")
    low, high = max(int(info.min) // 4, -spread), min(int(info.max) // 4, spread)
    x = np.sort(rng.integers(low, high, SIZE, endpoint=True)).astype(info.dtype).view(dtype)[rng.permutation(SIZE)]
    r = ff.run(x, {method: ff.quantile(Q, method) for method in METHODS} | {"integer": ff.quantile([0, 1])})
    for method in METHODS:
        assert same(r[method], np.quantile(x, Q, method=method)), method
    assert same(r["integer"], np.quantile(x, [0, 1]))


@each_distribution
def test_what_is_sorted_and_counted_is_numpys(name: str) -> None:
    x = DISTRIBUTIONS[name]
    r = ff.run(x, ["sort", "argsort", "unique", "n_unique", "value_counts", "mode", ff.topk(100), ff.argbottomk(100)])
    values, counts = np.unique(x, return_counts=True)
    assert np.array_equal(r["sort"], np.sort(x))
    assert np.array_equal(r["argsort"], np.argsort(x, kind="stable"))
    assert np.array_equal(r["unique"], values)
    assert r["n_unique"] == values.size
    assert np.array_equal(r["value_counts"].values, values)
    assert np.array_equal(r["value_counts"].counts, counts)
    assert r["mode"] == (values[np.argmax(counts)], counts.max())
    assert np.array_equal(r["topk"], np.sort(x)[::-1][:100])
    assert np.array_equal(r["argbottomk"], np.argsort(x, kind="stable")[:100])


@each_distribution
def test_workers_and_company_do_not_show(name: str) -> None:
    x = DISTRIBUTIONS[name]
    functions: dict[str, Any] = {"q": ff.quantile(Q), "median": "median", "iqr": "iqr", "mean": "mean", "sort": "sort"}
    alone = {key: ff.run(x, {key: function}, workers=1)[key].tobytes() for key, function in functions.items()}
    for workers in (1, 2, 3, 7):
        r = ff.run(x, functions, workers=workers)
        assert {key: value.tobytes() for key, value in r.items()} == alone


@each_distribution
@pytest.mark.parametrize("part", [0, 0.1, 1 / 3, 0.49, 0.499999])
def test_a_trimmed_mean_is_that_of_the_elements_between(name: str, part: float) -> None:
    x = DISTRIBUTIONS[name]
    cut = int(part * x.size)
    left = np.sort(x)[cut : x.size - cut]
    answer = ff.run(x, ff.trim_mean(part), workers=2)["trim_mean"]
    if np.isinf(left).any():
        with np.errstate(invalid="ignore"):
            assert np.array_equal(answer, np.mean(left), equal_nan=True)
    else:
        exact = math.fsum(left) / left.size
        assert abs(answer - exact) <= 4 * 2.0**-52 * max(math.fsum(abs(left)) / left.size, 5e-324 * 2.0**52)
    assert answer.tobytes() == ff.run(x, [ff.trim_mean(part), "mean"], workers=1)["trim_mean"].tobytes()


def test_order_statistics_share_their_passes_with_everything_else() -> None:
    functions: list[Any] = ["median", ff.percentile(90), "mean", "std", "min", "max"]
    assert ff.run(NORMAL, functions).report.passes == 1
    assert ff.run(NORMAL, [*functions, "median_abs_deviation"]).report.passes == 2
    # What needs more ranges than two is counted first, together; the plan knows.
    assert ff.run(NORMAL, [*functions, "iqr", ff.quantile(Q)]).report.passes == 2
    assert "near the ranks" in ff.plan(["median", "mean"]).explain()
    assert "pass 2" in ff.plan(["median", "iqr"]).explain() and ff.run(NORMAL, ["median", "iqr"]).report.passes == 2
    assert ff.run(NORMAL[:1000], [*functions, "iqr", ff.quantile(Q)]).report.passes == 1


def sampled_positions(size: int, of: int) -> npt.NDArray[Any]:
    """The positions of a sample of this size, as `positions` in src/engine/pass.rs has them."""
    number = np.arange(size, dtype=np.uint64)
    with np.errstate(over="ignore"):
        hashed = (number + 1) * np.uint64(0x9E3779B97F4A7C15)
        hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed ^= hashed >> np.uint64(31)
    start = number * np.uint64(of // size) + number * np.uint64(of % size) // np.uint64(size)
    return start + hashed % np.uint64(of // size)


@pytest.mark.parametrize("others", [-5.0, np.inf, 2.0])
def test_a_sample_that_shows_no_other_element_does_no_harm(others: float) -> None:
    x = np.full(100_003, others)
    x[::2] = -5.0
    positions = sampled_positions(16_384, x.size)
    x[positions] = 10 + np.random.default_rng(0).random(positions.size)
    with np.errstate(invalid="ignore"):
        wanted = np.quantile(x, [0.1, 0.9])
    r = ff.run(x, [ff.quantile([0.1, 0.9]), "median"])
    assert same(r["quantile"], wanted) and same(r["median"], np.median(x))
    alone = ff.run(x, ff.quantile([0.1, 0.9]))
    # It did miss them.
    assert same(alone["quantile"], wanted) and alone.report.passes > 1


def test_ranks_that_are_found_in_different_rounds_are_all_found() -> None:
    # Two narrow clusters: the bins that hold them have to be divided, one of them more often than the other.
    rng, n, q = np.random.default_rng(0), 1_000_000, [0.019, 0.5, 0.887]
    kind, even = rng.random(n), rng.random(n)
    first, second = (center + rng.integers(0, 300, n) * np.spacing(center) for center in (1e-4, 0.9))
    x = np.where(kind < 0.038, first, np.where(kind < 0.076, second, even))
    r = ff.run(x, ff.quantile(q))
    assert same(r["quantile"], np.quantile(x, q))
    assert r.report.passes < 10


@each_distribution
def test_no_distribution_takes_more_than_three_passes(name: str) -> None:
    for method in ("linear", "nearest"):
        assert ff.run(DISTRIBUTIONS[name], ff.quantile([0.01, 0.1, 0.5, 0.9, 0.99], method)).report.passes <= 3


def test_nan_ends_the_search_and_is_left_out_if_asked() -> None:
    x = NORMAL.copy()
    x[rng.permutation(SIZE)[:777]] = np.nan
    r = ff.run(x, ["median", "nanmedian", ff.quantile(Q), ff.nanquantile(Q), "sort", "n_unique", ff.topk(3)])
    assert np.isnan(r["median"])
    assert np.isnan(r["quantile"]).all()
    assert r["nanmedian"] == np.nanmedian(x)
    assert same(r["nanquantile"], np.nanquantile(x, Q))
    assert np.array_equal(r["sort"], np.sort(x), equal_nan=True)
    assert r["n_unique"] == np.unique(x).size
    assert np.isnan(r["topk"]).all()
    assert same(ff.run(x, "sort", nan_policy="omit")["sort"], np.sort(x[~np.isnan(x)]))
    one = NORMAL.copy()
    one[12_345] = np.nan  # The sample need not see it.
    assert np.isnan(ff.run(one, "median")["median"])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "M8[s]"])
def test_nothing_but_nan(dtype: str) -> None:
    x = np.full(SIZE, "NaT" if dtype[0] == "M" else "nan", dtype)
    r = ff.run(x, ["unique", "n_unique", "value_counts", "sort", "argsort", ff.quantile(Q), ff.topk(2)])
    assert same(r["unique"], np.unique(x))
    assert r["n_unique"] == 1
    assert list(r["value_counts"].counts) == [SIZE]
    assert np.array_equal(r["argsort"], np.arange(SIZE))
    assert np.isnan(r["quantile"]).all()
    assert same(r["sort"], x)
    r = ff.run(x, ["unique", "argsort", ff.topk(2)], nan_policy="omit")
    assert [value.size for value in r.values()] == [0, 0, 0]


numbers = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, np.inf, -np.inf, 1.0, 5e-324, -1e308]),
    st.integers(-3, 3).map(float),
)


@given(
    values=st.lists(numbers, min_size=1, max_size=40),
    repeats=st.integers(1, 3000),
    q=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_any_values_however_often(values: list[float], repeats: int, q: list[float], method: str, seed: int) -> None:
    x = np.repeat(np.array(values), repeats)
    np.random.default_rng(seed).shuffle(x)
    with np.errstate(all="ignore"):
        assert same(ff.run(x, ff.quantile(q, method))["quantile"], np.quantile(x, q, method=method))
    r = ff.run(x, ["n_unique", "sort"])
    assert r["n_unique"] == np.unique(x).size
    assert np.array_equal(r["sort"], np.sort(x), equal_nan=True)


def test_quantiles_take_little_memory_whatever_the_distribution() -> None:
    # Peaks are those of a process: each distribution has its own.
    for make in (
        "rng.standard_normal(n)", "rng.standard_cauchy(n)", "np.full(n, 1.5)", "np.sort(rng.standard_normal(n))",
        "np.where(rng.random(n) < 0.5, 0.0, 1.0)", "np.round(rng.standard_normal(n), 1)",
    ):  # fmt: skip
        grown = run_script(
            f"""
            rng, n = np.random.default_rng(0), 20_000_000
            x = {make}
            ff.run(x[:100_000], "median")
            # From here on the peak is counted anew: making the array may have taken more.
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")

            def peak():
                with open("/proc/self/status") as file:
                    return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024

            before = peak()
            ff.run(x, ff.quantile([.01, .05, .25, .5, .75, .95, .99]), workers=2)
            print((peak() - before) / x.nbytes)
            """
        )
        assert float(grown) < 0.05, make


@pytest.mark.parametrize("function", [ff.quantile(Q), "median_abs_deviation", "n_unique", "sort", ff.topk(50)])
def test_an_array_that_changes_between_passes_does_no_harm(function: Any) -> None:
    x = rng.standard_normal(400_000)
    others = itertools.cycle([np.zeros(x.size), np.full(x.size, np.nan), rng.standard_cauchy(x.size) * 1e200, x.copy()])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            x[:] = next(others)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(40):
            ff.run(x, function, workers=2, timeout=60)
    finally:
        stop.set()
        writer.join()


# ---- approximate answers ----


@each_distribution
@pytest.mark.parametrize("relative_error", [0.001, 0.01, 0.1, 1 / 3, 0.5])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_approximate_quantiles_are_as_near_as_they_say(name: str, relative_error: float, dtype: str) -> None:
    with np.errstate(all="ignore"):
        x = DISTRIBUTIONS[name].astype(dtype)
    answer = ff.run(x, ff.quantile_approx(Q, relative_error), workers=2)["quantile_approx"]
    assert_near(answer, np.quantile(x.astype(float), Q, method="lower"), relative_error)
    for workers in (1, 3, 7):
        r = ff.run(x, ["mean", ff.quantile_approx(Q, relative_error)], workers=workers)
        assert r["quantile_approx"].tobytes() == answer.tobytes()


def assert_near(answer: Array, exact: Array, relative_error: float) -> None:
    """Zeros and infinities are exact, and below the smallest normal number errors are absolute."""
    same = answer == exact
    with np.errstate(all="ignore"):
        near = abs(answer - exact) <= relative_error * np.maximum(abs(exact), 1.5 * 2.0**-1022)
    assert np.all(same | (near & np.isfinite(exact) & (exact != 0)))


@given(
    values=st.lists(st.floats(allow_nan=False), min_size=1, max_size=60),
    q=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    relative_error=st.floats(0.001, 0.5),
)
@settings(max_examples=300, deadline=None)
def test_approximate_quantiles_of_any_values(values: list[float], q: list[float], relative_error: float) -> None:
    x = np.array(values)
    r = ff.run(x, {"all": ff.quantile_approx(q, relative_error), "one": ff.quantile_approx(q[0], relative_error)})
    assert_near(r["all"], np.quantile(x, q, method="lower"), relative_error)
    assert r["one"] == r["all"][0]
    assert type(r["one"]) is np.float64


def test_approximate_quantiles_take_one_pass_and_leave_nan_to_the_policy() -> None:
    x = np.append(NORMAL, np.nan)
    assert np.isnan(ff.run(x, ff.quantile_approx(Q))["quantile_approx"]).all()
    r = ff.run(x, ff.quantile_approx(Q), nan_policy="omit")
    assert np.array_equal(r["quantile_approx"], ff.run(NORMAL, ff.quantile_approx(Q))["quantile_approx"])
    assert r.report.passes == 1


@pytest.mark.parametrize("precision", [8, 11, 14, 18])
@pytest.mark.parametrize("dtype", ["i2", "u4", "i8", "f4", "f8", "M8[s]"])
def test_the_estimated_number_of_values_is_near(precision: int, dtype: str) -> None:
    for n in (0, 1, 2, 10, 100, 1000, 10_000, 60_000, 300_000):
        if dtype == "i2" and n > 2**16:
            continue
        values = np.arange(n, dtype="i8") if dtype[0] in "iufM" and n % 3 else np.arange(n, dtype="i8") * 4
        x = np.unique(values.astype("u2").view("i2") if dtype == "i2" else values.astype(dtype))
        estimate = ff.run(np.repeat(x, 2)[::-1], ff.n_unique_approx(precision))["n_unique_approx"]
        assert abs(estimate - x.size) <= 5 * 1.04 / 2 ** (precision / 2) * x.size + 0.5, n


def test_the_estimated_number_of_values_depends_on_the_values_alone() -> None:
    x = rng.integers(0, 50_000, 400_000).astype(float)
    estimate = ff.run(x, ff.n_unique_approx())["n_unique_approx"]
    for workers in (1, 2, 3, 7):
        assert ff.run(x[::-1], ["n_unique_approx", "mean"], workers=workers)["n_unique_approx"] == estimate
    assert ff.run(np.unique(x), "n_unique_approx")["n_unique_approx"] == estimate
    special = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, np.inf])
    assert ff.run(special, "n_unique_approx")["n_unique_approx"] == 3
    assert ff.run(special, "n_unique_approx", nan_policy="omit")["n_unique_approx"] == 2
    # More elements never have fewer values.
    estimates = [ff.run(x[:n], "n_unique_approx")["n_unique_approx"] for n in range(0, x.size, 20_000)]
    assert estimates == sorted(estimates)
