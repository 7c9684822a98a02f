"""What a traced function gets and makes: `Traced`, the input, and `Deferred`, what follows from it.

A `Traced` is an array over the real memory, so that whatever does not ask (C code, Numba, ``np.asarray``) reads the
real elements. A `Deferred` has no memory: it stands for a formula, answers what is known without computing (dtype,
shape), and is computed, *forced*, where only the elements will do. `rules` says which of NumPy's functions extend a
formula.
"""

import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from fanfold.tracing.formulas import Node
from fanfold.tracing.trace import Trace

Array = npt.NDArray[Any]


class Traced(np.ndarray[Any, Any]):
    """The input of a traced function, or a view of it: read-only, over the real memory."""

    _trace: Trace | None
    _known: Node

    def __array_finalize__(self, of: Any) -> None:
        self._trace = getattr(of, "_trace", None)

    def _plain(self) -> Array:
        return self.view(np.ndarray)

    def _node(self) -> Node | None:
        trace = self._trace
        if trace is None or not trace.active or self.flags.writeable or self.size < trace.smallest:
            return None
        # A view of smaller elements has more of them than a sweep goes through.
        if self.size > trace.formulas.array.size:
            return None
        if not (self.ndim == 1 or (self.ndim and self.flags.c_contiguous)) or not takes(self.dtype):
            return None
        known: Node | None = self.__dict__.get("_known")
        if known is not None:
            array = known.operation.array
            # A view's shape and dtype can be assigned to.
            if (array.shape, array.strides, array.dtype) == (self.shape, self.strides, self.dtype):
                return known
        known = self._known = trace.formulas.source(self._plain())
        return known

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return ufuncs.ufunc(self._trace, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return rules.function(self._trace, func, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        trace = self._trace
        if isinstance(key, slice) and trace is not None and trace.active and self.ndim == 1:
            part = super().__getitem__(key)
            return part if part.size >= trace.smallest else part.view(np.ndarray)
        if trace is not None and type(key) is Deferred and (node := self._node()) is not None:
            chosen = rules.chosen(trace, node, key)
            if chosen is not None:
                return chosen
        return self._plain()[plainly.lend(trace, key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._plain()[plainly.lend(self._trace, key)] = plainly.lend(self._trace, value)

    def __iter__(self) -> Any:
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
        return value in self._plain()


class Deferred(NDArrayOperatorsMixin):
    """An array that is not computed yet."""

    __slots__ = ("__weakref__", "_children", "_lent", "_node", "_parent", "_real", "_trace")

    def __init__(self, trace: Trace, node: Node) -> None:
        self._trace = trace
        self._node = node
        # The elements, if somebody may write to them; then the formula means nothing any more.
        self._real: Any = None
        # The elements, as they were computed for somebody who only reads.
        self._lent: Any = None
        # Slices share the memory that the elements will have.
        self._parent: tuple[Deferred, slice] | None = None
        self._children: list[tuple[weakref.ref[Deferred], slice]] = []

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return np.ndarray

    # ---- what is known ----

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._node.dtype if self._real is None else self._real.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        if self._real is None and isinstance(self._node.shape, tuple):
            return self._node.shape
        shape: tuple[int, ...] = self._lend("the number of elements that a mask chooses").shape
        return shape

    @property
    def ndim(self) -> int:
        if self._real is None:
            return len(self._node.shape) if isinstance(self._node.shape, tuple) else 1
        return int(self._real.ndim)

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    # ---- forcing ----

    def _formula(self) -> Node | None:
        """The formula, while it holds; None of an answer that is an array, which only its elements extend."""
        holds = self._real is None and self._trace.active and (self._node.is_number or not self._node.is_answer)
        return self._node if holds else None

    def _lend(self, reason: str) -> Any:
        """The elements, for somebody who only reads them."""
        if self._real is not None:
            return self._real
        if self._lent is None:
            self._lent = self._trace.force(self._node, reason)
        return self._lent

    def _realise(self, reason: str = "elements that may be written to") -> Any:
        """The elements, for good: from now on they are what counts."""
        if self._real is None:
            if self._parent is not None:
                parent, part = self._parent
                # This gives all slices their part, this one among them.
                self._real = parent._realise(reason)[part] if self._real is None else self._real
            else:
                self._real, self._lent = self._lend(reason), None
            self._share()
        return self._real

    def _share(self) -> None:
        """Slices are slices of what there is now, and theirs too."""
        for reference, part in self._children:
            child = reference()
            if child is not None:
                child._real, child._lent = self._real[part], None
                child._share()

    def _become(self, node: Node) -> bool:
        """Stands for another formula, in place; not if it shares memory with others."""
        if self._real is not None or self._parent is not None or any(ref() is not None for ref, _ in self._children):
            return False
        self._node, self._lent = node, None
        return True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy:
            return np.array(self._lend("np.array"), dtype=dtype)
        return np.asarray(self._realise("np.asarray"), dtype=dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        method = rules.METHODS.get(name)
        if method is not None:
            return lambda *args, **kwargs: method(self, *args, **kwargs)
        return getattr(self._realise(f"the attribute {name}"), name)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return ufuncs.ufunc(self._trace, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return rules.function(self._trace, func, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        node = self._formula()
        if node is not None and isinstance(key, slice) and self.ndim == 1:
            part = self._trace.formulas.cut(node, key)
            if part is not None and part.shape[0] >= self._trace.smallest:  # type: ignore[index]
                child = deferred(self._trace, part)
                child._parent = (self, key)
                self._children.append((weakref.ref(child), key))
                return child
        if node is not None and type(key) is Deferred:
            chosen = rules.chosen(self._trace, node, key)
            if chosen is not None:
                return chosen
        return self._realise("indexing")[plainly.lend(self._trace, key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        node = self._formula()
        if node is not None and type(key) is Deferred and np.ndim(value) == 0:
            replaced = rules.replaced(self._trace, node, key, value)
            if replaced is not None and self._become(replaced):
                return
        self._realise("item assignment")[plainly.lend(self._trace, key)] = plainly.lend(self._trace, value)

    def __iter__(self) -> Any:
        return iter(self._realise("iteration"))

    def __contains__(self, value: Any) -> bool:
        return value in self._lend("in")

    def __bool__(self) -> bool:
        return bool(self._lend("truth"))

    def __float__(self) -> float:
        return float(self._lend("float()"))

    def __int__(self) -> int:
        return int(self._lend("int()"))

    def __complex__(self) -> complex:
        return complex(self._lend("complex()"))

    def __index__(self) -> int:
        return operator.index(self._lend("an index"))

    def __round__(self, digits: int | None = None) -> Any:
        value = self._lend("round()")
        return round(value) if digits is None else round(value, digits)

    def __hash__(self) -> int:
        return hash(self._lend("hash()"))

    def __repr__(self) -> str:
        return repr(self._lend("repr()"))

    def __str__(self) -> str:
        return str(self._lend("str()"))

    def __format__(self, spec: str) -> str:
        return format(self._lend("formatting"), spec)

    def __copy__(self) -> Any:
        return np.copy(self._lend("a copy")) if self.ndim else self._lend("a copy")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __reduce__(self) -> Any:
        return self._lend("pickling").__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._lend("pickling").__reduce_ex__(protocol)

    def __pow__(self, other: Any) -> Any:
        fast = ufuncs.fast_power(self, other)
        return super().__pow__(other) if fast is None else fast(self)


class DeferredNumber(Deferred):
    """A NumPy scalar that is not computed yet."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._node.dtype.type

    def _realise(self, reason: str = "a number") -> Any:
        return self._lend(reason)

    def _no(self, other: Any) -> Any:
        return NotImplemented

    # A scalar does not change in place: `m += 1` is `m = m + 1`.
    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = __ipow__ = _no
    __iand__ = __ior__ = __ixor__ = __ilshift__ = __irshift__ = __imatmul__ = _no


def deferred(trace: Trace, node: Node) -> Deferred:
    """A value that stands for a node."""
    made = (DeferredNumber if node.is_number else Deferred)(trace, node)
    trace.keep(made, node)
    return made


def takes(dtype: np.dtype[Any]) -> bool:
    """Whether there are blocks of such elements, as they are."""
    return dtype.isnative and dtype.kind in "biufc" and dtype.num not in _OTHERS


_OTHERS = {np.dtype(np.float16).num, np.dtype(np.longdouble).num, np.dtype(np.clongdouble).num}


def _delegating(name: str) -> Callable[..., Any]:
    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        rule = rules.METHODS.get(name)
        if rule is not None and self._trace is not None:
            return rule(self, *args, **kwargs)
        lend = plainly.lend
        return getattr(self._plain(), name)(*lend(self._trace, args), **lend(self._trace, kwargs))

    method.__name__ = name
    return method


# Everything else that an array can do it does as a plain one: what comes out is no view that we would have to follow.
# What is private stays NumPy's own: since 2.5 `view` calls `_set_dtype`, to change the view itself.
for _name in dir(np.ndarray):
    if not _name.startswith("_") and callable(getattr(np.ndarray, _name)) and _name not in ("view", "setflags"):
        setattr(Traced, _name, _delegating(_name))

# Rules make arrays, and arrays follow rules.
from fanfold.tracing import plainly, rules, ufuncs  # noqa: E402
