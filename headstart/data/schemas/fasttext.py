"""fastText's lines: __label__sport __label__news the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, has_several, one_label
from headstart.data.schemas.schema import Schema, row_by_row

PREFIX = "__label__"


def recognise(columns: Sequence[Column]) -> Schema | None:
    """One column of texts that all begin with __label__, alone or beside the number of its document."""
    texts = [column for column in columns if column.name != "document"]
    if len(texts) != 1 or not all(isinstance(value, str) and value.startswith(PREFIX) for value in texts[0].values):
        return None
    column = texts[0]
    if not column.values:
        return None
    target = "labels" if has_several(labels_and_text(str(value))[0] for value in column.values) else "label"

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        labels, text = labels_and_text(str(values[column.name] or ""))
        if not labels:
            raise RowFault("E110", f"the line does not begin with {PREFIX}.", fix=f"Write its label, or {LEAVE_OUT}")
        return text, labels if target == "labels" else one_label(labels, PREFIX)

    return Schema("fasttext", f"fastText lines: {target} are the words that begin with {PREFIX}", ("text", target),
                  tuple(column.name for column in columns), row_by_row([column.name for column in columns], read))


def labels_and_text(line: str) -> tuple[list[str], str]:
    """The labels at the beginning of a line, and the text after them (and after a comma)."""
    labels, remainder = [], line.strip()
    while remainder.startswith(PREFIX):
        word, _, remainder = remainder.partition(" ")
        labels.append(word.removeprefix(PREFIX).rstrip(","))
        remainder = remainder.lstrip()
    return labels, remainder.removeprefix(",").lstrip() if labels else remainder
