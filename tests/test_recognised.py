"""SciPy's functions that kernels and formulas answer: SciPy itself is the oracle, of values, types and warnings."""

import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal, stats

import fanfold as ff
from fanfold.checks import locked
from fanfold.tracing import calls
from fanfold.tracing.recognised import ADDRESSES, recognised
from fresh import run_script

with warnings.catch_warnings():
    # Of modules that are missing.
    warnings.simplefilter("ignore")
    from tsfresh.feature_extraction import feature_calculators

Array = npt.NDArray[Any]
Function = Callable[..., Any]

REAL_SMALLEST = calls.SMALLEST
SIZE = 1200
rng = np.random.default_rng(23)
NORMAL = rng.standard_normal(SIZE) * 1.5 + 3
POSITIVE = np.exp(NORMAL / 3)

ORDINARY: dict[str, Array] = {
    "float64": POSITIVE,
    "float32": POSITIVE.astype("f4"),
    "int64": rng.integers(1, 90, SIZE),
    "every second": np.repeat(POSITIVE, 2)[::2],
}
SPECIAL: dict[str, Array] = {
    "of both signs": NORMAL - 3,
    "float32 of both signs": (NORMAL - 3).astype("f4"),
    "int32": rng.integers(-40, 90, SIZE).astype("i4"),
    "int8": rng.integers(-40, 90, SIZE).astype("i1"),
    "uint8": rng.integers(1, 250, SIZE).astype("u1"),
    "uint64": rng.integers(1, 2**63, SIZE).astype("u8"),
    "large int64": rng.integers(-(2**62), 2**62, SIZE) * 2,
    "bool": NORMAL > 3,
    "complex": NORMAL + 1j,
    "with zeros": np.where(NORMAL > 5, 0.0, POSITIVE),
    "with ties": np.round(POSITIVE, 1),
    "with NaN": np.where(NORMAL > 5, np.nan, POSITIVE),
    "float32 with NaN": np.where(NORMAL > 5, np.nan, POSITIVE).astype("f4"),
    "mostly NaN": np.where(NORMAL > 1, np.nan, POSITIVE),
    "all NaN": np.full(SIZE, np.nan),
    "infinite": np.where(NORMAL > 5, np.inf, POSITIVE),
    "infinite with NaN": np.where(NORMAL > 5, np.inf, np.where(NORMAL < 1, np.nan, POSITIVE)),
    "both infinities": np.where(NORMAL > 5, np.inf, np.where(NORMAL < 1, -np.inf, POSITIVE)),
    "constant": np.full(SIZE, 2.5),
    "constant float32": np.full(SIZE, 0.1, "f4"),
    "constant int64": np.full(SIZE, 7),
    "zeros": np.zeros(SIZE),
    "nearly constant": 1e9 + NORMAL * 1e-9,
    "one differs": np.where(np.arange(SIZE) == 7, 2.0, 1.0),
    "far from 0": 1e6 + NORMAL,
    "huge": NORMAL * 1e200,
    "tiny": NORMAL * 1e-200,
    "tiny float32": (NORMAL * 1e-30).astype("f4"),
    "huge float32": (NORMAL * 1e30).astype("f4"),
    "angles": (NORMAL * 1e-9) % 6.28,
    "small": POSITIVE[:49],
    "smallest": POSITIVE[:50],
    "five": POSITIVE[:5],
    "one element": POSITIVE[:1],
    "empty": POSITIVE[:0],
    "empty float32": POSITIVE[:0].astype("f4"),
    "two axes": POSITIVE.reshape(30, 40),
}
ARRAYS = ORDINARY | SPECIAL

CALLS: dict[str, tuple[Function, ...]] = {
    "skew": (stats.skew, partial(stats.skew, bias=False), partial(stats.skew, nan_policy="omit")),
    "kurtosis": (
        stats.kurtosis,
        partial(stats.kurtosis, fisher=False, bias=False),
        partial(stats.kurtosis, axis=None),
        lambda v: stats.kurtosis(v, 0, False),
    ),
    "moment": (
        stats.moment,
        *(partial(stats.moment, order=order) for order in (0, 1, 2, 3, 4, 5, -1, 2.0, [1, 2])),
        partial(stats.moment, order=2, center=1.0),
    ),
    "sem": (stats.sem, partial(stats.sem, ddof=0), partial(stats.sem, nan_policy="raise")),
    "variation": (stats.variation, partial(stats.variation, ddof=1), partial(stats.variation, ddof=1200)),
    "describe": (stats.describe, partial(stats.describe, ddof=0, bias=False), lambda v: stats.describe(v).variance),
    "tmean": (stats.tmean, partial(stats.tmean, limits=(1.5, 4)), partial(stats.tmean, limits=(None, 40.0))),
    "tvar": (
        stats.tvar,
        partial(stats.tvar, limits=(2, 60), inclusive=(False, True)),
        partial(stats.tvar, limits=(1e300, None)),
        partial(stats.tvar, ddof=0),
    ),
    "tstd": (stats.tstd, partial(stats.tstd, limits=(2, 6), inclusive=(False, False)), partial(stats.tstd, ddof=3)),
    "tsem": (stats.tsem, partial(stats.tsem, limits=(None, 6)), partial(stats.tsem, limits=[1, 30], ddof=0)),
    "tmin": (stats.tmin, partial(stats.tmin, lowerlimit=2), partial(stats.tmin, lowerlimit=2, inclusive=False)),
    "tmax": (stats.tmax, partial(stats.tmax, upperlimit=4), partial(stats.tmax, upperlimit=-1e9)),
    "iqr": (
        stats.iqr,
        partial(stats.iqr, rng=(10, 80), scale="normal"),
        partial(stats.iqr, interpolation="higher", scale=2.0),
        partial(stats.iqr, rng=(80, 10)),
        partial(stats.iqr, rng=(10, 200)),
        partial(stats.iqr, scale="odd"),
        partial(stats.iqr, keepdims=True),
    ),
    "median_abs_deviation": (
        stats.median_abs_deviation,
        partial(stats.median_abs_deviation, scale="normal"),
        partial(stats.median_abs_deviation, center=np.mean, scale=2),
        partial(stats.median_abs_deviation, center=np.max),
    ),
    "trim_mean": tuple(partial(stats.trim_mean, proportiontocut=part) for part in (0.0, 0.1, 0.3, 0.5, 0.6)),
    "gmean": (stats.gmean, partial(stats.gmean, dtype=np.float64), partial(stats.gmean, nan_policy="omit")),
    "hmean": (stats.hmean, partial(stats.hmean, axis=None)),
    "pmean": tuple(partial(stats.pmean, p=p) for p in (2, 3.0, -1, 0.5, 0, np.inf, "2")),
    "gstd": (stats.gstd, partial(stats.gstd, ddof=0)),
    "mode": (stats.mode, lambda v: stats.mode(v).count, partial(stats.mode, nan_policy="omit")),
    "entropy": (stats.entropy, partial(stats.entropy, base=2), partial(stats.entropy, base=-1)),
    "differential_entropy": (
        stats.differential_entropy,
        partial(stats.differential_entropy, base=2),
        partial(stats.differential_entropy, method="van es", window_length=20),
        partial(stats.differential_entropy, method="ebrahimi"),
        partial(stats.differential_entropy, window_length=900),
    ),
    "rankdata": (
        stats.rankdata,
        *(partial(stats.rankdata, method=each) for each in ("average", "min", "max", "dense", "ordinal", "odd")),
        partial(stats.rankdata, nan_policy="omit"),
    ),
    "zscore": (stats.zscore, partial(stats.zscore, ddof=1), lambda v: np.mean(np.abs(stats.zscore(v)))),
    "gzscore": (stats.gzscore, partial(stats.gzscore, ddof=1)),
    "cumfreq": (
        stats.cumfreq,
        partial(stats.cumfreq, numbins=25),
        partial(stats.cumfreq, numbins=4, defaultreallimits=(1.5, 20)),
        partial(stats.cumfreq, numbins=1),
    ),
    "relfreq": (stats.relfreq, partial(stats.relfreq, numbins=7), partial(stats.relfreq, defaultreallimits=(2, 1))),
    "scoreatpercentile": (
        *(
            partial(stats.scoreatpercentile, per=per, interpolation_method=method)
            for per in (0, 25, 33.3, 100, 101)
            for method in ("fraction", "lower", "higher")
        ),
        partial(stats.scoreatpercentile, per=[20, 40]),
        partial(stats.scoreatpercentile, per=50, limit=(1, 3)),
    ),
    "kstat": (stats.kstat, *(partial(stats.kstat, n=n) for n in (1, 2, 3, 4, 5))),
    "kstatvar": tuple(partial(stats.kstatvar, n=n) for n in (1, 2, 3)),
    "skewtest": (stats.skewtest, partial(stats.skewtest, alternative="less"), lambda v: stats.skewtest(v).pvalue),
    "kurtosistest": (
        stats.kurtosistest,
        partial(stats.kurtosistest, alternative="greater"),
        partial(stats.kurtosistest, alternative="odd"),
    ),
    "normaltest": (stats.normaltest, lambda v: stats.normaltest(v).pvalue < 0.05),
    "jarque_bera": (stats.jarque_bera, lambda v: tuple(stats.jarque_bera(v))),
    "circmean": (stats.circmean, partial(stats.circmean, high=24, low=0), partial(stats.circmean, high=90, low=-90)),
    "circvar": (stats.circvar, partial(stats.circvar, high=24)),
    "circstd": (stats.circstd, partial(stats.circstd, normalize=True), partial(stats.circstd, high=0)),
    "sigmaclip": (
        stats.sigmaclip,
        partial(stats.sigmaclip, low=2, high=1.5),
        partial(stats.sigmaclip, low=0.001, high=0.001),
        lambda v: stats.sigmaclip(v).clipped.mean(),
    ),
}

NOT_ALL = {
    "float32": {"kstat", "kstatvar", "sigmaclip", "skewtest", "kurtosistest", "normaltest", "cumfreq", "relfreq"},
    "int64": {"kstat", "kstatvar"},
}
"""Which functions are called plainly for ordinary elements of a dtype, where the rule cannot be certain."""


@pytest.fixture(autouse=True)
def short_arrays_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", 1)


def observed(call: Callable[[], Any]) -> tuple[Any, set[tuple[type, str]]]:
    """What a call gives, an exception being an answer too, and what it warns of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            result = error
    return result, {(each.category, str(each.message)) for each in told}


EXACT, SINGLE = {"rtol": 1e-9, "atol": 1e-11}, {"rtol": 2e-4, "atol": 2e-5}
NEAR = {"far from 0": {"rtol": 1e-6, "atol": 1e-8}}
"""How exact SciPy is. Far from 0, its mean is rounded by more than a billionth of the deviations from it."""


def the_same(got: Any, want: Any, near: dict[str, float] = EXACT) -> None:
    assert type(got) is type(want), (got, want)
    if isinstance(want, Exception):
        assert str(got) == str(want)
    elif isinstance(want, tuple):
        assert len(got) == len(want)
        assert getattr(got, "_fields", None) == getattr(want, "_fields", None)
        for ours, theirs in zip(got, want, strict=True):
            the_same(ours, theirs, near)
    elif isinstance(want, np.ndarray | np.generic):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, **near)  # type: ignore[arg-type]
        else:
            np.testing.assert_array_equal(got, want)
    elif isinstance(want, float):
        the_same(np.float64(got), np.float64(want), near)
    else:
        assert got == want


@pytest.mark.parametrize("place", ARRAYS)
@pytest.mark.parametrize("name", CALLS)
def test_a_recognised_function_means_the_same(name: str, place: str) -> None:
    x = ARRAYS[place]
    for function in CALLS[name]:
        want, warned = observed(lambda function=function: function(locked(x)))  # type: ignore[misc]
        got, told = observed(lambda function=function: ff.run(x, {"f": function}, on_error="return")["f"])  # type: ignore[misc]
        the_same(got, want, NEAR.get(place, SINGLE if x.dtype == np.float32 else EXACT))
        assert told == warned, (function, told, warned)


@pytest.mark.parametrize("place", ORDINARY)
@pytest.mark.parametrize("name", CALLS)
def test_ordinary_elements_are_answered_by_kernels(name: str, place: str) -> None:
    for function in CALLS[name][:1]:
        report = ff.run(ARRAYS[place], {"f": function}).report
        if name in NOT_ALL.get(place, ()):
            assert report.how["f"] != "fused"
        else:
            assert (report.how, report.why) == ({"f": "fused"}, {})


@pytest.mark.parametrize("place", ARRAYS)
def test_features_of_tsfresh_mean_the_same(place: str) -> None:
    for function in (feature_calculators.skewness, feature_calculators.kurtosis):
        want, warned = observed(lambda function=function: function(locked(ARRAYS[place])))  # type: ignore[misc]
        run, told = observed(lambda function=function: ff.run(ARRAYS[place], {"f": function}, on_error="return"))  # type: ignore[misc]
        the_same(run["f"], want, NEAR.get(place, SINGLE if ARRAYS[place].dtype == np.float32 else EXACT))
        assert told == warned
        assert run.report.how["f"] == "fused" or place not in ORDINARY


@pytest.mark.parametrize("place", ARRAYS)
def test_the_share_of_repeated_elements_is_what_pandas_counts(place: str) -> None:
    function = feature_calculators.percentage_of_reoccurring_datapoints_to_all_datapoints
    own = ARRAYS[place]
    for x in (own, np.round(own, 1) if own.dtype.kind == "f" else own[::2]):
        want, warned = observed(lambda x=x: function(locked(x)))  # type: ignore[misc]
        run, told = observed(lambda x=x: ff.run(x, {"f": function}, on_error="return"))  # type: ignore[misc]
        the_same(run["f"], want, EXACT)
        assert told == warned
        assert run.report.how["f"] == "fused" or place not in ORDINARY or x.dtype.kind != "f"


SPECTRA: dict[str, tuple[dict[str, Any], str]] = {
    "as it is": ({}, "fused"),
    "odd segments": ({"nperseg": 255}, "fused"),
    "of two elements": ({"nperseg": 2}, "fused"),
    "a spectrum": ({"nperseg": 64, "scaling": "spectrum", "fs": 10}, "fused"),
    "all elements": ({"nperseg": 300}, "fused"),
    "too long": ({"nperseg": 100_000}, "plain"),
    "another window": ({"window": "boxcar"}, "plain"),
    "by the median": ({"average": "median"}, "plain"),
    "another overlap": ({"nperseg": 64, "noverlap": 10}, "plain"),
    "a wrong scaling": ({"scaling": "loudness"}, "plain"),
    "no segments": ({"nperseg": 0}, "plain"),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_are_those_of_scipy(name: str) -> None:
    options, how = SPECTRA[name]
    welch = partial(signal.welch, **options)
    special = rng.standard_normal(1000)
    special[100] = np.inf
    wide = rng.standard_normal(2000)
    arrays = [wide[:300], wide[::3], wide.astype("f4"), np.arange(1000), wide.reshape(20, 100), special, np.ones(1000)]
    for number, x in enumerate(arrays):
        want, warned = observed(lambda x=x: welch(locked(x)))  # type: ignore[misc]
        run, told = observed(lambda x=x: ff.run(x, {"f": welch, "g": lambda v: welch(v)}, on_error="return"))  # type: ignore[misc]
        for key in ("f", "g"):
            got = run[key]
            if isinstance(want, Exception):
                assert (type(got), str(got)) == (type(want), str(want))
                continue
            for ours, theirs in zip(got, want, strict=True):
                assert (type(ours), ours.dtype, ours.shape) == (type(theirs), theirs.dtype, theirs.shape)
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)
        assert told == warned
        if number < 2:
            assert run.report.how["f"] == how


def test_all_of_them_at_once_over_a_large_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", REAL_SMALLEST)
    x = np.exp(rng.standard_normal(REAL_SMALLEST + 1) / 3)
    functions = {name: own[0] for name, own in CALLS.items()}
    # While SciPy tells the dtypes of its results, which it does once, some functions change the filters of warnings.
    ff.run(x, functions, workers=1)
    run = ff.run(x, functions, workers=2)
    assert set(run.report.how.values()) == {"fused"}
    for name, function in functions.items():
        the_same(run[name], function(x))


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("state", ["ignore", "raise"])
@pytest.mark.parametrize("place", ["float64", "of both signs"])
@pytest.mark.parametrize("name", CALLS)
def test_functions_can_change_filters_and_the_error_state(name: str, place: str, state: Any, action: Any) -> None:
    for function in CALLS[name]:

        def inside(v: Array, function: Function = function) -> Any:
            with warnings.catch_warnings(), np.errstate(all=state):
                warnings.simplefilter(action)
                return function(v)

        want, _ = observed(lambda inside=inside: inside(locked(ARRAYS[place])))  # type: ignore[misc]
        got, told = observed(lambda inside=inside: ff.run(ARRAYS[place], {"f": inside}, on_error="return")["f"])  # type: ignore[misc]
        the_same(got, want)
        assert not told


def test_every_rule_of_scipy_is_tested() -> None:
    assert {name for module, name in ADDRESSES if module == "scipy.stats"} == CALLS.keys()


def test_the_documentation_lists_them() -> None:
    text = (Path(__file__).parents[1] / "docs" / "functions.md").read_text()
    section = text.partition("## SciPy's functions")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(CALLS)


def test_selections_are_answered() -> None:
    def parts(v: Array) -> Any:
        high = v[v > 2.5]
        return stats.skew(high), stats.sem(high), stats.gmean(high), stats.describe(high), stats.jarque_bera(high)

    got = ff.run(POSITIVE, {"f": parts})
    assert (got.report.how, got.report.why) == ({"f": "fused"}, {})
    the_same(got["f"], parts(POSITIVE))


def test_a_selection_of_too_few_is_left_to_scipy() -> None:
    def few(v: Array) -> Any:
        return stats.skew(v[v > 1e9])

    want, warned = observed(lambda: few(POSITIVE))
    got, told = observed(lambda: ff.run(POSITIVE, {"f": few})["f"])
    the_same(got, want)
    assert told == warned
    assert len(told) == 1


def test_the_report_says_what_was_doubtful() -> None:
    with pytest.warns(RuntimeWarning, match="invalid value encountered in log"):
        report = ff.run(NORMAL - 3, {"f": stats.gmean, "g": stats.kurtosis}).report
    assert report.how == {"f": "plain", "g": "fused"}
    assert report.why == {"f": "elements are negative"}


def test_results_can_be_computed_with() -> None:
    def score(v: Array) -> Any:
        tested = stats.skewtest(v)
        return tested.statistic * 2 + stats.iqr(v), (v - stats.tmean(v)) / stats.tstd(v), float(tested.pvalue)

    got = ff.run(POSITIVE, {"f": score})
    the_same(got["f"], score(POSITIVE))
    assert got.report.why == {}


def test_another_function_in_the_place_of_scipys_is_not_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stats.skew
    monkeypatch.setattr(stats, "skew", lambda v: ("mine", v.sum()))
    got = ff.run(POSITIVE, {"f": lambda v: stats.skew(v), "g": real})
    assert got["f"][0] == "mine"
    the_same(got["g"], real(POSITIVE))
    assert recognised(stats.skew) is None


def test_functions_share_the_passes_of_kernels() -> None:
    functions = {"skew": stats.skew, "kurtosis": stats.kurtosis, "sem": stats.sem, "describe": stats.describe}
    assert ff.run(POSITIVE, {"mean": "mean", "max": "max", **functions}).report.passes == 1


def test_scipy_is_not_imported() -> None:
    script = """
    x = np.arange(200_000.0)
    ff.run(x, [lambda v: np.asarray(v).mean(), np.std])
    print("scipy" in sys.modules)
    from scipy import stats
    r = ff.run(x, {"f": stats.skew})
    print(r.report.how["f"])
    """
    assert run_script(script).split() == ["False", "fused"]


def test_other_releases_of_scipy_are_called_plainly() -> None:
    script = """
    import scipy
    scipy.__version__ = "1.99.0"
    from scipy import stats
    r = ff.run(np.arange(200_000.0), {"f": stats.sem})
    print(r.report.how["f"])
    """
    assert run_script(script) == "plain"
