"""What a plan does, as data: the steps of its passes, and remarks on functions. It is told as text and as a table."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias


class Step(NamedTuple):
    """What a pass computes."""

    what: str
    keys: Sequence[str]
    """The functions that it is computed for."""


class Pass(NamedTuple):
    """A sweep over memory."""

    name: str
    steps: Sequence[Step]


class Remark(NamedTuple):
    """What is said of functions beside the passes: for example, that one is plain, and why."""

    how: str
    keys: Sequence[str]
    """The functions."""
    why: str


Explanation: TypeAlias = Sequence[Pass | Remark]


def as_lines(explanation: Explanation) -> list[str]:
    """Return an explanation as the lines of `Plan.explain`."""
    found: list[str] = []
    for part in explanation:
        if isinstance(part, Pass):
            found += [part.name, *(f"  {step.what} -> {', '.join(step.keys)}" for step in part.steps)]
        else:
            found.append(f"{part.how}: {', '.join(part.keys)}" + (f" ({part.why})" if part.why else ""))
    return found
