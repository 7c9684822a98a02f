"""Histograms whose number of bins is left to a rule: NumPy's counts and edges, whatever the data."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff

Array = npt.NDArray[Any]

RULES = ["auto", "doane", "fd", "rice", "scott", "sqrt", "sturges"]

each_rule = pytest.mark.parametrize("rule", RULES)

rng = np.random.default_rng(11)


def assert_is_numpys(x: Array, nan_policy: str = "propagate", **parameters: Any) -> None:
    elements = x[~np.isnan(x)] if nan_policy == "omit" else x
    with np.errstate(all="ignore"):
        counts, edges = np.histogram(elements, **parameters)
    for workers in (1, 2):
        r = ff.run(x, ff.histogram(**parameters), nan_policy=nan_policy, workers=workers)["histogram"]
        assert r.counts.dtype == counts.dtype
        assert r.edges.dtype == edges.dtype
        assert np.array_equal(r.counts, counts, equal_nan=True)
        assert np.array_equal(r.edges, edges)


@each_rule
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7, 8, 27, 64, 1000, 4096, 40_001, 200_000])
def test_floats(rule: str, n: int) -> None:
    normal = rng.standard_normal(n)
    for x in (normal, 1e6 + normal, rng.exponential(3, n), rng.random(n) - 7, np.sign(normal) * 2.5, np.full(n, 3.0)):
        assert_is_numpys(x, bins=rule)
        assert_is_numpys(x, bins=rule, density=True)


@each_rule
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("spread", [1, 2, 100, 20_000])
def test_integers_have_no_bins_narrower_than_one(rule: str, dtype: str, spread: int) -> None:
    info = np.iinfo(dtype)
    # Differences fit the dtype: where they do not, NumPy's quartiles are wrong.
    for n in (3, 100, 30_000):
        x = rng.integers(max(info.min // 2, -spread), min(info.max // 2, spread), n, endpoint=True).astype(dtype)
        assert_is_numpys(x, bins=rule)
        assert_is_numpys(x, bins=rule, range=(-1, 5.5))


@each_rule
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_narrow_floats(rule: str, dtype: str) -> None:
    for n in (5, 300, 20_000):
        x = rng.standard_normal(n).astype(dtype)
        try:
            assert_is_numpys(x, bins=rule)
            assert_is_numpys(x, bins=rule, range=(-1, 0.7), density=True)
        except AssertionError:
            # NumPy's moments of float16 are rounded, and so may be the number of bins.
            if (rule, dtype) not in {("doane", "f2"), ("scott", "f2")}:
                raise


@each_rule
def test_a_range_leaves_out_what_is_outside(rule: str) -> None:
    x = np.append(rng.standard_normal(50_000), [np.inf, -np.inf, np.nan, 1e300, 1.0, -0.5])
    for ends in [(-0.5, 1.0), (-10, 10), (0.3, 0.3), (1e3, 2e3), (1, 1)]:
        assert_is_numpys(x, bins=rule, range=ends)
        assert_is_numpys(x, "omit", bins=rule, range=ends)
        assert_is_numpys(np.round(x[:-4], 1), bins=rule, range=ends)


@each_rule
def test_nan_leaves_no_range(rule: str) -> None:
    x = np.append(rng.standard_normal(30_000), np.nan)
    for bad in (x, np.append(x[:-1], np.inf), x[-1:]):
        with pytest.raises(ValueError, match=r"range .* is not finite: pass range="):
            ff.run(bad, ff.histogram(rule))
    assert_is_numpys(x, "omit", bins=rule)


def test_the_number_of_bins_has_a_limit() -> None:
    x = np.append(rng.standard_normal(1000), 1e12)
    with pytest.raises(ValueError, match=r"'histogram': bins must be an integer or edges .*, not 'fd'"):
        ff.run(x, ff.histogram("fd"))
    with pytest.raises(ValueError, match="not 'auto'"):
        ff.run(np.array([-1.7e308, 0, 1.7e308]), ff.histogram("auto"))


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'auto', 'doane', 'fd', 'rice', 'scott', 'sqrt' or 'sturges', not 'stone'"):
        ff.histogram("stone")


@pytest.mark.parametrize(("rule", "passes"), [("sqrt", 2), ("scott", 2), ("doane", 2), ("fd", 3), ("auto", 3)])
def test_a_rule_takes_a_pass_or_two(rule: str, passes: int) -> None:
    x = rng.standard_normal(50_000)
    assert ff.run(x, [ff.histogram(rule), "mean", "median"]).report.passes == passes


@pytest.mark.parametrize("edges", [[0, 1, 3], [-1.0, 0.25, 4.0], np.array([0, 0.5, 2], "f4"), [0.0, 0.0, 1.0]])
def test_a_density_over_edges(edges: Any) -> None:
    assert_is_numpys(rng.standard_normal(10_000), bins=edges, density=True)
    assert_is_numpys(np.array([100.0]), bins=edges, density=True)
