"""Which columns of a file look like texts, and which like labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.contract import Column

MOST_CLASSES = 20  # integer targets with more values are numbers, not classes


def named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the first of these names that is there."""
    lowered = {column.name.lower(): column for column in reversed(columns)}
    return next((lowered[name] for name in names if name in lowered), None)


def distinct_labels(column: Column) -> set[str]:
    """The different values of a column, as text."""
    return {str(value) for value in column.values if value is not None and str(value).strip()}


def few_labels(column: Column) -> bool:
    """Whether the values repeat as labels do: strings that recur, or at most 20 different integers."""
    distinct = distinct_labels(column)
    if all(number(value) for value in distinct):
        return len(distinct) <= MOST_CLASSES and not any("." in value or "e" in value.lower() for value in distinct)
    return len(distinct) <= max(20, len(column.values) / 2)


def number(text: str) -> bool:
    """Whether a text is a number: 3, -2.5 or 1e3, not nan and not 1_000."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def only_label(columns: Sequence[Column]) -> Column | None:
    """The one column whose values recur as labels do; None when there is none or more than one."""
    found = [column for column in columns
             if 2 <= len(distinct_labels(column)) <= len(column.values) / 2 and few_labels(column)]
    return found[0] if len(found) == 1 else None


def longest_text(columns: Sequence[Column]) -> Column | None:
    """The column with the longest texts, if they are texts of several words."""
    def words(column: Column) -> float:
        return sum(len(str(value).split()) for value in column.values) / max(1, len(column.values))

    best = max(columns, key=words, default=None)
    return best if best is not None and words(best) >= 2 else None
