"""How a plain function becomes a fused one: it is called with a traced array, which writes down what is asked of it.

The way of the data: `calls` calls functions, `arrays` is what they get and make, `rules` says what NumPy's functions
mean, `formulas` keeps what they have asked for and sweeps for it, `results` makes plain values of what they return.
"""
