"""What NumPy computes once for all functions of a run: sorted arrays, Fourier transforms, distinct values.

These functions take many times as long as a pass, no kernel is faster, and their results depend on their arguments
alone. Whoever asks for what another function has asked for gets the same arrays, and a copy of them before it writes to
them while others hold them.
"""

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fanfold.tracing.arrays import Deferred, DeferredArray, Traced, followed, made_array, takes
from fanfold.tracing.fallback import read
from fanfold.tracing.nodes import Array
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import SCALARS, elements_of

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

MOST_KEPT = 4
"""Results are kept while the functions run, up to this many times the bytes of the run's array."""


class Shared:
    """The results of one call of NumPy's, and who has them."""

    def __init__(self, forget: Callable[[], Any]) -> None:
        self.lock = threading.Lock()
        self.result: Any = None
        self.is_known = False
        self._forget = forget
        self._holders: list[weakref.ref[DeferredArray]] = []

    def handed_to(self, trace: Trace) -> Any:
        """The results for one more caller."""
        if isinstance(self.result, tuple):
            return tuple(self._handed(trace, each) for each in self.result)
        return self._handed(trace, self.result)

    def _handed(self, trace: Trace, part: Array) -> Any:
        if not (trace.follows(part) and takes(part.dtype)):
            return part.copy("K")
        made = made_array(trace, part)
        made._shared = self
        self._holders.append(weakref.ref(made))
        return made

    def leaves_to(self, holder: DeferredArray) -> bool:
        """Whether a holder may have its array for itself. Then the results are not handed out any more."""
        with self.lock:
            others = (reference() for reference in self._holders)
            if any(each is not None and each is not holder and each._real is None for each in others):
                return False
            self._forget()
            return True


def shared(trace: Trace | None, function: Any, name: str | None, args: Any, kwargs: Any) -> Any:
    """What such a function gives, computed once in a run for these arguments; None if it cannot be shared.

    The name is a reason for the report; None if a rule asks.
    """
    if trace is None or not (trace.active and trace.lends) or trace.of_rows:
        return None
    try:
        key = (function, _key(trace, args), _key(trace, tuple(sorted(kwargs.items()))))
    except TypeError:
        return None
    known: dict[Any, Shared] = trace.formulas.shared
    found = known.setdefault(key, Shared(partial(known.pop, key, None)))
    if name is not None:
        trace.because(name)
    given, named = read(trace, args, name), read(trace, kwargs, name)
    with found.lock:
        if not found.is_known:
            fresh = [computed(function, given, named)]
            if not _fits(trace, fresh[0] if isinstance(fresh[0], tuple) else tuple(fresh)):
                known.pop(key, None)
                return followed(trace, fresh.pop())
            found.result, found.is_known = fresh.pop(), True
        return found.handed_to(trace)


def computed(function: Callable[..., Any], given: Any, named: Any) -> Any:
    """NumPy's own result."""
    return function(*given, **named)


def _fits(trace: Trace, parts: tuple[Any, ...]) -> bool:
    """Whether the results of a call are arrays that can be kept beside those that are."""
    if not all(type(each) is np.ndarray for each in parts):
        return False
    formulas = trace.formulas
    formulas.shared_bytes += sum(each.nbytes for each in parts)
    return bool(formulas.shared_bytes <= MOST_KEPT * formulas.array.nbytes)


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
