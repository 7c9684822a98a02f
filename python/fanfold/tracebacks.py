"""What a traceback shows: the user's lines, without the frames of fanfold above a mistake of the caller.

A traceback refers to every frame that the exception passed, and to the variables there, including the caller's array.
If anything there refers back to the exception, this cycle keeps the array alive until the garbage collector runs.
So all code that raises an exception which it has in a variable drops this reference first.
"""

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def raise_on_purpose(error: Exception) -> NoReturn:
    """Raise an exception that is meant for the caller: its traceback ends at the call (see `shown_at_the_call`).

    It is no bug of fanfold, but a mistake in a call, or a failure of a function.
    """
    try:
        raise error
    finally:
        del error


def shown_at_the_call(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a call of users', so that tracebacks of its exceptions have no frames of fanfold.

    The last line shown is then the user's own, or one of the user's functions. An exception that was not raised on
    purpose keeps its frames: they show where the bug is.
    """

    @functools.wraps(call)
    def shown(*given: _P.args, **options: _P.kwargs) -> _R:
        try:
            return call(*given, **options)
        except Exception as error:
            show_at_the_call(error)
            # This alone adds no frame.
            raise

    return shown


def show_at_the_call(error: Exception) -> None:
    """Take frames of fanfold off an exception's traceback, in a call of users' that raises it again.

    If a call of ours made this call, that one sees to it.
    """
    caller = sys._getframe(1).f_back
    traceback = error.__traceback__
    if traceback is None or (caller is not None and _is_ours(caller)):
        return
    # With a single frame, that of the wrapper, Python has refused the arguments.
    on_purpose = traceback.tb_next is None and traceback.tb_frame.f_globals is globals()
    while traceback is not None and _is_ours(traceback.tb_frame):
        on_purpose |= traceback.tb_frame.f_code is raise_on_purpose.__code__
        traceback = traceback.tb_next
    if on_purpose:
        error.with_traceback(traceback)


def without_our_frames(error: Exception) -> Exception:
    """Return the exception as the function raised it: with our frames it would refer to the whole run."""
    traceback = error.__traceback__
    while traceback is not None and _is_ours(traceback.tb_frame):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)


def _is_ours(frame: FrameType) -> bool:
    """Whether a frame is of fanfold, or of the futures that it waits for."""
    name: str = frame.f_globals.get("__name__", "")
    return name.startswith(("fanfold.", "concurrent.futures."))
