"""What traced functions have asked for, as nodes that are shared; and the sweeps that answer them.

A node is a formula over the elements of arrays, or a number that follows from such a formula. Two equal formulas are
one node, whoever wrote them. Nothing here knows NumPy's functions: `rules` says what they mean.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanfold import _core
from fanfold.deadline import Deadline
from fanfold.scheduler import Stopped
from fanfold.shapes import Rows

Array = npt.NDArray[Any]


class Selection:
    """The shape of what a mask chooses: nobody knows how many elements before they are counted."""

    __slots__ = ("mask",)

    def __init__(self, mask: "Node") -> None:
        self.mask = mask


Shape = tuple[int, ...] | Selection


class Node:
    """A formula, or a number that follows from one."""

    __slots__ = ("asked", "code", "dtype", "error", "id", "inputs", "known", "operation", "plain", "shape", "value")

    def __init__(
        self,
        operation: Any,
        inputs: "tuple[Node, ...]",
        dtype: np.dtype[Any],
        shape: Shape,
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.dtype = dtype
        self.shape = shape
        # What a ufunc's choice of a loop depends on: the dtype's number, and whether one item stands for all.
        self.code: int = 2 * dtype.num + (shape == ())
        # The number in the session's graph, once everything that it is made of is known.
        self.id: int | None = None
        # Of a number: whether it is known, and what it is.
        self.known = False
        self.value: Any = None
        # Of a statistic: whether a sweep was asked for it, why it failed, and how NumPy computes it.
        self.asked = False
        self.error: Exception | None = None
        self.plain: Callable[[Array], Any] | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is one number, and not one for each element."""
        return self.shape == ()

    @property
    def is_answer(self) -> bool:
        """Whether it is the answer to a question, and not a formula that others extend."""
        return self.shape == () or type(self.operation) is Along


class Source:
    """The elements of an array, read where they lie."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class Statistic:
    """What a kernel says of a formula's elements; whether NaN is doubtful, and NumPy is to be asked about it."""

    __slots__ = ("doubts_nan", "kernel")

    def __init__(self, kernel: _core.Kernel, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.doubts_nan = doubts_nan


class Along:
    """What a kernel says of the elements along axes, an array; whether NaN is doubtful."""

    __slots__ = ("axes", "doubts_nan", "keepdims", "kernel")

    def __init__(self, kernel: _core.Kernel, axes: tuple[int, ...], keepdims: bool, doubts_nan: bool) -> None:
        self.kernel = kernel
        self.axes = axes
        self.keepdims = keepdims
        self.doubts_nan = doubts_nan


class Computed:
    """A number that Python computes from numbers; and what NumPy told of it, in the words of its warnings."""

    __slots__ = ("function", "told")

    def __init__(self, function: Callable[..., Any], told: list[str]) -> None:
        self.function = function
        self.told = told


class Sweep(NamedTuple):
    """One pass over memory: how many bytes it read, and the kernels and nodes that it answered."""

    bytes_read: int
    kernels: list[int]
    nodes: list[Node]


class Formulas:
    """The nodes of a call, and the session that sweeps for them."""

    def __init__(self, array: Array, deadline: Deadline) -> None:
        self.array = array
        self.session = _core.Session(array)
        self.deadline = deadline
        self.flags: dict[int, int] = {}
        self.sweeps: list[Sweep] = []
        # What a sweep has answered for those who are no nodes: the call's kernels.
        self.answers: dict[int, tuple[Any, bool]] = {}
        # A function may have threads of its own, which want values too.
        self.one_at_a_time = threading.Lock()
        self._nodes: dict[Any, Node] = {}
        self._asked: dict[int, tuple[Node, Array | None]] = {}
        self._numbers = 1 << 32
        # Who waits for a sweep along axes, and over which array.
        self._along: list[tuple[Node, Array]] = []

    def close(self) -> None:
        """Lets go of everything that nodes lead to."""
        self._nodes.clear()
        self._asked.clear()
        del self.array, self.session

    # ---- making nodes ----

    def intern(self, key: Any, make: Callable[[], Node]) -> Node:
        """The node of this key, made if it is new."""
        found = self._nodes.get(key)
        return self._nodes.setdefault(key, make()) if found is None else found

    def source(self, array: Array) -> Node:
        """The node of an array's elements."""
        place = array.__array_interface__["data"][0]
        key = ("source", place, array.shape, array.strides, array.dtype)
        return self.intern(key, lambda: Node(Source(array), (), array.dtype, array.shape))

    def number(self, value: Array) -> Node:
        """The node of a known number: an array without axes, which nobody else holds."""

        def make() -> Node:
            node = Node("number", (), value.dtype, ())
            node.known, node.value = True, value
            return node

        return self.intern(("number", value.dtype, value.tobytes()), make)

    def python_number(self, value: float, dtype: np.dtype[Any]) -> Node:
        """The node of a Python number in this dtype."""
        if type(value) is complex or not value or value != value:
            # Equal keys would not do: 0.0 equals -0.0, and NaN not even itself.
            return self.number(np.asarray(value, dtype))
        key = ("python number", value, dtype.num)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = self.number(np.asarray(value, dtype))
        return found

    def apply(self, operation: Any, inputs: tuple[Node, ...], dtype: np.dtype[Any], shape: Shape) -> Node:
        """The node of an elementwise operation."""
        return self.intern((operation, *inputs), lambda: Node(operation, inputs, dtype, shape))

    def statistic(
        self,
        kernel: _core.Kernel,
        state: Any,
        of: Node,
        dtype: np.dtype[Any],
        plain: Callable[[Array], Any],
        doubts_nan: bool = False,
    ) -> Node:
        """The node of a kernel's answer; `plain` is how NumPy computes it in that state, where the kernel does not."""

        def make() -> Node:
            node = Node(Statistic(kernel, doubts_nan), (of,), dtype, ())
            node.plain = plain
            return node

        return self.intern(("statistic", kernel, state, of), make)

    def along(
        self,
        operation: Along,
        of: Node,
        dtype: np.dtype[Any],
        plain: Callable[[Array], Any],
        shape: tuple[int, ...],
    ) -> Node:
        """The node of a kernel's array of answers. Nobody shares it: the array is who asks's to write to."""
        elements = of if isinstance(of.operation, Source) else self.values(of)
        node = Node(operation, (elements,), dtype, shape)
        node.plain = plain
        return node

    def computed(
        self,
        function: Callable[..., Any],
        key: Any,
        inputs: tuple[Node, ...],
        dtype: np.dtype[Any],
        told: list[str] | None = None,
    ) -> Node:
        """The node of a number that follows from numbers; `told` is where the function leaves its warnings."""
        told = [] if told is None else told
        return self.intern(("computed", key, *inputs), lambda: Node(Computed(function, told), inputs, dtype, ()))

    def select(self, mask: Node, values: Node) -> Node:
        """The node of the values whose mask is true."""
        key = ("shape", mask)
        holder = self.intern(key, lambda: Node("shape", (mask,), mask.dtype, Selection(mask)))
        return self.apply("select", (mask, values), values.dtype, holder.shape)

    def cut(self, node: Node, part: slice) -> Node | None:
        """A slice of a formula is the formula of slices. None if its elements are not in the order of arrays."""
        if isinstance(node.shape, Selection) or len(node.shape) != 1:
            return None
        done: dict[Node, Node] = {}
        for each in _ordered([node]):
            if each.is_number:
                done[each] = each
            elif isinstance(each.operation, Source):
                done[each] = self.source(each.operation.array[part])
            else:
                inputs = tuple(done[of] for of in each.inputs)
                shape = next(of.shape for of in inputs if not of.is_number)
                done[each] = self.apply(each.operation, inputs, each.dtype, shape)
        return done[node]

    # ---- knowing them ----

    def settle(self, wanted: Iterable[Node], workers: int) -> None:
        """Sweeps until these are known, in the calling thread and its helpers."""
        nodes = list(wanted)
        with self.one_at_a_time:
            while self.ask(nodes):
                self.sweep(workers)

    def settle_in_child(self, wanted: Iterable[Node]) -> None:
        """The same in a process that was forked meanwhile: nobody answers here what was asked before it was."""
        nodes = list(wanted)
        self.session, self.one_at_a_time = _core.Session(self.array), threading.Lock()
        self.flags, self._asked, self._along = {}, {}, []
        for node in _ordered(nodes):
            node.id, node.asked = None, False
        self.settle(nodes, 1)

    def ask(self, wanted: Iterable[Node]) -> bool:
        """Asks the next sweep for what these need; whether there is something to sweep for."""
        waits = False
        for node in _ordered(wanted):
            if type(node.operation) is Along:
                waits |= self._ask_along(node)
            elif node.is_number:
                waits |= self._ask_number(node)
            elif node.id is None and all(of.id is not None for of in node.inputs):
                self._lower(node)
        return waits or self.session.waits()

    @staticmethod
    def values(node: Node) -> Node:
        """What becomes the elements of a formula, in a fresh array, once a sweep was asked for it."""
        return Node("values", (node,), node.dtype, ())

    def _ask_along(self, node: Node) -> bool:
        (of,) = node.inputs
        if node.known or node.asked:
            return not node.known
        if of.error is not None:
            node.known, node.error = True, of.error
            return False
        if isinstance(of.operation, Source) or of.known:
            node.asked = True
            self._along.append((node, of.operation.array if isinstance(of.operation, Source) else of.value))
        return True

    def _ask_number(self, node: Node) -> bool:
        if not node.known and isinstance(node.operation, Computed):
            if not all(of.known for of in node.inputs):
                return any(of.asked for of in node.inputs)
            try:
                node.value = node.operation.function(*node.inputs)
            except Exception as error:  # noqa: BLE001 - NumPy's own word on it, for the function that asked
                node.error = error
            node.known = True
        if node.known:
            # Of several quantiles there is an array, which formulas do not go on from.
            is_one = node.error is None and node.operation != "values" and np.ndim(node.value) == 0
            if node.id is None and is_one and node.dtype.kind in "biufc":
                node.id = self.session.constant(np.asarray(node.value, node.dtype))
            return False
        (of,) = node.inputs
        if node.asked or of.id is None:
            return node.asked
        self._request(node, of, of.id)
        return True

    def _request(self, node: Node, of: Node, node_id: int) -> None:
        node.asked = True
        number = self._numbers = self._numbers + 1
        if isinstance(node.operation, Statistic):
            self._asked[number] = (node, None)
            try:
                self.session.reduce(number, node_id, node.operation.kernel, "propagate")
            except (TypeError, MemoryError) as error:
                del self._asked[number]
                node.known, node.error = True, error
        elif isinstance(of.shape, Selection):
            self._asked[number] = (node, None)
            self.session.collect(number, node_id)
        else:
            try:
                array = np.empty(of.shape, of.dtype)
            except MemoryError as error:
                node.known, node.error = True, error
                return
            self._asked[number] = (node, array)
            self.session.store(number, node_id, array)

    def _lower(self, node: Node) -> None:
        ids: Sequence[Any] = [of.id for of in node.inputs]
        match node.operation:
            case Source():
                node.id = 0 if node.operation.array is self.array else self.session.source(node.operation.array)
            case "where":
                node.id = self.session.choose(*ids)
            case "select":
                node.id = self.session.select(*ids)
            case ("cast", dtype):
                node.id = self.session.cast(ids[0], dtype)
            case loop:
                node.id = self.session.ufunc(loop, list(ids))

    def sweep(self, workers: int) -> None:
        """One sweep over memory for all that was asked; and one for each array along whose axes something was asked."""
        waiting, self._along = self._along, []
        while waiting:
            (first, elements), *_ = waiting
            same = [node for node, own in waiting if own is elements and node.operation.axes == first.operation.axes]
            waiting = [(node, own) for node, own in waiting if node not in same]
            self._sweep_along(same, elements, workers)
        asked = [node for node, _ in self._asked.values()]
        try:
            with self.deadline.within() as left:
                answers, flags, read, size = self.session.sweep(workers, left)
        except Exception as error:  # noqa: BLE001 - handed on
            # The time is up, or a signal's handler raised it: no failure of the function that happens to wait.
            raise Stopped(error) from None
        if read:
            self.sweeps.append(Sweep(size, [who for who, *_ in answers if who not in self._asked], asked))
        for node_id, bits in flags:
            self.flags[node_id] = self.flags.get(node_id, 0) | bits
        for who, value, good in answers:
            if who not in self._asked:
                self.answers[who] = (value, good)
                continue
            node, array = self._asked.pop(who)
            if isinstance(node.operation, Statistic):
                self._take_statistic(node, value, good)
            elif not good:
                node.known, node.error = True, value
            elif array is not None:
                node.known, node.value = True, array
            else:
                node.known, node.value = True, np.empty(0, node.dtype) if value is None else value

    def _sweep_along(self, nodes: list[Node], array: Array, workers: int) -> None:
        kernels = [node.operation.kernel for node in nodes]
        parts = Rows.along_axes(array, nodes[0].operation.axes)
        plan, over = _core.Plan(kernels, "propagate"), [(0,)] * len(nodes)
        try:
            with self.deadline.within() as left:
                columns, failed, passes, size, *_ = parts.run(plan, [array], over, workers, left)
        except Exception as error:  # noqa: BLE001 - as in a sweep
            raise Stopped(error) from None
        self.sweeps += [Sweep(size // passes, [], [] if number else nodes) for number in range(passes)]
        wrong = {place for place, _ in failed}
        for place, (node, column) in enumerate(zip(nodes, columns, strict=True)):
            operation = node.operation
            laid_out = replace(parts, keepdims=operation.keepdims)
            try:
                value: Any = None if place in wrong else laid_out.result(column, operation.kernel, array)
                doubtful = (
                    value is None or value.dtype != node.dtype or (operation.doubts_nan and np.isnan(value).any())
                )
                node.value = node.plain(array) if doubtful and node.plain is not None else value
            except Exception as error:  # noqa: BLE001 - NumPy's own word on it
                node.error = error
            node.known = True

    def _take_statistic(self, node: Node, value: Any, good: bool) -> None:
        """Takes a kernel's answer, unless NumPy has more to say: it wraps integers, and warns where nothing is left."""
        (of,) = node.inputs
        doubtful = node.operation.doubts_nan and value != value  # NaN differs from itself
        if node.plain is not None and (not good or doubtful):
            plain = node.plain
            node.operation, node.inputs = Computed(lambda elements: plain(elements.value), []), (self.values(of),)
            node.asked = False
        elif good:
            node.known, node.value = True, value
        else:
            node.known, node.error = True, value


def _ordered(wanted: Iterable[Node]) -> list[Node]:
    """The nodes and all that they are made of, each after what it is made of. Known numbers are made of nothing."""
    order: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(wanted)
    while stack:
        node = stack[-1]
        if node in order:
            stack.pop()
        elif node in seen or node.known:
            order[node] = None
            stack.pop()
        else:
            seen.add(node)
            stack.extend(of for of in node.inputs if of not in order)
    return list(order)
