"""Recognised functions inside users' functions: ``lambda v: stats.skew(v) / stats.iqr(v)``.

SciPy's functions do not dispatch on their arguments, and nothing global may be touched. A user's function is therefore
called through a copy of it with the same code, in a copy of its globals in which the names that it calls stand for the
recognised functions. The stand-ins answer traced values and call the real functions for all others. Helpers that the
function calls by name, or as an attribute of their module, are copied in the same way.

It is certain only where a stand-in is called and never seen: `_Calls` reads the bytecode and finds the names that are
loaded for nothing but calls. A stand-in is met only while the name has the value that it stands for.
"""

import dis
import functools
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from fanfold.tracing.recognised import ADDRESSES, is_of_scipy, recognised

Function = Callable[..., Any]
Chain = tuple[str, ...]

_NOT_USERS = frozenset((
    *("numpy", "scipy", "pandas", "numba", "sklearn", "statsmodels", "xarray", "dask", "torch", "jax"),
    *("fanfold", "builtins", "warnings", "functools", "inspect", "math", "statistics"),
))  # fmt: skip
"""The packages whose functions are not copied: they are not written for one call with one array."""

_FRAMES = frozenset((
    *("globals", "locals", "vars", "dir", "eval", "exec", "compile", "super", "__import__", "inspect", "sys", "gc"),
    *("_getframe", "currentframe", "f_globals", "__globals__", "__code__"),
))  # fmt: skip
"""Names by which a function could see the copy."""

MOST_HELPERS = 64
"""The functions that are copied for one call. Behind more of them is a library, and copies would cost more than they
save."""

_FLAGS = 0x20 | 0x80 | 0x100 | 0x200
"""Generators and coroutines go on after the call."""


class Rebound:
    """A function as it is called with a traced array."""

    __slots__ = ("_copies", "function", "is_copy")

    def __init__(self, function: Function) -> None:
        self._copies: _Copies | None = None
        made = self._of(function)
        self.function = function if made is None else made
        self.is_copy = made is not None
        """Whether another object than the function itself is called."""

    def end(self) -> bool:
        """Ends the call. Returns whether a name of an enclosing function has changed meanwhile."""
        return self._copies is not None and self._copies.end()

    def _of(self, function: Any) -> Any:
        """What is called in place of a function; None if it is the function itself."""
        found = recognised(function)
        if found is not None:
            return found
        kind = type(function)
        if kind is types.FunctionType:
            if _may_call(function) and _is_users(function):
                copies = _Copies(function)
                if copies.made is not None:
                    self._copies = copies
                    return copies.made
        elif kind is functools.partial:
            inner = self._of(function.func)
            return None if inner is None else functools.partial(inner, *function.args, **function.keywords)
        elif kind is types.MethodType:
            inner = self._of(function.__func__)
            return None if inner is None else types.MethodType(inner, function.__self__)
        return None


# ---- copies ----


class _Part:
    """A function that is called: what its code does with names, and the functions that it calls by them."""

    __slots__ = ("calls", "copy", "helpers", "is_direct")

    def __init__(self, function: types.FunctionType) -> None:
        self.copy: types.FunctionType | None = None
        self.calls = _calls_of(function.__code__)
        self.helpers: set[types.FunctionType] = set()
        self.is_direct = False
        """Whether it calls something recognised itself."""
        for value in () if self.calls is None else _called(function, self.calls):
            if type(value) is types.FunctionType and _is_users(value):
                self.helpers.add(value)
            elif recognised(value) is not None:
                self.is_direct = True


class _Copies:
    """The copies of a function and of the helpers that it calls."""

    def __init__(self, function: types.FunctionType) -> None:
        # The names of enclosing functions for which something stands in.
        self._seen: list[tuple[types.CellType, Any]] = []
        self._parts: dict[types.FunctionType, _Part] = {}
        queue = [function]
        while queue and len(self._parts) <= MOST_HELPERS:
            each = queue.pop()
            if each not in self._parts:
                part = self._parts[each] = _Part(each)
                queue.extend(part.helpers)
        # Those that call something recognised, if only through helpers.
        needed: set[types.FunctionType] = set()
        more = set() if queue else {each for each, part in self._parts.items() if part.is_direct}
        while more:
            needed |= more
            more = {each for each, part in self._parts.items() if not needed.isdisjoint(part.helpers)} - needed
        self._parts = {each: part for each, part in self._parts.items() if each in needed} if function in needed else {}
        for each, part in self._parts.items():
            part.copy = _bare(each, part.calls)
        for each, part in self._parts.items():
            self._fill(each, part)
        self.made = self._parts[function].copy if function in self._parts else None
        """The copy of the function; None if neither it nor a helper calls something recognised."""

    def _fill(self, function: types.FunctionType, part: _Part) -> None:
        """Puts what stands for names, and the copies of helpers, in their places."""
        copy: Any = part.copy
        free = function.__code__.co_freevars
        for name, new in () if part.calls is None else _standing_in(function, part.calls, self._stands_for):
            if name in free:
                cell = _cell(function, name)
                copy.__closure__[free.index(name)].cell_contents = new
                self._seen.append((cell, cell.cell_contents))
            else:
                copy.__globals__.stand_ins[name] = (function.__globals__[name], new)

    def _stands_for(self, value: Any) -> Any:
        """What stands for a function that is called; None if it is called itself."""
        part = self._parts.get(value) if type(value) is types.FunctionType else None
        return recognised(value) if part is None else part.copy

    def end(self) -> bool:
        """Ends the call. Returns whether a name of an enclosing function has changed meanwhile."""
        for function, part in self._parts.items():
            registry = part.copy.__globals__[_REGISTRY] if part.copy is not None else None
            if registry:
                # Python would have put it there itself.
                function.__globals__.setdefault(_REGISTRY, registry)
        return any(_content(cell) is not value for cell, value in self._seen)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _NOTHING


class _Globals(dict[str, Any]):
    """The globals of a copy: the function's own, as they are at each moment, with stand-ins for some values.

    Python looks names up by this method, because it is not a plain dict. Code that reads a frame's globals finds the
    items, which are those at the beginning of the call.
    """

    __slots__ = ("of", "stand_ins")

    def __init__(self, of: dict[str, Any]) -> None:
        super().__init__(of)
        self.setdefault(_REGISTRY, {})
        self.of = of
        self.stand_ins: dict[str, tuple[Any, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        if name == _REGISTRY:
            return super().__getitem__(name)
        value = self.of[name]
        found = self.stand_ins.get(name)
        return found[1] if found is not None and found[0] is value else value


class _Module:
    """A module whose functions are called: its attributes as they are at each moment, with stand-ins for some."""

    __slots__ = ("_of", "_stand_ins")

    def __init__(self, of: types.ModuleType, stand_ins: dict[str, tuple[Any, Any]]) -> None:
        self._of = of
        self._stand_ins = stand_ins

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._of, name)
        found = self._stand_ins.get(name)
        return found[1] if found is not None and found[0] is value else value


_REGISTRY = "__warningregistry__"


def _bare(function: types.FunctionType, calls: "_Calls | None") -> types.FunctionType:
    """A copy of a function with its own globals, and with its own cells for the names that something may stand for."""
    cells = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        cells.append(types.CellType() if calls is not None and name in calls.called | calls.modules.keys() else cell)
        if cells[-1] is not cell:
            with suppress(ValueError):
                cells[-1].cell_contents = cell.cell_contents
    scope = _Globals(function.__globals__)
    made = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, tuple(cells) if cells else None
    )
    made.__dict__ = function.__dict__
    for name in _CARRIED:
        if hasattr(function, name):
            setattr(made, name, getattr(function, name))
    return made


_CARRIED = (
    *("__kwdefaults__", "__module__", "__qualname__", "__doc__", "__type_params__"),
    # Since 3.14 annotations are evaluated when they are read.
    "__annotate__" if sys.version_info >= (3, 14) else "__annotations__",
)


def _may_call(function: types.FunctionType) -> bool:
    """Whether a function may call something recognised, by a glance at its names and at its helpers'."""
    found = _functions_in(function)
    if not found:
        return found is None
    seen, queue = {function}, found
    while queue:
        value = queue.pop()
        if recognised(value) is not None:
            return True
        if value not in seen and _is_users(value):
            seen.add(value)
            found = _functions_in(value)
            if found is None:
                return True
            queue += found
    return False


def _functions_in(function: types.FunctionType) -> list[types.FunctionType] | None:
    """The functions behind the names of a function; None if it may call something recognised itself."""
    code = function.__code__
    if not _NAMES.isdisjoint(code.co_names) or types.CodeType in map(type, code.co_consts):
        return None
    found = []
    for name in (*code.co_names, *code.co_freevars):
        value = _value_of(function, name)
        if is_of_scipy(value):
            return None
        if type(value) is types.FunctionType:
            found.append(value)
        elif type(value) is types.ModuleType and value.__name__.partition(".")[0] not in _NOT_USERS:
            inside = (getattr(value, each, None) for each in code.co_names)
            found += [each for each in inside if type(each) is types.FunctionType]
    return found


_NAMES = frozenset(name for _, name in ADDRESSES)


def _is_users(function: types.FunctionType) -> bool:
    module = function.__globals__.get("__name__")
    return not isinstance(module, str) or module.partition(".")[0] not in _NOT_USERS


def _cell(function: types.FunctionType, name: str) -> types.CellType:
    return (function.__closure__ or ())[function.__code__.co_freevars.index(name)]


_NOTHING = object()


def _value_of(function: types.FunctionType, name: str) -> Any:
    """The value of a global or of a name of an enclosing function."""
    if name in function.__code__.co_freevars:
        try:
            return _cell(function, name).cell_contents
        except ValueError:
            return _NOTHING
    return function.__globals__.get(name, _NOTHING)


def _called(function: types.FunctionType, calls: "_Calls") -> Iterator[Any]:
    """What a function calls by a name, or by the attribute of a module."""
    for name in calls.called:
        yield _value_of(function, name)
    for name, chains in calls.modules.items():
        value = _value_of(function, name)
        if type(value) is types.ModuleType:
            for chain, only_called in chains:
                if only_called:
                    yield _attribute(value, chain)


def _attribute(of: Any, chain: Chain) -> Any:
    for name in chain:
        of = getattr(of, name, _NOTHING)
    return of


def _standing_in(
    function: types.FunctionType, calls: "_Calls", stands_for: Callable[[Any], Any]
) -> Iterator[tuple[str, Any]]:
    """The names for which something stands in, and what it is."""
    for name in calls.called:
        found = stands_for(_value_of(function, name))
        if found is not None:
            yield name, found
    for name, chains in calls.modules.items():
        value = _value_of(function, name)
        if type(value) is types.ModuleType:
            namespace = _namespace(value, chains, stands_for)
            if namespace is not None:
                yield name, namespace


def _namespace(
    module: types.ModuleType, chains: "Iterable[tuple[Chain, bool]]", stands_for: Callable[[Any], Any]
) -> _Module | None:
    """The attributes of a module that a function uses, with stand-ins for what it only calls.

    None if nothing stands in, or if the module itself would be seen.
    """
    ways: dict[str, list[tuple[Chain, bool]]] = {}
    for (first, *rest), only_called in chains:
        ways.setdefault(first, []).append((tuple(rest), only_called))
    stand_ins: dict[str, tuple[Any, Any]] = {}
    for name, further in ways.items():
        value = getattr(module, name, _NOTHING)
        if value is _NOTHING:
            return None
        found: Any = None
        if all(not rest and only_called for rest, only_called in further):
            found = stands_for(value)
        elif type(value) is types.ModuleType and all(rest for rest, _ in further):
            found = _namespace(value, further, stands_for)
        if found is not None:
            stand_ins[name] = (value, found)
    return _Module(module, stand_ins) if stand_ins else None


# ---- what the code calls ----


class _Calls(NamedTuple):
    """What a function's code does with the names of its globals and of its enclosing functions."""

    called: frozenset[str]
    """The names that it loads for nothing but calls."""
    modules: dict[str, tuple[tuple[Chain, bool], ...]]
    """For the names that it loads only for attributes: the attributes, and whether all they are for is to be called."""


_CACHE: "weakref.WeakKeyDictionary[types.CodeType, _Calls | None]" = weakref.WeakKeyDictionary()


def _calls_of(code: types.CodeType) -> _Calls | None:
    """What the code calls; None if a copy of its function could be told from the function."""
    if code not in _CACHE:
        _CACHE[code] = _analysed(code)
    return _CACHE[code]


def _analysed(code: types.CodeType) -> _Calls | None:
    loads: dict[str, list[tuple[Chain, bool]]] = {}
    changed: set[str] = set()
    codes = [code]
    while codes:
        each = codes.pop()
        if each.co_flags & _FLAGS or not _FRAMES.isdisjoint(each.co_names):
            return None
        for constant in each.co_consts:
            if type(constant) is types.CodeType:
                if constant.co_name not in ("<listcomp>", "<setcomp>", "<dictcomp>"):
                    # A function that is made here could outlive the call.
                    return None
                codes.append(constant)
        instructions = [one for one in dis.get_instructions(each) if one.opname not in _SILENT]
        for place, one in enumerate(instructions):
            if one.opname in ("STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME", "LOAD_NAME"):
                return None
            if one.opname in ("STORE_DEREF", "DELETE_DEREF"):
                changed.add(one.argval)
            elif one.opname == "LOAD_GLOBAL" or (one.opname == "LOAD_DEREF" and one.argval in code.co_freevars):
                chain, last = _chain(instructions, place)
                loads.setdefault(one.argval, []).append((chain, _is_call(instructions, last)))
    kept = {name: ways for name, ways in loads.items() if name not in changed}
    called = frozenset(name for name, ways in kept.items() if all(not chain and only for chain, only in ways))
    modules = {name: tuple(ways) for name, ways in kept.items() if all(chain for chain, _ in ways)}
    return _Calls(called, modules)


_SILENT = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "RESUME", "PRECALL", "KW_NAMES", "COPY_FREE_VARS"))


def _chain(instructions: list[dis.Instruction], place: int) -> tuple[Chain, int]:
    """The attributes that are read from a loaded name at once, and the place of the last instruction."""
    names: list[str] = []
    while place + 1 < len(instructions) and instructions[place + 1].opname in ("LOAD_ATTR", "LOAD_METHOD"):
        place += 1
        names.append(instructions[place].argval)
    return tuple(names), place


def _is_call(instructions: list[dis.Instruction], place: int) -> bool:
    """Whether the value that an instruction loads is called, and seen by nothing else.

    Follows the instructions up to the one that takes the value from the stack. Where they branch, it is not certain.
    """
    above = 1 if _NULL_COMES_LAST and _adds_null(instructions[place]) else 0
    for one in instructions[place + 1 :]:
        taken = _taken(one)
        if taken is None:
            return False
        if taken > above:
            return one.opname in _CALLS and taken == above + (1 if _NULL_COMES_LAST else 2)
        above += _effect(one, taken)
    return False


def _effect(instruction: dis.Instruction, taken: int) -> int:
    """How many values more than before are on the stack after an instruction."""
    if instruction.opname in _CALLS:
        # `dis.stack_effect` counts a part of it for an instruction before the call.
        return 1 - taken
    has_argument = instruction.opcode >= dis.HAVE_ARGUMENT
    return dis.stack_effect(instruction.opcode, instruction.arg if has_argument else None)


_NULL_COMES_LAST = sys.version_info >= (3, 13)
"""Whether a call finds its function below the marker of a plain call, or above."""

_CALLS = ("CALL", "CALL_KW", "CALL_FUNCTION_EX")


def _adds_null(instruction: dis.Instruction) -> bool:
    return instruction.opname in ("LOAD_GLOBAL", "LOAD_ATTR") and bool((instruction.arg or 0) & 1)


def _taken(instruction: dis.Instruction) -> int | None:
    """How many values an instruction takes from the stack; None if it is not certain."""
    name, argument = instruction.opname, instruction.arg or 0
    if name in _COUNTS:
        return _COUNTS[name]
    if name in _COUNTED:
        times, more = _COUNTED[name]
        return times * argument + more
    if name == "CALL_FUNCTION_EX":
        return 4 if sys.version_info >= (3, 14) else 3 + (argument & 1)
    return None


_COUNTS = {
    **dict.fromkeys(
        (
            *("LOAD_CONST", "LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_FAST_LOAD_FAST", "LOAD_GLOBAL"),
            *("LOAD_FAST_BORROW_LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_SMALL_INT", "PUSH_NULL"),
        ),
        0,
    ),
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD", "UNARY_NEGATIVE", "UNARY_NOT", "UNARY_INVERT", "GET_ITER"), 1),
    **dict.fromkeys(("LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE", "LIST_TO_TUPLE"), 1),
    **dict.fromkeys(("CALL_INTRINSIC_1", "TO_BOOL", "UNARY_POSITIVE"), 1),
    **dict.fromkeys(("BINARY_OP", "COMPARE_OP", "IS_OP", "CONTAINS_OP", "BINARY_SUBSCR"), 2),
    "BINARY_SLICE": 3,
}
_COUNTED = {
    **dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_SLICE", "BUILD_STRING"), (1, 0)),
    "BUILD_MAP": (2, 0),
    "BUILD_CONST_KEY_MAP": (1, 1),
    "CALL": (1, 2),
    "CALL_KW": (1, 3),
}
