"""Builds the wheels for Linux and the source distribution into dist/, and looks through them.

Each wheel is linked by zig with the glibc of manylinux2014. Interpreters are named, not needed: maturin knows their
ABIs. Then auditwheel looks for symbols of newer systems, abi3audit for functions outside the stable ABI, and twine at
the metadata. What cannot be published is an error.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import zopfli

DIST = Path("dist")

WHEELS = {
    "cp311-abi3": ["--interpreter=python3.11"],
    "cp314-cp314t": ["--interpreter=python3.14t"],
    "cp315-abi3.abi3t": ["--interpreter=python3.15t", "--features=pyo3/abi3t-py315"],
}
"""What maturin is asked for, by the tag of the wheel: CPython from 3.11, free-threaded 3.14, both kinds from 3.15."""

POLICY = "manylinux_2_17"
"""The other name of manylinux2014."""

MOST_BYTES = 3 * 2**20
"""The size that no wheel exceeds: 3 MB, as folders of files show it."""


def call(*command: str) -> str:
    """What a module of this environment prints. It is shown if it fails."""
    done = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def build(tag: str, options: list[str]) -> Path:
    """Build a wheel, and compress it again, to the same files in fewer bytes."""
    with tempfile.TemporaryDirectory() as place:
        call("maturin", "build", "--release", "--zig", "--compatibility=manylinux2014", f"--out={place}", *options)
        (built,) = Path(place).glob("*.whl")
        if f"-{tag}-" not in built.name:
            raise SystemExit(f"{built.name} is not the wheel that was asked for, {tag}")
        wheel = DIST / built.name
        with (
            zipfile.ZipFile(built) as old,
            zopfli.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, iterations=1) as new,
        ):
            for entry in old.infolist():
                new.writestr(entry, old.read(entry))
    return wheel


def look_through(wheel: Path) -> None:
    """Fail if a wheel is too large, runs on newer systems only, lacks a licence or uses what is not in its ABI."""
    size = wheel.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{wheel.name} has {size:,} bytes, more than {MOST_BYTES:,}")
    with zipfile.ZipFile(wheel) as archive:
        licences = sorted(Path(name).name for name in archive.namelist() if "/licenses/" in name)
    if licences != ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENSES"]:
        raise SystemExit(f"{wheel.name} has these licences only: {licences}")
    if f'"{POLICY}_' not in call("auditwheel", "show", str(wheel)):
        raise SystemExit(f"{wheel.name} needs a newer system than {POLICY}: see auditwheel show")
    # Of abi3t, abi3audit 0.0.26 takes what a module exports by PEP 793 (PyModExport__core) for a function that it uses.
    if "-abi3-" in wheel.name:
        call("abi3audit", "--strict", str(wheel))
    print(f"{wheel.name}: {size:,} bytes", flush=True)


def try_source(source: Path) -> None:
    """Install the source distribution with pip in an environment of its own, and run `smoke.py` there."""
    smoke = Path(__file__).with_name("smoke.py").resolve()
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        own = f"{place}/bin/python"
        subprocess.run([own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source)], check=True)
        subprocess.run([own, "-I", "-W", "error", str(smoke)], cwd=place, check=True)
    print(f"{source.name}: {source.stat().st_size:,} bytes; pip builds it, and it works", flush=True)


def main(tags: list[str]) -> None:
    """Build the wheels of these tags, or all and the source distribution."""
    DIST.mkdir(exist_ok=True)
    for tag in tags or WHEELS:
        look_through(build(tag, WHEELS[tag]))
    if not tags:
        call("maturin", "sdist", f"--out={DIST}")
        (source,) = DIST.glob("*.tar.gz")
        try_source(source)
    call("twine", "check", "--strict", *map(str, DIST.iterdir()))


if __name__ == "__main__":
    main(sys.argv[1:])
