"""A pytest plugin under which NumPy's own tests check fanfold: what they call of NumPy goes through `ff.run`.

NumPy itself stays as it is, for it calls its own functions, and so do we: only the test modules see stand-ins for it.
``ROUTED_FORM`` says what a function gets, the array (``traced``) or a formula that equals it (``deferred``).
``ROUTED_REPORT`` names the file that tells at the end what went through.
"""

import collections
import functools
import inspect
import json
import os
import pathlib
import re
import types
from typing import Any

import numpy as np
import pytest

import fanfold as ff
from fanfold.tracing import calls as traced_calls

FORM = os.environ.get("ROUTED_FORM", "traced")

MODULES: tuple[types.ModuleType, ...] = (np, np.linalg, np._core.umath)
"""Modules whose functions are routed. Most names of the last one are those of the first."""

WRITERS = {"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"}
"""Functions that write to their argument."""

MEMORY = {"may_share_memory", "shares_memory"}
"""Functions whose answer is about the object or the memory that they are given, and not about its elements."""

VIEWS = {"reshape", "ravel", "real", "imag", "transpose", "squeeze", "diagonal", "swapaxes", "moveaxis", "atleast_1d"}
"""Functions that return a view of an array: a formula has no memory to look at."""

LEFT_OUT = re.compile(
    # These look at the ufunc objects themselves, for which there are stand-ins here.
    r"TestSpecialMethods::test_wrap$|TestSpecialMethods::test_ufunc_docstring|TestAdd_newdoc_ufunc|TestReplaceLoopBySignature"
)
"""Tests that cannot pass whatever we do."""

calls: collections.Counter[str] = collections.Counter()
"""How the routed functions were called, in the report's words."""

functions: collections.Counter[str] = collections.Counter()
"""The routed functions, by name."""

outcomes: collections.Counter[str] = collections.Counter()
failures: list[str] = []


def _writes(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call writes to what it is given: the array of a run is read-only."""
    if kwargs.get("out") is not None or kwargs.get("overwrite_input") or kwargs.get("copy") is False:
        return True
    if isinstance(function, np.ufunc):
        return len(args) > function.nin
    try:
        given = _signature(function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # a call that fails, or a function of which nothing is known
        return False
    return given.get("out") is not None or bool(given.get("overwrite_input"))


_signature = functools.lru_cache(maxsize=None)(inspect.signature)


def _deferred(v: Any) -> Any:
    """A formula that has the array's elements, where there is one."""
    if not v.ndim:
        return v
    if v.dtype.kind in "iufc":
        return np.positive(v)
    return v | False if v.dtype.kind == "b" else v


def route(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function gives, from a run over the first array that it is called with."""
    place = next((number for number, each in enumerate(args) if type(each) is np.ndarray), None)
    if place is None or args[place].dtype.kind not in "biufcmM" or _writes(function, args, kwargs):
        return function(*args, **kwargs)
    array = args[place]

    def called(v: Any) -> Any:
        # An array that stands in two places stays one array.
        given = _deferred(v) if FORM == "deferred" and function.__name__ not in VIEWS else v
        return function(*(given if each is array else each for each in args), **kwargs)

    functions[function.__name__] += 1
    try:
        ran = ff.run(array, {"r": called}, workers=1)
    except BaseException:
        calls["failed"] += 1
        raise
    calls[ran.report.how["r"]] += 1
    if _shares(ran["r"], array):
        # A view of the read-only array is read-only, and NumPy's is not.
        return function(*args, **kwargs)
    return ran["r"]


def _shares(result: Any, array: Any) -> bool:
    if isinstance(result, tuple | list):
        return any(_shares(each, array) for each in result)
    return isinstance(result, np.ndarray) and np.may_share_memory(result, array)


class Ufunc:
    """A ufunc whose calls are routed, and whose methods are."""

    def __init__(self, function: np.ufunc) -> None:
        self._function = function
        self.__wrapped__ = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    @property
    def __class__(self) -> type:
        return np.ufunc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return route(self._function, args, kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        return route(self._function.reduce, args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        return route(self._function.accumulate, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __eq__(self, other: object) -> bool:
        return self._function == getattr(other, "_function", other)

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return repr(self._function)


def _routed_function(function: Any) -> Any:
    @functools.wraps(function)
    def routed(*args: Any, **kwargs: Any) -> Any:
        return route(function, args, kwargs)

    return routed


class StandIn(types.ModuleType):
    """A module but for its routed functions."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        return STAND_INS.get(id(found), found)


def _stand_ins() -> dict[int, Any]:
    """What stands for a function or a module, by its identity."""
    found: dict[int, Any] = {}
    dispatched = type(np.sum)
    for module in MODULES:
        for name, each in vars(module).items():
            if isinstance(each, np.ufunc):
                found.setdefault(id(each), Ufunc(each))
            elif type(each) is dispatched and name not in WRITERS | MEMORY:
                found.setdefault(id(each), _routed_function(each))
        found[id(module)] = StandIn(module)
    return found


STAND_INS = _stand_ins()


def _replaced(value: Any) -> Any:
    """The same with stand-ins, in the collections that tests keep functions in too."""
    if id(value) in STAND_INS:
        return STAND_INS[id(value)]
    if type(value) in (list, tuple):
        changed = [_replaced(each) for each in value]
        return value if all(new is old for new, old in zip(changed, value)) else type(value)(changed)
    if type(value) is dict:
        return {_replaced(key): _replaced(each) for key, each in value.items()}
    return value


def _replace_in(holder: Any) -> None:
    for name, value in list(vars(holder).items()):
        if not name.startswith("__") and (changed := _replaced(value)) is not value:
            setattr(holder, name, changed)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    traced_calls.SMALLEST = 1
    seen: set[int] = set()
    for item in items:
        classes = item.cls.__mro__[:-1] if item.cls is not None else ()
        for holder in (item.module, *classes):
            if id(holder) not in seen:
                seen.add(id(holder))
                _replace_in(holder)
        params = getattr(getattr(item, "callspec", None), "params", {})
        params.update({name: _replaced(value) for name, value in params.items()})
    left_out = [item for item in items if LEFT_OUT.search(item.nodeid)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failures.append(report.nodeid)
    if report.when == "call":
        outcomes[report.outcome] += 1


def pytest_sessionfinish() -> None:
    told = {"calls": calls, "functions": functions, "outcomes": outcomes, "failures": failures}
    if path := os.environ.get("ROUTED_REPORT"):
        pathlib.Path(path).write_text(json.dumps(told))
