"""The summary of a run: its first score, how sure it is, and the best baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.baselines import FROZEN_BASELINE
from headstart.reports.fold_words import fold_sentences, spread_sentences

# of scores.json
NOT_SPLITS = ("baselines", "best", "tables", "learned", "seconds", "training", "official", "distillation",
              "early_exit", "failed_parts", "folds", "ship")
# How the verdicts begin; the first is said before anything else.
WORSE, BETTER, UNSURE = "The model is worse than", "The model is better than", "The model is not clearly better than"
VERDICTS = (WORSE, BETTER, UNSURE)
PERCENT_SCORES = {"accuracy", "macro_f1", "weighted_f1"}  # shown in per cent


def evaluation_split(scores: Mapping[str, Any]) -> str:
    """The split that a run is evaluated on: test, else dev."""
    return "test" if "test" in scores else "dev"


def splits_by_weight(scores: Mapping[str, Any]) -> list[str]:
    """The splits that have scores, test first: it tells most."""
    return sorted((name for name in scores if name not in NOT_SPLITS),
                  key=lambda name: (not name.startswith("test"), name))


def score_sentences(scores: Mapping[str, Any]) -> list[str]:
    """How good the model is, how sure that is, and whether a cheap baseline would have done."""
    split = evaluation_split(scores)
    split_scores = scores[split]
    name = headline_score(scores)
    score = split_scores[name]
    if score["value"] is None:
        return [f"On {score['n']:,} {split} rows {name} is undefined: {score.get('reason')}."]
    out_of_fold = split == "dev" and scores.get("folds")
    subject = f"the model{'s are' if out_of_fold else ' is'} right in" if name == "accuracy" else \
        f"{name.replace('_', ' ')} is"
    rows = (f"Out of fold, on {score['n']:,} rows," if out_of_fold else
            f"On {score['n']:,} {split} row{'' if score['n'] == 1 else 's'}")
    score_sentence = (f"{rows} {subject} {value_text(name, score['value'])}{interval_clause(name, score)}."
                      f"{no_width_clause(name, score)}{one_label_clause(scores, split)}")
    if out_of_fold:
        spread = scores["folds"]["spread"].get(name)
        ends = [value_text(name, spread[end]) for end in ("low", "high")] if spread else []
        summary = [*fold_sentences(scores), score_sentence, *spread_sentences(scores, name, ends)]
    else:
        summary = [score_sentence, *fold_sentences(scores)]
    if split == "dev" and not out_of_fold:
        summary.append(no_test_sentence(scores))
    verdict = baseline_sentences(scores, name)
    is_worse = any(sentence.startswith(WORSE) for sentence in verdict)
    verdict += rare_label_sentences(scores, name)
    return [*ship_sentences(scores), *verdict, *summary] if is_worse else [*ship_sentences(scores), *summary, *verdict]


def no_test_sentence(scores: Mapping[str, Any]) -> str:
    """What the dev rows of a run without test rows have chosen, which makes their score too good."""
    choices = ["the checkpoint"] if (scores.get("best") or {}).get("candidates", 2) > 1 else []
    choices += ["which model is saved"] if (scores.get("ship") or {}).get("differences") else []
    if not choices:
        return "There were no test rows; the dev rows had no part in choosing the model."
    return f"There were no test rows: these rows also chose {' and '.join(choices)}, so the score is a little too good."


def ship_sentences(scores: Mapping[str, Any]) -> list[str]:
    """Which model is saved, where that is not what was trained, or where something that is not saved is better."""
    ship = scores.get("ship")
    if ship is None or not ship["differences"]:
        return []
    if ship["model"] != "trained":
        return [f"The saved model is a {ship['model']}, not the model that was trained: {ship['reason']} (--ship)."]
    something_is_better = "better than it" in ship["reason"]
    return [] if not something_is_better else [f"The saved model is the one that was trained: {ship['reason']}."]


def baseline_sentences(scores: Mapping[str, Any], name: str) -> list[str]:
    """Whether the model is better than the best cheap baseline, by how much, and how sure that is."""
    best_entry = best_baseline(scores, name)
    if best_entry is None:
        return []
    best_name, best_comparison = best_entry
    sign = sign_of(scores, name)
    difference = best_comparison["difference"][name]
    baseline = f"{best_name}, the best cheap baseline ({value_text(name, best_comparison['scores'][name]['value'])})"
    if difference["low"] is None:
        return [f"The model's {name.replace('_', ' ')} minus that of {baseline}, is "
                f"{points_text(name, difference['value'])}; no interval was computed, so it may be chance."]
    worst, best = sorted(sign * difference[end] for end in ("low", "high"))
    advantage = sign * difference["value"]
    if worst > 0:
        return [f"{BETTER} {baseline}, by {points_text(name, advantage)} "
                f"({points_interval(name, worst, best)})."]
    if best < 0:
        return [f"{WORSE} {baseline}, by {points_text(name, -advantage)} "
                f"({points_interval(name, -best, -worst)}): use the baseline, or look at the data."]
    return [f"{UNSURE} {baseline}: the difference of {points_text(name, advantage)} "
            f"({points_interval(name, worst, best)}) may be chance, and the baseline, which "
            f"{'trains no encoder' if best_name.startswith('frozen') else 'is far smaller'}, may be all you need."]


def is_frozen(scores: Mapping[str, Any]) -> bool:
    """Whether the saved model is a frozen encoder with a logistic regression."""
    return str((scores.get("ship") or {}).get("model", "")).startswith("frozen")


def no_width_clause(name: str, score: Mapping[str, Any]) -> str:
    """What an interval of no width, or none, leaves out, where all rows or none are right; "" elsewhere.

    The exact interval of Clopper and Pearson (1934) for n of n rows ends at 0.025 ** (1 / n).
    """
    if name != "accuracy" or score["low"] != score["high"] or score["value"] not in (0, 1):
        return ""
    end = 100 * (1 - 0.025 ** (1 / score["n"]))
    kind = "wrong" if score["value"] else "right"
    bound = "the exact 95 % interval" if score["low"] is None else "the exact one"
    no_width = "" if score["low"] is None else ", so the bootstrap interval has no width"
    return f" None of them is {kind}{no_width}; by {bound} up to {end:.1f} % of new rows may be {kind}."


def one_label_clause(scores: Mapping[str, Any], split: str) -> str:
    """That all rows of a split have the same label, "" where they have several."""
    per_class = (scores.get("tables", {}).get(split) or {}).get("per_class") or {}
    supports = {label: counts["support"] for label, counts in per_class.items() if counts["support"]}
    rows = next(iter(scores[split].values()))["n"]
    if len(per_class) < 2 or len(supports) != 1 or rows < 2 or sum(supports.values()) != rows:
        return ""
    return (f" All of these rows have the label {next(iter(supports))!r}: they do not show whether the model tells the "
            "labels apart.")


def rare_label_sentences(scores: Mapping[str, Any], name: str) -> list[str]:
    """Where the verdict is on accuracy, what macro F1 says of the same two beyond chance, if that is something else."""
    best_entry = best_baseline(scores, name)
    if name != "accuracy" or best_entry is None:
        return []
    best_name, comparison = best_entry
    accuracy, macro = comparison["difference"]["accuracy"], comparison["difference"].get("macro_f1")
    if macro is None or None in (macro["low"], macro["high"], accuracy["low"], accuracy["high"]):
        return []
    direction = side_of_zero(macro)
    if not direction or direction == side_of_zero(accuracy):
        return []
    ends = sorted(direction * macro[end] for end in ("low", "high"))
    return [f"In macro f1, which counts a rare label as much as a frequent one, it is "
            f"{'better' if direction > 0 else 'worse'} than {best_name}, by "
            f"{points_text('macro_f1', abs(macro['value']))} ({points_interval('macro_f1', *ends)})."]


def side_of_zero(difference: Mapping[str, Any]) -> int:
    """1 where an interval is above 0, -1 where it is below, else 0."""
    return int(difference["low"] > 0) - int(difference["high"] < 0)


def sign_of(scores: Mapping[str, Any], name: str) -> int:
    """1 where a higher score is better, else -1."""
    return 1 if scores[evaluation_split(scores)][name].get("higher_is_better", True) else -1


def best_baseline(scores: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, Any]] | None:
    """The cheap baseline with the best score of this name, and its comparison with the model; None without any.

    A frozen encoder with a logistic regression is not compared with itself.
    """
    baselines = [(baseline, comparison) for baseline, comparison in (scores.get("baselines") or {}).items()
                 if comparison["scores"].get(name, {}).get("value") is not None
                 and not (baseline == FROZEN_BASELINE and is_frozen(scores))]
    sign = sign_of(scores, name)
    return max(baselines, key=lambda pair: sign * pair[1]["scores"][name]["value"]) if baselines else None


def headline_score(scores: Mapping[str, Any]) -> str:
    """The score that the verdict is about: accuracy where there is one, else the task's first."""
    split_scores = scores[evaluation_split(scores)]
    return "accuracy" if "accuracy" in split_scores else next(iter(split_scores))


def first_scores(scores: Mapping[str, Any]) -> tuple[str, list[tuple[str, Mapping[str, Any]]]]:
    """The name of the task's first score, and its value for the model and for each baseline on the split that judges.
    """
    split = evaluation_split(scores)
    name = next(iter(scores[split]))
    return name, [("this model", scores[split][name])] + [
        (baseline, comparison["scores"][name]) for baseline, comparison in (scores.get("baselines") or {}).items()
        if comparison["split"] == split and name in comparison["scores"]]


def value_text(name: str, value: float) -> str:
    """A score: 91.2 % or 0.9123."""
    return f"{100 * value:.1f} %" if name in PERCENT_SCORES else f"{value:.4f}"


def points_text(name: str, value: float) -> str:
    """A difference: 1.2 points or 0.0123."""
    return f"{100 * value:.1f} points" if name in PERCENT_SCORES else f"{value:.4f}"


def points_interval(name: str, low: float, high: float) -> str:
    """The 95 % interval of a difference."""
    return "95 % interval " + " to ".join(points_text(name, end).removesuffix(" points") for end in (low, high))


def interval_clause(name: str, score: Mapping[str, Any]) -> str:
    """The 95 % interval in brackets, "" where there is none."""
    if score["low"] is None:
        return ""
    return f" (95 % interval {value_text(name, score['low'])} to {value_text(name, score['high'])})"


def training_series(log: Sequence[Mapping[str, Any]], scores: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Loss by step, and the score on dev that chose the checkpoint, as far as it is defined."""
    name = (scores.get("best") or {}).get("score")
    series: dict[str, list[list[float]]] = {"loss": [], "dev": []}
    for event in log:
        if event.get("event") == "step":
            series["loss"].append([event["step"], event["loss"]])
        elif event.get("event") == "evaluation":
            score = event["scores"].get(name) if name else next(iter(event["scores"].values()), None)
            if score is not None:
                series["dev"].append([event["step"], score])
    return series
