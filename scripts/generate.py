"""Writes what follows from the compiled catalogue: the constructors' stubs, the type of names, and docs/kernels.md.

``--check`` writes nothing and fails if a file is not what would be written.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import fanfold as ff
from fanfold.catalogue import Parameter

STUB = Path("python/fanfold/kernels.pyi")
NAMES = Path("python/fanfold/kernel_names.py")
DOCS = Path("docs/kernels.md")

# The types of parameters, by what the catalogue says they accept.
TYPES = {
    "True or False": "bool",
    "a finite number": "float",
    "an integer >= 0": "int",
    "1, 2 or inf": "float",
    "an integer from 1 to 10000000, an ascending sequence of at least two finite edges, 'auto', 'doane', 'fd', 'rice', "
    "'scott', 'sqrt' or 'sturges'": "int | npt.ArrayLike | _Rule",
    "None or a pair of finite numbers (low, high) with low <= high": "tuple[float, float] | None",
    "a number from 0 to 1 or a sequence of them": "npt.ArrayLike",
    "a number from 0 to 100 or a sequence of them": "npt.ArrayLike",
    "a number >= 0 and < 0.5 (half of the elements at each end would leave none)": "float",
    "a number from 0.001 to 0.5": "float",
    "an integer from 4 to 18": "int",
    "a pair of numbers (low, high) with 0 <= low <= high <= 100": "tuple[float, float]",
    "a finite number other than 0, or 'normal'": 'float | Literal["normal"]',
    "None or a positive number other than 1": "float | None",
    "an integer >= 1": "int",
    "'median' or 'mean'": 'Literal["median", "mean"]',
    "None or an integer >= 0": "int | None",
    "a number from 0 to 1": "float",
    "None or a number > 0 and <= 1": "float | None",
    "None or a number >= 1": "float | None",
    "None or a number > 0": "float | None",
    "None or the key of an array": "str | None",
    "'pearson' or 'spearman'": 'Literal["pearson", "spearman"]',
    "'average', 'min', 'max', 'dense' or 'ordinal'": 'Literal["average", "min", "max", "dense", "ordinal"]',
}

HEADER = '''"""Generated from the catalogue by scripts/generate.py: do not edit."""

from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from fanfold import _core

METHOD_TYPE
_Rule: TypeAlias = Literal["auto", "doane", "fd", "rice", "scott", "sqrt", "sturges"]
def restore(name: str, parameters: dict[str, Any]) -> _core.Kernel: ...

def is_constructor(function: object) -> bool: ...

'''

NAMES_HEADER = '''"""The names of all kernels. Generated from the catalogue by scripts/generate.py: do not edit."""

from typing import Literal, TypeAlias

'''

INTRODUCTION = """# The kernels

Generated from the catalogue by `make generate`. Every kernel is tested against the NumPy or SciPy expression
beside it, over all element types and array layouts ([tests/test_kernels.py](../tests/test_kernels.py)).

A kernel is asked for by name, `ff.run(x, "std")`, or with parameters, `ff.run(x, ff.std(ddof=1))`. `nan_policy`
means the same to all: `"propagate"` lets NaN through to the result, `"omit"` answers as if the NaN elements were not
there (positions stay those of the whole array), `"raise"` raises `ValueError` if there is one. The kernels named
`nan…` always omit.

`ff.kernels()` shows this table, and `ff.kernels("quant")` what belongs to a word:

"""


# The names of methods, which are so many that they have a type of their own.
METHODS = next(p.accepts for kernel in ff.kernels() for p in kernel.parameters if "'hazen'" in p.accepts)


def stub() -> str:
    """The constructors as typed functions."""
    parts = [HEADER.replace("METHOD_TYPE", f"_Method: TypeAlias = Literal[{METHODS.replace(' or ', ', ')}]\n")]
    for kernel in ff.kernels():
        parameters = ", ".join(f"{p.name}: {_type(p)} = ..." for p in kernel.parameters)
        parts.append(f"def {kernel.name}({parameters}) -> _core.Kernel: ...\n")
    parts.append(f"\n__all__ = [{_names()}]\n")
    return _formatted("".join(parts), STUB)


def names() -> str:
    """The type of the kernels' names, by which a checker finds a misspelt one."""
    return _formatted(f"{NAMES_HEADER}KernelName: TypeAlias = Literal[{_names()}]\n", NAMES)


def _names() -> str:
    return "".join(f'"{kernel.name}",' for kernel in ff.kernels())


def _formatted(text: str, path: Path) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(path), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


def _type(parameter: Parameter) -> str:
    return "_Method" if parameter.accepts == METHODS else TYPES[parameter.accepts]


def documentation() -> str:
    """A section for each kernel."""
    parts = [INTRODUCTION, "| family | kernels |\n|---|---|\n"]
    for family, kernels in ff.kernels().families():
        parts.append(f"| {family} | {', '.join(f'[{kernel.name}](#{kernel.name})' for kernel in kernels)} |\n")
    parts.append("\n")
    for kernel in ff.kernels():
        passes = {0: "no pass: known from the length", 1: "one pass"}.get(kernel.passes, f"{kernel.passes} passes")
        parts.append(f"## {kernel.name}\n\n{_fill(kernel.doc)}\n\n")
        like = "near to" if kernel.approximate else "the same as"
        parts.append(f"- {like} `{kernel.numpy}`\n- {passes}\n- dtypes: {', '.join(kernel.dtypes)}\n")
        parts.append({"one": "", "two": "- of two arrays\n", "all": "- of all arrays\n"}[kernel.arrays])
        parts.append("- elements can have `weights`\n" if kernel.weighted else "")
        parts += [f"- `{p.name}={p.default!r}`: {p.accepts}. {_plain(p.doc)}\n" for p in kernel.parameters]
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _fill(doc: str) -> str:
    return "\n\n".join(textwrap.fill(paragraph, 120) for paragraph in _plain(doc).split("\n\n"))


def main() -> None:
    """Writes the files, or checks them."""
    stale = False
    for path, text in ((STUB, stub()), (NAMES, names()), (DOCS, documentation())):
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not what the catalogue says: run `make generate`")
            stale = True
    sys.exit(stale)


if __name__ == "__main__":
    main()
