"""fanfold."""

import fanfold as ff
from old_answers.functions import FUNCTIONS


def answer(x):
    return ff.run(x, FUNCTIONS, workers=5)
