"""Functions of one sequence by others: tsfresh, tsfel, antropy, SciPy and scikit-learn, as they stand."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

with warnings.catch_warnings():
    # Of modules that are missing and of their own futures.
    warnings.simplefilter("ignore")
    import antropy
    from sklearn import metrics, preprocessing
    from tsfresh.feature_extraction import ComprehensiveFCParameters, feature_calculators

    # The package's attribute of this name is a module of the same functions, and more.
    tsfel = importlib.import_module("tsfel.feature_extraction.features")

Function = Callable[[NDArray[Any]], Any]

TSFRESH_WITHOUT = (
    # They compare every element with every other, or take wavelets of every width.
    "approximate_entropy", "sample_entropy", "number_cwt_peaks",
    # They loop over the elements in Python: four to fifty seconds for 4 million, which no kernel can answer.
    "benford_correlation", "lempel_ziv_complexity", "permutation_entropy", "longest_strike_above_mean",
    "longest_strike_below_mean",
)  # fmt: skip
"""The simple features that are left out."""

TSFEL_WITHOUT = (
    # They compare every element with many others, loop over the elements in Python, or transform at every scale.
    "dfa", "higuchi_fractal_dimension", "hurst_exponent", "lempel_ziv", "maximum_fractal_length", "mse",
    "petrosian_fractal_dimension", "lpcc",
)  # fmt: skip

ANTROPY_WITHOUT = ("app_entropy", "sample_entropy", "detrended_fluctuation", "lziv_complexity", "higuchi_fd")
"""They compare every element with many others."""


def tsfresh_simple() -> dict[str, Function]:
    """All simple features, each with the parameters in the middle of tsfresh's own."""
    settings = ComprehensiveFCParameters()
    found: dict[str, Function] = {}
    for name, function in sorted(vars(feature_calculators).items()):
        if getattr(function, "fctype", None) != "simple" or name in TSFRESH_WITHOUT:
            continue
        parameters = settings.get(name) or [{}]
        chosen = parameters[len(parameters) // 2]
        found[f"tsfresh {name}"] = partial(function, **chosen) if chosen else function
    return found


def scipy_stats() -> dict[str, Function]:
    """What scipy.stats says about one sample of positive numbers."""
    alone = (
        "skew", "kurtosis", "sem", "variation", "describe", "tmean", "tvar", "tstd", "tsem", "tmin", "tmax", "iqr",
        "median_abs_deviation", "gmean", "hmean", "gstd", "mode", "entropy", "differential_entropy", "rankdata",
        "zscore", "gzscore", "cumfreq", "relfreq", "kstatvar", "skewtest", "kurtosistest", "normaltest", "jarque_bera",
        "circmean", "circvar", "circstd", "sigmaclip",
    )  # fmt: skip
    found: dict[str, Function] = {f"stats.{name}": getattr(stats, name) for name in alone}
    return found | {
        "stats.moment": partial(stats.moment, order=3),
        "stats.trim_mean": partial(stats.trim_mean, proportiontocut=0.1),
        "stats.pmean": partial(stats.pmean, p=2),
        "stats.scoreatpercentile": partial(stats.scoreatpercentile, per=75),
        "stats.kstat": partial(stats.kstat, n=3),
        "stats.trimboth": partial(stats.trimboth, proportiontocut=0.1),
    }


def by_name() -> dict[str, Function]:
    """NumPy's and SciPy's own functions of one sequence, handed over as they are."""
    numpys = (
        "sum", "mean", "std", "var", "min", "max", "ptp", "argmin", "argmax", "median", "average", "any", "all",
        "count_nonzero", "nansum", "nanmean", "nanstd", "nanvar", "nanmin", "nanmax", "nanargmin", "nanargmax",
        "nanmedian",
    )  # fmt: skip
    scipys = (
        "skew", "kurtosis", "sem", "variation", "describe", "tmean", "tvar", "tstd", "tsem", "tmin", "tmax", "iqr",
        "median_abs_deviation", "gmean", "hmean", "gstd", "skewtest", "kurtosistest", "normaltest", "jarque_bera",
    )  # fmt: skip
    found: dict[str, Function] = {f"np.{name}": getattr(np, name) for name in numpys}
    return found | {"np.linalg.norm": np.linalg.norm} | {f"stats.{name}": getattr(stats, name) for name in scipys}


def tsfel_features() -> dict[str, Function]:
    """The features of tsfel of a signal of 100 samples a second, with tsfel's own parameters."""
    found: dict[str, Function] = {}
    for name, function in sorted(vars(tsfel).items()):
        if not inspect.isfunction(function) or not hasattr(function, "domain") or name in TSFEL_WITHOUT:
            continue
        must = [each.name for each in inspect.signature(function).parameters.values() if each.default is each.empty]
        if must[1:] in ([], ["fs"]):
            found[f"tsfel {name}"] = partial(function, fs=100) if must[1:] else function
    return found


def antropy_features() -> dict[str, Function]:
    """The entropies and fractal dimensions of antropy."""
    found: dict[str, Function] = {}
    for name, function in sorted(vars(antropy).items()):
        if inspect.isfunction(function) and name not in ANTROPY_WITHOUT:
            must = [each.name for each in inspect.signature(function).parameters.values() if each.default is each.empty]
            found[f"antropy {name}"] = partial(function, sf=100) if must[1:] else function
    return found


def of_two(metric: Callable[[Any, Any], Any]) -> Function:
    """A metric of predictions, as one takes it of a sequence: what comes next is predicted to be what is now."""
    return lambda v: metric(v[1:], v[:-1])


def sklearn_metrics() -> dict[str, Function]:
    """The metrics of regressions, and what scales a feature."""
    names = (
        "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "median_absolute_error", "max_error",
        "r2_score", "explained_variance_score", "mean_absolute_percentage_error", "mean_squared_log_error",
        "root_mean_squared_log_error", "mean_pinball_loss", "mean_poisson_deviance", "mean_gamma_deviance",
        "d2_absolute_error_score", "d2_pinball_score", "d2_tweedie_score",
    )  # fmt: skip
    found: dict[str, Function] = {f"sklearn {name}": of_two(getattr(metrics, name)) for name in names}
    for name in ("scale", "minmax_scale", "maxabs_scale", "robust_scale"):
        found[f"sklearn {name}"] = getattr(preprocessing, name)
    return found


def all_of_them() -> dict[str, Function]:
    """A hundred and fifty functions."""
    return tsfresh_simple() | scipy_stats() | tsfel_features() | antropy_features() | sklearn_metrics()
