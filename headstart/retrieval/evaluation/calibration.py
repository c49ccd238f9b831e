"""When an index should abstain, by how near its nearest passage is to a question; and how a mixed search should weigh
its rankings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.metrics import abstention, ranking
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.evaluation.search_metrics import JudgedQuestions
from headstart.retrieval.index import thresholds
from headstart.retrieval.index.index import FUSION_DEPTH, fuse_rankings

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

MAX_RISK = 0.1  # share of answered questions whose passages may hold no answer


@dataclass(frozen=True)
class AbstentionCalibration:
    """The curve of risk over coverage, and the chosen operating point; None where no threshold has so low a risk."""

    curve: abstention.RiskCoverageCurve
    point: abstention.OperatingPoint | None
    passages: int
    unanswerable: int

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        figure = abstention.figure({"nearness": self.curve}, point=self.point)
        return {"risk_wanted": MAX_RISK, "area": self.curve.area, "passages": self.passages,
                "unanswerable": self.unanswerable,
                "curve": figure.data["series"], **({"threshold": None} if self.point is None else self.point.json())}

    def summary(self) -> str:
        """In a sentence or two."""
        text = (f"risk that none of the first {self.passages} passages answers, over all questions: "
                f"{self.curve.risk[-1]:.1%}")
        if self.unanswerable:
            text += f" ({self.unanswerable:,} questions have no answer in the index)"
        if self.point is None:
            return text + f"; no threshold brings it to {MAX_RISK:.0%}"
        return text + (f"; with the threshold {self.point.threshold:.4f}, {self.point.coverage:.1%} of the questions "
                       "are answered at a "
                       f"risk of {self.point.risk:.1%} (at most {self.point.risk_high:.1%} with 95 % certainty)")


def calibrate_abstention(index: Index, judged: JudgedQuestions, hits: Sequence[Sequence[ScoredPassage]], *,
                         passages: int) -> AbstentionCalibration:
    """Risk and coverage by the similarity of the nearest passage; `hits` are the passages that answers would be from.

    Questions without an answer in the index count as wrong whenever they are answered.
    """
    texts = [*(question.text for question in judged.questions), *(question.text for question in judged.unanswerable)]
    nearest = index.search(texts, source="dense" if index.has_vectors else "sparse", k=1)
    similarities = [question_hits[0].score if question_hits else 0.0 for question_hits in nearest]
    is_right = [bool({hit.row for hit in question_hits[:passages]} & set(rows))
                for question_hits, rows in zip(hits, judged.relevant, strict=True)]
    curve = abstention.risk_coverage_curve(similarities, [*is_right, *([False] * len(judged.unanswerable))])
    return AbstentionCalibration(curve, abstention.point_at_risk(curve, MAX_RISK), passages, len(judged.unanswerable))


@dataclass(frozen=True)
class FusionCalibration:
    """nDCG@10 of mixed searches by the weight of the dense ranking in them, and the best weight."""

    ndcg_by_weight: Mapping[float, float]
    dense_weight: float

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        return {"share": self.dense_weight, "ndcg_10": {f"{weight:.1f}": value
                                                        for weight, value in self.ndcg_by_weight.items()}}

    def summary(self) -> str:
        """In a sentence."""
        best, equal = self.ndcg_by_weight[self.dense_weight], self.ndcg_by_weight[thresholds.EQUAL_WEIGHT]
        return (f"mixed search now weighs vectors {self.dense_weight:.0%}: nDCG@10 {best:.4f} on these questions, "
                f"{equal:.4f} where "
                "words and vectors weigh the same (evaluate on other questions: it was chosen on these)")


def calibrate_fusion(index: Index, judged: JudgedQuestions) -> FusionCalibration | None:
    """The best weight of dense search in a mixed one, among tenths; of equals the one nearest to a half. None without
    vectors.
    """
    if not index.has_vectors:
        return None
    rankings = index.rankings([question.text for question in judged.questions], FUSION_DEPTH)
    gains: list[Mapping[Any, float]] = [dict.fromkeys(rows, 1.0) for rows in judged.relevant]
    ndcg_by_weight = {}
    for tenth in range(11):
        rows = [[row for row, _ in fuse_rankings(pair, tenth / 10)[:10]] for pair in rankings]
        ndcg_by_weight[tenth / 10] = float(ranking.ndcg(rows, gains, k=10).mean())
    best = min(ndcg_by_weight, key=lambda weight: (-round(ndcg_by_weight[weight], 9),
                                                   abs(weight - thresholds.EQUAL_WEIGHT), weight))
    return FusionCalibration(ndcg_by_weight, best)


def write_to_index(index: Index, calibrated: AbstentionCalibration, fusion: FusionCalibration | None) -> None:
    """Write the threshold and the weight into the index's folder."""
    point = {} if calibrated.point is None else {"coverage": calibrated.point.coverage, "risk": calibrated.point.risk}
    thresholds.write_calibration(index.path, index.version, {
        **({} if fusion is None else {"share": fusion.dense_weight}), "threshold": None if calibrated.point is None else
        calibrated.point.threshold, **point, "risk_wanted": MAX_RISK, "questions": calibrated.curve.count})
