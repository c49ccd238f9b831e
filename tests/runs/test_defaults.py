"""The recipe: what is chosen where the user sets nothing, told, and never less than it says."""

import json
from dataclasses import replace

import pytest
from conftest import review_rows, write_csv

from headstart.runs import defaults
from headstart.runs.defaults import Subject
from headstart.settings import Training

CLASSES, NUMBERS, TAGS, WRITING = "text-classification", "regression", "token-tagging", "language-model"
INTENTS = Subject(CLASSES, 10_003, 77, 384)


@pytest.fixture(autouse=True)
def rule(monkeypatch):
    """The steps of the rule, not those that tests get by with."""
    monkeypatch.setattr(defaults, "FEWEST_STEPS", 120)
    monkeypatch.setattr(defaults, "FEWEST_STEPS_OF_NEW_HEADS", 200)


@pytest.mark.parametrize("subject,rate", [
    (INTENTS, 2e-4), (Subject(CLASSES, 10_003, 77, 768), 5e-5), (Subject(CLASSES, 10_003, 77, 128), 3e-4),
    (Subject(CLASSES, 8551, 2, 384), 1e-4), (Subject(CLASSES, 8551, 2, 768), 2.5e-5),
    (Subject(CLASSES, 600, 3, 384), 2e-4), (Subject("multilabel-classification", 600, 3, 384), 1e-4),
    (Subject(CLASSES, 2490, 2, 384, is_pair=True), 6.7e-5), (Subject(NUMBERS, 5749, 0, 384, is_pair=True), 1e-4),
    (Subject("multiple-choice", 900, 0, 768), 1.7e-5),
    (Subject(TAGS, 3394, 13, 768), 5e-5), (Subject(WRITING, 1000, 0, 576), 8.9e-5)])
def test_the_rate_follows_width_labels_and_pairs(subject, rate):
    choice = defaults.learning_rate(subject)
    assert choice.value == rate and str(subject.width) in choice.reason


@pytest.mark.parametrize("subject,steps_per_epoch,epochs", [
    (INTENTS, 313, 5), (replace(INTENTS, rows=1000), 32, 10), (replace(INTENTS, rows=77), 3, 67), (Subject(CLASSES, 48, 3, 384), 3, 67), (Subject(CLASSES, 650, 8, 384, is_sentence_encoder=True), 21, 7),
    (Subject(CLASSES, 650, 8, 384), 21, 10),
    (Subject(CLASSES, 20_000, 3, 384), 625, 3), (Subject(WRITING, 90, 0, 384), 6, 20)])
def test_there_are_never_fewer_steps_than_the_reason_says(subject, steps_per_epoch, epochs):
    choice, least = defaults.epochs(subject, steps_per_epoch), defaults.steps(subject)
    assert choice.value == epochs and choice.value * steps_per_epoch >= least >= 120
    assert f"at least {least} steps" in choice.reason or f"each of {subject.labels} labels" in choice.reason


def test_few_rows_make_smaller_steps_unless_somebody_says_how_many():
    few = Subject(CLASSES, 48, 2, 384)
    assert [defaults.with_batch_size(Training(), subject).batch_size for subject in (
        few, replace(few, rows=1999), replace(few, rows=2000), replace(few, labels=8), replace(few, task=TAGS))] == [
        16, 16, 32, 32, 32]
    assert [defaults.with_batch_size(training, few).batch_size for training in (
        Training(epochs=3), Training(max_steps=30), Training(batch_size=7), Training(batch_tokens=512))] == [
        32, 32, 7, None]


def test_what_the_user_sets_is_used_as_it_is():
    assert defaults.choose_rate(Training(learning_rate=1e-3), INTENTS) == defaults.Choice(1e-3, "you chose it")
    adapter = defaults.choose_rate(Training(adapter="lora"), INTENTS)
    assert adapter.value == 2e-3 and "adapter" in adapter.reason
    assert [defaults.with_back_off(training).back_off for training in (
        Training(), Training(learning_rate=1e-3), Training(learning_rate=1e-3, back_off="on"),
        Training(back_off="off"))] == ["on", "off", "on", "off"]


def test_dev_is_measured_twenty_times_at_most():
    assert defaults.evaluation_interval(201, 3) == 11 and defaults.evaluation_interval(1565, 313) == 313


def test_a_run_of_few_rows_makes_the_steps_that_it_tells(headstart, tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setattr(defaults, "FEWEST_STEPS_OF_NEW_HEADS", 65)
    rows = write_csv(tmp_path / "few.csv", review_rows(60, labels=("good", "bad")))
    code, _, stderr = headstart("finetune", rows, "--model", tiny_bert, "--to", tmp_path / "run", "--folds", "0",
                                "--method", "plain", "--set", "evaluation.resamples=0", "--set",
                                "evaluation.baselines=false")
    assert code == 0 and "66 steps of 16, 22 epochs: at least 65 steps and 5 epochs" in stderr, stderr
    settings = json.loads((tmp_path / "run" / "data.json").read_text())["settings"]
    assert (settings["training.batch_size"], settings["training.epochs"]) == (16, 22)
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert max(event.get("step", 0) for event in events) == 66
    assert sum(event["event"] == "evaluation" for event in events) <= 20
