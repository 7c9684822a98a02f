"""The array is read where it lies: nothing is copied, changed or held on to, in any layout, whoever writes to it."""

import gc
import hashlib
import mmap
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fresh import run_script

Array = npt.NDArray[Any]
as_strided = np.lib.stride_tricks.as_strided

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# Exact for whole numbers, in any order of adding; with what minds the order of the elements.
EXACT = ["count", "count_nonzero", "sum", "mean", "min", "max", "argmin", "argmax", "is_sorted", "histogram"]


def whole(n: int, dtype: str = "f8") -> Array:
    """`n` whole numbers below 100, the largest and the smallest of them somewhere in the middle."""
    return np.random.default_rng(n).integers(0, 100, n).astype(dtype)


def field(n: int) -> Array:
    records = np.zeros(n, [("flag", "i1"), ("value", "f8"), ("rest", "V4")])
    records["value"] = whole(n)
    return records["value"]


def misaligned(n: int) -> Array:
    return np.frombuffer(bytearray(b"\0" + whole(n).tobytes()), "f8", offset=1)


def cube(n: int) -> Array:
    return whole(n // 12 * 12).reshape(3, -1, 4)


def windows(n: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(whole(n // 4), 4)


def locked(array: Array) -> Array:
    array.flags.writeable = False
    return array


# Each makes an array of about n elements.
LAYOUTS: dict[str, Callable[[int], Array]] = {
    "C order": cube,
    "Fortran order": lambda n: np.asfortranarray(cube(n)),
    "transposed": lambda n: cube(n).T,
    "axes swapped": lambda n: cube(n).swapaxes(0, 1),
    "every second": lambda n: whole(2 * n)[::2],
    "reversed": lambda n: whole(n)[::-1],
    "reversed along one axis": lambda n: cube(n)[:, ::-1],
    "every third backwards": lambda n: cube(3 * n)[::-1, ::-3, ::2],
    "a column": lambda n: whole(3 * n).reshape(-1, 3)[:, 1],
    "a part of the rows": lambda n: whole(2 * n).reshape(-1, 10)[:, 3:8],
    "a column broadcast": lambda n: np.broadcast_to(whole(n // 7)[:, None], (n // 7, 7)),
    "a row broadcast": lambda n: np.broadcast_to(whole(n // 7), (7, n // 7)),
    "one element broadcast": lambda n: np.broadcast_to(3.0, (3, n // 3)),
    "overlapping windows": windows,
    "overlapping windows backwards": lambda n: windows(n)[::-1, ::-1],
    "strides of 4 bytes": lambda n: as_strided(np.tile(whole(1), n), (n,), (4,)),
    "misaligned": misaligned,
    "misaligned and reversed": lambda n: misaligned(n)[::-1],
    "a field of a record": field,
    "a field of a record backwards": lambda n: field(n)[::-2],
    "big-endian": lambda n: whole(n, ">f8"),
    "big-endian integers": lambda n: whole(n, ">i4"),
    "little-endian": lambda n: whole(n, "<f8"),
    "big-endian, transposed": lambda n: cube(n).astype(">f4").T,
    "float16": lambda n: whole(n, "f2"),
    "bytes": lambda n: whole(n, "u1"),
    "booleans of any byte": lambda n: (whole(n, "u1") // 7).view("?"),
    "one element": lambda n: whole(1),
    "no dimension": lambda n: np.array(3.0),
    "seven dimensions": lambda n: whole(n // 128 * 128).reshape(2, 2, 2, -1, 2, 2, 4).transpose(3, 0, 6, 1, 2, 5, 4),
    "read-only": lambda n: locked(whole(n)),
    "a buffer of bytes": lambda n: np.frombuffer(whole(n).tobytes()),
    "mapped anonymous memory": lambda n: np.frombuffer(mmap.mmap(-1, 8 * n)),
}

sizes = pytest.mark.parametrize(
    ("n", "workers"), [(240, None), (9_000, 1), (300_000, 1), (300_000, 2)], ids=["240", "9000", "300000-1", "300000-2"]
)


def test_any_byte_but_zero_is_true_and_one_true_is_like_another() -> None:
    x = np.zeros(20_000, np.uint8)
    x[[777, 800, 1024, 9999]] = 255, 2, 1, 128
    r = ff.run(x.view(np.bool_), ["max", "argmax", "sum"])
    assert dict(r) == {"max": True, "argmax": 777, "sum": 4}
    assert ff.run(np.array([2, 1, 255], np.uint8).view(np.bool_), "is_sorted")["is_sorted"]


def equal(left: dict[str, Any], right: dict[str, Any]) -> bool:
    def bits(value: Any) -> Any:
        return [bits(part) for part in value] if isinstance(value, ff.Histogram) else np.asarray(value).tobytes()

    return list(left) == list(right) and all(bits(left[key]) == bits(right[key]) for key in left)


def state(array: Array) -> Any:
    """All that could be changed of an array: the elements, and how they are read."""
    elements = hashlib.sha256(array.tobytes()).digest()
    return elements, array.ctypes.data, array.shape, array.strides, array.dtype, str(array.flags)


@sizes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_answers_as_its_contiguous_copy_does(layout: str, n: int, workers: int | None) -> None:
    data = LAYOUTS[layout](n)
    contiguous = np.array(data, data.dtype.newbyteorder("="), order="C")
    before = state(data)
    r = ff.run(data, EXACT, workers=workers)
    assert equal(r, ff.run(contiguous, EXACT, workers=1))
    assert r.report.bytes_copied == 0
    assert state(data) == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_functions_see_the_same_memory_in_the_same_layout(layout: str) -> None:
    data = LAYOUTS[layout](9_000)

    def look(v: Array) -> Any:
        return type(v), v.__array_interface__["data"], v.shape, v.strides, v.dtype

    before = state(data)
    seen = ff.run(data, [look, "count"])["look"]
    assert seen == (np.ndarray, (data.ctypes.data, True), data.shape, data.strides, data.dtype)
    assert state(data) == before


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (0, 0), (2**40, 0), (0, 2**40)])
@pytest.mark.parametrize("dtype", ["f8", "f2", ">i4", "?", "c16"])
def test_empty_arrays_of_any_shape_have_no_elements(shape: tuple[int, ...], dtype: str) -> None:
    r = ff.run(np.zeros(shape, dtype), ["count", "sum", "mean", "any", "all", np.shape])
    assert (r["count"], r["sum"], r["any"], r["all"], r["shape"]) == (0, 0, False, True, shape)
    assert np.isnan(r["mean"])


# ---- zero copy ----


@pytest.mark.serial
@pytest.mark.parametrize("layout", LAYOUTS)
def test_python_allocates_next_to_nothing(layout: str) -> None:
    data = LAYOUTS[layout](300_000)
    ff.run(data, EXACT, workers=2)
    tracemalloc.start()
    try:
        ff.run(data, [*EXACT, np.shape], workers=2)
        assert tracemalloc.get_traced_memory()[1] < 2**15
    finally:
        tracemalloc.stop()


@linux
@pytest.mark.parametrize(
    "layout",
    [
        "x",
        "x[::-1]",
        "x.reshape(1000, -1).T",
        "x[::3]",
        "x.view('>f8')",
        "x.view('f4')",
        "x.view('f2')",
        "x.view('V9,f8')['f1']",
    ],
)
def test_the_memory_a_run_takes_does_not_grow_with_the_array(layout: str) -> None:
    run_script(
        f"""
        def peak():
            with open('/proc/self/status') as file:
                return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) * 1024

        x = np.zeros(17 * 480_000)
        x[:] = 1
        # What sorts needs room for all elements; so do the counts of values, if these are all different.
        sorts = ('sort', 'argsort', 'unique', 'n_unique', 'value_counts', 'mode', 'entropy')
        # Answers as long as the array are as large as it is.
        long = ('cum', 'rolling', 'diff', 'zscore', 'rank', 'ewm')
        names = [k.name for k in ff.kernels() if k.arrays == 'one' and 'float64' in k.dtypes and k.name not in sorts]
        names = [name for name in names if not name.startswith(long)]
        for size in (300_000, None):
            data = ({layout})[:size]
            with open('/proc/self/clear_refs', 'w') as file:
                file.write('5')
            before = peak()
            ff.run(data, names, workers=2)
            # The first run loads code and starts the threads.
            assert size or peak() - before < x.nbytes / 32, (peak() - before, x.nbytes)
        """
    )


def test_a_file_is_mapped_not_loaded(tmp_path: Path) -> None:
    want = whole(300_000)
    want.tofile(tmp_path / "data")
    for mode in ("r", "r+", "c"):
        data = np.memmap(tmp_path / "data", "f8", mode)  # type: ignore[call-overload]
        assert equal(ff.run(data, EXACT, workers=2), ff.run(want, EXACT))
        assert ff.run(data, {"memory": np.ndarray.__len__, "shape": np.shape}) == {
            "memory": 300_000,
            "shape": data.shape,
        }
        assert data.flags.writeable == (mode != "r")
    # Part of the file, at an odd place, read-only.
    with (tmp_path / "data").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        data = np.frombuffer(memory, "f8", offset=8 * 12_345)[::2]
        assert equal(ff.run(data, EXACT, workers=2), ff.run(want[12_345::2].copy(), EXACT))
        del data


def test_shared_memory_can_be_closed_after_a_run() -> None:
    memory = shared_memory.SharedMemory(create=True, size=8 * 300_000)
    try:
        data = np.frombuffer(memory.buf, "f8")
        ff.run(data, ["mean", np.shape], workers=2)
        del data
        # Refused if anything still refers to the memory.
        memory.close()
    finally:
        memory.unlink()


# ---- sizes beyond memory ----


@pytest.mark.parametrize("shape", [(2**20, 2**20), (2**9, 2**50), (2**31, 2**28)])
def test_huge_shapes_are_handled(shape: tuple[int, int]) -> None:
    data = np.broadcast_to(1.0, shape)
    assert ff.run(data, "count")["count"] == data.size
    with pytest.raises(TimeoutError):
        ff.run(data, EXACT, workers=2, timeout=0.05)
    with pytest.raises(TimeoutError):
        ff.run(data.T[::-1], ["argmax", "sum"], workers=1, timeout=0.05)


# ---- subclasses ----


@pytest.mark.parametrize(
    "make",
    [
        lambda x: np.rec.fromarrays([x.ravel()], names="a").a.reshape(x.shape),
        lambda x: x.view(np.recarray),
        lambda x: mapped(x),
    ],
    ids=["field of a recarray", "recarray", "memmap"],
)
def test_classes_that_only_say_where_elements_lie_are_read_as_plain_arrays(make: Callable[[Array], Array]) -> None:
    x = whole(30_000).reshape(100, 300)
    r = ff.run(make(x), [*EXACT, type], workers=2)
    assert r.pop("type") is np.ndarray
    assert equal(r, ff.run(x, EXACT))


def mapped(x: Array) -> Array:
    """The same in a file."""
    with tempfile.TemporaryFile() as file:
        x.tofile(file)
        file.flush()
        return np.memmap(file, x.dtype, "r", shape=x.shape)


class Metres(np.ndarray[Any, Any]):
    """A unit, which goes along with what is made of it; as astropy has one."""

    unit = "none"

    def __array_finalize__(self, of: Any) -> None:
        self.unit = getattr(of, "unit", "none")

    def feet(self) -> Array:
        return np.asarray(self) / 0.3048


def metres(x: Array) -> Any:
    made = x.view(Metres)
    made.unit = "m"
    return made


def squared(v: Any) -> Any:
    return v * v


def unit(v: Any, **given: Any) -> str:
    return f"{type(v).__name__} in {getattr(v, 'unit', None)}, {v.shape}, {v.flags.writeable}, {list(given)}"


def tall(v: Any, out: dict[str, Any]) -> None:
    out["top"] = v.feet().max()


@pytest.mark.parametrize("size", [6, 200_000])
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_functions_get_an_array_of_a_class_with_a_meaning_as_it_is(size: int) -> None:
    x = np.arange(float(size))
    r = ff.run(metres(x), [unit, squared, tall], workers=2)
    assert r["unit"] == f"Metres in m, ({size},), False, []"
    assert type(r["squared"]) is Metres and r["squared"].unit == "m"
    assert r["top"] == (x / 0.3048).max()
    assert r.report.how["squared"] == "plain"
    assert r.report.why["squared"] == "the array is a Metres, which may behave differently from an ndarray"
    matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(ff.run(matrix, squared)["squared"], [[7, 10], [15, 22]])
    assert "the array is a Metres, which may behave differently" in ff.plan(squared, like=metres(x)).explain()
    assert ff.plan([squared, unit]).run(metres(x))["unit"].startswith("Metres in m")
    # Along axes, where elements count, with weights, by labels, and of several arrays.
    x = x.reshape(2, -1)
    assert ff.run(metres(x), unit, axis=0)["unit"] == f"Metres in m, {x.shape}, False, ['axis']"
    assert ff.run(metres(x), unit, where=x > 1)["unit"].startswith("Metres in m")
    assert ff.run(metres(x), unit, weights=x)["unit"].startswith("Metres in m")
    grouped = ff.run(metres(x), unit, by=x > 1)
    assert list(grouped["unit"]) == ["Metres in m, (2,), False, []", f"Metres in m, ({size - 2},), False, []"]
    assert [type(each).__name__ for each in ff.run(matrix, {"f": lambda v: v}, by=[[0, 0], [0, 1]])["f"]] == [
        "matrix"
    ] * 2
    several = ff.run({"a": x, "b": metres(x)}, unit)["unit"]
    assert several == {"a": f"ndarray in None, {x.shape}, False, []", "b": f"Metres in m, {x.shape}, False, []"}


def test_a_recarray_of_records_has_its_fields() -> None:
    table = np.rec.fromarrays([np.arange(4.0), np.arange(4)], names="a,b")
    assert ff.run(table, {"f": lambda v: v.a.sum()})["f"] == 6


@pytest.mark.parametrize("given", [{}, {"axis": 0}, {"where": np.ones(4, bool)}, {"by": [0, 1, 0, 1]}], ids=str)
def test_kernels_refuse_an_array_of_a_class_with_a_meaning(given: dict[str, Any]) -> None:
    x = metres(np.arange(4.0))
    told = r"'mean' would lose the meaning of the class of data, Metres: pass np.asarray\(data\)"
    with pytest.raises(TypeError, match=told):
        ff.run(x, "mean", **given)
    with pytest.raises(TypeError, match=told):
        ff.plan(["mean", unit]).run(x, **given)
    r = ff.run(x, ["mean", unit], on_error="return", **given)
    assert list(r) == ["mean", "unit"]
    assert isinstance(r["mean"], TypeError) and r.errors == {"mean": r["mean"]}
    assert "Metres" in str(r["unit"])
    assert ff.run(np.asarray(x), "mean", **given)
    columns = {"a": np.arange(4.0), "b": x}
    with pytest.raises(
        TypeError, match=r"'mean' would lose the meaning of the class of data\['b'\], Metres: pass np.asarray"
    ):
        ff.run(columns, ["mean", unit], **given)
    r = ff.run(columns, ["mean", unit], on_error="return", **given)
    assert list(r.errors) == ["mean"] and list(r["unit"]) == ["a", "b"]


def test_weights_and_labels_have_no_meaning_but_their_own() -> None:
    x = np.arange(4.0)
    with pytest.raises(TypeError, match=r"weights is a Metres, whose meaning would be lost: pass np.asarray"):
        ff.run(x, "mean", weights=metres(x))
    with pytest.raises(TypeError, match=r"by is a Metres"):
        ff.run(x, "mean", by=metres(x))
    with pytest.raises(TypeError, match=r"by\[1\] is a Metres"):
        ff.run(x, "mean", by=(x, metres(x)))


MASKED: dict[str, Callable[[], Any]] = {
    "masked": lambda: np.ma.masked_array([1.0, 2.0, 99.0], [0, 0, 1]),
    "hard mask": lambda: np.ma.masked_array([1.0, 2.0], [0, 1], hard_mask=True),
    "a view": lambda: np.ma.masked_array(np.arange(9.0), np.arange(9) % 2)[::-3],
    "the constant": lambda: np.ma.masked,
    "a row": lambda: np.ma.masked_array(np.eye(3), np.eye(3))[1],
    "a subclass": lambda: np.ma.masked_array([1.0], [1]).view(type("Own", (np.ma.MaskedArray,), {})),
}


@pytest.mark.parametrize(
    "functions", ["mean", ["sum", len], np.sum, []], ids=["a kernel", "both", "a function", "none"]
)
@pytest.mark.parametrize("case", MASKED)
def test_a_mask_is_never_ignored(case: str, functions: Any) -> None:
    data = MASKED[case]()
    want = ff.run(data.compressed(), functions)
    for got in (
        ff.run(data, functions),
        ff.run(data, functions, workers=1, on_error="return"),
        ff.plan(functions).run(data),
        ff.Pool(workers=1).run(data, functions),
    ):
        assert list(map(repr, got.items())) == list(map(repr, want.items()))


def test_a_subclass_that_is_no_more_than_an_array_is_read_as_one() -> None:
    class Own(np.ndarray[Any, Any]):
        def view(self, *args: Any) -> Any:
            return "mine"

    class Empty(np.ndarray[Any, Any]):
        pass

    for kind in (Own, Empty):
        r = ff.run(np.ndarray.view(np.arange(3.0), kind), ["sum", type], by=None)
        assert r == {"sum": 3.0, "type": np.ndarray}


# ---- nothing is held on to ----


def fails(_: Array) -> None:
    raise ValueError("fails")


ENDINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a small run": ("mean", {}),
    "kernels and functions": (["mean", "histogram", np.shape], {"workers": 2}),
    "kernels that fail": (["prod", "mean"], {"on_error": "return"}),
    "functions that fail": ([fails, "mean"], {"workers": 2, "on_error": "return"}),
    "a wrong call": (["meen", "mean"], {"workers": -1}),
    "nan_policy": ("mean", {"nan_policy": "raise", "workers": 2}),
    "a timeout": ("mean", {"timeout": 1e-9, "workers": 2}),
    "a raised failure of a kernel": (["prod", "mean"], {}),
    "a raised failure of a function": ([fails, "mean"], {"workers": 2}),
    "a raised failure in the calling thread": ([fails, "mean"], {"workers": 1}),
    "raised failures of both": ([fails, "prod", "mean"], {"workers": 1}),
    "functions that fail alike": ({"a": fails, "b": fails, "c": "mean"}, {"workers": 1}),
    "failures that are returned in the calling thread": ([fails, "mean"], {"workers": 1, "on_error": "return"}),
    "a wrong dtype": (["mean", fails], {"workers": 2, "like": "U1"}),
    "several wrong arguments": (["meen", None, "std"], {"workers": -1, "timeout": 0, "like": "c16"}),
    "a wrong function": ("meen", {}),
}


def references_after(case: str, collect: Callable[[], object]) -> tuple[int, int]:
    functions, options = ENDINGS[case][0], dict(ENDINGS[case][1])
    data = np.full(300_000, 2**40).astype(options.pop("like", "i8"))
    before = sys.getrefcount(data)
    for _ in range(3):
        try:
            ff.run(data, functions, **options)
        except (TypeError, ValueError, OverflowError, TimeoutError, ExceptionGroup):
            pass
    collect()
    return before, sys.getrefcount(data)


@pytest.mark.parametrize("case", ENDINGS)
def test_no_reference_to_the_array_is_leaked(case: str) -> None:
    before, after = references_after(case, gc.collect)
    assert after == before


@pytest.mark.parametrize("case", ENDINGS)
def test_the_array_is_let_go_without_a_garbage_collection(case: str) -> None:
    gc.disable()
    try:
        before, after = references_after(case, lambda: None)
    finally:
        gc.enable()
        gc.collect()
    assert after == before


def test_a_view_that_a_function_keeps_stays_valid_and_read_only() -> None:
    data, kept = np.arange(300_000.0), []
    ff.run(data, [kept.append, "mean"], workers=2)
    data[0] = 7
    view = kept[0]
    assert view[0] == 7
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 8
    del data
    assert view[-1] == 299_999


@linux
def test_many_runs_and_failures_leave_no_memory_behind() -> None:
    run_script(
        """
        def memory():
            with open('/proc/self/statm') as file:
                return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

        def fails(v):
            raise ValueError('fails')

        names = [k.name for k in ff.kernels() if k.arrays == 'one']
        arrays = [np.full(500, 2**62), np.full(20_000, np.nan), np.array([]), np.ones(20_000, 'c8')]

        def batch(rounds):
            for i in range(rounds):
                for array in arrays:
                    ff.run(array, [*names, fails, len], workers=1 + i % 2, on_error='return')
                    try:
                        ff.plan(['max', ff.histogram(bins=[0, i, 2 * i]), fails]).run(array)
                    except (ValueError, TypeError, ExceptionGroup):
                        pass

        batch(150)
        before = memory()
        batch(400)
        assert memory() - before < 2**20, memory() - before
        """,
        timeout=200,
    )


# ---- other threads that write ----


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i8", "u1", "?", "c16", "M8[s]"])
def test_a_thread_that_overwrites_the_array_breaks_nothing(dtype: str) -> None:
    # Wrong numbers are its own doing; reading or counting where nothing is would end the process.
    run_script(
        f"""
        n, stop = 300_000, threading.Event()
        data = np.zeros(n, {dtype!r})
        raw = data.view('u1')
        noise = np.random.default_rng(1).integers(0, 256, raw.size).astype('u1')
        fills = [np.frombuffer(noise.tobytes(), data.dtype), np.zeros_like(data)]
        if data.dtype.kind in 'fc':
            fills += [np.full_like(data, value) for value in (np.nan, np.inf, -np.inf, 1e-300)]

        def overwrite():
            while not stop.is_set():
                for fill in fills:
                    raw[:] = fill.view('u1')

        def every_kernel():
            for info in (info for info in ff.kernels() if info.arrays == 'one'):
                for parameters in info.examples:
                    if data.dtype.newbyteorder('=').name.split('[')[0] in info.dtypes:
                        yield ff.Kernel(info.name, **parameters)
            if 'float64' in info.dtypes and data.dtype.kind in 'fiub':
                # Counters of each kind: bytes, words, bisection; and bins that follow the data.
                for bins in (1, 255, 256, 5000, [0, 1, 3], list(np.geomspace(1e-3, 1e3, 50))):
                    yield ff.histogram(bins=bins)
                    yield ff.histogram(bins=bins, range=(-1, 1))

        kernels = dict(zip(map(str, range(1000)), every_kernel()))
        writer = threading.Thread(target=overwrite)
        writer.start()
        try:
            with np.errstate(all='ignore'):
                for i in range(15):
                    policy = ('propagate', 'omit', 'raise')[i % 3]
                    r = ff.run(data, kernels, workers=2, nan_policy=policy, on_error='return')
                    assert list(r) == list(kernels)
                    for key, value in r.items():
                        if key in r.errors:
                            assert isinstance(value, (ValueError, OverflowError)), value
                        elif isinstance(value, ff.Histogram):
                            assert value.counts.min() >= 0 and value.counts.sum() <= n, value
                        elif kernels[key].name.startswith(('count', 'arg', 'nanarg')):
                            assert np.all((0 <= value) & (value <= n)), (kernels[key], value)
        finally:
            stop.set()
            writer.join()
        """,
        timeout=200,
    )


def test_an_array_cannot_be_resized_during_a_run() -> None:
    data = np.arange(300_000.0)

    def resize(_: Array) -> None:
        data.resize(10)

    with pytest.raises(ValueError, match="cannot resize"):
        ff.run(data, [resize, "mean"], workers=2)
    assert data.size == 300_000
