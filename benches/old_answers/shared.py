"""Shared memory without a lock, in a pool of processes."""

from multiprocessing import Pool
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from old_answers.functions import FUNCTIONS


def begin(name, shape, dtype):
    global memory, array
    memory = SharedMemory(name)
    array = np.ndarray(shape, dtype, memory.buf)


def call(function):
    return function.__name__, function(array)


def answer(x):
    shared = SharedMemory(create=True, size=x.nbytes)
    try:
        np.ndarray(x.shape, x.dtype, shared.buf)[:] = x
        with Pool(5, begin, (shared.name, x.shape, x.dtype)) as pool:
            return dict(pool.map(call, FUNCTIONS, chunksize=1))
    finally:
        shared.close()
        shared.unlink()
