"""Futures: `submit`, `arun` and `Pool.submit` give what `run` gives, and end at any moment when they are cancelled."""

import asyncio
import concurrent.futures as cf
import contextlib
import gc
import inspect
import random
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import fanfold as ff
from fanfold import _core
from fresh import run_script

# 10**12 elements in 8 bytes: a sweep over them takes many minutes.
HUGE = np.broadcast_to(1.0, (10**6, 10**6))
SEQUENCE = np.broadcast_to(1.0, 10**12)
X = np.random.default_rng(3).standard_normal(300_000)

ENDLESS: dict[str, tuple[Any, Any]] = {
    "kernels": (HUGE, ["mean", "median", "sum"]),
    "rows": (np.broadcast_to(1.0, (10**9, 1000)), {"sum": "sum"}),
    "a traced function": (SEQUENCE, lambda v: np.sum(np.exp(-v * v / 2))),
    "functions that wait": (SEQUENCE, {"a": lambda v: v.mean() > 0 and v.std(), "b": lambda v: float(np.abs(v).max())}),
}


def calls() -> list[threading.Thread]:
    """The threads that compute calls."""
    return [thread for thread in threading.enumerate() if thread.name == "fanfold-call"]


def ended() -> bool:
    """Whether the threads of calls end."""
    for thread in calls():
        thread.join(5)
    return not calls()


def begun(future: Any) -> None:
    """Waits until a call computes."""
    while not future.running():
        time.sleep(0.001)


def test_they_give_what_run_gives() -> None:
    functions = {"mean": "mean", "spread": lambda v: np.ptp(v), "quarter": ff.quantile(0.25)}
    want = ff.run(X, functions)
    assert isinstance(ff.submit(X, functions), cf.Future)
    with ff.Pool(2) as pool:
        futures = [ff.submit(X, functions), pool.submit(X, functions), ff.submit(X, functions, workers=1)]
        assert all(dict(future.result()) == dict(want) for future in futures)
    assert dict(asyncio.run(ff.arun(X, functions))) == dict(want)
    assert ff.submit(X.reshape(-1, 100), "mean", axis=1).result()["mean"].shape == (3000,)
    assert futures[0].done() and not futures[0].running() and not futures[0].cancel() and not futures[0].cancelled()


def test_they_raise_what_run_raises() -> None:
    def fails(v: Any) -> Any:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        ff.submit(X, fails).result()
    assert isinstance(ff.submit(X, "meen").exception(), ValueError)
    assert isinstance(ff.submit().exception(), TypeError)  # type: ignore[call-arg]
    assert isinstance(ff.submit(X, "mean", worker=3).exception(), TypeError)
    with pytest.raises(TimeoutError, match=r"timeout=0\.05 s passed"):
        ff.submit(HUGE, "mean", timeout=0.05).result()
    pool = ff.Pool(2)
    with pool:
        pass
    with pytest.raises(ValueError, match="was closed"):
        pool.submit(X, "mean")


def test_they_show_the_parameters_of_run() -> None:
    assert list(inspect.signature(ff.submit).parameters) == list(inspect.signature(ff.run).parameters)
    assert list(inspect.signature(ff.arun).parameters) == list(inspect.signature(ff.run).parameters)
    assert list(inspect.signature(ff.Pool.submit).parameters) == list(inspect.signature(ff.Pool.run).parameters)


@pytest.mark.parametrize("name", ENDLESS)
def test_a_call_that_computes_can_be_cancelled(name: str) -> None:
    data, functions = ENDLESS[name]
    axis = 1 if name == "rows" else None
    future = ff.submit(data, functions, axis=axis)
    begun(future)
    assert not future.done()
    assert future.cancel() and future.cancelled() and future.done() and not future.running()
    assert future.cancel()
    with pytest.raises(cf.CancelledError):
        future.result()
    assert ended()
    assert ff.run(X, "mean")["mean"] == ff.run(X, "mean", workers=1)["mean"]


def test_waiting_calls_take_their_turn_and_can_be_cancelled() -> None:
    first = [ff.submit(HUGE, "mean") for _ in range(_core.config()["workers"])]
    waiting = [ff.submit(X, "mean"), ff.submit(X, "max")]
    for future in first:
        begun(future)
    assert not any(future.running() or future.done() for future in waiting)
    assert waiting[0].cancel()
    assert cf.wait(waiting[:1], 5).done == {waiting[0]}
    for future in first:
        assert future.cancel()
    assert waiting[1].result(20)["max"] == X.max()
    assert next(cf.as_completed(first)).cancelled()
    assert ended()


def test_at_any_moment() -> None:
    functions = {"mean": "mean", "median": "median", "mine": lambda v: np.abs(v - v.mean()).max()}
    want = dict(ff.run(X, functions))
    chance = random.Random(5)
    outcomes = {True: 0, False: 0}
    for _ in range(1000):
        future = ff.submit(X, functions)
        until = time.perf_counter() + chance.choice((0, 1e-4, 1e-3, 3e-3)) * chance.random()
        while time.perf_counter() < until:
            pass
        was_cancelled = future.cancel()
        outcomes[was_cancelled] += 1
        assert future.cancelled() == was_cancelled
        if not was_cancelled:
            assert dict(future.result()) == want
    assert outcomes[True]
    assert ended()
    assert dict(ff.run(X, functions)) == want


def test_asyncio() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ff.arun(HUGE, "mean")
        task = asyncio.create_task(ff.arun(SEQUENCE, lambda v: np.exp(v).sum()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        results = await asyncio.gather(*(ff.arun(X, "mean") for _ in range(20)))
        assert len({float(r["mean"]) for r in results}) == 1

    asyncio.run(main())
    assert ended()


def test_functions_see_the_callers_context_and_run_in_it_alone() -> None:
    with np.errstate(divide="raise"):
        future = ff.submit(X * 0, lambda v: (1 / v).max())
    assert isinstance(future.exception(), FloatingPointError)


def test_a_function_may_submit() -> None:
    def nested(v: Any) -> Any:
        return ff.submit(v, "mean").result()["mean"]

    r = ff.submit(X, {"a": nested, "b": nested}).result()
    assert r["a"] == r["b"] == ff.run(X, "mean")["mean"]


def test_nothing_is_kept() -> None:
    class Held(np.ndarray[Any, Any]):
        pass

    for cancel in (False, True):
        x = np.arange(200_000.0).view(Held)
        kept = weakref.ref(x)
        future = ff.submit(x, {"mine": lambda v: np.abs(v).sum()})
        if cancel:
            future.cancel()
        else:
            future.result()
        assert ended()
        del x
        gc.collect()
        assert kept() is None


@pytest.mark.parametrize(
    "functions",
    ["mean", ["mean", lambda v: np.exp(v).mean()], {"a": lambda v: np.exp(v).mean(), "b": lambda v: np.abs(v).max()}],
    ids=["a kernel", "both", "functions"],
)
def test_calls_share_the_workers(functions: Any) -> None:
    x = np.zeros(4_000_000)
    assert ff.submit(x, functions, workers=8).result().report.workers == 8
    # As if three other calls were in flight.
    others = [_core.Watch() for _ in range(3)]
    assert ff.submit(x, functions, workers=8).result().report.workers == 2
    assert ff.submit(x, functions, workers=2).result().report.workers == 1
    assert ff.submit(x.reshape(4, -1), "mean", workers=8, axis=1).result().report.workers == 2
    assert ff.run(x, functions, workers=8).report.workers == 8
    del others
    assert ff.submit(x, functions, workers=8).result().report.workers == 8


def test_exit_with_calls_in_flight() -> None:
    done = run_script(
        """
        import numpy as np, fanfold as ff, time
        huge = np.broadcast_to(1.0, (10**6, 10**6))
        futures = [ff.submit(huge, f) for f in ("mean", "median", lambda v: np.exp(v).sum())] * 3
        while not futures[0].running():
            time.sleep(0.001)
        print("leaving")
        """,
        silent=True,
    )
    assert done == "leaving"


def test_a_forked_process_submits_anew() -> None:
    done = run_script(
        """
        import os, sys
        import numpy as np, fanfold as ff
        x = np.arange(200_000.0)
        future = ff.submit(np.broadcast_to(1.0, (10**6, 10**6)), "mean")
        while not future.running():
            pass
        child = os.fork()
        if child == 0:
            assert ff.submit(x, "mean").result(20)["mean"] == x.mean()
            sys.stdout.flush()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert done == "7"


def test_ctrl_c_in_who_waits() -> None:
    done = run_script(
        """
        import signal, threading, time
        import numpy as np, fanfold as ff
        future = ff.submit(np.broadcast_to(1.0, (10**6, 10**6)), "mean")
        waits = threading.Event()
        def press():
            waits.wait()
            while not future.running():
                time.sleep(0.001)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        threading.Thread(target=press).start()
        try:
            waits.set()
            future.result()
        except KeyboardInterrupt:
            print(future.cancelled())
        for thread in threading.enumerate():
            if thread.name == "fanfold-call":
                thread.join(5)
                print(thread.is_alive())
        """
    )
    assert done == "True\nFalse"


def told(data: Any, functions: Any, **options: Any) -> tuple[Any, list[tuple[int, int]]]:
    """The results of a call, and what its callback was told."""
    seen: list[tuple[int, int]] = []
    threads = set()

    def tell(done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.current_thread())

    r = ff.run(data, functions, progress=tell, **options)
    assert threads <= {threading.current_thread()}
    return r, seen


def test_progress_ends_at_its_total_and_never_decreases() -> None:
    functions = {
        "median": "median",
        "sorted": "sort",
        "mine": lambda v: np.exp(v).std(),
        "plain": lambda v: len(list(v)),
    }
    for data, more in ((X, {}), (X.reshape(-1, 1000), {"axis": 1}), (X, {"by": (X > 0)})):
        r, seen = told(data, {k: v for k, v in functions.items() if k != "sorted" or not more}, **more)
        assert seen[-1] == (1000, 1000)
        assert all(total == 1000 for _, total in seen)
        assert [done for done, _ in seen] == sorted({done for done, _ in seen})
        assert r["median"] is not None


def test_progress_shows_where_a_long_sweep_is() -> None:
    seen: list[int] = []

    def tell(done: int, total: int) -> None:
        seen.append(done)
        if done > 0:
            raise StopIteration("far enough")

    with pytest.raises(StopIteration, match="far enough"):
        ff.run(np.broadcast_to(1.0, (10**4, 10**6)), "mean", progress=tell)
    assert 0 < seen[-1] < 1000
    assert ended()


def test_progress_takes_a_class_like_tqdm() -> None:
    bars: list[Any] = []

    class Bar:
        def __init__(self, total: int) -> None:
            self.total, self.n, self.closed = total, 0, False
            bars.append(self)

        def update(self, more: int) -> None:
            assert more > 0
            self.n += more

        def close(self) -> None:
            self.closed = True

    ff.run(X, "mean", progress=Bar)
    assert [(bar.n, bar.total, bar.closed) for bar in bars] == [(1000, 1000, True)]
    with contextlib.suppress(ValueError):
        ff.run(X, "histogram", axis=7, progress=Bar)
    assert bars[-1].closed


def test_progress_that_is_none_is_told() -> None:
    for wrong in (3, "yes", np.zeros(3)):
        with pytest.raises(TypeError, match=r"progress must be a bool, a class or a function.*pass True"):
            ff.run(X, "mean", progress=wrong)  # type: ignore[arg-type]
    assert ff.run(X, "mean", progress=False)["mean"] == ff.run(X, "mean", progress=True)["mean"]


def test_the_line_on_a_terminal() -> None:
    done = run_script(
        """
        import sys
        import numpy as np, fanfold as ff
        class Terminal:
            text = ""
            def write(self, text): self.text += text
            def flush(self): pass
            def isatty(self): return True
        sys.stderr = terminal = Terminal()
        try:
            ff.run(np.broadcast_to(1.0, (10**6, 10**6)), "mean", progress=True, timeout=1.5)
        except TimeoutError:
            pass
        sys.stderr = sys.__stderr__
        parts = terminal.text.split("\\r")
        print(parts[0] == "", parts[1].startswith("fanfold: "), parts[-2].strip() == "", parts[-1] == "")
        ff.run(np.arange(10.0), "mean", progress=True)
        """,
        silent=True,
    )
    assert done == "True True True True"
