"""What a run remembers of its evaluations: which checkpoint is best, and when to stop waiting for a better one."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """The best score so far and the update where it was; JSON in every checkpoint."""

    score: str
    higher_is_better: bool
    value: float | None = None
    update: int | None = None
    waited: int = 0  # evaluations since the best one
    evaluated: int = 0  # the last update that was evaluated

    def after(self, update: int, value: float | None) -> Progress:
        """The progress after one more evaluation; an undefined score is never the best unless there is none."""
        better = self.update is None or (value is not None and (
            self.value is None or (value > self.value if self.higher_is_better else value < self.value)))
        if better:
            return replace(self, value=value, update=update, waited=0, evaluated=update)
        return replace(self, waited=self.waited + 1, evaluated=update)

    def exhausted(self, patience: int | None) -> bool:
        """Whether there was no better score for `patience` evaluations."""
        return patience is not None and self.waited >= patience
