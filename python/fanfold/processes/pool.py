"""The worker processes: started when needed, kept for later calls, and ended with the interpreter.

Each worker has a pipe of its own, so a worker that dies fails only the function that it runs. (In an executor of loky
or of the standard library, all functions that are on their way fail together, and only running them again one by one
shows which of them ended the process.) loky starts the processes: without forking, and without importing the caller's
script again, which therefore needs no ``if __name__ == "__main__"``.
"""

import atexit
import multiprocessing.process
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from loky.backend import get_context  # type: ignore[import-untyped]

from fanfold.processes.memory import Memory, remove, taken
from fanfold.processes.packing import Packed
from fanfold.processes.worker import Message, serve

_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA")

ENDS = 1.0
"""Seconds that a process has to end, after its pipe is closed or after a signal that it cannot ignore."""


class Died(Exception):
    """A worker process has ended before it answered."""


class Worker:
    """A worker process."""

    def __init__(self) -> None:
        context: Any = get_context("loky")
        self._connection, theirs = context.Pipe(duplex=True)
        alive, self._alive = context.Pipe(duplex=False)
        # Several functions run at the same time: each has one thread, unless the user wants it otherwise.
        names = [f"{library}_NUM_THREADS" for library in _THREADS]
        environment = {name: "1" for name in names if name not in os.environ}
        self._process: Any = context.Process(target=serve, args=(theirs, alive), env=environment)
        self._process.start()
        # Python would wait for it at exit, also in a fork of this process. It ends with `alive`.
        multiprocessing.process._children.discard(self._process)  # type: ignore[attr-defined]
        theirs.close()
        alive.close()

    def is_alive(self) -> bool:
        """Whether the process runs, as far as is known."""
        return bool(self._process.is_alive())

    def ask(self, message: Message, memories: list[Memory], timeout: float | None) -> tuple[Packed, Any]:
        """Have a function called. Return the packed outcome, and the buffer of its large arrays."""
        try:
            self._connection.send(message)
            for memory in memories:
                memory.send(self._connection, self._process.pid)
            if timeout is not None and not self._connection.poll(timeout):
                raise TimeoutError
            answer: Packed = self._connection.recv()
            if answer.handle is None:
                return answer, None
            return answer, taken(answer.handle, self._connection)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            self._process.join(ENDS)
            self.end()
            raise Died(_how(self._process.exitcode)) from None
        finally:
            remove(message.name)

    def kill(self) -> None:
        """Have the process end, whatever it does. Whoever waits for its answer learns that it died."""
        if sys.platform == "win32":
            self._process.terminate()
        elif self._process.exitcode is None:
            os.kill(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the process, and let go of it."""
        self.kill()
        self._process.join(ENDS)
        for pipe in (self._connection, self._alive):
            with suppress(OSError):
                pipe.close()


def _how(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}" + (" (often for lack of memory)" if name == "SIGKILL" else "")


_idle: list[Worker] = []
_lock = threading.Lock()


def take() -> Worker:
    """Return a worker that is not busy; a new one if there is none."""
    while True:
        with _lock:
            worker = _idle.pop() if _idle else None
        if worker is None:
            return Worker()
        if worker.is_alive():
            return worker
        worker.end()


def give_back(worker: Worker) -> None:
    """Keep a worker for the next function."""
    with _lock:
        _idle.append(worker)


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def _forget() -> None:
    """Leave the workers to the parent, in a process that was forked from it."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


atexit.register(_end_all)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
