"""What people see of results: text, HTML, pictures, tables, JSON."""

import base64
import html.parser
import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanfold as ff
from fanfold.show import layout, pictures, text

x = np.random.default_rng(1).standard_normal(20_000)
TABLE = {"price": x * 100, "count": (x * 10).astype(int)}
LABELS = np.arange(x.size) % 3

RESULTS: dict[str, ff.Results] = {
    "array": ff.run(x, ["mean", "count", ff.quantile([0.1, 0.9]), ff.histogram(bins=30), "any", "sort", ff.mode()]),
    "table": ff.run(TABLE, ["mean", "max", ff.histogram(bins=5)]),
    "groups": ff.run(x, ["mean", "count"], by=LABELS),
    "groups of a table": ff.run(TABLE, ["mean", "count"], by=LABELS),
    "pictures of groups": ff.run(x, [ff.quantile([0.1, 0.5, 0.9]), ff.mode(), ff.histogram()], by=LABELS),
    "pictures of columns": ff.run(TABLE, [ff.quantile([0.1, 0.5, 0.9]), "mean"], by=LABELS),
    "several keys": ff.run(x, "mean", by=(LABELS, LABELS % 2)),
    "many groups": ff.run(x, ["mean", "std"], by=np.arange(x.size) // 4),
    "failed": ff.run(x, {"bad": lambda v: 1 / 0, "<b>": lambda v: "<script>"}, on_error="return"),
    "nothing": ff.run(x, []),
    "objects": ff.run(x, {"dict": lambda v: {"a": 1}, "none": lambda v: None, "list": lambda v: [1, [2, "x"]]}),
}


def test_numbers_are_below_each_other() -> None:
    assert repr(ff.run(np.array([1.5, 2.0, 400.25, 12_000.0]), ["mean", "max", "count", "min", "any"])) == (
        "Results: 5 functions\n  mean    3,100.94\n  max    12,000\n  count       4\n  min         1.5\n  any    True"
    )


def test_tables_have_a_column_for_each_column() -> None:
    r = ff.run({"a": np.arange(4.0), "b": np.arange(4) * 1000}, ["mean", "max"])
    assert repr(r) == "Results: 2 functions, 2 columns\n          a      b\n  mean  1.5  1,500\n  max   3    3,000"


@pytest.mark.parametrize("name", RESULTS)
def test_the_text_fits_the_screen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (40, 80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = repr(RESULTS[name]).split("\n")
        assert max(map(len, lines)) <= width
        assert len(lines) <= text.MOST_ROWS + 4


def test_rows_in_the_middle_are_left_out() -> None:
    shown = repr(RESULTS["many groups"])
    assert "… 4,960 more" in shown
    assert "  4999  " in shown


class _Page(html.parser.HTMLParser):
    """The tags, attributes and texts of a page, which must be well formed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.images: list[dict[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, "" if name in ("src", "alt") else value) for name, value in attrs}
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", RESULTS)
def test_the_page_is_what_sanitisers_leave(name: str) -> None:
    page = _Page(RESULTS[name]._repr_html_())
    assert page.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "img"}
    assert page.attributes <= {
        ("style", "text-align: right"),
        ("style", "text-align: left"),
        ("src", ""),
        ("alt", ""),
    }
    for image in page.images:
        assert image["alt"]
        kind, data = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(data).decode().startswith("<svg ")


def test_numbers_stay_beside_their_names() -> None:
    # Wide results are in a column of their own, if there are numbers.
    assert ff.run(x, ["mean", ff.histogram(bins=30)])._repr_html_().count("<td></td><td") == 1
    assert "<td></td>" not in ff.run(x, [ff.histogram(bins=30), "sort"])._repr_html_()


def test_what_comes_from_users_is_escaped() -> None:
    assert "<script>" not in RESULTS["failed"]._repr_html_()
    assert "<script>" in "".join(_Page(RESULTS["failed"]._repr_html_()).texts)


def test_sixty_results_are_a_small_page() -> None:
    r = ff.run(x, {f"result {number}": ff.histogram(bins=24 + number) for number in range(60)})
    assert len(r._repr_html_()) < 60_000


def test_many_rows_are_folded_and_bounded() -> None:
    page = RESULTS["many groups"]._repr_html_()
    assert "1,000 more rows, 3,940 are not shown" in page
    assert page.count("<tr>") == 1060 + 2 + page.split("<details><summary>report")[1].count("<tr>")


def test_histograms_arrays_and_counts_have_pictures() -> None:
    r = ff.run(x, [ff.histogram(bins=9), "cumsum", "value_counts", "mean", ff.quantile([0.1, 0.2, 0.3])])
    drawn = {key: pictures.picture(value) is not None for key, value in r.items()}
    assert drawn == {"histogram": True, "cumsum": True, "value_counts": True, "mean": False, "quantile": True}
    for odd in (np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0]), np.ones((3, 3)), np.array(["a", "b", "c"])):
        assert pictures.picture(odd) is None
    flat = pictures.picture(np.zeros(5))
    assert flat is not None and "nan" not in base64.b64decode(flat.split(",")[1].split('"')[0]).decode()
    huge = pictures.picture(np.array([-1.7e308, 1.7e308, 0.0]))
    assert huge is not None and "inf" not in base64.b64decode(huge.split(",")[1].split('"')[0]).decode()


LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]


@pytest.mark.parametrize(
    ("levels", "want"),
    [
        (LEVELS, (0.1, 0.25, 0.5, 0.75, 0.9)),
        ([0.9, 0.1, 0.5], (0.1, 0.1, 0.5, 0.9, 0.9)),
        ([0.9, 0.1], (0.1, 0.1, None, 0.9, 0.9)),
        ([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], (0.1, 0.3, None, 0.7, 0.9)),
        ([0.5], None),
        (0.5, None),
    ],
)
def test_quantiles_are_a_box_from_the_outermost_to_the_innermost(levels: Any, want: Any) -> None:
    kernel = ff.quantile(levels)
    # The quantiles of numbers from 0 to 1 are their levels.
    found = pictures.box(np.array(levels), pictures.levels_of(kernel))
    assert found == (None if want is None else pictures.Box(*want))
    assert pictures.levels_of(ff.mean()) is None


def lines_of(image: str) -> list[float]:
    """The places across of a box's line: both ends, and the sides between them."""
    svg = base64.b64decode(image.split(",")[1].split('"')[0]).decode()
    return [float(place) for place in re.findall(r"[MH]([0-9.]+)", svg.split('d="')[1].split('"')[0])]


def test_a_box_is_drawn_to_scale() -> None:
    drawn = pictures.picture(np.array([0.0, 25, 50, 75, 100]), LEVELS)
    assert drawn is not None and 'alt="box from 0 to 100"' in drawn
    assert lines_of(drawn) == [2, 31, 89, 31, 89, 118]
    other = pictures.picture(np.array([0.0, 25, 50, 75, 100]), LEVELS, (0.0, 200.0))
    assert other is not None and lines_of(other) == [2, 16.5, 45.5, 16.5, 45.5, 60]
    assert pictures.picture(np.array([0.0, np.nan, 1, 1, 1]), LEVELS) is None


def test_groups_are_drawn_on_one_scale_and_columns_have_pictures() -> None:
    narrow, wide = np.linspace(0, 1, 101), np.linspace(0, 2, 101)
    r = ff.run(np.append(narrow, wide), [ff.histogram(bins=5), ff.quantile(LEVELS)], by=np.repeat(["a", "b"], 101))
    page = _Page(r._repr_html_())
    assert [image["alt"].split(" ")[0] for image in page.images] == ["histogram", "box"] * 2
    first, second = (lines_of(image["src"] + '"') for image in page.images if "box" in image["alt"])
    assert (first[0], second[-1]) == (pictures.WIDTH - 118, 118)
    assert first[-1] < second[-1] and first[0] < second[0]
    page = _Page(ff.run(TABLE, ["mean", ff.histogram(), ff.quantile(LEVELS)])._repr_html_())
    assert [image["alt"].split(" ")[0] for image in page.images] == ["histogram"] * 2 + ["box"] * 2


# ---- tables, dicts, JSON ----


def test_frames_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    frame = RESULTS["table"].to_frame("pandas")
    assert list(frame.index) == ["mean", "max"]
    assert list(frame.columns) == ["price", "count"]
    assert frame.loc["mean", "price"] == RESULTS["table"]["mean"]["price"]
    frame = RESULTS["groups"].to_frame("pandas")
    assert list(frame.index) == [0, 1, 2]
    np.testing.assert_array_equal(frame["mean"], RESULTS["groups"]["mean"])
    frame = RESULTS["groups of a table"].to_frame("pandas")
    np.testing.assert_array_equal(frame[("count", "price")], RESULTS["groups of a table"]["count"]["price"])
    frame = RESULTS["several keys"].to_frame("pandas")
    assert list(frame.index) == [(0, 0), (1, 1), (2, 0)]
    frame = RESULTS["array"].to_frame("pandas")
    assert frame["result"]["mean"] == RESULTS["array"]["mean"]
    assert isinstance(RESULTS["nothing"].to_frame("pandas"), pd.DataFrame)


@pytest.mark.parametrize("name", RESULTS)
def test_frames_of_polars(name: str) -> None:
    pl = pytest.importorskip("polars")
    frame = RESULTS[name].to_frame("polars")
    assert isinstance(frame, pl.DataFrame)
    if name == "table":
        assert frame.to_dict(as_series=False)["function"] == ["mean", "max"]
        assert frame["price"][0] == RESULTS[name]["mean"]["price"]
    if name == "several keys":
        assert frame.columns == ["key 0", "key 1", "mean"]


def test_a_library_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"library is 'polar': pass \"pandas\", \"polars\" or None"):
        RESULTS["array"].to_frame("polar")  # type: ignore[arg-type]


def test_nothing_optional_is_imported() -> None:
    code = (
        "import sys, numpy as np, fanfold as ff\n"
        "r = ff.run(np.arange(9.0), ['mean', ff.histogram()])\n"
        "repr(r), r._repr_html_(), r.to_dict(), r.to_json(), repr(r.report), r.report._repr_html_()\n"
        "optional = ('pandas', 'polars', 'matplotlib', 'IPython', 'xarray', 'uhi')\n"
        "print([name for name in optional if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", RESULTS)
def test_json_is_json(name: str) -> None:
    found = json.loads(RESULTS[name].to_json(indent=1), parse_constant=_refuse)
    assert found.keys() >= {str(key) for key in RESULTS[name]}


def _refuse(constant: str) -> Any:
    raise AssertionError(constant)


def test_dicts_have_pythons_own_types() -> None:
    found = RESULTS["array"].to_dict()
    assert type(found["mean"]) is float and type(found["count"]) is int and type(found["sort"]) is list
    assert found["histogram"].keys() == {"counts", "edges"}
    assert RESULTS["groups"].to_dict()["groups"] == [0, 1, 2]
    times = ff.run(np.array(["2020-01-01", "2020-01-03"], "M8[D]"), ["max", "min"])
    assert times.to_dict() == {"max": "2020-01-03", "min": "2020-01-01"}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.builds(np.float32, st.floats(width=32))
    | st.lists(st.floats(), max_size=9).map(np.array)
    | st.just(np.array(["2020", "NaT"], "M8[D]"))
    | st.just(ValueError("<wrong>")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(values=st.dictionaries(st.text(max_size=6) | st.integers() | st.tuples(st.integers()), VALUES, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_results_are_shown(values: dict[Any, Any]) -> None:
    r = ff.Results(values, {}, RESULTS["array"]._ran)
    assert repr(r).startswith("Results: ")
    _Page(r._repr_html_())
    json.loads(r.to_json(), parse_constant=_refuse)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_shown_with_six_digits(number: float) -> None:
    shown = float(text.number(number).replace(",", ""))
    assert math.isclose(shown, number, rel_tol=1e-5, abs_tol=1e-320) or math.isinf(shown)


def test_reports_tell_what_was_slow_and_why() -> None:
    r = ff.run(x, {"mean": "mean", "loop": lambda v: sum(v.tolist()), "fails": lambda v: 1 / 0}, on_error="return")
    shown = repr(r.report)
    assert re.search(r"slowest functions +(loop|fails) [0-9.]+ (µs|ms), (loop|fails)", shown)
    assert "why loop" in shown and "kernel" in shown
    _Page(r.report._repr_html_())


def spread(v: Any) -> Any:
    return np.abs(v - v.mean()).mean()


def loop(v: Any) -> Any:
    return sum(v.tolist())


def test_plans_show_their_passes_as_rows() -> None:
    assert repr(ff.plan(["mean", ff.std(ddof=1), ff.histogram(bins=5), "count"])) == (
        "Plan: 4 functions\n"
        "  known from the length  count\n"
        "  pass 1 over float64    moments of x            mean, std (shared)\n"
        "                         extrema of x            histogram\n"
        "  pass 2 over float64    histogram between them  histogram"
    )
    assert repr(ff.plan({"a -> b: c, d (e)": "mean", 4: spread}, like="f4")) == (
        "Plan: 2 functions\n"
        "  pass 1 over float32  moments of x  a -> b: c, d (e)\n"
        "  function             4             called to see what it asks for: like=x sho…"
    )
    assert repr(ff.plan({"a (b)": "mean"}, like="M8[s]")) == (
        "Plan: 1 function\n  cannot run  a (b)  'mean' does not support an array of dtype datetime64: it t…"
    )


def test_keys_that_are_no_text_are_explained() -> None:
    plan = ff.plan({1: spread, (2, "b"): spread, 3: "max"}, like=np.linspace(0, 1, 200_000))
    assert "  mean of x -> 1, (2, 'b')" in plan.explain().splitlines()
    assert "  max of x -> 3" in plan.explain().splitlines()


def test_a_plan_calls_no_function_to_show_itself_and_shows_what_was_explained() -> None:
    calls = 0

    def counting(v: Any) -> Any:
        nonlocal calls
        calls += 1
        return spread(v)

    large = np.linspace(0, 1, 200_000)
    plan = ff.plan(["mean", counting, loop], like=large)
    assert re.search("function +counting +called to see what it asks for", repr(plan))
    plan._repr_html_()
    assert calls == 0
    told = plan.explain()
    assert calls == 1
    page = _Page(plan._repr_html_())
    for shown in (repr(plan), " ".join(page.texts)):
        assert "mean of absolute(subtract(x, mean of x))" in shown or "mean of absolute(subtract(x, m" in shown
        assert re.search(r"plain +loop +tolist", shown)
        assert "fused" in shown
    assert calls == 1 and plan.explain() == told
    assert page.tags <= {"div", "table", "tbody", "tr", "th", "td", "details", "summary"}
    assert page.attributes <= {("style", "text-align: left")}


def test_plans_fit_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = ff.plan({f"<function {number} with a long name>": ff.topk(number + 1) for number in range(70)})
    for width in (40, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        assert max(map(len, repr(plan).split("\n"))) <= width
    assert "<function" not in plan._repr_html_()
    _Page(plan._repr_html_())


def test_labels_of_groups_are_tuples_for_several_keys() -> None:
    assert layout.labels_of((np.array([1, 2]), np.array(["a", "b"]))) == [(1, "a"), (2, "b")]


def test_completion_shows_what_users_call() -> None:
    shown = dir(ff)
    assert {"run", "plan", "describe", "kernels", "mean", "Results"} <= set(shown)
    assert not {"api", "tracing", "checks", "sources"} & set(shown)
    assert all(hasattr(ff, name) for name in shown)
