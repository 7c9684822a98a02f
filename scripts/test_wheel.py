"""Tries a wheel on every CPython of this machine that it is for, with the oldest NumPy that it takes and the newest.

Both are read from the wheel. The oldest NumPy of a Python is the oldest that has a wheel for it. Each pair gets an
environment of its own, in which `smoke.py` runs.
"""

import email
import glob
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

SMOKE = Path(__file__).with_name("smoke.py").resolve()

PROBE = """
import sys, sysconfig
print(*sys.version_info[:2], sep=".")
sys.exit(sys.implementation.name != "cpython" or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
"""
"""Prints an interpreter's version, and fails if it is none that takes wheels of the stable ABI."""


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def pythons(suited: SpecifierSet) -> Iterator[tuple[str, str]]:
    """The version and the path of each CPython that is suited: this one, those of the search path, pyenv's and uv's."""
    others = ("~/.pyenv/versions/*/bin", "~/.local/share/uv/python/*/bin")
    folders = [*os.get_exec_path(), *map(os.path.expanduser, others)]
    names = [f"python3.{minor}" for minor in range(11, 30)]
    found = [path for folder in folders for name in names for path in sorted(glob.glob(os.path.join(folder, name)))]
    seen = set()
    for path in [sys.executable, *found]:
        # A shim of pyenv starts no interpreter if that one is not chosen.
        told = subprocess.run([path, "-c", PROBE], capture_output=True, text=True)
        version = told.stdout.strip()
        if told.returncode == 0 and version not in seen and version in suited:
            seen.add(version)
            yield version, path


def oldest_and_newest(numpy: Requirement, python: str) -> list[str]:
    """Of the releases that are asked for and have a wheel for this Python."""
    options = ["--json", "--disable-pip-version-check", "--only-binary=:all:", f"--python-version={python}"]
    command = [sys.executable, "-m", "pip", "index", "versions", *options, numpy.name]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    releases = list(numpy.specifier.filter(told["versions"]))
    return list(dict.fromkeys([releases[-1], releases[0]]))


def works(wheel: Path, python: str, numpy: str) -> bool:
    """Whether `smoke.py` runs in an environment of its own, with the wheel and this NumPy."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([python, "-m", "venv", place], check=True)
        own = os.path.join(place, "bin", "python")
        install = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
        subprocess.run([*install, str(wheel), f"numpy=={numpy}"], check=True)
        # Isolated (-I), so that it is the wheel that is imported, and nothing from here.
        return subprocess.run([own, "-I", "-W", "error", str(SMOKE)], cwd=place).returncode == 0


def main(wheel: Path) -> int:
    """Tries every pair, and tells which there were; how many do not work."""
    told = metadata(wheel)
    numpy = next(each for each in map(Requirement, told.get_all("Requires-Dist", [])) if each.name == "numpy")
    tried = {}
    for version, python in pythons(SpecifierSet(told["Requires-Python"])):
        for release in oldest_and_newest(numpy, version):
            pair = f"Python {version} with NumPy {release}"
            print(f"== {pair}", flush=True)
            tried[pair] = works(wheel, python, release)
    print(f"== {wheel.name} takes {numpy}, and was tried on")
    for pair, worked in tried.items():
        print(f"   {pair}: {'works' if worked else 'FAILS'}")
    return list(tried.values()).count(False)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
