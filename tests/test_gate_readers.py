"""What was read before says nothing of what is read now: readers, tables, and objects of the same class."""

import gc
import weakref
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import fanfold as ff
from fresh import run_script


@pytest.mark.parametrize("use", ["column", "where", "weights"])
def test_what_a_table_was_refused_as_is_forgotten(use: str) -> None:
    """What one object of a class was, or was taken for, says nothing of others."""
    run_script(
        f"""
        import pandas as pd, polars as pl, pyarrow as pa

        class Capsule:
            def __init__(self, values):
                self.values = values

            def __arrow_c_array__(self, schema=None):
                return self.values.__arrow_c_array__(schema)

        makers = [pd.DataFrame, pl.DataFrame, pa.table, lambda of: Capsule(pa.record_batch(of)), dict]
        for make in makers:
            for other in (make, lambda of: Capsule(pa.array([True, False]))):
                try:
                    used = other({{"x": [1, 2]}})
                    if {use!r} == "column":
                        ff.run({{"a": used}}, "sum")
                    else:
                        ff.run(np.ones(2), "mean", **{{{use!r}: used}})
                except (TypeError, ValueError):
                    pass
                assert ff.run(make({{"x": [1, 2]}}), "sum")["sum"] == {{"x": 3}}, make
        """
    )


class Once:
    """A stream that is read once, and gives no rows from then on."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        values, self._values = self._values, self._values.slice(0, 0)
        return values.__arrow_c_stream__(schema)


def test_a_reader_that_was_read_before_has_no_rows_in_a_dict_either() -> None:
    reader: Any = Once(pa.chunked_array([[1, 2]]))
    assert ff.run(reader, "sum")["sum"] == 3
    for again in (reader, {"a": reader}):
        with pytest.raises(TypeError, match="like a reader that was already read"):
            ff.run(again, "sum")


def test_classes_of_data_do_not_live_longer_than_they_are_used() -> None:
    made = type("Made", (), {"__array__": lambda self, dtype=None, copy=None: np.ones(2)})
    assert ff.run(made(), "sum")["sum"] == 2.0
    kept = weakref.ref(made)
    del made
    gc.collect()
    assert kept() is None
