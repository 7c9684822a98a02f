"""The features of tsfresh that are computed by pandas, whose methods take the elements from the array.

A rule for `pandas.Series` itself was rejected: functions use the class for more than a call, as in
``isinstance(v, pd.Series)``, so that a stand-in for it would be seen.
"""

from typing import Any

from fanfold.tracing.recognised.register import Facts, Sample, of_sample

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
