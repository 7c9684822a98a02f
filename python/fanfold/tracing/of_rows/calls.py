"""The calls of a function for single rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fanfold.calling import Called
from fanfold.deadline import Deadline
from fanfold.tracebacks import without_our_frames
from fanfold.tracing.nodes import Array


class OfRows:
    """The calls of a function for some rows, one after the other."""

    def __init__(
        self,
        key: str,
        called: Called,
        numbers: Sequence[int],
        rows: Callable[[Iterable[int]], Iterator[Array]],
        deadline: Deadline,
    ) -> None:
        self.key = key
        self.called = called
        self.numbers = numbers
        self.values: list[Any] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self._rows = rows
        self._deadline = deadline

    def attempt(self) -> None:
        """Calls the function for each row."""
        begun = time.perf_counter()
        try:
            self._attempt()
        finally:
            self.seconds = time.perf_counter() - begun

    def _attempt(self) -> None:
        if self.called.is_remote:
            # One message for all.
            try:
                self.values = self.called.each(((row,), {}, {}) for row in self._rows(self.numbers))
            except Exception as error:  # noqa: BLE001 - a function can raise anything
                self.error = without_our_frames(error)
            return
        for row in self._rows(self.numbers):
            self._deadline.left()
            try:
                self.values.append(self.called.on((row,), {}))
            except Exception as error:  # noqa: BLE001 - a function can raise anything
                self.error = without_our_frames(error)
                return
