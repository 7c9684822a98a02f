"""Timing in pairs, and the record of one figure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Task = Callable[[], Any]
# One value of a pair: what is claimed, from the time of ours and of the peer.
Claim = Callable[[float, float], float]


def times_as_fast(ours: float, peer: float) -> float:
    """How many times as fast as the peer we are."""
    return peer / ours


def times_the_time(ours: float, peer: float) -> float:
    """How many times the peer's time we take."""
    return ours / peer


def percent_of_speed(ours: float, peer: float) -> float:
    """Our speed in percent of the peer's."""
    return 100.0 * peer / ours


def difference(ours: float, peer: float) -> float:
    """How much more ours is than the peer's."""
    return ours - peer


@dataclass(frozen=True)
class Effort:
    """How much is measured: `elements` in an array, seconds and pairs for a figure."""

    elements: int
    stream_elements: int
    seconds: float
    fewest: int
    most: int
    processes: int


FULL = Effort(elements=20_000_000, stream_elements=200_000_000, seconds=8.0, fewest=7, most=61, processes=15)
QUICK = Effort(elements=2_000_000, stream_elements=20_000_000, seconds=0.5, fewest=3, most=9, processes=3)


@dataclass(frozen=True)
class Measured:
    """The medians of ours and the peer's, the claim from them and its spread over the pairs."""

    ours: float
    peer: float | None
    value: float
    lowest: float
    highest: float
    pairs: int
    unit: str = "s"
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One claim: what is measured against what, the goal that must be reached and the aim beyond it."""

    name: str
    what: str
    against: str
    sense: Literal["at least", "at most", "less than"]
    goal: float
    aim: float | None
    unit: str
    measure: Callable[[Any], Measured]
    bound: str = ""
    """What it is bound by where it falls short, and what was tried."""

    def reaches(self, value: float, limit: float) -> bool:
        """Whether `value` is on the right side of `limit`."""
        if self.sense == "at least":
            return value >= limit
        return value <= limit if self.sense == "at most" else value < limit


@dataclass(frozen=True)
class Row:
    """A figure and what came out, or the error that kept it from coming out."""

    figure: Figure
    measured: Measured | None
    error: str = ""

    @property
    def goal_reached(self) -> bool:
        """Whether the goal is reached; a figure that failed has not reached it."""
        return self.measured is not None and self.figure.reaches(self.measured.value, self.figure.goal)

    @property
    def aim_reached(self) -> bool | None:
        """Whether the aim is reached; None if there is none."""
        if self.figure.aim is None:
            return None
        return self.measured is not None and self.figure.reaches(self.measured.value, self.figure.aim)


def clock(task: Task, pause: float = 0.003) -> float:
    """Seconds of one call, after a pause in which the threads of the call before stop spinning."""
    time.sleep(pause)
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def summary(ours: Sequence[float], peer: Sequence[float], claim: Claim, *, unit: str = "s", note: str = "") -> Measured:
    """The claim from the medians and its spread over the pairs."""
    values = [claim(a, b) for a, b in zip(ours, peer, strict=True)]
    a, b = statistics.median(ours), statistics.median(peer)
    return Measured(a, b, claim(a, b), min(values), max(values), len(values), unit, note)


def in_pairs(
    effort: Effort,
    ours: Task,
    peer: Task,
    claim: Claim,
    *,
    timer: Callable[[Task], float] = clock,
    note: str = "",
) -> Measured:
    """Time ours and the peer one next to the other, again and again, each going first every other time."""
    once = timer(ours) + timer(peer)
    pairs = max(effort.fewest, min(effort.most, int(effort.seconds / once)))
    ours_times: list[float] = []
    peer_times: list[float] = []
    for pair in range(pairs):
        if pair % 2:
            peer_times.append(timer(peer))
            ours_times.append(timer(ours))
        else:
            ours_times.append(timer(ours))
            peer_times.append(timer(peer))
    return summary(ours_times, peer_times, claim, note=note)


def fastest(candidates: Mapping[str, Task], rounds: int = 7) -> tuple[Task, str]:
    """The candidate with the lowest median, and a note that gives the medians of all of them."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, task in candidates.items():
            times[name].append(clock(task))
    medians = sorted((statistics.median(taken), name) for name, taken in times.items())
    note = ", ".join(f"{name} {seconds(median)}" for median, name in medians)
    return candidates[medians[0][1]], f"fastest of: {note}" if len(medians) > 1 else ""


def seconds(value: float) -> str:
    """A time to read."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"
