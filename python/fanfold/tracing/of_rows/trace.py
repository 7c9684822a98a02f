"""A function's trace for one row, and what the function returned."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fanfold.calling import Called
from fanfold.scheduler import standing_in
from fanfold.tracing import results
from fanfold.tracing.arrays import Deferred, DeferredArray, deferred
from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Along, Array, Fixed, Node, Selection, Transform
from fanfold.tracing.rebinding import Rebound
from fanfold.tracing.rules.quantiles import Several
from fanfold.tracing.trace import InVain, Trace


class RowTrace(Trace):
    """The trace of a function of one row. While the function runs, it ends as soon as a value is needed."""

    of_rows = True

    def __init__(self, formulas: "RowFormulas") -> None:
        super().__init__(formulas, lambda nodes: formulas.settle(nodes, 1), smallest=1)
        self.is_running = True
        self.noted: list[tuple[Node, str, dict[str, Any]]] = []
        """The operations for which NumPy warns."""

    def keep(self, made: Any, node: Node) -> None:
        """Records a deferred value. Ends the trace if it has no elements, for which NumPy may warn or raise."""
        if node.shape == (0,):
            self.because("a slice without elements")
        super().keep(made, node)

    def know(self, nodes: list[Node], at_once: bool = False) -> None:
        """Ends the trace: the function needs values now."""
        if self.is_running:
            self.because("it asked for a value")
        super().know(nodes, at_once)

    def because(self, reason: str) -> None:
        """Ends the trace for this reason."""
        super().because(reason)
        if self.is_running:
            self.give_up()

    def force(self, node: Node, reason: str | None, at_once: bool = False) -> Any:
        """Ends the trace: a value of this row would not hold for the others."""
        if self.is_running:
            self.because(reason or "a value")
        return super().force(node, reason, at_once)

    def may_warn(self, node: Node, name: str, state: dict[str, Any]) -> None:
        """Records an operation for which NumPy warns of floating-point exceptions."""
        self.noted.append((node, name, state))


class RowFormulas(Formulas):
    """The nodes of the functions of one row. Its session serves only values that functions stored elsewhere."""

    trace: RowTrace | None = None

    def along(
        self, operation: Along, of: Node, dtype: np.dtype[Any], plain: Callable[[Array], Any], shape: tuple[int, ...]
    ) -> Node:
        """Ends the trace: a kernel's array of results is no formula."""
        if self.trace is not None:
            self.trace.because(f"np.{operation.kernel.name}")
        return super().along(operation, of, dtype, plain, shape)

    def _lower(self, node: Node) -> None:
        if isinstance(node.operation, Fixed):
            node.id = self.session.source([node.operation.array])
            return
        if not isinstance(node.operation, Transform):
            super()._lower(node)
            return
        # A value that a function stored elsewhere: of the first row.
        elements = self.values(*node.inputs)
        while self.ask([elements]) and not elements.known:
            self.sweep(1)
        made = node.operation.of(node.operation.compute(elements.value[None], None))
        node.id = self.session.source([np.asarray(made[0], node.dtype)])


class Result:
    """What a traced function returned: a node or a number for each part, and how the parts make the result."""

    def __init__(self, value: Any) -> None:
        self.kind = type(value)
        self.keys: tuple[Any, ...] = ()
        if self.kind is dict:
            self.keys = tuple(value)
            parts = list(value.values())
        elif isinstance(value, tuple | list) or _is_of_objects(value):
            parts = list(value)
        else:
            self.kind, parts = Deferred, [value]
        self.parts: list[Any] = [each._node if issubclass(type(each), Deferred) else each for each in parts]
        self.left: list[Any] = [each for each in parts if issubclass(type(each), Deferred)]

    def why_not(self) -> str | None:
        """The reason why such a result cannot be made for all rows at once; None if it can."""
        for part in self.parts:
            if type(part) not in (Node, bool, int, float, complex) and not isinstance(part, np.number | np.bool_):
                return "the kind of its result"
            is_array = type(part) is Node and not part.is_number
            if is_array and (self.kind is not Deferred or isinstance(part.shape, Selection) or len(part.shape) != 1):
                return "the kind of its result"
        if self.kind is Several and len({part.dtype if type(part) is Node else None for part in self.parts}) != 1:
            return "the kind of its result"
        if self.kind not in (dict, Deferred) and (not self.parts or self.dtype() is None):
            return "the kind of its result"
        return None

    def dtype(self) -> np.dtype[Any] | None:
        """The dtype of an array of the parts; None if it holds no numbers."""
        sample = [part.dtype.type(1) if type(part) is Node else part for part in self.parts]
        dtype = np.asarray(sample).dtype
        return dtype if dtype.kind in "biufc" else None

    def holders(self) -> set[int]:
        """The ids of the deferred values in the result, and of those that they are slices of."""
        kept: set[int] = set()
        for each in self.left:
            while each is not None and id(each) not in kept:
                kept.add(id(each))
                parent = each._parent if type(each) is DeferredArray else None
                each = parent[0] if parent is not None else None
        return kept

    def is_like(self, other: "Result") -> bool:
        """Whether another call gave the same formulas and the same numbers."""
        pairs = zip(self.parts, other.parts, strict=False)
        alike = all(
            a is b if type(a) is Node else type(a) is type(b) and (a == b or (a != a and b != b)) for a, b in pairs
        )
        return alike and (self.kind, self.keys, len(self.parts)) == (other.kind, other.keys, len(other.parts))


def _is_of_objects(value: Any) -> bool:
    """Whether a result is an array of deferred numbers, as several quantiles of a row are."""
    return type(value) is Several and value.ndim == 1


class Traced:
    """A function of one sequence, and what its trace gave."""

    def __init__(self, called: Called) -> None:
        self.called = called
        self.result: Result | None = None
        """What it returns for every row; None if it has to be called for each."""
        self.noted: list[tuple[Node, str, dict[str, Any]]] = []
        """The operations for which NumPy warns."""
        self.why: str | None = None
        """Why it has to be called for each row."""
        self.error: Exception | None = None
        """What keeps its results from being computed."""

    def trace(self, formulas: RowFormulas, row: Array, is_known: bool = False) -> None:
        """Calls the function with a stand-in for a row; twice, unless its formulas are known to depend on it alone."""
        first = self._attempt(formulas, row)
        if first is None:
            return
        result, noted = first
        if not is_known:
            second = self._attempt(formulas, row)
            if second is None:
                return
            if not result.is_like(second[0]):
                self.why = "two calls gave different formulas"
                return
        self.result, self.noted = result, noted

    def _attempt(
        self, formulas: RowFormulas, row: Array
    ) -> tuple[Result, list[tuple[Node, str, dict[str, Any]]]] | None:
        trace = formulas.trace = RowTrace(formulas)
        stand_in = self._stand_in(formulas, trace, row)
        rebound = Rebound(self.called.function)
        found: Result | None = None
        why: str | None = None
        try:
            with standing_in():
                value = self.called.context.run(rebound.function, stand_in)
            found = Result(value)
            if {id(each) for each in results.deferred_in(value)} != {id(each) for each in found.left}:
                why = "the kind of its result"
            del value
        except InVain:
            why = trace.reasons[0] if trace.reasons else "it asked for a value"
        except Exception as error:  # noqa: BLE001 - a function can raise anything
            why = f"it raised {type(error).__name__}"
        del stand_in
        if rebound.end():
            why = why or "a name of an enclosing function has changed while it was called"
        trace.is_running, formulas.trace = False, None
        if trace.in_vain or trace.reasons:
            why = why or (trace.reasons[0] if trace.reasons else "it asked for a value")
        if found is not None and why is None:
            why = found.why_not()
        if why is not None:
            found = None
        kept = found.holders() if found is not None else set()
        if any(made() is not None and id(made()) not in kept for made in trace._made):
            why = why or "it stored values"
        try:
            # What it stored elsewhere is computed from the first row.
            trace.close(kept)
        except (Exception, InVain):  # noqa: BLE001 - NumPy's own exception; the calls will show it
            why = why or "it stored values"
        noted = trace.noted
        trace.end()
        if found is None or why is not None:
            self.why = why
            return None
        found.left.clear()
        return found, noted

    @staticmethod
    def _stand_in(formulas: RowFormulas, trace: RowTrace, row: Array) -> Any:
        """A deferred array for a row: a slice of another one, so that it does not get another formula in place."""
        whole: Any = deferred(trace, formulas.source(row))
        return whole[:]
