"""Packages that are imported when they are needed, and may not be installed."""

import importlib
from contextlib import suppress
from typing import Any

from fanfold.tracebacks import raise_on_purpose


def imported(name: str, needed_by: str, remedy: str) -> Any:
    """Return a module. If it is not installed, the caller is told what needs it and what to do."""
    with suppress(ImportError):
        return importlib.import_module(name)
    # Outside of the handler: the caller need not see Python's own error above ours.
    package = name.partition(".")[0]
    return raise_on_purpose(ImportError(f"{needed_by} needs {package}, which is not installed: {remedy}"))
