"""Arrays that functions put together from slices: formulas read the slices in place, and get NumPy's elements."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
from fanfold.tracing import calls
from plain import assert_same, called

Array = npt.NDArray[Any]
Function = Callable[[Array], Any]

SIZE = calls.SMALLEST + 4_321

rng = np.random.default_rng(5)
NORMAL = rng.standard_normal(SIZE)
ARRAYS: dict[str, Array] = {
    "float64": NORMAL,
    "float32": NORMAL.astype("f4"),
    "int16": rng.integers(-1000, 1000, SIZE).astype("i2"),
    "bool": NORMAL > 0,
    "complex128": NORMAL + 1j * NORMAL[::-1],
    "every second": rng.standard_normal(2 * SIZE)[::2],
    "backwards": NORMAL[::-1],
    "two axes": rng.standard_normal((400, 500)),
}


def peaks(v: Array, support: int) -> Any:
    """The number of elements above all of their neighbours: the rolled slices are slices of the array."""
    inner, found = v[support:-support], None
    for shift in range(1, support + 1):
        above = inner > np.concatenate([v[-shift:], v[:-shift]])[support:-support]
        above &= inner > np.roll(v, -shift)[support:-support]
        found = above if found is None else found & above
    return np.count_nonzero(found)


JOINED: dict[str, Function] = {
    "concatenate": lambda v: np.concatenate([v[5:], v[:5]]),
    "concatenate of many": lambda v: np.concatenate((v[::3], v[:9], v[::2], v), axis=0).mean(),
    "concatenate in formulas": lambda v: np.concatenate([v[1000:], v[:1000]]) * v + 1,
    "concatenate with small ones": lambda v: np.concatenate([np.zeros(3, v.dtype), v, np.ones(4, v.dtype)]).sum(),
    "hstack": lambda v: np.hstack([v, v[::2]])[7:].max(),
    "roll": lambda v: (np.roll(v, 1), np.roll(v, -7).std(), np.roll(v, 0), np.roll(v, 10**9) * v),
    "roll of a roll": lambda v: np.roll(np.roll(v, 10), -3).mean() - v[0],
    "roll along the axis": lambda v: np.roll(v, np.int64(300), axis=0) * v,
    "append": lambda v: (np.append(v, v[:3]), np.append(v, v).mean(), np.append(v, np.ones(2, v.dtype)).min()),
    "pad": lambda v: (np.pad(v, 3).sum(), np.pad(v, (1, 0), constant_values=1)[:-1] * v, np.pad(v, (0, 2)).size),
    "slices of it": lambda v: [np.roll(v, 5)[a:b:c].sum() for a, b, c in ((1, -1, 1), (4, None, 3), (6, -2, 2))],
    "backwards": lambda v: np.roll(v, 5)[::-1] * v,
    "sorted": lambda v: np.sort(np.roll(v, 11)),
    "written to": lambda v: _written(np.roll(v, 3)),
    "changed in place": lambda v: _changed(np.concatenate([v[1:], v[:1]])),
    "cumulative": lambda v: np.maximum.accumulate(np.pad(v, 2)),
    "masks": lambda v: (np.roll(v, 1)[v > 0], v[np.roll(v > 0, 1)].sum()),
    "medians": lambda v: (np.median(np.roll(v, 1) - v), np.quantile(np.append(v, v), 0.3)),
    "peaks": lambda v: peaks(v, 3),
    "peaks of many": lambda v: peaks(v, 12),
}
"""Functions that put arrays of one axis together."""

OTHERS: dict[str, Function] = {
    "of several dtypes": lambda v: np.concatenate([v, np.zeros(3, "f8"), np.zeros(3, "c16")]).sum(),
    "of a list": lambda v: np.concatenate([v.ravel(), [1, 2]]),
    "of a formula": lambda v: np.concatenate([v.ravel() * 2, v.ravel()]).max(),
    "of two axes": lambda v: (np.concatenate([v, v]).sum(), np.roll(v, 3), np.pad(v, 1).mean(), np.append(v, v).sum()),
    "along an axis that is not there": lambda v: np.concatenate([v, v], axis=5),
    "of nothing": lambda v: (np.concatenate([]), v),
    "of numbers": lambda v: np.concatenate([v, 1]),
    "converted": lambda v: np.concatenate([v, v], dtype="c16").sum(),
    "into an array": lambda v: np.concatenate([v, v], out=np.empty((2 * v.shape[0], *v.shape[1:]), v.dtype)).sum(),
    "roll by several": lambda v: np.roll(v, (1, 2), axis=(0, 0)),
    "roll by a float": lambda v: np.roll(v, 1.5),
    "append of numbers": lambda v: (np.append(v, 1).sum(), np.append(v, 2.5).max(), np.append(v, [1, 2]).min()),
    "pad in other ways": lambda v: (
        np.pad(v, 2, "edge").sum(),
        np.pad(v, 1, constant_values=(1, 2)),
        np.pad(v, [(1, 2)]),
    ),
    "pad with less than nothing": lambda v: np.pad(v, -1),
    "pad with what does not fit": lambda v: np.pad(v, 1, constant_values=0.5).sum(),
    "stacked": lambda v: (np.vstack([v, v]).sum(), np.stack([v, v]).mean(), np.r_[v, v].sum() if v.ndim == 1 else 0),
    "many pieces": lambda v: np.concatenate([v[i::40] for i in range(40)]).mean(),
}
"""Functions that NumPy answers, or refuses."""


def _written(y: Array) -> Any:
    before = y.mean()
    y[0] = 1
    return before, y


def _changed(y: Array) -> Any:
    total = y.sum()
    y *= y.dtype.type(1)
    y += y
    return total, y.max() if y.dtype.kind != "c" else y.sum()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ARRAYS)
def test_they_are_what_numpy_puts_together(name: str) -> None:
    x = ARRAYS[name]
    functions = JOINED | OTHERS
    together = ff.run(x, functions, workers=2, on_error="return")
    wrong = {}
    for key, function in functions.items():
        try:
            assert_same(together[key], called(function, x), True)
        except AssertionError as error:
            wrong[key] = str(error)
    assert not wrong


def test_nothing_is_copied() -> None:
    left = {"written to", "changed in place", "sorted", "backwards", "slices of it", "masks"}
    functions = {key: function for key, function in JOINED.items() if key not in left}
    report = ff.run(NORMAL, functions, workers=2).report
    assert report.why == {}
    assert set(report.how.values()) == {"fused"}
    # Ten rolls and their comparisons are one pass.
    assert ff.run(NORMAL, {"peaks": lambda v: peaks(v, 5)}).report.passes == 1


def test_a_small_array_may_change_later() -> None:
    def function(v: Array) -> Any:
        small = np.ones(3)
        joined = np.concatenate([v, small])
        small[:] = 1e6
        return joined.max(), np.concatenate([v, small]).max()

    assert ff.run(NORMAL, {"it": function})["it"] == called(function, NORMAL)


def test_the_plan_explains_them() -> None:
    told = ff.plan({"it": lambda v: (np.roll(v, 3) * v).sum()}, like=NORMAL).explain()
    assert "joined(x[-3:], x[:-3])" in told


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_slices_of_any_pieces(data: st.DataObject) -> None:
    cuts = st.one_of(st.none(), st.integers(-SIZE - 9, SIZE + 9), st.integers(-3, 3))
    steps = st.sampled_from((None, 1, 1, 2, 3, 1000))

    def part() -> slice:
        return slice(data.draw(cuts), data.draw(cuts), data.draw(steps))

    parts = [part() for _ in range(data.draw(st.integers(1, 5)))]
    outer = [part() for _ in range(data.draw(st.integers(0, 3)))]

    def function(v: Array) -> Any:
        joined = np.concatenate([v[each] for each in parts] + [v])
        for each in outer:
            joined = joined[each]
        return joined + 0, joined.sum() if joined.size else None

    x = ARRAYS[data.draw(st.sampled_from(("float64", "int16", "every second")))]
    assert_same(ff.run(x, {"it": function})["it"], called(function, x), True)
