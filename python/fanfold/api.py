"""The public calls: `run`, `plan`, `Pool`. They check the arguments; the compiled half computes.

A call finds and reports all problems together, before it touches any data: see `checks` and `failures`.
"""

import math
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Never, Self, cast

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks, columns, nans
from fanfold.accepted import Data
from fanfold.calling import COPIED, Called, budget, called_in_turn
from fanfold.deadline import UNLIMITED, deadline_of
from fanfold.dict_outputs import filling, tell_what_is_missing, wants_dict
from fanfold.explanation import Explanation, Pass, Remark, Step, as_lines
from fanfold.failures import in_the_name_of_all, raise_failures, raise_problems
from fanfold.results import Ran, Results
from fanfold.run import Run
from fanfold.shapes import Axis, item_arrays
from fanfold.signatures import with_parameters_of
from fanfold.sources import NOTHING, Elements, Opened, Opening, missing, opened
from fanfold.tracebacks import raise_on_purpose, show_at_the_call, shown_at_the_call
from fanfold.tracing.calls import FEW, TracedCalls, is_short, why_plain
from fanfold.tracing.explain import explained
from fanfold.tracing.fallback import read
from fanfold.typing import Functions, NanPolicy, OnError, Out, Progress

if TYPE_CHECKING:
    from fanfold.futures import RunFuture

# The default of `on_error`, compared by identity: any other object, of whatever type, is checked closely.
_RAISE = "raise"


class Plan:
    """Functions prepared for later runs. `plan` makes it; it can be reused, also from several threads at once.

    >>> import numpy as np, fanfold as ff
    >>> p = ff.plan(["mean", "std", "max"])
    >>> p.run(np.arange(4.0))["mean"], p.run(np.arange(6.0))["mean"]
    (np.float64(1.5), np.float64(2.5))
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_explained",
        "_fills",
        "_functions",
        "_how",
        "_joint",
        "_kernels",
        "_keys",
        "_like",
        "_named",
        "_nan_policy",
        "_native",
        "_order",
        "_plain",
    )

    @shown_at_the_call
    def __init__(
        self,
        functions: Functions,
        like: Any = None,
        nan_policy: NanPolicy = "propagate",
        problems: list[Exception] | None = None,
    ) -> None:
        # If the caller passes a list for the problems, the plan contains the valid functions, and the caller raises.
        found: list[Exception] = [] if problems is None else problems
        like = None if like is None else _as_array(read(None, like, "fanfold.plan"))
        self._nan_policy: NanPolicy = nan_policy if checks.nan_policy(nan_policy, found) else "propagate"
        self._functions = checks.functions(functions, found)
        self._like = checks.like(like, found)
        if problems is None:
            raise_problems(found, "the functions cannot be run")
        kernels = {key: function for key, function in self._functions.items() if isinstance(function, _core.Kernel)}
        plain = {key: function for key, function in self._functions.items() if key not in kernels}
        self._fills = [key for key, function in plain.items() if wants_dict(function)]
        self._plain = plain | {key: filling(plain[key]) for key in self._fills}
        # The array to call the functions with; kernels need no array to explain themselves.
        self._array = checks.kept(like) if plain and isinstance(like, np.ndarray) else None
        self._named = kernels
        # What the functions did when they were last called to be explained.
        self._explained: Explanation = []
        # The keys as they were given; and those of kernels first, as the compiled half numbers the functions.
        self._order = tuple(self._functions)
        self._keys = (*kernels, *self._plain)
        self._kernels = list(kernels.values())
        self._how = dict.fromkeys(self._plain, "plain")
        self._native = _core.Plan(self._kernels, self._nan_policy)
        # The kernels of several arrays.
        self._joint = {key: kernel for key, kernel in kernels.items() if kernel.arrays != "one"}

    @shown_at_the_call
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
        processes: bool = False,
        progress: Progress = None,
        **others: Never,
    ) -> Results:
        """Run the functions over an array. The parameters are those of `run`."""
        if others or progress is not None:
            problems: list[Exception] = []
            checks.unknown(others, "run", problems)
            checks.progress(progress, problems)
            raise_problems(problems, "the call cannot be run")
        if progress:
            from fanfold.progress import reported

            how: dict[str, Any] = {"workers": workers, "axis": axis, "keepdims": keepdims, "where": where}
            how |= {"weights": weights, "by": by, "on_error": on_error, "timeout": timeout, "out": out}
            return reported(partial(self.run, data, processes=processes, **how), progress)
        begun = time.perf_counter()
        usual = workers is None and timeout is None and on_error is _RAISE and out is None and processes is False
        parted = axis is not None or where is not None or weights is not None or by is not None or keepdims is not False
        at_once = usual and not parted and not self._joint
        if at_once and type(data) is np.ndarray and self._can_run_at_once(data):
            return self._at_once(data, data, NOTHING, begun)
        # Inside a traced function, arguments may be deferred. (Numbers in a list are plain numbers by then.)
        kind: type = type(data)
        data = data if kind is list else read(None, data, "fanfold.run")
        if parted or out is not None:
            where, weights, by = read(None, (where, weights, by), "fanfold.run")
            out = read(None, out, "fanfold.run", only_reads=False)
        wrong: list[Exception] = []
        found = opened(data, by, where, weights, axis, problems=wrong)
        if at_once and found is not None and found.is_an_array and self._can_run_at_once(found.first):
            return self._at_once(data, found.first, found.opening, begun)
        given = self._check(found, wrong, workers, on_error, timeout, out, processes, [])
        if found is None:
            raise AssertionError("what cannot be opened is a problem")
        taking = {"axis": found.axis, "keepdims": keepdims} if parted else {}
        count = workers.workers if isinstance(workers, Pool) else int(workers or 0)
        made = Run(self, found, taking, count, deadline_of(timeout), given, begun, bool(processes))
        # No variable holds the results: an exception among them may refer to this frame.
        return self._with_data(made.results(on_error), data, found)

    def _with_data(self, results: Results, data: Data, found: Opened) -> Results:
        """Have results know the data while there are any, to say how many NaN they hold."""
        if self._nan_policy == "propagate":
            results._data = nans.remembered(data, found.arrays.values())
        return results

    @in_the_name_of_all
    def _at_once(self, given: Data, data: Elements, opening: Opening, begun: float) -> Results:
        """Run kernels over a whole array, and functions over a short one, without other options.

        This gives the result of `Run`: for kernels in a third of its time, for a function in half of it.
        """
        answers, failures, passes, bytes_read, used, each = self._native.run(data, 0, None, {})
        values: dict[Any, Any] = dict(zip(self._named, answers, strict=True))
        errors = {self._keys[index]: error for index, error in failures}
        failures.clear()
        times: dict[Any, float] = {}
        why: dict[Any, str] = {}
        copied = 0
        if self._plain:
            for task, called in called_in_turn(self._plain, cast("npt.NDArray[Any]", data)):
                values[task.key], times[task.key], why[task.key] = task.result, task.seconds, FEW
                if called.bytes_copied:
                    copied, why[task.key] = copied + called.bytes_copied, f"{FEW}; {COPIED}"
                if task.error is not None:
                    errors[task.key] = task.error
                    task.error = None
            values = {key: values[key] for key in self._order}
        seconds = time.perf_counter() - begun
        ran: Ran = (
            *(passes, bytes_read, used, seconds, times, each),
            *(self._order, self._how, why, copied, opening, self._named),
        )
        if errors:
            errors = self._with_remedies(errors)
            good = {key: value for key, value in values.items() if key not in errors}
            raise_failures(errors, self._plain, Results(good, {}, ran))
        results = Results(values, {}, ran)
        if self._nan_policy == "propagate":
            is_whole = type(given) is np.ndarray and given.base is None
            results._data = weakref.ref(given) if is_whole else nans.remembered(given, (data,))
        return results

    def _can_run_at_once(self, data: Elements) -> bool:
        """Whether there is nothing to do but to run kernels, and to call functions one after the other."""
        if self._plain:
            is_short_array = type(data) is np.ndarray and is_short(data) and data.dtype.names is None
            if not is_short_array or self._fills:
                return False
        elif type(data) is not np.ndarray and self._minds_missing(data):
            return False
        return not self._native.problems(data)

    def _with_remedies(self, errors: Mapping[Any, Exception]) -> dict[Any, Exception]:
        """Return the failures in the order of the functions, with what their calls lacked."""
        found = {key: errors[key] for key in self._order if key in errors}
        for key in found.keys() & self._plain.keys():
            tell_what_is_missing(found[key], self._functions[key])
        return found

    def _minds_missing(self, data: Elements) -> bool:
        """Whether elements are missing, and functions need those that are there, or kernels an item for each."""
        return bool(missing(data) and (self._plain or self._native.arrays(data)))

    def _native_of(self, kernels: Mapping[str, _core.Kernel]) -> _core.Plan:
        """Return a compiled plan of some of the plan's kernels."""
        if len(kernels) == len(self._kernels):
            return self._native
        return _core.Plan(list(kernels.values()), self._nan_policy)

    def _traced_calls(self, data: npt.NDArray[Any]) -> TracedCalls:
        """Return the calls of the functions with an array that can be traced, to explain what they do."""
        functions = {(key, None): Called(function) for key, function in self._plain.items()}
        kernels = [(kernel, data) for kernel in self._kernels]
        # Passes wait for all functions: which functions they serve does not depend on how long others take.
        return TracedCalls(data, functions, kernels, self._nan_policy, budget(0), UNLIMITED, math.inf, {})

    def _check(
        self,
        found: Opened | None,
        others: list[Exception],
        workers: Any,
        on_error: Any,
        timeout: Any,
        out: Any,
        processes: Any,
        problems: list[Exception],
    ) -> dict[Any, npt.NDArray[Any]]:
        """Return the arrays of `out`. Raise what is wrong: `others` with the data, `problems` with the functions."""
        single = found.first if found is not None and found.is_single else None
        if found is not None and not found.is_single:
            columns.of_one_shape(found.arrays, others)
        if single is not None:
            columns.refuse_one(self._joint, others)
        elif found is not None and out is not None:
            others.append(ValueError("out was given, but data has several arrays: pass one array, or no out"))
        if isinstance(workers, Pool):
            workers._check(others)
        else:
            checks.workers(workers, others)
        checks.on_error(on_error, others)
        checks.timeout(timeout, others)
        checks.processes(processes, others)
        given: dict[Any, npt.NDArray[Any]] = {}
        if out is not None and found is not None and single is not None and not problems:
            arrays = {
                self._keys[index]: (dtype, shapes)
                for index, dtype, shapes in item_arrays(self._native, single, found.axis if found.by is None else None)
            }
            wrong = bool(self._native.problems(single))
            keys = found.by if isinstance(found.by, tuple) else (found.by,)
            inputs = {"data": single, "where": found.where, "weights": found.weights}
            inputs |= {f"by[{number}]" if len(keys) > 1 else "by": key for number, key in enumerate(keys)}
            given = checks.out(out, arrays, () if wrong else self._keys, inputs, others)
        message = "the call cannot be run" if problems or others else "the functions cannot be run on this array"
        # If failures are returned, a kernel that does not support the dtype returns its failure too.
        if self._kernels and found is not None and not checks.is_word(on_error, "return"):
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
        """Explain the passes over memory, what the functions share, and why some functions are not fused.

        Which operations a function uses is only known when it is called. If the plan was made with ``like=x``, this
        calls the functions once with that array and reports what they did. Their failures are not raised.

        >>> import fanfold as ff
        >>> print(ff.plan(["mean", "std", ff.histogram(bins=5)]).explain())
        pass 1 over float64
          moments of x -> mean, std
          extrema of x -> histogram
        pass 2 over float64
          histogram between them -> histogram
        """
        if self._array is not None and why_plain(self._array) is None:
            told: list[Pass | Remark] = []
            kernels = list(self._named.items())
            traced = self._traced_calls(self._array)
            traced.run(lambda: told.extend(explained(traced, kernels)))
            self._explained = told
        return "\n".join(as_lines(self._explained or self._foreseen()))

    def _foreseen(self) -> Explanation:
        """Explain what is known before any function is called."""
        kernels = list(map(str, self._keys[: len(self._kernels)]))
        like = np.dtype(np.float64) if self._like is None else self._like
        reason = None if self._array is None else why_plain(self._array)
        remedy = "like=x shows it" if self._array is None else "explain() does it"
        known, passes, refused = self._native.explain(kernels, like)
        found: list[Pass | Remark] = [Remark("known from the length", known, "")] if known else []
        found += [Pass(name, [Step(*step) for step in steps]) for name, steps in passes]
        found += [Remark("cannot run", [key], why) for key, why in refused]
        how, why = ("function", f"called to see what it asks for: {remedy}") if reason is None else ("plain", reason)
        return [*found, *(Remark(how, [str(key)], why) for key in self._plain)]

    def __repr__(self) -> str:
        from fanfold.show import plans

        return plans.as_text(plans.title(len(self._order)), self._explained or self._foreseen())

    def _repr_html_(self) -> str:
        from fanfold.show import plans

        return plans.as_html(plans.title(len(self._order)), self._explained or self._foreseen())

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, (self._functions, self._like, self._nan_policy)


class Pool:
    """A fixed number of workers for several runs.

    The first run that needs the threads starts them. All pools of the same size share them, and they live until the
    process ends: the next pool starts none. They work for one run at a time. If a run finds them busy, or starts inside
    a function of another run, the calling thread does all of its work.

    Parameters
    ----------
    workers : int, optional
        The number of workers. ``None`` means as many as calls have that do not say how many: see `run`.

    Examples
    --------
    >>> import numpy as np, fanfold as ff
    >>> with ff.Pool(workers=2) as pool:
    ...     r = pool.run(np.arange(3.0), "mean")
    >>> r["mean"]
    np.float64(1.0)
    """

    __slots__ = ("__weakref__", "_closed", "_workers")

    @shown_at_the_call
    def __init__(self, workers: int | None = None) -> None:
        problems: list[Exception] = []
        if isinstance(workers, Pool):
            problems.append(TypeError("workers must be an integer or None, not a Pool"))
        else:
            checks.workers(workers, problems, pool="")
        raise_problems(problems, "the pool cannot be made")
        self._workers: int = _core.config()["workers"] if workers is None else int(workers)
        self._closed = False

    @property
    def workers(self) -> int:
        """The number of threads that compute."""
        return self._workers

    @shown_at_the_call
    def run(
        self,
        data: Data,
        functions: Functions | None = None,
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
        processes: bool = False,
        progress: Progress = None,
        **others: Never,
    ) -> Results:
        """Call `fanfold.run` with this pool's workers."""
        options: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
        options |= {"on_error": on_error, "timeout": timeout, "out": out, "processes": processes, "progress": progress}
        return run(data, functions, workers=self, nan_policy=nan_policy, **options, **others)

    # The method, not the function: a pool's calls take no workers.
    @with_parameters_of(run, "concurrent.futures.Future")
    @shown_at_the_call
    def submit(self, *data_and_functions: Any, **options: Any) -> "RunFuture":
        """Call `fanfold.submit` with this pool's workers."""
        problems: list[Exception] = []
        self._check(problems)
        raise_problems(problems, "the call cannot be run")
        from fanfold.futures import submitted

        return submitted(partial(self.run, *data_and_functions, **options))

    def _check(self, problems: list[Exception]) -> None:
        if self._closed:
            problems.append(ValueError(f"workers is {self!r}, which was closed: run inside its with block"))

    @shown_at_the_call
    def __enter__(self) -> Self:
        if self._closed:
            raise_on_purpose(ValueError(f"{self!r} was closed: make a new one"))
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
    functions: Functions | None = None,
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
    processes: bool = False,
    progress: Progress = None,
    **others: Never,
) -> Results:
    """Run all functions over one array, native kernels together in as few passes as possible, without the GIL.

    Without functions, this is `describe`, which takes ``by`` and ``workers`` alone.

    Parameters
    ----------
    data : numpy.ndarray, any other object that holds numbers, a table, or a dict of them
        The array. Its elements are one sequence unless ``axis`` is given. It is read in place, never copied (except for
        ``by``) and never written to: any shape, strides, byte order and alignment, also read-only and memory-mapped
        arrays. The same holds for buffers, Series of pandas and Polars, Arrow arrays and others; lists of numbers are
        copied (``docs/inputs.md``). Callables accept any dtype, kernels accept numbers and times. A table or a dict
        holds several arrays of one shape: most functions then give a dict with one result for each array, and kernels
        of two arrays (``ff.corr("price", "size")``) or of all arrays (``"cov_matrix"``) give one result.
    functions : str, Kernel, callable, or an iterable or dict of them, optional
        What to compute. A string is the name of a kernel (`kernels` lists them); ``ff.std(ddof=1)`` is a kernel with
        parameters. Any other callable is called with the array, read-only; its NumPy operations are fused where
        possible (``docs/functions.md``). A callable with two required parameters, ``f(x, out)``, gets its own dict too,
        whose entries join the results. The keys of a dict of functions name the results; otherwise the results have the
        names of the kernels and functions.
    workers : int or Pool, optional
        The number of threads that compute. ``None`` means one for each processor that this process may use, and at
        most ``FANFOLD_NUM_THREADS``, or else ``OMP_NUM_THREADS`` (looked up once; `info` says what decided it); 1 means
        the calling thread. The calling thread always does small arrays alone. The result is the same for any number, to
        the last bit.
    axis : int or tuple of int, optional
        The axes to reduce, as in NumPy: the results are arrays, with one result for each position along the other axes.
        Along one axis, a result equals the result for its elements alone, to the last bit. ``None`` combines all
        elements. Callables with a parameter ``axis`` are called with it; others get one row at a time, as from
        ``np.apply_along_axis``, but mostly all rows are computed from one trace. For arrays with named dimensions
        (xarray), names also work.
    keepdims : bool
        Whether the reduced axes stay in the results, with length 1.
    where : numpy.ndarray of bool, optional
        A mask of the elements to use, with the shape of the data or one that broadcasts to it; for a table also the
        name of a column. The other elements are left out, as if they were not there. Callables are called with
        ``where=``.
    weights : array_like, optional
        How often each element counts: finite numbers >= 0, with the shape of the data or one that broadcasts to it, or
        one weight for each position along a single ``axis``; for a table also the name of a column. ``mean``, ``var``,
        ``quantile`` and other kernels take weights (``docs/shapes.md``); callables are called with ``weights=``.
    by : array_like or tuple of them, optional
        A label for each element (integers, floats, strings, times, a categorical; a masked array, a column of pandas,
        Polars or Arrow), or several labels in a tuple; for a table or dict also the name of a column. With ``axis``,
        there is one label for each position along that axis, and the groups replace the axis. The results have one
        result for each label, from its elements alone, in the order of ``results.groups``. Missing labels (NaN, NaT,
        None, NA, null, masked) form no group. The elements are copied, group by group. Callables get the elements
        of each group, as functions of one sequence along axes do those of each row.
    nan_policy : {"propagate", "omit", "raise"}
        What every kernel does with NaN (and NaT): it makes most results NaN, leaves the elements out, or raises
        ``ValueError``.
    on_error : {"raise", "return"}
        What to do if functions fail: raise the exception (an ``ExceptionGroup`` if there are several different ones),
        with the other functions' results in its attribute ``results``; or return the exceptions instead of the results.
    timeout : float, optional
        The number of seconds after which the passes stop and ``TimeoutError`` is raised. Functions that run on their
        own threads and do not return are left behind there, and the message names them. A function that runs alone,
        with one worker, or for each short row or group, runs in the calling thread; then the call ends when it returns.
    out : dict of str to numpy.ndarray, optional
        The arrays to write results to, by the names of the results, for kernels that return one item for each element
        (``docs/shapes.md``). Each array must have the dtype and shape of the result (or the shape of `data`, if that
        has as many elements), must be writeable, and must not share memory with `data` or with another array of `out`.
        The results hold these same arrays. If a function or the run fails, its array may hold anything.
    processes : bool
        Whether functions that cannot be fused run in worker processes, as many at a time as there are workers. It pays
        for functions that hold the GIL: pure Python, and most of pandas (``docs/processes.md``).
    progress : bool or callable, optional
        What tells how far the call is, at most ten times a second. ``True`` writes a line to stderr, after half a
        second, if that is a terminal or a notebook. A class like ``tqdm`` gets a bar of its own. Any other callable is
        called with ``(done, total)`` in the calling thread; `total` is 1000, and `done` never decreases.

    Returns
    -------
    Results
        A dict of NumPy scalars and arrays by name, with a ``report``.

    Raises
    ------
    TypeError
        An argument is not an array or a function, or a kernel does not support the dtype.
    ValueError
        A parameter is out of its bounds, a name is unknown, two keys are equal, or an array is empty where a kernel
        needs an element.
    OverflowError
        An integer result does not fit the dtype that NumPy gives it.
    TimeoutError
        The timeout passed.
    KernelPanic
        A kernel has a bug.

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
    # For small arrays, a wrapper as that of the other calls would be felt.
    try:
        problems: list[Exception] = []
        if others:
            checks.unknown(others, "run", problems)
        how: dict[str, Any] = {"on_error": on_error, "timeout": timeout, "out": out, "processes": processes}
        if functions is None:
            # `describe` is made of runs.
            from fanfold.describe import describe

            how |= {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "nan_policy": nan_policy}
            checks.no_functions(how | {"progress": progress}, problems)
            raise_problems(problems, "the call cannot be run")
            return describe(data, by, workers=workers)
        checks.progress(progress, problems)
        planned = _planned(functions, nan_policy, problems)
        if problems:
            wrong: list[Exception] = []
            found = opened(data, by, where, weights, axis, problems=wrong)
            planned._check(found, wrong, workers, on_error, timeout, out, processes, problems)
        if progress:
            how["progress"] = progress
        if axis is None and where is None and weights is None and by is None and keepdims is False:
            return _run_plan(planned, data, workers=workers, **how)
        how |= {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
        return _run_plan(planned, data, workers=workers, **how)
    except Exception as error:
        show_at_the_call(error)
        raise


# Without the wrapper: `run` does what it does.
_run_plan: Callable[..., Results] = Plan.run.__wrapped__  # type: ignore[attr-defined]


@shown_at_the_call
def plan(functions: Functions, *, like: Any = None, nan_policy: NanPolicy = "propagate") -> Plan:
    """Prepare functions for later runs. The plan can explain what a run will do.

    Parameters
    ----------
    functions, nan_policy
        As in `run`.
    like : array or dtype, optional
        An array or dtype like those of later runs, for `Plan.explain`; a Series or a list counts as its array, and
        ``None`` means float64. For kernels only its dtype matters: for an array that is not in C order, positions take
        an extra pass. `Plan.explain` calls functions with the array: a plan with functions keeps the array.

    Returns
    -------
    Plan
    """
    return Plan(functions, like, nan_policy)


def _as_array(like: Any) -> Any:
    """Return what others hold an array in (a Series, a list) as an array; anything else as it is."""
    if isinstance(like, np.ndarray | np.generic | np.dtype | str | type) or not hasattr(like, "__len__"):
        return like
    found = opened(like, None, None, None, None, problems=[])
    return found.first if found is not None and found.is_an_array else like


def _planned(functions: Functions, nan_policy: NanPolicy, problems: list[Exception]) -> Plan:
    """Return a plan for the call. If all functions are names or kernels, an earlier plan is used again."""
    if not isinstance(functions, _LASTING):
        return Plan(functions, None, nan_policy, problems)
    key = (tuple(functions) if isinstance(functions, list) else functions, nan_policy)
    try:
        found = _memory.get(key)
    except Exception:  # noqa: BLE001 - Something unhashable: the plan's own checks say what is wrong, if anything is.
        return Plan(functions, None, nan_policy, problems)
    if found is None:
        found = Plan(functions, None, nan_policy, problems)
        # Plans with callables are not remembered: a callable may hold much memory, and equals only itself.
        if not found._plain and not problems:
            if len(_memory) >= 128:
                _memory.clear()
            _memory[key] = found
    return found


_memory: dict[Any, Plan] = {}

# These types give the same functions each time, unlike an iterator.
_LASTING = (str, list, tuple, _core.Kernel)
