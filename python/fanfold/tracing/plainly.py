"""How NumPy itself is called where a formula ends: with real arrays in place of traced and deferred ones."""

from collections.abc import Callable
from typing import Any

from fanfold.tracing.arrays import Deferred, DeferredNumber, Traced
from fanfold.tracing.trace import Trace


def lend(trace: Trace | None, value: Any, reason: str = "a NumPy function", only_reads: bool = True) -> Any:
    """The same with real arrays in place of traced ones; for good, unless it is for somebody who only reads them."""
    kind = type(value)
    if kind is Traced:
        return value._plain()
    if kind is Deferred or kind is DeferredNumber:
        return value._lend(reason) if only_reads else value._realise(reason)
    if kind is tuple or kind is list:
        return kind(lend(trace, each, reason, only_reads) for each in value)
    if kind is dict:
        return {key: lend(trace, each, reason, only_reads) for key, each in value.items()}
    return value


def plainly(trace: Trace | None, call: Callable[..., Any], name: str, args: Any, kwargs: Any, only_reads: bool) -> Any:
    """NumPy's own answer."""
    if trace is not None:
        trace.because(name)
    targets: dict[int, Deferred] = {}
    out = kwargs.get("out")
    if out is not None:
        outs = out if isinstance(out, tuple) else (out,)
        real = []
        for each in outs:
            if type(each) is Deferred:
                array = each._realise(f"{name} with out=")
                targets[id(array)] = each
                real.append(array)
            else:
                real.append(lend(trace, each, name))
        kwargs = {**kwargs, "out": tuple(real) if isinstance(out, tuple) else real[0]}
    given = lend(trace, args, name, only_reads)
    named = {key: each if key == "out" else lend(trace, each, name, only_reads) for key, each in kwargs.items()}
    result = call(*given, **named)
    return targets.get(id(result), result)
