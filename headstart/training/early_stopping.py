"""What a run remembers of its evaluations: which checkpoint is best, and when to stop waiting for a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

MOST = 100  # best scores that are remembered


@dataclass(frozen=True)
class Progress:
    """The best score so far and the update where it was; JSON in every checkpoint."""

    score: str
    higher_is_better: bool
    value: float | None = None
    update: int | None = None
    waited: int = 0  # evaluations since the best one
    evaluated: int = 0  # the last update that was evaluated
    top: Sequence[tuple[float, int]] = ()  # the best scores and their updates, best first

    def after(self, update: int, value: float | None) -> Progress:
        """The progress after one more evaluation; an undefined score is never the best unless there is none."""
        better = self.update is None or (value is not None and (
            self.value is None or (value > self.value if self.higher_is_better else value < self.value)))
        sign = -1 if self.higher_is_better else 1
        top = sorted([*self.top, *([(value, update)] if value is not None else [])], key=lambda pair: (sign * pair[0], pair[1]))[:MOST]
        if better:
            return replace(self, value=value, update=update, waited=0, evaluated=update, top=top)
        return replace(self, waited=self.waited + 1, evaluated=update, top=top)

    def best(self, count: int) -> list[int]:
        """The updates of the best checkpoints, best first."""
        return list(dict.fromkeys([*([self.update] if self.update is not None else []), *(update for _, update in self.top)]))[:count]

    def exhausted(self, patience: int | None) -> bool:
        """Whether there was no better score for `patience` evaluations."""
        return patience is not None and self.waited >= patience
