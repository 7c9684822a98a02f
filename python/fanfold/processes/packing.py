"""Messages between processes: pickles, whose large arrays travel in shared memory."""

import io
import pickle
from collections import ChainMap
from collections.abc import Callable
from types import CodeType
from typing import Any, ClassVar, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from fanfold.processes.memory import ALIGNMENT, Handle, Memory

LARGE = 1 << 18
"""From this number of bytes on, shared memory is faster than the pipe."""


def _code(code: CodeType) -> tuple[Any, ...]:
    make, args, *_ = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return _of_file, (make, args, code.co_filename)


def _of_file(make: Callable[..., CodeType], args: tuple[Any, ...], file: str) -> CodeType:
    return make(*args).replace(co_filename=file)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles lambdas, and functions and classes of scripts and notebooks, by their contents.

    cloudpickle forgets the names of their files, which tracebacks and warnings show.
    """

    dispatch_table: ClassVar = ChainMap({CodeType: _code}, cloudpickle.Pickler.dispatch_table)


class Packed(NamedTuple):
    """A value as bytes and, if it has large parts, the shared memory that holds them."""

    data: bytes
    handle: Handle | None = None
    spans: tuple[tuple[int, int], ...] = ()
    """The first and last byte of each part in the memory. Without `data`, the first part is the pickle."""


def packed(value: Any, name: str | None) -> tuple[Packed, Memory | None]:
    """Pickle a value, lambdas and classes of notebooks included; `name` is for the shared memory, if it needs one."""
    parts: list[Any] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        parts.append(raw)
        return False

    written = io.BytesIO()
    _Pickler(written, protocol=5, buffer_callback=is_small).dump(value)
    data = written.getvalue()
    if len(data) >= LARGE:
        parts.insert(0, memoryview(data))
        data = b""
    if not parts:
        return Packed(data), None
    spans, end = [], 0
    for part in parts:
        start = -(-end // ALIGNMENT) * ALIGNMENT
        end = start + part.nbytes
        spans.append((start, end))
    memory = Memory(end, name)
    with memoryview(memory.buffer) as room:
        for part, (start, stop) in zip(parts, spans, strict=True):
            room[start:stop] = part
    return Packed(data, memory.handle, tuple(spans)), memory


def unpacked(packed: Packed, buffer: Any) -> Any:
    """Return the value. Its large arrays lie in the buffer."""
    parts = [memoryview(buffer)[start:stop] for start, stop in packed.spans]
    return pickle.loads(packed.data or parts.pop(0), buffers=parts)  # noqa: S301 - a message of a process of our own
