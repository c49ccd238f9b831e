"""What a report says of a model: scores, figures, and errors to explain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Any  # str, int, float, bool, None, and lists and dicts of them


@dataclass(frozen=True)
class Score:
    """One number about a model, with its 95 % interval; an undefined one is None with a reason."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    signature: str
    higher_is_better: bool
    reason: str | None = None

    def json(self) -> dict[str, Json]:
        """The same as in scores.json."""
        data = dataclasses.asdict(self)
        if self.reason is None:
            del data["reason"]
        return data


@dataclass(frozen=True)
class Figure:
    """One picture or table of the report; `data` is JSON whose form follows from `kind`.

    table   {"columns": [str], "rows": [[cell]]}                 a cell is str, int, float or None
    matrix  {"rows": [str], "columns": [str], "values": [[number]], "row_title": str, "column_title": str}
    bars    {"labels": [str], "series": {name: [number or None]}, "unit": str}
    curve   {"x_title": str, "y_title": str, "series": {name: [[x, y]]}, "diagonal": bool}
            may have "more": {name: {x: cell}}, columns of the table beside it that are not drawn
    scatter {"x_title": str, "y_title": str, "points": [[x, y]], "diagonal": bool}
    texts   {"items": [{"text": str, "title": str, "fields": {name: cell}}]}
            an item may have a "group", a kind that the list can be narrowed to, and "words" as below
    words   {"items": [{"words": [[text before, word, number from -1 to 1]], "title": str, "fields": {name: cell}}]}
    spans   {"items": [{"text": str, "title": str, "fields": {name: cell},
                        "layers": {"in the file": [[start, end, type]], "prediction": …}}], "together": bool}
    beside  {"items": [{"title": str, "fields": {name: cell}, "columns": [[heading, [[text, mark or ""]]]]}],
             "marks": {mark: meaning}}
    token_bars {"tokens": [str], "series": {name: [share from 0 to 1]}, "marked": [first index, last index] or None}
    """

    name: str
    title: str
    kind: Literal["table", "matrix", "bars", "curve", "scatter", "texts", "words", "token_bars", "spans", "beside"]
    data: Mapping[str, Json]
    caption: str = ""


@dataclass(frozen=True)
class ErrorToExplain:
    """A wrong prediction to attribute to words: the text (and pair) as the model read it, and the output that gave it.

    Either a `column` of the feature's output, or `position_columns`: characters of the last segment, each with a column
    of the output of the token that contains it.
    """

    row: int
    text: str
    pair: str | None
    predicted: str
    gold: str
    column: int | None = None
    position_columns: tuple[tuple[int, int], ...] = ()
