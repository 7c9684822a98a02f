"""`multiprocessing.Array`, with its lock, in a pool of processes: only one of them reads at a time."""

import multiprocessing

import numpy as np

from old_answers.functions import FUNCTIONS


def begin(array):
    global shared
    shared = array


def call(function):
    with shared.get_lock():
        return function.__name__, function(np.frombuffer(shared.get_obj()))


def answer(x):
    array = multiprocessing.Array("d", x.size)
    np.frombuffer(array.get_obj())[:] = x
    with multiprocessing.Pool(5, begin, (array,)) as pool:
        return dict(pool.map(call, FUNCTIONS, chunksize=1))
