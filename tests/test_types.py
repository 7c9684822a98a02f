"""What mypy and pyright say of a user's script: what a call accepts passes, and what it refuses is an error."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

import fanfold as ff
from fanfold.typing import KernelName

DATA = """
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
ff.describe([1, 2, 3])
ff.describe(pl.DataFrame({"a": [1]}), by="a")
"""

SCRIPT = """
import asyncio
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

import fanfold as ff
from fanfold.typing import Function, KernelName

x = np.arange(10.0)

def spread(v: npt.NDArray[np.float64]) -> float:
    return float(v.max() - v.min())

def fill(v: npt.NDArray[np.float64], out: dict[str, Any]) -> None:
    out["a"] = v.mean()

r = ff.run(x, "mean")
r = ff.run(x, ["mean", "std", np.ptp, spread, fill, ff.quantile([0.1, 0.9]), ff.median, lambda v: v.sum()], workers=5)
r = ff.run(x, {"a": "mean", "b": spread, "c": ff.std(ddof=1), 4: scipy.stats.skew})
r = ff.run(x, ("mean", spread, functools.partial(np.quantile, q=0.5)))
r = ff.run(x, {"mean", "max"})
r = ff.run(x, [info.name for info in ff.kernels() if info.arrays == "one"])
print(r["mean"] + 1, r.report.passes, r.groups, r.errors)

functions: list[Function] = ["mean", spread]
functions.append(np.ptp)
name: KernelName = "max"
r = ff.run(x, [*functions, name], axis=0, keepdims=False, on_error="return", timeout=5, progress=True, processes=False)
r = ff.run(x, "mean", where=x > 1, weights=x, nan_policy="omit")
r = ff.run(x, "cumsum", out={"cumsum": np.empty(10)})

plan = ff.plan(["mean", np.std], like=x)
r = plan.run(x, by=["a"] * 10)
with ff.Pool(workers=2) as pool:
    r = pool.run(x, "mean")
    r = pool.submit(x, ["mean"], axis=0, timeout=3, on_error="return").result()
r = ff.submit(x, ["mean", spread], timeout=3).result()
r = asyncio.run(ff.arun(x, "mean"))
frame = r.to_frame("polars")
print(frame.height, r.to_json(indent=1), r.to_dict()["mean"])
"""

MISTAKES = """
import decimal
import numpy as np
import fanfold as ff

x = np.arange(10.0)
ff.run(open("x"), "mean")  # wrong
ff.run(decimal.Decimal(1), "mean")  # wrong
ff.run(None, "mean")  # wrong
ff.run(object(), "mean")  # wrong
ff.run(iter([1]), "mean")  # wrong
ff.describe(None)  # wrong
ff.run(x, "meen")  # wrong
ff.run(x, ["mean", "meen"])  # wrong
ff.run(x, {"a": "meen"})  # wrong
ff.plan(["meen"])  # wrong
ff.submit(x, "meen")  # wrong
ff.Pool(2).run(x, "meen")  # wrong
ff.Pool(2).submit(x, "meen")  # wrong
ff.run(x, 5)  # wrong
ff.run(x, "mean", worker=5)  # wrong
ff.submit(x, "mean", worker=5)  # wrong
job = ff.arun(x, "mean", worker=5)  # wrong
ff.plan("mean").run(x, worker=5)  # wrong
ff.Pool(2).run(x, "mean", time_out=5)  # wrong
ff.Pool(2).submit(x, "mean", time_out=5)  # wrong
ff.Pool(2).run(x, "mean", workers=5)  # wrong
ff.Pool(2).submit(x, "mean", workers=5)  # wrong
ff.Pool(2).submit(x, "mean", on_error="skip")  # wrong
ff.describe(x, worker=5)  # wrong
ff.run(x, "mean", nan_policy="skip")  # wrong
ff.quantile(0.5, method="linaer")  # wrong
ff.std(dof=1)  # wrong
ff.run(x, "mean").to_frame("excel")  # wrong
"""

FILES = {"data.py": DATA, "script.py": SCRIPT, "mistakes.py": MISTAKES}

Errors = set[tuple[str, int]]


def mypy(folder: Path) -> Errors:
    # mypy reads the settings of the project from the working directory, which are not the user's.
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", *FILES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = [line.split(":")[:2] for line in done.stdout.splitlines() if ": error:" in line]
    assert found, done.stdout + done.stderr
    return {(file, int(line)) for file, line in found}


def pyright(folder: Path) -> Errors:
    """What pyright says by default. basedpyright is pyright with a Node of its own, so it runs offline."""
    settings = {"typeCheckingMode": "standard", "reportMissingModuleSource": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, *FILES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = [each for each in json.loads(done.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    assert found, done.stdout + done.stderr
    return {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_finds_the_mistakes_and_nothing_else(checker: Callable[[Path], Errors], tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    lines = enumerate(MISTAKES.splitlines(), start=1)
    assert checker(tmp_path) == {("mistakes.py", number) for number, line in lines if "# wrong" in line}


def test_the_script_that_checks_clean_runs() -> None:
    exec(compile(SCRIPT, "script.py", "exec"), {})


def test_the_names_in_the_type_are_those_of_the_catalogue() -> None:
    assert get_args(KernelName) == tuple(info.name for info in ff.kernels())
