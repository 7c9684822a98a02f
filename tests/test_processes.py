"""`processes=True`: functions that cannot be fused run in worker processes, and return what they return here."""

import functools
import gc
import importlib.util
import mmap
import multiprocessing
import multiprocessing.shared_memory
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import fanfold as ff
from fanfold.processes import memory, pool
from fanfold.tracing.calls import SMALLEST
from fresh import PRELUDE, run_script

X = np.random.default_rng(5).standard_normal(200_000)
SMALL = X[:1000].copy()
BOTH_WAYS = pytest.mark.usefixtures("way")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture(params=["files", "names"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of shared memory: files without a name, and names where there are no such files."""
    if request.param == "files" and not memory.HAS_FILES:
        pytest.skip("this system has names only")
    monkeypatch.setattr(memory, "HAS_FILES", request.param == "files")
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert not names()


def names(process: int | None = None) -> set[str]:
    """The names of shared memory for which a process asked."""
    start, folder = f"fanfold_{process or os.getpid()}_", Path("/dev/shm")
    return {path.name for path in folder.iterdir() if path.name.startswith(start)} if folder.exists() else set()


def run(data: Any, functions: Any, **options: Any) -> Any:
    return ff.run(data, functions, processes=True, **{"workers": 2, **options})


def assert_same(found: Any, right: Any) -> None:
    assert type(found) is type(right)
    if isinstance(right, np.ndarray):
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        np.testing.assert_array_equal(found, right)
    elif isinstance(right, dict):
        assert list(found) == list(right)
        for key, value in right.items():
            assert_same(found[key], value)
    elif isinstance(right, list):
        assert len(found) == len(right)
        for one, other in zip(found, right, strict=True):
            assert_same(one, other)
    elif isinstance(right, pd.Series):
        pd.testing.assert_series_equal(found, right)
    else:
        assert found == right


# ---- what runs where ----


def total(v: npt.NDArray[Any]) -> float:
    result = 0.0
    for value in v.tolist():
        result += value
    return result


class Point:
    def __init__(self, place: Any) -> None:
        self.place = place

    def __eq__(self, other: object) -> bool:
        return type(other) is Point and bool(np.all(self.place == other.place))


def real(v: Any) -> Any:
    """The array, which must have elements from now on."""
    v.tolist()
    return v


POWER = 3

NOT_FUSED = {
    "loop": total,
    "iteration": lambda v: sum(v),
    "elements": lambda v: [v[i] for i in range(0, 100, 7)],
    "sorted": lambda v: sorted(v)[:3],
    "pandas": lambda v: pd.Series(v).rolling(3).mean().tail(4),
    "sort": lambda v: np.sort(v),
    "module global": lambda v: [POWER, *v[:2].tolist()],
    "a class": lambda v: Point(v[:5].copy()),
    "partial": functools.partial(lambda v, n: v.tolist()[:n], n=3),
    "after a formula": lambda v: [(v - v.mean()).std(), *map(float, v[:3])],
    "of a formula": lambda v: (v * 2).tolist()[:3],
    "view": lambda v: v.reshape(-1, 2)[:3, 1],
    "large": lambda v: {"a": real(v) * 2, "b": [real(v).astype(np.float32)], "c": 1},
    "text": lambda v: repr(v),
    "facts": lambda v: [v.dtype, v.shape, v.ndim, len(v), v.nbytes, v.flags.c_contiguous, isinstance(v, np.ndarray)],
    "many values": lambda v: [np.quantile(v, q).item() for q in np.linspace(0, 1, 20)],
    "memory": lambda v: [memoryview(v).nbytes, v.view(np.int64).sum(), v.item(3), 0.5 in v],
    "next": lambda v: next(iter(v)),
    "closure": (lambda n: lambda v: v.tolist()[n])(7),
}

FUSED = {
    "mean": lambda v: v.mean(),
    "score": lambda v: (v - v.mean()) / v.std(),
    "branch": lambda v: v.std() if v.mean() > 0 else v.max(),
    "selection": lambda v: v[v > 0].mean(),
    "differences": lambda v: np.abs(v[1:] - v[:-1]).max(),
    "median": lambda v: np.median(np.abs(v)),
    "quantiles": lambda v: np.quantile(v, [0.1, 0.9]),
}


@pytest.mark.parametrize("key", NOT_FUSED)
def test_what_cannot_be_fused_runs_in_a_process(key: str) -> None:
    function = NOT_FUSED[key]
    found = run(X, {"f": function, "mean": "mean"})
    assert_same(found["f"], function(X))
    assert found.report.how == {"f": "process", "mean": "kernel"}
    assert found.report.why["f"]
    small = run(SMALL, {"f": function})
    assert_same(small["f"], function(SMALL))
    assert small.report.how == {"f": "process"}
    assert small.report.why == {"f": f"the array has fewer than {SMALLEST:,} elements"}


def test_what_can_be_fused_stays() -> None:
    found, right = run(X, FUSED), ff.run(X, FUSED)
    for key in FUSED:
        assert_same(found[key], right[key])
    assert found.report.how == right.report.how
    assert found.report.bytes_copied == 0


def test_processes_are_others_and_stay_warm() -> None:
    functions = {str(number): lambda v: (v[0], os.getpid(), time.sleep(0.05))[1] for number in range(4)}
    one, two = (set(run(X, functions).values()) for _ in range(2))
    assert os.getpid() not in one | two
    assert len(one) == 2
    assert one == two


def test_results_are_in_the_order_of_the_functions() -> None:
    functions = {"c": lambda v: v.tolist()[0], "mean": "mean", "a": lambda v: v.std(), "b": lambda v: v.tolist()[1]}
    assert list(run(X, functions)) == ["c", "mean", "a", "b"]


def test_a_single_function_and_a_single_worker() -> None:
    for workers in (1, 2, None):
        found = run(X, {"f": lambda v: (os.getpid(), total(v))}, workers=workers)
        assert found["f"][0] != os.getpid()
        assert found["f"][1] == total(X)


def test_a_plan_and_a_pool() -> None:
    functions = {"f": lambda v: (v.tolist()[0], os.getpid())}
    with ff.Pool(2) as own:
        for found in (ff.plan(functions).run(X, processes=True), own.run(X, functions, processes=True)):
            assert found["f"][0] == X[0]
            assert found["f"][1] != os.getpid()


def test_a_function_that_fills_a_dict() -> None:
    def both(v: npt.NDArray[Any], out: dict[str, Any]) -> None:
        out["first"], out["process"] = v.tolist()[0], os.getpid()

    found = run(X, ["mean", both])
    assert list(found) == ["mean", "first", "process"]
    assert found["first"] == X[0]
    assert found["process"] != os.getpid()


def test_the_input_is_read_only() -> None:
    def writes(v: npt.NDArray[Any]) -> None:
        v[0] = 1

    def adds(v: npt.NDArray[Any]) -> Any:
        v += 1
        return v

    def sorts(v: npt.NDArray[Any]) -> None:
        v.sort()

    before = X.copy()
    found = run(X, {"writes": writes, "adds": adds, "sorts": sorts}, on_error="return")
    for key in found:
        assert isinstance(found[key], ValueError), found[key]
        assert "read-only" in str(found[key])
    np.testing.assert_array_equal(X, before)


def test_the_input_itself_is_returned() -> None:
    found = run(X, {"same": lambda v: v, "part": lambda v: v[10:]})
    for key, right in {"same": X, "part": X[10:]}.items():
        assert_same(found[key], right)
        assert np.shares_memory(found[key], X)
        assert not found[key].flags.writeable


def test_copies_of_the_input_may_be_written_to() -> None:
    def small(v: npt.NDArray[Any]) -> Any:
        part = v[:5].copy()
        part[0] = 7
        return part, v.mean()

    every = X[::2]
    functions = {"copy": lambda v: v.copy(), "array": lambda v: np.array(v), "small": small}
    functions["contiguous"] = lambda v: np.ascontiguousarray(v)
    found = run(every, functions)
    for key in ("copy", "array", "contiguous"):
        np.testing.assert_array_equal(found[key], every)
        assert not np.shares_memory(found[key], every)
        assert found[key].flags.writeable
        assert found[key].flags.c_contiguous
    part, mean = found["small"]
    np.testing.assert_array_equal(part, [7, *every[1:5]])
    np.testing.assert_allclose(mean, every.mean())


def in_a_pool(_: int) -> Any:
    found = run(X, {"f": lambda v: (v.tolist()[0], os.getpid())})
    return found["f"][1] == os.getpid(), found.report.how


def test_a_process_that_may_start_no_others_runs_functions_itself() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as own:
        assert own.map(in_a_pool, [0]) == [(True, {"f": "plain"})]


def test_values_that_are_stored_elsewhere_are_computed() -> None:
    kept: list[Any] = []
    run(X, {"f": lambda v: kept.extend([v, v.mean(), v * 2])})
    np.testing.assert_array_equal(np.asarray(kept[0]), X)
    np.testing.assert_array_equal(np.asarray(kept[2]), X * 2)
    assert float(kept[1]) == ff.run(X, "mean")["mean"]


def test_a_run_inside_a_process_uses_one_thread_and_no_further_process() -> None:
    def nested(v: npt.NDArray[Any]) -> Any:
        inner = ff.run(real(v), {"f": lambda w: (w.tolist()[0], os.getpid()), "mean": "mean"}, processes=True)
        return inner["f"][1] == os.getpid(), inner.report.how, inner.report.workers, os.environ["OMP_NUM_THREADS"]

    right = (True, {"f": "plain", "mean": "kernel"}, 1, os.environ.get("OMP_NUM_THREADS", "1"))
    assert run(X, {"f": nested})["f"] == right


def test_a_run_inside_a_function_may_use_processes() -> None:
    def outer(v: npt.NDArray[Any]) -> Any:
        return ff.run(X, {"f": total}, processes=True).report.how, v.mean()

    assert ff.run(X, {"a": outer, "b": outer}, workers=2)["a"][0] == {"f": "process"}


# ---- the array ----


class Meaning(np.ndarray[Any, Any]):
    """An array with a meaning of its own."""

    def doubled(self) -> Any:
        return self * 2


def layouts() -> dict[str, npt.NDArray[Any]]:
    table = np.random.default_rng(2).standard_normal((700, 900))
    records = np.zeros(500, [("a", "i4"), ("b", "f8")])
    records["a"] = np.arange(500)
    return {
        "one": X,
        "reversed": X[::-1],
        "strided": X[3::5],
        "far apart": np.arange(3_000_000.0)[::10_000],
        "unaligned": np.frombuffer(b"x" + SMALL.tobytes(), np.uint8)[1:].view(float),
        "table": table,
        "transposed": table.T,
        "column": table[:, 5],
        "block": table[10:20, ::-3],
        "broadcast": np.broadcast_to(3.5, (1000, 1000)),
        "rows broadcast": np.broadcast_to(SMALL[::2], (300, 500)),
        "windows": np.lib.stride_tricks.sliding_window_view(SMALL, 5),
        "scalar": np.array(3.0),
        "empty": np.empty((0, 3)).copy(),
        "half": X.astype(np.float16),
        "swapped": X.astype(">f8"),
        "times": np.arange(1000).astype("M8[s]"),
        "text": np.array(["a", "bcd"]),
        "records": records,
        "objects": np.array([1, "a", None], object),
        "own class": SMALL.view(Meaning),
    }


@BOTH_WAYS
@pytest.mark.parametrize("key", layouts())
def test_every_layout_travels_as_it_is(key: str) -> None:
    def seen(v: npt.NDArray[Any]) -> Any:
        real(v)
        place = v.__array_interface__["data"][0] % 64 if not v.dtype.hasobject else 0
        return type(v), v.dtype, v.shape, v.strides if v.size else None, v.flags.writeable, place, v.copy(order="K")

    array = layouts()[key]
    found = run(array, {"seen": seen, "here": lambda v: os.getpid()} | {"there": lambda v: (str(v), os.getpid())[1]})
    *facts, values = found["seen"]
    assert found["there"] != os.getpid()
    is_ours = type(array) is np.ndarray and not array.dtype.hasobject and array.size > 0
    place = array.__array_interface__["data"][0] % 64 if is_ours else facts[-1]
    assert facts == [type(array), array.dtype, array.shape, array.strides if array.size else None, False, place]
    np.testing.assert_array_equal(values, array)


def test_missing_elements() -> None:
    masked = np.ma.masked_greater(X, 0)
    found = run(masked, {"f": total, "mean": "mean"})
    assert found["f"] == total(masked.compressed())
    assert found.report.how == {"f": "process", "mean": "kernel"}


def there(v: npt.NDArray[Any]) -> Any:
    return real(v).sum(), os.getpid()


def assert_without_a_copy(array: npt.NDArray[Any]) -> None:
    found = run(array, {"a": there, "b": there})
    assert found["a"][0] == array.sum()
    assert os.getpid() not in (found["a"][1], found["b"][1])
    assert found.report.bytes_copied == 0


@BOTH_WAYS
def test_a_copy_is_made_once_for_all_functions() -> None:
    found = run(X, dict.fromkeys("abcd", there))
    assert found.report.bytes_copied == X.nbytes
    assert ff.run(X, {"a": there}).report.bytes_copied == 0


@LINUX
def test_shared_memory_is_not_copied() -> None:
    shared = multiprocessing.shared_memory.SharedMemory(create=True, size=X.nbytes)
    try:
        array = np.ndarray(X.shape, X.dtype, shared.buf)
        array[:] = X
        assert_without_a_copy(array)
        assert_without_a_copy(array[100:1000:-3] if array[100:1000:-3].size else array[1000:100:-3])
        # What others write is seen, by a process that has seen the memory before, too.
        array[7] = 1e9
        assert_without_a_copy(array)
    finally:
        del array
        shared.close()
        shared.unlink()


@LINUX
def test_multiprocessing_arrays_are_not_copied() -> None:
    own = multiprocessing.RawArray("d", 5000)
    array = np.frombuffer(own)
    array[:] = X[:5000]
    assert_without_a_copy(array)
    assert run(multiprocessing.Array("d", range(5000)), {"a": there}).report.bytes_copied == 0


@LINUX
@pytest.mark.parametrize("offset", [0, 8, 4096, 70_008])
def test_files_are_not_copied(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "file with spaces"
    path.write_bytes(bytes(offset) + X.tobytes())
    mapped = np.memmap(path, X.dtype, "r", offset)
    assert_without_a_copy(mapped)
    assert_without_a_copy(mapped[1::2])
    with path.open("rb") as file:
        own = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert_without_a_copy(np.frombuffer(own, X.dtype, offset=offset))
    # Another file has the name now; the array lies in the one that was removed, which is still open.
    path.unlink()
    path.write_bytes(bytes(offset + X.nbytes))
    assert_without_a_copy(mapped)
    np.testing.assert_array_equal(mapped, X)


@BOTH_WAYS
def test_memory_that_nobody_can_open_is_copied() -> None:
    array = np.frombuffer(mmap.mmap(-1, SMALL.nbytes), SMALL.dtype)
    array[:] = SMALL
    found = run(array, {"a": there})
    assert found["a"][0] == SMALL.sum()
    assert found.report.bytes_copied == SMALL.nbytes


@LINUX
def test_what_was_written_to_a_private_map_travels(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(X.tobytes())
    mapped = np.memmap(path, X.dtype, "c")
    mapped[:100] = 5
    found = run(mapped, {"a": there})
    assert found["a"][0] == mapped.sum()
    assert found.report.bytes_copied == X.nbytes


def test_a_compiled_function_that_refuses_read_only_arrays_gets_a_copy() -> None:
    def picky(v: npt.NDArray[Any]) -> Any:
        if not real(v).flags.writeable:
            raise ValueError("buffer source array is read-only")
        return os.getpid()

    found = run(X, {"f": picky})
    assert found["f"] != os.getpid()
    assert found.report.bytes_copied == 2 * X.nbytes


# ---- results ----


@BOTH_WAYS
def test_large_results_come_back_whole_and_writeable() -> None:
    found = run(X, {"f": lambda v: [real(v) + 1, real(v)[::2] * 2, "text" * 200_000]})["f"]
    np.testing.assert_array_equal(found[0], X + 1)
    np.testing.assert_array_equal(found[1], X[::2] * 2)
    assert found[2] == "text" * 200_000
    found[0][:] = 0
    np.testing.assert_array_equal(found[1], X[::2] * 2)


def test_a_class_of_a_function_comes_back_as_itself() -> None:
    class Own:
        def __init__(self, value: float) -> None:
            self.value = value

    found = run(X, {"f": lambda v: Own(v.tolist()[0])})["f"]
    assert type(found) is Own
    assert found.value == X[0]


@BOTH_WAYS
def test_results_that_cannot_be_pickled_fail_alone() -> None:
    functions = {"lock": lambda v: (v.tolist()[0], threading.Lock()), "good": total, "mean": "mean"}
    found = run(X, functions, on_error="return")
    assert isinstance(found["lock"], TypeError)
    assert "its result cannot be sent back" in str(found["lock"])
    assert found["good"] == total(X)


@BOTH_WAYS
def test_functions_that_cannot_be_pickled_fail_alone() -> None:
    lock = threading.Lock()

    def holds(v: npt.NDArray[Any]) -> float:
        with lock:
            return total(v)

    found = run(X, {"holds": holds, "good": total}, on_error="return")
    assert isinstance(found["holds"], TypeError)
    assert "'holds' cannot be sent to a process" in str(found["holds"])
    assert found["good"] == total(X)


# ---- exceptions, warnings ----


class Own(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unpicklable(Exception):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lock = threading.Lock()


def raising(kind: Any, *args: Any) -> Any:
    def function(v: npt.NDArray[Any]) -> Any:
        v.tolist()
        raise kind(*args)

    return function


def test_exceptions_are_those_of_the_functions() -> None:
    with pytest.raises(ZeroDivisionError, match="text") as caught:
        run(X, {"bad": raising(ZeroDivisionError, "text"), "good": total})
    notes = "\n".join(caught.value.__notes__)
    assert "raised by the function 'bad'" in notes
    assert "in function\n    raise kind(*args)" in notes
    assert "fanfold/" not in notes
    assert caught.value.results["good"] == total(X)


@BOTH_WAYS
def test_exceptions_are_returned() -> None:
    functions = {
        "own": raising(Own, 3, "text"),
        "unpicklable": raising(Unpicklable, "text"),
        "key": raising(KeyError, 1),
        "good": total,
    }
    found = run(X, functions, on_error="return")
    # Own cannot be unpickled: pickle calls it with one argument.
    assert (type(found["own"]), str(found["own"])) == (RuntimeError, "Own: text")
    assert (type(found["unpicklable"]), str(found["unpicklable"])) == (RuntimeError, "Unpicklable: text")
    assert (type(found["key"]), found["key"].args) == (KeyError, (1,))
    assert found["good"] == total(X)


def test_a_function_that_ends_the_interpreter_fails_alone() -> None:
    with pytest.raises(RuntimeError, match="process of 'f' ended with exit code 3 before"):
        run(X, {"f": lambda v: sys.exit(v.tolist() and 3)})


def test_floating_point_errors_obey_the_callers_state() -> None:
    def divides(v: npt.NDArray[Any]) -> Any:
        return (np.array(v.tolist()[:3]) / 0.0).shape

    with pytest.warns(RuntimeWarning, match="divide by zero") as told:
        run(X, {"f": divides})
    assert Path(told[0].filename).name == Path(__file__).name
    with np.errstate(all="ignore"):
        assert run(X, {"f": divides})["f"] == (3,)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        run(X, {"f": divides})


def test_warnings_of_a_notebook_are_shown() -> None:
    names: dict[str, Any] = {"np": np}
    exec(compile("def f(v): return np.array(v.tolist()[:3]) / 0.0", "<cell>", "exec"), names)
    with pytest.warns(RuntimeWarning, match="divide by zero") as told:
        run(X, names["f"])
    assert told[0].filename == "<cell>"


def test_warnings_obey_the_callers_filters() -> None:
    def warns(v: npt.NDArray[Any]) -> int:
        warnings.warn(f"{len(v.tolist())} elements", UserWarning, stacklevel=1)
        return os.getpid()

    with pytest.warns(UserWarning, match="200000 elements"):
        run(X, {"f": warns})
    with pytest.raises(UserWarning, match="200000 elements"):
        run(X, {"f": warns})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "2.* ELEMENTS")
        assert run(X, {"f": warns})["f"] != os.getpid()


# ---- processes that die, timeouts, Ctrl-C ----


@BOTH_WAYS
@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 11)"])
def test_a_process_that_dies_is_the_error_of_its_function(end: str) -> None:
    source = f"lambda v: (v.tolist(), {end})"
    functions = {str(number): (lambda v: (time.sleep(0.02), total(v))[1]) for number in range(4)}
    found = run(X, {"dies": eval(source), **functions, "mean": "mean"}, on_error="return")
    words = "ended with exit code 3" if "exit" in end else "was ended by SIG"
    assert isinstance(found["dies"], RuntimeError)
    assert f"the process of 'dies' {words}" in str(found["dies"])
    for key in functions:
        assert found[key] == total(X)
    assert run(X, {"f": total})["f"] == total(X)


def test_a_process_that_died_between_two_calls_is_replaced() -> None:
    process = run(X, {"f": lambda v: (v.tolist(), os.getpid())[1]})["f"]
    (worker,) = (worker for worker in pool._idle if worker._process.pid == process)
    os.kill(process, signal.SIGKILL)
    worker._process.join()
    assert run(X, {"f": total}, on_error="return")["f"] == total(X)


def ended(process: int) -> bool:
    """Whether a process ends soon."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def endless(path: Path) -> Any:
    """A function that tells its process, and does not return."""

    def function(v: npt.NDArray[Any]) -> None:
        v.tolist()
        path.write_text(str(os.getpid()), encoding="utf-8")
        while True:
            pass

    return function


@BOTH_WAYS
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [1000, 200_000])
def test_a_timeout_ends_the_process(workers: int, size: int, tmp_path: Path) -> None:
    run(X, dict.fromkeys("ab", there))
    with pytest.raises(TimeoutError, match="'f' had not returned: its process was ended") as caught:
        run(X[:size], {"f": endless(tmp_path / "f"), "mean": "mean"}, timeout=2, workers=workers)
    assert "timeout=2 s passed" in str(caught.value)
    assert ended(int((tmp_path / "f").read_text(encoding="utf-8")))
    assert run(X, {"f": total}, timeout=60)["f"] == total(X)


def test_a_timeout_names_all_functions(tmp_path: Path) -> None:
    functions = {key: endless(tmp_path / key) for key in "abc"}
    with pytest.raises(TimeoutError, match="'a', 'b' had not returned: their processes were ended"):
        run(X, functions, timeout=2)


SCRIPT = """
def forever(v):
    v.tolist()
    print(os.getpid(), flush=True)
    while True:
        pass

x = np.ones(200_000)
ff.run(x, {'f': lambda v: v.tolist()[0]}, processes=True, workers=2)
try:
    ff.run(x, {'a': forever, 'b': forever}, processes=True, workers=2)
except KeyboardInterrupt as error:
    print(time.monotonic(), *error.__notes__, flush=True)
print(ff.run(x, {'f': lambda v: v.tolist()[0]}, processes=True, workers=2)['f'], flush=True)
"""


@pytest.mark.serial
@pytest.mark.parametrize("group", [False, True])
def test_ctrl_c_ends_a_run_within_100_ms(group: bool) -> None:
    """In a terminal, the workers get the signal too."""
    command = [sys.executable, "-c", PRELUDE + SCRIPT]
    latencies = []
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout
            try:
                busy = [int(process.stdout.readline()) for _ in range(2)]
                pressed = time.monotonic()
                (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
                caught, _, told = process.stdout.readline().partition(" ")
                assert "'a', 'b' had not returned: their processes were ended" in told
                latencies.append(float(caught) - pressed)
                assert process.stdout.readline() == "1.0\n"
                assert process.wait(20) == 0
                assert all(map(ended, busy))
            finally:
                process.kill()
    assert min(latencies) < 0.1, latencies
    assert max(latencies) < 1, latencies


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_after_a_crash(kill: int, way: str) -> None:
    """Neither names of shared memory, nor processes: a worker that is busy ends with its parent."""
    source = f"from fanfold.processes import memory\nmemory.HAS_FILES = {way == 'files'}\n"
    command = [sys.executable, "-c", PRELUDE + source + SCRIPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        busy = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(kill)
    assert all(map(ended, busy))
    until = time.monotonic() + 20
    while names(process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not names(process.pid)


def test_the_processes_end_with_the_interpreter() -> None:
    printed = run_script(
        """
        def f(v):
            return v.tolist() and os.getpid()
        x = np.ones(200_000)
        r = ff.run(x, {str(i): f for i in range(4)}, processes=True, workers=2)
        print(*set(r.values()))
        """
    )
    assert all(ended(int(process)) for process in printed.split())


def test_functions_and_classes_of_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    source = """
    print("once")
    class Own:
        def __init__(self, first):
            self.first = first
    OFFSET = 5
    def f(v):
        return Own(v.tolist()[0] + OFFSET)
    r = ff.run(np.ones(200_000), [f], processes=True)
    assert type(r["f"]) is Own and r["f"].first == 6.0, r
    """
    script.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("once\n", "")


def test_modules_and_files_are_found_as_in_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a process that began before."""
    run(X, {"f": total})
    (tmp_path / "found_later.py").write_text("def f(v):\n    return v.tolist()[0], open('here').read()\n")
    (tmp_path / "here").write_text("text")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module("found_later")
    assert run(X, [module.f])["f"] == (X[0], "text")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_process_has_workers_of_its_own() -> None:
    printed = run_script(
        """
        def f(v):
            return v.tolist() and os.getpid()
        x = np.ones(200_000)
        before = ff.run(x, [f], processes=True)["f"]
        child = os.fork()
        if not child:
            assert ff.run(x, [f], processes=True)["f"] != before
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), ff.run(x, [f], processes=True)["f"] == before)
        """
    )
    assert printed == "0 True"


@BOTH_WAYS
def test_arrays_are_not_kept() -> None:
    import weakref

    array = X.copy()
    kept = weakref.ref(array)
    run(array, {"f": total, "bad": raising(KeyError, 1)}, on_error="return")
    del array
    gc.collect()
    assert kept() is None


# ---- axis, where, by, weights, tables ----


def apart(v: Any, axis: Any = None, where: Any = None, weights: Any = None, keepdims: Any = False) -> Any:
    values = real(v) if where is None else np.where(where, v, 0)
    values = values if weights is None else values * weights
    return np.array(values.tolist()).sum(axis=axis)


def process(v: Any, axis: Any = None, **others: Any) -> Any:
    del axis, others
    return real(v).size and os.getpid()


@BOTH_WAYS
@pytest.mark.parametrize("size", [20, 400])
def test_axes_masks_and_weights(size: int) -> None:
    table = np.random.default_rng(1).integers(0, 9, (size, 500)).astype(float)
    functions = {"f": apart, "process": process, "mean": "mean"}
    for options in ({"axis": 0}, {"axis": 1, "where": table > 3}, {"axis": 0, "weights": np.arange(float(size))}):
        kernels = ["f", "process"] if "where" in options or "weights" in options else functions
        chosen = {key: functions[key] for key in kernels}
        if "weights" in options:
            chosen["f"] = lambda v, axis, weights: apart(v.T, axis=1, weights=weights)
        found, right = run(table, chosen, **options), ff.run(table, chosen, **options)
        assert_same(found["f"], right["f"])
        assert found["process"] != os.getpid()
        assert found.report.how["f"] == "process"


@BOTH_WAYS
def test_groups() -> None:
    labels = np.arange(X.size) % 7
    functions = {"f": lambda v: sum(v.tolist()), "process": process, "mean": "mean"}
    found, right = run(X, functions, by=labels), ff.run(X, functions, by=labels)
    assert_same(found["f"], right["f"])
    assert_same(found["mean"], right["mean"])
    # The groups are shared out among the processes.
    assert 1 <= len(set(found["process"])) <= 7
    assert os.getpid() not in found["process"]
    assert found.report.how == {"f": "process", "process": "process", "mean": "kernel"}


def test_many_groups() -> None:
    labels = np.arange(X.size) // 50
    functions = {"f": lambda v: sum(v.tolist()), "top": lambda v: v.max()}
    found, right = run(X, functions, by=labels), ff.run(X, functions, by=labels)
    assert_same(found["f"], right["f"])
    assert_same(found["top"], right["top"])
    assert found.report.how == {"f": "process", "top": "fused"}
    assert found.report.why["f"].startswith("called for each group: ")


def test_groups_along_an_axis_and_with_weights() -> None:
    table, labels = X[:6000].reshape(60, 100), np.arange(60) % 4
    functions = {"f": apart, "process": process}
    found, right = (own(table, functions, by=labels, axis=0, weights=None) for own in (run, ff.run))
    assert_same(found["f"], right["f"])
    assert os.getpid() not in found["process"].reshape(-1)
    weighed = {"f": lambda v, weights: (v * weights).tolist()[0]}
    found, right = (own(X, weighed, by=np.arange(X.size) % 4, weights=np.abs(X)) for own in (run, ff.run))
    assert_same(found["f"], right["f"])


def test_tables() -> None:
    frame = pd.DataFrame({"a": X, "b": -X, "c": np.arange(X.size)})
    functions = {"f": total, "process": process, "mean": "mean"}
    found, right = run(frame, functions), ff.run(frame, functions)
    assert_same(found["f"], right["f"])
    assert os.getpid() not in found["process"].values()
    assert found.report.bytes_copied == sum(frame[name].nbytes for name in "abc")


@BOTH_WAYS
@pytest.mark.parametrize("size", [1000, X.size])
def test_functions_of_several_columns(size: int) -> None:
    def rises(b: Any, a: Any) -> Any:
        return sum(x < y for x, y in zip(a.tolist(), b.tolist(), strict=True)), a.flags.writeable, os.getpid()

    def related(a: Any, b: Any) -> Any:
        return (a * b).mean()

    table = {"a": X[:size], "b": np.arange(size) / size, "c": X[:size].astype(np.float32)}
    found = run(table, {"rises": rises, "related": related, "last": lambda v: v.tolist()[-1]})
    count, is_writeable, number = found["rises"]
    assert count == int((table["a"] < table["b"]).sum())
    assert not is_writeable
    assert number != os.getpid()
    np.testing.assert_allclose(found["related"], (table["a"] * table["b"]).mean())
    assert found["last"] == {name: column.tolist()[-1] for name, column in table.items()}
    traced = "fused" if size == X.size else "process"
    assert found.report.how == {"rises": "process", "related": traced, "last": "process"}
    assert found.report.bytes_copied == sum(column.nbytes for column in table.values())
    assert found.report.times.functions.keys() == {"rises", "related", "last"}


@BOTH_WAYS
def test_functions_of_several_columns_with_groups() -> None:
    def heavier(a: Any, b: Any) -> Any:
        return sum(a.tolist()) > sum(b.tolist()), os.getpid()

    table, labels = {"a": X[:5000], "b": -X[5000:10_000]}, np.arange(5000) % 11
    found = run(table, {"heavier": heavier}, by=labels)
    for label, (is_heavier, number) in enumerate(found["heavier"]):
        own = labels == label
        assert is_heavier == (sum(table["a"][own].tolist()) > sum(table["b"][own].tolist()))
        assert number != os.getpid()
    assert len({number for _, number in found["heavier"]}) == 1
    assert found.report.how == {"heavier": "process"}


@BOTH_WAYS
def test_functions_of_one_sequence_are_called_for_rows_in_processes() -> None:
    def longest(v: npt.NDArray[Any]) -> Any:
        best = run = 0
        for value in v.tolist():
            run = run + 1 if value > 0 else 0
            best = max(best, run)
        return best

    table = X[:60_000].reshape(300, 200)
    functions = {
        "longest": longest,
        "where": lambda v: v.tolist() and os.getpid(),
        "spread": lambda v: v.max() - v.min(),
    }
    found = run(table, functions, axis=1)
    np.testing.assert_array_equal(found["longest"], np.apply_along_axis(longest, 1, table))
    np.testing.assert_array_equal(found["spread"], np.ptp(table, axis=1))
    assert os.getpid() not in found["where"]
    assert found.report.how == {"longest": "process", "where": "process", "spread": "fused"}
    assert "called for each row" in found.report.why["longest"]

    def picky(v: npt.NDArray[Any]) -> Any:
        if v.tolist()[0] == table[7, 0]:
            raise KeyError("seven")
        return 1

    wrong = run(table, {"picky": picky, "longest": longest}, axis=1, on_error="return")
    assert isinstance(wrong["picky"], KeyError)
    np.testing.assert_array_equal(wrong["longest"], found["longest"])


# ---- arguments ----


@pytest.mark.parametrize("wrong", [1, 2, None, "yes"])
def test_processes_is_a_bool(wrong: Any) -> None:
    for call in (ff.run, ff.plan(["mean"]).run):
        given = (X, ["mean"]) if call is ff.run else (X,)
        with pytest.raises(TypeError, match=r"processes must be True or False, not .*: pass workers="):
            call(*given, processes=wrong)


def test_without_loky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fanfold\[processes\]'"):
        run(X, ["mean"])
    assert ff.run(X, ["mean"], processes=False)


def test_kernels_alone_need_no_process() -> None:
    assert run(X, ["mean", "std"]) == ff.run(X, ["mean", "std"])
