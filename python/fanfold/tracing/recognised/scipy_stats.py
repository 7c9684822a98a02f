"""The rules of `scipy.stats`: one statement for each function, with the parameters that it supports.

A formula that is not a kernel's is the one of the function's documentation. `it` are the facts that are known of the
elements. p-values are those of the distributions that SciPy's functions use, from the loaded `scipy.special`.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import Deferred, DeferredArray
from fanfold.tracing.nodes import Doubt
from fanfold.tracing.recognised.register import FEWEST, Facts, Sample, of_sample
from fanfold.tracing.rules.selections import chosen
from fanfold.tracing.shared import shared

Array = npt.NDArray[Any]

_STATS = "scipy.stats"


def _first(it: Facts, value: Any) -> Any:
    del it
    return value


# ---- moments ----


@of_sample(_STATS, "skew")
def _skew(s: Sample, bias: Any) -> Any:
    return s.number(_first, s.kernel("skew", bias=bool(bias)), order=3)


@of_sample(_STATS, "kurtosis")
def _kurtosis(s: Sample, fisher: Any, bias: Any) -> Any:
    return s.number(_first, s.kernel("kurtosis", fisher=bool(fisher), bias=bool(bias)), order=4)


@of_sample(_STATS, "moment")
def _moment(s: Sample, order: Any) -> Any:
    if type(order) is not int or order < 0:
        return None
    if order < 2:
        return s.number(lambda it: 1 - order)
    return s.number(_first, s.kernel("moment", order=order), order=order)


@of_sample(_STATS, "sem")
def _sem(s: Sample, ddof: Any) -> Any:
    return s.number(_first, s.kernel("sem", ddof=ddof), order=2) if _is_small(ddof) else None


@of_sample(_STATS, "variation")
def _variation(s: Sample, ddof: Any) -> Any:
    if not _is_small(ddof) or not _counts(s):
        return None

    def finish(it: Facts, std: Any) -> Any:
        if not it.mean:
            raise Doubt("the mean is 0")
        return float(std) / it.mean

    return s.number(finish, s.kernel("std", ddof=ddof), order=2)


@of_sample(_STATS, "describe")
def _describe(s: Sample, ddof: Any, bias: Any) -> Any:
    if not _is_small(ddof) or not _counts(s) or s.is_strict:
        return None
    count = s.unguarded(np.int64, s.counted(), dtype=np.int64) if s.count is None else np.int64(s.count)
    moments = (
        s.number(_first, s.kernel("mean"), order=2),
        s.number(_first, s.kernel("var", ddof=ddof), order=2),
        s.number(_first, s.kernel("skew", bias=bool(bias)), order=3),
        s.number(_first, s.kernel("kurtosis", bias=bool(bias)), order=4),
    )
    return s.result(count, (s.own("min"), s.own("max")), *moments)


@of_sample(_STATS, "kstat")
def _kstat(s: Sample, n: Any) -> Any:
    if type(n) is not int or not 1 <= n <= 4 or (n > 1 and s.node.dtype != np.float64):
        # SciPy's sums of powers wrap in integers, and lose all digits in float32.
        return None
    nodes = [s.kernel("moment", order=order) for order in range(2, n + 1)]

    def finish(it: Facts, *central: Any) -> Any:
        _refuse_powers(it, n)
        return _k_statistics(it.size, *central)[n - 2]

    return _mean(s, np.sum(np.ones(1, s.node.dtype)).dtype) if n == 1 else s.number(finish, *nodes, order=n)


@of_sample(_STATS, "kstatvar")
def _kstatvar(s: Sample, n: Any) -> Any:
    if type(n) is not int or n not in (1, 2) or s.node.dtype != np.float64:
        return None

    def finish(it: Facts, *central: Any) -> Any:
        _refuse_powers(it, 4)
        second, _, fourth = _k_statistics(it.size, *central)
        if n == 1:
            return second / it.size
        return (2 * it.size * second**2 + (it.size - 1) * fourth) / (it.size * (it.size + 1))

    return s.number(finish, *(s.kernel("moment", order=order) for order in (2, 3, 4)), order=4)


def _k_statistics(count: int, second: float, third: float = 0.0, fourth: float = 0.0) -> tuple[float, float, float]:
    """The second to fourth k-statistic, from central moments (Fisher 1930)."""
    n = float(count)
    return (
        n * second / (n - 1),
        n**2 * third / ((n - 1) * (n - 2)),
        n**2 * ((n + 1) * fourth - 3 * (n - 1) * second**2) / ((n - 1) * (n - 2) * (n - 3)),
    )


def _refuse_powers(it: Facts, order: int) -> None:
    """Raises `Doubt` where sums of powers of the elements, as SciPy adds them, differ from sums of deviations."""
    largest = max(abs(it.low), abs(it.high))
    away = abs(it.mean) / math.sqrt(it.variance)
    if order * math.log(largest) + math.log(it.size) > 700 or max(1.0, away) ** order > 1e4:
        raise Doubt("sums of powers lose digits")


def _counts(s: Sample) -> bool:
    """Whether the elements' dtype can hold their number, in which SciPy counts them."""
    dtype = s.node.dtype
    return dtype.kind == "f" or dtype.itemsize == 8 or (s.count is not None and s.count <= np.iinfo(dtype).max)


def _is_small(ddof: Any) -> bool:
    """Whether no sample has as few elements as the degrees of freedom that are lost."""
    return type(ddof) in (int, float) and 0 <= ddof < 10


# ---- within limits ----


def _trimmed(s: Sample, limits: Any, inclusive: Any) -> Sample | None:
    """The sample of the elements within limits."""
    if limits is None:
        return s
    pairs = all(type(each) in (tuple, list) and len(each) == 2 for each in (limits, inclusive))
    if not pairs or not all(type(each) in (int, float, type(None)) for each in limits):
        return None
    if s.dtype == np.float32 and any(each is not None and not abs(each) < 1e38 for each in limits):
        # SciPy warns that it is infinite in float32, unless there is a NaN.
        return None
    values = s.values
    (low, high), (low_too, high_too) = limits, inclusive
    masks = []
    if low is not None:
        masks.append(values >= low if low_too else values > low)
    if high is not None:
        masks.append(values <= high if high_too else values < high)
    if not masks:
        return s
    mask = masks[0] if len(masks) == 1 else masks[0] & masks[1]
    selected = chosen(s.trace, s.node, mask) if type(mask) is DeferredArray else None
    return None if selected is None else s.derived(selected)


@of_sample(_STATS, "tmean")
def _tmean(s: Sample, limits: Any, inclusive: Any) -> Any:
    within = _trimmed(s, limits, inclusive)
    # With limits, SciPy puts floats in the place of the elements that it leaves out.
    return None if within is None else _mean(within, s.node.dtype)


def _mean(s: Sample, dtype: np.dtype[Any]) -> Any:
    """The mean, where the sum fits the dtype in which SciPy adds the elements."""

    def finish(it: Facts, mean: Any) -> Any:
        if dtype.kind in "iu" and max(-it.low, it.high) * it.size > np.iinfo(dtype).max / 2:
            raise Doubt("the sum may wrap")
        return mean

    return s.number(finish, s.kernel("mean"))


def _spread(name: str, kernel: str, finish: Callable[[Facts, float], float]) -> None:
    @of_sample(_STATS, name)
    def answer(s: Sample, limits: Any, inclusive: Any, ddof: Any) -> Any:
        within = _trimmed(s, limits, inclusive) if _is_small(ddof) else None
        return None if within is None else within.number(finish, within.kernel(kernel, ddof=ddof), order=2)


_spread("tvar", "var", _first)
_spread("tstd", "std", _first)
_spread("tsem", "std", lambda it, std: std / math.sqrt(it.size))


@of_sample(_STATS, "tmin")
def _tmin(s: Sample, lowerlimit: Any, inclusive: Any) -> Any:
    within = _trimmed(s, (lowerlimit, None), (inclusive, None))
    return None if within is None else within.number(lambda it, low: low, within.kernel("min"))


@of_sample(_STATS, "tmax")
def _tmax(s: Sample, upperlimit: Any, inclusive: Any) -> Any:
    within = _trimmed(s, (None, upperlimit), (None, inclusive))
    return None if within is None else within.number(lambda it, high: high, within.kernel("max"))


@of_sample(_STATS, "sigmaclip")
def _sigmaclip(s: Sample, low: Any, high: Any) -> Any:
    if s.dtype != np.float64 or s.count is None or not s.is_flat or not (_is_real(low) and _is_real(high)):
        return None
    values, size = s.values, s.count
    lowest, highest = -math.inf, math.inf
    mean, std = s.now(np.mean(values), np.std(values))
    for _ in range(_MOST_CLIPPED):
        lower, upper = mean - std * low, mean + std * high
        if not (1e-140 < std < 1e140 and abs(mean) < 1e140):
            return None
        lowest, highest = max(lowest, lower), min(highest, upper)
        # The rounding of the limits decides on elements that are as near as this, inside or outside.
        near = 1e-11 * max(abs(lowest), abs(highest))
        inside = values[(values >= lowest) & (values <= highest)]
        most = np.count_nonzero((values >= lowest - near) & (values <= highest + near))
        sample = s.derived(inside)
        if sample is None:
            return None
        least = sample.counted()
        mean, std, first, last, least, most = s.now(*map(sample.kernel, ("mean", "std", "min", "max")), least, most)
        if most != least or least < FEWEST or first < lowest + near or last > highest - near:
            return None
        if least == size:
            return s.result(inside, lower, upper)
        size = least
    return None


_MOST_CLIPPED = 12
"""After so many steps SciPy clips the elements itself."""


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


# ---- in order ----


@of_sample(_STATS, "iqr")
def _iqr(s: Sample, rng: Any, scale: Any, interpolation: Any) -> Any:
    if type(rng) is not tuple or not _is_scale(scale) or not isinstance(interpolation, str):
        return None
    given = {"rng": tuple(map(float, rng)), "scale": scale, "interpolation": interpolation}
    return _ordered(s, "iqr", **given)


@of_sample(_STATS, "median_abs_deviation")
def _median_abs_deviation(s: Sample, center: Any, scale: Any) -> Any:
    centers: dict[Any, str] = {None: "median", np.median: "median", np.mean: "mean"}
    if center not in centers or not _is_scale(scale):
        return None
    return _ordered(s, "median_abs_deviation", center=centers[center], scale=scale)


def _is_scale(scale: Any) -> bool:
    return scale == "normal" or (_is_real(scale) and scale != 0)


@of_sample(_STATS, "trim_mean")
def _trim_mean(s: Sample, proportiontocut: Any) -> Any:
    if type(proportiontocut) is not float or not 0 <= proportiontocut < 0.5:
        return None
    return _ordered(s, "trim_mean", proportiontocut=proportiontocut)


def _ordered(s: Sample, name: str, **parameters: Any) -> Any:
    try:
        return s.number(_first, s.kernel(name, **parameters))
    except (TypeError, ValueError):
        # The function itself says what is wrong.
        return None


@of_sample(_STATS, "scoreatpercentile")
def _scoreatpercentile(s: Sample, per: Any, interpolation_method: Any) -> Any:
    if not _is_real(per) or not 0 <= per <= 100 or interpolation_method not in ("fraction", "lower", "higher"):
        return None
    count = s.count
    if count is None:
        return None
    part = per / 100.0
    place = part * (count - 1)
    if interpolation_method != "fraction" or place == int(place):
        method = "higher" if interpolation_method == "higher" else "lower"
        return s.number(_first, s.kernel("quantile", q=part, method=method), dtype=float, strict=True)
    weights = int(place) + 1 - place, place - int(place)

    def finish(it: Facts, low: Any, high: Any) -> Any:
        return (float(low) * weights[0] + float(high) * weights[1]) / (weights[0] + weights[1])

    nodes = (s.kernel("quantile", q=part, method=each) for each in ("lower", "higher"))
    return s.number(finish, *nodes, dtype=float, strict=True)


@of_sample(_STATS, "mode")
def _mode(s: Sample) -> Any:
    if s.count is None or s.is_strict:
        return None
    node, scalar = s.kernel("mode"), s.node.dtype.type
    return s.result(
        s.unguarded(lambda found: scalar(found[0]), node, dtype=s.node.dtype),
        s.unguarded(lambda found: np.int64(found[1]), node, dtype=np.int64),
    )


@of_sample(_STATS, "rankdata")
def _rankdata(s: Sample, method: Any) -> Any:
    stats = sys.modules[_STATS]
    if method not in ("average", "min", "max", "dense", "ordinal") or s.count is None or s.is_strict:
        return None
    floats = s.node.dtype.kind == "f"
    dtype = np.float64 if floats or method == "average" else np.int64
    ranks = s.items(lambda elements: stats.rankdata(elements, method), dtype, "rank", method=method)
    if method == "average" or not floats:
        return ranks
    # SciPy's ranks are integers, unless there is a NaN.
    (found,) = s.now(ranks)
    return found if np.isnan(found[0]) else found.astype(np.int64)


@of_sample(_STATS, "differential_entropy")
def _differential_entropy(s: Sample, window_length: Any, base: Any, method: Any) -> Any:
    count = s.count
    if count is None or not s.is_flat or method not in ("auto", "vasicek", "van es"):
        return None
    m = math.floor(math.sqrt(count) + 0.5) if window_length is None else window_length
    if type(m) is not int or not 2 <= 2 * m < count or count <= 1000 or not _is_base(base):
        return None
    # NumPy sorts floats faster than the kernel.
    ordered = shared(s.trace, np.sort, None, (s.values,), {})
    if ordered is None:
        return None
    x = ordered if ordered.dtype == s.dtype else ordered.astype(s.dtype)
    ends = x._lend(None) if isinstance(x, Deferred) else x
    if np.isnan(ends[-1]):
        return None if s.is_strict else s.dtype.type(np.nan)
    # Differences of order statistics that are m (van Es) or 2m (Vasicek) places apart; beyond the ends, the ends.
    if method == "van es":
        parts, factor = [x[m:] - x[:-m]], (count + 1) / m
    else:
        first, last = ends[m : 2 * m] - ends[0], ends[-1] - ends[-2 * m : -m]
        parts, factor = [first, x[2 * m :] - x[: -2 * m], last], count / (2 * m)
    spans = s.now(*map(np.min, parts), *map(np.max, parts))
    if not all(0 < each < math.inf for each in spans):
        return None
    found = sum(map(float, s.now(*(np.sum(np.log(factor * each)) for each in parts)))) / sum(map(len, parts))
    if method == "van es":
        found += float(np.sum(1 / np.arange(m, count + 1, dtype=s.dtype))) + math.log(m) - math.log(count + 1)
    return s.dtype.type(found if base is None else found / math.log(base))


def _is_base(base: Any) -> bool:
    return base is None or (_is_real(base) and base > 0 and base != 1)


# ---- means and entropies ----


@of_sample(_STATS, "gmean")
def _gmean(s: Sample) -> Any:
    return s.number(_of_nonnegative, s.kernel("gmean"))


@of_sample(_STATS, "hmean")
def _hmean(s: Sample) -> Any:
    return s.number(_of_nonnegative, s.kernel("hmean"))


def _of_nonnegative(it: Facts, value: Any) -> Any:
    if it.low < 0:
        raise Doubt("elements are negative")
    return value


@of_sample(_STATS, "pmean")
def _pmean(s: Sample, p: Any) -> Any:
    if not _is_real(p):
        return None
    if p == 0:
        return _gmean(s)
    with np.errstate(all="ignore"):
        powers = s.derived(s.values ** float(p))

    def finish(it: Facts, mean: Any) -> Any:
        mean = float(_of_nonnegative(it, mean))
        if not 0 < mean < math.inf:
            raise Doubt("powers leave the range of floats")
        return mean ** (1 / p)

    return None if powers is None else s.number(finish, powers.kernel("mean"))


@of_sample(_STATS, "gstd")
def _gstd(s: Sample, ddof: Any) -> Any:
    logs = _logs(s) if _is_small(ddof) else None
    return None if logs is None else logs.number(lambda it, std: math.exp(std), logs.kernel("std", ddof=ddof), order=2)


@of_sample(_STATS, "zscore")
def _zscore(s: Sample, ddof: Any) -> Any:
    if not _is_small(ddof):
        return None
    mean = s.number(_first, s.kernel("mean"), order=2)
    std = s.number(_first, s.kernel("std", ddof=ddof), order=2)
    with np.errstate(all="ignore"):
        return (s.values - mean) / std


@of_sample(_STATS, "gzscore")
def _gzscore(s: Sample, ddof: Any) -> Any:
    logs = _logs(s)
    return None if logs is None else _zscore(logs, ddof)


def _logs(s: Sample) -> Sample | None:
    floats = s.floats()
    with np.errstate(all="ignore"):
        return None if floats is None else s.derived(np.log(floats), positive=True)


@of_sample(_STATS, "entropy")
def _entropy(s: Sample, base: Any) -> Any:
    if not _is_base(base) or s.is_strict or not (s.count is None or s.is_flat):
        return None
    values = s.values
    with np.errstate(invalid="ignore"):
        shares = values / np.sum(values)
    total = np.sum(sys.modules["scipy.special"].entr(shares))
    return total if base is None else total / math.log(base)


# ---- directions ----


@of_sample(_STATS, "circmean")
def _circmean(s: Sample, high: Any, low: Any) -> Any:
    def finish(sine: float, cosine: float, near: float) -> float:
        turn = math.atan2(sine, cosine) / (2 * math.pi) - low / (high - low)
        if min(turn % 1.0, -turn % 1.0) < near:
            raise Doubt("it is rounding that makes the mean the lowest or the highest angle")
        return float(turn % 1.0 * (high - low) + low)

    return _circular(s, high, low, finish)


@of_sample(_STATS, "circvar")
def _circvar(s: Sample, high: Any, low: Any) -> Any:
    return _circular(s, high, low, lambda sine, cosine, near: 1 - math.hypot(sine, cosine))


@of_sample(_STATS, "circstd")
def _circstd(s: Sample, high: Any, low: Any, normalize: Any) -> Any:
    def finish(sine: float, cosine: float, near: float) -> float:
        angle = math.sqrt(-2 * math.log(math.hypot(sine, cosine)))
        return angle if normalize else angle * (high - low) / (2 * math.pi)

    return _circular(s, high, low, finish)


def _circular(s: Sample, high: Any, low: Any, finish: Callable[[float, float, float], float]) -> Any:
    """A number computed from the means of the sines and cosines of angles between `low` and `high`."""
    floats = s.floats() if _is_real(high) and _is_real(low) and high > low else None
    if floats is None:
        return None
    with np.errstate(all="ignore"):
        angles = floats * ((2.0 * math.pi) / (high - low))
        sines, cosines = s.derived(np.sin(angles)), s.derived(np.cos(angles))
    if sines is None or cosines is None:
        return None
    near = 1e5 * float(np.finfo(s.dtype).eps)

    def finished(it: Facts, sine: Any, cosine: Any) -> Any:
        if not near < math.hypot(sine, cosine) < 1 - near:
            raise Doubt("no direction is left, or no spread")
        return finish(float(sine), float(cosine), near)

    return s.number(finished, sines.kernel("mean"), cosines.kernel("mean"))


# ---- frequencies ----


def _frequencies(s: Sample, numbins: Any, limits: Any) -> tuple[Array, Any, Any, int] | None:
    """The counts of bins of equal width, the lower limit, the width, and how many elements are in no bin."""
    if s.node.dtype == np.float32 or type(numbins) is not int or not 2 <= numbins <= 10**6:
        return None
    outside: Any = 0
    if limits is None:
        low, high = s.now(s.kernel("min"), s.kernel("max"))
        if s.node.dtype.kind in "iu" and int(high) - int(low) > np.iinfo(s.node.dtype).max:
            return None
        margin = (high - low) / (2.0 * (numbins - 1.0))
        limits = low - margin, high + margin
        if not (math.isfinite(limits[0]) and math.isfinite(limits[1]) and limits[0] < limits[1]):
            return None
    else:
        if type(limits) is not tuple or len(limits) != 2 or not all(map(_is_real, limits)) or limits[0] >= limits[1]:
            return None
        values = s.values
        (outside,) = s.now(np.count_nonzero((values < limits[0]) | (values > limits[1])))
    (found,) = s.now(s.kernel("histogram", bins=numbins, range=(float(limits[0]), float(limits[1]))))
    counts, edges = found
    return np.array(counts, float), limits[0], edges[1] - edges[0], int(outside)


@of_sample(_STATS, "cumfreq")
def _cumfreq(s: Sample, numbins: Any, defaultreallimits: Any) -> Any:
    found = _frequencies(s, numbins, defaultreallimits)
    return None if found is None else s.result(np.cumsum(found[0]), *found[1:])


@of_sample(_STATS, "relfreq")
def _relfreq(s: Sample, numbins: Any, defaultreallimits: Any) -> Any:
    if s.count is None or not s.is_flat:
        return None
    found = _frequencies(s, numbins, defaultreallimits)
    return None if found is None else s.result(found[0] / s.count, *found[1:])


# ---- tests of normality ----


def _tests(s: Sample, statistic: Callable[..., float], pvalue: Callable[[float], float], *nodes: Any) -> Any:
    def finish(it: Facts, *values: Any) -> Any:
        return statistic(it, *map(float, values))

    return s.result(s.number(finish, *nodes, order=4), s.number(lambda *known: pvalue(finish(*known)), *nodes, order=4))


@of_sample(_STATS, "skewtest")
def _skewtest(s: Sample, alternative: Any) -> Any:
    if s.dtype != np.float64 or alternative not in _TAILS:
        # In float32 nearly all digits of the variance of the skewness cancel.
        return None
    return _tests(s, _skew_score, lambda z: _normal(z, alternative), s.kernel("skew"))


@of_sample(_STATS, "kurtosistest")
def _kurtosistest(s: Sample, alternative: Any) -> Any:
    if s.dtype != np.float64 or alternative not in _TAILS:
        return None
    return _tests(s, _kurtosis_score, lambda z: _normal(z, alternative), s.kernel("kurtosis", fisher=False))


@of_sample(_STATS, "normaltest")
def _normaltest(s: Sample) -> Any:
    if s.dtype != np.float64:
        return None

    def statistic(it: Facts, skew: float, kurtosis: float) -> float:
        return _skew_score(it, skew) ** 2 + _kurtosis_score(it, kurtosis) ** 2

    return _tests(s, statistic, _chi_squared, s.kernel("skew"), s.kernel("kurtosis", fisher=False))


@of_sample(_STATS, "jarque_bera")
def _jarque_bera(s: Sample) -> Any:
    def statistic(it: Facts, skew: float, kurtosis: float) -> float:
        return it.size / 6 * (skew**2 + kurtosis**2 / 4)

    return _tests(s, statistic, _chi_squared, s.kernel("skew"), s.kernel("kurtosis"))


def _skew_score(it: Facts, skew: float) -> float:
    """The skewness as a normal deviate (D'Agostino 1970)."""
    n = float(it.size)
    y = skew * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    kurtosis = 3 * (n * n + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    squared = math.sqrt(2 * (kurtosis - 1)) - 1
    scaled = (y or 1.0) / math.sqrt(2 / (squared - 1))
    return math.asinh(scaled) / math.sqrt(0.5 * math.log(squared))


def _kurtosis_score(it: Facts, kurtosis: float) -> float:
    """The kurtosis as a normal deviate (Anscombe and Glynn 1983)."""
    n = float(it.size)
    mean = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    root = math.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    skewness = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9)) * root
    a = 6 + 8 / skewness * (2 / skewness + math.sqrt(1 + 4 / skewness**2))
    denominator = 1 + (kurtosis - mean) / math.sqrt(variance) * math.sqrt(2 / (a - 4))
    if not denominator:
        raise Doubt("the test statistic is not defined")
    cube_root = math.copysign(math.cbrt((1 - 2 / a) / abs(denominator)), denominator)
    return (1 - 2 / (9 * a) - cube_root) / math.sqrt(2 / (9 * a))


_TAILS = ("two-sided", "less", "greater")


def _normal(z: float, alternative: str) -> float:
    below = sys.modules["scipy.special"].ndtr
    if alternative == "less":
        return float(below(z))
    return float(below(-z)) if alternative == "greater" else 2 * float(below(-abs(z)))


def _chi_squared(statistic: float) -> float:
    return float(sys.modules["scipy.special"].chdtrc(2.0, statistic))
