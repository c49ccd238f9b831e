"""What a schema is: how a table is recognised as an export, and how its rows become rows with plain columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Json, RowFault
from headstart.data.row_store import Record


@dataclass(frozen=True)
class ConvertedRow:
    """One row with the schema's columns, in their order; `line` is where it begins in the file."""

    values: tuple[Json, ...]
    line: int | None = None


@dataclass(frozen=True)
class LeftOutRow:
    """A row that the export itself marks as not to be used, and why ("rejected by the annotator").

    `values` are those that a prediction still reads; None where there are none.
    """

    reason: str
    values: tuple[Json, ...] | None = None
    line: int | None = None


@dataclass(frozen=True)
class FaultyRow:
    """A row that cannot be read."""

    fault: RowFault
    line: int | None = None


SchemaRow = ConvertedRow | LeftOutRow | FaultyRow


@dataclass(frozen=True)
class Schema:
    """One recognised export.

    `description` says what was recognised and how it is read ("Doccano export: spans of label"). `columns` are those of
    the rows that `convert` gives, `source_columns` those of the file that it reads; the others stay as they are unless
    `keeps_others` is false (rows do not stay rows: words that become sentences). Of several schemas that recognise a
    table the one of the highest confidence, 0 to 1, is taken; two that are within 0.1 are asked about.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    source_columns: tuple[str, ...]
    convert: Callable[[Iterable[Record]], Iterator[SchemaRow]]
    confidence: float = 0.9
    keeps_others: bool = True
    unread_parts: tuple[str, ...] = ()  # of the columns that it reads in part: data.author, where the text is data.text


def row_by_row(column_names: Sequence[str], read: Callable[[Mapping[str, Json]], tuple[Json, ...] | LeftOutRow],
               ) -> Callable[[Iterable[Record]], Iterator[SchemaRow]]:
    """A `convert` that reads each record alone; `read` gets it by column names, and may raise RowFault."""
    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        for record in records:
            try:
                values = read(dict(zip(column_names, record.values, strict=True)))
            except RowFault as fault:
                yield FaultyRow(fault, record.line)
                continue
            if isinstance(values, LeftOutRow):
                yield LeftOutRow(values.reason, values.values, record.line)
            else:
                yield ConvertedRow(values, record.line)
    return convert
