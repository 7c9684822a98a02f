"""joblib: processes, with the array in a file that they map."""

from joblib import Parallel, delayed

from old_answers.functions import FUNCTIONS


def answer(x):
    found = Parallel(n_jobs=5)(delayed(function)(x) for function in FUNCTIONS)
    return {function.__name__: value for function, value in zip(FUNCTIONS, found)}
