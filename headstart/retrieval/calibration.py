"""When an index should say that it does not know: how near its nearest passage is to a question, and whether what it found answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.contract import Json
from headstart.metrics import abstention
from headstart.retrieval import threshold
from headstart.retrieval.measuring import Asked
from headstart.retrieval.passage import Found

if TYPE_CHECKING:
    from headstart.retrieval.index import Index

RISK = 0.1  # share of answered questions whose passages may hold no answer


@dataclass(frozen=True)
class Calibrated:
    """The curve of risk over coverage, and the point that was chosen; None where no threshold has so low a risk."""

    curve: abstention.Curve
    choice: abstention.Choice | None
    passages: int
    unanswerable: int

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        figure = abstention.figure({"nearness": self.curve}, chosen=self.choice)
        return {"risk_wanted": RISK, "area": self.curve.area, "passages": self.passages, "unanswerable": self.unanswerable,
                "curve": figure.data["series"], **({"threshold": None} if self.choice is None else self.choice.json())}

    def words(self) -> str:
        """In a sentence or two."""
        said = f"risk that none of the first {self.passages} passages answers, over all questions: {self.curve.risk[-1]:.1%}"
        if self.unanswerable:
            said += f" ({self.unanswerable:,} questions have no answer in the index)"
        if self.choice is None:
            return said + f"; no threshold brings it to {RISK:.0%}"
        return said + (f"; with the threshold {self.choice.threshold:.4f}, {self.choice.coverage:.1%} of the questions are answered at a "
                       f"risk of {self.choice.risk:.1%} (at most {self.choice.risk_high:.1%} with 95 % certainty)")


def calibrate(index: Index, asked: Asked, listed: Sequence[Sequence[Found]], *, passages: int) -> Calibrated:
    """Risk and coverage by the nearness of the nearest passage; `listed` are the passages that answers would be from.

    Questions without an answer in the index count as wrong whenever they are answered.
    """
    texts = [*(one.text for one in asked.questions), *(one.text for one in asked.foreign)]
    near = [held[0].score if held else 0.0 for held in index.search(texts, source="dense" if index.has_vectors else "sparse", k=1)]
    right = [bool({one.row for one in held[:passages]} & set(rows)) for held, rows in zip(listed, asked.right, strict=True)]
    found = abstention.curve(near, [*right, *([False] * len(asked.foreign))])
    return Calibrated(found, abstention.at_risk(found, RISK), passages, len(asked.foreign))


def keep(index: Index, found: Calibrated) -> None:
    """Keep the threshold in the index."""
    threshold.keep(index, {"threshold": None if found.choice is None else found.choice.threshold,
                           **({} if found.choice is None else {"coverage": found.choice.coverage, "risk": found.choice.risk}),
                           "risk_wanted": RISK, "questions": found.curve.count})
