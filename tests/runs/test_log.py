"""log.jsonl: what happened in a run, one line an event; a resumed run writes on from its checkpoint."""

import json
from pathlib import Path

import pytest
from conftest import review_rows, write_csv

from headstart.progress import Message, Progress, StepFinished, TrainingWarning
from headstart.runs.log import RunLog


def read_events(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def step(number, total=25):
    return StepFinished(number, total, 0, 0.5, 1e-4, 1.0, 10 * number, 1.23456)


def test_a_run_is_logged_from_started_to_finished(trained_run):
    events = read_events(trained_run[0])
    names = [event["event"] for event in events]
    assert names[:3] == ["started", "estimate", "step"] and names[-1] == "finished"
    assert set(names) == {"started", "estimate", "step", "evaluation", "checkpoint", "finished"}
    started, total = events[0], events[0]["total_steps"]
    assert started["task"] == "text-classification" and started["step"] == 0
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [number for number in range(1, total + 1)
                                                  if number in (1, total) or number % 10 == 0]
    assert set(steps[0]) == {"event", "step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens", "seconds"}
    scores = json.loads((trained_run[0] / "scores.json").read_text())
    best = next(event for event in events if event["event"] == "evaluation"
                and event["step"] == scores["best"]["step"])
    assert best["split"] == "dev" and best["scores"]["accuracy"] == scores["dev"]["accuracy"]["value"]


def test_a_resumed_run_drops_what_it_does_again(tiny_bert, headstart, tmp_path, monkeypatch):
    from headstart.training import loop

    path = write_csv(tmp_path / "reviews.csv", review_rows(60))
    run = tmp_path / "run"
    original = loop.train_step

    def failing_step(state, *arguments, **options):
        if state.step == 11:
            raise ValueError("power cut")
        return original(state, *arguments, **options)

    monkeypatch.setattr(loop, "train_step", failing_step)
    flags = ["--epochs", 3, "--batch-size", 8, "--set", "training.save_every=4", "--set", "evaluation.resamples=0",
             "--set", "evaluation.baselines=false", "--quiet"]
    assert headstart("finetune", path, "--model", tiny_bert, "--to", run, *flags)[0] == 70
    monkeypatch.undo()
    assert max(event.get("step", 0) for event in read_events(run)) == 10  # logged after the checkpoint of step 8
    with (run / "log.jsonl").open("a") as file:
        file.write('{"event": "step", "st')  # what a power cut leaves
    assert headstart("resume", run, "--quiet")[0] == 0
    events = read_events(run)
    started = [event for event in events if event["event"] == "started"]
    assert [event["step"] for event in started] == [0, 8]
    assert [event["step"] for event in events if event["event"] == "step"] == [1, 10, 18]
    after = events[events.index(started[1]):]
    assert all(event.get("step", 99) >= 8 for event in after) and after[-1]["event"] == "finished"
    assert [event["event"] for event in events].count("estimate") == 1


def test_only_some_steps_and_no_words_are_logged_and_a_cut_line_is_left_out(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    assert log.events() == []
    for event in (Message("reading"), Progress(1, 2, "rows"), *map(step, range(1, 26)),
                  TrainingWarning(25, "ein Übel")):
        assert log.receive(event) is None
    assert [event.get("step") for event in log.events()] == [1, 10, 20, 25, 25]
    assert log.events()[-1] == {"event": "warning", "step": 25, "message": "ein Übel"}
    assert log.events()[0]["seconds"] == 1.235 and "padding" not in log.events()[0]
    whole = log.path.read_text(encoding="utf-8")
    for cut in (1, 5, 20):
        log.path.write_text(whole[:-cut], encoding="utf-8")
        assert [event["event"] for event in log.events()] == ["step"] * 4 + ["warning"] * (cut == 1)


@pytest.mark.parametrize("step_number,kept", [(0, 0), (9, 1), (10, 2), (30, 4)])
def test_rewinding_keeps_what_happened_up_to_a_step(step_number, kept, tmp_path):
    log = RunLog(Path(tmp_path / "log.jsonl"))
    for number in (1, 10, 20, 25):
        log.receive(step(number))
    log.rewind(step_number)
    assert len(log.events()) == kept
    log.receive(step(20))
    assert log.events()[-1]["step"] == 20
