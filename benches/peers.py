"""What fanfold is measured against: NumPy + SciPy, numba, Polars and a bare parallel read.

Every peer returns the same statistics under the same names: its answers are checked before it is timed.
The numba peers are written for speed, not for looks: a figure takes the fastest of the candidates given here.
"""

# numba infers the types of what it compiles.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import bottleneck
import duckdb
import numbagg
import numpy as np
import polars as pl
from numba import get_num_threads, njit, prange
from numpy.typing import NDArray
from scipy import stats

Answers = dict[str, Any]

BINS = 100
RANGE = (-6.0, 6.0)
ELEVEN = ("sum", "mean", "var", "std", "min", "max", "argmin", "argmax", "count_nan", "skew", "kurtosis")
EIGHT = ("mean", "std", "var", "sum", "min", "max", "argmin", "argmax")

# Elements of a block: 16 KiB of float64 stay in the first-level cache between the loops over a block.
BLOCK = 2048
# The bits of a float64 as an integer: all but the sign, and infinity (everything above it is NaN).
MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)
INFINITY = np.int64(0x7FF0_0000_0000_0000)


# ----------------------------------------------------------------------------------------- NumPy and SciPy


QUANTILES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


def numpy_eleven(x: NDArray[Any]) -> Answers:
    """The eleven statistics, one call after the other."""
    return {
        "sum": np.sum(x),
        "mean": np.mean(x),
        "var": np.var(x),
        "std": np.std(x),
        "min": np.min(x),
        "max": np.max(x),
        "argmin": np.argmin(x),
        "argmax": np.argmax(x),
        "count_nan": np.count_nonzero(np.isnan(x)),
        "skew": stats.skew(x),
        "kurtosis": stats.kurtosis(x),
    }


def numpy_twelve(x: NDArray[Any]) -> Answers:
    """The eleven statistics and the histogram, one call after the other."""
    return numpy_eleven(x) | {"histogram": np.histogram(x, BINS, RANGE)[0]}


# --------------------------------------------------------------------------------------------------- numba


@njit(parallel=True, fastmath=True)
def _blocked(x, bits, bins, lo, hi):
    """Every thread walks its part in cache-sized blocks, with loops that LLVM vectorises.

    `fastmath` lets LLVM assume that there is no NaN, so NaNs are counted on the bits. Min and max of floats
    are not vectorised, so they are taken on the bits too, turned into integers that sort like the floats.
    The slots of the histogram are worked out in a loop of their own, as the counting cannot be vectorised.
    """
    n = x.size
    threads = get_num_threads()
    blocks = (n + BLOCK - 1) // BLOCK
    share = (blocks + threads - 1) // threads
    shift = x[: min(n, 1024)].mean()
    scale = bins / (hi - lo)
    above = float(bins)
    # A row of 16 numbers is two cache lines: no two threads write to the same one.
    power_sums = np.zeros((threads, 16))
    extremes = np.zeros((threads, 16), np.int64)
    counts = np.zeros((threads, 4, bins + 3), np.int64)
    for t in prange(threads):
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        s4 = 0.0
        low = MAGNITUDE
        high = -MAGNITUDE
        at_low = 0
        at_high = 0
        nans = 0
        own = counts[t]
        slots = np.empty(BLOCK, np.uint16)
        for block in range(t * share, min((t + 1) * share, blocks)):
            first = block * BLOCK
            last = min(first + BLOCK, n)
            values = x[first:last]
            words = bits[first:last]
            q1 = 0.0
            q2 = 0.0
            q3 = 0.0
            q4 = 0.0
            least = MAGNITUDE
            most = -MAGNITUDE
            for i in range(values.size):
                d = values[i] - shift
                d2 = d * d
                q1 += d
                q2 += d2
                q3 += d2 * d
                q4 += d2 * d2
                key = words[i] ^ ((words[i] >> 63) & MAGNITUDE)
                least = min(least, key)
                most = max(most, key)
                nans += (words[i] & MAGNITUDE) > INFINITY
            s1 += q1
            s2 += q2
            s3 += q3
            s4 += q4
            # A new extreme is rare: only then is the block searched for its place.
            if least < low:
                low = least
                for i in range(values.size):
                    if words[i] ^ ((words[i] >> 63) & MAGNITUDE) == least:
                        at_low = first + i
                        break
            if most > high:
                high = most
                for i in range(values.size):
                    if words[i] ^ ((words[i] >> 63) & MAGNITUDE) == most:
                        at_high = first + i
                        break
            # Slot 0 is below the range, slot bins + 1 its upper edge, slot bins + 2 above it.
            for i in range(values.size):
                y = (values[i] - lo) * scale
                y = y if y > -1.0 else -1.0
                y = y if y <= above else above + 1.0
                slots[i] = np.uint16(np.int32(y + 1.0))
            # Four tables: neighbouring elements in the same bin do not wait for each other.
            even = values.size // 4 * 4
            for i in range(0, even, 4):
                own[0, slots[i]] += 1
                own[1, slots[i + 1]] += 1
                own[2, slots[i + 2]] += 1
                own[3, slots[i + 3]] += 1
            for i in range(even, values.size):
                own[0, slots[i]] += 1
        power_sums[t, 0] = s1
        power_sums[t, 1] = s2
        power_sums[t, 2] = s3
        power_sums[t, 3] = s4
        extremes[t, 0] = low
        extremes[t, 1] = at_low
        extremes[t, 2] = high
        extremes[t, 3] = at_high
        extremes[t, 4] = nans
    return shift, power_sums, extremes, counts


def numba_blocked(x: NDArray[np.float64]) -> Answers:
    """The twelve, fused and blocked by hand: what an expert arrives at after looking at the machine code."""
    shift, power_sums, extremes, counts = _blocked(x, x.view(np.int64), BINS, *RANGE)
    low = int(np.argmin(extremes[:, 0]))
    high = int(np.argmax(extremes[:, 2]))
    answers = _from_power_sums(x.size, shift, power_sums[:, :4].sum(axis=0))
    at_low, at_high = int(extremes[low, 1]), int(extremes[high, 3])
    nans = int(extremes[:, 4].sum())
    if nans:
        at_low = at_high = int(np.flatnonzero(np.isnan(x))[0])
    answers |= {"min": x[at_low], "max": x[at_high], "argmin": at_low, "argmax": at_high, "count_nan": nans}
    slots = counts.sum(axis=(0, 1))
    slots[BINS] += slots[BINS + 1]  # the last bin is closed
    return answers | {"histogram": slots[1 : BINS + 1]}


@njit(parallel=True, fastmath=True)
def _one_loop(x, bits, bins, lo, hi):
    """Every thread walks its part once, with everything in the one loop."""
    n = x.size
    threads = get_num_threads()
    share = (n + threads - 1) // threads
    shift = x[: min(n, 1024)].mean()
    scale = bins / (hi - lo)
    power_sums = np.zeros((threads, 16))
    places = np.zeros((threads, 16), np.int64)
    counts = np.zeros((threads, bins), np.int64)
    for t in prange(threads):
        first = min(t * share, n)
        values = x[first : min(first + share, n)]
        words = bits[first : min(first + share, n)]
        own = counts[t]
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        s4 = 0.0
        low = np.inf
        high = -np.inf
        at_low = 0
        at_high = 0
        nans = 0
        for i in range(values.size):
            value = values[i]
            d = value - shift
            d2 = d * d
            s1 += d
            s2 += d2
            s3 += d2 * d
            s4 += d2 * d2
            if value < low:
                low = value
                at_low = first + i
            if value > high:
                high = value
                at_high = first + i
            nans += (words[i] & MAGNITUDE) > INFINITY
            if lo <= value <= hi:
                own[min(int((value - lo) * scale), bins - 1)] += 1
        power_sums[t, 0] = s1
        power_sums[t, 1] = s2
        power_sums[t, 2] = s3
        power_sums[t, 3] = s4
        places[t, 0] = at_low
        places[t, 1] = at_high
        places[t, 2] = nans
    return shift, power_sums, places, counts


def numba_one_loop(x: NDArray[np.float64]) -> Answers:
    """The twelve in one plain loop: what one writes first."""
    shift, power_sums, places, counts = _one_loop(x, x.view(np.int64), BINS, *RANGE)
    answers = _from_power_sums(x.size, shift, power_sums[:, :4].sum(axis=0))
    at_low = int(places[np.argmin(x[places[:, 0]]), 0])
    at_high = int(places[np.argmax(x[places[:, 1]]), 1])
    nans = int(places[:, 2].sum())
    if nans:
        at_low = at_high = int(np.flatnonzero(np.isnan(x))[0])
    answers |= {"min": x[at_low], "max": x[at_high], "argmin": at_low, "argmax": at_high, "count_nan": nans}
    return answers | {"histogram": counts.sum(axis=0)}


def _from_power_sums(n: int, shift: float, sums: NDArray[np.float64]) -> Answers:
    """Moments from the sums of the first four powers of `x - shift`."""
    a1, a2, a3, a4 = (float(s) / n for s in sums)
    var = a2 - a1 * a1
    third = a3 - 3 * a1 * a2 + 2 * a1**3
    fourth = a4 - 4 * a1 * a3 + 6 * a1 * a1 * a2 - 3 * a1**4
    return {
        "sum": n * shift + float(sums[0]),
        "mean": shift + a1,
        "var": var,
        "std": math.sqrt(var),
        "skew": third / var**1.5,
        "kurtosis": fourth / (var * var) - 3.0,
    }


def numba_twelve(x: NDArray[np.float64]) -> dict[str, Callable[[], Answers]]:
    """The candidates for the hand-written loop."""
    return {"blocked": lambda: numba_blocked(x), "one loop": lambda: numba_one_loop(x)}


# ----------------------------------------------------------------------------------------- users' functions

FUNCTIONS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "log1p": lambda x: np.mean(np.log1p(np.abs(x))),
    "exp": lambda x: np.sum(np.exp(-x * x / 2)),
    "far": lambda x: np.mean((x - x.mean()) ** 2 > 1),
    "diff": lambda x: np.std(np.diff(x)),
    "positive": lambda x: x[x > 0].mean(),
    "tanh": lambda x: np.mean(np.tanh(x)),
    "clip": lambda x: np.clip(x, -1, 1).mean(),
    "sqrt": lambda x: np.max(np.sqrt(np.abs(x))),
    "where": lambda x: np.where(x > 0, x, 0).sum(),
    "lag": lambda x: (x[1:] * x[:-1]).mean(),
    "score": lambda x: ((x - x.mean()) / x.std()).max(),
    "near": lambda x: np.mean(np.abs(x) < 1),
}
"""Twelve functions as users write them."""


def numpy_functions(x: NDArray[Any]) -> Answers:
    """The twelve, called one after the other."""
    return {name: function(x) for name, function in FUNCTIONS.items()}


@njit(parallel=True, fastmath=True)
def _functions_first(x):
    """What needs no mean, and the mean."""
    total = 0.0
    squares = 0.0
    log1p = 0.0
    exp = 0.0
    diffs = 0.0
    lags = 0.0
    positive = 0.0
    positives = 0
    tanh = 0.0
    clip = 0.0
    near = 0
    most = 0.0
    high = -1e308
    for i in prange(1, x.size):
        v = x[i]
        before = x[i - 1]
        a = abs(v)
        total += v
        squares += v * v
        log1p += np.log1p(a)
        exp += np.exp(-v * v / 2)
        if v > 0:
            positive += v
            positives += 1
        tanh += np.tanh(v)
        clip += min(max(v, -1.0), 1.0)
        near += a < 1
        most = max(most, a)
        high = max(high, v)
        diffs += (v - before) * (v - before)
        lags += v * before
    return total, squares, log1p, exp, diffs, lags, positive, positives, tanh, clip, near, most, high


@njit(parallel=True, fastmath=True)
def _functions_second(x, mean):
    """What needs the mean."""
    far = 0
    for i in prange(x.size):
        d = x[i] - mean
        far += d * d > 1
    return far


def numba_functions(x: NDArray[np.float64]) -> Answers:
    """The twelve, fused by hand into two loops; the first element, which has none before it, is taken apart."""
    n = x.size
    total, squares, log1p, exp, diffs, lags, positive, positives, tanh, clip, near, most, high = _functions_first(x)
    v = float(x[0])
    mean = (total + v) / n
    step = (x[-1] - v) / (n - 1)
    up = positive + max(v, 0.0)
    return {
        "log1p": (log1p + math.log1p(abs(v))) / n,
        "exp": exp + math.exp(-v * v / 2),
        "far": _functions_second(x, mean) / n,
        "diff": math.sqrt(diffs / (n - 1) - step * step),
        "positive": up / (positives + (v > 0)),
        "tanh": (tanh + math.tanh(v)) / n,
        "clip": (clip + min(max(v, -1.0), 1.0)) / n,
        "sqrt": math.sqrt(max(most, abs(v))),
        "where": up,
        "lag": lags / (n - 1),
        "score": (max(high, v) - mean) / math.sqrt((squares + v * v) / n - mean * mean),
        "near": (near + (abs(v) < 1)) / n,
    }


# -------------------------------------------------------------------------------------------------- Polars


def polars_eleven(x: NDArray[np.float64]) -> dict[str, Callable[[], Answers]]:
    """The eleven in one lazy `select`, on each of Polars' two engines; the Series is made beforehand."""
    c = pl.col("x")
    wanted: Mapping[str, pl.Expr] = {
        "sum": c.sum(),
        "mean": c.mean(),
        "var": c.var(ddof=0),
        "std": c.std(ddof=0),
        "min": c.min(),
        "max": c.max(),
        "argmin": c.arg_min(),
        "argmax": c.arg_max(),
        "count_nan": c.is_nan().sum(),
        "skew": c.skew(),
        "kurtosis": c.kurtosis(),
    }
    query = pl.DataFrame({"x": x}).lazy().select([expr.alias(name) for name, expr in wanted.items()])
    return {
        "in-memory engine": lambda: query.collect(engine="in-memory").row(0, named=True),
        "streaming engine": lambda: query.collect(engine="streaming").row(0, named=True),
    }


def reducers_quantiles(x: NDArray[np.float64]) -> Callable[[], NDArray[np.float64]]:
    """Another Rust extension's quantiles, with as many threads as it takes by itself."""
    import reducers

    return lambda: reducers.quantile(x, QUANTILES)


def polars_order(x: NDArray[np.float64]) -> dict[str, Callable[[], Any]]:
    """Order statistics and distinct values, each by Polars."""
    c, query = pl.col("x"), pl.DataFrame({"x": x}).lazy()
    quantiles = [c.quantile(q, interpolation="linear").alias(str(q)) for q in QUANTILES]
    return {
        "quantiles": lambda: np.array(query.select(quantiles).collect().row(0)),
        "median": lambda: query.select(c.median()).collect().item(),
        "n_unique": lambda: query.select(c.n_unique()).collect().item(),
    }


# ---------------------------------------------------------------------------------- axes, groups, windows

FOUR = ("mean", "std", "min", "max")


def numpy_axis(x: NDArray[np.float64], axis: int) -> Answers:
    """The four along an axis."""
    return {"mean": x.mean(axis), "std": x.std(axis), "min": x.min(axis), "max": x.max(axis)}


def bottleneck_axis(x: NDArray[np.float64], axis: int) -> Answers:
    """The four, which leave NaN out in bottleneck."""
    found = (
        bottleneck.nanmean(x, axis),
        bottleneck.nanstd(x, axis),
        bottleneck.nanmin(x, axis),
        bottleneck.nanmax(x, axis),
    )
    return dict(zip(FOUR, found, strict=True))


def numbagg_axis(x: NDArray[np.float64], axis: int) -> Answers:
    """The four, which leave NaN out in numbagg; its deviation has ddof 1."""
    deviation = numbagg.nanstd(x, axis=axis) * math.sqrt(1 - 1 / x.shape[axis])
    rest = numbagg.nanmean(x, axis=axis), numbagg.nanmin(x, axis=axis), numbagg.nanmax(x, axis=axis)
    return dict(zip(FOUR, (rest[0], deviation, rest[1], rest[2]), strict=True))


def group_peers(x: NDArray[np.float64], by: NDArray[np.int64]) -> dict[str, Callable[[], Answers]]:
    """The four of each label, in the order of the labels, by Polars and by DuckDB."""
    c, frame = pl.col("x"), pl.DataFrame({"x": x, "label": by})
    four = [c.mean().alias("mean"), c.std(ddof=0).alias("std"), c.min().alias("min"), c.max().alias("max")]
    query = frame.lazy().group_by("label").agg(four).sort("label")
    connection = duckdb.connect()
    connection.register("t", frame.to_arrow())
    sql = "select avg(x) mean, stddev_pop(x) std, min(x) min, max(x) max from t group by label order by label"

    def polars() -> Answers:
        found = query.collect()
        return {name: found[name].to_numpy() for name in FOUR}

    def duck() -> Answers:
        found = connection.execute(sql).fetchnumpy()
        return {name: found[name] for name in FOUR}

    return {"Polars": polars, "DuckDB": duck}


WINDOW = 100


def window_peers(x: NDArray[np.float64]) -> dict[str, Callable[[], Answers]]:
    """Rolling mean, deviation, smallest and largest element, by Polars and by bottleneck."""
    c, frame = pl.col("x"), pl.DataFrame({"x": x}).lazy()
    four = [
        c.rolling_mean(WINDOW).alias("mean"),
        c.rolling_std(WINDOW, ddof=1).alias("std"),
        c.rolling_min(WINDOW).alias("min"),
        c.rolling_max(WINDOW).alias("max"),
    ]

    def polars() -> Answers:
        found = frame.select(four).collect()
        return {name: found[name].to_numpy() for name in FOUR}

    def bottle() -> Answers:
        mean, low, high = (move(x, WINDOW) for move in (bottleneck.move_mean, bottleneck.move_min, bottleneck.move_max))
        return {"mean": mean, "std": bottleneck.move_std(x, WINDOW, ddof=1), "min": low, "max": high}

    return {"Polars": polars, "bottleneck": bottle}


# -------------------------------------------------------------------------------------- bare parallel read


@njit(parallel=True, fastmath=True)
def _sum_prange(x):
    total = 0.0
    for i in prange(x.size):
        total += x[i]
    return total


@njit(parallel=True, fastmath=True)
def _sum_blocked(x):
    n = x.size
    threads = get_num_threads()
    blocks = (n + BLOCK - 1) // BLOCK
    share = (blocks + threads - 1) // threads
    totals = np.zeros((threads, 16))
    for t in prange(threads):
        total = 0.0
        for block in range(t * share, min((t + 1) * share, blocks)):
            values = x[block * BLOCK : min(block * BLOCK + BLOCK, n)]
            part = 0.0
            for i in range(values.size):
                part += values[i]
            total += part
        totals[t, 0] = total
    return totals[:, 0].sum()


@njit(nogil=True, fastmath=True)
def _sum_serial(x):
    total = 0.0
    for i in range(x.size):
        total += x[i]
    return total


def bare_reads(x: NDArray[np.float64]) -> dict[str, Callable[[], float]]:
    """The candidates for the bare parallel read: each only adds up the array on all cores."""
    threads = get_num_threads()
    pool = ThreadPoolExecutor(threads)
    parts = np.array_split(x, threads)
    series = pl.Series("x", x)
    return {
        "numba prange sum": lambda: _sum_prange(x),
        "numba blocked sum": lambda: _sum_blocked(x),
        "numba sum in threads": lambda: sum(pool.map(_sum_serial, parts)),
        "NumPy sum in threads": lambda: sum(pool.map(np.add.reduce, parts)),
        "Polars sum": series.sum,
    }


# ------------------------------------------------------------------------------------------------------- JAX


@cache
def _jax_compiled() -> Callable[[Any], Any]:
    """The twelve functions as users of JAX write them, compiled together. The import takes a second: not for others."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def twelve(x: Any) -> Any:
        positive = x > 0
        return {
            "log1p": jnp.mean(jnp.log1p(jnp.abs(x))),
            "exp": jnp.sum(jnp.exp(-x * x / 2)),
            "far": jnp.mean((x - x.mean()) ** 2 > 1, dtype=x.dtype),
            "diff": jnp.std(jnp.diff(x)),
            # Shapes that depend on the values do not compile: JAX's documentation says to weigh with the mask.
            "positive": jnp.sum(jnp.where(positive, x, 0)) / jnp.sum(positive),
            "tanh": jnp.mean(jnp.tanh(x)),
            "clip": jnp.clip(x, -1, 1).mean(),
            "sqrt": jnp.max(jnp.sqrt(jnp.abs(x))),
            "where": jnp.where(positive, x, 0).sum(),
            "lag": (x[1:] * x[:-1]).mean(),
            "score": ((x - x.mean()) / x.std()).max(),
            "near": jnp.mean(jnp.abs(x) < 1, dtype=x.dtype),
        }

    return cast(Callable[[Any], Any], jax.jit(twelve))


def jax_functions(x: NDArray[Any]) -> Answers:
    """The twelve by JAX's compiler, from a NumPy array and to NumPy's numbers, as `fanfold` takes and gives them."""
    return {name: np.asarray(value)[()] for name, value in _jax_compiled()(x).items()}
