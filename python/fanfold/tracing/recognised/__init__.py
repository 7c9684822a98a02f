"""Functions that do not dispatch on traced values, SciPy's above all: they are *recognised* by identity and answered by
kernels and formulas.

The insides of SciPy's functions are not meant to be traced. `register` finds the rule of a function and describes the
elements that it is called with; the other modules have one statement for each function of a library. Nothing here
imports these libraries. `fanfold.tracing.rebinding` finds the calls inside users' functions.
"""

from fanfold.tracing.recognised import numpy_arrays, scipy_signal, scipy_stats, tsfresh_features
from fanfold.tracing.recognised.register import ADDRESSES, Recognised, is_of_scipy, recognised

__all__ = [
    "ADDRESSES",
    "Recognised",
    "is_of_scipy",
    "numpy_arrays",
    "recognised",
    "scipy_signal",
    "scipy_stats",
    "tsfresh_features",
]
