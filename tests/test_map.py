"""The map in `src/lib.rs` is true: every module is on it, and uses only what stands before it."""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
ROWS = re.findall(r"^//! \| (\[?`.*?) \|", (SOURCE / "lib.rs").read_text(encoding="utf-8"), re.MULTILINE)
MAP = [name for row in ROWS for name in re.findall(r"`(\w+)`", row)]
MODULES = re.findall(r"^(?:pub )?mod (\w+);", (SOURCE / "lib.rs").read_text(encoding="utf-8"), re.MULTILINE)


def code(path: Path) -> str:
    """What is compiled of a file: neither comments nor tests."""
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    return re.split(r"#\[cfg\(test\)\]\s*mod ", text)[0]


def used(module: str) -> set[str]:
    """The other modules of the crate that a module names."""
    files = [path for path in (SOURCE / f"{module}.rs", *(SOURCE / module).rglob("*.rs")) if path.exists()]
    texts = [code(path) for path in files]
    assert not [text for text in texts if "crate::{" in text], "name one module in each use, so that this test sees it"
    return {name for text in texts for name in re.findall(r"\bcrate::(\w+)", text)} - {module}


def test_every_module_is_on_the_map_once() -> None:
    assert sorted(MAP) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_uses_only_what_stands_before_it(module: str) -> None:
    assert used(module) <= set(MAP[: MAP.index(module)])


@pytest.mark.parametrize("module", sorted({*MODULES} - {"py"}))
def test_the_core_knows_no_python(module: str) -> None:
    files = [path for path in (SOURCE / f"{module}.rs", *(SOURCE / module).rglob("*.rs")) if path.exists()]
    assert not [path for path in files if re.search(r"\b(pyo3|numpy)::", code(path))]
