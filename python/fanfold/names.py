"""The keys of results: the names of functions and kernels."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fanfold import _core
from fanfold.catalogue import kernels


def keys(functions: Sequence[Any]) -> list[str]:
    """Return the names of functions. Kernels with one name but different parameters are named by their calls."""
    names = [_key(function) for function in functions]
    if len(set(names)) == len(names):
        return names
    kinds: dict[str, set[_core.Kernel]] = {}
    for key, function in zip(names, functions, strict=True):
        if isinstance(function, _core.Kernel):
            kinds.setdefault(key, set()).add(function)
    equal = {key for key, several in kinds.items() if len(several) > 1}
    pairs = zip(names, functions, strict=True)
    return [call(own) if key in equal and isinstance(own, _core.Kernel) else key for key, own in pairs]


def _key(function: Any) -> str:
    if isinstance(function, _core.Kernel):
        return function.name
    if isinstance(function, partial):
        return _key(function.func)
    try:
        return str(getattr(function, "__name__", type(function).__name__))
    except Exception:  # noqa: BLE001 - a property can fail in any way
        return type(function).__name__


def call(kernel: _core.Kernel) -> str:
    """Return the shortest call that makes a kernel, like ``quantile(0.1)``; only the name if nothing has to be shown.

    >>> import fanfold as ff
    >>> r = ff.run([1, 2, 3], [ff.quantile(0.1), ff.quantile(0.9), "std", ff.std(ddof=1)])
    >>> list(r)
    ['quantile(0.1)', 'quantile(0.9)', 'std', 'std(ddof=1)']
    """
    if not _defaults:
        _defaults.update({info.name: {each.name: each.default for each in info.parameters} for info in kernels()})
    words: list[str] = []
    by_place = True
    for name, value in kernel.parameters.items():
        if value == _defaults[kernel.name][name] and name not in _SHOWN:
            by_place = False
            continue
        by_place &= name in _BY_PLACE
        # A tuple stands for the list or array that was passed.
        shown = repr(list(value) if isinstance(value, tuple) else value)
        words.append(shown if by_place else f"{name}={shown}")
    return f"{kernel.name}({', '.join(words)})" if words else kernel.name


_BY_PLACE = frozenset(("q", "window", "k", "n", "order", "ord", "bins", "proportiontocut", "x", "y"))
"""Parameters that are clear without their name, as in ``quantile(0.1)``."""

_SHOWN = frozenset(("q", "window"))
"""Parameters that are always shown."""

_defaults: dict[str, dict[str, Any]] = {}
"""The default parameters of every kernel, filled on first use."""
