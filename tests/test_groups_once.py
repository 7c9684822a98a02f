"""Functions over groups: what a call for each group returns, from one trace for all groups of a length."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
import test_rows_once as of_rows
from fanfold import shapes
from fanfold.tracing.of_rows import groups

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

EXACT = [
    of_rows.zero_crossings, of_rows.median, of_rows.upper, of_rows.ends, of_rows.place, of_rows.summary, of_rows.tail,
    *of_rows.PLAIN,
]  # fmt: skip


@contextmanager
def traced_from(fewest: int) -> Iterator[None]:
    """Traces functions for lengths that this many groups have."""
    before, groups.FEWEST = groups.FEWEST, fewest
    try:
        yield
    finally:
        groups.FEWEST = before


@pytest.fixture
def few() -> Iterator[None]:
    """Traces functions for lengths that two groups have."""
    with traced_from(2):
        yield


def called(function: Function, x: Array, labels: Array) -> Array:
    """The results of calls for each group, in the order of the labels."""
    each = [function(x[labels == label]) for label in np.unique(labels)]
    return shapes.returned(each)


def same(found: Any, expected: Any, is_exact: bool) -> None:
    """Fail unless types and dtypes are the same, and so are values, but for the last digits of sums."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, tuple | list) or (isinstance(expected, np.ndarray) and expected.dtype == object):
        assert len(found) == len(expected)
        for own, other in zip(found, expected, strict=True):
            same(own, other, is_exact)
        return
    assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)
    assert np.shape(found) == np.shape(expected)
    if is_exact or np.asarray(expected).dtype.kind in "mM":
        np.testing.assert_array_equal(found, expected)
    else:
        close = 2e-4 if getattr(expected, "dtype", None) in (np.float32, np.complex64) else 1e-9
        np.testing.assert_allclose(found, expected, rtol=close, atol=close)


def labelled(sizes: list[int], seed: int = 0) -> Array:
    """Labels of groups of these sizes, in any order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


EQUAL = [40] * 150
SEVERAL = [40] * 100 + [17] * 80 + [3, 5, 900]


@pytest.mark.parametrize("sizes", [EQUAL, SEVERAL], ids=["equal", "several"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_one_trace_gives_what_calls_of_each_group_give(dtype: str, sizes: list[int]) -> None:
    by = labelled(sizes)
    x = of_rows.elements(dtype, (by.size,))
    x = np.abs(x) if dtype == "uint8" else x
    r = ff.run(x, [*of_rows.FUSED, *of_rows.PLAIN], by=by)
    for function in [*of_rows.FUSED, *of_rows.PLAIN]:
        name = function.__name__
        same(r[name], called(function, x, by), function in EXACT)
        if function in of_rows.FUSED and dtype == "float64":
            assert r.report.how[name] == ("fused" if sizes is EQUAL else "partly fused")
            assert r.report.why.get(name) == (None if sizes is EQUAL else "called for 3 of 183 groups")


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), max_size=12),
    dtype=st.sampled_from(["float64", "float32", "int64", "uint8", "bool", "complex128", "float16", "M8[s]"]),
    nans=st.booleans(),
    function=st.sampled_from([*of_rows.FUSED, *of_rows.PLAIN]),
    workers=st.sampled_from([1, 2]),
    seed=st.integers(0, 9),
)
def test_any_groups(sizes: list[int], dtype: str, nans: bool, function: Function, workers: int, seed: int) -> None:
    by = labelled(sizes, seed)
    x = (np.random.default_rng(seed).integers(0, 12, by.size) * 7 % 11).astype(dtype)
    if nans and x.dtype.kind == "f":
        x[::3] = np.nan
    expected: Any = None
    wrong: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = called(function, x, by)
        except Exception as error:
            wrong = error
        with traced_from(2):
            r = ff.run(x, function, by=by, workers=workers, on_error="return")
    found = r[function.__name__]
    if wrong is not None:
        assert type(found) is type(wrong)
        assert str(found) == str(wrong)
        return
    same(found, expected, function in EXACT and dtype != "complex128")


def test_the_bits_do_not_depend_on_the_workers() -> None:
    by = labelled([200] * 600 + [150] * 300 + [7] * 30 + [40_000])
    x = of_rows.elements("float64", (by.size,))
    x[::40_001] = np.nan
    functions = [*of_rows.FUSED, *of_rows.PLAIN]
    functions.remove(of_rows.lowest_above)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, *others = (ff.run(x, functions, by=by, workers=workers) for workers in (1, 2, 3))
        alone = ff.run(x, of_rows.spread, by=by)
    for other in (*others, alone):
        for name in other:
            assert other.report.how[name] == one.report.how[name]
            same(other[name], one[name], is_exact=True)
    assert others[0].report.workers == 2


class Pair(NamedTuple):
    """A tuple of a class."""

    low: Any
    high: Any


RETURNED: dict[str, tuple[Function, str]] = {
    "a number": (lambda v: v.max(), "fused"),
    "an integer of Python": (lambda v: len(v), "fused"),
    "a float of Python": (lambda v: 0.5, "fused"),
    "a large integer": (lambda v: 2**70, "fused"),
    "an integer of NumPy": (lambda v: np.int8(3), "fused"),
    "a bool": (lambda v: v.max() > 1, "fused"),
    "None": (lambda v: None, "plain"),
    "text": (lambda v: "text", "plain"),
    "a tuple": (lambda v: (v.min(), len(v), 1.5, v.max() > 0), "fused"),
    "a list": (lambda v: [v.min(), v.max()], "fused"),
    "an empty tuple": (lambda v: (), "plain"),
    "a named tuple": (lambda v: Pair(v.min(), v.max()), "plain"),
    "a dict": (lambda v: {"low": v.min(), "size": len(v)}, "fused"),
    "an empty dict": (lambda v: {}, "fused"),
    "an array": (lambda v: v * 2, "fused"),
    "a part": (lambda v: v[1:], "fused"),
    "the group": (lambda v: v, "fused"),
    "quantiles": (lambda v: np.quantile(v, [0.0, 0.5]), "fused"),
    "a selection": (lambda v: v[v > 0], "plain"),
    "a float": (lambda v: float(v.max()), "plain"),
    "of a branch on the length": (lambda v: v.max() if len(v) > 3 else None, "partly fused"),
    "of dtypes by the length": (lambda v: v.max() if len(v) > 3 else len(v), "fused"),
    "no dimensions": (lambda v: np.where(v.max() > 1, 1.0, 2.0), "any"),
    "no dimensions by the length": (lambda v: np.where(v.max() > 1, 1.0, 2.0) if len(v) > 3 else len(v), "any"),
    "no dimensions in a tuple": (lambda v: (np.where(v.max() > 1, 1.0, 2.0), np.asarray(v.max())), "any"),
    "clipped": (lambda v: (np.clip(v.max(), 0, 1), np.round(v.max(), 2), round(v.max()), abs(v.min())), "any"),
    "a mean of a number": (lambda v: (np.mean(v.max()), np.max([v.max(), v.min()]), np.max(v, keepdims=True)), "any"),
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", RETURNED)
def test_what_a_function_returns_for_each_group(kind: str) -> None:
    function, how = RETURNED[kind]
    by = labelled([5] * 9 + [3] * 4)
    x = of_rows.elements("float64", (by.size,))
    r = ff.run(x, {"f": function}, by=by)
    expected = called(function, x, by)
    same(r["f"], expected, is_exact=True)
    assert how in ("any", r.report.how["f"])
    if r["f"].dtype == object and isinstance(expected[0], np.ndarray):
        # What a function makes may be written to, a view of the group may not.
        of_group = x[by == 0]
        of_group.flags.writeable = False
        assert r["f"][0].flags.writeable == np.asarray(function(of_group)).flags.writeable


def test_how_often_a_function_is_called() -> None:
    calls: list[int] = []

    def fused(v: Array) -> Any:
        calls.append(len(v))
        return v.max()

    def plain(v: Array) -> Any:
        calls.append(len(v))
        return float(v.max())

    by = labelled([5] * 100 + [6] * 90 + [7] * 80 + [8])
    x = of_rows.elements("float64", (by.size,))
    r = ff.run(x, fused, by=by, workers=1)
    # Twice for the first length, once for each other length, and for the one group that is alone.
    assert len(calls) == 2 + 1 + 1 + 1
    assert r.report.why == {"fused": "called for 1 of 271 groups"}
    calls.clear()
    r = ff.run(x, plain, by=by, workers=1)
    assert len(calls) == 1 + 271
    assert r.report.why == {"plain": "called for each group: float()"}


def test_few_groups_of_a_length_are_called() -> None:
    x, by = np.arange(10.0), np.arange(10) % 3
    r = ff.run(x, of_rows.mean, by=by)
    assert r.report.how == {"mean": "plain"}
    assert r.report.why == {"mean": "called for each group: no 64 groups have the same length"}
    assert np.array_equal(r["mean"], called(of_rows.mean, x, by))


def test_what_the_report_counts() -> None:
    by = labelled([10] * 100 + [5] * 100)
    x = of_rows.elements("float64", (by.size,))
    r = ff.run(x, lambda v: (v - v.mean()).max(), by=by).report
    # The lengths are parts of the same passes. To find the groups takes time too.
    assert (r.passes, len(r.times.passes)) == (2, 3)
    assert r.bytes_read == 2 * x.nbytes
    # The functions share one copy.
    assert r.bytes_copied == x.nbytes
    assert ff.run(x, [of_rows.mean, of_rows.loops], by=by).report.bytes_copied == x.nbytes
    assert ff.run(x, [of_rows.mean, "max"], by=by).report.bytes_copied == 2 * x.nbytes
    assert set(r.times.functions) == {"<lambda>"}


def test_random_numbers_are_drawn_for_each_group() -> None:
    rng = np.random.default_rng(0)
    r = ff.run(np.zeros(1000), lambda v: v.max() + rng.random(), by=np.arange(1000) // 10)
    assert len(np.unique(r["<lambda>"])) == 100
    assert r.report.why == {"<lambda>": "called for each group: two calls gave different formulas"}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_group_that_fails(workers: int) -> None:
    by = np.repeat(np.arange(4_000), 50)
    x = np.repeat(np.arange(4_000.0), 50)
    by = np.where(by == 3_000, 5_000, by)

    def fails(v: Array) -> Any:
        if v[0] in (1_500, 2_900, 3_000):
            raise KeyError(int(v[0]))
        return v[0]

    def fails_late(v: Array) -> Any:
        if v[0] == 3_000:
            raise KeyError(int(v[0]))
        return v[0]

    r = ff.run(x, [fails, fails_late, "max", of_rows.place], by=by, workers=workers, on_error="return")
    assert isinstance(r["fails"], KeyError)
    assert r["fails"].args == (1_500,)
    assert r["fails_late"].args == (3_000,)
    assert (r["place"] == 0).all()
    with pytest.raises(KeyError, match="1500"):
        ff.run(x, fails, by=by, workers=workers)


def test_warnings_and_uncertain_groups() -> None:
    by = np.repeat(np.arange(100), 8)
    x = of_rows.elements("float64", (800,))
    x[by == 4] = 1.0
    x[by == 7] = np.nan

    def standard(v: Array) -> Any:
        return ((v - v.mean()) / v.std()).max()

    def least(v: Array) -> Any:
        return np.nanmin(v)

    for function in (standard, least):
        expected, texts = of_rows.warned(lambda function=function: called(function, x, by))
        found, own = of_rows.warned(lambda function=function: ff.run(x, function, by=by))
        assert own == texts != set()
        np.testing.assert_allclose(found[function.__name__], expected, rtol=1e-12)
    assert found.report.why == {"least": "called for 1 of 100 groups"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="All-NaN slice"):
            ff.run(x, least, by=by)


@pytest.mark.parametrize("fewest", [2, 1000])
def test_the_groups_are_read_only(fewest: int) -> None:
    def changes(v: Array) -> Any:
        v += 1
        return v.max()

    def sorts(v: Array) -> Any:
        v.sort()
        return v[0]

    def unlocks(v: Array) -> Any:
        v.flags.writeable = True
        v[:] = 0
        return v[0]

    x = np.ones(30)
    for function in (changes, sorts, unlocks):
        with traced_from(fewest), pytest.raises(ValueError, match=r"read-only|cannot set WRITEABLE"):
            ff.run(x, function, by=np.arange(30) // 3)
    assert (x == 1).all()


@pytest.mark.usefixtures("few")
def test_masks_keys_and_labels_that_are_missing() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((40, 50))[:, ::2]
    keys = rng.integers(0, 12, x.shape), rng.choice(np.array(["a", "b", ""]), x.shape)
    where = x > -1
    r = ff.run(x, [of_rows.summary, of_rows.loops], by=keys, where=where)
    order = pd.MultiIndex.from_arrays([r.groups[0], r.groups[1]])
    assert order.is_monotonic_increasing
    for place, (first, second) in enumerate(order):
        own = x[where & (keys[0] == first) & (keys[1] == second)]
        assert r["summary"][place] == of_rows.summary(own)
        assert r["loops"][place] == of_rows.loops(own)
    some = np.where(keys[0] < 9, keys[0], np.nan)
    found = ff.run(x, of_rows.summary, by=some)["summary"]
    assert [each[2] for each in found] == [np.count_nonzero(keys[0] == label) for label in range(9)]
    assert ff.run(x, of_rows.summary, by=np.full(x.shape, np.nan))["summary"].shape == (0,)


@pytest.mark.usefixtures("few")
def test_of_a_table() -> None:
    by = labelled([6] * 20 + [4] * 10)
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({
        "price": rng.standard_normal(by.size), "size": rng.integers(0, 9, by.size), "day": by,
        "some": pd.array(np.where(rng.random(by.size) < 0.2, None, 1.5), "Float64"),
    })  # fmt: skip
    r = ff.run(
        frame,
        {"span": lambda v: v.max() - v.min(), "loops": of_rows.loops, "own": lambda price, size: price[0]},
        by="day",
    )
    for name in ("price", "size"):
        same(r["span"][name], called(np.ptp, frame[name].to_numpy(), by), is_exact=True)
        same(r["loops"][name], called(of_rows.loops, frame[name].to_numpy(), by), is_exact=True)
    assert (r["span"]["some"] == 0).all()
    assert r.report.how["span"] == "partly fused"
    assert np.array_equal(r["own"], [frame["price"][by == label].iloc[0] for label in range(30)])


@pytest.mark.usefixtures("few")
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_weights_and_subclasses_are_called_as_before() -> None:
    class Doubled(np.ndarray):
        def max(self, *args: Any, **kwargs: Any) -> Any:
            return 2 * super().max(*args, **kwargs)

    x, by = np.arange(12.0), np.arange(12) // 3
    assert ff.run(x.view(Doubled), lambda v: float(v.max()), by=by)["<lambda>"].tolist() == [4.0, 10, 16, 22]
    matrix = np.asmatrix(x)
    assert [each.shape for each in ff.run(matrix, lambda v: v, by=by.reshape(1, 12))["<lambda>"]] == [(1, 3)] * 4
    weighed = ff.run(x, lambda v, weights: (v * weights).sum(), by=by, weights=np.ones(12))["<lambda>"]
    assert weighed.tolist() == [3.0, 12, 21, 30]


@pytest.mark.parametrize("dtype", ["float16", "M8[s]", ">f8", "complex64"])
def test_other_dtypes(dtype: str) -> None:
    by = np.arange(300) % 100
    x = np.arange(300).astype(dtype)
    assert ff.run(x, lambda v: v[-1], by=by)["<lambda>"].tolist() == x[200:].tolist()


def test_without_memory_for_the_groups_kernels_keep_their_results(monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge(np.ndarray):
        def take(self, *args: Any, **kwargs: Any) -> Any:
            raise MemoryError("no memory for it")

    x, by = np.arange(300.0), np.arange(300) % 3
    monkeypatch.setattr(ff.run.__globals__["Run"], "_as_array", lambda self, name: (x.view(Huge), ""))
    monkeypatch.setattr("fanfold.groups.own_class", lambda array: None)
    r = ff.run(x, ["max", of_rows.mean, of_rows.loops], by=by, on_error="return")
    assert r["max"].tolist() == [297.0, 298, 299]
    for name in ("mean", "loops"):
        assert isinstance(r[name], MemoryError)
        assert "no memory for it" in str(r[name])


def test_a_timeout_ends_the_calls() -> None:
    def slow(v: Array) -> Any:
        return sum(float(each) for each in v)

    for workers in (1, 2):
        with pytest.raises(TimeoutError, match=r"timeout=0\.02"):
            ff.run(np.ones(3_000_000), slow, by=np.arange(3_000_000) // 100, workers=workers, timeout=0.02)
