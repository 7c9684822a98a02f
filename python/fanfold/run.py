"""How every run works: arrays → rows or groups → kernels, then functions → results.

Every call goes through this module, except kernels alone over one whole array, which take a few microseconds
(`api.Plan.run`). A single array is treated as a table with one unnamed column.
"""

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks, columns
from fanfold.calling import COPIED, Called, Sweep, Task, budget, call_all
from fanfold.deadline import Deadline
from fanfold.dict_outputs import joined
from fanfold.dimensions import Asked, Dimensions
from fanfold.failures import in_the_name_of_all, raise_failures, raise_problems
from fanfold.groups import Groups, GroupsAlong
from fanfold.holders import HELD
from fanfold.partition import Kernels, Parts, parts
from fanfold.results import Ran, Results
from fanfold.shapes import Rows, refuse_weights
from fanfold.sources import Elements, Opened, as_array, missing
from fanfold.tracing.calls import Place, TracedCalls, is_short, why_plain
from fanfold.tracing.of_rows.calls import OfRows
from fanfold.tracing.of_rows.functions import Functions, FunctionsOfRows
from fanfold.tracing.of_rows.groups import FunctionsOfGroups
from fanfold.typing import Out

if TYPE_CHECKING:
    from fanfold.api import Plan
    from fanfold.processes.calls import Processes

_RECORD = object()
"""The name that stands for a structured array, each of whose fields is a column, or for several columns."""


class Run:
    """One run of a plan."""

    def __init__(
        self,
        plan: "Plan",
        data: Opened,
        taking: Mapping[str, Any],
        workers: int,
        deadline: Deadline,
        out: Out,
        begun: float,
        processes: bool,
    ) -> None:
        self._plan = plan
        self._data = data
        self._taking = taking
        # Calls in the background share the workers.
        self._workers = workers if deadline.watch is None else _core.Watch.share(budget(workers))
        self._deadline = deadline
        self._out = out
        self._order = plan._order
        self._problems: list[Exception] = []
        # Functions of several columns, with these columns; all others are called for each column.
        self._several: dict[Any, tuple[str, ...]] = {}
        if not data.is_single and plan._plain:
            functions = {key: plan._functions[key] for key in plan._plain}
            self._several = columns.of_functions(functions, list(data.arrays), self._problems)
        self._single = {key: function for key, function in plan._plain.items() if key not in self._several}
        self._fills = [key for key in plan._fills if key in self._single]
        # The time of the call: opening the data counts too.
        self._begun = begun
        self._values: dict[Any, Any] = {}
        self._errors: dict[Any, Exception] = {}
        self._how: dict[Any, str] = {}
        self._why: dict[Any, str] = {}
        self._passes = self._bytes_read = self._bytes_copied = 0
        self._used = 1
        self._times: dict[Any, float] = {}
        self._pass_times: list[float] = []
        self._groups: Any = None
        # What the run does with the axes: `_named` names those that are left.
        self._asked = Asked(tuple(range(data.first.ndim)))
        self._processes = _processes(deadline) if processes else None
        self._gathered: dict[Any, tuple[npt.NDArray[Any], str]] = {}
        # Kernels cannot respect the meaning of an array's class: they fail, and functions get the array in its class.
        self._kernels = plan._named
        for name, array in data.arrays.items():
            for key, error in checks.refused(self._kernels, array, self._word_for(name)).items():
                self._errors.setdefault(key, error)
        self._kernels = {key: kernel for key, kernel in self._kernels.items() if key not in self._errors}
        self._arrays: dict[Any, Elements] = {
            name: np.ndarray.view(array, np.ndarray) if isinstance(array, np.ndarray) else array
            for name, array in data.arrays.items()
        }

    @in_the_name_of_all
    def results(self, on_error: str) -> Results:
        """Runs everything."""
        try:
            if not self._taking and self._data.is_single and not self._plan._minds_missing(self._data.first):
                self._whole([None], {None: self._kernels})
            else:
                self._parted(on_error)
        finally:
            if self._processes is not None:
                self._bytes_copied += self._processes.bytes_copied
                self._processes.close()
        return self._results(on_error)

    # ---------------------------------------------------------------------------------------------- whole arrays

    def _whole(self, names: Sequence[Any], kernels: Mapping[Any, Mapping[str, _core.Kernel]]) -> None:
        """Runs functions over all elements of columns, and kernels in the same passes.

        Everything that can be traced is traced together, for all columns.
        """
        calls: dict[Place, tuple[Called, str | None]] = {}
        for name in names if self._single else []:
            data, why = self._as_array(name)
            reason = why_plain(data) if isinstance(data, np.ndarray) else None
            for key, function in self._single.items():
                calls[key, name] = (self._called(key, Called(function, own=data)), reason)
                self._add_reason(key, why)
        for key, taken in self._several.items():
            called = self._of_columns(key, taken)
            reasons = map(why_plain, (called.named or {}).values())
            calls[key, _RECORD] = (called, next(filter(None, reasons), None))
        # Columns of which elements are missing are shorter than the others.
        traced: dict[tuple[int, ...], dict[Place, Called]] = {}
        plain = {place: (called, reason) for place, (called, reason) in calls.items() if reason is not None}
        for place, (called, reason) in calls.items():
            if reason is None:
                traced.setdefault(called.first.shape, {})[place] = called
        for shape, functions in traced.items():
            self._trace(functions, kernels if shape == self._data.first.shape else {})
            kernels = {} if shape == self._data.first.shape else kernels
        if plain or any(kernels.values()):
            self._call(plain, kernels)

    def _of_columns(self, key: Any, taken: Sequence[str]) -> Called:
        """A function of several columns, with the rows in which none of them is missing."""
        own = [self._own(name) for name in taken]
        arrays, present = columns.complete(own)
        if present is not None:
            left_out = present.size - int(np.count_nonzero(present))
            self._add_reason(key, f"its columns were copied: an element of {left_out:,} rows is missing")
        for array, column in zip(arrays, own, strict=True):
            self._bytes_copied += array.nbytes if array is not column else 0
        return self._called(
            key, Called(self._plan._functions[key], None, dict(zip(taken, arrays, strict=True)), present)
        )

    def _trace(
        self,
        functions: Mapping[Place, Called],
        kernels: Mapping[Any, Mapping[str, _core.Kernel]],
        beside: Kernels | None = None,
    ) -> None:
        """Runs traced functions and kernels in the same passes, and the kernels along axes beside them."""
        workers, policy, elsewhere = budget(self._workers), self._plan._nan_policy, self._processes
        places: list[Place] = [(key, name) for name, own in kernels.items() for key in own]
        each = [(kernel, self._as_array(name)[0]) for name, own in kernels.items() for kernel in own.values()]
        data = next(iter(functions.values())).first
        out = {number: self._out[key] for number, (key, _) in enumerate(places) if key in self._out}
        traced = TracedCalls(
            data, functions, each, policy, workers, self._deadline, out=out, beside=beside, elsewhere=elsewhere
        )
        traced.run()
        failures: list[tuple[int, Exception]] = []
        answers: list[Any] = []
        refused: tuple[Any, bool] = traced.formulas.answers.pop(_core.Session.NAN_CHECK, (None, True))
        for index in range(len(each)):
            value, good = traced.formulas.answers[index] if refused[1] else refused
            if not good:
                failures.append((index, value))
            answers.append(value if good else None)
        for (key, _), call in traced.calls.items():
            if call.error is not None:
                failures.append((len(answers), call.error))
            answers.append(call.result if call.error is None else None)
            call.error = None
            self._times[key] = self._times.get(key, 0.0) + call.seconds
            self._add_way(key, call.how)
            if call.how != "fused":
                self._add_reason(key, call.why)
        self._bytes_copied += traced.bytes_copied
        sweeps = traced.formulas.sweeps
        seconds = [sweep.seconds for sweep in sweeps]
        read = sum(sweep.bytes_read for sweep in sweeps)
        self._take_over([*places, *functions], answers, failures, len(sweeps), read, traced.workers, seconds)

    def _call(
        self,
        functions: Mapping[Place, tuple[Called, str | None]],
        kernels: Mapping[Any, Mapping[str, _core.Kernel]],
    ) -> None:
        """Calls functions unchanged, while the kernels of a single array run."""
        failures: list[tuple[int, Exception]] = []
        answers: list[Any] = []
        places: list[Place] = []
        figures: list[Any] = []
        run = None
        # The kernels of a table run apart from the functions that are called unchanged.
        name, own = next(((name, own) for name, own in kernels.items() if own), (None, {}))
        if own:
            places = [(key, name) for key in own]
            out = {number: self._out[key] for number, key in enumerate(own) if key in self._out}
            run = partial(self._plan._native_of(own).run, self._arrays[name], out=out)
        sweep = Sweep(run, self._deadline)
        tasks = [Task(key, called, called.first) for (key, _), (called, _) in functions.items()]
        threads = self._threads(self._data.first) if tasks else self._workers
        used, held = call_all(tasks, sweep, threads, self._deadline, self._processes)
        self._used = max(self._used, used)
        if sweep.answer is not None:
            answers, failures, *figures = sweep.answer
        for task, ((key, _), (called, reason)) in zip(tasks, functions.items(), strict=True):
            if task.error is not None:
                failures.append((len(answers), task.error))
            answers.append(task.result)
            task.error = None
            self._add_reason(key, reason)
            self._told(key, task, called)
        self._tell_holders(held)
        self._take_over([*places, *functions], answers, failures, *figures)

    # ------------------------------------------------------------------------------------------ parts of arrays

    def _parted(self, on_error: str) -> None:
        """Computes a result for each row or group, for each column, or for the present elements."""
        plan, arrays = self._plan, self._arrays
        policy = plan._nan_policy
        # In a table, a kernel returns results for the columns that it supports.
        lacking = columns.without(self._kernels, arrays, policy) if self._data.is_table else set()
        self._refuse_items(lacking)
        problems = self._problems
        # If functions are traced over a column, the column's kernels share their passes.
        shared = {name: self._shared(name, lacking) for name in arrays} if not self._taking else {}
        elsewhere = {(key, name) for name, kernels in shared.items() for key in kernels}
        calls = columns.Calls(self._kernels, list(arrays), problems, lacking | elsewhere)
        asked = parts(self._data, arrays, plan, self._taking, self._workers, self._fills, self._several, problems)
        several = {} if self._data.is_single else arrays
        # For a single array without weights, the call has already been checked.
        if on_error == "raise" and (several or asked.weights is not None):
            every = columns.Calls(self._kernels, list(arrays), [], lacking)
            wrong = columns.wrong(_core.Plan(every.kernels, policy), arrays, several, every, asked.weights)
            raise_problems(wrong, "the functions cannot be run on these arrays")
        if asked.weights is not None:
            refuse_weights(asked.weights, self._workers, self._deadline)
        kernels = Kernels(asked, list(arrays.values()), calls, policy, self._out, self._deadline)
        # Functions get a structured array unchanged, and each column of other tables.
        for_functions = list(arrays) if self._data.record is None else [_RECORD]
        if self._taking:
            self._apart(asked, kernels, for_functions if plan._plain else [])
        if kernels.is_wanted():
            kernels.run(self._workers)
        self._take_answers(asked, kernels, calls)
        if plan._plain and not self._taking:
            self._whole(for_functions, shared)

    def _shared(self, name: Any, lacking: Set[tuple[Any, Any]]) -> dict[Any, _core.Kernel]:
        """The kernels that run with the functions of a column, in the same passes."""
        own = self._own(name)
        if not self._single or self._data.record is not None or self._plan._nan_policy == "raise":
            return {}
        if not isinstance(own, np.ndarray) or why_plain(own) is not None:
            return {}
        one = {key: kernel for key, kernel in self._kernels.items() if kernel.arrays == "one"}
        return {key: kernel for key, kernel in one.items() if (key, name) not in lacking}

    def _take_answers(self, asked: Parts, kernels: Kernels, calls: columns.Calls) -> None:
        """Takes over the kernels' results for all arrays."""
        self._figures(*kernels.figures)
        if self._data.is_single:
            self._values |= dict(zip(calls.keys, kernels.answers, strict=True))
            told = calls.failures(kernels.failed, {})
        else:
            self._values |= calls.values(kernels.answers)
            told = calls.failures(kernels.failed, self._arrays)
        for key, error in told.items():
            self._errors.setdefault(key, error)
        self._bytes_copied += asked.bytes_copied
        self._groups = asked.groups
        self._asked = asked.asked(self._data.group)

    def _apart(self, asked: Parts, kernels: Kernels, names: list[Any]) -> None:
        """Calls functions over the rows or groups of arrays, for all columns together, while the kernels run."""
        if isinstance(asked, Groups) and kernels.is_wanted():
            # The functions need the groups.
            kernels.run(self._workers)
        tasks: list[Task | OfRows] = []
        # What threads would hold each other up with: this thread calls it when all others are done.
        in_turn: list[OfRows] = []
        called: list[tuple[Any, str, Called]] = []
        once: list[tuple[Any, Functions]] = []
        for name in names if self._single else []:
            of_rows = self._of_rows(name, asked)
            others = self._single
            if of_rows is not None:
                once.append((name, of_rows))
                calls = of_rows.run()
                if of_rows.are_short and self._processes is None:
                    in_turn += calls
                else:
                    tasks += calls
                others = {key: function for key, function in others.items() if key not in of_rows.keys}
            if not others:
                continue
            own = self._own(name)
            whole: Any = own.array if isinstance(own, _core.Source) and asked.takes_where(own) else None
            data, why = self._as_array(name) if whole is None else (whole, "")
            is_there = isinstance(asked, Rows) and not missing(own)
            reason = why_plain(data) if is_there else asked.why
            if reason is None and isinstance(asked, Rows):
                functions = {
                    (key, name): self._called(key, Called(asked.traced(function), data))
                    for key, function in others.items()
                }
                self._trace(functions, {}, kernels)
                continue
            for key, own_function in others.items():
                function = self._called(key, Called(own_function))
                self._add_reason(key, "; ".join(filter(None, (reason, why))))
                called.append((name, key, function))
                tasks.append(Task(key, asked.called(function, own), data))
        for key, taken in self._several.items():
            function = self._of_columns(key, taken)
            if isinstance(asked, GroupsAlong) or (isinstance(asked, Rows) and function.present is not None):
                self._errors[key] = _not_apart(key, isinstance(asked, Rows))
                continue
            self._add_reason(key, f"it takes several columns, and is {asked.why}")
            called.append((_RECORD, key, function))
            tasks.append(Task(key, asked.called(function, function.first), function.first))
        workers = self._threads(self._data.first)
        used, held = call_all(tasks, kernels, workers, self._deadline, self._processes)
        call_all(in_turn, kernels, 1, self._deadline)
        self._used = max(self._used, used)
        for name, functions_of_rows in once:
            self._take_rows(name, functions_of_rows)
        whole_tasks = [task for task in tasks if isinstance(task, Task)]
        for (name, key, function), task in zip(called, whole_tasks, strict=True):
            self._told(key, task, function)
            if task.error is not None:
                self._fail(key, name, task.error)
            self._put(key, name, task.result)
            task.error = None
        self._tell_holders(held)

    def _of_rows(self, name: Any, asked: Parts) -> Functions | None:
        """The functions of one sequence, over the rows or groups of a column; None if there are none."""
        own, workers = self._own(name), budget(self._workers)
        present = None
        data: Any
        if isinstance(asked, Groups):
            if missing(own):
                return None
            data, why = self._as_array(name)
            if not asked.takes_one_sequence(data):
                return None
            for key in self._single:
                self._add_reason(key, why)
            return FunctionsOfGroups(data, asked.lengths(), self._single, workers, self._deadline, self._called)
        functions = {key: function for key, function in self._single.items() if asked.takes_one_sequence(function)}
        if not functions:
            return None
        if isinstance(own, _core.Source) and asked.takes_where(own) and own.array is not None:
            data, present = own.array, own.is_present()
        else:
            data = self._as_array(name)[0]
            if data.ndim < asked.ndim or data.shape != asked.shape:
                # The elements that are present, which are one row.
                asked = Rows.along_axes(data, tuple(range(data.ndim)))
        return FunctionsOfRows(data, asked, functions, workers, self._deadline, present, self._called)

    def _take_rows(self, name: Any, functions: Functions) -> None:
        """Takes over the results of functions of one sequence."""
        for key, value, error, how, why, seconds in functions.outcomes():
            if error is not None:
                self._fail(key, name, error)
            self._put(key, name, value)
            self._add_way(key, how)
            self._add_reason(key, why)
            self._times[key] = self._times.get(key, 0.0) + seconds
        self._figures(len(functions.seconds), functions.bytes_read, functions.workers, functions.seconds)
        self._bytes_copied += functions.bytes_copied

    # --------------------------------------------------------------------------------------------------- results

    def _results(self, on_error: str) -> Results:
        plan = self._plan
        seconds = time.perf_counter() - self._begun
        values = {key: self._values.get(key) for key in self._order if key not in self._fills}
        values = self._filled(values)
        if not self._data.is_single and self._data.record is None:
            values = {key: self._in_order(key, value) for key, value in values.items()}
        if self._data.dimensions is not None:
            values = {key: self._named(key, value, self._data.dimensions) for key, value in values.items()}
        ran: Ran = (
            *(self._passes, self._bytes_read, self._used, seconds, self._times, self._pass_times),
            *(self._order, plan._how | self._how, self._why, self._bytes_copied, self._data.opening, plan._named),
        )
        is_one = self._data.is_single or self._data.record is not None
        others = self._groups, None if is_one else tuple(self._arrays)
        if not self._errors:
            return Results(values, {}, ran, *others)
        errors = plan._with_remedies(self._errors)
        # The tracebacks of exceptions may keep the frames of this function and of `run` alive.
        self._errors.clear()
        if on_error == "raise":
            good = {key: value for key, value in values.items() if key not in errors}
            raise_failures(errors, plan._plain, Results(good, {}, ran, *others))
        return Results(values | errors, errors, ran, *others)

    def _in_order(self, key: Any, value: Any) -> Any:
        """The answers for each column, in the order of the columns."""
        kernel = self._kernels.get(key)
        if not isinstance(value, dict) or key in self._several or (kernel is not None and kernel.arrays != "one"):
            return value
        return {name: value[name] for name in self._arrays if name in value}

    def _named(self, key: Any, value: Any, dimensions: Dimensions) -> Any:
        """A result with the names and coordinates of the axes that are left."""
        kernel = self._kernels.get(key)
        if key in self._several:
            return value
        if not self._data.is_single and isinstance(value, dict):
            return {name: dimensions.named(own, kernel, self._asked, self._groups) for name, own in value.items()}
        return dimensions.named(value, kernel, self._asked, self._groups)

    def _filled(self, values: dict[Any, Any]) -> dict[Any, Any]:
        """The results, with the entries of the dicts that functions filled."""
        fills = self._fills
        if not fills:
            return values
        if self._data.is_single or self._data.record is not None:
            entries, wrong = joined({key: self._values.get(key) for key in self._order}, self._order)
            for key, error in wrong.items():
                self._fail(key, _RECORD, error)
            return entries
        for name in self._arrays:
            own = {key: self._values.get(key, {}).get(name) for key in fills}
            entries, wrong = joined(own, fills)
            for key, error in wrong.items():
                self._fail(key, name, error)
            for key, value in entries.items():
                values.setdefault(key, {})[name] = value
        return values

    def _take_over(
        self,
        places: Sequence[Place],
        answers: Iterable[Any],
        failures: list[tuple[int, Exception]],
        *figures: Any,
    ) -> None:
        """Takes over the results of a run over whole arrays."""
        self._figures(*figures)
        for (key, name), answer in zip(places, answers, strict=True):
            self._put(key, name, answer)
        for index, error in failures:
            self._fail(*places[index], error)
        failures.clear()

    def _figures(self, passes: int = 0, bytes_read: int = 0, workers: int = 1, seconds: Sequence[float] = ()) -> None:
        self._passes += passes
        self._pass_times += seconds
        self._bytes_read += bytes_read
        self._used = max(self._used, workers)

    def _add_way(self, key: Any, how: str) -> None:
        """Adds how a function ran over a column."""
        self._how[key] = how if self._how.get(key, how) == how else "partly fused"

    def _add_reason(self, key: Any, why: str | None) -> None:
        """Adds why a function is not completely fused. Each reason is told once, whichever columns have it."""
        told = [*self._why.get(key, "").split("; "), *(why or "").split("; ")]
        if any(told):
            self._why[key] = "; ".join(dict.fromkeys(filter(None, told)))

    def _put(self, key: str, name: Any, value: Any) -> None:
        if self._data.is_single or name is _RECORD:
            self._values[key] = value
        else:
            self._values.setdefault(key, {})[name] = value

    def _fail(self, key: str, name: Any, error: Exception) -> None:
        if not self._data.is_single and name is not _RECORD:
            columns.tell(error, name)
        self._errors.setdefault(key, error)

    def _called(self, key: str, called: Called) -> Called:
        """A function as it is called in this run: here, or in a process."""
        return called if self._processes is None else self._processes.called(key, called)

    def _told(self, key: str, task: Task, called: Called) -> None:
        """Records how a function was called unchanged, the time of the call, and whether it was with a copy."""
        self._add_way(key, "process" if called.is_remote else "plain")
        self._times[key] = self._times.get(key, 0.0) + task.seconds
        if called.bytes_copied:
            self._add_reason(key, COPIED)
            self._bytes_copied += called.bytes_copied

    def _tell_holders(self, keys: Set[Any]) -> None:
        """Records which functions, called with plain arrays, would rather run in processes."""
        for key in keys if self._processes is None else ():
            self._add_reason(key, HELD)

    def _refuse_items(self, lacking: set[tuple[Any, Any]]) -> None:
        """Missing elements have no item in an array: kernels that return arrays of items fail for these arrays."""
        for name, array in self._arrays.items():
            count = missing(array)
            for index, *_ in self._plan._native.arrays(array) if count else ():
                key = self._plan._keys[index]
                if key not in self._kernels or (key, name) in lacking:
                    continue
                why = f"returns an array of items, but {count:,} elements of {self._word_for(name)} are missing"
                self._fail(key, name, TypeError(f"{checks.shown(key)} {why}: drop them, or put NaN in their place"))
                self._put(key, name, None)
                lacking.add((key, name))

    def _own(self, name: Any) -> Elements:
        """A column as functions get it: in its own class, if the class may have a meaning."""
        record = self._data.record
        own = record if name is _RECORD and record is not None else self._data.arrays[name]
        return checks.kept(own) if isinstance(own, np.ndarray) else own

    def _as_array(self, name: Any) -> tuple[Any, str]:
        """The elements of a column as functions get them, and the reason for a copy, if there is one."""
        elements = self._own(name)
        if isinstance(elements, np.ndarray):
            return elements, ""
        if name not in self._gathered:
            self._gathered[name] = as_array(elements)
            self._bytes_copied += self._gathered[name][0].nbytes
        return self._gathered[name]

    def _word_for(self, name: Any) -> str:
        """The name of a column in messages."""
        return "data" if self._data.is_single else f"data[{checks.shown(name)}]"

    def _threads(self, data: Elements) -> int:
        return 1 if is_short(data) and self._processes is None else budget(self._workers)


def _processes(deadline: Deadline) -> "Processes | None":
    """The processes of a run; None inside a worker process, or one of `multiprocessing.Pool`, which may start none."""
    # Imported here, because loky is optional.
    from multiprocessing import current_process

    from fanfold.processes import calls, worker

    return None if worker.is_inside or current_process().daemon else calls.Processes(deadline)


def _not_apart(key: Any, is_along_axes: bool) -> Exception:
    """Why a function of several columns cannot be called for parts of them."""
    taking = f"{checks.shown(key)} takes several columns"
    if is_along_axes:
        advice = "drop these rows of data, or leave out axis, where and weights"
        return ValueError(f"{taking}, and rows of them are left out because an element is missing: {advice}")
    return ValueError(f"{taking}, and they cannot be grouped along an axis: pass by or axis alone")
