"""Parquet through pyarrow, in blocks."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import Exit, UserError
from headstart.settings import Data


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table; raises DataError for a damaged file, UserError (69) without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Reading parquet needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    builder.format_parts.append("parquet")
    with seekable(source_file, builder) as file:
        try:
            parquet_file = pyarrow.parquet.ParquetFile(file)
            builder.columns = tuple(parquet_file.schema_arrow.names)
            for block in parquet_file.iter_batches(batch_size=1024):
                for row in block.to_pylist():
                    values = tuple(json_value(row[name]) for name in builder.columns)
                    builder.note_types(values)
                    builder.add_row(values, None, sum(len(str(value)) for value in values) + 60 * len(values))
        except (pyarrow.ArrowException, OSError) as error:
            raise builder.fatal_error("E113", f"the parquet file is damaged ({str(error).splitlines()[0]}).",
                                      "Copy it again.") from None


@contextlib.contextmanager
def seekable(source_file: SourceFile, builder: TableBuilder) -> Iterator[Any]:
    """The file itself, or a temporary copy of what was compressed."""
    if not source_file.compression:
        yield source_file.path
        return
    with tempfile.TemporaryFile(prefix="headstart-parquet-") as copy:
        with decompression_errors(builder), source_file.open() as file:
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


def json_value(value: Any) -> Any:
    """A value as JSON has it; dates in ISO form."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    return value
