"""The types that a call accepts as data, for type checkers. `sources` opens them.

A protocol stands for each of the interfaces by which libraries offer their elements, so no library has to be imported.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt


class ArrowArray(Protocol):
    """A column or a table of one chunk that offers Arrow's C data interface."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> Any: ...


class ArrowStream(Protocol):
    """A column or a table in chunks that offers Arrow's C stream interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any: ...


class Tensor(Protocol):
    """An array of another library that offers DLPack."""

    def __dlpack__(self, *, stream: Any = ...) -> Any: ...

    def __dlpack_device__(self) -> Any: ...


class ArrayInterface(Protocol):
    """An array of another library that describes its memory as NumPy does."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class Locked(Protocol):
    """A ``multiprocessing.Array``, which holds an array and a lock."""

    def get_obj(self) -> Any: ...


Column = npt.ArrayLike | ArrowArray | ArrowStream | Tensor | ArrayInterface | Locked
"""An array, a column, or a sequence of numbers."""

Data = Column | Mapping[Any, Column]
"""One array or column, a table, or a dict of columns."""
