"""The catalogue as a table by family, and the search in it."""

import copy
import pickle
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import fanfold as ff
from fanfold.catalogue import FAMILIES


def names(search: str) -> list[str]:
    return [info.name for info in ff.kernels(search)]


# ---- families ----


def test_every_kernel_has_a_family_and_every_family_kernels() -> None:
    catalogue = ff.kernels()
    assert catalogue[0].name in FAMILIES
    assert [family for family, _ in catalogue.families()] == list(FAMILIES.values())
    assert [kernels[0].name for _, kernels in catalogue.families()] == list(FAMILIES)
    assert [info for _, kernels in catalogue.families() for info in kernels] == catalogue


def test_a_kernel_that_is_put_into_the_wrong_family_is_noticed() -> None:
    # What the families say can be seen from other facts of the catalogue.
    for info in ff.kernels():
        assert (info.family == "of two arrays") == (info.arrays == "two"), info
        assert (info.family == "of all arrays") == (info.arrays == "all"), info
        assert (info.family == "windows") == info.name.startswith(("rolling_", "ewm_")), info
        assert ("quantile" in info.name) <= (info.family in ("quantiles", "windows")), info
        assert info.name.startswith("cum") <= (info.family == "running along the array"), info
        assert ("arg" in info.name) <= (info.family in ("smallest and largest", "order")), info
    by_name = {info.name: info.family for info in ff.kernels()}
    for name in by_name:
        if f"nan{name}" in by_name:
            assert by_name[f"nan{name}"] == by_name[name]


# ---- the table ----


def test_it_is_a_list_as_before() -> None:
    catalogue = ff.kernels()
    assert isinstance(catalogue, list)
    assert catalogue == list(catalogue) and all(isinstance(info, ff.KernelInfo) for info in catalogue)
    for same in (pickle.loads(pickle.dumps(catalogue)), copy.copy(catalogue), copy.deepcopy(catalogue)):
        assert same == catalogue and repr(same) == repr(catalogue)


@pytest.mark.parametrize("width", [40, 80, 160, 300])
def test_the_table_fits_the_screen_with_a_line_for_each_kernel(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = repr(ff.kernels()).split("\n")
    assert max(map(len, lines)) <= width
    assert not any(line.endswith(" ") for line in lines)
    assert lines[0] == f"{len(ff.kernels())} kernels"
    assert [line for line in lines[1:] if not line.startswith(" ")] == list(FAMILIES.values())
    assert [line.split()[0] for line in lines[1:] if line.startswith(" ")] == [info.name for info in ff.kernels()]


def test_a_wide_screen_shows_the_expression_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert all(info.numpy in repr(ff.kernels()) for info in ff.kernels() if len(info.numpy) < 150)
    monkeypatch.setenv("COLUMNS", "80")
    assert "np." not in repr(ff.kernels())


class _Page(HTMLParser):
    """The text of the cells of a page, and a check that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_the_page_has_a_row_for_each_kernel_and_family() -> None:
    page = _Page(ff.kernels()._repr_html_())
    kernels = [row for row in page.rows if len(row) == 3]
    assert [(name, numpy) for name, _, numpy in kernels] == [(info.name, info.numpy) for info in ff.kernels()]
    assert [row for row in page.rows if len(row) == 1] == [[family] for family in FAMILIES.values()]
    assert page.attributes <= {"style", "colspan"}


def test_what_was_searched_for_is_escaped() -> None:
    assert "&lt;script&gt;" in ff.kernels("<script>")._repr_html_()
    found = ff.kernels("<= np")
    assert found
    assert "&lt;= np" in found._repr_html_() and "<=" not in found._repr_html_()


# ---- the search ----


def test_names_are_found() -> None:
    found = names("quantile")
    assert {"quantile", "nanquantile", "quantile_approx", "rolling_quantile"} <= set(found)
    assert names("QUANTILE ") == found
    assert set(found) <= set(names("quant"))
    assert len(names("")) == len(names("  ")) == len(ff.kernels())


def test_names_of_other_libraries_are_found() -> None:
    for word, kernel in {
        "avg": "mean",
        "stddev": "std",
        "isnull": "count_nan",
        "idxmax": "argmax",
        "hist": "histogram",
    }.items():
        assert kernel in names(word), word
    assert names("moving average") == ["rolling_mean"]


def test_misspelt_names_are_found() -> None:
    assert names("kurtsis") == ["kurtosis"]


def test_expressions_of_numpy_and_summaries_are_found() -> None:
    assert "gmean" in names("stats.gmean")
    assert "cummax" in names("np.maximum.accumulate")
    assert names("interquartile") == ["iqr"]


def test_all_words_must_be_found() -> None:
    assert names("smallest windows") == ["rolling_min"]
    assert names("smallest nothing-of-this") == []


def test_an_empty_result_says_so_and_what_to_do() -> None:
    assert repr(ff.kernels("zzz")) == "No kernel for 'zzz'. Any other function can be passed as a callable."
    assert "Did you mean 'histogram'?" in repr(ff.kernels("histgrm"))
    assert "call ff.describe(data)" in repr(ff.kernels("describe"))
    assert "No kernel for 'zzz'" in ff.kernels("zzz")._repr_html_().replace("&#x27;", "'")


def test_the_headline_counts() -> None:
    assert repr(ff.kernels("interquartile")).startswith("1 kernel for 'interquartile'\n")
    assert re.match(r"\d+ kernels for 'quant'\n", repr(ff.kernels("quant")))


@pytest.mark.parametrize("search", [None, 7, b"mean", ["mean"]])
def test_a_search_for_something_else_is_a_type_error(search: Any) -> None:
    with pytest.raises(TypeError, match=f"search must be a str, not {type(search).__name__}: pass words to look for"):
        ff.kernels(search)
