"""How every run works: arrays → rows or groups → kernels, then functions → results.

Every call goes through this module, except kernels alone over one whole array, which take a few microseconds
(`api.Plan.run`). A single array is treated as a table with one unnamed column.
"""

import time
from collections.abc import Iterable, Mapping, Set
from functools import partial
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanfold import _core, checks, columns
from fanfold.calling import COPIED, Called, Sweep, Task, UserFunction, budget, call_all
from fanfold.deadline import Deadline
from fanfold.dict_outputs import joined, tell_what_is_missing
from fanfold.dimensions import Asked, Dimensions
from fanfold.failures import in_the_name_of_all, raise_failures, raise_problems
from fanfold.groups import Groups
from fanfold.holders import HELD
from fanfold.partition import Kernels, Parts, parts
from fanfold.results import Ran, Results
from fanfold.shapes import Rows, refuse_weights
from fanfold.sources import Elements, Opened, as_array, missing
from fanfold.tracing.calls import SMALLEST, TracedCalls, why_plain

if TYPE_CHECKING:
    from fanfold.api import Plan
    from fanfold.processes.calls import Processes

_NO_ELEMENTS = np.empty(0)

_RECORD = object()
"""The name that stands for a structured array; each of its fields is a column."""

Out = Mapping[str, npt.NDArray[Any]]
"""The caller's arrays, by the keys of the kernels that write to them."""


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
        self._workers = workers
        self._deadline = deadline
        self._out = out
        self._order = plan._order
        # The time of the call: opening the data counts too.
        self._begun = begun
        self._values: dict[Any, Any] = {}
        self._errors: dict[Any, Exception] = {}
        self._how: dict[Any, str] = {}
        self._why: dict[Any, str] = {}
        self._passes = self._bytes_read = self._bytes_copied = 0
        self._used = 1
        self._groups: Any = None
        # The reduced axes, to name the axes that are left.
        self._asked = Asked(tuple(range(data.first.ndim)))
        self._processes = _processes(deadline) if processes else None
        self._gathered: dict[Any, tuple[npt.NDArray[Any], str]] = {}
        # Kernels cannot respect the meaning of an array's class: they fail, and functions get the array in its class.
        self._kernels = dict(zip(plan._keys, plan._kernels, strict=False))
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
                self._whole(None, self._kernels, self._plan._plain)
            else:
                self._parted(on_error)
        finally:
            if self._processes is not None:
                self._bytes_copied += self._processes.bytes_copied
                self._processes.close()
        return self._results(on_error)

    # ---------------------------------------------------------------------------------------------- whole arrays

    def _whole(self, name: Any, kernels: Mapping[str, _core.Kernel], functions: Mapping[str, Any]) -> None:
        """Runs kernels and functions over all elements of an array, in shared passes."""
        if not kernels and not functions:
            return
        array: Elements = self._arrays[name] if name is not _RECORD else _NO_ELEMENTS
        data, why = self._as_array(name) if functions else (array, "")
        keys = [*kernels, *functions]
        native = self._plan._native_of(kernels)
        out = {place: self._out[key] for place, key in enumerate(kernels) if key in self._out}
        reason = why_plain(data) if functions and isinstance(data, np.ndarray) else None
        if not functions:
            with self._deadline.within() as left:
                found = native.run(array, self._workers, left, out)
            self._take_over(keys, name, *found)
        elif reason is None:
            self._trace(keys, name, kernels, functions, data, out)
        else:
            self._call(keys, name, native if kernels else None, functions, data, reason, out)
        for key in functions if why else ():
            # Each reason once, whichever columns have it.
            told = [*self._why.get(key, "").split("; "), why]
            self._why[key] = "; ".join(dict.fromkeys(filter(None, told)))

    def _trace(
        self,
        keys: list[Any],
        name: Any,
        kernels: Mapping[str, _core.Kernel],
        functions: Mapping[str, Any],
        data: Any,
        out: Mapping[int, npt.NDArray[Any]],
        beside: Kernels | None = None,
    ) -> None:
        """Runs traced functions and kernels in the same passes, and the kernels along axes beside them."""
        workers = budget(self._workers)
        policy = self._plan._nan_policy
        native, processes = list(kernels.values()), self._processes
        traced = TracedCalls(
            data, functions, native, policy, workers, self._deadline, out=out, beside=beside, processes=processes
        )
        traced.run()
        failures: list[tuple[int, Exception]] = []
        answers: list[Any] = []
        refused: tuple[Any, bool] = traced.formulas.answers.pop(_core.Session.NAN_CHECK, (None, True))
        for index in range(len(kernels)):
            value, good = traced.formulas.answers[index] if refused[1] else refused
            if not good:
                failures.append((index, value))
            answers.append(value if good else None)
        for call in traced.calls.values():
            if call.error is not None:
                failures.append((len(answers), call.error))
            answers.append(call.result if call.error is None else None)
            call.error = None
        self._how |= {key: call.how for key, call in traced.calls.items()}
        self._why |= {key: "; ".join(call.trace.reasons) for key, call in traced.calls.items() if call.trace.reasons}
        self._bytes_copied += traced.bytes_copied
        sweeps = traced.formulas.sweeps
        self._take_over(keys, name, answers, failures, len(sweeps), sum(s.bytes_read for s in sweeps), traced.workers)

    def _call(
        self,
        keys: list[Any],
        name: Any,
        native: _core.Plan | None,
        functions: Mapping[str, Any],
        data: Any,
        reason: str,
        out: Mapping[int, npt.NDArray[Any]],
    ) -> None:
        """Calls functions unchanged, while the kernels run."""
        called = {key: self._called(key, function) for key, function in functions.items()}
        tasks = [Task(key, function, data) for key, function in called.items()]
        run = None if native is None else partial(native.run, self._arrays[name], out=dict(out))
        sweep = Sweep(run, self._deadline)
        used, held = call_all(tasks, sweep, self._threads(data), self._deadline, self._processes)
        self._used = max(self._used, used)
        failures: list[tuple[int, Exception]] = []
        answers, failures, *figures = sweep.answer or ([], failures)
        for task in tasks:
            if task.error is not None:
                failures.append((len(answers), task.error))
            answers.append(task.result)
            task.error = None
        for key, each in called.items():
            self._why[key] = reason
            self._told(key, each)
        self._tell_holders(held)
        self._take_over(keys, name, answers, failures, *figures)

    # ------------------------------------------------------------------------------------------ parts of arrays

    def _parted(self, on_error: str) -> None:
        """Computes a result for each row or group, for each column, or for the present elements."""
        plan, arrays = self._plan, self._arrays
        policy = plan._nan_policy
        # In a table, a kernel returns results for the columns that it supports.
        lacking = columns.without(self._kernels, arrays, policy) if self._data.is_table else set()
        self._refuse_items(lacking)
        problems: list[Exception] = []
        # If functions are traced over a column, the column's kernels share their passes.
        shared = {name: self._shared(name, lacking) for name in arrays} if not self._taking else {}
        elsewhere = {(key, name) for name, kernels in shared.items() for key in kernels}
        calls = columns.Calls(self._kernels, list(arrays), problems, lacking | elsewhere)
        asked = parts(self._data, arrays, plan, self._taking, self._workers, problems)
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
        for name in for_functions if not self._taking else []:
            self._whole(name, shared.get(name, {}), plan._plain)

    def _shared(self, name: Any, lacking: Set[tuple[Any, Any]]) -> dict[Any, _core.Kernel]:
        """The kernels that run with the functions of a column, in the same passes."""
        own = self._own(name)
        if not self._plan._plain or self._data.record is not None or self._plan._nan_policy == "raise":
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
        tasks: list[Task] = []
        called: list[tuple[Any, str, UserFunction]] = []
        for name in names:
            own = self._own(name)
            whole: Any = own.array if isinstance(own, _core.Source) and asked.takes_where(own) else None
            data, why = self._as_array(name) if whole is None else (whole, "")
            is_there = isinstance(asked, Rows) and not missing(own)
            reason = why_plain(data) if is_there else asked.why
            if reason is None and isinstance(asked, Rows):
                functions = {key: asked.traced(function) for key, function in self._plan._plain.items()}
                self._trace(list(functions), name, {}, functions, data, {}, kernels)
                continue
            for key, plain in self._plan._plain.items():
                function = self._called(key, plain)
                self._why[key] = "; ".join(filter(None, (reason, why)))
                called.append((name, key, function))
                tasks.append(Task(key, asked.called(function, own), data))
        workers = self._threads(self._data.first)
        used, held = call_all(tasks, kernels, workers, self._deadline, self._processes)
        self._used = max(self._used, used)
        for (name, key, function), task in zip(called, tasks, strict=True):
            self._told(key, function)
            if task.error is not None:
                self._fail(key, name, task.error)
            self._put(key, name, task.result)
            task.error = None
        self._tell_holders(held)

    # --------------------------------------------------------------------------------------------------- results

    def _results(self, on_error: str) -> Results:
        plan = self._plan
        seconds = time.perf_counter() - self._begun
        values = {key: self._values.get(key) for key in self._order if key not in plan._fills}
        values = self._filled(values)
        if not self._data.is_single and self._data.record is None:
            values = {key: self._in_order(key, value) for key, value in values.items()}
        if self._data.dimensions is not None:
            values = {key: self._named(key, value, self._data.dimensions) for key, value in values.items()}
        ran: Ran = (
            *(self._passes, self._bytes_read, self._used, seconds, self._order),
            *(plan._how | self._how, self._why, self._bytes_copied, self._data.opening),
        )
        if not self._errors:
            return Results(values, {}, ran, self._groups)
        errors = {key: self._errors[key] for key in self._order if key in self._errors}
        for key in errors.keys() & plan._plain.keys():
            tell_what_is_missing(errors[key], plan._functions[key])
        # The tracebacks of exceptions may keep the frames of this function and of `run` alive.
        self._errors.clear()
        if on_error == "raise":
            good = {key: value for key, value in values.items() if key not in errors}
            raise_failures(errors, plan._plain, Results(good, {}, ran, self._groups))
        return Results(values | errors, errors, ran, self._groups)

    def _in_order(self, key: Any, value: Any) -> Any:
        """The answers for each column, in the order of the columns."""
        kernel = self._kernels.get(key)
        if not isinstance(value, dict) or (kernel is not None and kernel.arrays != "one"):
            return value
        return {name: value[name] for name in self._arrays if name in value}

    def _named(self, key: Any, value: Any, dimensions: Dimensions) -> Any:
        """A result with the names and coordinates of the axes that are left."""
        kernel = self._kernels.get(key)
        if not self._data.is_single and isinstance(value, dict):
            return {name: dimensions.named(own, kernel, self._asked, self._groups) for name, own in value.items()}
        return dimensions.named(value, kernel, self._asked, self._groups)

    def _filled(self, values: dict[Any, Any]) -> dict[Any, Any]:
        """The results, with the entries of the dicts that functions filled."""
        fills = self._plan._fills
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
        keys: list[Any],
        name: Any,
        answers: Iterable[Any],
        failures: list[tuple[int, Exception]],
        *figures: Any,
    ) -> None:
        """Takes over the results of a run over a whole array."""
        self._figures(*figures)
        for key, answer in zip(keys, answers, strict=True):
            self._put(key, name, answer)
        for index, error in failures:
            self._fail(keys[index], name, error)
        failures.clear()

    def _figures(self, passes: int = 0, bytes_read: int = 0, workers: int = 1, seconds: float = 0) -> None:
        del seconds
        self._passes += passes
        self._bytes_read += bytes_read
        self._used = max(self._used, workers)

    def _put(self, key: str, name: Any, value: Any) -> None:
        if self._data.is_single or name is _RECORD:
            self._values[key] = value
        else:
            self._values.setdefault(key, {})[name] = value

    def _fail(self, key: str, name: Any, error: Exception) -> None:
        if not self._data.is_single and name is not _RECORD:
            columns.tell(error, name)
        self._errors.setdefault(key, error)

    def _called(self, key: str, function: Any) -> UserFunction:
        """A function that is called with plain arrays: here, or in a process."""
        if self._processes is None:
            return Called(function)
        self._how[key] = "process"
        return self._processes.called(key, function)

    def _told(self, key: str, called: UserFunction) -> None:
        """Records whether a function was called with a copy."""
        if called.bytes_copied:
            self._why[key] = f"{self._why[key]}; {COPIED}"
            self._bytes_copied += called.bytes_copied

    def _tell_holders(self, keys: Set[Any]) -> None:
        """Records which functions, called with plain arrays, would rather run in processes."""
        for key in keys if self._processes is None else ():
            told = [*self._why.get(key, "").split("; "), HELD]
            self._why[key] = "; ".join(dict.fromkeys(filter(None, told)))

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
        small = data.size <= SMALLEST and self._processes is None
        return 1 if small else budget(self._workers)


def _processes(deadline: Deadline) -> "Processes | None":
    """The processes of a run; None inside a worker process, or one of `multiprocessing.Pool`, which may start none."""
    # Imported here, because loky is optional.
    from fanfold.processes import calls, worker

    return None if worker.is_inside or current_process().daemon else calls.Processes(deadline)
