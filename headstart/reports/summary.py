"""A run in a few honest sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOT_SPLITS = ("baselines", "best", "tables", "learned", "seconds", "training", "official", "distillation")  # of scores.json
SHARES = {"accuracy", "macro_f1", "weighted_f1"}  # told in per cent


def judged(scores: Mapping[str, Any]) -> str:
    """The split that a run is judged on: test, else dev."""
    return "test" if "test" in scores else "dev"


def sentences(scores: Mapping[str, Any]) -> list[str]:
    """What the model can, how sure that is, and whether a cheap baseline would have done."""
    split = judged(scores)
    held = scores[split]
    name = "accuracy" if "accuracy" in held else next(iter(held))
    first = held[name]
    if first["value"] is None:
        return [f"On {first['n']:,} {split} rows {name} is undefined: {first.get('reason')}."]
    what = "the model is right in" if name == "accuracy" else f"{name.replace('_', ' ')} is"
    told = [f"On {first['n']:,} {split} rows {what} {number(name, first['value'])}{interval(name, first)}."]
    if split == "dev":
        told.append("There were no test rows: these rows also chose the checkpoint, so the score is a little too good.")
    told += against(scores, name)
    return told


def against(scores: Mapping[str, Any], name: str) -> list[str]:
    """Ours beside the best cheap baseline."""
    rivals = [(rival, held) for rival, held in (scores.get("baselines") or {}).items()
              if held["scores"].get(name, {}).get("value") is not None]
    if not rivals:
        return []
    rival, held = max(rivals, key=lambda pair: pair[1]["scores"][name]["value"])
    gap = held["difference"][name]
    value = number(name, held["scores"][name]["value"])
    begin = f"The best cheap baseline, {rival}, reaches {value}."
    if gap["low"] is None:
        return [begin]
    size = points(name, gap["value"])
    span = f"95 % interval {points(name, gap['low'])} to {points(name, gap['high'])}"
    if gap["low"] > 0:
        return [f"{begin} The model is better by {size} ({span}): more than chance."]
    if gap["high"] < 0:
        return [f"{begin} The model is worse by {points(name, -gap['value'])} ({span}, ours minus it): use the baseline, or look at the data."]
    return [f"{begin} The difference of {size} ({span}) may be chance: the baseline, which is far smaller, may be all that you need."]


def number(name: str, value: float) -> str:
    """A score in words."""
    return f"{100 * value:.1f} %" if name in SHARES else f"{value:.4f}"


def points(name: str, value: float) -> str:
    """A difference in words."""
    return f"{100 * value:.1f} points" if name in SHARES else f"{value:.4f}"


def interval(name: str, score: Mapping[str, Any]) -> str:
    """The 95 % interval in words, "" when there is none."""
    if score["low"] is None:
        return ""
    return f" (95 % interval {number(name, score['low'])} to {number(name, score['high'])})"


def curves(log: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Loss by update, and each evaluation's first score."""
    found: dict[str, list[list[float]]] = {"loss": [], "learning rate": [], "dev": []}
    for event in log:
        if event.get("event") == "update":
            found["loss"].append([event["update"], event["loss"]])
            found["learning rate"].append([event["update"], event["learning_rate"]])
        elif event.get("event") == "evaluation":
            first = next(iter(event["scores"].values()), None)
            if first is not None:
                found["dev"].append([event["update"], first])
    return found
