"""The labels of one row, in every form that files have them in; and checks of the labels of many rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from headstart.contract import Json, RowFault
from headstart.data.checks.label_spellings import SPELLING_ADVICE, spelling_messages
from headstart.data.columns import parse_indicator as yes_or_no
from headstart.errors import Finding
from headstart.text.json_values import parse_list_text

NO_DELIMITER = "none"  # a text is one label, whatever signs it holds
MIN_TRAIN_ROWS = 5  # a label with fewer training rows is rare
MAX_NAMED = 20  # findings of one kind that are listed one by one


def parse_labels(value: Json, delimiter: str = "", field: str = "labels") -> tuple[str, ...]:
    """Labels from a list, a list as text, or a delimited text; empty for none. Raises RowFault.

    Without a delimiter the first of ; | , that the text holds is taken: how a row reads whose column nobody has seen.
    """
    if value is None:
        return ()
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = parse_list_text(value)
        except ValueError:
            raise RowFault("E306", f"the labels {value!r:.60} begin like a list but are not one.", field=field,
                           fix='Write ["a", "b"], or a;b.') from None
    if isinstance(value, str):
        separator = delimiter or next((character for character in ";|," if character in value), NO_DELIMITER)
        value = value.split(separator) if separator != NO_DELIMITER else [value]
    if isinstance(value, Mapping):
        bad_names = [name for name, cell in value.items() if yes_or_no(cell) is None]
        if bad_names:
            name, cell = bad_names[0], value[bad_names[0]]
            raise RowFault("E306", f"the column {name!r} holds {cell!r:.40}, 0 or 1 was expected.", field=field,
                           fix="Fix it, or leave such rows out (--bad-rows skip).")
    if not isinstance(value, list) or any(isinstance(item, list | dict) or item is None for item in value):
        raise RowFault("E306", f"the labels are {value!r:.60}, a list of labels was expected.", field=field,
                       fix=f'Write ["a", "b"], or a;b, or name 0/1 columns: --{field} first,second.')
    return tuple(dict.fromkeys(text for item in value
                               if (text := (item if isinstance(item, str) else json.dumps(item)).strip())))


def rarest_label(labels: Iterable[str], counts: Mapping[str, int]) -> str:
    """The label with the fewest training rows, "none" where there is no label; of equally rare ones the first in the
    alphabet.
    """
    return min(labels, key=lambda label: (counts.get(label, 0), label), default="none")


def check(splits: Mapping[str, Sequence[tuple[str, ...]]]) -> list[Finding]:
    """Findings: no label at all, the same labels everywhere, rare labels, labels unseen in training, labels in two
    spellings.
    """
    counts = {split: Counter(label for labels in label_tuples for label in labels)
              for split, label_tuples in splits.items()}
    train_counts, row_count = counts["train"], len(splits["train"])
    if row_count and not train_counts:
        return [Finding("E203", "no training row has a label.", "Is this the right column?")]
    if row_count and set(train_counts.values()) == {row_count}:
        return [Finding("E203", f"every training row has the same labels: {', '.join(sorted(train_counts))}.",
                        "There is nothing to classify; is this the right column?")]
    empty_count = sum(not labels for labels in splits["train"])
    findings = [] if not empty_count else [Finding(
        "N215", f"{empty_count:,} of {row_count:,} training rows have no label; they are learned as texts that no "
                "label fits.", "Leave out those that are not labelled yet.")]
    findings += list(limited_findings("W206", (f"the label {label!r} has {count} training row{'s' * (count > 1)}."
                                              for label, count in sorted(train_counts.items())
                                              if count < MIN_TRAIN_ROWS),
                                     "Its scores will be unreliable; add rows if you can."))
    findings += limited_findings("W206", (f"the label {label!r} is on every training row."
                                          for label, count in sorted(train_counts.items())
                                          if count == row_count), "There is nothing to learn about it.")
    for split, label_counts in counts.items():
        unseen = sorted(set(label_counts) - set(train_counts))
        findings += limited_findings("W207", (f"the label {label!r} occurs in {split} but never in train."
                                              for label in unseen),
                                     "The model cannot predict it, and every such row counts as wrong.")
    messages = spelling_messages(set().union(*counts.values()))
    return findings + list(limited_findings("W204", messages, SPELLING_ADVICE))


def limited_findings(code: str, messages: Iterable[str], advice: str) -> Iterator[Finding]:
    """One finding for each message; when they are many, one that counts the remaining ones."""
    message_list = list(messages)
    yield from (Finding(code, message, advice) for message in message_list[:MAX_NAMED])
    if len(message_list) > MAX_NAMED:
        yield Finding(code, f"the same holds for {len(message_list) - MAX_NAMED} more labels.",
                      count=len(message_list) - MAX_NAMED)


def unlabelled_marks(cells: Sequence[Json]) -> frozenset[str]:
    """What marks a row without a label among these labels: -1 beside 0, 1, 2 … (with 0 and 1 alone it may be a label:
    negative, neutral, positive), and - beside words of three letters or more.
    """
    labels = {str(cell).strip() for cell in cells if isinstance(cell, str | int) and str(cell).strip()}
    numbers, words = labels - {"-1"}, labels - {"-"}
    if numbers and all(label.isdecimal() for label in numbers) and max(map(int, numbers)) > 1:
        return frozenset(("-1",))
    return frozenset(("-",) if words and all(len(label) > 2 and label[0].isalpha() for label in words) else ())
