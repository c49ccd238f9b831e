"""When an index should say that it does not know: how near its nearest passage is to a question, and whether what it found answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.metrics import abstention, ranking
from headstart.retrieval.documents.passage import Found
from headstart.retrieval.evaluation.search import Asked
from headstart.retrieval.index import thresholds
from headstart.retrieval.index.index import FUSED, fused

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

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


@dataclass(frozen=True)
class Mix:
    """nDCG@10 of mixed searches by the share of meaning in them, and the best share."""

    by_share: Mapping[float, float]
    share: float

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        return {"share": self.share, "ndcg_10": {f"{share:.1f}": value for share, value in self.by_share.items()}}

    def words(self) -> str:
        """In a sentence."""
        best, alike = self.by_share[self.share], self.by_share[thresholds.ALIKE]
        return (f"in a mixed search meaning weighs {self.share:.0%} from now on: nDCG@10 {best:.4f} on these questions, {alike:.4f} where "
                "both weigh the same (measure on other questions: it was chosen on these)")


def mix(index: Index, asked: Asked) -> Mix | None:
    """The share of meaning that finds best, among tenths; of equals the one nearest to a half. None without vectors."""
    if not index.has_vectors:
        return None
    rankings = index.rankings([one.text for one in asked.questions], FUSED)
    gains: list[Mapping[Any, float]] = [dict.fromkeys(rows, 1.0) for rows in asked.right]
    found = {}
    for tenth in range(11):
        rows = [[row for row, _ in fused(both, tenth / 10)[:10]] for both in rankings]
        found[tenth / 10] = float(ranking.ndcg(rows, gains, k=10).mean())
    return Mix(found, min(found, key=lambda share: (-round(found[share], 9), abs(share - thresholds.ALIKE), share)))


def keep(index: Index, found: Calibrated, mixed: Mix | None) -> None:
    """Keep threshold and share in the index."""
    choice = {} if found.choice is None else {"coverage": found.choice.coverage, "risk": found.choice.risk}
    thresholds.keep(index, {**({} if mixed is None else {"share": mixed.share}),
                           "threshold": None if found.choice is None else found.choice.threshold, **choice,
                           "risk_wanted": RISK, "questions": found.curve.count})
