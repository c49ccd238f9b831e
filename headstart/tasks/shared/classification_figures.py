"""What the report shows of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contract import Figure, Json, Measures, Prediction

MOST_ERRORS = 20


def figures(texts: Sequence[str], gold: Sequence[str], predictions: Sequence[Prediction], measures: Measures,
            tables: Mapping[str, Json]) -> list[Figure]:
    """Per-class table, confusion matrix, reliability diagram, confident errors."""
    return [classes(tables), matrix(tables), reliability_diagram(measures), errors(texts, gold, predictions)]


def classes(tables: Mapping[str, Json]) -> Figure:
    """Precision, recall and F1 of each label."""
    columns = ["label", "rows", "predicted", "precision", "recall", "F1"]
    rows = [[label, held["support"], held["predicted"], held["precision"], held["recall"], held["f1"]]
            for label, held in tables["per_class"].items()]
    return Figure("per_class", "Each label", "table", {"columns": columns, "rows": rows},
                  "Precision: of the texts given this label, the share that has it. Recall: of the texts that have it, "
                  "the share that was given it. F1 is their harmonic mean.")


def matrix(tables: Mapping[str, Json]) -> Figure:
    """How often each label was taken for each other."""
    labels = tables["labels"]
    data = {"rows": labels, "columns": labels[:len(tables["per_class"])], "values": tables["confusion"],
            "row_title": "label in the file", "column_title": "prediction"}
    return Figure("confusion", "What is taken for what", "matrix", data, "Right answers stand on the diagonal.")


def reliability_diagram(measures: Measures) -> Figure:
    """Whether a probability of 0.8 is right in 80 % of cases."""
    from headstart.metrics.classification import reliability

    bins = reliability(measures["gold"], measures["predicted"], measures["probabilities"])
    points = [[confidence, accuracy]
              for confidence, accuracy, count in zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True)
              if count]
    data: dict[str, Json] = {"x_title": "probability that the model gives its answer", "y_title": "share that is right",
                             "series": {"this model": [[float(x), float(y)] for x, y in points]}, "diagonal": True}
    return Figure("reliability", "Can its probabilities be believed?", "curve", data,
                  "On the diagonal they can. Below it the model is surer than it should be.")


def errors(texts: Sequence[str], gold: Sequence[str], predictions: Sequence[Prediction]) -> Figure:
    """The wrong answers that the model was surest of: often the label in the file is the wrong one."""
    items: list[Json] = []
    for index in sure_and_wrong(gold, predictions)[:MOST_ERRORS]:
        values = predictions[index].values
        items.append({"text": texts[index][:2000], "title": f"row {predictions[index].row}",
                      "fields": {"in the file": gold[index], "prediction": values["prediction"],
                                 "probability": values["probability"]}})
    return Figure("errors", "Where it was sure and wrong", "texts", {"items": items},
                  "Look here first: some of these labels may be mistakes in the file.")


def sure_and_wrong(gold: Sequence[str], predictions: Sequence[Prediction]) -> list[int]:
    """Which answers are wrong, the surest first."""
    wrong = [index for index, prediction in enumerate(predictions) if prediction.values["prediction"] != gold[index]]
    sure = np.argsort([-predictions[index].values["probability"] for index in wrong], kind="stable")
    return [wrong[place] for place in sure]
