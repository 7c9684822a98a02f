"""Functions that fill a dict: ``f(x, out)`` gets one of its own, and what it puts there joins the results.

Nobody else sees the dict, so that no lock is needed, however many functions run at a time.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from fanfold.checks import shown
from fanfold.failures import note


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
    if _is_numpys(function):
        return False
    required = _required(function)
    if required is None or len(required) != _ARRAY_AND_DICT:
        return False
    # A second parameter by the name of an argument of the run is for that.
    if required[1].kind is required[1].KEYWORD_ONLY or required[1].name in _ARGUMENTS:
        return False
    # A decorator that gives the second argument by itself still shows it, as it shows all of what it decorates.
    return type(function) is not FunctionType or _takes_two(function)


def _takes_two(function: FunctionType) -> bool:
    try:
        inspect.signature(function, follow_wrapped=False).bind(None, None)
    except TypeError:
        return False
    return True


_ARRAY_AND_DICT = 2
_ARGUMENTS = ("axis", "keepdims", "where", "weights")


def _is_numpys(function: Callable[..., Any]) -> bool:
    """Whether a function is one of NumPy's, or a ufunc of anybody's: none of them knows what to do with a dict.

    Most of them would raise, but ``np.array_equal`` and ``np.equal`` would answer that nothing equals it.
    """
    return _inputs(function) is not None or str(getattr(function, "__module__", "")).partition(".")[0] == "numpy"


def _inputs(function: Callable[..., Any]) -> int | None:
    """How many arrays a ufunc takes; None of what is no ufunc. Numba's are of classes of their own."""
    inputs = getattr(function, "nin", None)
    return inputs if type(inputs) is int else None


def _required(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters that a function cannot do without, or None if it does not tell, as compiled ones need not."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [each for each in parameters if each.default is each.empty and each.kind not in variadic]
    # Numba's gufuncs show the arrays that they fill as parameters.
    return required[: _inputs(function)]


def filling(function: Callable[..., Any]) -> Callable[[Any], Filled]:
    """A function of the array alone."""

    @functools.wraps(function)
    def call(x: Any) -> Filled:
        entries: dict[Any, Any] = {}
        try:
            returned = function(x, entries)
        except Exception as error:
            # One that has put something there wanted it.
            if not entries:
                note(error, remedy_for_dict(function))
            raise
        return Filled(entries, returned)

    return call


def tell_what_is_missing(error: Exception, function: Callable[..., Any]) -> None:
    """Says what to do on the exception of a function that was called with the array alone, and needs more.

    Python says it of its own functions, and what is given a dict instead is told about that.
    """
    # Where one of Numba's ufuncs lacks an argument, that is raised from within, and may be an AssertionError.
    if _inputs(function) is None and (not isinstance(error, TypeError) or _is_its_own(error)):
        return
    required = _required(function)
    if required is None:
        if "argument" in str(error):
            note(error, f"It was called with the array alone: {_remedy(function, [])}")
    elif len(required) == _ARRAY_AND_DICT and _is_numpys(function):
        given = "as a function of NumPy's or a ufunc is not given a dict to fill for it"
        text = f"It has a second required parameter, {shown(required[1].name)}, and {given}"
        note(error, f"{text}: {_remedy(function, required[1:])}")


def _is_its_own(error: Exception) -> bool:
    """Whether a function has raised an exception, and not the attempt to call it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__"))
    return traceback is not None and module.partition(".")[0] != __name__.partition(".")[0]


def remedy_for_dict(function: Callable[..., Any]) -> str:
    """What to do if the second parameter of a function that gets a dict to fill is something else."""
    second = (_required(function) or [])[1:]
    names = "".join(f", {shown(each.name)}," for each in second)
    given = f"It has a second required parameter{names} and is given a dict to fill for it"
    return f"{given}. If that is to be something else, {_remedy(function, second)}"


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
