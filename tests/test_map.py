"""The map in `src/lib.rs` is true: every module is on it, and uses only what stands before it.

No module of the Python half needs itself through others.
"""

import ast
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


def loaded(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports when it is loaded, packages left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # Imports for type checkers alone, or inside a function, are not part of loading.
    tree.body = [each for each in tree.body if isinstance(each, ast.ImportFrom)]
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]
    return {
        name for node in nodes for name in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
    } & known


def test_no_python_module_needs_itself_through_others() -> None:
    package = SOURCE.parent / "python" / "fanfold"
    # A package's own file only lists its modules.
    paths = {path for path in package.rglob("*.py") if path.name != "__init__.py"}
    names = {path: ".".join(path.relative_to(package.parent).with_suffix("").parts) for path in paths}
    left = {name: loaded(path, set(names.values())) for path, name in names.items()}
    while free := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in free}
    assert not left, f"these modules need each other: {sorted(left)}"
