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
    "a time zone": (pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize("UTC")), "which holds no numbers"),
    "Arrow text": (pa.array(["a"]), "data has type string, which holds no numbers"),
    "Arrow lists": (pa.array([[1]]), "data has type list"),
    "decimals": (pa.array([1], pa.decimal128(5)), "data has type decimal128"),
    "pandas NA": (pd.Series([1, None], dtype="Int64"), r"missing elements \(1 null\).*pass data.dropna\(\)"),
    "Polars null": (pl.Series([1, None, None]), r"missing elements \(2 null\).*pass data.drop_nulls\(\)"),
    "Arrow null": (pa.array([1, None]), r"missing elements \(1 null\).*pass data.drop_null\(\)"),
    "LazyFrame": (pl.LazyFrame({"a": [1]}), r"has not been computed: pass data.collect\(\)"),
    "a generator": ((each for each in [1.0]), r"which is no sequence of numbers: pass list\(data\)"),
    "a table of text": (pd.DataFrame({"a": ["x"]}), "table without a column of numbers: {'a': 'has dtype"),
    "an empty table": (pd.DataFrame(), "table without a column of numbers: it has no columns"),
    "equal names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of the name 'a'"),
    "equal names in Arrow": (pa.table([[1], [2]], names=["a", "a"]), "two columns of the name 'a'"),
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
    with pytest.raises(TypeError, match="by must be an array with a label"):
        ff.run({"x": np.arange(4.0)}, "sum", by="nobody")


@table
def test_a_column_with_missing_elements_is_left_out_by_name(kind: str) -> None:
    columns = {"a": [1.0, 2.0], "b": pd.array([1, None], dtype="Int64") if kind == "pandas" else [1, None]}
    r = ff.run(TABLES[kind](columns), "sum")
    assert r["sum"] == {"a": 3.0} and "missing elements" in r.report.left_out["b"]


def test_kernels_of_two_columns_go_by_their_names() -> None:
    frame = pd.DataFrame({"a": FLOATS, "b": FLOATS**2})
    r = ff.run(frame, [ff.corr("a", "b"), "cov_matrix"])
    np.testing.assert_allclose(r["corr"], frame.corr().loc["a", "b"])
    np.testing.assert_allclose(r["cov_matrix"], frame.cov())


def test_what_no_column_has_an_answer_for_is_told() -> None:
    with pytest.raises(TypeError, match="'mean' has no meaning for an array of dtype datetime64"):
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
