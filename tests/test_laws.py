"""The laws that every kernel of the catalogue is under, by being listed: bits that depend on nothing but the elements.

`laws.rs` tests the same of the core, state by state; here are the answers, as they are handed to Python.
"""

import bisect
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
import oracle
import sequences
import zoo
from fresh import run_script

Array = npt.NDArray[Any]

WORKERS = (2, 3, 7, 16)
POLICIES = ("propagate", "omit")

# ---- exceptions ----

POSITIONAL = {
    "argmin", "argmax", "nanargmin", "nanargmax", "argtopk", "argbottomk", "argsort", "is_sorted", *sequences.NAMES,
}  # fmt: skip
"""They see the elements as NumPy numbers them; all others as they lie in memory."""

ORDER_FREE = {"min", "max", "ptp", "nanmin", "nanmax"}
"""Their floats are not rounded, so that no order of the elements can show. (Nor can it in what is no float.)"""

dtypes = pytest.mark.parametrize("dtype", zoo.DTYPES)
policies = pytest.mark.parametrize("nan_policy", POLICIES)


def answers(x: Array, functions: dict[str, ff.Kernel], **options: Any) -> dict[str, Any]:
    """Every answer to the last bit."""
    return {key: oracle.bits(answer) for key, answer in ff.run(x, functions, on_error="return", **options).items()}


def long(dtype: str, n: int) -> Array:
    """Ordinary elements, a few NaN among them if there is one."""
    x = zoo.ordinary(dtype, n)
    if zoo.can_be_nan(dtype):
        x[[n // 3, n // 2, n - 1]] = zoo.missing(dtype)
    return x


def differing(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    assert list(left) == list(right)
    return [f"{key}: {left[key]}, and {right[key]}" for key in left if left[key] != right[key]]


# ---- the same bits ----


@dtypes
@policies
def test_any_number_of_workers_gives_the_same_bits(dtype: str, nan_policy: str) -> None:
    few = long(dtype, 4 * zoo.CHUNK + 77)
    # Work for all of sixteen workers, in the dtype in which most is computed.
    many = long(dtype, 18 * zoo.CHUNK + 77) if dtype == "float64" else few
    functions = oracle.uses(dtype)
    for layout in (many, few[: few.size // 7 * 7].reshape(7, -1).T):
        chunks = -(-layout.size // zoo.CHUNK)
        alone = answers(layout, functions, nan_policy=nan_policy, workers=1)
        # More workers than chunks would have nothing to do, so one number of more is enough.
        for workers in WORKERS[: bisect.bisect_left(WORKERS, chunks) + 1]:
            r = ff.run(layout, functions, nan_policy=nan_policy, workers=workers, on_error="return")
            assert r.report.workers == min(workers, chunks)
            assert not differing({key: oracle.bits(answer) for key, answer in r.items()}, alone)


def samples(dtype: str) -> Iterator[Array]:
    """Everything of the zoo in this dtype, and arrays of several blocks and chunks."""
    yield from (zoo.elements(dtype, content) for content in zoo.contents(dtype))
    yield long(dtype, zoo.BLOCK + 1)
    yield long(dtype, 3 * zoo.BLOCK + 77)
    yield long(dtype, zoo.CHUNK + 5)


@dtypes
@policies
def test_alone_and_in_company_give_the_same_bits(dtype: str, nan_policy: str) -> None:
    functions = oracle.uses(dtype)
    for x in samples(dtype):
        together = answers(x, functions, nan_policy=nan_policy)
        backwards = answers(x, dict(reversed(functions.items())), nan_policy=nan_policy)
        assert backwards == together
        for key, kernel in functions.items():
            assert answers(x, {key: kernel}, nan_policy=nan_policy) == {key: together[key]}


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "complex64", "datetime64[ns]"])
def test_any_other_kernel_leaves_the_bits_alone(dtype: str) -> None:
    """A state that serves two kernels gives each of them what its own would."""
    functions = oracle.uses(dtype)
    x = long(dtype, zoo.BLOCK + 905)
    alone = {key: answers(x, {key: kernel}, nan_policy="omit")[key] for key, kernel in functions.items()}
    for one, other in itertools.permutations(functions, 2):
        pair = answers(x, {key: functions[key] for key in (one, other)}, nan_policy="omit")
        assert pair == {key: alone[key] for key in pair}


def digests() -> dict[str, str]:
    """A digest of all bits of all results, by kernel and dtype."""
    found: dict[str, Any] = {}
    for dtype, nan_policy in itertools.product(zoo.DTYPES, POLICIES):
        for x, layout in itertools.product(samples(dtype), ("C", "byte-swapped and strided")):
            for key, bits in answers(zoo.LAYOUTS[layout](x), oracle.uses(dtype), nan_policy=nan_policy).items():
                found.setdefault(f"{key} of {dtype}", hashlib.sha256()).update(repr(bits).encode())
    return {key: digest.hexdigest() for key, digest in found.items()}


@functools.cache
def digests_of(level: str) -> dict[str, str]:
    source = """
        import json, test_laws
        assert ff.info()['simd'] == os.environ['FANFOLD_SIMD']
        print(json.dumps(test_laws.digests()))
    """
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    printed = run_script(source, environment={"FANFOLD_SIMD": level, "PYTHONPATH": path}, timeout=250)
    return dict(json.loads(printed))


@pytest.mark.parametrize("level", ff.info()["simd_available"][1:])
def test_every_instruction_set_gives_the_same_bits(level: str) -> None:
    assert not differing(digests_of(level), digests_of("baseline"))


def test_the_digests_are_of_every_use() -> None:
    keys = {f"{key} of {dtype}" for dtype in zoo.DTYPES for key in oracle.uses(dtype)}
    assert set(digests_of("baseline")) == keys


@dtypes
def test_two_runs_give_the_same_bits(dtype: str) -> None:
    functions = oracle.uses(dtype)
    x = long(dtype, 3 * zoo.CHUNK + 5)
    plan = ff.plan(functions)
    first = plan.run(x, workers=2, on_error="return")
    # Another array in between leaves nothing behind in the plan.
    plan.run(zoo.ordinary(dtype, 1000), on_error="return")
    again = plan.run(x, workers=2, on_error="return")
    expected = answers(x, functions, workers=2)
    for r in (first, again):
        assert {key: oracle.bits(answer) for key, answer in r.items()} == expected


# ---- layouts ----


@dtypes
@pytest.mark.parametrize("layout", zoo.LAYOUTS)
def test_any_layout_gives_the_bits_of_its_copy_in_memory_order(layout: str, dtype: str) -> None:
    """Positions are those of the copy in NumPy's order."""
    # Z-scores have the one order, and their mean and deviation are summed in the other.
    functions = {key: kernel for key, kernel in oracle.uses(dtype).items() if kernel.name != "zscore"}
    by_position = {key: kernel for key, kernel in functions.items() if kernel.name in POSITIONAL}
    in_memory = {key: kernel for key, kernel in functions.items() if key not in by_position}
    for content in [*(zoo.elements(dtype, content) for content in zoo.contents(dtype)), long(dtype, 9000)]:
        x = zoo.LAYOUTS[layout](content)
        before = x.tobytes()
        r = ff.run(x, functions, workers=2, on_error="return")
        expected = answers(zoo.native(x), by_position) | answers(zoo.in_memory_order(x), in_memory)
        found = {key: oracle.bits(answer) for key, answer in r.items()}
        assert not differing(found, {key: expected[key] for key in found})
        assert r.report.bytes_copied == 0
        assert x.tobytes() == before


@dtypes
def test_what_is_not_rounded_does_not_depend_on_the_order(dtype: str) -> None:
    functions = {key: kernel for key, kernel in oracle.uses(dtype).items() if kernel.name not in POSITIONAL}
    compared = set()
    for x in samples(dtype):
        before = ff.run(x, functions, on_error="return")
        after = ff.run(x[np.random.default_rng(1).permutation(x.size)], functions, on_error="return")
        for key, kernel in functions.items():
            answer = before[key]
            rounded = isinstance(answer, np.inexact) and kernel.name not in ORDER_FREE
            # Integers are added exactly before the sum is divided.
            if not rounded or (kernel.name == "mean" and x.dtype.kind in "biu"):
                compared.add(key)
                assert oracle.bits(answer) == oracle.bits(after[key]), key
    assert compared


# ---- passes ----


def passes(x: Array, functions: dict[str, ff.Kernel]) -> int:
    report = ff.run(x, functions, on_error="return").report
    assert report.bytes_read == report.passes * x.size * x.itemsize
    assert report.how == dict.fromkeys(functions, "kernel")
    return report.passes


@dtypes
def test_all_kernels_share_their_passes(dtype: str) -> None:
    functions = oracle.uses(dtype)
    x = zoo.ordinary(dtype, 3 * zoo.CHUNK)
    alone = {key: passes(x, {key: kernel}) for key, kernel in functions.items()}
    for most in set(alone.values()):
        chosen = {key: kernel for key, kernel in functions.items() if alone[key] <= most}
        # Order statistics that need more than two ranges together take one more pass, as the plan says.
        told = sum(line.startswith("pass ") for line in ff.plan(chosen, like=x.dtype).explain().splitlines())
        assert most <= passes(x, chosen) <= told <= most + 1
        # Counts of few distinct integers or times leave nothing to be collected.
        assert passes(x, chosen) == told or x.dtype.kind != "f"


def test_twelve_statistics_take_one_pass() -> None:
    names = ["count_nan", "sum", "mean", "std", "skew", "kurtosis", "min", "max", "argmax", "rms", "prod", "is_sorted"]
    x = zoo.ordinary("float64", 3 * zoo.CHUNK)
    for nan_policy in ("propagate", "omit", "raise"):
        report = ff.run(x, names, nan_policy=nan_policy, workers=2).report
        assert (report.passes, report.bytes_read, report.bytes_copied) == (1, x.nbytes, 0)


@dtypes
def test_positions_take_a_sweep_of_their_own_where_memory_has_another_order(dtype: str) -> None:
    # A sample comes before an order, and sees an array as small as this one whole, in a sweep that has no order; and
    # moments come before z-scores.
    both = ("argsort", "rank", "zscore")
    functions = {key: kernel for key, kernel in oracle.uses(dtype).items() if kernel.name not in both}
    by_position = {key: kernel for key, kernel in functions.items() if kernel.name in POSITIONAL}
    in_memory = {key: kernel for key, kernel in functions.items() if key not in by_position}
    x = np.asfortranarray(zoo.ordinary(dtype, 3 * zoo.BLOCK).reshape(3, -1))
    assert passes(x, functions) == passes(x, in_memory) + (passes(x, by_position) if by_position else 0)


# ---- NaN ----


@dtypes
def test_kernels_named_nan_are_the_others_that_omit(dtype: str) -> None:
    functions = oracle.uses(dtype)
    twins = {key: kernel for key, kernel in functions.items() if kernel.name.startswith("nan")}
    others = {key: ff.Kernel(kernel.name[3:], **kernel.parameters) for key, kernel in twins.items()}
    for x in samples(dtype):
        named, omitting = answers(x, twins), answers(x, others, nan_policy="omit")
        for key, kernel in twins.items():
            message = repr(named[key]).replace(f"'{kernel.name}'", f"'{kernel.name[3:]}'")
            assert message == repr(omitting[key])
        assert answers(x, twins, nan_policy="omit") == named


@dtypes
def test_without_nan_no_policy_makes_a_difference(dtype: str) -> None:
    # More elements than are subtracted as degrees of freedom: there `var` omits as NumPy's `nanvar` does.
    functions = oracle.uses(dtype)
    for x in samples(dtype):
        if x.size > 2 and not oracle.is_nan(x).any():
            propagated = answers(x, functions)
            assert answers(x, functions, nan_policy="omit") == propagated
            assert answers(x, functions, nan_policy="raise") == propagated
