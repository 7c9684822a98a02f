"""One constructor for each kernel of the catalogue: ``ff.std(ddof=1)``.

Names, parameters and documentation come from the compiled catalogue; nothing here is written by hand per kernel. The
types of the constructors are in ``kernels.pyi``, which ``make generate`` writes and ``make lint`` checks.
"""

import inspect
import math
import reprlib
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from fanfold import _core
from fanfold.catalogue import KernelInfo, kernels
from fanfold.tracebacks import raise_on_purpose, shown_at_the_call

MOST_IN_A_PARAMETER = 10_000
"""The most numbers (quantiles, edges of bins) that a positional parameter may hold before it is taken for data."""


def _is_data(value: Any, least: int) -> bool:
    """Whether it looks like an array, a column, a table or a list with at least `least` elements."""
    if isinstance(value, list | tuple):
        return len(value) >= least
    shape = getattr(value, "shape", (len(value),) if hasattr(value, "__len__") and not isinstance(value, str) else ())
    return isinstance(shape, tuple) and len(shape) > 0 and math.prod(shape) >= least


def _constructor(info: KernelInfo) -> Callable[..., _core.Kernel]:
    """Return the function that makes a `Kernel` of one name from parameters, passed by position or by name."""
    names = [parameter.name for parameter in info.parameters]

    @shown_at_the_call
    def constructor(*args: Any, **parameters: Any) -> _core.Kernel:
        try:
            if args and _is_data(args[0], MOST_IN_A_PARAMETER + 1):
                meant = _meant(info.name, args, parameters)
                raise TypeError(f"'{info.name}' makes a kernel and takes no data: did you mean {meant}?")
            return _core.Kernel(info.name, **_named(info.name, names, args, parameters))
        except (TypeError, ValueError) as error:
            if args and _is_data(args[0], 1) and not str(error).endswith("?"):
                error.add_note(f"(If this is data, did you mean {_meant(info.name, args, parameters)}?)")
            raise_on_purpose(error)

    constructor.__name__ = constructor.__qualname__ = info.name
    constructor.__module__ = "fanfold"
    constructor.__doc__ = _docstring(info)
    # What help, ``ff.quantile?`` and the completion of parameters show.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    shown = [inspect.Parameter(own.name, kind, default=own.default) for own in info.parameters]
    signature = inspect.Signature(shown, return_annotation=_core.Kernel)
    constructor.__signature__ = signature  # type: ignore[attr-defined]
    return constructor


def _meant(kernel: str, args: tuple[Any, ...], parameters: dict[str, Any]) -> str:
    """Return the call that was meant if the first argument is data."""
    others = [*map(reprlib.repr, args[1:]), *(f"{name}={reprlib.repr(own)}" for name, own in parameters.items())]
    return f"ff.run(x, ff.{kernel}({', '.join(others)}))"


def _named(kernel: str, names: Sequence[str], args: tuple[Any, ...], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return all parameters by name."""
    if len(args) > len(names):
        takes = f"takes {', '.join(names)}" if names else "takes no parameters"
        raise TypeError(f"'{kernel}' {takes}, but {len(args)} positional arguments were given")
    for name in names[: len(args)]:
        if name in parameters:
            raise TypeError(f"'{kernel}': {name} was given by position and by name")
    return {**dict(zip(names, args, strict=False)), **parameters}


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


_CONSTRUCTORS = {info.name: _constructor(info) for info in kernels()}
globals().update(_CONSTRUCTORS)

__all__ = list(_CONSTRUCTORS)


def is_constructor(function: object) -> bool:
    """Whether it is one of the constructors, like ``ff.std``."""
    return isinstance(function, FunctionType) and _CONSTRUCTORS.get(function.__name__) is function
