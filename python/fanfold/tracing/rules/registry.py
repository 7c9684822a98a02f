"""The register of rules: which of NumPy's functions and methods extend a formula, and what happens with all others."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fanfold.tracing.fallback import plainly
from fanfold.tracing.handlers import handle
from fanfold.tracing.shared import FUNCTIONS as SHARED
from fanfold.tracing.shared import shared
from fanfold.tracing.trace import Trace

Rule = Callable[..., Any]

FUNCTIONS: dict[Any, Rule] = {}
"""The rules of NumPy's functions, and of ufuncs' methods as `(ufunc, name)`. A rule gets the trace and the arguments;
it returns None for arguments that it does not support."""

OF_ROWS: dict[Any, Rule] = {}
"""The rules of NumPy's functions in functions of a row, which come first."""

METHODS: dict[str, Rule] = {}
"""The methods that correspond to these functions."""


def function(trace: Trace | None, func: Any, args: Any, kwargs: Any) -> Any:
    """Handles a function's call, as ``__array_function__`` gets it."""
    done = ruled(trace, func, args, kwargs)
    if done is not None:
        return done
    module = str(getattr(func, "__module__", "numpy")).replace("numpy", "np", 1)
    name = f"{module}.{getattr(func, '__name__', func)}"
    done = shared(trace, func, name, args, kwargs) if func in SHARED else None
    if done is not None:
        return done
    return plainly(trace, func, name, args, kwargs, func in _READERS and "overwrite_input" not in kwargs)


def ruled(trace: Trace | None, func: Any, args: Any, kwargs: Any) -> Any:
    """The result of the function's rule; None if there is no rule, or if the rule does not support the arguments."""
    if trace is None or not trace.active:
        return None
    for rules in (OF_ROWS, FUNCTIONS) if trace.of_rows else (FUNCTIONS,):
        known = rules.get(func)
        try:
            done = None if known is None else known(trace, *args, **kwargs)
        except TypeError:  # arguments that the rule does not know
            continue
        if done is not None:
            return done
    return None


_READERS = frozenset({
    np.sum, np.prod, np.mean, np.std, np.var, np.min, np.max, np.ptp, np.any, np.all, np.argmin, np.argmax,
    np.average, np.median, np.percentile, np.quantile, np.nansum, np.nanprod, np.nanmean, np.nanstd, np.nanvar,
    np.nanmin, np.nanmax, np.nanargmin, np.nanargmax, np.nanmedian, np.nanpercentile, np.nanquantile, np.histogram,
    np.cumsum, np.cumprod, np.sort, np.argsort, np.unique, np.count_nonzero, np.bincount, np.searchsorted, np.diff,
    np.dot, np.vdot, np.inner, np.interp, np.corrcoef, np.cov, np.allclose, np.array_equal, np.isclose,
    np.concatenate, np.where, np.clip, np.argwhere, np.nonzero, np.flatnonzero, np.linalg.norm,
})  # fmt: skip
"""Functions that neither write to an array nor return a view of it."""


def rule(*functions: Any, method: str | None = None) -> Callable[[Rule], Rule]:
    def register(made: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(functions, made))
        if method is not None:
            METHODS[method] = functools.partial(called, functions[0], method)
        return made

    return register


def called(func: Any, method: str, self: Any, *args: Any, **kwargs: Any) -> Any:
    """Handles a method's call by the function's rule.

    Without a rule the method itself is called, because the function takes other arguments.
    """
    # The methods do not take `correction`, the array API's name for `ddof`.
    done = None if "correction" in kwargs else ruled(self._trace, func, (self, *args), kwargs)
    if done is not None:
        return done

    def plain(array: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(array, method)(*args, **kwargs)

    return plainly(self._trace, plain, f"np.{func.__name__}", (self, *args), kwargs, func in _READERS)


handle.function, handle.ruled, handle.methods = function, ruled, METHODS
