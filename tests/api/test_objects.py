"""Rows in memory of every kind: trained on, predicted and evaluated as a file of them is, or refused in words."""

import dataclasses
import datetime
import decimal
import hashlib
import json
import os
from collections import namedtuple

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from conftest import review_rows, write_csv
from datasets_stand_in import ClassLabel, Dataset, DatasetDict, List, Value
from listeners import Messages

import headstart
from headstart.errors import DataError, Exit, UserError

QUICK = {"epochs": 1, "batch_size": 16, "seed": 3,
         "evaluation": {"resamples": 0, "baselines": False, "explained_errors": 0}}
ROWS = [{"body": text, "stars": label, "number": index} for index, (text, label) in enumerate(review_rows(60))]
FRAME = pandas.DataFrame(ROWS)


def weights(run):
    return hashlib.sha256((run.path / "model" / "model.safetensors").read_bytes()).hexdigest()


def train(source, folder, model, **keywords):
    return headstart.finetune(source, model=str(model), to=folder, text="body", label="stars", **QUICK, **keywords)


@pytest.fixture(scope="module")
def run(tiny_bert, tmp_path_factory):
    """A run on a DataFrame."""
    return train(FRAME, tmp_path_factory.mktemp("objects") / "run", tiny_bert)


@pytest.fixture(scope="module")
def model(run):
    return run.model


def test_the_same_rows_give_the_same_weights_and_scores_however_they_come(run, tiny_bert, tmp_path):
    csv = write_csv(tmp_path / "rows.csv", [tuple(row.values()) for row in ROWS], tuple(ROWS[0]))
    jsonl = tmp_path / "rows.jsonl"
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    classes = sorted({row["stars"] for row in ROWS})
    class_table = pyarrow.table({**{name: [row[name] for row in ROWS] for name in ("body", "number")},
                                 "stars": [classes.index(row["stars"]) for row in ROWS]})
    features = {"info": {"features": {"stars": {"names": classes, "_type": "ClassLabel"}}}}
    sources = {"csv": csv, "jsonl": str(jsonl), "dicts": ROWS, "iterator": iter(ROWS),
               "polars": polars.DataFrame(ROWS), "arrow": pyarrow.Table.from_pylist(ROWS),
               "categorical": FRAME.astype({"stars": "category"}).set_index(FRAME["number"].rename("id")),
               "class numbers": class_table.replace_schema_metadata({"huggingface": json.dumps(features)}),
               "Dataset": Dataset(class_table, {"body": Value("string"), "number": Value("int64"),
                                                "stars": ClassLabel(classes)})}
    for name, source in sources.items():
        other = train(source, tmp_path / name, tiny_bert)
        assert weights(other) == weights(run), name
        for part in ("dev", "test", "tables", "learned", "best"):
            assert other.scores.get(part) == run.scores.get(part), (name, part)


def test_settings_alone_repeat_a_run_on_rows_in_memory(run, headstart_command, tmp_path):
    recorded = json.loads((run.path / "data.json").read_text())["files"][0]
    kept = run.path / "rows.jsonl"
    assert recorded["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert [json.loads(line) for line in kept.read_text().splitlines()] == ROWS
    assert headstart_command("finetune", "--settings", run.path / "settings.toml", "--to", tmp_path / "again") == 0
    assert weights(headstart.Run(tmp_path / "again")) == weights(run)
    assert headstart.resume(run.path).scores == run.scores


@pytest.fixture
def headstart_command():
    from headstart.cli.main import run_guarded

    return lambda *arguments: run_guarded([str(argument) for argument in arguments])


def test_an_interrupted_run_on_rows_in_memory_goes_on(run, tiny_bert, tmp_path):
    class Stop(Exception):
        pass

    class StopAtFirstStep:
        def receive(self, event):
            if type(event).__name__ == "StepFinished" and event.step == 2:
                raise Stop

    with pytest.raises(Stop):
        train(FRAME, tmp_path / "run", tiny_bert, save_every=1, reporter=headstart.Reporter(StopAtFirstStep()))
    assert weights(headstart.resume(tmp_path / "run")) != ""
    assert headstart.Run(tmp_path / "run").scores["dev"] == train(
        FRAME, tmp_path / "whole", tiny_bert, save_every=1).scores["dev"]


def test_a_run_is_replaced_with_its_rows_only_when_told(tiny_bert, tmp_path):
    first = train(FRAME, tmp_path / "run", tiny_bert)
    with pytest.raises(UserError) as error:
        train(FRAME[:45], tmp_path / "run", tiny_bert)
    assert error.value.exit == Exit.EXISTS and len((first.path / "rows.jsonl").read_text().splitlines()) == 60
    with pytest.raises(DataError):
        train(FRAME.assign(stars=None), tmp_path / "run", tiny_bert, overwrite=True)
    assert len((first.path / "rows.jsonl").read_text().splitlines()) == 60 and first.scores["test"]
    train(FRAME[:45], tmp_path / "run", tiny_bert, overwrite=True)
    assert len((first.path / "rows.jsonl").read_text().splitlines()) == 45


def test_dev_and_test_are_given_beside_and_of_a_dataset_dict_the_splits_are_taken(tiny_bert, tmp_path):
    whole = Dataset(pyarrow.Table.from_pylist(ROWS), dict.fromkeys(ROWS[0], Value("string")))
    splits = DatasetDict(train=whole.part(0, 40), validation=whole.part(40, 50), test=whole.part(50, 60),
                         unsupervised=whole)
    told = Messages()
    from_splits = train(splits, tmp_path / "splits", tiny_bert, reporter=headstart.Reporter(told))
    from_frames = train(FRAME[:40], tmp_path / "frames", tiny_bert, dev=polars.DataFrame(ROWS[40:50]), test=ROWS[50:])
    assert weights(from_splits) == weights(from_frames)
    assert from_splits.scores["test"]["accuracy"]["n"] == 10 and from_splits.scores["dev"] == from_frames.scores["dev"]
    assert ("splits of the DatasetDict: 'train' as train, 'validation' as dev, 'test' as test; not used: "
            "'unsupervised'") in told.texts
    with pytest.raises(UserError, match="dev was given twice"):
        train(splits, tmp_path / "twice", tiny_bert, dev=ROWS)
    with pytest.raises(UserError, match="no split called train; it has 'test'"):
        train(DatasetDict(test=whole), tmp_path / "none", tiny_bert)
    with pytest.raises(UserError, match="DatasetDict of 'train'"):
        from_frames.model.predict(splits)


FRAMES = {
    "pandas": lambda columns: pandas.DataFrame(columns, index=[7, 7, 3][:len(columns["body"])]),
    "polars": polars.DataFrame,
    "arrow": pyarrow.table,
    "dataset": lambda columns: Dataset(pyarrow.table(columns), dict.fromkeys(columns, Value("string"))),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_table_gives_a_table_of_its_kind_with_the_predictions_added(model, kind):
    texts = ["the roses", "broken houses", "apples"]
    table = FRAMES[kind]({"body": texts, "prediction": ["a", "b", "c"]})
    predicted = model.predict(table)
    assert type(predicted) is type(table)
    names = list(getattr(predicted, "column_names", None) or predicted.columns)
    assert names == ["body", "prediction", "prediction_predicted", "probability", "probabilities"]
    expected = model.predict(texts)
    assert list(columns_of(predicted)["prediction_predicted"]) == [row["prediction"] for row in expected]
    assert list(columns_of(predicted)["probability"]) == [row["probability"] for row in expected]
    assert list(columns_of(predicted)["probabilities"]) == [row["probabilities"] for row in expected]
    if kind == "pandas":
        assert list(predicted.index) == [7, 7, 3] and list(table.columns) == ["body", "prediction"]


def columns_of(table):
    return table.to_pydict() if hasattr(table, "to_pydict") else table.to_dict("list") if isinstance(
        table, pandas.DataFrame) else table.to_dict(as_series=False)


def test_a_row_without_a_text_keeps_its_place_in_a_table_with_the_reason(model):
    predicted = model.predict(pandas.DataFrame({"body": ["the roses", np.nan, None, " "]}))
    assert predicted["prediction"].isna().tolist() == [False, True, True, True]
    assert predicted["prediction_reason"].tolist()[1:] == ["the text is empty"] * 3
    with pytest.raises(DataError, match=r"row 2 .*the text is empty"):
        model.predict(["the roses", ""])


def test_a_series_an_array_a_generator_and_tuples_are_rows_too(model):
    texts = ["the roses", "apples"]
    labels = [row["prediction"] for row in model.predict(texts)]
    series = pandas.Series(texts, index=["x", "y"], name="body")
    assert model.predict(series)["prediction"].to_dict() == dict(zip("xy", labels, strict=True))
    assert model.predict(polars.Series("body", texts))["prediction"].to_list() == labels
    row = namedtuple("row", ["body", "number"])
    for rows in (np.array(texts), pyarrow.array(texts), (text for text in texts), [{"body": text} for text in texts],
                 [row(text, 1) for text in texts], [{"text": text} for text in texts]):
        assert [prediction["prediction"] for prediction in model.predict(rows)] == labels
    pair = model.predict([("the roses", "apples")])
    assert pair == model.predict([{"text": "the roses", "pair": "apples"}])
    assert isinstance(pair, list) and model.predict([]) == []
    assert list(model.predict(FRAME[:0]).columns) == [*FRAME.columns, "prediction"]


def test_a_path_is_predicted_as_its_rows_are(model, tmp_path):
    path = write_csv(tmp_path / "new.csv", [("the roses",), ("apples",)], ("body",))
    assert model.predict(path) == model.predict(str(path)) == model.predict(["the roses", "apples"])


@pytest.mark.parametrize(("rows", "words"), [
    ("hello", "one text came: 'hello'"), (None, "None came"), (float("nan"), "nan came"), ({"text": "a"}, "one dict"),
    (["a", None], "row 2 is None"), (["a", float("nan")], "row 2 is nan"), ([["a"]], "row 1 is of the class list"),
    ([("a", "b", "c")], r"a tuple is \(text, pair\)"), ({"a", "b"}, "a set came"), (5, "class int"), (str, "class str"),
    (b"hello", "bytes came"), (np.zeros((2, 2)), "2 dimensions"), (polars.DataFrame(ROWS).lazy(), "LazyFrame"),
    ([{1: "a"}], "has the column 1"), (["a.csv", "a text"], "paths .* and of texts"),
    (["a.csv", "b.csv"], "takes one"), ("none.csv", "no file none.csv"),
    (pandas.DataFrame([["a", "b"]], columns=["text", "text"]), "2 columns called 'text'"),
    (pandas.DataFrame([["a"]], columns=pandas.MultiIndex.from_tuples([("a", "b")])), "2 levels"),
    (pandas.DataFrame([["a"]], columns=[None]), "called nan|called None"),
    ([{"text": "a", "picture": b"\x00"}], '"picture" holds bytes'), ([{"text": object()}], "class object"),
    (pandas.DataFrame({"text": ["a", "b"], "x": [1, object()]}), 'row 2: the column "x"')])
def test_what_are_no_rows_is_refused_in_words(model, rows, words):
    with pytest.raises(UserError, match=words):
        model.predict(rows)


def test_texts_are_never_taken_apart_into_letters(model, tiny_bert):
    backbone = headstart.load_backbone(tiny_bert)
    for call in (model.encode, backbone.encode, backbone.embed):
        with pytest.raises(UserError, match="one text came"):
            call("hello")
    texts = ["the roses", "apples"]
    vectors = backbone.embed(texts)
    assert np.array_equal(backbone.embed(pandas.Series(texts)), vectors)
    assert np.array_equal(backbone.embed(polars.DataFrame({"id": [1, 2], "t": texts}), text="t"), vectors)
    with pytest.raises(UserError, match="no column 'text'; it has 'id', 't'"):
        backbone.embed(pandas.DataFrame({"id": [1, 2], "t": texts}))
    with pytest.raises(UserError, match="row 2 has no text"):
        backbone.embed(pandas.Series(["a", np.nan]))


def test_cells_of_every_kind_are_read_as_what_they_are(tmp_path):
    from headstart.data.objects import read_rows

    frame = pandas.DataFrame({
        "missing": [pandas.NA, np.nan], "date": pandas.to_datetime(["2024-01-02", None]),
        "category": pandas.Categorical(["x", None]), "list": [np.array([1, 2]), None], "whole": [1.0, np.nan],
        "float": [1.0, 2.0], "text": pandas.array(["a", None], dtype="string"), "inf": [np.inf, -np.inf],
        "decimal": [decimal.Decimal("1.5"), None], "day": [datetime.date(2024, 1, 2), None], "bytes": [b"x", b"y"]})
    rows = read_rows(frame)
    first, second = rows.records()
    assert first == {"missing": None, "date": "2024-01-02T00:00:00", "category": "x", "list": [1, 2], "whole": 1,
                     "float": 1.0, "text": "a", "inf": "inf", "decimal": 1.5, "day": "2024-01-02"}
    assert {name for name, value in second.items() if value is not None} == {"float", "inf"}
    assert any('"bytes" holds bytes' in note for note in rows.notes) and any('"whole"' in note for note in rows.notes)
    scalars = {"a": np.int64(3), "b": np.float32(0.5), "c": np.bool_(True), "d": np.str_("x"), "e": np.datetime64("NaT")}
    assert list(read_rows([scalars]).records()) == [{"a": 3, "b": 0.5, "c": True, "d": "x", "e": None}]
    nested = polars.DataFrame({"spans": [[{"start": 0, "type": "A"}], None], "x": [float("nan"), 1.0]})
    assert list(read_rows(nested).records()) == [{"spans": [{"start": 0, "type": "A"}], "x": None},
                                                 {"spans": None, "x": 1.0}]
    tags = Dataset(pyarrow.table({"tags": [[0, 1], [-1]]}), {"tags": List(ClassLabel(["O", "B-A"]))})
    assert list(read_rows(tags).records()) == [{"tags": ["O", "B-A"]}, {"tags": [None]}]
    half = read_rows([{"text": "a \ud83d"}])
    half.write(tmp_path / "half.jsonl")
    assert json.loads((tmp_path / "half.jsonl").read_text()) == {"text": "a \ud83d"}


def test_missing_values_are_faults_as_in_a_file_never_the_text_nan(tiny_bert, tmp_path):
    with pytest.raises(DataError) as error:
        train(FRAME.assign(stars=FRAME["stars"].where(FRAME["number"] != 4)), tmp_path / "run", tiny_bert)
    (finding,) = error.value.findings
    assert finding.code == "E202" and finding.line == 5 and finding.file.endswith("rows.jsonl")
    check = headstart.check(FRAME.assign(body=np.nan), text="body", label="stars")
    assert not check.ok and {finding.code for finding in check.findings} == {"E201"}


def test_columns_are_named_by_plain_keywords(model, tiny_bert, tmp_path):
    renamed = FRAME.rename(columns={"body": "words", "stars": "grade"})
    predicted = model.predict(renamed, text="words")
    assert predicted["prediction"].tolist() == model.predict(FRAME)["prediction"].tolist()
    scores = model.evaluate(renamed, text="words", label="grade")["test"]
    assert scores["accuracy"]["value"] == model.evaluate(FRAME)["test"]["accuracy"]["value"]
    assert scores["accuracy"]["value"] == model.evaluate(ROWS)["test"]["accuracy"]["value"]
    for call in (lambda: model.predict(renamed, txt="words"), lambda: model.evaluate(renamed, txt="words")):
        with pytest.raises(UserError, match=r"no column 'txt'.*\n.*Did you mean text"):
            call()
    with pytest.raises(UserError, match="given twice"):
        model.predict(renamed, text="words", columns={"text": "words"})
    with pytest.raises(UserError, match="no column \"word\""):
        model.predict(renamed, text="word")
    for keywords, words in [({"txet": "words"}, "Did you mean text"), ({"text": 3}, "a text was expected"),
                            ({"text": "words", "columns": {"text": "words"}}, "given twice"),
                            ({"question": "words"}, "No task|no --question|no column")]:
        with pytest.raises(UserError, match=words):
            headstart.finetune(renamed, model=str(tiny_bert), to=tmp_path / "run", **keywords)


def test_a_keyword_that_is_a_column_and_a_setting_is_what_its_value_is():
    from headstart.api.keywords import name_settings, split_columns

    assert split_columns(None, {"negatives": "wrong", "epochs": 1}) == ({"negatives": "wrong"}, {"epochs": 1})
    columns, settings = split_columns({}, {"negatives": 2, "text": ["title", "body"]})
    assert columns == {"text": "title,body"}
    assert name_settings(settings, {"train": "x", "task": "retrieval"}, {}) == {"task.negatives": 2}


def test_a_keyword_that_may_be_a_column_or_a_text_setting_is_refused(monkeypatch):
    from headstart.api import keywords

    monkeypatch.setattr(keywords, "column_fields", lambda: {"text", "schedule"})
    with pytest.raises(UserError, match=r"schedule='x' may be the column .*\n.*columns=\{'schedule': 'x'\}") as error:
        keywords.split_columns(None, {"schedule": "x"})
    assert error.value.exit == Exit.SETTINGS


def test_a_student_is_made_on_rows_in_memory(run, tmp_path):
    student = headstart.distil(run.path, FRAME, to=tmp_path / "student", layers=1, **QUICK)
    assert (student.path / "rows.jsonl").exists() and "distillation" in student.scores


def test_an_index_is_made_of_rows_in_memory(tmp_path):
    frame = pandas.DataFrame({"body": ["Leaves turn red in autumn.", "Snow melts in spring."], "name": ["a", "b"]})
    index = headstart.index(frame, to=tmp_path / "index", model="none", text="body", id="name")
    assert index.search(["red leaves"], source="sparse", k=1)[0][0].passage.document == "a"
    again = headstart.index(frame[1:], to=tmp_path / "index", model="none", text="body", id="name")
    assert len(again) == 1 and len((tmp_path / "index" / "documents.jsonl").read_text().splitlines()) == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="not an index"):
        headstart.index(frame, to=tmp_path / "other", model="none")
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["mine.txt"]


def test_a_setting_of_the_task_is_found_by_the_task_of_the_rows(tiny_bert, tmp_path):
    run = train(FRAME, tmp_path / "run", tiny_bert, merge="good+mixed=fine")
    assert run.model.task.learned.labels == ("bad", "fine")


def test_a_check_tells_and_never_raises_for_faults(tmp_path):
    check = headstart.check(FRAME, text="body", label="stars")
    assert check.ok and check.task == "text-classification" and check.columns == {"text": ["body"], "label": ["stars"]}
    assert check.unused_columns == ("number",) and "60 rows" in check.summary() and repr(check).startswith("<check:")
    path = write_csv(tmp_path / "faulty.csv", [("<b>a day</b>", "good"), ("rain", "")] * 5)
    faulty = headstart.check(path)
    assert not faulty.ok and faulty.task == "text-classification" and faulty.columns["label"] == ("label",)
    assert [finding.line for finding in faulty.findings if finding.code == "E202"] == [3, 5, 7, 9, 11]
    assert "+ 4 more like it" in faulty.summary() and "5 faults" in faulty.headline()
    missing = headstart.check([{"a": 1}], task="text-classification")
    assert not missing.ok and missing.findings[0].code == "E204"
    assert headstart.check([], task="text-classification").findings[0].code == "E102"
    twice = [*ROWS, *ROWS]
    assert headstart.check(twice).ok and not headstart.check(twice, strict=True).ok
    for keywords in ({"task": "no-task"}, {"epohcs": 1}, {"text": "no-column"}):
        with pytest.raises(UserError):
            headstart.check(ROWS, **keywords)
    with pytest.raises(UserError) as error:
        headstart.check(tmp_path / "none.csv")
    assert error.value.exit == Exit.NO_INPUT


def test_lists_of_paths_are_files_and_lists_of_texts_are_rows(tmp_path):
    from headstart.api.inputs import read_inputs

    path = write_csv(tmp_path / "a.csv", [("a", "b")])
    assert read_inputs([path, "b.csv"]).further_train == ("b.csv",) and not read_inputs([path]).rows
    inputs = read_inputs(["a fine day", "see report.txt", "x" * 5000])
    assert inputs.rows["train"].count == 3 and not inputs.paths
    with pytest.raises(UserError, match="train: Rows were expected, but None"):
        read_inputs(None)


@dataclasses.dataclass(frozen=True)
class Stream:
    """A table of no library that is known here."""

    table: pyarrow.Table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_any_table_with_the_arrow_interface_is_read(model):
    predicted = model.predict(Stream(pyarrow.table({"body": ["the roses"]})))
    assert predicted.column_names[:2] == ["body", "prediction"]
    batch = pyarrow.record_batch({"body": ["the roses"]})
    assert model.predict(batch).to_pylist() == predicted.to_pylist()
    with pytest.raises(UserError, match="2 columns called 'body'"):
        model.predict(pyarrow.Table.from_arrays([["a"], ["b"]], names=["body", "body"]))


def test_what_notebooks_show_is_short_and_every_text_is_escaped(run, model, tmp_path):
    evil = "<script>alert(1)</script>"
    shown = [run, model.predict([evil] * 30), model.inspect(evil), headstart.check([{"text": evil, "label": ""}] * 30), model]
    for value in shown:
        html = value._repr_html_()
        assert "<script" not in html and len(html) < 20_000 and "color: black" not in html
        assert html.count("<div") == html.count("</div") and html.count("<table") == html.count("</table")
    assert "and 10 more" in shown[1]._repr_html_() and len(repr(shown[2])) < 200 and os.fspath(run.path) in repr(run)
    assert repr(model).startswith("<model: ")


def test_no_column_is_overwritten_by_a_prediction(model):
    frame = pandas.DataFrame({"body": ["the roses"], "prediction": ["mine"], "prediction_predicted": ["theirs"]})
    predicted = model.predict(model.predict(frame))
    assert list(predicted["prediction"]) == ["mine"] and list(predicted["prediction_predicted"]) == ["theirs"]
    assert list(predicted[f"prediction{2 * '_predicted'}"]) == list(predicted[f"prediction{3 * '_predicted'}"])


def test_a_stream_that_can_be_read_once_is_a_table(model):
    table = pyarrow.table({"body": ["the roses", "apples"]})
    assert model.predict(table.to_reader()).equals(model.predict(table))


def test_an_array_of_no_dimension_is_no_list_of_letters(model):
    with pytest.raises(UserError, match="0 dimensions"):
        model.predict(np.array("abc"))
    with pytest.raises(UserError, match="class DataFrameGroupBy"):
        model.predict(FRAME.groupby("stars"))
    with pytest.raises(UserError, match="no file data/new, if a path was meant"):
        model.predict("data/new")


def test_settings_of_the_data_are_keywords_and_flags_are_told_as_keywords(model):
    rows = ["the roses", ""]
    with pytest.raises(DataError) as caught:
        model.predict(rows)
    assert caught.value.__notes__ == ['In Python: --bad-rows skip is bad_rows="skip".']
    predicted = model.predict(rows, bad_rows="skip")
    assert [row["prediction_reason"] for row in predicted] == [None, "the text is empty"]
    assert model.predict(rows, data={"bad_rows": "skip"}) == predicted
    with pytest.raises(UserError, match="takes stop or skip"):
        model.predict(rows, bad_rows="leave")
    labelled = FRAME.assign(stars=[None, *FRAME["stars"][1:]])
    assert model.evaluate(labelled, bad_rows="skip")["test"]["accuracy"]["n"] == len(FRAME) - 1
    with pytest.raises(UserError, match="columns is 'body'; a dict"):
        model.predict(rows, columns="body")


@pytest.mark.parametrize(("words", "keywords"), [
    ("Name it: --text COLUMN.", 'text="COLUMN"'), ("--overwrite replaces it.", "overwrite=True"),
    ("Pass --set data.quote=double.", 'data={"quote": "double"}'), ("Use --task token-tagging.", 'task="token-tagging"'),
    ("With --no-header the first is a row.", "header=False"), ("See --help.", ""), ("One -- or two.", "")])
def test_a_flag_is_told_as_its_keyword(words, keywords):
    notes = getattr(UserError("It fails.", fix=words), "__notes__", [])
    assert [note.partition(" is ")[2] for note in notes] == ([f"{keywords}."] if keywords else [])


@pytest.mark.parametrize("source", [[], FRAME[:0]])
def test_no_rows_are_told_as_what_they_came_as(source, tmp_path):
    with pytest.raises(UserError, match=r"train: a .* of 0 rows came") as caught:
        headstart.finetune(source, to=tmp_path / "run", text="body", label="stars")
    assert caught.value.exit == Exit.DATA
