"""What NumPy computes once for all functions of a run: sorted arrays, Fourier transforms, distinct values.

These functions take many times as long as a pass, no kernel is faster, and their results depend on their arguments
alone. Whoever asks for what another function has asked for gets the same arrays. It gets a copy before it writes to
them, or if another result is the array itself.
"""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from fanfold.tracing.arrays import Deferred, DeferredArray, Traced, made_array, takes
from fanfold.tracing.fallback import read
from fanfold.tracing.nodes import Array
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import SCALARS, Log, by_warnings, elements_of, float_state

FUNCTIONS: frozenset[Any] = frozenset((
    *(np.sort, np.argsort, np.partition, np.unique, np.convolve, np.correlate),
    *(np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft),
))  # fmt: skip
"""NumPy's functions whose results depend on their arguments alone, and which take longer than a pass."""

OF_SCIPY = frozenset((
    *("scipy.signal.welch", "scipy.signal.periodogram", "scipy.signal.spectrogram", "scipy.signal.hilbert"),
    *("scipy.fft.fft", "scipy.fft.ifft", "scipy.fft.rfft", "scipy.fft.irfft", "scipy.fft.dct", "scipy.fft.dst"),
))  # fmt: skip
"""The names of those of SciPy's."""

LARGEST_KEY = 4096
"""The largest array beside the elements, such as a filter, by whose bytes a call is known again."""

MOST_POSITIONAL = 3
"""Arguments after these can say where to write, or how long SciPy's segments are."""

WRITING = frozenset(("out", "overwrite_x"))
"""Parameters that say where to write."""


class Shared:
    """The results of one call of NumPy's, and who has them. While functions run, nobody writes to them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.result: Any = None
        # Whether each function has to compute them, because NumPy warns, or because there is no memory to keep them.
        self.is_lost = False
        self._holders: list[weakref.ref[DeferredArray]] = []

    def handed_to(self, trace: Trace) -> Any:
        """The results for one more caller."""
        if isinstance(self.result, tuple):
            return tuple(self._handed(trace, each) for each in self.result)
        return self._handed(trace, self.result)

    def _handed(self, trace: Trace, part: Array) -> Any:
        if not (takes(part.dtype) and trace.follows(part)):
            return part.copy("K")
        made = made_array(trace, part)
        made._shared = self
        self._holders.append(weakref.ref(made))
        return made

    def leaves_to(self, holder: DeferredArray) -> bool:
        """Whether a function's result may be the array itself: after all functions, if no other result is."""
        others = (reference() for reference in self._holders)
        return all(each is None or each is holder or each._real is not None for each in others)


def shared(trace: Trace | None, function: Any, name: str | None, args: Any, kwargs: Any) -> Any:
    """What such a function gives, computed once in a run for these arguments; None if it cannot be shared.

    The name is a reason for the report; None if a rule asks.
    """
    state = float_state()
    if trace is None or not (trace.active and trace.lends) or trace.of_rows or not by_warnings(state):
        return None
    formulas = trace.formulas
    if len(args) > MOST_POSITIONAL or not WRITING.isdisjoint(kwargs) or formulas.process != os.getpid():
        return None
    try:
        # What is ignored for one function can be a warning for another.
        key = (function, tuple(state.items()), _key(trace, args), _key(trace, tuple(sorted(kwargs.items()))))
    except TypeError:
        return None
    if kwargs.get("nperseg") is not None and not _is_short(trace, args, kwargs["nperseg"]):
        return None
    found: Shared = formulas.shared.setdefault(key, Shared())
    if found.is_lost:
        return None
    given, named = read(trace, args, name), read(trace, kwargs, name)
    with found.lock:
        if found.is_lost:
            return None
        if found.result is None:
            told = Log()
            log: dict[str, Any] = {kind: "log" if word == "warn" else word for kind, word in state.items()}
            with np.errstate(call=told, **log):
                fresh = computed(function, given, named)
            parts = fresh if isinstance(fresh, tuple) else (fresh,)
            if told or not all(type(each) is np.ndarray for each in parts):
                # Whoever calls it is warned by a call of its own.
                found.is_lost = True
                return None
            if name is not None:
                trace.because(name)
            if not formulas.keeps(sum(each.nbytes for each in parts)):
                found.is_lost = True
                return fresh
            found.result = fresh
        elif name is not None:
            trace.because(name)
        trace.used |= name is None
        return found.handed_to(trace)


def _is_short(trace: Trace, args: Any, length: Any) -> bool:
    """Whether segments fit into the elements, so that SciPy does not warn."""
    node = elements_of(trace, args[0]) if args else None
    return type(length) is int and node is not None and type(node.shape) is tuple and length <= min(node.shape)


def computed(function: Callable[..., Any], given: Any, named: Any) -> Any:
    """NumPy's own result."""
    return function(*given, **named)


def _key(trace: Trace, value: Any) -> Any:
    """What a value is known by. Raises `TypeError` if it is not certain."""
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is tuple or kind is list:
        return kind, tuple(_key(trace, each) for each in value)
    if kind is np.ndarray and value.nbytes <= LARGEST_KEY and not value.dtype.hasobject:
        return value.dtype.str, value.shape, value.tobytes()
    if kind in SCALARS:
        return kind, value.tobytes()
    node = elements_of(trace, value) if kind is Traced or issubclass(kind, Deferred) else None
    if node is None:
        raise TypeError
    return node


_PLAIN = (type(None), bool, int, float, str)
