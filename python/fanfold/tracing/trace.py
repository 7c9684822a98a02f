"""`Trace`: one function's call, what it has asked for so far, and how it comes to know values."""

import warnings
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from fanfold.tracing.formulas import Formulas, Node

MOST_FORCED = 16
"""A function that forces more often is a loop over NumPy calls, for which plain arrays are faster."""

MESSAGES = ((1, "invalid value"), (2, "divide by zero"), (4, "overflow"), (8, "underflow"))
"""NumPy's words for floating-point exceptions, by the bits of the compiled half."""

KINDS = {"invalid value": "invalid", "divide by zero": "divide", "overflow": "over", "underflow": "under"}
"""`np.errstate`'s words for the same."""


class _Made(Protocol):
    """A deferred value, to a trace."""

    _node: Node

    def _realise(self, reason: str) -> Any: ...


class Trace:
    """One function's call: what it has made, and how it comes to know values."""

    def __init__(self, formulas: Formulas, settle: Callable[[list[Node]], None], smallest: int) -> None:
        self.formulas = formulas
        self.smallest = smallest
        self.active = True
        self.used = False
        self.nodes: list[Node] = []
        self.reasons: list[str] = []
        self.forced = 0
        self.filters = warnings.filters
        self._settle = settle
        self._warnings: list[tuple[Node, str, dict[str, Any]]] = []
        # References, and no set of them: that would hash the values.
        self._made: list[weakref.ref[_Made]] = []

    def keep(self, made: _Made, node: Node) -> None:
        """Remembers a value that stands for a node."""
        self.used = True
        self.nodes.append(node)
        self._made.append(weakref.ref(made))

    def may_warn(self, node: Node, name: str, state: dict[str, Any]) -> None:
        """Remembers an operation that NumPy would warn of if it met a floating-point exception."""
        if "warn" in state.values():
            self._warnings.append((node, name, state))

    def because(self, reason: str) -> None:
        """Remembers what kept a function from being fused."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def know(self, nodes: list[Node]) -> None:
        """Returns once these are known, and raises or warns as NumPy would have."""
        if not all(node.known for node in nodes):
            self._settle(nodes)
        self.warn()
        for node in nodes:
            if not node.known:
                raise _first_error(node)
            if node.error is not None:
                raise node.error

    def force(self, node: Node, reason: str) -> Any:
        """The value of a number, or the elements of a formula, now."""
        self.because(reason)
        self.nodes.append(node)
        self.forced += 1
        if self.forced > MOST_FORCED:
            self.active = False
        wanted = node if node.is_answer else Formulas.values(node)
        self.know([wanted])
        return wanted.value

    def warn(self) -> None:
        """Warns of the exceptions that are known by now."""
        left = []
        for node, name, state in self._warnings:
            if node.id is None:
                left.append((node, name, state))
                continue
            bits = self.formulas.flags.get(node.id, 0)
            for bit, words in MESSAGES:
                if bits & bit and state[KINDS[words]] == "warn":
                    warnings.warn(f"{words} encountered in {name}", RuntimeWarning, stacklevel=2)
            if bits & 16:
                raise RuntimeError(f"{name} failed on a block")
            if not bits:
                left.append((node, name, state))
        self._warnings = left

    def end(self) -> None:
        """The run is over: nothing is deferred any more, and nothing kept."""
        self.active = False
        self._settle = _too_late
        self.nodes.clear()
        self._warnings.clear()

    def close(self, kept: "set[int]") -> None:
        """The function is over: what is still alive was kept somewhere, and is computed while it is right.

        Raises the first exception of those that cannot be computed, once the others are.
        """
        self.active = False
        alive = [made for reference in self._made if (made := reference()) is not None and id(made) not in kept]
        answers = [made._node for made in alive if made._node.is_answer and not made._node.known]
        if answers:
            # One sweep for all of them, and not one for each.
            self._settle(answers)
        wrong: Exception | None = None
        for made in alive:
            try:
                made._realise("values that are kept for later")
            except Exception as error:  # noqa: BLE001 - NumPy's own word on it
                wrong = error if wrong is None else wrong
        self._made.clear()
        try:
            if wrong is not None:
                raise wrong
        finally:
            # It leads here by its traceback: a circle would keep it, and the array.
            del wrong


def _too_late(nodes: list[Node]) -> None:
    """What was not computed while the run lasted cannot be computed any more."""


def _first_error(node: Node) -> Exception:
    stack, seen = [node], set()
    while stack:
        each = stack.pop()
        if each.error is not None:
            return each.error
        if each not in seen:
            seen.add(each)
            stack.extend(each.inputs)
    return RuntimeError("the run was stopped before it came to this value: keep float(value) to have it at once")
