"""What functions return is plain down to the last, and otherwise what their call gives."""

import collections
import collections.abc
import copy
import dataclasses
import enum
import functools
import gc
import itertools
import operator
import pickle
import time
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

import fanfold as ff
from fanfold.tracing.arrays import Deferred, Traced
from fanfold.tracing.numbers import DeferredNumber
from fanfold.tracing.trace import Trace
from plain import called

Array = npt.NDArray[Any]

# Sums of such integers are exact: every way to add them up gives the same bits.
X = np.random.default_rng(3).integers(-50, 50, 140_000).astype(float)
X[:2] = -60, 70


# ---- the oracle ----

LEAVES = (type, types.ModuleType, types.FrameType, types.TracebackType, types.CodeType)


def ours_in(value: Any) -> list[str]:
    """What of ours a value leads to, as the garbage collector sees it, which knows nothing of how it is replaced."""
    found, seen, stack = [], {}, [(value, "it")]
    while stack:
        each, path = stack.pop()
        if id(each) in seen:
            continue
        seen[id(each)] = each
        kind = type(each)
        if kind in (Traced, Deferred, DeferredNumber, Trace) or (kind is type and each in (Traced, Deferred)):
            found.append(f"{path}: {object.__repr__(each)}")
        if issubclass(kind, LEAVES):
            continue
        parts = gc.get_referents(each)
        if kind is types.FunctionType:
            parts = [*(each.__closure__ or ()), each.__defaults__, each.__kwdefaults__, each.__dict__]
        if issubclass(kind, np.ndarray):
            parts = [*parts, *vars(each).values()] if hasattr(each, "__dict__") else parts
            parts = [*parts, *(each.ravel().tolist() if each.dtype.hasobject else ())]
        if issubclass(kind, pd.Series | pd.DataFrame):
            parts = [*parts, *(block.values for block in each._mgr.blocks), *each.axes]
        stack += [(part, f"{path[-100:]} > {kind.__name__}") for part in parts]
    return found


def assert_alike(got: Any, want: Any) -> None:
    """The same classes, attributes and values, to the bottom, without recursion."""
    stack, seen = [(got, want)], set()
    while stack:
        ours, theirs = stack.pop()
        if (id(ours), id(theirs)) in seen or ours is theirs:
            continue
        seen.add((id(ours), id(theirs)))
        assert type(ours) is type(theirs)
        if isinstance(theirs, pd.Series | pd.DataFrame | pd.Index):
            kind = {1: "series", 2: "frame"}[theirs.ndim] if not isinstance(theirs, pd.Index) else "index"
            getattr(pd.testing, f"assert_{kind}_equal")(ours, theirs, check_exact=True)
            stack.append((getattr(ours, "attrs", None), getattr(theirs, "attrs", None)))
        elif isinstance(theirs, np.ndarray | np.generic) and not theirs.dtype.hasobject:
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(np.ma.getdata(ours), np.ma.getdata(theirs))
        elif isinstance(theirs, np.ndarray):
            assert ours.dtype == theirs.dtype
            assert ours.flags.writeable == theirs.flags.writeable
            assert ours.shape == theirs.shape
            stack.append((ours.ravel().tolist(), theirs.ravel().tolist()))
        elif isinstance(theirs, dict):
            assert list(ours) == list(theirs)
            stack += zip(ours, theirs, strict=True)
            stack += zip(ours.values(), theirs.values(), strict=True)
        elif isinstance(theirs, list | tuple | collections.deque):
            assert len(ours) == len(theirs)
            base: Any = next(each for each in (list, tuple, collections.deque) if isinstance(theirs, each))
            stack += zip(base.__iter__(ours), base.__iter__(theirs), strict=True)
        elif isinstance(theirs, set | frozenset):
            assert ours == theirs
            assert {type(each) for each in ours} == {type(each) for each in theirs}
        elif isinstance(theirs, int | float | complex | str | bytes):
            assert ours == theirs or ours != ours
        if isinstance(theirs, BaseException):
            stack.append((ours.args, theirs.args))
        if not isinstance(theirs, pd.Series | pd.DataFrame | pd.Index | types.FunctionType | functools.partial):
            stack.append((getattr(ours, "__dict__", None), getattr(theirs, "__dict__", None)))
            for base in type(theirs).__mro__:
                for name, member in vars(base).items():
                    if type(member) is types.MemberDescriptorType and "__slots__" in vars(base):
                        assert hasattr(ours, name) == hasattr(theirs, name)
                        stack.append((getattr(ours, name, None), getattr(theirs, name, None)))


def assert_plain(function: Callable[[Array], Any], x: Array = X) -> Any:
    want = called(function, x)
    for workers in (1, 2):
        got = ff.run(x, {"it": function, "max": np.max}, workers=workers)["it"]
        assert ours_in(got) == []
        assert_alike(got, want)
    return got


# ---- classes of their own ----


class Ends(tuple[Any, ...]):
    def __new__(cls, *ends: Any) -> "Ends":
        return super().__new__(cls, ends)


class Named(tuple[Any, ...]):
    unit: Any

    def __new__(cls, items: Any, unit: Any) -> "Named":
        made = super().__new__(cls, items)
        made.unit = unit
        return made


class Pair(NamedTuple):
    a: Any
    b: Any = None


class Noted(Pair):
    def __new__(cls, a: Any, note: Any) -> "Noted":
        made = super().__new__(cls, a, 1)
        made.note = note
        return made


class Titled(set[Any]):
    def __init__(self, items: Any, title: Any) -> None:
        super().__init__(items)
        self.title = title

    def add(self, item: Any) -> None:
        raise AssertionError("nobody calls it")

    update = clear = discard = add  # type: ignore[assignment]


class Frozen(frozenset[Any]):
    __slots__ = ("__dict__", "more", "none")

    def __new__(cls, *items: Any) -> "Frozen":
        made = super().__new__(cls, items)
        made.more, made.size = items, len(items)
        return made


class Items(list[Any]):
    def __init__(self, *items: Any) -> None:
        super().__init__(items)
        self.first = items[0]

    def __iter__(self) -> Any:
        raise AssertionError("nobody calls it")

    def __setitem__(self, index: Any, value: Any) -> None:
        raise AssertionError("nobody calls it")


class Upper(dict[str, Any]):
    def __init__(self, unit: Any, **entries: Any) -> None:
        super().__init__(entries)
        self.unit = unit

    def __setitem__(self, key: Any, value: Any) -> None:
        raise AssertionError("nobody calls it")

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Base:
    __slots__ = ("__hidden", "left", "unset")

    def __init__(self, left: Any) -> None:
        self.left = left
        self.__hidden = [left]


class Slotted(Base):
    __slots__ = ("right",)

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(left)
        self.right = right

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "left" and hasattr(self, name):
            raise AttributeError("it is frozen")
        super().__setattr__(name, value)


class Mixed(Slotted):
    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(left, right)
        self.own = {"sum": left}

    @property
    def costly(self) -> Any:
        raise AssertionError("nobody asks for it")


@dataclasses.dataclass(frozen=True)
class Sealed:
    value: Any
    others: Any = ()


@dataclasses.dataclass(slots=True, frozen=True)
class Small:
    value: Any


class Colour(enum.Enum):
    RED = 1


class Unit(np.ndarray[Any, Any]):
    def __array_finalize__(self, of: Any) -> None:
        self.__dict__.update(getattr(of, "__dict__", {}))


def with_unit(v: Array, unit: Any) -> Any:
    made = v.view(Unit)
    made.unit = unit
    return made


class Failure(Exception):
    def __init__(self, value: Any, more: Any) -> None:
        super().__init__(value, more)
        self.value = value


class Metres(pd.Series):
    _metadata = ["unit"]  # noqa: RUF012

    @property
    def _constructor(self) -> Any:
        return Metres


def metres(v: Array) -> Any:
    made = Metres([v.min(), v.max()])
    made.unit = v.mean()
    return made


def objects(*items: Any, shape: Any = None) -> Any:
    made = np.empty(len(items), object)
    for place, item in enumerate(items):
        made[place] = item
    return made if shape is None else made.reshape(shape)


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


def record(v: Array) -> Any:
    made = np.zeros(2, [("a", object), ("b", "f8"), ("c", [("d", object, (2,))])])
    made["a"][0], made["a"][1] = v.max(), [v.min()]
    made["c"]["d"][1, 0] = v * 2
    return made


def circle(v: Array) -> Any:
    items: list[Any] = [v.max()]
    fixed = (items, v.min(), "end")
    items.append(fixed)
    items.append({"again": (fixed, items)})
    return fixed


def of_attributes(v: Array) -> Any:
    made = Named((1, 2), [v.max()])
    made.me = (made, v.min())  # type: ignore[attr-defined]
    return made


def mapping_proxy(v: Array) -> Any:
    return types.MappingProxyType({"a": v.max(), "b": (v.min(), v * 2)})


def masked_objects(v: Array) -> Any:
    return np.ma.masked_array(objects(v.max(), v.min()), [True, False])


def attributes_of_a_table(v: Array) -> Any:
    made = pd.DataFrame({"a": [1, 2]})
    made.attrs["mean"] = v.mean()
    return made


def categories(v: Array) -> Any:
    return pd.Series([v.min(), v.max(), v.min()]).astype("category")


def levels(v: Array) -> Any:
    made = pd.MultiIndex.from_arrays([[v.min(), v.max()], ["a", "b"]], names=["q", v.max()])
    return pd.DataFrame({"x": [v.mean(), 2], "y": ["u", "v"]}, index=made)


def mixed_table(v: Array) -> Any:
    made = pd.DataFrame({"a": [v.mean(), v.max()], "b": ["x", (v.min(), 3)], "c": [1, 2], v.max(): [None, v.size]})
    made["o"] = pd.Series(["x", "y"], dtype=object)
    made.index = [v.min(), "end"]
    return made


RETURNED: dict[str, Callable[[Any], Any]] = {
    "number": lambda v: v.mean(),
    "array": lambda v: v * 2,
    "itself": lambda v: [v, v[1:], v[::2]],
    "tuple": lambda v: (v.min(), (v.max(), [(v.mean(),)])),
    "tuple of separate arguments": lambda v: Ends(v.min(), v.max()),
    "tuple with an attribute": lambda v: Named((v.min(), v.max()), "km"),
    "tuple with ours in an attribute alone": lambda v: Named((1, 2), {"unit": v.max()}),
    "tuple with ours everywhere": lambda v: Named((1, v.max()), (v.min(), [v.max()])),
    "named tuple": lambda v: Pair(v.min()),
    "named tuple with an attribute": lambda v: Noted(v.min(), [v.max()]),
    "struct_time": lambda v: time.struct_time([v.min(), *range(8)]),
    "scipy's tuple": lambda v: stats.describe(v[:1000]),
    "set": lambda v: {v.min(), v.max(), 3},
    "set with an attribute": lambda v: Titled({v.min()}, ("extremes", v.max())),
    "set of tuples": lambda v: {(v.min(), 1), (v.max(), 2)},
    "frozenset": lambda v: frozenset([v.min(), (v.max(),)]),
    "frozenset with slots": lambda v: Frozen(v.min(), v.max()),
    "list with an attribute": lambda v: Items(v.min(), v.max()),
    "dict": lambda v: {"a": v.mean(), v.max(): [v.min()], (v.min(), 1): 2, "z": None},
    "dict of a class": lambda v: Upper(v.max(), low=v.min(), both=(v.min(), v.max())),
    "ordered": lambda v: collections.OrderedDict([(v.max(), 1), ("b", v.min()), (3, [v.max()])]),
    "defaultdict": lambda v: collections.defaultdict(list, {v.max(): v.min()}),
    "counter": lambda v: collections.Counter({v.max(): 3, "b": 1}),
    "chain": lambda v: collections.ChainMap({"a": v.max()}, {v.min(): 2}),
    "user dict": lambda v: collections.UserDict({"a": v.max()}),
    "user list": lambda v: collections.UserList([v.max(), (v.min(),)]),
    "deque": lambda v: collections.deque([v.max(), 1, v.min()], maxlen=3),
    "slots": lambda v: Slotted(v.min(), [v.max()]),
    "slots and attributes": lambda v: Mixed(v.min(), (v.max(),)),
    "frozen dataclass": lambda v: Sealed(v.min(), {Sealed(1): (v.max(),)}),
    "frozen dataclass with slots": lambda v: Small(Small(v.min())),
    "namespace": lambda v: types.SimpleNamespace(a=v.min(), b=Small(v.max())),
    "enum": lambda v: {Colour.RED: v.max()},
    "exception": lambda v: Failure(v.max(), [v.min()]),
    "stop": lambda v: [StopIteration(v.max()), KeyError((v.min(),))],
    "slice": lambda v: slice(v.argmin(), v.argmax()),
    "objects": lambda v: objects(v.min(), [v.max()], v * 2, (v.min(), 1)),
    "objects of two axes": lambda v: objects(v.min(), v[:3], v.max(), None, shape=(2, 2)).T,
    "object without axes": lambda v: objects(v * 2, shape=()),
    "read-only objects": lambda v: read_only(objects(v.min(), [v.max()])),
    "objects inside": lambda v: {"a": objects(objects(v.min(), shape=()), read_only(objects(v.max())))},
    "record": record,
    "masked": lambda v: np.ma.masked_array(v, v > 0),
    "masked formula": lambda v: np.ma.masked_less(v * 2, 3),
    "masked objects": masked_objects,
    "array of a class": lambda v: with_unit(v, "km"),
    "array of a class with ours": lambda v: with_unit(np.zeros(3), v.max()),
    "series": lambda v: pd.Series([v.min(), v.max()], name="n"),
    "series of elements": lambda v: pd.Series(v * 2),
    "series of itself": lambda v: pd.Series(v),
    "series of arrays": lambda v: pd.Series([v[:3] * 2, (v.min(),), v.max()]),
    "series of integers": lambda v: pd.Series([v.argmin(), v.size]),
    "index of a series": lambda v: pd.Series([1, v.sum()], index=[v.min(), v.max()], name=v.max()),
    "series of a class": metres,
    "categories": categories,
    "index": lambda v: pd.Index([v.min(), v.max()], name=v.max()),
    "name of an index": lambda v: pd.Index([1, 2], name=(v.max(), 1)),
    "levels": levels,
    "columns": lambda v: pd.DataFrame([[1, 2]], columns=[v.min(), v.max()], index=[v.max()]),
    "table": mixed_table,
    "table of elements": lambda v: pd.DataFrame({"a": v, "b": v * 2}),
    "table of one column": lambda v: pd.DataFrame(v * 2),
    "attributes of a table": attributes_of_a_table,
    "tables inside": lambda v: [{"t": (pd.Series([v.min()]), pd.Series([v.min()]))}],
    "circle": circle,
    "circle of attributes": of_attributes,
    "class of an array": lambda v: [type(v), type(v * 2)],
    "values of two": lambda v: (y := v.max(), [y, y], {y}),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_returned_is_plain_and_what_the_call_gives(name: str) -> None:
    assert_plain(RETURNED[name])


# ---- what gives values later ----


def closure(v: Array) -> Any:
    mean, items = v.mean(), (v.max(), [v.min()])
    return lambda: (mean, items, v[:2])


def closure_of_closures(v: Array) -> Any:
    low = v.min()

    def inner(high: Any = v.max(), *, at: Any = (v.sum(),)) -> Any:
        return low, high, at

    inner.note = v.min()  # type: ignore[attr-defined]
    return functools.wraps(inner)(lambda: [inner(), inner.note])


def generator(v: Array) -> Any:
    mean = v.mean()
    yield mean
    yield from (mean + 1, v[:3])


def nested_generator(v: Array) -> Any:
    low = (v.min(), 1)
    return (item for item in low)


def default(v: Array) -> Any:
    low = v.min()
    made: Any = collections.defaultdict(lambda: low)
    return lambda: made["new"]


LATER: dict[str, Callable[[Any], Any]] = {
    "closure": closure,
    "closure of closures": closure_of_closures,
    "default of a dict": default,
    "partial": lambda v: functools.partial(lambda *args, **more: (args, more), v.min(), [v.max()], at=(v.sum(),)),
    "method": lambda v: Pair(v.min(), v.max())._asdict,
    "builtin method": lambda v: (v.min(), v.max()).__iter__,
    "method of the array": lambda v: v.mean,
    "method of a list": lambda v: [v.min(), v.max()].copy,
    "getter": lambda v: functools.partial(operator.itemgetter(0), [v.min()]),
    "generator": generator,
    "generator of a tuple": nested_generator,
    "map": lambda v: map(functools.partial(np.multiply, v[:3]), range(3)),
    "map of ours": lambda v: map(np.negative, (v.min(), v.max())),
    "zip": lambda v: zip([v.min()], (v.max(),)),
    "filter": lambda v: filter(None, [v.min(), v.max()]),
    "enumerate": lambda v: enumerate((v.min(), v.max())),
    "iterator": lambda v: iter([v.min(), v.max()]),
    "iterator of a tuple": lambda v: iter((v.min(), v.max())),
    "chain": lambda v: itertools.chain([v.min()], (v.max(),)),
    "keys": lambda v: {v.min(): 1}.keys(),
    "values": lambda v: {1: v.min()}.values(),
    "items": lambda v: {1: (v.min(), [v.max()])}.items(),
    "proxy": lambda v: types.MappingProxyType({"a": v.max(), "b": (v.min(), v[:3] * 2)}),
}


def given(later: Any) -> Any:
    """What it gives when it is asked."""
    if callable(later):
        later = later()
    return list(later.items()) if isinstance(later, types.MappingProxyType) else _listed(later)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, collections.abc.Iterator | collections.abc.MappingView) else value


@pytest.mark.parametrize("name", LATER)
def test_what_comes_later_is_plain_too(name: str) -> None:
    want = given(called(LATER[name], X))
    got = given(ff.run(X, {"it": LATER[name]})["it"])
    assert ours_in(got) == []
    assert_alike(got, want)


def test_what_leads_to_nothing_of_ours_is_left_as_it_is() -> None:
    lone = (item for item in [1])
    kept = [lone, zip([1], [2]), (1, [2]), Ends(1, 2), Named([3], "m"), read_only(objects(1, 2)), pd.Series(["a", 1])]
    kept += [slice(1, 2), functools.partial(len, [1]), [].append, iter((1, 2)), frozenset([1]), Colour.RED, lambda: 1]
    got, _ = ff.run(X, {"it": lambda v: (list(kept), v.max())})["it"]
    assert all(ours is theirs for ours, theirs in zip(got, kept, strict=True))


def test_two_places_of_one_object_hold_one_object() -> None:
    def shared(v: Array) -> Any:
        pair, array, series = (v.min(), [v.max()]), v * 2, pd.Series([v.min(), "a"])
        return [pair, {"pair": pair}, array, (array,), series, Sealed(series), [pair][0]]

    pair, inside, array, (again,), series, sealed, last = ff.run(X, {"it": shared})["it"]
    assert pair is inside["pair"] is last
    assert array is again
    assert series is sealed.value


# ---- deep structures ----


class Linked:
    def __init__(self, value: Any, rest: Any) -> None:
        self.value, self.rest = value, rest


class Chain:
    __slots__ = ("rest", "value")

    def __init__(self, value: Any, rest: Any) -> None:
        self.value, self.rest = value, rest


DEEP: dict[str, Callable[[Any, Any], Any]] = {
    "objects": Linked,
    "slots": Chain,
    "tuples": lambda value, rest: (value, rest),
    "lists": lambda value, rest: [value, rest],
    "dicts": lambda value, rest: {"value": value, "rest": rest},
    "keys": lambda value, rest: {"value": value, "rest": Sealed((rest,))},
    "named tuples": Pair,
    "dataclasses": Sealed,
    "arrays": lambda value, rest: objects(value, rest),
    "alternating": lambda value, rest: ({"of": Linked([value], (rest,))},),
    "partials": lambda value, rest: functools.partial(len, value, rest),
    "closures": lambda value, rest: lambda: (value, rest),
    "causes": lambda value, rest: Failure(value, rest),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_structures_are_plain_and_sink_nobody(name: str) -> None:
    # NumPy itself does not survive the end of arrays in arrays that go deeper.
    node, depth = DEEP[name], 1_500 if name == "arrays" else 5_000

    def deep(v: Array) -> Any:
        made = node(v.max(), None)
        for number in range(depth):
            made = node(number, made)
        return node(v.min(), made)

    r = ff.run(X, {"deep": deep, "max": "max", "mean": lambda v: v.mean()}, on_error="return", workers=2)
    assert r.errors == {}
    assert ours_in(r["deep"]) == []


def test_a_result_that_cannot_be_made_plain_is_its_functions_failure() -> None:
    class Refuses(Exception):
        pass

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            if name == "__dictoffset__":
                raise Refuses("no")
            return super().__getattribute__(name)

    class Closed(metaclass=Meta):
        pass

    for workers in (1, 2):
        functions = {"bad": lambda v: (v.mean(), Closed()), "good": lambda v: v.max(), "max": "max"}
        r = ff.run(X, functions, on_error="return", workers=workers)
        assert list(r.errors) == ["bad"]
        assert type(r["bad"]) is Refuses
        assert (r["good"], r["max"]) == (X.max(), X.max())


# ---- what a function stored before it failed ----


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [ValueError, RecursionError, MemoryError, Exception])
def test_what_a_function_stored_before_it_failed_is_of_use(workers: int, error: type[Exception]) -> None:
    kept: list[Any] = []

    def fails(v: Array) -> Any:
        y = v * 2
        kept.append([v.mean(), y, y[1:], v, np.sort(v), v[v > 0], (v > 0).sum()])
        raise error("no")

    r = ff.run(X, {"fails": fails, "max": lambda v: v.max()}, workers=workers, on_error="return")
    assert type(r["fails"]) is error
    # It is called twice: with a traced array, and with a plain one.
    want = [X.mean(), X * 2, X[1:] * 2, X, np.sort(X), X[X > 0], (X > 0).sum()]
    for stored in kept:
        for ours, theirs in zip(stored, want, strict=True):
            np.testing.assert_array_equal(np.asarray(ours), theirs)
            assert float(np.max(ours + 1)) == np.max(theirs) + 1
    y, part = kept[0][1:3]
    y[5] = 77
    assert part[4] == 77


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_stored_takes_the_passes_of_what_is_returned(workers: int) -> None:
    kept: list[Any] = []

    def returns(v: Array) -> Any:
        return [v.min(), v.max(), np.abs(v).sum(), np.square(v).max(), (v > 1).sum()]

    stored = ff.run(X, {"stores": lambda v: kept.extend(returns(v))}, workers=workers).report
    assert stored.passes == ff.run(X, returns, workers=workers).report.passes == 1
    assert [float(each) for each in kept] == returns(X)


def test_what_a_function_stored_that_fails_with_a_traced_array_alone_is_of_use() -> None:
    kept: list[Any] = []

    def picky(v: Array) -> Any:
        y = v.max()
        kept.append(y)
        if type(y) is not np.float64:
            raise TypeError("that is no number")
        return y

    r = ff.run(X, picky)
    assert (r["picky"], r.report.how["picky"]) == (X.max(), "plain")
    assert [float(each) for each in kept] == [X.max()] * 2


def test_what_was_stored_and_returned_is_of_use_although_the_result_fails() -> None:
    kept: list[Any] = []

    def empty(v: Array) -> Any:
        kept.append((v.min(), v * 2))
        return [*kept[-1], v[v > 1e9].max()]

    r = ff.run(X, {"empty": empty, "max": "max"}, on_error="return")
    assert type(r["empty"]) is ValueError
    for low, twice in kept:
        assert float(low) == X.min()
        np.testing.assert_array_equal(np.asarray(twice), X * 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_stopped_run_did_not_come_to_is_told(workers: int) -> None:
    kept: list[Any] = []

    class Stop(BaseException):
        pass

    def stops(v: Array) -> Any:
        kept.extend([v.sum(), v * 2])
        raise Stop

    with pytest.raises(Stop):
        ff.run(X, {"stops": stops, "max": lambda v: v.max()}, workers=workers)
    for value in kept:
        with pytest.raises(
            RuntimeError, match=r"the run was stopped before this value was computed: keep float\(value\)"
        ):
            np.asarray(value + 1)


# ---- weak references ----


@pytest.mark.parametrize(
    "thing", [lambda: ff.plan("mean"), lambda: ff.std(ddof=1), lambda: ff.Pool(2), lambda: ff.run(X, "max")]
)
def test_what_is_ours_is_referred_to_weakly(thing: Callable[[], Any]) -> None:
    made, cache = thing(), weakref.WeakValueDictionary[str, Any]()
    cache["it"] = made
    reference = weakref.ref(made)
    assert reference() is made is cache["it"]
    del made
    assert reference() is None
    assert "it" not in cache


def test_caches_are_keyed_weakly_by_plans_and_kernels() -> None:
    plan, kernel, pool = ff.plan("mean"), ff.std(ddof=1), ff.Pool(2)
    cache = weakref.WeakKeyDictionary[Any, int]({plan: 1, kernel: 2, pool: 3, ff.std: 4})
    assert (cache[plan], cache[ff.std(ddof=1)], cache[pool], cache[ff.std]) == (1, 2, 3, 4)
    assert pickle.loads(pickle.dumps(plan)).run(X)["mean"] == X.mean()
    assert copy.copy(kernel) == kernel
