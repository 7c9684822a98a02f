"""What results say about NaN in the data: counted when they are shown, without keeping the data alive."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fanfold as ff
from fanfold import nans

x = np.random.default_rng(7).standard_normal(9_000)
x[::7] = np.nan
SAID = "1,286 NaN in the data: nan_policy='omit' leaves them out"
PERHAPS = "NaN: if they are in the data, nan_policy='omit' leaves them out"
FRAME = pd.DataFrame({"price": x, "size": 1.0, "shop": "a"})
ONES = np.ones(x.size)
FLIPPED = np.asfortranarray(x.reshape(90, 100))


def last_line(of: object) -> str:
    return repr(of).split("\n")[-1]


@pytest.mark.parametrize(
    "run",
    [
        lambda: ff.run(x, ["mean", "max"]),
        lambda: ff.run(x, ["mean", np.max], workers=1),
        lambda: ff.run(x, "mean", by=np.arange(9_000) % 2),
        lambda: ff.run(x, "mean", where=x != 0),
        lambda: ff.run(x.reshape(90, 100), "mean", axis=0),
        lambda: ff.run(FLIPPED[:, :], "mean"),
        lambda: ff.run({"a": x, "b": ONES}, "mean"),
        lambda: ff.run(FRAME, ["mean", "std"]),
        lambda: ff.run(FRAME["price"], "mean"),
        lambda: ff.run(FRAME, "mean", by="shop"),
        lambda: ff.run(x.view("f8"), "mean"),
        lambda: ff.plan("mean").run(x),
        lambda: ff.submit(x, "mean").result(),
    ],
)
def test_the_nan_of_data_are_counted(run: Callable[[], ff.Results]) -> None:
    r = run()
    assert last_line(r) == SAID
    assert f"<div>{SAID.replace(chr(39), '&#x27;')}</div>" in r._repr_html_()


def test_those_of_a_view_are_counted() -> None:
    assert last_line(ff.run(x[::-2], "mean")).startswith(f"{np.isnan(x[::-2]).sum()} NaN in the data")
    assert last_line(ff.run(FLIPPED[3:50, ::3], "mean")).startswith(f"{np.isnan(FLIPPED[3:50, ::3]).sum()} NaN in")


@pytest.mark.parametrize(
    "run",
    [
        lambda: ff.run(x, "mean", nan_policy="omit"),
        lambda: ff.run(x, ["nanmean", "count"]),
        lambda: ff.run(x, lambda v: np.nan),
        lambda: ff.run(np.ones(3), "mean"),
        lambda: ff.run(np.arange(3), "mean"),
        lambda: ff.describe(x),
    ],
)
def test_where_the_policy_changes_nothing_nothing_is_said(run: Callable[[], ff.Results]) -> None:
    assert "NaN" not in repr(run())


def test_nan_that_the_data_do_not_hold_are_not_blamed_on_them() -> None:
    infinite = np.array([np.inf, -np.inf])
    assert "NaN" not in repr(ff.run(infinite, "mean"))
    one = np.ones(1)
    assert "NaN" not in repr(ff.run(one, ff.std(ddof=1)))


def test_data_that_are_gone_or_too_many_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert last_line(ff.run(x.tolist(), "mean")) == PERHAPS
    r = ff.run(x + 1, "mean")
    assert last_line(r) == PERHAPS
    monkeypatch.setattr(nans, "MOST", 8_999)
    assert last_line(ff.run(x, "mean")) == PERHAPS


def test_what_is_said_stays_the_same_and_goes_with_copies() -> None:
    data = x.copy()
    r = ff.run(data, "mean")
    copied = copy.copy(r)
    assert last_line(r) == SAID == last_line(copied)
    data[:] = 0
    assert last_line(r) == SAID
    assert last_line(copy.copy(r)) == SAID
    assert "NaN" not in repr(pickle.loads(pickle.dumps(r)))


@pytest.mark.parametrize("make", [lambda: x.copy(), lambda: x.copy()[::2], lambda: pd.Series(x.copy())])
def test_results_do_not_keep_the_data_alive(make: Callable[[], Any]) -> None:
    data = make()
    dead = weakref.ref(data if isinstance(data, np.ndarray) and data.base is None else getattr(data, "base", data))
    r = ff.run(data, ["mean", "max"])
    del data
    gc.collect()
    assert dead() is None
    assert last_line(r) == PERHAPS


def test_results_of_tables_and_functions_do_not_keep_the_data_alive() -> None:
    data = x.copy()
    dead = weakref.ref(data)
    several = [ff.run({"a": data}, "mean"), ff.run(data, ["mean", len]), ff.run(data, "mean", by=np.zeros(x.size))]
    del data
    gc.collect()
    assert dead() is None
    assert [last_line(r) for r in several] == [PERHAPS] * 3
