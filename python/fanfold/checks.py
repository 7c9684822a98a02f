"""Checks of the arguments of a call. Each check adds its problems to a list, so that they are reported together."""

import numbers
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.kernels import is_constructor
from fanfold.names import keys

MAX_WORKERS = 1024

Problems = list[Exception]


def functions(value: Any, problems: Problems) -> dict[Any, Any]:
    """Return the functions by key, with names turned into kernels."""
    named: dict[Any, Any] = {}
    if isinstance(value, Mapping):
        for key, function in value.items():
            resolved = _resolved(function, problems, key)
            if resolved is not None:
                named[key] = resolved
        return named
    expected = "functions must be names, kernels, callables, or a dict of them"
    if isinstance(value, np.ndarray):
        problems.append(
            TypeError(f"{expected}, not {type(value).__name__}: pass the array first, as in run(data, functions)")
        )
        return named
    if isinstance(value, bytes | bytearray):
        problems.append(TypeError(f"{expected}, not {shown(value)}: pass a str"))
        return named
    if type(value).__module__ == "fanfold.api":
        # A Plan or a Pool.
        problems.append(TypeError(f"{expected}, not a {type(value).__name__}: pass the data to its method run"))
        return named
    single = isinstance(value, str | _core.Kernel) or callable(value)
    if not single and not isinstance(value, Iterable):
        problems.append(TypeError(f"{expected}, not {shown(value)}"))
        return named
    resolved = [_resolved(function, problems) for function in ([value] if single else value)]
    found = [function for function in resolved if function is not None]
    for key, function in zip(keys(found), found, strict=True):
        if key in named:
            advice = "pass a dict {name: function} instead"
            problems.append(ValueError(f"functions: two functions have the key {shown(key)}: {advice}"))
        named[key] = function
    return named


def _resolved(function: Any, problems: Problems, *key: Any) -> Any:
    """Return a function, or the kernel of a name; None if it is neither, which is a problem. A dict's have a key."""
    if isinstance(function, str):
        try:
            return _core.Kernel(function)
        except ValueError as error:
            problems.append(error)
            return None
    if isinstance(function, _core.Kernel):
        return function
    if is_constructor(function):
        return function()
    if callable(function):
        return function
    of_key = f" (of the key {shown(*key)})" if key else ""
    problems.append(TypeError(f"functions: {shown(function)}{of_key} is not a name, a kernel or a callable"))
    return None


class _Memory:
    """Read-only memory of an array. An array over it cannot be made writeable; a view of the array could."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, True)}


def locked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same elements in place, permanently read-only."""
    if array.dtype.hasobject or array.dtype.fields is not None or type(array) is not np.ndarray:
        # The interface does not describe these dtypes in full, nor a class.
        view = np.ndarray.view(array)
        view.flags.writeable = False
        return view
    if array.dtype.kind in "biufc":
        # A tenth of the time of the interface, which the other dtypes need.
        return np.asarray(array.data.toreadonly())
    return np.asarray(_Memory(array))


def own_class(value: Any) -> str | None:
    """Return the name of an array's class if it may add meaning (a unit, other operators); else None."""
    kind = type(value)
    if kind is np.ndarray or not issubclass(kind, np.ndarray):
        return None
    plain = (np.ndarray, np.memmap, np.recarray) if value.dtype.fields is None else (np.ndarray, np.memmap)
    own = (name for each in kind.__mro__ if each not in (*plain, object) for name in vars(each))
    return kind.__name__ if any(name not in _NO_MEANING for name in own) else None


def kept(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array as functions get it: in its own class if that may add meaning."""
    return array if own_class(array) else np.ndarray.view(array, np.ndarray)


_NO_MEANING = frozenset(vars(type("Empty", (), {"__slots__": ()}))) | {
    *("__dict__", "__weakref__", "__annotations__", "__orig_bases__", "__parameters__", "__annotate__"),
    *("__annotate_func__", "__annotations_cache__", "__classcell__", "__classdictcell__"),
    *("__new__", "__init__", "__reduce__", "__reduce_ex__", "__setstate__", "view"),
}
"""Attributes that a class can define without changing the meaning of its elements."""


def refused(kernels: Iterable[str], value: Any, name: str = "data") -> dict[str, Exception]:
    """Return, by key, why kernels refuse an array of a class with its own meaning: they only read the elements."""
    kind = own_class(value)
    if kind is None or type(value) is np.recarray or isinstance(value, np.ma.MaskedArray):
        return {}
    why = f"would lose the meaning of the class of {name}, {kind}: pass np.asarray({name}) to use the plain elements"
    return {key: TypeError(f"{shown(key)} {why}") for key in kernels}


def means_itself(value: Any, name: str, problems: Problems) -> None:
    """Check that weights and labels are plain elements, without a class that adds meaning."""
    kind = own_class(value)
    if kind is not None and not isinstance(value, np.ma.MaskedArray):
        problems.append(TypeError(f"{name} is a {kind}, whose meaning would be lost: pass np.asarray({name})"))


def unknown(given: Iterable[str], call: str, problems: Problems) -> None:
    """Report parameters that a call does not have, and name ours: for misspelt ones, and those of other libraries."""
    for name in given:
        remedy = f": pass {_ELSEWHERE[name]}" if name in _ELSEWHERE else meant(name, PARAMETERS)
        problems.append(TypeError(f"{call} has no parameter {name}{remedy}"))


def no_functions(options: Mapping[str, Any], problems: Problems) -> None:
    """Report options that were given to a call without functions, which describes the data."""
    given = [name for name, value in options.items() if value is not _DEFAULTS.get(name)]
    if given:
        wrong = f"functions is None, which describes the data and takes no {' and no '.join(given)}"
        problems.append(TypeError(f"{wrong}: pass functions, as in run(data, ['mean', 'std'], …), or leave it out"))


_DEFAULTS = {"keepdims": False, "nan_policy": "propagate", "on_error": "raise", "processes": False}
"""The defaults of options of `run` that are not None."""


def meant(name: Any, known: Iterable[Any]) -> str:
    """Return the question after a message whether the nearest of the known names was meant; empty if none is near."""
    close = nearest(name, known)
    return "" if close is None else f": did you mean {shown(close)}?"


def nearest(name: Any, known: Iterable[Any]) -> str | None:
    """Return the known name with the most similar letters; None if none is near."""
    import difflib

    texts = [each for each in known if isinstance(each, str)]
    close = difflib.get_close_matches(name, texts, 1) if isinstance(name, str) else []
    return close[0] if close else None


PARAMETERS = (
    *("workers", "axis", "keepdims", "where", "weights", "by", "nan_policy", "on_error", "timeout", "out"),
    *("processes", "progress"),
)
"""The names of the options of `run`."""


_ELSEWHERE = {
    "skipna": "nan_policy='omit' for skipna=True; 'propagate' is like skipna=False",
    "ignore_nulls": "nothing, because nulls are always left out; for NaN, pass nan_policy='omit'",
    "dropna": "nan_policy='omit'",
    "numeric_only": "nothing, because columns without numbers are always left out",
    **dict.fromkeys(("dim", "dims", "axes"), "axis="),
    **dict.fromkeys(("n_jobs", "num_workers", "max_workers", "threads", "num_threads", "nthreads"), "workers="),
    **dict.fromkeys(("groupby", "group_by", "groups", "keys"), "by="),
    **dict.fromkeys(("mask", "filter"), "where="),
    **dict.fromkeys(("aweights", "fweights", "sample_weight"), "weights="),
    **dict.fromkeys(("errors", "raise_errors"), "on_error="),
    "nan_policy": "it to plan, as in ff.plan('mean', nan_policy='omit')",
    "ddof": "it to the kernel, as in ff.std(ddof=1)",
    "q": "it to the kernel, as in ff.quantile([0.1, 0.9])",
    "bins": "it to the kernel, as in ff.histogram(bins=20)",
    "window": "it to the kernel, as in ff.rolling_mean(7)",
    "func": "functions=",
    "agg": "functions=",
}
"""Parameters of other libraries, and what to pass here instead."""


def nan_policy(value: Any, problems: Problems) -> bool:
    """Check that it is one of the three words."""
    known = is_word(value, "propagate", "omit", "raise")
    if not known:
        problems.append(ValueError(f"nan_policy must be 'propagate', 'omit' or 'raise', not {shown(value)}"))
    return known


def on_error(value: Any, problems: Problems) -> None:
    """Check that it is one of the two words."""
    if not is_word(value, "raise", "return"):
        problems.append(ValueError(f"on_error must be 'raise' or 'return', not {shown(value)}"))


def workers(value: Any, problems: Problems, pool: str = ", a Pool") -> None:
    """Check that it is a number of workers, or None."""
    expected = f"workers must be an integer from 1 to {MAX_WORKERS}{pool} or None"
    if value is None:
        return
    if not _is_number(value, numbers.Integral):
        problems.append(TypeError(f"{expected}, not {shown(value)}"))
    elif not 1 <= int(value) <= MAX_WORKERS:
        remedy = ": pass None for one per processor" if value == -1 else ""
        problems.append(ValueError(f"{expected}, not {shown(value)}{remedy}"))


def progress(value: Any, problems: Problems) -> None:
    """Check what tells how far a call is."""
    if value is None or isinstance(value, bool) or callable(value):
        return
    remedy = "pass True for a line on stderr, a class like tqdm, or a function of (done, total)"
    problems.append(TypeError(f"progress must be a bool, a class or a function, not {shown(value)}: {remedy}"))


def timeout(value: Any, problems: Problems) -> None:
    """Check that it is a number of seconds, or None."""
    expected = "timeout must be a number of seconds > 0 or None"
    if value is None:
        return
    if not _is_number(value, numbers.Real):
        problems.append(TypeError(f"{expected}, not {shown(value)}"))
    elif not cast("float", value) > 0:
        problems.append(ValueError(f"{expected}, not {shown(value)}"))


def processes(value: Any, problems: Problems) -> None:
    """Check that it is a bool, and that processes are possible if it is true."""
    if not isinstance(value, bool | np.bool_):
        problems.append(
            TypeError(f"processes must be True or False, not {shown(value)}: pass workers= for their number")
        )
        return
    if not value:
        return
    from importlib.util import find_spec

    if find_spec("loky") is None:
        problems.append(ModuleNotFoundError("processes=True needs loky: pip install 'fanfold[processes]'"))


def out(
    value: Any,
    arrays: Mapping[str, tuple[np.dtype[Any], Sequence[tuple[int, ...]]]],
    keys: Iterable[str],
    read: Mapping[str, Any],
    problems: Problems,
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays to write results to.

    `arrays` has the dtype of every result that is an array, and the shapes that it may have; `read` has the arrays that
    the call reads, by the names of its arguments.
    """
    given: dict[str, npt.NDArray[Any]] = {}
    if not isinstance(value, Mapping):
        problems.append(TypeError(f"out must be a dict {{name: array}} or None, not {shown(value)}"))
        return given
    for key, array in value.items():
        name = f"out[{shown(key)}]"
        if key not in arrays:
            known = ", ".join(map(shown, arrays)) or "no result of this call"
            reason = "is not an array with one item for each element" if key in keys else "is not a result of the call"
            problems.append(ValueError(f"out: {shown(key)} {reason}: out takes {known}"))
        elif not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            problems.append(TypeError(f"{name} must be a numpy.ndarray, not {type(array).__name__}"))
        else:
            wrong = _unsuited(name, array, *arrays[key], read)
            if wrong is None and any(_overlap(array, other) for other in given.values()):
                wrong = ValueError(f"{name} shares memory with another array of out: pass arrays of their own")
            if wrong is None:
                given[key] = array
            else:
                problems.append(wrong)
    return given


def _unsuited(
    name: str,
    array: npt.NDArray[Any],
    dtype: np.dtype[Any],
    shapes: Sequence[tuple[int, ...]],
    read: Mapping[str, Any],
) -> Exception | None:
    """Return why a result of this dtype and one of these shapes cannot be written to the array; None if it can."""
    shape = shapes[0]
    remedy = f"pass np.empty({shape[0] if len(shape) == 1 else shape}, {dtype.name!r})"
    if array.dtype != dtype:
        return TypeError(f"{name} must be of dtype {dtype}, not {array.dtype}: {remedy}")
    if array.shape not in shapes:
        return ValueError(f"{name} must be of shape {shape}, not {array.shape}: {remedy}")
    if not array.flags.writeable:
        return ValueError(f"{name} is read-only: pass a writeable array")
    if _overlaps_itself(array):
        return ValueError(f"{name} has elements that share memory: pass an array with separate memory for each")
    for argument, other in read.items():
        if isinstance(other, np.ndarray) and _overlap(array, other):
            return ValueError(f"{name} shares memory with {argument}, which is being read: pass an array of its own")
    return None


def _overlap(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    """Whether two arrays share memory, or might: for some strides it takes too long to find out."""
    try:
        return np.shares_memory(left, right, max_work=10_000)  # type: ignore[arg-type] # any number will do
    except np.exceptions.TooHardError:
        return True


def _overlaps_itself(array: npt.NDArray[Any]) -> bool:
    """Whether the stride of an axis is smaller than the extent of the axes inside it."""
    reach = array.itemsize
    axes = ((abs(stride), steps) for stride, steps in zip(array.strides, array.shape, strict=True) if steps > 1)
    for stride, steps in sorted(axes) if array.size else ():
        if stride < reach:
            return True
        reach += stride * (steps - 1)
    return False


def like(value: Any, problems: Problems) -> np.dtype[Any] | None:
    """Return the dtype of later arrays, if it is known."""
    if value is None:
        return None
    try:
        return np.dtype(value.dtype if isinstance(value, np.ndarray | np.generic) else value)
    except Exception:  # noqa: BLE001 - NumPy has many ways to say no
        problems.append(TypeError(f"like must be an array or a dtype, not {shown(value)}"))
        return None


def is_word(value: Any, *words: str) -> bool:
    """Whether it is a string, and one of these."""
    return isinstance(value, str) and value in words


def _is_number(value: Any, kind: type) -> bool:
    """Whether it is a number of this kind. A timedelta64 (an integer to NumPy) or a bool (to Python) is not."""
    return isinstance(value, kind) and not isinstance(value, bool | np.bool_ | np.timedelta64)


class _Shortened(reprlib.Repr):
    """The shortened repr of a value, also of a value whose own repr fails."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 4
        self.maxstring = self.maxother = 200
        self.fillvalue = "…"

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, np.ma.MaskedArray):
            return "a masked array"
        try:
            text = repr(x)
        except Exception:  # noqa: BLE001 - a repr can fail in any way
            return "an object without a repr"
        half = self.maxother // 2
        return text if len(text) <= self.maxother else f"{text[:half]}{self.fillvalue}{text[-half:]}"

    # Python refuses to print an integer with more than some thousand digits.
    repr_int = repr_instance


def shown(value: Any) -> str:
    """Return the value as a message shows it."""
    try:
        return _Shortened().repr(value)
    except Exception:  # noqa: BLE001 - a class with the name of one of Python's own
        return "an object without a repr"
