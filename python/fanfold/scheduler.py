"""Runs users' functions, at most as many at a time as there are workers, while the calling thread sweeps.

Functions are called here, in Python, and never from the compiled half: before Python 3.14, when the interpreter exits,
it unwinds daemon threads, and compiled frames would not survive that. With one worker, the calling thread calls one
function after the other. Otherwise each function runs on a daemon thread, in a *place*; there are as many places as
workers. A function that waits for a value gives its place to another function. When no function can continue without a
sweep, the calling thread sweeps for all that wait. It does not wait for a function that is busy with something else:
the sweep then runs at the same time.

The calling thread never waits for long. After the timeout or Ctrl-C, functions that do not return are left running in
their threads. The calling thread may be interrupted between any two steps. It waits with plain locks only, because they
tolerate this; an interrupted wait on a condition could leave its lock held. The functions' threads get no signals.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any, Protocol

from fanfold import _core
from fanfold.deadline import Deadline
from fanfold.holders import Holders

PATIENCE = 0.005
"""Seconds that a sweep waits for a function that may soon need the same sweep."""

POLL = 0.05
"""Seconds between two checks of the calling thread."""

GRACE = 0.04
"""Seconds that functions have to return after a run is stopped, before they are left behind."""

MOST_BEGUN = 64
"""The most functions that may have begun, unless there are more workers. Each waiting function keeps a thread. A call
with more functions may take several sweeps where one could serve all."""


class Call(Protocol):
    """A function to call."""

    key: str

    def attempt(self) -> None:
        """Calls the function and keeps what it returns or raises. Raises only what ends the whole run."""


class Work(Protocol):
    """The work of the calling thread while functions run."""

    def is_wanted(self) -> bool:
        """Whether a sweep is needed even if no function waits."""

    def sweep(self, waiting: "list[Wait]", workers: int) -> "list[Wait]":
        """Sweeps once, with this number of workers. Returns the waits that are over."""

    def check(self) -> None:
        """Raises if the timeout has passed."""


class Elsewhere(Protocol):
    """The functions that run in other processes."""

    def stop(self) -> list[str]:
        """Ends them, and begins no more. Returns their keys."""


class Stopped(BaseException):
    """Ends a function that waits for a value when the run is stopped. Its ``except Exception`` does not catch this."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


class Wait:
    """A function that waits until its requested values are known."""

    __slots__ = ("_lock", "wanted")

    def __init__(self, wanted: list[Any]) -> None:
        self.wanted = wanted
        self._lock = threading.Lock()
        self._lock.acquire()

    def sleep(self) -> None:
        """Sleeps until woken."""
        self._lock.acquire()

    def wake(self) -> None:
        """Wakes the function."""
        if self._lock.locked():
            self._lock.release()


class standing_in:  # noqa: N801 - a context, like those of contextlib, whose decorator takes four times as long
    """A context in which this thread is a worker: runs that it starts use this thread only."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _core.stand_in(True)

    def __exit__(self, *error: object) -> None:
        _core.stand_in(self._before)


def in_turn(calls: Iterable[Call], work: Work, deadline: Deadline) -> None:
    """Calls the functions one after the other, in the calling thread."""
    with standing_in():
        for call in calls:
            work.check()
            call.attempt()
            deadline.returned()


class Scheduler:
    """The functions of one run, each on a thread, and the work of the calling thread."""

    def __init__(
        self,
        calls: Collection[Call],
        work: Work,
        workers: int,
        deadline: Deadline,
        patience: float = PATIENCE,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.stopped = False
        self.most_threads = 0
        """The most functions that were called at a time."""
        self._work = work
        self._workers = workers
        self._most_begun = max(workers, MOST_BEGUN)
        self._deadline = deadline
        self._patience = patience
        self._elsewhere = elsewhere
        self._holders = Holders()
        self._pending = deque(calls)
        deadline.begin(len(calls))
        self._lock = threading.Lock()
        # Released when something has happened that the calling thread should check.
        self._news = threading.Lock()
        self._news.acquire()
        # The calls that have begun but not ended, by their threads.
        self._begun: dict[threading.Thread, Call] = {}
        self._running = 0
        self._waiting: list[Wait] = []
        # The waits whose values are known, but that have no place yet.
        self._ready: deque[Wait] = deque()
        self._refused = False
        self._fatal: BaseException | None = None
        self._moved = time.monotonic()

    def run(self) -> None:
        """Runs until all functions have been called and no sweep is needed any more. Raises what stops the run."""
        try:
            with self._lock:
                self._fill()
            while self._look_around():
                pass
        except BaseException as error:
            told = self._stop()
            if told:
                raise self._told(error, told) from None
            raise
        finally:
            # They refer to the array, and may refer to this object.
            del self._work, self._elsewhere

    @property
    def held_gil(self) -> set[Any]:
        """The keys of the functions that held the GIL for most of their time."""
        return self._holders.found()

    def is_inside(self) -> bool:
        """Whether this thread runs one of the functions."""
        return threading.current_thread() in self._begun

    def wait(self, wanted: list[Any]) -> None:
        """Waits, in a function's thread, until the requested values are known.

        Meanwhile another function has its place.
        """
        wait = Wait(wanted)
        with self._lock:
            if self.stopped:
                raise Stopped
            self._waiting.append(wait)
            self._leave()
        wait.sleep()
        if self.stopped:
            raise Stopped

    # ---- places ----

    def _leave(self) -> None:
        """Gives a place back. The caller holds the lock, here and in the following methods."""
        self._running -= 1
        self._fill()
        self._note()

    def _fill(self) -> None:
        """Gives free places first to functions whose values are known, and then to functions that have not begun."""
        while self._running < self._workers and not self.stopped:
            if self._ready:
                self._running += 1
                self._ready.popleft().wake()
            elif self._pending and len(self._begun) < self._most_begun and not self._refused:
                self._start(self._pending.popleft())
            else:
                return

    def _start(self, call: Call) -> None:
        thread = threading.Thread(target=self._run, args=(call,), name="fanfold-function", daemon=True)
        self._begun[thread] = call
        self._running += 1
        self.most_threads = max(self.most_threads, self._running)
        try:
            # Starting needs no lock.
            thread.start()
        except RuntimeError:
            # The system starts no more threads. Free threads take the calls, or the calling thread does.
            del self._begun[thread]
            self._running -= 1
            self._pending.appendleft(call)
            self._refused = True

    def _note(self) -> None:
        self._moved = time.monotonic()
        if self._news.locked():
            self._news.release()

    def _run(self, first: Call) -> None:
        """The body of a thread: calls this function, and then others while there are any."""
        thread, call = threading.current_thread(), first
        try:
            with standing_in():
                while not self.stopped:
                    call.attempt()
                    self._deadline.returned()
                    with self._lock:
                        # Functions that have begun go first.
                        if not self._pending or self._ready or self._fatal is not None:
                            break
                        call = self._begun[thread] = self._pending.popleft()
        except Stopped as stopped:
            self._fatal = self._fatal or stopped.error
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and similar exceptions end the run
            self._fatal = error
        finally:
            # A thread that ends a little later must keep nothing of the run alive.
            del call, first
            with self._lock:
                self._begun.pop(thread, None)
                self._leave()

    # ---- the calling thread ----

    def _look_around(self) -> bool:
        """Sweeps if needed. Returns whether there is more to do."""
        with self._lock:
            self._raise_fatal()
            pause = 0.0 if self._is_time() else min(self._patience, POLL) if self._is_wanted() else POLL
        if pause and self._is_busy():
            self._holders.wait(self._news, min(pause, max(-self._deadline.passed(), 0.001)))
        with self._lock:
            self._raise_fatal()
            self._holders.look(self._begun)
            if not self._is_busy() and not self._work.is_wanted():
                return False
            sweep = self._is_time() or self._is_overdue()
            waiting, free = list(self._waiting), self._workers - self._running
            own = self._pending.popleft() if self._refused and self._pending and not self._begun else None
        self._work.check()
        if own is not None:
            in_turn((own,), self._work, self._deadline)
        if own is not None or not sweep:
            return True
        served = self._work.sweep(waiting, free)
        with self._lock:
            for wait in served:
                self._waiting.remove(wait)
                self._ready.append(wait)
            self._fill()
            self._note()
        return True

    def _raise_fatal(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _is_busy(self) -> bool:
        """Whether functions run, wait, or have not begun."""
        return bool(self._running or self._waiting or self._ready or self._pending)

    def _is_held_up(self) -> bool:
        """Whether no function can begin."""
        return not self._pending or len(self._begun) >= self._most_begun or self._refused

    def _is_time(self) -> bool:
        """Whether no function can continue without a sweep."""
        return self._is_wanted() and not (self._running or self._ready) and self._is_held_up()

    def _is_wanted(self) -> bool:
        """Whether anything waits for a sweep."""
        return bool(self._waiting) or self._work.is_wanted()

    def _is_overdue(self) -> bool:
        """Whether a sweep is needed, a worker is free, and no running function seems about to need the same sweep."""
        free = self._running < self._workers and self._is_held_up()
        return free and self._is_wanted() and time.monotonic() - self._moved > self._patience

    # ---- the end of a run that is stopped ----

    def _stop(self) -> str:
        """Ends waiting functions, begins no more, and gives the others a moment.

        Returns what is to be told of those that did not return.
        """
        with self._lock:
            self.stopped = True
            self._pending.clear()
            sleeping = [*self._waiting, *self._ready]
            self._running += len(sleeping)
            self._waiting.clear()
            self._ready.clear()
            begun = list(dict.fromkeys(call.key for call in self._begun.values()))
        for wait in sleeping:
            wait.wake()
        stopped = [] if self._elsewhere is None else self._elsewhere.stop()
        ended = [key for key in begun if key in stopped]
        # Ctrl-C and a timeout must both end the run within 100 ms, so a late check leaves functions less time.
        until = time.monotonic() + min(GRACE, max(2 * GRACE - self._deadline.passed(), GRACE / 4))
        while self._begun and (rest := until - time.monotonic()) > 0:
            self._news.acquire(timeout=rest)
        with self._lock:
            left = list(dict.fromkeys(call.key for call in self._begun.values() if call.key not in ended))
        told = [
            *_of(ended, "had not returned: its process was ended", "had not returned: their processes were ended"),
            *_of(
                left,
                "has not returned and keeps running in its own thread",
                "have not returned and keep running in their own threads",
            ),
        ]
        return "; ".join(told)

    def _told(self, error: BaseException, told: str) -> BaseException:
        """The exception, with a note about the functions that did not return."""
        cause: BaseException = error.error if isinstance(error, Stopped) and error.error is not None else error
        if type(cause) is TimeoutError and self._deadline.passed() >= 0:
            return self._deadline.late(told)
        cause.add_note(f"fanfold: {told}")
        return cause


def _of(keys: list[str], one: str, several: str) -> list[str]:
    """What is told of these functions; nothing if there are none."""
    names = ", ".join(f"'{key}'" for key in keys[:5]) + (f" and {len(keys) - 5:,} more" if len(keys) > 5 else "")
    return [f"{names} {one if len(keys) == 1 else several}"] if keys else []
