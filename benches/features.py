"""Features of rows, as people write them, against a loop over the rows and against threads.

    python benches/features.py                     2,000 x 5,000 and 100,000 x 200
    python benches/features.py 500 1000            rows and their length

The peers run on a part of the rows, and their time is that for all rows. The results are checked first.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

import fanfold as ff

Array = npt.NDArray[Any]

PART = 2_000_000
"""The elements on which the peers run."""


def skewness(v: Array) -> Any:
    d = v - v.mean()
    return np.mean(d**3) / np.mean(d**2) ** 1.5


def kurtosis(v: Array) -> Any:
    d = v - v.mean()
    return np.mean(d**4) / np.mean(d**2) ** 2 - 3


def autocorrelation(v: Array, lag: int) -> Any:
    d = v - v.mean()
    return np.sum(d[lag:] * d[:-lag]) / np.sum(d * d)


def iqr(v: Array) -> Any:
    low, high = np.percentile(v, [25, 75])
    return high - low


FEATURES: dict[str, Callable[[Array], Any]] = {
    "mean": lambda v: v.mean(),
    "std": lambda v: v.std(),
    "variance": lambda v: np.var(v, ddof=1),
    "skewness": skewness,
    "kurtosis": kurtosis,
    "rms": lambda v: np.sqrt(np.mean(v**2)),
    "crest factor": lambda v: np.max(np.abs(v)) / np.sqrt(np.mean(v**2)),
    "zero crossings": lambda v: np.sum(np.diff(np.sign(v)) != 0),
    "median": lambda v: np.median(v),
    "median deviation": lambda v: np.median(np.abs(v - np.median(v))),
    "iqr": iqr,
    "90 %": lambda v: np.percentile(v, 90),
    "5 %": lambda v: np.quantile(v, 0.05),
    "change": lambda v: np.mean(np.abs(np.diff(v))),
    "autocorrelation 1": lambda v: autocorrelation(v, 1),
    "autocorrelation 5": lambda v: autocorrelation(v, 5),
    "energy ratio": lambda v: np.sum(v[: len(v) // 2] ** 2) / np.sum(v**2),
    "above mean": lambda v: np.mean(v > v.mean()),
    "mean of positive": lambda v: v[v > 0].mean(),
    "range": lambda v: v.max() - v.min(),
    "outliers": lambda v: np.sum(np.abs(v - v.mean()) > 2 * v.std()),
    "complexity": lambda v: np.sqrt(np.sum(np.diff(v) ** 2)),
    "norm": lambda v: np.linalg.norm(v),
    "variation": lambda v: v.std() / v.mean(),
    "trend": lambda v: v[-1] - v[0],
}


def of_row(v: Array) -> list[Any]:
    """All features of a row."""
    return [function(v) for function in FEATURES.values()]


def in_a_loop(x: Array) -> list[list[Any]]:
    """The features of all rows, row by row."""
    return [of_row(v) for v in x]


def in_threads(x: Array) -> list[list[Any]]:
    """The same, in as many threads as fanfold has."""
    parts = np.array_split(x, max(1, len(x) // 64))
    with ThreadPoolExecutor(int(ff._core.config()["workers"])) as pool:
        return [row for rows in pool.map(in_a_loop, parts) for row in rows]


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The shortest time of several calls."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def measure(rows: int, length: int) -> None:
    """Checks and measures one shape."""
    x = np.random.default_rng(0).standard_normal((rows, length))
    part = x[: max(1, PART // length)]
    expected = np.array(in_a_loop(part[:64]))
    found = ff.run(x, FEATURES, axis=1)
    for place, name in enumerate(FEATURES):
        np.testing.assert_allclose(found[name][:64], expected[:, place], rtol=1e-9, atol=1e-11, err_msg=name)
    ours = seconds(lambda: ff.run(x, FEATURES, axis=1), 5)
    print(f"{len(FEATURES)} features of {rows:,} x {length:,} float64: {ours:.3f} s")
    for name, peer in (("loop", in_a_loop), ("threads", in_threads)):
        theirs = seconds(lambda peer=peer: peer(part), 2) * rows / len(part)
        print(f"  {name:8s} {theirs:8.3f} s  {theirs / ours:5.1f} x")


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    for shape in [(2_000, 5_000), (100_000, 200)] if len(numbers) != 2 else [tuple(numbers)]:
        measure(*shape)
