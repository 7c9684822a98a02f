"""The command line: what it prints, and that nothing that can go wrong prints a traceback."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fanfold as ff
from fanfold import command, files
from fresh import run_script

x = np.random.default_rng(0).normal(size=500)
SHOPS = np.array(["a", "b", "c", "a", "b"] * 100)
SIZES = np.arange(500) % 7


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100000")


@pytest.fixture
def table() -> pd.DataFrame:
    frame = pd.DataFrame({"price": x, "size": SIZES, "shop": SHOPS})
    frame.loc[[3, 4], "price"] = np.nan
    frame.loc[5, "shop"] = None
    frame.to_csv("t.csv", index=False)
    frame.to_parquet("t.parquet")
    return frame


class Done:
    """What a command printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        try:
            self.code: Any = command.main(arguments)
        except SystemExit as end:
            # argparse ends the program itself.
            self.code = end.code
        self.out, self.err = capsys.readouterr()

    def answer(self) -> str:
        assert (self.code, self.err) == (0, "")
        return self.out

    def refusal(self) -> str:
        """The only line of an error."""
        assert (self.code, self.out) == (2, "")
        (line,) = self.err.splitlines()
        return line.removeprefix("fanfold: ")


Run = Any


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return lambda *arguments: Done(capsys, *arguments)


# ---- info and kernels ----


def test_info_is_that_of_python(run: Run) -> None:
    assert run("info").answer() == f"{ff.info()}\n"


def test_kernels_are_listed_and_searched(run: Run) -> None:
    assert run("kernels").answer() == f"{ff.kernels()}\n"
    assert run("kernels", "quant").answer() == f"{ff.kernels('quant')}\n"
    assert run("kernels", "smallest", "windows").answer() == f"{ff.kernels('smallest windows')}\n"


def test_a_search_that_finds_nothing_has_exit_code_1(run: Run) -> None:
    done = run("kernels", "zzz")
    assert (done.code, done.out, done.err) == (1, "", f"{ff.kernels('zzz')}\n")


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").answer() == f"fanfold {ff.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["describe"], ["describe", "a.npy", "--format", "xml"]])
def test_a_wrong_command_is_told_with_the_usage(arguments: list[str], run: Run) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: python -m fanfold")


# ---- describe ----


def test_an_array_is_described(run: Run) -> None:
    np.save("a.npy", x)
    np.save("b.npy", x.reshape(20, 25, order="F"))
    for name in ("a.npy", "b.npy"):
        answer = json.loads(run("describe", name, "--format", "json").answer())
        assert answer == pytest.approx(pd.Series(x).describe().to_dict() | {"missing": 0}, rel=1e-12)
    assert run("describe", "a.npy").answer() == f"{ff.describe(x)!r}\n"


def test_an_array_is_read_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", x)
    data = files.read(Path("a.npy"), None, None)
    assert isinstance(data, np.memmap) and not data.flags.writeable
    assert ff.run(data, "mean").report.bytes_copied == 0


@pytest.mark.parametrize("shape", [(0,), (), (3, 0)])
def test_arrays_without_and_of_one_element_are_described(shape: tuple[int, ...], run: Run) -> None:
    np.save("a.npy", np.ones(shape))
    assert json.loads(run("describe", "a.npy", "--format", "json").answer())["count"] == np.ones(shape).size


def test_the_arrays_of_an_archive_are_columns(run: Run) -> None:
    np.savez("a.npz", price=x, shop=SHOPS, other=np.ones((2, 3)))
    answer = json.loads(run("describe", "a.npz", "--format", "json").answer())
    assert answer["count"] == {"price": 500, "shop": 500, "other": 6}
    answer = json.loads(run("describe", "a.npz", "--by", "shop", "--columns", "price", "--format", "json").answer())
    assert answer["groups"] == ["a", "b", "c"]
    assert answer["mean"]["price"] == pytest.approx(pd.Series(x).groupby(SHOPS).mean().tolist())


def test_a_structured_array_is_a_table(run: Run) -> None:
    records = np.zeros(500, [("price", "f8"), ("size", "i4")])
    records["price"], records["size"] = x, SIZES
    np.save("a.npy", records)
    answer = json.loads(run("describe", "a.npy", "--columns", "size", "--format", "json").answer())
    assert answer["mean"] == {"size": SIZES.mean()}


READERS = {
    "t.csv": ["pyarrow", "polars", "pandas"],
    "t.parquet": ["pyarrow", "polars"],
}


@pytest.fixture(params=[(name, library) for name, libraries in READERS.items() for library in libraries], ids=str)
def file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame) -> str:
    """A file with a table, and a machine with only this library of those that read it."""
    name, library = request.param
    _only_installed(monkeypatch, library)
    return str(name)


def _only_installed(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    find_spec = importlib.util.find_spec

    def found(name: str) -> Any:
        return find_spec(name) if name in libraries or name not in ("pyarrow", "polars", "pandas") else None

    monkeypatch.setattr(importlib.util, "find_spec", found)
    read = importlib.import_module

    def imported(name: str) -> Any:
        assert name.partition(".")[0] in libraries
        return read(name)

    monkeypatch.setattr(files.importlib, "import_module", imported)


def test_a_table_is_described(file: str, table: pd.DataFrame, run: Run) -> None:
    answer = json.loads(run("describe", file, "--format", "json").answer())
    described = table[["price", "size"]].describe().drop("count")
    for row in described.index:
        assert answer[row] == pytest.approx(described.loc[row].to_dict(), rel=1e-12), row
    assert answer["count"] == {"price": 498, "size": 500, "shop": 499}
    assert answer["missing"] == {"price": 2, "size": 0, "shop": 1}
    assert (answer["distinct"], answer["top"], answer["freq"]) == ({"shop": 3}, {"shop": "b"}, {"shop": 200})


def test_groups_of_a_table_are_described(file: str, table: pd.DataFrame, run: Run) -> None:
    answer = json.loads(run("describe", file, "--by", "shop", "--format", "json").answer())
    groups = table.groupby("shop")["price"]
    assert answer["groups"] == ["a", "b", "c"]
    assert answer["count"]["price"] == groups.count().tolist()
    assert answer["50%"]["price"] == pytest.approx(groups.median().tolist(), rel=1e-12)


@pytest.mark.parametrize("library", READERS["t.csv"])
def test_words_for_nulls_are_missing_elements(library: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{null},{null},1" for null in files.NULLS]
    Path("t.csv").write_text("\n".join(["price,shop,size", "1.5,a,1", *rows, "2.5,b,1"]))
    _only_installed(monkeypatch, library)
    answer = json.loads(run("describe", "t.csv", "--format", "json").answer())
    assert answer["count"] == {"price": 2, "shop": 2, "size": 2 + len(rows)}
    assert answer["mean"] == {"price": 2.0, "size": 1.0}


def test_columns_are_chosen_and_in_the_order_asked_for(file: str, run: Run) -> None:
    answer = json.loads(run("describe", file, "--columns", "size,price", "--format", "json").answer())
    assert list(answer["mean"]) == ["size", "price"]
    answer = json.loads(run("describe", file, "--columns", "price", "--by", "shop", "--format", "json").answer())
    assert list(answer["mean"]) == ["price"]


def test_columns_that_do_not_exist_are_told(file: str, run: Run) -> None:
    assert run("describe", file, "--columns", "price,prize").refusal() == (
        f"{file} has no column 'prize': did you mean 'price'?"
    )
    assert run("describe", file, "--by", "carrier").refusal() == (
        f"{file} has no column 'carrier': the columns are 'price', 'size', 'shop'"
    )


def test_of_many_columns_some_are_named(run: Run) -> None:
    np.savez("a.npz", **{f"column{number}": x for number in range(30)})
    told = run("describe", "a.npz", "--by", "zzz").refusal()
    assert told.endswith("'column19', …") and "column20" not in told


def test_the_text_is_that_of_the_results(table: pd.DataFrame, run: Run) -> None:
    assert run("describe", "t.parquet").answer() == f"{ff.describe(pl.read_parquet('t.parquet'))!r}\n"


def test_the_page_is_complete(run: Run) -> None:
    np.savez("a<b.npz", price=x)
    page = run("describe", "a<b.npz", "--format", "html").answer()

    class Cells(HTMLParser):
        found: list[str] = []  # noqa: RUF012 - one object only

        def handle_data(self, data: str) -> None:
            self.found.append(data)

    Cells().feed(page)
    assert page.startswith("<!doctype html>") and '<meta charset="utf-8">' in page
    assert {"a<b.npz", "price", "mean", "75%"} <= set(Cells.found)


def test_columns_that_are_left_out_are_told_beside_the_answer(run: Run) -> None:
    pl.DataFrame({"price": [1.0, 2.0], "tags": [[1], [2, 3]]}).write_parquet("t.parquet")
    done = run("describe", "t.parquet", "--format", "json")
    assert done.code == 0
    assert json.loads(done.out)["count"] == {"price": 2}
    assert re.fullmatch(r"fanfold: tags is left out: .*\n", done.err)


# ---- what can go wrong ----


def test_files_that_cannot_be_read_are_told(run: Run) -> None:
    kinds = "the kinds are .npy, .npz, .csv, .parquet"
    Path("a.txt").write_text("text")
    Path("folder.npy").mkdir()
    np.save("objects.npy", np.array([None, 1]), allow_pickle=True)
    np.savez("objects.npz", a=np.array([None, 1]))
    Path("cut.npy").write_bytes(b"\x93NUMPY")
    for name in ("wrong.npy", "wrong.npz", "wrong.parquet"):
        Path(name).write_text("text")
    Path("empty.csv").touch()
    Path("ragged.csv").write_text("a,b\n1\n2,3,4\n")
    Path("twice.csv").write_text("a,a\n1,2\n")
    assert run("describe", "a.txt").refusal() == f"a.txt has no extension that is known: {kinds}"
    assert run("describe", "a").refusal() == f"a has no extension that is known: {kinds}"
    assert run("describe", "no.npy").refusal() == "there is no file no.npy"
    assert run("describe", "folder.npy").refusal() == "folder.npy is not a file"
    reasons = {
        "objects.npy": "Python objects",
        "objects.npz": "Object arrays",
        "wrong.npy": "it is no array, as np.save writes it",
        "wrong.npz": "it is no archive of arrays, as np.savez writes it",
        "cut.npy": "",
        "wrong.parquet": "",
        "empty.csv": "",
        "ragged.csv": "",
        "twice.csv": "",
    }
    for name, reason in reasons.items():
        told = run("describe", name).refusal()
        assert told.startswith(f"{name} cannot be read: ") and reason in told


def test_a_file_that_may_not_be_read_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.npy").touch()

    def refuses(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied", "a.npy")

    monkeypatch.setattr(Path, "open", refuses)
    assert run("describe", "a.npy").refusal() == "a.npy cannot be read: Permission denied"


def test_a_single_array_has_no_columns(run: Run) -> None:
    np.save("a.npy", x)
    for arguments in (["--by", "shop"], ["--columns", "price"]):
        told = run("describe", "a.npy", *arguments).refusal()
        assert told == "a.npy is one array without columns: leave --columns and --by out"


def test_data_that_cannot_be_described_are_told(run: Run) -> None:
    np.save("a.npy", np.array(["a", "b"]))
    np.savez("b.npz", shop=SHOPS)
    assert run("describe", "a.npy").refusal().startswith("a.npy cannot be described: ")
    assert run("describe", "b.npz", "--by", "shop").refusal().startswith("b.npz cannot be described: ")


def test_a_library_that_lacks_is_told(table: pd.DataFrame, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _only_installed(monkeypatch)
    for name, libraries in READERS.items():
        told = run("describe", name).refusal()
        assert told == f"{name} can only be read with a library: pip install pyarrow, or {libraries[-1]}"


def test_an_interrupt_prints_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "info", interrupted)
    done = run("info")
    assert (done.code, done.out, done.err) == (130, "", "")


# ---- as a program ----


def program(*arguments: str, **others: Any) -> subprocess.CompletedProcess[str]:
    environment = {**{name: value for name, value in os.environ.items() if name != "COLUMNS"}, **others}
    command = [sys.executable, "-m", "fanfold", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=100)


def test_the_program_prints_and_has_exit_codes(table: pd.DataFrame) -> None:
    done = program("describe", "t.csv", "--by", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert "75%, price" in done.stdout and "…" not in done.stdout
    done = program("describe", "no.csv")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "fanfold: there is no file no.csv\n")


def test_a_screen_that_lacks_characters_shows_others() -> None:
    np.save("a.npy", x)
    done = program("kernels", "entropy", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "-? p log p" in done.stdout
    page = program("describe", "a.npy", "--format", "html", PYTHONIOENCODING="ascii")
    assert "µs" in page.stdout or "ms" in page.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed in another way")
def test_a_pipe_that_is_closed_prints_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "fanfold", "kernels"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=100)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_importing_fanfold_does_not_import_the_command_line() -> None:
    run_script("assert not {'fanfold.command', 'fanfold.files'} & set(sys.modules)")


# ---- docs/command.md ----

PAGE = (Path(__file__).parent.parent / "docs/command.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE)


def test_the_page_shows_what_the_commands_print(run: Run) -> None:
    assert len(COMMANDS) > 3
    for told, shown in COMMANDS:
        words = told.split()
        if words[0] == "cat":
            Path(words[1]).write_text(shown)
        else:
            assert words[:3] == ["python", "-m", "fanfold"]
            assert run(*words[3:]).answer() == shown


def test_the_page_has_every_option() -> None:
    assert command.__doc__ and all(f"`python -m fanfold {name}" in PAGE for name in ("describe", "kernels", "info"))
    for option in ("--by COLUMN", "--columns A,B", "--format text"):
        assert f"`{option}`" in PAGE
