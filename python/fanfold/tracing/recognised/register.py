"""The register of recognised functions: where each is found, its rule, and the elements that it is called with.

A rule computes a result from kernels' results, by a formula that is written here as in the function's documentation.
SciPy looks at its elements first: it warns if nearly equal elements cancel, or if there are too few, and raises. Where
it would do such a thing, and where rounding decides a result, the rule *doubts*: the user's function is called again,
with a plain array, and does whatever it does. A rule returns None for arguments that it does not support.
"""

import functools
import inspect
import math
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold.tracing.arrays import Deferred, Traced, deferred
from fanfold.tracing.fallback import plainly
from fanfold.tracing.nodes import Along, Doubt, Node, Selection
from fanfold.tracing.rules.registry import Rule
from fanfold.tracing.rules.statistics import over_all
from fanfold.tracing.shared import OF_SCIPY, shared
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import by_warnings, cast, computed, elements_of, float_state, kernel

Function = Callable[..., Any]

ADDRESSES: "dict[tuple[str, str], tuple[Rule, bool]]" = {}
"""The rules, by the module and the name of the function, and whether the function may return its argument."""

VERSIONS: dict[str, tuple[str, ...]] = {"scipy": ("1.17.",), "tsfresh": ("0.21.",)}
"""The releases that the rules are tested with. Functions of others are called plainly: their dtypes, their limits for
cancellation and their special cases change between releases."""

FEWEST = 50
"""For fewer elements than this, SciPy's special cases for small samples would matter."""


def recognised(function: Any) -> "Recognised | None":
    """What stands for a function in a traced call; None if it is called with the traced array itself."""
    if _TO_COME:
        _look_again()
    found = _KNOWN.get(id(function))
    if found is not None and found.function is function:
        return found
    return Unknown(function) if callable(function) and is_of_scipy(function) else None


def is_of_scipy(value: Any) -> bool:
    """Whether it is a function or a module of SciPy's."""
    # SciPy's transforms choose their implementation at each call, and are of a class of their own.
    place: Any
    if type(value) is types.ModuleType:
        place = value.__name__
    elif isinstance(value, types.FunctionType) or type(value).__name__ == "_Function":
        place = getattr(value, "__module__", None)
    else:
        return False
    return isinstance(place, str) and place.partition(".")[0] == "scipy"


_TO_COME: set[str] = set()
"""The modules that the program has not imported yet."""

_KNOWN: "dict[int, Recognised]" = {}
"""What stands for each function, by its id. It keeps the function alive."""


def _look_again() -> None:
    for module in tuple(_TO_COME):
        found = sys.modules.get(module)
        if found is None or getattr(found.__spec__, "_initializing", False):
            continue
        if _is_tested(module):
            for (place, name), (rule, keeps) in ADDRESSES.items():
                function = getattr(found, name, None) if place == module else None
                if function is not None:
                    _KNOWN[id(function)] = Recognised(function, f"{module.replace('numpy', 'np')}.{name}", rule, keeps)
        _TO_COME.discard(module)


def _is_tested(module: str) -> bool:
    package = module.partition(".")[0]
    versions = VERSIONS.get(package)
    return versions is None or str(getattr(sys.modules.get(package), "__version__", "")).startswith(versions)


def rule(module: str, *names: str, keeps: bool = False) -> Callable[[Rule], Rule]:
    """Registers the rule of a module's functions. It gets the trace, the `Recognised`, and the arguments."""

    def register(made: Rule) -> Rule:
        ADDRESSES.update({(module, name): (made, keeps) for name in names})
        _TO_COME.add(module)
        return made

    return register


class Recognised:
    """Stands for a function: it answers traced and deferred values by the rule, and calls the function for others."""

    __slots__ = ("_keeps", "_rule", "function", "name")

    def __init__(self, function: Function, name: str, rule: Rule, keeps: bool) -> None:
        self.function = function
        self.name = name
        self._rule = rule
        self._keeps = keeps

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args or not _is_ours(args[0]):
            return self.function(*args, **kwargs)
        trace: Trace | None = args[0]._trace
        if trace is not None and trace.active:
            try:
                answer = self._rule(trace, self, *args, **kwargs)
            except TypeError:  # arguments that the rule does not know
                answer = None
            if answer is not None:
                return answer
        return plainly(trace, self.function, self.name, args, kwargs, not self._keeps)


class Unknown(Recognised):
    """Stands for a function of SciPy's without a rule, and calls it with plain arrays.

    To trace its insides would gain nothing, and such functions tell an array from what `np.asarray` makes of it:
    `scipy.signal.welch` computes everything twice if they are not the same object.
    """

    __slots__ = ()

    def __init__(self, function: Function) -> None:
        name = f"{_public(function.__module__)}.{getattr(function, '__name__', '')}"
        super().__init__(function, name, _no_rule, keeps=True)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function with plain arrays."""
        trace = next((each._trace for each in (*args, *kwargs.values()) if _is_ours(each)), None)
        done = shared(trace, self.function, self.name, args, kwargs) if self.name in OF_SCIPY else None
        return plainly(trace, self.function, self.name, args, kwargs, False) if done is None else done


def _no_rule(*args: Any, **kwargs: Any) -> None:
    """The rule that supports no arguments."""


def _public(module: str) -> str:
    """The part of a module's name before its private parts."""
    return module.partition("._")[0]


def _is_ours(value: Any) -> bool:
    kind = type(value)
    return kind is Traced or issubclass(kind, Deferred)


# ---- functions of a sample ----


def of_sample(module: str, *names: str) -> Callable[[Rule], Rule]:
    """Registers a rule that gets a `Sample`, and by name those of the function's parameters that it supports."""

    def register(made: Rule) -> Rule:
        taken = frozenset(inspect.signature(made).parameters)

        @functools.wraps(made)
        def answer(trace: Trace, of: Recognised, *args: Any, **kwargs: Any) -> Any:
            found = _sample(trace, of.function, args, kwargs, taken)
            return None if found is None else made(found[0], **found[1])

        rule(module, *names)(answer)
        return made

    return register


def _sample(
    trace: Trace, function: Function, args: Any, kwargs: Any, taken: frozenset[str]
) -> "tuple[Sample, dict[str, Any]] | None":
    """The sample that a function is called with, and the arguments for its rule."""
    signature = _signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    required = tuple(bound.arguments.items())[1:]
    bound.apply_defaults()
    (_, value), *others = bound.arguments.items()
    node = elements_of(trace, value)
    if node is None or node.dtype.kind not in "fiu":
        return None
    # The filters of warnings do not matter: where SciPy would warn, the function is called again.
    if not by_warnings(float_state()) or (type(node.shape) is tuple and math.prod(node.shape) < FEWEST):
        return None
    wanted: dict[str, Any] = {}
    strict = False
    for name, given in others:
        default = signature.parameters[name].default
        if name in taken:
            if not _is_simple(given):
                return None
            wanted[name] = given
        elif name == "axis":
            flat = isinstance(node.shape, Selection) or len(node.shape) == 1
            if given is not None and not (flat and type(given) is int and over_all(node, given)):
                return None
        elif name == "nan_policy" and type(given) is str and given in ("omit", "raise"):
            strict = True
        elif given is not default and (type(given) is not type(default) or given != default):
            return None
    needed = tuple(
        (name, given) for name, given in required if signature.parameters[name].default is inspect.Parameter.empty
    )
    example = _example(function, node.dtype, needed)
    if example is None:
        return None
    sample = Sample(trace, node, example, (function, repr(wanted)), strict)
    return sample, wanted


@functools.cache
def _signature(function: Function) -> inspect.Signature:
    return inspect.signature(function)


def _is_simple(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(type(each) in _SIMPLE for each in value)
    return type(value) in _SIMPLE or callable(value)


_SIMPLE = (type(None), bool, int, float, str)


@functools.lru_cache(maxsize=1024, typed=True)
def _example(function: Function, dtype: np.dtype[Any], needed: tuple[tuple[str, Any], ...]) -> "Example | None":
    """What the function itself gives for a few elements of this dtype, and the arguments that it cannot do without.

    The elements are in the domain of every function.
    """
    if dtype == np.float16:
        # SciPy computes parts of it in float16.
        return None
    elements = np.arange(1, 2 * FEWEST).astype(dtype)
    try:
        # Some functions change the filters of warnings while they run, which threads share.
        with _ONE_EXAMPLE:
            result = function(elements, **dict(needed))
    except Exception:  # noqa: BLE001 - the real call will raise it
        return None
    parts = list(result) if isinstance(result, tuple) else [result]
    dtypes = [part.dtype for part in parts if isinstance(part, np.ndarray | np.generic)]
    floats = [each for each in dtypes if each.kind == "f"]
    found = (floats or dtypes or [np.dtype(float)])[0]
    # Some functions of short integers compute in float16 or float32.
    good = found.kind != "f" or found == np.float64 or found == dtype == np.float32
    return Example(type(result), found) if good else None


_ONE_EXAMPLE = threading.Lock()


class Example(NamedTuple):
    """The class of a function's result, and the dtype of its (first) floats."""

    kind: type
    dtype: np.dtype[Any]


class Facts(NamedTuple):
    """What a finish knows of the elements. All are finite, and the moments are those of SciPy but for rounding."""

    size: int
    low: float
    high: float
    mean: float
    variance: float


class Sample:
    """The elements that a function is called with."""

    def __init__(
        self,
        trace: Trace,
        node: Node,
        example: Example,
        key: Any,
        strict: bool,
        origin: "Sample | None" = None,
        positive: bool = False,
    ) -> None:
        self.trace = trace
        self.node = node
        self.dtype = example.dtype
        self._example = example
        self._key = key
        # Whether the function does something else for a NaN than to return NaN.
        self.is_strict = strict
        # The sample that this one is computed from, and whether its elements must be positive.
        self._origin = origin
        self._positive = positive
        self._numbers = 0

    # ---- what it consists of ----

    @property
    def count(self) -> int | None:
        """The number of elements; None if it is not known yet."""
        return None if isinstance(self.node.shape, Selection) else math.prod(self.node.shape)

    @property
    def is_flat(self) -> bool:
        """Whether it has one axis and a known number of elements."""
        return isinstance(self.node.shape, tuple) and len(self.node.shape) == 1

    @property
    def values(self) -> Any:
        """The elements as a deferred array."""
        return deferred(self.trace, self.node)

    def derived(self, values: Any, positive: bool = False) -> "Sample | None":
        """The sample of values computed from this one. `positive` says that this one's elements must be."""
        node = elements_of(self.trace, values)
        if node is None:
            return None
        return Sample(self.trace, node, self._example, self._key, self.is_strict, self, positive)

    def floats(self) -> Any:
        """The elements in the dtype that the function computes in."""
        node = cast(self.trace, self.node, self.dtype)
        return None if node is None else deferred(self.trace, node)

    def kernel(self, name: str, **parameters: Any) -> Node:
        """The node of a kernel's result."""
        dtype = self.node.dtype if name in ("min", "max") else np.dtype(float)
        return self.trace.formulas.statistic(kernel(name, **parameters), "recognised", self.node, dtype, None)

    def counted(self) -> Node:
        """The node of the number of elements that a mask selects."""
        selection: Any = self.node.shape
        key = kernel("count_nonzero"), "recognised"
        return self.trace.formulas.statistic(*key, selection.mask, np.dtype(np.int64), None)

    def own(self, name: str) -> Any:
        """The smallest or largest element, as a deferred number of the elements' own dtype."""
        return deferred(self.trace, self.kernel(name))

    def items(self, plain: Callable[[npt.NDArray[Any]], Any], dtype: Any, name: str, **parameters: Any) -> Any:
        """The array of a kernel that gives an item for each element; `plain` is what NumPy would do."""
        axes = tuple(range(len(self.node.shape)))  # type: ignore[arg-type]
        operation = Along(kernel(name, **parameters), axes, False, False)
        shape = (self.count or 0,)
        return deferred(self.trace, self.trace.formulas.along(operation, self.node, np.dtype(dtype), plain, shape))

    def now(self, *asked: Any) -> list[Any]:
        """The values of nodes and of deferred values, all computed at once. Others are known already."""
        trace = self.trace
        found = [each._node if issubclass(type(each), Deferred) else each for each in asked]
        nodes = [each for each in found if type(each) is Node]
        trace.used = True
        trace.nodes += nodes
        trace.know(nodes)
        values = [each.value if type(each) is Node else each for each in found]
        return [value[()] if isinstance(value, np.ndarray) else value for value in values]

    def result(self, *fields: Any) -> Any:
        """The result in the function's own class."""
        return self._example.kind(*fields)

    # ---- numbers ----

    def number(
        self, finish: Callable[..., Any], *nodes: Node, order: int = 0, dtype: Any = None, strict: bool = False
    ) -> Any:
        """The number that `finish` computes from `Facts` and from the values of these nodes.

        NaN if there is a NaN, about which the function is not `strict`. `order` is that of the highest moment.
        """
        facts = self._facts(order > 0)
        scalar = (np.dtype(dtype) if dtype is not None else self.dtype).type

        def compute(values: list[Any]) -> Any:
            known = self._known(values[: len(facts)], order)
            if known is None and (strict or self.is_strict):
                raise Doubt("there is a NaN")
            return scalar(np.nan) if known is None else scalar(finish(known, *values[len(facts) :]))

        return self._computed(compute, (*facts, *nodes), np.dtype(scalar), order)

    def unguarded(self, finish: Callable[..., Any], *nodes: Node, dtype: Any) -> Any:
        """The number that `finish` computes from the values of these nodes, whatever the elements are."""
        return self._computed(lambda values: finish(*values), nodes, np.dtype(dtype))

    def _computed(self, compute: Callable[[list[Any]], Any], nodes: tuple[Node, ...], *key: Any) -> Any:
        self._numbers += 1
        made = computed(self.trace, compute, (*self._key, self._numbers, *key), nodes, key[0], _IGNORE)
        return deferred(self.trace, made)

    def _facts(self, moments: bool) -> tuple[Node, ...]:
        nodes = [self.kernel("min"), self.kernel("max")]
        if self.count is None:
            nodes.append(self.counted())
        if moments:
            nodes += [self.kernel("mean"), self.kernel("moment", order=2)]
        return (*nodes, *(self._origin._facts(False) if self._origin is not None else ()))

    def _known(self, values: list[Any], order: int) -> Facts | None:
        """The facts; None if there is a NaN. Raises `Doubt`."""
        low, high, *rest = values
        count = self.count
        if count is None:
            count, *rest = rest
        mean = variance = math.nan
        if order:
            mean, variance, *rest = rest
        if self._origin is not None and self._origin._known(rest, 0) is None:
            return None
        if self._positive and not rest[0] > 0:
            raise Doubt("elements are not positive")
        if low != low:
            return None
        facts = Facts(int(count), float(low), float(high), float(mean), float(variance))
        if math.isinf(facts.low) or math.isinf(facts.high):
            raise Doubt("elements are infinite")
        if facts.size < FEWEST:
            raise Doubt("there are few elements")
        if order:
            self._refuse_cancellation(facts, order)
        return facts

    def _refuse_cancellation(self, facts: Facts, order: int) -> None:
        """Raises `Doubt` where rounding decides SciPy's moments.

        It warns if all deviations from the mean are below 10 eps of the mean; powers that leave the range of floats
        make its moments infinite or 0.
        """
        limits = np.finfo(self.dtype)
        spread = math.sqrt(facts.variance)
        if not spread > 100 * float(limits.eps) * abs(facts.mean):
            raise Doubt("elements are nearly equal")
        # No deviation is larger than this.
        largest = spread * math.sqrt(facts.size)
        powers = order * math.log(largest) + math.log(facts.size), order * math.log(spread)
        if powers[0] > math.log(float(limits.max)) or powers[1] < math.log(float(limits.tiny) / float(limits.eps)):
            raise Doubt("powers leave the range of floats")


_IGNORE = dict.fromkeys(("divide", "over", "under", "invalid"), "ignore")
