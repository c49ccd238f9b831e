"""Answers of multiple choice: one form for a whole column, and the layouts of the public sets."""

import json
import random

import pytest

from headstart.contract import Column, Row
from headstart.data.examples import read_examples
from headstart.errors import UserError
from headstart.settings import Data
from headstart.tasks.multiple_choice.task import MultipleChoice

WORDS = ["red", "blue", "A", "a", "an", "The", "B", "C", "D", "0", "1", "2", "3", "4", "12", "no", "yes", "none", "A.", "B)"]


def written(rng: random.Random, form: str, choices: list[str], index: int):
    """The right choice as a file of this form says it."""
    if form == "from_0":
        return rng.choice([index, str(index)])
    if form == "from_1":
        return rng.choice([index + 1, str(index + 1), float(index + 1)])
    if form == "letter":
        return "ABCDE"[index]
    return choices[index]


def read_rows(path, rows, **settings):
    """The examples of rows, read from a file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_examples(MultipleChoice(MultipleChoice.Settings(**settings)), str(path), Data(), columns={},
                         training=True)


@pytest.mark.parametrize("form", ["from_0", "from_1", "letter", "text"])
def test_a_column_is_read_as_it_was_written_or_asked_about(form, tmp_path):
    decided = 0
    for seed in range(60):
        rng = random.Random(f"{form}:{seed}")
        vocabulary = rng.sample(WORDS, rng.choice([5, 8, len(WORDS)]))
        rows, right = [], []
        for number in range(rng.choice([2, 5, 20, 60])):
            choices = rng.sample(vocabulary, rng.randint(2, 5))
            index = rng.randrange(len(choices))
            rows.append({"question": f"question {number}", "choices": choices,
                         "answer": written(rng, form, choices, index)})
            right.append(index)
        try:
            reading = read_rows(tmp_path / "rows.jsonl", rows)
        except UserError as error:
            assert error.exit == 65 and f"task.answer_form={form}" in error.fix, str(error)
            reading = read_rows(tmp_path / "rows.jsonl", rows, answer_form=form)
        else:
            decided += 1
        assert [example.answer for example in reading.examples] == right, rows
    assert decided >= 30


def test_numbers_that_never_name_the_first_or_last_choice_are_asked_about(tmp_path):
    rows = [{"question": f"q{number}", "choices": ["1", "2", "3", "4"] if number % 2 else ["w", "x", "y", "z"],
             "answer": 1} for number in range(10)]
    with pytest.raises(UserError, match="numbers from 0 and as numbers from 1, which are other choices in 10") as error:
        read_rows(tmp_path / "rows.jsonl", rows)
    assert error.value.exit == 65 and "--set task.answer_form=from_0 or --set task.answer_form=from_1" in error.value.fix
    rows[3]["answer"] = 0
    reading = read_rows(tmp_path / "rows.jsonl", rows)
    assert [example.answer for example in reading.examples] == [1, 1, 1, 0, *[1] * 6]
    assert "read as numbers from 0: all of 10 fit" in reading.findings[-1].message


def test_the_articles_of_a_grammar_test_are_texts(tmp_path):
    rows = [{"question": f"{number} …", "choices": ["An", "A", "The"], "answer": answer}
            for number, answer in enumerate(["A", "An", "The", "A"])]
    assert [example.answer for example in read_rows(tmp_path / "rows.jsonl", rows).examples] == [1, 0, 2, 1]


def test_the_reading_is_decided_by_the_training_file_and_stays_with_the_model(tiny_bert, tmp_path, headstart):
    def write(name, answers):
        rows = [{"question": f"{name} {number} cat", "choices": ["a cat", "the dog", "my tree"], "answer": answer}
                for number, answer in enumerate(answers)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("train.jsonl", [1, 2, 3] * 8)
    write("dev.jsonl", [1, 2, 2, 1])  # alone it might count from 0
    code, _, stderr = headstart("finetune", tmp_path / "train.jsonl", "--dev", tmp_path / "dev.jsonl", "--model",
                                tiny_bert, "--to", tmp_path / "run", "--epochs", 1, "--set", "evaluation.resamples=20")
    assert code == 0 and "the answers are read as numbers from 1: all of 24 fit" in stderr, stderr
    assert 'answer_form = "from_1"' in (tmp_path / "run" / "settings.toml").read_text()
    predictions = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert [row["gold"] for row in predictions] == [0, 1, 1, 0]
    code, _, stderr = headstart("evaluate", tmp_path / "run", tmp_path / "dev.jsonl", "--to", tmp_path / "scores")
    assert code == 0, stderr
    rows = [json.loads(line) for line in (tmp_path / "scores" / "predictions.jsonl").read_text().splitlines()]
    assert [row["gold"] for row in rows] == [0, 1, 1, 0]


LAYOUTS = {
    "race": ({"article": "It rained.", "question": "What fell?", "options": ["rain", "snow"], "answer": "A"},
             "It rained. What fell?", ("rain", "snow"), 0),
    "copa": ({"premise": "It rained.", "choice1": "wet", "choice2": "dry", "question": "effect", "label": 0, "idx": 0},
             "It rained. effect", ("wet", "dry"), 0),
    "hellaswag": ({"ind": 4, "activity_label": "Run", "ctx_a": "She", "ctx_b": "he", "ctx": "She he",
                   "endings": ["runs", "sits"], "source_id": "a", "label": "0"}, "She he", ("runs", "sits"), 0),
    "swag": ({"video-id": "a", "sent1": "She stands.", "sent2": "He", "ending0": "runs", "ending1": "sits",
              "label": "0"}, "She stands.", ("runs", "sits"), 0),
    "commonsense_qa": ({"id": "a", "question": "Where?", "question_concept": "c", "choices": {
        "label": ["A", "B"], "text": ["home", "B"]}, "answerKey": "B"}, "Where?", ("home", "B"), 1),
    "arc": ({"id": "a", "question": "Where?", "choices": {"text": ["2", "1"], "label": ["1", "2"]}, "answerKey": "2"},
            "Where?", ("2", "1"), 1),
    "arc of the authors": ({"id": "a", "question": {"stem": "Where?", "choices": [
        {"text": "here", "label": "A"}, {"text": "there", "label": "B"}]}, "answerKey": "B"}, "Where?",
        ("here", "there"), 1),
    "openbookqa": ({"id": "a", "question_stem": "Where is", "choices": {"text": ["x", "y"], "label": ["A", "B"]},
                    "answerKey": "A"}, "Where is", ("x", "y"), 0),
    "piqa": ({"goal": "Open it", "sol1": "push", "sol2": "pull", "label": 0}, "Open it", ("push", "pull"), 0),
    "winogrande": ({"sentence": "The _ ran.", "option1": "cat", "option2": "dog", "answer": "2"}, "The _ ran.",
                   ("cat", "dog"), 1),
    "medmcqa": ({"id": "a", "question": "Dose?", "opa": "1 g", "opb": "2 g", "opc": "3 g", "opd": "4 g", "cop": 0,
                 "exp": "so", "subject_name": "s"}, "Dose?", ("1 g", "2 g", "3 g", "4 g"), 0),
    "social_i_qa": ({"context": "She left.", "question": "Why?", "answerA": "tired", "answerB": "bored",
                     "answerC": "sad", "label": "3"}, "She left. Why?", ("tired", "bored", "sad"), 2),
    "cosmos_qa": ({"id": "a", "context": "She left.", "question": "Why?", "answer0": "tired", "answer1": "bored",
                   "label": 0}, "She left. Why?", ("tired", "bored"), 0),
    "mmlu": ({"question": "2 + 2?", "subject": "maths", "choices": ["1", "2", "3", "4"], "answer": 3}, "2 + 2?",
             ("1", "2", "3", "4"), None),
    "exam table": ({"id": 1, "prompt": "Which?", "A": "x", "B": "y", "C": "z", "D": None, "answer": "C"}, "Which?",
                   ("x", "y", "z"), 2),
    "medqa": ({"question": "Which?", "options": {"A": "x", "B": "y"}, "answer_idx": "B"}, "Which?", ("x", "y"), 1),
    "reclor": ({"context": "It rained.", "question": "So?", "answers": ["wet", "dry"], "label": 0, "id_string": "a"},
               "It rained. So?", ("wet", "dry"), 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_public_sets(layout, tmp_path):
    row, context, choices, answer = LAYOUTS[layout]
    detection = MultipleChoice.detect([Column(name, [value]) for name, value in row.items()])
    assert detection is not None and detection.confidence > 0.98
    if answer is None:  # one row cannot tell; those that it needs are asked for
        with pytest.raises(UserError, match="which are other choices"):
            read_rows(tmp_path / "rows.jsonl", [row])
        return
    (example,) = read_rows(tmp_path / "rows.jsonl", [row]).examples
    assert (example.context, example.choices, example.answer) == (context, choices, answer)


def test_an_empty_choice_between_others_is_a_fault_and_never_moves_the_next_ones(tmp_path):
    (tmp_path / "rows.csv").write_text("question,A,B,C,D,answer\nWhich?,w,,y,z,C\nWhat?,w,x,y,z,D\nWho?,w,x,y,,A\n")
    reading = read_examples(MultipleChoice(), str(tmp_path / "rows.csv"), Data(), columns={}, training=True)
    assert [example.answer for example in reading.examples] == [3, 0]
    assert [(finding.code, finding.line) for finding in reading.findings if finding.level == "fault"] == [("E332", 2)]


def test_rows_that_are_marked_as_not_labelled_are_left_out_and_counted(tmp_path):
    rows = [{"question": f"q{number}", "choices": ["x", "y"], "answer": answer}
            for number, answer in enumerate([0, 1, -1, 0])]
    reading = read_rows(tmp_path / "rows.jsonl", rows)
    assert len(reading.examples) == 3 and not reading.counts["E333"]
    assert "not labelled: 1 with '-1'" in " ".join(finding.message for finding in reading.findings)


def test_a_file_without_answers_is_read_to_predict():
    task = MultipleChoice(MultipleChoice.Settings(answer_form="letter"))
    assert task.read(Row(0, {"context": "Which?", "choices": ["x", "y"]})).answer is None
