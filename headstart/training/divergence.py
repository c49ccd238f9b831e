"""Whether training still learns: what the losses of its steps say, and the error where it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.errors import UserError

FIRST_STEPS = 10  # whose mean loss is the start
DECAY = 0.95  # of the mean of recent losses: about the last 20 steps
RISE, SLACK = 1.5, 0.5  # recent losses above RISE times the start and SLACK more have risen well above it
INTERVAL = 0.2  # share of all steps between two looks at whether the loss still falls
EARLIEST = 0.5  # share of all steps before which a model may answer with one label: CoLA did until 0.4, and learnt
FALL = 0.97  # a loss that is still learning falls below this share of what it was an interval before
LEARNT = 0.9  # share of the prior's loss below which a model has learned from the texts, whatever it answers
SLOW = 1.1  # times the prior's loss above which a model has not even learned how frequent each label is
FEWEST_STEPS, ENOUGH_STEPS = 50, 100  # of a training whose answers, and whose last answers, say something of its rate


class Diverged(UserError):
    """Training went wrong in a way that a lower learning rate may mend."""


@dataclass(frozen=True)
class LossWatch:
    """What the losses of one training so far say; JSON in every checkpoint, so that a resumed run sees the same."""

    steps: int = 0
    start: float = 0.0  # mean of the first losses
    recent: float = 0.0  # exponential mean, from 0
    interval_sum: float = 0.0  # of losses since the last look
    interval_steps: int = 0
    interval_mean: float | None = None  # of losses before the last look
    has_told_apart: bool = False  # whether any evaluation had more than one answer

    def after_step(self, loss: float) -> LossWatch:
        """The watch after one more step."""
        steps = self.steps + 1
        start = self.start + (loss - self.start) / steps if steps <= FIRST_STEPS else self.start
        return replace(self, steps=steps, start=start, recent=DECAY * self.recent + (1 - DECAY) * loss,
                       interval_sum=self.interval_sum + loss, interval_steps=self.interval_steps + 1)

    @property
    def recent_mean(self) -> float:
        """The mean of recent losses, without the bias of its start at 0."""
        return self.recent / (1 - DECAY**self.steps)

    @property
    def has_risen(self) -> bool:
        """Whether recent losses are well above where training began."""
        return self.steps > 2 * FIRST_STEPS and self.recent_mean > RISE * self.start + SLACK

    def after_evaluation(self, total_steps: int, *, collapsed: bool) -> LossWatch:
        """The watch after an evaluation: a new interval begins where the last one was long enough."""
        watch = replace(self, has_told_apart=self.has_told_apart or not collapsed)
        if not self.interval_steps or self.interval_steps < INTERVAL * total_steps:
            return watch
        return replace(watch, interval_sum=0.0, interval_steps=0, interval_mean=self.interval_sum / self.interval_steps)

    def is_stuck(self, total_steps: int, *, prior_loss: float = 0.0) -> bool:
        """Whether a model that gives one answer to all is past learning at this rate: its loss stands still, or its
        steps are over and it never gave two. A model that is merely slow gives one answer, too; its loss falls, or is
        well below `prior_loss` already, that of a model which gives each label its share of the rows, or is on its way
        down to it still.
        """
        if prior_loss and self.steps and (self.recent_mean < LEARNT * prior_loss or
                                          prior_loss * SLOW < self.recent_mean < FALL * self.start):
            return False
        if self.steps == total_steps and total_steps >= ENOUGH_STEPS and not self.has_told_apart:
            return True
        if self.interval_mean is None or total_steps < FEWEST_STEPS or self.steps < EARLIEST * total_steps or (
                self.interval_steps < INTERVAL * total_steps):
            return False
        return self.interval_sum / self.interval_steps > FALL * self.interval_mean


def prior_loss(counts: Sequence[int]) -> float:
    """The cross entropy, in nats, of answering every row with each label's share of them; 0 without counts."""
    shares = [count / sum(counts) for count in counts if count]
    return -sum(share * math.log(share) for share in shares)
