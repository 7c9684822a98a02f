"""Runs functions in worker processes, for functions that hold the GIL.

`calls` has what a run uses: the functions, and the memory that they share. `pool` keeps the processes, `worker` is what
runs inside them, `memory` places arrays in memory that processes share, and `packing` turns values into messages.
"""
