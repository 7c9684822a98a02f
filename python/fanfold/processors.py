"""The number of workers of calls that do not say how many, and who decided it.

It is the least of three numbers:

- the processors that this process may use, by its CPU affinity and the quota of its cgroup: the compiled half counts
  them;
- ``os.process_cpu_count()``, from Python 3.13 on;
- ``FANFOLD_NUM_THREADS``, or else ``OMP_NUM_THREADS``, which joblib, Dask and others set in their worker processes, so
  that these have no more threads together than there are processors.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from fanfold import _core

VARIABLES = ("FANFOLD_NUM_THREADS", "OMP_NUM_THREADS")
"""The variables that limit the workers. The first one that is a positive integer counts."""


class Limit(NamedTuple):
    """A number of workers, and who says so."""

    workers: int
    source: str


class Decision(NamedTuple):
    """The limit that decided the number of workers, and notes on variables that were ignored."""

    limit: Limit
    notes: tuple[str, ...]


def decide(processors: int, environment: Mapping[str, str]) -> Decision:
    """Return what decides the number of workers. Where limits are equal, the processors do."""
    limits = [Limit(processors, _told(processors))]
    counted = getattr(os, "process_cpu_count", lambda: None)()
    if counted:
        limits.append(Limit(counted, f"os.process_cpu_count() = {counted}"))
    notes: list[str] = []
    for name in VARIABLES:
        value = environment.get(name, "").strip()
        if not value:
            continue
        # OMP_NUM_THREADS may be a list with a number for each level of nested threads.
        first = value.partition(",")[0].strip()
        if re.fullmatch(r"0*[1-9][0-9]{0,8}", first):
            limits.append(Limit(int(first), f"{name}={first}"))
            break
        notes.append(f"{name}={value!r} is ignored, because it is not a positive integer")
    return Decision(min(limits, key=lambda limit: limit.workers), tuple(notes))


def _told(processors: int) -> str:
    """Say why these are the processors that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else processors
    machine = (os.sysconf("SC_NPROCESSORS_ONLN") if hasattr(os, "sysconf") else 0) or allowed
    if processors < allowed:
        return f"cgroup quota: {processors} of {machine} processors"
    if processors < machine:
        return f"CPU affinity: {processors} of {machine} processors"
    return f"all {processors} processors of this machine" if processors > 1 else "the only processor of this machine"


DECISION = decide(_core.config()["workers"], os.environ)
"""What was decided when fanfold was imported."""

_core.limit_workers(DECISION.limit.workers)
