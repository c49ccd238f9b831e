"""Rows of a table as documents: csv, tsv, JSON lines, parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.contract import Field
from headstart.data.columns import assign_columns
from headstart.data.table import Table, open_table
from headstart.errors import DataError
from headstart.retrieval.documents.document import MAX_ID, Document, ReadReport, shortened
from headstart.settings import Data
from headstart.text.normalise import hash_text

FIELDS = (
    Field("text", "the document's text", aliases=("passage", "answer", "document", "body", "content", "contents",
                                                  "article", "abstract",
                                                "context", "summary", "description")),
    Field("title", "its title", required=False),
    Field("id", "its name, by which it is cited and evaluated", required=False),
)
COMMON_COLUMNS = {"title": ("title", "headline", "heading", "subject"),
         "id": ("id", "_id", "document_id", "doc_id", "docid", "passage_id", "pid", "url")}


def read(path: str, name: str, settings: Data, columns: Mapping[str, str], report: ReadReport) -> Iterator[Document]:
    """A document a row; `name` goes before the ids of a file in a folder. Raises DataError for faulty rows, or counts
    them.
    """
    table = open_table(path, settings)
    faults = [finding for finding in table.findings if finding.level == "fault"]
    if faults and settings.bad_rows == "stop":
        raise DataError(faults, counts=table.counts)
    for finding in faults:
        report.skip(finding.text().split(" [")[0], "faulty rows", finding.message)
    report.reason_counts["faulty rows"] += sum(count for code, count in table.counts.items()
                                               if code[0] == "E") - len(faults)
    report.reason_counts += type(report.reason_counts)()  # a count of 0 goes
    field_columns = assign_columns(table.columns, FIELDS, columns, detect_columns(table), table.path, False)
    field_indices = {field: [table.columns.index(column) for column in names] for field, names in field_columns.items()}
    last_numbers: dict[int, int] = {}
    for record in table:
        texts = {field: join_texts([record.values[index] for index in indices])
                 for field, indices in field_indices.items()}
        document_id = texts.get("id", "").strip() or str(record.id)
        if len(document_id) > MAX_ID:
            report.skip(f"{table.path}:{record.line or record.id}", "long ids", f"its id has more than {MAX_ID:,} "
                                                                                "characters")
            continue
        if not any(character.isalnum() for character in texts["text"]):
            report.skip(f"{table.path}:{record.line or record.id}", "without words", "the row's text is empty")
            continue
        if "id" in field_indices:
            document_id = unique_id(document_id, last_numbers, report)
        report.documents_read[table.builder.format_parts[0]] += 1
        yield Document(f"{name}#{document_id}" if name else document_id, shortened(texts.get("title", "").strip()),
                       texts["text"])


def detect_columns(table: Table) -> dict[str, str]:
    """Columns of titles and ids by their common names."""
    columns = {column.lower(): column for column in reversed(table.columns)}
    return {field: next(columns[name] for name in common if name in columns) for field, common in COMMON_COLUMNS.items()
            if any(name in columns for name in common)}


def unique_id(document_id: str, last_numbers: dict[int, int], report: ReadReport) -> str:
    """The id, or ID#2, ID#3 … where an earlier document has it; `last_numbers` holds the last one of each id."""
    key = hash_text(document_id)
    number = last_numbers.get(key, 0) + 1
    candidate = document_id if number == 1 else f"{document_id}#{number}"
    while number > 1 and hash_text(candidate) in last_numbers:
        number += 1
        candidate = f"{document_id}#{number}"
    last_numbers[key] = number
    last_numbers.setdefault(hash_text(candidate), 1)
    report.renamed_count += number > 1
    return candidate


def join_texts(values: list[Any]) -> str:
    """Values as one text, lists item by item."""
    return "\n\n".join(text for value in values for text in texts_of(value) if text)


def texts_of(value: Any) -> list[str]:
    """A value as texts: a list gives several, an object its text."""
    if value is None:
        return []
    if isinstance(value, list):
        return [item_text for item in value for item_text in texts_of(item)]
    if isinstance(value, dict) and isinstance(value.get("text"), str | list):
        return texts_of(value["text"])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # half a pair of surrogates, which JSON can carry, is no letter
    return [text.encode("utf-8", "replace").decode("utf-8")]
