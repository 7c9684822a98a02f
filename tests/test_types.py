"""What mypy says of a user's script: everything that a call accepts passes, and what it refuses is an error."""

import subprocess
import sys
from pathlib import Path

ACCEPTED = """
import array, ctypes, multiprocessing
import numpy as np, pandas as pd, polars as pl, pyarrow as pa, xarray as xr
import fanfold as ff

ff.run([1, 2, 3], "mean")
ff.run((1.5, 2), "mean")
ff.run(np.arange(3), "mean")
ff.run(np.ma.masked_array([1]), "mean")
ff.run(array.array("d", [1]), "mean")
ff.run(memoryview(b"ab"), "mean")
ff.run(multiprocessing.Array("d", 3), "mean")
ff.run(multiprocessing.RawArray("d", 3), "mean")
ff.run((ctypes.c_double * 3)(), "mean")
ff.run({"a": [1, 2], "b": np.arange(2)}, "mean")
ff.run({"a": pl.Series([1])}, "mean")
ff.run(pd.Series([1.0]), "mean")
ff.run(pd.DataFrame({"a": [1]}), "mean")
ff.run(pa.array([1]), "mean")
ff.run(pl.Series([1]), "mean")
ff.run(pl.DataFrame({"a": [1]}), "mean")
ff.run(xr.DataArray([1]), "mean")
ff.run(xr.Dataset({"a": ("x", [1])}), "mean")
"""

REFUSED = """
import decimal
import fanfold as ff

ff.run(open("x"), "mean")
ff.run(decimal.Decimal(1), "mean")
ff.run(None, "mean")
ff.run(object(), "mean")
ff.run(iter([1]), "mean")
"""


def errors(script: Path, text: str) -> list[str]:
    script.write_text(text, encoding="utf-8")
    # mypy reads the settings of the project from the working directory, which are not the user's.
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", script.name]
    done = subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def test_types_accept_what_a_call_accepts(tmp_path: Path) -> None:
    assert errors(tmp_path / "accepted.py", ACCEPTED) == []


def test_types_refuse_what_a_call_refuses(tmp_path: Path) -> None:
    found = errors(tmp_path / "refused.py", REFUSED)
    assert [int(each.split(":")[1]) for each in found] == [5, 6, 7, 8, 9]
