"""Readers that other packages add for further file endings (entry points of the group `headstart.readers`).

Such a reader is a function of the file's path that gives its rows, each a dict: `read(path: Path) -> Iterable[dict]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart import extensions
from headstart.data.readers.jsonl import add_object, finish_columns
from headstart.data.readers.source_file import SUFFIXES, check_path
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import Exit, UserError


def endings() -> tuple[str, ...]:
    """The endings of all files of rows, without the dot: headstart's, and those that other packages add."""
    return (*SUFFIXES, *extensions.names("readers"))


def find_reader(path: str) -> extensions.Extension | None:
    """The reader of another package for this file's ending; None when headstart reads it itself.

    Raises UserError (69) when two packages, or a package and headstart, read this ending.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    builtin = f"headstart.data.readers, {SUFFIXES[ending]}," if ending in SUFFIXES else ""
    return extensions.find("readers", ending, builtin=builtin)


def fill(builder: TableBuilder, path: str, reader: extensions.Extension) -> None:
    """Fill the table with the rows that the reader gives; raises UserError (65, 66, 69) that names its package."""
    check_path(path)
    read_rows = reader.load()
    if not callable(read_rows):
        raise reader.unusable(f"is {read_rows!r:.60}, a function of a path was expected")
    builder.format_parts.append(f"{reader.name}, read by {reader.package}")
    columns: dict[str, int] = {}
    for row in reported_rows(reader, read_rows, path):
        add_object(builder, columns, row, None, sum(len(str(value)) for value in row.values()))
    finish_columns(builder, columns)


def reported_rows(reader: extensions.Extension, read_rows: Callable[[Path], Iterable[Any]],
                  path: str) -> Iterator[dict[str, Any]]:
    """The rows that the reader gives; whatever it raises becomes a UserError (65) that names its package."""
    try:
        for values in read_rows(Path(path)):
            if not isinstance(values, Mapping):
                raise TypeError(f"a row is {values!r:.60}, a dict was expected")
            yield {str(name): value for name, value in values.items()}
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read by {reader.origin}: {type(error).__name__}: {error}.",
                        fix=f"Check the file; if it is correct, report it to the makers of "
                            f"{reader.package.split()[0]}.",
                        exit=Exit.DATA) from error
