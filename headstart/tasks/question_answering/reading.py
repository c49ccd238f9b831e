"""Questions on passages: how rows are read, in all the forms that such files have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Example, Json, Row, RowFault, Tokens
from headstart.errors import Finding
from headstart.text.answer_spans import AnswerSpan, find_answer

REPAIR_MESSAGES = {
    "moved": ("W220", "answers are not where their start says; the nearest occurrence was used"),
    "first of several": ("W221", "answers occur several times in their passage and have no start; the first was used"),
    "another form": ("W222", "answers are in their passage with different case, spaces or accents; the passage's own "
                             "were used"),
}


@dataclass(frozen=True)
class Question(Example):
    """A question on a passage, and its answers: none for an unanswerable one; None when predicting."""

    question: str
    passage: str
    answers: tuple[str, ...] | None = None
    answer_span: AnswerSpan | None = None  # of the first answer
    question_id: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the passage answers it."""
        return bool(self.answers)


def read(row: Row) -> Question:
    """A row as a question; raises RowFault."""
    question, passage = required_text(row, "question"), required_text(row, "passage")
    id_cell = row.values.get("id")
    question_id = str(id_cell) if id_cell is not None else str(row.id)
    if "answer" not in row.values:
        return Question(row.id, question, passage, question_id=question_id)
    answers, starts = parse_answers(row.values["answer"], row.values.get("start"))
    if row.values.get("impossible") is True and answers:
        raise RowFault("E324", "the question is marked as impossible, and has an answer.", field="answer",
                       fix="Remove the answer, or the mark.")
    if not answers:
        return Question(row.id, question, passage, answers=(), question_id=question_id)
    answer_span = find_answer(passage, answers[0], starts[0])
    if answer_span is None:
        raise RowFault("E320", f"the passage does not contain the answer {shortened(answers[0])!r}.", field="answer",
                       fix="An answer must stand in its passage, letter by letter; fix it, or leave it out (--bad-rows "
                           "skip).")
    first_answer = passage[answer_span.begin:answer_span.end] if answer_span.repair == "another form" else answers[0]
    return Question(row.id, question, passage, answers=(first_answer, *answers[1:]), answer_span=answer_span,
                    question_id=question_id)


def required_text(row: Row, name: str) -> str:
    """The text of a required cell; raises RowFault where there is none."""
    value = row.values.get(name)
    if not isinstance(value, str) or not value.strip():
        raise RowFault("E201", f"the {name} is "
                               f"{'empty' if value in (None, '') or isinstance(value, str) else 'no text'}.",
                       fix="Fill it in, or leave the row out (--bad-rows skip).", field=name)
    return value


def parse_answers(value: Json, start: Json) -> tuple[list[str], list[int | None]]:
    """Answers and their starts from one text, a list of texts, or SQuAD's {"text": […], "answer_start": […]}."""
    if isinstance(value, Mapping):
        value, start = value.get("text", []), value.get("answer_start", start)
    if value is None or value == "":
        return [], []
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise RowFault("E326", f"the answer is {shortened(repr(value))}, a text or a list of texts was expected.",
                       fix="Write the answer as the passage has it.", field="answer")
    starts = start if isinstance(start, list) else [start] * (1 if len(texts) == 1 else 0)
    if starts and len(starts) != len(texts):
        raise RowFault("E325", f"there are {len(texts)} answers and {len(starts)} starts.", field="start",
                       fix="Give each answer its start, or leave the starts out.")
    pairs = [(text, parse_start(cell)) for text, cell in zip(texts, starts or [None] * len(texts), strict=True)
             if text.strip()]
    return [text for text, _ in pairs], [start for _, start in pairs]


def parse_start(start: Json) -> int | None:
    """A start as an integer; raises RowFault."""
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
    """Findings: counts of repairs, questions without an answer, repeated ids."""
    findings = []
    for split, questions in splits.items():
        repairs: Counter[str] = Counter()
        first_examples: dict[str, Question] = {}
        id_counts: Counter[str] = Counter()
        unanswerable = 0
        for example in questions:
            id_counts[example.question_id] += 1
            unanswerable += example.answers == ()
            if example.answer_span is not None and example.answer_span.repair:
                repairs[example.answer_span.repair] += 1
                first_examples.setdefault(example.answer_span.repair, example)
        for kind, count in repairs.items():
            code, message = REPAIR_MESSAGES[kind]
            findings.append(Finding(code, f"in {split}, {count:,} {message} (first in row {first_examples[kind].row}: "
                                    f"{shortened((first_examples[kind].answers or ('',))[0])!r}).",
                                    "Look at them if they are many."))
        findings += repeated_id_finding(split, id_counts)
        if unanswerable:
            findings.append(Finding("N220", f"in {split}, {unanswerable:,} of {len(questions):,} questions have no "
                                            "answer: the model "
                                    "learns to abstain."))
    return findings


def repeated_id_finding(split: str, id_counts: Counter[str]) -> Iterable[Finding]:
    """A finding where several questions have the same id."""
    repeated_ids = [question_id for question_id, count in id_counts.items() if count > 1]
    if repeated_ids:
        first = shortened(repeated_ids[0])
        yield Finding("W223",
                      f"in {split}, {len(repeated_ids):,} question ids occur more than once (first: {first!r}).",
                      "The official files hold one answer for each id; give each question its own.")


def answer_token_range(passage: Tokens, example: Question) -> tuple[int, int]:
    """First and last token of the answer; -1, before all windows, where there is none."""
    if example.answer_span is None:
        return -1, -1
    start, end = example.answer_span.begin, example.answer_span.end
    answer_tokens = [index for index, (first, last) in enumerate(passage.offsets or ()) if first < end and last > start]
    return (answer_tokens[0], answer_tokens[-1]) if answer_tokens else (-1, -1)
