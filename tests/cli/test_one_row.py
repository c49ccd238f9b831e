"""A row without a file: a text in the place of the file, and --value."""

import json

import pytest

from headstart import tasks
from headstart.cli import _one_row
from headstart.cli.main import run_guarded
from headstart.errors import UserError
from headstart.progress import Reporter


def test_a_text_in_the_place_of_a_file_is_one_row_and_is_told(trained_run, headstart, tmp_path):
    code, stdout, stderr = headstart("predict", trained_run[0], "the roses near the river")
    assert code == 0 and "taken as one row: text = 'the roses near the river'" in stderr
    _, by_value, _ = headstart("predict", trained_run[0], "--value", "text=the roses near the river")
    assert json.loads(stdout) == json.loads(by_value)
    target = tmp_path / "one.jsonl"
    assert headstart("predict", trained_run[0], "roses", "--to", target)[0] == 0
    row = json.loads(target.read_text(encoding="utf-8"))
    assert row["text"] == "roses" and row["prediction"] in ("good", "bad", "mixed")


def test_a_text_that_is_longer_than_the_model_reads_is_predicted_and_told(trained_run, headstart, tmp_path):
    text = "the roses near the river " * 400  # longer than a file's name may be, too
    code, stdout, stderr = headstart("predict", trained_run[0], text)
    assert code == 0 and json.loads(stdout)["prediction"] and "1 text is longer than the model reads" in stderr
    rows = tmp_path / "rows.csv"
    rows.write_text(f"text\n{text}\nroses\n{text}\n")
    code, stdout, stderr = headstart("predict", trained_run[0], rows)
    assert code == 0 and len(stdout.splitlines()) == 4 and "2 texts are longer than the model reads" in stderr
    assert "longer than" not in headstart("predict", trained_run[0], "roses")[2]


@pytest.mark.parametrize("path", ["new.csv", "data/new", "./new", "~/texts", "reviews", "many words.jsonl", " "])
def test_what_looks_like_a_path_stays_a_file_that_is_missing(path, trained_run, headstart, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("text\nroses\n")
    code, stdout, stderr = headstart("predict", trained_run[0], path)
    assert (code, stdout) == (66, "") and "There is no file" in stderr


@pytest.mark.parametrize("text", ["hello", "the TCP/IP cable is broken", "a NUL \0 in it", "Ends with a stop.", "x " * 5000])
def test_a_text_is_a_text_also_with_a_slash_a_stop_or_at_length(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _one_row.is_row_text(text)


def test_a_task_of_several_texts_says_how_a_row_is_given():
    with pytest.raises(UserError, match="one text is no row") as caught:
        _one_row.text_row(tasks.find("question-answering")(), "who?", Reporter())
    assert caught.value.exit == 66 and "--value question='…' --value passage='…'" in caught.value.fix


def test_an_unknown_or_repeated_field_is_refused(trained_run, headstart):
    code, _, stderr = headstart("predict", trained_run[0], "--value", "txt=a")
    assert code == 65 and "Did you mean --value text=…?" in stderr
    assert run_guarded(["predict", str(trained_run[0]), "--value", "text=a", "--value", "text=b"]) == 2
