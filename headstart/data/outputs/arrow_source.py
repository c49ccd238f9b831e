"""The columns of an input of Arrow data, read once more in the types that they have there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.data.table import Table

BLOCK = 4096  # rows that are read at once
SIGNATURES = (b"PAR1", b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")  # of what stands uncompressed; the last one is a stream


def arrow_source(table: Table) -> str:
    """The file that a table was read from, where its rows are the file's and it holds their columns; else ""."""
    path = Path(table.path)
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        if not file.read(8).startswith(SIGNATURES):
            return ""
    names = source_schema(table.path).names
    if len(set(names)) < len(names) or not set(table.columns) <= set(names):
        return ""
    is_whole = sum(batch.num_rows for batch in source_batches(table.path, names[:1])) == table.builder.row_count
    return table.path if is_whole else ""


def source_schema(path: str) -> Any:
    """The names and types of the columns of a parquet or Arrow file."""
    import pyarrow.feather
    import pyarrow.parquet

    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        return pyarrow.parquet.read_schema(path)
    if start.startswith(b"FEA1"):
        return pyarrow.feather.read_table(path).schema
    with pyarrow.memory_map(path) as source:
        opener = pyarrow.ipc.open_file if start.startswith(b"ARROW1") else pyarrow.ipc.open_stream
        return opener(source).schema


def source_batches(path: str, names: list[str] | None = None) -> Iterator[Any]:
    """The rows of a parquet or Arrow file as record batches; of some columns where they are named."""
    import pyarrow.feather
    import pyarrow.parquet

    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        with pyarrow.parquet.ParquetFile(path) as parquet_file:
            yield from parquet_file.iter_batches(batch_size=BLOCK, columns=names)
    elif start.startswith(b"FEA1"):
        yield from pyarrow.feather.read_table(path, columns=names).to_batches()
    else:
        with pyarrow.memory_map(path) as source:
            if start.startswith(b"ARROW1"):
                reader = pyarrow.ipc.open_file(source)
                yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
            else:
                yield from pyarrow.ipc.open_stream(source)
