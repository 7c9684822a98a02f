"""A loop: one function after the other."""

from old_answers.functions import FUNCTIONS


def answer(x):
    return {function.__name__: function(x) for function in FUNCTIONS}
