"""What a package is made of: the files of the source distribution, and the licences of what is compiled in."""

import re
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


def test_links_of_the_published_readme_are_absolute_and_lead_to_files_that_are_here(tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    address = "https://host.example/owner/name"
    command = [sys.executable, str(ROOT / "scripts" / "absolute_links.py"), address, "v1.2"]
    subprocess.run(command, cwd=tmp_path, check=True)
    links = re.findall(r"(!?)\[[^]]*\]\(([^)]+)\)", (tmp_path / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    for is_picture, link in links:
        assert link.startswith("https://"), link
        # A picture itself, not the page that shows it.
        _, leads_here, path = link.partition(f"{address}/{'raw' if is_picture else 'blob'}/v1.2/")
        assert not leads_here or (ROOT / path).is_file(), link
        assert leads_here or not link.startswith(address), link


def test_every_job_that_builds_makes_the_links_absolute_first() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    jobs = re.split(r"^  (?=\w+:$)", release.partition("\njobs:\n")[2], flags=re.MULTILINE)
    builds = [re.search("make wheels|maturin-action", job) for job in jobs]
    assert sum(map(bool, builds)) == 2
    for job, build in zip(jobs, builds, strict=True):
        assert build is None or "scripts/absolute_links.py" in job[: build.start()]


def test_the_versions_are_one() -> None:
    read = {name: tomllib.loads((ROOT / name).read_text(encoding="utf-8")) for name in ("pyproject.toml", "Cargo.toml")}
    version = read["pyproject.toml"]["project"]["version"]
    assert read["Cargo.toml"]["package"]["version"] == version
    assert f'version: "{version}"' in (ROOT / "conda/recipe.yaml").read_text(encoding="utf-8")
