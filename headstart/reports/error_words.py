"""The report's figure of wrong answers and the words that they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.contract import Doubt, Figure, Json, Task
from headstart.evaluation.evaluate import Evaluated
from headstart.models.model import Model

if TYPE_CHECKING:
    from headstart.inspection.error_attribution import Weighed

TITLE = "Which words led it astray"
MOST_WORDS = 250


def gaps(doubt: Doubt, held: Weighed) -> list[str]:
    """What stands before each word, so that the text reads as it was written; a pair begins a line of its own."""
    found, part, end = [], "text", 0
    for word, _ in held.words:
        source = doubt.text if word.part == "text" else doubt.pair or ""
        known = word.end > word.begin  # a tokenizer that tells no characters leaves words of length 0
        if word.part != part:
            found.append("\n")
        else:
            found.append(source[end:word.begin] if known else " " if found else "")
        part, end = word.part, word.end
    return found


def figures(task: Task[Any], model: Model, done: Evaluated, count: int) -> list[Figure]:
    """One figure, or none where nothing is wrong, nothing is wanted, or the task has no such words."""
    from headstart.inspection.error_attribution import weigh

    doubts = task.doubts(done.examples, done.predictions, done.measures, count) if count else []
    if not doubts:
        return []
    if model.kind != "encoder" or model.facts.row.heads[model.head].beams is not None:
        return [Figure("reasons", TITLE, "words", {"items": []}, "This is worked out for encoders with one answer; here it is not.")]
    items: list[Json] = []
    long = 0
    for doubt in doubts:
        held = weigh(model, doubt)
        if held is None:
            long += 1
            continue
        top = max((abs(score) for _, score in held.words), default=0.0) or 1.0
        facts: dict[str, Json] = {"prediction": doubt.said, "in the file": doubt.gold, "output": held.difference,
                                  "missed by the words": held.error}
        shown = [[gap, word.text, score / top] for gap, (word, score) in zip(gaps(doubt, held), held.words, strict=True)]
        items.append({"title": f"row {doubt.row}", "fields": facts, "words": shown[:MOST_WORDS]})
    left = f" {long} longer than one model input are left out." if long else ""
    return [Figure("reasons", TITLE, "words", {"items": items},
                   "Integrated gradients of the output that gave the wrong answer, against a text of padding: words over a full line "
                   "spoke for it, words over a dotted line against it; the strongest are listed with their shares of the strongest."
                   f"{left}")]
