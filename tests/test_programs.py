"""Random programs give what their plain calls give. `make fuzz` runs a hundred thousand of them."""

import numpy as np
import pytest

import programs
from fanfold.tracing import calls

BATCHES = 40
"""The batches of a test; five programs each."""


@pytest.fixture(autouse=True)
def short_arrays_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", programs.SHORTEST)


@pytest.mark.parametrize("first", range(0, 20 * BATCHES, BATCHES))
def test_programs_give_what_their_plain_calls_give(first: int) -> None:
    found = [told for start in range(first, first + BATCHES) for told in programs.batch(start)]
    assert not found, "\n\n".join(found)


def test_a_difference_is_found_and_shown_without_what_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    run_of = programs.run_of

    def off(chosen, x, workers):
        """As if what is called b were computed with other bits than NumPy's."""
        found, values = run_of(chosen, x, workers)
        for program, value in zip(chosen, values, strict=True):
            if isinstance(value, list) and "b" in program.returned:
                place = program.returned.index("b")
                value[place] = np.nextafter(value[place], 100)
        return found, values

    monkeypatch.setattr(programs, "run_of", off)
    block = programs.Block("if v.mean() < 100:", ("b = np.hypot(v, 3)",), bound=("b",))
    body = ("a = np.abs(v)", block, "c = v.mean()")
    program = programs.Program(
        body, ("b", "a", "c"), {"a": programs.BITS, "b": programs.BITS, "c": programs.CLOSE}, True
    )
    x = programs.ARRAYS["mixed"]
    assert programs.difference(program, x) is not None
    small = programs.shrunk(program, lambda each: programs.difference(each, x) is not None)
    assert small.source.splitlines() == ["def f(v):", "    b = np.hypot(v, 3)", "    return [b]"]


def test_what_hangs_on_a_rounding_is_told_from_what_differs() -> None:
    x = np.full(63, 0.1)
    for text, hangs in (("v > v.mean()", True), ("v.mean()", False), ("v > 0.05", False), ("np.sort(v)", False)):
        program = programs.Program((f"a = {text}",), ("a",), {"a": programs.CLOSE}, complete=True)
        assert programs.hangs_on_rounding(program, x, programs.plain(program, x)) is hangs, text
