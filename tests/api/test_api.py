"""The Python interface: the same commands and settings as on the command line."""

import json

import pytest
import tiny
from conftest import review_rows, write_csv

import headstart
from headstart.errors import DataError, Exit, UserError

QUICK = {"batch_size": 16, "evaluation": {"resamples": 20, "baselines": False}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("api") / "reviews.csv", review_rows())


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api-run")
    return headstart.finetune(data, model=str(tiny.model_folder("bert", folder / "bert")), to=folder / "run", seed=3,
                              epochs=2, **QUICK)


def test_a_run_gives_scores_report_and_model(run):
    assert run.report.exists() and run.scores["test"]["macro_f1"]["n"] == 9 and "macro_f1" in run.summary()
    assert run.scores["best"]["split"] == "dev" and run.model.task.name == "text-classification"


def test_predict_takes_rows_and_plain_texts(run):
    model = headstart.load(run.path)
    from_text, from_row = model.predict(["the roses"]), model.predict([{"text": "the roses"}])
    assert from_text == from_row and set(from_text[0]) == {"prediction", "probability",
                                                           "probabilities"} and model.predict([]) == []
    assert "labels: bad, good, mixed" in model.summary()


def test_predictions_are_those_of_the_command_line(run, headstart_command):
    code, stdout, _ = headstart_command("predict", run.path, "--value", "text=the broken card")
    assert code == 0 and json.loads(stdout) == run.model.predict(["the broken card"])[0]


@pytest.fixture
def headstart_command(capsys):
    from headstart.cli.main import run_guarded

    def call(*argv):
        code = run_guarded([str(argument) for argument in argv])
        return code, *capsys.readouterr()

    return call


def test_evaluate_takes_a_file_or_rows(run, data):
    rows = [{"text": text, "label": label} for text, label in review_rows()]
    from_file, from_rows = run.model.evaluate(str(data)), run.model.evaluate(rows)
    assert from_file["test"]["accuracy"]["value"] == from_rows["test"]["accuracy"]["value"] and from_file["test"][
        "accuracy"]["n"] == 90


def test_encode_gives_pieces_with_their_characters(run):
    (tokens,) = run.model.encode(["The roses."])
    start, end = tokens.offsets[0]
    assert "The roses."[start:end] in ("The", "T") and len(tokens.ids) == len(tokens.offsets)


def test_save_writes_a_plain_folder_and_never_over_another(run, tmp_path):
    import transformers

    folder = run.model.save(tmp_path / "copy")
    assert transformers.AutoModelForSequenceClassification.from_pretrained(folder).config.label2id == {
        "bad": 0, "good": 1, "mixed": 2}
    assert headstart.load(folder).predict(["the roses"]) == run.model.predict(["the roses"])
    with pytest.raises(UserError) as error:
        run.model.save(tmp_path / "copy")
    assert error.value.exit == Exit.EXISTS


def test_settings_by_own_name_and_by_group_are_the_same(data, run, tmp_path):
    model = str(run.path.parent / "bert")
    grouped = headstart.finetune(data, model=model, to=tmp_path / "a", seed=3, training={"epochs": 2}, **QUICK)
    assert grouped.scores["test"] == run.scores["test"]
    with pytest.raises(UserError) as error:
        headstart.finetune(data, model=model, to=tmp_path / "b", epoch=3)
    assert error.value.exit == Exit.SETTINGS and not (tmp_path / "b").exists()


def test_faults_are_raised_not_printed(run, tmp_path, capsys):
    with pytest.raises(UserError, match='no column for "text"'):
        run.model.predict([{"weight": 3}])
    with pytest.raises(DataError):
        run.model.predict([{"text": " "}])
    with pytest.raises(UserError) as error:
        headstart.finetune(tmp_path / "none.csv")
    assert error.value.exit == Exit.NO_INPUT
    with pytest.raises(UserError) as error:
        headstart.load(tmp_path / "nothing")
    assert error.value.exit in (Exit.NO_INPUT, Exit.UNAVAILABLE)
    assert capsys.readouterr() == ("", "")


def test_a_finished_run_resumes_to_itself_and_is_not_overwritten(run, data):
    assert headstart.resume(run.path).scores == run.scores
    with pytest.raises(UserError) as error:
        headstart.finetune(data, model="x", to=run.path)
    assert error.value.exit == Exit.EXISTS


def test_a_model_is_trained_from_a_config_alone(data, tmp_path):
    folder = tiny.model_folder("bert", tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    run = headstart.finetune(data, from_scratch=folder, to=tmp_path / "run", epochs=1, **QUICK)
    assert run.model.predict(["the roses"]) and 'from_scratch = "' in (run.path / "settings.toml").read_text()
