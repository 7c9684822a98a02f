"""`axis=`, `keepdims=`, `where=` and `weights=`: which elements each result is computed from, and the layout of the
results.

The compiled half gets an array as *rows*. The array is transposed (without a copy): its first axes number the results,
in the order of memory, and the elements along the other axes make one row.
"""

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.calling import Called
from fanfold.checks import Problems, shown
from fanfold.deadline import Deadline
from fanfold.dimensions import Asked
from fanfold.failures import answered, raise_problems
from fanfold.sources import Elements, missing

Axis = int | tuple[int, ...] | None

Arrays = Sequence[Elements]
"""Arrays of one shape."""

Over = Sequence[Sequence[int]]
"""For each kernel, the numbers of the arrays that it takes."""

Out = Mapping[int, npt.NDArray[Any]]
"""The caller's arrays, by the numbers of the kernels that write to them."""


class Written:
    """The results of a run that are arrays of items, by the numbers of their kernels."""

    def __init__(self) -> None:
        self.arrays: dict[int, npt.NDArray[Any]] = {}
        """The arrays that users get."""
        self.targets: dict[int, npt.NDArray[Any]] = {}
        """The arrays to write to, in the form that the compiled half takes."""
        self.failed: dict[int, MemoryError] = {}
        """The results for which there was no memory."""


@dataclass(frozen=True)
class Rows:
    """An array's axes: those that are reduced, and the others in the order of memory."""

    ndim: int
    taken: tuple[int, ...]
    others: tuple[int, ...]
    shape: tuple[int, ...]
    keepdims: bool
    mask: npt.NDArray[np.bool_] | None
    weights: npt.NDArray[Any] | None
    given: dict[str, Any]
    """The arguments of the run that are passed on to a user's function."""

    is_apart: bool = False
    """Whether there are several arrays of this shape, or some elements are missing."""

    groups: None = None
    bytes_copied: int = 0

    @classmethod
    def along_axes(cls, data: npt.NDArray[Any], taken: tuple[int, ...]) -> "Rows":
        """The rows along these axes, which the array must have, without a mask or weights."""
        return cls(data.ndim, taken, _others(data, taken), data.shape, False, None, None, {})

    @property
    def why(self) -> str:
        """The reason why users' functions do not get the present elements as one array."""
        return f"called with {', '.join(self.given)}"

    @property
    def along(self) -> int:
        """The number of axes that number the rows."""
        return len(self.others)

    @property
    def whole(self) -> bool:
        """Whether all elements, in the order of memory, are one row."""
        return not self.others and self.mask is None and self.weights is None and not self.is_apart

    def apart(self) -> Self:
        """The same rows for several arrays, or for an array with missing elements."""
        return replace(self, is_apart=True)

    def asked(self, group: Any) -> Asked:
        """The axes that are left."""
        del group
        return Asked(self.taken, self.keepdims)

    def plan(self, kernels: Sequence[_core.Kernel], nan_policy: str) -> _core.Plan:
        """The plan of these kernels, as `run` takes it."""
        return _core.Plan(list(kernels), nan_policy)

    def run(
        self,
        plan: _core.Plan,
        arrays: Arrays,
        over: Over,
        workers: int,
        timeout: float | None,
        targets: Mapping[int, npt.NDArray[Any]] = MappingProxyType({}),
    ) -> Any:
        """Runs the kernels, each over its arrays. Returns the same as `_core.Plan.run`."""
        if self.whole:
            return plan.run(arrays[0], workers, timeout, dict(targets))
        axes = self.others + self.taken
        turned = [array.transpose(axes) for array in arrays]
        mask, weights = (None if one is None else one.transpose(axes) for one in (self.mask, self.weights))
        return plan.run_rows(turned, over, self.along, mask, weights, dict(targets), workers, timeout)

    def refuses(self, size: int, data: Elements) -> str | None:
        """The reason why a kernel cannot return an array of items; None if it can."""
        del size, data
        if self.weights is not None:
            return "takes no weights"
        if self.mask is not None:
            return "takes no where: put NaN in place of elements to leave out, and pass nan_policy='omit'"
        return None if self.whole or len(self.taken) == 1 else "works along one axis only: pass one axis"

    def written(self, plan: _core.Plan, arrays: Arrays, over: Over, out: Out) -> "Written":
        """Allocates memory for the results that are arrays of items; each row of elements writes one row of items."""
        found = Written()
        rows, taken = self.others, self.taken
        for number, elements in enumerate(arrays):
            sequence = elements
            if rows and isinstance(elements, np.ndarray):
                sequence = np.broadcast_to(np.zeros((), elements.dtype), math.prod(self.shape[axis] for axis in taken))
            for place, dtype, size in plan.arrays(sequence):
                if list(over[place]) != [number]:
                    continue
                # Along several axes there are no such results.
                shape = (size,) if not rows else (*self.shape[: taken[0]], size, *self.shape[taken[0] + 1 :])
                try:
                    array = out[place] if place in out else np.empty(shape, dtype)
                except MemoryError as error:
                    found.failed[place] = error
                    continue
                found.arrays[place] = array
                # One that has this shape already, or one axis, which can be looked at in any shape.
                found.targets[place] = array.reshape(shape).transpose(rows + taken) if rows else array
        return found

    def settle(self, written: "Written") -> None:
        """Does nothing: the rows are already in their places."""

    def takes_one_sequence(self, function: Callable[..., Any]) -> bool:
        """Whether a user's function gets the elements of each row, and not the whole array with the axis."""
        return "axis" in self.given and is_of_one_sequence(function)

    def takes_where(self, elements: Elements) -> bool:
        """Whether functions get the whole array, and a mask of the elements that are there."""
        return bool(
            self.others and isinstance(elements, _core.Source) and elements.missing and elements.array is not None
        )

    def traced(self, function: Callable[..., Any]) -> Callable[[npt.NDArray[Any]], Any]:
        """A user's function, to be called with a traced array. The axis is passed on to it."""
        return partial(function, **self.given)

    def called(self, function: Called, elements: Elements) -> Callable[[npt.NDArray[Any]], Any]:
        """A user's function, to be called with the array of these elements. The axis is passed on to it."""
        if not missing(elements) or not isinstance(elements, _core.Source):
            return partial(function, **self.given)
        present = elements.is_present()
        if self.takes_where(elements):
            there = present if self.mask is None else present & self.mask
            return lambda values: function(values, **{**self.given, "where": there})
        # Mask and weights are restricted to the present elements.
        told = {"where": self.mask, "weights": self.weights}
        own = {name: array[present] for name, array in told.items() if name in self.given and array is not None}
        kept = {name: value for name, value in self.given.items() if name not in ("axis", *told)}
        return partial(function, **kept, **own)

    def result(self, column: Any, kernel: _core.Kernel) -> Any:
        """A kernel's results, in NumPy's layout."""
        if self.whole:
            return _kept(column, kernel, self.ndim) if self.keepdims else column
        if isinstance(column, tuple):
            return type(column)(*(self.result(field, kernel) for field in column))
        values = column if isinstance(column, np.ndarray) else together(column)
        if kernel.answers == "matrix":
            values = square(values)
        answers = values.reshape(tuple(self.shape[axis] for axis in self.others) + values.shape[1:])
        # From the order of memory to the order of the array's axes.
        order = sorted(range(self.along), key=lambda place: self.others[place])
        answers = answers.transpose(*order, *range(self.along, answers.ndim))
        if kernel.answers == "matrix":
            return self._kept(answers, 2)
        if values.ndim > 1:
            if kernel.answers == "quantiles":
                # In NumPy the quantiles are the first axis.
                return np.moveaxis(self._kept(answers, 1), -1, 0)
            return np.moveaxis(answers, -1, self.taken[0] if len(self.taken) == 1 else -1)
        answers = self._kept(answers, 0)
        return answers[()] if answers.ndim == 0 else answers

    def _kept(self, answers: npt.NDArray[Any], inner: int) -> npt.NDArray[Any]:
        if not self.keepdims:
            return answers
        kept = tuple(1 if axis in self.taken else self.shape[axis] for axis in range(self.ndim))
        return answers.reshape(kept + answers.shape[answers.ndim - inner :])


def objects(values: list[Any]) -> npt.NDArray[Any]:
    """An array that holds these objects themselves."""
    # Other ways to make an array from lists would look into their items.
    return np.fromiter(values, object, len(values))


def together(values: list[Any]) -> npt.NDArray[Any]:
    """Combines a kernel's results without a common form: numbers of several dtypes, or arrays of several lengths."""
    if values and all(isinstance(value, np.generic) for value in values):
        # If an empty row gives NaN, the integers of the other rows become floats, unless that would round them.
        numbers, exact = np.array(values), [value.item() for value in values]
        if all(one == other or one != one for one, other in zip(exact, numbers.tolist(), strict=True)):
            return numbers
    return objects(values)


def returned(values: list[Any]) -> npt.NDArray[Any]:
    """Combines what a user's function returned, call by call: into an array of the dtype if all are numbers or times of
    the same dtype, and else into an array of the objects.

    A common dtype of different ones could round integers to floats or turn numbers into strings.
    """
    dtypes = {_dtype(value) for value in values}
    if not dtypes:
        return np.array(values)
    (dtype, *others) = dtypes
    return objects(values) if others or dtype is None else np.array(values, dtype)


def _dtype(value: Any) -> np.dtype[Any] | None:
    """The dtype that holds a number, a time or a record unchanged; None if there is none."""
    if type(value) in (bool, float, complex) or (type(value) is int and -(2**63) <= value < 2**63):
        return np.dtype(type(value))
    if type(value) is np.ndarray and value.ndim == 0:
        value = value[()]
    is_plain = isinstance(value, np.generic) and type(value) is value.dtype.type
    return value.dtype if is_plain and value.dtype.kind in "biufcmMV" else None


def square(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Reshapes each row to a square matrix."""
    side = math.isqrt(values.shape[-1])
    return values.reshape(*values.shape[:-1], side, side)


def item_arrays(plan: _core.Plan, data: Elements, axis: Any) -> list[tuple[int, np.dtype[Any], list[tuple[int, ...]]]]:
    """The kernels that answer with arrays of items: their numbers, and dtypes and shapes that the arrays may have."""
    taken = axes(axis, data.ndim, [])
    if taken is not None and len(taken) == 1 < data.ndim:
        (along,) = taken
        sequence = np.broadcast_to(np.zeros((), data.dtype), data.shape[along])
        others = math.prod(data.shape[:along] + data.shape[along + 1 :])
        return [
            (number, dtype, [(*data.shape[:along], size, *data.shape[along + 1 :]), (size * others,)])
            for number, dtype, size in plan.arrays(sequence)
        ]
    same = [tuple(data.shape)]
    return [(number, dtype, [(size,)] + same * (size == data.size)) for number, dtype, size in plan.arrays(data)]


def rows(data: Elements, axis: Any, keepdims: Any, where: Any, weights: Any, problems: Problems) -> Rows | None:
    """The array's rows; None if an argument is wrong."""
    known = len(problems)
    if not isinstance(keepdims, bool | np.bool_):
        problems.append(TypeError(f"keepdims must be True or False, not {shown(keepdims)}"))
    taken = axes(axis, data.ndim, problems)
    chosen = mask(where, data, problems)
    weighed = weighing(weights, data, axis, problems)
    if taken is None or len(problems) > known:
        return None
    given = {"axis": axis, "keepdims": keepdims, "where": where, "weights": weights}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    return Rows(data.ndim, taken, _others(data, taken), data.shape, bool(keepdims), chosen, weighed, given)


def _others(data: Elements, taken: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that number the rows, in the order of memory."""
    return tuple(sorted(set(range(data.ndim)).difference(taken), key=lambda axis: -abs(data.strides[axis])))


def axes(axis: Any, ndim: int, problems: Problems) -> tuple[int, ...] | None:
    """The axes to reduce, in order; all of them if ``None``."""
    if axis is None:
        return tuple(range(ndim))
    wanted = axis if isinstance(axis, tuple) else (axis,)
    found: list[int] = []
    for one in wanted:
        if isinstance(one, bool | np.bool_) or not hasattr(one, "__index__"):
            problems.append(TypeError(f"axis must be an integer, a tuple of integers or None, not {shown(axis)}"))
            return None
        number = operator.index(one)
        if not -ndim <= number < ndim:
            advice = f"pass one from {-ndim} to {ndim - 1}" if ndim else "pass None"
            problems.append(
                np.exceptions.AxisError(f"axis {number} is out of bounds for data of {ndim} axes: {advice}")
            )
            return None
        found.append(number % ndim)
    if len(set(found)) < len(found):
        problems.append(ValueError(f"axis is {shown(axis)}, which names an axis twice: name each axis once"))
        return None
    return tuple(sorted(found))


def mask(where: Any, data: Elements, problems: Problems) -> npt.NDArray[np.bool_] | None:
    """The mask, broadcast to the array's shape; None if there is none."""
    if where is None:
        return None
    found = _array(where, "where", problems)
    if found is None:
        return None
    if found.dtype != np.bool_:
        what = f"an array of dtype {found.dtype}" if isinstance(where, np.ndarray) else shown(where)
        problems.append(
            TypeError(f"where must be an array of dtype bool, not {what}: pass a comparison, or where != 0")
        )
        return None
    try:
        return np.broadcast_to(found, data.shape)
    except ValueError:
        fits = f"where has shape {found.shape}, which does not broadcast to that of data, {data.shape}"
        problems.append(ValueError(f"{fits}: pass a mask of the same shape"))
        return None


def weighing(weights: Any, data: Elements, axis: Any, problems: Problems) -> npt.NDArray[Any] | None:
    """The weights, broadcast to the array's shape; None if there are none."""
    if weights is None:
        return None
    found = _array(weights, "weights", problems)
    if found is None:
        return None
    if found.dtype.kind not in "biuf" or found.dtype.itemsize > np.dtype(np.float64).itemsize:
        what = f"an array of dtype {found.dtype}" if isinstance(weights, np.ndarray) else shown(weights)
        problems.append(TypeError(f"weights must be an array of real numbers, not {what}: pass weights.astype(float)"))
        return None
    if found.ndim == 0:
        what = "a single number gives every element the same weight: leave it out, or pass a weight for each element"
        problems.append(TypeError(f"weights must be an array of real numbers, not {shown(weights)}: {what}"))
        return None
    wanted = axis if isinstance(axis, tuple) else (axis,)
    are_axes = all(hasattr(each, "__index__") and -data.ndim <= operator.index(each) < data.ndim for each in wanted)
    if are_axes and found.ndim == len(wanted) < data.ndim:
        # One weight for each position along the axes, in the order in which the axes are named, as for np.average.
        places = [operator.index(each) % data.ndim for each in wanted]
        if found.shape == tuple(data.shape[place] for place in places):
            order = np.argsort(places)
            found = found.transpose(order).reshape([data.shape[a] if a in places else 1 for a in range(data.ndim)])
    try:
        return np.broadcast_to(found, data.shape)
    except ValueError:
        fits = f"weights has shape {np.shape(weights)}, which does not broadcast to that of data, {data.shape}"
        advice = "pass a weight for each element or, with axis, one for each position along it"
        problems.append(ValueError(f"{fits}: {advice}"))
        return None


def _array(value: Any, name: str, problems: Problems) -> npt.NDArray[Any] | None:
    """An argument as an array. An array of the caller is not copied."""
    if isinstance(value, np.ma.MaskedArray):
        problems.append(TypeError(f"{name} is a masked array, and its mask would be ignored: pass {name}.filled(...)"))
        return None
    try:
        return np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - objects can fail to be arrays in many ways
        problems.append(TypeError(f"{name} must be an array, not {shown(value)} ({error}): pass np.asarray({name})"))
        return None


def refuse_weights(weights: npt.NDArray[Any], workers: int, deadline: Deadline) -> None:
    """Raises if a weight is not valid. This reads the elements of the weights."""
    # Broadcast elements are checked once.
    own = weights[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in weights.strides)]
    if not own.size or own.dtype.kind in "bu":
        return
    with deadline.within() as left:
        least, most = answered(["min", "max"], "propagate", own, workers, left)
    problems: Problems = []
    if np.isnan(least):
        problems.append(ValueError("weights holds NaN: put 0 where an element must not count"))
    elif least < 0 or np.isinf(most):
        wrong = least if least < 0 else most
        problems.append(ValueError(f"weights holds {wrong}: a weight is a finite number >= 0"))
    raise_problems(problems, "the call cannot be run")


def is_of_one_sequence(function: Callable[..., Any]) -> bool:
    """Whether a user's function has no parameter `axis`, so that it is a function of one sequence, as
    `np.apply_along_axis` takes one.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        # A compiled function may have no signature; NumPy's have a parameter axis.
        return False
    return "axis" not in parameters and all(each.kind is not each.VAR_KEYWORD for each in parameters.values())


def refuse_for_one_sequence(given: dict[str, Any], key: str, problems: Problems) -> None:
    """Adds a problem for each argument of the run that a function of one sequence has no use for."""
    for name in ("where", "weights"):
        if name in given:
            advice = f"add the parameters axis and {name}, or run the function in a call without {name}"
            problems.append(
                TypeError(f"functions: {shown(key)} has no parameter {name}, which the run passes on to it: {advice}")
            )


def taking(function: Callable[..., Any], given: dict[str, Any], key: str, problems: Problems) -> None:
    """Adds a problem if a user's function does not take the arguments of the run, which are passed on to it."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        # A compiled function may have no signature; its call will raise.
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in given:
        if name not in parameters:
            advice = f"add a parameter {name}, or run the function in a call without {name}"
            problems.append(
                TypeError(f"functions: {shown(key)} has no parameter {name}, which the run passes on to it: {advice}")
            )


def _kept(value: Any, kernel: _core.Kernel, ndim: int) -> Any:
    """A result for all elements, with all axes kept as axes of length 1."""
    if isinstance(value, tuple):
        return type(value)(*(_kept(field, kernel, ndim) for field in value))
    if isinstance(value, np.ndarray):
        return value.reshape(value.shape + (1,) * ndim) if kernel.answers == "quantiles" else value
    return np.reshape(value, (1,) * ndim)
