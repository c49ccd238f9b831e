"""Reports and figures of our own for the tests of the page: many classes, hostile texts, every kind of figure."""

import random

from headstart.contract import Figure
from headstart.reports.report import Report
from headstart.tasks.shared.classification_figures import confusion_matrix, per_class_table

HOSTILE = "</script><script>document.title='gone'</script>\"><img src=x onerror=alert(1)> & 'tea' \u2028 שלום"
LONG = "a label of three hundred characters " * 9
MARKS = {"copied": "copied words", "unsupported": HOSTILE}


def score(value, low=None, high=None, higher=True, n=81):
    return {"value": value, "low": low, "high": high, "n": n, "higher_is_better": higher}


def scores_of(**splits):
    """scores.json of these splits, each with an accuracy; the first is compared with a baseline."""
    first, value = next(iter(splits.items()))
    return {name: {"accuracy": score(number, number - 0.05, number + 0.05),
                   "log_loss": score(0.4321, 0.41, 0.45, higher=False)} for name, number in splits.items()} | {
        "baselines": {"majority": {"split": first, "scores": {"accuracy": score(0.2, 0.1, 0.3)}, "seconds": 0.1,
                                   "size_bytes": 9,
                                   "difference": {"accuracy": {"value": value - 0.2, "low": 0.1, "high": 0.3}}}},
        "best": {"split": "dev", "score": "accuracy", "step": 12}}


def class_tables(labels, rows=3000, seed=0):
    """`tables` of a classifier with these labels: most rows are right, some are not."""
    rng = random.Random(seed)
    confusion = [[0] * len(labels) for _ in labels]
    for number in range(rows):
        gold = number % len(labels)
        confusion[gold][gold if rng.random() < 0.7 else rng.randrange(len(labels))] += 1
    per_class = {label: {"support": sum(row), "predicted": sum(line[index] for line in confusion), "precision": 0.5,
                         "recall": row[index] / max(1, sum(row)), "f1": 0.25}
                 for index, (label, row) in enumerate(zip(labels, confusion, strict=True))}
    return {"labels": labels, "per_class": per_class, "confusion": confusion}


def class_figures(labels, rows=3000):
    """The per-class table and the confusion matrix."""
    tables = class_tables(labels, rows)
    return [per_class_table(tables), confusion_matrix(tables)]


def every_figure(text):
    """A figure of each kind, with this text wherever a text may stand."""
    fields, pieces = {text: text, "number": 0.5}, [[f"{text} 1999", "unsupported"], [" and ", ""], ["roses", "copied"]]
    layers = {text: [[0, 4, text], [6, 9, "Y"]], "prediction": [[0, 4, "X"]]}
    item = {"title": text, "fields": fields}
    kinds = {
        "table": {"columns": [text, "rows"], "rows": [[text, 1], ["roses", 2]]},
        "matrix": {"rows": [text, "b"], "columns": [text, "b"], "values": [[4, 1], [0, 12345]], "row_title": text,
                   "column_title": text},
        "bars": {"labels": [text, "b"], "series": {text: [1.0, -2.0], "other": [None, 3.0]}, "unit": text},
        "curve": {"x_title": text, "y_title": text, "series": {text: [[0, 1.0], [10, 0.5]], "b": [[0, 2.0]]},
                  "diagonal": False, "more": {text: {10.0: text}}},
        "scatter": {"x_title": text, "y_title": text, "points": [[0, 1], [2, 3]], "diagonal": True},
        "texts": {"items": [{**item, "text": text * 9, "group": text}, {**item, "text": text, "group": "b",
                                                                       "words": [["", text, 1.0], [" ", "b", -0.4]]}]},
        "words": {"items": [{**item, "words": [["", text, 1.0], [" ", "b", -0.4]]}]},
        "token_bars": {"tokens": [text, "b"], "series": {text: [0.2, 0.8]}, "marked": [1, 1],
                       "passage": {"text": text, "layers": layers}},
        "spans": {"items": [{**item, "text": text, "layers": layers}], "together": False},
        "beside": {"items": [{**item, "columns": [[text, pieces], ["b", pieces]]}], "marks": MARKS}}
    figures = [Figure(kind, text, kind, content, text) for kind, content in kinds.items()]
    return [*figures, Figure("together", text, "spans", {**kinds["spans"], "together": True}, text)]


def report(figures=(), split="test", **changes):
    """A report with these figures on a split."""
    values = {"title": "run", "task": "text-classification", "model": "bert", "created": "today", "command": "headstart",
              "scores": scores_of(test=0.9, dev=0.8), "figures_by_split": {split: figures},
              "log": [{"event": "step", "step": step, "loss": 1 / step, "learning_rate": 0.1} for step in range(1, 60)]
              + [{"event": "evaluation", "step": step, "scores": {"accuracy": step / 60}} for step in (20, 40)]}
    return Report(**{**values, **changes})
