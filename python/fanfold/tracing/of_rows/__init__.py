"""Functions of one sequence: traced for one row, and run for all.

A function without a parameter `axis` means what `np.apply_along_axis` makes of it. It is called with a stand-in for a
row, which has a dtype and a length; its elements are not shown. If it returns without asking for a value, its formulas
hold for every row: they are computed for all rows in shared sweeps (`_core.FormulasOfRows`). If it asks for one, the
trace ends there, and the function is called for each row.

The function is called twice, to see whether its formulas depend on the row alone. Equal formulas are the same nodes, so
a function that depends on more (on random numbers, on the number of its calls) gives others, and is called for each
row. Where rows have several lengths, as groups do, it is called twice for the first length, and once for each other.

Numbers that Python computes from numbers are computed for all rows between two sweeps. A row for which something is
uncertain (a kernel that fails, NaN where NumPy would warn) gets a call of its own.

With `by=`, the groups of one length are such rows.

`functions` has what a run uses, and `groups` what it uses with `by=`; `trace` gives what a function returns for a row,
`sweeps` computes it for all rows, and `calls` calls functions for single rows.
"""
