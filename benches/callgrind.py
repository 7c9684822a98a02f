"""Instructions per element of every kernel, counted by valgrind and compared with the record in callgrind.json.

    python benches/callgrind.py             all of them; fails if a count is more than 3 % above its record
    python benches/callgrind.py mean min    these only
    python benches/callgrind.py --write     renews the record

Counts do not depend on how busy the machine is, as times do: a loop that the compiler no longer vectorises shows at
once. The program's start is the same in a short and in a long run, and cancels.
valgrind knows no AVX-512: the baseline and AVX2 are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")
LEVELS = ("baseline", "avx2")
# Two chunks: states are merged, and the array still fits a cache.
ELEMENTS = 131_072
# The number of sweeps in the shorter and the longer of two runs.
SHORT, LONG = 1, 4
ALLOWED = 1.03

Counts = dict[str, dict[str, float]]


def output_of(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def build() -> Path:
    """The driver, compiled: examples/hot.rs."""
    command = ["cargo", "build", "--release", "--no-default-features", "--example", "hot", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    return Path(next(message["executable"] for message in messages if message.get("executable")))


def instructions(hot: Path, level: str, name: str, times: int) -> int:
    """All instructions of a run with so many sweeps."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*valgrind, str(hot), name, str(ELEMENTS), str(times)]
    environment = os.environ | {"FANFOLD_SIMD": level}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        raise SystemExit(f"{name}, {level}: {done.stderr}")
    return int(collected[1])


def per_element(hot: Path, level: str, name: str) -> float:
    """Instructions for one element."""
    more = instructions(hot, level, name, LONG) - instructions(hot, level, name, SHORT)
    return round(more / ((LONG - SHORT) * ELEMENTS), 4)


def counted(hot: Path, names: list[str]) -> Counts:
    """The counts of these kernels, at each level that this processor has."""
    counts: Counts = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for level in LEVELS:
            known = subprocess.run([hot, "sum", "1", "1"], env=os.environ | {"FANFOLD_SIMD": level}, check=False)
            if known.returncode:
                print(f"{level}: not counted, this processor does not have it")
                continue
            counts[level] = dict(zip(names, pool.map(lambda name: per_element(hot, level, name), names)))  # noqa: B023
    return counts


def compared(counts: Counts, record: Counts) -> list[str]:
    """Show every count beside its record; what is wrong with them."""
    wrong = []
    print(f"{'instructions per element':<26}{'counted':>10}{'record':>10}")
    for level, found in counts.items():
        for name, count in found.items():
            expected = record.get(level, {}).get(name)
            shown = f"{expected:10.3f}{100 * (count / expected - 1):+9.1f} %" if expected else f"{'none':>10}"
            print(f"{name + ', ' + level:<26}{count:10.3f}{shown}")
            if expected is None:
                wrong.append(f"{name}, {level}: there is no record; make one with --write")
            elif count > ALLOWED * expected:
                wrong.append(f"{name}, {level}: {count:.3f} instructions per element, recorded were {expected:.3f}")
    return wrong


def main() -> int:
    """Count, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a kernel, or the plan seven, eleven or twelve")
    parser.add_argument("--write", action="store_true", help=f"renew {RECORD.relative_to(ROOT)}")
    options = parser.parse_args()

    if not shutil.which("valgrind"):
        print("Instructions were NOT counted: there is no valgrind here (apt install valgrind, dnf install valgrind).")
        return 0
    hot = build()
    known = output_of(hot).split()
    if unknown := set(options.names) - set(known):
        parser.error(f"no kernel {', '.join(sorted(unknown))}; there are: {', '.join(known)}")

    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    tools = {"rustc": output_of("rustc", "--version"), "valgrind": output_of("valgrind", "--version")}
    counts = counted(hot, options.names or known)
    recorded: Counts = record.get("instructions_per_element", {})
    wrong = compared(counts, recorded)
    if options.write:
        # What is not counted today keeps its record; what is no longer a kernel loses it.
        both = {level: recorded.get(level, {}) | counts.get(level, {}) for level in LEVELS}
        kept = {level: {name: found[name] for name in known if name in found} for level, found in both.items()}
        RECORD.write_text(json.dumps(tools | {"instructions_per_element": kept}, indent=2) + "\n")
        print(f"\nwritten: {RECORD.relative_to(ROOT)}")
        return 0
    if wrong:
        print("\n" + "\n".join(wrong))
        if any(record.get(tool) != version for tool, version in tools.items()):
            then, now = (", ".join(str(found.get(tool)) for tool in tools) for found in (record, tools))
            print(f"The record was made with {then}; this is {now}.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
