"""Columns of any kind, chunking, offset and nulls have the answers of the array; what is no column is refused."""

import datetime
import decimal
import fractions
import gc
import itertools
import json
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import fanfold as ff
from fresh import run_script

Array = npt.NDArray[Any]

QUICK = tuple(phase for phase in Phase if phase is not Phase.explain)

few = settings(deadline=None, max_examples=30, phases=QUICK, suppress_health_check=[HealthCheck.too_slow])
fewer = settings(few, max_examples=20)
many = settings(few, max_examples=60)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """NumPy warns of what these arrays are made of: NaN, overflow, no elements."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


# ---- columns ----


class Kind(NamedTuple):
    """A type of elements."""

    arrow: Any
    seen: str
    """What NumPy calls it."""
    stored: str
    """The elements in memory."""

    @property
    def is_time(self) -> bool:
        return self.seen[0] in "mM"


UNITS = ("s", "ms", "us", "ns")
KINDS: dict[str, Kind] = {
    "bool": Kind(pa.bool_(), "?", "?"),
    **{
        f"{sign}int{8 * size}": Kind(
            getattr(pa, f"{sign}int{8 * size}")(), f"{sign or 'i'}{size}", f"{sign or 'i'}{size}"
        )
        for sign in ("", "u")
        for size in (1, 2, 4, 8)
    },
    "float16": Kind(pa.float16(), "f2", "f2"),
    "float32": Kind(pa.float32(), "f4", "f4"),
    "float64": Kind(pa.float64(), "f8", "f8"),
    **{f"timestamp[{unit}]": Kind(pa.timestamp(unit), f"M8[{unit}]", "i8") for unit in UNITS},
    "timestamp[us, Paris]": Kind(pa.timestamp("us", "Europe/Paris"), "M8[us]", "i8"),
    **{f"duration[{unit}]": Kind(pa.duration(unit), f"m8[{unit}]", "i8") for unit in UNITS},
    "date32": Kind(pa.date32(), "M8[D]", "i4"),
    "date64": Kind(pa.date64(), "M8[ms]", "i8"),
    "time32[s]": Kind(pa.time32("s"), "m8[s]", "i4"),
    "time32[ms]": Kind(pa.time32("ms"), "m8[ms]", "i4"),
    "time64[us]": Kind(pa.time64("us"), "m8[us]", "i8"),
    "time64[ns]": Kind(pa.time64("ns"), "m8[ns]", "i8"),
}
NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
ARROWS = tuple(KINDS)
POLARS = (
    *NUMBERS,
    "timestamp[ms]",
    "timestamp[us]",
    "timestamp[ns]",
    "duration[ms]",
    "duration[us]",
    "duration[ns]",
    "date32",
)
PANDAS = tuple(name for name in ARROWS if name != "float16")


class Column(NamedTuple):
    """Elements, which of them are missing, and how they are to lie."""

    kind: Kind
    items: Array
    """As they are stored."""
    gone: Array
    cuts: list[int]
    """Where a chunk ends and another begins."""
    before: int
    """How many elements lie before each chunk."""
    shift: int
    """By how many bytes the items are out of line."""
    seed: int

    @property
    def values(self) -> Array:
        """What NumPy would hold."""
        return self.items.astype("i8").view(self.kind.seen) if self.kind.is_time else self.items.astype(self.kind.seen)

    @property
    def ends(self) -> list[tuple[int, int]]:
        places = [0, *self.cuts, self.items.size]
        return list(itertools.pairwise(places))


LENGTHS = (4_095, 4_096, 4_097, 8_192, 65_535, 65_536, 65_537, 131_073, 150_000)


@st.composite
def columns(draw: st.DrawFn, kinds: tuple[str, ...], tame: bool = False) -> Column:
    kind = KINDS[draw(st.sampled_from(kinds))]
    n = draw(st.integers(0, 40) | st.integers(0, 40) | st.sampled_from(LENGTHS) | st.integers(0, 10_000))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    items = made(kind, n, rng, is_narrow=draw(st.booleans()))
    if not tame and kind.seen[0] == "f" and n and draw(st.booleans()):
        for special in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -0.0]), max_size=3)):
            items[draw(st.integers(0, n - 1))] = special
    gone = rng.random(n) < draw(st.sampled_from([0.0, 0.001, 0.1, 0.5, 0.99, 1.0]))
    # What lies beneath a null is nobody's element.
    items[gone] = extremes(np.dtype(kind.stored))[rng.integers(0, 3, int(gone.sum()))]
    places = st.integers(0, n) | st.sampled_from(
        [min(n, place) for place in (0, 1, 4_095, 4_096, 4_097, 65_536, 65_537, n)]
    )
    cuts = sorted(draw(st.lists(places, max_size=6)))
    if n <= 40 and draw(st.booleans()):
        cuts = list(range(n))
    return Column(kind, items, gone, cuts, draw(st.integers(0, 70)), draw(st.sampled_from([0, 0, 1, 3, 4])), seed)


def made(kind: Kind, n: int, rng: np.random.Generator, *, is_narrow: bool) -> Array:
    """Elements whose sums and middles no dtype has to round."""
    dtype = np.dtype(kind.stored)
    if dtype.kind == "b":
        return rng.random(n) < 0.5
    if dtype.kind == "f":
        return (rng.integers(-3, 4, n) if is_narrow else rng.integers(-640, 641, n) / 4).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(int(limits.min) // 2, -(2**42)), min(int(limits.max) // 2, 2**42)
    if kind.is_time and dtype.itemsize == 4:
        low, high = 0, 40_000
    if is_narrow:
        low, high = max(low, -3), 3
    return 2 * rng.integers(low, high, n, endpoint=True).astype(dtype)


def extremes(dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "b":
        return np.array([True, False, True])
    if dtype.kind == "f":
        return np.array([np.nan, np.inf, -np.inf], dtype)
    return np.array([np.iinfo(dtype).min, np.iinfo(dtype).max, 0], dtype)


# ---- how they are held ----


def bits(bools: Array) -> pa.Buffer:
    return pa.py_buffer(np.packbits(bools, bitorder="little").tobytes())


def padded(items: Array, before: int, after: int, rng: np.random.Generator) -> Array:
    """With something else before and behind."""
    around = extremes(items.dtype)
    return np.concatenate([around[rng.integers(0, 3, before)], items, around[rng.integers(0, 3, after)]])


def piece(c: Column, start: int, stop: int, gone: Array) -> Any:
    """Some elements as an Arrow array, which begins at an offset, with memory made by hand."""
    rng = np.random.default_rng([c.seed, start])
    items = padded(c.items[start:stop], c.before, 9, rng)
    there = padded(~gone[start:stop], c.before, 9, rng)
    if items.dtype == bool:
        memory = bits(items)
    else:
        memory = pa.py_buffer(b"\0" * c.shift + items.tobytes()).slice(c.shift)
    validity = bits(there) if gone[start:stop].any() or rng.random() < 0.5 else None
    return pa.Array.from_buffers(c.kind.arrow, stop - start, [validity, memory], offset=c.before)


def whole(c: Column) -> Any:
    return piece(c, 0, c.items.size, c.gone)


def pieces(c: Column) -> Any:
    return pa.chunked_array([piece(c, *ends, c.gone) for ends in c.ends], c.kind.arrow)


def struct(c: Column, start: int, stop: int) -> Any:
    """A struct that hides some elements of its field, and begins at an offset of its own."""
    rng = np.random.default_rng([c.seed, start, 1])
    hidden = c.gone & (np.random.default_rng(c.seed).random(c.gone.size) < 0.5)
    first = int(rng.integers(0, min(start, 70) + 1))
    # The field begins at its offset, the struct at its own within it.
    field = piece(c, start - first, stop, c.gone & ~hidden)
    other = pa.array(["text"] * len(field), pa.string())
    there = padded(~hidden[start:stop], first, 3, rng)
    validity = bits(there) if hidden[start:stop].any() or rng.random() < 0.5 else None
    of = pa.struct([("text", pa.string()), ("x", c.kind.arrow)])
    return pa.Array.from_buffers(of, stop - start, [validity], offset=first, children=[other, field])


class Capsule:
    """What offers nothing but an Arrow array."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __arrow_c_array__(self, schema: Any = None) -> Any:
        return self._values.__arrow_c_array__(schema)


class Stream:
    """What offers nothing but a stream of Arrow arrays."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        return self._values.__arrow_c_stream__(schema)


class Sized(Stream):
    """What offers a stream, and says how long it is: nothing that was read before has no elements."""

    def __len__(self) -> int:
        return len(self._values)


def stream(values: Any) -> Stream:
    return Stream(values) if len(values) else Sized(values)


def masked(c: Column) -> Any:
    rng, step = np.random.default_rng(c.seed), 1 + c.seed % 3
    memory = extremes(c.items.dtype)[rng.integers(0, 3, c.before + step * c.items.size)]
    mask = rng.random(memory.size) < 0.5
    items, gone = memory[c.before :: step], mask[c.before :: step]
    items[:], gone[:] = c.items, c.gone
    # Of other elements than those that are stored there are no other bits.
    seen = items.astype("i8").view(c.kind.seen) if c.kind.is_time else items
    return np.ma.masked_array(seen, gone)


def nullable(c: Column) -> Any:
    rng = np.random.default_rng(c.seed)
    items, gone = padded(c.items, c.before, 5, rng), padded(c.gone, c.before, 5, rng)
    arrays: dict[str, Any] = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}
    column = pd.Series(arrays.get(items.dtype.kind, pd.arrays.IntegerArray)(items, gone))
    return column[c.before : c.before + c.items.size]


def polars(c: Column) -> Any:
    parts = [pl.Series("x", piece(c, *ends, c.gone)) for ends in c.ends]
    return pl.concat(parts, rechunk=False)


def arrow_backed(c: Column) -> Any:
    return pd.Series(pd.arrays.ArrowExtensionArray(pieces(c)))


def record_batches(c: Column) -> Any:
    return pa.chunked_array([struct(c, *ends) for ends in c.ends])


class Form(NamedTuple):
    make: Callable[[Column], Any]
    kinds: tuple[str, ...] = ARROWS
    is_table: bool = False


FORMS: dict[str, Form] = {
    "Arrow": Form(whole),
    "Arrow, in chunks": Form(pieces),
    "protocol": Form(lambda c: Capsule(whole(c))),
    "protocol, in chunks": Form(lambda c: stream(pieces(c))),
    "struct": Form(lambda c: Capsule(struct(c, 0, c.items.size)), is_table=True),
    "struct, sliced": Form(lambda c: Capsule(around(c)), is_table=True),
    "struct, in chunks": Form(lambda c: stream(record_batches(c)), is_table=True),
    "table": Form(
        lambda c: pa.table({"x": pieces(c), "text": pa.array(["text"] * c.items.size, pa.string())}), is_table=True
    ),
    "dict": Form(lambda c: {"x": pieces(c)}, is_table=True),
    "Polars": Form(polars, POLARS),
    "Polars table": Form(lambda c: pl.DataFrame({"x": polars(c)}), POLARS, is_table=True),
    "pandas nullable": Form(nullable, NUMBERS),
    "pandas table": Form(lambda c: pd.DataFrame({"x": nullable(c)}), NUMBERS, is_table=True),
    "pandas Arrow-backed": Form(arrow_backed, PANDAS),
    "masked array": Form(masked),
}


def around(c: Column) -> Any:
    """A struct that was longer."""
    rng = np.random.default_rng(c.seed)
    left, right = c.seed % 19, c.seed % 5
    items = padded(c.items, left, right, rng)
    gone = padded(c.gone, left, right, rng)
    return struct(c._replace(items=items, gone=gone), 0, items.size)[left : left + c.items.size]


forms = pytest.mark.parametrize("form", FORMS)


@st.composite
def held(draw: st.DrawFn, form: str, tame: bool = False) -> tuple[Column, Any]:
    c = draw(columns(FORMS[form].kinds, tame))
    return c, FORMS[form].make(c)


# ---- the answers of the array ----

KERNELS = ["count", "sum", "min", "max", "median", "argmax", "argmin", "unique"]
TIMELESS = ["sum", "median"]


def kernels(kind: Kind) -> list[str]:
    return [name for name in KERNELS if kind.seen[0] != "M" or name not in TIMELESS]


def expected(name: str, values: Array, places: Array) -> Any:
    """What NumPy has for the elements that are there; places are theirs in the whole array."""
    wide = values.astype("f8") if values.dtype.kind in "fb" else values
    match name:
        case "count":
            return np.int64(values.size)
        case "sum" if values.dtype.kind == "f":
            # Of these numbers float64 rounds no sum.
            return wide.sum().astype(values.dtype)
        case "sum":
            return values.sum()
        case "median" if values.dtype.kind == "m":
            return np.median(values) if values.size else np.array("NaT", values.dtype)[()]
        case "median":
            return np.median(wide).astype(values.dtype if values.dtype.kind == "f" else "f8")
        case "argmax" | "argmin":
            return places[getattr(values, name)()] if values.size else None
        case "unique":
            return np.unique(values)
    return getattr(values, name)() if values.size else None


def answers(data: Any, form: str, functions: list[str], **options: Any) -> tuple[dict[str, Any], Any]:
    r = ff.run(data, functions, on_error="return", **options)
    found = dict(r)
    if FORMS[form].is_table:
        found = {key: value if isinstance(value, Exception) else value["x"] for key, value in found.items()}
    return found, r


def assert_same(got: Any, want: Any, message: str) -> None:
    if want is None:
        assert isinstance(got, ValueError), message
        return
    assert not isinstance(got, Exception), f"{message}: {got!r}"
    np.testing.assert_array_equal(got, want, err_msg=message)
    assert np.asarray(got).dtype == np.asarray(want).dtype, message


@forms
@many
@given(st.data())
def test_the_answers_are_those_of_the_elements_that_are_there(form: str, data: st.DataObject) -> None:
    c, column = data.draw(held(form))
    functions = kernels(c.kind)
    places = np.flatnonzero(~c.gone)
    found, _ = answers(column, form, functions, workers=data.draw(st.integers(1, 2)))
    for name in functions:
        assert_same(found[name], expected(name, c.values[places], places), name)


@st.composite
def masks(draw: st.DrawFn, n: int) -> tuple[Array, Any]:
    """A mask, and what holds it; where it is missing it does not count."""
    c = draw(columns(("bool",)))
    rng = np.random.default_rng(c.seed)
    share = draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))
    items, gone = rng.random(n) < share, rng.random(n) < draw(st.sampled_from([0.0, 0.1]))
    c = c._replace(items=items, gone=gone, cuts=[min(cut, n) for cut in c.cuts])
    form = draw(st.sampled_from(["NumPy", *(name for name in FORMS if not FORMS[name].is_table)]))
    if form == "NumPy":
        return items & ~gone, items & ~gone
    return items & ~gone, FORMS[form].make(c)


@forms
@few
@given(st.data())
def test_under_a_mask(form: str, data: st.DataObject) -> None:
    c, column = data.draw(held(form))
    chosen, where = data.draw(masks(c.items.size))
    functions = kernels(c.kind)
    places = np.flatnonzero(~c.gone & chosen)
    found, _ = answers(column, form, functions, where=where)
    for name in functions:
        assert_same(found[name], expected(name, c.values[places], places), name)


@st.composite
def labels(draw: st.DrawFn, n: int) -> tuple[Array, Any]:
    """A label for each element, -1 where it is missing, and what holds them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    by = rng.integers(0, draw(st.sampled_from([1, 2, 7, 1_000])), n)
    if draw(st.booleans()):
        by = np.sort(by)
    missing = rng.random(n) < draw(st.sampled_from([0.0, 0.1, 1.0]))
    holders: dict[str, Callable[[], Any]] = {
        "floats": lambda: np.where(missing, np.nan, by),
        "masked array": lambda: np.ma.masked_array(by, missing),
        "Arrow": lambda: pa.array(np.r_[by[:3], by], mask=np.r_[missing[:3], missing])[min(n, 3) :],
        "Arrow, in chunks": lambda: pa.chunked_array(
            [pa.array(by[:7], mask=missing[:7]), pa.array(by[7:], mask=missing[7:])]
        ),
        "Polars": lambda: pl.Series(pa.array(by, mask=missing)),
        "pandas": lambda: pd.Series(pd.arrays.IntegerArray(by, missing)),
        "strings": lambda: pa.array([f"{one:04}" for one in by.tolist()], mask=missing),
    }
    return np.where(missing, -1, by), holders[draw(st.sampled_from(list(holders)))]()


def as_items(answer: Any) -> Array:
    """Times as the integers that they are."""
    items: Array = np.asarray(answer)
    return items.view("i8") if items.dtype.kind in "mM" else items


def check_groups(c: Column, found: dict[str, Any], groups: Any, by: Array, chosen: Array) -> None:
    """Compares with what pandas has for each group; one whose elements are all missing has its place."""
    distinct = np.unique(by[(by >= 0) & chosen])
    np.testing.assert_array_equal(np.asarray(groups).astype("i8"), distinct)
    there = chosen & ~c.gone & (by >= 0)
    places = np.flatnonzero(there)
    values = as_items(c.values[there])
    wide = values.astype({"f": "f8", "b": "i8"}.get(values.dtype.kind, values.dtype))
    frame = pd.Series(wide, index=places).groupby(by[there])
    assert_same(found["count"], frame.count().reindex(distinct, fill_value=0).to_numpy("i8"), "count")
    if "sum" in found:
        want = frame.sum().reindex(distinct, fill_value=0).to_numpy()
        np.testing.assert_array_equal(as_items(found["sum"]), want.astype(as_items(found["sum"]).dtype), "sum")
        assert np.asarray(found["sum"]).dtype == c.values[:0].sum().dtype
    if "median" in found:
        want = frame.median().reindex(distinct).to_numpy()
        got = np.asarray(found["median"])
        got = np.where(np.isnat(got), np.nan, got.view("i8")) if got.dtype.kind == "m" else got
        np.testing.assert_array_equal(got, want.astype(got.dtype), "median")
    for name in ("min", "max", "argmin", "argmax"):
        ours, theirs = found[name], {"argmin": "idxmin", "argmax": "idxmax"}.get(name, name)
        if frame.ngroups < distinct.size:
            assert isinstance(ours, ValueError), name
            continue
        assert not isinstance(ours, Exception), f"{name}: {ours!r}"
        want = getattr(frame, theirs)().to_numpy()
        np.testing.assert_array_equal(as_items(ours).astype(want.dtype), want, name)
        assert np.asarray(ours).dtype == ("i8" if name.startswith("arg") else c.kind.seen)
    each = found["unique"]
    assert not isinstance(each, Exception), f"unique: {each!r}"
    assert len(each) == distinct.size
    own = dict(iter(frame)) if distinct.size <= 7 else {}
    for number, label in enumerate(distinct if own else []):
        want = np.unique(own[label]) if label in own else wide[:0]
        np.testing.assert_array_equal(as_items(each[number]).astype(want.dtype), want, "unique")


@forms
@fewer
@given(st.data())
def test_in_groups(form: str, data: st.DataObject) -> None:
    c, column = data.draw(held(form, tame=True))
    by, holder = data.draw(labels(c.items.size))
    assume(np.any(by >= 0))
    found, r = answers(column, form, kernels(c.kind), by=holder)
    check_groups(c, found, r.groups, by, np.ones(by.size, bool))


@forms
@fewer
@given(st.data())
def test_in_groups_under_a_mask(form: str, data: st.DataObject) -> None:
    c, column = data.draw(held(form, tame=True))
    by, holder = data.draw(labels(c.items.size))
    chosen, where = data.draw(masks(c.items.size))
    assume(np.any(chosen & (by >= 0)))
    found, r = answers(column, form, kernels(c.kind), by=holder, where=where)
    check_groups(c, found, r.groups, by, chosen)


@forms
def test_no_groups_have_the_answers_of_the_array(form: str) -> None:
    """Whether there are no labels or no elements to have one: empty arrays of the dtypes of any other."""
    for name in ("bool", "int32", "float64", "timestamp[us]"):
        if name not in FORMS[form].kinds:
            continue
        items = np.arange(9).astype(KINDS[name].stored)
        c = Column(KINDS[name], items, items.astype(int) % 3 == 0, [1, 5], 3, 0, 1)
        each: tuple[dict[str, Any], ...] = (
            {"by": np.full(9, np.nan)},
            {"by": np.arange(9), "where": np.zeros(9, bool)},
        )
        for options in each:
            found, r = answers(FORMS[form].make(c), form, kernels(c.kind), **options)
            assert len(r.groups) == 0
            for key, array in ff.run(c.values, kernels(c.kind), **options).items():
                assert_same(found[key], array, key)


@many
@given(columns(("float64", "float32", "float16")), st.integers(1, 2))
def test_chunks_have_the_bits_of_one_piece(c: Column, workers: int) -> None:
    rough = np.random.default_rng(c.seed).normal(size=c.items.size).astype(c.kind.stored)
    c = c._replace(items=rough)
    functions: list[Any] = ["mean", "std", "sum", "skew", "median", ff.quantile([0.1, 0.7])]
    one = ff.run(whole(c), functions, workers=1, on_error="return")
    for data in (pieces(c), stream(pieces(c)), masked(c)):
        other = ff.run(data, functions, workers=workers, on_error="return")
        assert list(map(repr, other.values())) == list(map(repr, one.values()))
    if not c.gone.any():
        plain = ff.run(rough, functions, workers=workers, on_error="return")
        assert list(map(repr, plain.values())) == list(map(repr, one.values()))


@many
@given(columns(("float64", "int32", "bool", "date32", "duration[ms]")))
def test_functions_get_the_elements_that_are_there(c: Column) -> None:
    for data in (whole(c), pieces(c), masked(c), stream(pieces(c))):
        got = ff.run(data, {"v": lambda v: v.copy()})["v"]
        np.testing.assert_array_equal(got, c.values[~c.gone])
        assert got.dtype == c.values.dtype


@few
@given(st.data())
def test_masked_arrays_of_any_shape_and_axis(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = np.ma.masked_array(rng.integers(-50, 50, shape), rng.random(shape) < data.draw(st.sampled_from([0.1, 0.6])))
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    axis = data.draw(st.sampled_from([*range(x.ndim), (0, x.ndim - 1), None]))
    r = ff.run(x, ["count", "sum", "median", "max", "argmin"], axis=axis, on_error="return")
    np.testing.assert_array_equal(r["count"], x.count(axis=axis))
    np.testing.assert_array_equal(r["sum"], np.ma.filled(x.sum(axis=axis), 0))
    middle: Any = np.nanmedian(np.ma.filled(x.astype("f8"), np.nan), axis=axis)
    np.testing.assert_array_equal(r["median"], middle)
    if np.all(x.count(axis=axis)):
        np.testing.assert_array_equal(r["max"], x.max(axis=axis))
        if not isinstance(axis, tuple):
            np.testing.assert_array_equal(r["argmin"], x.argmin(axis=axis))


# ---- what was read before ----


@pytest.mark.parametrize("use", ["column", "where", "weights"])
def test_what_a_table_was_refused_as_is_forgotten(use: str) -> None:
    """What one object of a class was, or was taken for, says nothing of others."""
    run_script(
        f"""
        import pandas as pd, polars as pl, pyarrow as pa

        class Capsule:
            def __init__(self, values):
                self.values = values

            def __arrow_c_array__(self, schema=None):
                return self.values.__arrow_c_array__(schema)

        makers = [pd.DataFrame, pl.DataFrame, pa.table, lambda of: Capsule(pa.record_batch(of)), dict]
        for make in makers:
            for other in (make, lambda of: Capsule(pa.array([True, False]))):
                try:
                    used = other({{"x": [1, 2]}})
                    if {use!r} == "column":
                        ff.run({{"a": used}}, "sum")
                    else:
                        ff.run(np.ones(2), "mean", **{{{use!r}: used}})
                except (TypeError, ValueError):
                    pass
                assert ff.run(make({{"x": [1, 2]}}), "sum")["sum"] == {{"x": 3}}, make
        """
    )


class Once:
    """A stream that is read once, and gives no rows from then on."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        values, self._values = self._values, self._values.slice(0, 0)
        return values.__arrow_c_stream__(schema)


def test_a_reader_that_was_read_before_has_no_rows_in_a_dict_either() -> None:
    reader: Any = Once(pa.chunked_array([[1, 2]]))
    assert ff.run(reader, "sum")["sum"] == 3
    for again in (reader, {"a": reader}):
        with pytest.raises(TypeError, match="like a reader that was already read"):
            ff.run(again, "sum")


def test_classes_of_data_do_not_live_longer_than_they_are_used() -> None:
    made = type("Made", (), {"__array__": lambda self, dtype=None, copy=None: np.ones(2)})
    assert ff.run(made(), "sum")["sum"] == 2.0
    kept = weakref.ref(made)
    del made
    gc.collect()
    assert kept() is None


# ---- what lies ----

HOSTILE = """
import ctypes, itertools, json
from ctypes import POINTER, CFUNCTYPE, c_char_p, c_int, c_int64, c_void_p

class Schema(ctypes.Structure):
    pass

class Values(ctypes.Structure):
    pass

class Flow(ctypes.Structure):
    pass

Schema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_char_p), ("flags", c_int64), ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))), ("dictionary", POINTER(Schema)),
    ("release", c_void_p), ("private", c_void_p),
]
Values._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64), ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)), ("children", POINTER(POINTER(Values))), ("dictionary", POINTER(Values)),
    ("release", c_void_p), ("private", c_void_p),
]
Flow._fields_ = [(name, c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private")]

kept = []
given = []
released = []

def releaser(kind):
    def release(pointer):
        struct = ctypes.cast(pointer, POINTER(kind)).contents
        released.append(struct.private)
        struct.release = None
    function = CFUNCTYPE(None, c_void_p)(release)
    kept.append(function)
    return ctypes.cast(function, c_void_p).value

RELEASE = {kind: releaser(kind) for kind in (Schema, Values, Flow)}
numbers = itertools.count(1)

def filled(struct, **own):
    struct.release, struct.private = RELEASE[type(struct)], next(numbers)
    for name, value in own.items():
        setattr(struct, name, value)
    kept.append((struct, own))
    return struct

def pointers(kind, items):
    found = (POINTER(kind) * max(1, len(items)))()
    for place, item in enumerate(items):
        if item is not None:
            found[place] = ctypes.pointer(item)
    kept.append(found)
    return ctypes.cast(found, POINTER(POINTER(kind)))

def schema(format=b"l", children=(), **own):
    own = {"name": b"", "n_children": len(children), **own}
    if children:
        own.setdefault("children", pointers(Schema, children))
    return filled(Schema(), format=format, **own)

NUMBERS = np.array([3, 1, 2, 7])
BITS = np.array([0b1101], np.uint8)
NO_BITS = np.array([0], np.uint8)

def values(buffers=(None, NUMBERS), children=(), **own):
    found = (c_void_p * max(1, len(buffers)))(*(None if each is None else each.ctypes.data for each in buffers))
    kept.append(found)
    own = {"length": 4, "n_buffers": len(buffers), "n_children": len(children), **own}
    made = filled(Values(), **own, buffers=ctypes.cast(found, POINTER(c_void_p)))
    if children:
        made.children = pointers(Values, children)
    return made

def without(made, name):
    setattr(made, name, type(getattr(made, name))())
    return made

new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [c_void_p, c_char_p, c_void_p]
NAMES = {Schema: b"arrow_schema", Values: b"arrow_array", Flow: b"arrow_array_stream"}

def capsule(struct, name=None):
    name = ctypes.create_string_buffer(NAMES[type(struct)] if name is None else name)
    kept.append(name)
    if struct.release:
        given.append(struct.private)
    return new(ctypes.addressof(struct), ctypes.cast(name, c_char_p), None)

def nameless(struct):
    return new(ctypes.addressof(struct), None, None)

class Lies:
    pass

def offers(method, make):
    return type("Offers", (Lies,), {method: make})()

def array(make):
    return offers("__arrow_c_array__", lambda self, schema=None: make())

def stream(make):
    return offers("__arrow_c_stream__", lambda self, schema=None: make())

def pair(schema, values):
    return array(lambda: (capsule(schema), capsule(values)))

def struct(child, format=b"l", **own):
    return pair(schema(b"+s", [schema(format, name=b"x")]), values((None,), [child], **own))

def named(name):
    return pair(schema(b"+s", [schema(name=name)]), values((None,), [values()]))

RISING = np.array([0, 1, 2, 3, 4], np.int32)
FALLING = RISING[::-1].copy()
LETTERS = np.frombuffer(b"abcd", np.uint8)
VIEWS = np.array([[20, 0, 0, 0]] * 4, np.int32)
SIZES = np.array([4])

def coded(indices, names):
    kept.append(indices)
    whole = schema(b"i", dictionary=ctypes.pointer(schema(b"u")))
    return pair(whole, values((None, indices), dictionary=ctypes.pointer(names)))

def flow(make_schema=lambda: schema(), arrays=(), error=None, **own):
    arrays = iter(arrays)
    def get_schema(pointer, out):
        made = make_schema()
        if isinstance(made, int):
            return made
        ctypes.memmove(out, ctypes.addressof(made), ctypes.sizeof(Schema))
        given.append(made.private) if made.release else None
        return 0
    def get_next(pointer, out):
        made = next(arrays, None)
        if isinstance(made, int):
            return made
        if made is not None:
            ctypes.memmove(out, ctypes.addressof(made), ctypes.sizeof(Values))
            given.append(made.private)
        return 0
    def get_last_error(pointer):
        return error
    functions = {
        "get_schema": CFUNCTYPE(c_int, c_void_p, c_void_p)(get_schema),
        "get_next": CFUNCTYPE(c_int, c_void_p, c_void_p)(get_next),
        "get_last_error": CFUNCTYPE(c_void_p, c_void_p)(get_last_error),
    }
    kept.append(functions)
    found = {name: ctypes.cast(each, c_void_p).value for name, each in functions.items()}
    made = filled(Flow(), **{**found, **own})
    return stream(lambda: capsule(made))

class Own(Exception):
    pass

def raising(error):
    def method(self, schema=None):
        raise error
    return method

def twice(capsules):
    return array(lambda: capsules)

def used(data):
    ff.run(data, "count")
    return data

BIG = 2**63 - 1
TEXT = ctypes.create_string_buffer(bytes([0xFF, 0xFE, 0x41]))

CASES = {
    # ---- capsules ----
    "array: None": lambda: array(lambda: None),
    "array: nothing": lambda: array(lambda: ()),
    "array: one": lambda: array(lambda: (capsule(schema()),)),
    "array: no tuple": lambda: array(lambda: capsule(schema())),
    "array: three": lambda: array(lambda: (capsule(schema()), capsule(values()), None)),
    "array: a text of two": lambda: array(lambda: "ab"),
    "array: not capsules": lambda: array(lambda: (1, 2)),
    "array: second is None": lambda: array(lambda: (capsule(schema()), None)),
    # ---- labels ----
    "text without buffers": lambda: pair(schema(b"u"), values(())),
    "text without bytes": lambda: pair(schema(b"u"), values((None, RISING))),
    "text at 0": lambda: pair(schema(b"u"), values((None, RISING, None))),
    "text with offsets that fall": lambda: pair(schema(b"u"), values((None, FALLING, LETTERS))),
    "text with offsets below 0": lambda: pair(schema(b"u"), values((None, FALLING - 9, LETTERS))),
    "large text with offsets that fall": lambda: pair(schema(b"U"), values((None, FALLING.astype("i8"), LETTERS))),
    "views without buffers": lambda: pair(schema(b"vu"), values(())),
    "views of no buffer": lambda: pair(schema(b"vu"), values((None, VIEWS, SIZES))),
    "views outside their buffer": lambda: pair(schema(b"vu"), values((None, VIEWS, LETTERS, SIZES))),
    "views of fewer than 0 bytes": lambda: pair(schema(b"vu"), values((None, -VIEWS, LETTERS, SIZES))),
    "no dictionary": lambda: pair(schema(b"i", dictionary=ctypes.pointer(schema(b"u"))), values((None, RISING))),
    "an index outside its dictionary": lambda: coded(RISING + 4, values((None, RISING, LETTERS))),
    "an index below 0": lambda: coded(RISING - 1, values((None, RISING, LETTERS))),
    "a dictionary of lies": lambda: coded(RISING % 4, values((None, FALLING, LETTERS))),
    "array: first is None": lambda: array(lambda: (None, capsule(values()))),
    "array: swapped": lambda: array(lambda: (capsule(values()), capsule(schema()))),
    "array: two schemas": lambda: array(lambda: (capsule(schema()), capsule(schema()))),
    "array: other names": lambda: array(lambda: (capsule(schema(), b"schema"), capsule(values(), b"array"))),
    "array: empty names": lambda: array(lambda: (capsule(schema(), b""), capsule(values(), b""))),
    "array: no names": lambda: array(lambda: (nameless(schema()), nameless(values()))),
    "array: used": lambda: used(twice((capsule(schema()), capsule(values())))),
    "array: the same twice": lambda: array(lambda: (capsule(schema()),) * 2),
    "array: schema released": lambda: pair(schema(release=None), values()),
    "array: values released": lambda: pair(schema(), values(release=None)),
    "array: no function": lambda: offers("__arrow_c_array__", 1),
    "array: too many arguments": lambda: offers("__arrow_c_array__", lambda self, one, two, three: None),
    "array: property raises": lambda: offers("__arrow_c_array__", property(raising(RuntimeError("no")))),
    "array: property is none": lambda: offers("__arrow_c_array__", property(raising(AttributeError("no")))),
    **{
        f"{method}: raises {type(error).__name__}": lambda method=method, error=error: offers(method, raising(error))
        for method in ("__arrow_c_array__", "__arrow_c_stream__")
        for error in (
            ValueError("no"), TypeError("no"), RuntimeError("no"), KeyError("no"), Own("no"), AttributeError("no"),
            StopIteration(), OSError("no"), NotImplementedError(), RecursionError(), AssertionError(), Own(TEXT.raw),
        )
    },
    "stream: None": lambda: stream(lambda: None),
    "stream: a tuple": lambda: stream(lambda: (capsule(schema()), capsule(values()))),
    "stream: another name": lambda: stream(lambda: capsule(filled(Flow()), b"arrow_array")),
    "stream: no name": lambda: stream(lambda: nameless(filled(Flow()))),
    "stream: released": lambda: flow(release=None),
    "stream: used": lambda: used(flow(arrays=[values()])),
    # ---- streams ----
    "stream: no get_schema": lambda: flow(get_schema=None),
    "stream: no get_next": lambda: flow(get_next=None),
    "stream: no functions": lambda: stream(lambda: capsule(filled(Flow()))),
    "stream: schema fails": lambda: flow(lambda: 5),
    "stream: schema fails, no last error": lambda: flow(lambda: 5, get_last_error=None),
    "stream: schema fails, text of other bytes": lambda: flow(lambda: -5, error=ctypes.addressof(TEXT)),
    "stream: schema is released": lambda: flow(lambda: schema(release=None)),
    "stream: next fails": lambda: flow(arrays=[22], error=ctypes.addressof(TEXT)),
    "stream: next fails later": lambda: flow(arrays=[values(), values(), 22]),
    "stream: second is negative": lambda: flow(arrays=[values(), values(length=-1)]),
    "stream: struct without fields": lambda: flow(lambda: schema(b"+s", [schema(name=b"x")]), [values()]),
    "stream: fields without struct": lambda: flow(lambda: schema(b"+s"), [values((None,), [values()])]),
    "stream: no arrays": lambda: flow(),
    # ---- lengths ----
    "length -1": lambda: pair(schema(), values(length=-1)),
    "least length": lambda: pair(schema(), values(length=-BIG - 1)),
    "offset -1": lambda: pair(schema(), values(offset=-1)),
    "least offset": lambda: pair(schema(), values(offset=-BIG - 1)),
    "greatest length": lambda: pair(schema(), values(length=BIG)),
    "greatest length of bytes": lambda: pair(schema(b"c"), values(length=BIG, offset=1)),
    "greatest offset": lambda: pair(schema(), values(offset=BIG)),
    "greatest of both": lambda: pair(schema(), values(length=BIG, offset=BIG)),
    "a length whose bytes are none": lambda: pair(schema(), values(length=2**61)),
    "no buffers": lambda: pair(schema(), values(())),
    "one buffer": lambda: pair(schema(), values((NUMBERS,))),
    "-1 buffers": lambda: pair(schema(), values(n_buffers=-1)),
    "buffers at 0": lambda: pair(schema(), without(values(), "buffers")),
    "values at 0": lambda: pair(schema(), values((None, None))),
    "values at 0, with bits": lambda: pair(schema(), values((BITS, None), null_count=1)),
    "bools at 0": lambda: pair(schema(b"b"), values((None, None))),
    "days at 0": lambda: pair(schema(b"tdD"), values((None, None))),
    # ---- structs ----
    "field -1": lambda: struct(values(length=-1)),
    "field offset -1": lambda: struct(values(offset=-1)),
    "field too short": lambda: struct(values(length=3)),
    "field too short for the offset": lambda: struct(values(), offset=1),
    "struct -1": lambda: struct(values(), length=-1),
    "struct offset -1": lambda: struct(values(), offset=-1),
    "struct of the greatest length": lambda: struct(values(), length=BIG),
    "struct of the greatest of both": lambda: struct(values(length=BIG), length=BIG, offset=BIG),
    "all of the greatest": lambda: struct(values(length=BIG, offset=BIG), length=BIG, offset=BIG),
    "field without buffers": lambda: struct(values(())),
    "field with values at 0": lambda: struct(values((None, None))),
    "field at 0": lambda: struct(None),
    "fields at 0": lambda: pair(
        schema(b"+s", [schema(name=b"x")]), without(values((None,), [values()]), "children")),
    "-1 fields": lambda: struct(values(), n_children=-1),
    "more fields": lambda: struct(values(), n_children=2),
    "field released": lambda: struct(values(release=None)),
    "field released, without buffers": lambda: struct(without(values((), release=None), "buffers")),
    "schema with -1 fields": lambda: pair(schema(b"+s", n_children=-1), values((None,), n_children=-1)),
    "schema with fields at 0": lambda: pair(schema(b"+s", n_children=1), values((None,), [values()])),
    "schema with a field at 0": lambda: pair(schema(b"+s", [None]), values((None,), [values()])),
    "struct without fields": lambda: pair(schema(b"+s"), values((None,))),
    "two fields of a name": lambda: pair(
        schema(b"+s", [schema(name=b"x"), schema(name=b"x")]), values((None,), [values(), values()])),
    # ---- types ----
    "format at 0": lambda: pair(schema(None), values()),
    **{
        f"format {format!r}": lambda format=format: pair(schema(format), values())
        for format in (
            b"", b" ", b"ll", b"\\xff", b"\\xc3\\xa9", b"t", b"ts", b"tsx:", b"tsx", b"tD", b"tDx", b"td", b"tdx",
            b"tt", b"ttx", b"tiM", b"tiD", b"w:8", b"d:5,2", b"+", b"+l", b"+w:2", b"+ud:0", b"+r", b"+m", b"n", b"u",
            b"z", b"vu", b"x" * 10_000, b"l" + b"\\xe2\\x82",
        )
    },
    "dictionary": lambda: pair(
        schema(dictionary=ctypes.pointer(schema(b"u"))), values(dictionary=ctypes.pointer(values()))),
    "struct with a dictionary": lambda: pair(
        schema(b"+s", [schema(name=b"x")], dictionary=ctypes.pointer(schema(b"u"))), values((None,), [values()])),
}

# What says nothing wrong, or nothing that matters: the right answer, or a refusal of what cannot be.
ANSWERED = {
    "null_count 0": (lambda: pair(schema(), values()), 4, True),
    "null_count -1": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=-1)), 3, True),
    "null_count -1 without bits": (lambda: pair(schema(), values(null_count=-1)), 4, True),
    "null_count too large": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=100)), 3, False),
    "null_count too small": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=-100)), 3, False),
    "greatest null_count": (lambda: pair(schema(), values((BITS, NUMBERS), null_count=BIG)), 3, False),
    "null_count without bits": (lambda: pair(schema(), values(null_count=2)), 4, False),
    "struct null_count -1": (lambda: struct(values((BITS, NUMBERS), null_count=-1), null_count=-1), 3, True),
    "all null": (lambda: pair(schema(), values((NO_BITS, NUMBERS), null_count=-1)), 0, True),
    "no length, no buffers": (lambda: pair(schema(), values((), length=0)), 0, True),
    "no length, values at 0": (lambda: pair(schema(), values((None, None), length=0)), 0, True),
    "no length, buffers at 0": (lambda: pair(schema(), without(values((), length=0), "buffers")), 0, True),
    "a name of other bytes": (lambda: named(bytes([0xFF, 0xFE])), 4, True),
    "no name": (lambda: named(None), 4, True),
    "three chunks, one empty": (lambda: flow(arrays=[values(), values(length=0), values()]), 8, True),
    "one more buffer": (lambda: pair(schema(), values((None, NUMBERS, None))), 4, True),
}

def is_refusal(error):
    if isinstance(error, ExceptionGroup):
        return all(map(is_refusal, error.exceptions))
    return isinstance(error, (TypeError, ValueError))

USES = {
    "data": lambda lies: ff.run(lies, "count"),
    "dict": lambda lies: ff.run({"a": lies}, ["count", "max"]),
    "function": lambda lies: ff.run(lies, [np.size]),
    "where": lambda lies: ff.run(np.arange(4), "count", where=lies),
    "weights": lambda lies: ff.run(np.arange(4.0), "mean", weights=lies),
    "by": lambda lies: ff.run(np.arange(4), "count", by=lies),
}

wrong = {}
for name, make in CASES.items():
    for use, run in USES.items():
        print("at", name, use, file=sys.stderr, flush=True)
        given.clear(), released.clear()
        lies = make()
        try:
            found = f"answered {dict(run(lies))}"
        except BaseException as error:
            found = "" if is_refusal(error) else f"{type(error).__name__}: {error}"
            del error
        if found:
            wrong[f"{name}, as {use}"] = found[:300]
        if len(set(released)) != len(released) or not set(released) <= set(given):
            wrong[f"{name}, as {use}, released"] = f"{given} were given, {released} released"

for name, (make, count, is_legal) in ANSWERED.items():
    print("at", name, file=sys.stderr, flush=True)
    given.clear(), released.clear()
    lies = make()
    found = ""
    try:
        own = ff.run(lies, "count")["count"]
        own = next(iter(own.values())) if isinstance(own, dict) else own
        if own != count:
            found = f"counted {own}, not {count}"
    except Exception as error:
        found = repr(error) if is_legal or not is_refusal(error) else ""
    if found:
        wrong[name] = found[:300]
    if sorted(released) != sorted(given):
        wrong[f"{name}, released"] = f"{given} were given, {released} released"
print(json.dumps(wrong))
"""


def test_what_lies_is_refused() -> None:
    wrong = json.loads(run_script(HOSTILE).splitlines()[-1])
    assert wrong == {}, "\n".join(f"{case}: {found}" for case, found in wrong.items())


# ---- what is odd ----


class Odd:
    """An object with a method that raises, or returns something of no use."""

    def __repr__(self) -> str:
        return type(self).__name__


def odd(name: str, **methods: Any) -> Any:
    return type(name, (Odd,), methods)()


def fails(error: Exception) -> Callable[..., Any]:
    def method(*_: Any, **__: Any) -> Any:
        raise type(error)(*error.args)

    return method


def gives(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


ERRORS: tuple[Exception, ...] = (RuntimeError("no"), KeyError("no"), AttributeError("no"), TypeError("no"), OSError())
METHODS = (
    "__array__", "__len__", "__getattr__", "__iter__", "__getitem__", "__bool__", "__eq__", "__hash__", "__repr__",
    "__array_interface__", "__array_struct__", "__dlpack__", "__dlpack_device__", "__array_ufunc__", "__float__",
    "__array_function__", "__index__", "__buffer__", "__arrow_c_array__", "__arrow_c_stream__", "__contains__",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None,
    0,
    -1,
    2.5,
    "text",
    b"",
    (),
    {},
    [1, 2],
    np.float64(1.0),
    np.array(["a"], object),
    object,
)


@st.composite
def odd_objects(draw: st.DrawFn) -> Any:
    methods: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(METHODS), min_size=1, max_size=4, unique=True)):
        method: Any = draw(st.sampled_from([*map(fails, ERRORS), *map(gives, VALUES)]))
        ways = [method, property(method), draw(st.sampled_from(VALUES))]
        methods[name] = ways[0] if name == "__getattr__" else draw(st.sampled_from(ways))
    return odd("Odd" + "".join(methods), **methods)


def generator() -> Iterator[int]:
    yield 1


THINGS: list[Any] = [
    ...,
    NotImplemented,
    int,
    list,
    Odd,
    len,
    np,
    np.float64,
    np.float64(2.0),
    np.str_("a"),
    np.datetime64("2020"),
    np.timedelta64("NaT"),
    np.ma.masked,
    np.void(b"abc"),
    pd.NA,
    pd.NaT,
    pd.Timestamp("2020"),
    pa.scalar(1),
    pl.Int64,
    np.array(3.0),
    np.array(None),
    np.array([1, "a", None], object),
    np.zeros(2, "U3"),
    np.zeros((0, 3)),
    np.zeros(3, [("a", "i4")]),
    np.zeros(2, "V3"),
    np.longdouble(1),
    np.zeros(2, np.longdouble),
    np.array(["NaT", "NaT"], "M8"),
    pa.array([1, None]),
    pa.array([[1], None]),
    pa.array([]),
    pa.chunked_array([], pa.int64()),
    pa.chunked_array([], pa.string()),
    pa.array([{"a": 1}, None]),
    pa.table({}),
    pa.schema([]),
    pl.Series([None, None]),
    pl.Series([object()], dtype=pl.Object),
    pl.DataFrame(),
    pd.Series([], dtype=object),
    pd.Series([1, None], dtype=object),
    pd.Series(pd.period_range("2020", periods=2)),
    pd.Series(pd.interval_range(0, 2)),
    pd.Series(pd.arrays.SparseArray([0, 0, 1])),
    pd.MultiIndex.from_tuples([(1, 2)]),
    fractions.Fraction(1, 3),
    decimal.Decimal("1.5"),
    datetime.date(2020, 1, 1),
    datetime.timedelta(1),
    memoryview(b""),
    np.zeros((2, 2)).data,
]
# Some of them have neither a hash nor a text, which hypothesis would ask for.
things: st.SearchStrategy[Any] = st.integers(0, len(THINGS) - 1).map(THINGS.__getitem__)
scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=3)
    | st.binary(max_size=9)
    | things
    | things
)
hashables: st.SearchStrategy[Any] = (
    st.none() | st.integers(-3, 3) | st.text(max_size=2) | st.floats() | st.sampled_from([int, ..., (1, "a"), b"x", ()])
)
oddities: st.SearchStrategy[Any] = st.recursive(
    scalars | odd_objects(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(st.integers(-3, 3), max_size=4)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.frozensets(hashables, max_size=3)
        | st.sets(hashables, max_size=3)
        | st.lists(st.integers(-3, 3), max_size=4).map(iter)
        | st.just(None).map(lambda _: generator())
        | st.just(None).map(lambda _: (each for each in (1.0, "a")))
        | inner.map(lambda one: {"x": np.arange(4.0), "y": one})
        | inner.map(lambda one: [np.arange(2), one])
        | inner.map(lambda one: map(str, [one]))
    ),
    max_leaves=6,
)


def is_refusal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_refusal, error.exceptions))
    return isinstance(error, TypeError | ValueError)


def refused_or_answered(call: Callable[[], Any]) -> None:
    try:
        call()
    except Exception as error:
        if not is_refusal(error):
            raise


ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "data": lambda one: ff.run(one, ["count", "max"]),
    "data, to a function": lambda one: ff.run(one, [np.size]),
    "column": lambda one: ff.run({"a": one, "b": [1.0]}, "count"),
    "item": lambda one: ff.run([1.0, one], "count"),
    "where": lambda one: ff.run(np.arange(4.0), "count", where=one),
    "weights": lambda one: ff.run(np.arange(4.0), "mean", weights=one),
    "by": lambda one: ff.run(np.arange(4.0), "count", by=one),
    "by, of several": lambda one: ff.run(np.arange(4.0), "count", by=(one, [1, 2, 3, 4])),
    "label": lambda one: ff.run(np.arange(2.0), "count", by=[1, one]),
}


def faults(things: Iterable[tuple[str, Any]], argument: str) -> list[str]:
    """Of things with names, which raise what is no refusal."""
    found: list[str] = []
    for name, thing in things:
        try:
            refused_or_answered(lambda: ARGUMENTS[argument](thing))
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def each_odd_object() -> Iterator[tuple[str, Any]]:
    for name in METHODS:
        for number, method in enumerate([*map(fails, ERRORS), *map(gives, VALUES)]):
            what = f"raises {ERRORS[number]!r}" if number < len(ERRORS) else f"gives {VALUES[number - len(ERRORS)]!r}"
            yield f"{name} {what}", odd("Odd", **{name: method})
            if name != "__getattr__":
                yield f"{name} is a property that {what}", odd("Odd", **{name: property(method)})
    for name in METHODS:
        yield from ((f"{name} = {value!r}", odd("Odd", **{name: value})) for value in VALUES)


def each_closed_object() -> Iterator[tuple[str, Any]]:
    """Objects that tell nothing of themselves, not even their class, and classes that do not."""
    for error in ERRORS:
        yield f"__getattribute__ raises {error!r}", odd("Closed", __getattribute__=fails(error))
        yield f"__class__ raises {error!r}", odd("Closed", __class__=property(fails(error)))
        closed = type("ClosedType", (type,), {"__getattr__": fails(error)})("Closed", (), {})
        yield f"its class's __getattr__ raises {error!r}", closed()
        yield f"a class whose __getattr__ raises {error!r}", closed


arguments = pytest.mark.parametrize("argument", ARGUMENTS)


@arguments
def test_objects_with_an_odd_method(argument: str) -> None:
    assert faults(each_odd_object(), argument) == []


@pytest.mark.parametrize("argument", ["data"])
def test_objects_that_tell_nothing(argument: str) -> None:
    assert faults(each_closed_object(), argument) == []


@arguments
def test_things_that_hold_no_numbers_or_odd_ones(argument: str) -> None:
    assert faults(((f"{type(one).__name__} {number}", one) for number, one in enumerate(THINGS)), argument) == []


@settings(few, max_examples=600)
@given(oddities, st.sampled_from([["count"], ["count", "max"], [np.size]]))
def test_odd_data_are_refused_or_answered(data: Any, functions: Any) -> None:
    refused_or_answered(lambda: ff.run(data, functions))


@settings(few, max_examples=300)
@given(oddities)
def test_odd_masks_are_refused_or_answered(where: Any) -> None:
    refused_or_answered(lambda: ff.run(np.arange(4.0), ["count"], where=where))


@settings(few, max_examples=300)
@given(oddities)
def test_odd_weights_are_refused_or_answered(weights: Any) -> None:
    refused_or_answered(lambda: ff.run(np.arange(4.0), ["mean"], weights=weights))


@settings(few, max_examples=400)
@given(oddities)
def test_odd_labels_are_refused_or_answered(by: Any) -> None:
    refused_or_answered(lambda: ff.run(np.arange(4.0), ["count"], by=by))


@settings(few, max_examples=150)
@given(st.data(), oddities, st.sampled_from(["by", "where", "weights"]))
def test_odd_columns_beside_tables(data: st.DataObject, argument: Any, name: str) -> None:
    table = data.draw(
        st.sampled_from([pd.DataFrame({"a": [1.0, 2.0]}), pl.DataFrame({"a": [1, 2]}), {"a": np.ones(2)}])
    )
    refused_or_answered(lambda: ff.run(table, ["mean"], **{name: argument}))
