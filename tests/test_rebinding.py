"""Recognised functions inside users' functions: the copy that is called cannot be told from the function."""

import contextlib
import functools
import linecache
import math
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from numpy import asarray as as_array
from scipy import stats
from scipy.stats import skew as skewness

import fanfold as ff
from fanfold.tracing import calls, shared
from fanfold.tracing.rebinding import Rebound

Array = npt.NDArray[Any]
Function = Callable[..., Any]

rng = np.random.default_rng(5)
X = np.exp(rng.standard_normal(2000))

limit = 2.0
ORDER = {"order": 2}
counter = {"calls": 0}
changing = 1


@pytest.fixture(autouse=True)
def short_arrays_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SMALLEST", 1)


def from_outside() -> Function:
    from scipy import stats as inner

    return lambda v: inner.skew(v) + inner.kurtosis(v, fisher=False)


def one_from_outside() -> Function:
    from scipy.stats import iqr

    return lambda v: iqr(v) * 2


def helper(v: Array) -> Any:
    return stats.skew(v)


def through_a_helper(v: Array) -> Any:
    return helper(v) + helper(v * 2)


def even(v: Array, times: int = 4) -> Any:
    return stats.sem(v) if times == 0 else odd(v, times - 1)


def odd(v: Array, times: int) -> Any:
    return even(v, times - 1)


def decorated(function: Function) -> Function:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@decorated
def wrapped(v: Array) -> Any:
    return stats.iqr(v)


class Bound:
    def __init__(self, order: int) -> None:
        self.order = order

    def method(self, v: Array) -> Any:
        return stats.moment(v, order=self.order)


def with_an_attribute(v: Array) -> Any:
    return stats.skew(v) * 2


with_an_attribute.factor = 3  # type: ignore[attr-defined]

CERTAIN: dict[str, Function] = {
    "module": lambda v: stats.skew(v) / stats.iqr(v),
    "package": lambda v: scipy.stats.moment(v, order=3),
    "name": lambda v: skewness(v),
    "arguments": lambda v: stats.moment(np.abs(v[1:] - 1), order=len([1, 2, 3])),
    "unpacked": lambda v: stats.moment(*[v], **ORDER),
    "comprehension": lambda v: [stats.moment(v, order) for order in (2, 3)],
    "constant": lambda v: stats.tmean(v, (None, limit)),
    "enclosing": from_outside(),
    "enclosing name": one_from_outside(),
    "helper": through_a_helper,
    "each other": even,
    "wrapped": wrapped,
    "method": Bound(3).method,
    "partial": functools.partial(stats.moment, order=3),
    "partial of a lambda": functools.partial(lambda v, order: stats.moment(v, order), order=2),
    "attribute": with_an_attribute,
    "asarray": lambda v: np.asarray(v, dtype=float).mean() + as_array(v).std(),
    "array": lambda v: np.array(v).max() - np.ascontiguousarray(v).min() + np.asanyarray(v * 2).mean(),
    "branch": lambda v: stats.skew(v) if stats.skew(v) > 0 else -1,
    "formatted": lambda v: f"{stats.skew(v):.6f}",
}


@pytest.mark.parametrize("name", CERTAIN)
def test_calls_of_recognised_functions_are_answered(name: str) -> None:
    function = CERTAIN[name]
    run = ff.run(X, {"f": function})
    np.testing.assert_allclose(np.float64(run["f"]), np.float64(function(X)), rtol=1e-9)
    assert run.report.how["f"] == "fused"


def test_several_functions_call_them_at_once() -> None:
    got = ff.run(X, dict(CERTAIN), workers=4)
    for name, function in CERTAIN.items():
        np.testing.assert_allclose(np.float64(got[name]), np.float64(function(X)), rtol=1e-9)


# ---- what could tell the copy from the function ----


def imports_it(v: Array) -> Any:
    from scipy import stats as local

    return local.skew(v)


def returns_a_function(v: Array) -> Any:
    return lambda: stats.skew(v)


def returns_it(v: Array) -> Any:
    return stats.skew


def returns_the_module(v: Array) -> Any:
    return stats, stats.skew(v)


def passes_it_on(v: Array) -> Any:
    return list(map(stats.skew, [v])), stats.iqr(v)


def compares_it(v: Array) -> Any:
    return stats.skew is skewness, skewness == stats.skew, stats.skew(v)


def reads_its_name(v: Array) -> Any:
    return stats.skew.__name__, skewness.__module__, stats.skew(v)


def looks_it_up(v: Array) -> Any:
    return getattr(stats, "skew") is stats.skew, globals()["stats"] is stats, stats.skew(v)


def evaluates(v: Array) -> Any:
    return eval("stats.skew is skewness"), stats.skew(v)


def looks_at_the_frame(v: Array) -> Any:
    return sys._getframe().f_globals is globals(), stats.skew(v)


def counts(v: Array) -> Any:
    global changing
    changing += 1
    return stats.skew(v)


def yields(v: Array) -> Any:
    yield stats.skew(v)


def generates(v: Array) -> Any:
    return list(stats.moment(v, order) for order in (2, 3))  # noqa: C400


def has_a_class(v: Array) -> Any:
    class Inner:
        value = stats.skew

    return Inner.value is stats.skew, stats.skew(v)


def keeps_it(v: Array, keep: list[Any] = [stats.skew]) -> Any:
    return keep[0] is stats.skew, stats.skew(v)


def sets_a_name(v: Array) -> Any:
    stats_ = stats
    return stats_.skew is stats.skew, stats_.skew(v)


class Called:
    def __call__(self, v: Array) -> Any:
        return stats.skew(v)


UNCERTAIN: list[Function] = [
    *(imports_it, returns_it, returns_the_module, passes_it_on, compares_it, reads_its_name, looks_it_up, evaluates),
    *(looks_at_the_frame, counts, generates, has_a_class, keeps_it, sets_a_name, Called()),
]


@pytest.mark.parametrize("function", UNCERTAIN, ids=lambda each: getattr(each, "__name__", "object"))
def test_a_stand_in_is_never_seen(function: Function) -> None:
    want, got = function(X), ff.run(X, {"f": function})["f"]
    assert type(got) is type(want)
    for ours, theirs in zip(*(each if isinstance(each, tuple | list) else [each] for each in (got, want)), strict=True):
        if isinstance(theirs, float | list):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        else:
            assert ours is theirs or ours == theirs


def test_functions_that_are_made_are_the_users() -> None:
    made = ff.run(X, {"f": returns_a_function})["f"]
    assert made.__globals__ is globals()
    np.testing.assert_allclose(made(), stats.skew(X))


def test_generators_are_the_users() -> None:
    (value,) = ff.run(X, {"f": yields})["f"]
    np.testing.assert_allclose(value, stats.skew(X))


@pytest.mark.parametrize("function", [helper, through_a_helper, even, with_an_attribute, CERTAIN["enclosing"], wrapped])
def test_a_copy_has_all_that_the_function_has(function: Any) -> None:
    rebound: Any = Rebound(function)
    copy = rebound.function
    assert rebound.is_copy
    assert copy is not function
    for name in ("__code__", "__defaults__", "__kwdefaults__", "__doc__", "__module__", "__name__", "__qualname__"):
        assert getattr(copy, name) is getattr(function, name)
    assert copy.__dict__ is function.__dict__
    assert copy.__annotations__ == function.__annotations__
    assert copy.__globals__.keys() - {"__warningregistry__"} == function.__globals__.keys() - {"__warningregistry__"}


def test_nothing_global_is_touched() -> None:
    before = dict(globals())
    cells = [cell.cell_contents for cell in CERTAIN["enclosing"].__closure__ or ()]
    ff.run(X, dict(CERTAIN))
    assert {name: value for name, value in globals().items() if before.get(name) is not value} == {}
    assert [cell.cell_contents for cell in CERTAIN["enclosing"].__closure__ or ()] == cells
    assert type(stats) is types.ModuleType
    assert type(stats.skew) is types.FunctionType


# ---- changes during the call ----


def set_changing(value: int) -> None:
    global changing
    changing = value


def reads_what_changes(v: Array) -> Any:
    set_changing(changing + 1)
    return stats.skew(v) * 0 + changing


def test_a_global_that_changes_is_read_again() -> None:
    set_changing(1)
    run = ff.run(X, {"f": reads_what_changes})
    assert run["f"] == changing
    assert run.report.how["f"] == "fused"


SCALE = 1


def scaled(v: Array) -> Any:
    return stats.skew(v) * SCALE


@contextlib.contextmanager
def scale(by: int) -> Iterator[None]:
    global SCALE
    before, SCALE = SCALE, by
    yield
    SCALE = before


def with_another_scale(v: Array) -> Any:
    with scale(5):
        return scaled(v)


def with_another_module(v: Array) -> Any:
    real = features.spread
    features.spread = lambda v: 7.0
    try:
        return features.shape(v)
    finally:
        features.spread = real


def test_globals_that_change_and_are_put_back_are_read_as_they_are() -> None:
    r = ff.run(X, {"scale": with_another_scale, "module": with_another_module}, workers=1, on_error="raise")
    np.testing.assert_allclose(r["scale"], stats.skew(X) * 5, rtol=1e-9)
    np.testing.assert_allclose(r["module"], stats.skew(X) / 7.0, rtol=1e-9)


def hides_a_builtin(v: Array) -> Any:
    set_len()
    return len([stats.skew(v)])


def set_len() -> None:
    global len
    len = lambda of: "hidden"  # noqa: E731


def test_a_global_that_comes_to_hide_a_builtin_is_read() -> None:
    try:
        assert ff.run(X, {"f": hides_a_builtin})["f"] == "hidden"
    finally:
        globals().pop("len", None)


def patches(v: Array) -> Any:
    patch()
    return stats.skew(v)


def patch() -> None:
    scipy.stats.skew = fake


def fake(v: Array) -> Any:
    return "patched"


def test_a_function_that_is_replaced_during_the_call_is_called() -> None:
    real = stats.skew
    try:
        assert ff.run(X, {"f": patches})["f"] == "patched"
    finally:
        stats.skew = real


def counts_itself(v: Array) -> Any:
    counter["calls"] += 1
    return stats.skew(v)


def test_a_function_is_called_once() -> None:
    counter["calls"] = 0
    ff.run(X, {"f": counts_itself})
    assert counter["calls"] == 1


def test_enclosing_names_that_change_are_read_again() -> None:
    function = skewness

    def change() -> None:
        nonlocal function
        function = fake

    def asks(v: Array) -> Any:
        change()
        return function(v)

    assert ff.run(X, {"f": asks})["f"] == "patched"


# ---- exceptions and warnings ----


def fails(v: Array) -> Any:
    stats.skew(v)
    raise LookupError("on purpose")


def test_tracebacks_show_the_users_frames() -> None:
    with pytest.raises(LookupError, match="on purpose") as caught:
        ff.run(X, {"f": fails})
    own = [frame for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == __file__]
    assert [frame.name for frame in own][-1] == "fails"
    assert linecache.getline(__file__, own[-1].lineno or 0).strip() == 'raise LookupError("on purpose")'
    assert all("fanfold" not in frame.filename or "/tests/" in frame.filename for frame in _after_the_run(caught.value))


def _after_the_run(error: BaseException) -> list[traceback.FrameSummary]:
    frames = list(traceback.extract_tb(error.__traceback__))
    first = next(place for place, frame in enumerate(frames) if frame.name == "fails")
    return frames[first:]


def handles(v: Array) -> Any:
    try:
        return stats.tmean(v, (1e9, None))
    except ValueError as error:
        return str(error)


def test_functions_can_handle_scipys_exceptions() -> None:
    assert ff.run(X, {"f": handles})["f"] == "No array values within given limits"


def warns(v: Array) -> Any:
    warnings.warn("look here", UserWarning, stacklevel=1)
    return stats.skew(v)


def test_warnings_have_the_users_place() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warns(X)
        ff.run(X, {"f": warns})
    plain, traced = told
    assert (traced.filename, traced.lineno) == (plain.filename, plain.lineno)


def warns_once(v: Array) -> Any:
    warnings.warn("only once", UserWarning, stacklevel=1)
    return stats.skew(v)


def test_warnings_that_are_given_once_are() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        ff.run(X, {"f": warns_once})
        ff.run(X, {"f": warns_once})
        warns_once(X)
    assert len(told) == 1


def constant_warns(v: Array) -> Any:
    return stats.skew(v)


def test_scipys_warnings_have_the_users_place() -> None:
    x = np.full(2000, 2.5)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        constant_warns(x)
        count = len(told)
        ff.run(x, {"f": constant_warns})
    places = [(each.filename, each.lineno, str(each.message)) for each in told]
    assert count > 0
    assert places[count:] == places[:count]


# ---- arrays of arrays ----


def writes_to_a_copy(v: Array) -> Any:
    copy = np.array(v)
    copy[copy > 1] = 0
    copy[0] = 7
    copy += 1
    return copy.sum(), v.sum(), copy[:3]


def shares_memory(v: Array) -> Any:
    y = v * 2
    same = np.asarray(y)
    same[0] = 100
    y += 1
    return same is y, y[0], same.sum(), np.asarray(v) is v


def converts(v: Array) -> Any:
    low = np.array(v, dtype=np.float32)
    return low.dtype, np.asarray(v, dtype=int).sum(), np.array(v, ndmin=2).shape, np.asarray([v[0], v[1]]).size


def writes_to_the_input(v: Array) -> Any:
    same = np.asarray(v)
    with contextlib.suppress(ValueError):
        same[0] = 1
    return same.flags.writeable, same.sum()


def contiguous(v: Array) -> Any:
    y = v * 2
    part = np.ascontiguousarray(y[::2])
    part[0] = -1
    return y[0], part[0], np.ascontiguousarray(v[::2]).flags.c_contiguous


@pytest.mark.parametrize("function", [writes_to_a_copy, shares_memory, converts, writes_to_the_input, contiguous])
def test_arrays_of_arrays_behave_as_numpys(function: Function) -> None:
    x = X.copy()
    x.flags.writeable = False
    want, got = function(x), ff.run(x, {"f": function})["f"]
    for ours, theirs in zip(got, want, strict=True):
        assert type(ours) is type(theirs)
        if isinstance(theirs, float | np.ndarray):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        else:
            assert ours == theirs


# ---- threads ----


def test_threads_share_nothing() -> None:
    got: list[Any] = []

    def run() -> None:
        got.append(ff.run(X, dict(CERTAIN))["helper"])

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6
    assert all(math.isclose(each, through_a_helper(X), rel_tol=1e-9) for each in got)


def test_functions_without_such_names_are_called_themselves() -> None:
    def plain(v: Array) -> Any:
        return np.mean(np.log1p(v)) + helper_without(v)

    rebound = Rebound(plain)
    assert rebound.function is plain
    assert not rebound.is_copy


def helper_without(v: Array) -> Any:
    return v.max()


def _features() -> Any:
    module = types.ModuleType("features")
    exec(
        "import numpy as np\nfrom scipy import stats\n"
        "def shape(v):\n    return stats.skew(np.asarray(v)) / spread(v)\n"
        "def spread(v):\n    return stats.iqr(v)\n",
        module.__dict__,
    )
    return module


features = _features()


def test_helpers_in_modules_are_copied() -> None:
    x = np.random.default_rng(8).standard_normal(200_000)
    r = ff.run(x, {"by module": lambda v: features.shape(v), "itself": features.shape}, on_error="raise")
    assert set(r.report.how.values()) == {"fused"}
    np.testing.assert_allclose([r["by module"], r["itself"]], features.shape(x), rtol=1e-9)


def test_scipys_other_functions_get_plain_arrays_and_are_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import signal
    from scipy.signal import ShortTimeFFT

    transforms: list[Any] = []
    real = ShortTimeFFT.stft_detrend

    def counted(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        transforms.append(type(x))
        return real(self, x, *args, **kwargs)

    monkeypatch.setattr(ShortTimeFFT, "stft_detrend", counted)
    x = np.random.default_rng(8).standard_normal(200_000)
    by_median = functools.partial(signal.welch, average="median")
    for function in (by_median, lambda v: signal.welch(v, average="median")):
        transforms.clear()
        r = ff.run(x, {"f": function}, on_error="raise")
        assert transforms == [np.ndarray]
        np.testing.assert_array_equal(r["f"], by_median(x))
        assert r.report.why == {"f": "scipy.signal.welch"}


def test_a_module_that_is_called_fails_as_in_a_plain_call() -> None:
    with pytest.raises(TypeError, match="'module' object is not callable"):
        ff.run(X, {"f": lambda v: stats(v)})


def test_scipys_transforms_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import fft, signal

    computed: list[str] = []
    real = shared.computed

    def counted(function: Any, given: Any, named: Any) -> Any:
        computed.append(function.__name__)
        return real(function, given, named)

    monkeypatch.setattr(shared, "computed", counted)
    functions: dict[str, Any] = {
        "peak": lambda v: signal.welch(v, nperseg=64)[1].max(),
        "power": lambda v: signal.welch(v, nperseg=64)[1].sum(),
        "otherwise": lambda v: signal.welch(v, nperseg=32)[1].sum(),
        "largest": lambda v: np.abs(fft.rfft(v)).max(),
        "energy": lambda v: (np.abs(fft.rfft(v)) ** 2).sum(),
    }
    x = np.random.default_rng(8).standard_normal(400_000)
    r = ff.run(x, functions, workers=2, on_error="raise")
    assert sorted(computed) == ["_spectrum", "_spectrum", "rfft"]
    for name, function in functions.items():
        np.testing.assert_allclose(r[name], function(x), rtol=1e-9)
    assert r.report.how["largest"] == r.report.how["energy"] == "partly fused"
