"""`by=`: every answer is, to the last bit, that of the elements with its label; pandas says which labels there are."""

import copy
import datetime
import decimal
import fractions
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanfold as ff
import oracle
import sequences
import zoo

Array = npt.NDArray[Any]

QUICK = ["mean", "std", "sum", "min", "max", "count", "median", "argmax"]


def assert_groups(
    x: Array, by: Any, chosen: list[Array], functions: dict[str, ff.Kernel], **options: Any
) -> ff.Results:
    """Fail unless the answers are those of the chosen elements, a mask for each group."""
    found = ff.run(x, functions, by=by, on_error="return", **options)
    for key, kernel in functions.items():
        alone = [ff.run(x[mask], kernel, on_error="return", **options)[kernel.name] for mask in chosen]
        if any(isinstance(answer, Exception) for answer in alone):
            assert isinstance(found[key], Exception), key
            continue
        assert not isinstance(found[key], Exception), (key, found[key])
        for number, (answer, mask) in enumerate(zip(alone, chosen, strict=True)):
            if kernel.answers == "positions":
                answer = np.flatnonzero(mask)[answer]
            own: Any
            if kernel.name in sequences.NAMES:
                own = found[key][mask]
            elif isinstance(answer, tuple) and isinstance(found[key], tuple):
                own = type(answer)(*(field[number] for field in found[key]))
            elif kernel.answers == "quantiles":
                own = found[key][..., number]
            else:
                own = found[key][number]
            if isinstance(answer, tuple) or np.ndim(answer):
                np.testing.assert_equal(own, answer, err_msg=key)
            else:
                own = np.asarray(own)
                assert own.tobytes() == np.asarray(answer, own.dtype).tobytes(), (key, number, own, answer)
    return found


@pytest.mark.parametrize("nan_policy", ["propagate", "omit"])
@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_every_kernel_of_every_dtype(dtype: str, nan_policy: str) -> None:
    x = zoo.ordinary(dtype, 200)
    if zoo.can_be_nan(dtype):
        x[[3, 77, 150]] = zoo.missing(dtype)
    by = np.random.default_rng(5).integers(-3, 4, x.size)
    labels = np.unique(by)
    functions = {key: use for key, use in oracle.uses(dtype).items() if use.name != "diff"}
    found = assert_groups(x, by, [by == label for label in labels], functions, nan_policy=nan_policy)
    np.testing.assert_array_equal(found.groups, labels)


LABELS = {
    "int8": np.array([-128, 127, 0, 0, -128, 3], np.int8),
    "uint64": np.array([2**64 - 1, 2**64 - 2, 2**64 - 1, 2**64 - 3, 2**64 - 1, 2**64 - 2], np.uint64),
    "far apart": np.array([-(2**62), 2**62, 0, 5, 5, 2**62]),
    "bool": np.array([True, False, True, True, False, True]),
    "floats": np.array([0.5, -0.0, 0.0, np.inf, 0.5, -np.inf]),
    "strings": np.array(["b", "a", "b", "é", "", "a"]),
    "bytes": np.array([b"b", b"a", b"b", b"z", b"", b"a"]),
    "objects": np.array(["b", "a", "b", "z", "", "a"], object),
    "datetimes": np.array([1, 5, 1, 2, 2, 5], "datetime64[D]"),
    "timedeltas": np.array([1, -5, 1, 2, 2, -5], "timedelta64[ns]"),
    "big-endian": np.array([1, 5, 1, 2, 2, 5], ">i4"),
    "strided": np.arange(12)[::2] % 5,
    "list": [1, 2, 1, 1, 2, 3],
}


@pytest.mark.parametrize("kind", LABELS)
def test_kinds_of_labels(kind: str) -> None:
    by, x = LABELS[kind], np.arange(6.0)
    found = ff.run(x, ["sum", "argmin"], by=by)
    labels, places = np.unique(by, return_inverse=True)
    np.testing.assert_array_equal(found.groups, labels)
    assert found.groups.dtype == labels.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["sum"], np.bincount(places, x))
    np.testing.assert_array_equal(found["argmin"], [np.flatnonzero(places == place)[0] for place in range(labels.size)])


def test_labels_that_are_missing_make_no_group() -> None:
    x = np.arange(6.0)
    nan = np.array([1, np.nan, 1, 2, np.nan, 2])
    nat = np.array([1, "NaT", 1, 2, "NaT", 2], "datetime64[s]")
    none = np.array(["a", None, "a", "b", float("nan"), "b"], object)
    categorical = pd.Categorical(["b", None, "b", "a", None, "a"], categories=["c", "b", "a"])
    for by in (nan, nat, none, categorical, pd.Series(categorical)):
        found = ff.run(x, "sum", by=by)
        np.testing.assert_array_equal(found["sum"], [2, 8])
    assert list(found.groups) == ["b", "a"]
    everywhere = ff.run(x, ["sum", "count"], by=np.full(6, "NaT", "datetime64[s]"))
    assert everywhere["sum"].shape == everywhere.groups.shape == (0,)


def test_several_keys() -> None:
    rng = np.random.default_rng(8)
    x = rng.standard_normal(5_000)
    keys: dict[str, Array] = {
        "a": rng.integers(0, 5, x.size), "b": rng.choice(np.array(["x", "yy", "z"]), x.size),
        "c": rng.integers(-(2**40), 2**40, x.size) // 2**38,
    }  # fmt: skip
    for names in (["a"], ["a", "b"], ["b", "a"], ["a", "b", "c"], ["c", "b"]):
        found = ff.run(x, ["mean", "count"], by=tuple(keys[name] for name in names))
        right = pd.DataFrame({"x": x} | keys).groupby(names)["x"].agg(["mean", "count"]).reset_index()
        for name, labels in zip(names, found.groups, strict=True):
            np.testing.assert_array_equal(labels, right[name])
        np.testing.assert_array_equal(found["count"], right["count"])
        np.testing.assert_allclose(found["mean"], right["mean"], rtol=1e-12, atol=1e-12)


def test_many_keys_that_are_far_apart() -> None:
    rng = np.random.default_rng(9)
    keys = tuple(rng.integers(-(2**60), 2**60, 300)[rng.integers(0, 300, 4_000)] for _ in range(4))
    x = rng.standard_normal(4_000)
    found = ff.run(x, "sum", by=keys)
    frame = pd.DataFrame({"x": x, **{str(number): key for number, key in enumerate(keys)}})
    right = frame.groupby([str(number) for number in range(4)])["x"].sum().reset_index()
    for number, labels in enumerate(found.groups):
        np.testing.assert_array_equal(labels, right[str(number)])
    np.testing.assert_allclose(found["sum"], right["x"])


@pytest.mark.parametrize("count", [1, 3, 1_000, 200_000])
@pytest.mark.parametrize("order", ["sorted", "any"])
def test_few_and_many_groups_with_any_number_of_workers(count: int, order: str) -> None:
    rng = np.random.default_rng(count)
    x = rng.standard_normal(400_000)
    by = rng.integers(0, count, x.size)
    if order == "sorted":
        by.sort()
    one, *others = (ff.run(x, QUICK, by=by, workers=workers) for workers in (1, 2, 3, 7))
    for other in others:
        assert {key: oracle.bits(value) for key, value in one.items()} == {
            key: oracle.bits(value) for key, value in other.items()
        }
    labels = one.groups
    np.testing.assert_array_equal(labels, np.unique(by))
    for place in (0, labels.size // 2, labels.size - 1):
        mask = by == labels[place]
        alone = ff.run(x[mask], QUICK)
        for name in QUICK[:-1]:
            assert one[name][place] == alone[name], name
        assert one["argmax"][place] == np.flatnonzero(mask)[alone["argmax"]]


def test_masks_and_groups() -> None:
    x = zoo.ordinary("float64", 1_000)
    by, where = np.arange(1_000) % 7, x > 0
    where[by == 5] = False
    found = ff.run(x, ["mean", "argmax", "sort"], by=by, where=where)
    np.testing.assert_array_equal(found.groups, [0, 1, 2, 3, 4, 6])
    for number, label in enumerate(found.groups):
        mask = where & (by == label)
        assert found["mean"][number] == ff.run(x[mask], "mean")["mean"]
        assert found["argmax"][number] == np.flatnonzero(mask)[np.argmax(x[mask])]
        np.testing.assert_array_equal(found["sort"][number], np.sort(x[mask]))


def test_functions_are_called_with_each_group() -> None:
    x, by = np.arange(10.0), np.arange(10) % 3

    def spread(v: Array) -> Any:
        return v.max() - v.min()

    found = ff.run(x, [spread, np.sort], by=by)
    np.testing.assert_array_equal(found["spread"], [9, 6, 6])
    np.testing.assert_array_equal(found["sort"][1], [1, 4, 7])
    assert found.report.why["spread"] == "called for each group: no 64 groups have the same length"


class Sized(int):
    """A number that is more than one."""


RETURNED: dict[str, tuple[list[Any], Any]] = {
    # What a function returns for each group, and the dtype of the answers together; object keeps them as they are.
    "integers": ([1, 2, 2**63 - 1], np.int64),
    "integers of any size": ([1, 2, 2**63], object),
    "bools": ([True, np.False_, True], np.bool_),
    "bools and integers": ([True, 2, 3], object),
    "floats": ([1.5, np.float64(2), float("nan")], np.float64),
    "floats and integers": ([2**53 + 1, float("nan"), 2**53], object),
    "NumPy's integers and floats": ([np.int64(2**53 + 1), np.float64("nan"), np.int64(3)], object),
    "signed and unsigned": ([np.int64(-1), np.uint64(2**64 - 1), np.int64(1)], object),
    "two widths": ([np.float32(0.1), np.float64(0.1), np.float32(0.2)], object),
    "one width": ([np.float32(0.1), np.array(0.5, np.float32), np.float32(0.2)], np.float32),
    "long doubles": ([np.longdouble(1) + np.finfo(np.longdouble).eps] * 3, np.longdouble),
    "complex": ([1j, np.complex128(2), 3 + 0j], np.complex128),
    "numbers and strings": ([1.5, "few", 2.5], object),
    "strings": (["a", "long one", "nul\0"], object),
    "NumPy's strings": ([np.str_("a"), np.str_("long one"), np.str_("b")], object),
    "bytes": ([b"a", b"bc\0", b""], object),
    "None": ([None, 1.5, None], object),
    "nothing but None": ([None, None, None], object),
    "tuples": ([(1, 2), (3, "x"), ()], object),
    "lists": ([[1, 2], [3], []], object),
    "lists of a length": ([[1, 2], [3, 4], [5, 6]], object),
    "sets and dicts": ([{1}, {"a": 2}, frozenset()], object),
    "times": ([np.datetime64("2020-01-01"), np.datetime64("NaT", "D"), np.datetime64("2021-01-01")], "datetime64[D]"),
    "times of two units": ([np.datetime64("2020-01-01"), np.datetime64("2020-01-01T00:00:00.5"), None], object),
    "durations": ([np.timedelta64(1, "s"), np.timedelta64(1, "h"), np.timedelta64(1, "s")], object),
    "Python's times": ([datetime.date(2020, 1, 1), datetime.timedelta(1), datetime.date(2021, 1, 1)], object),
    "fractions": ([fractions.Fraction(1, 3), decimal.Decimal("0.1"), 1], object),
    "a masked one": ([np.ma.masked, 1.5, 2.5], object),
    "masked ones": ([np.ma.masked, np.ma.masked, np.ma.masked], object),
    "subclasses": ([Sized(3), Sized(4), 5], object),
    "records": ([np.array((1, 0.5), "i4,f8")[()]] * 3, "i4,f8"),
    "arrays": ([np.zeros(2), np.ones(2), np.ones(2)], object),
    "arrays and numbers": ([np.zeros(2), 1.5, np.array(2.5)], object),
    "0-d arrays of several dtypes": ([np.array(1), np.array(2.5), np.array("x")], object),
    "tables": ([pd.Series([1, 2]), pd.DataFrame({"a": [1]}), pd.NA], object),
}


@pytest.mark.parametrize("kind", RETURNED)
def test_answers_of_functions_are_what_they_returned(kind: str) -> None:
    answers, dtype = RETURNED[kind]
    found = ff.run(np.arange(3), {"f": lambda v: answers[v[0]]}, by=[0, 1, 2])["f"]
    assert found.shape == (3,)
    assert found.dtype == np.dtype(dtype)
    for own, answer in zip(found, answers, strict=True):
        if found.dtype == object:
            assert own is answer
        else:
            np.testing.assert_equal(own, np.asarray(answer)[()])


def test_answers_of_functions_with_weights_keep_their_types() -> None:
    found = ff.run(
        np.arange(3.0), {"f": lambda v, weights: weights[0] if v[0] else "none"}, by=[0, 1, 2], weights=[1, 2, 3]
    )
    assert found["f"].tolist() == ["none", 2, 3]


def test_axes_of_labels() -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 20)
    by = np.arange(60).reshape(3, 20) % 4
    for data, labels in ((x, by), (x.T, by.T), (x, by.ravel()), (x[:, ::-1], by[:, ::-1])):
        found = ff.run(data, "sum", by=labels)["sum"]
        np.testing.assert_allclose(found, [x[by == label].sum() for label in range(4)])


@given(labels=st.lists(st.integers(-5, 5), max_size=40), start=st.integers(-100, 100))
def test_any_labels(labels: list[int], start: int) -> None:
    x, by = np.arange(start, start + len(labels)), np.array(labels, np.int64)
    found = ff.run(x, ["sum", "count", "max"], by=by)
    right = pd.Series(x).groupby(by).agg(["sum", "count", "max"])
    np.testing.assert_array_equal(found.groups, right.index)
    for name in ("sum", "count", "max"):
        np.testing.assert_array_equal(found[name], right[name])


def test_groups_survive() -> None:
    found = ff.run(np.arange(4.0), "sum", by=[0, 1, 0, 1])
    assert found.report.bytes_copied == 32
    for other in (pickle.loads(pickle.dumps(found)), copy.copy(found)):
        np.testing.assert_array_equal(other.groups, [0, 1])
    assert ff.run(np.arange(4.0), "sum").groups is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": [1, 2, 3]}, ValueError, r"by has shape \(3,\): pass a label for each element of data"),
        ({"by": ([1, 2, 3, 4], [1])}, ValueError, r"by\[1\] has shape \(1,\)"),
        ({"by": ()}, ValueError, "by is an empty tuple"),
        ({"by": "abcd"}, TypeError, "by must be an array with a label for each element"),
        ({"by": 3}, TypeError, "by must be an array with a label for each element"),
        ({"by": np.ones(4, complex)}, TypeError, "by has dtype complex128, which cannot be labels"),
        ({"by": np.array([1, "a", 2, "b"], object)}, TypeError, "cannot be sorted"),
        ({"by": [1, 2, 1], "axis": 0}, ValueError, r"by has shape \(3,\)"),
        ({"by": [1, 2, 1, 2], "axis": 1}, np.exceptions.AxisError, "axis 1 is out of bounds"),
        ({"by": [1, 2, 1, 2], "axis": ()}, ValueError, r"axis is \(\), but by goes along one axis"),
        ({"by": [1, 2, 1, 2], "keepdims": True}, ValueError, "by and keepdims were both given"),
        ({"by": [1, 2, 1, 2], "where": np.ones(3, bool)}, ValueError, r"where has shape \(3,\)"),
    ],
)
def test_bad_labels_are_told(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ff.run(np.arange(4.0), "mean", **options)


def test_a_group_that_fails_is_told() -> None:
    x = np.array([1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="nanargmin"):
        ff.run(x, ["nanargmin", "sum"], by=[0, 1, 0])
    found = ff.run(x, ["nanargmin", "nansum"], by=[0, 1, 0], on_error="return")
    np.testing.assert_array_equal(found["nansum"], [3, 0])


def test_long_groups_among_short_ones() -> None:
    """A group that all workers take together, and those before and behind it."""
    rng = np.random.default_rng(11)
    sizes = [3, 5_000, 2, 150_000, 4, 1, 90_000, 7]
    by = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = rng.standard_normal(by.size)
    x[:10] = np.nan
    for nan_policy in ("propagate", "omit"):
        masks = [by == label for label in range(len(sizes))]
        functions = {name: ff.Kernel(name) for name in [*QUICK[:-1], "n_unique", "iqr"]}
        assert_groups(x, by, masks, functions, nan_policy=nan_policy)


# ---- along an axis ----


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_groups_along_an_axis_are_those_of_each_sequence(axis: int) -> None:
    rng = np.random.default_rng(12)
    x = rng.standard_normal((30, 40, 50))
    x[rng.random(x.shape) < 0.05] = np.nan
    size = x.shape[axis]
    by, weights = rng.integers(0, 4, size), rng.random(size)
    functions: dict[str, Any] = {
        **{name: ff.Kernel(name) for name in ("mean", "nanmax", "count", "nanargmin", "n_unique", "mode")},
        "quantiles": ff.nanquantile([0.1, 0.9]),
        "histogram": ff.histogram(bins=3, range=(-1, 1)),
        "one": ff.nanquantile(0.5),
        "own": lambda v, axis: np.nansum(v, axis=axis),
    }
    found = ff.run(x, functions, by=by, axis=axis, workers=2)
    rest = np.delete(x.shape, axis)
    for at in np.ndindex(*rest):
        sequence = np.moveaxis(x, axis, -1)[at]
        alone = ff.run(sequence, {key: own for key, own in functions.items() if key != "own"}, by=by)
        for key, answer in alone.items():
            for own, right in zip(*([each] if not isinstance(each, tuple) else each for each in (found[key], answer))):
                lead = int(key == "quantiles")
                moved = np.moveaxis(own, lead + axis % 3, lead)
                np.testing.assert_array_equal(moved[(slice(None),) * (lead + 1) + at], right, err_msg=key)
        sums = [np.nansum(sequence[by == label]) for label in range(4)]
        np.testing.assert_allclose(np.moveaxis(found["own"], axis, 0)[(slice(None), *at)], sums, rtol=1e-12, atol=1e-12)
    weighed = ff.run(x, "nanmean", by=by, axis=axis, weights=weights)["nanmean"]
    first = np.moveaxis(x, axis, -1)[0, 0]
    np.testing.assert_array_equal(
        np.moveaxis(weighed, axis, 0)[:, 0, 0], ff.run(first, "nanmean", by=by, weights=weights)["nanmean"]
    )


def test_class_means_of_a_table_of_features() -> None:
    rng = np.random.default_rng(13)
    x, by = rng.standard_normal((500, 6)), rng.choice(np.array(["a", "b", "c"]), 500)
    frame = pd.DataFrame(x)
    r = ff.run(x, ["mean", ff.std(ddof=1), "argmax", "max"], by=by, axis=0)
    np.testing.assert_allclose(r["mean"], frame.groupby(by).mean())
    np.testing.assert_allclose(r["std"], frame.groupby(by).std())
    np.testing.assert_array_equal(r["argmax"], frame.groupby(by).idxmax())
    where = x > -1
    r = ff.run(
        x,
        ["mean", "argmin", lambda v, axis, where: v.sum(axis=axis, where=where)],
        by=by,
        axis=0,
        where=where,
    )
    right = frame.where(where).groupby(by)
    np.testing.assert_allclose(r["mean"], right.mean())
    np.testing.assert_array_equal(r["argmin"], right.idxmin())
    np.testing.assert_allclose(r["<lambda>"], right.sum())
    masked = ff.run(np.ma.masked_array(x, ~where), ["mean", "argmin"], by=by, axis=0)
    np.testing.assert_array_equal(masked["mean"], r["mean"])
    several = ff.run({"x": x, "y": x * 2}, ["mean", ff.corr("x", "y")], by=by, axis=0)
    np.testing.assert_array_equal(several["mean"]["x"], ff.run(x, "mean", by=by, axis=0)["mean"])
    np.testing.assert_allclose(several["corr"], np.ones((3, 6)))
    assert ff.run(x[:, :0], "mean", by=by, axis=0)["mean"].shape == (3, 0)
    assert ff.run(x, ["mean", ff.quantile([0.1])], by=np.full(500, np.nan), axis=0)["mean"].shape == (0, 6)
    with pytest.raises(ValueError, match="'cumsum' returns an array of items, and takes by or axis, not both"):
        ff.run(x, "cumsum", by=by, axis=0)
    with pytest.raises(ValueError, match="weights vary along other axes"):
        ff.run(x, "mean", by=by, axis=0, weights=rng.random(x.shape))


@pytest.mark.parametrize("seed", range(12))
def test_groups_of_any_lengths_are_in_their_places(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 10, 300, 5000, 20_000, 70_000], rng.integers(2, 20), p=[0.2, 0.2, 0.2, 0.2, 0.1, 0.1])
    by = np.repeat(np.arange(lengths.size), lengths)
    x = rng.standard_normal(by.size) + by
    if seed % 2:
        order = rng.permutation(by.size)
        by, x = by[order], x[order]
    frame = pd.Series(x).groupby(by)
    functions: list[Any] = ["max", "median", "argmax", "n_unique", ff.quantile([0.1, 0.8]), "rank", "cumsum"]
    first = ff.run(x, functions, by=by, workers=1)
    np.testing.assert_array_equal(first["max"], frame.max())
    np.testing.assert_allclose(first["median"], frame.median(), rtol=1e-15)
    np.testing.assert_array_equal(first["argmax"], frame.idxmax())
    np.testing.assert_array_equal(first["n_unique"], frame.nunique())
    np.testing.assert_allclose(first["quantile"], frame.quantile([0.1, 0.8]).unstack().T, rtol=1e-12)
    np.testing.assert_array_equal(first["rank"], frame.rank())
    np.testing.assert_allclose(first["cumsum"], frame.cumsum(), rtol=1e-9)
    for workers in (2, 5):
        more = ff.run(x, functions, by=by, workers=workers)
        for key, value in first.items():
            np.testing.assert_array_equal(more[key], value)


def test_arrays_of_several_lengths_by_groups_along_an_axis() -> None:
    x = np.array([[1, 1, 5], [2, 1, 5], [2, 3, 5], [4, 4, 5]])
    by = np.array([0, 1, 0, 1])
    found = ff.run(x, ["unique", "n_unique"], by=by, axis=0)
    for group in range(2):
        for column in range(3):
            np.testing.assert_array_equal(found["unique"][group, column], np.unique(x[by == group, column]))


def test_groups_along_an_axis_of_which_nothing_is_left_are_floats() -> None:
    x = np.arange(24).reshape(6, 4)
    by, where = np.array([0, 0, 1, 1, 2, 2]), x != 0
    where[2:4, 1] = False
    kernel = ff.quantile(0.5, method="lower")
    found = ff.run(x, kernel, by=by, axis=0, where=where)["quantile"]
    assert found.dtype == np.float64
    for group in range(3):
        for column in range(4):
            own = x[by == group, column][where[by == group, column]]
            right = np.quantile(own, 0.5, method="lower") if own.size else np.nan
            np.testing.assert_array_equal(found[group, column], right)
