"""`Trace`: one function's call, what it has asked for so far, and how it comes to know values."""

import warnings
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Computed, Node

MOST_FORCED = 16
"""A function that forces more often is a loop over NumPy calls, for which plain arrays are faster."""

MESSAGES = ((1, "invalid value"), (2, "divide by zero"), (4, "overflow"), (8, "underflow"))
"""NumPy's words for floating-point exceptions, by the bits of the compiled half."""

KINDS = {"invalid value": "invalid", "divide by zero": "divide", "overflow": "over", "underflow": "under"}
"""`np.errstate`'s words for the same."""


class InVain(BaseException):
    """Ends a function that went another way than with a plain array, past its ``except Exception``."""


class _Made(Protocol):
    """A deferred value, to a trace."""

    _node: Node

    def _materialise(self, reason: str) -> Any: ...


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
        # Of warnings, as they are when the function begins.
        self._filters = warnings.filters, list(warnings.filters)
        # The function saw something that NumPy would not have shown it: what it makes of that does not count.
        self.in_vain = False
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

    def has_its_filters(self) -> bool:
        """Whether warnings mean what they meant when the function began."""
        filters, content = self._filters
        return warnings.filters is filters and warnings.filters == content

    @staticmethod
    def filters_raise() -> bool:
        """Whether the filters make an error of some warning at least, as they are now."""
        return any(action == "error" for action, *_ in warnings.filters)

    def because(self, reason: str) -> None:
        """Remembers what kept a function from being fused."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def know(self, nodes: list[Node], at_once: bool = False) -> None:
        """Returns once these are known, and warns as NumPy would have; `at_once` if NumPy raises errors now."""
        if not all(node.known for node in nodes):
            self._settle(nodes)
        self.warn()
        for node in nodes:
            if at_once and node.error is not None:
                raise node.error
            if not node.known or node.error is not None:
                self.give_up()

    def give_up(self) -> NoReturn:
        """Ends a function that should have seen an error before: it is called again, with a plain array."""
        self.active, self.in_vain = False, True
        if self._settle is _too_late:
            raise RuntimeError("the run was stopped before it came to this value: keep float(value) to have it at once")
        raise InVain

    def force(self, node: Node, reason: str, at_once: bool = False) -> Any:
        """The value of a number, or the elements of a formula, now; `at_once` if it was asked for just now."""
        self.because(reason)
        self.nodes.append(node)
        self.forced += 1
        if self.forced > MOST_FORCED:
            self.active = False
        wanted = node if node.is_answer else Formulas.values(node)
        self.know([wanted], at_once)
        return wanted.value

    def warn(self) -> None:
        """Warns of the exceptions that are known by now."""
        if not self.has_its_filters():
            # The function has others for something else: it will be told once they are over.
            return
        left: list[tuple[Node, str, dict[str, Any]]] = []
        try:
            self._warn(left)
        except RuntimeWarning:
            # The filters make errors of warnings, and this one comes late.
            self.give_up()
        self._warnings = left

    def _warn(self, left: list[tuple[Node, str, dict[str, Any]]]) -> None:
        for node, name, state in self._warnings:
            if isinstance(node.operation, Computed):
                for told in node.operation.told if node.known else ():
                    warnings.warn(told, RuntimeWarning, stacklevel=4)
                if not node.known:
                    left.append((node, name, state))
                continue
            if node.id is None:
                left.append((node, name, state))
                continue
            bits = self.formulas.flags.get(node.id, 0)
            for bit, words in MESSAGES:
                if bits & bit and state[KINDS[words]] == "warn":
                    warnings.warn(f"{words} encountered in {name}", RuntimeWarning, stacklevel=4)
            if bits & 16:
                # The loop raised an exception, of which only the plain call can tell.
                self.give_up()
            if not bits:
                left.append((node, name, state))

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
        wrong: BaseException | None = None
        for made in alive:
            try:
                made._materialise("values that are kept for later")
            except (Exception, InVain) as error:  # noqa: BLE001 - NumPy's own word on it
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
