"""Functions that fill a dict: ``f(x, out)`` gets one of its own, and what it puts there joins the results.

Nobody else sees the dict, so that no lock is needed, however many functions run at a time.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any


@dataclass
class Filled:
    """What a function put into its dict, and what it returned."""

    entries: dict[Any, Any]
    returned: Any


def wants_dict(function: Callable[..., Any]) -> bool:
    """Whether a function has two parameters that it cannot do without: the array, and a dict to fill."""
    if type(function) is FunctionType and not function.__dict__:
        # An eighth of the time that a signature takes, for what most functions are.
        code = function.__code__
        if code.co_kwonlyargcount == 0:
            count = code.co_argcount - len(function.__defaults__ or ())
            return count == _ARRAY_AND_DICT and code.co_varnames[1] not in _ARGUMENTS
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled functions need not tell
        return False
    required = [each for each in parameters if each.default is each.empty and each.kind in _POSITIONAL]
    keywords = [each for each in parameters if each.default is each.empty and each.kind is each.KEYWORD_ONLY]
    # A second parameter by the name of an argument of the run is for that.
    return len(required) == _ARRAY_AND_DICT and not keywords and required[1].name not in _ARGUMENTS


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ARRAY_AND_DICT = 2
_ARGUMENTS = ("axis", "keepdims", "where", "weights")


def filling(function: Callable[..., Any]) -> Callable[[Any], Filled]:
    """A function of the array alone."""

    @functools.wraps(function)
    def call(x: Any) -> Filled:
        entries: dict[Any, Any] = {}
        returned = function(x, entries)
        return Filled(entries, returned)

    return call


def joined(values: dict[str, Any], keys: Iterable[str]) -> tuple[dict[str, Any], dict[str, Exception]]:
    """The results with the entries of dicts in the place of the functions that filled them; and what cannot join."""
    results: dict[str, Any] = {}
    givers: dict[str, str] = {key: key for key, value in values.items() if not isinstance(value, Filled)}
    errors: dict[str, Exception] = {}
    for key in keys:
        value = values[key]
        if not isinstance(value, Filled):
            results[key] = value
            continue
        wrong = _wrong(key, value, givers)
        if wrong is not None:
            results[key], errors[key] = None, wrong
            continue
        entries = value.entries if value.returned is None else {key: value.returned, **value.entries}
        givers.update(dict.fromkeys(entries, key))
        results |= entries
    return results, errors


def _wrong(key: str, value: Filled, givers: dict[str, str]) -> Exception | None:
    """Why a function's entries cannot join, if they cannot."""
    for name in value.entries:
        if not isinstance(name, str):
            return TypeError(f"'{key}' put {name!r} into its dict: the keys of results must be strings")
        taken = givers.get(name)
        if taken is not None or (name == key and value.returned is not None):
            return ValueError(f"'{taken or key}' and '{key}' both gave a result '{name}': give one another name")
    return None
