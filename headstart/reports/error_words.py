"""The report's figure of wrong predictions and the words that caused them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from headstart.contract import Figure, Json, Task
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.inspection.error_attribution import explain_error
from headstart.models.model import Model
from headstart.reports.word_gaps import word_shares

TITLE = "Words that caused the errors"
MAX_WORDS = 250


def error_figures(task: Task[Any], model: Model, evaluation: SplitEvaluation, count: int) -> list[Figure]:
    """One figure, or none where there are no errors, `count` is 0, or the task explains none."""
    errors = task.errors_to_explain(evaluation.examples, evaluation.predictions, evaluation.measures,
                                    count) if count else []
    if not errors:
        return []
    items: list[Json] = []
    skipped = 0
    for error in errors:
        attribution = explain_error(model, error)
        if attribution is None:
            skipped += 1
            continue
        fields: dict[str, Json] = {"prediction": error.predicted, "in the file": error.gold,
                                   "output": attribution.difference,
                                  "attribution error": attribution.error}
        words = word_shares(error.text, error.pair, attribution.words)
        items.append({"title": f"row {error.row}", "fields": fields, "words": words[:MAX_WORDS]})
    skipped_note = f" {skipped} longer than one model input are skipped." if skipped else ""
    return [Figure("reasons", TITLE, "words", {"items": items},
                   "Integrated gradients of the wrong output, with a text of padding as baseline: words with a solid "
                   "underline raised it, words with a dotted underline lowered it; the strongest are listed, as shares "
                   f"of the strongest.{skipped_note}")]


def with_words(figures: Sequence[Figure], reasons: Sequence[Figure]) -> list[Figure]:
    """The figures with the scored words in the very lists of wrong answers where these rows stand; what stands in none
    follows as a figure of its own.
    """
    if not reasons:
        return list(figures)
    (reason,) = reasons
    explained = {item["title"]: item for item in reason.data["items"]}
    row_titles, merged = set[str](), []
    for figure in figures:
        items = figure.data["items"] if figure.kind == "texts" else []
        titles = [item["title"] for item in items if item["title"] in explained]
        if not titles or row_titles:
            merged.append(figure)
            continue
        row_titles.update(titles)
        items = [item | {"words": explained[item["title"]]["words"],
                         "fields": item["fields"] | explained[item["title"]]["fields"]}
                 if item["title"] in row_titles else item for item in items]
        merged.append(dataclasses.replace(
            figure, data={**figure.data, "items": items},
            caption=f"{figure.caption} In {len(row_titles)} of them the words that led there are underlined "
                    f"(evaluation.explained_errors). {reason.caption}".strip()))
    rest = [item for title, item in explained.items() if title not in row_titles]
    return [*merged, dataclasses.replace(reason, data={"items": rest})] if rest or not explained else merged
