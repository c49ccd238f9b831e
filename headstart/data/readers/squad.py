"""SQuAD's JSON (1.1 and 2.0): articles of paragraphs of questions, as one row a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.data.readers.table_builder import SKIP, TableBuilder


def is_squad(value: Any) -> bool:
    """Whether a JSON value is laid out as SQuAD."""
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "paragraphs" in data[0]


def rows(value: Any, builder: TableBuilder) -> Iterator[dict[str, Any]]:
    """Each question with its passage; entries that are no question become findings."""
    marked_count = unmarked_count = 0
    for article_index, article in enumerate(value["data"]):
        for paragraph_index, paragraph in enumerate(list_of(article, "paragraphs")):
            passage = paragraph.get("context") if isinstance(paragraph, dict) else None
            for qa in list_of(paragraph, "qas"):
                if not isinstance(qa, dict) or not isinstance(passage, str):
                    builder.add_finding("E110", f"article {article_index}, paragraph {paragraph_index} holds something "
                                        "that is no question with a context.", f"Fix it, or {SKIP}", row=True)
                    continue
                marked_count, unmarked_count = marked_count + ("is_impossible" in qa), unmarked_count + (
                    "is_impossible" not in qa)
                yield question(article, passage, qa)
    if marked_count and unmarked_count:
        builder.add_finding("W224", f"{marked_count:,} questions say whether they have an answer (SQuAD 2.0), "
                            f"{unmarked_count:,} do not (1.1).",
                            "They are read as they are; was this file put together from two?")


def list_of(value: Any, name: str) -> list[Any]:
    """A list of that name, empty where there is none."""
    items = value.get(name) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def question(article: Any, passage: str, qa: dict[str, Any]) -> dict[str, Any]:
    """A question as a row; an unanswerable one has no answers."""
    answers = [answer for answer in list_of(qa, "answers") if isinstance(answer, dict)]
    row: dict[str, Any] = {"id": qa.get("id"), "title": article.get("title"), "question": qa.get("question"),
                           "passage": passage}
    if "answers" in qa or "is_impossible" in qa:
        row |= {"answer": [answer.get("text") for answer in answers],
                "start": [answer.get("answer_start") for answer in answers]}
    if "is_impossible" in qa:
        row["impossible"] = qa["is_impossible"]
    return row
