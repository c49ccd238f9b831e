"""How an answer names a choice: by its number from 0 or from 1, its letter, its label, or its text.

One form is taken for a whole column, as a single cell says too little: of "2" beside the choices 2, 3, 4 and 5 nobody
can tell whether it is the first choice, the second or the third.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from headstart.contract import Json, Row, RowFault
from headstart.errors import Exit, UserError
from headstart.text.json_values import parse_cell

FORMS = {"label": "the labels that the choices have", "from_0": "numbers from 0", "from_1": "numbers from 1",
         "letter": "letters (A is the first choice)", "text": "the texts of choices"}
NEAR_SHARE = 0.95  # where no form fits all rows, one that fits nearly as many as the best is asked about
LETTER = re.compile(r"\(?([A-Za-z])\)?[.):]?")
NUMBER = re.compile(r"(\d{1,9})(\.0+)?")
UNLABELLED = frozenset(("-1",))  # the answer of a row that nobody labelled
LABEL_KEYS = ("label", "key", "id")


@dataclass(frozen=True)
class ChoiceList:
    """The choices of a row, and the labels that the file gives them (A, B …); no labels where it gives none."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()


def parse_choices(value: Json) -> ChoiceList:
    """Choices from a list of texts, of {"label", "text"}, an object of both lists or of texts by label; RowFault else.
    """
    value = list(value) if isinstance(value, tuple) else parse_cell(value)
    labels: list[Json] = []
    if isinstance(value, Mapping):
        texts, labels = texts_and_labels(value)
    elif isinstance(value, list) and value and all(isinstance(entry, Mapping) and "text" in entry for entry in value):
        texts = [entry["text"] for entry in value]
        labels = [next((entry[key] for key in LABEL_KEYS if key in entry), None) for entry in value]
    else:
        texts = value if isinstance(value, list) else None
    if texts is None or any(isinstance(text, list | Mapping) for text in texts):
        raise RowFault("E330", f"the choices are {value!r:.60}, a list of texts was expected.", field="choices",
                       fix='Write them as ["…", "…"], or name several columns: --choices first,second,third.')
    has_labels = len(labels) == len(texts) and all(label is not None and str(label).strip() for label in labels)
    return ChoiceList(tuple("" if text is None else str(text) for text in texts),
                      tuple(str(label).strip() for label in labels) if has_labels else ())


def texts_and_labels(value: Mapping[str, Json]) -> tuple[list[Json] | None, list[Json]]:
    """The choices of {"text": […], "label": […]}, or of {"A": "…", "B": "…"}; None for any other object."""
    if isinstance(value.get("text"), list):
        labels = value.get("label")
        return list(value["text"]), list(labels) if isinstance(labels, list) else []
    if len(value) > 1 and all(isinstance(text, str) for text in value.values()):
        return list(value.values()), list(value)
    return None, []


def positions(value: Json, choices: ChoiceList) -> dict[str, int]:
    """Which choice an answer is in each form that it may have: {"from_0": 2, "from_1": 1, "text": 0}."""
    text, count = str(value).strip(), len(choices.texts)
    indices: dict[str, int] = {}
    if choices.labels.count(text) == 1:
        indices["label"] = choices.labels.index(text)
    number = None if isinstance(value, bool) else NUMBER.fullmatch(text)
    if number is not None:
        indices |= {"from_0": int(number[1]), "from_1": int(number[1]) - 1}
    letter = LETTER.fullmatch(text)
    if letter is not None:
        indices["letter"] = ord(letter[1].upper()) - ord("A")
    stripped = [choice.strip() for choice in choices.texts]
    if stripped.count(text) == 1:
        indices["text"] = stripped.index(text)
    return {form: index for form, index in indices.items() if 0 <= index < count}


def answer_index(value: Json, choices: ChoiceList, form: str) -> int | None:
    """The index of the right choice; None where there is no answer; raises RowFault for what is none of the choices.

    In the form "auto", for a row whose column nobody has seen, numbers count from 0 and all forms must agree.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    indices = positions(value, choices)
    if str(value).strip() in UNLABELLED and not indices:
        return None
    if form != "auto":
        if form in indices:
            return indices[form]
        expected = f"The answers are read as {FORMS[form]}"
        raise RowFault("E333", f"the answer is {str(value)!r:.60}, none of the {len(choices.texts)} choices.",
                       field="answer", fix=f"{expected}; fix it, or set task.answer_form to another form.")
    if "label" in indices:
        return indices["label"]
    indices.pop("from_1", None)
    if len(set(indices.values())) == 1:
        return next(iter(indices.values()))
    if indices:
        readings = " or ".join(f"{choices.texts[index]!r:.40} ({form})" for form, index in indices.items())
        raise RowFault("E333", f"the answer {str(value)!r:.60} may be {readings}.", field="answer",
                       fix=f"Say what answers are: --set task.answer_form={' or '.join(indices)}.")
    raise RowFault("E333", f"the answer is {str(value)!r:.60}, none of the {len(choices.texts)} choices.",
                   field="answer", fix=f"Give its number from 0 to {len(choices.texts) - 1}, its letter, or its text.")


@dataclass
class AnswerEvidence:
    """How many answers fit each form, and where two forms say different choices."""

    rows: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)  # of conflicts, in words
    file: str = ""

    def add(self, value: Json, choices: ChoiceList, row: Row) -> None:
        """One more answer."""
        indices = positions(value, choices)
        self.rows, self.file = self.rows + 1, row.file
        self.fits.update(indices.keys())
        for pair in combinations(FORMS, 2):
            first, second = (indices.get(form) for form in pair)
            if first != second:
                self.conflicts[pair] += 1
                if first is not None and second is not None and pair not in self.examples:
                    place = f"line {row.line}" if row.line is not None else f"row {row.id}"
                    self.examples[pair] = (f"{place}: {str(value)!r:.40} is {choices.texts[first]!r:.40}, or "
                                           f"{choices.texts[second]!r:.40}")

    def form(self, preferred: str) -> str:
        """The one form of all answers, "auto" where none fits any; raises UserError (65) where two fit equally well.
        """
        best = max(self.fits.values(), default=0)
        if not best:
            return "auto"
        if self.fits[preferred] == best:
            return preferred
        enough = best if best == self.rows else NEAR_SHARE * best
        forms = sorted((form for form in FORMS if self.fits[form] >= enough), key=lambda form: -self.fits[form])
        alternatives = [form for form in forms[1:] if self.conflicts[self.pair(forms[0], form)]]
        if alternatives:
            raise self.question(forms, self.pair(forms[0], alternatives[0]))
        return forms[0]

    def pair(self, first: str, second: str) -> tuple[str, str]:
        """Two forms in the order in which conflicts are counted."""
        return (first, second) if list(FORMS).index(first) < list(FORMS).index(second) else (second, first)

    def question(self, forms: Sequence[str], pair: tuple[str, str]) -> UserError:
        """Which of the forms is meant, with how much these two differ."""
        example = f" ({self.examples[pair]})" if pair in self.examples else ""
        return UserError(f"{self.file}: the answers of {self.fits[forms[0]]:,} of {self.rows:,} rows fit as "
                         f"{' and as '.join(FORMS[form] for form in forms)}, which are other choices in "
                         f"{self.conflicts[pair]:,} of them{example}.",
                         fix="Say which they are: " + " or ".join(f"--set task.answer_form={form}" for form in forms)
                         + ".", exit=Exit.DATA)


def column_form(cells: Iterable[tuple[Row, Json, ChoiceList]],
                preferred: str = "label") -> tuple[str, AnswerEvidence]:
    """The one form of a whole column of answers, and what speaks for it; raises UserError (65) where two fit equally
    well and neither is the preferred one.
    """
    evidence = AnswerEvidence()
    for row, value, choices in cells:
        if value is not None and str(value).strip() not in ("", *UNLABELLED):
            evidence.add(value, choices, row)
    return evidence.form(preferred), evidence
