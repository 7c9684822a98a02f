"""What was meant by the name of a function that does not exist: the error says what to pass instead.

The compiled half knows what its kernels are called in other libraries, and finds misspelt names. Here are more such
words, and those that stand for something else: a kernel with parameters, a call, a function. A name is never taken for
that of another statistic because the letters are alike: ``rolling_sem`` is not ``rolling_sum``, ``sqrt`` not ``sort``.
"""

import inspect
import re

import numpy as np

from fanfold import _core

SYNONYMS = {
    **dict.fromkeys(("arithmetic_mean", "amean", "ave"), "mean"),
    **dict.fromkeys(("standard_deviation", "std_dev"), "std"),
    **dict.fromkeys(("missing", "n_missing", "nulls", "n_null", "nan_count", "null", "nan"), "count_nan"),
    **dict.fromkeys(("length", "nobs"), "count"),
    **dict.fromkeys(("idxmax", "arg_maximum"), "argmax"),
    **dict.fromkeys(("idxmin", "arg_minimum"), "argmin"),
    **dict.fromkeys(("root_mean_square", "quadratic_mean", "qmean"), "rms"),
    **dict.fromkeys(("root_mean_squared_error", "root_mean_square_error"), "rmse"),
    **dict.fromkeys(("moving_average", "rolling_average", "moving_mean"), "rolling_mean"),
    **dict.fromkeys(("ewm", "ewma", "exponential_moving_average"), "ewm_mean"),
    **dict.fromkeys(("linear_regression", "regression", "ols"), "linregress"),
    **dict.fromkeys(("uniq", "distinct_values"), "unique"),
    **dict.fromkeys(("frequencies", "frequency"), "value_counts"),
    **dict.fromkeys(("largest", "nlargest"), "topk"),
    **dict.fromkeys(("smallest", "nsmallest"), "bottomk"),
    "cardinality": "n_unique",
    "correlation_matrix": "corr_matrix",
    "covariance_matrix": "cov_matrix",
    "cumulative_product": "cumprod",
    "cumulative_sum": "cumsum",
    "geometric_mean": "gmean",
    "harmonic_mean": "hmean",
    "interquartile_range": "iqr",
    "l2_norm": "norm",
    "mean_absolute_error": "mae",
    "peak_to_peak": "ptp",
    "rankdata": "rank",
    "sorted": "sort",
    "standard_error": "sem",
    "standardize": "zscore",
    "trimmed_mean": "trim_mean",
}
"""Names of kernels elsewhere, beside those that the compiled half knows."""

_SPEARMAN = 'pass ff.corr(method="spearman")'
_ROLLING = "name the statistic, as in ff.rolling_mean(7)"

INSTEAD = {
    **dict.fromkeys(("describe", "summary"), "call ff.describe(data)"),
    **dict.fromkeys(("spearman", "spearmanr", "rank_correlation"), _SPEARMAN),
    **dict.fromkeys(("rolling", "moving", "window", "rolling_map", "rolling_apply"), _ROLLING),
    **dict.fromkeys(("weighted_mean", "wmean"), "pass 'mean', and weights="),
    **dict.fromkeys(("quartiles", "quarters"), "pass ff.quantile([0.25, 0.5, 0.75])"),
    **dict.fromkeys(("q1", "first_quartile", "lower_quartile"), "pass ff.quantile(0.25)"),
    **dict.fromkeys(("q2", "second_quartile"), "pass 'median'"),
    **dict.fromkeys(("q3", "third_quartile", "upper_quartile"), "pass ff.quantile(0.75)"),
    **dict.fromkeys(
        ("cummean", "cumulative_mean", "expanding_mean"),
        "pass a function, as in lambda v: np.cumsum(v) / np.arange(1, v.size + 1)",
    ),
    **dict.fromkeys(("cv", "variation"), "pass a function, as in lambda v: np.std(v) / np.mean(v)"),
    **dict.fromkeys(("mse", "mean_squared_error"), "pass 'rmse', which is its square root"),
    **dict.fromkeys(("count_neg", "count_negative"), "pass a function, as in lambda v: np.count_nonzero(v < 0)"),
    **dict.fromkeys(("count_pos", "count_positive"), "pass a function, as in lambda v: np.count_nonzero(v > 0)"),
    **dict.fromkeys(("count_zero", "count_zeros"), "pass a function, as in lambda v: np.count_nonzero(v == 0)"),
    **dict.fromkeys(("rmsle", "msle"), "pass a function"),
    **{name: f"pass scipy.stats.{name} itself" for name in ("tmean", "pmean", "tvar", "tstd", "tsem", "gstd")},
    **{name: f"pass scipy.stats.{name} itself" for name in ("gzscore", "lmoment", "kstat")},
    "is_unique": "pass a function, as in lambda v: np.unique(v).size == v.size",
    "first": "pass a function, as in lambda v: v[0]",
    "last": "pass a function, as in lambda v: v[-1]",
}
"""What to do for words that are no kernel."""

_PREFIXES = ("rolling_", "count_", "ewm_", "nan", "cum", "arg")
"""What can stand before the name of a statistic, and makes another statistic of it."""

LONGEST = 100
"""The length of the longest name that is looked at."""

_KERNELS = frozenset(entry[0] for entry in _core.catalogue())

_MODULES = re.compile(r"^(np|numpy|pd|pandas|pl|polars|ff|fanfold|stats|scipy\.stats)\.")

_LISTED = "fanfold.kernels() lists the names; any other function can be passed as a callable"


def unknown(name: str, shown: str) -> ValueError:
    """Return the error for the name of a function that does not exist, with what to do instead.

    Parameters
    ----------
    shown
        The name as the message shows it.
    """
    remedy = _remedy(name) if len(name) <= LONGEST else _LISTED
    return ValueError(f'unknown function "{shown}": {remedy}')


def _remedy(name: str) -> str:
    other = instead(name)
    if other is not None:
        return other
    kernel = meant(name)
    return _LISTED if kernel is None else f"did you mean '{kernel}'?"


def instead(name: str) -> str | None:
    """Return what to do instead of passing a name, if it does not stand for a kernel's name."""
    word = _normal(name)
    call = re.fullmatch(r"(\w+)\(.*\)", name.strip(), re.DOTALL)
    if call and call[1] in _KERNELS:
        return f"pass ff.{name.strip()} without the quotes"
    if word in INSTEAD or word in _KERNELS:
        return INSTEAD.get(word)
    quantile = _quantile(word)
    if quantile:
        return f"pass ff.{quantile}"
    if _statistic(word) is not None:
        return None
    if _is_of_numpy(word):
        return f"pass np.{word} itself"
    without_nan = _statistic(word.removeprefix("nan").removeprefix("_")) if word.startswith("nan") else None
    if without_nan and f"nan{without_nan}" not in _KERNELS:
        return f"pass '{without_nan}', and nan_policy='omit'"
    return None


def _quantile(word: str) -> str | None:
    """Return the kernel that is meant by ``p95``, ``95%``, ``q95`` or ``q0.95``."""
    percent = re.fullmatch(r"p_?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)%", word, re.ASCII)
    if percent and float(percent[1] or percent[2]) <= 100:
        return f"percentile({str(float(percent[1] or percent[2])).removesuffix('.0')})"
    fraction = re.fullmatch(r"q?_?(0?\.\d+)", word, re.ASCII) or re.fullmatch(r"q_?(\d\d)", word, re.ASCII)
    if fraction:
        number = float(fraction[1])
        return f"quantile({number if number < 1 else number / 100})"
    return None


def meant(name: str) -> str | None:
    """Return the kernel that is meant by another name, if it is clear.

    >>> meant("avg"), meant("rolling_avg"), meant("meen"), meant("rolling_sem")
    ('mean', 'rolling_mean', 'mean', None)
    """
    word = _normal(name)
    known = _statistic(word)
    if known is not None:
        return known
    # If the letters are alike, it is misspelt, unless it is a word of its own.
    is_another, kernel = _with_prefix(word)
    return kernel if is_another or callable(vars(np).get(word)) else _core.nearest(word)


def _with_prefix(word: str) -> tuple[bool, str | None]:
    """Whether a word is a prefix and a known statistic; and the kernel of both, if there is one."""
    for prefix in _PREFIXES:
        statistic = _statistic(word.removeprefix(prefix)) if word.startswith(prefix) else None
        if statistic is not None:
            kernel = f"{prefix}{statistic}"
            return True, kernel if kernel in _KERNELS else None
    return False, None


def _statistic(word: str) -> str | None:
    """Return the kernel of a name or a synonym, not of a misspelt name."""
    return word if word in _KERNELS else SYNONYMS.get(word) or _core.synonym(word)


def _is_of_numpy(word: str) -> bool:
    """Whether it is a function of NumPy's that takes an array, and nothing else that it must have."""
    function = None if word.startswith("_") else vars(np).get(word)
    if isinstance(function, np.ufunc):
        return function.nin == 1 and function.nout == 1
    try:
        first, *others = inspect.signature(function).parameters.values()  # type: ignore[arg-type] # TypeError is caught
    except (TypeError, ValueError):
        return False
    return first.name in ("a", "x", "m", "ar", "arr", "z") and not any(other.default is other.empty for other in others)


def _normal(name: str) -> str:
    """Return a name in the form of the kernels' names."""
    # Half of a surrogate pair is no letter, and the compiled half takes none.
    letters = name.encode("utf-8", "replace").decode()
    return _MODULES.sub("", re.sub(r"[-\s]+", "_", letters.strip().lower())).removesuffix("()")
