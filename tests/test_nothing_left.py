"""Groups and rows of which nothing is left: NaN that is left out, a mask, an axis without elements, weights of 0.

Each has its place in every answer, with the shape, dtype and bits of a run over its elements alone. A kernel that has
no answer for no elements fails by its name, and its neighbours do not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
import oracle
import sequences
import zoo

Array = npt.NDArray[Any]

DTYPES = (
    "bool",
    "int8",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex128",
    "datetime64[s]",
    "timedelta64",
)
FLOATS = tuple(dtype for dtype in DTYPES if zoo.can_be_nan(dtype))


def same(own: Any, right: Any, name: str) -> None:
    """Fail unless both are the same to the last bit, with shape and dtype."""
    if isinstance(right, tuple):
        for each, other in zip(own, right, strict=True):
            same(each, other, name)
        return
    own, right = np.asarray(own), np.asarray(right)
    assert (own.dtype, own.shape) == (right.dtype, right.shape), (name, own, right)
    assert own.tobytes() == right.tobytes(), (name, own, right)


def part(result: Any, number: int, kernel: ff.Kernel, axis: int | None) -> Any:
    """A row's answer among those of many, or a group's."""
    if isinstance(result, tuple):
        return type(result)(*(part(field, number, kernel, axis) for field in result))
    if kernel.answers == "quantiles" and result.dtype != object:
        return result[..., number]
    if axis is None or result.ndim == 1:
        return result[number]
    return np.moveaxis(result, axis, -1)[number] if kernel.arrays == "one" else result[number]


def assert_each(
    functions: dict[str, ff.Kernel], together: ff.Results, alone: list[ff.Results], axis: int | None
) -> None:
    """Fail unless every answer is made of those of the parts alone, in their order."""
    for key, kernel in functions.items():
        failed = [one[key] for one in alone if isinstance(one[key], Exception)]
        if failed:
            assert type(together[key]) in map(type, failed), (key, together[key])
            assert kernel.name in str(together[key]), key
            continue
        assert not isinstance(together[key], Exception), (key, together[key])
        for number, right in enumerate(promoted([one[key] for one in alone])):
            same(part(together[key], number, kernel, axis), right, key)


def promoted(answers: list[Any]) -> list[Any]:
    """Numbers of several dtypes (an integer, and NaN where nothing is left) as those of the common one."""
    if isinstance(answers[0], tuple):
        fields = [promoted(list(field)) for field in zip(*answers, strict=True)]
        return list(zip(*fields, strict=True))
    if all(np.ndim(answer) == 0 for answer in answers):
        return list(np.array(answers))
    return answers


def table(dtype: str, missing: bool) -> Array:
    """Rows of which some have no elements but NaN, if there is such: the first, one in the middle and the last."""
    x = zoo.ordinary(dtype, 30).reshape(6, 5)
    if missing:
        x[[0, 3, 5]] = zoo.missing(dtype)
        x[1, 2] = zoo.missing(dtype)
    return x


def uses(dtype: str, suits: Callable[[ff.Kernel], bool] = lambda kernel: True) -> dict[str, ff.Kernel]:
    return {key: kernel for key, kernel in oracle.uses(dtype).items() if suits(kernel)}


def takes_where(kernel: ff.Kernel) -> bool:
    return "arg" not in kernel.name and kernel.name not in sequences.NAMES


@pytest.mark.parametrize("rows", [6, 240])
@pytest.mark.parametrize("dtype", FLOATS)
def test_rows_of_which_nan_leaves_nothing(dtype: str, rows: int) -> None:
    x, functions = np.tile(table(dtype, missing=True), (rows // 6, 1)), uses(dtype)
    how: dict[str, Any] = {"nan_policy": "omit", "on_error": "return"}
    alone = [ff.run(row, functions, **how) for row in x[:6]] * (rows // 6)
    assert_each(functions, ff.run(x, functions, axis=1, **how), alone, 1)
    assert_each(functions, ff.run(x.T.copy(), functions, axis=0, **how), alone, 0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_groups_of_which_nan_leaves_nothing(dtype: str) -> None:
    x, functions = table(dtype, missing=True), uses(dtype, takes_where)
    functions |= {"argsort": ff.argsort(), "argtopk": ff.argtopk()} if dtype != "complex128" else {}
    by = np.repeat(np.arange(6), 5)
    how: dict[str, Any] = {"nan_policy": "omit", "on_error": "return"}
    found = ff.run(x, functions, by=by, **how)
    alone = [ff.run(row, functions, **how) for row in x]
    for number, one in enumerate(alone):
        for key in {"argsort", "argtopk"} & {*functions}:
            one[key] += 5 * number
    assert_each(functions, found, alone, None)
    np.testing.assert_array_equal(found.groups, range(6))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_which_a_mask_leaves_nothing(dtype: str) -> None:
    x, functions = table(dtype, missing=False), uses(dtype, takes_where)
    where = np.ones(x.shape, bool)
    where[[0, 3, 5]] = where[1, 2] = False
    found = ff.run(x, functions, axis=1, where=where, on_error="return")
    alone = [ff.run(row[mask], functions, on_error="return") for row, mask in zip(x, where, strict=True)]
    assert_each(functions, found, alone, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_elements(dtype: str) -> None:
    functions = uses(dtype)
    alone = [ff.run(np.empty(0, dtype), functions, on_error="return")] * 3
    assert_each(functions, ff.run(np.empty((3, 0), dtype), functions, axis=1, on_error="return"), alone, 1)
    assert_each(functions, ff.run(np.empty((0, 3), dtype), functions, axis=0, on_error="return"), alone, 0)


def shape_of_none(answer: Any, kernel: ff.Kernel, axis: int) -> Any:
    """The shapes and dtypes that answers have for no rows, made of those for one."""
    if isinstance(answer, tuple):
        return tuple(shape_of_none(field, kernel, axis) for field in answer)
    is_first = answer.ndim == 1 or kernel.answers != "quantiles"
    place = 1 - axis if is_first and answer.ndim == 2 and kernel.arrays == "one" else 0 if is_first else -1
    return answer.dtype, tuple(0 if at == place % answer.ndim else size for at, size in enumerate(answer.shape))


def shape_of(answer: Any) -> Any:
    return tuple(map(shape_of, answer)) if isinstance(answer, tuple) else (answer.dtype, answer.shape)


@pytest.mark.parametrize("len", [5, 1, 0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows(dtype: str, len: int) -> None:
    several = {"unique", "value_counts", "histogram"} if len else set()
    functions = uses(dtype, lambda kernel: kernel.name not in several)
    for axis in (0, 1):
        some = np.ones((len, 1) if axis == 0 else (1, len)).astype(dtype)
        none = some[:, :0] if axis == 0 else some[:0]
        found = ff.run(none, functions, axis=axis, on_error="return")
        right = ff.run(some, functions, axis=axis, on_error="return")
        for key, kernel in functions.items():
            if isinstance(right[key], Exception):
                assert not len or isinstance(found[key], Exception), key
                continue
            assert not isinstance(found[key], Exception), (key, found[key])
            assert shape_of(found[key]) == shape_of_none(right[key], kernel, axis), key


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_groups(dtype: str) -> None:
    functions = uses(dtype, takes_where)
    for x, by in ((np.empty(0, dtype), np.empty(0)), (zoo.ordinary(dtype, 4), np.full(4, np.nan))):
        found = ff.run(x, functions | {"my own": len}, by=by, on_error="return")
        one = ff.run(np.ones(200).astype(dtype), functions, by=np.zeros(200), on_error="return")
        assert found["my own"].shape == found.groups.shape == (0,)
        for key, kernel in functions.items():
            if isinstance(one[key], Exception):
                assert isinstance(found[key], Exception), key
                continue
            pairs = list(zip(*(answer if isinstance(answer, tuple) else [answer] for answer in (found[key], one[key]))))
            if kernel.name in {"sort", "unique", "value_counts"} or isinstance(kernel.parameters.get("bins"), str):
                # Their lengths depend on the groups' elements.
                assert all(none.shape[0] == 0 for none, _ in pairs), key
            else:
                assert all(none.dtype == some.dtype for none, some in pairs), key
                groups = -1 if kernel.answers == "quantiles" else 0
                assert all(none.shape == np.delete(some, 0, groups).shape for none, some in pairs), key


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "float64"])
def test_rows_and_groups_that_weigh_nothing(dtype: str) -> None:
    x, functions = table(dtype, missing=False), uses(dtype, takes_where)
    weights = np.random.default_rng(3).integers(0, 4, x.shape)
    weights[[0, 3, 5]] = 0
    alone = [ff.run(row, functions, weights=own, on_error="return") for row, own in zip(x, weights, strict=True)]
    taking = {key: kernel for key, kernel in functions.items() if "weights" not in str(alone[1][key])}
    assert len(taking) > 10
    by = np.repeat(np.arange(6), 5)
    assert_each(taking, ff.run(x, functions, axis=1, weights=weights, on_error="return"), alone, 1)
    assert_each(taking, ff.run(x, functions, by=by, weights=weights, on_error="return"), alone, None)


SEVERAL = {repr(kernel): kernel for info in ff.kernels() if info.arrays != "one"
           for kernel in [ff.Kernel(info.name, **example) for example in info.examples]}  # fmt: skip


def test_several_arrays_of_which_nothing_is_left() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 6, 5))
    x[0], y[3], x[5], y[5], x[1, 2] = (np.nan,) * 5
    how: dict[str, Any] = {"nan_policy": "omit", "on_error": "return"}
    alone = [ff.run({"x": one, "y": other}, SEVERAL, **how) for one, other in zip(x, y, strict=True)]
    assert_each(SEVERAL, ff.run({"x": x, "y": y}, SEVERAL, axis=1, **how), alone, 1)
    assert_each(SEVERAL, ff.run({"x": x, "y": y}, SEVERAL, by=np.repeat(np.arange(6), 5), **how), alone, None)
    where = ~(np.isnan(x) | np.isnan(y))
    masked = ff.run({"x": x, "y": y}, SEVERAL, axis=1, where=where, on_error="return")
    assert_each(SEVERAL, masked, alone, 1)
    empty = np.empty(0)
    alone = [ff.run({"x": empty, "y": empty}, SEVERAL, on_error="return")] * 3
    empty = np.empty((3, 0))
    assert_each(SEVERAL, ff.run({"x": empty, "y": empty}, SEVERAL, axis=1, on_error="return"), alone, 1)


def test_integers_beside_nothing_keep_every_bit() -> None:
    x = np.array([[2**53 + 1, 2**53 + 1], [2**53, 7], [3, 3]])
    where = np.array([[True, True], [False, False], [True, True]])
    found = ff.run(x, ["mode", ff.quantile(0.5, method="inverted_cdf")], axis=1, where=where)
    for answers in (found["mode"].mode, found["quantile"]):
        assert [answers[0], answers[2]] == [2**53 + 1, 3]
        assert np.isnan(answers[1])
    found = ff.run(x, "mode", axis=1, where=~where[[1, 0, 2]] | where[[0, 0, 1]], on_error="return")
    few = ff.run(x % 100, "mode", axis=1, where=where)["mode"]
    assert (few.mode.dtype, few.count.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(few.mode, [93, np.nan, 3])


def test_a_neighbour_of_what_has_no_answer_has_one() -> None:
    x = np.array([[np.nan, np.nan], [3.0, 4.0], [5.0, 5.0]])
    for options in ({"axis": 1}, {"by": np.repeat(np.arange(3), 2)}):
        found = ff.run(x, ["mean", "nanargmin", "sort"], nan_policy="omit", on_error="return", **options)
        assert isinstance(found["nanargmin"], ValueError)
        np.testing.assert_array_equal(found["mean"], [np.nan, 3.5, 5])
        assert [answer.tolist() for answer in found["sort"]] == [[], [3, 4], [5, 5]]
        assert found["sort"][0].dtype == np.float64


def test_many_groups_of_which_nothing_is_left() -> None:
    """More than a worker takes at a time."""
    rng = np.random.default_rng(6)
    by = rng.integers(0, 8_000, 150_000)
    x = rng.integers(0, 9, by.size).astype(float)
    x[by % 3 == 0] = np.nan
    one, other = (ff.run(x, ["unique", "sort"], by=by, nan_policy="omit", workers=workers) for workers in (1, 3))
    order = np.argsort(by, kind="stable")
    parts = np.split(x[order], np.flatnonzero(np.diff(by[order])) + 1)
    assert len(one["sort"]) == len(one.groups) == len(parts)
    for number in range(0, len(parts), 7):
        right = np.sort(parts[number][~np.isnan(parts[number])])
        for found in (one, other):
            np.testing.assert_array_equal(found["sort"][number], right)
            np.testing.assert_array_equal(found["unique"][number], np.unique(right))
