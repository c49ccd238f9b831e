"""What is said of scores out of fold: first, that they are of other models than the one that is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TUNED = ("threshold", "thresholds")  # learned values that change which answers are right, tuned on dev


def split_title(split: str, scores: Mapping[str, Any]) -> str:
    """A split's name; of rows that were scored in folds it says so."""
    return f"{split}, out of fold" if split == "dev" and scores.get("folds") else split


def fold_sentences(scores: Mapping[str, Any]) -> list[str]:
    """Whose scores those on dev are, [] where there are no folds."""
    folds = scores.get("folds")
    if not folds:
        return []
    row_count = sum(part["rows"] for part in folds["parts"])
    return [f"The dev scores are out of fold: each of {row_count:,} rows was predicted by one of {folds['count']} "
            "models, trained on the other folds. They are not scores of the saved model, which was trained on all "
            f"{row_count:,} rows; {expectation(folds)}"]


def expectation(folds: Mapping[str, Any]) -> str:
    """What the scores say of new rows, where a class with a single row was unknown to the model that predicted it."""
    single, classes = folds.get("single_row_classes", 0), folds.get("classes", 0)
    if not single:
        return "on new rows expect about the same."
    if single == classes:
        return ("but no class has a second row, so no fold's model could be right: these scores say nothing of new "
                "rows. Two rows of each class are needed, better eight.")
    return (f"on new rows expect about the same, but for the {single:,} of {classes:,} classes with one row, which the "
            "folds' models could not know: here each such row counts as wrong.")


def spread_sentences(scores: Mapping[str, Any], name: str, texts: Sequence[str]) -> list[str]:
    """How far the folds lie apart in a score, whose lowest and highest are `texts`, and what was tuned on the rows."""
    sentences = []
    if texts:
        sentences.append(f"From fold to fold {name.replace('_', ' ')} lies between {texts[0]} and {texts[1]}.")
    if tuned := [value for value in TUNED if value in scores.get("learned", {})]:
        verb = "were" if "thresholds" in tuned else "was"
        sentences.append(f"The {tuned[0]} {verb} tuned on these predictions, which makes the scores "
                         "slightly optimistic.")
    return sentences


def fold_rows(scores: Mapping[str, Any]) -> list[list[Any]]:
    """A row for each fold: its number, rows, steps, seconds, and each score."""
    folds = scores.get("folds") or {"parts": []}
    return [[number, part["rows"], part["steps"], float(part["seconds"]), *part["scores"].values()]
            for number, part in enumerate(folds["parts"], start=1)]


def fold_columns(scores: Mapping[str, Any]) -> list[str]:
    """The names of what `fold_rows` holds."""
    return ["fold", "rows", "steps", "seconds", *(name.replace("_", " ")
                                                   for name in scores["folds"]["parts"][0]["scores"])]
