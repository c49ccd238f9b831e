"""Questions on passages: how rows are read, in all the forms that such files have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Example, Json, Row, RowFault
from headstart.errors import Finding
from headstart.text.answer_spans import Found, locate

REPAIRS = {
    "moved": ("W220", "answers stand at another place than their start says; the nearest such text was taken"),
    "first of several": ("W221", "answers stand several times in their passage and have no start; the first was taken"),
    "another form": ("W222", "answers stand in their passage in other letters, spaces or accents; the passage's own were taken"),
}


@dataclass(frozen=True)
class Question(Example):
    """A question on a passage, and its answers: none for an unanswerable one; None when predicting."""

    question: str
    passage: str
    answers: tuple[str, ...] | None = None
    place: Found | None = None  # of the first answer
    name: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the passage answers it."""
        return bool(self.answers)


def read(row: Row) -> Question:
    """A row as a question; raises RowFault."""
    asked, passage = needed(row, "question"), needed(row, "passage")
    name = row.values.get("id")
    own = str(name) if name is not None else str(row.id)
    if "answer" not in row.values:
        return Question(row.id, asked, passage, name=own)
    answers, starts = answers_of(row.values["answer"], row.values.get("start"))
    if row.values.get("impossible") is True and answers:
        raise RowFault("E324", "the question is marked as impossible, and has an answer.", field="answer",
                       fix="Remove the answer, or the mark.")
    if not answers:
        return Question(row.id, asked, passage, answers=(), name=own)
    place = locate(passage, answers[0], starts[0])
    if place is None:
        raise RowFault("E320", f"the passage does not hold the answer {shortened(answers[0])!r}.", field="answer",
                       fix="An answer is a part of its passage, letter by letter; mend it, or leave it out (--bad-rows skip).")
    mended = passage[place.begin:place.end] if place.repair == "another form" else answers[0]
    return Question(row.id, asked, passage, answers=(mended, *answers[1:]), place=place, name=own)


def needed(row: Row, name: str) -> str:
    """A text that must be there."""
    value = row.values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowFault("E201", f"the {name} is {'empty' if value in (None, '') or isinstance(value, str) else 'no text'}.",
                       fix="Fill it in, or leave the row out (--bad-rows skip).", field=name)
    return value


def answers_of(value: Json, start: Json) -> tuple[list[str], list[int | None]]:
    """Answers and their starts from one text, a list of texts, or SQuAD's {"text": […], "answer_start": […]}."""
    if isinstance(value, Mapping):
        value, start = value.get("text", []), value.get("answer_start", start)
    if value is None or value == "":
        return [], []
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in texts):
        raise RowFault("E326", f"the answer is {shortened(repr(value))}, a text or a list of texts was expected.",
                       fix="Write the answer as the passage has it.", field="answer")
    given = start if isinstance(start, list) else [start] * (1 if len(texts) == 1 else 0)
    if given and len(given) != len(texts):
        raise RowFault("E325", f"there are {len(texts)} answers and {len(given)} starts.", field="start",
                       fix="Give each answer its start, or leave the starts out.")
    pairs = [(text, whole(one)) for text, one in zip(texts, given or [None] * len(texts), strict=True) if text.strip()]
    return [text for text, _ in pairs], [one for _, one in pairs]


def whole(start: Json) -> int | None:
    """A start as a whole number."""
    if start is None or start == "":
        return None
    try:
        number = float(start)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(start, bool) or not number.is_integer():
        raise RowFault("E321", f"the start is {shortened(repr(start))}, a whole number was expected.", field="start",
                       fix="It counts the passage's characters before the answer; leave it out to have it found.")
    return int(number)


def shortened(text: str) -> str:
    """The beginning of a long text."""
    return text if len(text) <= 60 else text[:57] + "…"


def check(splits: Mapping[str, Sequence[Question]]) -> list[Finding]:
    """Repairs, counted; questions without an answer; names that come twice."""
    found = []
    for split, questions in splits.items():
        repairs: Counter[str] = Counter()
        firsts: dict[str, Question] = {}
        names: Counter[str] = Counter()
        without = 0
        for one in questions:
            names[one.name] += 1
            without += one.answers == ()
            if one.place is not None and one.place.repair:
                repairs[one.place.repair] += 1
                firsts.setdefault(one.place.repair, one)
        for kind, count in repairs.items():
            code, words = REPAIRS[kind]
            found.append(Finding(code, f"in {split}, {count:,} {words} (first in row {firsts[kind].row}: "
                                 f"{shortened((firsts[kind].answers or ('',))[0])!r}).", "Look at them if they are many."))
        found += twice(split, names)
        if without:
            found.append(Finding("N220", f"in {split}, {without:,} of {len(questions):,} questions have no answer: the model "
                                 "learns to say so."))
    return found


def twice(split: str, names: Counter[str]) -> Iterable[Finding]:
    """Names that several questions have."""
    again = [name for name, count in names.items() if count > 1]
    if again:
        yield Finding("W223", f"in {split}, {len(again):,} question ids stand more than once (first: {shortened(again[0])!r}).",
                      "The official files hold one answer for each id; give each question its own.")
