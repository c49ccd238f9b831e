"""Questions with the right answer and wrong ones in columns of their own: SciQ, GPQA, trivia games."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, UNLABELLED, column_named, list_of_texts
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row

WRONG = re.compile(r"(distractor|(incorrect|wrong)[ _]?(answer|option|choice))[ _]?[0-9]+", re.IGNORECASE)
WRONG_LISTS = ("incorrect_answers", "wrong_answers", "distractors")
RIGHT = ("correct_answer", "correct answer", "right_answer", "answer")
BACKGROUND = ("support", "context", "passage", "article")


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A question, a right answer, and wrong ones: a list, or a column each."""
    question, right = column_named(columns, ("question",)), column_named(columns, RIGHT)
    wrong_list = column_named(columns, WRONG_LISTS)
    wrong_names = [wrong_list.name] if wrong_list is not None else [
        column.name for column in columns if WRONG.fullmatch(column.name.strip())]
    if question is None or right is None or not wrong_names:
        return None
    background = column_named(columns, BACKGROUND)
    support_name = "" if background is None else background.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        wrong = [text for name in wrong_names for text in list_of_texts(values[name], name) if text.strip()]
        support = [values[support_name]] if support_name else []
        answer = values[right.name]
        if answer is None or not str(answer).strip():
            return LeftOutRow(UNLABELLED)
        if str(answer) in wrong:
            raise RowFault("E333", f"the right answer {str(answer)!r:.60} is among the wrong ones, too.",
                           fix=f"Fix it, or {LEAVE_OUT}")
        # In the order of the alphabet: in the file's order the right one would always be the first.
        return (*support, values[question.name], sorted([str(answer), *wrong]), str(answer))

    words = ", ".join(f'"{name}"' for name in wrong_names)
    return Schema("distractors", f'wrong answers beside the right one: choices are "{right.name}" and {words}, in the '
                  "order of the alphabet", (*(("context",) if support_name else ()), "question", "choices", "answer"),
                  (question.name, right.name, *wrong_names, *((support_name,) if support_name else ())),
                  row_by_row([column.name for column in columns], read))
