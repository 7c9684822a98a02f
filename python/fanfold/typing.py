"""The types of what a call takes, for annotations.

A list that a script puts into a variable first has the type ``list[str]``, in which no checker can tell a kernel's name
from any other word. With an annotation it can::

    import fanfold as ff
    from fanfold.typing import Function

    functions: list[Function] = ["mean", "std", np.ptp]
    ff.run(x, functions)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from fanfold import _core
from fanfold.accepted import Data
from fanfold.kernel_names import KernelName

__all__ = ["Data", "Function", "Functions", "KernelName", "NanPolicy", "OnError", "Out", "Progress"]

Function: TypeAlias = (
    KernelName
    | _core.Kernel
    | Callable[[], _core.Kernel]
    | Callable[[npt.NDArray[Any]], Any]
    | Callable[[npt.NDArray[Any], dict[str, Any]], Any]
)
"""One function: a kernel by its name, with parameters (``ff.std(ddof=1)``) or without (``ff.std``), or a callable."""

# Not simply an iterable: a dict is one too, and then mypy does not find the type of a dict's values.
Several: TypeAlias = Sequence[Function] | Set[Function] | Iterator[Function]

Functions: TypeAlias = Function | Several | Mapping[Any, Function]
"""What `run` computes: one function or several, or a dict of them by the names of the results."""

NanPolicy: TypeAlias = Literal["propagate", "omit", "raise"]
OnError: TypeAlias = Literal["raise", "return"]
Out: TypeAlias = Mapping[Any, npt.NDArray[Any]]
Progress: TypeAlias = bool | Callable[..., Any] | None
