"""The catalogue of native kernels, and one constructor for each kernel: ``ff.std(ddof=1)``.

Names, parameters and documentation come from the compiled catalogue; nothing here is written by hand per kernel. The
types of the constructors are in ``kernels.pyi``, which ``make generate`` writes and ``make lint`` checks.
"""

import ast
import math
import reprlib
from typing import Any, NamedTuple

from fanfold import _core


class Parameter(NamedTuple):
    """A parameter of a kernel."""

    name: str
    """NumPy's or SciPy's name."""
    default: Any
    """The value if the parameter is not given."""
    accepts: str
    """What it accepts, in words."""
    doc: str
    """What it means."""


class KernelInfo(NamedTuple):
    """The entry of a kernel in the catalogue."""

    name: str
    """Its name, which is also the key of its result."""
    doc: str
    """What it means, and what it returns for empty arrays and NaN."""
    parameters: tuple[Parameter, ...]
    """The parameters that you can set."""
    numpy: str
    """The Python expression that gives the same result. It uses ``x``, ``np``, ``stats``, ``special`` and the
    parameters; for kernels of two arrays ``x`` and ``y``, for kernels of all arrays ``columns``."""
    dtypes: tuple[str, ...]
    """The element dtypes that it accepts."""
    examples: tuple[dict[str, Any], ...]
    """Example parameters, each as keyword arguments; the first example is the defaults."""
    passes: int
    """The number of passes over memory that it takes alone, with the default parameters."""
    arrays: str
    """How many arrays it takes: ``"one"``, ``"two"`` or ``"all"``."""
    weighted: bool
    """Whether it takes weights."""
    answers: str
    """The shape of its result: ``"number"``, ``"positions"``, ``"quantiles"``, ``"matrix"``, ``"items"`` or
    ``"record"``."""
    approximate: bool
    """Whether its result only approximates that of the NumPy expression."""

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.split("\n", 1)[0]


def kernels() -> list[KernelInfo]:
    """Return the catalogue of native kernels as a list.

    >>> import fanfold as ff
    >>> {k.name: k.numpy for k in ff.kernels()}["std"]
    'np.std(x, ddof=ddof)'
    """
    return [
        KernelInfo(name, doc, tuple(Parameter(*p) for p in parameters), numpy, dtypes, _examples(examples), *others)
        for name, doc, parameters, numpy, dtypes, examples, *others in _core.catalogue()
    ]


def _examples(texts: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return the defaults, and the keyword arguments in each text as a dict."""
    calls = [ast.parse(f"f({text})", mode="eval").body for text in ("", *texts)]
    keywords = [call.keywords for call in calls if isinstance(call, ast.Call)]
    return tuple({str(word.arg): ast.literal_eval(word.value) for word in words} for words in keywords)


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
        try:
            if args and _is_data(args[0], MOST_IN_A_PARAMETER + 1):
                raise TypeError(
                    f"'{self.__name__}' makes a kernel and takes no data: did you mean {self._meant(args, parameters)}?"
                )
            return self._made(args, dict(parameters))
        except (TypeError, ValueError) as error:
            if args and _is_data(args[0], 1) and not str(error).endswith("?"):
                error.add_note(f"(If this is data, did you mean {self._meant(args, parameters)}?)")
            # The user's line is the last one shown.
            error.__traceback__ = None
            raise

    def _meant(self, args: tuple[Any, ...], parameters: dict[str, Any]) -> str:
        """Return the call that was meant if the first argument is data."""
        others = [*map(reprlib.repr, args[1:]), *(f"{name}={reprlib.repr(own)}" for name, own in parameters.items())]
        return f"ff.run(x, ff.{self.__name__}({', '.join(others)}))"

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
