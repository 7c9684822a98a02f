"""Writes THIRD-PARTY-LICENSES: the crates whose code is in the compiled core, and the licences of each.

``--check`` writes nothing and fails if the file is not what would be written.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FILE = Path("THIRD-PARTY-LICENSES")

# Where Linux and other systems differ, the crates of Linux are among those that it has.
TARGET = "x86_64-unknown-linux-gnu"

NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")

INTRODUCTION = """The compiled core of fanfold contains code of these Rust crates. Their licences are below, each once.
Generated from Cargo.lock by scripts/licences.py: do not edit.

The core also contains parts of Rust's standard library, Copyright (c) The Rust Project Contributors, MIT OR Apache-2.0:
https://github.com/rust-lang/rust
"""


def linked() -> list[dict[str, Any]]:
    """The crates whose code is in the core, by name: not those that only build or test it, nor macros."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={TARGET}"]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in told["packages"]}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    found = {told["resolve"]["root"]}
    new = list(found)
    while new:
        needs = nodes[new.pop()]["deps"]
        ids = {need["pkg"] for need in needs if any(kind["kind"] is None for kind in need["dep_kinds"])}
        new += [each for each in ids - found if not _is_macro(packages[each])]
        found.update(new)
    found.remove(told["resolve"]["root"])
    return sorted((packages[each] for each in found), key=lambda package: package["name"])


def _is_macro(package: dict[str, Any]) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def licences() -> str:
    """The list of crates, then the texts. Crates with the same text share it."""
    crates = linked()
    texts: dict[str, list[str]] = {}
    for crate in crates:
        files = sorted(path for path in Path(crate["manifest_path"]).parent.iterdir() if path.name.startswith(NAMES))
        if not files:
            raise SystemExit(f"{crate['name']} has no licence file: look for its text and add it to {__file__}")
        for path in files:
            text = "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").strip().splitlines())
            texts.setdefault(text, []).append(f"{crate['name']} ({path.name})")
    lines = [f"- {crate['name']} {crate['version']}: {crate['license']}, {crate['repository']}" for crate in crates]
    parts = [f"{'=' * 80}\n{', '.join(names)}\n{'=' * 80}\n\n{text}\n" for text, names in texts.items()]
    return "\n".join([INTRODUCTION, *lines, "", *parts])


def main() -> int:
    """Writes the file, or checks it."""
    text = licences()
    if "--check" not in sys.argv:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        print(f"{FILE} is not what Cargo.lock says: run `make licences`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
