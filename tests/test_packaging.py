"""What a package is made of: the files of the source distribution, and the licences of what is compiled in."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo here")


def test_the_source_distribution_holds_what_it_takes_to_build_and_nothing_else() -> None:
    # maturin packs what cargo lists.
    command = ["cargo", "package", "--list", "--allow-dirty", "--offline"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    tops = {name.split("/")[0] for name in listed}
    assert tops <= {
        "src",
        "python",
        "Cargo.toml",
        "Cargo.toml.orig",
        "Cargo.lock",
        "pyproject.toml",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "THIRD-PARTY-LICENSES",
        ".cargo_vcs_info.json",
    }
    assert {"src/lib.rs", "python/fanfold/__init__.py", "python/fanfold/py.typed", "pyproject.toml"} <= set(listed)
    assert all(Path(name).suffix in {".py", ".pyi", ".typed"} for name in listed if name.startswith("python/"))


def test_the_licences_are_those_of_the_crates_in_the_core() -> None:
    command = [sys.executable, "scripts/licences.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_versions_are_one() -> None:
    read = {name: tomllib.loads((ROOT / name).read_text(encoding="utf-8")) for name in ("pyproject.toml", "Cargo.toml")}
    version = read["pyproject.toml"]["project"]["version"]
    assert read["Cargo.toml"]["package"]["version"] == version
    assert f'version: "{version}"' in (ROOT / "conda/recipe.yaml").read_text(encoding="utf-8")
