"""Figures of question answering."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from headstart.contract import ErrorToExplain, Figure, Json, Measures, Prediction
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.question_answering.token_chart import token_chart

QUESTION_WORDS = ("what", "who", "when", "where", "which", "how", "why")
MAX_TOKENS = 160  # of the question whose token scores are plotted
CHARTS_OF_A_KIND = 2  # of answers that are right, wrong, and none


def figures(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
    """Scores by question word, confident errors, token scores of one question, probabilities of a few."""
    figure_list = [by_question_word(examples, measures), confident_errors(examples, predictions, measures)]
    candidates = [index for index, prediction in enumerate(predictions) if "pieces" in prediction.detail
                  and prediction.values["prediction"]
                  and prediction.detail["pieces"].count("\n") < MAX_TOKENS]
    if candidates:
        exact_matches = [index for index in candidates if measures["exact"][index] == 1]
        figure_list += token_scores(examples[(exact_matches or candidates)[0]],
                                    predictions[(exact_matches or candidates)[0]])
    return figure_list + probability_charts(examples, predictions, measures)


def probability_charts(examples: Sequence[Question], predictions: Sequence[Prediction],
                       measures: Measures) -> list[Figure]:
    """Start and end probabilities of a few questions: right, wrong, and without an answer."""
    with_answer = [index for index, prediction in enumerate(predictions) if prediction.values["prediction"]]
    indices_by_kind = {
        "right": [index for index in with_answer if measures["exact"][index] == 1],
        "wrong": [index for index in confident_error_indices(predictions, measures)
                  if predictions[index].values["prediction"]],
        "unanswered": [index for index, prediction in enumerate(predictions) if not prediction.values["prediction"]]}
    figure_list = []
    for kind, indices in indices_by_kind.items():
        charted = [index for index in indices if "offsets" in predictions[index].detail]
        for number, index in enumerate(charted[:CHARTS_OF_A_KIND], start=1):
            chart = token_chart(examples[index], predictions[index], max_tokens=MAX_TOKENS)
            gold = " | ".join(dict.fromkeys(examples[index].answers or ())) or "(none)"
            figure = chart.figure(f"probabilities_{kind}_{number}",
                                  f"Start and end, row {examples[index].row}: {kind}; gold: {gold}")
            passage = marked_passage(examples[index], predictions[index])
            figure_list.append(dataclasses.replace(figure, data={**figure.data, "passage": passage}))
    return figure_list


def by_question_word(examples: Sequence[Question], measures: Measures) -> Figure:
    """F1 and exact match by question word."""
    indices_by_word: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        words = example.question.lower().split()
        indices_by_word.setdefault(next((word for word in words if word in QUESTION_WORDS), "other"), []).append(index)
    rows = [[word, len(indices), float(measures["f1"][indices].mean()), float(measures["exact"][indices].mean())]
            for word, indices in sorted(indices_by_word.items(), key=lambda pair: -len(pair[1]))]
    return Figure("by_word", "By the question's word", "table",
                  {"columns": ["word", "questions", "f1", "exact match"], "rows": rows})


def confident_errors(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures,
                     count: int = 20) -> Figure:
    """The most confident answers that share no word with a gold one."""
    wrong_indices = confident_error_indices(predictions, measures)
    items = [{**marked_passage(examples[index], predictions[index]), "title": examples[index].question,
              "fields": {"row": examples[index].row, "answer": predictions[index].values["prediction"] or "(none)",
                         "gold": " | ".join(dict.fromkeys(examples[index].answers or ())) or "(none)",
                         "probability": float(predictions[index].values["probability"])}}
             for index in wrong_indices[:count]]
    return Figure("worst_answers", "Confident errors", "spans", {"items": items, "together": True},
                  f"{len(wrong_indices):,} answers share no word with a gold answer; the most confident of them.")


def marked_passage(example: Question, prediction: Prediction) -> dict[str, Json]:
    """The passage with the characters of the gold answer and of the predicted one."""
    span, start, end = example.answer_span, prediction.values["start"], prediction.values["end"]
    gold = [] if span is None else [[span.begin, span.end, "answer"]]
    predicted = [] if start is None or end is None else [[start, end, "answer"]]
    return {"text": example.passage, "layers": {"in the file": gold, "prediction": predicted}}


def confident_error_indices(predictions: Sequence[Prediction], measures: Measures) -> list[int]:
    """Answers that share no word with a gold one, most confident first."""
    wrong_indices = [index for index in range(len(predictions)) if measures["f1"][index] == 0]
    return sorted(wrong_indices, key=lambda index: -float(predictions[index].values["probability"]))


def explainable_errors(examples: Sequence[Question], predictions: Sequence[Prediction], measures: Measures,
                       count: int) -> list[ErrorToExplain]:
    """The most confident errors: the logits of their first and their last token."""
    errors = []
    for index in confident_error_indices(predictions, measures):
        start, end = predictions[index].values["start"], predictions[index].values["end"]
        if start is not None and end is not None and end > start:
            example, gold = examples[index], " | ".join(dict.fromkeys(examples[index].answers or ())) or "(none)"
            errors.append(ErrorToExplain(example.row, example.question, example.passage,
                                         str(predictions[index].values["prediction"]),
                                         gold, position_columns=((start, 0), (end - 1, 1))))
    return errors[:count]


def token_scores(example: Question, prediction: Prediction) -> list[Figure]:
    """Start and end scores over the tokens of one window: two bar charts, and one with both."""
    detail: Any = prediction.detail
    pieces = detail["pieces"].split("\n")
    labels = [f"{piece} - {index}" for index, piece in enumerate(pieces)]
    series = {"start": [float(value) for value in detail["scores"][:, 0]],
              "end": [float(value) for value in detail["scores"][:, 1]]}
    first, last = (int(detail["scores"][:, column].argmax()) for column in (0, 1))
    caption = (f"Question: {example.question} Answer: {prediction.values['prediction'] or '(none)'}. Highest start: "
               f"{labels[first]}; highest end: {labels[last]}.")
    tokens = [[index, piece, kind] for index, (piece, kind) in enumerate(zip(pieces, detail["types"], strict=False))]
    return [
        Figure("tokens", "One question's tokens", "table", {"columns": ["index", "token", "segment"], "rows": tokens},
               caption),
        *(Figure(f"{name}_scores", f"{name.capitalize()} scores", "bars",
                 {"labels": labels, "series": {name: values}, "unit": "score"},
                 caption) for name, values in series.items()),
        Figure("token_scores", "Start and end scores", "bars", {"labels": labels, "series": series, "unit": "score"},
               caption),
    ]
