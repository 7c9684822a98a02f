"""The calls that users make: `run`, `plan`, `Pool`. They sort out the arguments; the compiled half computes.

All problems of a call are found, and told together, before any data is touched: see `checks` and `failures`.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks, columns, groups, shapes
from fanfold.calling import COPIED, Called, Sweep, Task, budget, call_all
from fanfold.deadline import UNLIMITED, Deadline
from fanfold.failures import in_the_name_of_all, note, raise_failures, raise_problems, short_of_memory
from fanfold.filling import filling, joined, remedy_for_dict, tell_what_is_missing, wants_dict
from fanfold.groups import Groups
from fanfold.results import Ran, Results
from fanfold.scheduler import PATIENCE
from fanfold.shapes import Axis, Rows
from fanfold.sources import NOTHING, Opening, Source, opened
from fanfold.tracing.crew import SMALLEST, Crew, why_plain
from fanfold.tracing.explain import explained
from fanfold.tracing.plainly import lend

NanPolicy = Literal["propagate", "omit", "raise"]
Data = Any
Out = Mapping[str, npt.NDArray[Any]]
OnError = Literal["raise", "return"]

Function = str | _core.Kernel | Callable[[npt.NDArray[Any]], Any] | Callable[[npt.NDArray[Any], dict[str, Any]], Any]
Functions = Function | Iterable[Function] | Mapping[str, Function]

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
        self._array = _kept(like) if plain and isinstance(like, np.ndarray) else None
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
    ) -> Results:
        """Runs the functions over an array; the parameters are those of `run`."""
        usual = type(data) is np.ndarray and workers is None and timeout is None and on_error is _RAISE and out is None
        parted = axis is not None or where is not None or weights is not None or by is not None or keepdims is not False
        if parted or not usual:
            # Inside a traced function they may be deferred.
            data, where, weights, by = lend(None, (data, where, weights, by), "fanfold.run")
            out = lend(None, out, "fanfold.run", only_reads=False)
        given: dict[int, npt.NDArray[Any]] = {}
        opening, is_table = NOTHING, False
        if not usual or self._joint or self._native.problems(cast("npt.NDArray[Any]", data)):
            (data, by, opening, is_table), given = self._check(data, by, workers, on_error, timeout, out, [])
        deadline = UNLIMITED if timeout is None else Deadline(timeout)
        count = workers.workers if isinstance(workers, Pool) else int(workers or 0)
        taking: dict[str, Any] = {}
        if parted or not isinstance(data, np.ndarray):
            taking = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
        if not usual and (refused := self._refused(data)):
            return self._run_functions(data, taking, count, on_error, deadline, refused, opening)
        if isinstance(data, Mapping):
            return self._run_columns(data, taking, count, on_error, deadline, opening, is_table)
        return self._run_array(data if usual else _kept(data), taking, count, on_error, deadline, given, opening)

    def _run_array(
        self,
        data: npt.NDArray[Any],
        taking: Mapping[str, Any],
        count: int,
        on_error: OnError,
        deadline: Deadline,
        given: Mapping[int, npt.NDArray[Any]],
        opening: Opening = NOTHING,
    ) -> Results:
        """A run over one array; as a whole, if nothing says what is to be taken of it."""
        if taking:
            return self._run_parts(data, taking, count, on_error, deadline, given, opening)
        how: dict[str, str] = self._how
        why: dict[str, str] = {}
        copied = 0
        reason = why_plain(data) if self._plain else None
        if not self._plain:
            answers, failures, passes, bytes_read, used, seconds = self._native.run(
                data, count, deadline.seconds, dict(given)
            )
        elif reason is None:
            answers, failures, passes, bytes_read, used, seconds, copied, how, why = self._trace(
                data, count, deadline, given
            )
        else:
            answers, failures, passes, bytes_read, used, seconds, copied, why = self._call(
                data, count, deadline, given, reason
            )
        values = dict(zip(self._keys, answers, strict=True))
        if self._plain:
            values = {key: values[key] for key in self._order}
        if self._fills:
            values, wrong = joined(values, self._order)
            failures += [(self._keys.index(key), error) for key, error in wrong.items()]
        ran = (passes, bytes_read, used, seconds, self._order, how, why, copied, opening)
        if not failures:
            return Results(values, {}, ran)
        return self._failed(values, failures, ran, on_error)

    def _refused(self, data: Any) -> dict[str, Exception]:
        """By their keys, why kernels do not take the data, if its class has a meaning that they would lose."""
        kernels = self._keys[: len(self._kernels)]
        if not isinstance(data, Mapping):
            return checks.refused(kernels, data)
        each = (checks.refused(kernels, array, f"data[{checks.shown(name)}]") for name, array in data.items())
        return next(filter(None, each), {})

    def _run_functions(
        self,
        data: Data,
        taking: Mapping[str, Any],
        count: int,
        on_error: OnError,
        deadline: Deadline,
        refused: Mapping[str, Exception],
        opening: Opening,
    ) -> Results:
        """A run without the kernels, which have failed."""
        plan = Plan({key: self._functions[key] for key in self._plain}, None, self._nan_policy)
        if isinstance(data, Mapping):
            own = plan._run_columns(data, taking, count, "return", deadline, NOTHING, False)
        else:
            own = plan._run_array(data, taking, count, "return", deadline, {})
        report = own.report
        values = dict.fromkeys(self._order) | own
        ran = (*report[:2], *report[3:5], self._order, report.how, report.why, report.bytes_copied, opening)
        failed = {**refused, **own.errors}
        return self._failed(values, [(self._keys.index(key), failed[key]) for key in failed], ran, on_error, own.groups)

    @in_the_name_of_all
    def _run_parts(
        self,
        data: npt.NDArray[Any],
        taking: Mapping[str, Any],
        count: int,
        on_error: OnError,
        deadline: Deadline,
        out: Mapping[int, npt.NDArray[Any]],
        opening: Opening,
    ) -> Results:
        """A run with an answer for each of many parts of the array, or of a part of it, or of elements with weights."""
        begun = time.perf_counter()
        kept, data = data, np.ndarray.view(data, np.ndarray)
        parts = self._parts(data, count, [], **taking)
        if parts.weights is not None:
            over = [(0,)] * len(self._kernels)
            wrong = self._native.problems_over([data], over, parts.weights) if on_error == "raise" else []
            raise_problems(wrong, "the call cannot be run")
            shapes.refuse_weights(parts.weights, count, deadline)
        sequences = [] if parts.whole else [index for index, *_ in self._native.arrays(data)]
        native, others = self._native, list(range(len(self._kernels)))
        if sequences:
            others = [index for index in others if index not in sequences]
            native = _core.Plan([self._kernels[index] for index in others], self._nan_policy)
        over = [(0,)] * len(others)
        with deadline.within() as left:
            found, failed, passes, bytes_read, used, seconds = parts.run(native, [data], over, count, left, out)
        failures = [(others[place], error) for place, error in failed]
        missing = {index for index, _ in failures}
        answers: list[Any] = [None] * len(self._kernels)
        for index, column in zip(others, found, strict=True):
            try:
                answers[index] = None if index in missing else parts.result(column, self._kernels[index])
            except MemoryError as memory:
                failures.append((index, short_of_memory(memory, [self._keys[index]])))
        if sequences:
            plan = _core.Plan([self._kernels[index] for index in sequences], self._nan_policy)
            own = {place: out[index] for place, index in enumerate(sequences) if index in out}
            try:
                with deadline.within() as left:
                    arrays, failed = parts.sequences(plan, data, count, left, own)
            except MemoryError as memory:
                short = short_of_memory(memory, [self._keys[index] for index in sequences])
                arrays, failed = {}, dict.fromkeys(range(len(sequences)), short)
            for place, error in failed.items():
                index = sequences[place]
                is_short = isinstance(error, MemoryError)
                failures.append((index, short_of_memory(error, [self._keys[index]]) if is_short else error))
            for place, index in enumerate(sequences):
                answers[index] = None if place in failed else arrays[place]
        called = {key: Called(function) for key, function in self._plain.items()}
        tasks = [Task(key, parts.called(function), kept) for key, function in called.items()]
        if tasks:
            workers = 1 if data.size <= SMALLEST else budget(count)
            used = max(used, call_all(tasks, Sweep(None, deadline), workers, deadline))
            seconds = time.perf_counter() - begun
        _take(tasks, answers, failures)
        values = dict(zip(self._keys, answers, strict=True))
        values = {key: values[key] for key in self._order}
        why = _why(called, parts.why)
        copied = parts.bytes_copied + sum(each.bytes_copied for each in called.values())
        ran = (passes, bytes_read, used, seconds, self._order, self._how, why, copied, opening)
        if not failures:
            return Results(values, {}, ran, parts.groups)
        return self._failed(values, failures, ran, on_error, parts.groups)

    @in_the_name_of_all
    def _run_columns(
        self,
        data: Mapping[str, npt.NDArray[Any]],
        taking: Mapping[str, Any],
        count: int,
        on_error: OnError,
        deadline: Deadline,
        opening: Opening,
        is_table: bool,
    ) -> Results:
        """A run over several arrays: all kernels together, then, for each array, what answers with one or is called."""
        begun = time.perf_counter()
        arrays = columns.columns(data, [])
        names, first = list(arrays), next(iter(arrays.values()))
        sequences = {self._keys[index] for array in arrays.values() for index, *_ in self._native.arrays(array)}
        kernels = dict(zip(self._keys, self._kernels, strict=False))
        without = columns.without(kernels, arrays, self._nan_policy) if is_table else set()
        problems: list[Exception] = []
        own = {key: kernel for key, kernel in kernels.items() if key not in sequences}
        calls = columns.Calls(own, names, problems, without)
        parts = self._parts(first, count, problems, several=True, **taking)
        native = _core.Plan(calls.kernels, self._nan_policy)
        if on_error == "raise":
            wrong = columns.wrong(native, arrays, calls, parts.weights)
            raise_problems(wrong, "the functions cannot be run on these arrays")
        if parts.weights is not None:
            shapes.refuse_weights(parts.weights, count, deadline)
        with deadline.within() as left:
            found, failed, passes, bytes_read, used, seconds = parts.run(
                native, list(arrays.values()), calls.over, count, left, {}
            )
        missing = {place for place, _ in failed}
        answers: list[Any] = [None] * len(found)
        for place, (column, kernel) in enumerate(zip(found, calls.kernels, strict=True)):
            try:
                answers[place] = None if place in missing else parts.result(column, kernel)
            except MemoryError as memory:
                failed.append((place, short_of_memory(memory, [calls.keys[place]])))
        values, errors = calls.values(answers), calls.failures(failed, arrays)
        rest = {key: function for key, function in self._functions.items() if key in sequences or key in self._plain}
        how: dict[str, str] = {}
        why: dict[str, str] = {}
        copied = parts.bytes_copied
        plan = Plan(rest, None, self._nan_policy)
        for name in arrays if rest else ():
            some = {key: function for key, function in rest.items() if (key, name) not in without}
            each = plan if len(some) == len(rest) else Plan(some, None, self._nan_policy)
            ran_alone = each._run_array(_kept(data[name]), taking, count, "return", deadline, {})
            for key, value in ran_alone.items():
                values.setdefault(key, {})[name] = value
            for key, error in ran_alone.errors.items():
                columns.tell(error, name)
                errors.setdefault(key, error)
            report = ran_alone.report
            copied += report.bytes_copied
            passes, bytes_read, used = passes + report.passes, bytes_read + report.bytes_read, max(used, report.workers)
            how, why = how | report.how, why | report.why
        values = {key: values.get(key) for key in self._order}
        seconds = time.perf_counter() - begun if rest else seconds
        ran = (passes, bytes_read, used, seconds, self._order, how, why, copied, opening)
        if not errors:
            return Results(values, {}, ran, parts.groups)
        failures = [(self._keys.index(key), error) for key, error in errors.items()]
        return self._failed(values, failures, ran, on_error, parts.groups)

    def _parts(
        self,
        data: npt.NDArray[Any],
        count: int,
        problems: list[Exception],
        *,
        axis: Any,
        keepdims: Any,
        where: Any,
        weights: Any,
        by: Any,
        several: bool = False,
    ) -> "Rows | Groups":
        """How the array is to be taken apart. Raises what is wrong with the arguments for that, and these problems."""
        parts: Rows | Groups | None
        sequences = {self._keys[index]: size for index, _, size in self._native.arrays(data)}
        checks.means_itself(weights, "weights", problems)
        for number, key in enumerate(by) if isinstance(by, tuple) else ():
            checks.means_itself(key, f"by[{number}]", problems)
        checks.means_itself(by, "by", problems)
        if by is None:
            parts = shapes.rows(data, axis, keepdims, where, weights, problems)
            if parts is not None and several:
                parts = replace(parts, several=True)
            for key in self._plain if parts else ():
                shapes.taking(self._functions[key], parts.given if parts else {}, key, problems)
            if where is not None:
                shapes.refuse_positions(self._kernels, problems)
        else:
            if axis is not None or keepdims is not False:
                advice = "by takes the elements of all axes: leave axis and keepdims out"
                other = "keepdims" if axis is None else "axis"
                problems.append(ValueError(f"by and {other} were both given: {advice}"))
            is_any = any(kernel.answers == "positions" for kernel in self._kernels)
            positions = bool(self._plain or sequences or is_any)
            parts = groups.groups(data, by, where, weights, positions, count, problems)
        for key, size in sequences.items():
            reason = parts.refuses(size, data) if parts else None
            if reason is not None:
                problems.append(ValueError(f"{checks.shown(key)} answers with an array of items, and {reason}"))
        for key in self._fills:
            wrong = TypeError(
                f"functions: {checks.shown(key)} fills a dict, which has no parts: return a value instead"
            )
            note(wrong, remedy_for_dict(self._functions[key]))
            problems.append(wrong)
        raise_problems(problems, "the call cannot be run")
        if parts is None:
            raise AssertionError("what keeps an array from being taken apart is a problem")
        return parts

    def _trace(
        self, data: npt.NDArray[Any], count: int, deadline: Deadline, out: Mapping[int, npt.NDArray[Any]]
    ) -> tuple[Any, ...]:
        """A run with functions that are traced; what `native.run` gives, and how and why for each function."""
        begun = time.perf_counter()
        crew = self._crew(data, count, deadline, out)
        crew.run()
        answers: list[Any] = []
        failures: list[tuple[int, Exception]] = []
        refused: tuple[Any, bool] = crew.formulas.answers.pop(_core.Session.NAN_CHECK, (None, True))
        for index in range(len(self._kernels)):
            value, good = crew.formulas.answers[index] if refused[1] else refused
            if not good:
                failures.append((index, value))
            answers.append(value if good else None)
        for call in crew.calls.values():
            if call.error is not None:
                failures.append((len(answers), call.error))
            answers.append(call.result if call.error is None else None)
            call.error = None
        how = {key: call.how for key, call in crew.calls.items()}
        why = {key: "; ".join(call.trace.reasons) for key, call in crew.calls.items() if call.trace.reasons}
        sweeps = crew.formulas.sweeps
        seconds = time.perf_counter() - begun
        bytes_read = sum(sweep.bytes_read for sweep in sweeps)
        return answers, failures, len(sweeps), bytes_read, crew.workers, seconds, crew.bytes_copied, how, why

    def _call(
        self,
        data: npt.NDArray[Any],
        count: int,
        deadline: Deadline,
        out: Mapping[int, npt.NDArray[Any]],
        reason: str,
    ) -> tuple[Any, ...]:
        """A run with functions that are called as they stand; what `native.run` gives, the bytes copied, and why."""
        begun = time.perf_counter()
        called = {key: Called(function) for key, function in self._plain.items()}
        tasks = [Task(key, function, data) for key, function in called.items()]
        workers = 1 if data.size <= SMALLEST else budget(count)
        elements = np.ndarray.view(data, np.ndarray)
        run = partial(self._native.run, elements, out=dict(out)) if self._kernels else None
        sweep = Sweep(run, deadline)
        threads = call_all(tasks, sweep, workers, deadline)
        nothing: tuple[Any, ...] = ([], [], 0, 0, 1, 0.0)
        answers, failures, passes, bytes_read, used, _ = sweep.answer or nothing
        _take(tasks, answers, failures)
        copied = sum(each.bytes_copied for each in called.values())
        seconds = time.perf_counter() - begun
        return answers, failures, passes, bytes_read, max(used, threads), seconds, copied, _why(called, reason)

    def _crew(
        self,
        data: npt.NDArray[Any],
        count: int,
        deadline: Deadline,
        out: Mapping[int, npt.NDArray[Any]],
        patience: float = PATIENCE,
    ) -> Crew:
        """Who calls the functions of an array that can be traced."""
        return Crew(data, self._plain, self._kernels, self._nan_policy, budget(count), deadline, patience, out)

    def _check(
        self,
        data: Any,
        by: Any,
        workers: Any,
        on_error: Any,
        timeout: Any,
        out: Any,
        problems: list[Exception],
    ) -> tuple[Source, dict[int, npt.NDArray[Any]]]:
        """The source and the arrays of `out`. Raises what is wrong with a run; `problems` are its functions'."""
        others: list[Exception] = []
        source = opened(data, by, others)
        data = None if source is None else source.data
        is_dict, is_array = isinstance(data, Mapping), isinstance(data, np.ndarray)
        if is_dict:
            columns.columns(data, others)
        if is_array:
            columns.refuse_one(self._joint, others)
        elif is_dict and out is not None:
            others.append(ValueError("out was given, and data is a dict: out goes with one array"))
        if isinstance(workers, Pool):
            workers._check(others)
        else:
            checks.workers(workers, others)
        checks.on_error(on_error, others)
        checks.timeout(timeout, others)
        given: dict[int, npt.NDArray[Any]] = {}
        if out is not None and is_array and not problems:
            arrays = {self._keys[found[0]]: found for found in self._native.arrays(data)}
            wrong = bool(self._native.problems(data))
            given = checks.out(out, arrays, () if wrong else self._keys, data, others)
        message = "the call cannot be run" if problems or others else "the functions cannot be run on this array"
        # If failures are returned, then so is that of a kernel which has no meaning for the dtype.
        if is_array and not self._joint and not checks.is_word(on_error, "return"):
            problems += self._refused(data).values() or self._native.problems(data)
        if is_dict and not checks.is_word(on_error, "return"):
            problems += self._refused(data).values()
        problems += others
        others.clear()
        raise_problems(problems, message)
        if source is None:
            raise AssertionError("what cannot be opened is a problem")
        return source, given

    def _failed(
        self,
        values: dict[str, Any],
        failures: list[tuple[int, Exception]],
        ran: Ran,
        on_error: OnError,
        groups: Any = None,
    ) -> Results:
        failed = {self._keys[index]: error for index, error in failures}
        errors = {key: failed[key] for key in self._order if key in failed}
        for key in errors.keys() & self._plain.keys():
            tell_what_is_missing(errors[key], self._functions[key])
        # The frames of `run` and of this may outlive it, in the exceptions' tracebacks.
        failed.clear()
        failures.clear()
        if on_error == "raise":
            good = {key: value for key, value in values.items() if key not in errors}
            raise_failures(errors, self._plain, Results(good, {}, ran, groups))
        return Results(values | errors, errors, ran, groups)

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
            crew = self._crew(self._array, 0, UNLIMITED, {}, math.inf)
            crew.run(lambda: told.extend(explained(crew, list(zip(kernels, self._kernels, strict=True)))))
            return "\n".join(told)
        like = np.dtype(np.float64) if self._like is None else self._like
        lines = [self._native.explain(list(kernels), like).rstrip()]
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
    ) -> Results:
        """`fanfold.run` with this pool's workers."""
        options: dict[str, Any] = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights, "by": by}
        options |= {"on_error": on_error, "timeout": timeout, "out": out}
        return run(data, functions, workers=self, nan_policy=nan_policy, **options)

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
        taken together if ``None``. Callables are called with ``axis=``, and have to have such a parameter.
    keepdims : bool
        Whether the axes that were taken together stay, with one place each.
    where : numpy.ndarray of bool, optional
        The elements that count: a mask of the data's shape, or one that broadcasts to it. The others are left out, as
        if they were not there. Callables are called with ``where=``.
    weights : array_like, optional
        How often each element counts: finite numbers from 0 on, of the data's shape or one that broadcasts to it, or
        one for each place along a single ``axis``. Taken by ``mean``, ``var``, ``quantile`` and others
        (``docs/shapes.md``); callables are called with ``weights=``.
    by : array_like or tuple of them, optional
        A label for each element (integers, floats, strings, times, a categorical; a masked array, a column of pandas,
        Polars or Arrow), or several; of a table or dict also the name of a column. The results have an answer for each
        label, of its elements alone, in the order of ``results.groups``. Labels that are missing (NaN, NaT, None, NA,
        null, masked) make no group. The elements are copied, group by group. Callables are called with the elements of
        each.
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
    planned = _planned(functions, nan_policy, problems)
    if problems:
        planned._check(data, by, workers, on_error, timeout, out, problems)
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


def _take(tasks: list[Task], answers: list[Any], failures: list[tuple[int, Exception]]) -> None:
    """Adds what functions returned, and their failures by the answers' numbers; the tasks keep no exception."""
    for task in tasks:
        if task.error is not None:
            failures.append((len(answers), task.error))
        answers.append(task.result)
        task.error = None


def _why(called: Mapping[str, Called], reason: str) -> dict[str, str]:
    """Why each function was called as it stands."""
    return {key: f"{reason}; {COPIED}" if each.bytes_copied else reason for key, each in called.items()}


def _kept(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as functions get it: in its own class if that may mean something."""
    return data if checks.own_class(data) else np.ndarray.view(data, np.ndarray)
