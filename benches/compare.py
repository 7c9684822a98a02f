"""fanfold against NumPy + SciPy, numba, Polars and the speed of memory, side by side in one run.

    python benches/compare.py                 all figures, and a record in benches/record/
    python benches/compare.py --write         and the tables and pictures of README.md and the docs
    python benches/compare.py --quick         a few seconds, no record
    python benches/compare.py --only NAME     one figure (or several, with commas), no record

All answers are checked before anything is timed. A goal that is missed is shown as missed.
"""

from __future__ import annotations

import argparse
import sys
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numba
import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from scipy import stats

import fanfold as ff
import peers
import probes
import report
from fanfold.tracing.calls import SMALLEST
from measuring import (
    FULL,
    QUICK,
    Claim,
    Effort,
    Figure,
    Measured,
    Row,
    Task,
    clock,
    difference,
    fastest,
    in_pairs,
    percent_of_speed,
    summary,
    times_as_fast,
    times_the_time,
)

ELEVEN = list(peers.ELEVEN)
EIGHT = list(peers.EIGHT)
TWELVE = [*ELEVEN, ff.histogram(bins=peers.BINS, range=peers.RANGE)]
SEED = 20_250_101


class Bench:
    """The arrays of the figures, each made once, and their right answers."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Standard normal float64."""
        return np.random.default_rng(SEED).standard_normal(self.effort.elements)

    @cached_property
    def ten_million(self) -> NDArray[np.float64]:
        """The first half of `x`."""
        return self.x[: self.effort.elements // 2]

    @cached_property
    def answers(self) -> peers.Answers:
        """The twelve of `x`, from NumPy and SciPy."""
        return peers.numpy_twelve(self.x)

    @cached_property
    def read(self) -> tuple[Task, str]:
        """The fastest bare parallel read of `x`, and a note on all candidates."""
        candidates = peers.bare_reads(self.x)
        for task in candidates.values():
            check({"sum": task()}, self.answers, self.x)
        return fastest(candidates)


def check(got: Mapping[str, Any], right: Mapping[str, Any], x: NDArray[Any]) -> None:
    """Fail unless `got` agrees with the right answers: exactly, but for the rounding of what is added up."""
    double = x.dtype == np.float64
    for name, value in got.items():
        if name == "histogram":
            np.testing.assert_array_equal(getattr(value, "counts", value), right[name], err_msg=name)
        elif name in ("min", "max", "argmin", "argmax", "count_nan"):
            np.testing.assert_equal(float(value), float(right[name]), err_msg=name)
        else:
            close = 1e-10 if double else 1e-5
            # The terms of the sum cancel: what is left is off by the rounding of all of them.
            slack = x.size * (1e-14 if double else 1e-7) if name == "sum" else close
            np.testing.assert_allclose(value, right[name], rtol=close, atol=slack, err_msg=name)


def eleven_of(x: NDArray[Any]) -> Callable[[], Any]:
    """Our eleven of `x`."""
    return lambda: ff.run(x, ELEVEN)


def checked(bench: Bench, task: Task) -> Task:
    """`task`, called once and its answers compared with the right ones of `bench.x`."""
    check(task(), bench.answers, bench.x)
    return task


# --------------------------------------------------------------------------- 20 million float64, all cores


def numpy_twelve(bench: Bench) -> Measured:
    ours = checked(bench, lambda: ff.run(bench.x, TWELVE))
    return in_pairs(bench.effort, ours, lambda: peers.numpy_twelve(bench.x), times_as_fast)


def numba_twelve(bench: Bench) -> Measured:
    ours = checked(bench, lambda: ff.run(bench.x, TWELVE))
    peer, note = fastest({name: checked(bench, task) for name, task in peers.numba_twelve(bench.x).items()})
    return in_pairs(bench.effort, ours, peer, times_as_fast, note=note)


def polars_eleven(bench: Bench) -> Measured:
    ours = checked(bench, eleven_of(bench.x))
    peer, note = fastest({name: checked(bench, task) for name, task in peers.polars_eleven(bench.x).items()})
    return in_pairs(bench.effort, ours, peer, times_as_fast, note=note)


def read_eleven(bench: Bench) -> Measured:
    ours = checked(bench, eleven_of(bench.x))
    read, note = bench.read
    return in_pairs(bench.effort, ours, read, percent_of_speed, note=note)


def read_mean(bench: Bench) -> Measured:
    ours = checked(bench, lambda: ff.run(bench.x, ["mean"]))
    read, note = bench.read
    return in_pairs(bench.effort, ours, read, percent_of_speed, note=note)


def eleven_over_mean(bench: Bench) -> Measured:
    ours = checked(bench, eleven_of(bench.x))
    mean = checked(bench, lambda: ff.run(bench.x, ["mean"]))
    return in_pairs(bench.effort, ours, mean, times_the_time)


def _linear(bench: Bench, functions: Sequence[Any]) -> Measured:
    """Speed on all cores, in percent of the speed on one times the cores."""
    cores = report.cores()
    everywhere = checked(bench, lambda: ff.run(bench.x, functions))
    alone = checked(bench, lambda: ff.run(bench.x, functions, workers=1))
    return in_pairs(bench.effort, everywhere, alone, lambda a, b: 100.0 * b / (a * cores))


def linear_eleven(bench: Bench) -> Measured:
    return _linear(bench, ELEVEN)


def linear_twelve(bench: Bench) -> Measured:
    return _linear(bench, TWELVE)


# --------------------------------------------------------------------------------- other types and layouts


SEVEN = ff.quantile(peers.QUANTILES)


def _order(function: str | ff.Kernel, peer: Callable[[NDArray[Any]], Task]) -> Callable[[Bench], Measured]:
    """A statistic beside a peer's, whose answer is ours to the last bit."""

    def measured(bench: Bench) -> Measured:
        ours, theirs = lambda: ff.run(bench.x, function), peer(bench.x)
        (answer,) = ours().values()
        np.testing.assert_array_equal(getattr(answer, "counts", answer), theirs())
        return in_pairs(bench.effort, ours, theirs, times_as_fast)

    return measured


def quantiles_reducers(bench: Bench) -> Measured:
    ours, theirs = partial(ff.run, bench.x, SEVEN), peers.reducers_quantiles(bench.x)
    # To the last bit as far as was seen, but that is not promised.
    np.testing.assert_allclose(theirs(), ours()["quantile"], rtol=1e-14)
    return in_pairs(bench.effort, ours, theirs, times_as_fast)


def quantiles_together(bench: Bench) -> Measured:
    functions = [SEVEN, "median", "iqr", "mean", "std", "min", "max"]
    seven = partial(ff.run, bench.x, SEVEN)
    np.testing.assert_array_equal(ff.run(bench.x, functions)["quantile"], np.quantile(bench.x, peers.QUANTILES))
    return in_pairs(bench.effort, lambda: ff.run(bench.x, functions), seven, times_the_time)


def float32_eleven(bench: Bench) -> Measured:
    x = bench.x.astype(np.float32)
    check(ff.run(x, ELEVEN), peers.numpy_eleven(x.astype(np.float64)), x)
    return in_pairs(bench.effort, eleven_of(x), checked(bench, eleven_of(bench.x)), times_as_fast)


def strided_eleven(bench: Bench) -> Measured:
    x = np.random.default_rng(SEED + 1).standard_normal(2 * bench.effort.elements)[::2]
    return _layout(bench, x, np.ascontiguousarray(x))


def byteswapped_eleven(bench: Bench) -> Measured:
    return _layout(bench, bench.x.astype(bench.x.dtype.newbyteorder()), bench.x)


def _layout(bench: Bench, x: NDArray[Any], contiguous: NDArray[np.float64]) -> Measured:
    """The time of an array that lies badly, over the time of the same elements side by side."""
    right = peers.numpy_eleven(contiguous)
    check(ff.run(x, ELEVEN), right, contiguous)
    check(ff.run(contiguous, ELEVEN), right, contiguous)
    return in_pairs(bench.effort, eleven_of(x), eleven_of(contiguous), times_the_time)


# -------------------------------------------------------------------------------- axes, groups and windows

FOUR = list(peers.FOUR)


def check_arrays(got: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    """Fail unless arrays agree but for rounding."""
    for name, value in right.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-7, atol=1e-9, err_msg=name)


def _axis(axis: int, peer: Callable[[NDArray[Any], int], Mapping[str, Any]]) -> Callable[[Bench], Measured]:
    """Four statistics along an axis of a table of 200 columns."""

    def measured(bench: Bench) -> Measured:
        x = bench.x.reshape(-1, 200)
        check_arrays(ff.run(x, FOUR, axis=axis), peer(x, axis))
        return in_pairs(bench.effort, lambda: ff.run(x, FOUR, axis=axis), lambda: peer(x, axis), times_as_fast)

    return measured


def median_rows(bench: Bench) -> Measured:
    x = bench.x.reshape(-1, 200)
    np.testing.assert_array_equal(ff.run(x, "median", axis=1)["median"], np.median(x, 1))
    ours, theirs = lambda: ff.run(x, "median", axis=1), lambda: np.median(x, 1)
    return in_pairs(bench.effort, ours, theirs, times_as_fast)


def _describe(frame: Callable[[NDArray[Any]], Any], peer: Callable[[Any], Any]) -> Callable[[Bench], Measured]:
    """What `describe` takes, next to the method of a frame."""

    def measured(bench: Bench) -> Measured:
        table = frame(bench.x)
        right = np.asarray(peer(table)["x"], float)
        rows = ff.describe(table)
        # Pandas has no row of missing elements, Polars has.
        names = [name for name in rows if name != "missing" or len(right) == len(rows)]
        np.testing.assert_allclose([rows[name]["x"] for name in names], right, rtol=1e-9, atol=1e-12)
        return in_pairs(bench.effort, lambda: ff.describe(table), lambda: peer(table), times_as_fast)

    return measured


def _groups(count: int, peer: str) -> Callable[[Bench], Measured]:
    """Four statistics of each of so many labels, of 10 million elements."""

    def measured(bench: Bench) -> Measured:
        x = bench.ten_million
        by = np.random.default_rng(SEED + 2).integers(0, count, x.size)
        theirs = peers.group_peers(x, by)[peer]
        ours = lambda: ff.run(x, FOUR, by=by)  # noqa: E731 - a task
        check_arrays(ours(), theirs())
        return in_pairs(bench.effort, ours, theirs, times_as_fast)

    return measured


def matrix(bench: Bench) -> Measured:
    x = np.random.default_rng(SEED + 4).normal(size=(50, bench.ten_million.size // 10))
    arrays = {str(number): column for number, column in enumerate(x)}
    np.testing.assert_allclose(ff.run(arrays, "cov_matrix")["cov_matrix"], np.cov(x), rtol=1e-9, atol=1e-12)
    return in_pairs(bench.effort, lambda: ff.run(arrays, "cov_matrix"), lambda: np.cov(x), times_as_fast)


def weights(bench: Bench) -> Measured:
    x = bench.ten_million
    w = np.random.default_rng(SEED + 3).random(x.size)
    np.testing.assert_allclose(ff.run(x, "mean", weights=w)["mean"], np.average(x, weights=w), rtol=1e-9, atol=1e-12)
    return in_pairs(bench.effort, lambda: ff.run(x, "mean", weights=w), lambda: np.average(x, weights=w), times_as_fast)


def _windows(peer: str) -> Callable[[Bench], Measured]:
    """Four statistics of windows of 100, of 10 million elements."""

    def measured(bench: Bench) -> Measured:
        x, window = bench.ten_million, peers.WINDOW
        made = [ff.rolling_mean(window), ff.rolling_std(window), ff.rolling_min(window), ff.rolling_max(window)]
        functions = dict(zip(FOUR, made, strict=True))
        theirs = peers.window_peers(x)[peer]
        check_arrays(ff.run(x, functions), theirs())
        return in_pairs(bench.effort, lambda: ff.run(x, functions), theirs, times_as_fast)

    return measured


# -------------------------------------------------------------------- users' functions, 10 million float64


def check_functions(got: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    """Fail unless the functions' answers agree; those that are means of what cancels, by a mean's rounding."""
    for name, value in got.items():
        np.testing.assert_allclose(value, right[name], rtol=1e-9, atol=1e-10, err_msg=name)


def _functions(
    peer: Callable[[NDArray[Any]], Mapping[str, Any]], timer: Callable[[Task], float] = clock
) -> Callable[[Bench], Measured]:
    """All of the functions in one call, beside a peer's way."""

    def measure(bench: Bench) -> Measured:
        x = bench.ten_million
        right = peers.numpy_functions(x)
        check_functions(ff.run(x, peers.FUNCTIONS), right)
        check_functions(peer(x), right)
        ours, theirs = lambda: ff.run(x, peers.FUNCTIONS), lambda: peer(x)
        return in_pairs(bench.effort, ours, theirs, times_as_fast, timer=timer)

    return measure


def _each_alone(names: Sequence[str]) -> Callable[[Bench], Measured]:
    """Each of the functions alone, beside its plain call: the one that gains least."""

    def measure(bench: Bench) -> Measured:
        x = bench.ten_million
        effort = replace(QUICK, fewest=9, most=25)
        found = {}
        for name in names:
            tasks = partial(ff.run, x, peers.FUNCTIONS[name]), partial(peers.FUNCTIONS[name], x)
            found[name] = in_pairs(effort, *tasks, times_as_fast)
        least = min(found, key=lambda name: found[name].value)
        note = ", ".join(f"{name} {measured.value:.1f} x" for name, measured in found.items())
        return replace(found[least], note=f"each alone: {note}")

    return measure


def functions_small(bench: Bench) -> Measured:
    x = bench.x[:1_000].copy()
    names = {"x": x, "f": peers.FUNCTIONS["log1p"]}
    return _statements(bench, "ff.run(x, f)", "f(x)", names, lambda ours, peer: 1e6 * (ours - 2 * peer))


def functions_traced(bench: Bench) -> Measured:
    """What it costs to write an operation down: a hundred that nobody computes, or none."""
    x = bench.x[:200_000].copy()
    assert x.size > SMALLEST, "shorter arrays are not traced"

    def hundred(v: NDArray[Any]) -> Any:
        for _ in range(100):
            v = np.abs(v)
        return v.dtype

    def none(v: NDArray[Any]) -> Any:
        return v.dtype

    tasks = (lambda: ff.run(x, hundred, workers=1), lambda: ff.run(x, none, workers=1))
    return in_pairs(bench.effort, *tasks, lambda ours, peer: 1e6 * (ours - peer) / 100)


# -------------------------------------------------------------------------------------------- small arrays


def _statements(
    bench: Bench, ours: str, peer: str, names: Mapping[str, Any], claim: Claim = times_the_time
) -> Measured:
    """Time two statements, each in a loop of about two milliseconds."""

    def looped(statement: str) -> Task:
        timer = timeit.Timer(statement, globals={"np": np, "ff": ff, **names})
        timer.timeit(1_000)
        number = max(1, int(0.002 / (min(timer.repeat(5, 200)) / 200)))
        return lambda: timer.timeit(number) / number

    return in_pairs(bench.effort, looped(ours), looped(peer), claim, timer=lambda task: float(task()))


NUMPY_EIGHT = "x.mean(), x.std(), x.var(), x.sum(), x.min(), x.max(), x.argmin(), x.argmax()"


def small_run(bench: Bench) -> Measured:
    x = bench.x[:1_000].copy()
    check(ff.run(x, EIGHT), peers.numpy_eleven(x), x)
    return _statements(bench, "ff.run(x, functions)", NUMPY_EIGHT, {"x": x, "functions": EIGHT})


def small_plan(bench: Bench) -> Measured:
    x = bench.x[:1_000].copy()
    plan = ff.plan(EIGHT, like=x)
    check(plan.run(x), peers.numpy_eleven(x), x)
    return _statements(bench, "plan.run(x)", NUMPY_EIGHT, {"x": x, "plan": plan})


def html(bench: Bench) -> Measured:
    r = ff.run(bench.x[:100_000], {f"result {number}": ff.histogram(bins=24 + number) for number in range(60)})
    size = len(r._repr_html_())
    assert size < 60_000, size
    return in_pairs(bench.effort, r._repr_html_, lambda: None, lambda ours, none: 1e3 * ours, note=f"{size:,} bytes")


def tiny_mean(bench: Bench) -> Measured:
    x = bench.x[:10].copy()
    check(ff.run(x, "mean"), {"mean": x.mean()}, x)
    return _statements(bench, "ff.run(x, 'mean')", "x.mean()", {"x": x})


# --------------------------------------------------------------------------------------- memory and import


def stream_memory(bench: Bench) -> Measured:
    found = [probes.stream_memory(bench.effort.stream_elements) for _ in range(3)]
    before = [probe["before"] for probe in found]
    after = [probe["after"] for probe in found]
    return summary(after, before, difference, unit="MiB", note=f"by {found[0]['how']}, with the pool's start")


def import_time(bench: Bench) -> Measured:
    with_ours: list[float] = []
    alone: list[float] = []
    for number in range(bench.effort.processes + 1):
        pair = (probes.import_seconds("numpy, fanfold"), probes.import_seconds("numpy"))
        if number:  # the first pair fills the caches
            with_ours.append(pair[0])
            alone.append(pair[1])
    return summary(with_ours, alone, lambda ours, peer: 1e3 * (ours - peer))


def import_threads(bench: Bench) -> Measured:
    started = float(probes.threads_started())
    return Measured(started, None, started, started, started, 1, "threads")


FIGURES = [
    Figure("numpy-twelve", "12 statistics of 20 M float64", "NumPy + SciPy, one after the other",
           "at least", 55, 80, "x", numpy_twelve),
    Figure("numba-twelve", "12 statistics of 20 M float64", "a fused parallel numba loop, written by hand",
           "at least", 1.3, 2, "x", numba_twelve,
           bound=(
               "arithmetic: in cache the twelve took 0.94 ns per element and core, the histogram 0.45 of it;"
               " the edge correction of bins and the compensation of sums are what numba's loop does without"
           )),
    Figure("polars-eleven", "11 statistics (no histogram)", "Polars, one lazy `select`",
           "at least", 6, 10, "x", polars_eleven),
    Figure("read-eleven", "11 statistics", "a bare parallel read of the array",
           "at least", 60, 80, "%", read_eleven,
           bound=(
               "memory and the clock: what the eleven compute hides behind memory that gives 30 GB/s, and "
               "not behind 48, both of which this machine does at times"
           )),
    Figure("read-mean", "`mean` alone", "a bare parallel read of the array",
           "at least", 90, None, "%", read_mean,
           bound=(
               "not known for sure: called by hand without pauses it was 89 and 91 % of numba's, with pauses"
               " of 3 ms 86 %, in which our threads sleep"
           )),
    Figure("eleven-over-mean", "11 statistics, time", "`mean` alone",
           "at most", 1.8, None, "x", eleven_over_mean),
    Figure("linear-eleven", "11 statistics, all cores", "`workers=1` times the cores",
           "at least", 85, None, "%", linear_eleven),
    Figure("linear-twelve", "12 statistics, all cores", "`workers=1` times the cores",
           "at least", 85, None, "%", linear_twelve),
    Figure("float32", "11 statistics of float32, elements per second", "float64",
           "at least", 1.7, None, "x", float32_eleven,
           bound=(
               "arithmetic: float32 is computed in float64, whose own arithmetic hides behind twice the "
               "memory"
           )),
    Figure("strided", "11 statistics of `x[::2]`, time", "the same elements, contiguous",
           "at most", 2.5, None, "x", strided_eleven),
    Figure("byteswapped", "11 statistics, bytes swapped, time", "the same elements, native",
           "at most", 2.5, None, "x", byteswapped_eleven),
    Figure("quantiles-numpy", "7 quantiles of 20 M float64", "`np.quantile`",
           "at least", 14, 20, "x", _order(SEVEN, lambda x: lambda: np.quantile(x, peers.QUANTILES))),
    Figure("quantiles-reducers", "7 quantiles", "`reducers.quantile`, on all cores",
           "at least", 9, None, "x", quantiles_reducers),
    Figure("quantiles-polars", "7 quantiles", "Polars' seven in one lazy `select`",
           "at least", 50, None, "x", _order(SEVEN, lambda x: peers.polars_order(x)["quantiles"])),
    Figure("median-numpy", "`median`", "`np.median`",
           "at least", 8, None, "x", _order("median", lambda x: lambda: np.median(x))),
    Figure("median-polars", "`median`", "Polars",
           "at least", 2.2, None, "x", _order("median", lambda x: peers.polars_order(x)["median"])),
    Figure("mad-scipy", "`median_abs_deviation`", "SciPy",
           "at least", 8, None, "x", _order("median_abs_deviation", lambda x: lambda: stats.median_abs_deviation(x))),
    Figure("quantiles-together", "7 quantiles, median, iqr, mean, std, min, max, time", "the 7 quantiles alone",
           "at most", 1.4, None, "x", quantiles_together),
    Figure("unique-polars", "`n_unique`", "Polars",
           "at least", 3, None, "x", _order("n_unique", lambda x: peers.polars_order(x)["n_unique"]),
           bound=(
               "the sort, which goes by comparisons"
           )),
    Figure("sort-numpy", "`sort`", "`np.sort`",
           "at least", 1.5, None, "x", _order("sort", lambda x: lambda: np.sort(x)),
           bound=(
               "comparisons: where NumPy has its AVX-512 sort, one thread of it takes 11 ns an element, and "
               "our buckets are sorted by a comparison sort without vectors. On a processor where it has not"
               " (Zen 4) this was 2.7 x"
           )),
    Figure("histogram-numpy", "`histogram` of 100 bins between the extremes", "`np.histogram`",
           "at least", 15, None, "x", _order(ff.histogram(bins=100), lambda x: lambda: np.histogram(x, 100)[0]),
           bound=(
               "two sweeps over memory: the extremes take 8 ms, the counts 10, where a bare read takes 6"
           )),
    Figure("axis0-numpy", "mean, std, min, max of 100,000 x 200 along axis 0", "NumPy",
           "at least", 8, None, "x", _axis(0, peers.numpy_axis),
           bound=(
               "memory: 16 columns are read at a time, in pieces of two or three cache lines. To ask for all"
               " of these lines ahead took it from 51 to 25 ms; wider pieces gain nothing, and to turn them "
               "by vectors lost"
           )),
    Figure("axis1-numpy", "mean, std, min, max of 100,000 x 200 along axis 1", "NumPy",
           "at least", 7, None, "x", _axis(1, peers.numpy_axis),
           bound=(
               "what a row of 200 costs beside its elements: the ends of the loops of two kernels, some 0.2 "
               "us a row and core"
           )),
    Figure("axis1-bottleneck", "mean, std, min, max of 100,000 x 200 along axis 1", "bottleneck",
           "at least", 2, None, "x", _axis(1, peers.bottleneck_axis)),
    Figure("axis1-numbagg", "mean, std, min, max of 100,000 x 200 along axis 1", "numbagg",
           "at least", 4, None, "x", _axis(1, peers.numbagg_axis)),
    Figure("median-rows", "`median` of 100,000 x 200 along axis 1", "`np.median`",
           "at least", 5, None, "x", median_rows,
           bound=(
               "a selection among 200 keys, and a copy of them, for each row: to sort them took twice the "
               "time"
           )),
    Figure("describe-pandas", "`ff.describe` of 20 M float64", "`DataFrame.describe` of pandas",
           "at least", 25, None, "x",
           _describe(lambda x: pd.DataFrame({"x": x}), lambda table: table.describe())),
    Figure("describe-polars", "`ff.describe` of 20 M float64", "`DataFrame.describe` of Polars",
           "at least", 10, None, "x",
           _describe(lambda x: pl.DataFrame({"x": x}), lambda table: table.describe(interpolation="linear"))),
    Figure("groups-polars", "mean, std, min, max of 10 M elements by 1,000 labels", "Polars",
           "at least", 1.3, 2, "x", _groups(1_000, "Polars"),
           bound=(
               "memory: each element is written once to where its group is. The same loops by hand, with "
               "large pages, take 35 of the 56 ms; lines put together in cache before they are written took "
               "longer"
           )),
    Figure("groups-duckdb", "mean, std, min, max of 10 M elements by 1,000 labels", "DuckDB",
           "at least", 1.3, 2, "x", _groups(1_000, "DuckDB"),
           bound=(
               "as above"
           )),
    Figure("groups-many", "mean, std, min, max of 10 M elements by 1,000,000 labels", "Polars",
           "at least", 1, None, "x", _groups(1_000_000, "Polars")),
    Figure("matrix-numpy", "`cov_matrix` of 50 arrays of 1 M float64", "`np.cov`, on BLAS",
           "at least", 1, None, "x", matrix),
    Figure("weights-numpy", "weighted mean of 10 M float64", "`np.average`",
           "at least", 1, None, "x", weights),
    Figure("rolling-polars", "rolling mean, std, min, max of 10 M elements, windows of 100", "Polars",
           "at least", 4, None, "x", _windows("Polars")),
    Figure("rolling-bottleneck", "rolling mean, std, min, max of 10 M elements, windows of 100", "bottleneck",
           "at least", 3, None, "x", _windows("bottleneck")),
    Figure("functions-numpy", "12 users' functions of 10 M float64", "NumPy, one after the other",
           "at least", 7, 12, "x", _functions(peers.numpy_functions),
           bound=(
               "the loops of log1p, exp, tanh and sqrt, more than half of the time in a profile, which are "
               "NumPy's own for the same bits. What is saved is temporaries, and the second core"
           )),
    Figure("functions-numba", "12 users' functions of 10 M float64", "parallel numba loops, fused by hand",
           "at least", 2.5, 4, "x", _functions(peers.numba_functions),
           bound=(
               "as above: the loops are NumPy's"
           )),
    Figure("functions-jax", "12 users' functions of 10 M float64", "JAX, compiled before",
           "at least", 5, None, "x", _functions(peers.jax_functions, partial(clock, pause=0.05)),
           bound=(
               "as above: the loops are NumPy's. The pauses are of 50 ms here: after 3 ms JAX's threads are "
               "still spinning, and ours takes 89 ms, not 57"
           )),
    Figure("functions-steps", "a function of three or more steps, alone", "NumPy",
           "at least", 3, None, "x", _each_alone(["exp", "far"]),
           bound=(
               "two sweeps at the speed of memory for `far`"
           )),
    Figure("functions-alone", "the function that gains least, alone", "NumPy",
           "at least", 0.95, None, "x", _each_alone(list(peers.FUNCTIONS))),
    Figure("functions-small", "a function of 1,000 elements, time", "twice its call",
           "at most", 30, None, "µs", functions_small),
    Figure("functions-traced", "to trace a NumPy call", "none",
           "at most", 15, None, "µs", functions_traced),
    Figure("small-run", "8 statistics of 1,000 elements, `ff.run`, time", "NumPy's eight calls",
           "at most", 0.6, None, "x", small_run),
    Figure("small-plan", "8 statistics of 1,000 elements, prepared plan, time", "NumPy's eight calls",
           "at most", 0.3, None, "x", small_plan),
    Figure("tiny-mean", "`mean` of 10 elements, `ff.run`, time", "`x.mean()`",
           "at most", 2, None, "x", tiny_mean,
           bound=(
               "the clock and noise: between 1.8 and 2.1 x"
           )),
    Figure("html", "60 histograms as HTML, for a notebook", "none",
           "at most", 5, None, "ms", html),
    Figure("stream-memory", "peak memory over a run on 1.6 GB", "before the call",
           "less than", 32, None, "MiB", stream_memory),
    Figure("import-time", "`import numpy, fanfold`", "`import numpy`",
           "at most", 40, None, "ms", import_time,
           bound=(
               "the clock: 37 ms where NumPy takes 60 to import, not 78"
           )),
    Figure("import-threads", "threads started by `import fanfold`", "none",
           "at most", 0, None, "threads", import_threads),
]  # fmt: skip


def measure(figure: Figure, bench: Bench) -> Row:
    """Measure one figure; what goes wrong is part of the result."""
    try:
        return Row(figure, figure.measure(bench))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is shown)
        text = " ".join(str(error).split())
        return Row(figure, None, f"{type(error).__name__}: {text[:300]}")


def main() -> int:
    """Measure, show, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small arrays, few repetitions, no record")
    parser.add_argument("--only", metavar="NAME", help="these figures only, with commas; no record")
    parser.add_argument("--write", action="store_true", help="also rewrite the tables and pictures of the pages")
    options = parser.parse_args()

    names = [figure.name for figure in FIGURES]
    chosen = options.only.split(",") if options.only else names
    if unknown := set(chosen) - set(names):
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    partial = options.quick or options.only
    if options.write and partial:
        parser.error("--write needs all figures at full size: not with --quick or --only")
    if options.write:
        report.check_pages()

    config = ff.info()
    if config.get("debug"):
        sys.exit("this is a debug build of fanfold: its figures mean nothing; build it with --release")
    where = report.host(config) | {"numba_threads": numba.get_num_threads()}
    print(report.about(where) + "\n", flush=True)

    bench = Bench(QUICK if options.quick else FULL)
    rows: list[Row] = []
    for figure in FIGURES:
        if figure.name in chosen:
            rows.append(measure(figure, bench))
            print(report.line(rows[-1]), flush=True)

    print(f"\n{report.tally(rows)}" + (" (small arrays: not the figures)" if options.quick else ""))
    if not partial:
        for path in report.write_record(rows, where):
            print(f"written: {path.relative_to(report.ROOT)}")
        if options.write:
            for path in report.write_pages():
                print(f"written: {path.relative_to(report.ROOT)}")
    return 1 if any(row.measured is None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
