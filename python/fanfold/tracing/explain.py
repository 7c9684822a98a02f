"""Describes a run with functions: its passes, what each computed for which function, and what was shared."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.explanation import Pass, Remark, Step
from fanfold.show.text import size
from fanfold.tracing.calls import TracedCalls
from fanfold.tracing.nodes import Along, Computed, Joined, Node, Source, Statistic

LONGEST = 100
"""The number of characters of a formula that are shown."""


def explained(traced: TracedCalls, kernels: Sequence[tuple[str, _core.Kernel]]) -> Iterator[Pass | Remark]:
    """The parts of the description. The run's kernels are given with their keys."""
    made = {
        call.key: {node.inputs[0] if node.operation == "values" else node for node in call.trace.nodes}
        for call in traced.calls.values()
    }
    wanted = {key: _all_of(nodes) for key, nodes in made.items()}
    named = _Names(traced.data)
    for number, sweep in enumerate(traced.formulas.sweeps, 1):
        own = [kernels[index] for index in sweep.kernels if index < len(kernels)]
        steps = [Step(f"{kernel.name} of x", [str(key)]) for key, kernel in own]
        asked = []
        for node in sweep.nodes:
            stored = node.inputs[0] if node.operation == "values" else None
            asking = [key for key in wanted if node in wanted[key] or stored in made[key]]
            asked.append((asking, named.asked(node)))
        # In the order of the functions, not in that of the requests.
        places = {key: place for place, key in enumerate(wanted)}
        asked.sort(key=lambda each: [places[key] for key in each[0]])
        steps += [Step(what, list(map(str, asking))) for asking, what in asked]
        for node in _all_of(sweep.nodes):
            asking = [key for key, nodes in wanted.items() if node in nodes]
            if len(asking) > 1 and not node.is_answer and not isinstance(node.operation, Source | Joined):
                steps.append(Step(f"computed once: {named.of(node)}", list(map(str, asking))))
        yield Pass(f"pass {number} over {traced.data.dtype}, {size(sweep.bytes_read)}", steps)
    for call in traced.calls.values():
        yield Remark(call.how, [str(call.key)], "; ".join(call.trace.reasons))


def _all_of(nodes: Iterable[Node]) -> dict[Node, None]:
    """The nodes and all nodes that they are computed from."""
    found: dict[Node, None] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(node.inputs)
    return found


class _Names:
    """Formulas as text."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array
        self._known: dict[Node, str] = {}

    def asked(self, node: Node) -> str:
        """The text for a requested value."""
        (of,) = node.inputs
        if isinstance(node.operation, Statistic):
            return f"{node.operation.kernel.name} of {self.of(of)}"
        if isinstance(node.operation, Along):
            axes = node.operation.axes
            along = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
            return f"{node.operation.kernel.name} of {self.of(of)} along {along}"
        return f"elements of {self.of(of)}"

    def of(self, node: Node) -> str:
        """The text for a formula."""
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self._text(node)
        return found if len(found) <= LONGEST else f"{found[: LONGEST - 3]}..."

    def _text(self, node: Node) -> str:
        operands = [self.of(each) for each in node.inputs]
        match node.operation:
            case Source(array=array):
                return self._part(array)
            case Joined(pieces=pieces):
                return f"joined({', '.join(map(self.of, pieces))})"
            case Computed():
                return "a number"
            case Statistic() | Along():
                return self.asked(node)
            case "number":
                return str(node.value)
            case "values":
                return operands[0]
            case "select":
                return f"{operands[1]}[{operands[0]}]"
            case ("cast", dtype):
                return f"{dtype}({operands[0]})"
            case ("power", exponent):
                return f"power({operands[0]}, {exponent})"
            case _core.UfuncLoop():
                return f"{node.operation.name}({', '.join(operands)})"
            case other:
                return f"{other}({', '.join(operands)})"

    def _part(self, part: npt.NDArray[Any]) -> str:
        """The text for a slice of the array."""
        if not np.may_share_memory(part, self.array):
            return "another array"
        if part.shape == self.array.shape and part.strides == self.array.strides:
            return "x"
        if self.array.ndim != 1 or not self.array.strides[0] or not part.size:
            return "part of x"
        step = part.strides[0] // self.array.strides[0]
        places = (each.__array_interface__["data"][0] for each in (part, self.array))
        start, size = (next(places) - next(places)) // self.array.strides[0], self.array.size
        stop = start + step * (part.size - 1) + (1 if step > 0 else -1)
        if (start, stop, step) == (0, size, 1):
            return "x"
        # Places in the second half count from the end, as people write them.
        first = "" if start == (0 if step > 0 else size - 1) else str(start - size if start > size // 2 else start)
        end = "" if stop in (size, -1) else str(stop - size if stop > size // 2 else stop)
        return f"x[{first}:{end}{'' if step == 1 else f':{step}'}]"
