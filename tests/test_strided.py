"""Functions of arrays in any layout, and of arrays that are broadcast: traced, and what their plain calls give."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fanfold.tracing import calls
from plain import assert_same, called

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

rng = np.random.default_rng(29)
TABLE = rng.standard_normal((601, 302))
CUBE = rng.standard_normal((61, 52, 53))
ARRAYS: dict[str, Array] = {
    "C": TABLE,
    "Fortran": np.asfortranarray(TABLE),
    "float32": np.asfortranarray(TABLE.astype("f4")),
    "integers": np.asfortranarray(rng.integers(-100, 100, (400, 500))),
    "missing": np.asfortranarray(np.where(TABLE > 2, np.nan, TABLE)),
    "every second column": rng.standard_normal((500, 600))[:, ::2],
    "backwards": np.asfortranarray(TABLE)[::-1, ::-1],
    "one row": rng.standard_normal((200_000, 3)).T[:1],
    "a row of many": np.broadcast_to(rng.standard_normal(500), (400, 500)),
    "a column of many": np.broadcast_to(rng.standard_normal(400)[:, None], (400, 500)),
    "a cube": np.asfortranarray(CUBE),
    "axes in another order": CUBE.transpose(1, 0, 2),
    "a cube of many": np.broadcast_to(np.asfortranarray(TABLE), (2, *TABLE.shape)),
}

ELEMENTS: dict[str, Function] = {
    "scaled": lambda v: v * 2,
    "root": lambda v: np.sqrt(np.abs(v)) + 1,
    "mask": lambda v: v > 0,
    "both orders": lambda v: v + np.ascontiguousarray(v),
    "both orders, the other first": lambda v: np.ascontiguousarray(v) - v * 2,
    "where": lambda v: np.where(v > 0, v, 0),
    "clip": lambda v: v.clip(-1, 1),
    "astype": lambda v: (v.astype(np.float32), v.astype(float)),
    "copies": lambda v: ((v * 2).copy(), np.copy(v * 2), np.array(v * 2), np.ascontiguousarray(v * 2), v.copy()),
    "chosen": lambda v: v[v > 1],
    "changed": lambda v: changed(v * 2),
    "in place": lambda v: in_place(v * 2, v),
    "digitize": lambda v: np.digitize(v, [-1, 0, 1]) * 2,
    "centered": lambda v: v - v.min(axis=0),
    "centered rows": lambda v: v - v.max(axis=-1, keepdims=True),
    "beside a small array": lambda v: v * np.arange(v.shape[-1]),
    "transposed": lambda v: (v.T * 2, np.transpose(v) + 1, v.transpose() > 0),
    "columns": lambda v: (v[:, ::2] * 2, v[1:] - v[:-1], v[..., :1], v[3], v[0, 0], v[:, -1]),
    "new axes": lambda v: (v[:, None] * 2, v[None] - 1, v[..., None]),
    "positions": lambda v: (v.argmin(), np.argmax(v * -1), np.nanargmax(v), np.argmax(v > 1)),
    "extremes": lambda v: (v.min(), np.max(v * 2), np.ptp(v), np.median(v), np.percentile(v, [5, 95])),
    "counts": lambda v: (np.count_nonzero(v > 0), (v > 0).sum(), (v > 9).any(), np.histogram(v, 5)),
    "extremes along axes": lambda v: (v.min(axis=0), np.median(v, axis=-1), v.argmax(axis=0), v.any(axis=-1)),
    "positions where": lambda v: (np.flatnonzero(v > 2), np.argwhere(v > 2)),
    "sorted": lambda v: (np.sort(v, axis=None), np.argsort(v, axis=None, kind="stable")),
    "raveled": lambda v: (np.ravel(v), v.ravel("K") * 2, v.ravel("F"), v.reshape(-1)),
    "shapes that do not fit": lambda v: v - np.arange(7),
}
"""Functions whose results are NumPy's, to the last bit."""

SUMS: dict[str, Function] = {
    "mean": lambda v: (v.mean(), v.std(), np.var(v), v.sum(), np.linalg.norm(v)),
    "spread": lambda v: np.sqrt(np.mean((v - v.mean()) ** 2)),
    "spread of columns": lambda v: (v - v.mean(axis=0)).std(),
    "spread of rows": lambda v: np.abs(v - v.mean(axis=-1, keepdims=True)).max(),
    "scores": lambda v: (v - v.mean(axis=0)) / (v.std(axis=0) + 1),
    "variances": lambda v: ((v - np.mean(v, 0)) ** 2).mean(axis=0),
    "chosen": lambda v: v[v > 0].mean(),
    "cumsum": lambda v: np.cumsum(v)[-5:],
    "all axes": lambda v: v.sum(axis=tuple(range(v.ndim))),
    "missing": lambda v: (np.nanmean(v), np.nanstd(v)),
}
"""Functions whose results hang on the order of sums."""


def changed(y: Array) -> Array:
    y[y > 1] = 0
    return y


def in_place(y: Array, v: Array) -> Array:
    y += np.ascontiguousarray(v)
    y *= 2
    np.add(y, np.ascontiguousarray(v), out=y)
    return y


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "workers"), [*((name, 2) for name in ARRAYS), ("Fortran", 1)])
def test_functions_of_any_layout_give_what_their_calls_give(name: str, workers: int) -> None:
    x = ARRAYS[name]
    functions = {f"elements: {key}": each for key, each in ELEMENTS.items()}
    functions |= {f"sums: {key}": each for key, each in SUMS.items()}
    together = ff.run(x, functions, workers=workers, on_error="return")
    wrong = {}
    for key, function in functions.items():
        try:
            assert_same(together[key], called(function, x), key.startswith("sums"), layouts=True)
        except AssertionError as error:
            wrong[key] = str(error)
    assert not wrong


FUSED = [
    "scaled", "root", "mask", "where", "clip", "centered", "centered rows", "beside a small array", "transposed",
    "positions", "extremes", "chosen", "spread", "spread of columns", "spread of rows", "scores", "variances", "mean",
    "new axes", "columns",
]  # fmt: skip


@pytest.mark.parametrize("name", ["C", "Fortran", "float32", "every second column", "backwards", "a row of many"])
def test_functions_of_any_layout_are_fused(name: str) -> None:
    functions = {key: each for key, each in (ELEMENTS | SUMS).items() if key in FUSED}
    report = ff.run(ARRAYS[name], functions, workers=2).report
    assert report.why == {}
    assert set(report.how.values()) == {"fused"}


@pytest.mark.parametrize("name", ARRAYS)
def test_kernels_have_the_same_bits_alone_and_beside_functions(name: str) -> None:
    x = ARRAYS[name]
    kernels = ["mean", "std", "sum", "skew", "argmax", "median", "var", "norm"]
    alone = ff.run(x, kernels, workers=1)
    functions: dict[str, Any] = {"mean of it": lambda v: v.mean(), "f": lambda v: (v * 2 - v.min(axis=0)).std()}
    beside = ff.run(x, {**{name: name for name in kernels}, **functions}, workers=2)
    for key in kernels:
        np.testing.assert_array_equal(beside[key], alone[key])
    np.testing.assert_array_equal(beside["mean of it"], alone["mean"])


def test_a_formula_larger_than_its_arrays_needs_no_memory_for_its_elements() -> None:
    v = rng.standard_normal(140_000)

    def above(v: Array) -> Any:
        return (v[:, None] > v[None, :50]).mean()

    r = ff.run(v, above, workers=2)
    assert r.report.how == {"above": "fused"}
    assert r["above"] == called(above, v)


def test_formulas_are_broadcast_as_numpy_does() -> None:
    v = rng.standard_normal(140_000)
    functions: dict[str, Function] = {
        "elements": lambda v: v[:, None] - v[None, :3],
        "median": lambda v: np.median(v[:, None] * v[:4]),
        "argmax": lambda v: (v[:, None] + np.arange(3)).argmax(),
        "formula": lambda v: (np.exp(v[:, None]) * v[:3]).max(axis=0),
        "where": lambda v: np.where(v[:, None] > 0, v[:3], 0.5),
        "three": lambda v: np.clip(v[:, None], v[:2] - 1, 1.0),
        "backwards": lambda v: (v[::-1] * v).min(),
        "its own array changes": lambda v: changes(v),
        "rows beside columns": lambda v: v.reshape(-1, 4) - v[:4][::-1],
    }

    def changes(v: Array) -> Any:
        small = np.arange(3.0)
        first = v[:, None] * small
        small += 1
        return first.max(axis=0), (v[:, None] * small).max()

    for workers in (1, 2):
        r = ff.run(v, functions, workers=workers)
        for key, function in functions.items():
            assert_same(r[key], called(function, v), close=False, layouts=True)
        assert r.report.why == {}


def test_warnings_of_what_is_broadcast_are_numpys() -> None:
    v = rng.standard_normal(140_000)
    functions: list[Function] = [
        lambda v: (np.log(v[:, None]) * v[:3]).shape,
        lambda v: np.nanmax(v[:, None] / np.zeros(2)),
        lambda v: np.nanmax(np.sqrt(np.asfortranarray(v.reshape(-1, 4))) + v[:4]),
    ]
    for function in functions:
        with warnings.catch_warnings(record=True) as want:
            warnings.simplefilter("always")
            function(v)
        with warnings.catch_warnings(record=True) as got:
            warnings.simplefilter("always")
            ff.run(v, {"f": function}, workers=1)
        assert [str(each.message) for each in got] == [str(each.message) for each in want]


def test_warnings_of_fortran_order_are_numpys() -> None:
    x = np.asfortranarray(TABLE)
    with pytest.warns(RuntimeWarning, match="invalid value encountered in sqrt"):
        ff.run(x, {"f": lambda v: np.sqrt(v).max()}, workers=1)


def test_small_views_are_plain() -> None:
    seen = []

    def looks(v: Array) -> Any:
        seen.extend([type(v[0]) is np.ndarray, type(v[0, 0]) is np.float64, type(v[:, ::2]) is np.ndarray])
        return v[:2, :2].sum()

    ff.run(ARRAYS["Fortran"], looks, workers=1)
    assert seen[:2] == [True, True]
    assert TABLE.size // 2 < calls.SMALLEST


def test_plans_tell_the_array_from_others() -> None:
    def centered(v: Array) -> Any:
        return (v - v.mean(axis=0)).std()

    text = str(ff.plan([centered, lambda v: v[1:].max()], like=ARRAYS["Fortran"]).explain())
    assert "std of subtract(x, another array) -> centered" in text
    assert "max of part of x" in text
