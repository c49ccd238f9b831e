"""Multilabel classification: labels in every form, thresholds tuned on dev, scores equal to scikit-learn's."""

import json

import numpy as np
import pytest
import tiny

from headstart.contract import Column, Row, RowFault
from headstart.data.columns import listed
from headstart.metrics import multilabel as metrics
from headstart.tasks.multilabel_classification import MultilabelClassification


def test_scores_equal_scikit_learn():
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

    draw = np.random.default_rng(1)
    gold, shares = draw.random((60, 4)) < [0.5, 0.3, 0.2, 0.4], draw.random((60, 4)).round(2)
    given, weights = shares >= [0.5, 0.3, 0.6, 0.4], draw.integers(1, 4, (3, 60)).astype(float)
    found = metrics.scores(gold, given, shares, weights)
    for number, held in enumerate(weights):
        wanted = {
            "macro_f1": f1_score(gold, given, average="macro", sample_weight=held),
            "micro_f1": f1_score(gold, given, average="micro", sample_weight=held),
            "average_precision": average_precision_score(gold, shares, average="macro", sample_weight=held),
            "roc_auc": roc_auc_score(gold, shares, average="macro", sample_weight=held),
            "subset_accuracy": accuracy_score(gold, given, sample_weight=held),
            "macro_f1_at_half": f1_score(gold, shares >= 0.5, average="macro", sample_weight=held),
            "micro_f1_at_half": f1_score(gold, shares >= 0.5, average="micro", sample_weight=held)}
        for name, value in wanted.items():
            assert found[name][number] == pytest.approx(value, abs=1e-12), name


def test_the_threshold_is_the_best_one_and_near_a_half():
    draw = np.random.default_rng(2)
    for _ in range(50):
        gold, shares = draw.random(30) < 0.4, draw.random(30).round(2)
        chosen = metrics.best_threshold(gold, shares)
        def f1(threshold, gold=gold, shares=shares):
            return 2 * (gold & (shares >= threshold)).sum() / max(1, gold.sum() + (shares >= threshold).sum())
        assert f1(chosen) == pytest.approx(max(f1(one) for one in np.linspace(0, 1, 401)))
    assert metrics.best_threshold(np.zeros(3, bool), np.ones(3)) == 0.5
    assert metrics.best_threshold(np.array([True, False]), np.array([0.9, 0.1])) == 0.5


@pytest.mark.parametrize(("value", "labels"), [
    ("a;b", ("a", "b")), ("a, b,a", ("a", "b")), ("a|b", ("a", "b")), ('["x", "y"]', ("x", "y")), (["x", 3], ("x", "3")), ("", ()), (None, ()),
    ([], ()), ("alone", ("alone",))])
def test_labels_are_read_in_every_form(value, labels):
    assert MultilabelClassification().read(Row(0, {"text": "t", "labels": value})).labels == labels


@pytest.mark.parametrize("value", [{"a": 1}, 3, [["a"]], [None], "[broken", [{"a": 1}], 2.5, True])
def test_what_is_no_list_of_labels_is_told(value):
    with pytest.raises(RowFault) as told:
        MultilabelClassification().read(Row(0, {"text": "t", "labels": value}))
    assert told.value.code == "E306" and told.value.fix and told.value.field == "labels"


def test_columns_of_0_and_1_are_labels():
    assert listed(["toxic", "threat"], ["1", "0"]) == ["toxic"] and listed(["toxic", "threat"], [0, 0]) == []
    assert listed(["first", "second"], ["a", "b"]) == ["a", "b"]
    columns = [Column("comment_text", tiny.texts(9)), *(Column(name, ["0", "1", "0"] * 3) for name in ("toxic", "insult"))]
    found = MultilabelClassification.detect(columns)
    assert found is not None and found.columns == {"text": "comment_text", "labels": "toxic,insult"}


def test_a_jigsaw_file_is_recognised_trained_and_predicted(tiny_bert, tmp_path, headstart):
    rows = [f'"{text}",{int("café" in text)},{int("green" in text)},0' for text in tiny.texts(120, seed=4)]
    data = tmp_path / "train.csv"
    data.write_text("comment_text,toxic,insult,threat\n" + "\n".join(rows) + "\n", encoding="utf-8")
    code, _, words = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 2, "--set",
                               "evaluation.resamples=20", "--set", "training.learning_rate=0.003")
    assert code == 0, words
    assert "multilabel-classification, because 3 columns hold only 0 and 1" in words
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"])[:5] == ["macro_f1", "micro_f1", "average_precision", "roc_auc", "subset_accuracy"]
    assert len(scores["learned"]["thresholds"]) == 2 and "tuned on dev" in scores["dev"]["macro_f1"]["signature"]
    held = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert held["problem_type"] == "multi_label_classification" and set(held["label2id"]) == {"toxic", "insult"}
    _, out, _ = headstart("predict", tmp_path / "run", "--value", "text=The gardener waters café tables.")
    answer = json.loads(out)
    assert set(answer) == {"prediction", "probability", "probabilities"} and isinstance(answer["prediction"], list)
