"""The reader of each format, imported when the first file of its format is read: a served model may never read one."""

from __future__ import annotations

from collections.abc import Callable

from headstart.data.readers.source_file import SourceFile
from headstart.data.readers.table_builder import TableBuilder
from headstart.settings import Data

Reader = Callable[[SourceFile, TableBuilder, Data, bytes, str], None]


def reader_of(format_name: str) -> Reader:
    """What fills a table from a file of this format, as `SourceFile.format` names it."""
    if format_name in ("csv", "tsv"):
        from headstart.data.readers import delimited

        return delimited.read
    if format_name in ("parquet", "arrow"):
        from headstart.data.readers import arrow_file

        return arrow_file.read_parquet if format_name == "parquet" else arrow_file.read_arrow
    if format_name in ("json", "jsonl"):
        from headstart.data.readers import json_file, jsonl

        return json_file.read if format_name == "json" else jsonl.read
    return rare_reader(format_name)


def rare_reader(format_name: str) -> Reader:
    """The reader of a workbook, of tagged words, of plain text or of parallel lines."""
    if format_name == "excel":
        from headstart.data.readers import excel

        return excel.read
    if format_name == "conll":
        from headstart.data.readers import conll

        return conll.read
    from headstart.data.readers import parallel_lines, plain_text

    return {"text": plain_text.read, "source": parallel_lines.read}[format_name]
