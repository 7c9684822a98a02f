"""Runs the notebooks of the documentation in a real kernel.

    python scripts/notebooks.py [NAME ...]           run them, and keep their outputs
    python scripts/notebooks.py --check [NAME ...]   run them, and fail if the text of an output is another one

The outputs are part of the repository: a reader of the files sees them, and the site shows them without a kernel.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "notebooks"
LARGEST = 150_000
"""Bytes of a notebook. Pictures are small, and everybody who clones the repository has them."""


def run(path: Path) -> nbformat.NotebookNode:
    """Run a notebook, and return it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    # What differs from one computer to another.
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def texts(notebook: Any) -> list[list[str]]:
    """Return the text of each cell's outputs. Pictures and reports with times are never the same."""
    return [
        [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


def main() -> int:
    """Run the notebooks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("names", nargs="*", help="the notebooks; all of them if none is named")
    options = parser.parse_args()
    paths = [FOLDER / f"{name}.ipynb" for name in options.names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        notebook = run(path)
        if not options.check:
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            print(f"written: {path.name}, {path.stat().st_size:,} bytes")
        before = texts(nbformat.read(path, as_version=4))
        for cell, old, new in zip(notebook.cells, before, texts(notebook), strict=True):
            if old != new:
                print(f"{path.name}: another output of\n{cell.source}\n-- kept:\n{old}\n-- now:\n{new}")
                return 1
        if path.stat().st_size > LARGEST:
            print(f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}: make its pictures smaller")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
