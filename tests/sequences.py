"""What a kernel must answer that gives an item for each element.

Integers and what is picked from the elements are exact. Floats are compared with the same thing over `longdouble`, and
may be off by roundings of the largest number that takes part. pandas is the oracle of windows, but where its own sums
are off: those are compared with the windows themselves, one by one.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

import fanfold as ff

Array = npt.NDArray[Any]

EPSILON = 2.0**-52

OMITTING = {
    "cumsum": lambda x: np.nancumsum(x),
    "cumprod": lambda x: np.nancumprod(x),
    "cummax": lambda x: np.fmax.accumulate(x),
    "cummin": lambda x: np.fmin.accumulate(x),
}
RUNNING = {
    "cumsum": lambda x: np.cumsum(x),
    "cumprod": lambda x: np.cumprod(x),
    "cummax": lambda x: np.maximum.accumulate(x),
    "cummin": lambda x: np.minimum.accumulate(x),
}
ROLLING = {f"rolling_{name}" for name in ("sum", "mean", "var", "std", "min", "max", "median", "quantile")}

NAMES = {*RUNNING, *ROLLING, "diff", "zscore", "rank", "ewm_mean"}
"""The kernels."""


def difference(answer: Any, kernel: ff.Kernel, x: Array, nan_policy: str) -> str | None:
    """What is wrong with an answer, an exception among them; nothing if it is right."""
    x = np.ravel(x)
    if nan_policy == "raise" and missing(x).any():
        return None if isinstance(answer, ValueError) else f"{answer!r}, and not ValueError"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        wanted, tolerance = expected(kernel, x, nan_policy == "omit")
        if isinstance(wanted, type):
            return None if isinstance(answer, wanted) else f"{answer!r}, and not {wanted.__name__}"
        if type(answer) is not np.ndarray or answer.dtype != wanted.dtype or answer.shape != wanted.shape:
            return f"{answer!r}, and not {wanted!r}"
        right = (answer == wanted) | (pd.isna(answer) & pd.isna(wanted))
        if tolerance is not None:
            right |= tolerance(answer)
    if right.all():
        return None
    first = int(np.flatnonzero(~right)[0])
    return f"number {first} is {answer[first]!r}, and not {wanted[first]!r}"


def missing(x: Array) -> Array:
    return np.isnan(x) if x.dtype.kind in "fcmM" else np.zeros(x.shape, bool)


Expected = tuple[Array | type[Exception], Callable[[Array], Array] | None]


def expected(kernel: ff.Kernel, x: Array, omits: bool) -> Expected:
    """The answer, or an exception, and which other answers are right."""
    name, parameters = kernel.name, kernel.parameters
    if name in ("cumsum", "cumprod", "diff") and x.dtype.kind in "biumM":
        if name == "cumsum" and omits and x.dtype.kind == "m":  # NumPy's `nancumsum` knows no NaT.
            x = np.where(missing(x), np.zeros(1, x.dtype), x)
        return of_integers(kernel, x), None
    if name in RUNNING:
        function = (OMITTING if omits else RUNNING)[name]
        return function(x), None if name.startswith("cumm") else near_running(name, function, x)
    if name == "diff":
        return np.diff(x, parameters["n"]), None
    if name == "rank":
        return of_ranks(x, parameters["method"], omits), None
    if name == "zscore":
        return of_scores(x, parameters["ddof"], omits)
    floats = x.astype(np.float64)
    if name == "ewm_mean":
        return of_weights(floats, dict(parameters))
    return of_windows(name.removeprefix("rolling_"), floats, dict(parameters))


def of_integers(kernel: ff.Kernel, x: Array) -> Array | type[Exception]:
    function = {
        "cumsum": np.cumsum,
        "cumprod": np.cumprod,
        "diff": lambda x: np.diff(x, kernel.parameters["n"]),
    }[kernel.name]
    found = function(x)
    whole = (x.view(np.int64) if x.dtype.kind in "mM" else x).astype(object)
    exact = function(whole)
    limits = np.iinfo(np.int64 if found.dtype.kind in "mM" else found.dtype)
    present = np.ones(found.shape, bool) if found.dtype.kind not in "mM" else ~np.isnat(found)
    outside = any(not limits.min <= value <= limits.max for value in exact[present])
    return OverflowError if outside else found


def near_running(name: str, function: Callable[[Array], Array], x: Array) -> Callable[[Array], Array]:
    exact = function(x.astype(np.longdouble))

    def right(answer: Array) -> Array:
        unit = np.spacing(np.abs(answer)).astype(np.longdouble)
        if name == "cumsum":
            return np.abs(answer - exact) <= unit + 2.0**-50 * np.nancumsum(np.abs(x.astype(np.longdouble)))
        steps = np.arange(1, x.size + 1)
        near = np.abs(answer - exact) <= unit + steps * EPSILON * np.abs(exact)
        # What even the wider range does not hold.
        lost = np.isinf(exact) | ((exact == 0) & ~np.logical_or.accumulate(x == 0))
        return near | (lost & ~np.logical_or.accumulate(~np.isfinite(x)))

    return right


def of_ranks(x: Array, method: str, omits: bool) -> Array:
    # Where NaN is possible ranks are floats, there or not. NumPy 2.4 does not sort float16 right everywhere.
    wide = x.astype(np.float64) if x.dtype == np.float16 else x
    found = stats.rankdata(wide, method=method, nan_policy="omit" if omits else "propagate")
    return np.asarray(found, np.float64 if x.dtype.kind == "f" or method == "average" else np.int64)


def of_scores(x: Array, ddof: float, omits: bool) -> Expected:
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    wide = x.astype(np.longdouble)
    values = wide[~np.isnan(wide)] if omits else wide
    mean = np.mean(values) if values.size else np.longdouble(np.nan)
    variance = np.sum((values - mean) ** 2) / (values.size - ddof) if values.size > ddof else np.longdouble(np.nan)
    deviation = np.sqrt(variance)
    line = np.abs(mean) * np.finfo(dtype).eps
    scores = (wide - mean) / deviation if deviation > line else np.full(x.shape, np.nan)
    if not np.abs(deviation / line - 1) > 1e-3:  # On the line rounding says on which side.
        return scores.astype(dtype), lambda answer: np.ones(answer.shape, bool)
    size = (np.abs(wide) + np.mean(np.abs(values))) / deviation
    slack = 64 * EPSILON * (size + np.abs(scores) * (1 + float(mean / deviation) ** 2 * EPSILON))
    return scores.astype(dtype), lambda answer: np.abs(answer - scores) <= slack + np.spacing(np.abs(answer))


def of_weights(x: Array, parameters: dict[str, Any]) -> Expected:
    if all(parameters[name] is None for name in ("alpha", "span", "com", "halflife")):
        parameters["alpha"] = 0.5
    if parameters["alpha"] == 0.5 and not parameters["adjust"]:
        # For this very value pandas weighs what follows a gap by the rest of the old weight, not as it documents.
        parameters["alpha"] += 1e-14
    wanted = pd.Series(x).ewm(**parameters).mean().to_numpy()
    size = np.maximum.accumulate(np.where(np.isfinite(x), np.abs(x), 0.0))
    return wanted, lambda answer: (np.abs(answer - wanted) <= 1e-12 * size) | (size > 1e300)


def of_windows(name: str, x: Array, parameters: dict[str, Any]) -> Expected:
    window, least = parameters["window"], parameters["min_periods"]
    rolling = pd.Series(x).rolling(window, least, parameters["center"])
    if name in ("min", "max", "median", "quantile"):
        wanted = rolling.quantile(parameters["q"]) if name == "quantile" else getattr(rolling, name)()
        wanted = wanted.to_numpy()
        size = np.max(np.abs(x[np.isfinite(x)]), initial=0.0)
        exact = name in ("min", "max")
        return (
            wanted,
            None
            if exact
            else lambda answer: (np.abs(answer - wanted) <= 4 * EPSILON * size) | (np.isinf(wanted) | (size > 1e307)),
        )
    rows, counts = windows(x, window, parameters["center"])
    present = ~np.isnan(rows)
    n = counts.astype(np.longdouble)
    total = np.nansum(rows, axis=1)
    size = np.nansum(np.abs(rows), axis=1)
    enough = counts >= (window if least is None else least)
    if name == "sum":
        exact, slack = total, 4 * window * EPSILON * size
    elif name == "mean":
        enough &= counts > 0
        exact, slack = total / n, 4 * window * EPSILON * size / n
    else:
        apart = np.where(present, rows - (total / n)[:, None], 0)
        freedom = n - parameters["ddof"]
        enough &= (counts > 0) & (freedom > 0)
        exact = np.sum(apart**2, axis=1) / freedom
        # Of what rounds to equal elements, nothing is known of how far they are apart.
        slack = 32 * window * EPSILON * exact + (8 * EPSILON * size / n) ** 2
        if name == "std":
            exact, slack = np.sqrt(exact), 32 * window * EPSILON * np.sqrt(exact) + 8 * EPSILON * size / n
    wanted = np.where(enough, exact, np.nan)
    # Beyond float64 on the way, which way is taken shows.
    beyond = (size > 1e300) | ((size > 1e150) & (name in ("var", "std"))) | ((size < 1e-140) & (name in ("var", "std")))
    return wanted.astype(np.float64), lambda answer: enough & ((np.abs(answer - exact) <= slack) | beyond)


def windows(x: Array, window: int, center: bool) -> tuple[Array, Array]:
    """The elements of each window, NaN where there is none, and how many there are."""
    after = (window - 1) // 2 if center else 0
    wide = np.where(np.isfinite(x), x, np.nan).astype(np.longdouble)
    padded = np.concatenate([np.full(window - 1 - after, np.nan), wide, np.full(after, np.nan)])
    if not x.size:
        return np.empty((0, window), np.longdouble), np.empty(0, int)
    rows = np.lib.stride_tricks.sliding_window_view(padded, window)
    return rows, np.sum(~np.isnan(rows), axis=1)
