"""WMT's and OPUS' translations: {"translation": {"en": "…", "de": "…"}}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas.schema import Schema, row_by_row

COLUMN = "translation"


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A column `translation` of objects with the same two or more languages; the first two are source and target."""
    column = next((column for column in columns if column.name == COLUMN), None)
    languages = column and next((list(value) for value in column.values if isinstance(value, Mapping)), None)
    if column is None or not languages or len(languages) < 2:
        return None
    source, target = islice(languages, 2)

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        texts = values[COLUMN]
        if not isinstance(texts, Mapping) or not {source, target} <= set(texts):
            raise RowFault("E110", f'"{COLUMN}" holds no texts for {source} and {target}.',
                           fix="Give both, or leave the row out (--bad-rows skip).")
        return texts[source], texts[target]

    further = f"; {', '.join(languages[2:])} are not used" if languages[2:] else ""
    return Schema("wmt", f"WMT layout: source is {source}, target is {target}{further}", ("source", "target"),
                  (COLUMN,), row_by_row([column.name for column in columns], read))
