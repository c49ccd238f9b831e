"""Figures of a classifier for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contract import Figure, Json, Measures, Prediction

MAX_ERRORS = 50


def figures(texts: Sequence[str], gold: Sequence[str], predictions: Sequence[Prediction], measures: Measures,
            tables: Mapping[str, Json]) -> list[Figure]:
    """Per-class table, confusion matrix, reliability diagram, confident errors."""
    return [per_class_table(tables), confusion_matrix(tables), reliability_diagram(measures),
            confident_errors(texts, gold, predictions)]


def per_class_table(tables: Mapping[str, Json]) -> Figure:
    """Precision, recall and F1 of each label."""
    columns = ["label", "rows", "predicted", "precision", "recall", "F1"]
    rows = [[label, scores["support"], scores["predicted"], scores["precision"], scores["recall"], scores["f1"]]
            for label, scores in tables["per_class"].items()]
    return Figure("per_class", "Scores per label", "table", {"columns": columns, "rows": rows},
                  "Precision: of the texts predicted as this label, the share that has it. Recall: of the texts that "
                  "have it, the share predicted as it. F1 is their harmonic mean.")


def confusion_matrix(tables: Mapping[str, Json]) -> Figure:
    """How often each label was predicted as each other."""
    labels = tables["labels"]
    data = {"rows": labels, "columns": labels[:len(tables["per_class"])], "values": tables["confusion"],
            "row_title": "label in the file", "column_title": "prediction"}
    return Figure("confusion", "Confusion matrix", "matrix", data, "Correct predictions are on the diagonal.")


def reliability_diagram(measures: Measures) -> Figure:
    """Whether a probability of 0.8 is right in 80 % of cases."""
    from headstart.metrics.classification import reliability

    bins = reliability(measures["gold"], measures["predicted"], measures["probabilities"])
    points = [[float(confidence), float(accuracy)]
              for confidence, accuracy, count in zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True)
              if count]
    data: dict[str, Json] = {"x_title": "probability of the predicted label", "y_title": "share of correct predictions",
                             "series": {"this model": points}, "diagonal": True}
    return Figure("reliability", "Calibration", "curve", data,
                  "On the diagonal probabilities are calibrated; below it the model is overconfident.")


def confident_errors(texts: Sequence[str], gold: Sequence[str], predictions: Sequence[Prediction]) -> Figure:
    """The most confident wrong predictions: often the label in the file is the wrong one."""
    items: list[Json] = []
    for index in confident_error_indices(gold, predictions)[:MAX_ERRORS]:
        values = predictions[index].values
        items.append({"text": texts[index][:2000], "title": f"row {predictions[index].row}",
                      "group": f"{gold[index][:60]} → {values['prediction'][:60]}",
                      "fields": {"in the file": gold[index], "prediction": values["prediction"],
                                 "probability": values["probability"]}})
    return Figure("errors", "Confident errors", "texts", {"items": items},
                  "Look here first: some of these rows may be mislabelled.")


def confident_error_indices(gold: Sequence[str], predictions: Sequence[Prediction]) -> list[int]:
    """The wrong predictions, most confident first."""
    wrong_indices = [index for index, prediction in enumerate(predictions)
                     if prediction.values["prediction"] != gold[index]]
    order = np.argsort([-predictions[index].values["probability"] for index in wrong_indices], kind="stable")
    return [wrong_indices[position] for position in order]
