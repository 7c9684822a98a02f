"""Which elements are taken together: all of them, those along axes, those of a label; and what keeps a call from it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fanfold import checks, groups, shapes
from fanfold.failures import note, raise_problems
from fanfold.filling import remedy_for_dict
from fanfold.groups import Groups
from fanfold.shapes import Rows
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
    problems: list[Exception],
) -> Parts:
    """How arrays of one shape are taken apart. Raises what is wrong with the arguments for that, and these problems."""
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
            if key in plan._plain:
                shapes.taking(function, found.given if found else {}, key, problems)
    else:
        if keepdims is not False:
            problems.append(ValueError("by and keepdims were both given: the groups are an axis, leave keepdims out"))
        is_any = any(kernel.answers == "positions" for kernel in plan._kernels)
        positions = bool(plan._plain or items or is_any)
        found = groups.groups(first, data.by, axis, data.where, data.weights, positions, workers, problems)
        for key, function in plan._plain.items() if axis is not None else ():
            shapes.taking(function, {"axis": axis}, key, problems)
    for key, size in items.items() if taking else ():
        reason = found.refuses(size, first) if found else None
        if reason is not None:
            problems.append(ValueError(f"{checks.shown(key)} answers with an array of items, and {reason}"))
    for key in plan._fills if taking else ():
        wrong = TypeError(f"functions: {checks.shown(key)} fills a dict, which has no parts: return a value instead")
        note(wrong, remedy_for_dict(plan._functions[key]))
        problems.append(wrong)
    raise_problems(problems, "the call cannot be run")
    if found is None:
        raise AssertionError("what keeps an array from being taken apart is a problem")
    return found
