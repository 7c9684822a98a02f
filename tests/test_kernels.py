"""Every kernel of the catalogue, with every example of its parameters, over the zoo, against its own NumPy expression.

A kernel is under test by being listed. What is right is in `oracle.py`, what is tried in `zoo.py`.
"""

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
import oracle
import zoo
from fanfold.results import Histogram

Array = npt.NDArray[Any]

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 2.0**-60, reason="this platform's longdouble is no more exact than float64"
)

KERNELS = list(oracle.KERNELS.values())
POLICIES = ("propagate", "omit", "raise")


def pairs(taken: bool) -> pytest.MarkDecorator:
    """Every kernel with every dtype that it takes, or with every one that it does not."""
    every = itertools.product(KERNELS, zoo.DTYPES)
    chosen = [(info, dtype) for info, dtype in every if (zoo.family(dtype) in info.dtypes) == taken]
    return pytest.mark.parametrize(("info", "dtype"), chosen, ids=[f"{info.name}-{dtype}" for info, dtype in chosen])


@functools.cache
def answers(dtype: str, content: str, layout: str, nan_policy: str) -> dict[str, Any]:
    """What all uses of all kernels say, in one run."""
    x = zoo.elements(dtype, content)
    return ff.run(zoo.LAYOUTS[layout](x), oracle.uses(dtype), nan_policy=nan_policy, on_error="return")


def differences(info: ff.KernelInfo, dtype: str) -> Iterator[str]:
    """What is wrong with a kernel's answers."""
    for key, kernel in oracle.uses(dtype).items():
        if kernel.name != info.name:
            continue
        for content in zoo.contents(dtype):
            right = set()
            for nan_policy, layout in itertools.product(POLICIES, zoo.LAYOUTS):
                answer, elements = answers(dtype, content, layout, nan_policy)[key], laid_out(dtype, content, layout)
                # Most layouts have the same elements, and give the same bits. So do the policies where there is no NaN,
                # and more elements than are subtracted as degrees of freedom.
                is_alike = elements.size > 2 and not oracle.is_nan(elements).any()
                case = elements.tobytes(), oracle.bits(answer), None if is_alike else nan_policy
                if case in right:
                    continue
                right.add(case)
                if told := oracle.difference(answer, kernel, elements, nan_policy):
                    yield f"{kernel!r} of {dtype}, {content}, {layout}, {nan_policy}: {told}"


@functools.cache
def laid_out(dtype: str, content: str, layout: str) -> Array:
    """The elements that a layout of a content has, in order."""
    return zoo.native(zoo.LAYOUTS[layout](zoo.elements(dtype, content)))


@pairs(taken=True)
def test_the_answer_is_numpys(info: ff.KernelInfo, dtype: str) -> None:
    found = list(differences(info, dtype))
    assert not found, "\n".join(found)


# ---- longer arrays ----

FEWER_SIZES = (zoo.BLOCK - 1, zoo.BLOCK + 1, zoo.CHUNK + 1)


def cases() -> Iterator[Any]:
    """Every length in float64, in which most is computed, and some in every other dtype."""
    for dtype in zoo.DTYPES:
        yield from ((dtype, n) for n in (zoo.SIZES if dtype == "float64" else FEWER_SIZES))


def assert_is_numpys(x: Array, nan_policy: str = "propagate") -> None:
    """All uses of all kernels, in one run."""
    functions, found = oracle.uses(str(x.dtype)), []
    for key, answer in ff.run(x, functions, workers=2, nan_policy=nan_policy, on_error="return").items():
        if told := oracle.difference(answer, functions[key], x, nan_policy):
            found.append(f"{key}: {told}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("dtype", "n"), list(cases()))
def test_the_answer_is_numpys_at_every_length(dtype: str, n: int) -> None:
    assert_is_numpys(zoo.ordinary(dtype, n))


@pytest.mark.parametrize("dtype", zoo.DTYPES)
@pytest.mark.parametrize("border", [zoo.BLOCK, zoo.CHUNK])
def test_the_answer_is_numpys_where_only_the_border_is_out_of_order(dtype: str, border: int) -> None:
    n = border + 5
    rising = np.sort(zoo.ordinary(dtype, n), kind="stable")
    assert_is_numpys(rising)
    fallen = np.concatenate([rising[-border:], rising[:-border]])
    assert fallen[border - 1] > fallen[border]
    assert_is_numpys(fallen)


@pytest.mark.parametrize("dtype", zoo.DTYPES)
def test_the_answer_is_numpys_where_every_block_has_the_same_extremes(dtype: str) -> None:
    assert_is_numpys(np.resize(zoo.ordinary(dtype), 3 * zoo.BLOCK))


@pytest.mark.parametrize("dtype", [dtype for dtype in zoo.DTYPES if zoo.can_be_nan(dtype)])
@pytest.mark.parametrize("nan_policy", POLICIES)
@pytest.mark.parametrize("place", [0, zoo.BLOCK - 1, zoo.BLOCK, zoo.BLOCK + 100, -1])
def test_a_nan_at_a_border_of_blocks_is_seen(dtype: str, nan_policy: str, place: int) -> None:
    x = zoo.ordinary(dtype, 2 * zoo.BLOCK)
    x[place] = zoo.missing(dtype)
    assert_is_numpys(x, nan_policy)


# ---- what no kernel takes ----


@pairs(taken=False)
def test_a_dtype_without_meaning_is_a_type_error_that_names_both(info: ff.KernelInfo, dtype: str) -> None:
    for example, content in itertools.product(info.examples, ("ordinary", "empty")):
        with pytest.raises(TypeError, match=f"'{info.name}' .* dtype {zoo.family(dtype)}"):
            ff.run(zoo.elements(dtype, content), ff.Kernel(info.name, **example))


@pytest.mark.parametrize("dtype", zoo.UNKNOWN)
@pytest.mark.parametrize("info", KERNELS, ids=lambda info: info.name)
def test_a_dtype_without_kernels_is_a_type_error_that_names_it(info: ff.KernelInfo, dtype: str) -> None:
    x = np.zeros(3, dtype)
    with pytest.raises(TypeError, match=re.escape(f"dtype {x.dtype}")):
        ff.run(x, info.name)


# ---- that the tests can fail ----


def spoiled(value: Any, approximate: bool) -> Iterator[Any]:
    """Answers that are a little wrong (more than a little, if they are approximate), of another type, or not there."""
    yield ValueError("no answer")
    if isinstance(value, tuple):
        yield value[0]
        if not value[0].ndim:
            yield type(value)(value[0] + value[0].dtype.type(1), value[1])
            yield type(value)(value[0], value[1] + value[1].dtype.type(1))
            yield type(value)(value[0], np.float32(value[1]))
            return
        if not isinstance(value, Histogram):
            yield type(value)(value[0][:-1], value[1])
            yield type(value)(value[0], value[1] + 1)
            yield type(value)(value[0], value[1].astype(np.int32))
            return
        yield type(value)(value[0] + np.eye(1, value[0].size, dtype=value[0].dtype)[0], value[1])
        yield type(value)(value[0], np.nextafter(value[1], np.inf))
        yield type(value)(value[0].astype(np.int32), value[1])
        return
    if value.ndim:
        yield value.tolist()
        yield value[:-1]
        with np.errstate(invalid="ignore"):
            yield value.astype("i4" if value.dtype != "i4" else "i2")
        if value.dtype.kind == "b":
            yield ~value
            return
        yield (
            value * 2 + 9
            if approximate
            else value
            + np.ones(1, "i1")
            .astype(value.dtype if value.dtype.kind != "M" else "m8[s]")
            .view(value.dtype if value.dtype.kind != "M" else value.dtype.str.replace("M", "m"))
        )
        return
    yield value.item()
    yield np.asarray(value)
    if value.dtype.kind in "fc":
        wider = np.float64 if value.dtype.kind == "f" else np.complex128
        away = 1.0 if approximate else max(np.finfo(value.dtype).eps, 1e-13)
        yield value.dtype.type(wider(value) * (1 + 4 * away) if value else away)
        yield value.dtype.type(np.nan)
        yield value.dtype.type(np.inf)
        yield (np.float32 if value.dtype == np.float64 else np.float64)(value.real)
    elif value.dtype.kind == "b":
        yield ~value
        yield np.int64(value)
    else:
        yield (
            value * 4 + 9
            if approximate
            else value + value.dtype.type(1)
            if value.dtype.kind != "M"
            else value + np.timedelta64(1)
        )
        yield np.float64(value.astype(np.int64))


@pairs(taken=True)
def test_a_wrong_answer_is_noticed(info: ff.KernelInfo, dtype: str) -> None:
    x = zoo.elements(dtype, "positive" if np.dtype(dtype).kind in "iufc" else "ordinary")[:5]
    if info.name == "diff":
        x = np.sort(x)[[0, 0, 0, 1, 4]]  # All differences fit unsigned dtypes.
    for example in info.examples:
        kernel = ff.Kernel(info.name, **example)
        (answer,) = ff.run(x, kernel).values()
        assert oracle.difference(answer, kernel, x, "propagate") is None
        for wrong in spoiled(answer, info.name in oracle.APPROXIMATE):
            assert oracle.difference(wrong, kernel, x, "propagate"), wrong


@pytest.mark.parametrize("edges", [[-1.7e308, 1.7e308], [-9e307, 0.0, 9e307], [-1.7e308, -1.0, 1.7e308]])
def test_a_histogram_whose_width_overflows_counts_as_numpys(edges: list[float]) -> None:
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1.7e308, -1.7e308, 1.0])
    with np.errstate(all="ignore"):
        want = np.histogram(x, np.array(edges))[0]
    assert list(ff.run(x, ff.histogram(bins=edges))["histogram"].counts) == list(want)
    assert list(ff.run(x[1:2], ff.histogram(bins=edges))["histogram"].counts) == [0] * (len(edges) - 1)
