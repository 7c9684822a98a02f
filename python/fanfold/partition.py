"""Which elements each result is computed from (all, those along axes, those of a label), and the kernels that run over
them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fanfold import _core, checks, groups, shapes
from fanfold.columns import Calls
from fanfold.deadline import Deadline
from fanfold.dict_outputs import remedy_for_dict
from fanfold.failures import note, raise_problems, short_of_memory
from fanfold.groups import Groups
from fanfold.scheduler import Wait
from fanfold.shapes import Rows, Written
from fanfold.sources import Elements, Opened, missing

if TYPE_CHECKING:
    from fanfold.api import Plan

Parts = Rows | Groups


def parts(
    data: Opened,
    arrays: Mapping[Any, Elements],
    plan: "Plan",
    taking: Mapping[str, Any],
    workers: int,
    fills: Sequence[Any],
    several: Collection[Any],
    problems: list[Exception],
) -> Parts:
    """The partition of arrays of one shape. Raises for wrong arguments, and for the given problems."""
    first = next(iter(arrays.values()))
    axis, keepdims = taking.get("axis"), taking.get("keepdims", False)
    found: Parts | None
    items = {plan._keys[index]: size for index, _, size in plan._native.arrays(first)}
    checks.means_itself(data.weights, "weights", problems)
    for number, key in enumerate(data.by) if isinstance(data.by, tuple) else ():
        checks.means_itself(key, f"by[{number}]", problems)
    checks.means_itself(data.by, "by", problems)
    if data.by is None:
        found = shapes.rows(first, axis, keepdims, data.where, data.weights, problems)
        if found is not None and (not data.is_single or any(map(missing, arrays.values()))):
            found = found.apart()
        for key, function in plan._functions.items() if found is not None and taking else ():
            if key in plan._plain and found is not None:
                if key not in several and found.takes_one_sequence(function):
                    shapes.refuse_for_one_sequence(found.given, key, problems)
                else:
                    shapes.taking(function, found.given, key, problems)
    else:
        if keepdims is not False:
            problems.append(
                ValueError("by and keepdims were both given: the result has an axis of groups, so leave keepdims out")
            )
        is_any = any(kernel.answers == "positions" for kernel in plan._kernels)
        positions = bool(plan._plain or items or is_any)
        found = groups.groups(first, data.by, axis, data.where, data.weights, positions, workers, problems)
        for key, function in plan._plain.items() if axis is not None else ():
            shapes.taking(function, {"axis": axis}, key, problems)
    for key, size in items.items() if taking else ():
        reason = found.refuses(size, first) if found else None
        if reason is not None:
            problems.append(ValueError(f"{checks.shown(key)} returns an array of items, and {reason}"))
    for key in fills if taking else ():
        wrong = TypeError(
            f"functions: {checks.shown(key)} fills a dict, which has no rows or groups: return a value instead"
        )
        note(wrong, remedy_for_dict(plan._functions[key]))
        problems.append(wrong)
    raise_problems(problems, "the call cannot be run")
    if found is None:
        raise AssertionError("what keeps an array from being taken apart is a problem")
    return found


class Kernels:
    """The kernels of a run over rows or groups.

    The calling thread runs them once, while other threads call the functions.
    """

    def __init__(
        self,
        parts: Parts,
        arrays: Sequence[Elements],
        calls: Calls,
        nan_policy: str,
        out: Mapping[Any, Any],
        deadline: Deadline,
    ) -> None:
        self.figures: tuple[Any, ...] = ()
        """The numbers of passes, of bytes read and of workers."""
        self.answers: list[Any] = [None] * len(calls.kernels)
        """A result for each call; None if it failed."""
        self.failed: list[tuple[int, Exception]] = []
        self._parts = parts
        # Those that a call goes over, or one, which says how many elements there are.
        used = sorted({number for over in calls.over for number in over}) or [0]
        self._arrays = [arrays[number] for number in used]
        places = {number: place for place, number in enumerate(used)}
        self._over = [[places[number] for number in over] for over in calls.over]
        self._calls = calls
        self._nan_policy = nan_policy
        self._out = {place: out[key] for place, key in enumerate(calls.keys) if key in out}
        self._deadline = deadline
        # The run finds the groups.
        self._is_wanted = bool(calls.kernels) or isinstance(parts, Groups)

    def check(self) -> None:
        """Raises if the timeout has passed."""
        self._deadline.left()

    def is_wanted(self) -> bool:
        """Whether the kernels have not run yet."""
        return self._is_wanted

    def takes_along(self, axes: tuple[int, ...]) -> bool:
        """Whether further kernels along these axes, for functions, can run in the same sweep."""
        parts = self._parts
        is_alike = isinstance(parts, Rows) and parts.taken == axes and parts.mask is None and parts.weights is None
        return is_alike and len(self._arrays) == 1 and not missing(self._arrays[0]) and self._nan_policy == "propagate"

    def sweep(self, waiting: list[Wait], workers: int) -> list[Wait]:
        """Runs the kernels. Everything that waits can continue."""
        self.run(workers)
        return waiting

    def run(self, workers: int, more: Sequence[_core.Kernel] = ()) -> tuple[list[Any], set[int]]:
        """Runs the kernels. Returns the columns of the further kernels, and the numbers of those that failed."""
        self._is_wanted = False
        parts, calls, arrays = self._parts, self._calls, self._arrays
        count = len(calls.kernels)
        plan = parts.plan([*calls.kernels, *more], self._nan_policy)
        over = [*self._over, *[[0]] * len(more)]
        # Only such results can be arrays with an item for each element; to ask resolves the plan once more.
        may_write = any(kernel.answers in ("items", "positions") for kernel in (*calls.kernels, *more))
        written = parts.written(plan, arrays, over, self._out) if may_write else Written()
        with self._deadline.within() as left:
            columns, failed, *self.figures = parts.run(plan, arrays, over, workers, left, written.targets)
        lost = {place for place, _ in failed}
        self.failed = [(place, error) for place, error in failed if place < count]
        for place, error in written.failed.items():
            if place not in lost:
                self.failed.append((place, short_of_memory(error, [calls.keys[place]])))
                lost.add(place)
        parts.settle(written)
        for place, (column, kernel) in enumerate(zip(columns[:count], calls.kernels, strict=True)):
            try:
                if place in written.arrays and place not in lost:
                    self.answers[place] = written.arrays[place]
                elif place not in lost:
                    self.answers[place] = parts.result(column, kernel)
            except MemoryError as memory:
                self.failed.append((place, short_of_memory(memory, [calls.keys[place]])))
        return columns[count:], {place - count for place in lost if place >= count}
