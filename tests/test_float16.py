"""float16 in traced functions: elements, dtypes and warnings are those of the plain call, to the last bit."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import fanfold as ff
from fanfold.checks import locked
from fanfold.tracing import calls, ufuncs
from fanfold.tracing.arrays import takes

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

HALVES = locked(np.tile(np.arange(1 << 16, dtype=np.uint16).view(np.float16), 3))
"""All of them, and in an array that is large enough to be traced."""

_BITS = HALVES.view(np.uint16)
TAME = locked(np.where(((_BITS & 0x7E00) == 0x7C00) & ((_BITS & 0x03FF) != 0), np.float16(np.nan), HALVES))
"""The same without signalling NaN, of which conversions to other floats tell or not."""

RNG = np.random.default_rng(16)
NORMAL = locked(RNG.standard_normal(200_000).astype(np.float16))

UFUNCS = [each for each in vars(np).values() if type(each) is np.ufunc and each.nout == 1 and each.signature is None]


def takes_half(ufunc: np.ufunc) -> bool:
    """Whether a loop takes operands of float16 as they are."""
    try:
        dtypes = ufunc.resolve_dtypes((np.dtype(np.float16),) * ufunc.nin + (None,))
    except TypeError:
        return False
    return all(takes(dtype) for dtype in dtypes)


UNARY = {each.__name__: each for each in UFUNCS if each.nin == 1 and takes_half(each)}
BINARY = {each.__name__: each for each in UFUNCS if each.nin == 2 and takes_half(each)}


def outcome(call: Callable[[], Any]) -> tuple[Any, set[str]]:
    """What a call gives or raises, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
        except Exception as error:
            found = error
    return found, {str(each.message) for each in caught}


def assert_bits(got: Any, want: Any) -> None:
    """The same types and shapes, and the same bits; but any NaN is as good as another."""
    if isinstance(want, tuple):
        assert len(got) == len(want)
        for ours, theirs in zip(got, want, strict=True):
            assert_bits(ours, theirs)
    elif isinstance(want, Exception):
        assert (type(got), str(got)) == (type(want), str(want))
    elif isinstance(want, np.ndarray | np.generic):
        assert type(got) is type(want)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_array_equal(got, want)
        if want.dtype.kind == "f":
            there = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got)[there], np.signbit(want)[there])
    else:
        assert got == want


def assert_alike(x: Array, *functions: Function, how: str | None = "fused") -> None:
    """Runs give what plain calls give, and warn of the same, whatever the function wants to be told."""
    for function in functions:
        for state in ({}, {"all": "warn"}, {"all": "ignore"}, {"all": "raise"}):

            def told(v: Array, function: Function = function, state: Any = state) -> Any:
                with np.errstate(**state):
                    return function(v)

            want, texts = outcome(lambda told=told: told(x))
            result, own = outcome(lambda told=told: ff.run(x, {"f": told}, workers=2, on_error="return"))
            assert_bits(result["f"], want)
            assert own == texts, (own, texts)
            if how is not None and state != {"all": "raise"}:
                assert result.report.how == {"f": how}, result.report.why


# ---- ufuncs ----


@pytest.mark.parametrize("name", UNARY)
def test_a_ufunc_of_every_half(name: str) -> None:
    ufunc = UNARY[name]
    assert_alike(HALVES, lambda v: ufunc(v))


@pytest.mark.parametrize("name", BINARY)
def test_a_ufunc_of_pairs(name: str) -> None:
    ufunc, x = BINARY[name], TAME if name == "float_power" else HALVES
    other = locked(RNG.permutation(x))
    some = np.array([0.0, -0.0, 1, -1, 0.5, 2, 65504, 6e-8, 6.1e-5, np.inf, -np.inf, np.nan], np.float16)
    data = {"x": x, "y": other}
    want, texts = outcome(lambda: ufunc(x, other))
    result, own = outcome(lambda: ff.run(data, lambda x, y: ufunc(x, y), workers=2))
    assert_bits(result["<lambda>"], want)
    assert (own, result.report.how) == (texts, {"<lambda>": "fused"})
    # One operand for all, and one that is repeated.
    for number in some:
        assert_alike_once(x, lambda v, number=number: (ufunc(v, number), ufunc(number, v)))
    assert_alike_once(other[: 11_000 * 12].reshape(-1, 12), lambda v: (ufunc(v, some), ufunc(v[0], v)))


def assert_alike_once(x: Array, function: Function) -> None:
    want, texts = outcome(lambda: function(x))
    result, own = outcome(lambda: ff.run(x, {"f": function}, workers=2, on_error="return"))
    assert_bits(result["f"], want)
    assert own == texts


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(BINARY)), st.integers(0, 2**32), st.integers(1, 5000), st.sampled_from(["x", "s", "b"]))
def test_a_ufunc_of_any_lengths(name: str, seed: int, size: int, other: str) -> None:
    # Loops of float16 get parts of blocks.
    ufunc, rng = BINARY[name], np.random.default_rng(seed)
    x, y = (rng.choice(TAME if name == "float_power" else HALVES, size) for _ in range(2))
    operand: Any = {"x": x[::-1], "s": y[0], "b": rng.random(size) > 0.5}[other]
    if other == "b" and not np.can_cast(np.bool_, ufunc.resolve_dtypes((x.dtype, np.dtype(bool), None))[1]):
        operand = y[-1]
    before, calls.SMALLEST = calls.SMALLEST, 1
    try:
        assert_alike_once(locked(x), lambda v: ufunc(v, v[::-1] if other == "x" else operand))
        assert_alike_once(locked(x), lambda v: ufunc(v[:7], np.sqrt(np.abs(v[:7]))))
    finally:
        calls.SMALLEST = before


@pytest.mark.parametrize("name", ["arctan2", "power", "add", "maximum", "less", "copysign", "fmod", "logaddexp"])
def test_operands_of_any_layout(name: str) -> None:
    ufunc = BINARY[name]
    table = locked(RNG.permutation(HALVES)[:180_000].reshape(400, 450))
    for x in (table, np.asfortranarray(table), table[::-1, ::-1], table.T, table.astype(">f2").astype("f2").T[:, ::-1]):
        assert_alike_once(locked(x), lambda v: (ufunc(v, v[::-1]), ufunc(v[:, ::-1], v), ufunc(v, v[0])))
        assert_alike_once(locked(x), lambda v: (ufunc(v[:, :1], v), ufunc(v * 2, v[::-1] + 1)))
    wide = locked(np.repeat(HALVES, 2))
    assert_alike_once(wide, lambda v: (ufunc(v[::2], v[1::2]), ufunc(v[::-2], v[::2])))


def test_loops_that_round_are_those_of_float16() -> None:
    # Otherwise the tests above would see the same loop twice.
    assert ufuncs._BY_FLOAT32 <= set(UNARY.values()) | set(BINARY.values())


@pytest.mark.parametrize(
    "function",
    [
        *(lambda v, p=p: v**p for p in (2, 2.0, 0.5, -1, -1.0, 1, 0, 3, 4.0, -2, 1.5, 1e5, np.nan)),
        *(lambda v, p=p: np.power(v, p) for p in (2, 2.0, 0.5, -1, 3, np.float16(2), np.int8(2))),
        lambda v: 2**v,
        lambda v: 2.5**v,
    ],
)
def test_powers(function: Function) -> None:
    assert_alike(HALVES, function)


def test_pythons_numbers_are_float16() -> None:
    assert_alike(
        HALVES,
        *(lambda v, c=c: (v + c, c - v, v * c, c / v, v < c) for c in (1, 0.1, -3, 2049, 65504, 1e-8, True, np.inf)),
    )
    # NumPy warns when it converts these.
    assert_alike(HALVES, lambda v: v * 100_000, lambda v: v < 1e5, lambda v: np.where(v > 0, v, 7e4), how=None)


def test_each_function_is_warned_of_a_number_that_is_none_of_float16() -> None:
    def silent(v: Array) -> Any:
        with np.errstate(all="ignore"):
            return (v * 1e5).argmax()

    def warned(v: Array) -> Any:
        return (v * 1e5).argmin()

    result, own = outcome(lambda: ff.run(NORMAL, [silent, warned], workers=1))
    assert own == outcome(lambda: warned(NORMAL))[1] == {"overflow encountered in cast"}
    assert set(result.report.how.values()) == {"fused"}


def test_other_dtypes_are_promoted_as_numpys() -> None:
    operands = (
        *(np.int8(3), np.uint8(200), np.int16(300), np.int32(-7), np.int64(9), np.uint64(9), np.bool_(True)),
        *(np.float16(0.1), np.float32(0.1), np.float64(0.1), np.complex64(1j), 1j, np.array(2.5), np.array(3)),
    )
    for other in operands:
        assert_alike_once(TAME, lambda v, other=other: (v * other, other - v, v == other, np.hypot(v, v) + other))
    mixed = {dtype: np.arange(TAME.size).astype(dtype) for dtype in "bBhHiIlLfdFD?"}
    for dtype, y in mixed.items():
        want, texts = outcome(lambda y=y: (TAME * y, TAME >= y))
        result, own = outcome(lambda y=y: ff.run({"x": TAME, "y": y}, {"f": lambda x, y: (x * y, x >= y)}))
        assert_bits(result["f"], want)
        assert own == texts, dtype


def test_loops_of_others() -> None:
    # SciPy has none of float16: these are of float32.
    assert_alike(NORMAL, special.expit, lambda v: special.erf(v) * v, lambda v: np.ldexp(v, 3))


# ---- conversions ----


@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "l", "L", "f", "d"])
def test_conversions_to_float16(dtype: str) -> None:
    if dtype in "fd":
        # Between halves, exactly and nearly: a second rounding would be seen.
        with np.errstate(all="ignore"):
            near = np.unique(TAME[np.isfinite(TAME)]).astype(dtype)
            middle = near[:-1] / 2 + near[1:] / 2
            x = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), TAME])
            ends = np.array([65519.99, 65520, 7e4, 1e-8, 2.0**-25, np.finfo(dtype).max, np.finfo(dtype).tiny], dtype)
            x = np.concatenate([x.astype(dtype), ends, -ends])
    elif dtype == "?":
        x = TAME > 1
    else:
        limits = np.iinfo(dtype)
        x = np.concatenate(
            [
                RNG.integers(limits.min, limits.max, 150_000, dtype, endpoint=True),
                (2.0 ** RNG.uniform(0, min(np.log2(float(limits.max)), 62), 50_000)).astype(dtype),
            ]
        )
    assert_alike(locked(x), lambda v: v.astype(np.float16), lambda v: v[::-1].astype("f2") * np.float16(1))
    if dtype in "fd":
        tame = locked(x[np.abs(x) < 6e4])
        assert_alike(tame, lambda v: (v * 1).astype(np.float16))


@pytest.mark.parametrize("dtype", ["?", "i", "l", "f", "d", "F", "D", "e"])
def test_conversions_from_float16(dtype: str) -> None:
    assert_alike(TAME, lambda v: (v * 1).astype(dtype), lambda v: v.astype(dtype) + v, how=None)


def test_a_conversion_to_float32_does_not_warn_of_what_was_before() -> None:
    large = locked(np.full(200_000, 60_000, np.float16))
    for x in (large, TAME):
        assert_alike(x, lambda v: (v * 2).astype(np.float32).max(), lambda v: ((v / 3).astype("f4") * 3).min())


# ---- everything else ----


@pytest.mark.parametrize(
    "function",
    [
        lambda v: np.where(v > 0, v, -v * 2),
        lambda v: np.where(v > 0, v, 0.1),
        lambda v: v[v > 0.5],
        lambda v: v[~np.isnan(v)] * 3,
        lambda v: np.clip(v, -1, 1),
        lambda v: v.clip(0.1),
        lambda v: np.nan_to_num(v),
        lambda v: np.diff(v),
        lambda v: v[1:] * v[:-1],
        lambda v: np.round(v, 2),
        lambda v: np.round(v),
        lambda v: np.isclose(v, 1.0),
        lambda v: np.isclose(v, v * np.float16(1.001)),
        lambda v: (v.max(), v.min(), v.argmax(), v.argmin()),
        lambda v: (np.nanmax(v), np.nanmin(v), np.nanargmax(v)),
        lambda v: (v > 0).sum() + np.count_nonzero(v),
        lambda v: (v.any(), np.all(v)),
        lambda v: v - v.max(),
        lambda v: v * v.min() + np.median(v),
        lambda v: (np.median(v), np.nanmedian(v)),
        lambda v: (np.quantile(v, 0.3), np.percentile(v, 95), np.percentile(v, 30, method="lower")),
        lambda v: np.quantile(v, [0.1, 0.9]),
        lambda v: np.digitize(v, [-1, 0, 0.3]),
        lambda v: np.concatenate([v[5:], v[:5]]) + 1,
    ],
)
def test_what_is_exact(function: Function) -> None:
    finite = TAME[np.isfinite(TAME)]
    for x in (TAME, finite, NORMAL):
        assert_alike_once(locked(x), function)
    how = ff.run(NORMAL, {"f": function}).report
    assert how.how == {"f": "fused"}, how.why


@pytest.mark.filterwarnings("ignore")
def test_sums_and_means_are_numpys_but_for_a_rounding() -> None:
    functions: dict[str, Function] = {
        "mean": lambda v: v.mean(),
        "sum": lambda v: np.abs(v / 16).sum(),
        "nansum": lambda v: np.nansum(v),
        "mean of a formula": lambda v: np.mean(np.sqrt(np.abs(v)) * v),
        "along": lambda v: v.reshape(400, -1).mean(axis=0),
        "average": lambda v: np.average(v),
        "selected": lambda v: v[v > 0].mean(),
    }
    r = ff.run(NORMAL, functions, workers=2)
    assert set(r.report.how.values()) == {"fused"}, r.report.why
    for name, function in functions.items():
        want = function(NORMAL)
        assert (type(r[name]), r[name].dtype) == (type(want), want.dtype), name
        np.testing.assert_allclose(r[name].astype(float), want.astype(float), rtol=1e-3, atol=2e-3, err_msg=name)


@pytest.mark.parametrize(
    "function",
    [
        # NumPy adds them up in float16.
        lambda v: v.std(),
        lambda v: np.var(v, ddof=1),
        lambda v: np.nanmean(v),
        lambda v: np.quantile(v, np.float64(0.3)),
        lambda v: np.nanstd(v),
        lambda v: np.linalg.norm(v),
        lambda v: np.dot(v, v),
        lambda v: v @ v,
        lambda v: np.average(v, weights=np.abs(v)),
        lambda v: v.reshape(-1, 4).sum(axis=0),
        lambda v: v.reshape(-1, 4)[:, :3].sum(),
        lambda v: v.reshape(-1, 4).prod(axis=1),
        lambda v: np.cumsum(v),
        lambda v: np.sort(v)[:100],
        lambda v: special.expit(v).std(),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_numpy_rounds_on_the_way_is_left_to_it(function: Function) -> None:
    got = ff.run(NORMAL, {"f": function}, on_error="return")["f"]
    want = function(NORMAL)
    if want.dtype == np.float16:
        assert_bits(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_rows() -> None:
    x = locked(RNG.standard_normal((3000, 70)).astype(np.float16))

    def shifted(v: Array) -> Any:
        return (v - v.max()) * v.min()

    def numbers(v: Array) -> Any:
        return v.max() - v[0] * v[-1], np.median(np.exp(v)), np.arctan2(v[1], v[2]), np.mean(v > v[3])

    def added(v: Array) -> Any:
        return v.sum(), np.mean(v * v)

    r = ff.run(x, [shifted, numbers, added], axis=1, workers=2)
    assert set(r.report.how.values()) == {"fused"}
    for function in (shifted, numbers):
        assert_bits(r[function.__name__], np.apply_along_axis(function, 1, x))
    want = np.apply_along_axis(added, 1, x)
    assert r["added"].dtype == want.dtype
    np.testing.assert_allclose(r["added"], want, rtol=2e-3, atol=1e-2)
    # Some rows overflow, and NumPy warns of them.
    large = locked((x.astype(float) * 300).astype(np.float16))
    square: Function = lambda v: v * v  # noqa: E731
    want, texts = outcome(lambda: np.apply_along_axis(square, 1, large))
    result, own = outcome(lambda: ff.run(large, {"f": square}, axis=1))
    assert_bits(result["f"], want)
    assert own == texts == {"overflow encountered in multiply"}


def test_columns_and_kernels_beside_functions() -> None:
    data = {"a": NORMAL.astype(float), "b": NORMAL}
    r = ff.run(data, ["mean", "max", lambda a, b: (a * b).max()], workers=2)
    assert [each.dtype.char for each in (r["mean"]["b"], r["max"]["b"], r["max"]["a"])] == ["e", "e", "d"]
    assert r["max"]["b"] == NORMAL.max()


@pytest.mark.filterwarnings("ignore")
def test_scipys_functions_of_float16_are_its_own() -> None:
    from scipy import stats

    r = ff.run(NORMAL, {"skew": lambda v: stats.skew(v), "kurtosis": stats.kurtosis})
    assert_bits((r["skew"], r["kurtosis"]), (stats.skew(NORMAL), stats.kurtosis(NORMAL)))
