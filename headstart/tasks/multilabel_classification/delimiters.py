"""What separates the labels of a text: one sign for the whole column, never another one from row to row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from headstart.contract import Json, Row
from headstart.errors import Exit, Finding, UserError
from headstart.tasks.shared.label_lists import NO_DELIMITER

DELIMITERS = (";", "|", ",")
# Between wrong signs stand many labels at once, so that there are more different ones than between right ones. A sign
# that gives at most 1.2 times the labels of the best one is asked about, and where labels stand in less than 3 rows on
# average, all are.
NEAR_LABELS, MIN_RECURRENCE = 1.2, 3
MAX_CELLS = 100_000  # different cells that are looked at


@dataclass
class CellTexts:
    """The different cells of a column of labels that are texts, how often each stands, and where it stands first."""

    counts: Counter[str] = field(default_factory=Counter)
    lists: int = 0  # cells that are lists, which nothing needs to separate

    def add(self, cell: Json) -> None:
        """One more cell."""
        if isinstance(cell, list | dict) or (isinstance(cell, str) and cell.strip()[:1] == "["):
            self.lists += 1
        elif isinstance(cell, str) and cell.strip() and (cell in self.counts or len(self.counts) < MAX_CELLS):
            self.counts[cell.strip()] += 1

    def labels(self, delimiter: str) -> set[str]:
        """The different labels when this sign separates them."""
        return {part for cell in self.counts for part in parts_of(cell, delimiter)}

    def label_uses(self, delimiter: str) -> int:
        """How many labels all rows have together."""
        return sum(count * len(parts_of(cell, delimiter)) for cell, count in self.counts.items())

    def has_shared_labels(self, delimiter: str) -> bool:
        """Whether a label of several in one cell stands in another cell too."""
        cells_with = Counter(part for cell in self.counts for part in set(parts_of(cell, delimiter)))
        return any(cells_with[part] > 1 for cell in self.counts if delimiter in cell
                   for part in parts_of(cell, delimiter))


def parts_of(cell: str, delimiter: str) -> list[str]:
    """The labels of a cell."""
    return [part for text in cell.split(delimiter) if (part := text.strip())]


def column_delimiter(rows: Iterable[Row], field_name: str = "labels") -> tuple[str, list[Finding]]:
    """The sign that separates the labels of all rows (";"), "none" where each text is one label, "" where all are
    lists; and what to tell. Raises UserError (65) where two signs fit.
    """
    texts, file = CellTexts(), ""
    for row in rows:
        texts.add(row.values.get(field_name))
        file = row.file
    if not texts.counts:
        return "", []
    signs = [sign for sign in DELIMITERS if any(sign in cell for cell in texts.counts)]
    if not signs:
        return NO_DELIMITER, []
    label_counts = {sign: len(texts.labels(sign)) for sign in signs}
    signs.sort(key=lambda sign: label_counts[sign])
    enough = texts.label_uses(signs[0]) >= MIN_RECURRENCE * label_counts[signs[0]]
    candidates = [sign for sign in signs if not enough or label_counts[sign] <= NEAR_LABELS * label_counts[signs[0]]]
    if candidates == [","] and not texts.has_shared_labels(","):
        candidates.append(NO_DELIMITER)
    example = next(cell for cell in texts.counts if signs[0] in cell)
    if len(candidates) > 1:
        raise question(candidates, example, file, field_name)
    return signs[0], [Finding("N213", explanation(signs, texts, example, field_name))]


def question(signs: Sequence[str], example: str, file: str, field_name: str) -> UserError:
    """Which of the signs is meant."""
    readings = " or ".join("one label" if sign == NO_DELIMITER else f"separated by {sign!r}" for sign in signs)
    return UserError(f"{file}: the {field_name} {example!r:.80} may be {readings}, and the other rows do not tell.",
                     fix="Say which: " + " or ".join(f"--set task.label_delimiter={quoted(sign)}" for sign in signs)
                     + ".", exit=Exit.DATA)


def quoted(sign: str) -> str:
    """A sign as a shell takes it."""
    return sign if sign.isalnum() else f"'{sign}'"


def explanation(signs: Sequence[str], texts: CellTexts, example: str, field_name: str) -> str:
    """What was taken, with an example, and which other signs are parts of labels."""
    sign = signs[0]
    unused = [alternative for alternative in signs[1:] if any(alternative in part for cell in texts.counts
                                                                   for part in parts_of(cell, sign))]
    note = f"; {' and '.join(map(repr, unused))} in a label is part of it" if unused else ""
    labels = " and ".join(map(repr, parts_of(example, sign)))
    return (f"the {field_name} of a text are separated by {sign!r} in all rows ({example!r:.60} is {labels:.80}){note}."
            " task.label_delimiter changes that.")
