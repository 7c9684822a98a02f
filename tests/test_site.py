"""The site builds, and what is generated on its pages is up to date: tables, pictures, the list of what users call, and
the outputs of notebooks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import answers
import fanfold as ff
import report
from fanfold.kernels import __all__ as constructors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(path.stem for path in DOCS.glob("notebooks/*.ipynb"))


def run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, input=given, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    run("-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "doctrees"), "docs", str(tmp_path / "site"))
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in [*DOCS.glob("*.md"), *DOCS.glob("*/*.ipynb")]}
    assert len(pages) > 20
    for page in pages:
        assert (tmp_path / "site" / page).exists(), page
    # An example without the empty line that doctest wants.
    assert "</span>\n\n</pre>" not in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_the_page_of_what_users_call_has_it_all() -> None:
    named = re.findall(
        r"^\.\. auto(?:function|class|exception):: (\w+)", (DOCS / "api.md").read_text(encoding="utf-8"), re.M
    )
    assert sorted(named) == sorted(set(ff.__all__) - set(constructors))


def test_tables_and_pictures_are_those_of_the_latest_records() -> None:
    for path, text in report.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} differs: run python benches/report.py"
    assert answers.PAGE.read_text(encoding="utf-8") == answers.page(), "run python benches/answers.py --table"


def test_readers_see_five_figures_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- figures:begin -->")[2].partition("<!-- figures:end -->")[0]
    assert len(re.findall(r"^\| [^w-]", table, re.M)) == len(report.FIVE) == 5


@pytest.mark.parametrize("way", answers.WAYS)
def test_all_ways_of_the_old_question_have_the_same_answers(way: str) -> None:
    assert "ready" in run("benches/answers.py", "--serve", way, "--size", "5000", given="\n\n")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_have_the_outputs_that_they_show(name: str) -> None:
    run("scripts/notebooks.py", "--check", name)
