"""Odd objects are refused or answered, whichever argument they are: what is no column raises no other error."""

import datetime
import decimal
import fractions
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
from gate import few

# NumPy warns of what these arrays are made of: NaN, overflow, no elements.
pytestmark = pytest.mark.filterwarnings("ignore")


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
