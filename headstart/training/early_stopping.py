"""What a run remembers of its evaluations: which checkpoint is best, and when to stop waiting for a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MAX_SCORES = 100  # best scores that are remembered


@dataclass(frozen=True)
class EarlyStopping:
    """The best score so far and the step where it was; JSON in every checkpoint."""

    score: str
    higher_is_better: bool
    value: float | None = None
    step: int | None = None
    waited: int = 0  # evaluations since the best one
    evaluated: int = 0  # the last step that was evaluated
    top: Sequence[tuple[float, int]] = ()  # the best scores and their steps, best first

    def after_evaluation(self, step: int, value: float | None) -> EarlyStopping:
        """The progress after one more evaluation; an undefined score is never the best unless there is none."""
        better = self.step is None or (value is not None and (
            self.value is None or (value > self.value if self.higher_is_better else value < self.value)))
        sign = -1 if self.higher_is_better else 1
        top = sorted([*self.top, *([(value, step)] if value is not None else [])],
                     key=lambda pair: (sign * pair[0], pair[1]))[:MAX_SCORES]
        if better:
            return replace(self, value=value, step=step, waited=0, evaluated=step, top=top)
        return replace(self, waited=self.waited + 1, evaluated=step, top=top)

    def at_last_step(self, step: int) -> EarlyStopping:
        """The progress where no dev rows choose: the last step's weights are the model's."""
        return replace(self, step=step, evaluated=step)

    def best_steps(self, count: int) -> list[int]:
        """The steps of the best checkpoints, best first."""
        return list(dict.fromkeys([*([self.step] if self.step is not None else []),
                                   *(step for _, step in self.top)]))[:count]

    def exhausted(self, patience: int | None) -> bool:
        """Whether there was no better score for `patience` evaluations."""
        return patience is not None and self.waited >= patience
