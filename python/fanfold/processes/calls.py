"""The functions of one run that are called in worker processes, and the memory that they share."""

import functools
import inspect
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.calling import Arguments, Called
from fanfold.checks import own_class, shown
from fanfold.deadline import Deadline
from fanfold.failures import note
from fanfold.processes.memory import Memory, Place, new_name, placed
from fanfold.processes.packing import packed, unpacked
from fanfold.processes.pool import Died, Worker, give_back, take
from fanfold.processes.worker import Given, Message, Outcome, Shared
from fanfold.scheduler import Stopped

Array = npt.NDArray[Any]


class Processes:
    """The processes that work for a run."""

    def __init__(self, deadline: Deadline) -> None:
        self.bytes_copied = 0
        """The bytes of arrays that were copied to shared memory, or pickled."""
        self._deadline = deadline
        self._stopped = False
        self._busy: dict[Worker, str] = {}
        self._lock = threading.Lock()
        # The arrays are kept, because their addresses are part of the keys.
        self._places: dict[tuple[Any, ...], tuple[Array, Memory, Place]] = {}

    def called(self, key: str, called: Called) -> "Remote":
        """Return a function that is called in a process with what it would be called with here."""
        return Remote(key, called, self)

    def place(self, array: Array) -> tuple[Memory, Place] | None:
        """Place an array in shared memory, once; None for what has to be pickled."""
        with self._lock:
            if own_class(array) is not None or array.dtype.hasobject or not array.size:
                self.bytes_copied += array.nbytes
                return None
            key = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype
            if key not in self._places:
                memory, place, copied = placed(array)
                self._places[key] = array, memory, place
                self.bytes_copied += copied
            return self._places[key][1:]

    def ask(self, key: str, message: Message, memories: list[Memory]) -> Outcome:
        """Have a function called in a process that is not busy."""
        worker = take()
        with self._lock:
            stopped = self._stopped
            if not stopped:
                self._busy[worker] = key
        if stopped:
            give_back(worker)
            raise Stopped
        try:
            answer, buffer = worker.ask(message, memories, self._left())
        except TimeoutError:
            worker.end()
            told = f"{shown(key)} had not returned: its process was ended"
            raise Stopped(self._deadline.late(told)) from None
        except Died as died:
            if self._stopped:
                raise Stopped from None
            advice = "to see why, run it without processes, or with less data"
            raise RuntimeError(f"the process of {shown(key)} {died} before it returned: {advice}") from None
        except BaseException:
            # What is in the pipe now belongs to nobody.
            worker.end()
            raise
        finally:
            with self._lock:
                self._busy.pop(worker, None)
        give_back(worker)
        outcome: Outcome = unpacked(answer, buffer)
        return outcome

    def _left(self) -> float | None:
        """Return how many seconds to wait: a little longer than the calling thread, which names all functions."""
        return None if self._deadline.seconds is None else max(-self._deadline.passed(), 0) + _LONGER

    def stop(self) -> list[str]:
        """End the processes that are busy, and begin no more. Return the keys of their functions."""
        with self._lock:
            self._stopped = True
            busy = dict(self._busy)
        for worker in busy:
            worker.kill()
        return list(busy.values())

    def close(self) -> None:
        """Let go of the shared memory."""
        with self._lock:
            for _, memory, _ in self._places.values():
                memory.close()
            self._places.clear()


class Remote(Called):
    """A user's function that is called in a process."""

    is_remote = True

    def __init__(self, key: str, called: Called, processes: Processes) -> None:
        super().__init__(called.function, called.own, called.named, called.present)
        self.is_known = _code(called.function) in _known
        self._key = key
        self._processes = processes
        self._floating: dict[str, Any] = {**np.geterr(), "call": np.geterrcall()}
        self._filters = list(warnings.filters)

    def remember(self) -> None:
        """Have later calls run the function in a process from the beginning."""
        code = _code(self.function)
        if code is not None:
            _known.add(code)

    def __call__(self, array: Array, **arguments: Any) -> Any:
        """Return the function's result for the elements, and these arguments."""
        found: list[tuple[Memory, Place]] = []

        def placed(own: Array) -> Array | Shared:
            """Return what stands for an array in the message."""
            place = self._processes.place(own)
            if place is None:
                return own
            found.append(place)
            return Shared(len(found) - 1)

        arrays, columns = self.inputs(array, placed)
        return self._called([(arrays, columns, arguments)], found)[0]

    def each(self, calls: Iterable[Arguments]) -> list[Any]:
        """Return the function's results for these calls. All of them travel in one message."""
        return self._called(list(calls), [])

    def on(self, arrays: tuple[Array, ...], columns: Mapping[str, Array], **arguments: Any) -> Any:
        """Return the function's result for arrays that are pickled."""
        return self.each([(arrays, columns, arguments)])[0]

    def _called(self, calls: list[Arguments], found: list[tuple[Memory, Place]]) -> list[Any]:
        given = Given(self.function, calls, self._floating, self._filters)
        try:
            parts, own = packed(given, new_name())
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - pickling calls methods of the user's classes
            advice = "pass what it holds as an array or a number, or run it without processes"
            text = f"{shown(self._key)} cannot be sent to a process ({type(error).__name__}: {error}): {advice}"
            raise TypeError(text) from None
        message = Message([place for _, place in found], parts, sys.path, _directory(), new_name())
        memories = [memory for memory, _ in found] + ([] if own is None else [own])
        try:
            outcome = self._processes.ask(self._key, message, memories)
        finally:
            if own is not None:
                own.close()
        return self._value(outcome)

    def _value(self, outcome: Outcome) -> list[Any]:
        self.bytes_copied += outcome.bytes_copied
        for text, category, file, line in outcome.told:
            module = next((name for name, each in list(sys.modules.items()) if _file(each) == file), file)
            warnings.warn_explicit(text, category, file, line, module, _told.setdefault(file, {}))
        if outcome.error is not None:
            if outcome.trace:
                note(outcome.error, f"fanfold: in a worker process\n{outcome.trace.rstrip()}")
            raise outcome.error
        if outcome.values is None:
            raise AssertionError("what did not fail has values")
        return outcome.values


def _code(function: Callable[..., Any]) -> CodeType | None:
    """Return the code of a function, of which there is one for all its closures; None for a compiled one."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(inspect.unwrap(function), "__code__", None)


_known: weakref.WeakSet[CodeType] = weakref.WeakSet()

_LONGER = 1.0

_told: dict[str, dict[Any, Any]] = {}
"""The warnings that were given, by file, as Python keeps them for each module."""


def _directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        # It was removed.
        return None


def _file(module: Any) -> Any:
    try:
        return module.__file__
    except Exception:  # noqa: BLE001 - lazy modules run code
        return None
