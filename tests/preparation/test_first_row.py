"""`headstart check` tells everything: which columns are used and which are not, and one row as the model reads it."""

import json

import pytest
import tiny
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart.data.column_use import unused_words

ROWS = [{"ticket": {"body": f"good roses {n}", "subject": "s", "by": {"name": "x", "age": 3}}, "label": label, "day": n}
        for n, label in enumerate(["good", "bad"] * 3)]


def checked(headstart, *arguments):
    """What a check reports, as JSON."""
    code, stdout, stderr = headstart("check", *arguments, "--json")
    assert code == 0, stderr
    return json.loads(stdout)


def test_columns_that_nothing_reads_are_named_and_those_of_slices_are_used(tiny_bert, tmp_path, headstart):
    path = write_csv(tmp_path / "rows.csv", [(text, label, n, "en") for n, (text, label) in enumerate(review_rows(8))],
                     ("text", "label", "day", "language"))
    report = checked(headstart, path, "--model", tiny_bert)
    assert report["files"][0]["unused_columns"] == ["day", "language"]
    assert 'columns: text = text, label = label; not used: "day", "language"' in report["words"]
    sliced = checked(headstart, path, "--model", tiny_bert, "--set", "data.slice_by=language")
    assert sliced["files"][0]["unused_columns"] == ["day"]
    assert 'columns: text = text, label = label; slices by language; not used: "day"' in sliced["words"]


def test_what_stands_in_an_object_beside_what_is_used_is_named_too(tiny_bert, tmp_path, headstart):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    report = checked(headstart, path, "--model", tiny_bert, "--text", "ticket.body", "--label", "label")
    assert report["files"][0]["unused_columns"] == ["ticket.subject", "ticket.by.name", "ticket.by.age", "day"]


def test_columns_that_an_export_loses_are_named(tiny_bert, tmp_path, headstart):
    """Words that become sentences keep no other column."""
    rows = [("Sentence: 1", "Anna", "NNP", "B-PER"), ("", "sleeps", "VB", "O"), ("Sentence: 2", "Bob", "NNP", "B-PER")]
    path = write_csv(tmp_path / "ner.csv", rows, ("Sentence #", "Word", "POS", "Tag"))
    report = checked(headstart, path, "--model", tiny_bert)
    assert report["task"] == "token-tagging" and report["files"][0]["unused_columns"] == ["POS"]


def test_what_an_export_holds_beside_the_text_and_its_labels_is_named(tiny_bert, tmp_path, headstart):
    """Of Label Studio's data the other keys, of CoNLL's columns those that are neither words nor tags."""
    tasks = [{"id": number, "data": {"text": text, "author": "x"}, "annotations": [{"result": [
        {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]}]}
        for number, (text, label) in enumerate(review_rows(12))]
    path = tmp_path / "studio.json"
    path.write_text(json.dumps(tasks))
    assert checked(headstart, path, "--model", tiny_bert)["files"][0]["unused_columns"] == ["id", "data.author"]
    path = tmp_path / "names.conll"
    path.write_text("Anna NNP I-NP B-PER\nsleeps VB I-VP O\n\nBob NNP I-NP B-PER\n\n")
    assert checked(headstart, path, "--model", tiny_bert)["files"][0]["unused_columns"] == ["column 2", "column 3"]


def test_of_many_columns_the_first_are_named_and_the_others_counted():
    assert unused_words([]) == "every column is used"
    assert unused_words(["", "b"]) == 'not used: the column without a name, "b"'
    assert unused_words([f"c{n}" for n in range(1500)]).endswith('"c11" and 1,488 more')


TASKS = {  # flags, rows, what is shown of the first row as an encoder reads it, its target
    "text-classification": ({"text": "good roses", "label": "good"}, ["[CLS] good roses [SEP]"], "good"),
    "regression": ({"text": "good roses", "target": 1.5}, ["[CLS] good roses [SEP]"], 1.5),
    "multilabel-classification": ({"text": "good roses", "labels": ["x", "y"]}, ["[CLS] good roses [SEP]"], ["x", "y"]),
    "token-tagging": ({"tokens": ["good", "roses"], "tags": ["O", "B-X"]}, ["[CLS] good roses [SEP]"], ["O", "B-X"]),
    "question-answering": ({"question": "what good?", "passage": "good roses", "answer": "roses"},
                           ["[CLS] what good? [SEP] good roses [SEP]"], ["roses"]),
    "multiple-choice": ({"context": "good", "choices": ["roses", "apples"], "answer": 1},
                        ["[CLS] good [SEP] roses [SEP]", "[CLS] good [SEP] apples [SEP]"], 1),
    "retrieval": ({"question": "good", "passage": "roses"}, ["[CLS] good [SEP]", "[CLS] roses [SEP]"], "roses"),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_first_row_is_shown_as_the_model_reads_it(task, tiny_bert, tmp_path, headstart):
    row, inputs, target = TASKS[task]
    others = {"text-classification": row | {"text": "bad apples", "label": "bad"}, "regression": row | {"target": 3.5},
              "multilabel-classification": row | {"labels": ["x"]}, "multiple-choice": row | {"answer": 0}}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [row, others.get(task, row)]))
    report = checked(headstart, path, "--task", task, "--model", tiny_bert)
    first = report["first_row"]
    assert [" ".join(text.split()).replace(" ?", "?") for text in first["inputs"]] == inputs
    assert first["target"] == target and first["line"] == 1 and first["model"] == str(tiny_bert)
    assert all(count >= len(text.replace("?", " ?").split())
               for count, text in zip(first["tokens"], inputs, strict=True))
    assert f"  target: {json.dumps(target)}" in report["words"]


def test_of_a_long_row_the_middle_is_left_out_with_a_mark(tiny_bert, tmp_path, headstart):
    path = write_csv(tmp_path / "rows.csv", [("good " * 300 + "end", "good"), ("bad", "bad")])
    text = checked(headstart, path, "--model", tiny_bert, "--set", "data.max_length=100")["first_row"]["inputs"][0]
    assert text.startswith("[CLS] good") and text.endswith("[SEP]") and "… (32 more) …" in text


def test_without_a_tokenizer_the_row_is_shown_by_its_columns_and_nothing_more_is_claimed(tmp_path, headstart,
                                                                                          monkeypatch):
    from headstart.errors import UserError
    from headstart.preparation import tokenization

    def no_model(task):
        raise UserError("none")

    monkeypatch.setattr(tokenization, "default_model", no_model)
    path = write_csv(tmp_path / "rows.csv", review_rows(30))
    report = checked(headstart, path)
    assert any(line.startswith(f"first row ({path}:2): text: ") for line in report["words"])
    assert report["words"][-1] == "No problems found in the rows; how a model reads them was not checked."
    assert report["first_row"]["model"] == ""


def test_masks_of_a_language_model_are_shown_with_what_is_asked_for(tiny_bert, tmp_path, headstart):
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "the old river and the small houses " * 6 + "\nsecond row\n")
    first = checked(headstart, path, "--task", "masked-language-model", "--model", tiny_bert)["first_row"]
    assert "[MASK]" in first["inputs"][0] and isinstance(first["target"], list) and len(first["target"]) > 2


def test_a_run_says_both_in_one_line_each_and_keeps_them(tiny_bert, tmp_path, headstart):
    path = write_csv(tmp_path / "rows.csv", [(*row, 7) for row in review_rows(40)], ("text", "label", "day"))
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS,
                                "--set", "training.max_steps=1")
    assert code == 0, stderr
    lines = stderr.splitlines()
    assert 'columns: text = text, label = label; not used: "day"' in lines
    row_line = next(line for line in lines if line.startswith("first row as "))
    assert "[CLS]" in row_line and "; target: " in row_line
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["files"][0]["unused_columns"] == ["day"] and data["first_row"]["inputs"][0] in row_line


def test_the_prefix_of_a_source_and_the_end_of_a_decoders_text_are_shown(tmp_path, headstart):
    from headstart.models.loading.family_tokenizer import load_head_tokenizer
    from headstart.models.loading.model_info import model_info

    folder = tiny.model_folder("gpt2", tmp_path / "gpt2")
    path = write_csv(tmp_path / "rows.csv", [("good roses", "good"), ("bad apples", "bad")])
    first = checked(headstart, path, "--model", folder)["first_row"]
    tokenizer = load_head_tokenizer(model_info(str(folder)), "sequence-classification")
    ending = tokenizer.hf_tokenizer.decode([tokenizer.closing_id])
    assert first["inputs"][0].endswith(ending) and first["inputs"][0] != ending


def test_the_rows_of_a_file_add_up_to_those_that_are_used_and_left_out(headstart, tmp_path):
    path = tmp_path / "nli.csv"
    path.write_text("premise,hypothesis,label\n" + "".join(
        f"a text of {number},and {number},{number % 4 - 1}\n" for number in range(40)) + ",no text,1\n,,\n")
    code, stdout, _ = headstart("check", path, "--bad-rows", "skip", "--json")
    assert code == 0
    report = json.loads(stdout)
    assert report["files"][0]["rows"] == {"read": 42, "used": 30, "faulty": 1, "left_out": 11}
    assert sum("not labelled: 10" in finding["message"] for finding in report["findings"]) == 1
