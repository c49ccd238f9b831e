"""Parquet and feather through pyarrow: a column has one type, which is known when all of its values are; columns of an
input of Arrow data keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

from headstart.data.outputs.arrow_source import source_batches, source_schema
from headstart.data.outputs.layout import Layout
from headstart.data.outputs.writer import Row, json_text
from headstart.data.row_store import RowStore
from headstart.errors import Exit, UserError

BLOCK = 4096  # rows of one parquet row group
NUMBER_SIZE = 32  # bytes of a number in a Python list


class ArrowTableWriter:
    """Keeps the rows until their end, those of much data on the disk, then writes them in the types that they have.

    Objects become JSON texts, and so do the values of a column that are of several kinds.
    """

    def __init__(self, stream: IO[bytes], columns: Sequence[str], layout: Layout) -> None:
        self.arrow = import_pyarrow(layout.format)
        self.stream, self.layout = stream, layout
        self.source: Any = None  # the schema of the input
        if layout.source:
            self.source = source_schema(layout.source)
        source_names = set(self.source.names) if self.source is not None else set()
        self.names = [name for name in columns if name not in source_names]
        self.types: list[Any] = [self.arrow.null()] * len(self.names)
        self.store = RowStore()
        self.waiting: list[tuple[Any, ...]] = []

    def write(self, row: Row) -> None:
        """One more row; of an input of Arrow data its own columns are read again at the end."""
        values = self.values(row)
        self.store.append(len(self.store), values, None, sum(map(size_of, values)))
        self.waiting.append(values)
        if len(self.waiting) == BLOCK:
            self.note_types()

    def values(self, row: Row) -> tuple[Any, ...]:
        """The values of a row that are written, without those of the input's own columns."""
        return tuple(json_text(value) if isinstance(value, dict) else value for value in map(row.get, self.names))

    def take_types(self, row: Row, schema: Any = None) -> None:
        """Give the columns the types of a row that is not written, or those that a schema has for them."""
        self.waiting.append(self.values(row))
        self.note_types()
        if schema is not None:
            self.types = [schema.field(name).type if schema.names.count(name) == 1 else type_of
                          for name, type_of in zip(self.names, self.types, strict=True)]

    def note_types(self) -> None:
        """The types of the columns, with the rows that wait taken into account."""
        for index, values in enumerate(zip(*self.waiting, strict=True)):
            self.types[index] = self.common_type(self.types[index], values)
        self.waiting.clear()

    def common_type(self, known_type: Any, values: Sequence[Any]) -> Any:
        """A type for these values and for those of a known type; a text where there is none."""
        arrow = self.arrow
        try:
            schemas = [arrow.schema([("values", type_of)]) for type_of in (known_type, arrow.array(values).type)]
            return arrow.unify_schemas(schemas, promote_options="permissive").field(0).type
        except (arrow.ArrowException, OverflowError):
            return arrow.string()

    def array(self, values: Sequence[Any], type_of: Any) -> Any:
        """Values as an array of a type; as JSON where the type is that of texts and not all of them are."""
        if type_of == self.arrow.string():
            values = [value if value is None or isinstance(value, str) else json_text(value) for value in values]
        return self.arrow.array(values, type_of)

    def close(self) -> list[str]:
        """All rows, and the footer."""
        self.note_types()
        fields = [self.arrow.field(name, type_of) for name, type_of in zip(self.names, self.types, strict=True)]
        schema = self.arrow.schema([*(self.source or ()), *fields],
                                   metadata=self.source.metadata if self.source is not None else None)
        if self.layout.format == "parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetWriter(self.stream, schema) as file:
                for table in self.tables(schema):
                    file.write_table(table)
        else:
            self.write_arrow(schema)
        return []

    def write_arrow(self, schema: Any) -> None:
        """The rows in Arrow's file format, in which a column of categories has one list of them for all blocks."""
        with self.arrow.ipc.new_file(self.stream, schema) as file:
            if any(self.arrow.types.is_dictionary(type_of) for type_of in schema.types):
                file.write_table(self.arrow.concat_tables(self.tables(schema)).unify_dictionaries())
                return
            for table in self.tables(schema):
                file.write_table(table)

    def tables(self, schema: Any) -> Iterator[Any]:
        """The rows in blocks; raises UserError (65) where the input has not as many as there are."""
        count = 0
        for batch in self.input_blocks():
            records = self.store[count:count + batch.num_rows]
            count += batch.num_rows
            if len(records) < batch.num_rows:
                break
            columns = list(zip(*(record.values for record in records), strict=True)) or [()] * len(self.names)
            arrays = [self.array(values, type_of) for values, type_of in zip(columns, self.types, strict=True)]
            yield self.arrow.Table.from_arrays([*batch.columns, *arrays], schema=schema)
        if count != len(self.store):
            raise UserError(f"{self.layout.source} was changed while it was predicted.", fix="Give the command again.",
                            exit=Exit.DATA)

    def input_blocks(self) -> Iterator[Any]:
        """The input's columns block by block; without an input of Arrow data blocks of no columns."""
        if self.source is not None:
            for batch in source_batches(self.layout.source):
                for start in range(0, batch.num_rows, BLOCK):
                    yield batch.slice(start, BLOCK)
            return
        for start in range(0, len(self.store) or 1, BLOCK):
            yield NoColumns(min(BLOCK, len(self.store) - start))


class NoColumns:
    """A block of rows that has no columns of the input."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows, self.columns = num_rows, list[Any]()


def size_of(value: Any) -> int:
    """About how many bytes a value takes in memory."""
    if isinstance(value, str):
        return len(value)
    return NUMBER_SIZE * len(value) if isinstance(value, list | tuple) else NUMBER_SIZE


def import_pyarrow(format_name: str) -> Any:
    """The library; raises UserError (69) where it is missing."""
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"Writing {format_name} needs pyarrow.", fix="pip install 'headstart[parquet]'",
                        exit=Exit.UNAVAILABLE) from None
    return pyarrow
