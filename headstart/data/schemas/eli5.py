"""ELI5's answers: {"text": ["…"], "score": [5]}, as a list of answers with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, column_named, filled_cells
from headstart.data.schemas.schema import Schema, row_by_row
from headstart.text.json_values import parse_cell


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A column `answers` of objects with lists of texts and of scores."""
    answers = column_named(columns, ("answers",))
    cells = filled_cells(answers)
    if answers is None or not cells or not all(isinstance(cell, Mapping) and {"text", "score"} <= set(cell)
                                               for cell in cells):
        return None
    name = answers.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        cell = parse_cell(values[name])
        texts, scores = (cell.get("text"), cell.get("score")) if isinstance(cell, Mapping) else (None, None)
        if not isinstance(texts, list) or not isinstance(scores, list) or len(texts) != len(scores):
            raise RowFault("E332", f'"{name}" is {cell!r:.60}; as many scores as texts were expected.',
                           fix=f"Fix it, or {LEAVE_OUT}")
        return ([{"text": text, "score": score} for text, score in zip(texts, scores, strict=True)],)

    return Schema("eli5", f'ELI5 layout: texts and scores of "{name}" as answers with scores', ("answers",), (name,),
                  row_by_row([column.name for column in columns], read))
