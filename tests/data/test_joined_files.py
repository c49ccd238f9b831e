"""Several training files: rows of all, each with its file and line; the same run as of one file that holds them."""

import json

import pytest
from conftest import QUICK_FLAGS, review_rows, write_csv

from headstart import tasks
from headstart.data.examples import read_examples
from headstart.data.joined import join_readings
from headstart.settings import Data


@pytest.fixture
def two_files(tmp_path):
    rows = review_rows(90)
    folder = tmp_path / "more"
    folder.mkdir()
    return write_csv(tmp_path / "a.csv", rows[:40]), write_csv(folder / "b.csv", rows[40:], ("message", "kind"))


def readings_of(paths, name="text-classification"):
    task = tasks.find(name)()
    return task, [read_examples(task, str(path), Data(), columns={}, training=True) for path in paths]


def test_rows_of_all_files_stand_one_after_the_other_and_know_their_place(two_files):
    task, readings = readings_of(two_files)
    joined = join_readings(task, readings)
    both = [example for reading in readings for example in reading.examples]
    assert [(example.text, example.label) for example in joined.examples] == [
        (example.text, example.label) for example in both]
    assert joined.examples.row_ids() == list(range(90)) and len(joined.table) == 90
    assert joined.examples.place(0) == readings[0].examples.place(0)
    assert joined.examples.place(41) == readings[1].examples.place(1)
    assert joined.examples[89].text == both[-1].text and joined.examples[40:42][0].text == both[40].text


def test_a_run_on_two_files_is_the_run_on_one_that_holds_both(two_files, headstart, tiny_bert, tmp_path):
    whole = write_csv(tmp_path / "whole.csv", review_rows(90))
    flags = ["--model", tiny_bert, *QUICK_FLAGS]
    code, _, stderr = headstart("finetune", *two_files, "--to", tmp_path / "run", *flags)
    assert code == 0, stderr
    assert "a.csv 40 (44%), " in stderr and "message" in stderr
    assert headstart("finetune", whole, "--to", tmp_path / "whole-run", *flags)[0] == 0
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("run", "whole-run")]
    assert weights[0] == weights[1]
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert [file["columns"]["text"] for file in data["files"]] == [["text"], ["message"]]
    assert all(len(file["sha256"]) == 64 for file in data["files"]) and len(data["splits"]["train"]["files"]) == 2
    code, _, stderr = headstart("finetune", "--settings", tmp_path / "run" / "settings.toml", "--to", tmp_path / "again")
    assert code == 0, stderr
    assert (tmp_path / "again" / "model" / "model.safetensors").read_bytes() == weights[0]


def test_a_fault_names_the_file_that_it_is_in(two_files, headstart, tmp_path):
    second = two_files[1]
    second.write_text(second.read_text() + '"",good\n')
    code, _, stderr = headstart("finetune", *two_files, "--to", tmp_path / "run")
    assert code == 65 and "b.csv:52" in stderr


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["A", "-"], 2, "standard input"), (["A", "gone.csv"], 66, "gone.csv"), (["A", "B", "--preset", "glue/mrpc"], 2, "--preset"),
    (["A", "B", "--index", "x"], 2, "--index")])
def test_what_cannot_be_joined_is_refused(arguments, code, message, two_files, headstart, tmp_path):
    named = {"A": str(two_files[0]), "B": str(two_files[1])}
    exit_code, stdout, stderr = headstart("finetune", *(named.get(word, word) for word in arguments), "--to",
                                          tmp_path / "run")
    assert (exit_code, stdout) == (code, "") and message in stderr


def test_plain_texts_are_joined_by_a_folder(headstart, tmp_path):
    paths = [tmp_path / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text("Once upon a time there was a town by the sea. " * 40)
    code, _, stderr = headstart("finetune", *paths, "--task", "language-model", "--to", tmp_path / "run")
    assert code == 2 and "folder" in stderr
