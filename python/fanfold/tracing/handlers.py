"""What traced arrays do when NumPy or an operator meets them.

The arrays call the handlers. The modules that define them (`fallback`, `ufuncs`, `numbers`, `rules`) know the arrays,
and enter their handlers here. So the arrays need not know these modules.
"""

from collections.abc import Callable
from typing import Any

from fanfold.tracing.nodes import Node

Handler = Callable[..., Any]


class Handlers:
    """The functions that handle what happens to a traced array."""

    read: Handler
    """Returns a value with real arrays in place of traced ones (`fallback`)."""
    ufunc: Handler
    """Handles a call of a ufunc (`ufuncs`)."""
    ufunc_node: Callable[[Any, Any, Any], Node | None]
    """Returns the node of a ufunc's values (`ufuncs`)."""
    with_others: Handler
    """Returns the values of a ufunc of traced and of other arrays (`ufuncs`)."""
    fast_power: Handler
    """Returns the ufunc that NumPy uses for some powers (`ufuncs`)."""
    class_of: Handler
    """Returns the class of deferred numbers for a scalar type (`numbers`)."""
    operated: Handler
    """Returns the result of an operator on numbers (`numbers`)."""
    function: Handler
    """Handles a call of one of NumPy's functions (`rules.registry`)."""
    ruled: Handler
    """Returns the result of a function's rule, if it has one that supports the arguments (`rules.registry`)."""
    chosen: Handler
    """Returns the elements that a mask chooses (`rules.selections`)."""
    replaced: Handler
    """Returns the node of the elements after an assignment to those that a mask chooses (`rules.selections`)."""
    item: Handler
    """Returns a single element (`rules.sequences`)."""

    def __init__(self) -> None:
        self.methods: dict[str, Handler] = {}
        """The methods that have rules (`rules`)."""


handle = Handlers()
"""The handlers of all traced arrays."""
