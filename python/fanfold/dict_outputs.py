"""Functions that fill a dict: ``f(x, out)`` gets its own dict, whose entries join the results.

No other function sees the dict, so no lock is needed, however many functions run at the same time.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from fanfold.checks import shown
from fanfold.failures import note


@dataclass
class Filled:
    """The entries of a function's dict, and what the function returned."""

    entries: dict[Any, Any]
    returned: Any


def wants_dict(function: Callable[..., Any]) -> bool:
    """Whether a function has exactly two required parameters: the array, and a dict to fill."""
    if type(function) is FunctionType and not function.__dict__:
        # Most functions take this path, in an eighth of the time of a signature.
        code = function.__code__
        if code.co_kwonlyargcount == 0:
            count = code.co_argcount - len(function.__defaults__ or ())
            return count == _ARRAY_AND_DICT and code.co_varnames[1] not in ARGUMENTS
    if _is_numpys(function):
        return False
    required = _required(function)
    if required is None or len(required) != _ARRAY_AND_DICT:
        return False
    # A second parameter with the name of an argument of the run is for that argument.
    if required[1].kind is required[1].KEYWORD_ONLY or required[1].name in ARGUMENTS:
        return False
    # A decorator that supplies the second argument still shows it in the signature of the function.
    return type(function) is not FunctionType or _takes_two(function)


def _takes_two(function: FunctionType) -> bool:
    try:
        inspect.signature(function, follow_wrapped=False).bind(None, None)
    except TypeError:
        return False
    return True


_ARRAY_AND_DICT = 2
ARGUMENTS = ("axis", "keepdims", "where", "weights")
"""Arguments of a run that are passed on to functions."""


def _is_numpys(function: Callable[..., Any]) -> bool:
    """Whether a function is a NumPy function or any ufunc: none of them can use a dict.

    Most of them would raise, but ``np.array_equal`` and ``np.equal`` would return that nothing equals the dict.
    """
    return _inputs(function) is not None or str(getattr(function, "__module__", "")).partition(".")[0] == "numpy"


def _inputs(function: Callable[..., Any]) -> int | None:
    """Return how many arrays a ufunc takes; None for other functions. Numba's ufuncs have their own classes."""
    inputs = getattr(function, "nin", None)
    return inputs if type(inputs) is int else None


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's required parameters; none for NumPy's functions, whose names are NumPy's."""
    if type(function) is FunctionType and not function.__dict__:
        code = function.__code__
        positional = code.co_varnames[code.co_posonlyargcount : code.co_argcount - len(function.__defaults__ or ())]
        named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        if not code.co_posonlyargcount:
            return [*positional, *(name for name in named if name not in (function.__kwdefaults__ or {}))]
    if _is_numpys(function):
        return []
    required = _required(function) or []
    return [] if any(each.kind is each.POSITIONAL_ONLY for each in required) else [each.name for each in required]


def _required(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return the required parameters of a function, or None if they are unknown, as for some compiled functions."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [each for each in parameters if each.default is each.empty and each.kind not in variadic]
    # Numba's gufuncs show the arrays that they fill as parameters, too.
    return required[: _inputs(function)]


def filling(function: Callable[..., Any]) -> Callable[[Any], Filled]:
    """Return a function that takes only the array."""

    @functools.wraps(function)
    def call(x: Any) -> Filled:
        entries: dict[Any, Any] = {}
        try:
            returned = function(x, entries)
        except Exception as error:
            # If the function has put something into the dict, it expected the dict.
            if not entries:
                note(error, remedy_for_dict(function))
            raise
        return Filled(entries, returned)

    return call


def tell_what_is_missing(error: Exception, function: Callable[..., Any]) -> None:
    """Add a remedy to the exception of a function that was called with only the array, and needs more arguments.

    Functions that get a dict have their own note.
    """
    if isinstance(getattr(function, "__self__", None), np.ndarray):
        name = getattr(function, "__name__", "f")
        note(error, f"It is the method of an array, and was called with the array as its argument: pass np.{name}")
        return
    # If a Numba ufunc lacks an argument, it raises from inside, and may raise an AssertionError.
    if _inputs(function) is None and (not isinstance(error, TypeError) or _is_its_own(error)):
        return
    required = _required(function)
    if required is None:
        if "argument" in str(error):
            note(error, f"It was called with only the array: {_remedy(function, [])}")
    elif len(required) == _ARRAY_AND_DICT and _is_numpys(function):
        given = "NumPy functions and ufuncs get no dict to fill for it"
        text = f"It has a second required parameter, {shown(required[1].name)}, but {given}"
        note(error, f"{text}: {_remedy(function, required[1:])}")
    elif required[1:] and not _is_its_own(error):
        note(error, f"It was called with only the array: {_remedy(function, required[1:])}")


def _is_its_own(error: Exception) -> bool:
    """Whether the function itself raised the exception, and not the attempt to call it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__"))
    return traceback is not None and module.partition(".")[0] != __name__.partition(".")[0]


def remedy_for_dict(function: Callable[..., Any]) -> str:
    """Return what to do if the second parameter of a function is not meant for a dict."""
    second = (_required(function) or [])[1:]
    names = "".join(f", {shown(each.name)}," for each in second)
    given = f"It has a second required parameter{names} and gets a dict to fill for it"
    return f"{given}. If that parameter is for something else, {_remedy(function, second)}"


def _remedy(function: Callable[..., Any], missing: list[inspect.Parameter]) -> str:
    name = str(getattr(function, "__name__", ""))
    name = name if name.isidentifier() else "f"
    if any(each.kind is each.POSITIONAL_ONLY for each in missing):
        values = ", ".join(each.name for each in missing)
        return (
            f"pass lambda v: {name}(v, {values}), or functools.partial({name}, ...) if the array is the last argument"
        )
    return f"pass functools.partial({name}, {', '.join(f'{each.name}=...' for each in missing) or '...'})"


def joined(values: dict[str, Any], keys: Iterable[str]) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Replace each function that filled a dict by its entries. Return the results, and the failures."""
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
    """Return why the entries of a function cannot join the results; None if they can."""
    for name in value.entries:
        if not isinstance(name, str):
            return TypeError(f"'{key}' put {name!r} into its dict: the keys of results must be strings")
        taken = givers.get(name)
        if taken is not None or (name == key and value.returned is not None):
            return ValueError(f"'{taken or key}' and '{key}' both gave a result '{name}': rename one of them")
    return None
