"""Which exception a call raises: a single one as it is, mistakes of a call as one that lists them, and failures of
functions with the other functions' results. `tracebacks` says what it shows, and why references to it are dropped.
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
from fanfold.tracebacks import raise_on_purpose


def raise_problems(problems: list[Exception], message: str) -> None:
    """Raise the problems of a call, if there are any, as one exception. This empties the list.

    `message` is the headline of several. They are a TypeError if one of them is, unless all have another type.
    """
    if problems:
        error = _listed(problems, message)
        problems.clear()
        try:
            raise_on_purpose(error)
        finally:
            del error


def _listed(errors: Sequence[Exception], message: str) -> Exception:
    """Return an exception that lists others below the message; the first one if they all say the same."""
    lines = dict.fromkeys("; ".join([str(error), *getattr(error, "__notes__", ())]) for error in errors)
    if len(lines) == 1:
        return errors[0]
    kinds = {type(error) for error in errors}
    general = TypeError if any(isinstance(error, TypeError) for error in errors) else ValueError
    return (kinds.pop() if len(kinds) == 1 else general)("\n- ".join([f"{message}:", *lines]))


def raise_failures(errors: dict[str, Exception], functions: Collection[str], results: Results) -> NoReturn:
    """Raise the failures of a run, with the other functions' results attached. This empties the dict.

    `functions` are the keys of the plain functions, whose exceptions do not say by themselves where they come from.
    """
    message = f"{len(errors):,} of {len(errors) + len(results):,} functions failed"
    # One problem of the data is raised once, even if many functions fail because of it.
    lone = len({(type(error), _text(error)) for error in errors.values()}) == 1
    if lone:
        raised = next(iter(errors.values()))
    elif len(set(map(type, errors.values()))) == 1 and not errors.keys() & set(functions):
        raised = _listed(list(errors.values()), message)
    else:
        raised = ExceptionGroup(message, list(errors.values()))
    for key, error in errors.items():
        if key in functions:
            note(raised if lone else error, f"raised by the function '{key}' that was passed to fanfold")
        if error is not raised:
            results.errors[key] = error
            continue
        # The exception refers to its results. They get a copy of it, because the exception itself would make a cycle.
        with suppress(Exception):
            results.errors[key] = copy.copy(error)
    try:
        raised.results = results  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - the user's own class may refuse in any way
        note(raised, "the other functions' results could not be attached to this exception")
    errors.clear()
    try:
        raise_on_purpose(raised)
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
    """Return the results of kernels that are needed before a run; raise a failure without the kernels' names."""
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
    """Return a MemoryError that names these functions, if it names none; NumPy's error gets our words."""
    text = str(error)
    if text.startswith("'"):
        return error
    size = getattr(error, "_total_size", 0)
    if size or not text:
        wanted = f"{size:,} bytes of memory" if size else "memory"
        advice = "pass less data or fewer functions at a time, or raise the limit of the process's memory"
        text = f"{wanted} could not be allocated: {advice}"
    return MemoryError(f"{', '.join(map(shown, keys))}: {text}")


def in_the_name_of_all(run: _Run) -> _Run:
    """Wrap a method of a plan, so that NumPy's MemoryError before any function runs names all functions."""

    @functools.wraps(run)
    def named(plan: Any, *given: Any, **options: Any) -> Any:
        try:
            return run(plan, *given, **options)
        except MemoryError as error:
            # An error raised for some functions comes with the other functions' results.
            if hasattr(error, "results"):
                raise
            # The core names only the kernels that it ran; but without their results no function of the call can run.
            text = str(short_of_memory(error, ["all"])).partition(": ")[2]
            raise MemoryError(f"{', '.join(map(shown, plan._order))}: {text}") from None

    return named  # type: ignore[return-value]


def note(error: Exception, text: str) -> None:
    """Add a note once, unless the exception accepts none: a frozen exception must come out unchanged."""
    with suppress(Exception):
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)


def _text(error: Exception) -> str | int:
    """Return what an exception says; if it cannot say it, what no other exception says."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own class may fail in any way
        return id(error)
