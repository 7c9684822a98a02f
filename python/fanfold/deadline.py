"""`Deadline`: when a call must end: at its timeout, or once its future was cancelled. Each part gets the time left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fanfold import _core


class Deadline:
    """The time when a call must end, if there is one, and whether it was cancelled."""

    def __init__(self, timeout: Any, watch: _core.Watch | None = None) -> None:
        self.watch = watch
        # A timeout this long counts as no timeout.
        self.seconds = float(timeout) if timeout is not None and timeout < 1e9 else None
        self._begun = time.monotonic()

    def left(self) -> float | None:
        """Return the seconds that are left, or None without a deadline; raise if none are left, or if cancelled."""
        if self.watch is not None and self.watch.is_stopped:
            from concurrent.futures import CancelledError

            raise CancelledError("the call was cancelled")
        if self.seconds is None:
            return None
        rest = self._begun + self.seconds - time.monotonic()
        if rest <= 0:
            raise self.late()
        return rest

    def begin(self, functions: int) -> None:
        """Tell whoever watches the call how many functions it calls now."""
        if self.watch is not None:
            self.watch.add_functions(functions)

    def returned(self) -> None:
        """Tell whoever watches the call that one of them has returned."""
        if self.watch is not None:
            self.watch.end_function()

    def passed(self) -> float:
        """Return the seconds since it passed; less than 0 before it, and without a deadline."""
        return -float("inf") if self.seconds is None else time.monotonic() - self._begun - self.seconds

    def late(self, told: str = "") -> TimeoutError:
        """Return the error that it has passed, in the words of the compiled half, with additional details."""
        when = f"timeout={self.seconds:g} s passed before the work was done"
        return TimeoutError(f"{when}{told and f' ({told})'}: pass a larger timeout or fewer functions")

    @contextmanager
    def within(self) -> Iterator[float | None]:
        """Give the compiled half the time that is left; its TimeoutError is replaced by one with the full timeout."""
        left = self.left()
        try:
            yield left
        except TimeoutError:
            raise self.late() from None


UNLIMITED = Deadline(None)
"""No deadline. (A small run takes a few microseconds; making a deadline took a tenth of that.)"""


def deadline_of(timeout: Any) -> Deadline:
    """Return the deadline of a call with this timeout, in the thread that runs it."""
    watch = _core.Watch.current()
    return UNLIMITED if timeout is None and watch is None else Deadline(timeout, watch)
