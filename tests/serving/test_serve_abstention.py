"""A served model abstains as it does in Python and in files."""

import copy

import tiny
from clients import loaded, serving

ROWS = [{"text": text} for text in tiny.texts(12)]


def test_a_server_abstains_as_the_model_does():
    model = copy.copy(loaded("classes"))
    confidences = sorted(row["probability"] for row in model.predict(ROWS))
    threshold = (confidences[5] + confidences[6]) / 2
    learned = model.task.learned.with_value("abstention", {
        "risk": 0.05, "certainty": 0.95, "threshold": threshold, "rows": 100, "coverage": 0.5, "selective_risk": 0.0,
        "risk_bound": 0.05})
    model.task = model.task.with_learned(learned)
    with serving({"careful": model}) as client:
        rows = client.predict(ROWS, model="careful")
    assert [row["abstained"] for row in rows] == [row["abstained"] for row in model.predict(ROWS)]
    assert sum(row["abstained"] for row in rows) == 6
    for row in rows:
        best = max(row["probabilities"], key=row["probabilities"].get)
        assert (row["prediction"], row["withheld"]) == ((None, best) if row["abstained"] else (best, None))
