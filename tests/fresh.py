"""Runs a piece of Python in a process of its own: for tests that fork, count threads or might crash."""

import os
import subprocess
import sys
import textwrap

PRELUDE = """\
import os, signal, sys, threading, time
import numpy as np
import fanfold as ff

def threads():
    '''The names of this process's threads by their ids, as the system knows them.'''
    found = {}
    for task in os.listdir('/proc/self/task'):
        try:
            with open(f'/proc/self/task/{task}/comm') as file:
                found[task] = file.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found

def started_since(before):
    '''The names of the threads started since; a thread has its creator's name until it first runs.'''
    own = threads()[str(os.getpid())]
    deadline = time.monotonic() + 10
    while True:
        names = sorted(name for task, name in threads().items() if task not in before)
        if own not in names or time.monotonic() > deadline:
            return names
"""


def run_script(
    source: str,
    *,
    timeout: float = 50,
    environment: dict[str, str] | None = None,
    prelude: str = PRELUDE,
    silent: bool = False,
) -> str:
    """What the script prints. It has to end by itself, in time, with exit code 0; if `silent`, without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        # OpenBLAS's own threads would be counted with ours.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **(environment or {})},
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert not (silent and done.stderr), done.stderr
    return done.stdout.strip()
