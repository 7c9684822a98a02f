"""A first try of an installed fanfold: it is complete, and whatever depends on the NumPy beneath it works.

It needs nothing but NumPy, whose answers are the right ones. `test_wheel.py` runs it on one NumPy after the other.
"""

import pickle
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import fanfold as ff

Array = npt.NDArray[Any]

rng = np.random.default_rng(0)


def assert_same(answer: Any, right: Any, what: str) -> None:
    """The values, up to rounding; of records all parts."""
    if isinstance(right, tuple):
        for each, its in zip(answer, right, strict=True):
            assert_same(each, its, what)
        return
    answer, right = np.asarray(answer), np.asarray(right)
    if right.dtype.kind in "fc":
        np.testing.assert_allclose(answer, right, rtol=100 * np.finfo(right.dtype).eps, err_msg=what)
    else:
        np.testing.assert_array_equal(answer, right, err_msg=what)


def dtypes_of(value: Any) -> list[np.dtype[Any]]:
    """The dtype of a result, or those of a record's parts."""
    return [np.asarray(each).dtype for each in (value if isinstance(value, tuple) else (value,))]


def try_kernels() -> int:
    """Every kernel whose right answer takes only NumPy, over a dtype of each kind; how many answers there were."""
    numbers = rng.uniform(0.9, 1.1, 10_000)
    dtypes = ("bool", "int64", "float32", "float64", "complex128", "datetime64[s]")
    compared = 0
    for dtype in dtypes:
        x = (numbers * 1000 if dtype.startswith("datetime") else numbers).astype(dtype)
        columns = {"x": x, "y": x[::-1]}
        for info in ff.kernels():
            if dtype.partition("[")[0] not in info.dtypes or info.approximate:
                continue
            kernel = ff.Kernel(info.name)
            names = {**kernel.parameters, "np": np, **columns, "columns": np.array([*columns.values()])}
            try:
                with warnings.catch_warnings(action="ignore"):
                    right = eval(info.numpy, names)
            except NameError:  # SciPy's or pandas'
                continue
            answer = ff.run(x if info.arrays == "one" else columns, kernel, workers=2)[info.name]
            what = f"{info.name} of {dtype}"
            assert_same(answer, right, what)
            # Kernels of several arrays compute in float64.
            assert info.arrays != "one" or dtypes_of(answer) == dtypes_of(right), what
            compared += 1
    assert compared > 200, compared
    return compared


FUSED: dict[str, Callable[[Array], Any]] = {
    "spread": lambda v: np.sqrt(np.mean((v - v.mean()) ** 2)),
    "robust": lambda v: np.median(np.abs(v - np.median(v))),
    "positive": lambda v: v[v > 0].mean(),
    "scores": lambda v: (v - v.mean()) / v.std(),
    "clipped": lambda v: np.clip(v, -1, 1).sum(),
    "steps": lambda v: np.diff(np.where(v > 0, v, 2 * v)).max(),
    "vecdot": lambda v: np.vecdot(v, v),
    "small": lambda v: (v * 10).astype(np.int32).min(),
    "narrow": lambda v: v.astype(np.float32) + 1.5,
    "loops": lambda v: np.log1p(np.exp(-np.abs(v))).sum(),
}
"""Functions that are traced, of which nothing is left to NumPy."""


def try_functions() -> None:
    """Users' functions: fused, with what NumPy gives."""
    x = rng.standard_normal(300_000)
    r = ff.run(x, FUSED, workers=2)
    assert set(r.report.how.values()) == {"fused"}, r.report
    for name, function in FUSED.items():
        right = function(x)
        np.testing.assert_allclose(r[name], right, rtol=1e-12, atol=1e-12, err_msg=name)
        assert np.asarray(r[name]).dtype == np.asarray(right).dtype, name
    r = ff.run(x.reshape(1000, -1), {"means": lambda v: v.mean(axis=0), "plain": len})
    np.testing.assert_allclose(r["means"], x.reshape(1000, -1).mean(axis=0), rtol=1e-12, atol=1e-12)
    assert (r["plain"], r.report.how) == (1000, {"means": "fused", "plain": "plain"})
    views = {"bytes": lambda v: v.view(np.uint8).sum(), "halves": lambda v: v.view(np.int32)[::2].max()}
    r = ff.run(x, views)
    assert dict(r) == {name: function(x) for name, function in views.items()}
    # Quantiles are not the same in every NumPy: a function gets those of its own.
    for method in ("averaged_inverted_cdf", "closest_observation", "hazen", "inverted_cdf", "linear", "nearest"):
        for dtype in (np.float32, np.float64):

            def quantiles(v: Array, method: Any = method) -> Any:
                return [np.quantile(v, 0.45, method=method), *np.quantile(v, [0.1, 0.25, 0.7], method=method)]

            v = x.astype(dtype)[:200_005]
            np.testing.assert_array_equal(ff.run(v, quantiles)["quantiles"], quantiles(v), method)
    # Dtypes of formulas with Python's numbers follow NumPy's rules.
    bytes_ = rng.integers(0, 100, 300_000).astype(np.int8)
    assert ff.run(bytes_, {"f": lambda v: v + 1})["f"].dtype == np.int8


def try_ufuncs() -> int:
    """Every ufunc of NumPy's through its own inner loop, to the last bit; how many there were."""
    x, tried = rng.uniform(-2, 2, 300_000), 0
    ufuncs = {name: each for name, each in vars(np).items() if isinstance(each, np.ufunc) and each.nout == 1}
    for dtype in (np.float32, np.float64, np.int16, np.bool_, np.complex64):
        v = x.astype(dtype)
        for name, ufunc in ufuncs.items():

            def of_itself(v: Array, ufunc: np.ufunc = ufunc) -> Any:
                return ufunc(*[v] * ufunc.nin)

            with np.errstate(all="ignore"):
                try:
                    right = of_itself(v)
                except (TypeError, ValueError):  # not of this dtype, or of matrices
                    continue
                answer = ff.run(v, {name: of_itself}, workers=2)[name]
            if ufunc.signature is None:
                assert answer.dtype == right.dtype, f"{name} of {v.dtype}"
                assert answer.tobytes() == right.tobytes(), f"{name} of {v.dtype}"
            else:
                np.testing.assert_allclose(answer, right, rtol=1e-4)
            tried += 1
    assert tried > 200, tried
    return tried


def try_shapes() -> None:
    """Axes, masks, weights, labels, layouts, memory for the answers."""
    x = rng.standard_normal((200, 300))
    r = ff.run(x, ["mean", "max", "median"], axis=0, keepdims=True)
    for name in r:
        np.testing.assert_allclose(r[name], getattr(np, name)(x, axis=0, keepdims=True), rtol=1e-9)
    mask = x > 0
    assert_same(ff.run(x, "mean", axis=1, where=mask)["mean"], np.mean(x, axis=1, where=mask), "where")
    weights = np.abs(x)
    assert_same(ff.run(x, "average", weights=weights)["average"], np.average(x, weights=weights), "weights")
    labels = np.array(["a", "b", "c"])[rng.integers(0, 3, x.shape)]
    r = ff.run(x, "min", by=labels)
    assert_same(r.groups, np.unique(labels), "groups")
    assert_same(r["min"], np.array([x[labels == each].min() for each in r.groups]), "by")
    for view in (
        x[::-2, ::3],
        x.T,
        x.astype(">f8"),
        x.astype(np.float16),
        np.broadcast_to(x[0], (3, 300)),
        x[0, 0, ...],
    ):
        assert ff.run(view, "max")["max"] == view.max()
    out = np.empty(x.size)
    assert ff.run(x, "cumsum", out={"cumsum": out})["cumsum"] is out
    np.testing.assert_allclose(out, np.cumsum(x), rtol=1e-9, atol=1e-9)


def raised(kind: type[Exception], *args: Any, **kwargs: Any) -> str:
    """The message of the exception that a run raises."""
    try:
        ff.run(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} was raised")


def try_failures() -> None:
    """Exceptions and warnings, NumPy's own classes among them."""
    x = np.ones(300_000)
    assert "did you mean 'mean'?" in raised(ValueError, x, "meen")
    assert "out of bounds" in raised(np.exceptions.AxisError, x, "mean", axis=1)
    raised(OverflowError, np.array([2**62, 2**62]), "sum")
    with np.errstate(divide="raise"):
        raised(FloatingPointError, x, {"f": lambda v: (v / 0.0).sum()})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ff.run(-x, {"f": lambda v: np.log(v).sum()})
    assert [each.category for each in told] == [RuntimeWarning]
    failed = ff.run(x, {"bad": lambda v: 1 / 0, "good": np.mean}, on_error="return")
    assert isinstance(failed["bad"], ZeroDivisionError)
    assert failed["good"] == 1


def try_values() -> None:
    """Kernels are values: shown, compared, pickled."""
    for kernel in (ff.std(ddof=1), ff.quantile([0.1, 0.9]), ff.histogram(bins=np.array([0.0, 1.0]))):
        assert eval(repr(kernel), {"fanfold": ff, "np": np}) == pickle.loads(pickle.dumps(kernel)) == kernel
    assert not ff.info()["debug"]


if __name__ == "__main__":
    kernels, ufuncs = try_kernels(), try_ufuncs()
    try_functions()
    try_shapes()
    try_failures()
    try_values()
    tried = f"{kernels} answers of kernels and {ufuncs} of ufuncs are NumPy's"
    print(f"fanfold {ff.__version__} on Python {sys.version.split()[0]} with NumPy {np.__version__}: {tried}")
