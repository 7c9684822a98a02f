"""`progress=`: how far a call is, told while it computes.

The call computes in a thread of its own, and the calling thread tells: so the user's callback runs where the user
called, and no compiled code waits for it.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from typing import Any, TextIO

from fanfold import _core
from fanfold.futures import in_thread
from fanfold.results import Results

TOTAL = 1000
"""Progress is told in thousandths of the call."""

INTERVAL = 0.1
"""Seconds between two reports."""

DELAY = 0.5
"""Seconds before the line of ``progress=True`` appears: a shorter call shows none."""

OF_A_SWEEP = 0.8
"""The part of what is left that a sweep counts for: how many there will be is not known before the functions ask."""

Tell = Callable[[int, int], Any]


def reported(call: Callable[[], Results], progress: Any) -> Results:
    """Return the result of a call, and tell how far it is meanwhile."""
    if _core.is_worker():
        # A function of another call, which tells for both.
        return call()
    outer = _core.Watch.current()
    watch = outer or _core.Watch()
    reporter = _reporter(progress)
    reached = 0
    try:
        future = in_thread(call, watch)
        try:
            while not wait((future,), INTERVAL).done:
                if outer is not None and outer.is_stopped:
                    raise CancelledError("the call was cancelled")
                reached = max(reached, _reached(watch))
                reporter.tell(reached)
            result = future.result()
        except BaseException:
            future.cancel()
            raise
        reporter.tell(TOTAL)
        return result
    finally:
        reporter.close()


def _reached(watch: _core.Watch) -> int:
    """The thousandths that are done, but not all of them: then the call would have ended.

    Sweeps over memory bring a call forward, and so do functions that return. Each sweep counts for most of what is
    left, since another one may follow.
    """
    jobs, done, pieces, functions, returned = watch.progress
    latest = done / pieces if pieces else 0.0
    left = (1 - OF_A_SWEEP) ** max(jobs - 1, 0) * (1 - OF_A_SWEEP * min(latest, 1.0)) if jobs else 1.0
    # Functions wait for the sweeps: those that have returned count as a whole.
    swept = 1 - left
    share = swept if not functions else (returned + swept * max(functions - returned, 0)) / functions
    return min(int(TOTAL * share), TOTAL - 1)


class _Reporter:
    """Passes on what is new."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._last = -1

    def tell(self, done: int) -> None:
        if done > self._last:
            self._last = done
            self._tell(done, TOTAL)

    def close(self) -> None:
        """End the report."""


class _Bar(_Reporter):
    """A bar of tqdm's, or of a class like it."""

    def __init__(self, kind: Any) -> None:
        self._bar = kind(total=TOTAL)
        super().__init__(self._update)
        self._shown = 0

    def _update(self, done: int, total: int) -> None:
        del total
        self._bar.update(done - self._shown)
        self._shown = done

    def close(self) -> None:
        self._bar.close()


class _Line(_Reporter):
    """One line, written again and again, that is removed in the end. Its seconds go on, whatever is done."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._begun = time.monotonic()
        self._width = 0

    def tell(self, done: int) -> None:
        seconds = time.monotonic() - self._begun
        if seconds < DELAY:
            return
        line = f"fanfold: {done * 100 // TOTAL} % after {seconds:.1f} s"
        self._to.write(f"\r{line.ljust(self._width)}")
        self._to.flush()
        self._width = len(line)

    def close(self) -> None:
        if self._width:
            self._to.write(f"\r{' ' * self._width}\r")
            self._to.flush()


def _reporter(progress: Any) -> _Reporter:
    if progress is True:
        return _Line(sys.stderr) if _is_read(sys.stderr) else _Reporter(lambda done, total: None)
    if isinstance(progress, type) and hasattr(progress, "update") and hasattr(progress, "close"):
        return _Bar(progress)
    return _Reporter(progress)


def _is_read(to: Any) -> bool:
    """Whether somebody looks at the stream: a terminal, or a notebook."""
    if to is None:
        return False
    if "ipykernel" in sys.modules and type(to).__module__.startswith("ipykernel"):
        return True
    return bool(getattr(to, "isatty", lambda: False)())
