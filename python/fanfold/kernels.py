"""One constructor for each kernel of the catalogue: ``ff.std(ddof=1)``.

Names, parameters and documentation come from the compiled catalogue; nothing here is written by hand per kernel. The
types of the constructors are in ``kernels.pyi``, which ``make generate`` writes and ``make lint`` checks.
"""

import math
from typing import Any

from fanfold import _core
from fanfold.catalogue import KernelInfo, kernels

MOST_IN_A_PARAMETER = 10_000
"""The most numbers (quantiles, edges of bins) that a positional parameter may hold before it is taken for data."""


def _is_data(value: Any, least: int) -> bool:
    """Whether it looks like an array, a column, a table or a list with at least `least` elements."""
    if isinstance(value, list | tuple):
        return len(value) >= least
    shape = getattr(value, "shape", (len(value),) if hasattr(value, "__len__") and not isinstance(value, str) else ())
    return isinstance(shape, tuple) and len(shape) > 0 and math.prod(shape) >= least


class Constructor:
    """Makes a `Kernel` of one name from parameters, passed by position or by name."""

    def __init__(self, info: KernelInfo) -> None:
        self.__name__ = self.__qualname__ = info.name
        self.__module__ = "fanfold"
        self.__doc__ = _docstring(info)
        self._parameters = info.parameters

    def __call__(self, *args: Any, **parameters: Any) -> _core.Kernel:
        call = f"ff.run(x, ff.{self.__name__}({'...' if len(args) > 1 or parameters else ''}))"
        if args and _is_data(args[0], MOST_IN_A_PARAMETER + 1):
            raise TypeError(f"'{self.__name__}' makes a kernel and takes no data: pass both to run, as in {call}")
        try:
            return self._made(args, parameters)
        except (TypeError, ValueError) as error:
            if args and _is_data(args[0], 1):
                error.add_note(f"(If this is data, pass it and the kernel to run, as in {call}.)")
            raise

    def _made(self, args: tuple[Any, ...], parameters: dict[str, Any]) -> _core.Kernel:
        names = [parameter.name for parameter in self._parameters]
        if len(args) > len(names):
            takes = f"takes {', '.join(names)}" if names else "takes no parameters"
            raise TypeError(f"'{self.__name__}' {takes}, but {len(args)} positional arguments were given")
        for name, value in zip(names, args, strict=False):
            if name in parameters:
                raise TypeError(f"'{self.__name__}': {name} was given by position and by name")
            parameters[name] = value
        return _core.Kernel(self.__name__, **parameters)

    def __repr__(self) -> str:
        return f"<constructor of fanfold kernel '{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__


def _docstring(info: KernelInfo) -> str:
    lines = [info.doc, "", f"{'Near to' if info.approximate else 'The same as'} ``{info.numpy}``."]
    if info.parameters:
        lines += ["", "Parameters", "----------"]
        for parameter in info.parameters:
            lines += [
                f"{parameter.name} : {parameter.accepts}, default {parameter.default!r}",
                f"    {parameter.doc}",
            ]
    return "\n".join(lines)


def restore(name: str, parameters: dict[str, Any]) -> _core.Kernel:
    """Rebuild a pickled kernel."""
    return _core.Kernel(name, **parameters)


_CONSTRUCTORS = {info.name: Constructor(info) for info in kernels()}
globals().update(_CONSTRUCTORS)

__all__ = list(_CONSTRUCTORS)
