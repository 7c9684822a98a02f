"""Converts what a traced function returns to plain values, at any depth.

A return value is a graph of lists, objects and their attributes, closures and tables, possibly with cycles. It is
traversed without recursion, because it may be deeper than Python's stack, and without calling methods of users'
classes. Each traced or deferred value is replaced by its plain value: mutable objects are changed in place, and
immutable ones, such as tuples, are created again with their class and attributes. Objects that hold no traced or
deferred value stay unchanged.
"""

import collections
import functools
import gc
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import Deferred, StandsIn, Traced
from fanfold.tracing.nodes import Node
from fanfold.tracing.trace import Trace

_New = Callable[[Any], Any]
"""Returns the replacement of an object, which is mostly the object itself."""


def deferred_in(value: Any) -> list[Deferred]:
    """Every deferred value in a result."""
    return [each for each in _Graph(value).ours if issubclass(type(each), Deferred)]


def plain(value: Any) -> Any:
    """The result with real values in place of traced and deferred ones."""
    graph = _Graph(value)
    if not graph.ours:
        return value
    changed = {id(each): _real(each) for each in graph.ours}

    def new(each: Any) -> Any:
        return changed.get(id(each), each)

    # First the objects that are created again, each after the objects that it holds; then their holders.
    for held in graph.fixed:
        if any(id(part) in changed for part in held.parts):
            made = held.way.put(held.value, new)
            if made is not held.value:
                changed[id(held.value)] = made
    for held in graph.mutable:
        if any(id(part) in changed for part in held.parts):
            held.way.put(new(held.value), new)
    return new(value)


class _Way(NamedTuple):
    """How objects of a kind hold other objects."""

    parts: Callable[[Any], Iterable[Any]]
    """Returns the objects that an object holds."""
    put: Callable[[Any, _New], Any]
    """Puts new parts in their places, in the object or in a new one. Returns the object to use."""
    fixed: bool = False
    """Whether the object may have to be replaced. A cycle through such an object contains one that is not fixed."""


class _Held(NamedTuple):
    """An object, and the objects that it holds in one way, except those whose type is always plain."""

    value: Any
    way: _Way
    parts: list[Any]


class _Graph:
    """The objects reachable from a value: the traced and deferred ones, and those that may hold them."""

    def __init__(self, value: Any) -> None:
        self.ours: list[Any] = []
        # Each object comes after the fixed ones that it holds.
        self.fixed: list[_Held] = []
        self.mutable: list[_Held] = []
        # The objects are kept alive, so that no other object gets their ids.
        self._seen: dict[int, Any] = {}
        self._ways = dict(_USUAL)
        queue = [value]
        while queue:
            stack = [queue.pop()]
            while stack:
                each = stack.pop()
                kind = type(each)
                if kind is _Held:
                    self.fixed.append(each)
                elif kind not in _PLAIN and id(each) not in self._seen:
                    self._seen[id(each)] = each
                    if type(kind) is StandsIn or kind in _OURS:
                        self.ours.append(each)
                    else:
                        self._open(each, kind, stack, queue)

    def _open(self, value: Any, kind: type, stack: list[Any], queue: list[Any]) -> None:
        ways = self._ways.get(kind)
        if ways is None:
            ways = self._ways[kind] = _ways(kind)
        for way in ways:
            parts = way.parts(value)
            if _PLAIN.issuperset(map(type, parts)):
                continue
            held = _Held(value, way, [part for part in parts if type(part) not in _PLAIN])
            if way.fixed:
                # The object comes up again after everything that it holds.
                stack.append(held)
                stack.extend(held.parts)
            else:
                self.mutable.append(held)
                queue.extend(held.parts)


_SCALARS = {np.dtype(code).type for code in np.typecodes["All"] if code not in "OV"}
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes} | _SCALARS)
"""Types whose objects hold no other objects."""

_OURS = frozenset({StandsIn, Trace, Node})
"""Our own types besides the stand-ins for NumPy's: the stand-ins' classes, if a function asks for one, and objects that
refer to the run."""

_GONE = object()
"""The replacement for an array's reference to its run, which a function gets if it copies the attributes of such an
array."""


def _real(value: Any) -> Any:
    kind = type(value)
    if kind is Traced:
        return value.view(np.ndarray)
    if kind is Trace or kind is Node:
        return _GONE
    return value._stands_for if kind is StandsIn else value._materialise("the result")


def _ways(kind: type) -> list[_Way]:
    """The ways in which objects of a type hold other objects."""
    if issubclass(kind, _CLOSED):
        return []
    ways = next(([way] for base, way in _BY_BASE if issubclass(kind, base)), None) or _ways_of_pandas(kind)
    if kind is types.FunctionType:
        return ways
    members = _members(kind)
    if members or kind.__dictoffset__:
        ways.append(_attributes(kind, members))
    return ways or ([_OPAQUE] if kind.__module__ in _COMPILED else [])


_CLOSED = (type, types.ModuleType, types.FrameType, types.TracebackType, types.CodeType, types.CoroutineType)
"""Types that refer to the whole program and are not meant to hold results."""


# ---- containers ----


def _sequence(base: Any, put: Callable[[Any, list[Any]], Any], fixed: bool = False) -> _Way:
    """The way of a type that holds items. Its own methods are called, not a subclass's overrides."""

    def parts(value: Any) -> list[Any]:
        return list(base.__iter__(value))

    return _Way(parts, lambda value, new: put(value, [new(each) for each in parts(value)]), fixed)


def _put_list(value: list[Any], items: list[Any]) -> Any:
    for index, (old, item) in enumerate(zip(list.__iter__(value), items, strict=False)):
        if item is not old:
            list.__setitem__(value, index, item)
    return value


def _put_set(value: set[Any], items: list[Any]) -> Any:
    set.clear(value)
    set.update(value, items)
    return value


def _put_deque(value: collections.deque[Any], items: list[Any]) -> Any:
    collections.deque.clear(value)
    collections.deque.extend(value, items)
    return value


def _put_tuple(value: tuple[Any, ...], items: list[Any]) -> Any:
    if hasattr(value, "n_sequence_fields"):
        # Tuples such as `time.struct_time` can only be created by their own class.
        made: Any = value.__reduce__()
        make, (_, others) = made
        return make(items, others)
    return _with_attributes(tuple.__new__(type(value), items), value)


def _put_frozenset(value: frozenset[Any], items: list[Any]) -> Any:
    return _with_attributes(frozenset.__new__(type(value), items), value)


def _with_attributes(made: Any, value: Any) -> Any:
    """Copies the attributes of a replaced object. Its class is not called, because the arguments are unknown."""
    kind = type(value)
    if kind.__dictoffset__:
        object.__setattr__(made, "__dict__", object.__getattribute__(value, "__dict__"))
    for member in _members(kind):
        with suppress(AttributeError):
            member.__set__(made, member.__get__(value))
    return made


def _mapping(base: Any) -> _Way:
    def put(value: Any, new: _New) -> Any:
        entries = [(key, new(key), new(each)) for key, each in list(base.items(value))]
        if any(key is not old for old, key, _ in entries):
            # The order of the keys is kept.
            base.clear(value)
        for _, key, each in entries:
            if each is _GONE:
                base.pop(value, key, None)
            else:
                base.__setitem__(value, key, each)
        return value

    return _Way(lambda value: [*base.keys(value), *base.values(value)], put)


def _cells(array: npt.NDArray[Any]) -> list[Any]:
    """The objects in an array, including those in its fields."""
    if not array.dtype.hasobject:
        return []
    if array.dtype.names is not None:
        return [cell for name in array.dtype.names for cell in _cells(array[name])]
    return list(array.flat)


def _fill(array: npt.NDArray[Any], new: _New) -> None:
    if not array.dtype.hasobject:
        return
    for name in array.dtype.names or ():
        _fill(array[name], new)
    if array.dtype.names is None:
        # With an index for each axis, and at least one, the object itself is assigned, even if it is an array.
        array = array[np.newaxis]
        for index in np.ndindex(array.shape):
            array[index] = new(array[index])


def _parts_of_array(value: npt.NDArray[Any]) -> list[Any]:
    return _cells(np.ndarray.view(value, np.ndarray)) if value.dtype.hasobject else []


def _put_array(value: npt.NDArray[Any], new: _New) -> Any:
    made = value if value.flags.writeable else value.copy()
    _fill(np.ndarray.view(made, np.ndarray), new)
    made.flags.writeable = value.flags.writeable
    return made


def _put_record(value: Any, new: _New) -> Any:
    for name in value.dtype.names:
        np.void.__setitem__(value, name, new(np.void.__getitem__(value, name)))
    return value


def _parts_of_record(value: Any) -> list[Any]:
    holds = value.dtype.names is not None and value.dtype.hasobject
    return [np.void.__getitem__(value, name) for name in value.dtype.names] if holds else []


# ---- what is called ----


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    # Our own functions work with traced and deferred values.
    if str(function.__module__).startswith("fanfold.tracing."):
        return []
    return [*(function.__closure__ or ()), function.__defaults__, function.__kwdefaults__, function.__dict__]


def _put_function(function: types.FunctionType, new: _New) -> Any:
    function.__defaults__ = new(function.__defaults__)
    return function


def _parts_of_cell(cell: types.CellType) -> list[Any]:
    with suppress(ValueError):  # it is empty
        return [cell.cell_contents]
    return []


def _put_cell(cell: types.CellType, new: _New) -> Any:
    cell.cell_contents = new(cell.cell_contents)
    return cell


def _put_method(method: Any, new: _New) -> Any:
    owner = new(method.__self__)
    if type(method) is types.MethodType and type(type(method.__self__)) is not StandsIn:
        return types.MethodType(method.__func__, owner)
    return getattr(owner, method.__name__)


def _put_partial(partial: functools.partial[Any], new: _New) -> Any:
    partial.__setstate__((new(partial.func), new(partial.args), new(partial.keywords), vars(partial)))  # type: ignore[attr-defined]
    return partial


# ---- what else Python has ----


def _put_exception(error: BaseException, new: _New) -> Any:
    error.args = new(error.args)
    return error


def _generated(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        yield plain(value)


def _put_opaque(value: Any, new: _New) -> Any:
    """The content of such an object cannot be changed, but an iterator's items are made plain as it yields them."""
    return map(plain, value) if hasattr(value, "__next__") else value


_OPAQUE = _Way(gc.get_referents, _put_opaque, fixed=True)
_COMPILED = ("builtins", "itertools", "operator", "collections", "_collections")

_BY_BASE: tuple[tuple[Any, _Way], ...] = (
    (list, _sequence(list, _put_list)),
    (tuple, _sequence(tuple, _put_tuple, fixed=True)),
    (collections.OrderedDict, _mapping(collections.OrderedDict)),
    (dict, _mapping(dict)),
    (set, _sequence(set, _put_set)),
    (frozenset, _sequence(frozenset, _put_frozenset, fixed=True)),
    (collections.deque, _sequence(collections.deque, _put_deque)),
    (np.ndarray, _Way(_parts_of_array, _put_array, fixed=True)),
    (np.void, _Way(_parts_of_record, _put_record)),
    (types.FunctionType, _Way(_parts_of_function, _put_function)),
    (types.CellType, _Way(_parts_of_cell, _put_cell)),
    (
        (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType),
        _Way(lambda method: [method.__self__], _put_method, fixed=True),
    ),
    (functools.partial, _Way(lambda partial: [partial.func, partial.args, partial.keywords], _put_partial)),
    (BaseException, _Way(lambda error: [error.args, error.__cause__, error.__context__], _put_exception)),
    (
        slice,
        _Way(
            lambda value: [value.start, value.stop, value.step],
            lambda value, new: slice(new(value.start), new(value.stop), new(value.step)),
            fixed=True,
        ),
    ),
    (types.GeneratorType, _Way(gc.get_referents, lambda value, _: _generated(value), fixed=True)),
)


# ---- attributes ----


def _members(kind: type) -> list[Any]:
    """The attributes stored in the object itself: those of `__slots__`, and of compiled base classes."""
    own = [each for base in kind.__mro__ for each in vars(base).values()]
    return [each for each in own if type(each) is types.MemberDescriptorType]


def _attributes(kind: type, members: list[Any]) -> _Way:
    has_dict, entries = bool(kind.__dictoffset__), _mapping(dict)

    def parts(value: Any) -> list[Any]:
        found = list(object.__getattribute__(value, "__dict__").values()) if has_dict else []
        for member in members:
            with suppress(AttributeError):  # it has no value
                found.append(member.__get__(value))
        return found

    def put(value: Any, new: _New) -> Any:
        if has_dict:
            entries.put(object.__getattribute__(value, "__dict__"), new)
        for member in members:
            # Compiled classes have attributes that cannot be set.
            with suppress(AttributeError, TypeError):
                member.__set__(value, new(member.__get__(value)))
        return value

    return _Way(parts, put)


# ---- pandas ----


def _ways_of_pandas(kind: type) -> list[_Way]:
    pandas = sys.modules.get("pandas")
    # While pandas is being imported, no result can contain its objects.
    if pandas is None or not hasattr(pandas, "MultiIndex"):
        return []
    if issubclass(kind, pandas.DataFrame | pandas.Series):
        return [_Way(_parts_of_table, _put_table)]
    if issubclass(kind, pandas.MultiIndex):
        return [_Way(lambda index: [*index.levels, *index.names], _put_levels, fixed=True)]
    if issubclass(kind, pandas.Index):
        return [_Way(_parts_of_index, _put_index, fixed=True)]
    if issubclass(kind, pandas.api.extensions.ExtensionArray):
        # The dtype of a categorical column or index holds its categories.
        return [_Way(lambda values: [values.dtype], lambda values, _: values)]
    return []


def _parts_of_table(table: Any) -> list[Any]:
    held = [table.index, *([table.columns] if table.ndim == 2 else [])]
    for block in table._mgr.blocks:
        # The array can be pandas' own, with attributes, or one of ours.
        held += _cells(block.values) if type(block.values) is np.ndarray else [block.values]
    return held


def _put_table(table: Any, new: _New) -> Any:
    for block in table._mgr.blocks:
        if type(block.values) is not np.ndarray:
            block.values = new(block.values)
    if table.ndim == 1:
        inferred = _inferred(table, new)
        if inferred is not None:
            table._update_inplace(sys.modules["pandas"].Series(inferred, table.index, inferred.dtype))
    else:
        for place in range(table.shape[1]):
            inferred = _inferred(table.iloc[:, place], new)
            if inferred is not None:
                table.isetitem(place, inferred)
        table.columns = new(table.columns)
    table.index = new(table.index)
    return table


def _parts_of_index(index: Any) -> list[Any]:
    return [index.name, *(_cells(index.to_numpy()) if index.dtype == object else [])]


def _put_index(index: Any, new: _New) -> Any:
    inferred, name = _inferred(index, new), new(index.name)
    return index.rename(name) if inferred is None else sys.modules["pandas"].Index(inferred, inferred.dtype, name=name)


def _put_levels(index: Any, new: _New) -> Any:
    named = index.set_names([new(name) for name in index.names])
    return named.set_levels([new(level) for level in index.levels], verify_integrity=False)


def _inferred(column: Any, new: _New) -> Any:
    """New values for a column or an index of objects, with the dtype that pandas infers from the plain values.

    None if no value is replaced.
    """
    if column.dtype != object:
        return None
    cells = column.to_numpy(copy=True)
    _fill(cells, new)
    if all(each is old for each, old in zip(cells, column, strict=True)):
        return None
    return sys.modules["pandas"].Series(cells, dtype=object).infer_objects().array


_USUAL: dict[type, list[_Way]] = {kind: _ways(kind) for kind in (list, tuple, dict, set, np.ndarray)}
"""Computed once per type: inspecting a class takes longer than converting most results."""
