"""Pictures and tables of question answering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.contract import Doubt, Figure, Measures, Prediction
from headstart.tasks.question_answering.reading import Question

WORDS = ("what", "who", "when", "where", "which", "how", "why")
MOST_TOKENS = 160  # of the question whose scores are drawn


def figures(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
    """By first word, worst answers, token scores of one question."""
    made = [by_word(examples, measures), worst(examples, predictions, measures)]
    drawn = [place for place, one in enumerate(predictions) if "pieces" in one.detail and one.values["prediction"]
             and one.detail["pieces"].count("\n") < MOST_TOKENS]
    if drawn:
        right = [place for place in drawn if measures["exact"][place] == 1]
        made += token_scores(examples[(right or drawn)[0]], predictions[(right or drawn)[0]])
    return made


def by_word(examples: Sequence[Question], measures: Measures) -> Figure:
    """F1 and exact match by the question's word."""
    held: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        words = example.question.lower().split()
        held.setdefault(next((word for word in words if word in WORDS), "other"), []).append(place)
    rows = [[word, len(places), float(measures["f1"][places].mean()), float(measures["exact"][places].mean())]
            for word, places in sorted(held.items(), key=lambda pair: -len(pair[1]))]
    return Figure("by_word", "By the question's word", "table", {"columns": ["word", "questions", "f1", "exact match"], "rows": rows})


def worst(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures, count: int = 20) -> Figure:
    """The surest answers that share no word with a gold one."""
    wrong = sure_and_wrong(predictions, measures)
    items = [{"text": examples[place].passage, "title": examples[place].question,
              "fields": {"answer": predictions[place].values["prediction"] or "(none)",
                         "gold": " | ".join(dict.fromkeys(examples[place].answers or ())) or "(none)",
                         "probability": float(predictions[place].values["probability"])}} for place in wrong[:count]]
    return Figure("worst_answers", "Sure and wrong", "texts", {"items": items},
                  f"{len(wrong):,} answers share no word with a gold answer; the surest of them.")


def sure_and_wrong(predictions: Sequence[Prediction], measures: Measures) -> list[int]:
    """Answers without a word of a gold one, the surest first."""
    wrong = [place for place in range(len(predictions)) if measures["f1"][place] == 0]
    return sorted(wrong, key=lambda place: -float(predictions[place].values["probability"]))


def doubts(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures, count: int) -> list[Doubt]:
    """The surest wrong answers: the score of their first and their last token."""
    found = []
    for at in sure_and_wrong(predictions, measures):
        begin, end = predictions[at].values["start"], predictions[at].values["end"]
        if begin is not None and end is not None and end > begin:
            found.append(Doubt(examples[at].row, examples[at].question, examples[at].passage, str(predictions[at].values["prediction"]),
                               " | ".join(dict.fromkeys(examples[at].answers or ())) or "(none)", places=((begin, 0), (end - 1, 1))))
    return found[:count]


def token_scores(example: Question, prediction: Prediction) -> list[Figure]:
    """Start and end scores over the tokens of one window: two bar charts, and one with both."""
    detail: Any = prediction.detail
    pieces = detail["pieces"].split("\n")
    labels = [f"{piece} - {place}" for place, piece in enumerate(pieces)]
    series = {"start": [float(value) for value in detail["scores"][:, 0]], "end": [float(value) for value in detail["scores"][:, 1]]}
    first, last = (int(detail["scores"][:, side].argmax()) for side in (0, 1))
    words = (f"Question: {example.question} Answer: {prediction.values['prediction'] or '(none)'}. Highest start: {labels[first]}; "
             f"highest end: {labels[last]}.")
    tokens = [[place, piece, kind] for place, (piece, kind) in enumerate(zip(pieces, detail["types"], strict=False))]
    return [
        Figure("tokens", "One question's tokens", "table", {"columns": ["index", "token", "segment"], "rows": tokens}, words),
        *(Figure(f"{name}_scores", f"{name.capitalize()} scores", "bars", {"labels": labels, "series": {name: values}, "unit": "score"},
                 words) for name, values in series.items()),
        Figure("token_scores", "Start and end scores", "bars", {"labels": labels, "series": series, "unit": "score"}, words),
    ]
