"""Question answering: the part of a passage that answers a question, or that nothing does.

L tokens of a feature, M examples, R resamples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Doubt,
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
    Target,
    Task,
    Tokenizer,
    Tokens,
)
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.question_answering import reading
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.shared.column_detection import named
from headstart.text.windows import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

QUESTIONS, PASSAGES = ("question", "query"), ("passage", "context", "document", "paragraph", "article")
ANSWERS, STARTS = ("answer", "answers", "answer_text"), ("start", "answer_start")
BEAMS = ("XLNetForQuestionAnswering", "XLMForQuestionAnswering")  # published with heads that follow several starts
DEFAULT = 0.5  # threshold of the no-answer odds before any is tuned


@dataclass(frozen=True)
class Settings:
    """What question answering can be told."""

    overlap: Annotated[int, Note("tokens that neighbouring windows of a long passage share", low=0)] = 128
    longest_question: Annotated[int, Note("tokens of a question that are kept", low=1)] = 64
    longest_answer: Annotated[int, Note("tokens of an answer", low=1)] = 30
    n_best: Annotated[int, Note("answers that are weighed against each other", low=1)] = 20
    beams: Annotated[bool, Note("follow several starts to their ends, with a class for no answer (XLNet, XLM)")] = False
    no_answer: Annotated[Literal["auto", "yes", "no"], Note("whether questions may have no answer; auto: as in training")] = "auto"


@dataclass(frozen=True)
class QuestionAnswering(Task[Question]):
    """Where in a passage the answer to a question stands."""

    name: ClassVar[str] = "question-answering"
    summary: ClassVar[str] = "the part of a passage that answers a question (SQuAD 1.1 and 2.0)"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", usual=QUESTIONS),
        Field("passage", "the text that holds the answer", usual=PASSAGES),
        Field("answer", "a part of the passage, or several that are right; empty where there is none", target=True, usual=ANSWERS,
              empty=True),
        Field("start", "characters of the passage before the answer", type="number", required=False, target=True, empty=True, usual=STARTS),
        Field("impossible", "true for a question without an answer", required=False, target=True, empty=True, usual=("is_impossible",)),
        Field("id", "the question's name in the official files", required=False, usual=("id", "qid")),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A question, a passage and an answer, by their names."""
        found = {field.name: named(columns, field.usual) for field in cls.fields}
        if found["question"] is None or found["passage"] is None:
            return None
        held = {name: column.name for name, column in found.items() if column is not None}
        return Detection(held, 0.98 if "answer" in held else 0.9, "there are columns for question and passage")

    def read(self, row: Row) -> Question:
        """The question, and where its first answer stands; raises RowFault."""
        return reading.read(row)

    def subject(self, example: Question) -> str:
        """The question on its passage."""
        return f"{example.question}\n{example.passage}"

    def unit(self, example: Question) -> str:
        """All questions on a passage stay together."""
        return example.passage

    def gold(self, example: Question) -> Json:
        """The answers, none for an unanswerable question."""
        return None if example.answers is None else list(example.answers)

    def group(self, example: Question) -> Hashable:
        """Questions on one passage depend on one another."""
        return example.passage

    def check(self, splits: Mapping[str, Sequence[Question]]) -> list[Finding]:
        """Repaired answers, questions without one, ids that come twice."""
        return reading.check(splits)

    def cuts(self) -> bool:
        """Passages are read in windows."""
        return False

    def learn(self, examples: Iterable[Question]) -> Learned:
        """Whether some questions have no answer."""
        without = any(example.answers == () for example in examples)
        return Learned(values={"no_answer": without if self.settings.no_answer == "auto" else self.settings.no_answer == "yes",
                               "threshold": DEFAULT, "beams": self.settings.beams})

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a question-answering head; it always answers unless told that it need not."""
        architecture = (config.get("architectures") or [""])[0]
        if not architecture.endswith(("ForQuestionAnswering", "ForQuestionAnsweringSimple")):  # the latter: XLNet, XLM
            return None
        return Learned(values={"no_answer": False, "threshold": DEFAULT, "beams": architecture in BEAMS})

    def encode(self, example: Question, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """The question beside each window of the passage."""
        question, passage = tokenizer.tokenize(example.question), tokenizer.tokenize(example.passage)
        room = tokenizer.room(2)
        asked = list(question.ids[:max(1, min(self.settings.longest_question, room // 2))])
        room -= len(asked)
        parts = windows(len(passage.ids), room, min(self.settings.overlap, room // 2))
        at = tokenizer.lay_out(asked, [-1])[0].index(-1)
        answer = tokens_of(passage, example) if example.answers is not None else None
        made = []
        for begin, end in parts:
            ids, types = tokenizer.lay_out(asked, passage.ids[begin:end])
            targets: dict[str, Target] = {}
            none = tokenizer.summary_place(len(ids))
            if answer is not None:
                inside = begin <= answer[0] and answer[1] < end
                place = [answer[0] - begin + at, answer[1] - begin + at] if inside else [none, none]
                targets = {"label": Target(place)}
            if self.beams:  # no answer where the passage is not; "none" is an answer too
                targets["outside"] = Target([int(not (at <= one < at + end - begin or one == none)) for one in range(len(ids))], "token")
            info = {} if draw is not None else {"at": at, "none": none, "offsets": list(passage.offsets or ())[begin:end],
                                                "pieces": "\n".join(tokenizer.pieces(ids))}
            made.append(Feature(ids, types, targets, weight=1 / len(parts), cut=len(question.ids) - len(asked), info=info))
        return made

    def head(self) -> HeadSpec:
        """Two scores for each token: of being the answer's first, and its last."""
        return HeadSpec("question-answering-beams", 2, loss="beam-span") if self.beams else HeadSpec("question-answering", 2, loss="span")

    @property
    def beams(self) -> bool:
        """Whether the head follows several starts to their ends."""
        return bool(self.settings.beams or (self.learned is not None and self.learned.values.get("beams")))

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The window's best answers with their characters, the score of none, and all scores for the figures."""
        logits, at = output["logits"].astype("float64"), int(feature.info["at"])
        offsets = feature.info["offsets"]
        kept = {"scores": logits.astype("float32"), "pieces": feature.info["pieces"], "types": bytes(feature.types or [])}
        if self.beams:
            return {"odds": float(output["none"]), "spans": followed(output, at, offsets, self.settings.longest_answer), **kept}
        inner = logits[at:at + len(offsets)]
        found = [(score, offsets[first][0], offsets[last][1])
                 for score, first, last in best_spans(inner, self.settings.longest_answer, self.settings.n_best)]
        return {"none": float(logits[int(feature.info["none"])].sum()), "spans": found, **kept}

    def decode(self, example: Question, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """The best answer of all windows, or none where that is likelier than the threshold."""
        scored: dict[tuple[int, int], float] = {}
        for piece in pieces:
            for score, begin, end in piece["spans"]:
                scored[begin, end] = max(score, scored.get((begin, end), -math.inf))
        ranked = sorted(scored.items(), key=lambda pair: (-pair[1], pair[0]))[:self.settings.n_best]
        if self.beams:  # the class says it by itself
            none = (ranked[0][1] if ranked else 0.0) + min(piece["odds"] for piece in pieces)
        else:
            none = min(piece["none"] for piece in pieces)
        top = max(pieces, key=lambda piece: max((span[0] for span in piece["spans"]), default=-math.inf))
        return prediction(example, ranked, none, self.threshold, {name: top[name] for name in ("scores", "pieces", "types")})

    @property
    def threshold(self) -> float | None:
        """No-answer odds above which nothing is answered; None when always something is."""
        given = self.settings.no_answer
        may = self.known.values["no_answer"] if given == "auto" else given == "yes"
        return float(self.known.values["threshold"]) if may else None

    def calibrate(self, examples: Sequence[Question], predictions: Sequence[Prediction]) -> Learned:
        """The threshold that gives the best F1 on dev."""
        import numpy as np

        from headstart.metrics.answers import best_threshold

        if self.threshold is None or not len(examples):
            return self.known
        held = [self.measure(example, one) for example, one in zip(examples, predictions, strict=True)]
        f1, has, odds = (np.asarray([one[name] for one in held]) for name in ("raw_f1", "answerable", "no_answer"))
        _, found = best_threshold(f1, has, np.ones(len(held), dtype=bool), odds, np.ones((1, len(held))))
        return Learned(values=dict(self.known.values) | {"threshold": float(found[0])})

    def measure(self, example: Question, prediction: Prediction) -> Mapping[str, Any]:
        """f1 and exact of the answer given, and of the best one had it been given."""
        from headstart.metrics.answers import exact_match, normalised, overlap_f1

        two = bool(self.known.values["no_answer"])
        golds = list(example.answers or ()) or [""]
        golds = ([gold for gold in golds if normalised(gold)] or [""]) if two else golds
        given, best = prediction.values["prediction"], prediction.detail["best"]
        return {"f1": overlap_f1(given, golds, empty_matches=two), "exact": exact_match(given, golds),
                "raw_f1": overlap_f1(best, golds, empty_matches=two), "answerable": golds != [""], "answered": bool(given),
                "no_answer": prediction.values["no_answer_probability"]}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.answers."""
        import numpy as np

        from headstart.metrics.answers import mean, scores

        found = scores(measures, weights)
        if self.threshold is not None:
            has = measures["answerable"].astype(bool)
            untuned = np.where(measures["no_answer"] > DEFAULT, ~has, measures["raw_f1"])
            found["f1_at_default_threshold"] = mean(untuned.astype(np.float64), weights)
        return found

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.answers import DEFINITIONS, REASONS

        own = f"f1 with {DEFAULT} in place of the threshold that was tuned on dev"
        return DEFINITIONS.get(name, own), True, REASONS.get(name, "there are no rows")

    def warn(self, measures: Measures) -> str | None:
        """Whether the model never answers."""
        if self.threshold is None or measures["answered"].any() or not measures["answerable"].any():
            return None
        return "collapsed: the model answers no question. If this lasts, train longer or lower the learning rate."

    def official(self, examples: Sequence[Question], predictions: Sequence[Prediction]) -> dict[str, str]:
        """SQuAD's files: predictions.json, nbest_predictions.json, null_odds.json."""
        pairs = [(example.name, one) for example, one in zip(examples, predictions, strict=True)]
        held = {"predictions": {name: one.values["prediction"] for name, one in pairs},
                "nbest_predictions": {name: one.detail["n_best"] for name, one in pairs},
                "null_odds": {name: one.values["no_answer_probability"] for name, one in pairs}}
        return {f"{name}.json": json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in held.items()}

    def figures(self, examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Scores by the question's first word, worst answers, and one question's token scores."""
        from headstart.tasks.question_answering.figures import figures

        return figures(examples, predictions, measures)

    def doubts(self, examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures, count: int) -> list[Doubt]:
        """The surest answers that share no word with a gold one: where they begin and end."""
        from headstart.tasks.question_answering.figures import doubts

        return doubts(examples, predictions, measures, count)

    def baselines(self) -> tuple[Baseline, ...]:
        """Answering nothing, and the sentence that shares most words with the question."""
        from headstart.tasks.question_answering.baselines import baselines

        return baselines(self.threshold is not None)


def tokens_of(passage: Tokens, example: Question) -> tuple[int, int]:
    """First and last token of the answer; a place before all windows where there is none."""
    if example.place is None:
        return -1, -1
    begin, end = example.place.begin, example.place.end
    inside = [place for place, (first, last) in enumerate(passage.offsets or ()) if first < end and last > begin]
    return (inside[0], inside[-1]) if inside else (-1, -1)


def best_spans(logits: NDArray[Any], longest: int, count: int) -> list[tuple[float, int, int]]:
    """The highest sums of a first and a last token's score, at most `longest` tokens apart: (n, 2) -> (score, first, last)."""
    import numpy as np

    size = len(logits)
    table = np.full((min(longest, size), size), -np.inf)
    for step in range(len(table)):
        table[step, :size - step] = logits[:size - step, 0] + logits[step:, 1]
    flat = table.ravel()
    chosen = np.argpartition(flat, -count)[-count:] if len(flat) > count else np.arange(len(flat))
    chosen = chosen[np.lexsort((chosen, -flat[chosen]))]
    return [(float(flat[at]), int(at % size), int(at % size + at // size)) for at in chosen.tolist() if np.isfinite(flat[at])]


def followed(output: Mapping[str, NDArray[Any]], at: int, offsets: Sequence[tuple[int, int]], longest: int) -> list[tuple[float, int, int]]:
    """Each start with each of its ends that is an answer: log p of both, and the characters."""
    found = []
    lists = (output[name].tolist() for name in ("starts", "start_scores", "ends", "end_scores"))
    for place, score, ends, scores in zip(*lists, strict=True):
        for last, more in zip(ends, scores, strict=True):
            place, last = int(place), int(last)
            if at <= place <= last < at + len(offsets) and last - place < longest:
                found.append((score + more, offsets[place - at][0], offsets[last - at][1]))
    return found


def prediction(example: Question, ranked: Sequence[tuple[tuple[int, int], float]], none: float, threshold: float | None,
               detail: Mapping[str, Any]) -> Prediction:
    """Ranked answers ((begin, end), score) and the score of none, in the user's terms."""
    passage = example.passage
    best = ranked[0][1] if ranked else none - 700.0
    powers = [math.exp(score - best) for _, score in ranked]
    texts = [passage[begin:end].strip() for (begin, end), _ in ranked]
    odds = 1 / (1 + math.exp(min(700.0, best - none)))
    n_best = [{"text": text, "probability": power / sum(powers), "score": score}
              for text, power, (_, score) in zip(texts, powers, ranked, strict=True)]
    values: dict[str, Json] = {"prediction": "", "start": None, "end": None, "probability": odds, "no_answer_probability": odds}
    if ranked and (threshold is None or odds <= threshold):
        begin = ranked[0][0][0] + len(passage[ranked[0][0][0]:]) - len(passage[ranked[0][0][0]:].lstrip())
        values |= {"prediction": texts[0], "start": begin, "end": begin + len(texts[0]), "probability": n_best[0]["probability"]}
    return Prediction(example.row, values, {"best": texts[0] if texts else "", "n_best": n_best, **detail})
