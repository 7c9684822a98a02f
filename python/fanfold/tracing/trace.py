"""`Trace`: one function's call, its requests so far, and how it gets values."""

import math
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Array, Computed, Doubt, Node, Selection, Source

MOST_FORCED = 16
"""A function that forces more often than this loops over NumPy calls; plain arrays are faster for it."""

MOST_FOLLOWED = 2
"""Formulas go on with so many arrays that NumPy makes for a function. Each is kept, so that NumPy cannot use its memory
again, and fresh memory takes time. A function that made ten arrays of 4 million elements took 0.15 s by hand, 0.22 s if
two were kept, and 0.28 s if four were. tsfresh's `c3`, which makes two, took 0.04 s and not 0.12 s."""

MESSAGES = ((1, "invalid value"), (2, "divide by zero"), (4, "overflow"), (8, "underflow"))
"""NumPy's texts for floating-point exceptions, by the bits of the compiled half."""

KINDS = {"invalid value": "invalid", "divide by zero": "divide", "overflow": "over", "underflow": "under"}
"""The names of the same exceptions in `np.errstate`."""


class InVain(BaseException):
    """Ends a function whose result does not count, because it saw a value that NumPy would not have given.

    Its ``except Exception`` does not catch this.
    """


class _MayWarn:
    """An operation for which NumPy may warn: the nodes of its values, and how the function handles exceptions."""

    __slots__ = ("name", "nodes", "state", "told")

    def __init__(self, node: Node, name: str, state: dict[str, Any]) -> None:
        # Slices of the values have nodes of their own.
        self.nodes = [node]
        self.name = name
        self.state = state
        # The exceptions of which the function has been warned.
        self.told = 0


class _Made(Protocol):
    """A deferred value, as a trace uses it."""

    _node: Node

    def _materialise(self, reason: str) -> Any: ...


class Trace:
    """One function's call: the values that it has created, and how it gets their elements."""

    of_rows = False
    """Whether the formulas are for many rows. Then no value is computed during the call, and what may warn or fail is
    deferred too: a row for which it does is computed by a call of its own."""

    def __init__(
        self, formulas: Formulas, settle: Callable[[list[Node]], None], smallest: int, lends: bool = True
    ) -> None:
        self.formulas = formulas
        # Whether the function gets the elements of large arrays here, or has to be called in a process for them.
        self.lends = lends
        self.smallest = smallest
        self.active = True
        self.used = False
        self.nodes: list[Node] = []
        self.reasons: list[str] = []
        self.forced = 0
        # The arrays of NumPy's and of others that formulas may go on with.
        self.followed = 0
        # The seconds that it waited for passes.
        self.waited = 0.0
        # The warning filters when the function begins.
        self._filters = warnings.filters, list(warnings.filters)
        # Whether the function saw a value that NumPy would not have returned, so that its result does not count.
        self.in_vain = False
        # Why it was then called again.
        self.why_again = "it failed with a traced array"
        self._settle = settle
        self._warnings: list[_MayWarn] = []
        # A list of references and not a set, because a set would hash the values.
        self._made: list[weakref.ref[_Made]] = []

    def follows(self, made: Array, most: int = MOST_FORCED) -> bool:
        """Whether formulas may go on with an array that was made for the function: with the first few only, because a
        function that makes many loops over NumPy's calls.
        """
        if not (self.active and self.lends) or self.of_rows or made.size < self.smallest:
            return False
        self.followed += 1
        return self.followed <= most

    items = 0
    """The single elements that the function has read, if it is of rows."""

    def keep(self, made: _Made, node: Node) -> None:
        """Records a deferred value for a node."""
        self.used = True
        self.nodes.append(node)
        self.accept(made)

    def accept(self, made: _Made) -> None:
        """Records a deferred value, whose elements are needed at the end if it is kept."""
        self._made.append(weakref.ref(made))

    def may_warn(self, node: Node, name: str, state: dict[str, Any]) -> None:
        """Records an operation for which NumPy warns of floating-point exceptions."""
        if "warn" in state.values():
            self._warnings.append(_MayWarn(node, name, state))

    def cut(self, node: Node, part: slice) -> Node | None:
        """A slice of a formula, as the formula of slices. None if its elements are not in the order of the arrays."""
        parts = self.formulas.cut(node, part)
        if parts is None:
            return None
        # NumPy computes the whole formula, and warns of it.
        for doubt in self._warnings:
            doubt.nodes += {parts[each]: None for each in doubt.nodes if parts.get(each) not in (None, *doubt.nodes)}
        return parts[node]

    def broadcast(self, node: Node, shape: tuple[int, ...]) -> Node:
        """An array's elements, repeated as NumPy broadcasts them. Those of a formula are computed once, now.

        NumPy keeps the elements of a formula in memory too. Without that, they would be computed anew for each
        repetition.
        """
        if not isinstance(node.operation, Source):
            elements = self.formulas.intern(("elements", node), lambda: Formulas.values(node))
            self.know([elements])
            node = self.formulas.source(elements.value)
        return self.formulas.broadcast(node, shape)

    def has_its_filters(self) -> bool:
        """Whether the warning filters are the same as when the function began."""
        filters, content = self._filters
        return warnings.filters is filters and warnings.filters == content

    @staticmethod
    def filters_raise() -> bool:
        """Whether the current filters turn any warning into an error."""
        return any(action == "error" for action, *_ in warnings.filters)

    def because(self, reason: str) -> None:
        """Records a reason why the function was not fully fused."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def know(self, nodes: list[Node], at_once: bool = False) -> None:
        """Waits until these nodes are known, and warns as NumPy would have.

        `at_once` means that NumPy would raise errors now.
        """
        if not all(node.known for node in nodes):
            self.wait(nodes)
        self.warn()
        for node in nodes:
            if at_once and node.error is not None:
                raise node.error
            if not node.known or node.error is not None:
                self.why_again = next(map(str, _doubts(node)), self.why_again)
                self.give_up()

    def wait(self, nodes: list[Node]) -> None:
        """Waits for passes until these nodes are known."""
        begun = time.perf_counter()
        self._settle(nodes)
        self.waited += time.perf_counter() - begun

    def give_up(self) -> NoReturn:
        """Ends a function that should have seen an error earlier. It is called again, with a plain array."""
        self.active, self.in_vain = False, True
        if self._settle is _too_late:
            raise RuntimeError(
                "the run was stopped before this value was computed: keep float(value), which is computed at once"
            )
        raise InVain

    def leave(self, reason: str) -> NoReturn:
        """Ends a function that is called again in a process."""
        self.because(reason)
        self.active, self.in_vain = False, True
        raise InVain

    def lend(self, node: Node, reason: str) -> None:
        """Checks, before a function gets the elements of an array, that it may have them here."""
        if self.lends or not self.active:
            return
        if isinstance(node.shape, Selection) or math.prod(node.shape) >= self.smallest:
            self.leave(reason)

    def force(self, node: Node, reason: str | None, at_once: bool = False) -> Any:
        """Computes the value of a number or the elements of a formula now.

        The reason says which operation of NumPy's needs them; it is None if a kernel gives what the function asked for,
        however often. `at_once` means that the function requested it just now.
        """
        self.nodes.append(node)
        self.used = True
        if reason is not None:
            # A number comes from a pass, whatever the function does with it, and so does a kernel's array.
            if not node.is_answer:
                self.because(reason)
            self.forced += 1
            if self.forced > MOST_FORCED:
                if not self.lends:
                    self.leave(f"more than {MOST_FORCED} values that are needed at once")
                self.active = False
        wanted = node if node.is_answer else Formulas.values(node)
        self.know([wanted], at_once)
        return wanted.value

    def warn(self) -> None:
        """Warns of the floating-point exceptions that are known by now."""
        if not self.has_its_filters():
            # The function uses other filters at the moment; it is warned when they end.
            return
        left: list[_MayWarn] = []
        try:
            self._warn(left)
        except RuntimeWarning:
            # The filters turn warnings into errors, and this one comes too late.
            self.give_up()
        self._warnings = left

    def _warn(self, left: list[_MayWarn]) -> None:
        for doubt in self._warnings:
            node = doubt.nodes[0]
            if isinstance(node.operation, Computed):
                for told in node.operation.told if node.known else ():
                    warnings.warn(told, RuntimeWarning, stacklevel=4)
                if not node.known:
                    left.append(doubt)
                continue
            bits = 0
            for each in doubt.nodes:
                for computed in (each, each.quick):
                    if computed is not None and computed.id is not None:
                        bits |= self.formulas.flags.get(computed.id, 0)
            tell(bits & ~doubt.told, doubt.name, doubt.state)
            if bits & 16:
                # The loop raised an exception, which only a call with a plain array can show.
                self.give_up()
            doubt.told |= bits
            if not bits or len(doubt.nodes) > 1:
                left.append(doubt)

    def end(self) -> None:
        """Ends the trace: nothing is deferred any more, and nothing is kept."""
        self.active = False
        self._settle = _too_late
        self.nodes.clear()
        self._warnings.clear()

    def close(self, kept: "set[int]") -> None:
        """Ends the function and computes the deferred values that it stored somewhere, while the array is unchanged.

        If some cannot be computed, raises the first exception after computing the others.
        """
        self.active = False
        alive = [made for reference in self._made if (made := reference()) is not None and id(made) not in kept]
        answers = [made._node for made in alive if made._node.is_answer and not made._node.known]
        if answers:
            # One sweep serves all of them.
            self.wait(answers)
        wrong: BaseException | None = None
        for made in alive:
            try:
                made._materialise("values that are kept for later")
            except (Exception, InVain) as error:  # noqa: BLE001 - NumPy's own exception
                wrong = error if wrong is None else wrong
        self._made.clear()
        try:
            if wrong is not None:
                raise wrong
        finally:
            # The exception's traceback refers to this frame: the cycle would keep the exception and the array alive.
            del wrong


def tell(bits: int, name: str, state: dict[str, Any]) -> None:
    """Warns as NumPy does of these floating-point exceptions, if the function asks for it."""
    for bit, words in MESSAGES:
        if bits & bit and state[KINDS[words]] == "warn":
            warnings.warn(f"{words} encountered in {name}", RuntimeWarning, stacklevel=5)


def _doubts(node: Node) -> Iterator[Doubt]:
    """The doubts about the numbers that a node is computed from."""
    seen, stack = set(), [node]
    while stack:
        each = stack.pop()
        if each not in seen:
            seen.add(each)
            stack.extend(each.inputs)
            if isinstance(each.error, Doubt):
                yield each.error


def _too_late(nodes: list[Node]) -> None:
    """Raises: values that were not computed during the run cannot be computed any more."""
