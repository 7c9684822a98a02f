"""Ten functions over one array, five at a time: the old answers beside fanfold, in lines, time and memory.

    python benches/answers.py                 measures, writes a record and the table in docs/multiprocessing.md
    python benches/answers.py --table         the table of the latest record
    python benches/answers.py --quick         a small array, no record

Each way runs in a process of its own, which has the array already. The time is that of the job, with everything that it
starts. The memory is what the process and those that it starts take at most beyond what was there before the job, with
memory that they share counted once (Linux's proportional set size).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import selectors
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import report
from measuring import seconds

WAYS = {
    "loop": "a loop",
    "pool": "`Pool`, array pickled",
    "locked": "`multiprocessing.Array` and its lock",
    "shared": "`SharedMemory`, no lock",
    "threads": "`ThreadPoolExecutor`",
    "with_joblib": "joblib",
    "with_fanfold": "fanfold",
}
"""The modules of `old_answers`, and what they are called."""

FULL, QUICK = 10_000_000, 200_000
REPEATS = 5
PAGE = report.ROOT / "docs" / "multiprocessing.md"
ABOUT = "answers"
SEED = 20_250_101


def array(size: int) -> Any:
    """Standard normal float64."""
    return np.random.default_rng(SEED).standard_normal(size)


def answer(way: str, x: Any) -> dict[str, Any]:
    """Do the job in one way."""
    return dict(importlib.import_module(f"old_answers.{way}").answer(x))


def check(found: dict[str, Any], right: dict[str, Any]) -> None:
    """Fail unless the answers are the same, but for rounding."""
    if list(found) != list(right):
        raise AssertionError(f"{list(found)} are not {list(right)}")
    for name, value in right.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=name)


def lines(way: str) -> int:
    """The lines of a way's code, without comments, docstrings and empty lines."""
    text = (Path(__file__).parent / "old_answers" / f"{way}.py").read_text()
    tree = ast.parse(text)
    tree.body = tree.body[1:]  # the docstring
    return len(ast.unparse(tree).replace("\n\n", "\n").split("\n"))


def serve(way: str, size: int) -> None:
    """Do the job once, when told to, and print its seconds: the body of a process."""
    x = array(size)
    importlib.import_module(f"old_answers.{way}")
    right = answer("loop", x[:1000])
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    found = answer(way, x)
    taken = time.perf_counter() - start
    print(taken, flush=True)
    sys.stdin.readline()
    if list(found) != list(right):
        raise AssertionError(f"{way} has the keys {list(found)}")
    check(found, answer("loop", x))


def proportional(pid: int) -> int:
    """The memory of a process and of all that it started, in bytes; shared memory is counted once."""
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        try:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().split("\n"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
            for thread in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return total


def one_job(way: str, size: int, *, watch: bool) -> tuple[float, int]:
    """Do the job in a new process; return its seconds and, if watched, its memory. Watching takes time."""
    command = [sys.executable, __file__, "--serve", way, "--size", str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        process.stdout.readline()
        before = most = proportional(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        if watch:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                while not selector.select(0.002):
                    most = max(most, proportional(process.pid))
        taken = float(process.stdout.readline())
        process.stdin.write("\n")
    if process.returncode != 0:
        raise RuntimeError(f"{way} has failed")
    return taken, most - before


def measure(size: int, repeats: int) -> list[dict[str, Any]]:
    """Measure all ways, in turns."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            times[way].append(one_job(way, size, watch=False)[0])
    memory = {way: max(one_job(way, size, watch=True)[1] for _ in range(3)) for way in WAYS}
    return [
        {"way": way, "lines": lines(way), "seconds": statistics.median(times[way]), "bytes": memory[way]}
        for way in WAYS
    ]


def table(record: dict[str, Any]) -> str:
    """The table of a record."""
    host = record["host"]
    ours = next(row["seconds"] for row in record["ways"] if row["way"] == "with_fanfold")
    found = ["| way | lines | time | times ours | memory |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in record["ways"]:
        memory = f"{row['bytes'] / 2**20:,.0f} MiB"
        ratio = f"{row['seconds'] / ours:.3g} x"
        found.append(f"| {WAYS[row['way']]} | {row['lines']} | {seconds(row['seconds'])} | {ratio} | {memory} |")
    about = f"{record['size']:,} float64 ({record['size'] * 8 / 2**20:.0f} MiB); {report.about(host)}."
    return "\n".join(found) + f"\n\n{about}"


def page() -> str:
    """The text of the documentation's page, with the table of the latest record."""
    text = PAGE.read_text()
    path = report.latest(ABOUT)
    if path is None:
        return text
    block = f"\n{table(json.loads(path.read_text()))}\n\n"
    return report.markers(ABOUT).sub(lambda found: found[1] + block + found[2], text)


def main() -> None:
    """Measure, show, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small array, no record")
    parser.add_argument("--table", action="store_true", help="only write the table of the latest record")
    parser.add_argument("--serve", metavar="WAY", choices=WAYS, help="do the job in one way, when told to")
    parser.add_argument("--size", type=int, default=FULL, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.size)
        return
    if not options.table:
        import fanfold as ff

        size, repeats = (QUICK, 1) if options.quick else (FULL, REPEATS)
        host = report.host(ff.info(), ("numpy", "joblib"))
        record = {"host": host, "size": size, "ways": measure(size, repeats)}
        print(table(record))
        if options.quick:
            return
        path = report.RECORD / f"{report.stem(ABOUT, host['date'])}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
