"""The array zoo: every dtype, with contents that have gone wrong somewhere before, in every layout NumPy can make.

A *content* is a one-dimensional, contiguous, native array of the elements themselves. A *layout* puts given elements
somewhere else in memory, so that NumPy reads the same elements in the same order (`broadcast` repeats them, and `0-d`
has the first only).
"""

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BLOCK = 4096
CHUNK = 16 * BLOCK

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
TIMES = ("datetime64[D]", "datetime64[ns]", "timedelta64[25us]", "timedelta64[s]", "timedelta64")
DTYPES = ("bool", *INTEGERS, *FLOATS, *COMPLEX, *TIMES)

UNKNOWN = ("longdouble", "clongdouble", "U3", "S3", "O", "V8")
"""Dtypes that no kernel takes."""

FEW = 61
"""Elements of a content: a prime, more than a row of lanes."""

SIZES = tuple(
    around + off for around in (1, 32, 64, 256, BLOCK, 3 * BLOCK, CHUNK, 2 * CHUNK, 3 * CHUNK) for off in (-1, 0, 1)
)
"""Lengths around those of a row of lanes, a group of rows, a block and a chunk, and where chunks are merged."""


def family(dtype: Any) -> str:
    """The dtype's name as the catalogue lists it: without a unit."""
    return np.dtype(dtype).name.partition("[")[0]


def can_be_nan(dtype: Any) -> bool:
    return np.dtype(dtype).kind in "fcmM"


# ---- contents ----


def ordinary(dtype: Any, n: int = FEW) -> Array:
    """Elements of moderate size and either sign, some of them equal; integers whose sum and square sum fit."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(n)
    if dtype.kind == "b":
        return rng.integers(0, 2, n).astype(dtype)
    if dtype.kind in "iumM":
        low = 0 if dtype.kind == "u" else -100
        return rng.integers(low, 100, n).astype(dtype)
    x = rng.normal(0.3, 1, n).astype(dtype)
    return x + 1j * rng.normal(-0.2, 1, n).astype(x.real.dtype) if dtype.kind == "c" else x


def positive(dtype: Any) -> Array:
    """What means of logarithms and reciprocals are made for."""
    x = ordinary(dtype)
    return np.abs(x) + np.ones(1, dtype) if x.dtype.kind not in "bM" else x


def all_equal(dtype: Any) -> Array:
    """A number that binary fractions only come near to."""
    dtype = np.dtype(dtype)
    return np.full(FEW, 0.1 if dtype.kind in "fc" else 7).astype(dtype)


def one_two(dtype: Any) -> Array:
    return np.array([1, 0]).astype(dtype)


def rising(dtype: Any) -> Array:
    x = np.sort(ordinary(dtype), kind="stable")
    return np.append(x, x[-1:])


def far_from_zero(dtype: Any) -> Array:
    """Deviations that are small beside the mean."""
    dtype = np.dtype(dtype)
    shift = {2: 100, 4: 1e4}.get(dtype.itemsize, 1e9)
    return np.asarray(ordinary(dtype) + shift, dtype)


def special(dtype: Any, *places: tuple[int, Any]) -> Array:
    x = ordinary(dtype)
    for place, item in places:
        x[place] = item
    return x


def missing(dtype: Any) -> Any:
    kind = np.dtype(dtype).kind
    return "NaT" if kind in "mM" else complex(np.nan, 1) if kind == "c" else np.nan


def all_nan(dtype: Any) -> Array:
    x = ordinary(dtype)
    x[:] = missing(dtype)
    return x


def extreme(dtype: Any) -> Array:
    """The ends of the dtype among ordinary elements."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return special(dtype, (3, info.min), (20, info.max))
    if dtype.kind in "mM":
        x = special("int64", (3, -(2**63) + 1), (20, 2**63 - 1))
        return x.view(dtype)
    info = np.finfo(dtype)
    return special(dtype, (3, -info.max), (20, info.max))


def largest(dtype: Any) -> Array:
    """Elements at the dtype's upper end only: their sum does not fit."""
    dtype = np.dtype(dtype)
    x = np.arange(FEW)
    if dtype.kind in "iu":
        return (np.iinfo(dtype).max - x.astype(dtype)).astype(dtype)
    if dtype.kind in "mM":
        return (2**63 - 1 - x).view(dtype)
    return (np.finfo(dtype).max * (1 - x / 256)).astype(dtype)


def zeros(dtype: Any) -> Array:
    x = np.zeros(FEW, dtype)
    if x.dtype.kind in "fc":
        x[::3] = -x[::3]
    return x


def subnormal(dtype: Any) -> Array:
    """Floats below the smallest normal one, of either sign."""
    x = np.random.default_rng(1).integers(-50, 50, FEW).astype(dtype)
    return x * np.finfo(dtype).smallest_subnormal


CONTENTS: dict[str, tuple[str, Callable[[Any], Array]]] = {
    # name: kinds of dtype, and the elements
    "ordinary": ("biufcmM", ordinary),
    "positive": ("biufcm", positive),
    "empty": ("biufcmM", lambda dtype: np.zeros(0, dtype)),
    "one element": ("biufcmM", lambda dtype: ordinary(dtype)[1:2]),
    "two elements": ("biufcmM", one_two),
    "three elements": ("biufcmM", lambda dtype: ordinary(dtype)[:3]),
    "all equal": ("biufcmM", all_equal),
    "zeros": ("biufcm", zeros),
    "rising": ("biufmM", rising),
    "falling": ("biufmM", lambda dtype: rising(dtype)[::-1].copy()),
    "far from zero": ("iufc", lambda dtype: far_from_zero(dtype) if np.dtype(dtype).itemsize > 1 else ordinary(dtype)),
    "extreme": ("iufmM", extreme),
    "largest": ("iufmM", largest),
    "subnormal": ("f", subnormal),
    "NaN at the beginning": ("fcmM", lambda dtype: special(dtype, (0, missing(dtype)))),
    "NaN in the middle": ("fcmM", lambda dtype: special(dtype, (30, missing(dtype)), (31, missing(dtype)))),
    "NaN at the end": ("fcmM", lambda dtype: special(dtype, (-1, missing(dtype)))),
    "NaN everywhere": ("fcmM", all_nan),
    "NaN alone": ("fcmM", lambda dtype: all_nan(dtype)[:1]),
    "NaN but for two": ("fcmM", lambda dtype: np.concatenate([all_nan(dtype), ordinary(dtype)[:2], all_nan(dtype)])),
    "infinite": ("fc", lambda dtype: special(dtype, (5, np.inf))),
    "infinite below": ("fc", lambda dtype: special(dtype, (5, -np.inf), (7, -np.inf))),
    "infinite both ways": ("fc", lambda dtype: special(dtype, (5, -np.inf), (50, np.inf))),
    "infinite alone": ("fc", lambda dtype: np.full(3, np.inf, dtype)),
    "infinite and NaN": ("fc", lambda dtype: special(dtype, (5, np.inf), (50, np.nan), (51, -np.inf))),
}


def contents(dtype: Any) -> list[str]:
    """The contents that arrays of this dtype can have."""
    return [name for name, (kinds, _) in CONTENTS.items() if np.dtype(dtype).kind in kinds]


@functools.cache
def elements(dtype: str, content: str) -> Array:
    """The elements of a content. Not to be written to."""
    x = np.ascontiguousarray(CONTENTS[content][1](dtype))
    assert x.dtype == dtype
    assert x.ndim == 1
    x.flags.writeable = False
    return x


# ---- layouts ----


def folded(x: Array) -> Array:
    """In two dimensions, neither of them 1 if it can be helped."""
    rows = next((rows for rows in (3, 2, 5, 7, 31) if x.size and x.size % rows == 0), 1)
    return x.reshape(rows, -1)


def placed(x: Array, memory: Array) -> Array:
    """The elements written into memory of another layout, which has x's shape."""
    memory[...] = x
    return memory


def spread(x: Array) -> Array:
    """Every third element of larger memory."""
    return placed(x, np.ones(3 * x.size + 1, x.dtype)[1::3])


def cube(x: Array) -> Array:
    """Three dimensions, with gaps between the elements along two of them, one of which runs backwards."""
    x = folded(x)[:, None, :]
    memory = np.zeros((x.shape[0] + 1, 2, 3 * x.shape[2] + 5), x.dtype)
    return placed(x, memory[:-1, 1:, 2 : 2 + 3 * x.shape[2] : 3][::-1])


def unaligned(x: Array) -> Array:
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    return placed(x, memory.view(x.dtype))


def mapped(x: Array) -> Array:
    """In a file. Nobody can map an empty one."""
    if not x.size:
        return x
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, x.dtype, "r")


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


def record(x: Array) -> Array:
    memory = np.zeros(x.size, [("before", np.int8), ("x", x.dtype), ("after", np.int16)])
    return placed(x, memory["x"])


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": folded,
    "Fortran": lambda x: np.asfortranarray(folded(x)),
    "reversed": lambda x: x[::-1].copy()[::-1],
    "strided": spread,
    "strided and reversed": lambda x: spread(x[::-1])[::-1],
    "transposed": lambda x: folded(x).T.copy().T,
    "cube": cube,
    "broadcast": lambda x: np.broadcast_to(x, (3, x.size)),
    "broadcast inside": lambda x: np.broadcast_to(x[:, None], (x.size, 3)),
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder("S")),
    "byte-swapped and strided": lambda x: spread(x.astype(x.dtype.newbyteorder("S"))),
    "unaligned": unaligned,
    "field of a record": record,
    "read-only": read_only,
    "memory-mapped": mapped,
    "0-d": lambda x: x[:1].reshape(()) if x.size else x,
    "many dimensions": lambda x: folded(x)[None, :, None, :, None],
}


def native(x: Array) -> Array:
    """The elements in the order in which NumPy numbers them: contiguous, aligned, in native byte order."""
    return np.array(x, x.dtype.newbyteorder("="), order="C").reshape(-1)


def in_memory_order(x: Array) -> Array:
    """The elements in the order in which they lie: axes by stride, each in its own direction.

    Repeated elements have the order of the array.
    """
    if 0 in x.strides:
        return native(x)
    return native(x.transpose(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))))
