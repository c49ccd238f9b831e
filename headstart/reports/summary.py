"""The summary of a run: its first score, how sure it is, and the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# of scores.json
NOT_SPLITS = ("baselines", "best", "tables", "learned", "seconds", "training", "official", "distillation")
PERCENT_SCORES = {"accuracy", "macro_f1", "weighted_f1"}  # shown in per cent


def evaluation_split(scores: Mapping[str, Any]) -> str:
    """The split that a run is evaluated on: test, else dev."""
    return "test" if "test" in scores else "dev"


def score_sentences(scores: Mapping[str, Any]) -> list[str]:
    """How good the model is, how sure that is, and whether a cheap baseline would have done."""
    split = evaluation_split(scores)
    split_scores = scores[split]
    name = "accuracy" if "accuracy" in split_scores else next(iter(split_scores))
    score = split_scores[name]
    if score["value"] is None:
        return [f"On {score['n']:,} {split} rows {name} is undefined: {score.get('reason')}."]
    subject = "the model is right in" if name == "accuracy" else f"{name.replace('_', ' ')} is"
    summary = [f"On {score['n']:,} {split} rows {subject} "
               f"{value_text(name, score['value'])}{interval_clause(name, score)}."]
    if split == "dev":
        summary.append("There were no test rows: these rows also chose the checkpoint, so the score is a little too "
                       "good.")
    summary += baseline_sentences(scores, name)
    return summary


def baseline_sentences(scores: Mapping[str, Any], name: str) -> list[str]:
    """The model compared with the best cheap baseline."""
    baselines = [(baseline, comparison) for baseline, comparison in (scores.get("baselines") or {}).items()
                 if comparison["scores"].get(name, {}).get("value") is not None]
    if not baselines:
        return []
    best_name, best_comparison = max(baselines, key=lambda pair: pair[1]["scores"][name]["value"])
    difference = best_comparison["difference"][name]
    value = value_text(name, best_comparison["scores"][name]["value"])
    opening = f"The best cheap baseline, {best_name}, reaches {value}."
    if difference["low"] is None:
        return [opening]
    points = points_text(name, difference["value"])
    interval = f"95 % interval {points_text(name, difference['low'])} to {points_text(name, difference['high'])}"
    if difference["low"] > 0:
        return [f"{opening} The model is better by {points} ({interval}): more than chance."]
    if difference["high"] < 0:
        return [f"{opening} The model is worse by {points_text(name, -difference['value'])} ({interval}, model minus "
                "baseline): "
                "use the baseline, or look at the data."]
    return [f"{opening} The difference of {points} ({interval}) may be chance: the baseline, which is far smaller, may "
            "be all you need."]


def value_text(name: str, value: float) -> str:
    """A score: 91.2 % or 0.9123."""
    return f"{100 * value:.1f} %" if name in PERCENT_SCORES else f"{value:.4f}"


def points_text(name: str, value: float) -> str:
    """A difference: 1.2 points or 0.0123."""
    return f"{100 * value:.1f} points" if name in PERCENT_SCORES else f"{value:.4f}"


def interval_clause(name: str, score: Mapping[str, Any]) -> str:
    """The 95 % interval in brackets, "" where there is none."""
    if score["low"] is None:
        return ""
    return f" (95 % interval {value_text(name, score['low'])} to {value_text(name, score['high'])})"


def training_series(log: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Loss by step, and each evaluation's first score."""
    series: dict[str, list[list[float]]] = {"loss": [], "learning rate": [], "dev": []}
    for event in log:
        if event.get("event") == "step":
            series["loss"].append([event["step"], event["loss"]])
            series["learning rate"].append([event["step"], event["learning_rate"]])
        elif event.get("event") == "evaluation":
            score = next(iter(event["scores"].values()), None)
            if score is not None:
                series["dev"].append([event["step"], score])
    return series
