"""Parquet, feather and Arrow's own files through pyarrow, a block of rows at a time."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headstart.contract import RowFault
from headstart.data.readers.arrow_columns import ArrowColumn, describe_classes, find_columns, is_utf8
from headstart.data.readers.arrow_values import schema_features
from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import TableBuilder
from headstart.errors import Exit, UserError
from headstart.settings import Data

BLOCK = 1024  # rows that are turned into values at once
BUFFER = 2**20  # bytes of a parquet column that are read at once: a row group may hold gigabytes


def read_parquet(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table from parquet, row group by row group; raises DataError for damage, UserError (69) without pyarrow.
    """
    import_pyarrow(builder.name, "parquet")
    import pyarrow.parquet

    with plain_file(source_file, builder) as file, arrow_errors(builder, "parquet file"):
        parquet_file = pyarrow.parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False)
        blocks = parquet_file.iter_batches(batch_size=BLOCK, use_threads=False)
        fill(builder, parquet_file.schema_arrow, blocks, "parquet")


def read_arrow(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table from a feather or Arrow IPC file, in either of its forms; raises DataError for damage, UserError
    (69) without pyarrow.
    """
    import_pyarrow(builder.name, "Arrow files")
    import pyarrow
    import pyarrow.feather

    with plain_file(source_file, builder) as file, arrow_errors(builder, "Arrow file"):
        if start.startswith(b"FEA1"):
            table = pyarrow.feather.read_table(file)
            fill(builder, table.schema, table.to_batches(), "feather of version 1")
            return
        with pyarrow.memory_map(file, "r") as source:
            if start.startswith(b"ARROW1"):
                reader = pyarrow.ipc.open_file(source)
                batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
                fill(builder, reader.schema, batches, "file format")
            else:
                stream = pyarrow.ipc.open_stream(source)
                fill(builder, stream.schema, stream, "stream format")


def import_pyarrow(file_name: str, kind: str) -> Any:
    """pyarrow; raises UserError (69) where it is missing."""
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"Reading {file_name} ({kind}) needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    return pyarrow


@contextlib.contextmanager
def arrow_errors(builder: TableBuilder, kind: str) -> Iterator[None]:
    """What pyarrow raises for a damaged file, in the user's words."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0][:200].rstrip(".")
        raise builder.fatal_error("E113", f"the {kind} is damaged or cut off ({reason}).",
                                  "Copy or write it again.") from None


@contextlib.contextmanager
def plain_file(source_file: SourceFile, builder: TableBuilder) -> Iterator[str]:
    """The path of the file itself, or of a temporary copy of what was compressed."""
    if not source_file.compression:
        yield source_file.path
        return
    with tempfile.NamedTemporaryFile(prefix="headstart-unpacked-") as copy:
        with decompression_errors(builder), source_file.open() as file:
            shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy.name


def fill(builder: TableBuilder, schema: Any, batches: Iterable[Any], format_name: str) -> None:
    """The rows of record batches into a table; raises DataError where more comes out of them than data.max_bytes."""
    features: Mapping[str, Any] = schema_features(schema) or builder.features
    columns = find_columns(schema, features, builder)
    builder.format_parts += [format_name, *filter(None, [describe_classes(columns)])]
    size = 0
    for batch in batches:
        # First of all: a damaged offset or index would lead out of memory, whatever is done with the array.
        are_utf8 = [is_utf8(batch.column(column.index)) for column in columns]
        for offset in range(0, batch.num_rows, BLOCK):
            block = batch.slice(offset, BLOCK)
            arrays = [decoded(block.column(column.index)) for column in columns]
            block_size = sum(array.nbytes for array in arrays)
            size += block_size
            if size > builder.max_bytes:
                raise builder.fatal_error("E121", f"more than {builder.max_bytes:,} bytes of rows come out of it.",
                                          "If that is right, allow more: --set data.max_bytes=BYTES")
            add_block(builder, columns, list(zip(arrays, are_utf8, strict=True)), block_size)


def decoded(array: Any) -> Any:
    """An array with the values of a dictionary in their places."""
    import pyarrow

    return array.dictionary_decode() if pyarrow.types.is_dictionary(array.type) else array


def add_block(builder: TableBuilder, columns: list[ArrowColumn], arrays: list[tuple[Any, bool]], size: int) -> None:
    """The rows of one block, each as a row or as a fault."""
    faults: dict[int, RowFault] = {}
    column_values = [column.values(array, faults) if is_sound else column.decoded_texts(array, faults)
                     for column, (array, is_sound) in zip(columns, arrays, strict=True)]
    row_size = size // max(1, len(column_values[0])) + 60 * len(columns)
    append = builder.store.append
    for row, values in enumerate(zip(*column_values, strict=True)):
        if row in faults:
            builder.add_finding(faults[row].code, faults[row].message, faults[row].fix, row=True)
            continue
        append(builder.row_count, values, None, row_size)
        builder.row_count += 1
