"""Under a limit of memory every kernel gives its answer or a MemoryError that names it: the process lives.

Each script gives itself a limit that is a little above what it has, and then a larger one, up to enough. (In the core,
every kernel's allocations fail one by one: `tests/short_of_memory.rs`.)
"""

import pytest

from fresh import PRELUDE, run_script

LIMITED = """
import re, resource
import pickle

MIB = 2**20
MARGINS = [MIB, 5 * MIB, 400 * MIB]
rng = np.random.default_rng(0)
# Answers of a double for each element are almost three times the smallest margin: kept memory does not do for them.
size = 360_000
x = rng.standard_normal(size)
few = rng.integers(0, 300, size)
# The workers' threads start while there is enough for them.
ff.run(x, 'mean', workers=2)

def made(name):
    '''A kernel, with what it has to be told.'''
    for parameters in {}, {'k': size // 3}, {'order': 3}, {'window': 3000}, {'span': 20}:
        try:
            return getattr(ff, name)(**parameters)
        except (TypeError, ValueError):
            pass
    raise AssertionError(name)

def under(margin, call):
    '''What it gives while the process may have so much more memory than it has.'''
    status = open('/proc/self/status').read()
    now = int(re.search(r'VmSize:\\s+(\\d+)', status).group(1)) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (now + margin, resource.RLIM_INFINITY))
    try:
        return call()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

def same(left, right):
    return type(left) is type(right) and pickle.dumps(left) == pickle.dumps(right)

def checked(call, keys, whole=False):
    '''Runs it with less and with more memory; the functions that had too little at some time.'''
    call()
    right = call()
    short = set()
    for margin in MARGINS:
        try:
            found = under(margin, call)
        except MemoryError as error:
            assert whole, error
            found = dict.fromkeys(keys, error)
        for key in keys:
            if isinstance(found[key], MemoryError):
                names = r"'\\w+'(, '\\w+')*"
                told = rf'{names}: [\\d,]+ bytes of memory could not be allocated: '
                assert re.match(told, str(found[key])), found[key]
                assert f"'{key}'" in str(found[key]), (key, found[key])
                short.add(key)
            else:
                assert same(found[key], right[key]), (key, margin, found[key], right[key])
        # Nothing is left behind.
        after = call()
        assert all(same(after[key], right[key]) for key in keys), keys
    assert not isinstance(found[key], MemoryError), found[key]
    return short
"""

# Memory that is given back goes back to the system, or else the next one that wants it would not have to ask; and
# threads have no stores of their own.
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}

HUNGRY = (
    "sort argsort unique value_counts rank cumsum cumprod cummax diff zscore topk argtopk "
    "ewm_mean rolling_mean rolling_median"
)


def limited(source: str) -> str:
    return run_script(source, timeout=200, prelude=PRELUDE + LIMITED, environment=GIVEN_BACK)


def names(joint: bool) -> str:
    return f"[each.name for each in ff.kernels() if (made(each.name).arrays != 'one') is {joint}]"


def test_every_kernel_has_a_memory_error_of_its_own_and_its_neighbour_a_result() -> None:
    found = limited(f"""
        short = set()
        for name in {names(False)}:
            if name != 'mean':
                short |= checked(lambda: ff.run(x, ['mean', made(name)], workers=2, on_error='return'), ['mean', name])
        print(*short)
    """)
    # Freed memory that the process has kept may do for some.
    assert len(set(HUNGRY.split()) & set(found.split())) > len(HUNGRY.split()) // 2
    assert "mean" not in found.split()


def test_raised_errors_have_the_neighbours_results() -> None:
    assert limited("""
        for workers in 1, 2:
            try:
                under(MIB, lambda: ff.run(x, ['mean', 'sort', 'std'], workers=workers))
            except MemoryError as error:
                assert str(error).startswith("'sort': "), error
                assert error.results == ff.run(x, ['mean', 'std'], workers=workers)
                print(*error.results.errors)
    """).split() == ["sort", "sort"]


@pytest.mark.parametrize("taking", ["axis=0", "axis=1", "where=above", "by=few", "by=(few, several)"])
def test_every_kernel_in_parts(taking: str) -> None:
    data = "x" if taking.startswith("by") else "x2"
    found = limited(f"""
        x2 = x.reshape(600, -1)
        above, several = x2 > 0, rng.integers(0, 5, size).astype(np.float32)
        short = set()
        for name in {names(False)}:
            call = lambda: ff.run({data}, ['mean', made(name)], {taking}, workers=2, on_error='return')
            try:
                call()
            except (TypeError, ValueError):
                continue
            short |= checked(call, ['mean', name], whole=True)
        print(len(short))
    """)
    assert int(found) > 1


def test_kernels_of_several_arrays_and_with_weights() -> None:
    limited(f"""
        arrays, weights = {{'a': x, 'b': few}}, rng.random(size)
        for name in {names(True)}:
            checked(lambda: ff.run(arrays, [made(name)], workers=2, on_error='return'), [name])
        short = checked(lambda: ff.run(arrays, {{'corr': ff.corr(method='spearman')}}, on_error='return'), ['corr'])
        assert short == {{'corr'}}
        quantiles = ff.quantile([.1, .5], method='inverted_cdf')
        functions = ['mean', quantiles, ff.histogram(bins=100_000, range=(-1, 1))]
        call = lambda: ff.run(x, functions, weights=weights, on_error='return')
        short = checked(call, ['mean', 'quantile', 'histogram'], whole=True)
        assert short >= {{'quantile', 'histogram'}}
    """)


def test_arrays_of_the_callers_own() -> None:
    assert (
        limited("""
        out = np.empty(size)
        keys = ['mean', 'cumsum', 'sort']
        print(*checked(lambda: ff.run(x, keys, out={'cumsum': out}, on_error='return'), keys))
    """)
        == "sort"
    )


def test_functions_fail_as_their_own_numpy_calls_would() -> None:
    assert limited("""
        def ordered(v): return np.sort(np.abs(v - v.mean()))
        def made_of_it(v): return np.exp(v) + np.cumsum(v)
        def number(v): return float(np.abs(v).sum())
        functions = [ordered, made_of_it, number, 'median']
        call = lambda: ff.run(x, functions, workers=2, on_error='return')
        right, short = call(), set()
        for margin in MARGINS:
            found = under(margin, call)
            for key, value in found.items():
                if isinstance(value, MemoryError):
                    short.add(key)
                else:
                    assert np.allclose(value, right[key], rtol=1e-12), key
            assert all(np.array_equal(value, right[key]) for key, value in call().items())
        print(*sorted(short))
    """).split() == ["made_of_it", "ordered"]


def test_failures_leave_no_memory_behind() -> None:
    limited("""
        def used():
            return int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read()).group(1)) * 1024

        def fail(times):
            failed = 0
            for _ in range(times):
                for functions in ['argsort'], ['rank'], ['unique'], [ff.rolling_median(5000)]:
                    found = under(MIB, lambda: ff.run(x, functions, workers=2, on_error='return'))
                    failed += isinstance(next(iter(found.values())), MemoryError)
            # What the process has freed may be enough now and then.
            assert failed > times, failed

        fail(10)
        before = used()
        fail(30)
        assert used() - before < 4 * MIB, used() - before
    """)


def test_a_name_of_a_million_letters_is_unknown_without_a_table_of_its_letters() -> None:
    # The table of its letters did not fit; memory that cannot be had there ends the process.
    limited("""
        def call():
            try:
                ff.run([1.0], 'y' * 10**6)
            except ValueError as error:
                return str(error)

        call()
        assert under(32 * MIB, call).startswith('unknown function "yyy')
    """)
