"""What stands in for NumPy's scalars and arrays in traced functions does what those do.

Every operator, method and protocol, as `operator` and `dir` list them, gives the value, the type, the exception and the
warnings of the plain call.
"""

import builtins
import contextvars
import copy
import decimal
import fractions
import json
import math
import numbers
import operator
import pickle
import re
import warnings
from collections.abc import Callable, Hashable, Iterable, Sized
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fanfold.tracing import calls

Array = npt.NDArray[Any]
Function = Callable[[Any], Any]

SIZE = 4_096
"""The fewest elements that are traced here: what stands in does not depend on how many there are."""


@pytest.fixture(autouse=True)
def short_arrays_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", SIZE)


def made(dtype: str) -> Array:
    elements = np.zeros(SIZE, dtype)
    own = [0, 1, 2, 3] if dtype in ("u1", "?") else [-3, 1, 2, 3]
    elements[: len(own)] = own
    if elements.dtype.kind in "iu":
        elements[5] = np.iinfo(dtype).max
    elements.flags.writeable = False
    return elements


ARRAYS = {dtype: made(dtype) for dtype in ("?", "u1", "i8", "f2", "f4", "f8", "c16")}
SPECIAL = {value: np.full(SIZE, value, "f8") for value in (0.0, math.inf, -math.inf, math.nan)}

NUMBERS: dict[str, Function] = {
    "max": lambda v: v.max() if v.dtype.kind != "c" else v.sum(),
    "sum": lambda v: v.sum(),
    "any": lambda v: (v != 0).any(),
    "argmax": lambda v: v.argmax() if v.dtype.kind != "c" else v.mean(),
}


# ---- what happens ----


def described(value: Any, depth: int = 3) -> Any:
    """A value, to the last bit and to its type. What is known to differ is in docs/functions.md."""
    kind = type(value)
    if isinstance(value, np.ndarray | np.generic):
        is_object = value.dtype.hasobject
        return kind, value.dtype.str, value.shape, repr(value) if is_object else bits(np.asarray(value))
    if kind in (float, complex):
        return kind, bits(np.asarray(value))
    if kind in (tuple, list) and depth and len(value) < 100:
        return kind, [described(each, depth - 1) for each in value]
    text = repr(value)
    return kind, re.sub("0x[0-9a-f]+", "", text) if len(text) < 10_000 else hash(text)


def bits(values: Array) -> Any:
    """Its bytes; NaN has no sign that NumPy keeps to."""
    values = np.where(np.isnan(values), np.nan, values) if values.dtype.kind in "fc" else values
    return values.tobytes() if values.size < 100 else hash(values.tobytes())


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives or raises, and what it warns of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = described(call())
        except Exception as error:
            found = (type(error), re.sub("0x[0-9a-f]+", "", str(error)))
    return found, sorted({(each.category.__name__, str(each.message)) for each in told})


def differences(x: Array, functions: dict[str, Function]) -> list[str]:
    """The functions of which a run gives something else than their call."""
    wrong = []
    for name, function in functions.items():
        # In a context of its own, as in a run: what sets `np.seterr` would leave it to all later tests of the process.
        context = contextvars.copy_context()
        want = outcome(lambda function=function, context=context: context.run(function, x))
        got = outcome(lambda function=function: ff.run(x, {"f": function}, workers=1)["f"])
        if got != want:
            wrong.append(f"{name}: {got}, its call {want}")
    return wrong


def test_these_arrays_are_traced() -> None:
    assert ff.run(ARRAYS["f8"], {"f": lambda v: v + v}).report.how == {"f": "fused"}


# ---- operators ----

BINARY = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow),
    *(operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor, operator.matmul, divmod),
    *(operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge, operator.contains),
    *(operator.iadd, operator.imul, operator.ipow, operator.getitem),
]
COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)
UNARY = [operator.neg, operator.pos, operator.abs, operator.invert, operator.not_, operator.truth, operator.index]

OPERANDS: dict[str, Function] = {
    "None": lambda v: None,
    "a string": lambda v: "ab",
    "a list": lambda v: [1, 2.5],
    "an empty tuple": lambda v: (),
    "bytes": lambda v: b"ab",
    "True": lambda v: True,
    "0": lambda v: 0,
    "2": lambda v: 2,
    "-1": lambda v: -1,
    "2**70": lambda v: 2**70,
    "0.5": lambda v: 0.5,
    "nan": lambda v: math.nan,
    "a Fraction": lambda v: fractions.Fraction(1, 2),
    "a Decimal": lambda v: decimal.Decimal("0.5"),
    "np.int8": lambda v: np.int8(2),
    "np.uint64": lambda v: np.uint64(2),
    "np.float32": lambda v: np.float32(0.5),
    "np.bool": lambda v: np.True_,
    "an array without axes": lambda v: np.asarray(2.0),
    "an array": lambda v: np.arange(3),
    "a set": lambda v: {1},
    "a number of the function's": lambda v: v.min() if v.dtype.kind != "c" else v.mean(),
    "a count of the function's": lambda v: np.count_nonzero(v),
}
"""What meets a number in an operator."""


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dtype", ARRAYS)
def test_operators_of_numbers(dtype: str, number: str) -> None:
    make, functions = NUMBERS[number], {}
    for op in UNARY:
        functions[op.__name__] = lambda v, op=op: op(make(v))
    for op in BINARY:
        for name, operand in OPERANDS.items():
            functions[f"{op.__name__}, {name}"] = lambda v, op=op, operand=operand: op(make(v), operand(v))
            functions[f"{name}, {op.__name__}"] = lambda v, op=op, operand=operand: op(operand(v), make(v))
    # Sequences as long as the largest integers are nobody's wish.
    huge = dtype in ("i8", "u1") and number in ("max", "sum")
    functions = {
        name: function
        for name, function in functions.items()
        if not (huge and re.search(r"mul|shift|pow", name) and re.search(r"list|tuple|string|bytes|2\*\*70", name))
    }
    assert not (wrong := differences(ARRAYS[dtype], functions)), "\n".join(wrong[:20])


@pytest.mark.parametrize("value", SPECIAL, ids=str)
def test_operators_of_special_values(value: float) -> None:
    functions: dict[str, Function] = {}
    for op in BINARY:
        for operand in (0, 0.0, 0.5, -1, 2, 3, -0.5, math.inf, math.nan, np.float32(0.5), np.int64(-1)):
            functions[f"{op.__name__}, {operand!r}"] = lambda v, op=op, operand=operand: op(v.max(), operand)
            functions[f"{operand!r}, {op.__name__}"] = lambda v, op=op, operand=operand: op(operand, v.max())
            functions[f"max {op.__name__} {operand!r} again"] = lambda v, op=op, o=operand: op(op(v.max(), 2), o)
    assert not (wrong := differences(SPECIAL[value], functions)), "\n".join(wrong[:20])


ARRAY_OPERANDS = {
    name: OPERANDS[name]
    for name in ("None", "a string", "a list", "True", "2", "-1", "0.5", "a Fraction", "np.int8", "np.float32")
} | {
    "itself": lambda v: v,
    "a number of the function's": lambda v: v.max() if v.dtype.kind != "c" else v.sum(),
    "another formula": lambda v: v + v,
    "a slice": lambda v: v[1:],
}


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f8"])
def test_operators_of_arrays(dtype: str) -> None:
    formulas: dict[str, Function] = {"v": lambda v: v, "-v": lambda v: np.add(v, v)}
    functions: dict[str, Function] = {}
    for formula, make in formulas.items():
        for op in UNARY:
            functions[f"{op.__name__} {formula}"] = lambda v, op=op, make=make: op(make(v))
        for op in BINARY:
            if op in (operator.contains, operator.getitem):
                continue
            for name, operand in ARRAY_OPERANDS.items():
                if name == "a slice" and op in COMPARISONS:
                    # Python asks the input, of a subclass, first: the exception names the shapes the other way round.
                    continue
                functions[f"{formula} {op.__name__}, {name}"] = lambda v, op=op, o=operand, m=make: op(m(v), o(v))
                functions[f"{name}, {op.__name__} {formula}"] = lambda v, op=op, o=operand, m=make: op(o(v), m(v))
    assert not (wrong := differences(ARRAYS[dtype], functions)), "\n".join(wrong[:20])


# ---- methods, attributes, protocols ----

LEFT_OUT = {"ctypes", "data", "base", "tofile", "dump", "flat", "setflags", "flags", "device", "__array_interface__"}
"""What tells of an address, writes a file, or gives something that is described by neither."""


def attribute(name: str, *arguments: Any) -> Function:
    def function(of: Any) -> Any:
        value = getattr(of, name)
        return value(*arguments) if callable(value) else value

    return function


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dtype", ARRAYS)
def test_attributes_and_methods_of_numbers(dtype: str, number: str) -> None:
    make = NUMBERS[number]
    names = {name for kind in (np.float64, np.int64, np.bool_, np.complex128) for name in dir(kind)}
    functions: dict[str, Function] = {}
    for name in sorted(names - LEFT_OUT):
        if not name.startswith("__"):
            functions[name] = lambda v, name=name: attribute(name)(make(v))
            functions[f"has {name}"] = lambda v, name=name: hasattr(make(v), name)
    for arguments in ((0,), (-1,), ("f4",), (None,)):
        for name in ("item", "astype", "sum", "round", "reshape", "take", "repeat", "clip", "view"):
            functions[f"{name}{arguments}"] = lambda v, name=name, a=arguments: attribute(name, *a)(make(v))
    assert not (wrong := differences(ARRAYS[dtype], functions)), "\n".join(wrong[:20])


@pytest.mark.parametrize("dtype", ["?", "u1", "f8"])
def test_attributes_and_methods_of_arrays(dtype: str) -> None:
    functions: dict[str, Function] = {}
    formulas: dict[str, Function] = {"v": lambda v: v, "v + v": lambda v: v + v, "v.max()": lambda v: v.max() + v[:0]}
    for formula, make in formulas.items():
        for name in sorted(set(dir(np.ndarray)) - LEFT_OUT):
            # Variances are nearer to the exact ones than NumPy's.
            if not name.startswith("__") and name not in ("tolist", "dumps", "std", "var"):
                functions[f"{formula}: {name}"] = lambda v, name=name, make=make: attribute(name)(make(v))
    assert not (wrong := differences(ARRAYS[dtype], functions)), "\n".join(wrong[:20])


def assigned(name: str, value: Any) -> Function:
    def function(v: Any) -> Any:
        w = v * 2
        setattr(w, name, value)
        return w

    return function


def done(*steps: Callable[[Any], Any]) -> Function:
    """A new array after some steps, that may change it."""

    def function(v: Any) -> Any:
        w = v + v
        return [step(w) for step in steps], w

    return function


CHANGES: dict[str, Function] = {
    "shape": assigned("shape", (2, -1)),
    "a wrong shape": assigned("shape", (3, -1)),
    "dtype": assigned("dtype", "i8"),
    "real": assigned("real", 1.0),
    "flat": assigned("flat", 1.0),
    "an attribute": assigned("other", 1),
    "sort": done(lambda w: w.sort()),
    "fill": done(lambda w: w.fill(1)),
    "put": done(lambda w: w.put([0, 1], 7)),
    "partition": done(lambda w: w.partition(3)),
    "resize": done(lambda w: w.resize(10, refcheck=False)),
    "byteswap": done(lambda w: w.byteswap(True) is w),
    "setflags": done(lambda w: w.setflags(write=False), lambda w: w.flags.writeable),
    "an item": done(lambda w: w.__setitem__(0, 9), lambda w: w[0]),
    "a slice": done(lambda w: w.__setitem__(slice(2), 9), lambda w: w[:3]),
    "a mask": done(lambda w: w.__setitem__(w > 1, 9), lambda w: w.max()),
    "in place": done(lambda w: operator.iadd(w, 1) is w, lambda w: operator.imul(w, 0.5) is w),
    "an alias": lambda v: (lambda w: (w[:-1].__iadd__(1), w[:5]))(v * 2),
    "out=": done(lambda w: np.add(w, 1, out=w) is w),
    "the input": lambda v: v.__setitem__(0, 1),
    "the input in place": lambda v: operator.iadd(v, 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_arrays(change: str) -> None:
    assert not differences(ARRAYS["f8"], {change: CHANGES[change]})


PROTOCOLS: dict[str, Function] = {
    **{name: getattr(builtins, name) for name in ("int", "float", "complex", "bool", "abs", "round", "hash", "repr")},
    **{name: getattr(builtins, name) for name in ("str", "len", "iter", "list", "tuple", "bin", "hex", "chr", "ascii")},
    **{name: getattr(builtins, name) for name in ("sum", "min", "max", "any", "sorted", "reversed", "callable")},
    **{name: getattr(math, name) for name in ("floor", "ceil", "trunc", "sqrt", "isnan", "isfinite", "factorial")},
    "round to 1": lambda m: round(m, 1),
    "math.pow": lambda m: math.pow(m, 2),
    "math.fsum": lambda m: math.fsum([m, m]),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "json": lambda m: json.dumps({"m": m}),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "%d": lambda m: "%d" % m,  # noqa: UP031 - that is what is tried
    "%s": lambda m: "%s" % m,  # noqa: UP031
    "%.3f": lambda m: "%.3f" % m,  # noqa: UP031
    "f-string": lambda m: f"{m} {m!r} {m:>10}",
    ".2f": lambda m: f"{m:.2f}",
    "x": lambda m: f"{m:x}",
    "a wrong format": lambda m: f"{m:nonsense}",
    "a key": lambda m: {m: 1}[m],
    "in a set": lambda m: m in {1, 2, 3},
    "in a list": lambda m: m in [None, "a", 3],
    "as an index": lambda m: [0, 1, 2, 3, 4][m],
    "as a slice": lambda m: [0, 1, 2][:m],
    "np.asarray": np.asarray,
    "np.array": lambda m: np.array(m),
    "np.array, copied": lambda m: np.array(m, "f4", copy=True),
    "np.array of several": lambda m: np.array([m, m, 1]),
    "np.isscalar": np.isscalar,
    "np.ndim": np.ndim,
    "np.shape": np.shape,
    "np.result_type": lambda m: np.result_type(m, np.int8),
    "np.float32": np.float32,
    "np.int64": np.int64,
    "memoryview": lambda m: memoryview(m).nbytes,
    "bytes": lambda m: bytes(memoryview(m)),
    "DLPack": lambda m: np.from_dlpack(m),
    "[()]": lambda m: m[()],
    "[0]": lambda m: m[0],
    "[None]": lambda m: m[None],
    "[...]": lambda m: m[...],
    "[True]": lambda m: m[True],
    "[:]": lambda m: m[:],
    "assignment": lambda m: m.__setitem__(0, 1),
    "deletion": lambda m: m.__delitem__(0),
    "called": lambda m: m(),
    "unpacked": lambda m: (lambda a, *b: a)(*m),
    "match": lambda m: isinstance(m, np.floating | np.integer),
    "chained": lambda m: 0 <= m < 100,
    "if": lambda m: "yes" if m else "no",
    **{
        f"isinstance {kind.__name__}": lambda m, kind=kind: isinstance(m, kind)
        for kind in (Iterable, Sized, Hashable, numbers.Number, numbers.Real, numbers.Integral, numbers.Complex)
    },
    **{
        f"isinstance {kind.__name__}": lambda m, kind=kind: isinstance(m, kind)
        for kind in (np.generic, np.number, np.floating, np.integer, np.bool_, np.ndarray, float, int, complex)
    },
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dtype", ARRAYS)
def test_protocols_of_numbers(dtype: str, number: str) -> None:
    make = NUMBERS[number]
    functions = {name: lambda v, use=use: use(make(v)) for name, use in PROTOCOLS.items()}
    if number in ("max", "sum") and dtype in ("i8", "u1"):
        del functions["factorial"]
    assert not (wrong := differences(ARRAYS[dtype], functions)), "\n".join(wrong[:20])


@pytest.mark.parametrize("formula", [lambda v: v, lambda v: v * 2, lambda v: v[v > 1]], ids=["v", "v * 2", "v[v > 1]"])
def test_protocols_of_arrays(formula: Function) -> None:
    left_out = ("list", "tuple", "sum", "min", "max", "any", "sorted", "bytes", "unpacked", "reversed")
    functions = {name: lambda v, use=use: use(formula(v)) for name, use in PROTOCOLS.items() if name not in left_out}
    assert not (wrong := differences(ARRAYS["f8"], functions)), "\n".join(wrong[:20])


# ---- what is waited for ----

WAITED: dict[str, Function] = {
    "nanmin of nothing": lambda v: np.nanmin(v[v > 1e9]),
    "max of nothing": lambda v: v[v > 1e9].max(),
    "argmax of nothing": lambda v: v[v > 1e9].argmax(),
    "nanargmax of NaN": lambda v: np.nanargmax(v * np.nan),
    "mean of nothing": lambda v: v[v > 1e9].mean(),
    "median of nothing": lambda v: np.median(v[v > 1e9]),
    "quantile of nothing": lambda v: np.quantile(v[v > 1e9], 0.5),
    "shapes": lambda v: v + np.arange(3),
    "shapes of slices": lambda v: v[1:] + v,
    "a wrong axis": lambda v: v.mean(axis=3),
    "a wrong dtype": lambda v: (v > 1) - (v > 2),
    "a wrong index": lambda v: (v * 2)[SIZE],
    "a negative power": lambda v: (v.argmax() ** -1, np.power(v.argmax(), -1)),
    "a reshape": lambda v: (v * 2).reshape(7, 11),
    "raised by errstate": lambda v: (np.seterr(divide="raise"), v / 0)[1],
    "raised by errstate of a number": lambda v: (np.seterr(divide="raise"), v.max() / (v.max() - v.max()))[1],
}


@pytest.mark.parametrize("kind", WAITED)
def test_exceptions_come_where_a_function_waits_for_them(kind: str) -> None:
    def caught(v: Any) -> Any:
        try:
            return WAITED[kind](v)
        except Exception as error:
            return type(error).__name__, str(error)

    assert not differences(ARRAYS["f8"], {kind: WAITED[kind], f"{kind}, caught": caught})


def test_formulas_with_statistics_over_all_axes_stay_formulas() -> None:
    x, called = np.random.default_rng(0).standard_normal((1000, 200)), []

    def centered(v: Any) -> Any:
        called.append(1)
        return (v - v.mean(axis=(0, 1))).std(), (v - v.max(axis=(0, 1), keepdims=True)).min()

    r = ff.run(x, centered)
    assert r["centered"] == pytest.approx(((x - x.mean()).std(), (x - x.max()).min()))
    assert called == [1]


def test_runs_inside_functions_take_what_is_not_computed_yet() -> None:
    x = np.random.default_rng(1).standard_normal(SIZE)

    def nested(v: Any) -> Any:
        w = v * 2
        inner = ff.run(w, ["std", "mean"], where=v > 0, weights=np.abs(v))
        groups = ff.run(w, "sum", by=v > 0)["sum"]
        out = np.zeros_like(v)
        ff.run(w, "cumsum", out={"cumsum": out})
        return inner, groups, ff.run({"a": w, "b": v}, ff.corr("a", "b"))["corr"], out, ff.plan("max", like=w)

    got, want = ff.run(x, nested)["nested"], nested(x)
    assert [described(each) for each in got[:4]] == [described(each) for each in want[:4]]
