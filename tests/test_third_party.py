"""Hundreds of functions by people who never heard of fanfold, traced: each gives what its plain call gives.

Short arrays are enough for that, so that the slow functions can take part: here every array is traced. Few functions
are named. Most are found by looking into the modules, so that those of later versions take part by themselves.
"""

import collections
import functools
import inspect
import itertools
import json
import math
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.cluster
import scipy.sparse
import scipy.spatial
from scipy import fft, interpolate, ndimage, optimize, signal, special, stats

import fanfold as ff
import plain
from fanfold.tracing import calls
from workload import recipes, third_party

with warnings.catch_warnings():
    # Not of what it computes: of modules that are missing, of its own future, of what it imports.
    warnings.simplefilter("ignore")
    from numba import njit, vectorize
    from tsfresh.feature_extraction import ComprehensiveFCParameters, feature_calculators

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

REAL_SMALLEST = calls.SMALLEST
LARGE = REAL_SMALLEST + 12_345
SHORT = 150

rng = np.random.default_rng(11)
NORMAL = rng.standard_normal(SHORT)
ARRAYS: dict[str, Array] = {
    "normal": NORMAL,
    "positive": np.exp(NORMAL / 2),
    "counts": rng.integers(0, 6, SHORT),
    "integers": rng.integers(-(10**6), 10**6, SHORT),
    "float32": NORMAL.astype("f4"),
    "constant": np.full(SHORT, 2.5),
    "NaN": np.where(np.arange(SHORT) % 17 == 5, np.nan, NORMAL),
    "infinite": np.where(np.arange(SHORT) == 70, np.inf, NORMAL),
}


@pytest.fixture(autouse=True)
def short_arrays_are_traced(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(calls, "SMALLEST", 8)
    # Nothing here writes files. If a module's next version does, it is there that it should.
    monkeypatch.chdir(tmp_path)


# ---- the same ----


class Difference(Exception):
    """What a run gives, and what the plain call gives."""


def called(function: Function, x: Array) -> Any:
    """What the plain call gives, gone through to its end."""
    return plain.called(lambda v: spelled_out(function(v)), x)


def spelled_out(value: Any) -> Any:
    """The value with lists in place of what can be gone through but once; what is raised on the way is an answer."""
    try:
        return list(value) if isinstance(value, Iterator) else value
    except Exception as error:
        return error


def the_same(got: Any, want: Any, relative: float, absolute: float) -> None:
    """The same types, dtypes, shapes and values, floats but for the rounding of what is added up."""
    if isinstance(want, Exception):
        if type(got) is not type(want) or str(got) != str(want):
            raise Difference(repr(got), repr(want))
        return
    if type(got) is not type(want):
        raise Difference(type(got), type(want), got, want)
    inner = relative, absolute
    if isinstance(want, np.ma.MaskedArray):
        the_same(np.ma.getmaskarray(got), np.ma.getmaskarray(want), *inner)
        the_same(got.filled(0), want.filled(0), *inner)
    elif isinstance(want, np.ndarray | np.generic):
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            raise Difference(got.dtype, got.shape, want.dtype, want.shape)
        if want.dtype.kind in "fc":
            if not np.allclose(got, want, *inner, equal_nan=True):
                raise Difference(got, want)
        elif want.dtype == object:
            for ours, theirs in zip(got.flat, want.flat, strict=True):
                the_same(ours, theirs, *inner)
        elif got.tobytes() != want.tobytes():
            raise Difference(got, want)
    elif isinstance(want, float | complex):
        the_same(np.asarray(got), np.asarray(want), *inner)
    elif isinstance(want, dict):
        the_same(list(got), list(want), *inner)
        the_same(list(got.values()), list(want.values()), *inner)
    elif isinstance(want, tuple | list):
        if len(got) != len(want):
            raise Difference(got, want)
        for ours, theirs in zip(got, want, strict=True):
            the_same(ours, theirs, *inner)
    elif isinstance(want, pd.DataFrame | pd.Series | pd.Index):
        the_same(np.asarray(got), np.asarray(want), *inner)
    elif isinstance(want, None | bool | int | str | bytes | np.dtype | range | slice | type | frozenset | set):
        if got != want:
            raise Difference(got, want)
    elif callable(want) and not hasattr(want, "__dict__"):
        if got is not want:
            raise Difference(got, want)
    else:
        the_same(getattr(got, "__dict__", None), getattr(want, "__dict__", None), *inner)


# ---- the functions ----

CALLS: dict[str, Callable[[Function, Array], Any]] = {
    "x": lambda f, x: f(x),
    "x x": lambda f, x: f(x, x),
    "x reversed": lambda f, x: f(x, x[::-1]),
    "x 2": lambda f, x: f(x, 2),
    "2 x": lambda f, x: f(2, x),
    "x 0.3": lambda f, x: f(x, 0.3),
    "0.3 x": lambda f, x: f(0.3, x),
    "2x 1": lambda f, x: f(x * 2, 1),
    "|x| x": lambda f, x: f(np.abs(x), x),
    "x x x": lambda f, x: f(x, x, x),
    "x -1 1": lambda f, x: f(x, -1, 1),
    "x 1 2.5": lambda f, x: f(x, 1, 2.5),
    "1.5 2 x": lambda f, x: f(1.5, 2, x),
    "0.5 1.5 x x": lambda f, x: f(0.5, 1.5, x, x),
    "x 1 2 3": lambda f, x: f(x, 1, 2, 3),
    "-x": lambda f, x: f(-x),
    "x + 1": lambda f, x: f(x + 1),
    "x[x > mean]": lambda f, x: f(x[x > x.mean()]),
    "x[1:] x[:-1]": lambda f, x: f(x[1:], x[:-1]),
}
"""Ways to call a function, by what it gets."""

BY_COUNT = {
    1: ("x", "x + 1", "x[x > mean]"),
    2: ("x x", "x reversed", "x 2", "2 x", "x 0.3", "0.3 x", "2x 1", "|x| x", "x[1:] x[:-1]"),
    3: ("x x x", "x -1 1", "x 1 2.5", "1.5 2 x"),
    4: ("0.5 1.5 x x", "x 1 2 3"),
}
"""Those that make sense, by how many arguments a function must have."""

NOT_FUNCTIONS_OF_VALUES = (
    # What they give is not the same the next time: memory that nobody wrote to, addresses, random numbers.
    "empty", "empty_like", "masked_all", "masked_all_like", "ids", "random_correlation", "multiscale_graphcorr",
    "bws_test", "lqmn",
    # An array that is not computed has a dtype, and `np.dtype` asks any object but an array for its dtype.
    "make_mask_descr",
    # They change what others see, or write files.
    "register_backend", "skip_backend", "fromfile",
    # Polynomials of a hundred and more coefficients, and pairs of pairs: seconds for each call.
    "lp2bp", "lp2bs", "lp2hp", "residue", "residuez", "tf2sos", "tf2zpk", "lagrange", "kendalltau_seasonal",
    "ellip_normal",
    "solve_discrete_lyapunov",
    # They call themselves without end: how they then fail depends on who calls them.
    "cspline1d_eval", "qspline1d_eval",
    # It gives a context manager, which holds the array.
    "assert_warns",
)  # fmt: skip


def required(function: Function) -> int | None:
    """How many arguments it must have; None if nobody knows, or if it must have some by name."""
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    must = [each.kind for each in parameters if each.default is each.empty]
    if inspect.Parameter.KEYWORD_ONLY in must:
        return None
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in must)


def functions_of(module: Any, without: tuple[str, ...] = ()) -> dict[str, Function]:
    """A module's functions in all ways to call them."""
    found: dict[str, Function] = {}
    for name in sorted(getattr(module, "__all__", dir(module))):
        function = getattr(module, name, None)
        if name.startswith(("_", "set", "save")) or name in NOT_FUNCTIONS_OF_VALUES or name in without:
            continue
        if not callable(function) or isinstance(function, type):
            continue
        for way in BY_COUNT.get(required(function) or 0, ()):
            found[f"{name}({way})"] = lambda x, call=CALLS[way], function=function: call(function, x)
    return found


def of_tsfresh() -> dict[str, Function]:
    """All feature calculators, with all parameters that tsfresh itself computes them with."""
    found: dict[str, Function] = {}
    for name, parameters in ComprehensiveFCParameters().items():
        function = getattr(feature_calculators, name)
        if getattr(function, "input", None) == "pd.Series":
            function = of_series(function)
        if function.fctype == "combiner":
            found[name] = lambda x, function=function, parameters=parameters: function(x, param=parameters)
            continue
        for each in parameters or [{}]:
            key = ",".join(f"{parameter}={value}" for parameter, value in each.items())
            found[f"{name}({key})"] = lambda x, function=function, each=each: function(x, **each)
    return found


def of_series(function: Any) -> Any:
    """A feature calculator that wants a Series, with an index of a type of its own perhaps."""

    def wrapped(x: Array, **parameters: Any) -> Any:
        index = pd.date_range("2001-02-03", periods=len(x), freq="h") if hasattr(function, "index_type") else None
        return function(pd.Series(x, index=index), **parameters)

    wrapped.fctype = function.fctype
    return wrapped


def of_arrays() -> dict[str, Function]:
    """An array's methods and attributes, and what they did to the array."""
    found: dict[str, Function] = {}
    for name in dir(np.ndarray):
        # Addresses, files, and what fills an array with what lies in memory.
        if name.startswith("_") or name in (
            "base",
            "ctypes",
            "data",
            "dump",
            "tofile",
            "resize",
            "byteswap",
            "setfield",
        ):
            continue
        for text, before in (("x", np.asanyarray), ("x * 2", lambda x: x * 2), ("x[x > 0]", lambda x: x[x > 0])):
            for given in ((), (1,), (0.5,), ("f8",), (2, 3), (slice(1, 9),)):
                if given and not callable(getattr(np.ndarray, name)):
                    continue

                def function(x: Array, name: str = name, before: Any = before, given: Any = given) -> Any:
                    array = before(x)
                    what = getattr(array, name)
                    return what(*given) if callable(what) else what, array, array.dtype, array.shape

                found[f"({text}).{name}({given})"] = function
    return found


SLOW_DISTRIBUTIONS = ("levy_stable", "studentized_range", "kstwo", "gausshyper", "vonmises", "nchypergeom_wallenius")


def of_distributions() -> dict[str, Function]:
    """All distributions of scipy.stats, with some shape."""
    found: dict[str, Function] = {}
    for name in sorted(dir(stats)):
        law = getattr(stats, name)
        if not isinstance(law, stats.rv_continuous | stats.rv_discrete) or name in SLOW_DISTRIBUTIONS:
            continue
        shape = (2, 0.6, 1.2, 0.8)[: law.numargs]
        methods = ("logpdf", "cdf") if isinstance(law, stats.rv_continuous) else ("pmf", "sf")
        for method in methods:
            function = getattr(law, method)
            found[f"{name}.{method}"] = lambda x, function=function, shape=shape: function(x, *shape)
    return found


@njit
def largest_step(x: Any) -> float:
    largest = 0.0
    for k in range(1, x.size):
        largest = max(largest, abs(x[k] - x[k - 1]))
    return largest


@njit
def scaled(x: Any) -> Any:
    return (x - x.mean()) / (x.std() + 1.0)


@vectorize(["float32(float32, float32)", "float64(float64, float64)"])
def smooth_step(x: Any, width: Any) -> Any:
    return x / (abs(x) + width)


@vectorize
def folded(x: Any) -> Any:
    return x if x > 0 else -2 * x


def relaxed(x: Array) -> Any:
    """A small fit."""
    found = optimize.minimize(lambda p: float(np.sum(np.log1p((x - p[0]) ** 2))), [0.1], method="Nelder-Mead")
    return found.x, found.nfev


def curve(x: Array) -> Any:
    y = np.sort(x)
    return optimize.curve_fit(lambda t, a, b: a * t + b, np.arange(len(x)), y)


def fixed_lines(x: Array) -> Any:
    y = np.full(x.shape, 3.0)
    np.add(y, x, out=y)
    np.multiply(x, 2, out=y, where=x > 0)
    return y, y.sum()


GRID = np.linspace(-2, 2, 41)

BY_HAND: list[Function] = [
    # SciPy, where it takes more than arrays and numbers.
    lambda x: stats.kstest(x, "norm"),
    lambda x: stats.kstest(x, "norm", args=(x.mean(), x.std())),
    lambda x: stats.anderson(x, "norm", method="interpolate"),
    lambda x: stats.norm.fit(x),
    lambda x: stats.expon.fit(x),
    lambda x: stats.laplace.fit(x),
    lambda x: stats.logistic.fit(x),
    lambda x: stats.norm(x.mean(), x.std() + 1).ppf([0.1, 0.5, 0.9]),
    lambda x: stats.norm(x).cdf(0.3),
    lambda x: stats.gaussian_kde(x)(GRID),
    lambda x: stats.gaussian_kde(x, bw_method="silverman").integrate_box_1d(-1, 1),
    lambda x: stats.ecdf(x).cdf.evaluate(GRID),
    lambda x: stats.ecdf(x),
    lambda x: stats.binned_statistic(x, x**2, "mean", bins=5),
    lambda x: stats.binned_statistic(x, np.abs(x), "std", bins=[-1, 0, 1]),
    lambda x: stats.binned_statistic(x, x, np.median, bins=4),
    lambda x: stats.binned_statistic_2d(x[1:], x[:-1], None, "count", bins=3),
    lambda x: stats.percentileofscore(x, 0.5, kind="weak"),
    lambda x: stats.scoreatpercentile(x, [10, 90]),
    lambda x: stats.bootstrap((x,), np.mean, n_resamples=20, rng=np.random.default_rng(1), method="basic"),
    lambda x: stats.permutation_test((x[:75], x[75:]), lambda a, b: a.mean() - b.mean(), n_resamples=20, rng=1),
    lambda x: stats.monte_carlo_test(x, stats.norm.rvs, np.mean, n_resamples=5, rng=1).statistic,
    lambda x: stats.f_oneway(x[:50], x[50:90], x[90:]),
    lambda x: stats.kruskal(x[:50], x[50:90], x[90:] * 2),
    lambda x: stats.bartlett(x[:50], x[50:90], x[90:]),
    lambda x: stats.levene(x[:50], x[50:]),
    lambda x: stats.fligner(x[:50], x[50:]),
    lambda x: stats.alexandergovern(x[:50], x[50:]),
    lambda x: stats.median_test(x[:50], x[50:]),
    lambda x: stats.tukey_hsd(x[:50], x[50:]).statistic,
    lambda x: stats.obrientransform(x[:50], x[50:]),
    lambda x: stats.linregress(np.arange(len(x)), x),
    lambda x: stats.pearsonr(x[1:], x[:-1]).confidence_interval(),
    lambda x: stats.moment(x, order=[1, 2, 3, 4]),
    lambda x: stats.describe(x - x.mean()),
    lambda x: stats.skew(x[x > x.mean()]) + stats.kurtosis(np.diff(x)),
    lambda x: stats.zscore(x, nan_policy="omit"),
    lambda x: stats.trim_mean(x, 0.1) - stats.tmean(x, (-1, 1)),
    lambda x: stats.entropy(np.histogram(x, bins=8)[0]),
    lambda x: stats.entropy(np.abs(x), np.abs(x) + 1, base=2),
    lambda x: stats.wasserstein_distance(x, x * 2) + stats.energy_distance(x, x + 1),
    lambda x: stats.boxcox_llf(0.3, np.abs(x) + 1),
    lambda x: stats.yeojohnson(x, 0.5),
    lambda x: stats.pmean(np.abs(x) + 1, 3, weights=np.abs(x)),
    lambda x: stats.ttest_1samp(x, 0.1).confidence_interval(0.9),
    lambda x: stats.mannwhitneyu(x[:70], x[70:]),
    lambda x: stats.wilcoxon(x[:75] - x[75:]),
    lambda x: stats.multivariate_normal(np.zeros(2)).logpdf(np.column_stack([x[1:], x[:-1]])),
    lambda x: stats.sobol_indices(func=lambda p: p[0] * x.std() + p[1], n=4, dists=[stats.uniform()] * 2, rng=1),
    lambda x: signal.welch(x, nperseg=32),
    lambda x: signal.csd(x, x**2, nperseg=32, detrend="linear"),
    lambda x: signal.stft(x - x.mean(), nperseg=16),
    lambda x: signal.savgol_filter(x, 7, 2),
    lambda x: signal.filtfilt(*signal.butter(3, 0.2), x),
    lambda x: signal.sosfilt(signal.butter(3, 0.2, output="sos"), x),
    lambda x: signal.lfilter([1.0, 0.5], [1.0, -0.3], x - x.mean()),
    lambda x: signal.find_peaks(x, height=x.mean(), distance=3, prominence=0.1),
    lambda x: signal.peak_widths(x, signal.find_peaks(x)[0]),
    lambda x: signal.find_peaks_cwt(x, [2, 4]),
    lambda x: np.abs(signal.hilbert(x)).mean(),
    lambda x: signal.fftconvolve(x, x[::-1]).max(),
    lambda x: signal.convolve(x, np.ones(5) / 5, "same").std(),
    lambda x: signal.resample(x, 40),
    lambda x: signal.resample_poly(x, 2, 3),
    lambda x: signal.decimate(x, 3),
    lambda x: signal.lombscargle(np.arange(len(x)) * 1.0, x - x.mean(), [0.5, 1.0]),
    lambda x: signal.medfilt(x, 5) + signal.wiener(x, 5),
    lambda x: ndimage.gaussian_filter1d(x, 2.0).std(),
    lambda x: ndimage.gaussian_filter(x - x.mean(), 1.5),
    lambda x: ndimage.label(x > x.mean()),
    lambda x: ndimage.sum_labels(x, ndimage.label(x > 0)[0], [1, 2, 3]),
    lambda x: ndimage.generic_filter(x, np.ptp, 3),
    lambda x: ndimage.percentile_filter(x, 30, 5) + ndimage.rank_filter(x, 1, 3),
    lambda x: ndimage.map_coordinates(x, [[1.5, 2.5]]),
    lambda x: ndimage.correlate1d(x, [1, 2, 1]) + ndimage.zoom(x, 1.0),
    lambda x: np.abs(fft.rfft(x - x.mean()))[:9] ** 2,
    lambda x: fft.dct(x, norm="ortho") + fft.dst(x),
    lambda x: scipy.integrate.trapezoid(np.abs(x), dx=0.5) + scipy.integrate.simpson(x),
    lambda x: scipy.integrate.cumulative_trapezoid(x, initial=0),
    lambda x: scipy.integrate.quad(lambda t: float(np.interp(t, np.arange(len(x)), x)), 0, 5, limit=20)[0],
    lambda x: interpolate.interp1d(np.arange(len(x)), x)([1.5, 2.25]),
    lambda x: interpolate.CubicSpline(np.arange(len(x)), x)(GRID + 5, 1),
    lambda x: interpolate.PchipInterpolator(np.arange(len(x)), x).integrate(0, 9),
    lambda x: interpolate.Akima1DInterpolator(np.arange(len(x)), x - x.mean())(GRID + 5),
    lambda x: interpolate.UnivariateSpline(np.arange(len(x)), x, s=30.0)(GRID + 5),
    lambda x: interpolate.make_smoothing_spline(np.arange(len(x)) * 1.0, x, lam=3.0)(GRID + 5),
    lambda x: interpolate.RBFInterpolator(np.arange(len(x))[:, None], x, neighbors=9)([[4.5]]),
    lambda x: interpolate.griddata(np.arange(len(x)), x, [3.5], "nearest"),
    lambda x: optimize.brentq(lambda t: float((np.tanh(x - t)).sum()), -50, 50),
    lambda x: optimize.minimize_scalar(lambda t: ((x - t) ** 2).sum()).fun,
    lambda x: optimize.least_squares(lambda p: x - p[0] - p[1] * np.arange(len(x)), [0.0, 0.0]).x,
    lambda x: optimize.nnls(np.abs(x).reshape(-1, 2), np.ones(len(x) // 2)),
    lambda x: scipy.spatial.distance.pdist(x.reshape(-1, 3)).max(),
    lambda x: scipy.spatial.distance.cosine(x[1:], x[:-1]),
    lambda x: scipy.spatial.cKDTree(x.reshape(-1, 2)).query([0.0, 0.0], 3),
    lambda x: scipy.cluster.vq.kmeans2(x.reshape(-1, 2) * 1.0, x.reshape(-1, 2)[:3] * 1.0, minit="matrix"),
    lambda x: scipy.cluster.hierarchy.linkage(x[:30].reshape(-1, 2)),
    lambda x: scipy.sparse.csr_array(np.where(x > 0, x, 0)[None]).sum(),
    lambda x: scipy.sparse.diags_array([x], offsets=[0]).trace(),
    lambda x: special.logsumexp(x) - special.logsumexp(x, b=2.0),
    lambda x: special.softmax(x).max() + special.xlogy(np.abs(x), np.abs(x) + 1).sum(),
    lambda x: special.erf(x / np.sqrt(2)).mean() * special.gammaln(np.abs(x) + 1).sum(),
    lambda x: special.huber(1.0, x).mean() + special.boxcox1p(np.abs(x), 0.3).std(),
    lambda x: special.ndtr((x - x.mean()) / (x.std() + 1)).mean(),
    relaxed,
    curve,
    # pandas
    lambda x: pd.Series(x),
    lambda x: pd.Series(x * 2),
    lambda x: pd.Series(x).describe(),
    lambda x: pd.Series(np.abs(x)).rolling(5).mean(),
    lambda x: pd.Series(x).rolling(7, center=True).agg(["min", "median", "std"]),
    lambda x: pd.Series(x).ewm(alpha=0.3).mean(),
    lambda x: pd.Series(x - x.mean()).autocorr(2),
    lambda x: pd.Series(x).expanding().max().iloc[-1],
    lambda x: pd.Series(x).rank(method="dense"),
    lambda x: pd.Series(x).value_counts(bins=4),
    lambda x: pd.Series(x).quantile([0.1, 0.9]),
    lambda x: pd.Series(x).diff().abs().sum(),
    lambda x: pd.Series(x).groupby(np.arange(len(x)) % 7).agg(["mean", "count"]),
    lambda x: pd.Series(x).groupby(x > 0).mean(),
    lambda x: pd.Series(x)[x > 0].mean(),
    lambda x: pd.Series(x) + x,
    lambda x: x + pd.Series(np.ones(len(x))),
    lambda x: (x * 2) + pd.Series(np.ones(len(x))),
    lambda x: np.exp(-(pd.Series(x) ** 2)).sum(),
    lambda x: pd.DataFrame({"a": x, "b": x * 2}).corr(),
    lambda x: pd.DataFrame(x.reshape(-1, 3), columns=list("abc")).sum(),
    lambda x: pd.DataFrame({"a": x}).assign(b=lambda d: d.a.clip(-1, 1)).b.mean(),
    lambda x: pd.cut(x, 4).codes,
    lambda x: pd.qcut(np.arange(len(x)) + x * 1e-9, 4, labels=False),
    lambda x: pd.factorize(np.sign(x)),
    lambda x: pd.unique(x),
    lambda x: pd.isna(x).sum() + pd.notna(x * 2).sum(),
    lambda x: pd.to_numeric(x).max(),
    lambda x: pd.Index(x).is_monotonic_increasing,
    lambda x: pd.Series(x).to_list() == x.tolist(),
    lambda x: pd.get_dummies(np.sign(x)).sum().sum(),
    lambda x: pd.Series(x, dtype="float64").interpolate().cumsum(),
    # Numba
    lambda x: largest_step(x),
    lambda x: largest_step(x * 2) + largest_step(x[1:]),
    lambda x: scaled(x),
    lambda x: scaled(x).std() + np.abs(x).mean(),
    lambda x: smooth_step(x, 1.5),
    lambda x: smooth_step(x * 2, x.std() + 1).mean() - x.mean(),
    lambda x: smooth_step(np.abs(x), np.abs(x) + 1).sum(),
    lambda x: folded(x),
    lambda x: folded(x * 2).sum(),
    # NumPy, where it takes more than arrays and numbers.
    lambda x: np.corrcoef(x[1:], x[:-1])[0, 1],
    lambda x: np.cov(np.vstack([x, x**2])),
    lambda x: np.polyfit(np.arange(len(x)), x, 2),
    lambda x: np.polynomial.Polynomial.fit(np.arange(len(x)), x, 3)(GRID),
    lambda x: np.poly1d(x[:4])(GRID),
    lambda x: np.interp(GRID, np.arange(len(x)), x) + np.interp(0.5, x, x),
    lambda x: np.convolve(x, [1, 2, 1], "same") + np.correlate(x, x, "same"),
    lambda x: np.unwrap(np.angle(np.exp(1j * x))),
    lambda x: np.trapezoid(x, dx=0.1) + np.trapezoid(np.abs(x)),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 5).max(axis=1),
    lambda x: np.lib.stride_tricks.sliding_window_view(x * 2, 5).std(axis=1).mean(),
    lambda x: np.lib.stride_tricks.as_strided(x, (4,), (x.strides[0] * 2,)).sum(),
    lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: v**2]),
    lambda x: np.piecewise(x * 1.0, [x < 0], [0, 1]),
    lambda x: np.select([x < -1, x > 1], [x, x**2], 0.5),
    lambda x: np.choose((x > 0).astype(int), [x, x * 2]),
    lambda x: np.digitize(x, [-1, 0, 1]),
    lambda x: np.bincount(np.digitize(x, [-1, 0, 1]), weights=x),
    lambda x: np.apply_along_axis(np.ptp, 0, x.reshape(-1, 3)),
    lambda x: np.apply_along_axis(lambda v: v.mean(), 0, x),
    lambda x: np.vectorize(lambda v: float(v) + 1)(x),
    lambda x: np.frompyfunc(lambda v: v * 2, 1, 1)(x),
    lambda x: np.fromiter((v for v in x if v > 0), float).sum(),
    lambda x: np.histogram(x * 2, bins="fd" if np.ptp(x) == 0 else 6),
    lambda x: np.histogram2d(x[1:], x[:-1], bins=3),
    lambda x: np.histogram_bin_edges(x, "sturges"),
    lambda x: np.quantile(x, [0.25, 0.75], method="weibull"),
    lambda x: np.einsum("i,i->", x, x) + np.einsum("i->", x * 2),
    lambda x: np.tensordot(x, x, 1) + np.vdot(x, x) + np.inner(x, x),
    lambda x: np.linalg.lstsq(np.vander(np.arange(len(x)) / len(x), 3), x)[0],
    lambda x: np.linalg.svd(x.reshape(-1, 3), compute_uv=False),
    lambda x: np.linalg.norm(x.reshape(-1, 3), axis=0) + np.linalg.norm(x, 3),
    lambda x: np.pad(x, 2, mode="reflect") + 0,
    lambda x: np.roll(x, 3) - x,
    lambda x: np.split(x, 3)[1].sum() + np.array_split(x * 2, 4)[0].max(),
    lambda x: np.insert(x, 1, 7)[:3] + np.delete(x, [0, 2])[:3],
    lambda x: np.take(x, [1, 2]) + np.take_along_axis(x, np.argsort(x), 0)[:2],
    lambda x: np.searchsorted(np.sort(x), [0, 1]) + np.sort(x).searchsorted(0.5),
    lambda x: np.isin(x, x[:3]).sum() + np.setdiff1d(x, x[:5]).size,
    lambda x: np.cumsum(x - x.mean()).max() - np.maximum.accumulate(x).sum(),
    lambda x: np.add.reduceat(x, [0, 5, 50]) + np.multiply.outer(x, [1, 2])[:3, 0],
    lambda x: np.logaddexp.reduce(x) + np.hypot.reduce(x * 2),
    lambda x: np.nan_to_num(x, nan=1.0, posinf=2.0).sum(),
    lambda x: np.place(y := x * 1.0, x > 0, [5, 6]) or y,
    lambda x: np.putmask(y := x * 1.0, x > 0, 3) or y,
    lambda x: np.copyto(y := x * 1.0, 3, where=x > 0) or y.sum(),
    lambda x: np.fill_diagonal(y := (x * 1.0).reshape(-1, 3), 0) or y,
    lambda x: np.add.at(y := x * 1.0, [0, 0, 1], 2) or y,
    lambda x: np.random.default_rng(3).permutation(x) + np.random.default_rng(3).choice(x, 150),
    lambda x: np.random.default_rng(3).shuffle(y := x * 1.0) or y,
    lambda x: np.array2string(x[:5] * 2, precision=3) + str(x.dtype),
    lambda x: np.array([x.mean(), x.std(), *x[:2]]),
    lambda x: np.stack([x, x * 2]).sum(axis=0),
    lambda x: np.broadcast_to(x, (3, len(x))).sum() + np.atleast_2d(x).shape[1],
    lambda x: list(zip(*np.broadcast_arrays(x[:3], np.ones(3)))),
    lambda x: [float(v) for v in np.nditer(x[:5])] + [v for _, v in np.ndenumerate(x[:3])],
    lambda x: np.ma.masked_less(x, 0).mean() + np.ma.masked_invalid(x * 2).sum(),
    lambda x: np.ma.masked_outside(x, -1, 1),
    lambda x: np.ma.masked_where(x > 0, x * 2).filled(0),
    lambda x: np.ma.median(np.ma.array(x, mask=x > 1)),
    lambda x: np.rec.fromarrays([x, x * 2], names="a,b").b,
    lambda x: np.asmatrix(x).T.shape,
    lambda x: x.view("V8" if x.itemsize == 8 else "V4")[0].tobytes() + (x + 1).tobytes(),
    lambda x: memoryview(x + 1).nbytes + len(bytes(x)),
    lambda x: sum(x) + sum(x * 2) + max(x) - min(x[1:]),
    lambda x: sorted(x)[:3] + sorted(x * 2, reverse=True)[:3],
    lambda x: statistics.fmean(x) + math.fsum(x * 2),
    lambda x: statistics.median(x),
    lambda x: functools.reduce(lambda a, b: a + abs(b), x, 0.0),
    lambda x: json.dumps([float(x.max()), (x * 2).tolist()[:2]]),
    lambda x: collections.Counter(np.sign(x).tolist()),
    lambda x: (x * 2, [x + 1, {"a": x[x > 0], "b": (x.max(), None)}], x.mean() > 0),
    fixed_lines,
]
"""What nobody can find by looking into modules."""


FAMILIES: dict[str, Callable[[], dict[str, Function]]] = {
    "recipes": lambda: {**recipes.FORTY, **recipes.EIGHT, **recipes.HOLDING, **recipes.FEATURES},
    "tsfel": third_party.tsfel_features,
    "antropy": third_party.antropy_features,
    "scikit-learn": third_party.sklearn_metrics,
    "tsfresh": of_tsfresh,
    "by hand": lambda: {f"{number}": function for number, function in enumerate(BY_HAND)},
    "numpy.ndarray": of_arrays,
    "scipy.stats distributions": of_distributions,
    "numpy": lambda: functions_of(np),
    "numpy.fft": lambda: functions_of(np.fft),
    "numpy.linalg": lambda: functions_of(np.linalg),
    "numpy.ma": lambda: functions_of(np.ma),
    "numpy.emath": lambda: functions_of(np.emath),
    "numpy.testing": lambda: {k: f for k, f in functions_of(np.testing).items() if k.startswith("assert_")},
    "scipy.stats": lambda: functions_of(stats),
    "scipy.stats.mstats": lambda: functions_of(stats.mstats),
    "scipy.special": lambda: functions_of(special),
    "scipy.signal": lambda: functions_of(signal),
    "scipy.ndimage": lambda: functions_of(ndimage),
    "scipy.fft": lambda: functions_of(fft),
    "scipy.integrate": lambda: functions_of(scipy.integrate),
    "scipy.interpolate": lambda: functions_of(scipy.interpolate),
    "scipy.linalg": lambda: functions_of(scipy.linalg),
}


# ---- the runs ----


class Counted:
    """A function that counts how often it is called."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, x: Array) -> Any:
        self.calls += 1
        return self.function(x)


@functools.cache
def functions(family: str) -> dict[str, Function]:
    return FAMILIES[family]()


def differences(x: Array, want: dict[str, Any], chosen: dict[str, Function], workers: int) -> list[str]:
    """Where a run of these functions is not as the plain calls."""
    counted = {key: Counted(function) for key, function in chosen.items()}
    before = x.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = ff.run(x, counted, workers=workers, on_error="return")
        got = {key: spelled_out(value) for key, value in r.items()}
    assert x.tobytes() == before
    found = []
    for key, each in counted.items():
        why = r.report.why.get(key, "")
        again = r.report.how[key] == "plain" and ("with a traced array" in why or "with a plain array too" in why)
        if each.calls != 1 + again:
            found.append(f"{key}: called {each.calls} times")
        try:
            the_same(got[key], want[key], *tolerance(x))
        except Exception as error:
            found.append(f"{key}, {workers} workers, {r.report.how[key]}: {error!r:.600}")
    return found


def tolerance(x: Array) -> tuple[float, float]:
    """Relative and absolute."""
    # NumPy adds float32 up in float32.
    return (1e-4, 1e-4) if x.dtype == np.float32 else (1e-9, 1e-12)


NOT_WITH = {
    ("scipy.ndimage", "integers"): ("find_objects", "value_indices"),
    # These never come to an end at infinity.
    ("scipy.special", "infinite"): ("hyp1f1", "mathieu"),
}
"""Functions, by how their names begin, that an array is nothing for: SciPy itself takes seconds, or for ever."""

WITHOUT = {
    # The orders of polynomials and Bessel functions, which take as many steps.
    ("scipy.special", "integers"),
    ("scipy.stats distributions", "integers"),
    # To compare texts of arrays takes long, and whatever array does for it.
    *(("numpy.testing", name) for name in ARRAYS if name not in ("normal", "NaN")),
}
"""Families that an array is nothing for."""


def every(step: int, start: int, chosen: dict[str, Function]) -> dict[str, Function]:
    return dict(itertools.islice(chosen.items(), start % step, None, step))


@pytest.mark.parametrize(
    ("family", "name"), [each for each in itertools.product(FAMILIES, ARRAYS) if each not in WITHOUT]
)
def test_every_function_gives_what_its_call_gives(family: str, name: str) -> None:
    x, without = ARRAYS[name], NOT_WITH.get((family, name), ("nothing",))
    chosen = {key: function for key, function in functions(family).items() if not key.startswith(without)}
    assert chosen
    want = {key: called(function, x) for key, function in chosen.items()}
    found = differences(x, want, chosen, 1)
    # Hundreds of functions that wait for each other take their time to wake up: one array after the other has its turn
    # to run some of them, and all of a family together if they are as many as a user's.
    number = list(ARRAYS).index(name)
    step = 1 + len(chosen) // 250 * 4
    found += differences(x, want, every(step, number, chosen), 2 + number % 2)
    found += differences(x, want, every(step, number + 1, chosen), 3 - number % 2)
    for workers, (key, function) in zip(itertools.cycle((1, 2, 3)), every(min(step, 3), number, chosen).items()):
        found += [f"alone: {each}" for each in differences(x, want, {key: function}, workers)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_all_features_of_a_series_in_one_function(workers: int) -> None:
    def features(x: Array, out: dict[str, Any]) -> None:
        for key, function in functions("tsfresh").items():
            out[key] = spelled_out(function(x))

    want: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features(NORMAL, want)
        got = ff.run(NORMAL, ["mean", features], workers=workers)
    the_same({key: got[key] for key in want}, want, *tolerance(NORMAL))


@pytest.mark.parametrize(
    ("family", "least"),
    [
        ("tsfresh", 120),
        ("by hand", 70),
        ("numpy", 600),
        ("numpy.ma", 400),
        ("scipy.stats", 120),
        ("scipy.special", 900),
    ],
)
def test_much_of_it_is_fused_at_least_in_parts(family: str, least: int) -> None:
    """If nothing were traced, all of the above would be true."""
    chosen = functions(family)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = ff.run(NORMAL, chosen, workers=1, on_error="return").report.how
    assert sum(each != "plain" for each in how.values()) >= least


# ---- at the size at which functions are traced for a gain ----

SLOW_FEATURES = (
    # They compare every element with every other, or loop over elements in Python.
    "sample_entropy", "approximate_entropy", "lempel_ziv_complexity", "number_cwt_peaks", "query_similarity_count",
    "cwt_coefficients", "augmented_dickey_fuller", "friedrich_coefficients", "max_langevin_fixed_point",
    "benford_correlation", "permutation_entropy", "partial_autocorrelation",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "workers"), [("normal", 1), ("NaN", 2), ("counts", 3)])
def test_features_of_a_long_series(kind: str, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", REAL_SMALLEST)
    x = {
        "normal": lambda: np.random.default_rng(1).standard_normal(LARGE),
        "counts": lambda: np.random.default_rng(2).integers(0, 6, LARGE),
        "NaN": lambda: np.where(np.arange(LARGE) % 1000 == 7, np.nan, np.random.default_rng(3).standard_normal(LARGE)),
    }[kind]()
    chosen = {key: each for key, each in functions("tsfresh").items() if not key.startswith(SLOW_FEATURES)}
    want = {key: called(function, x) for key, function in chosen.items()}
    found = differences(x, want, chosen, workers)
    assert not found, "\n".join(found)
