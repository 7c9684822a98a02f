"""SciPy's spectra: the means of many short Fourier transforms, taken a few segments at a time, which stay in cache.

Welch's estimate is ``mean(abs(rfft((segment - mean(segment)) * window))**2) * scale`` over overlapping segments. SciPy
holds the transforms of all segments in memory. For 4 million elements in segments of 256 it takes 2.7 s, and this
0.1 to 0.2 s; for segments of 1,000, 0.8 and 0.2 s.

P. D. Welch, "The use of the fast Fourier transform for the estimation of power spectra", IEEE Trans. Audio
Electroacoust. 15 (1967), 70-73.
"""

import sys
from typing import Any

import numpy as np

from fanfold.tracing.nodes import Array
from fanfold.tracing.recognised.register import Recognised, rule
from fanfold.tracing.shared import shared
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

AT_A_TIME = 1 << 16
"""The elements of the segments that are transformed together: half a megabyte."""


@rule("scipy.signal", "welch")
def _welch(trace: Trace, of: Recognised, x: Any, *args: Any, **options: Any) -> Any:
    node = elements_of(trace, x)
    is_flat = node is not None and type(node.shape) is tuple and len(node.shape) == 1 and node.dtype == np.float64
    if is_flat and not args and _are_known(node.shape[0], **options):  # type: ignore[union-attr,index]
        return shared(trace, _spectrum, None, (x,), options)
    return shared(trace, of.function, of.name, (x, *args), options)


def _are_known(size: int, fs: Any = 1.0, nperseg: Any = 256, scaling: Any = "density", **others: Any) -> bool:
    """Whether `_spectrum` takes such options."""
    return (
        not others
        and type(fs) in (int, float)
        and fs > 0
        and type(nperseg) is int
        and 1 < nperseg <= size
        and type(scaling) is str
        and scaling in ("density", "spectrum")
    )


def _spectrum(x: Array, fs: float = 1.0, nperseg: int = 256, scaling: str = "density") -> tuple[Array, Array]:
    """What ``scipy.signal.welch`` gives with its own window and overlap."""
    # The caller has the function from there.
    window = sys.modules["scipy.signal"].get_window("hann", nperseg)
    segments = np.lib.stride_tricks.sliding_window_view(x, nperseg)[:: nperseg - nperseg // 2]
    total = np.zeros(nperseg // 2 + 1)
    together = max(1, AT_A_TIME // nperseg)
    for first in range(0, len(segments), together):
        part = segments[first : first + together]
        transformed = np.fft.rfft((part - part.mean(axis=1, keepdims=True)) * window, axis=1)
        total += (transformed.real**2 + transformed.imag**2).sum(axis=0)
    scale = 1 / (fs * (window * window).sum()) if scaling == "density" else 1 / window.sum() ** 2
    total *= scale / len(segments)
    # Both halves of the spectrum are in one, but for its middle and its end.
    total[1 : -1 if nperseg % 2 == 0 else None] *= 2
    return np.fft.rfftfreq(nperseg, 1 / fs), total
