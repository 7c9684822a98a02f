"""The calls that users make: `run`, `plan`, `Pool`. They sort out the arguments; the compiled half computes.

All problems of a call are found, and told together, before any data is touched: see `checks` and `failures`.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Never, Self

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks, columns
from fanfold.calling import budget
from fanfold.deadline import UNLIMITED, Deadline
from fanfold.failures import in_the_name_of_all, raise_failures, raise_problems
from fanfold.filling import filling, wants_dict
from fanfold.results import Ran, Results
from fanfold.run import Run
from fanfold.shapes import Axis
from fanfold.sources import NOTHING, Elements, Opened, Opening, missing, opened
from fanfold.tracing.crew import Crew, why_plain
from fanfold.tracing.explain import explained
from fanfold.tracing.plainly import lend

NanPolicy = Literal["propagate", "omit", "raise"]
Data = Any
Out = Mapping[Any, npt.NDArray[Any]]
OnError = Literal["raise", "return"]

Function = str | _core.Kernel | Callable[[npt.NDArray[Any]], Any] | Callable[[npt.NDArray[Any], dict[str, Any]], Any]
Functions = Function | Iterable[Function] | Mapping[Any, Function]

# The default of `on_error`, to be recognised by identity: any other object, of whatever type, is looked at closely.
_RAISE = "raise"


class Plan:
    """Functions prepared for arrays to come. Made by `plan`; reusable, and safe to use from several threads.

    >>> import numpy as np, fanfold as ff
    >>> p = ff.plan(["mean", "std", "max"])
    >>> p.run(np.arange(4.0))["mean"], p.run(np.arange(6.0))["mean"]
    (np.float64(1.5), np.float64(2.5))
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_fills",
        "_functions",
        "_how",
        "_joint",
        "_kernels",
        "_keys",
        "_like",
        "_nan_policy",
        "_native",
        "_order",
        "_plain",
    )

    def __init__(
        self,
        functions: Functions,
        like: Any = None,
        nan_policy: NanPolicy = "propagate",
        problems: list[Exception] | None = None,
    ) -> None:
        # With a list for the problems, the plan is made of what is right, and the caller raises them.
        found: list[Exception] = [] if problems is None else problems
        like = lend(None, like, "fanfold.plan")
        self._nan_policy: NanPolicy = nan_policy if checks.nan_policy(nan_policy, found) else "propagate"
        self._functions = checks.functions(functions, found)
        self._like = checks.like(like, found)
        if problems is None:
            raise_problems(found, "the functions cannot be run")
        kernels = {key: function for key, function in self._functions.items() if isinstance(function, _core.Kernel)}
        plain = {key: function for key, function in self._functions.items() if key not in kernels}
        self._fills = [key for key, function in plain.items() if wants_dict(function)]
        self._plain = plain | {key: filling(plain[key]) for key in self._fills}
        # To call the functions with; kernels need no array to explain themselves.
        self._array = checks.kept(like) if plain and isinstance(like, np.ndarray) else None
        self._order = tuple(self._functions)
        self._keys = (*kernels, *self._plain)
        self._kernels = list(kernels.values())
        self._how = dict.fromkeys(self._plain, "plain")
        self._native = _core.Plan(self._kernels, self._nan_policy)
        # Those that go over several arrays.
        self._joint = {key: kernel for key, kernel in kernels.items() if kernel.arrays != "one"}

    def run(
        self,
        data: Data,
        *,
        workers: "int | Pool | None" = None,
        axis: Axis = None,
        keepdims: bool = False,
        where: npt.NDArray[np.bool_] | None = None,
        weights: npt.ArrayLike | None = None,
        by: Any = None,
        on_error: OnError = "raise",
        timeout: float | None = None,
        out: Out | None = None,
        **others: Never,
    ) -> Results:
        """Runs the functions over an array; the parameters are those of `run`."""
        if others:
            problems: list[Exception] = []
            checks.unknown(others, "run", problems)
            raise_problems(problems, "the call cannot be run")
        usual = workers is None and timeout is None and on_error is _RAISE and out is None
        parted = axis is not None or where is not None or weights is not None or by is not None or keepdims is not False
        at_once = usual and not parted and not self._plain and not self._joint
        if at_once and type(data) is np.ndarray and not self._native.problems(data):
            return self._at_once(data, NOTHING)
        begun = time.perf_counter()
        # Inside a traced function they may be deferred. (Numbers in a list are numbers then.)
        data = data if type(data) is list else lend(None, data, "fanfold.run")
        where, weights, by = lend(None, (where, weights, by), "fanfold.run")
        out = lend(None, out, "fanfold.run", only_reads=False)
        wrong: list[Exception] = []
        found = opened(data, by, where, weights, axis, problems=wrong)
        at_once = at_once and found is not None and found.is_an_array and not self._minds_missing(found.first)
        if at_once and found is not None and not self._native.problems(found.first):
            return self._at_once(found.first, found.opening)
        given = self._check(found, wrong, workers, on_error, timeout, out, [])
        if found is None:
            raise AssertionError("what cannot be opened is a problem")
        taking = {"axis": found.axis, "keepdims": keepdims} if parted else {}
        count = workers.workers if isinstance(workers, Pool) else int(workers or 0)
        deadline = UNLIMITED if timeout is None else Deadline(timeout)
        return Run(self, found, taking, count, deadline, given, begun).results(on_error)

    @in_the_name_of_all
    def _at_once(self, data: Elements, opening: Opening) -> Results:
        """Kernels over a whole array, with nothing else said: what `Run` gives, in a third of its time."""
        answers, failures, passes, bytes_read, used, seconds = self._native.run(data, 0, None, {})
        ran: Ran = (passes, bytes_read, used, seconds, self._order, self._how, {}, 0, opening)
        values = dict(zip(self._keys, answers, strict=True))
        if failures:
            errors = {self._keys[index]: error for index, error in failures}
            failures.clear()
            good = {key: value for key, value in values.items() if key not in errors}
            raise_failures(errors, (), Results(good, {}, ran))
        return Results(values, {}, ran)

    def _minds_missing(self, data: Elements) -> bool:
        """Whether elements are missing, and functions need those that are there, or kernels an item for each."""
        return bool(missing(data) and (self._plain or self._native.arrays(data)))

    def _native_of(self, kernels: Mapping[str, _core.Kernel]) -> _core.Plan:
        """Some of the kernels of the plan, as the compiled half runs them."""
        if len(kernels) == len(self._kernels):
            return self._native
        return _core.Plan(list(kernels.values()), self._nan_policy)

    def _crew(self, data: npt.NDArray[Any], patience: float) -> Crew:
        """Who calls the functions of an array that can be traced, to explain what they do."""
        return Crew(data, self._plain, self._kernels, self._nan_policy, budget(0), UNLIMITED, patience, {})

    def _check(
        self,
        found: Opened | None,
        others: list[Exception],
        workers: Any,
        on_error: Any,
        timeout: Any,
        out: Any,
        problems: list[Exception],
    ) -> dict[Any, npt.NDArray[Any]]:
        """The arrays of `out`. Raises what is wrong with a run: `others` of its data, `problems` of its functions."""
        single = found.first if found is not None and found.is_single else None
        if found is not None and not found.is_single:
            columns.of_one_shape(found.arrays, others)
        if single is not None:
            columns.refuse_one(self._joint, others)
        elif found is not None and out is not None:
            others.append(ValueError("out was given, and data has several arrays: out goes with one array"))
        if isinstance(workers, Pool):
            workers._check(others)
        else:
            checks.workers(workers, others)
        checks.on_error(on_error, others)
        checks.timeout(timeout, others)
        given: dict[Any, npt.NDArray[Any]] = {}
        if out is not None and single is not None and not problems:
            arrays = {self._keys[index]: each for index, *each in self._native.arrays(single)}
            wrong = bool(self._native.problems(single))
            given = checks.out(out, arrays, () if wrong else self._keys, single, others)
        message = "the call cannot be run" if problems or others else "the functions cannot be run on this array"
        # If failures are returned, then so is that of a kernel which has no meaning for the dtype.
        if found is not None and not checks.is_word(on_error, "return"):
            kernels = self._keys[: len(self._kernels)]
            names = {name: "data" if found.is_single else f"data[{checks.shown(name)}]" for name in found.arrays}
            lost = (checks.refused(kernels, array, names[name]) for name, array in found.arrays.items())
            refused = next(filter(None, lost), {})
            problems += refused.values()
            if single is not None and not refused and not self._joint:
                problems += self._native.problems(single)
        problems += others
        others.clear()
        raise_problems(problems, message)
        return given

    def explain(self) -> str:
        """The passes over memory, what shares what, and what keeps functions from it.

        What a function asks for shows when it is called: if the plan was made with ``like=x``, this calls the functions
        with that array, once, and tells what they did. Their failures are not raised.

        >>> import fanfold as ff
        >>> print(ff.plan(["mean", "std", ff.histogram(bins=5)]).explain())
        pass 1 over float64
          moments of x -> mean, std
          extrema of x -> histogram
        pass 2 over float64
          histogram between them -> histogram
        """
        kernels = self._keys[: len(self._kernels)]
        reason = None if self._array is None else why_plain(self._array)
        if self._array is not None and reason is None:
            told: list[str] = []
            # Sweeps wait for everybody: which functions they serve does not depend on how long others take.
            crew = self._crew(self._array, math.inf)
            crew.run(lambda: told.extend(explained(crew, list(zip(kernels, self._kernels, strict=True)))))
            return "\n".join(told)
        like = np.dtype(np.float64) if self._like is None else self._like
        lines = [self._native.explain(list(map(str, kernels)), like).rstrip()]
        if reason is None:
            lines += [f"function: {key}, called to see what it asks for (like=x shows it)" for key in self._plain]
        else:
            lines += [f"plain: {key} ({reason})" for key in self._plain]
        return "\n".join(line for line in lines if line)

    def __repr__(self) -> str:
        return f"fanfold.Plan({list(self._order)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, (self._functions, self._like, self._nan_policy)


class Pool:
    """A fixed number of workers for several runs.

    The threads are started at the first run that needs them, shared by all pools of the same size, and kept until the
    process ends: the next pool starts none. They work for one run at a time; a run that finds them at work, or that is
    started inside a function of another run, is done by the calling thread alone.

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

    __slots__ = ("__weakref__", "_closed", "_workers")

    def __init__(self, workers: int | None = None) -> None:
        if isinstance(workers, Pool):
            raise TypeError("workers must be an integer or None, not a Pool")
        problems: list[Exception] = []
        checks.workers(workers, problems, pool="")
        raise_problems(problems, "the pool cannot be made")
        self._workers: int = _core.config()["workers"] if workers is None else int(workers)
        self._closed = False

    @property
    def workers(self) -> int:
        """How many threads compute."""
        return self._workers

    def run(
        self,
        data: Data,
        functions: Functions,
        *,
        axis: Axis = None,
        keepdims: bool = False,
        where: npt.NDArray[np.bool_] | None = None,
        weights: npt.ArrayLike | None = None,
        by: Any = None,
        nan_policy: NanPolicy = "propagate",
        on_error: OnError = "raise",
        timeout: float | None = None,
        out: Out | None = None,
        **others: Never,
    ) -> Results:
        """`fanfold.run` with this pool's workers."""
        options: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
        options |= {"on_error": on_error, "timeout": timeout, "out": out}
        return run(data, functions, workers=self, nan_policy=nan_policy, **options, **others)

    def _check(self, problems: list[Exception]) -> None:
        if self._closed:
            problems.append(ValueError(f"workers is {self!r}, which was closed: run inside its with block"))

    def __enter__(self) -> Self:
        if self._closed:
            raise ValueError(f"{self!r} was closed: make a new one")
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
    data: Data,
    functions: Functions,
    *,
    workers: int | Pool | None = None,
    axis: Axis = None,
    keepdims: bool = False,
    where: npt.NDArray[np.bool_] | None = None,
    weights: npt.ArrayLike | None = None,
    by: Any = None,
    nan_policy: NanPolicy = "propagate",
    on_error: OnError = "raise",
    timeout: float | None = None,
    out: Out | None = None,
    **others: Never,
) -> Results:
    """Runs all functions over one array: native kernels together in as few passes as can be, without the GIL.

    Parameters
    ----------
    data : numpy.ndarray, whatever else holds numbers, a table, or a dict of them
        The array, whose elements are taken as one sequence unless there is an ``axis``. It is read where it lies, never
        copied (but for ``by``) and never written to: any shape, strides, byte order and alignment, read-only and
        memory-mapped arrays too. Callables take any dtype, kernels those of numbers and times. So are buffers, Series
        of pandas and Polars, Arrow arrays and others; lists of numbers are copied (``docs/inputs.md``). In a table or a
        dict there are several arrays of one shape: most functions then answer for each, with a dict, and kernels of two
        arrays (``ff.corr("price", "size")``) or of all (``"cov_matrix"``) once.
    functions : str, Kernel, callable, or an iterable or dict of them
        What to compute. A string is the name of a kernel (`kernels` lists them); ``ff.std(ddof=1)`` is a kernel with
        parameters; any other callable is called with the array, read-only, and what it asks of NumPy is fused where it
        can be (``docs/functions.md``). One with two required parameters, ``f(x, out)``, gets a dict of its own as well,
        and what it puts there joins the results. In a dict of functions the keys name the results, otherwise the
        kernels' and functions' own names do.
    workers : int or Pool, optional
        How many threads compute. ``None`` is as many as there are processors for this process (looked up once), 1 the
        calling thread. Small arrays are always left to the calling thread. The result does not depend on it, to the
        last bit.
    axis : int or tuple of int, optional
        The axes along which elements are taken together, as in NumPy: the results are arrays, with an answer for each
        place along the other axes; along one axis it is that of its elements alone, to the last bit. All elements are
        taken together if ``None``. Callables are called with ``axis=``, and have to have such a parameter. Names of
        dimensions will do for arrays that have them (xarray's).
    keepdims : bool
        Whether the axes that were taken together stay, with one place each.
    where : numpy.ndarray of bool, optional
        The elements that count: a mask of the data's shape, or one that broadcasts to it; of a table also the name of a
        column. The others are left out, as if they were not there. Callables are called with ``where=``.
    weights : array_like, optional
        How often each element counts: finite numbers from 0 on, of the data's shape or one that broadcasts to it, or
        one for each place along a single ``axis``; of a table also the name of a column. Taken by ``mean``, ``var``,
        ``quantile`` and others (``docs/shapes.md``); callables are called with ``weights=``.
    by : array_like or tuple of them, optional
        A label for each element (integers, floats, strings, times, a categorical; a masked array, a column of pandas,
        Polars or Arrow), or several; of a table or dict also the name of a column. With ``axis`` there is a label for
        each place along that axis, and the groups take its place. The results have an answer for each label, of its
        elements alone, in the order of ``results.groups``. Labels that are missing (NaN, NaT, None, NA, null, masked)
        make no group. The elements are copied, group by group. Callables are called with the elements of each.
    nan_policy : {"propagate", "omit", "raise"}
        What NaN (and NaT) values mean to every kernel: they make most results NaN, are left out, or raise
        ``ValueError``.
    on_error : {"raise", "return"}
        What to do if functions fail: raise the exception (an ``ExceptionGroup`` if there are several different ones),
        whose attribute ``results`` has the others' results; or return the exceptions in place of the results.
    timeout : float, optional
        Seconds after which the passes are stopped and ``TimeoutError`` is raised. Functions that run on threads of
        their own and do not return are left behind there, and named in the message; one that runs alone, or with one
        worker, runs in the calling thread, and the call ends when it returns.
    out : dict of str to numpy.ndarray, optional
        Arrays by the names of results, to which these results are written: for kernels that answer with an item for
        each element (``docs/shapes.md``). Each must have the result's dtype and shape (or the shape of `data`, if they
        have as many elements), must be writeable, and must share no memory with `data` or with another of them. The
        results hold these very arrays. If a function fails, or the run does, its array may hold anything.

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
    problems: list[Exception] = []
    if others:
        checks.unknown(others, "run", problems)
    planned = _planned(functions, nan_policy, problems)
    if problems:
        wrong: list[Exception] = []
        found = opened(data, by, where, weights, axis, problems=wrong)
        planned._check(found, wrong, workers, on_error, timeout, out, problems)
    if axis is None and where is None and weights is None and by is None and keepdims is False:
        return planned.run(data, workers=workers, on_error=on_error, timeout=timeout, out=out)
    how: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
    return planned.run(data, workers=workers, on_error=on_error, timeout=timeout, out=out, **how)


def plan(functions: Functions, *, like: Any = None, nan_policy: NanPolicy = "propagate") -> Plan:
    """Prepares functions for arrays to come, and can explain what a run will do.

    Parameters
    ----------
    functions, nan_policy
        As for `run`.
    like : array or dtype, optional
        What the arrays will be like, for `Plan.explain`; float64 if ``None``. Of kernels only its dtype counts: where
        an array does not lie in its own order, positions take a pass of their own. Functions are called with the array
        when the plan is to explain itself: a plan with functions keeps it.

    Returns
    -------
    Plan
    """
    return Plan(functions, like, nan_policy)


def show_config() -> dict[str, Any]:
    """The version, the instruction set in use and those available, and the processors of this process."""
    config = _core.config()
    problem = config.pop("simd_problem")
    if problem:
        raise ValueError(problem)
    return config


def _planned(functions: Functions, nan_policy: NanPolicy, problems: list[Exception]) -> Plan:
    """A plan for the call; one that was made before if the functions are names and kernels only."""
    if not isinstance(functions, _LASTING):
        return Plan(functions, None, nan_policy, problems)
    key = (tuple(functions) if isinstance(functions, list) else functions, nan_policy)
    try:
        found = _memory.get(key)
    except Exception:  # noqa: BLE001 - Something unhashable: the plan's own checks say what is wrong, if anything is.
        return Plan(functions, None, nan_policy, problems)
    if found is None:
        found = Plan(functions, None, nan_policy, problems)
        # Callables are not remembered: they may hold on to much memory, and are equal only to themselves.
        if not found._plain and not problems:
            if len(_memory) >= 128:
                _memory.clear()
            _memory[key] = found
    return found


_memory: dict[Any, Plan] = {}

# What gives the same functions each time, unlike an iterator.
_LASTING = (str, list, tuple, _core.Kernel)
