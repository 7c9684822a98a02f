"""Traces plain functions to fuse them: a function is called with a traced array, which records its operations.

`calls` calls the functions, `arrays` has the arrays that they get and make, `rules` defines what NumPy's functions do
with them, `formulas` collects the requested values and computes them in sweeps, and `results` converts the return
values to plain ones. `once` traces functions of one sequence, and runs them for all rows of an array.
"""
