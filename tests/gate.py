"""What the tests of the input share: columns of any kind, the objects that hold them, and NumPy's answers for them."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import fanfold as ff

Array = npt.NDArray[Any]

QUICK = tuple(phase for phase in Phase if phase is not Phase.explain)

few = settings(deadline=None, max_examples=30, phases=QUICK, suppress_health_check=[HealthCheck.too_slow])
fewer = settings(few, max_examples=20)
many = settings(few, max_examples=60)


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
