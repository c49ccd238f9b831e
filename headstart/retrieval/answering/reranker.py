"""A second look at what a search found: a model that reads question and passage together puts them in a better order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Row, Task
from headstart.errors import Exit, UserError
from headstart.prediction.predict import predict
from headstart.retrieval.documents.chunking import subject
from headstart.retrieval.documents.passage import Found
from headstart.settings import Evaluation

if TYPE_CHECKING:
    from headstart.models.model import Model

YES = ("relevant", "entailment", "answers", "yes", "true", "1")  # labels that say that a passage answers
DEPTH = 30  # passages that are looked at again


@dataclass(frozen=True)
class Reranker:
    """A pair classifier of ours, and which of its labels says that a passage answers."""

    task: Task[Any]
    model: Model
    label: str

    @classmethod
    def load(cls, reference: str, *, device: str = "cpu") -> Reranker:
        """A run on pairs of question and passage; raises UserError (2) for a model of another kind."""
        task, model = artifact.load(reference, task_name=None, device=device)
        label = next((held for wanted in YES for held in task.known.labels if held.lower() == wanted), None)
        if task.name != "text-classification" or label is None:
            raise UserError(f"{reference} does not say whether a passage answers a question: it is a {task.name} model"
                            f" with the labels {', '.join(task.known.labels) or '(none)'}.", exit=Exit.USAGE,
                            fix="Train one: headstart finetune questions.jsonl --task text-classification --index INDEX")
        return cls(task, model, label)

    def ordered(self, questions: Sequence[str], listed: Sequence[Sequence[Found]], *, depth: int = DEPTH) -> list[list[Found]]:
        """Each question's passages with the probability that they answer, likeliest first; those beyond `depth` follow as they were."""
        rows = [Row(number, {"text": question, "pair": subject(one.passage)})
                for number, (question, one) in enumerate((question, one) for question, held in zip(questions, listed, strict=True)
                                                         for one in held[:depth])]
        examples = [self.task.read(row) for row in rows]
        answers = iter(predict(self.task, self.model, examples, batch_tokens=Evaluation().batch_tokens, seed=0))
        found = []
        for held in listed:
            scored = [dataclasses.replace(one, score=float(next(answers).values["probabilities"][self.label])) for one in held[:depth]]
            found.append(sorted(scored, key=lambda one: (-one.score, one.row)) + list(held[depth:]))
        return found
