"""Threads and processes: how many compute, what a fork leaves alive, and who else may go on meanwhile."""

import os
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fanfold as ff
from fresh import run_script

pytestmark = [pytest.mark.serial, pytest.mark.timeout(60)]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# Large enough to be shared out to the workers: small arrays are left to the calling thread.
LARGE = 400_000

FUNCTIONS = ["sum", "mean", "std", "skew", "min", "argmax", "norm", "logsumexp", "histogram"]


def bits(results: ff.Results) -> dict[str, bytes]:
    """The results to the last bit."""
    parts = {key: value if isinstance(value, ff.Histogram) else (value,) for key, value in results.items()}
    return {key: b"".join(np.asarray(part).tobytes() for part in of_key) for key, of_key in parts.items()}


@pytest.fixture(scope="module")
def large() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=LARGE)


# ---- what is started, and what is not ----


@linux
def test_importing_fanfold_starts_no_thread() -> None:
    run_script(
        """
        import os, threading
        import numpy
        before = set(os.listdir('/proc/self/task'))
        import fanfold
        assert set(os.listdir('/proc/self/task')) == before
        assert threading.active_count() == 1
        """,
        prelude="",
    )


@linux
def test_small_arrays_and_one_worker_start_no_thread() -> None:
    run_script(
        """
        before = set(threads())
        ff.run(np.arange(1000.0), ['mean', len], workers=8)
        ff.run(np.arange(1e6), ['mean', len], workers=1)
        x = np.arange(1e6)
        for labels in (x // 1e5, (x // 1e5).astype(int), (x.astype(int) << 40, x % 7)):
            ff.run(x, 'mean', by=labels, workers=1)
        ff.run(x.reshape(1000, -1), ['mean', 'median', 'cumsum'], axis=0, workers=1)
        with ff.Pool(workers=4) as pool:
            pool.run(np.arange(1000.0), 'mean')
        assert set(threads()) == before
        """
    )


@linux
def test_all_threads_are_fanfolds_own_and_rayons_global_pool_is_never_created() -> None:
    run_script(
        """
        x = np.arange(1e6)
        before = set(threads())
        for workers in (2, 3, 2, 3):
            r = ff.run(x, ['mean', 'histogram', len], workers=workers)
            assert r.report.workers == workers
        names = started_since(before)
        # Of two workers one is the calling thread, of three too.
        assert names == ['fanfold-0', 'fanfold-0', 'fanfold-1'], names
        assert threading.active_count() == 1
        """
    )


# ---- N at a time ----


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_exactly_as_many_callables_run_at_a_time_as_there_are_workers(workers: int, large: npt.NDArray[Any]) -> None:
    lock, most, now = threading.Lock(), 0, 0
    # Passed only by as many callables together, so that fewer at a time would break it.
    together = threading.Barrier(workers)

    def function(_: npt.NDArray[Any]) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        together.wait(timeout=30)
        # Lets go of the interpreter, so that one too many could come in.
        time.sleep(0.005)
        with lock:
            now -= 1

    functions: dict[str, Any] = {f"f{i}": function for i in range(4 * workers)}
    functions["mean"] = "mean"
    ff.run(large, functions, workers=workers)
    assert (most, now) == (workers, 0)


def test_callables_of_a_small_array_are_called_by_the_calling_thread_one_after_the_other() -> None:
    def which(_: npt.NDArray[Any]) -> int:
        return threading.get_ident()

    r = ff.run(np.arange(10.0), {"a": which, "b": which, "c": which}, workers=3)
    assert set(r.values()) == {threading.get_ident()}


@linux
@pytest.mark.parametrize("callers", [1, 3])
def test_never_more_threads_compute_than_workers(callers: int) -> None:
    run_script(
        f"""
        def spent():
            found = {{}}
            for task, name in threads().items():
                with open(f'/proc/self/task/{{task}}/schedstat') as file:
                    found[task] = (name, int(file.read().split()[0]) * 1e-9)
            return found

        def run(workers):
            try:
                ff.run(huge, ['mean', 'std', 'min'], workers=workers, timeout=0.5)
            except TimeoutError:
                computed.append(time.thread_time())

        computed = []
        huge = np.broadcast_to(1.0, (10**6, 10**6))
        ff.run(np.arange(1e6), 'mean', workers=5)
        ff.run(np.arange(1e6), 'mean', workers=2)

        before, started = spent(), time.perf_counter()
        callers = [threading.Thread(target=run, args=(2,)) for _ in range({callers})]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        after, elapsed = spent(), time.perf_counter() - started
        seconds = {{task: used - before.get(task, ('', 0))[1] for task, (_, used) in after.items()}}
        # (The system may still list a caller that has ended.)
        busy = [name for task, (name, _) in after.items() if seconds[task] > 0.1 and name.startswith('fanfold-')]
        # A caller is one of its own workers. The pool works for one of several callers at most; the others compute
        # alone, and wait for nobody.
        assert busy == ['fanfold-0'] or (not busy and {callers} > 1), (after, seconds)
        assert len(computed) == {callers} and max(computed) < elapsed + 0.1, (computed, elapsed)
        assert min(computed) > 0.05, computed
        """
    )


@linux
def test_one_worker_is_the_calling_thread() -> None:
    run_script(
        """
        x = np.arange(1e6)
        ff.run(x, 'mean', workers=3)
        started = time.thread_time(), time.process_time()
        try:
            ff.run(np.broadcast_to(1.0, (10**6, 10**6)), ['mean', 'std'], workers=1, timeout=0.5)
        except TimeoutError:
            pass
        mine, all = time.thread_time() - started[0], time.process_time() - started[1]
        assert all - mine < 0.1 and mine > all / 2, (mine, all)
        """
    )


@linux
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_nested_run_shares_the_budget(workers: int) -> None:
    run_script(
        f"""
        x = np.random.default_rng(1).normal(size=400_000)
        want = ff.run(x, 'std', workers=1)['std']

        def nested(v, depth=3):
            if depth:
                r = ff.run(v, {{'deeper': lambda w: nested(w, depth - 1), 'std': 'std'}}, workers=4)
                assert r['std'] == want and r.report.workers == 1, r.report
                return r['deeper']
            r = ff.run(v, 'std')
            assert r.report.workers == 1, r.report
            return r['std']

        before = set(threads())
        r = ff.run(x, {{f'f{{i}}': nested for i in range(10)}} | {{'std': 'std'}}, workers={workers})
        assert set(r.values()) == {{want}}
        names = started_since(before)
        # The calling thread is one of the workers, and so is each thread that a function runs on meanwhile.
        assert len(names) <= {workers} - 1, names
        """
    )


# ---- many functions, few threads ----


@linux
def test_many_functions_that_wait_share_few_threads_and_few_passes() -> None:
    """Each was a thread that woke at every change: two thousand took two minutes."""
    run_script(
        """
        x, most = np.random.default_rng(0).standard_normal(200_000), 0

        def function(v, k):
            global most
            most = max(most, threading.active_count())
            return float((v + k).max())

        functions = {f'f{k}': (lambda v, k=k: function(v, k)) for k in range(2000)}
        r = ff.run(x, functions, workers=2)
        assert [*r.values()] == [float((x + k).max()) for k in range(2000)]
        assert most <= 70, most
        # Sixty-four at a time.
        assert 2000 / 64 <= r.report.passes <= 64, r.report.passes
        """
    )


@linux
@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_fewer_threads_do_the_work_if_there_are_no_more(allowed: int) -> None:
    run_script(
        f"""
        import resource
        x = np.arange(500_000.0) % 3
        plain = lambda v: float(v[0])
        traced = lambda v: float((v * 2).mean())
        # Nobody else has this identity: its processes and threads are this one's.
        user = 60_000 + {allowed}
        resource.setrlimit(resource.RLIMIT_NPROC, (1 + {allowed},) * 2)
        os.setgid(user), os.setuid(user)
        seen = []
        for functions in (['mean', 'std'], 'median', {{'a': plain, 'b': plain, 'm': 'mean'}},
                          {{'a': traced, 'b': traced, 'm': 'mean'}}, {{f'f{{k}}': traced for k in range(20)}}):
            for data in (x, x.astype('>f8')):
                for options in ({{}}, {{'workers': 5}}):
                    r = ff.run(data, functions, **options)
                    want = ff.run(data, functions, workers=1)
                    assert r == want, (r, want)
                    seen.append(r.report.workers)
        r = ff.run(x.reshape(100, -1), ['mean', 'median'], axis=1, workers=5)
        assert r.report.workers <= 1 + {allowed}, r.report
        assert max(seen) <= 1 + {allowed} and (max(seen) == 1 + {allowed} or {allowed} == 2), seen
        """,
        environment={"NUMBA_NUM_THREADS": "1"},
    )


# ---- fork ----

FORK = """
x = np.random.default_rng(1).normal(size=400_000)
functions = ['sum', 'std', 'argmin', 'histogram']

def answer():
    r = ff.run(x, functions, workers=2)
    assert r.report.workers == 2
    return [r[key].tobytes() for key in functions[:-1]] + [part.tobytes() for part in r['histogram']]

def child(work):
    '''Forks, does the work in the child, and waits for it.'''
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def compare():
    assert answer() == want

want = [ff.run(x, key, workers=1)[key].tobytes() for key in functions[:-1]]
want += [part.tobytes() for part in ff.run(x, 'histogram', workers=1)['histogram']]
"""


def fork_script(source: str) -> None:
    run_script(FORK + textwrap.dedent(source))


@forks
def test_a_child_forked_before_the_first_run_answers_rightly() -> None:
    fork_script("child(compare); compare()")


@forks
def test_a_child_forked_after_a_run_answers_rightly() -> None:
    fork_script("compare(); child(compare); compare(); child(compare)")


@forks
def test_a_grandchild_answers_rightly() -> None:
    fork_script("compare(); child(lambda: (compare(), child(compare), compare())); compare()")


@forks
def test_a_child_forked_during_a_pass_answers_rightly_and_the_run_goes_on() -> None:
    fork_script(
        """
        begun, outcome = threading.Event(), []
        huge = np.broadcast_to(1.0, (10**6, 10**6))

        def run():
            try:
                # Never done: the fork is sure to find it at work.
                ff.run(huge, [lambda v: begun.set(), 'mean'], workers=2, timeout=1.0)
            except BaseException as error:
                outcome.append(type(error))

        runner = threading.Thread(target=run)
        runner.start()
        begun.wait()
        for _ in range(3):
            child(compare)
        assert runner.is_alive()
        runner.join()
        assert outcome == [TimeoutError], outcome
        compare()
        """
    )


@forks
def test_a_child_forked_while_functions_are_called_answers_rightly_and_the_run_ends() -> None:
    fork_script(
        """
        begun, release = threading.Event(), threading.Event()

        def hold(v):
            begun.set()
            assert release.wait(30)
            return float(v[0])

        results = []
        runner = threading.Thread(target=lambda: results.append(ff.run(x, [hold, 'mean'], workers=2)))
        runner.start()
        begun.wait()
        child(compare)
        release.set()
        runner.join()
        assert results[0]['hold'] == x[0]
        compare()
        """
    )


@forks
@pytest.mark.parametrize("workers", [1, 2])
def test_a_child_forked_by_a_function_of_a_run_answers_rightly(workers: int) -> None:
    fork_script(
        f"""
        def forking(v):
            # The child is a copy of a worker, and computes alone as any worker does.
            child(lambda: ff.run(x, 'std')['std'].tobytes() == want[1] or os._exit(2))
            return 'forked'

        assert ff.run(x, {{'a': forking, 'b': forking, 'm': 'mean'}}, workers={workers})['b'] == 'forked'
        compare()
        """
    )


@forks
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_child_forked_by_a_function_can_ask_the_array_of_that_function(workers: int) -> None:
    fork_script(
        f"""
        def forking(v):
            before = v.max()

            def asks():
                assert float(v.sum()) == ff.run(x, 'sum')['sum'] and before == x.max()
                assert np.median(v[v > 1]) == np.median(x[x > 1])
                assert np.allclose((v - v.mean()) * 2, (x - x.mean()) * 2)

            child(asks)
            return v.sum() + before

        others = {{'mean': np.mean, 'median': lambda v: np.median(v) + v.std(), 'm': 'mean'}}
        r = ff.run(x, {{'forking': forking, **others}}, workers={workers})
        assert r['forking'] == x.max() + ff.run(x, 'sum')['sum'] and r['mean'] == r['m']
        """
    )


@forks
def test_a_forked_child_can_leave_by_the_front_door() -> None:
    # Not by os._exit: the interpreter is finalised, and with it a pool whose threads are not there.
    fork_script(
        """
        compare()
        pid = os.fork()
        compare()
        if pid:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        """
    )


MULTIPROCESSING = """
import functools, multiprocessing

arrays = [np.random.default_rng(i).normal(size=300_000) for i in range(4)]
work = functools.partial(ff.run, functions=['mean', 'std', ff.histogram(bins=5)], workers=2)

def same(left, right):
    bits = lambda r: [r['mean'].tobytes(), r['std'].tobytes(), *(part.tobytes() for part in r['histogram'])]
    return bits(left) == bits(right)

want = [work(array) for array in arrays]
"""


@forks
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_answer_rightly(method: str) -> None:
    run_script(
        MULTIPROCESSING
        + f"""
with multiprocessing.get_context({method!r}).Pool(2) as pool:
    got = pool.map_async(work, arrays).get(timeout=50)
assert all(same(left, right) for left, right in zip(got, want, strict=True))
assert all(r.report.workers == 2 for r in got)
"""
    )


def test_joblib_loky_children_answer_rightly() -> None:
    pytest.importorskip("joblib")
    run_script(
        MULTIPROCESSING
        + """
import joblib
got = joblib.Parallel(n_jobs=2, timeout=50)(joblib.delayed(work)(array) for array in arrays)
assert all(same(left, right) for left, right in zip(got, want, strict=True))
"""
    )


# ---- other Python threads ----


def test_another_python_thread_keeps_half_its_speed_during_a_run() -> None:
    ready, stop, speeds = threading.Event(), threading.Event(), []

    def count() -> None:
        ready.set()
        started, done = time.perf_counter(), 0
        while not stop.is_set():
            for _ in range(1000):
                done += 1
        speeds.append(done / (time.perf_counter() - started))

    def measure(during: Any) -> float:
        ready.clear()
        stop.clear()
        thread = threading.Thread(target=count)
        thread.start()
        ready.wait()
        during()
        stop.set()
        thread.join()
        return speeds.pop()

    def long_run() -> None:
        with pytest.raises(TimeoutError):
            ff.run(np.broadcast_to(1.0, (10**6, 10**6)), ["mean", "std"], workers=1, timeout=0.5)

    # Other work on this machine can slow either side: the best of a few comparisons counts.
    ratios = []
    for _ in range(5):
        alone = measure(lambda: threading.Event().wait(0.25))
        ratios.append(measure(long_run) / alone)
        if ratios[-1] >= 0.5:
            return
    raise AssertionError(f"the speed beside a run, compared to alone: {ratios}")


def test_many_python_threads_get_equal_bits_of_the_same_array(large: npt.NDArray[Any]) -> None:
    want = bits(ff.run(large, FUNCTIONS, workers=1))
    start = threading.Barrier(8)

    def work(number: int) -> list[dict[str, bytes]]:
        start.wait(timeout=30)
        return [bits(ff.run(large, FUNCTIONS, workers=1 + (number + i) % 3)) for i in range(6)]

    with ThreadPoolExecutor(8) as executor:
        got = list(executor.map(work, range(8)))
    assert all(answer == want for answers in got for answer in answers)


def test_one_plan_serves_many_python_threads_and_dtypes_at_once(large: npt.NDArray[Any]) -> None:
    plan = ff.plan([*FUNCTIONS, len])
    arrays: list[npt.NDArray[Any]] = [
        large,
        large.astype("f4"),
        large[::-1],
        (large * 100).astype("i4"),
        large > 0,
        large[:50],
        large.astype(">f8"),
    ]
    fresh = [ff.run(array, [*FUNCTIONS, len], workers=1) for array in arrays]
    start = threading.Barrier(len(arrays))

    def work(number: int) -> None:
        start.wait(timeout=30)
        for i in range(2 * len(arrays)):
            which = (number + i) % len(arrays)
            got = plan.run(arrays[which], workers=2)
            assert bits(got) == bits(fresh[which])

    with ThreadPoolExecutor(len(arrays)) as executor:
        for future in [executor.submit(work, number) for number in range(len(arrays))]:
            future.result(timeout=50)


def test_runs_on_a_shared_pool_wait_for_nobody_in_a_circle(large: npt.NDArray[Any]) -> None:
    # More callers than workers, each with more functions than workers, each function with a run of its own.
    def nested(v: npt.NDArray[Any]) -> Any:
        return ff.run(v, ["mean", len], workers=2)["mean"]

    functions = {f"f{i}": nested for i in range(4)}
    want = ff.run(large, "mean")["mean"]
    with ThreadPoolExecutor(6) as executor:
        futures = [executor.submit(ff.run, large, functions, workers=2) for _ in range(12)]
        for future in futures:
            assert set(future.result(timeout=50).values()) == {want}


@pytest.mark.parametrize("workers", [2, 3])
def test_a_run_waits_for_no_strangers_functions(workers: int) -> None:
    # The pools of two and of three workers have threads in common.
    begun, over = threading.Barrier(3), threading.Event()

    def busy(_: npt.NDArray[Any]) -> None:
        begun.wait(timeout=30)
        over.wait(timeout=30)

    for x in (np.ones(300_000), np.ones(300_000, ">f8")):
        over.clear()
        with ThreadPoolExecutor(1) as executor:
            stranger = executor.submit(ff.run, x, {"a": busy, "b": busy}, workers=2)
            begun.wait(timeout=30)
            assert ff.run(x, ["mean", len], workers=workers, timeout=20)["mean"] == 1.0
            assert not stranger.done()
            over.set()
            stranger.result(timeout=30)


def test_a_run_in_a_daemon_thread_does_not_keep_the_interpreter_from_exiting() -> None:
    for workers in (1, 2):
        run_script(
            f"""
            import functools
            begun = threading.Event()
            huge = np.broadcast_to(1.0, (10**6, 10**6))
            functions = [lambda v: begun.set(), 'mean']
            run = functools.partial(ff.run, huge, functions, workers={workers})
            threading.Thread(target=run, daemon=True).start()
            begun.wait()
            """
        )
