"""Lists in one cell of a row: of texts, and of answers with scores."""

from __future__ import annotations

from headstart.contract import Json, Row, RowFault
from headstart.text.json_values import is_number, parse_list_text

ANSWERS_FIX = 'Write answers as [{"text": "…", "score": 5}] or ["…"].'


def parse_list(row: Row, field: str, fix: str) -> list[Json]:
    """A field as a list: a list, JSON, or one text; nothing where it is empty; raises RowFault."""
    value = row.values.get(field)
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = parse_list_text(value)
        except ValueError:
            raise RowFault("E330", f"{field} is {value!r:.60}, a list was expected.", field=field, fix=fix) from None
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def good_answers(row: Row, min_score: float, *, include_first: bool) -> list[str]:
    """The texts of the field answers with a score of at least `min_score`; with `include_first`, the first one whatever
    its score.
    """
    texts = []
    for index, answer in enumerate(parse_list(row, "answers", ANSWERS_FIX)):
        text, score = (answer.get("text"), answer.get("score")) if isinstance(answer, dict) else (answer, None)
        if not isinstance(text, str) or not text.strip():
            raise RowFault("E332", f"answer {index} is {answer!r:.60}, a text was expected.", field="answers",
                           fix=ANSWERS_FIX)
        if (index == 0 and include_first) or (is_number(score) and score >= min_score):
            texts.append(text)
    return texts
