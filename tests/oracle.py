"""What a kernel must answer: its own NumPy or SciPy expression, evaluated over the elements.

`expected` says what comes out: an exception, or a value with a dtype and a tolerance. What holds for all kernels:

- The dtype and the exception are those of the expression over the array as it is.
- Integers, bools, positions and times are compared exactly. Integers are computed with Python's, which do not wrap:
  what does not fit NumPy's dtype is an `OverflowError`.
- Floats are compared with the expression over `longdouble`. A kernel may be as wrong as if each element had been
  rounded a few times before the exact computation, and the result after it (that is: backward stable). Sums that
  cancel are so given what they need, and nothing else is. In float64 a kernel may be as wrong as NumPy is.
  (`test_accuracy.py` is stricter.)
- Where the expression over the absolute values leaves float64, the result may be infinite, and NaN unless NumPy's is
  inf: which sum on the way overflows depends on the order of adding.
- `nan_policy="omit"` is the expression over the elements without NaN; positions are those of the whole array.

What a kernel's meaning demands beyond that is in the tables of exceptions, with the reason.
"""

import dataclasses
import functools
import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

import fanfold as ff
import sequences

Array = npt.NDArray[Any]

KERNELS = {info.name: info for info in ff.kernels() if info.arrays == "one"}

NAMES = {"np": np, "stats": stats, "special": special, "pd": pd}
"""What an expression may use, beside `x` and the parameters."""

ROUNDINGS = 8
"""How many roundings of an element to float64, and of the result, a kernel may be wrong by."""

EPSILON = 2.0**-52


def data(info: ff.KernelInfo, x: Array) -> Any:
    """What a kernel goes over, with this array for the first or only one."""
    return x if info.arrays == "one" else {"x": x, "y": x[::-1] ** 2 if x.dtype.kind in "iuf" else x[::-1]}


@functools.cache
def uses(dtype: str) -> dict[str, ff.Kernel]:
    """Every use of every kernel that takes the dtype: with each example of its parameters."""
    family = np.dtype(dtype).name.partition("[")[0]
    taken = [info for info in KERNELS.values() if family in info.dtypes]
    made = [ff.Kernel(info.name, **example) for info in taken for example in info.examples]
    return {repr(kernel): kernel for kernel in made}


def bits(value: Any) -> Any:
    """All that there is to a result: its type, dtype and every bit, or an exception's message."""
    if isinstance(value, Exception):
        return type(value), str(value)
    if isinstance(value, tuple):
        return tuple(map(bits, value))
    return type(value), np.asarray(value).dtype.str, np.asarray(value).tobytes()


# ---- exceptions ----

POSITIONS = {"argmin", "argmax", "nanargmin", "nanargmax", "argtopk", "argbottomk", "argsort"}
"""The result counts the NaN elements that were left out."""

EXTREMA = {"min", "max", "ptp", "nanmin", "nanmax"}
"""Of nothing but NaN they are NaN when NaN is left out, as `np.nanmin` is; of an empty array there is none."""

NAN_COUNTS = {"count_nan"}
"""They count what `nan_policy="omit"` leaves out."""


UNITS: dict[str, Callable[[ff.Kernel, Array], float]] = {
    "moment": lambda kernel, x: float(np.mean(np.abs(x - np.mean(x)) ** kernel.parameters["order"])),
    "skew": lambda _, x: 1.0,
    "kurtosis": lambda _, x: 3.0,
}
"""The size of what is added up to a result and cancels, if changes of the elements do not show it: of two elements
every odd moment is 0, and quotients of moments are of no size."""

PARTS = {"sum", "nansum", "mean", "nanmean", "average"}
"""Of complex numbers the parts are summed apart. NumPy's division makes NaN of both parts if one is infinite."""

SAME_BITS = {"median", "nanmedian", "quantile", "nanquantile", "percentile", "nanpercentile", "median_abs_deviation"}
"""They are NumPy's to the last bit, but for integers whose difference wraps around in NumPy."""

OF_NOTHING = {"quantile", "nanquantile", "percentile", "nanpercentile", "quantile_approx"}
"""Of an empty array NumPy's fall over their own index. To a kernel it is as good as one NaN."""

APPROXIMATE: dict[str, Callable[[ff.Kernel, Any], Any]] = {
    "quantile_approx": lambda kernel, exact: (
        kernel.parameters["relative_error"] * np.maximum(np.abs(exact), 1.5 * 2.0**-1022)
    ),
    "n_unique_approx": lambda kernel, exact: 5 * 1.04 / 2 ** (kernel.parameters["precision"] / 2) * exact,
}
"""How far the answers may be from the expression's."""

TRUNCATED = "(1 if sum(x) > 0 else -1) * (abs(sum(x)) // x.size)"

WHOLE = {"ptp": "np.max(x) - np.min(x)", "mean": TRUNCATED, "nanmean": TRUNCATED}
"""What an expression is over Python's integers where NumPy makes its own of them again, or floats. Of times: only their
means are integers."""


def of_few(kernel: ff.Kernel, x: Array, nan_policy: str) -> bool:
    """Whether the divisor `n - ddof` is not positive under a policy that omits.

    NumPy divides by zero there in `var`, but gives NaN in `nanvar`; under "omit" a kernel does as the latter.
    """
    return nan_policy == "omit" and can_be_nan(x) and x.size <= kernel.parameters.get("ddof", -math.inf)


def suited(kernel: ff.Kernel, x: Array) -> Array:
    """The elements with which the expression means what the kernel does."""
    if isinstance(kernel.parameters.get("bins"), tuple | list) and x.dtype == np.float16:
        return x.astype(float)  # NumPy 2.4 does not sort float16 right where it uses AVX-512, and then miscounts.
    if kernel.name == "hmean" and x.dtype.kind == "f":
        return x + x.dtype.type(0)  # 1 / -0 is -inf, and SciPy adds it to inf; to us both zeros are the same.
    return x


# ---- the expression ----


def can_be_nan(x: Array) -> bool:
    return x.dtype.kind in "fcmM"


def is_nan(x: Array) -> Array:
    return np.isnan(x) if can_be_nan(x) else np.zeros(x.shape, bool)


@functools.cache
def code(name: str, whole: bool) -> Any:
    expression = WHOLE[name] if whole and name in WHOLE else KERNELS[name].numpy
    return compile(expression, f"<the expression of {name}>", "eval")


def evaluate(kernel: ff.Kernel, x: Array) -> Any:
    """The kernel's expression over an array, or the exception that it raises."""
    parameters = {parameter.name: parameter.default for parameter in KERNELS[kernel.name].parameters}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Of NaN, overflow and empty arrays. SciPy's say that it is not sure of its result for nearly constant data.
        warnings.simplefilter("ignore")
        try:
            if (
                kernel.name == "iqr" and x.dtype == np.float16
            ):  # SciPy counts in float16, and finds no element beyond 2048.
                return np.float16(evaluate(kernel, x.astype(float)))
            return eval(code(kernel.name, x.dtype == object), NAMES, {"x": x} | parameters | dict(kernel.parameters))
        except Exception as error:
            return error


@dataclasses.dataclass(frozen=True)
class Expected:
    """A value's dtype, and all that it may be: what NumPy says, or what is within a distance of the exact value.

    Of some complex numbers each part is looked at for itself.
    """

    dtype: np.dtype[Any]
    numpy: Any
    exact: Any = None
    tolerance: Callable[[], float] = lambda: 0.0
    may_overflow: Callable[[], bool] = lambda: False
    parts: tuple[Any, ...] = ()
    distance: Any = None
    """How far from NumPy's value an approximate one may be."""
    narrow: bool = False
    """Whether all steps are rounded to the dtype, as NumPy's are: the center, and the distances from it."""


def expected(kernel: ff.Kernel, x: Array, nan_policy: str) -> Expected | type[Exception] | tuple[Expected, ...]:
    """What the kernel must answer for these (contiguous, native) elements: a value, several, or an exception."""
    missing = is_nan(x)
    if missing.any():
        if nan_policy == "raise":
            return ValueError
        if (nan_policy == "omit" or kernel.name.startswith("nan")) and kernel.name not in NAN_COUNTS:
            if missing.all() and kernel.name in EXTREMA:
                return of_value(evaluate(kernel, x[:1]))
            found = of_elements(kernel, x[~missing], nan_policy)
            if isinstance(found, Expected) and kernel.name in POSITIONS:
                return dataclasses.replace(found, numpy=np.flatnonzero(~missing)[found.numpy])
            return found
    return of_elements(kernel, x, nan_policy)


def of_value(value: Any) -> Expected:
    value = np.asarray(value)
    return Expected(value.dtype.newbyteorder("="), value)


def of_elements(kernel: ff.Kernel, x: Array, nan_policy: str) -> Expected | type[Exception] | tuple[Expected, ...]:
    numpys = evaluate(kernel, suited(kernel, x))
    if x.size == 0 and kernel.name in OF_NOTHING:
        nothing = (
            np.full(1, np.nan) if not can_be_nan(x) else np.full(1, "NaT" if x.dtype.kind in "mM" else "nan", x.dtype)
        )
        numpys = evaluate(ff.Kernel(kernel.name.removeprefix("nan"), **kernel.parameters), nothing)
    if isinstance(numpys, OverflowError) and kernel.name == "histogram":
        return ValueError  # There are more bins than integers: to us an argument that does not suit the data.
    if isinstance(numpys, Exception):
        return type(numpys)
    if isinstance(numpys, tuple):
        return tuple(of_value(part) for part in numpys)
    found = of_value(numpys)
    if of_few(kernel, x, nan_policy):
        return dataclasses.replace(found, numpy=np.asarray(np.nan))
    kind = found.dtype.kind
    if kernel.name in OF_NOTHING and x.size == 0:
        return found
    if kernel.name in APPROXIMATE:
        return dataclasses.replace(found, distance=APPROXIMATE[kernel.name](kernel, found.numpy))
    if kernel.name == "entropy":  # It depends on which elements are equal, and not on how large they are.
        return dataclasses.replace(
            found, exact=np.longdouble(numpys), tolerance=lambda: 8 * EPSILON * (1 + abs(numpys))
        )
    if kernel.name in SAME_BITS and kernel.parameters.get("center") != "mean" and (x.dtype.kind == "f" or kind != "f"):
        return found
    if found.numpy.ndim and kind == "f":
        return dataclasses.replace(found, exact=evaluate(kernel, x.astype(np.longdouble)))
    if found.numpy.ndim:
        return found
    if kind in "iumM" and x.dtype.kind in "biumM" and not is_nan(x).any():
        return of_integers(kernel, x, found)
    if kernel.name in PARTS and kind == "c":
        real, imaginary = (of_elements(kernel, part, nan_policy) for part in (x.real, x.imag))
        return dataclasses.replace(found, parts=(real, imaginary))
    if kind in "fc":
        wide = suited(kernel, x).astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)
        exact = evaluate(kernel, wide)
        if isinstance(exact, Exception):
            raise exact
        return dataclasses.replace(
            found,
            exact=exact,
            tolerance=lambda: tolerance(kernel, wide, exact, found.dtype),
            may_overflow=lambda: overflows(kernel, wide),
            narrow=kernel.name == "median_abs_deviation",
        )
    return found


def of_integers(kernel: ff.Kernel, x: Array, found: Expected) -> Expected | type[Exception]:
    """The expression over Python's integers."""
    whole = x.view(np.int64) if x.dtype.kind in "mM" else x
    exact = evaluate(kernel, whole.astype(object))
    if not isinstance(exact, numbers.Integral):
        return found  # A function that NumPy does not have for Python's integers: it counts.
    info = np.iinfo(np.int64 if found.dtype.kind in "mM" else found.dtype)
    if not info.min <= exact <= info.max:
        return OverflowError
    if found.dtype.kind in "mM":
        return dataclasses.replace(found, numpy=np.asarray(np.int64(exact)).view(found.dtype))
    return dataclasses.replace(found, numpy=np.asarray(exact, found.dtype))


def tolerance(kernel: ff.Kernel, x: Array, exact: Any, dtype: np.dtype[Any]) -> float:
    """How far the exact result moves if each element is rounded, whatever the direction, and the result after it."""
    rng = np.random.default_rng(2026)
    ways = [np.ones(x.shape), np.where(np.arange(x.size) % 2, 1.0, -1.0), rng.choice([-1.0, 1.0], x.size)]
    with np.errstate(all="ignore"):
        ways += [np.sign(x.real), np.where(x.real > np.mean(x.real), 1.0, -1.0)]
        cancelled = UNITS[kernel.name](kernel, x) if kernel.name in UNITS else 0.0
    moved = 0.0
    for way in ways:
        shifted = evaluate(kernel, x * (1 + EPSILON * way.astype(np.longdouble)))
        with np.errstate(all="ignore"):
            distance = float(np.abs(shifted - exact))
        if math.isfinite(distance):
            moved = max(moved, distance)
    size = min(abs(exact), np.finfo(np.float64).max)
    rounded = ROUNDINGS * (moved + float(np.spacing(np.float64(size))) + EPSILON * cancelled)
    # Rounded to the narrow dtype once more: by half a unit, and a little more because float64 is rounded before.
    # Of distances from a mean, so are the mean and each distance.
    return rounded + (2.5 if kernel.parameters.get("center") == "mean" else 0.501) * unit(exact, dtype)


def overflows(kernel: ff.Kernel, x: Array) -> bool:
    """Whether finite elements overflow float64 where they all have one sign."""
    with np.errstate(all="ignore"):
        size = np.abs(x).astype(np.float64)
    return bool(np.isfinite(size).all() and not np.isfinite(evaluate(kernel, size)))


def unit(exact: Any, dtype: np.dtype[Any]) -> float:
    """A narrow dtype's distance between neighbours about this value; float64's is in the tolerance already."""
    real = np.dtype({"complex64": "float32", "complex128": "float64"}.get(dtype.name, dtype))
    if real == np.float64:
        return 0.0
    return float(np.spacing(real.type(min(abs(exact), np.finfo(real).max))))


# ---- the comparison ----


def difference(answer: Any, kernel: ff.Kernel, x: Array, nan_policy: str) -> str | None:
    """What is wrong with a kernel's answer, an exception among them; nothing if it is right."""
    if kernel.name in sequences.NAMES:
        return sequences.difference(answer, kernel, x, nan_policy)
    wanted = expected(kernel, x, nan_policy)
    if isinstance(wanted, type):
        return None if isinstance(answer, wanted) else f"{answer!r}, and not {wanted.__name__}"
    if isinstance(answer, Exception):
        return f"{answer!r}, and not a result"
    if isinstance(wanted, tuple):
        if not isinstance(answer, tuple) or len(answer) != len(wanted):
            return f"{answer!r}, and not {len(wanted)} arrays"
        wrong = [
            array_difference(*pair) if pair[1].numpy.ndim else number_difference(*pair) for pair in zip(answer, wanted)
        ]
        return next((text for text in wrong if text), None)
    if wanted.numpy.ndim:
        return array_difference(answer, wanted)
    if type(answer) is not wanted.dtype.type or np.asarray(answer).dtype != wanted.dtype:
        return f"of type {type(answer).__name__}, {np.asarray(answer).dtype}, and not {wanted.dtype}"
    pairs = zip((answer.real, answer.imag), wanted.parts) if wanted.parts else [(answer, wanted)]
    return next((told for told in (value_difference(*pair) for pair in pairs) if told), None)


def number_difference(answer: Any, wanted: Expected) -> str | None:
    """Of a number in a tuple, which is exact."""
    same = isinstance(answer, np.generic) and answer.dtype == wanted.dtype and np.asarray(answer).ndim == 0
    return value_difference(answer, wanted) if same else f"{answer!r}, and not {wanted.numpy!r}"


def array_difference(answer: Any, wanted: Expected) -> str | None:
    if type(answer) is not np.ndarray or answer.dtype != wanted.dtype or answer.shape != wanted.numpy.shape:
        return f"{answer!r}, and not {wanted.numpy!r}"
    if wanted.distance is not None:
        return None if is_near(answer, wanted) else f"{answer!r}, and not near {wanted.numpy!r}"
    same = (answer == wanted.numpy) | (is_nan(answer) & is_nan(wanted.numpy))
    if wanted.exact is not None:
        # Where NumPy's integers wrap around.
        with np.errstate(all="ignore"):
            same |= np.abs(answer - wanted.exact) <= 2 * np.spacing(np.abs(answer))
    return None if same.all() else f"{answer!r}, and not {wanted.numpy!r}"


def is_near(answer: Any, wanted: Expected) -> bool:
    """Of approximate answers; what is not finite is exact."""
    with np.errstate(all="ignore"):
        near = np.abs(answer - wanted.numpy) <= wanted.distance
    return bool(
        np.all((answer == wanted.numpy) | (near & np.isfinite(answer)) | (is_nan(answer) & is_nan(wanted.numpy)))
    )


def value_difference(answer: Any, wanted: Expected) -> str | None:
    if wanted.distance is not None:
        return None if is_near(np.asarray(answer), wanted) else f"{answer!r}, and not near {wanted.numpy!r}"
    same = np.array_equal(answer, wanted.numpy, equal_nan=wanted.dtype.kind in "fcmM")
    if wanted.exact is None:
        return None if same else f"{answer!r}, and not {wanted.numpy!r}"
    with np.errstate(all="ignore"):
        nearest = wanted.dtype.type(wanted.exact)
    if np.array_equal(answer, nearest, equal_nan=True):
        return None
    told = f"{answer!r}, and not {nearest!r} (NumPy's is {wanted.numpy})"
    if not np.isfinite(answer):
        fits = not np.isnan(answer) or (not np.isfinite(wanted.numpy) and wanted.numpy != np.inf)
        # What NumPy's float64 loses where large elements cancel may be more than a float32 holds.
        with np.errstate(all="ignore"):
            lost = wanted.tolerance() if wanted.dtype == np.float32 and np.isfinite(wanted.exact) else 0.0
        beyond = not lost <= float(np.finfo("f4").max)
        return None if same or (fits and (beyond or wanted.may_overflow())) else told
    if not np.isfinite(wanted.exact):
        return told
    distance, numpys = (float(np.abs(value.astype(np.clongdouble) - wanted.exact)) for value in (answer, wanted.numpy))
    if distance <= numpys and (wanted.narrow or wanted.dtype in (np.float64, np.complex128)):
        return None
    allowed = wanted.tolerance()
    return None if distance <= allowed else f"{told}: {distance:.3} away, where {allowed:.3} is allowed"
