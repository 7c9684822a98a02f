"""`Deadline`: the timeout of a call, of which every part of its work takes what is left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Deadline:
    """When a call has to be over, if ever."""

    def __init__(self, timeout: Any) -> None:
        # A timeout that no clock reaches is none.
        self.seconds = float(timeout) if timeout is not None and timeout < 1e9 else None
        self._begun = time.monotonic()

    def left(self) -> float | None:
        """The seconds that are left, None of no deadline; raises if there are none."""
        if self.seconds is None:
            return None
        rest = self._begun + self.seconds - time.monotonic()
        if rest <= 0:
            raise self.late()
        return rest

    def passed(self) -> float:
        """The seconds since it passed; less than 0 before, and without a deadline."""
        return -float("inf") if self.seconds is None else time.monotonic() - self._begun - self.seconds

    def late(self, told: str = "") -> TimeoutError:
        """That it has passed, as the compiled half says it; and what else is to be told of it."""
        when = f"timeout={self.seconds:g} s passed before the work was done"
        return TimeoutError(f"{when}{told and f' ({told})'}: pass a larger timeout or fewer functions")

    @contextmanager
    def within(self) -> Iterator[float | None]:
        """What is left, for the compiled half, which would speak of that; here it speaks of what there was in all."""
        left = self.left()
        try:
            yield left
        except TimeoutError:
            raise self.late() from None


UNLIMITED = Deadline(None)
"""No deadline. (A small run is over in a few microseconds, of which making one took a tenth.)"""
