"""The right choice, and an auxiliary language model of the right choice's tokens.

    loss = loss of the choice + λ · mean over its tokens of -log p(next token)

Radford et al. 2018, section 3.2, equation 5 (λ there is 0.5). The tokens of a row count once, whatever the number of
choices: features weigh 1 / choices, so their part of the language model is divided by that weight.

| input | shape | what it is |
|---|---|---|
| states | (T, W) | of all tokens; the last of each choice is read by one head, those with a next token by the other |
| targets "label" | (N,) | 1 for the right choice, else 0 |
| targets "next_token" | (T,) | the next token of the right choice; -100 elsewhere |
| lm_weight | λ | task.lm_loss_weight |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import ChoiceWithLanguageModel
from headstart.training.losses import FeatureLoss
from headstart.training.losses.choice_cross_entropy import choice_losses
from headstart.training.objectives.objective import NO_TARGET
from headstart.training.optimizer import Trainable

if TYPE_CHECKING:
    from headstart.models.model import Model


class ChoiceWithLanguageModelLoss(FeatureLoss[ChoiceWithLanguageModel]):
    """The right choice of each row, and its tokens."""

    def losses(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss of each choice, (N,)."""
        decoder = cast("Model", model)
        head = decoder.info.family.heads[decoder.head]
        assert head.lm_head is not None, "only a model with both heads has this loss"
        states, borders = decoder.states(batch)
        device = states.device
        last_states = states.index_select(0, decoder.pooling_positions(batch, "last"))
        logits = head.outputs["logits"].apply(decoder.module, last_states).float()
        losses = choice_losses(logits, torch.from_numpy(batch.targets["label"]).to(device), batch)
        targets = torch.from_numpy(batch.targets["next_token"]).to(device)
        positions = (targets != NO_TARGET).nonzero()[:, 0]
        scores = head.lm_head(decoder.module, states.index_select(0, positions)).float()  # (A, V)
        token_losses = torch.nn.functional.cross_entropy(scores, targets[positions], reduction="none")
        feature_indices = torch.bucketize(positions, borders[:, 1].contiguous(), right=True)
        sums = token_losses.new_zeros(len(losses)).index_add(0, feature_indices, token_losses)
        counts = token_losses.new_zeros(len(losses)).index_add(0, feature_indices, torch.ones_like(token_losses))
        feature_weights = torch.from_numpy(batch.weights).to(device, torch.float32)
        return losses + self.spec.lm_weight * sums / counts.clamp(min=1) / feature_weights
