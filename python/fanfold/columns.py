"""Work with several arrays: a dict of arrays of one shape.

Most kernels and functions give one result for each array; some take two arrays, or all of them, or those that their
parameters name. This module lists the calls that follow and names the array of a failure. It computes no statistic.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.checks import Problems, meant, nearest, shown
from fanfold.dict_outputs import ARGUMENTS, parameters
from fanfold.failures import answered, note
from fanfold.sources import Elements, as_array, missing

Columns = Mapping[Any, Elements]


def of_one_shape(arrays: Columns, problems: Problems) -> None:
    """Check that the arrays of a table have one shape, and that there is at least one."""
    if not arrays:
        problems.append(ValueError("data has no arrays: pass at least one"))
        return
    first, *others = arrays
    for key in others:
        if arrays[key].shape != arrays[first].shape:
            shapes = f"data[{shown(key)}] has shape {arrays[key].shape}, data[{shown(first)}] has {arrays[first].shape}"
            problems.append(ValueError(f"{shapes}: pass arrays of the same shape"))


def refuse_one(kernels: Mapping[str, _core.Kernel], problems: Problems) -> None:
    """Refuse kernels that need more than a single array."""
    for key, kernel in kernels.items():
        if kernel.arrays != "one":
            names = "'x', 'y'" if kernel.arrays == "two" else ""
            advice = f"pass a dict of arrays, as in run({{'x': x, 'y': y}}, ff.{kernel.name}({names}))"
            problems.append(TypeError(f"{shown(key)} takes several arrays, but data is one array: {advice}"))


def of_functions(functions: Mapping[Any, Any], names: Sequence[Any], problems: Problems) -> dict[Any, tuple[str, ...]]:
    """Return, for each function of several columns, the columns that it takes.

    These are functions with two or more required parameters that have the names of columns.
    """
    found: dict[Any, tuple[str, ...]] = {}
    for key, function in functions.items():
        taken = [name for name in parameters(function) if name not in ARGUMENTS]
        unknown = [name for name in taken if name not in names]
        # Two parameters that name no column are the elements and a dict to fill.
        if len(taken) < _SEVERAL or (len(taken) == _SEVERAL and len(unknown) == _SEVERAL):
            continue
        found[key] = tuple(taken)
        if unknown:
            close = [near for name in unknown if (near := nearest(name, names)) is not None]
            question = f" (did you mean {' and '.join(map(shown, close))}?)" if close else ""
            known = ", ".join(map(shown, names[:_MOST_SHOWN])) + (", …" if len(names) > _MOST_SHOWN else "")
            advice = f"the columns are {known}; set other parameters with functools.partial"
            wrong = f"the parameter {unknown[0]}" if len(unknown) == 1 else f"the parameters {', '.join(unknown)}"
            problems.append(ValueError(f"functions: {shown(key)} has {wrong}, but no such column{question}: {advice}"))
    return found


_SEVERAL = 2
_MOST_SHOWN = 20


def complete(columns: Sequence[Elements]) -> tuple[list[npt.NDArray[Any]], npt.NDArray[np.bool_] | None]:
    """Return columns as arrays without the rows in which one of them is missing, and the rows that are left.

    The rows are None if none was left out; then nothing was copied.
    """
    sources = [each for each in columns if isinstance(each, _core.Source)]
    if not any(map(missing, sources)):
        return [as_array(each)[0] for each in columns], None
    present = np.logical_and.reduce([each.is_present() for each in sources])
    arrays: list[npt.NDArray[Any]] = []
    for column in columns:
        array, _ = as_array(column)
        if isinstance(column, _core.Source) and missing(column):
            arrays.append(array[present[column.is_present()]])
        else:
            arrays.append(array[present])
    return arrays, present


class Calls:
    """The calls of kernels: a kernel has a call for each array, for two arrays, or for all of them."""

    def __init__(
        self,
        kernels: Mapping[str, _core.Kernel],
        names: Sequence[Any],
        problems: Problems,
        without: Set[tuple[str, str]] = frozenset(),
    ) -> None:
        self.kernels: list[_core.Kernel] = []
        self.over: list[Sequence[int]] = []
        self.keys: list[Any] = []
        self._names = names
        self._without = without
        for key, kernel in kernels.items():
            for over in self._each(key, kernel, problems):
                self.kernels.append(kernel)
                self.over.append(over)
                self.keys.append(key)

    def _each(self, key: str, kernel: _core.Kernel, problems: Problems) -> list[Sequence[int]]:
        """Return the numbers of the arrays of each call of a kernel; none if there is a problem."""
        names = self._names
        if kernel.arrays == "one":
            return [(number,) for number, name in enumerate(names) if (key, name) not in self._without]
        if kernel.arrays == "all":
            return [range(len(names))]
        pair = [kernel.parameters["x"], kernel.parameters["y"]]
        if pair == [None, None] and len(names) == 2:
            return [(0, 1)]
        call = f"ff.{kernel.name}({', '.join(map(shown, names[:2]))})" if len(names) > 1 else "two arrays"
        if None in pair and len(names) == 2:
            missing = "x" if pair[0] is None else "y"
            problems.append(
                ValueError(f"{shown(key)}: {missing} is None: name both arrays, or neither if data has only two")
            )
            return []
        if None in pair:
            advice = f"name two of them, as in {call}" if len(names) > 1 else f"pass {call}"
            problems.append(ValueError(f"{shown(key)} takes two arrays, but data has {len(names):,}: {advice}"))
            return []
        for parameter, name in zip("xy", pair, strict=True):
            if name not in names:
                remedy = meant(name, names) or f": the keys are {', '.join(map(shown, names[:_MOST_SHOWN]))}"
                problems.append(
                    ValueError(f"{shown(key)}: {parameter} is {shown(name)}, which is not a key of data{remedy}")
                )
                return []
        return [[names.index(name) for name in pair]]

    def values(self, answers: Sequence[Any]) -> dict[Any, Any]:
        """Return the results by the kernels' keys. A kernel with one result for each array has a dict of results."""
        values: dict[Any, Any] = {}
        for key, kernel, over, answer in zip(self.keys, self.kernels, self.over, answers, strict=True):
            if kernel.arrays == "one":
                values.setdefault(key, {})[self._names[over[0]]] = answer
            else:
                values[key] = answer
        return values

    def failures(self, failed: Sequence[tuple[int, Exception]], arrays: Columns) -> dict[Any, Exception]:
        """Return the first failure of each key, with a note that names the array."""
        failures: dict[Any, Exception] = {}
        # A NaN that the policy forbids is a failure of all kernels, whichever array has it.
        of_all = str(failed[0][1]).startswith("nan_policy=") if failed else False
        with_nan = [name for name in arrays if of_all and _has_nan(arrays[name])]
        for place, error in failed:
            for name in with_nan:
                tell(error, name)
            if arrays and not of_all and self.kernels[place].arrays == "one":
                tell(error, self._names[self.over[place][0]])
            failures.setdefault(self.keys[place], error)
        return failures


def without(kernels: Mapping[str, _core.Kernel], arrays: Columns, nan_policy: Any) -> set[tuple[str, str]]:
    """Return pairs of a kernel's key and a column that it does not support. The kernel supports another column."""
    found: set[tuple[str, str]] = set()
    for key, kernel in kernels.items():
        if kernel.arrays == "one":
            plan = _core.Plan([kernel], nan_policy)
            lacking = {(key, name) for name, array in arrays.items() if plan.problems(array)}
            found |= lacking if len(lacking) < len(arrays) else set()
    return found


def wrong(
    plan: _core.Plan, arrays: Columns, several: Columns, calls: Calls, weights: npt.NDArray[Any] | None
) -> list[Exception]:
    """Return each reason why kernels cannot run, once. If there are `several` arrays, a note names the array."""
    for name, array in several.items():
        # An array that no kernel supports fails by itself; the error should name it.
        for error in _core.Plan([_core.Kernel("count")], "propagate").problems(array):
            tell(error, name)
            return [error]
    told: dict[Any, Exception] = {}
    first = next(iter(arrays.values()))
    # Only the dtype of the weights matters here.
    like = None if weights is None else np.broadcast_to(np.zeros((), weights.dtype), first.shape)
    for error in plan.problems_over(list(arrays.values()), calls.over, like):
        told.setdefault(str(error), error)
    return list(told.values())


def _has_nan(array: Elements) -> bool:
    """Return whether an element is NaN. Missing elements do not count, although their memory may hold NaN."""
    (count,) = answered(["count_nan"], "propagate", as_array(array)[0], 0)
    return bool(count)


def tell(error: Exception, name: Any) -> None:
    """Add a note to a failure: the name of its array."""
    note(error, f"in data[{shown(name)}]")
