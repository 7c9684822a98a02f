"""Whatever holds numbers is read as it is: with the answers of the array, and no copy where there need be none."""

import array
import ctypes
import datetime
import multiprocessing
from collections.abc import Callable
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fanfold as ff
from fresh import run_script

FLOATS = np.random.default_rng(7).normal(size=200_000)
INTEGERS = np.arange(-5, 1_000)
TIMES = np.array(["2020-01-01", "NaT", "2021-05-05"], "M8[us]")
KERNELS = ["mean", "std", "min", "argmax", "median", "sort", "cumsum"]


class Interface:
    """What offers nothing but NumPy's interface."""

    def __init__(self, values: Any) -> None:
        self._values = values

    @property
    def __array_interface__(self) -> Any:
        return self._values.__array_interface__


class DLPack:
    """What offers nothing but DLPack."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __dlpack__(self, **how: Any) -> Any:
        return self._values.__dlpack__(**how)

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()


class Capsule:
    """What offers nothing but an Arrow array."""

    def __init__(self, values: Any) -> None:
        self._values = pa.array(values)

    def __arrow_c_array__(self, schema: Any = None) -> Any:
        return self._values.__arrow_c_array__(schema)


class Made:
    """What makes an array when it is asked for one."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if copy is False:
            raise ValueError("it has to be made")
        return self._values.copy()


def locked(values: Any) -> Any:
    """A shared array with a lock."""
    shared = multiprocessing.Array("d", len(values))
    np.asarray(shared.get_obj())[:] = values
    return shared


SHARING: dict[str, Callable[[Any], Any]] = {
    "array.array": lambda x: array.array("d", x),
    "ctypes": lambda x: (ctypes.c_double * len(x)).from_buffer(x.copy()),
    "memoryview": lambda x: memoryview(x),
    "multiprocessing.Array": locked,
    "multiprocessing.RawArray": lambda x: multiprocessing.RawArray("d", x.tolist()),
    "masked array without a mask": np.ma.array,
    "masked array with nothing masked": lambda x: np.ma.array(x, mask=np.zeros(len(x), bool)),
    "pandas Series": pd.Series,
    "pandas Index": pd.Index,
    "pandas Float64": lambda x: pd.Series(x, dtype="Float64"),
    "pandas double[pyarrow]": lambda x: pd.Series(x, dtype="double[pyarrow]"),
    "Polars": pl.Series,
    "Arrow": pa.array,
    "Arrow, in one chunk": lambda x: pa.chunked_array([x]),
    "Arrow's protocol": Capsule,
    "NumPy's interface": Interface,
    "DLPack": DLPack,
}
"""What is read where it lies."""

COPIED: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(x),
    "Arrow, in chunks": lambda x: pa.chunked_array([x[:1_000], x[1_000:]]),
    "Polars, in chunks": lambda x: pl.concat([pl.Series(x[:10]), pl.Series(x[10:])], rechunk=False),
    "what makes an array": Made,
}


def same(got: Any, want: Any) -> None:
    assert list(got) == list(want)
    for key in want:
        np.testing.assert_array_equal(got[key], want[key])
        assert got[key].dtype == want[key].dtype


@pytest.mark.parametrize("kind", [*SHARING, *COPIED])
def test_the_answers_are_those_of_the_array(kind: str) -> None:
    data = (SHARING | COPIED)[kind](FLOATS)

    def spread(v: Any) -> Any:
        assert isinstance(v, np.ndarray)
        return v.max() - v.min()

    r = ff.run(data, [*KERNELS, spread], workers=2)
    want = ff.run(FLOATS, [*KERNELS, spread], workers=2)
    same(r, want)
    assert r.report.how == want.report.how
    assert r.report.bytes_copied == (FLOATS.nbytes if kind in COPIED else 0)
    same(ff.plan(KERNELS).run(data), ff.run(FLOATS, KERNELS))
    by = np.arange(FLOATS.size) % 3
    same(ff.run(data, ["mean", "median"], by=by), ff.run(FLOATS, ["mean", "median"], by=by))


@pytest.mark.parametrize("kind", [each for each in SHARING if each not in ("memoryview", "ctypes")])
def test_what_is_read_where_it_lies_is_that_very_memory(kind: str) -> None:
    data = SHARING[kind](np.ones(3))
    kept = ff.run(data, {"v": lambda v: v})["v"]
    with_view = np.asarray(data.get_obj()) if hasattr(data, "get_obj") else None
    if with_view is not None:
        with_view[0] = 7.0
        assert kept[0] == 7.0
    assert not kept.flags.writeable


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (range(-5, 1_000), INTEGERS),
        (pd.Series(INTEGERS, dtype="Int32"), INTEGERS.astype(np.int32)),
        (pd.Series([True, False], dtype="boolean"), np.array([True, False])),
        (pd.Series(TIMES), TIMES),
        (pa.array([True, False, True]), np.array([True, False, True])),
        (pl.Series([True, False]), np.array([True, False])),
        (pa.array(INTEGERS), INTEGERS),
        (b"bytes", np.frombuffer(b"bytes", np.uint8)),
        (bytearray(b"bytes"), np.frombuffer(b"bytes", np.uint8)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        ([np.arange(3.0), np.ones(3)], np.array([np.arange(3.0), np.ones(3)])),
        ([], np.array([])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_dtypes_and_shapes(data: Any, want: Any) -> None:
    same(ff.run(data, ["count", "max"] if want.size else ["count"]), ff.run(want, ["count", "max"][: want.size + 1]))


def test_nested_lists_have_axes() -> None:
    np.testing.assert_array_equal(ff.run([[1, 2], [3, 5]], "mean", axis=0)["mean"], [2.0, 3.5])


WRONG: dict[str, tuple[Any, str]] = {
    "ragged": ([[1], [1, 2]], "data could not be read as an array"),
    "text": (pd.Series(["a"]), "data has dtype .*, which holds no numbers: pass a column"),
    "categories": (pd.Series(["a"], dtype="category"), "data has dtype category, which holds no numbers"),
    "Arrow text": (pa.array(["a"]), "data has Arrow's type string, which holds no numbers"),
    "Arrow lists": (pa.array([[1]]), "data has Arrow's type list"),
    "decimals": (pa.array([1], pa.decimal128(5)), "data has Arrow's type decimal"),
    "nothing but nulls": (pa.array([None, None]), "data holds nulls only"),
    "LazyFrame": (pl.LazyFrame({"a": [1]}), r"has not been computed: pass data.collect\(\)"),
    "a generator": ((each for each in [1.0]), r"which is not a sequence of numbers: pass list\(data\)"),
    "a table of text": (pd.DataFrame({"a": ["x"]}), "table without a column of numbers: {'a': 'has dtype"),
    "an empty table": (pd.DataFrame(), "table without a column of numbers: it has no columns"),
    "equal names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns named 'a'"),
    "equal names in Arrow": (pa.table([[1], [2]], names=["a", "a"]), "two columns named 'a'"),
    "an interface that lies": (Interface(type("No", (), {"__array_interface__": {"shape": 3}})), "could not be read"),
    "a class": (list, "data is a type, which holds no numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_taken_is_told(case: str) -> None:
    data, message = WRONG[case]
    for functions in ("count", [len]):
        with pytest.raises(TypeError, match=message):
            ff.run(data, functions)


def test_an_open_file_is_not_read() -> None:
    with open(__file__, encoding="utf-8") as file:
        with pytest.raises(TypeError, match="data is a TextIOWrapper, which holds no numbers"):
            ff.run(file, "mean")
        assert file.tell() == 0


def test_shared_memory_asks_for_a_dtype() -> None:
    memory = shared_memory.SharedMemory(create=True, size=80)
    try:
        with pytest.raises(TypeError, match=r"pass np.ndarray\(shape, dtype, data.buf\)"):
            ff.run(memory, "mean")
        np.ndarray(10, float, memory.buf)[:] = 2.0
        assert ff.run(np.ndarray(10, float, memory.buf), "sum")["sum"] == 20.0
    finally:
        memory.close()
        memory.unlink()


# ---- tables ----

COLUMNS: dict[str, Any] = {
    "price": [1.0, 2.0, 4.0, np.nan],
    "count": [1, 2, 3, 4],
    "carrier": ["x", "y", "x", "x"],
    "day": [datetime.datetime(2020, 1, day) for day in (1, 2, 3, 4)],
}
TABLES = {"pandas": pd.DataFrame, "Polars": pl.DataFrame, "Arrow": pa.table}
table = pytest.mark.parametrize("kind", TABLES)


@table
def test_a_table_answers_for_each_column_of_numbers(kind: str) -> None:
    r = ff.run(TABLES[kind](COLUMNS), ["mean", "max", "sort", np.size], nan_policy="omit")
    assert r["mean"] == {"price": 7 / 3, "count": 2.5}
    assert list(r["max"]) == ["price", "count", "day"] and r["max"]["day"] == np.datetime64("2020-01-04")
    assert list(r["sort"]) == list(r["size"]) == ["price", "count", "day"]
    assert list(r.report.left_out) == ["carrier"] and "holds no numbers" in r.report.left_out["carrier"]


@table
def test_labels_can_be_the_name_of_a_column(kind: str) -> None:
    r = ff.run(TABLES[kind](COLUMNS), "mean", by="carrier", nan_policy="omit")
    np.testing.assert_array_equal(r["mean"]["count"], [8 / 3, 2.0])
    assert list(r.groups) == ["x", "y"] and r.report.left_out == {}
    both = ff.run(TABLES[kind](COLUMNS), "count", by=("carrier", "count"))
    assert list(both["count"]) == ["price", "day"]
    assert [list(key) for key in both.groups] == [["x", "x", "x", "y"], [1, 3, 4, 2]]
    beside = ff.run(TABLES[kind](COLUMNS), "count", by=("carrier", np.array([0, 0, 1, 1])))
    np.testing.assert_array_equal(beside["count"]["count"], [1, 2, 1])


def test_labels_can_be_the_key_of_a_dict() -> None:
    r = ff.run({"x": np.arange(4.0), "key": ["b", "a", "b", "a"]}, "sum", by="key")
    np.testing.assert_array_equal(r["sum"]["x"], [4.0, 2.0])
    with pytest.raises(TypeError, match="by is 'nobody', which is not a column of data: the columns are 'x'"):
        ff.run({"x": np.arange(4.0)}, "sum", by="nobody")


@table
def test_a_mask_and_weights_can_be_the_name_of_a_column(kind: str) -> None:
    columns = {"x": [1.0, 2.0, 5.0], "cheap": [True, False, True], "times": [1, 5, 3]}
    r = ff.run(TABLES[kind](columns), "mean", where="cheap")
    assert r["mean"] == {"x": 3.0, "times": 2.0}
    r = ff.run(TABLES[kind](columns), "mean", where="cheap", weights="times")
    assert r["mean"] == {"x": 4.0}
    with pytest.raises(
        TypeError, match="where is 'dear', which is not a column of data: the columns are 'x', 'cheap', 'times'"
    ):
        ff.run(TABLES[kind](columns), "mean", where="dear")


@table
def test_columns_of_a_table_have_missing_elements_of_their_own(kind: str) -> None:
    x, y = (rng.normal(size=1_000) for _ in range(2))
    no_x, no_y = rng.random(1_000) < 0.1, rng.random(1_000) < 0.2
    make: Any = {"pandas": lambda v: pd.array(v, dtype="Float64"), "Polars": list, "Arrow": pa.array}[kind]
    nulled = {"x": make(np.where(no_x, None, x)), "y": make(np.where(no_y, None, y)), "z": x + y}
    r = ff.run(TABLES[kind](nulled), ["mean", "count", ff.corr("x", "y"), "cov_matrix"])
    for name, left in (("x", x[~no_x]), ("y", y[~no_y]), ("z", x + y)):
        np.testing.assert_allclose(r["mean"][name], left.mean(), rtol=1e-12)
    assert r["count"] == {"x": (~no_x).sum(), "y": (~no_y).sum(), "z": 1_000}
    both = ~(no_x | no_y)
    np.testing.assert_allclose(r["corr"], np.corrcoef(x[both], y[both])[0, 1], rtol=1e-13)
    np.testing.assert_allclose(r["cov_matrix"], np.cov([x[both], y[both], (x + y)[both]]), rtol=1e-12)


# ---- missing elements ----

rng = np.random.default_rng(11)
NULLED: dict[str, Callable[[Any, Any], Any]] = {
    "masked array": lambda x, gone: np.ma.masked_array(x, gone),
    "pandas nullable": lambda x, gone: pd.Series(
        pd.arrays.FloatingArray(x, gone) if x.dtype.kind == "f" else pd.arrays.IntegerArray(x, gone)
    ),
    "pandas[pyarrow]": lambda x, gone: (
        pd.Series(pd.array(pa.array(x, mask=gone), dtype=pd.ArrowDtype(pa.float64())))
        if x.dtype.kind == "f"
        else pd.Series(pd.arrays.ArrowExtensionArray(pa.array(x, mask=gone)))
    ),
    "Polars": lambda x, gone: pl.Series(x).set(pl.Series(gone), None),
    "Arrow": lambda x, gone: pa.array(x, mask=gone),
    "Arrow, in chunks": lambda x, gone: pa.chunked_array(
        [pa.array(x[a:b], mask=gone[a:b]) for a, b in ((0, 13), (13, 13), (13, 70_001), (70_001, x.size))]
    ),
    "Arrow, sliced": lambda x, gone: pa.array(np.r_[x[:5], x, x[:3]], mask=np.r_[gone[:5], gone, gone[:3]])[5:-3],
    "Arrow's protocol": lambda x, gone: Stream(pa.chunked_array([pa.array(x, mask=gone)])),
}
nulled = pytest.mark.parametrize("kind", NULLED)


class Stream:
    """What offers nothing but a stream of Arrow arrays."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        return self._values.__arrow_c_stream__(schema)


@nulled
@pytest.mark.parametrize("dtype", ["f8", "i8", "i4", "u2"])
def test_a_null_is_left_out(kind: str, dtype: str) -> None:
    x = (rng.normal(size=150_000) * 100).astype(dtype)
    gone = rng.random(x.size) < 0.1
    x[:2], gone[:2] = 1_000, True
    data, left = NULLED[kind](x, gone), x[~gone]
    kernels = ["mean", "std", "median", ff.quantile([0.1, 0.9]), "min", "count", "unique", ff.histogram(bins=5), "skew"]
    r, want = ff.run(data, kernels, workers=2), ff.run(left, kernels)
    for key in kernels[:2]:
        np.testing.assert_allclose(r[key], want[key], rtol=1e-13)
    for key in ("median", "quantile", "min", "count", "unique"):
        np.testing.assert_array_equal(r[key], want[key])
        assert r[key].dtype == want[key].dtype
    np.testing.assert_array_equal(r["histogram"].counts, want["histogram"].counts)
    assert ff.run(data, "argmax")["argmax"] == np.where(gone, np.iinfo("i8").min, x).argmax()
    assert list(map(repr, r.values())) == list(map(repr, ff.run(data, kernels, workers=1).values()))


@nulled
def test_a_null_is_no_nan(kind: str) -> None:
    x = np.array([1.0, np.nan, 3.0, 7.0])
    gone = np.array([False, False, False, True])
    data = NULLED[kind](x, gone) if "chunks" not in kind and "sliced" not in kind else pa.array(x, mask=gone)
    r = ff.run(data, ["mean", "nanmean", "count", "count_nan"])
    assert np.isnan(r["mean"]) and (r["nanmean"], r["count_nan"]) == (2.0, 1)
    assert ff.run(data, "mean", nan_policy="omit")["mean"] == 2.0
    with pytest.raises(ValueError, match="holds 1 NaN"):
        ff.run(data, "mean", nan_policy="raise")
    only = pa.array([1.0, None])
    assert ff.run(only, "mean", nan_policy="raise")["mean"] == 1.0


@nulled
def test_functions_get_the_elements_that_are_there(kind: str) -> None:
    x = rng.normal(size=200_000)
    gone = rng.random(x.size) < 0.1
    data, left = NULLED[kind](x, gone), x[~gone]

    def spread(v: Any) -> Any:
        assert v.shape == left.shape
        return v.max() - v.min()

    r = ff.run(data, ["count", spread], workers=2)
    assert r["spread"] == left.max() - left.min() and r["count"] == left.size
    assert r.report.how["spread"] == "fused" and r.report.bytes_copied >= left.nbytes
    assert r.report.why["spread"] == f"its elements were copied: {gone.sum():,} elements are missing"


@nulled
def test_nulls_in_groups_and_under_masks(kind: str) -> None:
    x = rng.normal(size=100_000)
    gone = rng.random(x.size) < 0.1
    by, chosen = rng.integers(0, 7, x.size), rng.random(x.size) < 0.5
    data = NULLED[kind](x, gone)
    frame = pd.Series(np.where(gone, np.nan, x))
    r = ff.run(data, ["mean", "argmax", lambda v: v.sum()], by=by)
    np.testing.assert_allclose(r["mean"], frame.groupby(by).mean(), rtol=1e-12)
    np.testing.assert_array_equal(r["argmax"], frame.groupby(by).idxmax())
    np.testing.assert_allclose(r["<lambda>"], frame.groupby(by).sum(), rtol=1e-9)
    r = ff.run(data, ["mean", "argmin", "count"], where=chosen)
    np.testing.assert_allclose(r["mean"], frame[chosen].mean(), rtol=1e-12)
    assert (r["argmin"], r["count"]) == (frame[chosen].idxmin(), (chosen & ~gone).sum())
    weights = rng.random(x.size)
    r = ff.run(data, "mean", weights=weights)
    np.testing.assert_allclose(r["mean"], np.average(x[~gone], weights=weights[~gone]), rtol=1e-12)


def test_masked_arrays_have_axes() -> None:
    x = np.ma.masked_array(rng.normal(size=(30, 40, 50)), rng.random((30, 40, 50)) < 0.3)
    for axis in (0, 1, 2, (0, 2), None):
        r = ff.run(x, ["mean", "count", "max"], axis=axis, keepdims=True)
        np.testing.assert_allclose(r["mean"], np.asarray(x.mean(axis=axis, keepdims=True)), rtol=1e-12)
        np.testing.assert_array_equal(r["count"], x.count(axis=axis, keepdims=True))
    np.testing.assert_array_equal(ff.run(x, "argmin", axis=1)["argmin"], x.argmin(axis=1))
    r = ff.run(x, {"f": lambda v, axis, where: v.sum(axis=axis, where=where)}, axis=1)
    np.testing.assert_allclose(r["f"], np.asarray(x.sum(axis=1)))
    with pytest.raises(TypeError, match="where"):
        ff.run(x, {"f": lambda v, axis: v.sum(axis=axis)}, axis=1)
    np.testing.assert_array_equal(ff.run(x, np.size)["size"], x.count())


def test_an_array_of_items_has_no_place_for_a_null() -> None:
    r = ff.run(pa.table({"a": [1, 2], "b": [1, None]}), ["cumsum", "sum"], on_error="return")
    assert isinstance(r["cumsum"], TypeError) and "1 elements of data['b'] are missing" in str(r["cumsum"])
    assert r["sum"] == {"a": 3, "b": 1}
    with pytest.raises(TypeError, match="'cumsum' returns an array of items, but 1 elements of data are missing"):
        ff.run(pa.array([1, None]), "cumsum")


def test_what_is_wrong_with_a_mask_or_weights_is_said_of_them() -> None:
    x = np.arange(2.0)
    for name in ("where", "weights"):
        with pytest.raises(TypeError, match=f"^{name} has Arrow's type string, which holds no numbers"):
            ff.run(x, "mean", **{name: pa.array(["a", "b"])})
        with pytest.raises(TypeError, match=f"^{name} has dtype category"):
            ff.run(x, "mean", **{name: pd.Series(["a", "b"], dtype="category")})
    with pytest.raises(TypeError, match=r"data is a masked array of dtype object.*pass data.compressed\(\)"):
        ff.run(np.ma.masked_array(["a", None], [False, True]), len)


def test_nan_beneath_a_mask_is_nobodys() -> None:
    hidden = np.ma.masked_array([1.0, np.nan], [False, True])
    with pytest.raises(ValueError) as info:
        ff.run({"hidden": hidden, "shown": np.array([1.0, np.nan])}, "mean", nan_policy="raise")
    assert info.value.__notes__ == ["in data['shown']"]


def test_nothing_but_nulls_is_an_empty_array() -> None:
    data = pd.Series([None, None], dtype="Float64")
    r = ff.run(data, ["count", "sum", "mean", "max"], on_error="return")
    assert (r["count"], r["sum"]) == (0, 0.0) and np.isnan(r["mean"]) and isinstance(r["max"], ValueError)


# ---- bits, pieces, structs ----


@pytest.mark.parametrize("start", [0, 1, 7, 8, 13])
def test_bools_are_read_as_bits(start: int) -> None:
    bits = rng.random(100_000) < 0.3
    gone = rng.random(100_000) < 0.1
    for data, left in (
        (pa.array(bits)[start:], bits[start:]),
        (pa.array(bits, mask=gone)[start:], bits[start:][~gone[start:]]),
    ):
        r = ff.run(data, ["count_nonzero", "mean", "any", "all", "count"])
        want = ff.run(left, ["count_nonzero", "mean", "any", "all", "count"])
        assert dict(r) == dict(want) and r.report.bytes_copied == 0
    mask = pa.array(bits, mask=gone)
    x = rng.normal(size=bits.size)
    np.testing.assert_allclose(ff.run(x, "mean", where=mask)["mean"], x[bits & ~gone].mean())


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i2", "?", "M8[us]"])
def test_pieces_have_the_bits_of_the_whole(dtype: str) -> None:
    x = (rng.normal(size=300_000) * 1_000).astype("i8").astype(dtype)
    cuts = np.sort(rng.integers(0, x.size, 40))
    data = pa.chunked_array([pa.array(part) for part in np.split(x, cuts)])
    kernels = ["max", "sort", "argmin", "n_unique", *([] if dtype == "?" else [ff.quantile(0.3)])]
    kernels += [] if dtype[0] == "M" else ["mean", "std", "cumsum"]
    r, want = ff.run(data, kernels, workers=2), ff.run(x, kernels)
    same(r, want)
    assert r.report.bytes_copied == 0


def test_a_struct_hides_its_fields() -> None:
    inner = pa.array([1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    struct = pa.StructArray.from_arrays([inner], ["x"], mask=pa.array([False] * 8 + [True, False]))
    for start, stop in ((0, 10), (1, 10), (3, 9), (2, 2)):
        part = struct[start:stop]
        want = [row["x"] for row in part.to_pylist() if row is not None and row["x"] is not None]
        r = ff.run(Capsule(part), ["count", "sum"])
        assert (r["count"]["x"], r["sum"]["x"]) == (len(want), sum(want))


def test_dates_and_durations_of_arrow() -> None:
    days = [datetime.date(2020, 1, 1), None, datetime.date(2021, 5, 5)]
    assert ff.run(pa.array(days), "max")["max"] == np.datetime64("2021-05-05", "D")
    zoned = pa.array([0, 3_600_000_000], pa.timestamp("us", "Europe/Paris"))
    assert ff.run(zoned, "max")["max"] == np.datetime64("1970-01-01T01", "us")
    frame = pd.Series(pd.to_datetime(["2020-01-01T12:00"]).tz_localize("Europe/Paris"))
    assert ff.run(frame, "max")["max"] == np.datetime64("2020-01-01T11:00")
    assert ff.run(pa.array([1, 5], pa.duration("ms")), "sum")["sum"] == np.timedelta64(6, "ms")
    assert ff.run(pa.array([1, None], pa.time32("s")), "max")["max"] == np.timedelta64(1, "s")


def test_a_structured_array_is_a_table_to_kernels() -> None:
    data = np.zeros(1_000, [("name", "U3"), ("x", ">f8"), ("n", "i2")])
    data["x"], data["n"] = rng.normal(size=1_000), np.arange(1_000)
    r = ff.run(data, ["mean", "max", lambda v: v["x"].sum()])
    assert r["mean"] == {"x": ff.run(data["x"], "mean")["mean"], "n": 499.5} and r["max"]["n"] == 999
    assert r["<lambda>"] == data["x"].sum() and list(r.report.left_out) == ["name"]
    by = ff.run(data.view(np.recarray), "count", by="n")
    assert by["count"]["x"].tolist() == [1] * 1_000


def test_what_was_read_once_is_not_read_again() -> None:
    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), [pa.record_batch([[1, 2]], ["a"])])
    assert ff.run(reader, "sum")["sum"] == {"a": 3}
    with pytest.raises(TypeError, match="data gives no rows, like a reader that was already read"):
        ff.run(reader, "sum")

    class Twice:
        def __init__(self) -> None:
            self.capsules = pa.array([1, 2]).__arrow_c_array__()

        def __arrow_c_array__(self, schema: Any = None) -> Any:
            return self.capsules

    twice = Twice()
    assert ff.run(twice, "sum")["sum"] == 3
    with pytest.raises(TypeError, match="was already read and released: create it again"):
        ff.run(twice, "sum")


def test_arrow_is_read_without_pyarrow() -> None:
    run_script(
        """
        import polars as pl
        assert "pyarrow" not in sys.modules
        r = ff.run(pl.DataFrame({"a": [1, None, 4], "b": [True, False, None]}), ["mean", "count"])
        assert r["mean"] == {"a": 2.5, "b": 0.5} and r["count"] == {"a": 2, "b": 2}
        assert "pyarrow" not in sys.modules
        """
    )


def test_the_memory_of_a_column_lives_as_long_as_what_reads_it() -> None:
    kept = ff.run(pl.Series(np.arange(1_000.0)), {"v": lambda v: v})["v"]
    np.testing.assert_array_equal(kept, np.arange(1_000.0))


def test_kernels_of_two_columns_go_by_their_names() -> None:
    frame = pd.DataFrame({"a": FLOATS, "b": FLOATS**2})
    r = ff.run(frame, [ff.corr("a", "b"), "cov_matrix"])
    np.testing.assert_allclose(r["corr"], frame.corr().loc["a", "b"])
    np.testing.assert_allclose(r["cov_matrix"], frame.cov())


def test_what_no_column_has_an_answer_for_is_told() -> None:
    with pytest.raises(TypeError, match="'mean' does not support an array of dtype datetime64"):
        ff.run(pd.DataFrame({"day": COLUMNS["day"]}), "mean")


def test_names_of_columns_may_be_anything() -> None:
    assert ff.run(pd.DataFrame([[1, 2], [3, 4]]), "sum")["sum"] == {0: 4, 1: 6}
    assert ff.run({("a", 1): np.ones(3)}, "sum")["sum"] == {("a", 1): 3.0}


def test_a_plan_and_a_pool_take_tables() -> None:
    frame = pd.DataFrame({"a": FLOATS})
    want = ff.run({"a": FLOATS}, KERNELS)
    for got in (ff.plan(KERNELS).run(frame), ff.Pool(2).run(frame, KERNELS)):
        assert list(got) == list(want)
        assert all(np.array_equal(got[key]["a"], want[key]["a"]) for key in KERNELS)


def test_nothing_is_imported_that_nobody_has_imported() -> None:
    run_script(
        """
        optional = {"pandas", "polars", "pyarrow", "xarray", "torch", "multiprocessing.sharedctypes"}
        assert not optional & set(sys.modules)
        ff.run([1.0, 2.0], "mean")
        ff.run({"a": [1], "b": (2,)}, ["mean", "sum"], by=["x"])
        for wrong in ("mean", None, {1}, object()):
            try:
                ff.run(wrong, "mean")
            except TypeError:
                pass
            else:
                raise AssertionError(wrong)
        assert not optional & set(sys.modules)
        """
    )


# ---- every kernel ----

USES = [ff.Kernel(info.name, **example) for info in ff.kernels() for example in info.examples if info.arrays == "one"]


def refused(error: Any) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, Exception) else ""


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8", "bool", "datetime64[s]"])
def test_every_kernel_has_the_bits_of_the_whole_over_pieces(dtype: str) -> None:
    x = (rng.normal(size=150_000) * 20).astype("i8").astype(dtype)
    data = pa.chunked_array([pa.array(part) for part in np.split(x, [1, 4_095, 4_097, 65_537, 140_000])])
    functions = dict(enumerate(USES))
    r = ff.run(data, functions, on_error="return", workers=2)
    want = ff.run(x, functions, on_error="return")
    for number, kernel in functions.items():
        assert refused(r[number]) == refused(want[number]), kernel
        if not isinstance(r[number], Exception):
            np.testing.assert_equal(r[number], want[number], err_msg=str(kernel))


@pytest.mark.parametrize("nan_policy", ["propagate", "omit"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint8", "bool", "datetime64[s]"])
def test_every_kernel_leaves_nulls_out(dtype: str, nan_policy: Any) -> None:
    x = (rng.normal(size=30_000) * 20).astype("i8").astype(dtype)
    if dtype[0] == "f":
        x[[5, 20_000]] = np.nan
    gone = rng.random(x.size) < 0.2
    left, places = x[~gone], np.flatnonzero(~gone)
    data = pa.chunked_array([pa.array(x[:9_999], mask=gone[:9_999]), pa.array(x[9_999:], mask=gone[9_999:])])
    functions = dict(enumerate(USES))
    r = ff.run(data, functions, on_error="return", workers=2, nan_policy=nan_policy)
    want = ff.run(left, functions, on_error="return", nan_policy=nan_policy)
    items = {number for number, error in r.errors.items() if "an array of items" in str(error)}
    some = {number: kernel for number, kernel in functions.items() if number not in items}
    masked = ff.run(x, some, on_error="return", nan_policy=nan_policy, where=~gone)
    for number, kernel in functions.items():
        if number in items:
            continue
        assert refused(r[number]) == refused(want[number]), kernel
        if isinstance(r[number], Exception):
            continue
        np.testing.assert_equal(r[number], masked[number], err_msg=str(kernel))
        if kernel.answers == "positions":
            np.testing.assert_array_equal(r[number], places[want[number]], err_msg=str(kernel))
        elif kernel.answers in ("number", "quantiles") and dtype[0] == "f":
            np.testing.assert_allclose(r[number], want[number], rtol=1e-5 if dtype == "float32" else 1e-9)


def test_a_plan_is_explained_for_arrays_of_others() -> None:
    values = np.random.default_rng(0).standard_normal(200_000)

    def spread(v: Any) -> Any:
        return v.max() - v.min()

    told = ff.plan(spread, like=values).explain()
    assert "fused: spread" in told
    assert ff.plan(spread, like=pd.Series(values)).explain() == told
    assert ff.plan(spread, like=pl.Series(values)).explain() == told
    assert ff.plan("mean", like=[1, 2, 3]).explain() == ff.plan("mean", like=np.dtype(int)).explain()
