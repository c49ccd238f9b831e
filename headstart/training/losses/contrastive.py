"""Contrastive loss with in-batch negatives, over batches of any size.

The loss needs the vectors of a whole step at once, the backward pass through the encoder does not (Gao et al. 2021,
"Scaling deep contrastive learning batch size under memory limited setup"): vectors are computed without gradients batch
by batch, the loss gives a gradient for each of them, and each batch goes through the encoder again with its gradients.
N features of an
step, Q questions, P passages, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

QUESTION, PASSAGE, NEGATIVE = 0, 1, 2  # roles of texts


@dataclass(frozen=True)
class InBatchNegatives:
    """Mean of two cross-entropies: of each question's passage among all of the batch, and of each passage's question.

    Passages that answer the same question, and questions of the same passage, are not negatives of one another.
    """

    temperature: float

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss sum of a step that is one batch."""
        return self.loss(self.vectors(model, batch), [batch])

    def vectors(self, model: Trainable, batch: Batch) -> Tensor:
        """A batch's vectors, (N, W)."""
        return model.forward(batch)["logits"].float()

    def loss(self, vectors: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The loss sum over the questions of some batches, whose vectors (N, W) are concatenated."""
        import torch

        roles = np.concatenate([batch.targets["role"] for batch in batches])
        text_keys = np.concatenate([batch.targets["text"] for batch in batches])
        question_indices, passage_indices, negative_indices = (np.flatnonzero(roles == role)
                                                               for role in (QUESTION, PASSAGE, NEGATIVE))
        candidate_indices = np.concatenate([passage_indices, negative_indices])
        excluded = false_negatives(text_keys[question_indices], text_keys[passage_indices],
                                   text_keys[candidate_indices])
        similarities = vectors[torch.from_numpy(question_indices)] @ vectors[
            torch.from_numpy(candidate_indices)].T / self.temperature
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


def batch_objectives(objective: Any, model: Trainable, batches: Sequence[Batch],
                     seeded: Callable[[int],
                                      AbstractContextManager[Any]]) -> Sequence[Callable[[Trainable, Batch], Tensor]]:
    """What each batch of a step is trained on: the objective itself or, for a joint one, a surrogate; the gradients of
    all surrogates add up to those of the joint objective.

    `seeded(n)` sets the random state of batch n, so that both passes have the same dropout.
    """
    import torch

    if not isinstance(objective, InBatchNegatives) or len(batches) == 1:
        return [objective] * len(batches)
    batch_vectors = []
    for index, batch in enumerate(batches):
        with seeded(index), torch.no_grad():
            batch_vectors.append(objective.vectors(model, batch))
    all_vectors = torch.cat(batch_vectors).requires_grad_()
    loss = objective.loss(all_vectors, batches)
    gradients = torch.split(torch.autograd.grad(loss, all_vectors)[0], [len(vectors) for vectors in batch_vectors])
    return [surrogate_objective(objective, gradient, loss.detach() if index == 0 else loss.detach() * 0)
            for index, gradient in enumerate(gradients)]


def surrogate_objective(objective: InBatchNegatives, gradient: Tensor,
                        loss: Tensor) -> Callable[[Trainable, Batch], Tensor]:
    """A loss with this value, and this gradient with respect to each vector."""
    def surrogate(model: Trainable, batch: Batch) -> Tensor:
        linear = (objective.vectors(model, batch) * gradient).sum()
        return linear - linear.detach() + loss

    return surrogate
