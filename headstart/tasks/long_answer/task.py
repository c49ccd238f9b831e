"""Long answer: a paragraph that answers a question from passages, cites a passage for each sentence, and abstains where
none answers.

M examples, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    AnswerType,
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
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.errors import Finding
from headstart.settings import Count, Note
from headstart.tasks.long_answer import prompts
from headstart.tasks.long_answer.prompts import NO_ANSWER, ContextPassage, QuestionWithPassages
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.file_predictions import predicted_text
from headstart.tasks.shared.list_cells import good_answers, parse_list
from headstart.tasks.shared.prompt_layout import Turn, layout_of
from headstart.tasks.shared.prompt_layout import prompt_ids as lay_out_prompt
from headstart.tasks.shared.text_pairs import cell_text
from headstart.text.json_values import is_number
from headstart.text.words import tokenize_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

TOKENS_PER_WORD = 1.6  # a generous estimate, for the tokens that a decoder reserves for its answer
PASSAGES_FIX = 'Write passages as ["…"] or [{"text": "…", "title": "…", "document": "…"}].'
QUALITY_SCORES = ("copied", "repetition")


@dataclass(frozen=True)
class Settings:
    """Settings of long answers."""

    max_target_length: Annotated[Count, Note("longest target in tokens; as many as the model takes when not given",
                                             low=4)] = None
    answer_score: Annotated[float, Note("further answers with this score or more are targets too, and correct in "
                                        "evaluation")] = 3.0
    layout: Annotated[Literal["plain", "instruct"], Note(
        "plain: question: … context: [1] …; instruct: an instruction to answer from the passages and to cite them, "
        "for instruction-tuned models")] = "plain"
    chat: Annotated[bool,
                    Note("decoders: format the prompt with the tokenizer's chat template, where it has one")] = True
    threshold: Annotated[float | None,
                         Note("abstain where no passage's score reaches this; never when not given")] = None
    curriculum: Annotated[bool, Note("train the first epoch in the order of the file, easy rows first")] = False
    use_stemmer: Annotated[bool, Note("compare stems of words (ROUGE)")] = True


@dataclass(frozen=True)
class LongAnswer(Task[QuestionWithPassages]):
    """An answer in a few sentences, from passages that a search found."""

    name: ClassVar[str] = "long-answer"
    summary: ClassVar[str] = "a paragraph that answers a question from passages, with citations"
    pipeline_tag: ClassVar[str] = "text2text-generation"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", aliases=("question", "title", "query")),
        Field("details", "further context of the question", required=False,
              aliases=("details", "selftext", "description")),
        Field("passages", "texts to answer from, best first: [\"…\"] or [{\"text\": …, \"title\": …, \"document\": …, "
                          "\"score\": …}]",
              type="list", required=False, aliases=("passages", "contexts", "ctxs")),
        Field("answer", "the answer to generate", required=False, target=True, aliases=("answer", "long_answer")),
        Field("answers", "several, best first: [{\"text\": …, \"score\": …}]", type="list", required=False, target=True,
              aliases=("answers",)),
        Field("document", "the document that answers", required=False, aliases=("document",)),
    )
    answer_type: ClassVar[AnswerType] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder-decoder", "decoder")
    selection_score: ClassVar[tuple[str, bool]] = ("rougeL", True)
    default_model: ClassVar[str] = "t5-small"
    Settings: ClassVar[type] = Settings
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ended": ("ended",), "marks": ("grounding", "citation_precision", "citation_recall", "cited_by_writer",
                                       "false_marks")}
    generative: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Questions with lists of passages and answers."""
        field_columns = {field.name: first_named(columns, field.aliases) for field in cls.fields}
        column_names = {name: column.name for name, column in field_columns.items() if column is not None}
        if not {"question", "passages"} <= set(column_names) or not {"answer", "answers"} & set(column_names):
            return None
        question, passages = column_names["question"], column_names["passages"]
        return Detection(column_names, 0.985, f"there are questions ({question!r}) with passages ({passages!r}) and "
                                              "answers")

    def read(self, row: Row) -> QuestionWithPassages:
        """Question, passages, answers; raises RowFault."""
        question = cell_text(row, "question")
        if question is None or not tokenize_words(question):
            raise RowFault("E201", "the question has no word.",
                           fix="Fill it in, or leave the row out (--bad-rows skip).", field="question")
        passages = tuple(parse_passage(item, index)
                         for index, item in enumerate(parse_list(row, "passages", PASSAGES_FIX)))
        answer = cell_text(row, "answer")
        answers = [answer] if answer is not None and answer.strip() else []
        answers += good_answers(row, self.settings.answer_score, include_first=not answers)
        if not answers and any(row.values.get(name) not in (None, "", []) for name in ("answer", "answers")):
            raise RowFault("E201", "the answer is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="answer")
        return QuestionWithPassages(row.id, question, cell_text(row, "details") or "", passages,
                                    tuple(dict.fromkeys(text.strip() for text in answers)) or None,
                                    cell_text(row, "document") or "")

    def dedup_key(self, example: QuestionWithPassages) -> str:
        """The question."""
        return example.question

    def gold(self, example: QuestionWithPassages) -> Json:
        """The reference answer, or all of them."""
        return None if example.answers is None else example.answers[0] if len(example.answers) == 1 else list(
            example.answers)

    def learn(self, examples: Iterable[QuestionWithPassages]) -> Learned:
        """The words of nearly all answers (99.5 %), for which a decoder reserves tokens."""
        word_counts = sorted(len(tokenize_words(example.answers[0])) for example in examples if example.answers)
        index = min(len(word_counts) - 1, math.ceil(0.995 * len(word_counts)))
        return Learned(values={"answer_words": word_counts[index] if word_counts else 100})

    def check(self, splits: Mapping[str, Sequence[QuestionWithPassages]]) -> list[Finding]:
        """Findings: rows without passages, from which answering from memory would be learned."""
        findings = []
        for split, examples in splits.items():
            without_passages = [example.row for example in examples if not example.passages]
            if without_passages:
                findings.append(Finding("W240", f"in {split}, {len(without_passages):,} of {len(examples):,} questions "
                                                "have no passages "
                                        f"(first: row {without_passages[0]}).",
                                        "A model cannot answer from what it does not read: add passages by a search "
                                        "(headstart index)."))
        return findings

    def in_file_order(self, epoch: int) -> bool:
        """The first epoch, with a curriculum."""
        return bool(self.settings.curriculum) and epoch == 0

    def encode(self, example: QuestionWithPassages, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """The question, the passages that fit, and the first answer; in training one feature for each of k good
        answers, of weight 1/k.

        source "question: why? context: [1] …" and answer "because" become, for a decoder,
            ids     question: why? context: [1] …  because
            labels                                 because <end>
        """
        answers = (example.answers or ())[:1] if rng is None else example.answers or ()
        answer_ids = [tokenizer.tokenize(answer).ids for answer in answers]
        if tokenizer.causal:
            return self.encode_for_decoder(example, tokenizer, answer_ids)
        max_tokens = tokenizer.max_content_length(1)
        prompt_ids, cut = prompts.fit_prompt(example, self.settings.layout, tokenizer, max_tokens)
        input_ids, types = tokenizer.with_special_tokens(prompt_ids)
        features = []
        for target_ids in answer_ids:
            max_target_tokens = min(self.settings.max_target_length or max_tokens, max_tokens)
            label_ids = tokenizer.with_special_tokens(target_ids[:max_target_tokens])[0]
            info = {"target_cut": len(target_ids) - max_target_tokens} if len(target_ids) > max_target_tokens else {}
            targets = {"label": Target(label_ids, "position")}
            features.append(Feature(input_ids, types, targets, 1 / len(answer_ids), cut, info, [0] * len(label_ids)))
        return features or [Feature(input_ids, types, truncated_tokens=cut)]

    def encode_for_decoder(self, example: QuestionWithPassages, tokenizer: Tokenizer,
                           answers: Sequence[Sequence[int]]) -> list[Feature]:
        """The same for a causal model: prompt and answer in one text, with labels on the answer alone."""
        max_length, end_ids = tokenizer.max_length, [token for token in (tokenizer.end_id,) if token is not None]
        estimate = math.ceil(TOKENS_PER_WORD * self.learned.values.get("answer_words", 100)) + len(end_ids)
        answer_budget = self.settings.max_target_length or estimate
        answer_budget = min(answer_budget, max_length // 2)
        layout = layout_of(self, tokenizer)

        def to_ids(text: str) -> list[int]:
            return lay_out_prompt([Turn("user", text if text.endswith("Answer:") else f"{text}\nanswer:")], tokenizer,
                                  layout)

        prompt_ids, cut = prompts.fit_prompt(example, self.settings.layout, tokenizer, max_length - answer_budget,
                                             to_ids)
        features = []
        for answer_ids in answers:
            label_ids = [*answer_ids[:answer_budget - len(end_ids)], *end_ids]
            answer_cut = len(answer_ids) - answer_budget + len(end_ids)
            info = {"target_cut": answer_cut} if answer_cut > 0 else {}
            label_positions = list(range(len(prompt_ids) - 1, len(prompt_ids) - 1 + len(label_ids)))
            input_ids = [*prompt_ids, *label_ids]
            targets = {"label": Target(label_ids, "position")}
            features.append(Feature(input_ids, [0] * len(input_ids), targets, 1 / len(answers), cut, info,
                                    label_positions))
        return features or [Feature(prompt_ids, [0] * len(prompt_ids), truncated_tokens=cut)]

    def head(self) -> HeadSpec:
        """Vocabulary logits at each token of the answer."""
        return self.head_for("encoder-decoder")

    def head_for(self, kind: Kind) -> HeadSpec:
        """An encoder-decoder reads the passages; a decoder continues them."""
        return HeadSpec("sequence-to-sequence" if kind == "encoder-decoder" else "causal-language-model", 0,
                        loss=VocabularyCrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """Never called: outputs are generated texts."""
        raise AssertionError("a generative task keeps texts")

    def decode(self, example: QuestionWithPassages, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The answer without citation marks, the passages that it cites, and whether it abstains."""
        from headstart.metrics import grounding

        (output,) = outputs
        passage_scores = [passage.score for passage in example.passages if passage.score is not None]
        threshold = self.settings.threshold
        below_threshold = threshold is not None and bool(passage_scores) and max(passage_scores) < threshold
        cited = grounding.cite(NO_ANSWER if below_threshold else output["text"], example.texts)
        abstained = below_threshold or cited.text.startswith(NO_ANSWER[:-1])
        return Prediction(example.row, prompts.prediction_values(cited, abstained=abstained,
                                                                 log_probability=output["log_probability"]),
                          {"cited": cited, "ended": output["ended"], "cut": output["cut"], "tokens": output["tokens"]})

    def read_prediction(self, example: QuestionWithPassages, values: Mapping[str, Json]) -> Prediction:
        """An answer; who cited what in it is not known. Raises RowFault."""
        from headstart.metrics import grounding

        text = predicted_text(values)
        return Prediction(example.row, {"prediction": text, "abstained": text.startswith(NO_ANSWER[:-1])},
                          {"cited": grounding.cite(text, example.texts), "ended": str(values.get("ended") or "end")})

    def measure(self, example: QuestionWithPassages, prediction: Prediction) -> Mapping[str, Any]:
        """ROUGE, grounding in the passages, and text quality."""
        from headstart.metrics import grounding, text_quality
        from headstart.metrics.rouge import rouge

        text, cited = str(prediction.values["prediction"]), prediction.detail["cited"]
        grounding_measures = grounding.measures(cited)
        if prediction.values["abstained"] or not example.passages:
            grounding_measures = dict.fromkeys(grounding_measures, float("nan"))
        quality = text_quality.measures(text, "\n".join(example.texts))
        rouge_measures = rouge(text, list(example.answers or ()), stem=self.settings.use_stemmer)
        return rouge_measures | grounding_measures | {name: quality[name] for name in QUALITY_SCORES} | {
            "answer_words": float(len(tokenize_words(text))), "abstained": float(prediction.values["abstained"]),
            "ended": float(prediction.detail.get("ended", "end") == "end")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """rougeL, grounding, citation_precision, …"""
        from headstart.metrics import grounding, rouge
        from headstart.metrics.nan_means import weighted_nanmean

        rouge_scores = rouge.scores(measures, weights)
        text_scores = {name: weighted_nanmean(measures[name], weights)
                       for name in (*QUALITY_SCORES, "answer_words", "abstained", "ended")}
        return {"rougeL": rouge_scores["rougeL"], **grounding.scores(measures, weights), **rouge_scores, **text_scores}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics import grounding, rouge, text_quality

        if name in rouge.DEFINITIONS:
            return rouge.definition(name, stem=self.settings.use_stemmer), True, "no row has a reference answer"
        if name in grounding.DEFINITIONS:
            return grounding.DEFINITIONS[name], name != "false_marks", "no answer has passages, or all are empty"
        if name in QUALITY_SCORES:
            definition = text_quality.DEFINITIONS[name].replace("its source", "the passages")
            return definition, False, "no text has any"
        text_definitions = {"answer_words": ("mean number of words", True),
                            "abstained": ("share of rows where it abstains", False),
               "ended": ("share of answers that end within generation.max_new_tokens", True)}
        return *text_definitions[name], "there are no rows"

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether nothing is generated."""
        if measures["answer_words"].size and not measures["answer_words"].any():
            return "collapsed: the model generates nothing. If this lasts, train longer or lower the learning rate."
        return None

    def baselines(self) -> tuple[Baseline, ...]:
        """The best passage's first sentences, and the sentence most similar to the question."""
        return prompts.BASELINES

    def figures(self, examples: Sequence[QuestionWithPassages], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """The answers with the lowest ROUGE-L, and those with the lowest grounding."""
        data = examples, predictions, measures
        return [prompts.lowest_scored_figure("worst_answers", "Least similar to the reference answer", "rougeL", *data),
                prompts.lowest_scored_figure("ungrounded", "Least supported by its passages", "grounding", *data)]


def parse_passage(value: Json, index: int) -> ContextPassage:
    """One passage of a row; raises RowFault."""
    fields = {"text": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str) or not fields["text"].strip():
        raise RowFault("E332", f"passage {index} is {value!r:.60}, a text was expected.", field="passages",
                       fix=PASSAGES_FIX)
    score = fields.get("score")
    return ContextPassage(fields["text"], str(fields.get("title") or ""), str(fields.get("document") or ""),
                          float(score) if score is not None and is_number(score) else None)
