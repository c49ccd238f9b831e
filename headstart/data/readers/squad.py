"""SQuAD's JSON (1.1 and 2.0): articles of paragraphs of questions, as one row a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.data.readers.table_builder import SKIP, Sheet


def is_squad(value: Any) -> bool:
    """Whether a JSON value is laid out as SQuAD."""
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "paragraphs" in data[0]


def rows(value: Any, sheet: Sheet) -> Iterator[dict[str, Any]]:
    """Each question with its passage; entries that are no question become findings."""
    marked = unmarked = 0
    for number, article in enumerate(value["data"]):
        for part, paragraph in enumerate(parts(article, "paragraphs")):
            passage = paragraph.get("context") if isinstance(paragraph, dict) else None
            for one in parts(paragraph, "qas"):
                if not isinstance(one, dict) or not isinstance(passage, str):
                    sheet.found("E110", f"article {number}, paragraph {part} holds something that is no question with a context.",
                                f"Mend it, or {SKIP}", row=True)
                    continue
                marked, unmarked = marked + ("is_impossible" in one), unmarked + ("is_impossible" not in one)
                yield question(article, passage, one)
    if marked and unmarked:
        sheet.found("W224", f"{marked:,} questions say whether they have an answer (SQuAD 2.0), {unmarked:,} do not (1.1).",
                    "They are read as they are; was this file put together from two?")


def parts(value: Any, name: str) -> list[Any]:
    """A list of that name, empty where there is none."""
    held = value.get(name) if isinstance(value, dict) else None
    return held if isinstance(held, list) else []


def question(article: Any, passage: str, one: dict[str, Any]) -> dict[str, Any]:
    """A question as a row; an unanswerable one has no answers."""
    answers = [held for held in parts(one, "answers") if isinstance(held, dict)]
    row: dict[str, Any] = {"id": one.get("id"), "title": article.get("title"), "question": one.get("question"), "passage": passage}
    if "answers" in one or "is_impossible" in one:
        row |= {"answer": [held.get("text") for held in answers], "start": [held.get("answer_start") for held in answers]}
    if "is_impossible" in one:
        row["impossible"] = one["is_impossible"]
    return row
