"""What needs a process of its own: peak memory, the time of an import, the threads it starts.

`python benches/probes.py memory ELEMENTS` and the others print one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIME_IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
COUNT_THREADS = """
import os
import numpy
before = len(os.listdir("/proc/self/task"))
import fanfold
print(len(os.listdir("/proc/self/task")) - before)
"""


def run_python(*arguments: str) -> str:
    """The output of a fresh interpreter, started away from the sources. What it compiles it keeps, as is usual."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    how = {"capture_output": True, "text": True, "check": False, "env": environment}
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run([sys.executable, *arguments], cwd=directory, **how)
    if done.returncode:
        raise RuntimeError(f"the probe failed:\n{done.stderr.strip()}")
    return done.stdout.strip()


def import_seconds(modules: str) -> float:
    """Seconds that `import modules` takes in a fresh interpreter."""
    return float(run_python("-c", TIME_IMPORT.format(modules)))


def threads_started() -> int:
    """Threads that `import fanfold` starts on top of those of `import numpy`."""
    return int(run_python("-c", COUNT_THREADS))


def stream_memory(elements: int) -> dict[str, Any]:
    """Peak memory over a run, measured in a fresh interpreter."""
    answer: dict[str, Any] = json.loads(run_python(str(Path(__file__).resolve()), "memory", str(elements)))
    return answer


def newcomer_memory(elements: int) -> dict[str, Any]:
    """Peak memory over a run of the newcomer's eight functions, measured in a fresh interpreter."""
    answer: dict[str, Any] = json.loads(run_python(str(Path(__file__).resolve()), "newcomer", str(elements)))
    return answer


def _status(field: str) -> float:
    """A field of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def _peak(task: Callable[[], Any]) -> dict[str, Any]:
    """Peak memory before and after a task, and how it was measured."""
    try:
        # Writing 5 sets the peak back to what is in use now.
        Path("/proc/self/clear_refs").write_text("5")
        how = "VmHWM"
        before = _status("VmHWM")
    except OSError:
        how = "ru_maxrss"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results = task()
    after = _status("VmHWM") if how == "VmHWM" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"before": before, "after": after, "how": how, "results": results}


def _measure_memory(elements: int) -> dict[str, Any]:
    import numpy as np

    import fanfold as ff

    x = np.ones(elements)
    functions = [
        *("sum", "mean", "var", "std", "min", "max", "argmin", "argmax", "count_nan", "skew", "kurtosis"),
        ff.histogram(bins=100, range=(-6, 6)),
    ]
    found = _peak(lambda: ff.run(x, functions))
    results = found.pop("results")
    assert results["sum"] == elements
    assert results["var"] == 0.0
    assert results["histogram"].counts.sum() == elements
    return found | {"threads": len(os.listdir("/proc/self/task"))}


def _measure_newcomer(elements: int) -> dict[str, Any]:
    import numpy as np

    import fanfold as ff
    from workload.recipes import EIGHT

    x = np.random.default_rng(1).standard_normal(elements)
    # The first run loads code and starts the threads.
    ff.run(x[:200_000], EIGHT)
    found = _peak(lambda: ff.run(x, EIGHT))
    assert found.pop("results")["histogram"].sum() == elements
    return found


MEASURES = {"memory": _measure_memory, "newcomer": _measure_newcomer}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in MEASURES:
        sys.exit(f"usage: probes.py {'|'.join(MEASURES)} ELEMENTS")
    print(json.dumps(MEASURES[sys.argv[1]](int(sys.argv[2]))))
