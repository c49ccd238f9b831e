"""Questions and passages that belong together, told apart from all others of the batch, however large it is.

The loss needs the vectors of a whole update at once, the backward pass through the encoder does not (Gao et al. 2021,
"Scaling deep contrastive learning batch size under memory limited setup"): vectors are made without gradients part by part,
the loss gives a gradient for each of them, and each part goes through the encoder again with its own. N features of an
update, Q questions, P passages, W width.
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

QUESTION, PASSAGE, NEGATIVE = 0, 1, 2


@dataclass(frozen=True)
class InBatch:
    """Cross-entropy of each question's own passage among all of the batch, and of each passage's question; their mean.

    Passages that answer the same question, and questions of the same passage, are left out of one another's negatives.
    """

    temperature: float

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss sum of an update that is one batch."""
        return self.loss(self.vectors(model, batch), [batch])

    def vectors(self, model: Trainable, batch: Batch) -> Tensor:
        """A batch's vectors, (N, W)."""
        return model.forward(batch)["logits"].float()

    def loss(self, vectors: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The loss sum over the questions of some batches, whose vectors (N, W) stand one after the other."""
        import torch

        roles = np.concatenate([batch.targets["role"] for batch in batches])
        texts = np.concatenate([batch.targets["text"] for batch in batches])
        asked, own, others = (np.flatnonzero(roles == role) for role in (QUESTION, PASSAGE, NEGATIVE))
        listed = np.concatenate([own, others])
        hidden = torch.from_numpy(related(texts[asked], texts[own], texts[listed])).to(vectors.device)
        likeness = vectors[torch.from_numpy(asked)] @ vectors[torch.from_numpy(listed)].T / self.temperature
        likeness = likeness.masked_fill(hidden, float("-inf"))  # (Q, P)
        right = torch.arange(len(asked), device=vectors.device)
        found = torch.nn.functional.cross_entropy(likeness, right, reduction="sum")
        found = found + torch.nn.functional.cross_entropy(likeness[:, :len(own)].T, right, reduction="sum")
        return found / 2


def related(questions: Any, passages: Any, listed: Any) -> Any:
    """Which listed passages are no negatives of a question, though not its own: (Q,), (Q,), (P,) -> (Q, P).

    Those with the text of a passage that answers the question, here or in another row.
    """
    same_question = questions[:, None] == questions[None, :]
    same_text = passages[:, None] == listed[None, :]
    found = (same_question.astype(np.float32) @ same_text.astype(np.float32)) > 0
    np.fill_diagonal(found[:, :len(passages)], False)
    return found


def shared_out(objective: Any, model: Trainable, batches: Sequence[Batch],
               begin: Callable[[int], AbstractContextManager[Any]]) -> Sequence[Callable[[Trainable, Batch], Tensor]]:
    """What each batch of an update is trained on: the objective as it is or, for one over the whole update, a stand-in whose
    gradients add up to those of the whole.

    `begin(n)` sets the draws of batch n, so that both passes drop the same.
    """
    import torch

    if not isinstance(objective, InBatch) or len(batches) == 1:
        return [objective] * len(batches)
    parts = []
    for number, batch in enumerate(batches):
        with begin(number), torch.no_grad():
            parts.append(objective.vectors(model, batch))
    whole = torch.cat(parts).requires_grad_()
    loss = objective.loss(whole, batches)
    slopes = torch.split(torch.autograd.grad(loss, whole)[0], [len(part) for part in parts])
    return [stand_in(objective, slope, loss.detach() if number == 0 else loss.detach() * 0) for number, slope in enumerate(slopes)]


def stand_in(objective: InBatch, slope: Tensor, value: Tensor) -> Callable[[Trainable, Batch], Tensor]:
    """A loss of this value with this gradient by each vector."""
    def found(model: Trainable, batch: Batch) -> Tensor:
        told = (objective.vectors(model, batch) * slope).sum()
        return told - told.detach() + value

    return found
