"""Cross-entropy of the token at each label position, in chunks of positions: the vocabulary is large.

    loss = -Σ_a log p(target_a | the tokens before it, or the source),  p = softmax(head(state_a))

Bengio et al. 2003, section 2. A head that scores the vocabulary cluster by cluster (adaptive softmax, Grave et al.
2017) has losses of its own, which never compute the other clusters; label smoothing and focal loss need all logits.

| input | shape | what it is |
|---|---|---|
| states | (A, W) | what the head reads at each label position |
| targets | (A,) | the token there |
| training.label_smoothing, training.focal_gamma | e, γ | as in cross_entropy.py |
"""

from __future__ import annotations

from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.models.loading.device import copy_to
from headstart.training.losses import VocabularyLoss
from headstart.training.losses.cross_entropy import cross_entropy
from headstart.training.objectives.chunked_cross_entropy import chunked_loss
from headstart.training.optimizer import Trainable


class VocabularyCrossEntropyLoss(VocabularyLoss[VocabularyCrossEntropy]):
    """The token at each label position."""

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The sum over the label positions."""
        states = model.read_states(batch)["logits"]
        targets = copy_to(batch.targets["label"], states.device)
        # The scorer never computes the logits of the whole vocabulary.
        if model.scorer is not None and not (self.settings.label_smoothing or self.settings.focal_gamma):
            return chunked_loss(states, targets, lambda chunk: chunk, model.scorer.losses,
                                model.head_parameters())
        return chunked_loss(states, targets, model.apply_head, self.losses, model.head_parameters())

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(A, V), (A,) -> (A,)."""
        return cross_entropy(logits, targets, smoothing=self.settings.label_smoothing, gamma=self.settings.focal_gamma)
