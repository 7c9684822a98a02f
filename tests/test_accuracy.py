"""How close the answers are to the exact ones, which are computed with rational arithmetic, and to NumPy's."""

import math
from collections.abc import Callable, Iterable, Iterator
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

import fanfold as ff

Array = npt.NDArray[Any]

SIZES = (3, 10, 100, 1000, 4097, 10_000)
SMALL = SIZES[:4]

UNIT = 2.0**-53
"""The largest relative error of one rounding to float64."""

INT64, UINT64 = np.iinfo(np.int64), np.iinfo(np.uint64)


def one(x: Array, function: str | ff.Kernel) -> Any:
    (answer,) = ff.run(x, function).values()
    return answer


# ---- the exact answers ----


def scaled(x: Array) -> tuple[list[int], int]:
    """Integers and the power of two that they are to be divided by: every float is such a fraction."""
    ratios = [item.as_integer_ratio() for item in np.ravel(x).tolist()]
    scale = max(denominator for _, denominator in ratios)
    return [numerator * (scale // denominator) for numerator, denominator in ratios], scale


def power_sum(x: Array, power: int) -> Fraction:
    items, scale = scaled(x)
    return Fraction(sum(item**power for item in items), scale**power)


def central(x: Array, order: int) -> Fraction:
    """The mean of the deviations to a power: Σ (n xᵢ − Σ x)ᵖ over nᵖ⁺¹."""
    items, scale = scaled(x)
    n, total = len(items), sum(items)
    return Fraction(sum((n * item - total) ** order for item in items), n ** (order + 1) * scale**order)


def root(x: Fraction, degree: int = 2) -> Fraction:
    """A root to some 60 digits, exact enough to stand for the exact one."""
    with localcontext(prec=60):
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)) ** (Decimal(1) / degree))


def decimals(x: Array, of_item: Callable[[Decimal], Decimal], of_sum: Callable[[Decimal, int], Decimal]) -> Fraction:
    """A function of the sum of a function of the items, to some 60 digits."""
    with localcontext(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX):
        items = [Decimal(item) for item in x.tolist()]
        return Fraction(of_sum(sum(map(of_item, items), Decimal(0)), len(items)))


class Case(NamedTuple):
    """What a kernel is compared with: NumPy, and the exact answer. `unit` is the size of what is added up to it.

    A rounding more than NumPy's is allowed; a few more where several moments are merged, which NumPy takes in passes.
    """

    kernel: str | ff.Kernel
    numpy: Callable[[Array], Any]
    exact: Callable[[Array], Fraction]
    unit: Callable[[Array], float] | None = None
    sizes: tuple[int, ...] = SIZES
    positive: bool = False
    slack: int = 1


def mean_power(x: Array, order: int) -> float:
    """The mean of the absolute deviations to a power."""
    return float(np.mean(np.abs(x - np.mean(x, dtype=float)) ** order))


CASES = [
    Case("sum", np.sum, lambda x: power_sum(x, 1), lambda x: float(np.sum(np.abs(x), dtype=float))),
    Case("mean", np.mean, lambda x: power_sum(x, 1) / x.size, lambda x: float(np.mean(np.abs(x), dtype=float))),
    Case("mean_abs", lambda x: np.mean(np.abs(x)), lambda x: power_sum(np.abs(x), 1) / x.size),
    Case("rms", lambda x: np.sqrt(np.mean(np.square(x))), lambda x: root(power_sum(x, 2) / x.size)),
    Case("norm", np.linalg.norm, lambda x: root(power_sum(x, 2))),
    Case("var", np.var, lambda x: central(x, 2)),
    Case("std", np.std, lambda x: root(central(x, 2))),
    Case("sem", stats.sem, lambda x: root(central(x, 2) / (x.size - 1))),
    *(
        Case(
            ff.moment(order=p),
            lambda x, p=p: stats.moment(x, order=p),
            lambda x, p=p: central(x, p),
            # The rounding of the mean, too, is raised to the power.
            lambda x, p=p: mean_power(x, p) + p * mean_power(x, p - 1) * float(np.abs(np.mean(x))),
            slack=4,
        )
        for p in (3, 4, 5, 6)
    ),
    Case(
        "skew",
        stats.skew,
        lambda x: central(x, 3) / root(central(x, 2) ** 3),
        lambda x: mean_power(x, 3) / mean_power(x, 2) ** 1.5,
        slack=4,
    ),
    Case(
        "kurtosis",
        stats.kurtosis,
        lambda x: central(x, 4) / central(x, 2) ** 2 - 3,
        lambda x: mean_power(x, 4) / mean_power(x, 2) ** 2,
        slack=4,
    ),
    Case(
        "logsumexp",
        special.logsumexp,
        lambda x: decimals(x, Decimal.exp, lambda total, _: total.ln()),
        lambda x: float(np.max(np.abs(x))),
        SMALL,
    ),
    Case(
        "gmean",
        stats.gmean,
        lambda x: decimals(x, Decimal.ln, lambda total, n: (total / n).exp()),
        lambda x: float(np.exp(np.mean(np.log(x))) * np.mean(np.abs(np.log(x)))),
        SMALL,
        positive=True,
    ),
    Case("hmean", stats.hmean, lambda x: decimals(x, lambda a: 1 / a, lambda total, n: n / total), None, SMALL, True),
]


def ulps(value: Any, exact: Fraction, dtype: Any = None) -> float:
    """The error in units of the exact answer's last place, in the answer's dtype."""
    if not np.isfinite(value):
        return math.inf
    spacing = np.spacing(np.abs(np.asarray(float(exact), dtype or np.asarray(value).dtype)))
    return float(abs(Fraction(float(value)) - exact) / Fraction(float(spacing)))


# ---- NIST ----

# Statistical Reference Datasets, univariate summary statistics, https://www.itl.nist.gov/div898/strd/univ/homepage.html:
# the numbers of NumAcc1 to NumAcc4, the certified mean and standard deviation, and the digits to reach. The decimal
# fractions of the last two are no binary ones: even the exact deviation of what is stored has 9.5 and 8.3 digits.
NIST = {
    "NumAcc1": ([10000001.0, 10000003.0, 10000002.0], 10000002.0, 1.0, 15.9, 15.9),
    "NumAcc2": ([1.2] + [1.1, 1.3] * 500, 1.2, 0.1, 15.9, 15.0),
    "NumAcc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, 1000000.2, 0.1, 15.9, 9.4),
    "NumAcc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, 10000000.2, 0.1, 15.7, 8.2),
}


def digits(value: float, certified: float) -> float:
    """The log relative error, as NIST counts correct digits: no more than float64 has."""
    return 16.0 if value == certified else min(16.0, -math.log10(abs(value - certified) / abs(certified)))


@pytest.mark.parametrize("name", NIST)
def test_nist_numacc(name: str) -> None:
    data, mean, std, mean_digits, std_digits = NIST[name]
    x = np.array(data)
    r = ff.run(x, ["mean", ff.std(ddof=1)])
    assert digits(r["mean"], mean) >= max(mean_digits, digits(np.mean(x), mean))
    assert digits(r["std"], std) >= std_digits
    exact = root(central(x, 2) * x.size / (x.size - 1))
    assert ulps(r["std"], exact) <= ulps(np.std(x, ddof=1), exact) + 1


# ---- no worse than NumPy ----

DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=3, size=n),
    "heavy tails": lambda rng, n: rng.standard_t(2, size=n),
    "far from zero": lambda rng, n: 1e6 + rng.normal(size=n),
    "farther from zero": lambda rng, n: -1e9 + rng.uniform(size=n),
    "drifting": lambda rng, n: np.cumsum(rng.normal(size=n)),
    "sorted": lambda rng, n: np.sort(rng.normal(size=n)),
    "two values": lambda rng, n: rng.choice([0.1, 0.3], size=n),
    "an outlier": lambda rng, n: np.append(rng.normal(size=n - 1), 1e5),
    "small": lambda rng, n: rng.normal(size=n) * 1e-30,
    "large": lambda rng, n: rng.normal(size=n) * 1e30,
}


def errors(case: Case, samples: Iterable[Array], answer: Callable[[Array], Any]) -> float:
    """The largest error, in roundings of the numbers that are added up to the answer."""
    largest = 0.0
    for x in samples:
        exact, got = case.exact(x), answer(x)
        unit = max(case.unit(x) if case.unit else 0.0, abs(float(exact))) * float(np.finfo(x.dtype).eps)
        largest = max(largest, float(abs(Fraction(float(got)) - exact)) / unit) if np.isfinite(got) else math.inf
    return largest


def draw(distribution: str, dtype: str, case: Case) -> list[Array]:
    rng = np.random.default_rng(2026)
    samples = [DISTRIBUTIONS[distribution](rng, n).astype(dtype) for n in case.sizes]
    return [np.abs(x) for x in samples] if case.positive else samples


def comparisons() -> Iterator[Any]:
    for case in CASES:
        for distribution in DISTRIBUTIONS:
            name = str(case.kernel)
            if (name, distribution) == ("logsumexp", "large"):
                continue  # e to the 10³⁰ is beyond all decimals.
            yield pytest.param(case, distribution, id=f"{name}-{distribution}")


@pytest.mark.parametrize(("case", "distribution"), list(comparisons()))
def test_no_worse_than_numpy(case: Case, distribution: str) -> None:
    samples = draw(distribution, "float64", case)
    ours = errors(case, samples, lambda x: one(x, case.kernel))
    theirs = errors(case, samples, case.numpy)
    assert ours <= theirs + case.slack


# float32 and float16 are computed in float64 and rounded: at most half a unit, and what is left of the wide errors.
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("distribution", ["normal", "uniform", "exponential", "drifting", "two values"])
@pytest.mark.parametrize("case", CASES[:8], ids=lambda case: case.kernel)
def test_narrow_floats_are_rounded_once(case: Case, distribution: str, dtype: str) -> None:
    for x in draw(distribution, dtype, case):
        exact = case.exact(x)
        if abs(exact) <= np.finfo(dtype).max:
            answer = one(x, case.kernel)
            assert answer.dtype == dtype
            assert ulps(answer, exact) <= 0.5 + (1e-6 if dtype == "float32" else 2e-3)


def test_float16_is_rounded_from_the_exact_answer() -> None:
    x = np.array([2048, 1, 2.0**-24], np.float16)
    assert one(x, "sum") == 2050


# ---- sums ----


def test_the_sum_of_a_hundred_million_float32_does_not_stall() -> None:
    x = np.broadcast_to(np.float32(0.1), (10_000, 10_000))
    exact = Fraction(float(np.float32(0.1))) * 10**8
    r = ff.run(x, ["sum", "mean", "rms", "std", "norm"])
    assert r["sum"] == np.float32(float(exact))
    assert (r["mean"], r["rms"], r["std"]) == (np.float32(0.1), np.float32(0.1), 0)
    assert r["norm"] == np.float32(1000)


def test_the_sum_of_more_float32_ones_than_float32_can_count() -> None:
    x = np.ones(2**24 + 1001, np.float32)
    assert one(x, "sum") == np.float32(2**24 + 1001)
    assert one(x[:, None], "sum") == np.float32(2**24 + 1001)
    assert one(x, "mean") == 1


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_a_narrow_result_cannot_hold_is_infinite_and_its_mean_is_not(dtype: str) -> None:
    x = np.full(1000, np.finfo(dtype).max)
    assert one(x, "sum") == np.inf
    assert (one(x, "mean"), one(x, "rms"), one(x, "mean_abs"), one(x, "std")) == (x[0], x[0], x[0], 0)


def ill_conditioned(rng: np.random.Generator, n: int) -> Array:
    """Numbers of some forty decades that nearly cancel, with a small sum left over."""
    x = rng.normal(size=n) * 10.0 ** rng.integers(-20, 20, n)
    return rng.permutation(np.concatenate([x, -x, [rng.normal()]]))


@pytest.mark.parametrize("n", [10, 100, 127, 128, 1000, 5000, 40_000])
def test_ill_conditioned_sums(n: int) -> None:
    """As if added with twice the digits, however many there are.

    The rounding errors of all additions are kept (TwoSum), and themselves err by n u² Σ|x|, where u = 2⁻⁵³. One last
    rounding errs by u |Σx|.
    """
    x = ill_conditioned(np.random.default_rng(n), n)
    exact, size = math.fsum(x), math.fsum(np.abs(x))
    bound = UNIT * abs(exact) + x.size * UNIT**2 * size
    assert abs(one(x, "sum") - exact) <= bound
    assert abs(one(x, "mean") - exact / x.size) <= (bound + 2 * UNIT * abs(exact)) / x.size


@pytest.mark.parametrize("n", [100, 5000, 70_000])
@pytest.mark.parametrize("place", [0.0, 0.3])
def test_small_numbers_are_not_drowned_by_large_ones(n: int, place: float) -> None:
    """Added one by one to 2⁵³, ones would all be lost."""
    x = np.insert(np.ones(n), int(place * n), 2.0**53)
    x = np.append(x, -(2.0**53))
    assert np.cumsum(x)[-1] <= place * n + 2
    assert one(x, "sum") == n


CANCELLING = {
    "16 decades": [1e16, 1.0, -1e16],
    "300 decades": [3.0, 1e300, -1e300],
    "in the middle": [1.0, 1e16, 2.0, -1e16],
    "all of it": [0.1, 0.7, -0.1, -0.7],
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [3, 5, 300, 1001, 5000, 140_000])
@pytest.mark.parametrize("values", CANCELLING.values(), ids=CANCELLING)
def test_what_cancels_leaves_the_exact_sum(values: list[float], n: int, dtype: str) -> None:
    """One array has one sum, whichever kernel adds it up, alone and in company.

    (float32 is added in float64 without TwoSum, eight at a time: exactly if no element is 2²⁶ times another.)
    """
    x = np.resize(np.array(values).clip(-1e7, 1e7) if dtype == "float32" else values, n).astype(dtype)
    exact = np.dtype(dtype).type(math.fsum(x.astype(float)))
    r = ff.run(x, ["sum", "cumsum", "mean", "var", "kurtosis", "nansum"], workers=2)
    assert r["sum"] == r["cumsum"][-1] == r["nansum"] == exact == one(x, "sum")
    assert r["mean"] == one(x, "mean")
    assert ulps(r["mean"], Fraction(math.fsum(x.astype(float))) / n) <= 1


def test_the_mean_of_what_cancels_along_an_axis_and_of_groups_is_exact() -> None:
    x = np.resize([1e16, 1, -1e16], (400, 300))
    assert (ff.run(x, "sum", axis=1)["sum"] == 100).all()
    assert (ff.run(x, "mean", axis=1)["mean"] == 100 / 300).all()
    exact = [math.fsum(column) for column in x.T]
    assert (ff.run(x, "sum", axis=0)["sum"] == exact).all()
    assert (ff.run(x.ravel() + 1j * x.ravel(), "sum")["sum"]) == 40_000 + 40_000j
    labels = np.arange(x.size) // 300
    assert (ff.run(x.ravel(), "sum", by=labels)["sum"] == 100).all()


# ---- standard scores ----

MEANS = {
    "beyond 2⁵³": lambda rng, n: 1e16 + 2.0 * rng.integers(0, 50, n),
    "a third": lambda rng, n: 1e14 + rng.integers(0, 3, n) / 32,
    "narrow": lambda rng, n: (1e7 + rng.integers(0, 20, n)).astype(np.float32),
    "small": lambda rng, n: rng.normal(size=n),
}


@pytest.mark.parametrize("n", [3, 10, 1000, 10_000])
@pytest.mark.parametrize("values", MEANS.values(), ids=MEANS)
def test_standard_scores_are_of_distances_from_the_exact_mean(values: Callable[..., Array], n: int) -> None:
    x = values(np.random.default_rng(n), n)
    mean, deviation = power_sum(x, 1) / n, root(central(x, 2))
    for score, item in zip(one(x, "zscore")[:500], x.tolist()[:500], strict=True):
        exact = (Fraction(item) - mean) / deviation
        assert abs(Fraction(float(score)) - exact) <= abs(exact) * 4 * Fraction(float(np.finfo(x.dtype).eps))


# ---- windows ----

MIXED = st.floats(-1e3, 1e3) | st.sampled_from(
    [0.0, 0.1, 0.7, -0.7, 1.0, -1.0, 1e16, -1e16, 2.0**53, 1e100, -1e100, 1e200, -1e200, 1e300, -1e300, 1e-300, 5e-324]
)
GAPS = MIXED | st.sampled_from([math.nan, math.inf, -math.inf])


def of_windows(x: Array, size: int) -> Iterator[tuple[int, Array]]:
    """The last place of each window, and the values that count in it."""
    for end in range(x.size):
        window = x[max(end + 1 - size, 0) : end + 1]
        yield end, window[np.isfinite(window)]


def distance(value: Any, exact: Fraction) -> Fraction:
    return abs(Fraction(float(value)) - exact)


def of_mean(exact: Fraction) -> Fraction:
    """Half a unit in the last place: what is nearer than that is the nearest, but for what 106 bits do not tell."""
    return Fraction(math.ulp(float(exact))) / 2 * (1 + Fraction(1, 2**40))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, max_examples=150)
@given(
    x=st.lists(GAPS, max_size=40) | st.lists(st.sampled_from([0.0, 0.3, 1e9, math.nan]), max_size=40),
    size=st.integers(1, 24),
)
def test_no_window_is_further_from_the_exact_sum_than_numpy(x: list[float], size: int) -> None:
    array = np.array(x, float)
    r = ff.run(array, {"sum": ff.rolling_sum(size, 0), "mean": ff.rolling_mean(size, 1)})
    for end, window in of_windows(array, size):
        exact = sum(map(Fraction, window.tolist()), Fraction(0))
        if np.isfinite(np.sum(window)):
            assert distance(r["sum"][end], exact) <= distance(np.sum(window), exact)
        if not window.size:
            assert np.isnan(r["mean"][end])
        elif np.isfinite(np.mean(window)):
            error = distance(r["mean"][end], exact / window.size)
            assert error <= max(distance(np.mean(window), exact / window.size), of_mean(exact / window.size))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(deadline=None, max_examples=150)
@given(
    x=st.lists(GAPS, max_size=40)
    | st.lists(st.floats(1e8, 1e8 + 1), max_size=40)
    | st.lists(st.floats(-1, 1), max_size=40),
    size=st.integers(1, 24),
)
def test_no_window_is_further_from_the_exact_variance_than_numpy(x: list[float], size: int) -> None:
    array = np.array(x, float)
    r = ff.run(array, {"var": ff.rolling_var(size, 1, ddof=0), "std": ff.rolling_std(size, 1, ddof=0)})
    for end, window in of_windows(array, size):
        theirs = np.var(window) if window.size else np.nan
        if not window.size:
            assert np.isnan(r["var"][end])
        elif np.isfinite(theirs):
            exact = central(window, 2)
            # Half a unit in the last place, and what squares lose that are next to the smallest float.
            least = Fraction(math.ulp(float(exact))) * Fraction(51, 100) + Fraction(5e-324) * window.size
            assert distance(r["var"][end], exact) <= max(distance(theirs, exact), least)
            assert r["std"][end] == np.sqrt(r["var"][end])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000, 1024, 1025, 3000])
@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, 1e16 + 2, 1e300, 1.7e308, -1e-300, 5e-324])
def test_windows_of_equal_values_have_no_variance(value: float, size: int) -> None:
    """Whatever is in front of them, and however the windows lie."""
    x = np.full(3 * size + 5, value)
    x[: size // 2] = [1e300, -3.0, 0.0][size % 3]
    r = ff.run(x, {"var": ff.rolling_var(size, ddof=0), "std": ff.rolling_std(size, ddof=0)})
    assert (r["var"][size + size // 2 :] == 0).all()
    assert (r["std"][size + size // 2 :] == 0).all()


@pytest.mark.parametrize("size", [2, 3, 8, 60, 1000, 1500])
def test_one_value_among_zeros_is_the_sum_of_its_windows(size: int) -> None:
    for value in (0.1, 1e16 + 2, 1e-300, -1.7e308, 5e-324):
        x = np.zeros(4 * size)
        x[size + size // 3] = value
        r = ff.run(x, {"sum": ff.rolling_sum(size), "mean": ff.rolling_mean(size)})
        inside = np.convolve(x != 0, np.ones(size))[: x.size].round() > 0
        inside, r = inside[size - 1 :], {key: answer[size - 1 :] for key, answer in r.items()}
        assert (r["sum"] == np.where(inside, value, 0)).all()
        assert (r["mean"] == np.where(inside, value / size, 0)).all()


@pytest.mark.parametrize("size", [16, 40, 1040])
def test_windows_that_cancel_beyond_two_floats_are_exact(size: int) -> None:
    """NumPy adds up every eighth element first, and is exact here."""
    parts = [1e300, 1e250, 1e200, 1e150, 1e100, 1e50, 1.0, 0.1]
    x = np.resize([*parts, *(-np.array(parts[:-1])), 0.0], 3 * size)
    sums = ff.run(x, ff.rolling_sum(size))["rolling_sum"]
    for end in range(size - 1, x.size):
        assert sums[end] == math.fsum(x[end + 1 - size : end + 1])


@pytest.mark.parametrize("size", [1, 2, 3, 50, 2000])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "int8", "bool"])
def test_windows_of_integers_are_added_exactly(dtype: str, size: int) -> None:
    rng = np.random.default_rng(size)
    info = np.iinfo(dtype) if dtype != "bool" else np.iinfo(np.uint8)
    x = rng.integers(info.min // 2, info.max // 2, 6000).astype(dtype)
    totals = np.cumsum(np.append(np.zeros(1, object), x.astype(object)))
    exact = totals[size:] - totals[:-size]
    kernels = {"sum": ff.rolling_sum(size), "mean": ff.rolling_mean(size), "odd": ff.rolling_sum(size, 1, center=True)}
    r = ff.run(x, kernels, workers=2)
    assert (r["sum"][size - 1 :] == [float(total) for total in exact]).all()
    assert (r["mean"][size - 1 :] == [float(Fraction(int(total), size)) for total in exact]).all()
    assert np.isnan(r["sum"][: size - 1]).all()
    whole = (size - 1) // 2
    assert (r["odd"][size - 1 - whole : x.size - whole] == r["sum"][size - 1 :]).all()


@settings(deadline=None, max_examples=100)
@given(
    x=st.lists(GAPS, max_size=40), size=st.integers(1, 24), q=st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.9, 1.0])
)
def test_order_statistics_of_windows_are_those_of_numpy(x: list[float], size: int, q: float) -> None:
    array = np.array(x, float)
    kernels = {"min": ff.rolling_min, "max": ff.rolling_max, "median": ff.rolling_median}
    functions = {name: kernel(size, 1) for name, kernel in kernels.items()} | {
        "quantile": ff.rolling_quantile(size, q, 1)
    }
    r = ff.run(array, functions)
    for end, window in of_windows(array, size):
        if not window.size:
            assert all(np.isnan(answer[end]) for answer in r.values())
            continue
        assert (r["min"][end], r["max"][end]) == (window.min(), window.max())
        assert r["median"][end] == np.median(window)
        assert q == 0.5 or r["quantile"][end] == np.quantile(window, q)


def test_windows_of_rows_are_as_exact() -> None:
    x = np.resize([1e16, 1.0, -1e16, 0.25, 1e-3], (7, 90))
    for axis in (0, 1):
        got = ff.run(x, ff.rolling_sum(5), axis=axis)["rolling_sum"]
        for line, sums in zip(np.moveaxis(x, axis, -1), np.moveaxis(got, axis, -1), strict=True):
            assert sums[4:].tolist() == [math.fsum(line[end - 4 : end + 1]) for end in range(4, line.size)]


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 255, 256, 257, 4095, 4096, 4097, 70_000])
def test_sums_of_few_bits_are_exact(n: int) -> None:
    """No addition rounds: the sum must be exact at every length, whatever the tree."""
    x = np.random.default_rng(n).integers(-(2**30), 2**30, n) / 1024
    assert one(x, "sum") == math.fsum(x)


# ---- shifted data ----


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e6, 1e9, 1e12])
@pytest.mark.parametrize("n", [5, 1000, 9000])
def test_moments_of_shifted_data(shift: float, n: int) -> None:
    """Merging blocks must not lose what subtracting the mean has saved: errors are those of the shifted mean alone.

    With the mean known to u |μ| only, the p-th moment errs by p u |μ| mean|d|ᵖ⁻¹ or less. Orders up to the fourth
    take that error out again.
    """
    x = shift + np.random.default_rng(n).exponential(size=n)
    x[n // 2 :] += 3.0
    for order in (2, 3, 4, 5, 6):
        roundings = 8 * mean_power(x, order)
        if order > 4:
            roundings += order * abs(shift) * mean_power(x, order - 1)
        error = abs(Fraction(float(one(x, ff.moment(order=order)))) - central(x, order))
        assert error <= roundings * 2 * UNIT
    assert ulps(one(x, "var"), central(x, 2)) <= 8
    assert ulps(one(x, ff.std(ddof=1)), root(central(x, 2) * n / (n - 1))) <= 8
    if shift < 1e12 or n > 5:
        skew, kurtosis = central(x, 3) / root(central(x, 2) ** 3), central(x, 4) / central(x, 2) ** 2
        assert abs(Fraction(float(one(x, "skew"))) - skew) <= 16 * UNIT * mean_power(x, 3) / mean_power(x, 2) ** 1.5
        assert abs(Fraction(float(one(x, ff.kurtosis(fisher=False)))) - kurtosis) <= 16 * UNIT * kurtosis


def test_float32_far_from_zero_is_not_taken_for_constant() -> None:
    x = (1e6 + np.random.default_rng(5).normal(size=100) * 0.9).astype(np.float32)
    exact = central(x, 3) / root(central(x, 2) ** 3)
    assert ulps(one(x, "skew"), exact) <= 1


# ---- integers ----


def limits(dtype: Any) -> list[int]:
    info = np.iinfo(dtype)
    return [int(info.min), int(info.max)]


INTEGERS = [np.dtype(code) for code in "bhilBHIL"] + [np.dtype(np.int64).newbyteorder(), np.dtype(np.bool_)]

NEAR_THE_LIMITS = [
    ("int64", [INT64.max]),
    ("int64", [INT64.max, 1]),
    ("int64", [INT64.max, 1, -1]),
    ("int64", [INT64.min, -1]),
    ("int64", [INT64.min, INT64.max, 1]),
    ("int64", [INT64.min, INT64.min, INT64.max, INT64.max, 2]),
    ("int64", [INT64.max] * 5000 + [-INT64.max] * 4999),
    ("int64", [INT64.max] * 5000 + [-INT64.max] * 4998),
    ("int64", [2**62, 2]),
    ("int64", [-(2**62), 2]),
    ("int64", [INT64.min, -1, 1]),
    ("int64", [2**31, -(2**31), -2, 1]),
    ("int64", [INT64.max] * 300 + [0]),
    ("int64", [3] * 39),
    ("int64", [3] * 40),
    ("int64", [-2] * 63),
    ("int64", [-2] * 64),
    ("int64", [INT64.min, INT64.min, -1, 1]),
    ("uint64", [UINT64.max]),
    ("uint64", [UINT64.max, 1]),
    ("uint64", [2**63, 2**63 - 1]),
    ("uint64", [2**32, 2**32]),
    ("uint64", [2**32 - 1, 2**32 + 1]),
    ("uint64", [2**63] * 9000 + [0]),
    ("uint8", [255] * 8),
    ("uint8", [255] * 9),
    ("int8", [-128] * 9),
    ("int8", [-128] * 10),
]


@pytest.mark.parametrize(("dtype", "items"), NEAR_THE_LIMITS)
def test_integers_overflow_exactly_when_the_answer_does_not_fit(dtype: str, items: list[int]) -> None:
    x = np.array(items, dtype)
    for kernel, exact in (("sum", sum(items)), ("prod", math.prod(items))):
        like = getattr(np, kernel)(x).dtype
        info = np.iinfo(like)
        if info.min <= exact <= info.max:
            answer = one(x, kernel)
            assert (int(answer), answer.dtype) == (exact, like)
        else:
            with pytest.raises(OverflowError, match=str(like)):
                ff.run(x, kernel)
    assert ulps(one(x, "mean"), Fraction(sum(items), len(items))) <= 1


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("n", [1, 3, 1000, 70_001])
def test_integers_of_every_width(dtype: np.dtype[Any], n: int) -> None:
    rng = np.random.default_rng(n)
    low, high = (0, 1) if dtype.kind == "b" else limits(dtype)
    # Whatever the number, the sum of these fits.
    x = rng.integers(
        low // n, high // n, n, endpoint=True, dtype=dtype.newbyteorder("=") if dtype.kind != "b" else "i1"
    )
    x = x.astype(dtype)
    items = [int(item) for item in x.tolist()]
    total = sum(items)
    r = ff.run(x, ["sum", "mean", "var", "count_nonzero"])
    assert (int(r["sum"]), r["sum"].dtype) == (total, np.sum(x).dtype)
    assert ulps(r["mean"], Fraction(total, n)) <= 1
    assert r["count_nonzero"] == sum(map(bool, items))
    exact = Fraction(sum((n * item - total) ** 2 for item in items), n**3)
    # Integers beyond 2⁵³ are rounded to float64.
    assert abs(Fraction(float(r["var"])) - exact) <= 16 * UNIT * (exact + max(map(abs, items)) ** 2)


# ---- products, norms and other means ----


def test_products_do_not_overflow_on_the_way() -> None:
    x = np.array([1e300] * 5 + [1e-300] * 5)
    assert one(x, "prod") == pytest.approx(1, rel=1e-14)
    assert one(x[::-1], "prod") == pytest.approx(1, rel=1e-14)
    assert one(np.array([5e-324, 2.0**1023, 2.0**51]), "prod") == 1
    rng = np.random.default_rng(1)
    x = rng.lognormal(sigma=2, size=10_000)
    x /= stats.gmean(x)
    assert errors(Case("prod", np.prod, exact_product), [x], lambda x: one(x, "prod")) <= x.size


def exact_product(x: Array) -> Fraction:
    items, scale = scaled(x)
    return Fraction(math.prod(items), scale**x.size)


def test_norms_of_float32_do_not_overflow_as_numpys_do() -> None:
    x = np.array([3e30, 4e30], np.float32)
    assert one(x, "norm") == np.float32(5e30)
    assert one(x, "rms") == pytest.approx(5e30 / math.sqrt(2))
    assert one(x * np.float32(1e-60), "norm") == pytest.approx(float(np.float32(5e-30)), rel=1e-6)
    assert one(np.full(2, -128, np.int8), "norm") == pytest.approx(128 * math.sqrt(2))


@pytest.mark.parametrize(
    ("items", "exact"),
    [
        ([1e4, 1e4], 1e4 + math.log(2)),
        ([1e308, -1e308], 1e308),
        ([-1e4] * 1000, -1e4 + math.log(1000)),
        ([0.0] * 5000 + [50.0], 50.0 + math.log1p(5000 * math.exp(-50))),
        ([50.0] + [0.0] * 5000, 50.0 + math.log1p(5000 * math.exp(-50))),
        ([-745.0, 0.0], 0.0),
        ([-math.inf, 1.0], 1.0),
        ([-math.inf, -math.inf], -math.inf),
        ([math.inf, 1.0], math.inf),
    ],
)
def test_logsumexp_of_extremes(items: list[float], exact: float) -> None:
    assert one(np.array(items), "logsumexp") == pytest.approx(exact, rel=4 * UNIT, abs=0)


def test_means_of_extremes() -> None:
    x = np.array([1e-300, 1e300, 1e-300, 1e300])
    assert one(x, "gmean") == pytest.approx(1, rel=1e-12)
    assert one(np.full(5000, 1e308), "gmean") == pytest.approx(1e308, rel=1e-12)
    assert one(np.full(5000, 1e300), "hmean") == pytest.approx(1e300, rel=4 * UNIT)
    assert one(np.full(5000, 5e-324), "gmean") == 5e-324
    assert one(np.full(300, 6e4, np.float16), "gmean") == np.float16(6e4)


@pytest.mark.parametrize("dtype", ["?", "i1", "i8", "f2", "f4", "f8"])
def test_equal_values_have_a_variance_of_zero(dtype: str) -> None:
    values = [1] if dtype == "?" else [1, 3, 100] if dtype[0] == "i" else [1, 3, 0.1, 1e3]
    for value in values:
        for n in (*range(1, 300), 1_755, 4_095, 4_096, 4_097, 70_001):
            x = np.full(n, value, dtype)
            r = ff.run(x, ["var", "std", "nanstd", "min"])
            assert (r["var"], r["std"], r["nanstd"]) == (0, 0, 0), (value, n, r)
            rows = np.full((3, n), value, dtype)
            assert not ff.run(rows, "std", axis=1)["std"].any(), (value, n)
            if dtype != "?" and n < 300:
                assert ff.run(x.astype(float), "var", weights=np.full(n, 0.1))["var"] <= 1e-28 * value**2


@given(st.floats(-1e100, 1e100), st.integers(1, 5_000), st.floats(0.01, 10))
def test_variances_are_never_below_zero(value: float, n: int, weight: float) -> None:
    x = np.full(n, value)
    x[-1] = np.nextafter(value, np.inf)
    r = ff.run(x, ["var", "std", "sem"], on_error="return")
    assert r["var"] >= 0 and r["std"] >= 0
    assert ff.run(x, "std", weights=np.full(n, weight))["std"] >= 0
