"""Names of axes: the dimensions and coordinates of xarray arrays, and which of them the results keep.

This module never imports xarray: if an array is an xarray array, xarray is already loaded.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanfold import _core
from fanfold.checks import Problems, shown


@dataclass(frozen=True)
class Dimensions:
    """The names of an array's axes, and its coordinates."""

    names: tuple[Any, ...]
    coordinates: Mapping[Any, Any]

    @classmethod
    def of(cls, array: Any) -> "Dimensions":
        """Return those of an xarray array."""
        return cls(tuple(array.dims), dict(getattr(array, "coords", {})))

    def axis(self, axis: Any, problems: Problems) -> Any:
        """Return the number of an axis that may be given by its name."""
        if isinstance(axis, tuple):
            return tuple(self.axis(each, problems) for each in axis)
        if not isinstance(axis, str):
            return axis
        if axis not in self.names:
            problems.append(
                ValueError(
                    f"axis is {shown(axis)}, which is not a dimension of data: the dimensions are {self._known()}"
                )
            )
            return None
        return self.names.index(axis)

    def labels(self, by: Any, problems: Problems) -> tuple[Any, int | None, Any]:
        """Return the labels, the axis along which they lie (if there is one), and the name of the labels.

        The labels may be the name of a coordinate, or an array that has its own names.
        """
        if isinstance(by, tuple):
            each = [self.labels(key, problems) for key in by]
            along = {axis for _, axis, _ in each}
            return tuple(key for key, *_ in each), along.pop() if len(along) == 1 else None, "group"
        found: Any = self.coordinates.get(by) if isinstance(by, str) else by
        if isinstance(by, str) and (found is None or len(found.dims) != 1):
            known = ", ".join(shown(name) for name, own in self.coordinates.items() if len(own.dims) == 1)
            problems.append(
                ValueError(f"by is {shown(by)}, which is not a coordinate along one dimension: those are {known}")
            )
            return None, None, None
        if not is_named(found):
            return by, None, "group"
        name = getattr(found, "name", None) or "group"
        if len(found.dims) == 1 and found.dims[0] in self.names:
            return found.values, self.names.index(found.dims[0]), name
        return self.aligned(found, "by", problems), None, name

    def aligned(self, value: Any, name: str, problems: Problems) -> Any:
        """Return an array with named axes, with its axes in the order of those of the data."""
        if not is_named(value):
            return value
        foreign = [each for each in value.dims if each not in self.names]
        if foreign:
            problems.append(
                ValueError(f"{name} has the dimension {shown(foreign[0])}, but data only has {self._known()}")
            )
            return None
        order = [value.dims.index(each) for each in self.names if each in value.dims]
        places = tuple(slice(None) if each in value.dims else np.newaxis for each in self.names)
        return np.asarray(value.data).transpose(order)[places]

    def _known(self) -> str:
        return ", ".join(map(shown, self.names))

    def named(
        self, answer: Any, kernel: _core.Kernel | None, asked: "Asked", groups: Any, last: str | None = None
    ) -> Any:
        """Return a result with the names and coordinates of the remaining dimensions; unchanged if it has others.

        `last` is the name of a dimension that a field of a record may have after them.
        """
        if isinstance(answer, tuple) and hasattr(answer, "_fields"):
            fields = zip(answer._fields, answer, strict=True)
            return type(answer)(
                *(self.named(own, kernel, asked, groups, _ITEMS.get(name, name)) for name, own in fields)
            )
        xarray = sys.modules.get("xarray")
        if not isinstance(answer, np.ndarray) or answer.ndim == 0 or xarray is None:
            return answer
        names = asked.left(self.names)
        if answer.ndim == len(names) + 1 and kernel is not None and kernel.answers == "quantiles":
            names = ("quantile", *names)
        elif last in _ITEMS.values() and asked.keepdims and len(asked.taken) == 1:
            names = (*names[: asked.taken[0]], last, *names[asked.taken[0] + 1 :])
        elif last is not None and answer.ndim == len(names) + 1:
            # Items are where the reduced axis was; those of several axes, or of a group, come last.
            is_one_axis = asked.group is None and len(asked.taken) == 1
            place = asked.taken[0] if is_one_axis else len(names)
            names = (*names[:place], last, *names[place:])
        elif answer.ndim != len(names) and answer.ndim == len(self.names) and asked.group is None:
            # It has one item for each element, or for some of them.
            names = self.names
        if answer.ndim != len(names):
            return answer
        sizes = dict(zip(names, answer.shape, strict=True))
        coordinates: dict[Any, Any] = {}
        for name, own in self.coordinates.items():
            fits = all(sizes.get(each) == size for each, size in zip(own.dims, own.shape, strict=True))
            if fits and (asked.group is None or asked.group not in (name, *own.dims)):
                coordinates[name] = own
        if kernel is not None and kernel.answers == "quantiles" and names[0] == "quantile":
            levels = next(iter(kernel.parameters.values()))
            coordinates["quantile"] = np.asarray(levels)
        if asked.group is not None and np.ndim(groups) == 1:
            # Several keys do not make one coordinate.
            coordinates[asked.group] = groups
        return xarray.DataArray(answer, coordinates, names)


_ITEMS = {"counts": "bin", "edges": "edge"}
"""What an item of a field is called, if it is not called as the field."""


@dataclass(frozen=True)
class Asked:
    """What a run does with an array with names: the axes that it reduces, and where its groups go."""

    taken: tuple[int, ...]
    keepdims: bool = False
    group: Any = None
    """The name of the axis of the groups."""
    along: int | None = None
    """The axis that the groups replace; ``None`` if they replace all axes."""

    def left(self, names: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the dimensions of a result."""
        if self.group is not None:
            return (self.group,) if self.along is None else (*names[: self.along], self.group, *names[self.along + 1 :])
        if self.keepdims:
            return names
        return tuple(name for place, name in enumerate(names) if place not in self.taken)


def is_named(value: Any) -> bool:
    """Whether it is an xarray array."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray | xarray.Variable)
