"""The traced functions of one run: their calls, and the sweeps for the values that they request.

The scheduler decides when to call them and when to sweep. With one worker, or with one function, the calling thread
does everything in turn: starting a thread takes as long as a sweep over a hundred thousand elements.
"""

import contextvars
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fanfold import _core
from fanfold.calling import COPIED, Called, UserFunction, refuses_read_only, without_our_frames
from fanfold.checks import locked, own_class
from fanfold.deadline import Deadline
from fanfold.holders import HELD, HELD_BEFORE, HELD_HERE
from fanfold.scheduler import PATIENCE, Scheduler, Stopped, Wait, in_turn
from fanfold.tracing import results
from fanfold.tracing.along import Beside
from fanfold.tracing.arrays import Deferred, StandsIn, Traced, deferred_input, takes
from fanfold.tracing.formulas import Formulas
from fanfold.tracing.nodes import Node, Source
from fanfold.tracing.trace import InVain, Trace

if TYPE_CHECKING:
    from fanfold.processes.calls import Processes

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

SMALLEST = 131_072
"""Below this number of elements, tracing costs more than it saves."""


class _Call:
    """A function's call: its trace, its return value, and the values that it still waits for."""

    def __init__(self, key: str, function: Function, traced: "TracedCalls") -> None:
        self.key = key
        self.remote = None if traced.processes is None else traced.processes.called(key, function)
        self.called: UserFunction = Called(function) if self.remote is None else self.remote
        self.trace = Trace(traced.formulas, traced.settle, SMALLEST, lends=traced.processes is None)
        self._function = function
        # The function sees the caller's `np.errstate`.
        self._context = contextvars.copy_context()
        self.result: Any = None
        self.error: Exception | None = None
        self.left: list[tuple[Deferred, Node]] = []
        self.again = False
        self._traced: TracedCalls | None = traced

    @property
    def how(self) -> str:
        """The word for it in the report."""
        if self.again or not self.trace.used:
            return "process" if self.again and not self.trace.lends else "plain"
        return "partly fused" if self.trace.reasons else "fused"

    def attempt(self) -> None:
        """Calls the function with a traced array, and again with a plain one if it fails on deferred values, or in a
        process if it needs elements.
        """
        trace, traced = self.trace, self._traced
        if traced is None:
            return
        if self.remote is not None and self.remote.is_known:
            trace.because(HELD_BEFORE)
            self.once_more(traced.data)
            return
        try:
            self.result = self._context.run(self._function, _view(trace, traced.data))
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
            may_be_ours = _speaks_of_us(error) or refuses_read_only(error) or not trace.lends
            if not (trace.used or trace.in_vain or may_be_ours):
                trace.because(f"it raised {type(error).__name__}: {error}")
                self.error = without_our_frames(error)
                return
        else:
            # The function may have caught it nevertheless.
            if not trace.in_vain:
                for each in left:
                    if isinstance(each._node.operation, Source):
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
        self.once_more(traced.data)

    def once_more(self, data: Array) -> None:
        """Calls a function with a plain array, or in a process. What it returns or raises now is its own."""
        self.again, self.left, self.result = True, [], None
        try:
            self.result = self.called(data)
            if self.called.bytes_copied:
                self.trace.because(COPIED)
            elif self.trace.lends or not self.trace.reasons:
                self.trace.because("it failed with a traced array")
        except Exception as error:  # noqa: BLE001 - a function can raise anything
            too = " with a plain array too" if self.trace.lends else ""
            self.trace.because(f"it raised {type(error).__name__}{too}: {error}")
            self.error = without_our_frames(error)

    def note_holder(self) -> None:
        """Notes that the function held the GIL for most of its time."""
        if self.remote is None:
            self.trace.because(HELD)
        elif self.how == "plain":
            # One that is partly fused stays here: NumPy's statistics may differ from the kernels' in the last places.
            self.remote.remember()
            self.trace.because(HELD_HERE)

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


def why_plain(data: Array) -> str | None:
    """The reason why functions of this array are not traced; None if they are traced."""
    kind = own_class(data)
    if kind is not None:
        return f"the array is a {kind}, which may behave differently from an ndarray"
    if data.size < SMALLEST:
        return f"the array has fewer than {SMALLEST:,} elements"
    if not takes(data.dtype):
        return f"the array's dtype is {data.dtype}"
    if data.ndim != 1 and not data.flags.c_contiguous:
        return "the array is not one-dimensional, nor in C order"
    return None


class TracedCalls:
    """The functions of one run, and the kernels that share their sweeps."""

    def __init__(
        self,
        data: Array,
        functions: Mapping[str, Function],
        kernels: list[_core.Kernel],
        nan_policy: str,
        workers: int,
        deadline: Deadline,
        patience: float = PATIENCE,
        out: Mapping[int, Array] = MappingProxyType({}),
        beside: Beside | None = None,
        processes: "Processes | None" = None,
    ) -> None:
        self.processes = processes
        self.formulas = Formulas(data, deadline, beside)
        self.data = data
        # The deferred values that functions returned.
        self.unsettled: list[Node] = []
        self.calls = {key: _Call(key, function, self) for key, function in functions.items()}
        for index, kernel in enumerate(kernels):
            try:
                self.formulas.session.reduce(index, 0, kernel, nan_policy, out.get(index))
            except (TypeError, ValueError, MemoryError) as error:
                self.formulas.answers[index] = (error, False)
        if nan_policy == "raise" and kernels:
            self.formulas.session.refuse_nan()
        self._workers = workers
        self._process = os.getpid()
        self._most_swept = 1
        self._scheduler: Scheduler | None = None
        if functions and (processes is not None or (workers > 1 and len(functions) > 1)):
            self._scheduler = Scheduler(self.calls.values(), self, workers, deadline, patience, processes)

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
                in_turn(self.calls.values(), self)
            else:
                self._scheduler.run()
                for key in self._scheduler.held_gil:
                    if self.calls[key].how not in ("fused", "process"):
                        self.calls[key].note_holder()
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
            self.processes = None

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
                call.once_more(self.data)
        for call in self.calls.values():
            if call.again and call.error is None:
                try:
                    call.result = results.plain(call.result)
                except Exception as error:  # noqa: BLE001 - a user's class can raise anything
                    call.trace.because(f"its result cannot be made plain: {error}")
                    call.error = without_our_frames(error)
