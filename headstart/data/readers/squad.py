"""SQuAD's JSON (1.1 and 2.0): articles of paragraphs of questions, as one row a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.contract import RowFault
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.schemas.answer_lists import texts_and_starts


def is_squad(value: Any) -> bool:
    """Whether a JSON value is laid out as SQuAD."""
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "paragraphs" in data[0]


def layout_words(value: dict[str, Any]) -> str:
    """The layout by its name: SQuAD, and what the annotation tool of Haystack adds to each answer."""
    questions = [qa for article in value["data"][:20] if isinstance(article, dict)
                 for paragraph in article.get("paragraphs") or [] if isinstance(paragraph, dict)
                 for qa in paragraph.get("qas") or [] if isinstance(qa, dict)]
    answers = [answer for qa in questions for answer in qa.get("answers") or [] if isinstance(answer, dict)]
    if any({"answer_category", "document_id"} & answer.keys() for answer in answers):
        return "SQuAD layout, of Haystack's annotation tool"
    return "SQuAD layout"


def rows(value: Any, builder: TableBuilder) -> Iterator[dict[str, Any]]:
    """Each question with its passage; entries that are no question become findings."""
    marked_count = unmarked_count = empty_count = 0
    for article_index, article in enumerate(value["data"]):
        if not isinstance(article, dict) or not isinstance(article.get("paragraphs"), list):
            add_fault(builder, RowFault("E110", f"article {article_index} is not an object with a list of paragraphs."))
            continue
        for paragraph_index, paragraph in enumerate(article["paragraphs"]):
            passage = paragraph.get("context") if isinstance(paragraph, dict) else None
            questions = paragraph.get("qas", []) if isinstance(paragraph, dict) else None
            if not isinstance(passage, str) or not isinstance(questions, list):
                add_fault(builder, RowFault("E110", f"article {article_index}, paragraph {paragraph_index} is no "
                                                    "context with a list of questions (qas)."))
                continue
            empty_count += not questions
            for qa in questions:
                try:
                    yield question(article, passage, qa)
                except RowFault as fault:
                    add_fault(builder, fault)
                    continue
                marked_count, unmarked_count = marked_count + ("is_impossible" in qa), unmarked_count + (
                    "is_impossible" not in qa)
    if marked_count and unmarked_count:
        builder.add_finding("W224", f"{marked_count:,} questions say whether they have an answer (SQuAD 2.0), "
                            f"{unmarked_count:,} do not (1.1).",
                            "They are read as they are; was this file put together from two?")
    if empty_count:
        builder.add_finding("N106", f"paragraphs without a question: {empty_count:,}.", "They are left out.")


def add_fault(builder: TableBuilder, fault: RowFault) -> None:
    """A question that cannot be read."""
    builder.add_finding(fault.code, str(fault), fault.fix or f"Fix it, or {SKIP}", row=True)


def question(article: dict[str, Any], passage: str, qa: Any) -> dict[str, Any]:
    """A question as a row; an unanswerable one has no answers. Raises RowFault for what is no question."""
    if not isinstance(qa, dict):
        raise RowFault("E110", f"a question is {qa!r:.60}, an object was expected.")
    row: dict[str, Any] = {"id": qa.get("id"), "title": article.get("title"), "question": qa.get("question"),
                           "passage": passage}
    if "answers" in qa or "answer" in qa or "is_impossible" in qa:
        row["answer"], row["start"] = texts_and_starts(qa.get("answers", qa.get("answer")))
    if "is_impossible" in qa:
        row["impossible"] = qa["is_impossible"]
    return row
