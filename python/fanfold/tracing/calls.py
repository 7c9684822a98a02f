"""The traced functions of one run: their calls, and the sweeps for the values that they request.

The scheduler decides when to call them and when to sweep. With one worker, or with one function, the calling thread
does everything in turn: starting a thread takes as long as a sweep over a hundred thousand elements.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from fanfold import _core
from fanfold.calling import COPIED, Called, refuses_read_only
from fanfold.checks import locked, own_class
from fanfold.deadline import Deadline
from fanfold.holders import HELD, HELD_BEFORE, HELD_HERE
from fanfold.scheduler import PATIENCE, Elsewhere, Scheduler, Stopped, Wait, in_turn
from fanfold.tracebacks import without_our_frames
from fanfold.tracing import results
from fanfold.tracing.along import Beside
from fanfold.tracing.arrays import Deferred, DeferredArray, StandsIn, Traced, deferred_input, takes
from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Node
from fanfold.tracing.rebinding import Rebound
from fanfold.tracing.trace import InVain, Trace

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

Place = tuple[Any, Any]
"""The key of a function, and the name of what it is called with."""

_NOTHING_ASKED = "it asked for nothing that can be fused: it reads the elements itself, in C, in Numba, or not at all"

SMALLEST = 131_072
"""Below this number of elements, tracing costs more than it saves."""

FEW = f"the array has fewer than {SMALLEST:,} elements"
"""What the report says of a function that is called with so small an array."""


class _Call:
    """A function's call: its trace, its return value, and the values that it still waits for."""

    def __init__(self, key: Any, called: Called, traced: "TracedCalls") -> None:
        self.key = key
        self.called = called
        self.trace = Trace(traced.formulas, traced.settle, SMALLEST, lends=not called.is_remote)
        self.result: Any = None
        self.error: Exception | None = None
        self.left: list[tuple[Deferred, Node]] = []
        self.again = False
        self.seconds = 0.0
        self._traced: TracedCalls | None = traced

    @property
    def how(self) -> str:
        """The word for it in the report."""
        if self.again or not self.trace.used:
            return "process" if self.again and not self.trace.lends else "plain"
        return "partly fused" if self.trace.reasons else "fused"

    @property
    def why(self) -> str:
        """The reasons why it is not completely fused."""
        return "; ".join(self.trace.reasons) or _NOTHING_ASKED

    def attempt(self) -> None:
        """Calls the function with a traced array, and again with a plain one if it fails on deferred values, or in a
        process if it needs elements.
        """
        with self._timed():
            self._attempt()

    def _attempt(self) -> None:
        trace, traced = self.trace, self._traced
        if traced is None:
            return
        if self.called.is_known:
            trace.because(HELD_BEFORE)
            self._once_more(traced.data)
            return
        given, columns = self.called.inputs(traced.data, partial(_view, trace))
        rebound = Rebound(self.called.function)
        try:
            self.result = self.called.context.run(rebound.function, *given, **columns)
            if rebound.end():
                trace.why_again = "a name of an enclosing function has changed while it was called"
                trace.give_up()
            found = results.deferred_in(self.result)
            for each in found:
                # A function of a nested run can return values of the outer run.
                if each._trace is not trace:
                    each._materialise("the result of another run")
            left = [each for each in found if each._trace is trace]
            trace.close({id(each) for each in left})
        except InVain:
            if traced.is_stopped():
                raise Stopped from None
        except Exception as error:  # noqa: BLE001 - a function can raise anything
            trace.active = False
            if traced.is_stopped():
                # It waited for a value that will not come, or used one that no longer exists.
                raise Stopped from None
            is_its_own = trace.lends and not (trace.used or trace.followed or trace.in_vain or rebound.is_copy)
            if is_its_own and not (_speaks_of_us(error) or refuses_read_only(error)):
                trace.because(f"it raised {type(error).__name__}: {error}")
                self.error = without_our_frames(error)
                return
        else:
            # The function may have caught it nevertheless.
            if not trace.in_vain:
                for each in left:
                    if type(each) is DeferredArray and each._is_of_input():
                        each._lend("the result")
                self.left = [
                    (each, each._node if each._node.is_answer else Formulas.values(each._node))
                    for each in left
                    if each._real is None and each._lent is None
                ]
                traced.unsettled += [node for _, node in self.left]
                return
        # It may have stored deferred values before it failed.
        with suppress(Exception, InVain):
            trace.close(set())
        self._once_more(traced.data)

    def late(self, data: Array) -> None:
        """Calls a function again after all others, because a value that it returned cannot be had."""
        with self._timed():
            self._once_more(data)

    def _once_more(self, data: Array) -> None:
        """Calls a function with a plain array, or in a process. What it returns or raises now is its own."""
        self.again, self.left, self.result = True, [], None
        try:
            self.result = self.called(data)
            if self.called.bytes_copied:
                self.trace.because(COPIED)
            elif self.trace.lends or not self.trace.reasons:
                self.trace.because(self.trace.why_again)
        except Exception as error:  # noqa: BLE001 - a function can raise anything
            too = " with a plain array too" if self.trace.lends else ""
            self.trace.because(f"it raised {type(error).__name__}{too}: {error}")
            self.error = without_our_frames(error)

    def note_holder(self) -> None:
        """Notes that the function held the GIL for most of its time."""
        if self.trace.lends:
            self.trace.because(HELD)
        elif self.how == "plain":
            # One that is partly fused stays here: NumPy's statistics may differ from the kernels' in the last places.
            self.called.remember()
            self.trace.because(HELD_HERE)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Adds the time of a block to the function's, without its waiting for passes."""
        begun, waited = time.perf_counter(), self.trace.waited
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - begun - (self.trace.waited - waited)

    def end(self) -> None:
        """Ends the call: drops all references to the run."""
        self.trace.end()
        self._traced = None


def _view(trace: Trace, data: Array) -> Any:
    """The array that a function is called with.

    One that has real elements cannot tell when C code reads them. A function that is called in a process as soon as it
    needs elements gets one without.
    """
    if trace.lends:
        view: Any = locked(data).view(Traced)
        view._trace = trace
        return view
    return deferred_input(trace, trace.formulas.source(locked(data)))


def _speaks_of_us(error: Exception) -> bool:
    """Whether an exception holds a traced or deferred value, or the type of one."""
    return any(isinstance(each, StandsIn) or isinstance(type(each), StandsIn) for each in error.args)


def is_short(data: Array | _core.Source) -> bool:
    """Whether an array has too few elements to be traced."""
    return data.size < SMALLEST


def why_plain(data: Array) -> str | None:
    """The reason why functions of this array are not traced; None if they are traced."""
    kind = own_class(data)
    if kind is not None:
        return f"the array is a {kind}, which may behave differently from an ndarray"
    if is_short(data):
        return FEW
    if not takes(data.dtype):
        return f"the array's dtype is {data.dtype}"
    return None


class TracedCalls:
    """The functions of one run, and the kernels that share their sweeps. All their arrays have the shape of `data`."""

    def __init__(
        self,
        data: Array,
        functions: Mapping[Place, Called],
        kernels: Sequence[tuple[_core.Kernel, Array]],
        nan_policy: str,
        workers: int,
        deadline: Deadline,
        patience: float = PATIENCE,
        out: Mapping[int, Array] = MappingProxyType({}),
        beside: Beside | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.formulas = Formulas(data, deadline, beside)
        self.data = data
        # The deferred values that functions returned.
        self.unsettled: list[Node] = []
        self.calls = {place: _Call(place[0], called, self) for place, called in functions.items()}
        for index, (kernel, array) in enumerate(kernels):
            try:
                node = self.formulas.elements(array)
                self.formulas.session.reduce(index, node, array.dtype, kernel, nan_policy, out.get(index))
            except (TypeError, ValueError, MemoryError) as error:
                self.formulas.answers[index] = (error, False)
        if nan_policy == "raise" and kernels:
            self.formulas.session.refuse_nan()
        self._workers = workers
        self._process = os.getpid()
        self._most_swept = 1
        self._scheduler: Scheduler | None = None
        if functions and (elsewhere is not None or (workers > 1 and len(functions) > 1)):
            self._scheduler = Scheduler(self.calls.values(), self, workers, deadline, patience, elsewhere)

    @property
    def bytes_copied(self) -> int:
        """The bytes of the array that were copied for functions."""
        return sum(call.called.bytes_copied for call in self.calls.values())

    @property
    def workers(self) -> int:
        """The number of threads that computed."""
        called = self._scheduler.most_threads if self._scheduler is not None else 1
        return max(called, self._most_swept)

    def run(self, tell: Callable[[], None] | None = None) -> None:
        """Calls all functions, and `tell` when they are done. Raises what stops the run."""
        try:
            if self._scheduler is None:
                self.formulas.deadline.begin(len(self.calls))
                in_turn(self.calls.values(), self, self.formulas.deadline)
            else:
                self._scheduler.run()
                held = self._scheduler.held_gil
                for call in self.calls.values():
                    if call.key in held and call.how not in ("fused", "process"):
                        call.note_holder()
            self.check()
            self._finish()
            if tell is not None:
                tell()
        except Stopped as stopped:
            raise stopped.error or stopped from None
        finally:
            # Calls refer to this object, and it refers to the array. (A function that was left behind continues with a
            # plain array.)
            for call in self.calls.values():
                call.end()
            self._most_swept = self.formulas.session.most_workers
            self.formulas.close()

    def settle(self, nodes: list[Node]) -> None:
        """Waits, for a function, until the values of these nodes are known."""
        scheduler = self._scheduler
        if os.getpid() != self._process:
            # A function has forked: the other functions and the sweeping thread do not exist in the child.
            self.formulas.settle_in_child(nodes)
            return
        if scheduler is not None and scheduler.is_inside():
            scheduler.wait(nodes)
            return
        # The function runs in the calling thread, or in a thread that it started itself.
        self.formulas.settle([*nodes, *self._left()], self._workers if scheduler is None else 1)

    def is_stopped(self) -> bool:
        """Whether the run was stopped, so that requested values will not come."""
        return self._scheduler is not None and self._scheduler.stopped

    # ---- the calling thread's work beside the functions ----

    def check(self) -> None:
        """Raises if the timeout has passed."""
        self.formulas.deadline.left()

    def is_wanted(self) -> bool:
        """Whether kernels wait for a sweep."""
        return self.formulas.is_wanted()

    def sweep(self, waiting: list[Wait], workers: int) -> list[Wait]:
        """Sweeps for all that wait.

        Returns the waits whose values are known, or all if there is nothing left to sweep for.
        """
        wanted = [node for wait in waiting for node in wait.wanted]
        with self.formulas.one_at_a_time:
            if self.formulas.ask(wanted + self._left()):
                self.formulas.sweep(workers)
            stuck = not self.formulas.ask(wanted)
        return [wait for wait in waiting if stuck or all(node.known for node in wait.wanted)]

    def _left(self) -> list[Node]:
        self.unsettled = [node for node in self.unsettled if not node.known]
        return self.unsettled

    # ---- the end ----

    def _finish(self) -> None:
        """Computes the deferred values that functions returned, and converts the results to plain values."""
        self.formulas.settle(self._left(), self._workers)
        self.formulas.is_over = True
        for call in self.calls.values():
            if call.error is not None or call.again:
                continue
            for deferred, node in call.left:
                if node.known and node.error is None:
                    deferred._lent = node.value
            try:
                call.trace.know([node for _, node in call.left])
                call.result = results.plain(call.result)
            except (Exception, InVain):  # noqa: BLE001 - any exception that NumPy would have raised
                call.late(self.data)
        for call in self.calls.values():
            if call.again and call.error is None:
                try:
                    call.result = results.plain(call.result)
                except Exception as error:  # noqa: BLE001 - a user's class can raise anything
                    call.trace.because(f"its result cannot be made plain: {error}")
                    call.error = without_our_frames(error)
