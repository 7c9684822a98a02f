"""The rules for NumPy's functions on traced arrays: which functions extend a formula, and how.

If it is not certain that a formula gives the same result, NumPy computes it on the elements. A rule then returns
`None`. `registry` finds the rule of a call; each other module holds the rules of one family, and is listed here.
"""

from fanfold.tracing.rules import (
    closeness,
    counting,
    covariance,
    differences,
    elementwise,
    joining,
    looking,
    products,
    quantiles,
    searching,
    selections,
    sequences,
    sorting,
    statistics,
    transforms,
)

__all__ = [
    "closeness",
    "counting",
    "covariance",
    "differences",
    "elementwise",
    "joining",
    "looking",
    "products",
    "quantiles",
    "searching",
    "selections",
    "sequences",
    "sorting",
    "statistics",
    "transforms",
]
