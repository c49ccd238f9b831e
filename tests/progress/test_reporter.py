"""A run tells what happens as typed events, in one order, to every listener; a listener may ask it to stop."""

import dataclasses
import json
from pathlib import Path

import pytest
from conftest import review_rows, write_csv

import headstart as package
from headstart.progress import (
    CheckpointSaved,
    EvaluationFinished,
    Event,
    Message,
    Progress,
    Reporter,
    ResourcesEstimated,
    RunFinished,
    RunStarted,
    StepFinished,
    TrainingWarning,
)

FIELDS = {  # as docs and trackers may rely on them
    Message: {"text": str, "warning": bool},
    Progress: {"completed": int, "total": int, "text": str},
    RunStarted: {"folder": Path, "task": str, "model": str, "step": int, "total_steps": int, "settings": dict},
    ResourcesEstimated: {"values": dict},
    StepFinished: {"step": int, "total_steps": int, "epoch": int, "loss": float, "learning_rate": float,
                   "gradient_norm": float, "tokens": int, "seconds": float, "padding": dict},
    EvaluationFinished: {"step": int, "split": str, "scores": dict, "seconds": float},
    CheckpointSaved: {"step": int, "path": Path},
    TrainingWarning: {"step": int, "text": str},
    RunFinished: {"folder": Path, "scores": dict, "report": Path},
}


class Recorder:
    """Keeps every event; asks to stop after a step."""

    def __init__(self, stop_after=None):
        self.events, self.stop_after = [], stop_after

    def receive(self, event):
        self.events.append(event)
        return isinstance(event, StepFinished) and event.step == self.stop_after

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def finetune(folder, tiny_bert, recorder):
    path = write_csv(folder / "reviews.csv", review_rows(60))
    run = package.finetune(path, model=tiny_bert, to=folder / "run", reporter=Reporter(recorder), epochs=2,
                           batch_size=8, training={"evaluate_every": 4}, evaluation={"resamples": 10})
    return run, recorder


@pytest.fixture(scope="module")
def recorded_run(tiny_bert, tmp_path_factory):
    return finetune(tmp_path_factory.mktemp("recorded"), tiny_bert, Recorder())


def test_the_events_of_a_run_come_in_order(recorded_run):
    _, recorder = recorded_run
    kinds = [type(event).__name__ for event in recorder.events if not isinstance(event, Message | Progress)]
    assert kinds[:2] == ["RunStarted", "ResourcesEstimated"] and kinds[-1] == "RunFinished"
    steps = ["StepFinished"] * 4 + ["EvaluationFinished", "CheckpointSaved"]
    assert kinds[2:-1] == steps * 3  # 48 rows, 8 a step, 2 epochs; evaluated every 4 steps
    assert [event.step for event in recorder.of(StepFinished)] == list(range(1, 13))
    assert [event.step for event in recorder.of(EvaluationFinished)] == [4, 8, 12]


def test_events_carry_the_documented_fields(recorded_run):
    run, recorder = recorded_run
    assert {kind for kind in Event.__subclasses__() if kind.__module__ == Event.__module__} == set(FIELDS)
    for kind, fields in FIELDS.items():
        assert {field.name for field in dataclasses.fields(kind)} == set(fields), kind
    assert {type(event) for event in recorder.events} == set(FIELDS) - {TrainingWarning}
    for event in recorder.events:
        for name, value_type in FIELDS[type(event)].items():
            assert isinstance(getattr(event, name), value_type), (event, name)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, next(iter(FIELDS[type(event)])), None)
    (started,), (finished,) = recorder.of(RunStarted), recorder.of(RunFinished)
    assert (started.task, started.step, started.total_steps) == ("text-classification", 0, 12)
    assert started.settings["training.batch_size"] == 8 and started.settings["training.epochs"] == 2
    assert finished.scores == {split: run.scores[split] for split in ("dev", "test")}
    assert finished.folder == run.path and finished.report.is_file()
    assert all(event.path.is_dir() for event in recorder.of(CheckpointSaved)[-1:])
    tokens = [event.tokens for event in recorder.of(StepFinished)]
    assert tokens == sorted(tokens) and tokens[0] > 0
    assert {event.epoch for event in recorder.of(StepFinished)} == {0, 1}


def test_a_listener_that_asks_to_stop_gets_a_finished_run(tiny_bert, tmp_path):
    run, recorder = finetune(tmp_path, tiny_bert, Recorder(stop_after=3))
    assert [event.step for event in recorder.of(StepFinished)] == [1, 2, 3]
    assert [event.step for event in recorder.of(EvaluationFinished)] == [3]
    assert isinstance(recorder.events[-1], RunFinished) and run.report.is_file()
    assert run.scores["best"]["step"] == run.scores["training"]["steps"] == 3
    assert run.scores["test"]["accuracy"]["n"] == 6
    assert any("a listener asked for it" in event.text for event in recorder.of(Message))
    assert run.model.predict(["the roses"])[0]["prediction"] in ("good", "bad", "mixed")
    events = [json.loads(line)["event"] for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert events[-1] == "finished"


def test_every_listener_gets_every_event_and_one_more_while_a_block_runs():
    first, second, third = Recorder(), Recorder(), Recorder()
    reporter = Reporter(first, second)
    reporter.info("reading")
    with reporter.listening(third):
        reporter.warning("one class is rare")
    reporter.progress(1, 2, "rows")
    assert first.events == second.events == [Message("reading"), Message("one class is rare", warning=True),
                                             Progress(1, 2, "rows")]
    assert third.events == [Message("one class is rare", warning=True)]
    assert not reporter.stop_requested
