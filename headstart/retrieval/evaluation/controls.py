"""Controls of answers from passages: would random passages, the training set, or mere copying have done as well?

Krishna et al. 2021 (Hurdles to Progress in Long-form Question Answering) found that all three nearly did.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from headstart.contract import Json
from headstart.retrieval.documents.passage import Found, Passage
from headstart.tasks.long_answer.prompts import Asked, Context, best_sentence, first_sentences
from headstart.text.words import words

SIZE = 2  # words of a shingle: questions are short
ALIKE = 0.5  # Jaccard from which two questions are near duplicates
COMMON = 200  # a shingle that more training questions have tells nothing ("what is"), and would make the search slow


def random_passages(passages: Sequence[Passage], lists: Sequence[Sequence[Found]], *, seed: int,
                    never: Sequence[Sequence[int]] = ()) -> list[list[Found]]:
    """As many random passages in the place of each question's own, never one of its own, nor one of the rows `never` that answer
    it; scores stay, so that thresholds do.

    Where the index has too few others, a question gets those there are. The same seed gives the same.
    """
    made = []
    for place, held in enumerate(lists):
        own, draw = {one.row for one in held} | set(never[place] if never else ()), random.Random(f"{seed}:random-passages:{place}")
        wanted = min(len(held), len(passages) - len(own))
        chosen: list[int] = []
        while len(chosen) < wanted and len(own) + len(chosen) <= len(passages) // 2:
            row = draw.randrange(len(passages))
            if row not in own and row not in chosen:
                chosen.append(row)
        if len(chosen) < wanted:  # few are left: choose among them
            left = [row for row in range(len(passages)) if row not in own and row not in chosen]
            chosen += draw.sample(left, wanted - len(chosen))
        made.append([Found(passages[row], row, one.score) for row, one in zip(chosen, held, strict=False)])
    return made


@dataclass(frozen=True)
class Twin:
    """A question of the test rows and the training question most like it: their places, and their Jaccard (0 to 1)."""

    test: int
    train: int
    likeness: float


@dataclass(frozen=True)
class Overlap:
    """How many test questions have a near duplicate in training; `twins` are the nearest of these, most alike first."""

    questions: int
    twins: tuple[Twin, ...]
    alike: float

    @property
    def share(self) -> float | None:
        """Share of the test questions with a near duplicate; None without questions."""
        return len(self.twins) / self.questions if self.questions else None

    @property
    def clean(self) -> list[int]:
        """Places of the test questions without one: scores on these alone say what was not learned by heart."""
        known = {twin.test for twin in self.twins}
        return [place for place in range(self.questions) if place not in known]

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return {"questions": self.questions, "near_duplicates": len(self.twins), "share": self.share, "alike": self.alike,
                "twins": [vars(twin) for twin in self.twins]}


def shingles(text: str, size: int = SIZE) -> frozenset[int]:
    """The runs of this many words of a text as 64-bit numbers; of a shorter text the whole."""
    held = words(text)
    runs = [" ".join(held[begin:begin + size]) for begin in range(max(1, len(held) - size + 1))] if held else []
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs)


def jaccard(first: Set[Any], second: Set[Any]) -> float:
    """Shared / all; 0 where both are empty."""
    return len(first & second) / len(first | second) if first or second else 0.0


def overlap(train: Sequence[str], test: Sequence[str], *, alike: float = ALIKE, size: int = SIZE) -> Overlap:
    """Near duplicates of test questions among the training questions, by the Jaccard of their shingles (Broder 1997).

    Only questions that share one of their rarest shingles are compared (two with a Jaccard of `alike` or more share one among
    any n - ⌈alike·n⌉ + 1 of the n that one has), and shingles of more than 200 training questions are left out unless a question
    has no other: the time grows with the rows, not with their product.
    """
    kept, holders = [shingles(text, size) for text in train], defaultdict(list)
    for place, held in enumerate(kept):
        for one in held:
            holders[one].append(place)
    twins = []
    for place, held in enumerate(shingles(text, size) for text in test):
        near = nearest(held, kept, holders, alike)
        if near is not None and near[1] >= alike:
            twins.append(Twin(place, *near))
    return Overlap(len(test), tuple(sorted(twins, key=lambda twin: (-twin.likeness, twin.test))), alike)


def nearest(held: frozenset[int], kept: Sequence[frozenset[int]], holders: dict[int, list[int]], alike: float) -> tuple[int, float] | None:
    """The place of the kept one most like it, and how like; the first of equals; None where none shares what is rare."""
    rare = sorted(held, key=lambda one: (len(holders.get(one, ())), one))
    rare = rare[:len(rare) - int(-(-alike * len(rare) // 1)) + 1]  # as many as one of them must be shared
    telling = [one for one in rare if len(holders.get(one, ())) <= COMMON] or rare[:1]
    candidates = sorted({place for one in telling for place in holders.get(one, ())})
    best = max(candidates, key=lambda place: (jaccard(held, kept[place]), -place), default=None)
    return None if best is None else (best, jaccard(held, kept[best]))


def copied(questions: Sequence[str], lists: Sequence[Sequence[Found]], answers: Sequence[str]) -> dict[str, list[str]]:
    """What mere copying would answer: the best passage's first sentences (as many as the answers have), the likest sentence."""
    held = [Asked(place, question, passages=tuple(Context(one.passage.text, one.passage.title) for one in found))
            for place, (question, found) in enumerate(zip(questions, lists, strict=True))]
    known = [Asked(place, "", answers=(answer,)) for place, answer in enumerate(answers)]
    rules: dict[str, Callable[[Asked], str]] = {"best passage's first sentences": first_sentences(known, None, 0).write,
                                                "sentence like the question": best_sentence(known, None, 0).write}
    return {name: [write(one) for one in held] for name, write in rules.items()}
