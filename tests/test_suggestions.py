"""What an unknown name says to do: what people type leads to what they mean, and never to another statistic."""

import numpy as np
import pytest

import fanfold as ff
from fanfold import _core, suggestions

KERNELS = {info.name for info in ff.kernels()}
x = np.arange(1.0, 6.0)


def remedy(name: str) -> str:
    """What the error for a name says after the name."""
    with pytest.raises(ValueError, match="unknown function ") as caught:
        ff.run(x, name)
    assert str(caught.value).startswith(f'unknown function "{name}": ')
    return str(caught.value).removeprefix(f'unknown function "{name}": ')


def kernel(name: str) -> str:
    return f"did you mean '{name}'?"


NOTHING = "fanfold.kernels() lists the names; any other function can be passed as a callable"

MEANT = {
    **dict.fromkeys(("avg", "ave", "np.mean", "Mean", "amean", "arithmetic_mean"), "mean"),
    **dict.fromkeys(("stdev", "stddev", "std_dev", "std dev", "standard deviation", "np.std"), "std"),
    **dict.fromkeys(("size", "len", "length", "np.size"), "count"),
    **dict.fromkeys(("isnull", "isna", "isnan", "null_count", "missing", "nan_count"), "count_nan"),
    **dict.fromkeys(("pearson", "correlation"), "corr"),
    **dict.fromkeys(("rolling_avg", "rolling_meen", "moving_average", "rolling_average"), "rolling_mean"),
    "variance": "var",
    "maximum": "max",
    "hist": "histogram",
    "mad": "median_abs_deviation",
    "idxmax": "argmax",
    "nan_std": "nanstd",
    "nansdt": "nanstd",
    "rolling_variance": "rolling_var",
    "nanvariance": "nanvar",
    "nanproduct": "nanprod",
    "n-unique": "n_unique",
    "scipy.stats.iqr": "iqr",
    "meen": "mean",
    "kurtsis": "kurtosis",
}


@pytest.mark.parametrize("name", MEANT)
def test_another_name_of_a_kernel_leads_to_it(name: str) -> None:
    assert remedy(name) == kernel(MEANT[name])


INSTEAD = {
    "p95": "pass ff.percentile(95)",
    "p5": "pass ff.percentile(5)",
    "p05": "pass ff.percentile(5)",
    "p100": "pass ff.percentile(100)",
    "0.5%": "pass ff.percentile(0.5)",
    "P99.9": "pass ff.percentile(99.9)",
    "25%": "pass ff.percentile(25)",
    "q95": "pass ff.quantile(0.95)",
    "q05": "pass ff.quantile(0.05)",
    "q0.9": "pass ff.quantile(0.9)",
    ".75": "pass ff.quantile(0.75)",
    "q1": "pass ff.quantile(0.25)",
    "quartiles": "pass ff.quantile([0.25, 0.5, 0.75])",
    "spearman": 'pass ff.corr(method="spearman")',
    "quantile(0.1)": "pass ff.quantile(0.1) without the quotes",
    "std(ddof=1)": "pass ff.std(ddof=1) without the quotes",
    "cummean": "pass a function, as in lambda v: np.cumsum(v) / np.arange(1, v.size + 1)",
    "first": "pass a function, as in lambda v: v[0]",
    "describe": "call ff.describe(data)",
    "rolling": "name the statistic, as in ff.rolling_mean(7)",
    "abs": "pass np.abs itself",
    "sqrt": "pass np.sqrt itself",
    "np.log1p": "pass np.log1p itself",
    "nancumsum": "pass np.nancumsum itself",
    "round": "pass np.round itself",
    "nansem": "pass 'sem', and nan_policy='omit'",
    "nanmad": "pass 'median_abs_deviation', and nan_policy='omit'",
    "weighted_mean": "pass 'mean', and weights=",
    "mse": "pass 'rmse', which is its square root",
    "tmean": "pass scipy.stats.tmean itself",
}


@pytest.mark.parametrize("name", INSTEAD)
def test_a_word_for_something_else_leads_to_it(name: str) -> None:
    assert remedy(name) == INSTEAD[name]


@pytest.mark.parametrize(
    "name",
    [
        *("rolling_mad", "rolling_sem", "rolling_cov", "rolling_ptp", "rolling_prod", "cumvar", "argmean", "ewm_max"),
        *("rolling_map", "gzscore", "lmoment", "is_unique", "histogram2d", "modf", "mape", "rmsle", "count_neg"),
    ],
)
def test_no_other_statistic_is_suggested_because_its_letters_are_alike(name: str) -> None:
    assert "did you mean" not in remedy(name)


def test_every_remedy_that_is_code_runs() -> None:
    names = {"ff": ff, "np": np}
    for told in {*suggestions.INSTEAD.values(), *INSTEAD.values()}:
        code = told.removeprefix("pass a function, as in ").removeprefix("pass ").removeprefix("call ")
        if told.startswith("pass ff."):
            made = eval(code.removesuffix(" without the quotes"), names)
            ff.run({"x": x, "y": x} if made.arrays == "two" else x, made)
        elif code.startswith("lambda"):
            assert "f" in ff.run(x, {"f": eval(code, names)})
        elif code.startswith("np."):
            ff.run(x, eval(code.removesuffix(" itself"), names))
        elif code.startswith("'"):
            ff.Kernel(code.split("'")[1])


def test_what_the_lambdas_compute_is_what_their_names_say() -> None:
    y = np.array([-1.0, 0.0, 2.0, 2.0])

    def answer(word: str) -> object:
        return eval(suggestions.INSTEAD[word].partition("as in ")[2], {"np": np})(y)

    np.testing.assert_array_equal(answer("cummean"), [-1.0, -0.5, 1 / 3, 0.75])
    assert answer("cv") == np.std(y) / np.mean(y)
    assert (answer("count_neg"), answer("count_pos"), answer("count_zero")) == (1, 2, 1)
    assert (answer("first"), answer("last"), answer("is_unique")) == (-1.0, 2.0, False)


def test_every_synonym_is_of_a_kernel_and_is_none_itself() -> None:
    assert set(suggestions.SYNONYMS.values()) <= KERNELS
    assert not set(suggestions.SYNONYMS) & KERNELS
    assert not set(suggestions.INSTEAD) & (KERNELS | suggestions.SYNONYMS.keys())


def test_no_synonym_is_listed_that_the_compiled_half_knows() -> None:
    for word, kernel in suggestions.SYNONYMS.items():
        assert kernel not in (_core.synonym(word), _core.nearest(word)), word


def test_every_kernel_means_itself() -> None:
    assert [suggestions.meant(name) for name in sorted(KERNELS)] == sorted(KERNELS)
    assert not any(map(suggestions.instead, KERNELS))


@pytest.mark.parametrize(
    "name", ["", " ", "p", "%", "q", "np.", "_", "__doc__", "typical", "ndarray", "zeros", "load", "arange"]
)
def test_words_without_meaning_lead_to_the_list(name: str) -> None:
    assert remedy(name) == NOTHING


def test_a_long_name_is_not_looked_at() -> None:
    assert remedy("avg" + " " * (suggestions.LONGEST - 3)) == kernel("mean")
    assert remedy("avg" + " " * (suggestions.LONGEST - 2)) == NOTHING


def test_a_kernel_of_an_unknown_name_says_the_same() -> None:
    for name in ("p95", "nansem", "avg", "typical"):
        with pytest.raises(ValueError) as caught:
            ff.Kernel(name)
        assert str(caught.value) == f'unknown function "{name}": {remedy(name)}'


def test_names_in_a_dict_and_in_a_plan_are_told_too() -> None:
    with pytest.raises(ValueError, match=r'unknown function "p95": pass ff\.percentile\(95\)'):
        ff.run(x, {"high": "p95"})
    with pytest.raises(ValueError, match=r'unknown function "p95": pass ff\.percentile\(95\)'):
        ff.plan(["mean", "p95"])
