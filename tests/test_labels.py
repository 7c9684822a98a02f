"""What holds labels: what NumPy, pandas, Polars and Arrow have for it is grouped by equality, or refused by its dtype.

The oracle is a dict of Python's objects: no label goes through a float, and what is missing makes no group.
"""

import datetime
import decimal
import fractions
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanfold as ff
from fresh import run_script

Array = npt.NDArray[Any]

BIG = 2**53
"""From here on neighbouring integers are one float64."""

INTEGERS = [BIG, BIG + 1, None, BIG, -BIG - 1, -BIG]
UNSIGNED = [2**64 - 1, 2**64 - 2, None, 0, 2**64 - 1, 2**63]
BOOLS = [True, None, True, False, True, None]
FLOATS = [0.5, None, -0.0, 0.0, 0.5, float("inf")]
STRINGS = ["b", None, "a", "é", "b", ""]
BYTES = [b"b", None, b"a", b"b", b"", b"\x00a"]
DATES = [datetime.date(2020, 1, day) if day else None for day in (3, 0, 1, 3, 2, 1)]
TIMES = [datetime.datetime(2020, 1, day, 12, 30, 1, 5) if day else None for day in (3, 0, 1, 3, 2, 1)]
ZONED = [time and time.replace(tzinfo=datetime.UTC) for time in TIMES]
DURATIONS = [datetime.timedelta(day, 5, 7) if day else None for day in (-3, 0, 1, -3, 2, 1)]
HOURS = [datetime.time(hour) if hour else None for hour in (3, 0, 1, 3, 2, 1)]
DECIMALS = [decimal.Decimal(text) if text else None for text in ("0.10", "", "0.11", "0.1", "-7", "0.11")]
HUGE = [2**100, None, 2**100 + 1, 2**100, -(2**90), 0]


def masked(values: Sequence[Any], dtype: Any, hidden: Any) -> Array:
    """A masked array with something under its mask that another element has as a label."""
    array = np.array([hidden if value is None else value for value in values], dtype)
    return np.ma.array(array, mask=[value is None for value in values])  # type: ignore[no-untyped-call,no-any-return]


def ns(values: Sequence[Any]) -> Array:
    return np.array(values, "M8[us]").astype("M8[ns]")


HELD: dict[str, tuple[Any, Sequence[Any]]] = {
    # What holds labels, and what these are; None where there is none.
    **{
        f"np.ma {np.dtype(dtype)}": (masked(values, dtype, hidden), values)
        for dtype, values, hidden in (
            ("i8", INTEGERS, BIG),
            (">i8", INTEGERS, BIG),
            ("u8", UNSIGNED, 0),
            ("?", BOOLS, True),
            ("f4", FLOATS, 0.5),
            ("f8", FLOATS, np.nan),
            ("g", FLOATS, 0.5),
            ("U2", STRINGS, "b"),
            ("S2", BYTES, b"b"),
            ("O", STRINGS, "b"),
            ("M8[D]", DATES, "2020-01-01"),
            ("m8[us]", DURATIONS, "NaT"),
            ("O", HUGE, 0),
        )
    },
    "np.ma far apart": (
        masked([2**62, None, -(2**62), 2**62, 0, None], "i8", 2**63 - 1),
        [2**62, None, -(2**62), 2**62, 0, None],
    ),
    "np.ma with a hard mask": (
        np.ma.array([1, 2, 1, 3, 1, 1], mask=[0, 0, 0, 0, 1, 1], hard_mask=True),
        [1, 2, 1, 3, None, None],
    ),
    "np.ma without a mask": (np.ma.array([1, 2, 1, 3, 1, 1]), [1, 2, 1, 3, 1, 1]),
    "np.ma, all masked": (np.ma.masked_all(6, int), [None] * 6),
    "long doubles": (
        np.array([1, 1, 1, np.nan, 0, 0], "g") + np.array([0, 1, 0, 0, 0, -0.0], "g") * np.finfo("g").eps,
        [np.longdouble(1), np.longdouble(1) + np.finfo("g").eps, np.longdouble(1), None, 0, 0],
    ),
    "float16": (
        np.array([0.1, 0.5, np.nan, 0.1, -0.0, 0], "f2"),
        [float(np.float16(0.1)), 0.5, None, float(np.float16(0.1)), 0, 0],
    ),
    "big-endian floats": (np.array([0.1, 0.5, np.nan, 0.1, np.inf, 0], ">f8"), [0.1, 0.5, None, 0.1, np.inf, 0]),
    "big-endian strings": (np.array(["b", "a", "b", "é", "", "a"], ">U2"), ["b", "a", "b", "é", "", "a"]),
    "times at the ends": (
        np.array([-(2**63), 2**63 - 1, 2**63 - 2, -(2**63), 2**63 - 1, 2**63 - 9]).view("m8[ns]"),
        [None, 2**63 - 1, 2**63 - 2, None, 2**63 - 1, 2**63 - 9],
    ),
    "StringDType": (np.array([s or "" for s in STRINGS], np.dtypes.StringDType()), [s or "" for s in STRINGS]),
    **{
        f"StringDType, {na!r} missing": (
            np.array([na if s is None else s for s in STRINGS], np.dtypes.StringDType(na_object=na)),
            STRINGS,
        )
        for na in (None, float("nan"), pd.NA, "__missing__")
    },
    **{
        f"objects, {name}": (np.array([na, *values], object)[[1, 0, 2, 3, 4, 5]], [values[0], None, *values[1:5]])
        for name, na, values in (
            ("strings and NA", pd.NA, ["b", "a", "é", "b", ""]),
            ("strings and NaN", float("nan"), ["b", "a", "é", "b", ""]),
            ("integers and NA", pd.NA, [BIG, BIG + 1, BIG, 2**70, 2**70 + 1]),
            ("integers and None", None, [BIG, BIG + 1, BIG, -1, 2**64]),
            ("integers and NaN", np.nan, [BIG, BIG + 1, BIG, -1, 2**64]),
            ("integers and floats", None, [BIG, BIG + 1, float(BIG), 0.5, -1]),
            (
                "times and NaT",
                pd.NaT,
                [pd.Timestamp(3), pd.Timestamp(1), pd.Timestamp(2), pd.Timestamp(3), pd.Timestamp(1)],
            ),
            ("Decimals and NaN", decimal.Decimal("NaN"), [d or decimal.Decimal(3) for d in DECIMALS[:5]]),
            ("bools", None, [True, False, True, True, False]),
            ("fractions", None, [fractions.Fraction(1, n) for n in (3, 2, 3, 6, 2)]),
        )
    },
    "tuples": (
        np.fromiter([(1, "a"), (1, "b"), (1, None), (1, "a"), (0, "b"), (np.nan, "a")], object),
        [(1, "a"), (1, "b"), None, (1, "a"), (0, "b"), None],
    ),
    "a list": (INTEGERS, INTEGERS),
    "a list of strings": (STRINGS, STRINGS),
    "a list of integers and NaN": ([BIG, BIG + 1, float("nan"), BIG, -1, -1], [BIG, BIG + 1, None, BIG, -1, -1]),
    "a list of integers of either sign": ([2**63 + 1, 2**63, -1, 2**63, -1, -2], [2**63 + 1, 2**63, -1, 2**63, -1, -2]),
    "a list of strings with NUL": (["a\0", "a", "a\0", "b", "a", "b"], ["a\0", "a", "a\0", "b", "a", "b"]),
    "a list of numbers": ([1, 2.5, 1, 2.5, True, -1], [1, 2.5, 1, 2.5, 1, -1]),
    "a range": (range(6), list(range(6))),
    **{
        f"pandas {dtype}": (pd.Series(values, dtype=dtype), values)
        for dtype, values in (
            ("Int64", INTEGERS),
            ("UInt64", UNSIGNED),
            ("Int8", [1, -1, None, 1, 127, -128]),
            ("boolean", BOOLS),
            ("Float64", FLOATS),
            ("Float32", FLOATS),
            ("string[python]", STRINGS),
            ("string[pyarrow]", STRINGS),
            ("str", STRINGS),
            ("object", STRINGS),
            ("O", HUGE),
            ("int64[pyarrow]", INTEGERS),
            ("uint64[pyarrow]", UNSIGNED),
            ("bool[pyarrow]", BOOLS),
            ("double[pyarrow]", FLOATS),
            ("large_string[pyarrow]", STRINGS),
            ("category", STRINGS),
            ("binary[pyarrow]", BYTES),
            ("date32[day][pyarrow]", DATES),
            ("timestamp[us][pyarrow]", TIMES),
            ("datetime64[ns, UTC]", ZONED),
            ("datetime64[us]", TIMES),
            ("Sparse[float]", FLOATS),
            ("Sparse[int]", [1, 0, 0, 1, 7, BIG + 1]),
            ("int64", [1, 0, 0, 1, 7, BIG + 1]),
        )
    },
    "pandas Float64 with NaN": (
        pd.array([0.5, None, 1.5, 0.5, 2.5, 1.5], dtype="Float64") * np.array([1, 1, np.nan, 1, 1, 1]),
        [0.5, None, None, 0.5, 2.5, 1.5],
    ),
    "pandas decimals": (pd.Series(DECIMALS, dtype=pd.ArrowDtype(pa.decimal128(5, 2))), DECIMALS),
    "pandas dictionary": (pd.Series(STRINGS, dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))), STRINGS),
    "pandas Index": (pd.Index(INTEGERS, dtype="Int64"), INTEGERS),
    "pandas RangeIndex": (pd.RangeIndex(6), list(range(6))),
    "pandas array": (pd.array(INTEGERS, dtype="Int64"), INTEGERS),
    "pandas rows in another order": (pd.Series(INTEGERS, index=[5, 4, 3, 0, 1, 1], dtype="Int64"), INTEGERS),
    **{
        f"pandas periods, {type(by).__name__}": (by, [pd.Period(d, "D") if d else None for d in DATES])
        for periods in [pd.PeriodIndex([d or "NaT" for d in DATES], freq="D")]
        for by in (periods, pd.Series(periods), periods.array)
    },
    "pandas intervals": (
        pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), None, (0, 1), (3, 4), None]),
        [pd.Interval(0, 1), pd.Interval(1, 2), None, pd.Interval(0, 1), pd.Interval(3, 4), None],
    ),
    **{
        f"Arrow {kind}": (pa.array(values, kind), values)
        for kind, values in (
            (pa.int64(), INTEGERS),
            (pa.uint64(), UNSIGNED),
            (pa.int8(), [1, -1, None, 1, 127, -128]),
            (pa.bool_(), BOOLS),
            (pa.float64(), FLOATS),
            (pa.float32(), FLOATS),
            (pa.string(), STRINGS),
            (pa.large_string(), STRINGS),
            (pa.string_view(), STRINGS),
            (pa.binary(), BYTES),
            (pa.date32(), DATES),
            (pa.timestamp("us"), TIMES),
            (pa.timestamp("us", "UTC"), ZONED),
            (pa.duration("us"), DURATIONS),
            (pa.time64("us"), HOURS),
            (pa.decimal128(5, 2), DECIMALS),
            (pa.decimal256(70, 0), [h if h is None else decimal.Decimal(h) for h in HUGE]),
            (pa.null(), [None] * 6),
        )
    },
    "Arrow NaN": (pa.array([0.5, float("nan"), None, 0.5, 1.5, 0.5]), [0.5, None, None, 0.5, 1.5, 0.5]),
    "Arrow dictionary": (pa.array(STRINGS).dictionary_encode(), STRINGS),
    "Arrow dictionary with doubles and nulls": (
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, None, 0], pa.uint8()), ["b", "a", "b", None]),
        ["b", "a", "b", None, None, "b"],
    ),
    "Arrow in chunks": (pa.chunked_array([INTEGERS[:1], INTEGERS[1:]]), INTEGERS),
    "Arrow strings in chunks": (pa.chunked_array([STRINGS[:3], STRINGS[3:]]), STRINGS),
    "Arrow dictionaries in chunks": (
        pa.chunked_array([pa.array(STRINGS[:3]).dictionary_encode(), pa.array(STRINGS[3:]).dictionary_encode()]),
        STRINGS,
    ),
    "a slice of Arrow": (pa.array([7, None, *INTEGERS, 3])[2:8], INTEGERS),
    **{
        f"Polars {dtype}": (pl.Series(values, dtype=dtype), values)
        for dtype, values in (
            (pl.Int64, INTEGERS),
            (pl.UInt64, UNSIGNED),
            (pl.Int8, [1, -1, None, 1, 127, -128]),
            (pl.Int128, HUGE),
            (pl.Boolean, BOOLS),
            (pl.Float64, FLOATS),
            (pl.Float32, FLOATS),
            (pl.String, STRINGS),
            (pl.Binary, BYTES),
            (pl.Categorical, STRINGS),
            (pl.Date, DATES),
            (pl.Datetime("us"), TIMES),
            (pl.Datetime("us", "UTC"), ZONED),
            (pl.Duration("us"), DURATIONS),
            (pl.Time, HOURS),
            (pl.Decimal(10, 2), DECIMALS),
            (pl.Null, [None] * 6),
        )
    },
    "Polars NaN": (pl.Series([0.5, float("nan"), None, 0.5, 1.5, 0.5]), [0.5, None, None, 0.5, 1.5, 0.5]),
}


def plain(label: Any) -> Any:
    """A label of NumPy's as one of Python's, if that is the same."""
    return label.item() if isinstance(label, np.generic) and not isinstance(label, np.longdouble) else label


def expected(labels: Sequence[Any]) -> dict[Any, float]:
    """The sum of 1, 2, 4, … of each label, in their order."""
    sums: dict[Any, float] = {}
    for number, label in enumerate(labels):
        if label is not None:
            sums[label] = sums.get(label, 0.0) + 2.0**number
    return dict(sorted(sums.items()))


def grouped(by: Any, size: int = 6) -> tuple[list[Any], list[float]]:
    found = ff.run(2.0 ** np.arange(size), "sum", by=by)
    assert len(found.groups) == len(found["sum"])
    return list(map(plain, found.groups)), found["sum"].tolist()


@pytest.mark.parametrize("kind", HELD)
def test_labels_are_told_apart_as_they_are(kind: str) -> None:
    by, labels = HELD[kind]
    right = expected(labels)
    groups, sums = grouped(by)
    assert groups == list(right)
    assert sums == list(right.values())


@pytest.mark.parametrize("kind", HELD)
def test_any_labels_are_a_key_among_several(kind: str) -> None:
    by, labels = HELD[kind]
    other = pd.array([1, 2, 1, None, 1, 2], dtype="Int64")
    pairs = zip(labels, [1, 2, 1, None, 1, 2], strict=True)
    right = expected([None if None in pair else pair for pair in pairs])
    found = ff.run(2.0 ** np.arange(6), "sum", by=(by, other))
    first, second = (list(map(plain, groups)) for groups in found.groups)
    assert list(zip(first, second, strict=True)) == list(right)
    assert found["sum"].tolist() == list(right.values())


@pytest.mark.parametrize(
    "kind", ["i1", "u2", "i8", "u8", "?", "f2", "f4", "f8", "g", "U3", "S3", "M8[D]", "m8[ns]", "O", "T"]
)
def test_groups_have_the_dtype_of_labels(kind: str) -> None:
    labels = np.array([1, 0, 1, 1, 0, 1]).astype(np.dtypes.StringDType() if kind == "T" else kind)
    right = np.unique(labels)
    frozen = labels.copy()
    frozen.flags.writeable = False
    spread = np.repeat(labels, 3)[::3]
    swapped = labels.astype(labels.dtype.newbyteorder()) if kind != "T" else labels
    for by in (labels, frozen, spread, swapped, labels[::-1].copy()[::-1], np.ma.array(labels)):
        found = ff.run(np.arange(6.0), "sum", by=by)
        assert found.groups.dtype == right.dtype
        np.testing.assert_array_equal(found.groups, right)
        np.testing.assert_array_equal(found["sum"], [5, 10])
    flat = ff.run(np.arange(6.0).reshape(2, 3), "sum", by=labels.reshape(3, 2).T.copy().T.reshape(2, 3))
    np.testing.assert_array_equal(flat["sum"], [5, 10])


def test_masked_labels_of_several_axes() -> None:
    by = np.ma.array([[1, 2], [1, 2], [1, 1]], mask=[[0, 0], [1, 0], [0, 1]])
    for data, labels in (
        (np.arange(6.0).reshape(3, 2), by),
        (np.arange(6.0), by.ravel()),
        (np.arange(6.0).reshape(2, 3).T, by),
    ):
        found = ff.run(data, "sum", by=labels)
        assert found.groups.tolist() == [1, 2]
        flat = data.reshape(-1)
        np.testing.assert_array_equal(found["sum"], [flat[[0, 4]].sum(), flat[[1, 3]].sum()])


def test_categories_have_the_order_that_was_given() -> None:
    ordered = ["c", "b", "a", "unused"]
    values = ["a", None, "c", "a", "b", "c"]
    for by in (
        pd.Categorical(values, categories=ordered),
        pd.Series(values, dtype=pd.CategoricalDtype(ordered, ordered=True)),
        pd.CategoricalIndex(values, categories=ordered),
        pl.Series(values, dtype=pl.Enum(ordered)),
    ):
        assert grouped(by) == (["c", "b", "a"], [36, 16, 9])
    numbers = pd.Categorical(INTEGERS, categories=pd.array([BIG + 1, BIG, -BIG, -BIG - 1], dtype="Int64"))
    assert grouped(numbers) == ([BIG + 1, BIG, -BIG, -BIG - 1], [2, 9, 32, 16])


def test_an_index_of_several_levels_is_several_keys() -> None:
    by = pd.MultiIndex.from_arrays([pd.array(INTEGERS, dtype="Int64"), ["x", "y", "x", "x", "y", None]])
    found = ff.run(2.0 ** np.arange(6), "sum", by=by)
    assert [groups.tolist() for groups in found.groups] == [[-BIG - 1, BIG, BIG + 1], ["y", "x", "y"]]
    assert found["sum"].tolist() == [16, 9, 2]


def test_the_first_of_equal_objects_is_the_label() -> None:
    groups, sums = grouped(np.array([True, 1, 1.0, decimal.Decimal(1), 0, False], object))
    assert [type(group) for group in groups] == [int, bool]
    assert sums == [48, 15]


class Odd:
    """An object that cannot be compared."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not with me")


REFUSED: dict[str, tuple[Any, str]] = {
    "complex": (np.ones(6, complex), "by has dtype complex128, which cannot be labels: pass integers"),
    "long complex": (np.ones(6, "G"), "by has dtype complex256, which cannot be labels"),
    "masked complex": (
        np.ma.array(np.ones(6, complex), mask=[1, 0, 0, 0, 0, 0]),
        "by has dtype complex128, which cannot be labels",
    ),
    "records": (
        np.zeros(6, "i4,f8"),
        r"by has dtype \[\('f0', '<i4'\), .*\], which cannot be labels: pass its fields as a tuple",
    ),
    "masked records": (np.ma.zeros(6, "i4,f8"), r"by has dtype \[\('f0'.*pass its fields as a tuple"),
    "raw": (np.zeros(6, "V8"), r"by has dtype \|V8, which cannot be labels"),
    "a list of complex": ([1, 2j, 3, 4, 5, 6], "by has dtype complex128, which cannot be labels"),
    "numbers and strings": (
        [1, "1", 2, "2", 1, 1],
        "by has dtype object, and holds objects that cannot be sorted",
    ),
    "lists": (
        np.fromiter([[1]] * 6, object),
        "by has dtype object, and holds objects that are not hashable .*'list'",
    ),
    "arrays": (
        np.fromiter([np.ones(2)] * 6, object),
        "by has dtype object, and holds objects that are not hashable",
    ),
    "odd": (
        np.fromiter([Odd() for _ in range(6)], object),
        "by has dtype object, .* cannot be sorted .not with me",
    ),
    "labels in a tuple": ((1, 2, 1, 2, 1, 2), r"by is a tuple of labels, .* pass list\(by\)"),
    "ragged": ([1, [2, 3], 4, 5, 6, 7], "by must be an array with a label for each element"),
    "a set": ({1, 2, 3, 4, 5, 6}, "by must be an array with a label for each element"),
    "None beside keys": ((np.arange(6), None), r"by\[1\] must be an array with a label for each element"),
    "pandas table": (pd.DataFrame({"a": range(6)}), r"not a table \(DataFrame\): pass one of its columns"),
    "Polars table": (pl.DataFrame({"a": range(6)}), r"not a table \(DataFrame\): pass one of its columns"),
    "Arrow table": (pa.table({"a": range(6)}), r"not a table \(Table\): pass one of its columns"),
    "Arrow lists": (pa.array([[1]] * 6), r"by has dtype list<.*>, which cannot be labels"),
    "Arrow structs": (pa.array([{"a": 1}] * 6), r"by has dtype struct<a: int64>, which cannot be labels"),
    "pandas lists": (
        pd.Series([[1]] * 6, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        r"by has dtype list<.*>\[pyarrow\], which cannot be",
    ),
    "Polars lists": (pl.Series([[1]] * 6), r"by has dtype List\(Int64\), which cannot be labels"),
    "Polars structs": (pl.Series([{"a": 1}] * 6), r"by has dtype Struct.*, which cannot be labels"),
    "Polars objects": (pl.Series([object()] * 6, dtype=pl.Object), "by has dtype Object, which cannot be labels"),
    "Polars nanoseconds": (
        pl.Series(TIMES, dtype=pl.Datetime("ns", "UTC")),
        "by has dtype Datetime.*, which cannot be labels",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_makes_no_labels_is_refused(kind: str) -> None:
    by, message = REFUSED[kind]
    with pytest.raises(TypeError, match=message):
        ff.run(np.arange(6.0), "mean", by=by)


def test_columns_of_another_length_are_refused() -> None:
    for by in (
        pa.array([1, None]),
        pl.Series([1, None]),
        pd.array([1, None], dtype="Int64"),
        np.ma.array([1, 2], mask=[0, 1]),
    ):
        with pytest.raises(ValueError, match=r"by has shape \(2,\): pass a label for each element"):
            ff.run(np.arange(6.0), "mean", by=by)


TEXTS: dict[str, Callable[[list[Any]], Any]] = {
    "object": lambda names: np.array(names, object),
    "U": lambda names: np.array(["" if name is None else name for name in names]),
    "S": lambda names: np.array([b"" if name is None else name.encode() for name in names]),
    "swapped": lambda names: np.array(["" if name is None else name for name in names]).astype(">U3")[::-1],
    "Polars": lambda names: pl.Series(names, dtype=pl.String),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("width", [1, 2, 3, 20])
def test_texts_are_grouped_with_pandas_and_without(kind: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(width)
    letters = rng.choice(list("abÄz€"), (500, width))
    names: list[Any] = ["".join(row[: 1 + number % width]) for number, row in enumerate(letters)]
    names = [None if kind in ("object", "Polars") and number % 7 == 0 else name for number, name in enumerate(names)]
    if kind == "S":
        names = [name.encode("ascii", "replace").decode() for name in names]
    by, x = TEXTS[kind](names), rng.normal(size=500)
    want = pd.Series(x).groupby(pd.Series(by.to_list() if kind == "Polars" else by.tolist(), dtype=object)).sum()
    for _ in range(2):
        r = ff.run(x, "sum", by=by)
        assert list(r.groups) == list(want.index)
        np.testing.assert_allclose(r["sum"], want, atol=1e-12)
        loaded = {name: module for name, module in sys.modules.items() if name != "pandas"}
        monkeypatch.setattr("fanfold.labels.sys", types.SimpleNamespace(modules=loaded))


def test_no_library_is_imported_for_labels() -> None:
    run_script("""
        found = ff.run(np.arange(4.0), "sum", by=np.array(["a", None, "b", "a"], object))
        assert found["sum"].tolist() == [3, 2]
        assert not {"pandas", "polars", "pyarrow"} & {*sys.modules}
    """)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(BIG, BIG + 3)), max_size=30))
def test_any_integers_and_missing_ones(labels: list[int | None]) -> None:
    right = expected(labels)
    for by in (
        pd.array(labels, dtype="Int64"),
        pa.array(labels, pa.int64()),
        pl.Series(labels, dtype=pl.Int64),
        np.array(labels, object),
        masked(labels, "i8", BIG),
    ):
        assert grouped(by, len(labels)) == (list(right), list(right.values()))


class Offers:
    """Arrow's protocol, and nothing else."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._held.__arrow_c_stream__(requested_schema)


class OffersOne:
    """The same of an array in one piece."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._held.__arrow_c_array__(requested_schema)


FOREIGN = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "dictionary of large strings": pa.dictionary(pa.uint32(), pa.large_string()),
}

ANY_TEXT = st.lists(st.none() | st.text(max_size=20) | st.sampled_from(["a", "b", "thirteen bytes", "twelve bytes"]))


@pytest.mark.parametrize("kind", FOREIGN)
@given(labels=ANY_TEXT, cut=st.integers(0, 20))
def test_text_of_any_library_that_speaks_arrow(kind: str, labels: list[str | None], cut: int) -> None:
    right = expected(labels)
    sizes = len(labels)
    plain = pa.array([None, "not there", *labels], pa.string())
    try:
        whole = plain.dictionary_encode().cast(FOREIGN[kind]) if "dictionary" in kind else plain.cast(FOREIGN[kind])
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        whole = pa.array(plain.to_pylist(), FOREIGN[kind])
    whole = whole.slice(2)
    assert grouped(OffersOne(whole), sizes) == (list(right), list(right.values()))
    # In pieces, each with a dictionary of its own.
    pieces = pa.chunked_array([whole.slice(0, cut), pa.array(whole.slice(cut).to_pylist(), FOREIGN[kind])])
    assert grouped(Offers(pieces), sizes) == (list(right), list(right.values()))
    table = Offers(pa.table({"x": 2.0 ** np.arange(sizes), "key": pieces}))
    found = ff.run(table, "sum", by="key")
    assert list(found.groups.tolist()) == list(right)
    assert found["sum"]["x"].tolist() == list(right.values())


@pytest.mark.parametrize("kind", ["int64", "date32", "bool", "float64"])
def test_numbers_of_any_library_that_speaks_arrow(kind: str) -> None:
    labels = {
        "int64": INTEGERS, "date32": DATES, "bool": BOOLS, "float64": FLOATS,
    }[kind]  # fmt: skip
    own = pa.array(labels, kind)
    right = grouped(own)
    assert grouped(OffersOne(own)) == right
    assert grouped(Offers(pa.chunked_array([own[:2], own[2:]]))) == right
    encoded = own.dictionary_encode()
    assert grouped(OffersOne(encoded)) == right
    # What an index stands for can be missing, too.
    holes = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 0, None, 1]), pa.array([own[0].as_py(), None, own[2].as_py()], kind)
    )
    assert grouped(OffersOne(holes)) == grouped(pa.array(holes.to_pylist(), kind))


def test_a_column_that_cannot_be_labels_is_refused_by_its_type() -> None:
    lists = pa.table({"x": [1.0, 2.0], "key": [[1], [2]]})
    with pytest.raises(TypeError, match="by has Arrow's type list, which holds no numbers"):
        ff.run(Offers(lists), "sum", by="key")
