"""Which columns of a file look like texts, and which like labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.contract import Column

MAX_INTEGER_CLASSES = 20  # integer targets with more values are numbers, not classes


def first_named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the first of these names that exists."""
    lowered = {column.name.lower(): column for column in reversed(columns)}
    return next((lowered[name] for name in names if name in lowered), None)


def distinct_labels(column: Column) -> set[str]:
    """The different values of a column, as text."""
    return {str(value) for value in column.values if value is not None and str(value).strip()}


def has_recurring_labels(column: Column) -> bool:
    """Whether the values recur like labels: recurring strings, or at most 20 different integers."""
    distinct = distinct_labels(column)
    if all(is_number(value) for value in distinct):
        return len(distinct) <= MAX_INTEGER_CLASSES and not any("." in value or "e" in value.lower()
                                                                for value in distinct)
    return len(distinct) <= max(20, len(column.values) / 2)


def is_number(text: str) -> bool:
    """Whether a text is a number: 3, -2.5 or 1e3, not nan and not 1_000."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def only_label_column(columns: Sequence[Column]) -> Column | None:
    """The only column whose values recur like labels; None when there is none or more than one."""
    candidates = [column for column in columns
                  if 2 <= len(distinct_labels(column)) <= len(column.values) / 2 and has_recurring_labels(column)]
    return candidates[0] if len(candidates) == 1 else None


def longest_text_column(columns: Sequence[Column]) -> Column | None:
    """The column with the longest texts, if they have several words."""
    def mean_words(column: Column) -> float:
        return sum(len(str(value).split()) for value in column.values) / max(1, len(column.values))

    longest = max(columns, key=mean_words, default=None)
    return longest if longest is not None and mean_words(longest) >= 2 else None
