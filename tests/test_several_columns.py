"""Functions of several columns: a function whose parameters have the names of columns gets these columns."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

import fanfold as ff

Array = npt.NDArray[Any]

RNG = np.random.default_rng(3)
SIZE = 200_000
TABLE: dict[str, Array] = {
    "price": RNG.lognormal(3, 1, SIZE),
    "size": RNG.integers(1, 100, SIZE),
    "cost": RNG.random(SIZE).astype(np.float32),
}


def vwap(price: Array, size: Array) -> Any:
    return (price * size).sum() / size.sum()


def margin(cost: Array, price: Array, size: Array) -> Any:
    return np.median((price - cost) * size), np.corrcoef(price, cost)[0, 1]


def spread(v: Array) -> Any:
    return np.sqrt(np.mean((v - v.mean()) ** 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_functions_of_columns_are_fused_with_everything_else(workers: int) -> None:
    r = ff.run(TABLE, {"vwap": vwap, "margin": margin, "spread": spread, "mean": "mean"}, workers=workers)
    price, size, cost = TABLE["price"], TABLE["size"], TABLE["cost"]
    np.testing.assert_allclose(r["vwap"], vwap(price, size), rtol=1e-12)
    assert type(r["vwap"]) is np.float64
    np.testing.assert_allclose(r["margin"], margin(cost, price, size), rtol=1e-12)
    assert list(r["spread"]) == list(TABLE) == list(r["mean"])
    for name, column in TABLE.items():
        np.testing.assert_allclose(r["spread"][name], spread(column), rtol=1e-5)
        assert r["mean"][name] == ff.run(column, "mean")["mean"]
    assert r.report.how["vwap"] == r.report.how["spread"] == "fused"
    alone = ff.run(TABLE, vwap)
    assert alone["vwap"] == r["vwap"] and alone.report.passes == 1


def test_one_pass_reads_all_columns_for_kernels_and_functions() -> None:
    r = ff.run(TABLE, {"vwap": vwap, "mean": "mean", "top": lambda v: v.max()})
    assert r.report.passes == 1
    assert r.report.bytes_read == sum(column.nbytes for column in TABLE.values())


@pytest.mark.parametrize("size", [1, 10, SIZE])
@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame,
        pa.table,
        lambda columns: np.rec.fromarrays(list(columns.values()), names=list(columns)).view(np.ndarray),
    ],
    ids=["pandas", "arrow", "record"],
)
def test_tables_of_every_kind(table: Callable[[Any], Any], size: int) -> None:
    columns = {name: column[:size] for name, column in TABLE.items()}
    r = ff.run(table(columns), [vwap, "max"])
    np.testing.assert_allclose(r["vwap"], vwap(columns["price"], columns["size"]), rtol=1e-12)
    assert r["max"]["size"] == columns["size"].max()


def test_keyword_only_and_optional_parameters() -> None:
    def weighted(price: Array, *, size: Array, cost: float = 2.0) -> Any:
        return (price * size).sum() * cost

    r = ff.run(TABLE, [weighted, partial(vwap, size=np.ones(SIZE))])
    np.testing.assert_allclose(r["weighted"], 2 * (TABLE["price"] * TABLE["size"]).sum(), rtol=1e-12)
    # With one parameter set, it is a function of one column, called for each.
    assert list(r["vwap"]) == list(TABLE)


def test_a_dict_to_fill_stays_a_dict_to_fill() -> None:
    def fills(v: Array, out: dict[str, Any]) -> None:
        out["top"] = v.max()

    r = ff.run(TABLE, [fills, vwap])
    assert r["top"] == {name: column.max() for name, column in TABLE.items()}
    assert list(r) == ["vwap", "top"] or list(r) == ["top", "vwap"]


def test_wrong_names_are_told_with_the_columns() -> None:
    with pytest.raises(ValueError, match=r"'f' has the parameter siez, but no such column \(did you mean 'size'\?\)"):
        ff.run(TABLE, {"f": lambda price, siez: price.sum() * siez.sum()})
    with pytest.raises(ValueError, match=r"the parameters a, b, c, but .*: the columns are 'price', 'size', 'cost';"):
        ff.run(TABLE, {"f": lambda a, b, c: None}, on_error="return")


def test_rows_with_missing_elements_are_left_out() -> None:
    frame = pd.DataFrame({"price": pd.array([1.0, None, 3.0, 4.0]), "size": pd.array([1, 2, None, 4]), "other": 1.0})
    r = ff.run(frame, {"vwap": vwap, "count": lambda price, other: len(price)})
    assert r["vwap"] == (1 * 1 + 4 * 4) / 5 and r["count"] == 3
    assert "2 rows" in r.report.why["vwap"] and r.report.bytes_copied > 0
    labels = np.array(["a", "a", "b", "b"])
    assert ff.run(frame, vwap, by=labels)["vwap"].tolist() == [1.0, 4.0]


def test_groups() -> None:
    labels = np.arange(SIZE) % 3
    r = ff.run(TABLE, [vwap, "mean"], by=labels)
    want = [vwap(TABLE["price"][labels == each], TABLE["size"][labels == each]) for each in range(3)]
    np.testing.assert_allclose(r["vwap"], want, rtol=1e-12)
    chosen = ff.run(TABLE, vwap, by=labels, where=TABLE["cost"] > 0.5)["vwap"]
    mask = (labels == 1) & (TABLE["cost"] > 0.5)
    np.testing.assert_allclose(chosen[1], vwap(TABLE["price"][mask], TABLE["size"][mask]), rtol=1e-12)


def test_arguments_of_the_run_are_passed_on() -> None:
    def along(price: Array, cost: Array, axis: int) -> Any:
        return (price * cost).sum(axis=axis)

    square = {name: column[:60_000].reshape(300, 200) for name, column in TABLE.items()}
    r = ff.run(square, [along, "max"], axis=1)
    np.testing.assert_allclose(r["along"], (square["price"] * square["cost"]).sum(axis=1), rtol=1e-12)

    def masked(price: Array, cost: Array, where: Array) -> Any:
        return price[where].sum() + cost[where].sum()

    mask = TABLE["price"] > 20
    r = ff.run(TABLE, masked, where=mask)
    np.testing.assert_allclose(r["masked"], TABLE["price"][mask].sum() + TABLE["cost"][mask].sum(), rtol=1e-12)


def test_their_failures_are_their_own() -> None:
    def boom(price: Array, size: Array) -> Any:
        raise RuntimeError("boom")

    r = ff.run(TABLE, [boom, vwap, "mean"], on_error="return")
    assert isinstance(r["boom"], RuntimeError) and r["vwap"] > 0 and len(r["mean"]) == len(TABLE)
    with pytest.raises(RuntimeError, match="boom") as caught:
        ff.run(TABLE, [boom, vwap])
    assert caught.value.results["vwap"] == r["vwap"]  # type: ignore[attr-defined]


def test_columns_are_read_only_and_copied_for_functions_that_refuse_them() -> None:
    def writes(price: Array, size: Array) -> None:
        size[0] = 5

    with pytest.raises(ValueError, match="read-only"):
        ff.run(TABLE, writes)
    tried = []

    def refuses(price: Array, size: Array) -> Any:
        tried.append(price.flags.writeable)
        if not (price.flags.writeable and size.flags.writeable):
            raise ValueError("buffer source array is read-only")
        return price.sum() + size.sum()

    r = ff.run({name: column[:100] for name, column in TABLE.items()}, refuses)
    assert tried == [False, True] and r.report.bytes_copied == 2 * 100 * 8
