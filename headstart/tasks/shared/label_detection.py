"""Texts with one label each: which columns are the text (or the pair of texts) and its label."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contract import Column, Detection
from headstart.tasks.shared.column_detection import (
    BY_VALUE,
    EXACT,
    LABEL_WORDS,
    PARTIAL,
    WITH_PROMPTS,
    column_choices,
    first_named,
    is_answered_prompt,
    label_columns,
    name_strength,
    question_pair,
    text_columns,
    text_strength,
    yes_or_no_column,
)
from headstart.tasks.shared.text_pairs import FIRST_NAMES, PAIR_NAMES, TEXT_NAMES


def labelled_texts(columns: Sequence[Column], label_names: Sequence[str]) -> Detection | None:
    """A text (or a pair, or a question and the text that it is asked about) and a label, by names, else by values."""
    answers = yes_or_no_column(columns)
    labels = label_columns(columns, label_names) or ([] if answers is None else [answers])
    if not labels:
        return None
    further_columns = [column for column in columns if column not in labels]
    first, pair = first_named(further_columns, FIRST_NAMES), first_named(further_columns, PAIR_NAMES)
    if first is None or pair is None:
        first, pair = question_pair(further_columns) or (first, pair)
    if first is not None and pair is not None:
        strength = name_strength(labels[0], label_names, LABEL_WORDS)
        return column_choices([{"text": first.name, "pair": pair.name, "label": label.name} for label in labels],
                              {EXACT: 0.95, PARTIAL: 0.85, BY_VALUE: 0.75}[strength],
                              f"{first.name!r} and {pair.name!r} hold pairs of texts, and {labels[0].name!r} "
                              "labels that recur")
    texts = text_columns(further_columns, TEXT_NAMES)
    if not texts:
        return None
    named_count = (text_strength(texts[0], TEXT_NAMES) == EXACT) + (
        name_strength(labels[0], label_names, LABEL_WORDS) == EXACT)
    return column_choices([{"text": text.name, "label": label.name} for text in texts for label in labels],
                          WITH_PROMPTS if is_answered_prompt(columns, texts[0]) else (0.5, 0.8, 0.95)[named_count],
                          f"{texts[0].name!r} holds texts and {labels[0].name!r} labels that recur")
