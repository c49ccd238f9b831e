"""What each step of a training sees and minimises: a pure function of settings, rows and the step's number, so the
same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from headstart.data.features import cache
from headstart.data.features.batches import (
    collate,
    epoch_batches,
    example_costs,
    fitting_micro_batch_size,
    shared_micro_batches,
)
from headstart.data.features.features import Features
from headstart.progress import Reporter
from headstart.runs.prepare import Prepared
from headstart.training import estimate
from headstart.training.loop import EpochPlan
from headstart.training.losses import build_loss
from headstart.training.losses.cross_entropy import balanced_class_weights
from headstart.training.objectives.objective import Objective, total_weight

if TYPE_CHECKING:
    from headstart.contract import Batch, Ints


@dataclass
class TrainingSteps:
    """The steps of one training: their examples, their micro-batches, their objective."""

    prepared: Prepared
    packed: bool
    reporter: Reporter
    features_epoch: int = 0  # whose features are in memory; a task that encodes at random has others in each

    @property
    def features(self) -> Features:
        """The training rows."""
        return self.prepared.features

    def encode_epoch(self, epoch: int) -> None:
        """Encode the rows anew for an epoch, where the task encodes at random."""
        prepared = self.prepared
        if prepared.task.random_encoding and epoch != self.features_epoch:
            data = prepared.settings.data
            prepared.features = cache.encode(prepared.task, prepared.dataset.splits["train"], prepared.model.tokenizer,
                                             seed=prepared.settings.seed, epoch=epoch, workers=data.workers,
                                             folder=data.cache, warn=self.reporter.warning)
            self.features_epoch = epoch

    def objective(self) -> Objective:
        """What training minimises."""
        prepared = self.prepared
        task_loss = build_loss(prepared.task.head().loss, prepared.settings.training, prepared.task.learned.counts)
        return prepared.variant.objective(task_loss, prepared.task, prepared.model, prepared.settings)

    def total_weight(self) -> Callable[[Sequence[Batch]], float]:
        """What gives the number that batches' loss sum is divided by; balanced classes weigh by 1 / their share."""
        balanced = self.prepared.settings.training.class_weights == "balanced"
        return partial(total_weight, class_weights=balanced_class_weights(self.prepared.task.learned.counts)
                       if balanced else None)

    def plan(self) -> EpochPlan:
        """The steps of each epoch."""
        settings = self.prepared.settings

        def steps(epoch: int) -> list[Ints]:
            self.encode_epoch(epoch)
            own_steps = self.prepared.variant.epoch_steps(self.features, settings, epoch)
            if own_steps is not None:
                return own_steps
            return epoch_batches(self.prepared.model.kind, self.features, settings.training, settings.seed, epoch,
                                 packed=self.packed, in_order=self.prepared.task.in_file_order(epoch))

        return steps

    def make_batches(self, examples: Ints, size: int) -> list[Batch]:
        """A step's examples as micro-batches of at most `size` examples."""
        model, settings = self.prepared.model, self.prepared.settings
        layout, shares = model.layout(packed=self.packed), settings.training.shares or 1
        if settings.training.micro_batch_size is None:
            max_tokens = estimate.micro_batch_tokens(model.module, layers=model.info.layers, width=model.info.width,
                                                     device=settings.device,
                                                     encodes_twice=self.prepared.variant.compares_texts
                                                     or self.prepared.task.head().loss.is_joint)
            size = fitting_micro_batch_size(examples, example_costs(model.kind, self.features), size, max_tokens)
        parts = shared_micro_batches(examples, self.features.example_lengths, size, shares)
        return [collate(self.features.of_examples(part), layout) for part in parts]
