"""What a report says of a model's confidence: calibration before and after, risk by coverage, and in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Abstention, Figure, Json
from headstart.contract.abstention import ABSTENTION
from headstart.reports.score_table import interval_text
from headstart.reports.summary import evaluation_split

NAMES = {"log_loss": "log loss", "calibration_error": "calibration error"}


def percent(share: float) -> str:
    """0.0512 as "5.1 %"."""
    return f"{100 * share:.1f} %"


def confidence_figures(tables: Mapping[str, Json]) -> list[Figure]:
    """The figures of one split's tables in scores.json: calibration, and the risk-coverage curve, where they are there.
    """
    figures = []
    if "calibration" in tables:
        figures.append(calibration_figure(tables["calibration"]))
    if "risk_coverage" in tables:
        figures.append(risk_coverage_figure(tables["risk_coverage"]))
    return figures


def calibration_figure(table: Mapping[str, Any]) -> Figure:
    """Log loss and calibration error before and after the temperature."""
    stages = [name for name in ("before", "after", "difference") if name in table["log_loss"]]
    rows = [[label, *(interval_text(table[score][stage], sign="+" if stage == "difference" else "")
                      for stage in stages)] for score, label in NAMES.items()]
    caption = (f"The outputs are divided by {table['temperature']:.4g}, a temperature that was learned on dev; no "
               "answer changes by it. Lower is better." if table["used"] else
               f"No temperature is used: {table['reason']}. Lower is better.")
    return Figure("calibration", "Calibration, before and after the temperature", "table",
                  {"columns": ["score", *stages], "rows": rows}, caption)


def risk_coverage_figure(table: Mapping[str, Any]) -> Figure:
    """The share of wrong answers by the share of rows that are answered, and the promised risk."""
    points = [[point["coverage"], point["risk"]] for point in table["points"]]
    end = "the model answers nothing" if table["threshold"] is None else (
        f"the model answers from a confidence of {table['threshold']:.4f} on")
    return Figure("risk_coverage", "Risk by coverage", "curve",
                  {"x_title": "coverage: share of rows answered, the most confident first",
                   "y_title": "risk: share of these that are wrong", "diagonal": False,
                   "series": {f"this model (area {table['area']:.4f})": points,
                              "promised risk": [[0.0, table["risk"]], [1.0, table["risk"]]]}},
                  "Lower is better; at the right end everything is answered. Promised: "
                  f"{percent(table['risk'])}; {end}.")


def threshold_figure(points: Sequence[Mapping[str, Any]], rows: int) -> list[Figure]:
    """What answering only from a confidence on would give, to be read off threshold by threshold; [] without points."""
    if not points:
        return []
    series = {"coverage: share of rows that are answered": "coverage", "risk: share of these that are wrong": "risk"}
    return [Figure("threshold", "Answer only when confident", "curve",
                   {"x_title": "threshold: confidence from which on the model answers", "y_title": "share",
                    "diagonal": False,
                    "series": {name: [[point["threshold"], point[field]] for point in points]
                               for name, field in series.items()},
                    "more": {name: {point["threshold"]: point[field] for point in points}
                             for name, field in (("rows answered", "answered"), ("of these wrong", "wrong"))}},
                   f"Of {rows:,} rows. At the left end every row is answered; further right fewer are, and of a model "
                   "whose confidence is informative fewer of these wrongly. evaluation.risk chooses a threshold on "
                   "dev that keeps a promise.")]


def chosen_words(abstention: Abstention) -> str:
    """What was chosen on dev, in a sentence."""
    promise = f"risk {percent(abstention.risk)}"
    if abstention.threshold is None:
        return (f"{promise}: no threshold promises it on {abstention.rows:,} dev rows with "
                f"{100 * abstention.certainty:.0f} % certainty, so the model abstains on every row and only tells its "
                "best guess (column withheld); more dev rows, a higher risk or a better model help")
    assert abstention.selective_risk is not None and abstention.risk_bound is not None
    return (f"{promise}: the model answers from a confidence of {abstention.threshold:.4f} on, that is "
            f"{percent(abstention.coverage)} of {abstention.rows:,} dev rows, {percent(abstention.selective_risk)} of "
            f"these wrongly; at most {percent(abstention.risk)} are wrong with {100 * abstention.certainty:.0f} % "
            "certainty")


def confidence_sentences(scores: Mapping[str, Any]) -> list[str]:
    """Calibration, what was promised, and whether it holds on the rows that the run is judged on."""
    split = evaluation_split(scores)
    tables, sentences = scores.get("tables", {}).get(split, {}), []
    if tables.get("calibration", {}).get("used"):
        table = tables["calibration"]
        changes = " and ".join(f"{label} from {table[score]['before']['value']:.3f} to "
                               f"{table[score]['after']['value']:.3f}" for score, label in NAMES.items())
        sentences.append(f"Probabilities are calibrated by a temperature of {table['temperature']:.3g}, learned on "
                         f"dev; on {split} it brings {changes}.")
    learned = scores.get("learned", {}).get(ABSTENTION)
    if learned is not None:
        abstention = Abstention.from_json(learned)
        sentences.append(f"{chosen_words(abstention).capitalize()}.")
        sentences += realised_sentences(abstention, split, scores[split])
        if scores.get("folds") and abstention.threshold is not None:
            sentences.append("The threshold was chosen out of fold, so the promise is that of the folds' models; the "
                             "saved model, trained on all rows, may be a little surer: test rows tell (--test FILE).")
    return sentences


def realised_sentences(abstention: Abstention, split: str, split_scores: Mapping[str, Any]) -> list[str]:
    """How many rows of a split are answered, how many of these wrongly, and what that says of the promise."""
    risk, coverage = split_scores.get("selective_risk"), split_scores.get("coverage")
    if abstention.threshold is None or risk is None or coverage is None or risk["value"] is None:
        return []
    words = (f"On {split} it answers {percent(coverage['value'])} of {coverage['n']:,} rows, {percent(risk['value'])} "
             f"of these wrongly (95 % interval {percent(risk['low'])} to {percent(risk['high'])})")
    if split == "dev":
        return [f"{words}; these rows chose the threshold, so the figure is slightly optimistic."]
    if risk["low"] > abstention.risk:
        return [f"{words}: the promise does not hold there. Are these rows of another kind than dev?"]
    return [f"{words}: " + ("the promise holds." if risk["high"] <= abstention.risk else
                            "in line with the promise." if risk["value"] <= abstention.risk else
                            "above the promise, by no more than chance.")]
