"""Answers written from passages: streamed, cited, refused where nothing answers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from headstart.contract import Feature, Json, Learned, Row
from headstart.errors import Exit, UserError
from headstart.generation.dispatch import write
from headstart.generation.encoder_decoder import settings_of
from headstart.generation.family_inputs import refuse_unfit
from headstart.metrics import grounding
from headstart.retrieval.documents.passage import Found
from headstart.settings import Generation
from headstart.tasks.long_answer.prompts import NOTHING, Asked
from headstart.tasks.long_answer.task import LongAnswer, Settings
from headstart.text.words import words

if TYPE_CHECKING:
    from headstart.generation.generate import Written
    from headstart.models.model import Model

WAITING = re.compile(r"\s*(?:\[[\d,;\s]*)?$")  # what may become a mark, or the blank before one


@dataclass(frozen=True)
class Answer:
    """An answer with its sentences, each {"text", "citations": [n]}; n counts the passages that were given, from 1.

    `note` says in words what a reader should know: why nothing was written, what was left out. `grounding` is the mean support
    of the sentences by what they cite (0 to 1), None where nothing was claimed. `cut` counts tokens that did not fit.
    """

    prediction: str
    sentences: list[dict[str, Json]]
    citations: list[int]
    abstained: bool
    note: str = ""
    grounding: float | None = None
    log_probability: float = 0.0
    cut: int = 0


@dataclass(frozen=True)
class Writer:
    """A model that answers questions from passages."""

    task: LongAnswer
    model: Model
    judge: grounding.Judge = grounding.by_words

    @classmethod
    def load(cls, reference: str, *, device: str = "cpu", allow_pickle: bool = False, entailment: str | None = None) -> Self:
        """A run, folder, hub name or pip:PACKAGE; one that was not trained for long-answer follows an order in its prompt.

        With `entailment` (a model that labels pairs, one of its labels "entailment") sentences are judged by that model instead of
        by their words. Raises UserError (2, 66, 69) for what is not there or cannot write.
        """
        from headstart.artifacts import artifact
        from headstart.models.loading.load import load as load_model
        from headstart.models.loading.model_info import facts
        from headstart.retrieval.answering.nli import judge

        place = artifact.model_folder(reference)
        held = artifact.read(place)
        if held is not None and held["task"] == LongAnswer.name:
            task, model = artifact.load(reference, device=device, allow_pickle=allow_pickle)
        else:
            known = facts(place, allow_pickle=allow_pickle)
            refuse_unfit(known)
            model = load_model(place, None, seed=0, device=device, allow_pickle=allow_pickle)
            task = LongAnswer(Settings(layout="instruct" if model.tokenizer.continues else "plain"), Learned())
        assert isinstance(task, LongAnswer)
        return cls(task, model, grounding.by_words if entailment is None else judge(entailment, device=device))

    @property
    def settings(self) -> Generation:
        """How it writes unless told otherwise: as its run kept it, else as its folder says."""
        return settings_of(self.model, self.task.known.values.get("generation") or {})

    def answer(self, question: str, passages: Sequence[Found], settings: Generation | None = None, *, seed: int = 0,
               threshold: float | None = None, stream: Callable[[str], None] | None = None, from_memory: bool = False) -> Answer:
        """One answer; `stream` hears it while it is written, without marks, all of it together being `prediction`.

        Where no passage's score reaches the threshold, or there is none, it says so and writes nothing; with `from_memory` it
        writes although there is none. Raises UserError (2) for a question without a word.
        """
        (example,) = self.examples([question], [passages])
        silent = None if from_memory and not passages else unanswered(passages, threshold)
        if silent:
            if stream is not None:
                stream(NOTHING)
            return silent
        (feature,) = self.task.encode(example, self.model.tokenizer)
        told = Clean(stream) if stream is not None else None
        chosen = self.fitted(settings)
        ((written, *_),) = write(self.model, [feature], chosen, seed=seed, stream=told)
        made = self.made(example, feature, written)
        if told is not None:
            told.finish(made.prediction)
        return made

    def answers(self, questions: Sequence[str], passages: Sequence[Sequence[Found]], settings: Generation | None = None, *, seed: int = 0,
                threshold: float | None = None) -> list[Answer]:
        """The same for many questions, in their order; those of like length are written side by side."""
        found: list[Answer | None] = [unanswered(one, threshold) for one in passages]
        examples = self.examples(questions, passages)
        asked = [place for place, one in enumerate(found) if one is None]
        features = [self.task.encode(examples[place], self.model.tokenizer)[0] for place in asked]
        texts = write(self.model, features, self.fitted(settings), seed=seed)
        for place, feature, (written, *_) in zip(asked, features, texts, strict=True):
            found[place] = self.made(examples[place], feature, written)
        return [one for one in found if one is not None]

    def fitted(self, settings: Generation | None) -> Generation:
        """The settings for one text a question."""
        chosen = settings or self.settings
        return chosen if chosen.answers == 1 else dataclasses.replace(chosen, answers=1)

    def examples(self, questions: Sequence[str], passages: Sequence[Sequence[Found]]) -> list[Asked]:
        """Questions with their passages as the task reads them; raises UserError (2)."""
        made = []
        for place, (question, held) in enumerate(zip(questions, passages, strict=True)):
            if not words(question):
                raise UserError(f"The question is {question!r}; it has no word.", fix="Ask something.", exit=Exit.USAGE)
            made.append(self.task.read(Row(place, {"question": question, "passages": [row(one) for one in held]})))
        return made

    def made(self, example: Asked, feature: Feature, written: Written) -> Answer:
        """What was written, with its citations."""
        cited = grounding.cite(written.text, example.texts, judge=self.judge)
        abstained = cited.text.startswith(NOTHING[:-1])
        measures = grounding.measures(cited)
        notes = [f"{feature.cut:,} tokens of the passages did not fit into the model and were not read."] if feature.cut else []
        notes += [] if example.passages else ["Written from memory: no document stands behind it."]
        notes += ["The model wrote nothing."] if not cited.text else []
        notes += ["The answer ends where generation.new_tokens ended it."] if written.ended == "length" and cited.text else []
        notes += [f"{cited.false_marks} of its marks name no passage; they were taken out."] if cited.false_marks else []
        supported = None if abstained or not example.passages or math.isnan(measures["grounding"]) else measures["grounding"]
        return Answer(cited.text, sentences_of(cited, bare=abstained), [] if abstained else cited.citations, abstained, " ".join(notes),
                      supported, sum(written.log_probabilities), feature.cut)


def row(found: Found) -> dict[str, Json]:
    """A found passage as the task's rows hold one."""
    held = found.passage
    return {"text": held.text, "title": held.title, "document": held.document, "score": found.score}


def confidence(passages: Sequence[Found]) -> float:
    """How sure a search is that something answers: the best passage's score; -inf where nothing was found."""
    return max((one.score for one in passages), default=-math.inf)


def unanswered(passages: Sequence[Found], threshold: float | None) -> Answer | None:
    """The answer that nothing answers, where no passage reaches the threshold or there is none; else None."""
    best = confidence(passages)
    if passages and (threshold is None or best >= threshold):
        return None
    why = f"The best passage's score is {best:.3f}; from {threshold:.3f} on an answer is written." if passages else "No passage was found."
    return Answer(NOTHING, [{"text": NOTHING, "citations": []}], [], True, why)


def sentences_of(cited: grounding.Cited, *, bare: bool = False) -> list[dict[str, Any]]:
    """The sentences as JSON; `bare`: without citations."""
    return [{"text": one.text, "citations": [] if bare else list(one.citations)} for one in cited.sentences]


class Clean:
    """Hands a text on while it is written, without marks and without space at its ends."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self.hear, self.text, self.said = hear, "", ""

    def __call__(self, piece: str) -> None:
        """A further piece; what may yet become a mark waits."""
        self.text += piece
        waiting = WAITING.search(self.text)
        self.tell(grounding.unmarked(self.text[:waiting.start()] if waiting else self.text)[0])

    def tell(self, whole: str) -> None:
        """What was not yet said."""
        if len(whole) > len(self.said) and whole.startswith(self.said):
            self.hear(whole[len(self.said):])
            self.said = whole

    def finish(self, whole: str) -> None:
        """The rest of the text."""
        self.tell(whole)
