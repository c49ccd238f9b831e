"""Answers generated from passages: streamed, cited, refused where nothing answers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from headstart.artifacts import artifact
from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.contract import Feature, Json, Learned, Row
from headstart.errors import Exit, UserError
from headstart.generation.dispatch import generate_for_features
from headstart.generation.encoder_decoder import generation_settings
from headstart.generation.family_inputs import check_model
from headstart.metrics import grounding
from headstart.models.loading.load import load as load_model
from headstart.models.loading.model_info import model_info
from headstart.models.precision import in_precision
from headstart.retrieval.answering.nli import load_support_scorer
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.settings import Generation
from headstart.tasks.long_answer.prompts import NO_ANSWER, QuestionWithPassages
from headstart.tasks.long_answer.task import LongAnswer, Settings
from headstart.text.words import tokenize_words

if TYPE_CHECKING:
    from headstart.generation.generate import GeneratedText
    from headstart.models.model import Model

PARTIAL_MARK = re.compile(r"\s*(?:\[[\d,;\s]*)?$")  # what may become a citation mark, or the blank before one


@dataclass(frozen=True)
class Answer:
    """An answer with its sentences, each {"text", "citations": [n]}; n counts the passages that were given, from 1.

    `note` says in words what a reader should know: why nothing was generated, what was skipped. `grounding` is the mean
    support of the sentences by what they cite (0 to 1), None where nothing was claimed. `truncated_tokens` did not fit
    into the model.
    """

    prediction: str
    sentences: list[dict[str, Json]]
    citations: list[int]
    abstained: bool
    note: str = ""
    grounding: float | None = None
    log_probability: float = 0.0
    truncated_tokens: int = 0


@dataclass(frozen=True)
class AnswerGenerator:
    """A model that answers questions from passages; `scorer` measures how far passages support a sentence."""

    task: LongAnswer
    model: Model
    scorer: grounding.SupportScorer = grounding.word_supports

    @classmethod
    def load(cls, reference: str, *, device: str = "cpu", allow_pickle: bool = False,
             entailment: str | None = None, precision: str = "fp32") -> Self:
        """A run, folder, hub name or pip:PACKAGE; one that was not trained for long-answer follows an instruction in
        its prompt.

        With `entailment` (a model that labels pairs, one of its labels "entailment") sentences are scored by that model
        instead of by their words. Raises UserError (2, 66, 69) for what is not there or cannot generate.
        """
        folder = model_folder(reference)
        recorded = read_metadata(folder)
        if recorded is not None and recorded["task"] == LongAnswer.name:
            task, model = artifact.load(reference, device=device, allow_pickle=allow_pickle)
        else:
            info = model_info(folder, allow_pickle=allow_pickle)
            check_model(info)
            model = load_model(folder, None, seed=0, device=device, allow_pickle=allow_pickle)
            task = LongAnswer(Settings(layout="instruct" if model.tokenizer.causal else "plain"), Learned())
        assert isinstance(task, LongAnswer)
        return cls(task, in_precision(model, precision), grounding.word_supports if entailment is None
                   else load_support_scorer(entailment, device=device))

    @property
    def settings(self) -> Generation:
        """The generation settings by default: those of its run, else of its folder."""
        return generation_settings(self.model, self.task.learned.values.get("generation") or {})

    def answer(self, question: str, passages: Sequence[ScoredPassage], settings: Generation | None = None, *,
               seed: int = 0,
               threshold: float | None = None, stream: Callable[[str], None] | None = None,
               from_memory: bool = False) -> Answer:
        """One answer; `stream` gets it while it is generated, without citation marks, all of it together being
        `prediction`.

        Where no passage's score reaches the threshold, or there is none, it abstains; with `from_memory` it generates
        without passages. Raises UserError (2) for a question without a word.
        """
        (example,) = self.examples([question], [passages])
        refusal = None if from_memory and not passages else abstention(passages, threshold)
        if refusal:
            if stream is not None:
                stream(NO_ANSWER)
            return refusal
        (feature,) = self.task.encode(example, self.model.tokenizer)
        filtered_stream = MarkFilter(stream) if stream is not None else None
        generation = self.single_answer_settings(settings)
        ((generated, *_),) = generate_for_features(self.model, [feature], generation, seed=seed, stream=filtered_stream)
        answer = self.cited_answer(example, feature, generated)
        if filtered_stream is not None:
            filtered_stream.finish(answer.prediction)
        return answer

    def answers(self, questions: Sequence[str], passages: Sequence[Sequence[ScoredPassage]],
                settings: Generation | None = None, *, seed: int = 0, threshold: float | None = None) -> list[Answer]:
        """The same for many questions, in their order; those of like length share a batch."""
        answers: list[Answer | None] = [abstention(hits, threshold) for hits in passages]
        examples = self.examples(questions, passages)
        open_indices = [index for index, answer in enumerate(answers) if answer is None]
        features = [self.task.encode(examples[index], self.model.tokenizer)[0] for index in open_indices]
        texts = generate_for_features(self.model, features, self.single_answer_settings(settings), seed=seed)
        for index, feature, (generated, *_) in zip(open_indices, features, texts, strict=True):
            answers[index] = self.cited_answer(examples[index], feature, generated)
        return [answer for answer in answers if answer is not None]

    def single_answer_settings(self, settings: Generation | None) -> Generation:
        """The settings for one answer a question."""
        generation = settings or self.settings
        return generation if generation.num_return_sequences == 1 else dataclasses.replace(
            generation, num_return_sequences=1)

    def examples(self, questions: Sequence[str],
                 passages: Sequence[Sequence[ScoredPassage]]) -> list[QuestionWithPassages]:
        """Questions with their passages as the task reads them; raises UserError (2)."""
        examples = []
        for index, (question, hits) in enumerate(zip(questions, passages, strict=True)):
            if not tokenize_words(question):
                raise UserError(f"The question is {question!r}; it has no word.", fix="Ask something.", exit=Exit.USAGE)
            examples.append(self.task.read(Row(index,
                                               {"question": question, "passages": [passage_row(hit) for hit in hits]})))
        return examples

    def cited_answer(self, example: QuestionWithPassages, feature: Feature, generated: GeneratedText) -> Answer:
        """The generated text as an answer with its citations."""
        cited = grounding.cite(generated.text, example.texts, scorer=self.scorer)
        abstained = cited.text.startswith(NO_ANSWER[:-1])
        measures = grounding.measures(cited)
        truncated = feature.truncated_tokens
        notes = [
            f"{truncated:,} tokens of the passages did not fit into the model and were not read."] if truncated else []
        notes += [] if example.passages else ["Generated without passages: no document supports it."]
        notes += ["The model generated nothing."] if not cited.text else []
        notes += ([
            "The answer was cut off at generation.max_new_tokens."] if generated.finish_reason == "length"
                  and cited.text else [])
        notes += [
            f"{cited.false_marks} of its citations name no passage; they were removed."] if cited.false_marks else []
        supported = None if abstained or not example.passages or math.isnan(measures["grounding"]) else measures[
            "grounding"]
        return Answer(cited.text, sentence_rows(cited, bare=abstained), [] if abstained else cited.citations, abstained,
                      " ".join(notes), supported, sum(generated.log_probabilities), feature.truncated_tokens)


def passage_row(hit: ScoredPassage) -> dict[str, Json]:
    """A scored passage as a row of the task holds it."""
    passage = hit.passage
    return {"text": passage.text, "title": passage.title, "document": passage.document, "score": hit.score}


def best_score(passages: Sequence[ScoredPassage]) -> float:
    """The best passage's score; -inf where nothing was found."""
    return max((hit.score for hit in passages), default=-math.inf)


def abstention(passages: Sequence[ScoredPassage], threshold: float | None) -> Answer | None:
    """An abstaining answer where no passage reaches the threshold or there is none; else None."""
    score = best_score(passages)
    if passages and (threshold is None or score >= threshold):
        return None
    note = (f"The best passage's score is {score:.3f}; from {threshold:.3f} on an answer is generated." if passages
            else "No passage was found.")
    return Answer(NO_ANSWER, [{"text": NO_ANSWER, "citations": []}], [], True, note)


def sentence_rows(cited: grounding.CitedText, *, bare: bool = False) -> list[dict[str, Any]]:
    """The sentences as JSON; `bare`: without citations."""
    return [{"text": sentence.text, "citations": [] if bare else list(sentence.citations)}
            for sentence in cited.sentences]


class MarkFilter:
    """Hands a text on while it is generated, without citation marks and without space at its ends."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self.emit, self.text, self.emitted = emit, "", ""

    def __call__(self, piece: str) -> None:
        """A further piece; what may yet become a mark waits."""
        self.text += piece
        partial_mark = PARTIAL_MARK.search(self.text)
        self.emit_new(grounding.strip_citations(self.text[:partial_mark.start()] if partial_mark else self.text)[0])

    def emit_new(self, clean_text: str) -> None:
        """Hand on what was not yet emitted."""
        if len(clean_text) > len(self.emitted) and clean_text.startswith(self.emitted):
            self.emit(clean_text[len(self.emitted):])
            self.emitted = clean_text

    def finish(self, clean_text: str) -> None:
        """The rest of the text."""
        self.emit_new(clean_text)
