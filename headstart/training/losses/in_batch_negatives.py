"""A question's passage among all passages of a step, and a passage's question among all questions: the mean of both.

    loss = -1/2 · Σ_q (log softmax over passages p of (q·p / τ)[its passage]
                       + log softmax over questions q of (q·p / τ)[its question])

The first part is Karpukhin et al. 2020, equation 2, with hard negatives; both directions are Radford et al. 2021
(CLIP), figure 3. Passages that answer the same question, and questions of the same passage, are not negatives of one
another.

| input | shape | what it is |
|---|---|---|
| vectors | (N, W) | of all texts of a step, of length 1 |
| targets "role" | (N,) | 0 question, 1 passage, 2 hard negative |
| targets "text" | (N,) | a hash of the text: equal texts are no negatives |
| temperature | τ | task.temperature |

Q questions, P passages and hard negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import InBatchNegatives
from headstart.training.losses import JointLoss
from headstart.training.optimizer import Trainable

QUESTION, PASSAGE, NEGATIVE = 0, 1, 2  # roles of texts


class InBatchNegativesLoss(JointLoss[InBatchNegatives]):
    """Questions and passages of a step, compared with one another."""

    def vectors(self, model: Trainable, batch: Batch) -> Tensor:
        """A batch's vectors, (N, W)."""
        return model.forward(batch)["logits"].float()

    def loss(self, vectors: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The loss sum over the questions of some batches, whose vectors (N, W) are concatenated."""
        roles = np.concatenate([batch.targets["role"] for batch in batches])
        text_keys = np.concatenate([batch.targets["text"] for batch in batches])
        question_indices, passage_indices, negative_indices = (np.flatnonzero(roles == role)
                                                               for role in (QUESTION, PASSAGE, NEGATIVE))
        candidate_indices = np.concatenate([passage_indices, negative_indices])
        excluded = false_negatives(text_keys[question_indices], text_keys[passage_indices],
                                   text_keys[candidate_indices])
        similarities = vectors[torch.from_numpy(question_indices)] @ vectors[
            torch.from_numpy(candidate_indices)].T / self.spec.temperature
        similarities = similarities.masked_fill(torch.from_numpy(excluded).to(vectors.device), float("-inf"))  # (Q, P)
        targets = torch.arange(len(question_indices), device=vectors.device)
        total = torch.nn.functional.cross_entropy(similarities, targets, reduction="sum")
        total = total + torch.nn.functional.cross_entropy(similarities[:, :len(passage_indices)].T, targets,
                                                          reduction="sum")
        return total / 2


def false_negatives(questions: Any, passages: Any, candidates: Any) -> Any:
    """Which candidates are no negatives of a question, though not its passage: (Q,), (Q,), (P,) -> (Q, P).

    Those with the text of a passage that answers the question, here or in another row.
    """
    same_question = questions[:, None] == questions[None, :]
    same_text = passages[:, None] == candidates[None, :]
    excluded = (same_question.astype(np.float32) @ same_text.astype(np.float32)) > 0
    np.fill_diagonal(excluded[:, :len(passages)], False)
    return excluded
