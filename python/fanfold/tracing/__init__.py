"""Traces users' functions to fuse them: a function is called with a traced array, which records its operations.

`calls` calls the functions; `rebinding` lets them meet the functions that are `recognised`. `arrays` and `numbers` are
what functions get and make, and `handlers` says what happens to them: `ufuncs` and `rules` extend formulas, and
`fallback` calls NumPy. `formulas` collects the requested values (`nodes`) and computes them in sweeps, `along` those
along axes, and `powers` speeds up what is summed. `results` converts the return values to plain ones, `of_rows`
runs functions of one sequence for all rows and groups, and `explain` tells what was fused.
"""

# They enter their handlers when they are imported.
from fanfold.tracing import fallback, numbers, rules, ufuncs

__all__ = ["fallback", "numbers", "rules", "ufuncs"]
