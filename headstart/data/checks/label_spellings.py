"""Labels that are most likely one, in several spellings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headstart.text.normalise import normalise_label, visible_label

SPELLING_ADVICE = "They count as different labels; spell them the same if they are one."


def spelling_messages(labels: Iterable[str]) -> Iterator[str]:
    """A sentence for each group of different labels that differ only in what cannot be seen or does not matter."""
    spellings: dict[str, list[str]] = {}
    for label in sorted(labels):
        spellings.setdefault(normalise_label(label), []).append(label)
    for variants in spellings.values():
        if len(variants) > 1:
            yield (f"the labels {' and '.join(map(visible_label, variants))} differ only by case, space, invisible "
                   "characters, Unicode form, or as a number is written.")
