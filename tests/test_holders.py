"""`report.why` names functions that held the GIL for most of their time, and no others."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fanfold.holders import CAN_TELL, HELD, HELD_BEFORE, HELD_HERE

pytestmark = [pytest.mark.serial, pytest.mark.skipif(not CAN_TELL, reason="only Linux tells")]

X = np.random.default_rng(5).standard_normal(1_500_000)
TRIES = 10
"""On a busy machine nobody can tell which thread held the GIL; then nothing is said."""


def loop(v: npt.NDArray[Any]) -> float:
    total = 0.0
    for _ in range(6):
        for value in v.tolist():
            total += value * value
    return total


def in_c(v: npt.NDArray[Any]) -> float:
    return sum(sorted(v.tolist()))


def sort(v: npt.NDArray[Any]) -> Any:
    return np.sort(np.concatenate([v, v]))[0]


def sleep(v: npt.NDArray[Any]) -> None:
    del v
    time.sleep(0.3)


def wait(v: npt.NDArray[Any]) -> None:
    del v
    threading.Event().wait(0.3)


def why(functions: dict[Any, Callable[..., Any]], array: npt.NDArray[Any] = X) -> dict[Any, str]:
    """What the report says of functions on two threads."""
    return ff.run(array, functions, workers=2).report.why


def named_in_time(functions: dict[Any, Callable[..., Any]], array: npt.NDArray[Any] = X) -> set[Any]:
    """The functions that are named at least once."""
    named: set[Any] = set()
    for _ in range(TRIES):
        named |= {key for key, text in why(functions, array).items() if HELD in text.split("; ")}
        if named == functions.keys():
            break
    return named


def skip_if_busy() -> None:
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("the machine is busy")


@pytest.mark.parametrize("array", [X, X.astype(">f8")], ids=["traced", "plain"])
def test_functions_that_hold_it_are_named(array: npt.NDArray[Any]) -> None:
    functions = {"loop": loop, "in C": in_c, "loop again": loop}
    named = named_in_time(functions, array)
    if named != functions.keys():
        skip_if_busy()
    assert named == functions.keys()


def test_functions_that_release_it_are_not_named() -> None:
    functions = {"sort": sort, "sort again": sort, "sleep": sleep, "wait": wait, "fused": lambda v: v.std()}
    for array in (X, X.astype(np.float16).astype(">f8")):
        for _ in range(3):
            assert HELD not in str(why(functions, array))


def test_functions_beside_one_that_holds_it_are_not_named() -> None:
    functions = {"loop": loop, "sort": sort, "sleep": sleep, "loop again": loop, "sort again": sort}
    for _ in range(3):
        told = why(functions)
        assert not [key for key in ("sort", "sort again", "sleep") if HELD in told.get(key, "")]


def test_a_function_that_asks_for_no_elements_runs_in_a_process_later() -> None:
    def burns(v: npt.NDArray[Any]) -> int:
        total = 0
        for number in range(9_000_000):
            total += number % 7
        return os.getpid()

    def run() -> Any:
        return ff.run(X, {"a": burns, "b": burns}, workers=2, processes=True)

    found = run()
    assert found["a"] == found["b"] == os.getpid()
    assert found.report.how == {"a": "plain", "b": "plain"}
    for _ in range(TRIES):
        if found.report.how["a"] == "process":
            break
        found, before = run(), found
    else:
        skip_if_busy()
    assert HELD_HERE in before.report.why.values()
    assert found.report.how == {"a": "process", "b": "process"}
    assert found.report.why == {"a": HELD_BEFORE, "b": HELD_BEFORE}
    assert os.getpid() not in (found["a"], found["b"])
