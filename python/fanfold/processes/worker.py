"""What runs inside a worker process: it calls the functions that its parent sends, one after the other."""

import os
import pickle
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]
import numpy as np

from fanfold.calling import Arguments, Called
from fanfold.processes.memory import Mapped, Memory, Place, mapped, remove, taken
from fanfold.processes.packing import Packed, packed, unpacked
from fanfold.scheduler import standing_in
from fanfold.tracebacks import without_our_frames

KEPT = 1.0
"""Seconds that the memory of a call's array stays mapped, for the next call. Mapping 32 MB again takes 3 ms, page by
page."""

is_inside = False
"""Whether this process is a worker."""


class Shared(NamedTuple):
    """Stands for an array that lies in shared memory."""

    number: int


class Given(NamedTuple):
    """A function, and what it is called with."""

    function: Any
    calls: list[Arguments]
    """What each call gets."""
    floating: dict[str, Any]
    """The caller's `np.errstate`."""
    filters: Sequence[Any]
    """The caller's warning filters."""


class Message(NamedTuple):
    """What the parent sends."""

    places: list[Place]
    """The arrays that lie in shared memory."""
    given: Packed
    path: list[str]
    """Where modules are found. This and the directory may have changed since the process began."""
    directory: str | None
    name: str | None
    """The name for the shared memory of the results, if it needs one."""


class Outcome(NamedTuple):
    """What the worker answers."""

    values: list[Any] | None
    """What the calls returned; None if one failed."""
    error: Exception | None = None
    trace: str = ""
    """The traceback of the error, as text."""
    told: Sequence[tuple[str, type[Warning], str, int]] = ()
    """The warnings: their texts and categories, the files and the lines."""
    bytes_copied: int = 0


def serve(connection: Connection, alive: Connection) -> None:
    """Call functions until the parent closes the pipe. The pipe `alive` closes when the parent ends in any way."""
    global is_inside
    is_inside = True
    # The parent gets Ctrl-C too. It ends the workers that are busy.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    shared: list[Mapped] = []
    with standing_in():
        while True:
            try:
                if shared and not connection.poll(KEPT):
                    shared = []
                message = connection.recv()
            except (EOFError, OSError):
                return
            arrays = own = None
            if message.places:
                shared = [mapped(place.handle, connection, before=shared) for place in message.places]
                arrays = [place.array(each.buffer) for place, each in zip(message.places, shared, strict=True)]
            if message.given.handle is not None:
                own = taken(message.given.handle, connection)
            answer, memory = _answer(message, arrays or [], own)
            del message, arrays, own
            connection.send(answer)
            if memory is not None:
                memory.send(connection, os.getppid())
                memory.close(remains=True)


def _end_with(alive: Connection) -> None:
    """End the process when the pipe closes, even if a function is busy."""
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _answer(message: Message, shared: Sequence[Any], own: Any) -> tuple[Packed, Memory | None]:
    """Call a function with the arrays in shared memory, and what lies in memory of its own. Return the outcome, and the
    memory of its large arrays.
    """
    outcome = _outcome(message, shared, own)
    try:
        return packed(outcome, message.name)
    except Exception as error:  # noqa: BLE001 - pickling calls methods of the user's classes
        remove(message.name)
        return packed(Outcome(None, _unsendable(error)), None)


def _outcome(message: Message, shared: Sequence[Any], own: Any) -> Outcome:
    sys.path[:] = message.path
    try:
        if message.directory is not None:
            os.chdir(message.directory)
        given: Given = unpacked(message.given, own)
    except Exception as error:  # noqa: BLE001 - unpickling imports the user's modules
        text = f"it could not be loaded in its process: {type(error).__name__}: {error}"
        return Outcome(None, RuntimeError(f"{text}: make what it needs importable there, or run it without processes"))
    with warnings.catch_warnings(record=True) as told:
        for action, text, category, module, line in reversed(given.filters):
            warnings.filterwarnings(action, _pattern(text), category, _pattern(module), line)
        with np.errstate(**given.floating):
            called = Called(given.function)
        try:
            found = Outcome(called.each(_calls(given, shared)))
        except Exception as error:  # noqa: BLE001 - a function may raise anything
            without_our_frames(error)
            found = Outcome(None, _sendable(error), "".join(traceback.format_exception(error)))
    noticed = [(str(each.message), each.category, each.filename, each.lineno) for each in told]
    return found._replace(told=noticed, bytes_copied=called.bytes_copied)


def _pattern(given: Any) -> str:
    """Return the regular expression of a warning filter as text."""
    if given is None:
        return ""
    # Python's own filters have the name of a module.
    return rf"{re.escape(given)}\Z" if isinstance(given, str) else str(given.pattern)


def _calls(given: Given, shared: Sequence[Any]) -> Iterator[Arguments]:
    """Return what each call gets, with read-only arrays."""

    def own(array: Any) -> Any:
        array = shared[array.number] if isinstance(array, Shared) else array
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
        return array

    for arrays, columns, arguments in given.calls:
        yield tuple(map(own, arrays)), {name: own(column) for name, column in columns.items()}, arguments


def _sendable(error: Exception) -> Exception:
    """Return the exception, or one with its text if it cannot be pickled or unpickled."""
    try:
        same = type(pickle.loads(cloudpickle.dumps(error))) is type(error)  # noqa: S301 - just pickled
    except Exception:  # noqa: BLE001 - pickling calls methods of the user's classes
        same = False
    return error if same else RuntimeError(f"{type(error).__name__}: {error}")


def _unsendable(error: Exception) -> Exception:
    """Return the exception for a result that cannot be pickled."""
    advice = "return arrays, numbers or other objects that can be pickled, or run it without processes"
    return TypeError(f"its result cannot be sent back from its process ({type(error).__name__}: {error}): {advice}")
