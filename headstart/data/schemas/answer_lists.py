"""Answers as hub tables and question answering libraries write them: lists of {"text", "answer_start"}, `qas`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headstart.contract import Column, Json, RowFault
from headstart.data.row_store import Record
from headstart.data.schemas._cells import LEAVE_OUT, column_named, filled_cells
from headstart.data.schemas.schema import ConvertedRow, FaultyRow, Schema, SchemaRow, row_by_row
from headstart.text.json_values import parse_cell

QUESTIONS, PASSAGES = ("question",), ("context", "passage", "paragraph", "document")
COLUMNS = ("question", "passage", "answer", "start")
FIX = f'Write {{"text": ["…"], "answer_start": [0]}}, or {LEAVE_OUT}'


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A question, a context and `answers` of objects; or contexts with lists of questions (`qas`)."""
    passage, question = column_named(columns, PASSAGES), column_named(columns, QUESTIONS)
    names = [column.name for column in columns]
    if passage is None or any(isinstance(value, list | dict) for value in passage.values):
        return None
    questions = column_named(columns, ("qas",))
    if question is None and questions is not None and any(
            isinstance(cell, list) and cell and isinstance(cell[0], Mapping) and "question" in cell[0]
            for cell in filled_cells(questions)):
        return Schema("answer-lists", 'contexts with "qas": a row for each question', (*COLUMNS, "id"), tuple(names),
                      questions_of(names.index(passage.name), names.index(questions.name)), keeps_others=False)
    answers = column_named(columns, ("answers",))
    cells = filled_cells(answers)
    if column_named(columns, ("passages",)) is not None:  # several texts to answer from: long-answer reads it as it is
        return None
    if question is None or answers is None or not all(map(holds_answers, cells)):
        return None
    are_lists_as_text = any(isinstance(cell, str) and isinstance(parse_cell(cell), list) for cell in answers.values)
    if not are_lists_as_text and not any(map(has_objects, cells)):
        return None
    question_name, passage_name, answers_name = question.name, passage.name, answers.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        texts, starts = texts_and_starts(values[answers_name])
        return values[question_name], values[passage_name], texts, starts

    return Schema("answer-lists", f'SQuAD answers in "{answers_name}": all of a row are read', COLUMNS,
                  (question_name, passage_name, answers_name), row_by_row(names, read))


def holds_answers(cell: Json) -> bool:
    """Whether it is a text, {"text": […], …}, or a list of either."""
    entries = cell if isinstance(cell, list) else [cell]
    return all(isinstance(entry, str) or (isinstance(entry, Mapping) and "text" in entry and "score" not in entry)
               for entry in entries)


def has_objects(cell: Json) -> bool:
    """Whether it is an object, or a list that holds one; texts alone need no schema."""
    return isinstance(cell, Mapping) or (isinstance(cell, list) and any(isinstance(entry, Mapping) for entry in cell))


def texts_and_starts(cell: Json) -> tuple[list[Json], list[Json]]:
    """Answers and their starts, no start where it is not given; raises RowFault."""
    answers: Any = parse_cell(cell)
    if answers in (None, ""):
        return [], []
    if isinstance(answers, Mapping):
        texts, starts = answers.get("text"), answers.get("answer_start", answers.get("start"))
        texts = texts if isinstance(texts, list) else [texts]
        starts = starts if isinstance(starts, list) else [starts] * len(texts)
    elif isinstance(answers, list | str):
        entries = [entry if isinstance(entry, Mapping) else {"text": entry}
                   for entry in (answers if isinstance(answers, list) else [answers])]
        texts = [entry.get("text") for entry in entries]
        starts = [entry.get("answer_start", entry.get("start")) for entry in entries]
    else:
        raise RowFault("E326", f"the answers are {answers!r:.60}; texts with their starts were expected.", fix=FIX)
    if not all(isinstance(text, str) for text in texts):
        raise RowFault("E326", f"an answer of {texts!r:.60} is not a text.", fix=FIX)
    if len(texts) != len(starts):
        raise RowFault("E325", f"there are {len(texts)} answers and {len(starts)} starts.", fix=FIX)
    return texts, starts if any(start is not None for start in starts) else []


def questions_of(passage_place: int, questions_place: int) -> Any:
    """A `convert` that makes a row of each question of a context."""
    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        for record in records:
            entries = parse_cell(record.values[questions_place])
            for entry in entries if isinstance(entries, list) else [entries]:
                try:
                    yield ConvertedRow(question_row(record.values[passage_place], entry), record.line)
                except RowFault as fault:
                    yield FaultyRow(fault, record.line)

    return convert


def question_row(passage: Json, entry: Json) -> tuple[Json, ...]:
    """A question of a context as a row; raises RowFault."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("question"), str):
        raise RowFault("E110", f'"qas" holds {entry!r:.60}, which is not a question.', fix=f"Fix it, or {LEAVE_OUT}")
    is_impossible = entry.get("is_impossible") is True
    texts, starts = ([], []) if is_impossible else texts_and_starts(entry.get("answers"))
    identity = entry.get("id")
    return entry["question"], passage, texts, starts, None if identity is None else str(identity)
