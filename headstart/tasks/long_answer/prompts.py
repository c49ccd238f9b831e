"""Questions with passages as model input, and the cheap rivals of models that answer them."""

from __future__ import annotations

import dataclasses
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headstart.contract import Baseline, Example, Figure, Measures, Prediction, Tokenizer
from headstart.metrics import grounding
from headstart.text.sentences import sentence_spans, sentences

NOTHING = "Nothing in these documents answers this."
ORDER = ("Answer the question in a few sentences, from the passages below and from nothing else. After each sentence write the number of "
         f"the passage it comes from, like this: [1]. If the passages do not answer the question, write: {NOTHING}")
Layout = Literal["plain", "instruct"]
MOST_SHOWN = 20


@dataclass(frozen=True)
class Context:
    """A passage as a row brings it: its text, its document's title, the document, the score of the search that found it."""

    text: str
    title: str = ""
    document: str = ""
    score: float | None = None

    @property
    def whole(self) -> str:
        """Title and text."""
        return self.text if not self.title or self.text.startswith(self.title) else f"{self.title}. {self.text}"


@dataclass(frozen=True)
class Asked(Example):
    """A question with its passages, best first, and the answers that are right, the best first; None when predicting."""

    question: str
    details: str = ""
    passages: tuple[Context, ...] = ()
    answers: tuple[str, ...] | None = None
    document: str = ""

    @property
    def texts(self) -> list[str]:
        """The passages as they are cited."""
        return [one.whole for one in self.passages]


def harmless(text: str) -> str:
    """A text on one line, without marks like [3], and with a blank after each "<".

    So no passage cites for the writer, begins a line of the prompt's own, or holds a special token ("</s>", "<|im_end|>").
    """
    return re.sub(r"<(?=\S)", "< ", " ".join(grounding.MARK.sub("", text).split()))


def parted(example: Asked, layout: Layout) -> tuple[str, list[str], str]:
    """What stands before the passages, the passages with their numbers, and what stands after them."""
    question = " ".join(part for part in (harmless(example.question), harmless(example.details)) if part)
    held = [f"[{number}] {harmless(text)}" for number, text in enumerate(example.texts, start=1)]
    if layout == "instruct":
        return f"{ORDER}\n\nPassages:", [f"\n{one}" for one in held], f"\n\nQuestion: {question}\nAnswer:"
    return f"question: {question} context:", [f" {one}" for one in held], ""


def fit(example: Asked, layout: Layout, tokenizer: Tokenizer, room: int, finish: Callable[[str], str] = str) -> tuple[list[int], int]:
    """The ids of question and passages in at most `room` tokens, and how many tokens were left out.

    Passages stay in their order; the last one that fits is cut at the end of a sentence. Where not even the question and one
    sentence fit, the text is cut where the room ends. `finish` makes the prompt of a text.
    """
    def ids(passages: str) -> list[int]:
        return list(tokenizer.tokenize(finish(before + passages + after)).ids)

    before, parts, after = parted(example, layout)
    context = "".join(parts)
    whole = ids(context)
    if len(whole) <= room:
        return whole, 0
    if example.details:
        before, parts, after = parted(brief(example, tokenizer, room), layout)
    borders = ends(parts)
    count = bisect_right(borders, room, key=lambda end: len(ids(context[:end])))
    kept = ids(context[:borders[count - 1]]) if count else []
    if not kept:
        kept = shortened(whole, ids(""), room)
    return kept, len(whole) - len(kept)


def brief(example: Asked, tokenizer: Tokenizer, room: int) -> Asked:
    """The same question with whole sentences of its details, in at most a third of the room."""
    details = harmless(example.details)
    borders = [end for _, end in sentence_spans(details)]
    count = bisect_right(borders, room // 3, key=lambda end: len(tokenizer.tokenize(details[:end]).ids))
    return dataclasses.replace(example, details=details[:borders[count - 1]] if count else "")


def shortened(whole: Sequence[int], bare: Sequence[int], room: int) -> list[int]:
    """A text that has no border in the room, cut in its middle, so that what stands last (the question, "Answer:") stays.

    `bare` is the same text without passages: what both end with is kept, at most half of the room.
    """
    room, same = max(1, room), 0
    while same < min(len(whole), len(bare), room // 2) and whole[-1 - same] == bare[-1 - same]:
        same += 1
    return [*whole[:room - same], *whole[len(whole) - same:]]


def ends(parts: Sequence[str]) -> list[int]:
    """Where sentences of the joined parts end, ascending."""
    found, begin = [], 0
    for part in parts:
        text = part.split("]", 1)[1]  # after the passage's number, which is no sentence
        lead = begin + len(part) - len(text)
        found += [lead + end for _, end in sentence_spans(text)]
        begin += len(part)
    return found


def values(cited: grounding.Cited, *, abstained: bool, log_probability: float) -> dict[str, Any]:
    """The columns of a prediction."""
    return {"prediction": cited.text, "citations": [] if abstained else cited.citations, "abstained": abstained,
            "log_probability": log_probability}


@dataclass(frozen=True)
class Rule:
    """An answer from the passages, by rule."""

    write: Callable[[Asked], str]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One answer an example, with the passages that it stands in."""
        found = []
        for one in examples:
            cited = grounding.cite(self.write(one), one.texts)
            found.append(Prediction(one.row, values(cited, abstained=False, log_probability=0.0), {"cited": cited, "ended": "end"}))
        return found


def first_sentences(examples: Sequence[Any], states: Any, seed: int) -> Rule:
    """As many first sentences of the best passage as training answers have."""
    from headstart.baselines.lead import lead, lead_size

    size = lead_size([len(sentences(one.answers[0])) for one in examples if one.answers])
    return Rule(lambda one: lead(harmless(one.passages[0].text), sentences=size).replace("\n", " ") if one.passages else "")


def best_sentence(examples: Sequence[Any], states: Any, seed: int) -> Rule:
    """The one sentence of all passages that shares most words with the question."""
    from headstart.baselines.overlap import best_sentence as likest

    def write(one: Asked) -> str:
        text = "\n".join(harmless(passage.text) for passage in one.passages)
        begin, end = likest(one.question, text)
        return text[begin:end]

    return Rule(write)


BASELINES = (Baseline("best passage's first sentences", first_sentences), Baseline("sentence like the question", best_sentence))


def shown(name: str, title: str, by: str, examples: Sequence[Asked], predictions: Sequence[Prediction], measures: Measures) -> Figure:
    """The answers with the lowest value of a measure, each sentence with what it cites, beside the question."""
    import numpy as np

    values = np.asarray(measures[by], dtype=np.float64)
    order = [int(place) for place in np.argsort(values, kind="stable") if not np.isnan(values[place])][:MOST_SHOWN]
    items = []
    for place in order:
        cited = predictions[place].detail["cited"]
        written = " ".join(f"{one.text}{''.join(f'[{number}]' for number in one.citations)}" for one in cited.sentences)
        items.append({"text": examples[place].question[:2000], "title": f"row {examples[place].row}",
                      "fields": {"written": written, "in the file": " | ".join(examples[place].answers or ()),
                                 by: float(values[place])}})
    return Figure(name, title, "texts", {"items": items})
