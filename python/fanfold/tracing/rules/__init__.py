"""The rules for NumPy's functions on traced arrays: which functions extend a formula, and how.

If it is not certain that a formula gives the same result, NumPy computes it on the elements. A rule then returns
`None`. `registry` finds the rule of a call; each other module holds the rules of one family, and is listed here.
"""

from fanfold.tracing.rules import elementwise, products, quantiles, selections, sequences, statistics

__all__ = ["elementwise", "products", "quantiles", "selections", "sequences", "statistics"]
