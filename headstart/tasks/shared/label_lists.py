"""The labels of one row, in every form that files have them in; and what is wrong with the labels of many rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from headstart.contract import Json, RowFault
from headstart.errors import Finding

RARE = 5  # a label with fewer training rows is rare
NAMED = 20  # findings of one kind that are named one by one


def labels_of(value: Json, delimiter: str = "", field: str = "labels") -> tuple[str, ...]:
    """Labels from a list, a JSON list as text, or a delimited text; empty for none. Raises RowFault."""
    if value is None:
        return ()
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = json.loads(value)
        except ValueError:
            raise RowFault("E306", f"the labels {value!r:.60} begin like a list and are none.", field=field,
                           fix='Write ["a", "b"], or a;b.') from None
    if isinstance(value, str):
        mark = delimiter or next((one for one in ";|," if one in value), "")
        value = value.split(mark) if mark else [value]
    if isinstance(value, Mapping):
        from headstart.data.columns import mark as yes_or_no

        wrong = [name for name, cell in value.items() if yes_or_no(cell) is None]
        if wrong:
            name, cell = wrong[0], value[wrong[0]]
            raise RowFault("E306", f"the column {name!r} holds {cell!r:.40}, 0 or 1 was expected.", field=field,
                           fix="Mend it, or leave such rows out (--bad-rows skip).")
    if not isinstance(value, list) or any(isinstance(one, list | dict) or one is None for one in value):
        raise RowFault("E306", f"the labels are {value!r:.60}, a list of labels was expected.", field=field,
                       fix=f'Write ["a", "b"], or a;b, or name 0/1 columns: --{field} first,second.')
    return tuple(dict.fromkeys(text for one in value if (text := (one if isinstance(one, str) else json.dumps(one)).strip())))


def rarest(labels: Iterable[str], counts: Mapping[str, int]) -> str:
    """The label with the fewest training rows, "none" where there is no label; of equally rare ones the first in the alphabet."""
    return min(labels, key=lambda label: (counts.get(label, 0), label), default="none")


def check(splits: Mapping[str, Sequence[tuple[str, ...]]]) -> list[Finding]:
    """No label at all, the same labels everywhere, rare labels, labels that training never shows, labels written in two ways."""
    counts = {split: Counter(label for labels in held for label in labels) for split, held in splits.items()}
    train, rows = counts["train"], len(splits["train"])
    if rows and not train:
        return [Finding("E203", "no training row has a label.", "Is this the right column?")]
    if rows and set(train.values()) == {rows}:
        return [Finding("E203", f"every training row has the same labels: {', '.join(sorted(train))}.",
                        "There is nothing to tell apart; is this the right column?")]
    found = list(several("W206", (f"the label {label!r} has {count} training row{'s' * (count > 1)}."
                                  for label, count in sorted(train.items()) if count < RARE),
                         "Its scores will be luck; add rows if you can."))
    found += several("W206", (f"the label {label!r} stands on every training row." for label, count in sorted(train.items())
                              if count == rows), "There is nothing to learn about it.")
    for split, held in counts.items():
        found += several("W207", (f"the label {label!r} stands in {split} but never in train." for label in sorted(set(held) - set(train))),
                         "The model cannot answer it, and every such row counts as wrong.")
    forms: dict[str, list[str]] = {}
    for label in sorted(set().union(*counts.values())):
        forms.setdefault(" ".join(label.casefold().split()), []).append(label)
    return found + list(several("W204", (f"the labels {' and '.join(map(repr, alike))} differ only by case or space."
                                         for alike in forms.values() if len(alike) > 1),
                                "They are taken as different; write them one way if they are the same."))


def several(code: str, messages: Iterable[str], advice: str) -> Iterator[Finding]:
    """One finding for each message, and one for the rest when they are many."""
    held = list(messages)
    yield from (Finding(code, message, advice) for message in held[:NAMED])
    if len(held) > NAMED:
        yield Finding(code, f"so it is with {len(held) - NAMED} more labels.")
