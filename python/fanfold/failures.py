"""How exceptions are raised: the lone one as it is, several as a group, and without keeping the caller's array alive.

A traceback leads to every frame that the exception has passed, and those to their variables, the caller's array among
them. If anything there leads back to the exception, then that circle is kept, array and all, until Python's garbage
collection comes by. So everything here that holds an exception lets go of it before it is raised.
"""

import copy
from collections.abc import Collection
from contextlib import suppress
from typing import NoReturn

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
