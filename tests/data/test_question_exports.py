"""Questions with answers in every shape in which such files are met: nothing is dropped without a word."""

import json
import random

import pytest

from headstart import tasks
from headstart.data.examples import read_examples
from headstart.data.table import open_table
from headstart.settings import Data

PASSAGE = "The cat sat on the mat, and the dog slept near the old cat door."
QUOTED = ["The cat", "mat", "the dog", "old cat door"]


def read(path, content):
    """The examples of a file of this content, under the task that it is recognised as."""
    path.write_text(content, encoding="utf-8")
    table = open_table(str(path), Data())
    task, _ = tasks.detect(table.sample(), str(path))
    return read_examples(task(), str(path), Data(), columns={}, training=True, table=table)


def shaped(shape, texts):
    """Answers in a shape."""
    starts = [PASSAGE.index(text) for text in texts]
    objects = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    return {"list of texts": texts, "lists": {"text": texts, "answer_start": starts}, "lists of texts": {"text": texts},
            "objects": objects, "objects without starts": [{"text": text} for text in texts],
            "haystack": [entry | {"answer_id": 7, "document_id": 3, "answer_end": 9} for entry in objects]}[shape]


SHAPES = ["list of texts", "lists", "lists of texts", "objects", "objects without starts", "haystack"]


@pytest.mark.parametrize("layout", ["rows", "rows in a csv", "squad", "qas"])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_answers_of_every_question_are_read_whatever_their_shape(layout, shape, tmp_path):
    rng = random.Random(f"{layout}:{shape}")
    questions = [(f"question {number}", rng.sample(QUOTED, rng.randint(1, 3))) for number in range(12)]
    entries = [{"id": str(number), "question": question, "answers": shaped(shape, texts)}
               for number, (question, texts) in enumerate(questions)]
    if layout == "squad":
        content = json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [
            {"context": PASSAGE, "qas": entries[:5]}, {"context": PASSAGE, "qas": entries[5:]}]}]})
    elif layout == "qas":
        content = json.dumps([{"context": PASSAGE, "qas": entries[:5]}, {"context": PASSAGE, "qas": entries[5:]}])
    elif layout == "rows in a csv":  # as pandas writes lists
        cells = [[entry["question"], PASSAGE, str(entry["answers"])] for entry in entries]
        content = "question,context,answers\n" + "".join(
            ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in cells)
    else:
        content = "".join(json.dumps(entry | {"context": PASSAGE}) + "\n" for entry in entries)
    reading = read(tmp_path / ("a.csv" if layout == "rows in a csv" else "a.jsonl" if layout == "rows" else "a.json"),
                   content)
    assert [(example.question, list(example.answers)) for example in reading.examples] == questions
    assert all(PASSAGE[example.answer_span.begin:example.answer_span.end] == example.answers[0]
               for example in reading.examples)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_that_is_not_in_its_passage_is_a_fault(shape, tmp_path):
    answers = json.loads(json.dumps(shaped(shape, ["mat"])).replace("mat", "bird"))
    content = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"id": "a", "question": "Where?", "answers": answers},
                                                                     {"id": "b", "question": "Who?",
                                                                      "answers": shaped(shape, ["mat"])}]}]}]}
    reading = read(tmp_path / "a.json", json.dumps(content))
    assert [example.question for example in reading.examples] == ["Who?"] and reading.counts["E320"] == 1


def test_numpy_lists_in_a_csv_are_read_where_they_have_commas(tmp_path):
    cell = "{'text': array(['cat', 'The cat'], dtype=object), 'answer_start': array([4, 0], dtype=int32)}"
    reading = read(tmp_path / "a.csv", f'question,context,answers\nWho?,The cat sat.,"{cell}"\n')
    assert reading.examples[0].answers == ("cat", "The cat")


def test_articles_and_paragraphs_without_questions_are_told(tmp_path):
    content = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"id": "a", "question": "Who?", "answers": ["mat"]}]},
                                        {"context": PASSAGE, "qas": []}]}, {"title": "none"}]}
    reading = read(tmp_path / "a.json", json.dumps(content))
    told = {finding.code: finding.message for finding in reading.findings}
    assert told["N106"] == "paragraphs without a question: 1." and "article 1 is not an object" in told["E110"]


@pytest.mark.parametrize(("answers", "labels"), [([True, False], ["true", "false"]), (["yes", "no"], ["yes", "no"])])
def test_questions_that_are_answered_by_yes_or_no_are_classes_of_question_and_passage(answers, labels, tmp_path):
    rows = [{"question": f"is it {number}?", "passage": PASSAGE, "answer": answers[number % 2]} for number in range(6)]
    reading = read(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert reading.examples.task.name == "text-classification"
    assert (reading.examples[0].pair, reading.examples[0].label, reading.examples[1].label) == (PASSAGE, *labels)
