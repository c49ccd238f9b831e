"""Lists in a row's field: of texts, and of answers with their scores."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

from headstart.contract import Json, Row, RowFault

ANSWERS = 'Write answers as [{"text": "…", "score": 5}] or ["…"].'


def listed(row: Row, field: str, fix: str) -> list[Json]:
    """A field as a list: a list, JSON, or one text; nothing where it is empty; raises RowFault."""
    value = row.values.get(field)
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = json.loads(value)
        except ValueError:
            raise RowFault("E330", f"{field} is {value!r:.60}, a list was expected.", field=field, fix=fix) from None
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def good_answers(row: Row, least: float, *, first: bool) -> list[str]:
    """The texts of the field answers with a score of at least `least`; with `first`, the first one whatever its score."""
    found = []
    for place, one in enumerate(listed(row, "answers", ANSWERS)):
        text, score = (one.get("text"), one.get("score")) if isinstance(one, dict) else (one, None)
        if not isinstance(text, str) or not text.strip():
            raise RowFault("E332", f"answer {place} is {one!r:.60}, a text was expected.", field="answers", fix=ANSWERS)
        if (place == 0 and first) or (number(score) and score >= least):
            found.append(text)
    return found
