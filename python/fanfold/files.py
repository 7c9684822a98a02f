"""Files as data, for the command line: arrays of NumPy, and tables as the installed libraries read them."""

import importlib
import importlib.util
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fanfold.checks import nearest, shown

NULLS = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None"]
"""What stands for a missing element in a CSV file."""


MOST_NAMES = 20
"""The most columns that are named."""


class RefusedError(Exception):
    """What is wrong with a file or with a name, in one line."""


class _Table(NamedTuple):
    """The columns of a file, and how to read some of them."""

    names: Sequence[str]
    read: Callable[[list[str]], Any]


def read(path: Path, columns: Sequence[str] | None, by: str | None) -> Any:
    """Return the data of a file for `describe`.

    Parameters
    ----------
    columns
        The columns to describe; None for all.
    by
        The column that will be the labels of the groups.

    Raises
    ------
    RefusedError
        The file cannot be read, or it has no such columns.
    """
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise RefusedError(f"{path} has no extension that is known: the kinds are {', '.join(_KINDS)}")
    if not path.is_file():
        raise RefusedError(f"{path} is not a file" if path.exists() else f"there is no file {path}")
    try:
        found = _KINDS[kind](path)
        if not isinstance(found, _Table):
            if columns is not None or by is not None:
                raise RefusedError(f"{path} is one array without columns: leave --columns and --by out")
            return found
        wanted = list(found.names) if columns is None else list(columns)
        wanted += [by] if by is not None and by not in wanted else []
        for name in wanted:
            if name not in found.names:
                raise RefusedError(f"{path} has no column {shown(name)}: {_instead(name, found.names)}")
        return found.read(wanted)
    except RefusedError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n", 1)[0] or type(error).__name__
        raise RefusedError(f"{path} cannot be read: {reason}") from error


def _instead(name: str, known: Sequence[str]) -> str:
    """Return the column that was probably meant, or the columns that there are."""
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {shown(near)}?"
    more = ", …" if len(known) > MOST_NAMES else ""
    return f"the columns are {', '.join(map(shown, known[:MOST_NAMES]))}{more}"


def _array(path: Path) -> Any:
    """An array of a file, in place; a structured one is a table."""
    with path.open("rb") as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:
            raise RefusedError(f"{path} cannot be read: it is no array, as np.save writes it")
    array = np.lib.format.open_memmap(path, mode="r")
    names = array.dtype.names
    return array if names is None else _Table(names, lambda wanted: {name: array[name] for name in wanted})


def _arrays(path: Path) -> _Table:
    if not zipfile.is_zipfile(path):
        raise RefusedError(f"{path} cannot be read: it is no archive of arrays, as np.savez writes it")
    with np.load(path, allow_pickle=False) as file:
        names = list(file.files)

    def read(wanted: list[str]) -> dict[str, Any]:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in wanted}

    return _Table(names, read)


def _csv(path: Path) -> _Table:
    library = _installed(path, "pyarrow", "polars", "pandas")
    if library == "pyarrow":
        csv = importlib.import_module("pyarrow.csv")
        how = csv.ConvertOptions(null_values=NULLS, strings_can_be_null=True, quoted_strings_can_be_null=False)
        table = csv.read_csv(path, convert_options=how)
        return _Table(table.column_names, table.select)
    if library == "polars":
        pl = importlib.import_module("polars")
        frame = pl.read_csv(path, null_values=NULLS, infer_schema_length=None, try_parse_dates=True)
        return _Table(frame.columns, frame.select)
    frame = importlib.import_module("pandas").read_csv(path, na_values=NULLS, keep_default_na=False)
    return _Table(list(frame.columns), lambda wanted: frame[wanted])


def _parquet(path: Path) -> _Table:
    if _installed(path, "pyarrow", "polars") == "pyarrow":
        file = importlib.import_module("pyarrow.parquet").ParquetFile(path, memory_map=True)
        return _Table(file.schema_arrow.names, file.read)
    pl = importlib.import_module("polars")
    return _Table(list(pl.read_parquet_schema(path)), lambda wanted: pl.read_parquet(path, columns=wanted))


def _installed(path: Path, *libraries: str) -> str:
    for name in libraries:
        if importlib.util.find_spec(name) is not None:
            return name
    raise RefusedError(f"{path} can only be read with a library: pip install pyarrow, or {libraries[-1]}")


_KINDS: dict[str, Callable[[Path], Any]] = {".npy": _array, ".npz": _arrays, ".csv": _csv, ".parquet": _parquet}
"""How a file of each kind is read."""
