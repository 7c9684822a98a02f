"""The compiled half. Private: use the names of `fanfold`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

class KernelPanic(RuntimeError):
    """A kernel's code panicked. The other functions' results are not affected; please report it."""

@final
class Kernel:
    """A kernel with its parameters: what ``fanfold.std(ddof=1)`` gives. Hashable; equal if name and parameters are."""

    def __new__(cls, name: str, /, **parameters: Any) -> Kernel: ...
    @property
    def name(self) -> str: ...
    @property
    def arrays(self) -> Literal["one", "two", "all"]: ...
    @property
    def answers(self) -> Literal["number", "positions", "quantiles", "matrix", "items", "record"]: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Plan:
    """The native functions of a call."""

    def __new__(cls, kernels: list[Kernel], nan_policy: str) -> Plan: ...
    def explain(self, keys: list[str], like: np.dtype[Any]) -> str: ...
    def problems(self, array: npt.NDArray[Any]) -> list[Exception]: ...
    def problems_over(
        self, arrays: Sequence[npt.NDArray[Any]], over: Sequence[Sequence[int]], weights: npt.NDArray[Any] | None
    ) -> list[Exception]: ...
    def arrays(self, array: npt.NDArray[Any]) -> list[tuple[int, np.dtype[Any], int]]: ...
    def run(
        self,
        array: npt.NDArray[Any],
        workers: int,
        timeout: float | None,
        out: dict[int, npt.NDArray[Any]],
    ) -> tuple[list[Any], list[tuple[int, Exception]], int, int, int, float]: ...
    def run_rows(
        self,
        arrays: Sequence[npt.NDArray[Any]],
        over: Sequence[Sequence[int]],
        along: int,
        mask: npt.NDArray[np.bool_] | None,
        weights: npt.NDArray[Any] | None,
        workers: int,
        timeout: float | None,
    ) -> tuple[list[Any], list[tuple[int, Exception]], int, int, int, float]: ...
    def run_each(
        self,
        array: npt.NDArray[Any],
        along: int,
        starts: npt.NDArray[np.int64] | None,
        outputs: Mapping[int, npt.NDArray[Any]],
        workers: int,
        timeout: float | None,
    ) -> list[tuple[int, Exception]]: ...
    def run_groups(
        self,
        arrays: Sequence[npt.NDArray[Any]],
        over: Sequence[Sequence[int]],
        labels: npt.NDArray[Any],
        low: int,
        range: int,
        mask: npt.NDArray[np.bool_] | None,
        weights: npt.NDArray[Any] | None,
        positions: bool,
        workers: int,
        timeout: float | None,
    ) -> tuple[
        tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64] | None],
        tuple[list[Any], list[tuple[int, Exception]], int, int, int, float],
    ]: ...

@final
class Session:
    """The formulas of a call's functions over one array, and who waits for the next sweep."""

    NAN_CHECK: ClassVar[int]
    def __new__(cls, array: npt.NDArray[Any]) -> Session: ...
    def source(self, array: npt.NDArray[Any]) -> int: ...
    def constant(self, number: npt.NDArray[Any]) -> int: ...
    def ufunc(self, function: UfuncLoop, of: list[int]) -> int: ...
    def choose(self, condition: int, yes: int, no: int) -> int: ...
    def select(self, mask: int, values: int) -> int: ...
    def cast(self, of: int, dtype: np.dtype[Any]) -> int: ...
    def reduce(
        self, who: int, node: int, kernel: Kernel, nan_policy: str, out: npt.NDArray[Any] | None = None
    ) -> None: ...
    def refuse_nan(self) -> None: ...
    def store(self, who: int, node: int, array: npt.NDArray[Any]) -> None: ...
    def collect(self, who: int, node: int) -> None: ...
    @property
    def most_workers(self) -> int: ...
    def waits(self) -> bool: ...
    def sweep(
        self, workers: int, timeout: float | None
    ) -> tuple[list[tuple[int, Any, bool]], list[tuple[int, int]], bool, int]: ...

@final
class UfuncLoop:
    """The loop of a ufunc, for operands and an output of these dtypes; of which operands one item stands for all."""

    def __new__(cls, ufunc: np.ufunc, dtypes: Sequence[np.dtype[Any]], constants: Sequence[bool]) -> UfuncLoop: ...
    @property
    def name(self) -> str: ...

def can_cast(source: np.dtype[Any], target: np.dtype[Any]) -> bool: ...
def catalogue() -> list[
    tuple[
        str,
        str,
        tuple[tuple[str, Any, str, str], ...],
        str,
        tuple[str, ...],
        tuple[str, ...],
        int,
        str,
        bool,
        Literal["number", "positions", "quantiles", "matrix", "items", "record"],
        bool,
    ]
]: ...
def config() -> dict[str, Any]: ...
def is_worker() -> bool: ...
def stand_in(stands_in: bool) -> bool: ...
