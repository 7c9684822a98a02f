"""Columns of any kind have the answers of the array in groups too, whatever holds the labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fanfold as ff
from gate import FORMS, KINDS, Array, Column, answers, assert_same, fewer, forms, held, kernels, masks

# NumPy warns of what these arrays are made of: NaN, overflow, no elements.
pytestmark = pytest.mark.filterwarnings("ignore")


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
