"""A user's function and its inputs, for traced and plain calls: read-only arrays, in a copy of the caller's context.

Functions that were compiled for writeable arrays (Numba with explicit signatures, Cython's memoryviews without
``const``) refuse a read-only array, although they only read. They are called again with their own copy.
"""

import contextvars
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy.typing as npt

from fanfold import _core, checks
from fanfold.deadline import Deadline, deadline_of
from fanfold.scheduler import Call, Elsewhere, Scheduler, Stopped, Wait, Work, in_turn
from fanfold.tracebacks import without_our_frames

Array = npt.NDArray[Any]
Function = Callable[..., Any]

Arguments = tuple[tuple[Array, ...], Mapping[str, Array], Mapping[str, Any]]
"""What a function is called with: arrays by place, arrays by name, and other arguments."""

COPIED = "it does not accept a read-only array: it was called with a copy"
"""What the report says of a function that was called with a copy."""


class Called:
    """A user's function, what it is called with, and how many bytes had to be copied for it.

    A function of several columns is called with `named`, the columns by its parameters' names. Any other function is
    called with `own`, or with the array of the run. It is called here, except a `processes.calls.Remote`.
    """

    is_remote = False
    """Whether it is called in a process."""
    is_known = False
    """Whether an earlier call has shown that it holds the GIL without asking for elements."""

    def __init__(
        self,
        function: Function,
        own: Array | None = None,
        named: Mapping[str, Array] | None = None,
        present: Array | None = None,
    ) -> None:
        self.function = function
        self.own = own
        self.named = named
        # The rows that the columns have, if some were left out.
        self.present = present
        self.bytes_copied = 0
        # The function sees the caller's `np.errstate`. Each function has its own copy and cannot change others'.
        self.context = contextvars.copy_context()

    @property
    def first(self) -> Any:
        """The array that it is called with, or the first column; None if that is the array of the run."""
        return next(iter(self.named.values())) if self.named else self.own

    def inputs(self, array: Array, view: Callable[[Array], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a call, each as this view shows it."""
        if self.named is not None:
            return (), {name: view(column) for name, column in self.named.items()}
        return (view(array if self.own is None else self.own),), {}

    def remember(self) -> None:
        """Have later calls run the function in a process from the beginning, if it is called in one."""

    def __call__(self, array: Array, **arguments: Any) -> Any:
        """Return the function's result for the elements in place, and these arguments."""
        return self.on(*self.inputs(array, checks.locked), **arguments)

    def each(self, calls: Iterable[Arguments]) -> list[Any]:
        """Return the function's results for calls with read-only arrays."""
        return [self.on(arrays, columns, **arguments) for arrays, columns, arguments in calls]

    def on(self, arrays: tuple[Array, ...], columns: Mapping[str, Array], **arguments: Any) -> Any:
        """Return the function's result for read-only arrays, given by place and by name."""
        try:
            return self.context.run(self.function, *arrays, **columns, **arguments)
        except Exception as error:
            if not refuses_read_only(error):
                raise
            refused = error
        try:
            copies = [array.copy(order="K") for array in arrays]
            named = {name: column.copy(order="K") for name, column in columns.items()}
            result = self.context.run(self.function, *copies, **named, **arguments)
        except Exception:  # noqa: BLE001 - a function may raise anything; then the copy was not the problem
            raise refused from None
        finally:
            del refused
        self.bytes_copied += sum(copy.nbytes for copy in (*copies, *named.values()))
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
        self.seconds = 0.0
        self._call = call
        self._data = data

    def attempt(self) -> None:
        """Call the function."""
        begun = time.perf_counter()
        try:
            self.result = self._call(self._data)
        except Exception as error:  # noqa: BLE001 - a function may raise anything
            self.error = without_our_frames(error)
        self.seconds = time.perf_counter() - begun


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
    tasks: Sequence[Call], work: Work, workers: int, deadline: Deadline, elsewhere: Elsewhere | None = None
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
    deadline.begin(len(tasks))
    in_turn(tasks, work, deadline)
    if work.is_wanted():
        work.sweep([], workers)
    return 1, frozenset()


def called_in_turn(functions: Mapping[Any, Function], data: Array) -> list[tuple[Task, Called]]:
    """Call functions of an array plainly, one after the other, in this thread."""
    deadline = deadline_of(None)
    called = {key: Called(function) for key, function in functions.items()}
    tasks = [Task(key, own, data) for key, own in called.items()]
    call_all(tasks, Sweep(None, deadline), 1, deadline)
    return list(zip(tasks, called.values(), strict=True))


def budget(workers: int) -> int:
    """Return how many workers a run has; 0 means as many as possible. A run inside another run's function has one."""
    return 1 if _core.is_worker() else workers or int(_core.config()["workers"])
