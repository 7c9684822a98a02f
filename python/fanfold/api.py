"""The calls that users make: `run`, `plan`, `Pool`. They sort out the arguments; the compiled half computes.

All problems of a call are found, and told together, before any data is touched.
"""

import contextvars
import functools
import numbers
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.kernels import Constructor
from fanfold.results import Ran, Results

NanPolicy = Literal["propagate", "omit", "raise"]
OnError = Literal["raise", "return"]

Function = str | _core.Kernel | Callable[[npt.NDArray[Any]], Any]
Functions = Function | Iterable[Function] | Mapping[str, Function]

MAX_WORKERS = 1024


class Plan:
    """Functions prepared for arrays to come. Made by `plan`; reusable, and safe to use from several threads.

    >>> import numpy as np, fanfold as ff
    >>> p = ff.plan(["mean", "std", "max"])
    >>> p.run(np.arange(4.0))["mean"], p.run(np.arange(6.0))["mean"]
    (np.float64(1.5), np.float64(2.5))
    """

    __slots__ = ("_kernels", "_keys", "_like", "_nan_policy", "_native", "_order", "_plain")

    def __init__(self, functions: Functions, like: Any = None, nan_policy: NanPolicy = "propagate") -> None:
        problems: list[Exception] = []
        if not _is_word(nan_policy, "propagate", "omit", "raise"):
            message = f"nan_policy must be 'propagate', 'omit' or 'raise', not {nan_policy!r}"
            problems.append(ValueError(message))
        named = _named(functions, problems)
        _raise(problems, "the functions cannot be run")
        self._order = tuple(named)
        self._kernels = {key: function for key, function in named.items() if isinstance(function, _core.Kernel)}
        self._plain = {key: function for key, function in named.items() if key not in self._kernels}
        self._keys = (*self._kernels, *self._plain)
        self._nan_policy = nan_policy
        self._native = _core.Plan(list(self._kernels.values()), nan_policy)
        self._like = like

    def run(
        self,
        data: npt.NDArray[Any],
        *,
        workers: "int | Pool | None" = None,
        on_error: OnError = "raise",
        timeout: float | None = None,
    ) -> Results:
        """Runs the functions over an array; the parameters are those of `run`."""
        if type(data) is not np.ndarray or workers is not None or timeout is not None or on_error != "raise":
            _raise(_problems(data, workers, on_error, timeout), "the call cannot be run")
            data = data.view(np.ndarray)
            timeout = _seconds(timeout)
        native = self._native
        if on_error == "raise":
            problems = native.problems(data)
            if problems:
                _raise([error for _, error in problems], "the functions cannot be run on this array")
        tasks = [_task(function, data) for function in self._plain.values()] if self._plain else []
        count = workers.workers if isinstance(workers, Pool) else int(workers or 0)
        answers, failures, passes, bytes_read, used, seconds = native.run(data, tasks, count, timeout)
        values = dict(zip(self._keys, answers, strict=True))
        if self._plain:
            values = {key: values[key] for key in self._order}
        ran = (passes, bytes_read, used, seconds, self._order, self._plain)
        if not failures:
            return Results(values, {}, ran)
        return self._failed(values, failures, ran, on_error)

    def _failed(
        self,
        values: dict[str, Any],
        failures: list[tuple[int, Exception]],
        ran: Ran,
        on_error: OnError,
    ) -> Results:
        errors = {self._keys[index]: error for index, error in failures}
        if on_error == "return":
            return Results(values | errors, errors, ran)
        good = Results({key: value for key, value in values.items() if key not in errors}, errors, ran)
        for key, error in errors.items():
            if key in self._plain:
                error.add_note(f"raised by the function '{key}' that was passed to fanfold")
        raise _one(list(errors.values()), f"{len(errors)} of {len(values)} functions failed", good)

    def explain(self) -> str:
        """The passes over memory, what shares what, and which functions are called as they are.

        >>> import fanfold as ff
        >>> print(ff.plan(["mean", "std", ff.histogram(bins=5)]).explain())
        pass 1 over float64
          moments of x -> mean, std
          extrema of x -> histogram
        pass 2 over float64
          histogram, with what pass 1 found
        """
        like = np.dtype(np.float64) if self._like is None else self._like
        lines = [self._native.explain(list(self._kernels), like).rstrip()]
        lines += [f"plain function: {key}, called with a read-only view of the array" for key in self._plain]
        return "\n".join(line for line in lines if line)

    def __repr__(self) -> str:
        return f"fanfold.Plan({list(self._order)})"


class Pool:
    """A fixed number of workers for several runs.

    The threads are started at the first run that needs them, and shared by all pools of the same size.

    Parameters
    ----------
    workers : int, optional
        How many; as many as there are processors for this process if ``None``.

    Examples
    --------
    >>> import numpy as np, fanfold as ff
    >>> with ff.Pool(workers=2) as pool:
    ...     r = pool.run(np.arange(3.0), "mean")
    >>> r["mean"]
    np.float64(1.0)
    """

    __slots__ = ("_closed", "workers")

    workers: int

    def __init__(self, workers: int | None = None) -> None:
        if isinstance(workers, Pool):
            raise TypeError("workers must be an integer or None, not a Pool")
        _raise(_option_problems(workers, "raise", None), "the pool cannot be made")
        self.workers = _core.config()["workers"] if workers is None else int(workers)
        self._closed = False

    def run(
        self,
        data: npt.NDArray[Any],
        functions: Functions,
        *,
        nan_policy: NanPolicy = "propagate",
        on_error: OnError = "raise",
        timeout: float | None = None,
    ) -> Results:
        """`fanfold.run` with this pool's workers."""
        return run(data, functions, workers=self, nan_policy=nan_policy, on_error=on_error, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True

    def __repr__(self) -> str:
        return f"fanfold.Pool(workers={self.workers})"


def run(
    data: npt.NDArray[Any],
    functions: Functions,
    *,
    workers: int | Pool | None = None,
    nan_policy: NanPolicy = "propagate",
    on_error: OnError = "raise",
    timeout: float | None = None,
) -> Results:
    """Runs all functions over one array: native kernels together in as few passes as can be, without the GIL.

    Parameters
    ----------
    data : numpy.ndarray
        The array. It is read where it lies, never copied and never written to: any shape, strides, byte order and
        alignment, read-only and memory-mapped arrays too.
    functions : str, Kernel, callable, or an iterable or dict of them
        What to compute. A string is the name of a kernel (`kernels` lists them); ``ff.std(ddof=1)`` is a kernel with
        parameters; any other callable is called with a read-only view of the array. In a dict the keys name the
        results, otherwise the kernels' and functions' own names do.
    workers : int or Pool, optional
        How many threads compute. ``None`` is as many as there are processors for this process, 1 the calling thread.
        Small arrays are always left to the calling thread. The result does not depend on it, to the last bit.
    nan_policy : {"propagate", "omit", "raise"}
        What NaN (and NaT) values mean to every kernel: they make most results NaN, are left out, or raise
        ``ValueError``.
    on_error : {"raise", "return"}
        What to do if functions fail: raise the exception (an ``ExceptionGroup`` if there are several), whose attribute
        ``results`` has the others' results; or return the exceptions in place of the results.
    timeout : float, optional
        Seconds after which the passes are stopped and ``TimeoutError`` is raised.

    Returns
    -------
    Results
        A dict of NumPy scalars and arrays by name, with a ``report``.

    Raises
    ------
    TypeError
        Something that is no array or no function, or a dtype that a kernel has no meaning for.
    ValueError
        A parameter out of its bounds, an unknown name, two equal keys, an empty array where there must be an element.
    OverflowError
        An integer result that does not fit the dtype NumPy gives it.
    TimeoutError
        The timeout passed.
    KernelPanic
        A bug in a kernel.

    Examples
    --------
    >>> import numpy as np, fanfold as ff
    >>> x = np.array([1.0, 2.0, 4.0, np.nan])
    >>> dict(ff.run(x, ["mean", "count_nan"], nan_policy="omit"))
    {'mean': np.float64(2.3333333333333335), 'count_nan': np.int64(1)}
    >>> def spread(v):
    ...     return float(np.nanmax(v) - np.nanmin(v))
    >>> dict(ff.run(x, {"spread": spread, "largest": "nanmax"}))
    {'spread': 3.0, 'largest': np.float64(4.0)}
    """
    try:
        planned = _planned(functions, nan_policy)
    except Exception as error:
        others = _problems(data, workers, on_error, timeout)
        if not others:
            raise
        first = list(error.exceptions) if isinstance(error, ExceptionGroup) else [error]
        raise _one([*first, *others], "the call cannot be run") from None
    return planned.run(data, workers=workers, on_error=on_error, timeout=timeout)


def plan(functions: Functions, *, like: Any = None, nan_policy: NanPolicy = "propagate") -> Plan:
    """Prepares functions for arrays to come, and can explain what a run will do.

    Parameters
    ----------
    functions, nan_policy
        As for `run`.
    like : array or dtype, optional
        What the arrays will be like, for `Plan.explain`; float64 if ``None``.

    Returns
    -------
    Plan
    """
    if like is not None:
        like = like if isinstance(like, np.ndarray) else np.dtype(like)
    return Plan(functions, like, nan_policy)


def show_config() -> dict[str, Any]:
    """The version, the instruction set in use and those available, and the processors of this process."""
    config = _core.config()
    problem = config.pop("simd_problem")
    if problem:
        raise ValueError(problem)
    return config


def _planned(functions: Functions, nan_policy: NanPolicy) -> Plan:
    """A plan for the call; one that was made before if the functions are names and kernels only."""
    try:
        if isinstance(functions, list):
            return _remembered(tuple(functions), nan_policy)
        if isinstance(functions, str | tuple | _core.Kernel):
            return _remembered(functions, nan_policy)
    except TypeError:
        pass  # Something unhashable: the plan's own checks say what is wrong, if anything is.
    return Plan(functions, None, nan_policy)


_memory: dict[Any, Plan] = {}


def _remembered(functions: Any, nan_policy: NanPolicy) -> Plan:
    key = (functions, nan_policy)
    found = _memory.get(key)
    if found is None:
        found = Plan(functions, None, nan_policy)
        # Callables are not remembered: they may hold on to much memory, and are equal only to themselves.
        if not found._plain:
            if len(_memory) >= 128:
                _memory.clear()
            _memory[key] = found
    return found


def _named(functions: Any, problems: list[Exception]) -> dict[str, Any]:
    """The functions by key, names turned into kernels; what is wrong goes to `problems`."""
    named: dict[str, Any] = {}
    if isinstance(functions, Mapping):
        for key, function in functions.items():
            if isinstance(key, str):
                named[key] = _resolved(function, problems)
            else:
                problems.append(TypeError(f"functions: the keys of a dict must be strings, not {key!r}"))
        return named
    if isinstance(functions, np.ndarray | bytes | bytearray):
        shown = type(functions).__name__
        advice = "the array comes first: run(data, functions)"
        problems.append(
            TypeError(f"functions must be names, kernels, callables, or a dict of them, not {shown}: {advice}")
        )
        return named
    single = isinstance(functions, str | _core.Kernel) or callable(functions)
    if not single and not isinstance(functions, Iterable):
        problems.append(TypeError(f"functions must be names, kernels, callables, or a dict of them, not {functions!r}"))
        return named
    for function in [functions] if single else functions:
        resolved = _resolved(function, problems)
        if resolved is None:
            continue
        key = _key(resolved)
        if key in named:
            problems.append(ValueError(f"functions: two have the key {key!r}; pass a dict {{name: function}} instead"))
        named[key] = resolved
    return named


def _resolved(function: Any, problems: list[Exception]) -> Any:
    if isinstance(function, str):
        try:
            return _core.Kernel(function)
        except ValueError as error:
            problems.append(error)
            return None
    if isinstance(function, _core.Kernel):
        return function
    if isinstance(function, Constructor):
        return function()
    if callable(function):
        return function
    problems.append(TypeError(f"functions: {function!r} is neither a name, a kernel nor a callable"))
    return None


def _key(function: Any) -> str:
    if isinstance(function, _core.Kernel):
        return function.name
    if isinstance(function, functools.partial):
        return _key(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _problems(data: Any, workers: Any, on_error: Any, timeout: Any) -> list[Exception]:
    """What is wrong with a call, its functions aside."""
    problems: list[Exception] = []
    if isinstance(data, np.ma.MaskedArray):
        advice = "pass data.compressed(), or data.filled(np.nan) with nan_policy='omit'"
        problems.append(TypeError(f"data is a masked array, and its mask would be ignored: {advice}"))
    elif not isinstance(data, np.ndarray):
        problems.append(TypeError(f"data must be a numpy.ndarray, not {type(data).__name__}: pass np.asarray(data)"))
    else:
        try:
            _core.Plan([], "propagate").problems(data)
        except TypeError as error:  # a dtype without kernels
            problems.append(error)
    return problems + _option_problems(workers, on_error, timeout)


def _option_problems(workers: Any, on_error: Any, timeout: Any) -> list[Exception]:
    problems: list[Exception] = []
    if isinstance(workers, Pool):
        if workers._closed:
            problems.append(ValueError(f"workers is {workers!r}, which was closed: run inside its with block"))
    elif workers is not None:
        expected = f"workers must be an integer from 1 to {MAX_WORKERS}, a Pool or None"
        if isinstance(workers, bool | np.bool_) or not isinstance(workers, numbers.Integral):
            problems.append(TypeError(f"{expected}, not {workers!r}"))
        elif not 1 <= int(workers) <= MAX_WORKERS:
            problems.append(ValueError(f"{expected}, not {workers!r}"))
    if not _is_word(on_error, "raise", "return"):
        problems.append(ValueError(f"on_error must be 'raise' or 'return', not {on_error!r}"))
    if timeout is not None:
        expected = "timeout must be a number of seconds > 0 or None"
        if isinstance(timeout, bool | np.bool_) or not isinstance(timeout, numbers.Real):
            problems.append(TypeError(f"{expected}, not {timeout!r}"))
        elif not cast("float", timeout) > 0:
            problems.append(ValueError(f"{expected}, not {timeout!r}"))
    return problems


def _is_word(value: Any, *words: str) -> bool:
    return isinstance(value, str) and value in words


def _seconds(timeout: Any) -> float | None:
    """The timeout as the compiled half takes it: one that no clock reaches is none."""
    return float(timeout) if timeout is not None and timeout < 1e9 else None


def _task(function: Callable[[npt.NDArray[Any]], Any], data: npt.NDArray[Any]) -> Callable[[], Any]:
    """The call of a plain function with its own read-only view, in a copy of the caller's context (`np.errstate`)."""
    view = data.view()
    view.flags.writeable = False
    return functools.partial(contextvars.copy_context().run, function, view)


def _one(errors: list[Exception], message: str, results: Results | None = None) -> Exception:
    """The lone exception, or a group of them; with the others' results attached."""
    error = errors[0] if len(errors) == 1 else ExceptionGroup(message, errors)
    if results is not None:
        try:
            error.results = results  # type: ignore[attr-defined]
        except AttributeError:
            error.add_note("the other functions' results could not be attached to this exception")
    return error


def _raise(errors: list[Exception], message: str) -> None:
    if errors:
        raise _one(errors, message)
