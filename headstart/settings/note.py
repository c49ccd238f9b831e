"""The documentation of a setting: help, unit and bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Help, unit and bounds of a setting; `above` and `below` are bounds that are themselves not allowed."""

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def bounds(self) -> str:
        """The bounds as text, "" when there are none."""
        low = (f"at least {self.low:g}" if self.low is not None else f"above {self.above:g}" if self.above is not None
               else "")
        high = (f"at most {self.high:g}" if self.high is not None else f"below {self.below:g}" if self.below is not None
                else "")
        return " and ".join(part for part in (low, high) if part)

    def allows(self, value: float) -> bool:
        """Whether a number is inside the bounds."""
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )


Count = int | None
Part = int | float | None  # a count of rows, or a share from 0 to 1
