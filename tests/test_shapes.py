"""Axes and masks: answers along an axis are those of their elements alone, to the last bit, and their shape NumPy's."""

import functools
import itertools
from typing import Any

import hypothesis.extra.numpy as st_numpy
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanfold as ff
import oracle
import sequences
import zoo

Array = npt.NDArray[Any]

POLICIES = ("propagate", "omit")

QUICK = ["mean", "std", "sum", "min", "max", "count", "any", "median", "skew", "mode"]


def contents(dtype: str, shape: tuple[int, ...]) -> Array:
    """Ordinary elements, some missing if there are such."""
    x = zoo.ordinary(dtype, max(1, int(np.prod(shape))))[: int(np.prod(shape))]
    if zoo.can_be_nan(dtype) and x.size > 4:
        x[[x.size // 3, x.size // 2]] = zoo.missing(dtype)
    return x.reshape(shape)


def at(result: Any, place: tuple[int, ...], kernel: ff.Kernel, axis: int) -> Any:
    """The answer of one place along the other axes."""
    if isinstance(result, tuple):
        return type(result)(*(at(field, place, kernel, axis) for field in result))
    if result.ndim == len(place):
        return result[place]
    if "q" in kernel.parameters and kernel.name not in sequences.NAMES:
        return result[(..., *place)]
    return np.moveaxis(result, axis, -1)[place]


def assert_rows(
    x: Array, axis: int, functions: dict[str, ff.Kernel], where: Array | None = None, **options: Any
) -> None:
    """Fail unless the answers along an axis are those of the elements alone."""
    found = ff.run(x, functions, axis=axis, where=where, on_error="return", **options)
    rows = np.moveaxis(x, axis, -1)
    masks = np.moveaxis(np.broadcast_to(where, x.shape), axis, -1) if where is not None else None
    alone = {}
    for place in np.ndindex(rows.shape[:-1]):
        row = rows[place] if masks is None else rows[place][masks[place]]
        alone[place] = ff.run(row, functions, on_error="return", **options)
    for key, kernel in functions.items():
        answers = {place: answer[key] for place, answer in alone.items()}
        failed = [answer for answer in answers.values() if isinstance(answer, Exception)]
        if failed:
            assert type(found[key]) in map(type, failed), key
            continue
        assert not isinstance(found[key], Exception), (key, found[key])
        for place, answer in answers.items():
            own = at(found[key], place, kernel, axis)
            if isinstance(answer, tuple) or np.ndim(answer):
                np.testing.assert_equal(own, answer, err_msg=f"{key} {place}")
            else:
                assert np.asarray(own).tobytes() == np.asarray(answer, np.asarray(own).dtype).tobytes(), (key, place)


@pytest.mark.parametrize("nan_policy", POLICIES)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_answers_along_an_axis_are_those_of_the_elements_alone(dtype: str, axis: int, nan_policy: str) -> None:
    assert_rows(contents(dtype, (3, 5, 7)), axis, oracle.uses(dtype), nan_policy=nan_policy)


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "reversed": lambda x: x.copy()[::-1, :, ::-1][::-1, :, ::-1],
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=2), 3, axis=0)[::3, :, ::2],
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "permuted": lambda x: x.transpose(1, 2, 0).copy().transpose(2, 0, 1),
}


def every_bit(value: Any) -> Any:
    """As `oracle.bits`, also of arrays of objects."""
    if isinstance(value, tuple):
        return tuple(map(every_bit, value))
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.shape, [every_bit(one) for one in value.ravel()]
    return oracle.bits(value)


def same_shape(left: Any, right: Any) -> bool:
    pairs = zip(left, right, strict=True) if isinstance(right, tuple) else [(left, right)]
    # Rules for bins can go by sums.
    return all(
        one.dtype == object or other.dtype == object or (one.shape == other.shape and one.dtype == other.dtype)
        for one, other in pairs
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["int16", "float16", "float32", "float64", "complex64", "datetime64[D]", "bool"])
def test_no_layout_shows(dtype: str, layout: str) -> None:
    x = contents(dtype, (4, 6, 5))
    functions = oracle.uses(dtype)
    for axis in (0, 1, 2, (0, 2), (1, 2)):
        if isinstance(axis, tuple):
            functions = {key: use for key, use in functions.items() if use.name not in sequences.NAMES}
        right = ff.run(x, functions, axis=axis, on_error="return")
        found = ff.run(LAYOUTS[layout](x), functions, axis=axis, on_error="return")
        for key in functions:
            if isinstance(right[key], Exception):
                assert type(found[key]) is type(right[key])
            elif isinstance(axis, tuple) and "arg" not in functions[key].name:
                # In the order of memory sums round otherwise.
                assert same_shape(found[key], right[key]), (key, axis)
            else:
                assert every_bit(found[key]) == every_bit(right[key]), (key, axis)


@pytest.mark.parametrize("shape", [(3, 70_000), (70_000, 3), (2, 200_000), (200_000, 2), (40, 20_000), (20_000, 40),
                                   (9_000, 7), (5, 9_000), (300, 300), (1, 100_000), (100_000, 1)])  # fmt: skip
def test_long_rows_are_those_of_the_elements_alone(shape: tuple[int, int]) -> None:
    x = contents("float64", shape)
    functions = {name: ff.Kernel(name) for name in [*QUICK, "iqr", "n_unique", "median_abs_deviation"]}
    for axis in (0, 1):
        if x.shape[1 - axis] <= 40:
            assert_rows(x, axis, functions, nan_policy="omit")
            continue
        found = ff.run(x, functions, axis=axis, nan_policy="omit")
        rows = np.moveaxis(x, axis, -1)
        for place in (0, 1, len(rows) // 2, len(rows) - 1):
            alone = ff.run(rows[place], functions, nan_policy="omit")
            for key, kernel in functions.items():
                np.testing.assert_equal(at(found[key], (place,), kernel, axis), alone[key], err_msg=key)


@pytest.mark.parametrize("workers", [2, 3, 7])
@pytest.mark.parametrize("shape", [(2_000, 300), (100_000, 5), (5, 100_000)])
def test_no_number_of_workers_shows(shape: tuple[int, int], workers: int) -> None:
    x = contents("float64", shape)
    mask = x > -0.5
    for axis, where in itertools.product((0, 1), (None, mask)):
        one, many = (
            ff.run(x, QUICK, axis=axis, where=where, workers=count, on_error="return") for count in (1, workers)
        )
        assert {key: oracle.bits(value) for key, value in one.items()} == {
            key: oracle.bits(value) for key, value in many.items()
        }


NUMPY = {
    "mean": np.mean, "std": np.std, "var": np.var, "sum": np.sum, "prod": np.prod, "min": np.min, "max": np.max,
    "ptp": np.ptp, "any": np.any, "all": np.all, "median": np.median, "count_nonzero": np.count_nonzero,
    "nanmean": np.nanmean, "nanmax": np.nanmax, "nanmedian": np.nanmedian,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (2, 0), (-1, -2), (0, 1, 2), ()])
def test_shapes_and_dtypes_are_numpys(axis: Any, keepdims: bool, dtype: str) -> None:
    x = zoo.ordinary(dtype, 60).reshape(3, 4, 5)
    taken = {kernel.name for kernel in oracle.uses(dtype).values()}
    # Products of integers do not fit, nor do the ranges of small ones: that is an error here.
    names = [name for name in NUMPY if name in taken and (dtype[0] in "bf" or name not in ("prod", "ptp"))]
    found = ff.run(x, names, axis=axis, keepdims=keepdims)
    for name in names:
        right = NUMPY[name](x, axis=axis, keepdims=keepdims)
        assert np.shape(found[name]) == np.shape(right), name
        assert np.asarray(found[name]).dtype == np.asarray(right).dtype, name
        assert isinstance(found[name], np.ndarray) == isinstance(right, np.ndarray), name
        np.testing.assert_allclose(
            found[name], right, rtol=4e-3 if dtype == "float16" else 1e-5, atol=1e-3, err_msg=name
        )


@pytest.mark.parametrize("q", [0.3, [0.1, 0.5, 0.9], []])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
def test_quantiles_come_first(axis: Any, keepdims: bool, q: Any) -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 4, 5)
    found = ff.run(x, ff.quantile(q), axis=axis, keepdims=keepdims)["quantile"]
    right = np.quantile(x, q, axis=axis, keepdims=keepdims)
    assert np.shape(found) == np.shape(right)
    np.testing.assert_array_equal(found, right)


def test_sorted_rows_stay_where_they_were() -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 4, 5)
    for axis in (0, 1, 2):
        found = ff.run(x, ["sort", "argsort", ff.topk(2)], axis=axis)
        np.testing.assert_array_equal(found["sort"], np.sort(x, axis=axis))
        np.testing.assert_array_equal(found["argsort"], np.argsort(x, axis=axis, kind="stable"))
        np.testing.assert_array_equal(found["topk"], np.flip(np.sort(x, axis=axis), axis).take([0, 1], axis=axis))


def test_answers_of_several_lengths_are_objects() -> None:
    found = ff.run(np.array([[1, 1, 2], [3, 3, 3]]), ["unique", ff.histogram(bins=2)], axis=1)
    assert found["unique"].dtype == object
    np.testing.assert_array_equal(found["unique"][0], [1, 2])
    np.testing.assert_array_equal(found["unique"][1], [3])
    np.testing.assert_array_equal(found["histogram"].counts, [[2, 1], [0, 3]])
    np.testing.assert_array_equal(found["histogram"].edges, [[1, 1.5, 2], [2.5, 3, 3.5]])


arrays = st_numpy.arrays(
    st.sampled_from(["float64", "float32", "int32", "uint8"]),
    st_numpy.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
)


@given(x=arrays, data=st.data())
def test_any_shape(x: Array, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(-x.ndim, x.ndim - 1), max_size=x.ndim, unique_by=lambda axis: axis % x.ndim))
    order = data.draw(st.permutations(range(x.ndim)))
    x = x.transpose(order)[tuple(slice(None, None, data.draw(st.sampled_from([1, -1, 2]))) for _ in order)]
    axis = tuple(axes)
    keepdims = data.draw(st.booleans())
    found = ff.run(x, ["count_nonzero", "any", "sum", "median"], axis=axis, keepdims=keepdims, on_error="return")
    with np.errstate(all="ignore"):
        for name, function in {"count_nonzero": np.count_nonzero, "any": np.any}.items():
            right = function(x, axis=axis, keepdims=keepdims)
            assert np.shape(found[name]) == np.shape(right)
            np.testing.assert_array_equal(found[name], right)
        if not isinstance(found["median"], Exception):
            assert np.shape(found["median"]) == np.shape(np.sum(x, axis=axis, keepdims=keepdims))


# --------------------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("nan_policy", POLICIES)
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int64", "float16", "float32", "float64", "complex128", "timedelta64[s]"]
)
def test_masked_answers_are_those_of_the_chosen_elements(dtype: str, nan_policy: str) -> None:
    x = contents(dtype, (6, 30))
    mask = np.random.default_rng(1).random((6, 30)) < 0.5
    mask[:, :2] = True
    uses = oracle.uses(dtype).items()
    functions = {key: use for key, use in uses if "arg" not in use.name and use.name not in sequences.NAMES}
    for axis in (0, 1):
        assert_rows(x, axis, functions, mask, nan_policy=nan_policy)
    found = ff.run(x, functions, where=mask, nan_policy=nan_policy, on_error="return")
    alone = ff.run(x[mask], functions, nan_policy=nan_policy, on_error="return")
    for key in functions:
        assert type(found[key]) is type(alone[key]), key
        if not isinstance(found[key], Exception):
            np.testing.assert_equal(found[key], alone[key], err_msg=key)


def test_a_long_mask() -> None:
    x = contents("float64", (300_000,))
    for share in (0.0, 1e-4, 0.3, 1.0):
        mask = np.random.default_rng(2).random(x.size) < share
        names = ["count", "sum", "std", "median", "n_unique", ff.quantile([0.1, 0.9])]
        found, alone = (ff.run(*call, nan_policy="omit") for call in ((x, names), (x[mask], names)))
        found = ff.run(x, names, where=mask, nan_policy="omit")
        assert found["count"] == alone["count"]
        np.testing.assert_array_equal(found["median"], alone["median"])
        np.testing.assert_array_equal(found["quantile"], alone["quantile"])
        np.testing.assert_allclose(found["sum"], alone["sum"], rtol=1e-13, atol=1e-12)


def test_masks_broadcast() -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 4, 5)
    for mask in (np.array([True, False, True, True, False]), np.array([[[True]], [[False]], [[True]]]), True, np.True_):
        np.testing.assert_allclose(ff.run(x, "sum", where=mask)["sum"], np.sum(x, where=mask))
        np.testing.assert_allclose(ff.run(x, "mean", axis=2, where=np.ones(5, bool))["mean"], np.mean(x, axis=2))


# ------------------------------------------------------------------------------------------------ functions


def test_functions_are_called_with_the_axis() -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 4, 5)

    def spread(v: Array, axis: int | None = None) -> Any:
        return v.max(axis=axis) - v.min(axis=axis)

    found = ff.run(x, [np.mean, spread, "mean"][:2], axis=1)
    np.testing.assert_array_equal(found["mean"], x.mean(axis=1))
    np.testing.assert_array_equal(found["spread"], np.ptp(x, axis=1))
    assert found.report.how == {"mean": "plain", "spread": "plain"}
    assert found.report.why["spread"] == "the array has fewer than 131,072 elements"
    with pytest.raises(TypeError, match="'spread' has no parameter keepdims"):
        ff.run(x, spread, axis=1, keepdims=True)


LARGE = np.random.default_rng(5).standard_normal((1000, 200))


def spread(v: Array, axis: Any, keepdims: bool = False) -> Any:
    return v.max(axis=axis, keepdims=keepdims) - v.min(axis=axis, keepdims=keepdims)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_functions_are_traced_with_the_axis(axis: Any, workers: int) -> None:
    functions: dict[str, Any] = {
        "middle": lambda v, axis: np.median(v, axis=axis),
        "spread": spread,
        "typed": lambda v, axis: v.__array__().sum(axis=axis),
        "whole": lambda v, axis: v.mean(),
    }
    found = ff.run(LARGE, functions, axis=axis, workers=workers)
    for key, function in functions.items():
        if key == "whole":
            np.testing.assert_allclose(found[key], LARGE.mean(), rtol=1e-14)
        else:
            np.testing.assert_array_equal(found[key], function(LARGE, axis))
        assert type(found[key]) is type(function(LARGE, axis))
    assert found.report.how == {"middle": "fused", "spread": "fused", "typed": "plain", "whole": "fused"}


@pytest.mark.parametrize("axis", [0, 1])
def test_functions_along_an_axis_share_the_kernels_sweep(axis: int) -> None:
    functions: dict[str, Any] = {"own": lambda v, axis: v.std(axis=axis), "mean": "mean", "least": "min"}
    found = ff.run(LARGE, functions, axis=axis)
    assert found.report.passes == 1
    assert found.report.how["own"] == "fused"
    np.testing.assert_array_equal(found["own"], ff.run(LARGE, "std", axis=axis)["std"])
    np.testing.assert_array_equal(found["mean"], ff.run(LARGE, "mean", axis=axis)["mean"])
    # Under a policy, a mask or weights the kernels go over other elements.
    for options in ({"nan_policy": "omit"}, {"weights": np.ones(LARGE.shape[axis])}):
        apart: dict[str, Any] = {"own": lambda v, axis, weights=None: v.std(axis=axis), "mean": "mean"}
        told = ff.run(LARGE, apart, axis=axis, **options)
        np.testing.assert_array_equal(told["own"], found["own"])
        np.testing.assert_allclose(told["mean"], found["mean"], rtol=1e-12)


def test_functions_get_all_arguments_of_the_call() -> None:
    mask = LARGE > 0

    def fill(v: Array, axis: int, keepdims: bool, where: Array) -> Any:
        return v.sum(axis=axis, keepdims=keepdims, where=where)

    found = ff.run(LARGE, {"sum": "sum", "own": fill}, axis=1, keepdims=True, where=mask)
    np.testing.assert_allclose(found["own"], fill(LARGE, 1, True, mask))
    np.testing.assert_allclose(found["sum"], found["own"])
    assert found["own"].shape == (1000, 1)


def test_a_function_that_fails_along_an_axis_fails_alone() -> None:
    def fails(v: Array, axis: int) -> Any:
        raise ValueError(f"not along {axis}, where the mean is {float(v.mean()):.3f}")

    found = ff.run(LARGE, {"spread": spread, "fails": fails, "mean": "mean"}, axis=0, on_error="return")
    assert str(found["fails"]).startswith("not along 0")
    np.testing.assert_array_equal(found["spread"], np.ptp(LARGE, axis=0))
    np.testing.assert_allclose(found["mean"], LARGE.mean(axis=0))


def test_functions_of_tables_are_traced_with_the_axis() -> None:
    table = {"one": LARGE, "two": LARGE[::-1].copy(), "odd": LARGE[:, ::-1]}
    found = ff.run(table, {"spread": spread, "mean": "mean", "sort": "sort"}, axis=0)
    for name, array in table.items():
        np.testing.assert_array_equal(found["spread"][name], np.ptp(array, axis=0))
        np.testing.assert_allclose(found["mean"][name], array.mean(axis=0))
        np.testing.assert_array_equal(found["sort"][name], np.sort(array, axis=0))


def test_kernels_and_functions_of_all_columns_share_their_passes() -> None:
    table = {"one": LARGE.ravel(), "two": LARGE.T.ravel()}
    functions: dict[str, Any] = {"spread": lambda v: v.max() - v.min(), "mean": "mean", "sum": "sum"}
    found = ff.run(table, functions)
    assert found.report.passes == 1
    for name, array in table.items():
        assert found["mean"][name] == ff.run(array, "mean")["mean"]
        assert found["spread"][name] == np.ptp(array)
    both = ff.run(table, functions | {"corr": ff.corr("one", "two")})
    assert both.report.passes == 2
    assert both["corr"] == ff.run(table, ff.corr("one", "two"))["corr"]


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"axis": 2}, np.exceptions.AxisError, "axis 2 is out of bounds for data of 2 axes: pass one from -2 to 1"),
        ({"axis": (0, -3)}, np.exceptions.AxisError, "axis -3 is out of bounds"),
        ({"axis": (0, 0)}, ValueError, "names an axis twice"),
        ({"axis": (0, -2)}, ValueError, "names an axis twice"),
        ({"axis": 1.0}, TypeError, "axis must be an integer"),
        ({"axis": True}, TypeError, "axis must be an integer"),
        ({"axis": "0"}, TypeError, "axis must be an integer"),
        ({"axis": [0]}, TypeError, "axis must be an integer"),
        ({"keepdims": 1}, TypeError, "keepdims must be True or False"),
        ({"keepdims": None}, TypeError, "keepdims must be True or False"),
        ({"where": np.ones((2, 2), bool)}, ValueError, r"where has shape \(2, 2\)"),
        ({"where": np.ones((1, 3, 4), bool)}, ValueError, r"where has shape \(1, 3, 4\)"),
        ({"where": np.ones((3, 4))}, TypeError, "where must be an array of dtype bool, not an array of dtype float64"),
        ({"where": "yes"}, TypeError, "where must be an array of dtype bool, not 'yes'"),
    ],
)
def test_bad_arguments_are_told(options: dict[str, Any], error: type[Exception], message: str) -> None:
    x = np.arange(12.0).reshape(3, 4)
    for call in (functools.partial(ff.run, x, "mean"), functools.partial(ff.plan("mean").run, x),
                 functools.partial(ff.Pool(1).run, x, "mean")):  # fmt: skip
        with pytest.raises(error, match=message):
            call(**options)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
def test_positions_under_a_mask_are_those_of_the_whole_array(axis: Any) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 50, 60))
    mask = rng.random(x.shape) < 0.7
    r = ff.run(x, ["argmin", "argmax", ff.argtopk(k=3)], axis=axis, where=mask)
    taken = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    others = [each for each in range(3) if each not in taken]
    rows = [np.where(mask, x, fill).transpose(*others, *taken) for fill in (np.inf, -np.inf)]
    low, high = (own.reshape(*own.shape[: len(others)], -1) for own in rows)
    np.testing.assert_array_equal(r["argmin"], low.argmin(-1))
    np.testing.assert_array_equal(r["argmax"], high.argmax(-1))
    top = np.argsort(-high, axis=-1, kind="stable")[..., :3]
    np.testing.assert_array_equal(np.moveaxis(np.asarray(r["argtopk"]), taken[0] if len(taken) == 1 else -1, -1), top)


def test_a_position_under_a_mask_is_found_in_any_block() -> None:
    x = np.zeros(200_000)
    mask = np.zeros(x.size, bool)
    for place in (0, 65_535, 65_536, 131_072, 199_999):
        mask[:] = False
        mask[place] = True
        assert ff.run(x, "argmax", where=mask)["argmax"] == place


def test_a_row_that_fails_is_told() -> None:
    x = np.array([[1.0, np.nan], [np.nan, np.nan]])
    with pytest.raises(ValueError, match="nanargmin"):
        ff.run(x, ["nanargmin", "mean"], axis=1)
    found = ff.run(x, ["nanargmin", "mean"], axis=1, on_error="return")
    assert isinstance(found["nanargmin"], ValueError)
    np.testing.assert_array_equal(found["mean"], [np.nan, np.nan])
    with pytest.raises(ValueError, match="the array holds 3 NaN"):
        ff.run(x, "mean", axis=0, nan_policy="raise")


def test_no_rows_have_the_dtypes_of_some() -> None:
    x = np.empty((0, 3), np.float32)
    found = ff.run(x, ["mean", "sum", "min", ff.quantile([0.1, 0.2]), "argmin", "mode"], axis=1)
    assert [found[name].dtype for name in ("mean", "sum", "min", "argmin")] == ["f4", "f4", "f4", "i8"]
    assert found["mean"].shape == (0,)
    assert found["quantile"].shape == (2, 0)
    assert found["mode"].mode.shape == (0,)
    with pytest.raises(ValueError, match="'min' of an empty array"):
        ff.run(np.empty((3, 0)), "min", axis=1)


# ------------------------------------------------------------------------------------- arrays along an axis


def test_arrays_of_items_along_an_axis() -> None:
    x = zoo.ordinary("float64", 60).reshape(3, 4, 5)
    for axis in (0, 1, -1):
        found = ff.run(x, ["cumsum", ff.diff(n=2), "mean", "cummax", "rank"], axis=axis)
        np.testing.assert_allclose(found["cumsum"], np.cumsum(x, axis=axis), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(found["diff"], np.diff(x, 2, axis=axis))
        np.testing.assert_array_equal(found["cummax"], np.maximum.accumulate(x, axis=axis))
        np.testing.assert_allclose(found["mean"], x.mean(axis=axis))
    out = np.empty(x.shape)
    assert ff.run(x, "cumsum", axis=1, out={"cumsum": out})["cumsum"] is out
    np.testing.assert_allclose(out, np.cumsum(x, axis=1), rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="'cumsum' returns an array of items, and works along one axis only"):
        ff.run(x, "cumsum", axis=(0, 1))
    with pytest.raises(ValueError, match="'cumsum' returns an array of items, and takes no where"):
        ff.run(x, "cumsum", where=x > 0)
    with pytest.raises(OverflowError, match="cumsum"):
        ff.run(np.full((2, 3), 2**62), ["cumsum", "min"], axis=1)


def test_arrays_of_items_of_groups() -> None:
    x, by = zoo.ordinary("float64", 50), np.arange(50) % 3
    found = ff.run(x, ["cumsum", "mean"], by=by)
    right = np.empty(50)
    for label in range(3):
        right[by == label] = np.cumsum(x[by == label])
    np.testing.assert_allclose(found["cumsum"], right, rtol=1e-12, atol=1e-12)
    assert found["mean"].shape == (3,)
    with pytest.raises(ValueError, match="it takes no by"):
        ff.run(x, "diff", by=by)
