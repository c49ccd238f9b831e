"""Training at step 0: the optimizer and what it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.data.features.batches import epoch_batches
from headstart.models.transfo_xl.adaptive_softmax import AdaptiveSoftmax
from headstart.progress import Reporter
from headstart.runs.prepare import Prepared
from headstart.training import sparse_embeddings
from headstart.training.state import TrainingState

if TYPE_CHECKING:
    from headstart.contract import Ints


def initial_state(prepared: Prepared, *, precision: str, packed: bool) -> TrainingState:
    """Training of the model at step 0."""
    settings, model = prepared.settings, prepared.model
    if settings.training.gradient_checkpointing:
        model.checkpoint_gradients()
    model.calls_layers = settings.training.sharded
    for layer in model.module.modules():
        if isinstance(layer, AdaptiveSoftmax):
            layer.skips_clusters = not settings.training.sharded
    state = TrainingState.initial(model, settings.training, precision=precision, device=settings.device)
    state.micro_batch_size = examples_at_once(prepared, packed=packed)
    if not (prepared.task.random_encoding or settings.training.sharded):  # else a later epoch may show other tokens
        sparse_embeddings.restrict_embeddings(state.optimizer, model.module, shown_tokens(prepared, packed=packed))
    return state


def examples_at_once(prepared: Prepared, *, packed: bool) -> int:
    """Examples of one forward pass at most: the user's, else one share of a step."""
    training = prepared.settings.training
    if training.micro_batch_size is not None:
        return training.micro_batch_size
    size = largest_batch(prepared, packed=packed) if training.batch_tokens else training.examples_per_step
    return -(-size // (training.shares or 1))


def rebuild_model(prepared: Prepared) -> None:
    """Put the model back to where training began."""
    tokenizer = prepared.model.tokenizer  # as it cuts texts now
    prepared.model, _ = prepared.variant.model(prepared.settings, prepared.task, prepared.settings.device, Reporter())
    prepared.model.tokenizer = tokenizer


def largest_batch(prepared: Prepared, *, packed: bool) -> int:
    """Most examples of a step of the first epoch."""
    settings = prepared.settings
    return max(map(len, epoch_batches(prepared.model.kind, prepared.features, settings.training, settings.seed, 0,
                                      packed=packed)))


def shown_tokens(prepared: Prepared, *, packed: bool) -> Ints:
    """Every token id that training shows: those of the features, and what pads them."""
    token_ids = prepared.features.token_ids()
    return token_ids if packed else np.union1d(token_ids, [prepared.model.layout(packed=False).pad_id])
