"""Plain values of what a traced function returns, however deep inside."""

import collections
import dataclasses
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fanfold.tracing.arrays import Deferred, Traced
from fanfold.tracing.numbers import DeferredNumber

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.ndarray)


def deferred_in(value: Any) -> list[Deferred]:
    """Every deferred value in a result."""
    found: dict[int, Deferred] = {}

    def keep(each: Any) -> Any:
        if issubclass(type(each), Deferred):
            found[id(each)] = each
        return each

    _walked(value, keep, {})
    return list(found.values())


def plain(value: Any) -> Any:
    """The result with real values in place of traced and deferred ones."""
    return _walked(value, _real, {})


def _real(value: Any) -> Any:
    if type(value) is Traced:
        return value.view(np.ndarray)
    if issubclass(type(value), Deferred):
        return value._realise("the result")
    if isinstance(value, types.GeneratorType):
        return _generated(value)
    if isinstance(value, np.ma.MaskedArray):
        return _masked(value)
    return value


def _masked(value: Any) -> Any:
    """A masked array with plain data and mask: it remembers both as it got them."""
    remembered = vars(value)
    if issubclass(remembered["_baseclass"], (Traced, Deferred)):
        remembered["_baseclass"] = np.ndarray
    remembered["_mask"] = plain(remembered["_mask"])
    return value


def _generated(values: Iterator[Any]) -> Iterator[Any]:
    for value in values:
        yield plain(value)


def _walked(value: Any, change: Callable[[Any], Any], seen: dict[int, Any]) -> Any:
    """The value with every leaf changed; the same object if nothing in it was."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if id(value) in seen:
        return seen[id(value)]
    if issubclass(kind, (Traced, Deferred)):
        return change(value)
    if isinstance(value, dict):
        seen[id(value)] = value
        if any(issubclass(type(key), DeferredNumber) for key in value):
            entries = [(_walked(key, change, seen), each) for key, each in value.items()]
            value.clear()
            value.update(entries)
        for key, each in list(value.items()):
            walked = _walked(each, change, seen)
            if walked is not each:
                value[key] = walked
        return value
    if isinstance(value, list):
        seen[id(value)] = value
        for index, each in enumerate(value):
            walked = _walked(each, change, seen)
            if walked is not each:
                value[index] = walked
        return value
    if isinstance(value, tuple):
        walked = [_walked(each, change, seen) for each in value]
        if all(new is old for new, old in zip(walked, value, strict=True)):
            return value
        return kind(*walked) if hasattr(kind, "_fields") else kind(walked)
    if isinstance(value, set | frozenset):
        return kind(_walked(each, change, seen) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        seen[id(value)] = value
        for field in dataclasses.fields(value):
            each = getattr(value, field.name, None)
            walked = _walked(each, change, seen)
            if walked is not each:
                object.__setattr__(value, field.name, walked)
        return value
    if isinstance(value, collections.deque):
        walked = [_walked(each, change, seen) for each in value]
        return value if all(new is old for new, old in zip(walked, value)) else kind(walked, value.maxlen)
    if kind.__module__.partition(".")[0] == "pandas":
        return _of_pandas(value, change)
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict) and not isinstance(value, _NO_CONTAINERS):
        # A user's object, or a namespace.
        seen[id(value)] = value
        for name, each in list(attributes.items()):
            walked = _walked(each, change, seen)
            if walked is not each:
                attributes[name] = walked
    return change(value)


_NO_CONTAINERS: tuple[type, ...] = (type, types.ModuleType, types.FunctionType, types.GeneratorType, np.ndarray)
"""What has attributes, but is not made to hold results in them."""


def _of_pandas(value: Any, change: Callable[[Any], Any]) -> Any:
    """A table or a column with plain values: pandas did not know our numbers, and now finds out what they hold."""
    columns = [value] if value.ndim == 1 else [value.iloc[:, place] for place in range(value.shape[1])]
    objects = [column for column in columns if column.dtype == object]
    changed = {id(column): column.map(lambda each: _walked(each, change, {})) for column in objects}
    if all(new is old for column in objects for new, old in zip(changed[id(column)], column)):
        return value
    if value.ndim == 1:
        return changed[id(value)].infer_objects()
    for place, column in enumerate(columns):
        if id(column) in changed:
            value.isetitem(place, changed[id(column)].infer_objects())
    return value
