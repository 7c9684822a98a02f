"""The features of tsfresh that are computed by pandas, whose methods take the elements from the array.

A rule for `pandas.Series` itself was rejected: functions use the class for more than a call, as in
``isinstance(v, pd.Series)``, so that a stand-in for it would be seen.
"""

from typing import Any

import numpy as np

from fanfold.tracing.fallback import read
from fanfold.tracing.recognised.register import Facts, Recognised, Sample, of_sample, rule
from fanfold.tracing.shared import shared
from fanfold.tracing.trace import Trace
from fanfold.tracing.ufuncs import elements_of

_FEATURES = "tsfresh.feature_extraction.feature_calculators"


@of_sample(_FEATURES, "skewness")
def _skewness(s: Sample) -> Any:
    return s.number(_value, s.kernel("skew", bias=False), order=3) if s.is_flat else None


@of_sample(_FEATURES, "kurtosis")
def _kurtosis(s: Sample) -> Any:
    # pandas leaves out NaN.
    return s.number(_value, s.kernel("kurtosis", bias=False), order=4, strict=True) if s.is_flat else None


def _value(it: Facts, value: Any) -> Any:
    del it
    return value


@rule(_FEATURES, "percentage_of_reoccurring_datapoints_to_all_datapoints")
def _reoccurring(trace: Trace, of: Recognised, x: Any) -> Any:
    """The share of elements that occur more than once.

    pandas counts them by a hash table. Of 4 million different ones it takes 4 s, and this 0.2 s.
    """
    del of
    node = elements_of(trace, x)
    if node is None or node.dtype.kind != "f" or type(node.shape) is not tuple or len(node.shape) != 1:
        return None
    found = shared(trace, np.unique, None, (x,), {"return_counts": True})
    if found is None:
        return None
    values, counts = read(trace, found, None)
    # pandas leaves out NaN.
    repeated = counts[(counts > 1) & (values == values)].sum()
    return repeated / node.shape[0]
