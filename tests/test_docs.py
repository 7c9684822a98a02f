"""The README, the docs and the docstrings are true: every example is executed, every link leads somewhere, and what is
shown in Rust compiles."""

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from fresh import run_script

ROOT = Path(__file__).parent.parent
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# By name: as an attribute, `fanfold.kernels` is the function.
MODULES = [
    importlib.import_module(f"fanfold{name}")
    for name in ("", ".api", ".catalogue", ".info", ".kernels", ".results", ".suggestions")
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_examples_of_the_texts_run(path: Path) -> None:
    # In a process of its own: what tests leave behind, a thread inside `warnings.catch_warnings`, shows in reports.
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "doctest", "-o", "ELLIPSIS", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_has_examples() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count(">>> ") >= 8


def test_the_readme_begins_with_two_commands_that_install_and_run() -> None:
    install, use = re.findall(r"^(?:pip|python) .*", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[:2]
    assert install.startswith("pip install fanfold ")
    code = re.fullmatch(r'python -c "(.*)"', use)
    assert code
    done = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0 and done.stdout.startswith("Results: 4 functions"), done.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples_of_the_docstrings_run(module: ModuleType) -> None:
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize(("path", "section"), [("README.md", "For builders"), ("CONTRIBUTING.md", "Build and test")])
def test_builders_read_the_two_commands_first(path: str, section: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8").partition(f"## {section}")[2]
    assert re.findall(r"make [a-z-]+", text)[:2] == ["make demo", "make test"]


# ---- what is promised, and the test that holds it ----


def promises() -> list[str]:
    """The rows of the table in docs/promises.md."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    return [row for row in text.partition("| promise | test |")[2].split("\n")[2:] if row]


def test_every_promise_names_files_that_hold_tests() -> None:
    assert len(promises()) > 10
    for promise in promises():
        links = re.findall(r"\[([^]]+)\]\(\.\./(tests/[^)]+)\)", promise.split("|")[2])
        assert links, promise
        for name, path in links:
            assert Path(path).name == name
            assert re.search(r"^def test_|^#\[test\]", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), path


# ---- CONTRIBUTING.md ----

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_files_that_are_named_exist() -> None:
    named = re.findall(r"`((?:src|tests|docs|python)/[\w./]*)`", CONTRIBUTING)
    assert len(named) > 5
    for path in named:
        assert (ROOT / path).exists(), path


def test_verbs_that_are_named_exist() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in TEXTS:
        assert set(re.findall(r"`make ([a-z-]+)`", path.read_text(encoding="utf-8"))) <= verbs


def test_unsafe_code_is_where_it_is_said_to_be() -> None:
    paragraph = re.search(r"^`unsafe` lives in .*?\n\n", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    assert paragraph
    named = tuple(re.findall(r"`(src/[^`]*)`", paragraph[0]))
    for file in sorted(ROOT.glob("src/**/*.rs")):
        if re.search(r"\bunsafe (\{|fn|impl|extern|trait)", file.read_text(encoding="utf-8")):
            assert file.relative_to(ROOT).as_posix().startswith(named), file


def test_the_worked_rule_and_the_worked_input_work(tmp_path: Path) -> None:
    rule = re.search(r"^```python\n(@rule.*?)^```", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    entry = re.search(r"^_BY_CLASS = \(\n    (\(_of.*?\n)", CONTRIBUTING, re.MULTILINE)
    assert rule and entry
    package = tmp_path / "fanfold"
    shutil.copytree(Path(importlib.import_module("fanfold").__file__ or "").parent, package)
    with (package / "tracing" / "rules" / "elementwise.py").open("a", encoding="utf-8") as rules:
        rules.write("\n\n" + rule[1])
    sources = package / "sources.py"
    before, start, entries = sources.read_text(encoding="utf-8").partition("_BY_CLASS: _Ways = (\n")
    assert start
    sources.write_text(f"{before}{start}    {entry[1]}{entries}", encoding="utf-8")
    run_script(
        """
        import types
        recorder = types.ModuleType("recorder")
        class Track:
            samples = np.array([1.0, 5.0, 6.0])
        recorder.Track = Track
        assert ff.__file__.startswith(os.environ["PYTHONPATH"])
        try:
            ff.run(Track(), "mean")
        except TypeError:
            pass
        else:
            raise AssertionError
        sys.modules["recorder"] = recorder
        assert ff.run(Track(), ["mean", len]) == {"mean": 4.0, "len": 3}
        x = np.full(200_000, np.inf)
        x[::3] = -1.0
        r = ff.run(x, {"infinite": lambda v: np.isposinf(v).sum()})
        assert r["infinite"] == np.isposinf(x).sum() and r.report.how == {"infinite": "fused"}, r.report
        """,
        environment={"PYTHONPATH": str(tmp_path)},
    )


def test_the_worked_kernel_compiles() -> None:
    block = re.search(r"^ *```rust\n(.*?)^ *```", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    file = re.search(r"`(src/kernels/\w+\.rs)`", CONTRIBUTING)
    line = re.search(r"in `(src/kernels/mod\.rs)`: `(&[\w:]+,)`", CONTRIBUTING)
    assert block and file and line
    # A crate of its own that shares what it depends on with ours, and always the same one, so that it is compiled once.
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
    crate = target / "contributing"
    shutil.rmtree(crate, ignore_errors=True)
    shutil.copytree(ROOT / "src", crate / "src")
    for name in ("Cargo.toml", "Cargo.lock", "clippy.toml", "benches", "tests"):
        (crate / name).symlink_to(ROOT / name)
    with (crate / file[1]).open("a", encoding="utf-8") as kernels:
        kernels.write("\n" + textwrap.dedent(block[1]))
    catalogue = crate / line[1]
    before, start, entries = catalogue.read_text(encoding="utf-8").partition("CATALOGUE: &[&Entry] = &[\n")
    assert start
    catalogue.write_text(f"{before}{start}    {line[2]}\n{entries}", encoding="utf-8")
    clippy = ["cargo", "clippy", "--quiet", "--locked", "--no-default-features", "--target-dir", str(target)]
    done = subprocess.run([*clippy, "--", "-D", "warnings"], cwd=crate, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
