"""Finds the functions that hold the GIL for most of their time, by how the thread that waits for them wakes up.

A thread that wakes up needs the GIL. If a function holds it in Python code, the thread goes to sleep once more, until
the function has been asked to give it up, a switch interval later; if a function holds it in C code, until that
returns. A function in NumPy code that has released the GIL does not delay it. On a busy machine a thread may wake up
late for other reasons, but then it has not slept twice.

If all threads together wanted one processor, the functions took turns with the GIL, and each held it while it ran.
Otherwise nobody knows which of them held it, and the time speaks against all of them: one wrong look on a busy machine
must not name a function. Linux tells how long a thread has run, and
how long it has waited for a processor. (A profiler would know all of this, but slows every call of a function.)
"""

import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:
    # Another system.
    CAN_TELL = False
else:
    CAN_TELL = os.path.exists("/proc/self/schedstat")

SHORTEST = 0.2
"""Seconds that a function must have held the GIL for. A shorter one is not worth a process, and most of its time may
lie in two looks of which it had only a part."""

HELD = "it held the GIL for most of its time: processes=True runs it in a process"
"""What the report says of such a function."""

HELD_HERE = "it held the GIL for most of its time, and asked for no elements: later calls run it in a process"
"""What the report says of it with processes."""

HELD_BEFORE = "it held the GIL in an earlier call"
"""What the report says of it in a later call."""

WINDOW = 0.04
"""Seconds from one look to the next, at least. The system does not count shorter times exactly."""

_ONE = 1.5
"""Processors that threads want at most if they take turns: some of the work between two turns needs no GIL."""


class _Call(Protocol):
    key: str


class Holders:
    """The functions of a run that held the GIL."""

    def __init__(self) -> None:
        # How often somebody held the GIL since the last look, and how often nobody did.
        self._held_at = self._free_at = 0
        self._last = time.monotonic(), time.process_time()
        # What each thread was doing, and the seconds for which it had run and waited for a processor.
        self._used: dict[threading.Thread, tuple[_Call, float, float]] = {}
        # For each function, the seconds for which it held the GIL, and all seconds.
        self._held: dict[Any, float] = {}
        self._all: dict[Any, float] = {}

    def wait(self, lock: threading.Lock, timeout: float) -> None:
        """Wait for a lock, and look whether somebody holds the GIL when the timeout is over."""
        if not CAN_TELL:
            lock.acquire(timeout=timeout)
            return
        begun, slept = time.monotonic(), getrusage(RUSAGE_THREAD).ru_nvcsw
        if lock.acquire(timeout=timeout):
            # Something else woke the thread up.
            return
        late = time.monotonic() - begun - timeout
        if late > 0.8 * sys.getswitchinterval() and getrusage(RUSAGE_THREAD).ru_nvcsw - slept > 1:
            self._held_at += 1
        else:
            self._free_at += 1

    def look(self, begun: Mapping[threading.Thread, _Call]) -> None:
        """Take down what the functions did since the last look. None of these threads may end meanwhile."""
        if not CAN_TELL or time.monotonic() - self._last[0] < WINDOW:
            return
        is_known, is_held = self._held_at + self._free_at > 0, self._held_at > self._free_at
        self._held_at = self._free_at = 0
        before, self._used = self._used, {thread: (call, *_seconds(thread)) for thread, call in begun.items()}
        last, self._last = self._last, (time.monotonic(), time.process_time())
        passed, wanted = (new - old for new, old in zip(self._last, last, strict=True))
        ran: list[tuple[Any, float]] = []
        for thread, (call, seconds, waited) in self._used.items():
            earlier, seconds_before, waited_before = before.get(thread, (call, 0.0, 0.0))
            wanted += waited - waited_before
            if earlier is call:
                ran.append((call.key, seconds - seconds_before))
        if not is_known:
            return
        took_turns = wanted <= _ONE * passed
        for key, seconds in ran:
            self._all[key] = self._all.get(key, 0.0) + seconds
            if is_held and took_turns:
                self._held[key] = self._held.get(key, 0.0) + seconds

    def found(self) -> set[Any]:
        """Return the keys of the functions that held the GIL for most of their time."""
        return {key for key, held in self._held.items() if held >= max(SHORTEST, self._all[key] / 2)}


def _seconds(thread: threading.Thread) -> tuple[float, float]:
    """Return how long a thread has run, and how long it has waited for a processor."""
    try:
        # As bytes: where memory or threads are short, Python may be unable to load a codec.
        with open(f"/proc/self/task/{thread.native_id}/schedstat", "rb", buffering=0) as file:
            ran, waited, _ = map(int, file.read().split())
    except (OSError, ValueError, MemoryError):
        # The thread has not begun.
        return 0.0, 0.0
    return ran / 1e9, waited / 1e9
