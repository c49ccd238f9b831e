"""A run in folds: every row predicted by a model that never saw it, then one model on all rows, exact on resume."""

import json
import os
import shutil
import tomllib
from collections import Counter

import numpy as np
import pytest
import tiny
import trials
from conftest import review_rows, write_csv
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score, f1_score

import headstart as package
from headstart.cli.main import run_guarded
from headstart.preparation import folding

FLAGS = ["--epochs", "2", "--batch-size", "16", "--learning-rate", "2e-3", "--set", "evaluation.resamples=20", "--set",
         "training.precision=fp32"]
QUICK = ["--epochs", "1", "--batch-size", "16", "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false"]


@pytest.fixture(scope="module")
def run(tiny_bert, tmp_path_factory):
    """A finished run of 62 rows by the rule, and its training file."""
    folder = tmp_path_factory.mktemp("folds")
    path = write_csv(folder / "few.csv", review_rows(62))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "FEW_ROWS", 200)
        command = ["finetune", path, "--model", tiny_bert, "--to", folder / "run", "--quiet", *FLAGS]
        assert run_guarded([str(part) for part in command]) == 0
    return folder / "run", path


def read_lines(run):
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def read_scores(run):
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))


def weights(run):
    return (run / "model" / "model.safetensors").read_bytes()


def test_every_row_is_predicted_once_and_the_scores_are_those_of_these_predictions(run):
    lines, scores = read_lines(run[0]), read_scores(run[0])
    assert [line["row"] for line in lines] == list(range(62)) and {line["split"] for line in lines} == {"dev"}
    assert Counter(line["fold"] for line in lines).keys() == {1, 2, 3, 4, 5}
    assert [line["fold"] for line in lines] == json.loads((run[0] / "data.json").read_text())["folds"]["of_row"]
    gold, predicted = ([line[name] for line in lines] for name in ("gold", "prediction"))
    assert scores["dev"]["accuracy"]["value"] == pytest.approx(accuracy_score(gold, predicted))
    macro_f1 = f1_score(gold, predicted, average="macro", zero_division=0)
    assert scores["dev"]["macro_f1"]["value"] == pytest.approx(macro_f1)
    assert all(score["n"] == 62 and "out of fold, 5 folds" in score["signature"] for score in scores["dev"].values())
    assert "test" not in scores and scores["best"] == {"split": None, "score": None, "step": 8}
    folds = scores["folds"]
    for number, part in enumerate(folds["parts"], start=1):
        own = [line for line in lines if line["fold"] == number]
        accuracy = np.mean([line["gold"] == line["prediction"] for line in own])
        assert part["rows"] == len(own) and part["scores"]["accuracy"] == pytest.approx(accuracy)
    values = [part["scores"]["accuracy"] for part in folds["parts"]]
    assert folds["spread"]["accuracy"] == pytest.approx({"low": min(values), "high": max(values),
                                                         "deviation": np.std(values, ddof=1)})


def test_whose_scores_they_are_is_said_before_any_score(run):
    report, page = ((run[0] / name).read_text(encoding="utf-8") for name in ("report.md", "report.html"))
    first = report.split("\n\n")[2]
    owners = first.index("The dev scores are out of fold: each of 62 rows was predicted by one of 5 models")
    assert owners < first.index("Out of fold, on 62 rows, the models are right in")
    assert "From fold to fold accuracy lies between" in first and "Scores on dev, out of fold" in report
    assert "Fold by fold" in page and "chose the checkpoint" not in page
    assert "out of fold" in (run[0] / "model" / "README.md").read_text(encoding="utf-8")


def test_each_baseline_is_fitted_on_the_same_folds(run):
    lines, baselines = read_lines(run[0]), read_scores(run[0])["baselines"]
    right = []
    for line in lines:
        others = Counter(other["gold"] for other in lines if other["fold"] != line["fold"])
        right.append(max(sorted(others), key=lambda label: others[label]) == line["gold"])
    assert baselines["majority"]["scores"]["accuracy"]["value"] == pytest.approx(np.mean(right), abs=0.05)
    assert baselines["majority"]["split"] == "dev"
    assert "out of fold, 5 folds" in baselines["majority"]["scores"]["accuracy"]["signature"]


def test_the_saved_model_is_that_of_a_training_on_all_rows(run, tiny_bert, tmp_path, headstart):
    dev = write_csv(tmp_path / "dev.csv", review_rows(12, seed=9))
    assert headstart("finetune", run[1], "--dev", dev, "--model", tiny_bert, "--to", tmp_path / "all", "--quiet",
                     *FLAGS, "--set", "evaluation.baselines=false")[0] == 0
    reference = load_file(tmp_path / "all" / "checkpoints" / "step-000008" / "model.safetensors")
    saved = load_file(run[0] / "model" / "model.safetensors")
    assert all((saved[name] == weight).all() for name, weight in reference.items())
    model = package.load(run[0], device="cpu")
    text = review_rows(62)[0][0]
    golden = json.loads((run[0] / "model" / "headstart.json").read_text())["golden"][0]
    assert model.predict([text])[0]["probability"] == pytest.approx(golden["probability"], abs=1e-5)


def test_evaluating_the_training_file_is_told_to_be_too_good(run, tmp_path, headstart):
    folder, path = run
    other = write_csv(tmp_path / "other.csv", review_rows(20, seed=1))
    warned = [(source, "was trained on" in headstart("evaluate", source, rows, "--set", "evaluation.resamples=5")[2])
              for source in (folder, folder / "model") for rows in (path, other)]
    assert [warning for _, warning in warned] == [True, False, True, False], warned


def test_settings_say_the_folds_and_alone_repeat_the_run(run, tmp_path, headstart):
    settings = tomllib.loads((run[0] / "settings.toml").read_text(encoding="utf-8"))
    assert settings["evaluation"]["folds"] == 5 and "split" not in settings["data"]
    assert headstart("finetune", "--settings", run[0] / "settings.toml", "--to", tmp_path / "again", "--quiet")[0] == 0
    assert weights(tmp_path / "again") == weights(run[0]) and read_lines(tmp_path / "again") == read_lines(run[0])


def test_nothing_of_the_folds_models_is_left(run):
    assert not (run[0] / "folds").exists() and len(list((run[0] / "checkpoints").iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_run_killed_in_a_fold_between_them_or_after_ends_with_the_same_files(tmp_path):
    import torch

    torch.set_num_threads(1)
    workshop = trials.Workshop(tmp_path)
    work = workshop.folds()
    count = workshop.operations(work)
    for index, share in enumerate((0.45, 0.9)):
        with workshop.trial(work) as trial:
            problem = trials.kill_trial(trial, int(share * count), way=index % 2)
            assert not problem, f"{problem}\n" + "\n".join(trial.log)
            assert not (trial.to / "folds").exists()


@pytest.fixture
def cut_run(tiny_bert, tmp_path, headstart, monkeypatch):
    """A run of three folds that stopped in the last one, and its training file."""
    from headstart.training import loop

    path, original, steps = write_csv(tmp_path / "few.csv", review_rows(36)), loop.train_step, []

    def failing_step(state, *arguments, **options):
        steps.append(state.step)
        if len(steps) == 6:
            raise ValueError("power cut")
        return original(state, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", failing_step)
        assert headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", "--folds", "3", "--quiet",
                         *QUICK)[0] == 70
    return tmp_path / "run", path


def test_a_fold_that_is_done_is_not_trained_again_unless_its_outputs_are_damaged(cut_run, headstart, tmp_path,
                                                                                  monkeypatch):
    from headstart.runs import folds

    run, _ = cut_run
    assert sorted(path.name for path in (run / "folds").iterdir()) == ["1", "2", "3"]
    assert [path.name for path in (run / "folds" / "1").iterdir()] == ["outputs.json"]
    damaged = shutil.copytree(run, tmp_path / "damaged")
    trained, original = [], folds.train_fold
    monkeypatch.setattr(folds, "train_fold", lambda fit, fold, *rest: trained.append(fold) or original(fit, fold, *rest))
    assert headstart("resume", run, "--quiet")[0] == 0 and trained == [2]
    content = (damaged / "folds" / "1" / "outputs.json").read_text()
    (damaged / "folds" / "1" / "outputs.json").write_text(content.replace('"steps": 2', '"steps": 3'))
    assert headstart("resume", damaged, "--quiet")[0] == 0 and trained == [2, 0, 2]
    assert weights(damaged) == weights(run) and read_lines(damaged) == read_lines(run)


def test_folds_of_other_settings_are_trained_again_and_their_number_stays(cut_run, headstart):
    run, _ = cut_run
    settings = (run / "settings.toml").read_text(encoding="utf-8")
    (run / "settings.toml").write_text(settings.replace("folds = 3", "folds = 2"), encoding="utf-8")
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 78 and "evaluation.folds" in stderr
    (run / "settings.toml").write_text(settings.replace("weight_decay = 0.01", "weight_decay = 0.5"), encoding="utf-8")
    code, _, stderr = headstart("resume", run, "--accept-changes")
    assert code == 0 and [f"fold {number} of 3: trained" in stderr for number in (1, 2, 3)] == [True] * 3


def test_a_test_file_is_scored_by_the_saved_model(tiny_bert, tmp_path, headstart):
    train, test = (write_csv(tmp_path / f"{name}.csv", review_rows(36, seed=seed))
                   for seed, name in enumerate(("train", "test")))
    code, stdout, stderr = headstart("finetune", train, "--test", test, "--model", tiny_bert, "--to", tmp_path / "run",
                                     "--folds", "2", *FLAGS)
    assert code == 0 and "2 folds and the model itself are 3 trainings: about 3 times" in stderr
    scores = read_scores(tmp_path / "run")
    assert "test (36 rows)" in stdout and "dev, out of fold (36 rows)" in stdout
    assert "out of fold" not in scores["test"]["accuracy"]["signature"]
    assert scores["baselines"]["majority"]["split"] == "test"
    model = package.load(tmp_path / "run", device="cpu")
    assert model.evaluate(test)["test"]["accuracy"]["value"] == scores["test"]["accuracy"]["value"]
    assert Counter(line["split"] for line in read_lines(tmp_path / "run")) == {"dev": 36, "test": 36}


@pytest.mark.parametrize("flags", [["--adapter", "lora"], ["--set", "training.early_exit=true"],
                                   ["--set", "model.save_dtype=bf16"]])
def test_other_ways_of_training_are_scored_in_folds_too(flags, tiny_bert, tmp_path, headstart):
    path = write_csv(tmp_path / "few.csv", review_rows(30))
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", "--folds", "2",
                                *QUICK, *flags)
    assert code == 0, stderr
    assert len(read_lines(tmp_path / "run")) == 30 and not (tmp_path / "run" / "folds").exists()


def test_a_student_is_scored_in_folds_and_told_what_its_teacher_saw(run, tmp_path, headstart):
    code, _, stderr = headstart("distil", run[0], run[1], "--layers", "1", "--to", tmp_path / "student", "--folds", "2",
                                *QUICK)
    assert code == 0, stderr
    assert "the teacher was trained on 62" in stderr and read_scores(tmp_path / "student")["folds"]["count"] == 2


@pytest.mark.parametrize("task", ["token-tagging", "question-answering", "multilabel-classification", "regression"])
def test_tasks_without_classes_are_scored_in_folds_and_thresholds_are_tuned_on_all_rows(task, tiny_bert, tmp_path,
                                                                                        headstart):
    texts = tiny.texts(24, seed=3)
    path = tmp_path / "rows.jsonl"
    rows = {"token-tagging": [{"tokens": text.split(), "tags": ["B-x" if word[0].isupper() else "O"
                                                                for word in text.split()]} for text in texts],
            "question-answering": [{"passage": f"{index}: {text}", "question": "who?", "answer": text[:6] if index % 3
                                    else ""} for index, text in enumerate(texts)],
            "multilabel-classification": [{"text": text, "labels": ["a"] if index % 2 else ["a", "b"]}
                                          for index, text in enumerate(texts)],
            "regression": [{"text": text, "target": len(text) / 7} for text in texts]}[task]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, _, stderr = headstart("finetune", path, "--task", task, "--model", tiny_bert, "--to", tmp_path / "run",
                                "--folds", "2", *QUICK)
    assert code == 0, stderr
    scores = read_scores(tmp_path / "run")
    assert all(score["n"] == 24 for score in scores["dev"].values())
    if task == "multilabel-classification":
        model = package.load(tmp_path / "run", device="cpu")
        assert model.task.learned.values["thresholds"] == scores["learned"]["thresholds"]
        assert "tuned on these predictions" in stderr


def test_a_listener_that_asks_to_stop_leaves_a_run_that_can_be_resumed(tiny_bert, tmp_path, headstart):
    class Stopper:
        def receive(self, event):
            return "fold 2 of 3" in getattr(event, "text", "")

    path = write_csv(tmp_path / "few.csv", review_rows(36))
    with pytest.raises(package.UserError, match="stopped by a listener and saved after step 1 in fold 2 of 3"):
        package.finetune(path, model=str(tiny_bert), to=tmp_path / "run", folds=3, epochs=1, batch_size=16, baselines=False, resamples=0,
                         reporter=package.Reporter(Stopper()))
    assert headstart("resume", tmp_path / "run", "--quiet")[0] == 0


def test_flags_of_commands_that_do_not_train_have_no_folds(headstart):
    assert "--folds" in headstart("finetune", "--help")[1] and "--folds" in headstart("distil", "--help")[1]
    assert "--folds" not in headstart("predict", "--help")[1] + headstart("evaluate", "--help")[1]
