"""Re-ranking: a model that reads question and passage together puts what a search found in a better order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.artifacts import artifact
from headstart.contract import Predictor, Row
from headstart.errors import Exit, UserError
from headstart.prediction.torch_runtime import torch_predictor
from headstart.retrieval.documents.chunking import searchable_text
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.settings import Evaluation

RELEVANT_LABELS = ("relevant", "entailment", "answers", "yes", "true", "1")  # labels that say that a passage answers
RERANK_DEPTH = 30  # passages that are re-ranked


@dataclass(frozen=True)
class Reranker:
    """A pair classifier of ours, and which of its labels says that a passage answers."""

    predictor: Predictor
    label: str

    @classmethod
    def load(cls, reference: str, *, device: str = "cpu", precision: str = "fp32") -> Reranker:
        """A run on pairs of question and passage; raises UserError (2) for a model of another kind."""
        task, model = artifact.load(reference, task_name=None, device=device)
        labels = {label.lower(): label for label in reversed(task.learned.labels)}
        label = next((labels[name] for name in RELEVANT_LABELS if name in labels), None)
        if task.name != "text-classification" or label is None:
            raise UserError(f"{reference} does not say whether a passage answers a question: it is a {task.name} model"
                            f" with the labels {', '.join(task.learned.labels) or '(none)'}.", exit=Exit.USAGE,
                            fix="Train one: headstart finetune questions.jsonl --task "
                                "text-classification --index INDEX")
        return cls(torch_predictor(task, model, batch_tokens=Evaluation().batch_tokens, precision=precision), label)

    def rerank(self, questions: Sequence[str], hits: Sequence[Sequence[ScoredPassage]], *,
               depth: int = RERANK_DEPTH) -> list[list[ScoredPassage]]:
        """Each question's passages with the probability that they answer, likeliest first; those beyond `depth` follow
        as they were.
        """
        pairs = [(question, hit) for question, question_hits in zip(questions, hits, strict=True)
                 for hit in question_hits[:depth]]
        examples = [self.predictor.task.read(Row(index, {"text": question, "pair": searchable_text(hit.passage)}))
                    for index, (question, hit) in enumerate(pairs)]
        predictions = self.predictor.predict(examples, seed=0)
        rankings = []
        for question_hits in hits:
            reranked = [dataclasses.replace(hit, score=float(next(predictions).values["probabilities"][self.label]))
                        for hit in question_hits[:depth]]
            rankings.append(sorted(reranked, key=lambda hit: (-hit.score, hit.row)) + list(question_hits[depth:]))
        return rankings
