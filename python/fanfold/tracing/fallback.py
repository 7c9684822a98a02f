"""Calls NumPy itself where a formula ends, with real arrays in place of traced and deferred ones."""

from collections.abc import Callable
from typing import Any

from fanfold.tracing.arrays import Deferred, DeferredArray, Traced, are_results, followed
from fanfold.tracing.handlers import handle
from fanfold.tracing.trace import Trace


def read(trace: Trace | None, value: Any, reason: str | None = "a NumPy function", only_reads: bool = True) -> Any:
    """The value with real arrays in place of traced ones.

    Unless the caller only reads, the real arrays replace the formulas.
    """
    kind = type(value)
    if kind is Traced:
        return value._plain()
    if issubclass(kind, Deferred):
        return value._lend(reason) if only_reads else value._materialise(reason)
    if kind is tuple or kind is list:
        lent = [read(trace, each, reason, only_reads) for each in value]
        return value if all(new is old for new, old in zip(lent, value, strict=True)) else kind(lent)
    if kind is dict:
        named = {key: read(trace, each, reason, only_reads) for key, each in value.items()}
        return value if all(named[key] is each for key, each in value.items()) else named
    return value


def plainly(trace: Trace | None, call: Callable[..., Any], name: str, args: Any, kwargs: Any, only_reads: bool) -> Any:
    """Calls NumPy's function and returns its result."""
    if trace is not None and not are_results((*args, *kwargs.values())):
        trace.because(name)
    targets: dict[int, DeferredArray] = {}
    out = kwargs.get("out")
    if out is not None:
        outs = out if isinstance(out, tuple) else (out,)
        real = []
        for each in outs:
            if type(each) is DeferredArray:
                array = each._materialise(f"{name} with out=")
                targets[id(array)] = each
                real.append(array)
            else:
                real.append(read(trace, each, name))
        kwargs = {**kwargs, "out": tuple(real) if isinstance(out, tuple) else real[0]}
    given = read(trace, args, name, only_reads)
    named = {key: each if key == "out" else read(trace, each, name, only_reads) for key, each in kwargs.items()}
    if not targets:
        return followed(trace, call(*given, **named))
    result = call(*given, **named)
    return targets.get(id(result), result)


handle.read = read
