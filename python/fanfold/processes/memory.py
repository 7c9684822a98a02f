"""Memory that processes share, and where an array lies in it.

On Linux, shared memory is a file without a name (`memfd_create`); the pipe between two processes carries open files.
Nothing has to be removed, so a crash leaves nothing behind, and the size of ``/dev/shm`` (64 MB in many containers)
does not matter. The memory of a mapped file, of `SharedMemory` and of `multiprocessing.Array` is passed in the same
way, without a copy. Elsewhere shared memory is a `SharedMemory`, which has a name while the call runs.
"""

import mmap
import os
import secrets
import weakref
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HAS_FILES = hasattr(os, "memfd_create")
"""Whether shared memory can be a file without a name."""

ALIGNMENT = 64
"""A copy begins at the same address modulo this, because NumPy's loops treat the first elements of a cache line apart.
With the same strides too, NumPy computes the same bits."""


class Handle(NamedTuple):
    """What another process needs to map memory."""

    name: str | None
    """The name of a `SharedMemory`; None for an open file, which follows the message."""
    start: int
    """The first byte in the file: a page begins there."""
    size: int


class _Shared(SharedMemory):
    """Shared memory with a name. It stays mapped while arrays lie in it, and nobody has to hear of that."""

    def __del__(self) -> None:
        with suppress(BufferError, OSError):
            self.close()


class Memory:
    """Shared memory of this process, or a file that it has mapped."""

    def __init__(self, size: int, name: str | None) -> None:
        """Make memory; with a name if files without a name are not possible."""
        self._shared: SharedMemory | None = None
        self._file: int | None = None
        self.buffer: Any = None
        try:
            if name is None:
                self._file = os.memfd_create("fanfold")
                os.truncate(self._file, size)
                self.buffer = mmap.mmap(self._file, size)
            else:
                self._shared = _Shared(name, create=True, size=size)
                self.buffer = self._shared.buf
        except OSError as error:
            self.close()
            raise MemoryError(f"{size:,} bytes of shared memory could not be allocated: {error.strerror}") from None
        self.handle = Handle(name, 0, size)

    @classmethod
    def of_file(cls, file: int, start: int, size: int) -> "Memory":
        """Return a part of an open file."""
        made = cls.__new__(cls)
        made._shared, made._file, made.buffer, made.handle = None, file, None, Handle(None, start, size)
        return made

    def send(self, connection: Connection, process: int) -> None:
        """Send the open file to another process, after the message with the handle."""
        if self._file is not None:
            from multiprocessing.reduction import send_handle

            send_handle(connection, self._file, process)

    def close(self, *, remains: bool = False) -> None:
        """Let go of the memory. Its name is removed, unless it remains for another process to find."""
        self.buffer = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._shared is not None:
            if not remains:
                remove(self._shared.name)
            with suppress(BufferError):
                self._shared.close()
            self._shared = None


class Mapped(NamedTuple):
    """The memory of another process, mapped into this one for as long as this object or an array over it lives."""

    buffer: Any
    key: tuple[Any, ...]
    """Which memory it is. No other has this key as long as it is mapped."""
    shared: SharedMemory | None = None


def mapped(handle: Handle, connection: Connection, before: Sequence[Mapped]) -> Mapped:
    """Map memory, which cannot be written to. What was mapped before is used again if it is the same memory."""
    if handle.name is not None:
        key: tuple[Any, ...] = (handle.name,)
        same = [each for each in before if each.key == key]
        if same:
            return same[0]
        shared = _Shared(handle.name)
        buffer: Any = shared.buf
        return Mapped(buffer.toreadonly(), key, shared)
    file = _received(connection)
    try:
        key = (_number(file), handle.start, handle.size)
        same = [each for each in before if each.key == key]
        if same:
            return same[0]
        return Mapped(mmap.mmap(file, handle.size, prot=mmap.PROT_READ, offset=handle.start), key)
    finally:
        os.close(file)


def taken(handle: Handle, connection: Connection) -> Any:
    """Return a buffer of memory that its maker uses no more. It may be written to."""
    if handle.name is not None:
        shared = _Shared(handle.name)
        buffer: Any = shared.buf
        copy = bytearray(buffer)
        shared.close()
        return copy
    file = _received(connection)
    try:
        # A fork of this process must not see what is written here.
        return mmap.mmap(file, handle.size, flags=mmap.MAP_PRIVATE)
    finally:
        os.close(file)


def _received(connection: Connection) -> int:
    # Windows has no such function; there is no file there, either.
    from multiprocessing.reduction import recv_handle

    return recv_handle(connection)


def new_name() -> str | None:
    """Return a name for new memory; None if it needs none."""
    return None if HAS_FILES else f"fanfold_{os.getpid()}_{secrets.token_hex(4)}"


def remove(name: str | None) -> None:
    """Remove the name of shared memory, if it exists."""
    with suppress(FileNotFoundError):
        if name is not None:
            found = _Shared(name)
            found.close()
            found.unlink()


class Place(NamedTuple):
    """Where the elements of an array lie in shared memory."""

    handle: Handle
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, buffer: Any) -> npt.NDArray[Any]:
        """Return the array over this memory."""
        return np.ndarray(self.shape, self.dtype, buffer, self.offset, self.strides)


def placed(array: npt.NDArray[Any]) -> tuple[Memory, Place, int]:
    """Place an array, which has elements, in shared memory: where it lies already, or a copy with the same strides.

    Returns how many bytes were copied.
    """
    first, layout = _address(array), (array.dtype, array.shape, array.strides)
    low, high = _extent(array)
    found = _found(array, low, high)
    if found is not None:
        memory, start = found
        return memory, Place(memory.handle, first - start, *layout), 0
    shift = low % ALIGNMENT
    memory = Memory(shift + high - low, new_name())
    place = Place(memory.handle, shift + first - low, *layout)
    if high - low <= array.nbytes:
        np.frombuffer(memory.buffer, np.uint8, high - low, shift)[...] = np.asarray(_Bytes(low, high - low))
    else:
        # Pages between the elements are not touched and take no memory. Elements that repeat are copied once.
        once = tuple(slice(1) if step == 0 else slice(None) for step in array.strides)
        place.array(memory.buffer)[once] = array[once]
    return memory, place, min(high - low, array.nbytes)


class _Bytes:
    """Bytes at an address."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"data": (address, True), "shape": (size,), "typestr": "|u1", "version": 3}


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _extent(array: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the address of the first byte of an array's elements, and the address after the last byte."""
    low = high = _address(array)
    for size, step in zip(array.shape, array.strides, strict=True):
        reach = (size - 1) * step
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + array.itemsize


# ---- memory that is shared already ----


def _found(array: npt.NDArray[Any], low: int, high: int) -> tuple[Memory, int] | None:
    """Return the file in which an array lies, and the file's address; None if it lies in none, or if nobody knows.

    Linux tells which files are mapped. (Of the objects of Python only `np.memmap` tells it.)
    """
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        if isinstance(base, np.ndarray) and base.flags.owndata:
            return None
        base = base.base if isinstance(base, np.ndarray) else base.obj
    try:
        line = _lines.get(base) if type(base) is mmap.mmap else None
        if line is None:
            with open("/proc/self/maps", "rb") as maps:
                line = _line(maps.read().splitlines(), low)
            if type(base) is mmap.mmap:
                _lines[base] = line
        addresses, access, offset, device, inode, *path = line.split(None, 5)
        start, end = (int(address, 16) for address in addresses.split(b"-"))
        # A private map may have been written to.
        if access[3:4] != b"s" or high > end:
            return None
        major, minor = (int(number, 16) for number in device.split(b":"))
        file = _opened(path[0] if path else b"", (os.makedev(major, minor), int(inode)))
    except (OSError, ValueError):
        # Another system, or a system that tells less.
        return None
    if file is None:
        return None
    skipped = (low - start) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    return Memory.of_file(file, int(offset, 16) + skipped, high - start - skipped), start + skipped


_lines: weakref.WeakKeyDictionary[mmap.mmap, bytes] = weakref.WeakKeyDictionary()
"""What is known of maps, which stay where they are as long as arrays lie in them. A process has a thousand of them or
more, and reading all takes a millisecond."""


def _line(lines: list[bytes], address: int) -> bytes:
    """Return the line of the mapped memory that holds an address. The lines are in the order of the addresses."""
    first, last = 0, len(lines)
    while first < last:
        middle = (first + last) // 2
        start, end = lines[middle].partition(b" ")[0].split(b"-")
        if address < int(start, 16):
            last = middle
        elif address >= int(end, 16):
            first = middle + 1
        else:
            return lines[middle]
    raise ValueError("the address belongs to no map")


def _opened(path: bytes, number: tuple[int, int]) -> int | None:
    """Open the file with this device and number: by its name, or because it is open, as `multiprocessing.Array` is."""
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY)
        if _number(file) == number:
            return file
        os.close(file)
    for each in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):
            if _number(each) == number:
                return os.dup(each)
    return None


def _number(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino
