"""The layouts of ufuncs' values: those that NumPy gives."""

import itertools

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from fanfold.tracing import layouts


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """An array of this shape in any layout: axes in any order, backwards, with gaps, repeated."""
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.sampled_from((1, 1, 2))) for _ in shape]
    repeated = [draw(st.sampled_from((False, False, True))) for _ in shape]
    lengths = [1 if repeats else length * gap for length, gap, repeats in zip(shape, gaps, repeated, strict=True)]
    memory = np.zeros([lengths[axis] for axis in order]).transpose(np.argsort(order))
    steps = [draw(st.sampled_from((1, -1))) * gap for gap in gaps]
    parts = [slice(None) if repeats else slice(None, None, step) for step, repeats in zip(steps, repeated, strict=True)]
    return np.broadcast_to(memory[tuple(parts)], shape)


def strides(array: npt.NDArray[np.float64]) -> list[int]:
    """The strides that matter."""
    return [stride for stride, length in zip(array.strides, array.shape, strict=True) if length > 1]


@settings(max_examples=500, deadline=None)
@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 3))
def test_ufuncs_lay_their_values_out_as_numpy_does(data: st.DataObject, lengths: list[int], count: int) -> None:
    shape = tuple(lengths)
    operands = [data.draw(arrays(shape)) for _ in range(count)]
    found = {1: np.negative, 2: np.add, 3: np.clip}[count](*operands)
    order = layouts.common_order([layouts.steps_of(operand) for operand in operands])
    made = layouts.empty(shape, np.dtype(float), order)
    assert (made.shape, strides(made)) == (shape, strides(found))
    assert made.flags.owndata and found.flags.owndata
    # Formulas go on with the values.
    again = np.add(found, operands[0])
    order = layouts.common_order([layouts.steps_in(order, shape), layouts.steps_of(operands[0])])
    assert strides(layouts.empty(shape, np.dtype(float), order)) == strides(again)


def test_repeated_elements_are_told() -> None:
    table = np.zeros((3, 4, 1))
    for order in itertools.permutations(range(3)):
        assert not layouts.repeats(table.transpose(order))
    assert layouts.repeats(np.broadcast_to(table, (3, 4, 2)))
    assert not layouts.repeats(np.broadcast_to(table, (3, 4, 1)))
