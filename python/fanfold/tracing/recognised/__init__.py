"""SciPy's own functions, answered by kernels and formulas: they are *recognised* by identity.

SciPy's functions do not dispatch as NumPy's do, and their insides are not meant to be traced. `register` finds the rule
of a function and describes the elements that it is called with; `scipy_stats` has one statement for each function.
`fanfold.tracing.rebinding` finds the calls inside users' functions. Nothing here imports SciPy.
"""

from fanfold.tracing.recognised import scipy_stats
from fanfold.tracing.recognised.register import ADDRESSES, Recognised, recognised

__all__ = ["ADDRESSES", "Recognised", "recognised", "scipy_stats"]
