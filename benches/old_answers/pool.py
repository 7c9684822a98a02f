"""A pool of processes: the array is pickled for each function."""

from multiprocessing import Pool

from old_answers.functions import FUNCTIONS


def call(function, x):
    return function.__name__, function(x)


def answer(x):
    with Pool(5) as pool:
        return dict(pool.starmap(call, [(function, x) for function in FUNCTIONS], chunksize=1))
