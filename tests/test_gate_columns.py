"""Columns of any kind, chunking, offset and nulls have the answers of the array."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanfold as ff
from gate import (
    Column,
    answers,
    assert_same,
    columns,
    expected,
    few,
    forms,
    held,
    kernels,
    many,
    masked,
    masks,
    pieces,
    stream,
    whole,
)

# NumPy warns of what these arrays are made of: NaN, overflow, no elements.
pytestmark = pytest.mark.filterwarnings("ignore")


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
