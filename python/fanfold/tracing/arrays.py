"""The arrays of a traced function: `Traced`, its input, and `Deferred`, the values computed from it.

A `Traced` is an array over the real memory, so that code without NumPy's protocols (C code, Numba, ``np.asarray``)
reads the real elements. A `Deferred` has no memory. It stands for a formula, knows its dtype and shape without
computing, and is computed (*forced*) when its elements are needed. There are two kinds: `DeferredArray`, and
`DeferredNumber` (in `numbers`). What happens when NumPy meets them is in `handlers`.

All of them have every attribute that `dir` lists for NumPy's own types. If an operation is not part of a formula, the
real array does it.
"""

import math
import sys
import types
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fanfold.checks import locked
from fanfold.tracing.handlers import handle
from fanfold.tracing.layouts import order_of
from fanfold.tracing.nodes import Along, Made, Node, Source
from fanfold.tracing.operators import BINARY, COMPARISONS, IN_PLACE, UNARY
from fanfold.tracing.trace import MOST_FOLLOWED, Trace

Array = npt.NDArray[Any]


class StandsIn(type):
    """The metaclass of the types that stand in for NumPy's. They have NumPy's name in messages, and calling them
    creates NumPy's objects.

    Everything else is not disguised: ``type(v) is np.ndarray`` is false.
    """

    _stands_for: Any

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any], **kwargs: Any) -> Any:
        model = names.get("_stands_for")
        # For C code, a type's name includes its module, as for NumPy's types.
        return super().__new__(cls, f"{model.__module__}.{model.__name__}" if model else name, bases, names, **kwargs)

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return str(cls._stands_for.__name__)

    def __repr__(cls) -> str:
        return repr(cls._stands_for)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._stands_for(*args, **kwargs)

    def stand_in(cls, trace: Trace, node: Node) -> Any:
        """An instance of the class itself, not of NumPy's class."""
        return type.__call__(cls, trace, node)


class Traced(np.ndarray[Any, Any], metaclass=StandsIn):
    """The input of a traced function, or a view of it: read-only, over the real memory."""

    _stands_for = np.ndarray

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return np.ndarray

    # No __dict__, because an array has none.
    __slots__ = ("_known", "_trace")

    _trace: Trace | None
    _known: Node | None

    def __array_finalize__(self, of: Any) -> None:
        self._trace = getattr(of, "_trace", None)
        self._known = None

    def _plain(self) -> Array:
        return self.view(np.ndarray)

    def _node(self) -> Node | None:
        trace = self._trace
        if trace is None or not trace.active or self.flags.writeable or self.size < trace.smallest:
            return None
        if not self.ndim or not takes(self.dtype):
            return None
        known = self._known
        if known is not None:
            array = known.operation.array
            # A user can assign to a view's shape and dtype.
            if (array.shape, array.strides, array.dtype) == (self.shape, self.strides, self.dtype):
                return known
        known = self._known = trace.formulas.source(self._plain())
        return known

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return handle.ufunc(self._trace, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return handle.function(self._trace, func, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        trace = self._trace
        if trace is not None and trace.active and _is_view(key):
            part: Any = super().__getitem__(key)
            return part if type(part) is not Traced or part.size >= trace.smallest else part.view(np.ndarray)
        if trace is not None and type(key) is DeferredArray and (node := self._node()) is not None:
            chosen = handle.chosen(trace, node, key)
            if chosen is not None:
                return chosen
        if trace is not None and not _is_place(key):
            trace.because("indexing")
        return followed(trace, self._plain()[handle.read(trace, key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._plain()[handle.read(self._trace, key)] = handle.read(self._trace, value)

    def __iter__(self) -> Any:
        if self._trace is not None:
            self._trace.because("iteration")
        return iter(self._plain())

    def __repr__(self) -> str:
        return repr(self._plain())

    def __str__(self) -> str:
        return str(self._plain())

    def __format__(self, spec: str) -> str:
        return format(self._plain(), spec)

    def __reduce__(self) -> Any:
        return self._plain().__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain().__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self._plain().copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self._plain().copy()

    def __contains__(self, value: Any) -> bool:
        return handle.read(self._trace, value) in self._plain()


def _is_view(key: Any) -> bool:
    """Whether a key selects a view: of slices, numbers of elements, new axes and ``...``."""
    return type(key) in _VIEWS or (type(key) is tuple and all(type(each) in _VIEWS for each in key))


_VIEWS = (slice, int, type(None), type(...))


def _is_place(key: Any) -> bool:
    """Whether a key is the place of one element or row, which NumPy returns without reading the others."""
    return type(key) is int or (type(key) is tuple and all(type(each) is int for each in key))


# ---- what is not computed yet ----

REASONS = {
    "__bool__": "truth",
    "__float__": "float()",
    "__int__": "int()",
    "__complex__": "complex()",
    "__index__": "an index",
    "__round__": "round()",
    "__hash__": "hash()",
    "__repr__": "repr()",
    "__str__": "str()",
    "__format__": "formatting",
    "__contains__": "in",
    "__copy__": "a copy",
    "__deepcopy__": "a copy",
    "__reduce__": "pickling",
    "__reduce_ex__": "pickling",
    "__array_interface__": "np.asarray",
    "__array_struct__": "np.asarray",
    "__buffer__": "np.asarray",
}
"""The reasons for forcing a value, where the reason is not just the name of a method."""


def attribute(name: str, known: Callable[[Any], Any] | None = None) -> Any:
    """An attribute of the real array or number; if its value is known, it is read without computing."""
    reason = REASONS.get(name, f"the attribute {name}")

    def read(self: Any) -> Any:
        return getattr(self._materialise(reason), name)

    def write(self: Any, value: Any) -> None:
        setattr(self._materialise(reason), name, handle.read(self._trace, value))

    def delete(self: Any) -> None:
        delattr(self._materialise(reason), name)

    return property(known or read, write, delete)


class Deferred(metaclass=StandsIn):
    """A value that is not computed yet."""

    __slots__ = ("__weakref__", "_lent", "_node", "_real", "_trace")

    _stands_for: type = object

    def __init__(self, trace: Trace, node: Node) -> None:
        self._trace = trace
        self._node = node
        # The elements, if a caller may write to them; the formula is then no longer valid.
        self._real: Any = None
        # The elements that were computed for a caller that only reads.
        self._lent: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._stands_for

    def _formula(self) -> Node | None:
        """The formula, while it is valid. None for a result that is an array: formulas do not extend it."""
        holds = self._real is None and self._trace.active and (self._node.is_number or not self._node.is_answer)
        return self._node if holds else None

    def _lend(self, reason: str | None) -> Any:
        """The elements, for a caller that only reads them."""
        if self._real is not None:
            return self._real
        if self._lent is None:
            self._lent = self._trace.force(self._node, reason)
        return self._lent

    def _materialise(self, reason: str) -> Any:
        """The elements, for a caller that may write to them."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return handle.ufunc(self._trace, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return handle.function(self._trace, func, args, kwargs)

    def __sizeof__(self) -> int:
        return sys.getsizeof(self._lend("its size in memory"))


class DeferredArray(Deferred):
    """An array that is not computed yet."""

    __slots__ = ("_children", "_is_input", "_parent", "_shared", "_source")

    _stands_for = np.ndarray

    def __init__(self, trace: Trace, node: Node) -> None:
        super().__init__(trace, node)
        # Whether it is what a function was called with, which no formula replaces.
        self._is_input = False
        # Slices will share the memory of the elements.
        self._parent: tuple[DeferredArray, slice] | None = None
        self._children: list[tuple[weakref.ref[DeferredArray], slice]] = []
        # The elements of an array of results, if formulas read them: nobody may write to this array.
        self._source: Node | None = None
        # What several functions got, if this is a part of it (`shared`).
        self._shared: Any = None

    def _formula(self) -> Node | None:
        """The formula, while it is valid. An array of results is computed now, and formulas read its elements."""
        node = self._node
        if type(node.operation) not in (Along, Made) or not (self._real is None and self._trace.active):
            return super()._formula()
        return None if self._is_small_result() else self._result()

    def _is_small_result(self) -> bool:
        """Whether it is a kernel's array of results, and too small for formulas."""
        node = self._node
        return type(node.operation) is Along and math.prod(node.shape) < self._trace.smallest  # type: ignore[arg-type]

    def _result(self) -> Node | None:
        """The elements of an array of results, however few there are. None for anything else."""
        node = self._node
        is_valid = type(node.operation) in (Along, Made) and self._real is None and self._trace.active
        if is_valid and self._source is None and takes(node.dtype) and self.ndim:
            self._lent = self._trace.force(node, None) if self._lent is None else self._lent
            is_kept = self._shared is not None or type(node.operation) is not Made
            if not is_kept and not self._trace.formulas.keeps(self._lent.nbytes):
                return None
            self._source = self._trace.formulas.source(self._lent)
        return self._source if is_valid else None

    # ---- what is known ----

    def _get_dtype(self) -> np.dtype[Any]:
        return self._node.dtype if self._real is None else self._real.dtype

    def _get_shape(self) -> tuple[int, ...]:
        if self._real is None and isinstance(self._node.shape, tuple):
            return self._node.shape
        shape: tuple[int, ...] = self._lend("the number of elements that a mask chooses").shape
        return shape

    def _get_ndim(self) -> int:
        if self._real is None:
            return len(self._node.shape) if isinstance(self._node.shape, tuple) else 1
        return int(self._real.ndim)

    dtype = attribute("dtype", _get_dtype)
    shape = attribute("shape", _get_shape)
    ndim = attribute("ndim", _get_ndim)
    size = attribute("size", lambda self: math.prod(self.shape))
    itemsize = attribute("itemsize", lambda self: self.dtype.itemsize)
    nbytes = attribute("nbytes", lambda self: self.size * self.dtype.itemsize)
    T = attribute("T", lambda self: self.transpose())
    real = attribute("real", lambda self: self if self.dtype.kind in "biuf" else self._materialise("real").real)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    # ---- forcing ----

    def _lend(self, reason: str | None) -> Any:
        if self._real is None and self._lent is None:
            self._trace.lend(self._node, reason or "a rule")
            if isinstance(self._node.operation, Source) and self._is_of_input():
                self._lent = locked(self._node.operation.array)
        return super()._lend(reason)

    def _materialise(self, reason: str = "elements that may be written to") -> Any:
        """The elements; from now on they replace the formula."""
        if self._real is None:
            if self._parent is not None:
                parent, part = self._parent
                # This gives all slices their part, including this one.
                self._real = parent._materialise(reason)[part] if self._real is None else self._real
            else:
                self._real, self._lent = self._lend(reason), None
                # At the end, no formula reads the array any more.
                is_over = self._trace.formulas.is_over
                is_read = self._source is not None and not is_over
                if is_read or (self._shared is not None and not (is_over and self._shared.leaves_to(self))):
                    self._real = self._real.copy("K")
                self._source = self._shared = None
            self._share()
        return self._real

    def _share(self) -> None:
        """Makes all slices, and their slices, views of the elements that now exist."""
        for reference, part in self._children:
            child = reference()
            if child is not None:
                child._real, child._lent = self._real[part], None
                child._share()

    def _is_of_input(self) -> bool:
        """Whether it is what the function was called with, or a slice of that."""
        each = self
        while each._parent is not None:
            each = each._parent[0]
        return each._is_input

    def _become(self, node: Node) -> bool:
        """Replaces the formula in place. Returns False if the array shares memory with others, or is the input."""
        if self._is_input or self._real is not None or self._parent is not None:
            return False
        if any(ref() is not None for ref, _ in self._children):
            return False
        if node.order != self._node.order:
            # The array keeps its layout.
            return False
        self._node, self._lent = node, None
        return True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy:
            return np.array(self._lend("np.array"), dtype=dtype)
        return np.asarray(self._materialise("np.asarray"), dtype=dtype)

    # ---- elements ----

    def __getitem__(self, key: Any) -> Any:
        node = self._formula()
        if node is not None and isinstance(key, slice) and self.ndim == 1:
            part = self._trace.cut(node, key)
            if part is not None and part.shape[0] >= self._trace.smallest:  # type: ignore[index]
                child: Any = deferred(self._trace, part)
                child._parent = (self, key)
                self._children.append((weakref.ref(child), key))
                return child
        if node is not None and type(key) is DeferredArray:
            chosen = handle.chosen(self._trace, node, key)
            if chosen is not None:
                return chosen
        if node is not None and type(key) is int and self._trace.of_rows:
            item = handle.item(self._trace, node, key)
            if item is not None:
                return item
        if self._lent is not None and self._real is None and _is_place(key) and self.ndim == 1:
            return self._lent[key]
        return followed(self._trace, self._materialise("indexing")[handle.read(self._trace, key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        node = self._formula() if type(key) is DeferredArray and np.ndim(value) == 0 else None
        if node is not None:
            replaced = handle.replaced(self._trace, node, key, value)
            if replaced is not None and self._become(replaced):
                return
        self._materialise("item assignment")[handle.read(self._trace, key)] = handle.read(self._trace, value)

    def __iter__(self) -> Any:
        return iter(self._materialise("iteration"))

    # ---- memory ----

    def resize(self, *shape: Any, **kwargs: Any) -> None:
        # NumPy raises if other references than the caller's exist, and ours is one.
        real, self._real = self._materialise("resize"), None
        try:
            real.resize(*handle.read(self._trace, shape), **kwargs)
        finally:
            self._real = real

    # An array is mutable and therefore not hashable.
    __hash__ = None  # type: ignore[assignment]


def deferred(trace: Trace, node: Node) -> Deferred:
    """A deferred value for a node."""
    scalar: Any = node.dtype.type
    kind = handle.class_of(scalar) if node.is_number else DeferredArray
    made: Deferred = kind.stand_in(trace, node)
    trace.keep(made, node)
    return made


def deferred_input(trace: Trace, node: Node) -> DeferredArray:
    """The input of a function, as a deferred array: nothing is requested of it yet."""
    made: DeferredArray = DeferredArray.stand_in(trace, node)
    made._is_input = True
    trace.accept(made)
    return made


def followed(trace: Trace | None, made: Any) -> Any:
    """What NumPy has made for a function; if it is a large array that nobody else holds, formulas go on with it."""
    if type(made) is not np.ndarray or trace is None or not takes(made.dtype):
        return made
    # Exactly as many references as to an array that was made for this call (below).
    if sys.getrefcount(made) > _FRESH or not made.ndim:
        return made
    if made.base is not None and (type(made.base) is not np.ndarray or sys.getrefcount(made.base) > _FRESH_BASE):
        return made
    return made_array(trace, made) if trace.follows(made, MOST_FOLLOWED) else made


def made_array(trace: Trace, made: Array) -> DeferredArray:
    """An array that nobody else holds, as a deferred one: formulas read it, and it is copied if the function writes."""
    node = Node(Made(), (), made.dtype, made.shape, order_of(made))
    node.known, node.value = True, made
    value: DeferredArray = DeferredArray.stand_in(trace, node)
    value._lent = made
    trace.accept(value)
    return value


_FRESH = (lambda made: sys.getrefcount(made))(np.empty(1))
_FRESH_BASE = (lambda made: sys.getrefcount(made.base))(np.empty(2)[:1])
"""The references to an array, or to the owner of its memory, that only the argument of a function holds."""


def same_elements(array: DeferredArray) -> Any:
    """A view of an array with one axis: its elements will be in the same memory."""
    view: Any = deferred(array._trace, array._node)
    view._parent = (array, slice(None))
    array._children.append((weakref.ref(view), slice(None)))
    return view


def takes(dtype: np.dtype[Any]) -> bool:
    """Whether formulas can have such elements."""
    return dtype.isnative and dtype.kind in "biufc" and dtype.num not in _OTHERS


_OTHERS = {np.dtype(np.longdouble).num, np.dtype(np.clongdouble).num}


def are_results(values: Any) -> bool:
    """Whether all traced values among these are small results of kernels. NumPy goes on with them in no time."""
    ours = [each for each in values if type(each) is Traced or issubclass(type(each), Deferred)]
    return bool(ours) and all(type(each) is DeferredArray and each._is_small_result() for each in ours)


# ---- all the rest ----

_READING = frozenset(REASONS) - {"__array_interface__", "__array_struct__", "__buffer__"}
"""Methods that neither write to an array nor give a view of it."""

_ALIKE = ("__array_namespace__", "__array_priority__", "device")
"""Attributes that are the same for all arrays."""


def delegate(stand_in: type, model: type, like: Any, without: frozenset[str] = frozenset()) -> None:
    """Adds to a class all attributes of NumPy's class that it lacks. They are delegated to the real array or number."""
    has = {name for each in stand_in.__mro__[:-1] for name in vars(each)} | without
    for name in dir(model):
        described = getattr(model, name)
        if name in has or name in _PYTHONS:
            continue
        made: Any
        if name in _ALIKE or isinstance(described, types.BuiltinMethodType):
            same = getattr(like, name)
            made = staticmethod(same) if callable(same) else attribute(name, partial(_same, same))
        elif callable(described):
            made = _method(name)
        else:
            made = attribute(name)
        setattr(stand_in, name, made)


def _same(value: Any, of: Any) -> Any:
    """A value that does not depend on its owner."""
    del of
    return value


_PYTHONS = frozenset(dir(object)) - {"__format__", "__reduce__", "__reduce_ex__", "__repr__", "__str__", "__hash__"}
"""Attributes that every object has and that need no array. Comparisons are operators."""


def _method(name: str) -> Callable[..., Any]:
    reason = REASONS.get(name, name)
    reads = name in _READING

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        trace = self._trace
        rule = handle.methods.get(name)
        if rule is not None:
            return rule(self, *args, **kwargs)
        real = self._lend(reason) if reads else self._materialise(reason)
        result = [getattr(real, name)(*handle.read(trace, args), **handle.read(trace, kwargs))]
        # Some methods that change an array return it.
        return self if result[0] is self._real and result[0] is not None else followed(trace, result.pop())

    method.__name__ = name
    return method


def _operator(name: str, function: Callable[..., Any], ufunc: np.ufunc, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        operands = (*others, self) if reflected else (self, *others)
        trace = self._trace
        node = _applied(trace, name, ufunc, operands)
        if node is not None:
            return deferred(trace, node)
        made = handle.with_others(trace, ufunc, operands)
        if made is not None:
            return made
        # The real operator knows when an array defers to the other operand, which may keep the array.
        return plain_operator(trace, name, function, ufunc, operands, all(type(each) in _READERS for each in others))

    return method


def plain_operator(
    trace: Trace | None,
    name: str,
    function: Callable[..., Any],
    ufunc: np.ufunc,
    operands: tuple[Any, ...],
    only_reads: bool = True,
) -> Any:
    """The result of an operator on the real arrays and numbers."""
    if trace is not None and not are_results(operands):
        trace.because(ufunc.__name__)
    real = handle.read(trace, operands, ufunc.__name__, only_reads)
    if name in COMPARISONS and not only_reads and not all(isinstance(each, np.ndarray) for each in real):
        # Python asks the other operand next, and raises its own error if that fails too.
        return getattr(real[0], f"__{name}__")(real[1])
    return followed(trace, function(*real))


def _in_place(name: str, function: Callable[..., Any], ufunc: np.ufunc) -> Callable[..., Any]:
    def method(self: DeferredArray, other: Any) -> Any:
        trace = self._trace
        node = _applied(trace, name, ufunc, (self, other))
        if node is not None and (node.dtype, node.shape) == (self.dtype, self._node.shape) and self._become(node):
            return self
        trace.because(ufunc.__name__)
        real = self._materialise(ufunc.__name__)
        result = function(real, handle.read(trace, other, ufunc.__name__))
        return self if result is real else result

    return method


def _applied(trace: Trace | None, name: str, ufunc: np.ufunc, operands: tuple[Any, ...]) -> Node | None:
    """The formula of an operator's result; None if the result is not certain."""
    if trace is None or not trace.active:
        return None
    if name == "pow" and type(operands[0]) in (Traced, DeferredArray):
        fast: Any = handle.fast_power(operands[0], operands[1])
        if fast is not None:
            return handle.ufunc_node(trace, fast, operands[:1])
    return handle.ufunc_node(trace, ufunc, operands)


def power(method: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the modulus that ``pow`` takes too; NumPy then raises its own error."""

    def with_modulus(self: Any, other: Any, *modulus: Any) -> Any:
        if modulus:
            return pow(*handle.read(self._trace, (self, other, *modulus)))
        return method(self, other)

    return with_modulus


_READERS = (bool, int, float, complex, Traced, DeferredArray, np.ndarray)
"""Types that do not keep an array that they meet in an operator."""

for _name, (_function, _ufunc) in BINARY.items():
    _made = _operator(_name, _function, _ufunc)
    for _kind in (Traced, DeferredArray):
        setattr(_kind, f"__{_name}__", power(_made) if _name == "pow" else _made)
        setattr(_kind, f"__r{_name}__", _operator(_name, _function, _ufunc, reflected=True))
for _name, _function in IN_PLACE.items():
    setattr(DeferredArray, f"__i{_name}__", _in_place(_name, _function, BINARY[_name][1]))
_OTHER_OPERATORS: dict[str, tuple[Callable[..., Any], np.ufunc]] = {**COMPARISONS, **UNARY}
for _name, (_other, _ufunc) in _OTHER_OPERATORS.items():
    for _kind in (Traced, DeferredArray):
        setattr(_kind, f"__{_name}__", _operator(_name, _other, _ufunc))


def _delegating(name: str) -> Callable[..., Any]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        rule = handle.methods.get(name)
        if rule is not None and self._trace is not None:
            return rule(self, *args, **kwargs)
        if self._trace is not None:
            self._trace.because(REASONS.get(name, name))
        read = handle.read
        return followed(
            self._trace, getattr(self._plain(), name)(*read(self._trace, args), **read(self._trace, kwargs))
        )

    method.__name__ = name
    return method


# All other methods of an array run on a plain array: the result is not a view that would have to be traced. Private
# methods stay NumPy's own: since 2.5 `view` calls `_set_dtype` to change the view itself.
for _name in dir(np.ndarray):
    if not _name.startswith("_") and callable(getattr(np.ndarray, _name)) and _name not in ("view", "setflags"):
        setattr(Traced, _name, _delegating(_name))
delegate(DeferredArray, np.ndarray, np.empty(0))
