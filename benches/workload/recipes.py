"""Functions of one sequence as people write them: in notebooks, in answers to questions, in feature stores.

They are workload, not advice: each is written as it is found, with the detours that are common.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Function = Callable[[NDArray[Any]], Any]


# ------------------------------------------------------------------------------------------------- finance


def max_drawdown(v):
    equity = np.cumsum(v)
    peak = np.maximum.accumulate(equity)
    return np.max(peak - equity)


def sharpe_ratio(v):
    return np.mean(v) / np.std(v, ddof=1) * np.sqrt(252)


def sortino_ratio(v):
    downside = v[v < 0]
    return np.sqrt(252) * v.mean() / np.std(downside)


def value_at_risk(v):
    var_95 = np.percentile(v, 5)
    return var_95, v[v <= var_95].mean()


def volatility_of_log_returns(v):
    prices = 100 * np.exp(np.cumsum(v * 0.001))
    log_returns = np.diff(np.log(prices))
    return log_returns.std(ddof=1) * np.sqrt(252)


def profit_factor(v):
    gains = v[v > 0].sum()
    losses = -v[v < 0].sum()
    return gains / losses if losses != 0 else np.inf


# ------------------------------------------------------------------------------------ outliers and robustness


def outliers_by_iqr(v):
    q1 = np.percentile(v, 25)
    q3 = np.percentile(v, 75)
    iqr = q3 - q1
    return np.sum((v < q1 - 1.5 * iqr) | (v > q3 + 1.5 * iqr))


def outliers_by_zscore(v):
    z = np.abs(stats.zscore(v))
    return np.where(z > 3)[0].size


def without_outliers(v):
    q25, q75 = np.percentile(v, [25, 75])
    cut_off = (q75 - q25) * 1.5
    kept = v[(v > q25 - cut_off) & (v < q75 + cut_off)]
    return kept.mean(), kept.std()


def winsorised_mean(v):
    low, high = np.percentile(v, [5, 95])
    w = v.copy()
    w[w < low] = low
    w[w > high] = high
    return w.mean()


def trimmed_mean(v):
    s = np.sort(v)
    k = int(0.1 * len(s))
    return s[k:-k].mean()


def robust_zscore(v):
    med = np.median(v)
    mad = np.median(np.abs(v - med))
    z = 0.6745 * (v - med) / mad
    return np.sum(np.abs(z) > 3.5)


def quantile_skewness(v):
    q1, q2, q3 = np.percentile(v, [25, 50, 75])
    return (q3 + q1 - 2 * q2) / (q3 - q1)


def mean_of_top_ten(v):
    return np.mean(np.sort(v)[-10:])


# ------------------------------------------------------------------------------------- distributions, entropy


def histogram_entropy(v):
    counts, _ = np.histogram(v, bins=50)
    p = counts / counts.sum()
    p = p[p > 0]
    return -np.sum(p * np.log2(p))


def entropy_of_density(v):
    density, _ = np.histogram(v, bins="sturges", density=True)
    return stats.entropy(density + 1e-12)


def mode_of_rounded(v):
    values, counts = np.unique(np.round(v, 1), return_counts=True)
    return values[np.argmax(counts)]


def share_of_unique(v):
    return len(np.unique(np.round(v, 2))) / len(v)


def quartile_counts(v):
    edges = np.percentile(v, [25, 50, 75])
    return np.bincount(np.digitize(v, edges), minlength=4)


def gini(v):
    s = np.sort(np.abs(v))
    n = len(s)
    index = np.arange(1, n + 1)
    return np.sum((2 * index - n - 1) * s) / (n * np.sum(s))


def skewness_and_kurtosis(v):
    return stats.skew(v), stats.kurtosis(v)


def standardised_moments(v):
    z = (v - v.mean()) / v.std()
    return (z**3).mean(), (z**4).mean() - 3


def softmax_entropy(v):
    e = np.exp(v - np.max(v))
    p = e / e.sum()
    return -np.sum(p * np.log(p + 1e-12))


def geometric_mean_of_magnitude(v):
    return np.exp(np.mean(np.log(np.abs(v) + 1e-9)))


def min_max_scaled(v):
    scaled = (v - v.min()) / (v.max() - v.min())
    return scaled.mean(), scaled.std()


# ---------------------------------------------------------------------------------------------- time series


def zero_crossings(v):
    return np.where(np.diff(np.sign(v)))[0].size


def zero_crossing_rate(v):
    return ((v[:-1] * v[1:]) < 0).sum() / len(v)


def lag_one_autocorrelation(v):
    return np.corrcoef(v[:-1], v[1:])[0, 1]


def autocorrelations(v):
    c = v - v.mean()
    return [np.sum(c[k:] * c[:-k]) / np.sum(c**2) for k in range(1, 11)]


def turning_points(v):
    return np.sum((v[1:-1] > v[:-2]) & (v[1:-1] > v[2:]))


def line_length(v):
    return np.sum(np.abs(np.diff(v)))


def hjorth(v):
    d1 = np.diff(v)
    d2 = np.diff(d1)
    activity = np.var(v)
    mobility = np.sqrt(np.var(d1) / activity)
    complexity = np.sqrt(np.var(d2) / np.var(d1)) / mobility
    return activity, mobility, complexity


def teager_energy(v):
    return np.mean(v[1:-1] ** 2 - v[:-2] * v[2:])


def longest_run_above_mean(v):
    above = np.concatenate(([0], (v > v.mean()).astype(int), [0]))
    edges = np.diff(above)
    starts = np.where(edges == 1)[0]
    ends = np.where(edges == -1)[0]
    return (ends - starts).max()


def largest_moving_average(v):
    return np.convolve(v, np.ones(10) / 10, mode="valid").max()


def spread_of_rolling_mean(v):
    c = np.cumsum(np.insert(v, 0, 0))
    rolling = (c[20:] - c[:-20]) / 20
    return rolling.std()


def linear_trend(v):
    return np.polyfit(np.arange(len(v)), v, 1)[0]


def energy_of_blocks(v):
    size = 1024
    n = len(v) // size
    blocks = v[: n * size].reshape(n, size)
    return np.sum(blocks**2, axis=1)


# -------------------------------------------------------------------------------------------------- spectra


def spectral_centroid(v):
    magnitude = np.abs(np.fft.rfft(v))
    freqs = np.fft.rfftfreq(len(v), d=1 / 100)
    return np.sum(magnitude * freqs) / np.sum(magnitude)


def crest_factor(v):
    return np.max(np.abs(v)) / np.sqrt(np.mean(v**2))


FORTY: dict[str, Function] = {
    function.__name__: function
    for function in (
        max_drawdown, sharpe_ratio, sortino_ratio, value_at_risk, volatility_of_log_returns, profit_factor,
        outliers_by_iqr, outliers_by_zscore, without_outliers, winsorised_mean, trimmed_mean, robust_zscore,
        quantile_skewness, mean_of_top_ten, histogram_entropy, entropy_of_density, mode_of_rounded, share_of_unique,
        quartile_counts, gini, skewness_and_kurtosis, standardised_moments, softmax_entropy,
        geometric_mean_of_magnitude, min_max_scaled, zero_crossings, zero_crossing_rate, lag_one_autocorrelation,
        autocorrelations, turning_points, line_length, hjorth, teager_energy, longest_run_above_mean,
        largest_moving_average, spread_of_rolling_mean, energy_of_blocks, spectral_centroid, crest_factor,
        linear_trend,
    )
}  # fmt: skip
"""Forty recipes of all kinds."""

# ------------------------------------------------------------------------------------------- the newcomer's


def histogram(v):
    return np.histogram(v, bins=20)[0]


def autocorrelation(v):
    d = v - np.mean(v)
    return np.sum(d[1:] * d[:-1]) / np.sum(d * d)


EIGHT: dict[str, Function] = {
    "mean": np.mean,
    "std": np.std,
    "p95": lambda v: np.percentile(v, 95),
    "histogram": histogram,
    "skew": stats.skew,
    "robust z-score": robust_zscore,
    "autocorrelation": autocorrelation,
    "share above": lambda v: (v > 1.5).mean(),
}
"""What somebody hands over on the first day."""


# ------------------------------------------------------------------------------------ a table of features

FEATURES: dict[str, Function] = {
    "mean": lambda v: np.mean(v),
    "std": lambda v: np.std(v),
    "var": lambda v: v.var(ddof=1),
    "min": lambda v: v.min(),
    "max": lambda v: v.max(),
    "range": lambda v: v.max() - v.min(),
    "median": lambda v: np.median(v),
    "p5": lambda v: np.percentile(v, 5),
    "p95": lambda v: np.percentile(v, 95),
    "iqr": lambda v: np.percentile(v, 75) - np.percentile(v, 25),
    "mad": lambda v: np.median(np.abs(v - np.median(v))),
    "mean abs deviation": lambda v: np.mean(np.abs(v - v.mean())),
    "rms": lambda v: np.sqrt(np.mean(v**2)),
    "energy": lambda v: np.sum(v**2),
    "skew": lambda v: np.mean((v - v.mean()) ** 3) / v.std() ** 3,
    "kurtosis": lambda v: np.mean((v - v.mean()) ** 4) / v.std() ** 4 - 3,
    "crest": lambda v: np.max(np.abs(v)) / np.sqrt(np.mean(v**2)),
    "zero crossings": lambda v: np.sum(np.diff(np.sign(v)) != 0),
    "line length": lambda v: np.sum(np.abs(np.diff(v))),
    "autocorrelation": autocorrelation,
    "mobility": lambda v: np.sqrt(np.var(np.diff(v)) / np.var(v)),
    "share above": lambda v: np.mean(v > v.mean() + v.std()),
    "positive mean": lambda v: v[v > 0].mean(),
    "entropy": histogram_entropy,
    "dominant frequency": lambda v: np.argmax(np.abs(np.fft.rfft(v - v.mean()))) / len(v),
}
"""Twenty-five features of a signal."""


# --------------------------------------------------------------------------------- what never releases the GIL


def longest_rise(v):
    longest = current = 1
    previous = None
    for value in v.tolist():
        current = current + 1 if previous is not None and value > previous else 1
        longest = max(longest, current)
        previous = value
    return longest


def exponential_average(v):
    alpha, average = 0.1, 0.0
    for value in v.tolist():
        average = alpha * value + (1 - alpha) * average
    return average


def runs_of_one_sign(v):
    return max(len(list(group)) for _, group in itertools.groupby(v.tolist(), key=lambda value: value > 0))


def most_common_digit(v):
    return collections.Counter(str(abs(value))[0] for value in v.tolist()).most_common(1)[0][0]


HOLDING: dict[str, Function] = {
    function.__name__: function for function in (longest_rise, exponential_average, runs_of_one_sign, most_common_digit)
}
"""Loops in Python."""
