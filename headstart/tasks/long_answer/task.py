"""Long answer: a paragraph that answers a question from passages, says where each sentence stands, and when nothing answers.

M examples, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Feature,
    Field,
    Figure,
    HeadSpec,
    Json,
    Kind,
    Learned,
    Measures,
    Prediction,
    Row,
    RowFault,
    Target,
    Task,
    Tokenizer,
)
from headstart.errors import Finding
from headstart.settings import Count, Note
from headstart.tasks.long_answer import prompts
from headstart.tasks.long_answer.prompts import NOTHING, Asked, Context
from headstart.tasks.shared.column_detection import named
from headstart.tasks.shared.list_cells import good_answers, listed, number
from headstart.tasks.shared.text_pairs import plain
from headstart.text.words import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

PIECES = 1.6  # tokens that a word takes, generously: how much room a decoder leaves for its answer
LIST = 'Write passages as ["…"] or [{"text": "…", "title": "…", "document": "…"}].'
ABOUT = ("copied", "repetition")


@dataclass(frozen=True)
class Settings:
    """What answering at length can be told."""

    longest_target: Annotated[Count, Note("tokens of an answer that are learned; as many as the model takes when not given", low=4)] = None
    answer_score: Annotated[float, Note("further answers with this score or more are learned too, and right in evaluation")] = 3.0
    layout: Annotated[Literal["plain", "instruct"], Note("plain: question: … context: [1] …; instruct: an order to answer from the "
                                                         "passages and to cite them, for models that follow orders")] = "plain"
    chat: Annotated[bool, Note("decoders: lay the prompt out by the tokenizer's chat template, where it has one")] = True
    threshold: Annotated[float | None, Note("say that nothing answers where no passage's score reaches this; never when not given")] = None
    curriculum: Annotated[bool, Note("learn the first epoch's rows in the order of their file, easy ones first")] = False
    stem: Annotated[bool, Note("compare stems of words (ROUGE)")] = True


@dataclass(frozen=True)
class LongAnswer(Task[Asked]):
    """An answer in a few sentences, written from passages that a search found."""

    name: ClassVar[str] = "long-answer"
    summary: ClassVar[str] = "a paragraph that answers a question from passages, with citations"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", usual=("question", "title", "query")),
        Field("details", "what was asked beside it", required=False, usual=("details", "selftext", "description")),
        Field("passages", "texts to answer from, best first: [\"…\"] or [{\"text\": …, \"title\": …, \"document\": …, \"score\": …}]",
              type="list", required=False, usual=("passages", "contexts", "ctxs")),
        Field("answer", "the answer to write", required=False, target=True, usual=("answer", "long_answer")),
        Field("answers", "several, best first: [{\"text\": …, \"score\": …}]", type="list", required=False, target=True,
              usual=("answers",)),
        Field("document", "the document that answers", required=False, usual=("document",)),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder-decoder", "decoder")
    best: ClassVar[tuple[str, bool]] = ("rougeL", True)
    default_model: ClassVar[str] = "t5-small"
    Settings: ClassVar[type] = Settings
    writes: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Questions with lists of passages and answers."""
        found = {field.name: named(columns, field.usual) for field in cls.fields}
        held = {name: column.name for name, column in found.items() if column is not None}
        if not {"question", "passages"} <= set(held) or not {"answer", "answers"} & set(held):
            return None
        return Detection(held, 0.985, f"there are questions ({held['question']!r}) with passages ({held['passages']!r}) and answers")

    def read(self, row: Row) -> Asked:
        """Question, passages, answers; raises RowFault."""
        question = plain(row, "question")
        if question is None or not words(question):
            raise RowFault("E201", "the question has no word.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="question")
        passages = tuple(context(one, place) for place, one in enumerate(listed(row, "passages", LIST)))
        first = plain(row, "answer")
        answers = [first] if first is not None and first.strip() else []
        answers += good_answers(row, self.settings.answer_score, first=not answers)
        if not answers and any(row.values.get(name) not in (None, "", []) for name in ("answer", "answers")):
            raise RowFault("E201", "the answer is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="answer")
        return Asked(row.id, question, plain(row, "details") or "", passages,
                     tuple(dict.fromkeys(one.strip() for one in answers)) or None, plain(row, "document") or "")

    def subject(self, example: Asked) -> str:
        """The question."""
        return example.question

    def gold(self, example: Asked) -> Json:
        """The right answer, or all of them."""
        return None if example.answers is None else example.answers[0] if len(example.answers) == 1 else list(example.answers)

    def learn(self, examples: Iterable[Asked]) -> Learned:
        """How many words nearly all answers have: so much room a decoder leaves for its own."""
        sizes = sorted(len(words(one.answers[0])) for one in examples if one.answers)
        return Learned(values={"answer_words": sizes[min(len(sizes) - 1, math.ceil(0.995 * len(sizes)))] if sizes else 100})

    def check(self, splits: Mapping[str, Sequence[Asked]]) -> list[Finding]:
        """Rows without passages: what is learned from them is to answer from memory."""
        found = []
        for split, examples in splits.items():
            bare = [one.row for one in examples if not one.passages]
            if bare:
                found.append(Finding("W240", f"in {split}, {len(bare):,} of {len(examples):,} questions have no passages "
                                     f"(first: row {bare[0]}).",
                                     "A model cannot answer from what it does not read: add passages by a search (headstart index)."))
        return found

    def in_order(self, epoch: int) -> bool:
        """The first epoch, with a curriculum."""
        return bool(self.settings.curriculum) and epoch == 0

    def encode(self, example: Asked, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """The question, the passages that fit, and the first answer; in training one feature for each good answer, of weight 1/k.

        source "question: why? context: [1] …" and answer "because" become, for a decoder,
            ids     question: why? context: [1] …  because
            asked                                  because <end>
        """
        answers = (example.answers or ())[:1] if draw is None else example.answers or ()
        held = [tokenizer.tokenize(one).ids for one in answers]
        if tokenizer.continues:
            return self.written_on(example, tokenizer, held)
        room = tokenizer.room(1)
        ids, cut = prompts.fit(example, self.settings.layout, tokenizer, room)
        source, types = tokenizer.lay_out(ids)
        made = []
        for target in held:
            most = min(self.settings.longest_target or room, room)
            label = tokenizer.lay_out(target[:most])[0]
            info = {"target_cut": len(target) - most} if len(target) > most else {}
            made.append(Feature(source, types, {"label": Target(label, "asked")}, 1 / len(held), cut, info, [0] * len(label)))
        return made or [Feature(source, types, cut=cut)]

    def written_on(self, example: Asked, tokenizer: Tokenizer, answers: Sequence[Sequence[int]]) -> list[Feature]:
        """The same for a model that goes on with a text: prompt and answer in one, only the answer is asked."""
        longest, last = tokenizer.longest, [token for token in (tokenizer.end_id,) if token is not None]
        reserved = self.settings.longest_target or math.ceil(PIECES * self.known.values.get("answer_words", 100)) + len(last)
        reserved = min(reserved, longest // 2)
        before = [token for token in (tokenizer.start_id,) if token is not None]
        ids, cut = prompts.fit(example, self.settings.layout, tokenizer, longest - reserved - len(before), lambda text:
                                    tokenizer.as_prompt(text if text.endswith("Answer:") else f"{text}\nanswer:", chat=self.settings.chat))
        if ids[:1] != before:  # a chat template has it already
            ids = [*before, *ids]
        made = []
        for answer in answers:
            label = [*answer[:reserved - len(last)], *last]
            info = {"target_cut": len(answer) - reserved + len(last)} if len(answer) > reserved - len(last) else {}
            asks = list(range(len(ids) - 1, len(ids) - 1 + len(label)))
            whole = [*ids, *label]
            made.append(Feature(whole, [0] * len(whole), {"label": Target(label, "asked")}, 1 / len(answers), cut, info, asks))
        return made or [Feature(ids, [0] * len(ids), cut=cut)]

    def head(self) -> HeadSpec:
        """A score for each piece of the vocabulary, at each token that is written."""
        return self.head_for("encoder-decoder")

    def head_for(self, kind: Kind) -> HeadSpec:
        """An encoder-decoder reads the passages; a decoder goes on after them."""
        return HeadSpec("sequence-to-sequence" if kind == "encoder-decoder" else "causal-language-model", 0, loss="vocabulary")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """Not asked: a piece is what was written."""
        raise AssertionError("a task that writes keeps texts")

    def decode(self, example: Asked, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """The answer without its marks, the passages that it cites, and whether it says that nothing answers."""
        from headstart.metrics import grounding

        (piece,) = pieces
        scored = [one.score for one in example.passages if one.score is not None]
        threshold = self.settings.threshold
        silent = threshold is not None and bool(scored) and max(scored) < threshold
        cited = grounding.cite(NOTHING if silent else piece["text"], example.texts)
        abstained = silent or cited.text.startswith(NOTHING[:-1])
        return Prediction(example.row, prompts.values(cited, abstained=abstained, log_probability=piece["log_probability"]),
                          {"cited": cited, "ended": piece["ended"], "cut": piece["cut"], "tokens": piece["tokens"]})

    def measure(self, example: Asked, prediction: Prediction) -> Mapping[str, Any]:
        """Likeness to the right answers, support by the passages, and what a reader wants to know of the text."""
        from headstart.metrics import grounding, writing
        from headstart.metrics.rouge import rouge

        text, cited = str(prediction.values["prediction"]), prediction.detail["cited"]
        found = grounding.measures(cited)
        if prediction.values["abstained"] or not example.passages:
            found = dict.fromkeys(found, float("nan"))
        about = writing.measures(text, "\n".join(example.texts))
        return rouge(text, list(example.answers or ()), stem=self.settings.stem) | found | {name: about[name] for name in ABOUT} | {
            "answer_words": float(len(words(text))), "abstained": float(prediction.values["abstained"]),
            "ended": float(prediction.detail.get("ended", "end") == "end")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """rougeL, grounding, citation_precision, …"""
        from headstart.metrics import grounding, rouge
        from headstart.metrics.means import known_mean

        like = rouge.scores(measures, weights)
        rest = {name: known_mean(measures[name], weights) for name in (*ABOUT, "answer_words", "abstained", "ended")}
        return {"rougeL": like["rougeL"], **grounding.scores(measures, weights), **like, **rest}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics import grounding, rouge, writing

        if name in rouge.DEFINITIONS:
            return rouge.definition(name, stem=self.settings.stem), True, "no row has a right answer"
        if name in grounding.DEFINITIONS:
            return grounding.DEFINITIONS[name], name != "false_marks", "no answer has passages, or none says anything"
        if name in ABOUT:
            words_of = writing.DEFINITIONS[name].replace("its source", "the passages")
            return words_of, False, "no text has any"
        own = {"answer_words": ("mean number of words", True), "abstained": ("share of rows where it says that nothing answers", False),
               "ended": ("share of answers that end by themselves within generation.new_tokens", True)}
        return *own[name], "there are no rows"

    def warn(self, measures: Measures) -> str | None:
        """Whether nothing is written."""
        if measures["answer_words"].size and not measures["answer_words"].any():
            return "collapsed: the model writes nothing. If this lasts, train longer or lower the learning rate."
        return None

    def baselines(self) -> tuple[Baseline, ...]:
        """The best passage's first sentences, and the one sentence most like the question."""
        return prompts.BASELINES

    def figures(self, examples: Sequence[Asked], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """The answers least like the right ones, and those that the passages support least, with what each sentence cites."""
        return [prompts.shown("worst_answers", "Least like the right answer", "rougeL", examples, predictions, measures),
                prompts.shown("ungrounded", "Least supported by its passages", "grounding", examples, predictions, measures)]


def context(value: Json, place: int) -> Context:
    """One passage of a row; raises RowFault."""
    held = {"text": value} if isinstance(value, str) else value
    if not isinstance(held, dict) or not isinstance(held.get("text"), str) or not held["text"].strip():
        raise RowFault("E332", f"passage {place} is {value!r:.60}, a text was expected.", field="passages", fix=LIST)
    score = held.get("score")
    return Context(held["text"], str(held.get("title") or ""), str(held.get("document") or ""),
                   float(score) if score is not None and number(score) else None)
