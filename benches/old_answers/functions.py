"""The ten functions of the job, as somebody would write them with NumPy."""

import numpy as np


def mean_distance(v):
    return np.abs(v - v.mean()).mean()


def spread(v):
    return np.sqrt(((v - v.mean()) ** 2).mean())


def share_above_one(v):
    return (v > 1).mean()


def mean_of_positive(v):
    return v[v > 0].mean()


def mean_log(v):
    return np.log1p(np.abs(v)).mean()


def roughness(v):
    return np.abs(np.diff(v)).mean()


def autocorrelation(v):
    c = v - v.mean()
    return (c[1:] * c[:-1]).mean() / (c * c).mean()


def middle(v):
    return np.median(v)


def tails(v):
    return np.quantile(v, [0.01, 0.99])


def counts(v):
    return np.histogram(v, 50, (-5.0, 5.0))[0]


FUNCTIONS = [
    mean_distance,
    spread,
    share_above_one,
    mean_of_positive,
    mean_log,
    roughness,
    autocorrelation,
    middle,
    tails,
    counts,
]
