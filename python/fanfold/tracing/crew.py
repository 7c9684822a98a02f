"""Calls a run's functions with traced arrays, never more of them at a time than there are workers, and sweeps for them.

With one worker, or one function, the calling thread does everything, one after the other: to start a thread takes as
long as a sweep over a hundred thousand elements. Otherwise each function runs on a thread; one that waits for a value
lets another one run, and once nobody can go on without a sweep, the calling thread sweeps for all who wait together. A
function that is busy with something else is not waited for: the sweep runs beside it.
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.checks import locked
from fanfold.tracing import results
from fanfold.tracing.arrays import Deferred, Traced, takes
from fanfold.tracing.formulas import Formulas, Node, Stopped
from fanfold.tracing.trace import Trace

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

SMALLEST = 131_072
"""Elements below which tracing costs more than it saves."""

PATIENCE = 0.005
"""Seconds for which a sweep waits for a function that may come to want the same one."""

POLL = 0.05
"""Seconds after which the calling thread looks around."""


class _Call:
    """A function's call: its trace, what it returned, and what it still waits for."""

    def __init__(self, key: str, function: Function, trace: Trace) -> None:
        self.key = key
        self.function = function
        self.trace = trace
        # The caller's, whose `np.errstate` the function sees, each function in a copy that it cannot change for others.
        self.context = contextvars.copy_context()
        self.result: Any = None
        self.error: Exception | None = None
        self.left: list[tuple[Deferred, Node]] = []
        self.again = False

    @property
    def how(self) -> str:
        """The report's word for it."""
        if self.again or not self.trace.used:
            return "plain"
        return "partly fused" if self.trace.reasons else "fused"


def _without_our_frame(error: Exception) -> Exception:
    """The exception as the function raised it: our frame would lead from it to the whole run."""
    traceback = error.__traceback__
    return error.with_traceback(None if traceback is None else traceback.tb_next)


def _speaks_of_us(error: Exception) -> bool:
    """Whether an exception holds an array of ours, or names its type, as Python does of what cannot be called."""
    return any(type(each) is Traced or (type(each) is str and Traced.__name__ in each) for each in error.args)


class _Wait:
    """Somebody waits until these are known."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.over = False


def why_plain(data: Array) -> str | None:
    """Why functions of this array are called as they are; None if they are traced."""
    if data.size < SMALLEST:
        return f"the array has fewer than {SMALLEST:,} elements"
    if not takes(data.dtype):
        return f"the array's dtype is {data.dtype}"
    if data.ndim != 1 and not data.flags.c_contiguous:
        return "the array is not one-dimensional, nor in C order"
    return None if _NEW else "NumPy is older than 2"


_NEW = int(np.__version__.split(".")[0]) >= 2
# Promotion looks at dtypes alone since NumPy 2: before, it looked at values, which are not known here.


class Crew:
    """The functions of one run, and the kernels that are swept for with them."""

    def __init__(
        self,
        data: Array,
        functions: Mapping[str, Function],
        kernels: list[_core.Kernel],
        nan_policy: str,
        workers: int,
        timeout: float | None,
        patience: float = PATIENCE,
        out: Mapping[int, Array] = MappingProxyType({}),
    ) -> None:
        self.formulas = Formulas(data, timeout)
        self.data = data
        self.workers = workers
        self._patience = patience
        self.calls = {key: self._call(key, function) for key, function in functions.items()}
        for index, kernel in enumerate(kernels):
            try:
                self.formulas.session.reduce(index, 0, kernel, nan_policy, out.get(index))
            except (TypeError, ValueError, MemoryError) as error:
                self.formulas.answers[index] = (error, False)
        if nan_policy == "raise" and kernels:
            self.formulas.session.refuse_nan()
        self._pending = deque(self.calls.values())
        self._alone = workers == 1 or len(functions) == 1
        # The calling thread may be interrupted between any two steps, and waits by nothing but locks, which bear it: it
        # could leave a condition's lock held. The functions' threads get no signals.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._news = threading.Lock()
        self._news.acquire()
        self._running = 0
        self._waits: list[_Wait] = []
        # Those who need not wait any more, but have not woken up yet.
        self._waking = 0
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._fatal: BaseException | None = None
        self._moved = time.monotonic()

    def run(self, tell: Callable[[], None] | None = None) -> None:
        """Calls all of them, and `tell` when they are done; raises what stops a run."""
        try:
            if self._alone:
                _core.as_worker(self._one_after_the_other)
            else:
                self._side_by_side()
            self.formulas.session.check()
            self._finish()
            if tell is not None:
                tell()
        except Stopped as stopped:
            raise stopped.error or stopped from None
        finally:
            # Traces lead here, and from here to the array.
            self.formulas.close()
            for call in self.calls.values():
                call.trace.end()

    # ---- one function ----

    def _call(self, key: str, function: Function) -> _Call:
        return _Call(key, function, Trace(self.formulas, self._settle, SMALLEST))

    def _attempt(self, call: _Call) -> None:
        """Calls a function with a traced array, and again with a plain one if it fails on deferred values."""
        trace = call.trace
        view: Any = locked(self.data).view(Traced)
        view._trace = trace
        try:
            call.result = call.context.run(call.function, view)
            found = results.deferred_in(call.result)
            for each in found:
                # A function of a run inside another's can return what belongs to that.
                if each._trace is not trace:
                    each._realise("the result of another run")
            left = [each for each in found if each._trace is trace]
            trace.close({id(each) for each in left})
        except Exception as error:  # noqa: BLE001 - whatever a function raises
            trace.active = False
            if not trace.used and not _speaks_of_us(error):
                trace.because(f"it raised {type(error).__name__}: {error}")
                call.error = _without_our_frame(error)
                return
        else:
            call.left = [
                (each, each._node if each._node.is_answer else Formulas.values(each._node))
                for each in left
                if each._real is None and each._lent is None
            ]
            return
        self._again(call)

    def _again(self, call: _Call) -> None:
        """Calls a function with a plain array: what happens now is its own doing."""
        call.again, call.left, call.result = True, [], None
        try:
            call.result = call.context.run(call.function, locked(self.data))
            call.trace.because("it failed with a traced array")
        except Exception as error:  # noqa: BLE001 - whatever a function raises
            call.trace.because(f"it raised {type(error).__name__} with a plain array too: {error}")
            call.error = _without_our_frame(error)

    # ---- in turn ----

    def _one_after_the_other(self) -> None:
        while self._pending:
            self.formulas.session.check()
            self._attempt(self._pending.popleft())

    def _settle(self, nodes: list[Node]) -> None:
        """What a function does that needs a value."""
        if self._alone or self._stopped or threading.current_thread() not in self._threads:
            self.formulas.settle([*nodes, *self._left()], self.workers if self._alone else 1)
            return
        wait = _Wait(nodes)
        with self._lock:
            self._running -= 1
            self._waits.append(wait)
            self._start()
            self._note()
            while not (self._stopped or (wait.over and self._running < self.workers)):
                self._changed.wait()
            self._running += 1
            self._waking -= wait.over
            if self._stopped:
                raise Stopped

    def _left(self) -> list[Node]:
        return [node for call in self.calls.values() for _, node in call.left if not node.known]

    # ---- side by side ----

    def _note(self) -> None:
        self._moved = time.monotonic()
        self._changed.notify_all()
        if self._news.locked():
            self._news.release()

    def _start(self) -> None:
        """Starts threads for functions that nobody has begun, as far as workers are free."""
        for _ in range(min(self.workers - self._running, len(self._pending))):
            thread = threading.Thread(target=self._work, name="fanfold-function", daemon=True)
            self._threads.append(thread)
            self._running += 1
            try:
                # It begins once the lock is free.
                thread.start()
            except RuntimeError as error:  # the system gives no more threads: others go on when they are free
                self._threads.remove(thread)
                self._running -= 1
                if not self._running and not self._waking:
                    self._fatal = error
                return

    def _work(self) -> None:
        try:
            _core.as_worker(self._take_calls)
        except Stopped as stopped:
            self._fatal = self._fatal or stopped.error
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and its like end the run
            self._fatal = error
        finally:
            with self._lock:
                self._running -= 1
                self._note()

    def _take_calls(self) -> None:
        while True:
            with self._lock:
                if self._stopped or self._fatal is not None or not self._pending or self._running > self.workers:
                    return
                call = self._pending.popleft()
            self._attempt(call)

    def _side_by_side(self) -> None:
        try:
            with self._lock:
                self._start()
            while self._look_around():
                pass
        except BaseException:
            with self._lock:
                self._stopped = True
                self._pending.clear()
                self._changed.notify_all()
            for thread in self._threads:
                if thread.is_alive():
                    thread.join()
            raise

    def _look_around(self) -> bool:
        """Sweeps if it is time to; whether there is more to do."""
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            pause = 0.0 if self._is_time() else min(self._patience, POLL) if self._is_wanted() else POLL
        if pause:
            self._news.acquire(timeout=pause)
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            if not (self._running or self._waits or self._waking or self._pending):
                return False
            sweep = self._is_time() or self._is_overdue()
            waits, free = list(self._waits), self.workers - self._running
        self.formulas.session.check()
        if not sweep:
            return True
        with self.formulas.one_at_a_time:
            if self.formulas.ask([node for wait in waits for node in wait.nodes] + self._left()):
                self.formulas.sweep(free)
            stuck = not self.formulas.ask([node for wait in waits for node in wait.nodes])
        with self._lock:
            for wait in waits:
                if stuck or all(node.known for node in wait.nodes):
                    wait.over = True
                    self._waking += 1
                    self._waits.remove(wait)
            self._note()
        return True

    def _is_time(self) -> bool:
        """Whether nobody can go on without a sweep."""
        return bool(self._waits) and not (self._running or self._waking or self._pending)

    def _is_wanted(self) -> bool:
        """Whether anybody waits for a sweep."""
        return bool(self._waits) or self.formulas.session.waits()

    def _is_overdue(self) -> bool:
        """Whether a sweep is wanted, a worker is free for it, and those who run show no sign of wanting it too."""
        free = self._running < self.workers and not self._pending
        return free and self._is_wanted() and time.monotonic() - self._moved > self._patience

    # ---- the end ----

    def _finish(self) -> None:
        """Computes what functions returned uncomputed, and makes plain values of it."""
        self.formulas.settle(self._left(), self.workers)
        for call in self.calls.values():
            if call.error is not None or call.again:
                continue
            try:
                call.trace.know([node for _, node in call.left])
                for deferred, node in call.left:
                    deferred._lent = node.value
                call.result = results.plain(call.result)
            except Exception:  # noqa: BLE001 - whatever NumPy would have raised
                self._again(call)
        for call in self.calls.values():
            if call.again and call.error is None:
                try:
                    call.result = results.plain(call.result)
                except Exception as error:  # noqa: BLE001 - there may be no memory for it
                    call.error = _without_our_frame(error)
