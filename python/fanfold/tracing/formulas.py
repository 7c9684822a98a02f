"""The requests of traced functions as shared nodes, and the sweeps that compute them.

A node is a formula over the elements of arrays, or a number computed from such a formula. Equal formulas are one node,
even if different functions wrote them. This module does not know NumPy's functions: `rules` defines them.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fanfold import _core
from fanfold.deadline import Deadline
from fanfold.scheduler import Stopped
from fanfold.tracing.along import AlongAxes, Beside
from fanfold.tracing.layouts import Order, Steps, common_order, empty, order_of, steps_in, steps_of
from fanfold.tracing.nodes import (
    Along,
    Array,
    Computed,
    Fixed,
    FromValues,
    Joined,
    Node,
    Selection,
    Shape,
    Source,
    Statistic,
    Sweep,
    Transform,
    is_repeated,
    length,
    lowered,
)

MOST_KEPT = 8
"""Arrays that NumPy makes for functions are kept until the run ends, if formulas read them or functions share them: up
to this many times the bytes of the run's array. After that, formulas do not go on with such arrays."""


class Formulas:
    """The nodes of a call, and the session that computes them."""

    def __init__(self, array: Array, deadline: Deadline, beside: Beside | None = None) -> None:
        self.array = array
        self.session = _core.Session(array)
        self.deadline = deadline
        self.flags: dict[int, int] = {}
        self.sweeps: list[Sweep] = []
        # The results of the call's kernels, by number: a value or an exception, and whether it is a value.
        self.answers: dict[int, tuple[Any, bool]] = {}
        # A function may have threads of its own, which need values too.
        self.one_at_a_time = threading.Lock()
        # What NumPy computes once for all functions (`shared`).
        self.shared: dict[Any, Any] = {}
        self.process = os.getpid()
        # Whether all functions have returned, and all that they wait for is known.
        self.is_over = False
        self._kept = 0
        self._nodes: dict[Any, Node] = {}
        # The elements of arrays in the order of other axes, and the nodes that stand for others.
        self._turned_sources: dict[tuple[Node, Order], int] = {}
        self._own: dict[int, int] = {}
        self._asked: dict[int, tuple[Node, Array | None]] = {}
        self._numbers = 1 << 32
        self.along_axes = AlongAxes(array, deadline, beside)
        # The node of the array's elements must hold this array object, by which it is found.
        self.source(array)

    def close(self) -> None:
        """Drops all references that nodes hold."""
        self._nodes.clear()
        self._turned_sources.clear()
        self._asked.clear()
        self.shared.clear()
        del self.array, self.session

    def keeps(self, size: int) -> bool:
        """Whether an array of so many bytes, beside the run's own, is kept until the run ends."""
        if self._kept + size > MOST_KEPT * self.array.nbytes:
            return False
        self._kept += size
        return True

    def forget(self, source: Node) -> None:
        """Lets go of the array of a source that is not shared, after what was computed from it is known."""
        turned = [key for key in self._turned_sources if key[0] is source]
        for number in (source.id, *map(self._turned_sources.pop, turned)):
            if number is not None:
                self.session.forget(number)
        source.operation = Source(np.empty(0, source.dtype))

    # ---- making nodes ----

    def intern(self, key: Any, make: Callable[[], Node]) -> Node:
        """The node with this key. It is created if it is new."""
        found = self._nodes.get(key)
        return self._nodes.setdefault(key, make()) if found is None else found

    def source(self, array: Array) -> Node:
        """The node of an array's elements."""
        place = array.__array_interface__["data"][0]
        key = ("source", place, array.shape, array.strides, array.dtype)
        return self.intern(key, lambda: self.new_source(array))

    @staticmethod
    def new_source(array: Array) -> Node:
        """A node of an array's elements that is not shared."""
        return Node(Source(array), (), array.dtype, array.shape, order_of(array))

    def joined(self, arrays: Sequence[Array], dtype: np.dtype[Any]) -> Node:
        """The node of the elements of arrays of one axis, one after the other."""
        pieces = tuple(self.source(array) for array in arrays or [np.empty(0, dtype)])
        if len(pieces) == 1:
            return pieces[0]
        size = sum(array.size for array in arrays)
        return self.intern(("joined", *pieces), lambda: Node(Joined(pieces), (), dtype, (size,)))

    def fixed(self, array: Array) -> Node:
        """The node of an array's elements, which are the same for all rows. They are copied."""
        own = array.copy()
        key = ("fixed", own.dtype, own.tobytes())
        return self.intern(key, lambda: Node(Fixed(own), (), own.dtype, own.shape))

    def elements(self, array: Array) -> int:
        """The number of an array's elements in the session's graph."""
        node = self.source(array)
        if node.id is None:
            self._lower(node)
        return int(node.id or 0)

    def number(self, value: Array) -> Node:
        """The node of a known number, given as an array without axes that nobody else holds."""

        def make() -> Node:
            node = Node("number", (), value.dtype, ())
            node.known, node.value = True, value
            return node

        return self.intern(("number", value.dtype, value.tobytes()), make)

    def python_number(self, value: float, dtype: np.dtype[Any]) -> Node:
        """The node of a Python number in this dtype."""
        if type(value) is complex or not value or value != value:
            # The number itself cannot be the key: 0.0 equals -0.0, and NaN does not equal itself.
            return self.number(np.asarray(value, dtype))
        key = ("python number", value, dtype.num)
        found = self._nodes.get(key)
        if found is None:
            found = self.number(np.asarray(value, dtype))
            if dtype.kind != "f" or math.isinf(value) or not math.isinf(found.value):
                # Otherwise NumPy has warned, and warns the next function too.
                self._nodes[key] = found
        return found

    def apply(self, operation: Any, inputs: tuple[Node, ...], dtype: np.dtype[Any], shape: Shape) -> Node:
        """The node of an elementwise operation."""
        return self.intern((operation, *inputs), lambda: Node(operation, inputs, dtype, shape, _order(inputs, shape)))

    def statistic(
        self,
        kernel: _core.Kernel,
        state: Any,
        of: Node,
        dtype: np.dtype[Any],
        plain: Callable[[Array], Any] | None,
        doubts_nan: bool = False,
    ) -> Node:
        """The node of a kernel's result.

        `plain` computes it with NumPy, in that error state, if the kernel does not; without it, the kernel's error is
        the answer.
        """

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
        """The node of a kernel's array of results.

        It is not shared, because the requesting function may write to the array.
        """
        elements = of if isinstance(of.operation, Source) else self.values(of)
        node = Node(operation, (elements,), dtype, shape)
        node.plain = plain
        return node

    def answer(self, kernel: _core.Kernel, of: Node, dtype: np.dtype[Any], plain: Callable[[Array], Any]) -> Node:
        """The node of a kernel's result that is an array, or several arrays.

        It is not shared, because the function owns the arrays. In one sweep, equal requests share everything else.
        """
        node = Node(Statistic(kernel, False), (of,), dtype, ())
        node.plain = plain
        return node

    def computed(
        self,
        function: Callable[..., Any],
        key: Any,
        inputs: tuple[Node, ...],
        dtype: np.dtype[Any],
        told: list[str] | None = None,
        values: FromValues | None = None,
    ) -> Node:
        """The node of a number computed from numbers; the function leaves its warnings in `told`."""
        told = [] if told is None else told
        return self.intern(
            ("computed", key, *inputs), lambda: Node(Computed(function, told, values), inputs, dtype, ())
        )

    def select(self, mask: Node, values: Node) -> Node:
        """The node of the values whose mask is true."""
        key = ("shape", mask)
        holder = self.intern(key, lambda: Node("shape", (mask,), mask.dtype, Selection(mask)))
        return self.apply("select", (mask, values), values.dtype, holder.shape)

    def cut(self, node: Node, part: slice) -> dict[Node, Node] | None:
        """A slice of a formula, as the formula of slices: all nodes that the formula is made of, and their slices.

        None if its elements are not in the order of the arrays.
        """
        if isinstance(node.shape, Selection) or len(node.shape) != 1:
            return None
        done: dict[Node, Node] = {}
        for each in _ordered([node]):
            if each.is_number:
                done[each] = each
            elif isinstance(each.operation, Source):
                done[each] = self.source(each.operation.array[part])
            elif isinstance(each.operation, Joined):
                if part.step is not None and part.step < 0:
                    return None
                done[each] = self.joined(each.operation.cut(part), each.dtype)
            elif isinstance(each.operation, Transform):
                done[each] = self._part_of(each, part)
            elif isinstance(each.operation, Fixed):
                done[each] = self.fixed(each.operation.array[part])
            else:
                inputs = tuple(done[of] for of in each.inputs)
                shape = next(of.shape for of in inputs if not of.is_number)
                done[each] = self.apply(each.operation, inputs, each.dtype, shape)
        return done

    def _part_of(self, node: Node, part: slice) -> Node:
        """A slice of what is made of each row."""
        places = range(length(node))[part]
        key = ("part", node, places.start, places.stop, places.step)
        return self.intern(key, lambda: Node(node.operation.cut(part), node.inputs, node.dtype, (len(places),)))

    # ---- knowing them ----

    def settle(self, wanted: Iterable[Node], workers: int) -> None:
        """Sweeps until these nodes are known, in the calling thread and its workers."""
        nodes = list(wanted)
        with self.one_at_a_time:
            while self.ask(nodes):
                self.sweep(workers)

    def settle_in_child(self, wanted: Iterable[Node]) -> None:
        """The same in a process that was forked meanwhile: requests made before the fork get no results here."""
        nodes = list(wanted)
        self.session, self.one_at_a_time = _core.Session(self.array), threading.Lock()
        self.flags, self._asked, self._own, self._turned_sources = {}, {}, {}, {}
        self.along_axes = AlongAxes(self.array, self.deadline, None)
        for node in _ordered(nodes):
            node.id, node.turned, node.asked = None, None, False
        self.settle(nodes, 1)

    def ask(self, wanted: Iterable[Node]) -> bool:
        """Requests the values that these nodes need from the next sweep.

        Returns whether there is something to sweep for.
        """
        waits = False
        for node in _ordered(wanted):
            if type(node.operation) is Along:
                waits |= self._ask_along(node)
            elif node.is_number:
                waits |= self._ask_number(node)
            elif not node.known and node.id is None and all(of.id is not None for of in node.inputs):
                self._lower(node)
        return waits or self.is_wanted()

    def is_wanted(self) -> bool:
        """Whether the call's kernels wait for a sweep."""
        return self.along_axes.is_wanted() or bool(self.session.waits())

    @staticmethod
    def values(node: Node) -> Node:
        """The node for the elements of a formula. A sweep stores them in a new array."""
        return Node("values", (node,), node.dtype, ())

    def broadcast(self, node: Node, shape: tuple[int, ...]) -> Node:
        """The node of an array's elements, repeated as NumPy broadcasts them."""
        return self.source(np.broadcast_to(node.operation.array, shape))

    def _ask_along(self, node: Node) -> bool:
        (of,) = node.inputs
        if node.known or node.asked:
            return not node.known
        if of.error is not None:
            node.known, node.error = True, of.error
            return False
        if isinstance(of.operation, Source) or of.known:
            node.asked = True
            self.along_axes.ask(node, of.operation.array if isinstance(of.operation, Source) else of.value)
        return True

    def _ask_number(self, node: Node) -> bool:
        if not node.known and isinstance(node.operation, Computed):
            if not all(of.known for of in node.inputs):
                return any(of.asked for of in node.inputs)
            try:
                node.value = node.operation.function(*node.inputs)
            except Exception as error:  # noqa: BLE001 - NumPy's own exception, for the function that asked
                node.error = error
            node.known = True
        if node.known:
            # Several quantiles give an array, and other kernels a tuple, which formulas do not extend.
            has_one = node.error is None and node.operation != "values" and not isinstance(node.value, tuple | None)
            if node.id is None and has_one and np.ndim(node.value) == 0 and node.dtype.kind in "biufc":
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
                self.session.reduce(number, node_id, of.dtype, node.operation.kernel, "propagate")
            except (TypeError, MemoryError) as error:
                del self._asked[number]
                node.known, node.error = True, error
        elif isinstance(of.shape, Selection):
            self._asked[number] = (node, None)
            self.session.collect(number, node_id)
        else:
            try:
                array = empty(of.shape, of.dtype, of.order)
            except MemoryError as error:
                node.known, node.error = True, error
                return
            self._asked[number] = (node, array)
            if of.turned is None:
                self.session.store(number, node_id, array)
            else:
                self.session.store(number, of.turned, array.transpose(of.order))

    def _lower(self, node: Node) -> None:
        if isinstance(node.operation, Source):
            array = node.operation.array
            node.id = 0 if array is self.array else self.session.source([array])
            # An array whose elements repeat has no order of its own.
            if node.order is not None and not is_repeated(node):
                node.turned = self._in_order(node, node.order)
        elif isinstance(node.operation, Joined):
            node.id = self.session.source([piece.operation.array for piece in node.operation.pieces])
        else:
            node.id = lowered(self.session, node.operation, [of.id for of in node.inputs])
            if node.order is not None:
                ids = [self._in_order(of, node.order) for of in node.inputs]
                node.turned = None if None in ids else lowered(self.session, node.operation, ids)
        if node.turned is not None:
            self._own[node.turned] = node.id
            self.session.turn(node.id, node.turned)

    def _in_order(self, node: Node, order: tuple[int, ...]) -> int | None:
        """The number of the node of the same elements in the order of these axes; None if there is none yet."""
        if node.is_number:
            return node.id
        if _is_cast(node):
            of = self._in_order(node.inputs[0], order)
            return None if of is None else self.session.cast(of, node.dtype)
        if not isinstance(node.operation, Source):
            return node.turned if node.order == order else None
        key = (node, order)
        if key not in self._turned_sources:
            self._turned_sources[key] = self.session.source([node.operation.array.transpose(order)])
        return self._turned_sources[key]

    def sweep(self, workers: int) -> None:
        """Sweeps once for all requests, and once for each array with requests along its axes."""
        self.sweeps += self.along_axes.sweep(workers)
        # The record of sweeps outlives the elements that functions have dropped.
        asked = [self.values(*node.inputs) if node.operation == "values" else node for node, _ in self._asked.values()]
        begun = time.perf_counter()
        try:
            with self.deadline.within() as left:
                answers, flags, read, size = self.session.sweep(workers, left)
        except Exception as error:  # noqa: BLE001 - passed on
            # The timeout has passed, or a signal handler raised it. It is not a failure of the waiting function.
            raise Stopped(error) from None
        if read:
            seconds = time.perf_counter() - begun
            self.sweeps.append(Sweep(seconds, size, [who for who, *_ in answers if who not in self._asked], asked))
        for number, bits in flags:
            node_id = self._own.get(number, number)
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
                # Those of float16 come as float32.
                chosen = np.empty(0) if value is None else value
                node.known, node.value = True, chosen.astype(node.dtype, copy=False)

    def _take_statistic(self, node: Node, value: Any, good: bool) -> None:
        """Takes a kernel's result, unless NumPy does something else: it wraps integers, and it warns if no element is
        left.
        """
        (of,) = node.inputs
        doubtful = node.operation.doubts_nan and np.any(value != value)  # NaN differs from itself
        if node.plain is not None and (not good or doubtful):
            plain = node.plain
            node.operation, node.inputs = Computed(lambda elements: plain(elements.value), []), (self.values(of),)
            node.asked = False
        elif good:
            node.known, node.value = True, value
        else:
            node.known, node.error = True, value


def _order(inputs: tuple[Node, ...], shape: Shape) -> Order:
    """The order in which NumPy stores an operation's values."""
    if isinstance(shape, Selection) or len(shape) < 2:
        return None
    arrays = [of for of in inputs if not of.is_number]
    if all(_is_in_c_order(of) for of in arrays):
        return None
    return common_order([_steps(of) for of in arrays])


def _is_in_c_order(node: Node) -> bool:
    return node.order is None and (type(node.operation) is not Source or node.operation.array.flags.c_contiguous)


def _is_cast(node: Node) -> bool:
    return type(node.operation) is tuple and node.operation[0] == "cast"


def _steps(node: Node) -> Steps:
    if _is_cast(node):
        # NumPy converts elements on the way, as they lie.
        return _steps(node.inputs[0])
    if isinstance(node.operation, Source):
        return steps_of(node.operation.array)
    return steps_in(node.order, node.shape)  # type: ignore[arg-type]


def _ordered(wanted: Iterable[Node]) -> list[Node]:
    """The nodes and all nodes that they are computed from, each after its inputs. Known numbers have no inputs."""
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
