"""The functions that people bring: a loop, a pool of threads, joblib with processes and fanfold, side by side.

    python benches/toolbox.py                  all figures, and a record in benches/record/
    python benches/toolbox.py --write          and the tables and pictures of README.md and the docs
    python benches/toolbox.py --quick          small arrays, no record
    python benches/toolbox.py --only SECTION   one section (or several, with commas), no record
    python benches/toolbox.py --list FILE      also write each function's times to a file

All answers are checked before anything is timed. A goal that is missed is shown as missed. After the figures, each
function is listed with its time by hand, its time with fanfold alone, and why it is not completely fused.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import timeit
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

import compare
import fanfold as ff
import probes
import report
from fanfold.tracing.formulas import Formulas
from measuring import (
    FULL,
    QUICK,
    Effort,
    Figure,
    Measured,
    Row,
    Task,
    clock,
    difference,
    in_pairs,
    seconds,
    summary,
    times_as_fast,
)
from workload import recipes, third_party

Array = NDArray[Any]
Function = Callable[[Array], Any]
Functions = Mapping[str, Function]

PEERS = ("numpy", "scipy", "joblib", "tsfresh", "tsfel", "antropy", "scikit-learn")
SEED = 20_250_102
FEW = replace(QUICK, elements=1_000_000, fewest=1)
"""The effort of a quick run: arrays that are just long enough to be traced."""

LEAST = 0.97
"""What is taken for as fast as by hand."""

# ------------------------------------------------------------------------------------------ ways to compute


def in_a_loop(functions: Functions, x: Array) -> dict[str, Any]:
    """One after the other."""
    return {name: function(x) for name, function in functions.items()}


def in_threads(functions: Functions, x: Array) -> dict[str, Any]:
    """As many at a time as there are cores."""
    return dict(zip(functions, _threads().map(lambda function: function(x), functions.values()), strict=True))


def by_joblib(functions: Functions, x: Array) -> dict[str, Any]:
    """In processes, which are kept from one call to the next; joblib maps a large array into them."""
    calls = (joblib.delayed(function)(x) for function in functions.values())
    return dict(zip(functions, joblib.Parallel(n_jobs=report.cores())(calls), strict=True))


def by_fanfold(functions: Functions, x: Array) -> dict[str, Any]:
    """All together, on all cores."""
    return ff.run(x, functions)


def by_one_worker(functions: Functions, x: Array) -> dict[str, Any]:
    """All together, on one core."""
    return ff.run(x, functions, workers=1)


def along_rows(functions: Functions, x: Array) -> dict[str, Any]:
    """All together, for each row."""
    return ff.run(x, functions, axis=1)


_POOL: list[ThreadPoolExecutor] = []


def _threads() -> ThreadPoolExecutor:
    """A pool that is started once."""
    if not _POOL:
        _POOL.append(ThreadPoolExecutor(report.cores()))
    return _POOL[0]


def of_rows(function: Function, x: Array) -> Array:
    """A function of one sequence, of each row."""
    return np.array([function(row) for row in x])


def rows_one_by_one(functions: Functions) -> dict[str, Function]:
    """The functions of rows as functions of a table."""
    return {name: partial(of_rows, function) for name, function in functions.items()}


# ---------------------------------------------------------------------------------------------- the workloads


@dataclass(frozen=True)
class Job:
    """Functions of one array, and the ways in which they are computed."""

    functions: Functions
    x: Array
    ways: Mapping[str, Callable[[Functions, Array], dict[str, Any]]]
    sampled: int = 1
    """The loop takes the first of so many parts of the rows, and its time counts as often."""

    def tasks(self) -> dict[str, Task]:
        """A task for each way."""
        return {way: partial(compute, self.functions, self.of(way)) for way, compute in self.ways.items()}

    def of(self, way: str) -> Array:
        """The rows that a way computes."""
        return self.x[: len(self.x) // self.sampled] if way == "loop" else self.x

    def check(self) -> None:
        """Fail unless all ways agree with the loop."""
        tasks = self.tasks()
        right = tasks.pop("loop")()
        for way, task in tasks.items():
            got = task()
            for name, want in right.items():
                check(got[name][: len(want)] if self.sampled > 1 else got[name], want, f"{name}, {way}")


EVERYTHING = {
    "loop": in_a_loop,
    "threads": in_threads,
    "joblib": by_joblib,
    "fanfold": by_fanfold,
    "fanfold, 1 worker": by_one_worker,
}


def rows_by(way: Callable[[Functions, Array], dict[str, Any]]) -> Callable[[Functions, Array], dict[str, Any]]:
    """A way to compute functions of a table, for functions of its rows."""
    return lambda functions, x: way(rows_one_by_one(functions), x)


class Bench:
    """The arrays, each made once, and the times of each job."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._times: dict[str, dict[str, list[float]]] = {}

    @property
    def repeats(self) -> int:
        """How often what takes long is measured, at least."""
        return min(3, self.effort.fewest)

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Standard normal: 20 million."""
        return np.random.default_rng(SEED).standard_normal(self.effort.elements)

    @cached_property
    def positive(self) -> NDArray[np.float64]:
        """What means of logarithms are made for: 4 million."""
        return np.exp(self.x[: self.effort.elements // 5] / 2)

    def job(self, name: str) -> Job:
        """The functions of a section, their array and the ways to compute them."""
        size = self.effort.elements
        match name:
            case "toolbox":
                return Job(third_party.tsfresh_simple() | third_party.scipy_stats(), self.positive, EVERYTHING)
            case "named":
                return Job(third_party.by_name(), self.positive, EVERYTHING)
            case "recipes":
                return Job(recipes.FORTY, self.x[: size // 5], EVERYTHING)
            case "newcomer":
                return Job(recipes.EIGHT, self.x, EVERYTHING)
            case "features":
                return Job(recipes.FEATURES, self.x[: size // 4], EVERYTHING)
            case "rows":
                ways = {"loop": rows_by(in_a_loop), "threads": rows_by(in_threads), "joblib": rows_by(by_joblib)}
                return Job(recipes.FEATURES, self.x[: size // 2].reshape(-1, 5_000), ways | {"fanfold": along_rows})
            case "many-rows":
                ways = {"loop": rows_by(in_a_loop), "fanfold": along_rows}
                return Job(recipes.FEATURES, self.x.reshape(-1, 200), ways, sampled=20)
        raise KeyError(name)

    def times(self, name: str) -> dict[str, list[float]]:
        """The seconds of each way of a job, in rounds: the first of one round is the last of the next."""
        if name not in self._times:
            job = self.job(name)
            job.check()
            tasks = job.tasks()
            found: dict[str, list[float]] = {way: [] for way in tasks}
            order = list(tasks)
            begun, rounds = time.perf_counter(), 0
            limit = 4 * self.effort.seconds
            while rounds < self.repeats or (rounds < self.effort.most and time.perf_counter() - begun < limit):
                for way in order:
                    found[way].append(clock(tasks[way]) * (job.sampled if way == "loop" else 1))
                order = order[1:] + order[:1]
                rounds += 1
            self._times[name] = found
        return self._times[name]


def beside(job: str, peer: str, ours: str = "fanfold") -> Callable[[Bench], Measured]:
    """All functions of a job in one call, beside a peer's way."""

    def measured(bench: Bench) -> Measured:
        times = bench.times(job)
        ways = sorted(times, key=lambda way: statistics.median(times[way]))
        note = ", ".join(f"{way} {seconds(statistics.median(times[way]))}" for way in ways)
        return summary(times[ours], times[peer], times_as_fast, note=note)

    return measured


def check(got: Any, want: Any, name: str) -> None:
    """Fail unless two answers agree but for the rounding of what is added up."""
    if isinstance(want, tuple | list):
        assert len(got) == len(want), name
        for ours, theirs in zip(got, want, strict=True):
            check(ours, theirs, name)
    elif isinstance(want, dict):
        assert list(got) == list(want), name
        check(list(got.values()), list(want.values()), name)
    elif isinstance(want, np.ndarray | np.generic | float | int):
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9, err_msg=name)
    elif hasattr(want, "__dict__"):
        check(vars(got), vars(want), name)
    else:
        assert got == want, name


# ------------------------------------------------------------------------------------- each function for itself


@dataclass(frozen=True)
class Alone:
    """A function's seconds by hand and with fanfold, and what became of it."""

    section: str
    name: str
    by_hand: float
    ours: float
    how: str
    why: str

    @property
    def lost(self) -> float:
        """Seconds beyond what the cores would take if they shared the work."""
        return self.ours - self.by_hand / report.cores()


def alone(bench: Bench, section: str) -> Iterator[Alone]:
    """Each function of a section in a call of its own."""
    job = bench.job(section)
    x = job.x
    for name, function in job.functions.items():
        run = partial(ff.run, x, {name: function})
        told = run().report
        times = [(clock(partial(function, x)), clock(run)) for _ in range(bench.repeats)]
        by_hand, ours = (statistics.median(each) for each in zip(*times, strict=True))
        yield Alone(section, name, by_hand, ours, told.how[name], told.why.get(name, ""))


def listing(found: Sequence[Alone]) -> str:
    """The functions, those that lose most first."""
    lines = [f"{'function':<58} {'by hand':>10} {'fanfold':>10} {'times':>7}  how: why"]
    for each in sorted(found, key=lambda each: -each.lost):
        name = f"{each.section}: {each.name}"
        times = f"{each.by_hand / each.ours:.2f} x"
        told = each.how + (f": {each.why}" if each.why else "")
        lines.append(f"{name:<58} {1e3 * each.by_hand:7.2f} ms {1e3 * each.ours:7.2f} ms {times:>7}  {told}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------- third-party functions


@contextmanager
def timed_passes() -> Iterator[list[float]]:
    """The seconds of each pass over memory for traced functions."""
    taken: list[float] = []
    real = Formulas.sweep

    def sweep(self: Formulas, workers: int) -> None:
        start = time.perf_counter()
        try:
            real(self, workers)
        finally:
            taken.append(time.perf_counter() - start)

    Formulas.sweep = sweep  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        Formulas.sweep = real  # type: ignore[method-assign]


THIRD_PARTY_SIZE = 300_000


def third_party_array(bench: Bench) -> NDArray[np.float64]:
    """Positive numbers, so that every function has a value."""
    return bench.positive[:THIRD_PARTY_SIZE].copy()


def third_party_fused(bench: Bench) -> Measured:
    """The share of functions that are at least partly fused."""
    functions, x = third_party.all_of_them(), third_party_array(bench)
    r = ff.run(x, functions)
    for name, want in in_a_loop(functions, x).items():
        check(r[name], want, name)
    plain = [name for name, how in r.report.how.items() if how == "plain"]
    share = 100.0 * (len(functions) - len(plain)) / len(functions)
    note = f"of {len(functions)}; plain: {', '.join(plain)}"
    return Measured(share, None, share, share, share, 1, "%", note)


def answered(functions: Functions, x: Array, repeats: int) -> Measured:
    """The share of the functions' time by hand that passes and kernels take over.

    What is left is what a call on one worker takes beside its passes: NumPy on the elements, other code, tracing.
    """
    by_hand = left = 0.0
    for name, function in functions.items():
        tasks = []
        for _ in range(repeats):
            hand = clock(partial(function, x))
            with timed_passes() as passes:
                ours = clock(partial(ff.run, x, {name: function}, workers=1))
            tasks.append((hand, ours - sum(passes)))
        hand, beside_passes = (statistics.median(each) for each in zip(*tasks, strict=True))
        by_hand += hand
        left += min(hand, beside_passes)
    share = 100.0 * (1 - left / by_hand)
    note = f"of {seconds(by_hand)} by hand, {seconds(left)} are left"
    return Measured(share, None, share, share, share, 1, "%", note)


def third_party_answered(bench: Bench) -> Measured:
    return answered(third_party.all_of_them(), third_party_array(bench), bench.repeats)


def toolbox_answered(bench: Bench) -> Measured:
    job = bench.job("toolbox")
    return answered(job.functions, job.x, bench.repeats)


# ------------------------------------------------------------------------------------------------- processes


def held_in_processes(bench: Bench) -> Measured:
    """Functions that never release the GIL."""
    x = bench.x[: bench.effort.elements // 20].copy()
    functions = recipes.HOLDING
    ours = partial(ff.run, x, functions, processes=True)
    got = ours()
    for name, want in in_a_loop(functions, x).items():
        check(got[name], want, name)
    effort = replace(bench.effort, fewest=3)
    return in_pairs(effort, ours, partial(in_a_loop, functions, x), times_as_fast)


def overhead_of_processes(bench: Bench) -> Measured:
    """A call that computes nothing, of an array of 32 MB that lies in shared memory."""
    size = 4_000_000
    memory = SharedMemory(create=True, size=8 * size)
    try:
        x: Array = np.ndarray(size, np.float64, buffer=memory.buf)
        x[:] = bench.x[0]
        run = partial(ff.run, x, {"size": np.size, "ndim": np.ndim}, processes=True)
        assert dict(run()) == {"size": size, "ndim": 1}
        measured = in_pairs(bench.effort, run, partial(np.size, x), lambda a, b: 1e3 * difference(a, b))
        del x, run
    finally:
        memory.close()
        memory.unlink()
    return measured


# ----------------------------------------------------------------------------------------------- never slower

SMALL = (10, 100, 1_000, 10_000)
LARGE = (100_000, 1_000_000, 4_000_000)


@dataclass(frozen=True)
class Beside:
    """A function, or all of a job, by hand and with fanfold, on so many workers."""

    name: str
    size: int
    workers: int
    by_hand: float
    ours: float

    def __str__(self) -> str:
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        times = f"{self.by_hand / self.ours:.2f} x ({seconds(self.by_hand)} by hand)"
        return f"{self.name}, {self.size:,}, {workers}: {times}"


def per_call(task: Task) -> float:
    """Seconds of one call, over about a millisecond of them."""
    once = clock(task, pause=0.0)
    number = max(1, min(1_000, int(0.001 / max(once, 1e-9))))
    return timeit.Timer(task).timeit(number) / number


def middle(tasks: Sequence[Task], repeats: int) -> list[float]:
    """The median seconds of each task, of a few rounds of all of them."""
    rounds: list[list[float]] = []
    begun = time.perf_counter()
    while len(rounds) < repeats or (len(rounds) < 7 and time.perf_counter() - begun < 0.1):
        rounds.append([per_call(task) for task in tasks])
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def works(functions: Functions, x: Array) -> dict[str, Function]:
    """The functions that have an answer for this array."""
    found: dict[str, Function] = {}
    for name, function in functions.items():
        try:
            function(x)
        except Exception:  # noqa: BLE001 - of ten elements many functions have none
            continue
        found[name] = function
    return found


def besides(bench: Bench, sizes: Sequence[int]) -> Iterator[Beside]:
    """Each function alone and all together, with one worker and with all, beside the better of loop and threads."""
    cores = report.cores()
    jobs = {name: bench.job(name) for name in ("toolbox", "named", "recipes", "newcomer", "features")}
    # A quick run takes every twentieth function, and no array of millions.
    step = 1 if bench.effort is FULL else 20
    for size in sizes:
        if size > bench.effort.elements // 2:
            continue
        for name, job in jobs.items():
            x = (bench.x if job.x.min() < 0 else np.exp(bench.x[:size] / 2))[:size].copy()
            functions = works(job.functions, x)
            for key, function in list(functions.items())[::step]:
                one, every = (partial(ff.run, x, {key: function}, workers=workers) for workers in (1, cores))
                by_hand, ours, ours_everywhere = middle([partial(function, x), one, every], bench.repeats)
                yield Beside(f"{name}: {key}", size, 1, by_hand, ours)
                yield Beside(f"{name}: {key}", size, cores, by_hand, ours_everywhere)
            tasks = [partial(way, functions, x) for way in EVERYTHING.values() if way is not by_joblib]
            loop, threads, ours, one_worker = middle(tasks, bench.repeats)
            yield Beside(f"{name}: all together", size, 1, loop, one_worker)
            yield Beside(f"{name}: all together", size, cores, min(loop, threads), ours)


def never_slower(sizes: Sequence[int]) -> Callable[[Bench], Measured]:
    """The one that comes off worst."""

    def measured(bench: Bench) -> Measured:
        found = sorted(besides(bench, sizes), key=lambda each: each.by_hand / each.ours)
        worst = found[0]
        short = sum(each.by_hand / each.ours < LEAST for each in found)
        ten = "; ".join(map(str, found[:10]))
        note = f"{short} of {len(found)} are below {LEAST}; the worst: {ten}"
        ratios = [each.by_hand / each.ours for each in found]
        return Measured(worst.ours, worst.by_hand, ratios[0], ratios[0], ratios[-1], len(found), "s", note)

    return measured


# ------------------------------------------------------------------------------------------------ the figures


def newcomer_memory(bench: Bench) -> Measured:
    found = [probes.newcomer_memory(bench.effort.elements) for _ in range(3)]
    before, after = ([probe[key] for probe in found] for key in ("before", "after"))
    return summary(after, before, difference, unit="MiB", note=f"by {found[0]['how']}")


_MANY = "tsfresh's simple features and scipy.stats, 4 M float64"
_NAMED = "NumPy's and SciPy's own functions, by name, 4 M"
_RECIPES = "forty recipes as people write them, 4 M"
_NEWCOMER = "mean, std, p95, histogram, skew, robust z-score, autocorrelation, share above, 20 M"
_FEATURES = "25 features as people write them, 5 M"
_ROWS = "25 features of each of 2,000 rows of 5,000"

SECTIONS: dict[str, list[Figure]] = {
    "toolbox": [
        Figure("toolbox-loop", _MANY, "a loop", "at least", 3.5, None, "x", beside("toolbox", "loop")),
        Figure("toolbox-threads", _MANY, "a pool of threads", "at least", 2, None, "x", beside("toolbox", "threads")),
        Figure("toolbox-one", f"{_MANY}, one worker", "a loop", "at least", 1.3, None, "x",
               beside("toolbox", "loop", "fanfold, 1 worker")),
        Figure("toolbox-answered", f"{_MANY}: time that passes and kernels take over", "their time by hand",
               "at least", 70, None, "%", toolbox_answered),
    ],
    "named": [
        Figure("named-loop", _NAMED, "a loop", "at least", 6, None, "x", beside("named", "loop")),
        Figure("named-threads", _NAMED, "a pool of threads", "at least", 3, None, "x", beside("named", "threads")),
    ],
    "recipes": [
        Figure("recipes-loop", _RECIPES, "a loop", "at least", 2.6, None, "x", beside("recipes", "loop")),
        Figure("recipes-threads", _RECIPES, "a pool of threads", "at least", 1.5, None, "x",
               beside("recipes", "threads")),
    ],
    "newcomer": [
        Figure("newcomer-loop", _NEWCOMER, "NumPy and SciPy, one after the other", "at least", 12, None, "x",
               beside("newcomer", "loop")),
        Figure("newcomer-threads", _NEWCOMER, "a pool of threads", "at least", 8, None, "x",
               beside("newcomer", "threads")),
        Figure("newcomer-memory", f"{_NEWCOMER}: peak memory", "before the call", "less than", 10, None, "MiB",
               newcomer_memory),
    ],
    "features": [
        Figure("features-loop", _FEATURES, "NumPy, one after the other", "at least", 4, None, "x",
               beside("features", "loop")),
        Figure("features-threads", _FEATURES, "a pool of threads", "at least", 2.5, None, "x",
               beside("features", "threads")),
    ],
    "rows": [
        Figure("rows-loop", _ROWS, "NumPy in a loop", "at least", 8, None, "x", beside("rows", "loop")),
        Figure("rows-joblib", _ROWS, "joblib, in processes", "at least", 4, None, "x", beside("rows", "joblib")),
        Figure("rows-threads", _ROWS, "a pool of threads", "at least", 4, None, "x", beside("rows", "threads")),
        Figure("many-rows", "25 features of each of 100,000 rows of 200", "NumPy in a loop", "at least", 10, None, "x",
               beside("many-rows", "loop")),
    ],
    "third-party": [
        Figure("third-party-fused", "third-party functions of 300,000 elements that are at least partly fused",
               "all of them", "at least", 60, None, "%", third_party_fused),
        Figure("third-party-answered", "their time that passes and kernels take over", "their time by hand",
               "at least", 70, None, "%", third_party_answered),
    ],
    "processes": [
        Figure("processes", "four functions that hold the GIL, `processes=True`", "a loop", "at least", 1.6, None, "x",
               held_in_processes),
        Figure("processes-overhead", "a call in processes that computes nothing, 32 MB in shared memory", "its call",
               "less than", 2, None, "ms", overhead_of_processes),
    ],
    "tracing": [
        Figure("traced-call", "to trace a NumPy call", "none", "at most", 6, None, "µs", compare.functions_traced),
        Figure("traced-small", "a function of 1,000 elements, time", "twice its call", "at most", 17, None, "µs",
               compare.functions_small),
    ],
    "never-slower": [
        Figure("never-slower", "a function alone or all together, 100,000 to 4 M, the worst of them",
               "the better of a loop and a pool of as many threads", "at least", LEAST, None, "x",
               never_slower(LARGE)),
        Figure("never-slower-small", "a function alone or all together, 10 to 10,000, the worst of them",
               "the better of a loop and a pool of as many threads", "at least", LEAST, None, "x",
               never_slower(SMALL)),
    ],
}  # fmt: skip

LISTED = ("toolbox", "named", "recipes", "newcomer", "features")
"""The sections whose functions are listed one by one."""


def main() -> int:
    """Measure, show, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small arrays, few repetitions, no record")
    parser.add_argument("--only", metavar="SECTION", help="these sections only, with commas; no record")
    parser.add_argument("--write", action="store_true", help="also rewrite the tables and pictures of the pages")
    parser.add_argument("--list", metavar="FILE", type=Path, help="write the list of functions to this file too")
    options = parser.parse_args()

    chosen = options.only.split(",") if options.only else list(SECTIONS)
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    partial_run = options.quick or options.only
    if options.write and partial_run:
        parser.error("--write needs all sections at full size: not with --quick or --only")
    if options.write:
        report.check_pages(report.TOOLBOX)
    config = ff.info()
    if config.get("debug"):
        sys.exit("this is a debug build of fanfold: its figures mean nothing; build it with --release")

    # Of overflows, empty slices and futures, here and in joblib's processes.
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    where = report.host(config, PEERS)
    print(report.about(where) + "\n", flush=True)
    bench = Bench(FEW if options.quick else FULL)
    rows: list[Row] = []
    listed: list[Alone] = []
    for section in SECTIONS:
        for figure in SECTIONS[section] if section in chosen else []:
            rows.append(compare.measure(figure, bench))
            print(report.line(rows[-1]), flush=True)
        if section in chosen and section in LISTED:
            listed += alone(bench, section)

    print(f"\n{report.tally(rows)}" + (" (small arrays: not the figures)" if options.quick else ""))
    if listed:
        text = listing(listed)
        print(f"\n{text}")
        if options.list:
            options.list.write_text(text + "\n")
    if not partial_run:
        for path in report.write_record(rows, where, report.TOOLBOX, listed):
            print(f"written: {path.relative_to(report.ROOT)}")
        if options.write:
            for path in report.write_pages():
                print(f"written: {path.relative_to(report.ROOT)}")
    return 1 if any(row.measured is None for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
