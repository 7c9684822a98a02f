"""How a user's function is called without tracing: with a read-only array, in a copy of the caller's context.

Functions that were compiled for writeable arrays (Numba with explicit signatures, Cython's memoryviews without
``const``) refuse a read-only array, although they only read. They are called again with their own copy.
"""

import contextvars
import re
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, Protocol

import numpy.typing as npt

from fanfold import _core, checks
from fanfold.deadline import Deadline
from fanfold.scheduler import Elsewhere, Scheduler, Stopped, Wait, Work, in_turn

Array = npt.NDArray[Any]
Function = Callable[..., Any]


class UserFunction(Protocol):
    """A user's function as a run calls it: here, or in a process."""

    bytes_copied: int
    """The bytes of the array that were copied for it."""

    def __call__(self, array: Array, **arguments: Any) -> Any:
        """Return the function's result for the elements, and these arguments."""

    def each(self, calls: Iterable[tuple[Array, dict[str, Any]]]) -> list[Any]:
        """Return the function's results for these read-only arrays, and these arguments."""


COPIED = "it does not accept a read-only array: it was called with a copy"
"""What the report says of a function that was called with a copy."""


class Called:
    """A user's function, and how many bytes had to be copied for it."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.bytes_copied = 0
        # The function sees the caller's `np.errstate`. Each function has its own copy and cannot change others'.
        self.context = contextvars.copy_context()

    def __call__(self, array: Array, **arguments: Any) -> Any:
        """Return the function's result for the elements in place, and these arguments."""
        return self.on(checks.locked(array), **arguments)

    def each(self, calls: Iterable[tuple[Array, dict[str, Any]]]) -> list[Any]:
        """Return the function's results for these read-only arrays, and these arguments."""
        return [self.on(array, **arguments) for array, arguments in calls]

    def on(self, array: Array, **arguments: Any) -> Any:
        """Return the function's result for a read-only array."""
        try:
            return self.context.run(self.function, array, **arguments)
        except Exception as error:
            if not refuses_read_only(error):
                raise
            refused = error
        try:
            copy = array.copy(order="K")
            result = self.context.run(self.function, copy, **arguments)
        except Exception:  # noqa: BLE001 - a function may raise anything; then the copy was not the problem
            raise refused from None
        finally:
            del refused
        self.bytes_copied += copy.nbytes
        return result


def refuses_read_only(error: Exception) -> bool:
    """Whether a function failed because it does not accept a read-only array; not if it tried to write to it.

    Values written to a copy would be lost silently. The user therefore sees NumPy's own refusals to write ("assignment
    destination is read-only", "sort array is read-only").
    """
    if not isinstance(error, TypeError | ValueError | BufferError):
        return False
    try:
        return bool(_REFUSALS.search(str(error)))
    except Exception:  # noqa: BLE001 - a user's exception can fail in any way
        return False


_REFUSALS = re.compile(
    r"readonly array"  # Numba's signatures, np.ctypeslib
    r"|buffer source array is read-only"  # Cython's memoryviews, the buffer protocol of arrays
    r"|not write?able",  # pybind11, ctypes
    re.IGNORECASE,
)


class Task:
    """The plain call of a function, and what it returned or raised."""

    def __init__(self, key: str, call: Callable[[Array], Any], data: Array) -> None:
        self.key = key
        self.result: Any = None
        self.error: Exception | None = None
        self._call = call
        self._data = data

    def attempt(self) -> None:
        """Call the function."""
        try:
            self.result = self._call(self._data)
        except Exception as error:  # noqa: BLE001 - a function may raise anything
            self.error = without_our_frames(error)


def without_our_frames(error: Exception) -> Exception:
    """Return the exception as the function raised it: with our frames it would refer to the whole run."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith("fanfold."):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


class Sweep:
    """One run of kernels as work of the calling thread; no function waits for it."""

    def __init__(self, run: Callable[..., Any] | None, deadline: Deadline) -> None:
        self.answer: Any = None
        self._run = run
        self._deadline = deadline

    def check(self) -> None:
        """Raise if the timeout has passed."""
        self._deadline.left()

    def is_wanted(self) -> bool:
        """Whether it has not run yet."""
        return self._run is not None

    def sweep(self, waiting: list[Wait], workers: int) -> list[Wait]:
        """Run the kernels."""
        run, self._run = self._run, None
        if run is not None:
            with self._deadline.within() as left:
                self.answer = run(workers=workers, timeout=left)
        return waiting


def call_all(
    tasks: Sequence[Task], work: Work, workers: int, deadline: Deadline, elsewhere: Elsewhere | None = None
) -> tuple[int, Set[Any]]:
    """Call functions plainly, beside the work of the calling thread.

    Returns how many were called at a time, and the keys of those that held the GIL for most of their time.
    The calling thread does not wait for a process itself: it looks at the clock meanwhile.
    """
    if tasks and (elsewhere is not None or (workers > 1 and len(tasks) + work.is_wanted() > 1)):
        scheduler = Scheduler(tasks, work, workers, deadline, elsewhere=elsewhere)
        try:
            scheduler.run()
        except Stopped as stopped:
            raise stopped.error or stopped from None
        return scheduler.most_threads, scheduler.held_gil
    in_turn(tasks, work)
    if work.is_wanted():
        work.sweep([], workers)
    return 1, frozenset()


def budget(workers: int) -> int:
    """Return how many workers a run has; 0 means as many as possible. A run inside another run's function has one."""
    return 1 if _core.is_worker() else workers or int(_core.config()["workers"])
