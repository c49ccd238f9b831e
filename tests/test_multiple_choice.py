"""Multiple choice: SWAG's columns and lists, any number of choices, answers by number, letter or text."""

import json

import pytest
import tiny
from conftest import write_csv

from headstart.contract import Column, Row, RowFault
from headstart.tasks.multiple_choice import MultipleChoice

FAULTS = [({"choices": "a"}, "E330"), ({"choices": {"a": 1}}, "E330"), ({"choices": None}, "E330"), ({"choices": []}, "E331"),
          ({"choices": ["one"]}, "E331"), ({"choices": ["one", " "]}, "E332"), ({"choices": ["one", None]}, "E332"), ({"answer": 5}, "E333"),
          ({"answer": "Z"}, "E333"), ({"answer": "three"}, "E333"), ({"context": ""}, "E201"), ({"answer": -1}, "E333")]


@pytest.mark.parametrize(("values", "code"), FAULTS)
def test_faulty_rows_are_told(values, code):
    with pytest.raises(RowFault) as told:
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"], "answer": 0} | values))
    assert told.value.code == code and told.value.fix


@pytest.mark.parametrize(("answer", "place"), [(1, 1), ("1", 1), ("B", 1), ("two", 1), (0, 0), ("A", 0), (None, None), ("", None)])
def test_answers_are_read_in_every_form(answer, place):
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ["one", "two"], "answer": answer})).answer == place


def test_choices_may_be_a_json_list_in_a_text():
    assert MultipleChoice().read(Row(0, {"context": "Who?", "choices": ' ["one", "two"]'})).choices == ("one", "two")
    with pytest.raises(RowFault, match="a list of texts was expected"):
        MultipleChoice().read(Row(0, {"context": "Who?", "choices": '["one", '}))


def test_swag_is_recognised():
    columns = [Column(name, ["x"]) for name in ("video-id", "sent1", "sent2", "ending0", "ending1", "ending2", "ending3", "label")]
    found = MultipleChoice.detect(columns)
    assert found is not None and found.columns == {"context": "sent1", "start": "sent2", "answer": "label",
                                                  "choices": "ending0,ending1,ending2,ending3"}


def test_swag_is_trained_and_predicted(tiny_bert, tmp_path, headstart):
    texts = tiny.texts(90, seed=6)
    rows = [(text, "She", *(f"counts {word}." for word in ("roses", "apples", "cards")), number % 3) for number, text in enumerate(texts)]
    data = write_csv(tmp_path / "swag.csv", rows, ("sent1", "sent2", "ending0", "ending1", "ending2", "label"))
    code, _, words = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=20")
    assert code == 0, words
    assert "multiple-choice, because there are choices" in words
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(scores["baselines"]) == {"random choice", "longest choice"} and scores["test"]["accuracy"]["n"] == 9
    write_csv(tmp_path / "new.csv", [row[:5] for row in rows[:3]], ("sent1", "sent2", "ending0", "ending1", "ending2"))
    code, _, words = headstart("predict", tmp_path / "run", tmp_path / "new.csv", "--to", tmp_path / "answers.jsonl")
    assert code == 0, words
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert all(answer["prediction"] == answer[f"ending{answer['choice']}"] and len(answer["probabilities"]) == 3 for answer in answers)
