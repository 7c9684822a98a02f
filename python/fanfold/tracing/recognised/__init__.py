"""Functions that do not dispatch on traced values, SciPy's above all: they are *recognised* by identity and answered by
kernels and formulas.

The insides of SciPy's functions are not meant to be traced. `register` finds the rule
of a function and describes the elements that it is called with; `scipy_stats` has one statement for each function, and
`numpy_arrays` has `np.asarray` and its like, which do not dispatch either.
`fanfold.tracing.rebinding` finds the calls inside users' functions. Nothing here imports SciPy.
"""

from fanfold.tracing.recognised import numpy_arrays, scipy_stats
from fanfold.tracing.recognised.register import ADDRESSES, Recognised, recognised

__all__ = ["ADDRESSES", "Recognised", "numpy_arrays", "recognised", "scipy_stats"]
