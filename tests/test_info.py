"""The default number of workers, who decided it, and what `info` says of it and of the build."""

import importlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import fanfold as ff
from fanfold.processors import decide
from fresh import run_script

# By name: as an attribute, `fanfold.info` is the function.
module = importlib.import_module("fanfold.info")

UNLIMITED = {"FANFOLD_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
"""An environment that limits nothing, wherever the tests run."""


def decided(environment: dict[str, str], processors: int = 8) -> tuple[int, str]:
    limit, notes = decide(processors, environment)
    assert notes == ()
    return limit


@pytest.fixture(autouse=True)
def _a_python_that_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "process_cpu_count", raising=False)


# ---- who decides ----


def test_the_variables_limit_the_workers() -> None:
    assert decided({"OMP_NUM_THREADS": "3"}) == (3, "OMP_NUM_THREADS=3")
    assert decided({"FANFOLD_NUM_THREADS": "5"}) == (5, "FANFOLD_NUM_THREADS=5")
    assert decided({"OMP_NUM_THREADS": " 4, 2"}) == (4, "OMP_NUM_THREADS=4")


def test_our_own_variable_comes_before_that_of_openmp() -> None:
    assert decided({"FANFOLD_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}) == (5, "FANFOLD_NUM_THREADS=5")
    assert decided({"FANFOLD_NUM_THREADS": " ", "OMP_NUM_THREADS": "1"}) == (1, "OMP_NUM_THREADS=1")


def test_no_variable_gives_more_workers_than_there_are_processors() -> None:
    for value in ("8", "9", "999999999"):
        number, source = decided({"FANFOLD_NUM_THREADS": value})
        assert number == 8 and "processors" in source


def test_python_may_count_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 6, raising=False)
    assert decided({}) == (6, "os.process_cpu_count() = 6")
    assert decided({"OMP_NUM_THREADS": "2"}) == (2, "OMP_NUM_THREADS=2")
    monkeypatch.setattr(os, "process_cpu_count", lambda: None)
    assert decided({})[0] == 8


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "0x2", "true", ",4", "٣", "1e3", "9" * 30, "4 2", "\udcff"])
def test_a_value_that_is_not_a_positive_integer_is_ignored_and_told(value: str) -> None:
    limit, notes = decide(8, {"FANFOLD_NUM_THREADS": value, "OMP_NUM_THREADS": "2"})
    assert limit == (2, "OMP_NUM_THREADS=2")
    assert notes == (f"FANFOLD_NUM_THREADS={value!r} is ignored, because it is not a positive integer",)


def test_quota_affinity_and_machine_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    assert decided({}, processors=4)[1] == "cgroup quota: 4 of 64 processors"
    assert decided({}, processors=16)[1] == "CPU affinity: 16 of 64 processors"
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    assert decided({}, processors=64)[1] == "all 64 processors of this machine"
    # Neither is everywhere.
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert decided({}, processors=2)[1] == "all 2 processors of this machine"
    assert decided({}, processors=1)[1] == "the only processor of this machine"


# ---- what runs do ----

WORKERS = """
x = np.ones(4_000_000)
print(ff.run(x, "std").report.workers, ff.Pool().workers, ff.info()["workers"], ff.info()["workers_source"])
"""


@pytest.mark.parametrize("variable", ["FANFOLD_NUM_THREADS", "OMP_NUM_THREADS"])
def test_runs_obey_the_variable(variable: str) -> None:
    assert run_script(WORKERS, environment=UNLIMITED | {variable: "1"}) == f"1 1 1 {variable}=1"


def test_runs_start_no_thread_more() -> None:
    run_script(
        """
        before = threads()
        ff.run(np.ones(4_000_000), ["std", np.mean, lambda v: sum(v[:9])])
        assert started_since(before) == [], started_since(before)
        """,
        environment=UNLIMITED | {"OMP_NUM_THREADS": "1"},
    )


def test_the_number_of_a_call_beats_the_variable() -> None:
    run_script(
        """
        x = np.ones(4_000_000)
        assert ff.run(x, "std", workers=3).report.workers == 3
        assert ff.Pool(3).run(x, "std").report.workers == 3
        """,
        environment=UNLIMITED | {"OMP_NUM_THREADS": "1"},
    )


def test_without_variables_the_processors_decide() -> None:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used, pool, told, source = run_script(WORKERS, environment=UNLIMITED).split(" ", 3)
    assert used == pool == told
    assert 1 <= int(told) <= allowed
    assert "processor" in source


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux sets the affinity of a process")
def test_the_affinity_decides() -> None:
    prelude = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nimport numpy as np, fanfold as ff\n"
    words = run_script(WORKERS, environment=UNLIMITED, prelude=prelude)
    assert re.fullmatch(r"1 1 1 (CPU affinity: 1 of \d+ processors|the only processor of this machine)", words)


def test_a_forked_child_has_the_same_limit() -> None:
    run_script(
        """
        child = os.fork()
        if child == 0:
            os._exit(ff.run(np.ones(4_000_000), "std").report.workers)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        """,
        environment=UNLIMITED | {"OMP_NUM_THREADS": "1"},
    )


JOBLIB = """
    import joblib

    def used(number):
        import fanfold as ff
        return ff.run(np.full(4_000_000, number), "std").report.workers, ff.info()["workers_source"]

    processors = joblib.cpu_count()
    answers = joblib.Parallel(n_jobs=processors, backend=BACKEND)(joblib.delayed(used)(n) for n in range(4))
    assert [workers for workers, _ in answers] == [1] * 4, answers
    """


def test_nothing_multiplies_in_processes_of_joblib() -> None:
    # joblib sets OMP_NUM_THREADS in its processes to their share of the processors.
    checked = """
    assert processors == 1 or {source for _, source in answers} == {"OMP_NUM_THREADS=1"}, answers
    """
    run_script(JOBLIB.replace("BACKEND", "'loky'") + checked, environment={}, prelude=_WITHOUT_LIMITS)


def test_nothing_multiplies_in_processes_of_dask() -> None:
    # Dask's nanny starts workers with spawn, in an environment with these variables (`pre-spawn-environ`).
    environment = UNLIMITED | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as worker:
            assert worker.submit(_used, 4_000_000).result() == (1, "OMP_NUM_THREADS=1")
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for name in [name for name, value in before.items() if value is None]:
            del os.environ[name]


def _used(length: int) -> tuple[int, str]:
    return ff.run(np.ones(length), "std").report.workers, ff.info()["workers_source"]


_WITHOUT_LIMITS = """
import os
for name in ("FANFOLD_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.pop(name, None)
import numpy as np
import fanfold as ff
"""


# ---- info ----


def test_the_facts_are_data() -> None:
    info = ff.info()
    assert list(info) == [
        *("version", "debug", "wheel", "python", "packages", "platform", "cpu"),
        *("simd", "simd_source", "simd_available", "workers", "workers_source", "notes"),
    ]
    assert info["version"] == ff.__version__
    assert info["packages"]["numpy"] == np.__version__
    assert info["simd"] in info["simd_available"]
    assert json.loads(json.dumps(info)) == info
    info.clear()
    assert ff.info()


def test_every_fact_is_shown() -> None:
    info = ff.info()
    info["notes"] = ["a is ignored", "<b> is ignored"]
    shown = repr(info)
    for fact in ("version", "wheel", "python", "platform", "cpu", "simd", "simd_source", "workers_source"):
        assert info[fact] in shown
    assert f"numpy {np.__version__}" in shown
    assert re.search(rf"^  workers +{info['workers']} \(", shown, re.MULTILINE)
    assert "a is ignored" in shown and "<b> is ignored" in shown
    assert len({len(re.match(r"  \S+( \d)? +", line)[0]) for line in shown.split("\n")[1:]}) == 1  # type: ignore[index]
    page = info._repr_html_()
    assert "&lt;b&gt; is ignored" in page and "<details>" not in page
    for debug in (True, False):
        info["debug"] = debug
        assert ("debug build" in repr(info)) is debug


def test_no_package_is_imported_to_tell_its_version() -> None:
    run_script(
        """
        ff.info()
        found = {"scipy", "pandas", "polars", "pyarrow", "loky"} & set(sys.modules)
        assert not found, found
        """
    )


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("numpy", "no-such-package"))
    assert list(ff.info()["packages"]) == ["numpy"]


def test_ignored_variables_are_told() -> None:
    script = "print(ff.info())"
    shown = run_script(script, environment={"FANFOLD_NUM_THREADS": "many", "OMP_NUM_THREADS": "0"})
    assert "FANFOLD_NUM_THREADS='many' is ignored, because it is not a positive integer" in shown
    assert "OMP_NUM_THREADS='0' is ignored, because it is not a positive integer" in shown
    assert "ignored" not in run_script(script, environment=UNLIMITED)


@pytest.mark.parametrize("level", ff.info()["simd_available"])
def test_the_instruction_set_can_be_forced(level: str) -> None:
    script = "print(ff.info()['simd'], ff.info()['simd_source'])"
    assert run_script(script, environment={"FANFOLD_SIMD": level}) == f"{level} FANFOLD_SIMD={level}"


def test_a_nonsense_instruction_set_is_told_and_does_not_stop_runs() -> None:
    available = ", ".join(ff.info()["simd_available"])
    message = f'FANFOLD_SIMD="nonsense" is not a level of this processor: use one of {available}'
    run_script(
        f"""
        assert ff.run(np.arange(3.0), 'mean') == {{'mean': 1.0}}
        assert {message!r} in ff.info()['notes'] and {message!r} in repr(ff.info())
        assert ff.info()['simd_source'] == 'the best that this processor has'
        """,
        environment={"FANFOLD_SIMD": "nonsense"},
    )


def test_the_kind_of_wheel_is_that_of_its_tag() -> None:
    kinds = {
        "cp311-abi3-manylinux2014_x86_64": "abi3",
        "cp311-abi3-musllinux_1_2_x86_64": "abi3",
        "cp315-abi3t-manylinux2014_x86_64": "free-threaded abi3",
        "cp314-cp314t-manylinux2014_x86_64": "free-threaded",
        "cp312-cp312-win_amd64": "for one version of Python",
        "cp311-abi3-linux_x86_64": "built from source",
    }
    for tag, kind in kinds.items():
        assert module.kind_of_wheel([tag, "cp311-abi3-manylinux1_x86_64"]) == f"{kind} ({tag})"
    assert module.kind_of_wheel([]) == "built from source"


def test_the_wheel_is_that_of_this_package(tmp_path: Path) -> None:
    # A package that is installed beside the one that runs has nothing to say of it.
    facts = tmp_path / "fanfold-9.9.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fanfold\nVersion: 9.9\n")
    (facts / "WHEEL").write_text("Wheel-Version: 1.0\nTag: cp311-abi3-manylinux2014_x86_64\n")
    here = Path(ff.__file__).parent
    script = "import fanfold as ff; print(ff.info()['wheel'])"

    def told(*paths: Path) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    (tmp_path / "fanfold").mkdir()
    assert told(here.parent, tmp_path) == "built from source"
    (tmp_path / "fanfold").rmdir()
    (tmp_path / "fanfold").symlink_to(here)
    assert told(tmp_path) == "abi3 (cp311-abi3-manylinux2014_x86_64)"
