"""A row out for each row in, in order; what has no prediction says why; nothing that stands there is written over."""

import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tiny
import tiny_writers
from conftest import review_rows, write_csv

from headstart.data.outputs.layout import COMPRESSIONS, FORMATS
from headstart.prediction import every_row
from headstart.prediction.journal import PredictionJournal

REASON = "prediction_reason"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained classifier of three labels."""
    return tiny.model_folder("bert", tmp_path_factory.mktemp("classifier") / "m", head="sequence-classification")


def rows_of(path, **dialect):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, **dialect))


def test_an_empty_row_keeps_its_place_and_says_why(model, headstart, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(b'id;text\r\n1;"the roses\nand tea"\r\n2;\r\n3;  \r\n4;apples\r\n;\r\n;\r\n')
    code, _, stderr = headstart("predict", model, path, "--to", tmp_path / "out.csv")
    assert code == 0 and "4 rows have no prediction (line 4, line 5 …)" in stderr, stderr
    rows = rows_of(tmp_path / "out.csv", delimiter=";")
    assert [row[:2] for row in rows] == [["id", "text"], ["1", "the roses\nand tea"], ["2", ""], ["3", "  "],
                                         ["4", "apples"], ["", ""], ["", ""]]
    assert [bool(row[2]) for row in rows[1:]] == [True, False, False, True, False, False]
    assert [row[-1] for row in rows] == [REASON, "", *["the text is empty"] * 2, "",
                                         *["the row has empty fields only"] * 2]
    assert b"the roses\nand tea" in (tmp_path / "out.csv").read_bytes()
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 7


def test_a_folder_of_files_is_told_who_predicts_it(model, headstart, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "in" / name).write_text("text\nthe roses\n")
    code, _, stderr = headstart("predict", model, tmp_path / "in", "--to", tmp_path / "out", "--processes", "2")
    assert code == 66 and "it holds a.csv, b.csv" in stderr and "--on ray" in stderr, stderr
    code, _, stderr = headstart("predict", model, tmp_path / "in" / "a.csv", "--to", tmp_path / "out.csv")
    assert code == 0 and "wrote 1 row to" in stderr, stderr
    code, _, stderr = headstart("predict", model, tmp_path / "missing", "--to", tmp_path / "out")
    assert code == 66 and "--on ray" not in stderr, stderr


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet", "xlsx", "-"])
def test_every_format_keeps_its_rows(ending, model, headstart, tmp_path, monkeypatch):
    texts = [None, "the roses", "", "apples"]
    path, to = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    rows = [{"text": text, "n": number} for number, text in enumerate(texts)]
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif ending == "xlsx":
        openpyxl = pytest.importorskip("openpyxl")
        pytest.importorskip("python_calamine")
        book = openpyxl.Workbook()
        for row in [["text", "n"], *(list(row.values()) for row in rows)]:
            book.active.append(row)
        book.save(path)
    elif ending == "json":
        path.write_text(json.dumps({"version": 2, "rows": rows, "end": None}))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if ending == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        code, stdout, stderr = headstart("predict", model, "-")
        assert code == 0 and "2 rows have no prediction (line 1, line 3)" in stderr
        output = [json.loads(line) for line in stdout.splitlines()]
    else:
        code, _, stderr = headstart("predict", model, path, "--to", to)
        assert code == 0 and "2 rows have no prediction" in stderr, stderr
        output = read_rows(to)
    assert [row["n"] for row in output] == [0, 1, 2, 3] and [row["text"] or "" for row in output] == [
        text or "" for text in texts]
    assert [row["prediction"] is None for row in output] == [True, False, True, False]
    assert [row[REASON] for row in output] == ["the text is empty", None] * 2


def read_rows(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    if path.suffix == ".xlsx":
        import openpyxl

        names, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
        return [dict(zip(names, row, strict=True)) for row in rows]
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        assert (document["version"], document["end"]) == (2, None)
        return document["rows"]
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dates_of_a_workbook_stay_dates(model, headstart, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    import datetime

    book = openpyxl.Workbook()
    for row in [["no", "when", "text"], ["007", datetime.datetime(2024, 2, 29, 12), "=1+1"], [8, "2024-02-29", "tea"]]:
        book.active.append(row)
    book.active["C2"].data_type = "s"
    book.save(tmp_path / "in.xlsx")
    assert headstart("predict", model, tmp_path / "in.xlsx", "--to", tmp_path / "out.xlsx", "--text", "text")[0] == 0
    rows = list(openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True))
    assert [row[:3] for row in rows[1:]] == [("007", datetime.datetime(2024, 2, 29, 12), "=1+1"),
                                             (8, "2024-02-29", "tea")]


def test_a_file_without_any_text_is_predicted_too(model, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("", "1"), ("", "2")], ("text", "n"))
    assert headstart("predict", model, path, "--to", tmp_path / "out.csv")[0] == 0
    assert rows_of(tmp_path / "out.csv") == [["text", "n", "prediction", REASON], ["", "1", "", "the text is empty"],
                                             ["", "2", "", "the text is empty"]]


def test_a_file_without_faults_has_no_column_of_reasons(model, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("tea", "1")], ("text", REASON))
    assert headstart("predict", model, path, "--to", tmp_path / "out.csv")[0] == 0
    assert rows_of(tmp_path / "out.csv")[0] == ["text", REASON, "prediction", "probability", "probabilities"]
    path = write_csv(tmp_path / "in.csv", [("tea", "1"), ("", "2")], ("text", REASON))
    assert headstart("predict", model, path, "--to", tmp_path / "out.csv", "--overwrite")[0] == 0
    assert rows_of(tmp_path / "out.csv")[0][-1] == f"{REASON}_predicted"


def test_without_a_header_there_is_none_and_it_is_told(model, headstart, tmp_path):
    (tmp_path / "in.csv").write_text("1,tea\n2,roses\n")
    code, _, stderr = headstart("predict", model, tmp_path / "in.csv", "--no-header", "--text", "1", "--to",
                                tmp_path / "out.csv")
    assert code == 0 and "its columns are 0, 1, prediction, probability, probabilities" in stderr, stderr
    assert [row[:2] for row in rows_of(tmp_path / "out.csv")] == [["1", "tea"], ["2", "roses"]]


def test_rows_that_cannot_be_learned_from_are_left_out_of_training_data(model, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("tea",), ("",), ("roses",)], ("text",))
    code, _, stderr = headstart("predict", model, path, "--as-training-data", "--to", tmp_path / "out.csv")
    assert code == 0 and "1 row has no prediction (line 3): such rows are left out" in stderr
    assert [row[0] for row in rows_of(tmp_path / "out.csv")] == ["text", "tea", "roses"]


@pytest.mark.parametrize("has_id", [False, True])
def test_predictions_with_gaps_are_scored_against_their_own_rows(has_id, model, headstart, tmp_path):
    labels = ("LABEL_0", "LABEL_1", "LABEL_2")
    lines = ["id,text,label", *(f"{number},{text},{labels[number % 3]}"
                                for number, (text, _) in enumerate(review_rows(9)))]
    lines[3], lines[6] = "2,,LABEL_1", "broken"
    path = tmp_path / "gold.csv"
    path.write_text("".join(f"{line if has_id or line == 'broken' else line.split(',', 1)[1]}\n" for line in lines))
    skip = ("--bad-rows", "skip")
    assert headstart("predict", model, path, "--to", tmp_path / "out.csv", *skip)[0] == 0
    assert len(rows_of(tmp_path / "out.csv")) == 10
    flags = ("--json", "--set", "evaluation.resamples=20", *skip)
    code, stdout, stderr = headstart("evaluate", "--predictions", tmp_path / "out.csv", path, "--task",
                                     "text-classification", *flags)
    assert code == 0 and ("matched by 'id'" in stderr) == has_id, stderr
    expected = json.loads(headstart("evaluate", model, path, *flags)[1])["scores"]["test"]["accuracy"]
    assert json.loads(stdout)["scores"]["test"]["accuracy"]["value"] == expected["value"] and expected["n"] == 7


def test_vectors_keep_the_places_of_their_rows(model, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("tea", "1"), ("", "2"), ("roses", "3")], ("text", "n"))
    code, _, stderr = headstart("embed", model, path, "--to", tmp_path / "v.npy")
    vectors = np.load(tmp_path / "v.npy")
    assert code == 0 and "1 row has no vector (line 3): the rows of the array are NaN there" in stderr
    assert vectors.shape[0] == 3 and np.isnan(vectors).all(axis=1).tolist() == [False, True, False]
    assert headstart("embed", model, path, "--to", tmp_path / "v.parquet")[0] == 0
    rows = pyarrow.parquet.read_table(tmp_path / "v.parquet").to_pylist()
    assert [row["n"] for row in rows] == ["1", "2", "3"] and rows[1]["vector"] is None
    assert rows[1][REASON] == "the text is empty" and np.allclose(rows[2]["vector"], vectors[2])
    before = (tmp_path / "v.npy").read_bytes()
    assert headstart("embed", model, path, "--to", tmp_path / "v.npy")[0] == 73
    assert headstart("embed", model, path, "--to", path, "--overwrite")[0] == 73
    assert headstart("embed", model, path, "--to", tmp_path / "v.npz")[0] == 2
    assert headstart("embed", model, path, "--to", tmp_path / "v.npy", "--overwrite")[0] == 0
    assert (tmp_path / "v.npy").read_bytes() == before


def test_nothing_is_overwritten_unasked_and_the_input_never(model, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("tea", "x")], ("text", "label"))
    before = path.read_bytes()
    (tmp_path / "linked.csv").symlink_to(path)
    (tmp_path / "text.txt").write_text("the roses")
    for to, flags in ((path, ()), (path, ("--overwrite",)), (tmp_path / "linked.csv", ("--overwrite",)),
                      (tmp_path, ("--overwrite",))):
        code, _, stderr = headstart("predict", model, path, "--to", to, *flags)
        assert code == 73 and "Traceback" not in stderr and path.read_bytes() == before
    assert headstart("predict", model, path, "--to", tmp_path / "out.csv")[0] == 0
    output = (tmp_path / "out.csv").read_bytes()
    code, _, stderr = headstart("predict", "no-such-model", path, "--to", tmp_path / "out.csv")
    assert code == 73 and "--overwrite" in stderr  # before the model is asked for
    assert headstart("predict", model, "tea", "--to", tmp_path / "out.csv")[0] == 73
    value = f"text=@{tmp_path / 'text.txt'}"
    assert headstart("predict", model, "--value", value, "--to", tmp_path / "text.txt", "--overwrite")[0] == 73
    assert (tmp_path / "out.csv").read_bytes() == output and (tmp_path / "text.txt").read_text() == "the roses"
    assert headstart("predict", model, "tea", "--to", tmp_path / "out.csv", "--overwrite")[0] == 0
    assert headstart("predict", model, path, "--to", tmp_path / "no" / "out.csv")[0] == 74


def test_inspections_are_not_overwritten(model, headstart, tmp_path):
    flags = ("tea", "roses", "--to", tmp_path / "x.npz", "--page", tmp_path / "x.html")
    assert headstart("inspect", model, *flags)[0] == 0
    assert headstart("inspect", model, *flags)[0] == 73
    (tmp_path / "x-1.npz").unlink()
    code, _, stderr = headstart("inspect", model, *flags)
    assert code == 73 and "x-2.npz exists already" in stderr and "--to" in stderr
    assert headstart("inspect", model, "tea", "--page", tmp_path / "x-1.html")[0] == 73
    assert headstart("inspect", model, *flags, "--overwrite")[0] == 0


def test_an_output_that_was_finished_before_the_end_is_not_in_the_way(headstart, tmp_path, monkeypatch):
    folder = tiny_writers.model_folder("t5", tmp_path / "t5", seed=2)
    path = write_csv(tmp_path / "rows.csv", [(text,) for text in tiny.texts(5, seed=5)] + [("",)], ("source",))
    command = ("predict", folder, path, "--task", "summarization", "--to", tmp_path / "out.csv", "--set",
               "generation.max_new_tokens=4")
    with monkeypatch.context() as patch:
        patch.setattr(PredictionJournal, "remove", lambda journal: None)  # as if it was killed there
        assert headstart(*command)[0] == 0
    output = (tmp_path / "out.csv").read_bytes()
    assert (tmp_path / "out.csv.part").exists() and output.count(b"\n") == 7
    (tmp_path / "out.csv").write_bytes(b"my own notes")
    code, _, stderr = headstart(*command)
    assert code == 73 and (tmp_path / "out.csv").read_bytes() == b"my own notes", stderr
    (tmp_path / "out.csv").write_bytes(output)
    assert headstart(*command)[0] == 0 and (tmp_path / "out.csv").read_bytes() == output
    assert not (tmp_path / "out.csv.part").exists() and headstart(*command)[0] == 73


def test_an_empty_text_of_a_folder_becomes_an_empty_text(headstart, tmp_path):
    folder = tiny_writers.model_folder("t5", tmp_path / "t5", seed=2)
    (tmp_path / "texts").mkdir()
    for name, text in (("a", "the roses"), ("b", " \n"), ("c", "tea")):
        (tmp_path / "texts" / f"{name}.txt").write_text(text)
    code, _, stderr = headstart("predict", folder, tmp_path / "texts", "--task", "summarization", "--to",
                                tmp_path / "out", "--set", "generation.max_new_tokens=4")
    assert code == 0 and "1 texts are empty, and so is what is written for them: b.txt" in stderr, stderr
    assert [bool((tmp_path / "out" / f"{name}.txt").read_text()) for name in "abc"] == [True, False, True]


def test_the_page_names_every_format():
    page = (Path(__file__).parents[2] / "docs" / "predicting.md").read_text(encoding="utf-8")
    for ending in (*FORMATS, *(ending.removeprefix(".") for ending in COMPRESSIONS)):
        assert f"`.{ending}`" in page
    assert f"`{REASON}`" in page and REASON == every_row.REASON


def test_no_column_of_the_user_is_lost_however_often_a_file_is_predicted(model, headstart, tmp_path):
    columns = ["text", "prediction", "prediction_predicted"]
    write_csv(tmp_path / "0.csv", [("the roses", "mine", "theirs"), ("apples", "ours", "yours")], columns)
    for number in range(3):
        assert headstart("predict", model, tmp_path / f"{number}.csv", "--to", tmp_path / f"{number + 1}.csv")[0] == 0
    header, *rows = rows_of(tmp_path / "3.csv")
    assert [row[:3] for row in [header, *rows]] == [columns, ["the roses", "mine", "theirs"],
                                                    ["apples", "ours", "yours"]]
    assert len(set(header)) == len(header) and f"prediction{4 * '_predicted'}" in header


@pytest.mark.parametrize("target", [[], {"a": 1}, 3.5, ["x", "y"]])
def test_a_target_that_cannot_be_read_does_not_hinder_predicting(target, model, headstart, tmp_path):
    for name, rows in (("in", [{"text": "the roses", "label": target}]), ("bare", [{"text": "the roses"}])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        code, _, stderr = headstart("predict", model, tmp_path / f"{name}.jsonl", "--to", tmp_path / f"{name}-out.jsonl")
        assert code == 0, stderr
    row, bare_row = (json.loads((tmp_path / f"{name}-out.jsonl").read_text()) for name in ("in", "bare"))
    assert row == {"text": "the roses", "label": target, **bare_row} and row["prediction"]


@pytest.mark.parametrize(("to", "exit_code"), [("out.docx", 2), ("", 2), ("out.ods", 2)])
def test_a_place_that_is_none_is_refused_before_the_model_is_loaded(to, exit_code, headstart, tmp_path):
    path = write_csv(tmp_path / "in.csv", [("tea",)], ("text",))
    for command in ("predict", "embed"):
        code, _, stderr = headstart(command, "no-such-model", path, "--to", to and tmp_path / to)
        assert code == exit_code and ("should end in" in stderr or "--to is empty" in stderr), stderr


def test_single_texts_for_a_model_of_pairs_and_pairs_for_one_of_single_texts_are_told(trained_run, headstart, tmp_path):
    pairs = write_csv(tmp_path / "pairs.csv", [("roses", "apples")], ("text", "pair"))
    code, _, stderr = headstart("predict", trained_run[0], pairs, "--to", tmp_path / "out.csv")
    assert code == 0 and "the model was trained on single texts" in stderr
    code, _, stderr = headstart("predict", trained_run[0], write_csv(tmp_path / "texts.csv", [("roses",)], ("text",)),
                                "--to", tmp_path / "single.csv")
    assert code == 0 and "the model was trained on" not in stderr
    warnings = []
    reading = SimpleNamespace(columns={"text": ("text",)}, table=SimpleNamespace(path="texts.csv"))
    every_row.tell_other_columns(SimpleNamespace(trained_columns={"text": ("text",), "pair": ("second",)}), reading,
                                 SimpleNamespace(warning=warnings.append))
    assert "trained on pairs of texts (second the second)" in warnings[0] and "--pair COLUMN" in warnings[0]
