"""Rows of a table as documents: csv, tsv, JSON lines, parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.contract import Field
from headstart.data.columns import choose
from headstart.data.table import Table, open_table
from headstart.errors import DataError
from headstart.retrieval.documents.document import Account, Document
from headstart.settings import Data
from headstart.text.normalise import hash_text

FIELDS = (
    Field("text", "the document's text", usual=("passage", "answer", "document", "body", "content", "contents", "article", "abstract",
                                                "context", "summary", "description")),
    Field("title", "its title", required=False),
    Field("id", "its name, by which it is cited and evaluated", required=False),
)
USUAL = {"title": ("title", "headline", "heading", "subject"),
         "id": ("id", "_id", "document_id", "doc_id", "docid", "passage_id", "pid", "url")}


def read(path: str, name: str, settings: Data, columns: Mapping[str, str], account: Account) -> Iterator[Document]:
    """A document a row; `name` goes before the ids of a file in a folder. Raises DataError for faulty rows, or counts them."""
    table = open_table(path, settings)
    faults = [finding for finding in table.findings if finding.level == "fault"]
    if faults and settings.bad_rows == "stop":
        raise DataError(faults, counts=table.counts)
    for finding in faults:
        account.leave_out(finding.text().split(" [")[0], "faulty rows", finding.message)
    account.reasons["faulty rows"] += sum(count for code, count in table.counts.items() if code[0] == "E") - len(faults)
    account.reasons += type(account.reasons)()  # a count of 0 goes
    chosen = choose(table.columns, FIELDS, columns, detected(table), table.path, False)
    places = {field: [table.columns.index(column) for column in names] for field, names in chosen.items()}
    seen: set[int] = set()
    for record in table:
        held = {field: joined([record.values[place] for place in inner]) for field, inner in places.items()}
        own = held.get("id", "").strip() or str(record.id)
        if not any(mark.isalnum() for mark in held["text"]):
            account.leave_out(f"{table.path}:{record.line or record.id}", "without words", "the row's text is empty")
            continue
        if "id" in places:
            own = unused(own, seen, account)
        account.read[table.sheet.words[0]] += 1
        yield Document(f"{name}#{own}" if name else own, held.get("title", "").strip(), held["text"])


def detected(table: Table) -> dict[str, str]:
    """Columns of titles and ids by their usual names."""
    lowered = {column.lower(): column for column in reversed(table.columns)}
    return {field: next(lowered[one] for one in usual if one in lowered) for field, usual in USUAL.items()
            if any(one in lowered for one in usual)}


def unused(own: str, seen: set[int], account: Account) -> str:
    """The id, or ID#2, ID#3 … where it stands already."""
    found, number = own, 1
    while hash_text(found) in seen:
        number += 1
        found = f"{own}#{number}"
    seen.add(hash_text(found))
    account.renamed += number > 1
    return found


def joined(values: list[Any]) -> str:
    """Values as one text, lists part by part."""
    return "\n\n".join(part for value in values for part in parts(value) if part)


def parts(value: Any) -> list[str]:
    """A value as texts: a list gives several, an object its text."""
    if value is None:
        return []
    if isinstance(value, list):
        return [part for one in value for part in parts(one)]
    if isinstance(value, dict) and isinstance(value.get("text"), str | list):
        return parts(value["text"])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [text.encode("utf-8", "replace").decode("utf-8")]  # half a pair of surrogates, which JSON can carry, is no letter
