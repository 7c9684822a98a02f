"""What goes wrong is told at once and together: the argument, the value and the remedy. Nothing else is lost by it.

The messages are pinned: whoever changes one reads it here again, as a user would.
"""

import asyncio
import dataclasses
import functools
import inspect
import pickle
import sys
import traceback
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fanfold import checks

nan, inf = float("nan"), float("inf")
x = np.arange(5.0)
empty = np.array([])
SECOND = np.timedelta64(1, "s")
large = np.random.default_rng(5).normal(size=300_000)
answers = ff.run(x, ["mean", "histogram"])


def array(values: Any, dtype: Any = None) -> npt.NDArray[Any]:
    return np.array(values, dtype)


def closed() -> ff.Pool:
    with ff.Pool(workers=2) as pool:
        return pool


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("this repr is broken")


DATA = "data is a {}, which holds no numbers: pass an array, a list of numbers, a column or a table"
LISTED = "data is a {} that NumPy turns into an array of dtype {}: pass numbers only, with nan for missing values"
DTYPE = (
    "data has dtype {}, which no kernel supports: convert it first, for example with data.astype(float), "
    "or pick one field of a structured array"
)
TAKES = "'{}' does not support an array of dtype {}: it takes {}"
FUNCTIONS = "functions must be names, kernels, callables, or a dict of them, not {}"
NEITHER = "functions: {} is not a name, a kernel or a callable"
UNKNOWN = 'unknown function "{}": fanfold.kernels() lists the names; any other function can be passed as a callable'
MEANT = "unknown function \"{}\": did you mean '{}'?"
TWO = "functions: two functions have the key '{}': pass a dict {{name: function}} instead"
WORKERS = "workers must be an integer from 1 to 1024, a Pool or None, not {}"
POOL_WORKERS = "workers must be an integer from 1 to 1024 or None, not {}"
TIMEOUT = "timeout must be a number of seconds > 0 or None, not {}"
NAN_POLICY = "nan_policy must be 'propagate', 'omit' or 'raise', not {}"
ON_ERROR = "on_error must be 'raise' or 'return', not {}"
CLOSED = "workers is fanfold.Pool(workers=2), which was closed: run inside its with block"
DDOF = "'std': ddof must be a finite number, not {}"
ORDER = "'moment': order must be an integer >= 0, not {}"
ORD = "'norm': ord must be 1, 2 or inf, not {}"
BINS_EXACT = "'histogram': bins must be floats (np.asarray(bins, float)) where integers reach 2**53, not {}"
BINS = (
    "'histogram': bins must be an integer from 1 to 10000000, an ascending sequence of at least two finite edges, "
    "'auto', 'doane', 'fd', 'rice', 'scott', 'sqrt' or 'sturges', not {}"
)
RANGE = "'histogram': range must be None or a pair of finite numbers (low, high) with low <= high, not {}"
DATA_RANGE = "'histogram': the data's own range [{}] is not finite: pass range=(low, high) or explicit bins"
EMPTY = "'{}' of an empty array is undefined: pass at least one element"
ALL_NAN = "'{}' of an array of only NaN is undefined: pass at least one other element"
FOUND_NAN = "nan_policy='raise' and the array holds {} NaN: clean it, or pass nan_policy='omit' or 'propagate'"
OVERFLOW = (
    "'{}': the exact result does not fit {}: "
    "pass the array as float64 (x.astype(float)) for a rounded result, or use 'mean'"
)

MESSAGES = [
    # data
    ("ff.run(None, 'mean')", TypeError, DATA.format("NoneType")),
    ("ff.run([1.0, None], 'mean')", TypeError, LISTED.format("list", "object")),
    ("ff.run(('a', 1), 'mean')", TypeError, LISTED.format("tuple", "<U21")),
    ("ff.run('mean', 'mean')", TypeError, "data is a str, 'mean': pass an array or a list of numbers"),
    ("ff.run(2.0, 'mean')", TypeError, "data is one number, 2.0: pass an array or a list of numbers"),
    ("ff.run(np.float64(2), 'mean')", TypeError,
     "data is one number, np.float64(2.0): pass an array or a list of numbers"),
    ("ff.run({1, 2}, 'mean')", TypeError, "data is a set, which is not a sequence of numbers: pass list(data)"),
    ("ff.run(array([None]), 'mean')", TypeError, DTYPE.format("object")),
    ("ff.run(array(['a']), 'mean')", TypeError, DTYPE.format("<U1")),
    ("ff.run(array([b'a']), 'mean')", TypeError, DTYPE.format("|S1")),
    ("ff.run(array([b'a'], 'V3'), 'mean')", TypeError, DTYPE.format("|V3")),
    ("ff.run(array(['a']), ['mean', len, 'std'])", TypeError, DTYPE.format("<U1")),
    ("ff.run(array(['a']), ['mean', 'std'], workers=2)", TypeError, DTYPE.format("<U1")),
    ("ff.plan('mean').run(['a'])", TypeError, LISTED.format("list", "<U1")),
    ("ff.Pool(1).run(['a'], 'mean')", TypeError, LISTED.format("list", "<U1")),
    # a dtype without meaning for the kernel
    ("ff.run(array([True]), 'ptp')", TypeError,
     TAKES.format("ptp", "bool", "integers, floats, datetime64 and timedelta64")),
    ("ff.run(array([1j]), 'std')", TypeError, TAKES.format("std", "complex128", "bool, integers and floats")),
    ("ff.run(array([1j], 'c8'), 'max')", TypeError,
     TAKES.format("max", "complex64", "bool, integers, floats, datetime64 and timedelta64")),
    ("ff.run(array([0], 'M8[s]'), 'mean')", TypeError,
     TAKES.format("mean", "datetime64", "bool, integers, floats, complex numbers and timedelta64")),
    ("ff.run(array([0], 'm8[s]'), 'std')", TypeError, TAKES.format("std", "timedelta64", "bool, integers and floats")),
    ("ff.plan('std').run(array([1j]))", TypeError, TAKES.format("std", "complex128", "bool, integers and floats")),
    # functions
    ("ff.plan(None)", TypeError, FUNCTIONS.format("None")),
    ("ff.run(x, [Broken()])", TypeError, NEITHER.format("an object without a repr")),
    ("ff.run(x, [[Broken(), 1]])", TypeError, NEITHER.format("[an object without a repr, 1]")),
    ("ff.run(x, [list(range(10**6))])", TypeError, NEITHER.format("[0, 1, 2, 3, …]")),
    ("ff.run(x, 3)", TypeError, FUNCTIONS.format("3")),
    ("ff.run(x, b'mean')", TypeError, FUNCTIONS.format("b'mean': pass a str")),
    ("ff.run(x, x)", TypeError, FUNCTIONS.format("ndarray: pass the array first, as in run(data, functions)")),
    ("ff.run(x, ff.plan('mean'))", TypeError, FUNCTIONS.format("a Plan: pass the data to its method run")),
    ("ff.run(x, ['mean', 3])", TypeError, NEITHER.format("3")),
    ("ff.run(x, ['mean', None])", TypeError, NEITHER.format("None")),
    ("ff.run(x, ['mean', ['std']])", TypeError, NEITHER.format("['std']")),
    ("ff.run(x, {'a': None})", TypeError, NEITHER.format("None (of the key 'a')")),
    ("ff.run(x, {'a': ['mean']})", TypeError, NEITHER.format("['mean'] (of the key 'a')")),
    (
        "ff.run(x, 'mean', skipna=True)",
        TypeError,
        "run has no parameter skipna: pass nan_policy='omit' for skipna=True; 'propagate' is like skipna=False",
    ),
    ("ff.run(x, 'mean', n_jobs=-1)", TypeError, "run has no parameter n_jobs: pass workers="),
    ("ff.run(x, 'mean', dim='t')", TypeError, "run has no parameter dim: pass axis="),
    ("ff.run(x, 'std', ddof=1)", TypeError, "run has no parameter ddof: pass it to the kernel, as in ff.std(ddof=1)"),
    ("ff.run(x, 'mean', colour=1)", TypeError, "run has no parameter colour"),
    ("ff.plan('mean').run(x, dim=0)", TypeError, "run has no parameter dim: pass axis="),
    ("ff.Pool(1).run(x, 'mean', dim=0)", TypeError, "run has no parameter dim: pass axis="),
    ("ff.run(x, 'meen')", ValueError, MEANT.format("meen", "mean")),
    ("ff.run(x, 'MEAN')", ValueError, MEANT.format("MEAN", "mean")),
    ("ff.run(x, 'nan_std')", ValueError, MEANT.format("nan_std", "nanstd")),
    ("ff.run(x, {'a': 'arg_max'})", ValueError, MEANT.format("arg_max", "argmax")),
    ("ff.run(x, 'mean\\ud800')", ValueError, MEANT.format("mean\\ud800", "mean")),
    ("ff.run(x, np.str_('meen'))", ValueError, MEANT.format("meen", "mean")),
    ("ff.run(x, 'Größe\\n')", ValueError, UNKNOWN.format("Größe\\n")),
    ("ff.run(x, 'y' * 10**6)", ValueError, UNKNOWN.format("y" * 97 + "…" + "y" * 98)),
    ("ff.run(x, 'typical')", ValueError, UNKNOWN.format("typical")),
    ("ff.run(x, '')", ValueError, UNKNOWN.format("")),
    ("ff.plan('kurtsis')", ValueError, MEANT.format("kurtsis", "kurtosis")),
    ("ff.Kernel('meen')", ValueError, MEANT.format("meen", "mean")),
    ("ff.run(x, ['mean', 'mean'])", ValueError, TWO.format("mean")),
    ("ff.run(x, ['mean', np.mean])", ValueError, TWO.format("mean")),
    ("ff.run(x, ['std', ff.std()])", ValueError, TWO.format("std")),
    ("ff.run(x, [ff.quantile(0.1), ff.quantile(0.1), 'quantile'])", ValueError, TWO.format("quantile(0.1)")),
    ("ff.run(x, [lambda v: 1, lambda v: 2])", ValueError, TWO.format("<lambda>")),
    # workers
    ("ff.run(x, 'mean', workers=0)", ValueError, WORKERS.format("0")),
    ("ff.run(x, 'mean', workers=-1)", ValueError,
     WORKERS.format("-1") + ": pass None for one per processor"),
    ("ff.run(x, 'mean', workers=1025)", ValueError, WORKERS.format("1025")),
    ("ff.run(x, 'mean', workers=10**9)", ValueError, WORKERS.format("1000000000")),
    ("ff.run(x, 'mean', workers=2**64)", ValueError, WORKERS.format("18446744073709551616")),
    ("ff.run(x, 'mean', workers=1.5)", TypeError, WORKERS.format("1.5")),
    ("ff.run(x, 'mean', workers=2.0)", TypeError, WORKERS.format("2.0")),
    ("ff.run(x, 'mean', workers=nan)", TypeError, WORKERS.format("nan")),
    ("ff.run(x, 'mean', workers=True)", TypeError, WORKERS.format("True")),
    ("ff.run(x, 'mean', workers=np.True_)", TypeError, WORKERS.format(repr(np.True_))),
    ("ff.run(x, 'mean', workers='2')", TypeError, WORKERS.format("'2'")),
    ("ff.run(x, 'mean', workers=array(2))", TypeError, WORKERS.format("array(2)")),
    ("ff.run(x, 'mean', workers=Broken())", TypeError, WORKERS.format("an object without a repr")),
    ("ff.run(x, 'mean', workers=10**5000)", ValueError, WORKERS.format("an object without a repr")),
    ("ff.run(x, 'mean', workers=SECOND)", TypeError, WORKERS.format(repr(SECOND))),
    ("ff.plan('mean').run(x, workers=0)", ValueError, WORKERS.format("0")),
    ("ff.run(x, 'mean', workers=closed())", ValueError, CLOSED),
    ("closed().run(x, 'mean')", ValueError, CLOSED),
    ("closed().__enter__()", ValueError, "fanfold.Pool(workers=2) was closed: make a new one"),
    ("ff.Pool(workers=0)", ValueError, POOL_WORKERS.format("0")),
    ("ff.Pool('2')", TypeError, POOL_WORKERS.format("'2'")),
    ("ff.Pool(ff.Pool(1))", TypeError, "workers must be an integer or None, not a Pool"),
    # the other options
    ("ff.run(x, 'mean', nan_policy='ignore')", ValueError, NAN_POLICY.format("'ignore'")),
    ("ff.run(x, 'mean', nan_policy=None)", ValueError, NAN_POLICY.format("None")),
    ("ff.run(x, 'mean', nan_policy=['omit'])", ValueError, NAN_POLICY.format("['omit']")),
    ("ff.plan('mean', nan_policy='Omit')", ValueError, NAN_POLICY.format("'Omit'")),
    ("ff.run(x, 'mean', on_error='ignore')", ValueError, ON_ERROR.format("'ignore'")),
    ("ff.run(x, 'mean', on_error=None)", ValueError, ON_ERROR.format("None")),
    ("ff.run(x, 'mean', on_error=array([1, 2]))", ValueError, ON_ERROR.format("array([1, 2])")),
    ("ff.run(x, 'mean', timeout=0)", ValueError, TIMEOUT.format("0")),
    ("ff.run(x, 'mean', timeout=-1)", ValueError, TIMEOUT.format("-1")),
    ("ff.run(x, 'mean', timeout=nan)", ValueError, TIMEOUT.format("nan")),
    ("ff.run(x, 'mean', timeout='1')", TypeError, TIMEOUT.format("'1'")),
    ("ff.run(x, 'mean', timeout=True)", TypeError, TIMEOUT.format("True")),
    ("ff.run(x, 'mean', timeout=1j)", TypeError, TIMEOUT.format("1j")),
    ("ff.run(x, 'mean', timeout=SECOND)", TypeError, TIMEOUT.format(repr(SECOND))),
    ("ff.run(x, 'mean', timeout=array(1.0))", TypeError, TIMEOUT.format("array(1.)")),
    ("ff.plan('mean', like='nonsense')", TypeError, "like must be an array or a dtype, not 'nonsense'"),
    ("ff.plan('mean', like=3.5)", TypeError, "like must be an array or a dtype, not 3.5"),
    # what Python itself says is enough
    ("ff.run()", TypeError, "run() missing 1 required positional argument: 'data'"),
    ("ff.run(x, 'mean', 2)", TypeError, "run() takes from 1 to 2 positional arguments but 3 were given"),
    ("ff.run(x, axis=0, on_error='return')", TypeError,
     "functions is None, which describes the data and takes no on_error and no axis: "
     "pass functions, as in run(data, ['mean', 'std'], …), or leave it out"),
    ("ff.run(x, dim=0)", TypeError, "run has no parameter dim: pass axis="),
    ("ff.run(x, 'mean', chunks=2)", TypeError, "run has no parameter chunks"),
    ("ff.plan('mean').run(x, nan_policy='omit')", TypeError,
     "run has no parameter nan_policy: pass it to plan, as in ff.plan('mean', nan_policy='omit')"),
    # parameters of kernels
    ("ff.std(dof=1)", TypeError, "'std' has no parameter 'dof': it takes ddof"),
    ("ff.mean(axis=0)", TypeError, "'mean' has no parameter 'axis': it takes none"),
    ("ff.histogram(bin=3)", TypeError, "'histogram' has no parameter 'bin': it takes bins, range, density"),
    ("ff.Kernel('std', dof=1)", TypeError, "'std' has no parameter 'dof': it takes ddof"),
    ("ff.std(1, 2)", TypeError, "'std' takes ddof, but 2 positional arguments were given"),
    ("ff.mean(1, 2)", TypeError, "'mean' takes no parameters, but 2 positional arguments were given"),
    ("ff.std(1, ddof=1)", TypeError, "'std': ddof was given by position and by name"),
    ("ff.std(ddof='1')", TypeError, DDOF.format("'1'")),
    ("ff.std(ddof=None)", TypeError, DDOF.format("None")),
    ("ff.std(ddof=True)", TypeError, DDOF.format("True")),
    ("ff.std(ddof=[1])", TypeError, DDOF.format("[1]")),
    ("ff.std(ddof=1j)", TypeError, DDOF.format("1j")),
    ("ff.std(ddof=Broken())", TypeError, DDOF.format("an object without a repr")),
    ("ff.std(ddof=SECOND)", TypeError, DDOF.format(repr(SECOND))),
    ("ff.std(ddof=inf)", ValueError, DDOF.format("inf")),
    ("ff.std(ddof=nan)", ValueError, DDOF.format("nan")),
    ("ff.std(ddof=-10**20)", ValueError, DDOF.format("-100000000000000000000")),
    ("ff.kurtosis(fisher=None)", TypeError, "'kurtosis': fisher must be True or False, not None"),
    ("ff.kurtosis(bias=1)", TypeError, "'kurtosis': bias must be True or False, not 1"),
    ("ff.moment(order=-1)", ValueError, ORDER.format("-1")),
    ("ff.moment(order=2**63)", ValueError, ORDER.format("9223372036854775808")),
    ("ff.moment(order=1.0)", TypeError, ORDER.format("1.0")),
    ("ff.moment(order=2.5)", TypeError, ORDER.format("2.5")),
    ("ff.moment(order=[1, 2])", TypeError, ORDER.format("[1, 2]")),
    ("ff.moment(order=None)", TypeError, ORDER.format("None")),
    ("ff.norm(ord=3)", ValueError, ORD.format("3")),
    ("ff.norm(ord=0)", ValueError, ORD.format("0")),
    ("ff.norm(ord=-inf)", ValueError, ORD.format("-inf")),
    ("ff.norm(ord='fro')", TypeError, ORD.format("'fro'")),
    ("ff.histogram(bins=0)", ValueError, BINS.format("0")),
    ("ff.histogram(bins=-1)", ValueError, BINS.format("-1")),
    ("ff.histogram(bins=[0, 2**53])", ValueError, BINS_EXACT.format("[0, 9007199254740992]")),
    ("ff.histogram(bins=[-(2**63), 0])", ValueError, BINS_EXACT.format("[-9223372036854775808, 0]")),
    ("ff.histogram(bins=10**8 + 1)", ValueError, BINS.format("100000001")),
    ("ff.histogram(bins=10**20)", ValueError, BINS.format("100000000000000000000")),
    ("ff.histogram(bins=2.5)", TypeError, BINS.format("2.5")),
    ("ff.histogram(bins=10.0)", TypeError, BINS.format("10.0")),
    ("ff.histogram(bins=1e20)", TypeError, BINS.format("1e+20")),
    ("ff.histogram(bins=True)", TypeError, BINS.format("True")),
    ("ff.histogram(bins=None)", TypeError, BINS.format("None")),
    ("ff.histogram(bins='stone')", ValueError, BINS.format("'stone'")),
    ("ff.histogram(bins=[1, 3, 2])", ValueError, BINS.format("[1, 3, 2]")),
    ("ff.histogram(bins=[1])", ValueError, BINS.format("[1]")),
    ("ff.histogram(bins=[])", ValueError, BINS.format("[]")),
    ("ff.histogram(bins=[0, inf])", ValueError, BINS.format("[0, inf]")),
    ("ff.histogram(bins=[0, nan, 1])", ValueError, BINS.format("[0, nan, 1]")),
    ("ff.histogram(bins=[0, 10**400])", ValueError, BINS.format(f"[0, 1{'0' * 99}…{'0' * 100}]")),
    ("ff.histogram(bins=array([1.0, 0.5], 'f4'))", ValueError, BINS.format("array([1. , 0.5], dtype=float32)")),
    ("ff.histogram(bins=np.ma.array([0.0, 1.0], mask=[0, 1]))", TypeError, BINS.format("a masked array")),
    ("ff.histogram(bins=array([None, 1]))", TypeError, BINS.format("array([None, 1], dtype=object)")),
    ("ff.histogram(bins=[5, 4, 3, 2, 1])", ValueError, BINS.format("[5, 4, 3, 2, …]")),
    ("ff.histogram(bins=[[1, 2], [3, 4]])", TypeError, BINS.format("[[1, 2], [3, 4]]")),
    ("ff.histogram(bins=[1, [2, 3]])", TypeError, BINS.format("[1, [2, 3]]")),
    ("ff.histogram(bins=['a', 'b'])", TypeError, BINS.format("['a', 'b']")),
    ("ff.histogram(bins={1, 2})", TypeError, BINS.format("{1, 2}")),
    ("ff.histogram(range=5)", TypeError, RANGE.format("5")),
    ("ff.histogram(range='01')", TypeError, RANGE.format("'01'")),
    ("ff.histogram(range=(None, 1))", TypeError, RANGE.format("(None, 1)")),
    ("ff.histogram(range=[1, 0])", ValueError, RANGE.format("[1, 0]")),
    ("ff.histogram(range=(1, 0))", ValueError, RANGE.format("(1, 0)")),
    ("ff.histogram(range=(nan, 1))", ValueError, RANGE.format("(nan, 1)")),
    ("ff.histogram(range=(0, 10**400))", ValueError, RANGE.format(f"(0, 1{'0' * 99}…{'0' * 100})")),
    ("ff.histogram(range=(-1e308, 1e308))", ValueError,
     "'histogram': range must be so narrow that high - low is finite, not (-1e+308, 1e+308)"),
    ("ff.histogram(range=[0])", ValueError, RANGE.format("[0]")),
    ("ff.histogram(range=[0, 1, 2])", ValueError, RANGE.format("[0, 1, 2]")),
    ("ff.histogram(range=[0, inf])", ValueError, RANGE.format("[0, inf]")),
    ("ff.histogram(bins=[0, 1, 2], range=[1, 0])", ValueError, RANGE.format("[1, 0]")),
    # what only the data can tell
    ("ff.run(empty, 'min')", ValueError, EMPTY.format("min")),
    ("ff.run(empty, 'ptp')", ValueError, EMPTY.format("ptp")),
    ("ff.run(empty, 'argmax')", ValueError, EMPTY.format("argmax")),
    ("ff.run(array([nan, nan]), 'nanargmax')", ValueError, ALL_NAN.format("nanargmax")),
    ("ff.run(array([nan]), 'argmin', nan_policy='omit')", ValueError, ALL_NAN.format("argmin")),
    ("ff.run(array(['NaT'], 'M8[s]'), 'nanargmin')", ValueError, ALL_NAN.replace("NaN", "NaT").format("nanargmin")),
    ("ff.run(array([1, nan, nan]), 'mean', nan_policy='raise')", ValueError, FOUND_NAN.format("2")),
    ("ff.run(np.full(1500, nan), 'mean', nan_policy='raise')", ValueError, FOUND_NAN.format("1,500")),
    ("ff.run(array([2**62, 2**62]), 'sum')", OverflowError, OVERFLOW.format("sum", "int64")),
    ("ff.run(array([-(2**62)] * 3), 'sum')", OverflowError, OVERFLOW.format("sum", "int64")),
    ("ff.run(array([2**63] * 2, 'u8'), 'nansum')", OverflowError, OVERFLOW.format("nansum", "uint64")),
    ("ff.run(array([2**40] * 2), 'prod')", OverflowError, OVERFLOW.format("prod", "int64")),
    ("ff.run(array([-128, 127], 'i1'), 'ptp')", OverflowError,
     "'ptp': the exact result does not fit int8: take 'max' and 'min' and subtract them in a wider dtype"),
    ("ff.run(array([0, inf]), 'histogram')", ValueError, DATA_RANGE.format("0, inf")),
    ("ff.run(array([0, nan]), 'histogram')", ValueError, DATA_RANGE.format("nan, nan")),
    ("ff.run(array([-1.5e300, inf]), 'histogram')", ValueError, DATA_RANGE.format("-1.5e+300, inf")),
    ("ff.run(array([1, np.nextafter(1, 2)]), 'histogram')", ValueError,
     "'histogram': bins must be few enough for distinct edges in float64 between 1.0 and 1.0000000000000002, not 10"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), [pytest.param(*case, id=case[0]) for case in MESSAGES])
def test_what_is_wrong_is_said(call: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(Exception) as caught:
        eval(call)
    assert (type(caught.value), str(caught.value)) == (kind, message)


@pytest.mark.parametrize(
    "call",
    ["ff.run(x, [])", "ff.run(x, ())", "ff.run(x, {})", "ff.plan([]).run(x)", "ff.run(empty, iter([]))"],
)
def test_no_functions_have_no_results(call: str) -> None:
    assert eval(call) == {}


@pytest.mark.parametrize(
    ("option", "value"),
    [("workers", np.int8(2)), ("workers", 1024), ("timeout", np.float32(9)), ("timeout", 10**400), ("timeout", inf)],
)
def test_options_are_as_wide_as_their_meaning(option: str, value: Any) -> None:
    assert ff.run(x, "mean", **{option: value}) == {"mean": 2.0}


# ---- together, and before anything is done ----


def never(_: npt.NDArray[Any]) -> None:
    raise AssertionError("called although the call cannot be run")


def told(error: BaseException) -> list[tuple[type, str]]:
    """What an exception tells, or each exception of a group."""
    errors = error.exceptions if isinstance(error, ExceptionGroup) else [error]
    return [(type(one), str(one)) for one in errors]


def listed(headline: str, *lines: str) -> str:
    """What an exception of several mistakes says."""
    return "\n- ".join([f"{headline}:", *lines])


def test_all_problems_of_a_call_are_told_together() -> None:
    with pytest.raises(TypeError) as caught:
        functions = [never, "meen", "std", ff.std(ddof=0), None]
        ff.run(3, functions, workers=0, nan_policy="x", on_error="y", timeout=-1)  # type: ignore[arg-type]
    assert str(caught.value) == listed(
        "the call cannot be run",
        NAN_POLICY.format("'x'"),
        MEANT.format("meen", "mean"),
        NEITHER.format("None"),
        TWO.format("std"),
        "data is one number, 3: pass an array or a list of numbers",
        WORKERS.format("0"),
        ON_ERROR.format("'y'"),
        TIMEOUT.format("-1"),
    )


def test_every_kernel_without_a_meaning_for_the_dtype_is_told() -> None:
    with pytest.raises(TypeError) as caught:
        ff.run(array([1j]), [never, "std", "mean", "skew"])
    assert str(caught.value) == listed(
        "the functions cannot be run on this array",
        *(TAKES.format(kernel, "complex128", "bool, integers and floats") for kernel in ("std", "skew")),
    )


@pytest.mark.parametrize(
    ("call", "kind", "count"),
    [
        ("ff.run(array([1j]), 'std', workers=0)", TypeError, 2),
        # Also of the functions that are right among others that are not.
        ("ff.run(array([1j]), ['meen', 'std'], workers=0)", TypeError, 3),
        ("ff.run(x, ['meen', 'medain'], workers=0)", ValueError, 3),
        ("ff.run(x, ['mean', 1, 2])", TypeError, 2),
        # An unreturned failure is none.
        ("ff.run(array([1j]), 'std', workers=0, on_error='return')", ValueError, 0),
        # What is said twice is told once.
        ("ff.run(x, ['meen', 'meen'])", ValueError, 0),
        ("ff.run(x, ['mean', np.mean, 'mean'])", ValueError, 0),
    ],
)
def test_mistakes_are_one_exception_of_their_type(call: str, kind: type[Exception], count: int) -> None:
    with pytest.raises(Exception) as caught:
        eval(call)
    assert type(caught.value) is kind
    assert str(caught.value).count("\n- ") == count


@pytest.mark.parametrize(
    ("swapped", "what"),
    [
        ((["mean", len], x), LISTED.format("list", "object")),
        (("mean", x), "data is a str, 'mean': pass an array or a list of numbers"),
        ((ff.mean(), large), DATA.format("Kernel")),
    ],
)
def test_swapped_arguments_are_two_problems_not_one_for_each_element(swapped: Any, what: str) -> None:
    with pytest.raises(TypeError) as caught:
        ff.run(*swapped)
    first = FUNCTIONS.format("ndarray: pass the array first, as in run(data, functions)")
    assert str(caught.value) == listed("the call cannot be run", first, what)


def failing_call(call: str) -> list[str]:
    """The functions whose frames a traceback shows, from the line of the call."""
    with pytest.raises(Exception) as caught:
        eval(call)
    frames = traceback.extract_tb(caught.value.__traceback__)
    return [frame.name for frame in frames][1:]


MISTAKES = [
    "ff.run(x, 'meen')",
    "ff.run(x, ['meen', None], workers=0)",
    "ff.run(x, 'mean', 2)",
    "ff.run(empty, 'max')",
    "ff.run(empty, ['max', 'min'])",
    "ff.run(x, 'mean', axis=3)",
    "ff.run(x, 'mean', by=[1])",
    "ff.run(x, 'mean', weights=-x)",
    "ff.run(x, 'meen', progress=True)",
    "ff.run(x, 'mean', progress=3)",
    "ff.plan('meen')",
    "ff.Plan('meen')",
    "ff.plan('mean').run('x')",
    "ff.Pool(0)",
    "ff.Pool(1).run(x, 'meen')",
    "closed().submit(x, 'mean')",
    "ff.submit(x, 'meen').result()",
    "ff.describe('x')",
    "ff.std(dof=1)",
    "ff.mean(large)",
    "ff.std(1, 2, 3)",
    "ff.std(0, ddof=1)",
    "ff.kernels(3)",
    "ff.kernels(words='mean')",
    "ff.describe(array(['a']))",
    "ff.describe(x, by=[1])",
    "ff.run(x, 'mean', skipna=True)",
    "ff.plan('mean').run(x, workers=0)",
    "ff.plan('mean').run()",
    "ff.plan('mean').explain(x)",
    "closed().__enter__()",
    "answers.to_frame('excel')",
    "answers.to_frame(['pandas'])",
    "answers.to_frame(x)",
    "answers.to_frame(sheet='a')",
    "answers.to_xarray()",
    "answers.to_xarray('mean')",
    "answers.plot('mode')",
    "answers.plot(['mean'])",
    "answers.plot(x)",
    "answers.plot('mean')",
    "answers.plot('histogram', ax=3)",
    "answers.plot('histogram', ax=[])",
    "answers.plot(colour='red')",
    "answers.to_dict('mean')",
    "answers.to_json(indent=x)",
    "answers.to_json(1, 2)",
    "answers.copy('mean')",
    "ff.run(np.ones((2, 3)), ff.histogram(bins=2), axis=1)['histogram'].uhi",
]


@pytest.mark.parametrize("call", MISTAKES)
def test_the_last_line_shown_is_that_of_the_call(call: str) -> None:
    assert failing_call(call) == ["<module>"]


def test_the_lines_of_users_functions_are_shown() -> None:
    assert failing_call("ff.run(x, [boom, 'mean'])") == ["<module>", "boom"]
    assert failing_call("ff.run(large, [boom, bang])") == ["<module>"]
    assert failing_call("ff.run(large, inner_mistake)") == ["<module>", "inner_mistake"]


def test_the_last_line_shown_is_that_of_the_await() -> None:
    async def main() -> None:
        await ff.arun(x, "meen")

    with pytest.raises(ValueError) as caught:
        asyncio.run(main())
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "main"


def inner_mistake(v: npt.NDArray[Any]) -> Any:
    return ff.run(v, "meen")


def test_every_method_of_results_and_plans_is_called_with_a_mistake_above() -> None:
    calls = " ".join(MISTAKES)
    own = [name for kind in (ff.Results, ff.Plan, ff.Pool) for name, of in vars(kind).items() if inspect.isfunction(of)]
    assert [name for name in own if not name.startswith("_") and f".{name}(" not in calls] == []


def test_what_no_library_is_installed_for_is_told_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("polars", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, library, None)
    assert failing_call("answers.to_frame('polars')") == ["<module>"]
    assert failing_call("answers.plot('histogram')") == ["<module>"]


def test_bugs_of_ours_keep_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> None:
        raise AttributeError("a bug")

    monkeypatch.setattr("fanfold.checks.workers", bug)
    assert failing_call("ff.run(x, 'mean', workers=2)")[-1] == "bug"
    assert "_check" in failing_call("ff.run(x, 'mean', workers=2)")


def test_misspelt_options_and_columns_are_recognised() -> None:
    assert list(inspect.signature(ff.run).parameters)[2:-1] == sorted(checks.PARAMETERS, key=place_in_run)
    for call, message in [
        ("ff.run(x, 'mean', axes=0, wrokers=1)", "run has no parameter wrokers: did you mean 'workers'?"),
        ("ff.run({'price': x}, 'mean', by='prise')",
         "by is 'prise', which is not a column of data: did you mean 'price'?"),
        ("ff.run({'price': x, 'size': x}, ff.corr('price', 'sise'))",
         "'corr': y is 'sise', which is not a key of data: did you mean 'size'?"),
    ]:  # fmt: skip
        with pytest.raises((TypeError, ValueError)) as caught:
            eval(call)
        assert message in str(caught.value)


def place_in_run(name: str) -> int:
    return list(inspect.signature(ff.run).parameters).index(name)


@pytest.mark.parametrize("data", [[1.0, 2.0], np.arange(3.0), (1, 2)], ids=["list", "array", "tuple"])
@pytest.mark.parametrize("name", ["mean", "std", "topk"])
def test_data_in_the_place_of_a_parameter_are_told_where_they_belong(name: str, data: Any) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(ff, name)(data)
    assert f"did you mean ff.run(x, ff.{name}())?" in caught.value.__notes__[0]


def test_data_that_would_pass_for_a_parameter_are_told_too() -> None:
    for kernel in (ff.quantile, ff.histogram):
        with pytest.raises(TypeError, match=r"makes a kernel and takes no data: did you mean ff.run\(x, ff"):
            kernel(np.linspace(0, 1, 20_000))
        kernel(np.linspace(0, 1, 10_000))
    with pytest.raises(ValueError, match="'quantile': q must be"):
        ff.quantile([2.0])
    with pytest.raises(TypeError, match=r"did you mean ff.run\(x, ff.quantile\(0.5, method='linear'\)\)\?"):
        ff.quantile(large, 0.5, method="linear")


@pytest.mark.parametrize("data", [x, large], ids=["small", "large"])
@pytest.mark.parametrize(
    ("functions", "options"),
    [
        ([never, "meen"], {}),
        ([never, never], {}),
        ([never, 3], {}),
        ({"a": never, 1: "meen"}, {}),
        (never, {"workers": 0}),
        (never, {"timeout": -1}),
        (never, {"nan_policy": "x"}),
        (never, {"on_error": "x"}),
        (never, {"workers": closed()}),
    ],
)
def test_no_function_is_called_when_the_call_is_wrong(data: Any, functions: Any, options: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ff.run(data, functions, **options)


@pytest.mark.parametrize("data", [["a"], {"x": ["a"]}], ids=["list", "dict"])
def test_no_function_is_called_on_data_that_cannot_be(data: Any) -> None:
    with pytest.raises(TypeError):
        ff.run(data, never)


@pytest.mark.parametrize("options", [{}, {"workers": 2}])
def test_no_function_is_called_beside_a_kernel_that_cannot_be(options: Any) -> None:
    for data in (array(["a"]), array([1j])):
        with pytest.raises(TypeError):
            ff.run(data, [never, "std"], **options)


# ---- failures ----


def boom(_: npt.NDArray[Any]) -> None:
    raise ValueError("boom")


def bang(_: npt.NDArray[Any]) -> None:
    raise KeyError("bang")


def note(key: str) -> list[str]:
    return [f"raised by the function '{key}' that was passed to fanfold"]


everywhere = pytest.mark.parametrize(
    ("data", "workers"), [(x, None), (large, 1), (large, 2)], ids=["small", "large-1", "large-2"]
)


@everywhere
def test_a_failing_function_leaves_the_others_their_results(data: npt.NDArray[Any], workers: int | None) -> None:
    want = ff.run(data, ["mean", len], workers=workers)
    r = ff.run(data, ["mean", boom, len], workers=workers, on_error="return")
    assert list(r) == ["mean", "boom", "len"]
    assert {"mean": r["mean"], "len": r["len"]} == want
    assert r.errors == {"boom": r["boom"]}
    assert told(r["boom"]) == [(ValueError, "boom")]
    assert r.report.how == {"mean": "kernel", "boom": "plain", "len": "plain"}

    with pytest.raises(ValueError) as caught:
        ff.run(data, ["mean", boom, len], workers=workers)
    assert str(caught.value) == "boom"
    results = caught.value.results  # type: ignore[attr-defined]
    assert isinstance(results, ff.Results)
    assert results == want
    # A copy: if the exception's own results led back to it, that would keep the array alive.
    assert list(results.errors) == ["boom"]
    assert results.errors["boom"] is not caught.value
    assert told(results.errors["boom"]) == told(caught.value)
    assert results.report.how == r.report.how


@everywhere
def test_a_failure_has_its_own_traceback_and_names_the_key(data: npt.NDArray[Any], workers: int | None) -> None:
    with pytest.raises(ValueError) as caught:
        ff.run(data, {"mine": boom, "mean": "mean"}, workers=workers)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "boom"
    assert caught.value.__notes__ == note("mine")


@everywhere
def test_several_failures_are_a_group(data: npt.NDArray[Any], workers: int | None) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        ff.run(data, [bang, "mean", boom], workers=workers)
    assert caught.value.message == "2 of 3 functions failed"
    assert told(caught.value) == [(KeyError, "'bang'"), (ValueError, "boom")]
    assert [error.__notes__ for error in caught.value.exceptions] == [note("bang"), note("boom")]
    results = caught.value.results  # type: ignore[attr-defined]
    assert results == ff.run(data, "mean")
    assert results.errors == dict(zip(["bang", "boom"], caught.value.exceptions, strict=True))


def test_kernels_fail_beside_functions() -> None:
    r = ff.run(empty, ["argmin", boom, "sum", "max"], on_error="return")
    assert {key: str(error) for key, error in r.errors.items()} == {
        "argmin": EMPTY.format("argmin"),
        "boom": "boom",
        "max": EMPTY.format("max"),
    }
    assert r["sum"] == 0


def test_failures_are_told_in_the_order_asked() -> None:
    assert list(ff.run(empty, [boom, "argmin"], on_error="return").errors) == ["boom", "argmin"]


def test_a_dtype_without_a_meaning_is_a_failure_like_others_if_failures_are_returned() -> None:
    r = ff.run(array([1j]), ["std", "mean", boom], on_error="return")
    assert r["mean"] == 1j
    assert {key: type(error) for key, error in r.errors.items()} == {"std": TypeError, "boom": ValueError}


def test_nan_under_raise_fails_the_kernels_and_leaves_the_functions_their_results() -> None:
    r = ff.run(array([1, nan]), ["mean", len, "max"], nan_policy="raise", on_error="return")
    assert r["len"] == 2
    assert [str(r[key]) for key in ("mean", "max")] == [FOUND_NAN.format("1")] * 2


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("dtype", ["f8", "c8", "M8[s]"])
def test_one_problem_of_the_data_is_one_exception(dtype: str, workers: int | None) -> None:
    data = np.full(3, "NaT" if dtype == "M8[s]" else nan, dtype)
    with pytest.raises(ValueError) as caught:
        ff.run(data, ["count", len, "count_nan"], nan_policy="raise", workers=workers)
    assert told(caught.value) == [(ValueError, FOUND_NAN.format("3").replace("NaN", "NaT" if "M" in dtype else "NaN"))]
    results = caught.value.results  # type: ignore[attr-defined]
    assert results == {"len": 3}
    assert {key: told(error) for key, error in results.errors.items()} == dict.fromkeys(
        ["count", "count_nan"], told(caught.value)
    )


def test_functions_that_fail_alike_are_one_exception_that_names_them_all() -> None:
    with pytest.raises(ValueError) as caught:
        ff.run(x, {"a": boom, "b": "mean", "c": boom})
    assert told(caught.value) == [(ValueError, "boom")]
    assert caught.value.__notes__ == note("a") + note("c")
    assert list(caught.value.results.errors) == ["a", "c"]  # type: ignore[attr-defined]


def test_other_failures_beside_a_problem_of_the_data_are_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        ff.run(array([nan]), ["mean", boom, "max"], nan_policy="raise")
    assert told(caught.value) == [
        (ValueError, FOUND_NAN.format("1")),
        (ValueError, "boom"),
        (ValueError, FOUND_NAN.format("1")),
    ]


ODD = [array(["a", "b"]), array([b"a"]), array([None, 1]), np.zeros(3, "f4,i2"), np.zeros(2, "V3")]


@pytest.mark.parametrize("data", ODD, ids=lambda data: str(data.dtype))
@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"nan_policy": "raise"}, {"timeout": 60}], ids=str)
def test_functions_take_arrays_of_any_dtype(data: npt.NDArray[Any], options: Any) -> None:
    def look(v: npt.NDArray[Any]) -> Any:
        return (v.dtype, v.tolist(), v.flags.writeable)

    r = ff.run(data, [look, len], **options)
    assert r == {"look": (data.dtype, data.tolist(), False), "len": len(data)}
    assert (r.report.passes, r.report.bytes_read) == (0, 0)


@pytest.mark.parametrize("data", ODD, ids=lambda data: str(data.dtype))
@pytest.mark.parametrize("options", [{}, {"workers": 2}], ids=str)
def test_an_odd_dtype_fails_the_kernels_and_leaves_the_functions_their_results(data: Any, options: Any) -> None:
    r = ff.run(data, ["mean", len, "count"], on_error="return", **options)
    assert r["len"] == len(data)
    if data.dtype.names:
        assert r["mean"] == {"f0": 0.0, "f1": 0.0}
        return
    assert [told(r[key]) for key in ("mean", "count")] == [[(TypeError, DTYPE.format(data.dtype))]] * 2


@pytest.mark.parametrize("kernel", ["sum", "prod", "nansum", "nanprod"])
def test_an_overflow_of_integers_leaves_the_others_their_results(kernel: str) -> None:
    r = ff.run(np.full(large.size, 2**62), [kernel, "mean", "max"], on_error="return", workers=2)
    assert told(r[kernel]) == [(OverflowError, OVERFLOW.format(kernel, "int64"))]
    assert (r["mean"], r["max"]) == (2.0**62, 2**62)


@everywhere
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
@pytest.mark.parametrize("on_error", ["raise", "return"])
def test_what_is_no_exception_ends_the_run(kind: Any, on_error: Any, data: Any, workers: Any) -> None:
    def leave(_: npt.NDArray[Any]) -> None:
        raise kind("leave")

    with pytest.raises(kind, match="leave") as caught:
        ff.run(data, [leave, "mean"], workers=workers, on_error=on_error)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "leave"
    assert ff.run(data, "count", workers=workers) == {"count": data.size}


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, MemoryError, RecursionError, Warning])
def test_odd_exceptions_are_failures_like_others(kind: Any) -> None:
    def odd(_: npt.NDArray[Any]) -> None:
        raise kind("odd")

    assert told(ff.run(x, [odd, "mean"], on_error="return")["odd"]) == [(kind, "odd")]


def test_endless_recursion_of_a_function_is_its_own_failure() -> None:
    def deeper(v: npt.NDArray[Any]) -> Any:
        return deeper(v)

    for workers in (1, 2):
        r = ff.run(large, [deeper, "count"], workers=workers, on_error="return")
        assert isinstance(r["deeper"], RecursionError)
        assert r["count"] == large.size


def test_a_group_raised_by_a_function_stays_one_failure() -> None:
    own = ExceptionGroup("own", [ValueError("a"), TypeError("b")])

    def group(_: npt.NDArray[Any]) -> None:
        raise own

    with pytest.raises(ExceptionGroup) as caught:
        ff.run(x, [group, "mean"])
    assert caught.value is own
    assert own.__notes__ == note("group")


def test_an_exception_that_takes_no_attributes_comes_out_as_it_is() -> None:
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    def fail(_: npt.NDArray[Any]) -> None:
        raise Frozen(3)

    with pytest.raises(Frozen):
        ff.run(x, [fail, "mean"])
    with pytest.raises(ExceptionGroup) as caught:
        ff.run(x, [fail, boom, "mean"])
    assert caught.value.exceptions[0] == Frozen(3)
    assert caught.value.results == {"mean": 2.0}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["__str__", "__reduce_ex__", "__hash__", "__eq__"])
def test_an_exception_whose_methods_fail_comes_out_as_it_is(kind: str) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    odd = type("Odd", (Exception,), {kind: broken})

    def fail(_: npt.NDArray[Any]) -> None:
        raise odd("odd")

    with pytest.raises(odd) as caught:
        ff.run(x, [fail, "mean"])
    assert caught.value.results == {"mean": 2.0}
    with pytest.raises(ExceptionGroup) as group:
        ff.run(x, [fail, boom])
    assert [type(error) for error in group.value.exceptions] == [odd, ValueError]


def assign(v: npt.NDArray[Any]) -> None:
    v[...] = 0


def add(v: npt.NDArray[Any]) -> None:
    v += 1


def sort(v: npt.NDArray[Any]) -> None:
    v.sort()


def out(v: npt.NDArray[Any]) -> None:
    np.negative(v, out=v)


@everywhere
@pytest.mark.parametrize("function", [assign, add, sort, out], ids=lambda function: function.__name__)
def test_functions_that_try_to_write_get_numpys_own_error(function: Any, data: Any, workers: Any) -> None:
    before = data.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        ff.run(data, [function, "mean"], workers=workers)
    assert data.tobytes() == before
    assert data.flags.writeable


def test_a_function_that_takes_other_arguments_says_so_itself() -> None:
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'w' and 'u'") as caught:
        ff.run(x, lambda v, w, u: 1)  # type: ignore[arg-type, misc]
    remedy = "It was called with only the array: pass functools.partial(f, w=..., u=...)"
    assert caught.value.__notes__ == [remedy, *note("<lambda>")]


def test_a_method_of_an_array_says_what_to_pass() -> None:
    with pytest.raises(TypeError) as caught:
        ff.run(x, x.mean)
    assert "with the array as its argument: pass np.mean" in caught.value.__notes__[0]


# ---- panics ----


@functools.cache
def can_panic() -> bool:
    try:
        ff.Kernel("panic")
    except ValueError:
        return False
    return True


panics = pytest.mark.skipif(not can_panic(), reason="needs the feature test-kernels")
PANIC = "'panic' panicked: thirteen; this is a bug of fanfold, please report it"


def thirteen(size: int) -> npt.NDArray[np.float64]:
    """Random numbers, one of which is 13, which makes the kernel panic."""
    data = np.random.default_rng(13).normal(size=size)
    data[size * 2 // 3] = 13
    return data


@panics
@pytest.mark.parametrize(("size", "workers"), [(10, 1), (300_000, 1), (300_000, 2), (300_000, 3)])
def test_a_panic_is_an_exception_and_leaves_the_others_their_results(size: int, workers: int) -> None:
    data, others = thirteen(size), ["mean", "std", "argmax", len]
    want = ff.run(data, others, workers=workers)
    for _ in range(3):
        r = ff.run(data, ["panic", *others], workers=workers, on_error="return")
        assert {key: r[key] for key in want} == want
        assert told(r["panic"]) == [(ff.KernelPanic, PANIC)]

        with pytest.raises(ff.KernelPanic) as caught:
            ff.run(data, ["panic", *others], workers=workers)
        assert str(caught.value) == PANIC
        assert caught.value.results == want  # type: ignore[attr-defined]
    # The pool lives on, and so does the kernel.
    assert ff.run(data + 100, ["panic", len], workers=workers) == {"panic": size, "len": size}


@panics
def test_a_panic_beside_a_failing_function_is_one_of_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        ff.run(thirteen(300_000), ["panic", boom, "count"], workers=2)
    assert told(caught.value) == [(ff.KernelPanic, PANIC), (ValueError, "boom")]
    assert caught.value.results == {"count": 300_000}  # type: ignore[attr-defined]


def test_a_kernel_panic_is_a_runtime_error() -> None:
    assert ff.KernelPanic.__mro__[:2] == (ff.KernelPanic, RuntimeError)
    assert (ff.KernelPanic.__module__, ff.KernelPanic.__name__) == ("fanfold", "KernelPanic")


# ---- travelling ----


@pytest.mark.parametrize(
    "call",
    [
        "ff.run(x, 'meen')",
        "ff.run([1], 'meen')",
        "ff.run(x, 'mean', timeout=-1)",
        "ff.run(empty, ['max', 'sum'])",
        "ff.run(empty, ['max', 'min', 'sum'])",
        "ff.run(array([2**62] * 2), ['sum', 'max'])",
        "ff.run(x, [boom, 'mean'])",
        "ff.run(x, [boom, bang, 'mean'])",
        pytest.param("ff.run(array([13.0]), ['panic', 'sum'])", marks=panics),
    ],
)
def test_errors_can_be_pickled_with_the_others_results(call: str) -> None:
    with pytest.raises(Exception) as caught:
        eval(call)
    back = pickle.loads(pickle.dumps(caught.value))
    assert type(back) is type(caught.value)
    assert told(back) == told(caught.value)
    assert getattr(back, "results", None) == getattr(caught.value, "results", None)


def test_an_error_is_shown_with_its_note_and_without_fanfolds_inner_life(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError) as caught:
        ff.run(x, [boom])
    traceback.print_exception(caught.value, file=sys.stdout)
    shown = capsys.readouterr().out
    assert shown.endswith(f"ValueError: boom\n{note('boom')[0]}\n")
    assert "During handling of" not in shown
    assert "direct cause" not in shown
