"""What is handed over and back: results, reports, kernels, plans, pools and the catalogue are plain, lasting values."""

import copy
import functools
import gc
import inspect
import json
import math
import pickle
import pydoc
import re
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
import oracle

Array = npt.NDArray[Any]

x = np.array([1.0, 2.0, 4.0, 8.0])
large = np.random.default_rng(6).normal(size=300_000)
KERNELS = [ff.Kernel(info.name, **example) for info in oracle.KERNELS.values() for example in info.examples]


def spread(v: Array) -> float:
    return float(v.max() - v.min())


def fails(_: Array) -> None:
    raise ValueError("fails")


# ---- results ----


def test_results_are_a_dict_in_the_order_asked() -> None:
    r = ff.run(x, [len, "sum", spread, "min", "count"])
    assert isinstance(r, dict)
    assert r == {"count": 4, "min": 1.0, "sum": 15.0, "spread": 7.0, "len": 4}
    assert list(r) == ["len", "sum", "spread", "min", "count"]
    assert list(ff.run(x, {"z": "sum", "a": len, "m": "max"})) == ["z", "a", "m"]
    assert list(ff.run(x, (name for name in ("std", "mean")))) == ["std", "mean"]
    assert {**r} == dict(r) == dict(**r) == r
    assert type(r | {"more": 1}) is dict
    r["more"] = 1
    assert r.pop("more") == 1


def test_results_are_written_as_json() -> None:
    r = ff.run(x, ["mean", "max", len, spread])
    assert json.loads(json.dumps(r)) == {"mean": 3.75, "max": 8.0, "len": 4, "spread": 7.0}
    everything = ff.run(x, list(oracle.KERNELS))
    assert json.loads(json.dumps(everything, default=lambda value: value.tolist()))["argmax"] == 3


COPIES = [
    copy.copy,
    copy.deepcopy,
    ff.Results.copy,
    lambda r: pickle.loads(pickle.dumps(r)),
]


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_of_results_is_the_same_in_all_respects(copied: Any) -> None:
    r = ff.run(x, ["mean", len, fails, ff.histogram(range=(0, 9))], on_error="return")
    other = copied(r)
    assert type(other) is ff.Results
    assert list(other) == list(r)
    assert (other["mean"], other["len"], repr(other["fails"])) == (r["mean"], r["len"], repr(r["fails"]))
    assert isinstance(other["histogram"], ff.Histogram)
    assert all(map(np.array_equal, other["histogram"], r["histogram"]))
    assert other.report == r.report
    assert other.errors.keys() == r.errors.keys()
    other["mean"] = 0
    other.errors.clear()
    assert (r["mean"], len(r.errors)) == (3.75, 1)


@pytest.mark.parametrize(
    ("kernel", "dtypes"),
    {
        "mean": {"f8": "f8", "f4": "f4", "f2": "f2", "i1": "f8", "?": "f8", "c8": "c8", "c16": "c16", ">f4": "f4"},
        "std": {"f8": "f8", "f4": "f4", "f2": "f2", "u8": "f8", "?": "f8"},
        "sum": {"f4": "f4", "f2": "f2", "i1": "i8", "u1": "u8", "?": "i8", "c8": "c8", ">i4": "i8"},
        "max": {"f2": "f2", "i1": "i1", ">u4": "u4", "?": "?", "M8[ms]": "M8[ms]", "m8[5s]": "m8[5s]", "M8": "M8"},
        "ptp": {"i2": "i2", "f4": "f4", "M8[D]": "m8[D]", "m8[2h]": "m8[2h]"},
        "argmax": {"f8": "i8", "i1": "i8", "M8[s]": "i8"},
        "count_nan": {"f8": "i8", "?": "i8", "m8[s]": "i8"},
        "any": {"f8": "?", "i1": "?", "c16": "?"},
        "is_sorted": {"f8": "?"},
        "norm": {"f4": "f4", "i4": "f8"},
    }.items(),
)
def test_values_are_numpy_scalars_of_numpys_dtype(kernel: str, dtypes: dict[str, str]) -> None:
    for given, want in dtypes.items():
        value = ff.run(np.zeros(5, given), kernel)[kernel]
        assert isinstance(value, np.generic)
        assert value.dtype == np.dtype(want), given
        assert value.dtype.isnative


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i4", "?", ">f4"])
@pytest.mark.parametrize("bins", [3, [0, 1, 2], [0.0, 0.5], np.array([0, 1], "f4")], ids=str)
def test_a_histogram_is_a_named_tuple_of_arrays_like_numpys(dtype: str, bins: Any) -> None:
    data = np.ones(5, dtype)
    r = ff.run(data, ff.histogram(bins=bins))["histogram"]
    # Of booleans NumPy says that it converts them.
    counts, edges = np.histogram(data.view("u1") if dtype == "?" else data, bins)
    assert r._fields == ("counts", "edges")
    assert (r.counts.dtype, r.edges.dtype) == (counts.dtype, edges.dtype.newbyteorder("="))
    assert np.array_equal(r.counts, counts)
    assert np.array_equal(r.edges, edges)
    # They are the caller's own.
    r.counts[0] = r.edges[0] = 7


@pytest.mark.parametrize("bins", [[0, 2, 10**30], [-(10**30), 2.5, 4], np.array([1, 2, 3], object)], ids=str)
def test_edges_may_be_integers_beyond_64_bits(bins: Any) -> None:
    r = ff.run(x, ff.histogram(bins=bins))["histogram"]
    counts, edges = np.histogram(x, bins)
    assert np.array_equal(r.counts, counts)
    assert np.array_equal(r.edges, edges.astype("f8"))


def test_a_range_may_be_of_integers_beyond_64_bits() -> None:
    assert ff.histogram(range=(0, 10**30)) == ff.histogram(range=(0, 1e30))


# ---- reports ----

ALL = list(oracle.KERNELS)


@pytest.mark.parametrize(
    ("functions", "options", "passes", "of_a_transposed"),
    [
        ([], {}, 0, 0),
        (len, {}, 0, 0),
        ("count", {}, 0, 0),
        ("mean", {}, 1, 1),
        ("argmax", {}, 1, 1),
        (["mean", "std", "max", "norm", "sum", len], {}, 1, 1),
        (["mean", ff.histogram(range=(0, 1))], {}, 1, 1),
        ("mean", {"nan_policy": "raise"}, 1, 1),
        ("mean", {"nan_policy": "omit"}, 1, 1),
        ("histogram", {}, 2, 2),
        # What minds the order of the elements sweeps by itself if they do not lie in order.
        (["mean", "argmax"], {}, 1, 2),
        (ALL, {}, 2, 4),
    ],
)
def test_the_report_counts_the_passes(functions: Any, options: Any, passes: int, of_a_transposed: int) -> None:
    data = np.ones((200, 300), "f4")
    for array, want in ((data, passes), (data.T, of_a_transposed)):
        report = ff.run(array, functions, **options).report
        assert (report.passes, report.bytes_read, report.bytes_copied) == (want, want * array.nbytes, 0)


def test_the_report_tells_who_ran_how() -> None:
    report = ff.run(x, {"b": len, "a": "mean", "c": np.mean}).report
    assert isinstance(report, ff.Report)
    names = ["passes", "bytes_read", "bytes_copied", "workers", "seconds", "times", "how", "why", "left_out"]
    assert list(report._fields) == names
    assert list(map(type, report)) == [int, int, int, int, float, ff.Times, dict, dict, dict]
    assert report.times.functions.keys() == {"b", "c"} and len(report.times.passes) == report.passes
    assert list(report.how.items()) == [("b", "plain"), ("a", "kernel"), ("c", "plain")]
    assert report.workers == 1
    assert report.seconds > 0


@pytest.mark.parametrize("functions", ["mean", ["mean", len], {"a": len, "b": len, "c": len}], ids=str)
def test_the_report_tells_the_workers(functions: Any) -> None:
    for workers in (1, 2, 3):
        assert ff.run(large, functions, workers=workers).report.workers == workers
    assert ff.run(large, functions).report.workers == ff.info()["workers"]


def test_a_function_alone_is_the_calling_threads() -> None:
    assert ff.run(large, len, workers=3).report.workers == 1


def test_the_report_stays_when_the_dict_is_changed() -> None:
    r = ff.run(x, ["mean", len])
    del r["mean"]
    r["extra"] = 1
    assert r.report.how == {"mean": "kernel", "len": "plain"}


def test_there_are_no_errors_but_those_that_happened() -> None:
    assert ff.run(x, ["mean", len]).errors == {}
    assert ff.run(x, ["mean", len], on_error="return").errors == {}
    r = ff.run(x, ["mean", fails], on_error="return")
    assert r.errors == {"fails": r["fails"]}


# ---- kernels ----


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_kernel_is_a_value(kernel: ff.Kernel) -> None:
    twin = ff.Kernel(kernel.name, **kernel.parameters)
    for other in (twin, pickle.loads(pickle.dumps(kernel)), copy.copy(kernel), copy.deepcopy(kernel)):
        assert other == kernel
        assert hash(other) == hash(kernel)
        assert repr(other) == repr(kernel)
        assert {kernel: 1}[other] == 1
    assert kernel != kernel.name


def test_kernels_of_other_parameters_are_others() -> None:
    assert len(set(KERNELS)) == len(KERNELS)
    assert ff.std() == ff.std(0) == ff.std(ddof=np.int8(0)) == ff.Kernel("std") != ff.std(ddof=1)
    assert ff.std() != ff.var()
    assert ff.histogram(bins=(0, 1)) == ff.histogram(bins=[0, 1]) == ff.histogram(bins=np.arange(2))
    assert ff.histogram(range=(0, 1)) != ff.histogram(range=(0, 2)) != ff.histogram()


EQUAL = [
    (ff.std(), ff.std(ddof=0.0)),
    (ff.std(ddof=-0.0), ff.std(ddof=0.0)),
    (ff.std(ddof=2), ff.std(ddof=np.float32(2))),
    (ff.std(ddof=-(2**62)), ff.std(ddof=-(2.0**62))),
    (ff.norm(), ff.norm(ord=2.0)),
    (ff.histogram(range=(0, 1)), ff.histogram(range=[0.0, 1.0])),
    (ff.histogram(range=(-0.0, 1)), ff.histogram(range=(0, np.float32(1)))),
]
UNEQUAL = [
    (ff.std(ddof=0.5), ff.std()),
    (ff.std(ddof=2**53 + 1), ff.std(ddof=2.0**53)),
    (ff.std(ddof=2**63 - 1), ff.std(ddof=2.0**63)),
    (ff.norm(ord=math.inf), ff.norm()),
    # Their edges come back in their dtype.
    (ff.histogram(bins=[0, 1]), ff.histogram(bins=[0.0, 1.0])),
]


@pytest.mark.parametrize(("left", "right"), EQUAL, ids=str)
def test_parameters_that_are_equal_in_python_make_equal_kernels(left: ff.Kernel, right: ff.Kernel) -> None:
    assert left == right
    assert hash(left) == hash(right)


@pytest.mark.parametrize(("left", "right"), UNEQUAL, ids=str)
def test_parameters_that_are_not_equal_make_other_kernels(left: ff.Kernel, right: ff.Kernel) -> None:
    assert left != right


SHOWN = [
    *KERNELS,
    ff.std(ddof=2.0),
    ff.std(ddof=1e300),
    ff.norm(ord=2.0),
    ff.histogram(bins=range(9)),
    ff.histogram(bins=[0.5, 1]),
    ff.histogram(bins=np.array([0, 0.1, 1], "f4")),
    ff.histogram(bins=np.array([0, 1, 200], "u1"), range=np.array([0, 0.5], "f2")),
    ff.histogram(bins=[False, True]),
    ff.histogram(bins=[0, 10**30], range=(0, 10**30)),
]


@pytest.mark.parametrize("kernel", SHOWN, ids=str)
def test_the_repr_of_a_kernel_is_the_call_that_makes_it(kernel: ff.Kernel) -> None:
    assert eval(repr(kernel), {"fanfold": ff, "inf": math.inf, "np": np}) == kernel
    assert ff.Kernel(kernel.name, **kernel.parameters) == kernel
    assert pickle.loads(pickle.dumps(kernel)) == kernel


def test_some_reprs_of_kernels() -> None:
    assert repr(ff.mean()) == "fanfold.mean()"
    assert repr(ff.std(ddof=1)) == repr(ff.std(ddof=np.int8(1))) == "fanfold.std(ddof=1)"
    assert repr(ff.std(ddof=1.0)) == "fanfold.std(ddof=1.0)"
    assert repr(ff.std(ddof=1e300)) == "fanfold.std(ddof=1e+300)"
    assert (
        repr(ff.histogram(bins=[0, 1], range=(0, 5))) == "fanfold.histogram(bins=(0, 1), range=(0, 5), density=False)"
    )
    assert repr(ff.kurtosis(bias=False)) == "fanfold.kurtosis(fisher=True, bias=False)"
    assert repr(ff.histogram()) == "fanfold.histogram(bins=10, range=None, density=False)"


def test_a_kernel_is_frozen() -> None:
    kernel = ff.std(ddof=1)
    for name in ("name", "parameters", "other"):
        with pytest.raises(AttributeError):
            setattr(kernel, name, 1)
    kernel.parameters["ddof"] = 5
    assert (kernel.name, kernel.parameters) == ("std", {"ddof": 1})
    edges = np.array([0.0, 1.0])
    kernel = ff.histogram(bins=edges)
    edges[1] = 9
    assert kernel.parameters == {"bins": (0.0, 1.0), "range": None, "density": False}


def test_a_pickled_kernel_keeps_the_dtype_of_its_edges() -> None:
    kernel = ff.histogram(bins=np.array([0, 0.5, 1], "f4"))
    back = pickle.loads(pickle.dumps(kernel))
    assert back == kernel
    assert ff.run(x, back)["histogram"].edges.dtype == "f4"


@pytest.mark.parametrize("info", ff.kernels(), ids=lambda info: info.name)
def test_constructors_show_their_parameters(info: ff.KernelInfo) -> None:
    constructor = getattr(ff, info.name)
    shown = inspect.signature(constructor).parameters
    assert {name: parameter.default for name, parameter in shown.items()} == {
        p.name: p.default for p in info.parameters
    }
    assert str(inspect.signature(constructor)) in pydoc.render_doc(constructor, renderer=pydoc.plaintext)


def test_constructors_are_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(ff.std)) is ff.std
    assert ff.run(x, [ff.std, ff.mean]) == ff.run(x, ["std", "mean"])


# ---- keys ----


class Own:
    def __call__(self, v: Array) -> int:
        return len(v)

    def method(self, v: Array) -> int:
        return len(v)


@pytest.mark.parametrize(
    ("function", "key"),
    [
        ("std", "std"),
        (ff.std, "std"),
        (ff.std(ddof=1), "std"),
        (np.mean, "mean"),
        (np.add.reduce, "reduce"),
        (len, "len"),
        (spread, "spread"),
        (lambda v: 1, "<lambda>"),
        (functools.partial(np.quantile, q=0.5), "quantile"),
        (functools.partial(functools.partial(np.quantile), q=0.5), "quantile"),
        (functools.partial(Own()), "Own"),
        (Own(), "Own"),
        (Own().method, "method"),
        (functools.cache(len), "len"),
        (str, "str"),
    ],
    ids=lambda value: re.sub(" at 0x\\w+", "", str(value)),  # An address is another one in every process.
)
def test_a_functions_key_is_its_name(function: Any, key: str) -> None:
    assert list(ff.run(x, function, on_error="return")) == [key]
    assert list(ff.run(x, {"mine": function}, on_error="return")) == ["mine"]


def test_functions_are_called_with_plain_read_only_views_of_their_own() -> None:
    data, seen = large.copy(), []

    def look(v: Array) -> None:
        seen.append(v)

    ff.run(data, {"a": look, "b": look, "c": look}, workers=2)
    assert len({id(v) for v in seen}) == 3
    for v in seen:
        assert isinstance(v, np.ndarray)
        assert np.shares_memory(v, data)
        assert (v.shape, v.strides, v.ctypes.data) == (data.shape, data.strides, data.ctypes.data)
        assert not v.flags.writeable
    # What one does to its view, short of the elements, is nothing to the others.
    assert data.flags.writeable


@pytest.mark.parametrize("workers", [1, 2])
def test_functions_see_the_callers_errstate_and_cannot_change_it(workers: int) -> None:
    def invalid(v: Array) -> Any:
        return np.sqrt(v[:9] * 0 - 1)

    def change(_: Array) -> None:
        np.seterr(all="ignore")

    before = np.geterr()
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        ff.run(large, [invalid, "mean"], workers=workers)
    with np.errstate(invalid="ignore"):
        assert np.isnan(ff.run(large, [change, invalid], workers=workers)["invalid"]).all()
    assert np.geterr() == before


def test_what_a_function_returns_is_handed_over_as_it_is() -> None:
    marker = object()
    r = ff.run(
        large, {"none": lambda v: None, "own": lambda v: marker, "data": lambda v: v[1:], "error": lambda v: KeyError}
    )
    assert (r["none"], r["own"], r["error"]) == (None, marker, KeyError)
    assert r.errors == {}
    assert np.shares_memory(r["data"], large)
    assert not r["data"].flags.writeable


def test_functions_are_not_held_on_to() -> None:
    function = Own()
    dead = weakref.ref(function)
    ff.run(x, [function, "mean"])
    ff.run(large, function, workers=2)
    del function
    gc.collect()
    assert dead() is None


# ---- plans ----

EXPLAINED = {
    'ff.plan(["mean", "std", "skew"])': """
        pass 1 over float64
          moments of x -> mean, std, skew""",
    'ff.plan(["max", "argmin", "ptp"], like=np.zeros(3, "i2"))': """
        pass 1 over int16
          extrema of x -> max, argmin, ptp""",
    'ff.plan({"a": "sum", "b": len, "c": ff.histogram(range=(0, 1)), "d": "histogram", "e": "count"}, like="f4")': """
        known from the length: e
        pass 1 over float32
          moments of x -> a
          histogram of float64(x) -> c
          extrema of x -> d
        pass 2 over float32
          histogram between them -> d
        function: b (called to see what it asks for: like=x shows it)""",
    'ff.plan(["mean", "count_nan"], nan_policy="omit")': """
        pass 1 over float64
          moments of valid(x) -> mean
          extrema of x -> count_nan""",
    'ff.plan("max", nan_policy="raise")': """
        pass 1 over float64
          extrema of x -> max, (nan_policy)""",
    'ff.plan(["max", "mean"], like=">M8[ns]")': """
        pass 1 over datetime64
          extrema of x -> max
        cannot run: mean ('mean' does not support an array of dtype datetime64: it takes bool, integers, floats, """
    "complex numbers and timedelta64)",
    'ff.plan(["prod", "gmean", "hmean", "logsumexp", "is_sorted"], nan_policy="omit")': """
        pass 1 over float64
          product of valid(x) -> prod, gmean
          sum of reciprocals of valid(x) -> hmean
          sum of exponentials of valid(x) -> logsumexp
          order of valid(x) -> is_sorted""",
    'ff.plan(["sum", "prod", "mean"], like="i4")': """
        pass 1 over int32
          sum of x -> sum, mean
          product of x -> prod""",
    'ff.plan(["sum", "mean"], like=complex)': """
        pass 1 over complex128
          sum of x -> sum, mean""",
    'ff.plan(len, like="U1")': """
        function: len (called to see what it asks for: like=x shows it)""",
    "ff.plan(len)": """
        function: len (called to see what it asks for: like=x shows it)""",
    "ff.plan([])": "",
}  # fmt: skip


@pytest.mark.parametrize("call", EXPLAINED)
def test_a_plan_explains_itself(call: str) -> None:
    lines = [line.removeprefix(" " * 8) for line in EXPLAINED[call].split("\n")]
    assert eval(call).explain().split("\n") == (lines[1:] or lines)


def test_a_plan_for_arrays_without_kernels_explains_what_cannot_run() -> None:
    lines = ff.plan({"a": "mean", "b": len}, like="U1").explain().split("\n")
    assert [line.split(":")[0] for line in lines] == ["cannot run", "function"]
    assert lines[0].startswith("cannot run: a (data has dtype <U1, which no kernel supports: convert it first")


def test_a_plan_that_was_made_like_an_array_tells_what_its_functions_do_with_it() -> None:
    data = np.random.default_rng(0).normal(size=200_000)

    def far(v):
        return np.mean((v - v.mean()) ** 2 > 1)

    def score(v):
        return (v - v.mean()) / v.std()

    def middle(v):
        return np.cumsum(v) if v.max() > 0 else 0

    functions = {
        "m": "mean",
        "far": far,
        "score": score,
        "middle": middle,
        "lag": lambda v: (v[1:] * v[:-1]).mean(),
        "above": lambda v: v[v > 0].astype(np.float32).max(),
        "fft": lambda v: abs(np.fft.rfft(v)[0]),
        "backwards": lambda v: v[::-1].sum() + v[10:190_000].sum(),
        "fails": lambda v: 1 / 0,
    }
    lines = ff.plan(functions, like=data).explain().split("\n")
    assert [line for line in lines if line.startswith("pass")] == [
        "pass 1 over float64, 1.6 MB",
        "pass 2 over float64, 1.6 MB",
        "pass 3 over float64, 1.6 MB",
        "pass 4 over float64, 1.6 MB",
    ]
    for line in (
        "  mean of x -> m",
        "  mean of multiply(x[1:], x[:-1]) -> lag",
        "  max of float32(x[greater(x, 0.0)]) -> above",
        "  sum of x[::-1] -> backwards",
        "  sum of x[10:-10000] -> backwards",
        "  elements of divide(subtract(x, mean of x), std of x) -> score",
        "  computed once: subtract(x, mean of x) -> far, score",
        "fused: far",
        "fused: middle",
        "plain: fft (np.fft.rfft)",
        "plain: fails (it raised ZeroDivisionError: division by zero)",
    ):
        assert line in lines
    short = ff.plan(functions, like=data[:1000]).explain().split("\n")
    assert short[-1] == "plain: fails (the array has fewer than 131,072 elements)"
    calls = []
    plan = ff.plan({"a": calls.append}, like=data)
    assert not calls
    assert plan.run(data)["a"] is None
    assert len(calls) == 1


def test_why_a_function_is_plain_is_said_of_arrays_that_are_not_traced() -> None:
    big = np.zeros((400, 500))
    reasons = {
        "the array has fewer than 131,072 elements": np.zeros(9),
        "the array's dtype is >f8": big.astype(">f8"),
    }
    for why, data in reasons.items():
        report = ff.run(data, {"f": np.size}).report
        assert (report.how, report.why) == ({"f": "plain"}, {"f": why})


def test_a_plan_answers_as_a_run_does_for_arrays_of_any_dtype() -> None:
    functions = ["mean", "max", ff.histogram(bins=[0, 2, 9]), spread]
    plan = ff.plan(functions, like="f2")
    # NumPy refuses to subtract booleans, in both.
    for data in (x, x.astype("f4"), x.astype(">i2"), x > 1, large, x.reshape(2, 2).T, x):
        for options in ({}, {"workers": 2}, {"timeout": 60}):
            got = plan.run(data, on_error="return", **options)
            want = ff.run(data, functions, on_error="return")
            assert repr(got) == repr(want)
            assert got["max"].dtype == data.dtype.newbyteorder("=")


def test_a_plan_has_its_own_options() -> None:
    data = np.array([1.0, np.nan])
    assert ff.plan("mean", nan_policy="omit").run(data) == {"mean": 1.0}
    with pytest.raises(ValueError, match="holds 1 NaN"):
        ff.plan("mean", nan_policy="raise").run(data)
    plan = ff.plan(["mean", fails])
    assert repr(plan).startswith("Plan: 2 functions\n")
    assert list(plan.run(x, on_error="return").errors) == ["fails"]
    with ff.Pool(workers=3) as pool:
        assert plan.run(large, workers=pool, on_error="return").report.workers == 3


def test_a_plan_is_of_the_functions_as_they_were() -> None:
    functions = {"a": "mean"}
    plan = ff.plan(functions)
    functions["b"] = "std"
    assert list(plan.run(x)) == ["a"]


def test_a_plan_does_not_hold_on_to_the_array_it_was_made_like() -> None:
    data = np.zeros(100)
    dead = weakref.ref(data)
    plan = ff.plan("mean", like=data)
    del data
    gc.collect()
    assert dead() is None
    assert plan.explain().startswith("pass 1 over float64")


@pytest.mark.parametrize("like", [None, "f4", ">i2", np.zeros(3, "U2"), int, np.float32(1)], ids=repr)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_of_a_plan_answers_as_the_plan_does(copied: Any, like: Any) -> None:
    functions = {"b": spread, "a": ff.std(ddof=1), "c": "histogram", "d": fails, "e": np.median}
    plan = ff.plan(functions, like=like, nan_policy="omit")
    other = copied(plan)
    assert type(other) is ff.Plan
    assert repr(other).split("\n")[0] == repr(plan).split("\n")[0]
    # It has the array's dtype, but not the array, which functions could be called with.
    of_functions = ("function: ", "plain: ")
    lines = [
        [line for line in each.explain().split("\n") if not line.startswith(of_functions)] for each in (other, plan)
    ]
    assert lines[0] == lines[1]
    data = np.array([1.0, np.nan, 4.0])
    assert repr(other.run(data, on_error="return")) == repr(plan.run(data, on_error="return"))


def test_a_plan_of_what_cannot_be_pickled_fails_as_pickle_does() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ff.plan(lambda v: 1))


# ---- pools ----


def test_a_pool_fixes_the_number_of_workers() -> None:
    want = ff.run(large, ["mean", "std", len], workers=1)
    for workers in (1, 2, 3):
        with ff.Pool(workers=workers) as pool:
            assert (pool.workers, repr(pool)) == (workers, f"fanfold.Pool(workers={workers})")
            for r in (pool.run(large, ["mean", "std", len]), ff.run(large, ["mean", "std", len], workers=pool)):
                assert r == want
                assert r.report.workers == workers
    assert ff.Pool().workers == ff.info()["workers"]
    with pytest.raises(AttributeError):
        ff.Pool(workers=2).workers = 3  # type: ignore[misc]


def test_pools_are_nested_and_closed_each_by_itself() -> None:
    with ff.Pool(workers=2) as outer:
        with ff.Pool(workers=3) as inner, ff.Pool(workers=2) as other:
            assert [pool.run(large, "mean").report.workers for pool in (outer, inner, other)] == [2, 3, 2]
        for pool in (inner, other):
            with pytest.raises(ValueError, match="was closed"):
                pool.run(large, "mean")
        assert outer.run(large, "mean").report.workers == 2


def test_a_pool_takes_all_options_and_is_closed_by_an_exception() -> None:
    with pytest.raises(ValueError, match="fails"), ff.Pool(workers=2) as pool:
        assert pool.run(np.array([1, np.nan]), "mean", nan_policy="omit") == {"mean": 1}
        assert list(pool.run(x, fails, on_error="return", timeout=60).errors) == ["fails"]
        pool.run(large, fails)
    with pytest.raises(ValueError, match="was closed"):
        pool.run(x, "mean")
    # Its threads are shared: another pool of that size is none the worse for it.
    assert ff.Pool(workers=2).run(large, "count") == {"count": large.size}


# ---- the catalogue, as data ----


def test_the_catalogue_is_data() -> None:
    catalogue = ff.kernels()
    assert catalogue == ff.kernels() and catalogue is not ff.kernels()
    assert pickle.loads(pickle.dumps(catalogue)) == catalogue
    std = {info.name: info for info in catalogue}["std"]
    assert isinstance(std, ff.KernelInfo)
    assert std.summary == std.doc.split("\n")[0]
    assert std.parameters == (
        ff.Parameter("ddof", 0, "a finite number", "Delta degrees of freedom: the divisor is ``n - ddof``."),
    )
    assert (std.numpy, std.examples, std.passes) == ("np.std(x, ddof=ddof)", ({}, {"ddof": 1}), 1)
    assert "float16" in std.dtypes and "complex64" not in std.dtypes


def test_kernels_of_one_name_are_told_apart_by_their_calls() -> None:
    kernels = [ff.quantile(0.1), ff.quantile(0.5), ff.quantile([0.1, 0.9], method="lower"), "std", ff.std(ddof=1)]
    r = ff.run(np.arange(10.0), [*kernels, ff.rolling_mean(7), ff.rolling_mean(3, center=True), "mean"])
    assert list(r) == [
        *("quantile(0.1)", "quantile(0.5)", "quantile([0.1, 0.9], method='lower')", "std", "std(ddof=1)"),
        *("rolling_mean(7)", "rolling_mean(3, center=True)", "mean"),
    ]
    assert list(ff.run(np.arange(3.0), ff.quantile(0.1))) == ["quantile"]
    named = [key for key in r if "(" in key]
    x = np.arange(10.0)
    for key in named:
        np.testing.assert_array_equal(ff.run(x, {"it": eval(f"ff.{key}")})["it"], r[key])


def test_keys_may_be_anything_hashable() -> None:
    keys: list[Any] = [7, None, ("a", 1), frozenset({2}), 2.5, "text"]
    for x in (np.arange(5.0), np.arange(200_000.0)):
        for functions in (dict.fromkeys(keys, "mean"), dict.fromkeys(keys, np.mean)):
            r = ff.run(x, functions)
            assert dict(r) == dict.fromkeys(keys, x.mean()) and list(r.report.how) == keys
        with pytest.raises(ZeroDivisionError, match="division"):
            ff.run(x, {("a", 1): lambda v: 1 / 0, 2: "mean"})
    assert ff.run({"x": np.ones(2)}, {1: "sum"}) == {1: {"x": 2.0}}
