"""`task.threshold`: by which probability nothing is answered, or a label predicted, chosen when predicting."""

import numpy as np
import pytest

from headstart.contract import Learned
from headstart.errors import UserError
from headstart.tasks.multilabel_classification.task import LabelledText, MultilabelClassification
from headstart.tasks.multilabel_classification.task import Settings as MultilabelSettings
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.question_answering.task import QuestionAnswering
from headstart.tasks.question_answering.task import Settings as QuestionSettings

QUESTION = Question(0, "Who?", "Ann sings.", answers=("Ann",))
WINDOW = {"no_answer": 1.0, "spans": [(2.0, 0, 3)], "scores": None, "pieces": (), "types": b""}  # 1 / (1 + e) = 0.27


def answer(threshold, no_answer=True, tuned=0.9):
    learned = Learned(values={"no_answer": no_answer, "threshold": tuned, "beams": False})
    task = QuestionAnswering(QuestionSettings(threshold=threshold), learned)
    return task.decode(QUESTION, [WINDOW]).values["prediction"]


def test_nothing_is_answered_above_the_chosen_threshold_and_by_default_above_the_tuned_one():
    assert [answer(threshold) for threshold in (0.3, 0.2, 1.0, 0.0)] == ["Ann", "", "Ann", ""]
    assert answer(None) == "Ann" and answer(None, tuned=0.1) == ""
    assert answer(0.1, no_answer=False) == "" and answer(None, no_answer=False, tuned=0.1) == "Ann"


def test_a_chosen_threshold_is_not_tuned_away():
    learned = Learned(values={"no_answer": True, "threshold": 0.5, "beams": False})
    task = QuestionAnswering(QuestionSettings(threshold=0.7), learned)
    assert task.calibrate([QUESTION], [task.decode(QUESTION, [WINDOW])]) is learned


def labels_of(threshold):
    task = MultilabelClassification(MultilabelSettings(threshold=threshold),
                                    Learned(("kind", "rude", "a=b"), values={"thresholds": [0.5, 0.9, 0.2]}))
    logits = np.log([0.4 / 0.6, 0.8 / 0.2, 0.3 / 0.7])
    return task.decode(LabelledText(0, "text", None), [logits]).values["prediction"]


def test_one_threshold_for_all_labels_or_for_some():
    assert labels_of("") == ["a=b"]
    assert labels_of(0.35) == ["kind", "rude"]
    assert labels_of("rude=0.7") == ["rude", "a=b"]
    assert labels_of("kind=0.4, a=b=0.31") == ["kind"]


@pytest.mark.parametrize(("threshold", "message"), [("kin=0.4", "no label 'kin'"), ("kind=2", "from 0 to 1"),
                                                    ("kind=much", "'much'"), ("kind", "LABEL=NUMBER")])
def test_thresholds_that_are_none_are_refused(threshold, message):
    with pytest.raises(UserError, match=message) as caught:
        labels_of(threshold)
    assert caught.value.exit == 78


def test_the_commands_take_it(trained_run, headstart):
    code, _, stderr = headstart("predict", trained_run[0], "roses", "--set", "task.threshold=0.3")
    assert code == 78 and "threshold" in stderr  # text classification has none
