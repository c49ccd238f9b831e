"""DREAM's JSON: a list of [the turns of a dialogue, its questions with choices, its name], as one row a question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

QUESTION_KEYS = {"question", "choice", "answer"}


def is_dream(value: Any) -> bool:
    """Whether a JSON value is laid out as DREAM."""
    return isinstance(value, list) and bool(value) and all(
        isinstance(entry, list) and len(entry) == 3 and all(isinstance(part, list) for part in entry[:2])
        and all(isinstance(turn, str) for turn in entry[0])
        and all(isinstance(question, dict) and set(question) >= QUESTION_KEYS for question in entry[1])
        for entry in value)


def rows(value: list[list[Any]]) -> Iterator[dict[str, Any]]:
    """Each question with its dialogue, a turn a line."""
    for turns, questions, name in value:
        for question in questions:
            yield {"id": name, "dialogue": "\n".join(turns), "question": question["question"],
                   "choices": question["choice"], "answer": question["answer"]}
