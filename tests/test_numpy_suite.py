"""NumPy's own tests check fanfold: what they call of NumPy goes through `ff.run` (see `routed`).

Their files come with NumPy. They run in a process of their own, which sees stand-ins for NumPy's functions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fanfold as ff

pytestmark = [
    pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="older files have other rules"),
    # Alone they take two minutes, and beside compilers five.
    pytest.mark.timeout(900),
]

NUMPY = Path(np.__file__).parent
HERE = Path(__file__).parent

FILES = [
    "lib/tests/test_nanfunctions.py",
    "lib/tests/test_function_base.py",
    "lib/tests/test_histograms.py",
    "lib/tests/test_type_check.py",
    "lib/tests/test_arraysetops.py",
    "lib/tests/test_ufunclike.py",
    "_core/tests/test_numeric.py",
]

IGNORED = [
    # What the tests' own conftest ignores, which is not installed.
    "ignore:the matrix subclass:PendingDeprecationWarning",
    # Newer than NumPy's tests.
    "ignore::pytest.PytestRemovedIn10Warning",
]


# They compare np.std(x, mean=...), which NumPy computes here, with np.std(x), which the kernel does, to the last bit.
TWO_WAYS = "not test_std_with_mean_keyword_keepdims_false and not test_var_with_mean_keyword_keepdims_false"


def routed(tmp_path: Path, files: list[str], form: str) -> dict[str, dict[str, int]]:
    """Runs files of NumPy's tests and tells what went through `ff.run`; all of them have to pass."""
    report = tmp_path / "report.json"
    options = [option for each in IGNORED for option in ("-W", each)]
    paths = [str(NUMPY / file) for file in files]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(Path(ff.__file__).parents[1])]),
        "ROUTED_FORM": form,
        "ROUTED_REPORT": str(report),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "routed", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [*command, *options, "-k", TWO_WAYS, *paths],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=880,
    )
    told: dict[str, dict[str, int]] = json.loads(report.read_text())
    assert not told["failures"], "\n".join([*told["failures"], done.stdout[-20_000:]])
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return told


@pytest.mark.parametrize("form", ["traced", "deferred"])
def test_numpys_tests_of_functions_pass_if_they_go_through_ours(form: str, tmp_path: Path) -> None:
    told = routed(tmp_path, FILES, form)
    assert told["outcomes"]["passed"] > 4000
    assert told["calls"]["fused"] > 1000
    assert sum(told["calls"].values()) > 10_000
    for name in ("mean", "nanstd", "quantile", "histogram", "clip", "diff", "nan_to_num", "unique", "where", "cumsum"):
        assert told["functions"][name]


def test_numpys_tests_of_ufuncs_pass_if_they_go_through_ours(tmp_path: Path) -> None:
    told = routed(tmp_path, ["_core/tests/test_umath.py", "linalg/tests/test_linalg.py"], "traced")
    assert told["outcomes"]["passed"] > 3000
    assert told["calls"]["fused"] > 1000
