"""The commands of ``python -m fanfold``: ``info``, ``kernels`` and ``describe``."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from fanfold import _core
from fanfold.catalogue import kernels
from fanfold.describe import describe
from fanfold.files import RefusedError, read
from fanfold.info import info
from fanfold.results import Results

PROGRAM = "python -m fanfold"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code: 0, 1 if nothing was found, 2 if the command cannot be run."""
    asked = _parser().parse_args(arguments)
    try:
        code = _run(asked)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). What is left must not fail again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Statistics of a file, in one pass, on every core.")
    parser.add_argument("--version", action="version", version=f"fanfold {_core.config()['version']}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("info", help="show what to say in a report of a problem")
    of_kernels = commands.add_parser("kernels", help="list the kernels, or search them")
    of_kernels.add_argument("search", nargs="*", metavar="SEARCH", help="words that a kernel must have")
    of_file = commands.add_parser("describe", help="describe the array or the columns of a file")
    of_file.add_argument("file", type=Path, metavar="FILE", help="a file of the kind .npy, .npz, .csv or .parquet")
    of_file.add_argument("--by", metavar="COLUMN", help="describe each group of rows with one label in this column")
    of_file.add_argument("--columns", metavar="A,B", help="describe only these columns")
    of_file.add_argument("--format", choices=("text", "json", "html"), default="text", help="the form of the answer")
    return parser


def _run(asked: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A page says that it is in UTF-8; and a terminal that lacks a character shows another one.
        is_page = asked.command == "describe" and asked.format == "html"
        sys.stdout.reconfigure(encoding="utf-8" if is_page else None, errors="replace")
    if not sys.stdout.isatty():
        # Files and other programs get whole lines.
        os.environ.setdefault("COLUMNS", "100000")
    if asked.command == "info":
        print(info())
        return 0
    if asked.command == "kernels":
        found = kernels(" ".join(asked.search))
        print(found, file=sys.stdout if found else sys.stderr)
        return 0 if found else 1
    try:
        print(_described(asked.file, asked.columns, asked.by, asked.format))
    except RefusedError as refused:
        print(f"fanfold: {refused}", file=sys.stderr)
        return 2
    return 0


def _described(path: Path, columns: str | None, by: str | None, form: str) -> str:
    data = read(path, None if columns is None else columns.split(","), by)
    try:
        r = describe(data, by)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{path} cannot be described: {' '.join(str(error).split())}") from error
    for column, reason in r.report.left_out.items():
        print(f"fanfold: {column} is left out: {' '.join(reason.split())}", file=sys.stderr)
    if form == "json":
        return r.to_json(indent=2)
    return _page(path, r) if form == "html" else repr(r)


def _page(path: Path, r: Results) -> str:
    """Results as a page of their own."""
    head = f'<meta charset="utf-8"><title>{escape(path.name)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{r._repr_html_()}</body></html>'
