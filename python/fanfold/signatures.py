"""Calls with the parameters of another call, which are written only there."""

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def with_parameters_of(of: Callable[_P, Any], returns: Any) -> Callable[[Callable[..., _R]], Callable[_P, _R]]:
    """Give a function the parameters of another one, for readers, shells and type checkers."""

    def changed(function: Callable[..., _R]) -> Callable[_P, _R]:
        function.__signature__ = inspect.signature(of).replace(return_annotation=returns)  # type: ignore[attr-defined]
        return function

    return changed
