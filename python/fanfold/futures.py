"""Futures: calls that compute in the background and can be cancelled at any moment. `submit` and `arun` make them.

A future stays pending while its call computes. So the standard `cancel` works until the result is there, and so do
`concurrent.futures.wait`, `as_completed`, `asyncio.wrap_future` and what is built on them. As many calls run at a time
as there are workers, and they share the workers; the others wait their turn.
"""

import atexit
import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from fanfold import _core
from fanfold.results import Results
from fanfold.tracebacks import shown_at_the_call

GRACE = 0.5
"""Seconds that cancelled calls have to end before the interpreter exits. Compiled work takes a tenth of that."""


class RunFuture(Future[Results]):
    """A call that computes in a thread of its own."""

    def __init__(self, call: Callable[[], Results], watch: _core.Watch | None = None) -> None:
        super().__init__()
        self._call: Callable[[], Results] | None = call
        # What the caller's functions see: `np.errstate`, for example.
        self._context = contextvars.copy_context()
        self._watch = watch
        self._computes = False
        # Held while it is decided whether the future is cancelled or has a result.
        self._decision = threading.RLock()

    def running(self) -> bool:
        """Whether the call computes now."""
        return self._computes and not self.done()

    def cancel(self) -> bool:
        """Cancel the call. If it computes already, it stops within a tenth of a second.

        Functions that do not return by then are left behind in their threads.

        Returns
        -------
        bool
            False if the call has ended, so that there is nothing to cancel.
        """
        with self._decision:
            was_cancelled = self.cancelled()
            if not super().cancel():
                return False
            if not was_cancelled:
                # Tells `wait` and `as_completed`.
                self.set_running_or_notify_cancel()
            if self._watch is not None:
                self._watch.stop()
        return True

    @shown_at_the_call
    def result(self, timeout: float | None = None) -> Results:
        """Return the result, after waiting for it. Ctrl-C cancels the call."""
        try:
            return super().result(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the exception that the call raised, after waiting for its end. Ctrl-C cancels the call."""
        try:
            return super().exception(timeout)
        except KeyboardInterrupt:
            self.cancel()
            raise

    def compute(self) -> None:
        """Make the call, in the current thread."""
        with self._decision:
            call, self._call = self._call, None
            if self.cancelled() or call is None:
                return
            watch = self._watch = _core.Watch() if self._watch is None else self._watch
            self._computes = True
        result: Results | None = None
        failure: BaseException | None = None
        _core.Watch.watch(watch)
        try:
            result = self._context.run(call)
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            failure = error
        finally:
            _core.Watch.watch(None)
            # The call holds the data, and the exception's traceback this frame.
            del call, watch
        try:
            with self._decision:
                self._watch, self._computes = None, False
                if self.cancelled():
                    return
                self.set_running_or_notify_cancel()
            if failure is not None:
                self.set_exception(failure)
            elif result is not None:
                self.set_result(result)
        finally:
            del failure


class _Queue:
    """The calls that wait for a thread, and the threads that compute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[RunFuture] = deque()
        self._computing: dict[threading.Thread, RunFuture | None] = {}
        self._is_closed = False

    def put(self, future: RunFuture) -> None:
        """Have a future computed as soon as fewer calls run than there are workers."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the interpreter is exiting: no call can be submitted any more")
            self._waiting.append(future)
            if len(self._computing) >= int(_core.config()["workers"]):
                return
            thread = threading.Thread(target=self._work, name="fanfold-call", daemon=True)
            self._computing[thread] = None
            try:
                thread.start()
            except RuntimeError:
                # The system starts no more threads. Those that there are take the call.
                del self._computing[thread]
                if not self._computing:
                    self._waiting.remove(future)
                    raise

    def _work(self) -> None:
        """The body of a thread: computes one future after the other, while there are any."""
        this = threading.current_thread()
        while True:
            with self._lock:
                if not self._waiting or self._is_closed:
                    self._computing.pop(this, None)
                    return
                future = self._computing[this] = self._waiting.popleft()
            future.compute()
            del future

    def close(self) -> None:
        """Cancel all calls, and wait for their threads, which must not need the interpreter when it exits."""
        with self._lock:
            self._is_closed = True
            threads = list(self._computing)
            futures = [*self._waiting, *(future for future in self._computing.values() if future is not None)]
            self._waiting.clear()
        for future in futures:
            future.cancel()
        until = time.monotonic() + GRACE
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


_queue = _Queue()


def _in_child() -> None:
    """A process that was forked has none of the threads: its own calls begin anew."""
    global _queue
    _queue = _Queue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@atexit.register
def _at_exit() -> None:
    _queue.close()


def submitted(call: Callable[[], Results]) -> RunFuture:
    """Return the future of a call, which computes as soon as fewer calls run than there are workers."""
    if _core.is_worker():
        # A function of another call: this call gets no workers beside those of that one.
        call = _as_worker(call)
    future = RunFuture(call)
    _queue.put(future)
    return future


def _as_worker(call: Callable[[], Results]) -> Callable[[], Results]:
    def alone() -> Results:
        before = _core.stand_in(True)
        try:
            return call()
        finally:
            _core.stand_in(before)

    return alone


def in_thread(call: Callable[[], Results], watch: _core.Watch) -> RunFuture:
    """Return the future of a call that computes now, in a thread of its own, under this watch."""
    future = RunFuture(call, watch)
    threading.Thread(target=future.compute, name="fanfold-call", daemon=True).start()
    return future
