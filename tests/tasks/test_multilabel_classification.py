"""Multilabel classification: labels in every form, thresholds tuned on dev, scores equal to scikit-learn's."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from conftest import write_csv

from headstart import tasks
from headstart.contract import Column, Field, Row, RowFault
from headstart.data.columns import field_rows
from headstart.data.table import open_table
from headstart.metrics import multilabel as metrics
from headstart.settings import Data
from headstart.tasks.multilabel_classification.predictions import as_prediction, baselines
from headstart.tasks.multilabel_classification.task import LabelledText, MultilabelClassification
from headstart.tasks.multilabel_classification.task import Settings as MultilabelSettings
from headstart.tasks.shared import label_lists
from headstart.tasks.text_classification import Settings, TextClassification


def test_scores_equal_scikit_learn():
    from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

    rng = np.random.default_rng(1)
    gold, probabilities = rng.random((60, 4)) < [0.5, 0.3, 0.2, 0.4], rng.random((60, 4)).round(2)
    predicted, weights = probabilities >= [0.5, 0.3, 0.6, 0.4], rng.integers(1, 4, (3, 60)).astype(float)
    scores = metrics.scores(gold, predicted, probabilities, np.zeros(60, bool), weights)
    for index, sample_weights in enumerate(weights):
        expected = {
            "macro_f1": f1_score(gold, predicted, average="macro", sample_weight=sample_weights),
            "micro_f1": f1_score(gold, predicted, average="micro", sample_weight=sample_weights),
            "average_precision": average_precision_score(gold, probabilities, average="macro",
                                                         sample_weight=sample_weights),
            "roc_auc": roc_auc_score(gold, probabilities, average="macro", sample_weight=sample_weights),
            "subset_accuracy": accuracy_score(gold, predicted, sample_weight=sample_weights),
            "macro_f1_at_half": f1_score(gold, probabilities >= 0.5, average="macro", sample_weight=sample_weights),
            "micro_f1_at_half": f1_score(gold, probabilities >= 0.5, average="micro", sample_weight=sample_weights)}
        for name, value in expected.items():
            assert scores[name][index] == pytest.approx(value, abs=1e-12), name


def test_labels_absent_from_rows_and_answers_count_nowhere():
    """scikit-learn's zero_division=nan: a label that neither gold nor answers hold has no F1."""
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(5)
    gold, probabilities = rng.random((40, 3)) < [0.4, 0.0, 0.3], rng.random((40, 3)) * [1.0, 0.4, 1.0]
    weights = rng.random((2, 40))
    scores = metrics.scores(gold, probabilities >= 0.5, probabilities, np.zeros(40, bool), weights)
    for index, sample_weights in enumerate(weights):
        expected = f1_score(gold, probabilities >= 0.5, average="macro", sample_weight=sample_weights,
                            zero_division=np.nan)
        assert scores["macro_f1"][index] == pytest.approx(expected, abs=1e-12)


def test_a_label_that_training_never_showed_counts_against_the_model():
    gold, predicted = np.array([[True, False], [False, True]]), np.array([[True, False], [False, True]])
    probabilities, weights = predicted * 0.9, np.ones((1, 2))
    all_seen = metrics.scores(gold, predicted, probabilities, np.array([False, False]), weights)
    assert all_seen["macro_f1"][0] == all_seen["micro_f1"][0] == all_seen["subset_accuracy"][0] == 1
    one_unseen = metrics.scores(gold, predicted, probabilities, np.array([False, True]), weights)
    assert (one_unseen["macro_f1"][0], one_unseen["micro_f1"][0],
            one_unseen["subset_accuracy"][0]) == pytest.approx((2 / 3, 4 / 5, 1 / 2))


def test_scores_without_any_label_are_undefined_with_a_reason():
    no_labels, weights = np.zeros((3, 2), bool), np.ones((1, 3))
    scores = metrics.scores(no_labels, no_labels, no_labels * 0.1, np.zeros(3, bool), weights)
    assert all(np.isnan(scores[name][0]) for name in ("macro_f1", "micro_f1", "roc_auc",
                                                      "average_precision")) and scores["subset_accuracy"][0] == 1
    all_labels = np.ones((3, 2), bool)
    assert metrics.undefined_reason("macro_f1", no_labels) == "no row has a label or a predicted one"
    assert metrics.undefined_reason("roc_auc", no_labels) == "no row has a label that was seen in training"
    assert metrics.undefined_reason("roc_auc", all_labels) == "every label is in all of these rows or in none"
    assert metrics.undefined_reason("roc_auc", no_labels[:0]) == "there are no rows"


def test_the_threshold_is_the_best_one_and_near_a_half():
    rng = np.random.default_rng(2)
    for _ in range(50):
        gold, label_probabilities = rng.random(30) < 0.4, rng.random(30).round(2)
        best = metrics.best_threshold(gold, label_probabilities)
        def f1(threshold, gold=gold, probabilities=label_probabilities):
            return 2 * (gold & (probabilities >= threshold)).sum() / max(1, gold.sum()
                                                                         + (probabilities >= threshold).sum())
        assert f1(best) == pytest.approx(max(f1(candidate) for candidate in np.linspace(0, 1, 401)))
    assert metrics.best_threshold(np.zeros(3, bool), np.ones(3)) == 0.5
    assert metrics.best_threshold(np.array([True, False]), np.array([0.9, 0.1])) == 0.5
    low = np.array([0.2, np.nextafter(0.2, 0)])  # neighbours: nothing is between them
    assert ((low >= metrics.best_threshold(np.array([True, False]), low)) == [True, False]).all()


@pytest.mark.parametrize(("value", "labels"), [
    ("a;b", ("a", "b")), ("a, b,a", ("a", "b")), ("a|b", ("a", "b")), ('["x", "y"]', ("x", "y")),
    (["x", 3], ("x", "3")), ("", ()), ("['it\\'s', \"b\"]", ("it's", "b")), ("[1, 2]", ("1", "2")), (None, ()), ([], ()), ("alone", ("alone",))])
def test_labels_are_read_in_every_form(value, labels):
    assert MultilabelClassification().read(Row(0, {"text": "t", "labels": value})).labels == labels


def test_the_delimiter_can_be_named():
    read = MultilabelClassification(MultilabelSettings(label_delimiter="/")).read
    assert read(Row(0, {"text": "t", "labels": "food, drink/travel"})).labels == ("food, drink", "travel")
    assert MultilabelClassification().read(Row(0, {"text": "t"})).labels is None  # nothing is said: a row to predict


FORM = "Write [\"a\", \"b\"], or a;b, or name 0/1 columns: --labels first,second."
MEND = "Fix it, or leave such rows out (--bad-rows skip)."
FAULTS = [({"a": 1}, "the labels are {'a': 1}, a list of labels was expected.", FORM),
          (3, "the labels are 3, a list", FORM),
          (2.5, "the labels are 2.5, a list", FORM), (True, "the labels are True, a list", FORM),
          ([["a"]], "the labels are [['a']], a list", FORM),
          ([None], "the labels are [None], a list", FORM), ([{"a": 1}], "the labels are [{'a': 1}], a list", FORM),
          ("[broken", "the labels '[broken' begin like a list but are not one.", 'Write ["a", "b"], or a;b.'),
          ("['a' 'b']", "begin like a list but are not one.", 'Write ["a", "b"], or a;b.'),
          ({"toxic": "1", "threat": "2"}, "the column 'threat' holds '2', 0 or 1 was expected.", MEND),
          ({"toxic": "-1", "threat": "-1"}, "the column 'toxic' holds '-1', 0 or 1 was expected.", MEND),
          ({"toxic": "1.0", "threat": ""}, "the column 'threat' holds '', 0 or 1 was expected.", MEND)]


@pytest.mark.parametrize(("value", "message", "fix"), FAULTS)
def test_what_is_no_list_of_labels_is_reported(value, message, fix):
    with pytest.raises(RowFault) as error:
        MultilabelClassification().read(Row(0, {"text": "t", "labels": value}))
    assert (error.value.code, error.value.field, error.value.fix) == ("E306", "labels",
                                                                      fix) and message in error.value.message


LIST = Field("labels", "labels", type="list", target=True, may_be_empty=True)


def field_values(path, lines, header="text,toxic,threat", field=LIST, columns=("toxic", "threat")):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return [row.values[field.name] for row in field_rows(open_table(str(path), Data()), {field.name: columns}, [field])]


def test_columns_of_0_and_1_are_a_list_of_their_names(tmp_path):
    path = tmp_path / "rows.csv"
    assert field_values(path, ["a,1,0", "b,1,1", "c,0,0"]) == [["toxic"], ["toxic", "threat"], []]
    assert field_values(path, ["a,1.0,0.0", "b,True,False"]) == [["toxic"], ["toxic"]]
    assert field_values(path, ["a,old,new", "b,old,"]) == [["old", "new"], ["old"]]
    assert field_values(path, ["a,1,0"], columns=("toxic",)) == ["1"]
    label = Field("label", "a label", type="label", target=True)
    assert field_values(path, ["a,1,0", "b,0,0"], field=label) == [["toxic"], []]
    assert field_values(path, ["a,big,red", "b,1,0", "c,old,new"], field=label) == ["big red", "1 0", "old new"]


def test_a_cell_that_is_not_0_or_1_among_such_columns_is_never_taken_as_a_label(tmp_path, headstart):
    lines = ["a,1,0", "b,2,0", "c,0,", "d,-1,-1", "e,1,1"]
    assert field_values(tmp_path / "rows.csv", lines) == [["toxic"], {"toxic": "2", "threat": "0"},
                                                          {"toxic": "0", "threat": ""},
                                                          {"toxic": "-1", "threat": "-1"}, ["toxic", "threat"]]
    code, _, stderr = headstart("check", tmp_path / "rows.csv", "--task", "multilabel-classification", "--labels",
                                "toxic,threat")
    assert code == 65
    assert ("rows.csv:3:2 [E306] the column 'toxic' holds '2', 0 or 1 was expected." in stderr
            and "+ 2 more like it" in stderr)
    unscored = [f"{index},-1,-1" for index in range(5)]  # most rows were never looked at
    assert field_values(tmp_path / "rows.csv", [*unscored, "a,1,0"])[-2:] == [{"toxic": "-1", "threat": "-1"},
                                                                              ["toxic"]]


def test_choices_of_digits_stay_choices(tmp_path):
    choices = Field("choices", "the choices", type="list")
    assert field_values(tmp_path / "rows.csv", ["what is 1 - 1?,0,1", "1 + 0?,1,0"],
                        field=choices) == [["0", "1"], ["1", "0"]]


TEXTS = Column("comment_text", tiny.texts(30))


@pytest.mark.parametrize("cells", [["0", "1"], [0, 1, None], ["0.0", "1.0"], [True, False], ["-1", "0", "1"]])
def test_several_columns_of_0_and_1_are_recognised(cells):
    columns = [TEXTS, *(Column(name, [cells[index % len(cells)] for index in range(30)])
                        for name in ("toxic", "insult"))]
    task, detection = tasks.detect(columns, "rows.csv")
    assert task is MultilabelClassification and detection.columns == {"text": "comment_text", "labels": "toxic,insult"}
    assert detection.reason == "2 columns hold only 0 and 1"


@pytest.mark.parametrize(("name", "values"), [("labels", ["a;b", "a", "c;a"]), ("genres", ["a|b", "", "c"]),
                                              ("tags", [["a"], ["a", "b"], []]),
                                              ("labels", ['["a"]', '["b"]', "[]"]), ("label", [["a"], ["a", "b"], []])])
def test_columns_of_lists_are_recognised(name, values):
    task, detection = tasks.detect([TEXTS, Column(name, values * 10)], "rows.csv")
    assert task is MultilabelClassification and detection.columns == {"text": "comment_text", "labels": name}


def test_a_column_of_labels_beside_yes_and_no_columns_stays_text_classification():
    extra = [Column("verified", ["0", "1", "1"] * 10), Column("edited", ["0", "0", "1"] * 10)]
    for values in (["0", "1", "0"] * 10, ["good", "bad", "mixed"] * 10):
        assert tasks.detect([TEXTS, Column("label", values), *extra], "rows.csv")[0] is TextClassification
    assert MultilabelClassification.detect([TEXTS, extra[0]]) is None


def test_published_multilabel_models_are_adopted():
    config = {"architectures": ["BertForSequenceClassification"], "problem_type": "multi_label_classification",
              "id2label": {"1": "b", "0": "a"}}
    learned = MultilabelClassification.from_model_config(config)
    assert learned.labels == ("a", "b") and learned.values == {"thresholds": [0.5, 0.5]}
    for changes in ({"problem_type": "regression"}, {"problem_type": None}, {"id2label": {}},
                    {"architectures": ["BertForTokenClassification"]}):
        assert MultilabelClassification.from_model_config(config | changes) is None


def test_thresholds_are_tuned_on_dev_and_only_for_labels_that_stand_there():
    task = MultilabelClassification()
    examples = [LabelledText(index, "t", None, ("a",) if index < 3 else ("c",)) for index in range(6)]
    task = task.with_learned(task.learn([*examples, LabelledText(9, "t", None, ("b",))]))
    assert task.learned.labels == ("a", "b", "c") and task.learned.counts == (3, 1, 3)
    probabilities = [[0.3, 0.9, 0.6], [0.25, 0.8, 0.1], [0.2, 0.9, 0.2], [0.1, 0.7, 0.9], [0.05, 0.6, 0.8],
                     [0.15, 0.1, 0.7]]
    predictions = [as_prediction(index, task.learned.labels, row, [0.5] * 3) for index, row in enumerate(probabilities)]
    learned = task.calibrate(examples, predictions)
    assert learned.values["thresholds"] == pytest.approx([0.175, 0.5, 0.65])
    prediction = task.with_learned(learned).decode(examples[0], [np.log(np.array(probabilities[0])
                                                                        / (1 - np.array(probabilities[0])))])
    assert prediction.values["prediction"] == ["a",
                                               "b"] and prediction.values["probability"] == pytest.approx([0.3, 0.9])
    untuned = MultilabelClassification(MultilabelSettings(tune_thresholds=False), task.learned)
    assert untuned.calibrate(examples, predictions) == task.learned and "tuned" not in untuned.describe(
        "macro_f1", {"gold": np.ones((1, 1))})[0]


def test_the_check_tells_what_labels_cannot_be_learned():
    def findings(train, dev=()):
        return [(finding.code, finding.message) for finding in label_lists.check({"train": train, "dev": dev})]

    common = [("a",), ("b",)] * 6
    assert findings(common) == []
    assert findings([(), ()]) == [("E203", "no training row has a label.")]
    assert findings([("a", "b")] * 9) == [("E203", "every training row has the same labels: a, b.")]
    assert findings([*common, ("c",)]) == [("W206", "the label 'c' has 1 training row.")]
    assert findings([(*labels, "c") for labels in common]) == [("W206", "the label 'c' is on every training row.")]
    assert findings(common, [("z", "a")]) == [("W207", "the label 'z' occurs in dev but never in train.")]
    assert findings([*common, *[("A ",)] * 6]) == [
        ("W204", "the labels 'A ' and 'a' differ only by case, space, invisible characters, Unicode form, or as a number "
                 "is written.")]
    rare_findings = findings([*common, tuple(f"rare {index}" for index in range(50))])
    assert len(rare_findings) == 21 and rare_findings[-1] == ("W206", "the same holds for 30 more labels.")


def test_baselines_get_tuned_thresholds_too():
    rng, labels = np.random.default_rng(0), ("broken", "roses")
    gold = rng.random((200, 2)) < 0.15
    states = gold * [0.7, 0.5] + rng.normal(size=(200, 2))  # neither label is sure anywhere
    examples = [LabelledText(index, "t", None, tuple(label for label, present in zip(labels, row, strict=True)
                                                     if present)) for index, row in enumerate(gold)]
    f1_of = {}
    for tune in (True, False):
        label_shares, _, frozen = baselines(labels, tune)
        fitted = frozen.fit(examples, states, 0)
        predicted = np.array([[label in prediction.values["prediction"] for label in labels]
                              for prediction in fitted.predict(examples, states)])
        f1_of[tune] = metrics.f1_scores(gold, predicted, np.ones((1, 200)))[0][0]
        assert (list(fitted.thresholds) == [0.5, 0.5]) == (not tune)
        assert label_shares.fit(examples, None, 0).predict(examples[:1], None)[0].values["probabilities"] == dict(
            zip(labels, gold.mean(axis=0), strict=True))
    assert f1_of[True] > f1_of[False]


JIGSAW = [({"threat", "toxic"}, 3), ({"toxic"}, 30), ({"insult", "toxic"}, 9), (set(), 60)]


def test_several_labels_are_reduced_to_the_one_with_fewest_training_rows():
    task = TextClassification(Settings(reduce="rarest"))
    jigsaw_rows = [Row(index, {"text": "t", "label": sorted(labels)})
                   for index, labels in enumerate(labels for labels, count in JIGSAW for _ in range(count))]
    examples = [task.read(row) for row in jigsaw_rows]
    # what the split keeps the shares of
    assert {example.label for example in examples} == {"threat + toxic", "toxic", "insult + toxic", "none"}
    task = task.with_learned(task.learn(examples))
    assert dict(zip(task.learned.labels, task.learned.counts, strict=True)) == {"insult": 9, "none": 60, "threat": 3,
                                                                                "toxic": 30}
    assert task.learned.values["rows"] == {"insult": 9, "threat": 3, "toxic": 42}
    reduced_labels = [task.read(row).label for row in jigsaw_rows]
    assert {label: reduced_labels.count(label) for label in set(reduced_labels)} == {"insult": 9, "none": 60,
                                                                                     "threat": 3, "toxic": 30}
    # by the rows of training, whatever this file holds
    assert task.read(Row(0, {"text": "t", "label": ["insult", "threat"]})).label == "threat"
    assert task.read(Row(0, {"text": "t", "label": ["toxic", "new"]})).label == "new" and task.learn([]).values == {}


@pytest.mark.parametrize(("labels", "message"), [(["a", "b"], "the row has 2 labels, one was expected."),
                                                 ([], "the row has no label, one was expected.")])
def test_several_labels_without_the_setting_are_reported(labels, message):
    assert TextClassification().read(Row(0, {"text": "t", "label": ["a"]})).label == "a"
    with pytest.raises(RowFault) as error:
        TextClassification().read(Row(0, {"text": "t", "label": labels}))
    assert (error.value.code, error.value.message,
            error.value.field) == ("E306", message, "label") and "task.reduce=rarest" in error.value.fix


def jigsaw(folder):
    table_rows = [(text, int("café" in text), int("green" in text), 0) for text in tiny.texts(120, seed=4)]
    return write_csv(folder / "train.csv", table_rows, ("comment_text", "toxic", "insult", "threat"))


def test_the_multilabel_example_runs_on_sets_and_on_rarest_labels(tiny_bert, tmp_path):
    data, script = jigsaw(tmp_path), Path(__file__).parents[2] / "examples" / "multilabel.py"
    for flags, texts in (([], ("micro_f1_at_half", "threshold")), (["--rarest"], ("accuracy", "none"))):
        run = tmp_path / f"run{len(flags)}"
        process = subprocess.run([sys.executable, str(script), str(data), "--text", "comment_text", "--labels",
                                  "toxic,insult", "--model", str(tiny_bert), "--to",
                                  str(run), "--epochs", "1", *flags], capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        assert all(text in process.stdout for text in (*texts, "macro_f1", "toxic", "insult",
                                                       "tf-idf + logistic regression", "report:"))
    learned = json.loads((tmp_path / "run1" / "scores.json").read_text())["learned"]
    assert set(learned["rows"]) == {"toxic", "insult"}


def test_a_jigsaw_file_is_recognised_trained_and_predicted(tiny_bert, tmp_path, headstart):
    data = jigsaw(tmp_path)
    code, _, stderr = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 2,
                                "--set", "evaluation.resamples=20", "--set", "training.learning_rate=0.003")
    assert code == 0, stderr
    assert "multilabel-classification, because 3 columns hold only 0 and 1" in stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"])[:5] == ["macro_f1", "micro_f1", "average_precision", "roc_auc", "subset_accuracy"]
    assert len(scores["learned"]["thresholds"]) == 2 and "tuned on dev" in scores["dev"]["macro_f1"]["signature"]
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification" and set(config["label2id"]) == {"toxic", "insult"}
    _, stdout, _ = headstart("predict", tmp_path / "run", "--value", "text=The gardener waters café tables.")
    answer = json.loads(stdout)
    assert set(answer) == {"prediction", "probability", "probabilities"} and isinstance(answer["prediction"], list)
