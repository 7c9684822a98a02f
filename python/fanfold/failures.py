"""How exceptions are raised: the lone one as it is, several as a group, and without keeping the caller's array alive.

A traceback leads to every frame that the exception has passed, and those to their variables, the caller's array among
them. If anything there leads back to the exception, then that circle is kept, array and all, until Python's garbage
collection comes by. So everything here that holds an exception lets go of it before it is raised.
"""

import copy
import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import numpy.typing as npt

from fanfold import _core
from fanfold.checks import shown
from fanfold.results import Results


def raise_problems(problems: list[Exception], message: str) -> None:
    """Raises what is wrong with a call, if anything is; `message` is that of a group. Empties the list."""
    if problems:
        error = problems[0] if len(problems) == 1 else ExceptionGroup(message, list(problems))
        problems.clear()
        try:
            raise error
        finally:
            del error


def raise_failures(errors: dict[str, Exception], functions: Collection[str], results: Results) -> NoReturn:
    """Raises what failed in a run, with the others' results attached. Empties the dict.

    `functions` are the keys of the plain functions, whose exceptions do not say by themselves where they come from.
    """
    # One problem of the data is told once, however many functions it keeps from an answer.
    lone = len({(type(error), _text(error)) for error in errors.values()}) == 1
    message = f"{len(errors)} of {len(errors) + len(results)} functions failed"
    raised = next(iter(errors.values())) if lone else ExceptionGroup(message, list(errors.values()))
    for key, error in errors.items():
        if key in functions:
            note(raised if lone else error, f"raised by the function '{key}' that was passed to fanfold")
        if error is not raised:
            results.errors[key] = error
            continue
        # It leads to its results. If they led back to it, that would be a circle: they get a copy.
        with suppress(Exception):
            results.errors[key] = copy.copy(error)
    try:
        raised.results = results  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - the user's own class may refuse in any way
        note(raised, "the other functions' results could not be attached to this exception")
    errors.clear()
    try:
        raise raised
    finally:
        del raised, error


_Run = TypeVar("_Run", bound=Callable[..., Results])


def answered(
    kernels: Sequence[str],
    nan_policy: str,
    array: npt.NDArray[Any] | _core.Source,
    workers: int,
    timeout: float | None = None,
) -> list[Any]:
    """What kernels say of an array, for whoever needs to know it before a run; raises what fails, not in their name."""
    plan = _core.Plan([_core.Kernel(name) for name in kernels], nan_policy)
    answers, failures, *_ = plan.run(array, workers, timeout, {})
    wrong = next((error for _, error in failures), None)
    failures.clear()
    try:
        if wrong is not None:
            raise MemoryError(str(wrong).partition(": ")[2]) if isinstance(wrong, MemoryError) else wrong
    finally:
        del wrong
    return answers


def short_of_memory(error: MemoryError, keys: Iterable[str]) -> MemoryError:
    """A failure to find memory in the name of these functions, if it does not say whose it is; NumPy's in our words."""
    text = str(error)
    if text.startswith("'"):
        return error
    size = getattr(error, "_total_size", 0)
    if size or not text:
        wanted = f"{size:,} bytes of memory" if size else "memory"
        advice = "pass less data or fewer functions at a time, or raise the limit of the process's memory"
        text = f"{wanted} could not be had: {advice}"
    return MemoryError(f"{', '.join(map(shown, keys))}: {text}")


def in_the_name_of_all(run: _Run) -> _Run:
    """A method of a plan in which NumPy may find no memory before any function is at work, for all of them."""

    @functools.wraps(run)
    def named(plan: Any, *given: Any, **options: Any) -> Any:
        try:
            return run(plan, *given, **options)
        except MemoryError as error:
            # One that was raised for functions comes with the others' results.
            if hasattr(error, "results"):
                raise
            # The core names those that it was asked for, but without this part none of the call's functions can run.
            text = str(short_of_memory(error, ["all"])).partition(": ")[2]
            raise MemoryError(f"{', '.join(map(shown, plan._order))}: {text}") from None

    return named  # type: ignore[return-value]


def note(error: Exception, text: str) -> None:
    """Adds a note once, unless the exception takes none: one that is frozen must come out as it is."""
    with suppress(Exception):
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)


def _text(error: Exception) -> str | int:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own class may fail in any way
        return id(error)
