"""Folders of parts and places elsewhere, as `--on ray` reads and writes them; Ray itself is in test_ray_cluster.py."""

import json
import os
import pickle
import socket
import sys

import pytest
from conftest import review_rows, write_csv

from headstart.errors import UserError
from headstart.prediction import embed, predictor, torch_runtime
from headstart.prediction.on_ray import cluster, parts, pool
from headstart.prediction.on_ray.places import Place

ROWS = review_rows(60, seed=4)


class HerePool:
    """Stands where a RayPool is made: parts are answered here, through pickles as there; `opened` counts works."""

    opened = 0

    def __init__(self, work, count, reporter, *, needs_gpu=False):
        self.work = pickle.loads(pickle.dumps(work))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def numbered_results(self, given, *, in_order=False):
        HerePool.opened += 1
        answer = self.work.open(0)
        numbered = list(enumerate(given))
        for number, part in numbered if in_order else reversed(numbered):
            yield number, pickle.loads(pickle.dumps(answer(pickle.loads(pickle.dumps(part)))))

    def results(self, given):
        return (answer for _, answer in self.numbered_results(given, in_order=True))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    from headstart.prediction import processes

    monkeypatch.setattr(HerePool, "opened", 0)
    for module in (parts, processes):
        monkeypatch.setattr(module, "RayPool", HerePool)


@pytest.fixture
def folder(tmp_path):
    """Three parts of twenty rows: csv, JSON lines, parquet; and a file that is none."""
    import pyarrow
    import pyarrow.parquet

    source = tmp_path / "parts"
    source.mkdir()
    write_csv(source / "a.csv", ROWS[:20])
    (source / "b.jsonl").write_text("".join(json.dumps({"text": text, "label": label}) + "\n"
                                            for text, label in ROWS[20:40]), encoding="utf-8")
    table = pyarrow.table({"text": [text for text, _ in ROWS[40:]], "label": [label for _, label in ROWS[40:]]})
    pyarrow.parquet.write_table(table, source / "c.parquet")
    (source / "README.md").write_text("about these files\n", encoding="utf-8")
    return source


def predict(headstart, run, source, to, *flags):
    return headstart("predict", run, source, "--to", to, "--on", "ray", *flags)


def test_every_part_is_what_one_process_writes_and_rows_are_numbered_on(folder, trained_run, headstart, tmp_path,
                                                                        monkeypatch):
    counts, checksum = [], torch_runtime.checksum
    monkeypatch.setattr(torch_runtime, "checksum", lambda weights: counts.append(1) or checksum(weights))
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "wrote 60 rows" in err and 'columns of every part, as in a.csv: text is "text"' in err, err
    assert len(counts) == 2  # of all weights, here and by the one actor
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text(encoding="utf-8"))
    assert [(part["first_row"], part["rows"]) for part in manifest["parts"]] == [(0, 20), (20, 20), (40, 20)]
    assert sorted(os.listdir(tmp_path / "out")) == ["_manifest.json", "a.csv", "b.jsonl", "c.parquet"]
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        code, _, err = headstart("predict", trained_run[0], folder / name, "--to", tmp_path / name)
        assert code == 0, err
        assert (tmp_path / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_command_that_was_stopped_goes_on_with_the_parts_that_are_missing(folder, trained_run, headstart, tmp_path):
    (folder / "a.csv").write_text('text,label\n"one, two",good,more\n', encoding="utf-8")
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 65 and "a.csv:2" in err and "[E" in err
    write_csv(folder / "a.csv", ROWS[:20])
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "2 of 3 parts are in" not in err  # none was read before the first one, which settles columns
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "b.jsonl").write_text("cut", encoding="utf-8")
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "2 of 3 parts are in" in err, err
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"b.jsonl", "_manifest.json"}
    opened = HerePool.opened
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "3 of 3 parts are in" in err and HerePool.opened == opened


def test_a_bad_part_is_told_with_its_place_and_what_is_done_by_then_stays(folder, trained_run, headstart, tmp_path):
    (folder / "b.jsonl").write_text('{"text": "roses"}\n{"text": \n', encoding="utf-8")
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 65 and "b.jsonl:2" in err, err
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text(encoding="utf-8"))
    assert not manifest["complete"] and [part["name"] for part in manifest["parts"]] == ["c.parquet"]
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out", "--bad-rows", "skip")
    assert code == 73 and "other settings" in err
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out", "--bad-rows", "skip", "--overwrite")
    assert code == 0 and "b.jsonl: " in err and "1 row has no prediction" in err, err


@pytest.mark.parametrize(("source", "to", "code", "words"), [
    ("parts", "parts", 73, "the folder that is read"), ("parts", "full", 73, "holds files already"),
    ("parts/*.md", "out", 66, "holds no files of rows"), ("missing/*.csv", "out", 66, "no folder"),
    ("file:///nowhere/rows.csv", "out.csv", 66, "cannot be read"), ("xyz://a/b.csv", "out.csv", 69, "cannot be opened")])
def test_what_cannot_be_read_or_written_is_told_in_words(source, to, code, words, folder, trained_run, headstart,
                                                         tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.csv").write_text("a\n", encoding="utf-8")
    result = predict(headstart, trained_run[0], source, to)
    assert result[0] == code and words in result[2], result
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def write_table(path, rows):
    """Rows of a text and a label as parquet or Arrow, also none."""
    import pyarrow.feather
    import pyarrow.parquet

    schema = pyarrow.schema([("text", pyarrow.string()), ("label", pyarrow.string())])
    table = pyarrow.Table.from_pylist([{"text": text, "label": label} for text, label in rows], schema)
    (pyarrow.parquet.write_table if path.suffix == ".parquet" else pyarrow.feather.write_feather)(table, path)


def output_schema(path):
    """Names and types of what was written."""
    import pyarrow.dataset

    return pyarrow.dataset.dataset(path, format="parquet" if path.suffix == ".parquet" else "feather").schema


def test_a_part_without_rows_is_written_as_one_with_the_columns_of_the_others(folder, trained_run, headstart, tmp_path):
    (folder / "0.csv").write_text("text,label\n", encoding="utf-8")
    (folder / "bb.csv").write_text("text;day\r\n", encoding="utf-8")
    for name in ("b0.jsonl", "b1.json"):
        (folder / name).write_bytes(b"")
    for name in ("0.parquet", "d.feather"):
        write_table(folder / name, [])
    empty = ["0.csv", "0.parquet", "b0.jsonl", "b1.json", "bb.csv", "d.feather"]
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "wrote 60 rows" in err and "as in a.csv" in err, err
    assert f"{', '.join(empty)} hold no rows, and neither does what is written for them" in err, err
    out = tmp_path / "out"
    manifest = json.loads((out / "_manifest.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in manifest["parts"] if not part["rows"]] == empty and len(manifest["parts"]) == 9
    header = (out / "a.csv").read_text(encoding="utf-8").splitlines(keepends=True)[0]
    assert (out / "0.csv").read_text(encoding="utf-8") == header and "prediction" in header
    added = header.strip().removeprefix("text,label,").replace(",", ";")
    assert (out / "bb.csv").read_bytes() == f"text;day;{added}\r\n".encode()
    assert (out / "b0.jsonl").read_bytes() == b"" and json.loads((out / "b1.json").read_bytes()) == []
    assert output_schema(out / "0.parquet") == output_schema(out / "c.parquet") == output_schema(out / "d.feather")
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.name != "_manifest.json"}
    opened = HerePool.opened
    code, _, err = predict(headstart, trained_run[0], folder, out)
    assert code == 0 and "9 of 9 parts are in" in err and "no rows" not in err and HerePool.opened == opened, err
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}
    (out / "bb.csv").unlink()
    code, _, err = predict(headstart, trained_run[0], folder, out)
    assert code == 0 and "8 of 9 parts are in" in err and "bb.csv holds no rows" in err and (out / "bb.csv").exists()


def test_types_of_a_part_without_rows_are_those_of_a_prediction_where_no_other_part_has_types(
        folder, trained_run, headstart, tmp_path):
    (folder / "c.parquet").unlink()
    write_table(folder / "0.parquet", [])
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0, err
    types = {field.name: str(field.type) for field in output_schema(tmp_path / "out" / "0.parquet")}
    assert types["prediction"] == "string" and types["probability"] == "double", types


@pytest.mark.parametrize(("parts", "words"), [
    ({"a.csv": "text,label\n", "b.jsonl": ""}, "none of the 2 parts holds rows"), ({"a.csv": "text\n"}, "a.csv holds no"),
    ({"a.csv": "text\nroses\n", "b.csv": ""}, "b.csv [E101] the file is empty"),
    ({"a.csv": "", "b.csv": "text\nroses\n"}, "a.csv [E101] the file is empty"),
    ({"a.csv": "text\nroses\n", "b.csv": "body\n"}, "b.csv has no column 'text', as a.csv has; it has body"),
    ({"a.csv": "text\nroses\n", "b.parquet": ""}, "b.parquet [E101]"),
    ({"a.csv": "text\nroses\n", "b.jsonl": "\n" * 70_000 + '{"text": '}, "b.jsonl [E101] the file begins with")])
def test_no_rows_anywhere_and_what_is_no_part_without_rows_are_refused(parts, words, trained_run, headstart, tmp_path):
    (tmp_path / "parts").mkdir()
    for name, text in parts.items():
        (tmp_path / "parts" / name).write_text(text, encoding="utf-8")
    code, _, err = predict(headstart, trained_run[0], tmp_path / "parts", tmp_path / "out")
    assert code == 65 and words in err, err


def test_without_headers_a_part_of_no_bytes_holds_no_rows(trained_run, headstart, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.csv").write_bytes(b"")
    (tmp_path / "parts" / "b.csv").write_text("the roses,good\na river,bad\n", encoding="utf-8")
    code, _, err = predict(headstart, trained_run[0], tmp_path / "parts", tmp_path / "out", "--no-header", "--text", "0")
    assert code == 0 and "a.csv holds no rows" in err, err
    assert (tmp_path / "out" / "a.csv").read_bytes() == b""


def test_a_pattern_takes_the_files_that_it_names(folder, trained_run, headstart, tmp_path):
    code, _, err = predict(headstart, trained_run[0], folder / "*.csv", tmp_path / "out")
    assert code == 0 and sorted(os.listdir(tmp_path / "out")) == ["_manifest.json", "a.csv"], err


def test_what_is_no_part_is_told_where_it_is_read_and_where_it_is_written(folder, trained_run, headstart, tmp_path):
    (folder / "day=2").mkdir()
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and f"not read in {folder}: README.md, day=2/" in err and "also holds" not in err, err
    (folder / "b.jsonl").unlink()
    code, _, err = predict(headstart, trained_run[0], folder, tmp_path / "out")
    assert code == 0 and "also holds b.jsonl, which this command did not write" in err, err


def test_one_file_elsewhere_is_fetched_and_what_is_written_goes_there(folder, trained_run, headstart, tmp_path):
    there = f"file://{tmp_path}"
    code, _, err = predict(headstart, trained_run[0], f"{there}/parts/a.csv", f"{there}/answers.csv")
    assert code == 0, err
    assert headstart("predict", trained_run[0], folder / "a.csv", "--to", tmp_path / "alone.csv")[0] == 0
    assert (tmp_path / "answers.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    code, _, err = predict(headstart, trained_run[0], f"{there}/parts/a.csv", f"{there}/answers.csv")
    assert code == 73 and "exists already" in err


def test_scores_and_vectors_are_those_of_one_process(trained_run, headstart, tmp_path, monkeypatch):
    for module in (predictor, embed):
        monkeypatch.setattr(module, "PREDICTION_CHUNK", 50)
    run, data = trained_run
    for name, flags in (("alone", ()), ("ray", ("--on", "ray"))):
        code, _, err = headstart("evaluate", run, data, "--to", tmp_path / name, *flags)
        assert code == 0, err
        code, _, err = headstart("embed", run, data, "--to", tmp_path / f"{name}.npy", *flags)
        assert code == 0, err
    for name in ("scores.json", "predictions.jsonl"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()
    assert (tmp_path / "alone.npy").read_bytes() == (tmp_path / "ray.npy").read_bytes()
    assert HerePool.opened == 2


@pytest.mark.parametrize(("text", "child", "parent", "name"), [
    ("rows", "rows/a.csv", ".", "rows"), ("/rows/", "/rows/a.csv", "/", "rows"),
    ("s3://b/rows/?region=eu", "s3://b/rows/a.csv?region=eu", "s3://b?region=eu", "rows"),
    ("rows/p?.csv", "rows/p?.csv/a.csv", "rows", "p?.csv")])
def test_a_place_has_a_name_a_folder_and_files(text, child, parent, name):
    place = Place(text)
    assert ((place / "a.csv").text, place.parent.text, place.name) == (child, parent, name)


def test_fsspec_opens_what_arrow_does_not(tmp_path):
    import fsspec

    fsspec.filesystem("memory").pipe("/rows/a.csv", b"text\nroses\n")
    folder = Place("memory://rows")
    assert [file.name for file in folder.files()] == ["a.csv"] and folder.is_folder()
    (folder / "a.csv").fetch(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "text\nroses\n"
    (folder / "b.csv").put(tmp_path / "a.csv")
    assert (folder / "b.csv").read() == b"text\nroses\n" and [found.name for found in folder.files()] == ["a.csv", "b.csv"]


def test_a_number_of_processes_is_one_or_told():
    assert pool.count_on_ray("ray") == 0 and pool.count_on_ray("ray:4") == 4 and pool.count_on_ray(2) is None
    with pytest.raises(UserError, match="takes a number with --on ray"):
        pool.count_on_ray("ray:many")


def test_a_cluster_that_is_not_there_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=f"No Ray cluster answers at 127.0.0.1:{port}") as refusal:
        cluster.join(None, f"127.0.0.1:{port}")
    assert refusal.value.exit == 69


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with monkeypatch.context() as patch:
        for name in (*cluster.QUIET, *cluster.TOKEN_PLACES):
            patch.setenv(name, "as the user says")  # and so it stays
        with pytest.raises(UserError, match="--on ray needs Ray") as refusal:
            cluster.import_ray(needs_token=True)
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "as the user says"
    assert refusal.value.exit == 69 and "headstart[ray]" in refusal.value.fix
