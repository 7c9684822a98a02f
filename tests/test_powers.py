"""Integer powers: at least as near the exact power as NumPy's, used below sums only."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
from fanfold import _core

Array = npt.NDArray[Any]

RNG = np.random.default_rng(11)
X = RNG.standard_normal(200_000)


def raised(x: Array, exponent: int) -> tuple[Array, int]:
    """The core's powers, and the floating-point exceptions."""
    session = _core.Session(x)
    node = session.power(0, exponent)
    found = np.empty_like(x)
    session.store(1, node, found)
    _, flags, *_ = session.sweep(1, None)
    return found, dict(flags).get(node, 0)


@pytest.mark.parametrize("exponent", range(2, 9))
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_power_is_at_least_as_near_as_numpys(exponent: int, dtype: str) -> None:
    x = np.concatenate([RNG.standard_normal(400), RNG.lognormal(0, 4, 400), 10.0 ** RNG.uniform(-30, 30, 400)])
    x = x.astype(dtype)
    with np.errstate(all="ignore"):
        own = np.power(x, x.dtype.type(exponent))
    found, _ = raised(x, exponent)
    near = np.isfinite(own) & (np.abs(own) > np.finfo(dtype).tiny)
    assert near.sum() > 300
    for value, mine, theirs in zip(x[near], found[near], own[near], strict=True):
        exact = Fraction(float(value)) ** exponent
        assert abs(Fraction(float(mine)) - exact) <= abs(Fraction(float(theirs)) - exact)
    # Where a power leaves the range of normal numbers, it is NumPy's but for the last place.
    np.testing.assert_array_max_ulp(found[~near], own[~near], 1)


@given(st.floats(allow_nan=True, width=64), st.integers(2, 8))
@settings(max_examples=500, deadline=None)
def test_any_float(x: float, exponent: int) -> None:
    with np.errstate(all="ignore"):
        own = np.power(np.array([x]), exponent)
    found, flags = raised(np.array([x]), exponent)
    np.testing.assert_array_max_ulp(found, own, 1)
    assert np.isnan(x) or np.signbit(found[0]) == np.signbit(own[0])
    assert bool(flags & 4) == (np.isinf(found[0]) and np.isfinite(x))


FUNCTIONS: dict[str, Callable[[Array], Any]] = {
    "cube": lambda v: (v**3).sum(),
    "kurtosis": lambda v: np.mean((v - v.mean()) ** 4) / np.mean((v - v.mean()) ** 2) ** 2,
    "power": lambda v: np.power(np.abs(v), 3).mean() + np.power(v, 2).std(),
    "float exponent": lambda v: (v**3.0).mean(),
    "selected": lambda v: np.var(v[v > 0] ** 5),
    "of a sum": lambda v: np.sqrt(np.sum((v**3 + 2 * v**4 + 9) / (1 + v**6))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_sums_of_powers(name: str, dtype: str) -> None:
    x = (X * 10).astype(dtype)
    r = ff.run(x, FUNCTIONS[name])
    (got,) = r.values()
    want = FUNCTIONS[name](x)
    np.testing.assert_allclose(got, want, rtol=2e-3 if dtype == "f4" else 1e-11)
    assert type(got) is type(want)
    assert set(r.report.how.values()) == {"fused"}


def test_sums_use_the_loop_and_elements_are_numpys() -> None:
    explained = ff.plan({"f": lambda v: (v**3).mean() + (v**3).max() + (v**3 > 2).sum()}, like=X).explain()
    assert "mean of power(x, 3)" in explained and "max of power(x, 3.0)" in explained
    r = ff.run(X, {"sum": lambda v: (v**3).sum(), "elements": lambda v: v**3, "largest": lambda v: (v**3).max()})
    np.testing.assert_array_equal(r["elements"], X**3)
    assert r["largest"] == (X**3).max()


def test_warnings_are_those_of_pow() -> None:
    x = np.concatenate([X, [1e200]])
    with pytest.warns(RuntimeWarning, match="overflow encountered in power"):
        r = ff.run(x, {"f": lambda v: np.mean(v**3)})
    assert r["f"] == np.inf
    with np.errstate(over="ignore"):
        assert ff.run(x, {"f": lambda v: np.mean(v**3)})["f"] == np.inf


def test_rows() -> None:
    rows = X.reshape(2000, 100)
    r = ff.run(rows, {"f": lambda v: np.mean((v - v.mean()) ** 3)}, axis=1)
    np.testing.assert_allclose(r["f"], [np.mean((v - v.mean()) ** 3) for v in rows], rtol=1e-9, atol=1e-12)
    assert r.report.how == {"f": "fused"}
