"""What holds for all arrays: hypothesis looks for one for which it does not."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

import fanfold as ff
import oracle
import sequences

Array = npt.NDArray[Any]

few = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=150)

KERNELS = oracle.KERNELS
# What depends on the elements' order in the array, not in memory.
POSITIONAL = {
    "argmin", "argmax", "nanargmin", "nanargmax", "argtopk", "argbottomk", "argsort", "is_sorted", *sequences.NAMES,
}  # fmt: skip

NAMES = {"np": np, "stats": stats, "special": special, "inf": math.inf}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """NumPy warns of what these arrays are made of: NaN, overflow, no elements."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


# ---- arrays ----

FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
TIMES = ("datetime64[s]", "timedelta64[ms]", "datetime64[ns]")
REALS = ("bool", *INTEGERS, *FLOATS)
ALL = (*REALS, *COMPLEX, *TIMES)


def family(dtype: np.dtype[Any]) -> str:
    """The dtype's name as the catalogue lists it."""
    return dtype.name.partition("[")[0]


@st.composite
def items(draw: st.DrawFn, dtype: str, tame: bool = False) -> Array:
    """Elements without a layout: any, specials among them, or tame ones, whose squares and products are in range."""
    if tame and np.dtype(dtype).kind in "fc":
        x = draw(hnp.arrays(np.int16, st.integers(0, 20), elements=st.integers(-6400, 6400))).astype(dtype) / 64
        x += 1j * x[::-1] if np.dtype(dtype).kind == "c" else 0
        if x.size and draw(st.booleans()):
            specials = st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -0.0]), max_size=2)
            for special in draw(specials):
                x[draw(st.integers(0, x.size - 1))] = special
    else:
        x = draw(hnp.arrays(dtype, st.integers(0, 20), elements=hnp.from_dtype(np.dtype(dtype))))
    # Repeated, so that blocks (4096) and chunks (65536) have borders, and small examples still say what is wrong.
    if x.size and draw(st.booleans()):
        n = draw(st.sampled_from([31, 33, 256, 257, 4095, 4096, 4097, 9000, 65_537, 140_000]))
        x = np.resize(x, n)
        if draw(st.booleans()):
            x = np.random.default_rng(n).permutation(x)
    return x


@st.composite
def arrays(draw: st.DrawFn, dtypes: tuple[str, ...] = ALL, tame: bool = False) -> Array:
    """Arrays of any layout: shapes, steps, transposes, broadcasts, byte orders, misaligned and read-only ones."""
    x = draw(items(draw(st.sampled_from(dtypes)), tame))
    for way in draw(st.lists(st.sampled_from(list(LAYOUTS)), max_size=3, unique=True)):
        x = LAYOUTS[way](x, draw)
    return x


def fold(x: Array, draw: st.DrawFn) -> Array:
    """Two or three axes, if the length can be divided."""
    rows = draw(st.sampled_from([n for n in (1, 2, 3, 5, 7, 16) if x.size % n == 0] or [1]))
    return x.reshape(rows, -1) if x.size else x.reshape(rows, 0, 2)


def step(x: Array, draw: st.DrawFn) -> Array:
    steps = st.sampled_from([-3, -2, -1, 1, 2, 3])
    return x[tuple(slice(draw(st.integers(0, 2)) if s > 0 else None, None, s) for s in [draw(steps) for _ in x.shape])]


def broadcast(x: Array, draw: st.DrawFn) -> Array:
    return np.broadcast_to(x, (draw(st.integers(0, 3)), *x.shape))


def misalign(x: Array, draw: st.DrawFn) -> Array:
    shift = draw(st.integers(1, 7))
    memory = np.zeros(x.nbytes + shift, np.uint8)[shift:]
    moved = memory.view(x.dtype).reshape(x.shape)
    moved[...] = x
    return moved


def field(x: Array, draw: st.DrawFn) -> Array:
    records = np.zeros(x.shape, [("a", np.int8), ("x", x.dtype), ("b", np.int16)])
    records["x"] = x
    return records["x"]


def read_only(x: Array, draw: st.DrawFn) -> Array:
    view = x.view()
    view.flags.writeable = False
    return view


LAYOUTS: dict[str, Callable[[Array, st.DrawFn], Array]] = {
    "fold": fold,
    "step": step,
    "transpose": lambda x, _: x.T,
    "Fortran": lambda x, _: np.asfortranarray(x),
    "broadcast": broadcast,
    "swap": lambda x, _: x.astype(x.dtype.newbyteorder("S")),
    "misalign": misalign,
    "field": field,
    "read-only": read_only,
    "axis": lambda x, draw: np.expand_dims(x, draw(st.integers(0, x.ndim))),
}


# ---- kernels ----


@st.composite
def kernels(draw: st.DrawFn, dtype: np.dtype[Any]) -> ff.Kernel:
    """A kernel of the catalogue that takes the dtype, with parameters of its examples."""
    info = draw(st.sampled_from([info for info in KERNELS.values() if family(dtype) in info.dtypes]))
    return ff.Kernel(info.name, **draw(st.sampled_from(info.examples)))


@st.composite
def companies(draw: st.DrawFn, dtype: np.dtype[Any], most: int = 8) -> dict[str, ff.Kernel]:
    """Kernels to be run together."""
    return {str(kernel): kernel for kernel in draw(st.lists(kernels(dtype), min_size=1, max_size=most))}


def outcomes(x: Array, functions: dict[str, ff.Kernel], **options: Any) -> dict[str, Any]:
    """Every answer to the last bit, or the error's type and message."""
    return {key: bits(value) for key, value in ff.run(x, functions, on_error="return", **options).items()}


def bits(value: Any) -> Any:
    if isinstance(value, Exception):
        return type(value), str(value)
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    value = np.asarray(value)
    return value.dtype.str, value.tobytes()


def one(x: Array, function: str | ff.Kernel, **options: Any) -> Any:
    (answer,) = ff.run(x, function, **options).values()
    return answer


# ---- the same bits ----


@many
@given(arrays(), st.data(), st.integers(1, 8))
def test_same_bits_for_any_number_of_workers(x: Array, data: st.DataObject, workers: int) -> None:
    functions = data.draw(companies(x.dtype))
    assert outcomes(x, functions, workers=workers) == outcomes(x, functions, workers=1)


@many
@given(arrays(), st.data(), st.sampled_from(["propagate", "omit"]))
def test_same_bits_alone_and_in_company(x: Array, data: st.DataObject, nan_policy: str) -> None:
    functions = data.draw(companies(x.dtype))
    together = outcomes(x, functions, nan_policy=nan_policy)
    for key, kernel in functions.items():
        assert outcomes(x, {key: kernel}, nan_policy=nan_policy) == {key: together[key]}


def in_memory_order(x: Array) -> Array:
    """The axes in the order of their strides: how a sweep goes that need not know positions.

    Where elements are repeated in memory, there is no such order.
    """
    if any(not stride and length > 1 for stride, length in zip(x.strides, x.shape, strict=True)):
        return x
    return x.transpose(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


@many
@given(arrays(), st.data())
def test_same_bits_for_any_layout(x: Array, data: st.DataObject) -> None:
    """A contiguous, aligned, native copy, in memory order or, where positions count, in C order."""
    # Z-scores have the one order, and their mean and deviation are summed in the other.
    functions = {key: use for key, use in data.draw(companies(x.dtype)).items() if use.name != "zscore"}
    for by_position, order in ((True, x), (False, in_memory_order(x))):
        chosen = {key: kernel for key, kernel in functions.items() if (kernel.name in POSITIONAL) == by_position}
        copy = np.array(order, x.dtype.newbyteorder("="), order="C")
        assert outcomes(x, chosen) == outcomes(copy, chosen)


@few
@given(st.lists(arrays(), min_size=2, max_size=4), st.data())
def test_a_plan_is_not_changed_by_the_arrays_it_has_seen(several: list[Array], data: st.DataObject) -> None:
    functions = data.draw(companies(np.dtype(data.draw(st.sampled_from(ALL)))))
    plan = ff.plan(functions)
    for x in [*several, several[0]]:
        results = plan.run(x, on_error="return")
        assert {key: bits(value) for key, value in results.items()} == outcomes(x, functions)


@few
@given(arrays(), st.data())
def test_the_input_is_not_modified(x: Array, data: st.DataObject) -> None:
    before = x.tobytes()
    outcomes(x, data.draw(companies(x.dtype)), workers=2)
    assert x.tobytes() == before


# ---- the same values as NumPy ----

EXACT = {
    "count",
    "count_nan",
    "count_inf",
    "count_nonzero",
    "any",
    "all",
    "min",
    "max",
    "argmin",
    "argmax",
    "is_sorted",
}
EXACT |= {"nanmin", "nanmax", "nanargmin", "nanargmax", "ptp", "histogram"}


def numpys(kernel: ff.Kernel, x: Array) -> Any:
    """What the declared expression gives."""
    info = KERNELS[kernel.name]
    defaults = {parameter.name: parameter.default for parameter in info.parameters}
    return eval(info.numpy, NAMES, {"x": x} | defaults | dict(kernel.parameters))


def widened(x: Array) -> Array:
    """The same numbers in NumPy's widest dtypes, in which its rounding is small beside that of a narrow result."""
    wide = {"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype.newbyteorder("="))
    return np.array(x, wide).ravel()


def attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def tolerance(kernel: ff.Kernel, x: Array) -> float:
    """By how much a result may differ: roundings of what is added up, for numbers of a size with the array's."""
    finite = np.abs(x[np.isfinite(x)].astype(complex if x.dtype.kind == "c" else float))
    size, eps = float(np.max(finite, initial=1.0)), 2.0**-52
    match kernel.name:
        case "sum" | "nansum":
            return eps * 32 * size * x.size
        case "var" | "nanvar":
            return eps * 1024 * size**2
        case "std" | "nanstd" | "sem":
            return 32 * math.sqrt(eps) * size
        case "moment":
            return eps * 1024 * size ** dict(kernel.parameters)["order"]
        case "skew" | "kurtosis":
            return 1e-6 * max(1, x.size)
        case "prod" | "nanprod":
            return 0.0
    return eps * 1024 * size


def assert_close(answer: Any, expected: Any, atol: float) -> None:
    answer, expected = np.asarray(answer), np.asarray(expected)
    assert answer.dtype == expected.dtype
    assert answer.shape == expected.shape
    if answer.dtype.kind in "fc" and atol:
        rtol = 4 * float(np.finfo(answer.dtype).eps) + 1e-12
        np.testing.assert_allclose(answer, expected, rtol=rtol, atol=atol, equal_nan=True)
    else:
        np.testing.assert_array_equal(answer, expected, strict=True)


@settings(many, max_examples=400)
@given(arrays(), st.data())
def test_exact_kernels_equal_numpy(x: Array, data: st.DataObject) -> None:
    names = [name for name in EXACT - {"histogram"} if family(x.dtype) in KERNELS[name].dtypes]
    name = data.draw(st.sampled_from(sorted(names)))
    assume(not (name.startswith("nanarg") and x.dtype.kind in "mM"))  # NumPy's find NaT there.
    expected = attempt(lambda: numpys(ff.Kernel(name), x))
    answer = attempt(lambda: one(x, name))
    if name == "ptp" and isinstance(answer, OverflowError):
        ends = [int(end) for end in (x.min().astype(object), x.max().astype(object))] if x.dtype.kind in "iu" else []
        assert not ends or ends[1] - ends[0] > np.iinfo(x.dtype).max
    elif isinstance(expected, Exception):
        assert isinstance(answer, type(expected))
    else:
        assert not isinstance(answer, Exception), answer
        assert_close(answer, np.asarray(expected).astype(np.asarray(expected).dtype.newbyteorder("=")), 0)


@settings(many, max_examples=300)
@given(arrays((*REALS, *COMPLEX), tame=True), st.data())
def test_every_kernel_equals_numpy_on_tame_arrays(x: Array, data: st.DataObject) -> None:
    kernel = data.draw(kernels(x.dtype))
    if kernel.name in sequences.NAMES:
        native = np.array(x, x.dtype.newbyteorder("="))
        assert sequences.difference(attempt(lambda: one(x, kernel)), kernel, native, "propagate") is None
        return
    assume(kernel.name not in ("histogram", "value_counts", "mode"))  # Tuples, which have tests of their own.
    assume(not kernel.name.endswith("_approx"))  # They are near; test_order.py knows how near.
    assume(
        x.size or ("quantile" not in kernel.name and "percentile" not in kernel.name)
    )  # NumPy's fall over their index.
    assume(not (kernel.name.endswith("prod") and x.dtype.kind == "f" and x.size > 20))
    assume(x.dtype.kind != "c" or np.isfinite(x).all())  # NumPy's complex division makes NaN of infinities.
    answer = attempt(lambda: one(x, kernel))
    if isinstance(answer, OverflowError):
        exact = {"sum": sum, "nansum": sum, "prod": math.prod, "nanprod": math.prod}
        ends = [np.iinfo(numpys(kernel, x[:0]).dtype)] if kernel.name in exact else []
        whole = [int(item) for item in x.ravel()]
        if ends:
            assert not int(ends[0].min) <= exact[kernel.name](whole) <= int(ends[0].max)
        else:
            assert kernel.name == "ptp"
        return
    narrow = attempt(lambda: numpys(kernel, np.array(x, x.dtype.newbyteorder("=")).ravel()))
    if isinstance(narrow, Exception):
        assert isinstance(answer, type(narrow))
        return
    assert not isinstance(answer, Exception), answer
    expected = np.asarray(numpys(kernel, widened(x))).astype(np.asarray(narrow).dtype)
    assert_close(answer, expected, tolerance(kernel, x))


@few
@given(arrays((*FLOATS, *COMPLEX, *TIMES), tame=True), st.data())
def test_omitting_nan_is_compressing(x: Array, data: st.DataObject) -> None:
    kernel = data.draw(kernels(x.dtype))
    assume("arg" not in kernel.name and kernel.name != "count_nan")
    assume(kernel.name not in sequences.NAMES)  # They have an item for NaN too.
    assume(kernel.name != "mode")  # Of nothing its parts have dtypes of their own.
    answer = attempt(lambda: one(x, kernel, nan_policy="omit"))
    expected = attempt(lambda: one(x[~np.isnan(x)], kernel))
    if kernel.name in {"min", "max", "nanmin", "nanmax", "ptp"} and x.size and np.isnan(x).all():
        expected = one(x, kernel)  # As np.nanmin; of nothing at all they raise.
    if isinstance(expected, Exception):
        assert type(answer) is type(expected)
        return
    for part, of_compressed in zip(*[v if isinstance(v, tuple) else (v,) for v in (answer, expected)]):
        assert_close(part, of_compressed, tolerance(kernel, x))


@few
@given(arrays((*FLOATS, *TIMES)), st.sampled_from(["argmin", "argmax"]))
def test_omitting_nan_keeps_positions(x: Array, name: str) -> None:
    """Positions are those of the whole array, in C order, and the first of several."""
    if np.isnan(x).all():
        with pytest.raises(ValueError):
            ff.run(x, name, nan_policy="omit")
        return
    position = one(x, name, nan_policy="omit")
    flat = np.ravel(x)
    best = one(x, name[3:], nan_policy="omit")
    assert flat[position] == best
    assert not np.any(flat[:position] == best)


@few
@given(arrays(), st.data())
def test_raising_on_nan(x: Array, data: st.DataObject) -> None:
    functions = data.draw(companies(x.dtype))
    propagated, raised = outcomes(x, functions), outcomes(x, functions, nan_policy="raise")
    if x.dtype.kind in "fcmM" and np.isnan(x).any():
        assert all(of_key[0] is ValueError for of_key in raised.values())
    else:
        assert raised == propagated


# ---- what must be so ----


@few
@given(arrays())
def test_elements_are_nan_or_not(x: Array) -> None:
    r = ff.run(x, ["count", "count_nan"], nan_policy="omit")
    assert r["count"] + r["count_nan"] == x.size == one(x, "count")


@many
@given(arrays(REALS))
def test_the_mean_is_between_the_extremes(x: Array) -> None:
    x = x[np.abs(x.astype(float)) < 1e150] if x.dtype.kind == "f" else x
    assume(x.size)
    r = ff.run(x, ["min", "mean", "max", "mean_abs", "rms", "var"])
    low, high = float(r["min"]), float(r["max"])
    # A float64 mean is rounded twice: once as a sum, once as a quotient.
    assert np.nextafter(low, -np.inf) <= r["mean"] <= np.nextafter(high, np.inf)
    assert 0 <= r["mean_abs"] <= max(abs(low), abs(high)) * (1 + 2.0**-50)
    assert r["var"] >= 0


@few
@given(arrays((*REALS, *TIMES)), st.integers(0, 2**32))
def test_order_free_kernels_do_not_see_the_order(x: Array, seed: int) -> None:
    names = ["count", "count_nonzero", "min", "max", "count_inf", "any", "all"]
    names += ["sum"] if x.dtype.kind in "biu" else []
    functions = {name: ff.Kernel(name) for name in names if family(x.dtype) in KERNELS[name].dtypes}
    shuffled = np.random.default_rng(seed).permutation(np.array(x.ravel()))
    before, after = (ff.run(of, functions, on_error="return") for of in (x, shuffled))
    for name in functions:
        # Which zero is the smallest depends on the order, as in NumPy.
        assert type(before[name]) is type(after[name])
        if not isinstance(before[name], Exception):
            np.testing.assert_array_equal(before[name], after[name])


@few
@given(arrays((*REALS, *TIMES)), st.data())
def test_sorting_sorts(x: Array, data: st.DataObject) -> None:
    # NumPy 2.4's default sort leaves float16 unsorted where it uses AVX-512.
    x = np.sort(x[~np.isnan(x)] if x.dtype.kind in "fmM" else x.ravel(), kind="stable")
    assert one(x, "is_sorted")
    assert one(x[::-1], "is_sorted") == (x.size < 2 or x[0] == x[-1])
    if x.size > 1 and x[0] < x[-1]:
        i = data.draw(st.integers(0, x.size - 1))
        j = data.draw(st.integers(0, x.size - 1))
        x[[i, j]] = x[[j, i]]
        assert one(x, "is_sorted") == (x[i] == x[j])


@few
@given(arrays(("float64",)), st.sampled_from(["var", "std"]))
@example(np.array([1e200, -1e200, 3e199] * 3000), "var")
def test_the_variance_of_numbers_is_a_number(x: Array, name: str) -> None:
    """Too large a one is infinite, but never NaN."""
    x = x[np.abs(x) < 1e300]
    assume(x.size)
    assert one(x, name) >= 0


# ---- histograms ----


@st.composite
def ranges(draw: st.DrawFn, dtype: str) -> tuple[float, float] | None:
    if draw(st.booleans()):
        return None
    size = 100.0 if dtype in ("float16", "int8", "uint8", "bool") else draw(st.sampled_from([1.0, 1e3, 1e6, 1e-3]))
    ends = st.floats(-size, size) | st.sampled_from([0.0, 0.1, -0.3, 1.0, 7.0, -0.0])
    low, high = sorted((draw(ends), draw(ends)))
    return low, high


@st.composite
def binned(draw: st.DrawFn) -> tuple[Array, Any, tuple[float, float] | None]:
    """Values on the edges, beside them, between and outside."""
    dtype = draw(st.sampled_from([*REALS, *FLOATS, *FLOATS]))
    within = draw(ranges(dtype))
    low, high = within or (0.0, draw(st.sampled_from([0.1, 0.7, 1.0, 9.0, 100.0])))
    if draw(st.booleans()):
        bins: Any = draw(st.integers(1, 12) | st.integers(1, 1200) | st.sampled_from([255, 256, 257]))
        edges = np.linspace(low, high, bins + 1)
        kept = st.lists(st.sampled_from(edges.tolist()), min_size=1, max_size=40)
        exact = np.array(draw(kept), np.float64)
    else:
        whole = draw(st.booleans())
        elements = st.integers(-100, 100) if whole else st.floats(-100, 100)
        bins = sorted(draw(st.lists(elements, min_size=2, max_size=12, unique=True)))
        exact = np.array(bins, np.float64)
        within = None
    values = np.concatenate([exact, (exact[1:] + exact[:-1]) / 2, [low, high]])
    values = np.where(np.dtype(dtype).kind == "u", np.abs(values), values)
    x = values.astype(dtype)
    if np.dtype(dtype).kind == "f":
        infinity = np.array(np.inf, dtype)
        x = np.concatenate([x, np.nextafter(x, -infinity), np.nextafter(x, infinity)])
        if draw(st.booleans()):
            x = np.append(x, np.array([np.nan, np.inf, -np.inf], dtype)[: draw(st.integers(1, 3))])
    order = draw(st.integers(0, 2**32))
    x = np.random.default_rng(order).permutation(x)[: draw(st.integers(1, x.size))]
    return np.resize(x, draw(st.sampled_from([x.size, x.size, 9001]))), bins, within


def assert_equals_numpys_histogram(x: Array, bins: Any, within: tuple[float, float] | None) -> None:
    # Between given edges NumPy sorts, and NumPy 2.4 does not sort float16 right where it uses AVX-512.
    sortable = x.astype(float) if isinstance(bins, list) and x.dtype == np.float16 else x
    expected = attempt(lambda: np.histogram(sortable, bins=bins, range=within))
    answer = attempt(lambda: one(x, ff.histogram(bins=bins, range=within)))
    if isinstance(expected, Exception):
        assert isinstance(answer, type(expected))
        return
    assert not isinstance(answer, Exception), answer
    assert_close(answer.edges, expected[1], 0)
    assert_close(answer.counts, expected[0], 0)


@settings(many, max_examples=800)
@given(binned())
def test_histograms_equal_numpys_to_the_last_count(case: tuple[Array, Any, tuple[float, float] | None]) -> None:
    assert_equals_numpys_histogram(*case)


@settings(many, max_examples=400)
@given(arrays(REALS), st.data())
def test_histograms_of_anything(x: Array, data: st.DataObject) -> None:
    """Bins between the array's own elements, the largest and smallest numbers among them."""
    ends = sorted({item + 0 for item in x.ravel().tolist()[:50] if math.isfinite(item)})
    if x.dtype.kind in "iu":
        ends = [end for end in ends if abs(end) < 2**53]  # Beyond: the test below.
    if len(ends) >= 2 and data.draw(st.booleans()):
        bins = sorted(data.draw(st.lists(st.sampled_from(ends), min_size=2, unique=True)))
        assert_equals_numpys_histogram(x, bins, None)
    else:
        within = (ends[0], ends[-1]) if ends and data.draw(st.booleans()) else None
        bins = data.draw(st.integers(1, 1000))
        assert_equals_numpys_histogram(x, bins, within)


def test_edges_of_float16_are_rounded_once() -> None:
    assert_equals_numpys_histogram(np.zeros(1, np.float16), 257, (0.001, 1000.001))


def test_elements_that_no_float_tells_apart_are_on_the_right_side_of_integer_edges() -> None:
    x = np.array([0, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62])
    assert_equals_numpys_histogram(x, [-(2**53) + 1, 0, 2**53 - 1], None)
