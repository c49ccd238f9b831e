"""Which columns of a file are the context, the choices and the answer, in the layouts that such files have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from headstart.contract import Column, Detection
from headstart.tasks.shared.column_detection import first_named

# What a question is about; beside a question both are the context.
BACKGROUND_NAMES = ("context", "article", "passage", "paragraph", "story", "premise", "ctx", "sent1", "dialogue",
                    "background")
QUESTION_NAMES = ("question", "query", "question_stem", "stem", "goal", "prompt", "sentence", "problem")
CONTEXT_NAMES = ("context", "sent1", "ctx", "passage", "question", "premise", "article", "paragraph", "story",
                 *QUESTION_NAMES[1:])
START_NAMES = ("sent2", "startphrase")
CHOICES_NAMES = ("choices", "options", "endings")
ANSWER_NAMES = ("answer", "label", "correct", "gold", "answerkey", "answer_key", "correct_answer", "correct_option",
                "correct_answer_id", "cop", "answer_idx", "answer_index", "correct_index", "answerrightending",
                "right_answer", "gold_label", "target")
# Columns of one choice each: ending0, option_a, opa, sol1, A …
CHOICE_STEMS = ("ending", "choice", "option", "opt", "op", "sol", "solution", "answer", "alternative", "candidate",
                "hyp", "randomfifthsentencequiz", "")
CHOICE_NAME = re.compile(r"(?P<stem>.*?)[ _-]?(?P<place>[0-9]{1,2}|[a-h])", re.IGNORECASE)


def detect(columns: Sequence[Column]) -> Detection | None:
    """A list of choices, or a column for each, beside a context, a question or both."""
    nested = nested_question(columns)
    choices = choices_columns(columns)
    context = context_columns(columns) if nested is None else ""
    if nested is not None:
        context, choices = f"{nested}.stem", f"{nested}.choices"
    if not context or not choices:
        return numbered_columns(columns)
    reserved = {*context.split(","), *choices.split(",")}
    further = [column for column in columns if column.name not in reserved]
    start, answer = first_named(further, START_NAMES), first_named(further, ANSWER_NAMES)
    found_columns = {"context": context, "start": start, "choices": choices, "answer": answer}
    reason = f"there are choices ({choices})"
    if "," in context:
        reason += f", and the context is {' and '.join(context.split(','))}"
    return Detection({field: column if isinstance(column, str) else column.name
                      for field, column in found_columns.items() if column is not None}, 0.99, reason)


def nested_question(columns: Sequence[Column]) -> str | None:
    """The column of objects {"stem": …, "choices": […]}, as ARC's and CommonsenseQA's own files have it."""
    return next((column.name for column in columns if column.values and all(
        isinstance(value, Mapping) and {"stem", "choices"} <= set(value) for value in column.values)), None)


def context_columns(columns: Sequence[Column]) -> str:
    """The columns that make the context, joined by a comma: what a question is about, and the question."""
    texts = [column for column in columns if not any(isinstance(value, Mapping) for value in column.values)]
    background, question = first_named(texts, BACKGROUND_NAMES), first_named(texts, QUESTION_NAMES)
    return ",".join(column.name for column in (background, question) if column is not None)


def choices_columns(columns: Sequence[Column]) -> str:
    """The column with lists of choices, or the columns of one choice each, joined by a comma; "" without any."""
    column = first_named(columns, CHOICES_NAMES)
    if column is not None:
        return column.name
    answer = first_named(columns, ANSWER_NAMES)
    lists = first_named(columns, ("answers",))
    if lists is not None and answer is not None and lists.values and all(
            isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)
            for value in lists.values):
        return lists.name
    return next((",".join(names) for stem in CHOICE_STEMS if (names := columns_of_stem(columns, stem))
                 and (stem or answer is not None)), "")


def columns_of_stem(columns: Sequence[Column], stem: str) -> list[str]:
    """ending0, ending1 … or opa, opb … in their order; none where one is missing, or where there is but one."""
    places: dict[int, str] = {}
    is_lettered = False
    for column in columns:
        match = CHOICE_NAME.fullmatch(column.name.strip())
        if match is None or match["stem"].lower() != stem or not (stem or match["place"].isalpha()):
            continue
        is_lettered = match["place"].isalpha()
        places[ord(match["place"].lower()) - ord("a") if is_lettered else int(match["place"])] = column.name
    first = min(places, default=0)
    is_whole = len(places) > 1 and max(places) - first + 1 == len(places)
    return [places[place] for place in sorted(places)] if is_whole and first <= (0 if is_lettered else 1) else []


def numbered_columns(columns: Sequence[Column]) -> Detection | None:
    """Columns without names (0, 1, 2 …), the first a question, the last a letter, a choice for each letter between
    (MMLU).
    """
    names = [column.name for column in columns]
    if len(names) < 4 or names != [str(place) for place in range(len(names))]:
        return None
    letters = {str(value).strip() for value in columns[-1].values}
    choice_names = names[1:-1]
    possible = {chr(ord("A") + place) for place in range(len(choice_names))}
    if not letters or not letters <= possible or len(letters) < min(3, len(possible)):
        return None
    return Detection({"context": names[0], "choices": ",".join(choice_names), "answer": names[-1]}, 0.96,
                     f"column {names[-1]} holds letters, and there is a column for each before it")
